/* SPDX-License-Identifier: MIT */
/* Runs: determinism, early stopping, every way in which a run can end. */
#include "train.h"

#include <math.h>

/* ---- the same bits ------------------------------------------------------------------------- */

static uint32_t crc_with_threads(int32_t n_threads)
{
    tt_job r = tt_start(t_context(NULL, n_threads));
    ev_augment_options a;
    ev_trainer *t = NULL;
    EV_OPTIONS_INIT(&a);
    a.flip = 1;
    a.shift_x = a.shift_y = 0.1f;
    a.rotation = 10;
    a.noise = 0.05f;
    r.o.augment = &a;
    r.o.dropout = 0.4f;
    r.o.clip_norm = 1.0f;
    r.o.loader_threads = n_threads > 2 ? 2 : -1;
    t_ok(ev_trainer_create(r.ctx, r.model, r.train, NULL, &r.o, &t));
    t_ok(ev_trainer_run(t));
    ck_assert_int_eq(ev_trainer_steps(t), 18);
    uint32_t crc = tt_weights_crc(r.model);
    ev_trainer_destroy(t);
    tt_end(&r);
    return crc;
}

START_TEST(same_bits_for_any_threads)
{
    uint32_t one = crc_with_threads(1);
    for (int32_t n = 1; n <= 4; n++)
        ck_assert_uint_eq(crc_with_threads(n), one);
}
END_TEST

/* Nets large enough that every kind of layer is cut into several tasks. */
static uint32_t zoo_crc(const char *name, int32_t n_threads)
{
    ev_context *ctx = t_context(NULL, n_threads);
    const int64_t dims[4] = { 5, 3, 48, 48 };
    ev_model *m = NULL;
    ev_trainer *t = NULL;
    ev_zoo_options z;
    ev_train_options o;
    EV_OPTIONS_INIT(&z);
    EV_OPTIONS_INIT(&o);
    z.width = 48;
    z.dropout = 0.5f;
    o.batch_size = 5;
    t_ok(ev_zoo_create(ctx, name, &z, &m));
    t_ok(ev_model_init(m, 3));
    t_ok(ev_trainer_create(ctx, m, NULL, NULL, &o, &t));
    ev_tensor *x = tt_tensor(ctx, 1, 4, dims), *y = tt_label_tensor(ctx, 2, 5, 4);
    const ev_feed feeds[2] = { { "image", x }, { "labels", y } };
    for (int32_t i = 0; i < 2; i++)
        t_ok(ev_trainer_step(t, feeds, 2, NULL, 0));
    uint32_t crc = tt_weights_crc(m);
    ev_tensor_destroy(x);
    ev_tensor_destroy(y);
    ev_trainer_destroy(t);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    return crc;
}

START_TEST(same_bits_of_larger_nets)
{
    static const char *const nets[] = { "Arch5", "Arch8", "ResNet-20" };
    uint32_t one = zoo_crc(nets[_i], 1);
    for (int32_t n = 2; n <= 4; n++)
        ck_assert_uint_eq(zoo_crc(nets[_i], n), one);
}
END_TEST

START_TEST(seed_and_dropout_matter)
{
    uint32_t crc[4];
    for (int32_t i = 0; i < 4; i++) {
        tt_job r = tt_start(t_context(NULL, 1));
        ev_trainer *t = NULL;
        r.o.max_epochs = 1;
        r.o.seed = i == 1 ? 2 : 1;
        r.o.dropout = i == 2 ? -1.0f : 0;
        r.o.no_shuffle = i == 3;
        t_ok(ev_trainer_create(r.ctx, r.model, r.train, NULL, &r.o, &t));
        t_ok(ev_trainer_run(t));
        crc[i] = tt_weights_crc(r.model);
        ev_trainer_destroy(t);
        tt_end(&r);
        for (int32_t k = 0; k < i; k++)
            ck_assert_uint_ne(crc[i], crc[k]);
    }
}
END_TEST

/* The trainer's dropout option leaves the model as it was drawn. */
START_TEST(dropout_is_put_back)
{
    tt_job r = tt_start(t_context(NULL, 1));
    ev_trainer *t = NULL;
    float before = 0;
    int32_t found = 0;
    r.o.dropout = 0.9f;
    t_ok(ev_trainer_create(r.ctx, r.model, r.train, NULL, &r.o, &t));
    for (int32_t i = 0; i < r.model->n_nodes; i++)
        if (strcmp(r.model->nodes[i].op->name, "dropout") == 0) {
            before = r.model->nodes[i].a.rate;
            found++;
        }
    ck_assert_int_eq(found, 1);
    ck_assert(before == 0.25f);
    ev_trainer_destroy(t);
    tt_end(&r);
}
END_TEST

