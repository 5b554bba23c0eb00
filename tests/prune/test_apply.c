/* SPDX-License-Identifier: MIT */
/* The smaller model computes what the old one does with the channels' contributions set to zero,
 * for random models and random plans; blocks that go; and no memory. */
#include "../api/random_model.h"
#include "prune/prune.h"
#include "random_nets.h"
#include "support.h"

#include <edgevision/session.h>
#include <edgevision/zoo.h>
#include <math.h>

#define GROUP 25 /* models a test */
#define BATCH 2

static double worst;

/* ---- a pruner by hand ------------------------------------------------------------------------ */

typedef struct subject {
    ev_context *ctx;
    ev_model *model;
    int64_t dims[4];
    ev_pruner p; /* groups alone */
    uint8_t **keep;
    int32_t n_gone;
    uint64_t state;
} subject;

static void look(subject *s)
{
    t_ok(evi_groups_find(s->ctx, s->model, &s->p.groups));
    s->p.model = s->model;
    const evi_groups *g = &s->p.groups;
    s->keep = calloc((size_t)g->n + 1, sizeof(*s->keep));
    for (int32_t i = 0; i < g->n; i++) {
        s->keep[i] = malloc((size_t)g->groups[i].n);
        memset(s->keep[i], 1, (size_t)g->groups[i].n);
    }
}

static void choose(subject *s)
{
    const evi_groups *g = &s->p.groups;
    for (int32_t i = 0; i < g->n; i++) {
        const evi_group *group = &g->groups[i];
        int32_t share = t_random_int(&s->state, 0, 4);
        for (int32_t c = 0; c < group->n && group->blocked == NULL; c++)
            s->keep[i][c] = t_random_int(&s->state, 0, 4) >= share;
        s->keep[i][t_random_int(&s->state, 0, group->n - 1)] = 1;
        for (int32_t c = 0; c < group->n; c++)
            s->n_gone += !s->keep[i][c];
    }
}

static void end(subject *s)
{
    for (int32_t i = 0; i < s->p.groups.n; i++)
        free(s->keep[i]);
    free(s->keep);
    evi_groups_free(&s->p.groups);
    ev_model_destroy(s->model);
}

/* ---- the old model without what the channels give -------------------------------------------- */

/* Numbers of the models of a clone, in the order of evi_groups. */
static void find_models(ev_model *clone, const ev_model *old, const evi_groups *g, ev_model **out)
{
    for (int32_t i = 0; i < g->n_models; i++)
        if (g->models[i] == old)
            out[i] = clone;
    for (int32_t i = 0; i < old->n_nodes; i++)
        if (old->nodes[i].callee != NULL)
            find_models(clone->nodes[i].callee, old->nodes[i].callee, g, out);
}

static void zero_axis(const evi_value *v, evi_real *data, int32_t axis, int64_t first, int64_t n)
{
    const evi_shape *s = &v->edge.shape;
    int64_t inner = 1, outer = 1;
    for (int32_t d = 0; d < s->rank; d++) {
        outer *= d < axis ? s->dim[d] : 1;
        inner *= d > axis ? s->dim[d] : 1;
    }
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = first * inner; i < (first + n) * inner; i++)
            data[o * s->dim[axis] * inner + i] = 0;
}

static ev_model *without(const subject *s)
{
    const evi_groups *g = &s->p.groups;
    ev_model *clone = NULL, *models[64] = {0};
    ck_assert_int_le(g->n_models, 64);
    t_ok(ev_model_clone(s->model, &clone));
    find_models(clone, s->model, g, models);
    for (int32_t i = 0; i < g->n; i++)
        for (int32_t k = 0; k < g->groups[i].n_spots; k++) {
            const evi_spot *spot = &g->spots[g->groups[i].first_spot + k];
            ev_model *m = models[spot->model];
            evi_value *v = &m->values[spot->value];
            if (spot->role != EVI_SPOT_IN || v->kind != EVI_VALUE_PARAM)
                continue;
            t_ok(evi_store_own(m->store, "test"));
            for (int32_t c = 0; c < g->groups[i].n; c++)
                if (!s->keep[i][c])
                    zero_axis(v, m->store->params[v->index].data, spot->axis,
                              spot->offset + c * spot->stride, spot->block);
        }
    return clone;
}

