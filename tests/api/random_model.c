/* SPDX-License-Identifier: MIT */
#include "random_model.h"

#include "support.h"

#define VALUES 40
#define SIDE_MAX 24
#define CHANNELS_MAX 24

typedef struct drawing {
    ev_model *m;
    uint64_t state;
    ev_value values[VALUES];
    int32_t n;
    bool plain;
} drawing;

typedef struct picture {
    int32_t c, h, w;
} picture;

static int32_t pick(drawing *d, int32_t lo, int32_t hi)
{
    return t_random_int(&d->state, lo, hi);
}

static picture size_of(const drawing *d, ev_value v)
{
    int64_t dims[EV_MAX_RANK] = {0};
    ck_assert_int_eq(ev_model_value_dims(d->m, v, dims), 4);
    return (picture){(int32_t)dims[1], (int32_t)dims[2], (int32_t)dims[3]};
}

/* A value like `like` in height and width, and in channels when those are asked for. */
static ev_value another(drawing *d, ev_value like, bool channels)
{
    picture a = size_of(d, like);
    int32_t start = pick(d, 0, d->n - 1);
    for (int32_t i = 0; i < d->n; i++) {
        ev_value v = d->values[(start + i) % d->n];
        picture b = size_of(d, v);
        if (a.h == b.h && a.w == b.w && (!channels || a.c == b.c))
            return v;
    }
    return like;
}

static int32_t groups_of(drawing *d, int32_t c, int32_t *filters)
{
    switch (pick(d, 0, 3)) {
    case 0: *filters = c * pick(d, 1, 2); return c; /* depthwise */
    case 1:
        if (c % 2 == 0) {
            *filters = 2 * pick(d, 1, 6);
            return 2;
        }
        return 1;
    default: return 1;
    }
}

static ev_status convolve(drawing *d, ev_value x, ev_value *out)
{
    picture p = size_of(d, x);
    ev_conv2d_options o;
    int32_t filters = pick(d, 1, 12), kernel = pick(d, 1, 5);
    EV_OPTIONS_INIT(&o);
    o.groups = groups_of(d, p.c, &filters);
    o.kernel_w = pick(d, 0, 3);
    o.stride_h = pick(d, 1, 2);
    o.stride_w = pick(d, 0, 2) > 0 ? o.stride_h : 1;
    o.dilation_h = pick(d, 0, 4) == 0 ? 2 : 1;
    o.no_bias = pick(d, 0, 1);
    if (pick(d, 0, 1) == 1) {
        o.pad_top = pick(d, -1, 2);
        o.pad_left = pick(d, -1, 2);
        o.pad_bottom = pick(d, -1, 2);
        o.pad_right = pick(d, 1, 2);
    }
    return ev_model_conv2d(d->m, x, filters, kernel, &o, out);
}

static ev_status transposed(drawing *d, ev_value x, ev_value *out)
{
    picture p = size_of(d, x);
    ev_conv2d_options o;
    if (2 * p.h + 4 > SIDE_MAX || 2 * p.w + 4 > SIDE_MAX)
        return convolve(d, x, out);
    EV_OPTIONS_INIT(&o);
    o.stride_h = o.stride_w = pick(d, 1, 2);
    o.groups = p.c % 2 == 0 ? pick(d, 1, 2) : 1;
    o.pad_top = pick(d, 0, 1);
    o.pad_left = pick(d, 0, 1);
    o.output_pad_h = o.stride_h > 1 ? pick(d, 0, 1) : 0;
    return ev_model_conv_transpose2d(d->m, x, o.groups * pick(d, 1, 6), pick(d, 2, 4), &o, out);
}

static ev_status pool(drawing *d, ev_value x, ev_value *out)
{
    ev_pool2d_options o;
    EV_OPTIONS_INIT(&o);
    o.stride_h = o.stride_w = pick(d, 1, 2);
    o.pad_top = o.pad_left = pick(d, 0, 1);
    o.ceil_mode = pick(d, 0, 1);
    o.count_include_pad = pick(d, 0, 1);
    return pick(d, 0, 1) == 0 ? ev_model_max_pool2d(d->m, x, pick(d, 2, 3), &o, out)
                              : ev_model_average_pool2d(d->m, x, pick(d, 2, 3), &o, out);
}

static ev_status norm(drawing *d, ev_value x, ev_value *out)
{
    picture p = size_of(d, x);
    ev_norm_options o;
    EV_OPTIONS_INIT(&o);
    o.epsilon = 0.1f; /* an almost even plane is not blown up */
    o.affine = pick(d, 0, 1);
    if (!d->plain && pick(d, 0, 1) == 0)
        return ev_model_batch_norm(d->m, x, &o, out);
    if (p.h * p.w < 9)
        return ev_model_identity(d->m, x, out);
    return ev_model_instance_norm(d->m, x, &o, out);
}

static ev_status activate(drawing *d, ev_value x, ev_value *out)
{
    if (pick(d, 0, 7) == 0)
        return ev_model_prelu(d->m, x, NULL, out);
    if (pick(d, 0, 7) == 0)
        return ev_model_softmax(d->m, x, 1, out);
    if (!d->plain && pick(d, 0, 3) == 0)
        return ev_model_dropout(d->m, x, 0.5f, out);
    int32_t kind = pick(d, EV_ACTIVATION_RELU, EV_ACTIVATION_HARD_SIGMOID);
    bool clip = kind == EV_ACTIVATION_CLIP;
    return ev_model_activation(d->m, x, kind, clip ? -1 : 0, clip ? 2 : 0, out);
}

