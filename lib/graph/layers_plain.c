/* SPDX-License-Identifier: MIT */
/* The layer functions without weights: activations, elementwise, shapes, losses. */
#include "graph/layers.h"
#include <math.h>

ev_status ev_model_activation(ev_model *model, ev_value x, int32_t activation, float alpha,
                              float beta, ev_value *out)
{
    static const char *const ops[] = {NULL,      "relu", "leaky_relu", "clip",
                                      "sigmoid", "tanh", "hard_swish", "hard_sigmoid"};
    EVI_BEGIN_LAYER(model, x, out);
    if (activation < 1 || activation >= EVI_COUNT(ops))
        return evi_fail(EV_ERR_ARGUMENT, "ev_model_activation: there is no activation %d",
                        (int)activation);
    evi_attrs a = evi_plain_attrs();
    a.alpha = alpha;
    a.beta = beta;
    if (activation == EV_ACTIVATION_LEAKY_RELU && alpha == 0)
        a.alpha = 0.01f;
    if (activation == EV_ACTIVATION_HARD_SIGMOID && alpha == 0 && beta == 0) {
        a.alpha = 0.2f;
        a.beta = 0.5f;
    }
    if (activation == EV_ACTIVATION_CLIP && !(alpha <= beta))
        return evi_fail(EV_ERR_ARGUMENT, "ev_model_activation: clip from %g to %g", (double)alpha,
                        (double)beta);
    return evi_add_unary(model, ops[activation], a, x, out);
}

ev_status ev_model_softmax(ev_model *model, ev_value x, int32_t axis, ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    evi_attrs a = evi_plain_attrs();
    a.axis = axis;
    return evi_add_unary(model, "softmax", a, x, out);
}

ev_status ev_model_log_softmax(ev_model *model, ev_value x, int32_t axis, ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    evi_attrs a = evi_plain_attrs();
    a.axis = axis;
    return evi_add_unary(model, "log_softmax", a, x, out);
}

ev_status ev_model_dropout(ev_model *model, ev_value x, float rate, ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    if (!(rate >= 0 && rate < 1))
        return evi_fail(EV_ERR_ARGUMENT, "ev_model_dropout: rate %g is not in 0..1", (double)rate);
    evi_attrs a = evi_plain_attrs();
    a.rate = rate;
    return evi_add_unary(model, "dropout", a, x, out);
}

ev_status ev_model_add(ev_model *model, ev_value a, ev_value b, ev_value *out)
{
    EVI_BEGIN_LAYER(model, a, out);
    return evi_add_binary(model, "add", evi_plain_attrs(), a, b, __func__, out);
}

ev_status ev_model_sub(ev_model *model, ev_value a, ev_value b, ev_value *out)
{
    EVI_BEGIN_LAYER(model, a, out);
    return evi_add_binary(model, "sub", evi_plain_attrs(), a, b, __func__, out);
}

ev_status ev_model_mul(ev_model *model, ev_value a, ev_value b, ev_value *out)
{
    EVI_BEGIN_LAYER(model, a, out);
    return evi_add_binary(model, "mul", evi_plain_attrs(), a, b, __func__, out);
}

ev_status ev_model_div(ev_model *model, ev_value a, ev_value b, ev_value *out)
{
    EVI_BEGIN_LAYER(model, a, out);
    return evi_add_binary(model, "div", evi_plain_attrs(), a, b, __func__, out);
}

ev_status ev_model_concat(ev_model *model, const ev_value *values, int32_t n, int32_t axis,
                          ev_value *out)
{
    EVI_CHECK_POINTER(out);
    *out = EV_NO_VALUE;
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_CHECK_POINTER(values);
    evi_attrs a = evi_plain_attrs();
    a.axis = axis;
    return evi_model_add(model, evi_op_find("concat"), &a, NULL, values, n, out, 1);
}

ev_status ev_model_flatten(ev_model *model, ev_value x, int32_t axis, ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    evi_attrs a = evi_plain_attrs();
    a.axis = axis;
    return evi_add_unary(model, "flatten", a, x, out);
}

