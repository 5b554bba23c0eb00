/* SPDX-License-Identifier: MIT */
/* Models: values and nodes, drawn by calls that check shapes at once. */
#include "graph/graph.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Room for one more entry of `size` bytes in a table that doubles. */
static ev_status grow(ev_model *m, void *table, int32_t n, int32_t *capacity, uint64_t size)
{
    if (n < *capacity)
        return EV_OK;
    int32_t more = *capacity ? 2 * *capacity : 16;
    EVI_TRY(evi_realloc(m->handle.ctx, (uint64_t)more, size, table));
    *capacity = more;
    return EV_OK;
}

ev_status ev_model_create(ev_context *ctx, ev_model **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    ev_model *m = NULL;
    EVI_TRY(evi_calloc(ctx, 1, sizeof(*m), &m));
    ev_status status = evi_store_create(ctx, &m->store);
    if (status != EV_OK) {
        evi_free(m);
        return status;
    }
    evi_handle_start(&m->handle, EVI_MAGIC_MODEL, ctx);
    *out = m;
    return EV_OK;
}

ev_model *ev_model_ref(ev_model *model)
{
    return evi_handle_ref(model, EVI_MAGIC_MODEL);
}

static void free_ports(evi_port *ports, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        evi_free(ports[i].name);
    evi_free(ports);
}

static void free_node(evi_node *node)
{
    ev_model_destroy(node->callee);
    evi_free(node->in);
}

static void free_content(ev_model *m)
{
    for (int32_t i = 0; i < m->n_values; i++) {
        evi_free(m->values[i].name);
        evi_free(m->values[i].constant);
    }
    for (int32_t i = 0; i < m->n_nodes; i++)
        free_node(&m->nodes[i]);
    for (int32_t i = 0; i < m->n_meta; i++) {
        evi_free(m->meta[i].key);
        evi_free(m->meta[i].value);
    }
    free_ports(m->inputs, m->n_inputs);
    free_ports(m->outputs, m->n_outputs);
    evi_free(m->values);
    evi_free(m->nodes);
    evi_free(m->meta);
    evi_store_release(m->store);
}

void ev_model_destroy(ev_model *model)
{
    if (!evi_handle_drop(model, EVI_MAGIC_MODEL))
        return;
    free_content(model);
    evi_handle_end(model);
}

/* ---- values ---------------------------------------------------------------------------------- */

ev_status evi_model_check_value(const ev_model *model, ev_value value, const char *function)
{
    if (value >= 0 && value < model->n_values)
        return EV_OK;
    return evi_fail(EV_ERR_ARGUMENT, "%s: the model has no value %d (it has %d)", function,
                    (int)value, (int)model->n_values);
}

const evi_edge *evi_model_edge(const ev_model *model, ev_value value)
{
    return &model->values[value].edge;
}

static ev_status new_value(ev_model *m, int32_t kind, int32_t index, const evi_edge *edge,
                           int32_t *out)
{
    EVI_TRY(grow(m, &m->values, m->n_values, &m->cap_values, sizeof(evi_value)));
    evi_value *v = &m->values[m->n_values];
    memset(v, 0, sizeof(*v));
    v->kind = kind;
    v->index = index;
    v->edge = *edge;
    *out = m->n_values++;
    return EV_OK;
}

void evi_model_set_value_name(ev_model *model, ev_value value, const char *name)
{
    char *copy = NULL;
    if (name == NULL || name[0] == '\0' || evi_strdup(model->handle.ctx, name, &copy) != EV_OK)
        return;
    evi_free(model->values[value].name);
    model->values[value].name = copy;
}

static ev_status check_name(const char *name, const char *function)
{
    size_t length = name == NULL ? 0 : strlen(name);
    if (length == 0 || length > EVI_MAX_NAME)
        return evi_fail(EV_ERR_ARGUMENT, "%s: a name has 1 to %d bytes, this one %d", function,
                        EVI_MAX_NAME, (int)EVI_MIN(length, 1u << 30));
    return EV_OK;
}

static ev_status new_port(ev_model *m, evi_port **ports, int32_t *n, int32_t *capacity,
                          const char *name, int32_t value)
{
    for (int32_t i = 0; i < *n; i++)
        if (strcmp((*ports)[i].name, name) == 0)
            return evi_fail(EV_ERR_ARGUMENT, "the model has an input or output '%s' already", name);
    EVI_TRY(grow(m, ports, *n, capacity, sizeof(evi_port)));
    evi_port *p = &(*ports)[*n];
    memset(p, 0, sizeof(*p));
    EVI_TRY(evi_strdup(m->handle.ctx, name, &p->name));
    p->value = value;
    (*n)++;
    return EV_OK;
}

