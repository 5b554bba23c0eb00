/* SPDX-License-Identifier: MIT */
#include "drawn.h"

#include "graph/graph.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TRY(call)                \
    do {                         \
        ev_status try_ = (call); \
        if (try_ != EV_OK)       \
            return try_;         \
    } while (0)

static ev_status picture(ev_model *m, int32_t channels, int32_t size, ev_value *out)
{
    int64_t dims[4] = {-1, channels, size, size};
    return ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, out);
}

static ev_status finish(ev_model *m, ev_value x)
{
    return ev_model_output(m, "result", x);
}

/* ---- layers with weights --------------------------------------------------------------------- */

static ev_status draw_conv(ev_model *m)
{
    ev_value x;
    ev_conv2d_options opt;
    TRY(picture(m, 4, 13, &x));
    TRY(ev_model_conv2d(m, x, 8, 3, NULL, &x));
    TRY(ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, &x));
    EV_OPTIONS_INIT(&opt);
    opt.stride_h = 2;
    opt.stride_w = 1;
    opt.kernel_w = 5;
    opt.pad_top = 1;
    opt.pad_right = 2;
    opt.pad_left = 1;
    opt.groups = 2;
    opt.no_bias = 1;
    TRY(ev_model_conv2d(m, x, 6, 3, &opt, &x));
    EV_OPTIONS_INIT(&opt);
    opt.groups = 6;
    opt.dilation_h = 2;
    opt.name = "depthwise";
    TRY(ev_model_conv2d(m, x, 6, 3, &opt, &x));
    return finish(m, x);
}

static ev_status draw_conv_transpose(ev_model *m)
{
    ev_value x;
    ev_conv2d_options opt;
    TRY(picture(m, 3, 6, &x));
    EV_OPTIONS_INIT(&opt);
    opt.stride_h = opt.stride_w = 2;
    opt.pad_top = opt.pad_left = opt.pad_bottom = opt.pad_right = 1;
    opt.output_pad_h = opt.output_pad_w = 1;
    TRY(ev_model_conv_transpose2d(m, x, 4, 3, &opt, &x));
    TRY(ev_model_conv_transpose2d(m, x, 2, 2, NULL, &x));
    return finish(m, x);
}

static ev_status draw_dense(ev_model *m)
{
    ev_value x, w, b;
    const int64_t dims[2] = {30, 5}, bias[1] = {5};
    TRY(picture(m, 2, 8, &x));
    TRY(ev_model_flatten(m, x, 1, &x));
    TRY(ev_model_dense(m, x, 30, NULL, &x)); /* about 18 KB: what the damage tests go through */
    TRY(ev_model_activation(m, x, EV_ACTIVATION_LEAKY_RELU, 0.2f, 0, &x));
    TRY(ev_model_dropout(m, x, 0.3f, &x));
    TRY(ev_model_parameter(m, "own.weight", 2, dims, EV_INIT_GLOROT, 0, &w));
    TRY(ev_model_parameter(m, "own.bias", 1, bias, EV_INIT_CONSTANT, 0.5f, &b));
    TRY(ev_model_matmul(m, x, w, &x));
    TRY(ev_model_add(m, x, b, &x));
    TRY(ev_model_freeze(m, "own", 1));
    return finish(m, x);
}

static ev_status draw_norms(ev_model *m)
{
    ev_value x, y;
    ev_norm_options opt;
    TRY(picture(m, 5, 7, &x));
    EV_OPTIONS_INIT(&opt);
    opt.epsilon = 1e-3f;
    opt.momentum = 0.2f;
    TRY(ev_model_batch_norm(m, x, &opt, &x));
    TRY(ev_model_instance_norm(m, x, NULL, &y));
    EV_OPTIONS_INIT(&opt);
    opt.affine = 1;
    TRY(ev_model_instance_norm(m, x, &opt, &x));
    TRY(ev_model_add(m, x, y, &x));
    TRY(ev_model_prelu(m, x, "slope", &x));
    return finish(m, x);
}

/* ---- layers without -------------------------------------------------------------------------- */

static ev_status draw_pools(ev_model *m)
{
    ev_value x, a, b, c;
    ev_pool2d_options opt;
    TRY(picture(m, 3, 17, &x));
    EV_OPTIONS_INIT(&opt);
    opt.stride_h = opt.stride_w = 2;
    opt.pad_top = opt.pad_left = 1;
    opt.ceil_mode = 1;
    TRY(ev_model_max_pool2d(m, x, 3, &opt, &x));
    TRY(ev_model_max_pool2d(m, x, 2, NULL, &a));
    EV_OPTIONS_INIT(&opt);
    opt.pad_bottom = opt.pad_right = 1;
    opt.count_include_pad = 1;
    TRY(ev_model_average_pool2d(m, x, 2, &opt, &b));
    TRY(ev_model_average_pool2d(m, x, 3, NULL, &c));
    TRY(ev_model_output(m, "max", a));
    TRY(ev_model_output(m, "average", b));
    TRY(ev_model_output(m, "average3", c));
    TRY(ev_model_global_max_pool(m, x, &a));
    TRY(ev_model_global_average_pool(m, x, &b));
    const ev_value both[2] = {a, b};
    TRY(ev_model_concat(m, both, 2, 1, &x));
    return finish(m, x);
}

