/* SPDX-License-Identifier: MIT */
#include "random_nets.h"

#include "support.h"

#define SIDE_MAX 20
#define CHANNELS_MAX 32

typedef struct net {
    ev_context *ctx;
    ev_model *m;
    uint64_t state;
    int32_t n_own; /* weights drawn by hand */
} net;

typedef struct picture {
    int32_t c, h, w;
} picture;

static int32_t pick(net *n, int32_t lo, int32_t hi)
{
    return t_random_int(&n->state, lo, hi);
}

static picture size_of(const net *n, ev_value v)
{
    int64_t dims[EV_MAX_RANK] = {0};
    ck_assert_int_eq(ev_model_value_dims(n->m, v, dims), 4);
    return (picture){(int32_t)dims[1], (int32_t)dims[2], (int32_t)dims[3]};
}

/* ---- small parts ----------------------------------------------------------------------------- */

static ev_value conv(net *n, ev_value x, int32_t filters, int32_t kernel, int32_t stride,
                     int32_t groups)
{
    ev_conv2d_options o;
    EV_OPTIONS_INIT(&o);
    o.stride_h = o.stride_w = stride;
    o.groups = groups;
    o.no_bias = pick(n, 0, 1);
    o.pad_top = o.pad_left = o.pad_bottom = o.pad_right = kernel > 1 ? kernel / 2 : -1;
    ev_value y = EV_NO_VALUE;
    t_ok(ev_model_conv2d(n->m, x, filters, kernel, &o, &y));
    return y;
}

static ev_value activate(net *n, ev_value x)
{
    ev_value y = EV_NO_VALUE;
    int32_t kind = pick(n, EV_ACTIVATION_RELU, EV_ACTIVATION_HARD_SIGMOID);
    if (pick(n, 0, 5) == 0) {
        t_ok(ev_model_prelu(n->m, x, NULL, &y));
        return y;
    }
    if (pick(n, 0, 1) == 0)
        kind = EV_ACTIVATION_RELU;
    bool clip = kind == EV_ACTIVATION_CLIP;
    t_ok(ev_model_activation(n->m, x, kind, clip ? -1 : 0, clip ? 2 : 0, &y));
    return y;
}

static ev_value norm(net *n, ev_value x)
{
    picture p = size_of(n, x);
    ev_norm_options o;
    EV_OPTIONS_INIT(&o);
    o.epsilon = 0.1f;
    o.affine = pick(n, 0, 1);
    ev_value y = x;
    int32_t kind = pick(n, 0, 4);
    if (kind == 0 && p.h * p.w >= 9)
        t_ok(ev_model_instance_norm(n->m, x, &o, &y));
    else if (kind > 1)
        t_ok(ev_model_batch_norm(n->m, x, &o, &y));
    return y;
}

static ev_value layer(net *n, ev_value x, int32_t filters, int32_t kernel, int32_t stride)
{
    return activate(n, norm(n, conv(n, x, filters, kernel, stride, 1)));
}

static ev_value add(net *n, ev_value a, ev_value b)
{
    ev_value y = EV_NO_VALUE;
    t_ok(ev_model_add(n->m, a, b, &y));
    return y;
}

static ev_value join(net *n, const ev_value *parts, int32_t n_parts)
{
    ev_value y = EV_NO_VALUE;
    t_ok(ev_model_concat(n->m, parts, n_parts, 1, &y));
    return y;
}

static ev_value own_weight(net *n, int32_t rank, int64_t a, int64_t b)
{
    char name[32];
    const int64_t dims[3] = {a, b, 1};
    ev_value y = EV_NO_VALUE;
    snprintf(name, sizeof name, "own%d", (int)++n->n_own);
    t_ok(ev_model_parameter(n->m, name, rank, dims, EV_INIT_NORMAL, 0.5f, &y));
    return y;
}

/* ---- stages ---------------------------------------------------------------------------------- */

