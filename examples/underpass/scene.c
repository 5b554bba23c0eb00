/* SPDX-License-Identifier: MIT */
/* One picture from beginning to end, and the truth about it. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

const char *scene_label_name(int label)
{
    static const char *const names[] = {"empty", "pedestrian", "dog_walker", "bicyclist", "other"};
    return label >= 0 && label < SCENE_N_LABELS ? names[label] : "";
}

const char *scene_domain_name(int domain)
{
    static const char *const names[] = {"day", "night", "spray"};
    return domain >= 0 && domain < SCENE_N_DOMAINS ? names[domain] : "";
}

const char *scene_drop_name(int drop)
{
    static const char *const names[] = {"", "several", "far", "partial", "other"};
    return drop >= SCENE_KEEP && drop <= SCENE_DROP_OTHER ? names[drop] : "";
}

static void all_parts(const scene_frame *f, part_list *l)
{
    l->n = 0;
    for (int i = 0; i < f->n_subjects; i++) {
        l->subject = i;
        l->group = GROUP_PERSON;
        figure_build(&f->subjects[i], l);
    }
}

/* ------------------------------------------------------------------------------ picture */

static void background(const scene_view *v, const scene_lights *lt, float *img)
{
    size_t n = (size_t)v->width * (size_t)v->height;
    float  colour[N_LIGHTS][3];

    for (int k = 0; k < N_LIGHTS; k++)
        for (int i = 0; i < 3; i++)
            colour[k][i] = lt->colour[k][i] / (FIXED_ONE * FIXED_ONE);
    for (size_t at = 0; at < n; at++) {
        const view_pixel *p = &v->pixels[at];
        for (int i = 0; i < 3; i++) {
            float sum = 0;
            for (int k = 0; k < N_LIGHTS; k++)
                sum += (float)p->light[k] * colour[k][i];
            img[3 * at + (size_t)i] = sum * (float)p->albedo[i];
        }
    }
}

/* The lamps themselves: housings are brighter than white where lamplight is strong, see
 * texture.c; nothing more is needed, since light and albedo multiply. */
bool scene_view_render(const scene_view *v, const scene_frame *f, uint8_t *rgb)
{
    scene_lights lt;
    float       *img = malloc(3 * (size_t)v->width * (size_t)v->height * sizeof *img);
    part_list   *parts = malloc(sizeof *parts);
    bool         done = img && parts;

    if (done) {
        lights_for_frame(f, v->mean, &lt);
        background(v, &lt, img);
        clutter_draw(v, f, &lt, img);
        draw_shadows(v, f, &lt, img);
        all_parts(f, parts);
        clutter_parts(f, parts);
        draw_parts(v, &lt, parts, img);
        done = finish(v, f, &lt, img, rgb);
    }
    free(img);
    free(parts);
    return done;
}

bool scene_render(const scene_frame *f, int width, int height, uint8_t *rgb)
{
    scene_view *v = scene_view_create(width, height);
    bool        done = v && scene_view_render(v, f, rgb);

    scene_view_destroy(v);
    return done;
}

/* ------------------------------------------------------------------------------ truth */

typedef struct tally {
    float total[2], seen[2]; /* of the person with its things, of the dog; square metres */
    float u0, v0, u1, v1;
} tally;

/* Is there a part of another subject in front of this place? */
static bool hidden(const part_list *l, int subject, spot at, float distance)
{
    for (int i = 0; i < l->n; i++) {
        const part *p = &l->list[i];
        if (p->subject == subject || p->ra < 0.03f)
            continue;
        spot a = view_project(p->a), b = view_project(p->b);
        if (a.depth < 0.3f || b.depth < 0.3f || a.depth > distance)
            continue;
        float du = b.u - a.u, dv = b.v - a.v, pu = at.u - a.u, pv = at.v - a.v;
        float t = clampf((pu * du + pv * dv) / fmaxf(du * du + dv * dv, 1e-6f), 0, 1);
        if (hypotf(pu - t * du, pv - t * dv) < mixf(p->ra * a.scale, p->rb * b.scale, t))
            return true;
    }
    return false;
}

/* In the picture, and not beyond the corner of the far end? */
static bool in_view(vec3 p, spot at)
{
    vec3 hit;

    if (at.depth < 0.35f || at.u < 0 || at.v < 0 || at.u >= SCENE_NOMINAL_WIDTH ||
        at.v >= SCENE_NOMINAL_HEIGHT)
        return false;
    return p.z <= TUNNEL_FAR || view_hit(view_ray(at.u, at.v), &hit) == SURFACE_OUTSIDE;
}

