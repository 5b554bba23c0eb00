/* SPDX-License-Identifier: MIT */
/* edgevision gan select: which epoch's generator serves a classifier best.  With labelled pictures
   from outside by its accuracy on them; without any by how much translations look like what it
   knows, which is a hint only. */
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gan.h"
#include "plot.h"

typedef struct judged {
    int32_t epoch; /* 0: pictures as they are; -1: G_A.onnx of a run that kept no others */
    ev_metrics *metrics;
    ev_hallucinations seen;
    ev_domain_gap gap;
} judged;

typedef struct selecting {
    const char *by, *data, *empty, *run, *out;
    int32_t pictures, threads, json;
    ev_context *ctx;
    ev_model *classifier;
    ev_dataset *sets[2]; /* with labels: one; without: A and B */
    judged *all;         /* the first: pictures as they are */
    int n, best;
    int32_t empty_label; /* -1: none */
    const char **names;  /* classes */
} selecting;

/* ---- the kept epochs ------------------------------------------------------------------------- */

static int by_epoch(const void *a, const void *b)
{
    return ((const judged *)a)->epoch - ((const judged *)b)->epoch;
}

static int add_epoch(selecting *s, int32_t epoch)
{
    judged *more = realloc(s->all, ((size_t)s->n + 1) * sizeof *more);
    if (!more) {
        return fail(EXIT_MEMORY, "out of memory");
    }
    s->all = more;
    memset(&more[s->n], 0, sizeof *more);
    more[s->n++].epoch = epoch;
    return 0;
}

static int list_epochs(selecting *s)
{
    char path[PATH_SIZE];
    int code = add_epoch(s, 0);
    DIR *d = opendir(path_join(path, s->run, "epochs"));
    for (struct dirent *e = d ? readdir(d) : NULL; e && !code; e = readdir(d)) {
        int epoch = 0, length = 0;
        if (sscanf(e->d_name, "G_A-%d.onnx%n", &epoch, &length) == 1 && length > 0 &&
            !e->d_name[length] && epoch > 0) {
            code = add_epoch(s, epoch);
        }
    }
    if (d) {
        closedir(d);
    }
    if (!code && s->n == 1) {
        code =
            file_exists(path_join(path, s->run, "G_A.onnx"))
                ? add_epoch(s, -1)
                : fail(EXIT_MODEL, "%s: no generators; gan train keeps them in RUN/epochs", s->run);
    }
    if (!code) {
        qsort(s->all + 1, (size_t)s->n - 1, sizeof *s->all, by_epoch);
    }
    return code;
}

static const char *generator_path(const selecting *s, int32_t epoch, int side, char out[PATH_SIZE])
{
    char name[64];
    if (epoch < 0) {
        snprintf(name, sizeof name, "G_%c.onnx", 'A' + side);
    } else {
        snprintf(name, sizeof name, "epochs/G_%c-%03d.onnx", 'A' + side, (int)epoch);
    }
    return path_join(out, s->run, name);
}

/* ---- judging --------------------------------------------------------------------------------- */

static ev_status judge_labelled(selecting *s, judged *j, ev_model *generator)
{
    ev_status status =
        ev_translate_evaluate(s->ctx, s->classifier, generator, s->sets[0], &j->metrics);
    EV_OPTIONS_INIT(&j->seen);
    if (status == EV_OK && s->empty_label >= 0) {
        status = ev_metrics_hallucinations(s->all[0].metrics, j->metrics, s->empty_label, &j->seen);
    }
    return status;
}

static int judge_one(selecting *s, judged *j)
{
    char path[PATH_SIZE];
    ev_model *generator = NULL, *back = NULL;
    int code = 0;
    if (j->epoch != 0) {
        code = open_model(s->ctx, generator_path(s, j->epoch, GAN_A, path), &generator);
    }
    if (!code && !s->data && j->epoch != 0 &&
        file_exists(generator_path(s, j->epoch, GAN_B, path))) {
        code = open_model(s->ctx, path, &back);
    }
    if (!code) {
        EV_OPTIONS_INIT(&j->gap);
        ev_status status = s->data
                               ? judge_labelled(s, j, generator)
                               : ev_domain_gap_measure(s->ctx, s->classifier, s->sets[GAN_B],
                                                       s->sets[GAN_A], generator, back, &j->gap);
        code = status == EV_OK ? 0 : fail_status(EXIT_MODEL, status, NULL);
    }
    ev_model_destroy(back);
    ev_model_destroy(generator);
    return code;
}

