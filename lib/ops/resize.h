/* SPDX-License-Identifier: MIT */
/* Tables of taps for interpolation along one axis: resize_taps.c. */
#ifndef EVI_OPS_RESIZE_H
#define EVI_OPS_RESIZE_H

#include "ops/walk.h"

/* What the attributes come to for one input shape. */
typedef struct evi_resize {
    int64_t size[EV_MAX_RANK];
    double scale[EV_MAX_RANK];
    double roi[EV_MAX_RANK][2];
} evi_resize;

/* Output o is the sum over k < n_taps of weight[o*n_taps + k] * input[index[o*n_taps + k]];
 * index[o*n_taps] -1: outside of the crop. */
typedef struct evi_taps {
    int64_t n_out, n_taps;
    int32_t *index;
    evi_real *weight;
} evi_taps;

ev_status evi_resize_resolve(const evi_attrs *a, const evi_shape *x, evi_resize *r);
/* Whether the axis stays exactly as it is. */
bool evi_resize_is_copy(const evi_attrs *a, const evi_resize *r, int32_t axis, int64_t n);
int64_t evi_resize_taps(const evi_attrs *a, double scale);
int64_t evi_resize_table_bytes(int64_t n_out, int64_t n_taps);
/* Fill `memory` (evi_resize_table_bytes) with the table of an axis of n inputs. */
void evi_resize_table(const evi_attrs *a, const evi_resize *r, int32_t axis, int64_t n,
                      int64_t n_taps, void *memory, evi_taps *out);

#endif
