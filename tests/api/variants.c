/* SPDX-License-Identifier: MIT */
#include "variants.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) ((int32_t)(sizeof(a) / sizeof((a)[0])))

static bool set(variant *v, int32_t expected, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool set(variant *v, int32_t expected, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(v->what, sizeof(v->what), format, args);
    va_end(args);
    v->expected = expected;
    return true;
}

static bool null_variant(const api_argument *arg, variant *v)
{
    v->value.p = NULL;
    if ((arg->flags & API_MAY_BE_BASED) != 0)
        return set(v, EXPECT_ANYTHING, "NULL");
    return set(v, (arg->flags & API_MAY_BE_NULL) != 0 ? EXPECT_OK : EXPECT_FAILURE, "NULL");
}

static bool handle_variant(const api_argument *arg, const api_world *w, int32_t i, variant *v)
{
    if (i == 0)
        return null_variant(arg, v);
    if (i >= API_N_HANDLES)
        return false;
    v->value.p = api_world_object(w, i);
    if (i == arg->handle || v->value.p == NULL) {
        v->value.p = api_world_object(w, arg->handle == API_ev_tensor ? API_ev_context
                                                                      : API_ev_tensor);
        return set(v, EXPECT_FAILURE, "a handle of another kind");
    }
    return set(v, EXPECT_FAILURE, "a handle of kind %s", api_handle_name(i));
}

/* ---- numbers: by index, for arguments and for fields ----------------------------------------- */

static const int32_t ints[] = {INT32_MIN, INT32_MAX, -1, -2, 0, 65537, 1 << 24};
static const int64_t longs[] = {INT64_MIN, INT64_MAX, -1, 0, (int64_t)1 << 31, (int64_t)1 << 61};
static const uint64_t sizes[] = {0, UINT64_MAX, 1, (uint64_t)1 << 32};
static const double floats[] = {NAN, INFINITY, -INFINITY, -1, 1e30, 1e-40};

static int32_t n_numbers(int32_t kind)
{
    switch (kind) {
    case API_I32:
    case API_U32: return COUNT(ints);
    case API_I64: return COUNT(longs);
    case API_U64: return COUNT(sizes);
    case API_F32:
    case API_F64: return COUNT(floats);
    default: return 0;
    }
}

/* Writes number i of this kind; gives its text. */
static void number(int32_t kind, int32_t i, api_slot *out, char text[48])
{
    memset(out, 0, sizeof(*out));
    switch (kind) {
    case API_I32:
    case API_U32: out->i32 = ints[i]; (void)snprintf(text, 48, "%ld", (long)ints[i]); break;
    case API_I64: out->i64 = longs[i]; (void)snprintf(text, 48, "%lld", (long long)longs[i]); break;
    case API_U64:
        out->u64 = sizes[i];
        (void)snprintf(text, 48, "%llu", (unsigned long long)sizes[i]);
        break;
    case API_F32: out->f32 = (float)floats[i]; (void)snprintf(text, 48, "%g", floats[i]); break;
    default: out->f64 = floats[i]; (void)snprintf(text, 48, "%g", floats[i]); break;
    }
}

static bool number_variant(const api_argument *arg, int32_t i, variant *v)
{
    char text[48];
    if (i >= n_numbers(arg->kind))
        return false;
    number(arg->kind, i, &v->value, text);
    bool must = arg->kind == API_U64                               ? false
                : arg->kind == API_F32 || arg->kind == API_F64 ? i == 0
                                                                   : i < 2;
    if ((arg->flags & API_MAY_BE_ANY) != 0)
        must = false;
    if ((arg->flags & API_MAY_BE_COUNT) != 0) {
        bool upward = arg->kind == API_U64 ? v->value.u64 > 1
                      : arg->kind == API_I64 ? v->value.i64 > 1
                                             : v->value.i32 > 1;
        if (upward)
            number(arg->kind, 0, &v->value, text);
    }
    return set(v, must ? EXPECT_FAILURE : EXPECT_ANYTHING, "%s", text);
}

/* ---- structs --------------------------------------------------------------------------------- */

static const struct {
    int32_t extra; /* bytes beyond the struct; -1: the size below */
    uint32_t size;
    bool set_byte;
    int32_t in, out; /* what is expected */
} stamps[] = {
    {-1, 0, false, EXPECT_FAILURE, EXPECT_FAILURE},
    {-1, 3, false, EXPECT_FAILURE, EXPECT_FAILURE},
    {-1, 65537, false, EXPECT_FAILURE, EXPECT_FAILURE},
    {-1, UINT32_MAX, false, EXPECT_FAILURE, EXPECT_FAILURE},
    {-1, 4, false, EXPECT_ANYTHING, EXPECT_ANYTHING},
    {0, 0, false, EXPECT_OK, EXPECT_OK},
    {64, 0, false, EXPECT_OK, EXPECT_OK},
    {64, 0, true, EXPECT_VERSION, EXPECT_OK},
};

/* Zeros; or, for options whose defaults are too large for a test, the good ones. */
static unsigned char *make_block(const api_argument *arg, api_slot good, size_t room)
{
    unsigned char *block = calloc(1, room);
    size_t n = arg->options->n_bytes < room ? arg->options->n_bytes : room;
    if (block != NULL && good.p != NULL && (arg->flags & API_MAY_BE_BASED) != 0)
        memcpy(block, good.p, n);
    return block;
}

/* The block is as large as its stamp says and no larger, so that reading past it is found. */
static bool stamp_variant(const api_argument *arg, api_slot good, int32_t i, variant *v)
{
    size_t n = arg->options->n_bytes;
    bool sized = stamps[i].extra < 0;
    uint32_t stamp = sized ? stamps[i].size : (uint32_t)n + (uint32_t)stamps[i].extra;
    size_t room = stamp < 4 || stamp > 65536 ? n : stamp;
    unsigned char *block = make_block(arg, good, room);
    if (block == NULL)
        return false;
    memcpy(block, &stamp, sizeof(stamp));
    if (stamps[i].set_byte)
        block[room - 1] = 1;
    v->block = v->value.p = block;
    int32_t expected = arg->kind == API_STRUCT_IN ? stamps[i].in : stamps[i].out;
    if ((arg->flags & API_MAY_BE_NEEDED) != 0 && expected == EXPECT_OK)
        expected = EXPECT_FAILURE;
    return set(v, expected, "struct_size %lu%s",
               (unsigned long)stamp, stamps[i].set_byte ? " with a set byte" : "");
}

static bool field_variant(const api_argument *arg, api_slot good, int32_t i, variant *v)
{
    const api_struct *s = arg->options;
    char text[48];
    for (int32_t k = 0; k < s->n_fields; k++) {
        const api_field *field = &s->fields[k];
        int32_t n = n_numbers(field->kind);
        if (i >= n) {
            i -= n;
            continue;
        }
        api_slot value;
        unsigned char *block = make_block(arg, good, s->n_bytes);
        if (block == NULL)
            return false;
        number(field->kind, i, &value, text);
        uint32_t stamp = (uint32_t)s->n_bytes;
        memcpy(block, &stamp, sizeof(stamp));
        bool wide = field->kind == API_I64 || field->kind == API_U64 || field->kind == API_F64;
        memcpy(block + field->offset, &value, wide ? 8 : 4);
        v->block = v->value.p = block;
        bool nan = (field->kind == API_F32 || field->kind == API_F64) && i == 0;
        if (strcmp(field->name, "reserved") == 0)
            return set(v,
                       strcmp(text, "0") != 0                           ? EXPECT_VERSION
                       : (arg->flags & API_MAY_BE_NEEDED) != 0 ? EXPECT_FAILURE
                                                                        : EXPECT_OK,
                       "%s.reserved = %s", s->name, text);
        return set(v, nan ? EXPECT_FAILURE : EXPECT_ANYTHING, "%s.%s = %s", s->name, field->name,
                   text);
    }
    return false;
}

static bool struct_variant(const api_argument *arg, api_slot good, int32_t i, variant *v)
{
    if (i == 0) {
        (void)null_variant(arg, v);
        return true;
    }
    if (i - 1 < COUNT(stamps))
        return stamp_variant(arg, good, i - 1, v);
    return arg->kind == API_STRUCT_IN && field_variant(arg, good, i - 1 - COUNT(stamps), v);
}

static bool text_variant(const api_argument *arg, int32_t i, variant *v)
{
    static const char *const texts[] = {"", "two\nlines", "\xff\xfe\x80", "a/../../b", "%s%n%d"};
    if (i == 0)
        return null_variant(arg, v);
    if ((arg->flags & API_MAY_BE_NULL) != 0 && strcmp(arg->name, "text") == 0)
        return false; /* of ev_string_destroy(): only what the library gave */
    if (i == 1) {
        char *block = malloc(5001);
        if (block == NULL)
            return false;
        memset(block, 'x', 5000);
        block[5000] = '\0';
        v->block = v->value.p = block;
        return set(v, EXPECT_ANYTHING, "5,000 letters");
    }
    if (i - 2 >= COUNT(texts))
        return false;
    v->value.p = (void *)(uintptr_t)texts[i - 2];
    return set(v, EXPECT_ANYTHING, "text %ld", (long)i - 2);
}

bool variant_at(const api_function *f, int32_t index, const api_world *w, api_slot good, int32_t i,
                variant *out)
{
    const api_argument *arg = &f->arguments[index];
    *out = (variant){.value = good};
    switch (arg->kind) {
    case API_HANDLE: return handle_variant(arg, w, i, out);
    case API_STRUCT_IN:
    case API_STRUCT_OUT: return struct_variant(arg, good, i, out);
    case API_TEXT: return text_variant(arg, i, out);
    case API_FN:
    case API_POINTER:
    case API_OUT_HANDLE:
    case API_OUT_POINTER:
    case API_OUT_NUMBER:
        out->value.fn = NULL;
        return i == 0 && null_variant(arg, out);
    default: return number_variant(arg, i, out);
    }
}