static ev_status draw_activations(ev_model *m)
{
    ev_value x, y;
    ev_value parts[7];
    TRY(picture(m, 2, 5, &x));
    for (int32_t i = 0; i < 7; i++) {
        bool limits = i + 1 == EV_ACTIVATION_CLIP;
        TRY(ev_model_activation(m, x, i + 1, limits ? -0.5f : 0, limits ? 0.25f : 0, &parts[i]));
    }
    TRY(ev_model_concat(m, parts, 7, 1, &y));
    TRY(ev_model_output(m, "all", y));
    TRY(ev_model_softmax(m, x, 1, &y));
    TRY(ev_model_output(m, "softmax", y));
    TRY(ev_model_flatten(m, x, 1, &y));
    TRY(ev_model_log_softmax(m, y, -1, &y));
    return ev_model_output(m, "log", y);
}

static ev_status draw_arithmetic(ev_model *m)
{
    ev_value x, y, c, d;
    ev_context *ctx = m->handle.ctx;
    ev_tensor *t = NULL;
    const int64_t dims[3] = {3, 1, 1};
    const evi_real v[3] = {0.25f, -1.5f, 3};
    TRY(picture(m, 3, 4, &x));
    TRY(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 3, dims, &t));
    ev_status status = ev_tensor_copy_in(t, v, sizeof(v));
    if (status == EV_OK)
        status = ev_model_constant(m, "numbers", t, &c);
    ev_tensor_destroy(t);
    TRY(status);
    TRY(ev_model_add(m, x, c, &y));
    TRY(ev_model_mul(m, y, x, &y));
    TRY(ev_model_sub(m, y, c, &y));
    TRY(ev_model_div(m, y, c, &d));
    TRY(ev_model_identity(m, d, &d));
    TRY(ev_model_output(m, "first", d));
    TRY(ev_model_output(m, "again", d)); /* one value, two outputs */
    TRY(ev_model_output(m, "input", x)); /* an input as it is */
    return ev_model_output(m, "constant", c);
}

static ev_status draw_shapes(ev_model *m)
{
    ev_value x, y, parts[3];
    const int64_t to[3] = {0, 6, -1}, sizes[3] = {1, 2, 3};
    const int32_t order[4] = {0, 3, 1, 2};
    TRY(picture(m, 6, 8, &x));
    TRY(ev_model_slice(m, x, 2, 1, -1, 2, &y));
    TRY(ev_model_output(m, "slice", y));
    TRY(ev_model_slice(m, x, 3, -1, -100, -3, &y));
    TRY(ev_model_output(m, "backwards", y));
    TRY(ev_model_split(m, x, 1, 3, sizes, parts));
    TRY(ev_model_output(m, "part", parts[1]));
    TRY(ev_model_transpose(m, parts[2], 4, order, &y));
    TRY(ev_model_output(m, "transposed", y));
    TRY(ev_model_reshape(m, x, 3, to, &y));
    return ev_model_output(m, "reshaped", y);
}

static ev_status draw_pads(ev_model *m)
{
    ev_value x, y;
    TRY(picture(m, 2, 5, &x));
    TRY(ev_model_pad2d(m, x, EV_PAD_ZERO, 1, 0, 2, 3, &y));
    TRY(ev_model_output(m, "zero", y));
    TRY(ev_model_pad2d(m, x, EV_PAD_REFLECT, 1, 2, 3, 4, &y));
    TRY(ev_model_output(m, "reflect", y));
    TRY(ev_model_pad2d(m, x, EV_PAD_EDGE, 0, 7, 0, 1, &y));
    return ev_model_output(m, "edge", y);
}

static ev_status draw_resizes(ev_model *m)
{
    ev_value x, y;
    char name[32];
    TRY(picture(m, 2, 7, &x));
    for (int32_t c = EV_COORDINATES_HALF_PIXEL; c <= EV_COORDINATES_ASYMMETRIC; c++) {
        TRY(ev_model_resize(m, x, 14, 10, EV_INTERPOLATE_BILINEAR, c, &y));
        snprintf(name, sizeof(name), "linear%d", (int)c);
        TRY(ev_model_output(m, name, y));
    }
    TRY(ev_model_resize(m, x, 21, 14, EV_INTERPOLATE_NEAREST, EV_COORDINATES_ASYMMETRIC, &y));
    return ev_model_output(m, "nearest", y);
}

