/* SPDX-License-Identifier: MIT */
#include "scores_case.h"

#include <math.h>

ev_context *sc_ctx;

void sc_start(void)
{
    sc_ctx = t_context(NULL, 1);
}

void sc_end(void)
{
    ev_context_destroy(sc_ctx);
}

/* ---- nets and pictures ----------------------------------------------------------------------- */

static ev_status norm(ev_model *m, ev_value x, const char *name, ev_value *out)
{
    ev_norm_options o;
    EV_OPTIONS_INIT(&o);
    o.name = name;
    return ev_model_batch_norm(m, x, &o, out);
}

static ev_status conv(ev_model *m, ev_value x, int32_t filters, int32_t groups, const char *name,
                      ev_value *out)
{
    ev_conv2d_options o;
    EV_OPTIONS_INIT(&o);
    o.groups = groups;
    o.name = name;
    return ev_model_conv2d(m, x, filters, 3, &o, out);
}

static ev_status relu(ev_model *m, ev_value x, ev_value *out)
{
    return ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, out);
}

/* Biases, scales and statistics that are neither 0 nor 1. */
void sc_stir(ev_model *m)
{
    uint64_t state = 7;
    for (int32_t i = 0; i < ev_model_n_weights(m); i++) {
        const char *name = ev_model_weight_name(m, i);
        ev_tensor *w = NULL;
        t_ok(ev_model_weight(m, name, &w));
        evi_real *x = ev_tensor_data(w);
        for (int64_t j = 0; j < ev_tensor_count(w) && ev_tensor_rank(w) == 1; j++)
            x[j] += (evi_real)(0.2f * t_random_float(&state));
        for (int64_t j = 0; j < ev_tensor_count(w) && strstr(name, "var") != NULL; j++)
            x[j] = (evi_real)(0.5f + 0.4f * t_random_float(&state));
        ev_tensor_destroy(w);
    }
    t_ok(ev_model_touch(m));
}

static ev_status begin(ev_context *c, ev_model **m, ev_value *x)
{
    const int64_t dims[] = {-1, 3, SIDE, SIDE};
    ev_status status = ev_model_create(c, m);
    return status == EV_OK ? ev_model_input(*m, "image", EV_TYPE_FLOAT32, 4, dims, x) : status;
}

static ev_status finish(ev_model *m, ev_value x, ev_value shown, bool hidden, int32_t flags)
{
    EVI_TRY(ev_model_global_average_pool(m, x, &x));
    EVI_TRY(ev_model_flatten(m, x, 1, &x));
    if (hidden) {
        EVI_TRY(ev_model_dense(m, x, 5, NULL, &x));
        EVI_TRY(relu(m, x, &x));
        EVI_TRY(ev_model_dropout(m, x, 0.5f, &x));
    }
    EVI_TRY(ev_model_dense(m, x, N_CLASSES, NULL, &x));
    EVI_TRY(ev_model_output(m, "logits", x));
    if (flags & WITH_OUTPUT)
        EVI_TRY(ev_model_output(m, "shown", shown));
    return ev_model_init(m, 3);
}

/* Plain convolution, a grouped one, a norm, dense layers. */
static ev_status draw_plain(ev_context *c, int32_t flags, ev_model **m)
{
    ev_value x = EV_NO_VALUE, shown;
    EVI_TRY(begin(c, m, &x));
    EVI_TRY(conv(*m, x, 8, 1, "first", &x));
    EVI_TRY(relu(*m, x, &x));
    EVI_TRY(conv(*m, x, 8, 2, "grouped", &x));
    EVI_TRY(norm(*m, x, "norm", &x));
    EVI_TRY(relu(*m, x, &x));
    shown = x;
    EVI_TRY(conv(*m, x, 6, 1, "third", &x));
    EVI_TRY(relu(*m, x, &x));
    return finish(*m, x, shown, true, flags);
}

/* A stem, a shortcut around a convolution, so that both share a group. */
static ev_status draw_residual(ev_context *c, int32_t flags, ev_model **m)
{
    ev_value x = EV_NO_VALUE, y;
    EVI_TRY(begin(c, m, &x));
    EVI_TRY(conv(*m, x, 8, 1, "stem", &x));
    EVI_TRY(norm(*m, x, "stem_norm", &x));
    EVI_TRY(relu(*m, x, &x));
    EVI_TRY(conv(*m, x, 6, 1, "inner", &y));
    EVI_TRY(norm(*m, y, "inner_norm", &y));
    EVI_TRY(relu(*m, y, &y));
    EVI_TRY(conv(*m, y, 8, 1, "outer", &y));
    EVI_TRY(norm(*m, y, "outer_norm", &y));
    EVI_TRY(ev_model_add(*m, x, y, &x));
    EVI_TRY(relu(*m, x, &x));
    return finish(*m, x, x, false, flags);
}

/* An instance norm without scale, which no later layer has to share. */
static ev_status draw_instance(ev_context *c, int32_t flags, ev_model **m)
{
    ev_value x = EV_NO_VALUE;
    EVI_TRY(begin(c, m, &x));
    EVI_TRY(conv(*m, x, 6, 1, "first", &x));
    EVI_TRY(ev_model_instance_norm(*m, x, NULL, &x));
    EVI_TRY(relu(*m, x, &x));
    return finish(*m, x, x, false, flags);
}

