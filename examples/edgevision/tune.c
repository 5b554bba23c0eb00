/* SPDX-License-Identifier: MIT */
/* edgevision tune: one factor at a time (the paper's table 3), then the final model with what was
   best, its accuracy by class (table 4) and its confusion matrix (figure 7). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plot.h"
#include "trial.h"

enum { FACTOR_RATE, FACTOR_DROPOUT, FACTOR_L2, N_FACTORS };
static const char *const factor_names[N_FACTORS] = {"learning_rate", "dropout", "l2"};

typedef struct tune {
    lab lab;
    const char *arch;
    double subset, best[N_FACTORS];
    number_list values[N_FACTORS];
    int32_t final_epochs;
    trial trials[LIST_MAX], last;
    text table3;
} tune;

/* ---- one factor ------------------------------------------------------------------------------ */

static void make_trial(const tune *u, const double *factors, trial *t)
{
    const char *slash = strrchr(u->arch, '/');
    memset(t, 0, sizeof *t);
    snprintf(t->arch, sizeof t->arch, "%s", u->arch);
    snprintf(t->label, sizeof t->label, "%s", slash ? slash + 1 : u->arch);
    snprintf(t->name, sizeof t->name, "lr%.6g-dropout%.6g-l2_%.6g", factors[FACTOR_RATE],
             factors[FACTOR_DROPOUT], factors[FACTOR_L2]);
    t->rate = factors[FACTOR_RATE];
    t->dropout = factors[FACTOR_DROPOUT];
    t->l2 = factors[FACTOR_L2];
    t->subset = u->subset / 100;
    t->seed = t->draw = u->lab.opt.seed; /* one split for all: they are to be compared */
    t->epochs = u->lab.opt.epochs;
}

/* A number of a result; NAN when there is none. */
static double result_of(const char *json, const char *key)
{
    char value[64];
    bool found = json_find(json, key, value, sizeof value) && strcmp(value, "null") != 0;
    return found ? atof(value) : NAN;
}

typedef struct outcome {
    double train, valid, loss, test;
} outcome;

static int load_outcome(const tune *u, const trial *t, outcome *out)
{
    char path[PATH_SIZE];
    int code = 0;
    char *json = text_load(trial_file(path, &u->lab, t->name, "result.json"), EXIT_IO, &code);
    if (!json) {
        return code;
    }
    out->train = result_of(json, "train_accuracy");
    out->valid = result_of(json, "valid_accuracy");
    out->loss = result_of(json, "valid_loss");
    out->test = result_of(json, "test_accuracy");
    free(json);
    return 0;
}

/* Validation accuracy decides, of equals the lower loss, of equals the first. */
static bool is_better(const outcome *a, const outcome *b)
{
    if (!(a->valid == b->valid)) {
        return a->valid > b->valid || (isfinite(a->valid) && !isfinite(b->valid));
    }
    return a->loss < b->loss || (isfinite(a->loss) && !isfinite(b->loss));
}

static int try_factor(tune *u, int factor)
{
    const number_list *values = &u->values[factor];
    outcome came[LIST_MAX];
    int best = 0;
    for (int i = 0; i < values->n; i++) {
        double factors[N_FACTORS];
        memcpy(factors, u->best, sizeof factors);
        factors[factor] = values->value[i];
        make_trial(u, factors, &u->trials[i]);
    }
    int code = trials_run(&u->lab, u->trials, values->n, 1, 1);
    for (int i = 0; i < values->n && !code; i++) {
        code = load_outcome(u, &u->trials[i], &came[i]);
        best = !code && is_better(&came[i], &came[best]) ? i : best;
    }
    for (int i = 0; i < values->n && !code; i++) {
        text_add(&u->table3, "%s,%.9g,%.9g,%.9g,%.9g,%.9g,%d\n", factor_names[factor],
                 values->value[i], came[i].train, came[i].valid, came[i].loss, came[i].test,
                 (int)(i == best));
    }
    if (!code) {
        u->best[factor] = values->value[best];
        note("%s: %.6g (validation %.1f %%)", factor_names[factor], u->best[factor],
             100 * came[best].valid);
    }
    return code;
}

/* ---- the final model ------------------------------------------------------------------------- */

enum { MAX_CLASSES = 256 };

