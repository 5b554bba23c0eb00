/* SPDX-License-Identifier: MIT */
/* A model as a table, as JSON, as a Graphviz drawing. */
#include "graph/graph.h"
#include <string.h>

/* ---- cost ------------------------------------------------------------------------------------ */

static int64_t model_macs(const ev_model *m, int32_t depth);

/* Shapes as drawn.  Ops that are not made of multiply-adds count nothing: their flops are 1 an
 * element, and only windows and matrices have weights as input 1. */
static int64_t node_macs(const ev_model *m, const evi_node *node, int32_t depth)
{
    if (node->callee != NULL)
        return model_macs(node->callee, depth + 1);
    static const char *const counted[] = {"conv2d",         "conv_transpose2d", "dense",
                                          "matmul",         "conv_integer",     "qlinear_conv",
                                          "matmul_integer", "qlinear_matmul"};
    bool counts = false;
    for (int32_t i = 0; i < EVI_COUNT(counted); i++)
        counts = counts || strcmp(node->op->name, counted[i]) == 0;
    if (!counts || node->op->flops == NULL || node->n_in > 16)
        return 0;
    evi_edge in[16] = {{0}}, out = m->values[node->out[0]].edge;
    for (int32_t i = 0; i < node->n_in; i++)
        if (node->in[i] != EV_NO_VALUE)
            in[i] = m->values[node->in[i]].edge;
    in[2].type = 0; /* multiply-adds without the bias */
    return (int64_t)(node->op->flops(&node->a, in, EVI_MIN(node->n_in, 2), &out, 1) / 2);
}

static int64_t model_macs(const ev_model *m, int32_t depth)
{
    int64_t macs = 0;
    for (int32_t i = 0; i < m->n_nodes && depth <= EVI_MAX_DEPTH; i++)
        macs += node_macs(m, &m->nodes[i], depth);
    return macs;
}

int64_t ev_model_macs(const ev_model *model)
{
    if (evi_check_handle(model, EVI_MAGIC_MODEL, __func__, "model") != EV_OK)
        return -1;
    return model_macs(model, 0);
}

int64_t evi_node_macs(const ev_model *m, const evi_node *node)
{
    return node_macs(m, node, 0);
}

int64_t evi_node_parameters(const ev_model *m, const evi_node *node)
{
    if (node->callee != NULL)
        return ev_model_parameter_count(node->callee);
    int64_t n = 0;
    for (int32_t i = 0; i < node->n_in; i++) {
        if (node->in[i] == EV_NO_VALUE || m->values[node->in[i]].kind != EVI_VALUE_PARAM)
            continue;
        const evi_param *p = &m->store->params[m->values[node->in[i]].index];
        n += p->trainable ? p->count : 0;
    }
    return n;
}

/* ---- texts ----------------------------------------------------------------------------------- */

static const char *kind_of(const evi_node *node)
{
    return node->callee != NULL ? (node->frozen ? "call (frozen)" : "call") : node->op->name;
}

/* "[N,16,112,112]": N where the batch is free. */
static void add_shape(evi_text *t, const ev_model *m, const evi_shape *s)
{
    bool any_batch = m->n_inputs > 0 && (m->inputs[0].dynamic & 1);
    evi_text_add(t, "[");
    for (int32_t i = 0; i < s->rank; i++) {
        if (i == 0 && any_batch && s->dim[0] == 1)
            evi_text_add(t, "N");
        else
            evi_text_add(t, "%s%lld", i > 0 ? "," : "", (long long)s->dim[i]);
    }
    evi_text_add(t, "]");
}

