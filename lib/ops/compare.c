/* SPDX-License-Identifier: MIT */
/* pow, max, min, mean_of, sum_of, mod; equal, greater, less, greater_or_equal, less_or_equal, and,
 * or, xor; where.  Broadcast as in numpy, no attributes (mod: flag = fmod); inference only.
 *
 *   max, min, sum_of (Sum), mean_of (Mean)   1 to 64 inputs of one type
 *   pow      the exponent may have another type than the base, which is the output's
 *   equal.. the output is bool; and, or, xor: bool inputs
 *   where    inputs: condition (bool), then, else */
#include "ops/walk.h"

#include <math.h>

typedef double (*pair_fn)(double a, double b);

typedef struct pair_job {
    const evi_view *a, *b;
    const evi_view *y;
    pair_fn fn;
} pair_job;

static double quiet_max(double a, double b)
{
    double r = a > b ? a : b; /* a maximum, without a branch; gives b when either is NaN */
    return isnan(a) ? a : r;
}

static double quiet_min(double a, double b)
{
    double r = a < b ? a : b;
    return isnan(a) ? a : r;
}

static double plus(double a, double b)
{
    return a + b;
}

static double power(double a, double b)
{
    return b == 2 ? a * a : pow(a, b);
}

/* The remainder has the divisor's sign, as in Python. */
static double floor_mod(double a, double b)
{
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static double is_equal(double a, double b)
{
    return a == b;
}

static double is_greater(double a, double b)
{
    return a > b;
}

static double is_less(double a, double b)
{
    return a < b;
}

static double is_greater_equal(double a, double b)
{
    return a >= b;
}

static double is_less_equal(double a, double b)
{
    return a <= b;
}

static double both(double a, double b)
{
    return a != 0 && b != 0;
}

static double either(double a, double b)
{
    return a != 0 || b != 0;
}

static double one_of(double a, double b)
{
    return (a != 0) != (b != 0);
}

static void put(const evi_view *y, int64_t i, double v)
{
    switch (y->type) {
    case EV_TYPE_FLOAT32: ((evi_real *)y->data)[i] = (evi_real)v; break;
    case EV_TYPE_INT64: /* what does not fit is undefined in C */
        ((int64_t *)y->data)[i] = v >= 0x1p63 ? INT64_MAX : v >= -0x1p63 ? (int64_t)v : INT64_MIN;
        break;
    case EV_TYPE_INT32:
        ((int32_t *)y->data)[i] = (int32_t)EVI_MAX(EVI_MIN(v, INT32_MAX), INT32_MIN);
        break;
    default: ((uint8_t *)y->data)[i] = (uint8_t)(int64_t)EVI_MAX(EVI_MIN(v, 255), -128); break;
    }
}

static void pair_run_real(const pair_job *job, int64_t n, const int64_t *offset,
                          const int64_t *step)
{
    const evi_real *a = (const evi_real *)job->a->data + offset[1];
    const evi_real *b = (const evi_real *)job->b->data + offset[2];
    evi_real *y = (evi_real *)job->y->data + offset[0];
    for (int64_t i = 0; i < n; i++)
        y[i * step[0]] = (evi_real)job->fn((double)a[i * step[1]], (double)b[i * step[2]]);
}

/* Numbers go through double, which holds all but large int64. */
static void pair_run(void *arg, int64_t n, const int64_t *offset, const int64_t *step)
{
    const pair_job *job = arg;
    if (evi_type_is_real(job->a->type) && evi_type_is_real(job->b->type) &&
        evi_type_is_real(job->y->type)) {
        pair_run_real(job, n, offset, step);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        put(job->y, offset[0] + i * step[0],
            job->fn(evi_number(job->a->data, job->a->type, offset[1] + i * step[1]),
                    evi_number(job->b->data, job->b->type, offset[2] + i * step[2])));
}

static void run_pair(evi_step *s, const evi_view *a, const evi_view *b, pair_fn fn)
{
    evi_walk w;
    const evi_view *y = s->out[0];
    const evi_shape *shapes[] = {&y->shape, &a->shape, &b->shape};
    pair_job job = {a, b, y, fn};
    evi_walk_broadcast(&w, &y->shape, 3, shapes);
    evi_walk_run(s->crew, &w, pair_run, &job);
}

/* ---- shapes --------------------------------------------------------------------------------- */

static ev_status broadcast_all(const evi_edge *in, int32_t first, int32_t n_in, evi_shape *out)
{
    char text[2][EVI_SHAPE_TEXT];
    *out = in[first].shape;
    for (int32_t i = first + 1; i < n_in; i++) {
        evi_shape so_far = *out;
        if (!evi_broadcast(&so_far, &in[i].shape, out))
            return evi_fail(EV_ERR_SHAPE, "%s and %s cannot be broadcast together",
                            evi_shape_text(&so_far, text[0]),
                            evi_shape_text(&in[i].shape, text[1]));
    }
    return EV_OK;
}

static ev_status one_type(const evi_edge *in, int32_t first, int32_t n_in)
{
    for (int32_t i = first + 1; i < n_in; i++)
        if (in[i].type != in[first].type)
            return evi_fail(EV_ERR_SHAPE, "the inputs have types %s and %s",
                            ev_type_name(in[first].type), ev_type_name(in[i].type));
    return EV_OK;
}

static ev_status numbers_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                               int32_t n_out)
{
    (void)a;
    (void)n_out;
    EVI_TRY(one_type(in, 0, n_in));
    out->type = in[0].type;
    return broadcast_all(in, 0, n_in, &out->shape);
}

static ev_status pow_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                           int32_t n_out)
{
    (void)a;
    (void)n_out;
    out->type = in[0].type;
    return broadcast_all(in, 0, n_in, &out->shape);
}

