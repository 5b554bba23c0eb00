/* SPDX-License-Identifier: MIT */
/* Running: fusion changes no result, a picture gives the same bits alone or in a batch and on any
 * number of threads, plans grow stale, NaN is found. */
#include "graph_tests.h"
#include <math.h>
#include <pthread.h>

static void run_once(ev_context *ctx, ev_model *m, const ev_plan_options *o, const ev_tensor *x,
                     float *y, int32_t n)
{
    ev_plan *plan = NULL;
    ev_session *s = NULL;
    t_ok(ev_plan_create(ctx, m, o, &plan));
    t_ok(ev_session_create(plan, &s));
    t_ok(ev_session_run(s, &x, 1, NULL, 0));
    const ev_tensor *out = ev_session_output(s, 0);
    ck_assert_int_eq(ev_tensor_count(out), n);
    memcpy(y, ev_tensor_data(out), (size_t)n * sizeof(float));
    ev_session_destroy(s);
    ev_plan_destroy(plan);
}

START_TEST(fusion_keeps_the_result)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = mixed_net(ctx);
    const int64_t dims[4] = {5, 3, 20, 18};
    ev_tensor *x = some_tensor(ctx, 4, dims, 1);
    ev_plan_options o;
    float fused[20], plain[20];
    EV_OPTIONS_INIT(&o);
    o.max_batch = 5;
    run_once(ctx, m, &o, x, fused, 20);
    o.no_fusion = 1;
    run_once(ctx, m, &o, x, plain, 20);
    ck_assert_double_le(t_peak_error(fused, plain, 20), 4e-6);
    ev_plan *a = NULL, *b = NULL;
    t_ok(ev_plan_create(ctx, m, NULL, &a));
    t_ok(ev_plan_create(ctx, m, &o, &b));
    ck_assert_int_lt(ev_plan_n_steps(a), ev_plan_n_steps(b));
    ev_plan_destroy(a);
    ev_plan_destroy(b);
    ev_tensor_destroy(x);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(same_bits_alone_in_a_batch_and_on_threads)
{
    float all[4][28], one[4];
    const int64_t dims[4] = {7, 3, 20, 18};
    for (int32_t threads = 1; threads <= 4; threads++) {
        ev_context *ctx = t_context(NULL, threads);
        ev_model *m = mixed_net(ctx);
        ev_tensor *x = some_tensor(ctx, 4, dims, 2), *part = NULL;
        ev_plan_options o;
        EV_OPTIONS_INIT(&o);
        o.max_batch = 9;
        run_once(ctx, m, &o, x, all[threads - 1], 28);
        ck_assert_mem_eq(all[threads - 1], all[0], sizeof all[0]);
        for (int64_t i = 0; i < 7; i++) {
            t_ok(ev_tensor_view(x, i, 1, -1, NULL, &part));
            run_once(ctx, m, i & 1 ? &o : NULL, part, one, 4);
            ck_assert_mem_eq(one, &all[0][4 * i], sizeof one);
            ev_tensor_destroy(part);
        }
        ev_tensor_destroy(x);
        ev_model_destroy(m);
        ev_context_destroy(ctx);
    }
}
END_TEST

