/* SPDX-License-Identifier: MIT */
/* TensorProto: types, and elements from raw_data or the typed fields. */
#include "onnx/onnx.h"

#include <string.h>

int32_t evi_onnx_type(int32_t onnx_type)
{
    switch (onnx_type) {
    case ONNX_FLOAT:
    case ONNX_FLOAT16: /* computed in float32 */
    case ONNX_BFLOAT16:
    case ONNX_DOUBLE: return EV_TYPE_FLOAT32;
    case ONNX_UINT8: return EV_TYPE_UINT8;
    case ONNX_INT8: return EV_TYPE_INT8;
    case ONNX_INT32: return EV_TYPE_INT32;
    case ONNX_INT64: return EV_TYPE_INT64;
    case ONNX_BOOL: return EV_TYPE_BOOL;
    default: return 0;
    }
}

int32_t evi_onnx_type_of(int32_t type)
{
    switch (type) {
    case EV_TYPE_FLOAT32: return ONNX_FLOAT;
    case EV_TYPE_UINT8: return ONNX_UINT8;
    case EV_TYPE_INT8: return ONNX_INT8;
    case EV_TYPE_INT32: return ONNX_INT32;
    case EV_TYPE_INT64: return ONNX_INT64;
    case EV_TYPE_BOOL: return ONNX_BOOL;
    default: return 0;
    }
}

static uint64_t raw_bytes(int32_t onnx_type)
{
    switch (onnx_type) {
    case ONNX_DOUBLE:
    case ONNX_INT64: return 8;
    case ONNX_FLOAT:
    case ONNX_INT32: return 4;
    case ONNX_FLOAT16:
    case ONNX_BFLOAT16: return 2;
    default: return 1;
    }
}

/* ---- looking through ------------------------------------------------------------------------- */

static ev_status add_dim(evi_shape *shape, evi_field *f)
{
    int32_t state = 0;
    uint64_t dim = 0;
    while (evi_wire_element(f, EVI_WIRE_VARINT, &state, &dim)) {
        if (shape->rank == EV_MAX_RANK)
            return evi_fail(EV_ERR_UNSUPPORTED, "the rank is over %d", EV_MAX_RANK);
        if (dim > INT32_MAX)
            return evi_fail(EV_ERR_FORMAT, "dimension %d is %lld", (int)shape->rank,
                            (long long)dim);
        shape->dim[shape->rank++] = (int64_t)dim;
    }
    return EV_OK;
}

static ev_status tensor_field(evi_onnx_tensor *t, evi_field *f)
{
    switch (f->number) {
    case TENSOR_DIMS: return add_dim(&t->shape, f);
    case TENSOR_TYPE:
        EVI_TRY(evi_wire_expect(f, EVI_WIRE_VARINT, "data_type"));
        t->onnx_type = f->value > 1000 ? 1000 : (int32_t)f->value;
        return EV_OK;
    case TENSOR_NAME:
        EVI_TRY(evi_wire_expect(f, EVI_WIRE_BYTES, "name"));
        t->name = evi_wire_span(&f->body);
        return EV_OK;
    case TENSOR_RAW:
        EVI_TRY(evi_wire_expect(f, EVI_WIRE_BYTES, "raw_data"));
        t->raw = f->body;
        t->has_raw = 1;
        return EV_OK;
    case TENSOR_SEGMENT: return evi_fail(EV_ERR_UNSUPPORTED, "tensors in segments");
    case TENSOR_EXTERNAL:
        return evi_fail(EV_ERR_UNSUPPORTED, "external data: only weights inside the file are read");
    case TENSOR_LOCATION:
        if (f->type != EVI_WIRE_VARINT || f->value != 0)
            return evi_fail(EV_ERR_UNSUPPORTED,
                            "external data: only weights inside the file are read");
        return EV_OK;
    default: return EV_OK;
    }
}

ev_status evi_onnx_tensor_parse(evi_wire body, evi_onnx_tensor *out)
{
    char text[EVI_SPAN_TEXT];
    *out = (evi_onnx_tensor){.body = body, .value = EV_NO_VALUE};
    evi_field f;
    int32_t more;
    while ((more = evi_wire_next(&body, &f)) > 0) {
        ev_status status = tensor_field(out, &f);
        if (status != EV_OK)
            return evi_fail_in(status, "tensor '%s'", evi_span_text(out->name, text));
    }
    if (more < 0)
        return evi_fail_in(EV_ERR_FORMAT, "tensor '%s'", evi_span_text(out->name, text));
    out->type = evi_onnx_type(out->onnx_type);
    if (out->type == 0)
        return evi_fail(EV_ERR_UNSUPPORTED, "tensor '%s': element type %d",
                        evi_span_text(out->name, text), (int)out->onnx_type);
    EVI_TRY(evi_shape_check(&out->shape, evi_span_text(out->name, text)));
    out->count = evi_shape_count(&out->shape);
    /* before anybody sets memory aside: a number takes a byte in the file at the very least */
    uint64_t n = (uint64_t)out->count * (out->has_raw ? raw_bytes(out->onnx_type) : 1);
    uint64_t have = evi_wire_left(out->has_raw ? &out->raw : &out->body);
    if (out->has_raw ? n != have : n > have)
        return evi_fail(EV_ERR_FORMAT, "tensor '%s': %lld elements in %llu bytes",
                        evi_span_text(out->name, text), (long long)out->count,
                        (unsigned long long)have);
    return EV_OK;
}

