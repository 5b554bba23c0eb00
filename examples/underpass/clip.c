/* SPDX-License-Identifier: MIT */
/* One clip: who comes by when, and when the camera notices. */
#include "clip.h"

#include "vec.h"

#include <stdlib.h>
#include <string.h>

/* The motion trigger, on small pictures twice a second. */
#define TRIGGER_WIDTH 64
#define TRIGGER_HEIGHT 36
#define TRIGGER_LEVEL 26        /* grey levels that a pixel must change by */
#define TRIGGER_PIXELS 9        /* changed pixels that start a clip or keep it going */
#define TRIGGER_PREROLL_S 6.0   /* the camera keeps so much from before the start */
#define TRIGGER_HOLD_S 13.0     /* and goes on for so long after the last motion */
#define TRIGGER_LONGEST_S 120.0
#define TRIGGER_STEP_S 0.5

/* Tracks. */
#define FAR_START_Z 22.5f       /* behind the bend outside */
#define NEAR_START_Z (-1.5f)    /* under the camera */
#define ANOTHER_SUBJECT 0.66f   /* chance of somebody else coming along, and again */
#define ANOTHER_WALKER 0.30f    /* the same where the first has a dog: more clips, each shorter */
/* Regulars: people who come by again and again, with the dog or without, in the same clothes. */
#define N_REGULARS 12
#define REGULAR_WALKER 0.9f     /* chance that a dog walker is one of them */
#define REGULAR_PEDESTRIAN 0.5f
#define PAUSE_CHANCE 0.14f
#define COMPANION_CHANCE 0.25f  /* of the others: walk side by side with the first */

/* What somebody looks like: a stranger's seed, or a regular's. */
static uint64_t look_of(rng *r, int label, uint64_t town)
{
    float    chance = label == SCENE_DOG_WALKER ? REGULAR_WALKER : REGULAR_PEDESTRIAN;
    uint64_t stranger = rng_hash(r->key, 1000 + r->counter);
    r->counter++;
    bool regular = label != SCENE_BICYCLIST && rng_chance(r, chance);
    int  which = rng_below(r, N_REGULARS);
    return regular ? rng_hash(town, 500 + (uint64_t)(unsigned)which) : stranger;
}

static void track_plan(clip_track *t, rng *r, int label, float start, uint64_t town)
{
    t->look = look_of(r, label, town);
    t->label = label;
    t->start_s = start;
    t->towards = rng_chance(r, 0.5f);
    t->weave = rng_range(r, 0.05f, 0.4f);
    t->wave = rng_range(r, 0.15f, 0.5f);
    /* walkers keep to the left of the line, riders to the right, and many do not care */
    if (label == SCENE_BICYCLIST) {
        /* riders go slowly here and use the width: most are seen somewhat from the side */
        t->weave = rng_range(r, 0.5f, 1.4f);
        t->wave = rng_range(r, 0.3f, 0.6f);
        t->speed = clampf(1.6f + 0.3f * rng_normal(r), 1.0f, 3.5f);
        t->lane = rng_chance(r, 0.6f) ? rng_range(r, 0.4f, 1.9f) : rng_range(r, -1.9f, 0.4f);
    } else {
        t->speed = clampf(1.15f + 0.20f * rng_normal(r), 0.55f, 2.4f);
        t->lane = rng_chance(r, 0.6f) ? rng_range(r, -1.9f, 0.1f) : rng_range(r, 0.1f, 1.9f);
        if (label == SCENE_PEDESTRIAN && rng_chance(r, 0.06f))
            t->speed *= 1.9f; /* a runner */
        if (label == SCENE_DOG_WALKER)
            t->speed *= 1.6f; /* the dog pulls */
    }
    t->pauses = label != SCENE_BICYCLIST && rng_chance(r, PAUSE_CHANCE);
    t->pause_z = rng_range(r, 3.5f, 11.0f);
    t->pause_s = rng_range(r, 4.0f, 14.0f);
}

static void another_track(clip *c, rng *r, uint64_t town)
{
    clip_track *first = &c->tracks[0], *t = &c->tracks[c->n_tracks++];
    float       kind = rng_unit(r);

    if (rng_chance(r, COMPANION_CHANCE) && first->label == SCENE_PEDESTRIAN) {
        *t = *first;
        t->look = rng_hash(first->look, 5);
        t->lane = first->lane > 0 ? first->lane - 0.75f : first->lane + 0.75f;
        t->start_s += rng_range(r, 0.0f, 0.4f);
        return;
    }
    /* Mostly the same class again: another class would need its own place in the counts. */
    track_plan(t, r, kind < 0.85f ? first->label : kind < 0.95f ? SCENE_PEDESTRIAN : SCENE_OTHER,
               rng_range(r, 12.0f, 26.0f) + c->tracks[c->n_tracks - 2].start_s, town);
}

void clip_plan(clip *c, uint64_t seed, int id, int domain, int label, uint64_t dome)
{
    rng r = rng_make(seed, 100 + (uint64_t)(uint32_t)id);

    *c = (clip){.seed = r.key, .id = id, .domain = domain, .label = label, .dome = dome};
    c->hour = domain == SCENE_NIGHT ? rng_range(&r, 20.0f, 29.0f) : rng_range(&r, 7.0f, 18.5f);
    if (c->hour >= 24.0f)
        c->hour -= 24.0f;
    c->cloud = rng_chance(&r, 0.35f) ? rng_range(&r, 0.8f, 1.0f) : rng_range(&r, 0.0f, 0.7f);
    c->gust = rng_range(&r, 0.5f, 2.0f);
    if (label == SCENE_EMPTY)
        return;
    c->n_tracks = 1;
    track_plan(&c->tracks[0], &r, label, 0.0f, seed);
    float more = label == SCENE_DOG_WALKER ? ANOTHER_WALKER : ANOTHER_SUBJECT;
    while (c->n_tracks < SCENE_MAX_SUBJECTS && rng_chance(&r, more))
        another_track(c, &r, seed);
}

