/* SPDX-License-Identifier: MIT */
/* The folder of a training run: run.json, history.csv, the manifests of the split. */
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const part_files[N_PARTS] = {"train.csv", "valid.csv", "test.csv"};
static const char *const part_names[N_PARTS] = {"train", "valid", "test"};

char *run_file(char out[PATH_SIZE], const run *r, const char *name)
{
    return path_join(out, r->opt.out, name);
}

/* ---- run.json -------------------------------------------------------------------------------- */

static void add_option(text *t, const option *o, bool first)
{
    char value[PATH_SIZE];
    options_show(o, value, sizeof value);
    text_add(t, "%s\n    \"%s\": ", first ? "" : ",", o->name);
    if (o->type == OPTION_FLAG || o->type == OPTION_INT || o->type == OPTION_SEED ||
        o->type == OPTION_REAL) {
        text_add(t, "%s", value);
    } else {
        text_json(t, value);
    }
}

static void add_results(const run *r, text *t)
{
    text_add(t, ",\n  \"epochs_done\": %d,\n  \"best_epoch\": %d",
             (int)ev_trainer_epoch(r->trainer), (int)ev_trainer_best_epoch(r->trainer) + 1);
    text_add(t, ",\n  \"train_seconds\": %.3f,\n  \"ms_per_image\": %.4f", r->train_seconds,
             r->ms_per_image);
    text_add(t, ",\n  \"judged_on\": \"%s\",\n  \"result\": ",
             r->parts[PART_TEST] ? "test" : "validation");
    metrics_json(r->metrics, r->classes, t);
}

static const char *cpu_name(uint32_t cpu)
{
    if (cpu & EV_CPU_AVX512) {
        return "avx512";
    }
    if (cpu & EV_CPU_AVX2) {
        return "avx2";
    }
    return cpu & EV_CPU_NEON ? "neon" : "plain C";
}

int run_save_json(const run *r, const char *state)
{
    char path[PATH_SIZE];
    text t = {0};
    bool first = true;
    text_add(&t, "{\n  \"state\": \"%s\",\n  \"library\": \"%s\",\n  \"cpu\": \"%s\",\n", state,
             ev_version(), cpu_name(ev_context_cpu(r->ctx)));
    text_add(&t, "  \"threads_used\": %d,\n", (int)ev_context_threads(r->ctx));
    text_add(&t, "  \"parameters\": %lld,\n  \"macs\": %lld,\n  \"data\": ",
             (long long)ev_model_parameter_count(r->model), (long long)ev_model_macs(r->model));
    text_json(&t, r->data);
    text_add(&t, ",\n  \"classes\": [");
    for (int32_t c = 0; c < r->n_classes; c++) {
        text_add(&t, c ? ", " : "");
        text_json(&t, r->classes[c]);
    }
    text_add(&t, "],\n  \"options\": {");
    for (int i = 0; i < r->syntax->n_options; i++) {
        const option *o = &r->syntax->options[i];
        if (o->type != OPTION_HEADING && o->target != &r->opt.out && o->target != &r->opt.resume) {
            add_option(&t, o, first);
            first = false;
        }
    }
    text_add(&t, "\n  }");
    for (int i = 0; i < N_PARTS; i++) {
        text_add(&t, ",\n  \"%s_pictures\": %d", part_names[i],
                 (int)ev_dataset_size(r->parts[i]));
    }
    if (r->metrics) {
        add_results(r, &t);
    }
    text_add(&t, "\n}\n");
    return text_save(&t, run_file(path, r, "run.json"));
}

/* ---- going on with an earlier run ------------------------------------------------------------ */

/* Options that may differ when a run goes on; what the command line says about them counts. */
static bool may_change(const char *name)
{
    static const char *const names[] = {"threads", "quiet", "json", "max-minutes", NULL};
    for (int i = 0; names[i]; i++) {
        if (!strcmp(names[i], name)) {
            return true;
        }
    }
    return false;
}

