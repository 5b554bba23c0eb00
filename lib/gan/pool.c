/* SPDX-License-Identifier: MIT */
/* Histories of made pictures (Shrivastava et al. 2017; Zhu et al. 2017): the first ones fill it;
 * then for every other picture an older one is given out, and the new one takes its place. */
#include "gan/gan.h"

#include <string.h>

enum { RANK = 4 };

static uint64_t tensor_bytes(int64_t elements)
{
    return evi_block_bytes(sizeof(ev_tensor)) +
           evi_block_bytes((uint64_t)elements * sizeof(evi_real));
}

uint64_t evi_gan_pool_bytes(int32_t capacity, int32_t batch, const int64_t picture[3])
{
    int64_t n = picture[0] * picture[1] * picture[2];
    return evi_block_bytes((uint64_t)capacity * (uint64_t)n * sizeof(evi_real)) +
           evi_block_bytes((uint64_t)batch * sizeof(int32_t)) + tensor_bytes(batch * n);
}

ev_status evi_gan_pool_start(ev_context *ctx, evi_gan_pool *p, int32_t capacity, int32_t batch,
                             const int64_t picture[3], evi_rng chance)
{
    const int64_t dims[RANK] = {batch, picture[0], picture[1], picture[2]};
    *p = (evi_gan_pool){.capacity = capacity,
                        .chance = chance,
                        .picture_elements = picture[0] * picture[1] * picture[2]};
    EVI_TRY(evi_malloc(ctx, (uint64_t)capacity * (uint64_t)p->picture_elements, sizeof(evi_real),
                       &p->pictures));
    EVI_TRY(evi_calloc(ctx, (uint64_t)batch, sizeof(int32_t), &p->slots));
    return ev_tensor_create(ctx, EV_TYPE_FLOAT32, RANK, dims, &p->given);
}

void evi_gan_pool_end(evi_gan_pool *p)
{
    evi_free(p->pictures);
    evi_free(p->slots);
    ev_tensor_destroy(p->given);
    *p = (evi_gan_pool){0};
}

/* The picture that lies in this slot when picture i comes: perhaps one of the same batch. */
static const evi_real *older(const evi_gan_pool *p, const evi_real *made, int64_t i)
{
    for (int64_t k = i - 1; k >= 0; k--)
        if (p->slots[k] == p->slots[i])
            return made + k * p->picture_elements;
    return p->pictures + p->slots[i] * p->picture_elements;
}

void evi_gan_pool_choose(evi_gan_pool *p, const ev_tensor *made, int64_t total_steps)
{
    const int64_t batch = made->shape.dim[0], n = p->picture_elements;
    const evi_rng coins = evi_rng_derive(p->chance, (uint64_t)total_steps);
    const evi_real *from = made->data;
    evi_real *to = p->given->data;
    int32_t count = p->count;
    for (int64_t i = 0; i < batch; i++) {
        const evi_real *give = from + i * n;
        uint32_t w[4];
        evi_rng_block(coins, (uint64_t)i, w);
        p->slots[i] = -1;
        if (count < p->capacity) {
            p->slots[i] = count++;
        } else if (p->capacity > 0 && w[0] >> 31 != 0) {
            p->slots[i] = (int32_t)((uint64_t)w[1] * (uint32_t)p->capacity >> 32);
            give = older(p, from, i);
        }
        memcpy(to + i * n, give, (size_t)n * sizeof(evi_real));
    }
    p->given->shape.dim[0] = batch;
    p->given->n_bytes = (uint64_t)(batch * n) * sizeof(evi_real);
}

void evi_gan_pool_keep(evi_gan_pool *p, const ev_tensor *made)
{
    const int64_t batch = made->shape.dim[0], n = p->picture_elements;
    const evi_real *from = made->data;
    for (int64_t i = 0; i < batch; i++) {
        if (p->slots[i] < 0)
            continue;
        memcpy(p->pictures + p->slots[i] * n, from + i * n, (size_t)n * sizeof(evi_real));
        p->count = EVI_MAX(p->count, p->slots[i] + 1);
    }
}
