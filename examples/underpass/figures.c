/* SPDX-License-Identifier: MIT */
/* From a subject to capsules: what it wears, and the limbs that walkers and riders share. */
#include "internal.h"

#include <string.h>

/* Knobs.  Clothes that look like the wall or the floor make people hard to see. */
#define DARK_CLOTHES 0.36f  /* share of dark garments */
#define RIDER_VIVID 0.60f   /* share of riders who dress to be seen: yellow or orange */
#define WALKER_VIVID 0.04f
#define WALL_CLOTHES 0.18f  /* share of garments in the colours of wall and floor */

void parts_capsule(part_list *l, vec3 a, vec3 b, float ra, float rb, const float colour[3])
{
    if (l->n >= MAX_PARTS)
        return;
    part *p = &l->list[l->n++];
    *p = (part){.a = a, .b = b, .ra = ra, .rb = rb, .group = l->group, .subject = l->subject,
                .velocity = l->velocity};
    memcpy(p->colour, colour, sizeof p->colour);
}

vec3 figure_joint(vec3 root, vec3 end, float upper, float lower, vec3 bend)
{
    vec3  d = v3_sub(end, root);
    float reach = clampf(v3_length(d), 0.05f, (upper + lower) * 0.999f);
    float along = (reach * reach + upper * upper - lower * lower) / (2.0f * reach);
    float out = sqrtf(fmaxf(upper * upper - along * along, 0.0f));
    vec3  axis = v3_scale(d, 1.0f / fmaxf(v3_length(d), 1e-3f));
    vec3  side = v3_mad(bend, -v3_dot(bend, axis), axis); /* the part of bend across the axis */

    side = v3_scale(side, 1.0f / fmaxf(v3_length(side), 1e-3f));
    return v3_mad(v3_mad(root, along, axis), out, side);
}

static void hue_colour(rng *r, float value, float saturation, float out[3])
{
    float hue = rng_range(r, 0.0f, 6.0f);
    for (int i = 0; i < 3; i++) {
        float d = fabsf(fmodf(hue + 2.0f * (float)i, 6.0f) - 3.0f); /* 3 at the hue, 0 opposite */
        out[i] = value * (1.0f - saturation * (1.0f - clampf(d - 1.0f, 0.0f, 1.0f)));
    }
}

void figure_colour(rng *r, float out[3])
{
    float kind = rng_unit(r);

    if (kind < DARK_CLOTHES)
        hue_colour(r, rng_range(r, 0.015f, 0.07f), rng_range(r, 0.0f, 0.5f), out);
    else if (kind < DARK_CLOTHES + WALL_CLOTHES) {
        float v = rng_range(r, 0.12f, 0.42f), warm = rng_range(r, 0.80f, 1.0f);
        out[0] = v;
        out[1] = v * (0.5f + 0.5f * warm);
        out[2] = v * warm;
    } else if (kind < 0.72f)
        hue_colour(r, rng_range(r, 0.45f, 0.80f), rng_range(r, 0.0f, 0.15f), out);
    else
        hue_colour(r, rng_range(r, 0.10f, 0.65f), rng_range(r, 0.5f, 0.95f), out);
}

static void skin_and_hair(rng *r, body *b)
{
    float tone = rng_unit(r), hair = rng_unit(r);

    b->skin[0] = mixf(0.62f, 0.12f, tone * tone);
    b->skin[1] = mixf(0.40f, 0.065f, tone * tone);
    b->skin[2] = mixf(0.30f, 0.045f, tone * tone);
    b->hair[0] = mixf(0.02f, 0.42f, hair * hair);
    b->hair[1] = mixf(0.017f, 0.32f, hair * hair);
    b->hair[2] = mixf(0.015f, 0.18f, hair * hair);
}

void body_from_look(const scene_subject *s, body *b)
{
    static const float yellow[3] = {0.62f, 0.72f, 0.05f}, orange[3] = {0.85f, 0.22f, 0.03f};
    rng r = rng_make(s->look, 1);

    *b = (body){.origin = v3(s->x, 0, s->z),
                .forward = v3(sinf(s->heading), 0, cosf(s->heading)),
                .right = v3(cosf(s->heading), 0, -sinf(s->heading))};
    b->scale = clampf(1.0f + 0.055f * rng_normal(&r), 0.86f, 1.13f);
    if (s->label == SCENE_PEDESTRIAN && rng_chance(&r, 0.07f))
        b->scale *= rng_range(&r, 0.62f, 0.82f); /* a child */
    b->bulk = clampf(1.0f + 0.12f * rng_normal(&r), 0.78f, 1.35f);
    figure_colour(&r, b->jacket);
    figure_colour(&r, b->trousers);
    figure_colour(&r, b->bag);
    if (rng_chance(&r, 0.55f)) /* jeans and dark cloth are what legs mostly wear */
        for (int i = 0; i < 3; i++)
            b->trousers[i] = 0.03f + 0.03f * (float)i * rng_unit(&r);
    hue_colour(&r, rng_chance(&r, 0.3f) ? 0.6f : 0.04f, 0.1f, b->shoes);
    skin_and_hair(&r, b);
    if (rng_chance(&r, s->label == SCENE_BICYCLIST ? RIDER_VIVID : WALKER_VIVID))
        memcpy(b->jacket, rng_chance(&r, 0.6f) ? yellow : orange, sizeof b->jacket);
    b->stripe = rng_chance(&r, 0.15f) ? rng_range(&r, 2.0f, 6.0f) : 0.0f;
    b->coat = rng_chance(&r, 0.25f);
    b->skirt = !b->coat && rng_chance(&r, 0.1f);
    b->hat = rng_chance(&r, 0.2f);
    b->hood = !b->hat && rng_chance(&r, 0.2f);
    b->long_hair = rng_chance(&r, 0.35f);
    b->bag_kind = rng_below(&r, 10);
}

