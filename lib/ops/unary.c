/* SPDX-License-Identifier: MIT */
/* Functions of one number without a kernel of their own: sqrt, exp, log, neg, abs, reciprocal,
 * floor, ceil, round, sign, erf, gelu, elu, selu, softplus, softsign, sin, cos, not.
 *
 *   elu    alpha (ONNX default 1)
 *   selu   alpha, beta = gamma (ONNX defaults 1.67326..., 1.05070...)
 *   gelu   flag 0: exact (erf), 1: the tanh approximation
 * neg, abs and sign take integers too; not takes bool. */
#include "ops/walk.h"

#include <math.h>

#ifdef EVI_REAL_DOUBLE
#define M(name) name
#else
#define M(name) name##f
#endif
#define R(number) ((evi_real)(number))

#define PIECE 4096

typedef struct unary_job {
    const evi_real *x, *y, *dy;
    evi_real *out;
    evi_real alpha, beta;
    int32_t flag;
    bool first;
} unary_job;

/* Value from x; slope from x or y (either may be what the formula names). */
#define VALUE(name, formula)                                          \
    static void name##_value(void *arg, int64_t start, int64_t count) \
    {                                                                 \
        const unary_job *job = arg;                                   \
        for (int64_t i = start; i < start + count; i++) {             \
            evi_real x = job->x[i];                                   \
            job->out[i] = formula;                                    \
        }                                                             \
    }
#define SLOPE(name, operand, formula)                                 \
    static void name##_slope(void *arg, int64_t start, int64_t count) \
    {                                                                 \
        const unary_job *job = arg;                                   \
        for (int64_t i = start; i < start + count; i++) {             \
            evi_real operand = job->operand[i];                       \
            (void)operand; /* a constant slope */                     \
            evi_real g = job->dy[i] * (formula);                      \
            job->out[i] = job->first ? g : job->out[i] + g;           \
        }                                                             \
    }

static evi_real gelu(evi_real x, int32_t approximate)
{
    if (approximate)
        return R(0.5) * x * (1 + M(tanh)(R(0.7978845608028654) * (x + R(0.044715) * x * x * x)));
    return R(0.5) * x * (1 + M(erf)(x * R(0.7071067811865476)));
}

static evi_real gelu_slope_at(evi_real x, int32_t approximate)
{
    if (approximate) {
        evi_real t = M(tanh)(R(0.7978845608028654) * (x + R(0.044715) * x * x * x));
        evi_real inner = R(0.7978845608028654) * (1 + R(0.134145) * x * x);
        return R(0.5) * (1 + t) + R(0.5) * x * (1 - t * t) * inner;
    }
    return R(0.5) * (1 + M(erf)(x * R(0.7071067811865476))) +
           x * R(0.3989422804014327) * M(exp)(R(-0.5) * x * x);
}

/* log(1 + exp(x)) without overflow */
static evi_real softplus(evi_real x)
{
    return (x > 0 ? x : 0) + M(log1p)(M(exp)(-M(fabs)(x)));
}

VALUE(sqrt, M(sqrt)(x))
SLOPE(sqrt, y, R(0.5) / y)
VALUE(exp, M(exp)(x))
SLOPE(exp, y, y)
VALUE(log, M(log)(x))
SLOPE(log, x, 1 / x)
VALUE(neg, -x)
SLOPE(neg, dy, -1)
VALUE(abs, M(fabs)(x))
SLOPE(abs, x, (evi_real)((x > 0) - (x < 0)))
VALUE(reciprocal, 1 / x)
SLOPE(reciprocal, y, -y *y)
VALUE(floor, M(floor)(x))
VALUE(ceil, M(ceil)(x))
VALUE(round, M(nearbyint)(x)) /* halves to even, as ONNX says */
VALUE(sign, x != x ? x : (evi_real)((x > 0) - (x < 0)))
VALUE(sin, M(sin)(x))
SLOPE(sin, x, M(cos)(x))
VALUE(cos, M(cos)(x))
SLOPE(cos, x, -M(sin)(x))
VALUE(erf, M(erf)(x))
SLOPE(erf, x, R(1.1283791670955126) * M(exp)(-x * x))
VALUE(gelu, gelu(x, job->flag))
SLOPE(gelu, x, gelu_slope_at(x, job->flag))
VALUE(elu, x > 0 ? x : job->alpha * M(expm1)(x))
SLOPE(elu, x, x > 0 ? 1 : job->alpha * M(exp)(x))
VALUE(selu, job->beta *(x > 0 ? x : job->alpha * M(expm1)(x)))
SLOPE(selu, x, job->beta *(x > 0 ? 1 : job->alpha * M(exp)(x)))
VALUE(softplus, softplus(x))
SLOPE(softplus, x, 1 / (1 + M(exp)(-x)))
VALUE(softsign, x / (1 + M(fabs)(x)))
SLOPE(softsign, x, 1 / ((1 + M(fabs)(x)) * (1 + M(fabs)(x))))

static void unary_run(evi_step *s, evi_range_fn value)
{
    unary_job job = {.x = evi_in(s, 0),
                     .out = evi_out(s, 0),
                     .alpha = EVI_REAL(s->a.alpha),
                     .beta = EVI_REAL(s->a.beta),
                     .flag = s->a.flag};
    evi_for_ranges(s->crew, evi_shape_count(&s->in[0]->shape), PIECE, value, &job);
}

