/* SPDX-License-Identifier: MIT */
/* What the damage tests share: loads that are held against limits of memory and time. */
#ifndef TESTS_ONNX_DAMAGE_H
#define TESTS_ONNX_DAMAGE_H

#include "drawn.h"
#include "graph/graph.h"
#include "support.h"

bool damage_run_all(void); /* EV_RUN_ALL=1: not a sample but all */
/* Where it loads and is not too large: plan and run it once. */
void damage_run(ev_context *ctx, ev_model *m);
/* Load; give the status; fail the test over the limits.  out may be NULL. */
ev_status damage_load(ev_context *ctx, const void *data, uint64_t n_bytes, ev_model **out);
/* Both, in a context of their own. */
void damage_load_and_run(const void *data, uint64_t n_bytes);
/* The bytes of drawn model `name`. */
void damage_saved(ev_context *ctx, const char *name, void **bytes, uint64_t *n);
/* One line with the counts so far. */
void damage_report(const char *what);

#endif
