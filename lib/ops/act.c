/* SPDX-License-Identifier: MIT */
/* Activations that kernels know: relu, leaky_relu, clip, sigmoid, tanh, hard_swish, hard_sigmoid.
 *
 *   relu, sigmoid, tanh, hard_swish (6/6 form)   no attributes
 *   leaky_relu    alpha (ONNX default 0.01)
 *   hard_sigmoid  alpha, beta (ONNX defaults 0.2, 0.5)
 *   clip          alpha = lowest, beta = highest (default -/+ infinity, or the float range), or
 *                 the optional inputs 1 (min) and 2 (max), which win over them; any type.
 *                 A clip with inputs may be fused only when they are constants: then infer has
 *                 copied them into alpha and beta. */
#include "ops/walk.h"

#include <math.h>

#define PIECE 16384

typedef struct act_job {
    const evi_kernels *k;
    evk_act act;
    const evi_real *x, *y, *dy;
    evi_real *out;
    int32_t add;
} act_job;

static void forward_range(void *arg, int64_t first, int64_t count)
{
    const act_job *job = arg;
    job->k->act(count, job->x + first, 0, &job->act, job->out + first);
}

static void backward_range(void *arg, int64_t first, int64_t count)
{
    const act_job *job = arg;
    job->k->act_back(count, job->x ? job->x + first : NULL, job->y ? job->y + first : NULL,
                     job->dy + first, &job->act, job->out + first, job->add);
}

static void run_forward(evi_step *s, int32_t kind, evi_real a, evi_real b)
{
    act_job job = {.k = s->k, .act = {kind, a, b}, .x = evi_in(s, 0), .out = evi_out(s, 0)};
    evi_for_ranges(s->crew, evi_shape_count(&s->out[0]->shape), PIECE, forward_range, &job);
}

/* The kernels say which kinds need x and which need y. */
static void run_backward(evi_step *s, int32_t kind, evi_real a, evi_real b, bool from_x)
{
    act_job job = {.k = s->k, .act = {kind, a, b}, .dy = s->out[0]->grad};
    if (s->in[0]->grad == NULL)
        return;
    if (from_x)
        job.x = evi_in(s, 0);
    else
        job.y = evi_out(s, 0);
    job.out = s->in[0]->grad;
    job.add = !evi_grad_is_first(s, 0);
    evi_for_ranges(s->crew, evi_shape_count(&s->out[0]->shape), PIECE, backward_range, &job);
}

static ev_status act_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                           int32_t n_out)
{
    EVI_TRY(evi_need_real(in, n_in, 0, "the input"));
    return evi_infer_same(a, in, n_in, out, n_out);
}

#define PLAIN_ACT(name_, onnx_, kind, a_, b_, from_x, traits_)                 \
    static void name_##_forward(evi_step *s)                                   \
    {                                                                          \
        run_forward(s, kind, a_, b_);                                          \
    }                                                                          \
    static void name_##_backward(evi_step *s)                                  \
    {                                                                          \
        run_backward(s, kind, a_, b_, from_x);                                 \
    }                                                                          \
    const evi_op evi_op_##name_ = {.name = #name_,                             \
                                   .onnx = onnx_,                              \
                                   .traits = (traits_) | EVI_OP_ACT,           \
                                   .bwd_in = from_x,                           \
                                   .min_in = 1,                                \
                                   .max_in = 1,                                \
                                   .max_out = 1,                               \
                                   .infer = act_infer,                         \
                                   .forward = name_##_forward,                 \
                                   .backward = EVI_BACKWARD(name_##_backward), \
                                   .channels = evi_couple_unary,               \
                                   .flops = evi_flops_elements};

#define FROM_OUT (EVI_OP_INPLACE | EVI_OP_BWD_OUT)
PLAIN_ACT(relu, "Relu", EVK_ACT_RELU, 0, 0, 0, FROM_OUT)
PLAIN_ACT(sigmoid, "Sigmoid", EVK_ACT_SIGMOID, 0, 0, 0, FROM_OUT)
PLAIN_ACT(tanh, "Tanh", EVK_ACT_TANH, 0, 0, 0, FROM_OUT)
PLAIN_ACT(hard_swish, "HardSwish", EVK_ACT_HARDSWISH, 0, 0, 1, 0)
PLAIN_ACT(hard_sigmoid, "HardSigmoid", EVK_ACT_HARDSIGMOID, EVI_REAL(s->a.alpha),
          EVI_REAL(s->a.beta), 1, 0)

