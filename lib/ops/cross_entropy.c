/* SPDX-License-Identifier: MIT */
/* Cross-entropy of logits [N,C] or [N,C,d1,...], with PyTorch's meaning throughout.
 *
 * cross_entropy: labels [N] or [N,d1,...] of int32 or int64; -100 is left out.
 *   With p = softmax(logits), class weights w (1 if absent), smoothing e, label y of a row:
 *       row loss = -(1-e) w_y log p_y - (e/C) sum_c w_c log p_c
 *   and the mean divides by the sum of the w_y, not by the rows.
 * soft_cross_entropy: target probabilities t of the logits' shape, temperature T (alpha; 0: 1):
 *       row loss = -sum_c w_c t'_c log softmax(logits / T)_c,   t' = (1-e) t + e/C
 *   and the mean divides by the rows.  The factor T^2 of Hinton, Vinyals, Dean ("Distilling the
 *   knowledge in a neural network", 2015), which keeps gradients in scale, is left to the weight
 *   of the loss.
 *
 * log p_c is taken as (x_c - max) - log sum exp(x - max): both parts are kept for backward, since
 * max + log sum rounded to one number would lose digits for large logits. */
#include "ops/check.h"

#include <tgmath.h>

enum { IGNORED = -100 };

typedef struct rows_shape {
    int64_t n, classes, inner; /* row r begins at (r / inner) * classes * inner + r % inner */
} rows_shape;

typedef struct row_state { /* kept for backward */
    evi_real max, log_sum;
} row_state;

typedef struct saved_state {
    double total;     /* what the mean divides by */
    double unused[7]; /* rows begin on a cache line */
} saved_state;

static rows_shape rows_of(const evi_shape *x)
{
    rows_shape r = {.classes = x->dim[1], .inner = evi_shape_span(x, 2, x->rank)};
    r.n = x->dim[0] * r.inner;
    return r;
}

static row_state *states(const evi_step *s)
{
    return (row_state *)((saved_state *)s->saved + 1);
}

static evi_real *row_losses(const evi_step *s, const rows_shape *r)
{
    return s->a.reduce == EVI_REDUCE_NONE ? evi_out(s, 0) : (evi_real *)(states(s) + r->n);
}

static int64_t row_start(const rows_shape *r, int64_t row)
{
    return row / r->inner * r->classes * r->inner + row % r->inner;
}

/* The label of a row, or -1 when it is left out. */
static int64_t label_of(const evi_step *s, const rows_shape *r, int64_t row)
{
    int64_t y = s->in[1]->type == EV_TYPE_INT64 ? ((const int64_t *)s->in[1]->data)[row]
                                                : ((const int32_t *)s->in[1]->data)[row];
    return y >= 0 && y < r->classes ? y : -1;
}

static bool bad_label(const evi_step *s, const rows_shape *r, int64_t row)
{
    if (label_of(s, r, row) >= 0)
        return false;
    return (s->in[1]->type == EV_TYPE_INT64 ? ((const int64_t *)s->in[1]->data)[row]
                                            : ((const int32_t *)s->in[1]->data)[row]) != IGNORED;
}

static evi_real weight_of(const evi_step *s, int64_t class)
{
    return evi_has_in(s, 2) ? evi_in(s, 2)[class] : 1;
}

static evi_real temperature(const evi_step *s)
{
    return s->a.alpha > 0 ? EVI_REAL(s->a.alpha) : 1;
}

static row_state measure(const evi_real *x, const rows_shape *r, evi_real t)
{
    evi_real max = x[0] / t;
    for (int64_t c = 1; c < r->classes; c++) {
        evi_real v = x[c * r->inner] / t;
        if (v > max || isnan(v))
            max = v;
    }
    double sum = 0;
    for (int64_t c = 0; c < r->classes; c++)
        sum += exp(x[c * r->inner] / t - max);
    return (row_state){max, (evi_real)log(sum)};
}

