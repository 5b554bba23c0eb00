/* SPDX-License-Identifier: MIT */
/* Winograd convolution, forward and the gradient of the input: the same but for the weights, which
 * the gradient takes turned and with the channels exchanged.
 *
 *     U [36 points][channel][output]   weights, transformed once
 *     V [36 points][channel][tile]     the input of a group of tiles: as many as a product is wide
 *     M [36 points][output][tile]      36 products U V, some outputs at a time
 *
 * The lanes are tiles, counted through rows and pictures.  A block is a few groups of them, so that
 * U, which may be larger than the caches, is read once for all.  A product goes through the
 * channels in parts so short that a group's V stays in the first-level cache for all outputs.  With
 * many blocks a task is a block; with few, the workers share a stage of blocks: first its channels,
 * then its outputs.
 *
 * An output is one chain of sums, cut at the same places for any block: its bits do not depend on
 * the number of pictures or threads. */
#include "ops/winograd_weights.h"

#include <math.h>
#include <string.h>

enum {
    POINTS = EVK_WINO_POINTS,
    MAX_WIDE = 16,
    WEIGHTS_AT_ONCE = 16, /* channels */
    FAR_VALUES = 1 << 20, /* more of U than a second-level cache keeps */
    DEPTH = 128,          /* channels of a part of a chain: decides bits */
    GROUPS = 3,           /* of a block */
    M_BLOCK = 64          /* outputs of M, a multiple of `wide` */
};

typedef struct job {
    const evi_kernels *k;
    const evi_conv_shape *s;
    const evi_conv_end *end;
    int32_t pass;
    int64_t channels, outputs;
    int64_t in_h, in_w, out_h, out_w; /* planes of the correlation, before any pool */
    int64_t pad_y, pad_x;
    int64_t row_tiles, tile_rows; /* of a picture */
    int64_t tiles;                /* of all pictures */
    int64_t group, block, blocks; /* tiles of a group, of a block; blocks */
    int64_t widest;               /* tiles of a block at most, for any number of workers */
    bool even;                    /* blocks share out well */
    int64_t ldv, ldm;             /* values between channels of V and outputs of M */
    int64_t v_step, m_step;       /* values between points */
    int64_t wide, m_block, m_all; /* outputs of a panel, of M, of all panels */
    int64_t v_bytes, m_bytes, rows_bytes;
    const evi_real *in, *w, *u;
    const uint8_t *where;
    evi_real *pack_to, *out;
    int32_t *off;
    char *v, *own; /* V of each block of a stage, and each worker's M and rows */
    /* a stage shared by all workers */
    int64_t first_block, stage_blocks, part, parts;
} job;

/* A line of the cache more than it is long: at a distance of whole pages all points would share a
 * set of the cache. */
static int64_t apart(int64_t n)
{
    return (int64_t)evi_round_up((uint64_t)n, 16) + 16;
}

/* ---- plan: numbers only ---------------------------------------------------------------------- */

static void set_shape(job *j, const evi_kernels *k, const evi_conv_shape *s, int32_t pass)
{
    const bool forward = pass == EVI_CONV_FORWARD;

    memset(j, 0, sizeof(*j));
    j->k = k;
    j->s = s;
    j->pass = pass;
    j->channels = forward ? s->c_in : s->c_out;
    j->outputs = forward ? s->c_out : s->c_in;
    j->in_h = forward ? s->h : s->out_h;
    j->in_w = forward ? s->w : s->out_w;
    j->out_h = forward ? s->out_h : s->h;
    j->out_w = forward ? s->out_w : s->w;
    j->pad_y = forward ? s->pad_top : 2 - s->pad_top;
    j->pad_x = forward ? s->pad_left : 2 - s->pad_left;
    j->wide = evi_div_up(k->lanes, k->mr) * k->mr;
    j->m_all = evi_div_up(j->outputs, j->wide) * j->wide;
    j->m_block = EVI_MIN(j->m_all, M_BLOCK);
}

/* U: [block of outputs][point][part of the channels][panel][channel][output] */
static int64_t u_step(const job *j, int64_t m0)
{
    return apart(EVI_MIN(j->m_block, j->m_all - m0 / j->m_block * j->m_block) * j->channels);
}

