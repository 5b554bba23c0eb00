/* SPDX-License-Identifier: MIT */
/* What is written of a model: the nodes that its outputs need, in order, with the models that it
 * calls drawn in.  ONNX has calls too (functions), but few programs read them. */
#include "onnx/writer.h"

#include <stdio.h>
#include <string.h>

/* One use of a model: the outermost one, or a call. */
typedef struct instance {
    const ev_model *model;
    const char **names; /* of its values; NULL: none yet */
    uint8_t *live;      /* of its values: something that is written needs it */
    const char *prefix; /* "" or "call1/" */
    bool frozen;
    int32_t depth;
} instance;

/* ---- names and blocks ------------------------------------------------------------------------ */

ev_status evi_draft_block(evi_draft *w, uint64_t n_bytes, void *out)
{
    if (w->n_blocks == w->cap_blocks) {
        int32_t more = w->cap_blocks > 0 ? 2 * w->cap_blocks : 64;
        EVI_TRY(evi_realloc(w->ctx, (uint64_t)more, sizeof(void *), &w->blocks));
        w->cap_blocks = more;
    }
    void *block = NULL;
    EVI_TRY(evi_malloc(w->ctx, n_bytes, 1, &block));
    w->blocks[w->n_blocks++] = block;
    memcpy(out, &block, sizeof(block));
    return EV_OK;
}

static ev_status new_name(evi_draft *w, evi_onnx_names *taken, const char *wish, const char **out)
{
    uint64_t length = EVI_MIN(strlen(wish), EVI_MAX_NAME - 12); /* room for a number */
    char *name = NULL;
    bool known = true;
    EVI_TRY(evi_draft_block(w, length + 16, &name));
    memcpy(name, wish, length);
    name[length] = '\0';
    for (int32_t n = 2; known; n++) {
        EVI_TRY(evi_onnx_names_add(taken, (evi_span){name, strlen(name)}, 0, &known));
        if (known)
            snprintf(name + length, 16, "_%d", (int)n);
    }
    *out = name;
    return EV_OK;
}

ev_status evi_draft_name(evi_draft *w, const char *wish, const char **out)
{
    return new_name(w, &w->names, wish, out);
}

ev_status evi_draft_node_name(evi_draft *w, const char *wish, const char **out)
{
    return new_name(w, &w->node_names, wish, out);
}

ev_status evi_draft_add_tensor(evi_draft *w, const evi_draft_tensor *t)
{
    if (w->n_tensors == w->cap_tensors) {
        int32_t more = w->cap_tensors > 0 ? 2 * w->cap_tensors : 64;
        EVI_TRY(evi_realloc(w->ctx, (uint64_t)more, sizeof(evi_draft_tensor), &w->tensors));
        w->cap_tensors = more;
    }
    w->tensors[w->n_tensors++] = *t;
    return EV_OK;
}

ev_status evi_draft_constant(evi_draft *w, const char *wish, int32_t type, const evi_shape *shape,
                             const void *data, int32_t role, const char **name_out)
{
    evi_draft_tensor t = {.type = type, .role = role, .shape = *shape};
    uint64_t bytes = (uint64_t)evi_shape_count(shape) * (uint64_t)evi_type_bytes(type);
    void *copy = NULL;
    EVI_TRY(evi_draft_name(w, wish, &t.name));
    EVI_TRY(evi_draft_block(w, bytes, &copy));
    if (bytes > 0)
        memcpy(copy, data, bytes);
    t.data = copy;
    *name_out = t.name;
    return evi_draft_add_tensor(w, &t);
}

/* ---- what is needed -------------------------------------------------------------------------- */

static ev_status mark_live(evi_draft *w, const ev_model *m, uint8_t *live, int32_t depth);

/* Which inputs of a call are needed, when `live` says which of its results are. */
static ev_status mark_call(evi_draft *w, const evi_node *node, uint8_t *live, int32_t depth)
{
    const ev_model *callee = node->callee;
    uint8_t *inside = NULL;
    EVI_TRY(evi_calloc(w->ctx, (uint64_t)callee->n_values, 1, &inside));
    for (int32_t i = 0; i < node->n_out; i++)
        inside[callee->outputs[i].value] |= live[node->out[i]];
    ev_status status = mark_live(w, callee, inside, depth + 1);
    for (int32_t i = 0; i < node->n_in && status == EV_OK; i++)
        live[node->in[i]] |= inside[callee->inputs[i].value];
    evi_free(inside);
    return status;
}