/* ---- shapes --------------------------------------------------------------------------------- */

static ev_status loss_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                            const evi_shape *labels)
{
    EVI_TRY(evi_need_vector(in, n_in, 2, in[0].shape.dim[1], "the class weights"));
    if (!(a->smoothing >= 0 && a->smoothing <= 1))
        return evi_fail(EV_ERR_ARGUMENT, "label smoothing %g must be 0 to 1", (double)a->smoothing);
    if (a->reduce < EVI_REDUCE_MEAN_OF_BATCH || a->reduce > EVI_REDUCE_NONE)
        return evi_fail(EV_ERR_ARGUMENT, "reduction %d is unknown", (int)a->reduce);
    evi_shape scalar = {0};
    evi_edge_set(out, 0, EV_TYPE_FLOAT32, a->reduce == EVI_REDUCE_NONE ? labels : &scalar);
    return EV_OK;
}

static evi_shape labels_shape(const evi_shape *x)
{
    evi_shape y = {.rank = x->rank - 1};
    y.dim[0] = x->dim[0];
    for (int32_t d = 2; d < x->rank; d++)
        y.dim[d - 1] = x->dim[d];
    return y;
}

static ev_status hard_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                            int32_t n_out)
{
    char tx[EVI_SHAPE_TEXT], ty[EVI_SHAPE_TEXT];
    (void)n_out;
    EVI_TRY(evi_need_rank(in, n_in, 0, 2, EV_MAX_RANK, "the logits"));
    evi_shape labels = labels_shape(&in[0].shape);
    if (!evi_edge_has(in, n_in, 1) || (in[1].type != EV_TYPE_INT32 && in[1].type != EV_TYPE_INT64))
        return evi_fail(EV_ERR_SHAPE, "labels (input 1) must be int32 or int64");
    if (!evi_shape_equal(&labels, &in[1].shape))
        return evi_fail(EV_ERR_SHAPE, "labels %s do not fit logits %s: one per row",
                        evi_shape_text(&in[1].shape, ty), evi_shape_text(&in[0].shape, tx));
    return loss_infer(a, in, n_in, out, &labels);
}

static ev_status soft_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                            int32_t n_out)
{
    char tx[EVI_SHAPE_TEXT], ty[EVI_SHAPE_TEXT];
    (void)n_out;
    EVI_TRY(evi_need_rank(in, n_in, 0, 2, EV_MAX_RANK, "the logits"));
    EVI_TRY(evi_need_real(in, n_in, 1, "the target"));
    if (!evi_shape_equal(&in[0].shape, &in[1].shape))
        return evi_fail(EV_ERR_SHAPE, "target %s must have the shape of the logits %s",
                        evi_shape_text(&in[1].shape, ty), evi_shape_text(&in[0].shape, tx));
    evi_shape labels = labels_shape(&in[0].shape);
    return loss_infer(a, in, n_in, out, &labels);
}

static void loss_prepare(evi_step *s)
{
    rows_shape r = rows_of(&s->in[0]->shape);
    s->saved_bytes = sizeof(saved_state) + (uint64_t)r.n * (sizeof(row_state) + sizeof(evi_real));
}

/* ---- forward -------------------------------------------------------------------------------- */

static void hard_rows(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    rows_shape r = rows_of(&s->in[0]->shape);
    evi_real smooth = (evi_real)s->a.smoothing, share = smooth / (evi_real)r.classes;
    for (int64_t row = first; row < first + count; row++) {
        const evi_real *x = evi_in(s, 0) + row_start(&r, row);
        row_state m = measure(x, &r, 1);
        int64_t y = label_of(s, &r, row);
        double loss = 0;
        if (y >= 0)
            loss = -(1 - smooth) * weight_of(s, y) * (x[y * r.inner] - m.max - m.log_sum);
        for (int64_t c = 0; y >= 0 && smooth > 0 && c < r.classes; c++)
            loss -= share * weight_of(s, c) * (x[c * r.inner] - m.max - m.log_sum);
        states(s)[row] = m;
        row_losses(s, &r)[row] = (evi_real)loss;
    }
}

