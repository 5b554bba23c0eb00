/* SPDX-License-Identifier: MIT */
/* What a plan comes to, by arithmetic: each channel that goes makes some axes shorter by so many,
 * weights are products of axes, and multiply-adds follow from shapes.  Nothing is drawn, so that a
 * search may ask hundreds of times. */
#include "prune/plan.h"

#include <math.h>
#include <string.h>

/* ---- making ---------------------------------------------------------------------------------- */

/* The same indices of the same axis again: grouped convolutions have such spots. */
static bool is_double(const evi_groups *g, int32_t first, int32_t spot)
{
    const evi_spot *s = &g->spots[spot];
    for (int32_t i = first; i < spot; i++) {
        const evi_spot *t = &g->spots[i];
        if (t->model == s->model && t->value == s->value && t->axis == s->axis &&
            t->offset == s->offset && t->stride == s->stride && t->block == s->block)
            return true;
    }
    return false;
}

static void find_cuts(evi_tally *t)
{
    const evi_groups *g = &t->pruner->groups;
    for (int32_t i = 0; i < g->n; i++) {
        const evi_group *group = &g->groups[i];
        int32_t end = group->first_spot + group->n_spots;
        for (int32_t j = group->first_spot; j < end; j++) {
            const evi_spot *s = &g->spots[j];
            if (!is_double(g, group->first_spot, j))
                t->cuts[t->n_cuts++] = (evi_cut){.value = t->first_value[s->model] + s->value,
                                                 .axis = s->axis,
                                                 .group = i,
                                                 .block = s->block};
        }
    }
}

/* How often each model runs for one picture: callees come before their callers. */
static void count_calls(evi_tally *t)
{
    const evi_groups *g = &t->pruner->groups;
    t->n_calls[g->n_models - 1] = 1;
    for (int32_t m = g->n_models - 1; m >= 0; m--)
        for (int32_t i = 0; i < g->models[m]->n_nodes; i++)
            for (int32_t c = 0; c < m; c++)
                if (g->models[m]->nodes[i].callee == g->models[c])
                    t->n_calls[c] += t->n_calls[m];
}

static void copy_shapes(evi_tally *t)
{
    const evi_groups *g = &t->pruner->groups;
    for (int32_t m = 0; m < g->n_models; m++)
        for (int32_t v = 0; v < g->models[m]->n_values; v++)
            t->drawn[t->first_value[m] + v] = g->models[m]->values[v].edge.shape;
    memcpy(t->now, t->drawn, (size_t)t->n_values * sizeof(*t->now));
}

ev_status evi_tally_create(const ev_pruner *p, evi_tally **out)
{
    const evi_groups *g = &p->groups;
    evi_tally t = {.pruner = p, .n_models = g->n_models};
    for (int32_t m = 0; m < g->n_models; m++) {
        t.n_values += g->models[m]->n_values;
        t.n_nodes += g->models[m]->n_nodes;
    }
    uint64_t head = evi_round_up(sizeof(t), 8), models = (uint64_t)g->n_models,
             shapes = (uint64_t)t.n_values * sizeof(evi_shape);
    uint64_t size = head + models * sizeof(int64_t) + 2 * shapes +
                    (uint64_t)g->n_spots * sizeof(evi_cut) +
                    (2 * (models + 1) + (uint64_t)g->n) * sizeof(int32_t) + (uint64_t)t.n_nodes;
    char *at = NULL;
    *out = NULL;
    EVI_TRY(evi_calloc(p->handle.ctx, size, 1, &at));
    *out = (evi_tally *)(void *)at;
    t.n_calls = (int64_t *)(void *)(at += head);
    t.drawn = (evi_shape *)(void *)(at += models * sizeof(int64_t));
    t.now = (evi_shape *)(void *)(at += shapes);
    t.cuts = (evi_cut *)(void *)(at += shapes);
    t.first_value = (int32_t *)(void *)(at += (uint64_t)g->n_spots * sizeof(evi_cut));
    t.first_node = t.first_value + models + 1;
    t.widths = t.first_node + models + 1;
    t.gone = (uint8_t *)(t.widths + g->n);
    **out = t;
    for (int32_t m = 0; m < g->n_models; m++) {
        t.first_value[m + 1] = t.first_value[m] + g->models[m]->n_values;
        t.first_node[m + 1] = t.first_node[m] + g->models[m]->n_nodes;
    }
    copy_shapes(*out);
    find_cuts(*out);
    count_calls(*out);
    return EV_OK;
}

void evi_tally_free(evi_tally *t)
{
    if (t != NULL)
        evi_free(t->node_ms);
    evi_free(t);
}

/* ---- asking ---------------------------------------------------------------------------------- */

void evi_tally_set(evi_tally *t, const int32_t *widths)
{
    memcpy(t->now, t->drawn, (size_t)t->n_values * sizeof(*t->now));
    for (int32_t i = 0; i < t->n_cuts; i++) {
        const evi_cut *cut = &t->cuts[i];
        int32_t gone = t->pruner->groups.groups[cut->group].n - widths[cut->group];
        t->now[cut->value].dim[cut->axis] -= gone * cut->block;
    }
}

