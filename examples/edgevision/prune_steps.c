/* SPDX-License-Identifier: MIT */
/* Pruning in steps with pictures: data, progress, the run folder, the end. */
#include "prune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- pictures -------------------------------------------------------------------------------- */

/* The folder of edgevision train: its own split. */
static int open_run(pruning *p)
{
    char path[PATH_SIZE];
    int code = 0;
    for (int i = 0; i < N_PARTS && !code; i++) {
        if (file_exists(path_join(path, p->data, part_files[i]))) {
            code = open_data(p->ctx, path, p->model, &p->parts[i]);
        }
    }
    return code;
}

static int open_split(pruning *p)
{
    ev_dataset *all = NULL;
    int code = open_data(p->ctx, p->data, p->model, &all);
    if (code) {
        return code;
    }
    int32_t kind = p->by_group ? EV_SPLIT_GROUPED : EV_SPLIT_STRATIFIED;
    if (p->valid) {
        p->parts[PART_TRAIN] = ev_dataset_ref(all);
    } else if (p->split.n < 2 || p->split.n > N_PARTS) {
        code = fail(EXIT_USAGE, "--split wants two or three shares (train, validation, test), like "
                                "64,16,20");
    } else {
        code = split_data(all, &p->split, kind, p->seed, p->parts);
    }
    ev_dataset_destroy(all);
    return code;
}

int prune_open_data(pruning *p)
{
    char a[PATH_SIZE], b[PATH_SIZE];
    int32_t n = ev_model_n_classes(p->model);
    int code = is_folder(p->data) && file_exists(path_join(a, p->data, "run.json")) &&
                       file_exists(path_join(b, p->data, part_files[PART_VALID]))
                   ? open_run(p)
                   : open_split(p);
    if (!code && p->valid) {
        ev_dataset_destroy(p->parts[PART_VALID]);
        p->parts[PART_VALID] = NULL;
        code = open_data(p->ctx, p->valid, p->model, &p->parts[PART_VALID]);
    }
    for (int i = 0; i < PART_TEST && !code; i++) {
        if (!p->parts[i] || ev_dataset_size(p->parts[i]) == 0) {
            code = fail(EXIT_DATA, "%s: too few pictures: a part of the split is empty", p->data);
        }
    }
    if (code == EXIT_DATA && n > 0) {
        text t = {0};
        for (int32_t i = 0; i < n; i++) {
            text_add(&t, "%s%s", i ? ", " : "", ev_model_class_name(p->model, i));
        }
        note("the model's classes: %s", t.data ? t.data : "");
        text_free(&t);
    }
    return code;
}

/* ---- progress -------------------------------------------------------------------------------- */

static int32_t on_batch(void *user, const ev_step *s)
{
    static double last;
    const pruning *p = user;
    char line[160], bar[21], where[40] = "controls  ";
    double now = seconds_now();
    if (is_terminal() && now - last >= 0.1 && s->n_batches > 0) {
        int full = 20 * s->batch / s->n_batches;
        for (int i = 0; i < 20; i++) {
            bar[i] = i < full ? '#' : '.';
        }
        bar[20] = '\0';
        last = now;
        if (p->n_steps == 0) { /* going on: not known before the step ends */
            where[0] = '\0';
        } else if (p->step < p->n_steps) {
            snprintf(where, sizeof where, "step %d/%d  ", (int)p->step + 1, (int)p->n_steps);
        }
        snprintf(line, sizeof line, "%sepoch %d/%d [%s]  loss %.4f", where, (int)s->epoch + 1,
                 (int)s->n_epochs, bar, s->loss);
        show_bar(line);
    }
    return caught_signal() != 0;
}

static int32_t on_epoch(void *user, const ev_epoch *e)
{
    (void)user;
    note("  epoch %d/%d  train loss %.4f  validation loss %.4f accuracy %.1f %%  %.1f s",
         (int)e->index + 1, (int)e->n_epochs, e->train_loss, e->valid_loss,
         100 * e->valid_accuracy, e->seconds);
    return caught_signal() != 0;
}

static int32_t on_step(void *user, const ev_prune_step *s)
{
    pruning *p = user;
    char time[40] = "";
    if (isfinite(s->ms)) {
        snprintf(time, sizeof time, ", %.4g ms", s->ms);
    }
    p->step = s->index;
    p->n_steps = s->n_steps;
    if (s->index == 0) {
        note("as it is: %.0f multiply-adds%s; accuracy %.1f %%", s->macs, time, 100 * s->accuracy);
        return caught_signal() != 0;
    }
    note("step %d/%d  aim %.1f %%: %lld parameters, %.0f multiply-adds%s; accuracy %.1f %%, "
         "fine-tuned %.1f %%%s", (int)s->index, (int)s->n_steps, 100 * s->goal,
         (long long)s->parameters, s->macs, time, 100 * s->accuracy_pruned, 100 * s->accuracy,
         s->kept ? "" : "  below the floor: taken back");
    if (p->step == p->n_steps && s->kept && !p->no_controls) {
        note("the controls: the same layers from random weights, and channels taken by chance");
    }
    return caught_signal() != 0;
}

