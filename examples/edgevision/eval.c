/* SPDX-License-Identifier: MIT */
/* edgevision eval: how good is a model on labelled pictures? */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

typedef struct eval_options {
    int32_t json, threads, batch, skip;
    double goal;
    const char *out, *by;
} eval_options;

static int write_files(const ev_metrics *m, const ev_dataset *data, const char *const *names,
                       const char *out)
{
    char path[PATH_SIZE];
    int code = make_folder(out);
    if (!code) {
        code = save_predictions(m, data, names, path_join(path, out, "predictions.csv"));
    }
    return code ? code : save_confusion(m, names, path_join(path, out, "confusion.csv"));
}

/* What a picture has in a column of the manifest, or as its group. */
static const char *value_of(const ev_dataset *data, int32_t item, int32_t column)
{
    const char *value = column < 0 ? ev_dataset_group(data, item)
                                   : ev_dataset_value(data, item, column);
    return value ? value : "";
}

typedef struct slice {
    const char *value;
    int32_t pictures, right;
} slice;

static int by_value(const void *a, const void *b)
{
    return strcmp(((const slice *)a)->value, ((const slice *)b)->value);
}

/* Accuracy for each value of a column: per camera, per clip. */
static int print_slices(const ev_metrics *m, const ev_dataset *data, const char *by, int32_t json)
{
    int32_t column = ev_dataset_column_index(data, by), n = 0;
    int32_t count = (int32_t)ev_metrics_count(m);
    text t = {0};
    if (column < 0 && strcmp(by, "group") != 0) {
        return fail(EXIT_USAGE, "--by %s: the data has no such column", by);
    }
    slice *slices = calloc((size_t)count + 1, sizeof *slices);
    if (!slices) {
        return fail(EXIT_MEMORY, "out of memory");
    }
    for (int32_t i = 0; i < count; i++) {
        ev_prediction p;
        EV_OPTIONS_INIT(&p);
        if (ev_metrics_prediction(m, i, &p) == EV_OK) {
            slice one = {value_of(data, p.item, column), 1, p.label == p.predicted};
            slices[n++] = one;
        }
    }
    qsort(slices, (size_t)n, sizeof *slices, by_value);
    if (!json) {
        text_add(&t, "\n%s\tpictures\tright\taccuracy_%%\n", by);
    }
    for (int32_t i = 0, next = 0; i < n; i = next) {
        slice sum = {slices[i].value, 0, 0};
        for (next = i; next < n && !strcmp(slices[next].value, sum.value); next++) {
            sum.pictures++;
            sum.right += slices[next].right;
        }
        if (json) {
            text_add(&t, "{\"by\": ");
            text_json(&t, by);
            text_add(&t, ", \"value\": ");
            text_json(&t, sum.value);
            text_add(&t, ", \"pictures\": %d, \"right\": %d}\n", (int)sum.pictures,
                     (int)sum.right);
        } else {
            text_add(&t, "%s\t%d\t%d\t%.1f\n", sum.value, (int)sum.pictures, (int)sum.right,
                     100.0 * sum.right / sum.pictures);
        }
    }
    free(slices);
    print_table(&t, stdout);
    return 0;
}

static int print_result(const ev_metrics *m, const ev_dataset *data, const char *const *names,
                        const eval_options *o)
{
    if (o->json) {
        text t = {0};
        metrics_json(m, names, &t);
        text_add(&t, "\n");
        fputs(t.data ? t.data : "", stdout);
        text_free(&t);
    } else {
        print_metrics(m, names, stdout);
    }
    int code = o->by ? print_slices(m, data, o->by, o->json) : 0;
    if (code) {
        return code;
    }
    if (o->goal > 0 && !(ev_metrics_accuracy(m) >= o->goal)) {
        return fail(EXIT_GOAL, "accuracy %.4f is below the goal of %.4f", ev_metrics_accuracy(m),
                    o->goal);
    }
    return 0;
}

static int evaluate(ev_context *ctx, const char *model_path, const char *data_path,
                    const eval_options *o)
{
    ev_model *model = NULL;
    ev_dataset *data = NULL;
    ev_metrics *m = NULL;
    const char **names = NULL;
    ev_evaluate_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.batch_size = o->batch;
    opt.skip_unreadable = o->skip;
    int code = open_model(ctx, model_path, &model);
    if (!code) {
        code = open_data(ctx, data_path, model, &data);
    }
    if (!code) {
        ev_status status = ev_evaluate(ctx, model, data, &opt, &m);
        code = status == EV_OK ? 0 : fail_status(EXIT_DATA, status, NULL);
    }
    if (!code) {
        names = metric_names(m, model);
        code = names ? 0 : fail(EXIT_MEMORY, "out of memory");
    }
    if (!code && o->out) {
        code = write_files(m, data, names, o->out);
    }
    if (!code) {
        code = print_result(m, data, names, o);
    }
    free(names);
    ev_metrics_destroy(m);
    ev_dataset_destroy(data);
    ev_model_destroy(model);
    return code;
}

int verb_eval(int argc, char **argv)
{
    eval_options o = {.batch = 32};
    const option table[] = {
        {"json", 0, OPTION_FLAG, &o.json, NULL, "for machines", 0, 0, NULL},
        {"out", 'o', OPTION_TEXT, &o.out, "DIR", "write predictions.csv and confusion.csv there",
         0, 0, NULL},
        {"by", 0, OPTION_TEXT, &o.by, "COLUMN",
         "also the accuracy for each value of a column of the\nmanifest, or of group", 0, 0, NULL},
        {"min-accuracy", 0, OPTION_REAL, &o.goal, "X", "exit code 1 below this, 0..1\n"
         "(default none)", 0, 1, NULL},
        {"skip-unreadable", 0, OPTION_FLAG, &o.skip, NULL, "leave out damaged pictures", 0, 0,
         NULL},
        {"batch", 0, OPTION_INT, &o.batch, "N", "pictures at a time", 1, 65536, NULL},
        {"threads", 0, OPTION_INT, &o.threads, "N", "0: all cores", 0, 256, NULL},
        {"quiet", 'q', OPTION_FLAG, &tool_quiet, NULL, "no progress on stderr", 0, 0, NULL},
    };
    syntax s = {.verb = "eval", .usage = "MODEL DATA [options]",
                .purpose = "Accuracy, precision and F1 of each class and the confusion matrix "
                           "(a row a true class;\ncounts and shares of the row).  MODEL: an ONNX "
                           "file or a run folder; DATA: as for train.",
                .options = table, .n_options = N_OPTIONS(table), .min_rest = 2, .max_rest = 2,
                .examples = "  edgevision eval runs/a runs/a/test.csv\n"
                            "  edgevision eval model.onnx pictures/ --json --min-accuracy 0.9\n"};
    ev_context *ctx = NULL;
    int code = options_parse(&s, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    code = open_context(o.threads, &ctx);
    if (!code) {
        code = evaluate(ctx, s.files[0], s.files[1], &o);
        ev_context_destroy(ctx);
    }
    return code;
}