/* Sizes whose scales, as floats, fall just short: written as computed sizes. */
static ev_status draw_odd_resize(ev_model *m)
{
    ev_value x, y;
    TRY(picture(m, 1, 47, &x));
    TRY(ev_model_resize(m, x, 41, 23, EV_INTERPOLATE_BILINEAR, EV_COORDINATES_HALF_PIXEL, &y));
    TRY(ev_model_output(m, "small", y));
    TRY(ev_model_resize(m, x, 55, 61, EV_INTERPOLATE_BILINEAR, EV_COORDINATES_ALIGN_CORNERS, &y));
    return ev_model_output(m, "large", y);
}

/* ---- models inside models, losses ------------------------------------------------------------ */

static ev_status small_net(ev_context *ctx, const char *name, ev_model **out)
{
    ev_value x = EV_NO_VALUE;
    ev_conv2d_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.name = name;
    TRY(ev_model_create(ctx, out));
    ev_status status = picture(*out, 3, 8, &x);
    if (status == EV_OK)
        status = ev_model_conv2d(*out, x, 3, 3, &opt, &x);
    if (status == EV_OK)
        status = ev_model_activation(*out, x, EV_ACTIVATION_TANH, 0, 0, &x);
    if (status == EV_OK)
        status = finish(*out, x);
    if (status != EV_OK) {
        ev_model_destroy(*out);
        *out = NULL;
    }
    return status;
}

/* A net used twice, another one frozen, and losses that the file leaves out with their label. */
static ev_status draw_calls(ev_model *m)
{
    ev_context *ctx = m->handle.ctx;
    ev_model *shared = NULL, *frozen = NULL;
    ev_value x, y = EV_NO_VALUE, z = EV_NO_VALUE, label, loss;
    const int64_t dims[1] = {-1};
    TRY(picture(m, 3, 8, &x));
    TRY(ev_model_input(m, "label", EV_TYPE_INT32, 1, dims, &label));
    TRY(small_net(ctx, "inner", &shared));
    ev_status status = small_net(ctx, "critic", &frozen);
    if (status == EV_OK)
        status = ev_model_call(m, shared, &x, 1, 0, &y, 1);
    if (status == EV_OK)
        status = ev_model_call(m, shared, &y, 1, 0, &y, 1);
    if (status == EV_OK)
        status = ev_model_call(m, frozen, &y, 1, 1, &z, 1);
    ev_model_destroy(shared);
    ev_model_destroy(frozen);
    TRY(status);
    TRY(ev_model_output(m, "twice", y));
    TRY(ev_model_output(m, "judged", z));
    TRY(ev_model_flatten(m, z, 1, &z));
    TRY(ev_model_dense(m, z, 4, NULL, &z));
    TRY(ev_model_output(m, "logits", z));
    TRY(ev_model_cross_entropy(m, z, label, NULL, &loss));
    return ev_model_loss(m, "loss", loss, 1);
}

/* ---- whole networks -------------------------------------------------------------------------- */

static ev_status call_all(ev_model *m, ev_model *net, int32_t channels, int32_t size)
{
    ev_value x, y;
    ev_status status = picture(m, channels, size, &x);
    if (status == EV_OK)
        status = ev_model_call(m, net, &x, 1, 0, &y, 1);
    ev_model_destroy(net);
    return status == EV_OK ? finish(m, y) : status;
}

static ev_status draw_arch(ev_model *m)
{
    ev_model *net = NULL;
    ev_zoo_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.width = opt.height = 32;
    opt.n_classes = 4;
    TRY(ev_zoo_arch(m->handle.ctx, 2, &opt, &net));
    return call_all(m, net, 3, 32);
}

static ev_status draw_resnet(ev_model *m)
{
    ev_model *net = NULL;
    TRY(ev_zoo_resnet_small(m->handle.ctx, 20, NULL, &net));
    return call_all(m, net, 3, 32);
}

static ev_status draw_generator(ev_model *m)
{
    ev_model *net = NULL;
    ev_generator_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.image_width = opt.image_height = 32;
    opt.base_width = 8;
    opt.n_blocks = 2;
    TRY(ev_zoo_generator(m->handle.ctx, &opt, &net));
    return call_all(m, net, 3, 32);
}

static const drawn all[] = {
    {"conv", draw_conv, false},
    {"conv_transpose", draw_conv_transpose, false},
    {"dense", draw_dense, false},
    {"norms", draw_norms, false},
    {"pools", draw_pools, false},
    {"activations", draw_activations, false},
    {"arithmetic", draw_arithmetic, false},
    {"shapes", draw_shapes, false},
    {"pads", draw_pads, false},
    {"resizes", draw_resizes, false},
    {"odd_resize", draw_odd_resize, false},
    {"calls", draw_calls, false},
    {"arch2", draw_arch, false},
    {"resnet20", draw_resnet, false},
    {"generator", draw_generator, false},
};

