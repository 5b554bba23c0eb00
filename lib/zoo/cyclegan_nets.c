/* SPDX-License-Identifier: MIT */
/* Generator and discriminator of a CycleGAN (Zhu, Park, Isola, Efros 2017), and the variants that
 * the paper's authors' code has. */
#include "zoo/draw.h"
#include <math.h>

static ev_status check_range(int32_t value, int32_t low, int32_t high, const char *what)
{
    if (value < low || value > high)
        return evi_fail(EV_ERR_ARGUMENT, "%s %d is not in %d..%d", what, (int)value, (int)low,
                        (int)high);
    return EV_OK;
}

/* What both networks' options have in common. */
static ev_status common_defaults(int32_t *width, int32_t *height, int32_t *channels,
                                 int32_t *base_width, int32_t *init, float *init_value)
{
    *width = *width == 0 ? 256 : *width;
    *height = *height == 0 ? *width : *height;
    *channels = *channels == 0 ? 3 : *channels;
    *base_width = *base_width == 0 ? 64 : *base_width;
    *init_value = *init_value == 0 ? 0.02f : *init_value;
    *init = *init == 0 ? EV_INIT_NORMAL : *init;
    if (!isfinite(*init_value))
        return evi_fail(EV_ERR_ARGUMENT, "init_value is not finite");
    EVI_TRY(check_range(*width, 1, 65535, "image_width"));
    EVI_TRY(check_range(*height, 1, 65535, "image_height"));
    EVI_TRY(check_range(*channels, 1, 4096, "channels"));
    EVI_TRY(check_range(*base_width, 1, 1024, "base_width"));
    return check_range(*init, EV_INIT_HE, EV_INIT_UNIFORM, "init");
}

static void norm_relu(evi_pen *p)
{
    evi_pen_instance_norm(p);
    evi_pen_relu(p);
}

/* ---- generator ----------------------------------------------------------------------------- */

static ev_status generator_options(const ev_generator_options *opt, ev_generator_options *o)
{
    EVI_TRY(evi_options_read(o, (uint32_t)sizeof(*o), opt, "ev_zoo_generator"));
    EVI_TRY(common_defaults(&o->image_width, &o->image_height, &o->channels, &o->base_width,
                            &o->init, &o->init_value));
    o->n_blocks = o->n_blocks == 0 ? 6 : o->n_blocks;
    EVI_TRY(check_range(o->n_blocks, 1, 64, "n_blocks"));
    EVI_TRY(check_range(o->merge, EV_MERGE_ADD, EV_MERGE_CONCAT, "merge"));
    EVI_TRY(check_range(o->padding, -1, EV_PAD_EDGE, "padding"));
    EVI_TRY(check_range(o->upsample, EV_UPSAMPLE_TRANSPOSED, EV_UPSAMPLE_RESIZE, "upsample"));
    EVI_TRY(check_range(o->block, EV_BLOCK_FULL, EV_BLOCK_SEPARABLE, "block"));
    if (o->image_width % 4 != 0 || o->image_height % 4 != 0)
        return evi_fail(EV_ERR_SHAPE, "ev_zoo_generator: %dx%d is not divisible by 4",
                        (int)o->image_width, (int)o->image_height);
    return EV_OK;
}

static void block_conv(evi_pen *p, const ev_generator_options *o, int32_t filters)
{
    if (o->block == EV_BLOCK_SEPARABLE) {
        evi_pen_depthwise(p, 3, 1);
        evi_pen_conv(p, filters, 1, 1, 0);
    } else {
        evi_pen_conv(p, filters, 3, 1, 1);
    }
}

static void residual(evi_pen *p, const ev_generator_options *o, int32_t filters)
{
    ev_value from = p->x;
    block_conv(p, o, filters);
    norm_relu(p);
    block_conv(p, o, filters);
    evi_pen_instance_norm(p);
    if (o->merge == EV_MERGE_CONCAT)
        evi_pen_concat(p, from);
    else
        evi_pen_add(p, from);
}

static void enlarge(evi_pen *p, const ev_generator_options *o, int32_t filters)
{
    if (o->upsample == EV_UPSAMPLE_RESIZE) {
        int32_t height = (int32_t)evi_pen_dim(p, 2) * 2, width = (int32_t)evi_pen_dim(p, 3) * 2;
        if (p->status == EV_OK)
            p->status = ev_model_resize(p->model, p->x, height, width, EV_INTERPOLATE_NEAREST,
                                        EV_COORDINATES_ASYMMETRIC, &p->x);
        evi_pen_conv(p, filters, 3, 1, 1);
        return;
    }
    ev_conv2d_options t;
    EV_OPTIONS_INIT(&t);
    t.stride_h = t.stride_w = 2;
    t.pad_top = t.pad_left = t.pad_bottom = t.pad_right = 1;
    t.output_pad_h = t.output_pad_w = 1;
    t.init = p->init;
    t.init_value = p->init_value;
    if (p->status == EV_OK)
        p->status = ev_model_conv_transpose2d(p->model, p->x, filters, 3, &t, &p->x);
}

