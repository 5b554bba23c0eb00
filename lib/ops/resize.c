/* SPDX-License-Identifier: MIT */
/* resize and upsample: interpolation along any axes.
 *
 *   mode = EVI_RESIZE_*; coord = EVI_COORD_*; nearest = EVI_NEAREST_*; aspect = EVI_ASPECT_*;
 *   exclude_outside; antialias (linear and cubic, shrinking only); cubic_a (ONNX default -0.75);
 *   extrapolation (tf_crop_and_resize)
 *   inputs: 0 x, 1 roi, 2 scales, 3 sizes (1..3 known before running), or instead
 *   scales[] with list.n of them (list.set), sizes in list2, roi[] (begins, then ends), and
 *   list3 = axes that all of them belong to; not set: all axes
 *   opset 1..10: of two inputs the second is scales; the coordinates are asymmetric and nearest
 *   means floor
 *   upsample: mode, and scales as input 1 or in scales[]
 *
 * Interpolation is separable: each axis is a table of taps (which inputs, with which weights), and
 * the axes are done one after the other from the innermost out, over [outer, n, inner].  The
 * coordinates are ONNX's, in double.  Gradients for all modes run the tables backwards. */
#include "ops/resize.h"

#include <math.h>
#include <string.h>

/* ---- shapes --------------------------------------------------------------------------------- */

/* scales or roi of a constant input into a list of floats; *n_out -1 when there is none. */
static ev_status floats_input(const evi_edge *in, int32_t n_in, int32_t i, const char *what,
                              float *out, int32_t most, int32_t *n_out)
{
    char text[EVI_SHAPE_TEXT];
    *n_out = -1;
    if (i >= n_in || in[i].type == 0)
        return EV_OK;
    int64_t n = evi_shape_count(&in[i].shape);
    if (n == 0) /* an empty list stands for an absent one */
        return EV_OK;
    EVI_TRY(evi_need_real(in, n_in, i, what));
    if (in[i].shape.rank > 1 || n > most)
        return evi_fail(EV_ERR_SHAPE, "%s: %s is not a list of at most %d numbers", what,
                        evi_shape_text(&in[i].shape, text), most);
    if (in[i].value == NULL)
        return evi_fail(EV_ERR_UNSUPPORTED,
                        "%s decide shapes, so they must be known before running", what);
    *n_out = (int32_t)n;
    for (int32_t k = 0; k < n; k++)
        out[k] = (float)evi_number(in[i].value, in[i].type, k);
    return EV_OK;
}

static ev_status read_inputs(evi_attrs *a, const evi_edge *in, int32_t n_in, bool old)
{
    int32_t n;
    EVI_TRY(floats_input(in, n_in, old ? 1 : 2, "resize: scales", a->scales, EV_MAX_RANK, &n));
    if (n >= 0) {
        a->list.set = 1;
        a->list.n = n;
    }
    if (old)
        return EV_OK;
    EVI_TRY(floats_input(in, n_in, 1, "resize: roi", a->roi, 2 * EV_MAX_RANK, &n));
    if (n_in > 3 && in[3].type != 0 && evi_shape_count(&in[3].shape) > 0)
        EVI_TRY(evi_list_read(&in[3], "resize: the sizes", &a->list2));
    return EV_OK;
}

/* Output sizes when sizes are given; the policy may change them to keep the aspect ratio. */
static void sizes_to_scales(const evi_attrs *a, const evi_shape *x, const int32_t *axes, int32_t n,
                            evi_resize *r)
{
    double common = 0;
    for (int32_t i = 0; i < n; i++) {
        double scale = (double)a->list2.v[i] / (double)x->dim[axes[i]];
        bool take =
            i == 0 || (a->aspect == EVI_ASPECT_NOT_LARGER ? scale < common : scale > common);
        common = take ? scale : common;
    }
    for (int32_t i = 0; i < n; i++) {
        int32_t axis = axes[i];
        r->size[axis] = a->list2.v[i];
        if (a->aspect == EVI_ASPECT_STRETCH) {
            r->scale[axis] = (double)a->list2.v[i] / (double)x->dim[axis];
        } else {
            r->scale[axis] = common;
            r->size[axis] = (int64_t)floor(common * (double)x->dim[axis] + 0.5);
        }
    }
}

