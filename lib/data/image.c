/* SPDX-License-Identifier: MIT */
/* Pictures as objects: make, borrow, look, copy a part, mirror. */
#include "data/image.h"
#include <string.h>

int32_t evi_pixel_bytes(int32_t format)
{
    switch (format) {
    case EV_PIXEL_RGB:
    case EV_PIXEL_BGR: return 3;
    case EV_PIXEL_RGBA: return 4;
    case EV_PIXEL_GREY:
    case EV_PIXEL_NV12: return 1;
    case EV_PIXEL_YUYV: return 2;
    default: return 0;
    }
}

bool evi_image_valid(const ev_image *image)
{
    return image != NULL && image->handle.magic == EVI_MAGIC_IMAGE;
}

static ev_status check_size(const char *function, int32_t width, int32_t height, int32_t format)
{
    if (evi_pixel_bytes(format) == 0)
        return evi_fail(EV_ERR_ARGUMENT, "%s: unknown pixel format %d", function, (int)format);
    if (width < 1 || width > EV_IMAGE_MAX_SIDE || height < 1 || height > EV_IMAGE_MAX_SIDE ||
        (int64_t)width * height > EV_IMAGE_MAX_PIXELS)
        return evi_fail(EV_ERR_ARGUMENT, "%s: size %d x %d is out of range", function, (int)width,
                        (int)height);
    bool odd = (width & 1) != 0 || (format == EV_PIXEL_NV12 && (height & 1) != 0);
    if (odd && (format == EV_PIXEL_NV12 || format == EV_PIXEL_YUYV))
        return evi_fail(EV_ERR_ARGUMENT, "%s: size %d x %d must be even for this pixel format",
                        function, (int)width, (int)height);
    return EV_OK;
}

/* The object without pixels. */
static ev_status new_object(ev_context *ctx, int32_t width, int32_t height, int32_t format,
                            ev_image **out)
{
    ev_image *image = NULL;
    EVI_TRY(evi_calloc(ctx, 1, sizeof(*image), &image));
    evi_handle_start(&image->handle, EVI_MAGIC_IMAGE, ctx);
    image->width = width;
    image->height = height;
    image->format = format;
    image->pixel_bytes = evi_pixel_bytes(format);
    image->stride = (int64_t)width * image->pixel_bytes;
    *out = image;
    return EV_OK;
}

static ev_status new_image(ev_context *ctx, int32_t width, int32_t height, int32_t format,
                           bool clear, ev_image **out)
{
    ev_image *image = NULL;
    EVI_TRY(new_object(ctx, width, height, format, &image));
    uint64_t rows = (uint64_t)height + (format == EV_PIXEL_NV12 ? (uint64_t)height / 2 : 0);
    ev_status status = clear ? evi_calloc(ctx, rows, (uint64_t)image->stride, &image->owned)
                             : evi_malloc(ctx, rows, (uint64_t)image->stride, &image->owned);
    if (status != EV_OK) {
        ev_image_destroy(image);
        return status;
    }
    image->data = image->owned;
    if (format == EV_PIXEL_NV12) {
        image->chroma = image->data + image->stride * height;
        image->chroma_stride = image->stride;
    }
    *out = image;
    return EV_OK;
}

ev_status evi_image_new(ev_context *ctx, int32_t width, int32_t height, int32_t format,
                        ev_image **out)
{
    *out = NULL;
    EVI_TRY(check_size("ev_image", width, height, format));
    return new_image(ctx, width, height, format, false, out);
}

ev_status evi_image_adopt(ev_context *ctx, int32_t width, int32_t height, int32_t format,
                          void *block, ev_image **out)
{
    *out = NULL;
    EVI_TRY(check_size("ev_image", width, height, format));
    EVI_TRY(new_object(ctx, width, height, format, out));
    (*out)->owned = block;
    (*out)->data = block;
    return EV_OK;
}

/* Zero bytes are black but in YUV, where black is Y 16, U and V 128. */
static void make_black(ev_image *image)
{
    uint64_t n = (uint64_t)(image->stride * image->height);
    if (image->format == EV_PIXEL_NV12) {
        memset(image->data, 16, n);
        memset(image->chroma, 128, n / 2);
    } else if (image->format == EV_PIXEL_YUYV) {
        for (uint64_t i = 0; i < n; i++)
            image->data[i] = (i & 1) != 0 ? 128 : 16;
    } else if (image->format == EV_PIXEL_RGBA) {
        for (uint64_t i = 3; i < n; i += 4)
            image->data[i] = 255;
    }
}

ev_status ev_image_create(ev_context *ctx, int32_t width, int32_t height, int32_t format,
                          ev_image **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    if (format == EV_PIXEL_DEFAULT)
        format = EV_PIXEL_RGB;
    EVI_TRY(check_size(__func__, width, height, format));
    EVI_TRY(new_image(ctx, width, height, format, true, out));
    make_black(*out);
    return EV_OK;
}

