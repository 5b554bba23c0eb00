/* SPDX-License-Identifier: MIT */
/* The zlib format (RFC 1950, RFC 1951) into a buffer of known size, and the checksums of PNG.
 * Written for damaged and hostile input: every read and write is bounded before it happens. */
#include "data/image.h"
#include <string.h>

enum {
    FAST_BITS = 10,   /* codes up to this length are found in one look-up */
    MAX_BITS = 15,    /* longest code of the format */
    MAX_SYMBOLS = 288 /* largest alphabet */
};

typedef struct huffman {
    uint16_t fast[1 << FAST_BITS]; /* symbol << 4 | length; 0: a longer code, or none */
    uint16_t count[MAX_BITS + 1];  /* codes of each length */
    uint16_t symbol[MAX_SYMBOLS];  /* symbols in the order of their codes */
} huffman;

typedef struct inflater {
    const uint8_t *in, *in_end;
    uint8_t *out, *out_start, *out_end;
    uint64_t bits;
    int32_t n_bits;
    int32_t missing; /* zero bits made up beyond the end of the input */
    huffman literals, distances;
} inflater;

static const char DAMAGED[] = "damaged compressed data: %s";

static void refill(inflater *s)
{
    while (s->n_bits <= 56) {
        uint64_t byte = 0;
        if (s->in < s->in_end)
            byte = *s->in++;
        else
            s->missing += 8;
        s->bits |= byte << s->n_bits;
        s->n_bits += 8;
    }
}

/* n <= 16.  Beyond the end there are zeros; overrun() tells. */
static uint32_t take_bits(inflater *s, int32_t n)
{
    if (s->n_bits < n)
        refill(s);
    uint32_t v = (uint32_t)(s->bits & (((uint64_t)1 << n) - 1));
    s->bits >>= n;
    s->n_bits -= n;
    return v;
}

static bool overrun(const inflater *s)
{
    return s->missing > s->n_bits;
}

static uint32_t reverse_bits(uint32_t v, int32_t n)
{
    uint32_t r = 0;
    for (int32_t i = 0; i < n; i++)
        r |= ((v >> i) & 1) << (n - 1 - i);
    return r;
}

static void fill_fast(huffman *h, const uint16_t *next_code, const uint8_t *length, int32_t n)
{
    uint16_t next[MAX_BITS + 1];
    memcpy(next, next_code, sizeof(next));
    for (int32_t symbol = 0; symbol < n; symbol++) {
        int32_t bits = length[symbol];
        if (bits == 0)
            continue;
        uint32_t code = reverse_bits(next[bits]++, bits);
        for (uint32_t i = code; bits <= FAST_BITS && i < 1u << FAST_BITS; i += 1u << bits)
            h->fast[i] = (uint16_t)((uint32_t)symbol << 4 | (uint32_t)bits);
    }
}

/* The code of the given lengths.  False when lengths claim more codes than there are, or leave
 * some unused; a single code of one bit may stand alone, as deflate allows. */
static bool huffman_make(huffman *h, const uint8_t *length, int32_t n)
{
    uint16_t next_code[MAX_BITS + 1] = {0}, place[MAX_BITS + 2] = {0};
    memset(h, 0, sizeof(*h));
    for (int32_t i = 0; i < n; i++)
        h->count[length[i]]++;
    h->count[0] = 0;
    int32_t left = 1, code = 0, longest = 0;
    for (int32_t bits = 1; bits <= MAX_BITS; bits++) {
        left = left * 2 - h->count[bits];
        if (left < 0)
            return false;
        code = (code + h->count[bits - 1]) * 2;
        next_code[bits] = (uint16_t)code;
        place[bits + 1] = (uint16_t)(place[bits] + h->count[bits]);
        if (h->count[bits] != 0)
            longest = bits;
    }
    if (left > 0 && longest > 1)
        return false;
    for (int32_t i = 0; i < n; i++)
        if (length[i] != 0)
            h->symbol[place[length[i]]++] = (uint16_t)i;
    fill_fast(h, next_code, length, n);
    return true;
}

/* Next symbol, or -1 when the bits are no code. */
static int32_t take_symbol(inflater *s, const huffman *h)
{
    if (s->n_bits < MAX_BITS)
        refill(s);
    uint32_t entry = h->fast[s->bits & ((1u << FAST_BITS) - 1)];
    if (entry != 0) {
        s->bits >>= entry & 15;
        s->n_bits -= (int32_t)(entry & 15);
        return (int32_t)(entry >> 4);
    }
    int32_t code = 0, first = 0, index = 0;
    for (int32_t bits = 1; bits <= MAX_BITS; bits++) {
        code |= (int32_t)(s->bits >> (bits - 1)) & 1;
        int32_t count = h->count[bits];
        if (code - first < count) {
            s->bits >>= bits;
            s->n_bits -= bits;
            return h->symbol[index + code - first];
        }
        index += count;
        first = (first + count) * 2;
        code *= 2;
    }
    return -1;
}

