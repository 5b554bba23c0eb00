/* SPDX-License-Identifier: MIT */
/* edgevision train: split, draw, fit, stop early, judge, save. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

const char *const optimizer_names[] = {"default", "sgd", "adam", "adamw", "rmsprop", NULL};
const char *const schedule_names[] = {"constant", "step", "linear", "cosine", "plateau", NULL};
const char *const augment_names[] = {"none", "flip", "light", "authors", NULL};
const char *const color_names[] = {"rgb", "bgr", "grey", NULL};
const char *const resize_names[] = {"default", "area", "bilinear", "bicubic", NULL};

/* ---- data ------------------------------------------------------------------------------------ */

static int open_parts(run *r, ev_dataset *all)
{
    int code = 0;
    if (r->opt.valid) {
        r->parts[PART_TRAIN] = ev_dataset_ref(all);
        code = open_data_named(r->ctx, r->opt.valid, r->n_classes, r->classes,
                               &r->parts[PART_VALID]);
    } else {
        int kind = r->opt.by_group ? EV_SPLIT_GROUPED : EV_SPLIT_STRATIFIED;
        int32_t n = r->opt.split.n;
        if (n < 2 || n > N_PARTS || (n == N_PARTS && r->opt.test)) {
            return fail(EXIT_USAGE, "--split wants two or three shares (train, validation, test; "
                                    "two with --test), like 64,16,20");
        }
        code = split_data(all, &r->opt.split, kind, r->opt.seed, r->parts);
    }
    if (!code && r->opt.test) {
        code = open_data_named(r->ctx, r->opt.test, r->n_classes, r->classes,
                               &r->parts[PART_TEST]);
    }
    return code;
}

static int new_data(run *r)
{
    ev_dataset *all = NULL;
    int code = open_data(r->ctx, r->data, NULL, &all);
    if (code) {
        return code;
    }
    r->n_classes = ev_dataset_classes(all);
    r->classes = dataset_classes(all);
    code = r->classes ? open_parts(r, all) : fail(EXIT_MEMORY, "out of memory");
    if (!code && ev_dataset_groups(all) > 1 && !r->opt.by_group && !r->opt.valid) {
        ev_leak_report leaks;
        EV_OPTIONS_INIT(&leaks);
        if (r->parts[PART_TEST] &&
            ev_dataset_leaks(r->parts[PART_TRAIN], r->parts[PART_TEST], &leaks) == EV_OK &&
            leaks.shared_groups > 0) {
            note("note: %d clips have pictures on both sides of the split; --by-group keeps them "
                 "together", (int)leaks.shared_groups);
        }
    }
    for (int i = 0; i < N_PARTS && !code; i++) {
        if (r->parts[i] && ev_dataset_size(r->parts[i]) == 0) {
            code = fail(EXIT_DATA, "%s: too few pictures: a part of the split is empty", r->data);
        }
    }
    ev_dataset_destroy(all); /* the parts keep it alive, and the names with it */
    return code;
}

/* ---- model ----------------------------------------------------------------------------------- */

static int draw(run *r)
{
    ev_zoo_options zoo;
    ev_preprocess prepare;
    EV_OPTIONS_INIT(&zoo);
    EV_OPTIONS_INIT(&prepare);
    zoo.width = r->opt.size[0];
    zoo.height = r->opt.size[1];
    zoo.channels = r->opt.color == 2 ? 1 : 3;
    zoo.n_classes = r->n_classes;
    zoo.dropout = (float)r->opt.dropout;
    prepare.width = r->opt.size[0];
    prepare.height = r->opt.size[1];
    prepare.bgr = r->opt.color == 1;
    prepare.resize = r->opt.resize;
    for (int c = 0; c < 3; c++) {
        prepare.mean[c] = (float)r->opt.mean;
        prepare.std[c] = (float)r->opt.std;
    }
    ev_status status = ev_zoo_create(r->ctx, r->opt.arch, &zoo, &r->model);
    if (status != EV_OK) {
        return fail_status(EXIT_USAGE, status, "edgevision arch list shows the nets");
    }
    status = ev_model_set_classes(r->model, r->classes, r->n_classes);
    if (status == EV_OK) {
        status = ev_model_set_preprocess(r->model, &prepare);
    }
    if (status == EV_OK) {
        status = ev_model_init(r->model, r->opt.seed);
    }
    return status == EV_OK ? 0 : fail_status(EXIT_BUG, status, NULL);
}

/* ---- training -------------------------------------------------------------------------------- */

