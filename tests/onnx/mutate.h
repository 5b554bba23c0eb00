/* SPDX-License-Identifier: MIT */
/* Damage a model file on purpose: along its fields, so that the damage lies deep inside. */
#ifndef TESTS_ONNX_MUTATE_H
#define TESTS_ONNX_MUTATE_H

#include "onnx/onnx.h"

enum { MUTATE_NUMBER, MUTATE_TEXT, MUTATE_DROP, MUTATE_TWICE, MUTATE_KINDS };

/* Copy a model, changing field number `target` (counted in the order of the file) of those that
 * `kind` can change.  MUTATE_NUMBER: a varint becomes `value`; MUTATE_TEXT: a string or other bytes
 * become `text`; MUTATE_DROP, MUTATE_TWICE: any field.  False when there is no such field. */
bool mutate(const void *data, uint64_t n_bytes, int32_t kind, int32_t target, uint64_t value,
            evi_span text, evi_text *out);
/* The model without its metadata, as another program might have written it: no checksums. */
void mutate_strip(const void *data, uint64_t n_bytes, evi_text *out);

#endif
