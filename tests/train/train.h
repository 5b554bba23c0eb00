/* SPDX-License-Identifier: MIT */
/* What the tests of training share: numbers that the golden script makes too, and small things to
 * train. */
#ifndef TESTS_TRAIN_H
#define TESTS_TRAIN_H

#include "graph/graph.h"
#include "support.h"
#include <edgevision/train.h>
#include <edgevision/zoo.h>

/* As in tests/golden/make_train.py. */
void tt_numbers(uint32_t seed, int64_t n, double scale, evi_real *to);
void tt_labels(uint32_t seed, int64_t n, int32_t classes, int32_t *to);
double tt_power(double x); /* the largest power of two that is not above x */
void tt_fill(ev_model *model, uint32_t seed);

/* float32 (in the double build: double) with numbers of this seed; and int32 labels. */
ev_tensor *tt_tensor(ev_context *ctx, uint32_t seed, int32_t rank, const int64_t *dims);
ev_tensor *tt_label_tensor(ev_context *ctx, uint32_t seed, int64_t n, int32_t classes);

/* Named numbers of tests/golden/train.txt, malloc'ed; the test ends when they are not there. */
double *tt_golden(const char *name, int64_t *n_out);
/* max |a-b| / max |b| */
double tt_error(const double *a, const double *b, int64_t n);

/* All weights of a model in the order of declaration, malloc'ed. */
double *tt_weights(ev_model *model, int64_t *n_out);
/* CRC of them: equal bits? */
uint32_t tt_weights_crc(ev_model *model);

/* conv 2->2 3x3, ReLU, dense 32->3 on [N,2,4,4]: as the script's small_net(), weights filled. */
ev_model *tt_small_net(ev_context *ctx);
/* A classifier of 12x12 pictures with batch norm and dropout, initialised. */
ev_model *tt_picture_net(ev_context *ctx);
/* n pictures of 12x12 in 3 classes that can be told apart, noisy. */
ev_dataset *tt_pictures(ev_context *ctx, int32_t n, uint64_t seed);

/* What a run needs: a model, 45 and 20 pictures, options for 3 epochs of 6 steps. */
typedef struct tt_job {
    ev_context *ctx;
    ev_model *model;
    ev_dataset *train, *valid;
    ev_train_options o;
} tt_job;
tt_job tt_start(ev_context *ctx);
void tt_end(tt_job *j); /* ends the context too */

Suite *tt_parity_suite(void);
Suite *tt_calls_suite(void);
Suite *tt_run_suite(void);
Suite *tt_checkpoint_suite(void);
Suite *tt_metrics_suite(void);
Suite *tt_parts_suite(void);

#endif
