/* SPDX-License-Identifier: MIT */
/* Convolution forward and the gradient of its input.
 *
 * Both are correlations (convolve_plane.h): forward is one, the gradient one for each phase of the
 * stride, whose outputs lie a stride apart.  A task is one picture, some groups, one phase, a block
 * of output rows and a block of output channels; it copies what it needs of the picture into its
 * worker's scratch, a part of the channels at a time, and runs the tiles over it. */
#include "ops/convolve_job.h"
#include "ops/depthwise.h"
#include "ops/winograd.h"

#include <math.h>
#include <string.h>

enum { MAX_SEGMENTS = 130 };

/* ---- tiles ----------------------------------------------------------------------------------- */

/* Where a tile's columns go: runs within rows of the output. */
typedef struct segment {
    int64_t at, n, to;
} segment;

typedef struct run {
    const evi_conv_job *j;
    const evi_conv_part *p;
    evk_tile t;
    evi_real *out;    /* first output channel of the block, first row of the task */
    int64_t ld;       /* between its channels */
    evi_real *pooled; /* of a pooled shape: where its results go; `out` is scratch then */
    uint8_t *where;
    bool pool_tiles;
    bool relu_late, end_late; /* the relu, or bias and activation, come behind the pool */
    const evi_real *late_bias;
    const evi_real *a; /* panels of this kc block, from the block's first output */
    const evi_real *bias;
    int64_t m;
    evi_real *buffer, *spare;
    bool add, last;
    evi_ahead ahead;
} run;

static bool clips(const evk_act *act)
{
    return act->kind == EVK_ACT_RELU || act->kind == EVK_ACT_CLIP;
}

static void move_segments(const run *r, const segment *seg, int64_t n_seg, evi_real *out, int64_t m,
                          bool load)
{
    const evi_kernels *k = r->j->k;
    const int64_t ld = r->j->nr, plane = r->ld, step = r->j->step_x;

    for (int64_t i = 0; i < n_seg; i++) {
        evi_real *there = out + seg[i].to, *here = r->buffer + seg[i].at;

        if (step == 1) {
            if (load)
                k->copy_rows(m, seg[i].n, there, plane, here, ld);
            else
                k->copy_rows(m, seg[i].n, here, ld, there, plane);
            continue;
        }
        for (int64_t c = 0; c < m; c++) {
            if (!load) {
                k->scatter(seg[i].n, here + c * ld, there + c * plane, step, 0);
                continue;
            }
            /* Not the gather kernel: it reads the values between too, which belong to another
             * phase and so to another task that may be writing them. */
            for (int64_t x = 0; x < seg[i].n; x++)
                here[c * ld + x] = there[c * plane + x * step];
        }
    }
}

/* All output channels of the block for columns q .. q+n-1 of the task's rows (row pitch long). */
static void run_columns(run *r, int64_t q, int32_t n)
{
    const evi_conv_job *j = r->j;
    const evi_taps *tp = &r->p->taps;
    const evk_act *act = r->j->end ? &r->j->end->act : NULL;
    const bool after = r->last && act && act->kind != EVK_ACT_NONE && !clips(act);
    segment seg[MAX_SEGMENTS];
    int64_t n_seg = 0;

    if (r->pooled || (tp->pitch == tp->out_w && j->out_w == tp->out_w && j->step_y == 1 &&
                      j->step_x == 1)) { /* rows follow one another */
        seg[n_seg++] = (segment){0, n, q};
    } else {
        for (int64_t y = q / tp->pitch, i = q; i < q + n; i = ++y * tp->pitch) {
            const int64_t x = i - y * tp->pitch, len = EVI_MIN(tp->out_w - x, q + n - i);

            if (len > 0)
                seg[n_seg++] = (segment){i - q, len, y * j->step_y * j->out_w + x * j->step_x};
        }
    }
    const bool direct = j->step_x == 1 && n_seg == 1 && seg[0].n == n;

    r->t.n = n;
    for (int64_t i = 0; i < r->m; i += r->t.m) {
        evi_real *out = r->out + i * r->ld;

        r->t.m = (int32_t)EVI_MIN(j->mr, r->m - i);
        r->t.a = r->a + i * r->t.k;
        r->t.bias = r->last && r->bias ? r->bias + i : NULL;
        r->t.c = direct ? out + seg[0].to : r->buffer;
        r->t.ldc = direct ? r->ld : j->nr;
        if (!direct && r->add)
            move_segments(r, seg, n_seg, out, r->t.m, true);
        j->k->tile(&r->t);
        if (after) {
            for (int32_t c = 0; c < r->t.m; c++)
                j->k->act(n, r->t.c + c * r->t.ldc, 0, act, r->t.c + c * r->t.ldc);
        }
        if (!direct)
            move_segments(r, seg, n_seg, out, r->t.m, false);
    }
    evi_ahead_some(&r->ahead);
}

