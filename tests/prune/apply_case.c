/* SPDX-License-Identifier: MIT */
#include "apply_case.h"

#include <edgevision/session.h>
#include <edgevision/train.h>
#include <math.h>

#define SMALL (1.0 / 64)

double subject_worst;

/* ---- a pruner by hand ------------------------------------------------------------------------ */

void subject_look(subject *s)
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

void subject_choose(subject *s)
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

void subject_end(subject *s)
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

ev_model *subject_without(const subject *s)
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

static ev_tensor *pictures(const subject *s, int32_t n)
{
    const int64_t dims[4] = {n, s->dims[1], s->dims[2], s->dims[3]};
    ev_tensor *x = NULL;
    t_ok(ev_tensor_create(s->ctx, EV_TYPE_FLOAT32, 4, dims, &x));
    t_fill(ev_tensor_data(x), (size_t)ev_tensor_count(x), 77);
    return x;
}

void subject_run(const subject *s, ev_model *m, results *out)
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

void subject_forget(results *r)
{
    for (int32_t i = 0; i < r->n; i++)
        free(r->data[i]);
}

void subject_same(const subject *s, ev_model *a, ev_model *b, double tolerance, const char *what,
                  uint64_t seed)
{
    results x, y;
    subject_run(s, a, &x);
    subject_run(s, b, &y);
    ck_assert_int_eq(x.n, y.n);
    for (int32_t i = 0; i < x.n; i++) {
        ck_assert_uint_eq(x.count[i], y.count[i]);
        double e = t_peak_error(x.data[i], y.data[i], x.count[i]), peak = 0;
        for (size_t k = 0; k < y.count[i]; k++)
            peak = fmax(peak, fabs((double)y.data[i][k]));
        if (peak < SMALL) /* little is left of much larger numbers */
            e *= (peak > 0 ? peak : 1) / SMALL;
        ck_assert_msg(isfinite(e) && isfinite(peak) && isfinite(y.data[i][0]),
                      "model %llu, output %d", (unsigned long long)seed, (int)i);
        ck_assert_msg(e <= tolerance, "model %llu, output %d: %s: %g of the peak %g",
                      (unsigned long long)seed, (int)i, what, e, peak);
        subject_worst = fmax(subject_worst, e);
    }
    subject_forget(&x);
    subject_forget(&y);
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

void subject_gradients_flow(const subject *s, const ev_model *m, uint64_t seed)
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

/* ---- files --------------------------------------------------------------------------------- */

void subject_same_file(const ev_model *a, const ev_model *b, uint64_t seed)
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

ev_model *subject_through_a_file(const subject *s, const ev_model *m)
{
    void *bytes = NULL;
    uint64_t n = 0;
    ev_model *again = NULL;
    t_ok(ev_model_save_memory(m, &bytes, &n));
    t_ok(ev_model_load_memory(s->ctx, bytes, n, NULL, &again));
    ev_bytes_destroy(bytes);
    return again;
}

/* ---- with blocks ----------------------------------------------------------------------------- */

void cuts_start(cuts *c, ev_context *ctx, ev_model *m)
{
    c->s.ctx = ctx;
    c->s.model = m;
    t_ok(ev_pruner_create(ctx, m, NULL, &c->p));
    subject_look(&c->s);
    c->keep_block = malloc((size_t)c->p->blocks.n + 1);
    memset(c->keep_block, 1, (size_t)c->p->blocks.n + 1);
}

void cuts_end(cuts *c)
{
    free(c->keep_block);
    ev_pruner_destroy(c->p);
    subject_end(&c->s);
}