static ev_value residual(net *n, ev_value x)
{
    picture p = size_of(n, x);
    int32_t stride = p.h > 6 && pick(n, 0, 2) == 0 ? 2 : 1;
    int32_t filters = stride == 1 && pick(n, 0, 1) ? p.c : pick(n, 2, 10);
    ev_value y = layer(n, x, pick(n, 2, 10), 3, stride);
    y = norm(n, conv(n, y, filters, 3, 1, 1));
    ev_value side = filters == p.c && stride == 1 ? x : norm(n, conv(n, x, filters, 1, stride, 1));
    y = pick(n, 0, 1) ? add(n, side, y) : add(n, y, side);
    return pick(n, 0, 1) ? activate(n, y) : y;
}

static ev_value squeeze_excite(net *n, ev_value x)
{
    picture p = size_of(n, x);
    ev_value s = EV_NO_VALUE;
    t_ok(ev_model_global_average_pool(n->m, x, &s));
    if (pick(n, 0, 1) == 0) {
        s = conv(n, activate(n, conv(n, s, pick(n, 1, 4), 1, 1, 1)), p.c, 1, 1, 1);
    } else {
        const int64_t dims[4] = {pick(n, 0, 1) ? 0 : -1, p.c, 1, 1};
        t_ok(ev_model_flatten(n->m, s, 1, &s));
        t_ok(ev_model_dense(n->m, s, pick(n, 1, 4), NULL, &s));
        s = activate(n, s);
        t_ok(ev_model_dense(n->m, s, p.c, NULL, &s));
        t_ok(ev_model_reshape(n->m, s, 4, dims, &s));
    }
    t_ok(ev_model_activation(n->m, s, EV_ACTIVATION_SIGMOID, 0, 0, &s));
    ev_value y = EV_NO_VALUE;
    t_ok(ev_model_mul(n->m, x, s, &y));
    return y;
}

/* Widen, depthwise, narrow; with a shortcut. */
static ev_value inverted(net *n, ev_value x)
{
    picture p = size_of(n, x);
    int32_t wide = p.c * pick(n, 1, 2), filters = pick(n, 0, 1) ? p.c : pick(n, 2, 8);
    ev_value y = layer(n, x, wide, 1, 1);
    y = activate(n, norm(n, conv(n, y, wide * pick(n, 1, 2), 3, 1, wide)));
    if (pick(n, 0, 1))
        y = squeeze_excite(n, y);
    y = norm(n, conv(n, y, filters, 1, 1, 1));
    return filters == p.c ? add(n, x, y) : y;
}

static ev_value branches(net *n, ev_value x)
{
    ev_value parts[4];
    int32_t count = pick(n, 2, 3), c = size_of(n, x).c;
    for (int32_t i = 0; i < count; i++)
        parts[i] = layer(n, x, pick(n, 1, 6), 1 + 2 * pick(n, 0, 1), 1);
    if (pick(n, 0, 2) == 0 && c < 12)
        parts[count++] = x; /* as in a densely connected net */
    if (pick(n, 0, 5) == 0)
        parts[count - 1] = parts[0]; /* joined with itself */
    return join(n, parts, count);
}

static ev_value cut(net *n, ev_value x)
{
    picture p = size_of(n, x);
    if (p.c < 3)
        return layer(n, x, 6, 3, 1);
    int32_t a = pick(n, 1, p.c - 2), b = pick(n, 1, p.c - a - 1);
    const int64_t sizes[3] = {a, b, p.c - a - b};
    ev_value parts[3];
    if (pick(n, 0, 1)) {
        t_ok(ev_model_split(n->m, x, 1, 3, sizes, parts));
    } else {
        t_ok(ev_model_slice(n->m, x, 1, 0, a, 1, &parts[0]));
        t_ok(ev_model_slice(n->m, x, 1, a - p.c, a + b, 1, &parts[1]));
        t_ok(ev_model_slice(n->m, x, 1, a + b, INT32_MAX, 1, &parts[2]));
    }
    parts[1] = layer(n, parts[1], pick(n, 1, 5), 3, 1);
    return pick(n, 0, 2) ? join(n, parts, 3) : join(n, parts + 1, 2);
}

