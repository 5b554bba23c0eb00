/* SPDX-License-Identifier: MIT */
/* Tensors: own memory, the caller's memory, or a part of another tensor. */
#include "tensor/tensor.h"

#include <string.h>

/* Check everything and make the object; its memory is the caller's affair. */
static ev_status tensor_new(ev_context *ctx, int32_t type, int32_t rank, const int64_t *dims,
                            const char *function, ev_tensor **out)
{
    evi_shape shape;
    ev_tensor *t = NULL;
    EVI_TRY(evi_check_handle(ctx, EVI_MAGIC_CONTEXT, function, "ctx"));
    if (type < EV_TYPE_FLOAT32 || type > EV_TYPE_BOOL)
        return evi_fail(EV_ERR_ARGUMENT, "%s: type %d (%s) is not one that tensors can have",
                        function, type, ev_type_name(type));
    EVI_TRY(evi_shape_set(&shape, rank, dims, function));
    EVI_TRY(evi_calloc(ctx, 1, sizeof(*t), &t));
    evi_handle_start(&t->handle, EVI_MAGIC_TENSOR, ctx);
    t->type = type;
    t->shape = shape;
    t->n_bytes = (uint64_t)evi_shape_count(&shape) * (uint64_t)evi_type_bytes(type);
    *out = t;
    return EV_OK;
}

ev_status ev_tensor_create(ev_context *ctx, int32_t type, int32_t rank, const int64_t *dims,
                           ev_tensor **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    ev_tensor *t = NULL;
    EVI_TRY(tensor_new(ctx, type, rank, dims, __func__, &t));
    ev_status status = evi_calloc(ctx, t->n_bytes, 1, &t->owned);
    if (status != EV_OK) {
        ev_tensor_destroy(t);
        return status;
    }
    t->data = t->owned;
    *out = t;
    return EV_OK;
}

ev_status ev_tensor_wrap(ev_context *ctx, int32_t type, int32_t rank, const int64_t *dims,
                         void *data, uint64_t n_bytes, ev_tensor **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    ev_tensor *t = NULL;
    EVI_TRY(tensor_new(ctx, type, rank, dims, __func__, &t));
    ev_status status = EV_OK;
    if (n_bytes < t->n_bytes)
        status = evi_fail(EV_ERR_ARGUMENT, "ev_tensor_wrap: n_bytes is %llu, the shape needs %llu",
                          (unsigned long long)n_bytes, (unsigned long long)t->n_bytes);
    else if (data == NULL && t->n_bytes > 0)
        status = evi_fail(EV_ERR_ARGUMENT, "ev_tensor_wrap: data is NULL");
    if (status != EV_OK) {
        ev_tensor_destroy(t);
        return status;
    }
    t->data = data;
    *out = t;
    return EV_OK;
}

/* The shape of entries start..start+count-1 of base, as the caller wants to see them. */
static ev_status view_shape(const ev_tensor *base, int64_t start, int64_t count, int32_t rank,
                            const int64_t *dims, evi_shape *out)
{
    evi_shape part = base->shape;
    int64_t entries = part.rank > 0 ? part.dim[0] : 1;
    if (start < 0 || count < 0 || start > entries || count > entries - start)
        return evi_fail(EV_ERR_ARGUMENT,
                        "ev_tensor_view: start %lld and count %lld of %lld entries",
                        (long long)start, (long long)count, (long long)entries);
    if (part.rank == 0) /* one entry or none of a scalar is a vector of so many */
        part.rank = count == 1 ? 0 : 1;
    if (part.rank > 0)
        part.dim[0] = count;
    *out = part;
    if (rank == -1)
        return EV_OK;
    EVI_TRY(evi_shape_set(out, rank, dims, "ev_tensor_view"));
    if (evi_shape_count(out) != evi_shape_count(&part)) {
        char wanted[EVI_SHAPE_TEXT], there[EVI_SHAPE_TEXT];
        return evi_fail(EV_ERR_SHAPE, "ev_tensor_view: %s cannot be seen as %s",
                        evi_shape_text(&part, there), evi_shape_text(out, wanted));
    }
    return EV_OK;
}