/* ---- the run folder -------------------------------------------------------------------------- */

static int save_json(const pruning *p, const char *state)
{
    char path[PATH_SIZE];
    text t = {0};
    text_add(&t, "{\n  \"state\": \"%s\",\n  \"library\": \"%s\",\n  \"model\": ", state,
             ev_version());
    text_json(&t, p->model_path);
    text_add(&t, ",\n  \"out\": ");
    text_json(&t, p->out);
    text_add(&t, ",\n  \"data\": ");
    text_json(&t, p->data);
    text_add(&t, ",\n  \"criterion\": \"%s\",\n  \"command\": ",
             prune_criteria[p->criterion ? p->criterion : EV_CRITERION_TAYLOR]);
    text_json(&t, p->command);
    for (int i = 0; i < N_PARTS; i++) {
        static const char *const names[] = {"train", "valid", "test"};
        text_add(&t, ",\n  \"%s_pictures\": %d", names[i],
                 p->parts[i] ? (int)ev_dataset_size(p->parts[i]) : 0);
    }
    if (isfinite(p->test_accuracy[0])) {
        text_add(&t, ",\n  \"test_before\": %.9g", p->test_accuracy[0]);
    }
    if (isfinite(p->test_accuracy[1])) {
        text_add(&t, ",\n  \"test_after\": %.9g", p->test_accuracy[1]);
    }
    text_add(&t, "\n}\n");
    return text_save(&t, path_join(path, p->folder, "prune.json"));
}

/* FILE.onnx: FILE-run */
static int choose_folder(pruning *p)
{
    if (!p->folder) {
        size_t n = strlen(p->out);
        n -= n > 5 && !strcmp(p->out + n - 5, ".onnx") ? 5 : 0;
        snprintf(p->folder_made, sizeof p->folder_made, "%.*s-run", (int)n, p->out);
        p->folder = p->folder_made;
    }
    return make_folder(p->folder);
}

/* ---- the end --------------------------------------------------------------------------------- */

static int judge(pruning *p)
{
    ev_model *both[] = {p->model, p->smaller};
    ev_evaluate_options o;
    EV_OPTIONS_INIT(&o);
    o.batch_size = p->batch;
    o.no_items = 1;
    for (int i = 0; i < 2 && p->parts[PART_TEST]; i++) {
        ev_metrics *m = NULL;
        if (!both[i] || ev_dataset_size(p->parts[PART_TEST]) == 0) {
            continue;
        }
        ev_status status = ev_evaluate(p->ctx, both[i], p->parts[PART_TEST], &o, &m);
        if (status != EV_OK) {
            return fail_status(EXIT_DATA, status, NULL);
        }
        p->test_accuracy[i] = ev_metrics_accuracy(m);
        ev_metrics_destroy(m);
    }
    return 0;
}

static int print_report(const pruning *p)
{
    char *words = NULL;
    ev_status status = ev_prune_report_describe(
        p->report, p->json ? EV_DESCRIBE_JSON : EV_DESCRIBE_TABLE, &words);
    if (status != EV_OK) {
        return fail_status(EXIT_BUG, status, NULL);
    }
    const double *test = p->test_accuracy;
    if (p->json) {
        text t = {0};
        text_add(&t, "{\"report\": %s,\n \"test_accuracy\": ", words);
        if (isfinite(test[1])) {
            text_add(&t, "{\"before\": %.9g, \"after\": %.9g}}\n", test[0], test[1]);
        } else {
            text_add(&t, "null}\n");
        }
        print_table(&t, stdout);
    } else {
        fputs(words, stdout);
        if (isfinite(test[1])) {
            printf("\ntest set, %d pictures without a part in pruning: accuracy %.4f before, %.4f "
                   "after\n", (int)ev_dataset_size(p->parts[PART_TEST]), test[0], test[1]);
        }
    }
    ev_string_destroy(words);
    return 0;
}

