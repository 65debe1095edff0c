/* dispatch.c: the targets of this build, and the choice among them.
 *
 * The choice is made once, by the engine, and handed around as a table: no kernel asks what the CPU can do. Nothing here
 * reads the environment; who wants to force a target passes its name.
 */
#include "fastnn.h"

#include <string.h>

/* Best first. A new target is one row here and one in its own file. */
#if defined(__x86_64__)
extern const fnn_target fnn_target_avx512, fnn_target_avx2;
#elif defined(__aarch64__)
extern const fnn_target fnn_target_neon;
#endif
extern const fnn_target fnn_target_baseline;

static const fnn_target *const targets[] = {
#if defined(__x86_64__)
    &fnn_target_avx512,
    &fnn_target_avx2,
#elif defined(__aarch64__)
    &fnn_target_neon,
#endif
    &fnn_target_baseline,
};

int fnn_targets(const fnn_target *const **list)
{
    *list = targets;
    return (int)(sizeof targets / sizeof targets[0]);
}

const fnn_target *fnn_find_target(const char *name)
{
    const fnn_target *const *list;
    int count = fnn_targets(&list);
    for (int i = 0; i < count; i++)
        if ((name == NULL || strcmp(list[i]->name, name) == 0) && list[i]->supported()) return list[i];
    return NULL;
}
