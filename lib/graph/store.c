/* SPDX-License-Identifier: MIT */
/* The weights of one model: one flat vector, so that optimiser, saving and checking are loops over
 * numbers.  Trainable weights come first and running statistics last, so that the gradient vector
 * is as long as the first part alone.  A model that only runs needs no such vector: its weights may
 * lie in the file that they came from. */
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
    evi_free(store->pieces);
    evi_mapping_release(store->map);
    evi_free(store);
}

static ev_status check_new_param(const evi_store *store, const evi_param *param)
{
    if (store->ready || store->sealed)
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
    p->data = NULL;
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

static void lay_out_all(evi_store *store)
{
    store->n_trainable = lay_out(store, 1, 0);
    store->n_total = lay_out(store, 0, store->n_trainable);
}

static ev_status new_vector(evi_store *store, evi_real **out)
{
    return evi_calloc(store->ctx, (uint64_t)EVI_MAX(store->n_total, 1), sizeof(evi_real), out);
}

static void use_vector(evi_store *store, evi_real *weights)
{
    store->weights = weights;
    for (int32_t i = 0; i < store->n_params; i++)
        store->params[i].data = weights + store->params[i].offset;
    store->ready = 1;
}

ev_status evi_store_allocate(evi_store *store)
{
    evi_real *weights = NULL;
    if (store->ready)
        return EV_OK;
    lay_out_all(store);
    EVI_TRY(new_vector(store, &weights));
    use_vector(store, weights);
    return EV_OK;
}

/* ---- in a file ------------------------------------------------------------------------------- */

static uint64_t piece_bytes(const evi_param *p)
{
    return evi_round_up((uint64_t)p->count * sizeof(evi_real), EVI_ALIGN);
}

ev_status evi_store_adopt(evi_store *store, evi_mapping *map, const void *const *at)
{
    uint64_t bytes = 0;
    char *pieces = NULL;
    for (int32_t i = 0; i < store->n_params; i++)
        bytes += at[i] == NULL ? piece_bytes(&store->params[i]) : 0;
    if (bytes > 0)
        EVI_TRY(evi_calloc(store->ctx, bytes, 1, &pieces));
    lay_out_all(store);
    store->pieces = (evi_real *)(void *)pieces;
    store->pieces_bytes = bytes;
    for (int32_t i = 0; i < store->n_params; i++) {
        evi_param *p = &store->params[i];
        p->data = at[i] != NULL ? (void *)(uintptr_t)at[i] : (void *)pieces;
        pieces += at[i] == NULL ? piece_bytes(p) : 0;
    }
    store->map = evi_mapping_ref(map);
    store->ready = 1;
    return EV_OK;
}

ev_status evi_store_check_open(const evi_store *store, const char *function)
{
    if (!store->sealed)
        return EV_OK;
    return evi_fail(EV_ERR_STATE,
                    "%s: the model is sealed (ev_model_seal): its weights stay as they are; a "
                    "clone may be changed",
                    function);
}

ev_status evi_store_own(evi_store *store, const char *function)
{
    evi_real *weights = NULL;
    EVI_TRY(evi_store_check_open(store, function));
    if (!store->ready || store->weights != NULL)
        return evi_store_allocate(store);
    EVI_TRY(new_vector(store, &weights));
    for (int32_t i = 0; i < store->n_params; i++) {
        const evi_param *p = &store->params[i];
        if (p->count > 0)
            memcpy(weights + p->offset, p->data, (size_t)p->count * sizeof(evi_real));
        evi_store_rest(store, i);
    }
    use_vector(store, weights);
    return EV_OK;
}

void evi_store_rest(const evi_store *store, int32_t param)
{
    const evi_param *p = &store->params[param];
    evi_mapping_rest(store->map, p->data, (uint64_t)p->count * sizeof(evi_real));
}

/* ---- starting values ------------------------------------------------------------------------- */

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

void evi_store_fill(evi_store *store, int32_t param, evi_rng rng)
{
    fill(evi_store_data(store, param), &store->params[param], rng);
}

ev_status evi_store_init(evi_store *store, uint64_t seed)
{
    EVI_TRY(evi_store_own(store, "ev_model_init"));
    for (int32_t i = 0; i < store->n_params; i++) {
        evi_rng rng = {seed, 0x77656967687473u}; /* a stream for weights alone */
        evi_store_fill(store, i, evi_rng_derive(rng, (uint64_t)i));
    }
    evi_store_touch(store);
    return EV_OK;
}

evi_real *evi_store_data(const evi_store *store, int32_t param)
{
    return store->params[param].data;
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
