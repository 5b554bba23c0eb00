/* SPDX-License-Identifier: MIT */
/* Convolution forward and the gradient of its input.
 *
 * Both are correlations (convolve_plane.h): forward is one, the gradient one for each phase of the
 * stride, whose outputs lie a stride apart.  A task is one picture, some groups, one phase, a block
 * of output rows and a block of output channels; it copies what it needs of the picture into its
 * worker's scratch, a part of the channels at a time, and runs the tiles over it. */
#include "ops/convolve_plane.h"
#include "ops/winograd.h"

#include <math.h>
#include <string.h>

enum { CHANNELS_AT_ONCE = 256, MAX_SEGMENTS = 130 };

/* One phase of the outputs. */
typedef struct part {
    evi_taps taps;
    int64_t first_y, first_x, jump_y, jump_x; /* which weight a tap is */
    int64_t py, px;
    int64_t depth;   /* channels * taps: the length of the sum */
    int64_t pack_at; /* its weights within a group's */
    int32_t *off;    /* for each term, relative to the first channel of its block of kc */
    bool in_place, flat;
    int64_t row_tile; /* columns of a tile when rows are cut one by one */
} part;

typedef struct job {
    const evi_kernels *k;
    const evi_conv_shape *s;
    const evi_conv_end *end;
    int32_t pass;
    int64_t channels, outputs; /* of a group, in the sense of the correlation */
    int64_t in_plane, out_plane, out_w;
    int64_t step_y, step_x; /* of outputs within a phase */
    int64_t n_parts;        /* phases: step_y * step_x */
    int32_t mr, nr;
    int64_t group_pack;         /* values of a group's packed weights */
    int64_t rows, channel_rows; /* rows of a task, and what the layout is made for */
    int64_t row_blocks, m_step, m_blocks, group_step, group_blocks;
    const evi_real *in, *w, *packed;
    evi_real *pack_to;
    evi_real *out;
    char *scratch;
    uint64_t worker_bytes;
    int64_t block_values; /* of a worker's copy */
} job;

static int64_t div_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

bool evi_conv_out_size(evi_conv_shape *s)
{
    int64_t h = s->h + s->pad_top + s->pad_bottom - s->dilation_h * (s->kh - 1) - 1;
    int64_t w = s->w + s->pad_left + s->pad_right - s->dilation_w * (s->kw - 1) - 1;

    if (h < 0 || w < 0)
        return false;
    s->out_h = h / s->stride_h + 1;
    s->out_w = w / s->stride_w + 1;
    return true;
}

/* ---- plan: numbers only, cheap enough to be made at each call -------------------------------- */

static void set_part(const job *j, int64_t number, int64_t pack_at, part *p)
{
    const evi_conv_shape *s = j->s;

    memset(p, 0, sizeof(*p));
    p->jump_y = p->jump_x = 1;
    if (j->pass == EVI_CONV_FORWARD) {
        p->taps = evi_taps_forward(s);
    } else {
        p->py = number / s->stride_w;
        p->px = number % s->stride_w;
        p->taps =
            evi_taps_backward(s, p->py, p->px, &p->first_y, &p->first_x, &p->jump_y, &p->jump_x);
    }
    p->depth = j->channels * p->taps.ny * p->taps.nx;
    p->pack_at = pack_at;
    /* Offsets are 32 bits wide. */
    p->in_place = p->taps.in_place && j->in_plane <= INT32_MAX / (j->k->kc + 2);

    /* Tiles across the ends of rows compute the pitch's extra columns and are stored through a
     * buffer; tiles within a row leave lanes idle.  Take what wastes less. */
    int64_t vectors = div_up(EVI_MAX(p->taps.out_w, 1), j->k->lanes);
    double flat = 0.95 * (double)p->taps.out_w / (double)p->taps.pitch;
    double by_row = (double)p->taps.out_w / (double)(vectors * j->k->lanes);

    p->flat = p->taps.pitch == p->taps.out_w || flat > by_row;
    p->row_tile = div_up(vectors, div_up(vectors * j->k->lanes, j->nr)) * j->k->lanes;
}