ev_status evi_model_add_input(ev_model *model, const char *name, int32_t type, int32_t rank,
                              const int64_t *dims, const int64_t *nominal, int32_t *out)
{
    *out = EV_NO_VALUE;
    EVI_TRY(check_name(name, "input"));
    if (evi_type_bytes(type) == 0 || type > EV_TYPE_BOOL) /* the others are reserved */
        return evi_fail(EV_ERR_ARGUMENT, "input '%s': there is no type %d", name, (int)type);
    if (rank > 0 && dims == NULL)
        return evi_fail(EV_ERR_ARGUMENT, "input '%s': dims is NULL", name);
    if (rank < 0 || rank > EV_MAX_RANK)
        return evi_fail(EV_ERR_SHAPE, "input '%s': rank %d is not 0..%d", name, (int)rank,
                        EV_MAX_RANK);
    int64_t drawn[EV_MAX_RANK];
    uint32_t dynamic = 0;
    for (int32_t i = 0; i < rank; i++) {
        drawn[i] = dims[i];
        if (dims[i] == -1) {
            dynamic |= 1u << i;
            drawn[i] = nominal != NULL ? nominal[i] : 1;
        }
    }
    evi_edge edge = {.type = type};
    EVI_TRY(evi_shape_set(&edge.shape, rank, drawn, name));
    int32_t value = EV_NO_VALUE;
    EVI_TRY(new_value(model, EVI_VALUE_INPUT, model->n_inputs, &edge, &value));
    ev_status status =
        new_port(model, &model->inputs, &model->n_inputs, &model->cap_inputs, name, value);
    if (status != EV_OK) {
        model->n_values--;
        return status;
    }
    model->inputs[model->n_inputs - 1].dynamic = dynamic;
    evi_model_set_value_name(model, value, name);
    *out = value;
    return EV_OK;
}

ev_status ev_model_input(ev_model *model, const char *name, int32_t type, int32_t rank,
                         const int64_t *dims, ev_value *out)
{
    EVI_CHECK_POINTER(out);
    *out = EV_NO_VALUE;
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_CHECK_POINTER(name);
    for (int32_t i = 1; dims != NULL && i < EVI_MIN(rank, EV_MAX_RANK); i++)
        if (dims[i] < 0)
            return evi_fail(EV_ERR_SHAPE, "ev_model_input: '%s': only dimension 0 may be -1", name);
    return evi_model_add_input(model, name, type, rank, dims, NULL, out);
}

ev_status evi_model_add_constant(ev_model *model, const char *name, int32_t type,
                                 const evi_shape *shape, const void *data, int32_t *out)
{
    *out = EV_NO_VALUE;
    evi_edge edge = {.type = type, .shape = *shape};
    uint64_t bytes = (uint64_t)evi_shape_count(shape) * (uint64_t)evi_type_bytes(type);
    void *copy = NULL;
    EVI_TRY(evi_malloc(model->handle.ctx, bytes, 1, &copy));
    if (bytes > 0)
        memcpy(copy, data, bytes);
    edge.value = copy;
    ev_status status = new_value(model, EVI_VALUE_CONSTANT, 0, &edge, out);
    if (status != EV_OK) {
        evi_free(copy);
        return status;
    }
    model->values[*out].constant = copy;
    evi_model_set_value_name(model, *out, name);
    return EV_OK;
}

ev_status ev_model_constant(ev_model *model, const char *name, const ev_tensor *tensor,
                            ev_value *out)
{
    EVI_CHECK_POINTER(out);
    *out = EV_NO_VALUE;
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_CHECK_HANDLE(tensor, EVI_MAGIC_TENSOR);
    return evi_model_add_constant(model, name, tensor->type, &tensor->shape, tensor->data, out);
}

ev_status evi_model_add_param(ev_model *model, const evi_param *param, int32_t *out)
{
    *out = EV_NO_VALUE;
    EVI_TRY(check_name(param->name, "weight"));
    int32_t index = -1;
    EVI_TRY(evi_store_add(model->store, param, &index));
    evi_edge edge = {.type = EV_TYPE_FLOAT32, .shape = param->shape};
    ev_status status = new_value(model, EVI_VALUE_PARAM, index, &edge, out);
    if (status != EV_OK) { /* the last param again */
        evi_free(model->store->params[--model->store->n_params].name);
        return status;
    }
    evi_model_set_value_name(model, *out, param->name);
    return EV_OK;
}

