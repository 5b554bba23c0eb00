/* SPDX-License-Identifier: MIT */
/* A bicycle, ridden or pushed. */
#include "internal.h"

#include <string.h>

#define WHEEL_M 0.34f /* radius */

typedef struct bicycle {
    body  at; /* axes; scale 1 */
    float frame[3], tyre[3], saddle[3];
    bool  step_through, basket, panniers, guards, lamp, helmet, upright;
    float helmet_colour[3];
} bicycle;

static void bicycle_from_look(const scene_subject *s, bicycle *k)
{
    static const float rubber[3] = {0.02f, 0.02f, 0.02f}, leather[3] = {0.04f, 0.03f, 0.02f};
    rng r = rng_make(s->look, 3);

    memset(k, 0, sizeof *k);
    k->at.origin = v3(s->x, 0, s->z);
    k->at.forward = v3(sinf(s->heading), 0, cosf(s->heading));
    k->at.right = v3(cosf(s->heading), 0, -sinf(s->heading));
    k->at.scale = 1.0f;
    figure_colour(&r, k->frame);
    figure_colour(&r, k->helmet_colour);
    memcpy(k->tyre, rubber, sizeof rubber);
    memcpy(k->saddle, leather, sizeof leather);
    k->step_through = rng_chance(&r, 0.45f);
    k->basket = rng_chance(&r, 0.25f);
    k->panniers = rng_chance(&r, 0.2f);
    k->guards = rng_chance(&r, 0.6f);
    k->lamp = rng_chance(&r, 0.8f);
    k->helmet = rng_chance(&r, 0.75f);
    k->upright = rng_chance(&r, 0.6f);
}

static void wheel(const bicycle *k, float hub, float angle, part_list *l)
{
    static const float steel[3] = {0.35f, 0.35f, 0.36f};
    enum { SEGMENTS = 20, SPOKES = 8 };
    vec3  centre = body_at(&k->at, hub, WHEEL_M, 0);

    for (int i = 0; i < SEGMENTS; i++) {
        float a = 2.0f * SCENE_PI * (float)i / SEGMENTS, b = a + 2.0f * SCENE_PI / SEGMENTS;
        parts_capsule(l, body_at(&k->at, hub + WHEEL_M * cosf(a), WHEEL_M + WHEEL_M * sinf(a), 0),
                      body_at(&k->at, hub + WHEEL_M * cosf(b), WHEEL_M + WHEEL_M * sinf(b), 0),
                      0.028f, 0.028f, k->tyre);
    }
    for (int i = 0; i < SPOKES; i++) {
        float a = angle + 2.0f * SCENE_PI * (float)i / SPOKES;
        parts_capsule(l, centre, body_at(&k->at, hub + WHEEL_M * cosf(a),
                                         WHEEL_M + WHEEL_M * sinf(a), 0), 0.003f, 0.003f, steel);
    }
    if (k->guards)
        for (int i = 0; i < 5; i++) {
            float a = 0.9f + 0.36f * (float)i, r = WHEEL_M + 0.045f;
            parts_capsule(l, body_at(&k->at, hub + r * cosf(a), WHEEL_M + r * sinf(a), 0),
                          body_at(&k->at, hub + r * cosf(a + 0.36f),
                                  WHEEL_M + r * sinf(a + 0.36f), 0), 0.026f, 0.026f, k->frame);
        }
}

/* One tube in the plane of the frame: ends as (forward, up). */
static void tube(const bicycle *k, part_list *l, float f0, float u0, float f1, float u1, float r,
                 const float colour[3])
{
    parts_capsule(l, body_at(&k->at, f0, u0, 0), body_at(&k->at, f1, u1, 0), r, r, colour);
}

static void frame(const bicycle *k, part_list *l)
{
    tube(k, l, -0.07f, 0.28f, -0.20f, 0.86f, 0.022f, k->frame);  /* seat tube */
    tube(k, l, -0.07f, 0.28f, 0.38f, 0.72f, 0.026f, k->frame);   /* down tube */
    if (k->step_through)
        tube(k, l, -0.12f, 0.50f, 0.37f, 0.82f, 0.022f, k->frame);
    else
        tube(k, l, -0.18f, 0.80f, 0.37f, 0.86f, 0.022f, k->frame);
    tube(k, l, -0.07f, 0.28f, -0.52f, WHEEL_M, 0.015f, k->frame); /* chain stay */
    tube(k, l, -0.19f, 0.78f, -0.52f, WHEEL_M, 0.014f, k->frame); /* seat stay */
    tube(k, l, 0.35f, 0.98f, 0.40f, 0.68f, 0.022f, k->frame);     /* head tube */
    tube(k, l, 0.40f, 0.68f, 0.54f, WHEEL_M, 0.018f, k->frame);   /* fork */
    tube(k, l, -0.20f, 0.86f, -0.22f, 0.96f, 0.015f, k->saddle);
    tube(k, l, -0.34f, 0.97f, -0.12f, 0.98f, 0.055f, k->saddle);
    parts_capsule(l, body_at(&k->at, 0.33f, 1.04f, -0.28f), body_at(&k->at, 0.35f, 1.04f, 0.28f),
                  0.015f, 0.015f, k->saddle);
}

