/* SPDX-License-Identifier: MIT */
/* Augmentation: one affine change, then one of the grey levels, then noise.  Parameters are drawn
 * in floating point; what is done to pixels is integer arithmetic. */
#include "data/augment.h"
#include <math.h>
#include <string.h>

/* Which random number of the item's stream is for what; these never change their place. */
enum {
    DRAW_FLIP,
    DRAW_SHIFT_X,
    DRAW_SHIFT_Y,
    DRAW_ROTATION,
    DRAW_SHEAR,
    DRAW_ZOOM,
    DRAW_BRIGHTNESS,
    DRAW_CONTRAST,
    DRAW_NOISE,
    DRAWS
};

/* Where an output pixel comes from: source = centre + matrix * (output - centre - shift), all in
 * 1/65536 of a pixel. */
typedef struct affine {
    int64_t xx, xy, yx, yy, x0, y0;
    bool flip;
    bool black; /* outside */
    uint8_t pad[6];
} affine;

ev_status evi_augment_check(const ev_augment_options *o, const char *function)
{
    const struct {
        const char *name;
        float value;
        float most;
    } ranges[] = {{"shift_x", o->shift_x, 1},       {"shift_y", o->shift_y, 1},
                  {"rotation", o->rotation, 180},   {"shear", o->shear, 1},
                  {"zoom", o->zoom, 0.9f},          {"brightness", o->brightness, 1},
                  {"contrast", o->contrast, 1},     {"noise", o->noise, 1}};
    for (int32_t i = 0; i < EVI_COUNT(ranges); i++)
        if (!(ranges[i].value >= 0 && ranges[i].value <= ranges[i].most))
            return evi_fail(EV_ERR_ARGUMENT, "%s: augment %s %g is not 0..%g", function,
                            ranges[i].name, (double)ranges[i].value, (double)ranges[i].most);
    if (o->border < EV_BORDER_DEFAULT || o->border > EV_BORDER_BLACK)
        return evi_fail(EV_ERR_ARGUMENT, "%s: unknown augment border %d", function, (int)o->border);
    return EV_OK;
}

/* Evenly from -most..most. */
static double draw(evi_rng rng, uint64_t which, float most)
{
    return (2 * evi_rng_uniform(rng, which) - 1) * (double)most;
}

static int64_t fixed(double v)
{
    return (int64_t)floor(v * 65536 + 0.5);
}

/* The inverse of: zoom, then shear, then turn, then shift. */
static affine make_affine(const ev_augment_options *o, evi_rng rng, int32_t width, int32_t height)
{
    double angle = draw(rng, DRAW_ROTATION, o->rotation) * (3.14159265358979323846 / 180);
    double shear = draw(rng, DRAW_SHEAR, o->shear), zoom = 1 + draw(rng, DRAW_ZOOM, o->zoom);
    double c = cos(angle), s = sin(angle);
    /* turned back: (cx + sy, -sx + cy); sheared back: x -= shear * y; made smaller again */
    double xx = (c + shear * s) / zoom, xy = (s - shear * c) / zoom;
    double yx = -s / zoom, yy = c / zoom;
    double middle_x = (width - 1) / 2.0, middle_y = (height - 1) / 2.0;
    double dx = middle_x + draw(rng, DRAW_SHIFT_X, o->shift_x) * width;
    double dy = middle_y + draw(rng, DRAW_SHIFT_Y, o->shift_y) * height;
    return (affine){.xx = fixed(xx),
                    .xy = fixed(xy),
                    .yx = fixed(yx),
                    .yy = fixed(yy),
                    .x0 = fixed(middle_x - xx * dx - xy * dy),
                    .y0 = fixed(middle_y - yx * dx - yy * dy),
                    .flip = o->flip != 0 && evi_rng_uniform(rng, DRAW_FLIP) < 0.5,
                    .black = o->border == EV_BORDER_BLACK};
}

static int32_t clamp(int64_t v, int32_t n)
{
    return (int32_t)(v < 0 ? 0 : v >= n ? n - 1 : v);
}

