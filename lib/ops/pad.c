/* SPDX-License-Identifier: MIT */
/* pad: enlarge (or, with negative numbers, crop) by a constant or by the input's own values.
 *
 *   mode = EVI_PAD_ZERO (constant), _REFLECT, _EDGE, _WRAP
 *   list = pads (all begins, then all ends), or input 1 (int64, known before running)
 *   alpha = constant value (default 0), or input 2 (one number of the input's type)
 *   list3 = axes that the pads belong to, or input 3; not set: all axes
 * Any type; gradients for real numbers. */
#include "ops/walk.h"

#include <string.h>

/* Begin and end of each axis, from the lists. */
static ev_status pad_resolve(const evi_attrs *a, int32_t rank, int64_t *begin, int64_t *end)
{
    uint32_t mask;
    int32_t n = a->list3.set ? a->list3.n : rank;
    EVI_TRY(evi_axes_mask(&a->list3, rank, &mask));
    if (!a->list.set || a->list.n != 2 * n)
        return evi_fail(EV_ERR_SHAPE, "pad: %d numbers for %d axes", a->list.n, n);
    for (int32_t i = 0; i < rank; i++)
        begin[i] = end[i] = 0;
    for (int32_t i = 0; i < n; i++) {
        int32_t axis = i;
        if (a->list3.set)
            evi_axis((int32_t)a->list3.v[i], rank, &axis);
        begin[axis] = a->list.v[i];
        end[axis] = a->list.v[n + i];
    }
    return EV_OK;
}

static ev_status pad_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                           int32_t n_out)
{
    int64_t begin[EV_MAX_RANK], end[EV_MAX_RANK];
    const evi_shape *s = &in->shape;
    char text[EVI_SHAPE_TEXT];
    (void)n_out;
    EVI_TRY(evi_list_input(in, n_in, 1, "the pads", &a->list));
    EVI_TRY(evi_list_input(in, n_in, 3, "the axes", &a->list3));
    if (n_in > 2 && in[2].type != 0 &&
        (in[2].type != in->type || evi_shape_count(&in[2].shape) != 1))
        return evi_fail(EV_ERR_SHAPE, "pad: the constant must be one %s, not %s %s",
                        ev_type_name(in->type), ev_type_name(in[2].type),
                        evi_shape_text(&in[2].shape, text));
    EVI_TRY(pad_resolve(a, s->rank, begin, end));
    out->type = in->type;
    out->shape = *s;
    for (int32_t i = 0; i < s->rank; i++) {
        int64_t limit = (int64_t)1 << 31;
        if (begin[i] <= -limit || begin[i] >= limit || end[i] <= -limit || end[i] >= limit)
            return evi_fail(EV_ERR_SHAPE, "pad: axis %d by %lld and %lld", i, (long long)begin[i],
                            (long long)end[i]);
        out->shape.dim[i] += begin[i] + end[i];
        if (out->shape.dim[i] < 0 ||
            (out->shape.dim[i] > 0 && s->dim[i] == 0 && a->mode != EVI_PAD_ZERO))
            return evi_fail(EV_ERR_SHAPE, "pad: axis %d of %s cannot be padded by %lld and %lld", i,
                            evi_shape_text(s, text), (long long)begin[i], (long long)end[i]);
        if (a->mode == EVI_PAD_REFLECT && (begin[i] >= s->dim[i] || end[i] >= s->dim[i]) &&
            (begin[i] > 0 || end[i] > 0) && s->dim[i] < 2)
            return evi_fail(EV_ERR_SHAPE, "pad: axis %d of %s is too short to be reflected", i,
                            evi_shape_text(s, text));
    }
    return evi_shape_check(&out->shape, "the padded output");
}

/* Where position p - begin comes from in an axis of n, or -1: the constant. */
static int64_t source(int32_t mode, int64_t p, int64_t n)
{
    if (p >= 0 && p < n)
        return p;
    switch (mode) {
    case EVI_PAD_EDGE: return p < 0 ? 0 : n - 1;
    case EVI_PAD_WRAP: return (p % n + n) % n;
    case EVI_PAD_REFLECT: {
        int64_t period = 2 * (n - 1), once = p < 0 ? -p : period - p;
        if (once >= 0 && once < n) /* as always in nets, and without a division */
            return once;
        p = (p % period + period) % period;
        return p < n ? p : period - p;
    }
    default: return -1;
    }
}

/* ---- running -------------------------------------------------------------------------------- */