/* 1,455,124 */
static void add_number(evi_text *t, int64_t n, int32_t width)
{
    char digits[32], text[48];
    int32_t length = 0, at = (int32_t)sizeof text;
    do {
        digits[length++] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    text[--at] = '\0';
    for (int32_t i = 0; i < length; i++) {
        if (i > 0 && i % 3 == 0)
            text[--at] = ',';
        text[--at] = digits[i];
    }
    evi_text_add(t, "%*s", (int)width, text + at);
}

static void add_row(evi_text *t, const ev_model *m, const evi_node *node)
{
    evi_text shape;
    evi_text_start(&shape, t->ctx);
    add_shape(&shape, m, &m->values[node->out[0]].edge.shape);
    evi_text_add(t, "%-20s %-18s %-22s ", node->name, kind_of(node),
                 shape.data != NULL ? shape.data : "");
    evi_text_end(&shape);
    add_number(t, evi_node_parameters(m, node), 14);
    add_number(t, evi_node_macs(m, node), 18);
    evi_text_add(t, "\n");
}

static void add_table(evi_text *t, const ev_model *m)
{
    evi_text_add(t, "%-20s %-18s %-22s %14s%18s\n", "layer", "kind", "output", "parameters",
                 "multiply-adds");
    for (int32_t i = 0; i < m->n_nodes; i++)
        add_row(t, m, &m->nodes[i]);
    evi_text_add(t, "%-62s ", "total");
    add_number(t, ev_model_parameter_count(m), 14);
    add_number(t, ev_model_macs(m), 18);
    evi_text_add(t, "\n");
}

static void add_json_shape(evi_text *t, const evi_shape *s)
{
    evi_text_add(t, "[");
    for (int32_t i = 0; i < s->rank; i++)
        evi_text_add(t, "%s%lld", i > 0 ? "," : "", (long long)s->dim[i]);
    evi_text_add(t, "]");
}

static void add_json(evi_text *t, const ev_model *m)
{
    evi_text_add(t, "{\"parameters\":%lld,\"macs\":%lld,\"layers\":[",
                 (long long)ev_model_parameter_count(m), (long long)ev_model_macs(m));
    for (int32_t i = 0; i < m->n_nodes; i++) {
        const evi_node *node = &m->nodes[i];
        evi_text_add(t, "%s{\"name\":", i > 0 ? "," : "");
        evi_text_json_string(t, node->name);
        evi_text_add(t, ",\"kind\":");
        evi_text_json_string(t, kind_of(node));
        evi_text_add(t, ",\"output\":");
        add_json_shape(t, &m->values[node->out[0]].edge.shape);
        evi_text_add(t, ",\"parameters\":%lld,\"macs\":%lld}",
                     (long long)evi_node_parameters(m, node), (long long)evi_node_macs(m, node));
    }
    evi_text_add(t, "]}\n");
}

static void add_dot_edges(evi_text *t, const ev_model *m, int32_t number)
{
    const evi_node *node = &m->nodes[number];
    for (int32_t i = 0; i < node->n_in; i++) {
        if (node->in[i] == EV_NO_VALUE)
            continue;
        const evi_value *v = &m->values[node->in[i]];
        if (v->kind == EVI_VALUE_INPUT)
            evi_text_add(t, "  in%d -> n%d;\n", (int)v->index, (int)number);
        else if (v->kind == EVI_VALUE_NODE)
            evi_text_add(t, "  n%d -> n%d;\n", (int)v->index, (int)number);
    }
}

static void add_dot(evi_text *t, const ev_model *m)
{
    evi_text_add(t, "digraph model {\n  rankdir=TB;\n  node [shape=box, fontname=\"sans\"];\n");
    for (int32_t i = 0; i < m->n_inputs; i++) {
        evi_text_add(t, "  in%d [shape=ellipse, label=", (int)i);
        evi_text_json_string(t, m->inputs[i].name);
        evi_text_add(t, "];\n");
    }
    for (int32_t i = 0; i < m->n_nodes; i++) {
        const evi_node *node = &m->nodes[i];
        evi_text label;
        evi_text_start(&label, t->ctx);
        evi_text_add(&label, "%s\n%s ", node->name, kind_of(node));
        add_shape(&label, m, &m->values[node->out[0]].edge.shape);
        evi_text_add(t, "  n%d [label=", (int)i);
        evi_text_json_string(t, label.data != NULL ? label.data : "");
        evi_text_add(t, "];\n");
        evi_text_end(&label);
        add_dot_edges(t, m, i);
    }
    for (int32_t i = 0; i < m->n_outputs; i++) {
        const evi_value *v = &m->values[m->outputs[i].value];
        evi_text_add(t, "  out%d [shape=ellipse, label=", (int)i);
        evi_text_json_string(t, m->outputs[i].name);
        evi_text_add(t, "];\n");
        if (v->kind == EVI_VALUE_NODE)
            evi_text_add(t, "  n%d -> out%d;\n", (int)v->index, (int)i);
    }
    evi_text_add(t, "}\n");
}

ev_status ev_model_describe(const ev_model *model, int32_t kind, char **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    evi_text t;
    evi_text_start(&t, model->handle.ctx);
    switch (kind) {
    case EV_DESCRIBE_TABLE: add_table(&t, model); break;
    case EV_DESCRIBE_JSON: add_json(&t, model); break;
    case EV_DESCRIBE_DOT: add_dot(&t, model); break;
    default: return evi_fail(EV_ERR_ARGUMENT, "ev_model_describe: there is no kind %d", (int)kind);
    }
    if (t.status != EV_OK) {
        ev_status status = t.status;
        evi_text_end(&t);
        return status;
    }
    *out = evi_give(t.data);
    return EV_OK;
}

void ev_string_destroy(char *text)
{
    evi_free(text);
}
