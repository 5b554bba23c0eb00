/* SPDX-License-Identifier: MIT */
/* edgevision report: one HTML page about a run, with nothing outside it. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

#include "prune_page.h"

const char *report_value(const report *r, const char *key)
{
    static char values[8][512];
    static int turn;
    char *value = values[turn = (turn + 1) % 8];
    if (!json_find(r->json, key, value, sizeof values[0])) {
        value[0] = '\0';
    }
    return value;
}

double report_number(const report *r, const char *key)
{
    return strtod(report_value(r, key), NULL);
}

double report_row_total(const report *r, int row)
{
    double sum = 0;
    for (int c = 0; c < r->n_classes; c++) {
        sum += r->counts[row][c];
    }
    return sum;
}

static int read_confusion(report *r)
{
    char path[PATH_SIZE], *fields[LIST_MAX + 1], *next;
    int code = 0;
    r->confusion = text_load(path_join(path, r->run, "confusion.csv"), EXIT_MODEL, &code);
    if (!r->confusion) {
        return code;
    }
    int n = csv_line(r->confusion, fields, LIST_MAX + 1, &next) - 1;
    for (int i = 0; i < n; i++) {
        r->names[i] = fields[i + 1];
    }
    for (r->n_classes = 0; r->n_classes < n && *next; r->n_classes++) {
        int m = csv_line(next, fields, LIST_MAX + 1, &next) - 1;
        for (int i = 0; i < m; i++) {
            r->counts[r->n_classes][i] = strtod(fields[i + 1], NULL);
        }
    }
    return 0;
}

static int read_predictions(report *r)
{
    char path[PATH_SIZE], *fields[8], *next;
    int code = 0, lines = 0;
    r->predictions = text_load(path_join(path, r->run, "predictions.csv"), EXIT_MODEL, &code);
    if (!r->predictions) {
        return code;
    }
    for (const char *c = r->predictions; *c; c++) {
        lines += *c == '\n';
    }
    r->verdicts = calloc((size_t)lines + 1, sizeof *r->verdicts);
    if (!r->verdicts) {
        return fail(EXIT_MEMORY, "out of memory");
    }
    csv_line(r->predictions, fields, 8, &next);
    while (*next && r->n_verdicts < lines) {
        if (csv_line(next, fields, 8, &next) >= 5) {
            verdict v = {fields[0], fields[1], fields[2], strtod(fields[3], NULL),
                         strtod(fields[4], NULL)};
            r->verdicts[r->n_verdicts++] = v;
        }
    }
    return 0;
}

static int read_run(report *r)
{
    char path[PATH_SIZE];
    int code = 0;
    r->json = text_load(path_join(path, r->run, "run.json"), EXIT_MODEL, &code);
    if (!r->json) {
        return code;
    }
    if (strcmp(report_value(r, "state"), "done") != 0) {
        return fail(EXIT_MODEL, "%s is not finished: edgevision train --resume %s", r->run, r->run);
    }
    code = read_confusion(r);
    if (!code) {
        code = read_predictions(r);
    }
    return code ? code : open_model(r->ctx, r->run, &r->model);
}

static int build(report *r)
{
    text *t = &r->page;
    text_add(t, "<!doctype html>\n<html lang=en><meta charset=utf-8>\n"
                "<meta name=viewport content='width=device-width,initial-scale=1'>\n"
                "<title>edgevision: %s</title>\n<style>\n%s</style>\n<main>\n",
             report_value(r, "arch"), report_style);
    report_headline(r);
    report_classes(r);
    report_confusion(r);
    int code = report_curves(r);
    if (!code) {
        code = report_pictures(r);
    }
    if (!code) {
        code = report_layers(r);
    }
    report_options(r);
    report_next_steps(r);
    text_add(t, "</div>\n</main>\n</html>\n");
    return code;
}

int write_report(ev_context *ctx, const char *run, const char *out)
{
    report r = {.ctx = ctx, .run = run};
    int code = read_run(&r);
    if (!code) {
        code = build(&r);
    }
    if (!code) {
        code = text_save(&r.page, out);
    }
    text_free(&r.page);
    ev_model_destroy(r.model);
    free(r.verdicts);
    free(r.predictions);
    free(r.confusion);
    free(r.json);
    return code;
}

int verb_report(int argc, char **argv)
{
    char path[PATH_SIZE];
    const char *out = NULL;
    const option table[] = {
        {"out", 'o', OPTION_TEXT, &out, "FILE", "the page (default RUN/report.html)", 0, 0, NULL},
    };
    syntax s = {.verb = "report", .usage = "RUN [-o report.html]",
                .purpose = "One HTML page about a training run: accuracy per class, confusion "
                           "matrix, curves, pictures\nwith what the model said, layers, times and "
                           "options; or about a run of edgevision prune: before "
                           "and after, controls, steps.\nIt needs no other file.",
                .options = table, .n_options = N_OPTIONS(table), .min_rest = 1, .max_rest = 1};
    ev_context *ctx = NULL;
    int code = options_parse(&s, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    code = open_context(1, &ctx);
    if (!code) {
        const char *page = out ? out : path_join(path, s.files[0], "report.html");
        code = is_prune_run(s.files[0]) ? write_prune_report(ctx, s.files[0], page)
                                        : write_report(ctx, s.files[0], page);
        ev_context_destroy(ctx);
        if (!code) {
            note("the report: %s", page);
        }
    }
    return code;
}
