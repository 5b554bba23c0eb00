/* SPDX-License-Identifier: MIT */
/* Batch normalisation of x [N,C,d1,...]; ONNX BatchNormalization.
 * Inputs: x, scale [C], bias [C], running mean [C], running variance [C].
 * Source: Ioffe, Szegedy, "Batch normalization: accelerating deep network training by reducing
 * internal covariate shift" (2015).
 *
 * Inference uses the running numbers.  Training uses the mean and the (biased) variance of the
 * batch and moves the running ones, unless the step is frozen:
 *     running = momentum * running + (1 - momentum) * batch
 * with the unbiased variance, as PyTorch does.  a.flag: BN_PER_ELEMENT is `spatial 0` of opset
 * below 9 (one scale for each element of a picture); BN_ONNX_TRAINING is `training_mode 1`, which
 * uses the batch in any plan, gives the moved numbers as outputs 1 and 2 and counts with the biased
 * variance.
 *
 * Backward.  With m values to a channel, r = 1 / sqrt(variance + epsilon), S1 = sum dy and
 * S2 = sum dy (x - mean):  dscale = r S2, dbias = S1 and
 *     dx = scale r (dy - S1 / m - (x - mean) r^2 S2 / m),
 * one pass over dy and x as a dy + b x + c.  EVI_BATCH_NORM_RUNNING (pruning asks how much the
 * weights of a trained net matter): statistics are constants, so dx = scale r dy. */
#include "ops/check.h"

#include <tgmath.h>

enum { BN_PER_ELEMENT = 1, BN_ONNX_TRAINING = 2 };

typedef struct bn_shape {
    int64_t n, c, plane;
} bn_shape;

static bn_shape shape_of(const evi_attrs *a, const evi_shape *x)
{
    bn_shape b = {x->dim[0], x->dim[1], evi_shape_span(x, 2, x->rank)};
    if (a->flag & BN_PER_ELEMENT) {
        b.c *= b.plane;
        b.plane = 1;
    }
    return b;
}

static ev_status bn_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                          int32_t n_out)
{
    static const char *const names[] = {"the input", "the scale", "the bias", "the running mean",
                                        "the running variance"};
    EVI_TRY(evi_need_rank(in, n_in, 0, 2, EV_MAX_RANK, names[0]));
    bn_shape b = shape_of(a, &in[0].shape);
    for (int32_t i = 1; i < 5; i++) {
        EVI_TRY(evi_need_real(in, n_in, i, names[i]));
        if (evi_shape_count(&in[i].shape) != b.c)
            return evi_fail(EV_ERR_SHAPE, "%s has %lld values for %lld channels", names[i],
                            (long long)evi_shape_count(&in[i].shape), (long long)b.c);
    }
    evi_edge_set(out, 0, in[0].type, &in[0].shape);
    for (int32_t i = 1; i < n_out; i++)
        evi_edge_set(out, i, in[0].type, &in[3].shape);
    return EV_OK;
}

static bool uses_batch(const evi_step *s)
{
    return (s->training && !(s->a.flag & EVI_BATCH_NORM_RUNNING)) ||
           (s->a.flag & BN_ONNX_TRAINING) != 0;
}

/* saved: mean and 1 / deviation of each channel */
static void bn_prepare(evi_step *s)
{
    bn_shape b = shape_of(&s->a, &s->in[0]->shape);
    if (s->training)
        s->saved_bytes = (uint64_t)b.c * 2 * sizeof(evi_real);
}

/* Channels are worked on in groups: where a channel is one number to a picture ([N,C]), the inner
 * loops run over the channels of a group, else over the plane of one channel. */
enum { GROUP = 64 };

typedef struct group {
    int64_t first, count;            /* channels */
    double sum[GROUP], other[GROUP]; /* of x and (x - mean)^2; backward: of dy and dy (x - mean) */
    evi_real mean[GROUP];
    evi_real a[GROUP], b[GROUP], c[GROUP]; /* y = a x + b;  dx = a dy + b x + c */
    evi_real slope[GROUP], shift[GROUP];   /* backward: y = slope x + shift */
} group;