/* ---- making and running them ----------------------------------------------------------------- */

const drawn *drawn_at(int32_t i)
{
    return i >= 0 && i < EVI_COUNT(all) ? &all[i] : NULL;
}

int32_t drawn_find(const char *name)
{
    for (int32_t i = 0; i < EVI_COUNT(all); i++)
        if (strcmp(all[i].name, name) == 0)
            return i;
    return -1;
}

/* Biases and statistics that are not just 0 and 1. */
static ev_status shake(const ev_model *m)
{
    evi_store **stores = NULL;
    int32_t n = 0;
    uint64_t state = 77;
    TRY(evi_model_stores(m, &stores, &n));
    for (int32_t s = 0; s < n; s++)
        for (int32_t i = 0; i < stores[s]->n_params; i++) {
            evi_real *w = evi_store_data(stores[s], i);
            bool variance = strstr(stores[s]->params[i].name, "var") != NULL;
            for (int64_t k = 0; k < stores[s]->params[i].count; k++) {
                float noise = 0.1f * t_random_float(&state);
                w[k] = (evi_real)((float)w[k] + (variance ? fabsf(noise) : noise)); /* a float */
            }
        }
    evi_free(stores);
    return EV_OK;
}

ev_status drawn_model(ev_context *ctx, int32_t i, ev_model **out)
{
    static const char *const classes[] = {"person", "dog walker", "bicycle", "empty"};
    TRY(ev_model_create(ctx, out));
    ev_status status = all[i].draw(*out);
    if (status == EV_OK)
        status = ev_model_init(*out, 5);
    if (status == EV_OK)
        status = shake(*out);
    if (status == EV_OK)
        status = ev_model_set_classes(*out, classes, 4);
    if (status == EV_OK)
        status = ev_model_set_meta(*out, "note", "drawn by a test");
    if (status != EV_OK) {
        ev_model_destroy(*out);
        *out = NULL;
    }
    return status;
}

ev_status drawn_feed(ev_context *ctx, const ev_model *m, int32_t batch, drawn_run *run)
{
    memset(run, 0, sizeof(*run));
    for (int32_t i = 0; i < ev_model_n_inputs(m); i++) {
        int64_t dims[EV_MAX_RANK];
        int32_t rank = ev_model_input_dims(m, i, dims);
        int32_t type = m->values[m->inputs[i].value].edge.type;
        for (int32_t d = 0; d < rank; d++)
            dims[d] = dims[d] == -1
                          ? (d == 0 ? batch : m->values[m->inputs[i].value].edge.shape.dim[d])
                          : dims[d];
        TRY(ev_tensor_create(ctx, type, rank, dims, &run->inputs[i]));
        run->n_inputs++;
        uint64_t state = 99 + strlen(ev_model_input_name(m, i));
        for (int64_t k = 0; type == EV_TYPE_FLOAT32 && k < ev_tensor_count(run->inputs[i]); k++)
            ((evi_real *)ev_tensor_data(run->inputs[i]))[k] = (evi_real)t_random_float(&state);
    }
    return EV_OK;
}

ev_status drawn_run_model(ev_context *ctx, ev_model *m, int32_t batch, drawn_run *run)
{
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    ev_plan_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.max_batch = batch;
    TRY(drawn_feed(ctx, m, batch, run));
    ev_status status = ev_plan_create(ctx, m, &opt, &plan);
    if (status == EV_OK)
        status = ev_session_create(plan, &session);
    if (status == EV_OK)
        status =
            ev_session_run(session, (const ev_tensor *const *)run->inputs, run->n_inputs, NULL, 0);
    for (int32_t i = 0; status == EV_OK && i < m->n_outputs && !m->outputs[i].is_loss; i++) {
        const ev_tensor *from = ev_session_output(session, i);
        int64_t dims[EV_MAX_RANK];
        for (int32_t d = 0; d < ev_tensor_rank(from); d++)
            dims[d] = ev_tensor_dim(from, d);
        status = ev_tensor_create(ctx, ev_tensor_type(from), ev_tensor_rank(from), dims,
                                  &run->outputs[i]);
        if (status == EV_OK)
            status =
                ev_tensor_copy_in(run->outputs[i], ev_tensor_data(from), ev_tensor_bytes(from));
        snprintf(run->output_names[i], sizeof(run->output_names[i]), "%s", m->outputs[i].name);
        run->n_outputs++;
    }
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    return status;
}

void drawn_run_end(drawn_run *run)
{
    for (int32_t i = 0; i < DRAWN_MAX; i++) {
        ev_tensor_destroy(run->inputs[i]);
        ev_tensor_destroy(run->outputs[i]);
    }
    memset(run, 0, sizeof(*run));
}
