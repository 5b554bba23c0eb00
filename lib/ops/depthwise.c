/* SPDX-License-Identifier: MIT */
/* Convolution with as many groups as channels: each plane by a small kernel of its own.
 *
 * A plane is copied into a worker's buffer with a border of zeros, which stays from plane to plane;
 * then a tap is an offset and one stencil call makes the whole output plane.  With a horizontal
 * stride of 2 the even and the odd columns of the buffer are parted first.  The gradient of x is
 * the same stencil, the kernel turned round, over dy with zeros between its values. */
#include "ops/depthwise.h"

#include <math.h>
#include <string.h>

enum { MOST_TAPS = 64, MOST_VALUES = 128 << 10, PLANES = 16 };

typedef struct job {
    const evi_kernels *k;
    const evi_conv_shape *s;
    const evi_conv_end *end;
    int64_t taps;
    int64_t in_h, in_w, out_h, out_w; /* of the pass */
    int64_t top, left;                /* of the border */
    int64_t gap_y, gap_x;             /* rows and columns of the buffer between values copied */
    int64_t step_y, step_x;           /* ... and between outputs */
    int64_t rows, pitch;              /* of the buffer */
    uint64_t plane_bytes;
    bool turned;
    const evi_real *in, *w, *dy;
    evi_real *out;
    bool accumulate;
    char *scratch;
    int32_t off[MOST_TAPS];
} job;

static int64_t rows_of(const evi_conv_shape *s, int32_t pass)
{
    return pass == EVI_CONV_BACK_DATA ? s->h + s->dilation_h * (s->kh - 1)
                                      : s->h + s->pad_top + s->pad_bottom;
}

/* Even, so that columns keep their parity from row to row. */
static int64_t pitch_of(const evi_conv_shape *s, int32_t pass)
{
    const int64_t w = pass == EVI_CONV_BACK_DATA ? s->w + s->dilation_w * (s->kw - 1)
                                                 : s->w + s->pad_left + s->pad_right;

    return (w + 1) / 2 * 2;
}

bool evi_depthwise_fits(const evi_conv_shape *s)
{
    const int64_t reach_y = s->dilation_h * (s->kh - 1), reach_x = s->dilation_w * (s->kw - 1);

    return s->groups > 1 && s->groups == s->c_in && s->c_out == s->c_in && !s->pooled &&
           s->kh * s->kw <= MOST_TAPS && s->stride_w <= 2 && s->pad_top <= reach_y &&
           s->pad_left <= reach_x && s->h < MOST_VALUES && s->w < MOST_VALUES &&
           s->pad_bottom < MOST_VALUES && s->pad_right < MOST_VALUES && reach_y < MOST_VALUES &&
           reach_x < MOST_VALUES && (rows_of(s, 0) + 1) * pitch_of(s, 0) <= MOST_VALUES &&
           (rows_of(s, EVI_CONV_BACK_DATA) + 1) * pitch_of(s, EVI_CONV_BACK_DATA) <= MOST_VALUES;
}

static uint64_t plane_bytes(const evi_conv_shape *s, int32_t pass)
{
    return evi_round_up(sizeof(evi_real) * (uint64_t)(rows_of(s, pass) * pitch_of(s, pass)),
                        EVI_ALIGN);
}

/* The buffer, and where its columns are parted. */
static uint64_t worker_bytes(const evi_conv_shape *s, int32_t pass)
{
    const bool parted = s->stride_w == 2 && pass != EVI_CONV_BACK_DATA;

    return plane_bytes(s, pass) * (parted ? 2 : 1);
}

uint64_t evi_depthwise_scratch_bytes(const evi_conv_shape *s, int32_t pass, int32_t n_workers)
{
    return (uint64_t)n_workers * worker_bytes(s, pass);
}

static void set_job(job *j, const evi_kernels *k, const evi_conv_shape *s, int32_t pass,
                    void *scratch)
{
    const bool back = pass == EVI_CONV_BACK_DATA;

    memset(j, 0, sizeof(*j));
    j->k = k;
    j->s = s;
    j->taps = s->kh * s->kw;
    j->turned = back;
    j->in_h = back ? s->out_h : s->h;
    j->in_w = back ? s->out_w : s->w;
    j->out_h = back ? s->h : s->out_h;
    j->out_w = back ? s->w : s->out_w;
    j->top = back ? s->dilation_h * (s->kh - 1) - s->pad_top : s->pad_top;
    j->left = back ? s->dilation_w * (s->kw - 1) - s->pad_left : s->pad_left;
    j->gap_y = back ? s->stride_h : 1;
    j->gap_x = back ? s->stride_w : 1;
    j->step_y = back ? 1 : s->stride_h;
    j->step_x = back ? 1 : s->stride_w;
    j->rows = rows_of(s, pass);
    j->pitch = pitch_of(s, pass);
    j->plane_bytes = plane_bytes(s, pass);
    j->scratch = scratch;
    for (int64_t t = 0; t < j->taps; t++) {
        const int64_t y = t / s->kw * s->dilation_h, x = t % s->kw * s->dilation_w;

        j->off[t] = (int32_t)(y * j->pitch + x);
        if (j->step_x == 2) /* the odd columns follow the even ones */
            j->off[t] = (int32_t)(x % 2 * (j->rows * j->pitch / 2) + y * j->pitch / 2 + x / 2);
    }
}

static evi_real *buffer_of(const job *j, int32_t worker)
{
    const uint64_t each = j->plane_bytes * (j->step_x == 2 ? 2 : 1);

    return (evi_real *)(void *)(j->scratch + (uint64_t)worker * each);
}

