/* SPDX-License-Identifier: MIT */
/* Gradient of convolution's weights by the tiles of matrix products.
 *
 *     dw[m][c, t] = sum over pictures and pixels of dy[m][p] * x[c][p + offset of t]
 *
 * Some rows of dy and of the bordered x are turned so that the channels of a pixel lie side by
 * side.  Then the sum over pixels is the long index of a tile, m and c are its sides, and a tap is
 * an offset again: no sum over the lanes of a vector, no loads across cache lines, no idle lanes at
 * the ends of rows.  Turning costs a little for each value, so it pays when each is used often.
 *
 * The partial sums [m][t][c] of a number of parts that follows from the shape alone are added in
 * order and turned into [m][c][t]. */
#include "ops/convolve_outer.h"

#include <string.h>

enum {
    PIXELS = 512,         /* of a unit, about */
    TERMS = 256,          /* pixels of one tile's sum at most */
    COPY = 320 << 10,     /* bytes of a panel of turned channels, about */
    SUM_VALUES = 2 << 20, /* of all partial sums together, if more than one */
    TASKS = 8,
    TURN = 16 /* channels copied before they are turned */
};

typedef struct job {
    const evi_kernels *k;
    const evi_conv_shape *s;
    evi_taps taps;
    int64_t n_taps, row; /* row: values of an output channel's part of dw */
    int64_t rows, row_blocks, images, units;
    int64_t channel; /* positions of a channel's copy */
    int64_t most;    /* pixels of a unit at most */
    int64_t panel;   /* channels side by side */
    int64_t n_sums, m_step, m_blocks;
    int32_t mr;
    bool direct; /* dw itself is the only sum */
    uint64_t flat_bytes, turned_bytes, dy_bytes, worker_bytes;
    const evi_real *x, *dy;
    evi_real *dw, *sums;
    int32_t *off;
    bool accumulate;
    char *scratch;
} job;

/* Few uses of each value do not pay for turning it; 1x1 kernels on large planes gain nothing. */
bool evi_conv_outer_fits(const evi_conv_shape *s)
{
    const int64_t phases = EVI_MIN(s->stride_h, s->kh) * EVI_MIN(s->stride_w, s->kw);
    const int64_t plane = s->out_h * s->out_w;

    return s->groups == 1 && !s->pooled && s->c_in >= 16 && s->c_out >= 16 &&
           s->c_out * s->kh * s->kw / phases >= 96 && s->out_w < 4 * PIXELS && plane >= 16 &&
           (s->kh * s->kw > 1 || plane <= PIXELS);
}

static uint64_t bytes_of(int64_t values)
{
    return evi_round_up(sizeof(evi_real) * (uint64_t)values, EVI_ALIGN);
}

static void set_sizes(job *j, const evi_kernels *k, const evi_conv_shape *s)
{
    const bool few = s->c_out <= k->few_mr;
    const int64_t lanes = k->lanes, nr = few ? k->few_nr : k->nr;
    const int64_t vectors = evi_div_up(s->c_in, lanes);

    memset(j, 0, sizeof(*j));
    j->k = k;
    j->s = s;
    j->taps = evi_taps_forward(s);
    j->n_taps = s->kh * s->kw;
    j->row = s->c_in * j->n_taps;
    j->mr = few ? k->few_mr : k->mr;
    j->panel = evi_div_up(vectors, evi_div_up(vectors * lanes, nr)) * lanes;

    const int64_t fixed = evi_taps_channel(&j->taps, 0);
    const int64_t each = evi_taps_channel(&j->taps, 1) - fixed;
    const int64_t room = COPY / (int64_t)sizeof(evi_real) / j->panel;

    j->rows = EVI_MIN(evi_div_up(PIXELS, s->out_w), (room - fixed) / each);
    j->rows = EVI_MIN(EVI_MAX(j->rows, 1), s->out_h);
    j->row_blocks = evi_div_up(s->out_h, j->rows);
    j->rows = evi_div_up(s->out_h, j->row_blocks);
    j->channel = evi_taps_channel(&j->taps, j->rows);
    j->images = 1;
    if (j->row_blocks == 1)
        j->images = EVI_MIN(PIXELS / (s->out_h * s->out_w), room / j->channel);
    j->images = EVI_MAX(EVI_MIN(j->images, s->n), 1);
    j->units = evi_div_up(s->n, j->images) * j->row_blocks;
    j->most = j->images * j->rows * s->out_w;

    /* Each block of outputs turns x again: few of them if there may be several sums. */
    j->n_sums = EVI_MIN(EVI_MIN(TASKS, j->units), SUM_VALUES / (s->c_out * j->row));
    j->n_sums = EVI_MAX(j->n_sums, 1);
    j->m_blocks = evi_div_up(s->c_out, j->n_sums >= TASKS / 2 ? 128 : 64);
    j->m_step = evi_div_up(evi_div_up(s->c_out, j->m_blocks), j->mr) * j->mr;
    j->m_blocks = evi_div_up(s->c_out, j->m_step);
    j->direct = j->n_sums == 1 && j->n_taps == 1;
    j->flat_bytes = bytes_of(EVI_MAX(TURN * j->channel, j->row));
    j->turned_bytes = bytes_of(j->images * j->channel * j->panel);
    j->dy_bytes = bytes_of(j->m_step * j->most);
    j->worker_bytes = j->flat_bytes + j->turned_bytes + j->dy_bytes;
}

