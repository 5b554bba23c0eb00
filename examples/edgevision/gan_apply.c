/* SPDX-License-Identifier: MIT */
/* edgevision gan apply: carry pictures over.  One file, a folder, a manifest, or raw frames from
   stdin to stdout. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gan.h"

typedef struct applying {
    const char *in, *out, *model_path, *run, *max_memory;
    int32_t direction, raw[2], tile, overlap, fit, threads, json, quality;
    ev_context *ctx;
    ev_model *model;
    ev_translator *translator;
    const char *base; /* folder that names are relative to */
    int64_t done;
    double ms; /* of all of them */
} applying;

/* ---- one picture ----------------------------------------------------------------------------- */

static int translate(applying *a, const ev_image *image, ev_image **out, double *ms)
{
    double start = seconds_now();
    ev_status status = ev_translator_run(a->translator, image, out);
    *ms = 1e3 * (seconds_now() - start);
    a->ms += *ms;
    a->done++;
    return status == EV_OK ? 0 : fail_status(EXIT_DATA, status, NULL);
}

static void tell_one(const applying *a, const char *in, const char *out, double ms)
{
    text t = {0};
    if (!a->json) {
        return;
    }
    text_add(&t, "{\"picture\": ");
    text_json(&t, in);
    text_add(&t, ", \"out\": ");
    text_json(&t, out);
    text_add(&t, ", \"ms\": %.3f}\n", ms);
    fputs(t.data ? t.data : "", stdout);
    text_free(&t);
}

static int apply_file(applying *a, const char *in, const char *out)
{
    ev_image *image = NULL, *carried = NULL;
    double ms = 0;
    ev_status status = ev_image_load(a->ctx, in, NULL, &image);
    int code =
        status == EV_OK ? translate(a, image, &carried, &ms) : fail_status(EXIT_DATA, status, NULL);
    if (!code) {
        status = ev_image_save(carried, out, a->quality);
        code = status == EV_OK ? 0 : fail_status(EXIT_IO, status, NULL);
    }
    if (!code) {
        tell_one(a, in, out, ms);
    }
    ev_image_destroy(carried);
    ev_image_destroy(image);
    return code;
}

/* ---- a folder or a manifest ------------------------------------------------------------------ */

/* The same name below the folder out; kinds that cannot be written become PNG. */
static const char *name_for(const applying *a, const char *in, char out[PATH_SIZE])
{
    static const char *const kinds[] = {".bmp", ".BMP", ".pbm", ".PBM", NULL};
    size_t n = strlen(a->base);
    bool below = n > 0 && !strncmp(in, a->base, n);
    const char *name = below ? in + n : strrchr(in, '/') ? strrchr(in, '/') + 1 : in;
    path_join(out, a->out, name + strspn(name, "/"));
    size_t length = strlen(out);
    for (int i = 0; kinds[i]; i++) {
        if (length > 4 && length < PATH_SIZE - 1 && !strcmp(out + length - 4, kinds[i])) {
            memcpy(out + length - 4, ".png", 4);
        }
    }
    return out;
}

static int make_parent(const char *path)
{
    char folder[PATH_SIZE];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (!slash || slash == folder) {
        return 0;
    }
    *slash = '\0';
    return is_folder(folder) ? 0 : make_folder(folder);
}

static void bar(const applying *a, int32_t n)
{
    char line[100];
    snprintf(line, sizeof line, "%lld of %d pictures, %.1f ms each", (long long)a->done, (int)n,
             a->ms / (double)a->done);
    show_bar(line);
}

/* The labels come along, so that what was made can be trained on. */
static int save_manifest(const applying *a, const ev_dataset *made)
{
    char path[PATH_SIZE];
    ev_status status = ev_dataset_write_manifest(made, path_join(path, a->out, "manifest.csv"));
    return status == EV_OK ? 0 : fail_status(EXIT_IO, status, NULL);
}

static int apply_all(applying *a, const ev_dataset *data, bool labels)
{
    char path[PATH_SIZE];
    ev_dataset *made = NULL;
    const char **names = dataset_classes(data);
    ev_status status =
        names ? ev_dataset_create(a->ctx, ev_dataset_classes(data), names, &made) : EV_ERR_MEMORY;
    int code = status == EV_OK ? 0 : fail(EXIT_MEMORY, "out of memory");
    int32_t n = ev_dataset_size(data);
    for (int32_t i = 0; i < n && !code; i++) {
        const char *in = ev_dataset_path(data, i);
        code = make_parent(name_for(a, in, path));
        if (!code) {
            code = apply_file(a, in, path);
        }
        if (!code) {
            bar(a, n);
            status = ev_dataset_add_path(made, path, ev_dataset_label(data, i),
                                         ev_dataset_group(data, i));
            code = status == EV_OK ? 0 : fail_status(EXIT_DATA, status, NULL);
        }
    }
    clear_bar();
    if (!code && labels) {
        code = save_manifest(a, made);
    }
    ev_dataset_destroy(made);
    free(names);
    return code;
}