static ev_value grouped(net *n, ev_value x)
{
    int32_t groups = pick(n, 2, 3), c = size_of(n, x).c;
    if (c % groups != 0)
        x = layer(n, x, groups * pick(n, 1, 4), 1, 1);
    return activate(n, norm(n, conv(n, x, groups * pick(n, 1, 4), 3, 1, groups)));
}

static ev_value shuffle(net *n, ev_value x)
{
    int32_t groups = pick(n, 2, 3), each = pick(n, 2, 4);
    x = layer(n, x, groups * each, 1, 1);
    picture p = size_of(n, x);
    const int64_t apart[5] = {-1, groups, each, p.h, p.w}, whole[4] = {-1, groups * each, p.h, p.w};
    const int32_t order[5] = {0, 2, 1, 3, 4};
    t_ok(ev_model_reshape(n->m, x, 5, apart, &x));
    t_ok(ev_model_transpose(n->m, x, 5, order, &x));
    t_ok(ev_model_reshape(n->m, x, 4, whole, &x));
    return conv(n, x, pick(n, 2, 6), 3, 1, 1);
}

static ev_value transposed(net *n, ev_value x)
{
    ev_conv2d_options o;
    EV_OPTIONS_INIT(&o);
    picture p = size_of(n, x);
    o.groups = p.c % 2 == 0 ? pick(n, 1, 2) : 1;
    o.stride_h = o.stride_w = 2 * p.h + 2 <= SIDE_MAX ? pick(n, 1, 2) : 1;
    o.pad_top = o.pad_left = o.pad_bottom = o.pad_right = 1;
    t_ok(ev_model_conv_transpose2d(n->m, x, o.groups * pick(n, 1, 4), 3, &o, &x));
    return activate(n, norm(n, x));
}

static ev_value place(net *n, ev_value x)
{
    picture p = size_of(n, x);
    ev_pool2d_options o;
    EV_OPTIONS_INIT(&o);
    switch (pick(n, 0, 4)) {
    case 0:
        t_ok(ev_model_resize(n->m, x, pick(n, 4, 14), pick(n, 4, 14), pick(n, 0, 1), 0, &x));
        break;
    case 1: t_ok(ev_model_pad2d(n->m, x, pick(n, EV_PAD_ZERO, EV_PAD_EDGE), 1, 0, 1, 1, &x)); break;
    case 2:
        if (p.h > 3)
            t_ok(ev_model_slice(n->m, x, 2, 1, -1, 1, &x));
        break;
    case 3:
        if (p.h > 5 && p.w > 5)
            t_ok(ev_model_max_pool2d(n->m, x, 2, NULL, &x));
        break;
    default:
        if (p.h > 5 && p.w > 5)
            t_ok(ev_model_average_pool2d(n->m, x, 3, &o, &x));
        break;
    }
    return x;
}

/* A small model called twice with the same weights, on the same value or one after the other. */
static ev_value shared(net *n, ev_value x)
{
    net inner = {.ctx = n->ctx, .state = n->state + 5};
    picture p = size_of(n, x);
    const int64_t dims[4] = {-1, p.c, p.h, p.w};
    bool same = pick(n, 0, 1);
    ev_value v = 0, once = 0, twice = 0;
    t_ok(ev_model_create(n->ctx, &inner.m));
    t_ok(ev_model_input(inner.m, "x", EV_TYPE_FLOAT32, 4, dims, &v));
    v = layer(&inner, v, pick(n, 2, 6), 3, 1);
    v = layer(&inner, v, same ? pick(n, 2, 6) : p.c, 3, 1);
    t_ok(ev_model_output(inner.m, "y", v));
    ev_value before = pick(n, 0, 1) ? layer(n, x, p.c, 3, 1) : x;
    t_ok(ev_model_call(n->m, inner.m, &x, 1, 0, &once, 1));
    t_ok(ev_model_call(n->m, inner.m, same ? &before : &once, 1, 0, &twice, 1));
    ev_model_destroy(inner.m);
    const ev_value both[2] = {once, twice};
    return pick(n, 0, 1) ? add(n, once, twice) : join(n, both, 2);
}

