/* SPDX-License-Identifier: MIT */
/* Blocks that go, of each kind, alone and with channels. */
#include "apply_case.h"
#include "random_nets.h"

#include <edgevision/zoo.h>
#include <math.h>

static ev_model *without_blocks(const cuts *c, uint64_t seed)
{
    ev_model *out = NULL;
    t_ok(evi_prune_apply(c->p, c->s.keep, c->keep_block, seed, &out));
    return out;
}

static ev_model *zoo(ev_context *ctx, const char *name, cuts *c)
{
    ev_zoo_options o;
    ev_model *m = NULL;
    EV_OPTIONS_INIT(&o);
    o.width = 64;
    o.height = 48;
    o.n_classes = 5;
    t_ok(ev_zoo_create(ctx, name, &o, &m));
    t_ok(ev_model_init(m, 4));
    const int64_t dims[4] = {1, 3, 48, 64};
    memcpy(c->s.dims, dims, sizeof(dims));
    return m;
}

/* All weights of a node: zero; of a convolution with `pass`: what comes in goes out. */
static void set_node(ev_model *m, const evi_node *node, bool pass)
{
    for (int32_t i = 1; i < node->n_in; i++) {
        const evi_value *v = &m->values[node->in[i]];
        if (v->kind != EVI_VALUE_PARAM || (i > 2 && strcmp(node->op->name, "batch_norm") == 0))
            continue;
        t_ok(evi_store_own(m->store, "test"));
        const evi_param *p = &m->store->params[v->index];
        memset(p->data, 0, (size_t)p->count * sizeof(evi_real));
        const int64_t *d = p->shape.dim, area = p->shape.rank == 4 ? d[2] * d[3] : 0;
        for (int64_t k = 0; pass && i == 1 && k < d[0]; k++)
            p->data[(k * d[1] + k) * area + area / 2] = 1;
    }
}

static void set_block(ev_model *m, const ev_pruner *p, const evi_block *b, bool pass)
{
    for (int32_t k = 0; k < b->n_nodes; k++)
        set_node(m, &m->nodes[p->blocks.nodes[b->first_node + k]], pass);
}

/* Branches that give zero are no branches: alone, together, and with channels gone. */
static void check_residual(ev_context *ctx, const char *name, bool widths)
{
    cuts c = {.s.state = 5};
    ev_model *m = zoo(ctx, name, &c);
    cuts_start(&c, ctx, m);
    if (widths)
        subject_choose(&c.s);
    ev_model *zeroed = subject_without(&c.s);
    int32_t n = 0;
    for (int32_t i = 0; i < c.p->blocks.n; i++) {
        const evi_block *b = &c.p->blocks.blocks[i];
        if (b->kind != EV_BLOCK_RESIDUAL)
            continue;
        if (n++ % 2 == (widths ? 1 : 2))
            continue;
        set_block(zeroed, c.p, b, false);
        c.keep_block[i] = 0;
    }
    ck_assert_int_gt(n, 2);
    ev_model *out = without_blocks(&c, 1);
    ck_assert_int_lt(ev_model_parameter_count(out), ev_model_parameter_count(m));
    subject_same(&c.s, out, zeroed, 1e-5, "residual blocks", 0);
    subject_gradients_flow(&c.s, out, 0);
    ev_model_destroy(out);
    ev_model_destroy(zeroed);
    cuts_end(&c);
}

START_TEST(residual_blocks)
{
    ev_context *ctx = t_context(NULL, 1);
    check_residual(ctx, "resnet20", false);
    check_residual(ctx, "resnet20", true);
    check_residual(ctx, "resnet18", true);
    ev_context_destroy(ctx);
}
END_TEST

static int32_t group_at(const evi_groups *g, int32_t model, int32_t value)
{
    for (int32_t i = 0; i < g->n; i++)
        for (int32_t k = 0; k < g->groups[i].n_spots; k++) {
            const evi_spot *s = &g->spots[g->groups[i].first_spot + k];
            if (s->model == model && s->value == value && s->axis == 1)
                return i;
        }
    return -1;
}

/* A layer that gives what it gets is no layer; the channels on both sides are then the same. */
START_TEST(layer_blocks)
{
    ev_context *ctx = t_context(NULL, 1);
    for (int32_t widths = 0; widths < 2; widths++) {
        cuts c = {.s.state = 9};
        ev_model *m = zoo(ctx, "arch8", &c);
        cuts_start(&c, ctx, m);
        if (widths)
            subject_choose(&c.s);
        int32_t n = 0;
        for (int32_t i = 0; i < c.p->blocks.n; i++) {
            const evi_block *b = &c.p->blocks.blocks[i];
            if (b->kind != EV_BLOCK_LAYER)
                continue;
            int32_t x = group_at(&c.s.p.groups, b->model, b->in);
            int32_t y = group_at(&c.s.p.groups, b->model, b->out);
            ck_assert_int_ge(x, 0);
            memcpy(c.s.keep[y], c.s.keep[x], (size_t)c.s.p.groups.groups[x].n);
            c.keep_block[i] = 0;
            n++;
        }
        ck_assert_int_gt(n, 1);
        ev_model *zeroed = subject_without(&c.s), *out = without_blocks(&c, 1);
        for (int32_t i = 0; i < c.p->blocks.n; i++)
            if (!c.keep_block[i])
                set_block(zeroed, c.p, &c.p->blocks.blocks[i], true);
        subject_same(&c.s, out, zeroed, 1e-5, "layers", (uint64_t)widths);
        ev_model_destroy(out);
        ev_model_destroy(zeroed);
        cuts_end(&c);
    }
    ev_context_destroy(ctx);
}
END_TEST

