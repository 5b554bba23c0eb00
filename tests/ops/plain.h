/* SPDX-License-Identifier: MIT */
/* What the tests of operations share: places in arrays, random contents, running one operation. */
#ifndef TESTS_OPS_PLAIN_H
#define TESTS_OPS_PLAIN_H

#include "ops/walk.h"

#include "one_step.h"
#include "support.h"

/* Index of element i along every axis, and back.  ravel() aligns to the right and takes 0 along
 * axes of size 1, as broadcasting does. */
void unravel(const evi_shape *s, int64_t i, int64_t *index);
int64_t ravel(const evi_shape *s, const int64_t *index, int32_t rank);
evi_shape shape_of(int32_t rank, const int64_t *dims);
evi_shape random_shape(uint64_t *r, int32_t lo_rank, int32_t hi_rank, int32_t most);

evi_list list_of(int32_t n, const int64_t *v);
int32_t random_type(uint64_t *r); /* float32, int64, int32, int8, uint8 */

/* Inputs planned as numbers: floats -2..2, integers -9..9 (0..9 for bytes without sign). */
void fill_numbers(one_step *o, uint64_t *r);
/* infer, memory, contents, forward on `crew`. */
void run_one(one_step *o, uint64_t *r, evi_crew *crew);
double in_number(const one_step *o, int32_t i, int64_t at);
double out_number(const one_step *o, int32_t i, int64_t at);
void expect(const one_step *o, int64_t at, double want, double tolerance);

/* The kernels of this machine, and a crew of three for the second run of same_on_threads(). */
const evi_kernels *test_kernels(void);
/* Forward (and backward, when it has one) on three threads and alone: the same bits. */
void same_on_threads(one_step *o, uint64_t *r);

TCase *element_cases(void);
TCase *layout_cases(void);
TCase *resize_cases(void);
TCase *error_cases(void);
TCase *quant_cases(void);

#endif
