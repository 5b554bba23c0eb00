/* SPDX-License-Identifier: MIT */
/* Convolution and matrix product of 8-bit integers, in plain exact loops; inference only.
 *
 *   conv_integer     x, w, zero point of x, zero point of w (both optional; of w one or [M]); int32
 *   qlinear_conv     x, its scale and zero point, w, its scale (one or [M]) and zero point, scale
 *                    and zero point of y, bias (int32 [M], optional)
 *   matmul_integer   a, b, zero points of a (one or one per row) and b (one or one per column)
 *   qlinear_matmul   a, scale, zero point, b, scale, zero point, scale and zero point of y
 * The windows are those of conv2d: kernel, stride, pad, dilation, groups, auto_pad. */
#include "ops/walk.h"
#include "ops/window.h"

#include <math.h>

/* What to do with the exact sum: keep it (int32), or scale it and round it to 8 bits. */
typedef struct rescale {
    const evi_view *scale_x, *scale_w, *scale_y, *zero_y; /* NULL: keep */
    void *y;
    int32_t type;
} rescale;

static int32_t zero_at(const evi_view *v, int64_t i)
{
    if (v == NULL)
        return 0;
    return (int32_t)evi_integer(v->data, v->type, evi_shape_count(&v->shape) == 1 ? 0 : i);
}

static evi_real scale_at(const evi_view *v, int64_t i)
{
    return ((const evi_real *)v->data)[evi_shape_count(&v->shape) == 1 ? 0 : i];
}

static void put_sum(const rescale *r, int64_t at, int64_t sum, int64_t row, int64_t column)
{
    if (r->scale_y == NULL) {
        ((int32_t *)r->y)[at] = (int32_t)sum;
        return;
    }
    evi_real factor =
        scale_at(r->scale_x, row) * scale_at(r->scale_w, column) / scale_at(r->scale_y, 0);
    double low = r->type == EV_TYPE_INT8 ? -128 : 0;
    double v = nearbyint((double)((evi_real)sum * factor)) + zero_at(r->zero_y, 0);
    v = v >= low ? EVI_MIN(v, low + 255) : low;
    ((uint8_t *)r->y)[at] = (uint8_t)(int32_t)v;
}

static const evi_view *optional(const evi_step *s, int32_t i)
{
    return evi_has_in(s, i) ? s->in[i] : NULL;
}

static ev_status need_bytes(const evi_edge *in, int32_t n_in, int32_t i, const char *what)
{
    if (!evi_edge_has(in, n_in, i))
        return evi_fail(EV_ERR_SHAPE, "%s is missing", what);
    if (in[i].type != EV_TYPE_UINT8 && in[i].type != EV_TYPE_INT8)
        return evi_fail(EV_ERR_SHAPE, "%s must be uint8 or int8, not %s", what,
                        ev_type_name(in[i].type));
    return EV_OK;
}

/* Input i is absent or has one element or `count`. */
static ev_status need_count(const evi_edge *in, int32_t n_in, int32_t i, int64_t count,
                            const char *what)
{
    if (!evi_edge_has(in, n_in, i))
        return EV_OK;
    int64_t n = evi_shape_count(&in[i].shape);
    if (n != 1 && n != count)
        return evi_fail(EV_ERR_SHAPE, "%s has %lld elements instead of 1 or %lld", what,
                        (long long)n, (long long)count);
    return EV_OK;
}

/* ---- convolution ---------------------------------------------------------------------------- */

static ev_status conv_shape(evi_attrs *a, const evi_edge *x, const evi_edge *w, evi_shape *y)
{
    evi_window win;
    char text[2][EVI_SHAPE_TEXT];
    if (x->shape.rank < 3 || x->shape.rank > 4 || w->shape.rank != x->shape.rank)
        return evi_fail(EV_ERR_SHAPE, "input %s and weights %s must be of rank 3 or 4",
                        evi_shape_text(&x->shape, text[0]), evi_shape_text(&w->shape, text[1]));
    EVI_TRY(evi_window_kernel(a, &w->shape));
    EVI_TRY(evi_window_infer(a, &x->shape, &win));
    if (x->shape.dim[1] != w->shape.dim[1] * a->groups || w->shape.dim[0] % a->groups != 0)
        return evi_fail(EV_ERR_SHAPE, "input %s does not fit weights %s with %d groups",
                        evi_shape_text(&x->shape, text[0]), evi_shape_text(&w->shape, text[1]),
                        a->groups);
    return evi_window_shape(&win, &x->shape, w->shape.dim[0], y);
}

