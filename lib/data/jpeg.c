/* SPDX-License-Identifier: MIT */
/* A walk over the segments of a JPEG (ITU-T T.81, annex B) before any decoder sees it: sizes are
 * known before memory is taken, and a file that was cut off is told from a whole one. */
#include "data/image.h"

enum {
    MAX_SCANS = 128, /* real progressive files have about ten; each scan may cost a whole pass */
    SOF0 = 0xc0,
    SOF1 = 0xc1,
    SOF2 = 0xc2,
    DHT = 0xc4,
    DQT = 0xdb,
    SOI = 0xd8,
    EOI = 0xd9,
    SOS = 0xda,
    TEM = 0x01
};

typedef struct walk {
    const uint8_t *p;
    uint64_t n, at;
    int32_t scans;
    int32_t components;      /* 0: no frame yet */
    uint8_t id[4], table[4]; /* of each component: its name and quantisation table */
    uint32_t quantisers;     /* tables seen, one bit each */
    uint32_t codes;          /* Huffman tables seen: bits 0..3 DC, 16..19 AC */
    bool progressive;
    uint8_t pad[7];
} walk;

/* Any byte but 0, RST0..7 and fill after 0xff ends a scan's data. */
static void skip_scan(walk *w)
{
    while (w->at + 1 < w->n) {
        uint8_t next = w->p[w->at + 1];
        if (w->p[w->at] == 0xff && next != 0 && next != 0xff && (next < 0xd0 || next > 0xd7))
            return;
        w->at++;
    }
    w->at = w->n;
}

/* The marker at the place: its code, or 0 at the end of the file. */
static int32_t next_marker(walk *w)
{
    while (w->at < w->n && w->p[w->at] != 0xff)
        w->at++; /* bytes between segments mean nothing; decoders skip them too */
    while (w->at < w->n && w->p[w->at] == 0xff)
        w->at++;
    return w->at < w->n ? w->p[w->at++] : 0;
}

static ev_status read_frame(const evi_decode *d, walk *w, uint32_t length, evi_jpeg_info *info)
{
    const uint8_t *b = w->p + w->at + 2;
    if (w->components != 0)
        return evi_fail(EV_ERR_FORMAT, "JPEG has two frames");
    if (length < 11 || length != 8 + 3 * (uint32_t)b[5])
        return evi_fail(EV_ERR_FORMAT, "JPEG frame header of %u bytes", (unsigned)length);
    if (b[0] != 8)
        return evi_fail(EV_ERR_UNSUPPORTED, "JPEG with %d bits a sample", (int)b[0]);
    info->components = b[5];
    if (info->components != 1 && info->components != 3 && info->components != 4)
        return evi_fail(EV_ERR_UNSUPPORTED, "JPEG with %d components", (int)b[5]);
    for (int32_t c = 0; c < info->components; c++) {
        int32_t across = b[7 + 3 * c] >> 4, down = b[7 + 3 * c] & 15;
        if (across < 1 || across > 4 || down < 1 || down > 4)
            return evi_fail(EV_ERR_FORMAT, "JPEG sampling of %d x %d", (int)across, (int)down);
        w->id[c] = b[6 + 3 * c];
        w->table[c] = b[8 + 3 * c];
    }
    info->height = b[1] << 8 | b[2];
    info->width = b[3] << 8 | b[4];
    EVI_TRY(evi_decode_size(d, (uint64_t)info->width, (uint64_t)info->height));
    /* each block of 64 pixels takes at least one bit, so less data cannot be the whole picture */
    if (!d->allow_partial && (uint64_t)info->width * (uint64_t)info->height > d->n_bytes * 512)
        return evi_fail(EV_ERR_FORMAT, "JPEG of %d x %d in %llu bytes", (int)info->width,
                        (int)info->height, (unsigned long long)d->n_bytes);
    w->components = info->components;
    return EV_OK;
}

/* Which quantisation tables a segment sets. */
static ev_status read_quantisers(walk *w, uint32_t length)
{
    const uint8_t *b = w->p + w->at + 2, *end = w->p + w->at + length;
    while (b < end) {
        uint32_t size = *b >> 4 == 0 ? 65 : 129;
        if (*b >> 4 > 1 || (*b & 15) > 3 || size > (uint64_t)(end - b))
            return evi_fail(EV_ERR_FORMAT, "JPEG quantisation table %02x", (unsigned)*b);
        w->quantisers |= 1u << (*b & 15);
        b += size;
    }
    return EV_OK;
}