static int load_options(run *r, const char *json)
{
    char value[PATH_SIZE];
    const char *options = strstr(json, "\"options\":");
    int n = 0;
    if (!options) {
        return fail(EXIT_MODEL, "%s: no run.json of edgevision train", r->opt.out);
    }
    for (int i = 0; i < r->syntax->n_options; i++) {
        const option *o = &r->syntax->options[i];
        if (o->type == OPTION_HEADING || may_change(o->name) ||
            !json_find(options, o->name, value, sizeof value)) {
            continue;
        }
        if (o->type == OPTION_TEXT && !*value) {
            *(const char **)o->target = NULL;
            continue;
        }
        r->texts[n] = strdup(value);
        if (!r->texts[n]) {
            return fail(EXIT_MEMORY, "out of memory");
        }
        if (options_set(r->syntax, o->name, r->texts[n++])) {
            return fail(EXIT_MODEL, "%s: run.json is damaged", r->opt.out);
        }
    }
    return 0;
}

static int load_classes(run *r, char *json)
{
    char *at = strstr(json, "\"classes\": [");
    char *end = at ? strchr(at, ']') : NULL;
    static char *fields[65536];
    if (!end) {
        return fail(EXIT_MODEL, "%s: run.json names no classes", r->opt.out);
    }
    *end = '\0';
    at += strlen("\"classes\": [");
    for (char *c = at; *c; c++) { /* the CSV reader takes no blank before a quote */
        if (c[0] == ',' && c[1] == ' ') {
            memmove(c + 1, c + 2, strlen(c + 2) + 1);
        }
    }
    char *next;
    r->n_classes = csv_line(at, fields, 65536, &next);
    r->classes = calloc((size_t)r->n_classes + 1, sizeof *r->classes);
    for (int32_t i = 0; r->classes && i < r->n_classes; i++) {
        r->classes[i] = fields[i];
    }
    return r->classes ? 0 : fail(EXIT_MEMORY, "out of memory");
}

int run_load(run *r)
{
    char path[PATH_SIZE], value[PATH_SIZE];
    int code = 0;
    r->opt.out = r->opt.resume;
    char *json = text_load(run_file(path, r, "run.json"), EXIT_MODEL, &code);
    if (!json) {
        return code;
    }
    r->texts[RUN_MAX_OPTIONS - 1] = json;
    if (!json_find(json, "data", value, sizeof value)) {
        return fail(EXIT_MODEL, "%s: run.json is damaged", path);
    }
    r->texts[RUN_MAX_OPTIONS - 2] = strdup(value);
    r->data = r->texts[RUN_MAX_OPTIONS - 2] ? r->texts[RUN_MAX_OPTIONS - 2] : "";
    code = load_options(r, json);
    if (!code) {
        code = load_classes(r, json);
    }
    for (int i = 0; i < N_PARTS && !code; i++) {
        if (file_exists(run_file(path, r, part_files[i]))) {
            code = open_data_named(r->ctx, path, r->n_classes, r->classes, &r->parts[i]);
        }
    }
    return code;
}

/* ---- history.csv and the split --------------------------------------------------------------- */

static void add_number(text *t, double value)
{
    if (isfinite(value)) {
        text_add(t, ",%.9g", value);
    } else {
        text_add(t, ",");
    }
}

int save_history(const ev_trainer *trainer, const char *path)
{
    text t = {0};
    text_add(&t, "epoch,train_loss,train_accuracy,valid_loss,valid_accuracy,learning_rate,"
                 "seconds,best\n");
    for (int32_t i = 0; i < ev_trainer_epoch(trainer); i++) {
        ev_epoch e;
        EV_OPTIONS_INIT(&e);
        if (ev_trainer_history(trainer, i, &e) != EV_OK) {
            break;
        }
        text_add(&t, "%d", (int)e.index + 1);
        add_number(&t, e.train_loss);
        add_number(&t, e.train_accuracy);
        add_number(&t, e.valid_loss);
        add_number(&t, e.valid_accuracy);
        add_number(&t, e.learning_rate);
        add_number(&t, e.seconds);
        text_add(&t, ",%d\n", (int)(i == ev_trainer_best_epoch(trainer)));
    }
    return text_save(&t, path);
}

int run_save_history(const run *r)
{
    char path[PATH_SIZE];
    return save_history(r->trainer, run_file(path, r, "history.csv"));
}

int run_save_parts(const run *r)
{
    char path[PATH_SIZE];
    for (int i = 0; i < N_PARTS; i++) {
        if (!r->parts[i]) {
            continue;
        }
        ev_status status = ev_dataset_write_manifest(r->parts[i],
                                                     run_file(path, r, part_files[i]));
        if (status != EV_OK) {
            return fail_status(EXIT_IO, status, NULL);
        }
    }
    return 0;
}
