/* SPDX-License-Identifier: MIT */
/* Weights behind a block that was left out: their shapes follow what they read now, by the ties
 * that the operation itself names (`channels`), and what no longer fits starts again. */
#include "prune/apply.h"
#include <string.h>

static bool is_param(const evi_redraw *r, int32_t value)
{
    return value != EV_NO_VALUE && r->old->values[value].kind == EVI_VALUE_PARAM;
}

/* An operand of the node with data (not weights) that one slice of this set belongs to. */
static const evi_slice *data_slice(const evi_redraw *r, const evi_node *node, const evi_coupling *c,
                                   int32_t set)
{
    for (int32_t i = 0; i < c->n; i++) {
        const evi_slice *s = &c->slice[i];
        if (s->set != set || s->operand < 0)
            continue;
        int32_t value = node->in[s->operand];
        if (!is_param(r, value) && r->old->values[value].kind != EVI_VALUE_CONSTANT)
            return s;
    }
    return NULL;
}

/* Axis s->axis of a weight, when the data axis that it is tied to has now `have` of `was`. */
static ev_status resize(evi_redraw *r, const evi_node *node, const evi_slice *s, int64_t have,
                        int64_t was)
{
    int32_t value = node->in[s->operand];
    const evi_param *p = &r->old->store->params[r->old->values[value].index];
    int64_t wide = p->shape.dim[s->axis] * have;
    if (wide % was != 0)
        return evi_fail(EV_ERR_INTERNAL, "weight '%s' cannot follow from %lld channels to %lld",
                        p->name, (long long)was, (long long)have);
    r->shape[value].dim[s->axis] = wide / was;
    return EV_OK;
}

static ev_status fit_set(evi_redraw *r, const evi_node *node, const evi_coupling *c, int32_t set,
                         bool *anew)
{
    const evi_slice *data = data_slice(r, node, c, set);
    if (data == NULL)
        return EV_OK;
    int32_t value = node->in[data->operand];
    int64_t was = r->old->values[value].edge.shape.dim[data->axis];
    int64_t have = evi_redraw_edge(r, value)->shape.dim[data->axis];
    if (evi_redraw_expected(r, value).dim[data->axis] == have)
        return EV_OK;
    for (int32_t i = 0; i < c->n; i++) {
        const evi_slice *s = &c->slice[i];
        if (s->set != set || s->operand < 0 || !is_param(r, node->in[s->operand]))
            continue;
        EVI_TRY(resize(r, node, s, have, was));
        *anew = true;
    }
    return EV_OK;
}

static ev_status couple(const evi_redraw *r, const evi_node *node, evi_coupling *c)
{
    evi_edge *in = NULL;
    EVI_TRY(evi_calloc(r->masks->ctx, (uint64_t)(node->n_in + node->n_out), sizeof(*in), &in));
    for (int32_t i = 0; i < node->n_in; i++)
        if (node->in[i] != EV_NO_VALUE)
            in[i] = r->old->values[node->in[i]].edge;
    for (int32_t i = 0; i < node->n_out; i++)
        in[node->n_in + i] = r->old->values[node->out[i]].edge;
    node->op->channels(&node->a, in, node->n_in, in + node->n_in, node->n_out, c);
    evi_free(in);
    return EV_OK;
}

static bool is_layer(const evi_node *node)
{
    static const char *const names[] = {"conv2d", "conv_transpose2d", "dense", "matmul"};
    for (int32_t i = 0; i < EVI_COUNT(names); i++)
        if (strcmp(node->op->name, names[i]) == 0)
            return true;
    return false;
}

ev_status evi_redraw_fit(evi_redraw *r, const evi_node *node)
{
    bool odd = false, params = false, anew = false;
    for (int32_t i = 0; i < node->n_in; i++) {
        int32_t v = node->in[i];
        params = params || is_param(r, v);
        if (v == EV_NO_VALUE || is_param(r, v))
            continue;
        evi_shape want = evi_redraw_expected(r, v);
        anew = anew || r->dirty[v];
        odd = odd || !evi_shape_equal(&want, &evi_redraw_edge(r, v)->shape);
    }
    if (!params || node->op == NULL || node->op->channels == NULL || (!odd && !anew))
        return EV_OK;
    evi_coupling *c = NULL;
    anew = anew && is_layer(node);
    EVI_TRY(evi_calloc(r->masks->ctx, 1, sizeof(*c), &c));
    ev_status status = couple(r, node, c);
    for (int32_t set = 0; set < c->n_sets && status == EV_OK; set++)
        status = fit_set(r, node, c, set, &anew);
    for (int32_t i = 0; i < node->n_in && anew && status == EV_OK; i++)
        if (is_param(r, node->in[i]))
            r->anew[node->in[i]] = 1;
    evi_free(c);
    return status;
}

/* ---- fans ------------------------------------------------------------------------------------ */

static const evi_node *first_reader(const ev_model *m, int32_t value, int32_t *operand)
{
    for (int32_t i = 0; i < m->n_nodes; i++)
        for (int32_t k = 0; k < m->nodes[i].n_in; k++)
            if (m->nodes[i].in[k] == value) {
                *operand = k;
                return &m->nodes[i];
            }
    return NULL;
}

/* By the rules of the layer functions: what an axis counts for is told by who reads the weight. */
void evi_redraw_fans(const evi_redraw *r, int32_t value, evi_param *p)
{
    const evi_shape *old = &r->old->values[value].edge.shape, *now = &p->shape;
    int32_t operand = 0;
    if (evi_shape_equal(old, now) || now->rank == 0)
        return;
    double in = (double)p->fan_in, out = (double)p->fan_out;
    const evi_node *node = first_reader(r->old, value, &operand);
    const char *name = node == NULL || node->op == NULL ? "" : node->op->name;
    double share[EV_MAX_RANK] = {0};
    for (int32_t d = 0; d < now->rank; d++)
        share[d] = old->dim[d] > 0 ? (double)now->dim[d] / (double)old->dim[d] : 1;
    if (now->rank == 1) {
        in *= share[0];
        out *= share[0];
    } else if (strcmp(name, "conv_transpose2d") == 0) {
        in *= share[0];
        out *= share[1];
    } else if (strcmp(name, "matmul") == 0 || (strcmp(name, "dense") == 0 && !node->a.trans_b)) {
        in *= share[0];
        out *= share[1];
    } else {
        bool alone = node != NULL && node->a.groups > 1 && old->dim[1] == 1;
        out *= alone ? 1 : share[0]; /* filters of one group */
        for (int32_t d = 1; d < now->rank; d++)
            in *= share[d];
    }
    p->fan_in = EVI_MAX((int64_t)(in + 0.5), 1);
    p->fan_out = EVI_MAX((int64_t)(out + 0.5), 1);
}
