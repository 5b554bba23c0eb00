/* SPDX-License-Identifier: MIT */
/* PNG (ISO/IEC 15948): every bit depth, colour type and interlacing, with all checksums verified.
 * An own reader, since sizes must be known before memory is taken and every checksum verified. */
#include "data/image.h"
#include <string.h>

enum { GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGB_ALPHA = 6 };

typedef struct png {
    const evi_decode *d;
    uint32_t width, height;
    int32_t depth, type, interlaced;
    int32_t samples;      /* in a pixel */
    int32_t n_palette;    /* colours; 0: none */
    int32_t has_key;      /* tRNS of a grey or RGB picture */
    uint8_t palette[256][4];
    uint16_t key[3];      /* the colour that is transparent */
    uint16_t pad;
    const uint8_t *data;  /* the compressed stream ... */
    uint64_t n_data;
    uint8_t *joined;      /* ... and its memory, when it lies in several chunks */
    uint8_t *line;        /* one row as RGBA */
    uint8_t *zeroes;      /* what is above the first row */
} png;

typedef struct chunk {
    uint32_t length;
    char name[5];
    const uint8_t *body;
} chunk;

/* Reduced pictures of Adam7: first pixel and step on each axis.  The last row: no interlacing. */
static const uint8_t PASS[8][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                   {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}, {0, 0, 1, 1}};

static uint32_t big32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The chunk at *at, its checksum verified; *at moves behind it. */
static ev_status next_chunk(const evi_decode *d, uint64_t *at, chunk *c)
{
    if (d->n_bytes - *at < 12)
        return evi_fail(EV_ERR_FORMAT, "PNG ends before its IEND chunk");
    const uint8_t *p = d->bytes + *at;
    *c = (chunk){.length = big32(p), .body = p + 8};
    memcpy(c->name, p + 4, 4);
    for (int32_t i = 0; i < 4; i++)
        if (!((c->name[i] >= 'A' && c->name[i] <= 'Z') || (c->name[i] >= 'a' && c->name[i] <= 'z')))
            return evi_fail(EV_ERR_FORMAT, "PNG has a chunk without a name");
    if (c->length > d->n_bytes - *at - 12)
        return evi_fail(EV_ERR_FORMAT, "PNG chunk %s is longer than the file", c->name);
    if (EVI_CHECKSUMS && evi_crc32(0, p + 4, c->length + (uint64_t)4) != big32(c->body + c->length))
        return evi_fail(EV_ERR_FORMAT, "PNG chunk %s has a wrong checksum", c->name);
    *at += c->length + (uint64_t)12;
    return EV_OK;
}

static bool depth_fits(int32_t type, int32_t depth)
{
    switch (type) {
    case GREY: return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
    case PALETTE: return depth == 1 || depth == 2 || depth == 4 || depth == 8;
    case RGB:
    case GREY_ALPHA:
    case RGB_ALPHA: return depth == 8 || depth == 16;
    default: return false;
    }
}

static ev_status read_header(png *s, const chunk *c)
{
    static const uint8_t samples[7] = {1, 0, 3, 1, 2, 0, 4};
    if (strcmp(c->name, "IHDR") != 0 || c->length != 13)
        return evi_fail(EV_ERR_FORMAT, "PNG does not start with IHDR");
    const uint8_t *p = c->body;
    s->width = big32(p);
    s->height = big32(p + 4);
    s->depth = p[8];
    s->type = p[9];
    s->interlaced = p[12];
    if (!depth_fits(s->type, s->depth) || p[10] != 0 || p[11] != 0 || p[12] > 1)
        return evi_fail(EV_ERR_FORMAT, "PNG header: colour type %d, depth %d, interlace %d",
                        (int)p[9], (int)p[8], (int)p[12]);
    s->samples = samples[s->type];
    return evi_decode_size(s->d, s->width, s->height);
}

