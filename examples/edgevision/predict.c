/* SPDX-License-Identifier: MIT */
/* edgevision predict: a line a picture, of files or of a camera's raw frames on stdin. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static const char *const format_names[] = {"rgb24", "bgr24", "gray", "nv12", "yuyv", NULL};
static const int32_t format_codes[] = {EV_PIXEL_RGB, EV_PIXEL_BGR, EV_PIXEL_GREY, EV_PIXEL_NV12,
                                       EV_PIXEL_YUYV};

typedef struct predictor {
    ev_context *ctx;
    ev_model *model;
    ev_plan *plan;
    ev_session *session;
    ev_tensor *input;
    ev_pixel_options pixels;
    double *probabilities;
    int32_t n_classes;
    int32_t json, raw[2], format, threads, limit, done, keep_going;
} predictor;

static int prepare(predictor *p, const char *path)
{
    int32_t width, height, channels;
    int64_t out[EV_MAX_RANK];
    int code = open_model(p->ctx, path, &p->model);
    if (!code) {
        code = model_pixels(p->model, &p->pixels, &width, &height, &channels);
    }
    if (code) {
        return code;
    }
    int32_t rank = ev_model_output_dims(p->model, 0, out);
    if (rank != 2 || out[1] < 1) {
        return fail(EXIT_MODEL, "%s: the first output is not [N,classes]: no classifier", path);
    }
    p->n_classes = (int32_t)out[1];
    p->probabilities = calloc((size_t)p->n_classes, sizeof *p->probabilities);
    const int64_t dims[] = {1, channels, height, width};
    ev_status status = p->probabilities ? EV_OK : EV_ERR_MEMORY;
    if (status == EV_OK) {
        status = ev_plan_create(p->ctx, p->model, NULL, &p->plan);
    }
    if (status == EV_OK) {
        status = ev_session_create(p->plan, &p->session);
    }
    if (status == EV_OK) {
        status = ev_tensor_create(p->ctx, EV_TYPE_FLOAT32, 4, dims, &p->input);
    }
    return status == EV_OK ? 0 : fail_status(EXIT_MODEL, status, NULL);
}

static void print_header(const predictor *p)
{
    char number[16];
    if (p->json) {
        return;
    }
    printf("picture\tclass\tconfidence");
    for (int32_t c = 0; c < p->n_classes; c++) {
        printf("\t%s", class_name(p->model, c, number));
    }
    putchar('\n');
}

static void print_line(const predictor *p, const char *name, int32_t best)
{
    char number[16];
    text t = {0};
    if (p->json) {
        text_add(&t, "{\"picture\": ");
        text_json(&t, name);
        text_add(&t, ", \"class\": ");
        text_json(&t, class_name(p->model, best, number));
        text_add(&t, ", \"confidence\": %.6f, \"probabilities\": {", p->probabilities[best]);
    } else {
        text_add(&t, "%s\t%s\t%.4f", name, class_name(p->model, best, number),
                 p->probabilities[best]);
    }
    for (int32_t c = 0; c < p->n_classes; c++) {
        if (p->json) {
            text_add(&t, c ? ", " : "");
            text_json(&t, class_name(p->model, c, number));
            text_add(&t, ": %.6f", p->probabilities[c]);
        } else {
            text_add(&t, "\t%.4f", p->probabilities[c]);
        }
    }
    text_add(&t, p->json ? "}}\n" : "\n");
    fputs(t.data ? t.data : "", stdout);
    text_free(&t);
}

static int classify(predictor *p, const ev_image *image, const char *name)
{
    ev_status status = ev_image_to_tensor(image, &p->pixels, p->input, 0);
    if (status == EV_OK) {
        const ev_tensor *inputs[] = {p->input};
        status = ev_session_run(p->session, inputs, 1, NULL, 0);
    }
    if (status != EV_OK) {
        return fail_status(EXIT_DATA, status, NULL);
    }
    int32_t best = 0;
    softmax(ev_tensor_data(ev_session_output(p->session, 0)), p->n_classes, p->probabilities);
    for (int32_t c = 1; c < p->n_classes; c++) {
        best = p->probabilities[c] > p->probabilities[best] ? c : best;
    }
    print_line(p, name, best);
    p->done++;
    return 0;
}

static bool enough(const predictor *p)
{
    return p->limit > 0 && p->done >= p->limit;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int predict_file(predictor *p, const char *path)
{
    ev_image *image = NULL;
    ev_status status = ev_image_load(p->ctx, path, NULL, &image);
    if (status != EV_OK) {
        int code = fail_status(EXIT_DATA, status, NULL);
        return p->keep_going ? 0 : code;
    }
    int code = classify(p, image, path);
    ev_image_destroy(image);
    return code;
}

static int predict_manifest(predictor *p, const char *path)
{
    ev_dataset *data = NULL;
    int code = open_data(p->ctx, path, NULL, &data);
    for (int32_t i = 0; !code && i < ev_dataset_size(data) && !enough(p); i++) {
        code = predict_file(p, ev_dataset_path(data, i));
    }
    ev_dataset_destroy(data);
    return code;
}

/* ---- stdin ----------------------------------------------------------------------------------- */

