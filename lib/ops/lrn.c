/* SPDX-License-Identifier: MIT */
/* Local response normalisation of x [N,C,d1,...]; ONNX LRN, inference only:
 *     y = x / (bias + alpha / size * sum of squares of `size` neighbouring channels) ^ beta
 * a.kernel[0]: size; a.alpha; a.beta; a.epsilon: bias.  Source: Krizhevsky, Sutskever, Hinton,
 * "ImageNet classification with deep convolutional neural networks" (2012). */
#include "ops/check.h"

#include <tgmath.h>

static ev_status lrn_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                           int32_t n_out)
{
    (void)n_out;
    EVI_TRY(evi_need_rank(in, n_in, 0, 2, EV_MAX_RANK, "the input"));
    if (a->kernel[0] < 1)
        return evi_fail(EV_ERR_ARGUMENT, "size %d must be at least 1", (int)a->kernel[0]);
    evi_edge_set(out, 0, in[0].type, &in[0].shape);
    return EV_OK;
}

/* first..: numbers of planes, n * C + c */
static void lrn_range(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    const evi_shape *shape = &s->in[0]->shape;
    int64_t channels = shape->dim[1], plane = evi_shape_span(shape, 2, shape->rank);
    int64_t size = s->a.kernel[0];
    for (int64_t p = first; p < first + count; p++) {
        int64_t c = p % channels;
        int64_t from = EVI_MAX(c - (size - 1) / 2, 0), to = EVI_MIN(c + size / 2, channels - 1);
        const evi_real *x = evi_in(s, 0) + (p - c) * plane;
        for (int64_t i = 0; i < plane; i++) {
            evi_real sum = 0;
            for (int64_t q = from; q <= to; q++)
                sum += x[q * plane + i] * x[q * plane + i];
            evi_real base = EVI_REAL(s->a.epsilon) + EVI_REAL(s->a.alpha) / (evi_real)size * sum;
            evi_out(s, 0)[p * plane + i] = x[c * plane + i] * pow(base, -EVI_REAL(s->a.beta));
        }
    }
}

static void lrn_forward(evi_step *s)
{
    const evi_shape *x = &s->in[0]->shape;
    int64_t plane = evi_shape_span(x, 2, x->rank);
    evi_for_ranges(s->crew, evi_shape_span(x, 0, 2), 2048 / plane + 1, lrn_range, s);
}

static void lrn_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                         int32_t n_out, evi_coupling *c)
{
    (void)a, (void)in, (void)n_in, (void)out, (void)n_out;
    c->blocked = "neighbouring channels are mixed";
}

static double lrn_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                        int32_t n_out)
{
    (void)n_in, (void)out, (void)n_out;
    return (2.0 * a->kernel[0] + 3.0) * (double)evi_shape_count(&in[0].shape);
}

const evi_op evi_op_lrn = {.name = "lrn",
                           .onnx = "LRN",
                           .min_in = 1,
                           .max_in = 1,
                           .max_out = 1,
                           .infer = lrn_infer,
                           .forward = lrn_forward,
                           .channels = lrn_channels,
                           .flops = lrn_flops};
