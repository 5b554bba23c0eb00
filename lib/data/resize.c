/* SPDX-License-Identifier: MIT */
/* The resampler.  The formulas stand in edgevision/image.h; all of it is integer arithmetic, so
 * training and deployment agree to the last bit on any processor. */
#include "data/image.h"
#include <string.h>

enum { WEIGHT_BITS = 14, CUBIC_BITS = 12 };

/* Weights of one axis: output i takes taps weights from input first[i] on (the rest are zero). */
typedef struct axis {
    int32_t n_in, n_out;
    int32_t taps;
    int32_t pad;
    int32_t *first;
    int32_t *count;
    int16_t *weight; /* [n_out][taps] */
} axis;

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

/* Length that pixel j shares with output i, in units of 1/n_out of a pixel. */
static int64_t area_weight(const axis *a, int64_t i, int64_t j)
{
    int64_t low = EVI_MAX(j * a->n_out, i * a->n_in);
    int64_t high = EVI_MIN((j + 1) * a->n_out, (i + 1) * a->n_in);
    return EVI_MAX(high - low, 0);
}

/* t = n / d as a fraction: (j+0.5-(i+0.5)s)/u multiplied out by 2 * n_out. */
static int64_t offset_numerator(const axis *a, int64_t i, int64_t j)
{
    return (2 * j + 1) * a->n_out - (2 * i + 1) * a->n_in;
}

static int64_t offset_denominator(const axis *a)
{
    return 2 * (int64_t)EVI_MAX(a->n_in, a->n_out);
}

static int64_t triangle_weight(const axis *a, int64_t i, int64_t j)
{
    int64_t n = offset_numerator(a, i, j), d = offset_denominator(a);
    return EVI_MAX(d - (n < 0 ? -n : n), 0);
}

/* The cubic times 2^29.  Of 2^37 the low 8 bits are dropped so that the sum over 65,535 pixels,
 * shifted by WEIGHT_BITS, still fits 63 bits. */
static int64_t cubic_weight(const axis *a, int64_t i, int64_t j)
{
    int64_t n = offset_numerator(a, i, j), d = offset_denominator(a);
    const int64_t one = (int64_t)1 << CUBIC_BITS;
    int64_t q = ((n < 0 ? -n : n) * one * 2 + d) / (2 * d), twice;
    if (q <= one)
        twice = 3 * q * q * q - 5 * q * q * one + 2 * one * one * one;
    else if (q < 2 * one)
        twice = -q * q * q + 5 * q * q * one - 8 * q * one * one + 4 * one * one * one;
    else
        twice = 0;
    return floor_div(twice, 256);
}

static int64_t raw_weight(const axis *a, int32_t mode, int64_t i, int64_t j)
{
    if (mode == EV_RESIZE_AREA)
        return area_weight(a, i, j);
    return mode == EV_RESIZE_BICUBIC ? cubic_weight(a, i, j) : triangle_weight(a, i, j);
}

/* Input pixels that output i may touch. */
static void window(const axis *a, int32_t mode, int64_t i, int64_t *low, int64_t *high)
{
    if (mode == EV_RESIZE_AREA) {
        *low = i * a->n_in / a->n_out;
        *high = ((i + 1) * a->n_in + a->n_out - 1) / a->n_out;
    } else {
        int64_t reach = (mode == EV_RESIZE_BICUBIC ? 2 : 1) * offset_denominator(a);
        int64_t centre = (2 * i + 1) * a->n_in - a->n_out;
        *low = floor_div(centre - reach, 2 * (int64_t)a->n_out) + 1;
        *high = floor_div(centre + reach - 1, 2 * (int64_t)a->n_out) + 1;
    }
    *low = EVI_MAX(*low, 0);
    *high = EVI_MIN(*high, a->n_in);
}

/* Weights that add up to 2^14 exactly: differences of the rounded running sum. */
static void fill_weights(const axis *a, int32_t mode, int64_t i)
{
    int64_t first = a->first[i], count = a->count[i], sum = 0, running = 0, before = 0;
    for (int64_t k = 0; k < count; k++)
        sum += raw_weight(a, mode, i, first + k);
    for (int64_t k = 0; k < count; k++) {
        running += raw_weight(a, mode, i, first + k);
        int64_t now = floor_div(running * ((int64_t)2 << WEIGHT_BITS) + sum, 2 * sum);
        a->weight[i * a->taps + k] = (int16_t)(now - before);
        before = now;
    }
}

static void axis_free(axis *a)
{
    evi_free(a->first);
    evi_free(a->count);
    evi_free(a->weight);
}

static ev_status axis_make(ev_context *ctx, int32_t n_in, int32_t n_out, int32_t mode, axis *a)
{
    *a = (axis){.n_in = n_in, .n_out = n_out};
    EVI_TRY(evi_malloc(ctx, (uint64_t)n_out, sizeof(int32_t), &a->first));
    EVI_TRY(evi_malloc(ctx, (uint64_t)n_out, sizeof(int32_t), &a->count));
    for (int64_t i = 0; i < n_out; i++) {
        int64_t low, high;
        window(a, mode, i, &low, &high);
        a->first[i] = (int32_t)low;
        a->count[i] = (int32_t)(high - low);
        a->taps = EVI_MAX(a->taps, a->count[i]);
    }
    EVI_TRY(evi_calloc(ctx, (uint64_t)n_out * (uint64_t)a->taps, sizeof(int16_t), &a->weight));
    for (int64_t i = 0; i < n_out; i++)
        fill_weights(a, mode, i);
    return EV_OK;
}

