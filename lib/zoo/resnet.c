/* SPDX-License-Identifier: MIT */
/* Residual nets (He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2016). */
#include "zoo/draw.h"

static void conv_norm(evi_pen *p, int32_t filters, int32_t kernel, int32_t stride)
{
    evi_pen_conv_plain(p, filters, kernel, stride, kernel / 2, 1); /* the norm has the bias */
    evi_pen_batch_norm(p);
}

static void draw_status(evi_pen *p, ev_status status)
{
    if (p->status == EV_OK)
        p->status = status;
}

/* Option A: every other pixel, and as many channels of zeros as are missing. */
static void shortcut_zeros(evi_pen *p, ev_value zero)
{
    ev_value filled = EV_NO_VALUE;
    for (int32_t axis = 2; axis < 4 && p->status == EV_OK; axis++)
        draw_status(p, ev_model_slice(p->model, p->x, axis, 0, evi_pen_dim(p, axis), 2, &p->x));
    if (p->status == EV_OK)
        draw_status(p, ev_model_mul(p->model, p->x, zero, &filled));
    if (p->status == EV_OK)
        evi_pen_concat(p, filled);
}

/* Two convolutions and a shortcut; zero: a constant for option A, or none for 1x1 convolutions. */
static void block(evi_pen *p, int32_t filters, int32_t stride, ev_value zero)
{
    ev_value from = p->x, straight = EV_NO_VALUE;
    bool changes = stride != 1 || evi_pen_dim(p, 1) != filters;
    conv_norm(p, filters, 3, stride);
    evi_pen_relu(p);
    conv_norm(p, filters, 3, 1);
    straight = p->x;
    p->x = from;
    if (changes && zero != EV_NO_VALUE)
        shortcut_zeros(p, zero);
    else if (changes)
        conv_norm(p, filters, 1, stride);
    from = p->x;
    p->x = straight;
    evi_pen_add(p, from);
    evi_pen_relu(p);
}

static ev_status head(evi_pen *p, const ev_zoo_options *o, ev_model **out)
{
    if (p->status == EV_OK)
        p->status = ev_model_global_average_pool(p->model, p->x, &p->x);
    evi_pen_flatten(p);
    evi_pen_dropout(p, o->dropout);
    evi_pen_dense(p, o->n_classes, EV_INIT_GLOROT);
    return evi_pen_end(p, "logits", out);
}

static void constant_zero(evi_pen *p, ev_context *ctx, ev_value *out)
{
    const int64_t dims[4] = { 1, 1, 1, 1 };
    ev_tensor *zero = NULL;
    if (p->status == EV_OK)
        p->status = ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &zero);
    if (p->status == EV_OK)
        p->status = ev_model_constant(p->model, "zero", zero, out);
    ev_tensor_destroy(zero);
}

ev_status ev_zoo_resnet_small(ev_context *ctx, int32_t depth, const ev_zoo_options *opt,
                              ev_model **out)
{
    ev_zoo_options o;
    evi_pen pen;
    ev_value zero = EV_NO_VALUE;
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    if (depth < 8 || depth > 1202 || depth % 6 != 2)
        return evi_fail(EV_ERR_ARGUMENT, "%s: depth %d is not 6n+2 in 8..1202", __func__,
                        (int)depth);
    EVI_TRY(evi_zoo_options_read(opt, 32, __func__, &o));
    evi_pen_start(&pen, ctx, o.channels, o.height, o.width, false);
    constant_zero(&pen, ctx, &zero);
    conv_norm(&pen, 16, 3, 1);
    evi_pen_relu(&pen);
    for (int32_t stage = 0; stage < 3; stage++)
        for (int32_t i = 0; i < (depth - 2) / 6; i++)
            block(&pen, 16 << stage, stage > 0 && i == 0 ? 2 : 1, zero);
    return head(&pen, &o, out);
}

ev_status ev_zoo_resnet18(ev_context *ctx, const ev_zoo_options *opt, ev_model **out)
{
    ev_zoo_options o;
    evi_pen pen;
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_TRY(evi_zoo_options_read(opt, 224, __func__, &o));
    evi_pen_start(&pen, ctx, o.channels, o.height, o.width, false);
    conv_norm(&pen, 64, 7, 2);
    evi_pen_relu(&pen);
    evi_pen_max_pool(&pen, 3, 2, 1);
    for (int32_t stage = 0; stage < 4; stage++)
        for (int32_t i = 0; i < 2; i++)
            block(&pen, 64 << stage, stage > 0 && i == 0 ? 2 : 1, EV_NO_VALUE);
    return head(&pen, &o, out);
}
