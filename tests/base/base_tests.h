/* SPDX-License-Identifier: MIT */
#ifndef BASE_TESTS_H
#define BASE_TESTS_H

#include "base/base.h"
#include "support.h"

TCase *status_tests(void);
TCase *memory_tests(void);
TCase *options_tests(void);
TCase *context_tests(void);
TCase *parallel_tests(void);
TCase *rng_tests(void);
TCase *file_tests(void);
TCase *writer_tests(void);
TCase *text_tests(void);

#endif
