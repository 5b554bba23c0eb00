/* SPDX-License-Identifier: MIT */
/* Translations judged: as a device would classify them, what they invent, how far they are off. */
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

static ev_model *classifier(int32_t size, int32_t how)
{
    ev_model *m = NULL;
    t_ok(bright_classifier(ctx, size, how, &m));
    return m;
}

static ev_model *generator(int32_t size, float more)
{
    ev_model *m = NULL;
    t_ok(bright_generator(ctx, size, more, &m));
    return m;
}

static ev_dataset *set(int32_t n, double low, double high, int32_t label)
{
    ev_dataset *d = NULL;
    t_ok(bright_set(ctx, n, low, high, 20, label, &d));
    return d;
}

/* ---- classify -------------------------------------------------------------------------------- */

/* Batches or not, ahead or not: the same bits as a device that takes one picture at a time. */
START_TEST(as_on_a_device)
{
    ev_context *c = t_context(NULL, _i + 1);
    ev_generator_options g;
    ev_model *small = NULL, *judge = classifier(24, BRIGHT_DENSE);
    ev_dataset *pictures = set(37, 0, 255, -1);
    ev_metrics *metrics = NULL;
    ev_translator *t = NULL;
    ev_translator_options o;
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    ev_tensor *x = NULL;
    ev_pixel_options pixels;
    const int64_t dims[4] = {1, 3, 24, 24};
    EV_OPTIONS_INIT(&g);
    g.image_width = 16;
    g.base_width = 4;
    g.n_blocks = 1;
    t_ok(ev_zoo_generator(c, &g, &small));
    t_ok(ev_model_init(small, 2));
    t_ok(ev_translate_evaluate(c, judge, small, pictures, &metrics));
    ck_assert_int_eq(ev_metrics_count(metrics), 37);
    EV_OPTIONS_INIT(&o);
    o.fit = EV_FIT_MODEL;
    t_ok(ev_translator_create(ctx, small, &o, &t));
    t_ok(ev_plan_create(ctx, judge, NULL, &plan));
    t_ok(ev_session_create(plan, &session));
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &x));
    EV_OPTIONS_INIT(&pixels);
    t_ok(ev_model_pixel_options(judge, &pixels));
    for (int32_t i = 0; i < 37; i++) {
        ev_image *image = NULL, *made = NULL;
        ev_prediction p;
        EV_OPTIONS_INIT(&p);
        t_ok(ev_dataset_image(pictures, i, NULL, &image));
        t_ok(ev_translator_run(t, image, &made));
        ck_assert_int_eq(ev_image_width(made), 16);
        t_ok(ev_image_to_tensor(made, &pixels, x, 0));
        const ev_tensor *in = x;
        t_ok(ev_session_run(session, &in, 1, NULL, 0));
        const float *y = ev_tensor_data(ev_session_output(session, 0));
        t_ok(ev_metrics_prediction(metrics, i, &p));
        ck_assert_int_eq(p.item, i);
        ck_assert_int_eq(p.label, ev_dataset_label(pictures, i));
        ck_assert_int_eq(p.predicted, y[1] > y[0]);
        double most = fmax((double)y[0], (double)y[1]), e0 = exp((double)y[0] - most),
               e1 = exp((double)y[1] - most);
        ck_assert(p.probabilities[0] == (float)(e0 / (e0 + e1)));
        ev_image_destroy(image);
        ev_image_destroy(made);
    }
    ev_tensor_destroy(x);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    ev_translator_destroy(t);
    ev_metrics_destroy(metrics);
    ev_dataset_destroy(pictures);
    ev_model_destroy(judge);
    ev_model_destroy(small);
    ev_context_destroy(c);
}
END_TEST

