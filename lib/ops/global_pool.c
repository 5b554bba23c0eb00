/* SPDX-License-Identifier: MIT */
/* Mean or largest value of every channel; ONNX GlobalAveragePool and GlobalMaxPool.
 * Input [N,C,d1,...] of rank 3 or more, output [N,C,1,...].  The first of equal values gets the
 * gradient of the maximum; NaN wins over everything. */
#include "ops/check.h"

#include <string.h>
#include <tgmath.h>

static ev_status global_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                              int32_t n_out)
{
    (void)a, (void)n_out;
    EVI_TRY(evi_need_rank(in, n_in, 0, 3, EV_MAX_RANK, "the input"));
    evi_shape y = in[0].shape;
    for (int32_t d = 2; d < y.rank; d++)
        y.dim[d] = 1;
    evi_edge_set(out, 0, in[0].type, &y);
    return EV_OK;
}

static int64_t plane_of(const evi_step *s)
{
    return evi_shape_span(&s->in[0]->shape, 2, s->in[0]->shape.rank);
}

static void for_channels(evi_step *s, evi_range_fn fn)
{
    evi_for_ranges(s->crew, evi_shape_span(&s->in[0]->shape, 0, 2), 32768 / plane_of(s) + 1, fn, s);
}

static void average_range(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    int64_t plane = plane_of(s);
    for (int64_t i = first; i < first + count; i++)
        evi_out(s, 0)[i] = s->k->sum(plane, evi_in(s, 0) + i * plane) / (evi_real)plane;
}

static void average_forward(evi_step *s)
{
    for_channels(s, average_range);
}

static void average_back_range(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    int64_t plane = plane_of(s);
    for (int64_t i = first; i < first + count; i++) {
        evi_real *dx = s->in[0]->grad + i * plane;
        evi_real g = s->out[0]->grad[i] / (evi_real)plane;
        bool is_first = evi_grad_is_first(s, 0);
        for (int64_t j = 0; j < plane; j++)
            dx[j] = is_first ? g : dx[j] + g;
    }
}

static void average_backward(evi_step *s)
{
    if (s->in[0]->grad != NULL)
        for_channels(s, average_back_range);
}

static void max_prepare(evi_step *s)
{
    if (s->training)
        s->saved_bytes = (uint64_t)evi_shape_count(&s->out[0]->shape) * sizeof(int32_t);
}

static void max_range(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    int64_t plane = plane_of(s);
    for (int64_t i = first; i < first + count; i++) {
        const evi_real *x = evi_in(s, 0) + i * plane;
        evi_real max = s->k->max(plane, x);
        evi_out(s, 0)[i] = max;
        if (!s->training)
            continue;
        int64_t at = 0;
        while (at < plane - 1 && !(x[at] == max || isnan(x[at])))
            at++;
        ((int32_t *)s->saved)[i] = (int32_t)at;
    }
}

static void max_forward(evi_step *s)
{
    for_channels(s, max_range);
}

static void max_back_range(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    int64_t plane = plane_of(s);
    for (int64_t i = first; i < first + count; i++) {
        evi_real *dx = s->in[0]->grad + i * plane;
        if (evi_grad_is_first(s, 0))
            memset(dx, 0, (size_t)plane * sizeof(*dx));
        dx[((const int32_t *)s->saved)[i]] += s->out[0]->grad[i];
    }
}

static void max_backward(evi_step *s)
{
    if (s->in[0]->grad != NULL)
        for_channels(s, max_back_range);
}

static void global_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                            const evi_edge *out, int32_t n_out, evi_coupling *c)
{
    (void)a;
    evi_couple_same(c, in, n_in, out, n_out, 1);
}

static double global_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                           const evi_edge *out, int32_t n_out)
{
    (void)a, (void)n_in, (void)out, (void)n_out;
    return (double)evi_shape_count(&in[0].shape);
}

const evi_op evi_op_global_average_pool = {.name = "global_average_pool",
                                           .onnx = "GlobalAveragePool",
                                           .min_in = 1,
                                           .max_in = 1,
                                           .max_out = 1,
                                           .infer = global_infer,
                                           .forward = average_forward,
                                           .backward = EVI_BACKWARD(average_backward),
                                           .channels = global_channels,
                                           .flops = global_flops};

const evi_op evi_op_global_max_pool = {.name = "global_max_pool",
                                       .onnx = "GlobalMaxPool",
                                       .min_in = 1,
                                       .max_in = 1,
                                       .max_out = 1,
                                       .infer = global_infer,
                                       .prepare = max_prepare,
                                       .forward = max_forward,
                                       .backward = EVI_BACKWARD(max_backward),
                                       .channels = global_channels,
                                       .flops = global_flops};
