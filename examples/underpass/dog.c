/* SPDX-License-Identifier: MIT */
/* A dog, with or without somebody at the other end of the leash. */
#include "internal.h"

#include <string.h>

/* Knobs: the smaller and the closer to the legs, the more a dog walker looks like a pedestrian. */
#define DOG_SMALL_SHARE 0.70f    /* share of small dogs */
#define DOG_SMALL_MIN_M 0.25f    /* height at the shoulder */
#define DOG_SMALL_MAX_M 0.36f
#define DOG_LARGE_MAX_M 0.74f
#define DOG_AT_HEEL 0.75f        /* share of dogs that walk by the legs */
#define DOG_FLOOR_COAT 0.36f     /* share of coats in the colours of the floor */

typedef struct dog {
    body  at;        /* its axes; scale 1 */
    float tall;      /* height at the shoulder, metres */
    float length;    /* of the trunk */
    float fat;
    float snout, tail;
    float coat[3], patch[3];
    bool  ears_up, patched;
} dog;

static void coat_colour(rng *r, float out[3])
{
    float v = rng_chance(r, DOG_FLOOR_COAT) ? rng_range(r, 0.10f, 0.22f)
              : rng_chance(r, 0.5f)         ? rng_range(r, 0.015f, 0.05f)
                                            : rng_range(r, 0.25f, 0.7f);
    float brown = rng_range(r, 0.45f, 1.0f);

    out[0] = v;
    out[1] = v * mixf(0.60f, 1.0f, brown);
    out[2] = v * mixf(0.30f, 0.96f, brown);
}

static void dog_from_look(const scene_subject *s, bool led, dog *d)
{
    rng r = rng_make(s->look, 2);

    memset(d, 0, sizeof *d);
    d->tall = rng_chance(&r, DOG_SMALL_SHARE) ? rng_range(&r, DOG_SMALL_MIN_M, DOG_SMALL_MAX_M)
                                              : rng_range(&r, 0.42f, DOG_LARGE_MAX_M);
    d->length = d->tall * rng_range(&r, 1.0f, 1.45f);
    d->fat = rng_range(&r, 0.8f, 1.25f);
    d->snout = rng_range(&r, 0.6f, 1.2f);
    d->tail = rng_range(&r, 0.2f, 1.0f);
    coat_colour(&r, d->coat);
    coat_colour(&r, d->patch);
    d->ears_up = rng_chance(&r, 0.5f);
    d->patched = rng_chance(&r, 0.4f);

    bool  heel = rng_chance(&r, DOG_AT_HEEL);
    float side = heel ? rng_range(&r, 0.28f, 0.45f) : rng_range(&r, 0.45f, 1.0f);
    float ahead = heel ? rng_range(&r, -0.25f, 0.35f) : rng_range(&r, -0.9f, 1.5f);
    float pull = rng_range(&r, 0.0f, 6.0f);
    side *= rng_chance(&r, 0.75f) ? 1.0f : -1.0f;
    /* it trots to and fro at its own pace */
    ahead += (heel ? 0.08f : 0.3f) * sinf(s->phase * 0.21f + pull);
    side += (heel ? 0.05f : 0.15f) * sinf(s->phase * 0.13f + 2.0f * pull);

    float turn = s->heading + (heel ? 0.12f : 0.45f) * sinf(s->phase * 0.17f + pull);
    d->at.scale = 1.0f;
    d->at.forward = v3(sinf(turn), 0, cosf(turn));
    d->at.right = v3(cosf(turn), 0, -sinf(turn));
    d->at.origin = v3(s->x, 0, s->z);
    if (led) {
        d->at.origin.x += ahead * sinf(s->heading) + side * cosf(s->heading);
        d->at.origin.z += ahead * cosf(s->heading) - side * sinf(s->heading);
        d->at.origin.x = clampf(d->at.origin.x, 0.3f - TUNNEL_HALF_WIDTH, TUNNEL_HALF_WIDTH - 0.3f);
    }
}

