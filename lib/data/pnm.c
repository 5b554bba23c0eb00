/* SPDX-License-Identifier: MIT */
/* Portable bitmaps, greymaps and pixmaps, P1 to P6, read and written. */
#include "data/image.h"
#include <string.h>

typedef struct pnm {
    const evi_decode *d;
    uint64_t at;
    int32_t kind; /* 1..6 */
    uint32_t width, height, maximum;
    uint8_t *line; /* RGBA */
} pnm;

static bool is_space(int32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The byte at the place, or -1 at the end. */
static int32_t peek(const pnm *s)
{
    return s->at < s->d->n_bytes ? s->d->bytes[s->at] : -1;
}

static void skip_blank(pnm *s)
{
    for (int32_t c = peek(s); is_space(c) || c == '#'; c = peek(s)) {
        if (c == '#')
            while (c >= 0 && c != '\n' && c != '\r') {
                s->at++;
                c = peek(s);
            }
        else
            s->at++;
    }
}

static ev_status take_number(pnm *s, uint32_t limit, uint32_t *out)
{
    skip_blank(s);
    uint64_t v = 0, digits = 0;
    for (int32_t c = peek(s); c >= '0' && c <= '9'; c = peek(s)) {
        v = v * 10 + (uint64_t)(c - '0');
        if (v > UINT32_MAX)
            return evi_fail(EV_ERR_FORMAT, "PNM number is too large");
        digits++;
        s->at++;
    }
    if (digits == 0)
        return evi_fail(EV_ERR_FORMAT, "PNM has no number where one should be");
    if (v > limit)
        return evi_fail(EV_ERR_FORMAT, "PNM number %llu is over %u", (unsigned long long)v,
                        (unsigned)limit);
    *out = (uint32_t)v;
    return EV_OK;
}

static ev_status read_header(pnm *s)
{
    s->kind = s->d->bytes[1] - '0';
    s->at = 2;
    s->maximum = 1;
    if (!is_space(peek(s)) && peek(s) != '#')
        return evi_fail(EV_ERR_FORMAT, "not a PNM header");
    EVI_TRY(take_number(s, UINT32_MAX, &s->width));
    EVI_TRY(take_number(s, UINT32_MAX, &s->height));
    if (s->kind != 1 && s->kind != 4)
        EVI_TRY(take_number(s, 65535, &s->maximum));
    if (s->maximum == 0)
        return evi_fail(EV_ERR_FORMAT, "PNM maximum is 0");
    if (s->kind >= 4) { /* exactly one blank before the bytes */
        if (!is_space(peek(s)))
            return evi_fail(EV_ERR_FORMAT, "PNM header does not end");
        s->at++;
    }
    return evi_decode_size(s->d, s->width, s->height);
}

static int32_t samples_of(const pnm *s)
{
    return s->kind == 3 || s->kind == 6 ? 3 : 1;
}

/* Does the file hold what the header says?  Asked before memory is taken. */
static ev_status check_length(const pnm *s)
{
    uint64_t left = s->d->n_bytes - s->at, samples = (uint64_t)s->width * (uint64_t)samples_of(s);
    uint64_t row = s->kind == 1   ? samples
                   : s->kind == 4 ? (samples + 7) / 8
                   : s->kind < 4  ? 2 * samples /* a digit and a blank, but for the last */
                                  : samples * (s->maximum > 255 ? 2 : 1);
    if (row * s->height > left + (s->kind < 4 ? 1 : 0))
        return evi_fail(EV_ERR_FORMAT, "PNM of %u x %u ends early", (unsigned)s->width,
                        (unsigned)s->height);
    return EV_OK;
}

static ev_status take_plain(pnm *s, uint32_t *out)
{
    if (s->kind != 1)
        return take_number(s, s->maximum, out);
    skip_blank(s);
    int32_t c = peek(s);
    if (c != '0' && c != '1')
        return evi_fail(EV_ERR_FORMAT, "PNM has neither 0 nor 1 where a bit should be");
    s->at++;
    *out = (uint32_t)(c - '0');
    return EV_OK;
}

/* Sample i of a row; a bit of 1 is black. */
static ev_status take_sample(pnm *s, uint64_t row, uint32_t i, uint8_t *out)
{
    const uint8_t *p = s->d->bytes + row;
    uint32_t v = 0;
    if (s->kind < 4)
        EVI_TRY(take_plain(s, &v));
    else if (s->kind == 4)
        v = (p[i / 8] >> (7 - i % 8)) & 1u;
    else
        v = s->maximum > 255 ? (uint32_t)p[2 * (uint64_t)i] << 8 | p[2 * (uint64_t)i + 1] : p[i];
    if (v > s->maximum)
        return evi_fail(EV_ERR_FORMAT, "PNM sample %u is over %u", (unsigned)v,
                        (unsigned)s->maximum);
    if (s->kind == 1 || s->kind == 4)
        v = 1 - v;
    *out = (uint8_t)(s->maximum == 65535 ? v >> 8 : (v * 255 + s->maximum / 2) / s->maximum);
    return EV_OK;
}

static ev_status read_row(pnm *s, uint64_t row)
{
    for (uint32_t x = 0; x < s->width; x++) {
        uint8_t *to = s->line + (uint64_t)x * 4;
        EVI_TRY(take_sample(s, row, x * (uint32_t)samples_of(s), to));
        to[1] = to[2] = to[0];
        to[3] = 255;
        for (uint32_t c = 1; samples_of(s) == 3 && c < 3; c++)
            EVI_TRY(take_sample(s, row, x * 3 + c, to + c));
    }
    return EV_OK;
}

static ev_status read_rows(pnm *s, ev_image *image)
{
    uint64_t samples = (uint64_t)s->width * (uint64_t)samples_of(s);
    uint64_t row_bytes = s->kind == 4 ? (samples + 7) / 8 : samples * (s->maximum > 255 ? 2 : 1);
    EVI_TRY(evi_malloc(s->d->ctx, s->width, 4, &s->line));
    for (uint32_t y = 0; y < s->height; y++) {
        EVI_TRY(read_row(s, s->at + (s->kind >= 4 ? y * row_bytes : 0)));
        evi_rgba_convert(s->line, (int32_t)s->width, image->format, evi_image_row(image, y));
    }
    return EV_OK;
}

ev_status evi_decode_pnm(const evi_decode *d, ev_image **out)
{
    pnm s = {.d = d};
    EVI_TRY(read_header(&s));
    EVI_TRY(check_length(&s));
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

ev_status evi_encode_pnm(const ev_image *image, evi_sink *sink)
{
    evi_text header;
    evi_text_start(&header, image->handle.ctx);
    evi_text_add(&header, "P%c\n%d %d\n255\n", image->format == EV_PIXEL_GREY ? '5' : '6',
                 (int)image->width, (int)image->height);
    ev_status status = header.status;
    if (status == EV_OK)
        evi_sink_write(sink, header.data, header.length);
    evi_text_end(&header);
    for (int32_t y = 0; status == EV_OK && y < image->height; y++)
        evi_sink_write(sink, evi_image_row(image, y),
                       (uint64_t)image->width * (uint64_t)image->pixel_bytes);
    return status;
}
