/* SPDX-License-Identifier: MIT */
/* A score for a classifier: what it measures, its threshold, its file, and the router that goes by
 * it. */
#include "bright.h"

#include <math.h>

static ev_context *ctx;

static void start(void)
{
    ctx = t_context(NULL, 1);
}

static void end(void)
{
    ev_context_destroy(ctx);
}

static ev_model *classifier(int32_t how)
{
    ev_model *m = NULL;
    t_ok(bright_classifier(ctx, 12, how, &m));
    return m;
}

static ev_dataset *set(int32_t n, double low, double high, int32_t noise)
{
    ev_dataset *d = NULL;
    t_ok(bright_set(ctx, n, low, high, noise, -1, &d));
    return d;
}

static ev_model *fit(ev_context *c, ev_model *m, ev_dataset *inside, int32_t score, float keep)
{
    ev_model *out = NULL;
    ev_domain_options o;
    EV_OPTIONS_INIT(&o);
    o.score = score;
    o.keep = keep;
    t_ok(ev_domain_fit(c, m, inside, &o, &out));
    return out;
}

static double threshold(const ev_model *m)
{
    const char *note = ev_model_meta(m, "edgevision.domain.threshold");
    char *rest = NULL;
    ck_assert_ptr_nonnull(note);
    double x = strtod(note, &rest);
    ck_assert(*rest == '\0');
    return x;
}

/* Output `output` of one picture of a set; the first of its numbers. */
static double ask(ev_model *m, ev_dataset *set, int32_t item, int32_t output, double *second)
{
    ev_image *image = NULL;
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    ev_tensor *x = NULL;
    const int64_t dims[4] = {1, 3, 12, 12};
    t_ok(ev_dataset_image(set, item, NULL, &image));
    t_ok(ev_plan_create(ctx, m, NULL, &plan));
    t_ok(ev_session_create(plan, &session));
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_image_to_tensor(image, NULL, x, 0));
    const ev_tensor *in = x, *out = NULL;
    t_ok(ev_session_run(session, &in, 1, NULL, 0));
    out = ev_session_output(session, output);
    double value = (double)((const float *)ev_tensor_data(out))[0];
    if (second != NULL)
        *second = (double)((const float *)ev_tensor_data(out))[1];
    ev_tensor_destroy(x);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    ev_image_destroy(image);
    return value;
}

/* ---- what is measured ------------------------------------------------------------------------ */

/* Pictures of one grey: four features are that grey, the fifth is always 0.  Its variance counts as
 * a thousandth of the mean variance, 0.8 v, and so adds nothing. */
START_TEST(distance)
{
    ev_model *m = classifier(_i == 0 ? BRIGHT_DENSE : BRIGHT_MATMUL);
    ev_dataset *inside = set(11, 100, 200, 0), *outside = set(3, 0, 50, 0);
    ev_model *f = fit(ctx, m, inside, EV_SCORE_FEATURES, 0);
    double v = 0;
    ck_assert_int_eq(ev_model_n_outputs(f), 2);
    ck_assert_str_eq(ev_model_output_name(f, 0), "logits");
    ck_assert_str_eq(ev_model_output_name(f, 1), "score");
    ck_assert_str_eq(ev_model_output_name(m, 0), "classes"); /* unchanged */
    for (int32_t i = 0; i < 11; i++)
        v += (10 * i - 50) * (10 * i - 50) / 10.0;
    for (int32_t i = 0; i < 3; i++) {
        double grey = floor(25.0 * i + 0.5), d = grey - 150;
        ck_assert_double_eq_tol(ask(f, outside, i, 1, NULL), 0.8 * d * d / v, 1e-4);
        double second = 0, plain = 0;
        ck_assert(ask(f, outside, i, 0, &second) == ask(m, outside, i, 0, &plain));
        ck_assert(second == plain);
    }
    ck_assert_double_eq_tol(threshold(f), 0.8 * 2500 / v, 1e-4); /* 0.95 of 11: all of them */
    ev_dataset_destroy(inside);
    ev_dataset_destroy(outside);
    ev_model_destroy(m);
    ev_model_destroy(f);
}
END_TEST

START_TEST(energy)
{
    ev_model *m = classifier(_i == 0 ? BRIGHT_DENSE : BRIGHT_NO_DENSE);
    ev_dataset *inside = set(9, 0, 255, 10);
    ev_model *f = fit(ctx, m, inside, EV_SCORE_ENERGY, 1);
    double most = -1e300;
    for (int32_t i = 0; i < 9; i++) {
        double a = 0, b = 0, score = ask(f, inside, i, 1, NULL);
        a = ask(f, inside, i, 0, &b);
        if (_i == 0)
            ck_assert_double_eq_tol(score, -(fmax(a, b) + log(1 + exp(-fabs(a - b)))), 1e-5);
        most = fmax(most, score);
    }
    ck_assert(threshold(f) == most); /* to the bit */
    ev_dataset_destroy(inside);
    ev_model_destroy(m);
    ev_model_destroy(f);
}
END_TEST