/* Channels whose terms a block of kc may touch. */
static int64_t chunk_channels(const job *j, const part *p)
{
    int64_t taps = EVI_MAX(p->taps.ny * p->taps.nx, 1);

    return EVI_MIN(j->channels, (j->k->kc + taps - 2) / taps + 1);
}

static void set_sizes(job *j, const evi_kernels *k, const evi_conv_shape *s, int32_t pass)
{
    const bool forward = pass == EVI_CONV_FORWARD;
    int64_t c_in = s->c_in / s->groups, c_out = s->c_out / s->groups;

    memset(j, 0, sizeof(*j));
    j->k = k;
    j->s = s;
    j->pass = pass;
    j->channels = forward ? c_in : c_out;
    j->outputs = forward ? c_out : c_in;
    j->in_plane = forward ? s->h * s->w : s->out_h * s->out_w;
    j->out_plane = forward ? s->out_h * s->out_w : s->h * s->w;
    j->out_w = forward ? s->out_w : s->w;
    j->step_y = forward ? 1 : s->stride_h;
    j->step_x = forward ? 1 : s->stride_w;
    j->n_parts = j->step_y * j->step_x;
    j->mr = j->outputs <= k->few_mr ? k->few_mr : k->mr;
    j->nr = j->outputs <= k->few_mr ? k->few_nr : k->nr;
    /* Each weight belongs to one phase. */
    j->group_pack = div_up(j->outputs, j->mr) * j->mr * j->channels * s->kh * s->kw;

    /* Rows whose copy fits its share of the cache, for the largest phase. */
    int64_t tallest = 1;
    for (int64_t i = 0; i < j->n_parts; i++) {
        part p;

        set_part(j, i, 0, &p);
        tallest = EVI_MAX(tallest, p.taps.out_h);
    }
    j->channel_rows = tallest;
    j->block_values = 0;
    for (int64_t i = 0; i < j->n_parts; i++) {
        part p;

        set_part(j, i, 0, &p);
        int64_t fixed = evi_taps_channel(&p.taps, 0), each = evi_taps_channel(&p.taps, 1) - fixed;
        int64_t room = k->plane_bytes / (int64_t)sizeof(evi_real) / chunk_channels(j, &p);

        j->channel_rows = EVI_MIN(j->channel_rows, EVI_MAX((room - fixed) / EVI_MAX(each, 1), 1));
    }
    for (int64_t i = 0; i < j->n_parts; i++) {
        part p;

        set_part(j, i, 0, &p);
        if (!p.in_place)
            j->block_values =
                EVI_MAX(j->block_values,
                        chunk_channels(j, &p) * evi_taps_channel(&p.taps, j->channel_rows));
    }
    j->worker_bytes = evi_round_up(sizeof(evi_real) * (uint64_t)j->block_values, EVI_ALIGN) +
                      evi_round_up(sizeof(evi_real) * (uint64_t)(j->mr * j->nr), EVI_ALIGN);
    j->rows = j->channel_rows;
    j->row_blocks = div_up(tallest, j->rows);
    j->m_step = EVI_MIN(j->outputs, CHANNELS_AT_ONCE);
    j->m_blocks = div_up(j->outputs, j->m_step);
    j->group_step = EVI_MIN(s->groups, 16);
    j->group_blocks = div_up(s->groups, j->group_step);
}

/* More, smaller tasks when the workers would not all find one.  The cut does not change bits. */
static void spread(job *j, int32_t n_workers)
{
    const int64_t tallest = j->row_blocks * j->rows, goal = n_workers > 1 ? 6 * n_workers : 1;
    const int64_t others = j->s->n * j->n_parts * j->m_blocks * j->group_blocks;

    if (others * j->row_blocks >= goal)
        return;
    int64_t least = EVI_MIN(div_up(2 * j->nr, EVI_MAX(j->out_w / j->step_x, 1)), j->rows);
    j->rows = EVI_MIN(EVI_MAX(tallest / div_up(goal, others), least), j->rows);
    j->row_blocks = div_up(tallest, j->rows);
}