/* ---- running --------------------------------------------------------------------------------- */

typedef struct results {
    int32_t n;
    size_t count[4];
    float *data[4];
} results;

static ev_tensor *pictures(const subject *s, int32_t n)
{
    const int64_t dims[4] = {n, s->dims[1], s->dims[2], s->dims[3]};
    ev_tensor *x = NULL;
    t_ok(ev_tensor_create(s->ctx, EV_TYPE_FLOAT32, 4, dims, &x));
    t_fill(ev_tensor_data(x), (size_t)ev_tensor_count(x), 77);
    return x;
}

static void run(const subject *s, ev_model *m, results *out)
{
    ev_plan_options o;
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    EV_OPTIONS_INIT(&o);
    o.max_batch = BATCH;
    o.precise = 1;
    t_ok(ev_plan_create(s->ctx, m, &o, &plan));
    t_ok(ev_session_create(plan, &session));
    ev_tensor *x = pictures(s, BATCH);
    const ev_tensor *in = x;
    t_ok(ev_session_run(session, &in, 1, NULL, 0));
    out->n = ev_model_n_outputs(m);
    ck_assert_int_le(out->n, 4);
    for (int32_t i = 0; i < out->n; i++) {
        const ev_tensor *y = ev_session_output(session, i);
        out->count[i] = (size_t)ev_tensor_count(y);
        out->data[i] = malloc(ev_tensor_bytes(y) + 1);
        memcpy(out->data[i], ev_tensor_data(y), ev_tensor_bytes(y));
    }
    ev_tensor_destroy(x);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
}

static void forget(results *r)
{
    for (int32_t i = 0; i < r->n; i++)
        free(r->data[i]);
}

static void same(const subject *s, ev_model *a, ev_model *b, double tolerance, const char *what,
                 uint64_t seed)
{
    results x, y;
    run(s, a, &x);
    run(s, b, &y);
    ck_assert_int_eq(x.n, y.n);
    for (int32_t i = 0; i < x.n; i++) {
        ck_assert_uint_eq(x.count[i], y.count[i]);
        double e = t_peak_error(x.data[i], y.data[i], x.count[i]), peak = 0;
        for (size_t k = 0; k < y.count[i]; k++)
            peak = fmax(peak, fabs((double)y.data[i][k]));
        if (peak < 1e-3) /* nothing comes through */
            e = fmin(e, e * peak * 1e3);
        ck_assert_msg(e <= tolerance, "model %llu, output %d: %s: %g of the peak %g",
                      (unsigned long long)seed, (int)i, what, e, peak);
        worst = fmax(worst, e);
    }
    forget(&x);
    forget(&y);
}

/* ---- gradients ------------------------------------------------------------------------------- */

typedef struct sums {
    double most;
    bool finite;
} sums;

static int32_t sum_gradients(void *user, int32_t vector, int32_t n_vectors, float *g, int64_t n)
{
    sums *s = user;
    (void)n_vectors;
    if (vector == 0)
        *s = (sums){.finite = true};
    for (int64_t i = 0; i < n; i++) {
        s->finite = s->finite && isfinite(g[i]);
        s->most = fmax(s->most, fabs((double)g[i]));
    }
    return 0;
}

