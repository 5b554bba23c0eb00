/* SPDX-License-Identifier: MIT */
/* Bytes to the floats that a model takes, and back. */
#include "data/image.h"
#include "tensor/tensor.h"
#include <math.h>
#include <string.h>

static ev_status check_pixel_options(const ev_pixel_options *o, const char *function)
{
    EVI_TRY(evi_check_resize(o->resize, function));
    if (o->color_order != EV_PIXEL_DEFAULT && o->color_order != EV_PIXEL_RGB &&
        o->color_order != EV_PIXEL_BGR)
        return evi_fail(EV_ERR_ARGUMENT, "%s: color_order %d is neither RGB nor BGR", function,
                        (int)o->color_order);
    for (int32_t c = 0; c < 3; c++)
        if (!isfinite(o->mean[c]) || !isfinite(o->std[c]) || o->std[c] < 0)
            return evi_fail(EV_ERR_ARGUMENT, "%s: mean or std of channel %d is out of range",
                            function, (int)c);
    return EV_OK;
}

static double std_of(const ev_pixel_options *o, int32_t c)
{
    return o->std[c] > 0 ? (double)o->std[c] : 1.0;
}

ev_status evi_pixel_map_make(const ev_pixel_options *opt, int32_t channels, const char *function,
                             evi_pixel_map *out)
{
    ev_pixel_options o;
    EVI_TRY(evi_options_read(&o, (uint32_t)sizeof(o), opt, function));
    EVI_TRY(check_pixel_options(&o, function));
    *out = (evi_pixel_map){.channels = channels, .resize = o.resize};
    out->format = channels == 1                    ? EV_PIXEL_GREY
                  : o.color_order == EV_PIXEL_BGR ? EV_PIXEL_BGR
                                                  : EV_PIXEL_RGB;
    if (out->resize == EV_RESIZE_DEFAULT)
        out->resize = EV_RESIZE_BILINEAR;
    for (int32_t c = 0; c < channels; c++)
        for (int32_t p = 0; p < 256; p++)
            out->value[c][p] = (evi_real)((p / 255.0 - (double)o.mean[c]) / std_of(&o, c));
    return EV_OK;
}

void evi_pixel_map_apply(const evi_pixel_map *map, const uint8_t *from, int64_t stride,
                         int32_t width, int32_t height, evi_real *to)
{
    int64_t plane = (int64_t)width * height;
    for (int32_t c = 0; c < map->channels; c++) {
        const evi_real *value = map->value[c];
        for (int64_t y = 0; y < height; y++) {
            const uint8_t *row = from + y * stride + c;
            evi_real *line = to + c * plane + y * width;
            for (int64_t x = 0; x < width; x++)
                line[x] = value[row[x * map->channels]];
        }
    }
}

/* A batch of pictures? */
static ev_status check_batch(const char *function, const ev_tensor *t, int64_t entry)
{
    EVI_TRY(evi_check_handle(t, EVI_MAGIC_TENSOR, function, "tensor"));
    const evi_shape *s = &t->shape;
    char text[EVI_SHAPE_TEXT];
    if (s->rank != 4 || (s->dim[1] != 1 && s->dim[1] != 3) || s->dim[2] < 1 || s->dim[3] < 1 ||
        s->dim[2] > EV_IMAGE_MAX_SIDE || s->dim[3] > EV_IMAGE_MAX_SIDE ||
        s->dim[2] * s->dim[3] > EV_IMAGE_MAX_PIXELS)
        return evi_fail(EV_ERR_SHAPE, "%s: tensor %s is no batch [N,C,H,W] of pictures", function,
                        evi_shape_text(s, text));
    if (entry < 0 || entry >= s->dim[0])
        return evi_fail(EV_ERR_ARGUMENT, "%s: entry %lld of %lld", function, (long long)entry,
                        (long long)s->dim[0]);
    return EV_OK;
}

ev_status ev_image_to_tensor(const ev_image *image, const ev_pixel_options *opt, ev_tensor *tensor,
                             int64_t entry)
{
    EVI_CHECK_HANDLE(image, EVI_MAGIC_IMAGE);
    EVI_TRY(check_batch(__func__, tensor, entry));
    if (tensor->type != EV_TYPE_FLOAT32)
        return evi_fail(EV_ERR_SHAPE, "%s: the tensor is not float32", __func__);
    evi_pixel_map map;
    const int64_t *dim = tensor->shape.dim;
    int32_t width = (int32_t)dim[3], height = (int32_t)dim[2];
    EVI_TRY(evi_pixel_map_make(opt, (int32_t)dim[1], __func__, &map));
    ev_image *plain = NULL, *sized = NULL;
    EVI_TRY(evi_image_as(image, map.format, &plain));
    ev_status status = EV_OK;
    if (plain->width == width && plain->height == height)
        sized = ev_image_ref(plain);
    else
        status = ev_image_resize(plain, width, height, map.resize, &sized);
    if (status == EV_OK) {
        evi_real *to = (evi_real *)tensor->data + entry * dim[1] * dim[2] * dim[3];
        evi_pixel_map_apply(&map, sized->data, sized->stride, width, height, to);
    }
    ev_image_destroy(plain);
    ev_image_destroy(sized);
    return status;
}

static uint8_t byte_of(double v)
{
    if (!(v > 0)) /* also not-a-number */
        return 0;
    return v >= 255 ? 255 : (uint8_t)(v + 0.5);
}

static void planes_to_image(const ev_tensor *t, int64_t entry, const ev_pixel_options *o,
                            ev_image *image)
{
    int64_t channels = t->shape.dim[1], plane = t->shape.dim[2] * t->shape.dim[3];
    bool bgr = channels == 3 && o->color_order == EV_PIXEL_BGR;
    for (int64_t c = 0; c < channels; c++) {
        int64_t start = (entry * channels + c) * plane;
        uint8_t *to = image->data + (bgr ? 2 - c : c);
        const evi_real *real = (const evi_real *)t->data + start;
        const uint8_t *byte = (const uint8_t *)t->data + start;
        double std = std_of(o, (int32_t)c), mean = (double)o->mean[c];
        for (int64_t i = 0; i < plane; i++)
            to[i * channels] = t->type == EV_TYPE_UINT8
                                   ? byte[i]
                                   : byte_of(255.0 * ((double)real[i] * std + mean));
    }
}

ev_status ev_tensor_to_image(const ev_tensor *tensor, int64_t entry, const ev_pixel_options *opt,
                             ev_image **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_TRY(check_batch(__func__, tensor, entry));
    if (tensor->type != EV_TYPE_FLOAT32 && tensor->type != EV_TYPE_UINT8)
        return evi_fail(EV_ERR_SHAPE, "%s: the tensor is neither float32 nor uint8", __func__);
    ev_pixel_options o;
    EVI_OPTIONS_READ(&o, opt);
    EVI_TRY(check_pixel_options(&o, __func__));
    int32_t format = tensor->shape.dim[1] == 1 ? EV_PIXEL_GREY : EV_PIXEL_RGB;
    EVI_TRY(evi_image_new(tensor->handle.ctx, (int32_t)tensor->shape.dim[3],
                          (int32_t)tensor->shape.dim[2], format, out));
    planes_to_image(tensor, entry, &o, *out);
    return EV_OK;
}
