/* SPDX-License-Identifier: MIT */
/* One training of a table of runs: cut the data, draw the net, fit with checkpoints, judge on all
   three parts, write result.json.  Whenever it is stopped or killed, the next one goes on from the
   last checkpoint, to the same bits. */
#include "trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const trial_keys[N_TRIAL_KEYS] = {
    "name",        "arch",          "parameters",    "macs",      "subset",   "seed",
    "learning_rate", "dropout",     "l2",            "n_train",   "n_valid",  "n_test",
    "epochs",      "best_epoch",    "seconds",       "ms_per_picture", "diverged",
    "train_accuracy", "train_loss", "valid_accuracy", "valid_loss", "test_accuracy", "test_loss",
    "threads"};

/* While it runs. */
typedef struct work {
    lab *lab;
    const trial *trial;
    claim claim;
    ev_model *model;
    ev_trainer *trainer;
    ev_dataset *parts[N_PARTS];
    ev_metrics *judged[N_PARTS];
    double seconds, ms;
    double partial; /* seconds of the epoch under way */
    bool diverged, lost;
    int code;
} work;

char *trial_file(char out[PATH_SIZE], const lab *l, const char *of, const char *name)
{
    char folder[PATH_SIZE];
    return path_join(out, path_join(folder, l->table.folder, of), name);
}

/* ---- data ------------------------------------------------------------------------------------ */

static int part_of(ev_dataset *from, double share, uint64_t seed, ev_dataset **out)
{
    if (share >= 1) {
        *out = ev_dataset_ref(from);
        return 0;
    }
    ev_status status = ev_dataset_subset(from, share, seed, out);
    return status == EV_OK ? 0 : fail_status(EXIT_DATA, status, NULL);
}

/* The paper's way: the subset first, then the split within it. */
static int cut_subset(const lab *l, const trial *t, int kind, ev_dataset **parts)
{
    ev_dataset *some = NULL;
    int code = part_of(l->all, t->subset, t->draw, &some);
    if (!code) {
        code = split_data(some, &l->opt.split, kind, t->draw, parts);
    }
    ev_dataset_destroy(some);
    return code;
}

/* The fairer way: one test set for all, the subset from what is left. */
static int cut_rest(const lab *l, const trial *t, int kind, ev_dataset **parts)
{
    const double *share = l->opt.split.value;
    number_list first = {2, {share[0] + share[1], share[2]}}, second = {2, {share[0], share[1]}};
    ev_dataset *two[2] = {NULL, NULL}, *some = NULL;
    int code = split_data(l->all, &first, kind, t->seed, two);
    if (!code) {
        code = part_of(two[0], t->subset, t->draw, &some);
    }
    if (!code) {
        code = split_data(some, &second, kind, t->draw, parts);
    }
    parts[PART_TEST] = two[1];
    ev_dataset_destroy(two[0]);
    ev_dataset_destroy(some);
    return code;
}

static int cut(work *b)
{
    const lab *l = b->lab;
    int kind = l->opt.by_group ? EV_SPLIT_GROUPED : EV_SPLIT_STRATIFIED;
    int code = l->opt.fixed_test ? cut_rest(l, b->trial, kind, b->parts)
                                 : cut_subset(l, b->trial, kind, b->parts);
    for (int i = 0; i < N_PARTS && !code; i++) {
        if (ev_dataset_size(b->parts[i]) == 0) {
            code = fail(EXIT_DATA, "%s: %.3g %% of the pictures are too few: a part of the split "
                                   "is empty", b->trial->name, 100 * b->trial->subset);
        }
    }
    return code;
}

/* ---- net ------------------------------------------------------------------------------------- */

static bool is_model_file(const char *arch)
{
    size_t n = strlen(arch);
    return n > 5 && !strcmp(arch + n - 5, ".onnx");
}

