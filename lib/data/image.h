/* SPDX-License-Identifier: MIT */
/* The inside of ev_image, and what the picture files share. */
#ifndef EVI_DATA_IMAGE_H
#define EVI_DATA_IMAGE_H

#include "base/base.h"
#include <edgevision/image.h>

struct ev_image {
    evi_handle handle;
    int32_t width, height;
    int32_t format;
    int32_t pixel_bytes; /* in data; of NV12 those of the Y plane */
    int64_t stride;
    uint8_t *data;
    uint8_t *chroma; /* NV12 only */
    int64_t chroma_stride;
    void *owned; /* block to free, or NULL */
};

/* ---- image.c --------------------------------------------------------------------------------- */

/* Ready to take another reference or to be looked at: false for NULL, ended or foreign objects. */
bool evi_image_valid(const ev_image *image);
int32_t evi_pixel_bytes(int32_t format); /* 0 when unknown */
/* As ev_image_create(), but the pixels are not set: for callers that write them all. */
ev_status evi_image_new(ev_context *ctx, int32_t width, int32_t height, int32_t format,
                        ev_image **out);
/* A picture over a block of evi_malloc(), which it owns from then on; rows without gaps. */
ev_status evi_image_adopt(ev_context *ctx, int32_t width, int32_t height, int32_t format,
                          void *block, ev_image **out);
static inline uint8_t *evi_image_row(const ev_image *image, int64_t y)
{
    return image->data + y * image->stride;
}

/* ---- pixels.c -------------------------------------------------------------------------------- */

/* The format in which pictures are cropped, resized and so on: YUV ones as RGB. */
int32_t evi_plain_format(int32_t format);
/* Row y in another format (RGB, BGR, RGBA, GREY): width pixels. */
void evi_row_convert(const ev_image *image, int32_t y, int32_t format, uint8_t *to);
/* n RGBA pixels in another format. */
void evi_rgba_convert(const uint8_t *rgba, int32_t n, int32_t format, uint8_t *to);
/* The picture itself when it has the format already (a new reference), else converted. */
ev_status evi_image_as(const ev_image *image, int32_t format, ev_image **out);

/* ---- resize.c -------------------------------------------------------------------------------- */

ev_status evi_check_resize(int32_t mode, const char *function);

/* ---- to_tensor.c ----------------------------------------------------------------------------- */

/* Options made ready: what each byte becomes in each channel. */
typedef struct evi_pixel_map {
    int32_t channels;
    int32_t format; /* in which a picture must be given: RGB, BGR or GREY */
    int32_t resize;
    evi_real value[3][256];
} evi_pixel_map;

ev_status evi_pixel_map_make(const ev_pixel_options *opt, int32_t channels, const char *function,
                             evi_pixel_map *out);
/* Interleaved bytes [H,W,C] into planes [C,H,W]. */
void evi_pixel_map_apply(const evi_pixel_map *map, const uint8_t *from, int64_t stride,
                         int32_t width, int32_t height, evi_real *to);

/* ---- decoders: a picture in the format asked for, which is RGB, BGR, RGBA or GREY ------------ */

typedef struct evi_decode {
    ev_context *ctx;
    const uint8_t *bytes;
    uint64_t n_bytes;
    int64_t max_pixels;
    int32_t max_side;
    int32_t format;
    bool allow_partial;
} evi_decode;

/* Sizes within the limits of the call? */
ev_status evi_decode_size(const evi_decode *d, uint64_t width, uint64_t height);
ev_status evi_decode_png(const evi_decode *d, ev_image **out);
ev_status evi_decode_pnm(const evi_decode *d, ev_image **out);
ev_status evi_decode_jpeg(const evi_decode *d, ev_image **out);
ev_status evi_decode_bmp(const evi_decode *d, ev_image **out);

/* What the walk over a JPEG's segments found; everything in it is checked. */
typedef struct evi_jpeg_info {
    int32_t width, height;
    int32_t components;
    bool complete; /* the end-of-image marker is there */
    uint8_t pad[3];
    uint64_t usable; /* bytes before a segment that was cut off */
} evi_jpeg_info;
ev_status evi_jpeg_check(const evi_decode *d, evi_jpeg_info *info);

/* A fuzzer would hardly get past checksums; its build passes over them. */
#if defined(FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
#define EVI_CHECKSUMS 0
#else
#define EVI_CHECKSUMS 1
#endif

/* ---- inflate.c ------------------------------------------------------------------------------- */

/* A zlib stream that must give exactly n_out bytes; header and Adler-32 are checked. */
ev_status evi_inflate(ev_context *ctx, const uint8_t *in, uint64_t n_in, uint8_t *out,
                      uint64_t n_out);
uint32_t evi_adler32(uint32_t adler, const uint8_t *bytes, uint64_t n); /* start with 1 */
uint32_t evi_crc32(uint32_t crc, const uint8_t *bytes, uint64_t n);     /* start with 0 */

/* ---- encoders -------------------------------------------------------------------------------- */

typedef struct evi_sink {
    ev_write_fn write;
    void *user;
    bool stopped;
} evi_sink;

void evi_sink_write(evi_sink *sink, const void *bytes, uint64_t n);
ev_status evi_encode_png(const ev_image *image, evi_sink *sink);
ev_status evi_encode_pnm(const ev_image *image, evi_sink *sink);
ev_status evi_encode_jpeg(const ev_image *image, int32_t quality, evi_sink *sink);

#endif
