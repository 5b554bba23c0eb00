/* SPDX-License-Identifier: MIT */
/* Protocol-buffer wire format: a cursor that never leaves its bytes, and what there is to write. */
#ifndef EVI_WIRE_H
#define EVI_WIRE_H

#include "base/base.h"

/* ---- reading --------------------------------------------------------------------------------- */

#define EVI_WIRE_DEPTH 32

enum { EVI_WIRE_VARINT = 0, EVI_WIRE_FIXED64 = 1, EVI_WIRE_BYTES = 2, EVI_WIRE_FIXED32 = 5 };

/* Bytes of a message that are still to be read. */
typedef struct evi_wire {
    const uint8_t *at, *end;
    const uint8_t *file; /* start of the whole file, so that errors can name the byte */
    int32_t depth;
    int32_t pad;
} evi_wire;

typedef struct evi_field {
    uint32_t number;
    int32_t type;
    uint64_t value; /* varint, fixed32, fixed64 */
    evi_wire body;  /* of EVI_WIRE_BYTES */
} evi_field;

/* A text inside the file, without a zero byte at its end. */
typedef struct evi_span {
    const char *at;
    uint64_t n;
} evi_span;

void evi_wire_start(evi_wire *w, const void *data, uint64_t n_bytes);
/* 1: a field was read; 0: the message ends here; -1: damaged, the error line is set. */
int32_t evi_wire_next(evi_wire *w, evi_field *f);
bool evi_wire_varint(evi_wire *w, uint64_t *out);
/* The field must have this wire type: EV_ERR_FORMAT otherwise. */
ev_status evi_wire_expect(const evi_field *f, int32_t type, const char *what);
/* Next element of a repeated number, packed or not: false when this field has no more.  Set
 * *state to 0 before the first call.  `type` is the wire type of one element. */
bool evi_wire_element(evi_field *f, int32_t type, int32_t *state, uint64_t *out);
/* Bytes left in a message. */
static inline uint64_t evi_wire_left(const evi_wire *w)
{
    return (uint64_t)(w->end - w->at);
}
static inline evi_span evi_wire_span(const evi_wire *w)
{
    return (evi_span){(const char *)w->at, (uint64_t)(w->end - w->at)};
}

bool evi_span_is(evi_span s, const char *text);
bool evi_span_equal(evi_span a, evi_span b);
/* For messages: a copy that is short and printable, in a caller's buffer of EVI_SPAN_TEXT bytes. */
#define EVI_SPAN_TEXT 96
const char *evi_span_text(evi_span s, char *buf);

float evi_wire_float(uint64_t bits);
double evi_wire_double(uint64_t bits);
float evi_half_to_float(uint32_t bits);

/* ---- writing: into a growing buffer, whose first failure sticks ------------------------------ */

void evi_put_varint(evi_text *t, uint64_t value);
int32_t evi_varint_bytes(uint64_t value);
void evi_put_tag(evi_text *t, uint32_t number, int32_t type);
void evi_put_int(evi_text *t, uint32_t number, int64_t value);
void evi_put_float(evi_text *t, uint32_t number, float value);
void evi_put_bytes(evi_text *t, uint32_t number, const void *from, uint64_t n_bytes);
void evi_put_string(evi_text *t, uint32_t number, const char *text);
/* A message inside: begin, put its fields, end. */
uint64_t evi_put_begin(evi_text *t, uint32_t number);
void evi_put_end(evi_text *t, uint64_t mark);

#endif
