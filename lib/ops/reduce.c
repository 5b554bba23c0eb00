/* SPDX-License-Identifier: MIT */
/* reduce_mean, reduce_sum, reduce_max, reduce_min, reduce_prod, reduce_l1, reduce_l2,
 * reduce_sum_square, reduce_log_sum; reduce_log_sum_exp; arg_max, arg_min.
 *
 *   list = axes, or input 1; without axes all are reduced, or none when flag
 *   (noop_with_empty_axes) is set.  keep_dims (ONNX default 1).
 *   arg_max, arg_min: axis (default 0), keep_dims, flag = select_last_index; int64 output
 * Number types; sums are taken in double.  Gradients: mean, sum, sum_square, l2. */
#include "ops/walk.h"

#include <math.h>

static ev_status reduce_mask(const evi_attrs *a, int32_t rank, uint32_t *out)
{
    *out = 0;
    if (a->list.set && a->list.n > 0)
        return evi_axes_mask(&a->list, rank, out);
    if (!a->flag)
        *out = (1u << rank) - 1;
    return EV_OK;
}

static ev_status reduce_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                              int32_t n_out)
{
    uint32_t mask;
    const evi_shape *s = &in->shape;
    (void)n_out;
    EVI_TRY(evi_list_input(in, n_in, 1, "the axes", &a->list));
    EVI_TRY(reduce_mask(a, s->rank, &mask));
    if (in->type == EV_TYPE_BOOL)
        return evi_fail(EV_ERR_SHAPE, "no arithmetic on bool");
    out->type = in->type;
    out->shape = (evi_shape){0};
    for (int32_t i = 0; i < s->rank; i++) {
        bool goes = mask >> i & 1;
        if (!goes || a->keep_dims)
            out->shape.dim[out->shape.rank++] = goes ? 1 : s->dim[i];
    }
    return EV_OK;
}

/* The output's shape with the reduced axes kept as 1. */
static evi_shape kept_shape(const evi_step *s)
{
    uint32_t mask = 0;
    evi_shape r = s->in[0]->shape;
    reduce_mask(&s->a, r.rank, &mask);
    for (int32_t i = 0; i < r.rank; i++)
        if (mask >> i & 1)
            r.dim[i] = 1;
    return r;
}

/* ---- forward -------------------------------------------------------------------------------- */

enum { PLAIN = 0, ABSOLUTE, SQUARE, EXPONENTIAL }; /* before the fold */
enum { AS_IS = 0, MEAN, ROOT, LOGARITHM };         /* after it */

typedef struct reduce_job {
    const evi_view *x;
    void *y;
    int32_t before, after;
    double n;
} reduce_job;

static void reduce_terms(const void *arg, int64_t n, const int64_t *offset, const int64_t *step,
                         double *out)
{
    const reduce_job *job = arg;
    if (evi_type_is_real(job->x->type)) {
        const evi_real *x = (const evi_real *)job->x->data + offset[1];
        for (int64_t i = 0; i < n; i++)
            out[i] = x[i * step[1]];
    } else {
        for (int64_t i = 0; i < n; i++)
            out[i] = evi_number(job->x->data, job->x->type, offset[1] + i * step[1]);
    }
    if (job->before == ABSOLUTE)
        for (int64_t i = 0; i < n; i++)
            out[i] = fabs(out[i]);
    else if (job->before == SQUARE)
        for (int64_t i = 0; i < n; i++)
            out[i] *= out[i];
    else if (job->before == EXPONENTIAL)
        for (int64_t i = 0; i < n; i++)
            out[i] = exp(out[i]);
}

static void reduce_store(const void *arg, int64_t offset, double value)
{
    const reduce_job *job = arg;
    if (job->after == MEAN)
        value = evi_type_is_real(job->x->type) ? value / job->n : trunc(value / job->n);
    else if (job->after == ROOT)
        value = sqrt(value);
    else if (job->after == LOGARITHM)
        value = log(value);
    switch (job->x->type) {
    case EV_TYPE_FLOAT32: ((evi_real *)job->y)[offset] = (evi_real)value; break;
    case EV_TYPE_INT64: ((int64_t *)job->y)[offset] = (int64_t)value; break;
    case EV_TYPE_INT32: ((int32_t *)job->y)[offset] = (int32_t)(int64_t)value; break;
    default: ((uint8_t *)job->y)[offset] = (uint8_t)(int64_t)value; break;
    }
}