static void soft_rows(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    rows_shape r = rows_of(&s->in[0]->shape);
    evi_real t = temperature(s);
    evi_real smooth = (evi_real)s->a.smoothing, share = smooth / (evi_real)r.classes;
    for (int64_t row = first; row < first + count; row++) {
        const evi_real *x = evi_in(s, 0) + row_start(&r, row);
        const evi_real *p = evi_in(s, 1) + row_start(&r, row);
        row_state m = measure(x, &r, t);
        double loss = 0;
        for (int64_t c = 0; c < r.classes; c++) {
            evi_real target = (1 - smooth) * p[c * r.inner] + share;
            if (target != 0) /* 0 log 0 is 0 */
                loss -= weight_of(s, c) * target * (x[c * r.inner] / t - m.max - m.log_sum);
        }
        states(s)[row] = m;
        row_losses(s, &r)[row] = (evi_real)loss;
    }
}

static int64_t piece_of(const rows_shape *r)
{
    return 2048 / r->classes + 1;
}

/* Add up the rows in order, in double. */
static void reduce_rows(evi_step *s, const rows_shape *r)
{
    saved_state *saved = s->saved;
    double sum = 0;
    if (s->a.reduce == EVI_REDUCE_SUM)
        saved->total = 1;
    if (s->a.reduce == EVI_REDUCE_NONE)
        return;
    for (int64_t row = 0; row < r->n; row++)
        sum += row_losses(s, r)[row];
    evi_out(s, 0)[0] = (evi_real)(sum / saved->total);
}

static void hard_forward(evi_step *s)
{
    rows_shape r = rows_of(&s->in[0]->shape);
    saved_state *saved = s->saved;
    evi_for_ranges(s->crew, r.n, piece_of(&r), hard_rows, s);
    saved->total = 0;
    for (int64_t row = 0; row < r.n; row++) {
        int64_t y = label_of(s, &r, row);
        saved->total += y >= 0 ? weight_of(s, y) : 0;
        if (bad_label(s, &r, row))
            s->fault = 1;
    }
    reduce_rows(s, &r);
}

static void soft_forward(evi_step *s)
{
    rows_shape r = rows_of(&s->in[0]->shape);
    evi_for_ranges(s->crew, r.n, piece_of(&r), soft_rows, s);
    ((saved_state *)s->saved)->total = (double)r.n;
    reduce_rows(s, &r);
}

/* ---- backward ------------------------------------------------------------------------------- */

static evi_real row_gradient(const evi_step *s, int64_t row)
{
    const evi_real *dy = s->out[0]->grad;
    if (s->a.reduce == EVI_REDUCE_NONE)
        return dy[row];
    return (evi_real)(dy[0] / ((const saved_state *)s->saved)->total);
}

static void put(evi_real *place, evi_real value, bool first)
{
    *place = first ? value : *place + value;
}

/* With -q_c the weight that log p_c has in the row loss, d loss / d x_c = p_c sum q - q_c. */
static void hard_back_rows(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    rows_shape r = rows_of(&s->in[0]->shape);
    evi_real smooth = (evi_real)s->a.smoothing, share = smooth / (evi_real)r.classes, all = 0;
    for (int64_t c = 0; c < r.classes; c++)
        all += share * weight_of(s, c);
    for (int64_t row = first; row < first + count; row++) {
        const evi_real *x = evi_in(s, 0) + row_start(&r, row);
        evi_real *dx = s->in[0]->grad + row_start(&r, row);
        row_state m = states(s)[row];
        int64_t y = label_of(s, &r, row);
        evi_real g = row_gradient(s, row);
        evi_real hit = y >= 0 ? (1 - smooth) * weight_of(s, y) : 0;
        for (int64_t c = 0; c < r.classes; c++) {
            evi_real p = exp(x[c * r.inner] - m.max - m.log_sum);
            evi_real q = share * weight_of(s, c) + (c == y ? hit : 0);
            put(dx + c * r.inner, y >= 0 ? g * (p * (hit + all) - q) : 0, evi_grad_is_first(s, 0));
        }
    }
}

