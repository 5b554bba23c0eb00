/* SPDX-License-Identifier: MIT */
/* See bright.h. */
#include "bright.h"

#include "graph/graph.h"

static ev_status set_weight(ev_model *m, const char *name, const float *elements, uint64_t n)
{
    ev_tensor *t = NULL;
    EVI_TRY(ev_model_weight(m, name, &t));
    ev_status status = ev_tensor_copy_in(t, elements, n * sizeof(float));
    ev_tensor_destroy(t);
    return status;
}

static ev_status draw(ev_model *m, int32_t size, int32_t end)
{
    static const float filters[15] = {1, 0,        0,        0,        1,  0,  0, 0,
                                      1, 1 / 3.0f, 1 / 3.0f, 1 / 3.0f, -1, -1, -1};
    static const float dense[10] = {0, 0, 0, -20, 0, 0, 0, 0, 20, 0}, bias[2] = {10, -10};
    const int64_t dims[4] = {-1, 3, size, size};
    const evi_shape shape = {.rank = 2, .dim = {5, 2}}, row = {.rank = 1, .dim = {2}};
    ev_value x = EV_NO_VALUE, k = EV_NO_VALUE;
    ev_conv2d_options c;
    ev_dense_options d;
    EV_OPTIONS_INIT(&c);
    EV_OPTIONS_INIT(&d);
    c.name = "channels";
    d.name = "end";
    EVI_TRY(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    EVI_TRY(ev_model_conv2d(m, x, 5, 1, &c, &x));
    EVI_TRY(ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, &x));
    EVI_TRY(ev_model_global_average_pool(m, x, &x));
    EVI_TRY(ev_model_flatten(m, x, 1, &x));
    EVI_TRY(ev_model_dropout(m, x, 0.5f, &x));
    if (end == BRIGHT_MATMUL) {
        static const float turned[10] = {0, 0, 0, 0, 0, 0, -20, 20, 0, 0};
        EVI_TRY(evi_model_add_constant(m, NULL, EV_TYPE_FLOAT32, &shape, turned, &k));
        EVI_TRY(ev_model_matmul(m, x, k, &x));
        EVI_TRY(evi_model_add_constant(m, NULL, EV_TYPE_FLOAT32, &row, bias, &k));
        EVI_TRY(ev_model_add(m, x, k, &x));
        EVI_TRY(ev_model_identity(m, x, &x));
    } else if (end != BRIGHT_NO_DENSE) {
        EVI_TRY(ev_model_dense(m, x, 2, &d, &x));
    }
    if (end == BRIGHT_SOFTMAX)
        EVI_TRY(ev_model_softmax(m, x, 1, &x));
    EVI_TRY(ev_model_output(m, "classes", x));
    EVI_TRY(ev_model_init(m, 1));
    EVI_TRY(set_weight(m, "channels.weight", filters, 15));
    if (end == BRIGHT_NO_DENSE || end == BRIGHT_MATMUL)
        return ev_model_touch(m);
    EVI_TRY(set_weight(m, "end.weight", dense, 10));
    EVI_TRY(set_weight(m, "end.bias", bias, 2));
    return ev_model_touch(m);
}

ev_status bright_classifier(ev_context *c, int32_t size, int32_t end, ev_model **out)
{
    ev_model *m = NULL;
    EVI_TRY(ev_model_create(c, &m));
    ev_status status = draw(m, size, end);
    if (status == EV_OK)
        *out = m;
    else
        ev_model_destroy(m);
    return status;
}

static ev_status draw_plus(ev_model *m, int32_t size, float more)
{
    const int64_t any = size == 0 ? -1 : size, dims[4] = {-1, 3, any, any};
    const evi_shape shape = {.rank = 1, .dim = {1}};
    const float twice = 2 * more;
    int32_t x = EV_NO_VALUE, k = EV_NO_VALUE;
    EVI_TRY(evi_model_add_input(m, "image", EV_TYPE_FLOAT32, 4, dims, NULL, &x));
    EVI_TRY(evi_model_add_constant(m, NULL, EV_TYPE_FLOAT32, &shape, &twice, &k));
    EVI_TRY(ev_model_add(m, x, k, &x));
    return ev_model_output(m, "image_out", x);
}

ev_status bright_generator(ev_context *c, int32_t size, float more, ev_model **out)
{
    ev_model *m = NULL;
    EVI_TRY(ev_model_create(c, &m));
    ev_status status = draw_plus(m, size, more);
    if (status == EV_OK)
        *out = m;
    else
        ev_model_destroy(m);
    return status;
}

static ev_status add_pictures(ev_dataset *set, ev_context *c, int32_t n, double low, double high,
                              int32_t noise, int32_t label)
{
    uint64_t state = 9;
    for (int32_t i = 0; i < n; i++) {
        ev_image *image = NULL;
        double grey = low + (high - low) * i / (n > 1 ? n - 1 : 1);
        EVI_TRY(ev_image_create(c, 20 + i % 3, 16, EV_PIXEL_RGB, &image));
        uint8_t *data = ev_image_data(image);
        for (int64_t k = 0; k < ev_image_stride(image) * 16; k++) {
            double v = grey + t_random_int(&state, -noise, noise) + 0.5;
            data[k] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
        ev_status status = ev_dataset_add_image(set, image, label >= 0 ? label : grey > 127, NULL);
        ev_image_destroy(image);
        EVI_TRY(status);
    }
    return EV_OK;
}

ev_status bright_set(ev_context *c, int32_t n, double low, double high, int32_t noise,
                     int32_t label, ev_dataset **out)
{
    ev_dataset *set = NULL;
    EVI_TRY(ev_dataset_create(c, 2, NULL, &set));
    ev_status status = add_pictures(set, c, n, low, high, noise, label);
    if (status == EV_OK)
        *out = set;
    else
        ev_dataset_destroy(set);
    return status;
}
