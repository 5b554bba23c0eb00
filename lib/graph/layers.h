/* SPDX-License-Identifier: MIT */
/* What the layer functions share. */
#ifndef EVI_LAYERS_H
#define EVI_LAYERS_H

#include "graph/graph.h"

/* What every drawing function does first. */
#define EVI_BEGIN_LAYER(model, x, out)        \
    EVI_CHECK_POINTER(out);                   \
    *(out) = EV_NO_VALUE;                     \
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL); \
    EVI_TRY(evi_model_check_value(model, x, __func__))

static inline evi_attrs evi_plain_attrs(void)
{
    evi_attrs a;
    evi_attrs_default(&a);
    return a;
}

static inline ev_status evi_add_unary(ev_model *m, const char *op, evi_attrs a, ev_value x,
                                      ev_value *out)
{
    return evi_model_add(m, evi_op_find(op), &a, NULL, &x, 1, out, 1);
}

static inline ev_status evi_add_binary(ev_model *m, const char *op, evi_attrs a, ev_value x,
                                       ev_value y, const char *function, ev_value *out)
{
    EVI_TRY(evi_model_check_value(m, y, function));
    const int32_t inputs[2] = {x, y};
    return evi_model_add(m, evi_op_find(op), &a, NULL, inputs, 2, out, 1);
}

#endif