/* Which Huffman tables a segment sets. */
static ev_status read_codes(walk *w, uint32_t length)
{
    const uint8_t *b = w->p + w->at + 2, *end = w->p + w->at + length;
    while (b < end) {
        uint32_t n = 0;
        for (int32_t i = 1; i <= 16 && end - b >= 17; i++)
            n += b[i];
        if (*b >> 4 > 1 || (*b & 15) > 3 || end - b < 17 || n > 256 || n + 17 > (uint64_t)(end - b))
            return evi_fail(EV_ERR_FORMAT, "JPEG Huffman table %02x", (unsigned)*b);
        w->codes |= 1u << ((*b & 15) + (*b >> 4) * 16);
        b += n + 17;
    }
    return EV_OK;
}

/* A scan names components of the frame, and tables that have been set. */
static ev_status read_scan(walk *w, uint32_t length)
{
    const uint8_t *b = w->p + w->at + 2;
    uint32_t n = length >= 3 ? b[0] : 0;
    if (w->components == 0)
        return evi_fail(EV_ERR_FORMAT, "JPEG has a scan before its frame");
    if (n < 1 || n > 4 || length != 6 + 2 * n)
        return evi_fail(EV_ERR_FORMAT, "JPEG scan header of %u bytes", (unsigned)length);
    uint32_t first = b[1 + 2 * n], last = b[2 + 2 * n], high = b[3 + 2 * n] >> 4;
    for (uint32_t i = 0; i < n; i++) {
        int32_t c = 0;
        while (c < w->components && w->id[c] != b[1 + 2 * i])
            c++;
        if (c == w->components || w->table[c] > 3 || (w->quantisers >> w->table[c] & 1) == 0)
            return evi_fail(EV_ERR_FORMAT, "JPEG scan without component or quantisation table");
        uint32_t dc = b[2 + 2 * i] >> 4, ac = (b[2 + 2 * i] & 15u) + 16;
        bool needs_dc = !w->progressive || (first == 0 && high == 0);
        bool needs_ac = !w->progressive || last > 0;
        if ((needs_dc && (dc > 3 || (w->codes >> dc & 1) == 0)) ||
            (needs_ac && (ac > 19 || (w->codes >> ac & 1) == 0)))
            return evi_fail(EV_ERR_FORMAT, "JPEG scan without Huffman table");
    }
    return EV_OK;
}

static ev_status read_segment(const evi_decode *d, walk *w, int32_t marker, evi_jpeg_info *info)
{
    if (w->n - w->at < 2)
        return evi_fail(EV_ERR_FORMAT, "JPEG ends within a marker");
    uint32_t length = (uint32_t)w->p[w->at] << 8 | w->p[w->at + 1];
    if (length < 2 || length > w->n - w->at)
        return evi_fail(EV_ERR_FORMAT, "JPEG segment %02x of %u bytes", (unsigned)marker,
                        (unsigned)length);
    if (marker == SOF0 || marker == SOF1 || marker == SOF2) {
        EVI_TRY(read_frame(d, w, length, info));
        w->progressive = marker == SOF2;
    } else if (marker == DQT) {
        EVI_TRY(read_quantisers(w, length));
    } else if (marker == DHT) {
        EVI_TRY(read_codes(w, length));
    } else if (marker == SOS) {
        EVI_TRY(read_scan(w, length));
    } else if (marker >= SOF0 && marker <= 0xcf && marker != 0xc8 && marker != 0xcc) {
        return evi_fail(EV_ERR_UNSUPPORTED, "JPEG of process %02x", (unsigned)marker);
    }
    w->at += length;
    if (marker == SOS) {
        skip_scan(w);
        if (++w->scans > MAX_SCANS)
            return evi_fail(EV_ERR_UNSUPPORTED, "JPEG of more than %d scans", MAX_SCANS);
    }
    return EV_OK;
}

/* Does the segment at the place reach beyond the end? */
static bool cut_off(const walk *w)
{
    if (w->n - w->at < 2)
        return true;
    return ((uint32_t)w->p[w->at] << 8 | w->p[w->at + 1]) > w->n - w->at;
}

ev_status evi_jpeg_check(const evi_decode *d, evi_jpeg_info *info)
{
    walk w = {.p = d->bytes, .n = d->n_bytes, .at = 2};
    *info = (evi_jpeg_info){.usable = d->n_bytes};
    while (!info->complete) {
        int32_t marker = next_marker(&w);
        if (marker == 0)
            break;
        if (marker == EOI)
            info->complete = true;
        else if (cut_off(&w) && w.scans > 0 && d->allow_partial)
            info->usable = w.at - 2;
        else if (marker != SOI && marker != TEM && (marker < 0xd0 || marker > 0xd7))
            EVI_TRY(read_segment(d, &w, marker, info));
        if (info->usable != d->n_bytes)
            break;
    }
    if (w.scans == 0)
        return evi_fail(EV_ERR_FORMAT, "JPEG without a picture");
    if (!info->complete && !d->allow_partial)
        return evi_fail(EV_ERR_FORMAT, "JPEG ends early");
    return EV_OK;
}