static ev_value gate(net *n, ev_value x)
{
    int32_t filters = pick(n, 2, 8);
    ev_value a = conv(n, x, filters, 3, 1, 1), b = conv(n, x, filters, 1, 1, 1), y = EV_NO_VALUE;
    t_ok(ev_model_activation(n->m, b, EV_ACTIVATION_SIGMOID, 0, 0, &b));
    t_ok(ev_model_mul(n->m, a, b, &y));
    return y;
}

/* Numbers of one's own, trained or not, one to a channel. */
static ev_value scale(net *n, ev_value x)
{
    int32_t c = size_of(n, x).c;
    const int64_t dims[4] = {1, c, 1, 1};
    ev_tensor *t = NULL;
    ev_value k = EV_NO_VALUE, y = EV_NO_VALUE;
    if (pick(n, 0, 1)) {
        t_ok(ev_model_mul(n->m, x, own_weight(n, 3, c, 1), &y));
        return y;
    }
    t_ok(ev_tensor_create(n->ctx, EV_TYPE_FLOAT32, 4, dims, &t));
    t_fill(ev_tensor_data(t), (size_t)c, (uint64_t)pick(n, 1, 1000));
    t_ok(ev_model_constant(n->m, "constant", t, &k));
    ev_tensor_destroy(t);
    t_ok(ev_model_add(n->m, k, x, &y));
    return y;
}

/* Channels last, a matrix, and back. */
static ev_value channels_last(net *n, ev_value x)
{
    const int32_t to[4] = {0, 2, 3, 1}, back[4] = {0, 3, 1, 2};
    int32_t c = size_of(n, x).c;
    t_ok(ev_model_transpose(n->m, x, 4, to, &x));
    t_ok(ev_model_matmul(n->m, x, own_weight(n, 2, c, pick(n, 2, 8)), &x));
    x = activate(n, x);
    t_ok(ev_model_transpose(n->m, x, 4, back, &x));
    return x;
}

static ev_value with_itself(net *n, ev_value x)
{
    ev_value two[2] = {x, x}, y = activate(n, x);
    two[1] = pick(n, 0, 1) ? x : y;
    return pick(n, 0, 1) ? add(n, x, y) : join(n, two, 2);
}

static ev_value stage(net *n, ev_value x)
{
    if (size_of(n, x).c > CHANNELS_MAX)
        return layer(n, x, 6, 1, 1);
    switch (pick(n, 0, RANDOM_NET_KINDS - 1)) {
    case 0:
    case 1: return layer(n, x, pick(n, 1, 10), 1 + 2 * pick(n, 0, 1), 1);
    case 2:
    case 3: return residual(n, x);
    case 4: return inverted(n, x);
    case 5: return branches(n, x);
    case 6:
    case 7: return cut(n, x);
    case 8: return grouped(n, x);
    case 9: return shuffle(n, x);
    case 10: return transposed(n, x);
    case 11:
    case 12: return place(n, x);
    case 13: return shared(n, x);
    case 14: return gate(n, x);
    case 15: return scale(n, x);
    case 16: return channels_last(n, x);
    default: return pick(n, 0, 1) ? with_itself(n, x) : squeeze_excite(n, x);
    }
}

/* ---- heads ----------------------------------------------------------------------------------- */

