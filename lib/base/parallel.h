/* SPDX-License-Identifier: MIT */
/* Work on several threads.  The result of a job may not depend on how many there are: tasks write
 * to places of their own, and their number is chosen from shapes alone. */
#ifndef EVI_PARALLEL_H
#define EVI_PARALLEL_H

#include "base/base.h"

/* A crew is the right to use the context's workers during one run.  NULL is a crew of one. */
typedef struct evi_crew evi_crew;

/* task: 0..n_tasks-1, each done once, in any order.  worker: 0..evi_crew_size()-1, for scratch. */
typedef void (*evi_task_fn)(void *arg, int64_t task, int32_t worker);

/* Take the context's workers: they wake and spin until evi_crew_end().  NULL (work alone) when the
 * context has one thread, another run has the workers, or none can be made.  Never fails. */
evi_crew *evi_crew_begin(ev_context *ctx);
void evi_crew_end(evi_crew *crew);           /* NULL is fine; the workers go to sleep */
int32_t evi_crew_size(const evi_crew *crew); /* 1 for NULL */

/* Run fn for all tasks; returns when all are done.  Small jobs: give n_tasks 1. */
void evi_parallel(evi_crew *crew, int64_t n_tasks, evi_task_fn fn, void *arg);

/* For context.c */
typedef struct evi_pool evi_pool;
evi_pool *evi_pool_create(ev_context *ctx, int32_t n_threads);
void evi_pool_destroy(evi_pool *pool);
evi_pool *evi_context_pool(ev_context *ctx);

#endif
