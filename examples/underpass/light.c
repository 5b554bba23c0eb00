/* SPDX-License-Identifier: MIT */
/* How light falls through the underpass, and how much of it there is at a time of day. */
#include "internal.h"

/* Knobs of the camera.  They set how hard the pictures are. */
#define DAY_NOISE 0.010f        /* deviation of read noise by day, of full scale */
#define NIGHT_NOISE 0.050f      /* the same at the gain that night needs */
#define DAY_SHUTTER_S 0.012f    /* shutter time by day */
#define NIGHT_SHUTTER_S 0.050f  /* and at night: walking legs smear */
#define METER_TARGET_DAY 0.20f  /* brightness that the exposure aims at */
#define METER_TARGET_NIGHT 0.085f

vec3 surface_normal(int surface)
{
    switch (surface) {
    case SURFACE_FLOOR:
        return v3(0, 1, 0);
    case SURFACE_CEILING:
        return v3(0, -1, 0);
    case SURFACE_LEFT:
        return v3(1, 0, 0);
    case SURFACE_RIGHT:
        return v3(-1, 0, 0);
    default:
        return v3(0, 0, -1);
    }
}

/* Light of an open end: falls off with distance, part of it comes by way of the walls. */
static float opening(vec3 p, vec3 n, float end_z)
{
    vec3  to = v3_sub(v3(0, 1.9f, end_z), p);
    float distance = v3_length(to) + 1e-3f;
    float facing = v3_dot(n, to) / distance;
    float along = fabsf(end_z - p.z);

    return (0.30f + 0.70f * fmaxf(facing, 0.0f)) / (1.0f + along * along / 14.0f) + 0.012f;
}

static float lamp(vec3 p, vec3 n, int index)
{
    vec3  to = v3_sub(v3(0, TUNNEL_HEIGHT - 0.08f, 3.5f + 4.0f * (float)index), p);
    float d2 = v3_dot(to, to);
    float facing = v3_dot(n, to) / sqrtf(d2 + 1e-4f);

    return (0.22f + 0.78f * fmaxf(facing, 0.0f)) / (0.6f + d2);
}

/* Corners are darker because less of the tunnel shines into them. */
static float corner_shade(vec3 p)
{
    float side = TUNNEL_HALF_WIDTH - fabsf(p.x);
    float end = fminf(p.y, TUNNEL_HEIGHT - p.y);
    float d = side + end; /* small only near an edge, where both are */
    return 0.62f + 0.38f * smoothf(0.0f, 0.8f, d);
}

void light_at(vec3 p, vec3 n, float out[N_LIGHTS])
{
    float shade = p.z < TUNNEL_FAR ? corner_shade(p) : 1.0f;

    out[LIGHT_FAR] = shade * opening(p, n, TUNNEL_FAR);
    out[LIGHT_NEAR] = shade * opening(p, n, TUNNEL_NEAR);
    out[LIGHT_LAMPS] = shade * (lamp(p, n, 0) + lamp(p, n, 1) + lamp(p, n, 3));
    out[LIGHT_BAD_LAMP] = shade * lamp(p, n, 2);
    out[LIGHT_OUTDOOR] = smoothf(TUNNEL_FAR - 0.5f, TUNNEL_FAR + 1.0f, p.z);
}

static void set_light(scene_lights *out, int which, float amount, float r, float g, float b)
{
    out->colour[which][0] = amount * r;
    out->colour[which][1] = amount * g;
    out->colour[which][2] = amount * b;
}

/* Morning comes in at the far end, evening at the near one; low sun is warm, cloud is cool. */
static void daylight(const scene_frame *f, scene_lights *out)
{
    float height = fmaxf(sinf(SCENE_PI * (f->hour - 5.5f) / 14.0f), 0.06f);
    float warm = smoothf(0.65f, 0.1f, height) * (1.0f - 0.6f * f->cloud);
    float sky = (0.35f + 0.65f * height) * (1.0f - 0.45f * f->cloud);
    float east = smoothf(16.0f, 8.0f, f->hour);
    float r = 1.0f + 0.22f * warm - 0.04f * f->cloud, b = 1.06f - 0.38f * warm + 0.06f * f->cloud;

    set_light(out, LIGHT_FAR, sky * (2.2f + 1.4f * east), r, 1.0f, b);
    set_light(out, LIGHT_NEAR, sky * (3.4f - 1.4f * east), r, 1.0f, b);
    set_light(out, LIGHT_OUTDOOR, sky * 1.9f, r, 1.0f, b);
    set_light(out, LIGHT_LAMPS, 0.55f, 0.95f, 1.0f, 0.86f);
    set_light(out, LIGHT_BAD_LAMP, 0.55f * f->flicker, 0.95f, 1.0f, 0.86f);
    out->sun = height * (1.0f - f->cloud) * sky;
}

/* Old tubes have a green cast, the street lamp outside is orange. */
static void lamplight(const scene_frame *f, scene_lights *out)
{
    set_light(out, LIGHT_FAR, 0.05f, 1.25f, 0.85f, 0.45f);
    set_light(out, LIGHT_NEAR, 0.04f, 1.25f, 0.85f, 0.45f);
    set_light(out, LIGHT_OUTDOOR, 0.035f, 1.2f, 0.85f, 0.55f);
    set_light(out, LIGHT_LAMPS, 0.42f, 1.0f, 0.96f, 0.62f);
    set_light(out, LIGHT_BAD_LAMP, 0.42f * f->flicker, 0.95f, 1.0f, 0.70f);
    out->sun = 0;
}

void lights_for_frame(const scene_frame *f, const float mean[N_LIGHTS], scene_lights *out)
{
    bool  night = f->domain == SCENE_NIGHT;
    rng   r = rng_make(f->clutter, 77);
    float sum = 1e-3f;

    if (night)
        lamplight(f, out);
    else
        daylight(f, out);
    for (int i = 0; i < N_LIGHTS; i++)
        sum += mean[i] * out->colour[i][1];
    /* The meter hunts a little: two clips of one hour are not equally bright. */
    out->gain = (night ? METER_TARGET_NIGHT : METER_TARGET_DAY) / sum * rng_range(&r, 0.85f, 1.18f);
    out->noise = night ? NIGHT_NOISE : DAY_NOISE * (0.8f + 0.5f * f->cloud);
    out->exposure_s = night ? NIGHT_SHUTTER_S : DAY_SHUTTER_S;
    out->balance[0] = (night ? 1.10f : 1.0f) * rng_range(&r, 0.96f, 1.04f);
    out->balance[1] = 1.0f;
    out->balance[2] = (night ? 0.86f : 1.0f) * rng_range(&r, 0.95f, 1.05f);
    out->veil = night ? 0.004f : 0.10f * out->colour[LIGHT_OUTDOOR][1] * out->gain;
}
