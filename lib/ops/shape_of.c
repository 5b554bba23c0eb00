/* SPDX-License-Identifier: MIT */
/* Operations of shape arithmetic: shape, size, constant_of_shape, range.  No gradients.
 *
 *   shape              list.v[0] = start, list2.v[0] = end, each only when set; int64 output
 *   size               number of elements, int64 of rank 0
 *   constant_of_shape  list = shape, or input 0 (which is then read); alpha = value, to_type its
 *                      type (0: float32)
 *   range              inputs 0, 1, 2 = start, limit, delta, known before running */
#include "ops/walk.h"

#include <math.h>

static int64_t bound(const evi_list *l, int64_t missing, int32_t rank)
{
    int64_t v = l->set && l->n > 0 ? l->v[0] : missing;
    v = v < 0 ? v + rank : v;
    return v < 0 ? 0 : v > rank ? rank : v;
}

static ev_status shape_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                             int32_t n_out)
{
    int64_t start = bound(&a->list, 0, in->shape.rank);
    int64_t end = bound(&a->list2, in->shape.rank, in->shape.rank);
    (void)n_in;
    (void)n_out;
    out->type = EV_TYPE_INT64;
    out->shape = (evi_shape){.rank = 1, .dim = {EVI_MAX(end - start, 0)}};
    return EV_OK;
}

static void shape_forward(evi_step *s)
{
    int64_t *y = s->out[0]->data;
    int64_t start = bound(&s->a.list, 0, s->in[0]->shape.rank);
    for (int64_t i = 0; i < s->out[0]->shape.dim[0]; i++)
        y[i] = s->in[0]->shape.dim[start + i];
}

const evi_op evi_op_shape = {.name = "shape",
                             .onnx = "Shape",
                             .traits = EVI_OP_SHAPE_ONLY,
                             .min_in = 1,
                             .max_in = 1,
                             .max_out = 1,
                             .infer = shape_infer,
                             .forward = shape_forward};

static ev_status size_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                            int32_t n_out)
{
    (void)a;
    (void)in;
    (void)n_in;
    (void)n_out;
    out->type = EV_TYPE_INT64;
    out->shape = (evi_shape){0};
    return EV_OK;
}

static void size_forward(evi_step *s)
{
    *(int64_t *)s->out[0]->data = evi_shape_count(&s->in[0]->shape);
}

const evi_op evi_op_size = {.name = "size",
                            .onnx = "Size",
                            .traits = EVI_OP_SHAPE_ONLY,
                            .min_in = 1,
                            .max_in = 1,
                            .max_out = 1,
                            .infer = size_infer,
                            .forward = size_forward};

/* ---- constant_of_shape ---------------------------------------------------------------------- */

static void put_number(void *data, int32_t type, int64_t i, double v)
{
    switch (type) {
    case EV_TYPE_FLOAT32: ((evi_real *)data)[i] = (evi_real)v; break;
    case EV_TYPE_INT64: ((int64_t *)data)[i] = (int64_t)v; break;
    case EV_TYPE_INT32: ((int32_t *)data)[i] = (int32_t)v; break;
    case EV_TYPE_INT8: ((int8_t *)data)[i] = (int8_t)v; break;
    default: ((uint8_t *)data)[i] = (uint8_t)v; break;
    }
}

static ev_status fill_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                            int32_t n_out)
{
    (void)n_out;
    EVI_TRY(evi_list_input(in, n_in, 0, "the shape", &a->list));
    out->type = a->to_type == 0 ? EV_TYPE_FLOAT32 : a->to_type;
    if (out->type < EV_TYPE_FLOAT32 || out->type > EV_TYPE_BOOL)
        return evi_fail(EV_ERR_UNSUPPORTED, "constant_of_shape: type %d", out->type);
    return evi_shape_set(&out->shape, a->list.n, a->list.v, "constant_of_shape");
}

static void fill_forward(evi_step *s)
{
    int64_t n = evi_shape_count(&s->out[0]->shape);
    for (int64_t i = 0; i < n; i++)
        put_number(s->out[0]->data, s->out[0]->type, i, s->a.alpha);
}

const evi_op evi_op_constant_of_shape = {.name = "constant_of_shape",
                                         .onnx = "ConstantOfShape",
                                         .min_in = 1,
                                         .max_in = 1,
                                         .max_out = 1,
                                         .infer = fill_infer,
                                         .forward = fill_forward};

/* ---- range ---------------------------------------------------------------------------------- */

static ev_status range_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                             int32_t n_out)
{
    double v[3];
    (void)a;
    (void)n_in;
    (void)n_out;
    for (int32_t i = 0; i < 3; i++) {
        if (in[i].type != in[0].type || evi_shape_count(&in[i].shape) != 1)
            return evi_fail(EV_ERR_SHAPE, "range: input %d must be one number", i);
        if (in[i].value == NULL)
            return evi_fail(EV_ERR_UNSUPPORTED,
                            "range: input %d decides shapes, so it must be known before running",
                            i);
        v[i] = evi_number(in[i].value, in[i].type, 0);
    }
    double n = v[2] == 0 ? NAN : ceil((v[1] - v[0]) / v[2]);
    if (isnan(n) || n > 0x1p31)
        return evi_fail(EV_ERR_SHAPE, "range: from %g to %g by %g", v[0], v[1], v[2]);
    int64_t count = n > 0 ? (int64_t)n : 0;
    out->type = in[0].type;
    return evi_shape_set(&out->shape, 1, &count, "range");
}

static void range_forward(evi_step *s)
{
    double start = evi_number(s->in[0]->data, s->in[0]->type, 0);
    double delta = evi_number(s->in[2]->data, s->in[2]->type, 0);
    for (int64_t i = 0; i < s->out[0]->shape.dim[0]; i++)
        put_number(s->out[0]->data, s->out[0]->type, i, start + (double)i * delta);
}

const evi_op evi_op_range = {.name = "range",
                             .onnx = "Range",
                             .min_in = 3,
                             .max_in = 3,
                             .max_out = 1,
                             .infer = range_infer,
                             .forward = range_forward};
