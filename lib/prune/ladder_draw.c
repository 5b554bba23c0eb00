/* SPDX-License-Identifier: MIT */
/* A sequential classifier as a list of layers, and drawn anew from such a list: each layer as it
 * was, but for its size and for what it reads. */
#include "prune/ladder.h"

#include <string.h>

#define MOST_OPERANDS 16

/* ---- reading --------------------------------------------------------------------------------- */

static bool is(const evi_node *node, const char *name)
{
    return strcmp(node->op->name, name) == 0;
}

static const evi_shape *shape_of(const ev_model *m, int32_t value)
{
    return &m->values[value].edge.shape;
}

static ev_status refuse(const evi_node *node, const char *why)
{
    return evi_fail(EV_ERR_UNSUPPORTED, "ev_ladder_next: layer '%s' (%s): %s", node->name,
                    node->op == NULL ? "call" : node->op->name, why);
}

/* What flows through the node must be its one input that is neither weight nor constant. */
static ev_status check_flow(const ev_model *m, const evi_node *node, int32_t flow)
{
    bool found = false;
    if (node->op == NULL || node->n_in > MOST_OPERANDS || node->n_out > MOST_OPERANDS)
        return refuse(node, "not a layer of a sequence");
    for (int32_t i = 0; i < node->n_in; i++) {
        int32_t v = node->in[i];
        if (v == EV_NO_VALUE || m->values[v].kind == EVI_VALUE_PARAM ||
            m->values[v].kind == EVI_VALUE_CONSTANT)
            continue;
        if (v != flow || found)
            return refuse(node, "it reads more than the layer before it");
        found = true;
    }
    return found ? EV_OK : refuse(node, "it does not read the layer before it");
}

static ev_status read_conv(const ev_model *m, evi_rung_layer *l)
{
    const evi_node *node = l->node;
    int64_t c_in = shape_of(m, node->in[0])->dim[1];
    if (node->a.groups != 1 && node->a.groups != c_in)
        return refuse(node, "a grouped convolution");
    l->kind = node->a.groups == 1 ? EVI_RUNG_CONV : EVI_RUNG_DEPTHWISE;
    l->size = (int32_t)shape_of(m, node->out[0])->dim[1];
    return EV_OK;
}

static ev_status read_layer(const ev_model *m, const evi_node *node, evi_rung_layer *l)
{
    const evi_shape *in = shape_of(m, node->in[0]), *out = shape_of(m, node->out[0]);
    *l = (evi_rung_layer){.node = node};
    if (is(node, "conv2d"))
        EVI_TRY(read_conv(m, l));
    else if (is(node, "conv_transpose2d") || (is(node, "dense") && node->a.trans_a))
        return refuse(node, "the ladder does not know it");
    else if (is(node, "dense") || (is(node, "matmul") && out->rank == 2)) {
        l->kind = EVI_RUNG_DENSE;
        l->size = (int32_t)out->dim[1];
    } else if (is(node, "max_pool2d") || is(node, "average_pool2d"))
        l->kind = EVI_RUNG_POOL;
    else if (in->rank == 4 && out->rank == 2 && in->dim[0] == out->dim[0])
        l->kind = EVI_RUNG_FLATTEN;
    l->before = l->size;
    return EV_OK;
}

/* The last layer with a size has one unit a class. */
static ev_status finish(evi_rung *r)
{
    int32_t last = -1, stage = 0;
    for (int32_t i = 0; i < r->n; i++) {
        evi_rung_layer *l = &r->layers[i];
        const evi_attrs *a = &l->node->a;
        bool strides = (l->kind == EVI_RUNG_POOL || l->kind == EVI_RUNG_CONV) &&
                       (a->stride[0] > 1 || a->stride[1] > 1);
        stage += strides && l->kind == EVI_RUNG_CONV;
        l->stage = stage;
        stage += strides && l->kind == EVI_RUNG_POOL;
        if (l->kind == EVI_RUNG_CONV || l->kind == EVI_RUNG_DENSE)
            last = i;
    }
    if (last < 0)
        return evi_fail(EV_ERR_UNSUPPORTED, "ev_ladder_next: model has no layer with weights");
    r->layers[last].fixed = true;
    return EV_OK;
}

ev_status evi_rung_read(ev_context *ctx, const ev_model *m, evi_rung *r)
{
    *r = (evi_rung){.ctx = ctx, .from = m, .n = m->n_nodes};
    if (m->n_inputs != 1 || m->n_outputs != 1 || m->outputs[0].is_loss)
        return evi_fail(EV_ERR_UNSUPPORTED,
                        "ev_ladder_next: model has %d inputs and %d outputs, not one of each",
                        (int)m->n_inputs, (int)m->n_outputs);
    EVI_TRY(evi_calloc(ctx, (uint64_t)r->n, sizeof(*r->layers), &r->layers));
    int32_t flow = m->inputs[0].value;
    for (int32_t i = 0; i < r->n; i++) {
        EVI_TRY(check_flow(m, &m->nodes[i], flow));
        EVI_TRY(read_layer(m, &m->nodes[i], &r->layers[i]));
        flow = m->nodes[i].out[0];
    }
    if (m->outputs[0].value != flow)
        return evi_fail(EV_ERR_UNSUPPORTED,
                        "ev_ladder_next: output '%s' is not the end of the sequence",
                        m->outputs[0].name);
    return finish(r);
}

/* ---- drawing --------------------------------------------------------------------------------- */

/* Dimension 1 of what flows. */
static int64_t width_of(const evi_shape *s)
{
    return s->rank > 1 ? s->dim[1] : 1;
}

