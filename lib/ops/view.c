/* SPDX-License-Identifier: MIT */
/* Operations that keep the elements and their order: identity, flatten, reshape, squeeze,
 * unsqueeze.  Any type.
 *
 *   flatten    axis (ONNX default 1, may be negative, may equal the rank)
 *   reshape    list = shape, or input 1 (int64, known before running); 0 copies the input's size
 *              unless allow_zero, one -1 is worked out
 *   squeeze    list = axes, or input 1; without axes all sizes of 1 go
 *   unsqueeze  list = axes, or input 1; they count in the output, in any order */
#include "ops/walk.h"

#include <string.h>

static ev_status expect_count(const evi_edge *in, const evi_edge *out)
{
    char from[EVI_SHAPE_TEXT], to[EVI_SHAPE_TEXT];
    if (evi_shape_count(&in->shape) == evi_shape_count(&out->shape))
        return EV_OK;
    return evi_fail(EV_ERR_SHAPE, "%s has %lld elements and cannot become %s with %lld",
                    evi_shape_text(&in->shape, from), (long long)evi_shape_count(&in->shape),
                    evi_shape_text(&out->shape, to), (long long)evi_shape_count(&out->shape));
}

static ev_status flatten_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                               int32_t n_out)
{
    const evi_shape *s = &in->shape;
    (void)n_in;
    (void)n_out;
    if (a->axis < -s->rank || a->axis > s->rank)
        return evi_fail(EV_ERR_SHAPE, "flatten: axis %d is out of range for rank %d", a->axis,
                        s->rank);
    int32_t axis = a->axis < 0 ? a->axis + s->rank : a->axis;
    int64_t dim[2] = {1, 1};
    for (int32_t i = 0; i < s->rank; i++)
        dim[i >= axis] *= s->dim[i];
    out->type = in->type;
    return evi_shape_set(&out->shape, 2, dim, "flatten");
}

static ev_status reshape_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                               int32_t n_out)
{
    int64_t dim[EV_MAX_RANK] = {0}, known = 1;
    int32_t open = -1;
    char text[EVI_SHAPE_TEXT];
    (void)n_out;
    EVI_TRY(evi_list_input(in, n_in, 1, "the shape", &a->list));
    if (!a->list.set)
        return evi_fail(EV_ERR_ARGUMENT, "reshape: no shape is given");
    if (a->list.n > EV_MAX_RANK)
        return evi_fail(EV_ERR_SHAPE, "reshape: rank %d is over %d", a->list.n, EV_MAX_RANK);
    for (int32_t i = 0; i < a->list.n; i++) {
        dim[i] = a->list.v[i];
        if (dim[i] == 0 && !a->allow_zero) {
            if (i >= in->shape.rank)
                return evi_fail(EV_ERR_SHAPE, "reshape: size %d is to be copied from %s", i,
                                evi_shape_text(&in->shape, text));
            dim[i] = in->shape.dim[i];
        }
        if (dim[i] < -1 || (dim[i] == -1 && open >= 0))
            return evi_fail(EV_ERR_SHAPE, "reshape: size %lld at %d", (long long)dim[i], i);
        if (dim[i] == -1)
            open = i;
        else if (__builtin_mul_overflow(known, dim[i], &known))
            return evi_fail(EV_ERR_SHAPE, "reshape: the shape is too large");
    }
    if (open >= 0) {
        int64_t count = evi_shape_count(&in->shape);
        if (known == 0 || count % known != 0)
            return evi_fail(EV_ERR_SHAPE, "reshape: %s cannot be cut into parts of %lld",
                            evi_shape_text(&in->shape, text), (long long)known);
        dim[open] = count / known;
    }
    out->type = in->type;
    EVI_TRY(evi_shape_set(&out->shape, a->list.n, dim, "reshape"));
    return expect_count(in, out);
}

static ev_status squeeze_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                               int32_t n_out)
{
    uint32_t mask = 0;
    const evi_shape *s = &in->shape;
    char text[EVI_SHAPE_TEXT];
    (void)n_out;
    EVI_TRY(evi_list_input(in, n_in, 1, "the axes", &a->list));
    EVI_TRY(evi_axes_mask(&a->list, s->rank, &mask));
    memset(&out->shape, 0, sizeof(out->shape));
    for (int32_t i = 0; i < s->rank; i++) {
        bool goes = a->list.set ? mask >> i & 1 : s->dim[i] == 1;
        if (goes && s->dim[i] != 1)
            return evi_fail(EV_ERR_SHAPE, "squeeze: axis %d of %s is not 1", i,
                            evi_shape_text(s, text));
        if (!goes)
            out->shape.dim[out->shape.rank++] = s->dim[i];
    }
    out->type = in->type;
    return EV_OK;
}

