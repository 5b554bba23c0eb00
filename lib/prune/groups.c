/* SPDX-License-Identifier: MIT */
/* Which channels live and die together, first half: every node is asked what it ties.
 *
 * An axis of a value is a place.  Places that are tied from end to end, index by index, are united
 * here and now; what ties only parts, or several indices to one, is kept as a list for
 * groups_join.c.  An axis that a node reads as a whole, and the ends of the model, are pinned. */
#include "prune/groups.h"
#include <string.h>

enum { /* of reasons: the one that tells most wins */
       PIN_SINGLE = 1,
       PIN_WHOLE,
       PIN_OP,
       PIN_INPUT,
       PIN_OUTPUT
};

/* ---- places ---------------------------------------------------------------------------------- */

int32_t evi_place_root(evi_ties *t, int32_t place)
{
    evi_place *p = t->places;
    while (p[place].parent != place) {
        p[place].parent = p[p[place].parent].parent;
        place = p[place].parent;
    }
    return place;
}

static void pin(evi_ties *t, int32_t place, int32_t rank, const char *reason, int32_t model,
                int32_t node)
{
    evi_place *p = &t->places[evi_place_root(t, place)];
    if (rank <= p->rank)
        return;
    p->rank = rank;
    p->pin = reason;
    p->pin_model = model;
    p->pin_node = node;
}

static void unite(evi_ties *t, int32_t a, int32_t b)
{
    a = evi_place_root(t, a);
    b = evi_place_root(t, b);
    if (a == b)
        return;
    if (a > b) { /* the first is the root */
        int32_t c = a;
        a = b;
        b = c;
    }
    evi_place *p = t->places;
    p[b].parent = a;
    p[p[a].last].next = b;
    p[a].last = p[b].last;
    if (p[b].rank != 0)
        pin(t, a, p[b].rank, p[b].pin, p[b].pin_model, p[b].pin_node);
}

static int32_t place_of(const evi_ties *t, int32_t model, int32_t value, int32_t axis)
{
    return t->start[model][value] + axis;
}

static void pin_value(evi_ties *t, int32_t model, int32_t value, int32_t rank, const char *reason,
                      int32_t node)
{
    int32_t n = t->g->models[model]->values[value].edge.shape.rank;
    for (int32_t i = 0; i < n; i++)
        pin(t, place_of(t, model, value, i), rank, reason, model, node);
}

static void give_role(evi_place *p, int32_t role, int32_t node)
{
    static const int32_t weight[] = {0, 1, 5, 3, 4, 2}; /* by EVI_SPOT_* */
    if (weight[role] > weight[p->role]) {
        p->role = role;
        p->node = node;
    }
}

/* ---- models ---------------------------------------------------------------------------------- */

static ev_status collect(evi_groups *g, const ev_model *m, int32_t depth)
{
    if (depth > EVI_MAX_DEPTH)
        return evi_fail(EV_ERR_ARGUMENT, "models are nested deeper than %d", EVI_MAX_DEPTH);
    for (int32_t i = 0; i < g->n_models; i++)
        if (g->models[i] == m)
            return EV_OK;
    for (int32_t i = 0; i < m->n_nodes; i++)
        if (m->nodes[i].callee != NULL)
            EVI_TRY(collect(g, m->nodes[i].callee, depth + 1));
    EVI_TRY(evi_realloc(g->ctx, (uint64_t)g->n_models + 1, sizeof(ev_model *), &g->models));
    g->models[g->n_models++] = m;
    return EV_OK;
}

