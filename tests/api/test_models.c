/* SPDX-License-Identifier: MIT */
/* What must hold for any model, tried on some hundred random ones: fusion and fast kernels change
 * no more than the last digits; batch, threads and a journey through a file change nothing;
 * memory is as foretold; training computes what inference computes. */
#include "random_model.h"
#include "support.h"

#include <math.h>

#define BATCH 3
#define GROUP 25  /* models a test */
#define OUTPUTS 2

static double tolerance = 2e-5;
static double worst;

typedef struct results {
    int32_t n;
    size_t count[OUTPUTS]; /* numbers of all pictures */
    float *data[OUTPUTS];
} results;

static void results_end(results *r)
{
    for (int32_t i = 0; i < r->n; i++)
        free(r->data[i]);
}

static ev_tensor *input_of(ev_context *ctx, const random_model *r, int32_t first, int32_t n)
{
    int64_t dims[4] = {BATCH, r->dims[1], r->dims[2], r->dims[3]};
    ev_tensor *x = NULL, *part = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &x));
    t_fill(ev_tensor_data(x), (size_t)ev_tensor_count(x), 77);
    t_ok(ev_tensor_view(x, first, n, -1, NULL, &part));
    ev_tensor_destroy(x);
    return part;
}

static void keep(const ev_session *s, int32_t n, results *out)
{
    out->n = n;
    for (int32_t i = 0; i < n; i++) {
        const ev_tensor *y = ev_session_output(s, i);
        ck_assert_ptr_nonnull(y);
        out->count[i] = (size_t)ev_tensor_count(y);
        out->data[i] = malloc(ev_tensor_bytes(y) + 1);
        memcpy(out->data[i], ev_tensor_data(y), ev_tensor_bytes(y));
    }
}

/* Pictures first..first+n-1 through a plan made in ctx. */
static void run(ev_context *ctx, ev_model *m, const random_model *r, int32_t first, int32_t n,
                bool no_fusion, results *out)
{
    ev_plan_options o;
    ev_memory need;
    ev_plan *plan = NULL;
    ev_session *s = NULL;
    EV_OPTIONS_INIT(&o);
    EV_OPTIONS_INIT(&need);
    o.max_batch = n;
    o.no_fusion = no_fusion;
    t_ok(ev_plan_memory(ctx, m, &o, &need));
    uint64_t before = ev_context_memory_bytes(ctx);
    t_ok(ev_plan_create(ctx, m, &o, &plan));
    ck_assert_uint_eq(ev_context_memory_bytes(ctx) - before, need.plan_bytes);
    t_ok(ev_session_create(plan, &s));
    ck_assert_uint_eq(ev_context_memory_bytes(ctx) - before, need.plan_bytes + need.session_bytes);
    ev_tensor *x = input_of(ctx, r, first, n);
    const ev_tensor *in = x;
    t_ok(ev_session_run(s, &in, 1, NULL, 0));
    keep(s, ev_model_n_outputs(m), out);
    ev_tensor_destroy(x);
    ev_session_destroy(s);
    ev_plan_destroy(plan);
}

/* Of the peak, or of 1/16 where all is near zero, such as the mean of an instance norm. */
static double difference(const float *a, const float *b, size_t n)
{
    double peak = 0.0625, most = 0;
    for (size_t i = 0; i < n; i++) {
        double e = fabs((double)a[i] - (double)b[i]);
        most = !(e <= most) ? e : most;
        peak = fmax(peak, fabs((double)b[i]));
    }
    return most / peak;
}

static void compare_near(const results *a, const results *b, uint64_t seed, const char *what)
{
    for (int32_t i = 0; i < a->n; i++) {
        ck_assert_uint_eq(a->count[i], b->count[i]);
        double e = difference(a->data[i], b->data[i], a->count[i]);
        worst = e > worst ? e : worst;
        ck_assert_msg(e <= tolerance, "model %llu, output %d: %s: %g", (unsigned long long)seed,
                      (int)i, what, e);
    }
}