static void hard_backward(evi_step *s)
{
    rows_shape r = rows_of(&s->in[0]->shape);
    if (s->in[0]->grad != NULL)
        evi_for_ranges(s->crew, r.n, piece_of(&r), hard_back_rows, s);
}

static void soft_back_row(const evi_step *s, const rows_shape *r, int64_t row)
{
    const evi_real *x = evi_in(s, 0) + row_start(r, row),
                   *target = evi_in(s, 1) + row_start(r, row);
    evi_real t = temperature(s), g = row_gradient(s, row);
    evi_real smooth = (evi_real)s->a.smoothing, share = smooth / (evi_real)r->classes, all = 0;
    row_state m = states(s)[row];
    for (int64_t c = 0; c < r->classes; c++)
        all += weight_of(s, c) * ((1 - smooth) * target[c * r->inner] + share);
    for (int64_t c = 0; c < r->classes; c++) {
        int64_t at = row_start(r, row) + c * r->inner;
        evi_real w = weight_of(s, c), log_p = x[c * r->inner] / t - m.max - m.log_sum;
        evi_real q = w * ((1 - smooth) * target[c * r->inner] + share);
        if (s->in[0]->grad != NULL)
            put(s->in[0]->grad + at, g / t * (exp(log_p) * all - q), evi_grad_is_first(s, 0));
        if (s->in[1]->grad != NULL)
            put(s->in[1]->grad + at, -g * (1 - smooth) * w * log_p, evi_grad_is_first(s, 1));
    }
}

static void soft_back_rows(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    rows_shape r = rows_of(&s->in[0]->shape);
    for (int64_t row = first; row < first + count; row++)
        soft_back_row(s, &r, row);
}

static void soft_backward(evi_step *s)
{
    rows_shape r = rows_of(&s->in[0]->shape);
    evi_for_ranges(s->crew, r.n, piece_of(&r), soft_back_rows, s);
}

/* The loss ties nothing: the classes are the model's purpose. */
static void loss_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                          int32_t n_out, evi_coupling *c)
{
    (void)a, (void)in, (void)n_in, (void)out, (void)n_out;
    c->blocked = "the channels are the classes of a loss";
}

static double loss_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                         int32_t n_out)
{
    (void)a, (void)n_in, (void)out, (void)n_out;
    return 4.0 * (double)evi_shape_count(&in[0].shape);
}

const evi_op evi_op_cross_entropy = {.name = "cross_entropy",
                                     .traits = EVI_OP_LOSS,
                                     .bwd_in = 1 << 0 | 1 << 1 | 1 << 2,
                                     .min_in = 2,
                                     .max_in = 3,
                                     .max_out = 1,
                                     .infer = hard_infer,
                                     .prepare = loss_prepare,
                                     .forward = hard_forward,
                                     .backward = EVI_BACKWARD(hard_backward),
                                     .channels = loss_channels,
                                     .flops = loss_flops};

const evi_op evi_op_soft_cross_entropy = {.name = "soft_cross_entropy",
                                          .traits = EVI_OP_LOSS,
                                          .bwd_in = 1 << 0 | 1 << 1 | 1 << 2,
                                          .min_in = 2,
                                          .max_in = 3,
                                          .max_out = 1,
                                          .infer = soft_infer,
                                          .prepare = loss_prepare,
                                          .forward = soft_forward,
                                          .backward = EVI_BACKWARD(soft_backward),
                                          .channels = loss_channels,
                                          .flops = loss_flops};
