/* SPDX-License-Identifier: MIT */
/* edgevision gan shrink: a small generator that makes the pictures of a large one.  Either channels
   of the large one are taken away in steps, and what is left learns from it after each; or one of
   another width is drawn anew and learns from it. */
#include "gan_shrink.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "prune.h"

static const char *const criteria[] = {"default", "l1", "l2", "norm", "fpgm", "lamp", "random",
                                       NULL};
static const int32_t criterion_of[] = {EV_CRITERION_DEFAULT, EV_CRITERION_L1,
                                       EV_CRITERION_L2,      EV_CRITERION_NORM_SCALE,
                                       EV_CRITERION_FPGM,    EV_CRITERION_LAMP,
                                       EV_CRITERION_RANDOM};

/* ---- what goes with what --------------------------------------------------------------------- */

static int read_goal(shrinking *s)
{
    static const int32_t units[] = {EV_UNIT_MS, EV_UNIT_MACS, EV_UNIT_PARAMETERS};
    for (int i = 0; i < 3; i++) {
        const char *value = s->goals[units[i]];
        if (!value) {
            continue;
        }
        if (s->unit) {
            return fail(EXIT_USAGE, "--%s and --%s: one goal at a time", prune_units[s->unit],
                        prune_units[units[i]]);
        }
        s->unit = units[i];
        if (!prune_read_amount(value, &s->amount, &s->share) || s->amount <= 0 ||
            (s->share && s->amount >= 1)) {
            return fail(EXIT_USAGE, "--%s %s: must be a share of what the large one has (25%%) or "
                                    "a number above 0 (10, 100k, 1.5M)",
                        prune_units[s->unit], value);
        }
    }
    if (s->unit && s->width) {
        return fail(EXIT_USAGE, "--%s takes channels from the large one, --width draws another: "
                                "one of them", prune_units[s->unit]);
    }
    if (!s->unit && !s->width) {
        return fail(EXIT_USAGE, "how small? Give one of --ms 10, --macs 25%%, --parameters 500k, "
                                "or --width 24 for one that is drawn anew");
    }
    if (s->unit && (s->blocks || s->separable || s->resize)) {
        return fail(EXIT_USAGE, "--blocks, --separable and --resize go with --width");
    }
    return 0;
}

