/* SPDX-License-Identifier: MIT */
/* Small stacks, children after fork(), threads that cannot be made, many sessions on one plan.
 * Linked with --wrap=pthread_create. */
#include "hygiene.h"

#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int creates_allowed = 1000000;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg)
{
    if (atomic_fetch_sub(&creates_allowed, 1) <= 0)
        return EAGAIN;
    return __real_pthread_create(thread, attr, fn, arg);
}

/* ---- a stack of 64 KiB ----------------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_BYTES (1024 << 10) /* the sanitizers make frames larger */
#else
#define STACK_BYTES (64 << 10)
#endif

static void on_small_stack(void *(*fn)(void *), void *arg)
{
    pthread_attr_t attr;
    pthread_t thread;
    void *result = NULL;
    ck_assert_int_eq(pthread_attr_init(&attr), 0);
    ck_assert_int_eq(pthread_attr_setstacksize(&attr, STACK_BYTES), 0);
    ck_assert_int_eq(pthread_create(&thread, &attr, fn, arg), 0);
    (void)pthread_join(thread, &result);
    (void)pthread_attr_destroy(&attr);
    ck_assert_ptr_eq(result, arg);
}

typedef struct small_job {
    ev_context *ctx;
    ev_model *model;
    ev_tensor *x;
    void *bytes; /* of a saved model */
    uint64_t n_bytes;
    const char *folder;
} small_job;

static void *infer_small(void *arg)
{
    small_job *j = arg;
    ev_plan *plan = NULL;
    ev_session *s = NULL;
    const ev_tensor *in = j->x;
    bool ok = ev_plan_create(j->ctx, j->model, NULL, &plan) == EV_OK &&
              ev_session_create(plan, &s) == EV_OK &&
              ev_session_run(s, &in, 1, NULL, 0) == EV_OK;
    ev_session_destroy(s);
    ev_plan_destroy(plan);
    return ok ? arg : NULL;
}

static void *load_small(void *arg)
{
    small_job *j = arg;
    ev_model *m = NULL;
    void *bytes = NULL;
    uint64_t n = 0;
    char *text = NULL;
    bool ok = ev_model_load_memory(j->ctx, j->bytes, j->n_bytes, NULL, &m) == EV_OK &&
              ev_model_save_memory(m, &bytes, &n) == EV_OK && n == j->n_bytes &&
              ev_model_describe(m, EV_DESCRIBE_JSON, &text) == EV_OK;
    ev_string_destroy(text);
    ev_bytes_destroy(bytes);
    ev_model_destroy(m);
    return ok ? arg : NULL;
}

static void *train_small(void *arg)
{
    small_job *j = arg;
    ev_trainer *t = NULL;
    ev_tensor *labels = NULL;
    const int64_t one = 1;
    ev_train_options o;
    EV_OPTIONS_INIT(&o);
    o.batch_size = 1;
    bool ok = ev_tensor_create(j->ctx, EV_TYPE_INT32, 1, &one, &labels) == EV_OK &&
              ev_trainer_create(j->ctx, j->model, NULL, NULL, &o, &t) == EV_OK;
    const ev_feed feeds[2] = {{"image", j->x}, {"labels", labels}};
    ok = ok && ev_trainer_step(t, feeds, 2, NULL, 0) == EV_OK;
    ev_trainer_destroy(t);
    ev_tensor_destroy(labels);
    return ok ? arg : NULL;
}

static void *whole_world_small(void *arg)
{
    api_world *w = malloc(sizeof(*w)); /* itself too large for such a stack */
    bool ok = w != NULL && api_world_start(NULL, hygiene_files, w) == EV_OK;
    if (w != NULL)
        api_world_end(w);
    free(w);
    return ok ? arg : NULL;
}

START_TEST(small_stack)
{
    const int64_t dims[4] = {1, 3, 20, 18};
    static void *(*const jobs[])(void *) = {infer_small, load_small, train_small,
                                            whole_world_small};
    small_job j = {.ctx = t_context(NULL, 2)};
    if (_i == 2 && api_no_training())
        return;
    j.model = hygiene_net(j.ctx);
    t_ok(ev_tensor_create(j.ctx, EV_TYPE_FLOAT32, 4, dims, &j.x));
    t_ok(ev_model_save_memory(j.model, &j.bytes, &j.n_bytes));
    on_small_stack(jobs[_i], &j);
    ev_bytes_destroy(j.bytes);
    ev_tensor_destroy(j.x);
    ev_model_destroy(j.model);
    ev_context_destroy(j.ctx);
}
END_TEST

