/* SPDX-License-Identifier: MIT */
/* Largest value under a window; ONNX MaxPool.  Input [N,C,H,W] or [N,C,W] of float32, or of uint8
 * and int8 in inference.  Second output (optional): the place of the largest value in the whole
 * input, int64, rows first or (storage_order) columns first.
 *
 * As in PyTorch the first of equal values wins and a NaN wins over everything.  Training keeps the
 * winning tap of each output: a byte, or two when a window has more than 255 taps. */
#include "ops/check.h"
#include "ops/window.h"

#include <math.h>
#include <string.h>

enum { GENERAL = 0, TWO_BY_TWO };

static ev_status pool_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                            int32_t n_out)
{
    bool bytes = n_in > 0 && (in[0].type == EV_TYPE_UINT8 || in[0].type == EV_TYPE_INT8);
    evi_edge x = in[0];
    if (bytes) /* sizes are checked in the same way */
        x.type = EV_TYPE_FLOAT32;
    EVI_TRY(evi_need_rank(&x, n_in, 0, 3, 4, "the input"));
    if (a->kernel[0] == 0 && x.shape.rank == 3)
        a->kernel[0] = 1;
    evi_window w;
    EVI_TRY(evi_window_infer(a, &x.shape, &w));
    if (w.kh * w.kw > 65535)
        return evi_fail(EV_ERR_UNSUPPORTED, "a window of %lldx%lld is too large", (long long)w.kh,
                        (long long)w.kw);
    evi_shape y;
    EVI_TRY(evi_window_shape(&w, &x.shape, w.c, &y));
    evi_edge_set(out, 0, in[0].type, &y);
    if (n_out > 1)
        evi_edge_set(out, 1, EV_TYPE_INT64, &y);
    return EV_OK;
}

static void window_of(const evi_step *s, evi_window *w)
{
    evi_window_get(&s->a, &s->in[0]->shape, &s->out[0]->shape, w);
}

static bool wide_taps(const evi_window *w)
{
    return w->kh * w->kw > 255;
}

static void pool_prepare(evi_step *s)
{
    evi_window w;
    window_of(s, &w);
    bool fast = w.kh == 2 && w.kw == 2 && w.sh == 2 && w.sw == 2 && w.dh == 1 && w.dw == 1 &&
                w.top == 0 && w.left == 0 && 2 * w.out_h <= w.h && 2 * w.out_w <= w.w &&
                !evi_step_has_out(s, 1) && s->in[0]->type == EV_TYPE_FLOAT32;
    s->variant = fast ? TWO_BY_TWO : GENERAL;
    if (s->training)
        s->saved_bytes = (uint64_t)(w.n * w.c * w.out_h * w.out_w) * (wide_taps(&w) ? 2u : 1u);
}

static void save_tap(const evi_step *s, const evi_window *w, int64_t out, int64_t tap)
{
    if (wide_taps(w))
        ((uint16_t *)s->saved)[out] = (uint16_t)tap;
    else
        ((uint8_t *)s->saved)[out] = (uint8_t)tap;
}

static int64_t saved_tap(const evi_step *s, const evi_window *w, int64_t out)
{
    return wide_taps(w) ? ((const uint16_t *)s->saved)[out] : ((const uint8_t *)s->saved)[out];
}

static int64_t no_tap(const evi_window *w)
{
    return wide_taps(w) ? 65535 : 255;
}

/* One output: the largest value of plane x under the window at y0, x0, and its tap. */
static evi_real largest(const evi_window *w, const evi_real *x, int64_t y0, int64_t x0,
                        int64_t *tap_out)
{
    int64_t i0, i1, j0, j1;
    evi_window_taps(y0, w->kh, w->dh, w->h, &i0, &i1);
    evi_window_taps(x0, w->kw, w->dw, w->w, &j0, &j1);
    evi_real best = -(evi_real)INFINITY;
    int64_t tap = i0 < i1 && j0 < j1 ? i0 * w->kw + j0 : no_tap(w);
    for (int64_t i = i0; i < i1; i++) {
        const evi_real *row = x + (y0 + i * w->dh) * w->w + x0;
        for (int64_t j = j0; j < j1; j++) {
            evi_real v = row[j * w->dw];
            if (v > best || isnan(v)) {
                best = v;
                tap = i * w->kw + j;
            }
        }
    }
    *tap_out = tap;
    return best;
}

static void store_index(const evi_step *s, const evi_window *w, int64_t plane, int64_t out,
                        int64_t row, int64_t col)
{
    int64_t place = s->a.storage_order ? col * w->h + row : row * w->w + col;
    ((int64_t *)s->out[1]->data)[out] = plane * w->h * w->w + place;
}

static void pool_plane(const evi_step *s, const evi_window *w, int64_t plane)
{
    const evi_real *x = evi_in(s, 0) + plane * w->h * w->w;
    int64_t out = plane * w->out_h * w->out_w;
    for (int64_t i = 0; i < w->out_h; i++) {
        for (int64_t j = 0; j < w->out_w; j++, out++) {
            int64_t tap, y0 = i * w->sh - w->top, x0 = j * w->sw - w->left;
            evi_out(s, 0)[out] = largest(w, x, y0, x0, &tap);
            if (s->training)
                save_tap(s, w, out, tap);
            if (evi_step_has_out(s, 1)) {
                tap = tap == no_tap(w) ? 0 : tap;
                store_index(s, w, plane, out, y0 + tap / w->kw * w->dh, x0 + tap % w->kw * w->dw);
            }
        }
    }
}