static ev_status compare_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                               int32_t n_out)
{
    EVI_TRY(numbers_infer(a, in, n_in, out, n_out));
    out->type = EV_TYPE_BOOL;
    return EV_OK;
}

static void pair_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                          int32_t n_out, evi_coupling *c)
{
    (void)a;
    (void)n_out;
    evi_couple_broadcast(c, in, n_in, out);
}

static double pair_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                         int32_t n_out)
{
    return evi_flops_elements(a, in, n_in, out, n_out) * EVI_MAX(n_in - 1, 1);
}

#define PAIR(name_, onnx_, infer_, fn)                         \
    static void name_##_forward(evi_step *s)                   \
    {                                                          \
        run_pair(s, s->in[0], s->in[1], fn);                   \
    }                                                          \
    const evi_op evi_op_##name_ = {.name = #name_,             \
                                   .onnx = onnx_,              \
                                   .min_in = 2,                \
                                   .max_in = 2,                \
                                   .max_out = 1,               \
                                   .infer = infer_,            \
                                   .forward = name_##_forward, \
                                   .channels = pair_channels,  \
                                   .flops = pair_flops};
PAIR(pow, "Pow", pow_infer, power)
PAIR(mod, "Mod", numbers_infer, s->a.flag ? fmod : floor_mod)
PAIR(equal, "Equal", compare_infer, is_equal)
PAIR(greater, "Greater", compare_infer, is_greater)
PAIR(less, "Less", compare_infer, is_less)
PAIR(greater_or_equal, "GreaterOrEqual", compare_infer, is_greater_equal)
PAIR(less_or_equal, "LessOrEqual", compare_infer, is_less_equal)
PAIR(and, "And", compare_infer, both)
PAIR(or, "Or", compare_infer, either)
PAIR(xor, "Xor", compare_infer, one_of)

/* ---- any number of inputs ------------------------------------------------------------------- */