static ev_status number_places(evi_ties *t)
{
    evi_groups *g = t->g;
    int64_t n = 0;
    EVI_TRY(evi_calloc(t->ctx, (uint64_t)g->n_models, sizeof(int32_t *), &t->start));
    EVI_TRY(evi_calloc(t->ctx, (uint64_t)g->n_models, sizeof(int32_t *), &t->source));
    for (int32_t m = 0; m < g->n_models; m++) {
        uint64_t n_values = (uint64_t)g->models[m]->n_values;
        EVI_TRY(evi_malloc(t->ctx, n_values, sizeof(int32_t), &t->start[m]));
        EVI_TRY(evi_calloc(t->ctx, n_values, sizeof(int32_t), &t->source[m]));
        for (int32_t v = 0; v < g->models[m]->n_values; v++) {
            t->start[m][v] = (int32_t)n;
            n += g->models[m]->values[v].edge.shape.rank;
        }
        if (n > INT32_MAX / 2)
            return evi_fail(EV_ERR_UNSUPPORTED, "the model has too many values");
    }
    t->n_places = (int32_t)n;
    return EV_OK;
}

static ev_status make_places(evi_ties *t)
{
    evi_groups *g = t->g;
    EVI_TRY(number_places(t));
    EVI_TRY(evi_malloc(t->ctx, (uint64_t)t->n_places, sizeof(evi_place), &t->places));
    for (int32_t m = 0; m < g->n_models; m++)
        for (int32_t v = 0; v < g->models[m]->n_values; v++) {
            const evi_value *value = &g->models[m]->values[v];
            if (value->kind == EVI_VALUE_PARAM)
                t->source[m][v] = 1 + v;
            for (int32_t a = 0; a < value->edge.shape.rank; a++) {
                int32_t i = place_of(t, m, v, a);
                t->places[i] = (evi_place){.size = value->edge.shape.dim[a],
                                           .parent = i,
                                           .model = m,
                                           .value = v,
                                           .axis = a,
                                           .node = -1,
                                           .next = -1,
                                           .last = i,
                                           .atoms = -1};
                if (value->edge.shape.dim[a] == 1)
                    pin(t, i, PIN_SINGLE, "there is only one", m,
                        value->kind == EVI_VALUE_NODE ? value->index : -1);
            }
        }
    return EV_OK;
}

/* ---- what one node ties ---------------------------------------------------------------------- */

static bool is_matrix(const evi_op *op)
{
    static const char *const names[] = {"conv2d", "conv_transpose2d", "dense", "matmul"};
    bool found = false;
    for (int32_t i = 0; i < EVI_COUNT(names); i++)
        found = found || strcmp(op->name, names[i]) == 0;
    return found;
}

static int32_t operand_value(const evi_node *node, int32_t operand)
{
    return operand >= 0 ? node->in[operand] : node->out[~operand];
}

/* What the channels of a slice are to the value.  makes: its set reaches a result. */
static int32_t role_of(const evi_ties *t, int32_t m, const evi_node *node, const evi_slice *s,
                       bool makes)
{
    int32_t v = operand_value(node, s->operand);
    const evi_value *value = &t->g->models[m]->values[v];
    if (value->kind == EVI_VALUE_CONSTANT)
        return EVI_SPOT_CONSTANT;
    if (s->operand < 0 || t->source[m][v] == 0)
        return EVI_SPOT_VALUE;
    if (!makes)
        return EVI_SPOT_IN;
    if (is_matrix(node->op) && s->operand <= 1 && value->edge.shape.rank >= 2)
        return EVI_SPOT_OUT;
    return EVI_SPOT_VECTOR;
}

static ev_status add_tie(evi_ties *t, const evi_tie *tie)
{
    if (t->n_ties == t->cap_ties) {
        int32_t more = t->cap_ties ? 2 * t->cap_ties : 64;
        EVI_TRY(evi_realloc(t->ctx, (uint64_t)more, sizeof(evi_tie), &t->ties));
        t->cap_ties = more;
    }
    t->ties[t->n_ties++] = *tie;
    return EV_OK;
}

