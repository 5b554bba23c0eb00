/* SPDX-License-Identifier: MIT */
/* Which parts of a model can be left out: branches beside a shortcut, and layers in a chain that
 * what follows can do without.  A block has one way in and one way out, and nobody outside reads
 * what is made inside. */
#include "prune/prune.h"
#include <stdlib.h>
#include <string.h>

typedef struct finder {
    const evi_groups *g;
    evi_blocks *out;
    int32_t cap_blocks, cap_nodes;
    const ev_model *m;
    int32_t model, n_calls; /* the one that is looked at, and how often it runs */
    int32_t *n_readers;     /* [value], outputs of the model among them */
    int32_t *reader;        /* [value]: the last node that reads it */
    uint8_t *is_last;       /* [node]: no layer with weights comes after it */
    int32_t *mark;          /* [node]: number of the search that met it */
    int32_t search, n_found;
    int32_t *found; /* nodes of the block, or of the search */
} finder;

/* ---- kinds of nodes -------------------------------------------------------------------------- */

static bool is_one_of(const evi_node *node, const char *const *names, int32_t n)
{
    for (int32_t i = 0; node->op != NULL && i < n; i++)
        if (strcmp(node->op->name, names[i]) == 0)
            return true;
    return false;
}

#define ONE_OF(node, ...)                                 \
    is_one_of((node), (const char *const[]){__VA_ARGS__}, \
              EVI_COUNT(((const char *const[]){__VA_ARGS__})))

static bool is_act(const evi_node *node)
{
    return (node->op != NULL && (node->op->traits & EVI_OP_ACT)) ||
           ONE_OF(node, "prelu", "gelu", "elu", "selu", "softplus", "softsign");
}

static bool is_norm(const evi_node *node)
{
    return ONE_OF(node, "batch_norm", "instance_norm", "layer_norm");
}

static bool makes(const evi_node *node) /* has weights that mix channels */
{
    return node->callee != NULL ||
           ONE_OF(node, "conv2d", "conv_transpose2d", "dense", "matmul", "conv_integer",
                  "qlinear_conv", "matmul_integer", "qlinear_matmul");
}

static bool is_fixed(const finder *f, int32_t value) /* weights and constants */
{
    int32_t kind = value == EV_NO_VALUE ? EVI_VALUE_CONSTANT : f->m->values[value].kind;
    return kind == EVI_VALUE_PARAM || kind == EVI_VALUE_CONSTANT;
}

static bool has_params(const finder *f, const evi_node *node)
{
    bool has = node->callee != NULL;
    for (int32_t i = 0; i < node->n_in; i++)
        has = has ||
              (node->in[i] != EV_NO_VALUE && f->m->values[node->in[i]].kind == EVI_VALUE_PARAM);
    return has;
}

/* Sum or product with a number a channel: a bias that is a node of its own. */
static bool is_shift(const finder *f, const evi_node *node)
{
    return ONE_OF(node, "add", "sub", "mul") && node->n_in == 2 && is_fixed(f, node->in[1]) &&
           !is_fixed(f, node->in[0]);
}

static const evi_shape *shape_of(const finder *f, int32_t value)
{
    return &f->m->values[value].edge.shape;
}

/* The only node that reads a value, as its first operand; -1: there are others, or outputs. */
static int32_t only_reader(const finder *f, int32_t value)
{
    if (f->n_readers[value] != 1 || f->reader[value] < 0)
        return -1;
    return f->m->nodes[f->reader[value]].in[0] == value ? f->reader[value] : -1;
}

/* ---- keeping a block ------------------------------------------------------------------------- */

static ev_status grow(finder *f, int32_t need, int32_t *capacity, uint64_t size, void *table)
{
    if (need <= *capacity)
        return EV_OK;
    int32_t more = EVI_MAX(need, *capacity > 0 ? 2 * *capacity : 32);
    EVI_TRY(evi_realloc(f->out->ctx, (uint64_t)more, size, table));
    *capacity = more;
    return EV_OK;
}