ev_status ev_tensor_view(ev_tensor *base, int64_t start, int64_t count, int32_t rank,
                         const int64_t *dims, ev_tensor **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(base, EVI_MAGIC_TENSOR);
    evi_shape shape;
    ev_tensor *t = NULL;
    EVI_TRY(view_shape(base, start, count, rank, dims, &shape));
    EVI_TRY(tensor_new(base->handle.ctx, base->type, shape.rank, shape.dim, __func__, &t));
    int64_t entries = base->shape.rank > 0 ? base->shape.dim[0] : 1;
    uint64_t entry_bytes = entries > 0 ? base->n_bytes / (uint64_t)entries : 0;
    if (base->data != NULL)
        t->data = (char *)base->data + (uint64_t)start * entry_bytes;
    t->base = ev_tensor_ref(base->base != NULL ? base->base : base);
    *out = t;
    return EV_OK;
}

ev_tensor *ev_tensor_ref(ev_tensor *tensor)
{
    return evi_handle_ref(tensor, EVI_MAGIC_TENSOR);
}

void ev_tensor_destroy(ev_tensor *tensor)
{
    if (!evi_handle_drop(tensor, EVI_MAGIC_TENSOR))
        return;
    evi_free(tensor->owned);
    ev_tensor_destroy(tensor->base); /* never a view itself: no deep recursion */
    evi_handle_end(tensor);
}

/* ---- questions ------------------------------------------------------------------------------- */

static bool is_tensor(const ev_tensor *tensor)
{
    return tensor != NULL && tensor->handle.magic == EVI_MAGIC_TENSOR;
}

int32_t ev_tensor_type(const ev_tensor *tensor)
{
    return is_tensor(tensor) ? tensor->type : 0;
}

int32_t ev_tensor_rank(const ev_tensor *tensor)
{
    return is_tensor(tensor) ? tensor->shape.rank : -1;
}

int64_t ev_tensor_dim(const ev_tensor *tensor, int32_t axis)
{
    if (!is_tensor(tensor) || axis < 0 || axis >= tensor->shape.rank)
        return -1;
    return tensor->shape.dim[axis];
}

int64_t ev_tensor_count(const ev_tensor *tensor)
{
    return is_tensor(tensor) ? evi_shape_count(&tensor->shape) : 0;
}

uint64_t ev_tensor_bytes(const ev_tensor *tensor)
{
    return is_tensor(tensor) ? tensor->n_bytes : 0;
}

void *ev_tensor_data(const ev_tensor *tensor)
{
    return is_tensor(tensor) ? tensor->data : NULL;
}

static ev_status copy_check(const ev_tensor *tensor, const void *other, uint64_t n_bytes,
                            const char *function)
{
    EVI_TRY(evi_check_handle(tensor, EVI_MAGIC_TENSOR, function, "tensor"));
    if (n_bytes != tensor->n_bytes)
        return evi_fail(EV_ERR_ARGUMENT, "%s: n_bytes is %llu, the tensor has %llu", function,
                        (unsigned long long)n_bytes, (unsigned long long)tensor->n_bytes);
    if (other == NULL && n_bytes > 0)
        return evi_fail(EV_ERR_ARGUMENT, "%s: the memory to copy is NULL", function);
    return EV_OK;
}

ev_status ev_tensor_copy_in(ev_tensor *tensor, const void *from, uint64_t n_bytes)
{
    EVI_TRY(copy_check(tensor, from, n_bytes, __func__));
    if (n_bytes > 0)
        memmove(tensor->data, from, (size_t)n_bytes);
    return EV_OK;
}

ev_status ev_tensor_copy_out(const ev_tensor *tensor, void *to, uint64_t n_bytes)
{
    EVI_TRY(copy_check(tensor, to, n_bytes, __func__));
    if (n_bytes > 0)
        memmove(to, tensor->data, (size_t)n_bytes);
    return EV_OK;
}
