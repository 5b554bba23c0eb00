/* SPDX-License-Identifier: MIT */
/* Matrix products: blocking, packing and threads.
 *
 * Two ways.  B stored [n,k]: both operands lie along k, the dot tiles read them in place.  Else:
 * the broadcast tiles, with A packed panel by panel and B packed block by block into the worker's
 * own scratch.  Either way a sum longer than a block is cut at multiples of the block, the parts
 * added in order, so that the bits of an element depend on its row, its column and k alone. */
#include "ops/gemm.h"

#include <math.h>

enum { ROWS_AT_ONCE = 240, DOT_ROWS = 64, DOT_COLUMNS = 24, ACT_PIECE = 16384 };

typedef struct job {
    const evi_kernels *k;
    const evi_gemm_args *g;
    char *scratch;       /* the workers' parts */
    uint64_t part_bytes; /* of each */
    int32_t *off;        /* offsets of rows of B */
    int64_t m_step, n_step, n_blocks;
    bool packs_b;
    int32_t mr, nr;
} job;

static bool is_clip(const evk_act *act)
{
    return act->kind == EVK_ACT_NONE || act->kind == EVK_ACT_RELU || act->kind == EVK_ACT_CLIP;
}

/* What the tiles did not do for a finished block of C: column bias and activation. */
static void finish(const evi_kernels *k, const evi_gemm_args *g, int64_t i0, int64_t m, int64_t j0,
                   int64_t n, bool row_bias, bool act)
{
    if (!g->bias_col && !row_bias && !act)
        return;
    for (int64_t i = i0; i < i0 + m; i++) {
        evi_real *c = g->c + i * g->ldc + j0;
        evi_real shift = row_bias && g->bias_row ? g->bias_row[i] : 0;

        if (g->bias_col)
            k->add(n, c, g->bias_col + j0, c);
        if (act || shift != 0)
            k->act(n, c, shift, &g->act, c);
    }
}

/* ---- both along k ---------------------------------------------------------------------------- */

static void dot_block(const job *j, int64_t i0, int64_t m, int64_t j0, int64_t n, int64_t p,
                      int64_t len)
{
    const evi_gemm_args *g = j->g;
    evk_dot_tile t = {.planes = 1,
                      .rows = 1,
                      .len = len,
                      .lda = g->lda,
                      .off = j->off,
                      .ldc = g->ldc,
                      .flags = p > 0 || g->accumulate ? EVK_TILE_ADD : 0};

    for (int64_t i = 0; i < m; i += t.m) {
        t.m = (int32_t)EVI_MIN(j->mr, m - i);
        t.a = g->a + (i0 + i) * g->lda + p;
        for (int64_t q = 0; q < n; q += t.n) {
            t.n = (int32_t)EVI_MIN(j->nr, n - q);
            t.b = g->b + (j0 + q) * g->ldb + p;
            t.c = g->c + (i0 + i) * g->ldc + j0 + q;
            j->k->dot_tile(&t);
        }
    }
}

static void dot_task(void *arg, int64_t task, int32_t worker)
{
    const job *j = arg;
    const evi_gemm_args *g = j->g;
    const int64_t i0 = task / j->n_blocks * j->m_step, j0 = task % j->n_blocks * j->n_step;
    const int64_t m = EVI_MIN(j->m_step, g->m - i0), n = EVI_MIN(j->n_step, g->n - j0);
    const int64_t len = j->k->dot_len;
    /* Few rows of A: stay with a few rows of B to their end, since memory then limits and likes
     * long runs.  Many: stay with a length that keeps the block of B in the cache. */
    const int64_t n_at_once = m <= j->mr ? j->nr : n;

    (void)worker;
    for (int64_t q = 0; q < n; q += n_at_once) {
        int64_t w = EVI_MIN(n_at_once, n - q), p = 0;

        do { /* once even when k is 0 */
            dot_block(j, i0, m, j0 + q, w, p, EVI_MIN(len, g->k - p));
            p += len;
        } while (p < g->k);
    }
    finish(j->k, g, i0, m, j0, n, true, g->act.kind != EVK_ACT_NONE);
}

