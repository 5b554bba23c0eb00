/* SPDX-License-Identifier: MIT */
/*
 * 06: make a trained model smaller, and see whether that was worth it.
 *
 *     cc 06_prune.c $(pkg-config --cflags --libs edgevision) && ./a.out
 *
 * Channels go, nothing is masked: what comes out is an ordinary model, half as wide, which loads,
 * runs and trains like any other.  Beside it two controls: channels taken by chance, and the same
 * small layers trained from random weights.  If they do as well, pruning was not needed.
 */
#include <edgevision/edgevision.h>
#include <stdio.h>

enum { SIDE = 24, PICTURES = 600 };

static int check(ev_status status)
{
    if (status != EV_OK) {
        fprintf(stderr, "%s: %s\n", ev_status_name(status), ev_last_error());
    }
    return status != EV_OK;
}

/* Grey noise with nothing, a ring, or a cross. */
static ev_status make_data(ev_context *ctx, ev_dataset **out)
{
    static uint8_t pixels[PICTURES][SIDE][SIDE];
    static const char *const names[] = {"empty", "ring", "cross"};
    static int32_t labels[PICTURES];
    const int64_t dims[] = {PICTURES, 1, SIDE, SIDE};
    uint32_t random = 7;
    ev_tensor *tensor = NULL;
    for (int n = 0; n < PICTURES; n++) {
        random = random * 1664525U + 1013904223U;
        int cx = 5 + (int)(random >> 8) % (SIDE - 10), cy = 5 + (int)(random >> 20) % (SIDE - 10);
        labels[n] = n % 3;
        for (int i = 0; i < SIDE * SIDE; i++) {
            int x = i % SIDE - cx, y = i / SIDE - cy, r = x * x + y * y;
            int ring = labels[n] == 1 && r >= 8 && r <= 18;
            int cross = labels[n] == 2 && r <= 18 && x * x == y * y;
            random = random * 1664525U + 1013904223U;
            pixels[n][i / SIDE][i % SIDE] = (uint8_t)(60 + (random >> 26) + (ring || cross) * 50U);
        }
    }
    ev_status status = ev_tensor_wrap(ctx, EV_TYPE_UINT8, 4, dims, pixels, sizeof pixels, &tensor);
    status = status ? status : ev_dataset_from_tensor(ctx, tensor, labels, 3, names, out);
    ev_tensor_destroy(tensor);
    return status;
}

/* The model that is too large: Arch3 of the paper. */
static ev_status fit(ev_context *ctx, ev_dataset *const *part, ev_model **model)
{
    ev_zoo_options net;
    ev_preprocess pixels;
    ev_train_options opt;
    ev_trainer *trainer = NULL;
    EV_OPTIONS_INIT(&net);
    EV_OPTIONS_INIT(&pixels);
    EV_OPTIONS_INIT(&opt);
    net.width = SIDE;
    net.channels = 1;
    net.n_classes = 3;
    pixels.mean[0] = pixels.std[0] = 0.5F; /* pixels become -1..1 */
    opt.batch_size = 16;
    opt.learning_rate = 2e-3F;
    opt.max_epochs = 15;
    ev_status status = ev_zoo_arch(ctx, 3, &net, model);
    if (status != EV_OK || (status = ev_model_set_preprocess(*model, &pixels)) ||
        (status = ev_model_init(*model, 1)) ||
        (status = ev_trainer_create(ctx, *model, part[0], part[1], &opt, &trainer))) {
        return status;
    }
    status = ev_trainer_run(trainer);
    ev_trainer_destroy(trainer);
    return status;
}

/* What may go?  Channels that a sum or a join ties go together; some cannot go, and say why. */
static ev_status show_groups(ev_context *ctx, ev_model *model)
{
    ev_pruner *pruner = NULL;
    char *words = NULL;
    ev_status status = ev_pruner_create(ctx, model, NULL, &pruner);
    if (status == EV_OK) {
        status = ev_pruner_describe(pruner, EV_DESCRIBE_TABLE, &words);
    }
    printf("%s\n", status == EV_OK ? words : "");
    ev_string_destroy(words);
    ev_pruner_destroy(pruner);
    return status;
}

static int32_t on_step(void *user, const ev_prune_step *s)
{
    (void)user;
    printf("step %d of %d: %lld parameters, %.0f multiply-adds, accuracy %.1f %%, fine-tuned "
           "%.1f %%\n", (int)s->index, (int)s->n_steps, (long long)s->parameters, s->macs,
           100 * s->accuracy_pruned, 100 * s->accuracy);
    return 0; /* go on */
}

int main(void)
{
    ev_context *ctx = NULL;
    ev_dataset *data = NULL, *part[3] = {NULL, NULL, NULL};
    ev_model *model = NULL, *smaller = NULL;
    ev_prune_report *report = NULL;
    ev_metrics *before = NULL, *after = NULL;
    ev_prune_options opt;
    char *words = NULL;
    const double shares[] = {64, 16, 20};

    EV_OPTIONS_INIT(&opt);
    opt.goal.unit = EV_UNIT_MACS; /* or EV_UNIT_MS, EV_UNIT_PARAMETERS ... */
    opt.goal.ratio = 0.25;
    opt.n_steps = 3;
    opt.measure = 1; /* time each step */
    opt.on_step = on_step;
    if (check(ev_context_create(NULL, &ctx)) || check(make_data(ctx, &data)) ||
        check(ev_dataset_split(data, shares, 3, EV_SPLIT_STRATIFIED, 1, part)) ||
        check(fit(ctx, part, &model)) || check(show_groups(ctx, model)) ||
        check(ev_prune_run(ctx, model, part[0], part[1], &opt, &smaller, &report)) ||
        check(ev_prune_report_describe(report, EV_DESCRIBE_TABLE, &words)) ||
        check(ev_evaluate(ctx, model, part[2], NULL, &before)) ||
        check(ev_evaluate(ctx, smaller, part[2], NULL, &after)) ||
        check(ev_model_save(smaller, "smaller.onnx"))) {
        return 1;
    }
    printf("\n%s\ntest accuracy %.1f %% before, %.1f %% after; saved as smaller.onnx\n", words,
           100 * ev_metrics_accuracy(before), 100 * ev_metrics_accuracy(after));
    ev_metrics_destroy(before);
    ev_metrics_destroy(after);
    ev_string_destroy(words);
    ev_prune_report_destroy(report);
    ev_model_destroy(smaller);
    ev_model_destroy(model);
    for (int i = 0; i < 3; i++) {
        ev_dataset_destroy(part[i]);
    }
    ev_dataset_destroy(data);
    ev_context_destroy(ctx);
    return 0;
}
