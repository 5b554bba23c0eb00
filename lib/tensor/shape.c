/* SPDX-License-Identifier: MIT */
/* Shapes and element types. */
#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>

#define DIM_MAX ((int64_t)INT32_MAX)

int64_t evi_shape_count(const evi_shape *s)
{
    int64_t count = 1;
    for (int32_t i = 0; i < s->rank; i++)
        count *= s->dim[i];
    return count;
}

bool evi_shape_equal(const evi_shape *a, const evi_shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int32_t i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

ev_status evi_shape_check(const evi_shape *s, const char *what)
{
    if (s->rank < 0 || s->rank > EV_MAX_RANK)
        return evi_fail(EV_ERR_SHAPE, "%s: rank %d is not in 0..%d", what, s->rank, EV_MAX_RANK);
    int64_t count = 1;
    bool empty = false;
    for (int32_t i = 0; i < s->rank; i++) {
        if (s->dim[i] < 0 || s->dim[i] > DIM_MAX)
            return evi_fail(EV_ERR_SHAPE, "%s: dimension %d is %lld, not in 0..2147483647", what, i,
                            (long long)s->dim[i]);
        empty = empty || s->dim[i] == 0;
    }
    for (int32_t i = 0; i < s->rank && !empty; i++) {
        count *= s->dim[i]; /* both factors below 2^31: no overflow */
        if (count > DIM_MAX) {
            char text[EVI_SHAPE_TEXT];
            return evi_fail(EV_ERR_SHAPE, "%s: %s has more than 2147483647 elements", what,
                            evi_shape_text(s, text));
        }
    }
    return EV_OK;
}

ev_status evi_shape_set(evi_shape *s, int32_t rank, const int64_t *dims, const char *what)
{
    memset(s, 0, sizeof(*s));
    if (rank < 0 || rank > EV_MAX_RANK)
        return evi_fail(EV_ERR_SHAPE, "%s: rank %d is not in 0..%d", what, rank, EV_MAX_RANK);
    if (rank > 0 && dims == NULL)
        return evi_fail(EV_ERR_ARGUMENT, "%s: dims is NULL and rank %d", what, rank);
    s->rank = rank;
    if (rank > 0)
        memcpy(s->dim, dims, (size_t)rank * sizeof(*dims));
    return evi_shape_check(s, what);
}

const char *evi_shape_text(const evi_shape *s, char *buf)
{
    size_t at = 0;
    buf[at++] = '[';
    for (int32_t i = 0; i < s->rank && i < EV_MAX_RANK && at + 24 < EVI_SHAPE_TEXT; i++)
        at += (size_t)snprintf(buf + at, EVI_SHAPE_TEXT - at, i == 0 ? "%lld" : ",%lld",
                               (long long)s->dim[i]);
    (void)snprintf(buf + at, EVI_SHAPE_TEXT - at, "]");
    return buf;
}

/* ---- types ----------------------------------------------------------------------------------- */

int32_t evi_type_bytes(int32_t type)
{
    switch (type) {
    case EV_TYPE_FLOAT32: return (int32_t)sizeof(evi_real);
    case EV_TYPE_UINT8:
    case EV_TYPE_INT8:
    case EV_TYPE_BOOL: return 1;
    case EV_TYPE_FLOAT16: return 2;
    case EV_TYPE_INT32: return 4;
    case EV_TYPE_INT64:
    case EV_TYPE_FLOAT64: return 8;
    default: return 0;
    }
}

int32_t ev_type_bytes(int32_t type)
{
    return evi_type_bytes(type);
}

bool evi_type_is_real(int32_t type)
{
    return type == EV_TYPE_FLOAT32;
}

const char *ev_type_name(int32_t type)
{
    static const char *const names[] = {"?",     "float32", "uint8",   "int8",   "int32",
                                        "int64", "bool",    "float64", "float16"};
    return type > 0 && type < EVI_COUNT(names) ? names[type] : "?";
}
