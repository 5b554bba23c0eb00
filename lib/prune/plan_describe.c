/* SPDX-License-Identifier: MIT */
/* A plan layer by layer: shapes of weights, parameters and multiply-adds, before and after.
 * Without blocks that go all follows by arithmetic; with them the new model is drawn, and its
 * layers are found by name. */
#include "prune/plan.h"

#include <string.h>

typedef struct row {
    const char *name, *kind;
    evi_shape shape[2]; /* of the first weight */
    int64_t parameters[2];
    double macs[2];
    bool gone;
} row;

typedef struct listing {
    evi_text *t;
    const ev_prune_plan *plan;
    const ev_model *drawn; /* the new model, NULL: by arithmetic */
    bool json, any;
} listing;

/* ---- rows ------------------------------------------------------------------------------------ */

static int32_t first_weight(const ev_model *m, const evi_node *node)
{
    for (int32_t i = 0; i < node->n_in; i++)
        if (node->in[i] != EV_NO_VALUE && m->values[node->in[i]].kind == EVI_VALUE_PARAM)
            return node->in[i];
    return EV_NO_VALUE;
}

/* The layer of this name in a model or in those that it calls. */
static const evi_node *find_node(const ev_model *m, const char *name, const ev_model **in,
                                 int32_t depth)
{
    for (int32_t i = 0; i < m->n_nodes && depth < EVI_MAX_DEPTH; i++) {
        const evi_node *found = NULL, *node = &m->nodes[i];
        if (node->callee != NULL)
            found = find_node(node->callee, name, in, depth + 1);
        else if (strcmp(node->name, name) == 0) {
            *in = m;
            found = node;
        }
        if (found != NULL)
            return found;
    }
    return NULL;
}

static void fill_drawn(const listing *l, row *r)
{
    const ev_model *m = NULL;
    const evi_node *node = find_node(l->drawn, r->name, &m, 0);
    int32_t weight = node == NULL ? EV_NO_VALUE : first_weight(m, node);
    r->gone = weight == EV_NO_VALUE;
    if (r->gone)
        return;
    r->shape[1] = m->values[weight].edge.shape;
    r->parameters[1] = evi_node_parameters(m, node);
    r->macs[1] = (double)evi_node_macs(m, node);
}

/* False: no layer with weights. */
static bool make_row(const listing *l, int32_t model, int32_t number, row *r)
{
    const evi_tally *t = l->plan->tally;
    const ev_model *m = t->pruner->groups.models[model];
    const evi_node *node = &m->nodes[number];
    int32_t weight = node->callee != NULL ? EV_NO_VALUE : first_weight(m, node);
    if (weight == EV_NO_VALUE)
        return false;
    *r = (row){.name = node->name, .kind = node->op->name};
    r->shape[0] = t->drawn[t->first_value[model] + weight];
    r->parameters[0] = evi_tally_parameters(t, model, number, true);
    r->macs[0] = evi_tally_macs(t, model, number, true);
    if (l->drawn != NULL) {
        fill_drawn(l, r);
        return true;
    }
    r->shape[1] = t->now[t->first_value[model] + weight];
    r->parameters[1] = evi_tally_parameters(t, model, number, false);
    r->macs[1] = evi_tally_macs(t, model, number, false);
    return true;
}

/* ---- texts ----------------------------------------------------------------------------------- */

static double share(double before, double after)
{
    return before > 0 ? after / before : 1;
}

static void add_line(evi_text *t, const char *name, const char *kind, const char *shape,
                     const char *now, const int64_t parameters[2], const double macs[2])
{
    evi_text_add(t, "%-20s %-16s %-16s -> %-16s %11lld -> %11lld %13.0f -> %13.0f %5.1f %%\n", name,
                 kind, shape, now, (long long)parameters[0], (long long)parameters[1], macs[0],
                 macs[1], 100 * share((double)parameters[0], (double)parameters[1]));
}

static void add_table_row(listing *l, const row *r)
{
    char before[EVI_SHAPE_TEXT], after[EVI_SHAPE_TEXT];
    add_line(l->t, r->name, r->kind, evi_shape_text(&r->shape[0], before),
             r->gone ? "gone" : evi_shape_text(&r->shape[1], after), r->parameters, r->macs);
}