/* One convolution: the picture's own channels count, all of one grey here. */
START_TEST(statistics)
{
    enum { N = 11 };
    ev_model *m = classifier(_i == 0 ? BRIGHT_DENSE : BRIGHT_NO_DENSE);
    ev_dataset *inside = set(N, 100, 200, 0), *outside = set(3, 0, 50, 0);
    ev_model *f = fit(ctx, m, inside, EV_SCORE_STATISTICS, 0);
    double mean[2] = {0}, variance[2] = {0}, x[2];
    for (int32_t i = 0; i < N; i++)
        for (int32_t k = 0; k < 2; k++)
            mean[k] += pow((100 + 10 * i) / 255.0, k + 1) / N;
    for (int32_t i = 0; i < N; i++)
        for (int32_t k = 0; k < 2; k++) {
            x[k] = pow((100 + 10 * i) / 255.0, k + 1) - mean[k];
            variance[k] += x[k] * x[k] / (N - 1);
        }
    for (int32_t i = 0; i < 3; i++) {
        double want = 0;
        for (int32_t k = 0; k < 2; k++) {
            double away = pow(floor(25.0 * i + 0.5) / 255, k + 1) - mean[k];
            want += away * away / variance[k] / 2;
        }
        ck_assert_double_eq_tol(ask(f, outside, i, 1, NULL), want, 1e-4 * want);
    }
    ev_dataset_destroy(inside);
    ev_dataset_destroy(outside);
    ev_model_destroy(m);
    ev_model_destroy(f);
}
END_TEST

/* A second convolution: what it takes counts, so a first one of zeros makes all pictures alike. */
START_TEST(statistics_of_maps)
{
    const int64_t dims[4] = {-1, 3, 12, 12};
    ev_model *m = NULL;
    ev_value x = EV_NO_VALUE;
    ev_conv2d_options c;
    EV_OPTIONS_INIT(&c);
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    for (int32_t i = 0; i < 2; i++) {
        c.name = i == 0 ? "first" : "second";
        t_ok(ev_model_conv2d(m, x, 4 + i, 3, &c, &x));
        t_ok(ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, &x));
        t_ok(ev_model_max_pool2d(m, x, 2, NULL, &x));
    }
    t_ok(ev_model_flatten(m, x, 1, &x));
    t_ok(ev_model_dense(m, x, 2, NULL, &x));
    t_ok(ev_model_output(m, "logits", x));
    t_ok(ev_model_init(m, 1));
    if (_i == 1) {
        ev_tensor *w = NULL;
        t_ok(ev_model_weight(m, "first.weight", &w));
        memset(ev_tensor_data(w), 0, ev_tensor_bytes(w));
        ev_tensor_destroy(w);
        t_ok(ev_model_touch(m));
    }
    ev_dataset *inside = set(30, 100, 200, 3), *dark = set(30, 0, 60, 3);
    ev_model *f = fit(ctx, m, inside, EV_SCORE_STATISTICS, 0);
    int32_t strange = 0;
    for (int32_t i = 0; i < 30; i++)
        strange += ask(f, dark, i, 1, NULL) > threshold(f);
    ck_assert_int_eq(strange, _i == 0 ? 30 : 0);
    ev_dataset_destroy(inside);
    ev_dataset_destroy(dark);
    ev_model_destroy(m);
    ev_model_destroy(f);
}
END_TEST

/* As few as possible, but at least this share is let pass. */
START_TEST(quantile)
{
    const float keep[6] = {0.05f, 0.5f, 0.8f, 0.9f, 0.95f, 1};
    const int32_t most[6] = {1, 10, 16, 18, 19, 20};
    ev_model *m = classifier(BRIGHT_DENSE);
    ev_dataset *inside = set(20, 10, 130, 10);
    for (int32_t k = 0; k < 6; k++)
        for (int32_t score = EV_SCORE_FEATURES; score <= EV_SCORE_STATISTICS; score++) {
            ev_model *f = fit(ctx, m, inside, score, keep[k]);
            int32_t n = 0;
            for (int32_t i = 0; i < 20; i++)
                n += ask(f, inside, i, 1, NULL) <= threshold(f);
            ck_assert_int_eq(n, most[k]);
            ev_model_destroy(f);
        }
    ev_dataset_destroy(inside);
    ev_model_destroy(m);
}
END_TEST

