/* SPDX-License-Identifier: MIT */
#include "ops/check.h"

ev_status evi_need_real(const evi_edge *in, int32_t n_in, int32_t i, const char *what)
{
    if (!evi_edge_has(in, n_in, i))
        return evi_fail(EV_ERR_SHAPE, "%s (input %d) is missing", what, (int)i);
    if (in[i].type != EV_TYPE_FLOAT32)
        return evi_fail(EV_ERR_SHAPE, "%s (input %d) is %s, must be float32", what, (int)i,
                        ev_type_name(in[i].type));
    return EV_OK;
}

ev_status evi_need_rank(const evi_edge *in, int32_t n_in, int32_t i, int32_t from, int32_t to,
                        const char *what)
{
    char text[EVI_SHAPE_TEXT];
    EVI_TRY(evi_need_real(in, n_in, i, what));
    const evi_shape *s = &in[i].shape;
    if (s->rank < from || s->rank > to) {
        /* Convolution and pooling over volumes are sound models that this library cannot run. */
        ev_status status = s->rank > to && s->rank == 5 ? EV_ERR_UNSUPPORTED : EV_ERR_SHAPE;
        if (from == to)
            return evi_fail(status, "%s %s must have rank %d", what, evi_shape_text(s, text),
                            (int)from);
        return evi_fail(status, "%s %s must have rank %d to %d", what, evi_shape_text(s, text),
                        (int)from, (int)to);
    }
    for (int32_t d = 0; d < s->rank; d++)
        if (s->dim[d] < 1)
            return evi_fail(EV_ERR_SHAPE, "%s %s is empty", what, evi_shape_text(s, text));
    return EV_OK;
}

ev_status evi_need_vector(const evi_edge *in, int32_t n_in, int32_t i, int64_t count,
                          const char *what)
{
    char text[EVI_SHAPE_TEXT];
    if (!evi_edge_has(in, n_in, i))
        return EV_OK;
    EVI_TRY(evi_need_real(in, n_in, i, what));
    const evi_shape *s = &in[i].shape;
    bool fits = evi_shape_count(s) == count;
    for (int32_t d = 0; d < s->rank; d++)
        fits = fits && (s->dim[d] == 1 || s->dim[d] == count);
    if (!fits)
        return evi_fail(EV_ERR_SHAPE, "%s %s must hold %lld values, one per channel", what,
                        evi_shape_text(s, text), (long long)count);
    return EV_OK;
}

void evi_edge_set(evi_edge *out, int32_t i, int32_t type, const evi_shape *shape)
{
    out[i] = (evi_edge){.type = type, .shape = *shape};
}

int64_t evi_shape_span(const evi_shape *s, int32_t from, int32_t to)
{
    int64_t product = 1;
    for (int32_t d = from; d < to; d++)
        product *= s->dim[d];
    return product;
}