static ev_status mark_live(evi_draft *w, const ev_model *m, uint8_t *live, int32_t depth)
{
    if (depth > EVI_MAX_DEPTH)
        return evi_fail(EV_ERR_UNSUPPORTED, "models are nested deeper than %d", EVI_MAX_DEPTH);
    for (int32_t i = m->n_nodes - 1; i >= 0; i--) {
        const evi_node *node = &m->nodes[i];
        bool any = false;
        for (int32_t k = 0; k < node->n_out; k++)
            any = any || live[node->out[k]];
        if (any && node->callee != NULL)
            EVI_TRY(mark_call(w, node, live, depth));
        for (int32_t k = 0; k < node->n_in && any && node->callee == NULL; k++)
            if (node->in[k] != EV_NO_VALUE)
                live[node->in[k]] = 1;
    }
    return EV_OK;
}

/* ---- values ---------------------------------------------------------------------------------- */

static evi_draft_param *param_of(evi_draft *w, const evi_store *store, int32_t index)
{
    for (int32_t s = 0; s < w->n_stores; s++)
        if (w->stores[s] == store)
            return &w->params[w->first_param[s] + index];
    return NULL;
}

static ev_status constant_name(evi_draft *w, instance *in, int32_t value)
{
    const evi_value *v = &in->model->values[value];
    evi_draft_tensor t = {.type = v->edge.type,
                          .role = EVI_ROLE_CONSTANT,
                          .shape = v->edge.shape,
                          .data = v->edge.value};
    EVI_TRY(evi_draft_name(w, v->name == NULL ? "constant" : v->name, &t.name));
    in->names[value] = t.name;
    return evi_draft_add_tensor(w, &t);
}

/* The name of a value that a node reads. */
static ev_status operand(evi_draft *w, instance *in, int32_t value, const char **out)
{
    *out = "";
    if (value == EV_NO_VALUE)
        return EV_OK;
    const evi_value *v = &in->model->values[value];
    if (v->kind == EVI_VALUE_PARAM) {
        evi_draft_param *p = param_of(w, in->model->store, v->index);
        if (p == NULL)
            return evi_fail(EV_ERR_INTERNAL, "a weight without a store");
        p->used = 1;
        p->trained |= !in->frozen;
        in->names[value] = p->name;
    } else if (v->kind == EVI_VALUE_CONSTANT && in->names[value] == NULL) {
        EVI_TRY(constant_name(w, in, value));
    }
    if (in->names[value] == NULL)
        return evi_fail(EV_ERR_INTERNAL, "value %d is read before it is made", (int)value);
    *out = in->names[value];
    return EV_OK;
}