/* Dark pictures of class 1: wrong as they are, right when brightened. */
START_TEST(it_helps)
{
    ev_model *judge = classifier(12, BRIGHT_DENSE), *g = generator(16, 0.5f);
    ev_dataset *dark = set(20, 30, 100, 1);
    ev_metrics *before = NULL, *after = NULL, *plain = NULL;
    ev_hallucinations h;
    t_ok(ev_translate_evaluate(ctx, judge, NULL, dark, &before));
    t_ok(ev_translate_evaluate(ctx, judge, g, dark, &after));
    t_ok(ev_evaluate(ctx, judge, dark, NULL, &plain));
    ck_assert_double_eq(ev_metrics_accuracy(before), 0);
    ck_assert_double_eq(ev_metrics_loss(before), ev_metrics_loss(plain));
    ck_assert_double_eq(ev_metrics_accuracy(after), 1);
    EV_OPTIONS_INIT(&h);
    t_ok(ev_metrics_hallucinations(before, after, 0, &h)); /* 0 is "empty" */
    ck_assert_int_eq(h.n_empty, 0);
    ck_assert_int_eq(h.n_objects, 20);
    ck_assert_int_eq(h.vanished_before, 20);
    ck_assert_int_eq(h.vanished, 0);
    ev_metrics_destroy(before);
    ev_metrics_destroy(after);
    ev_metrics_destroy(plain);
    ev_dataset_destroy(dark);
    ev_model_destroy(judge);
    ev_model_destroy(g);
}
END_TEST

static ev_metrics *told(int32_t n_classes, int32_t n, const int32_t *labels, const int32_t *said)
{
    ev_metrics *m = NULL;
    ev_tensor *t = NULL;
    const int64_t dims[2] = {n, n_classes};
    t_ok(ev_metrics_create(ctx, n_classes, 0, &m));
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 2, dims, &t));
    for (int32_t i = 0; i < n; i++)
        ((float *)ev_tensor_data(t))[i * n_classes + said[i]] = 1;
    t_ok(ev_metrics_add(m, t, labels, NULL));
    ev_tensor_destroy(t);
    return m;
}

START_TEST(made_up_and_lost)
{
    const int32_t labels[8] = {0, 0, 0, 0, 1, 2, 1, 2}, other[8] = {0, 0, 0, 1, 1, 2, 1, 2};
    const int32_t said[8] = {0, 0, 1, 2, 1, 0, 2, 0}, then[8] = {0, 1, 0, 1, 0, 2, 0, 0};
    ev_metrics *a = told(3, 8, labels, said), *b = told(3, 8, labels, then);
    ev_metrics *c = told(3, 8, other, said), *d = told(3, 7, labels, said);
    ev_metrics *e = told(4, 8, labels, said), *none = NULL;
    ev_hallucinations h;
    EV_OPTIONS_INIT(&h);
    t_ok(ev_metrics_hallucinations(a, b, 0, &h));
    ck_assert_int_eq(h.n_empty, 4);
    ck_assert_int_eq(h.invented_before, 2);
    ck_assert_int_eq(h.invented, 2);
    ck_assert_int_eq(h.newly_invented, 1);
    ck_assert_int_eq(h.n_objects, 4);
    ck_assert_int_eq(h.vanished_before, 2);
    ck_assert_int_eq(h.vanished, 3);
    ck_assert_int_eq(h.newly_vanished, 2);
    t_status(ev_metrics_hallucinations(a, b, 3, &h), EV_ERR_ARGUMENT);
    t_status(ev_metrics_hallucinations(a, b, -1, &h), EV_ERR_ARGUMENT);
    t_status(ev_metrics_hallucinations(a, c, 0, &h), EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "picture 3"));
    t_status(ev_metrics_hallucinations(a, d, 0, &h), EV_ERR_ARGUMENT);
    t_status(ev_metrics_hallucinations(a, e, 0, &h), EV_ERR_ARGUMENT);
    t_ok(ev_metrics_create(ctx, 3, 1, &none));
    t_status(ev_metrics_hallucinations(none, none, 0, &h), EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "no_items"));
    t_status(ev_metrics_hallucinations(NULL, b, 0, &h), EV_ERR_ARGUMENT);
    t_status(ev_metrics_hallucinations(a, b, 0, NULL), EV_ERR_ARGUMENT);
    ev_metrics_destroy(a);
    ev_metrics_destroy(b);
    ev_metrics_destroy(c);
    ev_metrics_destroy(d);
    ev_metrics_destroy(e);
    ev_metrics_destroy(none);
}
END_TEST

/* ---- the gap --------------------------------------------------------------------------------- */

static ev_domain_gap gap_of(ev_context *c, ev_model *judge, ev_dataset *inside,
                            ev_dataset *pictures, ev_model *g, ev_model *back)
{
    ev_domain_gap out;
    EV_OPTIONS_INIT(&out);
    t_ok(ev_domain_gap_measure(c, judge, inside, pictures, g, back, &out));
    return out;
}

