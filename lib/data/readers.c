/* SPDX-License-Identifier: MIT */
/* The threads that read ahead: start, hand out, end. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* pthread_sigmask */
#endif
#include "data/readers.h"

#if defined(EVI_THREADING_NONE)

void evi_readers_start(evi_readers *r, int32_t n, evi_reader_fn work, void *user)
{
    (void)n;
    *r = (evi_readers){.work = work, .user = user};
}

void evi_readers_end(evi_readers *r)
{
    (void)r;
}

void evi_readers_lock(evi_readers *r)
{
    (void)r;
}

void evi_readers_unlock(evi_readers *r)
{
    (void)r;
}

void evi_readers_call(evi_readers *r)
{
    (void)r;
}

void evi_readers_tell(evi_readers *r)
{
    (void)r;
}

void evi_readers_wait(evi_readers *r)
{
    (void)r;
}

#else

#include <signal.h>

static void *run(void *user)
{
    evi_readers *r = user;
    (void)pthread_mutex_lock(&r->lock);
    int32_t worker = ++r->n_numbered;
    while (!r->stop)
        if (!r->work(r->user, worker))
            (void)pthread_cond_wait(&r->work_there, &r->lock);
    (void)pthread_mutex_unlock(&r->lock);
    return NULL;
}

static bool make_lock(evi_readers *r)
{
    if (pthread_mutex_init(&r->lock, NULL) != 0)
        return false;
    if (pthread_cond_init(&r->work_there, NULL) != 0) {
        (void)pthread_mutex_destroy(&r->lock);
        return false;
    }
    if (pthread_cond_init(&r->work_done, NULL) != 0) {
        (void)pthread_cond_destroy(&r->work_there);
        (void)pthread_mutex_destroy(&r->lock);
        return false;
    }
    return true;
}

void evi_readers_start(evi_readers *r, int32_t n, evi_reader_fn work, void *user)
{
    sigset_t all, before;
    *r = (evi_readers){.work = work, .user = user};
    if (n < 1 || !make_lock(r))
        return;
    r->ready = true;
    (void)sigfillset(&all); /* signals stay with the program's own threads */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_mutex_lock(&r->lock); /* nobody looks at n before it is final */
    while (r->n < EVI_MIN(n, EVI_READERS_MAX) &&
           pthread_create(&r->thread[r->n], NULL, run, r) == 0)
        r->n++;
    (void)pthread_mutex_unlock(&r->lock);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void evi_readers_end(evi_readers *r)
{
    if (!r->ready)
        return;
    (void)pthread_mutex_lock(&r->lock);
    r->stop = true;
    (void)pthread_cond_broadcast(&r->work_there);
    (void)pthread_mutex_unlock(&r->lock);
    for (int32_t i = 0; i < r->n; i++)
        (void)pthread_join(r->thread[i], NULL);
    (void)pthread_cond_destroy(&r->work_done);
    (void)pthread_cond_destroy(&r->work_there);
    (void)pthread_mutex_destroy(&r->lock);
    r->ready = false;
}

void evi_readers_lock(evi_readers *r)
{
    if (r->n > 0)
        (void)pthread_mutex_lock(&r->lock);
}

void evi_readers_unlock(evi_readers *r)
{
    if (r->n > 0)
        (void)pthread_mutex_unlock(&r->lock);
}

void evi_readers_call(evi_readers *r)
{
    if (r->n > 0)
        (void)pthread_cond_broadcast(&r->work_there);
}

void evi_readers_tell(evi_readers *r)
{
    if (r->n > 0)
        (void)pthread_cond_signal(&r->work_done);
}

void evi_readers_wait(evi_readers *r)
{
    if (r->n > 0)
        (void)pthread_cond_wait(&r->work_done, &r->lock);
}

#endif
