/* SPDX-License-Identifier: MIT */
/* Transposed convolution of x [N,C,H,W] (or [N,C,W]) with weights [C,M/groups,kh,kw]; ONNX
 * ConvTranspose.  Inputs: x, weights, bias [M] (optional).  a.list: ONNX output_shape.
 *
 * It is the gradient of a convolution from [N,M,OH,OW] to [N,C,H,W] with the same weights, so
 * each of its three passes is another pass of that convolution. */
#include "ops/check.h"
#include "ops/convolve.h"
#include "ops/peak.h"
#include "ops/window.h"

/* Size along one axis; where the size is wanted (output_shape, SAME) the padding follows from it:
 * what the full size has too much is cut off, the odd pixel at the end for SAME_UPPER and at the
 * beginning otherwise. */
static ev_status out_size(evi_attrs *a, int32_t axis, int64_t size, int64_t wanted, int64_t *out)
{
    int64_t full = (size - 1) * a->stride[axis] + a->output_pad[axis] +
                   (int64_t)a->dilation[axis] * (a->kernel[axis] - 1) + 1;
    if (wanted < 0 &&
        (a->auto_pad == EVI_AUTO_PAD_SAME_UPPER || a->auto_pad == EVI_AUTO_PAD_SAME_LOWER))
        wanted = size * a->stride[axis];
    if (wanted >= 0) {
        EVI_TRY(evi_window_split(a, axis, EVI_MAX(full - wanted, 0)));
        *out = wanted;
    } else {
        if (a->auto_pad == EVI_AUTO_PAD_VALID)
            a->pad[axis] = a->pad[axis + 2] = 0;
        *out = full - a->pad[axis] - a->pad[axis + 2];
    }
    if (*out < 1)
        return evi_fail(EV_ERR_SHAPE, "nothing is left: %lld %s less padding %d and %d",
                        (long long)full, axis == 0 ? "rows" : "columns", (int)a->pad[axis],
                        (int)a->pad[axis + 2]);
    return EV_OK;
}

static ev_status sizes(evi_attrs *a, const evi_shape *x, evi_window *win)
{
    int64_t h = x->rank == 4 ? x->dim[2] : 1, w = x->dim[x->rank - 1];
    int64_t want_h = -1, want_w = -1;
    for (int32_t i = 0; i < 2; i++)
        if (a->output_pad[i] < 0 || a->output_pad[i] >= EVI_MAX(a->stride[i], a->dilation[i]))
            return evi_fail(EV_ERR_ARGUMENT,
                            "output padding %d, %d must be less than stride or dilation",
                            (int)a->output_pad[0], (int)a->output_pad[1]);
    if (a->list.set) {
        int32_t n = a->list.n, spatial = x->rank - 2;
        if (n != spatial && n != x->rank)
            return evi_fail(EV_ERR_SHAPE, "output_shape has %d entries, must have %d", (int)n,
                            (int)spatial);
        want_w = a->list.v[n - 1];
        want_h = spatial == 2 ? a->list.v[n - 2] : 1;
        if (want_w < 1 || want_h < 1)
            return evi_fail(EV_ERR_SHAPE, "output_shape %lldx%lld must be at least 1x1",
                            (long long)want_h, (long long)want_w);
    }
    EVI_TRY(out_size(a, 0, h, want_h, &win->out_h));
    return out_size(a, 1, w, want_w, &win->out_w);
}

static ev_status convt_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                             int32_t n_out)
{
    char tx[EVI_SHAPE_TEXT], tw[EVI_SHAPE_TEXT];
    (void)n_out;
    EVI_TRY(evi_need_rank(in, n_in, 0, 3, 4, "the input"));
    EVI_TRY(evi_need_rank(in, n_in, 1, in[0].shape.rank, in[0].shape.rank, "the weights"));
    const evi_shape *x = &in[0].shape, *w = &in[1].shape;
    EVI_TRY(evi_window_kernel(a, w));
    EVI_TRY(evi_window_check(a, x));
    if (x->dim[1] != w->dim[0] || w->dim[0] % a->groups != 0)
        return evi_fail(EV_ERR_SHAPE, "input %s does not fit weights %s with %d groups",
                        evi_shape_text(x, tx), evi_shape_text(w, tw), (int)a->groups);
    evi_window win;
    EVI_TRY(sizes(a, x, &win));
    EVI_TRY(evi_need_vector(in, n_in, 2, w->dim[1] * a->groups, "the bias"));
    evi_shape y;
    EVI_TRY(evi_window_shape(&win, x, w->dim[1] * a->groups, &y));
    evi_edge_set(out, 0, in[0].type, &y);
    return EV_OK;
}