static ev_status unsqueeze_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                                 int32_t n_out)
{
    uint32_t mask = 0;
    (void)n_out;
    EVI_TRY(evi_list_input(in, n_in, 1, "the axes", &a->list));
    if (!a->list.set)
        return evi_fail(EV_ERR_ARGUMENT, "unsqueeze: no axes are given");
    int32_t rank = in->shape.rank + a->list.n, from = 0;
    if (rank > EV_MAX_RANK)
        return evi_fail(EV_ERR_SHAPE, "unsqueeze: rank %d is over %d", rank, EV_MAX_RANK);
    EVI_TRY(evi_axes_mask(&a->list, rank, &mask));
    int64_t dim[EV_MAX_RANK] = {0};
    for (int32_t i = 0; i < rank; i++)
        dim[i] = mask >> i & 1 ? 1 : in->shape.dim[from++];
    out->type = in->type;
    return evi_shape_set(&out->shape, rank, dim, "unsqueeze");
}

/* ---- running -------------------------------------------------------------------------------- */

typedef struct copy_job {
    const evi_kernels *k;
    const char *from;
    char *to;
    bool first;
} copy_job;

static void copy_range(void *arg, int64_t first, int64_t count)
{
    const copy_job *job = arg;
    memcpy(job->to + first, job->from + first, (size_t)count);
}

static void view_forward(evi_step *s)
{
    copy_job job = {.from = s->in[0]->data, .to = s->out[0]->data};
    int64_t n = evi_shape_count(&s->out[0]->shape) * evi_type_bytes(s->out[0]->type);
    if (job.from != job.to)
        evi_for_ranges(s->crew, n, 1 << 17, copy_range, &job);
}

static void pass_range(void *arg, int64_t first, int64_t count)
{
    const copy_job *job = arg;
    const evi_real *from = (const evi_real *)job->from + first;
    evi_real *to = (evi_real *)job->to + first;
    if (job->first)
        memcpy(to, from, (size_t)count * sizeof(evi_real));
    else
        job->k->axpy(count, 1, from, to);
}

static void view_backward(evi_step *s)
{
    copy_job job = {s->k, (const char *)s->out[0]->grad, (char *)s->in[0]->grad,
                    evi_grad_is_first(s, 0)};
    if (job.to == NULL || job.to == job.from)
        return;
    evi_for_ranges(s->crew, evi_shape_count(&s->out[0]->shape), 16384, pass_range, &job);
}

/* Walk both shapes from the left and find the shortest groups of axes with equal products.  In a
 * group the outermost axis of either side is tied: each of its indices is a block of the other
 * side's.  A group with several axes on both sides has no common channels. */
static void view_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                          int32_t n_out, evi_coupling *c)
{
    const evi_shape *x = &in->shape, *y = &out->shape;
    int32_t i = 0, j = 0;
    (void)a;
    (void)n_in;
    (void)n_out;
    for (;;) {
        while (i < x->rank && x->dim[i] == 1) /* ones belong to no group */
            i++;
        while (j < y->rank && y->dim[j] == 1)
            j++;
        if (i == x->rank || j == y->rank)
            return;
        int32_t i0 = i, j0 = j;
        int64_t nx = x->dim[i++], ny = y->dim[j++];
        while (nx != ny && (nx < ny ? i < x->rank : j < y->rank)) {
            if (nx < ny)
                nx *= x->dim[i++];
            else
                ny *= y->dim[j++];
        }
        if (nx != ny)
            return;
        if (i0 == 0 && j0 == 0 && i == 1 && j == 1)
            continue; /* the batch */
        int64_t count = EVI_MIN(x->dim[i0], y->dim[j0]);
        if ((i - i0 > 1 && j - j0 > 1) || count <= 1 || j0 == 0)
            continue;
        int32_t set = evi_couple_set(c);
        bool in_single = i - i0 == 1;
        count = in_single ? y->dim[j0] : x->dim[i0];
        evi_couple(c, set, 0, i0, 0, count, in_single ? nx / count : 1);
        evi_couple(c, set, ~0, j0, 0, count, in_single ? 1 : ny / count);
    }
}

#define VIEW(name_, onnx_, max_in_, infer_)                   \
    const evi_op evi_op_##name_ = {.name = #name_,            \
                                   .onnx = onnx_,             \
                                   .traits = EVI_OP_VIEW,     \
                                   .min_in = 1,               \
                                   .max_in = max_in_,         \
                                   .max_out = 1,              \
                                   .infer = infer_,           \
                                   .forward = view_forward,   \
                                   .backward = EVI_BACKWARD(view_backward), \
                                   .channels = view_channels};
VIEW(identity, "Identity", 1, evi_infer_same)
VIEW(flatten, "Flatten", 1, flatten_infer)
VIEW(reshape, "Reshape", 2, reshape_infer)
VIEW(squeeze, "Squeeze", 2, squeeze_infer)
VIEW(unsqueeze, "Unsqueeze", 2, unsqueeze_infer)
