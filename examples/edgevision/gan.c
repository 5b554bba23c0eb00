/* SPDX-License-Identifier: MIT */
/* edgevision gan: its verbs, and what they share. */
#include "gan.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const gan_directions[] = {"A2B", "B2A", NULL};

/* ---- pictures -------------------------------------------------------------------------------- */

static bool is_picture(const char *name)
{
    static const char *const ends[] = {".jpg", ".jpeg", ".png", ".bmp", ".ppm",
                                       ".pgm", ".pbm",  ".pnm", NULL};
    const char *dot = strrchr(name, '.');
    for (int i = 0; dot && dot != name && ends[i]; i++) {
        if (!strcasecmp(dot, ends[i])) {
            return true;
        }
    }
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of the pictures that lie in the folder itself, sorted. */
static int list_pictures(const char *folder, char ***out, int32_t *n_out)
{
    DIR *d = opendir(folder);
    char **names = NULL;
    size_t n = 0, room = 0;
    bool good = d != NULL;
    for (struct dirent *e = d ? readdir(d) : NULL; e && good; e = readdir(d)) {
        if (e->d_name[0] == '.' || !is_picture(e->d_name)) {
            continue;
        }
        if (n == room) {
            room = 2 * room + 64;
            char **more = realloc(names, room * sizeof *names);
            good = more != NULL;
            names = good ? more : names;
        }
        names[n] = good ? strdup(e->d_name) : NULL;
        good = good && names[n];
        n += good;
    }
    if (d) {
        closedir(d);
    }
    if (good && n > 0) {
        qsort(names, n, sizeof *names, by_name);
    }
    *out = names;
    *n_out = (int32_t)n;
    return good || !d ? 0 : fail(EXIT_MEMORY, "out of memory");
}

static int from_list(ev_context *ctx, const char *folder, char *const *names, int32_t n,
                     ev_dataset **out)
{
    static const char *const one[] = {"picture"};
    char path[PATH_SIZE];
    ev_status status = ev_dataset_create(ctx, 1, one, out);
    for (int32_t i = 0; i < n && status == EV_OK; i++) {
        status = ev_dataset_add_path(*out, path_join(path, folder, names[i]), 0, NULL);
    }
    if (status != EV_OK) {
        ev_dataset_destroy(*out);
        *out = NULL;
        return fail_status(EXIT_DATA, status, NULL);
    }
    return 0;
}

int gan_open_pictures(ev_context *ctx, const char *path, ev_dataset **out)
{
    char inside[PATH_SIZE];
    char **names = NULL;
    int32_t n = 0;
    if (!file_exists(path)) {
        return fail(EXIT_DATA, "%s: no such folder or manifest", path);
    }
    if (!is_folder(path) || file_exists(path_join(inside, path, "manifest.csv")) ||
        file_exists(path_join(inside, path, "truth.csv"))) {
        return open_data(ctx, path, NULL, out);
    }
    int code = list_pictures(path, &names, &n);
    if (!code) {
        code = n > 0 ? from_list(ctx, path, names, n, out) : open_data(ctx, path, NULL, out);
    }
    for (int32_t i = 0; i < n; i++) {
        free(names[i]);
    }
    free(names);
    return code;
}

void gan_spread(int32_t size, int32_t n, int32_t *items)
{
    for (int32_t i = 0; i < n; i++) {
        items[i] = (int32_t)(((int64_t)2 * i + 1) * size / ((int64_t)2 * n));
    }
}

int gan_open_generator(ev_context *ctx, const char *run, int direction, ev_model **out)
{
    char path[PATH_SIZE];
    path_join(path, run, direction == GAN_A ? "G_A.onnx" : "G_B.onnx");
    if (!file_exists(path)) {
        return fail(EXIT_MODEL, "%s: no such file; a run has it after its first epoch", path);
    }
    return open_model(ctx, path, out);
}

int gan_read_bytes(const char *name, const char *value, uint64_t *out)
{
    char *end = NULL;
    *out = 0;
    if (!value) {
        return 0;
    }
    double x = strtod(value, &end);
    if (end != value && (*end == 'k' || *end == 'M' || *end == 'G')) {
        x *= *end == 'k' ? 1e3 : *end == 'M' ? 1e6 : 1e9;
        end++;
    }
    if (end == value || *end || !(x >= 1 && x < 1e18)) {
        return fail(EXIT_USAGE, "--%s %s: must be bytes, like 2G, 512M or 1000000000", name, value);
    }
    *out = (uint64_t)x;
    return 0;
}

/* ---- the verbs ------------------------------------------------------------------------------- */

static const struct {
    const char *name, *full;
    int (*run)(int argc, char **argv);
    const char *help;
} verbs[] = {
    {"train", "gan train", verb_gan_train, "two sets of pictures become two generators"},
    {"apply", "gan apply", verb_gan_apply, "carry pictures over: files, folders, frames on stdin"},
    {"grid", "gan grid", verb_gan_grid, "a sheet: real, translated, carried back, identity"},
    {"select", "gan select", verb_gan_select, "the epoch that serves a classifier best"},
    {"shrink", "gan shrink", verb_gan_shrink, "a small generator that does as a large one does"},
};
enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

static int print_verbs(FILE *to)
{
    fputs("usage: edgevision gan VERB [arguments]\n\nA CycleGAN carries pictures from one set into "
          "another (night into day), so that a\nclassifier of the second set still works.\n\n",
          to);
    for (int i = 0; i < N_VERBS; i++) {
        fprintf(to, "  %-9s %s\n", verbs[i].name, verbs[i].help);
    }
    fputs("\nedgevision gan VERB --help tells more.\n", to);
    return to == stdout ? 0 : EXIT_USAGE;
}

int verb_gan(int argc, char **argv)
{
    if (argc < 1) {
        return print_verbs(stderr);
    }
    if (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h") || !strcmp(argv[0], "help")) {
        return print_verbs(stdout);
    }
    const char *best = NULL;
    int least = 4;
    for (int i = 0; i < N_VERBS; i++) {
        int d = text_distance(argv[0], verbs[i].name);
        if (d == 0) {
            tool_verb = verbs[i].full;
            return verbs[i].run(argc - 1, argv + 1);
        }
        if (d < least) {
            least = d;
            best = verbs[i].name;
        }
    }
    return best
               ? fail(EXIT_USAGE, "there is no verb %s; did you mean %s?", argv[0], best)
               : fail(EXIT_USAGE, "there is no verb %s; edgevision gan --help lists them", argv[0]);
}
