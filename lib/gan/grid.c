/* SPDX-License-Identifier: MIT */
/* A sheet of pictures: one row each, four columns: as it is, translated, carried back, and what the
 * generator of the other direction makes of it.  One picture at a time runs through plans of both
 * generators, so that a picture looks the same on any sheet. */
#include "data/image.h"
#include "gan/gan.h"

#include <string.h>

enum { GAP = 2, COLUMNS = 4, WHITE = 255 };

typedef struct grid {
    ev_cyclegan *gan;
    int32_t width, height, rows;
    ev_plan *plans[2]; /* by direction */
    ev_session *sessions[2];
    ev_tensor *picture;    /* [1,C,H,W] */
    ev_tensor *translated; /* a copy: sessions use their outputs again */
    ev_image *sheet;
} grid;

/* ---- make ready ------------------------------------------------------------------------------ */

static ev_status check_items(const char *name, const ev_dataset *set, const int32_t *items,
                             int32_t n)
{
    int32_t size = set != NULL ? ev_dataset_size(set) : 0;
    if (n < 0 || (set != NULL && items == NULL && n > size))
        return evi_fail(EV_ERR_ARGUMENT, "ev_cyclegan_grid: n_%s is %d, the set has %d pictures",
                        name, (int)n, (int)size);
    for (int32_t i = 0; set != NULL && items != NULL && i < n; i++)
        if (items[i] < 0 || items[i] >= size)
            return evi_fail(EV_ERR_ARGUMENT,
                            "ev_cyclegan_grid: items_%s[%d] is %d, the set has items 0..%d", name,
                            (int)i, (int)items[i], (int)size - 1);
    return EV_OK;
}

static ev_status make_sessions(grid *g)
{
    ev_context *ctx = g->gan->handle.ctx;
    ev_plan_options o;
    EV_OPTIONS_INIT(&o);
    o.max_batch = 1;
    o.precise = g->gan->o.o.precise;
    for (int32_t i = 0; i < 2; i++) {
        EVI_TRY(ev_plan_create(ctx, g->gan->nets.generators[i], &o, &g->plans[i]));
        EVI_TRY(ev_session_create(g->plans[i], &g->sessions[i]));
    }
    return EV_OK;
}

static ev_status make_sheet(grid *g)
{
    int64_t width = COLUMNS * (int64_t)g->width + (COLUMNS - 1) * GAP;
    int64_t height = g->rows * (int64_t)g->height + (g->rows - 1) * (int64_t)GAP;
    if (width > EV_IMAGE_MAX_SIDE || height > EV_IMAGE_MAX_SIDE)
        return evi_fail(EV_ERR_ARGUMENT,
                        "ev_cyclegan_grid: %d rows make a sheet of %lld x %lld pixels, over %d: "
                        "show fewer pictures",
                        (int)g->rows, (long long)width, (long long)height, EV_IMAGE_MAX_SIDE);
    EVI_TRY(ev_image_create(g->gan->handle.ctx, (int32_t)width, (int32_t)height, EV_PIXEL_RGB,
                            &g->sheet));
    for (int32_t y = 0; y < (int32_t)height; y++)
        memset(evi_image_row(g->sheet, y), WHITE, 3 * (size_t)width);
    return EV_OK;
}

static ev_status start(grid *g)
{
    const int64_t dims[4] = {1, g->gan->o.g.channels, g->height, g->width};
    ev_context *ctx = g->gan->handle.ctx;
    EVI_TRY(make_sheet(g));
    EVI_TRY(make_sessions(g));
    EVI_TRY(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &g->picture));
    return ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &g->translated);
}

static void end(grid *g)
{
    for (int32_t i = 0; i < 2; i++) {
        ev_session_destroy(g->sessions[i]);
        ev_plan_destroy(g->plans[i]);
    }
    ev_tensor_destroy(g->picture);
    ev_tensor_destroy(g->translated);
    ev_image_destroy(g->sheet);
}

/* ---- draw ------------------------------------------------------------------------------------ */

static void pixel_options(ev_pixel_options *o)
{
    EV_OPTIONS_INIT(o);
    for (int32_t c = 0; c < 3; c++)
        o->mean[c] = o->std[c] = 0.5f;
}