typedef struct moments {
    evi_real mean, variance;
} moments;

static void sum_rows(const evi_step *s, const bn_shape *b, group *g)
{
    for (int64_t i = 0; i < b->n; i++) {
        const evi_real *x = evi_in(s, 0) + i * b->c + g->first;
        for (int64_t c = 0; c < g->count; c++)
            g->sum[c] += x[c];
    }
    for (int64_t c = 0; c < g->count; c++)
        g->mean[c] = (evi_real)(g->sum[c] / (double)b->n);
    for (int64_t i = 0; i < b->n; i++) {
        const evi_real *x = evi_in(s, 0) + i * b->c + g->first;
        for (int64_t c = 0; c < g->count; c++)
            g->other[c] += (x[c] - g->mean[c]) * (x[c] - g->mean[c]);
    }
}

/* Two passes, so that a large mean costs no digits; the parts are added in order, in double. */
static void measure(const evi_step *s, const bn_shape *b, group *g)
{
    double count = (double)b->n * (double)b->plane;
    for (int64_t c = 0; c < g->count; c++)
        g->sum[c] = g->other[c] = 0;
    if (b->plane == 1)
        sum_rows(s, b, g);
    for (int64_t c = 0; b->plane > 1 && c < g->count; c++) {
        const evi_real *x = evi_in(s, 0) + (g->first + c) * b->plane;
        int64_t step = b->c * b->plane;
        for (int64_t i = 0; i < b->n; i++)
            g->sum[c] += s->k->sum(b->plane, x + i * step);
        g->mean[c] = (evi_real)(g->sum[c] / count);
        for (int64_t i = 0; i < b->n; i++)
            g->other[c] += s->k->sum_squares(b->plane, x + i * step, g->mean[c]);
    }
    for (int64_t c = 0; c < g->count; c++)
        g->other[c] /= count;
}

static evi_real mixed(const evi_step *s, evi_real running, evi_real batch)
{
    evi_real m = (evi_real)s->a.momentum;
    return m * running + (1 - m) * batch;
}

static void move_running(const evi_step *s, const bn_shape *b, int64_t channel, moments now)
{
    evi_real *mean = evi_in(s, 3) + channel, *variance = evi_in(s, 4) + channel;
    if (s->a.flag & BN_ONNX_TRAINING) {
        if (evi_step_has_out(s, 1))
            evi_out(s, 1)[channel] = mixed(s, *mean, now.mean);
        if (evi_step_has_out(s, 2))
            evi_out(s, 2)[channel] = mixed(s, *variance, now.variance);
    }
    if (s->training && !s->frozen) {
        double count = (double)b->n * (double)b->plane;
        evi_real unbiased =
            count > 1 ? (evi_real)(now.variance * (count / (count - 1))) : now.variance;
        *mean = mixed(s, *mean, now.mean);
        *variance = mixed(s, *variance, unbiased);
    }
}

static void find_slopes(const evi_step *s, const bn_shape *b, group *g)
{
    for (int64_t c = 0; c < g->count; c++) {
        int64_t channel = g->first + c;
        moments now = {evi_in(s, 3)[channel], evi_in(s, 4)[channel]};
        if (uses_batch(s)) {
            now = (moments){g->mean[c], (evi_real)g->other[c]};
            move_running(s, b, channel, now);
        }
        evi_real inverse = 1 / sqrt(now.variance + EVI_REAL(s->a.epsilon));
        if (s->training) {
            ((evi_real *)s->saved)[2 * channel] = now.mean;
            ((evi_real *)s->saved)[2 * channel + 1] = inverse;
        }
        g->a[c] = evi_in(s, 1)[channel] * inverse;
        g->b[c] = evi_in(s, 2)[channel] - now.mean * g->a[c];
    }
}

