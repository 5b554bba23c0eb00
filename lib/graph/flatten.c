/* SPDX-License-Identifier: MIT */
/* A model and all that it calls, as one list of nodes with the shapes of this plan.  What can be
 * known now is computed now; dropout disappears from plans for inference. */
#include "graph/plan.h"
#include <stdio.h>
#include <string.h>

typedef struct flattener {
    ev_plan *plan;
    int32_t **params; /* [store * 2 + frozen][param]: flat value + 1, or 0 */
} flattener;

/* ---- tables ---------------------------------------------------------------------------------- */

ev_status evi_plan_calloc(ev_plan *plan, uint64_t n, uint64_t size, void *out)
{
    EVI_TRY(evi_calloc(plan->handle.ctx, n, size, out));
    plan->table_bytes += evi_block_bytes(n * size);
    return EV_OK;
}

static ev_status grow(ev_plan *plan, void *table, int32_t n, int32_t *capacity, uint64_t size)
{
    if (n < *capacity)
        return EV_OK;
    int32_t more = *capacity ? 2 * *capacity : 64;
    EVI_TRY(evi_realloc(plan->handle.ctx, (uint64_t)more, size, table));
    if (*capacity > 0)
        plan->table_bytes -= evi_block_bytes((uint64_t)*capacity * size);
    plan->table_bytes += evi_block_bytes((uint64_t)more * size);
    *capacity = more;
    return EV_OK;
}

ev_status evi_plan_new_value(ev_plan *plan, const evi_flat_value *value, int32_t *out)
{
    EVI_TRY(grow(plan, &plan->values, plan->n_values, &plan->cap_values, sizeof(evi_flat_value)));
    evi_flat_value *v = &plan->values[plan->n_values];
    *v = *value;
    v->root = v->grad_root = plan->n_values;
    v->offset = v->grad_offset = -1;
    *out = plan->n_values++;
    return EV_OK;
}

ev_status evi_plan_new_node(ev_plan *plan, const evi_op *op, const evi_attrs *a, const char *name,
                            int32_t n_in, int32_t n_out, evi_flat_node **out)
{
    if (plan->n_nodes >= EVI_MAX_NODES)
        return evi_fail(EV_ERR_UNSUPPORTED, "with all its calls the model has more than %d nodes",
                        EVI_MAX_NODES);
    EVI_TRY(grow(plan, &plan->nodes, plan->n_nodes, &plan->cap_nodes, sizeof(evi_flat_node)));
    evi_flat_node *node = &plan->nodes[plan->n_nodes++];
    memset(node, 0, sizeof(*node));
    node->op = op;
    node->a = *a;
    node->norm[0] = node->norm_weight = node->norm_bias = -1;
    EVI_TRY(evi_plan_calloc(plan, strlen(name) + 1, 1, &node->name));
    memcpy(node->name, name, strlen(name));
    EVI_TRY(evi_plan_calloc(plan, (uint64_t)(n_in + n_out), sizeof(int32_t), &node->in));
    node->out = node->in + n_in;
    node->n_in = n_in;
    node->n_out = n_out;
    *out = node;
    return EV_OK;
}

const void *evi_plan_data(const ev_plan *plan, int32_t value)
{
    const evi_flat_value *v = &plan->values[value];
    if (v->kind == EVI_FLAT_PARAM)
        return evi_store_data(plan->stores[v->store], v->index);
    return v->kind == EVI_FLAT_CONSTANT ? v->edge.value : NULL;
}

/* ---- values ---------------------------------------------------------------------------------- */

static int32_t store_number(const ev_plan *plan, const evi_store *store)
{
    int32_t i = 0;
    while (plan->stores[i] != store)
        i++;
    return i;
}