static ev_status check_given(const evi_attrs *a, const evi_shape *x, const int32_t *axes, int32_t n,
                             bool by_size)
{
    char text[EVI_SHAPE_TEXT];
    int32_t given = by_size ? a->list2.n : a->list.n;
    if (given != n)
        return evi_fail(EV_ERR_SHAPE, "resize: %d %s for %d axes of %s", given,
                        by_size ? "sizes" : "scales", n, evi_shape_text(x, text));
    for (int32_t i = 0; i < n; i++) {
        bool good = by_size ? a->list2.v[i] > 0 && a->list2.v[i] < (int64_t)1 << 31
                            : a->scales[i] > 0 && a->scales[i] < 1e9f;
        if (!good || x->dim[axes[i]] < 1)
            return evi_fail(EV_ERR_SHAPE, "resize: axis %d of %s to %g%s", axes[i],
                            evi_shape_text(x, text),
                            by_size ? (double)a->list2.v[i] : (double)a->scales[i],
                            by_size ? "" : " times its size");
    }
    return EV_OK;
}

ev_status evi_resize_resolve(const evi_attrs *a, const evi_shape *x, evi_resize *r)
{
    int32_t axes[EV_MAX_RANK], n = a->list3.set ? a->list3.n : x->rank;
    uint32_t mask;
    bool by_size = a->list2.set;
    EVI_TRY(evi_axes_mask(&a->list3, x->rank, &mask));
    for (int32_t i = 0; i < n; i++) {
        axes[i] = i;
        if (a->list3.set)
            evi_axis((int32_t)a->list3.v[i], x->rank, &axes[i]);
    }
    if (!by_size && !a->list.set)
        return evi_fail(EV_ERR_ARGUMENT, "resize: neither scales nor sizes are given");
    EVI_TRY(check_given(a, x, axes, n, by_size));
    for (int32_t i = 0; i < x->rank; i++) {
        r->scale[i] = 1;
        r->size[i] = x->dim[i];
        r->roi[i][0] = 0;
        r->roi[i][1] = 1;
    }
    if (by_size)
        sizes_to_scales(a, x, axes, n, r);
    for (int32_t i = 0; i < n; i++) {
        int32_t axis = axes[i];
        if (!by_size) { /* in float, as others do: 0.7f * 10 is 7 there, and 6.9999998 in double */
            float size = a->scales[i] * (float)x->dim[axis];
            if (size >= 0x1p31f)
                return evi_fail(EV_ERR_SHAPE, "resize: axis %d becomes too large", axis);
            r->scale[axis] = (double)a->scales[i];
            r->size[axis] = (int64_t)size;
            double ratio = (double)r->size[axis] / (double)x->dim[axis];
            if ((float)ratio == a->scales[i])
                r->scale[axis] = ratio; /* what the float was meant to be */
        }
        r->roi[axis][0] = (double)a->roi[i];
        r->roi[axis][1] = (double)a->roi[n + i];
    }
    return EV_OK;
}

static ev_status resize_infer_any(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                                  bool old)
{
    evi_resize r;
    EVI_TRY(evi_need_real(in, n_in, 0, "the input"));
    EVI_TRY(read_inputs(a, in, n_in, old));
    EVI_TRY(evi_resize_resolve(a, &in->shape, &r));
    out->type = in->type;
    return evi_shape_set(&out->shape, in->shape.rank, r.size, "resize");
}

static void old_meaning(evi_attrs *a)
{
    a->coord = EVI_COORD_ASYMMETRIC;
    a->nearest = EVI_NEAREST_FLOOR;
}

