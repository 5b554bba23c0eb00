/* SPDX-License-Identifier: MIT */
#include "grad.h"

static int32_t draw_dims(uint64_t *r, int32_t rank, int64_t *dims)
{
    for (int32_t d = 0; d < rank; d++)
        dims[d] = pick(r, 1, 5);
    return rank;
}

static evi_list list_of(int32_t n, const int64_t *v)
{
    evi_list l = {.n = n, .set = 1};
    for (int32_t i = 0; i < n; i++)
        l.v[i] = v[i];
    return l;
}

static void draw_any(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[5];
    one_real(o, draw_dims(r, index % 5, dims), dims);
}

static void draw_flatten(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4];
    int32_t rank = draw_dims(r, 1 + index % 4, dims);
    one_real(o, rank, dims);
    o->a.axis = pick(r, -rank, rank);
}

static void draw_reshape(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4];
    draw_dims(r, 4, dims);
    one_real(o, 4, dims);
    switch (index % 4) {
    case 0: o->a.list = list_of(2, (int64_t[]){0, -1}); break;
    case 1: o->a.list = list_of(1, (int64_t[]){-1}); break;
    case 2: o->a.list = list_of(3, (int64_t[]){dims[0] * dims[1], 1, -1}); break;
    default: o->a.list = list_of(5, (int64_t[]){0, 0, 1, dims[3], dims[2]}); break;
    }
}

static void draw_squeeze(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4];
    draw_dims(r, 4, dims);
    dims[1] = dims[3] = 1;
    one_real(o, 4, dims);
    if (index % 2)
        o->a.list = list_of(1 + index % 4 / 2, (int64_t[]){-1, 1});
}

static void draw_unsqueeze(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4];
    one_real(o, draw_dims(r, 1 + index % 3, dims), dims);
    o->a.list = list_of(2, (int64_t[]){index % 2 ? -1 : 0, 1});
}

static void draw_concat(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4];
    int32_t rank = draw_dims(r, 1 + index % 4, dims), axis = pick(r, 0, rank - 1);
    for (int32_t i = 0; i < 1 + index % 5; i++) {
        dims[axis] = pick(r, 1, 4);
        one_real(o, rank, dims);
    }
    o->a.axis = index % 2 ? axis : axis - rank;
}

/* Output 0 has weights, the others no gradient at all. */
static void draw_split(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4], parts[3] = {pick(r, 1, 3), pick(r, 1, 3), pick(r, 1, 3)};
    int32_t rank = draw_dims(r, 1 + index % 4, dims), axis = pick(r, 0, rank - 1);
    o->n_out = 1 + index % 3;
    dims[axis] = 0;
    for (int32_t i = 0; i < o->n_out; i++)
        dims[axis] += parts[i];
    if (index % 4 == 0)
        dims[axis] = o->n_out * parts[0];
    else
        o->a.list = list_of(o->n_out, parts);
    one_real(o, rank, dims);
    o->a.axis = axis;
}

static void draw_transpose(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4] = {0}, perm[4];
    int32_t rank = draw_dims(r, 1 + index % 4, dims);
    one_real(o, rank, dims);
    for (int32_t d = 0; d < rank; d++)
        perm[d] = d;
    for (int32_t d = rank - 1; d > 0; d--) {
        int32_t e = pick(r, 0, d);
        int64_t kept = perm[d];
        perm[d] = perm[e];
        perm[e] = kept;
    }
    if (index % 5)
        o->a.list = list_of(rank, perm);
}

static void draw_pad(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4] = {pick(r, 1, 3), pick(r, 1, 3), pick(r, 3, 6), pick(r, 3, 6)}, pads[8] = {0};
    one_real(o, 4, dims);
    o->a.mode = index % 4;
    for (int32_t d = index % 3 == 2 ? 0 : 2; d < 4; d++) {
        int32_t most = o->a.mode == EVI_PAD_REFLECT ? (int32_t)dims[d] - 1 : 3;
        int32_t least = index % 8 > 5 && d > 1 && o->a.mode != EVI_PAD_REFLECT ? -1 : 0;
        pads[d] = pick(r, least, EVI_MIN(most, 3));
        pads[4 + d] = pick(r, least, EVI_MIN(most, 3));
        if (o->a.mode == EVI_PAD_WRAP) {
            pads[d] = EVI_MIN(pads[d], dims[d]);
            pads[4 + d] = EVI_MIN(pads[4 + d], dims[d]);
        }
    }
    o->a.list = list_of(8, pads);
    o->a.alpha = 0.5f;
}

