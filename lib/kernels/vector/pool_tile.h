/* SPDX-License-Identifier: MIT */
/* Matrix tiles behind which a 2x2 max pool lies: the tile for few rows, half of it the row of the
 * picture above and half the row below, so that the windows are in registers when the sums are
 * done. */

/* m and v (vectors of a row) are constants where this is inlined. */
INLINE void pool_tile_run(const evk_pool_tile *t, const int m, const int v, const int full)
{
    const vt tail = v_tail(full ? VL : t->n - (v - 1) * VL);
    const int64_t down = t->down;
    const float *a = t->a, *b = t->b;
    vf sum[MAX_M][MAX_N];

    UNROLL for (int i = 0; i < m; i++) {
        UNROLL for (int j = 0; j < 2 * v; j++)
            sum[i][j] = v_zero();
    }
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
    /* Copies: the compiler must assume that a store to y could change *t. */
    const float *bias = t->bias;
    const int clip = t->flags & EVK_TILE_CLIP, positive = t->positive, n = t->n / 2;
    const vf lo = v_set(t->lo), hi = v_set(t->hi);
    const int64_t ldy = t->ldy;
    float *y = t->y;
    uint8_t *where = t->where;

    UNROLL for (int i = 0; i < m; i++) {
        const vf shift = bias ? v_set(bias[i]) : v_zero();

        UNROLL for (int j = 0; j < v; j += 2) {
            const int next = j + 1 < v, count = n - j / 2 * VL < VL ? n - j / 2 * VL : VL;
            float *to = y + i * ldy + j / 2 * VL;
            windows w;
            vf best, place;

            v_unzip(sum[i][j], next ? sum[i][j + 1] : v_zero(), &w.v[0], &w.v[1]);
            v_unzip(sum[i][v + j], next ? sum[i][v + j + 1] : v_zero(), &w.v[2], &w.v[3]);
            if (where) {
                uint8_t at[VL], *from = where + i * ldy + j / 2 * VL;

                if (bias) {
                    UNROLL for (int q = 0; q < 4; q++)
                        w.v[q] = v_add(w.v[q], shift);
                }
                pool_step(&w, positive, &best, &place);
                v_to_bytes(count == VL ? from : at, place);
                if (count == VL / 2)
                    memcpy(from, at, VL / 2);
                else if (count < VL)
                    memcpy(from, at, (size_t)count);
            } else {
                best = pool_values(&w, 0);
                best = bias ? v_add(best, shift) : best;
                best = positive ? v_max(v_zero(), best) : best;
            }
            if (clip)
                best = v_min(hi, v_max(lo, best));
            if (count == VL)
                v_store(to, best);
            else
                v_store_t(to, v_tail(count), best);
        }
    }
}

#define POOL_TILE(M, V)                                     \
    static void pool_tile_##M##x##V(const evk_pool_tile *t) \
    {                                                       \
        if (t->n == V * VL)                                 \
            pool_tile_run(t, M, V, 1);                      \
        else                                                \
            pool_tile_run(t, M, V, 0);                      \
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
