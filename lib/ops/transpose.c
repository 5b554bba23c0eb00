/* SPDX-License-Identifier: MIT */
/* transpose, depth_to_space, space_to_depth: the same elements in another order.  Any type.
 *
 *   transpose       list = perm; not set: the axes reversed
 *   depth_to_space  flag = block size; mode 0: DCR (depth, column, row; ONNX's default), 1: CRD
 *                   (PyTorch's pixel shuffle)
 *   space_to_depth  flag = block size */
#include "ops/walk.h"

/* A picture cut into blocks has one axis more for rows and one for columns. */
#define MAX_AXES EV_MAX_RANK

typedef struct order {
    int32_t rank;
    int64_t dim[MAX_AXES];  /* of the input */
    int32_t perm[MAX_AXES]; /* output axis i is input axis perm[i] */
} order;

static void invert(const order *p, order *out)
{
    out->rank = p->rank;
    for (int32_t i = 0; i < p->rank; i++) {
        out->dim[i] = p->dim[p->perm[i]];
        out->perm[p->perm[i]] = i;
    }
}

static void order_walk(const order *p, evi_walk *w)
{
    int64_t from[MAX_AXES], to[MAX_AXES], step = 1, out_step = 1;
    for (int32_t i = p->rank - 1; i >= 0; i--) {
        from[i] = step;
        step *= p->dim[i];
        to[i] = out_step;
        out_step *= p->dim[p->perm[i]];
    }
    evi_walk_clear(w, 2);
    for (int32_t i = 0; i < p->rank; i++) {
        int64_t at[2] = {to[i], from[p->perm[i]]};
        evi_walk_axis(w, p->dim[p->perm[i]], at);
    }
    evi_walk_join(w);
}

/* The last two axes of the walk change places: whole matrices for the kernel. */
typedef struct flip_job {
    const evi_kernels *k;
    const evi_walk *w;
    const evi_real *src;
    evi_real *dst;
    int64_t columns, n_cuts; /* of the input matrix per task */
} flip_job;

static void flip_task(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const flip_job *job = arg;
    const evi_walk *w = job->w;
    int32_t last = w->rank - 1;
    int64_t row = task / job->n_cuts, start = task % job->n_cuts * job->columns;
    int64_t n = EVI_MIN(job->columns, w->dim[last - 1] - start);
    int64_t to = start * w->stride[0][last - 1], from = start;
    for (int32_t i = last - 2; i >= 0; i--) {
        to += row % w->dim[i] * w->stride[0][i];
        from += row % w->dim[i] * w->stride[1][i];
        row /= w->dim[i];
    }
    job->k->transpose(w->dim[last], n, job->src + from, w->stride[1][last], job->dst + to,
                      w->stride[0][last - 1]);
}

static void permute(evi_step *s, const order *p, void *dst, const void *src, int32_t type)
{
    evi_walk w;
    order_walk(p, &w);
    int32_t last = w.rank - 1;
    if (w.count == 0)
        return;
    if (!evi_type_is_real(type) || last < 1 || w.stride[1][last - 1] != 1 ||
        w.stride[0][last] != 1) {
        evi_walk_copy(s->crew, &w, dst, src, evi_type_bytes(type));
        return;
    }
    flip_job job = {s->k, &w, src, dst, EVI_MAX(16384 / w.dim[last], 16), 0};
    job.n_cuts = (w.dim[last - 1] + job.columns - 1) / job.columns;
    evi_parallel(s->crew, w.count / (w.dim[last] * w.dim[last - 1]) * job.n_cuts, flip_task, &job);
}

static void permute_back(evi_step *s, const order *p)
{
    order back;
    evi_walk w;
    if (s->in[0]->grad == NULL)
        return;
    invert(p, &back);
    if (evi_grad_is_first(s, 0)) {
        permute(s, &back, s->in[0]->grad, s->out[0]->grad, s->in[0]->type);
        return;
    }
    order_walk(&back, &w);
    evi_walk_add(s->crew, &w, s->in[0]->grad, s->out[0]->grad, 1, false);
}

/* ---- transpose ------------------------------------------------------------------------------ */

static void transpose_order(const evi_attrs *a, const evi_shape *s, order *p)
{
    p->rank = s->rank;
    for (int32_t i = 0; i < s->rank; i++) {
        p->dim[i] = s->dim[i];
        p->perm[i] = a->list.set ? (int32_t)a->list.v[i] : s->rank - 1 - i;
    }
}

static ev_status transpose_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                                 int32_t n_out)
{
    uint32_t mask = 0;
    order p;
    (void)n_in;
    (void)n_out;
    if (a->list.set && a->list.n != in->shape.rank)
        return evi_fail(EV_ERR_SHAPE, "transpose: %d axes for rank %d", a->list.n, in->shape.rank);
    EVI_TRY(evi_axes_mask(&a->list, in->shape.rank, &mask));
    for (int32_t i = 0; i < a->list.n; i++)
        if (a->list.v[i] < 0)
            a->list.v[i] += in->shape.rank;
    transpose_order(a, &in->shape, &p);
    out->type = in->type;
    out->shape.rank = p.rank;
    for (int32_t i = 0; i < p.rank; i++)
        out->shape.dim[i] = p.dim[p.perm[i]];
    return EV_OK;
}

static void transpose_forward(evi_step *s)
{
    order p;
    transpose_order(&s->a, &s->in[0]->shape, &p);
    permute(s, &p, s->out[0]->data, s->in[0]->data, s->in[0]->type);
}

static void transpose_backward(evi_step *s)
{
    order p;
    transpose_order(&s->a, &s->in[0]->shape, &p);
    permute_back(s, &p);
}

