/* SPDX-License-Identifier: MIT */
/* The layer functions: options to attributes, weights declared, nodes added. */
#include "graph/layers.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static ev_status add1(ev_model *m, const char *op, const evi_attrs *a, const char *name,
                      const int32_t *inputs, int32_t n_in, ev_value *out)
{
    return evi_model_add(m, evi_op_find(op), a, name, inputs, n_in, out, 1);
}

/* Zero means the default, negative means zero. */
static int32_t or_default(int32_t value, int32_t otherwise)
{
    return value > 0 ? value : value < 0 ? 0 : otherwise;
}

/* "<name>.<part>" as a weight of the model. */
static ev_status weight(ev_model *m, const char *name, const char *part, evi_param *p,
                        ev_value *out)
{
    char full[EVI_MAX_NAME + 1];
    int n = snprintf(full, sizeof full, "%s.%s", name, part);
    if (n < 0 || n > EVI_MAX_NAME)
        return evi_fail(EV_ERR_ARGUMENT, "the name '%.32s...' is longer than %d bytes", name,
                        EVI_MAX_NAME);
    p->name = full;
    return evi_model_add_param(m, p, out);
}

/* The given name, or kind and a number that no weight of the model has yet. */
static const char *layer_name(const ev_model *m, const char *given, const char *kind, char made[64])
{
    if (given != NULL && given[0] != '\0')
        return given;
    for (int32_t i = 1;; i++) {
        int n = snprintf(made, 64, "%s%d.", kind, (int)i);
        bool taken = false;
        for (int32_t p = 0; p < m->store->n_params && !taken; p++)
            taken = strncmp(m->store->params[p].name, made, (size_t)n) == 0;
        made[n - 1] = '\0';
        if (!taken)
            return made;
    }
}

static evi_param vector_param(int64_t n, int32_t trainable, float start)
{
    evi_param p = {.trainable = trainable,
                   .init = EV_INIT_CONSTANT,
                   .init_value = start,
                   .fan_in = n,
                   .fan_out = n};
    p.shape.rank = 1;
    p.shape.dim[0] = n;
    return p;
}

/* Undo weights and values when the node after them could not be drawn. */
typedef struct mark {
    int32_t n_values, n_params;
} mark;

static mark mark_here(const ev_model *m)
{
    return (mark){m->n_values, m->store->n_params};
}

static ev_status back_to(ev_model *m, mark at, ev_status status)
{
    if (status == EV_OK)
        return status;
    while (m->n_values > at.n_values) {
        evi_value *v = &m->values[--m->n_values];
        evi_free(v->name);
        evi_free(v->constant);
    }
    while (m->store->n_params > at.n_params)
        evi_free(m->store->params[--m->store->n_params].name);
    return status;
}

/* ---- convolutions ---------------------------------------------------------------------------- */

/* How a layer's weights start. */
static ev_status check_init(int32_t init, float init_value, const char *function)
{
    if (init < EV_INIT_DEFAULT || init > EV_INIT_UNIFORM || !isfinite(init_value))
        return evi_fail(EV_ERR_ARGUMENT, "%s: init %d with init_value %g is out of range", function,
                        (int)init, (double)init_value);
    return EV_OK;
}

/* Large enough for anything that fits into a picture, small enough for 32-bit products. */
static ev_status check_window(const evi_attrs *a, const char *function)
{
    const int32_t most = 65535;
    for (int32_t i = 0; i < 2; i++)
        if (a->kernel[i] < 1 || a->kernel[i] > most || a->dilation[i] < 1 || a->dilation[i] > most)
            return evi_fail(EV_ERR_ARGUMENT, "%s: kernel %d or dilation %d is not in 1..%d",
                            function, (int)a->kernel[i], (int)a->dilation[i], (int)most);
    return EV_OK;
}

