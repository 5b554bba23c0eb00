/* SPDX-License-Identifier: MIT */
/* slice: start, end and step along some axes, as in Python.  Any type.
 *
 *   list = starts, list2 = ends, list3 = axes, list4 = steps, each or the inputs 1, 2, 3, 4 (int64,
 *   known before running).  Axes not set: the first ones in order; steps not set: 1.  Numbers
 *   beyond the ends are clamped; steps may be negative. */
#include "ops/walk.h"

#include <string.h>

typedef struct cut {
    int64_t start[EV_MAX_RANK], step[EV_MAX_RANK], count[EV_MAX_RANK];
} cut;

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static void cut_axis(cut *c, int32_t axis, int64_t n, int64_t start, int64_t end, int64_t step)
{
    /* A negative number counts from the end; one beyond the smallest would overflow. */
    start = start < 0 ? (start < -n - 1 ? -1 : start + n) : start;
    end = end < 0 ? (end < -n - 1 ? -1 : end + n) : end;
    if (step > 0) {
        start = clamp(start, 0, n);
        end = clamp(end, 0, n);
    } else {
        start = clamp(start, -1, n - 1);
        end = clamp(end, -1, n - 1);
    }
    int64_t span = step > 0 ? end - start : start - end;
    /* A step longer than the axis takes one element; this keeps -step from overflowing. */
    uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    c->start[axis] = start;
    c->count[axis] = span <= 0 ? 0 : (int64_t)(((uint64_t)span - 1) / stride) + 1;
    c->step[axis] = c->count[axis] > 1 ? step : 1;
}

static ev_status cut_resolve(const evi_attrs *a, const evi_shape *s, cut *c)
{
    uint32_t mask = 0;
    int32_t n = a->list.n;
    for (int32_t i = 0; i < s->rank; i++) {
        c->start[i] = 0;
        c->step[i] = 1;
        c->count[i] = s->dim[i];
    }
    if (!a->list.set || !a->list2.set)
        return evi_fail(EV_ERR_ARGUMENT, "slice: starts or ends are missing");
    if (a->list2.n != n || (a->list3.set && a->list3.n != n) || (a->list4.set && a->list4.n != n) ||
        n > s->rank)
        return evi_fail(EV_ERR_SHAPE, "slice: %d starts, %d ends, %d axes, %d steps for rank %d", n,
                        a->list2.n, a->list3.n, a->list4.n, s->rank);
    EVI_TRY(evi_axes_mask(&a->list3, s->rank, &mask));
    for (int32_t i = 0; i < n; i++) {
        int32_t axis = i;
        int64_t step = a->list4.set ? a->list4.v[i] : 1;
        if (a->list3.set)
            evi_axis((int32_t)a->list3.v[i], s->rank, &axis);
        if (step == 0)
            return evi_fail(EV_ERR_SHAPE, "slice: the step of axis %d is 0", axis);
        cut_axis(c, axis, s->dim[axis], a->list.v[i], a->list2.v[i], step);
    }
    return EV_OK;
}

static ev_status slice_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                             int32_t n_out)
{
    cut c;
    (void)n_out;
    EVI_TRY(evi_list_input(in, n_in, 1, "the starts", &a->list));
    EVI_TRY(evi_list_input(in, n_in, 2, "the ends", &a->list2));
    EVI_TRY(evi_list_input(in, n_in, 3, "the axes", &a->list3));
    EVI_TRY(evi_list_input(in, n_in, 4, "the steps", &a->list4));
    EVI_TRY(cut_resolve(a, &in->shape, &c));
    out->type = in->type;
    out->shape = in->shape;
    for (int32_t i = 0; i < in->shape.rank; i++)
        out->shape.dim[i] = c.count[i];
    return EV_OK;
}

/* Array `part` of the walk is the output, the other the input. */
static void slice_walk(const evi_step *s, evi_walk *w, int32_t part)
{
    cut c;
    int64_t in[EV_MAX_RANK], out[EV_MAX_RANK];
    const evi_shape *x = &s->in[0]->shape;
    cut_resolve(&s->a, x, &c);
    evi_strides(x, in);
    evi_strides(&s->out[0]->shape, out);
    evi_walk_clear(w, 2);
    for (int32_t i = 0; i < x->rank; i++) {
        int64_t at[2];
        at[part] = out[i];
        at[1 - part] = in[i] * c.step[i];
        evi_walk_axis(w, c.count[i], at);
        w->base[1 - part] += in[i] * c.start[i];
    }
    evi_walk_join(w);
}

static void slice_forward(evi_step *s)
{
    evi_walk w;
    slice_walk(s, &w, 0);
    evi_walk_copy(s->crew, &w, s->out[0]->data, s->in[0]->data, evi_type_bytes(s->in[0]->type));
}

static void slice_backward(evi_step *s)
{
    evi_walk w;
    evi_real *dx = evi_grad_start(s, 0);
    if (dx == NULL)
        return;
    slice_walk(s, &w, 1);
    evi_walk_add(s->crew, &w, dx, s->out[0]->grad, 1, false);
}

/* Channels outside the slice belong to no set: nothing of the output depends on them. */
static void slice_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                           const evi_edge *out, int32_t n_out, evi_coupling *c)
{
    cut k;
    (void)n_in;
    if (cut_resolve(a, &in->shape, &k) != EV_OK || in->shape.rank < 2)
        return;
    evi_couple_axes(c, in, 1, out, n_out, 1);
    if (k.count[1] == 0)
        return;
    if (k.step[1] != 1) {
        c->blocked = "channels are taken with a step";
        return;
    }
    int32_t set = evi_couple_set(c);
    evi_couple(c, set, 0, 1, k.start[1], k.count[1], 1);
    evi_couple(c, set, ~0, 1, 0, k.count[1], 1);
}

const evi_op evi_op_slice = {.name = "slice",
                             .onnx = "Slice",
                             .min_in = 1,
                             .max_in = 5,
                             .max_out = 1,
                             .infer = slice_infer,
                             .forward = slice_forward,
                             .backward = EVI_BACKWARD(slice_backward),
                             .channels = slice_channels};
