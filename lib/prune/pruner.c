/* SPDX-License-Identifier: MIT */
/* The pruner: options checked, weights looked at, groups and blocks found, and what is asked about
 * them. */
#include "prune/prune.h"
#include <math.h>
#include <string.h>

/* ---- options --------------------------------------------------------------------------------- */

static ev_status check_options(const ev_pruner_options *o, const char *function)
{
    if (o->n_protected < 0 || (o->n_protected > 0 && o->protected_layers == NULL))
        return evi_fail(EV_ERR_ARGUMENT, "%s: n_protected is %d, protected_layers is %s", function,
                        (int)o->n_protected, o->protected_layers == NULL ? "NULL" : "given");
    for (int32_t i = 0; i < o->n_protected; i++)
        if (o->protected_layers[i] == NULL)
            return evi_fail(EV_ERR_ARGUMENT, "%s: protected_layers[%d] is NULL", function, (int)i);
    if (o->min_width < 0)
        return evi_fail(EV_ERR_ARGUMENT, "%s: min_width is %d", function, (int)o->min_width);
    if (o->round_to < 0)
        return evi_fail(EV_ERR_ARGUMENT, "%s: round_to is %d", function, (int)o->round_to);
    return EV_OK;
}

static bool matches(const char *pattern, const char *name)
{
    size_t n = strlen(pattern);
    if (n > 0 && pattern[n - 1] == '*')
        return strncmp(pattern, name, n - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static void protect_value(ev_pruner *p, int32_t model, int32_t value, const char **by,
                          const char *name)
{
    const evi_groups *g = &p->groups;
    for (int32_t i = 0; i < g->n; i++)
        for (int32_t k = 0; k < g->groups[i].n_spots && !p->is_protected[i]; k++) {
            const evi_spot *s = &g->spots[g->groups[i].first_spot + k];
            if (s->model == model && s->value == value) {
                p->is_protected[i] = 1;
                by[i] = name;
            }
        }
}

static ev_status protect(ev_pruner *p, const ev_pruner_options *o, const char **by,
                         const char *function)
{
    const evi_groups *g = &p->groups;
    for (int32_t i = 0; i < o->n_protected; i++) {
        bool found = false;
        for (int32_t m = 0; m < g->n_models; m++)
            for (int32_t k = 0; k < g->models[m]->n_nodes; k++) {
                const evi_node *node = &g->models[m]->nodes[k];
                if (!matches(o->protected_layers[i], node->name))
                    continue;
                found = true;
                for (int32_t v = 0; v < node->n_out; v++)
                    protect_value(p, m, node->out[v], by, node->name);
            }
        if (!found)
            return evi_fail(EV_ERR_ARGUMENT, "%s: protected_layers[%d]: there is no layer '%s'",
                            function, (int)i, o->protected_layers[i]);
    }
    return EV_OK;
}

static bool is_protected_node(const ev_pruner_options *o, const evi_node *node)
{
    bool found = false;
    for (int32_t i = 0; i < o->n_protected; i++)
        found = found || matches(o->protected_layers[i], node->name);
    return found;
}

/* A layer that keeps its channels is not left out either. */
static void protect_blocks(ev_pruner *p, const ev_pruner_options *o)
{
    evi_blocks *b = &p->blocks;
    int32_t kept = 0;
    for (int32_t i = 0; i < b->n; i++) {
        const evi_block *block = &b->blocks[i];
        const ev_model *m = p->groups.models[block->model];
        bool stays = false;
        for (int32_t k = 0; k < block->n_nodes; k++)
            stays = stays || is_protected_node(o, &m->nodes[b->nodes[block->first_node + k]]);
        if (!stays)
            b->blocks[kept++] = *block;
    }
    b->n = kept;
}

int32_t evi_prune_lanes(const ev_context *ctx)
{
    return evi_kernels_for(evi_cpu_flags(ctx))->lanes;
}

/* What the kernels like, but a quarter of a narrow layer at most. */
static int32_t default_round(int32_t lanes, int32_t n)
{
    int32_t round = 1;
    while (2 * round <= lanes && 8 * round <= n)
        round *= 2;
    return round;
}

static ev_status write_reason(ev_pruner *p, int32_t group, const char *by)
{
    const evi_group *g = &p->groups.groups[group];
    const char *layer = by;
    if (g->blocked != NULL && g->blocked_node >= 0)
        layer = p->groups.models[g->blocked_model]->nodes[g->blocked_node].name;
    else if (g->blocked != NULL)
        layer = NULL;
    evi_text t;
    evi_text_start(&t, p->handle.ctx);
    evi_text_add(&t, "%s", g->blocked != NULL ? g->blocked : "protected");
    if (layer != NULL)
        evi_text_add(&t, " (%s)", layer);
    if (t.status != EV_OK) {
        ev_status status = t.status;
        evi_text_end(&t);
        return status;
    }
    p->reasons[group] = t.data;
    return EV_OK;
}

static ev_status set_widths(ev_pruner *p, const ev_pruner_options *o, const char *const *by)
{
    int32_t lanes = evi_prune_lanes(p->handle.ctx);
    for (int32_t i = 0; i < p->groups.n; i++) {
        const evi_group *g = &p->groups.groups[i];
        bool fixed = g->blocked != NULL || p->is_protected[i];
        p->min_width[i] = fixed ? g->n : EVI_MIN(EVI_MAX(o->min_width, 1), g->n);
        p->round_to[i] = o->round_to > 0 ? o->round_to : default_round(lanes, g->n);
        if (p->round_to[i] > g->n)
            p->round_to[i] = 1;
        if (fixed)
            EVI_TRY(write_reason(p, i, by[i]));
    }
    return EV_OK;
}

/* ---- weights --------------------------------------------------------------------------------- */

/* Nothing but a NaN or an infinity gives a NaN when it is multiplied by zero. */
static bool all_finite(const evi_real *x, int64_t n)
{
    enum { LANES = 32 };
    evi_real sum[LANES] = {0}, all = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int32_t k = 0; k < LANES; k++)
            sum[k] += x[i + k] * 0;
    for (; i < n; i++)
        all += x[i] * 0;
    for (int32_t k = 0; k < LANES; k++)
        all += sum[k];
    return all == 0;
}

static ev_status check_store(const evi_store *store, const char *function)
{
    if (store->n_params > 0 && !store->ready)
        return evi_fail(EV_ERR_STATE, "%s: the model has no weights yet: call ev_model_init()",
                        function);
    EVI_TRY(evi_store_check_open(store, function));
    for (int32_t i = 0; i < store->n_params; i++) {
        const evi_real *x = evi_store_data(store, i);
        int64_t n = store->params[i].count, at = 0;
        if (x == NULL || all_finite(x, n))
            continue;
        while (at + 1 < n && isfinite(x[at]))
            at++;
        return evi_fail(EV_ERR_DIVERGED, "%s: '%s' is not finite at element %lld", function,
                        store->params[i].name, (long long)at);
    }
    return EV_OK;
}

static ev_status check_weights(const ev_model *model, const char *function)
{
    evi_store **stores = NULL;
    int32_t n = 0;
    EVI_TRY(evi_model_stores(model, &stores, &n));
    ev_status status = EV_OK;
    for (int32_t i = 0; i < n && status == EV_OK; i++)
        status = check_store(stores[i], function);
    evi_free(stores);
    return status;
}

/* What drawing changes. */
uint64_t evi_groups_drawn(const evi_groups *g)
{
    uint64_t sum = 0;
    for (int32_t m = 0; m < g->n_models; m++) {
        const ev_model *model = g->models[m];
        sum = 31 * sum + (uint64_t)model->n_nodes;
        sum = 31 * sum + (uint64_t)model->n_values;
        sum = 31 * sum + (uint64_t)model->n_inputs;
        sum = 31 * sum + (uint64_t)model->n_outputs;
    }
    return sum;
}

/* ---- life ------------------------------------------------------------------------------------ */

static ev_status fill(ev_pruner *p, const ev_pruner_options *o, const char *function)
{
    ev_context *ctx = p->handle.ctx;
    EVI_TRY(evi_groups_find(ctx, p->model, &p->groups));
    EVI_TRY(evi_blocks_find(ctx, &p->groups, &p->blocks));
    p->drawn = evi_groups_drawn(&p->groups);
    uint64_t n = (uint64_t)p->groups.n;
    EVI_TRY(evi_calloc(ctx, n, sizeof(int32_t), &p->min_width));
    EVI_TRY(evi_calloc(ctx, n, sizeof(int32_t), &p->round_to));
    EVI_TRY(evi_calloc(ctx, n, 1, &p->is_protected));
    EVI_TRY(evi_calloc(ctx, n, sizeof(char *), &p->reasons));
    EVI_TRY(evi_calloc(ctx, (uint64_t)p->blocks.n, sizeof(double), &p->block_scores));
    for (int32_t i = 0; i < p->blocks.n; i++)
        p->block_scores[i] = NAN;
    const char **by = NULL; /* the layer that protects a group */
    EVI_TRY(evi_calloc(ctx, n, sizeof(char *), &by));
    ev_status status = protect(p, o, by, function);
    if (status == EV_OK) {
        protect_blocks(p, o);
        status = set_widths(p, o, by);
    }
    evi_free(by);
    return status;
}

ev_status ev_pruner_create(ev_context *ctx, ev_model *model, const ev_pruner_options *opt,
                           ev_pruner **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    ev_pruner_options o;
    EVI_OPTIONS_READ(&o, opt);
    EVI_TRY(check_options(&o, __func__));
    EVI_TRY(check_weights(model, __func__));
    ev_pruner *p = NULL;
    EVI_TRY(evi_calloc(ctx, 1, sizeof(*p), &p));
    evi_handle_start(&p->handle, EVI_MAGIC_PRUNER, ctx);
    p->model = ev_model_ref(model);
    ev_status status = fill(p, &o, __func__);
    if (status != EV_OK)
        ev_pruner_destroy(p);
    else
        *out = p;
    return status;
}

void ev_pruner_destroy(ev_pruner *pruner)
{
    if (!evi_handle_drop(pruner, EVI_MAGIC_PRUNER))
        return;
    if (pruner->scores != NULL)
        evi_scores_free(pruner, pruner->scores);
    for (int32_t i = 0; pruner->reasons != NULL && i < pruner->groups.n; i++)
        evi_free(pruner->reasons[i]);
    evi_free(pruner->reasons);
    evi_free(pruner->block_scores);
    evi_free(pruner->is_protected);
    evi_free(pruner->round_to);
    evi_free(pruner->min_width);
    evi_blocks_free(&pruner->blocks);
    evi_groups_free(&pruner->groups);
    ev_model_destroy(pruner->model);
    evi_handle_end(pruner);
}

/* ---- questions ------------------------------------------------------------------------------- */

/* Weights that would go with all channels of a group, for one parameter: spots first..end-1. */
static double parameter_share(const evi_groups *g, const evi_group *group, int32_t first,
                              int32_t end)
{
    const evi_spot *s = &g->spots[first];
    const evi_value *v = &g->models[s->model]->values[s->value];
    if (v->kind != EVI_VALUE_PARAM)
        return 0;
    const evi_param *param = &g->models[s->model]->store->params[v->index];
    double stays = 1;
    for (int32_t i = first; i < end;) {
        int32_t axis = g->spots[i].axis;
        double gone = 0;
        for (; i < end && g->spots[i].axis == axis; i++)
            gone += (double)(group->n * g->spots[i].block);
        stays *= 1 - gone / (double)v->edge.shape.dim[axis];
    }
    return param->trainable ? (double)param->count * (1 - stays) : 0;
}

static double params_per_channel(const evi_groups *g, const evi_group *group)
{
    double sum = 0;
    int32_t end = group->first_spot + group->n_spots;
    for (int32_t i = group->first_spot; i < end;) {
        const evi_spot *s = &g->spots[i];
        int32_t k = i;
        while (k < end && g->spots[k].model == s->model && g->spots[k].value == s->value)
            k++;
        sum += parameter_share(g, group, i, k);
        i = k;
    }
    return sum / group->n;
}

/* Layer number `index` of a group: spots of weights in the order of their layers, each layer once.
 * Gives the number of layers when there are not so many. */
static int32_t find_layer(const evi_groups *g, const evi_group *group, int32_t index,
                          const char **name)
{
    int32_t model = -1, node = -1;
    for (int32_t n = 0;; n++) {
        const evi_spot *next = NULL;
        for (int32_t i = 0; i < group->n_spots; i++) {
            const evi_spot *s = &g->spots[group->first_spot + i];
            if (s->role == EVI_SPOT_VALUE || s->role == EVI_SPOT_CONSTANT || s->node < 0)
                continue;
            bool after = s->model > model || (s->model == model && s->node > node);
            if (after && (next == NULL || s->model < next->model ||
                          (s->model == next->model && s->node < next->node)))
                next = s;
        }
        if (next == NULL)
            return n;
        model = next->model;
        node = next->node;
        if (n == index) {
            *name = g->models[model]->nodes[node].name;
            return n;
        }
    }
}

static bool is_group(const ev_pruner *p, int32_t group)
{
    return group >= 0 && group < p->groups.n;
}

int32_t ev_pruner_n_groups(const ev_pruner *pruner)
{
    if (evi_check_handle(pruner, EVI_MAGIC_PRUNER, __func__, "pruner") != EV_OK)
        return -1;
    return pruner->groups.n;
}

ev_status ev_pruner_group(const ev_pruner *pruner, int32_t group, ev_prune_group *out)
{
    EVI_CHECK_HANDLE(pruner, EVI_MAGIC_PRUNER);
    EVI_CHECK_POINTER(out);
    if (!is_group(pruner, group))
        return evi_fail(EV_ERR_ARGUMENT, "%s: there is no group %d, there are %d", __func__,
                        (int)group, (int)pruner->groups.n);
    const evi_groups *all = &pruner->groups;
    const evi_group *g = &all->groups[group];
    const char *name = NULL;
    ev_prune_group ours = {.n_channels = g->n,
                           .layer = all->models[g->layer_model]->nodes[g->layer_node].name,
                           .blocked = pruner->reasons[group],
                           .n_layers = find_layer(all, g, INT32_MAX, &name),
                           .min_width = pruner->min_width[group],
                           .round_to = pruner->round_to[group],
                           .params_per_channel = params_per_channel(all, g)};
    return evi_options_write(out, &ours, (uint32_t)sizeof(ours), __func__);
}

const char *ev_pruner_group_layer(const ev_pruner *pruner, int32_t group, int32_t index)
{
    const char *name = NULL;
    if (evi_check_handle(pruner, EVI_MAGIC_PRUNER, __func__, "pruner") != EV_OK)
        return NULL;
    if (is_group(pruner, group) && index >= 0)
        find_layer(&pruner->groups, &pruner->groups.groups[group], index, &name);
    return name;
}

int32_t ev_pruner_n_blocks(const ev_pruner *pruner)
{
    if (evi_check_handle(pruner, EVI_MAGIC_PRUNER, __func__, "pruner") != EV_OK)
        return -1;
    return pruner->blocks.n;
}

ev_status ev_pruner_block(const ev_pruner *pruner, int32_t block, ev_prune_block *out)
{
    EVI_CHECK_HANDLE(pruner, EVI_MAGIC_PRUNER);
    EVI_CHECK_POINTER(out);
    if (block < 0 || block >= pruner->blocks.n)
        return evi_fail(EV_ERR_ARGUMENT, "%s: there is no block %d, there are %d", __func__,
                        (int)block, (int)pruner->blocks.n);
    const evi_block *b = &pruner->blocks.blocks[block];
    ev_prune_block ours = {.kind = b->kind,
                           .layer = pruner->groups.models[b->model]->nodes[b->layer].name,
                           .n_layers = b->n_layers,
                           .redraws = b->redraws,
                           .parameters = b->parameters,
                           .macs = b->macs,
                           .score = pruner->block_scores[block]};
    return evi_options_write(out, &ours, (uint32_t)sizeof(ours), __func__);
}
