/* SPDX-License-Identifier: MIT */
/* The pool.  The program is linked with --wrap=pthread_create, so that making threads can fail. */
#include "base/parallel.h"
#include "base_tests.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static atomic_int creates_allowed = 1000;

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

#define N_TASKS 1000

typedef struct job {
    int32_t n_done[N_TASKS];
    double result[N_TASKS];
    atomic_int workers_seen; /* bits */
    int32_t n_workers;
    atomic_int bad;
} job;

static void count_task(void *arg, int64_t task, int32_t worker)
{
    job *j = arg;
    if (task < 0 || task >= N_TASKS || worker < 0 || worker >= j->n_workers) {
        atomic_store(&j->bad, 1);
        return;
    }
    j->n_done[task]++; /* a race, and TSan's report, if a task were given out twice */
    double x = (double)task;
    for (int i = 0; i < 50; i++)
        x = x * 0.5 + 1.0 / (x + 1);
    j->result[task] = x;
    (void)atomic_fetch_or(&j->workers_seen, 1 << worker);
}

static void run_job(evi_crew *crew, int64_t n)
{
    static job j;
    memset(j.n_done, 0, sizeof(j.n_done));
    atomic_store(&j.workers_seen, 0);
    atomic_store(&j.bad, 0);
    j.n_workers = evi_crew_size(crew);
    evi_parallel(crew, n, count_task, &j);
    ck_assert_int_eq(atomic_load(&j.bad), 0);
    for (int64_t i = 0; i < N_TASKS; i++)
        ck_assert_int_eq(j.n_done[i], i < n);
}