static void add_dims(evi_text *t, const evi_shape *s)
{
    evi_text_add(t, "[");
    for (int32_t i = 0; i < s->rank; i++)
        evi_text_add(t, "%s%lld", i > 0 ? "," : "", (long long)s->dim[i]);
    evi_text_add(t, "]");
}

static void add_json_numbers(evi_text *t, const int64_t parameters[2], const double macs[2])
{
    evi_text_add(t, "\"parameters\":[%lld,%lld],\"macs\":[", (long long)parameters[0],
                 (long long)parameters[1]);
    evi_text_add(t, "%lld,%lld],\"kept\":", (long long)macs[0], (long long)macs[1]);
    evi_text_double(t, share((double)parameters[0], (double)parameters[1]));
}

static void add_json_row(listing *l, const row *r)
{
    evi_text_add(l->t, "%s{\"name\":", l->any ? "," : "");
    evi_text_json_string(l->t, r->name);
    evi_text_add(l->t, ",\"kind\":");
    evi_text_json_string(l->t, r->kind);
    evi_text_add(l->t, ",\"gone\":%s,\"weight\":[", r->gone ? "true" : "false");
    add_dims(l->t, &r->shape[0]);
    evi_text_add(l->t, ",");
    add_dims(l->t, &r->shape[1]);
    evi_text_add(l->t, "],");
    add_json_numbers(l->t, r->parameters, r->macs);
    evi_text_add(l->t, "}");
}

static void add_rows(listing *l)
{
    const evi_tally *t = l->plan->tally;
    for (int32_t m = 0; m < t->n_models; m++)
        for (int32_t i = 0; i < t->first_node[m + 1] - t->first_node[m]; i++) {
            row r;
            if (!make_row(l, m, i, &r))
                continue;
            if (l->json)
                add_json_row(l, &r);
            else
                add_table_row(l, &r);
            l->any = true;
        }
}

static int32_t n_gone(const ev_prune_plan *plan)
{
    int32_t n = 0;
    for (int32_t i = 0; i < plan->pruner->blocks.n; i++)
        n += !plan->keep_block[i];
    return n;
}

static void add_all(listing *l, const int64_t parameters[2], const double macs[2])
{
    evi_text *t = l->t;
    if (l->json)
        evi_text_add(t, "{\"layers\":[");
    else
        evi_text_add(t, "%-20s %-16s %-36s %26s %30s %7s\n", "layer", "kind", "weight",
                     "parameters", "multiply-adds", "kept");
    add_rows(l);
    if (!l->json) {
        add_line(t, "total", "", "", "", parameters, macs);
        if (n_gone(l->plan) > 0)
            evi_text_add(t, "blocks that go: %d\n", (int)n_gone(l->plan));
        return;
    }
    evi_text_add(t, "],\"blocks_gone\":%d,", (int)n_gone(l->plan));
    add_json_numbers(t, parameters, macs);
    evi_text_add(t, "}\n");
}

ev_status ev_prune_plan_describe(const ev_prune_plan *plan, int32_t kind, char **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(plan, EVI_MAGIC_PRUNE_PLAN);
    if (kind != EV_DESCRIBE_TABLE && kind != EV_DESCRIBE_JSON)
        return evi_fail(EV_ERR_ARGUMENT, "%s: there is no kind %d", __func__, (int)kind);
    const ev_model *model = plan->pruner->model;
    ev_model *drawn = NULL;
    if (evi_plan_has_gone_blocks(plan))
        EVI_TRY(evi_plan_draw(plan, &drawn));
    int64_t parameters[2] = {ev_model_parameter_count(model), 0};
    double macs[2] = {(double)ev_model_macs(model), 0};
    ev_status status = EV_OK;
    if (drawn == NULL)
        status = evi_plan_quick_counts(plan, &parameters[1], &macs[1]);
    else {
        parameters[1] = ev_model_parameter_count(drawn);
        macs[1] = (double)ev_model_macs(drawn);
    }
    evi_text t;
    evi_text_start(&t, plan->handle.ctx);
    listing l = {.t = &t, .plan = plan, .drawn = drawn, .json = kind == EV_DESCRIBE_JSON};
    if (status == EV_OK)
        add_all(&l, parameters, macs);
    ev_model_destroy(drawn);
    if (status == EV_OK)
        status = parameters[0] < 0 || parameters[1] < 0 ? EV_ERR_MEMORY : t.status;
    if (status != EV_OK) {
        evi_text_end(&t);
        return status;
    }
    *out = evi_give(t.data);
    return EV_OK;
}
