/* SPDX-License-Identifier: MIT */
/* Pictures through a generator.  A picture that keeps its size is filled up by repeating its border
 * and goes through a plan of that size, or, tile by tile, through one of a tile's size: rows of
 * tiles are summed up, each pixel times its share, in a strip as high as a tile. */
#include "domain/domain.h"
#include <string.h>

enum { TILE_STEP = 16, OVERLAP = 32, LONGEST = EV_IMAGE_MAX_SIDE / 4 * 4 };

struct ev_translator {
    evi_handle handle;
    ev_model *model;
    ev_translator_options o;
    evi_domain_input in;
    evi_pixel_map map;
    /* made ready for the size of the last picture */
    int32_t width, height; /* 0: none */
    evi_tiling x, y;
    evi_stage stage;
    uint8_t *piece;   /* a tile's bytes, where it hangs over the picture's end */
    ev_tensor *strip; /* [1,C,tile,width]; NULL: the whole picture at once */
    evi_real *shares; /* of a tile's columns */
};

/* ---- make ------------------------------------------------------------------------------------ */

static ev_status read_options(const ev_translator_options *opt, ev_translator_options *o)
{
    const char *const name = "ev_translator_create";
    EVI_TRY(evi_options_read(o, (uint32_t)sizeof(*o), opt, name));
    EVI_CHECK_RESERVED(o->reserved, name);
    if (o->fit < EV_FIT_KEEP || o->fit > EV_FIT_BACK)
        return evi_fail(EV_ERR_ARGUMENT, "%s: fit %d is no EV_FIT_*", name, (int)o->fit);
    if (o->tile != 0 && (o->tile < 16 || o->tile > 65535))
        return evi_fail(EV_ERR_ARGUMENT, "%s: tile %d is not in 16..65535", name, (int)o->tile);
    if (o->overlap > (o->tile != 0 ? o->tile / 2 : 32767))
        return evi_fail(EV_ERR_ARGUMENT, "%s: overlap %d is more than half of the tile, %d", name,
                        (int)o->overlap, (int)o->tile / 2);
    o->tile = (o->tile + 3) / 4 * 4;
    return EV_OK;
}

static ev_status check_fit(const ev_translator *t)
{
    if (t->o.fit != EV_FIT_KEEP && (t->in.width == 0 || t->in.height == 0))
        return evi_fail(EV_ERR_SHAPE,
                        "ev_translator_create: the generator does not say for which size it was "
                        "drawn: use EV_FIT_KEEP, or ev_model_set_preprocess() with a size");
    return EV_OK;
}

ev_status ev_translator_create(ev_context *ctx, ev_model *generator,
                               const ev_translator_options *opt, ev_translator **out)
{
    ev_translator_options o;
    evi_domain_input in;
    ev_translator *t = NULL;
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_HANDLE(generator, EVI_MAGIC_MODEL);
    EVI_TRY(read_options(opt, &o));
    EVI_TRY(evi_domain_input_read(generator, true, __func__, "generator", &in));
    EVI_TRY(evi_calloc(ctx, 1, sizeof(*t), &t));
    evi_handle_start(&t->handle, EVI_MAGIC_TRANSLATOR, ctx);
    t->model = ev_model_ref(generator);
    t->o = o;
    t->in = in;
    ev_status status = check_fit(t);
    if (status == EV_OK)
        status = evi_pixel_map_make(&in.pixels, in.channels, __func__, &t->map);
    if (status != EV_OK)
        ev_translator_destroy(t);
    else
        *out = t;
    return status;
}

/* Nothing is ready any more. */
static void clear(ev_translator *t)
{
    evi_stage_end(&t->stage);
    evi_free(t->piece);
    evi_free(t->shares);
    ev_tensor_destroy(t->strip);
    t->piece = NULL;
    t->shares = NULL;
    t->strip = NULL;
    t->width = t->height = 0;
}

void ev_translator_destroy(ev_translator *translator)
{
    if (!evi_handle_drop(translator, EVI_MAGIC_TRANSLATOR))
        return;
    clear(translator);
    ev_model_destroy(translator->model);
    evi_handle_end(translator);
}

/* ---- a plan for this size -------------------------------------------------------------------- */

