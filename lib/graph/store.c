/* SPDX-License-Identifier: MIT */
/* The weights of one model: one flat vector, so that optimiser, saving and checking are loops over
 * numbers.  Trainable weights come first and running statistics last, so that the gradient vector
 * is as long as the first part alone. */
#include "graph/graph.h"
#include <math.h>
#include <string.h>

#define GRAIN 16 /* elements: each weight tensor starts on a cache line */

ev_status evi_store_create(ev_context *ctx, evi_store **out)
{
    EVI_TRY(evi_calloc(ctx, 1, sizeof(**out), out));
    atomic_init(&(*out)->refs, 1);
    atomic_init(&(*out)->version, 1);
    (*out)->ctx = ctx; /* the model that owns the store holds the context */
    return EV_OK;
}

evi_store *evi_store_ref(evi_store *store)
{
    atomic_fetch_add(&store->refs, 1);
    return store;
}

void evi_store_release(evi_store *store)
{
    if (store == NULL || atomic_fetch_sub(&store->refs, 1) != 1)
        return;
    for (int32_t i = 0; i < store->n_params; i++)
        evi_free(store->params[i].name);
    evi_free(store->params);
    evi_free(store->weights);
    evi_free(store);
}

static ev_status check_new_param(const evi_store *store, const evi_param *param)
{
    if (store->weights != NULL)
        return evi_fail(EV_ERR_STATE,
                        "weight '%s' cannot be added: the model has its weights already",
                        param->name);
    if (evi_store_find(store, param->name) >= 0)
        return evi_fail(EV_ERR_ARGUMENT, "there is a weight named '%s' already", param->name);
    return evi_shape_check(&param->shape, param->name);
}

ev_status evi_store_add(evi_store *store, const evi_param *param, int32_t *index_out)
{
    *index_out = -1;
    EVI_TRY(check_new_param(store, param));
    if (store->n_params == store->capacity) {
        int32_t more = store->capacity ? 2 * store->capacity : 16;
        EVI_TRY(evi_realloc(store->ctx, (uint64_t)more, sizeof(evi_param), &store->params));
        store->capacity = more;
    }
    evi_param *p = &store->params[store->n_params];
    char *name = NULL;
    EVI_TRY(evi_strdup(store->ctx, param->name, &name));
    *p = *param;
    p->name = name;
    p->count = evi_shape_count(&param->shape);
    *index_out = store->n_params++;
    return EV_OK;
}

static int64_t lay_out(evi_store *store, int32_t trainable, int64_t at)
{
    for (int32_t i = 0; i < store->n_params; i++) {
        evi_param *p = &store->params[i];
        if (p->trainable != trainable)
            continue;
        p->offset = at;
        at += (int64_t)evi_round_up((uint64_t)p->count, GRAIN);
    }
    return at;
}

ev_status evi_store_allocate(evi_store *store)
{
    if (store->weights != NULL)
        return EV_OK;
    store->n_trainable = lay_out(store, 1, 0);
    store->n_total = lay_out(store, 0, store->n_trainable);
    return evi_calloc(store->ctx, (uint64_t)EVI_MAX(store->n_total, 1), sizeof(evi_real),
                      &store->weights);
}

static void fill_normal(evi_real *w, int64_t n, double deviation, evi_rng rng)
{
    for (int64_t i = 0; i < n; i++)
        w[i] = (evi_real)(float)(deviation * evi_rng_normal(rng, (uint64_t)i));
}

static void fill_uniform(evi_real *w, int64_t n, double bound, evi_rng rng)
{
    for (int64_t i = 0; i < n; i++)
        w[i] = (evi_real)(float)(bound * (2.0 * evi_rng_uniform(rng, (uint64_t)i) - 1.0));
}

static void fill(evi_real *w, const evi_param *p, evi_rng rng)
{
    double fan_in = (double)EVI_MAX(p->fan_in, 1), fan_out = (double)EVI_MAX(p->fan_out, 1);
    switch (p->init) {
    case EV_INIT_GLOROT: fill_uniform(w, p->count, sqrt(6.0 / (fan_in + fan_out)), rng); break;
    case EV_INIT_NORMAL: fill_normal(w, p->count, p->init_value, rng); break;
    case EV_INIT_UNIFORM: fill_uniform(w, p->count, sqrt(1.0 / fan_in), rng); break;
    case EV_INIT_CONSTANT:
        for (int64_t i = 0; i < p->count; i++)
            w[i] = (evi_real)p->init_value;
        break;
    default: fill_normal(w, p->count, sqrt(2.0 / fan_in), rng); break;
    }
}

ev_status evi_store_init(evi_store *store, uint64_t seed)
{
    EVI_TRY(evi_store_allocate(store));
    for (int32_t i = 0; i < store->n_params; i++) {
        evi_rng rng = {seed, 0x77656967687473u}; /* a stream for weights alone */
        fill(evi_store_data(store, i), &store->params[i], evi_rng_derive(rng, (uint64_t)i));
    }
    evi_store_touch(store);
    return EV_OK;
}

evi_real *evi_store_data(const evi_store *store, int32_t param)
{
    return store->weights == NULL ? NULL : store->weights + store->params[param].offset;
}

int32_t evi_store_find(const evi_store *store, const char *name)
{
    for (int32_t i = 0; i < store->n_params; i++)
        if (strcmp(store->params[i].name, name) == 0)
            return i;
    return -1;
}

void evi_store_touch(evi_store *store)
{
    atomic_fetch_add(&store->version, 1);
}
