/* SPDX-License-Identifier: MIT */
/* The transforms of the weights' gradient by Winograd: the text that each instruction set compiles.
 *
 * VL channels lie side by side, so both axes of a tile are plain vector arithmetic and the results
 * are rows of the matrices that the tile kernel multiplies.  The price is grad_spread(), a
 * transpose of what comes in, which is less than half of what comes out.
 *
 * The 36 points are made in four parts by the row of the left factor (0; a and -a; b and -b;
 * infinity): 6 or 12 values live at a time fit the registers. */

#define GRAD_A2 (EVK_WINO_A * EVK_WINO_A)
#define GRAD_B2 (EVK_WINO_B * EVK_WINO_B)

/* Four columns of VL rows become four vectors.  Part q of 0..3 brings the rows q, q + 4, q + 8 ...
 * together, so that what remains is to transpose 4x4 values in each quarter of a vector. */
INLINE void spread_four(const float *x, int64_t ldx, float *z)
{
    vf r[4];

    UNROLL for (int q = 0; q < 4; q++)
        r[q] = v_quads(x + q * ldx, 4 * ldx);
    v_quads_transpose(r);
    UNROLL for (int q = 0; q < 4; q++)
        v_store(z + q * VL, r[q]);
}

/* The planes are far apart, so what comes next is asked for: no prefetcher follows VL streams.
 * Planes a multiple of a page apart have all their lines in one set of the first-level cache, which
 * would lose them again. */
INLINE void ask_for(const evk_grad_rows *a)
{
    const int apart = a->next_ldx % 1024 != 0;

    for (int l = 0; l < a->m; l++) {
        const float *row = a->next + l * a->next_ldx;

        for (int64_t i = 0; i < a->n; i += 16) {
            if (apart)
                __builtin_prefetch(row + i, 0, 3);
            else
                __builtin_prefetch(row + i, 0, 2);
        }
    }
}

static void k_grad_spread(const evk_grad_rows *a)
{
    const int64_t n = a->n, ldx = a->ldx;

    if (a->next)
        ask_for(a);
    if (a->m == VL && n >= 4) {
        for (int64_t i = 0; i + 4 <= n; i += 4)
            spread_four(a->x + i, ldx, a->z + i * VL);
        if (n % 4 != 0) /* the last four again, the first of them twice */
            spread_four(a->x + n - 4, ldx, a->z + (n - 4) * VL);
        return;
    }
    for (int64_t i = 0; a->m < VL && i < n; i++)
        v_store(a->z + i * VL, v_zero());
    k_transpose(a->m, n, a->x, ldx, a->z, VL);
}

/* Does every lane count?  Where a masked store costs no more, all are masked. */
INLINE int all_lanes(const evk_grad_tiles *g)
{
#ifdef TILE_TAIL_APART
    return g->m == VL;
#else
    (void)g;
    return 0;
#endif
}

INLINE void put(const int full, float *p, vt tail, vf v)
{
    if (full)
        v_store(p, v);
    else
        v_store_t(p, tail, v);
}

/* One row of the left product through B, to six points. */
INLINE void x_points(const int full, const vf d[6], float *v, int64_t point, vt tail)
{
    const vf a = v_set(EVK_WINO_A), b = v_set(EVK_WINO_B);
    const vf a2 = v_set(GRAD_A2), b2 = v_set(GRAD_B2), both = v_set(GRAD_A2 * GRAD_B2);
    const vf sum = v_set(GRAD_A2 + GRAD_B2);
    const vf even_a = v_fnma(b2, d[2], d[4]), odd_a = v_fnma(b2, d[1], d[3]);
    const vf even_b = v_fnma(a2, d[2], d[4]), odd_b = v_fnma(a2, d[1], d[3]);

    put(full, v, tail, v_fma(both, d[0], v_fnma(sum, d[2], d[4])));
    put(full, v + point, tail, v_fma(a, odd_a, even_a));
    put(full, v + 2 * point, tail, v_fnma(a, odd_a, even_a));
    put(full, v + 3 * point, tail, v_fma(b, odd_b, even_b));
    put(full, v + 4 * point, tail, v_fnma(b, odd_b, even_b));
    put(full, v + 5 * point, tail, v_fma(both, d[1], v_fnma(sum, d[3], d[5])));
}