static void gradients_flow(const subject *s, const ev_model *m, uint64_t seed)
{
    ev_model *copy = NULL;
    ev_train_options o;
    ev_trainer *trainer = NULL;
    sums sum = {0};
    ev_value loss = EV_NO_VALUE;
    EV_OPTIONS_INIT(&o);
    o.reduce = sum_gradients;
    o.user = &sum;
    o.batch_size = BATCH;
    o.optimizer = EV_OPTIMIZER_SGD;
    t_ok(ev_model_clone(m, &copy));
    t_ok(ev_model_mse_loss(copy, copy->outputs[0].value, EV_NO_VALUE, 0.37f, &loss));
    t_ok(ev_model_loss(copy, "loss", loss, 1));
    t_ok(ev_trainer_create(s->ctx, copy, NULL, NULL, &o, &trainer));
    ev_feed feed = {.name = "image", .tensor = pictures(s, BATCH)};
    t_ok(ev_trainer_step(trainer, &feed, 1, NULL, 0));
    ck_assert_msg(sum.finite && sum.most > 0, "model %llu: gradients: finite %d, most %g",
                  (unsigned long long)seed, (int)sum.finite, sum.most);
    ev_tensor_destroy((ev_tensor *)(uintptr_t)feed.tensor);
    ev_trainer_destroy(trainer);
    ev_model_destroy(copy);
}

/* ---- any model, any plan --------------------------------------------------------------------- */

static void same_file(const ev_model *a, const ev_model *b, uint64_t seed)
{
    void *x = NULL, *y = NULL;
    uint64_t nx = 0, ny = 0;
    t_ok(ev_model_save_memory(a, &x, &nx));
    t_ok(ev_model_save_memory(b, &y, &ny));
    ck_assert_msg(nx == ny && memcmp(x, y, nx) == 0, "model %llu: the copy has another file",
                  (unsigned long long)seed);
    ev_bytes_destroy(x);
    ev_bytes_destroy(y);
}

static ev_model *through_a_file(const subject *s, const ev_model *m)
{
    void *bytes = NULL;
    uint64_t n = 0;
    ev_model *again = NULL;
    t_ok(ev_model_save_memory(m, &bytes, &n));
    t_ok(ev_model_load_memory(s->ctx, bytes, n, NULL, &again));
    ev_bytes_destroy(bytes);
    return again;
}

/* As loaded from a file, whose graph says the same in ONNX's words. */
static void reload(subject *s)
{
    ev_model *again = through_a_file(s, s->model);
    ev_model_destroy(s->model);
    s->model = again;
}

static void one_model(subject *s, uint64_t seed)
{
    ev_model *all = NULL, *small = NULL;
    s->state = seed * 77 + 3;
    look(s);
    if (seed % 4 == 0) {
        t_ok(evi_prune_apply(&s->p, s->keep, NULL, 1, &all));
        same_file(all, s->model, seed);
        ev_model_destroy(all);
    }
    choose(s);
    ev_model *zeroed = without(s);
    t_ok(evi_prune_apply(&s->p, s->keep, NULL, 1, &small));
    same(s, small, zeroed, 1e-5, "against the old model with zeros", seed);
    if (seed % 4 == 1)
        gradients_flow(s, small, seed);
    if (seed % 4 == 2) {
        ev_model *again = through_a_file(s, small);
        same(s, again, small, 1e-6, "through a file", seed);
        ev_model_destroy(again);
    }
    ev_model_destroy(zeroed);
    ev_model_destroy(small);
    end(s);
}

