/* SPDX-License-Identifier: MIT */
/* Weights as the caller sees them: start, freeze, list, count. */
#include "graph/graph.h"
#include <string.h>

static ev_status init_callees(const ev_model *m, uint64_t seed, int32_t depth)
{
    if (depth > EVI_MAX_DEPTH)
        return evi_fail(EV_ERR_ARGUMENT, "models are nested deeper than %d", EVI_MAX_DEPTH);
    for (int32_t i = 0; i < m->n_nodes; i++) {
        ev_model *callee = m->nodes[i].callee;
        if (callee == NULL)
            continue;
        if (!callee->store->ready)
            EVI_TRY(evi_store_init(callee->store, seed + 1 + (uint64_t)i));
        EVI_TRY(init_callees(callee, seed, depth + 1));
    }
    return EV_OK;
}

ev_status ev_model_init(ev_model *model, uint64_t seed)
{
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_TRY(evi_store_init(model->store, seed));
    return init_callees(model, seed, 0);
}

ev_status ev_model_freeze(ev_model *model, const char *prefix, int32_t frozen)
{
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_CHECK_POINTER(prefix);
    EVI_TRY(evi_store_check_open(model->store, __func__));
    int32_t n = 0;
    for (int32_t i = 0; i < model->store->n_params; i++) {
        evi_param *p = &model->store->params[i];
        if (strncmp(p->name, prefix, strlen(prefix)) != 0)
            continue;
        p->frozen = frozen != 0;
        n++;
    }
    if (n == 0 && prefix[0] != '\0')
        return evi_fail(EV_ERR_ARGUMENT, "ev_model_freeze: no weight starts with '%s'", prefix);
    return EV_OK;
}

int32_t ev_model_n_weights(const ev_model *model)
{
    return evi_check_handle(model, EVI_MAGIC_MODEL, __func__, "model") == EV_OK
               ? model->store->n_params
               : 0;
}

const char *ev_model_weight_name(const ev_model *model, int32_t index)
{
    if (index < 0 || index >= ev_model_n_weights(model))
        return NULL;
    return model->store->params[index].name;
}

ev_status ev_model_weight(ev_model *model, const char *name, ev_tensor **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_CHECK_POINTER(name);
    int32_t i = evi_store_find(model->store, name);
    if (i < 0)
        return evi_fail(EV_ERR_ARGUMENT, "ev_model_weight: there is no weight '%s'", name);
    if (!model->store->ready)
        return evi_fail(EV_ERR_STATE, "ev_model_weight: call ev_model_init() first");
    EVI_TRY(evi_store_own(model->store, __func__));
    const evi_param *p = &model->store->params[i];
    return ev_tensor_wrap(model->handle.ctx, EV_TYPE_FLOAT32, p->shape.rank, p->shape.dim,
                          evi_store_data(model->store, i), (uint64_t)p->count * sizeof(evi_real),
                          out);
}

ev_status ev_model_touch(ev_model *model)
{
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_TRY(evi_store_check_open(model->store, __func__));
    evi_store_touch(model->store);
    return EV_OK;
}

ev_status ev_model_seal(ev_model *model)
{
    evi_store **stores = NULL;
    int32_t n = 0;
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_TRY(evi_model_stores(model, &stores, &n));
    bool ready = true;
    for (int32_t i = 0; i < n; i++)
        ready = ready && (stores[i]->ready || stores[i]->n_params == 0);
    for (int32_t i = 0; i < n && ready; i++)
        stores[i]->sealed = 1;
    evi_free(stores);
    if (!ready)
        return evi_fail(EV_ERR_STATE, "ev_model_seal: the model has no weights yet: call "
                                      "ev_model_init()");
    return EV_OK;
}

int64_t ev_model_parameter_count(const ev_model *model)
{
    if (evi_check_handle(model, EVI_MAGIC_MODEL, __func__, "model") != EV_OK)
        return -1;
    evi_store **stores = NULL;
    int32_t n = 0;
    int64_t count = 0;
    if (evi_model_stores(model, &stores, &n) != EV_OK)
        return -1;
    for (int32_t s = 0; s < n; s++)
        for (int32_t i = 0; i < stores[s]->n_params; i++)
            if (stores[s]->params[i].trainable)
                count += stores[s]->params[i].count;
    evi_free(stores);
    return count;
}