vec3 body_at(const body *b, float forward, float up, float right)
{
    float s = b->scale;
    return v3_mad(v3_mad(v3_mad(b->origin, forward * s, b->forward), up * s, v3(0, 1, 0)),
                  right * s, b->right);
}

void body_head(const body *b, part_list *l, vec3 neck, float lean)
{
    float s = b->scale;
    vec3  up = v3_mad(v3(0, 1, 0), lean, b->forward);
    vec3  head = v3_mad(neck, 0.17f * s, up);
    vec3  face = v3_mad(head, 0.035f * s, b->forward);
    vec3  back = v3_mad(head, -0.03f * s, b->forward);

    parts_capsule(l, v3_mad(neck, -0.04f * s, up), head, 0.055f * s, 0.06f * s, b->skin);
    parts_capsule(l, v3_mad(face, -0.045f * s, up), v3_mad(face, 0.03f * s, up), 0.078f * s,
                  0.088f * s, b->skin);
    parts_capsule(l, v3_mad(back, 0.0f, up), v3_mad(back, 0.045f * s, up), 0.095f * s, 0.1f * s,
                  b->hood ? b->jacket : b->hat ? b->bag : b->hair);
    if (b->hat || b->hood)
        parts_capsule(l, v3_mad(head, 0.05f * s, up), v3_mad(head, 0.085f * s, up), 0.1f * s,
                      0.085f * s, b->hat ? b->bag : b->jacket);
    if (b->hood || b->long_hair)
        parts_capsule(l, back, v3_mad(back, -0.2f * s, up), 0.095f * s, 0.085f * s,
                      b->hood ? b->jacket : b->hair);
}

void body_torso(const body *b, part_list *l, vec3 hip, vec3 shoulder)
{
    float s = b->scale, w = b->bulk;
    int   first = l->n;

    for (int side = -1; side <= 1; side++) {
        float k = (float)side * s * w;
        parts_capsule(l, v3_mad(hip, 0.075f * k, b->right), v3_mad(shoulder, 0.095f * k, b->right),
                      (side ? 0.10f : 0.115f) * s * w, (side ? 0.105f : 0.12f) * s * w,
                      b->jacket);
    }
    parts_capsule(l, v3_mad(shoulder, -0.14f * s * w, b->right),
                  v3_mad(shoulder, 0.14f * s * w, b->right), 0.07f * s, 0.07f * s, b->jacket);
    for (int i = first; i < l->n; i++) {
        l->list[i].stripe = i < l->n - 1 ? b->stripe : 0.0f;
        l->list[i].flat = 0.55f;
    }
}

void body_arm(const body *b, part_list *l, vec3 shoulder, vec3 elbow, vec3 hand)
{
    float s = b->scale;
    vec3  wrist = v3_mix(elbow, hand, 0.82f);

    parts_capsule(l, shoulder, elbow, 0.058f * s * b->bulk, 0.046f * s, b->jacket);
    parts_capsule(l, elbow, wrist, 0.048f * s, 0.038f * s, b->jacket);
    parts_capsule(l, wrist, hand, 0.038f * s, 0.042f * s, b->skin);
}

void body_leg(const body *b, part_list *l, vec3 hip, vec3 knee, vec3 ankle)
{
    float s = b->scale;
    vec3  toe = v3_mad(v3_mad(ankle, 0.17f * s, b->forward), -0.035f * s, v3(0, 1, 0));

    parts_capsule(l, hip, knee, 0.088f * s * b->bulk, 0.062f * s, b->trousers);
    parts_capsule(l, knee, ankle, 0.062f * s, 0.046f * s, b->trousers);
    parts_capsule(l, v3_mad(ankle, -0.03f * s, b->forward), toe, 0.048f * s, 0.036f * s, b->shoes);
}

void figure_build(const scene_subject *s, part_list *l)
{
    body b;
    vec3 hand;

    body_from_look(s, &b);
    l->velocity = v3_scale(b.forward, s->speed);
    switch (s->label) {
    case SCENE_BICYCLIST:
        bicycle_ridden(s, &b, l);
        break;
    case SCENE_DOG_WALKER:
        hand = person_walking(s, &b, l);
        dog_walking(s, &hand, l);
        break;
    case SCENE_OTHER:
        if (s->look & 1)
            bicycle_pushed(s, &b, l);
        else
            dog_walking(s, NULL, l);
        break;
    default:
        person_walking(s, &b, l);
    }
}