static void set_offsets(const job *j, part *p)
{
    const int64_t taps = p->taps.ny * p->taps.nx;
    const int64_t channel = p->in_place ? j->in_plane : evi_taps_channel(&p->taps, j->channel_rows);

    for (int64_t t = 0; t < taps; t++) {
        int64_t at = p->in_place ? 0 : evi_taps_offset(&p->taps, j->channel_rows, t);

        for (int64_t c = 0; c < j->channels; c++) {
            int64_t term = c * taps + t, first = term / j->k->kc * j->k->kc / taps;

            p->off[term] = (int32_t)((c - first) * channel + at);
        }
    }
}

/* ---- weights --------------------------------------------------------------------------------- */

/* Panels of mr outputs, each a block of kc terms long: [kc block][panel][term][output]. */
static void pack_panel(const job *j, const part *p, int64_t g, int64_t m0, evi_real *to)
{
    const evi_conv_shape *s = j->s;
    const int64_t taps = p->taps.ny * p->taps.nx, all = s->kh * s->kw;
    const int64_t m = EVI_MIN(j->mr, j->outputs - m0);
    const int64_t height = div_up(j->outputs, j->mr) * j->mr;

    for (int64_t q = 0; q < p->depth; q += j->k->kc) {
        const int64_t len = EVI_MIN(j->k->kc, p->depth - q);
        evi_real *panel = to + q * height + m0 * len;

        if (j->pass == EVI_CONV_FORWARD) {
            j->k->transpose(m, len, j->w + (g * j->outputs + m0) * p->depth + q, p->depth, panel,
                            j->mr);
            continue;
        }
        for (int64_t r = 0; r < len;) {
            const int64_t c = (q + r) / taps, t = (q + r) % taps;
            const evi_real *from = j->w + ((g * j->channels + c) * j->outputs + m0) * all;

            if (taps == all && t == 0 && r + taps <= len) { /* stride 1: a whole kernel, reversed */
                j->k->transpose(m, taps, from, taps, panel + (r + taps - 1) * j->mr, -j->mr);
                r += taps;
                continue;
            }
            from += (p->first_y - t / p->taps.nx * p->jump_y) * s->kw + p->first_x -
                    t % p->taps.nx * p->jump_x;
            for (int64_t i = 0; i < m; i++)
                panel[r * j->mr + i] = from[i * all];
            r++;
        }
    }
}

static void pack_task(void *arg, int64_t task, int32_t worker)
{
    const job *j = arg;
    const int64_t panels = div_up(j->outputs, j->mr), g = task / panels;
    evi_real *to = j->pack_to + g * j->group_pack;

    (void)worker;
    for (int64_t i = 0; i < j->n_parts; i++) {
        part p;

        set_part(j, i, 0, &p);
        pack_panel(j, &p, g, task % panels * j->mr, to);
        to += panels * j->mr * p.depth;
    }
}

static void pack_all(evi_crew *crew, job *j)
{
    evi_parallel(crew, j->s->groups * div_up(j->outputs, j->mr), pack_task, j);
}

uint64_t evi_conv_pack_bytes(const evi_kernels *k, const evi_conv_shape *s, int32_t pass)
{
    job j;

    if (evi_winograd_fits(k, s, pass))
        return evi_winograd_pack_bytes(k, s, pass);
    set_sizes(&j, k, s, pass);
    return evi_round_up(sizeof(evi_real) * (uint64_t)(j.group_pack * s->groups), EVI_ALIGN);
}

void evi_conv_pack(const evi_kernels *k, const evi_conv_shape *s, int32_t pass, const evi_real *w,
                   void *packed)
{
    job j;

    if (evi_winograd_fits(k, s, pass)) {
        evi_winograd_pack(k, s, pass, w, packed);
        return;
    }
    set_sizes(&j, k, s, pass);
    j.w = w;
    j.pack_to = packed;
    pack_all(NULL, &j);
}

/* ---- tiles ----------------------------------------------------------------------------------- */

/* Where a tile's columns go: runs within rows of the output. */
typedef struct segment {
    int64_t at, n, to;
} segment;

typedef struct run {
    const job *j;
    const part *p;
    evk_tile t;
    evi_real *out;     /* first output channel of the block, first row of the task */
    const evi_real *a; /* panels of this kc block, from the block's first output */
    const evi_real *bias;
    int64_t m;
    evi_real *buffer;
    bool add, last;
} run;