/* "epoch 3/40 [#####.....]  loss 0.512  at most 1:05 left", ten times a second */
static void draw_bar(const run *r, const ev_step *s)
{
    static double last, began = -1;
    static int64_t first;
    char line[200], bar[21];
    double now = seconds_now();
    if (began < 0) {
        began = now;
        first = s->step;
    }
    if (now - last < 0.1 || s->n_batches < 1) {
        return;
    }
    last = now;
    int64_t all = (int64_t)s->n_batches * s->n_epochs;
    double each = s->step > first ? (now - began) / (double)(s->step - first) : 0;
    int left = (int)(each * (double)(all - s->step));
    int full = 20 * s->batch / s->n_batches;
    for (int i = 0; i < 20; i++) {
        bar[i] = i < full ? '#' : '.';
    }
    bar[20] = '\0';
    snprintf(line, sizeof line, "epoch %d/%d [%s]  loss %.4f  lr %.3g  at most %d:%02d left",
             (int)s->epoch + 1, (int)r->opt.epochs, bar, s->loss, s->learning_rate, left / 60,
             left % 60);
    show_bar(line);
}

static int32_t on_step(void *user, const ev_step *s)
{
    if (is_terminal()) {
        draw_bar(user, s);
    }
    return caught_signal() != 0;
}

static int32_t on_epoch(void *user, const ev_epoch *e)
{
    run *r = user;
    note("epoch %d/%d  train loss %.4f accuracy %.1f %%  validation loss %.4f accuracy %.1f %%  "
         "%.1f s%s", (int)e->index + 1, (int)e->n_epochs, e->train_loss, 100 * e->train_accuracy,
         e->valid_loss, 100 * e->valid_accuracy, e->seconds, e->is_best ? "  best" : "");
    r->code = run_save_history(r);
    return r->code != 0;
}

void set_augmentation(int32_t kind, ev_augment_options *a)
{
    EV_OPTIONS_INIT(a);
    a->flip = 1;
    if (kind == 2) {
        a->shift_x = a->shift_y = 0.03F;
        a->zoom = 0.05F;
        a->brightness = a->contrast = 0.1F;
    } else if (kind == 3) { /* what the paper's authors offer */
        a->rotation = 40;
        a->shift_x = a->shift_y = a->shear = a->zoom = 0.2F;
    }
}

static int make_trainer(run *r)
{
    char path[PATH_SIZE];
    ev_train_options opt;
    ev_augment_options augment;
    EV_OPTIONS_INIT(&opt);
    set_augmentation(r->opt.augment, &augment);
    opt.optimizer = r->opt.optimizer;
    opt.schedule = r->opt.schedule;
    opt.learning_rate = (float)r->opt.rate;
    opt.l2 = (float)r->opt.l2;
    opt.label_smoothing = (float)r->opt.smoothing;
    opt.batch_size = r->opt.batch;
    opt.max_epochs = r->opt.epochs;
    opt.patience = r->opt.patience ? r->opt.patience : -1;
    opt.time_limit_seconds = 60 * r->opt.max_minutes;
    opt.seed = r->opt.seed;
    opt.augment = r->opt.augment ? &augment : NULL;
    opt.on_epoch = on_epoch;
    opt.on_step = on_step;
    opt.user = r;
    opt.checkpoint = run_file(path, r, "checkpoints/last.safetensors");
    ev_status status = ev_trainer_create(r->ctx, r->model, r->parts[PART_TRAIN],
                                         r->parts[PART_VALID], &opt, &r->trainer);
    if (status != EV_OK) {
        return fail_status(EXIT_DATA, status, NULL);
    }
    if (r->opt.resume && file_exists(path)) {
        status = ev_trainer_resume(r->trainer, path);
        if (status != EV_OK) {
            return fail_status(EXIT_MODEL, status, NULL);
        }
        note("going on after epoch %d, step %lld", (int)ev_trainer_epoch(r->trainer),
             (long long)ev_trainer_steps(r->trainer));
    }
    return 0;
}

static int stopped_by_signal(run *r)
{
    char path[PATH_SIZE];
    ev_status status = ev_trainer_save(r->trainer,
                                       run_file(path, r, "checkpoints/last.safetensors"));
    if (status != EV_OK) {
        return fail_status(EXIT_IO, status, NULL);
    }
    run_save_json(r, "stopped");
    fail(0, "stopped; everything is saved. Go on with: edgevision train --resume %s", r->opt.out);
    return 128 + caught_signal();
}

static int fit(run *r)
{
    double start = seconds_now();
    ev_status status = ev_trainer_run(r->trainer);
    r->train_seconds = 0;
    for (int32_t i = 0; i < ev_trainer_epoch(r->trainer); i++) {
        ev_epoch e;
        EV_OPTIONS_INIT(&e);
        if (ev_trainer_history(r->trainer, i, &e) == EV_OK) {
            r->train_seconds += e.seconds;
        }
    }
    clear_bar();
    if (status == EV_ERR_CANCELLED && caught_signal()) {
        return stopped_by_signal(r);
    }
    if (status == EV_ERR_CANCELLED) {
        return r->code;
    }
    if (status != EV_OK) {
        return fail_status(EXIT_DATA, status,
                           status == EV_ERR_DIVERGED ? "try a lower --lr" : NULL);
    }
    note("trained %d epochs in %.1f s; best epoch %d", (int)ev_trainer_epoch(r->trainer),
         seconds_now() - start, (int)ev_trainer_best_epoch(r->trainer) + 1);
    return 0;
}

