/* failing_malloc.c: a preloaded library in which the n-th allocation fails, once or from then on.
 *
 *   cc -shared -fPIC -O1 tests/failing_malloc.c -o failing_malloc.so
 *   LD_PRELOAD=./failing_malloc.so PYTHONMALLOC=malloc python ...
 *
 * The program sets the variables below (from Python: ctypes.c_long.in_dll), which takes no memory itself, so that it can
 * end the shortage while it lasts. Without PYTHONMALLOC=malloc small Python objects come from arenas that are mapped, and
 * only arrays and larger blocks pass here. Frees are counted too: what is alive more after a call than before is a leak. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

atomic_long failing_malloc_countdown; /* n: the n-th allocation from now on fails; 0: none does */
atomic_long failing_malloc_onward;    /* not 0: and so do all that follow, until this is 0 */
atomic_long failing_malloc_failures;  /* how many have failed */
atomic_long failing_malloc_live;      /* blocks allocated and not freed */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

static int fails(void)
{
    long left = atomic_load(&failing_malloc_countdown);
    if (left <= 0) return 0;
    if (left > 1) {
        left = atomic_fetch_sub(&failing_malloc_countdown, 1);
        if (left > 1) return 0;
        atomic_store(&failing_malloc_countdown, 1);
    }
    if (!atomic_load(&failing_malloc_onward)) atomic_store(&failing_malloc_countdown, 0);
    atomic_fetch_add(&failing_malloc_failures, 1);
    errno = ENOMEM;
    return 1;
}

static void *counted(void *block)
{
    if (block) atomic_fetch_add(&failing_malloc_live, 1);
    return block;
}

void *malloc(size_t size) { return fails() ? NULL : counted(__libc_malloc(size)); }
void *calloc(size_t count, size_t size) { return fails() ? NULL : counted(__libc_calloc(count, size)); }
void *memalign(size_t alignment, size_t size) { return fails() ? NULL : counted(__libc_memalign(alignment, size)); }
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *block = memalign(alignment, size);
    if (!block) return ENOMEM;
    *out = block;
    return 0;
}

void *realloc(void *old, size_t size)
{
    if (!old) return malloc(size);
    if (size == 0) {
        free(old);
        return NULL;
    }
    return fails() ? NULL : __libc_realloc(old, size);
}

void free(void *block)
{
    if (block) atomic_fetch_sub(&failing_malloc_live, 1);
    __libc_free(block);
}
