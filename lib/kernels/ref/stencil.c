/* SPDX-License-Identifier: MIT */
/* Reference: a small kernel over a plane. */
#include "kernels/ref/ref.h"

void evk_ref_stencil(const evk_stencil *s)
{
    for (int64_t r = 0; r < s->rows; r++) {
        const evi_real *b = s->b + r * s->b_step;
        evi_real *c = s->c + r * s->ldc;

        for (int64_t x = 0; x < s->len; x++) {
            evi_real v = 0;

            for (int32_t t = 0; t < s->n; t++)
                v += s->w[t] * b[s->off[t] + x];
            if (s->flags & EVK_TILE_ADD)
                v = c[x] + v;
            if (s->bias)
                v += *s->bias;
            if (s->flags & EVK_TILE_CLIP) {
                v = v < s->lo ? s->lo : v;
                v = v > s->hi ? s->hi : v;
            }
            c[x] = v;
        }
    }
}
