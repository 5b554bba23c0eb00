/* SPDX-License-Identifier: MIT */
/* The inside of translators and routers: pictures in front of a model, one planned size. */
#ifndef EVI_DOMAIN_H
#define EVI_DOMAIN_H

#include "data/image.h"
#include "graph/plan.h"
#include "tensor/tensor.h"
#include <edgevision/domain.h>

/* ---- input.c: what a model takes ------------------------------------------------------------- */

typedef struct evi_domain_input {
    int32_t channels;              /* 1 or 3 */
    int32_t width, height;         /* for which it was drawn; 0: it does not say */
    int32_t any_width, any_height; /* it takes others too */
    int32_t any_batch;             /* and more pictures than one */
    ev_pixel_options pixels;       /* how bytes become numbers */
} evi_domain_input;

/* A model of pictures: one input [N,C,H,W] of floats.  is_generator: one output of the same shape,
 * and where the model says nothing of its pixels they are -1..1.  what: for messages. */
ev_status evi_domain_input_read(const ev_model *model, bool is_generator, const char *function,
                                const char *what, evi_domain_input *out);

/* ---- stage.c: a model made ready for one size ------------------------------------------------ */

typedef struct evi_stage {
    ev_session *session; /* NULL: nothing is ready */
    ev_tensor *input;    /* [batch,C,H,W] */
    int32_t width, height, batch;
} evi_stage;

/* batch: most pictures in a run, 1 for a model that takes no more. */
ev_status evi_stage_start(ev_context *ctx, ev_model *model, const evi_domain_input *in,
                          int32_t width, int32_t height, int32_t batch, int32_t precise,
                          evi_stage *out);
void evi_stage_end(evi_stage *stage);
/* Bytes that such a stage would take: plan and session. */
ev_status evi_stage_bytes(ev_context *ctx, ev_model *model, const evi_domain_input *in,
                          int32_t width, int32_t height, int32_t batch, int32_t precise,
                          uint64_t *out);
/* Run on the first n pictures of stage->input; its outputs: ev_session_output(). */
ev_status evi_stage_run(evi_stage *stage, int32_t n);
/* The largest batch up to `most` that stays below 64 MiB, or 1. */
int32_t evi_stage_batch(ev_context *ctx, ev_model *model, const evi_domain_input *in, int32_t width,
                        int32_t height, int32_t most);

/* ---- tiles.c: a long side in pieces ---------------------------------------------------------- */

/* One side of a picture: pieces 0..n-1 of `tile` pixels that begin at multiples of 4. */
typedef struct evi_tiling {
    int32_t size; /* filled up; at least tile */
    int32_t tile, n;
    int32_t blend; /* 0: pieces are cut off in the middle of what they share */
} evi_tiling;

/* pixels: of the picture.  tile: longest piece, a multiple of 4 where !fixed; 0: one piece.
 * fixed: pieces have exactly this size.  overlap: below 0 none. */
void evi_tiling_make(int32_t pixels, int32_t tile, bool fixed, int32_t overlap, evi_tiling *out);
int32_t evi_tiling_start(const evi_tiling *t, int32_t piece);
/* Share of a piece in pixel x of the filled-up side.  Shares of all pieces add up to 1. */
double evi_tiling_weight(const evi_tiling *t, int32_t piece, int32_t x);

#endif
