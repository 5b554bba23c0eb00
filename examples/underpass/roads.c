/* SPDX-License-Identifier: MIT */
/*
 * ev-underpass-judge: what a classifier makes of pictures from outside of what it learnt, as they
 * are, after translation by a generator, and along the two other roads.  Ordinary calls of the
 * library; experiment_b.sh and bench/domain_gap.sh make their tables of the lines that it writes.
 *
 * Sets are manifests or folders of labelled pictures, NAME=PATH; labels are the classifier's, other
 * pictures are left out.  Tables are CSV on stdout.
 */
#include <edgevision/edgevision.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { MAX_SETS = 16, MAX_CLASSES = 64, PATH_BYTES = 4096 };
enum { OUT_USAGE = 2, OUT_FAILED = 1 };

typedef struct request {
    const char *verb, *classifier, *generator, *back, *inside, *calibrate, *out, *tag, *empty;
    const char *names[MAX_SETS], *paths[MAX_SETS];
    int n_sets, count, threads, score;
    double keep;
    ev_context *ctx;
    ev_model *net, *carry, *carry_back; /* of the three paths above; NULL: not given */
} request;

static int check(ev_status status)
{
    if (status != EV_OK) {
        fprintf(stderr, "ev-underpass-judge: %s: %s\n", ev_status_name(status), ev_last_error());
    }
    return status != EV_OK;
}

static int usage(const char *what)
{
    fprintf(stderr, "ev-underpass-judge: %s; --help tells more\n", what);
    return OUT_USAGE;
}

/* ---- pictures -------------------------------------------------------------------------------- */

/* Labels as the classifier has them, or, without one, as they come. */
static ev_status open_set(const request *r, const char *path, ev_dataset **out)
{
    const char *names[MAX_CLASSES];
    ev_dataset_options opt;
    struct stat s;
    EV_OPTIONS_INIT(&opt);
    if (r->net) {
        for (int32_t i = 0; i < ev_model_n_classes(r->net) && i < MAX_CLASSES; i++) {
            names[i] = ev_model_class_name(r->net, i);
            opt.n_classes = i + 1;
        }
        opt.class_names = names;
        opt.drop_unknown = 1;
    }
    return !stat(path, &s) && S_ISDIR(s.st_mode)
               ? ev_dataset_scan(r->ctx, path, &opt, out)
               : ev_dataset_read_manifest(r->ctx, path, &opt, out);
}

/* ---- answers: what is predicted of what, by set ---------------------------------------------- */

static void print_counts(const request *r, const char *set, const char *how, const ev_metrics *m)
{
    int32_t n = ev_metrics_n_classes(m);
    for (int32_t truth = 0; truth < n; truth++) {
        int64_t sum = 0;
        for (int32_t p = 0; p < n; p++) {
            sum += ev_metrics_confusion(m, truth, p);
        }
        if (sum == 0) {
            continue;
        }
        printf("%s,%s,%s,%s,%lld", r->tag, set, how, ev_model_class_name(r->net, truth),
               (long long)sum);
        for (int32_t p = 0; p < n; p++) {
            printf(",%lld", (long long)ev_metrics_confusion(m, truth, p));
        }
        putchar('\n');
    }
}

/* One line in the file --out: what the translation made up and lost, over all sets. */
static int tell_inventions(const request *r, const ev_hallucinations *h)
{
    FILE *f = fopen(r->out, "w");
    if (!f) {
        perror(r->out);
        return OUT_FAILED;
    }
    fprintf(f,
            "tag,empty,invented_before,invented,newly_invented,objects,vanished_before,"
            "vanished,newly_vanished\n%s,%d,%d,%d,%d,%d,%d,%d,%d\n",
            r->tag, (int)h->n_empty, (int)h->invented_before, (int)h->invented,
            (int)h->newly_invented, (int)h->n_objects, (int)h->vanished_before, (int)h->vanished,
            (int)h->newly_vanished);
    return fclose(f) ? OUT_FAILED : 0;
}

