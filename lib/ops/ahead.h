/* SPDX-License-Identifier: MIT */
/* Asking for memory before it is read: what the next block of a convolution needs comes from afar
 * while the tiles of this one are computed, some lines at each tile. */
#ifndef EVI_AHEAD_H
#define EVI_AHEAD_H

#include "base/base.h"

enum {
    EVI_AHEAD_RANGES = 4,
    EVI_AHEAD_LINE = 64,
    EVI_AHEAD_BYTES = 1 << 20 /* not worth while for an array that the caches may hold */
};

/* `count` pieces of `bytes` bytes, `step` bytes apart. */
typedef struct evi_ahead_range {
    const char *at;
    int64_t step, bytes, count;
} evi_ahead_range;

typedef struct evi_ahead {
    evi_ahead_range range[EVI_AHEAD_RANGES];
    int32_t n, next;  /* ranges, and the one that is asked for */
    int64_t position; /* within its piece */
    int64_t lines;    /* at a time */
} evi_ahead;

static inline void evi_ahead_add(evi_ahead *a, const void *at, int64_t step, int64_t bytes,
                                 int64_t count)
{
    if (bytes > 0 && count > 0 && a->n < EVI_AHEAD_RANGES)
        a->range[a->n++] = (evi_ahead_range){at, step, bytes, count};
}

/* Spread what was added over this many calls of evi_ahead_some(). */
static inline void evi_ahead_start(evi_ahead *a, int64_t n_calls)
{
    int64_t lines = 0;

    for (int32_t i = 0; i < a->n; i++)
        lines += a->range[i].count * (a->range[i].bytes / EVI_AHEAD_LINE + 1);
    a->lines = lines / EVI_MAX(n_calls, 1) + 1;
}

static inline void evi_ahead_some(evi_ahead *a)
{
    for (int64_t i = 0; i < a->lines && a->next < a->n; i++) {
        evi_ahead_range *r = &a->range[a->next];

#if defined(__GNUC__)
        __builtin_prefetch(r->at + a->position, 0, 2);
#endif
        a->position += EVI_AHEAD_LINE;
        if (a->position < r->bytes)
            continue;
        a->position = 0;
        if (--r->count > 0)
            r->at += r->step;
        else
            a->next++;
    }
}

#endif
