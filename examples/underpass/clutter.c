/* SPDX-License-Identifier: MIT */
/* What an empty underpass is never free of: sun patches, tree shadows, puddles, leaves, litter. */
#include "internal.h"

/* Knobs: what may be taken for somebody, or for a dog. */
#define PUDDLE_CHANCE 0.45f
#define LEAVES_CHANCE 0.6f
#define MAX_LEAVES 60
#define LITTER_MAX 6
#define RUBBISH_BAG_CHANCE 0.22f /* a full bag by the wall: as big as a small dog */
#define BIN_CHANCE 0.12f

static void sun_patch(const scene_view *v, const scene_frame *f, const scene_lights *lt, float *img)
{
    /* The low sun reaches in at the far end in the morning, at the near one in the evening. */
    bool  morning = f->hour < 13.0f;
    float low = fabsf(f->hour - 13.0f) / 6.0f; /* 0 at noon .. 1 */
    float reach = 1.0f + 6.0f * low * low;
    float strength = lt->sun * 3.0f * smoothf(1.25f, 0.6f, low);
    decal d = {.surface = SURFACE_FLOOR, .box = true, .soft = 0.12f, .ra = 1.1f,
               .rb = 0.5f * reach, .turn = 0.35f * sinf(f->hour * 1.7f),
               .multiply = {1, 1, 1}};

    if (strength < 0.05f)
        return;
    d.a = 1.5f * sinf(0.9f * (f->hour - 7.0f));
    d.b = morning ? TUNNEL_FAR - 0.5f * reach : 2.4f + 0.4f * reach;
    for (int i = 0; i < 3; i++)
        d.add[i] = strength * lt->colour[LIGHT_OUTDOOR][i] * 0.55f;
    draw_decal(v, &d, img);
    d.surface = f->hour < 10.0f || f->hour > 16.0f ? SURFACE_LEFT : SURFACE_RIGHT;
    d.a = 0.5f;
    d.ra = 0.6f;
    d.turn = 0;
    draw_decal(v, &d, img);
}

static void puddles(const scene_view *v, const scene_frame *f, const scene_lights *lt, float *img)
{
    rng r = rng_make(f->clutter, 1);
    int n = rng_chance(&r, PUDDLE_CHANCE) ? 1 + rng_below(&r, 4) : 0;

    for (int i = 0; i < n; i++) {
        decal d = {.surface = SURFACE_FLOOR, .a = rng_range(&r, -2.2f, 2.2f),
                   .b = rng_range(&r, 2.8f, 16.0f), .ra = rng_range(&r, 0.15f, 0.7f),
                   .rb = rng_range(&r, 0.2f, 1.1f), .turn = rng_range(&r, -0.7f, 0.7f),
                   .soft = 0.18f};
        float mirror = 0.10f + 0.5f * smoothf(4.0f, 16.0f, d.b); /* flat angles mirror the sky */
        for (int k = 0; k < 3; k++) {
            d.multiply[k] = 0.45f;
            d.add[k] = mirror * (0.35f * lt->colour[LIGHT_OUTDOOR][k] +
                                 0.15f * lt->colour[LIGHT_LAMPS][k]) * 4.0f;
        }
        draw_decal(v, &d, img);
    }
}

/* Shadows of trees, and of somebody who passes outside: dark patches that move. */
static void moving_shadows(const scene_view *v, const scene_frame *f, float *img)
{
    rng r = rng_make(f->clutter, 2);
    int n = f->domain == SCENE_NIGHT ? 1 : 2 + rng_below(&r, 4);

    for (int i = 0; i < n; i++) {
        float sway = 0.35f * sinf(f->wind * rng_range(&r, 0.3f, 1.1f) + 6.0f * rng_unit(&r));
        bool  far_end = rng_chance(&r, 0.5f);
        decal d = {.surface = i == 0 ? SURFACE_RIGHT : i == 1 ? SURFACE_LEFT : SURFACE_FLOOR,
                   .ra = rng_range(&r, 0.2f, 0.7f), .rb = rng_range(&r, 0.3f, 1.4f),
                   .soft = 0.75f};
        float dark = rng_range(&r, 0.08f, 0.38f) * (1.0f - 0.7f * f->cloud);
        d.a = (d.surface == SURFACE_FLOOR ? rng_range(&r, -2.2f, 2.2f) : rng_range(&r, 0.3f, 2.0f));
        d.b = (far_end ? rng_range(&r, 12.0f, 17.0f) : rng_range(&r, 2.5f, 7.0f)) + sway;
        for (int k = 0; k < 3; k++)
            d.multiply[k] = 1.0f - dark;
        draw_decal(v, &d, img);
    }
}