/* tile 0: the whole picture, unless no picture can be as long as it is when filled up. */
static void lay_out(ev_translator *t, int32_t width, int32_t height, int32_t tile)
{
    if ((tile == 0 || tile > LONGEST) && (width > LONGEST || height > LONGEST))
        tile = LONGEST;
    int32_t wide = t->in.any_width ? tile : t->in.width;
    int32_t high = t->in.any_height ? tile : t->in.height;
    int32_t overlap[2] = {wide, high};
    for (int32_t i = 0; i < 2; i++) {
        int32_t side = overlap[i];
        if (t->o.overlap == 0)
            overlap[i] = EVI_MIN(OVERLAP, side / 4);
        else
            overlap[i] = EVI_MIN(t->o.overlap, side / 2);
    }
    evi_tiling_make(width, wide, !t->in.any_width, overlap[0], &t->x);
    evi_tiling_make(height, high, !t->in.any_height, overlap[1], &t->y);
}

static ev_status need(const ev_translator *t, uint64_t *bytes)
{
    return evi_stage_bytes(t->handle.ctx, t->model, &t->in, t->x.tile, t->y.tile, 1, t->o.precise,
                           bytes);
}

/* The largest tile within max_bytes: halving between what fits and what does not. */
static ev_status fit_tile(ev_translator *t, int32_t width, int32_t height, int32_t most)
{
    uint64_t bytes = 0;
    int32_t low = 0, high = (most + TILE_STEP - 1) / TILE_STEP; /* times TILE_STEP */
    while (high - low > 1) {
        int32_t middle = low + (high - low) / 2;
        lay_out(t, width, height, middle * TILE_STEP);
        EVI_TRY(need(t, &bytes));
        if (bytes <= t->o.max_bytes)
            low = middle;
        else
            high = middle;
    }
    lay_out(t, width, height, EVI_MAX(low, 1) * TILE_STEP);
    EVI_TRY(need(t, &bytes));
    if (bytes > t->o.max_bytes)
        return evi_fail(EV_ERR_MEMORY, "a tile of %dx%d needs %llu bytes, max_bytes is %llu",
                        (int)t->x.tile, (int)t->y.tile, (unsigned long long)bytes,
                        (unsigned long long)t->o.max_bytes);
    return EV_OK;
}

static ev_status choose_tiles(ev_translator *t, int32_t width, int32_t height)
{
    uint64_t bytes = 0;
    lay_out(t, width, height, t->o.tile);
    if (t->o.max_bytes != 0) {
        EVI_TRY(need(t, &bytes));
        if (bytes > t->o.max_bytes)
            EVI_TRY(fit_tile(t, width, height, EVI_MAX(t->x.tile, t->y.tile)));
    }
    if (t->x.n * t->y.n > 1)
        evi_log(t->handle.ctx, EV_LOG_INFO,
                "translator: a picture of %dx%d goes through %dx%d tiles of %dx%d pixels",
                (int)width, (int)height, (int)t->x.n, (int)t->y.n, (int)t->x.tile, (int)t->y.tile);
    return EV_OK;
}

static ev_status check_output(const ev_translator *t)
{
    char from[EVI_SHAPE_TEXT], to[EVI_SHAPE_TEXT];
    const ev_plan *plan = t->stage.session->plan;
    const evi_shape *in = &plan->values[plan->inputs[0]].edge.shape;
    const evi_shape *made = &plan->values[plan->outputs[0]].edge.shape;
    if (evi_shape_equal(in, made))
        return EV_OK;
    return evi_fail(EV_ERR_SHAPE, "the generator makes %s of %s, not the same shape",
                    evi_shape_text(made, to), evi_shape_text(in, from));
}

static ev_status start_stage(ev_translator *t, int32_t width, int32_t height)
{
    if (t->stage.width == width && t->stage.height == height)
        return EV_OK;
    evi_stage_end(&t->stage);
    EVI_TRY(evi_stage_start(t->handle.ctx, t->model, &t->in, width, height, 1, t->o.precise,
                            &t->stage));
    ev_status status = check_output(t);
    if (status != EV_OK)
        evi_stage_end(&t->stage);
    return status;
}

static ev_status make_ready(ev_translator *t, int32_t width, int32_t height)
{
    ev_context *ctx = t->handle.ctx;
    uint64_t bytes = (uint64_t)t->x.tile * (uint64_t)t->y.tile * (uint64_t)t->in.channels;
    const int64_t dims[4] = {1, t->in.channels, t->y.tile, width};
    EVI_TRY(start_stage(t, t->x.tile, t->y.tile));
    if (t->x.size != width || t->y.size != height)
        EVI_TRY(evi_malloc(ctx, bytes, 1, &t->piece));
    if (t->x.n * t->y.n == 1)
        return EV_OK;
    EVI_TRY(evi_malloc(ctx, (uint64_t)t->x.tile, sizeof(evi_real), &t->shares));
    return ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &t->strip);
}

