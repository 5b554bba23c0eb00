/* SPDX-License-Identifier: MIT */
/* Any bytes as a sequence of calls of the public interface (the table of tests/api). */
#ifndef FUZZ_ENGINE_H
#define FUZZ_ENGINE_H

#include <stddef.h>
#include <stdint.h>

enum {
    ENGINE_ALL,     /* every function, on objects of all kinds */
    ENGINE_DRAWING, /* layers on one model, any attributes; then what there is is run and trained */
    ENGINE_OPTIONS  /* functions that take options, which are filled with the bytes */
};

/* Ends the process by abort() when a block is left behind or a failure does not set its line. */
void engine_run(const uint8_t *bytes, size_t n, int32_t mode);

#endif