static ev_status set_list(evi_list *list, int32_t n, const int64_t *numbers, const char *function)
{
    if (n < 0 || n > EV_MAX_RANK || (n > 0 && numbers == NULL))
        return evi_fail(EV_ERR_ARGUMENT, "%s: %d numbers at %s, not 0..%d", function, (int)n,
                        numbers == NULL ? "NULL" : "a list", EV_MAX_RANK);
    list->n = n;
    list->set = 1;
    for (int32_t i = 0; i < n; i++)
        list->v[i] = numbers[i];
    return EV_OK;
}

ev_status ev_model_reshape(ev_model *model, ev_value x, int32_t rank, const int64_t *dims,
                           ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    evi_attrs a = evi_plain_attrs();
    EVI_TRY(set_list(&a.list, rank, dims, __func__));
    return evi_add_unary(model, "reshape", a, x, out);
}

ev_status ev_model_transpose(ev_model *model, ev_value x, int32_t rank, const int32_t *order,
                             ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    int64_t wide[EV_MAX_RANK];
    for (int32_t i = 0; order != NULL && i < EVI_MIN(rank, EV_MAX_RANK); i++)
        wide[i] = order[i];
    evi_attrs a = evi_plain_attrs();
    EVI_TRY(set_list(&a.list, rank, order == NULL ? NULL : wide, __func__));
    return evi_add_unary(model, "transpose", a, x, out);
}

ev_status ev_model_pad2d(ev_model *model, ev_value x, int32_t mode, int32_t top, int32_t left,
                         int32_t bottom, int32_t right, ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    const evi_edge *edge = evi_model_edge(model, x);
    if (edge->shape.rank != 4 || mode < EV_PAD_ZERO || mode > EV_PAD_EDGE)
        return evi_fail(EV_ERR_ARGUMENT, "ev_model_pad2d: mode %d, input of %d dimensions",
                        (int)mode, (int)edge->shape.rank);
    const int64_t pads[8] = {0, 0, top, left, 0, 0, bottom, right};
    evi_attrs a = evi_plain_attrs();
    a.mode = mode;
    a.alpha = 0;
    EVI_TRY(set_list(&a.list, 8, pads, __func__));
    return evi_add_unary(model, "pad", a, x, out);
}

ev_status ev_model_resize(ev_model *model, ev_value x, int32_t height, int32_t width, int32_t mode,
                          int32_t coordinates, ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    const evi_edge *edge = evi_model_edge(model, x);
    if (edge->shape.rank != 4 || mode < 0 || mode > EV_INTERPOLATE_BILINEAR || coordinates < 0 ||
        coordinates > EV_COORDINATES_ASYMMETRIC || height < 1 || width < 1)
        return evi_fail(EV_ERR_ARGUMENT,
                        "ev_model_resize: to %d x %d, mode %d, coordinates %d, input "
                        "of %d dimensions",
                        (int)width, (int)height, (int)mode, (int)coordinates,
                        (int)edge->shape.rank);
    const int64_t sizes[4] = {edge->shape.dim[0], edge->shape.dim[1], height, width};
    evi_attrs a = evi_plain_attrs();
    a.mode = mode;
    a.coord = coordinates;
    EVI_TRY(set_list(&a.list2, 2, sizes + 2, __func__));
    a.list3 = (evi_list){.n = 2, .set = 1, .v = {2, 3}}; /* so that any batch will do */
    return evi_add_unary(model, "resize", a, x, out);
}

ev_status ev_model_slice(ev_model *model, ev_value x, int32_t axis, int64_t start, int64_t end,
                         int64_t step, ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    evi_attrs a = evi_plain_attrs();
    a.list = (evi_list){.n = 1, .set = 1, .v = {start}};
    a.list2 = (evi_list){.n = 1, .set = 1, .v = {end}};
    a.list3 = (evi_list){.n = 1, .set = 1, .v = {axis}};
    a.list4 = (evi_list){.n = 1, .set = 1, .v = {step}};
    return evi_add_unary(model, "slice", a, x, out);
}

ev_status ev_model_split(ev_model *model, ev_value x, int32_t axis, int32_t n, const int64_t *sizes,
                         ev_value *out)
{
    EVI_CHECK_POINTER(out);
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_TRY(evi_model_check_value(model, x, __func__));
    evi_attrs a = evi_plain_attrs();
    a.axis = axis;
    EVI_TRY(set_list(&a.list, n, sizes, __func__));
    return evi_model_add(model, evi_op_find("split"), &a, NULL, &x, 1, out, n);
}