static void draw_slice(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[3], starts[3], ends[3], steps[3];
    draw_dims(r, 3, dims);
    one_real(o, 3, dims);
    for (int32_t d = 0; d < 3; d++) {
        steps[d] = pick(r, 1, 2) * (index % 3 == 2 && d == 1 ? -1 : 1);
        starts[d] = pick(r, 0, (int32_t)dims[d] - 1);
        ends[d] = steps[d] > 0 ? pick(r, (int32_t)starts[d] + 1, 6) : -100;
    }
    o->a.list = list_of(3, starts);
    o->a.list2 = list_of(3, ends);
    if (index % 2)
        o->a.list4 = list_of(3, steps);
    else
        ends[1] = 100, o->a.list2 = list_of(3, ends);
}

static void draw_reduce(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4], axes[2];
    int32_t rank = draw_dims(r, 2 + index % 3, dims);
    one_real(o, rank, dims);
    axes[0] = pick(r, 0, rank - 1);
    axes[1] = (axes[0] + 1) % rank - rank;
    if (index % 4)
        o->a.list = list_of(1 + index % 2, axes);
    o->a.keep_dims = index % 3 != 0;
}

static void draw_blocks(one_step *o, uint64_t *r, int32_t index)
{
    o->a.flag = 1 + index % 3;
    o->a.mode = index % 2;
    int64_t b = o->a.flag;
    one_real(
        o, 4,
        (int64_t[]){pick(r, 1, 2), b * b * pick(r, 1, 3), b * pick(r, 1, 3), b * pick(r, 1, 3)});
}

static void draw_resize(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4] = {pick(r, 1, 2), pick(r, 1, 3), pick(r, 2, 6), pick(r, 2, 6)};
    one_real(o, 4, dims);
    o->a.mode = index % 3;
    o->a.coord = index % 4;
    o->a.nearest = index / 3 % 4;
    o->a.antialias = index % 5 == 4 && o->a.mode != EVI_RESIZE_NEAREST;
    o->a.cubic_a = -0.75f;
    o->a.list2 = list_of(4, (int64_t[]){dims[0], dims[1], pick(r, 1, 9), pick(r, 1, 9)});
}

static void draw_upsample(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4] = {pick(r, 1, 2), pick(r, 1, 3), pick(r, 1, 6), pick(r, 1, 6)};
    one_real(o, 4, dims);
    o->a.mode = index % 2 ? EVI_RESIZE_LINEAR : EVI_RESIZE_NEAREST;
    o->a.list = (evi_list){.n = 4, .set = 1};
    o->a.scales[0] = o->a.scales[1] = 1;
    o->a.scales[2] = (float)pick(r, 1, 3);
    o->a.scales[3] = 1.5f;
}

const grad_case grad_shape_cases[] = {{"identity", 0, draw_any},
                                      {"flatten", 0, draw_flatten},
                                      {"reshape", 0, draw_reshape},
                                      {"squeeze", 0, draw_squeeze},
                                      {"unsqueeze", 0, draw_unsqueeze},
                                      {"concat", 0, draw_concat},
                                      {"split", 0, draw_split},
                                      {"transpose", 0, draw_transpose},
                                      {"pad", 0, draw_pad},
                                      {"slice", 0, draw_slice},
                                      {"reduce_mean", 0, draw_reduce},
                                      {"reduce_sum", 0, draw_reduce},
                                      {"reduce_sum_square", 0, draw_reduce},
                                      {"reduce_l2", 0, draw_reduce},
                                      {"depth_to_space", 0, draw_blocks},
                                      {"space_to_depth", 0, draw_blocks},
                                      {"resize", 0, draw_resize},
                                      {"upsample", 0, draw_upsample},
                                      {0}};