static void reduce_run(evi_step *s, int32_t kind, int32_t before, int32_t after)
{
    evi_walk w;
    evi_shape r = kept_shape(s);
    const evi_shape *x = &s->in[0]->shape, *shapes[] = {&r, x};
    reduce_job job = {s->in[0], s->out[0]->data, before, after,
                      (double)evi_shape_count(x) / (double)EVI_MAX(evi_shape_count(&r), 1)};
    evi_walk_broadcast(&w, x, 2, shapes);
    evi_walk_fold(s->crew, &w, kind, reduce_terms, reduce_store, &job);
}

/* ---- backward ------------------------------------------------------------------------------- */

typedef struct spread_job {
    const evi_real *dy, *x, *y;
    evi_real *dx, scale;
    bool first;
} spread_job;

/* dx = dy * scale (* x) (/ y): arrays 0 the input, 1 the output */
static void spread_run(void *arg, int64_t n, const int64_t *offset, const int64_t *step)
{
    const spread_job *job = arg;
    evi_real *dx = job->dx + offset[0];
    for (int64_t i = 0; i < n; i++) {
        int64_t from = offset[1] + i * step[1];
        evi_real g = job->dy[from] * job->scale;
        if (job->x != NULL)
            g *= job->x[offset[0] + i * step[0]];
        if (job->y != NULL)
            g = job->y[from] == 0 ? 0 : g / job->y[from];
        dx[i * step[0]] = job->first ? g : dx[i * step[0]] + g;
    }
}

static void spread(evi_step *s, spread_job *job)
{
    evi_walk w;
    evi_shape r = kept_shape(s);
    const evi_shape *x = &s->in[0]->shape, *shapes[] = {x, &r};
    if (s->in[0]->grad == NULL)
        return;
    job->dy = s->out[0]->grad;
    job->dx = s->in[0]->grad;
    job->first = evi_grad_is_first(s, 0);
    evi_walk_broadcast(&w, x, 2, shapes);
    evi_walk_run(s->crew, &w, spread_run, job);
}

static void reduce_mean_backward(evi_step *s)
{
    double n = (double)evi_shape_count(&s->in[0]->shape) /
               (double)EVI_MAX(evi_shape_count(&s->out[0]->shape), 1);
    spread_job job = {.scale = (evi_real)(1 / n)};
    spread(s, &job);
}

static void reduce_sum_backward(evi_step *s)
{
    spread_job job = {.scale = 1};
    spread(s, &job);
}

static void reduce_sum_square_backward(evi_step *s)
{
    spread_job job = {.scale = 2, .x = evi_in(s, 0)};
    spread(s, &job);
}

static void reduce_l2_backward(evi_step *s)
{
    spread_job job = {.scale = 1, .x = evi_in(s, 0), .y = evi_out(s, 0)};
    spread(s, &job);
}

/* Axes that stay are tied; with keep_dims 0 they move to the left. */
static void reduce_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                            const evi_edge *out, int32_t n_out, evi_coupling *c)
{
    uint32_t mask = 0;
    int32_t to = 0;
    (void)n_in;
    (void)n_out;
    if (reduce_mask(a, in->shape.rank, &mask) != EV_OK)
        return;
    for (int32_t i = 0; i < in->shape.rank; i++) {
        bool goes = mask >> i & 1;
        if (goes && i == 1)
            c->blocked =
                "channels are reduced"; /* a mean over channels changes with their number */
        if (!goes && i > 0 && out->shape.rank > to) {
            int32_t set = evi_couple_set(c);
            evi_couple(c, set, 0, i, 0, in->shape.dim[i], 1);
            evi_couple(c, set, ~0, to, 0, in->shape.dim[i], 1);
        }
        to += !goes || a->keep_dims;
    }
}

static double reduce_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                           const evi_edge *out, int32_t n_out)
{
    (void)a;
    (void)n_in;
    (void)out;
    (void)n_out;
    return (double)evi_shape_count(&in->shape);
}

#define REDUCE(name_, onnx_, kind, before, after, traits_, bwd_in_, backward_) \
    static void name_##_forward(evi_step *s)                                   \
    {                                                                          \
        reduce_run(s, kind, before, after);                                    \
    }                                                                          \
    const evi_op evi_op_##name_ = {.name = #name_,                             \
                                   .onnx = onnx_,                              \
                                   .traits = traits_,                          \
                                   .bwd_in = bwd_in_,                          \
                                   .min_in = 1,                                \
                                   .max_in = 2,                                \
                                   .max_out = 1,                               \
                                   .infer = reduce_infer,                      \
                                   .forward = name_##_forward,                 \
                                   .backward = EVI_BACKWARD(backward_),        \
                                   .channels = reduce_channels,                \
                                   .flops = reduce_flops};
