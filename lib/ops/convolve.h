/* SPDX-License-Identifier: MIT */
/* Convolution on raw pointers: forward and the two gradients; transposed convolution is the same
 * three with the roles exchanged.
 *
 * One path for every stride, dilation, kernel size and group count: a part of the picture is copied
 * with its zero border into scratch that stays in the cache, split by stride phase when the stride
 * is above 1; after that a tap is a constant offset and the tile kernels read the copy in place,
 * without an im2col matrix.
 *
 * A picture gives the same bits alone and in a batch, for any number of threads. */
#ifndef EVI_CONVOLVE_H
#define EVI_CONVOLVE_H

#include "base/parallel.h"
#include "kernels/kernels.h"

/* x [n, c_in, h, w], weights [c_out, c_in/groups, kh, kw], y [n, c_out, out_h, out_w].
 * All sizes >= 1, pads >= 0; c_in and c_out are multiples of groups.  One-dimensional: h = kh = 1.
 * out_h, out_w: evi_conv_out_size() fills them; a transposed convolution sets them itself. */
typedef struct evi_conv_shape {
    int64_t n, c_in, h, w, c_out;
    int64_t kh, kw;
    int64_t stride_h, stride_w;
    int64_t pad_top, pad_left, pad_bottom, pad_right;
    int64_t dilation_h, dilation_w;
    int64_t groups;
    int64_t out_h, out_w;
    bool precise; /* no Winograd */
    bool pooled;  /* y and dy lie behind a 2x2 max pool of stride 2: [n, c_out, out_h/2, out_w/2];
                     a last odd row or column is dropped */
} evi_conv_shape;

/* Where the value of a pooled y came from: 0..3 as kernels' max_pool2 counts, or here when no
 * gradient goes back, since a ReLU before the pool gave zero. */
enum { EVI_CONV_NOWHERE = 4 };

/* out = (size + pads - dilation (kernel - 1) - 1) / stride + 1, both axes; false if any is < 1. */
bool evi_conv_out_size(evi_conv_shape *s);

/* What a pass does beside the sum. */
typedef struct evi_conv_end {
    const evi_real *bias; /* one per output channel of the pass, or NULL */
    evk_act act;
    bool accumulate; /* add to what the output holds; act must be none */
    uint8_t *where;  /* forward of a pooled shape: one byte a value of y, or NULL; act must then be
                        none or ReLU */
} evi_conv_end;

enum { EVI_CONV_FORWARD = 0, EVI_CONV_BACK_DATA = 1, EVI_CONV_BACK_WEIGHTS = 2 };

/* Weights in the kernels' order, made once per plan.  pass: FORWARD or BACK_DATA. */
uint64_t evi_conv_pack_bytes(const evi_kernels *k, const evi_conv_shape *s, int32_t pass);
void evi_conv_pack(const evi_kernels *k, const evi_conv_shape *s, int32_t pass, const evi_real *w,
                   void *packed);

/* Scratch of a pass for at most s->n pictures.  packed: whether packed weights will be given. */
uint64_t evi_conv_scratch_bytes(const evi_kernels *k, const evi_conv_shape *s, int32_t pass,
                                bool packed, int32_t n_workers);

/* y = act(conv(x, w) + bias).  packed (64-byte aligned, from evi_conv_pack) or, if NULL, w.
 * end may be NULL: plain sum. */
void evi_conv_forward(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                      const evi_real *x, const evi_real *w, const void *packed,
                      const evi_conv_end *end, evi_real *y, void *scratch);

/* dx = gradient of x from dy, by the same rule (bias: one per input channel).  where: as forward
 * wrote it for a pooled shape, else NULL. */
void evi_conv_back_data(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                        const evi_real *dy, const uint8_t *where, const evi_real *w,
                        const void *packed, const evi_conv_end *end, evi_real *dx, void *scratch);

/* dw = (or +=) gradient of the weights over all n pictures. */
void evi_conv_back_weights(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                           const evi_real *x, const evi_real *dy, const uint8_t *where,
                           evi_real *dw, bool accumulate, void *scratch);

/* db[c] = (or +=) sum of dy [n, channels, plane] over pictures and pixels, without those that
 * `where` (may be NULL) sends nowhere.  No scratch. */
void evi_conv_back_bias(evi_crew *crew, const evi_kernels *k, int64_t n, int64_t channels,
                        int64_t plane, const evi_real *dy, const uint8_t *where, evi_real *db,
                        bool accumulate);

/* The same behind a ReLU that gave y, with dy = 0 where y <= 0 first; db may be NULL. */
void evi_conv_back_relu(evi_crew *crew, const evi_kernels *k, int64_t n, int64_t channels,
                        int64_t plane, const evi_real *y, evi_real *dy, evi_real *db,
                        bool accumulate);

/* Transposed convolution of x [n, ci, ih, iw] with weights [ci, co/groups, kh, kw] to
 * y [n, co, oh, ow]: fill the shape of the convolution that goes the other way,
 *     c_in = co, h = oh, w = ow, c_out = ci, out_h = ih, out_w = iw,
 * strides, pads, dilation and groups as they are, and call
 *     forward   evi_conv_back_data(x -> y, bias of co channels, act)
 *     d x       evi_conv_forward(dy -> dx, end->accumulate as wanted)
 *     d weights evi_conv_back_weights(x = dy, dy = x)
 * Output padding needs nothing: rows of y that no tap reaches get the bias alone. */

#endif