/* Nothing varies: plain distances, and no division by zero. */
START_TEST(all_the_same)
{
    ev_model *m = classifier(BRIGHT_DENSE);
    ev_dataset *inside = set(5, 100, 100, 0), *outside = set(2, 100, 110, 0);
    ev_model *f = fit(ctx, m, inside, EV_SCORE_FEATURES, 0);
    ck_assert_double_eq_tol(ask(f, inside, 0, 1, NULL), 0, 1e-9);
    ck_assert_double_gt(ask(f, outside, 1, 1, NULL), threshold(f));
    ck_assert(isfinite(ask(f, outside, 1, 1, NULL)));
    ev_dataset_destroy(inside);
    ev_dataset_destroy(outside);
    ev_model_destroy(m);
    ev_model_destroy(f);
}
END_TEST

/* ---- use ------------------------------------------------------------------------------------- */

/* Through a file and with two threads: the same bits. */
START_TEST(file_and_threads)
{
    ev_context *two = t_context(NULL, 2);
    ev_model *m = classifier(BRIGHT_DENSE), *loaded = NULL;
    ev_dataset *inside = set(40, 90, 220, 30);
    for (int32_t score = EV_SCORE_FEATURES; score <= EV_SCORE_STATISTICS; score++) {
        ev_model *f = fit(ctx, m, inside, score, 0.9f), *g = fit(two, m, inside, score, 0.9f);
        void *bytes = NULL, *others = NULL;
        uint64_t n = 0, n_others = 0;
        t_ok(ev_model_save_memory(f, &bytes, &n));
        t_ok(ev_model_save_memory(g, &others, &n_others));
        ck_assert_uint_eq(n, n_others);
        ck_assert_mem_eq(bytes, others, n);
        t_ok(ev_model_load_memory(ctx, bytes, n, NULL, &loaded));
        ck_assert(threshold(loaded) == threshold(f));
        for (int32_t i = 0; i < 40; i += 13)
            ck_assert(ask(loaded, inside, i, 1, NULL) == ask(f, inside, i, 1, NULL));
        ev_bytes_destroy(bytes);
        ev_bytes_destroy(others);
        ev_model_destroy(loaded);
        ev_model_destroy(f);
        ev_model_destroy(g);
    }
    ev_dataset_destroy(inside);
    ev_model_destroy(m);
    ev_context_destroy(two);
}
END_TEST

/* What is known is bright; the dark is translated, the very dark is still dark then. */
START_TEST(routes)
{
    ev_model *m = classifier(BRIGHT_DENSE), *g = NULL;
    ev_dataset *inside = set(40, 140, 220, 10), *night = set(12, 0, 250, 3);
    ev_model *f = fit(ctx, m, inside, EV_SCORE_FEATURES, 1);
    ev_router *r = NULL;
    ev_metrics *metrics = NULL;
    int32_t n[3] = {0};
    t_ok(bright_generator(ctx, 16, 0.3f, &g)); /* by 76 */
    t_ok(ev_router_create(ctx, f, g, NULL, &r));
    for (int32_t i = 0; i < 12; i++) {
        ev_image *image = NULL;
        ev_routed out;
        double grey = 250.0 * i / 11;
        EV_OPTIONS_INIT(&out);
        t_ok(ev_dataset_image(night, i, NULL, &image));
        t_ok(ev_router_run(r, image, &out));
        if (grey > 145 && grey < 215)
            ck_assert_int_eq(out.route, EV_ROUTE_INSIDE);
        if (grey < 55) /* 131 at most */
            ck_assert_int_eq(out.route, EV_ROUTE_ABSTAINED);
        if (grey > 70 && grey < 130)
            ck_assert_int_eq(out.route, EV_ROUTE_TRANSLATED);
        if (out.route != EV_ROUTE_ABSTAINED)
            ck_assert_int_eq(out.label, 1);
        n[out.route]++;
        ev_image_destroy(image);
    }
    ck_assert(n[0] > 0 && n[1] > 0 && n[2] > 0);
    t_ok(ev_evaluate(ctx, f, inside, NULL, &metrics)); /* still a classifier */
    ck_assert_double_eq(ev_metrics_accuracy(metrics), 1);
    ev_metrics_destroy(metrics);
    ev_router_destroy(r);
    ev_dataset_destroy(inside);
    ev_dataset_destroy(night);
    ev_model_destroy(m);
    ev_model_destroy(f);
    ev_model_destroy(g);
}
END_TEST

/* ---- mistakes -------------------------------------------------------------------------------- */

static void refused(ev_model *m, ev_dataset *d, int32_t score, float keep, ev_status status,
                    const char *word)
{
    ev_model *out = NULL;
    ev_domain_options o;
    EV_OPTIONS_INIT(&o);
    o.score = score;
    o.keep = keep;
    t_status(ev_domain_fit(ctx, m, d, &o, &out), status);
    ck_assert_ptr_null(out);
    ck_assert_msg(strstr(ev_last_error(), word) != NULL, "%s", ev_last_error());
}

