/* SPDX-License-Identifier: MIT */
/* From light to bytes: glare, the dome, vignetting, exposure, sensor noise, tone curve. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* Knobs of the sensor and of the dome. */
#define SHOT_NOISE 0.014f      /* deviation at full scale from the photons themselves */
#define BLOTCH_NOISE 0.25f     /* share of the noise that is coarse, as compression leaves it */
#define VIGNETTE 0.38f         /* loss of light in the corners */
#define SPRAY_BLUR 26.0f       /* nominal pixels: paint on the dome is far out of focus */
#define SPRAY_HAZE 0.22f       /* blur and milk even where there is no paint */
#define SPRAY_BLOBS_MAX 7
#define SPRAY_OPACITY 0.80f    /* of the thickest paint */

enum { TONE_STEPS = 2048, PAINT_COLUMNS = 160, PAINT_ROWS = 90 };

/* ------------------------------------------------------------------------------ dome */

/* One line of pixels averaged over 2 * radius + 1, three floats each, ends held. */
static void blur_line(const float *in, float *out, int n, int stride, int radius)
{
    float sum[3];

    for (int c = 0; c < 3; c++) {
        sum[c] = in[c] * (float)(radius + 1);
        for (int i = 1; i <= radius; i++)
            sum[c] += in[(i < n ? i : n - 1) * stride + c];
    }
    for (int i = 0; i < n; i++) {
        int add = i + radius + 1 < n ? i + radius + 1 : n - 1;
        int drop = i - radius > 0 ? i - radius : 0;
        for (int c = 0; c < 3; c++) {
            out[i * stride + c] = sum[c] / (float)(2 * radius + 1);
            sum[c] += in[add * stride + c] - in[drop * stride + c];
        }
    }
}

/* @p img blurred into @p out, twice by a box in each direction; @p other is scratch. */
static void blur(const scene_view *v, const float *img, float *out, float *other)
{
    int rx = (int)(SPRAY_BLUR / v->step_x + 0.5f), ry = (int)(SPRAY_BLUR / v->step_y + 0.5f);

    for (int pass = 0; pass < 2; pass++) {
        const float *from = pass ? out : img;
        for (int y = 0; y < v->height; y++)
            blur_line(from + 3 * (size_t)y * (size_t)v->width,
                      other + 3 * (size_t)y * (size_t)v->width, v->width, 3, rx);
        for (int x = 0; x < v->width; x++)
            blur_line(other + 3 * x, out + 3 * x, v->height, 3 * v->width, ry);
    }
}

/* Opacity of the paint on a coarse grid: blobs with ragged edges, and drips below them. */
static void spray_pattern(uint64_t dome, float grid[PAINT_ROWS][PAINT_COLUMNS])
{
    rng r = rng_make(dome, 8);
    int n = 3 + rng_below(&r, SPRAY_BLOBS_MAX - 2);

    memset(grid, 0, sizeof(float) * PAINT_ROWS * PAINT_COLUMNS);
    for (int i = 0; i < n; i++) {
        float cx = rng_range(&r, 0.05f, 1.70f), cy = rng_range(&r, 0.05f, 0.9f);
        float radius = rng_range(&r, 0.07f, 0.24f), stretch = rng_range(&r, 0.6f, 1.7f);
        float strength = rng_range(&r, 0.45f, 1.0f), drip = rng_range(&r, 0.0f, 0.35f);
        for (int y = 0; y < PAINT_ROWS; y++)
            for (int x = 0; x < PAINT_COLUMNS; x++) {
                float u = ((float)x + 0.5f) / PAINT_ROWS, w = ((float)y + 0.5f) / PAINT_ROWS;
                float rag = 0.75f + 0.5f * noise2_rough(u * 14.0f, w * 14.0f, dome + (uint64_t)i);
                float d = hypotf((u - cx) / stretch, w - cy) / (radius * rag);
                float run = w > cy && w < cy + drip + radius ? fabsf(u - cx) / 0.012f : 9.0f;
                float a = fmaxf(smoothf(1.25f, 0.55f, d), 0.8f * smoothf(1.5f, 0.5f, run));
                grid[y][x] = 1.0f - (1.0f - grid[y][x]) * (1.0f - SPRAY_OPACITY * strength * a);
            }
    }
}

static float spray_at(float grid[PAINT_ROWS][PAINT_COLUMNS], float u, float v)
{
    float x = clampf(u / SCENE_NOMINAL_WIDTH * PAINT_COLUMNS - 0.5f, 0, PAINT_COLUMNS - 1.001f);
    float y = clampf(v / SCENE_NOMINAL_HEIGHT * PAINT_ROWS - 0.5f, 0, PAINT_ROWS - 1.001f);
    int   ix = (int)x, iy = (int)y;

    return mixf(mixf(grid[iy][ix], grid[iy][ix + 1], x - (float)ix),
                mixf(grid[iy + 1][ix], grid[iy + 1][ix + 1], x - (float)ix), y - (float)iy);
}