typedef struct pad_job {
    int32_t rank, mode, size; /* axes after leading ones without padding were joined into blocks */
    int64_t n_blocks, in_block, out_block;
    int64_t in[EV_MAX_RANK], out[EV_MAX_RANK], begin[EV_MAX_RANK];
    int64_t in_stride[EV_MAX_RANK];
    uint64_t value; /* the constant, as bits */
    const char *src;
    char *dst;
    const evi_kernels *k;
    const evi_real *dy;
    evi_real *dx;
    bool first;
} pad_job;

/* Leading axes that stay as they are become blocks, so that tasks are independent both ways;
 * trailing ones become one axis. */
static void pad_start(const evi_step *s, pad_job *job)
{
    int64_t begin[EV_MAX_RANK], end[EV_MAX_RANK];
    const evi_shape *x = &s->in[0]->shape, *y = &s->out[0]->shape;
    int32_t i = 0, last = x->rank;
    memset(job, 0, sizeof(*job));
    pad_resolve(&s->a, x->rank, begin, end);
    job->mode = s->a.mode;
    job->size = evi_type_bytes(s->in[0]->type);
    job->n_blocks = job->in_block = job->out_block = 1;
    for (; i < x->rank && begin[i] == 0 && end[i] == 0; i++)
        job->n_blocks *= x->dim[i];
    while (last > i && begin[last - 1] == 0 && end[last - 1] == 0)
        last--;
    for (; i < x->rank; i++) {
        if (i > last) { /* joined with the one before */
            job->in[job->rank - 1] *= x->dim[i];
            job->out[job->rank - 1] *= x->dim[i];
        } else {
            job->in[job->rank] = x->dim[i];
            job->out[job->rank] = y->dim[i];
            job->begin[job->rank++] = begin[i];
        }
        job->in_block *= x->dim[i];
        job->out_block *= y->dim[i];
    }
    if (job->rank == 0) {
        job->in[0] = job->out[0] = job->rank = 1;
    }
    int64_t step = 1;
    for (i = job->rank - 1; i >= 0; i--) {
        job->in_stride[i] = step;
        step *= job->in[i];
    }
}

/* Where output row `row` (all axes but the last) begins in the input, or -1. */
static int64_t source_row(const pad_job *job, int64_t row)
{
    int64_t from = 0;
    for (int32_t i = job->rank - 2; i >= 0; i--) {
        int64_t at = source(job->mode, row % job->out[i] - job->begin[i], job->in[i]);
        if (at < 0)
            return -1;
        from += at * job->in_stride[i];
        row /= job->out[i];
    }
    return from;
}

static void put_constant(const pad_job *job, char *dst, int64_t n)
{
    if (job->size == 1)
        memset(dst, (int)(job->value & 255), (size_t)n);
    else if (job->size == 4)
        for (int64_t i = 0; i < n; i++)
            ((uint32_t *)dst)[i] = (uint32_t)job->value;
    else
        for (int64_t i = 0; i < n; i++)
            ((uint64_t *)dst)[i] = job->value;
}

static void pad_row(const pad_job *job, const char *src, char *dst)
{
    int32_t last = job->rank - 1;
    int64_t n = job->in[last], out = job->out[last], begin = job->begin[last], size = job->size;
    int64_t from = EVI_MIN(EVI_MAX(begin, 0), out); /* the output's part that is copied */
    int64_t to = EVI_MAX(EVI_MIN(begin + n, out), from);
    if (to > from)
        memcpy(dst + from * size, src + (from - begin) * size, (size_t)((to - from) * size));
    if (job->mode == EVI_PAD_ZERO) {
        put_constant(job, dst, from);
        put_constant(job, dst + to * size, out - to);
        return;
    }
    for (int64_t i = 0; i < out; i++) {
        if (i == from && to > from)
            i = to;
        if (i >= out)
            break;
        const char *element = src + source(job->mode, i - begin, n) * size;
        if (size == 4)
            memcpy(dst + i * 4, element, 4);
        else
            memcpy(dst + i * size, element, (size_t)size);
    }
}

static void pad_rows(void *arg, int64_t first, int64_t count)
{
    const pad_job *job = arg;
    int64_t width = job->out[job->rank - 1];
    int64_t rows = job->out_block / width;
    for (int64_t r = first; r < first + count; r++) {
        int64_t from = source_row(job, r % rows);
        char *dst = job->dst + r * width * job->size;
        if (from < 0)
            put_constant(job, dst, width);
        else
            pad_row(job, job->src + (r / rows * job->in_block + from) * job->size, dst);
    }
}