/* Tiles may help where the whole picture at once was too much. */
static ev_status explain(const ev_translator *t, ev_status status, int32_t width, int32_t height)
{
    bool too_much = status == EV_ERR_MEMORY || (int64_t)width * height > EV_IMAGE_MAX_PIXELS / 16;
    bool whole = t->o.tile == 0 && t->o.max_bytes == 0 && too_much;
    return evi_fail_in(status, "ev_translator_run: a picture of %dx%d%s", (int)width, (int)height,
                       whole ? " at once (tiles take less: ev_translator_options.tile, max_bytes)"
                             : "");
}

static ev_status prepare(ev_translator *t, int32_t width, int32_t height)
{
    if (t->width == width && t->height == height)
        return EV_OK;
    /* The plan may be the one for this size, too: tiles of the same size, or a fixed one. */
    evi_stage kept = t->stage;
    t->stage = (evi_stage){0};
    clear(t);
    if (t->o.max_bytes != 0)
        evi_stage_end(&kept); /* what is free decides */
    t->stage = kept;
    ev_status status = choose_tiles(t, width, height);
    if (status == EV_OK)
        status = make_ready(t, width, height);
    if (status != EV_OK) {
        clear(t);
        return explain(t, status, width, height);
    }
    t->width = width;
    t->height = height;
    return EV_OK;
}

/* ---- tiles in, tiles out --------------------------------------------------------------------- */

/* Bytes of the part at x0, y0 as floats for the generator; beyond its end the picture goes on as
 * its last column and row. */
static void fill(ev_translator *t, const ev_image *plain, int32_t x0, int32_t y0)
{
    int32_t wide = t->x.tile, high = t->y.tile, channels = t->in.channels;
    int32_t inside = EVI_MIN(wide, plain->width - x0);
    if (inside == wide && y0 + high <= plain->height) {
        evi_pixel_map_apply(&t->map, evi_image_row(plain, y0) + (int64_t)x0 * channels,
                            plain->stride, wide, high, t->stage.input->data);
        return;
    }
    int64_t row_bytes = (int64_t)wide * channels;
    for (int32_t y = 0; y < high; y++) {
        const uint8_t *row = evi_image_row(plain, EVI_MIN(y0 + y, plain->height - 1));
        uint8_t *to = t->piece + y * row_bytes;
        if (inside > 0)
            memcpy(to, row + (int64_t)x0 * channels, (size_t)inside * (size_t)channels);
        for (int32_t x = EVI_MAX(inside, 0); x < wide; x++)
            memcpy(to + (int64_t)x * channels, row + (int64_t)(plain->width - 1) * channels,
                   (size_t)channels);
    }
    evi_pixel_map_apply(&t->map, t->piece, row_bytes, wide, high, t->stage.input->data);
}

/* Add a tile to the strip, each pixel times its share. */
static void add_tile(ev_translator *t, int32_t i, int32_t j)
{
    int32_t x0 = evi_tiling_start(&t->x, i), y0 = evi_tiling_start(&t->y, j);
    int32_t wide = t->x.tile, high = t->y.tile, inside = EVI_MIN(wide, t->width - x0);
    const evi_real *from = ev_session_output(t->stage.session, 0)->data;
    evi_real *strip = t->strip->data;
    for (int32_t x = 0; x < inside; x++)
        t->shares[x] = (evi_real)evi_tiling_weight(&t->x, i, x0 + x);
    for (int32_t c = 0; c < t->in.channels; c++)
        for (int32_t y = 0; y < high; y++) {
            evi_real share = (evi_real)evi_tiling_weight(&t->y, j, y0 + y);
            const evi_real *row = from + ((int64_t)c * high + y) * wide;
            evi_real *to = strip + ((int64_t)c * high + y) * t->width + x0;
            for (int32_t x = 0; share > 0 && x < inside; x++)
                to[x] += share * t->shares[x] * row[x];
        }
}

