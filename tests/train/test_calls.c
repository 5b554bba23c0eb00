/* SPDX-License-Identifier: MIT */
/* What surrounds the steps: memory, several trainers at once, calls that cannot be. */
#include "train.h"

#include <math.h>

/* ---- memory -------------------------------------------------------------------------------- */

/* The answer is exact, and a step takes nothing more. */
START_TEST(memory_is_known)
{
    t_hooks h = { 0 };
    ev_context *ctx = t_context(&h, 2);
    const int64_t dims[4] = { 6, 3, 12, 12 };
    ev_model *m = tt_picture_net(ctx);
    ev_trainer *t = NULL;
    ev_memory memory;
    ev_train_options o;
    EV_OPTIONS_INIT(&memory);
    EV_OPTIONS_INIT(&o);
    o.batch_size = 6;
    o.monitor = EV_MONITOR_TRAIN_LOSS;
    o.checkpoint = "somewhere";
    ev_tensor *x = tt_tensor(ctx, 1, 4, dims), *y = tt_label_tensor(ctx, 2, 6, 3);
    const ev_feed feeds[2] = { { "image", x }, { "labels", y } };
    t_ok(ev_trainer_memory(ctx, m, 0, &o, &memory));
    uint64_t before = ev_context_memory_bytes(ctx);
    t_ok(ev_trainer_create(ctx, m, NULL, NULL, &o, &t));
    uint64_t took = ev_context_memory_bytes(ctx) - before;
    uint64_t told = memory.plan_bytes + memory.session_bytes + memory.training_bytes;
    ck_assert_uint_eq(memory.total_bytes, told + memory.weights_bytes);
    ck_assert_uint_eq(took, told);
    t_ok(ev_trainer_step(t, feeds, 2, NULL, 0));
    long n = atomic_load(&h.n_allocs);
    for (int32_t i = 0; i < 3; i++)
        t_ok(ev_trainer_step(t, feeds, 2, NULL, 0));
    ck_assert_int_eq(atomic_load(&h.n_allocs), n);
    ev_trainer_destroy(t);
    ev_tensor_destroy(x);
    ev_tensor_destroy(y);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    ck_assert_int_eq(atomic_load(&h.n_live), 0);
}
END_TEST

static ev_status train_little(ev_context *ctx, void *arg)
{
    ev_model *m = NULL;
    ev_trainer *t = NULL;
    ev_train_options o;
    const ev_zoo_options z = { .struct_size = sizeof(z), .width = 12, .n_classes = 3 };
    ev_dataset *set = NULL;
    ev_tensor *images = NULL;
    const int64_t dims[4] = { 6, 3, 12, 12 };
    const int32_t labels[6] = { 0, 1, 2, 0, 1, 2 };
    (void)arg;
    EV_OPTIONS_INIT(&o);
    o.batch_size = 4;
    o.max_epochs = 1;
    o.loader_threads = -1;
    ev_status status = ev_zoo_arch(ctx, 1, &z, &m);
    if (status == EV_OK)
        status = ev_model_init(m, 1);
    if (status == EV_OK)
        status = ev_tensor_create(ctx, EV_TYPE_UINT8, 4, dims, &images);
    if (status == EV_OK)
        status = ev_dataset_from_tensor(ctx, images, labels, 3, NULL, &set);
    if (status == EV_OK)
        status = ev_trainer_create(ctx, m, set, set, &o, &t);
    if (status == EV_OK)
        status = ev_trainer_run(t);
    ev_trainer_destroy(t);
    ev_dataset_destroy(set);
    ev_tensor_destroy(images);
    ev_model_destroy(m);
    return status;
}

START_TEST(out_of_memory)
{
    ck_assert_int_gt(t_each_alloc(train_little, NULL, 1, 0), 100);
}
END_TEST

/* ---- bad calls ----------------------------------------------------------------------------- */