/* One row: n_in pixels of c bytes to n_out pixels of c numbers in 1/64 of a grey level. */
static void resample_row(const axis *a, const uint8_t *from, int32_t c, int16_t *to)
{
    for (int64_t i = 0; i < a->n_out; i++) {
        const int16_t *w = a->weight + i * a->taps;
        const uint8_t *p = from + (int64_t)a->first[i] * c;
        int32_t sum[4] = {128, 128, 128, 128};
        int32_t count = a->count[i];
        if (c == 3) {
            for (int32_t k = 0; k < count; k++, p += 3) {
                sum[0] += w[k] * p[0];
                sum[1] += w[k] * p[1];
                sum[2] += w[k] * p[2];
            }
        } else {
            for (int32_t k = 0; k < count; k++)
                for (int32_t m = 0; m < c; m++)
                    sum[m] += w[k] * *p++;
        }
        for (int32_t m = 0; m < c; m++)
            to[i * c + m] = (int16_t)(sum[m] >> 8);
    }
}

/* One output row from the middle picture. */
static void resample_column(const axis *a, int64_t i, const int16_t *middle, int64_t n,
                            int32_t *sum, uint8_t *to)
{
    for (int64_t x = 0; x < n; x++)
        sum[x] = 1 << 19;
    for (int32_t k = 0; k < a->count[i]; k++) {
        const int16_t *row = middle + (a->first[i] + k) * n;
        int32_t w = a->weight[i * a->taps + k];
        for (int64_t x = 0; x < n; x++)
            sum[x] += w * row[x];
    }
    for (int64_t x = 0; x < n; x++) {
        int32_t v = sum[x] >> 20;
        to[x] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

static ev_status run_passes(const ev_image *from, const axis *across, const axis *down,
                            ev_image *to)
{
    ev_context *ctx = from->handle.ctx;
    int64_t n = (int64_t)to->width * to->pixel_bytes;
    int16_t *middle = NULL;
    int32_t *sum = NULL;
    ev_status status = evi_malloc(ctx, (uint64_t)from->height * (uint64_t)n, sizeof(int16_t),
                                  &middle);
    if (status == EV_OK)
        status = evi_malloc(ctx, (uint64_t)n, sizeof(int32_t), &sum);
    if (status == EV_OK) {
        for (int64_t y = 0; y < from->height; y++)
            resample_row(across, evi_image_row(from, y), from->pixel_bytes, middle + y * n);
        for (int64_t i = 0; i < to->height; i++)
            resample_column(down, i, middle, n, sum, evi_image_row(to, i));
    }
    evi_free(middle);
    evi_free(sum);
    return status;
}

static ev_status resize_plain(const ev_image *from, int32_t mode, ev_image *to)
{
    ev_context *ctx = from->handle.ctx;
    axis across = {0}, down = {0};
    ev_status status = axis_make(ctx, from->width, to->width, mode, &across);
    if (status == EV_OK)
        status = axis_make(ctx, from->height, to->height, mode, &down);
    if (status == EV_OK)
        status = run_passes(from, &across, &down, to);
    axis_free(&across);
    axis_free(&down);
    return status;
}

ev_status evi_check_resize(int32_t mode, const char *function)
{
    if (mode < EV_RESIZE_DEFAULT || mode > EV_RESIZE_BICUBIC)
        return evi_fail(EV_ERR_ARGUMENT, "%s: unknown resize mode %d", function, (int)mode);
    return EV_OK;
}

ev_status ev_image_resize(const ev_image *image, int32_t width, int32_t height, int32_t mode,
                          ev_image **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(image, EVI_MAGIC_IMAGE);
    EVI_TRY(evi_check_resize(mode, __func__));
    if (mode == EV_RESIZE_DEFAULT)
        mode = EV_RESIZE_BILINEAR;
    if (width < 1 || width > EV_IMAGE_MAX_SIDE || height < 1 || height > EV_IMAGE_MAX_SIDE ||
        (int64_t)width * height > EV_IMAGE_MAX_PIXELS ||
        (int64_t)width * image->height > (int64_t)1 << 28)
        return evi_fail(EV_ERR_ARGUMENT, "%s: size %d x %d is out of range", __func__, (int)width,
                        (int)height);
    ev_image *plain = NULL, *made = NULL;
    EVI_TRY(evi_image_as(image, evi_plain_format(image->format), &plain));
    ev_status status = evi_image_new(image->handle.ctx, width, height, plain->format, &made);
    if (status == EV_OK)
        status = resize_plain(plain, mode, made);
    ev_image_destroy(plain);
    if (status != EV_OK) {
        ev_image_destroy(made);
        return status;
    }
    *out = made;
    return EV_OK;
}