static void dog_legs(const dog *d, float phase, part_list *l)
{
    float h = d->tall, r = 0.075f * h;

    for (int i = 0; i < 4; i++) {
        bool  front = i < 2;
        float side = (i & 1) ? 1.0f : -1.0f;
        /* a trot: diagonal legs move together */
        float swing = 0.35f * sinf(phase + ((i == 0 || i == 3) ? 0.0f : SCENE_PI));
        float lift = 0.08f * h * fmaxf(cosf(phase + ((i == 0 || i == 3) ? 0.0f : SCENE_PI)), 0.0f);
        float x = (front ? 0.40f : -0.42f) * d->length;
        vec3  top = body_at(&d->at, x, 0.68f * h, 0.11f * h * side);
        vec3  mid = body_at(&d->at, x + 0.32f * h * sinf(swing) + (front ? -0.03f : 0.07f) * h,
                            0.34f * h, 0.11f * h * side);
        vec3  paw = body_at(&d->at, x + 0.65f * h * sinf(swing), 0.05f * h + lift,
                            0.11f * h * side);

        parts_capsule(l, top, mid, (front ? 1.3f : 1.7f) * r, r, d->coat);
        parts_capsule(l, mid, paw, r, 0.85f * r, d->patched ? d->patch : d->coat);
    }
}

static vec3 dog_head(const dog *d, float phase, part_list *l)
{
    float h = d->tall, n = 0.04f * h * sinf(phase * 0.5f);
    vec3  chest = body_at(&d->at, 0.46f * d->length, 0.84f * h, 0);
    vec3  neck = body_at(&d->at, 0.46f * d->length + 0.16f * h, 1.06f * h + n, 0);
    vec3  head = body_at(&d->at, 0.46f * d->length + 0.27f * h, 1.16f * h + n, 0);
    vec3  nose = body_at(&d->at, 0.46f * d->length + (0.34f + 0.2f * d->snout) * h,
                         1.08f * h + n, 0);

    parts_capsule(l, chest, neck, 0.17f * h * d->fat, 0.12f * h, d->patched ? d->patch : d->coat);
    parts_capsule(l, neck, head, 0.12f * h, 0.13f * h, d->coat);
    parts_capsule(l, head, nose, 0.10f * h, 0.05f * h, d->coat);
    for (int side = -1; side <= 1; side += 2) {
        float k = 0.09f * h * (float)side;
        vec3  root = v3_mad(head, k, d->at.right);
        vec3  tip = v3_mad(v3_mad(root, (d->ears_up ? 0.20f : -0.16f) * h, v3(0, 1, 0)), 0.4f * k,
                           d->at.right);
        parts_capsule(l, root, tip, 0.045f * h, 0.025f * h, d->patched ? d->patch : d->coat);
    }
    return neck;
}

static void leash(vec3 hand, vec3 neck, part_list *l)
{
    static const float cloth[3] = {0.20f, 0.06f, 0.05f};
    float sag = 0.18f;
    vec3  last = hand;

    for (int i = 1; i <= 5; i++) {
        float t = (float)i / 5.0f;
        vec3  next = v3_mix(hand, neck, t);
        next.y -= sag * 4.0f * t * (1.0f - t) * 0.5f;
        parts_capsule(l, last, next, 0.008f, 0.008f, cloth);
        last = next;
    }
}

void dog_walking(const scene_subject *s, const vec3 *hand, part_list *l)
{
    dog   d;
    float phase = s->phase * 1.6f;

    dog_from_look(s, hand != NULL, &d);
    float h = d.tall;
    l->group = GROUP_DOG;
    vec3 rear = body_at(&d.at, -0.42f * d.length, 0.76f * h, 0);
    vec3 waist = body_at(&d.at, -0.05f * d.length, 0.76f * h, 0);
    vec3 chest = body_at(&d.at, 0.40f * d.length, 0.74f * h, 0);
    parts_capsule(l, rear, waist, 0.165f * h * d.fat, 0.16f * h * d.fat, d.coat);
    parts_capsule(l, waist, chest, 0.17f * h * d.fat, 0.215f * h * d.fat,
                  d.patched ? d.patch : d.coat);
    vec3 tail = body_at(&d.at, -0.42f * d.length - 0.3f * h, (0.75f + 0.4f * d.tail) * h,
                        0.08f * h * sinf(phase * 1.3f));
    parts_capsule(l, v3_mad(rear, 0.08f * h, v3(0, 1, 0)), tail, 0.05f * h, 0.03f * h, d.coat);
    dog_legs(&d, phase, l);
    vec3 neck = dog_head(&d, phase, l);
    if (hand)
        leash(*hand, neck, l);
}
