/* SPDX-License-Identifier: MIT */
/* The same bits whatever the threads, the batch and the place in memory; odd numbers; a locale with
 * a decimal comma. */
#include "hygiene.h"

#include <locale.h>
#include <math.h>
#include <time.h>

#define IMAGES 7

static void outputs(int32_t n_threads, int32_t batch, size_t offset, float *to)
{
    ev_context *ctx = t_context(NULL, n_threads);
    ev_model *m = hygiene_net(ctx);
    ev_plan *plan = hygiene_plan(ctx, m, batch);
    hygiene_infer(ctx, plan, batch, offset, to);
    ev_plan_destroy(plan);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}

static const int32_t threads[] = {1, 2, 3, 4, 7, 8};

START_TEST(same_bits_inference)
{
    float want[IMAGES * NET_OUTPUTS], got[IMAGES * NET_OUTPUTS];
    static const size_t offsets[] = {0, 4, 12, 20, 36, 60};
    outputs(1, IMAGES, 0, want);
    for (int32_t i = 0; i < 6; i++) {
        memset(got, 0, sizeof(got));
        outputs(threads[i], IMAGES, offsets[i], got);
        ck_assert_mem_eq(want, got, sizeof(want));
        outputs(threads[i], i + 1, offsets[5 - i], got);
        ck_assert_mem_eq(want, got, (size_t)(i + 1) * NET_OUTPUTS * sizeof(float));
    }
    outputs(2, 1, 1, got); /* not even aligned to its own size */
    ck_assert_mem_eq(want, got, NET_OUTPUTS * sizeof(float));
}
END_TEST

START_TEST(same_bits_training)
{
    if (api_no_training())
        return;
    uint32_t want = hygiene_train(1, IMAGES, 0);
    for (int32_t i = 0; i < 6; i++)
        ck_assert_uint_eq(hygiene_train(threads[i], IMAGES, (size_t)(4 * i)), want);
    ck_assert_uint_ne(hygiene_train(1, IMAGES - 1, 0), want); /* the checksum tells */
}
END_TEST

/* ---- odd numbers ----------------------------------------------------------------------------- */

static double run_filled(float value, bool all, float *to)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = hygiene_net(ctx);
    ev_plan *plan = hygiene_plan(ctx, m, 1);
    ev_session *s = NULL;
    ev_tensor *x = NULL;
    const int64_t dims[4] = {1, 3, 20, 18};
    struct timespec a, b;
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &x));
    float *data = ev_tensor_data(x);
    t_fill(data, 1080, 3);
    for (int32_t i = 0; i < (all ? 1080 : 1); i++)
        data[i] = value;
    const ev_tensor *in = x;
    t_ok(ev_session_create(plan, &s));
    t_ok(ev_session_run(s, &in, 1, NULL, 0));
    (void)clock_gettime(CLOCK_MONOTONIC, &a);
    for (int32_t i = 0; i < 20; i++)
        t_ok(ev_session_run(s, &in, 1, NULL, 0));
    (void)clock_gettime(CLOCK_MONOTONIC, &b);
    memcpy(to, ev_tensor_data(ev_session_output(s, 0)), NET_OUTPUTS * sizeof(float));
    ev_session_destroy(s);
    ev_tensor_destroy(x);
    ev_plan_destroy(plan);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    return (double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3;
}

/* A NaN is not lost on the way, and neither crashes nor traps; how long it takes is only told. */
START_TEST(not_a_number)
{
    float out[NET_OUTPUTS];
    double plain = run_filled(0.25f, false, out), denormal = run_filled(1e-40f, true, out);
    for (int32_t i = 0; i < NET_OUTPUTS; i++)
        ck_assert(isfinite(out[i]));
    double nan = run_filled(NAN, true, out);
    for (int32_t i = 0; i < NET_OUTPUTS; i++)
        ck_assert(isnan(out[i]));
    double one_nan = run_filled(NAN, false, out), infinite = run_filled(INFINITY, false, out);
    printf("microseconds for 20 runs: plain %.0f, denormal %.0f, NaN %.0f, one NaN %.0f, one "
           "infinity %.0f\n",
           plain, denormal, nan, one_nan, infinite);
}
END_TEST