START_TEST(random_nets)
{
    ev_context *ctx = t_context(NULL, 1);
    int32_t n_gone = 0;
    for (int32_t i = 0; i < GROUP; i++) {
        uint64_t seed = (uint64_t)_i * GROUP + (uint64_t)i;
        subject s = {.ctx = ctx};
        if (seed % 5 == 4) {
            random_model r;
            random_model_make(ctx, seed, &r);
            s.model = r.model;
            memcpy(s.dims, r.dims, sizeof(s.dims));
        } else {
            s.model = random_net(ctx, seed, s.dims);
        }
        if (seed % 3 == 2)
            reload(&s);
        one_model(&s, seed);
        n_gone += s.n_gone;
    }
    ck_assert_int_gt(n_gone, GROUP);
    if (getenv("EV_APPLY_WORST") != NULL)
        fprintf(stderr, "worst %g, channels gone %d\n", worst, (int)n_gone);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- blocks ---------------------------------------------------------------------------------- */

typedef struct cuts {
    subject s; /* its groups are those of the pruner */
    ev_pruner *p;
    uint8_t *keep_block;
} cuts;

static void cuts_start(cuts *c, ev_context *ctx, ev_model *m)
{
    c->s.ctx = ctx;
    c->s.model = m;
    t_ok(ev_pruner_create(ctx, m, NULL, &c->p));
    look(&c->s);
    c->keep_block = malloc((size_t)c->p->blocks.n + 1);
    memset(c->keep_block, 1, (size_t)c->p->blocks.n + 1);
}

static void cuts_end(cuts *c)
{
    free(c->keep_block);
    ev_pruner_destroy(c->p);
    end(&c->s);
}

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
        choose(&c.s);
    ev_model *zeroed = without(&c.s);
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
    same(&c.s, out, zeroed, 1e-5, "residual blocks", 0);
    gradients_flow(&c.s, out, 0);
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
            choose(&c.s);
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
        ev_model *zeroed = without(&c.s), *out = without_blocks(&c, 1);
        for (int32_t i = 0; i < c.p->blocks.n; i++)
            if (!c.keep_block[i])
                set_block(zeroed, c.p, &c.p->blocks.blocks[i], true);
        same(&c.s, out, zeroed, 1e-5, "layers", (uint64_t)widths);
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
    same_file(a, b, (uint64_t)block);
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
    gradients_flow(&c->s, a, (uint64_t)block);
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
            choose(&c.s);
        for (int32_t b = 0; b < c.p->blocks.n; b++) {
            bool goes = t_random_int(&c.s.state, 0, 1) == 0;
            for (int32_t k = 0; k < b && goes; k++)
                goes = c.keep_block[k] || !evi_blocks_overlap(&c.p->blocks, k, b);
            c.keep_block[b] = !goes;
            n_gone += goes;
        }
        ev_model *out = without_blocks(&c, seed);
        run(&c.s, m, &old);
        run(&c.s, out, &new);
        ck_assert_int_eq(old.n, new.n);
        for (int32_t k = 0; k < old.n; k++)
            ck_assert_uint_eq(old.count[k], new.count[k]);
        ck_assert_msg(is_finite(&new), "model %llu", (unsigned long long)seed);
        forget(&old);
        forget(&new);
        ev_model *again = through_a_file(&c.s, out);
        same(&c.s, again, out, 1e-6, "through a file", seed);
        ev_model_destroy(again);
        ev_model_destroy(out);
        cuts_end(&c);
    }
    ck_assert_int_gt(n_gone, GROUP / 2);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- shapes that are computed ---------------------------------------------------------------- */

static ev_value plain(ev_model *m, const char *op, const int64_t *list, int32_t n, ev_value x,
                      ev_value y)
{
    evi_attrs a;
    evi_attrs_default(&a);
    for (int32_t i = 0; i < n; i++)
        a.list.v[i] = list[i];
    a.list.n = n;
    a.list.set = n > 0;
    const int32_t in[2] = {x, y};
    int32_t out = EV_NO_VALUE;
    t_ok(evi_model_add(m, evi_op_find(op), &a, NULL, in, y == EV_NO_VALUE ? 1 : 2, &out, 1));
    return out;
}

static ev_value numbers(ev_model *m, int32_t n, int64_t a)
{
    evi_shape s = {.rank = n, .dim = {1}};
    int32_t out = EV_NO_VALUE;
    t_ok(evi_model_add_constant(m, NULL, EV_TYPE_INT64, &s, &a, &out));
    return out;
}