static void add_inventions(ev_hallucinations *sum, const ev_hallucinations *one)
{
    sum->n_empty += one->n_empty;
    sum->invented += one->invented;
    sum->invented_before += one->invented_before;
    sum->n_objects += one->n_objects;
    sum->vanished += one->vanished;
    sum->vanished_before += one->vanished_before;
    sum->newly_invented += one->newly_invented;
    sum->newly_vanished += one->newly_vanished;
}

static int32_t class_number(const ev_model *net, const char *name)
{
    for (int32_t i = 0; i < ev_model_n_classes(net); i++) {
        if (!strcmp(ev_model_class_name(net, i), name)) {
            return i;
        }
    }
    return -1;
}

static int answers(const request *r)
{
    ev_hallucinations sum, one;
    int32_t empty = class_number(r->net, r->empty);
    EV_OPTIONS_INIT(&sum);
    EV_OPTIONS_INIT(&one);
    printf("tag,set,pictures_are,truth,pictures");
    for (int32_t i = 0; i < ev_model_n_classes(r->net); i++) {
        printf(",%s", ev_model_class_name(r->net, i));
    }
    putchar('\n');
    for (int i = 0; i < r->n_sets; i++) {
        ev_dataset *set = NULL;
        ev_metrics *before = NULL, *after = NULL;
        if (check(open_set(r, r->paths[i], &set)) ||
            check(ev_translate_evaluate(r->ctx, r->net, NULL, set, &before)) ||
            (r->carry && check(ev_translate_evaluate(r->ctx, r->net, r->carry, set, &after)))) {
            return OUT_FAILED;
        }
        print_counts(r, r->names[i], "direct", before);
        if (after) {
            print_counts(r, r->names[i], "translated", after);
        }
        if (after && empty >= 0) {
            if (check(ev_metrics_hallucinations(before, after, empty, &one))) {
                return OUT_FAILED;
            }
            add_inventions(&sum, &one);
        }
        ev_metrics_destroy(before);
        ev_metrics_destroy(after);
        ev_dataset_destroy(set);
    }
    return r->out ? tell_inventions(r, &sum) : 0;
}

/* ---- gap: judged without labels -------------------------------------------------------------- */

static int gap(const request *r)
{
    ev_dataset *inside = NULL;
    if (check(open_set(r, r->inside, &inside))) {
        return OUT_FAILED;
    }
    printf("tag,set,pictures_are,features,cycle_error,confidence\n");
    for (int i = 0; i < r->n_sets; i++) {
        ev_dataset *set = NULL;
        if (check(open_set(r, r->paths[i], &set))) {
            return OUT_FAILED;
        }
        for (int after = 0; after <= (r->carry != NULL); after++) {
            ev_domain_gap g;
            EV_OPTIONS_INIT(&g);
            if (check(ev_domain_gap_measure(r->ctx, r->net, inside, set, after ? r->carry : NULL,
                                            after ? r->carry_back : NULL, &g))) {
                return OUT_FAILED;
            }
            printf("%s,%s,%s,%.4f,%.4f,%.4f\n", r->tag, r->names[i],
                   after ? "translated" : "direct", g.features, g.cycle_error, g.confidence);
        }
        ev_dataset_destroy(set);
    }
    ev_dataset_destroy(inside);
    return 0;
}

/* ---- carry: labelled pictures to the other side, labels kept --------------------------------- */

static ev_status start_translator(const request *r, ev_model *generator, ev_translator **out)
{
    ev_translator_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.fit = EV_FIT_MODEL;
    return ev_translator_create(r->ctx, generator, &opt, out);
}

