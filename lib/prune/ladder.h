/* SPDX-License-Identifier: MIT */
/* A sequence of layers that can be drawn with other sizes: read and drawn by ladder_draw.c, made
 * smaller by ladder.c. */
#ifndef EVI_PRUNE_LADDER_H
#define EVI_PRUNE_LADDER_H

#include "prune/prune.h"

enum {
    EVI_RUNG_OTHER = 0,
    EVI_RUNG_CONV,
    EVI_RUNG_DEPTHWISE,
    EVI_RUNG_DENSE,
    EVI_RUNG_POOL,
    EVI_RUNG_FLATTEN
};

typedef struct evi_rung_layer {
    const evi_node *node;
    int32_t kind;
    int32_t stage;  /* of convolutions: between two poolings */
    int32_t before; /* filters or units of the given model */
    int32_t size;   /* now; 0: has none of its own */
    bool gone, fixed;
} evi_rung_layer;

typedef struct evi_rung {
    ev_context *ctx; /* of what is drawn */
    const ev_model *from;
    int32_t n;
    evi_rung_layer *layers;
    int32_t min_width, min_dense;
    int64_t limit; /* parameters */
} evi_rung;

/* EV_ERR_UNSUPPORTED: not a sequence.  layers: a block. */
ev_status evi_rung_read(ev_context *ctx, const ev_model *model, evi_rung *r);
ev_status evi_rung_draw(const evi_rung *r, ev_model **out); /* without weights */

#endif
