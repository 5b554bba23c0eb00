/* SPDX-License-Identifier: MIT */
/* edgevision prune: read the options, then hand over to prune_once.c or prune_steps.c. */
#include "prune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *const prune_units[] = {"",   "parameters", "macs", "file-bytes", "memory", "ms",
                                   "channels"};
const char *const prune_criteria[] = {"default",     "l1",   "l2",   "norm",       "taylor",
                                      "taylor-gate", "fpgm", "lamp", "activation", "zeros",
                                      "random",      NULL};
static const char *const scopes[] = {"global", "local", NULL};
static const char *const depths[] = {"none", "also", "only", NULL};
static const char *const schedules[] = {"default", "one-shot", "linear", "cubic", "cosine", NULL};

/* ---- goals ----------------------------------------------------------------------------------- */

bool prune_read_amount(const char *value, double *out, bool *share)
{
    char *end;
    double x = strtod(value, &end);
    *share = false;
    if (end == value || !isfinite(x)) {
        return false;
    }
    if (*end == '%') {
        *share = true;
        x /= 100;
    } else if (*end == 'k' || *end == 'M' || *end == 'G') {
        x *= *end == 'k' ? 1e3 : *end == 'M' ? 1e6 : 1e9;
    }
    end += *end != '\0' && strchr("%kMG", *end) != NULL;
    *out = x;
    return *end == '\0';
}

static int read_goal(pruning *p)
{
    bool share;
    double x;
    for (int32_t unit = 1; unit <= EV_UNIT_CHANNELS; unit++) {
        const char *value = p->goals[unit];
        if (!value) {
            continue;
        }
        if (p->goal.unit) {
            return fail(EXIT_USAGE, "--%s and --%s: one goal at a time; --accuracy-floor can go "
                                    "with it", prune_units[p->goal.unit], prune_units[unit]);
        }
        if (!prune_read_amount(value, &x, &share) || x <= 0 || (share && x > 1)) {
            return fail(EXIT_USAGE, "--%s %s: must be a share of what the model has (25%%) or a "
                                    "number above 0 (100000, 100k, 1.5M)",
                        prune_units[unit], value);
        }
        p->goal.unit = unit;
        if (share) {
            p->goal.ratio = x;
        } else {
            p->goal.amount = x;
        }
    }
    if (p->floor_text &&
        (!prune_read_amount(p->floor_text, &p->accuracy_floor, &share) || p->accuracy_floor == 0 ||
         p->accuracy_floor <= -1 || p->accuracy_floor > 1)) {
        return fail(EXIT_USAGE, "--accuracy-floor %s: must be the lowest accuracy (0.9 or 90%%) or "
                                "by how much it may fall (-0.01 or -1%%)", p->floor_text);
    }
    return 0;
}

/* "conv1,stage2*": cut at the commas. */
static int read_protected(pruning *p)
{
    if (!p->protect) {
        return 0;
    }
    p->protected_text = strdup(p->protect);
    char *rest = p->protected_text;
    int32_t n = 0;
    for (char *name = rest ? strtok_r(rest, ",", &rest) : NULL; name;
         name = strtok_r(NULL, ",", &rest)) {
        if (n == LIST_MAX) {
            return fail(EXIT_USAGE, "--protect: more than %d names; stem* stands for all that "
                                    "begin so", LIST_MAX);
        }
        p->protected_layers[n++] = name;
    }
    p->pruner.protected_layers = p->protected_layers;
    p->pruner.n_protected = n;
    return p->protected_text ? 0 : fail(EXIT_MEMORY, "out of memory");
}

/* ---- what goes with what --------------------------------------------------------------------- */

static bool looks_only(const pruning *p)
{
    return p->groups || p->show_floor || p->dry_run || p->sensitivity;
}

static bool needs_pictures(int32_t criterion)
{
    return criterion == EV_CRITERION_TAYLOR || criterion == EV_CRITERION_TAYLOR_GATE ||
           criterion == EV_CRITERION_ACTIVATION || criterion == EV_CRITERION_ZEROS;
}