static void unary_back(evi_step *s, evi_range_fn slope)
{
    unary_job job = {.x = evi_in(s, 0),
                     .y = evi_out(s, 0),
                     .dy = s->out[0]->grad,
                     .out = s->in[0]->grad,
                     .alpha = EVI_REAL(s->a.alpha),
                     .beta = EVI_REAL(s->a.beta),
                     .flag = s->a.flag,
                     .first = evi_grad_is_first(s, 0)};
    if (job.out != NULL)
        evi_for_ranges(s->crew, evi_shape_count(&s->in[0]->shape), PIECE, slope, &job);
}

/* Integers: one at a time, as they occur in shape arithmetic alone. */
static void put_integer(void *data, int32_t type, int64_t i, int64_t v)
{
    if (type == EV_TYPE_INT64)
        ((int64_t *)data)[i] = v;
    else if (type == EV_TYPE_INT32)
        ((int32_t *)data)[i] = (int32_t)v;
    else
        ((uint8_t *)data)[i] = (uint8_t)v; /* int8 has the same bits */
}

static bool integer_run(evi_step *s, int32_t which)
{
    const evi_view *x = s->in[0];
    if (evi_type_is_real(x->type))
        return false;
    int64_t n = evi_shape_count(&x->shape);
    for (int64_t i = 0; i < n; i++) {
        int64_t v = evi_integer(x->data, x->type, i);
        int64_t negative = (int64_t)(0 - (uint64_t)v);
        int64_t y = which == 0 ? negative : which == 1 ? (v < 0 ? negative : v) : (v > 0) - (v < 0);
        put_integer(s->out[0]->data, x->type, i, y);
    }
    return true;
}

static ev_status real_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                            int32_t n_out)
{
    EVI_TRY(evi_need_real(in, n_in, 0, "the input"));
    return evi_infer_same(a, in, n_in, out, n_out);
}

static ev_status number_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                              int32_t n_out)
{
    if (in->type == EV_TYPE_BOOL)
        return evi_fail(EV_ERR_SHAPE, "no arithmetic on bool");
    return evi_infer_same(a, in, n_in, out, n_out);
}

/* traits_, bwd_in_: where the slope is computed from. */
#define UNARY(name_, onnx_, infer_, integers, traits_, bwd_in_, backward_) \
    static void name_##_forward(evi_step *s)                               \
    {                                                                      \
        if (integers < 0 || !integer_run(s, integers))                     \
            unary_run(s, name_##_value);                                   \
    }                                                                      \
    const evi_op evi_op_##name_ = {.name = #name_,                         \
                                   .onnx = onnx_,                          \
                                   .traits = traits_,                      \
                                   .bwd_in = bwd_in_,                      \
                                   .min_in = 1,                            \
                                   .max_in = 1,                            \
                                   .max_out = 1,                           \
                                   .infer = infer_,                        \
                                   .forward = name_##_forward,             \
                                   .backward = EVI_BACKWARD(backward_),    \
                                   .channels = evi_couple_unary,           \
                                   .flops = evi_flops_elements};
#define BACK(name)                           \
    static void name##_backward(evi_step *s) \
    {                                        \
        unary_back(s, name##_slope);         \
    }
#define FROM_IN(name, onnx) BACK(name) UNARY(name, onnx, real_infer, -1, 0, 1, name##_backward)
#define FROM_OUT(name, onnx) \
    BACK(name)               \
    UNARY(name, onnx, real_infer, -1, EVI_OP_INPLACE | EVI_OP_BWD_OUT, 0, name##_backward)
#define FORWARD_ONLY(name, onnx) UNARY(name, onnx, real_infer, -1, EVI_OP_INPLACE, 0, NULL)

FROM_OUT(sqrt, "Sqrt")
FROM_OUT(exp, "Exp")
FROM_OUT(reciprocal, "Reciprocal")
FROM_IN(log, "Log")
FROM_IN(sin, "Sin")
FROM_IN(cos, "Cos")
FROM_IN(erf, "Erf")
FROM_IN(gelu, "Gelu")
FROM_IN(elu, "Elu")
FROM_IN(selu, "Selu")
FROM_IN(softplus, "Softplus")
FROM_IN(softsign, "Softsign")
FORWARD_ONLY(floor, "Floor")
FORWARD_ONLY(ceil, "Ceil")
FORWARD_ONLY(round, "Round")
BACK(neg)
UNARY(neg, "Neg", number_infer, 0, EVI_OP_INPLACE, 0, neg_backward)
BACK(abs)
UNARY(abs, "Abs", number_infer, 1, 0, 1, abs_backward)
UNARY(sign, "Sign", number_infer, 2, EVI_OP_INPLACE, 0, NULL)

/* ---- not ------------------------------------------------------------------------------------ */

static ev_status not_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                           int32_t n_out)
{
    if (in->type != EV_TYPE_BOOL)
        return evi_fail(EV_ERR_SHAPE, "the input must be bool, not %s", ev_type_name(in->type));
    return evi_infer_same(a, in, n_in, out, n_out);
}

static void not_forward(evi_step *s)
{
    const uint8_t *x = s->in[0]->data;
    uint8_t *y = s->out[0]->data;
    int64_t n = evi_shape_count(&s->in[0]->shape);
    for (int64_t i = 0; i < n; i++)
        y[i] = !x[i];
}

const evi_op evi_op_not = {.name = "not",
                           .onnx = "Not",
                           .traits = EVI_OP_INPLACE,
                           .min_in = 1,
                           .max_in = 1,
                           .max_out = 1,
                           .infer = not_infer,
                           .forward = not_forward};
