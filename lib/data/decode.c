/* SPDX-License-Identifier: MIT */
/* Which decoder, and the limits that hold for all of them. */
#include "data/image.h"
#include <string.h>

/* A picture file that is larger than this is not read. */
#define FILE_LIMIT ((uint64_t)1 << 30)

ev_status evi_decode_size(const evi_decode *d, uint64_t width, uint64_t height)
{
    if (width == 0 || height == 0)
        return evi_fail(EV_ERR_FORMAT, "picture of size %llu x %llu", (unsigned long long)width,
                        (unsigned long long)height);
    if (width > (uint64_t)d->max_side || height > (uint64_t)d->max_side ||
        width * height > (uint64_t)d->max_pixels)
        return evi_fail(EV_ERR_UNSUPPORTED, "picture of %llu x %llu is over the limit",
                        (unsigned long long)width, (unsigned long long)height);
    return EV_OK;
}

static ev_status read_options(const ev_decode_options *opt, const char *function, evi_decode *d)
{
    ev_decode_options o;
    EVI_TRY(evi_options_read(&o, (uint32_t)sizeof(o), opt, function));
    d->format = o.format == EV_PIXEL_DEFAULT ? EV_PIXEL_RGB : o.format;
    d->max_pixels = o.max_pixels == 0 ? EV_IMAGE_MAX_PIXELS : o.max_pixels;
    d->max_side = o.max_side == 0 ? EV_IMAGE_MAX_SIDE : o.max_side;
    d->allow_partial = o.allow_partial != 0;
    if (evi_pixel_bytes(d->format) == 0 || evi_plain_format(d->format) != d->format)
        return evi_fail(EV_ERR_ARGUMENT, "%s: format %d is not RGB, BGR, RGBA or GREY", function,
                        (int)o.format);
    if (d->max_pixels < 1 || d->max_pixels > EV_IMAGE_MAX_PIXELS)
        return evi_fail(EV_ERR_ARGUMENT, "%s: max_pixels %lld is out of range", function,
                        (long long)o.max_pixels);
    if (d->max_side < 1 || d->max_side > EV_IMAGE_MAX_SIDE)
        return evi_fail(EV_ERR_ARGUMENT, "%s: max_side %d is out of range", function,
                        (int)o.max_side);
    return EV_OK;
}

static ev_status decode_any(const evi_decode *d, ev_image **out)
{
    const uint8_t *p = d->bytes;
    if (d->n_bytes >= 8 && memcmp(p, "\x89PNG\r\n\x1a\n", 8) == 0)
        return evi_decode_png(d, out);
    if (d->n_bytes >= 3 && p[0] == 0xff && p[1] == 0xd8 && p[2] == 0xff)
        return evi_decode_jpeg(d, out);
    if (d->n_bytes >= 2 && p[0] == 'P' && p[1] >= '1' && p[1] <= '6')
        return evi_decode_pnm(d, out);
    if (d->n_bytes >= 2 && p[0] == 'B' && p[1] == 'M')
        return evi_decode_bmp(d, out);
    return evi_fail(EV_ERR_FORMAT, "not a JPEG, PNG, BMP or PNM picture");
}

ev_status ev_image_decode(ev_context *ctx, const void *bytes, uint64_t n_bytes,
                          const ev_decode_options *opt, ev_image **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_POINTER(bytes);
    evi_decode d = {.ctx = ctx, .bytes = bytes, .n_bytes = n_bytes};
    EVI_TRY(read_options(opt, __func__, &d));
    if (n_bytes > FILE_LIMIT)
        return evi_fail(EV_ERR_UNSUPPORTED, "%s: n_bytes %llu is over the limit of 1 GiB", __func__,
                        (unsigned long long)n_bytes);
    return decode_any(&d, out);
}

ev_status ev_image_load(ev_context *ctx, const char *path, const ev_decode_options *opt,
                        ev_image **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_POINTER(path);
    evi_decode d = {.ctx = ctx};
    EVI_TRY(read_options(opt, __func__, &d));
    uint8_t *bytes = NULL;
    EVI_TRY(evi_file_read(ctx, path, FILE_LIMIT, &bytes, &d.n_bytes));
    d.bytes = bytes;
    ev_status status = decode_any(&d, out);
    evi_free(bytes);
    return status == EV_OK ? EV_OK : evi_fail_in(status, "%s", path);
}
