/* SPDX-License-Identifier: MIT */
/* Plans for training: which values want a gradient, which nodes take part in backward, and which
 * contribution to a gradient is the first (and may overwrite what was there). */
#include "graph/plan.h"

static bool wants(const ev_plan *plan, int32_t value)
{
    return value >= 0 && plan->values[value].want_grad;
}

static bool is_trained(const ev_plan *plan, const evi_flat_value *v)
{
    if (v->kind != EVI_FLAT_PARAM || v->frozen)
        return false;
    const evi_param *p = &plan->stores[v->store]->params[v->index];
    return p->trainable && !p->frozen;
}

/* Towards the losses: a value depends on something trained. */
static void mark_dependent(ev_plan *plan)
{
    for (int32_t i = 0; i < plan->n_values; i++)
        plan->values[i].want_grad = is_trained(plan, &plan->values[i]);
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        const evi_flat_node *node = &plan->nodes[i];
        bool any = false;
        if (node->dead) /* what it gave may be another's now */
            continue;
        for (int32_t j = 0; j < node->n_in; j++)
            any = any || wants(plan, node->in[j]);
        for (int32_t j = 0; j < node->n_out; j++)
            plan->values[node->out[j]].want_grad =
                any && evi_type_is_real(plan->values[node->out[j]].edge.type);
    }
}

/* From the losses: what no loss depends on wants no gradient. */
static ev_status mark_reached(ev_plan *plan, uint8_t *reached)
{
    for (int32_t i = 0; i < plan->n_outputs; i++)
        if (plan->model->outputs[i].is_loss)
            reached[plan->outputs[i]] = 1;
    for (int32_t i = plan->n_nodes - 1; i >= 0; i--) {
        evi_flat_node *node = &plan->nodes[i];
        bool any = false;
        for (int32_t j = 0; j < node->n_out && !node->dead; j++)
            any = any || (reached[node->out[j]] && wants(plan, node->out[j]));
        node->in_backward = any;
        if (!any)
            continue;
        if (node->op->backward == NULL)
            return evi_fail(EV_ERR_UNSUPPORTED,
                            "layer '%s' (%s) has no gradient: freeze what comes "
                            "before it",
                            node->name, node->op->name);
        if (node->n_in > 64) /* bits of grad_first */
            return evi_fail(EV_ERR_UNSUPPORTED,
                            "layer '%s' has %d inputs; at most 64 can be trained "
                            "through",
                            node->name, (int)node->n_in);
        for (int32_t j = 0; j < node->n_in; j++)
            if (node->in[j] >= 0)
                reached[node->in[j]] = 1;
        for (int32_t j = 0; j < node->n_out; j++) /* its other results have a gradient too: zero */
            reached[node->out[j]] = 1;
    }
    for (int32_t i = 0; i < plan->n_values; i++)
        plan->values[i].want_grad = plan->values[i].want_grad && reached[i];
    return EV_OK;
}

/* In the order of backward: the first contribution to each gradient.  That of a loss is its
 * weight. */
static void mark_first(ev_plan *plan, uint8_t *started)
{
    for (int32_t i = 0; i < plan->n_outputs; i++)
        if (plan->model->outputs[i].is_loss)
            started[plan->outputs[i]] = 1;
    for (int32_t i = plan->n_nodes - 1; i >= 0; i--) {
        evi_flat_node *node = &plan->nodes[i];
        for (int32_t j = 0; j < node->n_in && node->in_backward; j++) {
            if (!wants(plan, node->in[j]) || started[node->in[j]])
                continue;
            started[node->in[j]] = 1;
            node->grad_first |= (uint64_t)1 << j;
        }
    }
    for (int32_t i = 0; i < plan->n_values; i++)
        plan->values[i].grad_zero = plan->values[i].want_grad && !started[i];
}

ev_status evi_plan_gradients(ev_plan *plan)
{
    if (!plan->training)
        return EV_OK;
    uint8_t *mark = NULL;
    EVI_TRY(evi_calloc(plan->handle.ctx, 2 * (uint64_t)plan->n_values, 1, &mark));
    mark_dependent(plan);
    ev_status status = mark_reached(plan, mark);
    if (status == EV_OK)
        mark_first(plan, mark + plan->n_values);
    evi_free(mark);
    return status;
}