/* A plane into the buffer; gives where the stencil reads. */
static const evi_real *fill(const job *j, const evi_real *x, evi_real *buffer)
{
    evi_real *to = buffer + j->top * j->pitch + j->left;
    evi_real *parted = (evi_real *)(void *)((char *)buffer + j->plane_bytes);
    const int64_t half = j->rows * j->pitch / 2;
    /* Rows and columns that no output reaches are not there. */
    const int64_t h = EVI_MIN(j->in_h, (j->rows - j->top + j->gap_y - 1) / j->gap_y);
    const int64_t w = EVI_MIN(j->in_w, (j->pitch - j->left + j->gap_x - 1) / j->gap_x);

    if (j->gap_x == 1)
        j->k->copy_rows(h, w, x, j->in_w, to, j->pitch * j->gap_y);
    else
        for (int64_t y = 0; y < h; y++)
            j->k->scatter(w, x + y * j->in_w, to + y * j->gap_y * j->pitch, j->gap_x, 0);
    if (j->step_x == 1)
        return buffer;
    j->k->gather(half, buffer, 2, parted);
    j->k->gather(half, buffer + 1, 2, parted + half);
    return parted;
}

static void stencil_task(void *arg, int64_t task, int32_t worker)
{
    const job *j = arg;
    const int64_t channels = j->s->c_in, first = task * PLANES;
    const evk_act *act = j->end ? &j->end->act : NULL;
    const bool clips = act && (act->kind == EVK_ACT_RELU || act->kind == EVK_ACT_CLIP);
    evi_real *buffer = buffer_of(j, worker), turned[MOST_TAPS];
    evk_stencil t = {.rows = j->out_h,
                     .len = j->out_w,
                     .b_step = j->step_y * j->pitch / j->step_x,
                     .off = j->off,
                     .n = (int32_t)j->taps,
                     .ldc = j->out_w,
                     .flags = (j->end && j->end->accumulate ? EVK_TILE_ADD : 0) |
                              (clips ? EVK_TILE_CLIP : 0),
                     .lo = clips && act->kind == EVK_ACT_CLIP ? act->a : 0,
                     .hi = clips && act->kind == EVK_ACT_CLIP ? act->b : (evi_real)INFINITY};

    memset(buffer, 0, j->plane_bytes);
    for (int64_t p = first; p < EVI_MIN(first + PLANES, j->s->n * channels); p++) {
        const int64_t c = p % channels;

        t.b = fill(j, j->in + p * j->in_h * j->in_w, buffer);
        t.w = j->w + c * j->taps;
        for (int64_t q = 0; j->turned && q < j->taps; q++)
            turned[q] = t.w[j->taps - 1 - q];
        if (j->turned)
            t.w = turned;
        t.bias = j->end && j->end->bias ? j->end->bias + c : NULL;
        t.c = j->out + p * j->out_h * j->out_w;
        j->k->stencil(&t);
        if (act && act->kind != EVK_ACT_NONE && !clips)
            j->k->act(j->out_h * j->out_w, t.c, 0, act, t.c);
    }
}

static void run(evi_crew *crew, job *j)
{
    evi_parallel(crew, (j->s->n * j->s->c_in + PLANES - 1) / PLANES, stencil_task, j);
}

void evi_depthwise_forward(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                           const evi_real *x, const evi_real *w, const evi_conv_end *end,
                           evi_real *y, void *scratch)
{
    job j;

    set_job(&j, k, s, EVI_CONV_FORWARD, scratch);
    j.in = x;
    j.w = w;
    j.end = end;
    j.out = y;
    run(crew, &j);
}

void evi_depthwise_back_data(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                             const evi_real *dy, const evi_real *w, const evi_conv_end *end,
                             evi_real *dx, void *scratch)
{
    job j;

    set_job(&j, k, s, EVI_CONV_BACK_DATA, scratch);
    j.in = dy;
    j.w = w;
    j.end = end;
    j.out = dx;
    run(crew, &j);
}

/* Some channels, picture by picture. */
static void weights_task(void *arg, int64_t task, int32_t worker)
{
    const job *j = arg;
    const int64_t channels = j->s->c_in, first = task * PLANES, few = j->k->dot_few_nr;
    evi_real *buffer = buffer_of(j, worker);
    evk_dot_tile t = {.planes = 1,
                      .rows = j->out_h,
                      .len = j->out_w,
                      .a_step = j->out_w,
                      .b_step = j->step_y * j->pitch / j->step_x,
                      .ldc = j->taps,
                      .m = 1};

    memset(buffer, 0, j->plane_bytes);
    for (int64_t c = first; c < EVI_MIN(first + PLANES, channels); c++) {
        for (int64_t i = 0; i < j->s->n; i++) {
            const int64_t p = i * channels + c;

            t.a = j->dy + p * j->out_h * j->out_w;
            t.b = fill(j, j->in + p * j->in_h * j->in_w, buffer);
            t.flags = i > 0 || j->accumulate ? EVK_TILE_ADD : 0;
            for (int64_t q = 0; q < j->taps; q += few) {
                t.n = (int32_t)EVI_MIN(few, j->taps - q);
                t.off = j->off + q;
                t.c = j->out + c * j->taps + q;
                j->k->dot_tile(&t);
            }
        }
    }
}

void evi_depthwise_back_weights(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                                const evi_real *x, const evi_real *dy, evi_real *dw,
                                bool accumulate, void *scratch)
{
    job j;

    set_job(&j, k, s, EVI_CONV_BACK_WEIGHTS, scratch);
    j.in = x;
    j.dy = dy;
    j.out = dw;
    j.accumulate = accumulate;
    evi_parallel(crew, (s->c_in + PLANES - 1) / PLANES, weights_task, &j);
}
