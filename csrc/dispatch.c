/* dispatch.c: the targets of this build, and the choice among them.
 *
 * The choice is made once, by the engine, and handed around as a table: no kernel asks what the CPU can do. Nothing here
 * reads the environment; who wants to force a target passes its name.
 */
#include "fastnn.h"

#include <string.h>

/* Best first. A new target is one name here and its own file. A build may name fewer of them. */
#ifndef FNN_TARGETS
#if defined(__x86_64__)
#define FNN_TARGETS(X) X(avx512) X(avx2) X(baseline)
#elif defined(__aarch64__)
#define FNN_TARGETS(X) X(neon) X(baseline)
#else
#define FNN_TARGETS(X) X(baseline)
#endif
#endif

#define DECLARED(name) extern const fnn_target fnn_target_##name;
#define ADDRESS(name) &fnn_target_##name,
FNN_TARGETS(DECLARED)
static const fnn_target *const targets[] = {FNN_TARGETS(ADDRESS)};

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