/* ---- afterwards ------------------------------------------------------------------------------ */

static void print_result(const run *r)
{
    if (!r->opt.json) {
        print_metrics(r->metrics, r->classes, stdout);
        return;
    }
    text t = {0};
    metrics_json(r->metrics, r->classes, &t);
    text_add(&t, "\n");
    print_table(&t, stdout);
}

static int judge(run *r)
{
    char path[PATH_SIZE];
    ev_dataset *data = r->parts[PART_TEST] ? r->parts[PART_TEST] : r->parts[PART_VALID];
    ev_status status = ev_model_save(r->model, run_file(path, r, "model.onnx"));
    if (status != EV_OK) {
        return fail_status(EXIT_IO, status, NULL);
    }
    status = ev_evaluate(r->ctx, r->model, data, NULL, &r->metrics);
    if (status != EV_OK) {
        return fail_status(EXIT_DATA, status, NULL);
    }
    r->ms_per_image = time_one(r->ctx, r->model);
    int code = run_save_history(r);
    if (!code) {
        code = save_predictions(r->metrics, data, r->classes, run_file(path, r, "predictions.csv"));
    }
    if (!code) {
        code = save_confusion(r->metrics, r->classes, run_file(path, r, "confusion.csv"));
    }
    if (!code) {
        code = run_save_json(r, "done");
    }
    if (!code) {
        code = draw_plots(r->opt.out);
    }
    if (!code) {
        print_result(r);
        note("judged on the %s set; the model: %s", r->parts[PART_TEST] ? "test" : "validation",
             run_file(path, r, "model.onnx"));
    }
    return code;
}

static int prepare(run *r)
{
    char path[PATH_SIZE];
    int code = open_context(r->opt.threads, &r->ctx);
    if (code) {
        return code;
    }
    code = r->opt.resume ? run_load(r) : new_data(r);
    if (!code) {
        code = draw(r);
    }
    if (!code) {
        code = make_folder(run_file(path, r, "checkpoints"));
    }
    if (!code && !r->opt.resume) {
        code = run_save_parts(r);
    }
    if (!code) {
        note("%s %dx%d: %lld parameters; %d training, %d validation, %d test pictures; %d threads",
             r->opt.arch, (int)r->opt.size[0], (int)r->opt.size[1],
             (long long)ev_model_parameter_count(r->model),
             (int)ev_dataset_size(r->parts[PART_TRAIN]),
             (int)ev_dataset_size(r->parts[PART_VALID]),
             (int)ev_dataset_size(r->parts[PART_TEST]), (int)ev_context_threads(r->ctx));
        code = run_save_json(r, "running");
    }
    return code ? code : make_trainer(r);
}

static void close_run(run *r)
{
    ev_metrics_destroy(r->metrics);
    ev_trainer_destroy(r->trainer);
    ev_model_destroy(r->model);
    for (int i = 0; i < N_PARTS; i++) {
        ev_dataset_destroy(r->parts[i]);
    }
    ev_context_destroy(r->ctx);
    free(r->classes);
    for (int i = 0; i < RUN_MAX_OPTIONS; i++) {
        free(r->texts[i]);
    }
}

static int check_usage(run *r, const syntax *s)
{
    char path[PATH_SIZE];
    if (!!r->opt.resume == (s->n_files == 1)) {
        return fail(EXIT_USAGE, "give either DATA or --resume RUN");
    }
    if (r->opt.resume) {
        return 0;
    }
    if (!r->opt.out) {
        return fail(EXIT_USAGE, "-o RUN is missing: the folder for model, curves and predictions");
    }
    r->data = s->files[0];
    if (file_exists(run_file(path, r, "run.json"))) {
        return fail(EXIT_USAGE, "%s holds a run already: choose another folder, remove it, or go "
                                "on with --resume %s", r->opt.out, r->opt.out);
    }
    if (r->opt.std <= 0) {
        return fail(EXIT_USAGE, "--std must be above 0");
    }
    return 0;
}

static int train(run *r, syntax *s)
{
    r->syntax = s;
    int code = check_usage(r, s);
    if (!code) {
        catch_signals();
        code = prepare(r);
    }
    if (!code) {
        code = fit(r);
    }
    if (!code) {
        code = judge(r);
    }
    close_run(r);
    return code;
}

