/* SPDX-License-Identifier: MIT */
#include "grad.h"

static void positive(one_step *o, int32_t input, double lo, double hi)
{
    o->lo[input] = lo;
    o->hi[input] = hi;
}

static void draw_batch_norm(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[5] = {pick(r, 2, 4), pick(r, 1, 5), pick(r, 2, 5), pick(r, 1, 6), pick(r, 1, 3)};
    int64_t c = dims[1];
    int32_t rank = 2 + index % 4;
    if (rank == 2)
        dims[0] += 2;
    one_real(o, rank, dims);
    for (int32_t i = 0; i < 4; i++)
        one_real(o, 1, &c);
    positive(o, 1, 0.5, 1.5);
    positive(o, 4, 0.5, 2);
    o->a.epsilon = index % 2 ? 1e-3f : 1e-5f;
}

static void draw_instance_norm(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[5] = {pick(r, 1, 3), pick(r, 1, 4), pick(r, 3, 6), pick(r, 1, 6), pick(r, 1, 3)};
    int64_t c = dims[1];
    one_real(o, 3 + index % 3, dims);
    if (index % 2)
        one_real(o, 1, &c);
    if (index % 4 == 3)
        one_real(o, 1, &c);
    o->a.epsilon = index % 3 ? 1e-3f : 1e-5f;
}

static void draw_layer_norm(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4] = {pick(r, 1, 3), pick(r, 1, 4), pick(r, 2, 5), pick(r, 3, 7)};
    int32_t rank = 2 + index % 3, axis = pick(r, index % 2, rank - 1);
    dims[rank - 1] += 2;
    one_real(o, rank, dims);
    if (index % 4)
        one_real(o, rank - axis, dims + axis);
    if (index % 4 > 1)
        one_real(o, rank - axis, dims + axis);
    o->a.axis = index % 2 ? axis - rank : axis;
    o->n_out = 1 + index % 3;
}

static void draw_lrn(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4] = {pick(r, 1, 3), pick(r, 1, 9), pick(r, 1, 5), pick(r, 1, 5)};
    one_real(o, 2 + index % 3, dims);
    o->a.kernel[0] = pick(r, 1, 5);
    o->a.alpha = 0.01f;
    o->a.beta = 0.75f;
    o->a.epsilon = 2;
}

static void draw_softmax(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4] = {pick(r, 1, 4), pick(r, 1, 9), pick(r, 1, 5), pick(r, 1, 90)};
    int32_t rank = 1 + index % 4;
    one_real(o, rank, dims);
    o->a.axis = pick(r, -rank, rank - 1);
    o->a.opset = index % 5 == 4 ? 11 : 0;
}

static void draw_dropout(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4] = {pick(r, 1, 4), pick(r, 1, 9), pick(r, 1, 5), pick(r, 1, 90)};
    one_real(o, 1 + index % 4, dims);
    o->a.rate = (float)(index % 26) * 0.04f;
    o->n_out = 1 + index % 2;
}

const grad_case grad_norm_cases[] = {{"batch_norm", GRAD_MODES | GRAD_BATCH, draw_batch_norm},
                                     {"instance_norm", GRAD_BATCH, draw_instance_norm},
                                     {"layer_norm", 0, draw_layer_norm},
                                     {"lrn", GRAD_FORWARD | GRAD_BATCH, draw_lrn},
                                     {"softmax", 0, draw_softmax},
                                     {"log_softmax", 0, draw_softmax},
                                     {"dropout", GRAD_MODES, draw_dropout},
                                     {0}};