static int check_data(const pruning *p)
{
    const char *what = p->accuracy_floor != 0          ? "--accuracy-floor"
                       : p->sensitivity                ? "--sensitivity"
                       : p->depth                      ? "--depth"
                       : p->distill > 0                ? "--distill"
                       : p->folder                     ? "--run"
                       : needs_pictures(p->criterion) ? "this --criterion"
                                                       : NULL;
    if (p->data || !what || p->groups || p->show_floor) {
        return 0;
    }
    return fail(EXIT_USAGE, "%s needs pictures: --data FOLDER (a data set, or the folder of the "
                            "training run, whose split is then used)", what);
}

static bool same_file(const char *a, const char *b)
{
    struct stat one, other;
    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

static int check_out(const pruning *p)
{
    char inside[PATH_SIZE];
    if (looks_only(p)) {
        return 0;
    }
    if (!p->out) {
        return fail(EXIT_USAGE, "-o SMALLER.onnx is missing: where the smaller model goes "
                                "(--dry-run writes nothing)");
    }
    if (is_folder(p->out)) {
        return fail(EXIT_USAGE, "-o %s: is a folder; wanted is the name of an ONNX file", p->out);
    }
    if (same_file(p->out, is_folder(p->model_path)
                              ? path_join(inside, p->model_path, "model.onnx")
                              : p->model_path)) {
        return fail(EXIT_USAGE, "-o %s: is the model itself; choose another name", p->out);
    }
    if (file_exists(p->out) && !p->force) {
        return fail(EXIT_USAGE, "%s exists already: choose another name, remove it, or say --force "
                                "to have it replaced when all went well", p->out);
    }
    return 0;
}

static int check_usage(pruning *p)
{
    int code = read_goal(p);
    if (!code) {
        code = read_protected(p);
    }
    if (code) {
        return code;
    }
    if (p->groups + p->show_floor + p->dry_run + (p->sensitivity != NULL) > 1) {
        return fail(EXIT_USAGE, "--groups, --floor, --dry-run and --sensitivity: one at a time");
    }
    bool goal = p->goal.unit != 0;
    if (!goal && p->dry_run) {
        return fail(EXIT_USAGE, "--dry-run wants a goal, like --macs 50%%");
    }
    if (!goal && p->accuracy_floor == 0 && !looks_only(p)) {
        return fail(EXIT_USAGE, "how small? Give one of --macs, --parameters, --ms, --file-bytes, "
                                "--memory, --channels (like --macs 25%%), or --accuracy-floor");
    }
    code = check_data(p);
    if (!code) {
        code = check_out(p);
    }
    p->pruner.min_width = p->min_width;
    p->pruner.round_to = p->round_to;
    return code;
}

/* ---- the command line, to be shown again ----------------------------------------------------- */

static char *remember_command(int argc, char **argv)
{
    text t = {0};
    text_add(&t, "edgevision prune");
    for (int i = 0; i < argc; i++) {
        bool plain = argv[i][0] && !argv[i][strcspn(argv[i], " \t\n\"'$`\\*?[]()<>|&;#~!{}")];
        text_add(&t, plain ? " %s" : " '%s'", argv[i]);
    }
    if (t.broken) {
        text_free(&t);
    }
    return t.data;
}

/* ---- before and after ------------------------------------------------------------------------ */

static void add_line(text *t, const char *name, double before, double after, const char *format)
{
    text_add(t, "%s\t", name);
    for (int i = 0; i < 2; i++) {
        double x = i ? after : before;
        if (isfinite(x)) {
            text_add(t, format[0] == 'm' ? "%.4g\t" : "%.0f\t", x);
        } else {
            text_add(t, "-\t");
        }
    }
    if (before > 0 && isfinite(after)) {
        text_add(t, "%.3f\n", after / before);
    } else {
        text_add(t, "-\n");
    }
}

void prune_counts_table(const ev_prune_counts *c, text *t)
{
    const double *ms = c->ms_measured;
    text_add(t, "what\tbefore\tafter\tratio\n");
    add_line(t, "parameters", (double)c->parameters[0], (double)c->parameters[1], "n");
    add_line(t, "multiply-adds", c->macs[0], c->macs[1], "n");
    add_line(t, "file_bytes", (double)c->file_bytes[0], (double)c->file_bytes[1], "n");
    add_line(t, "memory_bytes", (double)c->memory_bytes[0], (double)c->memory_bytes[1], "n");
    add_line(t, "channels", (double)c->channels[0], (double)c->channels[1], "n");
    add_line(t, "milliseconds", ms[0], ms[1], "ms");
    if (c->n_blocks_gone > 0) {
        text_add(t, "blocks_gone\t0\t%d\t-\n", (int)c->n_blocks_gone);
    }
}

static void json_pair(text *t, const char *key, double before, double after)
{
    text_add(t, "\"%s\": {\"before\": ", key);
    text_add(t, isfinite(before) ? "%.17g" : "null", before);
    text_add(t, ", \"after\": ");
    text_add(t, isfinite(after) ? "%.17g" : "null", after);
    text_add(t, "}, ");
}

void prune_counts_json(const ev_prune_counts *c, text *t)
{
    text_add(t, "{");
    json_pair(t, "parameters", (double)c->parameters[0], (double)c->parameters[1]);
    json_pair(t, "macs", c->macs[0], c->macs[1]);
    json_pair(t, "file_bytes", (double)c->file_bytes[0], (double)c->file_bytes[1]);
    json_pair(t, "memory_bytes", (double)c->memory_bytes[0], (double)c->memory_bytes[1]);
    json_pair(t, "channels", (double)c->channels[0], (double)c->channels[1]);
    json_pair(t, "ms", c->ms_measured[0], c->ms_measured[1]);
    text_add(t, "\"blocks_gone\": %d}", (int)c->n_blocks_gone);
}

int prune_save(pruning *p, const char *path)
{
    ev_status status = ev_model_save(p->smaller, path);
    return status == EV_OK ? 0 : fail_status(EXIT_IO, status, NULL);
}

/* ---- the verb -------------------------------------------------------------------------------- */

static int work(pruning *p)
{
    int code = check_usage(p);
    if (!code) {
        code = open_context(p->threads, &p->ctx);
    }
    if (!code) {
        code = open_model(p->ctx, p->model_path, &p->model);
    }
    if (!code && p->data && !p->groups && !p->show_floor) {
        code = prune_open_data(p);
    }
    if (code) {
        return code;
    }
    return p->groups        ? prune_show_groups(p)
           : p->show_floor  ? prune_show_floor(p)
           : p->dry_run     ? prune_dry_run(p)
           : p->sensitivity ? prune_sensitivity(p)
           : p->data        ? prune_steps(p)
                            : prune_once(p);
}

static void close_all(pruning *p)
{
    ev_prune_report_destroy(p->report);
    ev_model_destroy(p->smaller);
    ev_model_destroy(p->model);
    for (int i = 0; i < N_PARTS; i++) {
        ev_dataset_destroy(p->parts[i]);
    }
    ev_context_destroy(p->ctx);
    free(p->protected_text);
    free(p->command);
}

static int run_verb(pruning *p, syntax *s, int argc, char **argv)
{
    p->command = remember_command(argc, argv);
    int code = p->command ? options_parse(s, argc, argv) : fail(EXIT_MEMORY, "out of memory");
    if (!code) {
        p->model_path = s->files[0];
        code = work(p);
    } else if (code == 1) {
        code = 0;
    }
    close_all(p);
    return code;
}

static pruning job = {.steps = 5, .step_epochs = 1, .epochs = 10, .min_width = 1, .max_share = 0.9,
                      .timed_threads = 1, .images = 256, .batch = 32, .temperature = 4,
                      .rate = 1e-4, .split = {3, {64, 16, 20}}, .seed = 1};

static const option table[] = {
    {"out", 'o', OPTION_TEXT, &job.out, "FILE", "the smaller model (ONNX)", 0, 0, NULL},
    {NULL, 0, OPTION_HEADING, NULL, NULL, "how small (one of these):", 0, 0, NULL},
    {"macs", 0, OPTION_TEXT, &job.goals[EV_UNIT_MACS], "GOAL",
     "share of the model (25%) or an amount (100000, 100k)", 0, 0, NULL},
    {"parameters", 0, OPTION_TEXT, &job.goals[EV_UNIT_PARAMETERS], "GOAL", "the same", 0, 0,
     NULL},
    {"ms", 0, OPTION_TEXT, &job.goals[EV_UNIT_MS], "GOAL",
     "milliseconds for a picture, measured here and now", 0, 0, NULL},
    {"file-bytes", 0, OPTION_TEXT, &job.goals[EV_UNIT_FILE_BYTES], "GOAL", "of the ONNX file", 0,
     0, NULL},
    {"memory", 0, OPTION_TEXT, &job.goals[EV_UNIT_MEMORY_BYTES], "GOAL", "bytes of a session", 0,
     0, NULL},
    {"channels", 0, OPTION_TEXT, &job.goals[EV_UNIT_CHANNELS], "GOAL",
     "of layers that can shrink", 0, 0, NULL},
    {"accuracy-floor", 0, OPTION_TEXT, &job.floor_text, "X",
     "never below this (0.9) or so much lower (-0.01);\nwithout a goal: as small as it allows",
     0, 0, NULL},
    {NULL, 0, OPTION_HEADING, NULL, NULL, "pictures:", 0, 0, NULL},
    {"data", 0, OPTION_TEXT, &job.data, "DATA",
     "for fine-tuning and scores, split as train does; the\nfolder of a training run: its "
     "split", 0, 0, NULL},
    {"split", 0, OPTION_LIST, &job.split, "A,B,C", "shares of train, validation, test", 1e-9, 1e9,
     NULL},
    {"by-group", 0, OPTION_FLAG, &job.by_group, NULL,
     "keep the pictures of a clip (or camera, day) on one side", 0, 0, NULL},
    {"valid", 0, OPTION_TEXT, &job.valid, "DATA", "validation set of its own: no split", 0, 0,
     NULL},
    {NULL, 0, OPTION_HEADING, NULL, NULL, "what goes:", 0, 0, NULL},
    {"criterion", 0, OPTION_CHOICE, &job.criterion, "NAME",
     "l1, l2, norm, taylor, taylor-gate, fpgm, lamp, activation,\nzeros, random (default "
     "taylor; without pictures l2)", 0, 0, prune_criteria},
    {"scope", 0, OPTION_CHOICE, &job.scope, "NAME",
     "global: all layers compete; local: the same share of each", 0, 0, scopes},
    {"depth", 0, OPTION_CHOICE, &job.depth, "NAME",
     "whole layers too: none, also (first), only", 0, 0, depths},
    {"protect", 0, OPTION_TEXT, &job.protect, "NAMES",
     "layers that keep their width: conv1,stage2* (default none)", 0, 0, NULL},
    {"max-share", 0, OPTION_REAL, &job.max_share, "X",
     "share of a layer's channels that may go in all", 0.01, 1, NULL},
    {"min-width", 0, OPTION_INT, &job.min_width, "N", "channels that each layer keeps", 1, 65536,
     NULL},
    {"round", 0, OPTION_INT, &job.round_to, "N",
     "channels kept are a multiple of it; 0: what this processor likes", 0, 65536, NULL},
    {NULL, 0, OPTION_HEADING, NULL, NULL, "steps and fine-tuning:", 0, 0, NULL},
    {"schedule", 0, OPTION_CHOICE, &job.schedule, "NAME",
     "one-shot, linear, cubic or cosine (default cubic)", 0, 0, schedules},
    {"steps", 0, OPTION_INT, &job.steps, "N", "on the way to the goal", 1, 10000, NULL},
    {"step-epochs", 0, OPTION_INT, &job.step_epochs, "N", "of fine-tuning after each step", 0,
     1e6, NULL},
    {"epochs", 0, OPTION_INT, &job.epochs, "N", "of fine-tuning after the last", 0, 1e6, NULL},
    {"distill", 0, OPTION_REAL, &job.distill, "X",
     "share of the loss that is the old model's opinion", 0, 1, NULL},
    {"temperature", 0, OPTION_REAL, &job.temperature, "X", "of that opinion", 0.01, 1000, NULL},
    {"batch", 0, OPTION_INT, &job.batch, "N", "pictures per step", 1, 65536, NULL},
    {"optimizer", 0, OPTION_CHOICE, &job.optimizer, "NAME",
     "sgd, adam, adamw or rmsprop (default adam)", 0, 0, optimizer_names},
    {"lr", 0, OPTION_REAL, &job.rate, "X", "learning rate of fine-tuning", 1e-12, 100, NULL},
    {"augment", 0, OPTION_CHOICE, &job.augment, "NAME", "none, flip, light, authors", 0, 0,
     augment_names},
    {"images", 0, OPTION_INT, &job.images, "N", "pictures for scores", 1, 1e9, NULL},
    {"no-controls", 0, OPTION_FLAG, &job.no_controls, NULL,
     "do not train the same layers from random weights, and do\nnot prune by chance, to "
     "compare", 0, 0, NULL},
    {"run", 0, OPTION_TEXT, &job.folder, "FOLDER",
     "state and report; the same command goes on from there\n(default FILE-run)", 0, 0, NULL},
    {NULL, 0, OPTION_HEADING, NULL, NULL, "only look:", 0, 0, NULL},
    {"dry-run", 0, OPTION_FLAG, &job.dry_run, NULL, "the plan, layer by layer", 0, 0, NULL},
    {"groups", 0, OPTION_FLAG, &job.groups, NULL,
     "channels that are tied, what is blocked and why", 0, 0, NULL},
    {"floor", 0, OPTION_FLAG, &job.show_floor, NULL, "the smallest that is possible", 0, 0, NULL},
    {"sensitivity", 0, OPTION_TEXT, &job.sensitivity, "FILE.csv",
     "accuracy with shares of one layer gone, layer by layer\n(and a drawing, by gnuplot)", 0,
     0, NULL},
    {NULL, 0, OPTION_HEADING, NULL, NULL, "else:", 0, 0, NULL},
    {"force", 0, OPTION_FLAG, &job.force, NULL, "replace FILE if it exists", 0, 0, NULL},
    {"seed", 0, OPTION_SEED, &job.seed, "N", "same seed, same model", 0, 0, NULL},
    {"threads", 0, OPTION_INT, &job.threads, "N", "0: all cores; changes no result", 0, 256,
     NULL},
    {"timed-threads", 0, OPTION_INT, &job.timed_threads, "N", "of runs that are timed", 1, 256,
     NULL},
    {"json", 0, OPTION_FLAG, &job.json, NULL, "the result as JSON", 0, 0, NULL},
    {"quiet", 'q', OPTION_FLAG, &tool_quiet, NULL, "no progress on stderr", 0, 0, NULL},
};

int verb_prune(int argc, char **argv)
{
    syntax s = {.verb = "prune", .usage = "MODEL -o SMALLER.onnx GOAL [--data DATA] [options]",
                .purpose = "Make a model really smaller: channels go (and layers, with --depth), "
                           "what is left is\nfine-tuned.  MODEL: an ONNX file or a run folder.  "
                           "Without --data channels go by weights\nalone, at once, and nobody "
                           "looks at the accuracy.",
                .options = table, .n_options = N_OPTIONS(table), .min_rest = 1, .max_rest = 1,
                .examples = "  edgevision prune runs/a -o small.onnx --macs 25% --data runs/a\n"
                            "  edgevision prune m.onnx -o fast.onnx --ms 2.5 --data pictures/ "
                            "--accuracy-floor -0.01\n"
                            "  edgevision prune m.onnx --groups\n"};
    EV_OPTIONS_INIT(&job.pruner);
    return run_verb(&job, &s, argc, argv);
}
