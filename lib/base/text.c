/* SPDX-License-Identifier: MIT */
/* A growing text, and numbers that look the same in every locale. */
#include "base/base.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES 512

void evi_text_start(evi_text *t, ev_context *ctx)
{
    memset(t, 0, sizeof(*t));
    t->ctx = ctx;
}

void evi_text_end(evi_text *t)
{
    evi_free(t->data);
    memset(t, 0, sizeof(*t));
}

/* Room for n bytes more and the zero byte. */
static bool reserve(evi_text *t, uint64_t n)
{
    uint64_t need = 0;
    if (t->status != EV_OK)
        return false;
    if (!evi_add(t->length, n, &need) || !evi_add(need, 1, &need)) {
        t->status = evi_fail(EV_ERR_MEMORY, "text too long");
        return false;
    }
    if (need <= t->capacity)
        return true;
    uint64_t capacity = EVI_MAX(EVI_MAX(need, 2 * t->capacity), 256);
    t->status = evi_realloc(t->ctx, capacity, 1, &t->data);
    if (t->status == EV_OK)
        t->capacity = capacity;
    return t->status == EV_OK;
}

void evi_text_bytes(evi_text *t, const void *from, uint64_t n_bytes)
{
    if (!reserve(t, n_bytes))
        return;
    if (n_bytes > 0)
        memcpy(t->data + t->length, from, (size_t)n_bytes);
    t->length += n_bytes;
    t->data[t->length] = '\0';
}

void evi_text_add(evi_text *t, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n >= 0 && reserve(t, (uint64_t)n)) {
        (void)vsnprintf(t->data + t->length, (size_t)n + 1, format, again);
        t->length += (uint64_t)n;
    }
    va_end(again);
    va_end(args);
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* What the locale puts between 0 and 5 in "0.5".  localeconv() is not safe among threads. */
static size_t decimal_point(char out[16])
{
    char half[32];
    int n = snprintf(half, sizeof(half), "%.1f", 0.5);
    if (n < 3 || n > 16) {
        memcpy(out, ".", 2);
        return 1;
    }
    memcpy(out, half + 1, (size_t)n - 2);
    out[n - 2] = '\0';
    return (size_t)n - 2;
}

static void format_double(double value, int precision, char out[64])
{
    char point[16];
    size_t point_bytes = decimal_point(point);
    (void)snprintf(out, 64, "%.*g", precision, value);
    char *at = point_bytes == 1 && point[0] == '.' ? NULL : strstr(out, point);
    if (at != NULL) {
        *at = '.';
        memmove(at + 1, at + point_bytes, strlen(at + point_bytes) + 1);
    }
}

void evi_text_double(evi_text *t, double value)
{
    char out[64];
    if (isnan(value) || isinf(value)) {
        evi_text_add(t, "%s", isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
        return;
    }
    bool single = (double)(float)value == value; /* then nine digits always give it back */
    for (int precision = 1; precision <= 9; precision++) {
        double back = 0;
        format_double(value, precision, out);
        if (precision < 9 && evi_parse_double(out, strlen(out), &back) &&
            (back == value || (single && (float)back == (float)value)))
            break;
    }
    evi_text_add(t, "%s", out);
}

static uint64_t digits(const char *text, uint64_t length, uint64_t at)
{
    uint64_t start = at;
    while (at < length && text[at] >= '0' && text[at] <= '9')
        at++;
    return at - start;
}

/* Length of [+-] digits [. digits] [e [+-] digits]; 0 when the text is something else. */
static bool is_decimal(const char *text, uint64_t length, uint64_t *point)
{
    uint64_t at = length > 0 && (text[0] == '-' || text[0] == '+');
    uint64_t n = digits(text, length, at);
    *point = length;
    at += n;
    if (at < length && text[at] == '.') {
        *point = at;
        uint64_t fraction = digits(text, length, at + 1);
        at += 1 + fraction;
        n += fraction;
    }
    if (n == 0)
        return false;
    if (at < length && (text[at] == 'e' || text[at] == 'E')) {
        at++;
        at += at < length && (text[at] == '-' || text[at] == '+');
        n = digits(text, length, at);
        if (n == 0)
            return false;
        at += n;
    }
    return at == length;
}

static bool is_special(const char *text, uint64_t length, double *out)
{
    bool minus = length > 0 && text[0] == '-';
    uint64_t sign = length > 0 && (text[0] == '-' || text[0] == '+');
    if (length - sign != 3)
        return false;
    char low[3];
    for (uint64_t i = 0; i < 3; i++)
        low[i] = (char)(text[sign + i] | 0x20);
    if (memcmp(low, "nan", 3) == 0)
        *out = (double)NAN;
    else if (memcmp(low, "inf", 3) == 0)
        *out = minus ? -(double)INFINITY : (double)INFINITY;
    else
        return false;
    return true;
}

bool evi_parse_double(const char *text, uint64_t length, double *out)
{
    char copy[NUMBER_BYTES], point[16];
    uint64_t at = 0;
    if (text == NULL || length == 0 || length + sizeof(point) >= sizeof(copy))
        return false;
    if (is_special(text, length, out))
        return true;
    if (!is_decimal(text, length, &at))
        return false;
    /* strtod() rounds rightly but wants the locale's point: give it that. */
    size_t point_bytes = decimal_point(point);
    memcpy(copy, text, (size_t)at);
    uint64_t n = at;
    if (at < length) {
        memcpy(copy + n, point, point_bytes);
        n += point_bytes;
        memcpy(copy + n, text + at + 1, (size_t)(length - at - 1));
        n += length - at - 1;
    }
    copy[n] = '\0';
    int saved_errno = errno; /* too large gives infinity, too small zero: both as in IEEE 754 */
    char *end = NULL;
    *out = strtod(copy, &end);
    errno = saved_errno;
    return end == copy + n;
}

bool evi_parse_int(const char *text, uint64_t length, int64_t *out)
{
    if (text == NULL || length == 0)
        return false;
    bool minus = text[0] == '-';
    uint64_t at = minus || text[0] == '+';
    if (at == length || digits(text, length, at) != length - at)
        return false;
    int64_t value = 0;
    for (; at < length; at++) {
        int64_t digit = text[at] - '0';
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, minus ? -digit : digit, &value))
            return false;
    }
    *out = value;
    return true;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Bytes of the UTF-8 character at s, 1..4; 0 when it is not one (RFC 3629). */
static int utf8_bytes(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    int n = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
            : (s[0] & 0xf0) == 0xe0        ? 3
            : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                           : 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

void evi_text_json_string(evi_text *t, const char *s)
{
    evi_text_bytes(t, "\"", 1);
    for (const unsigned char *c = (const unsigned char *)s; *c != '\0';) {
        int n = utf8_bytes(c);
        if (n == 0) /* names of files may be any bytes; JSON may not */
            evi_text_bytes(t, "\\ufffd", 6);
        else if (*c == '"' || *c == '\\')
            evi_text_add(t, "\\%c", *c);
        else if (*c == '\n')
            evi_text_bytes(t, "\\n", 2);
        else if (*c < 0x20 || *c == 0x7f)
            evi_text_add(t, "\\u%04x", *c);
        else
            evi_text_bytes(t, c, (uint64_t)n);
        c += n == 0 ? 1 : n;
    }
    evi_text_bytes(t, "\"", 1);
}