/* ---- learning, early stopping -------------------------------------------------------------- */

START_TEST(it_learns)
{
    tt_job r = tt_start(t_context(NULL, 2));
    ev_trainer *t = NULL;
    ev_metrics *m = NULL;
    ev_epoch e;
    EV_OPTIONS_INIT(&e);
    r.o.max_epochs = 12;
    t_ok(ev_trainer_create(r.ctx, r.model, r.train, r.valid, &r.o, &t));
    t_ok(ev_trainer_run(t));
    t_ok(ev_evaluate(r.ctx, r.model, r.valid, NULL, &m));
    ck_assert(ev_metrics_accuracy(m) >= 0.9);
    /* what was put back is what was best */
    t_ok(ev_trainer_history(t, ev_trainer_best_epoch(t), &e));
    ck_assert_int_eq(e.is_best, 1);
    ck_assert(fabs(e.valid_loss - ev_metrics_loss(m)) < 1e-9);
    ck_assert(e.valid_accuracy == ev_metrics_accuracy(m));
    ck_assert(e.train_accuracy > 0.8 && e.train_accuracy <= 1);
    for (int32_t i = 0; i < ev_trainer_epoch(t); i++) {
        ev_epoch other;
        EV_OPTIONS_INIT(&other);
        t_ok(ev_trainer_history(t, i, &other));
        ck_assert(other.valid_loss >= e.valid_loss);
    }
    ev_metrics_destroy(m);
    ev_trainer_destroy(t);
    tt_end(&r);
}
END_TEST

static int32_t stop_at_epoch(void *user, const ev_epoch *e)
{
    return e->index == *(const int32_t *)user;
}

static double valid_loss(const tt_job *r)
{
    ev_metrics *m = NULL;
    t_ok(ev_evaluate(r->ctx, r->model, r->valid, NULL, &m));
    double loss = ev_metrics_loss(m);
    ev_metrics_destroy(m);
    return loss;
}

/* A rate so high that the first epoch stays the best: patience ends the run there. */
START_TEST(early_stopping)
{
    tt_job r = tt_start(t_context(NULL, 1));
    ev_trainer *t = NULL;
    ev_epoch e;
    EV_OPTIONS_INIT(&e);
    r.o.max_epochs = 50;
    r.o.patience = 2;
    r.o.learning_rate = 3e-3f;
    r.o.schedule = EV_SCHEDULE_STEP;
    r.o.schedule_epochs = 1;
    r.o.schedule_factor = 1e-6f; /* after the first epoch nothing becomes better by min_delta */
    r.o.min_delta = 0.5f;
    t_ok(ev_trainer_create(r.ctx, r.model, r.train, r.valid, &r.o, &t));
    t_ok(ev_trainer_run(t));
    ck_assert_int_eq(ev_trainer_best_epoch(t), 0);
    ck_assert_int_eq(ev_trainer_epoch(t), 3);
    t_ok(ev_trainer_history(t, 0, &e));
    ck_assert(fabs(e.valid_loss - valid_loss(&r)) < 1e-9);
    t_ok(ev_trainer_run(t)); /* it is over: nothing more happens */
    ck_assert_int_eq(ev_trainer_epoch(t), 3);
    ev_trainer_destroy(t);
    tt_end(&r);
}
END_TEST

/* Cancelled in the third epoch: the best weights are in the model, and going on is bit for bit what
 * would have been. */
START_TEST(cancel_and_go_on)
{
    uint32_t crc[2];
    for (int32_t pass = 0; pass < 2; pass++) {
        tt_job r = tt_start(t_context(NULL, 1));
        ev_trainer *t = NULL;
        int32_t at = 2;
        r.o.max_epochs = 5;
        r.o.patience = -1;
        r.o.on_epoch = pass == 0 ? NULL : stop_at_epoch;
        r.o.user = &at;
        t_ok(ev_trainer_create(r.ctx, r.model, r.train, r.valid, &r.o, &t));
        if (pass == 1) {
            ev_epoch e;
            EV_OPTIONS_INIT(&e);
            t_status(ev_trainer_run(t), EV_ERR_CANCELLED);
            ck_assert_int_eq(ev_trainer_epoch(t), 3);
            t_ok(ev_trainer_history(t, ev_trainer_best_epoch(t), &e));
            ck_assert(fabs(e.valid_loss - valid_loss(&r)) < 1e-9);
        }
        t_ok(ev_trainer_run(t));
        ck_assert_int_eq(ev_trainer_epoch(t), 5);
        crc[pass] = tt_weights_crc(r.model);
        ev_trainer_destroy(t);
        tt_end(&r);
    }
    ck_assert_uint_eq(crc[0], crc[1]);
}
END_TEST