static ev_status result(evi_draft *w, instance *in, const evi_node *node, int32_t i,
                        const char **out)
{
    int32_t value = node->out[i];
    char wish[2 * EVI_MAX_NAME + 16];
    *out = "";
    bool all = strcmp(node->op->name, "split") == 0; /* their number says how to cut */
    if (i > 0 && !in->live[value] && !all)
        return EV_OK;
    if (in->names[value] == NULL) {
        const char *own = in->model->values[value].name;
        snprintf(wish, sizeof(wish), i == 0 || own != NULL ? "%s%s" : "%s%s_%d", in->prefix,
                 own != NULL ? own : node->name, (int)i);
        EVI_TRY(evi_draft_name(w, wish, &in->names[value]));
    }
    *out = in->names[value];
    return EV_OK;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static ev_status write_model(evi_draft *w, instance *in);

static ev_status write_op(evi_draft *w, instance *in, const evi_node *node)
{
    evi_draft_node *n = NULL;
    char name[2 * EVI_MAX_NAME + 16];
    if (node->n_in > EVI_ONNX_MAX_ARGS - 8 || node->n_out > EVI_ONNX_MAX_ARGS)
        return evi_fail(EV_ERR_UNSUPPORTED, "%s: too many operands", node->name);
    if (++w->n_nodes > EVI_MAX_NODES)
        return evi_fail(EV_ERR_UNSUPPORTED, "more than %d nodes", EVI_MAX_NODES);
    EVI_TRY(evi_calloc(w->ctx, 1, sizeof(*n), &n));
    snprintf(name, sizeof(name), "%s%s", in->prefix, node->name);
    n->node = node;
    n->n_in = node->n_in;
    n->n_out = node->n_out;
    ev_status status = evi_draft_node_name(w, name, &n->name);
    for (int32_t i = 0; i < node->n_in && status == EV_OK; i++) {
        n->in[i] = node->in[i] == EV_NO_VALUE ? NULL : &in->model->values[node->in[i]].edge;
        status = operand(w, in, node->in[i], &n->inputs[i]);
    }
    for (int32_t i = 0; i < node->n_out && status == EV_OK; i++) {
        n->outs[i] = &in->model->values[node->out[i]].edge;
        status = result(w, in, node, i, &n->outputs[i]);
    }
    while (n->n_out > 1 && status == EV_OK && n->outputs[n->n_out - 1][0] == '\0')
        n->n_out--;
    n->out = n->outs[0];
    if (status == EV_OK)
        status = evi_draft_write_node(w, n);
    evi_free(n);
    return status;
}

static ev_status copy_value(evi_draft *w, const char *from, const char *to)
{
    w->n_nodes++;
    return evi_draft_plain_node(w, "Identity", &from, 1, to);
}

/* Results of a call keep their names, or are copied where the caller wants other ones. */
static ev_status call_results(evi_draft *w, instance *in, const evi_node *node, instance *call)
{
    const ev_model *callee = node->callee;
    for (int32_t i = 0; i < node->n_out; i++) {
        int32_t value = callee->outputs[i].value;
        const char *name = NULL;
        if (!in->live[node->out[i]])
            continue;
        EVI_TRY(operand(w, call, value, &name));
        if (in->names[node->out[i]] == NULL)
            in->names[node->out[i]] = name;
        else if (strcmp(in->names[node->out[i]], name) != 0)
            EVI_TRY(copy_value(w, name, in->names[node->out[i]]));
    }
    return EV_OK;
}

static ev_status write_call_inside(evi_draft *w, instance *in, const evi_node *node, instance *call)
{
    const ev_model *callee = node->callee;
    for (int32_t i = 0; i < node->n_out; i++)
        call->live[callee->outputs[i].value] |= in->live[node->out[i]];
    EVI_TRY(mark_live(w, callee, call->live, call->depth));
    for (int32_t i = 0; i < node->n_in; i++)
        if (call->live[callee->inputs[i].value])
            EVI_TRY(operand(w, in, node->in[i], &call->names[callee->inputs[i].value]));
    for (int32_t i = 0; i < node->n_out; i++) {
        int32_t value = callee->outputs[i].value;
        const char *wanted = in->names[node->out[i]];
        if (callee->values[value].kind == EVI_VALUE_NODE && call->names[value] == NULL)
            call->names[value] = wanted;
    }
    EVI_TRY(write_model(w, call));
    return call_results(w, in, node, call);
}

static ev_status write_call(evi_draft *w, instance *in, const evi_node *node)
{
    char prefix[2 * EVI_MAX_NAME + 4];
    snprintf(prefix, sizeof(prefix), "%s%s/", in->prefix, node->name);
    prefix[EVI_MAX_NAME] = '\0';
    instance call = {.model = node->callee,
                     .prefix = prefix,
                     .frozen = in->frozen || node->frozen,
                     .depth = in->depth + 1};
    if (call.depth > EVI_MAX_DEPTH)
        return evi_fail(EV_ERR_UNSUPPORTED, "models are nested deeper than %d", EVI_MAX_DEPTH);
    uint64_t n = (uint64_t)node->callee->n_values;
    ev_status status = evi_calloc(w->ctx, n, sizeof(char *), &call.names);
    if (status == EV_OK)
        status = evi_calloc(w->ctx, n, 1, &call.live);
    if (status == EV_OK)
        status = write_call_inside(w, in, node, &call);
    evi_free(call.names);
    evi_free(call.live);
    return status;
}

static ev_status write_model(evi_draft *w, instance *in)
{
    for (int32_t i = 0; i < in->model->n_nodes; i++) {
        const evi_node *node = &in->model->nodes[i];
        bool any = false;
        for (int32_t k = 0; k < node->n_out; k++)
            any = any || in->live[node->out[k]];
        if (any && node->callee != NULL)
            EVI_TRY(write_call(w, in, node));
        else if (any)
            EVI_TRY(write_op(w, in, node));
    }
    return EV_OK;
}

/* ---- the ends -------------------------------------------------------------------------------- */

static bool is_used(const ev_model *m, int32_t value)
{
    for (int32_t i = 0; i < m->n_nodes; i++)
        for (int32_t k = 0; k < m->nodes[i].n_in; k++)
            if (m->nodes[i].in[k] == value)
                return true;
    return false;
}

/* Inputs that only losses read (labels, targets) are left out. */
static ev_status name_ends(evi_draft *w, instance *in)
{
    const ev_model *m = w->model;
    int32_t n = 0;
    for (int32_t i = 0; i < m->n_inputs; i++) {
        int32_t value = m->inputs[i].value;
        if (!in->live[value] && is_used(m, value))
            continue;
        EVI_TRY(evi_draft_name(w, m->inputs[i].name, &w->input_names[i]));
        in->names[value] = w->input_names[i];
    }
    for (int32_t i = 0; i < m->n_outputs; i++) {
        int32_t value = m->outputs[i].value;
        if (m->outputs[i].is_loss)
            continue;
        EVI_TRY(evi_draft_name(w, m->outputs[i].name, &w->output_names[i]));
        if (m->values[value].kind == EVI_VALUE_NODE && in->names[value] == NULL)
            in->names[value] = w->output_names[i];
        n++;
    }
    if (n == 0)
        return evi_fail(EV_ERR_STATE, "the model has no outputs but losses: nothing to save");
    return EV_OK;
}

static ev_status name_params(evi_draft *w)
{
    char wish[2 * EVI_MAX_NAME + 16];
    int32_t n = 0;
    EVI_TRY(evi_calloc(w->ctx, (uint64_t)w->n_stores, sizeof(int32_t), &w->first_param));
    for (int32_t s = 0; s < w->n_stores; s++) {
        w->first_param[s] = n;
        n += w->stores[s]->n_params;
        if (!w->stores[s]->ready)
            return evi_fail(EV_ERR_STATE, "the model has no weights yet: call ev_model_init()");
    }
    EVI_TRY(evi_calloc(w->ctx, (uint64_t)n, sizeof(evi_draft_param), &w->params));
    for (int32_t s = 0; s < w->n_stores; s++)
        for (int32_t i = 0; i < w->stores[s]->n_params; i++) {
            const char *name = w->stores[s]->params[i].name;
            if (w->stores[s] == w->model->store)
                snprintf(wish, sizeof(wish), "%s", name);
            else
                snprintf(wish, sizeof(wish), "model%d/%s", (int)s, name);
            EVI_TRY(evi_draft_name(w, wish, &w->params[w->first_param[s] + i].name));
        }
    return EV_OK;
}

/* Weights go first, in the order of their stores: a loaded model has the same flat vector. */
static ev_status list_params(evi_draft *w)
{
    int32_t n_constants = w->n_tensors;
    evi_draft_tensor *constants = w->tensors;
    w->tensors = NULL;
    w->n_tensors = w->cap_tensors = 0;
    ev_status status = EV_OK;
    for (int32_t s = 0; s < w->n_stores && status == EV_OK; s++)
        for (int32_t i = 0; i < w->stores[s]->n_params && status == EV_OK; i++) {
            const evi_draft_param *out = &w->params[w->first_param[s] + i];
            const evi_param *p = &w->stores[s]->params[i];
            evi_draft_tensor t = {.name = out->name,
                                  .type = EV_TYPE_FLOAT32,
                                  .role = EVI_ROLE_PARAM,
                                  .shape = p->shape,
                                  .data = evi_store_data(w->stores[s], i)};
            if (p->frozen || !out->trained)
                t.role = EVI_ROLE_FROZEN;
            if (!p->trainable)
                t.role = EVI_ROLE_STATISTIC;
            if (out->used)
                status = evi_draft_add_tensor(w, &t);
        }
    for (int32_t i = 0; i < n_constants && status == EV_OK; i++)
        status = evi_draft_add_tensor(w, &constants[i]);
    evi_free(constants);
    return status;
}

static ev_status write_outermost(evi_draft *w, instance *in)
{
    const ev_model *m = w->model;
    for (int32_t i = 0; i < m->n_outputs; i++)
        if (!m->outputs[i].is_loss)
            in->live[m->outputs[i].value] = 1;
    EVI_TRY(mark_live(w, m, in->live, 0));
    EVI_TRY(name_ends(w, in));
    EVI_TRY(name_params(w));
    EVI_TRY(write_model(w, in));
    for (int32_t i = 0; i < m->n_outputs; i++) {
        const char *name = NULL;
        if (m->outputs[i].is_loss)
            continue;
        EVI_TRY(operand(w, in, m->outputs[i].value, &name));
        if (strcmp(name, w->output_names[i]) != 0)
            EVI_TRY(copy_value(w, name, w->output_names[i]));
    }
    EVI_TRY(list_params(w));
    return w->nodes.status;
}

ev_status evi_draft_graph(evi_draft *w)
{
    instance in = {.model = w->model, .prefix = ""};
    uint64_t n = (uint64_t)w->model->n_values;
    EVI_TRY(evi_model_stores(w->model, &w->stores, &w->n_stores));
    EVI_TRY(evi_onnx_names_start(&w->names, w->ctx, n));
    EVI_TRY(evi_onnx_names_start(&w->node_names, w->ctx, n));
    EVI_TRY(evi_calloc(w->ctx, (uint64_t)w->model->n_inputs, sizeof(char *), &w->input_names));
    EVI_TRY(evi_calloc(w->ctx, (uint64_t)w->model->n_outputs, sizeof(char *), &w->output_names));
    ev_status status = evi_calloc(w->ctx, n, sizeof(char *), &in.names);
    if (status == EV_OK)
        status = evi_calloc(w->ctx, n, 1, &in.live);
    if (status == EV_OK)
        status = write_outermost(w, &in);
    evi_free(in.names);
    evi_free(in.live);
    return status;
}