void clutter_draw(const scene_view *v, const scene_frame *f, const scene_lights *lt, float *img)
{
    if (lt->sun > 0)
        sun_patch(v, f, lt, img);
    puddles(v, f, lt, img);
    moving_shadows(v, f, img);
}

static void leaves(const scene_frame *f, rng *r, part_list *l)
{
    int n = rng_chance(r, LEAVES_CHANCE) ? rng_below(r, MAX_LEAVES) : 0;

    for (int i = 0; i < n; i++) {
        float near_wall = rng_unit(r), drift = rng_unit(r) < 0.15f ? 0.25f : 0.0f;
        float x = (rng_chance(r, 0.5f) ? 1.0f : -1.0f) * (2.5f - 2.2f * near_wall * near_wall);
        float z = rng_range(r, 2.6f, 17.0f) + drift * f->wind * 0.15f;
        float size = rng_range(r, 0.02f, 0.045f), turn = rng_range(r, 0.0f, 3.1f);
        float colour[3] = {rng_range(r, 0.10f, 0.45f), rng_range(r, 0.07f, 0.22f), 0.03f};
        vec3  along = v3(size * sinf(turn), 0, size * cosf(turn));
        vec3  at = v3(clampf(x, -2.5f, 2.5f), 0.015f, z - 14.0f * floorf((z - 2.6f) / 14.4f));
        parts_capsule(l, v3_sub(at, along), v3_add(at, along), size * 0.6f, size * 0.3f, colour);
    }
}

static void litter(rng *r, part_list *l)
{
    int n = rng_below(r, LITTER_MAX + 1);

    for (int i = 0; i < n; i++) {
        float colour[3];
        float turn = rng_range(r, 0.0f, 3.1f), size = rng_range(r, 0.03f, 0.10f);
        vec3  at = v3(rng_range(r, -2.4f, 2.4f), size * 0.5f, rng_range(r, 2.8f, 16.0f));
        figure_colour(r, colour);
        parts_capsule(l, at, v3_add(at, v3(size * sinf(turn), 0, size * cosf(turn))), size * 0.5f,
                      size * 0.5f, colour);
    }
}

void clutter_parts(const scene_frame *f, part_list *l)
{
    static const float sack[3] = {0.03f, 0.03f, 0.035f}, bin[3] = {0.08f, 0.10f, 0.08f};
    rng r = rng_make(f->clutter, 3);

    l->group = GROUP_THING;
    l->subject = -1;
    l->velocity = v3(0, 0, 0);
    leaves(f, &r, l);
    litter(&r, l);
    if (rng_chance(&r, RUBBISH_BAG_CHANCE)) {
        float colour[3], x = rng_chance(&r, 0.5f) ? 2.25f : -2.25f, z = rng_range(&r, 3.5f, 12.0f);
        float size = rng_range(&r, 0.14f, 0.24f);
        figure_colour(&r, colour);
        const float *cloth = rng_chance(&r, 0.5f) ? sack : colour;
        vec3 low = v3(x, 0.9f * size, z), top = v3(x + 0.03f, 2.3f * size, z + 0.05f);
        parts_capsule(l, low, v3(x, size, z + rng_range(&r, 0.1f, 0.3f)), size, 0.85f * size,
                      cloth);
        parts_capsule(l, low, top, 0.85f * size, 0.15f * size, cloth);
        parts_capsule(l, top, v3(top.x, 2.6f * size, top.z), 0.12f * size, 0.2f * size, cloth);
    }
    if (rng_chance(&r, BIN_CHANCE)) {
        float x = rng_chance(&r, 0.5f) ? 2.3f : -2.3f, z = rng_range(&r, 4.0f, 14.0f);
        parts_capsule(l, v3(x, 0.2f, z), v3(x, 0.85f, z), 0.22f, 0.24f, bin);
    }
}
