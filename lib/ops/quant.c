/* SPDX-License-Identifier: MIT */
/* quantize_linear, dequantize_linear: between real numbers and 8-bit (or int32) ones.
 *
 *   inputs: x, scale, zero point (optional); axis (ONNX default 1) of per-channel scales;
 *   flag = block_size (0: none); to_type = type of the output of quantize_linear when there is no
 *   zero point (0: uint8)
 * Inference only. */
#include "ops/walk.h"

#include <math.h>

/* How a scale is found for an element: x is [outer, n, inner]. */
typedef struct grid {
    int64_t outer, n, inner;
    int64_t block, n_blocks; /* n_blocks scales along n, of block entries each */
    bool spread;             /* the scale has outer and inner axes too (blocked) */
} grid;

static ev_status grid_of(const evi_attrs *a, const evi_shape *x, const evi_shape *scale, grid *g)
{
    char text[2][EVI_SHAPE_TEXT];
    int32_t axis;
    *g = (grid){1, evi_shape_count(x), 1, evi_shape_count(x), 1, false};
    if (evi_shape_count(scale) == 1 && a->flag == 0)
        return EV_OK;
    if (!evi_axis(a->axis, x->rank, &axis))
        return evi_fail(EV_ERR_SHAPE, "axis %d is out of range for rank %d", a->axis, x->rank);
    g->outer = evi_shape_span(x, 0, axis);
    g->n = x->dim[axis];
    g->inner = evi_shape_span(x, axis + 1, x->rank);
    g->n_blocks = g->n;
    g->block = 1;
    bool fits = scale->rank == 1 && scale->dim[0] == g->n;
    if (a->flag > 0) {
        g->block = a->flag;
        g->n_blocks = (g->n + g->block - 1) / g->block;
        g->spread = true;
        fits = scale->rank == x->rank;
        for (int32_t i = 0; fits && i < x->rank; i++)
            fits = scale->dim[i] == (i == axis ? g->n_blocks : x->dim[i]);
    }
    if (!fits || a->flag < 0)
        return evi_fail(EV_ERR_SHAPE, "scales %s do not fit %s along axis %d in blocks of %d",
                        evi_shape_text(scale, text[0]), evi_shape_text(x, text[1]), axis, a->flag);
    return EV_OK;
}

static ev_status quant_check(evi_attrs *a, const evi_edge *in, int32_t n_in)
{
    grid g;
    EVI_TRY(evi_need_real(in, n_in, 1, "the scale"));
    EVI_TRY(grid_of(a, &in[0].shape, &in[1].shape, &g));
    if (evi_edge_has(in, n_in, 2) && evi_shape_count(&in[2].shape) != evi_shape_count(&in[1].shape))
        return evi_fail(EV_ERR_SHAPE, "there are %lld scales and %lld zero points",
                        (long long)evi_shape_count(&in[1].shape),
                        (long long)evi_shape_count(&in[2].shape));
    return EV_OK;
}

static ev_status quantize_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                                int32_t n_out)
{
    int32_t type = a->to_type == 0 ? EV_TYPE_UINT8 : a->to_type;
    (void)n_out;
    if (evi_edge_has(in, n_in, 2))
        type = in[2].type;
    if (type != EV_TYPE_UINT8 && type != EV_TYPE_INT8)
        return evi_fail(EV_ERR_UNSUPPORTED, "quantize_linear: to %s", ev_type_name(type));
    EVI_TRY(quant_check(a, in, n_in));
    evi_edge_set(out, 0, type, &in->shape);
    return EV_OK;
}

static ev_status dequantize_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                                  int32_t n_out)
{
    (void)n_out;
    if (in->type != EV_TYPE_UINT8 && in->type != EV_TYPE_INT8 && in->type != EV_TYPE_INT32)
        return evi_fail(EV_ERR_SHAPE, "dequantize_linear: from %s", ev_type_name(in->type));
    if (evi_edge_has(in, n_in, 2) && in[2].type != in[0].type)
        return evi_fail(EV_ERR_SHAPE, "the zero point is %s, the input %s",
                        ev_type_name(in[2].type), ev_type_name(in[0].type));
    EVI_TRY(quant_check(a, in, n_in));
    evi_edge_set(out, 0, EV_TYPE_FLOAT32, &in->shape);
    return EV_OK;
}

typedef struct quant_job {
    grid g;
    const evi_view *x, *zero;
    const evi_real *scale;
    void *y;
    int32_t to;
} quant_job;

static int64_t scale_index(const grid *g, int64_t i)
{
    int64_t inner = i % g->inner, n = i / g->inner % g->n, outer = i / g->inner / g->n;
    int64_t at = n / g->block;
    return g->spread ? (outer * g->n_blocks + at) * g->inner + inner : at;
}

static void quantize_range(void *arg, int64_t first, int64_t count)
{
    const quant_job *job = arg;
    double low = job->to == EV_TYPE_INT8 ? -128 : 0, high = low + 255;
    for (int64_t i = first; i < first + count; i++) {
        int64_t at = scale_index(&job->g, i);
        evi_real x = (evi_real)evi_number(job->x->data, job->x->type, i) / job->scale[at];
        double v = nearbyint((double)x);
        v += job->zero == NULL ? 0 : evi_number(job->zero->data, job->zero->type, at);
        v = v >= low ? EVI_MIN(v, high) : low; /* NaN: the lowest */
        ((uint8_t *)job->y)[i] = (uint8_t)(int32_t)v;
    }
}

static void dequantize_range(void *arg, int64_t first, int64_t count)
{
    const quant_job *job = arg;
    for (int64_t i = first; i < first + count; i++) {
        int64_t at = scale_index(&job->g, i);
        int64_t v = evi_integer(job->x->data, job->x->type, i);
        v -= job->zero == NULL ? 0 : evi_integer(job->zero->data, job->zero->type, at);
        ((evi_real *)job->y)[i] = (evi_real)v * job->scale[at];
    }
}

static void quant_run(evi_step *s, evi_range_fn fn)
{
    quant_job job = {.x = s->in[0],
                     .zero = evi_has_in(s, 2) ? s->in[2] : NULL,
                     .scale = evi_in(s, 1),
                     .y = s->out[0]->data,
                     .to = s->out[0]->type};
    if (grid_of(&s->a, &s->in[0]->shape, &s->in[1]->shape, &job.g) == EV_OK)
        evi_for_ranges(s->crew, evi_shape_count(&s->in[0]->shape), 8192, fn, &job);
}

static void quantize_forward(evi_step *s)
{
    quant_run(s, quantize_range);
}

static void dequantize_forward(evi_step *s)
{
    quant_run(s, dequantize_range);
}

const evi_op evi_op_quantize_linear = {.name = "quantize_linear",
                                       .onnx = "QuantizeLinear",
                                       .min_in = 2,
                                       .max_in = 3,
                                       .max_out = 1,
                                       .infer = quantize_infer,
                                       .forward = quantize_forward};
const evi_op evi_op_dequantize_linear = {.name = "dequantize_linear",
                                         .onnx = "DequantizeLinear",
                                         .min_in = 2,
                                         .max_in = 3,
                                         .max_out = 1,
                                         .infer = dequantize_infer,
                                         .forward = dequantize_forward};
