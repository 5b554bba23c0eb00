/* SPDX-License-Identifier: MIT */
/* Scores by pictures.
 *
 * Taylor (Molchanov et al., "Importance estimation for neural network pruning", CVPR 2019): the
 * change of the loss when a filter goes, to first order, is the sum of gradient * weight over the
 * filter and its bias; squared, and the mean over batches.
 *
 * A gate of 1 behind a value y has the gradient sum of y dy.  Behind a norm with scale and shift
 * that is scale * dscale + shift * dshift, and behind a layer with weights it is the same sum of
 * gradient * weight as above: no gate needs to be drawn (see evi_gate for norms without a scale).
 *
 * Activations are looked at while the net runs for use. */
#include "prune/score_net.h"

#include <math.h>
#include <string.h>

static int64_t longest_axis(const ev_pruner *p)
{
    int64_t most = 1;
    for (int32_t m = 0; m < p->groups.n_models; m++)
        for (int32_t i = 0; i < p->groups.models[m]->n_values; i++) {
            const evi_shape *s = &p->groups.models[m]->values[i].edge.shape;
            for (int32_t a = 0; a < s->rank; a++)
                most = EVI_MAX(most, s->dim[a]);
        }
    return most;
}

static int64_t widest_group(const ev_pruner *p)
{
    int64_t most = 1;
    for (int32_t g = 0; g < p->groups.n; g++)
        most = EVI_MAX(most, p->groups.groups[g].n);
    return most;
}

/* The group's first spot of this role on a value; NULL. */
static const evi_spot *find_spot(const evi_groups *g, int32_t group, int32_t model, int32_t value,
                                 int32_t role)
{
    const evi_group *e = &g->groups[group];
    for (int32_t i = e->first_spot; i < e->first_spot + e->n_spots; i++)
        if (g->spots[i].model == model && g->spots[i].value == value && g->spots[i].role == role)
            return &g->spots[i];
    return NULL;
}

/* ---- Taylor ---------------------------------------------------------------------------------- */

typedef struct taylor {
    evi_backprop net;
    const evi_layers *layers;
    const evi_kernels *k;
    double *along, *sum; /* workspaces: the longest axis, the widest group */
    bool gates;
} taylor;

/* Gradient times weight of one tensor, by channel; false: it has no gradient. */
static bool add_products(const taylor *t, evi_crew *crew, int32_t group, const evi_spot *s)
{
    const evi_groups *g = &t->net.p->groups;
    const evi_param *w = s == NULL ? NULL : evi_spot_param(g, s);
    if (w == NULL)
        return false;
    const evi_real *gradient = evi_backprop_gradient(&t->net, g->models[s->model]->store, w);
    if (gradient == NULL)
        return false;
    evi_axis_sums(crew, t->k, EVI_SUM_PRODUCTS, &w->shape, s->axis, w->data, gradient, t->along);
    evi_spots_add(g, group, s->model, s->value, s->axis, s->role, t->along, t->sum);
    return true;
}

/* Input `i` of a node, where it is a vector of the group. */
static const evi_spot *vector_of(const evi_groups *g, int32_t group, int32_t model,
                                 const evi_node *node, int32_t i)
{
    if (i >= node->n_in || node->in[i] == EV_NO_VALUE)
        return NULL;
    return find_spot(g, group, model, node->in[i], EVI_SPOT_VECTOR);
}

static bool has_bias(const evi_node *node)
{
    return node->op == evi_op_find("conv2d") || node->op == evi_op_find("conv_transpose2d") ||
           node->op == evi_op_find("dense");
}

/* d loss / d gate of a norm without weights: that of the scale which stands in for it. */
static bool add_stand_in(const taylor *t, int32_t group, int32_t model, int32_t number)
{
    const evi_groups *g = &t->net.p->groups;
    for (int32_t i = 0; i < t->net.n_gates; i++) {
        const evi_gate *gate = &t->net.gates[i];
        if (gate->model != model || gate->node != number)
            continue;
        const evi_store *store = gate->spare.callee->store;
        const evi_spot *s =
            find_spot(g, group, model, g->models[model]->nodes[number].out[0], EVI_SPOT_VALUE);
        const evi_real *gradient = evi_backprop_gradient(&t->net, store, &store->params[0]);
        if (s == NULL || s->axis != 1 || gradient == NULL)
            return false;
        for (int64_t c = 0; c < store->params[0].count; c++)
            t->along[c] = (double)gradient[c];
        evi_spots_add(g, group, model, s->value, 1, EVI_SPOT_VALUE, t->along, t->sum);
        return true;
    }
    return false;
}

