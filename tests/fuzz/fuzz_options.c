/* SPDX-License-Identifier: MIT */
/* Options of any kind, filled with the bytes. */
#include "engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    engine_run(bytes, n, ENGINE_OPTIONS);
    return 0;
}