/* The model goes to where it was wanted; one that missed its goal replaces nothing. */
static int deliver(pruning *p, bool met)
{
    char path[PATH_SIZE];
    if (met) {
        int code = prune_save(p, p->out);
        if (!code) {
            note("the smaller model: %s; its report: edgevision report %s", p->out, p->folder);
        }
        return code;
    }
    if (!p->smaller) {
        return fail(EXIT_GOAL, "the goal was not met and no step was kept: nothing was written");
    }
    bool there = file_exists(p->out);
    int code = there ? 0 : prune_save(p, p->out);
    return code ? code
                : fail(EXIT_GOAL, "the goal was not met; the last good step is in %s%s",
                       there ? path_join(path, p->folder, "model.onnx") : p->out,
                       there ? ", and the file that was there is as it was" : "");
}

static int finish(pruning *p, bool met)
{
    int code = judge(p);
    if (!code) {
        code = print_report(p);
    }
    if (!code) {
        code = save_json(p, "done");
    }
    return code ? code : deliver(p, met);
}

static const char *remedy(ev_status status)
{
    const char *line = ev_last_error();
    if (status == EV_ERR_DIVERGED) {
        return "try a lower --lr";
    }
    if (strstr(line, "protected_layers")) {
        return "edgevision inspect lists the layers";
    }
    if (status == EV_ERR_SHAPE && strstr(line, "one per row")) {
        return "the model takes a fixed number of pictures; give that as --batch";
    }
    if (strstr(line, "is of a run with") ||
        (strstr(line, ".safetensors") && strstr(line, "damaged"))) {
        return "another --run folder, or remove this one to begin anew";
    }
    return NULL;
}

static int failed(pruning *p, ev_status status)
{
    if (status == EV_ERR_CANCELLED && caught_signal()) {
        save_json(p, "stopped");
        fail(0, "stopped; what was reached is in %s. The same command goes on:\n%s", p->folder,
             p->command);
        return 128 + caught_signal();
    }
    (void)rmdir(p->folder); /* if nothing is in it */
    if (status == EV_ERR_GOAL) {
        return fail_status(EXIT_GOAL, status,
                           "--floor shows the least, --groups what holds it; a higher goal, less "
                           "--protect, a smaller --min-width, a larger --max-share or --depth "
                           "also may help; nothing was written");
    }
    return fail_status(status == EV_ERR_FORMAT ? EXIT_MODEL : EXIT_DATA, status, remedy(status));
}

/* ---- the run --------------------------------------------------------------------------------- */

static void fill(pruning *p, ev_prune_options *o, ev_train_options *train,
                 ev_augment_options *augment)
{
    EV_OPTIONS_INIT(o);
    EV_OPTIONS_INIT(train);
    set_augmentation(p->augment, augment);
    train->optimizer = p->optimizer;
    train->learning_rate = (float)p->rate;
    train->batch_size = p->batch;
    train->seed = p->seed;
    train->augment = p->augment ? augment : NULL;
    train->on_step = on_batch;
    train->user = p;
    o->schedule = p->schedule;
    o->goal = p->goal;
    o->accuracy_floor = p->accuracy_floor;
    o->n_steps = p->steps;
    o->criterion = p->criterion;
    o->scope = p->scope;
    o->depth = p->depth;
    o->n_images = p->images;
    o->step_epochs = p->step_epochs ? p->step_epochs : -1;
    o->final_epochs = p->epochs ? p->epochs : -1;
    o->no_controls = p->no_controls;
    o->n_threads = p->timed_threads;
    o->measure = 1;
    o->distill = p->distill;
    o->temperature = p->temperature;
    o->max_share = p->max_share;
    o->seed = p->seed;
    o->pruner = &p->pruner;
    o->train = train;
    o->folder = p->folder;
    o->on_step = on_step;
    o->on_epoch = on_epoch;
    o->user = p;
}

int prune_steps(pruning *p)
{
    ev_prune_options o;
    ev_train_options train;
    ev_augment_options augment;
    p->test_accuracy[0] = p->test_accuracy[1] = (double)NAN;
    int code = choose_folder(p);
    if (code) {
        return code;
    }
    catch_signals();
    fill(p, &o, &train, &augment);
    note("%s: %lld parameters; %d training, %d validation, %d test pictures; state in %s",
         p->model_path, (long long)ev_model_parameter_count(p->model),
         (int)ev_dataset_size(p->parts[PART_TRAIN]), (int)ev_dataset_size(p->parts[PART_VALID]),
         p->parts[PART_TEST] ? (int)ev_dataset_size(p->parts[PART_TEST]) : 0, p->folder);
    ev_status status = ev_prune_run(p->ctx, p->model, p->parts[PART_TRAIN], p->parts[PART_VALID],
                                    &o, &p->smaller, &p->report);
    clear_bar();
    if (status != EV_OK && !(status == EV_ERR_GOAL && p->report)) {
        return failed(p, status);
    }
    return finish(p, status == EV_OK);
}
