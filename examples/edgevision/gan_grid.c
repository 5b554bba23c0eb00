/* SPDX-License-Identifier: MIT */
/* edgevision gan grid: a sheet of a run as it is now, or of two generators. */
#include "gan.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 64, COLUMNS = 4, GAP = 2, WHITE = 255 };

typedef struct sheet {
    const char *out, *models[2], *sets[2];
    int32_t rows, threads, size[2];
    ev_context *ctx;
    ev_translator *translators[2];
    ev_image *image;
} sheet;

/* Copy a picture of the cell's size into the sheet. */
static int place(sheet *s, const ev_image *image, int32_t row, int32_t column)
{
    ev_image *rgb = NULL;
    ev_status status = ev_image_convert(image, EV_PIXEL_RGB, &rgb);
    for (int32_t y = 0; y < s->size[1] && status == EV_OK; y++) {
        int64_t at = ((int64_t)row * (s->size[1] + GAP) + y) * ev_image_stride(s->image) +
                     (int64_t)3 * column * (s->size[0] + GAP);
        memcpy(ev_image_data(s->image) + at, ev_image_data(rgb) + y * ev_image_stride(rgb),
               (size_t)s->size[0] * 3);
    }
    ev_image_destroy(rgb);
    return status == EV_OK ? 0 : fail_status(EXIT_DATA, status, NULL);
}

/* As it is, carried over, carried back, and as the other generator leaves it. */
static int draw_row(sheet *s, const ev_image *image, int side, int32_t row)
{
    ev_image *cell = NULL, *over = NULL, *back = NULL, *same = NULL;
    ev_status status = ev_image_resize(image, s->size[0], s->size[1], EV_RESIZE_BILINEAR, &cell);
    if (status == EV_OK) {
        status = ev_translator_run(s->translators[side], cell, &over);
    }
    if (status == EV_OK) {
        status = ev_translator_run(s->translators[1 - side], over, &back);
    }
    if (status == EV_OK) {
        status = ev_translator_run(s->translators[1 - side], cell, &same);
    }
    const ev_image *cells[COLUMNS] = {cell, over, back, same};
    int code = status == EV_OK ? 0 : fail_status(EXIT_DATA, status, NULL);
    for (int32_t i = 0; i < COLUMNS && !code; i++) {
        code = place(s, cells[i], row, i);
    }
    ev_image_destroy(cell);
    ev_image_destroy(over);
    ev_image_destroy(back);
    ev_image_destroy(same);
    return code;
}

static int open_sets(sheet *s, ev_dataset **sets, int32_t n[2], int32_t items[2][MAX_ROWS])
{
    int code = 0;
    for (int i = GAN_A; i <= GAN_B && !code; i++) {
        int32_t want = (s->rows + 1 - i) / 2;
        n[i] = 0;
        if (!s->sets[i] || want < 1) {
            continue;
        }
        code = gan_open_pictures(s->ctx, s->sets[i], &sets[i]);
        int32_t size = ev_dataset_size(sets[i]);
        n[i] = want < size ? want : size;
        gan_spread(size, n[i], items[i]);
    }
    return code;
}

/* White, with room for so many rows. */
static int make_sheet(sheet *s, int32_t n)
{
    int64_t wide = COLUMNS * (s->size[0] + (int64_t)GAP) - GAP;
    int64_t high = n * (s->size[1] + (int64_t)GAP) - GAP;
    if (wide > 65535 || high > 65535) {
        return fail(EXIT_USAGE, "--rows %d, --size %dx%d: the sheet would be too large",
                    (int)s->rows, (int)s->size[0], (int)s->size[1]);
    }
    ev_status status =
        ev_image_create(s->ctx, (int32_t)wide, (int32_t)high, EV_PIXEL_RGB, &s->image);
    if (status != EV_OK) {
        return fail_status(EXIT_USAGE, status, NULL);
    }
    memset(ev_image_data(s->image), WHITE, (size_t)(high * ev_image_stride(s->image)));
    return 0;
}

static int draw(sheet *s)
{
    ev_dataset *sets[2] = {NULL, NULL};
    int32_t n[2] = {0, 0}, items[2][MAX_ROWS], row = 0;
    int code = open_sets(s, sets, n, items);
    if (!code) {
        code = make_sheet(s, n[0] + n[1]);
    }
    for (int side = GAN_A; side <= GAN_B; side++) {
        for (int32_t i = 0; i < n[side] && !code; i++) {
            ev_image *image = NULL;
            ev_status status = ev_dataset_image(sets[side], items[side][i], NULL, &image);
            code = status == EV_OK ? draw_row(s, image, side, row++)
                                   : fail_status(EXIT_DATA, status, NULL);
            ev_image_destroy(image);
        }
    }
    ev_dataset_destroy(sets[GAN_A]);
    ev_dataset_destroy(sets[GAN_B]);
    return code;
}