static void run_block(run *r, const evi_real *b, int64_t n_rows)
{
    const evi_taps *tp = &r->p->taps;
    const int64_t nr = r->j->nr;

    if (r->p->flat) {
        const int64_t all = (n_rows - 1) * tp->pitch + tp->out_w;

        for (int64_t q = 0; q < all; q += nr) {
            r->t.b = b + q;
            run_columns(r, q, (int32_t)EVI_MIN(nr, all - q));
        }
        return;
    }
    for (int64_t y = 0; y < n_rows; y++) {
        for (int64_t x = 0; x < tp->out_w; x += r->p->row_tile) {
            r->t.b = b + y * tp->pitch + x;
            run_columns(r, y * tp->pitch + x, (int32_t)EVI_MIN(r->p->row_tile, tp->out_w - x));
        }
    }
}

/* The last n_rows rows made, from row y of the task on, go through the pool. */
static void pool_rows(const run *r, int64_t y, int64_t n_rows)
{
    const evi_conv_job *j = r->j;
    const int64_t pitch = r->p->taps.pitch, w = r->p->taps.out_w / 2, n = n_rows / 2 * w;

    for (int64_t i = 0; i < r->m; i++) {
        const evi_real *from = r->out + i * r->ld;
        evi_real *to = r->pooled + i * j->out_plane + y / 2 * w;
        uint8_t *where = r->where ? r->where + i * j->out_plane + y / 2 * w : NULL;

        for (int64_t q = 0; q < n; q += w, from += 2 * pitch) {
            if (r->relu_late)
                j->k->max_pool2_relu(w, from, from + pitch, to + q, where ? where + q : NULL);
            else
                j->k->max_pool2(w, from, from + pitch, to + q, where ? where + q : NULL);
        }
        if (r->end_late)
            j->k->act(n, to, r->late_bias ? r->late_bias[i] : 0, &j->end->act, to);
    }
}

/* Rows and their pool in one go. */
static void run_pool_tiles(run *r, const evi_real *b, int64_t n_rows)
{
    const evi_conv_job *j = r->j;
    const int64_t pitch = r->p->taps.pitch, w = r->p->taps.out_w, step = j->k->few_mr;
    const evk_act *act = j->end ? &j->end->act : NULL;
    evk_pool_tile t = {.k = r->t.k,
                       .a_step = r->t.a_step,
                       .down = pitch,
                       .off = r->t.off,
                       .ldy = j->out_plane,
                       .flags = act && act->kind == EVK_ACT_CLIP ? EVK_TILE_CLIP : 0,
                       .positive = act && act->kind == EVK_ACT_RELU,
                       .lo = r->t.lo,
                       .hi = r->t.hi};

    for (int64_t y = 0; y < n_rows; y += 2) {
        for (int64_t x = 0; x < w; x += r->p->row_tile) {
            const int64_t to = y / 2 * (w / 2) + x / 2;

            t.b = b + y * pitch + x;
            t.n = (int32_t)EVI_MIN(r->p->row_tile, w - x);
            for (int64_t i = 0; i < r->m; i += step) {
                t.m = (int32_t)EVI_MIN(step, r->m - i);
                t.a = r->a + i / j->mr * j->mr * t.k + i % j->mr;
                t.bias = r->bias ? r->bias + i : NULL;
                t.y = r->pooled + i * j->out_plane + to;
                t.where = r->where ? r->where + i * j->out_plane + to : NULL;
                j->k->pool_tile(&t);
            }
            evi_ahead_some(&r->ahead);
        }
    }
}

