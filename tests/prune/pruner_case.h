/* SPDX-License-Identifier: MIT */
/* Tests of the pruner itself, in the program of the groups. */
#ifndef TESTS_PRUNE_PRUNER_CASE_H
#define TESTS_PRUNE_PRUNER_CASE_H

#include <check.h>

TCase *pruner_case(void);

#endif