static int32_t stop_at_step(void *user, const ev_step *s)
{
    ck_assert(isfinite(s->loss) && s->gradient_norm > 0 && s->n_batches == 6);
    return s->step == *(const int32_t *)user;
}

/* A time limit ends the run after the epoch; a further call goes on. */
START_TEST(time_limit)
{
    tt_job r = tt_start(t_context(NULL, 1));
    ev_trainer *t = NULL;
    r.o.time_limit_seconds = 1e-9;
    r.o.monitor = EV_MONITOR_VALID_ACCURACY;
    t_ok(ev_trainer_create(r.ctx, r.model, r.train, r.valid, &r.o, &t));
    for (int32_t i = 1; i <= 4; i++) {
        t_ok(ev_trainer_run(t));
        ck_assert_int_eq(ev_trainer_epoch(t), EVI_MIN(i, 3));
    }
    ev_epoch best, e;
    EV_OPTIONS_INIT(&best);
    EV_OPTIONS_INIT(&e);
    t_ok(ev_trainer_history(t, ev_trainer_best_epoch(t), &best));
    for (int32_t i = 0; i < 3; i++) {
        t_ok(ev_trainer_history(t, i, &e));
        ck_assert(e.valid_accuracy <= best.valid_accuracy);
    }
    t_status(ev_trainer_history(t, 3, &e), EV_ERR_ARGUMENT);
    ev_trainer_destroy(t);
    tt_end(&r);
}
END_TEST

START_TEST(cancel_in_mid_epoch)
{
    tt_job r = tt_start(t_context(NULL, 1));
    ev_trainer *t = NULL;
    int32_t at = 8;
    r.o.on_step = stop_at_step;
    r.o.user = &at;
    t_ok(ev_trainer_create(r.ctx, r.model, r.train, NULL, &r.o, &t));
    t_status(ev_trainer_run(t), EV_ERR_CANCELLED);
    ck_assert_int_eq(ev_trainer_epoch(t), 1);
    ck_assert_int_eq(ev_trainer_batch(t), 2);
    at = -1;
    t_ok(ev_trainer_run(t));
    ck_assert_int_eq(ev_trainer_steps(t), 18);
    ev_trainer_destroy(t);
    tt_end(&r);
}
END_TEST

/* ---- divergence ---------------------------------------------------------------------------- */

START_TEST(divergence_leaves_weights)
{
    tt_job r = tt_start(t_context(NULL, 1));
    const int64_t dims[4] = { 4, 3, 12, 12 };
    ev_trainer *t = NULL;
    double loss = 0;
    t_ok(ev_trainer_create(r.ctx, r.model, NULL, NULL, &r.o, &t));
    ev_tensor *x = tt_tensor(r.ctx, 1, 4, dims), *y = tt_label_tensor(r.ctx, 2, 4, 3);
    const ev_feed feeds[2] = { { "image", x }, { "labels", y } };
    t_ok(ev_trainer_step(t, feeds, 2, &loss, 1));
    uint32_t before = tt_weights_crc(r.model);
    evi_real *data = ev_tensor_data(x), was = data[5];
    data[5] = (evi_real)NAN;
    t_status(ev_trainer_step(t, feeds, 2, &loss, 1), EV_ERR_DIVERGED);
    ck_assert(isnan(loss));
    ck_assert_uint_eq(tt_weights_crc(r.model), before); /* running statistics included */
    ck_assert_int_eq(ev_trainer_steps(t), 1);
    data[5] = (evi_real)INFINITY;
    t_status(ev_trainer_step(t, feeds, 2, NULL, 0), EV_ERR_DIVERGED);
    ck_assert_uint_eq(tt_weights_crc(r.model), before);
    data[5] = was;
    t_ok(ev_trainer_step(t, feeds, 2, &loss, 1));
    ck_assert_uint_ne(tt_weights_crc(r.model), before);
    ev_tensor_destroy(x);
    ev_tensor_destroy(y);
    ev_trainer_destroy(t);
    tt_end(&r);
}
END_TEST