static bool is_better(const selecting *s, const judged *a, const judged *b)
{
    if (!s->data) {
        return a->gap.features < b->gap.features;
    }
    double x = ev_metrics_accuracy(a->metrics), y = ev_metrics_accuracy(b->metrics);
    return x > y || (x == y && ev_metrics_loss(a->metrics) < ev_metrics_loss(b->metrics));
}

static int judge_all(selecting *s)
{
    char line[64];
    int code = 0;
    s->best = 1;
    for (int i = 0; i < s->n && !code; i++) {
        snprintf(line, sizeof line, "generator %d of %d", i, s->n - 1);
        show_bar(line);
        code = judge_one(s, &s->all[i]);
        if (!code && i > 1 && is_better(s, &s->all[i], &s->all[s->best])) {
            s->best = i;
        }
        if (!code && caught_signal()) {
            code = 128 + caught_signal();
        }
    }
    clear_bar();
    return code;
}

/* ---- telling --------------------------------------------------------------------------------- */

static void add_epoch_name(text *t, const judged *j, const char *none)
{
    if (j->epoch > 0) {
        text_add(t, "%d", (int)j->epoch);
    } else {
        text_add(t, "%s", j->epoch == 0 ? none : "last");
    }
}

/* One cell; what is not a number is left empty. */
static void add_cell(text *t, const char *sign, double x, const char *format)
{
    text_add(t, "%s", sign);
    if (isfinite(x)) {
        text_add(t, format, x);
    }
}

static void add_header(const selecting *s, text *t, const char *sign)
{
    text_add(t, "epoch");
    if (!s->data) {
        text_add(t, "%sfeatures%scycle_error%sconfidence\n", sign, sign, sign);
        return;
    }
    text_add(t, "%saccuracy%sloss", sign, sign);
    for (int32_t c = 0; c < ev_metrics_n_classes(s->all[0].metrics); c++) {
        text_add(t, "%s%s", sign, s->names[c]);
    }
    text_add(t, s->empty_label >= 0 ? "%sinvented%svanished\n" : "\n", sign, sign);
}

static void add_row(const selecting *s, const judged *j, text *t, const char *sign)
{
    add_epoch_name(t, j, "none");
    if (!s->data) {
        add_cell(t, sign, j->gap.features, "%.5g");
        add_cell(t, sign, j->gap.cycle_error, "%.5g");
        add_cell(t, sign, j->gap.confidence, "%.4f");
    } else {
        add_cell(t, sign, ev_metrics_accuracy(j->metrics), "%.4f");
        add_cell(t, sign, ev_metrics_loss(j->metrics), "%.4f");
        for (int32_t c = 0; c < ev_metrics_n_classes(j->metrics); c++) {
            add_cell(t, sign, ev_metrics_recall(j->metrics, c), "%.4f");
        }
        if (s->empty_label >= 0) {
            text_add(t, "%s%d%s%d", sign, (int)j->seen.invented, sign, (int)j->seen.vanished);
        }
    }
    text_add(t, "\n");
}

static int save_csv(const selecting *s)
{
    char path[PATH_SIZE];
    text t = {0};
    add_header(s, &t, ",");
    for (int i = 0; i < s->n; i++) {
        add_row(s, &s->all[i], &t, ",");
    }
    return text_save(&t, path_join(path, s->run, "select.csv"));
}

static void json_number(text *t, const char *key, double x)
{
    text_add(t, ", \"%s\": ", key);
    text_add(t, isfinite(x) ? "%.9g" : "null", x);
}

static void add_json_row(const selecting *s, const judged *j, text *t)
{
    text_add(t, "{\"epoch\": ");
    if (j->epoch > 0) {
        text_add(t, "%d", (int)j->epoch);
    } else {
        text_add(t, "%s", j->epoch == 0 ? "null" : "\"last\"");
    }
    if (!s->data) {
        json_number(t, "features", j->gap.features);
        json_number(t, "cycle_error", j->gap.cycle_error);
        json_number(t, "confidence", j->gap.confidence);
    } else {
        if (s->empty_label >= 0) {
            text_add(t, ", \"n_empty\": %d, \"invented\": %d, \"n_objects\": %d, \"vanished\": %d",
                     (int)j->seen.n_empty, (int)j->seen.invented, (int)j->seen.n_objects,
                     (int)j->seen.vanished);
        }
        text_add(t, ", \"metrics\": ");
        metrics_json(j->metrics, s->names, t);
    }
    text_add(t, "}");
}