static void run_dot(evi_crew *crew, job *j)
{
    const evi_gemm_args *g = j->g;
    const bool few = g->m <= j->k->dot_few_mr;

    j->mr = few ? j->k->dot_few_mr : j->k->dot_mr;
    j->nr = few ? j->k->dot_few_nr : j->k->dot_nr;
    j->m_step = EVI_MIN(DOT_ROWS, g->m);
    j->n_step = DOT_COLUMNS;
    while (j->n_step * 64 < g->n)
        j->n_step *= 2;
    j->n_blocks = (g->n + j->n_step - 1) / j->n_step;
    for (int32_t i = 0; i < j->nr; i++)
        j->off[i] = (int32_t)(i * g->ldb);
    evi_parallel(crew, (g->m + j->m_step - 1) / j->m_step * j->n_blocks, dot_task, j);
}

/* ---- broadcast tiles ------------------------------------------------------------------------- */

static void pack_a(const job *j, int64_t i, int64_t m, int64_t p, int64_t len, evi_real *to)
{
    const evi_gemm_args *g = j->g;

    if (g->trans_a)
        j->k->copy_rows(len, m, g->a + p * g->lda + i, g->lda, to, j->mr);
    else
        j->k->transpose(m, len, g->a + i * g->lda + p, g->lda, to, j->mr);
}

static void pack_b(const job *j, int64_t j0, int64_t n, int64_t p, int64_t len, evi_real *to)
{
    const evi_gemm_args *g = j->g;

    for (int64_t q = 0; q < n; q += j->nr, to += len * j->nr) {
        int64_t w = EVI_MIN(j->nr, n - q);

        if (g->trans_b)
            j->k->transpose(w, len, g->b + (j0 + q) * g->ldb + p, g->ldb, to, j->nr);
        else
            j->k->copy_rows(len, w, g->b + p * g->ldb + j0 + q, g->ldb, to, j->nr);
    }
}

static void tile_block(const job *j, evk_tile *t, const evi_real *b, evi_real *panel, int64_t i0,
                       int64_t m, int64_t j0, int64_t n, int64_t p)
{
    const evi_gemm_args *g = j->g;
    const bool last = p + t->k >= g->k;
    const int32_t flags = p > 0 || g->accumulate ? EVK_TILE_ADD : 0;

    t->flags = flags;
    if (last && !g->bias_col && is_clip(&g->act) && g->act.kind != EVK_ACT_NONE)
        t->flags |= EVK_TILE_CLIP;
    for (int64_t i = 0; i < m; i += t->m) {
        t->m = (int32_t)EVI_MIN(j->mr, m - i);
        pack_a(j, i0 + i, t->m, p, t->k, panel);
        t->a = panel;
        t->bias = last && g->bias_row ? g->bias_row + i0 + i : NULL;
        for (int64_t q = 0; q < n; q += t->n) {
            t->n = (int32_t)EVI_MIN(j->nr, n - q);
            t->b = j->packs_b ? b + q * t->k : b + q;
            t->c = g->c + (i0 + i) * g->ldc + j0 + q;
            j->k->tile(t);
        }
    }
}

static void tile_task(void *arg, int64_t task, int32_t worker)
{
    const job *j = arg;
    const evi_gemm_args *g = j->g;
    const int64_t i0 = task / j->n_blocks * j->m_step, j0 = task % j->n_blocks * j->n_step;
    const int64_t m = EVI_MIN(j->m_step, g->m - i0), n = EVI_MIN(j->n_step, g->n - j0);
    evi_real *panel = (evi_real *)(void *)(j->scratch + (uint64_t)worker * j->part_bytes);
    evi_real *block = panel + (int64_t)j->k->mr * j->k->kc;
    evk_tile t = {.a_step = j->mr, .off = j->off, .ldc = g->ldc};
    int64_t p = 0;

    t.lo = g->act.kind == EVK_ACT_CLIP ? g->act.a : 0;
    t.hi = g->act.kind == EVK_ACT_CLIP ? g->act.b : (evi_real)INFINITY;
    do { /* once even when k is 0 */
        t.k = EVI_MIN(j->k->kc, g->k - p);
        if (j->packs_b)
            pack_b(j, j0, n, p, t.k, block);
        tile_block(j, &t, j->packs_b ? block : g->b + p * g->ldb + j0, panel, i0, m, j0, n, p);
        p += t.k;
    } while (p < g->k);
    finish(j->k, g, i0, m, j0, n, false,
           g->act.kind != EVK_ACT_NONE && (g->bias_col || !is_clip(&g->act)));
}

