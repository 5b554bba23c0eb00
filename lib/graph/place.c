/* SPDX-License-Identifier: MIT */
/* Memory by lifetime.  Time runs 0..T-1 forward and T..2T-1 backward (node i at 2T-1-i).  Values
 * that share memory (views, in-place results) form a class; each class, each gradient and each
 * op's saved state is an interval of time with a size; the largest are placed first, each at the
 * lowest offset where nothing that lives at the same time lies. */
#include "graph/plan.h"
#include <stdlib.h>
#include <string.h>

#define FOR_EVER INT32_MAX
#define MOST_SHARED \
    8192 /* beyond that many intervals memory is not shared: the search is quadratic */

typedef struct life {
    int32_t first, last;
    int32_t gap_from, gap_to; /* not needed after the one and before the other, if they differ */
    int64_t bytes;
    int64_t *offset; /* where to write the answer */
    int32_t number;  /* ties are broken by it */
    int64_t at;
} life;

typedef struct placer {
    ev_plan *plan;
    int32_t horizon;  /* T */
    int32_t *last;    /* last use of a value; of its class once joined (at the root) */
    int32_t *readers; /* nodes that read a value */
    int32_t *reader;  /* the last of them */
    int32_t *grad_writers;
    int32_t *again;    /* time in backward when a value is made a second time; 0: never */
    uint8_t *external; /* class lies outside the arena */
    uint8_t *output;   /* class holds a result */
    life *lives;
    int32_t n_lives;
} placer;

static int32_t root_of(const ev_plan *plan, int32_t value)
{
    while (plan->values[value].root != value)
        value = plan->values[value].root;
    return value;
}

static int32_t back_time(const placer *p, int32_t node)
{
    return 2 * p->horizon - 1 - node;
}

/* ---- lifetimes of values --------------------------------------------------------------------- */

static void extend(placer *p, int32_t value, int32_t time)
{
    p->last[value] = EVI_MAX(p->last[value], time);
}

/* A layer whose weights are not trained does not read its input in backward. */
static bool keeps_weights(const ev_plan *plan, const evi_flat_node *node)
{
    return node->op->pack != NULL && node->n_in > 1 && node->in[1] >= 0 &&
           !plan->values[node->in[1]].want_grad;
}

static void find_uses(placer *p)
{
    const ev_plan *plan = p->plan;
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        const evi_flat_node *node = &plan->nodes[i];
        if (node->dead)
            continue;
        for (int32_t j = 0; j < node->n_in; j++) {
            if (node->in[j] < 0)
                continue;
            p->readers[node->in[j]]++;
            p->reader[node->in[j]] = i;
            extend(p, node->in[j], i);
            if (!node->in_backward)
                continue;
            if (j < 32 && (node->op->bwd_in >> j & 1) && !(j == 0 && keeps_weights(plan, node)))
                extend(p, node->in[j], back_time(p, i));
            p->grad_writers[node->in[j]] += plan->values[node->in[j]].want_grad;
        }
        /* a fused relu is told from the result, unless the pool behind it kept what is needed */
        bool act_from_out = node->act != EVK_ACT_NONE && !node->pooled &&
                            !(node->op->traits & EVI_OP_ACT_FROM_IN);
        bool reads_out = (node->op->traits & EVI_OP_BWD_OUT) || act_from_out;
        for (int32_t j = 0; j < node->n_out; j++) {
            extend(p, node->out[j], i);
            if (j == 0 && node->in_backward && reads_out)
                extend(p, node->out[j], back_time(p, i));
        }
    }
    for (int32_t i = 0; i < plan->n_values; i++) {
        p->external[i] = plan->values[i].kind != EVI_FLAT_TEMP;
        p->output[i] = plan->values[i].is_output != 0;
        if (p->output[i])
            p->last[i] = FOR_EVER;
    }
}

static void join(placer *p, int32_t value, int32_t root)
{
    p->plan->values[value].root = root;
    extend(p, root, p->last[value]);
    p->output[root] |= p->output[value];
}