static int by_number(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Weights of a node that nobody outside the block reads. */
static int64_t own_parameters(const finder *f, const evi_node *node)
{
    if (node->callee != NULL)
        return evi_node_parameters(f->m, node);
    int64_t n = 0;
    for (int32_t i = 0; i < node->n_in; i++) {
        int32_t v = node->in[i], inside = 0, before = 0;
        if (v == EV_NO_VALUE || f->m->values[v].kind != EVI_VALUE_PARAM)
            continue;
        for (int32_t k = 0; k < f->n_found; k++)
            for (int32_t j = 0; j < f->m->nodes[f->found[k]].n_in; j++) {
                const evi_node *other = &f->m->nodes[f->found[k]];
                inside += other->in[j] == v;
                before += other->in[j] == v && (other < node || (other == node && j < i));
            }
        const evi_param *p = &f->m->store->params[f->m->values[v].index];
        if (before == 0 && inside == f->n_readers[v] && p->trainable)
            n += p->count;
    }
    return n;
}

/* The nodes in f->found become a block, if it has weights and none of them is a last one. */
static ev_status keep_block(finder *f, int32_t kind, int32_t in, int32_t out, int32_t next)
{
    evi_blocks *b = f->out;
    evi_block block = {.kind = kind,
                       .model = f->model,
                       .in = in,
                       .out = out,
                       .first_node = b->n_nodes,
                       .n_nodes = f->n_found,
                       .layer = -1,
                       .next = next,
                       .redraws = kind == EV_BLOCK_STAGE || kind == EV_BLOCK_DENSE};
    bool any = false;
    qsort(f->found, (size_t)f->n_found, sizeof(int32_t), by_number);
    for (int32_t i = 0; i < f->n_found; i++) {
        const evi_node *node = &f->m->nodes[f->found[i]];
        if (f->is_last[f->found[i]])
            return EV_OK;
        any = any || makes(node);
        block.macs += (double)evi_node_macs(f->m, node) * f->n_calls;
        block.parameters += own_parameters(f, node);
        if (!has_params(f, node))
            continue;
        block.layer = block.layer < 0 ? f->found[i] : block.layer;
        block.n_layers++;
    }
    if (!any || block.layer < 0)
        return EV_OK;
    EVI_TRY(grow(f, b->n + 1, &f->cap_blocks, sizeof(evi_block), &b->blocks));
    EVI_TRY(grow(f, b->n_nodes + f->n_found, &f->cap_nodes, sizeof(int32_t), &b->nodes));
    memcpy(b->nodes + b->n_nodes, f->found, (size_t)f->n_found * sizeof(int32_t));
    b->n_nodes += f->n_found;
    b->blocks[b->n++] = block;
    return EV_OK;
}

/* ---- branches beside a shortcut -------------------------------------------------------------- */

/* Nodes between `from` and `to`, which are read by nobody else but the node `sum`; false: `to` does
 * not come from there alone. */
static bool between(finder *f, int32_t from, int32_t to, int32_t sum)
{
    int32_t from_node = f->m->values[from].kind == EVI_VALUE_NODE ? f->m->values[from].index : -1;
    bool meets = false;
    f->search++;
    f->n_found = 0;
    f->found[f->n_found++] = sum;
    f->mark[sum] = f->search;
    for (int32_t i = 0; i < f->n_found; i++) {
        const evi_node *node = &f->m->nodes[f->found[i]];
        for (int32_t k = 0; k < node->n_in; k++) {
            int32_t v = node->in[k];
            if (is_fixed(f, v) || (f->found[i] == sum && v != to))
                continue;
            if (v == from) {
                meets = true;
                continue;
            }
            int32_t made_by = f->m->values[v].index;
            if (f->m->values[v].kind != EVI_VALUE_NODE || made_by <= from_node)
                return false;
            if (f->mark[made_by] != f->search) {
                f->mark[made_by] = f->search;
                f->found[f->n_found++] = made_by;
            }
        }
    }
    return meets;
}

/* Whether all readers of what the found nodes make are found nodes. */
static bool is_closed(finder *f, int32_t sum)
{
    for (int32_t i = 0; i < f->n_found; i++) {
        const evi_node *node = &f->m->nodes[f->found[i]];
        for (int32_t o = 0; o < node->n_out && f->found[i] != sum; o++) {
            int32_t inside = 0;
            for (int32_t k = 0; k < f->n_found; k++)
                for (int32_t j = 0; j < f->m->nodes[f->found[k]].n_in; j++)
                    inside += f->m->nodes[f->found[k]].in[j] == node->out[o];
            if (inside != f->n_readers[node->out[o]])
                return false;
        }
    }
    return true;
}

static ev_status find_residual(finder *f, int32_t number)
{
    const evi_node *node = &f->m->nodes[number];
    if (!ONE_OF(node, "add") || node->n_in != 2)
        return EV_OK;
    int32_t out = node->out[0];
    for (int32_t i = 0; i < 2; i++) {
        int32_t shortcut = node->in[i], branch = node->in[1 - i];
        if (is_fixed(f, shortcut) || is_fixed(f, branch) || shortcut == branch ||
            !evi_shape_equal(shape_of(f, shortcut), shape_of(f, out)) ||
            !evi_shape_equal(shape_of(f, branch), shape_of(f, out)))
            continue;
        if (between(f, shortcut, branch, number) && is_closed(f, number))
            return keep_block(f, EV_BLOCK_RESIDUAL, shortcut, out, -1);
    }
    return EV_OK;
}

/* ---- layers in a chain ----------------------------------------------------------------------- */

/* Follow what belongs to a layer, from its result on; gives the end of it. */
static int32_t take_followers(finder *f, int32_t value)
{
    bool shift = false, norm = false, act = false;
    for (;;) {
        int32_t next = only_reader(f, value);
        if (next < 0)
            return value;
        const evi_node *node = &f->m->nodes[next];
        if (node->n_out > 1 && f->n_readers[node->out[1]] > 0)
            return value;
        bool drop = ONE_OF(node, "dropout", "identity");
        if (is_shift(f, node) && !shift && !norm && !act)
            shift = true;
        else if (is_norm(node) && !norm)
            norm = true;
        else if (is_act(node) && !act)
            act = true;
        else if (!drop)
            return value;
        f->found[f->n_found++] = next;
        value = node->out[0];
    }
}

/* A border that is drawn for this layer alone belongs to it. */
static int32_t take_border(finder *f, int32_t value)
{
    int32_t made_by = f->m->values[value].index;
    if (f->m->values[value].kind != EVI_VALUE_NODE || f->n_readers[value] != 1 ||
        !ONE_OF(&f->m->nodes[made_by], "pad"))
        return value;
    f->found[f->n_found++] = made_by;
    return f->m->nodes[made_by].in[0];
}

/* From a value through nodes that mind no other shape: the next layer with weights, or -1. */
static int32_t next_layer(const finder *f, int32_t value)
{
    for (;;) {
        int32_t next = only_reader(f, value);
        if (next < 0)
            return -1;
        const evi_node *node = &f->m->nodes[next];
        if (ONE_OF(node, "dense"))
            return is_fixed(f, node->in[1]) ? next : -1;
        if (ONE_OF(node, "conv2d"))
            return is_fixed(f, node->in[1]) && node->a.groups == 1 ? next : -1;
        bool easy =
            is_act(node) || ONE_OF(node, "dropout", "identity", "flatten", "max_pool2d",
                                   "average_pool2d", "global_average_pool", "global_max_pool");
        if (!easy || has_params(f, node))
            return -1;
        value = node->out[0];
    }
}

static bool same_picture(const evi_shape *a, const evi_shape *b)
{
    return a->rank == 4 && b->rank == 4 && a->dim[0] == b->dim[0] && a->dim[2] == b->dim[2] &&
           a->dim[3] == b->dim[3];
}

static ev_status find_conv(finder *f, int32_t number)
{
    const evi_node *node = &f->m->nodes[number];
    if (!ONE_OF(node, "conv2d") || !is_fixed(f, node->in[1]) || is_fixed(f, node->in[0]))
        return EV_OK;
    f->n_found = 0;
    f->found[f->n_found++] = number;
    int32_t in = take_border(f, node->in[0]);
    int32_t out = take_followers(f, node->out[0]), next = next_layer(f, out);
    if (evi_shape_equal(shape_of(f, in), shape_of(f, out)))
        return keep_block(f, EV_BLOCK_LAYER, in, out, next);
    if (next < 0)
        return EV_OK;
    /* Other heights and widths would reach beyond the next layer, unless it reads all of them. */
    bool ends = ONE_OF(&f->m->nodes[next], "dense") && node->a.stride[0] * node->a.stride[1] == 1;
    if (ends || same_picture(shape_of(f, in), shape_of(f, out)))
        return keep_block(f, EV_BLOCK_STAGE, in, out, next);
    return EV_OK;
}

static ev_status find_dense(finder *f, int32_t number)
{
    const evi_node *node = &f->m->nodes[number];
    if (!ONE_OF(node, "dense") || !is_fixed(f, node->in[1]) || is_fixed(f, node->in[0]))
        return EV_OK;
    f->n_found = 0;
    f->found[f->n_found++] = number;
    int32_t out = take_followers(f, node->out[0]), next = next_layer(f, out);
    if (next >= 0 && ONE_OF(&f->m->nodes[next], "dense"))
        return keep_block(f, EV_BLOCK_DENSE, node->in[0], out, next);
    return EV_OK;
}

/* ---- one model ------------------------------------------------------------------------------- */

/* Back from the outputs to the layers that make them. */
static void find_last(finder *f)
{
    const ev_model *m = f->m;
    f->search++;
    f->n_found = 0;
    for (int32_t i = -m->n_outputs; i < f->n_found; i++) {
        const evi_node *node = i < 0 ? NULL : &m->nodes[f->found[i]];
        int32_t n = i < 0 ? 1 : node->n_in;
        if (i >= 0 && has_params(f, node))
            f->is_last[f->found[i]] = 1;
        if (i >= 0 && makes(node))
            continue;
        for (int32_t k = 0; k < n; k++) {
            int32_t v = i < 0 ? m->outputs[~i].value : node->in[k];
            if (v == EV_NO_VALUE || m->values[v].kind != EVI_VALUE_NODE ||
                f->mark[m->values[v].index] == f->search)
                continue;
            f->mark[m->values[v].index] = f->search;
            f->found[f->n_found++] = m->values[v].index;
        }
    }
}

static ev_status make_tables(finder *f)
{
    const ev_model *m = f->m;
    ev_context *ctx = f->out->ctx;
    EVI_TRY(evi_calloc(ctx, (uint64_t)m->n_values, sizeof(int32_t), &f->n_readers));
    EVI_TRY(evi_malloc(ctx, (uint64_t)m->n_values, sizeof(int32_t), &f->reader));
    EVI_TRY(evi_calloc(ctx, (uint64_t)m->n_nodes, 1, &f->is_last));
    EVI_TRY(evi_calloc(ctx, (uint64_t)m->n_nodes, sizeof(int32_t), &f->mark));
    EVI_TRY(evi_malloc(ctx, (uint64_t)m->n_nodes + 1, sizeof(int32_t), &f->found));
    for (int32_t i = 0; i < m->n_values; i++)
        f->reader[i] = -1;
    for (int32_t i = 0; i < m->n_nodes; i++)
        for (int32_t k = 0; k < m->nodes[i].n_in; k++)
            if (m->nodes[i].in[k] != EV_NO_VALUE) {
                f->n_readers[m->nodes[i].in[k]]++;
                f->reader[m->nodes[i].in[k]] = i;
            }
    for (int32_t i = 0; i < m->n_outputs; i++) {
        f->n_readers[m->outputs[i].value]++;
        f->reader[m->outputs[i].value] = -1;
    }
    return EV_OK;
}

static ev_status search_model(finder *f)
{
    EVI_TRY(make_tables(f));
    find_last(f);
    for (int32_t i = 0; i < f->m->n_nodes; i++) {
        if (f->m->nodes[i].callee != NULL)
            continue;
        EVI_TRY(find_residual(f, i));
        EVI_TRY(find_conv(f, i));
        EVI_TRY(find_dense(f, i));
    }
    return EV_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Callees stand before their callers. */
static ev_status count_calls(const evi_groups *g, int32_t **out)
{
    EVI_TRY(evi_calloc(g->ctx, (uint64_t)g->n_models, sizeof(int32_t), out));
    (*out)[g->n_models - 1] = 1;
    for (int32_t m = g->n_models - 1; m >= 0; m--)
        for (int32_t i = 0; i < g->models[m]->n_nodes; i++)
            for (int32_t c = 0; c < m; c++)
                if (g->models[m]->nodes[i].callee == g->models[c])
                    (*out)[c] += (*out)[m];
    return EV_OK;
}

ev_status evi_blocks_find(ev_context *ctx, const evi_groups *groups, evi_blocks *out)
{
    *out = (evi_blocks){.ctx = ctx};
    int32_t *n_calls = NULL;
    ev_status status = count_calls(groups, &n_calls);
    finder f = {.g = groups, .out = out};
    for (int32_t i = groups->n_models - 1; i >= 0 && status == EV_OK; i--) {
        f.m = groups->models[i];
        f.model = i;
        f.n_calls = n_calls[i];
        status = search_model(&f);
        evi_free(f.n_readers);
        evi_free(f.reader);
        evi_free(f.is_last);
        evi_free(f.mark);
        evi_free(f.found);
        f = (finder){.g = groups, .out = out, .cap_blocks = f.cap_blocks, .cap_nodes = f.cap_nodes};
    }
    evi_free(n_calls);
    if (status != EV_OK)
        evi_blocks_free(out);
    return status;
}

void evi_blocks_free(evi_blocks *b)
{
    evi_free(b->blocks);
    evi_free(b->nodes);
    *b = (evi_blocks){0};
}

/* Without y, somebody else would have to be drawn anew for x, and nobody can be. */
static bool needs(const evi_blocks *b, const evi_block *x, const evi_block *y)
{
    bool inside = false;
    for (int32_t k = 0; k < y->n_nodes && x->next >= 0 && y->next < 0; k++)
        inside = inside || b->nodes[y->first_node + k] == x->next;
    return inside;
}

bool evi_blocks_overlap(const evi_blocks *b, int32_t i, int32_t j)
{
    const evi_block *x = &b->blocks[i], *y = &b->blocks[j];
    const int32_t *p = b->nodes + x->first_node, *q = b->nodes + y->first_node;
    int32_t k = 0, l = 0;
    if (x->model != y->model)
        return false;
    if (needs(b, x, y) || needs(b, y, x))
        return true;
    while (k < x->n_nodes && l < y->n_nodes) {
        if (p[k] == q[l])
            return true;
        if (p[k] < q[l])
            k++;
        else
            l++;
    }
    return false;
}
