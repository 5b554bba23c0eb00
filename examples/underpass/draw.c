/* SPDX-License-Identifier: MIT */
/* Capsules, patches and shadows onto the picture, with analytic coverage: no supersampling. */
#include "internal.h"

#include <stdlib.h>

/* A rectangle of pixels. */
typedef struct area {
    int x0, y0, x1, y1; /* x1, y1 are not in it */
} area;

static area area_of(const scene_view *v, float u0, float v0, float u1, float v1)
{
    area a = {(int)clampf(u0 / v->step_x - 1.0f, 0.0f, (float)v->width),
              (int)clampf(v0 / v->step_y - 1.0f, 0.0f, (float)v->height),
              (int)clampf(u1 / v->step_x + 2.0f, 0.0f, (float)v->width),
              (int)clampf(v1 / v->step_y + 2.0f, 0.0f, (float)v->height)};
    return a;
}

/* ------------------------------------------------------------------------------ patches */

static vec3 decal_place(const decal *d, float a, float b)
{
    if (d->surface == SURFACE_FLOOR)
        return v3(a, 0, b);
    return v3(d->surface == SURFACE_LEFT ? -TUNNEL_HALF_WIDTH : TUNNEL_HALF_WIDTH, a, b);
}

static area decal_area(const scene_view *v, const decal *d)
{
    float reach = 1.0f + d->soft, c = cosf(d->turn), s = sinf(d->turn);
    float u0 = 1e9f, v0 = 1e9f, u1 = -1e9f, v1 = -1e9f;

    for (int i = 0; i < 4; i++) {
        float p = d->ra * reach * ((i & 1) ? 1.0f : -1.0f);
        float q = d->rb * reach * ((i & 2) ? 1.0f : -1.0f);
        vec3  at = decal_place(d, d->a + c * p - s * q, d->b + s * p + c * q);
        at.z = fmaxf(at.z, 0.6f);
        spot  k = view_project(at);
        u0 = fminf(u0, k.u);
        u1 = fmaxf(u1, k.u);
        v0 = fminf(v0, k.v);
        v1 = fmaxf(v1, k.v);
    }
    return area_of(v, u0, v0, u1, v1);
}

/* 0..1: how much of the patch lies at a place on its surface. */
static float decal_share(const decal *d, vec3 hit)
{
    float da = (d->surface == SURFACE_FLOOR ? hit.x : hit.y) - d->a, db = hit.z - d->b;
    float c = cosf(d->turn), s = sinf(d->turn);
    float p = fabsf(c * da + s * db) / d->ra, q = fabsf(c * db - s * da) / d->rb;
    float r = d->box ? fmaxf(p, q) : sqrtf(p * p + q * q);

    return 1.0f - smoothf(1.0f - d->soft, 1.0f + d->soft, r);
}

void draw_decal(const scene_view *v, const decal *d, float *img)
{
    area a = decal_area(v, d);

    for (int y = a.y0; y < a.y1; y++) {
        for (int x = a.x0; x < a.x1; x++) {
            size_t at = (size_t)y * (size_t)v->width + (size_t)x;
            vec3   hit;
            if (v->surface[at] != d->surface)
                continue;
            view_hit(view_ray(((float)x + 0.5f) * v->step_x, ((float)y + 0.5f) * v->step_y), &hit);
            float share = decal_share(d, hit);
            if (share <= 0)
                continue;
            for (int i = 0; i < 3; i++) {
                float albedo = (float)v->pixels[at].albedo[i] / FIXED_ONE;
                float *px = &img[3 * at + (size_t)i];
                *px = *px * mixf(1.0f, d->multiply[i], share) + d->add[i] * share * albedo;
            }
        }
    }
}

/* ------------------------------------------------------------------------------ shadows */

static void shadow(const scene_view *v, float x, float z, float rx, float rz, float turn,
                   float dark, float *img)
{
    decal d = {.surface = SURFACE_FLOOR, .a = x, .b = z, .ra = rx, .rb = rz, .turn = turn,
               .soft = 0.6f};
    for (int i = 0; i < 3; i++)
        d.multiply[i] = 1.0f - dark;
    draw_decal(v, &d, img);
}