REDUCE(reduce_mean, "ReduceMean", EVI_FOLD_SUM, PLAIN, MEAN, 0, 0, reduce_mean_backward)
REDUCE(reduce_sum, "ReduceSum", EVI_FOLD_SUM, PLAIN, AS_IS, 0, 0, reduce_sum_backward)
REDUCE(reduce_max, "ReduceMax", EVI_FOLD_MAX, PLAIN, AS_IS, 0, 0, NULL)
REDUCE(reduce_min, "ReduceMin", EVI_FOLD_MIN, PLAIN, AS_IS, 0, 0, NULL)
REDUCE(reduce_prod, "ReduceProd", EVI_FOLD_PROD, PLAIN, AS_IS, 0, 0, NULL)
REDUCE(reduce_l1, "ReduceL1", EVI_FOLD_SUM, ABSOLUTE, AS_IS, 0, 0, NULL)
REDUCE(reduce_l2, "ReduceL2", EVI_FOLD_SUM, SQUARE, ROOT, EVI_OP_BWD_OUT, 1, reduce_l2_backward)
REDUCE(reduce_sum_square, "ReduceSumSquare", EVI_FOLD_SUM, SQUARE, AS_IS, 0, 1,
       reduce_sum_square_backward)
REDUCE(reduce_log_sum, "ReduceLogSum", EVI_FOLD_SUM, PLAIN, LOGARITHM, 0, 0, NULL)
REDUCE(reduce_log_sum_exp, "ReduceLogSumExp", EVI_FOLD_SUM, EXPONENTIAL, LOGARITHM, 0, 0, NULL)

/* ---- arg_max, arg_min ----------------------------------------------------------------------- */

static ev_status arg_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                           int32_t n_out)
{
    int32_t axis;
    (void)n_in;
    (void)n_out;
    if (!evi_axis(a->axis, in->shape.rank, &axis))
        return evi_fail(EV_ERR_SHAPE, "axis %d is out of range for rank %d", a->axis,
                        in->shape.rank);
    if (in->shape.dim[axis] == 0)
        return evi_fail(EV_ERR_SHAPE, "axis %d is empty", axis);
    out->type = EV_TYPE_INT64;
    out->shape = (evi_shape){0};
    for (int32_t i = 0; i < in->shape.rank; i++)
        if (i != axis || a->keep_dims)
            out->shape.dim[out->shape.rank++] = i == axis ? 1 : in->shape.dim[i];
    return EV_OK;
}

typedef struct arg_job {
    const evi_view *x;
    int64_t *y;
    int64_t n, inner;
    double sign;
    bool last;
} arg_job;

static void arg_range(void *arg, int64_t first, int64_t count)
{
    const arg_job *job = arg;
    for (int64_t i = first; i < first + count; i++) {
        int64_t start = i / job->inner * job->n * job->inner + i % job->inner, best = 0;
        double top = job->sign * evi_number(job->x->data, job->x->type, start);
        for (int64_t j = 1; j < job->n; j++) {
            double v = job->sign * evi_number(job->x->data, job->x->type, start + j * job->inner);
            if (v > top || (job->last && v == top)) {
                top = v;
                best = j;
            }
        }
        job->y[i] = best;
    }
}

static void arg_run(evi_step *s, double sign)
{
    int32_t axis = 0;
    const evi_shape *x = &s->in[0]->shape;
    arg_job job = {
        .x = s->in[0], .y = s->out[0]->data, .inner = 1, .sign = sign, .last = s->a.flag != 0};
    evi_axis(s->a.axis, x->rank, &axis);
    job.n = x->dim[axis];
    for (int32_t i = axis + 1; i < x->rank; i++)
        job.inner *= x->dim[i];
    evi_for_ranges(s->crew, evi_shape_count(&s->out[0]->shape), EVI_MAX(16384 / job.n, 1),
                   arg_range, &job);
}

static void arg_max_forward(evi_step *s)
{
    arg_run(s, 1);
}

static void arg_min_forward(evi_step *s)
{
    arg_run(s, -1);
}

const evi_op evi_op_arg_max = {.name = "arg_max",
                               .onnx = "ArgMax",
                               .min_in = 1,
                               .max_in = 1,
                               .max_out = 1,
                               .infer = arg_infer,
                               .forward = arg_max_forward};
const evi_op evi_op_arg_min = {.name = "arg_min",
                               .onnx = "ArgMin",
                               .min_in = 1,
                               .max_in = 1,
                               .max_out = 1,
                               .infer = arg_infer,
                               .forward = arg_min_forward};
