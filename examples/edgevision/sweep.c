/* SPDX-License-Identifier: MIT */
/* edgevision sweep: every net with every size of the training set and every seed (the paper's
   table 1 and figures 5 and 6), as a table of runs that many processes can share. */
#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plot.h"
#include "trial.h"

enum { MAX_NETS = 64 };

typedef struct net {
    char label[100], arch[PATH_SIZE];
} net;

typedef struct sweep {
    lab lab;
    const char *archs, *job;
    number_list subsets, seeds;
    double within;
    int32_t job_number, n_jobs;
    net nets[MAX_NETS];
    int n_nets;
    trial *trials;
    int n_trials;
} sweep;

/* ---- which nets ------------------------------------------------------------------------------ */

static int add_net(sweep *s, const char *label, const char *arch)
{
    if (s->n_nets == MAX_NETS) {
        return fail(EXIT_USAGE, "--archs: more than %d nets", MAX_NETS);
    }
    for (int i = 0; i < s->n_nets; i++) {
        if (!strcmp(s->nets[i].arch, arch)) {
            return 0;
        }
        if (!strcmp(s->nets[i].label, label)) {
            return fail(EXIT_USAGE, "--archs: two files are called %s.onnx", label);
        }
    }
    net *n = &s->nets[s->n_nets++];
    snprintf(n->label, sizeof n->label, "%s", label);
    snprintf(n->arch, sizeof n->arch, "%s", arch);
    return 0;
}

static int add_file(sweep *s, const char *path)
{
    char label[100];
    const char *slash = strrchr(path, '/');
    snprintf(label, sizeof label, "%s", slash ? slash + 1 : path);
    char *end = strstr(label, ".onnx");
    if (end) {
        *end = '\0';
    }
    return add_net(s, label, path);
}

/* A ladder: all ONNX files of a folder. */
static int add_folder(sweep *s)
{
    char path[PATH_SIZE];
    struct dirent **entries = NULL;
    int code = 0, n = scandir(s->archs, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        size_t length = strlen(entries[i]->d_name);
        if (!code && length > 5 && !strcmp(entries[i]->d_name + length - 5, ".onnx")) {
            code = add_file(s, path_join(path, s->archs, entries[i]->d_name));
        }
        free(entries[i]);
    }
    free(entries);
    if (!code && s->n_nets == 0) {
        code = fail(EXIT_MODEL, "%s: no ONNX files", s->archs);
    }
    return code;
}

static int add_number_range(sweep *s, const char *word)
{
    char *end, name[40];
    long first = strtol(word, &end, 10), last = first;
    if (*end == '-' && isdigit((unsigned char)end[1])) {
        last = strtol(end + 1, &end, 10);
    }
    if (*end || first < 1 || last < first || last > ev_zoo_n_archs()) {
        return fail(EXIT_USAGE, "--archs %s: numbers are 1..%d", word, (int)ev_zoo_n_archs());
    }
    int code = 0;
    for (long i = first; i <= last && !code; i++) {
        snprintf(name, sizeof name, "Arch%ld", i);
        code = add_net(s, name, name);
    }
    return code;
}

/* "1-8", "Arch1,Arch5,ResNet-20", "ladder/", "a.onnx,b.onnx" */
static int read_nets(sweep *s)
{
    char words[PATH_SIZE], *rest = NULL;
    int code = 0;
    if (is_folder(s->archs)) {
        return add_folder(s);
    }
    snprintf(words, sizeof words, "%s", s->archs);
    for (char *w = strtok_r(words, ",", &rest); w && !code; w = strtok_r(NULL, ",", &rest)) {
        size_t n = strlen(w);
        ev_zoo_row row;
        EV_OPTIONS_INIT(&row);
        if (isdigit((unsigned char)*w)) {
            code = add_number_range(s, w);
        } else if (n > 5 && !strcmp(w + n - 5, ".onnx")) {
            code = add_file(s, w);
        } else if (ev_zoo_arch_row(ev_zoo_arch_number(w), &row) == EV_OK) {
            code = add_net(s, row.name, row.name);
        } else {
            code = add_net(s, w, w);
        }
    }
    return code || s->n_nets ? code : fail(EXIT_USAGE, "--archs names no nets");
}

