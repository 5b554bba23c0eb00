/* SPDX-License-Identifier: MIT */
/* Shapes, and the inside of ev_tensor. */
#ifndef EVI_TENSOR_H
#define EVI_TENSOR_H

#include "base/base.h"
#include <edgevision/tensor.h>

typedef struct evi_shape {
    int32_t rank;
    int32_t pad;
    int64_t dim[EV_MAX_RANK];
} evi_shape;

struct ev_tensor {
    evi_handle handle;
    int32_t type;
    evi_shape shape;
    uint64_t n_bytes;
    void *data;
    void *owned;     /* block to free, or NULL */
    ev_tensor *base; /* view: one reference held */
};

int64_t evi_shape_count(const evi_shape *s); /* product; 1 for rank 0 */
bool evi_shape_equal(const evi_shape *a, const evi_shape *b);
/* Limits: rank 0..8, each dim 0..2^31-1, product at most 2^31-1.  `what` names it in the error. */
ev_status evi_shape_check(const evi_shape *s, const char *what);
ev_status evi_shape_set(evi_shape *s, int32_t rank, const int64_t *dims, const char *what);
int32_t evi_type_bytes(int32_t type); /* of this build (evi_real); 0 when unknown */
bool evi_type_is_real(int32_t type);
/* "[1,3,224,224]" into a caller's buffer of EVI_SHAPE_TEXT bytes; returns buf. */
#define EVI_SHAPE_TEXT 128
const char *evi_shape_text(const evi_shape *s, char *buf);

#endif