/* false: there is no norm with a gate alone behind the layer. */
static bool add_gate(const taylor *t, evi_crew *crew, const evi_layer *layer, const evi_spot *s)
{
    const evi_groups *g = &t->net.p->groups;
    const ev_model *m = g->models[s->model];
    int32_t reader = s->node < 0 ? -1 : evi_sole_reader(m, m->nodes[s->node].out[0]);
    if (reader < 0 || !evi_is_norm(&m->nodes[reader]))
        return false;
    const evi_node *norm = &m->nodes[reader];
    if (add_stand_in(t, layer->group, s->model, reader))
        return true;
    if (!add_products(t, crew, layer->group, vector_of(g, layer->group, s->model, norm, 1)))
        return false;
    add_products(t, crew, layer->group, vector_of(g, layer->group, s->model, norm, 2));
    return true;
}

static ev_status add_layer(const taylor *t, evi_crew *crew, const evi_layer *layer)
{
    const evi_groups *g = &t->net.p->groups;
    const evi_spot *s = &g->spots[layer->spot];
    int32_t n = g->groups[layer->group].n;
    memset(t->sum, 0, (size_t)n * sizeof(double));
    if (!t->gates || !add_gate(t, crew, layer, s)) {
        const evi_node *node = s->node < 0 ? NULL : &g->models[s->model]->nodes[s->node];
        add_products(t, crew, layer->group, s);
        if (node != NULL && has_bias(node))
            add_products(t, crew, layer->group, vector_of(g, layer->group, s->model, node, 2));
    }
    for (int32_t c = 0; c < n; c++) {
        if (!isfinite(t->sum[c]))
            return evi_fail(EV_ERR_DIVERGED, "%s: the gradient of layer '%s' is not finite",
                            t->net.function, evi_layer_name(g, layer));
        layer->score[c] += t->sum[c] * t->sum[c];
    }
    return EV_OK;
}

static ev_status add_batch(void *arg, evi_crew *crew)
{
    const taylor *t = arg;
    for (int32_t i = 0; i < t->layers->n; i++)
        EVI_TRY(add_layer(t, crew, &t->layers->layers[i]));
    return EV_OK;
}

static ev_status run_taylor(taylor *t, const evi_batches *batches)
{
    const ev_pruner *p = t->net.p;
    EVI_TRY(evi_malloc(p->handle.ctx, (uint64_t)longest_axis(p), sizeof(double), &t->along));
    EVI_TRY(evi_malloc(p->handle.ctx, (uint64_t)widest_group(p), sizeof(double), &t->sum));
    EVI_TRY(evi_backprop_run(&t->net, batches, add_batch, t));
    for (int32_t i = 0; i < t->layers->n; i++) {
        const evi_layer *layer = &t->layers->layers[i];
        for (int32_t c = 0; c < p->groups.groups[layer->group].n; c++)
            layer->score[c] /= EVI_MAX(t->net.n_batches, 1);
    }
    return EV_OK;
}

ev_status evi_score_taylor(const ev_pruner *p, const ev_score_options *o, bool gates,
                           const char *function, const evi_layers *layers)
{
    evi_batches batches;
    taylor t = {
        .layers = layers, .gates = gates, .k = evi_kernels_for(evi_cpu_flags(p->handle.ctx))};
    EVI_TRY(evi_batches_open(p, o, false, function, &batches));
    ev_status status = evi_backprop_open(p, o->batch_size, gates, function, &t.net);
    if (status == EV_OK)
        status = run_taylor(&t, &batches);
    evi_free(t.along);
    evi_free(t.sum);
    if (t.net.p != NULL)
        evi_backprop_close(&t.net);
    evi_batches_close(&batches);
    return status;
}

/* ---- activations ----------------------------------------------------------------------------- */

typedef struct target { /* a value that is looked at */
    const evi_node *producer;
    int32_t model, value, axis;
    double *sum;  /* along the axis */
    double count; /* elements to an index */
} target;

typedef struct looking {
    const ev_pruner *p;
    int32_t kind; /* EVI_SUM_* */
    int32_t n_targets;
    target *targets;
    int32_t *of; /* target of each layer */
    double *along;
} looking;

static bool is_activation(const evi_node *node)
{
    return node->op != NULL &&
           ((node->op->traits & EVI_OP_ACT) != 0 || node->op == evi_op_find("prelu"));
}

/* May stand between a layer and its activation. */
static bool is_between(const evi_node *node)
{
    return evi_is_norm(node) || (node->op != NULL && (node->op == evi_op_find("add") ||
                                                      node->op == evi_op_find("identity")));
}

/* The value behind the activation that follows; the value itself if none does. */
static int32_t behind_activation(const evi_groups *g, int32_t group, int32_t model, int32_t value)
{
    const ev_model *m = g->models[model];
    for (int32_t v = value;;) {
        for (int32_t i = 0; i < m->n_nodes; i++)
            if (is_activation(&m->nodes[i]) && m->nodes[i].in[0] == v)
                return m->nodes[i].out[0];
        int32_t reader = evi_sole_reader(m, v);
        if (reader < 0 || !is_between(&m->nodes[reader]))
            return value;
        v = m->nodes[reader].out[0];
        if (find_spot(g, group, model, v, EVI_SPOT_VALUE) == NULL)
            return value;
    }
}