static int64_t u_at(const job *j, int64_t m0, int64_t c0)
{
    const int64_t first = m0 / j->m_block * j->m_block, c1 = c0 / DEPTH * DEPTH;
    const int64_t rows = EVI_MIN(j->m_block, j->m_all - first);

    return first / j->m_block * POINTS * apart(j->m_block * j->channels) + rows * c1 +
           (m0 - first) / j->wide * j->wide * EVI_MIN(DEPTH, j->channels - c1) +
           (c0 - c1) * j->wide + m0 % j->wide;
}

/* What n columns of a product cost, in vectors: narrow tiles wait for loads. */
static double width_cost(const evi_kernels *k, int64_t n)
{
    const int64_t vectors = evi_div_up(n, k->lanes), most = k->nr / k->lanes, rest = vectors % most;
    return (double)vectors + (rest ? 0.25 : 0);
}

/* How much longer the busiest of the workers works than if all had the same. */
static double imbalance(int64_t rows, int64_t rows_of_block, int64_t n_workers)
{
    const int64_t rounds = evi_div_up(evi_div_up(rows, rows_of_block), n_workers);
    return n_workers == 1 ? 1 : (double)(rounds * n_workers * rows_of_block) / (double)rows;
}

/* Many channels: a group is as wide as a product and its V short enough for the first-level cache.
 * Few: whole rows, as many as fill the vectors best and share out well.  No cut changes bits. */
static void set_groups(job *j, int64_t n_workers)
{
    const int64_t most = 3 * j->k->nr, rows = j->s->n * j->tile_rows;

    if (j->channels > DEPTH || j->row_tiles > most) {
        j->group = j->k->nr;
        j->widest = EVI_MIN(GROUPS, evi_div_up(j->tiles, j->group)) * j->group;
        j->block = j->widest;
        return;
    }
    double best = 1e9;

    for (int64_t i = 1; i <= rows && i * j->row_tiles <= most; i++) {
        const double uneven = imbalance(rows, i, n_workers);
        j->widest = i * j->row_tiles;
        const double cost = uneven * (width_cost(j->k, j->widest) + 0.5) / (double)j->widest;

        if (cost < best) {
            best = cost;
            j->group = j->widest;
            j->even = uneven <= 1.25;
        }
    }
    j->block = j->group;
}

/* Sizes of scratch hold for all numbers of workers. */
static void set_sizes(job *j, const evi_kernels *k, const evi_conv_shape *s, int32_t pass,
                      int32_t n_workers)
{
    set_shape(j, k, s, pass);
    j->row_tiles = evi_div_up(j->out_w, 4);
    j->tile_rows = evi_div_up(j->out_h, 4);
    j->tiles = s->n * j->tile_rows * j->row_tiles;
    set_groups(j, n_workers);
    j->blocks = evi_div_up(j->tiles, j->block);
    j->ldv = evi_div_up(j->group, k->lanes) * k->lanes;
    j->v_step = apart(j->channels * j->ldv);
    j->ldm = evi_div_up(j->block, k->lanes) * k->lanes;
    j->m_step = apart(j->m_block * j->ldm);
    const int64_t wide = evi_div_up(j->widest, k->lanes) * k->lanes, groups = j->block / j->group;
    const int64_t v = groups > 1 ? j->v_step * groups : apart(j->channels * wide);
    j->v_bytes = (int64_t)sizeof(evi_real) * POINTS * v;
    j->m_bytes = (int64_t)sizeof(evi_real) * POINTS * apart(j->m_block * wide);
    if (s->pooled) {
        const int64_t row = pass == EVI_CONV_FORWARD ? 4 * 4 * j->row_tiles : 8 * j->in_w;

        j->rows_bytes = (int64_t)evi_round_up(sizeof(evi_real) * (uint64_t)row, EVI_ALIGN);
    }
}

/* Multiply-adds of both ways, each in the measure of what it takes beside a direct convolution's.
 * The transforms of a tile and a channel cost as much as TRANSFORMS multiply-adds each. */
static bool is_faster(const evi_kernels *k, const evi_conv_shape *s, int32_t pass)
{
    enum { TRANSFORMS = 350, FEW_COLUMNS = 12 /* fewer wait for U */ };
    job j;

    set_shape(&j, k, s, pass);
    const int64_t rows = evi_div_up(j.out_h, 4), row = evi_div_up(j.out_w, 4);
    const int64_t columns = EVI_MAX(evi_div_up(rows * row, k->lanes) * k->lanes, FEW_COLUMNS);
    const double products = (double)columns * POINTS;
    const double lanes = (double)(rows * evi_div_up(row, k->lanes) * k->lanes) * TRANSFORMS;
    const double pair = (double)(j.channels * j.outputs);
    const double wino = products * pair + lanes * (double)(j.channels + j.outputs);

    return 1.2 * wino < 9.0 * (double)(j.out_h * j.out_w) * pair;
}