static void transpose_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                               const evi_edge *out, int32_t n_out, evi_coupling *c)
{
    order p;
    (void)n_in;
    (void)n_out;
    transpose_order(a, &in->shape, &p);
    for (int32_t i = 0; i < p.rank; i++) {
        if (i == 0 && p.perm[i] == 0)
            continue; /* the batch */
        int32_t set = evi_couple_set(c);
        evi_couple(c, set, 0, p.perm[i], 0, out->shape.dim[i], 1);
        evi_couple(c, set, ~0, i, 0, out->shape.dim[i], 1);
    }
}

const evi_op evi_op_transpose = {.name = "transpose",
                                 .onnx = "Transpose",
                                 .min_in = 1,
                                 .max_in = 1,
                                 .max_out = 1,
                                 .infer = transpose_infer,
                                 .forward = transpose_forward,
                                 .backward = EVI_BACKWARD(transpose_backward),
                                 .channels = transpose_channels};

/* ---- depth to space and back ---------------------------------------------------------------- */

static ev_status block_infer(evi_attrs *a, const evi_edge *in, evi_edge *out, bool to_space)
{
    char text[EVI_SHAPE_TEXT];
    const evi_shape *s = &in->shape;
    int64_t b = a->flag;
    if (s->rank != 4)
        return evi_fail(EV_ERR_SHAPE, "the input must be [N,C,H,W], not %s",
                        evi_shape_text(s, text));
    if (b < 1 || b > 1 << 14 || (to_space && s->dim[1] % (b * b) != 0) ||
        (!to_space && (s->dim[2] % b != 0 || s->dim[3] % b != 0)))
        return evi_fail(EV_ERR_SHAPE, "%s cannot be rearranged in blocks of %d",
                        evi_shape_text(s, text), a->flag);
    int64_t dim[4] = {s->dim[0], to_space ? s->dim[1] / (b * b) : s->dim[1] * b * b,
                      to_space ? s->dim[2] * b : s->dim[2] / b,
                      to_space ? s->dim[3] * b : s->dim[3] / b};
    out->type = in->type;
    return evi_shape_set(&out->shape, 4, dim, "the output");
}

static ev_status to_space_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                                int32_t n_out)
{
    (void)n_in;
    (void)n_out;
    return block_infer(a, in, out, true);
}

static ev_status to_depth_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                                int32_t n_out)
{
    (void)n_in;
    (void)n_out;
    return block_infer(a, in, out, false);
}

static order to_space_order(const evi_attrs *a, const evi_shape *s)
{
    int64_t b = a->flag, c = s->dim[1] / (b * b), n = s->dim[0], h = s->dim[2], w = s->dim[3];
    if (a->mode == 1)
        return (order){6, {n, c, b, b, h, w}, {0, 1, 4, 2, 5, 3}};
    return (order){6, {n, b, b, c, h, w}, {0, 3, 4, 1, 5, 2}};
}

static order to_depth_order(const evi_attrs *a, const evi_shape *s)
{
    int64_t b = a->flag;
    return (order){
        6, {s->dim[0], s->dim[1], s->dim[2] / b, b, s->dim[3] / b, b}, {0, 3, 5, 1, 2, 4}};
}

static void to_space_forward(evi_step *s)
{
    order p = to_space_order(&s->a, &s->in[0]->shape);
    permute(s, &p, s->out[0]->data, s->in[0]->data, s->in[0]->type);
}

static void to_space_backward(evi_step *s)
{
    order p = to_space_order(&s->a, &s->in[0]->shape);
    permute_back(s, &p);
}

static void to_depth_forward(evi_step *s)
{
    order p = to_depth_order(&s->a, &s->in[0]->shape);
    permute(s, &p, s->out[0]->data, s->in[0]->data, s->in[0]->type);
}

static void to_depth_backward(evi_step *s)
{
    order p = to_depth_order(&s->a, &s->in[0]->shape);
    permute_back(s, &p);
}

/* One channel of the fine picture is block^2 channels of the deep one: neighbours in CRD, spread
 * in DCR. */
static void block_channels(evi_coupling *c, int32_t fine, int32_t deep, int64_t count, int64_t b,
                           bool spread)
{
    int32_t set = evi_couple_set(c);
    evi_couple(c, set, fine, 1, 0, count, 1);
    if (!spread) {
        evi_couple(c, set, deep, 1, 0, count, b * b);
        return;
    }
    for (int64_t i = 0; i < b * b && c->blocked == NULL; i++)
        evi_couple(c, set, deep, 1, i * count, count, 1);
}

static void to_space_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                              const evi_edge *out, int32_t n_out, evi_coupling *c)
{
    (void)in;
    (void)n_in;
    (void)n_out;
    block_channels(c, ~0, 0, out->shape.dim[1], a->flag, a->mode != 1);
}

static void to_depth_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                              const evi_edge *out, int32_t n_out, evi_coupling *c)
{
    (void)n_in;
    (void)out;
    (void)n_out;
    block_channels(c, 0, ~0, in->shape.dim[1], a->flag, true);
}

const evi_op evi_op_depth_to_space = {.name = "depth_to_space",
                                      .onnx = "DepthToSpace",
                                      .min_in = 1,
                                      .max_in = 1,
                                      .max_out = 1,
                                      .infer = to_space_infer,
                                      .forward = to_space_forward,
                                      .backward = EVI_BACKWARD(to_space_backward),
                                      .channels = to_space_channels};
const evi_op evi_op_space_to_depth = {.name = "space_to_depth",
                                      .onnx = "SpaceToDepth",
                                      .min_in = 1,
                                      .max_in = 1,
                                      .max_out = 1,
                                      .infer = to_depth_infer,
                                      .forward = to_depth_forward,
                                      .backward = EVI_BACKWARD(to_depth_backward),
                                      .channels = to_depth_channels};
