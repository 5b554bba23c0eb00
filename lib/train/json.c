/* SPDX-License-Identifier: MIT */
/* The few kinds of JSON that a safetensors header has.  No recursion: depth is the caller's. */
#include "train/safetensors.h"

static void blanks(evi_json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r'))
        j->at++;
}

bool evi_json_take(evi_json *j, char c)
{
    blanks(j);
    if (j->failed || j->at >= j->end || *j->at != c)
        return false;
    j->at++;
    return true;
}

void evi_json_need(evi_json *j, char c)
{
    if (!evi_json_take(j, c))
        j->failed = true;
}

int64_t evi_json_count(evi_json *j)
{
    int64_t value = 0;
    const char *first;
    blanks(j);
    first = j->at;
    while (!j->failed && j->at < j->end && *j->at >= '0' && *j->at <= '9') {
        value = value * 10 + (*j->at++ - '0');
        if (value > (int64_t)1 << 53)
            j->failed = true;
    }
    if (j->at == first || (*first == '0' && j->at - first > 1))
        j->failed = true;
    return j->failed ? 0 : value;
}

/* ---- strings ------------------------------------------------------------------------------- */

static int32_t hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four hexadecimal digits; -1: not there. */
static int32_t code_unit(evi_json *j)
{
    int32_t value = 0;
    if (j->end - j->at < 4)
        return -1;
    for (int32_t i = 0; i < 4; i++) {
        int32_t digit = hex_digit(*j->at++);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static char *put_utf8(char *to, int32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *to++ = (char)(0xE0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    } else {
        *to++ = (char)(0xF0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3F));
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    }
    return to;
}

/* After "\u": a character, of two code units when beyond 16 bits; -1: damaged.  0 is refused, since
 * it would end the text. */
static int32_t code_point(evi_json *j)
{
    int32_t c = code_unit(j);
    if (c <= 0 || (c >= 0xDC00 && c < 0xE000))
        return -1;
    if (c < 0xD800 || c >= 0xE000)
        return c;
    if (j->end - j->at < 6 || j->at[0] != '\\' || j->at[1] != 'u')
        return -1;
    j->at += 2;
    int32_t low = code_unit(j);
    if (low < 0xDC00 || low >= 0xE000)
        return -1;
    return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
}

/* After a backslash: writes what it means (never more bytes than were read). */
static char *unescape(evi_json *j, char *to)
{
    static const char from[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    if (j->at >= j->end)
        return NULL;
    char c = *j->at++;
    if (c == 'u') {
        int32_t code = code_point(j);
        return code < 0 ? NULL : put_utf8(to, code);
    }
    for (int32_t i = 0; from[i] != '\0'; i++)
        if (from[i] == c) {
            *to++ = meaning[i];
            return to;
        }
    return NULL;
}

char *evi_json_string(evi_json *j)
{
    evi_json_need(j, '"');
    char *first = j->at, *to = j->at;
    while (!j->failed) {
        if (j->at >= j->end || (unsigned char)*j->at < 0x20)
            break;
        char c = *j->at++;
        if (c == '"') {
            *to = '\0'; /* where the quote was, or before it */
            return first;
        }
        if (c != '\\') {
            *to++ = c;
            continue;
        }
        to = unescape(j, to);
        if (to == NULL)
            break;
    }
    j->failed = true;
    return NULL;
}
