/* SPDX-License-Identifier: MIT */
/* What the parts of evcheck share: guarded buffers, random numbers, comparison, the report. */
#ifndef EVCHECK_H
#define EVCHECK_H

#include "kernels/kernels.h"

#define REAL_EPS ((double)(sizeof(evi_real) == 4 ? 0x1p-23 : 0x1p-52))

/* Random numbers: same seed, same cases. */
uint32_t rnd(void);
int64_t rnd_in(int64_t low, int64_t high); /* both included */
double rnd_real(void);                     /* -1..1 */
void rnd_seed(uint64_t seed);

/* Memory of n values that ends exactly at a page without access (guard_end) or begins right after
 * one (guard_begin); never freed one by one, all given back by guard_reset.  An access before or
 * after the buffer ends the program with the name of the case. */
evi_real *guard_end(int64_t n);
evi_real *guard_begin(int64_t n);
void *guard_bytes(int64_t n_bytes);
void guard_reset(void);
evi_real *guard_random(int64_t n); /* at either guard, filled with rnd_real() */
evi_real *guard_copy(const evi_real *from, int64_t n);

/* Report. */
void set_case(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fail_case(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern int64_t n_cases, n_failures;

/* |got - want| <= tolerance for each (or both NaN, or the same infinity); counts one case. */
void expect_near(const char *what, const evi_real *got, const evi_real *want, int64_t n,
                 double tolerance);
/* The same bits. */
void expect_same(const char *what, const void *got, const void *want, int64_t n_bytes);

void check_kernels(const evi_kernels *k);                 /* each entry against the reference */
void check_drivers(const evi_kernels *k, int32_t amount); /* gemm and convolution */
void check_winograd(const evi_kernels *k, int32_t amount);
void check_winograd_weights(const evi_kernels *k, int32_t amount);
int bench_main(int argc, char **argv); /* evcheck --bench ... */

#endif