static void apply(const evi_step *s, const bn_shape *b, const group *g)
{
    evk_act act = evi_step_act(s);
    for (int64_t i = 0; i < b->n; i++) {
        const evi_real *x = evi_in(s, 0) + (i * b->c + g->first) * b->plane;
        evi_real *y = evi_out(s, 0) + (i * b->c + g->first) * b->plane;
        for (int64_t c = 0; b->plane > 1 && c < g->count; c++)
            s->k->norm_act(b->plane, x + c * b->plane, g->a[c], g->b[c], &act, y + c * b->plane);
        if (b->plane > 1)
            continue;
        for (int64_t c = 0; c < g->count; c++)
            y[c] = x[c] * g->a[c] + g->b[c];
        if (act.kind != EVK_ACT_NONE)
            s->k->act(g->count, y, 0, &act, y);
    }
}

static void forward_range(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    bn_shape b = shape_of(&s->a, &s->in[0]->shape);
    int64_t most = b.plane == 1 ? GROUP : 1; /* one channel at a time stays in the cache */
    for (int64_t c = 0; c < count; c += most) {
        group g = {.first = first + c, .count = EVI_MIN(most, count - c)};
        if (uses_batch(s))
            measure(s, &b, &g);
        find_slopes(s, &b, &g);
        apply(s, &b, &g);
    }
}

static void for_channels(evi_step *s, evi_range_fn fn)
{
    bn_shape b = shape_of(&s->a, &s->in[0]->shape);
    int64_t piece = EVI_MAX(16384 / (b.n * b.plane), b.plane == 1 ? GROUP : 1);
    evi_for_ranges(s->crew, b.c, piece, fn, s);
}

static void bn_forward(evi_step *s)
{
    for_channels(s, forward_range);
    for (int32_t i = s->a.flag & BN_ONNX_TRAINING ? 3 : 1; i < s->n_out; i++) {
        /* outputs of opset < 9 that nobody reads: the running numbers again */
        const evi_real *from = evi_in(s, i % 2 ? 3 : 4);
        for (int64_t c = 0; evi_step_has_out(s, i) && c < evi_shape_count(&s->out[i]->shape); c++)
            evi_out(s, i)[c] = from[c];
    }
}

static void add_to_vector(evi_step *s, int32_t i, int64_t channel, evi_real value)
{
    if (s->in[i]->grad != NULL)
        s->in[i]->grad[channel] = evi_grad_is_first(s, i) ? value : s->in[i]->grad[channel] + value;
}

/* dy behind the fused activation, where a channel is one number to a picture */
static evi_real passed(const group *g, int64_t c, evi_real leak, evi_real x, evi_real dy)
{
    return x * g->slope[c] + g->shift[c] > 0 ? dy : leak * dy;
}

static void back_sums(const evi_step *s, const bn_shape *b, group *g)
{
    evi_real leak = evi_norm_leak(s);
    for (int64_t i = 0; i < b->n; i++) {
        int64_t at = (i * b->c + g->first) * b->plane;
        const evi_real *x = evi_in(s, 0) + at, *dy = s->out[0]->grad + at;
        for (int64_t c = 0; b->plane == 1 && c < g->count; c++) {
            evi_real d = passed(g, c, leak, x[c], dy[c]);
            g->sum[c] += d;
            g->other[c] += d * (x[c] - g->mean[c]);
        }
        for (int64_t c = 0; b->plane > 1 && c < g->count; c++) {
            evk_norm o = {.a = g->slope[c], .b = g->shift[c], .leak = leak, .mean = g->mean[c]};
            int64_t p = c * b->plane;
            evi_real sums[2];
            s->k->norm_sums(b->plane, dy + p, x + p, &o, sums);
            g->sum[c] += sums[0];
            g->other[c] += sums[1];
        }
    }
}

static void back_slopes(evi_step *s, const bn_shape *b, group *g)
{
    double m = (double)b->n * (double)b->plane;
    for (int64_t c = 0; c < g->count; c++) {
        int64_t channel = g->first + c;
        double inverse = (double)((const evi_real *)s->saved)[2 * channel + 1];
        double a1 = (double)evi_in(s, 1)[channel] * inverse;
        double a2 = uses_batch(s) ? -a1 * inverse * inverse * g->other[c] / m : 0;
        double a3 = uses_batch(s) ? -a1 * g->sum[c] / m - a2 * (double)g->mean[c] : 0;
        g->a[c] = (evi_real)a1;
        g->b[c] = (evi_real)a2;
        g->c[c] = (evi_real)a3;
        add_to_vector(s, 1, channel, (evi_real)(g->other[c] * inverse));
        add_to_vector(s, 2, channel, (evi_real)g->sum[c]);
    }
}

