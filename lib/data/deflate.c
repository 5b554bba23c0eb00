/* SPDX-License-Identifier: MIT */
/* PNG writing: rows filtered by the usual rule (the filter whose bytes are smallest in sum), then
 * matches of at least four bytes from a hash of the last 32 KiB, in the fixed codes of deflate. */
#include "data/image.h"
#include <string.h>

enum { HASH_BITS = 14, WINDOW = 32768, MIN_MATCH = 4, MAX_MATCH = 258, PIECE = 1 << 16 };

typedef struct deflater {
    evi_sink *sink;
    uint64_t bits;
    int32_t n_bits;
    uint32_t adler;
    uint32_t filled;
    uint32_t pad;
    int32_t hash[1 << HASH_BITS]; /* last place + 1 with this hash */
    uint8_t piece[PIECE + 16];    /* of the next IDAT chunk: room for its name first */
} deflater;

static void put32(uint8_t *p, uint32_t v)
{
    for (int32_t i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* body starts with the four letters of the name. */
static void write_chunk(evi_sink *sink, const uint8_t *body, uint32_t n)
{
    uint8_t word[4];
    put32(word, n - 4);
    evi_sink_write(sink, word, 4);
    evi_sink_write(sink, body, n);
    put32(word, evi_crc32(0, body, n));
    evi_sink_write(sink, word, 4);
}

static void put_byte(deflater *s, uint8_t byte)
{
    if (s->filled == PIECE) {
        write_chunk(s->sink, s->piece, s->filled);
        s->filled = 4;
    }
    s->piece[s->filled++] = byte;
}

static void put_bits(deflater *s, uint32_t v, int32_t n)
{
    s->bits |= (uint64_t)v << s->n_bits;
    for (s->n_bits += n; s->n_bits >= 8; s->n_bits -= 8) {
        put_byte(s, (uint8_t)s->bits);
        s->bits >>= 8;
    }
}

/* Codes go out with their first bit lowest. */
static void put_code(deflater *s, uint32_t code, int32_t n)
{
    uint32_t r = 0;
    for (int32_t i = 0; i < n; i++)
        r |= (code >> i & 1) << (n - 1 - i);
    put_bits(s, r, n);
}

static void put_symbol(deflater *s, uint32_t v)
{
    if (v < 144)
        put_code(s, 48 + v, 8);
    else if (v < 256)
        put_code(s, 400 + v - 144, 9);
    else if (v < 280)
        put_code(s, v - 256, 7);
    else
        put_code(s, 192 + v - 280, 8);
}

/* Length codes come in fours of equal width; so do distance codes in twos. */
static void put_match(deflater *s, uint32_t length, uint32_t distance)
{
    if (length == MAX_MATCH) {
        put_symbol(s, 285);
    } else {
        uint32_t v = length - 3, extra = 0;
        while (v >> extra >= 8)
            extra++;
        put_symbol(s, 257 + extra * 4 + (v >> extra));
        put_bits(s, v & ((1u << extra) - 1), (int32_t)extra);
    }
    uint32_t v = distance - 1, extra = 0;
    while (v >> extra >= 4)
        extra++;
    put_code(s, extra * 2 + (v >> extra), 5);
    put_bits(s, v & ((1u << extra) - 1), (int32_t)extra);
}

static uint32_t match_length(const uint8_t *a, const uint8_t *b, uint64_t most)
{
    uint32_t n = 0;
    while (n < most && n < MAX_MATCH && a[n] == b[n])
        n++;
    return n;
}

static uint32_t hash_of(const uint8_t *p)
{
    uint32_t v = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    return v * 2654435761u >> (32 - HASH_BITS);
}

/* One block of fixed codes over all the data; its size is below 2^31 (2^26 pixels). */
static void compress(deflater *s, const uint8_t *data, uint64_t n)
{
    put_bits(s, 1, 1);
    put_bits(s, 1, 2);
    for (uint64_t i = 0; i < n;) {
        uint32_t length = 0, distance = 0;
        if (n - i >= MIN_MATCH) {
            int32_t *slot = &s->hash[hash_of(data + i)];
            distance = (uint32_t)(i + 1 - (uint64_t)*slot);
            if (*slot != 0 && distance <= WINDOW)
                length = match_length(data + i, data + i - distance, n - i);
            *slot = (int32_t)(i + 1);
        }
        if (length >= MIN_MATCH) {
            put_match(s, length, distance);
            i += length;
        } else {
            put_symbol(s, data[i++]);
        }
    }
    put_symbol(s, 256);
}

static uint8_t paeth(int32_t left, int32_t up, int32_t corner)
{
    int32_t a = up - corner, b = left - corner;
    int32_t pa = a < 0 ? -a : a, pb = b < 0 ? -b : b, pc = a + b < 0 ? -(a + b) : a + b;
    return (uint8_t)(pa <= pb && pa <= pc ? left : pb <= pc ? up : corner);
}

/* Filter one row, of which step zero bytes lie before the start; gives the sum of the results,
 * seen as signed bytes without their sign. */
static uint64_t filter_row(int32_t filter, const uint8_t *row, const uint8_t *above, uint64_t n,
                           uint64_t step, uint8_t *to)
{
    const uint8_t *left = row - step, *corner = above - step;
    uint64_t sum = 0;
    *to++ = (uint8_t)filter;
    for (uint64_t i = 0; filter == 0 && i < n; i++)
        to[i] = row[i];
    for (uint64_t i = 0; filter == 1 && i < n; i++)
        to[i] = (uint8_t)(row[i] - left[i]);
    for (uint64_t i = 0; filter == 2 && i < n; i++)
        to[i] = (uint8_t)(row[i] - above[i]);
    for (uint64_t i = 0; filter == 3 && i < n; i++)
        to[i] = (uint8_t)(row[i] - (left[i] + above[i]) / 2);
    for (uint64_t i = 0; filter == 4 && i < n; i++)
        to[i] = (uint8_t)(row[i] - paeth(left[i], above[i], corner[i]));
    for (uint64_t i = 0; i < n; i++)
        sum += (uint64_t)(to[i] < 128 ? to[i] : 256 - to[i]);
    return sum;
}

/* rows: two of step zero bytes and n more; results: two of n + 1. */
static void filter_picture(const ev_image *image, uint8_t *rows, uint8_t *results, uint8_t *raw)
{
    uint64_t step = (uint64_t)image->pixel_bytes, n = (uint64_t)image->width * step;
    for (int32_t y = 0; y < image->height; y++, raw += n + 1) {
        uint8_t *row = rows + (y & 1 ? step + n : 0) + step;
        const uint8_t *above = rows + (y & 1 ? 0 : step + n) + step;
        uint8_t *best = results, *other = results + n + 1;
        uint64_t least = UINT64_MAX;
        memcpy(row, evi_image_row(image, y), n);
        for (int32_t filter = 0; filter < 5; filter++) {
            uint64_t sum = filter_row(filter, row, above, n, step, other);
            if (sum < least) {
                uint8_t *swap = best;
                best = other;
                other = swap;
                least = sum;
            }
        }
        memcpy(raw, best, n + 1);
    }
}

static void write_header(const ev_image *image, evi_sink *sink)
{
    uint8_t header[17] = {'I', 'H', 'D', 'R'};
    put32(header + 4, (uint32_t)image->width);
    put32(header + 8, (uint32_t)image->height);
    header[12] = 8;
    header[13] = image->pixel_bytes == 1 ? 0 : image->pixel_bytes == 3 ? 2 : 6;
    evi_sink_write(sink, "\x89PNG\r\n\x1a\n", 8);
    write_chunk(sink, header, sizeof(header));
}

static void write_data(deflater *s, const uint8_t *raw, uint64_t n_raw)
{
    memcpy(s->piece, "IDAT", 4);
    s->filled = 4;
    put_byte(s, 0x78);
    put_byte(s, 0x01);
    compress(s, raw, n_raw);
    put_bits(s, 0, (8 - s->n_bits) & 7);
    uint32_t adler = evi_adler32(1, raw, n_raw);
    for (int32_t i = 0; i < 4; i++)
        put_byte(s, (uint8_t)(adler >> (24 - 8 * i)));
    write_chunk(s->sink, s->piece, s->filled);
    write_chunk(s->sink, (const uint8_t *)"IEND", 4);
}

ev_status evi_encode_png(const ev_image *image, evi_sink *sink)
{
    ev_context *ctx = image->handle.ctx;
    uint64_t n = (uint64_t)image->width * (uint64_t)image->pixel_bytes;
    uint64_t n_raw = (n + 1) * (uint64_t)image->height;
    uint8_t *raw = NULL, *rows = NULL;
    deflater *s = NULL;
    ev_status status = evi_malloc(ctx, n_raw, 1, &raw);
    if (status == EV_OK)
        status = evi_calloc(ctx, n + 8, 4, &rows);
    if (status == EV_OK)
        status = evi_calloc(ctx, 1, sizeof(*s), &s);
    if (status == EV_OK) {
        s->sink = sink;
        filter_picture(image, rows, rows + 2 * (n + 4), raw);
        write_header(image, sink);
        write_data(s, raw, n_raw);
    }
    evi_free(s);
    evi_free(rows);
    evi_free(raw);
    return status;
}
