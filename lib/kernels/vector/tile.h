/* SPDX-License-Identifier: MIT */
/* Matrix tiles over vectors: the text that each instruction set compiles.
 *
 * Needs the words of the including file: VL floats in a vf, vt for a tail of less, v_*, and
 * TILE_M x TILE_N vectors for the full tile, FEW_M x FEW_N for few rows (the same for DOT_*).
 * The number of accumulators M * N is what the register file holds beside N vectors of b and one
 * of a: 24 of 32 registers, 12 of 16.  24 chains (12) also cover the latency of the multiply-add:
 * 4 cycles times 2 a cycle need 8. */

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define ROLLED _Pragma("clang loop unroll(disable)")
#define NOINLINE __attribute__((noinline))
#else
#define UNROLL _Pragma("GCC unroll 8")
#define NOINLINE __attribute__((noinline, noclone))
#define ROLLED _Pragma("GCC unroll 1") /* where full unrolling brings length, not speed */
#endif
#define INLINE static inline __attribute__((always_inline))

#define MAX_M 8
#define MAX_N 6

/* m and n are constants where this is inlined, so that sum[][] lives in registers. */
INLINE void tile_sums(const evk_tile *t, const int m, const int n, const int full, vt tail,
                      vf (*sum)[MAX_N])
{
    const float *a = t->a, *b = t->b;

    for (int64_t p = 0; p < t->k; p++) {
        const float *row = b + t->off[p];
        vf bv[MAX_N];

        UNROLL for (int j = 0; j < n - 1; j++)
            bv[j] = v_load(row + j * VL);
        bv[n - 1] = full ? v_load(row + (n - 1) * VL) : v_load_t(row + (n - 1) * VL, tail);
        UNROLL for (int i = 0; i < m; i++) {
            const vf av = v_held(v_set(a[i]));

            UNROLL for (int j = 0; j < n; j++)
                sum[i][j] = v_fma(av, bv[j], sum[i][j]);
        }
        a += t->a_step;
    }
}

INLINE void tile_run(const evk_tile *t, const int m, const int n)
{
    const vt tail = v_tail(t->n - (n - 1) * VL);
#ifdef TILE_TAIL_APART
    const int full = t->n == n * VL;
#else
    const int full = 0;
#endif
    vf sum[MAX_M][MAX_N];

    UNROLL for (int i = 0; i < m; i++) {
        UNROLL for (int j = 0; j < n; j++)
            sum[i][j] = v_zero();
    }
    if (full)
        tile_sums(t, m, n, 1, tail, sum);
    else
        tile_sums(t, m, n, 0, tail, sum);
    /* Copies: the compiler must assume that a store to c could change *t. */
    const int32_t flags = t->flags;
    const float *bias = t->bias;
    const vf lo = v_set(t->lo), hi = v_set(t->hi);
    const int64_t ldc = t->ldc;
    float *c = t->c;

    UNROLL for (int i = 0; i < m; i++, c += ldc) {
        float *last = c + (n - 1) * VL;

        if (flags & EVK_TILE_ADD) {
            UNROLL for (int j = 0; j < n - 1; j++)
                sum[i][j] = v_add(v_load(c + j * VL), sum[i][j]);
            sum[i][n - 1] = v_add(full ? v_load(last) : v_load_t(last, tail), sum[i][n - 1]);
        }
        if (bias) {
            const vf shift = v_set(bias[i]);

            UNROLL for (int j = 0; j < n; j++)
                sum[i][j] = v_add(sum[i][j], shift);
        }
        if (flags & EVK_TILE_CLIP) {
            UNROLL for (int j = 0; j < n; j++)
                sum[i][j] = v_min(hi, v_max(lo, sum[i][j]));
        }
        UNROLL for (int j = 0; j < n - 1; j++)
            v_store(c + j * VL, sum[i][j]);
        if (full)
            v_store(last, sum[i][n - 1]);
        else
            v_store_t(last, tail, sum[i][n - 1]);
    }
}

/* The lanes of the m x n sums, together for all shapes. */
static NOINLINE void dot_end(const evk_dot_tile *t, const vf *sum)
{
    const int32_t n = t->n, count = t->m * n;
    const int add = t->flags & EVK_TILE_ADD;
    const int64_t on = t->ldc - n; /* from the end of a row to the next */
    float lanes[MAX_M * MAX_N], *c = t->c;

    for (int32_t q = 0; q < count; q += 4)
        v_sum4(sum + q, lanes + q);
    for (int32_t q = 0, j = 0; q < count; q++, c++) {
        *c = add ? *c + lanes[q] : lanes[q];
        if (++j == n) {
            j = 0;
            c += on;
        }
    }
}

