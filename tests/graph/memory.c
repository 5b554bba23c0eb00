/* SPDX-License-Identifier: MIT */
/* Memory: what is foretold is what is taken, runs allocate nothing, and every allocation may fail.
 * */
#include "graph_tests.h"

START_TEST(bytes_are_foretold_exactly)
{
    t_hooks hooks = {0};
    ev_context *ctx = t_context(&hooks, 2);
    ev_model *m = mixed_net(ctx);
    for (int32_t batch = 1; batch <= 33; batch += 8) {
        ev_plan_options o;
        ev_memory need;
        EV_OPTIONS_INIT(&o);
        EV_OPTIONS_INIT(&need);
        o.max_batch = batch;
        t_ok(ev_plan_memory(ctx, m, &o, &need));
        uint64_t before = ev_context_memory_bytes(ctx);
        ev_plan *plan = NULL;
        ev_session *s = NULL;
        t_ok(ev_plan_create(ctx, m, &o, &plan));
        ck_assert_uint_eq(ev_context_memory_bytes(ctx) - before, need.plan_bytes);
        t_ok(ev_session_create(plan, &s));
        ck_assert_uint_eq(ev_context_memory_bytes(ctx) - before,
                          need.plan_bytes + need.session_bytes);
        ev_session_destroy(s);
        ev_plan_destroy(plan);
        ck_assert_uint_eq(ev_context_memory_bytes(ctx), before);
    }
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    ck_assert_int_eq(atomic_load(&hooks.n_live), 0);
}
END_TEST

START_TEST(runs_allocate_nothing)
{
    t_hooks hooks = {0};
    ev_context *ctx = t_context(&hooks, 2);
    ev_model *m = mixed_net(ctx);
    const int64_t dims[4] = {4, 3, 20, 18};
    ev_tensor *x = some_tensor(ctx, 4, dims, 1), *two = NULL;
    t_ok(ev_tensor_view(x, 0, 2, -1, NULL, &two));
    ev_plan_options o;
    EV_OPTIONS_INIT(&o);
    o.max_batch = 4;
    ev_plan *plan = NULL;
    ev_session *s = NULL;
    t_ok(ev_plan_create(ctx, m, &o, &plan));
    t_ok(ev_session_create(plan, &s));
    const ev_tensor *in = x;
    t_ok(ev_session_run(s, &in, 1, NULL, 0));
    long before = atomic_load(&hooks.n_allocs);
    for (int32_t i = 0; i < 50; i++) {
        in = i & 1 ? x : two;
        t_ok(ev_session_run(s, &in, 1, NULL, 0));
    }
    ck_assert_int_eq(atomic_load(&hooks.n_allocs), before);
    ev_session_destroy(s);
    ev_plan_destroy(plan);
    ev_tensor_destroy(two);
    ev_tensor_destroy(x);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

static ev_status draw(ev_model *m)
{
    const int64_t dims[4] = {-1, 3, 8, 8};
    ev_value x = 0, y = 0, z = 0, parts[2];
    ev_status status = ev_model_input(m, "x", EV_TYPE_FLOAT32, 4, dims, &x);
    if (status == EV_OK)
        status = ev_model_conv2d(m, x, 4, 3, NULL, &y);
    if (status == EV_OK)
        status = ev_model_batch_norm(m, y, NULL, &y);
    if (status == EV_OK)
        status = ev_model_activation(m, y, EV_ACTIVATION_RELU, 0, 0, &y);
    if (status == EV_OK)
        status = ev_model_conv2d(m, y, 4, 3, NULL, &z);
    parts[0] = y;
    parts[1] = z;
    if (status == EV_OK)
        status = ev_model_concat(m, parts, 2, 1, &y);
    if (status == EV_OK)
        status = ev_model_flatten(m, y, 1, &y);
    if (status == EV_OK)
        status = ev_model_dense(m, y, 3, NULL, &y);
    if (status == EV_OK)
        status = ev_model_output(m, "y", y);
    if (status == EV_OK)
        status = ev_model_set_meta(m, "note", "kept");
    return status == EV_OK ? ev_model_init(m, 1) : status;
}

static ev_status run(ev_context *ctx, ev_model *m, const ev_tensor *x)
{
    ev_plan *plan = NULL;
    ev_session *s = NULL;
    char *text = NULL;
    ev_status status = ev_plan_create(ctx, m, NULL, &plan);
    if (status == EV_OK)
        status = ev_session_create(plan, &s);
    if (status == EV_OK)
        status = ev_session_run(s, &x, 1, NULL, 0);
    if (status == EV_OK)
        status = ev_session_profile(s, 1, 1, &text);
    ev_string_destroy(text);
    ev_session_destroy(s);
    ev_plan_destroy(plan);
    return status;
}

static ev_status whole_life(ev_context *ctx, void *arg)
{
    const int64_t dims[4] = {1, 3, 8, 8};
    ev_model *m = NULL, *copy = NULL, *outer = NULL;
    ev_tensor *x = NULL;
    ev_value in, out;
    (void)arg;
    ev_status status = ev_model_create(ctx, &m);
    if (status == EV_OK)
        status = draw(m);
    if (status == EV_OK)
        status = ev_model_clone(m, &copy);
    if (status == EV_OK)
        status = ev_model_create(ctx, &outer);
    if (status == EV_OK)
        status = ev_model_input(outer, "x", EV_TYPE_FLOAT32, 4, dims, &in);
    if (status == EV_OK)
        status = ev_model_call(outer, copy, &in, 1, 0, &out, 1);
    if (status == EV_OK)
        status = ev_model_output(outer, "y", out);
    if (status == EV_OK)
        status = ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &x);
    if (status == EV_OK)
        status = run(ctx, outer, x);
    ev_tensor_destroy(x);
    ev_model_destroy(outer);
    ev_model_destroy(copy);
    ev_model_destroy(m);
    return status;
}

START_TEST(every_allocation_may_fail)
{
    ck_assert_int_gt(t_each_alloc(whole_life, NULL, 1, 0), 100);
}
END_TEST

TCase *memory_case(void)
{
    TCase *c = tcase_create("memory");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, bytes_are_foretold_exactly);
    tcase_add_test(c, runs_allocate_nothing);
    tcase_add_test(c, every_allocation_may_fail);
    return c;
}