/* The rows of one block of terms; of the last one, what is to be pooled. */
static void run_rows(run *r, const evi_real *b, int64_t n_rows)
{
    const evi_conv_job *j = r->j;

    if (!r->pooled) {
        run_block(r, b, n_rows);
        return;
    }
    if (r->pool_tiles) {
        run_pool_tiles(r, b, n_rows);
        return;
    }
    for (int64_t y = 0; y < n_rows; y += j->pool_rows) {
        const int64_t n = EVI_MIN(j->pool_rows, n_rows - y);

        run_block(r, b + y * r->p->taps.pitch, n);
        if (r->last)
            pool_rows(r, y, n);
    }
}

/* The copy of one channel. */
static void fill(const run *r, const evi_real *in, int64_t y0, int64_t n_rows, evi_real *to)
{
    const evi_conv_job *j = r->j;

    if (j->where)
        evi_taps_fill_pooled(&r->p->taps, j->k, in, j->where + (in - j->in), y0, n_rows,
                             j->channel_rows, to, r->spare);
    else
        evi_taps_fill(&r->p->taps, j->k, in, y0, n_rows, j->channel_rows, to);
}

/* What never falls can wait until a quarter of the values is left: rounding does not change which
 * is the largest value.  But where it came from must be asked after the bias, which can make equal
 * what was not. */
static void set_late(run *r)
{
    const evi_conv_end *end = r->j->end;

    r->pool_tiles = r->p->pool_tiles;
    if (end == NULL)
        return;
    if (end->act.kind != EVK_ACT_NONE && !clips(&end->act)) {
        r->pool_tiles = false;
        return;
    }
    if (r->pool_tiles)
        return;
    if (r->where) {
        r->relu_late = end->act.kind == EVK_ACT_RELU;
    } else if (end->bias || end->act.kind != EVK_ACT_NONE) {
        r->end_late = true;
        r->late_bias = r->bias;
        r->bias = NULL;
    }
}

/* One group of one picture: rows y0 .. y0+n_rows-1 of the phase, outputs m0 .. m0+r->m-1. */
static void run_group(run *r, const evi_real *in, const evi_real *packed, int64_t m0, int64_t y0,
                      int64_t n_rows, evi_real *block)
{
    const evi_conv_job *j = r->j;
    const evi_conv_part *p = r->p;
    const int64_t taps = EVI_MAX(p->taps.ny * p->taps.nx, 1), kc = j->k->kc;
    const int64_t channel = evi_taps_channel(&p->taps, j->channel_rows);
    const int64_t height = evi_div_up(j->outputs, j->mr) * j->mr;
    int64_t q = 0;

    do { /* once even when no tap reaches this phase */
        const int64_t c0 = q / taps;
        const evi_real *b = block;

        r->t.k = EVI_MIN(kc, p->depth - q);
        r->add = q > 0 || (j->end && j->end->accumulate);
        r->last = q + r->t.k >= p->depth;
        r->t.flags = (r->add ? EVK_TILE_ADD : 0) |
                     (r->last && j->end && clips(&j->end->act) && !r->relu_late && !r->end_late
                          ? EVK_TILE_CLIP
                          : 0);
        r->t.off = p->off + q;
        r->a = packed + p->pack_at + q * height + m0 * r->t.k;
        if (p->in_place) {
            b = in + c0 * j->in_plane + y0 * p->taps.in_w;
        } else if (r->t.k > 0) {
            for (int64_t c = c0; c <= (q + r->t.k - 1) / taps; c++)
                fill(r, in + c * j->in_plane, y0, n_rows, block + (c - c0) * channel);
        }
        run_rows(r, b, n_rows);
        q += kc;
    } while (q < p->depth);
}