static ev_status carry_one(const request *r, ev_translator *t, const ev_dataset *set, int32_t item,
                           FILE *manifest)
{
    char path[PATH_BYTES];
    ev_image *image = NULL, *made = NULL;
    ev_status status = ev_dataset_image(set, item, NULL, &image);
    if (status == EV_OK) {
        status = ev_translator_run(t, image, &made);
    }
    if (status == EV_OK) {
        snprintf(path, sizeof path, "%s/%06d.jpg", r->out, (int)item);
        status = ev_image_save(made, path, 92);
        fprintf(manifest, "%06d.jpg,%s,%s\n", (int)item,
                ev_dataset_class_name(set, ev_dataset_label(set, item)),
                ev_dataset_group(set, item) ? ev_dataset_group(set, item) : "");
    }
    ev_image_destroy(image);
    ev_image_destroy(made);
    return status;
}

static int carry(const request *r)
{
    char path[PATH_BYTES];
    ev_dataset *set = NULL;
    ev_translator *t = NULL;
    snprintf(path, sizeof path, "%s/truth.csv", r->out);
    mkdir(r->out, 0777);
    FILE *manifest = fopen(path, "w");
    if (!manifest) {
        perror(path);
        return OUT_FAILED;
    }
    fprintf(manifest, "path,label,group\n");
    int bad = check(open_set(r, r->paths[0], &set)) || check(start_translator(r, r->carry, &t));
    for (int32_t i = 0; i < ev_dataset_size(set) && !bad; i++) {
        bad = check(carry_one(r, t, set, i, manifest));
    }
    bad |= fclose(manifest) != 0;
    ev_translator_destroy(t);
    ev_dataset_destroy(set);
    return bad ? OUT_FAILED : 0;
}

/* ---- grid: figures 4 and 10 ------------------------------------------------------------------ */

static void paste(ev_image *sheet, const ev_image *from, int32_t x, int32_t y)
{
    for (int32_t row = 0; row < ev_image_height(from); row++) {
        memcpy(ev_image_data(sheet) + (y + row) * ev_image_stride(sheet) + 3 * (int64_t)x,
               ev_image_data(from) + row * ev_image_stride(from), 3 * (size_t)ev_image_width(from));
    }
}

/* A column of the sheet: the picture as the generator sees it, what it makes of it, and back.  The
 * first of n makes the sheet: a generator may be drawn for any size. */
static ev_status grid_column(const request *r, ev_image **sheet, int32_t column, int32_t n,
                             const ev_image *image, ev_translator *there, ev_translator *back)
{
    ev_image *parts[3] = {NULL, NULL, NULL}, *rgb = NULL;
    ev_status status = ev_translator_run(there, image, &parts[1]);
    int32_t w = ev_image_width(parts[1]), h = ev_image_height(parts[1]);
    status = status ? status : ev_image_convert(image, EV_PIXEL_RGB, &rgb);
    status = status ? status : ev_image_resize(rgb, w, h, EV_RESIZE_BILINEAR, &parts[0]);
    status = status ? status : ev_translator_run(back, parts[1], &parts[2]);
    if (status == EV_OK && !*sheet) {
        status = ev_image_create(r->ctx, n * (w + 2) - 2, 3 * (h + 2) - 2, EV_PIXEL_RGB, sheet);
    }
    for (int i = 0; i < 3; i++) {
        if (status == EV_OK && ev_image_format(parts[i]) == EV_PIXEL_RGB) {
            paste(*sheet, parts[i], column * (w + 2), i * (h + 2));
        }
        ev_image_destroy(parts[i]);
    }
    ev_image_destroy(rgb);
    return status;
}