static void run_tiles(evi_crew *crew, job *j)
{
    const evi_gemm_args *g = j->g;
    const bool few = g->m <= j->k->few_mr;

    j->mr = few ? j->k->few_mr : j->k->mr;
    j->nr = few ? j->k->few_nr : j->k->nr;
    /* One panel of A uses each value of B once: a copy would gain nothing. */
    j->packs_b = g->trans_b || g->m > j->mr || g->ldb > INT32_MAX / j->k->kc;
    j->m_step = EVI_MIN(ROWS_AT_ONCE, g->m);
    j->n_step = EVI_MIN(j->k->nc, g->n);
    j->n_blocks = (g->n + j->n_step - 1) / j->n_step;
    for (int32_t p = 0; p < j->k->kc; p++)
        j->off[p] = (int32_t)(p * (j->packs_b ? j->nr : g->ldb));
    evi_parallel(crew, (g->m + j->m_step - 1) / j->m_step * j->n_blocks, tile_task, j);
}

/* ---- outside --------------------------------------------------------------------------------- */

static uint64_t head_bytes(const evi_kernels *k)
{
    return evi_round_up(sizeof(int32_t) * (uint64_t)EVI_MAX(k->kc, k->dot_few_nr), EVI_ALIGN);
}

static uint64_t part_bytes(const evi_kernels *k)
{
    return evi_round_up(sizeof(evi_real) * (uint64_t)k->kc * (uint64_t)(k->mr + k->nc), EVI_ALIGN);
}

uint64_t evi_gemm_scratch_bytes(const evi_kernels *k, int64_t m, int64_t n, int64_t depth,
                                bool trans_a, bool trans_b, int32_t n_workers)
{
    (void)m;
    (void)n;
    (void)depth;
    if (trans_b && !trans_a)
        return head_bytes(k);
    return head_bytes(k) + (uint64_t)n_workers * part_bytes(k);
}

void evi_gemm(evi_crew *crew, const evi_kernels *k, const evi_gemm_args *g, void *scratch)
{
    job j = {.k = k, .g = g, .off = scratch, .part_bytes = part_bytes(k)};

    if (g->m <= 0 || g->n <= 0)
        return;
    j.scratch = (char *)scratch + head_bytes(k);
    if (g->trans_b && !g->trans_a && g->ldb <= INT32_MAX / k->dot_few_nr)
        run_dot(crew, &j);
    else
        run_tiles(crew, &j);
}

/* ---- long vectors ---------------------------------------------------------------------------- */

typedef struct act_job {
    const evi_kernels *k;
    int64_t n;
    const evi_real *x, *y, *dy;
    evi_real *out;
    const evk_act *act;
    bool add;
} act_job;

static void act_task(void *arg, int64_t task, int32_t worker)
{
    const act_job *j = arg;
    const int64_t i = task * ACT_PIECE, n = EVI_MIN(ACT_PIECE, j->n - i);

    (void)worker;
    if (!j->dy)
        j->k->act(n, j->x + i, 0, j->act, j->out + i);
    else
        j->k->act_back(n, j->x ? j->x + i : NULL, j->y ? j->y + i : NULL, j->dy + i, j->act,
                       j->out + i, j->add);
}

void evi_act_forward(evi_crew *crew, const evi_kernels *k, int64_t n, const evi_real *x,
                     const evk_act *act, evi_real *y)
{
    act_job j = {.k = k, .n = n, .x = x, .out = y, .act = act};

    evi_parallel(crew, (n + ACT_PIECE - 1) / ACT_PIECE, act_task, &j);
}

void evi_act_backward(evi_crew *crew, const evi_kernels *k, int64_t n, const evi_real *x,
                      const evi_real *y, const evi_real *dy, const evk_act *act, evi_real *dx,
                      bool add)
{
    act_job j = {.k = k, .n = n, .x = x, .y = y, .dy = dy, .out = dx, .act = act, .add = add};

    evi_parallel(crew, (n + ACT_PIECE - 1) / ACT_PIECE, act_task, &j);
}