/* ---- table 1 --------------------------------------------------------------------------------- */

static void table_row(const net *n, const ev_model *model, text *t)
{
    ev_zoo_row row;
    int32_t number = ev_zoo_arch_number(n->arch);
    EV_OPTIONS_INIT(&row);
    text_csv(t, n->label);
    text_add(t, ",%lld,%lld", (long long)ev_model_parameter_count(model),
             (long long)ev_model_macs(model));
    if (number && ev_zoo_arch_row(number, &row) == EV_OK) {
        text_add(t, ",%s,%lld,%d,", row.size, (long long)row.parameters, (int)row.n_convolutions);
        text_csv(t, row.filters);
        text_add(t, ",");
        text_csv(t, row.dense);
        text_add(t, "\n");
    } else {
        text_add(t, ",,,,,\n");
    }
}

/* Draw each net once: a net that cannot be is found now and not after hours. */
static int write_table(sweep *s)
{
    char path[PATH_SIZE];
    const char *arch;
    text t = {0};
    int code = 0;
    text_add(&t, "arch,parameters,macs,paper,parameters_at_224,conv_layers,filters,dense_layers\n");
    for (int i = 0; i < s->n_nets && !code; i++) {
        ev_model *model = NULL;
        ev_zoo_options zoo;
        EV_OPTIONS_INIT(&zoo);
        zoo.width = s->lab.opt.size[0];
        zoo.height = s->lab.opt.size[1];
        zoo.n_classes = s->lab.n_classes;
        arch = s->nets[i].arch;
        if (strlen(arch) > 5 && !strcmp(arch + strlen(arch) - 5, ".onnx")) {
            code = open_model(s->lab.ctx, arch, &model);
        } else {
            ev_status status = ev_zoo_create(s->lab.ctx, arch, &zoo, &model);
            code = status == EV_OK ? 0 : fail_status(EXIT_USAGE, status, "edgevision arch list "
                                                                         "shows the nets");
        }
        if (!code) {
            table_row(&s->nets[i], model, &t);
        }
        ev_model_destroy(model);
    }
    if (code) {
        text_free(&t);
        return code;
    }
    int guard = runs_hold(&s->lab.table);
    code = text_save(&t, path_join(path, s->lab.table.folder, "table1.csv"));
    runs_let_go(guard);
    return code;
}

/* ---- the runs -------------------------------------------------------------------------------- */

/* Paper: subset and split are drawn anew for each run; with one test set for all: by seed alone. */
static uint64_t draw_seed(const sweep *s, const trial *t)
{
    uint64_t hash = 14695981039346656037U;
    for (const char *c = t->name; *c; c++) {
        hash = (hash ^ (unsigned char)*c) * 1099511628211U;
    }
    return s->lab.opt.fixed_test ? t->seed : hash | 1;
}

static void name_trial(trial *t)
{
    char label[100], subset[40];
    size_t n = strlen(t->label);
    for (size_t i = 0; i <= n; i++) {
        unsigned char c = (unsigned char)t->label[i];
        label[i] = (char)(!c || isalnum(c) || c == '.' || c == '_' ? tolower(c) : '_');
    }
    double percent = 100 * t->subset;
    if (fabs(percent - rint(percent)) < 1e-9) {
        snprintf(subset, sizeof subset, "%03d", (int)rint(percent));
    } else {
        snprintf(subset, sizeof subset, "%.6g", percent);
    }
    snprintf(t->name, sizeof t->name, "%s-subset%s-seed%llu", label, subset,
             (unsigned long long)t->seed);
}