START_TEST(bad_feeds)
{
    tt_job r = tt_start(t_context(NULL, 1));
    const int64_t dims[4] = { 4, 3, 12, 12 }, wrong[4] = { 4, 3, 12, 11 };
    const int64_t many[4] = { 9, 3, 12, 12 };
    ev_trainer *t = NULL;
    double loss[2];
    t_ok(ev_trainer_create(r.ctx, r.model, NULL, NULL, &r.o, &t));
    t_status(ev_trainer_run(t), EV_ERR_STATE);
    ev_tensor *x = tt_tensor(r.ctx, 1, 4, dims), *y = tt_label_tensor(r.ctx, 2, 4, 3);
    ev_tensor *bad = tt_tensor(r.ctx, 1, 4, wrong), *big = tt_tensor(r.ctx, 1, 4, many);
    ev_tensor *y3 = tt_label_tensor(r.ctx, 2, 3, 3);
    ev_feed f[3] = { { "image", x }, { "labels", y }, { "labels", y } };
    t_ok(ev_trainer_step(t, f, 2, loss, 1));
    t_status(ev_trainer_step(t, f, 2, loss, 2), EV_ERR_ARGUMENT);
    t_status(ev_trainer_step(t, f, 1, loss, 1), EV_ERR_ARGUMENT);
    t_status(ev_trainer_step(t, f, 3, loss, 1), EV_ERR_ARGUMENT);
    t_status(ev_trainer_step(t, NULL, 2, loss, 1), EV_ERR_ARGUMENT);
    t_status(ev_trainer_step(NULL, f, 2, loss, 1), EV_ERR_ARGUMENT);
    f[0].name = "picture";
    t_status(ev_trainer_step(t, f, 2, loss, 1), EV_ERR_ARGUMENT);
    f[0] = (ev_feed){ "image", bad };
    t_status(ev_trainer_step(t, f, 2, loss, 1), EV_ERR_SHAPE);
    f[0].tensor = big;
    t_status(ev_trainer_step(t, f, 2, loss, 1), EV_ERR_SHAPE);
    f[0].tensor = y;
    t_status(ev_trainer_step(t, f, 2, loss, 1), EV_ERR_SHAPE);
    f[0].tensor = NULL;
    t_status(ev_trainer_step(t, f, 2, loss, 1), EV_ERR_ARGUMENT);
    f[0].tensor = x;
    f[1].tensor = y3;
    t_status(ev_trainer_step(t, f, 2, loss, 1), EV_ERR_SHAPE);
    f[1].tensor = y;
    ((int32_t *)ev_tensor_data(y))[2] = 3;
    t_status(ev_trainer_step(t, f, 2, loss, 1), EV_ERR_ARGUMENT);
    ck_assert_int_eq(ev_trainer_steps(t), 1);
    ev_tensor_destroy(x);
    ev_tensor_destroy(y);
    ev_tensor_destroy(bad);
    ev_tensor_destroy(big);
    ev_tensor_destroy(y3);
    ev_trainer_destroy(t);
    tt_end(&r);
}
END_TEST

static void refused(tt_job *r, ev_status expected)
{
    ev_trainer *t = NULL;
    t_status(ev_trainer_create(r->ctx, r->model, r->train, r->valid, &r->o, &t), expected);
    ck_assert_ptr_null(t);
    EV_OPTIONS_INIT(&r->o);
}

START_TEST(bad_options)
{
    tt_job r = tt_start(t_context(NULL, 1));
    const float two[2] = { 1, 1 };
    r.o.optimizer = 9;
    refused(&r, EV_ERR_ARGUMENT);
    r.o.learning_rate = -1;
    refused(&r, EV_ERR_ARGUMENT);
    r.o.learning_rate = (float)NAN;
    refused(&r, EV_ERR_ARGUMENT);
    r.o.beta2 = 1;
    refused(&r, EV_ERR_ARGUMENT);
    r.o.l2 = -1;
    refused(&r, EV_ERR_ARGUMENT);
    r.o.batch_size = -3;
    refused(&r, EV_ERR_ARGUMENT);
    r.o.max_epochs = -1;
    refused(&r, EV_ERR_ARGUMENT);
    r.o.dropout = 1;
    refused(&r, EV_ERR_ARGUMENT);
    r.o.schedule = 7;
    refused(&r, EV_ERR_ARGUMENT);
    r.o.monitor = -1;
    refused(&r, EV_ERR_ARGUMENT);
    r.o.nesterov = 1; /* Adam has no momentum */
    refused(&r, EV_ERR_ARGUMENT);
    r.o.class_weights = two;
    r.o.n_class_weights = 2;
    refused(&r, EV_ERR_ARGUMENT);
    r.o.struct_size = 2;
    refused(&r, EV_ERR_ARGUMENT);
    tt_end(&r);
}
END_TEST

