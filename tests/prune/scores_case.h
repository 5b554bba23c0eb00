/* SPDX-License-Identifier: MIT */
/* What the tests of scores share: small nets, pictures, and ways to look at them. */
#ifndef TESTS_PRUNE_SCORES_CASE_H
#define TESTS_PRUNE_SCORES_CASE_H

#include "prune/prune.h"
#include "support.h"

enum { N_PICTURES = 24, N_CLASSES = 3, SIDE = 8, WITH_OUTPUT = 1 };

extern ev_context *sc_ctx; /* of one thread, made for each test */
void sc_start(void);
void sc_end(void);

/* 0: convolutions, one grouped, and dense layers; 1: a shortcut; 2: an instance norm without
 * scale; 3: a called model.  WITH_OUTPUT: a second output, the activation before the pooling (of
 * net 0: behind the grouped convolution). */
ev_status sc_draw_for(int32_t which, ev_context *c, int32_t flags, ev_model **m);
ev_model *sc_draw(int32_t which, int32_t flags);
void sc_stir(ev_model *m); /* biases, scales and statistics that are neither 0 nor 1 */
ev_dataset *sc_pictures(ev_context *c, int32_t n_classes); /* NULL: no memory */
ev_pruner *sc_pruner(ev_model *m);
ev_score_options sc_options(int32_t criterion, ev_dataset *data);
void sc_close(double a, double b, double tolerance);
int32_t sc_group(const ev_pruner *p, const char *layer);
evi_real *sc_weights(ev_model *m, const char *name, int64_t *count);
double sc_loss(ev_model *m, ev_dataset *d); /* mean cross entropy */

typedef struct points { /* of a sensitivity scan */
    ev_sensitivity point[64];
    int32_t n, stop_at;
} points;
int32_t sc_take_point(void *user, const ev_sensitivity *point);

TCase *sc_data_case(void); /* scores_data.c */

#endif
