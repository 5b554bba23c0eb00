/* SPDX-License-Identifier: MIT */
/* The transforms of Winograd's F(4x4, 3x3) over vectors: the text that each instruction set
 * compiles.  The lanes are tiles side by side.
 *
 * In the input's transform the rows are combined first, where they lie one above the other, into a
 * buffer with the zero border; then its lines are taken apart into the four columns of the tiles
 * (columns 4 and 5 of a tile are columns 0 and 1 of the next) and combined across. */

#define WA EVK_WINO_A
#define WB EVK_WINO_B
#define WINO_LINE (32 * VL) /* columns at a time: 8 vectors of tiles */

INLINE void wino_in_axis(const vf *d, vf *o)
{
    const vf a = v_set(WA), b = v_set(WB), a2 = v_set(WA * WA), b2 = v_set(WB * WB);
    const vf sum2 = v_set(WA * WA + WB * WB), product2 = v_set(WA * WA * WB * WB);
    const vf even_a = v_fnma(b2, d[2], d[4]), odd_a = v_fnma(b2, d[1], d[3]);
    const vf even_b = v_fnma(a2, d[2], d[4]), odd_b = v_fnma(a2, d[1], d[3]);

    o[0] = v_fnma(sum2, d[2], v_fma(product2, d[0], d[4]));
    o[1] = v_fma(a, odd_a, even_a);
    o[2] = v_fnma(a, odd_a, even_a);
    o[3] = v_fma(b, odd_b, even_b);
    o[4] = v_fnma(b, odd_b, even_b);
    o[5] = v_fnma(sum2, d[3], v_fma(product2, d[1], d[5]));
}

/* Combine the rows from column x on: `count` columns with the border, of which those from `low`
 * to `high` exist; zeros up to `end`. */
static void wino_in_rows(const evk_wino_in *s, int64_t x, int64_t low, int64_t high, int64_t end,
                         float (*line)[WINO_LINE + 3 * VL])
{
    static const float zeros[VL];
    const float *row[6];
    int64_t jump[6];
    int64_t i = 0;

    for (; i < low; i += VL) {
        UNROLL for (int r = 0; r < 6; r++)
            v_store(line[r] + i, v_zero());
    }
    i = low;
    for (int r = 0; r < 6; r++) {
        row[r] = s->row[r] ? s->row[r] + (x + low) : zeros;
        jump[r] = s->row[r] ? VL : 0;
    }
    for (; i < high; i += VL) {
        vf d[6], o[6];

        if (i + VL <= high) {
            UNROLL for (int r = 0; r < 6; r++)
                d[r] = v_load(row[r]);
        } else {
            const vt tail = v_tail((int)(high - i));

            UNROLL for (int r = 0; r < 6; r++)
                d[r] = v_load_t(row[r], tail);
        }
        wino_in_axis(d, o);
        UNROLL for (int r = 0; r < 6; r++) {
            v_store(line[r] + i, o[r]);
            row[r] += jump[r];
        }
    }
    for (; i < end; i += VL) {
        UNROLL for (int r = 0; r < 6; r++)
            v_store(line[r] + i, v_zero());
    }
}

/* The six columns of VL tiles. */
INLINE void wino_columns(const float *line, vf *d)
{
    vf e0, o0, e1, o1;

    v_unzip(v_load(line), v_load(line + VL), &e0, &o0);
    v_unzip(v_load(line + 2 * VL), v_load(line + 3 * VL), &e1, &o1);
    v_unzip(e0, e1, &d[0], &d[2]);
    v_unzip(o0, o1, &d[1], &d[3]);
    d[4] = v_slide(d[0], line[4 * VL]);
    d[5] = v_slide(d[1], line[4 * VL + 1]);
}

static void k_wino_in(const evk_wino_in *s)
{
    float line[6][WINO_LINE + 3 * VL] __attribute__((aligned(64)));

    for (int64_t t0 = 0; t0 < s->n; t0 += WINO_LINE / 4) {
        const int64_t n = EVI_MIN(WINO_LINE / 4, s->n - t0), x = 4 * t0 - s->left;
        const int64_t end = (n + VL - 1) / VL * (4 * VL) + 2;
        const int64_t low = EVI_MIN(EVI_MAX(-x, 0), end);
        const int64_t high = EVI_MAX(EVI_MIN(4 * n + 2, s->width - x), low);

        wino_in_rows(s, x, low, high, end, line);
        for (int64_t t = 0; t < n; t += VL) {
            float *v = s->v + t0 + t;

            for (int r = 0; r < 6; r++, v += 6 * s->step) {
                vf d[6], o[6];

                wino_columns(line[r] + 4 * t, d);
                wino_in_axis(d, o);
                if (t + VL <= n) {
                    UNROLL for (int c = 0; c < 6; c++)
                        v_store(v + c * s->step, o[c]);
                } else {
                    const vt tail = v_tail((int)(n - t));

                    UNROLL for (int c = 0; c < 6; c++)
                        v_store_t(v + c * s->step, tail, o[c]);
                }
            }
        }
    }
}

