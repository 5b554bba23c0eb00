/* SPDX-License-Identifier: MIT */
/**
 * @file vec.h
 * Three floats, and the counter-based random numbers of the renderer.
 *
 * World axes: x to the right, y up, z into the underpass, in metres; the camera stands at z = 0.
 * A random number is a pure function of (key, counter), so a frame looks the same no matter in
 * which order, or on which thread, it is drawn.
 */
#ifndef UNDERPASS_VEC_H
#define UNDERPASS_VEC_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define SCENE_PI 3.14159265f

typedef struct vec3 {
    float x, y, z;
} vec3;

static inline vec3 v3(float x, float y, float z)
{
    return (vec3){x, y, z};
}

static inline vec3 v3_add(vec3 a, vec3 b)
{
    return v3(a.x + b.x, a.y + b.y, a.z + b.z);
}

static inline vec3 v3_sub(vec3 a, vec3 b)
{
    return v3(a.x - b.x, a.y - b.y, a.z - b.z);
}

static inline vec3 v3_scale(vec3 a, float s)
{
    return v3(a.x * s, a.y * s, a.z * s);
}

/** a + s * b */
static inline vec3 v3_mad(vec3 a, float s, vec3 b)
{
    return v3(a.x + s * b.x, a.y + s * b.y, a.z + s * b.z);
}

static inline float v3_dot(vec3 a, vec3 b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

static inline float v3_length(vec3 a)
{
    return sqrtf(v3_dot(a, a));
}

static inline vec3 v3_mix(vec3 a, vec3 b, float t)
{
    return v3_mad(v3_scale(a, 1.0f - t), t, b);
}

static inline float clampf(float v, float lo, float hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static inline float mixf(float a, float b, float t)
{
    return a + (b - a) * t;
}

/** 0 below @p lo, 1 above @p hi, smooth between. */
static inline float smoothf(float lo, float hi, float v)
{
    float t = clampf((v - lo) / (hi - lo), 0.0f, 1.0f);
    return t * t * (3.0f - 2.0f * t);
}

/** Two 64-bit words into one in which every input bit reaches every output bit. */
static inline uint64_t rng_hash(uint64_t key, uint64_t counter)
{
    uint64_t v = key ^ (counter * 0x9E3779B97F4A7C15u + 0x7F4A7C15u);
    v = (v ^ (v >> 32)) * 0xD6E8FEB86659FD93u;
    v = (v ^ (v >> 32)) * 0xD6E8FEB86659FD93u;
    return v ^ (v >> 32);
}

/** A stream of numbers with a key of its own. */
typedef struct rng {
    uint64_t key, counter;
} rng;

static inline rng rng_make(uint64_t key, uint64_t stream)
{
    return (rng){rng_hash(rng_hash(key, stream), 0x5CE4E5u), 0};
}

/** Uniform in [0, 1), of 24 bits. */
static inline float rng_unit(rng *r)
{
    return (float)(rng_hash(r->key, r->counter++) >> 40) * (1.0f / 16777216.0f);
}

static inline float rng_range(rng *r, float lo, float hi)
{
    return lo + (hi - lo) * rng_unit(r);
}

static inline bool rng_chance(rng *r, float p)
{
    return rng_unit(r) < p;
}

/** Whole number in [0, n). */
static inline int rng_below(rng *r, int n)
{
    return (int)(rng_unit(r) * (float)n);
}

/** Near enough normal, mean 0, deviation 1, within +-3.5: the sum of four uniforms. */
static inline float rng_normal(rng *r)
{
    float s = rng_unit(r) + rng_unit(r) + rng_unit(r) + rng_unit(r);
    return (s - 2.0f) * 1.7320508f;
}

/** Smooth noise in 0..1 with features of about one unit. */
float noise2(float x, float y, uint64_t seed);

/** Three octaves of noise2(), in 0..1. */
float noise2_rough(float x, float y, uint64_t seed);

#endif /* UNDERPASS_VEC_H */