static ev_status conv_integer_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                                    int32_t n_out)
{
    evi_shape y;
    (void)n_out;
    EVI_TRY(need_bytes(in, n_in, 0, "the input"));
    EVI_TRY(need_bytes(in, n_in, 1, "the weights"));
    EVI_TRY(conv_shape(a, &in[0], &in[1], &y));
    EVI_TRY(need_count(in, n_in, 2, 1, "the zero point of the input"));
    EVI_TRY(need_count(in, n_in, 3, y.dim[1], "the zero point of the weights"));
    evi_edge_set(out, 0, EV_TYPE_INT32, &y);
    return EV_OK;
}

static ev_status qlinear_conv_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                                    int32_t n_out)
{
    evi_shape y;
    (void)n_out;
    EVI_TRY(need_bytes(in, n_in, 0, "the input"));
    EVI_TRY(need_bytes(in, n_in, 3, "the weights"));
    EVI_TRY(need_bytes(in, n_in, 7, "the zero point of the output"));
    EVI_TRY(conv_shape(a, &in[0], &in[3], &y));
    for (int32_t i = 1; i < 8; i++) {
        if (i == 1 || i == 4 || i == 6)
            EVI_TRY(evi_need_real(in, n_in, i, "a scale"));
        if (i != 3)
            EVI_TRY(
                need_count(in, n_in, i, i == 4 || i == 5 ? y.dim[1] : 1, "a scale or zero point"));
    }
    if (evi_edge_has(in, n_in, 8) &&
        (in[8].type != EV_TYPE_INT32 || evi_shape_count(&in[8].shape) != y.dim[1]))
        return evi_fail(EV_ERR_SHAPE, "the bias must be %lld int32", (long long)y.dim[1]);
    evi_edge_set(out, 0, in[7].type, &y);
    return EV_OK;
}

typedef struct conv_job {
    evi_window win;
    const evi_view *x, *w, *zero_x, *zero_w, *bias;
    int64_t c_out, c_group, out_group; /* channels of a group: in, out */
    rescale to;
} conv_job;

static int64_t conv_sum(const conv_job *job, int64_t image, int64_t m, int64_t oy, int64_t ox)
{
    const evi_window *w = &job->win;
    int32_t zero_x = zero_at(job->zero_x, 0), zero_w = zero_at(job->zero_w, m);
    int64_t y0, y1, x0, x1, sum = job->bias == NULL ? 0 : zero_at(job->bias, m);
    int64_t top = oy * w->sh - w->top, left = ox * w->sw - w->left;
    evi_window_taps(top, w->kh, w->dh, w->h, &y0, &y1);
    evi_window_taps(left, w->kw, w->dw, w->w, &x0, &x1);
    for (int64_t c = 0; c < job->c_group; c++) {
        int64_t from = (image * w->c + m / job->out_group * job->c_group + c) * w->h;
        for (int64_t i = y0; i < y1; i++)
            for (int64_t j = x0; j < x1; j++) {
                int64_t at = (from + top + i * w->dh) * w->w + left + j * w->dw;
                int64_t tap = ((m * job->c_group + c) * w->kh + i) * w->kw + j;
                sum += (evi_integer(job->x->data, job->x->type, at) - zero_x) *
                       (evi_integer(job->w->data, job->w->type, tap) - zero_w);
            }
    }
    return sum;
}

static void conv_plane(void *arg, int64_t task, int32_t worker)
{
    const conv_job *job = arg;
    const evi_window *w = &job->win;
    int64_t m = task % job->c_out;
    (void)worker;
    for (int64_t oy = 0; oy < w->out_h; oy++)
        for (int64_t ox = 0; ox < w->out_w; ox++)
            put_sum(&job->to, (task * w->out_h + oy) * w->out_w + ox,
                    conv_sum(job, task / job->c_out, m, oy, ox), 0, m);
}

