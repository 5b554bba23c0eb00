/* SPDX-License-Identifier: MIT */
/**
 * @file scene.h
 * Pictures of a pedestrian underpass, drawn instead of filmed.
 *
 * The pictures of the paper cannot be published (they show people), so this renderer stands in for
 * the camera: one fixed view, four classes, day, night and a spray-painted dome.  A picture is a
 * pure function of its scene_frame and its size.
 *
 * The nominal picture is 1920x1080.  Any other size shows the *same* field of view, squeezed if
 * the shape differs, just as the paper squeezes 1920x1080 into 224x224.
 */
#ifndef UNDERPASS_SCENE_H
#define UNDERPASS_SCENE_H

#include <stdbool.h>
#include <stdint.h>

enum { SCENE_DAY = 0, SCENE_NIGHT = 1, SCENE_SPRAY = 2, SCENE_N_DOMAINS = 3 };

/** What a picture shows; the first four are the paper's classes. */
enum {
    SCENE_EMPTY = 0,
    SCENE_PEDESTRIAN = 1,
    SCENE_DOG_WALKER = 2,
    SCENE_BICYCLIST = 3,
    SCENE_OTHER = 4, /**< a dog alone, a bicycle being pushed: none of the classes */
    SCENE_N_LABELS = 5
};

/** Why step C of the paper drops a picture. */
enum {
    SCENE_KEEP = 0,
    SCENE_DROP_SEVERAL = 1,
    SCENE_DROP_FAR = 2,
    SCENE_DROP_PARTIAL = 3,
    SCENE_DROP_OTHER = 4
};

enum { SCENE_NOMINAL_WIDTH = 1920, SCENE_NOMINAL_HEIGHT = 1080, SCENE_MAX_SUBJECTS = 4 };

/** Step C: beyond this many metres a subject is too far. */
#define SCENE_FAR_METRES 11.0f
/** Step C: with less than this share of its surface in view a subject is partly visible. */
#define SCENE_PARTIAL_SHARE 0.62f
/** Below this share nobody would notice the subject: the picture counts as empty. */
#define SCENE_NOTICED_SHARE 0.03f

/** Outside the far end the path bends to the left: x shrinks by PATH_BEND * (z - PATH_BEND_Z)^2. */
#define PATH_BEND 0.20f
#define PATH_BEND_Z 18.5f

/** Somebody on the way through. */
typedef struct scene_subject {
    uint64_t look;  /**< body, clothes, bags, dog, bicycle all follow from this number */
    int32_t  label; /**< SCENE_PEDESTRIAN .. SCENE_OTHER */
    float    x, z;    /**< where on the floor, metres */
    float    heading; /**< radians; 0 walks away from the camera, pi towards it */
    float    speed;   /**< metres a second */
    float    phase;   /**< of the gait or the pedals, radians */
} scene_subject;

/** Everything one picture depends on. */
typedef struct scene_frame {
    uint64_t seed;    /**< sensor noise of this very frame */
    uint64_t clutter; /**< litter, puddles, leaves: the same for a clip */
    uint64_t dome;    /**< pattern of the spray paint: the same for a campaign */
    int32_t  domain;  /**< SCENE_DAY, SCENE_NIGHT, SCENE_SPRAY */
    float    hour;    /**< time of day, 0..24 */
    float    cloud;   /**< 0 clear sky .. 1 overcast */
    float    wind;    /**< seconds that leaves and tree shadows have moved */
    float    flicker; /**< share of its light that the bad lamp gives now, 0..1 */
    int32_t  n_subjects;
    scene_subject subjects[SCENE_MAX_SUBJECTS];
} scene_frame;

/** What is in the picture, known because it was put there. */
typedef struct scene_truth {
    int32_t label;          /**< SCENE_*; of the nearest subject */
    int32_t drop;           /**< SCENE_KEEP or why not */
    int32_t n_objects;      /**< subjects in view; somebody with a dog is one */
    int32_t persons, dogs, bicycles;
    float   x0, y0, x1, y1; /**< box in nominal pixels, within the picture; zeros when empty */
    float   distance_m;     /**< from the camera to the nearest subject, on the floor; 0 if empty */
    float   visible_share;  /**< of its surface, 0..1; 1 when empty, so that a limit keeps it */
    float   dog_share;      /**< of the dog's surface; 0 without a dog */
} scene_truth;

/** The fixed view at one size: geometry and texture, made once.  Immutable: share it freely. */
typedef struct scene_view scene_view;

/** NULL without memory or when a side is outside 8..8192. */
scene_view *scene_view_create(int width, int height);
void        scene_view_destroy(scene_view *view);

/** Draw into @p rgb (width * height * 3 bytes).  False without memory.  Any thread. */
bool scene_view_render(const scene_view *view, const scene_frame *frame, uint8_t *rgb);

/** The same with a view made for this one picture: simple, and some ten times slower. */
bool scene_render(const scene_frame *frame, int width, int height, uint8_t *rgb);

/** The truth does not depend on the size drawn. */
void scene_truth_of(const scene_frame *frame, scene_truth *out);

/** "empty", "pedestrian", "dog_walker", "bicyclist", "other". */
const char *scene_label_name(int label);
/** "day", "night", "spray". */
const char *scene_domain_name(int domain);
/** "", "several", "far", "partial", "other". */
const char *scene_drop_name(int drop);

#endif /* UNDERPASS_SCENE_H */