static ev_status show(grid *g, const ev_tensor *x, int32_t row, int32_t column)
{
    ev_pixel_options pixels;
    ev_image *image = NULL;
    pixel_options(&pixels);
    EVI_TRY(ev_tensor_to_image(x, 0, &pixels, &image));
    int64_t left = 3 * (int64_t)column * (g->width + GAP);
    int64_t top = row * (int64_t)(g->height + GAP);
    for (int32_t y = 0; y < g->height; y++)
        evi_row_convert(image, y, EV_PIXEL_RGB, evi_image_row(g->sheet, top + y) + left);
    ev_image_destroy(image);
    return EV_OK;
}

static ev_status translate(grid *g, int32_t direction, const ev_tensor *x, const ev_tensor **out)
{
    EVI_TRY(ev_session_run(g->sessions[direction], &x, 1, NULL, 0));
    *out = ev_session_output(g->sessions[direction], 0);
    return EV_OK;
}

/* direction: of the generator that carries this set's pictures over. */
static ev_status draw_row(grid *g, int32_t direction, int32_t row)
{
    const ev_tensor *made = NULL;
    int32_t back = direction == EV_A_TO_B ? EV_B_TO_A : EV_A_TO_B;
    EVI_TRY(show(g, g->picture, row, 0));
    EVI_TRY(translate(g, direction, g->picture, &made));
    memcpy(g->translated->data, made->data, (size_t)g->translated->n_bytes);
    EVI_TRY(show(g, g->translated, row, 1));
    EVI_TRY(translate(g, back, g->translated, &made));
    EVI_TRY(show(g, made, row, 2));
    EVI_TRY(translate(g, back, g->picture, &made));
    return show(g, made, row, 3);
}

static ev_status draw_set(grid *g, int32_t direction, const ev_dataset *set, const int32_t *items,
                          int32_t n, int32_t first_row)
{
    ev_pixel_options pixels;
    pixel_options(&pixels);
    for (int32_t i = 0; i < n; i++) {
        ev_image *image = NULL;
        EVI_TRY(ev_dataset_image(set, items != NULL ? items[i] : i, NULL, &image));
        ev_status status = ev_image_to_tensor(image, &pixels, g->picture, 0);
        ev_image_destroy(image);
        EVI_TRY(status);
        EVI_TRY(draw_row(g, direction, first_row + i));
    }
    return EV_OK;
}

ev_status ev_cyclegan_grid(ev_cyclegan *gan, ev_dataset *a, const int32_t *items_a, int32_t n_a,
                           ev_dataset *b, const int32_t *items_b, int32_t n_b, ev_image **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(gan, EVI_MAGIC_CYCLEGAN);
    if (a != NULL)
        EVI_CHECK_HANDLE(a, EVI_MAGIC_DATASET);
    if (b != NULL)
        EVI_CHECK_HANDLE(b, EVI_MAGIC_DATASET);
    EVI_TRY(check_items("a", a, items_a, n_a));
    EVI_TRY(check_items("b", b, items_b, n_b));
    n_a = a != NULL ? n_a : 0;
    n_b = b != NULL ? n_b : 0;
    if (n_a == 0 && n_b == 0)
        return evi_fail(EV_ERR_ARGUMENT, "%s: there is nothing to show: name pictures of a set",
                        __func__);
    if ((int64_t)n_a + n_b > EV_IMAGE_MAX_SIDE)
        return evi_fail(EV_ERR_ARGUMENT, "%s: %lld rows are too many", __func__,
                        (long long)n_a + n_b);
    grid g = {.gan = gan, .width = gan->o.o.width, .height = gan->o.o.height, .rows = n_a + n_b};
    ev_status status = start(&g);
    if (status == EV_OK && n_a > 0)
        status = draw_set(&g, EV_A_TO_B, a, items_a, n_a, 0);
    if (status == EV_OK && n_b > 0)
        status = draw_set(&g, EV_B_TO_A, b, items_b, n_b, n_a);
    if (status == EV_OK) {
        *out = g.sheet;
        g.sheet = NULL;
    }
    end(&g);
    return status;
}
