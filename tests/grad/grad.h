/* SPDX-License-Identifier: MIT */
/* Gradients of every operation against finite differences, in double precision. */
#ifndef TESTS_GRAD_H
#define TESTS_GRAD_H

#include "one_step.h"
#include "support.h"

enum {
    GRAD_KINKS = 1,  /* not smooth: values keep a distance from each other and from 0 */
    GRAD_MODES = 2,  /* training and inference differ (dropout, batch norm) */
    GRAD_BATCH = 4,  /* axis 0 of input 0 and output 0 counts pictures: one alone gives the same */
    GRAD_FORWARD = 8 /* no backward: only the other checks */
};

typedef struct grad_case {
    const char *op;
    uint32_t flags;
    /* Draw attributes and inputs of configuration `index` (0..GRAD_CONFIGS-1). */
    void (*draw)(one_step *o, uint64_t *random, int32_t index);
} grad_case;

enum { GRAD_CONFIGS = 60 };

/* Tables ended by op NULL. */
extern const grad_case grad_window_cases[], grad_matrix_cases[], grad_norm_cases[],
    grad_loss_cases[], grad_element_cases[], grad_shape_cases[];

/* All checks of one operation; ends the running test with a message when one fails.  Gives the
 * largest relative error of a gradient. */
double grad_check(const grad_case *c);

/* Sizes for cases: lo..hi, both included. */
static inline int32_t pick(uint64_t *random, int32_t lo, int32_t hi)
{
    return t_random_int(random, lo, hi);
}

#endif
