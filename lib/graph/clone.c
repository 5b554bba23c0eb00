/* SPDX-License-Identifier: MIT */
/* Copies of models. */
#include "graph/graph.h"
#include <string.h>

/* Weights that lie in a file stay there for the copy too: it will own them when it changes them. */
static ev_status share_file(const evi_store *from, evi_store *to)
{
    const void **at = NULL;
    EVI_TRY(evi_calloc(to->ctx, (uint64_t)from->n_params, sizeof(void *), &at));
    for (int32_t i = 0; i < from->n_params; i++)
        at[i] = evi_mapping_holds(from->map, from->params[i].data) ? from->params[i].data : NULL;
    ev_status status = evi_store_adopt(to, from->map, at);
    for (int32_t i = 0; i < from->n_params && status == EV_OK; i++)
        if (at[i] == NULL && from->params[i].count > 0)
            memcpy(to->params[i].data, from->params[i].data,
                   (size_t)from->params[i].count * sizeof(evi_real));
    evi_free(at);
    return status;
}

static ev_status copy_store(const evi_store *from, evi_store *to)
{
    for (int32_t i = 0; i < from->n_params; i++) {
        int32_t index;
        EVI_TRY(evi_store_add(to, &from->params[i], &index));
    }
    if (!from->ready)
        return EV_OK;
    if (from->weights == NULL)
        return share_file(from, to);
    EVI_TRY(evi_store_allocate(to));
    memcpy(to->weights, from->weights, (size_t)from->n_total * sizeof(evi_real));
    return EV_OK;
}

static ev_status copy_value(ev_model *m, const evi_value *v)
{
    evi_value *to = &m->values[m->n_values++];
    *to = *v;
    to->name = NULL;
    to->constant = NULL;
    to->edge.value = NULL;
    if (v->name != NULL)
        EVI_TRY(evi_strdup(m->handle.ctx, v->name, &to->name));
    if (v->constant == NULL)
        return EV_OK;
    uint64_t bytes =
        (uint64_t)evi_shape_count(&v->edge.shape) * (uint64_t)evi_type_bytes(v->edge.type);
    EVI_TRY(evi_malloc(m->handle.ctx, bytes, 1, &to->constant));
    memcpy(to->constant, v->constant, bytes);
    to->edge.value = to->constant;
    return EV_OK;
}

static ev_status copy_node(ev_model *m, const evi_node *node)
{
    evi_node *to = &m->nodes[m->n_nodes++];
    *to = *node;
    to->in = NULL; /* the block of inputs, outputs and name */
    ev_model_ref(to->callee);
    uint64_t bytes =
        (uint64_t)(node->n_in + node->n_out) * sizeof(int32_t) + strlen(node->name) + 1;
    EVI_TRY(evi_malloc(m->handle.ctx, bytes, 1, &to->in));
    memcpy(to->in, node->in, (size_t)bytes);
    to->out = to->in + node->n_in;
    to->name = (char *)(to->out + node->n_out);
    return EV_OK;
}

static ev_status copy_ports(ev_model *m, const evi_port *from, int32_t n, evi_port **to,
                            int32_t *n_to)
{
    EVI_TRY(evi_calloc(m->handle.ctx, (uint64_t)n, sizeof(evi_port), to));
    for (; *n_to < n; (*n_to)++) {
        evi_port *p = &(*to)[*n_to];
        *p = from[*n_to];
        p->name = NULL;
        EVI_TRY(evi_strdup(m->handle.ctx, from[*n_to].name, &p->name));
    }
    return EV_OK;
}

/* A callee that several nodes call stays one model: the copies of its callers share one copy. */
static ev_status clone_callees(ev_model *m, const ev_model *from)
{
    for (int32_t i = 0; i < m->n_nodes; i++) {
        ev_model *old = from->nodes[i].callee, *copy = NULL;
        if (old == NULL)
            continue;
        for (int32_t j = 0; j < i && copy == NULL; j++)
            if (from->nodes[j].callee == old)
                copy = ev_model_ref(m->nodes[j].callee);
        if (copy == NULL)
            EVI_TRY(ev_model_clone(old, &copy));
        ev_model_destroy(m->nodes[i].callee);
        m->nodes[i].callee = copy;
    }
    return EV_OK;
}

static ev_status copy_graph(ev_model *m, const ev_model *from)
{
    ev_context *ctx = m->handle.ctx;
    EVI_TRY(evi_calloc(ctx, (uint64_t)from->n_values, sizeof(evi_value), &m->values));
    m->cap_values = from->n_values;
    for (int32_t i = 0; i < from->n_values; i++)
        EVI_TRY(copy_value(m, &from->values[i]));
    EVI_TRY(evi_calloc(ctx, (uint64_t)from->n_nodes, sizeof(evi_node), &m->nodes));
    m->cap_nodes = from->n_nodes;
    for (int32_t i = 0; i < from->n_nodes; i++)
        EVI_TRY(copy_node(m, &from->nodes[i]));
    m->cap_inputs = from->n_inputs;
    m->cap_outputs = from->n_outputs;
    EVI_TRY(copy_ports(m, from->inputs, from->n_inputs, &m->inputs, &m->n_inputs));
    EVI_TRY(copy_ports(m, from->outputs, from->n_outputs, &m->outputs, &m->n_outputs));
    for (int32_t i = 0; i < from->n_meta; i++)
        EVI_TRY(ev_model_set_meta(m, from->meta[i].key, from->meta[i].value));
    m->n_names = from->n_names;
    return clone_callees(m, from);
}

ev_status ev_model_clone(const ev_model *model, ev_model **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    ev_model *m = NULL;
    EVI_TRY(ev_model_create(model->handle.ctx, &m));
    ev_status status = copy_store(model->store, m->store);
    if (status == EV_OK)
        status = copy_graph(m, model);
    if (status != EV_OK) {
        ev_model_destroy(m);
        return status;
    }
    *out = m;
    return EV_OK;
}
