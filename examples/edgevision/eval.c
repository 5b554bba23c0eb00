/* SPDX-License-Identifier: MIT */
/* edgevision eval: how good is a model on labelled pictures? */
#include <stdlib.h>

#include "tool.h"

typedef struct eval_options {
    int32_t json, threads, batch, skip;
    double goal;
    const char *out;
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

static int print_result(const ev_metrics *m, const char *const *names, const eval_options *o)
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
        code = print_result(m, names, o);
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