/* ---- outputs --------------------------------------------------------------------------------- */

INLINE void wino_out_axis(const vf *m, vf *o)
{
    const vf a = v_set(WA), b = v_set(WB), a2 = v_set(WA * WA), b2 = v_set(WB * WB);
    const vf a3 = v_set(WA * WA * WA), b3 = v_set(WB * WB * WB);
    const vf sum_a = v_add(m[1], m[2]), gap_a = v_sub(m[1], m[2]);
    const vf sum_b = v_add(m[3], m[4]), gap_b = v_sub(m[3], m[4]);

    o[0] = v_add(m[0], v_add(sum_a, sum_b));
    o[1] = v_fma(a, gap_a, v_mul(b, gap_b));
    o[2] = v_fma(a2, sum_a, v_mul(b2, sum_b));
    o[3] = v_fma(a3, gap_a, v_fma(b3, gap_b, m[5]));
}

INLINE vf wino_clip(const evk_wino_out *s, vf v)
{
    return s->flags & EVK_TILE_CLIP ? v_min(v_set(s->hi), v_max(v_set(s->lo), v)) : v;
}

/* A row of 4 VL values from the four columns of the tiles. */
INLINE void wino_store(const evk_wino_out *s, const vf *y, float *to, int64_t n)
{
    vf a0, a1, b0, b1, o[4];

    v_zip(y[0], y[2], &a0, &a1);
    v_zip(y[1], y[3], &b0, &b1);
    v_zip(a0, b0, &o[0], &o[1]);
    v_zip(a1, b1, &o[2], &o[3]);
    UNROLL for (int q = 0; q < 4; q++, to += VL, n -= VL) {
        if (n >= VL) {
            if (s->flags & EVK_TILE_ADD)
                o[q] = v_add(v_load(to), o[q]);
            v_store(to, wino_clip(s, o[q]));
        } else if (n > 0) {
            const vt tail = v_tail((int)n);

            if (s->flags & EVK_TILE_ADD)
                o[q] = v_add(v_load_t(to, tail), o[q]);
            v_store_t(to, tail, wino_clip(s, o[q]));
        }
    }
}

INLINE vf wino_best(const vf *v)
{
    vf best = v[0];

    UNROLL for (int j = 1; j < 4; j++)
        best = v_pick(v_nan(best), best, v_max(best, v[j]));
    return best;
}

INLINE vf wino_place(const evk_wino_out *s, const vf *v)
{
    vf best = v[0], place = v_zero();

    UNROLL for (int j = 1; j < 4; j++) {
        const vm m = v_beats(v[j], best);

        best = v_pick(m, v[j], best);
        place = v_pick(m, v_set((float)j), place);
    }
    return s->positive ? v_pick(v_le(best, v_zero()), v_set(4), place) : place;
}

/* A row of 2 VL pooled values from two rows of outputs. */
INLINE void wino_store_pooled(const evk_wino_out *s, const vf *y0, const vf *y1, int64_t r,
                              int64_t x)
{
    const vf left[4] = {y0[0], y0[1], y1[0], y1[1]}, right[4] = {y0[2], y0[3], y1[2], y1[3]};
    vf o[2], at[2] = {v_zero(), v_zero()};

    v_zip(wino_best(left), wino_best(right), &o[0], &o[1]);
    if (s->where)
        v_zip(wino_place(s, left), wino_place(s, right), &at[0], &at[1]);
    UNROLL for (int q = 0; q < 2; q++, x += VL) {
        const int64_t n = EVI_MIN(s->width - x, VL);

        if (n <= 0)
            break;
        v_store_t(s->y + r * s->ldy + x, v_tail((int)n), wino_clip(s, o[q]));
        if (s->where && n == VL) {
            v_to_bytes(s->where + r * s->ldw + x, at[q]);
        } else if (s->where) {
            uint8_t bytes[VL];

            v_to_bytes(bytes, at[q]);
            memcpy(s->where + r * s->ldw + x, bytes, (size_t)n);
        }
    }
}