static ev_status copy_match(inflater *s, uint32_t length, uint32_t distance)
{
    if (distance > (uint64_t)(s->out - s->out_start))
        return evi_fail(EV_ERR_FORMAT, DAMAGED, "a distance reaches before the start");
    if (length > (uint64_t)(s->out_end - s->out))
        return evi_fail(EV_ERR_FORMAT, DAMAGED, "more than the picture holds");
    const uint8_t *from = s->out - distance;
    for (uint32_t i = 0; i < length; i++)
        s->out[i] = from[i];
    s->out += length;
    return EV_OK;
}

static ev_status take_match(inflater *s, int32_t symbol)
{
    static const uint16_t length_base[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,
                                             15, 17, 19, 23, 27, 31, 35, 43, 51,  59,
                                             67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const uint8_t length_bits[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                            2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    static const uint16_t distance_base[30] = {
        1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
        193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    if (symbol > 285)
        return evi_fail(EV_ERR_FORMAT, DAMAGED, "no such length");
    uint32_t length = length_base[symbol - 257];
    length += take_bits(s, length_bits[symbol - 257]);
    int32_t d = take_symbol(s, &s->distances);
    if (d < 0 || d > 29)
        return evi_fail(EV_ERR_FORMAT, DAMAGED, "no such distance");
    uint32_t distance = distance_base[d];
    distance += take_bits(s, d < 4 ? 0 : (d - 2) / 2);
    return copy_match(s, length, distance);
}

static ev_status coded_block(inflater *s)
{
    for (;;) {
        int32_t symbol = take_symbol(s, &s->literals);
        if (symbol < 0 || overrun(s))
            return evi_fail(EV_ERR_FORMAT, DAMAGED, symbol < 0 ? "no such code" : "it ends early");
        if (symbol == 256)
            return EV_OK;
        if (symbol > 256) {
            EVI_TRY(take_match(s, symbol));
        } else {
            if (s->out == s->out_end)
                return evi_fail(EV_ERR_FORMAT, DAMAGED, "more than the picture holds");
            *s->out++ = (uint8_t)symbol;
        }
    }
}

static ev_status stored_block(inflater *s)
{
    (void)take_bits(s, s->n_bits & 7);
    uint32_t length = take_bits(s, 16), check = take_bits(s, 16);
    if (overrun(s) || (length ^ check) != 0xffff)
        return evi_fail(EV_ERR_FORMAT, DAMAGED, "length of a stored block");
    if (length > (uint64_t)(s->out_end - s->out))
        return evi_fail(EV_ERR_FORMAT, DAMAGED, "more than the picture holds");
    for (; length > 0; length--)
        *s->out++ = (uint8_t)take_bits(s, 8);
    return overrun(s) ? evi_fail(EV_ERR_FORMAT, DAMAGED, "it ends early") : EV_OK;
}

static void fixed_codes(inflater *s)
{
    uint8_t length[MAX_SYMBOLS];
    memset(length, 8, 144);
    memset(length + 144, 9, 112);
    memset(length + 256, 7, 24);
    memset(length + 280, 8, 8);
    (void)huffman_make(&s->literals, length, 288);
    memset(length, 5, 32);
    (void)huffman_make(&s->distances, length, 32);
}

/* Code lengths of both alphabets, run-length coded. */
static ev_status take_lengths(inflater *s, uint8_t *length, int32_t n)
{
    for (int32_t i = 0; i < n;) {
        int32_t symbol = take_symbol(s, &s->literals);
        if (symbol < 0 || overrun(s))
            return evi_fail(EV_ERR_FORMAT, DAMAGED, "code lengths");
        if (symbol < 16) {
            length[i++] = (uint8_t)symbol;
            continue;
        }
        if (symbol == 16 && i == 0)
            return evi_fail(EV_ERR_FORMAT, DAMAGED, "code lengths");
        uint8_t value = symbol == 16 ? length[i - 1] : 0;
        int32_t run = symbol == 16   ? 3 + (int32_t)take_bits(s, 2)
                      : symbol == 17 ? 3 + (int32_t)take_bits(s, 3)
                                     : 11 + (int32_t)take_bits(s, 7);
        if (run > n - i)
            return evi_fail(EV_ERR_FORMAT, DAMAGED, "code lengths");
        memset(length + i, value, (size_t)run);
        i += run;
    }
    return EV_OK;
}

static ev_status dynamic_codes(inflater *s)
{
    static const uint8_t order[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                      11, 4,  12, 3, 13, 2, 14, 1, 15};
    uint8_t length[286 + 32] = {0}, lengths_of_lengths[19] = {0};
    int32_t n_literals = (int32_t)take_bits(s, 5) + 257;
    int32_t n_distances = (int32_t)take_bits(s, 5) + 1;
    int32_t n = (int32_t)take_bits(s, 4) + 4;
    if (n_literals > 286 || n_distances > 30)
        return evi_fail(EV_ERR_FORMAT, DAMAGED, "number of codes");
    for (int32_t i = 0; i < n; i++)
        lengths_of_lengths[order[i]] = (uint8_t)take_bits(s, 3);
    if (!huffman_make(&s->literals, lengths_of_lengths, 19))
        return evi_fail(EV_ERR_FORMAT, DAMAGED, "code lengths");
    EVI_TRY(take_lengths(s, length, n_literals + n_distances));
    if (length[256] == 0 || !huffman_make(&s->literals, length, n_literals) ||
        !huffman_make(&s->distances, length + n_literals, n_distances))
        return evi_fail(EV_ERR_FORMAT, DAMAGED, "codes");
    return EV_OK;
}

static ev_status inflate_blocks(inflater *s)
{
    uint32_t last = 0;
    while (last == 0) {
        last = take_bits(s, 1);
        uint32_t kind = take_bits(s, 2);
        if (overrun(s) || kind == 3)
            return evi_fail(EV_ERR_FORMAT, DAMAGED, "kind of block");
        if (kind == 0) {
            EVI_TRY(stored_block(s));
            continue;
        }
        if (kind == 1)
            fixed_codes(s);
        else
            EVI_TRY(dynamic_codes(s));
        EVI_TRY(coded_block(s));
    }
    return EV_OK;
}

static ev_status inflate_stream(inflater *s)
{
    uint32_t method = take_bits(s, 8), flags = take_bits(s, 8);
    if (overrun(s) || (method & 15) != 8 || method >> 4 > 7 || (flags & 32) != 0 ||
        (method * 256 + flags) % 31 != 0)
        return evi_fail(EV_ERR_FORMAT, DAMAGED, "header");
    EVI_TRY(inflate_blocks(s));
    if (s->out != s->out_end)
        return evi_fail(EV_ERR_FORMAT, DAMAGED, "less than the picture needs");
    (void)take_bits(s, s->n_bits & 7);
    uint32_t adler = 0;
    for (int32_t i = 0; i < 4; i++)
        adler = adler << 8 | take_bits(s, 8);
    uint32_t want = evi_adler32(1, s->out_start, (uint64_t)(s->out - s->out_start));
    if (overrun(s) || (EVI_CHECKSUMS && adler != want))
        return evi_fail(EV_ERR_FORMAT, DAMAGED, "checksum");
    return EV_OK;
}

ev_status evi_inflate(ev_context *ctx, const uint8_t *in, uint64_t n_in, uint8_t *out,
                      uint64_t n_out)
{
    inflater *s = NULL;
    EVI_TRY(evi_calloc(ctx, 1, sizeof(*s), &s));
    s->in = in;
    s->in_end = in + n_in;
    s->out = s->out_start = out;
    s->out_end = out + n_out;
    ev_status status = inflate_stream(s);
    evi_free(s);
    return status;
}

uint32_t evi_adler32(uint32_t adler, const uint8_t *bytes, uint64_t n)
{
    uint32_t a = adler & 0xffff, b = adler >> 16;
    while (n > 0) {
        uint64_t part = EVI_MIN(n, 5552); /* the most for which b stays below 2^32 */
        for (uint64_t i = 0; i < part; i++) {
            a += bytes[i];
            b += a;
        }
        a %= 65521;
        b %= 65521;
        bytes += part;
        n -= part;
    }
    return b << 16 | a;
}

/* Half a byte at a time: a table of 16 numbers needs no set-up, hence no lock. */
uint32_t evi_crc32(uint32_t crc, const uint8_t *bytes, uint64_t n)
{
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                       0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    crc = ~crc;
    for (uint64_t i = 0; i < n; i++) {
        crc = table[(crc ^ bytes[i]) & 15] ^ crc >> 4;
        crc = table[(crc ^ bytes[i] >> 4) & 15] ^ crc >> 4;
    }
    return ~crc;
}