/* Rows of the strip that no later tile touches into the picture; the others move to its top. */
static ev_status give_rows(ev_translator *t, int32_t j, ev_image *image)
{
    ev_image *part = NULL;
    int32_t high = t->y.tile, y0 = evi_tiling_start(&t->y, j);
    int32_t next = j + 1 < t->y.n ? evi_tiling_start(&t->y, j + 1) : t->y.size;
    int32_t done = EVI_MIN(next, t->height) - y0;
    EVI_TRY(ev_tensor_to_image(t->strip, 0, &t->in.pixels, &part));
    for (int32_t y = 0; y < done; y++)
        memcpy(evi_image_row(image, y0 + y), evi_image_row(part, y),
               (size_t)t->width * (size_t)t->in.channels);
    ev_image_destroy(part);
    size_t row = (size_t)t->width * sizeof(evi_real);
    size_t rest = (size_t)EVI_MAX(high - (next - y0), 0) * row;
    for (int32_t c = 0; c < t->in.channels; c++) {
        char *plane = (char *)t->strip->data + (size_t)c * (size_t)high * row;
        memmove(plane, plane + (size_t)high * row - rest, rest);
        memset(plane + rest, 0, (size_t)high * row - rest);
    }
    return EV_OK;
}

static ev_status run_tiles(ev_translator *t, const ev_image *plain, ev_image *image)
{
    memset(t->strip->data, 0, (size_t)t->strip->n_bytes);
    for (int32_t j = 0; j < t->y.n; j++) {
        for (int32_t i = 0; i < t->x.n; i++) {
            fill(t, plain, evi_tiling_start(&t->x, i), evi_tiling_start(&t->y, j));
            EVI_TRY(evi_stage_run(&t->stage, 1));
            add_tile(t, i, j);
        }
        EVI_TRY(give_rows(t, j, image));
    }
    return EV_OK;
}

static ev_status run_whole(ev_translator *t, const ev_image *plain, ev_image **out)
{
    ev_image *made = NULL;
    fill(t, plain, 0, 0);
    EVI_TRY(evi_stage_run(&t->stage, 1));
    EVI_TRY(ev_tensor_to_image(ev_session_output(t->stage.session, 0), 0, &t->in.pixels, &made));
    if (made->width == t->width && made->height == t->height) {
        *out = made;
        return EV_OK;
    }
    ev_status status = ev_image_crop(made, 0, 0, t->width, t->height, out);
    ev_image_destroy(made);
    return status;
}

/* ---- run ------------------------------------------------------------------------------------- */

static ev_status run_keep(ev_translator *t, const ev_image *image, ev_image **out)
{
    ev_image *plain = NULL;
    EVI_TRY(prepare(t, image->width, image->height));
    EVI_TRY(evi_image_as(image, t->map.format, &plain));
    ev_status status = EV_OK;
    if (t->strip == NULL) {
        status = run_whole(t, plain, out);
    } else {
        int32_t format = t->in.channels == 1 ? EV_PIXEL_GREY : EV_PIXEL_RGB;
        status = evi_image_new(t->handle.ctx, t->width, t->height, format, out);
        if (status == EV_OK)
            status = run_tiles(t, plain, *out);
    }
    ev_image_destroy(plain);
    return status;
}

static ev_status run_at_drawn_size(ev_translator *t, const ev_image *image, ev_image **out)
{
    ev_image *made = NULL;
    EVI_TRY(start_stage(t, t->in.width, t->in.height));
    EVI_TRY(ev_image_to_tensor(image, &t->in.pixels, t->stage.input, 0));
    EVI_TRY(evi_stage_run(&t->stage, 1));
    EVI_TRY(ev_tensor_to_image(ev_session_output(t->stage.session, 0), 0, &t->in.pixels, &made));
    if (t->o.fit == EV_FIT_MODEL ||
        (made->width == image->width && made->height == image->height)) {
        *out = made;
        return EV_OK;
    }
    ev_status status = ev_image_resize(made, image->width, image->height, t->in.pixels.resize, out);
    ev_image_destroy(made);
    return status;
}

ev_status ev_translator_run(ev_translator *translator, const ev_image *image, ev_image **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(translator, EVI_MAGIC_TRANSLATOR);
    EVI_CHECK_HANDLE(image, EVI_MAGIC_IMAGE);
    ev_status status = translator->o.fit == EV_FIT_KEEP ? run_keep(translator, image, out)
                                                        : run_at_drawn_size(translator, image, out);
    if (status != EV_OK) {
        ev_image_destroy(*out);
        *out = NULL;
    }
    return status;
}