/* counts[truth][called] of one part */
static int load_counts(const tune *u, const char *file, double (*counts)[MAX_CLASSES])
{
    char path[PATH_SIZE], *fields[MAX_CLASSES + 1], *next;
    int code = 0, row = 0;
    char *csv = text_load(trial_file(path, &u->lab, u->last.name, file), EXIT_IO, &code);
    if (!csv) {
        return code;
    }
    int n = csv_line(csv, fields, MAX_CLASSES + 1, &next) - 1;
    for (; *next && row < n; row++) {
        int m = csv_line(next, fields, MAX_CLASSES + 1, &next) - 1;
        for (int i = 0; i < n; i++) {
            counts[row][i] = i < m ? atof(fields[i + 1]) : 0;
        }
    }
    free(csv);
    return 0;
}

static double row_sum(const double *row, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += row[i];
    }
    return sum;
}

/* One line: of class c, or of all (c < 0). */
static void table4_line(double (*counts)[MAX_CLASSES][MAX_CLASSES], int n, int c, text *t)
{
    for (int part = 0; part < N_PARTS; part++) {
        double right = 0, all = 0;
        for (int k = c < 0 ? 0 : c; k < (c < 0 ? n : c + 1); k++) {
            right += counts[part][k][k];
            all += row_sum(counts[part][k], n);
        }
        text_add(t, all > 0 ? ",%.2f,%.0f" : ",,%.0f", all > 0 ? 100 * right / all : all, all);
    }
    text_add(t, "\n");
}

static int write_figure7(const tune *u, double (*test)[MAX_CLASSES], int n)
{
    char path[PATH_SIZE];
    text t = {0};
    text_add(&t, "prediction");
    for (int c = 0; c < n; c++) {
        text_add(&t, ",");
        text_csv(&t, u->lab.classes[c]);
    }
    text_add(&t, "\n");
    for (int called = 0; called < n; called++) {
        text_csv(&t, u->lab.classes[called]);
        for (int truth = 0; truth < n; truth++) {
            double all = row_sum(test[truth], n);
            text_add(&t, ",%.2f", all > 0 ? 100 * test[truth][called] / all : 0);
        }
        text_add(&t, "\n");
    }
    return text_save(&t, path_join(path, u->lab.table.folder, "figure7.csv"));
}

static int write_tables(const tune *u)
{
    static const char *const files[N_PARTS] = {"train_confusion.csv", "valid_confusion.csv",
                                               "test_confusion.csv"};
    static double counts[N_PARTS][MAX_CLASSES][MAX_CLASSES];
    char path[PATH_SIZE];
    text t = {0};
    int n = u->lab.n_classes, code = 0;
    if (n > MAX_CLASSES) {
        note("more than %d classes: no table 4 and no figure 7", MAX_CLASSES);
        return 0;
    }
    for (int i = 0; i < N_PARTS && !code; i++) {
        code = load_counts(u, files[i], counts[i]);
    }
    if (code) {
        return code;
    }
    text_add(&t, "class,train_accuracy,n_train,valid_accuracy,n_valid,test_accuracy,n_test\n");
    for (int c = 0; c < n; c++) {
        text_csv(&t, u->lab.classes[c]);
        table4_line(counts, n, c, &t);
    }
    text_add(&t, "all");
    table4_line(counts, n, -1, &t);
    code = text_save(&t, path_join(path, u->lab.table.folder, "table4.csv"));
    return code ? code : write_figure7(u, counts[PART_TEST], n);
}

static int write_tuned(const tune *u)
{
    char path[PATH_SIZE];
    outcome o;
    text t = {0};
    int code = load_outcome(u, &u->last, &o);
    if (code) {
        return code;
    }
    text_add(&t, "{\n  \"arch\": ");
    text_json(&t, u->last.label);
    for (int f = 0; f < N_FACTORS; f++) {
        text_add(&t, ",\n  \"%s\": %.9g", factor_names[f], u->best[f]);
    }
    text_add(&t, ",\n  \"train_accuracy\": %.9g,\n  \"valid_accuracy\": %.9g,\n"
                 "  \"test_accuracy\": %.9g,\n  \"model\": ", o.train, o.valid, o.test);
    text_json(&t, trial_file(path, &u->lab, u->last.name, "model.onnx"));
    text_add(&t, "\n}\n");
    note("%s tuned: %.1f %% train, %.1f %% validation, %.1f %% test; %s", u->last.label,
         100 * o.train, 100 * o.valid, 100 * o.test, path);
    return text_save(&t, path_join(path, u->lab.table.folder, "tuned.json"));
}