/* May the result of node i lie over its first input? */
static bool may_overwrite(const placer *p, const evi_flat_node *node, int32_t i)
{
    const ev_plan *plan = p->plan;
    int32_t in = node->in[0], root = root_of(plan, in);
    const evi_flat_value *a = &plan->values[in], *b = &plan->values[node->out[0]];
    return (node->op->traits & EVI_OP_INPLACE) && p->readers[in] == 1 && !p->external[root] &&
           !p->output[root] && p->last[root] <= i && a->edge.type == b->edge.type &&
           evi_shape_equal(&a->edge.shape, &b->edge.shape);
}

static void share(placer *p)
{
    ev_plan *plan = p->plan;
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        evi_flat_node *node = &plan->nodes[i];
        if (node->dead || node->n_in < 1 || node->in[0] < 0)
            continue;
        int32_t root = root_of(plan, node->in[0]), out = node->out[0];
        bool view = (node->op->traits & EVI_OP_VIEW) && node->n_out == 1 &&
                    plan->values[node->in[0]].edge.type == plan->values[out].edge.type &&
                    !(p->external[root] && (p->output[out] || p->last[out] == FOR_EVER));
        bool over = !view && may_overwrite(p, node, i);
        if (!view && !over)
            continue;
        node->is_view = view;
        join(p, out, root);
        evi_flat_value *a = &plan->values[node->in[0]], *b = &plan->values[out];
        if (a->want_grad && b->want_grad && node->in_backward && a->kind == EVI_FLAT_TEMP &&
            p->grad_writers[node->in[0]] == 1 && !a->is_output) {
            b->grad_root = a->grad_root;
            node->grad_is_view = view;
        }
    }
}

/* ---- intervals ------------------------------------------------------------------------------- */

static int64_t bytes_of(const evi_edge *e)
{
    return (int64_t)evi_round_up(
        (uint64_t)evi_shape_count(&e->shape) * (uint64_t)evi_type_bytes(e->type), EVI_ALIGN);
}

static void add_life(placer *p, int32_t first, int32_t last, int64_t bytes, int64_t *offset)
{
    p->lives[p->n_lives] = (life){.first = first,
                                  .last = last,
                                  .gap_from = last,
                                  .gap_to = last,
                                  .bytes = EVI_MAX(bytes, EVI_ALIGN),
                                  .offset = offset,
                                  .number = p->n_lives};
    p->n_lives++;
}

/* Not what a node gave before another was fused into it. */
static bool is_made(const ev_plan *plan, int32_t value)
{
    const evi_flat_node *node = &plan->nodes[plan->values[value].index];
    bool made = false;
    for (int32_t j = 0; j < node->n_out && !node->dead; j++)
        made = made || node->out[j] == value;
    return made;
}

static void add_values(placer *p)
{
    ev_plan *plan = p->plan;
    for (int32_t i = 0; i < plan->n_values; i++) {
        evi_flat_value *v = &plan->values[i];
        if (v->kind != EVI_FLAT_TEMP || v->root != i || !is_made(plan, i))
            continue;
        add_life(p, v->index, p->last[i], bytes_of(&v->edge), &v->offset);
        if (p->again[i] > 0) { /* its one reader comes first */
            p->lives[p->n_lives - 1].gap_from = p->reader[i];
            p->lives[p->n_lives - 1].gap_to = p->again[i];
        }
    }
}

/* A gradient lives from its first contribution to the step back of the node that made the value. */
static void add_gradients(placer *p, int32_t *begin)
{
    ev_plan *plan = p->plan;
    for (int32_t i = 0; i < plan->n_values; i++)
        begin[i] = FOR_EVER;
    for (int32_t i = 0; i < plan->n_outputs; i++)
        if (plan->model->outputs[i].is_loss)
            begin[plan->outputs[i]] = p->horizon;
    for (int32_t i = plan->n_nodes - 1; i >= 0; i--)
        for (int32_t j = 0; j < plan->nodes[i].n_in && plan->nodes[i].in_backward; j++)
            if (plan->nodes[i].in[j] >= 0)
                begin[plan->nodes[i].in[j]] = EVI_MIN(begin[plan->nodes[i].in[j]], back_time(p, i));
    for (int32_t i = plan->n_values - 1; i >= 0;
         i--) { /* members of a class come after their root */
        int32_t root = plan->values[i].grad_root;
        begin[root] = EVI_MIN(begin[root], begin[i]);
    }
    for (int32_t i = 0; i < plan->n_values; i++) {
        evi_flat_value *v = &plan->values[i];
        if (v->kind == EVI_FLAT_TEMP && v->want_grad && v->grad_root == i && is_made(plan, i))
            add_life(p, EVI_MIN(begin[i], back_time(p, v->index)), back_time(p, v->index),
                     (int64_t)evi_round_up(
                         (uint64_t)evi_shape_count(&v->edge.shape) * sizeof(evi_real), EVI_ALIGN),
                     &v->grad_offset);
    }
}