/* ---- leaky relu ----------------------------------------------------------------------------- */

/* With alpha >= 0 the sign of x can be told from y; with a negative slope it cannot, so a training
 * plan keeps one byte per element. */
static void leaky_prepare(evi_step *s)
{
    if (s->training && s->a.alpha < 0)
        s->saved_bytes = (uint64_t)evi_shape_count(&s->in[0]->shape);
}

typedef struct mask_job {
    const evi_real *x, *dy;
    evi_real *dx;
    uint8_t *positive;
    evi_real alpha;
    bool first;
} mask_job;

static void mask_range(void *arg, int64_t first, int64_t count)
{
    const mask_job *job = arg;
    for (int64_t i = first; i < first + count; i++)
        job->positive[i] = job->x[i] > 0;
}

static void masked_range(void *arg, int64_t first, int64_t count)
{
    const mask_job *job = arg;
    for (int64_t i = first; i < first + count; i++) {
        evi_real g = job->dy[i] * (job->positive[i] ? 1 : job->alpha);
        job->dx[i] = job->first ? g : job->dx[i] + g;
    }
}

static void leaky_relu_forward(evi_step *s)
{
    if (s->saved != NULL && s->a.alpha < 0) {
        mask_job job = {.x = evi_in(s, 0), .positive = s->saved};
        evi_for_ranges(s->crew, evi_shape_count(&s->in[0]->shape), PIECE, mask_range, &job);
    }
    run_forward(s, EVK_ACT_LEAKY, EVI_REAL(s->a.alpha), 0);
}

static void leaky_relu_backward(evi_step *s)
{
    if (s->saved != NULL && s->a.alpha < 0 && s->in[0]->grad != NULL) {
        mask_job job = {.dy = s->out[0]->grad,
                        .dx = s->in[0]->grad,
                        .positive = s->saved,
                        .alpha = EVI_REAL(s->a.alpha),
                        .first = evi_grad_is_first(s, 0)};
        evi_for_ranges(s->crew, evi_shape_count(&s->in[0]->shape), PIECE, masked_range, &job);
        return;
    }
    run_backward(s, EVK_ACT_LEAKY, EVI_REAL(s->a.alpha), 0, false);
}

const evi_op evi_op_leaky_relu = {.name = "leaky_relu",
                                  .onnx = "LeakyRelu",
                                  .traits = FROM_OUT | EVI_OP_ACT,
                                  .min_in = 1,
                                  .max_in = 1,
                                  .max_out = 1,
                                  .infer = act_infer,
                                  .prepare = leaky_prepare,
                                  .forward = leaky_relu_forward,
                                  .backward = EVI_BACKWARD(leaky_relu_backward),
                                  .channels = evi_couple_unary,
                                  .flops = evi_flops_elements};

/* ---- clip ----------------------------------------------------------------------------------- */

static ev_status clip_bound(const evi_edge *in, int32_t n_in, int32_t i, float *bound)
{
    char text[EVI_SHAPE_TEXT];
    if (i >= n_in || in[i].type == 0)
        return EV_OK;
    if (evi_shape_count(&in[i].shape) != 1 || in[i].type != in[0].type)
        return evi_fail(EV_ERR_SHAPE, "%s must be one %s, not %s %s", i == 1 ? "min" : "max",
                        ev_type_name(in[0].type), ev_type_name(in[i].type),
                        evi_shape_text(&in[i].shape, text));
    if (in[i].value != NULL)
        *bound = (float)evi_number(in[i].value, in[i].type, 0);
    return EV_OK;
}

static ev_status clip_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                            int32_t n_out)
{
    EVI_TRY(clip_bound(in, n_in, 1, &a->alpha));
    EVI_TRY(clip_bound(in, n_in, 2, &a->beta));
    if (a->alpha > a->beta)
        a->alpha = a->beta; /* min above max: all becomes max */
    return evi_infer_same(a, in, n_in, out, n_out);
}

