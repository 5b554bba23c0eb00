/* SPDX-License-Identifier: MIT */
/* Clip after clip until there are enough frames of each class. */
#include "clip.h"
#include "vec.h"

#include <stdlib.h>
#include <string.h>

/* Every so many clips one shows none of the classes, and one is a false alarm. */
#define OTHER_EVERY 20
#define ALARM_EVERY 12

static bool grow(void **items, size_t *room, size_t n, size_t item_bytes)
{
    if (n < *room)
        return true;
    size_t more = *room ? 2 * *room : 64;
    void  *p = realloc(*items, more * item_bytes);
    if (!p)
        return false;
    *items = p;
    *room = more;
    return true;
}

static bool push_frame(campaign *c, const campaign_frame *f)
{
    if (!grow((void **)&c->frames, &c->frames_room, c->n_frames, sizeof *f))
        return false;
    c->frames[c->n_frames++] = *f;
    return true;
}

static bool is_kept(const scene_truth *t)
{
    return t->drop == SCENE_KEEP && t->label < SCENE_OTHER;
}

/* Frames of the newest clip, one a second.  A class that has enough takes no more. */
static bool collect(campaign *c, const campaign_options *opt)
{
    const clip *k = &c->clips[c->n_clips - 1];

    for (int second = 0; second < (int)(k->end_s - k->begin_s); second++) {
        scene_frame    f;
        campaign_frame one = {.clip = (int32_t)(c->n_clips - 1), .second = second};

        clip_frame(k, second, &f);
        scene_truth_of(&f, &one.truth);
        int  label = one.truth.label;
        bool kept = is_kept(&one.truth);
        if (!kept && opt->exact)
            continue;
        if (kept && label != SCENE_EMPTY && c->kept[label] >= opt->counts[label])
            continue;
        if (kept)
            c->kept[label]++;
        if (!push_frame(c, &one))
            return false;
    }
    return true;
}

static bool add_clip(campaign *c, const campaign_options *opt, int label)
{
    uint64_t dome = rng_hash(opt->seed, 0xD0E);
    int      id = (int)c->n_clips + 1;
    int      domain = opt->domain >= 0 ? opt->domain : id % SCENE_N_DOMAINS;

    if (!grow((void **)&c->clips, &c->clips_room, c->n_clips, sizeof *c->clips))
        return false;
    clip *k = &c->clips[c->n_clips++];
    clip_plan(k, opt->seed, id, domain, label, dome);
    return clip_trigger(k) && collect(c, opt);
}

/* The class that is farthest behind its share; SCENE_EMPTY when all have enough. */
static int neediest(const campaign *c, const campaign_options *opt)
{
    int    best = SCENE_EMPTY;
    double least = 1.0;

    for (int i = SCENE_PEDESTRIAN; i < SCENE_OTHER; i++) {
        if (opt->counts[i] <= 0)
            continue;
        double have = (double)c->kept[i] / (double)opt->counts[i];
        if (have < least) {
            least = have;
            best = i;
        }
    }
    return best;
}

/* Take away empty frames until @p surplus are gone, spread evenly over the whole campaign. */
static void thin_empty(campaign *c, size_t surplus)
{
    size_t n_empty = (size_t)c->kept[SCENE_EMPTY], seen = 0, out = 0;

    if (surplus > n_empty)
        surplus = n_empty;
    for (size_t i = 0; i < c->n_frames; i++) {
        if (c->frames[i].truth.label == SCENE_EMPTY) {
            /* the seen-th of n goes when the running quota steps up */
            bool gone = (seen + 1) * surplus / n_empty != seen * surplus / n_empty;
            seen++;
            if (gone)
                continue;
        }
        c->frames[out++] = c->frames[i];
    }
    c->n_frames = out;
    c->kept[SCENE_EMPTY] -= (int32_t)surplus;
}

static bool enough_empty(const campaign *c, const campaign_options *opt)
{
    return c->kept[SCENE_EMPTY] >= opt->counts[SCENE_EMPTY] &&
           (opt->exact || (int64_t)c->n_frames >= opt->total);
}

bool campaign_plan(const campaign_options *opt, campaign *out)
{
    bool done = true;
    int  label;

    memset(out, 0, sizeof *out);
    while (done && (label = neediest(out, opt)) != SCENE_EMPTY) {
        size_t n = out->n_clips + 1;
        if (!opt->exact && n % OTHER_EVERY == 0)
            label = SCENE_OTHER;
        else if (n % ALARM_EVERY == 0)
            label = SCENE_EMPTY;
        done = add_clip(out, opt, label);
    }
    while (done && !enough_empty(out, opt))
        done = add_clip(out, opt, SCENE_EMPTY);
    if (!done) {
        campaign_free(out);
        return false;
    }
    size_t want = opt->exact ? out->n_frames - (size_t)out->kept[SCENE_EMPTY] +
                                   (size_t)opt->counts[SCENE_EMPTY]
                             : opt->total > 0 ? (size_t)opt->total : out->n_frames;
    size_t spare = (size_t)(out->kept[SCENE_EMPTY] - opt->counts[SCENE_EMPTY]);
    if (out->n_frames > want)
        thin_empty(out, out->n_frames - want < spare ? out->n_frames - want : spare);
    return true;
}

void campaign_free(campaign *c)
{
    free(c->clips);
    free(c->frames);
    memset(c, 0, sizeof *c);
}
