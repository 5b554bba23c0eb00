/* SPDX-License-Identifier: MIT */
/* What sweep and tune have in common: their options, data, the loop over the trials. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trial.h"

const lab_options lab_defaults = {.size = {224, 224}, .epochs = 40, .patience = 10, .batch = 32,
                                  .rate = 1e-3, .mean = 0.5, .std = 0.25, .stale_minutes = 60,
                                  .split = {3, {64, 16, 20}}, .seed = 1};

int lab_rows(lab_options *o, option *to)
{
    const option rows[] = {
        {"", 0, OPTION_HEADING, NULL, NULL, "every run", 0, 0, NULL},
        {"size", 0, OPTION_SIZE, o->size, "WxH", "pictures are resized to this", 0, 0, NULL},
        {"split", 0, OPTION_LIST, &o->split, "A,B,C", "shares of train, validation, test", 1e-9,
         1e9, NULL},
        {"by-group", 0, OPTION_FLAG, &o->by_group, NULL,
         "keep the pictures of a clip (or camera, day) on one side", 0, 0, NULL},
        {"epochs", 0, OPTION_INT, &o->epochs, "N", "at most so many", 1, 1e6, NULL},
        {"patience", 0, OPTION_INT, &o->patience, "N",
         "stop after so many epochs without a better\nvalidation loss; 0: never", 0, 1e6, NULL},
        {"batch", 0, OPTION_INT, &o->batch, "N", "pictures per step", 1, 65536, NULL},
        {"lr", 0, OPTION_REAL, &o->rate, "X", "learning rate", 1e-12, 100, NULL},
        {"dropout", 0, OPTION_REAL, &o->dropout, "X", "before each hidden dense layer", 0, 0.99,
         NULL},
        {"l2", 0, OPTION_REAL, &o->l2, "X", "weight decay", 0, 100, NULL},
        {"augment", 0, OPTION_CHOICE, &o->augment, "NAME", "none, flip, light or authors", 0, 0,
         augment_names},
        {"mean", 0, OPTION_REAL, &o->mean, "X", "is subtracted from pixels of 0..1", -10, 10, NULL},
        {"std", 0, OPTION_REAL, &o->std, "X", "then they are divided by this", 1e-6, 100, NULL},
        {"fresh", 0, OPTION_FLAG, &o->fresh, NULL,
         "ONNX files: begin with new weights, not with those in the file", 0, 0, NULL},
        {"", 0, OPTION_HEADING, NULL, NULL, "the table", 0, 0, NULL},
        {"out", 'o', OPTION_TEXT, &o->out, "FOLDER",
         "the table of runs; the same command goes on with it", 0, 0, NULL},
        {"wait", 0, OPTION_FLAG, &o->wait, NULL,
         "stay until the runs of other processes are done too", 0, 0, NULL},
        {"stale-minutes", 0, OPTION_REAL, &o->stale_minutes, "X",
         "take over runs of other machines that gave no sign of life\nfor so long; 0: never", 0,
         1e6, NULL},
        {"threads", 0, OPTION_INT, &o->threads, "N", "0: all cores; changes no result", 0, 256,
         NULL},
        {"json", 0, OPTION_FLAG, &o->json, NULL, "the table as JSON", 0, 0, NULL},
        {"quiet", 'q', OPTION_FLAG, &tool_quiet, NULL, "no progress on stderr", 0, 0, NULL},
    };
    memcpy(to, rows, sizeof rows);
    return N_OPTIONS(rows);
}

/* ---- open and close -------------------------------------------------------------------------- */

/* One key a line, so that a difference can be shown. */
static void add_settings(const lab *l, const char *verb, const char *own, text *t)
{
    const lab_options *o = &l->opt;
    char *whole = realpath(l->data, NULL);
    text_add(t, "{\n  \"verb\": \"%s\",\n  \"data\": ", verb);
    text_json(t, whole ? whole : l->data);
    free(whole);
    text_add(t, ",\n  \"pictures\": %d,\n  \"size\": \"%dx%d\",\n  \"split\": \"%.9g,%.9g,%.9g\"",
             (int)ev_dataset_size(l->all), (int)o->size[0], (int)o->size[1], o->split.value[0],
             o->split.value[1], o->split.value[2]);
    text_add(t, ",\n  \"by-group\": %d,\n  \"fixed-test\": %d,\n  \"fresh\": %d",
             (int)o->by_group, (int)o->fixed_test, (int)o->fresh);
    text_add(t, ",\n  \"epochs\": %d,\n  \"patience\": %d,\n  \"batch\": %d", (int)o->epochs,
             (int)o->patience, (int)o->batch);
    text_add(t, ",\n  \"lr\": %.9g,\n  \"dropout\": %.9g,\n  \"l2\": %.9g", o->rate, o->dropout,
             o->l2);
    text_add(t, ",\n  \"augment\": \"%s\",\n  \"mean\": %.9g,\n  \"std\": %.9g%s\n}\n",
             augment_names[o->augment], o->mean, o->std, own);
}