ev_status ev_model_parameter(ev_model *model, const char *name, int32_t rank, const int64_t *dims,
                             int32_t init, float init_value, ev_value *out)
{
    EVI_CHECK_POINTER(out);
    *out = EV_NO_VALUE;
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_CHECK_POINTER(name);
    if (init < EV_INIT_DEFAULT || init > EV_INIT_UNIFORM)
        return evi_fail(EV_ERR_ARGUMENT, "ev_model_parameter: init %d is not EV_INIT_*", (int)init);
    if (!isfinite(init_value))
        return evi_fail(EV_ERR_ARGUMENT, "ev_model_parameter: init_value is not finite");
    evi_param p = {
        .name = (char *)(uintptr_t)name, .trainable = 1, .init = init, .init_value = init_value};
    EVI_TRY(evi_shape_set(&p.shape, rank, dims, name));
    p.fan_out = rank > 0 ? dims[0] : 1;
    p.fan_in = evi_shape_count(&p.shape) / EVI_MAX(p.fan_out, 1);
    return evi_model_add_param(model, &p, out);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static ev_status add_output(ev_model *model, const char *name, ev_value value, const char *function)
{
    EVI_TRY(evi_model_check_value(model, value, function));
    EVI_TRY(check_name(name, function));
    return new_port(model, &model->outputs, &model->n_outputs, &model->cap_outputs, name, value);
}

ev_status ev_model_output(ev_model *model, const char *name, ev_value value)
{
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    if (model->n_outputs > 0 && model->outputs[model->n_outputs - 1].is_loss)
        return evi_fail(EV_ERR_STATE,
                        "ev_model_output: '%s' comes after a loss; declare losses last",
                        name == NULL ? "" : name);
    return add_output(model, name, value, __func__);
}

ev_status ev_model_loss(ev_model *model, const char *name, ev_value value, float weight)
{
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_TRY(evi_model_check_value(model, value, __func__));
    const evi_edge *edge = evi_model_edge(model, value);
    if (edge->type != EV_TYPE_FLOAT32 || evi_shape_count(&edge->shape) != 1)
        return evi_fail(EV_ERR_SHAPE, "ev_model_loss: '%s' is not one float32 number",
                        name == NULL ? "" : name);
    if (!(weight > -1e30f && weight < 1e30f))
        return evi_fail(EV_ERR_ARGUMENT, "ev_model_loss: the weight of '%s' is not finite",
                        name == NULL ? "" : name);
    EVI_TRY(add_output(model, name, value, __func__));
    model->outputs[model->n_outputs - 1].is_loss = 1;
    model->outputs[model->n_outputs - 1].weight = weight;
    return EV_OK;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static ev_status new_node(ev_model *m, const char *name, const char *kind, const int32_t *inputs,
                          int32_t n_in, int32_t n_out, evi_node **out)
{
    if (m->n_nodes >= EVI_MAX_NODES)
        return evi_fail(EV_ERR_ARGUMENT, "a model has at most %d nodes", EVI_MAX_NODES);
    EVI_TRY(grow(m, &m->nodes, m->n_nodes, &m->cap_nodes, sizeof(evi_node)));
    evi_node *node = &m->nodes[m->n_nodes];
    memset(node, 0, sizeof(*node));
    char made[64];
    if (name == NULL || name[0] == '\0') {
        snprintf(made, sizeof made, "%s%d", kind, (int)++m->n_names);
        name = made;
    }
    /* inputs, outputs and name in one block: a file may have 65,536 nodes */
    uint64_t numbers = (uint64_t)(n_in + n_out) * sizeof(int32_t), length = strlen(name);
    EVI_TRY(evi_calloc(m->handle.ctx, numbers + length + 1, 1, &node->in));
    node->out = node->in + n_in;
    node->name = (char *)(node->out + n_out);
    memcpy(node->name, name, (size_t)length);
    for (int32_t i = 0; i < n_in; i++)
        node->in[i] = inputs[i];
    node->n_in = n_in;
    node->n_out = n_out;
    *out = node;
    return EV_OK;
}

/* Values for the results; counts the node in.  On failure both are as before. */
static ev_status finish_node(ev_model *m, evi_node *node, const evi_edge *edges, int32_t *outputs)
{
    int32_t before = m->n_values;
    ev_status status = EV_OK;
    for (int32_t i = 0; i < node->n_out && status == EV_OK; i++)
        status = new_value(m, EVI_VALUE_NODE, m->n_nodes, &edges[i], &node->out[i]);
    if (status != EV_OK) {
        m->n_values = before;
        free_node(node);
        return status;
    }
    for (int32_t i = 0; i < node->n_out; i++) {
        m->values[node->out[i]].constant = (void *)(uintptr_t)edges[i].value; /* now the value's */
        outputs[i] = node->out[i];
    }
    m->n_nodes++;
    return EV_OK;
}

static ev_status check_counts(const evi_op *op, int32_t n_in, int32_t n_out, const char *name)
{
    if (n_in < op->min_in || n_in > op->max_in || n_out < 1 || n_out > op->max_out)
        return evi_fail(EV_ERR_SHAPE,
                        "%s '%s': %d inputs and %d outputs; allowed are %d..%d and 1..%d", op->name,
                        name == NULL ? "" : name, (int)n_in, (int)n_out, (int)op->min_in,
                        (int)op->max_in, (int)op->max_out);
    return EV_OK;
}

static ev_status gather_edges(const ev_model *m, const evi_op *op, const int32_t *inputs,
                              int32_t n_in, evi_edge *in)
{
    for (int32_t i = 0; i < n_in; i++) {
        memset(&in[i], 0, sizeof(in[i]));
        if (inputs[i] == EV_NO_VALUE && i >= op->min_in)
            continue;
        EVI_TRY(evi_model_check_value(m, inputs[i], op->name));
        in[i] = *evi_model_edge(m, inputs[i]);
    }
    return EV_OK;
}

static ev_status infer_node(ev_model *m, evi_node *node, evi_edge *edges)
{
    evi_edge *in = edges, *out = edges + node->n_in;
    EVI_TRY(gather_edges(m, node->op, node->in, node->n_in, in));
    memset(out, 0, (size_t)node->n_out * sizeof(*out));
    ev_status status = node->op->infer(&node->a, in, node->n_in, out, node->n_out);
    if (status != EV_OK)
        return evi_fail_in(status, "%s '%s'", node->op->name, node->name);
    int64_t elements = 0;
    for (int32_t i = 0; i < node->n_out; i++) {
        out[i].value = NULL;
        if (out[i].type != 0)
            EVI_TRY(evi_shape_check(&out[i].shape, node->name));
        elements += evi_shape_count(&out[i].shape);
    }
    if (elements > EVI_FOLD_DRAWN || !evi_can_fold(node->op, in, node->n_in))
        return EV_OK;
    return evi_fold(m->handle.ctx, node->op, &node->a, in, node->n_in, out, node->n_out);
}

ev_status evi_model_add(ev_model *model, const evi_op *op, const evi_attrs *a, const char *name,
                        const int32_t *inputs, int32_t n_in, int32_t *outputs, int32_t n_out)
{
    EVI_TRY(check_counts(op, n_in, n_out, name));
    evi_node *node = NULL;
    EVI_TRY(new_node(model, name, op->name, inputs, n_in, n_out, &node));
    node->op = op;
    node->a = *a;
    evi_edge *edges = NULL;
    ev_status status =
        evi_calloc(model->handle.ctx, (uint64_t)(n_in + n_out), sizeof(evi_edge), &edges);
    if (status == EV_OK)
        status = infer_node(model, node, edges);
    if (status != EV_OK)
        free_node(node);
    else
        status = finish_node(model, node, edges + n_in, outputs);
    for (int32_t i = 0; status != EV_OK && edges != NULL && i < n_out; i++)
        evi_free((void *)(uintptr_t)edges[n_in + i].value);
    evi_free(edges);
    return status;
}

ev_status evi_model_add_call(ev_model *model, ev_model *callee, const int32_t *inputs, bool frozen,
                             const evi_edge *edges, int32_t *outputs)
{
    evi_node *node = NULL;
    EVI_TRY(new_node(model, NULL, "call", inputs, callee->n_inputs, callee->n_outputs, &node));
    node->callee = ev_model_ref(callee);
    node->frozen = frozen;
    return finish_node(model, node, edges, outputs);
}