static int grid(const request *r)
{
    ev_dataset *set = NULL;
    ev_translator *there = NULL, *back = NULL;
    ev_image *sheet = NULL;
    if (check(open_set(r, r->paths[0], &set)) || check(start_translator(r, r->carry, &there)) ||
        check(start_translator(r, r->carry_back, &back))) {
        return OUT_FAILED;
    }
    int32_t size = ev_dataset_size(set), n = r->count < size ? r->count : size;
    int bad = n < 1 ? usage("grid: no pictures") : 0;
    for (int32_t i = 0; i < n && !bad; i++) {
        ev_image *image = NULL;
        int32_t item = (int32_t)(((int64_t)i * size + size / 2) / n);
        bad = check(ev_dataset_image(set, item, NULL, &image)) ||
              check(grid_column(r, &sheet, i, n, image, there, back));
        ev_image_destroy(image);
    }
    bad = bad || check(ev_image_save(sheet, r->out, 0));
    ev_image_destroy(sheet);
    ev_translator_destroy(there);
    ev_translator_destroy(back);
    ev_dataset_destroy(set);
    return bad ? OUT_FAILED : 0;
}

/* ---- roads: what a device does with each picture --------------------------------------------- */

typedef struct road {
    const char *name;
    ev_router *router;
    int64_t parameters;
} road;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int road_on_set(const request *r, const road *way, const char *name, const ev_dataset *set)
{
    int32_t n = ev_dataset_size(set), right = 0, trusted_right = 0, routes[3] = {0, 0, 0};
    double *ms = calloc((size_t)n + 1, sizeof *ms), sum = 0;
    int bad = ms == NULL;
    for (int32_t i = 0; i < n && !bad; i++) {
        ev_image *image = NULL;
        ev_routed done;
        EV_OPTIONS_INIT(&done);
        bad = check(ev_dataset_image(set, i, NULL, &image));
        ms[i] = HUGE_VAL; /* the best of three: what else the machine does is not the road's */
        for (int k = 0; k < 3 && !bad; k++) {
            double begin = now_ms();
            bad = check(ev_router_run(way->router, image, &done));
            ms[i] = fmin(ms[i], now_ms() - begin);
        }
        if (!bad) {
            sum += ms[i];
            int good = done.label == ev_dataset_label(set, i);
            right += good;
            trusted_right += good && done.route != EV_ROUTE_ABSTAINED;
            routes[done.route]++;
        }
        ev_image_destroy(image);
    }
    if (!bad) {
        qsort(ms, (size_t)n, sizeof *ms, by_size);
        printf("%s,%s,%s,%d,%d,%d,%d,%d,%d,%.3f,%.3f,%lld\n", r->tag, way->name, name, (int)n,
               (int)right, (int)routes[0], (int)routes[1], (int)routes[2], (int)trusted_right,
               ms[n / 2], n ? sum / n : 0, (long long)way->parameters);
    }
    free(ms);
    return bad;
}

static ev_status start_router(const request *r, ev_model *scored, ev_model *generator, double limit,
                              double limit_translated, ev_router **out)
{
    ev_router_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.threshold = limit; /* 0: what ev_domain_fit() noted in the model */
    opt.threshold_translated = limit_translated;
    return ev_router_create(r->ctx, scored, generator, &opt, out);
}

/* Translations are never quite like pictures: the score that --keep of them stay below. */
static ev_status translated_limit(const request *r, ev_router *always, double *out)
{
    ev_dataset *set = NULL;
    ev_status status = open_set(r, r->calibrate, &set);
    int32_t n = ev_dataset_size(set);
    double *scores = status == EV_OK && n > 0 ? calloc((size_t)n, sizeof *scores) : NULL;
    for (int32_t i = 0; scores && i < n && status == EV_OK; i++) {
        ev_image *image = NULL;
        ev_routed done;
        EV_OPTIONS_INIT(&done);
        status = ev_dataset_image(set, i, NULL, &image);
        status = status ? status : ev_router_run(always, image, &done);
        scores[i] = done.score_translated;
        ev_image_destroy(image);
    }
    if (scores && status == EV_OK) {
        qsort(scores, (size_t)n, sizeof *scores, by_size);
        *out = scores[(int32_t)ceil(r->keep * n) - 1];
    }
    free(scores);
    ev_dataset_destroy(set);
    return status;
}

