/* SPDX-License-Identifier: MIT */
/* Every public function of the headers with good arguments, then with one bad or odd argument at a
 * time: NULL, a handle of another kind, numbers out of range, option structs of any size.  A bad
 * one gives an error that names the function or the argument, and NULL or zero in what comes out;
 * nothing crashes, nothing is left behind. */
#include "support.h"
#include "variants.h"

#include <math.h>

static char files[T_PATH]; /* made before the tests fork */
static bool no_training;
static int32_t n_problems;
static long n_calls, n_refused;

static void problem(const api_function *f, const char *argument, const char *what, const char *why)
{
    n_problems++;
    fprintf(stderr, "%s: %s %s: %s: \"%s\"\n", f->name, argument, what, why, ev_last_error());
}

static void world_options(t_hooks *h, ev_context_options *opt)
{
    t_options(h, false, opt);
    opt->memory_limit_bytes = (uint64_t)200 << 20;
}

/* Outputs hold garbage before the call; afterwards the failing function has cleared them. */
static void dirty(const api_function *f, const api_slot *a)
{
    for (int32_t i = 0; i < f->n; i++) {
        int32_t kind = f->arguments[i].kind;
        if (a[i].p != NULL && (kind == API_OUT_HANDLE || kind == API_OUT_POINTER))
            *(void **)a[i].p = &n_calls;
        if (a[i].p != NULL && kind == API_OUT_NUMBER)
            *(int32_t *)a[i].p = 0x5a5a;
    }
}

static void check_cleared(const api_function *f, const api_slot *a, const char *argument,
                          const char *what)
{
    for (int32_t i = 0; i < f->n; i++) {
        const api_argument *arg = &f->arguments[i];
        bool pointer = arg->kind == API_OUT_HANDLE || arg->kind == API_OUT_POINTER;
        if (a[i].p == NULL || (arg->flags & API_MAY_BE_ARRAY) != 0)
            continue;
        if (pointer && *(void **)a[i].p != NULL)
            problem(f, argument, what, "an out pointer is not NULL after the failure");
        if (arg->kind == API_OUT_NUMBER && *(int32_t *)a[i].p != 0 && *(int32_t *)a[i].p != -1)
            problem(f, argument, what, "an out number is neither 0 nor -1 after the failure");
    }
}

/* The function, the argument or field, or at least its value (a layer refused by its name). */
static bool line_names(const char *line, const api_function *f, const api_argument *arg,
                       const variant *v)
{
    const char *field = strchr(v->what, '.'), *value = strrchr(v->what, ' ');
    size_t n = field != NULL ? strcspn(field + 1, " ") : 0;
    char name[64];
    (void)snprintf(name, sizeof(name), "%.*s", (int)n, field != NULL ? field + 1 : "");
    return strstr(line, f->name) != NULL || strstr(line, arg->name) != NULL ||
           strstr(line, "struct_size") != NULL || (n > 0 && strstr(line, name) != NULL) ||
           strstr(line, value != NULL ? value + 1 : v->what) != NULL;
}

static void check_status(const api_function *f, const api_slot *a, const variant *v,
                         const api_argument *arg, ev_status status)
{
    const char *line = ev_last_error();
    if (v->expected == EXPECT_OK && status != EV_OK)
        problem(f, arg->name, v->what, ev_status_name(status));
    if (v->expected == EXPECT_VERSION && status != EV_ERR_VERSION)
        problem(f, arg->name, v->what, "not EV_ERR_VERSION");
    if (v->expected == EXPECT_FAILURE && status == EV_OK)
        problem(f, arg->name, v->what, "not refused");
    if (status == EV_ERR_INTERNAL || status > 0 || strcmp(ev_status_name(status), "EV_ERR_?") == 0)
        problem(f, arg->name, v->what, ev_status_name(status));
    if (status == EV_OK)
        return;
    n_refused++;
    if (strstr(line, "clean slate") != NULL || line[0] == '\0')
        problem(f, arg->name, v->what, "no error line");
    else if (v->expected == EXPECT_FAILURE && !line_names(line, f, arg, v))
        problem(f, arg->name, v->what, "the line names neither function nor argument");
    check_cleared(f, a, arg->name, v->what);
}

/* What a function without status gives for NULL it also gives for a wrong handle. */
static void check_getter(const api_function *f, const variant *v, const api_argument *arg,
                         api_slot result, api_slot for_null)
{
    bool same = f->returns == API_F64 ? isnan(result.f64) == isnan(for_null.f64)
                                      : memcmp(&result, &for_null, sizeof(result)) == 0;
    if (arg->kind == API_HANDLE && !same)
        problem(f, arg->name, v->what, "not what it gives for NULL");
}

static bool is_destroy(const api_function *f)
{
    size_t n = strlen(f->name);
    return n > 8 && strcmp(f->name + n - 8, "_destroy") == 0;
}

typedef struct bench {
    t_hooks hooks;
    api_world world;
    bool fresh;
} bench;

static void bench_start(bench *b)
{
    ev_context_options opt;
    memset(&b->hooks, 0, sizeof(b->hooks));
    world_options(&b->hooks, &opt);
    t_ok(api_world_start(&opt, files, &b->world));
    b->fresh = true;
}

static void bench_end(bench *b, const api_function *f)
{
    api_world_end(&b->world);
    if (atomic_load(&b->hooks.n_live) != 0)
        problem(f, "-", "-", "blocks are left behind");
}