static void run_many(evi_step *s, pair_fn fn)
{
    evi_walk w;
    const evi_view *y = s->out[0];
    const evi_shape *shapes[] = {&y->shape, &s->in[0]->shape};
    evi_walk_broadcast(&w, &y->shape, 2, shapes);
    evi_walk_copy(s->crew, &w, y->data, s->in[0]->data, evi_type_bytes(y->type));
    for (int32_t i = 1; i < s->n_in; i++)
        run_pair(s, y, s->in[i], fn);
}

static void max_forward(evi_step *s)
{
    run_many(s, quiet_max);
}

static void min_forward(evi_step *s)
{
    run_many(s, quiet_min);
}

static void sum_of_forward(evi_step *s)
{
    run_many(s, plus);
}

static void mean_of_forward(evi_step *s)
{
    evi_real *y = s->out[0]->data;
    int64_t n = evi_shape_count(&s->out[0]->shape);
    run_many(s, plus);
    for (int64_t i = 0; i < n; i++)
        y[i] /= (evi_real)s->n_in;
}

static ev_status mean_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                            int32_t n_out)
{
    EVI_TRY(evi_need_real(in, n_in, 0, "the input"));
    return numbers_infer(a, in, n_in, out, n_out);
}

#define MANY(name_, onnx_, infer_)                             \
    const evi_op evi_op_##name_ = {.name = #name_,             \
                                   .onnx = onnx_,              \
                                   .min_in = 1,                \
                                   .max_in = 64,               \
                                   .max_out = 1,               \
                                   .infer = infer_,            \
                                   .forward = name_##_forward, \
                                   .channels = pair_channels,  \
                                   .flops = pair_flops};
MANY(max, "Max", numbers_infer)
MANY(min, "Min", numbers_infer)
MANY(sum_of, "Sum", numbers_infer)
MANY(mean_of, "Mean", mean_infer)

/* ---- where ---------------------------------------------------------------------------------- */

static ev_status where_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                             int32_t n_out)
{
    (void)a;
    (void)n_out;
    if (in[0].type != EV_TYPE_BOOL)
        return evi_fail(EV_ERR_SHAPE, "the condition must be bool, not %s",
                        ev_type_name(in[0].type));
    EVI_TRY(one_type(in, 1, n_in));
    out->type = in[1].type;
    return broadcast_all(in, 0, n_in, &out->shape);
}

typedef struct where_job {
    const uint8_t *condition;
    const void *a, *b;
    void *y;
    int32_t size;
} where_job;

#define CHOOSE(type)                                                                              \
    for (int64_t i = 0; i < n; i++)                                                               \
    ((type *)job->y)[offset[0] + i * step[0]] =                                                   \
        job->condition[offset[1] + i * step[1]] ? ((const type *)job->a)[offset[2] + i * step[2]] \
                                                : ((const type *)job->b)[offset[3] + i * step[3]]

static void where_run(void *arg, int64_t n, const int64_t *offset, const int64_t *step)
{
    const where_job *job = arg;
    if (job->size == 1)
        CHOOSE(uint8_t);
    else if (job->size == 4)
        CHOOSE(uint32_t);
    else
        CHOOSE(uint64_t);
}

static void where_forward(evi_step *s)
{
    evi_walk w;
    const evi_shape *y = &s->out[0]->shape;
    const evi_shape *shapes[] = {y, &s->in[0]->shape, &s->in[1]->shape, &s->in[2]->shape};
    where_job job = {s->in[0]->data, s->in[1]->data, s->in[2]->data, s->out[0]->data,
                     evi_type_bytes(s->out[0]->type)};
    evi_walk_broadcast(&w, y, 4, shapes);
    evi_walk_run(s->crew, &w, where_run, &job);
}

const evi_op evi_op_where = {.name = "where",
                             .onnx = "Where",
                             .min_in = 3,
                             .max_in = 3,
                             .max_out = 1,
                             .infer = where_infer,
                             .forward = where_forward,
                             .channels = pair_channels};