static void conv_run(evi_step *s, conv_job *job)
{
    evi_window_get(&s->a, &job->x->shape, &s->out[0]->shape, &job->win);
    job->c_out = job->w->shape.dim[0];
    job->c_group = job->w->shape.dim[1];
    job->out_group = job->c_out / s->a.groups;
    job->to.y = s->out[0]->data;
    job->to.type = s->out[0]->type;
    evi_parallel(s->crew, job->win.n * job->c_out, conv_plane, job);
}

static void conv_integer_forward(evi_step *s)
{
    conv_job job = {
        .x = s->in[0], .w = s->in[1], .zero_x = optional(s, 2), .zero_w = optional(s, 3)};
    conv_run(s, &job);
}

static void qlinear_conv_forward(evi_step *s)
{
    conv_job job = {
        .x = s->in[0],
        .w = s->in[3],
        .zero_x = s->in[2],
        .zero_w = s->in[5],
        .bias = optional(s, 8),
        .to = {.scale_x = s->in[1], .scale_w = s->in[4], .scale_y = s->in[6], .zero_y = s->in[7]}};
    conv_run(s, &job);
}

static double conv_flops(const evi_edge *w, const evi_edge *out)
{
    return 2.0 * (double)evi_shape_count(&out->shape) *
           (double)evi_shape_span(&w->shape, 1, w->shape.rank);
}

static double conv_integer_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                                 const evi_edge *out, int32_t n_out)
{
    (void)a;
    (void)n_in;
    (void)n_out;
    return conv_flops(&in[1], out);
}

static double qlinear_conv_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                                 const evi_edge *out, int32_t n_out)
{
    (void)a;
    (void)n_in;
    (void)n_out;
    return conv_flops(&in[3], out);
}

/* ---- matrix product ------------------------------------------------------------------------- */

/* Both of rank 2 or more; leading axes are broadcast. */
static ev_status product_shape(const evi_edge *a, const evi_edge *b, evi_shape *y)
{
    char text[2][EVI_SHAPE_TEXT];
    evi_shape left = a->shape, right = b->shape;
    int32_t ra = left.rank, rb = right.rank;
    bool fits = ra >= 2 && rb >= 2 && left.dim[ra - 1] == right.dim[rb - 2];
    left.rank = EVI_MAX(ra - 2, 0);
    right.rank = EVI_MAX(rb - 2, 0);
    if (!fits || !evi_broadcast(&left, &right, y) || y->rank + 2 > EV_MAX_RANK)
        return evi_fail(EV_ERR_SHAPE, "%s and %s cannot be multiplied",
                        evi_shape_text(&a->shape, text[0]), evi_shape_text(&b->shape, text[1]));
    y->dim[y->rank++] = a->shape.dim[ra - 2];
    y->dim[y->rank++] = b->shape.dim[rb - 1];
    return evi_shape_check(y, "the product");
}

static ev_status matmul_integer_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                                      int32_t n_out)
{
    evi_shape y;
    (void)a;
    (void)n_out;
    EVI_TRY(need_bytes(in, n_in, 0, "input 0"));
    EVI_TRY(need_bytes(in, n_in, 1, "input 1"));
    EVI_TRY(product_shape(&in[0], &in[1], &y));
    EVI_TRY(need_count(in, n_in, 2, y.dim[y.rank - 2], "the zero point of input 0"));
    EVI_TRY(need_count(in, n_in, 3, y.dim[y.rank - 1], "the zero point of input 1"));
    evi_edge_set(out, 0, EV_TYPE_INT32, &y);
    return EV_OK;
}