void evi_tally_set_plan(evi_tally *t, const ev_prune_plan *plan)
{
    for (int32_t g = 0; g < t->pruner->groups.n; g++)
        t->widths[g] = ev_prune_plan_width(plan, g);
    evi_tally_set(t, t->widths);
    const evi_blocks *b = &t->pruner->blocks;
    memset(t->gone, 0, (size_t)t->n_nodes);
    for (int32_t i = 0; i < b->n; i++)
        for (int32_t k = 0; k < b->blocks[i].n_nodes && !plan->keep_block[i]; k++)
            t->gone[t->first_node[b->blocks[i].model] + b->nodes[b->blocks[i].first_node + k]] = 1;
}

/* As ev_model_macs() counts: windows and matrices, without the bias. */
static bool has_macs(const evi_node *node)
{
    static const char *const counted[] = {"conv2d",         "conv_transpose2d", "dense",
                                          "matmul",         "conv_integer",     "qlinear_conv",
                                          "matmul_integer", "qlinear_matmul"};
    if (node->callee != NULL || node->op->flops == NULL || node->n_in > 16)
        return false;
    for (int32_t i = 0; i < EVI_COUNT(counted); i++)
        if (strcmp(node->op->name, counted[i]) == 0)
            return true;
    return false;
}

double evi_tally_macs(const evi_tally *t, int32_t model, int32_t node, bool drawn)
{
    const ev_model *m = t->pruner->groups.models[model];
    const evi_node *n = &m->nodes[node];
    const evi_shape *shapes = (drawn ? t->drawn : t->now) + t->first_value[model];
    evi_edge in[16] = {{0}}, out = m->values[n->out[0]].edge;
    if (!has_macs(n))
        return 0;
    for (int32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] == EV_NO_VALUE)
            continue;
        in[i] = m->values[n->in[i]].edge;
        in[i].shape = shapes[n->in[i]];
    }
    in[2].type = 0;
    out.shape = shapes[n->out[0]];
    return n->op->flops(&n->a, in, EVI_MIN(n->n_in, 2), &out, 1) / 2;
}

int64_t evi_tally_parameters(const evi_tally *t, int32_t model, int32_t node, bool drawn)
{
    const ev_model *m = t->pruner->groups.models[model];
    const evi_node *n = &m->nodes[node];
    const evi_shape *shapes = (drawn ? t->drawn : t->now) + t->first_value[model];
    int64_t sum = 0;
    for (int32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] == EV_NO_VALUE || m->values[n->in[i]].kind != EVI_VALUE_PARAM)
            continue;
        if (m->store->params[m->values[n->in[i]].index].trainable)
            sum += evi_shape_count(&shapes[n->in[i]]);
    }
    return sum;
}

void evi_tally_sum(const evi_tally *t, evi_sums *out)
{
    *out = (evi_sums){0};
    for (int32_t m = 0; m < t->n_models; m++) {
        const ev_model *model = t->pruner->groups.models[m];
        /* what was drawn since the plan was made does not count */
        for (int32_t v = 0; v < t->first_value[m + 1] - t->first_value[m]; v++) {
            if (model->values[v].kind != EVI_VALUE_PARAM)
                continue;
            int64_t n = evi_shape_count(&t->now[t->first_value[m] + v]);
            out->elements += n;
            out->parameters += model->store->params[model->values[v].index].trainable ? n : 0;
        }
        for (int32_t i = 0; i < t->first_node[m + 1] - t->first_node[m]; i++)
            out->macs += (double)t->n_calls[m] * evi_tally_macs(t, m, i, false);
    }
}

/* ---- time ------------------------------------------------------------------------------------ */

static double bytes_of(const evi_tally *t, int32_t model, const evi_node *n,
                       const evi_shape *shapes)
{
    double sum = 0;
    shapes += t->first_value[model];
    for (int32_t i = 0; i < n->n_in; i++)
        if (n->in[i] != EV_NO_VALUE)
            sum += (double)evi_shape_count(&shapes[n->in[i]]);
    for (int32_t i = 0; i < n->n_out; i++)
        sum += (double)evi_shape_count(&shapes[n->out[i]]);
    return sum;
}

double evi_tally_share(const evi_tally *t, int32_t model, int32_t node)
{
    double before = evi_tally_macs(t, model, node, true);
    if (before > 0)
        return evi_tally_macs(t, model, node, false) / before;
    const evi_node *n = &t->pruner->groups.models[model]->nodes[node];
    before = bytes_of(t, model, n, t->drawn);
    return before > 0 ? bytes_of(t, model, n, t->now) / before : 1;
}

double evi_tally_speed(const evi_tally *t)
{
    double before = 0, after = 0;
    for (int32_t m = 0; m < t->n_models && t->node_ms != NULL; m++)
        for (int32_t i = t->first_node[m]; i < t->first_node[m + 1]; i++) {
            before += t->node_ms[i];
            if (t->node_ms[i] > 0 && !t->gone[i])
                after += t->node_ms[i] * evi_tally_share(t, m, i - t->first_node[m]);
        }
    return before > 0 ? after / before : 1;
}