static void compare_equal(const results *a, const results *b, int32_t first, int32_t n,
                          uint64_t seed, const char *what)
{
    for (int32_t i = 0; i < a->n; i++) {
        size_t each = a->count[i] / BATCH;
        ck_assert_uint_eq(b->count[i], each * (size_t)n);
        ck_assert_msg(memcmp(a->data[i] + each * (size_t)first, b->data[i],
                             each * (size_t)n * sizeof(float)) == 0,
                      "model %llu, output %d: %s", (unsigned long long)seed, (int)i, what);
    }
}

static ev_model *through_a_file(ev_context *ctx, const ev_model *m)
{
    void *bytes = NULL;
    uint64_t n = 0;
    ev_model *again = NULL;
    t_ok(ev_model_save_memory(m, &bytes, &n));
    t_ok(ev_model_load_memory(ctx, bytes, n, NULL, &again));
    ev_bytes_destroy(bytes);
    return again;
}

/* The model inside another one that has a loss: its forward pass before the first update. */
static void train_once(ev_context *ctx, const random_model *r, const results *want, uint64_t seed)
{
    const int64_t dims[4] = {-1, r->dims[1], r->dims[2], r->dims[3]};
    ev_model *outer = NULL;
    ev_value x = 0, y[OUTPUTS], loss = 0;
    ev_train_options o;
    ev_trainer *t = NULL;
    results got = {0};
    t_ok(ev_model_create(ctx, &outer));
    t_ok(ev_model_input(outer, "x", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_call(outer, r->model, &x, 1, 0, y, want->n));
    t_ok(ev_model_mse_loss(outer, y[0], EV_NO_VALUE, 0.5f, &loss));
    for (int32_t i = 0; i < want->n; i++)
        t_ok(ev_model_output(outer, i == 0 ? "a" : "b", y[i]));
    t_ok(ev_model_loss(outer, "loss", loss, 1));
    EV_OPTIONS_INIT(&o);
    o.batch_size = BATCH;
    ev_status status = ev_trainer_create(ctx, outer, NULL, NULL, &o, &t);
    if (status != EV_ERR_UNSUPPORTED) { /* a build without training */
        ck_assert_msg(status == EV_OK, "model %llu: %s", (unsigned long long)seed, ev_last_error());
        ev_tensor *in = input_of(ctx, r, 0, BATCH);
        const ev_feed feed = {"x", in};
        t_ok(ev_trainer_step(t, &feed, 1, NULL, 0));
        got.n = want->n;
        for (int32_t i = 0; i < want->n; i++) {
            const ev_tensor *out = ev_trainer_output(t, i);
            got.count[i] = (size_t)ev_tensor_count(out);
            got.data[i] = malloc(ev_tensor_bytes(out) + 1);
            memcpy(got.data[i], ev_tensor_data(out), ev_tensor_bytes(out));
        }
        compare_near(want, &got, seed, "training");
        results_end(&got);
        ev_tensor_destroy(in);
    }
    ev_trainer_destroy(t);
    ev_model_destroy(outer);
}

typedef struct contexts {
    ev_context *one, *three, *plain; /* threads; without wide instructions */
} contexts;

static contexts make_contexts(void)
{
    contexts c = {t_context(NULL, 1), t_context(NULL, 3), NULL};
    ev_context_options o;
    EV_OPTIONS_INIT(&o);
    o.cpu_disable = UINT32_MAX;
    t_ok(ev_context_create(&o, &c.plain));
    return c;
}

static void one_model(const contexts *c, uint64_t seed)
{
    random_model r;
    results want, got;
    random_model_make(c->one, seed, &r);
    run(c->one, r.model, &r, 0, BATCH, false, &want);
    for (int32_t i = 0; i < want.n; i++)
        for (size_t k = 0; k < want.count[i]; k++)
            ck_assert_msg(isfinite(want.data[i][k]), "model %llu", (unsigned long long)seed);
    run(c->one, r.model, &r, 0, BATCH, true, &got);
    compare_near(&want, &got, seed, "without fusion");
    results_end(&got);
    run(c->plain, r.model, &r, 0, BATCH, false, &got);
    compare_near(&want, &got, seed, "plain kernels");
    results_end(&got);
    run(c->three, r.model, &r, 0, BATCH, false, &got);
    compare_equal(&want, &got, 0, BATCH, seed, "threads");
    results_end(&got);
    for (int32_t i = 0; i < BATCH; i++) {
        run(c->one, r.model, &r, i, 1, false, &got);
        compare_equal(&want, &got, i, 1, seed, "alone and in a batch");
        results_end(&got);
    }
    ev_model *again = through_a_file(c->one, r.model);
    run(c->one, again, &r, 0, BATCH, false, &got);
    compare_equal(&want, &got, 0, BATCH, seed, "through a file");
    results_end(&got);
    ev_model_destroy(again);
    if (r.plain)
        train_once(c->one, &r, &want, seed);
    results_end(&want);
    ev_model_destroy(r.model);
}

static void end_contexts(contexts *c)
{
    ev_context_destroy(c->one);
    ev_context_destroy(c->three);
    ev_context_destroy(c->plain);
}

START_TEST(random_models)
{
    contexts c = make_contexts();
    for (int32_t i = 0; i < GROUP; i++)
        one_model(&c, (uint64_t)_i * GROUP + (uint64_t)i + 1);
    end_contexts(&c);
    printf("models %d..%d: worst difference %.2g of the peak\n", _i * GROUP + 1,
           (_i + 1) * GROUP, worst);
}
END_TEST

/* The comparison is no empty one: with no tolerance at all some model differs. */
START_TEST(a_difference_is_noticed)
{
    contexts c = make_contexts();
    tolerance = 0;
    for (int32_t i = 0; i < GROUP; i++)
        one_model(&c, (uint64_t)i + 1);
    end_contexts(&c);
}
END_TEST

/* ---- what fuzzing found ---------------------------------------------------------------------- */

/* Folding a leaky relu of negative slope wrote a mask that only a training plan has. */
START_TEST(leaky_relu_of_a_constant)
{
    ev_context *ctx = t_context(NULL, 1);
    const int64_t n = 64;
    ev_model *m = NULL;
    ev_tensor *c = NULL;
    ev_value x = 0;
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 1, &n, &c));
    t_ok(ev_model_constant(m, "c", c, &x));
    t_ok(ev_model_activation(m, x, EV_ACTIVATION_LEAKY_RELU, -0.5f, 0, &x));
    ev_tensor_destroy(c);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