static int list_trials(sweep *s)
{
    const lab_options *o = &s->lab.opt;
    int n = 0;
    s->n_trials = s->seeds.n * s->n_nets * s->subsets.n;
    s->trials = calloc((size_t)s->n_trials, sizeof *s->trials);
    for (int k = 0; s->trials && k < s->seeds.n; k++) {
        for (int i = 0; i < s->n_nets; i++) {
            for (int j = 0; j < s->subsets.n; j++) {
                trial *t = &s->trials[n++];
                snprintf(t->label, sizeof t->label, "%s", s->nets[i].label);
                snprintf(t->arch, sizeof t->arch, "%s", s->nets[i].arch);
                t->subset = s->subsets.value[j] / 100;
                t->seed = (uint64_t)s->seeds.value[k];
                t->rate = o->rate;
                t->dropout = o->dropout;
                t->l2 = o->l2;
                t->epochs = o->epochs;
                name_trial(t);
                t->draw = draw_seed(s, t);
            }
        }
    }
    return s->trials ? 0 : fail(EXIT_MEMORY, "out of memory");
}

/* ---- which net to take ----------------------------------------------------------------------- */

/* Mean validation accuracy of a net on a subset; rows of other nets are passed over. */
static double accuracy_of(const result_row *rows, int n, const char *label, double subset,
                          double *parameters)
{
    double sum = 0;
    int count = 0;
    for (int i = 0; i < n; i++) {
        if (!strcmp(rows[i].arch, label) && fabs(rows[i].subset - subset) < 1e-9) {
            sum += rows[i].valid_accuracy;
            *parameters = rows[i].parameters;
            count++;
        }
    }
    return count ? sum / count : NAN;
}

static int write_choice(const sweep *s, const char *largest, double top, int best, double accuracy,
                        double parameters)
{
    char path[PATH_SIZE];
    text t = {0};
    text_add(&t, "{\n  \"chosen\": ");
    text_json(&t, s->nets[best].label);
    text_add(&t, ",\n  \"file\": ");
    text_json(&t, s->nets[best].arch);
    text_add(&t, ",\n  \"parameters\": %.0f,\n  \"valid_accuracy\": %.9g,\n  \"largest\": ",
             parameters, accuracy);
    text_json(&t, largest);
    text_add(&t, ",\n  \"largest_valid_accuracy\": %.9g,\n  \"within_points\": %.9g\n}\n", top,
             s->within);
    note("the smallest net within %.3g points of %s (%.1f %% validation accuracy): %s, %.0f "
         "parameters, %.1f %%",
         s->within, largest, 100 * top, s->nets[best].label, parameters, 100 * accuracy);
    return text_save(&t, path_join(path, s->lab.table.folder, "choice.json"));
}

/* The paper's rule: the smallest net within 1 % of the largest's validation accuracy. */
static int choose(const sweep *s)
{
    result_row *rows = NULL;
    double accuracy[MAX_NETS], parameters[MAX_NETS] = {0}, subset = 0;
    int n = 0, code = load_results(s->lab.table.folder, &rows, &n), largest = 0, best = -1;
    for (int j = 0; j < s->subsets.n; j++) {
        subset = fmax(subset, s->subsets.value[j] / 100);
    }
    for (int i = 0; i < s->n_nets && !code; i++) {
        accuracy[i] = accuracy_of(rows, n, s->nets[i].label, subset, &parameters[i]);
        largest = parameters[i] > parameters[largest] ? i : largest;
    }
    free(rows);
    if (code) {
        return code;
    }
    for (int i = 0; i < s->n_nets; i++) {
        if (accuracy[i] >= accuracy[largest] - s->within / 100 - 1e-12 &&
            (best < 0 || parameters[i] < parameters[best])) {
            best = i;
        }
    }
    return best < 0 ? 0 : write_choice(s, s->nets[largest].label, accuracy[largest], best,
                                       accuracy[best], parameters[best]);
}

static int finish(sweep *s)
{
    int left = 0;
    for (int i = 0; i < s->n_trials; i++) {
        left += !runs_done(&s->lab.table, s->trials[i].name);
    }
    int code = runs_collect(&s->lab.table, trial_keys, N_TRIAL_KEYS);
    if (code) {
        return code;
    }
    int guard = runs_hold(&s->lab.table);
    code = draw_table_plots(s->lab.table.folder);
    int chosen = left ? 0 : choose(s);
    runs_let_go(guard);
    if (left) {
        note("%d of %d runs are not done yet", left, s->n_trials);
    }
    int printed = lab_print(&s->lab); /* whatever became of the figures */
    return code ? code : chosen ? chosen : printed;
}

