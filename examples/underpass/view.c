/* SPDX-License-Identifier: MIT */
/* The fixed camera: projection both ways, and the empty underpass sampled once per size. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* Rows of the camera's rotation: where its right, up and forward point in the world. */
typedef struct axes {
    vec3 right, up, forward;
} axes;

static axes camera_axes(void)
{
    float cp = cosf(CAMERA_PITCH), sp = sinf(CAMERA_PITCH);
    float cy = cosf(CAMERA_YAW), sy = sinf(CAMERA_YAW);
    return (axes){v3(cy, 0, -sy), v3(sy * sp, cp, cy * sp), v3(sy * cp, -sp, cy * cp)};
}

spot view_project(vec3 p)
{
    axes  c = camera_axes();
    vec3  d = v3_sub(p, v3(CAMERA_X, CAMERA_Y, 0));
    float depth = v3_dot(d, c.forward);
    float scale = CAMERA_FOCAL / fmaxf(depth, 0.05f);
    return (spot){0.5f * SCENE_NOMINAL_WIDTH + scale * v3_dot(d, c.right),
                  0.5f * SCENE_NOMINAL_HEIGHT - scale * v3_dot(d, c.up), scale, depth};
}

vec3 view_ray(float u, float v)
{
    axes  c = camera_axes();
    float x = (u - 0.5f * SCENE_NOMINAL_WIDTH) / CAMERA_FOCAL;
    float y = (0.5f * SCENE_NOMINAL_HEIGHT - v) / CAMERA_FOCAL;
    return v3_mad(v3_mad(c.forward, x, c.right), y, c.up);
}

int view_hit(vec3 ray, vec3 *hit)
{
    vec3  eye = v3(CAMERA_X, CAMERA_Y, 0);
    int   surface = SURFACE_OUTSIDE;
    float t = ray.z > 1e-4f ? TUNNEL_FAR / ray.z : 1e9f;
    float ty = ray.y < 0 ? -eye.y / fminf(ray.y, -1e-6f)
                         : (TUNNEL_HEIGHT - eye.y) / fmaxf(ray.y, 1e-6f);
    float tx = ray.x < 0 ? (-TUNNEL_HALF_WIDTH - eye.x) / fminf(ray.x, -1e-6f)
                         : (TUNNEL_HALF_WIDTH - eye.x) / fmaxf(ray.x, 1e-6f);
    if (ty < t) {
        t = ty;
        surface = ray.y < 0 ? SURFACE_FLOOR : SURFACE_CEILING;
    }
    if (tx < t) {
        t = tx;
        surface = ray.x < 0 ? SURFACE_LEFT : SURFACE_RIGHT;
    }
    *hit = v3_mad(eye, t, ray);
    return surface;
}

/* Colour and light at one place of the nominal picture, added to a running sum. */
static void sample_add(float u, float v, float albedo[3], float light[N_LIGHTS])
{
    vec3  hit, ray = view_ray(u, v);
    int   surface = view_hit(ray, &hit);
    float a[3], l[N_LIGHTS] = {0};

    texture_albedo(surface, hit, ray, a);
    if (surface == SURFACE_OUTSIDE)
        l[LIGHT_OUTDOOR] = 1.0f;
    else
        light_at(hit, surface_normal(surface), l);
    for (int i = 0; i < 3; i++)
        albedo[i] += a[i];
    for (int i = 0; i < N_LIGHTS; i++)
        light[i] += l[i];
}

static uint16_t to_fixed(float v)
{
    return (uint16_t)(clampf(v, 0.0f, 3.99f) * FIXED_ONE + 0.5f);
}

static void fill_pixel(scene_view *view, int x, int y, int grid)
{
    float       albedo[3] = {0}, light[N_LIGHTS] = {0};
    float       share = 1.0f / (float)(grid * grid);
    size_t      at = (size_t)y * (size_t)view->width + (size_t)x;
    vec3        hit;
    view_pixel *p = &view->pixels[at];

    for (int i = 0; i < grid * grid; i++) {
        float fx = ((float)(i % grid) + 0.5f) / (float)grid;
        float fy = ((float)(i / grid) + 0.5f) / (float)grid;
        sample_add(((float)x + fx) * view->step_x, ((float)y + fy) * view->step_y, albedo, light);
    }
    for (int i = 0; i < 3; i++)
        p->albedo[i] = to_fixed(albedo[i] * share);
    for (int i = 0; i < N_LIGHTS; i++)
        p->light[i] = to_fixed(light[i] * share);
    view->surface[at] = (uint8_t)view_hit(
        view_ray(((float)x + 0.5f) * view->step_x, ((float)y + 0.5f) * view->step_y), &hit);
}

/* The camera meters the empty scene on a coarse grid, the same for every size drawn. */
static void measure(scene_view *view)
{
    enum { COLUMNS = 32, ROWS = 18 };
    for (int i = 0; i < COLUMNS * ROWS; i++) {
        float albedo[3] = {0}, light[N_LIGHTS] = {0};
        sample_add(((float)(i % COLUMNS) + 0.5f) * SCENE_NOMINAL_WIDTH / COLUMNS,
                   ((float)(i / COLUMNS) + 0.5f) * SCENE_NOMINAL_HEIGHT / ROWS, albedo, light);
        for (int k = 0; k < N_LIGHTS; k++)
            view->mean[k] += light[k] * (albedo[0] + albedo[1] + albedo[2]) / (3 * COLUMNS * ROWS);
    }
}

scene_view *scene_view_create(int width, int height)
{
    if (width < 8 || height < 8 || width > 8192 || height > 8192)
        return NULL;
    scene_view *v = calloc(1, sizeof *v);
    size_t      n = (size_t)width * (size_t)height;
    if (!v)
        return NULL;
    v->width = width;
    v->height = height;
    v->step_x = (float)SCENE_NOMINAL_WIDTH / (float)width;
    v->step_y = (float)SCENE_NOMINAL_HEIGHT / (float)height;
    v->pixels = malloc(n * sizeof *v->pixels);
    v->surface = malloc(n);
    if (!v->pixels || !v->surface) {
        scene_view_destroy(v);
        return NULL;
    }
    /* The smaller the picture, the more of the texture falls into one pixel. */
    int grid = n <= 100000 ? 4 : n <= 600000 ? 3 : 2;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            fill_pixel(v, x, y, grid);
    measure(v);
    return v;
}

void scene_view_destroy(scene_view *v)
{
    if (!v)
        return;
    free(v->pixels);
    free(v->surface);
    free(v);
}