START_TEST(wrong_inputs_are_refused)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = mixed_net(ctx);
    const int64_t dims[4] = {3, 3, 20, 18}, wide[4] = {1, 3, 20, 19};
    ev_tensor *x = some_tensor(ctx, 4, dims, 1), *w = some_tensor(ctx, 4, wide, 1), *b = NULL;
    const ev_tensor *in = x;
    ev_plan *plan = NULL;
    ev_session *s = NULL;
    t_ok(ev_plan_create(ctx, m, NULL, &plan));
    t_ok(ev_session_create(plan, &s));
    ck_assert_ptr_null(ev_session_output(s, 0));
    t_status(ev_session_run(s, &in, 1, NULL, 0), EV_ERR_SHAPE); /* three images, planned for one */
    in = w;
    t_status(ev_session_run(s, &in, 1, NULL, 0), EV_ERR_SHAPE);
    t_status(ev_session_run(s, &in, 2, NULL, 0), EV_ERR_ARGUMENT);
    t_status(ev_session_run(s, NULL, 1, NULL, 0), EV_ERR_ARGUMENT);
    t_ok(ev_tensor_create(ctx, EV_TYPE_UINT8, 4, dims, &b));
    in = b;
    t_status(ev_session_run(s, &in, 1, NULL, 0), EV_ERR_SHAPE);
    t_status(ev_session_run((ev_session *)plan, &in, 1, NULL, 0), EV_ERR_ARGUMENT);
    char *text = NULL;
    t_status(ev_session_profile(s, 1, 0, &text), EV_ERR_STATE);
    ev_tensor_destroy(b);
    ev_tensor_destroy(x);
    ev_tensor_destroy(w);
    ev_session_destroy(s);
    ev_plan_destroy(plan);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(changed_weights_make_a_plan_stale)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = mixed_net(ctx);
    const int64_t dims[4] = {1, 3, 20, 18};
    ev_tensor *x = some_tensor(ctx, 4, dims, 1);
    const ev_tensor *in = x;
    ev_plan *plan = NULL;
    ev_session *s = NULL;
    t_ok(ev_plan_create(ctx, m, NULL, &plan));
    t_ok(ev_session_create(plan, &s));
    ev_plan_destroy(plan); /* the session keeps it */
    t_ok(ev_session_run(s, &in, 1, NULL, 0));
    t_ok(ev_model_init(m, 9));
    t_status(ev_session_run(s, &in, 1, NULL, 0), EV_ERR_STALE);
    ev_session_destroy(s);
    ev_tensor_destroy(x);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(nan_is_found_and_named)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = mixed_net(ctx);
    const int64_t dims[4] = {1, 3, 20, 18};
    ev_tensor *x = some_tensor(ctx, 4, dims, 1), *w = NULL;
    const ev_tensor *in = x;
    ev_plan *plan = NULL;
    ev_session *s = NULL;
    char *text = NULL;
    t_ok(ev_model_weight(m, "dense1.bias", &w));
    ((float *)ev_tensor_data(w))[3] = NAN;
    t_ok(ev_plan_create(ctx, m, NULL, &plan));
    t_ok(ev_session_create(plan, &s));
    t_ok(ev_session_run(s, &in, 1, NULL, 0));
    t_ok(ev_session_trap_nan(s, 1));
    t_status(ev_session_run(s, &in, 1, NULL, 0), EV_ERR_DIVERGED);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "dense1"));
    t_ok(ev_session_profile(s, 2, 0, &text));
    ck_assert_ptr_nonnull(strstr(text, "conv1"));
    ev_string_destroy(text);
    t_ok(ev_session_profile(s, 2, 1, &text));
    ev_string_destroy(text);
    ev_tensor_destroy(w);
    ev_tensor_destroy(x);
    ev_session_destroy(s);
    ev_plan_destroy(plan);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

/* What a profile of the mixed net says, as text or as JSON; the caller gives it back. */
static char *profile_of(ev_context *ctx, const ev_plan_options *o, int32_t json)
{
    ev_model *m = mixed_net(ctx);
    const int64_t dims[4] = {2, 3, 20, 18};
    ev_tensor *x = some_tensor(ctx, 4, dims, 1);
    const ev_tensor *in = x;
    ev_plan *plan = NULL;
    ev_session *s = NULL;
    char *text = NULL;
    t_ok(ev_plan_create(ctx, m, o, &plan));
    t_ok(ev_session_create(plan, &s));
    t_ok(ev_session_run(s, &in, 1, NULL, 0));
    t_status(ev_session_profile(s, 0, json, &text), EV_ERR_ARGUMENT);
    t_ok(ev_session_profile(s, 2, json, &text));
    ev_tensor_destroy(x);
    ev_session_destroy(s);
    ev_plan_destroy(plan);
    ev_model_destroy(m);
    return text;
}

/* The number after a key, from `from` on. */
static double number_after(const char *from, const char *key)
{
    const char *at = strstr(from, key);
    ck_assert_ptr_nonnull(at);
    return atof(at + strlen(key));
}

START_TEST(profile_tells_kernels_and_shares)
{
    ev_context *ctx = t_context(NULL, 2);
    ev_plan_options o;
    EV_OPTIONS_INIT(&o);
    o.max_batch = 2;
    o.precise = 1; /* no Winograd: the names are known */
    char *text = profile_of(ctx, &o, 1);
    ck_assert_double_gt(number_after(text, "\"peak_gflops\":"), 0);
    ck_assert_double_eq(number_after(text, "\"threads\":"), 2);
    ck_assert_double_eq(number_after(text, "\"batch\":"), 2);
    const char *conv = strstr(text, "\"kind\":\"conv2d\"");
    ck_assert_ptr_nonnull(conv);
    const char *kernel = strstr(conv, "\"kernel\":\"");
    ck_assert_ptr_nonnull(kernel);
    ck_assert_int_eq(strncmp(kernel, "\"kernel\":\"direct", 16), 0);
    double rate = number_after(conv, "\"gflops\":"), ms = number_after(conv, "\"ms\":");
    double share = number_after(conv, "\"share\":");
    ck_assert_double_gt(rate, 0);
    ck_assert_double_gt(share, 0);
    ck_assert_double_eq_tol(ms * 1e3, number_after(conv, "\"us\":"), 1e-3);
    ck_assert_double_eq_tol(share, rate / number_after(text, "\"peak_gflops\":"), 1e-4);
    ck_assert_double_ge(number_after(text, "\"total_bytes\":"), number_after(conv, "\"bytes\":"));
    ck_assert_ptr_nonnull(strstr(text, "\"kernel\":\"dot"));
    ev_string_destroy(text);
    text = profile_of(ctx, &o, 0);
    ck_assert_ptr_nonnull(strstr(text, "% peak"));
    ck_assert_ptr_nonnull(strstr(text, "total:"));
    ck_assert_ptr_nonnull(strstr(text, "+relu"));
    ev_string_destroy(text);
    ev_context_destroy(ctx);
}
END_TEST

