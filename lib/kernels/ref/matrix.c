/* SPDX-License-Identifier: MIT */
/* Reference: matrix tiles and the moving of rows. */
#include "kernels/ref/ref.h"

/* min(hi, max(lo, v)) that lets NaN through: both comparisons are false for NaN. */
static evi_real clip(evi_real v, evi_real lo, evi_real hi)
{
    if (v < lo)
        return lo;
    return v > hi ? hi : v;
}

void evk_ref_tile(const evk_tile *t)
{
    for (int32_t i = 0; i < t->m; i++) {
        for (int32_t j = 0; j < t->n; j++) {
            evi_real *c = &t->c[i * t->ldc + j];
            evi_real sum = 0;

            for (int64_t p = 0; p < t->k; p++)
                sum += t->a[p * t->a_step + i] * t->b[t->off[p] + j];
            if (t->flags & EVK_TILE_ADD)
                sum = *c + sum;
            if (t->bias)
                sum += t->bias[i];
            *c = (t->flags & EVK_TILE_CLIP) ? clip(sum, t->lo, t->hi) : sum;
        }
    }
}

void evk_ref_pool_tile(const evk_pool_tile *t)
{
    for (int32_t i = 0; i < t->m; i++) {
        for (int32_t j = 0; j < t->n / 2; j++) {
            evi_real v[4] = {0};
            uint8_t *where = t->where ? t->where + i * t->ldy + j : NULL;
            evi_real *y = t->y + i * t->ldy + j;

            for (int32_t q = 0; q < 4; q++) {
                const evi_real *b = t->b + q / 2 * t->down + 2 * j + q % 2;

                for (int64_t p = 0; p < t->k; p++)
                    v[q] += t->a[p * t->a_step + i] * b[t->off[p]];
                if (t->bias)
                    v[q] += t->bias[i];
            }
            if (t->positive)
                evk_ref_max_pool2_relu(1, v, v + 2, y, where);
            else
                evk_ref_max_pool2(1, v, v + 2, y, where);
            *y = (t->flags & EVK_TILE_CLIP) ? clip(*y, t->lo, t->hi) : *y;
        }
    }
}

void evk_ref_dot_tile(const evk_dot_tile *t)
{
    for (int32_t i = 0; i < t->m; i++) {
        for (int32_t j = 0; j < t->n; j++) {
            evi_real *c = &t->c[i * t->ldc + j];
            evi_real sum = 0;

            for (int64_t q = 0; q < t->planes * t->rows; q++) {
                int64_t s = q / t->rows, r = q % t->rows;
                const evi_real *a = t->a + i * t->lda + s * t->a_plane + r * t->a_step;
                const evi_real *b = t->b + t->off[j] + s * t->b_plane + r * t->b_step;

                for (int64_t x = 0; x < t->len; x++)
                    sum += a[x] * b[x];
            }
            *c = (t->flags & EVK_TILE_ADD) ? *c + sum : sum;
        }
    }
}

void evk_ref_transpose(int64_t m, int64_t n, const evi_real *x, int64_t ldx, evi_real *y,
                       int64_t ldy)
{
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++)
            y[j * ldy + i] = x[i * ldx + j];
    }
}

void evk_ref_copy_rows(int64_t m, int64_t n, const evi_real *x, int64_t ldx, evi_real *y,
                       int64_t ldy)
{
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++)
            y[i * ldy + j] = x[i * ldx + j];
    }
}

void evk_ref_gather(int64_t n, const evi_real *x, int64_t step, evi_real *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i * step];
}

void evk_ref_scatter(int64_t n, const evi_real *x, evi_real *y, int64_t step, int32_t add)
{
    for (int64_t i = 0; i < n; i++)
        y[i * step] = add ? y[i * step] + x[i] : x[i];
}