START_TEST(alone)
{
    ev_context *ctx = t_context(NULL, 1);
    ck_assert_ptr_null(evi_crew_begin(ctx));
    ck_assert_int_eq(evi_crew_size(NULL), 1);
    run_job(NULL, 10);
    run_job(NULL, 0);
    evi_crew_end(NULL);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(every_task_once)
{
    for (int32_t threads = 2; threads <= 8; threads += 3) {
        ev_context *ctx = t_context(NULL, threads);
        for (int run = 0; run < 5; run++) {
            evi_crew *crew = evi_crew_begin(ctx);
            ck_assert_ptr_nonnull(crew);
            ck_assert_int_eq(evi_crew_size(crew), threads);
            for (int64_t n = 0; n < 40; n++)
                run_job(crew, n);
            run_job(crew, N_TASKS);
            evi_crew_end(crew);
        }
        ev_context_destroy(ctx);
    }
}
END_TEST

static atomic_long total;

static void add_task(void *arg, int64_t task, int32_t worker)
{
    (void)arg;
    (void)worker;
    (void)atomic_fetch_add_explicit(&total, task + 1, memory_order_relaxed);
}

/* Tiny jobs one after the other: the hand-off itself. */
START_TEST(many_small_jobs)
{
    ev_context *ctx = t_context(NULL, 3);
    evi_crew *crew = evi_crew_begin(ctx);
    long expected = 0;
    atomic_store(&total, 0);
    for (int64_t i = 0; i < 20000; i++) {
        int64_t n = 2 + i % 5;
        evi_parallel(crew, n, add_task, NULL);
        expected += n * (n + 1) / 2;
    }
    evi_crew_end(crew);
    ck_assert_int_eq(atomic_load(&total), expected);
    ev_context_destroy(ctx);
}
END_TEST

static void pause_ms(long ms)
{
    struct timespec t = {0, ms * 1000000};
    (void)nanosleep(&t, NULL);
}

/* Within a run, workers that had nothing to do for long sleep and must wake for the next job. */
START_TEST(idle_within_a_run)
{
    ev_context *ctx = t_context(NULL, 4);
    for (int run = 0; run < 3; run++) {
        evi_crew *crew = evi_crew_begin(ctx);
        for (int i = 0; i < 10; i++) {
            run_job(crew, 100);
            pause_ms(i);
        }
        evi_crew_end(crew);
        pause_ms(5 * run);
    }
    ev_context_destroy(ctx);
}
END_TEST

/* After a run the threads use no processor time. */
START_TEST(sleep_between_runs)
{
    ev_context *ctx = t_context(NULL, 3);
    evi_crew *crew = evi_crew_begin(ctx);
    run_job(crew, 100);
    evi_crew_end(crew);
    pause_ms(20);
    struct timespec a, b;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    pause_ms(200);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    double used = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
    ck_assert_msg(used < 0.05, "%g s", used);
    ev_context_destroy(ctx);
}
END_TEST

static void nested_task(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    evi_crew *inner = evi_crew_begin(arg);
    if (inner != NULL)
        atomic_store(&total, -1000000);
    evi_parallel(inner, 10, add_task, NULL);
    evi_crew_end(inner);
    (void)task;
}

START_TEST(busy_gives_null)
{
    ev_context *ctx = t_context(NULL, 3);
    evi_crew *crew = evi_crew_begin(ctx);
    ck_assert_ptr_nonnull(crew);
    ck_assert_ptr_null(evi_crew_begin(ctx));
    atomic_store(&total, 0);
    evi_parallel(crew, 20, nested_task, ctx);
    ck_assert_int_eq(atomic_load(&total), 20 * 55);
    evi_crew_end(crew);
    crew = evi_crew_begin(ctx);
    ck_assert_ptr_nonnull(crew);
    evi_crew_end(crew);
    ev_context_destroy(ctx);
}
END_TEST

static void *runner(void *arg)
{
    for (int i = 0; i < 200; i++) {
        int64_t local[16] = {0};
        evi_crew *crew = evi_crew_begin(arg);
        evi_parallel(crew, 16, add_task, local);
        evi_crew_end(crew);
    }
    return NULL;
}

START_TEST(many_callers)
{
    ev_context *ctx = t_context(NULL, 3);
    pthread_t threads[4];
    atomic_store(&total, 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, runner, ctx), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_int_eq(atomic_load(&total), 4 * 200 * (16 * 17 / 2));
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(threads_refused)
{
    for (int allowed = 0; allowed < 4; allowed++) {
        ev_context *ctx = t_context(NULL, 4);
        atomic_store(&creates_allowed, allowed);
        evi_crew *crew = evi_crew_begin(ctx);
        atomic_store(&creates_allowed, 1000);
        ck_assert_int_eq(evi_crew_size(crew), allowed + 1);
        ck_assert(allowed > 0 || crew == NULL);
        run_job(crew, N_TASKS);
        evi_crew_end(crew);
        crew = evi_crew_begin(ctx); /* not tried again at once */
        ck_assert_int_eq(evi_crew_size(crew), allowed + 1);
        run_job(crew, 10);
        evi_crew_end(crew);
        ev_context_destroy(ctx);
    }
}
END_TEST

/* A task waits until all workers have one: then no thread is still starting.  AddressSanitizer
 * allocates in a starting thread; a child forked meanwhile would inherit its locked allocator. */
static void meet_task(void *arg, int64_t task, int32_t worker)
{
    (void)task;
    (void)worker;
    (void)atomic_fetch_add(&total, 1);
    while (atomic_load(&total) < *(const int32_t *)arg)
        (void)sched_yield();
}

static void meet(evi_crew *crew)
{
    int32_t all = evi_crew_size(crew);
    atomic_store(&total, 0);
    evi_parallel(crew, all, meet_task, &all);
}

static void in_child(ev_context *ctx, bool inside)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)alarm(20); /* a hang is a failure */
        if (inside) {    /* forked inside a run: the run goes on alone */
            atomic_store(&total, 0);
            evi_parallel((evi_crew *)NULL, 100, add_task, NULL);
        }
        evi_crew *crew = evi_crew_begin(ctx);
        atomic_store(&total, 0);
        evi_parallel(crew, 100, add_task, NULL);
        bool good = atomic_load(&total) == 5050 && evi_crew_size(crew) == 3;
        evi_crew_end(crew);
        ev_context_destroy(ctx);
        _exit(good ? 0 : 1);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

START_TEST(after_fork)
{
    ev_context *ctx = t_context(NULL, 3);
    in_child(ctx, false); /* before there were threads */
    evi_crew *crew = evi_crew_begin(ctx);
    run_job(crew, 100);
    meet(crew);
    in_child(ctx, true); /* taken, workers spinning */
    run_job(crew, 100);
    evi_crew_end(crew);
    pause_ms(5);
    in_child(ctx, false); /* workers asleep */
    crew = evi_crew_begin(ctx);
    ck_assert_int_eq(evi_crew_size(crew), 3);
    run_job(crew, 100);
    evi_crew_end(crew);
    pid_t child = fork(); /* a child that only ends its context */
    if (child == 0) {
        (void)alarm(20);
        ev_context_destroy(ctx);
        _exit(0);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(create_and_destroy)
{
    for (int i = 0; i < 100; i++) {
        ev_context *ctx = t_context(NULL, 2 + i % 3);
        evi_crew *crew = evi_crew_begin(ctx);
        if (i % 2 == 0)
            evi_parallel(crew, 5, add_task, NULL);
        evi_crew_end(crew);
        ev_context_destroy(ctx);
    }
}
END_TEST

TCase *parallel_tests(void)
{
    TCase *t = tcase_create("parallel");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, alone);
    tcase_add_test(t, every_task_once);
    tcase_add_test(t, many_small_jobs);
    tcase_add_test(t, idle_within_a_run);
    tcase_add_test(t, sleep_between_runs);
    tcase_add_test(t, busy_gives_null);
    tcase_add_test(t, many_callers);
    tcase_add_test(t, threads_refused);
    if (!T_TSAN)
        tcase_add_test(t, after_fork);
    tcase_add_test(t, create_and_destroy);
    return t;
}