static uint64_t constant_bits(const evi_step *s)
{
    uint64_t bits = 0;
    size_t size = (size_t)evi_type_bytes(s->in[0]->type);
    evi_real real = s->a.alpha;
    int64_t integer = (int64_t)s->a.alpha;
    if (evi_has_in(s, 2) && s->in[2]->data != NULL)
        memcpy(&bits, s->in[2]->data, size);
    else if (evi_type_is_real(s->in[0]->type))
        memcpy(&bits, &real, size);
    else if (s->in[0]->type == EV_TYPE_INT64)
        memcpy(&bits, &integer, size);
    else if (s->in[0]->type == EV_TYPE_INT32)
        memcpy(&bits, &(int32_t){(int32_t)integer}, size);
    else
        memcpy(&bits, &(uint8_t){(uint8_t)integer}, size);
    if (size == 4) {
        uint32_t word;
        memcpy(&word, &bits, sizeof(word)); /* whatever the order of bytes */
        return word;
    }
    if (size == 1) {
        uint8_t byte;
        memcpy(&byte, &bits, sizeof(byte));
        return byte;
    }
    return bits;
}

static void pad_forward(evi_step *s)
{
    pad_job job;
    pad_start(s, &job);
    if (evi_shape_count(&s->out[0]->shape) == 0)
        return;
    job.value = constant_bits(s);
    job.src = s->in[0]->data;
    job.dst = s->out[0]->data;
    int64_t width = job.out[job.rank - 1];
    evi_for_ranges(s->crew, job.n_blocks * (job.out_block / width), EVI_MAX(16384 / width, 1),
                   pad_rows, &job);
}

static void back_ends(const pad_job *job, int64_t from, int64_t to, const evi_real *dy,
                      evi_real *dx)
{
    int32_t last = job->rank - 1;
    for (int64_t i = from; i < to; i++) {
        int64_t at = source(job->mode, i - job->begin[last], job->in[last]);
        if (at >= 0)
            dx[at] += dy[i];
    }
}

/* The part that was copied is one call; only what lies beside it is looked up. */
static void back_row(const pad_job *job, const evi_real *dy, evi_real *dx)
{
    int32_t last = job->rank - 1;
    int64_t out = job->out[last], begin = job->begin[last];
    int64_t from = EVI_MIN(EVI_MAX(begin, 0), out);
    int64_t to = EVI_MAX(EVI_MIN(begin + job->in[last], out), from);
    back_ends(job, 0, from, dy, dx);
    if (to > from)
        job->k->axpy(to - from, 1, dy + from, dx + (from - begin));
    back_ends(job, to, out, dy, dx);
}

/* Several outputs may come from one input: a block is one task, in the order of its rows. */
static void back_block(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const pad_job *job = arg;
    int32_t last = job->rank - 1;
    int64_t width = job->out[last], rows = job->out_block / width;
    evi_real *dx = job->dx + task * job->in_block;
    if (job->first)
        memset(dx, 0, (size_t)job->in_block * sizeof(evi_real));
    for (int64_t r = 0; r < rows; r++) {
        int64_t to = source_row(job, r);
        const evi_real *dy = job->dy + task * job->out_block + r * width;
        if (to < 0)
            continue;
        back_row(job, dy, dx + to);
    }
}

static void pad_backward(evi_step *s)
{
    pad_job job;
    if (s->in[0]->grad == NULL)
        return;
    pad_start(s, &job);
    if (evi_shape_count(&s->out[0]->shape) == 0) {
        evi_grad_start(s, 0);
        return;
    }
    job.k = s->k;
    job.dy = s->out[0]->grad;
    job.dx = s->in[0]->grad;
    job.first = evi_grad_is_first(s, 0);
    evi_parallel(s->crew, job.n_blocks, back_block, &job);
}

/* Channels that constant padding adds belong to no set: they stay. */
static void pad_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                         int32_t n_out, evi_coupling *c)
{
    int64_t begin[EV_MAX_RANK], end[EV_MAX_RANK];
    const evi_shape *s = &in->shape;
    (void)n_in;
    if (s->rank < 2 || pad_resolve(a, s->rank, begin, end) != EV_OK)
        return;
    evi_couple_axes(c, in, 1, out, n_out, 1);
    if ((begin[1] != 0 || end[1] != 0) && (a->mode != EVI_PAD_ZERO || begin[1] < 0 || end[1] < 0)) {
        c->blocked = "channels are cropped or repeated";
        return;
    }
    int32_t set = evi_couple_set(c);
    evi_couple(c, set, 0, 1, 0, s->dim[1], 1);
    evi_couple(c, set, ~0, 1, begin[1], s->dim[1], 1);
}

const evi_op evi_op_pad = {.name = "pad",
                           .onnx = "Pad",
                           .traits = EVI_OP_AGAIN,
                           .min_in = 1,
                           .max_in = 4,
                           .max_out = 1,
                           .infer = pad_infer,
                           .forward = pad_forward,
                           .backward = EVI_BACKWARD(pad_backward),
                           .channels = pad_channels};
