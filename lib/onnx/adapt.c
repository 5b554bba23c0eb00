/* SPDX-License-Identifier: MIT */
/* What older opsets said differently, said in the newest way. */
#include "onnx/onnx.h"

#include <string.h>

static const evi_edge *edge_of(const evi_onnx_draw *d, int32_t i)
{
    return i < d->n_in && d->in[i] != EV_NO_VALUE ? evi_model_edge(d->model, d->in[i]) : NULL;
}

static ev_status int_of(const evi_onnx_draw *d, const char *name, int64_t def, int64_t *out)
{
    evi_onnx_attr attr;
    bool found;
    *out = def;
    EVI_TRY(evi_onnx_attr_find(d->node, name, &attr, &found));
    if (found && attr.type != ATTR_TYPE_INT)
        return evi_fail(EV_ERR_FORMAT, "attribute '%s': it is not an integer", name);
    if (found)
        *out = attr.i;
    return EV_OK;
}

/* ---- arithmetic before opset 7: the second operand lies from an axis of the first on --------- */

static ev_status adapt_binary(evi_onnx_draw *d)
{
    int64_t broadcast, axis;
    const evi_edge *a = edge_of(d, 0), *b = edge_of(d, 1);
    if (d->file->opset >= 7 || a == NULL || b == NULL)
        return EV_OK;
    EVI_TRY(int_of(d, "broadcast", 0, &broadcast));
    EVI_TRY(int_of(d, "axis", INT32_MIN, &axis));
    if (broadcast == 0 || axis == INT32_MIN)
        return EV_OK;
    axis += axis < 0 ? a->shape.rank : 0;
    int64_t after = a->shape.rank - axis - b->shape.rank;
    if (axis < 0 || after < 0)
        return evi_fail(EV_ERR_FORMAT, "attribute 'axis': %lld does not fit ranks %d and %d",
                        (long long)axis, (int)a->shape.rank, (int)b->shape.rank);
    if (after == 0)
        return EV_OK;
    evi_attrs attrs;
    evi_attrs_default(&attrs);
    attrs.list = (evi_list){.n = (int32_t)after, .set = 1};
    for (int32_t i = 0; i < (int32_t)after; i++)
        attrs.list.v[i] = b->shape.rank + i;
    int32_t from = d->in[1];
    return evi_model_add(d->model, evi_op_find("unsqueeze"), &attrs, NULL, &from, 1, &d->in[1], 1);
}

/* ---- normalisation, dropout ------------------------------------------------------------------ */

static ev_status adapt_batch_norm(evi_onnx_draw *d)
{
    int64_t training, spatial;
    EVI_TRY(int_of(d, "training_mode", 0, &training));
    EVI_TRY(int_of(d, "spatial", 1, &spatial));
    d->a.flag = (spatial == 0 ? 1 : 0) | (training != 0 ? 2 : 0); /* see ops/batch_norm.c */
    if (training == 0)
        d->n_out = 1; /* the others were for training alone */
    return EV_OK;
}

/* Rate and mode, where they are constants, become ours; so that this library can train it. */
static ev_status adapt_dropout(evi_onnx_draw *d)
{
    const evi_edge *rate = edge_of(d, 1), *mode = edge_of(d, 2);
    bool known = (rate == NULL || (rate->value != NULL && rate->type == EV_TYPE_FLOAT32 &&
                                   evi_shape_count(&rate->shape) == 1)) &&
                 (mode == NULL || (mode->value != NULL && mode->type == EV_TYPE_BOOL &&
                                   evi_shape_count(&mode->shape) == 1));
    if (!known || (mode != NULL && *(const uint8_t *)mode->value != 0))
        return EV_OK;
    if (rate != NULL)
        d->a.rate = (float)*(const evi_real *)rate->value;
    d->n_in = 1;
    return EV_OK;
}

/* ---- resize ---------------------------------------------------------------------------------- */

static ev_status float_of(const evi_onnx_draw *d, const char *name, float *out)
{
    evi_onnx_attr attr;
    bool found;
    EVI_TRY(evi_onnx_attr_find(d->node, name, &attr, &found));
    if (!found || attr.type != ATTR_TYPE_FLOAT)
        return evi_fail(EV_ERR_FORMAT, "attribute '%s': it is missing or not a float", name);
    *out = attr.f;
    return EV_OK;
}