static int open_generators(sheet *s)
{
    int code = 0;
    for (int i = GAN_A; i <= GAN_B && !code; i++) {
        ev_model *model = NULL;
        ev_preprocess prepare;
        EV_OPTIONS_INIT(&prepare);
        code = open_model(s->ctx, s->models[i], &model);
        if (!code && !s->size[0] && ev_model_preprocess(model, &prepare) == EV_OK) {
            s->size[0] = prepare.width > 0 ? prepare.width : 256;
            s->size[1] = prepare.height > 0 ? prepare.height : 256;
        }
        if (!code) {
            ev_status status = ev_translator_create(s->ctx, model, NULL, &s->translators[i]);
            code = status == EV_OK ? 0 : fail_status(EXIT_MODEL, status, NULL);
        }
        ev_model_destroy(model);
    }
    return code;
}

/* Generators and pictures of a run, where the command line does not name others. */
static int from_run(sheet *s, const char *run, char paths[4][PATH_SIZE])
{
    static const char *const names[] = {"G_A.onnx", "G_B.onnx", "a.csv", "b.csv"};
    for (int i = 0; i < 4; i++) {
        const char **target = i < 2 ? &s->models[i] : &s->sets[i - 2];
        if (!*target && run && file_exists(path_join(paths[i], run, names[i]))) {
            *target = paths[i];
        }
    }
    if (!s->models[0] || !s->models[1]) {
        return run ? fail(EXIT_MODEL, "%s: no generators yet; a run has them after its first epoch",
                          run)
                   : fail(EXIT_USAGE, "give RUN, or --g-a and --g-b");
    }
    if (!s->sets[0] && !s->sets[1]) {
        return fail(EXIT_USAGE, "no pictures: give --a or --b");
    }
    return 0;
}

int verb_gan_grid(int argc, char **argv)
{
    static char paths[4][PATH_SIZE];
    char path[PATH_SIZE];
    sheet s = {.rows = 8};
    const option table[] = {
        {"out", 'o', OPTION_TEXT, &s.out, "FILE", "PNG or JPEG (default RUN/sheet.png)", 0, 0,
         NULL},
        {"rows", 0, OPTION_INT, &s.rows, "N", "half of A, half of B", 1, 2 * MAX_ROWS, NULL},
        {"g-a", 0, OPTION_TEXT, &s.models[0], "FILE", "generator A to B (default RUN/G_A.onnx)", 0,
         0, NULL},
        {"g-b", 0, OPTION_TEXT, &s.models[1], "FILE", "generator B to A (default RUN/G_B.onnx)", 0,
         0, NULL},
        {"a", 0, OPTION_TEXT, &s.sets[0], "DATA", "pictures of A (default the run's)", 0, 0, NULL},
        {"b", 0, OPTION_TEXT, &s.sets[1], "DATA", "pictures of B (default the run's)", 0, 0, NULL},
        {"size", 0, OPTION_SIZE, s.size, "WxH", "of a picture (default the generators')", 0, 0,
         NULL},
        {"threads", 0, OPTION_INT, &s.threads, "N", "0: all cores; changes no result", 0, 256,
         NULL},
        {"quiet", 'q', OPTION_FLAG, &tool_quiet, NULL, "no messages but errors", 0, 0, NULL},
    };
    syntax syn = {.verb = "gan grid",
                  .usage = "RUN [-o sheet.png] [options]\n"
                           "       edgevision gan grid --g-a FILE --g-b FILE "
                           "--a DATA -o sheet.png",
                  .purpose =
                      "A sheet to look at: as it is, carried over, carried back, and what "
                      "the other generator\nmakes of it, which should be the picture itself. "
                      " Rows of A first.",
                  .options = table,
                  .n_options = N_OPTIONS(table),
                  .max_rest = 1};
    int code = options_parse(&syn, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    const char *run = syn.n_files ? syn.files[0] : NULL;
    if (!s.out && !run) {
        return fail(EXIT_USAGE, "-o FILE is missing: where the sheet goes");
    }
    s.out = s.out ? s.out : path_join(path, run, "sheet.png");
    code = from_run(&s, run, paths);
    if (!code) {
        code = open_context(s.threads, &s.ctx);
    }
    if (!code) {
        code = open_generators(&s);
    }
    if (!code) {
        code = draw(&s);
    }
    if (!code) {
        ev_status status = ev_image_save(s.image, s.out, 0);
        code = status == EV_OK ? 0 : fail_status(EXIT_IO, status, NULL);
    }
    if (!code) {
        note("the sheet: %s", s.out);
    }
    ev_image_destroy(s.image);
    ev_translator_destroy(s.translators[0]);
    ev_translator_destroy(s.translators[1]);
    ev_context_destroy(s.ctx);
    return code;
}