void draw_shadows(const scene_view *v, const scene_frame *f, const scene_lights *lt, float *img)
{
    float far_light = lt->colour[LIGHT_FAR][1], near_light = lt->colour[LIGHT_NEAR][1];

    for (int i = 0; i < f->n_subjects; i++) {
        const scene_subject *s = &f->subjects[i];
        bool  wheels = s->label == SCENE_BICYCLIST;
        float to_far = fmaxf(TUNNEL_FAR - s->z, 0.5f), to_near = fmaxf(s->z - TUNNEL_NEAR, 0.5f);
        float a = far_light / (1 + to_far * to_far / 14);
        float b = near_light / (1 + to_near * to_near / 14);
        float sum = a + b + 0.15f;

        if (s->z < 0.8f || s->z > TUNNEL_FAR)
            continue;
        /* where the feet stand, and the long ones away from either end */
        shadow(v, s->x, s->z, wheels ? 0.22f : 0.30f, wheels ? 0.75f : 0.26f, 0.0f, 0.62f,
               img);
        shadow(v, s->x, s->z - 0.9f, 0.32f, 1.1f, 0.0f, 0.45f * a / sum, img);
        shadow(v, s->x, s->z + 0.9f, 0.32f, 1.1f, 0.0f, 0.45f * b / sum, img);
        if (s->label == SCENE_DOG_WALKER) {
            part_list *l = malloc(sizeof *l);
            if (!l)
                continue;
            *l = (part_list){.n = 0};
            figure_build(s, l);
            for (int k = 0; k < l->n; k++) /* the first part of the dog is its trunk */
                if (l->list[k].group == GROUP_DOG) {
                    part *p = &l->list[k];
                    shadow(v, p->b.x, p->b.z, 1.3f * p->ra + 0.08f, 2.4f * p->ra + 0.1f, 0, 0.5f,
                           img);
                    break;
                }
            free(l);
        }
    }
}

/* ------------------------------------------------------------------------------ capsules */

/* A part in the picture, with the light that falls on it from six sides (left/right, up/down,
 * towards the camera), which is all that a smooth shape needs. */
typedef struct ready {
    spot  a, b;
    float ra, rb;     /* nominal pixels */
    float smear;      /* how far it moves while the shutter is open, nominal pixels */
    float side[2][3], vertical[2][3], front[3];
} ready;

static void lit(const scene_lights *lt, const part *p, vec3 at, vec3 normal, float out[3])
{
    float l[N_LIGHTS];

    light_at(at, normal, l);
    for (int i = 0; i < 3; i++) {
        float sum = 0;
        for (int k = 0; k < N_LIGHTS; k++)
            sum += l[k] * lt->colour[k][i];
        out[i] = p->colour[i] * (sum + 6.0f * p->emit / fmaxf(lt->gain, 0.2f));
    }
}

static void make_ready(const part *p, const scene_lights *lt, ready *r)
{
    vec3 mid = v3_mix(p->a, p->b, 0.5f);

    r->a = view_project(p->a);
    r->b = view_project(p->b);
    r->ra = p->ra * r->a.scale;
    r->rb = p->rb * r->b.scale;
    spot m0 = view_project(mid), m1 = view_project(v3_mad(mid, lt->exposure_s, p->velocity));
    r->smear = hypotf(m1.u - m0.u, m1.v - m0.v);
    lit(lt, p, mid, v3(-1, 0, 0), r->side[0]);
    lit(lt, p, mid, v3(1, 0, 0), r->side[1]);
    lit(lt, p, mid, v3(0, 1, 0), r->vertical[0]);
    lit(lt, p, mid, v3(0, -1, 0), r->vertical[1]);
    lit(lt, p, mid, v3(0, 0.25f, -0.97f), r->front);
}

