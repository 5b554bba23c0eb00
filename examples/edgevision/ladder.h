/* SPDX-License-Identifier: MIT */
/* edgevision arch ladder. */
#ifndef LADDER_H
#define LADDER_H

#include "tool.h"

typedef struct ladder {
    const char *model, *arch, *save; /* model: a file, or NULL: arch */
    int32_t rungs, size[2], classes, grey, json;
    double ratio;
    uint64_t seed;
} ladder;

int arch_ladder(const ladder *l);

#endif /* LADDER_H */
