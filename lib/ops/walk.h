/* SPDX-License-Identifier: MIT */
/* Walking over several arrays at once by strides: broadcasting, slicing, transposing, copying and
 * summing over axes are all the same loop with other strides.  Also small helpers that the
 * elementwise and shape operations share. */
#ifndef EVI_OPS_WALK_H
#define EVI_OPS_WALK_H

#include "ops/check.h"
#include "ops/op.h"

#define EVI_WALK_OPS 4

/* One axis may be cut in two (tile, depth to space), hence more than EV_MAX_RANK. */
#define EVI_WALK_RANK (2 * EV_MAX_RANK)

typedef struct evi_walk {
    int32_t n_ops; /* arrays */
    int32_t rank;  /* at least 1 once joined */
    int64_t dim[EVI_WALK_RANK];
    int64_t stride[EVI_WALK_OPS][EVI_WALK_RANK]; /* in elements; 0 repeats, negative runs back */
    int64_t base[EVI_WALK_OPS];                  /* offset of the first element */
    int64_t count;                               /* product of dim; set by evi_walk_join */
} evi_walk;

/* An empty walk, to which axes are added from the outermost to the innermost. */
void evi_walk_clear(evi_walk *w, int32_t n_ops);
void evi_walk_axis(evi_walk *w, int64_t dim, const int64_t *strides);
/* Drop axes of size 1 and join neighbours that run on without a gap; sets count. */
void evi_walk_join(evi_walk *w);
/* All elements of `full`, each operand broadcast to it as in numpy. */
void evi_walk_broadcast(evi_walk *w, const evi_shape *full, int32_t n_ops,
                        const evi_shape *const *operands);
/* Strides of a contiguous array of this shape. */
void evi_strides(const evi_shape *s, int64_t *strides);

/* n elements along the last axis: array k from offset[k] on with step[k]. */
typedef void (*evi_walk_fn)(void *arg, int64_t n, const int64_t *offset, const int64_t *step);
/* Calls fn over all runs, on the crew; no two calls touch the same place of the walk. */
void evi_walk_run(evi_crew *crew, const evi_walk *w, evi_walk_fn fn, void *arg);

/* dst (array 0) = src (array 1), elements of `size` bytes (1, 4 or 8). */
void evi_walk_copy(evi_crew *crew, const evi_walk *w, void *dst, const void *src, int32_t size);
/* dst (array 0) = or += scale * src (array 1); each place of dst is met once. */
void evi_walk_add(evi_crew *crew, const evi_walk *w, evi_real *dst, const evi_real *src,
                  evi_real scale, bool first);

/* Folding: array 0 has stride 0 along the axes that are summed over.  Its values are written (or
 * added to, unless first) in an order that depends on the shapes alone, with sums in double.
 * `terms` writes n values of one run. */
enum { EVI_FOLD_SUM = 0, EVI_FOLD_MAX, EVI_FOLD_MIN, EVI_FOLD_PROD };
typedef void (*evi_terms_fn)(const void *arg, int64_t n, const int64_t *offset, const int64_t *step,
                             double *out);
typedef void (*evi_store_fn)(const void *arg, int64_t offset, double value);
void evi_walk_fold(evi_crew *crew, const evi_walk *w, int32_t kind, evi_terms_fn terms,
                   evi_store_fn store, const void *arg);

/* ---- small helpers -------------------------------------------------------------------------- */

/* The integers of a known int32/int64 edge of rank 0 or 1 into a list.  EV_ERR_UNSUPPORTED when
 * the value is not known before running; `what` names it. */
ev_status evi_list_read(const evi_edge *e, const char *what, evi_list *out);
/* The same from input i when it is there; else *list stays. */
ev_status evi_list_input(const evi_edge *in, int32_t n_in, int32_t i, const char *what,
                         evi_list *list);
/* Element i of an array as double or integer. */
double evi_number(const void *data, int32_t type, int64_t i);
int64_t evi_integer(const void *data, int32_t type, int64_t i);
/* Mark the axes of a list (negative ones count from the end): bit a for axis a.  Fails on an axis
 * out of range or named twice. */
ev_status evi_axes_mask(const evi_list *list, int32_t rank, uint32_t *out);
/* Tie every axis from the second on of operands that are broadcast together, right-aligned. */
void evi_couple_broadcast(evi_coupling *c, const evi_edge *in, int32_t n_in, const evi_edge *out);
/* channels and infer of operations with one input, one output and the same shape. */
void evi_couple_unary(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                      int32_t n_out, evi_coupling *c);
/* Tie all axes from the second on one to one, but `but` (-1: none). */
void evi_couple_axes(evi_coupling *c, const evi_edge *in, int32_t n_in, const evi_edge *out,
                     int32_t n_out, int32_t but);
ev_status evi_infer_same(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                         int32_t n_out);
/* One operation per output element. */
double evi_flops_elements(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                          int32_t n_out);

#endif