static ev_status draw(const lab *l, const trial *t, ev_model **out)
{
    ev_zoo_options zoo;
    ev_preprocess prepare;
    EV_OPTIONS_INIT(&zoo);
    EV_OPTIONS_INIT(&prepare);
    zoo.width = prepare.width = l->opt.size[0];
    zoo.height = prepare.height = l->opt.size[1];
    zoo.n_classes = l->n_classes;
    zoo.dropout = (float)t->dropout;
    for (int c = 0; c < 3; c++) {
        prepare.mean[c] = (float)l->opt.mean;
        prepare.std[c] = (float)l->opt.std;
    }
    ev_status status = ev_zoo_create(l->ctx, t->arch, &zoo, out);
    if (status == EV_OK) {
        status = ev_model_set_classes(*out, l->classes, l->n_classes);
    }
    if (status == EV_OK) {
        status = ev_model_set_preprocess(*out, &prepare);
    }
    return status == EV_OK ? ev_model_init(*out, t->seed) : status;
}

static int load(const lab *l, const trial *t, ev_model **out)
{
    int code = open_model(l->ctx, t->arch, out);
    for (int32_t c = 0; !code && c < ev_model_n_classes(*out); c++) {
        if (c >= l->n_classes || strcmp(ev_model_class_name(*out, c), l->classes[c]) != 0) {
            code = fail(EXIT_MODEL, "%s: its class %d is %s, that of the data %s", t->arch, (int)c,
                        ev_model_class_name(*out, c), c < l->n_classes ? l->classes[c] : "missing");
        }
    }
    if (!code && l->opt.fresh) {
        ev_status status = ev_model_init(*out, t->seed);
        code = status == EV_OK ? 0 : fail_status(EXIT_MODEL, status, NULL);
    }
    return code;
}

int trial_model(const lab *l, const trial *t, ev_model **out)
{
    if (is_model_file(t->arch)) {
        return load(l, t, out);
    }
    ev_status status = draw(l, t, out);
    return status == EV_OK ? 0
                           : fail_status(EXIT_USAGE, status, "edgevision arch list shows the nets");
}

/* ---- training -------------------------------------------------------------------------------- */

static int32_t on_step(void *user, const ev_step *s)
{
    work *b = user;
    static double last;
    double now = seconds_now();
    if (is_terminal() && now - last > 0.1) {
        char line[300];
        last = now;
        snprintf(line, sizeof line, "%s  epoch %d/%d  batch %d/%d  loss %.4f", b->trial->name,
                 (int)s->epoch + 1, (int)s->n_epochs, (int)s->batch, (int)s->n_batches, s->loss);
        show_bar(line);
    }
    b->partial = s->seconds;
    b->lost = b->lost || !runs_touch(&b->claim);
    return b->lost || caught_signal() != 0;
}

static int32_t on_epoch(void *user, const ev_epoch *e)
{
    work *b = user;
    char path[PATH_SIZE];
    (void)e;
    b->partial = 0;
    b->code = save_history(b->trainer, path_join(path, b->claim.folder, "history.csv"));
    return b->code != 0;
}

static int make_trainer(work *b)
{
    char path[PATH_SIZE];
    const lab_options *o = &b->lab->opt;
    ev_train_options opt;
    ev_augment_options augment;
    EV_OPTIONS_INIT(&opt);
    set_augmentation(o->augment, &augment);
    opt.learning_rate = (float)b->trial->rate;
    opt.dropout = b->trial->dropout > 0 ? (float)b->trial->dropout : -1;
    opt.l2 = (float)b->trial->l2;
    opt.batch_size = o->batch;
    opt.max_epochs = b->trial->epochs;
    opt.patience = o->patience ? o->patience : -1;
    opt.seed = b->trial->seed;
    opt.augment = o->augment ? &augment : NULL;
    opt.on_epoch = on_epoch;
    opt.on_step = on_step;
    opt.user = b;
    opt.checkpoint = path_join(path, b->claim.folder, "checkpoint.safetensors");
    ev_status status = ev_trainer_create(b->lab->ctx, b->model, b->parts[PART_TRAIN],
                                         b->parts[PART_VALID], &opt, &b->trainer);
    if (status != EV_OK) {
        return fail_status(EXIT_DATA, status, NULL);
    }
    if (file_exists(path)) {
        status = ev_trainer_resume(b->trainer, path);
        if (status != EV_OK) {
            return fail_status(EXIT_MODEL, status, "remove it to begin this run anew");
        }
        note("%s: going on after epoch %d", b->trial->name, (int)ev_trainer_epoch(b->trainer));
    }
    return 0;
}

