/* SPDX-License-Identifier: MIT */
/* A walk over the segments of a JPEG (ITU-T T.81, annex B) before any decoder sees it: sizes are
 * known before memory is taken, and a file that was cut off is told from a whole one. */
#include "data/image.h"

enum {
    MAX_SCANS = 128, /* real progressive files have about ten; each scan may cost a whole pass */
    SOF0 = 0xc0,
    SOF1 = 0xc1,
    SOF2 = 0xc2,
    SOI = 0xd8,
    EOI = 0xd9,
    SOS = 0xda,
    TEM = 0x01
};

typedef struct walk {
    const uint8_t *p;
    uint64_t n, at;
    int32_t scans;
    bool frame;
    uint8_t pad[3];
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
    if (w->frame)
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
    }
    info->height = b[1] << 8 | b[2];
    info->width = b[3] << 8 | b[4];
    EVI_TRY(evi_decode_size(d, (uint64_t)info->width, (uint64_t)info->height));
    /* each block of 64 pixels takes at least one bit, so less data cannot be the whole picture */
    if (!d->allow_partial && (uint64_t)info->width * (uint64_t)info->height > d->n_bytes * 512)
        return evi_fail(EV_ERR_FORMAT, "JPEG of %d x %d in %llu bytes", (int)info->width,
                        (int)info->height, (unsigned long long)d->n_bytes);
    w->frame = true;
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
    } else if (marker >= SOF0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 &&
               marker != 0xcc) {
        return evi_fail(EV_ERR_UNSUPPORTED, "JPEG of process %02x", (unsigned)marker);
    }
    if (marker == SOS && !w->frame)
        return evi_fail(EV_ERR_FORMAT, "JPEG has a scan before its frame");
    w->at += length;
    if (marker == SOS) {
        skip_scan(w);
        if (++w->scans > MAX_SCANS)
            return evi_fail(EV_ERR_UNSUPPORTED, "JPEG of more than %d scans", MAX_SCANS);
    }
    return EV_OK;
}

ev_status evi_jpeg_check(const evi_decode *d, evi_jpeg_info *info)
{
    walk w = {.p = d->bytes, .n = d->n_bytes, .at = 2};
    *info = (evi_jpeg_info){0};
    while (!info->complete) {
        int32_t marker = next_marker(&w);
        if (marker == 0)
            break;
        if (marker == EOI)
            info->complete = true;
        else if (marker != SOI && marker != TEM && (marker < 0xd0 || marker > 0xd7))
            EVI_TRY(read_segment(d, &w, marker, info));
    }
    if (w.scans == 0)
        return evi_fail(EV_ERR_FORMAT, "JPEG without a picture");
    if (!info->complete && !d->allow_partial)
        return evi_fail(EV_ERR_FORMAT, "JPEG ends early");
    return EV_OK;
}