bool evi_winograd_fits(const evi_kernels *k, const evi_conv_shape *s, int32_t pass)
{
    if (pass == EVI_CONV_BACK_WEIGHTS)
        return evi_winograd_weights_fits(k, s);
    return !s->precise && s->kh == 3 && s->kw == 3 && s->stride_h == 1 && s->stride_w == 1 &&
           s->dilation_h == 1 && s->dilation_w == 1 && s->groups == 1 && s->pad_top <= 2 &&
           s->pad_left <= 2 && s->pad_bottom <= 2 && s->pad_right <= 2 && is_faster(k, s, pass);
}

/* ---- weights --------------------------------------------------------------------------------- */

/* A panel of outputs for some channels. */
static void pack_task(void *arg, int64_t task, int32_t worker)
{
    const job *j = arg;
    const int64_t cuts = evi_div_up(j->channels, WEIGHTS_AT_ONCE), wide = j->wide;
    const int64_t m0 = task / cuts * wide, c0 = task % cuts * WEIGHTS_AT_ONCE;
    const int64_t n = EVI_MIN(WEIGHTS_AT_ONCE, j->channels - c0);
    const int64_t m = EVI_MIN(wide, j->outputs - m0);
    evi_real taps[9 * WEIGHTS_AT_ONCE * MAX_WIDE];
    evk_wino_weights a = {.count = n,
                          .n = wide,
                          .g = taps,
                          .ldg = wide,
                          .g_next = 9 * wide,
                          .u = j->pack_to + u_at(j, m0, c0),
                          .step = u_step(j, m0),
                          .u_next = wide,
                          .far = POINTS * j->channels * j->outputs > FAR_VALUES};

    (void)worker;
    memset(taps, 0, m < wide ? sizeof(taps) : 0);
    if (j->pass == EVI_CONV_FORWARD) {
        j->k->transpose(m, 9 * n, j->w + (m0 * j->channels + c0) * 9, 9 * j->channels, taps, wide);
    } else {
        a.g = taps + 8 * wide;
        a.ldg = -wide;
        for (int64_t c = 0; c < n; c++) {
            const evi_real *from = j->w + ((c0 + c) * j->outputs + m0) * 9;

            if (c + 2 < n) { /* farther off than the processor foresees */
                for (int64_t i = 0; i < 9 * m; i += 64 / (int64_t)sizeof(evi_real))
                    __builtin_prefetch(from + 2 * 9 * j->outputs + i);
            }
            j->k->transpose(m, 9, from, 9, taps + c * 9 * wide, wide);
        }
    }
    j->k->wino_weights(&a);
}

static void pack_all(evi_crew *crew, job *j, const evi_real *w, evi_real *to)
{
    j->w = w;
    j->pack_to = to;
    evi_parallel(crew, evi_div_up(j->outputs, j->wide) * evi_div_up(j->channels, WEIGHTS_AT_ONCE),
                 pack_task, j);
}

uint64_t evi_winograd_pack_bytes(const evi_kernels *k, const evi_conv_shape *s, int32_t pass)
{
    job j;

    set_shape(&j, k, s, pass);
    return sizeof(evi_real) * POINTS *
           (uint64_t)(evi_div_up(j.m_all, j.m_block) * apart(j.m_block * j.channels));
}

void evi_winograd_pack(const evi_kernels *k, const evi_conv_shape *s, int32_t pass,
                       const evi_real *w, void *packed)
{
    job j;
    set_shape(&j, k, s, pass);
    pack_all(NULL, &j, w, packed);
}

/* ---- inputs ---------------------------------------------------------------------------------- */

/* Some tiles of a tile row of a picture. */
typedef struct piece {
    int64_t image, y, first, n; /* its tile row, its first tile, how many */
} piece;

/* The piece that begins at tile number `at`, until `end` or the end of its row. */
static piece piece_at(const job *j, int64_t at, int64_t end)
{
    const int64_t row = at / j->row_tiles;
    piece p = {.image = row / j->tile_rows, .y = row % j->tile_rows, .first = at % j->row_tiles};

    p.n = EVI_MIN(end - at, j->row_tiles - p.first);
    return p;
}