/* Between the four pixels around (x, y) in 1/65536, with 8 bits of the fractions. */
static void sample(const uint8_t *from, int32_t width, int32_t height, int32_t bytes, int64_t x,
                   int64_t y, uint8_t *to)
{
    int64_t left = (x + 128) >> 16, top = (y + 128) >> 16;
    int32_t fx = (int32_t)((x + 128) >> 8 & 255), fy = (int32_t)((y + 128) >> 8 & 255);
    const uint8_t *row = from + (int64_t)clamp(top, height) * width * bytes;
    const uint8_t *next = from + (int64_t)clamp(top + 1, height) * width * bytes;
    int32_t a = clamp(left, width) * bytes, b = clamp(left + 1, width) * bytes;
    for (int32_t c = 0; c < bytes; c++) {
        int32_t upper = row[a + c] * (256 - fx) + row[b + c] * fx;
        int32_t lower = next[a + c] * (256 - fx) + next[b + c] * fx;
        to[c] = (uint8_t)((upper * (256 - fy) + lower * fy + (1 << 15)) >> 16);
    }
}

static void warp(const affine *m, const uint8_t *from, int32_t width, int32_t height, int32_t bytes,
                 uint8_t *to)
{
    const int64_t half = 1 << 15;
    int64_t right = ((int64_t)(width - 1) << 16) + half;
    int64_t bottom = ((int64_t)(height - 1) << 16) + half;
    for (int64_t v = 0; v < height; v++)
        for (int64_t u = 0; u < width; u++, to += bytes) {
            int64_t x = m->x0 + m->xx * u + m->xy * v, y = m->y0 + m->yx * u + m->yy * v;
            if (m->black && (x < -half || x > right || y < -half || y > bottom)) {
                memset(to, 0, (size_t)bytes);
                continue;
            }
            if (m->flip)
                x = ((int64_t)(width - 1) << 16) - x;
            sample(from, width, height, bytes, x, y, to);
        }
}

static void mirror(const uint8_t *from, int32_t width, int32_t height, int32_t bytes, uint8_t *to)
{
    for (int64_t y = 0; y < height; y++) {
        const uint8_t *row = from + y * width * bytes;
        for (int64_t x = width - 1; x >= 0; x--, to += bytes)
            memcpy(to, row + x * bytes, (size_t)bytes);
    }
}

static uint8_t clamp_byte(int64_t v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* One table for both brightness and contrast. */
static void change_levels(const ev_augment_options *o, evi_rng rng, uint8_t *p, int64_t n)
{
    uint8_t table[256];
    double add = 255 * draw(rng, DRAW_BRIGHTNESS, o->brightness);
    double times = 1 + draw(rng, DRAW_CONTRAST, o->contrast);
    for (int32_t i = 0; i < 256; i++) {
        double spread = (i - 127.5) * times;
        table[i] = clamp_byte((int64_t)floor(spread + 128 + add));
    }
    for (int64_t i = 0; i < n; i++)
        p[i] = table[p[i]];
}

/* The sum of the four bytes of a random word is nearly normal: mean 510, deviation 147.80. */
static void add_noise(const ev_augment_options *o, evi_rng rng, uint8_t *p, int64_t n)
{
    double deviation = 255 * (double)o->noise * evi_rng_uniform(rng, DRAW_NOISE);
    int32_t scale = (int32_t)(deviation / 147.8 * 65536 + 0.5);
    evi_rng stream = evi_rng_derive(rng, DRAWS);
    for (int64_t i = 0; i < n; i += 4) {
        uint32_t words[4];
        evi_rng_block(stream, (uint64_t)i / 4, words);
        for (int64_t k = 0; k < 4 && i + k < n; k++) {
            uint32_t w = words[k];
            int32_t sum = (int32_t)((w & 255) + (w >> 8 & 255) + (w >> 16 & 255) + (w >> 24));
            p[i + k] = clamp_byte(p[i + k] + (((int64_t)(sum - 510) * scale + (1 << 15)) >> 16));
        }
    }
}

void evi_augment(const ev_augment_options *o, evi_rng rng, const uint8_t *from, int32_t width,
                 int32_t height, int32_t bytes, uint8_t *to)
{
    int64_t n = (int64_t)width * height * bytes;
    affine m = make_affine(o, rng, width, height);
    if (o->shift_x > 0 || o->shift_y > 0 || o->rotation > 0 || o->shear > 0 || o->zoom > 0)
        warp(&m, from, width, height, bytes, to);
    else if (m.flip)
        mirror(from, width, height, bytes, to);
    else
        memcpy(to, from, (size_t)n);
    if (o->brightness > 0 || o->contrast > 0)
        change_levels(o, rng, to, n);
    if (o->noise > 0)
        add_noise(o, rng, to, n);
}
