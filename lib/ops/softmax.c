/* SPDX-License-Identifier: MIT */
/* exp(x) / sum exp(x) along one axis, and its logarithm; ONNX Softmax and LogSoftmax.
 * Before opset 13 the axis meant: all dimensions from it on are one row. */
#include "ops/check.h"

#include <tgmath.h>

enum { BLOCK = 64 }; /* columns at a time when the axis is not the last */

typedef struct rows_shape {
    int64_t outer, size, inner;
} rows_shape;

static ev_status softmax_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                               int32_t n_out)
{
    int32_t axis;
    (void)n_out;
    EVI_TRY(evi_need_real(in, n_in, 0, "the input"));
    if (!evi_axis(a->axis, EVI_MAX(in[0].shape.rank, 1), &axis))
        return evi_fail(EV_ERR_SHAPE, "axis %d of an input of rank %d", (int)a->axis,
                        (int)in[0].shape.rank);
    evi_edge_set(out, 0, in[0].type, &in[0].shape);
    return EV_OK;
}

static rows_shape rows_of(const evi_step *s)
{
    const evi_shape *x = &s->in[0]->shape;
    int32_t axis = 0;
    if (x->rank == 0)
        return (rows_shape){1, 1, 1};
    evi_axis(s->a.axis, x->rank, &axis);
    rows_shape r = {.outer = evi_shape_span(x, 0, axis)};
    bool flat = s->a.opset > 0 && s->a.opset < 13;
    r.size = flat ? evi_shape_span(x, axis, x->rank) : x->dim[axis];
    r.inner = flat ? 1 : evi_shape_span(x, axis + 1, x->rank);
    return r;
}

static void for_blocks(evi_step *s, evi_range_fn fn)
{
    rows_shape r = rows_of(s);
    if (r.size == 0 || r.inner == 0)
        return;
    int64_t blocks = (r.inner + BLOCK - 1) / BLOCK;
    int64_t work = r.size * EVI_MIN(r.inner, BLOCK);
    evi_for_ranges(s->crew, r.outer * blocks, 8192 / work + 1, fn, s);
}

/* Where block b begins, and how many columns it has. */
static int64_t block_start(const rows_shape *r, int64_t b, int64_t *columns)
{
    int64_t blocks = (r->inner + BLOCK - 1) / BLOCK, first = b % blocks * BLOCK;
    *columns = EVI_MIN(BLOCK, r->inner - first);
    return b / blocks * r->size * r->inner + first;
}

static void column_max(const evi_real *x, const rows_shape *r, int64_t columns, evi_real *max)
{
    for (int64_t j = 0; j < columns; j++)
        max[j] = x[j];
    for (int64_t i = 1; i < r->size; i++) {
        for (int64_t j = 0; j < columns; j++) {
            evi_real v = x[i * r->inner + j];
            if (v > max[j] || isnan(v))
                max[j] = v;
        }
    }
}

/* y = exp(x - max) and its sums, of `columns` columns. */
static void column_exp(const evi_step *s, const rows_shape *r, int64_t at, int64_t columns,
                       evi_real *max, evi_real *sum)
{
    const evi_real *x = evi_in(s, 0) + at;
    evi_real *y = evi_out(s, 0) + at;
    if (r->inner == 1) {
        max[0] = s->k->max(r->size, x);
        sum[0] = s->k->exp_sum(r->size, x, max[0], y);
        return;
    }
    column_max(x, r, columns, max);
    for (int64_t j = 0; j < columns; j++)
        sum[j] = 0;
    for (int64_t i = 0; i < r->size; i++) {
        evi_real *row = y + i * r->inner;
        s->k->sub(columns, x + i * r->inner, max, row);
        (s->k->exp)(columns, row, row);
        s->k->add(columns, sum, row, sum);
    }
}

static void softmax_range(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    rows_shape r = rows_of(s);
    for (int64_t b = first; b < first + count; b++) {
        evi_real max[BLOCK], sum[BLOCK];
        int64_t columns, at = block_start(&r, b, &columns);
        evi_real *y = evi_out(s, 0) + at;
        column_exp(s, &r, at, columns, max, sum);
        for (int64_t j = 0; j < columns; j++)
            sum[j] = 1 / sum[j];
        if (r.inner == 1)
            s->k->scale(r.size, sum[0], y, y);
        for (int64_t i = 0; r.inner > 1 && i < r.size; i++)
            s->k->mul(columns, y + i * r.inner, sum, y + i * r.inner);
    }
}

