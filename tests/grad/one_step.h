/* SPDX-License-Identifier: MIT */
/* One operation by itself, without a graph: its step and views made by hand, for tests.
 *
 *   one_step o;
 *   one_start(&o, "conv2d");                    attributes are the defaults
 *   o.a.stride[0] = 2;
 *   one_real(&o, 4, (int64_t[]){2, 3, 7, 5});   inputs in order; one_absent(&o) for none
 *   t_ok(one_plan(&o, true, kernels, 3));       infer, memory, prepare, pack
 *   ... fill one_in(&o, 0), ... one_forward(&o, crew); one_backward(&o, crew);
 *   one_end(&o);
 *
 * Memory is of the exact size, so that AddressSanitizer sees every step outside; all of it but the
 * inputs starts as NaN. */
#ifndef TESTS_ONE_STEP_H
#define TESTS_ONE_STEP_H

#include "ops/op.h"

enum { ONE_MAX = 8 };

typedef struct one_step {
    const evi_op *op;
    evi_attrs a;
    int32_t n_in, n_out;
    evi_edge in_edge[ONE_MAX], out_edge[ONE_MAX];
    double lo[ONE_MAX], hi[ONE_MAX]; /* range that inputs are filled with; 0, 0: the default */
    uint32_t no_grad;                /* bit i: input i gets no gradient */
    int32_t frozen;
    evi_step s;
    evi_view in_view[ONE_MAX], out_view[ONE_MAX];
    evi_view *in[ONE_MAX], *out[ONE_MAX];
} one_step;

void one_start(one_step *o, const char *op);
int32_t one_input(one_step *o, int32_t type, int32_t rank, const int64_t *dims);
int32_t one_real(one_step *o, int32_t rank, const int64_t *dims);
int32_t one_absent(one_step *o);
/* Only shapes and types: fills out_edge. */
ev_status one_infer(one_step *o);
/* infer, views with memory, prepare; in plans for inference inputs but the first count as weights
 * and are filled by the caller before one_pack(). */
ev_status one_plan(one_step *o, bool training, const evi_kernels *k, int32_t n_workers);
void one_pack(one_step *o);
void one_forward(one_step *o, evi_crew *crew);
/* Overwrites the gradients (first) or adds to them. */
void one_backward(one_step *o, evi_crew *crew, bool first);
void one_end(one_step *o); /* frees; the inputs drawn stay, so that it can be planned again */

int64_t one_count_in(const one_step *o, int32_t i);
int64_t one_count_out(const one_step *o, int32_t i);
bool one_is_real(const one_step *o, int32_t i);
bool one_wants_grad(const one_step *o, int32_t i);

static inline evi_real *one_in(one_step *o, int32_t i)
{
    return (evi_real *)o->in_view[i].data;
}
static inline evi_real *one_out(one_step *o, int32_t i)
{
    return (evi_real *)o->out_view[i].data;
}

void *one_memory(uint64_t bytes); /* exact, aligned to 64, all bits set; ends the program if none */

#endif