/* Rows y .. y+5 of what the pool's gradient makes of a plane of dy; rows outside are left. */
static void unpool_rows(const job *j, int64_t plane, int64_t y, evi_real *rows, evk_wino_in *a)
{
    const int64_t h = j->in_h / 2, w = j->in_w / 2, from = EVI_MAX(y, 0) / 2;

    for (int64_t p = from; p < EVI_MIN(h, (y + 7) / 2); p++, rows += 2 * j->in_w) {
        const int64_t at = (plane * h + p) * w;

        j->k->max_pool2_back(w, j->in + at, j->where + at, rows, rows + j->in_w, 0);
        if (j->in_w % 2)
            rows[j->in_w - 1] = rows[2 * j->in_w - 1] = 0;
        for (int64_t r = 0; r < 2; r++) {
            if (2 * p + r >= y && 2 * p + r < y + 6)
                a->row[2 * p + r - y] = rows + r * j->in_w;
        }
    }
}

/* V of some channels of a piece. */
static void transform_piece(const job *j, const piece *p, int64_t c0, int64_t c1, evi_real *v,
                            evi_real *rows)
{
    const int64_t y = 4 * p->y - j->pad_y;

    for (int64_t c = c0; c < c1; c++) {
        const int64_t plane = p->image * j->channels + c;
        evk_wino_in a = {.n = p->n,
                         .left = j->pad_x - 4 * p->first,
                         .width = j->in_w,
                         .v = v + c * j->ldv,
                         .step = j->v_step};

        if (j->s->pooled && j->pass == EVI_CONV_BACK_DATA) {
            unpool_rows(j, plane, y, rows, &a);
        } else {
            for (int64_t r = EVI_MAX(-y, 0); r < EVI_MIN(6, j->in_h - y); r++)
                a.row[r] = j->in + (plane * j->in_h + y + r) * j->in_w;
        }
        j->k->wino_in(&a);
    }
}

/* V of some channels of a block. */
static void transform_inputs(const job *j, int64_t block, int64_t c0, int64_t c1, evi_real *v,
                             evi_real *rows)
{
    const int64_t last = EVI_MIN((block + 1) * j->block, j->tiles);

    for (int64_t q = block * j->block; q < last; q += j->group, v += POINTS * j->v_step) {
        const int64_t end = EVI_MIN(q + j->group, last);

        for (int64_t at = q; at < end;) {
            const piece p = piece_at(j, at, end);

            transform_piece(j, &p, c0, c1, v + at - q, rows);
            at += p.n;
        }
    }
}

/* ---- products and outputs -------------------------------------------------------------------- */

/* M of m outputs, one point, one part of the channels, n <= nr tiles.  m: the first is the first of
 * its panel. */
static void multiply_panels(const job *j, evk_tile *t, const evi_real *u, evi_real *m, int64_t n_m)
{
    for (int64_t i = 0; i < n_m; i += j->wide, u += t->k * j->wide) {
        for (int64_t r = 0; r < EVI_MIN(j->wide, n_m - i); r += j->k->mr) {
            t->m = (int32_t)EVI_MIN(j->k->mr, n_m - i - r);
            t->a = u + r;
            t->c = m + (i + r) * j->ldm;
            j->k->tile(t);
        }
    }
}

/* M of outputs m0 .. m1-1 of one block of them, one point, n tiles. */
static void multiply(const job *j, int64_t point, const evi_real *v, evi_real *m, int64_t m0,
                     int64_t m1, int64_t n)
{
    const int64_t vectors = evi_div_up(EVI_MIN(n, j->group), j->k->lanes);
    const int64_t width =
        evi_div_up(vectors, evi_div_up(vectors * j->k->lanes, j->k->nr)) * j->k->lanes;
    evk_tile t = {.a_step = j->wide, .off = j->off, .ldc = j->ldm};

    for (int64_t c = 0; c < j->channels; c += DEPTH) {
        const evi_real *u = j->u + u_at(j, m0, c) + point * u_step(j, m0);
        const evi_real *group = v + c * j->ldv;

        t.k = EVI_MIN(DEPTH, j->channels - c);
        t.flags = c > 0 ? EVK_TILE_ADD : 0;
        for (int64_t g = 0; g < n; g += j->group, group += POINTS * j->v_step) {
            const int64_t in_group = EVI_MIN(j->group, n - g);

            for (int64_t q = 0; q < in_group; q += width) {
                t.n = (int32_t)EVI_MIN(width, in_group - q);
                t.b = group + q;
                multiply_panels(j, &t, u, m + g + q, m1 - m0);
            }
        }
    }
}