/* Share of a box-filtered pixel of the given width that a bar of radius r covers at distance d. */
static float coverage(float d, float r, float width)
{
    float right = clampf((r - d) / width + 0.5f, 0.0f, 1.0f);
    float left = clampf((-r - d) / width + 0.5f, 0.0f, 1.0f);
    return right - left;
}

static void shade_pixel(const part *p, const ready *r, float qx, float qy, float t, float share,
                        float *px)
{
    float round = 1.0f - p->flat;
    float nx = round * clampf(qx, -1, 1), ny = round * clampf(qy, -1, 1);
    float nz2 = fmaxf(1.0f - nx * nx - ny * ny, 0.0f);
    const float *side = r->side[nx > 0], *vertical = r->vertical[ny > 0];
    float band = 1.0f;

    if (p->stripe > 0 && fmodf(t * p->stripe, 1.0f) < 0.4f)
        band = 0.45f;
    for (int i = 0; i < 3; i++) {
        float c = nx * nx * side[i] + ny * ny * vertical[i] + nz2 * r->front[i];
        px[i] = mixf(px[i], c * band, share);
    }
}

static void draw_capsule(const scene_view *v, const part *p, const ready *r, float *img)
{
    float reach = fmaxf(r->ra, r->rb) + 0.5f * r->smear;
    area  a = area_of(v, fminf(r->a.u, r->b.u) - reach, fminf(r->a.v, r->b.v) - reach,
                      fmaxf(r->a.u, r->b.u) + reach, fmaxf(r->a.v, r->b.v) + reach);
    float du = r->b.u - r->a.u, dv = r->b.v - r->a.v;
    float inv = 1.0f / fmaxf(du * du + dv * dv, 1e-6f);
    bool  outside = p->a.z > TUNNEL_FAR;

    for (int y = a.y0; y < a.y1; y++) {
        for (int x = a.x0; x < a.x1; x++) {
            size_t at = (size_t)y * (size_t)v->width + (size_t)x;
            float  pu = ((float)x + 0.5f) * v->step_x - r->a.u;
            float  pv = ((float)y + 0.5f) * v->step_y - r->a.v;
            float  t = clampf((pu * du + pv * dv) * inv, 0.0f, 1.0f);
            float  qu = pu - t * du, qv = pv - t * dv, d = sqrtf(qu * qu + qv * qv);
            float  radius = mixf(r->ra, r->rb, t);
            /* a pixel of a squeezed picture is not square: its width seen across the edge */
            float  width = d > 1e-3f ? (fabsf(qu) * v->step_x + fabsf(qv) * v->step_y) / d
                                     : fmaxf(v->step_x, v->step_y);
            if (outside && v->surface[at] != SURFACE_OUTSIDE)
                continue;
            float share = coverage(d, radius, width + r->smear);
            if (share > 0.002f) {
                float k = 1.0f / fmaxf(radius, 0.5f * width);
                shade_pixel(p, r, qu * k, -qv * k, t, share, &img[3 * at]);
            }
        }
    }
}

static float part_distance(const part *p)
{
    vec3 d = v3_sub(v3_mix(p->a, p->b, 0.5f), v3(CAMERA_X, CAMERA_Y, 0));
    return v3_length(d);
}

/* Farthest first; qsort is not stable, so equals are told apart by everything they have. */
static int farther(const void *x, const void *y)
{
    const part *a = x, *b = y;
    float       da = part_distance(a), db = part_distance(b);

    if (da != db)
        return da < db ? 1 : -1;
    if (a->ra != b->ra)
        return a->ra < b->ra ? -1 : 1;
    return (a->a.x > b->a.x) - (a->a.x < b->a.x);
}

void draw_parts(const scene_view *v, const scene_lights *lt, part_list *l, float *img)
{
    qsort(l->list, (size_t)l->n, sizeof l->list[0], farther);
    for (int i = 0; i < l->n; i++) {
        ready r;
        make_ready(&l->list[i], lt, &r);
        if (r.a.depth > 0.35f && r.b.depth > 0.35f)
            draw_capsule(v, &l->list[i], &r, img);
    }
}
