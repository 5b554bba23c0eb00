/* SPDX-License-Identifier: MIT */
/* edgevision gan train: two sets of pictures become two generators; its folder is all that is
   needed to go on. */
#include "gan.h"

#include <stdlib.h>
#include <string.h>

/* ---- progress -------------------------------------------------------------------------------- */

static const char *clock_text(double seconds, char out[32])
{
    int64_t s = seconds > 0 ? (int64_t)(seconds + 0.5) : 0;
    if (s >= 3600) {
        snprintf(out, 32, "%lld h %02d min", (long long)(s / 3600), (int)(s / 60 % 60));
    } else if (s >= 60) {
        snprintf(out, 32, "%d min %02d s", (int)(s / 60), (int)(s % 60));
    } else {
        snprintf(out, 32, "%d s", (int)s);
    }
    return out;
}

static void losses_text(const gan_run *r, const ev_cyclegan_losses *l, text *t)
{
    double values[GAN_N_LOSSES];
    gan_loss_values(l, values);
    for (int i = 0; i < gan_n_losses(r); i++) {
        text_add(t, " %s %.3f", gan_loss_names[i], values[i]);
    }
}

/* Seconds that a step took since this program began. */
static double step_seconds(const gan_run *r, const ev_cyclegan_step_info *s)
{
    int64_t n = s->total_steps - r->first_step;
    return n > 0 ? (seconds_now() - r->began) / (double)n : 0;
}

static double time_left(const gan_run *r, const ev_cyclegan_step_info *s)
{
    int64_t all = (int64_t)s->n_steps * s->n_epochs;
    return step_seconds(r, s) * (double)(all - s->total_steps);
}

static void draw_bar(gan_run *r, const ev_cyclegan_step_info *s)
{
    char left[32];
    text t = {0};
    double now = seconds_now();
    if (now - r->last_bar < 0.1) {
        return;
    }
    r->last_bar = now;
    double each = step_seconds(r, s);
    text_add(&t, "epoch %d/%d step %d/%d  %.2f pictures/s  %s left ", (int)s->epoch + 1,
             (int)s->n_epochs, (int)s->step, (int)s->n_steps,
             each > 0 ? 2.0 * r->opt.batch / each : 0, clock_text(time_left(r, s), left));
    losses_text(r, s->losses, &t);
    if (!t.broken) {
        show_bar(t.data);
    }
    text_free(&t);
}

/* Once, when it is known how fast this machine is. */
static void tell_time(gan_run *r, const ev_cyclegan_step_info *s)
{
    char whole[32];
    if (r->told_time || s->total_steps < r->first_step + 3) {
        return;
    }
    r->told_time = true;
    note("a step takes %.3g s; %d epochs of %d steps: about %s left", step_seconds(r, s),
         (int)s->n_epochs, (int)s->n_steps, clock_text(time_left(r, s), whole));
}

static int32_t on_step(void *user, const ev_cyclegan_step_info *s)
{
    gan_run *r = user;
    tell_time(r, s);
    if (is_terminal()) {
        draw_bar(r, s);
    }
    r->code = gan_log_step(r, s);
    return r->code != 0 || caught_signal() != 0;
}

static void tell_epoch(const gan_run *r, const ev_cyclegan_step_info *s)
{
    char left[32];
    text t = {0};
    text_add(&t, "epoch %d/%d ", (int)s->epoch + 1, (int)s->n_epochs);
    losses_text(r, s->losses, &t);
    if (!t.broken) {
        note("%s  %.1f s  %s left", t.data, s->seconds, clock_text(time_left(r, s), left));
    }
    text_free(&t);
}

static int32_t on_epoch(void *user, const ev_cyclegan_step_info *s)
{
    gan_run *r = user;
    tell_epoch(r, s);
    r->code = gan_log_epoch(r, s);
    if (!r->code) {
        r->code = gan_save_epoch(r, s->epoch + 1);
    }
    return r->code != 0;
}

/* ---- what it works on ------------------------------------------------------------------------ */

/* Labels are those of the classifier where they are asked for. */
static int open_set(gan_run *r, int side)
{
    char path[PATH_SIZE];
    const char *file = side == GAN_A ? "a.csv" : "b.csv";
    bool old = !r->fresh && file_exists(gan_file(path, r, file));
    const char *from = old ? path : r->data[side];
    int32_t labels = r->classifier ? r->opt.class_labels : EV_LABELS_CLASSIFIER;
    bool labelled = labels == EV_LABELS_BOTH || (labels == EV_LABELS_B && side == GAN_B);
    return labelled ? open_data(r->ctx, from, r->classifier, &r->sets[side])
                    : gan_open_pictures(r->ctx, from, &r->sets[side]);
}

