/* SPDX-License-Identifier: MIT */
/* A correlation over a zero-bordered copy of a part of a picture: what all passes of convolution
 * are made of.
 *
 *     out[m][y][x] = sum over c, t of a[m][c, t] * in[c][y*step_y + dy[t] + org_y]
 *                                                     [x*step_x + dx[t] + org_x]
 *
 * with zero outside the picture and dy, dx >= 0.  The copy is split by phase: plane (dy % step_y,
 * dx % step_x) holds each step-th row and column, so that in every plane a step of the output is a
 * step of one element, and tap (c, t) is the constant offset
 *
 *     (c * n_phases + phase(t)) * plane + (dy / step_y) * pitch + dx / step_x. */
#ifndef EVI_CONVOLVE_PLANE_H
#define EVI_CONVOLVE_PLANE_H

#include "ops/ahead.h"
#include "ops/convolve.h"

typedef struct evi_taps {
    int64_t in_h, in_w;   /* of the picture */
    int64_t out_h, out_w; /* of the grid of outputs */
    int64_t step_y, step_x, org_y, org_x;
    int64_t ny, nx; /* taps t = ty * nx + tx; dy = ty * gap_y, dx = tx * gap_x */
    int64_t gap_y, gap_x;
    /* derived by evi_taps_finish */
    int64_t reach_y, reach_x;   /* largest dy / step_y, dx / step_x */
    int64_t phases_y, phases_x; /* how many phases occur: 1 unless gap or step mix them */
    int64_t pitch;              /* out_w + reach_x */
    bool in_place;              /* one tap, steps 1, no border: the picture itself will do */
} evi_taps;

void evi_taps_finish(evi_taps *t);
/* Values of a channel's copy for `rows` rows of outputs. */
int64_t evi_taps_channel(const evi_taps *t, int64_t rows);
/* Offset of tap number `tap` in a channel's copy made for `rows` rows. */
int64_t evi_taps_offset(const evi_taps *t, int64_t rows, int64_t tap);
/* Copy one channel for output rows y0 .. y0+n-1 in the layout for `rows` >= n rows. */
void evi_taps_fill(const evi_taps *t, const evi_kernels *k, const evi_real *in, int64_t y0,
                   int64_t n, int64_t rows, evi_real *to);

/* The same for a channel of a gradient that lies behind a 2x2 max pool (in_h, in_w are those before
 * it; all steps 1): each row is spread out on the way.  spare: evi_taps_spare values. */
int64_t evi_taps_spare(const evi_taps *t);
void evi_taps_fill_pooled(const evi_taps *t, const evi_kernels *k, const evi_real *dy,
                          const uint8_t *where, int64_t y0, int64_t n, int64_t rows, evi_real *to,
                          evi_real *spare);

/* Ask for what these two read of `count` channels, one after another in memory, beyond what was
 * read for the rows before y0 (all when y0 is 0).  where: NULL unless pooled. */
void evi_taps_ahead(const evi_taps *t, const evi_real *in, const uint8_t *where, int64_t count,
                    int64_t y0, int64_t n, evi_ahead *a);

/* The taps of the forward pass (for a pooled shape those of the rows and columns that the pool
 * takes), and of phase (py, px) of the backward pass: outputs are the
 * elements (py + i stride_h, px + j stride_w) of dx.  first_y, first_x: the kernel index of tap 0;
 * each further tap lies jump_y, jump_x lower. */
evi_taps evi_taps_forward(const evi_conv_shape *s);
evi_taps evi_taps_backward(const evi_conv_shape *s, int64_t py, int64_t px, int64_t *first_y,
                           int64_t *first_x, int64_t *jump_y, int64_t *jump_x);

/* Scratch of evi_conv_back_weights (convolve_weights.c). */
uint64_t evi_conv_weights_scratch_bytes(const evi_kernels *k, const evi_conv_shape *s,
                                        int32_t n_workers);

/* dw = (or +=) the partial sums of `values` numbers each, added in their order. */
void evi_conv_add_sums(evi_crew *crew, const evi_kernels *k, const evi_real *sums, int64_t n_sums,
                       int64_t values, bool accumulate, evi_real *dw);

#endif
