/* SPDX-License-Identifier: MIT */
#include "grad.h"

static void draw_shape(uint64_t *r, int32_t rank, int64_t *dims)
{
    for (int32_t d = 0; d < rank; d++)
        dims[d] = pick(r, 1, 5);
}

static void draw_unary(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4];
    draw_shape(r, index % 5 > 4 ? 4 : index % 5, dims);
    one_real(o, index % 5, dims);
    o->a.alpha = 0.2f;
    o->a.beta = 0.5f;
}

static void draw_leaky_relu(one_step *o, uint64_t *r, int32_t index)
{
    draw_unary(o, r, index);
    o->a.alpha = index % 3 == 2 ? -0.3f : 0.01f + 0.1f * (float)(index % 4);
}

static void draw_clip(one_step *o, uint64_t *r, int32_t index)
{
    draw_unary(o, r, index);
    o->a.alpha = index % 2 ? 0 : -0.127f;
    o->a.beta = index % 3 ? 6 : 0.213f;
}

static void draw_prelu(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4] = {pick(r, 1, 3), pick(r, 1, 5), pick(r, 1, 5), pick(r, 1, 5)};
    int32_t rank = 2 + index % 3;
    one_real(o, rank, dims);
    switch (index % 4) {
    case 0: one_real(o, 1, (int64_t[]){1}); break;
    case 1:
        for (int32_t d = 0; d < rank; d++)
            dims[d] = d == 1 ? dims[d] : 1;
        one_real(o, rank - 1, dims + 1);
        break;
    case 2: one_real(o, rank, dims); break;
    default:
        o->a.opset = 6;
        one_real(o, 1, dims + 1);
        break;
    }
    o->lo[1] = 0.1;
    o->hi[1] = 0.9;
}

static void draw_binary(one_step *o, uint64_t *r, int32_t index)
{
    int64_t a[4], b[4];
    int32_t rank = 1 + index % 4, from = 0;
    draw_shape(r, rank, a);
    for (int32_t d = 0; d < rank; d++) {
        b[d] = a[d];
        if (index % 3 == 1 && pick(r, 0, 1))
            b[d] = 1;
        if (index % 3 == 2 && pick(r, 0, 1))
            *(pick(r, 0, 1) ? &a[d] : &b[d]) = 1;
    }
    if (index % 6 == 4)
        from = pick(r, 0, rank);
    one_real(o, rank, a);
    one_real(o, rank - from, b + from);
}

static void draw_div(one_step *o, uint64_t *r, int32_t index)
{
    draw_binary(o, r, index);
    o->lo[1] = 0.5;
    o->hi[1] = 2;
}

/* For pow, and functions that want x > 0. */
static void draw_positive_binary(one_step *o, uint64_t *r, int32_t index)
{
    draw_binary(o, r, index);
    o->lo[0] = 0.4;
    o->hi[0] = 2;
}

static void draw_positive(one_step *o, uint64_t *r, int32_t index)
{
    draw_unary(o, r, index);
    o->lo[0] = 0.4;
    o->hi[0] = 2;
}

static void draw_elu(one_step *o, uint64_t *r, int32_t index)
{
    draw_unary(o, r, index);
    o->a.alpha = 1.3f;
    o->a.beta = 1.05f;
    o->a.flag = index % 2;
}

static void draw_many(one_step *o, uint64_t *r, int32_t index)
{
    int64_t a[4], b[4] = {0};
    int32_t rank = 1 + index % 3;
    draw_shape(r, rank, a);
    for (int32_t i = 0; i < 1 + index % 4; i++) {
        for (int32_t d = 0; d < rank; d++)
            b[d] = pick(r, 0, 3) ? a[d] : 1;
        one_real(o, rank, b);
    }
}

static void draw_where(one_step *o, uint64_t *r, int32_t index)
{
    int64_t a[4], b[4], c[4];
    int32_t rank = 1 + index % 3;
    draw_shape(r, rank, a);
    for (int32_t d = 0; d < rank; d++) {
        b[d] = pick(r, 0, 3) ? a[d] : 1;
        c[d] = pick(r, 0, 3) ? a[d] : 1;
    }
    one_input(o, EV_TYPE_BOOL, rank, a);
    one_real(o, rank, b);
    one_real(o, rank, c);
}

const grad_case grad_element_cases[] = {{"relu", GRAD_KINKS, draw_unary},
                                        {"leaky_relu", GRAD_KINKS, draw_leaky_relu},
                                        {"clip", GRAD_KINKS, draw_clip},
                                        {"sigmoid", 0, draw_unary},
                                        {"tanh", 0, draw_unary},
                                        {"hard_swish", GRAD_KINKS, draw_unary},
                                        {"hard_sigmoid", GRAD_KINKS, draw_unary},
                                        {"prelu", GRAD_KINKS, draw_prelu},
                                        {"add", 0, draw_binary},
                                        {"sub", 0, draw_binary},
                                        {"mul", 0, draw_binary},
                                        {"div", 0, draw_div},
                                        {"pow", 0, draw_positive_binary},
                                        {"sqrt", 0, draw_positive},
                                        {"exp", 0, draw_unary},
                                        {"log", 0, draw_positive},
                                        {"neg", 0, draw_unary},
                                        {"abs", GRAD_KINKS, draw_unary},
                                        {"reciprocal", 0, draw_positive},
                                        {"erf", 0, draw_unary},
                                        {"gelu", 0, draw_elu},
                                        {"elu", GRAD_KINKS, draw_elu},
                                        {"selu", GRAD_KINKS, draw_elu},
                                        {"softplus", 0, draw_unary},
                                        {"softsign", GRAD_KINKS, draw_unary},
                                        {"sin", 0, draw_unary},
                                        {"cos", 0, draw_unary},
                                        {"max", GRAD_KINKS, draw_many},
                                        {"min", GRAD_KINKS, draw_many},
                                        {"sum_of", 0, draw_many},
                                        {"mean_of", 0, draw_many},
                                        {"where", 0, draw_where},
                                        {0}};