static int open_classifier(gan_run *r)
{
    char path[PATH_SIZE];
    if (!r->opt.classifier) {
        return 0;
    }
    bool old = !r->fresh && file_exists(gan_file(path, r, "classifier.onnx"));
    return open_model(r->ctx, old ? path : r->opt.classifier, &r->classifier);
}

/* So that the folder is all that is needed to go on: which pictures, and the classifier. */
static int save_inputs(const gan_run *r)
{
    char path[PATH_SIZE];
    ev_status status = EV_OK;
    for (int i = GAN_A; i <= GAN_B && status == EV_OK; i++) {
        if (r->fresh || !file_exists(gan_file(path, r, i ? "b.csv" : "a.csv"))) {
            status =
                ev_dataset_write_manifest(r->sets[i], gan_file(path, r, i ? "b.csv" : "a.csv"));
        }
    }
    if (status == EV_OK && r->classifier &&
        (r->fresh || !file_exists(gan_file(path, r, "classifier.onnx")))) {
        status = ev_model_save(r->classifier, gan_file(path, r, "classifier.onnx"));
    }
    return status == EV_OK ? 0 : fail_status(EXIT_IO, status, NULL);
}

static int count_parameters(gan_run *r)
{
    r->parameters = 0;
    for (int i = 0; i < 4; i++) {
        ev_model *model = NULL;
        int32_t direction = i & 1 ? EV_B_TO_A : EV_A_TO_B;
        ev_status status = i < 2 ? ev_cyclegan_generator(r->gan, direction, &model)
                                 : ev_cyclegan_discriminator(r->gan, direction, &model);
        if (status != EV_OK) {
            return fail_status(EXIT_MODEL, status, NULL);
        }
        r->parameters += ev_model_parameter_count(model);
        ev_model_destroy(model);
    }
    return 0;
}

static int make_gan(gan_run *r)
{
    char path[PATH_SIZE];
    ev_cyclegan_options opt;
    ev_generator_options generator;
    ev_discriminator_options discriminator;
    ev_memory memory;
    EV_OPTIONS_INIT(&memory);
    gan_fill(r, &opt, &generator, &discriminator);
    int code = gan_read_bytes("max-memory", r->opt.max_memory, &opt.max_bytes);
    if (code) {
        return code;
    }
    opt.on_step = on_step;
    opt.on_epoch = on_epoch;
    opt.user = r;
    opt.checkpoint = gan_file(path, r, "state.safetensors");
    ev_status status = ev_cyclegan_memory(r->ctx, &opt, &memory);
    if (status == EV_OK) {
        r->memory = (int64_t)memory.total_bytes;
        status = ev_cyclegan_create(r->ctx, r->sets[GAN_A], r->sets[GAN_B], &opt, &r->gan);
    }
    if (status != EV_OK) {
        return fail_status(EXIT_USAGE, status, NULL);
    }
    if (file_exists(path)) {
        status = ev_cyclegan_resume(r->gan, path);
    }
    return status == EV_OK ? count_parameters(r) : fail_status(EXIT_MODEL, status, NULL);
}

static void tell_start(const gan_run *r)
{
    note("A: %d pictures, B: %d pictures; %dx%d, batch %d, %d threads",
         (int)ev_dataset_size(r->sets[GAN_A]), (int)ev_dataset_size(r->sets[GAN_B]),
         (int)r->opt.size[0], (int)r->opt.size[1], (int)r->opt.batch,
         (int)ev_context_threads(r->ctx));
    note("%lld parameters in four networks; training needs %.0f MB besides the pictures",
         (long long)r->parameters, (double)r->memory / 1e6);
    if (ev_cyclegan_steps(r->gan) > 0) {
        note("going on after epoch %d, step %lld", (int)ev_cyclegan_epoch(r->gan),
             (long long)ev_cyclegan_steps(r->gan));
    }
}

static int prepare(gan_run *r)
{
    static const char *const folders[] = {"grids", "epochs"};
    char path[PATH_SIZE];
    int code = r->fresh ? 0 : gan_load(r);
    if (!code) {
        code = open_context(r->opt.threads, &r->ctx);
    }
    for (int i = 0; i < 2 && !code; i++) {
        code = make_folder(gan_file(path, r, folders[i]));
    }
    if (!code) {
        code = open_classifier(r);
    }
    for (int i = GAN_A; i <= GAN_B && !code; i++) {
        code = open_set(r, i);
    }
    if (!code) {
        code = make_gan(r);
    }
    if (!code) {
        code = gan_trim_logs(r);
    }
    if (!code) {
        tell_start(r);
        code = gan_save_json(r, "running");
    }
    if (!code) {
        code = save_inputs(r);
    }
    return code ? code : gan_catch_up(r);
}

