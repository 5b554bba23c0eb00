/* SPDX-License-Identifier: MIT */
/* What the files about plans share: what a plan comes to by arithmetic (tally.c), the search for
 * a goal (goal.c, search.c), time (measure.c). */
#ifndef EVI_PRUNE_PLAN_H
#define EVI_PRUNE_PLAN_H

#include "prune/prune.h"

/* ---- arithmetic: tally.c --------------------------------------------------------------------- */

/* An axis that becomes shorter by `block` with each channel that its group loses. */
typedef struct evi_cut {
    int32_t value; /* number in evi_tally.now */
    int32_t axis, group;
    int32_t reserved;
    int64_t block;
} evi_cut;

/* Shapes of all values of a model and of those that it calls, as drawn and with channels gone. */
typedef struct evi_tally {
    const ev_pruner *pruner; /* borrowed */
    int32_t n_models, n_values, n_nodes, n_cuts;
    int32_t *first_value, *first_node; /* of each model, n_models + 1 of each */
    int64_t *n_calls;                  /* of each model: how often it runs for one picture */
    evi_shape *drawn, *now;
    evi_cut *cuts;
    int32_t *widths; /* workspace: one a group */
    uint8_t *gone;   /* [node] with a block */
    double *node_ms; /* as measured, of each node; NULL: not yet */
} evi_tally;

typedef struct evi_sums {
    int64_t parameters; /* trainable */
    int64_t elements;   /* with running statistics */
    int64_t channels;   /* of groups that can shrink */
    double macs;
} evi_sums;

ev_status evi_tally_create(const ev_pruner *p, evi_tally **out);
void evi_tally_free(evi_tally *t); /* NULL is fine */
/* Shapes when each group keeps so many channels. */
void evi_tally_set(evi_tally *t, const int32_t *widths);
void evi_tally_set_plan(evi_tally *t, const ev_prune_plan *plan);
void evi_tally_sum(const evi_tally *t, evi_sums *out); /* all but channels */
double evi_tally_macs(const evi_tally *t, int32_t model, int32_t node, bool drawn);
int64_t evi_tally_parameters(const evi_tally *t, int32_t model, int32_t node, bool drawn);
/* Share of its time that a node will still take: by multiply-adds, of others by bytes. */
double evi_tally_share(const evi_tally *t, int32_t model, int32_t node);
/* Share of the old model's time, by node_ms; 1 without it. */
double evi_tally_speed(const evi_tally *t);

/* ---- plans: plan.c, counts.c ----------------------------------------------------------------- */

/* Channels that can go: neither blocked nor protected. */
bool evi_group_is_free(const ev_pruner *p, int32_t group);
/* Why it cannot, with the layer that is the reason; NULL: it can. */
const char *evi_group_why(const ev_pruner *p, int32_t group, const char **layer_out);
const char *evi_group_layer(const ev_pruner *p, int32_t group);
/* Least width. */
int32_t evi_group_floor(const ev_pruner *p, int32_t group);
/* Channels as the best `width` by score; without scores the first. */
void evi_plan_take(ev_prune_plan *plan, int32_t group, int32_t width);
void evi_plan_forget(ev_prune_plan *plan); /* what was measured */
bool evi_plan_has_gone_blocks(const ev_prune_plan *plan);
ev_status evi_plan_draw(const ev_prune_plan *plan, ev_model **out);
/* In EV_UNIT_*, but not milliseconds. */
ev_status evi_model_amount(ev_model *model, int32_t unit, double *out);
const char *evi_unit_name(int32_t unit);
int64_t evi_plan_channels(const ev_prune_plan *plan); /* of groups that can shrink, blocks gone */

/* ---- time: measure.c ------------------------------------------------------------------------- */

/* Fill node_ms: the least of several runs of each layer of the old model. */
ev_status evi_measure_layers(evi_tally *t, ev_model *model, int32_t n_threads);

#endif