/* (x - max) - log sum: one rounded number for both would lose digits when max is large. */
static void log_range(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    rows_shape r = rows_of(s);
    for (int64_t b = first; b < first + count; b++) {
        evi_real max[BLOCK], sum[BLOCK];
        int64_t columns, at = block_start(&r, b, &columns);
        const evi_real *x = evi_in(s, 0) + at;
        evi_real *y = evi_out(s, 0) + at;
        column_exp(s, &r, at, columns, max, sum);
        for (int64_t j = 0; j < columns; j++)
            sum[j] = log(sum[j]);
        for (int64_t i = 0; i < r.size; i++)
            for (int64_t j = 0; j < columns; j++)
                y[i * r.inner + j] = x[i * r.inner + j] - max[j] - sum[j];
    }
}

static void softmax_forward(evi_step *s)
{
    for_blocks(s, softmax_range);
}

static void log_forward(evi_step *s)
{
    for_blocks(s, log_range);
}

/* softmax: dx = y (dy - sum y dy); log-softmax: dx = dy - exp(y) sum dy. */
static void back_block(const evi_step *s, const rows_shape *r, int64_t b, bool is_log)
{
    int64_t columns, at = block_start(r, b, &columns);
    const evi_real *y = evi_out(s, 0) + at, *dy = s->out[0]->grad + at;
    evi_real *dx = s->in[0]->grad + at, sum[BLOCK] = {0};
    bool first = evi_grad_is_first(s, 0);
    if (r->inner == 1)
        sum[0] = is_log ? s->k->sum(r->size, dy) : s->k->sum_products(r->size, dy, y, 0);
    for (int64_t i = 0; r->inner > 1 && i < r->size; i++)
        for (int64_t j = 0; j < columns; j++)
            sum[j] += dy[i * r->inner + j] * (is_log ? 1 : y[i * r->inner + j]);
    for (int64_t i = 0; i < r->size; i++) {
        for (int64_t j = 0; j < columns; j++) {
            int64_t e = i * r->inner + j;
            evi_real g = is_log ? dy[e] - exp(y[e]) * sum[j] : y[e] * (dy[e] - sum[j]);
            dx[e] = first ? g : dx[e] + g;
        }
    }
}

static void softmax_back_range(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    rows_shape r = rows_of(s);
    for (int64_t b = first; b < first + count; b++)
        back_block(s, &r, b, false);
}

static void log_back_range(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    rows_shape r = rows_of(s);
    for (int64_t b = first; b < first + count; b++)
        back_block(s, &r, b, true);
}

static void softmax_backward(evi_step *s)
{
    if (s->in[0]->grad != NULL)
        for_blocks(s, softmax_back_range);
}

static void log_backward(evi_step *s)
{
    if (s->in[0]->grad != NULL)
        for_blocks(s, log_back_range);
}

/* Along the row all meet in one sum: without a channel the others change, so the row is left as it
 * is.  Along the other axes nothing meets. */
static void softmax_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                             const evi_edge *out, int32_t n_out, evi_coupling *c)
{
    int32_t row = 0, rank = in[0].shape.rank;
    evi_axis(a->axis, EVI_MAX(rank, 1), &row);
    bool flat = a->opset > 0 && a->opset < 13;
    for (int32_t axis = 1; axis < rank; axis++)
        if (axis != row && (!flat || axis < row))
            evi_couple_same(c, in, n_in, out, n_out, axis);
}

static double softmax_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                            const evi_edge *out, int32_t n_out)
{
    (void)a, (void)n_in, (void)out, (void)n_out;
    return 4.0 * (double)evi_shape_count(&in[0].shape);
}

const evi_op evi_op_softmax = {.name = "softmax",
                               .onnx = "Softmax",
                               .traits = EVI_OP_BWD_OUT,
                               .min_in = 1,
                               .max_in = 1,
                               .max_out = 1,
                               .infer = softmax_infer,
                               .forward = softmax_forward,
                               .backward = EVI_BACKWARD(softmax_backward),
                               .channels = softmax_channels,
                               .flops = softmax_flops};

const evi_op evi_op_log_softmax = {.name = "log_softmax",
                                   .onnx = "LogSoftmax",
                                   .traits = EVI_OP_BWD_OUT,
                                   .min_in = 1,
                                   .max_in = 1,
                                   .max_out = 1,
                                   .infer = softmax_infer,
                                   .forward = log_forward,
                                   .backward = EVI_BACKWARD(log_backward),
                                   .channels = softmax_channels,
                                   .flops = softmax_flops};