static size_t frame_bytes(const predictor *p)
{
    size_t pixels = (size_t)p->raw[0] * (size_t)p->raw[1];
    switch (format_codes[p->format]) {
    case EV_PIXEL_GREY: return pixels;
    case EV_PIXEL_NV12: return pixels * 3 / 2;
    case EV_PIXEL_YUYV: return pixels * 2;
    default: return pixels * 3;
    }
}

static int read_frames(predictor *p, unsigned char *frame, size_t size)
{
    ev_image *image = NULL;
    ev_status status = ev_image_wrap(p->ctx, p->raw[0], p->raw[1], format_codes[p->format], frame,
                                     0, size, &image);
    if (status != EV_OK) {
        return fail_status(EXIT_USAGE, status, NULL);
    }
    int code = 0;
    while (!code && !enough(p)) {
        char name[32];
        size_t n = fread(frame, 1, size, stdin);
        if (n == 0) {
            break;
        }
        if (n < size) {
            code = fail(EXIT_DATA, "stdin: the last frame has %zu bytes, %zu were expected; does "
                                   "--raw or --format fit?", n, size);
            break;
        }
        snprintf(name, sizeof name, "%d", (int)p->done);
        code = classify(p, image, name);
        fflush(stdout);
    }
    ev_image_destroy(image);
    return code ? code : ferror(stdin) ? fail(EXIT_IO, "stdin: %s", strerror(errno)) : 0;
}

static int predict_raw(predictor *p)
{
    size_t size = frame_bytes(p);
    unsigned char *frame = malloc(size);
    int code = frame ? read_frames(p, frame, size) : fail(EXIT_MEMORY, "out of memory");
    free(frame);
    return code;
}

/* Without --raw: one picture file. */
static int predict_stdin_file(predictor *p)
{
    text t = {0};
    char part[65536];
    for (size_t n = fread(part, 1, sizeof part, stdin); n > 0;
         n = fread(part, 1, sizeof part, stdin)) {
        text_bytes(&t, part, n);
    }
    ev_image *image = NULL;
    int code = t.broken ? fail(EXIT_MEMORY, "out of memory") : 0;
    if (!code) {
        ev_status status = ev_image_decode(p->ctx, t.data, t.n, NULL, &image);
        code = status == EV_OK ? classify(p, image, "-")
                               : fail_status(EXIT_DATA, status, "for raw frames give --raw WxH");
    }
    ev_image_destroy(image);
    text_free(&t);
    return code;
}

/* ---- the verb -------------------------------------------------------------------------------- */

static int predict_all(predictor *p, const syntax *s)
{
    int code = prepare(p, s->files[0]);
    if (!code) {
        print_header(p);
    }
    for (int i = 1; i < s->n_files && !code && !enough(p); i++) {
        const char *path = s->files[i];
        size_t n = strlen(path);
        if (!strcmp(path, "-")) {
            code = p->raw[0] ? predict_raw(p) : predict_stdin_file(p);
        } else if (is_folder(path) || (n > 4 && !strcmp(path + n - 4, ".csv"))) {
            code = predict_manifest(p, path);
        } else {
            code = predict_file(p, path);
        }
    }
    return code;
}

int verb_predict(int argc, char **argv)
{
    predictor p = {0};
    const option table[] = {
        {"raw", 0, OPTION_SIZE, p.raw, "WxH", "frames on stdin have this size (default none)", 0, 0,
         NULL},
        {"format", 0, OPTION_CHOICE, &p.format, "NAME", "of these: rgb24, bgr24, gray, nv12, yuyv",
         0, 0, format_names},
        {"limit", 0, OPTION_INT, &p.limit, "N", "stop after so many (default all)", 0, INT32_MAX,
         NULL},
        {"skip-unreadable", 0, OPTION_FLAG, &p.keep_going, NULL, "go on after damaged pictures", 0,
         0, NULL},
        {"json", 0, OPTION_FLAG, &p.json, NULL, "one JSON object a line", 0, 0, NULL},
        {"threads", 0, OPTION_INT, &p.threads, "N", "0: all cores", 0, 256, NULL},
        {"quiet", 'q', OPTION_FLAG, &tool_quiet, NULL, "no messages but errors", 0, 0, NULL},
    };
    syntax s = {.verb = "predict", .usage = "MODEL FILE... | - [options]",
                .purpose = "Say what is in pictures.  FILE: a picture, a manifest (CSV) or a "
                           "folder of labelled\npictures; -: a picture or, with --raw, frames on "
                           "stdin.",
                .options = table, .n_options = N_OPTIONS(table), .min_rest = 2,
                .max_rest = INT32_MAX,
                .examples = "  edgevision predict runs/a photo.jpg --json\n"
                            "  ffmpeg -i /dev/video0 -f rawvideo -pix_fmt nv12 -s 640x360 - |\n"
                            "      edgevision predict model.onnx - --raw 640x360 --format nv12\n"};
    int code = options_parse(&s, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    code = open_context(p.threads, &p.ctx);
    if (!code) {
        code = predict_all(&p, &s);
    }
    free(p.probabilities);
    ev_tensor_destroy(p.input);
    ev_session_destroy(p.session);
    ev_plan_destroy(p.plan);
    ev_model_destroy(p.model);
    ev_context_destroy(p.ctx);
    return code;
}