static ev_status find_target(looking *l, const evi_layer *layer, int32_t *out)
{
    const evi_groups *g = &l->p->groups;
    const evi_spot *s = &g->spots[layer->spot];
    const ev_model *m = g->models[s->model];
    int32_t value = s->node < 0 ? -1 : m->nodes[s->node].out[0];
    if (value >= 0)
        value = behind_activation(g, layer->group, s->model, value);
    const evi_spot *at =
        value < 0 ? NULL : find_spot(g, layer->group, s->model, value, EVI_SPOT_VALUE);
    if (at == NULL || m->values[value].kind != EVI_VALUE_NODE)
        return evi_fail(EV_ERR_UNSUPPORTED,
                        "ev_pruner_score: layer '%s' has no activations to "
                        "look at",
                        evi_layer_name(g, layer));
    for (*out = 0; *out < l->n_targets; ++*out)
        if (l->targets[*out].model == s->model && l->targets[*out].value == value &&
            l->targets[*out].axis == at->axis)
            return EV_OK;
    target *t = &l->targets[l->n_targets++];
    *t = (target){.producer = &m->nodes[m->values[value].index],
                  .model = s->model,
                  .value = value,
                  .axis = at->axis};
    return evi_calloc(l->p->handle.ctx, (uint64_t)m->values[value].edge.shape.dim[at->axis],
                      sizeof(double), &t->sum);
}

static const evi_view *view_of(const evi_step *s, const evi_node *node, int32_t value)
{
    for (int32_t i = 0; i < s->n_out; i++)
        if (node->out[i] == value)
            return s->out[i];
    return NULL;
}

static void look(void *user, const ev_session *session, int32_t step)
{
    looking *l = user;
    const evi_step *s = &session->steps.step[step];
    const evi_node *from = session->plan->nodes[session->steps.node[step]].from;
    for (int32_t i = 0; i < l->n_targets && from != NULL; i++) {
        target *t = &l->targets[i];
        const evi_view *v = t->producer == from ? view_of(s, from, t->value) : NULL;
        if (v == NULL)
            continue;
        int64_t n = v->shape.dim[t->axis];
        evi_axis_sums(s->crew, s->k, l->kind, &v->shape, t->axis, v->data, NULL, l->along);
        for (int64_t c = 0; c < n; c++)
            t->sum[c] += l->along[c];
        t->count += (double)(evi_shape_count(&v->shape) / EVI_MAX(n, 1));
    }
}

static ev_status look_at_layers(looking *l, const ev_score_options *o, const evi_layers *layers)
{
    const ev_pruner *p = l->p;
    EVI_TRY(evi_calloc(p->handle.ctx, (uint64_t)layers->n, sizeof(target), &l->targets));
    EVI_TRY(evi_calloc(p->handle.ctx, (uint64_t)layers->n, sizeof(int32_t), &l->of));
    EVI_TRY(evi_malloc(p->handle.ctx, (uint64_t)longest_axis(p), sizeof(double), &l->along));
    for (int32_t i = 0; i < layers->n; i++)
        EVI_TRY(find_target(l, &layers->layers[i], &l->of[i]));
    return evi_watch_run(p, o, "ev_pruner_score", look, l);
}

static void activation_scores(const looking *l, const evi_layers *layers)
{
    for (int32_t i = 0; i < layers->n; i++) {
        const evi_layer *layer = &layers->layers[i];
        const target *t = &l->targets[l->of[i]];
        double n = t->count * evi_spots_add(&l->p->groups, layer->group, t->model, t->value,
                                            t->axis, EVI_SPOT_VALUE, t->sum, layer->score);
        for (int32_t c = 0; c < l->p->groups.groups[layer->group].n && n > 0; c++)
            layer->score[c] /= n;
    }
}

static ev_status score_activations(const ev_pruner *p, const ev_score_options *o,
                                   const evi_layers *layers)
{
    looking l = {.p = p,
                 .kind = o->criterion == EV_CRITERION_ZEROS ? EVI_SUM_NOT_ZERO : EVI_SUM_ABS};
    ev_status status = look_at_layers(&l, o, layers);
    if (status == EV_OK)
        activation_scores(&l, layers);
    for (int32_t i = 0; i < l.n_targets; i++)
        evi_free(l.targets[i].sum);
    evi_free(l.targets);
    evi_free(l.of);
    evi_free(l.along);
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------- */

ev_status evi_score_by_data(ev_pruner *p, const ev_score_options *opt, double **scores)
{
    evi_layers layers;
    ev_status status;
    EVI_TRY(evi_layers_new(p, false, &layers));
    if (opt->criterion == EV_CRITERION_TAYLOR || opt->criterion == EV_CRITERION_TAYLOR_GATE)
        status = evi_score_taylor(p, opt, opt->criterion == EV_CRITERION_TAYLOR_GATE,
                                  "ev_pruner_score", &layers);
    else
        status = score_activations(p, opt, &layers);
    if (status == EV_OK)
        evi_layers_mean(p, &layers, scores);
    evi_layers_free(&layers);
    return status;
}
