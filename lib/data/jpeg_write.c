/* SPDX-License-Identifier: MIT */
/* Baseline JPEG (ITU-T T.81) with the tables of its annex K, in integers: the same bytes on every
 * processor.  Up to quality 90 chroma has half the resolution on both axes, above it all of it. */
#include "data/image.h"
#include <string.h>

enum { BUFFER = 4096, COSINE_BITS = 12 };

typedef struct code {
    uint16_t bits[256];
    uint8_t length[256];
} code;

typedef struct writer {
    evi_sink *sink;
    uint32_t bits;
    int32_t n_bits;
    int32_t filled;
    int32_t dc[3];
    uint8_t divisor[2][64]; /* luminance, chrominance; in row order */
    code codes[4];          /* DC and AC of luminance, DC and AC of chrominance */
    uint8_t buffer[BUFFER];
} writer;

static const uint8_t ZIGZAG[64] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

static const uint8_t LUMINANCE[64] = {
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26,  58,  60,  55,  14, 13, 16, 24, 40, 57,
    69, 56, 14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37,  56,  68,  109, 103, 77, 24, 35, 55, 64,
    81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99};

static const uint8_t CHROMINANCE[32] = {17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26,
                                        66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99,
                                        99, 99, 47, 66, 99, 99, 99, 99, 99, 99}; /* then 99 */

/* Codes of each length 1..16, and the first symbols; the other AC symbols follow in order. */
static const uint8_t COUNTS[4][16] = {{0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0},
                                      {0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125},
                                      {0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0},
                                      {0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119}};
static const uint8_t FIRST[2][44] = {
    {0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61,
     0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52,
     0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a},
    {0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61,
     0x71, 0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33,
     0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17}};

/* All symbols of a table in the order of their codes; gives how many. */
static int32_t symbols_of(int32_t table, uint8_t symbols[256])
{
    bool seen[256] = {false};
    int32_t n = 0;
    if (table % 2 == 0) {
        for (; n < 12; n++)
            symbols[n] = (uint8_t)n;
        return n;
    }
    for (; n < 44; n++) {
        symbols[n] = FIRST[table / 2][n];
        seen[symbols[n]] = true;
    }
    for (int32_t s = 0; s < 256; s++)
        if (!seen[s] && (s & 15) >= 1 && (s & 15) <= 10)
            symbols[n++] = (uint8_t)s;
    return n;
}

static void make_code(int32_t table, code *c)
{
    uint8_t symbols[256];
    uint32_t bits = 0;
    int32_t at = 0;
    (void)symbols_of(table, symbols);
    for (int32_t length = 1; length <= 16; length++, bits <<= 1)
        for (int32_t i = 0; i < COUNTS[table][length - 1]; i++, at++) {
            c->bits[symbols[at]] = (uint16_t)bits++;
            c->length[symbols[at]] = (uint8_t)length;
        }
}

/* The customary rule: quality 50 is the table itself. */
static void make_divisors(int32_t quality, uint8_t divisor[2][64])
{
    int32_t scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
    for (int32_t i = 0; i < 64; i++) {
        int32_t base[2] = {LUMINANCE[i], i < 32 ? CHROMINANCE[i] : 99};
        for (int32_t t = 0; t < 2; t++) {
            int32_t v = (base[t] * scale + 50) / 100;
            divisor[t][i] = (uint8_t)(v < 1 ? 1 : v > 255 ? 255 : v);
        }
    }
}

/* ---- bytes and bits -------------------------------------------------------------------------- */

static void put_byte(writer *w, uint32_t byte)
{
    if (w->filled == BUFFER) {
        evi_sink_write(w->sink, w->buffer, BUFFER);
        w->filled = 0;
    }
    w->buffer[w->filled++] = (uint8_t)byte;
}

static void put_word(writer *w, uint32_t word)
{
    put_byte(w, word >> 8);
    put_byte(w, word & 255);
}

/* n <= 16 bits; a byte of ones is followed by a zero byte. */
static void put_bits(writer *w, uint32_t v, int32_t n)
{
    w->bits = (w->bits << n | (v & ((1u << n) - 1))) & 0xffffff;
    for (w->n_bits += n; w->n_bits >= 8; w->n_bits -= 8) {
        uint32_t byte = w->bits >> (w->n_bits - 8) & 255;
        put_byte(w, byte);
        if (byte == 255)
            put_byte(w, 0);
    }
}