/* What the next task of this worker will copy, when it copies a part of the picture once. */
static void look_ahead(run *r, int64_t image, int64_t rb)
{
    const evi_conv_job *j = r->j;
    const evi_taps *t = &r->p->taps;
    const int64_t next = image * j->row_blocks + rb + j->n_workers;
    const int64_t there = next / j->row_blocks, y0 = next % j->row_blocks * j->rows;

    if (r->p->in_place || r->p->depth > j->k->kc || j->s->groups > 1 || there >= j->s->n ||
        j->s->n * j->channels * j->in_plane < EVI_AHEAD_BYTES / (int64_t)sizeof(evi_real))
        return;
    const int64_t at = there * j->channels * j->in_plane;

    evi_taps_ahead(t, j->in + at, j->where ? j->where + at : NULL, j->channels, y0,
                   EVI_MIN(j->rows, t->out_h - y0), &r->ahead);
    evi_ahead_start(&r->ahead, j->rows * t->pitch / j->nr);
}

typedef struct jobs {
    evi_conv_job j;
    const evi_conv_part *parts;
} jobs;

/* A task of one phase of the columns: picture `image`, blocks of groups, rows and outputs. */
static void run_part(const evi_conv_job *j, const evi_conv_part *p, int64_t image, int64_t gb,
                     int64_t rb, int64_t mb, bool last, evi_real *block)
{
    const evi_conv_shape *s = j->s;
    const int64_t y0 = rb * j->rows, n_rows = EVI_MIN(j->rows, p->taps.out_h - y0);
    const int64_t m0 = mb * j->m_step;
    run r = {.j = j, .p = p, .m = EVI_MIN(j->m_step, j->outputs - m0)};

    if (n_rows <= 0 || p->taps.out_w <= 0)
        return;
    r.buffer = block + j->block_values;
    r.spare = r.buffer + j->tile_values + j->pool_values;
    r.t.a_step = j->mr;
    if (mb == j->m_blocks - 1 && last)
        look_ahead(&r, image, rb);
    r.t.lo = j->end && j->end->act.kind == EVK_ACT_CLIP ? j->end->act.a : 0;
    r.t.hi = j->end && j->end->act.kind == EVK_ACT_CLIP ? j->end->act.b : (evi_real)INFINITY;
    for (int64_t g = gb * j->group_step; g < EVI_MIN((gb + 1) * j->group_step, s->groups); g++) {
        const int64_t in_at = image * s->groups + g;
        const int64_t out_at = (in_at * j->outputs + m0) * j->out_plane;

        r.bias = j->end && j->end->bias ? j->end->bias + g * j->outputs + m0 : NULL;
        if (j->pool_rows > 0) {
            const int64_t row = out_at + y0 / 2 * (p->taps.out_w / 2);

            r.out = r.buffer + j->tile_values;
            r.ld = j->pool_ld;
            r.pooled = j->out + row;
            r.where = j->end && j->end->where ? j->end->where + row : NULL;
            set_late(&r);
        } else {
            r.out = j->out + out_at + (p->py + y0 * j->step_y) * j->out_w + p->px;
            r.ld = j->out_plane;
        }
        run_group(&r, j->in + in_at * j->channels * j->in_plane, j->packed + g * j->group_pack, m0,
                  y0, n_rows, block);
    }
}

/* The phases of the columns follow one another, since they write to the same cache lines. */
static void conv_task(void *arg, int64_t task, int32_t worker)
{
    const jobs *js = arg;
    const evi_conv_job *j = &js->j;
    int64_t rest = task;
    const int64_t mb = rest % j->m_blocks, rb = (rest /= j->m_blocks) % j->row_blocks;
    const int64_t py = (rest /= j->row_blocks) % j->step_y;
    const int64_t gb = (rest /= j->step_y) % j->group_blocks, image = rest / j->group_blocks;
    evi_real *block = (evi_real *)(void *)(j->scratch + (uint64_t)worker * j->worker_bytes);

    for (int64_t pn = py * j->step_x; pn < (py + 1) * j->step_x; pn++)
        run_part(j, &js->parts[pn], image, gb, rb, mb, pn == j->n_parts - 1, block);
}

/* ---- outside --------------------------------------------------------------------------------- */

/* Scratch: parts, offsets of all parts, packed weights (when not given), the workers' places. */
static uint64_t parts_bytes(const evi_conv_job *j)
{
    return evi_round_up(sizeof(evi_conv_part) * (uint64_t)j->n_parts, EVI_ALIGN);
}