static uint64_t offsets_bytes(const job *j)
{
    return evi_round_up(sizeof(int32_t) * (uint64_t)j->most, EVI_ALIGN);
}

uint64_t evi_conv_outer_scratch_bytes(const evi_kernels *k, const evi_conv_shape *s,
                                      int32_t n_workers)
{
    job j;

    set_sizes(&j, k, s);
    return offsets_bytes(&j) + (j.direct ? 0 : bytes_of(j.n_sums * s->c_out * j.row)) +
           (uint64_t)n_workers * j.worker_bytes;
}

/* Channels c0 .. c0+n-1 of a unit's pictures: to[picture][position][panel]. */
static void turn_x(const job *j, int64_t image, int64_t images, int64_t y0, int64_t rows,
                   int64_t c0, int64_t n, evi_real *flat, evi_real *to)
{
    const evi_conv_shape *s = j->s;
    const int64_t plane = s->h * s->w;

    for (int64_t i = 0; i < images; i++, to += j->channel * j->panel) {
        const evi_real *x = j->x + ((image + i) * s->c_in + c0) * plane;

        if (j->taps.in_place) {
            j->k->transpose(n, rows * s->w, x + y0 * s->w, plane, to, j->panel);
            continue;
        }
        for (int64_t c = 0; c < n; c += TURN) {
            const int64_t some = EVI_MIN(TURN, n - c);

            for (int64_t q = 0; q < some; q++)
                evi_taps_fill(&j->taps, j->k, x + (c + q) * plane, y0, rows, j->rows,
                              flat + q * j->channel);
            j->k->transpose(some, j->channel, flat, j->channel, to + c, j->panel);
        }
    }
}

/* Channels m0 .. m0+m-1 of a unit's pictures: to[panel of mr][pixel][mr]. */
static void turn_dy(const job *j, int64_t image, int64_t images, int64_t y0, int64_t rows,
                    int64_t m0, int64_t m, evi_real *to)
{
    const evi_conv_shape *s = j->s;
    const int64_t plane = s->out_h * s->out_w, pixels = rows * s->out_w;

    for (int64_t q = 0; q < m; q += j->mr) {
        for (int64_t i = 0; i < images; i++, to += pixels * j->mr)
            j->k->transpose(EVI_MIN(j->mr, m - q), pixels,
                            j->dy + ((image + i) * s->c_out + m0 + q) * plane + y0 * s->out_w,
                            plane, to, j->mr);
    }
}

