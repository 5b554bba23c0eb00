/* SPDX-License-Identifier: MIT */
/* Losses between two tensors of one shape, with PyTorch's meaning: mean square (mse_loss), mean
 * distance (l1_loss; slope 0 where both are equal) and binary cross-entropy on logits
 * (bce_logits_loss).  The target may be absent: then it is the number a.alpha everywhere, as the
 * "real" and "fake" of a discriminator.
 *
 * The sum is taken in pieces of a fixed size, each in double, and the pieces are added in order: so
 * it is the same for any number of threads. */
#include "ops/check.h"
#include "ops/table.h"

#include <string.h>
#include <tgmath.h>

enum { PIECE = 8192 };

static ev_status loss_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                            int32_t n_out)
{
    char tx[EVI_SHAPE_TEXT], ty[EVI_SHAPE_TEXT];
    (void)n_out;
    EVI_TRY(evi_need_real(in, n_in, 0, "the input"));
    if (evi_edge_has(in, n_in, 1)) {
        EVI_TRY(evi_need_real(in, n_in, 1, "the target"));
        if (!evi_shape_equal(&in[0].shape, &in[1].shape))
            return evi_fail(EV_ERR_SHAPE, "target %s must have the shape of the input %s",
                            evi_shape_text(&in[1].shape, ty), evi_shape_text(&in[0].shape, tx));
    }
    if (a->reduce < EVI_REDUCE_MEAN_OF_BATCH || a->reduce > EVI_REDUCE_NONE)
        return evi_fail(EV_ERR_ARGUMENT, "reduction %d is unknown", (int)a->reduce);
    evi_shape scalar = {0};
    evi_edge_set(out, 0, in[0].type, a->reduce == EVI_REDUCE_NONE ? &in[0].shape : &scalar);
    return EV_OK;
}

static void loss_prepare(evi_step *s)
{
    uint64_t pieces = ((uint64_t)evi_shape_count(&s->in[0]->shape) + PIECE - 1) / PIECE;
    s->scratch_bytes = pieces * sizeof(double);
}

static evi_real target_at(const evi_step *s, int64_t i)
{
    return evi_has_in(s, 1) ? evi_in(s, 1)[i] : EVI_REAL(s->a.alpha);
}

/* ---- the three formulas --------------------------------------------------------------------- */

static evi_real mse_value(evi_real x, evi_real t)
{
    return (x - t) * (x - t);
}
static evi_real mse_slope(evi_real x, evi_real t)
{
    return 2 * (x - t);
}
static evi_real l1_value(evi_real x, evi_real t)
{
    return fabs(x - t);
}
static evi_real l1_slope(evi_real x, evi_real t)
{
    return isnan(x - t) ? x - t : (evi_real)((x > t) - (x < t));
}
/* log(1 + exp(x)) - t x, written so that neither sign of x overflows. */
static evi_real bce_value(evi_real x, evi_real t)
{
    evi_real top = x < 0 ? 0 : x;
    return top - t * x + log1p(exp(-fabs(x)));
}
static evi_real bce_slope(evi_real x, evi_real t)
{
    evi_real e = exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e) - t;
}

typedef evi_real (*formula)(evi_real x, evi_real t);

/* Called with a constant formula in each of the functions below, so that it is inlined. */
static inline void sum_range(const evi_step *s, int64_t first, int64_t count, formula value)
{
    double sum = 0;
    bool each = s->a.reduce == EVI_REDUCE_NONE;
    for (int64_t i = first; i < first + count; i++) {
        evi_real v = value(evi_in(s, 0)[i], target_at(s, i));
        if (each)
            evi_out(s, 0)[i] = v;
        sum += v;
    }
    ((double *)s->scratch)[first / PIECE] = sum;
}

static inline void slope_range(const evi_step *s, int64_t first, int64_t count, formula slope)
{
    const evi_real *dy = s->out[0]->grad;
    evi_real *dx = s->in[0]->grad;
    bool each = s->a.reduce == EVI_REDUCE_NONE;
    int64_t n = evi_shape_count(&s->in[0]->shape);
    evi_real g = dy[0] / (s->a.reduce == EVI_REDUCE_MEAN_OF_BATCH ? (evi_real)n : 1);
    bool is_first = evi_grad_is_first(s, 0);
    for (int64_t i = first; i < first + count && dx != NULL; i++) {
        evi_real d = (each ? dy[i] : g) * slope(evi_in(s, 0)[i], target_at(s, i));
        dx[i] = is_first ? d : dx[i] + d;
    }
}

