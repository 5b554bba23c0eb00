/* SPDX-License-Identifier: MIT */
/* What the tests of the smaller model share: a model with its groups and a plan of its channels,
 * the old model without what those channels give, and how two models are compared. */
#ifndef TESTS_PRUNE_APPLY_CASE_H
#define TESTS_PRUNE_APPLY_CASE_H

#include "prune/prune.h"
#include "support.h"

#define GROUP 25 /* models a test */
#define BATCH 2

typedef struct subject {
    ev_context *ctx;
    ev_model *model;
    int64_t dims[4];
    ev_pruner p; /* groups alone */
    uint8_t **keep;
    int32_t n_gone;
    uint64_t state;
} subject;

typedef struct results {
    int32_t n;
    size_t count[4];
    float *data[4];
} results;

typedef struct cuts {
    subject s; /* its groups are those of the pruner */
    ev_pruner *p;
    uint8_t *keep_block;
} cuts;

extern double subject_worst; /* largest error of subject_same() */

void subject_look(subject *s);   /* find groups, keep everything */
void subject_choose(subject *s); /* let channels go by chance */
void subject_end(subject *s);
/* A copy of the old model whose weights do not read the channels that go. */
ev_model *subject_without(const subject *s);
void subject_run(const subject *s, ev_model *m, results *out);
void subject_forget(results *r);
void subject_same(const subject *s, ev_model *a, ev_model *b, double tolerance, const char *what,
                  uint64_t seed);
void subject_gradients_flow(const subject *s, const ev_model *m, uint64_t seed);
void subject_same_file(const ev_model *a, const ev_model *b, uint64_t seed);
ev_model *subject_through_a_file(const subject *s, const ev_model *m);

void cuts_start(cuts *c, ev_context *ctx, ev_model *m);
void cuts_end(cuts *c);
void add_block_tests(Suite *s, bool many); /* apply_blocks.c */

#endif
