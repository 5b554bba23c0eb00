/* SPDX-License-Identifier: MIT */
/* One model drawn again through the builder, in the order in which its values were drawn, with the
 * sizes that are left.  Where blocks go, a trial comes first: it draws the weights when they are
 * first read, since only then the size of what they read is known, and notes their shapes. */
#include "prune/apply.h"
#include <stdlib.h>
#include <string.h>

/* ---- what is read ---------------------------------------------------------------------------- */

/* Weights and constants that only left-out nodes read go too. */
static void find_unread(evi_redraw *r)
{
    const ev_model *old = r->old;
    for (int32_t pass = 1; pass >= 0; pass--)
        for (int32_t i = 0; i < old->n_nodes; i++)
            for (int32_t k = 0; k < old->nodes[i].n_in; k++) {
                int32_t v = old->nodes[i].in[k];
                if (v != EV_NO_VALUE && (r->gone[i] != 0) == (pass == 1))
                    r->unread[v] = (uint8_t)pass;
            }
    for (int32_t i = 0; i < old->n_outputs; i++)
        r->unread[old->outputs[i].value] = 0;
}

/* ---- values ---------------------------------------------------------------------------------- */

static ev_status draw_input(evi_redraw *r, int32_t value)
{
    const evi_value *v = &r->old->values[value];
    const evi_port *port = &r->old->inputs[v->index];
    evi_shape s = evi_redraw_expected(r, value), open = s;
    for (int32_t d = 0; d < s.rank; d++)
        if (port->dynamic >> d & 1)
            open.dim[d] = -1;
    return evi_model_add_input(r->to, port->name, v->edge.type, s.rank, open.dim, s.dim,
                               &r->map[value]);
}

static ev_status draw_param(evi_redraw *r, int32_t value)
{
    evi_param p = r->old->store->params[r->old->values[value].index];
    p.shape = r->fits ? evi_redraw_expected(r, value) : r->shape[value];
    evi_redraw_fans(r, value, &p);
    EVI_TRY(evi_model_add_param(r->to, &p, &r->map[value]));
    if (!r->trial)
        r->from[r->to->store->n_params - 1] = value;
    return EV_OK;
}

