/* SPDX-License-Identifier: MIT */
/* The thread pool: the one file of the library that makes threads.
 *
 * A run takes the workers (evi_crew_begin), hands them many short jobs, and lets them go.  Waking a
 * sleeping thread costs about 100 us and a small net runs in 500, so workers spin while a run is
 * under way and sleep between runs.
 *
 * A job's tasks are cut into shares, one a worker, in the order of their numbers: from job to job
 * a worker then meets the same part of a picture, which is still in its cache, and on processors
 * whose cores lie far apart few cache lines travel.  Who is done with its own share helps with the
 * others.  A share is handed over by one word, the number of its tasks that nobody has claimed: who
 * lowers it by compare-and-swap owns one task.  The description of the job (fn, arg, n_tasks) is
 * read only after a claim, and rewritten only when `pending`, the number of unfinished tasks, is
 * zero; a claimed task is unfinished, so what a claimer reads stands still.  A worker that comes
 * late to a job finds nothing to claim, or claims from the next one: both are right. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/parallel.h"

static void run_alone(int64_t n_tasks, evi_task_fn fn, void *arg)
{
    for (int64_t i = 0; i < n_tasks; i++)
        fn(arg, i, 0);
}

#if defined(EVI_THREADING_NONE)

evi_pool *evi_pool_create(ev_context *ctx, int32_t n_threads)
{
    (void)n_threads;
    evi_pool *pool = NULL;
    (void)evi_calloc(ctx, 1, 1, &pool);
    return pool;
}

void evi_pool_destroy(evi_pool *pool)
{
    evi_free(pool);
}

evi_crew *evi_crew_begin(ev_context *ctx)
{
    (void)ctx;
    return NULL;
}

void evi_crew_end(evi_crew *crew)
{
    (void)crew;
}

int32_t evi_crew_size(const evi_crew *crew)
{
    (void)crew;
    return 1;
}

void evi_parallel(evi_crew *crew, int64_t n_tasks, evi_task_fn fn, void *arg)
{
    (void)crew;
    run_alone(n_tasks, fn, arg);
}

#elif defined(EVI_THREADING_OPENMP)

#include <omp.h>

struct evi_crew {
    evi_pool *pool;
    int32_t size;
};

struct evi_pool {
    atomic_int busy;
    evi_crew crew;
};

evi_pool *evi_pool_create(ev_context *ctx, int32_t n_threads)
{
    evi_pool *pool = NULL;
    if (evi_calloc(ctx, 1, sizeof(*pool), &pool) != EV_OK)
        return NULL;
    pool->crew.pool = pool;
    pool->crew.size = n_threads;
    return pool;
}

void evi_pool_destroy(evi_pool *pool)
{
    evi_free(pool);
}

evi_crew *evi_crew_begin(ev_context *ctx)
{
    evi_pool *pool = evi_context_pool(ctx);
    int expected = 0;
    if (pool == NULL || omp_in_parallel() ||
        !atomic_compare_exchange_strong(&pool->busy, &expected, 1))
        return NULL;
    return &pool->crew;
}

void evi_crew_end(evi_crew *crew)
{
    if (crew != NULL)
        atomic_store(&crew->pool->busy, 0);
}

int32_t evi_crew_size(const evi_crew *crew)
{
    return crew != NULL ? crew->size : 1;
}

void evi_parallel(evi_crew *crew, int64_t n_tasks, evi_task_fn fn, void *arg)
{
    if (crew == NULL || n_tasks <= 1) {
        run_alone(n_tasks, fn, arg);
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(crew->size)
    for (int64_t i = 0; i < n_tasks; i++)
        fn(arg, i, omp_get_thread_num());
}

#else

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define STACK_BYTES ((size_t)1 << 20)
#define SPINS_BEFORE_YIELD 2000 /* some 50 us: longer waits let others have the core */
#define IDLE_SECONDS 0.002      /* a worker without a job for so long goes to sleep */
#define RETRY_SECONDS 1.0       /* after pthread_create failed */

/* Number 0 is the caller, who has a share but no thread.  Each is alone on its cache line. */
typedef struct worker {
    _Alignas(EVI_ALIGN) _Atomic int64_t unclaimed; /* tasks of its share */
    evi_pool *pool;
    int32_t index;
    pthread_t thread;
} worker;

struct evi_crew {
    evi_pool *pool;
    int32_t size;
};