static ev_status conv_attrs(const ev_conv2d_options *o, int32_t kernel, bool transposed,
                            evi_attrs *a, const char *function)
{
    evi_attrs_default(a);
    a->kernel[0] = kernel;
    a->kernel[1] = or_default(o->kernel_w, kernel);
    a->stride[0] = or_default(o->stride_h, 1);
    a->stride[1] = or_default(o->stride_w, 1);
    a->dilation[0] = or_default(o->dilation_h, 1);
    a->dilation[1] = or_default(o->dilation_w, 1);
    a->output_pad[0] = o->output_pad_h;
    a->output_pad[1] = o->output_pad_w;
    a->groups = or_default(o->groups, 1);
    EVI_TRY(check_window(a, function));
    EVI_TRY(check_init(o->init, o->init_value, function));
    const int32_t pad[4] = {o->pad_top, o->pad_left, o->pad_bottom, o->pad_right};
    bool none_given = !pad[0] && !pad[1] && !pad[2] && !pad[3];
    bool same = none_given && !transposed && a->stride[0] == 1 && a->stride[1] == 1;
    for (int32_t i = 0; i < 4; i++) {
        int64_t span = (a->kernel[i & 1] - 1) * (int64_t)a->dilation[i & 1];
        int64_t half = i < 2 ? span / 2 : span - span / 2;
        if (same && half > INT32_MAX)
            return evi_fail(EV_ERR_SHAPE, "%s: the window covers %lld pixels", function,
                            (long long)span + 1);
        a->pad[i] = same ? (int32_t)half : or_default(pad[i], 0);
    }
    return EV_OK;
}

static ev_status conv_layer(ev_model *m, const char *op, ev_value x, int32_t filters,
                            const evi_attrs *a, const ev_conv2d_options *o, ev_value *out)
{
    const evi_edge *edge = evi_model_edge(m, x);
    bool transposed = strcmp(op, "conv_transpose2d") == 0;
    if (edge->shape.rank != 4)
        return evi_fail(EV_ERR_SHAPE, "%s: the input has %d dimensions, [N,C,H,W] has 4", op,
                        (int)edge->shape.rank);
    int64_t c_in = edge->shape.dim[1], area = (int64_t)a->kernel[0] * a->kernel[1];
    if (filters < 1 || a->groups < 1 || c_in % a->groups != 0 || filters % a->groups != 0)
        return evi_fail(EV_ERR_SHAPE, "%s: %d groups do not divide %d channels and %d filters", op,
                        (int)a->groups, (int)c_in, (int)filters);
    evi_param w = {.trainable = 1, .init = o->init, .init_value = o->init_value};
    w.shape.rank = 4;
    w.shape.dim[0] = transposed ? c_in : filters;
    w.shape.dim[1] = (transposed ? filters : c_in) / a->groups;
    w.shape.dim[2] = a->kernel[0];
    w.shape.dim[3] = a->kernel[1];
    w.fan_in = c_in / a->groups * area;
    w.fan_out = filters / a->groups * area;
    char made[64];
    const char *name = layer_name(m, o->name, "conv", made);
    int32_t inputs[3] = {x, EV_NO_VALUE, EV_NO_VALUE};
    EVI_TRY(weight(m, name, "weight", &w, &inputs[1]));
    evi_param b = vector_param(filters, 1, 0);
    if (o->no_bias <= 0)
        EVI_TRY(weight(m, name, "bias", &b, &inputs[2]));
    return add1(m, op, a, name, inputs, o->no_bias > 0 ? 2 : 3, out);
}

ev_status ev_model_conv2d(ev_model *model, ev_value x, int32_t filters, int32_t kernel,
                          const ev_conv2d_options *opt, ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    ev_conv2d_options o;
    evi_attrs a;
    EVI_OPTIONS_READ(&o, opt);
    EVI_TRY(conv_attrs(&o, kernel, false, &a, __func__));
    mark at = mark_here(model);
    return back_to(model, at, conv_layer(model, "conv2d", x, filters, &a, &o, out));
}

ev_status ev_model_conv_transpose2d(ev_model *model, ev_value x, int32_t filters, int32_t kernel,
                                    const ev_conv2d_options *opt, ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    ev_conv2d_options o;
    evi_attrs a;
    EVI_OPTIONS_READ(&o, opt);
    EVI_TRY(conv_attrs(&o, kernel, true, &a, __func__));
    mark at = mark_here(model);
    return back_to(model, at, conv_layer(model, "conv_transpose2d", x, filters, &a, &o, out));
}