/* One vector of terms, the last of a row with fewer lanes. */
INLINE void dot_step(const int m, const int n, const int whole, vt tail, int64_t lda,
                     const float *const *ap, const float *const *bp, vf (*sum)[MAX_N])
{
    vf bv[MAX_N];

    UNROLL for (int j = 0; j < n; j++)
        bv[j] = whole ? v_load(bp[j]) : v_load_t(bp[j], tail);
    UNROLL for (int i = 0; i < m; i++) {
        const float *at = ap[i / 3] + i % 3 * lda;
        const vf av = v_held(whole ? v_load(at) : v_load_t(at, tail));

        UNROLL for (int j = 0; j < n; j++)
            sum[i][j] = v_fma(av, bv[j], sum[i][j]);
    }
}

INLINE void dot_run(const evk_dot_tile *t, const int m, const int n)
{
    const int64_t whole = t->len / VL * VL;
    const int rest = (int)(t->len - whole);
    const vt tail = v_tail(rest ? rest : 1);
    const int64_t lda = t->lda, n_rows = t->planes * t->rows;
    const int64_t a_next = t->a_plane - (t->rows - 1) * t->a_step;
    const int64_t b_next = t->b_plane - (t->rows - 1) * t->b_step;
    const float *a = t->a, *b = t->b;
    vf sum[MAX_M][MAX_N], all[MAX_M * MAX_N];

    UNROLL for (int i = 0; i < m; i++) {
        UNROLL for (int j = 0; j < n; j++)
            sum[i][j] = v_zero();
    }
    for (int64_t q = 0, r = 0; q < n_rows; q++) {
        /* Every third row has a pointer; the two after it are reached by one and two times lda, as
         * the addressing modes can.  Eight pointers and the b's would not fit the registers. */
        const float *ap[(MAX_M + 2) / 3], *bp[MAX_N];

        UNROLL for (int i = 0; i < m; i += 3)
            ap[i / 3] = a + i * lda;
        UNROLL for (int j = 0; j < n; j++)
            bp[j] = b + t->off[j];
        for (int64_t x = whole; x > 0; x -= VL) {
            dot_step(m, n, 1, tail, lda, ap, bp, sum);
            UNROLL for (int j = 0; j < n; j++)
                bp[j] += VL;
            UNROLL for (int i = 0; i < m; i += 3)
                ap[i / 3] += VL;
        }
        if (rest)
            dot_step(m, n, 0, tail, lda, ap, bp, sum);
        if (++r < t->rows) {
            a += t->a_step;
            b += t->b_step;
        } else { /* on to the next plane */
            r = 0;
            a += a_next;
            b += b_next;
        }
    }
    UNROLL for (int i = 0; i < m; i++) {
        UNROLL for (int j = 0; j < n; j++)
            all[i * n + j] = sum[i][j];
    }
    UNROLL for (int q = m * n; q % 4 != 0; q++)
        all[q] = v_zero();
    dot_end(t, all);
}

/* One function per tile shape.  Where a masked load costs a register (TILE_TAIL_APART) the full
 * width has a loop of its own. */
#define TILE(M, N)                                \
    static void tile_##M##x##N(const evk_tile *t) \
    {                                             \
        tile_run(t, M, N);                        \
    }
#define DOT(M, N)                                    \
    static void dot_##M##x##N(const evk_dot_tile *t) \
    {                                                \
        dot_run(t, M, N);                            \
    }
#define TILE3(M) TILE(M, 1) TILE(M, 2) TILE(M, 3) DOT(M, 1) DOT(M, 2) DOT(M, 3)
#define TILE6(M) TILE3(M) TILE(M, 4) TILE(M, 5) TILE(M, 6) DOT(M, 4) DOT(M, 5) DOT(M, 6)
#define NAME3(P, M) P##M##x1, P##M##x2, P##M##x3
#define NAME6(P, M) NAME3(P, M), P##M##x4, P##M##x5, P##M##x6

#if TILE_M == 8
TILE6(1) TILE6(2) TILE6(3) TILE6(4) TILE3(5) TILE3(6) TILE3(7) TILE3(8)
#define NAMES(P)                                                                        \
    {NAME6(P, 1)}, {NAME6(P, 2)}, {NAME6(P, 3)}, {NAME6(P, 4)}, {NAME3(P, 5)}, {NAME3(P, 6)}, \
    {NAME3(P, 7)}, {NAME3(P, 8)}
#else
TILE6(1) TILE6(2) TILE3(3) TILE3(4)
#define NAMES(P) {NAME6(P, 1)}, {NAME6(P, 2)}, {NAME3(P, 3)}, {NAME3(P, 4)}
#endif

static void tile(const evk_tile *t)
{
    static void (*const run[TILE_M][MAX_N])(const evk_tile *) = {NAMES(tile_)};

    run[t->m - 1][(t->n - 1) / VL](t);
}

static void dot_tile(const evk_dot_tile *t)
{
    static void (*const run[TILE_M][MAX_N])(const evk_dot_tile *) = {NAMES(dot_)};

    run[t->m - 1][t->n - 1](t);
}