static void back_apply(const evi_step *s, const bn_shape *b, const group *g)
{
    bool add = !evi_grad_is_first(s, 0);
    evi_real leak = evi_norm_leak(s);
    for (int64_t i = 0; i < b->n; i++) {
        int64_t at = (i * b->c + g->first) * b->plane;
        const evi_real *x = evi_in(s, 0) + at, *dy = s->out[0]->grad + at;
        evi_real *dx = s->in[0]->grad + at;
        for (int64_t c = 0; b->plane == 1 && c < g->count; c++)
            dx[c] = (add ? dx[c] : 0) + g->a[c] * passed(g, c, leak, x[c], dy[c]) + g->b[c] * x[c] +
                    g->c[c];
        for (int64_t c = 0; b->plane > 1 && c < g->count; c++) {
            evk_norm o = {.a = g->slope[c],
                          .b = g->shift[c],
                          .leak = leak,
                          .p = g->a[c],
                          .q = g->b[c],
                          .r = g->c[c]};
            int64_t p = c * b->plane;
            s->k->norm_back(b->plane, dy + p, x + p, &o, dx + p, add);
        }
    }
}

static void backward_range(void *arg, int64_t first, int64_t count)
{
    evi_step *s = arg;
    bn_shape b = shape_of(&s->a, &s->in[0]->shape);
    int64_t most = b.plane == 1 ? GROUP : 1;
    for (int64_t at = 0; at < count; at += most) {
        group g = {.first = first + at, .count = EVI_MIN(most, count - at)};
        for (int64_t c = 0; c < g.count; c++) {
            const evi_real *saved = (const evi_real *)s->saved + 2 * (g.first + c);
            g.mean[c] = saved[0];
            g.slope[c] = evi_in(s, 1)[g.first + c] * saved[1];
            g.shift[c] = evi_in(s, 2)[g.first + c] - saved[0] * g.slope[c];
        }
        back_sums(s, &b, &g);
        back_slopes(s, &b, &g);
        if (s->in[0]->grad != NULL)
            back_apply(s, &b, &g);
    }
}

static void bn_backward(evi_step *s)
{
    for_channels(s, backward_range);
    for (int32_t i = 3; i < 5; i++) /* the running numbers take no part in training */
        (void)evi_grad_start(s, i);
}

static void bn_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                        int32_t n_out, evi_coupling *c)
{
    int64_t channels = in[0].shape.dim[1];
    if (a->flag & BN_PER_ELEMENT) {
        c->blocked = "one scale for each element of a picture";
        return;
    }
    int32_t set = evi_couple_set(c);
    evi_couple(c, set, 0, 1, 0, channels, 1);
    evi_couple(c, set, ~0, 1, 0, channels, 1);
    for (int32_t i = 1; i < n_in; i++)
        evi_couple(c, set, i, 0, 0, channels, 1);
    for (int32_t i = 1; i < n_out; i++)
        if (out[i].type != 0)
            evi_couple(c, set, ~i, 0, 0, channels, 1);
}

static double bn_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                       int32_t n_out)
{
    (void)a, (void)n_in, (void)out, (void)n_out;
    return 2.0 * (double)evi_shape_count(&in[0].shape);
}

const evi_op evi_op_batch_norm = {.name = "batch_norm",
                                  .onnx = "BatchNormalization",
                                  .traits = EVI_OP_FUSES_ACT | EVI_OP_ACT_FROM_IN,
                                  .bwd_in = 1 << 0 | 1 << 1 | 1 << 2,
                                  .min_in = 5,
                                  .max_in = 5,
                                  .max_out = 5,
                                  .infer = bn_infer,
                                  .prepare = bn_prepare,
                                  .forward = bn_forward,
                                  .backward = EVI_BACKWARD(bn_backward),
                                  .channels = bn_channels,
                                  .flops = bn_flops};