static bool clips(int32_t act)
{
    return act == EVK_ACT_RELU || act == EVK_ACT_CLIP;
}

/* Activation and pool of four finished rows, for activations that the kernel does not know. */
static void pool_after(const job *j, const evk_wino_out *a, int64_t height, evi_real *y)
{
    for (int64_t r = 0; r < height; r++) {
        evi_real *row = a->y + 2 * r * a->ldy;

        for (int64_t i = 0; i < 2; i++)
            j->k->act(a->width / 2 * 2, row + i * a->ldy, 0, &j->end->act, row + i * a->ldy);
        j->k->max_pool2(a->width / 2, row, row + a->ldy, y + r * (j->out_w / 2), NULL);
    }
}

/* One output channel of a piece. */
static void finish(const job *j, const piece *u, evk_wino_out *a, int64_t channel, evi_real *rows)
{
    const int32_t act = j->end ? j->end->act.kind : EVK_ACT_NONE;
    const bool after = act != EVK_ACT_NONE && !clips(act);
    const bool pooled = j->s->pooled && j->pass == EVI_CONV_FORWARD;
    const int64_t shrink = pooled ? 2 : 1, h = j->out_h / shrink, w = j->out_w / shrink;
    const int64_t x = 4 / shrink * u->first, y = 4 / shrink * u->y;
    const int64_t at = ((u->image * j->outputs + channel) * h + y) * w + x;
    const int64_t height = EVI_MIN(4 / shrink, h - y);

    if (height <= 0 || w - x <= 0)
        return;
    a->n = u->n;
    a->bias = j->end && j->end->bias ? j->end->bias[channel] : 0;
    a->pool = pooled && !after;
    if (pooled && after) {
        a->y = rows;
        a->ldy = 4 * u->n;
        a->height = (int32_t)(2 * height);
        a->width = EVI_MIN(2 * (w - x), 4 * u->n);
        j->k->wino_out(a);
        pool_after(j, a, height, j->out + at);
        return;
    }
    a->y = j->out + at;
    a->ldy = w;
    a->height = (int32_t)height;
    a->width = EVI_MIN(w - x, 4 / shrink * u->n);
    if (pooled && j->end && j->end->where) {
        a->where = j->end->where + at;
        a->ldw = w;
    }
    j->k->wino_out(a);
    for (int64_t r = 0; after && r < height; r++)
        j->k->act(a->width, a->y + r * w, 0, &j->end->act, a->y + r * w);
}