/* All taps and outputs for one panel of channels. */
static void run_panel(const job *j, const evi_real *turned, const evi_real *dy, int64_t pixels,
                      int64_t m, int64_t n, bool add, evi_real *sum)
{
    evk_tile t = {.a_step = j->mr, .ldc = j->row, .n = (int32_t)n};
    const int64_t parts = evi_div_up(pixels, TERMS), step = evi_div_up(pixels, parts);

    for (int64_t p = 0; p < pixels; p += step) {
        t.k = EVI_MIN(step, pixels - p);
        t.off = j->off + p;
        t.flags = add || p > 0 ? EVK_TILE_ADD : 0;
        for (int64_t tap = 0; tap < j->n_taps; tap++) {
            t.b = turned + evi_taps_offset(&j->taps, j->rows, tap) * j->panel;
            for (int64_t i = 0; i < m; i += j->mr) {
                t.m = (int32_t)EVI_MIN(j->mr, m - i);
                t.a = dy + i * pixels + p * j->mr;
                t.c = sum + i * j->row + tap * j->s->c_in;
                j->k->tile(&t);
            }
        }
    }
}

static void outer_task(void *arg, int64_t task, int32_t worker)
{
    const job *j = arg;
    const evi_conv_shape *s = j->s;
    const int64_t m0 = task % j->m_blocks * j->m_step, m = EVI_MIN(j->m_step, s->c_out - m0);
    const int64_t number = task / j->m_blocks;
    const int64_t u0 = number * j->units / j->n_sums, u1 = (number + 1) * j->units / j->n_sums;
    char *at = j->scratch + (uint64_t)worker * j->worker_bytes;
    evi_real *flat = (evi_real *)(void *)at;
    evi_real *turned = (evi_real *)(void *)(at + j->flat_bytes);
    evi_real *dy = (evi_real *)(void *)(at + j->flat_bytes + j->turned_bytes);
    evi_real *sum = j->sums + (number * s->c_out + m0) * j->row;

    for (int64_t u = u0; u < u1; u++) {
        const int64_t image = u / j->row_blocks * j->images, y0 = u % j->row_blocks * j->rows;
        const int64_t images = EVI_MIN(j->images, s->n - image);
        const int64_t rows = EVI_MIN(j->rows, s->out_h - y0);

        turn_dy(j, image, images, y0, rows, m0, m, dy);
        for (int64_t c = 0; c < s->c_in; c += j->panel) {
            const int64_t n = EVI_MIN(j->panel, s->c_in - c);

            turn_x(j, image, images, y0, rows, c, n, flat, turned);
            run_panel(j, turned, dy, images * rows * s->out_w, m, n,
                      u > u0 || (j->direct && j->accumulate), sum + c);
        }
    }
}

/* One output channel: the parts together, then [t][c] to [c][t]. */
static void finish_task(void *arg, int64_t m, int32_t worker)
{
    const job *j = arg;
    evi_real *sum = j->sums + m * j->row, *to = j->dw + m * j->row;
    evi_real *turned = (evi_real *)(void *)(j->scratch + (uint64_t)worker * j->worker_bytes);

    for (int64_t q = 1; q < j->n_sums; q++)
        j->k->add(j->row, sum, sum + q * j->s->c_out * j->row, sum);
    if (!j->accumulate) {
        j->k->transpose(j->n_taps, j->s->c_in, sum, j->s->c_in, to, j->n_taps);
        return;
    }
    j->k->transpose(j->n_taps, j->s->c_in, sum, j->s->c_in, turned, j->n_taps);
    j->k->add(j->row, to, turned, to);
}

void evi_conv_outer(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                    const evi_real *x, const evi_real *dy, evi_real *dw, bool accumulate,
                    void *scratch)
{
    job j;

    set_sizes(&j, k, s);
    j.x = x;
    j.dy = dy;
    j.dw = dw;
    j.accumulate = accumulate;
    j.off = scratch;
    j.scratch = (char *)scratch + offsets_bytes(&j);
    j.sums = dw;
    if (!j.direct) {
        j.sums = (evi_real *)(void *)j.scratch;
        j.scratch += bytes_of(j.n_sums * s->c_out * j.row);
    }
    for (int64_t p = 0; p < j.most; p++) {
        const int64_t line = p / s->out_w;

        j.off[p] =
            (int32_t)((line / j.rows * j.channel + line % j.rows * j.taps.pitch + p % s->out_w) *
                      j.panel);
    }
    evi_parallel(crew, j.n_sums * j.m_blocks, outer_task, &j);
    if (!j.direct)
        evi_parallel(crew, s->c_out, finish_task, &j);
}
