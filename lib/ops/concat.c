/* SPDX-License-Identifier: MIT */
/* concat and split: cut and join along one axis.  Any type.
 *
 *   concat  axis (may be negative; ONNX opset 1 to 3 has a default of 1); 1 to 64 inputs
 *   split   axis (ONNX default 0); list = sizes, or input 1 (int64, known before running); without
 *           sizes equal parts, one per output, the last one smaller when it does not divide */
#include "ops/walk.h"

#define MOST 64

static ev_status concat_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                              int32_t n_out)
{
    int32_t axis;
    char text[2][EVI_SHAPE_TEXT];
    (void)n_out;
    if (!evi_axis(a->axis, in[0].shape.rank, &axis))
        return evi_fail(EV_ERR_SHAPE, "concat: axis %d is out of range for rank %d", a->axis,
                        in[0].shape.rank);
    out->type = in[0].type;
    out->shape = in[0].shape;
    for (int32_t i = 1; i < n_in; i++) {
        bool fits = in[i].shape.rank == in[0].shape.rank;
        for (int32_t d = 0; fits && d < in[0].shape.rank; d++)
            fits = d == axis || in[i].shape.dim[d] == in[0].shape.dim[d];
        if (!fits)
            return evi_fail(EV_ERR_SHAPE, "concat: %s and %s differ beside axis %d",
                            evi_shape_text(&in[0].shape, text[0]),
                            evi_shape_text(&in[i].shape, text[1]), axis);
        if (in[i].type != in[0].type)
            return evi_fail(EV_ERR_SHAPE, "concat: the inputs have types %s and %s",
                            ev_type_name(in[0].type), ev_type_name(in[i].type));
        out->shape.dim[axis] += in[i].shape.dim[axis];
    }
    return evi_shape_check(&out->shape, "concat");
}

/* The part from..from+size-1 of axis `axis` of a whole: array 0 is the part when part_first, else
 * the whole. */
static void part_walk(evi_walk *w, const evi_shape *whole, const evi_shape *part, int32_t axis,
                      int64_t from, bool part_first)
{
    int64_t ws[EV_MAX_RANK], ps[EV_MAX_RANK];
    evi_strides(whole, ws);
    evi_strides(part, ps);
    evi_walk_clear(w, 2);
    for (int32_t i = 0; i < part->rank; i++) {
        int64_t at[2] = {part_first ? ps[i] : ws[i], part_first ? ws[i] : ps[i]};
        evi_walk_axis(w, part->dim[i], at);
    }
    w->base[part_first ? 1 : 0] = from * ws[axis];
    evi_walk_join(w);
}

static void concat_forward(evi_step *s)
{
    int32_t axis = 0;
    int64_t from = 0;
    evi_axis(s->a.axis, s->out[0]->shape.rank, &axis);
    for (int32_t i = 0; i < s->n_in; i++) {
        evi_walk w;
        part_walk(&w, &s->out[0]->shape, &s->in[i]->shape, axis, from, false);
        evi_walk_copy(s->crew, &w, s->out[0]->data, s->in[i]->data,
                      evi_type_bytes(s->out[0]->type));
        from += s->in[i]->shape.dim[axis];
    }
}

static void concat_backward(evi_step *s)
{
    int32_t axis = 0;
    int64_t from = 0;
    evi_axis(s->a.axis, s->out[0]->shape.rank, &axis);
    for (int32_t i = 0; i < s->n_in; i++) {
        evi_walk w;
        part_walk(&w, &s->out[0]->shape, &s->in[i]->shape, axis, from, true);
        if (s->in[i]->grad != NULL)
            evi_walk_add(s->crew, &w, s->in[i]->grad, s->out[0]->grad, 1, evi_grad_is_first(s, i));
        from += s->in[i]->shape.dim[axis];
    }
}

static void concat_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                            const evi_edge *out, int32_t n_out, evi_coupling *c)
{
    int32_t axis = 0;
    int64_t from = 0;
    evi_axis(a->axis, out->shape.rank, &axis);
    evi_couple_axes(c, in, n_in, out, n_out, axis);
    if (axis == 0)
        return;
    for (int32_t i = 0; i < n_in; i++) {
        int32_t set = evi_couple_set(c);
        int64_t count = in[i].shape.dim[axis];
        evi_couple(c, set, i, axis, 0, count, 1);
        evi_couple(c, set, ~0, axis, from, count, 1);
        from += count;
    }
}