static int run_sweep(sweep *s, const char *data)
{
    int code = read_nets(s);
    if (!code) {
        code = lab_open(&s->lab, "sweep", data, "");
    }
    if (!code) {
        code = write_table(s);
    }
    if (!code) {
        code = list_trials(s);
    }
    if (!code) {
        note("%d runs: %d nets, %d sizes of the training set, %d seeds; %d threads", s->n_trials,
             s->n_nets, (int)s->subsets.n, (int)s->seeds.n,
             (int)ev_context_threads(s->lab.ctx));
        code = trials_run(&s->lab, s->trials, s->n_trials, s->job_number, s->n_jobs);
    }
    if (s->trials && !caught_signal()) {
        int end = finish(s);
        code = code ? code : end;
    }
    free(s->trials);
    lab_close(&s->lab);
    return code;
}

static int read_job(sweep *s)
{
    char rest = 0;
    s->job_number = s->n_jobs = 1;
    if (s->job && (sscanf(s->job, "%d/%d%c", &s->job_number, &s->n_jobs, &rest) != 2 ||
                   s->job_number < 1 || s->job_number > s->n_jobs)) {
        return fail(EXIT_USAGE, "--job %s: must be like 3/10, the third of ten", s->job);
    }
    return 0;
}

int verb_sweep(int argc, char **argv)
{
    static sweep s = {.archs = "1-8", .subsets = {4, {25, 50, 75, 100}}, .seeds = {1, {1}},
                      .within = 1};
    s.lab.opt = lab_defaults;
    option table[8 + N_LAB_OPTIONS] = {
        {"archs", 0, OPTION_TEXT, &s.archs, "LIST",
         "nets: 1-8, names with commas, or a folder of ONNX files", 0, 0, NULL},
        {"subsets", 0, OPTION_LIST, &s.subsets, "A,B,..",
         "shares of the pictures, in %, drawn by class", 1e-6, 100, NULL},
        {"seeds", 0, OPTION_LIST, &s.seeds, "A,B,..", "one run for each", 0, 1e15, NULL},
        {"fixed-test", 0, OPTION_FLAG, &s.lab.opt.fixed_test, NULL,
         "one test set for all runs of a seed, subsets of the rest\n(the paper: subset first, then "
         "split, anew for each run)", 0, 0, NULL},
        {"time", 0, OPTION_FLAG, &s.lab.opt.timing, NULL,
         "measure milliseconds for one picture too", 0, 0, NULL},
        {"keep-models", 0, OPTION_FLAG, &s.lab.opt.keep, NULL, "model.onnx of each run", 0, 0,
         NULL},
        {"within", 0, OPTION_REAL, &s.within, "X",
         "points of validation accuracy that the chosen net may be\nbelow the largest", 0, 100,
         NULL},
        {"job", 0, OPTION_TEXT, &s.job, "I/N",
         "every N-th run, from the I-th on: for a cluster's job array", 0, 0, NULL},
    };
    syntax x = {.verb = "sweep", .usage = "DATA -o FOLDER [options]",
                .purpose = "Train every net with every size of the training set and every seed.  "
                           "Processes that\nwork on the same FOLDER share the runs, on one machine "
                           "or many; stopped or killed ones\ngo on where they were.  FOLDER then "
                           "holds results.csv, table1.csv, choice.json and\nplots/figure5.svg and "
                           "figure6.svg.",
                .options = table, .n_options = 8 + lab_rows(&s.lab.opt, table + 8), .min_rest = 1,
                .max_rest = 1,
                .examples = "  edgevision sweep truth.csv -o sweep --archs 1-5 --size 64x64\n"
                            "  edgevision sweep truth.csv -o sweep --job $SLURM_ARRAY_TASK_ID/16 "
                            "--threads 4\n"};
    int code = options_parse(&x, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    code = read_job(&s);
    return code ? code : run_sweep(&s, x.files[0]);
}