ev_status ev_model_identity(ev_model *model, ev_value x, ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    return evi_add_unary(model, "identity", evi_plain_attrs(), x, out);
}

/* ---- losses ---------------------------------------------------------------------------------- */

static ev_status check_loss(const ev_loss_options *o, const char *function)
{
    if (!(o->label_smoothing >= 0 && o->label_smoothing <= 1) || o->n_class_weights < 0 ||
        !isfinite(o->temperature))
        return evi_fail(EV_ERR_ARGUMENT, "%s: label_smoothing %g, temperature %g, %d class weights",
                        function, (double)o->label_smoothing, (double)o->temperature,
                        (int)o->n_class_weights);
    return EV_OK;
}

ev_status ev_model_cross_entropy(ev_model *model, ev_value logits, ev_value labels,
                                 const ev_loss_options *opt, ev_value *out)
{
    EVI_BEGIN_LAYER(model, logits, out);
    EVI_TRY(evi_model_check_value(model, labels, __func__));
    ev_loss_options o;
    EVI_OPTIONS_READ(&o, opt);
    EVI_TRY(check_loss(&o, __func__));
    evi_attrs a = evi_plain_attrs();
    a.smoothing = o.label_smoothing;
    int32_t inputs[3] = {logits, labels, EV_NO_VALUE};
    if (o.class_weights != NULL && o.n_class_weights > 0) {
        ev_tensor *t = NULL;
        const int64_t dim = o.n_class_weights;
        EVI_TRY(ev_tensor_create(model->handle.ctx, EV_TYPE_FLOAT32, 1, &dim, &t));
        for (int32_t i = 0; i < o.n_class_weights; i++)
            ((evi_real *)ev_tensor_data(t))[i] = (evi_real)o.class_weights[i];
        ev_status status = ev_model_constant(model, "class_weights", t, &inputs[2]);
        ev_tensor_destroy(t);
        EVI_TRY(status);
    }
    return evi_model_add(model, evi_op_find("cross_entropy"), &a, NULL, inputs,
                         inputs[2] == EV_NO_VALUE ? 2 : 3, out, 1);
}

ev_status ev_model_soft_cross_entropy(ev_model *model, ev_value logits, ev_value target,
                                      const ev_loss_options *opt, ev_value *out)
{
    EVI_BEGIN_LAYER(model, logits, out);
    EVI_TRY(evi_model_check_value(model, target, __func__));
    ev_loss_options o;
    EVI_OPTIONS_READ(&o, opt);
    EVI_TRY(check_loss(&o, __func__));
    evi_attrs a = evi_plain_attrs();
    a.alpha = o.temperature > 0 ? o.temperature : 1;
    const int32_t inputs[2] = {logits, target};
    return evi_model_add(model, evi_op_find("soft_cross_entropy"), &a, NULL, inputs, 2, out, 1);
}

static ev_status against(ev_model *m, const char *op, ev_value x, ev_value target, float value,
                         const char *function, ev_value *out)
{
    if (target == EV_NO_VALUE && !isfinite(value))
        return evi_fail(EV_ERR_ARGUMENT, "%s: value is not finite", function);
    evi_attrs a = evi_plain_attrs();
    a.alpha = value;
    const int32_t inputs[2] = {x, target};
    if (target != EV_NO_VALUE)
        EVI_TRY(evi_model_check_value(m, target, function));
    return evi_model_add(m, evi_op_find(op), &a, NULL, inputs, target == EV_NO_VALUE ? 1 : 2, out,
                         1);
}

ev_status ev_model_mse_loss(ev_model *model, ev_value x, ev_value target, float value,
                            ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    return against(model, "mse_loss", x, target, value, __func__, out);
}

ev_status ev_model_l1_loss(ev_model *model, ev_value x, ev_value target, float value, ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    return against(model, "l1_loss", x, target, value, __func__, out);
}

ev_status ev_model_bce_logits_loss(ev_model *model, ev_value x, ev_value target, float value,
                                   ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    return against(model, "bce_logits_loss", x, target, value, __func__, out);
}
