/* SPDX-License-Identifier: MIT */
/* From the nodes of a plan to steps that can be prepared or run: one block with steps, views, and
 * the pointers between them. */
#include "graph/plan.h"
#include <string.h>

typedef struct layout { /* byte offsets in the block */
    uint64_t node, view, edges, pointers, total;
    int32_t n_steps, n_pointers, most;
} layout;

static layout lay_out(const ev_plan *plan)
{
    layout l = {0};
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        const evi_flat_node *node = &plan->nodes[i];
        if (node->dead)
            continue;
        l.n_steps++;
        l.n_pointers += node->n_in + node->n_out;
        l.most = EVI_MAX(l.most, node->n_in + node->n_out);
    }
    l.node = (uint64_t)l.n_steps * sizeof(evi_step);
    l.view = evi_round_up(l.node + (uint64_t)l.n_steps * sizeof(int32_t), EVI_ALIGN);
    l.edges = l.view + (uint64_t)plan->n_values * sizeof(evi_view);
    l.pointers = l.edges + (uint64_t)l.most * sizeof(evi_edge);
    l.total = evi_round_up(l.pointers + (uint64_t)l.n_pointers * sizeof(evi_view *), EVI_ALIGN);
    return l;
}

uint64_t evi_steps_bytes(const ev_plan *plan)
{
    return evi_block_bytes(lay_out(plan).total);
}

static void fill_views(const ev_plan *plan, evi_view *views)
{
    for (int32_t i = 0; i < plan->n_values; i++) {
        const evi_flat_value *v = &plan->values[i];
        views[i].type = v->edge.type;
        views[i].shape = v->edge.shape;
        views[i].is_param = v->kind == EVI_FLAT_PARAM;
        views[i].data = (void *)(uintptr_t)evi_plan_data(plan, i);
    }
}

static void fill_step(const ev_plan *plan, int32_t number, evi_step *s)
{
    const evi_flat_node *node = &plan->nodes[number];
    s->op = node->op;
    s->a = node->a;
    s->n_in = node->n_in;
    s->n_out = node->n_out;
    s->k = plan->k;
    s->n_workers = plan->n_workers;
    s->training = plan->training;
    s->frozen = node->frozen;
    s->precise = plan->precise;
    s->variant = node->variant;
    s->act = node->act;
    s->act_alpha = node->act_alpha;
    s->act_beta = node->act_beta;
    s->pooled = node->pooled;
    s->grad_first = node->grad_first;
    s->packed_bytes = node->packed_bytes;
    s->scratch_bytes = node->scratch_bytes;
    s->saved_bytes = node->saved_bytes;
    s->packed = plan->packed == NULL || node->packed_bytes == 0
                    ? NULL
                    : (char *)plan->packed + node->packed_offset;
    s->rng = (evi_rng){0, (uint64_t)number + 1};
}

ev_status evi_steps_create(const ev_plan *plan, evi_steps *out)
{
    layout l = lay_out(plan);
    memset(out, 0, sizeof(*out));
    EVI_TRY(evi_calloc(plan->handle.ctx, l.total, 1, &out->block));
    char *block = out->block;
    out->n = l.n_steps;
    out->n_views = plan->n_values;
    out->step = (evi_step *)(void *)block;
    out->node = (int32_t *)(void *)(block + l.node);
    out->view = (evi_view *)(void *)(block + l.view);
    out->edges = (evi_edge *)(void *)(block + l.edges);
    evi_view **pointer = (evi_view **)(void *)(block + l.pointers);
    fill_views(plan, out->view);
    int32_t at = 0;
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        const evi_flat_node *node = &plan->nodes[i];
        if (node->dead)
            continue;
        evi_step *s = &out->step[at];
        out->node[at++] = i;
        fill_step(plan, i, s);
        s->in = pointer;
        s->out = pointer + node->n_in;
        pointer += node->n_in + node->n_out;
        for (int32_t j = 0; j < node->n_in; j++)
            s->in[j] = node->in[j] < 0 ? NULL : &out->view[node->in[j]];
        for (int32_t j = 0; j < node->n_out; j++)
            s->out[j] = &out->view[node->out[j]];
    }
    return EV_OK;
}

ev_status evi_steps_infer(const ev_plan *plan, evi_steps *steps)
{
    for (int32_t i = 0; i < steps->n; i++) {
        evi_step *s = &steps->step[i];
        const evi_flat_node *node = &plan->nodes[steps->node[i]];
        evi_edge *in = steps->edges, *out = in + s->n_in;
        memset(in, 0, (size_t)(s->n_in + s->n_out) * sizeof(*in));
        for (int32_t j = 0; j < s->n_in; j++) {
            if (s->in[j] == NULL)
                continue;
            in[j] = plan->values[node->in[j]].edge; /* known elements come along */
            in[j].shape = s->in[j]->shape;
        }
        ev_status status = s->op->infer(&s->a, in, s->n_in, out, s->n_out);
        if (status != EV_OK)
            return evi_fail_in(status, "%s '%s'", s->op->name, node->name);
        for (int32_t j = 2; j < 4 && s->pooled; j++) /* infer does not know of the fused pool */
            out[0].shape.dim[j] /= 2;
        for (int32_t j = 0; j < s->n_out; j++)
            s->out[j]->shape = out[j].shape;
    }
    return EV_OK;
}