/* Layers whose one side is not like the other: weights behind them start again, by the seed, and
 * all others are as they were. */
static void check_redrawn(cuts *c, int32_t block)
{
    const ev_model *m = c->s.model;
    c->keep_block[block] = 0;
    ev_model *a = without_blocks(c, 7), *b = without_blocks(c, 7), *other = without_blocks(c, 8);
    subject_same_file(a, b, (uint64_t)block);
    int32_t n_anew = 0;
    for (int32_t i = 0; i < a->store->n_params; i++) {
        const evi_param *x = &a->store->params[i], *y = &other->store->params[i];
        const evi_param *old = &m->store->params[evi_store_find(m->store, x->name)];
        bool anew = memcmp(x->data, y->data, (size_t)x->count * sizeof(evi_real)) != 0;
        n_anew += anew;
        if (anew)
            ck_assert_int_eq(old->init, x->init);
        else if (strstr(x->name, "bias") == NULL)
            ck_assert(memcmp(x->data, old->data, (size_t)x->count * sizeof(evi_real)) == 0);
    }
    ck_assert_int_eq(n_anew, 1);
    subject_gradients_flow(&c->s, a, (uint64_t)block);
    ev_model_destroy(a);
    ev_model_destroy(b);
    ev_model_destroy(other);
    c->keep_block[block] = 1;
}

START_TEST(blocks_that_redraw)
{
    ev_context *ctx = t_context(NULL, 1);
    int32_t kinds[8] = {0};
    for (int32_t i = 0; i < 4; i++) {
        cuts c = {.s.state = 2};
        ev_model *m = i == 0   ? zoo(ctx, "arch8", &c)
                      : i == 1 ? zoo(ctx, "arch5", &c)
                               : random_sequence(ctx, (uint64_t)i + 40, c.s.dims);
        cuts_start(&c, ctx, m);
        for (int32_t b = 0; b < c.p->blocks.n && b < 6; b++) {
            kinds[c.p->blocks.blocks[b].kind]++;
            if (c.p->blocks.blocks[b].redraws)
                check_redrawn(&c, b);
        }
        cuts_end(&c);
    }
    ck_assert_int_gt(kinds[EV_BLOCK_STAGE], 0);
    ck_assert_int_gt(kinds[EV_BLOCK_DENSE], 0);
    ev_context_destroy(ctx);
}
END_TEST

static bool is_finite(const results *r)
{
    bool all = true;
    for (int32_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < r->count[i]; k++)
            all = all && isfinite(r->data[i][k]);
    return all;
}

/* Any blocks and any channels: there is a model, of the right outputs, that runs and learns. */
START_TEST(random_blocks)
{
    ev_context *ctx = t_context(NULL, 1);
    int32_t n_gone = 0;
    for (int32_t i = 0; i < GROUP; i++) {
        uint64_t seed = (uint64_t)_i * GROUP + (uint64_t)i;
        cuts c = {.s.state = seed * 7 + 1};
        ev_model *m =
            seed % 3 == 0 ? random_sequence(ctx, seed, c.s.dims) : random_net(ctx, seed, c.s.dims);
        results old, new;
        cuts_start(&c, ctx, m);
        if (seed % 2 == 0)
            subject_choose(&c.s);
        for (int32_t b = 0; b < c.p->blocks.n; b++) {
            bool goes = t_random_int(&c.s.state, 0, 1) == 0;
            for (int32_t k = 0; k < b && goes; k++)
                goes = c.keep_block[k] || !evi_blocks_overlap(&c.p->blocks, k, b);
            c.keep_block[b] = !goes;
            n_gone += goes;
        }
        ev_model *out = without_blocks(&c, seed);
        subject_run(&c.s, m, &old);
        subject_run(&c.s, out, &new);
        ck_assert_int_eq(old.n, new.n);
        for (int32_t k = 0; k < old.n; k++)
            ck_assert_uint_eq(old.count[k], new.count[k]);
        ck_assert_msg(is_finite(&new), "model %llu", (unsigned long long)seed);
        subject_forget(&old);
        subject_forget(&new);
        ev_model *again = subject_through_a_file(&c.s, out);
        subject_same(&c.s, again, out, 1e-6, "through a file", seed);
        ev_model_destroy(again);
        ev_model_destroy(out);
        cuts_end(&c);
    }
    ck_assert_int_gt(n_gone, GROUP / 2);
    ev_context_destroy(ctx);
}
END_TEST

void add_block_tests(Suite *s, bool many)
{
    TCase *c = tcase_create("blocks");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, residual_blocks);
    tcase_add_test(c, layer_blocks);
    tcase_add_test(c, blocks_that_redraw);
    tcase_add_loop_test(c, random_blocks, 0, (many ? 2000 : 200) / GROUP);
    suite_add_tcase(s, c);
}