/* x.view(x.size(0), 6 * 8 * 8), as PyTorch writes it. */
START_TEST(computed_shape)
{
    ev_context *ctx = t_context(NULL, 1);
    subject s = {.ctx = ctx, .dims = {1, 3, 8, 8}};
    const int64_t any[4] = {-1, 3, 8, 8}, axis = 0;
    ev_value x, shape, parts[2];
    t_ok(ev_model_create(ctx, &s.model));
    t_ok(ev_model_input(s.model, "image", EV_TYPE_FLOAT32, 4, any, &x));
    t_ok(ev_model_conv2d(s.model, x, 6, 3, NULL, &x));
    shape = plain(s.model, "shape", NULL, 0, x, EV_NO_VALUE);
    shape = plain(s.model, "gather", NULL, 0, shape, numbers(s.model, 0, 0));
    parts[0] = plain(s.model, "unsqueeze", &axis, 1, shape, EV_NO_VALUE);
    parts[1] = numbers(s.model, 1, _i == 0 ? 6 * 8 * 8 : -1);
    t_ok(ev_model_concat(s.model, parts, 2, 0, &shape));
    x = plain(s.model, "reshape", NULL, 0, x, shape);
    t_ok(ev_model_dense(s.model, x, 4, NULL, &x));
    t_ok(ev_model_output(s.model, "numbers", x));
    t_ok(ev_model_init(s.model, 3));
    one_model(&s, 9); /* runs two pictures */
    ck_assert_int_gt(s.n_gone, 0);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- no memory ------------------------------------------------------------------------------- */

static ev_status apply_once(ev_context *ctx, void *arg)
{
    const cuts *c = arg;
    ev_model *out = NULL;
    ev_pruner p = *c->p;
    p.groups.ctx = ctx;
    ev_status status = evi_prune_apply(&p, c->s.keep, c->keep_block, 1, &out);
    ck_assert((status == EV_OK) == (out != NULL));
    ev_model_destroy(out);
    return status;
}

START_TEST(no_memory)
{
    ev_context *ctx = t_context(NULL, 1);
    for (uint64_t seed = 0; seed < 6; seed++) {
        cuts c = {.s.state = seed + 3};
        cuts_start(&c, ctx, random_sequence(ctx, seed + 20, c.s.dims));
        choose(&c.s);
        for (int32_t b = 0; b < c.p->blocks.n && seed % 2; b++)
            c.keep_block[b] = b != 0;
        t_each_alloc(apply_once, &c, 1, 20000);
        cuts_end(&c);
    }
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(stale)
{
    ev_context *ctx = t_context(NULL, 1);
    cuts c = {.s.state = 3};
    ev_prune_plan *plan = NULL;
    ev_model *out = NULL;
    ev_value y = EV_NO_VALUE;
    cuts_start(&c, ctx, random_sequence(ctx, 2, c.s.dims));
    t_ok(ev_pruner_plan(c.p, NULL, &plan));
    t_ok(ev_prune_plan_apply(plan, 1, &out));
    same_file(out, c.s.model, 2);
    ev_model_destroy(out);
    t_ok(ev_model_init(c.s.model, 77)); /* other weights are fine */
    t_ok(ev_prune_plan_apply(plan, 1, &out));
    same_file(out, c.s.model, 2);
    ev_model_destroy(out);
    t_ok(ev_model_identity(c.s.model, c.s.model->outputs[0].value, &y));
    t_status(ev_prune_plan_apply(plan, 1, &out), EV_ERR_STALE);
    ck_assert_ptr_null(out);
    t_status(ev_prune_plan_apply(NULL, 1, &out), EV_ERR_ARGUMENT);
    t_status(ev_prune_plan_apply(plan, 1, NULL), EV_ERR_ARGUMENT);
    ev_prune_plan_destroy(plan);
    cuts_end(&c);
    ev_context_destroy(ctx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("apply");
    TCase *c = tcase_create("random");
    const char *all = getenv("EV_RUN_ALL");
    bool many = all != NULL && strcmp(all, "1") == 0;
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, random_nets, 0, (many ? 4000 : 500) / GROUP);
    suite_add_tcase(s, c);
    c = tcase_create("blocks");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, residual_blocks);
    tcase_add_test(c, layer_blocks);
    tcase_add_test(c, blocks_that_redraw);
    tcase_add_loop_test(c, random_blocks, 0, (many ? 1000 : 200) / GROUP);
    suite_add_tcase(s, c);
    c = tcase_create("rest");
    tcase_add_loop_test(c, computed_shape, 0, 2);
    tcase_add_test(c, no_memory);
    tcase_add_test(c, stale);
    suite_add_tcase(s, c);
    return t_run(s);
}