static void head(net *n, ev_value x, const char *name)
{
    picture p = size_of(n, x);
    const int64_t flat[2] = {pick(n, 0, 1) ? 0 : -1, (int64_t)p.c * p.h * p.w}, open[2] = {0, -1};
    switch (pick(n, 0, 4)) {
    case 0:
        t_ok(ev_model_global_average_pool(n->m, x, &x));
        t_ok(ev_model_flatten(n->m, x, 1, &x));
        break;
    case 1:
        t_ok(ev_model_global_max_pool(n->m, x, &x));
        t_ok(ev_model_flatten(n->m, x, -3, &x));
        break;
    case 2: t_ok(ev_model_flatten(n->m, x, 1, &x)); break;
    case 3: t_ok(ev_model_reshape(n->m, x, 2, flat, &x)); break;
    default: t_ok(ev_model_reshape(n->m, x, 2, open, &x)); break;
    }
    for (int32_t i = pick(n, 0, 2); i > 0; i--) {
        t_ok(ev_model_dense(n->m, x, pick(n, 2, 12), NULL, &x));
        if (pick(n, 0, 2) == 0)
            t_ok(ev_model_batch_norm(n->m, x, NULL, &x));
        x = activate(n, x);
        if (pick(n, 0, 2) == 0)
            t_ok(ev_model_dropout(n->m, x, 0.5f, &x));
    }
    t_ok(ev_model_dense(n->m, x, pick(n, 1, 7), NULL, &x));
    t_ok(ev_model_output(n->m, name, x));
}

/* ---- weights --------------------------------------------------------------------------------- */

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);
    return n >= k && strcmp(name + n - k, end) == 0;
}

/* Running numbers and biases start alike: mix them. */
static void mix(ev_model *m, uint64_t seed)
{
    for (int32_t i = 0; i < ev_model_n_weights(m); i++) {
        const char *name = ev_model_weight_name(m, i);
        bool near_one = ends_in(name, "scale") || ends_in(name, "variance");
        if (!near_one && !ends_in(name, "shift") && !ends_in(name, "mean") &&
            !ends_in(name, "bias") && !ends_in(name, "slope"))
            continue;
        ev_tensor *t = NULL;
        t_ok(ev_model_weight(m, name, &t));
        float *w = ev_tensor_data(t);
        size_t n = (size_t)ev_tensor_count(t);
        t_fill(w, n, seed + (uint64_t)i);
        for (size_t k = 0; k < n; k++)
            w[k] = near_one ? 1 + w[k] / 2 : w[k] / 3;
        ev_tensor_destroy(t);
    }
    t_ok(ev_model_touch(m));
}

static void start(net *n, ev_context *ctx, uint64_t seed, int64_t dims[4], ev_value *x)
{
    *n = (net){.ctx = ctx, .state = seed * 0x9E3779B97F4A7C15u + 1};
    const int64_t sizes[4] = {1, pick(n, 1, 4), pick(n, 6, 12), pick(n, 6, 12)};
    memcpy(dims, sizes, sizeof(sizes));
    const int64_t any[4] = {-1, dims[1], dims[2], dims[3]};
    t_ok(ev_model_create(ctx, &n->m));
    t_ok(ev_model_input(n->m, "image", EV_TYPE_FLOAT32, 4, any, x));
}

static ev_model *finish(net *n, uint64_t seed)
{
    t_ok(ev_model_init(n->m, seed + 1));
    mix(n->m, seed + 100);
    return n->m;
}

ev_model *random_net(ev_context *ctx, uint64_t seed, int64_t dims[4])
{
    net n;
    ev_value x = EV_NO_VALUE, early = EV_NO_VALUE;
    start(&n, ctx, seed, dims, &x);
    x = layer(&n, x, pick(&n, 2, 10), 3, 1);
    int32_t depth = pick(&n, 1, 5), at = pick(&n, 0, 8);
    for (int32_t i = 0; i < depth; i++) {
        x = stage(&n, x);
        early = i == at ? x : early;
    }
    head(&n, x, "numbers");
    if (early != EV_NO_VALUE)
        head(&n, early, "early");
    return finish(&n, seed);
}

ev_model *random_sequence(ev_context *ctx, uint64_t seed, int64_t dims[4])
{
    net n;
    ev_value x = EV_NO_VALUE;
    start(&n, ctx, seed, dims, &x);
    for (int32_t i = pick(&n, 2, 4); i > 0; i--) {
        x = layer(&n, x, pick(&n, 3, 8), 3, 1);
        if (size_of(&n, x).h > 5 && size_of(&n, x).w > 5 && pick(&n, 0, 1))
            t_ok(ev_model_max_pool2d(n.m, x, 2, NULL, &x));
    }
    head(&n, x, "numbers");
    return finish(&n, seed);
}
