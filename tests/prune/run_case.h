/* SPDX-License-Identifier: MIT */
/* What the tests of whole pruning runs share: a small trained net, pictures, a usual run. */
#ifndef TESTS_PRUNE_RUN_CASE_H
#define TESTS_PRUNE_RUN_CASE_H

#include "prune/run.h"
#include "support.h"

enum { RC_SIDE = 12, RC_CLASSES = 3, RC_TRAIN = 96, RC_VALID = 60 };

extern ev_context *rc_ctx;
extern ev_dataset *rc_train, *rc_valid;
extern ev_model *rc_trained;
void rc_start(void); /* makes these four */
void rc_end(void);

typedef struct rc_job {
    ev_train_options t;  /* o.train */
    ev_pruner_options p; /* o.pruner */
    ev_prune_options o;
    int32_t kill_epoch;            /* to be killed at; -1: no */
    int32_t stop_step, stop_epoch; /* to cancel at; -1: no */
    int32_t n_steps, n_epochs;     /* told */
    ev_prune_step last;
} rc_job;

rc_job *rc_usual(rc_job *j); /* 0.3 of the multiply-adds in three steps, no controls */
ev_dataset *rc_pictures(ev_context *c, int32_t n, int32_t classes, uint64_t seed);
ev_model *rc_net(ev_context *c); /* two convolutions with norms, two dense layers */
ev_train_options rc_training(void);
uint32_t rc_crc(ev_model *m); /* of all weights */

void rc_add_faults(TCase *c); /* run_faults.c */

#endif