static ev_status tie_slices(evi_ties *t, int32_t model, int32_t node, const evi_slice *a,
                            const evi_slice *b)
{
    const evi_node *n = &t->g->models[model]->nodes[node];
    evi_tie tie = {.place = {place_of(t, model, operand_value(n, a->operand), a->axis),
                             place_of(t, model, operand_value(n, b->operand), b->axis)},
                   .from = {a->offset, b->offset},
                   .block = {a->block, b->block},
                   .count = a->count};
    int64_t size[2] = {t->places[tie.place[0]].size, t->places[tie.place[1]].size};
    bool fits =
        a->count == b->count && a->offset >= 0 && b->offset >= 0 && a->block > 0 && b->block > 0;
    for (int32_t i = 0; i < 2; i++)
        fits = fits && tie.from[i] + tie.count * tie.block[i] <= size[i];
    if (!fits) {
        for (int32_t i = 0; i < 2; i++)
            pin(t, tie.place[i], PIN_OP, "the shapes at this layer do not match", model, node);
        return EV_OK;
    }
    if (size[0] == a->count && size[1] == a->count) {
        unite(t, tie.place[0], tie.place[1]);
        return EV_OK;
    }
    return add_tie(t, &tie);
}

/* Results that come from one parameter and constants only are still that parameter. */
static void follow_source(evi_ties *t, int32_t m, const evi_node *node)
{
    int32_t source = 0;
    for (int32_t i = 0; i < node->n_in; i++) {
        int32_t v = node->in[i];
        if (v == EV_NO_VALUE || t->g->models[m]->values[v].kind == EVI_VALUE_CONSTANT)
            continue;
        if (t->source[m][v] == 0 || source != 0)
            return;
        source = t->source[m][v];
    }
    for (int32_t i = 0; i < node->n_out && node->n_in > 0; i++)
        t->source[m][node->out[i]] = source;
}

static ev_status apply_coupling(evi_ties *t, int32_t m, int32_t number)
{
    const evi_node *node = &t->g->models[m]->nodes[number];
    const evi_coupling *c = t->coupling;
    int32_t first[EVI_MAX_SLICES];
    bool makes[EVI_MAX_SLICES] = {false};
    memset(first, -1, sizeof first);
    for (int32_t i = 0; i < c->n; i++) {
        int32_t set = c->slice[i].set;
        if (set >= EVI_MAX_SLICES)
            continue;
        first[set] = first[set] < 0 ? i : first[set];
        makes[set] = makes[set] || c->slice[i].operand < 0;
    }
    for (int32_t i = 0; i < c->n; i++) {
        const evi_slice *s = &c->slice[i];
        int32_t place = place_of(t, m, operand_value(node, s->operand), s->axis);
        if (s->set >= EVI_MAX_SLICES) {
            pin(t, place, PIN_OP, "too many slices are tied in one operation", m, number);
            continue;
        }
        give_role(&t->places[place], role_of(t, m, node, s, makes[s->set]), number);
        if (first[s->set] != i)
            EVI_TRY(tie_slices(t, m, number, &c->slice[first[s->set]], s));
    }
    return EV_OK;
}

/* Axes that no slice speaks of. */
static void pin_rest(evi_ties *t, int32_t m, int32_t number)
{
    const evi_node *node = &t->g->models[m]->nodes[number];
    const evi_coupling *c = t->coupling;
    for (int32_t i = -node->n_out; i < node->n_in; i++) {
        int32_t v = operand_value(node, i);
        if (v == EV_NO_VALUE)
            continue;
        uint32_t spoken = 0;
        for (int32_t j = 0; j < c->n; j++)
            if (c->slice[j].operand == i)
                spoken |= 1u << c->slice[j].axis;
        int32_t rank = t->g->models[m]->values[v].edge.shape.rank;
        for (int32_t a = 0; a < rank; a++)
            if (!(spoken >> a & 1))
                pin(t, place_of(t, m, v, a), PIN_WHOLE, "they are read as a whole", m, number);
    }
    for (int32_t i = -node->n_out; i < node->n_in && c->blocked != NULL; i++)
        if (operand_value(node, i) != EV_NO_VALUE)
            pin_value(t, m, operand_value(node, i), PIN_OP, c->blocked, number);
}

/* The first axis of weights is not one of pictures: for the op, which thinks so, another one is put
 * before it. */
static void add_batch(evi_shape *s)
{
    memmove(s->dim + 1, s->dim, (size_t)s->rank * sizeof(s->dim[0]));
    s->dim[0] = 1;
    s->rank++;
}

