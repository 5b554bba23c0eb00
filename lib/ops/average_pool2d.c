/* SPDX-License-Identifier: MIT */
/* Mean under a window; ONNX AveragePool.  Input [N,C,H,W] or [N,C,W].
 *
 * The divisor counts the taps that lie on the picture, or with count_include_pad those on the
 * padded picture: with ceil_mode the last window may reach beyond even that, and what lies there
 * never counts (PyTorch's rule, ONNX's since opset 19). */
#include "ops/check.h"
#include "ops/window.h"

#include <string.h>

static ev_status pool_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                            int32_t n_out)
{
    (void)n_out;
    EVI_TRY(evi_need_rank(in, n_in, 0, 3, 4, "the input"));
    if (a->kernel[0] == 0 && in[0].shape.rank == 3)
        a->kernel[0] = 1;
    evi_window w;
    EVI_TRY(evi_window_infer(a, &in[0].shape, &w));
    evi_shape y;
    EVI_TRY(evi_window_shape(&w, &in[0].shape, w.c, &y));
    evi_edge_set(out, 0, in[0].type, &y);
    return EV_OK;
}

typedef struct taps {
    int64_t first, last; /* on the picture */
    int64_t counted;
} taps;

static taps taps_at(int64_t start, int64_t kernel, int64_t dilation, int64_t size, int64_t before,
                    int64_t after, bool include_pad)
{
    taps t;
    evi_window_taps(start, kernel, dilation, size, &t.first, &t.last);
    t.counted = EVI_MAX(t.last - t.first, 0);
    if (include_pad) {
        int64_t first, last;
        evi_window_taps(start + before, kernel, dilation, before + size + after, &first, &last);
        t.counted = EVI_MAX(last - first, 0);
    }
    return t;
}

static taps row_taps(const evi_step *s, const evi_window *w, int64_t i)
{
    return taps_at(i * w->sh - w->top, w->kh, w->dh, w->h, w->top, w->bottom,
                   s->a.count_include_pad != 0);
}

static taps column_taps(const evi_step *s, const evi_window *w, int64_t j)
{
    return taps_at(j * w->sw - w->left, w->kw, w->dw, w->w, w->left, w->right,
                   s->a.count_include_pad != 0);
}

static void pool_plane(const evi_step *s, const evi_window *w, int64_t plane)
{
    const evi_real *x = evi_in(s, 0) + plane * w->h * w->w;
    evi_real *y = evi_out(s, 0) + plane * w->out_h * w->out_w;
    for (int64_t i = 0; i < w->out_h; i++) {
        taps v = row_taps(s, w, i);
        for (int64_t j = 0; j < w->out_w; j++) {
            taps h = column_taps(s, w, j);
            const evi_real *from = x + (i * w->sh - w->top) * w->w + j * w->sw - w->left;
            evi_real sum = 0;
            for (int64_t p = v.first; p < v.last; p++)
                for (int64_t q = h.first; q < h.last; q++)
                    sum += from[p * w->dh * w->w + q * w->dw];
            *y++ = sum / (evi_real)EVI_MAX(v.counted * h.counted, 1);
        }
    }
}

static void back_plane(const evi_step *s, const evi_window *w, int64_t plane)
{
    evi_real *dx = s->in[0]->grad + plane * w->h * w->w;
    const evi_real *dy = s->out[0]->grad + plane * w->out_h * w->out_w;
    if (evi_grad_is_first(s, 0))
        memset(dx, 0, (size_t)(w->h * w->w) * sizeof(*dx));
    for (int64_t i = 0; i < w->out_h; i++) {
        taps v = row_taps(s, w, i);
        for (int64_t j = 0; j < w->out_w; j++) {
            taps h = column_taps(s, w, j);
            evi_real *to = dx + (i * w->sh - w->top) * w->w + j * w->sw - w->left;
            evi_real g = *dy++ / (evi_real)EVI_MAX(v.counted * h.counted, 1);
            for (int64_t p = v.first; p < v.last; p++)
                for (int64_t q = h.first; q < h.last; q++)
                    to[p * w->dh * w->w + q * w->dw] += g;
        }
    }
}

static void pool_forward(evi_step *s)
{
    evi_window w;
    evi_window_get(&s->a, &s->in[0]->shape, &s->out[0]->shape, &w);
    evi_for_planes(s, &w, pool_plane);
}

static void pool_backward(evi_step *s)
{
    evi_window w;
    evi_window_get(&s->a, &s->in[0]->shape, &s->out[0]->shape, &w);
    if (s->in[0]->grad != NULL)
        evi_for_planes(s, &w, back_plane);
}

static void pool_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                          int32_t n_out, evi_coupling *c)
{
    (void)a;
    evi_couple_same(c, in, n_in, out, n_out, 1);
}

static double pool_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                         int32_t n_out)
{
    (void)in, (void)n_in, (void)n_out;
    return (double)evi_shape_count(&out[0].shape) * a->kernel[0] * a->kernel[1];
}

const evi_op evi_op_average_pool2d = {.name = "average_pool2d",
                                      .onnx = "AveragePool",
                                      .min_in = 1,
                                      .max_in = 1,
                                      .max_out = 1,
                                      .infer = pool_infer,
                                      .forward = pool_forward,
                                      .backward = EVI_BACKWARD(pool_backward),
                                      .channels = pool_channels,
                                      .flops = pool_flops};
