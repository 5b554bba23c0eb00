/* SPDX-License-Identifier: MIT */
/* A window that moves over a picture: what convolution and pooling share. */
#ifndef EVI_OPS_WINDOW_H
#define EVI_OPS_WINDOW_H

#include "ops/op.h"

typedef struct evi_window {
    int64_t n, c, h, w; /* input; h is 1 for rank 3 */
    int64_t out_h, out_w;
    int64_t kh, kw, sh, sw, dh, dw;
    int64_t top, left, bottom, right; /* padding */
} evi_window;

/* a->kernel from weights [., ., kh, kw] or [., ., kw]; fails when it states something else. */
ev_status evi_window_kernel(evi_attrs *a, const evi_shape *weights);
/* Check kernel, stride, dilation, padding and groups of *a for an input of rank 3 or 4. */
ev_status evi_window_check(const evi_attrs *a, const evi_shape *x);
/* The same, then resolve auto_pad into a->pad and find the size of the output. */
ev_status evi_window_infer(evi_attrs *a, const evi_shape *x, evi_window *w);
/* Padding `total` along one axis in two parts, the odd one at the end for SAME_UPPER and at the
 * beginning otherwise. */
ev_status evi_window_split(evi_attrs *a, int32_t axis, int64_t total);
/* What infer found, for the shapes of this run. */
void evi_window_get(const evi_attrs *a, const evi_shape *x, const evi_shape *y, evi_window *w);
/* Output shape of the rank of x: [n, channels, out_h, out_w] or [n, channels, out_w]. */
ev_status evi_window_shape(const evi_window *w, const evi_shape *x, int64_t channels, evi_shape *y);

/* Taps first..last-1 along one axis whose place (start + tap * dilation) lies within 0..size-1. */
static inline void evi_window_taps(int64_t start, int64_t kernel, int64_t dilation, int64_t size,
                                   int64_t *first, int64_t *last)
{
    if (dilation == 1) { /* without division, which would cost more than the taps */
        *first = start < 0 ? -start : 0;
        *last = EVI_MIN(kernel, size - start);
        return;
    }
    *first = start < 0 ? (-start + dilation - 1) / dilation : 0;
    *last = start < size ? EVI_MIN(kernel, (size - start + dilation - 1) / dilation) : 0;
}

/* Coupling of a grouped convolution's operands for pruning, weights [axis 0, axis 1, ...]. */
void evi_window_couple(evi_coupling *c, int64_t c_in, int64_t c_out, int64_t groups,
                       int32_t in_axis, int32_t out_axis, bool bias);

/* Planes [n*c] over the crew, several to a task when they are small. */
typedef void (*evi_plane_fn)(const evi_step *s, const evi_window *w, int64_t plane);
void evi_for_planes(evi_step *s, const evi_window *w, evi_plane_fn fn);

#endif
