/* SPDX-License-Identifier: MIT */
/* Which inputs an interpolated output takes, and with which weights: ONNX's Resize, one axis. */
#include "ops/resize.h"

#include <math.h>

bool evi_resize_is_copy(const evi_attrs *a, const evi_resize *r, int32_t axis, int64_t n)
{
    if (r->size[axis] != n)
        return false;
    if (a->coord == EVI_COORD_TF_CROP_AND_RESIZE)
        return r->roi[axis][0] == 0 && r->roi[axis][1] == 1;
    return r->scale[axis] == 1 || a->coord == EVI_COORD_ALIGN_CORNERS;
}

/* Taps left of the one just below the coordinate: the filter's radius in inputs, rounded down.
 * Shrinking with antialias widens the filter by 1 / scale. */
static int64_t taps_before(const evi_attrs *a, double scale)
{
    double radius = a->mode == EVI_RESIZE_CUBIC ? 2 : 1;
    double wide = a->antialias && scale < 1 ? scale : 1;
    return (int64_t) - (floor(-radius / wide) + 1);
}

int64_t evi_resize_taps(const evi_attrs *a, double scale)
{
    return a->mode == EVI_RESIZE_NEAREST ? 1 : 2 + 2 * taps_before(a, scale);
}

int64_t evi_resize_table_bytes(int64_t n_out, int64_t n_taps)
{
    uint64_t n = (uint64_t)(n_out * n_taps);
    return (int64_t)(evi_round_up(n * sizeof(evi_real), EVI_ALIGN) +
                     evi_round_up(n * sizeof(int32_t), EVI_ALIGN));
}

/* (x + 1/2) / scale - shift, in one division when the scale is a ratio of lengths: then halves and
 * whole numbers, where nearest decides, come out exactly. */
static double half_pixel(double x, double n, double m, double scale, double shift)
{
    if (scale == m / n)
        return ((2 * x + 1) * n - 2 * shift * m) / (2 * m);
    return (x + 0.5) / scale - shift;
}

/* Where output o lies in the input of n. */
static double coordinate(const evi_attrs *a, const evi_resize *r, int32_t axis, int64_t n,
                         int64_t o)
{
    double scale = r->scale[axis], x = (double)o, last = (double)(n - 1);
    double in = (double)n, m = (double)r->size[axis];
    const double *roi = r->roi[axis];
    switch (a->coord) {
    case EVI_COORD_ALIGN_CORNERS: return m == 1 ? 0 : x * last / (m - 1);
    case EVI_COORD_ASYMMETRIC: return scale == m / in ? x * in / m : x / scale;
    case EVI_COORD_TF_CROP_AND_RESIZE:
        return m == 1 ? 0.5 * (roi[0] + roi[1]) * last
                      : roi[0] * last + x * (roi[1] - roi[0]) * last / (m - 1);
    case EVI_COORD_PYTORCH_HALF_PIXEL: return m == 1 ? -0.5 : half_pixel(x, in, m, scale, 0.5);
    case EVI_COORD_TF_HALF_PIXEL: return half_pixel(x, in, m, scale, 0);
    case EVI_COORD_HALF_PIXEL_SYMMETRIC: /* centre on centre, where the scale was rounded */
        return in / 2 * (1 - m / (scale * in)) + half_pixel(x, in, m, scale, 0.5);
    default: return half_pixel(x, in, m, scale, 0.5);
    }
}

static int64_t nearest_of(int32_t mode, double x)
{
    double low = floor(x), part = x - low;
    bool up;
    switch (mode) {
    case EVI_NEAREST_FLOOR: up = false; break;
    case EVI_NEAREST_CEIL: up = part > 0; break;
    case EVI_NEAREST_ROUND_PREFER_CEIL: up = part >= 0.5; break;
    default: up = part > 0.5; break;
    }
    return (int64_t)low + up;
}

/* Weight of an input at distance d (in units of the filter). */
static double filter(const evi_attrs *a, double d)
{
    d = fabs(d);
    if (a->mode == EVI_RESIZE_LINEAR)
        return d < 1 ? 1 - d : 0;
    double c = (double)a->cubic_a;
    if (d <= 1)
        return ((c + 2) * d - (c + 3)) * d * d + 1;
    return d < 2 ? ((d - 5) * d + 8) * d * c - 4 * c : 0;
}

static int64_t inside(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* Weights of one output.  Beyond the edge the outermost input is repeated, or with
 * exclude_outside left out and the rest scaled to sum 1. */
static void weigh(const evi_attrs *a, double scale, double x, int64_t n, int64_t n_taps,
                  int32_t *index, evi_real *weight)
{
    int64_t before = taps_before(a, scale), low = (int64_t)floor(x);
    bool widened = a->antialias && scale < 1;
    double wide = widened ? scale : 1, sum = 0;
    for (int64_t k = 0; k < n_taps; k++) {
        int64_t i = low - before + k;
        double w = filter(a, ((double)i - x) * wide);
        sum += a->exclude_outside && (i < 0 || i >= n) ? 0 : w;
    }
    for (int64_t k = 0; k < n_taps; k++) {
        int64_t i = low - before + k;
        double w = filter(a, ((double)i - x) * wide);
        if (a->exclude_outside && (i < 0 || i >= n))
            w = 0;
        if (a->exclude_outside || widened)
            w = sum == 0 ? 0 : w / sum;
        index[k] = (int32_t)inside(i, n);
        weight[k] = (evi_real)w;
    }
}

void evi_resize_table(const evi_attrs *a, const evi_resize *r, int32_t axis, int64_t n,
                      int64_t n_taps, void *memory, evi_taps *out)
{
    int64_t n_out = r->size[axis];
    out->n_out = n_out;
    out->n_taps = n_taps;
    out->weight = memory;
    out->index =
        (int32_t *)(void *)((char *)memory +
                            evi_round_up((uint64_t)(n_out * n_taps) * sizeof(evi_real), EVI_ALIGN));
    for (int64_t o = 0; o < n_out; o++) {
        double x = coordinate(a, r, axis, n, o);
        int32_t *index = out->index + o * n_taps;
        evi_real *weight = out->weight + o * n_taps;
        if (a->coord == EVI_COORD_TF_CROP_AND_RESIZE && !(x >= 0 && x <= (double)(n - 1))) {
            index[0] = -1;
        } else if (a->mode == EVI_RESIZE_NEAREST) {
            index[0] = (int32_t)inside(nearest_of(a->nearest, x), n);
            weight[0] = 1;
        } else {
            weigh(a, r->scale[axis], x, n, n_taps, index, weight);
        }
    }
}
