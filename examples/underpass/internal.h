/* SPDX-License-Identifier: MIT */
/**
 * @file internal.h
 * What the files of the renderer share with each other and nobody else.
 *
 * A picture is drawn in linear light, three floats a pixel, in this order: background (view.c,
 * texture.c, light.c), things on the floor (clutter.c), shadows and figures (figures.c and
 * friends build them of capsules, draw.c draws those), then the camera (finish.c).
 */
#ifndef UNDERPASS_INTERNAL_H
#define UNDERPASS_INTERNAL_H

#include "scene.h"
#include "vec.h"

/* The underpass, in metres. */
#define TUNNEL_HALF_WIDTH 2.6f
#define TUNNEL_HEIGHT 3.0f
#define TUNNEL_NEAR (-3.0f) /* the end behind the camera */
#define TUNNEL_FAR 18.0f    /* the end in view */

/* The camera under the ceiling. */
#define CAMERA_X 0.7f
#define CAMERA_Y 2.50f
#define CAMERA_FOCAL 1420.0f /* nominal pixels: 42 degrees from top to bottom */
#define CAMERA_PITCH 0.265f  /* radians down */
#define CAMERA_YAW (-0.05f)  /* radians, negative: to the left */

enum { SURFACE_FLOOR, SURFACE_CEILING, SURFACE_LEFT, SURFACE_RIGHT, SURFACE_OUTSIDE };

/* Where light comes from.  Each pixel knows how much of each it gets. */
enum { LIGHT_FAR, LIGHT_NEAR, LIGHT_LAMPS, LIGHT_BAD_LAMP, LIGHT_OUTDOOR, N_LIGHTS };

/* Albedo and light are stored as 16 bits over 0..4: a 1080p view takes 35 MB, not 70. */
#define FIXED_ONE 16383.0f

typedef struct view_pixel {
    uint16_t albedo[3];
    uint16_t light[N_LIGHTS];
} view_pixel;

struct scene_view {
    int         width, height;
    float       step_x, step_y;     /* nominal pixels per pixel */
    view_pixel *pixels;
    uint8_t    *surface;            /* SURFACE_* at the middle of each pixel */
    float       mean[N_LIGHTS];     /* brightness of the whole picture under each light alone */
};

/** The lights of one frame, and what the camera makes of them. */
typedef struct scene_lights {
    float colour[N_LIGHTS][3];
    float gain;        /* exposure */
    float noise;       /* deviation of dark noise in display units, 0..1 */
    float exposure_s;  /* shutter time, for motion blur */
    float balance[3];  /* white balance error */
    float veil;        /* glare around the bright exit */
    float sun;         /* strength of direct sun on the floor */
} scene_lights;

/** A tapered capsule: nearly everything that moves is built of these. */
typedef struct part {
    vec3  a, b;        /* ends */
    float ra, rb;      /* radii */
    float colour[3];   /* albedo */
    float emit;        /* light of its own */
    float stripe;      /* > 0: bands along the axis, so many */
    float flat;        /* 0 round .. 1 flat: lobes of one garment shade as one */
    vec3  velocity;    /* metres a second */
    int   group;       /* GROUP_* */
    int   subject;     /* index in the frame, -1: clutter */
} part;

enum { GROUP_PERSON, GROUP_DOG, GROUP_BICYCLE, GROUP_THING };

enum { MAX_PARTS = 640 };

typedef struct part_list {
    part list[MAX_PARTS];
    int  n;
    int  subject; /* stamped on what is added */
    int  group;
    vec3 velocity;
} part_list;

/** A place in the nominal picture. */
typedef struct spot {
    float u, v;  /* nominal pixels */
    float scale; /* nominal pixels per metre there */
    float depth; /* metres before the camera plane; <= 0: behind */
} spot;

/** A soft-edged patch on a surface: shadow, puddle, sun. */
typedef struct decal {
    int   surface;
    float a, b;          /* centre: x (or y on a wall), and z */
    float ra, rb;        /* half sizes */
    float turn;          /* radians */
    float soft;          /* share of the radius over which the edge fades */
    bool  box;
    float multiply[3];   /* light there is multiplied by this ... */
    float add[3];        /* ... and this is added, both weighted by coverage */
} decal;

/* view.c */
spot view_project(vec3 p);
vec3 view_ray(float u, float v);
int  view_hit(vec3 ray, vec3 *hit);

/* texture.c */
void texture_albedo(int surface, vec3 p, vec3 ray, float out[3]);

/* light.c */
vec3 surface_normal(int surface);
void light_at(vec3 p, vec3 normal, float out[N_LIGHTS]);
void lights_for_frame(const scene_frame *f, const float mean[N_LIGHTS], scene_lights *out);

/* figures.c */
void parts_capsule(part_list *l, vec3 a, vec3 b, float ra, float rb, const float colour[3]);
void figure_build(const scene_subject *s, part_list *l);
void figure_colour(rng *r, float out[3]);
/** Knee or elbow between @p root and @p end for bones of the given lengths, bent to @p bend. */
vec3 figure_joint(vec3 root, vec3 end, float upper, float lower, vec3 bend);

/** Body frame of a figure and what its look decided; see person.c. */
typedef struct body {
    vec3  origin, forward, right;
    float scale;   /* height / 1.75 m */
    float bulk;    /* width factor */
    float jacket[3], trousers[3], shoes[3], skin[3], hair[3], bag[3];
    float stripe;
    int   bag_kind;
    bool  coat, hat, hood, long_hair, skirt;
} body;

void body_from_look(const scene_subject *s, body *b);
/** Place in body axes: forward, up, right. */
vec3 body_at(const body *b, float forward, float up, float right);
void body_head(const body *b, part_list *l, vec3 neck, float lean);
void body_torso(const body *b, part_list *l, vec3 hip, vec3 shoulder);
void body_arm(const body *b, part_list *l, vec3 shoulder, vec3 elbow, vec3 hand);
void body_leg(const body *b, part_list *l, vec3 hip, vec3 knee, vec3 ankle);

/* person.c: returns the right hand, for the leash */
vec3 person_walking(const scene_subject *s, const body *b, part_list *l);
/* dog.c: @p hand NULL for a dog alone */
void dog_walking(const scene_subject *s, const vec3 *hand, part_list *l);
/* bicycle.c */
void bicycle_ridden(const scene_subject *s, const body *b, part_list *l);
void bicycle_pushed(const scene_subject *s, const body *b, part_list *l);

/* clutter.c */
void clutter_draw(const scene_view *v, const scene_frame *f, const scene_lights *lt, float *img);
void clutter_parts(const scene_frame *f, part_list *l);

/* draw.c */
void draw_decal(const scene_view *v, const decal *d, float *img);
void draw_shadows(const scene_view *v, const scene_frame *f, const scene_lights *lt, float *img);
void draw_parts(const scene_view *v, const scene_lights *lt, part_list *l, float *img);

/* finish.c */
bool finish(const scene_view *v, const scene_frame *f, const scene_lights *lt, float *img,
            uint8_t *rgb);

#endif /* UNDERPASS_INTERNAL_H */