static ev_status ask_node(evi_ties *t, int32_t m, int32_t number)
{
    const ev_model *model = t->g->models[m];
    const evi_node *node = &model->nodes[number];
    evi_coupling *c = t->coupling;
    evi_edge *in = t->edges, *out = t->edges + node->n_in;
    if (node->op->traits & EVI_OP_SHAPE_ONLY)
        return EV_OK; /* sizes that are asked for follow by themselves */
    c->n = c->n_sets = 0;
    c->blocked = NULL;
    memset(in, 0, (size_t)(node->n_in + node->n_out) * sizeof(evi_edge));
    for (int32_t i = 0; i < node->n_in; i++)
        if (node->in[i] != EV_NO_VALUE)
            in[i] = model->values[node->in[i]].edge;
    for (int32_t i = 0; i < node->n_out; i++)
        out[i] = model->values[node->out[i]].edge;
    bool turned = (node->op->traits & EVI_OP_VIEW) && t->source[m][node->in[0]] != 0 &&
                  EVI_MAX(in[0].shape.rank, out[0].shape.rank) < EV_MAX_RANK;
    if (turned) {
        add_batch(&in[0].shape);
        add_batch(&out[0].shape);
    }
    if (node->op->channels != NULL)
        node->op->channels(&node->a, in, node->n_in, out, node->n_out, c);
    else
        c->blocked = "this kind of operation cannot lose channels";
    for (int32_t i = 0; i < c->n && turned; i++)
        c->slice[i].axis--;
    EVI_TRY(apply_coupling(t, m, number));
    pin_rest(t, m, number);
    follow_source(t, m, node);
    return EV_OK;
}

/* ---- calls, and the ends of the model -------------------------------------------------------- */

static void tie_values(evi_ties *t, int32_t m, int32_t number, int32_t mine, int32_t callee,
                       int32_t theirs)
{
    const evi_shape *a = &t->g->models[m]->values[mine].edge.shape;
    const evi_shape *b = &t->g->models[callee]->values[theirs].edge.shape;
    for (int32_t i = 0; i < EVI_MAX(a->rank, b->rank); i++) {
        if (i < a->rank && i < b->rank && a->dim[i] == b->dim[i]) {
            give_role(&t->places[place_of(t, m, mine, i)], EVI_SPOT_VALUE, number);
            unite(t, place_of(t, m, mine, i), place_of(t, callee, theirs, i));
            continue;
        }
        const char *why = "a call with another size than the called model was drawn with";
        if (i < a->rank)
            pin(t, place_of(t, m, mine, i), PIN_OP, why, m, number);
        if (i < b->rank)
            pin(t, place_of(t, callee, theirs, i), PIN_OP, why, m, number);
    }
}

static void tie_call(evi_ties *t, int32_t m, int32_t number)
{
    const evi_node *node = &t->g->models[m]->nodes[number];
    const ev_model *callee = node->callee;
    int32_t c = 0;
    while (t->g->models[c] != callee)
        c++;
    for (int32_t i = 0; i < node->n_in; i++)
        if (node->in[i] != EV_NO_VALUE)
            tie_values(t, m, number, node->in[i], c, callee->inputs[i].value);
    for (int32_t i = 0; i < node->n_out; i++)
        tie_values(t, m, number, node->out[i], c, callee->outputs[i].value);
}

/* Shapes and what is computed from them are computed again for the new sizes. */
static bool is_shape_arithmetic(const ev_model *m, const evi_node *node)
{
    bool all = true;
    for (int32_t i = 0; i < node->n_out; i++) {
        const evi_edge *e = &m->values[node->out[i]].edge;
        all = all && e->value != NULL && (e->type == EV_TYPE_INT64 || e->type == EV_TYPE_INT32);
    }
    return all;
}

