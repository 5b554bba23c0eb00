/* SPDX-License-Identifier: MIT */
/* The pen of draw.h: each call does nothing once something has failed. */
#include "zoo/draw.h"

#include "graph/graph.h"

#define DRAW(p, call)                  \
    do {                               \
        if ((p)->status == EV_OK)      \
            (p)->status = (call);      \
    } while (0)

void evi_pen_start(evi_pen *p, ev_context *ctx, int32_t channels, int32_t height, int32_t width,
                   bool any_size)
{
    const int64_t drawn[4] = { 1, channels, height, width };
    const int64_t dims[4] = { -1, channels, any_size ? -1 : height, any_size ? -1 : width };
    *p = (evi_pen){ .x = EV_NO_VALUE, .affine = -1 };
    p->status = ev_model_create(ctx, &p->model);
    DRAW(p, evi_model_add_input(p->model, "image", EV_TYPE_FLOAT32, 4, dims, drawn, &p->x));
}

ev_status evi_pen_end(evi_pen *p, const char *output, ev_model **out)
{
    DRAW(p, ev_model_output(p->model, output, p->x));
    if (p->status == EV_OK)
        *out = p->model;
    else
        ev_model_destroy(p->model);
    p->model = NULL;
    return p->status;
}

void evi_pen_conv_plain(evi_pen *p, int32_t filters, int32_t kernel, int32_t stride, int32_t pad,
                        int32_t no_bias)
{
    ev_conv2d_options o;
    EV_OPTIONS_INIT(&o);
    o.stride_h = o.stride_w = stride;
    o.pad_top = o.pad_left = o.pad_bottom = o.pad_right = pad > 0 ? pad : -1;
    o.no_bias = no_bias;
    o.init = p->init;
    o.init_value = p->init_value;
    DRAW(p, ev_model_conv2d(p->model, p->x, filters, kernel, &o, &p->x));
}

/* Borders that are not zeros are a layer of their own: the convolution then adds none. */
static int32_t border(evi_pen *p, int32_t pad)
{
    if (pad == 0 || p->pad_mode == EV_PAD_ZERO)
        return pad;
    DRAW(p, ev_model_pad2d(p->model, p->x, p->pad_mode, pad, pad, pad, pad, &p->x));
    return 0;
}

void evi_pen_conv(evi_pen *p, int32_t filters, int32_t kernel, int32_t stride, int32_t pad)
{
    evi_pen_conv_plain(p, filters, kernel, stride, border(p, pad), 0);
}

void evi_pen_depthwise(evi_pen *p, int32_t kernel, int32_t pad)
{
    ev_conv2d_options o;
    EV_OPTIONS_INIT(&o);
    pad = border(p, pad);
    int32_t channels = (int32_t)evi_pen_dim(p, 1);
    o.groups = channels;
    o.pad_top = o.pad_left = o.pad_bottom = o.pad_right = pad > 0 ? pad : -1;
    o.init = p->init;
    o.init_value = p->init_value;
    DRAW(p, ev_model_conv2d(p->model, p->x, channels, kernel, &o, &p->x));
}

void evi_pen_act(evi_pen *p, int32_t activation, float alpha)
{
    DRAW(p, ev_model_activation(p->model, p->x, activation, alpha, 0, &p->x));
}

void evi_pen_relu(evi_pen *p)
{
    evi_pen_act(p, EV_ACTIVATION_RELU, 0);
}

void evi_pen_instance_norm(evi_pen *p)
{
    ev_norm_options o;
    EV_OPTIONS_INIT(&o);
    o.affine = p->affine;
    DRAW(p, ev_model_instance_norm(p->model, p->x, &o, &p->x));
}

void evi_pen_batch_norm(evi_pen *p)
{
    DRAW(p, ev_model_batch_norm(p->model, p->x, NULL, &p->x));
}

void evi_pen_max_pool(evi_pen *p, int32_t kernel, int32_t stride, int32_t pad)
{
    ev_pool2d_options o;
    EV_OPTIONS_INIT(&o);
    o.stride_h = o.stride_w = stride;
    o.pad_top = o.pad_left = o.pad_bottom = o.pad_right = pad;
    DRAW(p, ev_model_max_pool2d(p->model, p->x, kernel, &o, &p->x));
}

void evi_pen_flatten(evi_pen *p)
{
    DRAW(p, ev_model_flatten(p->model, p->x, 1, &p->x));
}

void evi_pen_dropout(evi_pen *p, float rate)
{
    DRAW(p, ev_model_dropout(p->model, p->x, rate, &p->x));
}

void evi_pen_dense(evi_pen *p, int32_t units, int32_t init)
{
    ev_dense_options o;
    EV_OPTIONS_INIT(&o);
    o.init = init;
    DRAW(p, ev_model_dense(p->model, p->x, units, &o, &p->x));
}

void evi_pen_add(evi_pen *p, ev_value other)
{
    DRAW(p, ev_model_add(p->model, p->x, other, &p->x));
}

void evi_pen_concat(evi_pen *p, ev_value other)
{
    const ev_value both[2] = { p->x, other };
    DRAW(p, ev_model_concat(p->model, both, 2, 1, &p->x));
}

int64_t evi_pen_dim(const evi_pen *p, int32_t axis)
{
    int64_t dims[EV_MAX_RANK];
    if (p->status != EV_OK || ev_model_value_dims(p->model, p->x, dims) <= axis)
        return 1;
    return dims[axis];
}

ev_status evi_zoo_options_read(const ev_zoo_options *opt, int32_t side, const char *function,
                               ev_zoo_options *out)
{
    EVI_TRY(evi_options_read(out, (uint32_t)sizeof(*out), opt, function));
    if (out->width == 0)
        out->width = side;
    if (out->height == 0)
        out->height = out->width;
    if (out->channels == 0)
        out->channels = 3;
    if (out->n_classes == 0)
        out->n_classes = 4;
    if (out->width < 1 || out->width > 65535 || out->height < 1 || out->height > 65535)
        return evi_fail(EV_ERR_ARGUMENT, "%s: size %dx%d is not in 1..65535", function,
                        (int)out->width, (int)out->height);
    if (out->channels < 1 || out->channels > 4096 || out->n_classes < 1 || out->n_classes > 65536)
        return evi_fail(EV_ERR_ARGUMENT, "%s: %d channels or %d classes is out of range", function,
                        (int)out->channels, (int)out->n_classes);
    if (!(out->dropout >= 0 && out->dropout < 1))
        return evi_fail(EV_ERR_ARGUMENT, "%s: dropout %g is not in 0..1, below 1", function,
                        (double)out->dropout);
    return EV_OK;
}