typedef struct worker {
    ev_plan *plan;
    const ev_tensor *x;
    float want[4];
    int32_t wrong;
} worker;

static void *run_many(void *arg)
{
    worker *w = arg;
    ev_session *s = NULL;
    w->wrong = ev_session_create(w->plan, &s) != EV_OK;
    for (int32_t i = 0; i < 100 && !w->wrong; i++) {
        w->wrong |= ev_session_run(s, &w->x, 1, NULL, 0) != EV_OK;
        w->wrong |= memcmp(ev_tensor_data(ev_session_output(s, 0)), w->want, sizeof w->want) != 0;
    }
    ev_session_destroy(s);
    return NULL;
}

START_TEST(one_plan_serves_many_threads)
{
    ev_context *ctx = t_context(NULL, 2); /* whoever finds the workers busy runs alone */
    ev_model *m = mixed_net(ctx);
    const int64_t dims[4] = {1, 3, 20, 18};
    ev_tensor *x = some_tensor(ctx, 4, dims, 1);
    ev_plan *plan = NULL;
    t_ok(ev_plan_create(ctx, m, NULL, &plan));
    worker w[8];
    pthread_t thread[8];
    for (int32_t i = 0; i < 8; i++) {
        w[i] = (worker){.plan = plan, .x = x};
        run_once(ctx, m, NULL, x, w[i].want, 4);
        ck_assert_int_eq(pthread_create(&thread[i], NULL, run_many, &w[i]), 0);
    }
    for (int32_t i = 0; i < 8; i++) {
        pthread_join(thread[i], NULL);
        ck_assert_int_eq(w[i].wrong, 0);
    }
    ev_plan_destroy(plan);
    ev_tensor_destroy(x);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

/* An output that is an input, a constant, or given twice. */
START_TEST(plain_outputs)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = NULL;
    ev_value x, c, f;
    const int64_t dims[2] = {2, 3};
    ev_tensor *k = some_tensor(ctx, 2, dims, 8), *t = some_tensor(ctx, 2, dims, 9);
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "x", EV_TYPE_FLOAT32, 2, dims, &x));
    t_ok(ev_model_constant(m, "c", k, &c));
    t_ok(ev_model_flatten(m, x, 0, &f));
    t_ok(ev_model_output(m, "same", x));
    t_ok(ev_model_output(m, "constant", c));
    t_ok(ev_model_output(m, "flat", f));
    t_ok(ev_model_output(m, "again", f));
    ev_plan *plan = NULL;
    ev_session *s = NULL;
    t_ok(ev_model_init(m, 1));
    t_ok(ev_plan_create(ctx, m, NULL, &plan));
    t_ok(ev_session_create(plan, &s));
    const ev_tensor *in = t;
    t_ok(ev_session_run(s, &in, 1, NULL, 0));
    ev_tensor *want[4] = {t, k, t, t};
    for (int32_t i = 0; i < 4; i++)
        ck_assert_mem_eq(ev_tensor_data(ev_session_output(s, i)), ev_tensor_data(want[i]), 24);
    ev_session_destroy(s);
    ev_plan_destroy(plan);
    ev_tensor_destroy(t);
    ev_tensor_destroy(k);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

TCase *running_case(void)
{
    TCase *c = tcase_create("running");
    tcase_add_test(c, fusion_keeps_the_result);
    tcase_add_test(c, same_bits_alone_in_a_batch_and_on_threads);
    tcase_add_test(c, wrong_inputs_are_refused);
    tcase_add_test(c, changed_weights_make_a_plan_stale);
    tcase_add_test(c, nan_is_found_and_named);
    tcase_add_test(c, profile_tells_kernels_and_shares);
    tcase_add_test(c, one_plan_serves_many_threads);
    tcase_add_test(c, plain_outputs);
    return c;
}