/* ---- the run --------------------------------------------------------------------------------- */

static int stopped_by_signal(gan_run *r)
{
    char path[PATH_SIZE];
    ev_status status = ev_cyclegan_save(r->gan, gan_file(path, r, "state.safetensors"));
    int code = status == EV_OK ? gan_save_generators(r, 0) : fail_status(EXIT_IO, status, NULL);
    if (!code) {
        code = gan_save_json(r, "stopped");
    }
    if (code) {
        return code;
    }
    fail(0, "stopped; everything is saved. Go on with: edgevision gan train --resume %s",
         r->folder);
    return 128 + caught_signal();
}

static int fit(gan_run *r)
{
    r->began = seconds_now();
    r->first_step = ev_cyclegan_steps(r->gan);
    ev_status status = ev_cyclegan_run(r->gan);
    clear_bar();
    if (status == EV_ERR_CANCELLED && !r->code) {
        return stopped_by_signal(r);
    }
    if (status == EV_ERR_CANCELLED) {
        return r->code;
    }
    if (status != EV_OK) {
        int code =
            fail_status(EXIT_DATA, status,
                        status == EV_ERR_DIVERGED ? "try a lower --lr, in another folder" : NULL);
        gan_save_json(r, "stopped");
        return code;
    }
    return gan_save_json(r, "done");
}

static int tell_end(const gan_run *r)
{
    char path[PATH_SIZE];
    int code = 0;
    char *csv = text_load(gan_file(path, r, "losses.csv"), EXIT_MODEL, &code);
    char *fields[GAN_N_LOSSES + 4], *next = csv, *last = NULL;
    text t = {0};
    for (char *line = csv; line && *line; line = strchr(line, '\n') + 1) {
        last = line;
    }
    int n = last && last != csv ? csv_line(last, fields, GAN_N_LOSSES + 4, &next) : 0;
    if (n >= gan_n_losses(r) + 2) {
        text_add(&t, r->opt.json ? "{\"epochs\": %s, \"steps\": %s" : "epochs\t%s\nsteps\t%s\n",
                 fields[0], fields[1]);
        for (int i = 0; i < gan_n_losses(r); i++) {
            text_add(&t, r->opt.json ? ", \"%s\": %s" : "%s\t%s\n", gan_loss_names[i],
                     fields[i + 2]);
        }
        text_add(&t, r->opt.json ? "}\n" : "");
        print_table(&t, stdout);
    }
    free(csv);
    note("the generators: %s (A to B), G_B.onnx; how it went: %s/index.html",
         gan_file(path, r, "G_A.onnx"), r->folder);
    return code;
}

static int check_usage(gan_run *r, const syntax *s)
{
    char path[PATH_SIZE];
    if (s->n_files != (r->opt.resume ? 0 : 2)) {
        return fail(EXIT_USAGE, "give either A B -o RUN, two sets of pictures, or --resume RUN");
    }
    if (!r->opt.resume && !r->opt.out) {
        return fail(EXIT_USAGE, "-o RUN is missing: the folder for generators, losses and state");
    }
    r->folder = r->opt.resume ? r->opt.resume : r->opt.out;
    r->fresh = !r->opt.resume && !file_exists(gan_file(path, r, "run.json"));
    if (!r->opt.resume) {
        r->data[GAN_A] = s->files[0];
        r->data[GAN_B] = s->files[1];
    }
    if (r->fresh && file_exists(gan_file(path, r, "state.safetensors"))) {
        return fail(EXIT_USAGE,
                    "%s: there is a state, but no run.json: choose another folder, or "
                    "remove this one",
                    r->folder);
    }
    return 0;
}

static int train(gan_run *r, syntax *s)
{
    char state[32];
    r->syntax = s;
    int code = check_usage(r, s);
    if (!code) {
        gan_state(r, state);
        catch_signals();
        code = prepare(r);
    }
    if (!code) {
        if (!strcmp(state, "done")) {
            note("%s is finished already", r->folder);
        }
        code = fit(r);
    }
    if (!code) {
        code = tell_end(r);
    }
    ev_cyclegan_destroy(r->gan);
    ev_model_destroy(r->classifier);
    ev_dataset_destroy(r->sets[GAN_A]);
    ev_dataset_destroy(r->sets[GAN_B]);
    ev_context_destroy(r->ctx);
    for (int i = 0; i < r->n_texts; i++) {
        free(r->texts[i]);
    }
    return code;
}

