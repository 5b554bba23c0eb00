/* SPDX-License-Identifier: MIT */
/* The inside of apply: which indices stay (apply_masks.c), the drawing (apply_draw.c) with the
 * attributes that hold sizes (apply_nodes.c) and the weights that no longer fit (apply_fit.c), and
 * the numbers (apply_weights.c). */
#ifndef EVI_PRUNE_APPLY_H
#define EVI_PRUNE_APPLY_H

#include "prune/prune.h"

/* ---- masks: apply_masks.c -------------------------------------------------------------------- */

typedef struct evi_mask {
    int32_t axis, next; /* next of the same value, or -1 */
    int64_t n, kept;
    uint8_t *keep; /* n of them */
} evi_mask;

/* Axes without a mask stay as they are. */
typedef struct evi_masks {
    ev_context *ctx;
    int32_t n_models, n, capacity;
    int32_t **first; /* [model][value]: its first mask, or -1 */
    evi_mask *all;
} evi_masks;

/* keep: [group][channel]. */
ev_status evi_masks_make(const evi_groups *g, uint8_t *const *keep, evi_masks *out);
void evi_masks_free(evi_masks *m);
const evi_mask *evi_masks_find(const evi_masks *m, int32_t model, int32_t value, int32_t axis);
/* What is left of the shape of a value. */
evi_shape evi_masks_shape(const evi_masks *m, int32_t model, int32_t value, const evi_shape *old);
/* Of the first `at` indices, how many stay. */
int64_t evi_mask_before(const evi_mask *m, int64_t at);

/* ---- one model ------------------------------------------------------------------------------- */

typedef struct evi_redraw {
    const evi_masks *masks;
    int32_t model;            /* its number */
    const ev_model *old;      /* it */
    ev_model *to;             /* the new one */
    ev_model *const *callees; /* new models, by number */
    const ev_model *const *models;
    bool trial;       /* weights are drawn when they are first read, to find their shapes */
    bool fits;        /* nothing is left out: all shapes are known beforehand */
    uint8_t *gone;    /* [node] left out */
    int32_t *instead; /* [value] read this one, of the old model; EV_NO_VALUE: itself */
    uint8_t *dirty;   /* [value] 1: from here on channels are others than weights expect */
    int32_t *map;     /* [value] of the new model; EV_NO_VALUE: not there */
    uint8_t *unread;  /* [value] a weight or constant that only left-out nodes read */
    evi_shape *shape; /* [value] of weights, as found in the trial */
    uint8_t *anew;    /* [value] of weights: start again */
    int32_t *from;    /* [new weight] the old model's value */
} evi_redraw;

/* apply_draw.c: fills r->to (made by the caller). */
ev_status evi_redraw_model(evi_redraw *r);

/* apply_fit.c: shapes of a node's weights when what it reads is not what they expect; marks those
 * that start again.  edges of inputs as they are now. */
ev_status evi_redraw_fit(evi_redraw *r, const evi_node *node);
/* The weights' fans for their new shape. */
void evi_redraw_fans(const evi_redraw *r, int32_t value, evi_param *p);

/* apply_nodes.c: attributes for the new sizes.  in: values of the new model; *n_in may fall. */
ev_status evi_redraw_attrs(const evi_redraw *r, const evi_node *node, evi_attrs *a,
                           const int32_t *in, int32_t *n_in);

/* apply_weights.c: the numbers of all weights of r->to. */
ev_status evi_redraw_weights(const evi_redraw *r, uint64_t seed);
/* Elements that stay of a tensor; out has room for them.  crew may be NULL. */
ev_status evi_masks_gather(const evi_masks *m, int32_t model, int32_t value, const evi_shape *shape,
                           int32_t bytes, const void *from, void *out, evi_crew *crew);

/* The shape that a value of the old model is to have, and the one that it has now (its stand-in's
 * when it was left out). */
static inline evi_shape evi_redraw_expected(const evi_redraw *r, int32_t value)
{
    return evi_masks_shape(r->masks, r->model, value, &r->old->values[value].edge.shape);
}
static inline const evi_edge *evi_redraw_edge(const evi_redraw *r, int32_t value)
{
    return &r->to->values[r->map[value]].edge;
}

#endif
