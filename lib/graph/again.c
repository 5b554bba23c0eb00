/* SPDX-License-Identifier: MIT */
/* Values that are cheaper to compute twice than to keep: what a norm or a pad gave to a convolution
 * is needed again only by the step back of that convolution, when the input of the norm is still
 * there for the norm's own step back.  So it is thrown away after its use in forward, and the one
 * or two steps that made it run again just before. */
#include "graph/plan.h"

typedef struct search {
    ev_plan *plan;
    const int32_t *readers;
    int32_t *last, *again;
    int32_t time; /* of the step back that reads the value */
} search;

/* Was the value made by a step that may run again, for one reader alone? */
static evi_flat_node *maker(const search *s, int32_t value)
{
    const evi_flat_value *v = &s->plan->values[value];
    if (v->kind != EVI_FLAT_TEMP || v->is_output || s->readers[value] != 1)
        return NULL;
    evi_flat_node *node = &s->plan->nodes[v->index];
    bool may = !node->dead && (node->op->traits & EVI_OP_AGAIN) && node->n_out == 1;
    return may ? node : NULL;
}

/* Are all inputs of a node there at that time, but for the one given (or -1)? */
static bool inputs_live(const search *s, const evi_flat_node *node, int32_t but)
{
    for (int32_t j = 0; j < node->n_in; j++)
        if (node->in[j] >= 0 && node->in[j] != but &&
            s->plan->values[node->in[j]].kind == EVI_FLAT_TEMP && s->last[node->in[j]] < s->time)
            return false;
    return true;
}

static void mark(search *s, evi_flat_node *reader, int32_t slot, const evi_flat_node *made)
{
    reader->again[slot] = (int32_t)(made - s->plan->nodes) + 1;
    s->again[made->out[0]] = s->last[made->out[0]] = s->time;
}

static void visit(search *s, evi_flat_node *reader)
{
    const evi_flat_node *node = maker(s, reader->in[0]), *before;
    if (node == NULL || s->last[reader->in[0]] != s->time)
        return;
    if (inputs_live(s, node, -1)) {
        mark(s, reader, 1, node);
        return;
    }
    before = maker(s, node->in[0]);
    if (before == NULL || s->last[node->in[0]] >= s->time ||
        !inputs_live(s, node, node->in[0]) || !inputs_live(s, before, -1))
        return;
    mark(s, reader, 0, before);
    mark(s, reader, 1, node);
}

void evi_plan_again(ev_plan *plan, const int32_t *readers, int32_t *last, int32_t *again)
{
    search s = {.plan = plan, .readers = readers, .last = last, .again = again};
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        evi_flat_node *node = &plan->nodes[i];
        s.time = 2 * plan->n_nodes - 1 - i;
        /* what has weights to pack is expensive enough for the others to be cheap beside it */
        if (!node->dead && node->in_backward && node->op->pack != NULL && node->in[0] >= 0)
            visit(&s, node);
    }
}
