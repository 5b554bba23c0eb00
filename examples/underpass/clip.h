/* SPDX-License-Identifier: MIT */
/**
 * @file clip.h
 * Clips as a motion trigger cuts them, and campaigns of many clips.
 *
 * The same plan always comes from the same options; any frame of it can then be drawn alone.
 */
#ifndef UNDERPASS_CLIP_H
#define UNDERPASS_CLIP_H

#include "scene.h"

#include <stddef.h>

/** Somebody's way through the underpass. */
typedef struct clip_track {
    uint64_t look;
    int32_t  label;
    float    start_s; /* when the track begins, seconds of the clip's own clock */
    float    speed;   /* metres a second */
    float    lane;    /* x */
    float    weave;   /* how far from the lane, metres */
    float wave;    /* of the weaving, radians a metre */
    bool     towards; /* comes towards the camera */
    bool     pauses;  /* stops once on the way */
    float    pause_z, pause_s;
} clip_track;

typedef struct clip {
    uint64_t   seed;
    int32_t    id, domain, label; /* label: what the clip was planned for */
    uint64_t   dome;
    float      hour, cloud, gust;
    int32_t    n_tracks;
    clip_track tracks[SCENE_MAX_SUBJECTS];
    double     begin_s, end_s; /* set by the trigger; the clip lasts end - begin */
} clip;

/** Draw up who comes by.  @p label SCENE_EMPTY: only the wind. */
void clip_plan(clip *c, uint64_t seed, int id, int domain, int label, uint64_t dome);

/** Run the motion trigger over small pictures of the scene; sets begin_s and end_s. */
bool clip_trigger(clip *c);

/** The scene @p seconds after the clip began. */
void clip_frame(const clip *c, double seconds, scene_frame *out);

/** What to plan.  Zero means the default. */
typedef struct campaign_options {
    int32_t  counts[SCENE_OTHER]; /* kept frames of each class */
    int32_t  total;               /* frames in all, dropped and spare ones too; 0: as they come */
    int32_t  domain;              /* SCENE_*, or -1: all three in turn */
    bool     exact;               /* only the counted frames */
    uint64_t seed;
} campaign_options;

typedef struct campaign_frame {
    int32_t     clip;   /* index */
    int32_t     second; /* since the clip began */
    scene_truth truth;
} campaign_frame;

typedef struct campaign {
    clip           *clips;
    size_t          n_clips, clips_room;
    campaign_frame *frames;
    size_t          n_frames, frames_room;
    int32_t         kept[SCENE_OTHER];
} campaign;

/** Plan a campaign.  False without memory. */
bool campaign_plan(const campaign_options *opt, campaign *out);
void campaign_free(campaign *c);

#endif /* UNDERPASS_CLIP_H */