START_TEST(the_trap_finds_it)
{
    api_world w;
    hygiene_world(1, &w);
    ((float *)ev_tensor_data(w.tensor))[5] = NAN;
    t_ok(ev_session_trap_nan(w.session, 1));
    t_status(ev_session_run(w.session, w.inputs, 1, NULL, 0), EV_ERR_DIVERGED);
    if (!api_no_training())
        t_status(ev_trainer_step(w.trainer, w.feeds, 2, NULL, 0), EV_ERR_DIVERGED);
    api_world_end(&w);
}
END_TEST

/* ---- a decimal comma ------------------------------------------------------------------------- */

typedef struct texts {
    char *json, *table, *metrics, *manifest;
    size_t n_model, n_manifest;
    void *model;
    float mean;
} texts;

static void write_all(texts *t)
{
    api_world w;
    char path[T_PATH];
    ev_preprocess p;
    uint64_t n = 0;
    ev_dataset *part = NULL;
    hygiene_world(1, &w);
    EV_OPTIONS_INIT(&p);
    p.mean[0] = 0.485f;
    t_ok(ev_model_set_preprocess(w.model, &p));
    t_ok(ev_model_preprocess(w.model, &p));
    t->mean = p.mean[0];
    t_ok(ev_model_describe(w.model, EV_DESCRIBE_JSON, &t->json));
    t_ok(ev_model_save_memory(w.model, &t->model, &n));
    t->n_model = (size_t)n;
    if (!api_no_training())
        t_ok(ev_metrics_describe(w.metrics, NULL, 1, &t->metrics));
    t_ok(ev_dataset_filter(w.listed, "size", 0.5, 1.5, 0, &part)); /* "1" and "2" */
    ck_assert_int_eq(ev_dataset_size(part), 1);
    t_ok(ev_dataset_write_manifest(part, t_path(path, hygiene_files, "locale.csv")));
    t->manifest = t_read(path, &t->n_manifest);
    ev_dataset_destroy(part);
    api_world_end(&w);
}

static void texts_end(texts *t)
{
    ev_string_destroy(t->json);
    ev_string_destroy(t->metrics);
    ev_bytes_destroy(t->model);
    free(t->manifest);
}

/* A German locale: the system's, or one made for this test. */
static bool german(void)
{
    char command[2 * T_PATH];
    if (setlocale(LC_ALL, "de_DE.UTF-8") != NULL || setlocale(LC_ALL, "de_DE") != NULL)
        return true;
    (void)snprintf(command, sizeof(command),
                   "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1", hygiene_files);
    return system(command) == 0 && setenv("LOCPATH", hygiene_files, 1) == 0 &&
           setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
}

START_TEST(decimal_comma)
{
    texts plain = {0}, comma = {0};
    char number[16];
    write_all(&plain);
    ck_assert_float_eq(plain.mean, 0.485f);
    if (!german()) {
        printf("no German locale: decimal comma not tested\n");
        texts_end(&plain);
        return;
    }
    (void)snprintf(number, sizeof(number), "%.1f", 0.5);
    ck_assert_str_eq(number, "0,5");
    write_all(&comma);
    ck_assert_float_eq(comma.mean, 0.485f);
    ck_assert_str_eq(plain.json, comma.json);
    if (plain.metrics != NULL)
        ck_assert_str_eq(plain.metrics, comma.metrics);
    ck_assert_uint_eq(plain.n_model, comma.n_model);
    ck_assert_mem_eq(plain.model, comma.model, plain.n_model);
    ck_assert_str_eq(plain.manifest, comma.manifest);
    texts_end(&plain);
    texts_end(&comma);
    printf("decimal comma: tested\n");
}
END_TEST

TCase *numbers_case(void)
{
    TCase *c = tcase_create("numbers");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, same_bits_inference);
    tcase_add_test(c, same_bits_training);
    tcase_add_test(c, not_a_number);
    tcase_add_test(c, the_trap_finds_it);
    tcase_add_test(c, decimal_comma);
    return c;
}
