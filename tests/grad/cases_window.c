/* SPDX-License-Identifier: MIT */
#include "grad.h"

#define DIMS(...) ((int64_t[]){__VA_ARGS__})

/* Kernel, stride, dilation and padding at random, such that something is left of h x w. */
static void draw_window(evi_attrs *a, uint64_t *r, bool flat)
{
    for (int32_t i = 0; i < 2; i++) {
        bool fixed = flat && i == 0;
        a->kernel[i] = fixed ? 1 : pick(r, 1, 4);
        a->stride[i] = fixed ? 1 : pick(r, 1, 3);
        a->dilation[i] = fixed ? 1 : pick(r, 1, 2);
        a->pad[i] = fixed ? 0 : pick(r, 0, 2);
        a->pad[i + 2] = fixed ? 0 : pick(r, 0, 2);
    }
}

static int64_t room(const evi_attrs *a, int32_t axis)
{
    return (int64_t)a->dilation[axis] * (a->kernel[axis] - 1) + 1;
}

static void draw_conv2d(one_step *o, uint64_t *r, int32_t index)
{
    bool flat = index % 6 == 5, depthwise = index % 4 == 3;
    int64_t n = pick(r, 1, 3), per_in = pick(r, 1, 3), per_out = pick(r, 1, 3);
    draw_window(&o->a, r, flat);
    o->a.groups = index % 4 < 2 ? 1 : pick(r, 2, 4);
    if (depthwise)
        per_in = 1;
    if (index % 5 == 4)
        o->a.auto_pad = pick(r, EVI_AUTO_PAD_SAME_UPPER, EVI_AUTO_PAD_VALID);
    int64_t ci = per_in * o->a.groups, co = per_out * o->a.groups;
    int64_t h = room(&o->a, 0) + pick(r, 0, 4), w = room(&o->a, 1) + pick(r, 0, 6);
    int64_t kh = o->a.kernel[0], kw = o->a.kernel[1];
    if (index % 7 == 0) /* found from the weights */
        o->a.kernel[0] = o->a.kernel[1] = 0;
    if (flat) {
        one_real(o, 3, DIMS(n, ci, w));
        one_real(o, 3, DIMS(co, per_in, kw));
    } else {
        one_real(o, 4, DIMS(n, ci, h, w));
        one_real(o, 4, DIMS(co, per_in, kh, kw));
    }
    if (index % 3 != 0)
        one_real(o, 1, &co);
}

static void draw_conv_transpose2d(one_step *o, uint64_t *r, int32_t index)
{
    bool flat = index % 6 == 5;
    int64_t n = pick(r, 1, 3), per_in = pick(r, 1, 3), per_out = pick(r, 1, 3);
    draw_window(&o->a, r, flat);
    o->a.groups = index % 4 < 2 ? 1 : pick(r, 2, 3);
    if (index % 8 == 3)
        per_in = per_out = 1;
    int64_t h = pick(r, 2, 5), w = pick(r, 2, 6);
    for (int32_t i = 0; i < 2; i++) {
        int32_t most = EVI_MAX(o->a.stride[i], o->a.dilation[i]) - 1;
        o->a.output_pad[i] = flat && i == 0 ? 0 : pick(r, 0, most);
        while (room(&o->a, i) < o->a.pad[i] + o->a.pad[i + 2])
            o->a.pad[i] = o->a.pad[i + 2] = 0;
    }
    if (index % 5 == 4)
        o->a.auto_pad = pick(r, EVI_AUTO_PAD_SAME_UPPER, EVI_AUTO_PAD_VALID);
    if (index % 7 == 6) {
        o->a.list = (evi_list){.n = flat ? 1 : 2, .set = 1};
        o->a.list.v[0] = flat ? w * o->a.stride[1] : h * o->a.stride[0];
        o->a.list.v[1] = w * o->a.stride[1] + 1;
    }
    int64_t ci = per_in * o->a.groups, co = per_out * o->a.groups;
    if (flat) {
        one_real(o, 3, DIMS(n, ci, w));
        one_real(o, 3, DIMS(ci, per_out, o->a.kernel[1]));
    } else {
        one_real(o, 4, DIMS(n, ci, h, w));
        one_real(o, 4, DIMS(ci, per_out, o->a.kernel[0], o->a.kernel[1]));
    }
    if (index % 3 != 0)
        one_real(o, 1, &co);
}

static void draw_pool(one_step *o, uint64_t *r, int32_t index)
{
    bool flat = index % 6 == 5;
    draw_window(&o->a, r, flat);
    if (index % 4 == 0) { /* the fast case, with and without a row and a column left over */
        for (int32_t i = 0; i < 4; i++)
            o->a.pad[i] = 0;
        o->a.kernel[0] = o->a.kernel[1] = o->a.stride[0] = o->a.stride[1] = 2;
        o->a.dilation[0] = o->a.dilation[1] = 1;
    }
    o->a.ceil_mode = index % 3 == 0;
    if (index % 5 == 4)
        o->a.auto_pad = pick(r, EVI_AUTO_PAD_SAME_UPPER, EVI_AUTO_PAD_VALID);
    o->a.count_include_pad = index % 2;
    int64_t h = room(&o->a, 0) + pick(r, 0, 7), w = room(&o->a, 1) + pick(r, 0, 9);
    if (index == 11) { /* more than 255 taps */
        o->a.dilation[1] = 1;
        o->a.kernel[1] = 260;
        w = 300;
    }
    if (flat)
        one_real(o, 3, DIMS(pick(r, 1, 2), pick(r, 1, 4), w));
    else
        one_real(o, 4, DIMS(pick(r, 1, 2), pick(r, 1, 4), h, w));
}

static void draw_max_pool2d(one_step *o, uint64_t *r, int32_t index)
{
    draw_pool(o, r, index);
    o->a.storage_order = index % 2;
    o->n_out = index % 8 == 7 ? 2 : 1;
}

static void draw_global(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[5] = {pick(r, 1, 3), pick(r, 1, 5), pick(r, 1, 6), pick(r, 1, 6), pick(r, 1, 3)};
    one_real(o, 3 + index % 3, dims);
}

const grad_case grad_window_cases[] = {{"conv2d", GRAD_BATCH, draw_conv2d},
                                       {"conv_transpose2d", GRAD_BATCH, draw_conv_transpose2d},
                                       {"max_pool2d", GRAD_KINKS | GRAD_BATCH, draw_max_pool2d},
                                       {"average_pool2d", GRAD_BATCH, draw_pool},
                                       {"global_max_pool", GRAD_KINKS | GRAD_BATCH, draw_global},
                                       {"global_average_pool", GRAD_BATCH, draw_global},
                                       {0}};