int verb_train(int argc, char **argv)
{
    static run r = {.opt = {.arch = "Arch3", .size = {96, 96}, .epochs = 40, .patience = 10,
                            .batch = 32, .rate = 1e-3, .seed = 1, .split = {3, {64, 16, 20}},
                            .mean = 0.5, .std = 0.25}};
    run_options *o = &r.opt;
    const option table[] = {
        {"out", 'o', OPTION_TEXT, &o->out, "RUN", "folder for all results", 0, 0, NULL},
        {"resume", 0, OPTION_TEXT, &o->resume, "RUN", "go on with a run that was stopped", 0, 0,
         NULL},
        {"arch", 0, OPTION_TEXT, &o->arch, "NAME", "net; edgevision arch list", 0, 0, NULL},
        {"size", 0, OPTION_SIZE, o->size, "WxH", "pictures are resized to this", 0, 0, NULL},
        {"color", 0, OPTION_CHOICE, &o->color, "NAME", "rgb, bgr or grey", 0, 0, color_names},
        {"resize", 0, OPTION_CHOICE, &o->resize, "NAME",
         "area, bilinear or bicubic (default bilinear)", 0, 0, resize_names},
        {"mean", 0, OPTION_REAL, &o->mean, "X", "is subtracted from pixels of 0..1", -10, 10, NULL},
        {"std", 0, OPTION_REAL, &o->std, "X", "then they are divided by this", 0, 100, NULL},
        {"split", 0, OPTION_LIST, &o->split, "A,B,C", "shares of train, validation, test", 1e-9,
         1e9, NULL},
        {"by-group", 0, OPTION_FLAG, &o->by_group, NULL,
         "keep the pictures of a clip (or camera, day) on one side", 0, 0, NULL},
        {"valid", 0, OPTION_TEXT, &o->valid, "DATA", "validation set of its own: no split", 0, 0,
         NULL},
        {"test", 0, OPTION_TEXT, &o->test, "DATA", "test set of its own", 0, 0, NULL},
        {"epochs", 0, OPTION_INT, &o->epochs, "N", "at most so many", 1, 1e6, NULL},
        {"patience", 0, OPTION_INT, &o->patience, "N",
         "stop after so many epochs without a better\nvalidation loss; 0: never", 0, 1e6, NULL},
        {"max-minutes", 0, OPTION_REAL, &o->max_minutes, "X",
         "end with the epoch in which this time is over (default none)", 0, 1e6, NULL},
        {"batch", 0, OPTION_INT, &o->batch, "N", "pictures per step", 1, 65536, NULL},
        {"optimizer", 0, OPTION_CHOICE, &o->optimizer, "NAME",
         "sgd, adam, adamw or rmsprop (default adam)", 0, 0, optimizer_names},
        {"lr", 0, OPTION_REAL, &o->rate, "X", "learning rate", 1e-12, 100, NULL},
        {"schedule", 0, OPTION_CHOICE, &o->schedule, "NAME",
         "constant, step, linear, cosine or plateau", 0, 0, schedule_names},
        {"dropout", 0, OPTION_REAL, &o->dropout, "X", "before each hidden dense layer", 0, 0.99,
         NULL},
        {"l2", 0, OPTION_REAL, &o->l2, "X", "weight decay", 0, 100, NULL},
        {"label-smoothing", 0, OPTION_REAL, &o->smoothing, "X", "0..1", 0, 1, NULL},
        {"augment", 0, OPTION_CHOICE, &o->augment, "NAME",
         "none, flip, light (small shifts and changes of\nbrightness too), authors (the paper's: "
         "turns of 40 degrees\nand more)", 0, 0, augment_names},
        {"seed", 0, OPTION_SEED, &o->seed, "N", "same seed, same model", 0, 0, NULL},
        {"threads", 0, OPTION_INT, &o->threads, "N", "0: all cores; changes no result", 0, 256,
         NULL},
        {"json", 0, OPTION_FLAG, &o->json, NULL, "the result as JSON", 0, 0, NULL},
        {"quiet", 'q', OPTION_FLAG, &tool_quiet, NULL, "no progress on stderr", 0, 0, NULL},
    };
    syntax s = {.verb = "train", .usage = "DATA -o RUN [options]\n       edgevision train --resume "
                                          "RUN",
                .purpose = "Train a classifier, stop before it overfits, judge it on pictures it "
                           "has not seen.\nDATA: a folder with one folder of pictures per class, "
                           "or a CSV file with the\ncolumns path,label and perhaps group.",
                .options = table, .n_options = N_OPTIONS(table), .max_rest = 1,
                .examples = "  edgevision train pictures/ -o runs/a\n"
                            "  edgevision train truth.csv -o runs/b --arch Arch5 --size 128x96 "
                            "--by-group\n"};
    int code = options_parse(&s, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    return train(&r, &s);
}
