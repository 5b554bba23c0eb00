/* SPDX-License-Identifier: MIT */
/* Where the pieces of a picture begin, and how much each counts.  Starts are multiples of 4, the
 * step of a generator that halves its picture twice, so that a piece sees the same grid as the
 * whole picture would.  Of what two neighbours share, each outer quarter is left to the one that
 * reaches further beyond it (near its end a piece knows a made-up border instead of the picture);
 * between them the share falls from 1 to 0 in a straight line. */
#include "domain/domain.h"

enum { STEP = 4, SMALLEST = 16 };

static int32_t up(int32_t x)
{
    return (x + STEP - 1) / STEP * STEP;
}

void evi_tiling_make(int32_t pixels, int32_t tile, bool fixed, int32_t overlap, evi_tiling *out)
{
    evi_tiling t = {.n = 1, .blend = overlap >= 0};
    int32_t all = EVI_MAX(up(pixels), SMALLEST);
    if (!fixed && (tile == 0 || tile >= all)) {
        t.size = t.tile = all;
    } else {
        t.tile = tile;
        t.size = pixels <= tile ? tile : tile + up(pixels - tile);
    }
    int32_t rest = t.size - t.tile;
    if (rest > 0) {
        int32_t step = t.tile - up(EVI_MAX(overlap, 0));
        step = EVI_MAX(step / STEP * STEP, STEP);
        t.n = 1 + (rest + step - 1) / step;
    }
    *out = t;
}

int32_t evi_tiling_start(const evi_tiling *t, int32_t piece)
{
    if (piece == 0)
        return 0;
    if (piece == t->n - 1)
        return t->size - t->tile;
    return (int32_t)((int64_t)piece * (t->size - t->tile) / (t->n - 1) / STEP * STEP);
}

/* 0 before the border between piece - 1 and piece, 1 behind it. */
static double crossed(const evi_tiling *t, int32_t piece, int32_t x)
{
    if (piece == 0)
        return 1;
    if (piece == t->n)
        return 0;
    int32_t first = evi_tiling_start(t, piece);
    int32_t shared = evi_tiling_start(t, piece - 1) + t->tile - first;
    double ramp = t->blend ? shared / 2.0 : 0;
    double way = x + 0.5 - (first + (shared - ramp) / 2);
    if (way <= 0)
        return 0;
    return way >= ramp ? 1 : way / ramp;
}

double evi_tiling_weight(const evi_tiling *t, int32_t piece, int32_t x)
{
    return crossed(t, piece, x) - crossed(t, piece + 1, x);
}
