/* SPDX-License-Identifier: MIT */
/* What every infer asks of its inputs, with errors that name the input and the sizes. */
#ifndef EVI_OPS_CHECK_H
#define EVI_OPS_CHECK_H

#include "ops/op.h"

static inline bool evi_edge_has(const evi_edge *in, int32_t n_in, int32_t i)
{
    return i < n_in && in[i].type != 0;
}
static inline bool evi_step_has_out(const evi_step *s, int32_t i)
{
    return i < s->n_out && s->out[i] != NULL;
}
/* Input i is there and holds floating-point numbers. */
ev_status evi_need_real(const evi_edge *in, int32_t n_in, int32_t i, const char *what);
/* The same, with a rank from..to and no dimension of size 0. */
ev_status evi_need_rank(const evi_edge *in, int32_t n_in, int32_t i, int32_t from, int32_t to,
                        const char *what);
/* Input i is absent, or `count` floating-point numbers in a row ([count], or with ones around). */
ev_status evi_need_vector(const evi_edge *in, int32_t n_in, int32_t i, int64_t count,
                          const char *what);
/* Output i: type and shape, nothing else known. */
void evi_edge_set(evi_edge *out, int32_t i, int32_t type, const evi_shape *shape);

/* Product of the dimensions from..to-1. */
int64_t evi_shape_span(const evi_shape *s, int32_t from, int32_t to);

/* The activation that the planner fused into this step. */
static inline evk_act evi_step_act(const evi_step *s)
{
    return (evk_act){.kind = s->act, .a = EVI_REAL(s->act_alpha), .b = EVI_REAL(s->act_beta)};
}

/* Slope of the fused activation of a norm below zero (above it is 1): what backward can follow. */
static inline evi_real evi_norm_leak(const evi_step *s)
{
    return s->act == EVK_ACT_RELU ? 0 : s->act == EVK_ACT_LEAKY ? EVI_REAL(s->act_alpha) : 1;
}

#endif
