/* SPDX-License-Identifier: MIT */
/**
 * @file edgevision/tensor.h
 * A tensor: a type, a shape and contiguous memory.                                    (tier 0)
 *
 * The words for ownership, threads and shapes are those of edgevision/base.h.
 */
#ifndef EDGEVISION_TENSOR_H
#define EDGEVISION_TENSOR_H

#include <edgevision/base.h>

EV_BEGIN_DECLS

/** Element types.  A number, once given, keeps its meaning. */
enum {
    EV_TYPE_FLOAT32 = 1,
    EV_TYPE_UINT8 = 2,
    EV_TYPE_INT8 = 3,
    EV_TYPE_INT32 = 4,
    EV_TYPE_INT64 = 5,
    EV_TYPE_BOOL = 6,    /**< one byte, 0 or 1; only as input or output of imported models */
    EV_TYPE_FLOAT64 = 7, /**< reserved */
    EV_TYPE_FLOAT16 = 8  /**< reserved */
};

/** Most dimensions that a tensor may have. */
#define EV_MAX_RANK 8

/** Elements with a shape.  Threads: single (reading alone: any). */
typedef struct ev_tensor ev_tensor;

/**
 * Make a tensor with memory of its own, filled with zero bytes, aligned to 64 bytes.
 *
 * @param ctx  [share]  allocator and limit
 * @param type EV_TYPE_FLOAT32..EV_TYPE_BOOL
 * @param rank 0..8; 0 is a scalar of one element
 * @param dims [borrow] rank sizes, each 0..2^31-1, product at most 2^31-1; NULL when rank is 0
 * @param out  [new]    ev_tensor_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_SHAPE: rank or size out of range; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_tensor_create(ev_context *ctx, int32_t type, int32_t rank, const int64_t *dims,
                                  ev_tensor **out);

/**
 * Make a tensor over the caller's memory, which must stay valid and in place as long as the
 * tensor or a view of it lives.  Any alignment.
 *
 * @param data    [borrow for the tensor's life] not NULL unless the tensor is empty
 * @param n_bytes what lies at @p data; at least what the shape needs
 * @return as ev_tensor_create(); EV_ERR_ARGUMENT: n_bytes too small
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_tensor_wrap(ev_context *ctx, int32_t type, int32_t rank, const int64_t *dims,
                                void *data, uint64_t n_bytes, ev_tensor **out);

/**
 * A view of a contiguous part: entries start..start+count-1 along the first dimension, seen in
 * the same or another shape.  Shares the memory; keeps the base alive.
 *
 * @param base  [share]
 * @param start first entry along dimension 0, 0..dims[0]; a scalar has one entry
 * @param count entries, start + count <= dims[0]
 * @param rank  of the view, or -1 to keep the other dimensions
 * @param dims  [borrow] shape of the view (same number of elements); NULL when rank is -1 or 0
 * @param out   [new]   ev_tensor_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_SHAPE: numbers of elements differ; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_tensor_view(ev_tensor *base, int64_t start, int64_t count, int32_t rank,
                                const int64_t *dims, ev_tensor **out);

/** Take another reference.  NULL is fine.  Threads: any.  Since: 0.1 */
EV_API ev_tensor *ev_tensor_ref(ev_tensor *tensor);

/** Give back one reference.  NULL is fine.  Threads: any.  Since: 0.1 */
EV_API void ev_tensor_destroy(ev_tensor *tensor);

/** EV_TYPE_*; 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_tensor_type(const ev_tensor *tensor);
/** Number of dimensions, 0..8; -1 for NULL.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_tensor_rank(const ev_tensor *tensor);
/** Size of dimension @p axis, or -1 when there is none such.  Threads: any.  Since: 0.1 */
EV_API int64_t ev_tensor_dim(const ev_tensor *tensor, int32_t axis);
/** Number of elements; 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API int64_t ev_tensor_count(const ev_tensor *tensor);
/** Number of bytes; 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API uint64_t ev_tensor_bytes(const ev_tensor *tensor);
/** The elements, borrowed; NULL for NULL.  Threads: any.  Since: 0.1 */
EV_API void *ev_tensor_data(const ev_tensor *tensor);

/**
 * Copy all elements in, or out.
 *
 * @param from,to [borrow] exactly n_bytes, which must equal ev_tensor_bytes()
 * @return EV_OK; EV_ERR_ARGUMENT: a pointer is NULL or the sizes differ
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_tensor_copy_in(ev_tensor *tensor, const void *from, uint64_t n_bytes);
EV_API ev_status ev_tensor_copy_out(const ev_tensor *tensor, void *to, uint64_t n_bytes);

/** Bytes of one element of a type; 0 for an unknown one.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_type_bytes(int32_t type);
/** Name of a type, "float32"; "?" for an unknown one.  Static.  Threads: any.  Since: 0.1 */
EV_API const char *ev_type_name(int32_t type);

EV_END_DECLS

#endif /* EDGEVISION_TENSOR_H */