static ev_status resize_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                              int32_t n_out)
{
    bool old = a->opset >= 1 && a->opset <= 10;
    (void)n_out;
    if (old)
        old_meaning(a);
    return resize_infer_any(a, in, n_in, out, old && n_in <= 2);
}

static ev_status upsample_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                                int32_t n_out)
{
    (void)n_out;
    old_meaning(a);
    return resize_infer_any(a, in, n_in, out, true);
}

/* ---- memory --------------------------------------------------------------------------------- */

/* The axes that change, from the innermost out, and the sizes between the passes. */
typedef struct passes {
    int32_t n, axis[EV_MAX_RANK];
    int64_t n_taps[EV_MAX_RANK];
    int64_t table_bytes, largest; /* of the arrays between passes, in elements */
} passes;

static void plan_passes(const evi_attrs *a, const evi_shape *x, const evi_resize *r, passes *p)
{
    evi_shape now = *x;
    memset(p, 0, sizeof(*p));
    for (int32_t i = x->rank - 1; i >= 0; i--) {
        if (evi_resize_is_copy(a, r, i, x->dim[i]))
            continue;
        int64_t taps = evi_resize_taps(a, r->scale[i]);
        int64_t bytes = evi_resize_table_bytes(r->size[i], taps);
        p->n_taps[p->n] = taps;
        p->axis[p->n++] = i;
        p->table_bytes = EVI_MAX(p->table_bytes, bytes);
        now.dim[i] = r->size[i];
        p->largest = EVI_MAX(p->largest, evi_shape_count(&now));
    }
}

static void resize_prepare(evi_step *s)
{
    evi_resize r;
    passes p;
    if (evi_resize_resolve(&s->a, &s->in[0]->shape, &r) != EV_OK)
        return; /* infer has refused this before */
    plan_passes(&s->a, &s->in[0]->shape, &r, &p);
    s->scratch_bytes = (uint64_t)p.table_bytes;
    if (p.n > 1)
        s->scratch_bytes += 2 * evi_round_up((uint64_t)p.largest * sizeof(evi_real), EVI_ALIGN);
}

/* ---- running -------------------------------------------------------------------------------- */

typedef struct pass_job {
    const evi_kernels *k;
    const evi_real *from;
    evi_real *to;
    evi_taps t;
    int64_t n, inner; /* input length along the axis */
    evi_real outside;
    bool first;
} pass_job;

/* One output line (inner values) from its taps. */
static void blend(const pass_job *job, const evi_real *from, int64_t o, evi_real *to)
{
    const evi_taps *t = &job->t;
    const int32_t *at = t->index + o * t->n_taps;
    const evi_real *weight = t->weight + o * t->n_taps;
    int64_t inner = job->inner;
    if (at[0] < 0) {
        for (int64_t i = 0; i < inner; i++)
            to[i] = job->outside;
    } else if (weight[0] == 1 && (t->n_taps == 1 || weight[1] == 0)) {
        memcpy(to, from + at[0] * inner, (size_t)inner * sizeof(evi_real));
        return;
    } else {
        bool started = false;
        for (int64_t k = 0; k < t->n_taps; k++) {
            const evi_real *x = from + at[k] * inner;
            evi_real w = weight[k];
            if (w == 0)
                continue; /* an infinity out of reach must not become NaN */
            (started ? job->k->axpy : job->k->scale)(inner, w, x, to);
            started = true;
        }
        if (!started)
            memset(to, 0, (size_t)inner * sizeof(evi_real));
    }
}

