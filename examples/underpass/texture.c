/* SPDX-License-Identifier: MIT */
/* What the underpass is made of: albedo in linear light for every place on its surfaces. */
#include "internal.h"

/* The place itself is always the same one. */
#define PLACE_SEED 0x0DD5CE4Eu

static float lattice(int x, int y, uint64_t seed)
{
    uint64_t at = ((uint64_t)(uint32_t)x << 32) | (uint32_t)y;
    return (float)(rng_hash(seed, at) >> 40) * (1.0f / 16777216.0f);
}

float noise2(float x, float y, uint64_t seed)
{
    float fx = floorf(x), fy = floorf(y), tx = x - fx, ty = y - fy;
    int   ix = (int)fx, iy = (int)fy;

    tx = tx * tx * (3.0f - 2.0f * tx);
    ty = ty * ty * (3.0f - 2.0f * ty);
    return mixf(mixf(lattice(ix, iy, seed), lattice(ix + 1, iy, seed), tx),
                mixf(lattice(ix, iy + 1, seed), lattice(ix + 1, iy + 1, seed), tx), ty);
}

float noise2_rough(float x, float y, uint64_t seed)
{
    return 0.5f * noise2(x, y, seed) + 0.3f * noise2(2.1f * x, 2.1f * y, seed + 1) +
           0.2f * noise2(4.3f * x, 4.3f * y, seed + 2);
}

static void set(float out[3], float r, float g, float b)
{
    out[0] = r;
    out[1] = g;
    out[2] = b;
}

static void blend(float out[3], float r, float g, float b, float share)
{
    out[0] = mixf(out[0], r, share);
    out[1] = mixf(out[1], g, share);
    out[2] = mixf(out[2], b, share);
}

static void darken(float out[3], float by)
{
    for (int i = 0; i < 3; i++)
        out[i] *= by;
}

/* 1 within @p half of a multiple of @p every. */
static float line_at(float v, float every, float half)
{
    float d = fabsf(v - every * floorf(v / every + 0.5f));
    return d < half ? 1.0f : 0.0f;
}

static void floor_albedo(vec3 p, float out[3])
{
    float rough = noise2_rough(p.x * 3.0f, p.z * 3.0f, PLACE_SEED);
    float grain = noise2(p.x * 45.0f, p.z * 45.0f, PLACE_SEED + 9);
    float stain = noise2_rough(p.x * 0.7f, p.z * 0.5f, PLACE_SEED + 5);
    float base = 0.17f * (0.65f + 0.35f * rough + 0.35f * grain) * (0.75f + 0.5f * stain);

    set(out, base * 1.02f, base, base * 0.96f);
    /* the line between walkers and riders, dashed and worn */
    if (fabsf(p.x - 0.25f) < 0.05f && p.z - 2.4f * floorf(p.z / 2.4f) < 1.5f)
        blend(out, 0.62f, 0.61f, 0.56f, smoothf(0.25f, 0.5f, rough));
    /* gutters */
    if (fabsf(p.x) > TUNNEL_HALF_WIDTH - 0.22f)
        darken(out, 0.62f);
    /* a drain cover and a mended strip */
    if (fabsf(p.x + 1.0f) < 0.3f && fabsf(p.z - 6.2f) < 0.3f)
        darken(out, 0.35f + 0.3f * line_at(p.x, 0.1f, 0.025f));
    if (fabsf(p.z - 10.6f + 0.08f * p.x) < 0.35f && p.x > -1.9f)
        darken(out, 0.7f);
}

static void ceiling_albedo(vec3 p, float out[3])
{
    float rough = noise2_rough(p.x * 1.5f, p.z * 1.5f, PLACE_SEED + 20);
    float base = 0.34f * (0.75f + 0.4f * rough);

    set(out, base, base * 0.98f, base * 0.93f);
    if (line_at(p.z, 3.0f, 0.03f) > 0 || fabsf(p.x) < 0.015f)
        darken(out, 0.5f);
    /* lamp housings; the light of the tubes is in light.c */
    for (int i = 0; i < 4; i++) {
        float z = 3.5f + 4.0f * (float)i;
        if (fabsf(p.x) < 0.16f && fabsf(p.z - z) < 0.65f)
            set(out, 3.6f, 3.6f, 3.4f);
    }
}

