/* SPDX-License-Identifier: MIT */
/* How many bytes a model holds: what the other files of this folder allocate for it. */
#include "graph/graph.h"
#include <string.h>

static uint64_t text_bytes(const char *text)
{
    return text != NULL ? evi_block_bytes(strlen(text) + 1) : 0;
}

static uint64_t table_bytes(int32_t capacity, uint64_t size)
{
    return capacity > 0 ? evi_block_bytes((uint64_t)capacity * size) : 0;
}

static uint64_t ports_bytes(const evi_port *ports, int32_t n, int32_t capacity)
{
    uint64_t bytes = table_bytes(capacity, sizeof(evi_port));
    for (int32_t i = 0; i < n; i++)
        bytes += text_bytes(ports[i].name);
    return bytes;
}

static uint64_t store_bytes(const evi_store *store)
{
    uint64_t bytes =
        evi_block_bytes(sizeof(*store)) + table_bytes(store->capacity, sizeof(evi_param));
    if (store->pieces != NULL)
        bytes += evi_block_bytes(store->pieces_bytes);
    if (store->map != NULL)
        bytes += evi_block_bytes(sizeof(*store->map));
    if (store->weights != NULL)
        bytes += evi_block_bytes((uint64_t)EVI_MAX(store->n_total, 1) * sizeof(evi_real));
    for (int32_t i = 0; i < store->n_params; i++)
        bytes += text_bytes(store->params[i].name);
    return bytes;
}

static uint64_t value_bytes(const evi_value *v)
{
    uint64_t bytes = text_bytes(v->name);
    if (v->constant != NULL)
        bytes += evi_block_bytes((uint64_t)evi_shape_count(&v->edge.shape) *
                                 (uint64_t)evi_type_bytes(v->edge.type));
    return bytes;
}

uint64_t evi_model_bytes(const ev_model *m)
{
    uint64_t bytes = evi_block_bytes(sizeof(*m)) + store_bytes(m->store) +
                     table_bytes(m->cap_values, sizeof(evi_value)) +
                     table_bytes(m->cap_nodes, sizeof(evi_node)) +
                     table_bytes(m->cap_meta, sizeof(evi_meta)) +
                     ports_bytes(m->inputs, m->n_inputs, m->cap_inputs) +
                     ports_bytes(m->outputs, m->n_outputs, m->cap_outputs);
    for (int32_t i = 0; i < m->n_meta; i++)
        bytes += text_bytes(m->meta[i].key) + text_bytes(m->meta[i].value);
    for (int32_t i = 0; i < m->n_values; i++)
        bytes += value_bytes(&m->values[i]);
    for (int32_t i = 0; i < m->n_nodes; i++)
        bytes +=
            evi_block_bytes((uint64_t)(m->nodes[i].n_in + m->nodes[i].n_out) * sizeof(int32_t) +
                            strlen(m->nodes[i].name) + 1);
    return bytes;
}