int lab_open(lab *l, const char *verb, const char *data, const char *own)
{
    text settings = {0};
    if (!l->opt.out) {
        return fail(EXIT_USAGE, "-o FOLDER is missing: the table of runs");
    }
    if (l->opt.split.n != N_PARTS) {
        return fail(EXIT_USAGE, "--split wants three shares (train, validation, test), like "
                                "64,16,20");
    }
    l->data = data;
    l->table.folder = l->opt.out;
    l->table.stale_seconds = 60 * l->opt.stale_minutes;
    int code = open_context(l->opt.threads, &l->ctx);
    if (!code) {
        code = open_data(l->ctx, data, NULL, &l->all);
    }
    if (code) {
        return code;
    }
    l->n_classes = ev_dataset_classes(l->all);
    l->classes = dataset_classes(l->all);
    if (!l->classes) {
        return fail(EXIT_MEMORY, "out of memory");
    }
    catch_signals();
    add_settings(l, verb, own, &settings);
    return runs_open(&l->table, &settings);
}

void lab_close(lab *l)
{
    ev_dataset_destroy(l->all);
    free(l->classes);
    ev_context_destroy(l->ctx);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Once through the list; counts what others are doing. */
static int go_through(lab *l, const trial *list, int n, int job, int jobs, int *busy)
{
    int code = 0;
    *busy = 0;
    for (int i = 0; i < n && !caught_signal(); i++) {
        if (i % jobs != job - 1) {
            continue;
        }
        int came = trial_run(l, &list[i]);
        *busy += came == CLAIM_BUSY;
        if (caught_signal()) {
            break;
        }
        if (came > 0) { /* said already; the others may still be good */
            note("%s: not done", list[i].name);
            code = code ? code : came;
        }
    }
    return code;
}

int trials_run(lab *l, const trial *list, int n, int job, int jobs)
{
    int busy = 0, code;
    bool said = false;
    for (;;) {
        code = go_through(l, list, n, job, jobs, &busy);
        if (caught_signal()) {
            fail(0, "stopped; everything is saved, and the same command goes on");
            return 128 + caught_signal();
        }
        if (code || !busy || !l->opt.wait) {
            break;
        }
        if (!said) {
            note("waiting for %d runs of other processes", busy);
        }
        said = true;
        sleep(1);
    }
    if (busy) {
        note("%d runs are in the hands of other processes", busy);
    }
    return code;
}

/* ---- stdout ---------------------------------------------------------------------------------- */

static void json_row(text *t, char *const *keys, char *const *fields, int n, bool first)
{
    text_add(t, first ? "\n {" : ",\n {");
    for (int k = 0; k < n; k++) {
        char *end;
        bool is_text = !strcmp(keys[k], "name") || !strcmp(keys[k], "arch");
        (void)strtod(fields[k], &end);
        text_add(t, "%s\"%s\": ", k ? ", " : "", keys[k]);
        if (is_text) {
            text_json(t, fields[k]);
        } else {
            text_add(t, "%s", *fields[k] && !*end ? fields[k] : "null");
        }
    }
    text_add(t, "}");
}

int lab_print(const lab *l)
{
    char path[PATH_SIZE], *keys[N_TRIAL_KEYS], *fields[N_TRIAL_KEYS], *next;
    text t = {0};
    int code = 0;
    char *csv = text_load(path_join(path, l->table.folder, "results.csv"), EXIT_IO, &code);
    if (!csv) {
        return code;
    }
    int n = csv_line(csv, keys, N_TRIAL_KEYS, &next);
    text_add(&t, l->opt.json ? "[" : "");
    for (int k = 0; k < n && !l->opt.json; k++) {
        text_add(&t, "%s%s", keys[k], k + 1 < n ? "\t" : "\n");
    }
    for (bool first = true; *next; first = false) {
        if (csv_line(next, fields, N_TRIAL_KEYS, &next) < n) {
            break;
        }
        for (int k = 0; k < n && !l->opt.json; k++) {
            text_add(&t, "%s%s", fields[k], k + 1 < n ? "\t" : "\n");
        }
        if (l->opt.json) {
            json_row(&t, keys, fields, n, first);
        }
    }
    text_add(&t, l->opt.json ? "\n]\n" : "");
    print_table(&t, stdout);
    free(csv);
    return 0;
}