const evi_op evi_op_concat = {.name = "concat",
                              .onnx = "Concat",
                              .min_in = 1,
                              .max_in = MOST,
                              .max_out = 1,
                              .infer = concat_infer,
                              .forward = concat_forward,
                              .backward = EVI_BACKWARD(concat_backward),
                              .channels = concat_channels};

/* ---- split ---------------------------------------------------------------------------------- */

static ev_status split_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                             int32_t n_out)
{
    int32_t axis;
    int64_t total = 0;
    EVI_TRY(evi_list_input(in, n_in, 1, "the sizes", &a->list));
    if (!evi_axis(a->axis, in->shape.rank, &axis))
        return evi_fail(EV_ERR_SHAPE, "split: axis %d is out of range for rank %d", a->axis,
                        in->shape.rank);
    int64_t size = in->shape.dim[axis], part = (size + n_out - 1) / n_out;
    if (a->list.set && a->list.n != n_out)
        return evi_fail(EV_ERR_SHAPE, "split: %d sizes for %d outputs", a->list.n, n_out);
    for (int32_t i = 0; i < n_out; i++) {
        int64_t own = a->list.set ? a->list.v[i] : EVI_MIN(part, size - total);
        if (own < 0 || own > size - total)
            return evi_fail(EV_ERR_SHAPE, "split: part %d of %lld of %lld entries in all", i,
                            (long long)own, (long long)size);
        out[i].type = in->type;
        out[i].shape = in->shape;
        out[i].shape.dim[axis] = own;
        total += own;
    }
    if (total != size)
        return evi_fail(EV_ERR_SHAPE, "split: the parts come to %lld of %lld", (long long)total,
                        (long long)size);
    return EV_OK;
}

static void split_forward(evi_step *s)
{
    int32_t axis = 0;
    int64_t from = 0;
    evi_axis(s->a.axis, s->in[0]->shape.rank, &axis);
    for (int32_t i = 0; i < s->n_out; i++) {
        evi_walk w;
        part_walk(&w, &s->in[0]->shape, &s->out[i]->shape, axis, from, true);
        if (s->out[i]->data != NULL)
            evi_walk_copy(s->crew, &w, s->out[i]->data, s->in[0]->data,
                          evi_type_bytes(s->in[0]->type));
        from += s->out[i]->shape.dim[axis];
    }
}

/* A part that nobody used has no gradient: then the whole starts from zero. */
static void split_backward(evi_step *s)
{
    int32_t axis = 0;
    int64_t from = 0;
    bool first = evi_grad_is_first(s, 0);
    if (s->in[0]->grad == NULL)
        return;
    for (int32_t i = 0; i < s->n_out; i++)
        if (s->out[i]->grad == NULL && first) {
            evi_grad_start(s, 0);
            first = false;
        }
    evi_axis(s->a.axis, s->in[0]->shape.rank, &axis);
    for (int32_t i = 0; i < s->n_out; i++) {
        evi_walk w;
        part_walk(&w, &s->in[0]->shape, &s->out[i]->shape, axis, from, false);
        if (s->out[i]->grad != NULL)
            evi_walk_add(s->crew, &w, s->in[0]->grad, s->out[i]->grad, 1, first);
        from += s->out[i]->shape.dim[axis];
    }
}

static void split_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                           const evi_edge *out, int32_t n_out, evi_coupling *c)
{
    int32_t axis = 0;
    int64_t from = 0;
    (void)n_in;
    evi_axis(a->axis, in->shape.rank, &axis);
    evi_couple_axes(c, in, 1, out, n_out, axis);
    if (axis == 0)
        return;
    for (int32_t i = 0; i < n_out; i++) {
        int32_t set = evi_couple_set(c);
        int64_t count = out[i].shape.dim[axis];
        evi_couple(c, set, 0, axis, from, count, 1);
        evi_couple(c, set, ~i, axis, 0, count, 1);
        from += count;
    }
}

const evi_op evi_op_split = {.name = "split",
                             .onnx = "Split",
                             .min_in = 1,
                             .max_in = 2,
                             .max_out = MOST,
                             .infer = split_infer,
                             .forward = split_forward,
                             .backward = EVI_BACKWARD(split_backward),
                             .channels = split_channels};