static ev_status read_palette(png *s, const chunk *c)
{
    if (s->type != PALETTE)
        return EV_OK; /* a hint for displays with few colours */
    uint32_t n = c->length / 3;
    if (c->length % 3 != 0 || n == 0 || n > 256 || s->n_palette != 0 || s->n_data != 0)
        return evi_fail(EV_ERR_FORMAT, "PNG palette of %u bytes", (unsigned)c->length);
    for (uint32_t i = 0; i < n; i++)
        memcpy(s->palette[i], c->body + (size_t)3 * i, 3);
    for (uint32_t i = 0; i < 256; i++)
        s->palette[i][3] = 255;
    s->n_palette = (int32_t)n;
    return EV_OK;
}

/* A damaged tRNS is passed over, as it only says what shines through. */
static void read_transparency(png *s, const chunk *c)
{
    if (s->type == PALETTE) {
        for (uint32_t i = 0; i < c->length && i < (uint32_t)s->n_palette; i++)
            s->palette[i][3] = c->body[i];
    } else if ((s->type == GREY && c->length == 2) || (s->type == RGB && c->length == 6)) {
        for (uint32_t i = 0; i < c->length / 2; i++)
            s->key[i] = (uint16_t)(c->body[2 * i] << 8 | c->body[2 * i + 1]);
        s->has_key = 1;
    }
}

/* Bytes of the image data over all chunks; where it lies when it is in one piece. */
static ev_status gather_data(png *s, const chunk *c, bool copy)
{
    if (s->type == PALETTE && s->n_palette == 0)
        return evi_fail(EV_ERR_FORMAT, "PNG has no palette");
    if (copy && c->length > 0)
        memcpy(s->joined + s->n_data, c->body, c->length);
    if (c->length > 0 && s->n_data == 0)
        s->data = c->body;
    s->n_data += c->length;
    return EV_OK;
}

static ev_status walk_chunks(png *s, uint64_t at, int32_t *n_pieces)
{
    bool ended = false, after_data = false;
    *n_pieces = 0;
    while (!ended) {
        chunk c;
        EVI_TRY(next_chunk(s->d, &at, &c));
        bool data = strcmp(c.name, "IDAT") == 0;
        if (data && after_data)
            return evi_fail(EV_ERR_FORMAT, "PNG image data is not in one row of chunks");
        after_data = *n_pieces > 0 && !data;
        if (data) {
            EVI_TRY(gather_data(s, &c, false));
            *n_pieces += 1;
        } else if (strcmp(c.name, "PLTE") == 0) {
            EVI_TRY(read_palette(s, &c));
        } else if (strcmp(c.name, "tRNS") == 0) {
            read_transparency(s, &c);
        } else if (strcmp(c.name, "IHDR") == 0) {
            return evi_fail(EV_ERR_FORMAT, "PNG has two headers");
        } else if (strcmp(c.name, "IEND") == 0) {
            ended = true;
        } else if (c.name[0] >= 'A' && c.name[0] <= 'Z') {
            return evi_fail(EV_ERR_FORMAT, "PNG needs the unknown chunk %s", c.name);
        }
    }
    return s->n_data > 0 ? EV_OK : evi_fail(EV_ERR_FORMAT, "PNG has no image data");
}

/* Put the pieces together, if there are several. */
static ev_status join_data(png *s, uint64_t first, int32_t n_pieces)
{
    if (n_pieces == 1)
        return EV_OK;
    EVI_TRY(evi_malloc(s->d->ctx, s->n_data, 1, &s->joined));
    uint64_t at = first;
    chunk c;
    s->n_data = 0;
    while (n_pieces > 0) {
        EVI_TRY(next_chunk(s->d, &at, &c));
        if (strcmp(c.name, "IDAT") == 0) {
            EVI_TRY(gather_data(s, &c, true));
            n_pieces--;
        }
    }
    s->data = s->joined;
    return EV_OK;
}

static uint32_t pass_size(uint32_t n, uint32_t first, uint32_t step)
{
    return n > first ? (n - first + step - 1) / step : 0;
}

static uint64_t row_bytes(const png *s, uint32_t width)
{
    return ((uint64_t)width * (uint64_t)(s->samples * s->depth) + 7) / 8;
}