/* The convolution that goes the other way. */
static evi_conv_shape shape_of(const evi_step *s)
{
    evi_window w;
    evi_window_get(&s->a, &s->in[0]->shape, &s->out[0]->shape, &w);
    return (evi_conv_shape){.n = w.n,
                            .c_in = s->out[0]->shape.dim[1],
                            .h = w.out_h,
                            .w = w.out_w,
                            .c_out = w.c,
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
                            .out_h = w.h,
                            .out_w = w.w,
                            .precise = s->precise};
}

static void convt_prepare(evi_step *s)
{
    evi_conv_shape c = shape_of(s);
    bool packs = !s->training && s->in[1]->data != NULL;
    if (packs)
        s->packed_bytes = evi_conv_pack_bytes(s->k, &c, EVI_CONV_BACK_DATA);
    s->scratch_bytes = evi_conv_scratch_bytes(s->k, &c, EVI_CONV_BACK_DATA, packs, s->n_workers);
    if (!s->training)
        return;
    uint64_t data = evi_conv_scratch_bytes(s->k, &c, EVI_CONV_FORWARD, false, s->n_workers);
    uint64_t weights = evi_conv_scratch_bytes(s->k, &c, EVI_CONV_BACK_WEIGHTS, false, s->n_workers);
    s->scratch_bytes = EVI_MAX(s->scratch_bytes, EVI_MAX(data, weights));
}

static void convt_pack(evi_step *s)
{
    evi_conv_shape c = shape_of(s);
    if (s->packed_bytes > 0)
        evi_conv_pack(s->k, &c, EVI_CONV_BACK_DATA, evi_in(s, 1), s->packed);
}

static void convt_forward(evi_step *s)
{
    evi_conv_shape c = shape_of(s);
    evi_conv_end end = {.bias = evi_has_in(s, 2) ? evi_in(s, 2) : NULL, .act = evi_step_act(s)};
    evi_conv_back_data(s->crew, s->k, &c, evi_in(s, 0), NULL, evi_in(s, 1),
                       s->packed_bytes > 0 ? s->packed : NULL, &end, evi_out(s, 0), s->scratch);
}

static void convt_backward(evi_step *s)
{
    evi_conv_shape c = shape_of(s);
    const evi_real *dy = s->out[0]->grad;
    if (s->in[1]->grad != NULL)
        evi_conv_back_weights(s->crew, s->k, &c, dy, evi_in(s, 0), NULL, s->in[1]->grad,
                              !evi_grad_is_first(s, 1), s->scratch);
    if (evi_has_in(s, 2) && s->in[2]->grad != NULL)
        evi_conv_back_bias(s->crew, s->k, c.n, c.c_in, c.h * c.w, dy, NULL, s->in[2]->grad,
                           !evi_grad_is_first(s, 2));
    if (s->in[0]->grad != NULL) {
        evi_conv_end end = {.accumulate = !evi_grad_is_first(s, 0)};
        evi_conv_forward(s->crew, s->k, &c, dy, evi_in(s, 1), NULL, &end, s->in[0]->grad,
                         s->scratch);
    }
}

static void convt_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                           const evi_edge *out, int32_t n_out, evi_coupling *c)
{
    (void)n_out;
    evi_window_couple(c, in[0].shape.dim[1], out[0].shape.dim[1], a->groups, 0, 1,
                      evi_edge_has(in, n_in, 2));
}

/* Every input pixel meets every tap of its group once. */
static double convt_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                          int32_t n_out)
{
    (void)a, (void)n_in, (void)out, (void)n_out;
    const evi_shape *w = &in[1].shape;
    return 2.0 * (double)evi_shape_count(&in[0].shape) * (double)evi_shape_span(w, 1, w->rank);
}

static const char *convt_kernel(const evi_step *s)
{
    evi_conv_shape c = shape_of(s);
    return evi_conv_kernel(s->k, &c, EVI_CONV_BACK_DATA);
}

const evi_op evi_op_conv_transpose2d = {.name = "conv_transpose2d",
                                        .onnx = "ConvTranspose",
                                        .traits = EVI_OP_FUSES_ACT,
                                        .bwd_in = 1 << 0 | 1 << 1,
                                        .min_in = 2,
                                        .max_in = 3,
                                        .max_out = 1,
                                        .infer = convt_infer,
                                        .prepare = convt_prepare,
                                        .pack = convt_pack,
                                        .forward = convt_forward,
                                        .backward = EVI_BACKWARD(convt_backward),
                                        .channels = convt_channels,
                                        .flops = convt_flops,
                                        .kernel = convt_kernel};
