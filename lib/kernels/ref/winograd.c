/* SPDX-License-Identifier: MIT */
/* Reference: the three transforms of Winograd's F(4x4, 3x3).  Each is a small matrix from the left
 * and its transpose from the right, so one function of six (three) values does both. */
#include "kernels/ref/ref.h"

#define A EVK_WINO_A
#define B EVK_WINO_B

/* o = B^T d */
static void in_axis(const evi_real *d, int64_t sd, evi_real *o, int64_t so)
{
    const evi_real d1 = d[sd], d2 = d[2 * sd], d3 = d[3 * sd], d4 = d[4 * sd];
    const evi_real even_a = d4 - B * B * d2, odd_a = A * (d3 - B * B * d1);
    const evi_real even_b = d4 - A * A * d2, odd_b = B * (d3 - A * A * d1);

    o[0] = A * A * B * B * d[0] + d4 - (A * A + B * B) * d2;
    o[so] = even_a + odd_a;
    o[2 * so] = even_a - odd_a;
    o[3 * so] = even_b + odd_b;
    o[4 * so] = even_b - odd_b;
    o[5 * so] = A * A * B * B * d1 + d[5 * sd] - (A * A + B * B) * d3;
}

/* o = A^T m */
static void out_axis(const evi_real *m, int64_t sm, evi_real *o, int64_t so)
{
    const evi_real sum_a = m[sm] + m[2 * sm], gap_a = m[sm] - m[2 * sm];
    const evi_real sum_b = m[3 * sm] + m[4 * sm], gap_b = m[3 * sm] - m[4 * sm];

    o[0] = m[0] + sum_a + sum_b;
    o[so] = A * gap_a + B * gap_b;
    o[2 * so] = A * A * sum_a + B * B * sum_b;
    o[3 * so] = A * A * A * gap_a + B * B * B * gap_b + m[5 * sm];
}

/* o = G g */
static void weights_axis(const evi_real *g, int64_t sg, evi_real *o, int64_t so)
{
    const evi_real na = 1 / (2 * A * A * (A * A - B * B)), nb = 1 / (2 * B * B * (B * B - A * A));
    const evi_real even_a = na * g[0] + na * A * A * g[2 * sg], odd_a = na * A * g[sg];
    const evi_real even_b = nb * g[0] + nb * B * B * g[2 * sg], odd_b = nb * B * g[sg];

    o[0] = 1 / (A * A * B * B) * g[0];
    o[so] = even_a + odd_a;
    o[2 * so] = even_a - odd_a;
    o[3 * so] = even_b + odd_b;
    o[4 * so] = even_b - odd_b;
    o[5 * so] = g[2 * sg];
}

void evk_ref_wino_in(const evk_wino_in *a)
{
    for (int64_t t = 0; t < a->n; t++) {
        evi_real d[36], left[36];

        for (int32_t r = 0; r < 6; r++) {
            for (int32_t c = 0; c < 6; c++) {
                const int64_t x = 4 * t + c - a->left;

                d[6 * r + c] = a->row[r] && x >= 0 && x < a->width ? a->row[r][x] : 0;
            }
        }
        for (int32_t c = 0; c < 6; c++)
            in_axis(d + c, 6, left + c, 6);
        for (int32_t r = 0; r < 6; r++)
            in_axis(left + 6 * r, 1, d + 6 * r, 1);
        for (int32_t p = 0; p < 36; p++)
            a->v[p * a->step + t] = d[p];
    }
}

static evi_real clip(const evk_wino_out *a, evi_real v)
{
    if (!(a->flags & EVK_TILE_CLIP))
        return v;
    if (v < a->lo)
        return a->lo;
    return v > a->hi ? a->hi : v;
}

/* y: the 4x4 outputs of tile t */
static void put_pooled(const evk_wino_out *a, int64_t t, const evi_real *y)
{
    for (int32_t r = 0; r < a->height; r++) {
        for (int64_t x = 2 * t; x < 2 * t + 2 && x < a->width; x++) {
            const evi_real *from = y + 8 * r + 2 * (x - 2 * t);
            evi_real best;
            uint8_t at;

            evk_ref_max_pool2(1, from, from + 4, &best, &at);
            a->y[r * a->ldy + x] = clip(a, best);
            if (a->where)
                a->where[r * a->ldw + x] = a->positive && best <= 0 ? 4 : at;
        }
    }
}

void evk_ref_wino_out(const evk_wino_out *a)
{
    for (int64_t t = 0; t < a->n; t++) {
        evi_real m[36], left[24], y[16];

        for (int32_t p = 0; p < 36; p++)
            m[p] = a->m[p * a->step + t];
        for (int32_t c = 0; c < 6; c++)
            out_axis(m + c, 6, left + c, 6);
        for (int32_t r = 0; r < 4; r++)
            out_axis(left + 6 * r, 1, y + 4 * r, 1);
        for (int32_t i = 0; i < 16; i++)
            y[i] += a->bias;
        if (a->pool) {
            put_pooled(a, t, y);
            continue;
        }
        for (int32_t r = 0; r < a->height; r++) {
            for (int64_t x = 4 * t; x < 4 * t + 4 && x < a->width; x++) {
                evi_real *to = &a->y[r * a->ldy + x];
                const evi_real v = y[4 * r + x - 4 * t];

                *to = clip(a, a->flags & EVK_TILE_ADD ? *to + v : v);
            }
        }
    }
}

void evk_ref_wino_weights(const evk_wino_weights *a)
{
    for (int64_t i = 0; i < a->count * a->n; i++) {
        const evi_real *g = a->g + i / a->n * a->g_next + i % a->n;
        evi_real *u = a->u + i / a->n * a->u_next + i % a->n;
        evi_real left[18], all[36];

        for (int32_t c = 0; c < 3; c++)
            weights_axis(g + c * a->ldg, 3 * a->ldg, left + c, 3);
        for (int32_t r = 0; r < 6; r++)
            weights_axis(left + 3 * r, 1, all + 6 * r, 1);
        for (int32_t p = 0; p < 36; p++)
            u[p * a->step] = all[p];
    }
}