/* Along the innermost axis: one value at a time, common numbers of taps written out. */
static void blend_row(const pass_job *job, const evi_real *x, evi_real *y)
{
    const evi_taps *t = &job->t;
    for (int64_t o = 0; o < t->n_out; o++) {
        const int32_t *at = t->index + o * t->n_taps;
        const evi_real *w = t->weight + o * t->n_taps;
        if (at[0] < 0) {
            y[o] = job->outside;
        } else if (t->n_taps == 1) {
            y[o] = x[at[0]];
        } else if (t->n_taps == 2) {
            y[o] = w[1] == 0   ? w[0] * x[at[0]]
                   : w[0] == 0 ? w[1] * x[at[1]]
                               : w[0] * x[at[0]] + w[1] * x[at[1]];
        } else {
            evi_real sum = 0;
            for (int64_t k = 0; k < t->n_taps; k++)
                if (w[k] != 0)
                    sum += w[k] * x[at[k]];
            y[o] = sum;
        }
    }
}

static void forward_lines(void *arg, int64_t first, int64_t count)
{
    const pass_job *job = arg;
    int64_t n_out = job->t.n_out;
    for (int64_t i = first; i < first + count; i++) {
        if (job->inner == 1) {
            blend_row(job, job->from + i * job->n, job->to + i * n_out);
            continue;
        }
        blend(job, job->from + i / n_out * job->n * job->inner, i % n_out,
              job->to + i * job->inner);
    }
}

static void spread_back(const pass_job *job, const evi_real *dy, evi_real *dx)
{
    const evi_taps *t = &job->t;
    if (job->first)
        memset(dx, 0, (size_t)(job->n * job->inner) * sizeof(evi_real));
    for (int64_t o = 0; o < t->n_out; o++) {
        const int32_t *at = t->index + o * t->n_taps;
        const evi_real *w = t->weight + o * t->n_taps;
        for (int64_t k = 0; at[0] >= 0 && k < t->n_taps; k++) {
            if (w[k] == 0)
                continue;
            if (job->inner == 1)
                dx[at[k]] += w[k] * dy[o];
            else
                job->k->axpy(job->inner, w[k], dy + o * job->inner, dx + at[k] * job->inner);
        }
    }
}

/* Several outputs share an input, so one [n, inner] block is one task. */
static void backward_blocks(void *arg, int64_t first, int64_t count)
{
    const pass_job *job = arg;
    for (int64_t i = first; i < first + count; i++)
        spread_back(job, job->from + i * job->t.n_out * job->inner,
                    job->to + i * job->n * job->inner);
}

/* [outer, n, inner] around `axis` of a shape. */
static void around(const evi_shape *s, int32_t axis, int64_t *outer, int64_t *inner)
{
    *outer = *inner = 1;
    for (int32_t i = 0; i < s->rank; i++) {
        *outer *= i < axis ? s->dim[i] : 1;
        *inner *= i > axis ? s->dim[i] : 1;
    }
}

static void run_pass(evi_step *s, pass_job *job, int64_t outer, bool back)
{
    int64_t line = (back ? job->n + job->t.n_out : 1) * job->inner;
    int64_t rows = outer * (back || job->inner == 1 ? 1 : job->t.n_out);
    if (job->inner == 1)
        line = job->t.n_out;
    evi_for_ranges(s->crew, rows, EVI_MAX(16384 / EVI_MAX(line, 1), 1),
                   back ? backward_blocks : forward_lines, job);
}

typedef struct workspace {
    evi_resize r;
    passes p;
    void *table;
    evi_real *buffer[2];
} workspace;

static void open_workspace(const evi_step *s, workspace *w)
{
    evi_resize_resolve(&s->a, &s->in[0]->shape, &w->r);
    plan_passes(&s->a, &s->in[0]->shape, &w->r, &w->p);
    char *at = s->scratch;
    w->table = at;
    at += w->p.n > 0 ? w->p.table_bytes : 0;
    w->buffer[0] = (evi_real *)(void *)at;
    if (w->p.n > 1)
        at += evi_round_up((uint64_t)w->p.largest * sizeof(evi_real), EVI_ALIGN);
    w->buffer[1] = (evi_real *)(void *)at;
}

