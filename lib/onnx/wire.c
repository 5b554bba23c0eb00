/* SPDX-License-Identifier: MIT */
/* Protocol-buffer wire format. */
#include "onnx/wire.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- reading --------------------------------------------------------------------------------- */

void evi_wire_start(evi_wire *w, const void *data, uint64_t n_bytes)
{
    *w = (evi_wire){.at = data, .end = (const uint8_t *)data + n_bytes, .file = data};
}

static int32_t damaged(const evi_wire *w, const char *what)
{
    evi_fail(EV_ERR_FORMAT, "byte %llu: %s", (unsigned long long)(w->at - w->file), what);
    return -1;
}

bool evi_wire_varint(evi_wire *w, uint64_t *out)
{
    uint64_t value = 0;
    const uint8_t *at = w->at;
    for (int32_t shift = 0; shift < 70 && at < w->end; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1) /* bits that 64 cannot hold */
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            w->at = at;
            *out = value;
            return true;
        }
    }
    return false;
}

static bool read_fixed(evi_wire *w, int32_t n_bytes, uint64_t *out)
{
    if (evi_wire_left(w) < (uint64_t)n_bytes)
        return false;
    uint64_t value = 0;
    for (int32_t i = 0; i < n_bytes; i++)
        value |= (uint64_t)w->at[i] << (8 * i);
    w->at += n_bytes;
    *out = value;
    return true;
}

static bool read_scalar(evi_wire *w, int32_t type, uint64_t *out)
{
    if (type == EVI_WIRE_VARINT)
        return evi_wire_varint(w, out);
    return read_fixed(w, type == EVI_WIRE_FIXED64 ? 8 : 4, out);
}

static int32_t read_body(evi_wire *w, evi_field *f)
{
    uint64_t length = 0;
    if (!evi_wire_varint(w, &length))
        return damaged(w, "a length is cut off or too long");
    if (length > evi_wire_left(w))
        return damaged(w, "a length reaches past the end of what holds it");
    f->body =
        (evi_wire){.at = w->at, .end = w->at + length, .file = w->file, .depth = w->depth + 1};
    w->at += length;
    return 1;
}

int32_t evi_wire_next(evi_wire *w, evi_field *f)
{
    if (w->at == w->end)
        return 0;
    if (w->depth > EVI_WIRE_DEPTH)
        return damaged(w, "nested too deeply");
    uint64_t tag = 0;
    if (!evi_wire_varint(w, &tag) || tag >> 32 != 0 || tag >> 3 == 0)
        return damaged(w, "not the start of a field");
    *f = (evi_field){.number = (uint32_t)(tag >> 3), .type = (int32_t)(tag & 7)};
    switch (f->type) {
    case EVI_WIRE_VARINT:
    case EVI_WIRE_FIXED32:
    case EVI_WIRE_FIXED64:
        return read_scalar(w, f->type, &f->value) ? 1 : damaged(w, "a number is cut off");
    case EVI_WIRE_BYTES: return read_body(w, f);
    default: /* groups have long been withdrawn, and would need recursion */
        return damaged(w, "a kind of field that ONNX does not use");
    }
}

ev_status evi_wire_expect(const evi_field *f, int32_t type, const char *what)
{
    if (f->type != type)
        return evi_fail(EV_ERR_FORMAT, "%s: wrong kind of field (%d, not %d)", what, (int)f->type,
                        (int)type);
    return EV_OK;
}

bool evi_wire_element(evi_field *f, int32_t type, int32_t *state, uint64_t *out)
{
    if (f->type == EVI_WIRE_BYTES)
        return f->body.at < f->body.end && read_scalar(&f->body, type, out);
    if (f->type != type || *state != 0)
        return false;
    *state = 1;
    *out = f->value;
    return true;
}

/* ---- texts ----------------------------------------------------------------------------------- */

bool evi_span_is(evi_span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.at, text, s.n) == 0;
}

