/* SPDX-License-Identifier: MIT */
/* gather, expand, tile, cast: inference only, any type.
 *
 *   gather  axis (ONNX default 0); input 1 = indices (int32 or int64, negative ones count from the
 *           end).  An index out of range is clamped, and the step's fault is set.
 *   expand  list = shape, or input 1; broadcast both ways as in numpy
 *   tile    list = repeats, or input 1
 *   cast    to_type = EV_TYPE_* */
#include "ops/walk.h"

#include <math.h>
#include <string.h>

/* ---- gather --------------------------------------------------------------------------------- */

static ev_status gather_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                              int32_t n_out)
{
    int32_t axis, rank = 0;
    int64_t dim[2 * EV_MAX_RANK];
    (void)n_in;
    (void)n_out;
    if (in[1].type != EV_TYPE_INT64 && in[1].type != EV_TYPE_INT32)
        return evi_fail(EV_ERR_SHAPE, "gather: indices must be int32 or int64, not %s",
                        ev_type_name(in[1].type));
    if (!evi_axis(a->axis, in->shape.rank, &axis))
        return evi_fail(EV_ERR_SHAPE, "gather: axis %d is out of range for rank %d", a->axis,
                        in->shape.rank);
    if (in->shape.dim[axis] == 0 && evi_shape_count(&in[1].shape) > 0)
        return evi_fail(EV_ERR_SHAPE, "gather: axis %d is empty", axis);
    for (int32_t i = 0; i < axis; i++)
        dim[rank++] = in->shape.dim[i];
    for (int32_t i = 0; i < in[1].shape.rank; i++)
        dim[rank++] = in[1].shape.dim[i];
    for (int32_t i = axis + 1; i < in->shape.rank; i++)
        dim[rank++] = in->shape.dim[i];
    out->type = in->type;
    return evi_shape_set(&out->shape, rank, dim, "gather");
}

typedef struct gather_job {
    const char *src;
    char *dst;
    const evi_view *index;
    int64_t n, n_index, block; /* axis length, indices, bytes of one entry */
} gather_job;

static int64_t index_at(const gather_job *job, int64_t i, bool *bad)
{
    int64_t v = evi_integer(job->index->data, job->index->type, i);
    v = v < 0 && v >= -job->n ? v + job->n : v;
    *bad = v < 0 || v >= job->n;
    return *bad ? (v < 0 ? 0 : job->n - 1) : v;
}

static void gather_range(void *arg, int64_t first, int64_t count)
{
    const gather_job *job = arg;
    for (int64_t i = first; i < first + count; i++) {
        bool bad;
        int64_t at = i / job->n_index * job->n + index_at(job, i % job->n_index, &bad);
        memcpy(job->dst + i * job->block, job->src + at * job->block, (size_t)job->block);
    }
}

static void gather_forward(evi_step *s)
{
    int32_t axis = 0;
    int64_t outer = 1;
    const evi_shape *x = &s->in[0]->shape;
    gather_job job = {.src = s->in[0]->data, .dst = s->out[0]->data, .index = s->in[1]};
    evi_axis(s->a.axis, x->rank, &axis);
    job.n = x->dim[axis];
    job.n_index = evi_shape_count(&s->in[1]->shape);
    job.block = evi_type_bytes(s->in[0]->type);
    for (int32_t i = 0; i < x->rank; i++) {
        outer *= i < axis ? x->dim[i] : 1;
        job.block *= i > axis ? x->dim[i] : 1;
    }
    for (int64_t i = 0; i < job.n_index; i++) {
        bool bad;
        index_at(&job, i, &bad);
        if (bad)
            s->fault = 1;
    }
    if (job.block > 0)
        evi_for_ranges(s->crew, outer * job.n_index, EVI_MAX((1 << 16) / job.block, 1),
                       gather_range, &job);
}

const evi_op evi_op_gather = {.name = "gather",
                              .onnx = "Gather",
                              .min_in = 2,
                              .max_in = 2,
                              .max_out = 1,
                              .infer = gather_infer,
                              .forward = gather_forward};

/* ---- expand and tile ------------------------------------------------------------------------ */

static ev_status expand_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                              int32_t n_out)
{
    evi_shape want;
    char text[2][EVI_SHAPE_TEXT];
    (void)n_out;
    EVI_TRY(evi_list_input(in, n_in, 1, "the shape", &a->list));
    if (!a->list.set)
        return evi_fail(EV_ERR_ARGUMENT, "expand: no shape is given");
    EVI_TRY(evi_shape_set(&want, a->list.n, a->list.v, "expand"));
    if (!evi_broadcast(&in->shape, &want, &out->shape))
        return evi_fail(EV_ERR_SHAPE, "expand: %s cannot be broadcast to %s",
                        evi_shape_text(&in->shape, text[0]), evi_shape_text(&want, text[1]));
    out->type = in->type;
    return evi_shape_check(&out->shape, "expand");
}