/* The history does not know what an epoch took before it was interrupted; the file spent does. */
static double seconds_spent(const work *b)
{
    char path[PATH_SIZE];
    int code = 0;
    path_join(path, b->claim.folder, "spent");
    char *words = file_exists(path) ? text_load(path, EXIT_IO, &code) : NULL;
    double seconds = words ? atof(words) : 0;
    free(words);
    return seconds;
}

static int save_stopped(work *b)
{
    char path[PATH_SIZE];
    text t = {0};
    ev_status status = ev_trainer_save(
        b->trainer, path_join(path, b->claim.folder, "checkpoint.safetensors"));
    if (status != EV_OK) {
        return fail_status(EXIT_IO, status, NULL);
    }
    text_add(&t, "%.3f\n", seconds_spent(b) + b->partial);
    int code = text_save(&t, path_join(path, b->claim.folder, "spent"));
    return code ? code : 128 + caught_signal();
}

static double seconds_of(const work *b)
{
    const ev_trainer *trainer = b->trainer;
    double sum = seconds_spent(b);
    for (int32_t i = 0; i < ev_trainer_epoch(trainer); i++) {
        ev_epoch e;
        EV_OPTIONS_INIT(&e);
        if (ev_trainer_history(trainer, i, &e) == EV_OK) {
            sum += e.seconds;
        }
    }
    return sum;
}

/* A run that diverges has a result too: that this learning rate is too high. */
static int fit(work *b)
{
    ev_status status = ev_trainer_run(b->trainer);
    clear_bar();
    b->seconds = seconds_of(b);
    if (status == EV_ERR_DIVERGED) {
        b->diverged = true;
        return 0;
    }
    if (status == EV_ERR_CANCELLED && b->lost) {
        note("%s: another process has taken this run over", b->trial->name);
        return CLAIM_BUSY;
    }
    if (status == EV_ERR_CANCELLED && caught_signal()) {
        return save_stopped(b);
    }
    if (status == EV_ERR_CANCELLED) {
        return b->code;
    }
    return status == EV_OK ? 0 : fail_status(EXIT_DATA, status, NULL);
}

/* ---- judging --------------------------------------------------------------------------------- */

static void add_number(text *t, const char *key, double value)
{
    if (isfinite(value)) {
        text_add(t, ",\n  \"%s\": %.9g", key, value);
    } else {
        text_add(t, ",\n  \"%s\": null", key);
    }
}

static void add_factors(const work *b, text *t)
{
    text_add(t, "{\n  \"name\": ");
    text_json(t, b->trial->name);
    text_add(t, ",\n  \"arch\": ");
    text_json(t, b->trial->label);
    text_add(t, ",\n  \"parameters\": %lld,\n  \"macs\": %lld",
             (long long)ev_model_parameter_count(b->model), (long long)ev_model_macs(b->model));
    add_number(t, "subset", b->trial->subset);
    text_add(t, ",\n  \"seed\": %llu", (unsigned long long)b->trial->seed);
    add_number(t, "learning_rate", b->trial->rate);
    add_number(t, "dropout", b->trial->dropout);
    add_number(t, "l2", b->trial->l2);
}