/* A convolution that a called model has, used twice. */
static ev_status draw_calling(ev_context *c, int32_t flags, ev_model **m)
{
    const int64_t dims[] = {-1, 8, SIDE, SIDE};
    ev_model *part = NULL;
    ev_value x = EV_NO_VALUE;
    ev_status status = ev_model_create(c, &part);
    if (status == EV_OK)
        status = ev_model_input(part, "x", EV_TYPE_FLOAT32, 4, dims, &x);
    if (status == EV_OK)
        status = conv(part, x, 8, 1, "shared", &x);
    if (status == EV_OK)
        status = relu(part, x, &x);
    if (status == EV_OK)
        status = ev_model_output(part, "y", x);
    if (status == EV_OK)
        status = ev_model_init(part, 2);
    if (status == EV_OK)
        status = begin(c, m, &x);
    if (status == EV_OK)
        status = conv(*m, x, 8, 1, "first", &x);
    for (int32_t i = 0; i < 2 && status == EV_OK; i++)
        status = ev_model_call(*m, part, &x, 1, 0, &x, 1);
    ev_model_destroy(part);
    return status == EV_OK ? finish(*m, x, x, true, flags) : status;
}

typedef ev_status (*drawing)(ev_context *c, int32_t flags, ev_model **m);
static const drawing drawings[] = {draw_plain, draw_residual, draw_instance, draw_calling};

ev_status sc_draw_for(int32_t which, ev_context *c, int32_t flags, ev_model **m)
{
    return drawings[which](c, flags, m);
}

ev_model *sc_draw(int32_t which, int32_t flags)
{
    ev_model *m = NULL;
    t_ok(sc_draw_for(which, sc_ctx, flags, &m));
    sc_stir(m);
    return m;
}

ev_dataset *sc_pictures(ev_context *c, int32_t n_classes)
{
    const int64_t dims[] = {N_PICTURES, 3, SIDE, SIDE};
    int32_t labels[N_PICTURES];
    uint64_t state = 11;
    ev_tensor *x = NULL;
    ev_dataset *d = NULL;
    if (ev_tensor_create(c, EV_TYPE_UINT8, 4, dims, &x) != EV_OK)
        return NULL;
    uint8_t *byte = ev_tensor_data(x);
    for (int32_t i = 0; i < N_PICTURES; i++)
        labels[i] = i % N_CLASSES;
    for (int64_t i = 0; i < ev_tensor_count(x); i++)
        byte[i] = (uint8_t)(t_random(&state) >> 24);
    if (ev_dataset_from_tensor(c, x, labels, n_classes, NULL, &d) != EV_OK)
        d = NULL;
    ev_tensor_destroy(x);
    return d;
}

ev_pruner *sc_pruner(ev_model *m)
{
    ev_pruner *p = NULL;
    t_ok(ev_pruner_create(sc_ctx, m, NULL, &p));
    ck_assert_int_gt(p->groups.n, 0);
    return p;
}

ev_score_options sc_options(int32_t criterion, ev_dataset *data)
{
    ev_score_options o;
    EV_OPTIONS_INIT(&o);
    o.criterion = criterion;
    o.data = data;
    return o;
}

void sc_close(double a, double b, double tolerance)
{
    ck_assert_msg(fabs(a - b) <= tolerance * (fabs(a) + fabs(b)) + 1e-12, "%.12g, not %.12g", a, b);
}

/* ---- looking --------------------------------------------------------------------------------- */

int32_t sc_group(const ev_pruner *p, const char *layer)
{
    for (int32_t g = 0; g < p->groups.n; g++) {
        const evi_group *e = &p->groups.groups[g];
        for (int32_t s = e->first_spot; s < e->first_spot + e->n_spots; s++) {
            const evi_spot *spot = &p->groups.spots[s];
            if (spot->role == EVI_SPOT_OUT &&
                strcmp(p->groups.models[spot->model]->nodes[spot->node].name, layer) == 0)
                return g;
        }
    }
    ck_abort_msg("no group of %s", layer);
    return -1;
}

evi_real *sc_weights(ev_model *m, const char *name, int64_t *count)
{
    int32_t i = evi_store_find(m->store, name);
    ck_assert_int_ge(i, 0);
    if (count != NULL)
        *count = m->store->params[i].count;
    return m->store->params[i].data;
}

double sc_loss(ev_model *m, ev_dataset *d)
{
    ev_metrics *metrics = NULL;
    ev_evaluate_options o;
    EV_OPTIONS_INIT(&o);
    o.precise = 1;
    t_ok(ev_evaluate(sc_ctx, m, d, &o, &metrics));
    double loss = ev_metrics_loss(metrics);
    ev_metrics_destroy(metrics);
    return loss;
}

int32_t sc_take_point(void *user, const ev_sensitivity *point)
{
    points *all = user;
    all->point[all->n++] = *point;
    return all->n == all->stop_at;
}