/* ---- elements -------------------------------------------------------------------------------- */

static uint64_t little(const uint8_t *at, uint64_t n_bytes)
{
    uint64_t value = 0;
    for (uint64_t i = 0; i < n_bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static evi_real real_from(int32_t onnx_type, uint64_t bits)
{
    switch (onnx_type) {
    case ONNX_DOUBLE: return (evi_real)evi_wire_double(bits);
    case ONNX_FLOAT16: return (evi_real)evi_half_to_float((uint32_t)bits & 0xffff);
    case ONNX_BFLOAT16: return (evi_real)evi_wire_float((bits & 0xffff) << 16);
    default: return (evi_real)evi_wire_float(bits);
    }
}

static void store(const evi_onnx_tensor *t, int64_t i, uint64_t bits, void *to)
{
    switch (t->type) {
    case EV_TYPE_FLOAT32: ((evi_real *)to)[i] = real_from(t->onnx_type, bits); break;
    case EV_TYPE_INT64: ((int64_t *)to)[i] = (int64_t)bits; break;
    case EV_TYPE_INT32: ((int32_t *)to)[i] = (int32_t)(uint32_t)bits; break;
    case EV_TYPE_BOOL: ((uint8_t *)to)[i] = (uint8_t)bits != 0; break;
    default: ((uint8_t *)to)[i] = (uint8_t)bits; break;
    }
}

/* Whether the bytes of the file are the elements as they lie in memory here. */
static bool same_bytes(int32_t onnx_type)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return onnx_type == ONNX_INT64 || onnx_type == ONNX_INT32 ||
           (onnx_type == ONNX_FLOAT && sizeof(evi_real) == 4);
#else
    return onnx_type < 0;
#endif
}

const void *evi_onnx_tensor_in_place(const evi_onnx_tensor *t)
{
    bool fits = t->has_raw && t->count > 0 && same_bytes(t->onnx_type) &&
                t->type == EV_TYPE_FLOAT32 && (uintptr_t)t->raw.at % EVI_ALIGN == 0;
    return fits ? t->raw.at : NULL;
}

static void read_raw(const evi_onnx_tensor *t, void *to)
{
    uint64_t size = raw_bytes(t->onnx_type);
    if (same_bytes(t->onnx_type)) {
        if (t->count > 0)
            memcpy(to, t->raw.at, (size_t)((uint64_t)t->count * size));
        return;
    }
    for (int64_t i = 0; i < t->count; i++)
        store(t, i, little(t->raw.at + (uint64_t)i * size, size), to);
}

/* Which typed field holds the elements of a type, and how they are packed there. */
static uint32_t typed_field(int32_t onnx_type, int32_t *wire_type)
{
    *wire_type = EVI_WIRE_VARINT;
    switch (onnx_type) {
    case ONNX_FLOAT: *wire_type = EVI_WIRE_FIXED32; return TENSOR_FLOAT;
    case ONNX_DOUBLE: *wire_type = EVI_WIRE_FIXED64; return TENSOR_DOUBLE;
    case ONNX_INT64: return TENSOR_INT64;
    default: return TENSOR_INT32;
    }
}

static ev_status read_typed(const evi_onnx_tensor *t, void *to)
{
    int32_t wire_type;
    uint32_t number = typed_field(t->onnx_type, &wire_type);
    evi_wire body = t->body;
    evi_field f;
    int64_t i = 0;
    int32_t more;
    while ((more = evi_wire_next(&body, &f)) > 0) {
        int32_t state = 0;
        uint64_t bits = 0;
        while (f.number == number && evi_wire_element(&f, wire_type, &state, &bits)) {
            if (i == t->count)
                return evi_fail(EV_ERR_FORMAT, "more than %lld elements", (long long)t->count);
            store(t, i++, bits, to);
        }
    }
    if (more < 0)
        return EV_ERR_FORMAT;
    if (i != t->count)
        return evi_fail(EV_ERR_FORMAT, "%lld elements instead of %lld", (long long)i,
                        (long long)t->count);
    return EV_OK;
}

ev_status evi_onnx_tensor_read(const evi_onnx_tensor *t, void *to)
{
    char text[EVI_SPAN_TEXT];
    if (t->has_raw) {
        read_raw(t, to);
        return EV_OK;
    }
    ev_status status = read_typed(t, to);
    if (status != EV_OK)
        return evi_fail_in(status, "tensor '%s'", evi_span_text(t->name, text));
    return EV_OK;
}

ev_status evi_onnx_tensor_load(ev_context *ctx, const evi_onnx_tensor *t, ev_tensor **out)
{
    EVI_TRY(ev_tensor_create(ctx, t->type, t->shape.rank, t->shape.dim, out));
    ev_status status = evi_onnx_tensor_read(t, ev_tensor_data(*out));
    if (status != EV_OK) {
        ev_tensor_destroy(*out);
        *out = NULL;
    }
    return status;
}
