/* SPDX-License-Identifier: MIT */
/* prelu: x where x > 0, else slope * x.  Inputs: x and slope, which is broadcast to x as in numpy.
 * Models of ONNX opset 1 to 6 give one slope per channel as [C]: with opset 1..6 set, a slope of
 * rank 1 and as many elements as x has channels belongs to axis 1. */
#include "ops/walk.h"

/* The slope's shape as it is broadcast. */
static evi_shape slope_shape(const evi_attrs *a, const evi_shape *x, const evi_shape *slope)
{
    evi_shape s = *slope;
    if (a->opset < 1 || a->opset > 6 || s.rank != 1 || x->rank < 2 || s.dim[0] != x->dim[1])
        return s;
    s.rank = x->rank - 1;
    for (int32_t i = 1; i < s.rank; i++)
        s.dim[i] = 1;
    return s;
}

static ev_status prelu_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                             int32_t n_out)
{
    char text[2][EVI_SHAPE_TEXT];
    evi_shape slope = slope_shape(a, &in[0].shape, &in[1].shape);
    EVI_TRY(evi_need_real(in, n_in, 0, "the input"));
    EVI_TRY(evi_need_real(in, n_in, 1, "the slope"));
    if (!evi_broadcast(&in[0].shape, &slope, &out->shape) ||
        !evi_shape_equal(&out->shape, &in[0].shape))
        return evi_fail(EV_ERR_SHAPE, "prelu: a slope of %s does not fit %s",
                        evi_shape_text(&in[1].shape, text[0]),
                        evi_shape_text(&in[0].shape, text[1]));
    return evi_infer_same(a, in, n_in, out, n_out);
}

/* The walk: 0 output (or its gradient), 1 x, 2 slope; for folding 0 is the slope's gradient. */
typedef struct prelu_job {
    const evi_kernels *k;
    const evi_real *x, *slope, *dy;
    evi_real *out;
    bool first;
} prelu_job;

static void forward_run(void *arg, int64_t n, const int64_t *offset, const int64_t *step)
{
    const prelu_job *job = arg;
    const evi_real *x = job->x + offset[1], *slope = job->slope + offset[2];
    evi_real *y = job->out + offset[0];
    if (step[0] == 1 && step[1] == 1 && step[2] == 0) { /* one slope: leaky relu */
        const evk_act act = {.kind = EVK_ACT_LEAKY, .a = *slope};
        job->k->act(n, x, 0, &act, y);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        evi_real v = x[i * step[1]], low = v * slope[i * step[2]];
        y[i * step[0]] = v > 0 ? v : low;
    }
}

static void backward_run(void *arg, int64_t n, const int64_t *offset, const int64_t *step)
{
    const prelu_job *job = arg;
    const evi_real *x = job->x + offset[1], *slope = job->slope + offset[2];
    const evi_real *dy = job->dy + offset[0];
    evi_real *dx = job->out + offset[0];
    if (step[0] == 1 && step[1] == 1 && step[2] == 0) {
        /* The kernel looks at the sign of y, which is that of x when the slope is positive; given x
         * in its place it is right for any slope. */
        const evk_act act = {.kind = EVK_ACT_LEAKY, .a = *slope};
        job->k->act_back(n, NULL, x, dy, &act, dx, !job->first);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        evi_real g = dy[i * step[0]];
        g = x[i * step[1]] > 0 ? g : g * slope[i * step[2]];
        dx[i * step[0]] = job->first ? g : dx[i * step[0]] + g;
    }
}

static void slope_terms(const void *arg, int64_t n, const int64_t *offset, const int64_t *step,
                        double *out)
{
    const prelu_job *job = arg;
    const evi_real *x = job->x + offset[1], *dy = job->dy + offset[1];
    for (int64_t i = 0; i < n; i++) {
        evi_real v = x[i * step[1]], low = v > 0 ? 0 : v; /* a minimum: no branch */
        out[i] = dy[i * step[1]] * low;
    }
}

static void slope_store(const void *arg, int64_t offset, double value)
{
    const prelu_job *job = arg;
    job->out[offset] = job->first ? (evi_real)value : job->out[offset] + (evi_real)value;
}

static void prelu_forward(evi_step *s)
{
    evi_walk w;
    evi_shape slope = slope_shape(&s->a, &s->in[0]->shape, &s->in[1]->shape);
    const evi_shape *x = &s->in[0]->shape, *shapes[] = {x, x, &slope};
    prelu_job job = {.k = s->k, .x = evi_in(s, 0), .slope = evi_in(s, 1), .out = evi_out(s, 0)};
    evi_walk_broadcast(&w, x, 3, shapes);
    evi_walk_run(s->crew, &w, forward_run, &job);
}

static void prelu_backward(evi_step *s)
{
    evi_walk w;
    evi_shape slope = slope_shape(&s->a, &s->in[0]->shape, &s->in[1]->shape);
    const evi_shape *x = &s->in[0]->shape, *shapes[] = {x, x, &slope};
    const evi_shape *fold[] = {&slope, x};
    prelu_job job = {.k = s->k, .x = evi_in(s, 0), .slope = evi_in(s, 1), .dy = s->out[0]->grad};
    if (s->in[0]->grad != NULL) {
        job.out = s->in[0]->grad;
        job.first = evi_grad_is_first(s, 0);
        evi_walk_broadcast(&w, x, 3, shapes);
        evi_walk_run(s->crew, &w, backward_run, &job);
    }
    if (s->in[1]->grad != NULL) {
        job.out = s->in[1]->grad;
        job.first = evi_grad_is_first(s, 1);
        evi_walk_broadcast(&w, x, 2, fold);
        evi_walk_fold(s->crew, &w, EVI_FOLD_SUM, slope_terms, slope_store, &job);
    }
}

static void prelu_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                           const evi_edge *out, int32_t n_out, evi_coupling *c)
{
    evi_edge two[2] = {in[0], in[1]};
    (void)n_in;
    (void)n_out;
    two[1].shape = slope_shape(a, &in[0].shape, &in[1].shape);
    evi_couple_broadcast(c, two, 2, out);
    /* Axes of size 1 that slope_shape() appended are not there to be cut. */
    int32_t kept = 0;
    for (int32_t i = 0; i < c->n; i++)
        if (c->slice[i].operand != 1 || c->slice[i].axis < in[1].shape.rank)
            c->slice[kept++] = c->slice[i];
    c->n = kept;
}

const evi_op evi_op_prelu = {.name = "prelu",
                             .onnx = "PRelu",
                             .bwd_in = 3,
                             .min_in = 2,
                             .max_in = 2,
                             .max_out = 1,
                             .infer = prelu_infer,
                             .forward = prelu_forward,
                             .backward = EVI_BACKWARD(prelu_backward),
                             .channels = prelu_channels,
                             .flops = evi_flops_elements};