static void print_json(const selecting *s)
{
    text t = {0};
    text_add(&t, "{\"labels\": %s, \"generators\": [", s->data ? "true" : "false");
    for (int i = 0; i < s->n; i++) {
        text_add(&t, i ? ",\n " : "");
        add_json_row(s, &s->all[i], &t);
    }
    text_add(&t, "],\n \"best\": ");
    add_json_row(s, &s->all[s->best], &t);
    text_add(&t, "}\n");
    print_table(&t, stdout);
}

static int tell(const selecting *s)
{
    const judged *best = &s->all[s->best];
    char name[16];
    text t = {0};
    if (s->json) {
        print_json(s);
    } else {
        add_header(s, &t, "\t");
        for (int i = 0; i < s->n; i++) {
            add_row(s, &s->all[i], &t, "\t");
        }
        print_table(&t, stdout);
    }
    snprintf(name, sizeof name, best->epoch > 0 ? "%d" : "last", (int)best->epoch);
    if (!s->data) {
        note("the smallest distance: epoch %s. A hint, not a proof: nobody looked at labels; a "
             "generator that empties all pictures looks good here, but not in cycle_error",
             name);
        return 0;
    }
    double before = ev_metrics_accuracy(s->all[0].metrics);
    double after = ev_metrics_accuracy(best->metrics);
    note("best: epoch %s, accuracy %.4f (%.4f without translation), chosen on %lld pictures: judge "
         "it on others",
         name, after, before, (long long)ev_metrics_count(best->metrics));
    return after > before ? 0 : fail(EXIT_GOAL, "no epoch is better than the pictures as they are");
}

static int draw(const selecting *s)
{
    char folder[PATH_SIZE], path[PATH_SIZE];
    text t = {0};
    int code = make_folder(path_join(folder, s->run, "plots"));
    plot_begin(&t, "select.svg", 560, 340);
    text_add(&t, "set xlabel 'epoch'\n");
    if (s->data) {
        text_add(&t,
                 "set ylabel 'accuracy in %%'\nset yrange [*:100]\nbefore = %.6g\n"
                 "plot '../select.csv' skip 2 using 1:(100*$2) with linespoints pt 7 lc rgb "
                 "'" BLUE "' title 'translated', \\\n     before with lines dt 2 lc rgb '" ORANGE
                 "' title 'as they are'\n",
                 100 * ev_metrics_accuracy(s->all[0].metrics));
    } else {
        text_add(&t, "set ylabel 'distance of features'\nset yrange [0:*]\n"
                     "plot '../select.csv' skip 2 using 1:2 with linespoints pt 7 lc rgb '" BLUE
                     "' title 'translated'\n");
    }
    if (!code) {
        code = text_save(&t, path_join(path, folder, "select.gp"));
    } else {
        text_free(&t);
    }
    bool points = s->n > 2; /* a single one makes no curve */
    return !code && points && find_program("gnuplot") ? plot_gnuplot(folder, "select.gp") : code;
}

static int keep_best(const selecting *s)
{
    char path[PATH_SIZE];
    ev_model *model = NULL;
    const char *to = s->out ? s->out : path_join(path, s->run, "best.onnx");
    char from[PATH_SIZE];
    int code = open_model(s->ctx, generator_path(s, s->all[s->best].epoch, GAN_A, from), &model);
    if (!code) {
        ev_status status = ev_model_save(model, to);
        code = status == EV_OK ? 0 : fail_status(EXIT_IO, status, NULL);
    }
    ev_model_destroy(model);
    if (!code) {
        note("copied to %s", to);
    }
    return code;
}

/* ---- the verb -------------------------------------------------------------------------------- */

/* At most so many pictures, spread evenly. */
static int limit_set(const selecting *s, ev_dataset **set)
{
    int32_t size = ev_dataset_size(*set);
    ev_dataset *less = NULL;
    if (!*set || s->pictures < 1 || s->pictures >= size) {
        return 0;
    }
    int32_t *items = calloc((size_t)s->pictures, sizeof *items);
    ev_status status = items ? EV_OK : EV_ERR_MEMORY;
    if (items) {
        gan_spread(size, s->pictures, items);
        status = ev_dataset_select(*set, items, s->pictures, &less);
    }
    free(items);
    if (status != EV_OK) {
        return fail(EXIT_MEMORY, "out of memory");
    }
    ev_dataset_destroy(*set);
    *set = less;
    return 0;
}