/* Whether a good call leaves the world another: then a new one is made. */
static bool changes_something(const api_function *f)
{
    static const char *const starts[] = {"ev_model_",      "ev_trainer_",    "ev_dataset_add",
                                         "ev_loader_",     "ev_metrics_add", "ev_pruner_s",
                                         "ev_prune_plan_s", "ev_cyclegan_s",
                                         "ev_cyclegan_r",   "ev_generator_distill"};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        if (strncmp(f->name, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

static api_slot call(const api_function *f, const api_slot *a, bench *b)
{
    api_slot result;
    memset(&result, 0, sizeof(result));
    (void)ev_options_init(NULL, 0); /* so that a missing error line is seen */
    (void)ev_zoo_arch_number("clean slate");
    dirty(f, a);
    f->call(a, &result);
    n_calls++;
    if (f->returns != API_STATUS || result.i32 == EV_OK) {
        api_results_end(f, a, &result);
        b->fresh = !changes_something(f);
    }
    return result;
}

static void all_variants(const api_function *f, int32_t index, bench *b)
{
    const api_argument *arg = &f->arguments[index];
    api_slot a[API_MOST_ARGUMENTS], for_null;
    memset(&for_null, 0, sizeof(for_null));
    for (int32_t i = 0;; i++) {
        variant v;
        if (!b->fresh && f->returns == API_STATUS) {
            bench_end(b, f);
            bench_start(b);
        }
        memset(a, 0, sizeof(a));
        f->good(&b->world, a);
        if (!variant_at(f, index, &b->world, a[index], i, &v))
            return;
        a[index] = v.value;
        api_slot result = call(f, a, b);
        if (f->returns == API_STATUS)
            check_status(f, a, &v, arg, result.i32);
        else if (i == 0)
            for_null = result;
        else
            check_getter(f, &v, arg, result, for_null);
        free(v.block);
    }
}

static void good_call(const api_function *f)
{
    api_slot a[API_MOST_ARGUMENTS];
    bench b;
    bench_start(&b);
    memset(a, 0, sizeof(a));
    f->good(&b.world, a);
    for (int32_t i = 0; is_destroy(f) && i < f->n; i++)
        if (f->arguments[i].kind == API_HANDLE)
            a[i].p = NULL; /* the world ends them itself */
    api_slot result = call(f, a, &b);
    if (f->returns == API_STATUS && result.i32 != EV_OK)
        problem(f, "-", "good arguments", ev_status_name(result.i32));
    bench_end(&b, f);
}

START_TEST(one_argument_at_a_time)
{
    const api_function *f = api_at(_i);
    bench b;
    ck_assert_msg(f->known, "%s: tests/api/arguments.txt has no good arguments", f->name);
    good_call(f);
    bench_start(&b);
    for (int32_t i = 0; i < f->n; i++)
        all_variants(f, i, &b);
    bench_end(&b, f);
    ck_assert_msg(n_problems == 0, "%s: %d problems, see above", f->name, n_problems);
}
END_TEST

/* In such a build these answer EV_ERR_UNSUPPORTED or, being getters, what they give for NULL. */
static bool needs_training(const char *name)
{
    static const char *const prefixes[] = {"ev_trainer_", "ev_evaluate",  "ev_metrics_",
                                           "ev_dataset_", "ev_loader_",   "ev_prune",
                                           "ev_ladder_",  "ev_cyclegan_", "ev_model_pixel_options",
                                           "ev_domain_",  "ev_translate_evaluate",
                                           "ev_generator_distill"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

START_TEST(built_without_training)
{
    const api_function *f = api_at(_i);
    bench b;
    api_slot a[API_MOST_ARGUMENTS];
    bench_start(&b);
    memset(a, 0, sizeof(a));
    f->good(&b.world, a);
    for (int32_t i = 0; is_destroy(f) && i < f->n; i++)
        a[i].p = NULL;
    api_slot result = call(f, a, &b);
    bool trains = needs_training(f->name);
    if (f->returns == API_STATUS)
        ck_assert_msg(result.i32 == (trains ? EV_ERR_UNSUPPORTED : EV_OK), "%s: %s: %s", f->name,
                      ev_status_name(result.i32), ev_last_error());
    bench_end(&b, f);
}
END_TEST

/* ---- the harness notices --------------------------------------------------------------------- */

static void bad_call(const api_slot *a, api_slot *r)
{
    (void)a;
    r->i32 = EV_OK;
}

static void bad_good(api_world *w, api_slot *a)
{
    a[0].p = w->model;
}

START_TEST(a_function_that_takes_anything_is_noticed)
{
    static const api_argument arguments[] = {{"model", API_HANDLE, API_ev_model, NULL, 0}};
    static const api_function f = {"ev_bad", API_STATUS, 1, 1, arguments, bad_call, bad_good};
    bench b;
    bench_start(&b);
    all_variants(&f, 0, &b);
    bench_end(&b, &f);
    ck_assert_int_gt(n_problems, 3);
}
END_TEST

START_TEST(the_table_is_whole)
{
    ck_assert_int_gt(api_n_functions(), 200);
    for (int32_t i = 0; i < api_n_functions(); i++)
        ck_assert_msg(api_at(i)->known, "%s: tests/api/arguments.txt has no good arguments",
                      api_at(i)->name);
}
END_TEST

int main(void)
{
    t_folder(files);
    t_ok(api_files_write(files));
    no_training = api_no_training();
    Suite *s = suite_create("api");
    TCase *c = tcase_create("arguments");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, the_table_is_whole);
    tcase_add_test(c, a_function_that_takes_anything_is_noticed);
    tcase_add_loop_test(c, no_training ? built_without_training : one_argument_at_a_time, 0,
                        api_n_functions());
    suite_add_tcase(s, c);
    int result = t_run(s);
    t_folder_remove(files);
    return result;
}