/* ---- two trainers on the same models ------------------------------------------------------- */

/* As in a GAN: one trains `a` through a frozen `b`, the other `b` behind a frozen `a`. */
static ev_model *pair(ev_context *ctx, ev_model *a, ev_model *b, int32_t freeze_a)
{
    const int64_t dims[4] = { -1, 2, 4, 4 };
    ev_model *net = NULL;
    ev_value x, y, loss;
    t_ok(ev_model_create(ctx, &net));
    t_ok(ev_model_input(net, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_call(net, a, &x, 1, freeze_a, &y, 1));
    t_ok(ev_model_reshape(net, y, 4, (const int64_t[4]){ 0, 3, 1, 1 }, &y));
    t_ok(ev_model_call(net, b, &y, 1, !freeze_a, &y, 1));
    t_ok(ev_model_mse_loss(net, y, EV_NO_VALUE, freeze_a ? 0.0f : 1.0f, &loss));
    t_ok(ev_model_loss(net, "loss", loss, 1));
    t_ok(ev_model_init(net, 1));
    return net;
}

static ev_model *judge_net(ev_context *ctx)
{
    const int64_t dims[4] = { -1, 3, 1, 1 };
    ev_model *m = NULL;
    ev_value x;
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "x", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_conv2d(m, x, 2, 1, NULL, &x));
    t_ok(ev_model_output(m, "y", x));
    t_ok(ev_model_init(m, 3));
    return m;
}

START_TEST(two_trainers)
{
    ev_context *ctx = t_context(NULL, 2);
    const int64_t dims[4] = { 4, 2, 4, 4 };
    ev_model *a = tt_small_net(ctx), *b = judge_net(ctx), *net[2];
    ev_trainer *t[2] = { NULL, NULL };
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    ev_train_options o;
    EV_OPTIONS_INIT(&o);
    o.batch_size = 4;
    ev_tensor *x = tt_tensor(ctx, 1, 4, dims);
    const ev_feed feed = { "image", x };
    for (int32_t i = 0; i < 2; i++) {
        net[i] = pair(ctx, a, b, i);
        t_ok(ev_trainer_create(ctx, net[i], NULL, NULL, &o, &t[i]));
    }
    t_ok(ev_plan_create(ctx, a, NULL, &plan));
    t_ok(ev_session_create(plan, &session));
    for (int32_t i = 0; i < 4; i++) {
        uint32_t was_a = tt_weights_crc(a), was_b = tt_weights_crc(b);
        t_ok(ev_trainer_step(t[i % 2], &feed, 1, NULL, 0));
        ck_assert_int_eq(tt_weights_crc(a) == was_a, i % 2 == 1);
        ck_assert_int_eq(tt_weights_crc(b) == was_b, i % 2 == 0);
    }
    ev_tensor *one = tt_tensor(ctx, 1, 4, (const int64_t[4]){ 1, 2, 4, 4 });
    const ev_tensor *in = one;
    t_status(ev_session_run(session, &in, 1, NULL, 0), EV_ERR_STALE);
    ev_tensor_destroy(one);
    ev_tensor_destroy(x);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    for (int32_t i = 0; i < 2; i++) {
        ev_trainer_destroy(t[i]);
        ev_model_destroy(net[i]);
    }
    ev_model_destroy(a);
    ev_model_destroy(b);
    ev_context_destroy(ctx);
}
END_TEST

Suite *tt_calls_suite(void)
{
    Suite *s = suite_create("training, calls");
    TCase *c = tcase_create("calls");
    tcase_add_test(c, memory_is_known);
    tcase_add_test(c, out_of_memory);
    tcase_add_test(c, bad_feeds);
    tcase_add_test(c, bad_options);
    tcase_add_test(c, two_trainers);
    suite_add_tcase(s, c);
    return s;
}
