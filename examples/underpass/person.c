/* SPDX-License-Identifier: MIT */
/* Somebody walking: gait, coat, and things carried. */
#include "internal.h"

typedef struct leg {
    vec3 hip, knee, ankle;
} leg;

/* One leg at a phase of the gait; the knee bends while the leg swings to the front. */
static leg leg_at(const body *b, float phase, float stride, float side)
{
    float thigh = stride * sinf(phase) + 0.05f;
    float bend = 0.10f + 0.85f * stride * fmaxf(cosf(phase + 0.5f), 0.0f) * 1.8f;
    float shank = thigh - bend;
    leg   g;

    g.hip = body_at(b, 0, 0.92f, 0.085f * side);
    g.knee = v3_mad(v3_mad(g.hip, 0.44f * b->scale * sinf(thigh), b->forward),
                    -0.44f * b->scale * cosf(thigh), v3(0, 1, 0));
    g.ankle = v3_mad(v3_mad(g.knee, 0.42f * b->scale * sinf(shank), b->forward),
                     -0.42f * b->scale * cosf(shank), v3(0, 1, 0));
    return g;
}

static vec3 arm(const body *b, part_list *l, float swing, float side, float bend)
{
    float s = b->scale;
    vec3  shoulder = body_at(b, 0.01f, 1.42f, side * 0.178f * b->bulk);
    vec3  elbow = v3_mad(v3_mad(v3_mad(shoulder, 0.29f * s * sinf(swing), b->forward),
                                -0.29f * s * cosf(swing), v3(0, 1, 0)),
                         0.05f * side, b->right);
    vec3  hand = v3_mad(v3_mad(elbow, 0.29f * s * sinf(swing + bend), b->forward),
                        -0.29f * s * cosf(swing + bend), v3(0, 1, 0));

    body_arm(b, l, shoulder, elbow, hand);
    return hand;
}

static void trolley_case(const body *b, part_list *l, vec3 hand)
{
    vec3 low = v3_mad(v3_mad(hand, -0.45f, b->forward), 0, b->right);

    low.y = 0.15f;
    vec3 top = v3_mad(low, 0.22f, b->forward);
    top.y = 0.52f;
    parts_capsule(l, v3_mad(low, -0.08f, b->right), v3_mad(top, -0.08f, b->right), 0.12f, 0.12f,
                  b->bag);
    parts_capsule(l, v3_mad(low, 0.08f, b->right), v3_mad(top, 0.08f, b->right), 0.12f, 0.12f,
                  b->bag);
    parts_capsule(l, top, hand, 0.012f, 0.012f, b->shoes);
}

/* Bags that hang low, or roll behind, are what a dog is taken for. */
static void bags(const body *b, part_list *l, vec3 left, vec3 right)
{
    float s = b->scale;
    int   group = l->group;

    l->group = GROUP_THING;
    if (b->bag_kind <= 2) { /* rucksack */
        parts_capsule(l, body_at(b, -0.17f, 1.08f, 0), body_at(b, -0.16f, 1.36f, 0), 0.14f * s,
                      0.12f * s, b->bag);
    } else if (b->bag_kind == 3) { /* shoulder bag */
        parts_capsule(l, body_at(b, -0.04f, 0.86f, -0.24f), body_at(b, 0.1f, 0.86f, -0.24f),
                      0.11f * s, 0.11f * s, b->bag);
        parts_capsule(l, body_at(b, 0, 0.9f, -0.22f), body_at(b, 0.02f, 1.42f, 0.1f), 0.012f,
                      0.012f, b->bag);
    } else if (b->bag_kind == 4 || b->bag_kind == 5) { /* shopping bags, one or two */
        vec3 drop = v3(0, -0.30f * s, 0);
        parts_capsule(l, v3_mad(v3_add(left, drop), -0.09f, b->forward),
                      v3_mad(v3_add(left, drop), 0.09f, b->forward), 0.13f, 0.13f, b->bag);
        parts_capsule(l, left, v3_add(left, drop), 0.02f, 0.05f, b->bag);
        if (b->bag_kind == 5)
            parts_capsule(l, v3_mad(v3_add(right, drop), -0.09f, b->forward),
                          v3_mad(v3_add(right, drop), 0.09f, b->forward), 0.12f, 0.12f, b->jacket);
    } else if (b->bag_kind == 6) {
        trolley_case(b, l, right);
    }
    l->group = group;
}

static void garments(const body *b, part_list *l, const leg legs[2])
{
    float s = b->scale;

    if (!b->coat && !b->skirt)
        return;
    for (int i = 0; i < 2; i++) {
        vec3 hem = v3_mix(legs[i].hip, legs[i].knee, b->coat ? 0.75f : 0.95f);
        parts_capsule(l, legs[i].hip, hem, 0.12f * s * b->bulk, 0.13f * s * b->bulk,
                      b->coat ? b->jacket : b->bag);
        l->list[l->n - 1].flat = 0.5f;
    }
}

vec3 person_walking(const scene_subject *s, const body *b, part_list *l)
{
    body  me = *b;
    float stride = clampf(0.34f * s->speed / 1.3f, 0.05f, 0.6f);
    leg   legs[2] = {leg_at(&me, s->phase, stride, -1),
                     leg_at(&me, s->phase + SCENE_PI, stride, 1)};
    float lowest = fminf(legs[0].ankle.y, legs[1].ankle.y) - 0.075f * b->scale;

    l->group = GROUP_PERSON;
    me.origin.y -= lowest; /* whichever foot is lower stands on the floor */
    for (int i = 0; i < 2; i++) {
        legs[i].hip.y -= lowest;
        legs[i].knee.y -= lowest;
        legs[i].ankle.y -= lowest;
        body_leg(&me, l, legs[i].hip, legs[i].knee, legs[i].ankle);
    }
    garments(&me, l, legs);
    body_torso(&me, l, body_at(&me, 0, 0.95f, 0), body_at(&me, 0.02f, 1.38f, 0));
    vec3 left = arm(&me, l, -0.8f * stride * sinf(s->phase), -1, 0.25f);
    /* A hand with a leash, or a case, is held still. */
    bool still = s->label == SCENE_DOG_WALKER || b->bag_kind == 6;
    vec3 right = arm(&me, l, still ? (b->bag_kind == 6 ? -0.25f : 0.2f)
                                   : 0.8f * stride * sinf(s->phase), 1, still ? 0.15f : 0.25f);
    body_head(&me, l, body_at(&me, 0.03f, 1.48f, 0), 0.12f);
    if (s->label == SCENE_PEDESTRIAN || b->bag_kind <= 3)
        bags(&me, l, left, right);
    return right;
}
