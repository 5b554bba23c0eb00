/* SPDX-License-Identifier: MIT */
/* Threads that read ahead.  They live as long as their loader and mostly wait for the disk or
 * decode while the context's workers compute, so they are not the pool of base/parallel.h. */
#ifndef EVI_DATA_READERS_H
#define EVI_DATA_READERS_H

#include "base/base.h"

#if !defined(EVI_THREADING_NONE)
#include <pthread.h>
#endif

enum { EVI_READERS_MAX = 64 };

/* Do a piece of work; false: there is none.  Called with the lock held, which it may let go for a
 * while.  worker: 1..n, for scratch. */
typedef bool (*evi_reader_fn)(void *user, int32_t worker);

typedef struct evi_readers {
    int32_t n; /* threads that run; does not change after evi_readers_start() */
    int32_t n_numbered;
    evi_reader_fn work;
    void *user;
#if !defined(EVI_THREADING_NONE)
    pthread_mutex_t lock;
    pthread_cond_t work_there;
    pthread_cond_t work_done;
    bool stop;
    bool ready; /* lock and conditions were made */
    uint8_t pad[6];
    pthread_t thread[EVI_READERS_MAX];
#endif
} evi_readers;

/* Start up to n threads; as many as can be made, perhaps none. */
void evi_readers_start(evi_readers *r, int32_t n, evi_reader_fn work, void *user);
void evi_readers_end(evi_readers *r); /* waits for them; also when they never started */
/* All these do nothing when there are no threads. */
void evi_readers_lock(evi_readers *r);
void evi_readers_unlock(evi_readers *r);
void evi_readers_call(evi_readers *r); /* with the lock: there is work again */
void evi_readers_tell(evi_readers *r); /* with the lock: something was finished */
void evi_readers_wait(evi_readers *r); /* with the lock: until something was finished */

#endif