/* ---- dense ----------------------------------------------------------------------------------- */

static ev_status dense_layer(ev_model *m, ev_value x, int32_t units, const ev_dense_options *o,
                             ev_value *out)
{
    const evi_edge *edge = evi_model_edge(m, x);
    if (edge->shape.rank != 2 || units < 1)
        return evi_fail(EV_ERR_SHAPE,
                        "dense: input of %d dimensions, %d units; it takes [N,K] and "
                        "at least one unit (flatten first)",
                        (int)edge->shape.rank, (int)units);
    evi_attrs a;
    evi_attrs_default(&a);
    a.alpha = a.beta = 1;
    a.trans_b = 1;
    evi_param w = {.trainable = 1, .init = o->init, .init_value = o->init_value};
    w.shape.rank = 2;
    w.shape.dim[0] = w.fan_out = units;
    w.shape.dim[1] = w.fan_in = edge->shape.dim[1];
    char made[64];
    const char *name = layer_name(m, o->name, "dense", made);
    int32_t inputs[3] = {x, EV_NO_VALUE, EV_NO_VALUE};
    EVI_TRY(weight(m, name, "weight", &w, &inputs[1]));
    evi_param b = vector_param(units, 1, 0);
    if (o->no_bias <= 0)
        EVI_TRY(weight(m, name, "bias", &b, &inputs[2]));
    return add1(m, "dense", &a, name, inputs, o->no_bias > 0 ? 2 : 3, out);
}

ev_status ev_model_dense(ev_model *model, ev_value x, int32_t units, const ev_dense_options *opt,
                         ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    ev_dense_options o;
    EVI_OPTIONS_READ(&o, opt);
    EVI_TRY(check_init(o.init, o.init_value, __func__));
    mark at = mark_here(model);
    return back_to(model, at, dense_layer(model, x, units, &o, out));
}

ev_status ev_model_matmul(ev_model *model, ev_value a, ev_value b, ev_value *out)
{
    EVI_BEGIN_LAYER(model, a, out);
    return evi_add_binary(model, "matmul", evi_plain_attrs(), a, b, __func__, out);
}

/* ---- pools ----------------------------------------------------------------------------------- */

static ev_status pool(ev_model *m, const char *op, ev_value x, int32_t kernel,
                      const ev_pool2d_options *o, ev_value *out)
{
    evi_attrs a;
    evi_attrs_default(&a);
    a.kernel[0] = kernel;
    a.kernel[1] = or_default(o->kernel_w, kernel);
    a.stride[0] = or_default(o->stride_h, a.kernel[0]);
    a.stride[1] = or_default(o->stride_w, a.kernel[1]);
    a.dilation[0] = or_default(o->dilation_h, 1);
    a.dilation[1] = or_default(o->dilation_w, 1);
    const int32_t pad[4] = {o->pad_top, o->pad_left, o->pad_bottom, o->pad_right};
    for (int32_t i = 0; i < 4; i++)
        a.pad[i] = or_default(pad[i], 0);
    a.ceil_mode = o->ceil_mode > 0;
    a.count_include_pad = o->count_include_pad > 0;
    return evi_add_unary(m, op, a, x, out);
}

ev_status ev_model_max_pool2d(ev_model *model, ev_value x, int32_t kernel,
                              const ev_pool2d_options *opt, ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    ev_pool2d_options o;
    EVI_OPTIONS_READ(&o, opt);
    return pool(model, "max_pool2d", x, kernel, &o, out);
}

ev_status ev_model_average_pool2d(ev_model *model, ev_value x, int32_t kernel,
                                  const ev_pool2d_options *opt, ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    ev_pool2d_options o;
    EVI_OPTIONS_READ(&o, opt);
    return pool(model, "average_pool2d", x, kernel, &o, out);
}