/* Paint takes light away and scatters that which falls on the dome from everywhere. */
static bool spray(const scene_view *v, const scene_frame *f, const scene_lights *lt, float *img)
{
    size_t n = 3 * (size_t)v->width * (size_t)v->height;
    float *soft = malloc(n * sizeof *soft), *scratch = malloc(n * sizeof *scratch);
    float(*grid)[PAINT_COLUMNS] = malloc(sizeof(float) * PAINT_ROWS * PAINT_COLUMNS);
    rng   r = rng_make(f->dome, 9);
    float paint[3];
    bool  done = soft && scratch && grid;

    if (done) {
        float hue = rng_range(&r, 0.0f, 2.0f * SCENE_PI);
        for (int i = 0; i < 3; i++) /* lit by the day around it, in units of the exposed picture */
            paint[i] = (0.24f + 0.15f * cosf(hue + 2.094f * (float)i)) / lt->gain;
        spray_pattern(f->dome, grid);
        blur(v, img, soft, scratch);
        for (int y = 0; y < v->height; y++)
            for (int x = 0; x < v->width; x++) {
                float a = spray_at(grid, ((float)x + 0.5f) * v->step_x,
                                   ((float)y + 0.5f) * v->step_y);
                float out_of_focus = SPRAY_HAZE + (1.0f - SPRAY_HAZE) * smoothf(0.0f, 0.5f, a);
                size_t at = 3 * ((size_t)y * (size_t)v->width + (size_t)x);
                for (size_t i = at; i < at + 3; i++)
                    img[i] = mixf(mixf(img[i], soft[i], out_of_focus), paint[i - at], a);
            }
    }
    free(soft);
    free(scratch);
    free(grid);
    return done;
}

/* ------------------------------------------------------------------------------ sensor */

/* Display value of light: a straight start, a soft shoulder, then the usual gamma. */
static void tone_table(float table[TONE_STEPS])
{
    for (int i = 0; i < TONE_STEPS; i++) {
        float v = 4.0f * (float)i / (TONE_STEPS - 1);
        float shoulder = v < 0.5f ? v : 0.5f + 0.5f * (1.0f - expf(-(v - 0.5f) / 0.5f));
        table[i] = powf(shoulder, 1.0f / 2.2f);
    }
}

/* Three roughly normal numbers of deviation one from two hashes: a sum of four bytes each. */
static void normal3(uint64_t seed, uint64_t at, float out[3])
{
    uint64_t h = rng_hash(seed, 2 * at), g = rng_hash(seed, 2 * at + 1);
    uint32_t word[3] = {(uint32_t)h, (uint32_t)(h >> 32), (uint32_t)g};

    for (int i = 0; i < 3; i++) {
        uint32_t w = word[i];
        int sum = (int)((w & 255) + ((w >> 8) & 255) + ((w >> 16) & 255) + (w >> 24));
        out[i] = (float)(sum - 510) * (1.0f / 147.8f);
    }
}

/* The noise that a codec leaves is coarser than a pixel: 8x8 nominal blocks share a part. */
static void noise_at(const scene_frame *f, float u, float v, uint64_t at, float out[3])
{
    float    coarse[3];
    uint64_t block = (uint64_t)(u / 8.0f) * 4096u + (uint64_t)(v / 8.0f);

    normal3(f->seed, at, out);
    normal3(f->seed ^ 0xB10C, block, coarse);
    for (int i = 0; i < 3; i++)
        out[i] = (1.0f - BLOTCH_NOISE) * out[i] + BLOTCH_NOISE * coarse[i];
}

static uint8_t to_byte(float v)
{
    return (uint8_t)(clampf(v, 0.0f, 1.0f) * 255.0f + 0.5f);
}

static void finish_row(const scene_view *v, const scene_frame *f, const scene_lights *lt,
                       const float *tone, const float *in, int y, uint8_t *rgb)
{
    float nv = ((float)y + 0.5f) * v->step_y, sy = nv / SCENE_NOMINAL_HEIGHT - 0.5f;
    spot  exit_spot = view_project(v3(0, 1.6f, TUNNEL_FAR));

    for (int x = 0; x < v->width; x++) {
        float    nu = ((float)x + 0.5f) * v->step_x, sx = nu / SCENE_NOMINAL_WIDTH - 0.5f;
        float    shade = 1.0f - VIGNETTE * 1.6f * (sx * sx + 0.7f * sy * sy);
        float    du = (nu - exit_spot.u) / 330.0f, dv = (nv - exit_spot.v) / 260.0f;
        float    glare = lt->veil / (1.0f + 2.0f * (du * du + dv * dv));
        uint64_t at = (uint64_t)y * (uint64_t)v->width + (uint64_t)x;
        float    noise[3];

        noise_at(f, nu, nv, at, noise);
        for (int i = 0; i < 3; i++) {
            float light = in[3 * x + i] * lt->gain * lt->balance[i] * shade + 0.35f * glare;
            float value = tone[(int)(clampf(light, 0.0f, 3.999f) * ((TONE_STEPS - 1) / 4.0f))];
            float sigma = lt->noise + SHOT_NOISE * value;
            rgb[3 * x + i] = to_byte(value + sigma * noise[i]);
        }
    }
}

bool finish(const scene_view *v, const scene_frame *f, const scene_lights *lt, float *img,
            uint8_t *rgb)
{
    float tone[TONE_STEPS];

    if (f->domain == SCENE_SPRAY && !spray(v, f, lt, img))
        return false;
    tone_table(tone);
    for (int y = 0; y < v->height; y++)
        finish_row(v, f, lt, tone, img + 3 * (size_t)y * (size_t)v->width, y,
                   rgb + 3 * (size_t)y * (size_t)v->width);
    return true;
}