ev_status ev_image_wrap(ev_context *ctx, int32_t width, int32_t height, int32_t format, void *data,
                        int64_t stride_bytes, uint64_t n_bytes, ev_image **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_POINTER(data);
    if (format == EV_PIXEL_DEFAULT)
        format = EV_PIXEL_RGB;
    EVI_TRY(check_size(__func__, width, height, format));
    int64_t row = (int64_t)width * evi_pixel_bytes(format);
    int64_t stride = stride_bytes == 0 ? row : stride_bytes;
    if (stride < row || stride > INT32_MAX)
        return evi_fail(EV_ERR_ARGUMENT, "%s: stride_bytes %lld, but a row has %lld", __func__,
                        (long long)stride_bytes, (long long)row);
    int64_t rows = height + (format == EV_PIXEL_NV12 ? height / 2 : 0);
    uint64_t need = (uint64_t)(stride * (rows - 1) + row);
    if (n_bytes < need)
        return evi_fail(EV_ERR_ARGUMENT, "%s: n_bytes %llu, but the rows need %llu", __func__,
                        (unsigned long long)n_bytes, (unsigned long long)need);
    ev_image *image = NULL;
    EVI_TRY(new_object(ctx, width, height, format, &image));
    image->data = data;
    image->stride = stride;
    if (format == EV_PIXEL_NV12) {
        image->chroma = image->data + stride * height;
        image->chroma_stride = stride;
    }
    *out = image;
    return EV_OK;
}

ev_status ev_image_wrap_nv12(ev_context *ctx, int32_t width, int32_t height, void *y,
                             int64_t y_stride, void *uv, int64_t uv_stride, ev_image **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_POINTER(y);
    EVI_CHECK_POINTER(uv);
    EVI_TRY(check_size(__func__, width, height, EV_PIXEL_NV12));
    if (y_stride < width || uv_stride < width || y_stride > INT32_MAX || uv_stride > INT32_MAX)
        return evi_fail(EV_ERR_ARGUMENT, "%s: strides %lld and %lld, but a row has %d", __func__,
                        (long long)y_stride, (long long)uv_stride, (int)width);
    ev_image *image = NULL;
    EVI_TRY(new_object(ctx, width, height, EV_PIXEL_NV12, &image));
    image->data = y;
    image->stride = y_stride;
    image->chroma = uv;
    image->chroma_stride = uv_stride;
    *out = image;
    return EV_OK;
}

ev_image *ev_image_ref(ev_image *image)
{
    return evi_handle_ref(image, EVI_MAGIC_IMAGE);
}

void ev_image_destroy(ev_image *image)
{
    if (!evi_handle_drop(image, EVI_MAGIC_IMAGE))
        return;
    evi_free(image->owned);
    evi_handle_end(image);
}

int32_t ev_image_width(const ev_image *image)
{
    return evi_image_valid(image) ? image->width : 0;
}

int32_t ev_image_height(const ev_image *image)
{
    return evi_image_valid(image) ? image->height : 0;
}

int32_t ev_image_format(const ev_image *image)
{
    return evi_image_valid(image) ? image->format : 0;
}

int64_t ev_image_stride(const ev_image *image)
{
    return evi_image_valid(image) ? image->stride : 0;
}

uint8_t *ev_image_data(const ev_image *image)
{
    return evi_image_valid(image) ? image->data : NULL;
}

ev_status ev_image_crop(const ev_image *image, int32_t x, int32_t y, int32_t width, int32_t height,
                        ev_image **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(image, EVI_MAGIC_IMAGE);
    if (x < 0 || y < 0 || width < 1 || height < 1 || width > image->width - x ||
        height > image->height - y)
        return evi_fail(EV_ERR_ARGUMENT, "%s: %d x %d at (%d,%d) is not inside %d x %d", __func__,
                        (int)width, (int)height, (int)x, (int)y, (int)image->width,
                        (int)image->height);
    ev_image *plain = NULL, *part = NULL;
    EVI_TRY(evi_image_as(image, evi_plain_format(image->format), &plain));
    ev_status status = evi_image_new(image->handle.ctx, width, height, plain->format, &part);
    for (int32_t row = 0; status == EV_OK && row < height; row++)
        memcpy(evi_image_row(part, row),
               evi_image_row(plain, y + row) + (int64_t)x * plain->pixel_bytes,
               (size_t)part->stride);
    ev_image_destroy(plain);
    *out = part;
    return status;
}

static void mirror_row(const uint8_t *from, int32_t width, int32_t bytes, uint8_t *to)
{
    for (int32_t x = 0; x < width; x++)
        for (int32_t c = 0; c < bytes; c++)
            to[(int64_t)x * bytes + c] = from[(int64_t)(width - 1 - x) * bytes + c];
}

ev_status ev_image_flip(const ev_image *image, int32_t vertical, ev_image **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(image, EVI_MAGIC_IMAGE);
    ev_image *plain = NULL, *turned = NULL;
    EVI_TRY(evi_image_as(image, evi_plain_format(image->format), &plain));
    ev_status status =
        evi_image_new(image->handle.ctx, plain->width, plain->height, plain->format, &turned);
    for (int32_t y = 0; status == EV_OK && y < plain->height; y++) {
        const uint8_t *from = evi_image_row(plain, vertical != 0 ? plain->height - 1 - y : y);
        if (vertical != 0)
            memcpy(evi_image_row(turned, y), from, (size_t)turned->stride);
        else
            mirror_row(from, plain->width, plain->pixel_bytes, evi_image_row(turned, y));
    }
    ev_image_destroy(plain);
    *out = turned;
    return status;
}