START_TEST(run_that_diverges)
{
    tt_job r = tt_start(t_context(NULL, 1));
    ev_trainer *t = NULL;
    r.o.optimizer = EV_OPTIMIZER_SGD;
    r.o.learning_rate = 1e6f;
    r.o.max_epochs = 40;
    t_ok(ev_trainer_create(r.ctx, r.model, r.train, NULL, &r.o, &t));
    t_status(ev_trainer_run(t), EV_ERR_DIVERGED);
    int64_t n = 0;
    double *w = tt_weights(r.model, &n);
    for (int64_t i = 0; i < n; i++)
        ck_assert(isfinite(w[i]));
    free(w);
    ev_trainer_destroy(t);
    tt_end(&r);
}
END_TEST

/* ---- the reduce hook ----------------------------------------------------------------------- */

typedef struct hook {
    int32_t calls, answer;
    bool clear;
    double sum;
} hook;

static int32_t reduce(void *user, int32_t vector, int32_t n_vectors, float *gradients, int64_t n)
{
    hook *h = user;
    const evi_real *g = (const evi_real *)(const void *)gradients;
    ck_assert_int_eq(vector, 0);
    ck_assert_int_eq(n_vectors, 1);
    h->calls++;
    for (int64_t i = 0; i < n; i++)
        h->sum += fabs((double)g[i]);
    if (h->clear)
        memset(gradients, 0, (size_t)n * sizeof(evi_real));
    return h->answer;
}

START_TEST(reduce_hook)
{
    tt_job r = tt_start(t_context(NULL, 1));
    const int64_t dims[4] = { 4, 3, 12, 12 };
    ev_trainer *t = NULL;
    hook h = { .clear = true };
    r.o.optimizer = EV_OPTIMIZER_SGD;
    r.o.reduce = reduce;
    r.o.user = &h;
    t_ok(ev_model_freeze(r.model, "", 1)); /* the norm's statistics stay as well: nothing moves */
    t_status(ev_trainer_create(r.ctx, r.model, NULL, NULL, &r.o, &t), EV_ERR_ARGUMENT);
    t_ok(ev_model_freeze(r.model, "", 0));
    t_ok(ev_trainer_create(r.ctx, r.model, NULL, NULL, &r.o, &t));
    ev_tensor *x = tt_tensor(r.ctx, 1, 4, dims), *y = tt_label_tensor(r.ctx, 2, 4, 3);
    const ev_feed feeds[2] = { { "image", x }, { "labels", y } };
    ev_tensor *w = NULL;
    t_ok(ev_model_weight(r.model, "dense1.weight", &w));
    evi_real first = ((evi_real *)ev_tensor_data(w))[3];
    t_ok(ev_trainer_step(t, feeds, 2, NULL, 0));
    ck_assert(h.sum > 0 && h.calls == 1);
    ck_assert(((evi_real *)ev_tensor_data(w))[3] == first); /* the hook left zeros */
    uint32_t before = tt_weights_crc(r.model);
    h.clear = false;
    h.answer = 1;
    t_status(ev_trainer_step(t, feeds, 2, NULL, 0), EV_ERR_CANCELLED);
    ck_assert_uint_eq(tt_weights_crc(r.model), before);
    /* a loss that is not finite still calls it */
    ((evi_real *)ev_tensor_data(x))[0] = (evi_real)NAN;
    h.answer = 0;
    t_status(ev_trainer_step(t, feeds, 2, NULL, 0), EV_ERR_DIVERGED);
    ck_assert_int_eq(h.calls, 3);
    ck_assert_uint_eq(tt_weights_crc(r.model), before);
    ev_tensor_destroy(w);
    ev_tensor_destroy(x);
    ev_tensor_destroy(y);
    ev_trainer_destroy(t);
    tt_end(&r);
}
END_TEST

/* ---- freezing ------------------------------------------------------------------------------ */