/* Gradient of the target: the opposite one, but for the cross-entropy, where it is -x. */
static void target_range(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    const evi_real *dy = s->out[0]->grad;
    bool each = s->a.reduce == EVI_REDUCE_NONE, is_first = evi_grad_is_first(s, 1);
    int64_t n = evi_shape_count(&s->in[0]->shape);
    evi_real g = dy[0] / (s->a.reduce == EVI_REDUCE_MEAN_OF_BATCH ? (evi_real)n : 1);
    for (int64_t i = first; i < first + count; i++) {
        evi_real x = evi_in(s, 0)[i], t = evi_in(s, 1)[i];
        evi_real slope = s->op == &evi_op_mse_loss  ? mse_slope(x, t)
                         : s->op == &evi_op_l1_loss ? l1_slope(x, t)
                                                    : x;
        evi_real d = -(each ? dy[i] : g) * slope;
        s->in[1]->grad[i] = is_first ? d : s->in[1]->grad[i] + d;
    }
}

static void mse_sum(void *arg, int64_t first, int64_t count)
{
    sum_range(arg, first, count, mse_value);
}
static void mse_slopes(void *arg, int64_t first, int64_t count)
{
    slope_range(arg, first, count, mse_slope);
}
static void l1_sum(void *arg, int64_t first, int64_t count)
{
    sum_range(arg, first, count, l1_value);
}
static void l1_slopes(void *arg, int64_t first, int64_t count)
{
    slope_range(arg, first, count, l1_slope);
}
static void bce_sum(void *arg, int64_t first, int64_t count)
{
    sum_range(arg, first, count, bce_value);
}
static void bce_slopes(void *arg, int64_t first, int64_t count)
{
    slope_range(arg, first, count, bce_slope);
}

/* ---- forward and backward ------------------------------------------------------------------- */

static void forward(evi_step *s, evi_range_fn fn)
{
    int64_t n = evi_shape_count(&s->in[0]->shape);
    evi_for_ranges(s->crew, n, PIECE, fn, s);
    if (s->a.reduce == EVI_REDUCE_NONE)
        return;
    double sum = 0;
    for (int64_t i = 0; i * PIECE < n; i++)
        sum += ((const double *)s->scratch)[i];
    evi_out(s, 0)[0] = (evi_real)(s->a.reduce == EVI_REDUCE_SUM ? sum : sum / (double)n);
}

static void backward(evi_step *s, evi_range_fn fn)
{
    int64_t n = evi_shape_count(&s->in[0]->shape);
    if (s->in[0]->grad != NULL)
        evi_for_ranges(s->crew, n, PIECE, fn, s);
    if (evi_has_in(s, 1) && s->in[1]->grad != NULL)
        evi_for_ranges(s->crew, n, PIECE, target_range, s);
}

static void mse_forward(evi_step *s)
{
    forward(s, mse_sum);
}
static void mse_backward(evi_step *s)
{
    backward(s, mse_slopes);
}
static void l1_forward(evi_step *s)
{
    forward(s, l1_sum);
}
static void l1_backward(evi_step *s)
{
    backward(s, l1_slopes);
}
static void bce_forward(evi_step *s)
{
    forward(s, bce_sum);
}
static void bce_backward(evi_step *s)
{
    backward(s, bce_slopes);
}

static void loss_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                          int32_t n_out, evi_coupling *c)
{
    (void)a, (void)in, (void)n_in, (void)out, (void)n_out;
    c->blocked = "the channels are what a loss compares";
}

static double loss_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                         int32_t n_out)
{
    (void)a, (void)n_in, (void)out, (void)n_out;
    return 3.0 * (double)evi_shape_count(&in[0].shape);
}

#define EVI_LOSS(id, fw, bw)                                  \
    const evi_op evi_op_##id = {.name = #id,                  \
                                .traits = EVI_OP_LOSS,        \
                                .bwd_in = 1 << 0 | 1 << 1,    \
                                .min_in = 1,                  \
                                .max_in = 2,                  \
                                .max_out = 1,                 \
                                .infer = loss_infer,          \
                                .prepare = loss_prepare,      \
                                .forward = fw,                \
                                .backward = EVI_BACKWARD(bw), \
                                .channels = loss_channels,    \
                                .flops = loss_flops}

EVI_LOSS(mse_loss, mse_forward, mse_backward);
EVI_LOSS(l1_loss, l1_forward, l1_backward);
EVI_LOSS(bce_logits_loss, bce_forward, bce_backward);
