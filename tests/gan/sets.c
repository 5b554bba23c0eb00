/* SPDX-License-Identifier: MIT */
#include "sets.h"

static uint8_t pixel(int32_t kind, int32_t label, int32_t x, int32_t y, uint64_t *state)
{
    int32_t base = kind == 0 ? 40 : 150;
    bool inside = label == 0 ? x > y : label == 1 ? y % 4 < 2 : x % 8 < 3;
    return (uint8_t)(base + 40 * inside + t_random_int(state, 0, 40));
}

ev_dataset *tg_set(ev_context *ctx, int32_t n, int32_t size, int32_t kind)
{
    const int64_t dims[4] = {n, 3, size, size};
    uint64_t state = 77 + (uint64_t)kind;
    ev_tensor *images = NULL;
    ev_dataset *set = NULL;
    int32_t *labels = malloc((size_t)EVI_MAX(n, 1) * sizeof(int32_t));
    t_ok(ev_tensor_create(ctx, EV_TYPE_UINT8, 4, dims, &images));
    uint8_t *to = ev_tensor_data(images);
    for (int32_t i = 0; i < n; i++) {
        labels[i] = i % 3;
        for (int32_t k = 0; k < 3 * size * size; k++)
            *to++ = pixel(kind, labels[i], k % size, k / size % size, &state);
    }
    t_ok(ev_dataset_from_tensor(ctx, images, labels, 3, NULL, &set));
    ev_tensor_destroy(images);
    free(labels);
    return set;
}

void tg_fill(tg_options *t)
{
    EV_OPTIONS_INIT(&t->o);
    EV_OPTIONS_INIT(&t->g);
    EV_OPTIONS_INIT(&t->d);
    t->g.n_blocks = 1;
    t->g.base_width = 2;
    t->d.base_width = 2;
    t->d.n_layers = 1;
    t->o.generator = &t->g;
    t->o.discriminator = &t->d;
    t->o.width = t->o.height = 16;
    t->o.load_width = t->o.load_height = 20;
    t->o.pool_size = 3;
    t->o.epochs = 3;
    t->o.learning_rate = 1e-3f;
    t->o.loader_threads = -1;
}

uint32_t tg_weights(ev_cyclegan *gan)
{
    uint32_t crc = 0;
    for (int32_t direction = 0; direction < 2; direction++) {
        const ev_model *both[2] = {gan->nets.generators[direction],
                                   gan->nets.discriminators[direction]};
        for (int32_t i = 0; i < 2; i++)
            crc = evi_crc32c(crc, both[i]->store->weights,
                             (uint64_t)both[i]->store->n_total * sizeof(evi_real));
    }
    return crc;
}
