/* SPDX-License-Identifier: MIT */
/* Random models that can be run: residuals, concatenation, groups, shared calls, and so on. */
#ifndef TESTS_API_RANDOM_MODEL_H
#define TESTS_API_RANDOM_MODEL_H

#include <edgevision/edgevision.h>
#include <stdbool.h>

typedef struct random_model {
    ev_model *model;
    int64_t dims[4]; /* of the input, dims[0] is 1 */
    bool plain;      /* neither batch norm nor dropout: training computes the same */
    int32_t n_layers;
} random_model;

/* The same seed gives the same model, with weights. */
void random_model_make(ev_context *ctx, uint64_t seed, random_model *out);

#endif