/* The first row of B^T d for one column d[0..5], `row` apart; the last from one row further on. */
INLINE vf x_outer(const float *d, int64_t row)
{
    const vf far = v_fnma(v_set(GRAD_A2 + GRAD_B2), v_load(d + 2 * row), v_load(d + 4 * row));

    return v_fma(v_set(GRAD_A2 * GRAD_B2), v_load(d), far);
}

/* Columns 4 and 5 of a tile are 0 and 1 of the next. */
INLINE void x_outer_run(const evk_grad_tiles *g, const int full, const int last, int64_t t0,
                        int64_t t1)
{
    const int64_t row = g->row, point = g->point, step = g->step;
    const vt tail = v_tail(full ? VL : g->m);
    const float *z = g->z + t0 * 4 * VL + last * row;
    float *v = g->v + t0 * step + 30 * last * point;
    vf d[6];

    d[4] = x_outer(z, row);
    d[5] = x_outer(z + VL, row);
    for (int64_t t = t0; t < t1; t++, z += 4 * VL, v += step) {
        d[0] = d[4];
        d[1] = d[5];
        UNROLL for (int c = 2; c < 6; c++)
            d[c] = x_outer(z + c * VL, row);
        x_points(full, d, v, point, tail);
    }
}

/* The two rows of points +-own. */
INLINE void x_pair(const float *d, int64_t row, vf own, vf other, vf *plus, vf *minus)
{
    const vf even = v_fnma(other, v_load(d + 2 * row), v_load(d + 4 * row));
    const vf odd = v_fnma(other, v_load(d + row), v_load(d + 3 * row));

    *plus = v_fma(own, odd, even);
    *minus = v_fnma(own, odd, even);
}

INLINE void x_pair_run(const evk_grad_tiles *g, const int full, const int second, int64_t t0,
                       int64_t t1)
{
    const int64_t row = g->row, point = g->point, step = g->step;
    const vf own = v_set(second ? EVK_WINO_B : EVK_WINO_A);
    const vf other = v_set(second ? GRAD_A2 : GRAD_B2);
    const vt tail = v_tail(full ? VL : g->m);
    const float *z = g->z + t0 * 4 * VL;
    float *v = g->v + t0 * step + (second ? 18 : 6) * point;
    vf d[2][6];

    UNROLL for (int c = 0; c < 2; c++)
        x_pair(z + c * VL, row, own, other, &d[0][4 + c], &d[1][4 + c]);
    for (int64_t t = t0; t < t1; t++, z += 4 * VL, v += step) {
        UNROLL for (int i = 0; i < 2; i++) {
            d[i][0] = d[i][4];
            d[i][1] = d[i][5];
        }
        UNROLL for (int c = 2; c < 6; c++)
            x_pair(z + c * VL, row, own, other, &d[0][c], &d[1][c]);
        UNROLL for (int i = 0; i < 2; i++)
            x_points(full, d[i], v + i * 6 * point, point, tail);
    }
}

static NOINLINE void x_outer_rows(const evk_grad_tiles *g, int last, int64_t t0, int64_t t1)
{
    if (all_lanes(g))
        x_outer_run(g, 1, last, t0, t1);
    else
        x_outer_run(g, 0, last, t0, t1);
}

static NOINLINE void x_pair_rows(const evk_grad_tiles *g, int second, int64_t t0, int64_t t1)
{
    if (all_lanes(g))
        x_pair_run(g, 1, second, t0, t1);
    else
        x_pair_run(g, 0, second, t0, t1);
}

enum { GRAD_RUN = 8 }; /* tiles whose inputs stay in the first-level cache for four parts */

static void k_grad_x(const evk_grad_tiles *g)
{
    for (int64_t t = 0; t < g->n; t += GRAD_RUN) {
        const int64_t end = EVI_MIN(t + GRAD_RUN, g->n);

        x_outer_rows(g, 0, t, end);
        x_pair_rows(g, 0, t, end);
        x_pair_rows(g, 1, t, end);
        x_outer_rows(g, 1, t, end);
    }
}