/* Two rows of outputs. */
static NOINLINE void wino_out_rows(const evk_wino_out *s, vf (*left)[6], int64_t r, int64_t t)
{
    const vf bias = v_set(s->bias);
    vf y[2][4];

    UNROLL for (int q = 0; q < 2; q++) {
        wino_out_axis(left[q], y[q]);
        UNROLL for (int c = 0; c < 4; c++)
            y[q][c] = v_add(y[q][c], bias);
    }
    if (s->pool) {
        if (r / 2 < s->height)
            wino_store_pooled(s, y[0], y[1], r / 2, 2 * t);
        return;
    }
    ROLLED for (int q = 0; q < 2; q++) {
        if (r + q < s->height)
            wino_store(s, y[q], s->y + (r + q) * s->ldy + 4 * t, s->width - 4 * t);
    }
}

static void k_wino_out(const evk_wino_out *s)
{
    const evk_wino_out own = *s; /* a store to y cannot change it */

    for (int64_t t = 0; t < own.n; t += VL) {
        const vt tail = v_tail((int)EVI_MIN(VL, own.n - t));
        const float *m = own.m + t;
        vf left[4][6];

        ROLLED for (int c = 0; c < 6; c++, m += own.step) {
            vf d[6], o[4];

            if (t + VL <= own.n) {
                UNROLL for (int r = 0; r < 6; r++)
                    d[r] = v_load(m + 6 * r * own.step);
            } else {
                UNROLL for (int r = 0; r < 6; r++)
                    d[r] = v_load_t(m + 6 * r * own.step, tail);
            }
            wino_out_axis(d, o);
            UNROLL for (int r = 0; r < 4; r++)
                left[r][c] = o[r];
        }
        ROLLED for (int r = 0; r < 4; r += 2)
            wino_out_rows(&own, left + r, r, t);
    }
}

/* ---- weights --------------------------------------------------------------------------------- */

INLINE void wino_weights_axis(vf g0, vf g1, vf g2, vf *o)
{
    const float na = 1 / (2 * WA * WA * (WA * WA - WB * WB));
    const float nb = 1 / (2 * WB * WB * (WB * WB - WA * WA));
    const vf even_a = v_fma(v_set(na * WA * WA), g2, v_mul(v_set(na), g0));
    const vf even_b = v_fma(v_set(nb * WB * WB), g2, v_mul(v_set(nb), g0));
    const vf odd_a = v_mul(v_set(na * WA), g1), odd_b = v_mul(v_set(nb * WB), g1);

    o[0] = v_mul(v_set(1 / (WA * WA * WB * WB)), g0);
    o[1] = v_add(even_a, odd_a);
    o[2] = v_sub(even_a, odd_a);
    o[3] = v_add(even_b, odd_b);
    o[4] = v_sub(even_b, odd_b);
    o[5] = g2;
}

/* n <= VL of one channel; past: around the caches. */
INLINE void wino_weights_step(const evk_wino_weights *s, const float *g, float *u, int64_t n,
                              const bool past)
{
    const vt tail = v_tail((int)n);
    const int64_t ldg = s->ldg, step = s->step;
    vf left[3][6];

    UNROLL for (int c = 0; c < 3; c++)
        wino_weights_axis(v_load_t(g + c * ldg, tail), v_load_t(g + (3 + c) * ldg, tail),
                          v_load_t(g + (6 + c) * ldg, tail), left[c]);
    ROLLED for (int r = 0; r < 6; r++, u += 6 * step) {
        vf o[6];

        wino_weights_axis(left[0][r], left[1][r], left[2][r], o);
        if (past) {
            UNROLL for (int c = 0; c < 6; c++)
                v_store_past(u + c * step, o[c]);
        } else {
            UNROLL for (int c = 0; c < 6; c++)
                v_store_t(u + c * step, tail, o[c]);
        }
    }
}

static void k_wino_weights(const evk_wino_weights *s)
{
    const evk_wino_weights own = *s;
    const bool past = own.far && v_can_store_past(own.u) && own.n % VL == 0 && own.step % VL == 0 &&
                      own.u_next % VL == 0;

    for (int64_t c = 0; c < own.count; c++) {
        const float *g = own.g + c * own.g_next;
        float *u = own.u + c * own.u_next;

        for (int64_t i = 0; i < own.n; i += VL)
            wino_weights_step(&own, g + i, u + i, EVI_MIN(VL, own.n - i), past);
    }
    if (past)
        v_stored_past();
}

#undef WA
#undef WB
