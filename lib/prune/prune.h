/* SPDX-License-Identifier: MIT */
/* The inside of pruning: which channels are tied (groups.c), what can be left out (blocks.c), what
 * matters (score*.c), what shall go (plan.c, goal.c), the new model (apply.c), the whole way
 * (run.c). */
#ifndef EVI_PRUNE_H
#define EVI_PRUNE_H

#include "graph/graph.h"
#include <edgevision/prune.h>

/* ---- groups: groups.c ------------------------------------------------------------------------ */

/* What an axis is to a group's channels. */
enum {
    EVI_SPOT_VALUE = 1, /* a value that flows: input or result of nodes */
    EVI_SPOT_OUT,       /* filters: the weights that make the channels (matrix or kernel) */
    EVI_SPOT_VECTOR,    /* a number or so a channel: bias, norm, slope */
    EVI_SPOT_IN,        /* the side of the next layer's weights that reads the channels */
    EVI_SPOT_CONSTANT   /* of the model, but not trained */
};

/* Along one axis of one value of one model, channel c of the group is the indices
 * offset + c*stride .. offset + c*stride + block-1.  A group may have several spots on one axis
 * (grouped convolutions, concatenation of a value with itself). */
typedef struct evi_spot {
    int32_t model, value; /* number in evi_groups.models; value of that model */
    int32_t axis, role;
    int32_t node;         /* of that model: the first that has it so; -1: none */
    int32_t reserved;
    int64_t offset, stride, block;
} evi_spot;

typedef struct evi_group {
    int32_t n;       /* channels */
    int32_t layer_model, layer_node; /* the first that makes them */
    int32_t first_spot, n_spots;
    const char *blocked; /* static text; NULL: can go */
    int32_t blocked_model, blocked_node; /* the reason; node -1: an end of the model */
} evi_group;

/* Called models are analysed once: a value of a called model is tied to what all its calls give it.
 * Groups are those whose channels are made by weights (some spot is EVI_SPOT_OUT), in the order of
 * the nodes that make them; callees come before their callers in `models`, model 0 ... n_models-1,
 * the last is the model itself.  All tables are blocks of ctx. */
typedef struct evi_groups {
    ev_context *ctx;
    int32_t n_models, n, n_spots;
    const ev_model **models; /* borrowed; held by the model itself */
    evi_group *groups;
    evi_spot *spots;
} evi_groups;

ev_status evi_groups_find(ev_context *ctx, const ev_model *model, evi_groups *out);
void evi_groups_free(evi_groups *g);
uint64_t evi_groups_drawn(const evi_groups *g); /* changes when a layer is drawn */

/* ---- blocks: blocks.c ------------------------------------------------------------------------ */

/* Leaving a block out: its nodes go, and everybody who reads `out` reads `in` instead. */
typedef struct evi_block {
    int32_t kind; /* EV_BLOCK_* */
    int32_t model, in, out;
    int32_t first_node, n_nodes; /* in evi_blocks.nodes */
    int32_t layer;               /* its first node with weights */
    int32_t n_layers, redraws;
    int32_t next; /* the layer behind it that can be drawn anew; -1: there is none such */
    int64_t parameters;
    double macs;
} evi_block;

typedef struct evi_blocks {
    ev_context *ctx;
    int32_t n, n_nodes;
    evi_block *blocks;
    int32_t *nodes; /* of the model, ascending within a block */
} evi_blocks;

ev_status evi_blocks_find(ev_context *ctx, const evi_groups *groups, evi_blocks *out);
void evi_blocks_free(evi_blocks *b);
bool evi_blocks_overlap(const evi_blocks *b, int32_t i, int32_t j);

/* ---- the pruner: pruner.c -------------------------------------------------------------------- */

struct ev_pruner {
    evi_handle handle;
    ev_model *model; /* a reference */
    evi_groups groups;
    evi_blocks blocks;
    int32_t *min_width, *round_to; /* of each group; protected and blocked: all channels */
    uint8_t *is_protected;
    char **reasons;         /* why a group keeps all: blocked or protected; NULL: it can shrink */
    int32_t criterion;      /* of the scores; 0: none yet */
    double **scores;        /* [group][channel], or scores[g] NULL: none */
    double *block_scores;   /* NaN: none */
    uint64_t drawn;         /* evi_groups_drawn() when it was made: another number now means
                               EV_ERR_STALE; changed weights are fine */
};

/* Whether the processor's kernels like multiples of this: lanes of evi_kernels_for(). */
int32_t evi_prune_lanes(const ev_context *ctx);

/* ---- scores: score.c (weights), score_data.c (pictures), score_blocks.c ---------------------- */