static void pool_plane_2x2(const evi_step *s, const evi_window *w, int64_t plane)
{
    const evi_real *x = evi_in(s, 0) + plane * w->h * w->w;
    int64_t out = plane * w->out_h * w->out_w;
    for (int64_t i = 0; i < w->out_h; i++, out += w->out_w) {
        const evi_real *row = x + 2 * i * w->w;
        s->k->max_pool2(w->out_w, row, row + w->w, evi_out(s, 0) + out,
                        s->training ? (uint8_t *)s->saved + out : NULL);
    }
}

/* uint8 and int8 (models quantised elsewhere): the same without NaN.  Adding 128 to an int8 by
 * flipping its top bit keeps the order, so both types compare as unsigned. */
static void pool_plane_bytes(const evi_step *s, const evi_window *w, int64_t plane)
{
    uint8_t flip = s->in[0]->type == EV_TYPE_INT8 ? 0x80 : 0;
    const uint8_t *x = (const uint8_t *)s->in[0]->data + plane * w->h * w->w;
    int64_t out = plane * w->out_h * w->out_w;
    for (int64_t o = 0; o < w->out_h * w->out_w; o++, out++) {
        int64_t i0, i1, j0, j1;
        int64_t y0 = o / w->out_w * w->sh - w->top, x0 = o % w->out_w * w->sw - w->left;
        evi_window_taps(y0, w->kh, w->dh, w->h, &i0, &i1);
        evi_window_taps(x0, w->kw, w->dw, w->w, &j0, &j1);
        int32_t best = -1, best_row = 0, best_col = 0;
        for (int64_t i = i0; i < i1; i++) {
            for (int64_t j = j0; j < j1; j++) {
                int64_t row = y0 + i * w->dh, col = x0 + j * w->dw;
                int32_t v = x[row * w->w + col] ^ flip;
                if (v > best)
                    best = v, best_row = (int32_t)row, best_col = (int32_t)col;
            }
        }
        ((uint8_t *)s->out[0]->data)[out] = (uint8_t)(EVI_MAX(best, 0) ^ flip);
        if (evi_step_has_out(s, 1))
            store_index(s, w, plane, out, best_row, best_col);
    }
}

static void pool_forward(evi_step *s)
{
    evi_window w;
    window_of(s, &w);
    if (s->in[0]->type != EV_TYPE_FLOAT32)
        evi_for_planes(s, &w, pool_plane_bytes);
    else
        evi_for_planes(s, &w, s->variant == TWO_BY_TWO ? pool_plane_2x2 : pool_plane);
}

static void back_plane(const evi_step *s, const evi_window *w, int64_t plane)
{
    evi_real *dx = s->in[0]->grad + plane * w->h * w->w;
    const evi_real *dy = s->out[0]->grad;
    if (evi_grad_is_first(s, 0))
        memset(dx, 0, (size_t)(w->h * w->w) * sizeof(*dx));
    int64_t out = plane * w->out_h * w->out_w;
    for (int64_t i = 0; i < w->out_h; i++) {
        for (int64_t j = 0; j < w->out_w; j++, out++) {
            int64_t tap = saved_tap(s, w, out);
            if (tap == no_tap(w))
                continue;
            int64_t row = i * w->sh - w->top + tap / w->kw * w->dh;
            int64_t col = j * w->sw - w->left + tap % w->kw * w->dw;
            dx[row * w->w + col] += dy[out];
        }
    }
}

static void back_plane_2x2(const evi_step *s, const evi_window *w, int64_t plane)
{
    evi_real *dx = s->in[0]->grad + plane * w->h * w->w;
    bool first = evi_grad_is_first(s, 0);
    int64_t out = plane * w->out_h * w->out_w;
    for (int64_t i = 0; i < w->out_h; i++, out += w->out_w) {
        evi_real *row = dx + 2 * i * w->w;
        s->k->max_pool2_back(w->out_w, s->out[0]->grad + out, (const uint8_t *)s->saved + out, row,
                             row + w->w, !first);
        if (first && w->w > 2 * w->out_w) { /* the column that no window reaches */
            row[w->w - 1] = 0;
            row[2 * w->w - 1] = 0;
        }
    }
    if (first && w->h > 2 * w->out_h)
        memset(dx + 2 * w->out_h * w->w, 0, (size_t)w->w * sizeof(*dx));
}

static void pool_backward(evi_step *s)
{
    evi_window w;
    window_of(s, &w);
    if (s->in[0]->grad != NULL)
        evi_for_planes(s, &w, s->variant == TWO_BY_TWO ? back_plane_2x2 : back_plane);
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

static const char *pool_kernel(const evi_step *s)
{
    return s->variant == TWO_BY_TWO ? "2x2" : "general";
}

const evi_op evi_op_max_pool2d = {.name = "max_pool2d",
                                  .onnx = "MaxPool",
                                  .min_in = 1,
                                  .max_in = 1,
                                  .max_out = 2,
                                  .infer = pool_infer,
                                  .prepare = pool_prepare,
                                  .forward = pool_forward,
                                  .backward = EVI_BACKWARD(pool_backward),
                                  .channels = pool_channels,
                                  .flops = pool_flops,
                                  .kernel = pool_kernel};