/* ---- its options ----------------------------------------------------------------------------- */

static const char *const merges[] = {"add", "concat", NULL};
static const char *const paddings[] = {"reflect", "zero", NULL};
static const char *const upsamples[] = {"transposed", "resize", NULL};
static const char *const orders[] = {"joint", "authors", NULL};
static const char *const labels[] = {"classifier", "b", "both", NULL};

static gan_run job = {.opt = {.size = {128, 128},
                              .epochs = 200,
                              .decay_epochs = -1,
                              .batch = 1,
                              .width = 64,
                              .layers = 3,
                              .d_width = 64,
                              .pool = 50,
                              .keep = 5,
                              .samples = 4,
                              .log_steps = 50,
                              .cycle = 10,
                              .identity = 5,
                              .class_weight = 1,
                              .rate = 2e-4,
                              .beta1 = 0.5,
                              .seed = 1}};

static const option table[] = {
    {"out", 'o', OPTION_TEXT, &job.opt.out, "RUN",
     "folder for all results; the same command goes on there", 0, 0, NULL},
    {"resume", 0, OPTION_TEXT, &job.opt.resume, "RUN", "go on with a run; nothing else is needed",
     0, 0, NULL},
    {NULL, 0, OPTION_HEADING, NULL, NULL, "pictures:", 0, 0, NULL},
    {"size", 0, OPTION_SIZE, job.opt.size, "WxH",
     "what the networks see, divisible by 4; 256x256 takes\nfour times as long", 0, 0, NULL},
    {"load-size", 0, OPTION_SIZE, job.opt.load_size, "WxH",
     "pictures are resized to this, then a random part of\n--size is cut out (default: --size, "
     "nothing is cut)",
     0, 0, NULL},
    {"no-flip", 0, OPTION_FLAG, &job.opt.no_flip, NULL, "do not mirror every other picture", 0, 0,
     NULL},
    {"replacement", 0, OPTION_FLAG, &job.opt.replacement, NULL,
     "draw with replacement (default: all, in random order)", 0, 0, NULL},
    {"batch", 0, OPTION_INT, &job.opt.batch, "N", "pictures of each set in a step", 1, 4096, NULL},
    {"epochs", 0, OPTION_INT, &job.opt.epochs, "N", "an epoch is --steps-per-epoch steps", 1, 1e6,
     NULL},
    {"decay-epochs", 0, OPTION_INT, &job.opt.decay_epochs, "N",
     "the last so many, over which the rate falls to zero;\n0: constant rate (default: half of "
     "--epochs)",
     -1, 1e6, NULL},
    {"steps-per-epoch", 0, OPTION_INT, &job.opt.steps_per_epoch, "N",
     "(default: the larger set's pictures / --batch)", 0, INT32_MAX, NULL},
    {NULL, 0, OPTION_HEADING, NULL, NULL, "networks:", 0, 0, NULL},
    {"width", 0, OPTION_INT, &job.opt.width, "N", "filters of a generator's first convolution", 1,
     1024, NULL},
    {"blocks", 0, OPTION_INT, &job.opt.blocks, "N", "residual blocks (default 6; with --authors 9)",
     0, 64, NULL},
    {"merge", 0, OPTION_CHOICE, &job.opt.merge, "NAME", "how they join: add, concat", 0, 0, merges},
    {"padding", 0, OPTION_CHOICE, &job.opt.padding, "NAME", "reflect or zero", 0, 0, paddings},
    {"affine", 0, OPTION_FLAG, &job.opt.affine, NULL, "instance norms with scale and shift", 0, 0,
     NULL},
    {"norm-last", 0, OPTION_FLAG, &job.opt.norm_last, NULL, "one before the tanh too", 0, 0, NULL},
    {"upsample", 0, OPTION_CHOICE, &job.opt.upsample, "NAME",
     "transposed, or resize (no checkerboard, one size only)", 0, 0, upsamples},
    {"separable", 0, OPTION_FLAG, &job.opt.separable, NULL,
     "3x3 of each channel alone, then 1x1: a smaller generator", 0, 0, NULL},
    {"layers", 0, OPTION_INT, &job.opt.layers, "N",
     "of a discriminator with stride 2; 3: patches of 70x70", 1, 8, NULL},
    {"d-width", 0, OPTION_INT, &job.opt.d_width, "N", "filters of its first convolution", 1, 1024,
     NULL},
    {NULL, 0, OPTION_HEADING, NULL, NULL, "learning:", 0, 0, NULL},
    {"authors", 0, OPTION_FLAG, &job.opt.authors, NULL,
     "the recipe of the paper's authors: 9 blocks that\nconcatenate, zero padding, affine norms, "
     "one before the\ntanh, discriminators of six convolutions, networks\nupdated one after the "
     "other, replacement, constant rate",
     0, 0, NULL},
    {"order", 0, OPTION_CHOICE, &job.opt.order, "NAME",
     "joint: both generators at once; authors: one by one", 0, 0, orders},
    {"cycle", 0, OPTION_REAL, &job.opt.cycle, "X", "weight of the cycle's loss", 0, 1e6, NULL},
    {"identity", 0, OPTION_REAL, &job.opt.identity, "X", "weight of the identity's; 0: none", 0,
     1e6, NULL},
    {"pool", 0, OPTION_INT, &job.opt.pool, "N", "made pictures in a history; 0: none", 0, 1000,
     NULL},
    {"lr", 0, OPTION_REAL, &job.opt.rate, "X", "learning rate of Adam", 1e-12, 100, NULL},
    {"beta1", 0, OPTION_REAL, &job.opt.beta1, "X", "of Adam", 0, 0.999999, NULL},
    {"classifier", 0, OPTION_TEXT, &job.opt.classifier, "MODEL",
     "of pictures of B: translations must look alike to it", 0, 0, NULL},
    {"class-weight", 0, OPTION_REAL, &job.opt.class_weight, "X", "weight of that loss", 1e-9, 1e6,
     NULL},
    {"class-labels", 0, OPTION_CHOICE, &job.opt.class_labels, "NAME",
     "classifier: its own answers; b: labels of set B; both:\nof A too", 0, 0, labels},
    {NULL, 0, OPTION_HEADING, NULL, NULL, "what stays in RUN:", 0, 0, NULL},
    {"keep", 0, OPTION_INT, &job.opt.keep, "N",
     "generators of every so many epochs, for gan select; 0:\nonly the last", 0, 1e6, NULL},
    {"samples", 0, OPTION_INT, &job.opt.samples, "N", "rows of each epoch's sheet; 0: none", 0, 128,
     NULL},
    {"log-steps", 0, OPTION_INT, &job.opt.log_steps, "N",
     "a line of steps.csv for so many steps; 0: none", 0, INT32_MAX, NULL},
    {"checkpoint-steps", 0, OPTION_INT, &job.opt.checkpoint_steps, "N",
     "save the state after so many steps too; 0: epochs only", 0, INT32_MAX, NULL},
    {NULL, 0, OPTION_HEADING, NULL, NULL, "else:", 0, 0, NULL},
    {"seed", 0, OPTION_SEED, &job.opt.seed, "N", "same seed, same generators", 0, 0, NULL},
    {"threads", 0, OPTION_INT, &job.opt.threads, "N", "0: all cores; changes no result", 0, 256,
     NULL},
    {"max-memory", 0, OPTION_TEXT, &job.opt.max_memory, "BYTES",
     "2G, 512M: work loss by loss if more were needed\n(which changes the last digits)", 0, 0,
     NULL},
    {"json", 0, OPTION_FLAG, &job.opt.json, NULL, "the result as JSON", 0, 0, NULL},
    {"quiet", 'q', OPTION_FLAG, &tool_quiet, NULL, "no progress on stderr", 0, 0, NULL},
};

int verb_gan_train(int argc, char **argv)
{
    syntax s = {.verb = "gan train",
                .usage = "A B -o RUN [options]\n"
                         "       edgevision gan train --resume RUN",
                .purpose = "Train a CycleGAN: G_A carries pictures of A (night) into B (day), G_B "
                           "back.  No two\npictures belong together.  A, B: folders of pictures, "
                           "with or without one folder per\nclass, or manifests.",
                .options = table,
                .n_options = N_OPTIONS(table),
                .max_rest = 2,
                .examples = "  edgevision gan train night/ day/ -o runs/n2d --size 128x96 --width "
                            "32 --epochs 20\n"
                            "  edgevision gan apply -r runs/n2d -i photo.jpg -o carried.png\n"};
    int code = options_parse(&s, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    return train(&job, &s);
}