static ev_status draw_constant(evi_redraw *r, int32_t value)
{
    const evi_value *v = &r->old->values[value];
    evi_shape s = evi_redraw_expected(r, value);
    int32_t bytes = evi_type_bytes(v->edge.type);
    if (r->masks->first[r->model][value] < 0)
        return evi_model_add_constant(r->to, v->name, v->edge.type, &s, v->edge.value,
                                      &r->map[value]);
    void *left = NULL;
    uint64_t count = (uint64_t)evi_shape_count(&s);
    EVI_TRY(evi_malloc(r->masks->ctx, EVI_MAX(count, 1), (uint64_t)bytes, &left));
    ev_status status = evi_masks_gather(r->masks, r->model, value, &v->edge.shape, bytes,
                                        v->edge.value, left, NULL);
    if (status == EV_OK)
        status = evi_model_add_constant(r->to, v->name, v->edge.type, &s, left, &r->map[value]);
    evi_free(left);
    return status;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static ev_status inside(const evi_node *node, ev_status status)
{
    if (status == EV_OK || status == EV_ERR_MEMORY)
        return status;
    return evi_fail_in(EV_ERR_INTERNAL, "the pruned model cannot be drawn at layer '%s'",
                       node->name);
}

/* Is what the node reads as large as it is to be? */
static bool reads_expected(const evi_redraw *r, const evi_node *node)
{
    for (int32_t i = 0; i < node->n_in; i++) {
        if (node->in[i] == EV_NO_VALUE)
            continue;
        evi_shape s = evi_redraw_expected(r, node->in[i]);
        if (r->dirty[node->in[i]] || !evi_shape_equal(&s, &evi_redraw_edge(r, node->in[i])->shape))
            return false;
    }
    return true;
}

static ev_status check_results(const evi_redraw *r, const evi_node *node)
{
    char have[EVI_SHAPE_TEXT], want[EVI_SHAPE_TEXT];
    for (int32_t i = 0; i < node->n_out; i++) {
        const evi_edge *e = evi_redraw_edge(r, node->out[i]);
        evi_shape s = evi_redraw_expected(r, node->out[i]);
        if (e->type != 0 && !evi_shape_equal(&s, &e->shape))
            return evi_fail(EV_ERR_INTERNAL, "result %d is %s, not %s", (int)i,
                            evi_shape_text(&e->shape, have), evi_shape_text(&s, want));
    }
    return EV_OK;
}

/* In a trial, weights not drawn yet. */
static ev_status draw_late(evi_redraw *r, const evi_node *node)
{
    if (!r->trial)
        return EV_OK;
    EVI_TRY(evi_redraw_fit(r, node));
    for (int32_t i = 0; i < node->n_in; i++)
        if (node->in[i] != EV_NO_VALUE && r->map[node->in[i]] == EV_NO_VALUE)
            EVI_TRY(draw_param(r, node->in[i]));
    return EV_OK;
}

static ev_status draw_call(evi_redraw *r, const evi_node *node, const int32_t *in, int32_t *out)
{
    int32_t callee = 0;
    while (r->models[callee] != node->callee)
        callee++;
    long number = strncmp(node->name, "call", 4) == 0 ? strtol(node->name + 4, NULL, 10) : 0;
    if (number > 0 && number < EVI_MAX_NODES * 16)
        r->to->n_names = (int32_t)number - 1; /* a call's name comes from the count */
    return ev_model_call(r->to, r->callees[callee], in, node->n_in, node->frozen, out, node->n_out);
}

static ev_status draw_op(evi_redraw *r, const evi_node *node, int32_t *in, int32_t *out)
{
    evi_attrs a = node->a;
    int32_t n_in = node->n_in;
    EVI_TRY(evi_redraw_attrs(r, node, &a, in, &n_in));
    EVI_TRY(evi_model_add(r->to, node->op, &a, node->name, in, n_in, out, node->n_out));
    r->to->nodes[r->to->n_nodes - 1].frozen = node->frozen;
    return EV_OK;
}

/* Layers whose weights mix all channels: what comes out has the channels of its own filters. */
static bool mixes(const evi_node *node)
{
    const char *name = node->op == NULL ? "" : node->op->name;
    bool window = strcmp(name, "conv2d") == 0 || strcmp(name, "conv_transpose2d") == 0;
    return (window && node->a.groups == 1) || strcmp(name, "dense") == 0 ||
           strcmp(name, "matmul") == 0;
}

static ev_status draw_node(evi_redraw *r, const evi_node *node)
{
    int32_t *in = NULL;
    EVI_TRY(draw_late(r, node));
    bool expected = reads_expected(r, node), dirty = false;
    EVI_TRY(evi_malloc(r->masks->ctx, (uint64_t)(node->n_in + node->n_out), sizeof(int32_t), &in));
    int32_t *out = in + node->n_in;
    for (int32_t i = 0; i < node->n_in; i++) {
        bool none = node->in[i] == EV_NO_VALUE;
        in[i] = none ? EV_NO_VALUE : r->map[node->in[i]];
        dirty = dirty || (!none && r->dirty[node->in[i]]);
    }
    ev_status status =
        node->callee != NULL ? draw_call(r, node, in, out) : draw_op(r, node, in, out);
    for (int32_t i = 0; i < node->n_out && status == EV_OK; i++) {
        r->map[node->out[i]] = out[i];
        r->dirty[node->out[i]] = dirty && !mixes(node);
        evi_model_set_value_name(r->to, out[i], r->old->values[node->out[i]].name);
    }
    if (status == EV_OK && expected)
        status = check_results(r, node);
    evi_free(in);
    return inside(node, status);
}

static ev_status draw_value(evi_redraw *r, int32_t value)
{
    const evi_value *v = &r->old->values[value];
    const evi_node *node = v->kind == EVI_VALUE_NODE ? &r->old->nodes[v->index] : NULL;
    int32_t instead = r->instead[value];
    if (r->unread[value] && node == NULL && v->kind != EVI_VALUE_INPUT)
        return EV_OK;
    if (v->kind == EVI_VALUE_INPUT)
        EVI_TRY(draw_input(r, value));
    else if (v->kind == EVI_VALUE_CONSTANT)
        EVI_TRY(draw_constant(r, value));
    else if (v->kind == EVI_VALUE_PARAM && !r->trial)
        EVI_TRY(draw_param(r, value));
    else if (node != NULL && value == node->out[0] && !r->gone[v->index])
        EVI_TRY(draw_node(r, node));
    if (instead != EV_NO_VALUE) {
        r->map[value] = r->map[instead];
        r->dirty[value] |= r->dirty[instead];
    }
    return EV_OK;
}

/* ---- ends ------------------------------------------------------------------------------------ */

static ev_status draw_ends(evi_redraw *r)
{
    char have[EVI_SHAPE_TEXT], want[EVI_SHAPE_TEXT];
    const ev_model *old = r->old;
    for (int32_t i = 0; i < old->n_outputs && !r->trial; i++) {
        const evi_port *port = &old->outputs[i];
        const evi_shape *now = &evi_redraw_edge(r, port->value)->shape;
        evi_shape s = evi_redraw_expected(r, port->value);
        if (!evi_shape_equal(now, &s))
            return evi_fail(EV_ERR_INTERNAL, "output '%s' of the pruned model is %s, not %s",
                            port->name, evi_shape_text(now, have), evi_shape_text(&s, want));
        int32_t value = r->map[port->value];
        EVI_TRY(port->is_loss ? ev_model_loss(r->to, port->name, value, port->weight)
                              : ev_model_output(r->to, port->name, value));
    }
    for (int32_t i = 0; i < old->n_meta; i++)
        EVI_TRY(ev_model_set_meta(r->to, old->meta[i].key, old->meta[i].value));
    r->to->n_names = old->n_names;
    return EV_OK;
}

ev_status evi_redraw_model(evi_redraw *r)
{
    int32_t n = r->old->n_values;
    find_unread(r);
    for (int32_t v = 0; v < n; v++)
        r->map[v] = EV_NO_VALUE;
    for (int32_t v = 0; v < n; v++)
        EVI_TRY(draw_value(r, v));
    return draw_ends(r);
}