static int write_result(work *b)
{
    static const char *const names[N_PARTS] = {"train", "valid", "test"};
    char key[40];
    text t = {0};
    add_factors(b, &t);
    for (int i = 0; i < N_PARTS; i++) {
        text_add(&t, ",\n  \"n_%s\": %d", names[i], (int)ev_dataset_size(b->parts[i]));
    }
    text_add(&t, ",\n  \"epochs\": %d,\n  \"best_epoch\": %d", (int)ev_trainer_epoch(b->trainer),
             (int)ev_trainer_best_epoch(b->trainer) + 1);
    add_number(&t, "seconds", b->seconds);
    add_number(&t, "ms_per_picture", b->ms > 0 ? b->ms : NAN);
    text_add(&t, ",\n  \"diverged\": %d", (int)b->diverged);
    for (int i = 0; i < N_PARTS; i++) {
        snprintf(key, sizeof key, "%s_accuracy", names[i]);
        add_number(&t, key, ev_metrics_accuracy(b->judged[i]));
        snprintf(key, sizeof key, "%s_loss", names[i]);
        add_number(&t, key, ev_metrics_loss(b->judged[i]));
    }
    text_add(&t, ",\n  \"threads\": %d", (int)ev_context_threads(b->lab->ctx));
    for (int i = 0; i < N_PARTS; i++) {
        text_add(&t, ",\n  \"%s\": ", names[i]);
        metrics_json(b->judged[i], b->lab->classes, &t);
    }
    text_add(&t, "\n}\n");
    return runs_finish(&b->claim, &t);
}

/* The model and its confusion matrices, for whoever asked to keep them. */
static int keep_model(work *b)
{
    static const char *const names[N_PARTS] = {"train_confusion.csv", "valid_confusion.csv",
                                               "test_confusion.csv"};
    char path[PATH_SIZE];
    int code = 0;
    ev_status status = ev_model_save(b->model, path_join(path, b->claim.folder, "model.onnx"));
    if (status != EV_OK) {
        return fail_status(EXIT_IO, status, NULL);
    }
    for (int i = 0; i < N_PARTS && !code; i++) {
        code = save_confusion(b->judged[i], b->lab->classes,
                              path_join(path, b->claim.folder, names[i]));
    }
    return code;
}

static int judge(work *b)
{
    char path[PATH_SIZE];
    int code = 0;
    for (int i = 0; i < N_PARTS; i++) {
        ev_status status = ev_evaluate(b->lab->ctx, b->model, b->parts[i], NULL, &b->judged[i]);
        if (status != EV_OK) {
            return fail_status(EXIT_DATA, status, NULL);
        }
    }
    if (b->lab->opt.timing) {
        b->ms = time_one(b->lab->ctx, b->model);
    }
    if (b->lab->opt.keep) {
        code = keep_model(b);
    }
    if (!code) {
        code = write_result(b);
    }
    if (!code) { /* what only a run that goes on needs: often larger than all the rest */
        (void)unlink(path_join(path, b->claim.folder, "checkpoint.safetensors"));
        (void)unlink(path_join(path, b->claim.folder, "spent"));
        note("%s: %d epochs, %.1f s%s, validation %.1f %%, test %.1f %%", b->trial->name,
             (int)ev_trainer_epoch(b->trainer), b->seconds, b->diverged ? ", diverged" : "",
             100 * ev_metrics_accuracy(b->judged[PART_VALID]),
             100 * ev_metrics_accuracy(b->judged[PART_TEST]));
    }
    return code;
}

static int do_trial(work *b)
{
    int code = trial_model(b->lab, b->trial, &b->model);
    if (!code) {
        code = cut(b);
    }
    if (!code) {
        code = make_trainer(b);
    }
    if (!code) {
        code = fit(b);
    }
    if (!code) {
        code = judge(b);
    }
    ev_trainer_destroy(b->trainer);
    ev_model_destroy(b->model);
    for (int i = 0; i < N_PARTS; i++) {
        ev_metrics_destroy(b->judged[i]);
        ev_dataset_destroy(b->parts[i]);
    }
    return code;
}

int trial_run(lab *l, const trial *t)
{
    work b = {.lab = l, .trial = t};
    int code = runs_claim(&l->table, t->name, &b.claim);
    if (code != CLAIM_MINE) {
        return code;
    }
    code = do_trial(&b);
    runs_release(&b.claim);
    return code;
}