static bool same_file(const char *a, const char *b)
{
    struct stat one, other;
    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

static int check_usage(shrinking *s)
{
    if (!s->out) {
        return fail(EXIT_USAGE, "-o SMALL.onnx is missing: where the small generator goes");
    }
    if (is_folder(s->out)) {
        return fail(EXIT_USAGE, "-o %s: is a folder; wanted is the name of an ONNX file", s->out);
    }
    if (same_file(s->out, s->teacher_path)) {
        return fail(EXIT_USAGE, "-o %s: is the large generator itself; choose another name",
                    s->out);
    }
    if (file_exists(s->out) && !s->force) {
        return fail(EXIT_USAGE, "%s exists already: choose another name, remove it, or say --force "
                                "to have it replaced", s->out);
    }
    if (!s->data) {
        return fail(EXIT_USAGE, "--data FOLDER is missing: pictures of the kind that is "
                                "translated; labels are not needed");
    }
    if (s->judge_path && !s->classifier_path) {
        return fail(EXIT_USAGE, "--judge wants --classifier MODEL: whose answers are counted");
    }
    return read_goal(s);
}

/* ---- what it works on ------------------------------------------------------------------------ */

/* The size that the large one was made for. */
static int find_size(shrinking *s)
{
    ev_preprocess notes;
    int64_t dims[EV_MAX_RANK];
    EV_OPTIONS_INIT(&notes);
    if (ev_model_n_inputs(s->teacher) != 1 || ev_model_n_outputs(s->teacher) != 1 ||
        ev_model_output_dims(s->teacher, 0, dims) != 4 ||
        ev_model_input_dims(s->teacher, 0, dims) != 4) {
        return fail(EXIT_MODEL, "%s: a generator has one input [N,C,H,W] and such an output; "
                                "edgevision inspect shows them", s->teacher_path);
    }
    ev_status status = ev_model_preprocess(s->teacher, &notes);
    if (status != EV_OK) {
        return fail_status(EXIT_MODEL, status, NULL);
    }
    for (int i = 0; i < 2; i++) {
        int64_t side = dims[3 - i] > 1 ? dims[3 - i] : i ? notes.height : notes.width;
        bool open = dims[3 - i] < 1;
        if (s->size[i] && !open && s->size[i] != side) {
            return fail(EXIT_USAGE, "--size: %s takes pictures of %dx%d only", s->teacher_path,
                        (int)dims[3], (int)dims[2]);
        }
        s->size[i] = s->size[i] ? s->size[i] : (int32_t)side;
        if (s->size[i] < 2) {
            return fail(EXIT_USAGE, "%s takes any size and does not say for which it was trained: "
                                    "give it as --size 128x128", s->teacher_path);
        }
    }
    return 0;
}

/* Both learn and run at this size, with pixels -1..1. */
static int write_notes(const shrinking *s, ev_model *model)
{
    ev_preprocess notes;
    EV_OPTIONS_INIT(&notes);
    ev_status status = ev_model_preprocess(s->teacher, &notes);
    if (status == EV_OK && !ev_model_meta(s->teacher, "edgevision.preprocess")) {
        for (int c = 0; c < 3; c++) {
            notes.mean[c] = notes.std[c] = 0.5f;
        }
    }
    notes.width = s->size[0];
    notes.height = s->size[1];
    if (status == EV_OK) {
        status = ev_model_set_preprocess(model, &notes);
    }
    return status == EV_OK ? 0 : fail_status(EXIT_MODEL, status, NULL);
}

static int open_all(shrinking *s)
{
    int code = open_context(s->threads, &s->ctx);
    if (!code) {
        code = is_folder(s->teacher_path)
                   ? gan_open_generator(s->ctx, s->teacher_path, GAN_A, &s->teacher)
                   : open_model(s->ctx, s->teacher_path, &s->teacher);
    }
    if (!code) {
        code = find_size(s);
    }
    if (!code) {
        code = write_notes(s, s->teacher);
    }
    if (!code && s->classifier_path) {
        code = open_model(s->ctx, s->classifier_path, &s->classifier);
    }
    if (!code && s->judge_path) {
        code = open_data(s->ctx, s->judge_path, s->classifier, &s->judge_set);
    }
    return code ? code : gan_open_pictures(s->ctx, s->data, &s->pictures_set);
}

/* ---- learning -------------------------------------------------------------------------------- */

static int32_t on_step(void *user, int32_t step, int32_t n_steps, double loss)
{
    shrinking *s = user;
    char bar[120];
    double now = seconds_now();
    if (is_terminal() && now - s->last_bar > 0.1) {
        s->last_bar = now;
        snprintf(bar, sizeof bar, "learning: step %d of %d  loss %.4f  %.0f s left", (int)step + 1,
                 (int)n_steps, loss, (now - s->began) / (step + 1) * (n_steps - step - 1));
        show_bar(bar);
    }
    return caught_signal() != 0;
}

static int32_t on_epoch(void *user, int32_t epoch, int32_t n_epochs, double loss)
{
    shrinking *s = user;
    (void)s;
    note("  epoch %d/%d  loss %.4f", (int)epoch + 1, (int)n_epochs, loss);
    return caught_signal() != 0;
}

static ev_status learn(shrinking *s, int32_t epochs)
{
    ev_distill_options o;
    EV_OPTIONS_INIT(&o);
    if (epochs < 1) {
        return EV_OK;
    }
    o.epochs = epochs;
    o.batch_size = s->batch;
    o.no_flip = s->no_flip;
    o.learning_rate = (float)s->rate;
    o.classifier = s->class_weight > 0 ? s->classifier : NULL;
    o.class_weight = (float)s->class_weight;
    o.seed = s->seed + (uint64_t)s->step;
    o.on_epoch = on_epoch;
    o.on_step = on_step;
    o.user = s;
    s->began = seconds_now();
    ev_status status =
        ev_generator_distill(s->ctx, s->student, s->teacher, s->pictures_set, &o, &s->difference);
    clear_bar();
    return status;
}

/* ---- drawn anew ------------------------------------------------------------------------------ */

static int draw_student(shrinking *s)
{
    ev_generator_options g;
    int64_t dims[EV_MAX_RANK];
    EV_OPTIONS_INIT(&g);
    ev_model_input_dims(s->teacher, 0, dims);
    g.image_width = s->size[0];
    g.image_height = s->size[1];
    g.channels = (int32_t)dims[1];
    g.base_width = s->width;
    g.n_blocks = s->blocks;
    g.block = s->separable ? EV_BLOCK_SEPARABLE : EV_BLOCK_FULL;
    g.upsample = s->resize ? EV_UPSAMPLE_RESIZE : EV_UPSAMPLE_TRANSPOSED;
    ev_status status = ev_zoo_generator(s->ctx, &g, &s->student);
    if (status == EV_OK) {
        status = ev_model_init(s->student, s->seed);
    }
    return status == EV_OK ? write_notes(s, s->student) : fail_status(EXIT_MODEL, status, NULL);
}

/* ---- pruned ---------------------------------------------------------------------------------- */

/* What the large one has of the goal's unit. */
static int amount_now(shrinking *s, double *out)
{
    *out = s->unit == EV_UNIT_MACS         ? (double)ev_model_macs(s->teacher)
           : s->unit == EV_UNIT_PARAMETERS ? (double)ev_model_parameter_count(s->teacher)
                                           : 0;
    if (s->unit != EV_UNIT_MS) {
        return 0;
    }
    int code = shrink_time(s, s->teacher, 1);
    *out = s->ms[0];
    return code;
}

/* The student with less of everything: the goal's amount, in the goal's unit. */
static ev_status prune_to(shrinking *s, double amount)
{
    ev_model *from = s->student ? s->student : s->teacher, *smaller = NULL;
    ev_pruner *pruner = NULL;
    ev_prune_plan *plan = NULL;
    ev_score_options score;
    ev_prune_plan_options o;
    EV_OPTIONS_INIT(&score);
    EV_OPTIONS_INIT(&o);
    score.criterion = criterion_of[s->criterion];
    score.seed = s->seed;
    o.goal.unit = s->unit;
    o.goal.amount = amount;
    ev_status status = ev_pruner_create(s->ctx, from, NULL, &pruner);
    if (status == EV_OK) {
        status = ev_pruner_score(pruner, &score);
    }
    if (status == EV_OK) {
        status = ev_pruner_plan(pruner, &o, &plan);
    }
    if (status == EV_OK) {
        status = ev_prune_plan_apply(plan, s->seed, &smaller);
    }
    if (status == EV_OK) {
        ev_model_destroy(s->student);
        s->student = smaller;
    }
    ev_prune_plan_destroy(plan);
    ev_pruner_destroy(pruner);
    return status;
}

/* Fast first, then ever less (Zhu and Gupta 2017). */
static ev_status prune_in_steps(shrinking *s, double before, double goal)
{
    ev_status status = EV_OK;
    for (s->step = 1; s->step <= s->steps && status == EV_OK; s->step++) {
        double left = 1 - (double)s->step / s->steps;
        double aim = goal + (before - goal) * left * left * left;
        status = prune_to(s, aim);
        if (status == EV_OK) {
            note("step %d/%d  %s %.4g: %lld parameters, %.0f multiply-adds", (int)s->step,
                 (int)s->steps, prune_units[s->unit], aim,
                 (long long)ev_model_parameter_count(s->student),
                 (double)ev_model_macs(s->student));
            status = learn(s, s->step < s->steps ? s->step_epochs : s->epochs);
        }
    }
    return status;
}

/* ---- the run --------------------------------------------------------------------------------- */

static int save(const shrinking *s)
{
    ev_status status = ev_model_save(s->student, s->out);
    return status == EV_OK ? 0 : fail_status(EXIT_IO, status, NULL);
}

static int stopped(const shrinking *s)
{
    int code = s->student ? save(s) : 0;
    if (!code && s->student) {
        fail(0, "stopped; %s has what was learnt so far%s", s->out,
             s->unit && s->step < s->steps ? ", the goal is not reached" : "");
    } else if (!code) {
        fail(0, "stopped; nothing was written");
    }
    return code ? code : 128 + caught_signal();
}

static int failed(const shrinking *s, ev_status status)
{
    if (status == EV_ERR_CANCELLED && caught_signal()) {
        return stopped(s);
    }
    if (status == EV_ERR_GOAL) {
        return fail_status(EXIT_GOAL, status,
                           "a higher goal, more --steps (each may take nine tenths), or --width "
                           "for one drawn anew; nothing was written");
    }
    return fail_status(status == EV_ERR_FORMAT ? EXIT_MODEL : EXIT_DATA, status,
                       status == EV_ERR_DIVERGED ? "try a lower --lr" : NULL);
}

static int make_student(shrinking *s)
{
    double before = 0;
    ev_status status;
    int code = s->unit ? amount_now(s, &before) : draw_student(s);
    if (code) {
        return code;
    }
    if (s->unit) {
        double goal = s->share ? s->amount * before : s->amount;
        if (goal >= before) {
            return fail(EXIT_GOAL, "--%s %s: the large one has %.4g already, there is nothing to "
                                   "take; nothing was written",
                        prune_units[s->unit], s->goals[s->unit], before);
        }
        s->aim = goal;
        status = prune_in_steps(s, before, goal);
    } else {
        note("drawn anew: %lld parameters, %.0f multiply-adds",
             (long long)ev_model_parameter_count(s->student), (double)ev_model_macs(s->student));
        status = learn(s, s->epochs);
    }
    return status == EV_OK ? 0 : failed(s, status);
}

static int work(shrinking *s)
{
    int code = check_usage(s);
    if (!code) {
        code = open_all(s);
    }
    if (code) {
        return code;
    }
    catch_signals();
    note("%s: %lld parameters, %.0f multiply-adds; learning from %d pictures of %dx%d",
         s->teacher_path, (long long)ev_model_parameter_count(s->teacher),
         (double)ev_model_macs(s->teacher), (int)ev_dataset_size(s->pictures_set),
         (int)s->size[0], (int)s->size[1]);
    code = make_student(s);
    if (!code) {
        code = save(s);
    }
    if (!code) {
        code = shrink_measure(s);
    }
    if (!code) {
        code = shrink_judge(s);
    }
    if (!code) {
        code = shrink_print(s);
    }
    if (code) {
        return code;
    }
    note("the small generator: %s", s->out);
    if (s->unit == EV_UNIT_MS && s->least_ms[1] > s->aim) {
        return fail(EXIT_GOAL, "a picture takes %.4g ms at least, more than the %.4g ms that were "
                               "asked for: try again when the machine is not busy, or a lower --ms",
                    s->least_ms[1], s->aim);
    }
    return 0;
}

/* ---- the verb -------------------------------------------------------------------------------- */

static shrinking job = {.criterion = 0, .steps = 3, .step_epochs = 1, .epochs = 10, .batch = 1,
                        .class_weight = 1, .rate = 1e-3, .seed = 1};

static const option table[] = {
    {"out", 'o', OPTION_TEXT, &job.out, "FILE", "the small generator (ONNX)", 0, 0, NULL},
    {"data", 0, OPTION_TEXT, &job.data, "DATA",
     "pictures of the kind that is translated; labels are\nnot looked at", 0, 0, NULL},
    {NULL, 0, OPTION_HEADING, NULL, NULL, "channels taken from the large one (one of these):", 0,
     0, NULL},
    {"ms", 0, OPTION_TEXT, &job.goals[EV_UNIT_MS], "GOAL",
     "milliseconds for a picture, measured here and now", 0, 0, NULL},
    {"macs", 0, OPTION_TEXT, &job.goals[EV_UNIT_MACS], "GOAL",
     "multiply-adds: a share (25%) or an amount (1G)", 0, 0, NULL},
    {"parameters", 0, OPTION_TEXT, &job.goals[EV_UNIT_PARAMETERS], "GOAL", "the same", 0, 0,
     NULL},
    {"steps", 0, OPTION_INT, &job.steps, "N", "prune in so many steps, learning after each", 1,
     100, NULL},
    {"step-epochs", 0, OPTION_INT, &job.step_epochs, "N", "after each step but the last", 0,
     100000, NULL},
    {"criterion", 0, OPTION_CHOICE, &job.criterion, "NAME",
     "l1, l2, norm, fpgm, lamp or random", 0, 0, criteria},
    {NULL, 0, OPTION_HEADING, NULL, NULL, "or drawn anew:", 0, 0, NULL},
    {"width", 0, OPTION_INT, &job.width, "W", "filters of the first convolution (default none)",
     1, 1024, NULL},
    {"blocks", 0, OPTION_INT, &job.blocks, "N", "residual blocks (default 6)", 1, 64, NULL},
    {"separable", 0, OPTION_FLAG, &job.separable, NULL, "3x3 of each channel alone, then 1x1", 0,
     0, NULL},
    {"resize", 0, OPTION_FLAG, &job.resize, NULL,
     "resize and convolve instead of transposed convolutions", 0, 0, NULL},
    {NULL, 0, OPTION_HEADING, NULL, NULL, "learning:", 0, 0, NULL},
    {"epochs", 0, OPTION_INT, &job.epochs, "N", "at the end", 0, 100000, NULL},
    {"batch", 0, OPTION_INT, &job.batch, "N", "pictures in a step", 1, 4096, NULL},
    {"lr", 0, OPTION_REAL, &job.rate, "X", "learning rate of Adam", 1e-9, 10, NULL},
    {"no-flip", 0, OPTION_FLAG, &job.no_flip, NULL, "do not mirror pictures", 0, 0, NULL},
    {"size", 0, OPTION_SIZE, job.size, "WxH",
     "of pictures, where the large one does not say\n(default as it was trained)", 0, 0, NULL},
    {"seed", 0, OPTION_SEED, &job.seed, "N", "of chance", 0, 0, NULL},
    {NULL, 0, OPTION_HEADING, NULL, NULL, "a classifier:", 0, 0, NULL},
    {"classifier", 0, OPTION_TEXT, &job.classifier_path, "MODEL",
     "it shall say the same of both generators' pictures", 0, 0, NULL},
    {"class-weight", 0, OPTION_REAL, &job.class_weight, "X", "of that in the loss; 0: not at all",
     0, 1e6, NULL},
    {"judge", 0, OPTION_TEXT, &job.judge_path, "DATA",
     "labelled pictures: its accuracy after translation", 0, 0, NULL},
    {NULL, 0, OPTION_HEADING, NULL, NULL, "else:", 0, 0, NULL},
    {"threads", 0, OPTION_INT, &job.threads, "N",
     "0: all cores; changes no result but times", 0, 256, NULL},
    {"force", 0, OPTION_FLAG, &job.force, NULL, "replace FILE", 0, 0, NULL},
    {"json", 0, OPTION_FLAG, &job.json, NULL, "the result as JSON", 0, 0, NULL},
    {"quiet", 'q', OPTION_FLAG, &tool_quiet, NULL, "no messages but errors", 0, 0, NULL},
};

int verb_gan_shrink(int argc, char **argv)
{
    syntax syn = {.verb = "gan shrink",
                  .usage = "TEACHER -o SMALL.onnx --data DATA (--ms X | --macs X | --parameters N "
                           "| --width W) [options]",
                  .purpose = "Make a generator small enough for the camera.  TEACHER: its ONNX "
                             "file, or the folder of\na run (its G_A).  What comes out learns to "
                             "make the same pictures.",
                  .options = table,
                  .n_options = N_OPTIONS(table),
                  .min_rest = 1,
                  .max_rest = 1,
                  .examples = "  edgevision gan shrink runs/n2d -o small.onnx --data night/ "
                              "--ms 10\n  edgevision gan shrink runs/n2d -o small.onnx --data "
                              "night/ --width 24 --blocks 3 \\\n    --classifier runs/day --judge "
                              "night-few/\n"};
    int code = options_parse(&syn, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    job.teacher_path = syn.files[0];
    job.difference = (double)NAN;
    code = work(&job);
    ev_dataset_destroy(job.judge_set);
    ev_dataset_destroy(job.pictures_set);
    ev_model_destroy(job.classifier);
    ev_model_destroy(job.student);
    ev_model_destroy(job.teacher);
    ev_context_destroy(job.ctx);
    return code;
}
