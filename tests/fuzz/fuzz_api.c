/* SPDX-License-Identifier: MIT */
/* Any public function, in any order, on any objects. */
#include "engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    engine_run(bytes, n, ENGINE_ALL);
    return 0;
}