static int apply_set(applying *a)
{
    char folder[PATH_SIZE], path[PATH_SIZE];
    ev_dataset *data = NULL;
    snprintf(folder, sizeof folder, "%s", a->in);
    bool labels = !is_folder(a->in) || file_exists(path_join(path, a->in, "manifest.csv")) ||
                  file_exists(path_join(path, a->in, "truth.csv"));
    if (!is_folder(a->in)) {
        char *slash = strrchr(folder, '/');
        folder[slash ? slash - folder : 0] = '\0';
    }
    for (size_t n = strlen(folder); n > 1 && folder[n - 1] == '/'; n--) {
        folder[n - 1] = '\0';
    }
    a->base = folder;
    int code = gan_open_pictures(a->ctx, a->in, &data);
    if (!code) {
        code = make_folder(a->out);
    }
    char *one = code ? NULL : realpath(folder[0] ? folder : ".", NULL);
    char *other = code ? NULL : realpath(a->out, NULL);
    if (one && other && !strcmp(one, other)) {
        code = fail(EXIT_USAGE, "-o %s: is the folder of the pictures themselves", a->out);
    }
    free(one);
    free(other);
    if (!code) {
        code = apply_all(a, data, labels);
    }
    ev_dataset_destroy(data);
    return code;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static int write_frame(const ev_image *image)
{
    size_t row = (size_t)ev_image_width(image) * 3;
    for (int32_t y = 0; y < ev_image_height(image); y++) {
        if (fwrite(ev_image_data(image) + y * ev_image_stride(image), 1, row, stdout) != row) {
            return fail(EXIT_IO, "stdout: %s", strerror(errno));
        }
    }
    return fflush(stdout) == 0 ? 0 : fail(EXIT_IO, "stdout: %s", strerror(errno));
}

static int apply_frame(applying *a, const ev_image *frame)
{
    ev_image *carried = NULL, *rgb = NULL;
    double ms;
    int code = translate(a, frame, &carried, &ms);
    if (!code && ev_image_format(carried) != EV_PIXEL_RGB) {
        ev_status status = ev_image_convert(carried, EV_PIXEL_RGB, &rgb);
        code = status == EV_OK ? 0 : fail_status(EXIT_MEMORY, status, NULL);
    }
    if (!code && a->done == 1) {
        note("frames of %dx%d on stdout, RGB24", (int)ev_image_width(carried),
             (int)ev_image_height(carried));
    }
    if (!code) {
        code = write_frame(rgb ? rgb : carried);
    }
    ev_image_destroy(rgb);
    ev_image_destroy(carried);
    return code;
}

static int apply_raw(applying *a)
{
    size_t size = (size_t)a->raw[0] * (size_t)a->raw[1] * 3;
    unsigned char *bytes = malloc(size);
    ev_image *frame = NULL;
    int code = bytes ? 0 : fail(EXIT_MEMORY, "out of memory");
    if (!code) {
        ev_status status =
            ev_image_wrap(a->ctx, a->raw[0], a->raw[1], EV_PIXEL_RGB, bytes, 0, size, &frame);
        code = status == EV_OK ? 0 : fail_status(EXIT_USAGE, status, NULL);
    }
    while (!code) {
        size_t n = fread(bytes, 1, size, stdin);
        if (n == 0) {
            code = ferror(stdin) ? fail(EXIT_IO, "stdin: %s", strerror(errno)) : 0;
            break;
        }
        code = n == size ? apply_frame(a, frame)
                         : fail(EXIT_DATA,
                                "stdin: the last frame has %zu bytes, %zu were "
                                "expected; does --raw fit, and is it RGB24?",
                                n, size);
    }
    ev_image_destroy(frame);
    free(bytes);
    return code;
}

/* ---- the verb -------------------------------------------------------------------------------- */

static int check_usage(const applying *a)
{
    if (!!a->model_path == !!a->run) {
        return fail(EXIT_USAGE, "give either -m GENERATOR.onnx or -r RUN");
    }
    if (a->raw[0]) {
        return a->in || a->out || a->json
                   ? fail(EXIT_USAGE, "--raw: frames come from stdin and go to stdout; without -i, "
                                      "-o and --json")
                   : 0;
    }
    if (!a->in || !a->out) {
        return fail(EXIT_USAGE, "-i IN and -o OUT are wanted, or --raw WxH");
    }
    return file_exists(a->in) ? 0 : fail(EXIT_DATA, "%s: no such file or folder", a->in);
}

static int prepare(applying *a)
{
    ev_translator_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.fit = a->fit;
    opt.tile = a->tile;
    opt.overlap = a->overlap < 0 ? 0 : a->overlap == 0 ? -1 : a->overlap;
    int code = gan_read_bytes("max-memory", a->max_memory, &opt.max_bytes);
    if (!code) {
        code = open_context(a->threads, &a->ctx);
    }
    if (!code) {
        code = a->run ? gan_open_generator(a->ctx, a->run, a->direction, &a->model)
                      : open_model(a->ctx, a->model_path, &a->model);
    }
    if (!code) {
        ev_status status = ev_translator_create(a->ctx, a->model, &opt, &a->translator);
        code = status == EV_OK ? 0 : fail_status(EXIT_MODEL, status, NULL);
    }
    return code;
}

static int apply(applying *a)
{
    char path[PATH_SIZE];
    size_t n = a->in ? strlen(a->in) : 0;
    if (a->raw[0]) {
        return apply_raw(a);
    }
    if (is_folder(a->in) || (n > 4 && !strcmp(a->in + n - 4, ".csv"))) {
        return apply_set(a);
    }
    if (!is_folder(a->out)) {
        return apply_file(a, a->in, a->out);
    }
    a->base = "";
    return apply_file(a, a->in, name_for(a, a->in, path));
}

int verb_gan_apply(int argc, char **argv)
{
    static const char *const fits[] = {"keep", "model", "back", NULL};
    applying a = {.overlap = -1};
    const option table[] = {
        {"in", 'i', OPTION_TEXT, &a.in, "IN", "a picture, a folder or a manifest", 0, 0, NULL},
        {"out", 'o', OPTION_TEXT, &a.out, "OUT", "a picture, or a folder for the same names", 0, 0,
         NULL},
        {"model", 'm', OPTION_TEXT, &a.model_path, "FILE", "a generator (ONNX)", 0, 0, NULL},
        {"run", 'r', OPTION_TEXT, &a.run, "RUN", "the folder of gan train", 0, 0, NULL},
        {"direction", 0, OPTION_CHOICE, &a.direction, "NAME", "A2B or B2A, of RUN", 0, 0,
         gan_directions},
        {"raw", 0, OPTION_SIZE, a.raw, "WxH", "RGB24 frames from stdin to stdout (default none)", 0,
         0, NULL},
        {"fit", 0, OPTION_CHOICE, &a.fit, "NAME",
         "keep: each picture in its own size; model: in the\ngenerator's; back: in the "
         "generator's, then as it was",
         0, 0, fits},
        {"tile", 0, OPTION_INT, &a.tile, "N", "pieces of at most NxN pixels; 0: whole", 0, 65535,
         NULL},
        {"overlap", 0, OPTION_INT, &a.overlap, "N",
         "pixels that pieces share (default 32, at most a\nquarter of the piece)", -1, 32767, NULL},
        {"max-memory", 0, OPTION_TEXT, &a.max_memory, "BYTES",
         "512M: in the largest pieces that fit (default: whole)", 0, 0, NULL},
        {"quality", 0, OPTION_INT, &a.quality, "N", "of JPEG files (default 90)", 0, 100, NULL},
        {"threads", 0, OPTION_INT, &a.threads, "N", "0: all cores; changes no result", 0, 256,
         NULL},
        {"json", 0, OPTION_FLAG, &a.json, NULL, "a line a picture, with its milliseconds", 0, 0,
         NULL},
        {"quiet", 'q', OPTION_FLAG, &tool_quiet, NULL, "no messages but errors", 0, 0, NULL},
    };
    syntax s = {.verb = "gan apply",
                .usage = "-i IN -o OUT (-m GENERATOR.onnx | -r RUN) [options]",
                .purpose = "Carry pictures over.  Labels of a manifest come along, in "
                           "OUT/manifest.csv.  A piece\n(--tile) is normalised by itself: pieces "
                           "smaller than what the picture shows may\ndiffer in tone.",
                .options = table,
                .n_options = N_OPTIONS(table),
                .examples = "  edgevision gan apply -r runs/n2d -i night.jpg -o day.png\n"
                            "  edgevision gan apply -r runs/n2d --direction B2A -i day/ -o "
                            "made-night/\n"
                            "  ffmpeg -i in.mp4 -f rawvideo -pix_fmt rgb24 - | edgevision gan "
                            "apply -m g.onnx --raw 640x360 >out.rgb\n"};
    int code = options_parse(&s, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    code = check_usage(&a);
    if (!code) {
        code = prepare(&a);
    }
    if (!code) {
        code = apply(&a);
    }
    if (!code && a.done > 0) {
        note("%lld picture%s, %.1f ms each", (long long)a.done, a.done == 1 ? "" : "s",
             a.ms / (double)a.done);
    }
    ev_translator_destroy(a.translator);
    ev_model_destroy(a.model);
    ev_context_destroy(a.ctx);
    return code;
}