static void put_coded(writer *w, const code *c, int32_t run, int32_t value)
{
    int32_t size = 0, magnitude = value < 0 ? -value : value;
    while (magnitude >> size != 0)
        size++;
    int32_t symbol = run * 16 + size;
    put_bits(w, c->bits[symbol], c->length[symbol]);
    put_bits(w, (uint32_t)(value < 0 ? value - 1 : value), size);
}

/* ---- one block ------------------------------------------------------------------------------- */

/* cos(m pi / 16) / 2 in 1/2^12, for the basis functions of the transform. */
static int32_t cosine(int32_t m)
{
    static const int16_t quarter[9] = {2048, 2009, 1892, 1703, 1448, 1138, 784, 400, 0};
    m &= 31;
    if (m > 16)
        m = 32 - m;
    return m <= 8 ? quarter[m] : -quarter[16 - m];
}

static void make_basis(int32_t basis[8][8])
{
    for (int32_t x = 0; x < 8; x++) {
        basis[0][x] = 1448;
        for (int32_t u = 1; u < 8; u++)
            basis[u][x] = cosine((2 * x + 1) * u);
    }
}

/* Forward transform and division, rounded to the nearest; sample: -128..127. */
static void transform(const int16_t sample[64], const int32_t basis[8][8], const uint8_t *divisor,
                      int16_t out[64])
{
    int32_t half[64]; /* transformed along the rows, in 1/2^8 */
    for (int32_t y = 0; y < 8; y++)
        for (int32_t u = 0; u < 8; u++) {
            int32_t sum = 8;
            for (int32_t x = 0; x < 8; x++)
                sum += basis[u][x] * sample[y * 8 + x];
            half[y * 8 + u] = sum >> 4;
        }
    for (int32_t v = 0; v < 8; v++)
        for (int32_t u = 0; u < 8; u++) {
            int64_t sum = 0, unit = (int64_t)divisor[v * 8 + u] << 20;
            for (int32_t y = 0; y < 8; y++)
                sum += (int64_t)basis[v][y] * half[y * 8 + u];
            int64_t magnitude = ((sum < 0 ? -sum : sum) + unit / 2) / unit;
            out[v * 8 + u] = (int16_t)(sum < 0 ? -magnitude : magnitude);
        }
}

static void put_block(writer *w, const int16_t coefficient[64], int32_t component)
{
    const code *dc = &w->codes[component == 0 ? 0 : 2], *ac = dc + 1;
    int32_t run = 0;
    put_coded(w, dc, 0, coefficient[0] - w->dc[component]);
    w->dc[component] = coefficient[0];
    for (int32_t i = 1; i < 64; i++) {
        int32_t value = coefficient[ZIGZAG[i]];
        if (value == 0) {
            run++;
            continue;
        }
        for (; run > 15; run -= 16)
            put_bits(w, ac->bits[0xf0], ac->length[0xf0]);
        put_coded(w, ac, run, value);
        run = 0;
    }
    if (run > 0)
        put_bits(w, ac->bits[0], ac->length[0]);
}

/* ---- pixels ---------------------------------------------------------------------------------- */

/* Y, Cb or Cr of a pixel less 128, in 1/2^16; pixels beyond the edge repeat the edge. */
static int32_t component_at(const ev_image *image, int64_t x, int64_t y, int32_t component)
{
    const uint8_t *p = evi_image_row(image, EVI_MIN(y, image->height - 1)) +
                       EVI_MIN(x, image->width - 1) * image->pixel_bytes;
    if (image->pixel_bytes == 1)
        return (p[0] - 128) * 65536;
    if (component == 0)
        return 19595 * p[0] + 38470 * p[1] + 7471 * p[2] - 128 * 65536;
    return component == 1 ? -11058 * p[0] - 21710 * p[1] + 32768 * p[2]
                          : 32768 * p[0] - 27439 * p[1] - 5329 * p[2];
}

/* 8 x 8 samples from (x, y) on, each the mean of step x step pixels. */
static void take_samples(const ev_image *image, int64_t x, int64_t y, int32_t component,
                         int32_t step, int16_t sample[64])
{
    for (int64_t j = 0; j < 8; j++)
        for (int64_t i = 0; i < 8; i++) {
            int32_t sum = 0, n = step * step;
            for (int64_t b = 0; b < step; b++)
                for (int64_t a = 0; a < step; a++)
                    sum += component_at(image, x + i * step + a, y + j * step + b, component) / n;
            int32_t v = (sum + (1 << 15)) >> 16;
            sample[j * 8 + i] = (int16_t)(v > 127 ? 127 : v);
        }
}

