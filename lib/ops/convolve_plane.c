/* SPDX-License-Identifier: MIT */
/* Geometry of convolution, and the copy with its zero border. */
#include "ops/convolve_plane.h"

#include <string.h>

/* Taps 0, gap, 2 gap ... fall into how many of the classes modulo step? */
static int64_t count_phases(int64_t n, int64_t gap, int64_t step)
{
    int64_t a = gap, b = step;

    while (b) { /* greatest common divisor */
        int64_t c = a % b;

        a = b;
        b = c;
    }
    return EVI_MIN(EVI_MAX(n, 1), step / a);
}

void evi_taps_finish(evi_taps *t)
{
    t->reach_y = t->ny > 0 ? (t->ny - 1) * t->gap_y / t->step_y : 0;
    t->reach_x = t->nx > 0 ? (t->nx - 1) * t->gap_x / t->step_x : 0;
    t->phases_y = count_phases(t->ny, t->gap_y, t->step_y);
    t->phases_x = count_phases(t->nx, t->gap_x, t->step_x);
    t->pitch = t->out_w + t->reach_x;
    t->in_place = t->ny == 1 && t->nx == 1 && t->step_y == 1 && t->step_x == 1 && t->org_y == 0 &&
                  t->org_x == 0 && t->out_h == t->in_h && t->out_w == t->in_w;
}

int64_t evi_taps_channel(const evi_taps *t, int64_t rows)
{
    return t->phases_y * t->phases_x * (rows + t->reach_y) * t->pitch;
}

/* Phases repeat after phases_y taps, since tap ty and ty + step / gcd lie a multiple of the step
 * apart: so the class of tap ty is numbered ty % phases_y. */
int64_t evi_taps_offset(const evi_taps *t, int64_t rows, int64_t tap)
{
    int64_t ty = tap / t->nx, tx = tap % t->nx;
    int64_t phase = ty % t->phases_y * t->phases_x + tx % t->phases_x;

    return (phase * (rows + t->reach_y) + ty * t->gap_y / t->step_y) * t->pitch +
           tx * t->gap_x / t->step_x;
}

static int64_t ceil_div(int64_t a, int64_t b) /* b > 0, any a */
{
    return a >= 0 ? (a + b - 1) / b : -(-a / b);
}

void evi_taps_fill(const evi_taps *t, const evi_kernels *k, const evi_real *in, int64_t y0,
                   int64_t n, int64_t rows, evi_real *to)
{
    const int64_t skip = (rows - n) * t->pitch; /* rows of the layout that this part leaves out */

    for (int64_t py = 0; py < t->phases_y; py++) {
        for (int64_t px = 0; px < t->phases_x; px++, to += skip) {
            const int64_t oy = py * t->gap_y % t->step_y + t->org_y;
            const int64_t ox = px * t->gap_x % t->step_x + t->org_x;
            /* columns j with 0 <= j step + ox < in_w */
            int64_t j0 = EVI_MIN(EVI_MAX(ceil_div(-ox, t->step_x), 0), t->pitch);
            int64_t j1 = EVI_MAX(EVI_MIN(ceil_div(t->in_w - ox, t->step_x), t->pitch), j0);

            for (int64_t r = 0; r < n + t->reach_y; r++, to += t->pitch) {
                const int64_t y = (y0 + r) * t->step_y + oy;

                if (y < 0 || y >= t->in_h) {
                    memset(to, 0, (size_t)t->pitch * sizeof(*to));
                    continue;
                }
                for (int64_t j = 0; j < j0; j++)
                    to[j] = 0;
                const evi_real *from = in + y * t->in_w + j0 * t->step_x + ox;
                if (t->step_x == 1)
                    memcpy(to + j0, from, (size_t)(j1 - j0) * sizeof(*to));
                else
                    k->gather(j1 - j0, from, t->step_x, to + j0);
                for (int64_t j = j1; j < t->pitch; j++)
                    to[j] = 0;
            }
        }
    }
}

int64_t evi_taps_spare(const evi_taps *t)
{
    return t->in_w / 2 * 4;
}