static int64_t area_of(const evi_shape *s, int32_t from)
{
    int64_t n = 1;
    for (int32_t i = from; i < s->rank; i++)
        n *= s->dim[i];
    return n;
}

/* The shape of operand number `operand`, with `units` made of `width`. */
static void fit_param(const evi_rung_layer *l, int32_t operand, int64_t old_width, int64_t width,
                      int64_t units, evi_param *p)
{
    evi_shape *s = &p->shape;
    if ((l->kind == EVI_RUNG_CONV || l->kind == EVI_RUNG_DEPTHWISE) && operand == 1) {
        s->dim[0] = units;
        s->dim[1] = l->kind == EVI_RUNG_CONV ? width : 1;
        p->fan_in = area_of(s, 1);
        p->fan_out = (l->kind == EVI_RUNG_CONV ? units : units / width) * area_of(s, 2);
    } else if (l->kind == EVI_RUNG_DENSE && operand == 1) {
        bool across = is(l->node, "dense") && l->node->a.trans_b;
        s->dim[across ? 0 : 1] = p->fan_out = units;
        s->dim[across ? 1 : 0] = p->fan_in = width;
    } else {
        int64_t old = units > 0 && l->kind != EVI_RUNG_OTHER ? l->before : old_width;
        for (int32_t i = 0; i < s->rank; i++)
            if (s->dim[i] == old && old > 1)
                s->dim[i] = l->kind != EVI_RUNG_OTHER && units > 0 ? units : width;
    }
    p->count = evi_shape_count(s);
}

/* Filters of a depthwise layer follow what it reads. */
static int64_t units_of(const evi_rung *r, const evi_rung_layer *l, int64_t width)
{
    int64_t old = width_of(shape_of(r->from, l->node->in[0]));
    return l->kind == EVI_RUNG_DEPTHWISE ? l->before / old * width : l->size;
}

static ev_status draw_operands(const evi_rung *r, const evi_rung_layer *l, ev_model *m, int32_t x,
                               int32_t flow, int32_t *in)
{
    int64_t width = width_of(shape_of(m, x)), old = width_of(shape_of(r->from, flow));
    for (int32_t i = 0; i < l->node->n_in; i++) {
        int32_t v = l->node->in[i];
        in[i] = v == flow ? x : EV_NO_VALUE;
        if (v == flow || v == EV_NO_VALUE)
            continue;
        const evi_value *value = &r->from->values[v];
        if (value->kind == EVI_VALUE_CONSTANT) {
            EVI_TRY(evi_model_add_constant(m, value->name, value->edge.type, &value->edge.shape,
                                           value->constant, &in[i]));
            continue;
        }
        evi_param p = r->from->store->params[value->index];
        p.data = NULL;
        p.frozen = 0;
        fit_param(l, i, old, width, units_of(r, l, width), &p);
        EVI_TRY(evi_model_add_param(m, &p, &in[i]));
    }
    return EV_OK;
}

static ev_status draw_layer(const evi_rung *r, const evi_rung_layer *l, ev_model *m, int32_t flow,
                            int32_t *x)
{
    int32_t in[MOST_OPERANDS], out[MOST_OPERANDS];
    evi_attrs a = l->node->a;
    if (l->kind == EVI_RUNG_FLATTEN) { /* not a reshape, which has the old size in it */
        const evi_op *op = evi_op_find("flatten");
        evi_attrs_default(&a);
        a.axis = 1;
        EVI_TRY(evi_model_add(m, op, &a, l->node->name, x, 1, out, 1));
        *x = out[0];
        return EV_OK;
    }
    EVI_TRY(draw_operands(r, l, m, *x, flow, in));
    if (l->kind == EVI_RUNG_DEPTHWISE)
        a.groups = (int32_t)width_of(shape_of(m, *x));
    EVI_TRY(
        evi_model_add(m, l->node->op, &a, l->node->name, in, l->node->n_in, out, l->node->n_out));
    *x = out[0];
    return EV_OK;
}

static ev_status draw_all(const evi_rung *r, ev_model *m)
{
    const evi_port *input = &r->from->inputs[0];
    const evi_edge *edge = &r->from->values[input->value].edge;
    int64_t dims[EV_MAX_RANK];
    int32_t x = EV_NO_VALUE, flow = input->value;
    for (int32_t i = 0; i < edge->shape.rank; i++)
        dims[i] = input->dynamic >> i & 1 ? -1 : edge->shape.dim[i];
    EVI_TRY(evi_model_add_input(m, input->name, edge->type, edge->shape.rank, dims, edge->shape.dim,
                                &x));
    for (int32_t i = 0; i < r->n; i++) {
        if (!r->layers[i].gone)
            EVI_TRY(draw_layer(r, &r->layers[i], m, flow, &x));
        flow = r->layers[i].node->out[0];
    }
    EVI_TRY(ev_model_output(m, r->from->outputs[0].name, x));
    for (int32_t i = 0; i < r->from->n_meta; i++)
        EVI_TRY(ev_model_set_meta(m, r->from->meta[i].key, r->from->meta[i].value));
    return EV_OK;
}

ev_status evi_rung_draw(const evi_rung *r, ev_model **out)
{
    ev_model *m = NULL;
    *out = NULL;
    EVI_TRY(ev_model_create(r->ctx, &m));
    ev_status status = draw_all(r, m);
    if (status != EV_OK)
        ev_model_destroy(m);
    else
        *out = m;
    return status;
}