START_TEST(mistakes)
{
    ev_model *m = classifier(BRIGHT_DENSE), *soft = classifier(BRIGHT_SOFTMAX);
    ev_model *no_dense = classifier(BRIGHT_NO_DENSE), *out = NULL, *bad = NULL, *g = NULL;
    ev_dataset *inside = set(4, 0, 255, 5), *one = set(1, 0, 0, 0), *lost = NULL;
    ev_tensor *w = NULL;
    t_ok(ev_dataset_create(ctx, 9, NULL, &lost)); /* labels do not matter */
    t_ok(ev_dataset_add_path(lost, "/nowhere/a.png", 8, NULL));
    t_ok(ev_dataset_add_path(lost, "/nowhere/b.png", 8, NULL));
    refused(m, one, 0, 0, EV_ERR_ARGUMENT, "1 pictures");
    refused(m, lost, 0, 0, EV_ERR_IO, "/nowhere/a.png");
    refused(m, inside, 3, 0, EV_ERR_ARGUMENT, "score 3");
    refused(m, inside, 0, -0.5f, EV_ERR_ARGUMENT, "keep");
    refused(m, inside, 0, 1.5f, EV_ERR_ARGUMENT, "keep");
    refused(m, inside, 0, NAN, EV_ERR_ARGUMENT, "keep");
    refused(soft, inside, EV_SCORE_ENERGY, 0, EV_ERR_SHAPE, "softmax");
    refused(no_dense, inside, 0, 0, EV_ERR_SHAPE, "dense");
    t_ok(bright_generator(ctx, 12, 0, &g));
    refused(g, inside, 0, 0, EV_ERR_SHAPE, "image_out");
    out = fit(ctx, m, inside, 0, 0);
    refused(out, inside, 0, 0, EV_ERR_SHAPE, "already");
    t_ok(ev_model_clone(m, &bad));
    t_ok(ev_model_weight(bad, "channels.weight", &w));
    ((float *)ev_tensor_data(w))[0] = NAN;
    t_ok(ev_model_touch(bad));
    ev_model *fitted = out, *none = NULL;
    refused(bad, inside, 0, 0, EV_ERR_DIVERGED, "not finite");
    t_status(ev_domain_fit(NULL, m, inside, NULL, &none), EV_ERR_ARGUMENT);
    t_status(ev_domain_fit(ctx, NULL, inside, NULL, &none), EV_ERR_ARGUMENT);
    t_status(ev_domain_fit(ctx, m, NULL, NULL, &none), EV_ERR_ARGUMENT);
    t_status(ev_domain_fit(ctx, m, inside, NULL, NULL), EV_ERR_ARGUMENT);
    ev_tensor_destroy(w);
    ev_dataset_destroy(inside);
    ev_dataset_destroy(one);
    ev_dataset_destroy(lost);
    ev_model_destroy(m);
    ev_model_destroy(soft);
    ev_model_destroy(no_dense);
    ev_model_destroy(g);
    ev_model_destroy(bad);
    ev_model_destroy(fitted);
}
END_TEST

static ev_status body(ev_context *c, void *arg)
{
    ev_model *m = NULL, *out = NULL;
    ev_dataset *inside = NULL;
    ev_status status = bright_classifier(c, 8, BRIGHT_DENSE, &m);
    if (status == EV_OK)
        status = bright_set(c, 3, 0, 255, 3, -1, &inside);
    if (status == EV_OK)
        status = ev_domain_fit(c, m, inside, arg, &out);
    ck_assert((status == EV_OK) == (out != NULL));
    ev_dataset_destroy(inside);
    ev_model_destroy(out);
    ev_model_destroy(m);
    return status;
}

START_TEST(faults)
{
    ev_domain_options o;
    EV_OPTIONS_INIT(&o);
    t_each_alloc(body, &o, 1, 0);
    o.score = EV_SCORE_ENERGY;
    t_each_alloc(body, &o, 1, 0);
    o.score = EV_SCORE_STATISTICS;
    t_each_alloc(body, &o, 1, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("fit");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, start, end);
    tcase_add_loop_test(c, distance, 0, 2);
    tcase_add_loop_test(c, energy, 0, 2);
    tcase_add_loop_test(c, statistics, 0, 2);
    tcase_add_loop_test(c, statistics_of_maps, 0, 2);
    tcase_add_test(c, quantile);
    tcase_add_test(c, all_the_same);
    tcase_add_test(c, file_and_threads);
    tcase_add_test(c, routes);
    tcase_add_test(c, mistakes);
    tcase_add_test(c, faults);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(suite());
}
