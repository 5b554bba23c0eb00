/* SPDX-License-Identifier: MIT */
/* Models inside models: a call is a node without an op; its weights stay those of the callee. */
#include "graph/graph.h"
#include <stdio.h>
#include <string.h>

/* Does `model`, or a model that it calls, call `wanted`? */
static bool reaches(const ev_model *model, const ev_model *wanted, int32_t depth)
{
    if (model == wanted || depth > EVI_MAX_DEPTH)
        return true;
    for (int32_t i = 0; i < model->n_nodes; i++)
        if (model->nodes[i].callee != NULL && reaches(model->nodes[i].callee, wanted, depth + 1))
            return true;
    return false;
}

/* ---- shapes of a called model for other inputs than it was drawn with ------------------------ */

static void drop_known(evi_edge *edges, const ev_model *m)
{
    for (int32_t i = 0; i < m->n_values; i++)
        if (m->values[i].kind == EVI_VALUE_NODE)
            evi_free((void *)(uintptr_t)edges[i].value);
}

static ev_status infer_calls(const ev_model *m, const evi_edge *in, evi_edge *out, int32_t depth);

static ev_status infer_one(const ev_model *m, const evi_node *node, evi_edge *edges, int32_t depth)
{
    ev_context *ctx = m->handle.ctx;
    evi_edge *io = NULL;
    EVI_TRY(evi_calloc(ctx, (uint64_t)(node->n_in + node->n_out), sizeof(evi_edge), &io));
    evi_edge *out = io + node->n_in;
    for (int32_t i = 0; i < node->n_in; i++)
        if (node->in[i] != EV_NO_VALUE)
            io[i] = edges[node->in[i]];
    ev_status status = EV_OK;
    if (node->callee != NULL) {
        status = infer_calls(node->callee, io, out, depth + 1);
    } else {
        evi_attrs a = node->a;
        status = node->op->infer(&a, io, node->n_in, out, node->n_out);
        int64_t elements = 0;
        for (int32_t i = 0; i < node->n_out; i++) {
            out[i].value = NULL;
            elements += evi_shape_count(&out[i].shape);
        }
        if (status == EV_OK && elements <= EVI_FOLD_DRAWN && evi_can_fold(node->op, io, node->n_in))
            status = evi_fold(ctx, node->op, &a, io, node->n_in, out, node->n_out);
    }
    for (int32_t i = 0; status == EV_OK && i < node->n_out; i++)
        edges[node->out[i]] = out[i];
    evi_free(io);
    return status == EV_OK ? EV_OK : evi_fail_in(status, "'%s'", node->name);
}

/* in: edges of the inputs; out: edges of the outputs (without known values). */
static ev_status infer_calls(const ev_model *m, const evi_edge *in, evi_edge *out, int32_t depth)
{
    if (depth > EVI_MAX_DEPTH)
        return evi_fail(EV_ERR_ARGUMENT, "models are nested deeper than %d", EVI_MAX_DEPTH);
    evi_edge *edges = NULL;
    EVI_TRY(evi_calloc(m->handle.ctx, (uint64_t)m->n_values, sizeof(evi_edge), &edges));
    for (int32_t i = 0; i < m->n_values; i++)
        if (m->values[i].kind != EVI_VALUE_NODE)
            edges[i] = m->values[i].edge;
    for (int32_t i = 0; i < m->n_inputs; i++)
        edges[m->inputs[i].value] = in[i];
    ev_status status = EV_OK;
    for (int32_t i = 0; i < m->n_nodes && status == EV_OK; i++)
        status = infer_one(m, &m->nodes[i], edges, depth);
    for (int32_t i = 0; i < m->n_outputs && status == EV_OK; i++) {
        out[i] = edges[m->outputs[i].value];
        out[i].value = NULL;
    }
    drop_known(edges, m);
    evi_free(edges);
    return status;
}

/* ---- the call -------------------------------------------------------------------------------- */

static ev_status check_call(const ev_model *m, const ev_model *callee, const ev_value *inputs,
                            int32_t n_in, int32_t n_out)
{
    if (reaches(callee, m, 0))
        return evi_fail(EV_ERR_ARGUMENT, "ev_model_call: the called model is or calls this model");
    if (callee->n_inputs != n_in || callee->n_outputs != n_out || n_out < 1)
        return evi_fail(EV_ERR_SHAPE,
                        "ev_model_call: %d inputs and %d outputs given, the called model "
                        "has %d and %d",
                        (int)n_in, (int)n_out, (int)callee->n_inputs, (int)callee->n_outputs);
    for (int32_t i = 0; i < n_in; i++) {
        EVI_TRY(evi_model_check_value(m, inputs[i], "ev_model_call"));
        int32_t have = evi_model_edge(m, inputs[i])->type;
        int32_t want = callee->values[callee->inputs[i].value].edge.type;
        if (have != want)
            return evi_fail(EV_ERR_SHAPE, "ev_model_call: input '%s' is %s, not %s",
                            callee->inputs[i].name, ev_type_name(have), ev_type_name(want));
    }
    return EV_OK;
}

ev_status ev_model_call(ev_model *model, ev_model *callee, const ev_value *inputs, int32_t n_inputs,
                        int32_t frozen, ev_value *outputs, int32_t n_outputs)
{
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_CHECK_HANDLE(callee, EVI_MAGIC_MODEL);
    EVI_CHECK_POINTER(inputs);
    EVI_CHECK_POINTER(outputs);
    EVI_TRY(check_call(model, callee, inputs, n_inputs, n_outputs));
    ev_context *ctx = model->handle.ctx;
    evi_edge *edges = NULL;
    EVI_TRY(evi_calloc(ctx, (uint64_t)(n_inputs + n_outputs), sizeof(evi_edge), &edges));
    for (int32_t i = 0; i < n_inputs; i++)
        edges[i] = *evi_model_edge(model, inputs[i]);
    ev_status status = infer_calls(callee, edges, edges + n_inputs, 0);
    if (status == EV_OK)
        status = evi_model_add_call(model, callee, inputs, frozen != 0, edges + n_inputs, outputs);
    else
        status = evi_fail_in(status, "ev_model_call");
    evi_free(edges);
    return status;
}

/* ---- stores ---------------------------------------------------------------------------------- */

static ev_status collect(const ev_model *m, evi_store ***stores, int32_t *n, int32_t depth)
{
    if (depth > EVI_MAX_DEPTH)
        return evi_fail(EV_ERR_ARGUMENT, "models are nested deeper than %d", EVI_MAX_DEPTH);
    for (int32_t i = 0; i < *n; i++)
        if ((*stores)[i] == m->store)
            return EV_OK;
    EVI_TRY(evi_realloc(m->handle.ctx, (uint64_t)*n + 1, sizeof(evi_store *), stores));
    (*stores)[(*n)++] = m->store;
    for (int32_t i = 0; i < m->n_nodes; i++)
        if (m->nodes[i].callee != NULL)
            EVI_TRY(collect(m->nodes[i].callee, stores, n, depth + 1));
    return EV_OK;
}

ev_status evi_model_stores(const ev_model *model, evi_store ***stores_out, int32_t *n_out)
{
    *stores_out = NULL;
    *n_out = 0;
    ev_status status = collect(model, stores_out, n_out, 0);
    if (status != EV_OK) {
        evi_free(*stores_out);
        *stores_out = NULL;
        *n_out = 0;
    }
    return status;
}
