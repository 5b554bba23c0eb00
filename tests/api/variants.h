/* SPDX-License-Identifier: MIT */
/* Bad and odd values for one argument of a public function. */
#ifndef TESTS_API_VARIANTS_H
#define TESTS_API_VARIANTS_H

#include "api.h"

enum { EXPECT_ANYTHING, EXPECT_FAILURE, EXPECT_OK, EXPECT_VERSION };

typedef struct variant {
    char what[96];    /* for the report */
    api_slot value;   /* of the argument */
    int32_t expected; /* EXPECT_* */
    void *block;      /* malloc'ed: to be freed after the call */
} variant;

/* Variant number i of argument `index` of f; false past the end.  good holds its good value. */
bool variant_at(const api_function *f, int32_t index, const api_world *w, api_slot good, int32_t i,
                variant *out);

#endif