static void put_scan(writer *w, const ev_image *image, int32_t step)
{
    int32_t basis[8][8];
    int32_t components = image->pixel_bytes == 1 ? 1 : 3;
    int16_t sample[64], coefficient[64];
    make_basis(basis);
    for (int64_t y = 0; y < image->height; y += 8 * step)
        for (int64_t x = 0; x < image->width; x += 8 * step) {
            for (int32_t c = 0; c < components; c++) {
                int32_t n = c == 0 ? step : 1;
                for (int32_t k = 0; k < n * n; k++) {
                    take_samples(image, x + k % n * 8, y + k / n * 8, c, c == 0 ? 1 : step, sample);
                    transform(sample, (const int32_t(*)[8])basis, w->divisor[c > 0], coefficient);
                    put_block(w, coefficient, c);
                }
            }
            if (w->sink->stopped)
                return;
        }
}

/* ---- headers --------------------------------------------------------------------------------- */

static void put_tables(writer *w, int32_t n)
{
    for (int32_t t = 0; t < n; t++) {
        put_word(w, 0xffdb);
        put_word(w, 67);
        put_byte(w, (uint32_t)t);
        for (int32_t i = 0; i < 64; i++)
            put_byte(w, w->divisor[t][ZIGZAG[i]]);
    }
    for (int32_t t = 0; t < 2 * n; t++) {
        uint8_t symbols[256];
        int32_t n_symbols = symbols_of(t, symbols);
        put_word(w, 0xffc4);
        put_word(w, (uint32_t)n_symbols + 19);
        put_byte(w, (uint32_t)(t % 2 * 16 + t / 2));
        for (int32_t i = 0; i < 16; i++)
            put_byte(w, COUNTS[t][i]);
        for (int32_t i = 0; i < n_symbols; i++)
            put_byte(w, symbols[i]);
    }
}

static void put_frame(writer *w, const ev_image *image, int32_t components, int32_t step)
{
    put_word(w, 0xffc0);
    put_word(w, (uint32_t)(8 + 3 * components));
    put_byte(w, 8);
    put_word(w, (uint32_t)image->height);
    put_word(w, (uint32_t)image->width);
    put_byte(w, (uint32_t)components);
    for (int32_t c = 0; c < components; c++) {
        put_byte(w, (uint32_t)c + 1);
        put_byte(w, c == 0 ? (uint32_t)(step * 17) : 0x11);
        put_byte(w, c > 0);
    }
    put_word(w, 0xffda);
    put_word(w, (uint32_t)(6 + 2 * components));
    put_byte(w, (uint32_t)components);
    for (int32_t c = 0; c < components; c++) {
        put_byte(w, (uint32_t)c + 1);
        put_byte(w, c == 0 ? 0 : 0x11);
    }
    put_word(w, 63); /* all coefficients ... */
    put_byte(w, 0);  /* ... at once */
}

ev_status evi_encode_jpeg(const ev_image *image, int32_t quality, evi_sink *sink)
{
    static const uint8_t jfif[20] = {0xff, 0xd8, 0xff, 0xe0, 0, 16, 'J', 'F', 'I', 'F',
                                     0,    1,    1,    0,    0, 1,  0,   1,   0,   0};
    int32_t components = image->pixel_bytes == 1 ? 1 : 3;
    int32_t step = components == 3 && quality <= 90 ? 2 : 1;
    writer *w = NULL;
    EVI_TRY(evi_calloc(image->handle.ctx, 1, sizeof(*w), &w));
    w->sink = sink;
    make_divisors(quality, w->divisor);
    for (int32_t t = 0; t < 4; t++)
        make_code(t, &w->codes[t]);
    for (int32_t i = 0; i < 20; i++)
        put_byte(w, jfif[i]);
    put_tables(w, components == 3 ? 2 : 1);
    put_frame(w, image, components, step);
    put_scan(w, image, step);
    put_bits(w, 0x7f, 7); /* ones up to the end of the byte */
    put_word(w, 0xffd9);
    evi_sink_write(sink, w->buffer, (uint64_t)w->filled);
    evi_free(w);
    return EV_OK;
}