START_TEST(frozen_weights_stay)
{
    tt_job r = tt_start(t_context(NULL, 1));
    ev_trainer *t = NULL;
    ev_tensor *frozen = NULL, *trained = NULL;
    r.o.optimizer = EV_OPTIMIZER_ADAMW; /* its decay would move a weight without gradient */
    r.o.l2 = 0.1f;
    t_ok(ev_model_weight(r.model, "conv1.weight", &frozen));
    t_ok(ev_model_weight(r.model, "dense1.weight", &trained));
    uint32_t a = evi_crc32c(0, ev_tensor_data(frozen), ev_tensor_bytes(frozen));
    uint32_t b = evi_crc32c(0, ev_tensor_data(trained), ev_tensor_bytes(trained));
    t_ok(ev_model_freeze(r.model, "conv1", 1));
    t_ok(ev_trainer_create(r.ctx, r.model, r.train, NULL, &r.o, &t));
    t_ok(ev_trainer_run(t));
    ck_assert_uint_eq(evi_crc32c(0, ev_tensor_data(frozen), ev_tensor_bytes(frozen)), a);
    ck_assert_uint_ne(evi_crc32c(0, ev_tensor_data(trained), ev_tensor_bytes(trained)), b);
    ev_tensor_destroy(frozen);
    ev_tensor_destroy(trained);
    ev_trainer_destroy(t);
    tt_end(&r);
}
END_TEST

/* ---- schedules ----------------------------------------------------------------------------- */

/* The rate at the first step of each epoch. */
static void rates(int32_t schedule, int32_t epochs, int32_t warmup, double rate[10])
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = tt_small_net(ctx);
    ev_trainer *t = NULL;
    ev_train_options o;
    EV_OPTIONS_INIT(&o);
    o.learning_rate = 0.1f;
    o.schedule = schedule;
    o.schedule_epochs = epochs;
    o.learning_rate_min = schedule == EV_SCHEDULE_PLATEAU ? 0.02f : 0;
    o.schedule_factor = 0.5f;
    o.warmup_steps = warmup;
    o.max_epochs = 10;
    o.monitor = EV_MONITOR_VALID_LOSS;
    o.patience = -1;
    t_ok(ev_trainer_create(ctx, m, NULL, NULL, &o, &t));
    for (int32_t i = 0; i < 10; i++) {
        int32_t stop = 0;
        rate[i] = ev_trainer_learning_rate(t);
        t_ok(ev_trainer_end_epoch(t, i < 2 ? 1.0 - 0.1 * i : 2.0, (double)NAN, &stop));
        ck_assert_int_eq(stop, i == 9);
    }
    ev_trainer_destroy(t);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}

static void near(double a, double b)
{
    ck_assert_msg(fabs(a - b) < 1e-12, "%.15g is not %.15g", a, b);
}

START_TEST(schedules)
{
    double r[10];
    rates(EV_SCHEDULE_CONSTANT, 0, 0, r);
    near(r[9], 0.1);
    rates(EV_SCHEDULE_STEP, 3, 0, r);
    near(r[2], 0.1);
    near(r[3], 0.05);
    near(r[9], 0.1 / 8);
    rates(EV_SCHEDULE_LINEAR, 5, 0, r); /* as in CycleGAN: 1 - (e + 1 - n) / (decay + 1) */
    near(r[4], 0.1);
    near(r[5], 0.1 * (1 - 1.0 / 6));
    near(r[9], 0.1 * (1 - 5.0 / 6));
    rates(EV_SCHEDULE_COSINE, 0, 0, r);
    near(r[0], 0.1);
    near(r[5], 0.05);
    near(r[3], 0.05 * (1 + cos(3.14159265358979323846 * 0.3)));
    rates(EV_SCHEDULE_PLATEAU, 2, 0, r); /* best after epoch 1, then 2, 3 are forgiven, not 4 */
    near(r[4], 0.1);
    near(r[5], 0.05);
    near(r[7], 0.05);
    near(r[8], 0.025);
    rates(EV_SCHEDULE_CONSTANT, 0, 4, r);
    near(r[0], 0.025); /* no step was made: it stays at the first of four */
}
END_TEST

Suite *tt_run_suite(void)
{
    Suite *s = suite_create("training runs");
    TCase *c = tcase_create("runs");
    tcase_add_test(c, same_bits_for_any_threads);
    tcase_add_loop_test(c, same_bits_of_larger_nets, 0, 3);
    tcase_add_test(c, seed_and_dropout_matter);
    tcase_add_test(c, dropout_is_put_back);
    tcase_add_test(c, it_learns);
    tcase_add_test(c, early_stopping);
    tcase_add_test(c, cancel_and_go_on);
    tcase_add_test(c, time_limit);
    tcase_add_test(c, cancel_in_mid_epoch);
    tcase_add_test(c, divergence_leaves_weights);
    tcase_add_test(c, run_that_diverges);
    tcase_add_test(c, reduce_hook);
    tcase_add_test(c, frozen_weights_stay);
    tcase_add_test(c, schedules);
    suite_add_tcase(s, c);
    return s;
}
