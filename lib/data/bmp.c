/* SPDX-License-Identifier: MIT */
/* Windows bitmaps: 1, 4 and 8 bits with palette, 16, 24 and 32 bits; without run lengths. */
#include "data/image.h"
#include <string.h>

typedef struct bmp {
    const evi_decode *d;
    uint32_t header; /* bytes of the information header */
    uint32_t width, height;
    int32_t bits;
    bool top_down;
    uint8_t pad[3];
    uint32_t compression;
    uint32_t n_colours;
    const uint8_t *colours;
    uint64_t colour_bytes; /* of one palette entry */
    uint32_t mask[4];      /* red, green, blue, alpha */
    uint64_t pixels;       /* where they start */
    uint8_t *line;         /* RGBA */
} bmp;

static uint32_t little16(const uint8_t *p)
{
    return (uint32_t)p[1] << 8 | p[0];
}

static uint32_t little32(const uint8_t *p)
{
    return little16(p + 2) << 16 | little16(p);
}

static ev_status read_sizes(bmp *s)
{
    const uint8_t *p = s->d->bytes;
    if (s->header == 12) {
        s->width = little16(p + 18);
        s->height = little16(p + 20);
        s->bits = (int32_t)little16(p + 24);
        s->colour_bytes = 3;
        return EV_OK;
    }
    uint32_t height = little32(p + 22);
    s->top_down = height > INT32_MAX;
    s->width = little32(p + 18);
    s->height = s->top_down ? 0 - height : height;
    s->bits = (int32_t)little16(p + 28);
    s->compression = little32(p + 30);
    s->n_colours = little32(p + 46);
    s->colour_bytes = 4;
    return EV_OK;
}

/* Masks stand behind a header of 40 bytes, or within a longer one. */
static ev_status read_masks(bmp *s)
{
    if (s->bits == 16 && s->compression == 0) {
        s->mask[0] = 0x7c00;
        s->mask[1] = 0x03e0;
        s->mask[2] = 0x001f;
    } else if (s->bits == 32 && s->compression == 0) {
        s->mask[0] = 0xff0000;
        s->mask[1] = 0xff00;
        s->mask[2] = 0xff;
    } else if (s->compression == 3) {
        uint32_t n = s->header >= 56 ? 4 : 3;
        if (s->d->n_bytes < 54 + (uint64_t)4 * n)
            return evi_fail(EV_ERR_FORMAT, "BMP ends early");
        for (uint32_t i = 0; i < n; i++)
            s->mask[i] = little32(s->d->bytes + 54 + (size_t)4 * i);
    }
    return EV_OK;
}

static ev_status read_palette(bmp *s)
{
    if (s->bits > 8)
        return EV_OK;
    uint32_t most = 1u << s->bits;
    if (s->n_colours == 0)
        s->n_colours = most;
    uint64_t start = 14 + (uint64_t)s->header;
    if (s->n_colours > most || start + s->n_colours * s->colour_bytes > s->d->n_bytes)
        return evi_fail(EV_ERR_FORMAT, "BMP with a palette of %u colours", (unsigned)s->n_colours);
    s->colours = s->d->bytes + start;
    return EV_OK;
}

static uint64_t row_bytes(const bmp *s)
{
    return ((uint64_t)s->width * (uint64_t)s->bits + 31) / 32 * 4;
}

static ev_status read_header(bmp *s)
{
    const uint8_t *p = s->d->bytes;
    s->header = s->d->n_bytes >= 26 ? little32(p + 14) : 0;
    if ((s->header != 12 && s->header < 40) || s->header > 4096 ||
        s->d->n_bytes < 14 + (uint64_t)s->header)
        return evi_fail(EV_ERR_FORMAT, "BMP header of %u bytes", (unsigned)s->header);
    EVI_TRY(read_sizes(s));
    int32_t b = s->bits;
    if (b != 1 && b != 4 && b != 8 && b != 16 && b != 24 && b != 32)
        return evi_fail(EV_ERR_FORMAT, "BMP of %d bits", (int)b);
    bool masks = s->compression == 3 && (b == 16 || b == 32);
    if (s->compression != 0 && !masks)
        return evi_fail(EV_ERR_UNSUPPORTED, "BMP with compression %u", (unsigned)s->compression);
    EVI_TRY(evi_decode_size(s->d, s->width, s->height));
    EVI_TRY(read_masks(s));
    EVI_TRY(read_palette(s));
    s->pixels = little32(p + 10);
    if (s->pixels > s->d->n_bytes || row_bytes(s) * s->height > s->d->n_bytes - s->pixels)
        return evi_fail(EV_ERR_FORMAT, "BMP of %u x %u ends early", (unsigned)s->width,
                        (unsigned)s->height);
    return EV_OK;
}

/* The bits under a mask, stretched to 0..255; without a mask, absent. */
static uint8_t masked(uint32_t v, uint32_t mask, uint8_t absent)
{
    if (mask == 0)
        return absent;
    while ((mask & 1) == 0) {
        mask >>= 1;
        v >>= 1;
    }
    return (uint8_t)(((uint64_t)(v & mask) * 255 + mask / 2) / mask);
}

static ev_status read_pixel(const bmp *s, const uint8_t *row, uint32_t x, uint8_t to[4])
{
    to[3] = 255;
    if (s->bits == 24) {
        for (uint32_t c = 0; c < 3; c++)
            to[c] = row[(size_t)3 * x + 2 - c];
    } else if (s->bits > 8) {
        uint32_t v = s->bits == 16 ? little16(row + (size_t)2 * x) : little32(row + (size_t)4 * x);
        for (uint32_t c = 0; c < 4; c++)
            to[c] = masked(v, s->mask[c], c == 3 ? 255 : 0);
    } else {
        uint32_t per_byte = 8 / (uint32_t)s->bits, place = x % per_byte;
        uint32_t v = row[x / per_byte] >> (8 - (uint32_t)s->bits * (place + 1));
        v &= (1u << s->bits) - 1;
        if (v >= s->n_colours)
            return evi_fail(EV_ERR_FORMAT, "BMP pixel of colour %u of %u", (unsigned)v,
                            (unsigned)s->n_colours);
        const uint8_t *colour = s->colours + v * s->colour_bytes;
        for (uint32_t c = 0; c < 3; c++)
            to[c] = colour[2 - c];
    }
    return EV_OK;
}

static ev_status read_rows(bmp *s, ev_image *image)
{
    EVI_TRY(evi_malloc(s->d->ctx, s->width, 4, &s->line));
    for (uint32_t y = 0; y < s->height; y++) {
        uint32_t at = s->top_down ? y : s->height - 1 - y;
        const uint8_t *row = s->d->bytes + s->pixels + at * row_bytes(s);
        for (uint32_t x = 0; x < s->width; x++)
            EVI_TRY(read_pixel(s, row, x, s->line + (size_t)4 * x));
        evi_rgba_convert(s->line, (int32_t)s->width, image->format, evi_image_row(image, y));
    }
    return EV_OK;
}

ev_status evi_decode_bmp(const evi_decode *d, ev_image **out)
{
    bmp s = {.d = d};
    EVI_TRY(read_header(&s));
    ev_image *made = NULL;
    EVI_TRY(evi_image_new(d->ctx, (int32_t)s.width, (int32_t)s.height, d->format, &made));
    ev_status status = read_rows(&s, made);
    evi_free(s.line);
    if (status != EV_OK) {
        ev_image_destroy(made);
        return status;
    }
    *out = made;
    return EV_OK;
}