static int train_final(tune *u)
{
    trial *t = &u->last;
    make_trial(u, u->best, t);
    t->epochs = u->final_epochs ? u->final_epochs : t->epochs;
    snprintf(t->name, sizeof t->name, "final-lr%.6g-dropout%.6g-l2_%.6g", t->rate, t->dropout,
             t->l2);
    u->lab.opt.keep = 1;
    return trials_run(&u->lab, t, 1, 1, 1);
}

static int finish(tune *u)
{
    char path[PATH_SIZE];
    int code = runs_collect(&u->lab.table, trial_keys, N_TRIAL_KEYS);
    int guard = runs_hold(&u->lab.table);
    if (!code) {
        code = text_save(&u->table3, path_join(path, u->lab.table.folder, "table3.csv"));
    }
    if (!code) {
        code = write_tables(u);
    }
    if (!code) {
        code = write_tuned(u);
    }
    if (!code) {
        code = draw_table_plots(u->lab.table.folder);
    }
    runs_let_go(guard);
    return code ? code : lab_print(&u->lab);
}

/* ---- the verb -------------------------------------------------------------------------------- */

static int run_tune(tune *u, const char *data)
{
    text own = {0};
    text_add(&own, ",\n  \"arch\": ");
    text_json(&own, u->arch);
    text_add(&own, ",\n  \"subset\": %.9g,\n  \"seed\": %llu,\n  \"final-epochs\": %d", u->subset,
             (unsigned long long)u->lab.opt.seed, (int)u->final_epochs);
    int code = lab_open(&u->lab, "tune", data, own.data ? own.data : "");
    text_free(&own);
    u->lab.opt.wait = 1; /* a factor is decided when all of its values are known */
    u->best[FACTOR_RATE] = u->lab.opt.rate;
    u->best[FACTOR_DROPOUT] = u->lab.opt.dropout;
    u->best[FACTOR_L2] = u->lab.opt.l2;
    text_add(&u->table3, "factor,value,train_accuracy,valid_accuracy,valid_loss,test_accuracy,"
                         "chosen\n");
    for (int f = 0; f < N_FACTORS && !code; f++) {
        code = try_factor(u, f);
    }
    if (!code) {
        code = train_final(u);
    }
    if (!code) {
        code = finish(u);
    }
    text_free(&u->table3);
    lab_close(&u->lab);
    return code;
}

int verb_tune(int argc, char **argv)
{
    static tune u = {
        .arch = "Arch5", .subset = 100,
        .values = {{6, {5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2}},
                   {10, {0, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65}},
                   {7, {0, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 0.1}}}};
    u.lab.opt = lab_defaults;
    option table[7 + N_LAB_OPTIONS] = {
        {"arch", 0, OPTION_TEXT, &u.arch, "NAME", "net, or an ONNX file", 0, 0, NULL},
        {"rates", 0, OPTION_LIST, &u.values[FACTOR_RATE], "A,B,..", "learning rates to try", 1e-12,
         100, NULL},
        {"dropouts", 0, OPTION_LIST, &u.values[FACTOR_DROPOUT], "A,B,..", "then dropouts", 0, 0.99,
         NULL},
        {"l2s", 0, OPTION_LIST, &u.values[FACTOR_L2], "A,B,..", "then weight decays", 0, 100,
         NULL},
        {"subset", 0, OPTION_REAL, &u.subset, "X", "share of the pictures, in %", 1e-6, 100, NULL},
        {"final-epochs", 0, OPTION_INT, &u.final_epochs, "N",
         "of the final model (default as --epochs)", 0, 1e6, NULL},
        {"seed", 0, OPTION_SEED, &u.lab.opt.seed, "N", "of split, weights and order", 0, 0, NULL},
    };
    syntax x = {.verb = "tune", .usage = "DATA -o FOLDER [options]",
                .purpose = "Try learning rates, then dropouts, then weight decays; each time the "
                           "value with the\nbest validation accuracy is kept (ties: lower loss).  "
                           "--lr, --dropout and --l2 are where it\nstarts.  Processes that work "
                           "on the same FOLDER share the runs.  FOLDER then holds\ntable3.csv, "
                           "table4.csv (accuracy by class), figure7.csv (confusion), tuned.json, "
                           "and\nthe final model.",
                .options = table, .n_options = 7 + lab_rows(&u.lab.opt, table + 7), .min_rest = 1,
                .max_rest = 1,
                .examples = "  edgevision tune truth.csv -o tune --arch Arch5\n"
                            "  edgevision tune truth.csv -o tune --rates 1e-4,1e-3 --dropouts "
                            "0,0.5 --l2s 0\n"};
    int code = options_parse(&x, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    return run_tune(&u, x.files[0]);
}