/* The neighbour nearest to left + up - corner. */
static uint8_t paeth(int32_t left, int32_t up, int32_t corner)
{
    int32_t a = up - corner, b = left - corner;
    int32_t pa = a < 0 ? -a : a, pb = b < 0 ? -b : b, pc = a + b < 0 ? -(a + b) : a + b;
    return (uint8_t)(pa <= pb && pa <= pc ? left : pb <= pc ? up : corner);
}

/* Undo the filter of one row.  above: the row before it, or zeroes. */
static ev_status unfilter(int32_t filter, uint8_t *row, const uint8_t *above, uint64_t n,
                          uint64_t step)
{
    uint64_t first = EVI_MIN(step, n);
    switch (filter) {
    case 0: break;
    case 1:
        for (uint64_t i = step; i < n; i++)
            row[i] = (uint8_t)(row[i] + row[i - step]);
        break;
    case 2:
        for (uint64_t i = 0; i < n; i++)
            row[i] = (uint8_t)(row[i] + above[i]);
        break;
    case 3:
        for (uint64_t i = 0; i < first; i++)
            row[i] = (uint8_t)(row[i] + above[i] / 2);
        for (uint64_t i = step; i < n; i++)
            row[i] = (uint8_t)(row[i] + (row[i - step] + above[i]) / 2);
        break;
    case 4:
        for (uint64_t i = 0; i < first; i++)
            row[i] = (uint8_t)(row[i] + above[i]);
        for (uint64_t i = step; i < n; i++)
            row[i] = (uint8_t)(row[i] + paeth(row[i - step], above[i], above[i - step]));
        break;
    default: return evi_fail(EV_ERR_FORMAT, "PNG row filter %d", (int)filter);
    }
    return EV_OK;
}

static uint32_t sample_at(const png *s, const uint8_t *row, uint64_t i)
{
    if (s->depth == 8)
        return row[i];
    if (s->depth == 16)
        return (uint32_t)row[2 * i] << 8 | row[2 * i + 1];
    uint32_t per_byte = 8 / (uint32_t)s->depth, place = (uint32_t)(i % per_byte);
    return row[i / per_byte] >> (8 - (uint32_t)s->depth * (place + 1)) & ((1u << s->depth) - 1);
}

/* A sample as a byte: small depths are stretched to 0..255, of 16 bits the high byte is kept. */
static uint8_t sample_byte(const png *s, uint32_t v)
{
    static const uint8_t stretch[5] = {0, 255, 85, 0, 17};
    return (uint8_t)(s->depth == 16 ? v >> 8 : s->depth == 8 ? v : v * stretch[s->depth]);
}

static void pixel_rgba(const png *s, const uint8_t *row, uint32_t x, uint8_t to[4])
{
    uint32_t v[4] = {0};
    for (int32_t c = 0; c < s->samples; c++)
        v[c] = sample_at(s, row, (uint64_t)x * (uint64_t)s->samples + (uint64_t)c);
    if (s->type == PALETTE) { /* colours beyond its end are black, as in libpng */
        memcpy(to, s->palette[v[0]], 4);
        return;
    }
    bool colour = s->samples >= 3;
    for (int32_t c = 0; c < 3; c++)
        to[c] = sample_byte(s, colour ? v[c] : v[0]);
    bool clear = s->has_key && v[0] == s->key[0] &&
                 (!colour || (v[1] == s->key[1] && v[2] == s->key[2]));
    bool alpha = s->type == GREY_ALPHA || s->type == RGB_ALPHA;
    to[3] = alpha ? sample_byte(s, v[s->samples - 1]) : clear ? 0 : 255;
}