/* Letters nobody can read: a few bright strokes along the wall. */
static void graffiti(float along, float y, uint64_t seed, float out[3])
{
    float wave = 1.25f + 0.28f * sinf(along * 4.1f) + 0.2f * sinf(along * 9.7f + 1.0f);
    float fill = noise2(along * 2.6f, y * 2.6f, seed);

    if (fabsf(y - wave) < 0.26f && fill > 0.42f) {
        float hue = noise2(along * 0.9f, 4.0f, seed + 3);
        blend(out, mixf(0.55f, 0.05f, hue), 0.12f + 0.2f * hue, mixf(0.08f, 0.5f, hue), 0.75f);
    } else if (fabsf(y - wave) < 0.31f && fill > 0.40f) {
        blend(out, 0.03f, 0.03f, 0.04f, 0.7f);
    }
}

static void wall_albedo(vec3 p, bool left, float out[3])
{
    uint64_t seed = PLACE_SEED + (left ? 40 : 60);
    float    tile = lattice((int)floorf(p.z / 0.3f), (int)floorf(p.y / 0.15f), seed);
    float    dirt = noise2_rough(p.z * 0.6f, p.y * 1.2f, seed);

    if (p.y < 2.1f) {
        float base = 0.40f + 0.05f * tile;
        set(out, base * 1.04f, base * 0.96f, base * 0.80f);
        if (p.y > 1.0f && p.y < 1.15f)
            set(out, 0.10f, 0.24f + 0.02f * tile, 0.30f);
        if (line_at(p.z, 0.3f, 0.008f) > 0 || line_at(p.y, 0.15f, 0.008f) > 0)
            darken(out, 0.72f);
    } else {
        float base = 0.30f * (0.8f + 0.3f * noise2_rough(p.z * 2, p.y * 2, seed + 4));
        set(out, base, base * 0.99f, base * 0.95f);
    }
    if (left && p.z > 4.2f && p.z < 8.4f)
        graffiti(p.z, p.y, seed + 8, out);
    if (!left && p.z > 9.5f && p.z < 12.0f)
        graffiti(p.z * 1.3f, p.y * 0.9f, seed + 8, out);
    /* a poster, and a handrail on the right */
    if (!left && p.z > 5.0f && p.z < 5.9f && p.y > 0.9f && p.y < 2.0f)
        set(out, 0.45f + 0.3f * noise2(p.z * 5, p.y * 5, seed), 0.42f, 0.30f);
    if (!left && fabsf(p.y - 0.92f) < 0.03f)
        set(out, 0.22f, 0.22f, 0.24f);
    /* dirt rises from the floor and runs down from the ceiling */
    darken(out, 1.0f - 0.45f * dirt * (smoothf(0.7f, 0.0f, p.y) + smoothf(1.9f, 2.6f, p.y)));
}

/* Beyond the far end: the path goes on for a while, then a bank with bushes, then the sky. */
static void outside_albedo(vec3 p, vec3 ray, float out[3])
{
    vec3  eye = v3(CAMERA_X, CAMERA_Y, 0);
    float t = ray.y < -1e-4f ? -eye.y / ray.y : 1e9f;
    vec3  ground = v3_mad(eye, t, ray);
    float angle = ray.x / fmaxf(ray.z, 0.1f);

    (void)p;
    if (ground.z < 34.0f) {
        float n = noise2_rough(ground.x * 2, ground.z, PLACE_SEED + 70);
        float beyond = fmaxf(ground.z - PATH_BEND_Z, 0.0f);
        float edge = ground.x + PATH_BEND * beyond * beyond;
        if (edge > -2.2f && edge < 2.2f)
            set(out, 0.24f + 0.08f * n, 0.23f + 0.08f * n, 0.21f + 0.07f * n);
        else
            set(out, 0.07f + 0.05f * n, 0.13f + 0.08f * n, 0.04f);
        return;
    }
    float up = ray.y / fmaxf(ray.z, 0.1f);
    float bush = 0.012f + 0.05f * noise2_rough(angle * 60.0f, 1.0f, PLACE_SEED + 71);
    if (up < bush) {
        float n = noise2_rough(angle * 160.0f, up * 160.0f, PLACE_SEED + 72);
        set(out, 0.04f + 0.08f * n, 0.08f + 0.12f * n, 0.03f + 0.03f * n);
    } else {
        set(out, 0.95f, 1.0f, 1.08f);
    }
}

void texture_albedo(int surface, vec3 p, vec3 ray, float out[3])
{
    switch (surface) {
    case SURFACE_FLOOR:
        floor_albedo(p, out);
        break;
    case SURFACE_CEILING:
        ceiling_albedo(p, out);
        break;
    case SURFACE_LEFT:
    case SURFACE_RIGHT:
        wall_albedo(p, surface == SURFACE_LEFT, out);
        break;
    default:
        outside_albedo(p, ray, out);
    }
}