static void expand_forward(evi_step *s)
{
    evi_walk w;
    const evi_shape *y = &s->out[0]->shape, *shapes[] = {y, &s->in[0]->shape};
    evi_walk_broadcast(&w, y, 2, shapes);
    evi_walk_copy(s->crew, &w, s->out[0]->data, s->in[0]->data, evi_type_bytes(s->in[0]->type));
}

static ev_status tile_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                            int32_t n_out)
{
    int64_t dim[EV_MAX_RANK];
    (void)n_out;
    EVI_TRY(evi_list_input(in, n_in, 1, "the repeats", &a->list));
    if (!a->list.set || a->list.n != in->shape.rank)
        return evi_fail(EV_ERR_SHAPE, "tile: %d repeats for rank %d", a->list.n, in->shape.rank);
    for (int32_t i = 0; i < a->list.n; i++)
        if (a->list.v[i] < 0 || __builtin_mul_overflow(a->list.v[i], in->shape.dim[i], &dim[i]))
            return evi_fail(EV_ERR_SHAPE, "tile: %lld repeats of axis %d", (long long)a->list.v[i],
                            i);
    out->type = in->type;
    return evi_shape_set(&out->shape, in->shape.rank, dim, "tile");
}

static void tile_forward(evi_step *s)
{
    evi_walk w;
    int64_t in[EV_MAX_RANK], out[EV_MAX_RANK];
    const evi_shape *x = &s->in[0]->shape;
    evi_strides(x, in);
    evi_strides(&s->out[0]->shape, out);
    evi_walk_clear(&w, 2);
    for (int32_t i = 0; i < x->rank; i++) {
        int64_t again[2] = {out[i] * x->dim[i], 0}, once[2] = {out[i], in[i]};
        evi_walk_axis(&w, s->a.list.v[i], again);
        evi_walk_axis(&w, x->dim[i], once);
    }
    evi_walk_join(&w);
    evi_walk_copy(s->crew, &w, s->out[0]->data, s->in[0]->data, evi_type_bytes(s->in[0]->type));
}

const evi_op evi_op_expand = {.name = "expand",
                              .onnx = "Expand",
                              .min_in = 1,
                              .max_in = 2,
                              .max_out = 1,
                              .infer = expand_infer,
                              .forward = expand_forward};
const evi_op evi_op_tile = {.name = "tile",
                            .onnx = "Tile",
                            .min_in = 1,
                            .max_in = 2,
                            .max_out = 1,
                            .infer = tile_infer,
                            .forward = tile_forward};

/* ---- cast ----------------------------------------------------------------------------------- */

static ev_status cast_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                            int32_t n_out)
{
    (void)n_in;
    (void)n_out;
    if (a->to_type < EV_TYPE_FLOAT32 || a->to_type > EV_TYPE_BOOL)
        return evi_fail(EV_ERR_UNSUPPORTED, "cast: to type %d (%s)", a->to_type,
                        ev_type_name(a->to_type));
    out->type = a->to_type;
    out->shape = in->shape;
    return EV_OK;
}

typedef struct cast_job {
    const evi_view *x;
    void *y;
    int32_t to;
} cast_job;

/* A number that does not fit is undefined in C: NaN becomes 0, the rest the nearest end. */
static int64_t whole(double v)
{
    if (isnan(v))
        return 0;
    return v >= 0x1p63 ? INT64_MAX : v < -0x1p63 ? INT64_MIN : (int64_t)v;
}

static void cast_range(void *arg, int64_t first, int64_t count)
{
    const cast_job *job = arg;
    bool real = evi_type_is_real(job->x->type);
    for (int64_t i = first; i < first + count; i++) {
        double v = evi_number(job->x->data, job->x->type, i);
        int64_t n = real ? whole(v) : evi_integer(job->x->data, job->x->type, i);
        switch (job->to) {
        case EV_TYPE_FLOAT32: ((evi_real *)job->y)[i] = real ? (evi_real)v : (evi_real)n; break;
        case EV_TYPE_INT64: ((int64_t *)job->y)[i] = n; break;
        case EV_TYPE_INT32: ((int32_t *)job->y)[i] = (int32_t)n; break;
        case EV_TYPE_BOOL: ((uint8_t *)job->y)[i] = real ? v != 0 : n != 0; break;
        default: ((uint8_t *)job->y)[i] = (uint8_t)n; break;
        }
    }
}

static void cast_forward(evi_step *s)
{
    cast_job job = {s->in[0], s->out[0]->data, s->out[0]->type};
    evi_for_ranges(s->crew, evi_shape_count(&s->in[0]->shape), 16384, cast_range, &job);
}

const evi_op evi_op_cast = {.name = "cast",
                            .onnx = "Cast",
                            .min_in = 1,
                            .max_in = 1,
                            .max_out = 1,
                            .infer = cast_infer,
                            .forward = cast_forward,
                            .channels = evi_couple_unary};