/* Routers all three: one that trusts every picture, one that translates each, one that decides. */
static int start_roads(const request *r, ev_model *scored, road *ways, int *n)
{
    static const double never = 1e300;
    int64_t small = ev_model_parameter_count(r->net);
    double limit = 0;
    *n = 1;
    ways[0] = (road){"direct", NULL, small};
    if (check(start_router(r, scored, NULL, never, never, &ways[0].router))) {
        return OUT_FAILED;
    }
    if (!r->carry) {
        return 0;
    }
    int64_t both = small + ev_model_parameter_count(r->carry);
    *n = 3;
    ways[1] = (road){"translated", NULL, both};
    ways[2] = (road){"routed", NULL, both};
    return check(start_router(r, scored, r->carry, -never, never, &ways[1].router)) ||
           (r->calibrate && check(translated_limit(r, ways[1].router, &limit))) ||
           check(start_router(r, scored, r->carry, 0, limit, &ways[2].router));
}

static int roads(const request *r)
{
    ev_dataset *inside = NULL;
    ev_model *scored = NULL;
    ev_domain_options opt;
    road ways[3] = {{NULL, NULL, 0}, {NULL, NULL, 0}, {NULL, NULL, 0}};
    int n = 0;
    EV_OPTIONS_INIT(&opt);
    opt.keep = (float)r->keep;
    opt.score = r->score;
    int bad = check(open_set(r, r->inside, &inside)) ||
              check(ev_domain_fit(r->ctx, r->net, inside, &opt, &scored)) ||
              start_roads(r, scored, ways, &n);
    if (!bad) {
        printf("tag,road,set,pictures,correct,inside,translated,abstained,trusted_correct,"
               "ms_median,ms_mean,parameters\n");
    }
    for (int s = 0; s < r->n_sets && !bad; s++) {
        ev_dataset *set = NULL;
        bad = check(open_set(r, r->paths[s], &set));
        for (int i = 0; i < n && !bad; i++) {
            bad = road_on_set(r, &ways[i], r->names[s], set);
        }
        ev_dataset_destroy(set);
    }
    for (int i = 0; i < n; i++) {
        ev_router_destroy(ways[i].router);
    }
    ev_model_destroy(scored);
    ev_dataset_destroy(inside);
    return bad ? OUT_FAILED : 0;
}

/* ---- the command line ------------------------------------------------------------------------ */

static const struct {
    const char *name;
    int (*run)(const request *r);
    int classifier, generator, back, inside, sets, out; /* 1: needed; sets: how many at least */
} verbs[] = {
    {"answers", answers, 1, 0, 0, 0, 1, 0}, {"gap", gap, 1, 0, 0, 1, 1, 0},
    {"roads", roads, 1, 0, 0, 1, 1, 0},     {"carry", carry, 0, 1, 0, 0, 1, 1},
    {"grid", grid, 0, 1, 1, 0, 1, 1},
};
enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

static int help(void)
{
    fputs("usage: ev-underpass-judge VERB [options] NAME=PATH...\n\n"
          "  answers  how often each class is taken for which, directly and translated;\n"
          "           --out FILE: what the translation invents and loses\n"
          "  gap      distance from the pictures inside, without labels\n"
          "  roads    direct, translated, routed by a score: right answers and milliseconds\n"
          "  carry    translate a set into the folder --out; labels are kept\n"
          "  grid     a sheet of pictures as they are, translated, and carried back\n\n"
          "  --classifier NET   ONNX file\n"
          "  --generator G      ONNX file: carries pictures to where the classifier is at home\n"
          "  --back G           ONNX file: the other direction\n"
          "  --inside PATH      pictures that the classifier knows (best its validation set)\n"
          "  --calibrate PATH   roads: pictures from outside; their translations say how strange\n"
          "                     a translation may be (default: as a picture inside)\n"
          "  --keep X           roads: share of those that must pass (default 0.95)\n"
          "  --score NAME       roads: features, energy or statistics (default features)\n"
          "  --out PATH         file or folder\n"
          "  --tag TEXT         first column (default -)\n"
          "  --empty NAME       class that means nothing is there (default empty)\n"
          "  --count N          grid: columns (default 8)\n"
          "  --threads N        (default 1)\n",
          stdout);
    return 0;
}