/* What can be drawn can be loaded: a wide padding, a reserved type. */
START_TEST(drawn_and_not_loadable)
{
    ev_context *ctx = t_context(NULL, 1);
    const int64_t dims[4] = {1, 1, 8, 8};
    ev_pool2d_options o;
    ev_model *m = NULL;
    ev_value x = 0, y = 0;
    EV_OPTIONS_INIT(&o);
    o.pad_top = 65536;
    o.stride_h = o.stride_w = 65536;
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "x", EV_TYPE_FLOAT32, 4, dims, &x));
    t_status(ev_model_max_pool2d(m, x, 2, &o, &y), EV_ERR_ARGUMENT);
    t_status(ev_model_input(m, "z", EV_TYPE_FLOAT64, 4, dims, &y), EV_ERR_ARGUMENT);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("models");
    TCase *c = tcase_create("any model");
    tcase_set_timeout(c, 300);
    const char *all = getenv("EV_RUN_ALL");
    bool many = all != NULL && strcmp(all, "1") == 0;
    tcase_add_loop_test(c, random_models, 0, (many ? 10000 : 600) / GROUP);
    tcase_add_exit_test(c, a_difference_is_noticed, 1);
    tcase_add_test(c, leaky_relu_of_a_constant);
    tcase_add_test(c, drawn_and_not_loadable);
    suite_add_tcase(s, c);
    return t_run(s);
}