static uint64_t offsets_bytes(const evi_conv_job *j)
{
    return evi_round_up(sizeof(int32_t) * (uint64_t)(j->channels * j->s->kh * j->s->kw), EVI_ALIGN);
}

uint64_t evi_conv_scratch_bytes(const evi_kernels *k, const evi_conv_shape *s, int32_t pass,
                                bool packed, int32_t n_workers)
{
    evi_conv_job j;

    if (evi_depthwise_fits(s))
        return evi_depthwise_scratch_bytes(s, pass, n_workers);
    if (evi_winograd_fits(k, s, pass))
        return evi_winograd_scratch_bytes(k, s, pass, packed, n_workers);
    if (pass == EVI_CONV_BACK_WEIGHTS)
        return evi_conv_weights_scratch_bytes(k, s, n_workers);
    evi_conv_set_sizes(&j, k, s, pass);
    return parts_bytes(&j) + offsets_bytes(&j) + (packed ? 0 : evi_conv_pack_bytes(k, s, pass)) +
           (uint64_t)n_workers * j.worker_bytes;
}

static void correlate(evi_crew *crew, jobs *js, const void *packed, char *scratch)
{
    evi_conv_job *j = &js->j;
    evi_conv_part *parts = (evi_conv_part *)(void *)scratch;
    int32_t *off = (int32_t *)(void *)(scratch + parts_bytes(j));
    int64_t pack_at = 0;

    scratch += parts_bytes(j) + offsets_bytes(j);
    if (packed) {
        j->packed = packed;
    } else {
        j->packed = j->pack_to = (evi_real *)(void *)scratch;
        scratch += evi_conv_pack_bytes(j->k, j->s, j->pass);
        evi_conv_pack_all(crew, j);
    }
    j->scratch = scratch;
    for (int64_t i = 0; i < j->n_parts; i++) {
        evi_conv_set_part(j, i, pack_at, &parts[i]);
        parts[i].off = off;
        evi_conv_set_offsets(j, &parts[i]);
        off += parts[i].depth;
        pack_at += evi_div_up(j->outputs, j->mr) * j->mr * parts[i].depth;
    }
    evi_conv_spread(j, evi_crew_size(crew));
    js->parts = parts;
    evi_parallel(crew, j->s->n * j->group_blocks * j->step_y * j->row_blocks * j->m_blocks,
                 conv_task, js);
}

void evi_conv_forward(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                      const evi_real *x, const evi_real *w, const void *packed,
                      const evi_conv_end *end, evi_real *y, void *scratch)
{
    jobs js;

    if (evi_depthwise_fits(s)) {
        evi_depthwise_forward(crew, k, s, x, w, end, y, scratch);
        return;
    }
    if (evi_winograd_fits(k, s, EVI_CONV_FORWARD)) {
        evi_winograd_forward(crew, k, s, x, w, packed, end, y, scratch);
        return;
    }
    evi_conv_set_sizes(&js.j, k, s, EVI_CONV_FORWARD);
    js.j.in = x;
    js.j.w = w;
    js.j.out = y;
    js.j.end = end;
    correlate(crew, &js, packed, scratch);
}

void evi_conv_back_data(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                        const evi_real *dy, const uint8_t *where, const evi_real *w,
                        const void *packed, const evi_conv_end *end, evi_real *dx, void *scratch)
{
    jobs js;

    if (evi_depthwise_fits(s)) {
        evi_depthwise_back_data(crew, k, s, dy, w, end, dx, scratch);
        return;
    }
    if (evi_winograd_fits(k, s, EVI_CONV_BACK_DATA)) {
        evi_winograd_back_data(crew, k, s, dy, where, w, packed, end, dx, scratch);
        return;
    }
    evi_conv_set_sizes(&js.j, k, s, EVI_CONV_BACK_DATA);
    js.j.in = dy;
    js.j.where = s->pooled ? where : NULL;
    js.j.w = w;
    js.j.out = dx;
    js.j.end = end;
    correlate(crew, &js, packed, scratch);
}