/* One row of the left product (4 columns) through A^T, to six points. */
INLINE void dy_points(const int full, const vf y[4], float *v, int64_t point, vt tail)
{
    const vf a = v_set(EVK_WINO_A), b = v_set(EVK_WINO_B);
    const vf a2 = v_set(GRAD_A2), b2 = v_set(GRAD_B2);
    const vf even_a = v_fma(a2, y[2], y[0]), odd_a = v_fma(a2, y[3], y[1]);
    const vf even_b = v_fma(b2, y[2], y[0]), odd_b = v_fma(b2, y[3], y[1]);

    put(full, v, tail, y[0]);
    put(full, v + point, tail, v_fma(a, odd_a, even_a));
    put(full, v + 2 * point, tail, v_fnma(a, odd_a, even_a));
    put(full, v + 3 * point, tail, v_fma(b, odd_b, even_b));
    put(full, v + 4 * point, tail, v_fnma(b, odd_b, even_b));
    put(full, v + 5 * point, tail, y[3]);
}

/* The two rows of points +-p. */
INLINE void dy_pair(const int full, vf y[4][4], const float p, float *v, int64_t point, vt tail)
{
    const vf own = v_set(p), square = v_set(p * p);
    vf plus[4], minus[4];

    UNROLL for (int c = 0; c < 4; c++) {
        const vf even = v_fma(square, y[2][c], y[0][c]), odd = v_fma(square, y[3][c], y[1][c]);

        plus[c] = v_fma(own, odd, even);
        minus[c] = v_fnma(own, odd, even);
    }
    dy_points(full, plus, v, point, tail);
    dy_points(full, minus, v + 6 * point, point, tail);
}

INLINE void dy_tiles(const evk_grad_tiles *g, const int full)
{
    const int64_t row = g->row, point = g->point, step = g->step;
    const vt tail = v_tail(full ? VL : g->m);
    const float *z = g->z;
    float *v = g->v;

    for (int64_t t = g->n; t > 0; t--, z += 4 * VL, v += step) {
        vf y[4][4];

        UNROLL for (int r = 0; r < 4; r++) {
            UNROLL for (int c = 0; c < 4; c++)
                y[r][c] = v_load(z + r * row + c * VL);
        }
        dy_points(full, y[0], v, point, tail);
        dy_pair(full, y, EVK_WINO_A, v + 6 * point, point, tail);
        dy_pair(full, y, EVK_WINO_B, v + 18 * point, point, tail);
        dy_points(full, y[3], v + 30 * point, point, tail);
    }
}

static void k_grad_dy(const evk_grad_tiles *g)
{
    if (all_lanes(g))
        dy_tiles(g, 1);
    else
        dy_tiles(g, 0);
}

/* o = G^T u */
INLINE void end_axis(const vf u[6], vf o[3])
{
    const float na = 1 / (2 * GRAD_A2 * (GRAD_A2 - GRAD_B2));
    const float nb = 1 / (2 * GRAD_B2 * (GRAD_B2 - GRAD_A2));
    const vf sum_a = v_add(u[1], u[2]), gap_a = v_sub(u[1], u[2]);
    const vf sum_b = v_add(u[3], u[4]), gap_b = v_sub(u[3], u[4]);

    o[0] = v_fma(v_set(nb), sum_b,
                 v_fma(v_set(na), sum_a, v_mul(v_set(1 / (GRAD_A2 * GRAD_B2)), u[0])));
    o[1] = v_fma(v_set(nb * EVK_WINO_B), gap_b, v_mul(v_set(na * EVK_WINO_A), gap_a));
    o[2] = v_fma(v_set(nb * GRAD_B2), sum_b, v_fma(v_set(na * GRAD_A2), sum_a, u[5]));
}

static void k_grad_end(int64_t n, const float *u, int64_t point, float *g, int64_t tap)
{
    for (int64_t i = 0; i < n; i += VL) {
        const vt tail = v_tail(n - i < VL ? (int)(n - i) : VL);
        vf left[3][6];

        ROLLED for (int c = 0; c < 6; c++) {
            vf column[6], o[3];

            UNROLL for (int r = 0; r < 6; r++)
                column[r] =
                v_load_t(u + (6 * r + c) * point + i, tail);
            end_axis(column, o);
            UNROLL for (int r = 0; r < 3; r++)
                left[r][c] = o[r];
        }
        ROLLED for (int r = 0; r < 3; r++) {
            vf o[3];

            end_axis(left[r], o);
            UNROLL for (int c = 0; c < 3; c++)
                v_store_t(g + (3 * r + c) * tap + i, tail, o[c]);
        }
    }
}