static ev_status param_value(flattener *f, const ev_model *m, const evi_value *v, bool frozen,
                             int32_t *out)
{
    int32_t store = store_number(f->plan, m->store);
    int32_t *slot = &f->params[2 * store + frozen][v->index];
    if (*slot == 0) {
        evi_flat_value flat = {.edge = v->edge,
                               .kind = EVI_FLAT_PARAM,
                               .index = v->index,
                               .store = store,
                               .frozen = frozen};
        flat.edge.value = NULL;
        EVI_TRY(evi_plan_new_value(f->plan, &flat, slot));
        ++*slot;
    }
    *out = *slot - 1;
    return EV_OK;
}

static ev_status local_value(flattener *f, const ev_model *m, const evi_value *v, bool frozen,
                             int32_t *out)
{
    if (v->kind == EVI_VALUE_PARAM)
        return param_value(f, m, v, frozen, out);
    if (v->kind != EVI_VALUE_CONSTANT)
        return EV_OK;
    evi_flat_value flat = {.edge = v->edge, .kind = EVI_FLAT_CONSTANT};
    return evi_plan_new_value(f->plan, &flat, out);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/* The results of a node that could be computed now. */
static ev_status known_results(flattener *f, evi_edge *out, int32_t n_out, bool per_image,
                               int32_t *results)
{
    ev_status status = EV_OK;
    for (int32_t i = 0; i < n_out; i++) {
        evi_flat_value flat = {.edge = out[i],
                               .kind = EVI_FLAT_CONSTANT,
                               .per_image = per_image,
                               .constant = (void *)(uintptr_t)out[i].value};
        if (status == EV_OK)
            status = evi_plan_new_value(f->plan, &flat, &results[i]);
        if (status != EV_OK)
            evi_free(flat.constant);
        else
            f->plan->table_bytes += evi_block_bytes((uint64_t)evi_shape_count(&out[i].shape) *
                                                    (uint64_t)evi_type_bytes(out[i].type));
    }
    return status;
}

static ev_status keep_node(flattener *f, const evi_node *node, const evi_attrs *a, const char *name,
                           const int32_t *in, const evi_edge *out, bool frozen, bool per_image,
                           int32_t *results)
{
    evi_flat_node *flat = NULL;
    EVI_TRY(evi_plan_new_node(f->plan, node->op, a, name, node->n_in, node->n_out, &flat));
    flat->frozen = frozen;
    flat->from = node;
    int32_t number = f->plan->n_nodes - 1;
    memcpy(flat->in, in, (size_t)node->n_in * sizeof(int32_t));
    for (int32_t i = 0; i < node->n_out; i++) {
        evi_flat_value v = {
            .edge = out[i], .kind = EVI_FLAT_TEMP, .index = number, .per_image = per_image};
        v.edge.value = NULL;
        EVI_TRY(evi_plan_new_value(f->plan, &v, &flat->out[i]));
        results[i] = flat->out[i];
    }
    return EV_OK;
}

static bool does_nothing(const ev_plan *plan, const evi_node *node)
{
    if (!(node->op->traits & EVI_OP_TRAIN_ONLY_EFFECT) || node->n_out > 1)
        return false;
    return !plan->training || (node->a.rate == 0 && node->n_in == 1);
}

static ev_status flat_node(flattener *f, const evi_node *node, const char *name, const int32_t *in,
                           evi_edge *edges, bool frozen, int32_t *results)
{
    ev_plan *plan = f->plan;
    evi_edge *out = edges + node->n_in;
    bool per_image = false;
    for (int32_t i = 0; i < node->n_in; i++) {
        if (in[i] < 0)
            continue;
        edges[i] = plan->values[in[i]].edge;
        per_image = per_image || plan->values[in[i]].per_image;
    }
    if (does_nothing(plan, node)) {
        results[0] = in[0];
        return EV_OK;
    }
    evi_attrs a = node->a;
    ev_status status = node->op->infer(&a, edges, node->n_in, out, node->n_out);
    if (status != EV_OK)
        return evi_fail_in(status, "%s '%s'", node->op->name, name);
    for (int32_t i = 0; i < node->n_out; i++) {
        out[i].value = NULL;
        EVI_TRY(evi_shape_check(&out[i].shape, name));
    }
    if (!evi_can_fold(node->op, edges, node->n_in))
        return keep_node(f, node, &a, name, in, out, frozen, per_image, results);
    if ((node->op->traits & EVI_OP_SHAPE_ONLY) && per_image)
        plan->batch_locked = 1;
    EVI_TRY(evi_fold(plan->handle.ctx, node->op, &a, edges, node->n_in, out, node->n_out));
    return known_results(f, out, node->n_out, per_image, results);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static ev_status inline_model(flattener *f, const ev_model *m, const char *path,
                              const int32_t *inputs, bool frozen, int32_t depth, int32_t *outputs);

static ev_status inline_node(flattener *f, const evi_node *node, const char *path, int32_t *map,
                             bool frozen, int32_t depth)
{
    ev_context *ctx = f->plan->handle.ctx;
    char name[EVI_MAX_NAME + 1];
    snprintf(name, sizeof name, "%s%s%s", path, path[0] ? "/" : "", node->name);
    int32_t *io = NULL;
    evi_edge *edges = NULL;
    uint64_t n = (uint64_t)(node->n_in + node->n_out);
    EVI_TRY(evi_calloc(ctx, n, sizeof(int32_t), &io));
    ev_status status = evi_calloc(ctx, n, sizeof(evi_edge), &edges);
    for (int32_t i = 0; i < node->n_in; i++)
        io[i] = node->in[i] == EV_NO_VALUE ? -1 : map[node->in[i]];
    frozen = frozen || node->frozen;
    if (status == EV_OK && node->callee != NULL)
        status = inline_model(f, node->callee, name, io, frozen, depth + 1, io + node->n_in);
    else if (status == EV_OK)
        status = flat_node(f, node, name, io, edges, frozen, io + node->n_in);
    for (int32_t i = 0; i < node->n_out && status == EV_OK; i++)
        map[node->out[i]] = io[node->n_in + i];
    evi_free(edges);
    evi_free(io);
    return status;
}

static ev_status inline_model(flattener *f, const ev_model *m, const char *path,
                              const int32_t *inputs, bool frozen, int32_t depth, int32_t *outputs)
{
    if (depth > EVI_MAX_DEPTH)
        return evi_fail(EV_ERR_UNSUPPORTED, "models are nested deeper than %d", EVI_MAX_DEPTH);
    if (!m->store->ready && m->store->n_params > 0)
        return evi_fail(EV_ERR_STATE, "the model '%s' has no weights yet: call ev_model_init()",
                        path);
    int32_t *map = NULL;
    EVI_TRY(evi_calloc(f->plan->handle.ctx, (uint64_t)m->n_values, sizeof(int32_t), &map));
    ev_status status = EV_OK;
    for (int32_t i = 0; i < m->n_values && status == EV_OK; i++)
        status = local_value(f, m, &m->values[i], frozen, &map[i]);
    for (int32_t i = 0; i < m->n_inputs; i++)
        map[m->inputs[i].value] = inputs[i];
    for (int32_t i = 0; i < m->n_nodes && status == EV_OK; i++)
        status = inline_node(f, &m->nodes[i], path, map, frozen, depth);
    for (int32_t i = 0; i < m->n_outputs && status == EV_OK; i++)
        outputs[i] = map[m->outputs[i].value];
    evi_free(map);
    return status;
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* Shapes of the inputs in this plan: as given, or as drawn with the largest batch. */
static ev_status plan_inputs(ev_plan *plan, const ev_plan_options *opt)
{
    const ev_model *m = plan->model;
    int32_t at = 0;
    for (int32_t i = 0; i < m->n_inputs; i++) {
        const evi_port *port = &m->inputs[i];
        evi_flat_value v = {.edge = m->values[port->value].edge,
                            .kind = EVI_FLAT_INPUT,
                            .index = i,
                            .per_image = (int32_t)(port->dynamic & 1)};
        evi_shape *s = &v.edge.shape;
        for (int32_t d = 0; d < s->rank; d++, at++) {
            bool free_size = port->dynamic >> d & 1;
            int64_t given = opt->dims != NULL && at < opt->n_dims ? opt->dims[at] : -1;
            if (free_size && d == 0 && given <= 0)
                given = plan->max_batch;
            if (given > 0 && !free_size && given != s->dim[d])
                return evi_fail(EV_ERR_SHAPE, "input '%s' has size %lld at dimension %d, not %lld",
                                port->name, (long long)s->dim[d], (int)d, (long long)given);
            if (given > 0)
                s->dim[d] = given;
        }
        EVI_TRY(evi_shape_check(s, port->name));
        EVI_TRY(evi_plan_new_value(plan, &v, &plan->inputs[i]));
    }
    if (opt->dims != NULL && at != opt->n_dims)
        return evi_fail(EV_ERR_SHAPE, "%d sizes given for inputs of %d dimensions in all",
                        (int)opt->n_dims, (int)at);
    return EV_OK;
}

/* An output that is an input, a weight or a constant is copied by an identity node, so that results
 * always lie in the session. */
static ev_status own_outputs(ev_plan *plan)
{
    for (int32_t i = 0; i < plan->n_outputs; i++) {
        evi_flat_value v = plan->values[plan->outputs[i]];
        if (v.kind != EVI_FLAT_TEMP) {
            evi_flat_node *node = NULL;
            evi_attrs a;
            evi_attrs_default(&a);
            EVI_TRY(evi_plan_new_node(plan, evi_op_find("identity"), &a, "output", 1, 1, &node));
            node->in[0] = plan->outputs[i];
            v.kind = EVI_FLAT_TEMP;
            v.index = plan->n_nodes - 1;
            v.edge.value = NULL;
            v.constant = NULL;
            EVI_TRY(evi_plan_new_value(plan, &v, &node->out[0]));
            plan->outputs[i] = node->out[0];
        }
        plan->values[plan->outputs[i]].is_output = 1;
    }
    return EV_OK;
}

static ev_status param_maps(flattener *f)
{
    ev_plan *plan = f->plan;
    EVI_TRY(
        evi_calloc(plan->handle.ctx, 2 * (uint64_t)plan->n_stores, sizeof(int32_t *), &f->params));
    for (int32_t i = 0; i < 2 * plan->n_stores; i++)
        EVI_TRY(evi_calloc(plan->handle.ctx, (uint64_t)plan->stores[i / 2]->n_params,
                           sizeof(int32_t), &f->params[i]));
    return EV_OK;
}

ev_status evi_plan_flatten(ev_plan *plan, const ev_plan_options *opt)
{
    const ev_model *m = plan->model;
    plan->n_inputs = m->n_inputs;
    plan->n_outputs = m->n_outputs;
    if (m->n_outputs == 0)
        return evi_fail(EV_ERR_STATE, "the model has no output: call ev_model_output()");
    EVI_TRY(evi_plan_calloc(plan, (uint64_t)m->n_inputs, sizeof(int32_t), &plan->inputs));
    EVI_TRY(evi_plan_calloc(plan, (uint64_t)m->n_outputs, sizeof(int32_t), &plan->outputs));
    EVI_TRY(plan_inputs(plan, opt));
    flattener f = {plan, NULL};
    ev_status status = param_maps(&f);
    if (status == EV_OK)
        status = inline_model(&f, m, "", plan->inputs, false, 0, plan->outputs);
    for (int32_t i = 0; f.params != NULL && i < 2 * plan->n_stores; i++)
        evi_free(f.params[i]);
    evi_free(f.params);
    return status == EV_OK ? own_outputs(plan) : status;
}