static int open_sets(selecting *s)
{
    char path[PATH_SIZE];
    int code = 0;
    if (s->data) {
        code = open_data(s->ctx, s->data, s->classifier, &s->sets[0]);
    }
    for (int i = GAN_A; i <= GAN_B && !s->data && !code; i++) {
        code =
            gan_open_pictures(s->ctx, path_join(path, s->run, i ? "b.csv" : "a.csv"), &s->sets[i]);
    }
    for (int i = 0; i < 2 && !code; i++) {
        code = limit_set(s, &s->sets[i]);
    }
    if (code || !s->data) {
        return code;
    }
    s->empty_label = ev_dataset_class_index(s->sets[0], s->empty ? s->empty : "empty");
    if (s->empty && s->empty_label < 0) {
        return fail(EXIT_USAGE, "--empty %s: the classifier has no such class", s->empty);
    }
    s->names = dataset_classes(s->sets[0]);
    return s->names ? 0 : fail(EXIT_MEMORY, "out of memory");
}

static int run_select(selecting *s)
{
    char path[PATH_SIZE];
    if (!s->by && !file_exists(path_join(path, s->run, "classifier.onnx"))) {
        return fail(EXIT_USAGE, "--by CLASSIFIER is missing: the model that works with the "
                                "translated pictures");
    }
    catch_signals();
    int code = open_context(s->threads, &s->ctx);
    if (!code) {
        code = open_model(s->ctx, s->by ? s->by : path, &s->classifier);
    }
    if (!code) {
        code = list_epochs(s);
    }
    if (!code) {
        code = open_sets(s);
    }
    if (!code) {
        code = judge_all(s);
    }
    if (!code) {
        code = save_csv(s);
    }
    if (!code) {
        code = draw(s);
    }
    if (!code) {
        code = keep_best(s);
    }
    return code ? code : tell(s);
}

int verb_gan_select(int argc, char **argv)
{
    selecting s = {.empty_label = -1};
    const option table[] = {
        {"by", 0, OPTION_TEXT, &s.by, "MODEL",
         "the classifier (default: that of the training, if any)", 0, 0, NULL},
        {"data", 0, OPTION_TEXT, &s.data, "DATA", "labelled pictures of A's kind, a few dozen", 0,
         0, NULL},
        {"empty", 0, OPTION_TEXT, &s.empty, "NAME",
         "class that means nothing is there (default \"empty\",\nif there is one)", 0, 0, NULL},
        {"pictures", 0, OPTION_INT, &s.pictures, "N", "at most so many (default all)", 0, INT32_MAX,
         NULL},
        {"out", 'o', OPTION_TEXT, &s.out, "FILE", "copy of the best (default RUN/best.onnx)", 0, 0,
         NULL},
        {"threads", 0, OPTION_INT, &s.threads, "N", "0: all cores; changes no result", 0, 256,
         NULL},
        {"json", 0, OPTION_FLAG, &s.json, NULL, "the result as JSON", 0, 0, NULL},
        {"quiet", 'q', OPTION_FLAG, &tool_quiet, NULL, "no messages but errors", 0, 0, NULL},
    };
    syntax syn = {.verb = "gan select",
                  .usage = "RUN --by CLASSIFIER [--data LABELLED] [options]",
                  .purpose = "Judge the generators of all kept epochs by a classifier of pictures "
                             "of B, and copy the\nbest.  invented: empty pictures in which it sees "
                             "something after translation; vanished:\nothers that it calls empty.  "
                             "Without --data: by the distance between its features of\nB and of "
                             "translated A, which is a hint only.  Exit code 1: none is better "
                             "than no\ntranslation.",
                  .options = table,
                  .n_options = N_OPTIONS(table),
                  .min_rest = 1,
                  .max_rest = 1,
                  .examples = "  edgevision gan select runs/n2d --by runs/day --data night-few/\n"};
    int code = options_parse(&syn, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    s.run = syn.files[0];
    code = run_select(&s);
    for (int i = 0; i < s.n; i++) {
        ev_metrics_destroy(s.all[i].metrics);
    }
    free(s.all);
    free(s.names);
    ev_dataset_destroy(s.sets[0]);
    ev_dataset_destroy(s.sets[1]);
    ev_model_destroy(s.classifier);
    ev_context_destroy(s.ctx);
    return code;
}
