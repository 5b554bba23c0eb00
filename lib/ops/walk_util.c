/* SPDX-License-Identifier: MIT */
/* Small helpers of the elementwise and shape operations. */
#include "ops/walk.h"

double evi_number(const void *data, int32_t type, int64_t i)
{
    switch (type) {
    case EV_TYPE_FLOAT32: return ((const evi_real *)data)[i];
    case EV_TYPE_INT8: return ((const int8_t *)data)[i];
    case EV_TYPE_INT32: return ((const int32_t *)data)[i];
    case EV_TYPE_INT64: return (double)((const int64_t *)data)[i];
    default: return ((const uint8_t *)data)[i];
    }
}

int64_t evi_integer(const void *data, int32_t type, int64_t i)
{
    switch (type) {
    case EV_TYPE_FLOAT32: return (int64_t)((const evi_real *)data)[i];
    case EV_TYPE_INT8: return ((const int8_t *)data)[i];
    case EV_TYPE_INT32: return ((const int32_t *)data)[i];
    case EV_TYPE_INT64: return ((const int64_t *)data)[i];
    default: return ((const uint8_t *)data)[i];
    }
}

ev_status evi_list_read(const evi_edge *e, const char *what, evi_list *out)
{
    char text[EVI_SHAPE_TEXT];
    int64_t n = evi_shape_count(&e->shape);
    if (e->type != EV_TYPE_INT64 && e->type != EV_TYPE_INT32)
        return evi_fail(EV_ERR_SHAPE, "%s must be int64, not %s", what, ev_type_name(e->type));
    if (e->shape.rank > 1 || n > EVI_MAX_LIST)
        return evi_fail(EV_ERR_SHAPE, "%s must be a list of at most %d integers, not %s", what,
                        EVI_MAX_LIST, evi_shape_text(&e->shape, text));
    if (e->value == NULL)
        return evi_fail(EV_ERR_UNSUPPORTED, "%s decides shapes, so it must be known before running",
                        what);
    out->set = 1;
    out->n = (int32_t)n;
    for (int32_t i = 0; i < out->n; i++)
        out->v[i] = evi_integer(e->value, e->type, i);
    return EV_OK;
}

ev_status evi_list_input(const evi_edge *in, int32_t n_in, int32_t i, const char *what,
                         evi_list *list)
{
    if (i >= n_in || in[i].type == 0)
        return EV_OK;
    return evi_list_read(&in[i], what, list);
}

ev_status evi_axes_mask(const evi_list *list, int32_t rank, uint32_t *out)
{
    uint32_t mask = 0;
    for (int32_t i = 0; i < list->n; i++) {
        int64_t v = list->v[i];
        int32_t axis;
        if (v < -rank || v >= rank || !evi_axis((int32_t)v, rank, &axis))
            return evi_fail(EV_ERR_SHAPE, "axis %lld is out of range for rank %d", (long long)v,
                            rank);
        if (mask >> axis & 1)
            return evi_fail(EV_ERR_SHAPE, "axis %d is named twice", axis);
        mask |= 1u << axis;
    }
    *out = mask;
    return EV_OK;
}

void evi_couple_broadcast(evi_coupling *c, const evi_edge *in, int32_t n_in, const evi_edge *out)
{
    const evi_shape *full = &out->shape;
    for (int32_t axis = 1; axis < full->rank; axis++) {
        if (full->dim[axis] == 1)
            continue; /* one channel cannot go */
        int32_t set = evi_couple_set(c);
        for (int32_t i = 0; i < n_in; i++) {
            int32_t own = axis - (full->rank - in[i].shape.rank);
            if (in[i].type != 0 && own >= 0 && in[i].shape.dim[own] == full->dim[axis])
                evi_couple(c, set, i, own, 0, full->dim[axis], 1);
        }
        evi_couple(c, set, ~0, axis, 0, full->dim[axis], 1);
    }
}

void evi_couple_axes(evi_coupling *c, const evi_edge *in, int32_t n_in, const evi_edge *out,
                     int32_t n_out, int32_t but)
{
    for (int32_t axis = 1; axis < out->shape.rank; axis++)
        if (axis != but && axis < in->shape.rank && in->shape.dim[axis] == out->shape.dim[axis])
            evi_couple_same(c, in, n_in, out, n_out, axis);
}

void evi_couple_unary(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                      int32_t n_out, evi_coupling *c)
{
    (void)a;
    (void)n_in; /* further inputs are numbers, not pictures */
    evi_couple_axes(c, in, 1, out, n_out, -1);
}

ev_status evi_infer_same(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                         int32_t n_out)
{
    (void)a;
    (void)n_in;
    (void)n_out;
    out->type = in->type;
    out->shape = in->shape;
    return EV_OK;
}

double evi_flops_elements(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                          int32_t n_out)
{
    (void)a;
    (void)in;
    (void)n_in;
    (void)n_out;
    return (double)evi_shape_count(&out->shape);
}
