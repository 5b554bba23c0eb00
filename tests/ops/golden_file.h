/* SPDX-License-Identifier: MIT */
/* Reads tests/golden/ops.bin; its format is told in tests/golden/make_ops.py. */
#ifndef TESTS_GOLDEN_FILE_H
#define TESTS_GOLDEN_FILE_H

#include "../grad/one_step.h"

enum { EXPECTED_MAX = 8 };
enum { EXPECT_OUT, EXPECT_GRAD, EXPECT_MOVED };

typedef struct expected {
    int32_t kind, index; /* EXPECT_*; number of the output or input */
    int64_t n, stride;
    double peak;
    const unsigned char *numbers; /* n float32 */
} expected;

typedef struct golden_case {
    int32_t line; /* number of the case in the file, for messages */
    bool training;
    one_step step;
    unsigned long long seed[ONE_MAX], weight_seed;
    int32_t n_expected;
    expected expected[EXPECTED_MAX];
} golden_case;

typedef struct golden_file {
    char *data;
    size_t size, at;
    int32_t n_cases;
} golden_file;

void golden_open(golden_file *f, const char *path); /* fails the test when there is none */
bool golden_next(golden_file *f, golden_case *c);   /* false at the end */
void golden_close(golden_file *f);

/* The rule for values that are not stored. */
double golden_value(unsigned long long seed, int64_t element, double lo, double hi);
void golden_fill(golden_case *c); /* inputs of a planned step, and the gradient of output 0 */

#endif