/* One row of a pass to its places in the picture. */
static void place_row(const png *s, const uint8_t *row, const uint8_t *pass, uint32_t width,
                      uint32_t y, ev_image *out)
{
    uint8_t *to = evi_image_row(out, (int64_t)pass[1] + (int64_t)y * pass[3]);
    if (s->type == RGB && s->depth == 8 && out->format == EV_PIXEL_RGB && pass[2] == 1) {
        memcpy(to, row, (size_t)3 * width);
        return;
    }
    for (uint32_t x = 0; x < width; x++)
        pixel_rgba(s, row, x, s->line + (size_t)4 * x);
    if (pass[2] == 1) {
        evi_rgba_convert(s->line, (int32_t)width, out->format, to);
        return;
    }
    for (uint32_t x = 0; x < width; x++)
        evi_rgba_convert(s->line + (size_t)4 * x, 1, out->format,
                         to + (pass[0] + (int64_t)x * pass[2]) * out->pixel_bytes);
}

static ev_status read_rows(const png *s, uint8_t *raw, ev_image *out)
{
    uint64_t step = (uint64_t)EVI_MAX(s->samples * s->depth / 8, 1);
    for (int32_t p = s->interlaced ? 0 : 7; p < (s->interlaced ? 7 : 8); p++) {
        const uint8_t *pass = PASS[p], *above = s->zeroes;
        uint32_t width = pass_size(s->width, pass[0], pass[2]);
        uint32_t height = pass_size(s->height, pass[1], pass[3]);
        uint64_t n = row_bytes(s, width);
        for (uint32_t y = 0; width > 0 && y < height; y++) {
            EVI_TRY(unfilter(raw[0], raw + 1, above, n, step));
            place_row(s, raw + 1, pass, width, y, out);
            above = raw + 1;
            raw += n + 1;
        }
    }
    return EV_OK;
}

static uint64_t raw_bytes(const png *s)
{
    uint64_t sum = 0;
    for (int32_t p = s->interlaced ? 0 : 7; p < (s->interlaced ? 7 : 8); p++) {
        uint32_t width = pass_size(s->width, PASS[p][0], PASS[p][2]);
        uint32_t height = pass_size(s->height, PASS[p][1], PASS[p][3]);
        sum += width > 0 ? (row_bytes(s, width) + 1) * height : 0;
    }
    return sum;
}

static ev_status decode_pixels(png *s, uint8_t **raw, ev_image **out)
{
    uint64_t n_raw = raw_bytes(s);
    /* deflate makes at most 1032 bytes of one, so this cannot be meant */
    if (n_raw > s->n_data * 1032 + 1032)
        return evi_fail(EV_ERR_FORMAT, "PNG of %u x %u with only %llu bytes of image data",
                        (unsigned)s->width, (unsigned)s->height, (unsigned long long)s->n_data);
    EVI_TRY(evi_malloc(s->d->ctx, s->width, 4, &s->line));
    EVI_TRY(evi_calloc(s->d->ctx, row_bytes(s, s->width), 1, &s->zeroes));
    EVI_TRY(evi_malloc(s->d->ctx, n_raw, 1, raw));
    EVI_TRY(evi_inflate(s->d->ctx, s->data, s->n_data, *raw, n_raw));
    EVI_TRY(evi_image_new(s->d->ctx, (int32_t)s->width, (int32_t)s->height, s->d->format, out));
    return read_rows(s, *raw, *out);
}

static ev_status decode(png *s, uint8_t **raw, ev_image **out)
{
    uint64_t at = 8;
    int32_t n_pieces = 0;
    chunk c;
    EVI_TRY(next_chunk(s->d, &at, &c));
    EVI_TRY(read_header(s, &c));
    EVI_TRY(walk_chunks(s, at, &n_pieces));
    EVI_TRY(join_data(s, at, n_pieces));
    return decode_pixels(s, raw, out);
}

ev_status evi_decode_png(const evi_decode *d, ev_image **out)
{
    png *s = NULL;
    uint8_t *raw = NULL;
    ev_image *made = NULL;
    EVI_TRY(evi_calloc(d->ctx, 1, sizeof(*s), &s));
    s->d = d;
    ev_status status = decode(s, &raw, &made);
    evi_free(raw);
    evi_free(s->line);
    evi_free(s->zeroes);
    evi_free(s->joined);
    evi_free(s);
    if (status != EV_OK) {
        ev_image_destroy(made);
        return status;
    }
    *out = made;
    return EV_OK;
}