void evi_taps_fill_pooled(const evi_taps *t, const evi_kernels *k, const evi_real *dy,
                          const uint8_t *where, int64_t y0, int64_t n, int64_t rows, evi_real *to,
                          evi_real *spare)
{
    const int64_t half = t->in_w / 2, w = 2 * half, h = t->in_h / 2 * 2;
    const int64_t j0 = EVI_MIN(EVI_MAX(-t->org_x, 0), t->pitch);
    const int64_t j1 = EVI_MAX(EVI_MIN(w - t->org_x, t->pitch), j0);
    const bool whole = j1 - j0 == w;

    (void)rows; /* one plane: what it leaves out is at its end */
    for (int64_t r = 0; r < n + t->reach_y;) {
        const int64_t y = y0 + r + t->org_y;
        evi_real *row = to + r * t->pitch, *pair[2] = {spare, spare + w};
        const int64_t count = y >= 0 && y < h && y % 2 == 0 && r + 1 < n + t->reach_y ? 2 : 1;

        r += count;
        if (y < 0 || y >= h) {
            memset(row, 0, (size_t)t->pitch * sizeof(*row));
            continue;
        }
        for (int64_t i = 0; i < count && whole; i++)
            pair[(y + i) % 2] = row + i * t->pitch + j0;
        k->max_pool2_back(half, dy + y / 2 * half, where + y / 2 * half, pair[0], pair[1], 0);
        for (int64_t i = 0; i < count; i++, row += t->pitch) {
            for (int64_t j = 0; j < j0; j++)
                row[j] = 0;
            if (!whole)
                memcpy(row + j0, pair[(y + i) % 2] + j0 + t->org_x,
                       (size_t)(j1 - j0) * sizeof(*row));
            for (int64_t j = j1; j < t->pitch; j++)
                row[j] = 0;
        }
    }
}

void evi_taps_ahead(const evi_taps *t, const evi_real *in, const uint8_t *where, int64_t count,
                    int64_t y0, int64_t n, evi_ahead *a)
{
    const int64_t by = where ? 2 : 1, w = t->in_w / by, plane = t->in_h / by * w;
    const int64_t last = (t->ny - 1) * t->gap_y + t->org_y; /* of an output's rows */
    const int64_t first = y0 == 0 ? 0 : (y0 - 1) * t->step_y + last + 1;
    const int64_t y1 = EVI_MIN((y0 + n - 1) * t->step_y + last + by, t->in_h) / by;
    const int64_t from = EVI_MIN(EVI_MAX(first, 0) / by, y1), values = (y1 - from) * w;

    evi_ahead_add(a, in + from * w, plane * (int64_t)sizeof(*in), values * (int64_t)sizeof(*in),
                  count);
    if (where)
        evi_ahead_add(a, where + from * w, plane, values, count);
}

evi_taps evi_taps_forward(const evi_conv_shape *s)
{
    evi_taps t = {.in_h = s->h,
                  .in_w = s->w,
                  .out_h = s->pooled ? s->out_h / 2 * 2 : s->out_h,
                  .out_w = s->pooled ? s->out_w / 2 * 2 : s->out_w,
                  .step_y = s->stride_h,
                  .step_x = s->stride_w,
                  .org_y = -s->pad_top,
                  .org_x = -s->pad_left,
                  .ny = s->kh,
                  .nx = s->kw,
                  .gap_y = s->dilation_h,
                  .gap_x = s->dilation_w};

    evi_taps_finish(&t);
    return t;
}

/* One axis of the backward pass.  Row y = p + i stride of dx receives row o of dy through tap a
 * where o stride + a dilation = y + pad.  With g = gcd(stride, dilation) such taps exist if g
 * divides p + pad, and they are a0, a0 + stride/g, ...; o = i + (p + pad - a dilation) / stride.
 * Higher a means lower o, so tap 0 is the highest a and each next lies dilation/g rows lower. */
static void backward_axis(int64_t p, int64_t pad, int64_t stride, int64_t dilation, int64_t kernel,
                          int64_t *n, int64_t *gap, int64_t *org, int64_t *first, int64_t *jump)
{
    int64_t last = -1;

    *n = 0;
    *gap = 1;
    *org = 0;
    *first = 0;
    *jump = 1;
    for (int64_t a = 0; a < kernel; a++) {
        if ((p + pad - a * dilation) % stride != 0)
            continue;
        if (last >= 0) {
            *jump = a - last;
            *gap = (a - last) * dilation / stride;
        }
        last = a;
        ++*n;
    }
    if (*n > 0) {
        *first = last;
        *org = (p + pad - last * dilation) / stride;
    }
}

evi_taps evi_taps_backward(const evi_conv_shape *s, int64_t py, int64_t px, int64_t *first_y,
                           int64_t *first_x, int64_t *jump_y, int64_t *jump_x)
{
    evi_taps t = {.in_h = s->out_h,
                  .in_w = s->out_w,
                  .step_y = 1,
                  .step_x = 1,
                  .out_h = py < s->h ? (s->h - py + s->stride_h - 1) / s->stride_h : 0,
                  .out_w = px < s->w ? (s->w - px + s->stride_w - 1) / s->stride_w : 0};

    backward_axis(py, s->pad_top, s->stride_h, s->dilation_h, s->kh, &t.ny, &t.gap_y, &t.org_y,
                  first_y, jump_y);
    backward_axis(px, s->pad_left, s->stride_w, s->dilation_w, s->kw, &t.nx, &t.gap_x, &t.org_x,
                  first_x, jump_x);
    evi_taps_finish(&t);
    return t;
}
