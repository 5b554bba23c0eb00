/* SPDX-License-Identifier: MIT */
#include "grad.h"

static void class_weights(one_step *o, int32_t index, int64_t classes)
{
    if (index % 2 == 0)
        return;
    int32_t i = one_real(o, 1, &classes);
    o->lo[i] = 0.3;
    o->hi[i] = 2;
    o->no_grad |= 1u << i;
}

static void draw_cross_entropy(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4] = {pick(r, 1, 6), pick(r, 2, 7), pick(r, 1, 4), pick(r, 1, 3)};
    int64_t labels[3] = {dims[0], dims[2], dims[3]};
    int32_t rank = index % 3 == 2 ? 4 : 2 + index % 3;
    one_real(o, rank, dims);
    int32_t i = one_input(o, index % 2 ? EV_TYPE_INT64 : EV_TYPE_INT32, rank - 1, labels);
    o->hi[i] = (double)dims[1];
    o->lo[i] = 0;
    class_weights(o, index / 2, dims[1]);
    o->a.smoothing = index % 4 == 3 ? 0.1f : 0;
    o->a.reduce = index % 6 == 4 ? EVI_REDUCE_NONE : index % 6 == 5 ? EVI_REDUCE_SUM : 0;
}

static void draw_soft_cross_entropy(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4] = {pick(r, 1, 6), pick(r, 2, 7), pick(r, 1, 4), pick(r, 1, 3)};
    int32_t rank = 2 + index % 3;
    one_real(o, rank, dims);
    int32_t i = one_real(o, rank, dims);
    o->lo[i] = 0.01;
    o->hi[i] = 1;
    class_weights(o, index / 2, dims[1]);
    o->a.smoothing = index % 4 == 3 ? 0.1f : 0;
    o->a.alpha = index % 3 == 1 ? 4 : 0;
    o->a.reduce = index % 6 == 4 ? EVI_REDUCE_NONE : index % 6 == 5 ? EVI_REDUCE_SUM : 0;
}

static void draw_pair(one_step *o, uint64_t *r, int32_t index)
{
    int64_t dims[4] = {pick(r, 1, 4), pick(r, 1, 5), pick(r, 1, 6), pick(r, 1, 7)};
    int32_t rank = index % 5;
    if (index % 12 == 9) { /* more than one piece of the sum */
        rank = 2;
        dims[0] = 90;
        dims[1] = 100;
    }
    one_real(o, rank, dims);
    if (index % 2)
        one_real(o, rank, dims);
    else if (index % 4 == 0)
        one_absent(o);
    o->a.alpha = index % 4 == 0 ? 1 : 0;
    o->a.reduce = index % 6 == 4 ? EVI_REDUCE_NONE : index % 6 == 5 ? EVI_REDUCE_SUM : 0;
}

const grad_case grad_loss_cases[] = {{"cross_entropy", 0, draw_cross_entropy},
                                     {"soft_cross_entropy", 0, draw_soft_cross_entropy},
                                     {"mse_loss", 0, draw_pair},
                                     {"l1_loss", GRAD_KINKS, draw_pair},
                                     {"bce_logits_loss", 0, draw_pair},
                                     {0}};