START_TEST(gap_by_hand)
{
    ev_model *judge = classifier(12, BRIGHT_DENSE), *plus = generator(16, 0.2f);
    ev_model *minus = generator(0, -0.2f), *none = generator(16, 0);
    ev_dataset *inside = NULL, *dark = NULL;
    double mean[2] = {0}, square[2] = {0}, sure = 0;
    t_ok(bright_set(ctx, 21, 150, 200, 0, 1, &inside));
    t_ok(bright_set(ctx, 11, 40, 80, 0, 1, &dark));
    for (int32_t i = 0; i < 21; i++) { /* a picture of one grey has that as its features */
        double x = floor(150 + 50.0 * i / 20 + 0.5) / 255,
               y = floor(40 + 40.0 * i / 10 + 0.5) / 255;
        mean[0] += x / 21;
        square[0] += x * x / 21;
        mean[1] += i < 11 ? y / 11 : 0;
        square[1] += i < 11 ? y * y / 11 : 0;
        sure += i < 11 ? 1 / (1 + exp(-fabs(40 * y - 20))) / 11 : 0;
    }
    double a = sqrt((square[0] - mean[0] * mean[0]) * 21 / 20);
    double b = sqrt((square[1] - mean[1] * mean[1]) * 11 / 10);
    double distance = 4 * ((mean[0] - mean[1]) * (mean[0] - mean[1]) + (a - b) * (a - b));
    ev_domain_gap g = gap_of(ctx, judge, inside, dark, NULL, NULL);
    ck_assert_int_eq(g.n_features, 5);
    ck_assert_double_eq_tol(g.features, distance, 1e-6);
    ck_assert_double_eq_tol(g.confidence, sure, 1e-6);
    ck_assert(isnan(g.cycle_error));
    g = gap_of(ctx, judge, inside, inside, NULL, NULL);
    ck_assert_double_eq(g.features, 0);
    g = gap_of(ctx, judge, inside, dark, plus, minus);
    ck_assert_double_lt(g.features, distance);
    ck_assert_double_lt(g.cycle_error, 1e-6);
    g = gap_of(ctx, judge, inside, dark, plus, none);
    ck_assert_double_eq_tol(g.cycle_error, 0.4, 1e-6);
    ev_domain_gap first = gap_of(ctx, judge, inside, dark, plus, plus);
    ev_context *two = t_context(NULL, 2);
    g = gap_of(two, judge, inside, dark, plus, plus);
    ck_assert_mem_eq(&first, &g, sizeof(g));
    ck_assert_double_eq_tol(g.cycle_error, 0.8, 1e-6);
    ev_context_destroy(two);
    ev_dataset_destroy(inside);
    ev_dataset_destroy(dark);
    ev_model_destroy(judge);
    ev_model_destroy(plus);
    ev_model_destroy(minus);
    ev_model_destroy(none);
}
END_TEST

/* The way back may want its numbers otherwise: bytes as 0..1, blue first. */
START_TEST(back_in_other_numbers)
{
    ev_model *judge = classifier(12, BRIGHT_DENSE), *there = generator(16, 0.2f), *back = NULL;
    ev_dataset *pictures = set(6, 60, 120, 1);
    ev_preprocess p;
    EV_OPTIONS_INIT(&p);
    p.bgr = 1;
    t_ok(bright_generator(ctx, 16, -0.1f, &back)); /* -0.2 of 0..1 */
    t_ok(ev_model_set_preprocess(back, &p));
    ev_domain_gap g = gap_of(ctx, judge, pictures, pictures, there, back);
    ck_assert_double_lt(g.cycle_error, 1e-6);
    ev_dataset_destroy(pictures);
    ev_model_destroy(judge);
    ev_model_destroy(there);
    ev_model_destroy(back);
}
END_TEST

/* ---- mistakes -------------------------------------------------------------------------------- */

