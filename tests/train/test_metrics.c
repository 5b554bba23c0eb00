/* SPDX-License-Identifier: MIT */
/* Metrics: counts by hand, and text. */
#include "train.h"

#include <math.h>

static ev_tensor *logits_of(ev_context *ctx, const evi_real *values, int64_t n, int64_t classes)
{
    const int64_t dims[2] = { n, classes };
    ev_tensor *x = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 2, dims, &x));
    memcpy(ev_tensor_data(x), values, (size_t)(n * classes) * sizeof(evi_real));
    return x;
}

START_TEST(counts)
{
    ev_context *ctx = t_context(NULL, 1);
    static const evi_real values[] = { 2, 0, 0, /**/ 0, 1, 1, /**/ 0, 3, 1, /**/ 5, 4, 3 };
    const int32_t labels[4] = { 0, 2, 1, 1 }, items[4] = { 7, 5, 3, 1 };
    ev_metrics *m = NULL;
    ev_prediction p;
    EV_OPTIONS_INIT(&p);
    t_ok(ev_metrics_create(ctx, 3, 0, &m));
    ck_assert(isnan(ev_metrics_loss(m)) && isnan(ev_metrics_accuracy(m)));
    ev_tensor *x = logits_of(ctx, values, 4, 3);
    t_ok(ev_metrics_add(m, x, labels, items));
    ck_assert_int_eq(ev_metrics_count(m), 4);
    ck_assert_int_eq(ev_metrics_n_classes(m), 3);
    ck_assert(ev_metrics_accuracy(m) == 0.5);
    ck_assert_int_eq(ev_metrics_confusion(m, 0, 0), 1);
    ck_assert_int_eq(ev_metrics_confusion(m, 2, 1), 1); /* the first of equals */
    ck_assert_int_eq(ev_metrics_confusion(m, 1, 1), 1);
    ck_assert_int_eq(ev_metrics_confusion(m, 1, 0), 1);
    ck_assert_int_eq(ev_metrics_confusion(m, 1, 3), -1);
    ck_assert(ev_metrics_precision(m, 0) == 0.5 && ev_metrics_recall(m, 0) == 1);
    ck_assert(fabs(ev_metrics_f1(m, 0) - 2.0 / 3) < 1e-15);
    ck_assert(ev_metrics_recall(m, 2) == 0 && isnan(ev_metrics_precision(m, 2)));
    ck_assert(ev_metrics_f1(m, 2) == 0);
    t_ok(ev_metrics_prediction(m, 0, &p));
    double e2 = exp(2.0);
    ck_assert_int_eq(p.item, 7);
    ck_assert_int_eq(p.predicted, 0);
    ck_assert(fabs((double)p.probabilities[0] - e2 / (e2 + 2)) < 1e-6);
    ck_assert(fabs(p.loss - log((e2 + 2) / e2)) < 1e-12);
    t_status(ev_metrics_prediction(m, 4, &p), EV_ERR_ARGUMENT);
    const int32_t wrong[4] = { 0, 0, 0, 3 };
    t_status(ev_metrics_add(m, x, wrong, NULL), EV_ERR_ARGUMENT);
    ck_assert_int_eq(ev_metrics_count(m), 4);
    ev_tensor *y = logits_of(ctx, values, 3, 4);
    t_status(ev_metrics_add(m, y, labels, NULL), EV_ERR_SHAPE);
    ev_tensor_destroy(x);
    ev_tensor_destroy(y);
    ev_metrics_destroy(m);
    ev_metrics_destroy(NULL);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(text)
{
    ev_context *ctx = t_context(NULL, 1);
    static const evi_real values[] = { 2, 0, /**/ 0, 1 };
    const char *const names[2] = { "a \"b\"", "caf\xc3\xa9" };
    const int32_t labels[2] = { 0, 1 };
    ev_metrics *m = NULL;
    char *told = NULL;
    t_ok(ev_metrics_create(ctx, 2, 1, &m));
    ev_tensor *x = logits_of(ctx, values, 2, 2);
    t_ok(ev_metrics_add(m, x, labels, NULL));
    t_ok(ev_metrics_describe(m, names, 0, &told));
    ck_assert_ptr_nonnull(strstr(told, "2 pictures, 100.0 % right"));
    ev_string_destroy(told);
    t_ok(ev_metrics_describe(m, names, 1, &told));
    ck_assert_ptr_nonnull(strstr(told, "\"accuracy\": 1,"));
    ck_assert_ptr_nonnull(strstr(told, "a \\\"b\\\""));
    ev_string_destroy(told);
    t_ok(ev_metrics_describe(m, NULL, 0, &told));
    ev_string_destroy(told);
    ev_tensor_destroy(x);
    ev_metrics_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(evaluation)
{
    ev_context *ctx = t_context(NULL, 2);
    ev_model *model = tt_picture_net(ctx);
    ev_dataset *set = tt_pictures(ctx, 37, 3);
    ev_metrics *a = NULL, *b = NULL;
    ev_evaluate_options o;
    EV_OPTIONS_INIT(&o);
    t_ok(ev_evaluate(ctx, model, set, NULL, &a));
    ck_assert_int_eq(ev_metrics_count(a), 37);
    o.batch_size = 5;
    t_ok(ev_evaluate(ctx, model, set, &o, &b));
    ck_assert(ev_metrics_loss(a) == ev_metrics_loss(b)); /* a picture alone or in a batch */
    for (int32_t i = 0; i < 37; i++) {
        ev_prediction p, q;
        EV_OPTIONS_INIT(&p);
        EV_OPTIONS_INIT(&q);
        t_ok(ev_metrics_prediction(a, i, &p));
        t_ok(ev_metrics_prediction(b, i, &q));
        ck_assert_int_eq(p.item, i);
        ck_assert_int_eq(p.label, ev_dataset_label(set, i));
        ck_assert_int_eq(memcmp(p.probabilities, q.probabilities, 3 * sizeof(float)), 0);
    }
    ev_metrics_destroy(a);
    ev_metrics_destroy(b);
    ev_dataset_destroy(set);
    ev_model_destroy(model);
    ev_context_destroy(ctx);
}
END_TEST

Suite *tt_metrics_suite(void)
{
    Suite *s = suite_create("metrics");
    TCase *c = tcase_create("metrics");
    tcase_add_test(c, counts);
    tcase_add_test(c, text);
    tcase_add_test(c, evaluation);
    suite_add_tcase(s, c);
    return s;
}
