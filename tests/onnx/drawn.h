/* SPDX-License-Identifier: MIT */
/* Small models that between them use every layer that can be drawn, with weights and pictures. */
#ifndef TESTS_ONNX_DRAWN_H
#define TESTS_ONNX_DRAWN_H

#include <edgevision/edgevision.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct drawn {
    const char *name;
    ev_status (*draw)(ev_model *m);
    bool not_for_others; /* other programs do not know all of it, or count otherwise */
} drawn;

const drawn *drawn_at(int32_t i); /* NULL past the end */
int32_t drawn_find(const char *name); /* -1 */
/* Draw number i, give it weights (running statistics too) and some metadata. */
ev_status drawn_model(ev_context *ctx, int32_t i, ev_model **out);

/* A run: inputs of `batch` pictures, all outputs that are no losses. */
#define DRAWN_MAX 8
typedef struct drawn_run {
    int32_t n_inputs, n_outputs;
    ev_tensor *inputs[DRAWN_MAX], *outputs[DRAWN_MAX];
    char output_names[DRAWN_MAX][64];
} drawn_run;
/* Made-up inputs of the model, by name: another model with the same inputs gets the same. */
ev_status drawn_feed(ev_context *ctx, const ev_model *m, int32_t batch, drawn_run *run);
ev_status drawn_run_model(ev_context *ctx, ev_model *m, int32_t batch, drawn_run *run);
void drawn_run_end(drawn_run *run);

#endif