static ev_status ask_all(evi_ties *t)
{
    evi_groups *g = t->g;
    int32_t most = 1;
    for (int32_t m = 0; m < g->n_models; m++)
        for (int32_t i = 0; i < g->models[m]->n_nodes; i++)
            most = EVI_MAX(most, g->models[m]->nodes[i].n_in + g->models[m]->nodes[i].n_out);
    EVI_TRY(evi_malloc(t->ctx, (uint64_t)most, sizeof(evi_edge), &t->edges));
    EVI_TRY(evi_malloc(t->ctx, 1, sizeof(evi_coupling), &t->coupling));
    for (int32_t m = 0; m < g->n_models; m++)
        for (int32_t i = 0; i < g->models[m]->n_nodes; i++) {
            const evi_node *node = &g->models[m]->nodes[i];
            if (node->callee != NULL)
                tie_call(t, m, i);
            else if (!is_shape_arithmetic(g->models[m], node))
                EVI_TRY(ask_node(t, m, i));
        }
    const ev_model *top = g->models[g->n_models - 1];
    for (int32_t i = 0; i < top->n_inputs; i++)
        pin_value(t, g->n_models - 1, top->inputs[i].value, PIN_INPUT, "an input of the model", -1);
    for (int32_t i = 0; i < top->n_outputs; i++)
        pin_value(t, g->n_models - 1, top->outputs[i].value, PIN_OUTPUT, "an output of the model",
                  -1);
    return EV_OK;
}

/* Two places of one parameter, as it is stored and as it is read: what one is, the other is. */
static bool share_role(evi_ties *t, int32_t i, int32_t k)
{
    evi_place *a = &t->places[i], *b = &t->places[k];
    int32_t source = t->source[a->model][a->value];
    if (a->model != b->model || source == 0 || source != t->source[b->model][b->value] ||
        a->role == b->role)
        return false;
    give_role(a, b->role, b->node);
    give_role(b, a->role, a->node);
    return true;
}

/* A parameter that reaches its layer through others (a transposed matrix) has its role from there.
 */
static void pass_roles(evi_ties *t)
{
    bool moved = true;
    for (int32_t round = 0; round < 16 && moved; round++) {
        moved = false;
        for (int32_t i = 0; i < t->n_ties; i++)
            moved = share_role(t, t->ties[i].place[0], t->ties[i].place[1]) || moved;
        for (int32_t i = 0; i < t->n_places; i++) {
            const evi_place *p = &t->places[i];
            int32_t source = t->source[p->model][p->value];
            if (source == 0 || source == p->value + 1)
                continue;
            for (int32_t k = evi_place_root(t, i); k >= 0; k = t->places[k].next)
                moved = share_role(t, i, k) || moved;
        }
    }
    for (int32_t i = 0; i < t->n_places; i++) {
        evi_place *p = &t->places[i];
        int32_t source = t->source[p->model][p->value];
        if (source != 0 && source != p->value + 1)
            p->role = EVI_SPOT_VALUE;
    }
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void free_ties(evi_ties *t)
{
    for (int32_t m = 0; m < t->g->n_models; m++) {
        if (t->start != NULL)
            evi_free(t->start[m]);
        if (t->source != NULL)
            evi_free(t->source[m]);
    }
    evi_free(t->start);
    evi_free(t->source);
    evi_free(t->places);
    evi_free(t->ties);
    evi_free(t->edges);
    evi_free(t->coupling);
}

ev_status evi_groups_find(ev_context *ctx, const ev_model *model, evi_groups *out)
{
    *out = (evi_groups){.ctx = ctx};
    evi_ties t = {.ctx = ctx, .g = out};
    ev_status status = collect(out, model, 0);
    if (status == EV_OK)
        status = make_places(&t);
    if (status == EV_OK)
        status = ask_all(&t);
    if (status == EV_OK) {
        pass_roles(&t);
        status = evi_groups_join(&t);
    }
    free_ties(&t);
    if (status != EV_OK)
        evi_groups_free(out);
    return status;
}

void evi_groups_free(evi_groups *g)
{
    evi_free(g->models);
    evi_free(g->groups);
    evi_free(g->spots);
    *g = (evi_groups){0};
}