bool evi_span_equal(evi_span a, evi_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.at, b.at, a.n) == 0);
}

const char *evi_span_text(evi_span s, char *buf)
{
    uint64_t n = EVI_MIN(s.n, EVI_SPAN_TEXT - 4), i = 0;
    for (; i < n; i++) {
        unsigned char c = (unsigned char)s.at[i];
        buf[i] = (char)(c < 32 || c == 127 ? '?' : c);
    }
    memcpy(buf + i, s.n > n ? "..." : "", s.n > n ? 4 : 1);
    return buf;
}

/* ---- numbers --------------------------------------------------------------------------------- */

float evi_wire_float(uint64_t bits)
{
    uint32_t b = (uint32_t)bits;
    float f = 0;
    memcpy(&f, &b, sizeof(f));
    return f;
}

double evi_wire_double(uint64_t bits)
{
    double d = 0;
    memcpy(&d, &bits, sizeof(d));
    return d;
}

float evi_half_to_float(uint32_t bits)
{
    uint32_t sign = (bits >> 15 & 1) << 31, exponent = bits >> 10 & 31, fraction = bits & 1023;
    if (exponent == 31) /* infinity, NaN */
        return evi_wire_float(sign | 0x7f800000u | fraction << 13);
    if (exponent != 0)
        return evi_wire_float(sign | (exponent + 112) << 23 | fraction << 13);
    float small = ldexpf((float)fraction, -24);
    return sign != 0 ? -small : small;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int32_t varint_into(uint8_t *to, uint64_t value)
{
    int32_t n = 0;
    for (; value >= 0x80; value >>= 7)
        to[n++] = (uint8_t)(value | 0x80);
    to[n++] = (uint8_t)value;
    return n;
}

int32_t evi_varint_bytes(uint64_t value)
{
    int32_t n = 1;
    while (value >>= 7)
        n++;
    return n;
}

void evi_put_varint(evi_text *t, uint64_t value)
{
    uint8_t buf[10];
    evi_text_bytes(t, buf, (uint64_t)varint_into(buf, value));
}

void evi_put_tag(evi_text *t, uint32_t number, int32_t type)
{
    evi_put_varint(t, (uint64_t)number << 3 | (uint64_t)type);
}

void evi_put_int(evi_text *t, uint32_t number, int64_t value)
{
    evi_put_tag(t, number, EVI_WIRE_VARINT);
    evi_put_varint(t, (uint64_t)value);
}

void evi_put_float(evi_text *t, uint32_t number, float value)
{
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof(bits));
    uint8_t buf[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16),
                      (uint8_t)(bits >> 24)};
    evi_put_tag(t, number, EVI_WIRE_FIXED32);
    evi_text_bytes(t, buf, 4);
}

void evi_put_bytes(evi_text *t, uint32_t number, const void *from, uint64_t n_bytes)
{
    evi_put_tag(t, number, EVI_WIRE_BYTES);
    evi_put_varint(t, n_bytes);
    if (n_bytes > 0)
        evi_text_bytes(t, from, n_bytes);
}

void evi_put_string(evi_text *t, uint32_t number, const char *text)
{
    evi_put_bytes(t, number, text, strlen(text));
}

uint64_t evi_put_begin(evi_text *t, uint32_t number)
{
    evi_put_tag(t, number, EVI_WIRE_BYTES);
    evi_text_bytes(t, "", 1); /* room for the length; widened in evi_put_end when it needs more */
    return t->length;
}

void evi_put_end(evi_text *t, uint64_t mark)
{
    if (t->status != EV_OK)
        return;
    uint64_t length = t->length - mark;
    uint8_t buf[10] = {0};
    int32_t n = varint_into(buf, length);
    evi_text_bytes(t, buf, (uint64_t)n - 1); /* any bytes: makes room */
    if (t->status != EV_OK)
        return;
    memmove(t->data + mark + n - 1, t->data + mark, (size_t)length);
    memcpy(t->data + mark - 1, buf, (size_t)n);
}