ev_status ev_model_global_max_pool(ev_model *model, ev_value x, ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    return evi_add_unary(model, "global_max_pool", evi_plain_attrs(), x, out);
}

ev_status ev_model_global_average_pool(ev_model *model, ev_value x, ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    return evi_add_unary(model, "global_average_pool", evi_plain_attrs(), x, out);
}

/* ---- norms ----------------------------------------------------------------------------------- */

static ev_status norm_layer(ev_model *m, ev_value x, const ev_norm_options *o, bool batch,
                            ev_value *out)
{
    const evi_edge *edge = evi_model_edge(m, x);
    if (edge->shape.rank < 2)
        return evi_fail(EV_ERR_SHAPE, "a norm takes [N,C,...]; the input has %d dimensions",
                        (int)edge->shape.rank);
    if (!isfinite(o->epsilon) || !isfinite(o->momentum))
        return evi_fail(EV_ERR_ARGUMENT, "a norm with epsilon %g and momentum %g",
                        (double)o->epsilon, (double)o->momentum);
    static const struct {
        const char *part;
        int32_t trainable;
        float start;
    } parts[4] = {{"scale", 1, 1}, {"shift", 1, 0}, {"mean", 0, 0}, {"variance", 0, 1}};
    evi_attrs a;
    evi_attrs_default(&a);
    a.epsilon = o->epsilon > 0 ? o->epsilon : 1e-5f;
    a.momentum = 1.0f - (o->momentum > 0 ? o->momentum : 0.1f);
    bool affine = batch || o->affine > 0;
    char made[64];
    const char *name = layer_name(m, o->name, "norm", made);
    int32_t inputs[5] = {x, EV_NO_VALUE, EV_NO_VALUE, EV_NO_VALUE, EV_NO_VALUE};
    int32_t n = batch ? 4 : affine ? 2 : 0;
    int64_t channels = edge->shape.dim[1]; /* drawing a weight may move the edges */
    for (int32_t i = 0; i < n; i++) {
        bool trainable = parts[i].trainable && o->affine >= 0;
        evi_param p = vector_param(channels, trainable, parts[i].start);
        EVI_TRY(weight(m, name, parts[i].part, &p, &inputs[i + 1]));
    }
    return add1(m, batch ? "batch_norm" : "instance_norm", &a, name, inputs, n + 1, out);
}

ev_status ev_model_batch_norm(ev_model *model, ev_value x, const ev_norm_options *opt,
                              ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    ev_norm_options o;
    EVI_OPTIONS_READ(&o, opt);
    EVI_CHECK_RESERVED(o.reserved, __func__);
    mark at = mark_here(model);
    return back_to(model, at, norm_layer(model, x, &o, true, out));
}

ev_status ev_model_instance_norm(ev_model *model, ev_value x, const ev_norm_options *opt,
                                 ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    ev_norm_options o;
    EVI_OPTIONS_READ(&o, opt);
    EVI_CHECK_RESERVED(o.reserved, __func__);
    mark at = mark_here(model);
    return back_to(model, at, norm_layer(model, x, &o, false, out));
}

ev_status ev_model_prelu(ev_model *model, ev_value x, const char *name, ev_value *out)
{
    EVI_BEGIN_LAYER(model, x, out);
    const evi_edge *edge = evi_model_edge(model, x);
    if (edge->shape.rank < 2)
        return evi_fail(EV_ERR_SHAPE,
                        "ev_model_prelu: the input has %d dimensions, at least 2 are "
                        "needed",
                        (int)edge->shape.rank);
    mark at = mark_here(model);
    evi_param p = vector_param(edge->shape.dim[1], 1, 0.25f);
    p.shape.rank = edge->shape.rank - 1;
    for (int32_t i = 1; i < p.shape.rank; i++)
        p.shape.dim[i] = 1;
    char made[64];
    ev_value slope = EV_NO_VALUE;
    ev_status status = weight(model, layer_name(model, name, "prelu", made), "slope", &p, &slope);
    if (status == EV_OK)
        status = evi_add_binary(model, "prelu", evi_plain_attrs(), x, slope, __func__, out);
    return back_to(model, at, status);
}