static void resize_forward(evi_step *s)
{
    workspace w;
    evi_shape now = s->in[0]->shape;
    const evi_real *from = evi_in(s, 0);
    open_workspace(s, &w);
    if (w.p.n == 0)
        memcpy(s->out[0]->data, from, (size_t)evi_shape_count(&now) * sizeof(evi_real));
    for (int32_t i = 0; i < w.p.n; i++) {
        int32_t axis = w.p.axis[i];
        int64_t outer;
        pass_job job = {.k = s->k, .from = from, .n = now.dim[axis]};
        job.to = i == w.p.n - 1 ? evi_out(s, 0) : w.buffer[i & 1];
        job.outside = (evi_real)s->a.extrapolation;
        evi_resize_table(&s->a, &w.r, axis, now.dim[axis], w.p.n_taps[i], w.table, &job.t);
        around(&now, axis, &outer, &job.inner);
        run_pass(s, &job, outer, false);
        now.dim[axis] = w.r.size[axis];
        from = job.to;
    }
}

static void resize_backward(evi_step *s)
{
    workspace w;
    evi_shape now = s->out[0]->shape;
    const evi_real *from = s->out[0]->grad;
    evi_real *dx = s->in[0]->grad;
    bool first = evi_grad_is_first(s, 0);
    if (dx == NULL)
        return;
    open_workspace(s, &w);
    if (w.p.n == 0) {
        (first ? s->k->scale : s->k->axpy)(evi_shape_count(&now), 1, from, dx);
        return;
    }
    for (int32_t i = w.p.n - 1; i >= 0; i--) {
        int32_t axis = w.p.axis[i];
        int64_t outer, n = s->in[0]->shape.dim[axis];
        pass_job job = {.k = s->k, .from = from, .n = n, .first = i > 0 || first};
        job.to = i == 0 ? dx : w.buffer[i & 1];
        evi_resize_table(&s->a, &w.r, axis, n, w.p.n_taps[i], w.table, &job.t);
        around(&now, axis, &outer, &job.inner);
        run_pass(s, &job, outer, true);
        now.dim[axis] = n;
        from = job.to;
    }
}

static void resize_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                            const evi_edge *out, int32_t n_out, evi_coupling *c)
{
    (void)a;
    (void)n_in;
    if (in->shape.rank > 1 && in->shape.dim[1] != out->shape.dim[1])
        c->blocked = "channels are interpolated";
    evi_couple_axes(c, in, 1, out, n_out, -1);
}

static double resize_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                           const evi_edge *out, int32_t n_out)
{
    evi_resize r;
    double taps = 1;
    (void)n_in;
    (void)n_out;
    if (a->mode != EVI_RESIZE_NEAREST && evi_resize_resolve(a, &in->shape, &r) == EV_OK)
        for (int32_t i = 0; i < in->shape.rank; i++)
            if (!evi_resize_is_copy(a, &r, i, in->shape.dim[i]))
                taps *= 2 * (double)evi_resize_taps(a, r.scale[i]);
    return taps * (double)evi_shape_count(&out->shape);
}

const evi_op evi_op_resize = {.name = "resize",
                              .onnx = "Resize",
                              .min_in = 1,
                              .max_in = 4,
                              .max_out = 1,
                              .infer = resize_infer,
                              .prepare = resize_prepare,
                              .forward = resize_forward,
                              .backward = EVI_BACKWARD(resize_backward),
                              .channels = resize_channels,
                              .flops = resize_flops};
const evi_op evi_op_upsample = {.name = "upsample",
                                .onnx = "Upsample",
                                .min_in = 1,
                                .max_in = 2,
                                .max_out = 1,
                                .infer = upsample_infer,
                                .prepare = resize_prepare,
                                .forward = resize_forward,
                                .backward = EVI_BACKWARD(resize_backward),
                                .channels = resize_channels,
                                .flops = resize_flops};