static void luggage(const bicycle *k, part_list *l)
{
    static const float white[3] = {0.9f, 0.9f, 0.8f}, red[3] = {0.9f, 0.05f, 0.03f};

    if (k->basket)
        for (int i = -1; i <= 1; i += 2)
            parts_capsule(l, body_at(&k->at, 0.54f, 0.82f, 0.09f * (float)i),
                          body_at(&k->at, 0.54f, 0.95f, 0.11f * (float)i), 0.10f, 0.11f, k->saddle);
    if (k->panniers)
        for (int i = -1; i <= 1; i += 2)
            parts_capsule(l, body_at(&k->at, -0.60f, 0.55f, 0.15f * (float)i),
                          body_at(&k->at, -0.42f, 0.55f, 0.15f * (float)i), 0.12f, 0.12f,
                          k->helmet_colour);
    if (k->lamp) {
        tube(k, l, 0.47f, 0.90f, 0.48f, 0.90f, 0.035f, white);
        l->list[l->n - 1].emit = 1.0f;
        tube(k, l, -0.58f, 0.72f, -0.59f, 0.72f, 0.025f, red);
        l->list[l->n - 1].emit = 0.35f;
    }
}

static void machine(const bicycle *k, float angle, part_list *l)
{
    l->group = GROUP_BICYCLE;
    wheel(k, -0.52f, angle, l);
    wheel(k, 0.54f, angle, l);
    frame(k, l);
    luggage(k, l);
}

static void rider_legs(const bicycle *k, const body *b, vec3 hip, float phase, part_list *l)
{
    for (int side = -1; side <= 1; side += 2) {
        float a = phase + (side > 0 ? SCENE_PI : 0.0f);
        vec3  pedal = body_at(&k->at, -0.07f + 0.17f * cosf(a), 0.28f - 0.17f * sinf(a),
                              0.11f * (float)side);
        vec3  ankle = v3_mad(v3_mad(pedal, 0.10f, v3(0, 1, 0)), -0.06f, k->at.forward);
        vec3  root = v3_mad(hip, 0.09f * b->scale * (float)side, k->at.right);
        vec3  knee = figure_joint(root, ankle, 0.45f * b->scale, 0.44f * b->scale,
                                  v3_mad(k->at.forward, 0.3f, v3(0, 1, 0)));
        body_leg(b, l, root, knee, ankle);
        parts_capsule(l, body_at(&k->at, -0.07f, 0.28f, 0.06f * (float)side), pedal, 0.012f,
                      0.012f, k->saddle);
    }
}

void bicycle_ridden(const scene_subject *s, const body *b, part_list *l)
{
    bicycle k;
    body    me = *b;

    bicycle_from_look(s, &k);
    me.scale = clampf(b->scale, 0.88f, 1.1f);
    machine(&k, s->phase * 2.6f, l);
    l->group = GROUP_PERSON;

    vec3  hip = body_at(&k.at, -0.22f, 1.06f, 0);
    float lean = (k.upright ? 0.22f : 0.52f);
    float torso = 0.46f * me.scale;
    vec3  shoulder = v3_mad(v3_mad(hip, torso * sinf(lean), k.at.forward), torso * cosf(lean),
                            v3(0, 1, 0));
    rider_legs(&k, &me, hip, s->phase, l);
    body_torso(&me, l, hip, shoulder);
    for (int side = -1; side <= 1; side += 2) {
        vec3 grip = body_at(&k.at, 0.32f, 1.06f, 0.26f * (float)side);
        vec3 top = v3_mad(shoulder, 0.18f * me.bulk * me.scale * (float)side, k.at.right);
        vec3 elbow = figure_joint(top, grip, 0.29f * me.scale, 0.29f * me.scale, v3(0, -1, 0));
        body_arm(&me, l, top, elbow, grip);
    }
    if (k.helmet) {
        me.hat = true;
        me.hood = false;
        memcpy(me.bag, k.helmet_colour, sizeof me.bag);
    }
    body_head(&me, l, v3_mad(v3_mad(shoulder, 0.09f, v3(0, 1, 0)), 0.03f, k.at.forward),
              0.15f + 0.4f * lean);
    if (b->bag_kind <= 2) /* a rucksack on the bent back */
        parts_capsule(l, v3_mad(v3_mix(hip, shoulder, 0.35f), -0.17f, k.at.forward),
                      v3_mad(v3_mix(hip, shoulder, 0.95f), -0.15f, k.at.forward), 0.13f, 0.11f,
                      b->bag);
}

void bicycle_pushed(const scene_subject *s, const body *b, part_list *l)
{
    bicycle       k;
    scene_subject walker = *s;
    body          me = *b;

    bicycle_from_look(s, &k);
    machine(&k, s->phase * 0.5f, l);
    walker.label = SCENE_OTHER;
    me.origin = v3_mad(v3_mad(me.origin, -0.42f, k.at.right), 0.05f, k.at.forward);
    person_walking(&walker, &me, l);
}
