/* SPDX-License-Identifier: MIT */
/* Instance normalisation of x [N,C,d1,...]: every channel of every picture by its own mean and
 * variance, in training and inference; ONNX InstanceNormalization.
 * Inputs: x, scale [C], bias [C]; the latter two may be absent (1 and 0).
 * Source: Ulyanov, Vedaldi, Lempitsky, "Instance normalization: the missing ingredient for fast
 * stylization" (2016).  Backward: see batch_norm.c, a picture's plane in place of the batch. */
#include "ops/check.h"

#include <tgmath.h>

static ev_status in_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                          int32_t n_out)
{
    (void)a, (void)n_out;
    EVI_TRY(evi_need_rank(in, n_in, 0, 3, EV_MAX_RANK, "the input"));
    EVI_TRY(evi_need_vector(in, n_in, 1, in[0].shape.dim[1], "the scale"));
    EVI_TRY(evi_need_vector(in, n_in, 2, in[0].shape.dim[1], "the bias"));
    evi_edge_set(out, 0, in[0].type, &in[0].shape);
    return EV_OK;
}

typedef struct plane_state { /* kept for backward */
    evi_real mean, inverse;
} plane_state;

typedef struct plane_sums { /* of backward: sum dy, sum dy (x - mean) / deviation */
    evi_real dy, products;
} plane_sums;

static int64_t planes_of(const evi_step *s)
{
    return evi_shape_span(&s->in[0]->shape, 0, 2);
}

static int64_t plane_size(const evi_step *s)
{
    return evi_shape_span(&s->in[0]->shape, 2, s->in[0]->shape.rank);
}

static void in_prepare(evi_step *s)
{
    if (!s->training)
        return;
    s->saved_bytes = (uint64_t)planes_of(s) * sizeof(plane_state);
    s->scratch_bytes = (uint64_t)planes_of(s) * sizeof(plane_sums);
}

static evi_real scale_of(const evi_step *s, int64_t plane)
{
    return evi_has_in(s, 1) ? evi_in(s, 1)[plane % s->in[0]->shape.dim[1]] : 1;
}

static evi_real bias_of(const evi_step *s, int64_t plane)
{
    return evi_has_in(s, 2) ? evi_in(s, 2)[plane % s->in[0]->shape.dim[1]] : 0;
}

static void forward_range(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    int64_t size = plane_size(s);
    evk_act act = evi_step_act(s);
    for (int64_t p = first; p < first + count; p++) {
        const evi_real *x = evi_in(s, 0) + p * size;
        evi_real mean = s->k->sum(size, x) / (evi_real)size;
        evi_real variance = s->k->sum_squares(size, x, mean) / (evi_real)size;
        evi_real inverse = 1 / sqrt(variance + EVI_REAL(s->a.epsilon));
        if (s->training)
            ((plane_state *)s->saved)[p] = (plane_state){mean, inverse};
        evi_real slope = scale_of(s, p) * inverse;
        s->k->norm_act(size, x, slope, bias_of(s, p) - mean * slope, &act,
                       evi_out(s, 0) + p * size);
    }
}

static void in_forward(evi_step *s)
{
    evi_for_ranges(s->crew, planes_of(s), 16384 / plane_size(s) + 1, forward_range, s);
}

static void backward_range(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    int64_t size = plane_size(s);
    for (int64_t p = first; p < first + count; p++) {
        const evi_real *x = evi_in(s, 0) + p * size, *dy = s->out[0]->grad + p * size;
        plane_state at = ((const plane_state *)s->saved)[p];
        evi_real slope = scale_of(s, p) * at.inverse, sums[2];
        evk_norm o = {.a = slope,
                      .b = bias_of(s, p) - at.mean * slope,
                      .leak = evi_norm_leak(s),
                      .mean = at.mean};
        s->k->norm_sums(size, dy, x, &o, sums);
        ((plane_sums *)s->scratch)[p] = (plane_sums){sums[0], sums[1] * at.inverse};
        if (s->in[0]->grad == NULL)
            continue;
        double a1 = (double)slope, m = (double)size;
        double a2 = -a1 * (double)at.inverse * (double)at.inverse * (double)sums[1] / m;
        o.p = (evi_real)a1;
        o.q = (evi_real)a2;
        o.r = (evi_real)(-a1 * (double)sums[0] / m - a2 * (double)at.mean);
        s->k->norm_back(size, dy, x, &o, s->in[0]->grad + p * size, !evi_grad_is_first(s, 0));
    }
}

static void in_backward(evi_step *s)
{
    int64_t channels = s->in[0]->shape.dim[1], n = s->in[0]->shape.dim[0];
    const plane_sums *sums = s->scratch;
    evi_for_ranges(s->crew, planes_of(s), 16384 / plane_size(s) + 1, backward_range, s);
    evi_real *scale = evi_grad_start(s, 1), *bias = evi_grad_start(s, 2);
    for (int64_t p = 0; p < n * channels; p++) {
        if (scale != NULL)
            scale[p % channels] += sums[p].products;
        if (bias != NULL)
            bias[p % channels] += sums[p].dy;
    }
}

static void in_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                        int32_t n_out, evi_coupling *c)
{
    (void)a, (void)out, (void)n_out;
    int64_t channels = in[0].shape.dim[1];
    int32_t set = evi_couple_set(c);
    evi_couple(c, set, 0, 1, 0, channels, 1);
    evi_couple(c, set, ~0, 1, 0, channels, 1);
    for (int32_t i = 1; i < 3; i++)
        if (evi_edge_has(in, n_in, i))
            evi_couple(c, set, i, 0, 0, channels, 1);
}

static double in_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                       int32_t n_out)
{
    (void)a, (void)n_in, (void)out, (void)n_out;
    return 6.0 * (double)evi_shape_count(&in[0].shape);
}

const evi_op evi_op_instance_norm = {.name = "instance_norm",
                                     .onnx = "InstanceNormalization",
                                     .traits = EVI_OP_FUSES_ACT | EVI_OP_ACT_FROM_IN | EVI_OP_AGAIN,
                                     .bwd_in = 1 << 0 | 1 << 1 | 1 << 2,
                                     .min_in = 1,
                                     .max_in = 3,
                                     .max_out = 1,
                                     .infer = in_infer,
                                     .prepare = in_prepare,
                                     .forward = in_forward,
                                     .backward = EVI_BACKWARD(in_backward),
                                     .channels = in_channels,
                                     .flops = in_flops};