struct evi_pool {
    /* the job: written between jobs by the crew's owner */
    evi_task_fn fn;
    void *arg;
    int64_t n_tasks;
    _Alignas(EVI_ALIGN) _Atomic int64_t pending;
    _Alignas(EVI_ALIGN) atomic_int busy; /* taken by a crew */
    atomic_int active;                   /* a crew is at work: spin; else sleep */
    atomic_int sleepers;                 /* written under the mutex */
    atomic_int quit;
    atomic_int pid; /* whose threads these are; -1 while a forked child sets up again */
    /* under the mutex */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    uint64_t wake_count;
    /* the crew's owner only */
    evi_crew crew;
    double retry_at;
    int32_t n_threads; /* wanted, the caller included */
    int32_t n_workers; /* running */
    worker *workers;
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ---- what a worker does ---------------------------------------------------------------------- */

static int64_t share_end(const evi_pool *pool, int32_t index)
{
    return pool->n_tasks / pool->crew.size * (index + 1) +
           pool->n_tasks % pool->crew.size * (index + 1) / pool->crew.size;
}

/* Claim and do tasks of one share until none is unclaimed; gives how many. */
static int64_t do_share(evi_pool *pool, int32_t index, int32_t worker_index)
{
    _Atomic int64_t *unclaimed = &pool->workers[index].unclaimed;
    int64_t done = 0;
    int64_t left = atomic_load_explicit(unclaimed, memory_order_relaxed);
    while (left > 0) {
        if (!atomic_compare_exchange_weak_explicit(unclaimed, &left, left - 1, memory_order_acquire,
                                                   memory_order_relaxed))
            continue;
        pool->fn(pool->arg, share_end(pool, index) - left, worker_index);
        done++;
        left = atomic_load_explicit(unclaimed, memory_order_relaxed);
    }
    return done;
}

/* The worker's own share first, then the others'. */
static void do_tasks(evi_pool *pool, int32_t worker_index)
{
    int64_t done = 0;
    for (int32_t i = 0; i < pool->n_threads; i++)
        done += do_share(pool, (worker_index + i) % pool->n_threads, worker_index);
    if (done > 0)
        atomic_fetch_sub_explicit(&pool->pending, done, memory_order_release);
}

static bool has_job(const evi_pool *pool, int32_t worker_index)
{
    return atomic_load(&pool->workers[worker_index].unclaimed) > 0;
}

/* True when there is a job; false when the crew ended or nothing came for a while. */
static bool spin_for_job(evi_pool *pool, int32_t worker_index)
{
    double until = 0;
    for (int32_t spins = 1; atomic_load_explicit(&pool->active, memory_order_relaxed) != 0;
         spins++) {
        if (has_job(pool, worker_index))
            return true;
        relax();
        if (spins % 256 == 0) {
            double now = evi_seconds();
            if (until == 0)
                until = now + IDLE_SECONDS;
            else if (now > until)
                return false;
        }
        if (spins > SPINS_BEFORE_YIELD && spins % 64 == 0)
            (void)sched_yield();
        spins &= 0xffffff;
    }
    return false;
}

/* Returns when woken, or at once when there is a job after all.  The owner stores the shares and
 * then looks at `sleepers`; we store `sleepers` and then look at our share: one of us sees. */
static void sleep_until_woken(evi_pool *pool, int32_t worker_index)
{
    (void)pthread_mutex_lock(&pool->mutex);
    uint64_t seen = pool->wake_count;
    (void)atomic_fetch_add(&pool->sleepers, 1);
    if (has_job(pool, worker_index) || atomic_load(&pool->quit) != 0) {
        (void)atomic_fetch_sub(&pool->sleepers, 1);
    } else {
        while (pool->wake_count == seen)
            (void)pthread_cond_wait(&pool->wake, &pool->mutex);
    }
    (void)pthread_mutex_unlock(&pool->mutex);
}

static void *worker_main(void *arg)
{
    const worker *me = arg;
    evi_pool *pool = me->pool;
    while (atomic_load_explicit(&pool->quit, memory_order_acquire) == 0) {
        if (spin_for_job(pool, me->index))
            do_tasks(pool, me->index);
        else
            sleep_until_woken(pool, me->index);
    }
    return NULL;
}

static void wake_all(evi_pool *pool)
{
    (void)pthread_mutex_lock(&pool->mutex);
    pool->wake_count++;
    atomic_store(&pool->sleepers, 0);
    (void)pthread_cond_broadcast(&pool->wake);
    (void)pthread_mutex_unlock(&pool->mutex);
}

/* ---- making and ending threads --------------------------------------------------------------- */

static bool sync_init(evi_pool *pool)
{
    if (pthread_mutex_init(&pool->mutex, NULL) != 0)
        return false;
    if (pthread_cond_init(&pool->wake, NULL) != 0) {
        (void)pthread_mutex_destroy(&pool->mutex);
        return false;
    }
    return true;
}

static bool thread_start(evi_pool *pool, int32_t index)
{
    worker *w = &pool->workers[index];
    pthread_attr_t attr;
    sigset_t all, before;
    w->pool = pool;
    w->index = index;
    if (pthread_attr_init(&attr) != 0)
        return false;
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    /* The program's signals are for the program's threads. */
    (void)sigfillset(&all);
    bool masked = pthread_sigmask(SIG_SETMASK, &all, &before) == 0;
    bool started = pthread_create(&w->thread, &attr, worker_main, w) == 0;
    if (masked)
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return started;
}

/* As many workers as can be had; tried again after a while when the system refused. */
static void threads_start(evi_pool *pool)
{
    if (pool->n_workers + 1 >= pool->n_threads ||
        (pool->retry_at != 0 && evi_seconds() < pool->retry_at))
        return;
    int saved_errno = errno;
    pool->retry_at = 0;
    while (pool->n_workers + 1 < pool->n_threads) {
        if (!thread_start(pool, pool->n_workers + 1)) {
            pool->retry_at = evi_seconds() + RETRY_SECONDS;
            break;
        }
        pool->n_workers++;
    }
    errno = saved_errno;
}

/* In a forked child the threads are gone and the locks are in any state: begin anew. */
static bool pid_check(evi_pool *pool)
{
    int now = (int)getpid();
    int seen = atomic_load_explicit(&pool->pid, memory_order_acquire);
    if (seen == now)
        return true;
    if (seen == -1 || !atomic_compare_exchange_strong(&pool->pid, &seen, -1))
        return false; /* another thread is at it: work alone for this once */
    pool->n_workers = 0;
    pool->retry_at = 0;
    pool->wake_count = 0;
    for (int32_t i = 0; i < pool->n_threads; i++)
        atomic_store(&pool->workers[i].unclaimed, 0);
    atomic_store(&pool->pending, 0);
    atomic_store(&pool->sleepers, 0);
    atomic_store(&pool->active, 0);
    atomic_store(&pool->busy, 0);
    memset(&pool->mutex, 0, sizeof(pool->mutex));
    memset(&pool->wake, 0, sizeof(pool->wake));
    if (!sync_init(pool))
        pool->n_threads = 0; /* never seen; the work is then done alone */
    atomic_store(&pool->pid, now);
    return true;
}

evi_pool *evi_pool_create(ev_context *ctx, int32_t n_threads)
{
    evi_pool *pool = NULL;
    if (evi_calloc(ctx, 1, sizeof(*pool), &pool) != EV_OK)
        return NULL;
    if (evi_calloc(ctx, (uint64_t)n_threads, sizeof(worker), &pool->workers) != EV_OK) {
        evi_free(pool);
        return NULL;
    }
    pool->n_threads = sync_init(pool) ? n_threads : 0; /* 0: no locks to end either */
    pool->crew.pool = pool;
    atomic_store(&pool->pid, (int)getpid());
    return pool;
}

void evi_pool_destroy(evi_pool *pool)
{
    if (pool == NULL)
        return;
    if (pool->n_threads > 0 && atomic_load(&pool->pid) == (int)getpid()) {
        atomic_store(&pool->quit, 1);
        atomic_store(&pool->active, 0);
        wake_all(pool);
        for (int32_t i = 0; i < pool->n_workers; i++)
            (void)pthread_join(pool->workers[i + 1].thread, NULL);
        (void)pthread_cond_destroy(&pool->wake);
        (void)pthread_mutex_destroy(&pool->mutex);
    }
    evi_free(pool->workers);
    evi_free(pool);
}

/* ---- runs ------------------------------------------------------------------------------------ */

evi_crew *evi_crew_begin(ev_context *ctx)
{
    evi_pool *pool = evi_context_pool(ctx);
    int expected = 0;
    if (pool == NULL || !pid_check(pool) ||
        !atomic_compare_exchange_strong_explicit(&pool->busy, &expected, 1, memory_order_acquire,
                                                 memory_order_relaxed))
        return NULL;
    threads_start(pool);
    if (pool->n_workers == 0) {
        atomic_store_explicit(&pool->busy, 0, memory_order_release);
        return NULL;
    }
    pool->crew.size = pool->n_workers + 1;
    atomic_store(&pool->active, 1);
    if (atomic_load(&pool->sleepers) > 0)
        wake_all(pool);
    return &pool->crew;
}

void evi_crew_end(evi_crew *crew)
{
    if (crew == NULL)
        return;
    atomic_store_explicit(&crew->pool->active, 0, memory_order_relaxed);
    atomic_store_explicit(&crew->pool->busy, 0, memory_order_release);
}

int32_t evi_crew_size(const evi_crew *crew)
{
    return crew != NULL ? crew->size : 1;
}

void evi_parallel(evi_crew *crew, int64_t n_tasks, evi_task_fn fn, void *arg)
{
    if (crew == NULL || n_tasks <= 1) {
        run_alone(n_tasks, fn, arg);
        return;
    }
    evi_pool *pool = crew->pool;
    pool->fn = fn;
    pool->arg = arg;
    pool->n_tasks = n_tasks;
    atomic_store_explicit(&pool->pending, n_tasks, memory_order_relaxed);
    /* sequentially consistent: see sleep_until_woken() */
    for (int32_t i = pool->crew.size - 1; i >= 0; i--)
        atomic_store(&pool->workers[i].unclaimed, share_end(pool, i) - share_end(pool, i - 1));
    if (atomic_load(&pool->sleepers) > 0 && atomic_load(&pool->pid) == (int)getpid())
        wake_all(pool);
    do_tasks(pool, 0);
    for (int32_t spins = 0; atomic_load_explicit(&pool->pending, memory_order_acquire) > 0;) {
        relax();
        if (++spins > SPINS_BEFORE_YIELD) {
            spins = SPINS_BEFORE_YIELD - 64;
            (void)sched_yield();
        }
    }
}

#endif