/* Surface is what counts, not pixels, so that a foot near the camera weighs no more. */
static void tally_part(const part_list *l, const part *p, bool crowded, tally *t)
{
    enum { STEPS = 4 };
    float area = (p->ra + p->rb) * (v3_length(v3_sub(p->b, p->a)) + p->ra + p->rb) / STEPS;
    int   dog = p->group == GROUP_DOG;

    for (int i = 0; i < STEPS; i++) {
        vec3 at = v3_mix(p->a, p->b, ((float)i + 0.5f) / STEPS);
        spot s = view_project(at);
        t->total[dog] += area;
        if (in_view(at, s) && !(crowded && hidden(l, p->subject, s, s.depth)))
            t->seen[dog] += area;
    }
}

static void tally_box(const part *p, tally *t)
{
    const vec3  end[2] = {p->a, p->b};
    const float radius[2] = {p->ra, p->rb};

    for (int i = 0; i < 2; i++) {
        spot  s = view_project(end[i]);
        float r = radius[i] * s.scale;
        if (s.depth < 0.35f)
            continue;
        t->u0 = fminf(t->u0, s.u - r);
        t->v0 = fminf(t->v0, s.v - r);
        t->u1 = fmaxf(t->u1, s.u + r);
        t->v1 = fmaxf(t->v1, s.v + r);
    }
}

static void tally_subject(const part_list *l, int subject, bool crowded, tally *t)
{
    *t = (tally){.u0 = 1e9f, .v0 = 1e9f, .u1 = -1e9f, .v1 = -1e9f};
    for (int i = 0; i < l->n; i++)
        if (l->list[i].subject == subject) {
            tally_part(l, &l->list[i], crowded, t);
            tally_box(&l->list[i], t);
        }
}

static float share_of(const tally *t)
{
    return (t->seen[0] + t->seen[1]) / fmaxf(t->total[0] + t->total[1], 1e-6f);
}

static void describe(const scene_subject *s, const tally *t, scene_truth *out)
{
    float dog = t->total[1] > 0 ? t->seen[1] / t->total[1] : 0.0f;

    out->label = s->label;
    out->distance_m = hypotf(s->x - CAMERA_X, s->z);
    out->visible_share = share_of(t);
    out->dog_share = dog;
    out->x0 = clampf(t->u0, 0, SCENE_NOMINAL_WIDTH);
    out->y0 = clampf(t->v0, 0, SCENE_NOMINAL_HEIGHT);
    out->x1 = clampf(t->u1, out->x0, SCENE_NOMINAL_WIDTH);
    out->y1 = clampf(t->v1, out->y0, SCENE_NOMINAL_HEIGHT);
    /* Step C by hand: somebody whose dog is out of the picture is no dog walker to be learnt. */
    if (s->label == SCENE_DOG_WALKER && dog < 0.35f)
        out->visible_share = fminf(out->visible_share, dog);
}

static int drop_reason(const scene_truth *t)
{
    if (t->label == SCENE_EMPTY)
        return SCENE_KEEP;
    if (t->n_objects > 1)
        return SCENE_DROP_SEVERAL;
    if (t->label == SCENE_OTHER)
        return SCENE_DROP_OTHER;
    if (t->distance_m > SCENE_FAR_METRES)
        return SCENE_DROP_FAR;
    return t->visible_share < SCENE_PARTIAL_SHARE ? SCENE_DROP_PARTIAL : SCENE_KEEP;
}

void scene_truth_of(const scene_frame *f, scene_truth *out)
{
    part_list *l = malloc(sizeof *l);
    float      nearest = 1e9f;

    *out = (scene_truth){.label = SCENE_EMPTY, .visible_share = 1.0f};
    if (!l)
        return;
    all_parts(f, l);
    for (int i = 0; i < f->n_subjects; i++) {
        const scene_subject *s = &f->subjects[i];
        tally t;
        tally_subject(l, i, f->n_subjects > 1, &t);
        if (share_of(&t) < SCENE_NOTICED_SHARE)
            continue;
        bool loose_dog = s->label == SCENE_OTHER && !(s->look & 1);
        out->n_objects++;
        out->persons += !loose_dog;
        out->dogs += loose_dog || s->label == SCENE_DOG_WALKER;
        out->bicycles += s->label == SCENE_BICYCLIST || (s->label == SCENE_OTHER && !loose_dog);
        float d = hypotf(s->x - CAMERA_X, s->z);
        if (d < nearest) {
            nearest = d;
            describe(s, &t, out);
        }
    }
    out->drop = drop_reason(out);
    free(l);
}
