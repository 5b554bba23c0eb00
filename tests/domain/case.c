/* SPDX-License-Identifier: MIT */
/* Generators and pictures of the tests. */
#include "case.h"

#include "graph/graph.h"
#include <edgevision/zoo.h>
#include <math.h>

/* Of any size where width and height are -1. */
static ev_value draw_input(ev_model *m, int32_t channels, int32_t width, int32_t height)
{
    int32_t x = EV_NO_VALUE;
    const int64_t dims[4] = {-1, channels, height, width};
    t_ok(evi_model_add_input(m, "image", EV_TYPE_FLOAT32, 4, dims, NULL, &x));
    return x;
}

/* Gives back what it gets, plus a constant. */
ev_model *case_draw_plus(ev_context *c, int32_t channels, int32_t width, int32_t height, float more)
{
    ev_model *m = NULL;
    ev_value x = EV_NO_VALUE, y = EV_NO_VALUE;
    ev_tensor *t = NULL;
    t_ok(ev_model_create(c, &m));
    x = draw_input(m, channels, width, height);
    t_ok(ev_tensor_create(c, EV_TYPE_FLOAT32, 0, NULL, &t));
    *(float *)ev_tensor_data(t) = more;
    t_ok(ev_model_constant(m, "more", t, &y));
    t_ok(ev_model_add(m, x, y, &x));
    t_ok(ev_model_output(m, "out", x));
    ev_tensor_destroy(t);
    return m;
}

/* Stride 2 down and up again, no norms: a pixel depends on 3 + 1 + 2 * 1 + 2 + 2 * 1 + 3 < 16
 * pixels around it. */
ev_model *case_draw_plain(ev_context *c, bool norms)
{
    ev_model *m = NULL;
    ev_value x = EV_NO_VALUE;
    ev_conv2d_options o;
    t_ok(ev_model_create(c, &m));
    x = draw_input(m, 3, -1, -1);
    EV_OPTIONS_INIT(&o);
    o.stride_h = o.stride_w = 2;
    o.pad_top = o.pad_left = o.pad_bottom = o.pad_right = 1;
    o.init = EV_INIT_GLOROT;
    t_ok(ev_model_conv2d(m, x, 8, 3, &o, &x));
    if (norms)
        t_ok(ev_model_instance_norm(m, x, NULL, &x));
    t_ok(ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, &x));
    o.output_pad_h = o.output_pad_w = 1;
    t_ok(ev_model_conv_transpose2d(m, x, 8, 3, &o, &x));
    if (norms)
        t_ok(ev_model_instance_norm(m, x, NULL, &x));
    t_ok(ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, &x));
    EV_OPTIONS_INIT(&o);
    o.init = EV_INIT_GLOROT;
    t_ok(ev_model_conv2d(m, x, 3, 5, &o, &x));
    t_ok(ev_model_activation(m, x, EV_ACTIVATION_TANH, 0, 0, &x));
    t_ok(ev_model_output(m, "out", x));
    t_ok(ev_model_init(m, 3));
    return m;
}

ev_model *case_zoo_generator(ev_context *c, int32_t size, int32_t channels)
{
    ev_model *m = NULL;
    ev_generator_options o;
    EV_OPTIONS_INIT(&o);
    o.image_width = size;
    o.channels = channels;
    o.base_width = 4;
    o.n_blocks = 1;
    t_ok(ev_zoo_generator(c, &o, &m));
    t_ok(ev_model_init(m, 7));
    return m;
}

/* Something with soft and hard edges in it. */
ev_image *case_picture(ev_context *c, int32_t width, int32_t height, int32_t format)
{
    ev_image *image = NULL, *rgb = NULL;
    int32_t drawn = format == EV_PIXEL_NV12 || format == EV_PIXEL_YUYV ? format : EV_PIXEL_RGB;
    t_ok(ev_image_create(c, width, height, drawn, &image));
    int64_t stride = ev_image_stride(image);
    int64_t rows = format == EV_PIXEL_NV12 ? height + height / 2 : height;
    uint8_t *data = ev_image_data(image);
    uint64_t state = 5;
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < stride; x++)
            data[y * stride + x] =
                (uint8_t)(120 + 60 * sin((double)x / 21) * cos((double)y / 9) +
                          ((x / 24 + y / 8) % 5 == 0 ? 40 : 0) + (double)(t_random(&state) % 16));
    if (format == drawn)
        return image;
    t_ok(ev_image_convert(image, format, &rgb));
    ev_image_destroy(image);
    return rgb;
}

ev_image *case_translate(ev_context *c, ev_model *m, const ev_translator_options *o,
                         const ev_image *image)
{
    ev_translator *t = NULL;
    ev_image *out = NULL;
    t_ok(ev_translator_create(c, m, o, &t));
    t_ok(ev_translator_run(t, image, &out));
    ev_translator_destroy(t);
    return out;
}

/* The largest difference of two bytes. */
int32_t case_difference(const ev_image *a, const ev_image *b)
{
    int32_t most = 0, bytes = ev_image_format(a) == EV_PIXEL_GREY ? 1 : 3;
    ck_assert_int_eq(ev_image_width(a), ev_image_width(b));
    ck_assert_int_eq(ev_image_height(a), ev_image_height(b));
    ck_assert_int_eq(ev_image_format(a), ev_image_format(b));
    for (int64_t y = 0; y < ev_image_height(a); y++)
        for (int64_t x = 0; x < (int64_t)bytes * ev_image_width(a); x++) {
            int32_t d = (int32_t)ev_image_data(a)[y * ev_image_stride(a) + x] -
                        (int32_t)ev_image_data(b)[y * ev_image_stride(b) + x];
            most = abs(d) > most ? abs(d) : most;
        }
    return most;
}

ev_translator_options case_tiles(int32_t tile, int32_t overlap)
{
    ev_translator_options o;
    EV_OPTIONS_INIT(&o);
    o.tile = tile;
    o.overlap = overlap;
    return o;
}