/* One array of n zeros for each group; scores[g] NULL for blocked groups. */
ev_status evi_scores_new(const ev_pruner *p, double ***out);
void evi_scores_free(const ev_pruner *p, double **scores);
/* Copies that compare from group to group: each divided by its mean, but for criteria that compare
 * by themselves and for scores of the caller's own.  out[g] NULL: that group has none. */
ev_status evi_scores_comparable(const ev_pruner *p, double ***out);
enum { EVI_CRITERION_OWN = -1 }; /* ev_pruner.criterion: only ev_pruner_set_scores() was called */
/* Defaults filled in, criterion chosen, checked. */
ev_status evi_score_options_read(const ev_score_options *from, const char *function,
                                 ev_score_options *o);

/* Layers of groups: score_layers.c.  One entry for each weight tensor that makes a group's
 * channels; score has one number for each channel, zero at first. */
typedef struct evi_layer {
    int32_t group, spot; /* the first EVI_SPOT_OUT of it */
    double *score;
} evi_layer;

typedef struct evi_layers {
    int32_t n;
    evi_layer *layers; /* in the order of groups */
    double *scores;    /* all of them in one block */
} evi_layers;

ev_status evi_layers_new(const ev_pruner *p, bool blocked_too, evi_layers *out);
void evi_layers_free(evi_layers *layers);
const char *evi_layer_name(const evi_groups *g, const evi_layer *layer);
/* The mean over each group's layers, into zeros. */
void evi_layers_mean(const ev_pruner *p, const evi_layers *layers, double *const *scores);
const evi_param *evi_spot_param(const evi_groups *g, const evi_spot *s); /* NULL: no weight */
static inline bool evi_is_norm(const evi_node *node)
{
    return node->op != NULL && (node->op == evi_op_find("batch_norm") ||
                                node->op == evi_op_find("instance_norm"));
}

/* out[i] = sum over all elements whose index along `axis` is i; same bits for any crew. */
enum { EVI_SUM_ABS = 1, EVI_SUM_SQUARES, EVI_SUM_PRODUCTS /* of x and u */, EVI_SUM_NOT_ZERO };
void evi_axis_sums(evi_crew *crew, const evi_kernels *k, int32_t kind, const evi_shape *shape,
                   int32_t axis, const evi_real *x, const evi_real *u, double *out);
/* Add what the indices of each channel have to channels[c], over all spots of this role there.
 * Gives the number of indices to a channel, 0: there is no such spot. */
int32_t evi_spots_add(const evi_groups *g, int32_t group, int32_t model, int32_t value,
                      int32_t axis, int32_t role, const double *along, double *channels);
/* Fill layer->score: score_order.c. */
ev_status evi_score_lamp(const ev_pruner *p, evi_crew *crew, const evi_layer *layer);
ev_status evi_score_fpgm(const ev_pruner *p, evi_crew *crew, const evi_layer *layer);
/* Scores from pictures: Taylor, gates, activations; same layout. */
ev_status evi_score_by_data(ev_pruner *p, const ev_score_options *opt, double **scores);

/* ---- the plan: plan.c (edit, ask), counts.c, goal.c, describe.c ------------------------------ */

struct ev_prune_plan {
    evi_handle handle;
    ev_pruner *pruner;    /* a reference */
    uint8_t **keep;       /* [group][channel] */
    uint8_t *keep_block;  /* [block] */
    int32_t *order;       /* workspace: as long as the widest group */
    struct evi_tally *tally; /* plan.h: for counts by arithmetic */
    double ms_before;        /* of the old model, when its layers were timed; NaN: not yet */
    double ms_measured[2], ms_spread[2]; /* NaN: not yet; forgotten by an edit */
};

ev_status evi_plan_keep_all(ev_pruner *p, ev_prune_plan **out);
/* Multiply-adds and parameters of the plan by arithmetic alone, without drawing: milliseconds must
 * be spent on the search for a goal, not on drawing.  Blocks that redraw are drawn. */
ev_status evi_plan_quick_counts(const ev_prune_plan *plan, int64_t *parameters, double *macs);

/* ---- time: measure.c ------------------------------------------------------------------------- */

/* Run both for one picture in turn for about so many seconds; medians, quartile distances. */
ev_status evi_measure_pair(ev_context *ctx, ev_model *a, ev_model *b, int32_t n_threads,
                           double seconds, double ms[2], double spread[2]);

/* ---- the new model: apply.c, apply_nodes.c --------------------------------------------------- */

/* mask: for each model, value, axis which indices stay; made from a plan. */
ev_status evi_prune_apply(const ev_pruner *p, uint8_t *const *keep, const uint8_t *keep_block,
                          uint64_t seed, ev_model **out);

#endif
