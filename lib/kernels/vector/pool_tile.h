/* SPDX-License-Identifier: MIT */
/* Matrix tiles behind which a 2x2 max pool lies: the tile for few rows, half of it the row of the
 * picture above and half the row below, so that the windows are in registers when the sums are
 * done. */

/* The windows of the sums of v vectors for the upper row and v for the lower, channel by channel:
 * values and places. */
static NOINLINE void pool_tile_where(const evk_pool_tile *t, const vf *sum)
{
    const evk_pool_tile own = *t;
    const int v = (own.n + VL - 1) / VL;

    for (int i = 0; i < own.m; i++, sum += 2 * v) {
        const vf shift = own.bias ? v_set(own.bias[i]) : v_zero();

        for (int j = 0; j < v; j += 2) {
            const int next = j + 1 < v, n = own.n / 2 - j / 2 * VL;
            uint8_t at[VL], *to = own.where + i * own.ldy + j / 2 * VL;
            windows w;
            vf best, place;

            v_unzip(sum[j], next ? sum[j + 1] : v_zero(), &w.v[0], &w.v[1]);
            v_unzip(sum[v + j], next ? sum[v + j + 1] : v_zero(), &w.v[2], &w.v[3]);
            UNROLL for (int q = 0; q < 4; q++)
                w.v[q] = own.bias ? v_add(w.v[q], shift) : w.v[q];
            pool_step(&w, own.positive, &best, &place);
            v_to_bytes(n >= VL ? to : at, place);
            if (n == VL / 2)
                memcpy(to, at, VL / 2);
            else if (n < VL)
                memcpy(to, at, (size_t)n);
            if (own.flags & EVK_TILE_CLIP)
                best = v_min(v_set(own.hi), v_max(v_set(own.lo), best));
            if (n >= VL)
                v_store(own.y + i * own.ldy + j / 2 * VL, best);
            else
                v_store_t(own.y + i * own.ldy + j / 2 * VL, v_tail(n), best);
        }
    }
}

/* The values alone, as inference wants them: short enough to be where the sums are.  What is not
 * asked for is done with values that change nothing. */
INLINE void pool_tile_values(const evk_pool_tile *t, const int m, const int v, vf (*sum)[MAX_N])
{
    static const float none[MAX_M] = {-0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f};
    const float *bias = t->bias ? t->bias : none;
    const int clip = t->flags & EVK_TILE_CLIP, rest = t->n / 2 - (v - 1) / 2 * VL;
    const float least = clip ? t->lo : -INFINITY;
    const vf lo = v_set(t->positive && !(least > 0) ? 0 : least);
    const vf hi = v_set(clip ? t->hi : INFINITY);
    const vt tail = v_tail(rest);
    const int64_t ldy = t->ldy;
    float *y = t->y;

    UNROLL for (int i = 0; i < m; i++, y += ldy) {
        const vf shift = v_set(bias[i]);

        UNROLL for (int j = 0; j < v; j += 2) {
            const int next = j + 1 < v;
            windows w;
            vf best;

            v_unzip(sum[i][j], next ? sum[i][j + 1] : v_zero(), &w.v[0], &w.v[1]);
            v_unzip(sum[i][v + j], next ? sum[i][v + j + 1] : v_zero(), &w.v[2], &w.v[3]);
            best = v_min(hi, v_max(lo, v_add(pool_values(&w, 0), shift)));
            if (j + 2 < v || (next && rest == VL))
                v_store(y + j / 2 * VL, best);
            else
                v_store_t(y + j / 2 * VL, tail, best);
        }
    }
}

/* m and v (vectors of a row) are constants where this is inlined. */
INLINE void pool_tile_sums(const evk_pool_tile *t, const int m, const int v, const int full,
                           vf (*sum)[MAX_N])
{
    const vt tail = v_tail(full ? VL : t->n - (v - 1) * VL);
    const int64_t down = t->down;
    const float *a = t->a, *b = t->b;

    for (int64_t p = 0; p < t->k; p++) {
        const float *row = b + t->off[p];
        vf bv[MAX_N];

        UNROLL for (int j = 0; j < 2 * v; j++) {
            const float *at = row + (j < v ? j * VL : down + (j - v) * VL);

            bv[j] = full || j % v < v - 1 ? v_load(at) : v_load_t(at, tail);
        }
        UNROLL for (int i = 0; i < m; i++) {
            const vf av = v_held(v_set(a[i]));

            UNROLL for (int j = 0; j < 2 * v; j++)
                sum[i][j] = v_fma(av, bv[j], sum[i][j]);
        }
        a += t->a_step;
    }
}

INLINE void pool_tile_run(const evk_pool_tile *t, const int m, const int v)
{
    vf sum[MAX_M][MAX_N], all[MAX_M * MAX_N];

    UNROLL for (int i = 0; i < m; i++) {
        UNROLL for (int j = 0; j < 2 * v; j++)
            sum[i][j] = v_zero();
    }
    if (t->n == v * VL)
        pool_tile_sums(t, m, v, 1, sum);
    else
        pool_tile_sums(t, m, v, 0, sum);
    if (t->where) {
        UNROLL for (int i = 0; i < m; i++) {
            UNROLL for (int j = 0; j < 2 * v; j++)
                all[i * 2 * v + j] = sum[i][j];
        }
        pool_tile_where(t, all);
    } else {
        pool_tile_values(t, m, v, sum);
    }
}

#define POOL_TILE(M, V)                                     \
    static void pool_tile_##M##x##V(const evk_pool_tile *t) \
    {                                                       \
        pool_tile_run(t, M, V);                             \
    }
#define POOL_TILES(M) POOL_TILE(M, 1) POOL_TILE(M, 2) POOL_TILE(M, 3)

#if FEW_M == 4
POOL_TILES(1) POOL_TILES(2) POOL_TILES(3) POOL_TILES(4)
#define POOL_NAMES \
    {NAME3(pool_tile_, 1)}, {NAME3(pool_tile_, 2)}, {NAME3(pool_tile_, 3)}, {NAME3(pool_tile_, 4)}
#else
POOL_TILES(1) POOL_TILES(2)
#define POOL_NAMES {NAME3(pool_tile_, 1)}, {NAME3(pool_tile_, 2)}
#endif

static void pool_tile(const evk_pool_tile *t)
{
    static void (*const run[FEW_M][3])(const evk_pool_tile *) = {POOL_NAMES};

    run[t->m - 1][(t->n - 1) / VL](t);
}