/* Outputs m0 .. m1-1 of a block. */
static void outputs_of(const job *j, int64_t block, const evi_real *v, int64_t m0, int64_t m1,
                       evi_real *m, evi_real *rows)
{
    const int64_t first = block * j->block, last = EVI_MIN(first + j->block, j->tiles);
    const int32_t act = j->end ? j->end->act.kind : EVK_ACT_NONE;
    evk_wino_out a = {.step = j->m_step,
                      .flags = (clips(act) ? EVK_TILE_CLIP : 0) |
                               (j->end && j->end->accumulate ? EVK_TILE_ADD : 0),
                      .hi = (evi_real)INFINITY,
                      .positive = act == EVK_ACT_RELU};

    if (act == EVK_ACT_CLIP) {
        a.lo = j->end->act.a;
        a.hi = j->end->act.b;
    }
    for (int64_t end; m0 < m1; m0 = end) {
        end = EVI_MIN((m0 / j->m_block + 1) * j->m_block, m1);
        for (int64_t p = 0; p < POINTS; p++)
            multiply(j, p, v + p * j->v_step, m + p * j->m_step, m0, end, last - first);
        for (int64_t at = first; at < last;) {
            const piece of = piece_at(j, at, last);

            for (int64_t c = m0; c < end; c++) {
                a.m = m + (c - m0) * j->ldm + at - first;
                finish(j, &of, &a, c, rows);
            }
            at += of.n;
        }
    }
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static uint64_t own_bytes(const job *j)
{
    return (uint64_t)(j->m_bytes + j->rows_bytes);
}

static evi_real *own_of(const job *j, int32_t worker, bool rows)
{
    char *at = j->own + (uint64_t)worker * own_bytes(j) + (rows ? j->m_bytes : 0);
    return (evi_real *)(void *)at;
}

static evi_real *v_of(const job *j, int64_t number)
{
    return (evi_real *)(void *)(j->v + number * j->v_bytes);
}

static void block_task(void *arg, int64_t task, int32_t worker)
{
    const job *j = arg;
    evi_real *v = v_of(j, worker), *rows = own_of(j, worker, true);

    transform_inputs(j, task, 0, j->channels, v, rows);
    outputs_of(j, task, v, 0, j->outputs, own_of(j, worker, false), rows);
}

static void inputs_task(void *arg, int64_t task, int32_t worker)
{
    const job *j = arg;
    const int64_t block = task / j->parts, c0 = task % j->parts * j->part;

    transform_inputs(j, j->first_block + block, c0, EVI_MIN(c0 + j->part, j->channels),
                     v_of(j, block), own_of(j, worker, true));
}

static void outputs_task(void *arg, int64_t task, int32_t worker)
{
    const job *j = arg;
    const int64_t block = task / j->parts, m0 = task % j->parts * j->part;

    outputs_of(j, j->first_block + block, v_of(j, block), m0, EVI_MIN(m0 + j->part, j->outputs),
               own_of(j, worker, false), own_of(j, worker, true));
}

/* Cut `n` into parts of so many, so that a stage has some tasks for each worker. */
static void cut(job *j, int64_t n, int64_t multiple, int32_t n_workers)
{
    const int64_t goal = evi_div_up(4 * n_workers, j->stage_blocks);

    j->part = evi_div_up(evi_div_up(n, goal), multiple) * multiple;
    j->parts = evi_div_up(n, j->part);
}

/* Scratch: offsets, U (when not given), V of a stage or of the workers, the workers' M and rows. */
static uint64_t offsets_bytes(void)
{
    return evi_round_up(sizeof(int32_t) * DEPTH, EVI_ALIGN);
}

uint64_t evi_winograd_scratch_bytes(const evi_kernels *k, const evi_conv_shape *s, int32_t pass,
                                    bool packed, int32_t n_workers)
{
    job j;

    if (pass == EVI_CONV_BACK_WEIGHTS)
        return evi_winograd_weights_scratch_bytes(k, s, n_workers);
    set_sizes(&j, k, s, pass, n_workers);
    return offsets_bytes() + (packed ? 0 : evi_winograd_pack_bytes(k, s, pass)) +
           (uint64_t)n_workers * ((uint64_t)j.v_bytes + own_bytes(&j));
}

static void correlate(evi_crew *crew, job *j, const evi_real *w, const void *packed, char *scratch)
{
    const int32_t n_workers = evi_crew_size(crew);

    j->off = (int32_t *)(void *)scratch;
    scratch += offsets_bytes();
    for (int64_t c = 0; c < DEPTH; c++)
        j->off[c] = (int32_t)(c * j->ldv);
    j->u = packed;
    if (!packed) {
        evi_real *u = (evi_real *)(void *)scratch;

        pack_all(crew, j, w, u);
        j->u = u;
        scratch += evi_winograd_pack_bytes(j->k, j->s, j->pass);
    }
    j->v = scratch;
    j->own = scratch + n_workers * j->v_bytes;
    if (n_workers == 1 || j->even || j->blocks >= 4 * n_workers) {
        evi_parallel(crew, j->blocks, block_task, j);
        return;
    }
    for (j->first_block = 0; j->first_block < j->blocks; j->first_block += n_workers) {
        j->stage_blocks = EVI_MIN(n_workers, j->blocks - j->first_block);
        cut(j, j->channels, 1, n_workers);
        evi_parallel(crew, j->stage_blocks * j->parts, inputs_task, j);
        cut(j, j->outputs, j->wide, n_workers);
        evi_parallel(crew, j->stage_blocks * j->parts, outputs_task, j);
    }
}

void evi_winograd_forward(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                          const evi_real *x, const evi_real *w, const void *packed,
                          const evi_conv_end *end, evi_real *y, void *scratch)
{
    job j;

    set_sizes(&j, k, s, EVI_CONV_FORWARD, evi_crew_size(crew));
    j.in = x;
    j.out = y;
    j.end = end;
    correlate(crew, &j, w, packed, scratch);
}

void evi_winograd_back_data(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                            const evi_real *dy, const uint8_t *where, const evi_real *w,
                            const void *packed, const evi_conv_end *end, evi_real *dx,
                            void *scratch)
{
    job j;

    set_sizes(&j, k, s, EVI_CONV_BACK_DATA, evi_crew_size(crew));
    j.in = dy;
    j.where = where;
    j.out = dx;
    j.end = end;
    correlate(crew, &j, w, packed, scratch);
}