/* Upsample, and Resize of opset 10: inputs x, scales; the corners of input and output coincide. */
static ev_status adapt_resize(evi_onnx_draw *d)
{
    bool upsample = evi_span_is(d->node->op, "Upsample");
    if (upsample && d->file->opset < 7) {
        d->a.scales[0] = d->a.scales[1] = 1;
        EVI_TRY(float_of(d, "height_scale", &d->a.scales[2]));
        EVI_TRY(float_of(d, "width_scale", &d->a.scales[3]));
        d->a.list.n = 4;
        d->a.list.set = 1;
    }
    d->a.opset = 0; /* what is left is the newest meaning */
    if (upsample || d->file->opset < 11) {
        d->a.coord = EVI_COORD_ASYMMETRIC;
        d->a.nearest = EVI_NEAREST_FLOOR;
        if (d->n_in == 2) {
            d->in[2] = d->in[1];
            d->in[1] = EV_NO_VALUE;
            d->n_in = 3;
        }
    }
    for (int32_t i = 1; i < d->n_in; i++) { /* an empty tensor stands for none */
        const evi_edge *edge = edge_of(d, i);
        if (edge != NULL && evi_shape_count(&edge->shape) == 0)
            d->in[i] = EV_NO_VALUE;
    }
    return EV_OK;
}

/* ---- constants ------------------------------------------------------------------------------- */

static ev_status adapt_constant_of_shape(evi_onnx_draw *d)
{
    evi_onnx_attr attr;
    evi_onnx_tensor t;
    bool found;
    union {
        evi_real real;
        int64_t whole;
        int32_t small;
        uint8_t byte;
    } value = {0};
    EVI_TRY(evi_onnx_attr_find(d->node, "value", &attr, &found));
    if (!found)
        return EV_OK;
    if (attr.tensor.at == NULL)
        return evi_fail(EV_ERR_FORMAT, "attribute 'value': it is not a tensor");
    EVI_TRY(evi_onnx_tensor_parse(attr.tensor, &t));
    if (t.count != 1)
        return evi_fail(EV_ERR_FORMAT, "attribute 'value': %lld elements, not 1",
                        (long long)t.count);
    EVI_TRY(evi_onnx_tensor_read(&t, &value));
    d->a.to_type = t.type;
    switch (t.type) {
    case EV_TYPE_FLOAT32: d->a.alpha = (float)value.real; break;
    case EV_TYPE_INT64: d->a.alpha = (float)value.whole; break;
    case EV_TYPE_INT32: d->a.alpha = (float)value.small; break;
    case EV_TYPE_INT8: d->a.alpha = (float)(int8_t)value.byte; break;
    default: d->a.alpha = (float)value.byte; break;
    }
    return EV_OK;
}

/* ---- tables ---------------------------------------------------------------------------------- */

typedef struct adaptation {
    const char *onnx;
    ev_status (*adapt)(evi_onnx_draw *d);
} adaptation;

static const adaptation adaptations[] = {
    {"Add", adapt_binary},
    {"Sub", adapt_binary},
    {"Mul", adapt_binary},
    {"Div", adapt_binary},
    {"Pow", adapt_binary},
    {"And", adapt_binary},
    {"Or", adapt_binary},
    {"Xor", adapt_binary},
    {"Equal", adapt_binary},
    {"Greater", adapt_binary},
    {"Less", adapt_binary},
    {"ConstantOfShape", adapt_constant_of_shape},
    {"BatchNormalization", adapt_batch_norm},
    {"Dropout", adapt_dropout},
    {"Resize", adapt_resize},
    {"Upsample", adapt_resize},
};

ev_status evi_onnx_adapt(evi_onnx_draw *d)
{
    for (int32_t i = 0; i < EVI_COUNT(adaptations); i++)
        if (evi_span_is(d->node->op, adaptations[i].onnx))
            return adaptations[i].adapt(d);
    return EV_OK;
}

const evi_op *evi_onnx_op(evi_span onnx)
{
    char name[64];
    if (onnx.n == 0 || onnx.n >= sizeof(name))
        return NULL;
    memcpy(name, onnx.at, onnx.n);
    name[onnx.n] = '\0';
    if (strlen(name) != onnx.n)
        return NULL;
    return evi_op_find_onnx(strcmp(name, "Upsample") == 0 ? "Resize" : name);
}