static void add_saved(placer *p)
{
    ev_plan *plan = p->plan;
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        evi_flat_node *node = &plan->nodes[i];
        if (!node->dead && node->saved_bytes > 0)
            add_life(p, i, node->in_backward ? back_time(p, i) : i,
                     (int64_t)evi_round_up(node->saved_bytes, EVI_ALIGN), &node->saved_offset);
    }
}

/* ---- offsets --------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    const life *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->number - y->number;
}

static int by_place(const void *a, const void *b)
{
    const life *x = *(const life *const *)a, *y = *(const life *const *)b;
    return x->at < y->at ? -1 : x->at > y->at ? 1 : x->number - y->number;
}

/* Lowest gap among the placed lives that overlap in time. */
static int64_t find_place(const life *l, const life **busy, int32_t n_busy)
{
    qsort(busy, (size_t)n_busy, sizeof(*busy), by_place);
    int64_t at = 0;
    for (int32_t i = 0; i < n_busy; i++) {
        if (busy[i]->at >= at + l->bytes)
            break;
        at = EVI_MAX(at, busy[i]->at + busy[i]->bytes);
    }
    return at;
}

/* Is there a time when both are needed? */
static bool meet(const life *a, const life *b)
{
    const int32_t from[2][2] = {{a->first, a->gap_to}, {b->first, b->gap_to}};
    const int32_t to[2][2] = {{a->gap_from, a->last}, {b->gap_from, b->last}};
    bool both = false;
    for (int32_t i = 0; i < 2; i++)
        for (int32_t j = 0; j < 2; j++)
            both = both || (from[0][i] <= to[1][j] && from[1][j] <= to[0][i]);
    return both;
}

static int64_t assign(life *lives, int32_t n, const life **busy)
{
    int64_t end = 0;
    qsort(lives, (size_t)n, sizeof(*lives), by_size);
    for (int32_t i = 0; i < n; i++) {
        life *l = &lives[i];
        int32_t n_busy = 0;
        for (int32_t j = 0; j < i && n <= MOST_SHARED; j++)
            if (meet(&lives[j], l))
                busy[n_busy++] = &lives[j];
        l->at = n <= MOST_SHARED ? find_place(l, busy, n_busy) : end;
        *l->offset = l->at;
        end = EVI_MAX(end, l->at + l->bytes);
    }
    return end;
}

static ev_status start(placer *p, void **block)
{
    ev_plan *plan = p->plan;
    uint64_t n = (uint64_t)plan->n_values, lives = 2 * n + (uint64_t)plan->n_nodes;
    EVI_TRY(evi_calloc(plan->handle.ctx,
                       lives * (sizeof(life) + sizeof(life *)) + n * (6 * sizeof(int32_t) + 2), 1,
                       block));
    p->horizon = plan->n_nodes;
    p->lives = *block;
    p->last = (int32_t *)(void *)((char *)*block + lives * (sizeof(life) + sizeof(life *)));
    p->readers = p->last + n;
    p->grad_writers = p->readers + n;
    p->again = p->grad_writers + 2 * n;
    p->reader = p->again + n;
    p->external = (uint8_t *)(p->reader + n);
    p->output = p->external + n;
    return EV_OK;
}

ev_status evi_plan_place(ev_plan *plan)
{
    placer p = {.plan = plan};
    void *block = NULL;
    EVI_TRY(start(&p, &block));
    find_uses(&p);
    if (plan->training && !plan->no_fusion)
        evi_plan_again(plan, p.readers, p.last, p.again);
    share(&p);
    add_values(&p);
    if (plan->training)
        add_gradients(&p, p.grad_writers + plan->n_values);
    add_saved(&p);
    const life **busy =
        (const life **)(void *)(p.lives + 2 * (size_t)plan->n_values + (size_t)plan->n_nodes);
    plan->arena_bytes = (uint64_t)assign(p.lives, p.n_lives, busy);
    evi_free(block);
    return EV_OK;
}
