/* SPDX-License-Identifier: MIT */
/* Layers with any attributes, then the model is planned, run, trained, saved. */
#include "engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    engine_run(bytes, n, ENGINE_DRAWING);
    return 0;
}