static double clip_limit(const evi_step *s, int32_t i)
{
    if (evi_has_in(s, i) && s->in[i]->data != NULL)
        return evi_number(s->in[i]->data, s->in[i]->type, 0);
    return i == 1 ? s->a.alpha : s->a.beta;
}

static void clip_limits(const evi_step *s, double *lo, double *hi)
{
    *hi = clip_limit(s, 2);
    *lo = EVI_MIN(clip_limit(s, 1), *hi);
}

typedef struct clip_job {
    const void *x;
    void *y;
    double lo, hi;
} clip_job;

#define CLIP_RANGE(name, type, wide)                              \
    static void name(void *arg, int64_t first, int64_t count)     \
    {                                                             \
        const clip_job *job = arg;                                \
        const type *x = job->x;                                   \
        type *y = job->y;                                         \
        for (int64_t i = first; i < first + count; i++) {         \
            wide v = (wide)x[i];                                  \
            v = v < (wide)job->lo ? (wide)job->lo : v;            \
            y[i] = (type)(v > (wide)job->hi ? (wide)job->hi : v); \
        }                                                         \
    }
CLIP_RANGE(clip_int8, int8_t, double)
CLIP_RANGE(clip_uint8, uint8_t, double)
CLIP_RANGE(clip_int32, int32_t, double)

/* Doubles hold int64 only up to 2^53: compare there, but keep the value as it is. */
static void clip_int64(void *arg, int64_t first, int64_t count)
{
    const clip_job *job = arg;
    const int64_t *x = job->x;
    int64_t *y = job->y;
    for (int64_t i = first; i < first + count; i++) {
        int64_t v = (double)x[i] < job->lo ? (int64_t)job->lo : x[i];
        y[i] = (double)v > job->hi ? (int64_t)job->hi : v;
    }
}

/* A limit outside of what the type holds is the end of it; int64's as far as doubles go. */
static double into_type(double limit, int32_t type)
{
    double lo = INT32_MIN, hi = INT32_MAX;
    if (type == EV_TYPE_INT8 || type == EV_TYPE_UINT8) {
        lo = type == EV_TYPE_INT8 ? INT8_MIN : 0;
        hi = type == EV_TYPE_INT8 ? INT8_MAX : UINT8_MAX;
    } else if (type == EV_TYPE_INT64) {
        lo = -0x1p63;
        hi = 0x1.fffffffffffffp62;
    }
    return limit < lo ? lo : limit > hi ? hi : limit;
}

static void clip_forward(evi_step *s)
{
    double lo, hi;
    clip_limits(s, &lo, &hi);
    if (evi_type_is_real(s->in[0]->type)) {
        run_forward(s, EVK_ACT_CLIP, (evi_real)lo, (evi_real)hi);
        return;
    }
    clip_job job = {s->in[0]->data, s->out[0]->data, into_type(lo, s->in[0]->type),
                    into_type(hi, s->in[0]->type)};
    evi_range_fn fn = clip_uint8;
    if (s->in[0]->type == EV_TYPE_INT8)
        fn = clip_int8;
    else if (s->in[0]->type == EV_TYPE_INT32)
        fn = clip_int32;
    else if (s->in[0]->type == EV_TYPE_INT64)
        fn = clip_int64;
    evi_for_ranges(s->crew, evi_shape_count(&s->in[0]->shape), PIECE, fn, &job);
}

static void clip_backward(evi_step *s)
{
    double lo, hi;
    clip_limits(s, &lo, &hi);
    run_backward(s, EVK_ACT_CLIP, (evi_real)lo, (evi_real)hi, false);
}

const evi_op evi_op_clip = {.name = "clip",
                            .onnx = "Clip",
                            .traits = FROM_OUT | EVI_OP_ACT,
                            .min_in = 1,
                            .max_in = 3,
                            .max_out = 1,
                            .infer = clip_infer,
                            .forward = clip_forward,
                            .backward = EVI_BACKWARD(clip_backward),
                            .channels = evi_couple_unary,
                            .flops = evi_flops_elements};
