/* SPDX-License-Identifier: MIT */
/* One pixel format into another, a row at a time. */
#include "data/image.h"
#include <string.h>

static uint8_t clamp_byte(int32_t v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static uint8_t grey_of(const uint8_t *rgb)
{
    return (uint8_t)((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
}

int32_t evi_plain_format(int32_t format)
{
    return format == EV_PIXEL_NV12 || format == EV_PIXEL_YUYV ? EV_PIXEL_RGB : format;
}

static void put_pixel(const uint8_t *rgba, int32_t format, uint8_t *to)
{
    switch (format) {
    case EV_PIXEL_BGR:
        to[0] = rgba[2];
        to[1] = rgba[1];
        to[2] = rgba[0];
        break;
    case EV_PIXEL_GREY: to[0] = grey_of(rgba); break;
    case EV_PIXEL_RGBA: to[3] = rgba[3]; /* and the colours */
    /* fall through */
    default:
        to[0] = rgba[0];
        to[1] = rgba[1];
        to[2] = rgba[2];
        break;
    }
}

void evi_rgba_convert(const uint8_t *rgba, int32_t n, int32_t format, uint8_t *to)
{
    int32_t bytes = evi_pixel_bytes(format);
    for (int32_t x = 0; x < n; x++)
        put_pixel(rgba + 4 * (int64_t)x, format, to + (int64_t)x * bytes);
}

/* BT.601, video range; the formula stands in the public header. */
static void yuv_pixel(int32_t y, int32_t u, int32_t v, uint8_t rgba[4])
{
    int32_t c = 298 * (y - 16), d = u - 128, e = v - 128;
    rgba[0] = clamp_byte((c + 409 * e + 128) >> 8);
    rgba[1] = clamp_byte((c - 100 * d - 208 * e + 128) >> 8);
    rgba[2] = clamp_byte((c + 516 * d + 128) >> 8);
    rgba[3] = 255;
}

static void read_pixel(const ev_image *image, const uint8_t *row, const uint8_t *chroma, int32_t x,
                       uint8_t rgba[4])
{
    const uint8_t *p = row + (int64_t)x * image->pixel_bytes;
    int64_t pair = x & ~1;
    rgba[3] = 255;
    switch (image->format) {
    case EV_PIXEL_RGBA: rgba[3] = p[3]; /* and the colours */
    /* fall through */
    case EV_PIXEL_RGB: memcpy(rgba, p, 3); break;
    case EV_PIXEL_BGR:
        rgba[0] = p[2];
        rgba[1] = p[1];
        rgba[2] = p[0];
        break;
    case EV_PIXEL_GREY: memset(rgba, p[0], 3); break;
    case EV_PIXEL_NV12: yuv_pixel(p[0], chroma[pair], chroma[pair + 1], rgba); break;
    default: yuv_pixel(p[0], row[2 * pair + 1], row[2 * pair + 3], rgba); break;
    }
}

/* The pairs that every loader meets, without a switch for each pixel. */
static bool convert_fast(const ev_image *image, const uint8_t *row, int32_t format, uint8_t *to)
{
    int32_t n = image->width;
    bool from_bgr = image->format == EV_PIXEL_BGR;
    if (image->format == format) {
        memcpy(to, row, (size_t)n * (size_t)image->pixel_bytes);
    } else if ((from_bgr && format == EV_PIXEL_RGB) ||
               (image->format == EV_PIXEL_RGB && format == EV_PIXEL_BGR)) {
        for (int64_t i = 0; i < 3 * (int64_t)n; i += 3) {
            to[i] = row[i + 2];
            to[i + 1] = row[i + 1];
            to[i + 2] = row[i];
        }
    } else if (image->format == EV_PIXEL_GREY &&
               (format == EV_PIXEL_RGB || format == EV_PIXEL_BGR)) {
        for (int64_t i = 0; i < n; i++)
            memset(to + 3 * i, row[i], 3);
    } else {
        return false;
    }
    return true;
}

void evi_row_convert(const ev_image *image, int32_t y, int32_t format, uint8_t *to)
{
    const uint8_t *row = evi_image_row(image, y);
    if (convert_fast(image, row, format, to))
        return;
    const uint8_t *chroma = row; /* not looked at but for NV12 */
    if (image->format == EV_PIXEL_NV12)
        chroma = image->chroma + (int64_t)(y / 2) * image->chroma_stride;
    int32_t bytes = evi_pixel_bytes(format);
    for (int32_t x = 0; x < image->width; x++) {
        uint8_t rgba[4];
        read_pixel(image, row, chroma, x, rgba);
        put_pixel(rgba, format, to + (int64_t)x * bytes);
    }
}

ev_status evi_image_as(const ev_image *image, int32_t format, ev_image **out)
{
    *out = NULL;
    if (image->format == format) {
        /* the picture is only read through this reference */
        *out = ev_image_ref((ev_image *)(uintptr_t)image);
        return EV_OK;
    }
    ev_image *made = NULL;
    EVI_TRY(evi_image_new(image->handle.ctx, image->width, image->height, format, &made));
    for (int32_t y = 0; y < image->height; y++)
        evi_row_convert(image, y, format, evi_image_row(made, y));
    *out = made;
    return EV_OK;
}

ev_status ev_image_convert(const ev_image *image, int32_t format, ev_image **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(image, EVI_MAGIC_IMAGE);
    if (format == EV_PIXEL_DEFAULT)
        format = EV_PIXEL_RGB;
    if (evi_pixel_bytes(format) == 0 || evi_plain_format(format) != format)
        return evi_fail(EV_ERR_ARGUMENT, "%s: format %d is not RGB, BGR, RGBA or GREY", __func__,
                        (int)format);
    ev_image *made = NULL;
    EVI_TRY(evi_image_new(image->handle.ctx, image->width, image->height, format, &made));
    for (int32_t y = 0; y < image->height; y++)
        evi_row_convert(image, y, format, evi_image_row(made, y));
    *out = made;
    return EV_OK;
}
