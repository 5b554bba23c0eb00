/* SPDX-License-Identifier: MIT */
/* Convolution of x [N,C,H,W] (or [N,C,W]) with weights [M,C/groups,kh,kw]; ONNX Conv.
 * Inputs: x, weights, bias [M] (optional).
 *
 * A plan may have fused an activation and a 2x2 max pool into it; in training a relu alone.  Then
 * backward masks the gradient by the result (act) or by what the pool kept (s->saved). */
#include "ops/check.h"
#include "ops/convolve.h"
#include "ops/peak.h"
#include "ops/window.h"

static ev_status conv_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                            int32_t n_out)
{
    char tx[EVI_SHAPE_TEXT], tw[EVI_SHAPE_TEXT];
    (void)n_out;
    EVI_TRY(evi_need_rank(in, n_in, 0, 3, 4, "the input"));
    EVI_TRY(evi_need_rank(in, n_in, 1, in[0].shape.rank, in[0].shape.rank, "the weights"));
    const evi_shape *x = &in[0].shape, *w = &in[1].shape;
    EVI_TRY(evi_window_kernel(a, w));
    evi_window win;
    EVI_TRY(evi_window_infer(a, x, &win));
    if (x->dim[1] != w->dim[1] * a->groups || w->dim[0] % a->groups != 0)
        return evi_fail(EV_ERR_SHAPE,
                        "input %s has %lld channels, weights %s with %d groups need %lld and a "
                        "multiple of the groups as outputs",
                        evi_shape_text(x, tx), (long long)x->dim[1], evi_shape_text(w, tw),
                        (int)a->groups, (long long)(w->dim[1] * a->groups));
    EVI_TRY(evi_need_vector(in, n_in, 2, w->dim[0], "the bias"));
    evi_shape y;
    EVI_TRY(evi_window_shape(&win, x, w->dim[0], &y));
    evi_edge_set(out, 0, in[0].type, &y);
    return EV_OK;
}

static evi_conv_shape shape_of(const evi_step *s)
{
    evi_window w;
    evi_window_get(&s->a, &s->in[0]->shape, &s->out[0]->shape, &w);
    evi_conv_shape c = {.n = w.n,
                        .c_in = w.c,
                        .h = w.h,
                        .w = w.w,
                        .c_out = s->in[1]->shape.dim[0],
                        .kh = w.kh,
                        .kw = w.kw,
                        .stride_h = w.sh,
                        .stride_w = w.sw,
                        .pad_top = w.top,
                        .pad_left = w.left,
                        .pad_bottom = w.bottom,
                        .pad_right = w.right,
                        .dilation_h = w.dh,
                        .dilation_w = w.dw,
                        .groups = s->a.groups,
                        .out_h = w.out_h,
                        .out_w = w.out_w,
                        .precise = s->precise,
                        .pooled = s->pooled != 0};
    if (c.pooled)
        evi_conv_out_size(&c);
    return c;
}

static void conv_prepare(evi_step *s)
{
    evi_conv_shape c = shape_of(s);
    bool packs = !s->training && s->in[1]->data != NULL;
    if (packs)
        s->packed_bytes = evi_conv_pack_bytes(s->k, &c, EVI_CONV_FORWARD);
    s->scratch_bytes = evi_conv_scratch_bytes(s->k, &c, EVI_CONV_FORWARD, packs, s->n_workers);
    for (int32_t pass = EVI_CONV_BACK_DATA; s->training && pass <= EVI_CONV_BACK_WEIGHTS; pass++) {
        uint64_t bytes = evi_conv_scratch_bytes(s->k, &c, pass, false, s->n_workers);
        s->scratch_bytes = EVI_MAX(s->scratch_bytes, bytes);
    }
    if (s->training && s->pooled)
        s->saved_bytes = (uint64_t)evi_shape_count(&s->out[0]->shape);
}

static void conv_pack(evi_step *s)
{
    evi_conv_shape c = shape_of(s);
    if (s->packed_bytes > 0)
        evi_conv_pack(s->k, &c, EVI_CONV_FORWARD, evi_in(s, 1), s->packed);
}

static void conv_forward(evi_step *s)
{
    evi_conv_shape c = shape_of(s);
    evi_conv_end end = {.bias = evi_has_in(s, 2) ? evi_in(s, 2) : NULL,
                        .act = evi_step_act(s),
                        .where = s->pooled ? s->saved : NULL};
    evi_conv_forward(s->crew, s->k, &c, evi_in(s, 0), evi_in(s, 1),
                     s->packed_bytes > 0 ? s->packed : NULL, &end, evi_out(s, 0), s->scratch);
}

static void conv_backward(evi_step *s)
{
    evi_conv_shape c = shape_of(s);
    const evi_shape *y = &s->out[0]->shape;
    const int64_t plane = evi_shape_span(y, 2, y->rank);
    const uint8_t *where = s->pooled ? s->saved : NULL;
    evi_real *dy = s->out[0]->grad, *db = evi_has_in(s, 2) ? s->in[2]->grad : NULL;
    if (s->act == EVK_ACT_RELU && !s->pooled)
        evi_conv_back_relu(s->crew, s->k, c.n, c.c_out, plane, evi_out(s, 0), dy, db,
                           !evi_grad_is_first(s, 2));
    else if (db != NULL)
        evi_conv_back_bias(s->crew, s->k, c.n, c.c_out, plane, dy, where, db,
                           !evi_grad_is_first(s, 2));
    if (s->in[1]->grad != NULL)
        evi_conv_back_weights(s->crew, s->k, &c, evi_in(s, 0), dy, where, s->in[1]->grad,
                              !evi_grad_is_first(s, 1), s->scratch);
    if (s->in[0]->grad != NULL) {
        evi_conv_end end = {.accumulate = !evi_grad_is_first(s, 0)};
        evi_conv_back_data(s->crew, s->k, &c, dy, where, evi_in(s, 1), NULL, &end, s->in[0]->grad,
                           s->scratch);
    }
}

static void conv_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                          int32_t n_out, evi_coupling *c)
{
    (void)n_out;
    evi_window_couple(c, in[0].shape.dim[1], out[0].shape.dim[1], a->groups, 1, 0,
                      evi_edge_has(in, n_in, 2));
}

static double conv_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                         int32_t n_out)
{
    (void)a, (void)n_in, (void)n_out;
    const evi_shape *w = &in[1].shape;
    return 2.0 * (double)evi_shape_count(&out[0].shape) * (double)evi_shape_span(w, 1, w->rank);
}

static const char *conv_kernel(const evi_step *s)
{
    evi_conv_shape c = shape_of(s);
    return evi_conv_kernel(s->k, &c, EVI_CONV_FORWARD);
}

const evi_op evi_op_conv2d = {.name = "conv2d",
                              .onnx = "Conv",
                              .traits = EVI_OP_FUSES_ACT,
                              .bwd_in = 1 << 0 | 1 << 1,
                              .min_in = 2,
                              .max_in = 3,
                              .max_out = 1,
                              .infer = conv_infer,
                              .prepare = conv_prepare,
                              .pack = conv_pack,
                              .forward = conv_forward,
                              .backward = EVI_BACKWARD(conv_backward),
                              .channels = conv_channels,
                              .flops = conv_flops,
                              .kernel = conv_kernel};