ev_status ev_zoo_generator(ev_context *ctx, const ev_generator_options *opt, ev_model **out)
{
    ev_generator_options o;
    evi_pen pen;
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_TRY(generator_options(opt, &o));
    const int32_t w = o.base_width;
    evi_pen_start(&pen, ctx, o.channels, o.image_height, o.image_width,
                  o.upsample != EV_UPSAMPLE_RESIZE);
    pen.pad_mode = o.padding == 0 ? EV_PAD_REFLECT : o.padding < 0 ? EV_PAD_ZERO : o.padding;
    pen.affine = o.affine != 0 ? 1 : -1;
    pen.init = o.init;
    pen.init_value = o.init_value;
    evi_pen_conv(&pen, w, 7, 1, 3);
    norm_relu(&pen);
    for (int32_t factor = 2; factor <= 4; factor *= 2) {
        evi_pen_conv_plain(&pen, factor * w, 3, 2, 1, 0);
        norm_relu(&pen);
    }
    for (int32_t i = 0; i < o.n_blocks; i++)
        residual(&pen, &o, 4 * w);
    for (int32_t factor = 2; factor >= 1; factor /= 2) {
        enlarge(&pen, &o, factor * w);
        norm_relu(&pen);
    }
    evi_pen_conv(&pen, o.channels, 7, 1, 3);
    if (o.norm_last != 0)
        evi_pen_instance_norm(&pen);
    evi_pen_act(&pen, EV_ACTIVATION_TANH, 0);
    return evi_pen_end(&pen, "image_out", out);
}

/* ---- discriminator ------------------------------------------------------------------------- */

static void leaky(evi_pen *p)
{
    evi_pen_act(p, EV_ACTIVATION_LEAKY_RELU, 0.2f);
}

/* C64 C128 ... 1: stride 2 but in the last two. */
static void patch_layers(evi_pen *p, const ev_discriminator_options *o)
{
    evi_pen_conv(p, o->base_width, 4, 2, 1);
    leaky(p);
    for (int32_t i = 1; i <= o->n_layers; i++) {
        int32_t factor = i < 3 ? 1 << i : 8;
        evi_pen_conv(p, factor * o->base_width, 4, i < o->n_layers ? 2 : 1, 1);
        evi_pen_instance_norm(p);
        leaky(p);
    }
    evi_pen_conv(p, 1, 4, 1, 1);
}

/* Four pixels wide and of stride 1: "same" is one pixel before and two after. */
static void conv_same(evi_pen *p, int32_t filters)
{
    ev_conv2d_options o;
    EV_OPTIONS_INIT(&o);
    o.pad_top = o.pad_left = 1;
    o.pad_bottom = o.pad_right = 2;
    o.init = p->init;
    o.init_value = p->init_value;
    if (p->status == EV_OK)
        p->status = ev_model_conv2d(p->model, p->x, filters, 4, &o, &p->x);
}

static void authors_layers(evi_pen *p, int32_t w)
{
    p->affine = 1;
    evi_pen_conv(p, w, 4, 2, 1);
    leaky(p);
    for (int32_t factor = 2; factor <= 8; factor *= 2) {
        evi_pen_conv(p, factor * w, 4, 2, 1);
        evi_pen_instance_norm(p);
        leaky(p);
    }
    conv_same(p, 8 * w);
    evi_pen_instance_norm(p);
    leaky(p);
    conv_same(p, 1);
}

ev_status ev_zoo_discriminator(ev_context *ctx, const ev_discriminator_options *opt,
                               ev_model **out)
{
    ev_discriminator_options o;
    evi_pen pen;
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_OPTIONS_READ(&o, opt);
    EVI_TRY(common_defaults(&o.image_width, &o.image_height, &o.channels, &o.base_width, &o.init,
                            &o.init_value));
    o.n_layers = o.n_layers == 0 ? 3 : o.n_layers;
    EVI_TRY(check_range(o.n_layers, 1, 8, "n_layers"));
    evi_pen_start(&pen, ctx, o.channels, o.image_height, o.image_width, true);
    pen.affine = o.affine != 0 ? 1 : -1;
    pen.init = o.init;
    pen.init_value = o.init_value;
    if (o.authors != 0)
        authors_layers(&pen, o.base_width);
    else
        patch_layers(&pen, &o);
    return evi_pen_end(&pen, "patches", out);
}