static bool clips(const evk_act *act)
{
    return act->kind == EVK_ACT_RELU || act->kind == EVK_ACT_CLIP;
}

static void move_segments(const run *r, const segment *seg, int64_t n_seg, evi_real *out, int64_t m,
                          bool load)
{
    const evi_kernels *k = r->j->k;
    const int64_t ld = r->j->nr, plane = r->j->out_plane, step = r->j->step_x;

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
    const job *j = r->j;
    const evi_taps *tp = &r->p->taps;
    const evk_act *act = r->j->end ? &r->j->end->act : NULL;
    const bool after = r->last && act && act->kind != EVK_ACT_NONE && !clips(act);
    segment seg[MAX_SEGMENTS];
    int64_t n_seg = 0;

    if (tp->pitch == tp->out_w && j->out_w == tp->out_w && j->step_y == 1 &&
        j->step_x == 1) { /* rows follow one another */
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
        evi_real *out = r->out + i * j->out_plane;

        r->t.m = (int32_t)EVI_MIN(j->mr, r->m - i);
        r->t.a = r->a + i * r->t.k;
        r->t.bias = r->last && r->bias ? r->bias + i : NULL;
        r->t.c = direct ? out + seg[0].to : r->buffer;
        r->t.ldc = direct ? j->out_plane : j->nr;
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

/* One group of one picture: rows y0 .. y0+n_rows-1 of the phase, outputs m0 .. m0+r->m-1. */
static void run_group(run *r, const evi_real *in, const evi_real *packed, int64_t m0, int64_t y0,
                      int64_t n_rows, evi_real *block)
{
    const job *j = r->j;
    const part *p = r->p;
    const int64_t taps = EVI_MAX(p->taps.ny * p->taps.nx, 1), kc = j->k->kc;
    const int64_t channel = evi_taps_channel(&p->taps, j->channel_rows);
    const int64_t height = div_up(j->outputs, j->mr) * j->mr;
    int64_t q = 0;

    do { /* once even when no tap reaches this phase */
        const int64_t c0 = q / taps;
        const evi_real *b = block;

        r->t.k = EVI_MIN(kc, p->depth - q);
        r->add = q > 0 || (j->end && j->end->accumulate);
        r->last = q + r->t.k >= p->depth;
        r->t.flags = (r->add ? EVK_TILE_ADD : 0) |
                     (r->last && j->end && clips(&j->end->act) ? EVK_TILE_CLIP : 0);
        r->t.off = p->off + q;
        r->a = packed + p->pack_at + q * height + m0 * r->t.k;
        if (p->in_place) {
            b = in + c0 * j->in_plane + y0 * p->taps.in_w;
        } else if (r->t.k > 0) {
            for (int64_t c = c0; c <= (q + r->t.k - 1) / taps; c++)
                evi_taps_fill(&p->taps, j->k, in + c * j->in_plane, y0, n_rows, j->channel_rows,
                              block + (c - c0) * channel);
        }
        run_block(r, b, n_rows);
        q += kc;
    } while (q < p->depth);
}

typedef struct jobs {
    job j;
    const part *parts;
} jobs;

static void conv_task(void *arg, int64_t task, int32_t worker)
{
    const jobs *js = arg;
    const job *j = &js->j;
    const evi_conv_shape *s = j->s;
    int64_t rest = task;
    const int64_t mb = rest % j->m_blocks, rb = (rest /= j->m_blocks) % j->row_blocks;
    const int64_t pn = (rest /= j->row_blocks) % j->n_parts;
    const int64_t gb = (rest /= j->n_parts) % j->group_blocks, image = rest / j->group_blocks;
    const part *p = &js->parts[pn];
    const int64_t y0 = rb * j->rows, n_rows = EVI_MIN(j->rows, p->taps.out_h - y0);
    const int64_t m0 = mb * j->m_step;
    evi_real *block = (evi_real *)(void *)(j->scratch + (uint64_t)worker * j->worker_bytes);
    run r = {.j = j, .p = p, .m = EVI_MIN(j->m_step, j->outputs - m0)};

    if (n_rows <= 0 || p->taps.out_w <= 0)
        return;
    r.buffer = block + evi_round_up((uint64_t)j->block_values, EVI_ALIGN / sizeof(evi_real));
    r.t.a_step = j->mr;
    r.t.lo = j->end && j->end->act.kind == EVK_ACT_CLIP ? j->end->act.a : 0;
    r.t.hi = j->end && j->end->act.kind == EVK_ACT_CLIP ? j->end->act.b : (evi_real)INFINITY;
    for (int64_t g = gb * j->group_step; g < EVI_MIN((gb + 1) * j->group_step, s->groups); g++) {
        const int64_t in_at = image * s->groups + g;

        r.out = j->out + (in_at * j->outputs + m0) * j->out_plane +
                (p->py + y0 * j->step_y) * j->out_w + p->px;
        r.bias = j->end && j->end->bias ? j->end->bias + g * j->outputs + m0 : NULL;
        run_group(&r, j->in + in_at * j->channels * j->in_plane, j->packed + g * j->group_pack, m0,
                  y0, n_rows, block);
    }
}

/* ---- outside --------------------------------------------------------------------------------- */

/* Scratch: parts, offsets of all parts, packed weights (when not given), the workers' places. */
static uint64_t parts_bytes(const job *j)
{
    return evi_round_up(sizeof(part) * (uint64_t)j->n_parts, EVI_ALIGN);
}

static uint64_t offsets_bytes(const job *j)
{
    return evi_round_up(sizeof(int32_t) * (uint64_t)(j->channels * j->s->kh * j->s->kw), EVI_ALIGN);
}

uint64_t evi_conv_scratch_bytes(const evi_kernels *k, const evi_conv_shape *s, int32_t pass,
                                bool packed, int32_t n_workers)
{
    job j;

    if (evi_winograd_fits(k, s, pass))
        return evi_winograd_scratch_bytes(k, s, pass, packed, n_workers);
    if (pass == EVI_CONV_BACK_WEIGHTS)
        return evi_conv_weights_scratch_bytes(k, s, n_workers);
    set_sizes(&j, k, s, pass);
    return parts_bytes(&j) + offsets_bytes(&j) + (packed ? 0 : evi_conv_pack_bytes(k, s, pass)) +
           (uint64_t)n_workers * j.worker_bytes;
}

static void correlate(evi_crew *crew, jobs *js, const void *packed, char *scratch)
{
    job *j = &js->j;
    part *parts = (part *)(void *)scratch;
    int32_t *off = (int32_t *)(void *)(scratch + parts_bytes(j));
    int64_t pack_at = 0;

    scratch += parts_bytes(j) + offsets_bytes(j);
    if (packed) {
        j->packed = packed;
    } else {
        j->packed = j->pack_to = (evi_real *)(void *)scratch;
        scratch += evi_conv_pack_bytes(j->k, j->s, j->pass);
        pack_all(crew, j);
    }
    j->scratch = scratch;
    for (int64_t i = 0; i < j->n_parts; i++) {
        set_part(j, i, pack_at, &parts[i]);
        parts[i].off = off;
        set_offsets(j, &parts[i]);
        off += parts[i].depth;
        pack_at += div_up(j->outputs, j->mr) * j->mr * parts[i].depth;
    }
    spread(j, evi_crew_size(crew));
    js->parts = parts;
    evi_parallel(crew, j->s->n * j->group_blocks * j->n_parts * j->row_blocks * j->m_blocks,
                 conv_task, js);
}

void evi_conv_forward(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                      const evi_real *x, const evi_real *w, const void *packed,
                      const evi_conv_end *end, evi_real *y, void *scratch)
{
    jobs js;

    if (evi_winograd_fits(k, s, EVI_CONV_FORWARD)) {
        evi_winograd_forward(crew, k, s, x, w, packed, end, y, scratch);
        return;
    }
    set_sizes(&js.j, k, s, EVI_CONV_FORWARD);
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

    if (evi_winograd_fits(k, s, EVI_CONV_BACK_DATA)) {
        evi_winograd_back_data(crew, k, s, dy, where, w, packed, end, dx, scratch);
        return;
    }
    set_sizes(&js.j, k, s, EVI_CONV_BACK_DATA);
    js.j.in = dy;
    js.j.w = w;
    js.j.out = dx;
    js.j.end = end;
    correlate(crew, &js, packed, scratch);
}