static ev_status qlinear_matmul_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                                      int32_t n_out)
{
    evi_shape y;
    (void)a;
    (void)n_out;
    EVI_TRY(need_bytes(in, n_in, 0, "input 0"));
    EVI_TRY(need_bytes(in, n_in, 3, "input 3"));
    EVI_TRY(need_bytes(in, n_in, 7, "the zero point of the output"));
    EVI_TRY(product_shape(&in[0], &in[3], &y));
    for (int32_t i = 1; i < 8; i++) {
        int64_t many = i < 3 ? y.dim[y.rank - 2] : i < 6 ? y.dim[y.rank - 1] : 1;
        if (i == 1 || i == 4 || i == 6)
            EVI_TRY(evi_need_real(in, n_in, i, "a scale"));
        if (i != 3)
            EVI_TRY(need_count(in, n_in, i, many, "a scale or zero point"));
    }
    evi_edge_set(out, 0, in[7].type, &y);
    return EV_OK;
}

typedef struct product_job {
    evi_walk w; /* over the matrices: 0 y, 1 a, 2 b */
    const evi_view *a, *b, *zero_a, *zero_b;
    int64_t m, k, n;
    rescale to;
} product_job;

static void product_run(void *arg, int64_t count, const int64_t *offset, const int64_t *step)
{
    const product_job *job = arg;
    for (int64_t t = 0; t < count; t++)
        for (int64_t i = 0; i < job->m; i++)
            for (int64_t j = 0; j < job->n; j++) {
                int64_t y = offset[0] + t * step[0], sum = 0;
                int64_t a = (offset[1] + t * step[1]) * job->m * job->k + i * job->k;
                int64_t b = (offset[2] + t * step[2]) * job->k * job->n + j;
                int32_t za = zero_at(job->zero_a, i), zb = zero_at(job->zero_b, j);
                for (int64_t p = 0; p < job->k; p++)
                    sum += (evi_integer(job->a->data, job->a->type, a + p) - za) *
                           (evi_integer(job->b->data, job->b->type, b + p * job->n) - zb);
                put_sum(&job->to, (y * job->m + i) * job->n + j, sum, i, j);
            }
}

static void matrix_run(evi_step *s, product_job *job)
{
    evi_shape y = s->out[0]->shape, a = job->a->shape, b = job->b->shape;
    const evi_shape *shapes[] = {&y, &a, &b};
    job->m = y.dim[y.rank - 2];
    job->n = y.dim[y.rank - 1];
    job->k = a.dim[a.rank - 1];
    y.rank -= 2;
    a.rank -= 2;
    b.rank -= 2;
    job->to.y = s->out[0]->data;
    job->to.type = s->out[0]->type;
    evi_walk_broadcast(&job->w, &y, 3, shapes);
    evi_walk_run(s->crew, &job->w, product_run, job);
}

static void matmul_integer_forward(evi_step *s)
{
    product_job job = {
        .a = s->in[0], .b = s->in[1], .zero_a = optional(s, 2), .zero_b = optional(s, 3)};
    matrix_run(s, &job);
}

static void qlinear_matmul_forward(evi_step *s)
{
    product_job job = {
        .a = s->in[0],
        .b = s->in[3],
        .zero_a = s->in[2],
        .zero_b = s->in[5],
        .to = {.scale_x = s->in[1], .scale_w = s->in[4], .scale_y = s->in[6], .zero_y = s->in[7]}};
    matrix_run(s, &job);
}

static double product_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                            const evi_edge *out, int32_t n_out)
{
    (void)a;
    (void)n_in;
    (void)n_out;
    return 2.0 * (double)evi_shape_count(&out->shape) * (double)in->shape.dim[in->shape.rank - 1];
}

#define QUANTISED(name_, onnx_, min_in_, max_in_, flops_)      \
    const evi_op evi_op_##name_ = {.name = #name_,             \
                                   .onnx = onnx_,              \
                                   .min_in = min_in_,          \
                                   .max_in = max_in_,          \
                                   .max_out = 1,               \
                                   .infer = name_##_infer,     \
                                   .forward = name_##_forward, \
                                   .flops = flops_};
QUANTISED(conv_integer, "ConvInteger", 2, 4, conv_integer_flops)
QUANTISED(qlinear_conv, "QLinearConv", 8, 9, qlinear_conv_flops)
QUANTISED(matmul_integer, "MatMulInteger", 2, 4, product_flops)
QUANTISED(qlinear_matmul, "QLinearMatMul", 8, 8, product_flops)