static ev_status combine(drawing *d, ev_value x, ev_value *out)
{
    ev_value same = another(d, x, true), both[3] = {x, another(d, x, false), x};
    switch (pick(d, 0, 4)) {
    case 0: return ev_model_mul(d->m, x, same, out);
    case 1: return ev_model_sub(d->m, x, same, out);
    case 2:
        if (size_of(d, both[0]).c + size_of(d, both[1]).c <= CHANNELS_MAX)
            return ev_model_concat(d->m, both, 2, 1, out);
        break;
    default: break;
    }
    return ev_model_add(d->m, x, same, out);
}

static ev_status rearrange(drawing *d, ev_value x, ev_value *out)
{
    picture p = size_of(d, x);
    switch (pick(d, 0, 3)) {
    case 0:
        if (p.h + 3 <= SIDE_MAX && p.w + 3 <= SIDE_MAX && p.h > 2 && p.w > 2)
            return ev_model_pad2d(d->m, x, pick(d, EV_PAD_ZERO, EV_PAD_EDGE), pick(d, 0, 1),
                                  pick(d, 0, 2), pick(d, 0, 2), pick(d, 0, 1), out);
        break;
    case 1:
        return ev_model_resize(d->m, x, pick(d, 2, SIDE_MAX), pick(d, 2, SIDE_MAX), pick(d, 0, 1),
                               pick(d, 0, 3), out);
    case 2: return ev_model_slice(d->m, x, pick(d, 2, 3), pick(d, 0, 1), INT32_MAX, 1, out);
    default: break;
    }
    if (p.c < 2)
        return ev_model_identity(d->m, x, out);
    ev_value parts[2];
    const int64_t sizes[2] = {p.c / 2, p.c - p.c / 2};
    ev_status status = ev_model_split(d->m, x, 1, 2, sizes, parts);
    *out = status == EV_OK ? parts[pick(d, 0, 1)] : EV_NO_VALUE;
    return status;
}

/* A small model that keeps the shape, called twice with the same weights. */
static ev_status call_twice(drawing *d, ev_value x, ev_context *ctx, ev_value *out)
{
    picture p = size_of(d, x);
    const int64_t dims[4] = {-1, p.c, p.h, p.w};
    ev_model *inner = NULL;
    ev_value v = 0, once = 0;
    t_ok(ev_model_create(ctx, &inner));
    t_ok(ev_model_input(inner, "x", EV_TYPE_FLOAT32, 4, dims, &v));
    t_ok(ev_model_conv2d(inner, v, p.c, 3, NULL, &v));
    t_ok(ev_model_activation(inner, v, EV_ACTIVATION_TANH, 0, 0, &v));
    t_ok(ev_model_output(inner, "y", v));
    ev_status status = ev_model_call(d->m, inner, &x, 1, 0, &once, 1);
    if (status == EV_OK)
        status = ev_model_call(d->m, inner, &once, 1, 0, out, 1);
    ev_model_destroy(inner);
    return status;
}

static ev_status one_layer(drawing *d, ev_context *ctx, ev_value x, ev_value *out)
{
    switch (pick(d, 0, 12)) {
    case 0:
    case 1:
    case 2:
    case 3: return convolve(d, x, out);
    case 4: return transposed(d, x, out);
    case 5: return pool(d, x, out);
    case 6: return norm(d, x, out);
    case 7:
    case 8: return activate(d, x, out);
    case 9:
    case 10: return combine(d, x, out);
    case 11: return rearrange(d, x, out);
    default: return call_twice(d, x, ctx, out);
    }
}

static bool usable(const drawing *d, ev_value v)
{
    picture p = size_of(d, v);
    return p.c <= CHANNELS_MAX && p.h > 0 && p.w > 0;
}

/* Outputs: a picture, and numbers. */
static void finish(drawing *d)
{
    ev_value last = d->values[d->n - 1], y = EV_NO_VALUE;
    if (pick(d, 0, 1) == 0) {
        t_ok(ev_model_global_average_pool(d->m, last, &y));
        t_ok(ev_model_flatten(d->m, y, 1, &y));
    } else {
        t_ok(ev_model_flatten(d->m, last, 1, &y));
    }
    t_ok(ev_model_dense(d->m, y, pick(d, 1, 7), NULL, &y));
    t_ok(ev_model_output(d->m, "numbers", y));
    if (pick(d, 0, 1) == 0)
        t_ok(ev_model_output(d->m, "picture", d->values[pick(d, 0, d->n - 1)]));
}

void random_model_make(ev_context *ctx, uint64_t seed, random_model *out)
{
    drawing d = {.state = seed * 0x9E3779B97F4A7C15u + 1};
    *out = (random_model){.dims = {1, pick(&d, 1, 5), pick(&d, 6, 20), pick(&d, 6, 20)}};
    const int64_t any[4] = {-1, out->dims[1], out->dims[2], out->dims[3]};
    d.plain = pick(&d, 0, 1) == 0;
    t_ok(ev_model_create(ctx, &d.m));
    t_ok(ev_model_input(d.m, "image", EV_TYPE_FLOAT32, 4, any, &d.values[d.n++]));
    int32_t n = pick(&d, 2, 14);
    for (int32_t i = 0; i < n; i++) {
        ev_value y = EV_NO_VALUE;
        ev_value x = d.values[pick(&d, 0, 3) > 0 ? d.n - 1 : pick(&d, 0, d.n - 1)];
        if (one_layer(&d, ctx, x, &y) == EV_OK && usable(&d, y))
            d.values[d.n++] = y; /* windows that do not fit are refused: go on with another */
    }
    finish(&d);
    t_ok(ev_model_init(d.m, seed + 1));
    out->model = d.m;
    out->plain = d.plain;
    out->n_layers = d.n;
}
