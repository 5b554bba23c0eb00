/* SPDX-License-Identifier: MIT */
/* Reading JPEG through stb_image, compiled into this file and seen by no other.  Memory comes from
 * the library's allocator.  Without the header (or with -DEVI_CODECS_NONE) JPEG is answered with
 * EV_ERR_UNSUPPORTED; the other formats have readers of their own. */
#include "data/image.h"

#if !defined(EVI_CODECS_STB) && !defined(EVI_CODECS_SYSTEM) && !defined(EVI_CODECS_NONE)
#if defined(__has_include)
#if __has_include(<stb/stb_image.h>)
#define EVI_CODECS_STB
#elif __has_include(<stb_image.h>)
#define EVI_CODECS_STB
#define EVI_STB_PLAIN_PATH
#endif
#endif
#endif

#if defined(EVI_CODECS_STB)
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Who pays for the decoder's memory; set during a call only. */
static _Thread_local ev_context *codec_ctx;
static _Thread_local bool codec_out_of_memory;

static void *codec_malloc(size_t n)
{
    void *block = NULL;
    if (evi_malloc(codec_ctx, n, 1, &block) != EV_OK)
        codec_out_of_memory = true;
    return block;
}

#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_ASSERT(x) ((void)(x))
#define STBI_MALLOC(n) codec_malloc(n)
#define STBI_REALLOC(p, n) NULL /* the JPEG part grows no block */
#define STBI_FREE(p) evi_free(p)
#define STBI_MAX_DIMENSIONS EV_IMAGE_MAX_SIDE
#if defined(__GNUC__) /* parts left out are declared but never defined; told at the end */
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#if defined(EVI_STB_PLAIN_PATH)
#include <stb_image.h>
#else
#include <stb/stb_image.h>
#endif

/* The bytes that the decoder made, as a picture. */
static ev_status take_pixels(const evi_decode *d, uint8_t *pixels, int32_t width, int32_t height,
                             int32_t format, ev_image **out)
{
    ev_image *made = NULL;
    ev_status status = evi_image_adopt(d->ctx, width, height, format, pixels, &made);
    if (status != EV_OK) {
        evi_free(pixels);
        return status;
    }
    status = evi_image_as(made, d->format, out);
    ev_image_destroy(made);
    return status;
}

/* The decoder's state is ours and starts as zeroes, so a file that leaves out a table reads none
 * of what lay in memory before.  Chroma of at most two columns is repeated and not interpolated, as
 * libjpeg does it. */
static uint8_t *run_decoder(ev_context *ctx, const uint8_t *bytes, uint64_t n, int wanted,
                            const evi_jpeg_info *info)
{
    stbi__jpeg *state = NULL;
    stbi__context source;
    int width = 0, height = 0, components = 0;
    if (evi_calloc(ctx, 1, sizeof(*state), &state) != EV_OK) {
        codec_out_of_memory = true;
        return NULL;
    }
    stbi__start_mem(&source, bytes, (int)n);
    state->s = &source;
    stbi__setup_jpeg(state);
    if (info->width <= 4)
        state->resample_row_hv_2_kernel = stbi__resample_row_generic;
    uint8_t *pixels = load_jpeg_image(state, &width, &height, &components, wanted);
    evi_free(state);
    if (pixels != NULL && (width != info->width || height != info->height)) {
        evi_free(pixels); /* cannot be: the walk has found one frame only */
        return NULL;
    }
    return pixels;
}

/* A file that was cut off, with an end put behind it: a decoder takes what is missing as zeros. */
static ev_status add_end(const evi_decode *d, const evi_jpeg_info *info, uint8_t **out)
{
    EVI_TRY(evi_malloc(d->ctx, info->usable + 2, 1, out));
    memcpy(*out, d->bytes, info->usable);
    (*out)[info->usable] = 0xff;
    (*out)[info->usable + 1] = 0xd9;
    return EV_OK;
}

ev_status evi_decode_jpeg(const evi_decode *d, ev_image **out)
{
    evi_jpeg_info info;
    uint8_t *whole = NULL;
    EVI_TRY(evi_jpeg_check(d, &info));
    if (!info.complete)
        EVI_TRY(add_end(d, &info, &whole));
    int wanted = info.components == 1 ? 1 : 3;
    codec_ctx = d->ctx;
    codec_out_of_memory = false;
    uint8_t *pixels = run_decoder(d->ctx, whole != NULL ? whole : d->bytes,
                                  info.complete ? d->n_bytes : info.usable + 2, wanted, &info);
    codec_ctx = NULL;
    evi_free(whole);
    if (pixels == NULL && codec_out_of_memory)
        return EV_ERR_MEMORY; /* the allocator has written the line */
    if (pixels == NULL) {
        const char *reason = stbi_failure_reason();
        return evi_fail(EV_ERR_FORMAT, "JPEG: %s", reason != NULL ? reason : "damaged");
    }
    return take_pixels(d, pixels, info.width, info.height,
                       wanted == 1 ? EV_PIXEL_GREY : EV_PIXEL_RGB, out);
}

#elif !defined(EVI_CODECS_SYSTEM)

ev_status evi_decode_jpeg(const evi_decode *d, ev_image **out)
{
    evi_jpeg_info info;
    *out = NULL;
    EVI_TRY(evi_jpeg_check(d, &info));
    return evi_fail(EV_ERR_UNSUPPORTED, "this library was built without JPEG");
}

#endif