/* ---- fork ------------------------------------------------------------------------------------ */

#define IMAGES 4

START_TEST(child_after_fork)
{
    if (T_TSAN)
        return;
    float before[IMAGES * NET_OUTPUTS], after[IMAGES * NET_OUTPUTS];
    ev_context *ctx = t_context(NULL, 4);
    ev_model *m = hygiene_net(ctx);
    ev_plan *plan = hygiene_plan(ctx, m, IMAGES);
    hygiene_infer(ctx, plan, IMAGES, 0, before); /* the workers are there */
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(60);
        hygiene_infer(ctx, plan, IMAGES, 0, after);
        bool same = memcmp(before, after, sizeof(before)) == 0;
        ev_plan_destroy(plan);
        ev_model_destroy(m);
        ev_context_destroy(ctx); /* must not wait for threads that are not there */
        _exit(same ? 0 : 3);
    }
    int status = 0;
    hygiene_infer(ctx, plan, IMAGES, 0, after);
    ck_assert_mem_eq(before, after, sizeof(before));
    (void)waitpid(child, &status, 0);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child: %d", status);
    ev_plan_destroy(plan);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(training_in_a_child)
{
    if (T_TSAN || api_no_training())
        return;
    uint32_t here = hygiene_train(4, IMAGES, 0);
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(60);
        _exit(hygiene_train(4, IMAGES, 0) == here ? 0 : 3);
    }
    int status = 0;
    (void)waitpid(child, &status, 0);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child: %d", status);
}
END_TEST

/* ---- threads that cannot be made ------------------------------------------------------------- */

START_TEST(threads_that_cannot_be_made)
{
    float want[IMAGES * NET_OUTPUTS], got[IMAGES * NET_OUTPUTS];
    uint32_t trained = api_no_training() ? 0 : hygiene_train(1, IMAGES, 0);
    for (int allowed = 0; allowed <= 4; allowed++) {
        ev_context *ctx = t_context(NULL, 4);
        ev_model *m = hygiene_net(ctx);
        ev_plan *plan = hygiene_plan(ctx, m, IMAGES);
        atomic_store(&creates_allowed, allowed);
        hygiene_infer(ctx, plan, IMAGES, 0, allowed == 0 ? want : got);
        if (allowed > 0)
            ck_assert_mem_eq(want, got, sizeof(want));
        atomic_store(&creates_allowed, allowed);
        if (!api_no_training())
            ck_assert_uint_eq(hygiene_train(4, IMAGES, 0), trained);
        atomic_store(&creates_allowed, 1000000);
        ev_plan_destroy(plan);
        ev_model_destroy(m);
        ev_context_destroy(ctx);
    }
}
END_TEST

/* ---- many sessions on one plan --------------------------------------------------------------- */

typedef struct shared_job {
    ev_context *ctx;
    ev_plan *plan;
    const float *want;
    bool same;
} shared_job;

static void *runs(void *arg)
{
    shared_job *j = arg;
    float got[IMAGES * NET_OUTPUTS];
    j->same = true;
    for (int i = 0; i < 100; i++) {
        hygiene_infer(j->ctx, j->plan, IMAGES, 0, got);
        j->same = j->same && memcmp(j->want, got, sizeof(got)) == 0;
    }
    return NULL;
}

START_TEST(eight_threads_on_one_plan)
{
    float want[IMAGES * NET_OUTPUTS];
    pthread_t threads[8];
    shared_job jobs[8];
    ev_context *ctx = t_context(NULL, 3);
    ev_model *m = hygiene_net(ctx);
    ev_plan *plan = hygiene_plan(ctx, m, IMAGES);
    hygiene_infer(ctx, plan, IMAGES, 0, want);
    for (int i = 0; i < 8; i++) {
        jobs[i] = (shared_job){.ctx = ctx, .plan = plan, .want = want};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, runs, &jobs[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        (void)pthread_join(threads[i], NULL);
        ck_assert(jobs[i].same);
    }
    ev_plan_destroy(plan);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

TCase *threads_case(void)
{
    TCase *c = tcase_create("threads");
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, small_stack, 0, 4);
    tcase_add_test(c, child_after_fork);
    tcase_add_test(c, training_in_a_child);
    tcase_add_test(c, threads_that_cannot_be_made);
    tcase_add_test(c, eight_threads_on_one_plan);
    return c;
}