/* Where somebody is; false before and after. */
static bool track_at(const clip_track *t, double time, scene_subject *s)
{
    float since = (float)time - t->start_s, from = t->towards ? FAR_START_Z : NEAR_START_Z;
    float sign = t->towards ? -1.0f : 1.0f;
    float until = fabsf(t->pause_z - from) / t->speed; /* when the pause begins */
    float moving = since;

    if (since < 0)
        return false;
    if (t->pauses && since > until)
        moving = since < until + t->pause_s ? until : since - t->pause_s;
    float way = t->speed * moving, z = from + sign * way;
    if (z < NEAR_START_Z - 0.5f || z > FAR_START_Z + 0.5f)
        return false;
    rng   r = rng_make(t->look, 4);
    float wave = t->wave, shift = rng_range(&r, 0.0f, 6.0f);
    float beyond = fmaxf(z - PATH_BEND_Z, 0.0f);
    bool  wheels = t->label == SCENE_BICYCLIST;
    s->look = t->look;
    s->label = t->label;
    s->z = z;
    s->x = clampf(t->lane + t->weave * sinf(wave * z + shift), -2.1f, 2.1f) -
           PATH_BEND * beyond * beyond;
    float slope = t->weave * wave * cosf(wave * z + shift) - 2.0f * PATH_BEND * beyond;
    s->heading = atan2f(sign * slope, sign);
    s->speed = moving < since && since < until + t->pause_s ? 0.05f : t->speed;
    /* a step is about 0.7 m, a turn of the pedals takes a bicycle some 4.5 m */
    /* nobody stands quite still: an idle second counts as a little way */
    way += 0.06f * (since - moving);
    s->phase = shift + way * SCENE_PI / (wheels ? 2.2f : 0.55f + 0.12f * t->speed);
    return true;
}

static void scene_at(const clip *c, double time, scene_frame *f)
{
    uint64_t tick = (uint64_t)(int64_t)(time * 1000.0 + 1e6);
    rng      r = rng_make(c->seed, tick);
    float    t = (float)time;

    memset(f, 0, sizeof *f);
    f->seed = r.key;
    f->clutter = c->seed;
    f->dome = c->dome;
    f->domain = c->domain;
    f->hour = c->hour + t / 3600.0f;
    /* Clouds pass: the light changes within a clip, slowly as a rule. */
    f->cloud = clampf(c->cloud + 0.10f * sinf(0.11f * t * c->gust + (float)(c->seed & 7)), 0, 1);
    f->wind = t * c->gust;
    f->flicker = rng_chance(&r, 0.12f) ? rng_range(&r, 0.2f, 0.8f) : 1.0f;
    for (int i = 0; i < c->n_tracks; i++)
        f->n_subjects += track_at(&c->tracks[i], time, &f->subjects[f->n_subjects]);
}

void clip_frame(const clip *c, double seconds, scene_frame *out)
{
    scene_at(c, c->begin_s + seconds, out);
}

/* How many pixels of the small picture differ visibly from the last one. */
static int changed(const uint8_t *now, const uint8_t *last)
{
    int n = 0;
    for (int i = 0; i < TRIGGER_WIDTH * TRIGGER_HEIGHT; i++) {
        int a = now[3 * i] + now[3 * i + 1] + now[3 * i + 2];
        int b = last[3 * i] + last[3 * i + 1] + last[3 * i + 2];
        n += abs(a - b) > 3 * TRIGGER_LEVEL;
    }
    return n;
}

/* When all tracks are over, on the clip's own clock. */
static double tracks_end(const clip *c)
{
    double end = 8.0;
    for (int i = 0; i < c->n_tracks; i++) {
        const clip_track *t = &c->tracks[i];
        end = fmax(end, t->start_s + (FAR_START_Z - NEAR_START_Z) / t->speed +
                            (t->pauses ? t->pause_s : 0));
    }
    return end;
}

bool clip_trigger(clip *c)
{
    static const size_t bytes = 3 * TRIGGER_WIDTH * TRIGGER_HEIGHT;
    scene_view *view = scene_view_create(TRIGGER_WIDTH, TRIGGER_HEIGHT);
    uint8_t    *both = malloc(2 * bytes), *now = both, *last = both ? both + bytes : NULL;
    double      first = -1, latest = -1, end = tracks_end(c) + 1.0;
    bool        done = view && both;

    for (double t = -1.0; done && t < end; t += TRIGGER_STEP_S) {
        scene_frame f;
        scene_at(c, t, &f);
        done = scene_view_render(view, &f, now);
        if (done && t > -1.0 && changed(now, last) >= TRIGGER_PIXELS) {
            first = first < 0 ? t : first;
            latest = t;
        }
        uint8_t *swap = now;
        now = last;
        last = swap;
    }
    if (first < 0) /* a false alarm, or somebody who blends in: a leaf set it off */
        first = latest = 0.5 * end;
    c->begin_s = floor(first - TRIGGER_PREROLL_S);
    c->end_s = fmin(latest + TRIGGER_HOLD_S, c->begin_s + TRIGGER_LONGEST_S);
    free(both);
    scene_view_destroy(view);
    return done;
}