START_TEST(mistakes)
{
    ev_model *judge = classifier(12, BRIGHT_DENSE), *g = generator(16, 0), *any = generator(0, 0);
    ev_model *no_dense = classifier(12, BRIGHT_NO_DENSE), *soft = classifier(12, BRIGHT_SOFTMAX);
    ev_model *other = generator(20, 0);
    ev_dataset *pictures = set(4, 0, 255, -1), *three = NULL, *empty = NULL, *lost = NULL;
    ev_metrics *m = NULL;
    ev_domain_gap gap;
    EV_OPTIONS_INIT(&gap);
    t_ok(ev_dataset_create(ctx, 3, NULL, &three));
    t_ok(ev_dataset_create(ctx, 2, NULL, &empty));
    t_ok(ev_dataset_create(ctx, 2, NULL, &lost));
    t_ok(ev_dataset_add_path(lost, "/nowhere/a.png", 0, NULL));
    t_status(ev_translate_evaluate(ctx, judge, g, three, &m), EV_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "3 classes"));
    t_status(ev_translate_evaluate(ctx, judge, g, empty, &m), EV_ERR_ARGUMENT);
    t_status(ev_translate_evaluate(ctx, judge, g, lost, &m), EV_ERR_IO);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "/nowhere/a.png"));
    ck_assert_ptr_null(m);
    t_status(ev_translate_evaluate(ctx, judge, any, pictures, &m), EV_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "size"));
    t_status(ev_translate_evaluate(ctx, judge, judge, pictures, &m), EV_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "generator"));
    t_status(ev_translate_evaluate(ctx, g, g, pictures, &m), EV_ERR_SHAPE);
    t_status(ev_translate_evaluate(ctx, NULL, g, pictures, &m), EV_ERR_ARGUMENT);
    t_status(ev_translate_evaluate(ctx, judge, g, NULL, &m), EV_ERR_ARGUMENT);
    t_status(ev_domain_gap_measure(ctx, no_dense, pictures, pictures, g, NULL, &gap), EV_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "dense"));
    t_status(ev_domain_gap_measure(ctx, soft, pictures, pictures, g, NULL, &gap), EV_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "softmax"));
    t_status(ev_domain_gap_measure(ctx, judge, pictures, pictures, g, other, &gap), EV_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "20x20"));
    t_status(ev_domain_gap_measure(ctx, judge, pictures, empty, g, NULL, &gap), EV_ERR_ARGUMENT);
    t_status(ev_domain_gap_measure(ctx, judge, pictures, pictures, NULL, g, &gap), EV_ERR_ARGUMENT);
    ev_dataset_destroy(pictures);
    ev_dataset_destroy(three);
    ev_dataset_destroy(empty);
    ev_dataset_destroy(lost);
    ev_model_destroy(judge);
    ev_model_destroy(g);
    ev_model_destroy(any);
    ev_model_destroy(other);
    ev_model_destroy(no_dense);
    ev_model_destroy(soft);
}
END_TEST

static ev_status body(ev_context *c, void *arg)
{
    ev_model *judge = NULL, *g = NULL;
    ev_dataset *pictures = NULL;
    ev_metrics *m = NULL;
    ev_domain_gap gap;
    EV_OPTIONS_INIT(&gap);
    ev_status status = bright_classifier(c, 8, BRIGHT_DENSE, &judge);
    if (status == EV_OK)
        status = bright_generator(c, 8, 0.1f, &g);
    if (status == EV_OK)
        status = bright_set(c, 3, 0, 255, 3, -1, &pictures);
    if (status == EV_OK && arg == NULL)
        status = ev_translate_evaluate(c, judge, g, pictures, &m);
    if (status == EV_OK && arg != NULL)
        status = ev_domain_gap_measure(c, judge, pictures, pictures, g, g, &gap);
    ck_assert(status == EV_OK || m == NULL);
    ev_metrics_destroy(m);
    ev_dataset_destroy(pictures);
    ev_model_destroy(judge);
    ev_model_destroy(g);
    return status;
}

START_TEST(faults)
{
    int32_t gap = 1;
    t_each_alloc(body, NULL, 1, 0);
    t_each_alloc(body, &gap, 1, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("judge");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, start, end);
    tcase_add_loop_test(c, as_on_a_device, 0, 2);
    tcase_add_test(c, it_helps);
    tcase_add_test(c, made_up_and_lost);
    tcase_add_test(c, gap_by_hand);
    tcase_add_test(c, back_in_other_numbers);
    tcase_add_test(c, mistakes);
    tcase_add_test(c, faults);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(suite());
}