static int read_option(request *r, const char *name, const char *value)
{
    struct {
        const char *name, **target;
    } texts[] = {{"--classifier", &r->classifier},
                 {"--generator", &r->generator},
                 {"--back", &r->back},
                 {"--inside", &r->inside},
                 {"--calibrate", &r->calibrate},
                 {"--out", &r->out},
                 {"--tag", &r->tag},
                 {"--empty", &r->empty}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (!strcmp(name, texts[i].name)) {
            *texts[i].target = value;
            return 0;
        }
    }
    if (!strcmp(name, "--count")) {
        r->count = atoi(value);
        return r->count < 1 || r->count > 100;
    }
    if (!strcmp(name, "--threads")) {
        r->threads = atoi(value);
        return r->threads < 1 || r->threads > 256;
    }
    if (!strcmp(name, "--score")) {
        static const char *const scores[] = {[EV_SCORE_FEATURES] = "features",
                                             [EV_SCORE_ENERGY] = "energy",
                                             [EV_SCORE_STATISTICS] = "statistics"};
        enum { N_SCORES = sizeof scores / sizeof scores[0] };
        for (r->score = 0; r->score < N_SCORES && strcmp(value, scores[r->score]); r->score++) {
        }
        return r->score == N_SCORES;
    }
    r->keep = strcmp(name, "--keep") ? 0 : atof(value);
    return !(r->keep > 0 && r->keep <= 1);
}

static int read_line(request *r, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (!strncmp(argv[i], "--", 2)) {
            if (i + 1 == argc || read_option(r, argv[i], argv[i + 1])) {
                fprintf(stderr, "ev-underpass-judge: %s: ", argv[i]);
                return usage("no such option, or not a value for it");
            }
            i++;
        } else if (!equals || r->n_sets == MAX_SETS) {
            return usage("a set is NAME=PATH, and there may be 16");
        } else {
            *equals = 0;
            r->names[r->n_sets] = argv[i];
            r->paths[r->n_sets++] = equals + 1;
        }
    }
    return 0;
}

static int open_models(request *r)
{
    ev_context_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.n_threads = r->threads;
    return check(ev_context_create(&opt, &r->ctx)) ||
           (r->classifier && check(ev_model_load(r->ctx, r->classifier, NULL, &r->net))) ||
           (r->generator && check(ev_model_load(r->ctx, r->generator, NULL, &r->carry))) ||
           (r->back && check(ev_model_load(r->ctx, r->back, NULL, &r->carry_back)));
}

int main(int argc, char **argv)
{
    request r = {.tag = "-", .empty = "empty", .count = 8, .threads = 1, .keep = 0.95};
    int v = 0, code = argc > 1 ? read_line(&r, argc, argv) : usage("a verb is needed");
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        return help();
    }
    if (code) {
        return code;
    }
    while (v < N_VERBS && strcmp(verbs[v].name, argv[1]) != 0) {
        v++;
    }
    if (v == N_VERBS) {
        return usage("there is no such verb");
    }
    if ((verbs[v].classifier && !r.classifier) || (verbs[v].generator && !r.generator) ||
        (verbs[v].back && !r.back) || (verbs[v].inside && !r.inside) || (verbs[v].out && !r.out) ||
        r.n_sets < verbs[v].sets) {
        return usage("this verb needs more: a set, --classifier, --generator, --back, --inside or "
                     "--out");
    }
    code = open_models(&r) ? OUT_FAILED : verbs[v].run(&r);
    ev_model_destroy(r.net);
    ev_model_destroy(r.carry);
    ev_model_destroy(r.carry_back);
    ev_context_destroy(r.ctx);
    return code || fflush(stdout) ? (code ? code : OUT_FAILED) : 0;
}
