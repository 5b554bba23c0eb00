/* SPDX-License-Identifier: MIT */
/*
 * 07: try learning rates, then dropouts; keep what is best on the validation set; judge once.
 *
 *     cc 07_tune.c $(pkg-config --cflags --libs edgevision) && ./a.out [folder]
 *
 * One factor at a time, as in the paper (table 3).  Every trial has the same weights to start from
 * and the same pictures.  The test set is looked at once: a figure that helped to choose flatters.
 */
#include <edgevision/edgevision.h>
#include <math.h>
#include <stdio.h>

enum { SIDE = 24, PICTURES = 480, TRAIN = 0, VALID, TEST };

static int check(ev_status status)
{
    if (status != EV_OK) {
        fprintf(stderr, "%s: %s\n", ev_status_name(status), ev_last_error());
    }
    return status != EV_OK;
}

/* Grey noise with a ring, a cross, or nothing. */
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
            int cross = labels[n] == 2 && r <= 18 && (x * x == y * y);
            random = random * 1664525U + 1013904223U;
            pixels[n][i / SIDE][i % SIDE] = (uint8_t)(60 + (random >> 26) + (ring || cross) * 50U);
        }
    }
    ev_status status = ev_tensor_wrap(ctx, EV_TYPE_UINT8, 4, dims, pixels, sizeof pixels, &tensor);
    status = status ? status : ev_dataset_from_tensor(ctx, tensor, labels, 3, names, out);
    ev_tensor_destroy(tensor);
    return status;
}

typedef struct outcome {
    double accuracy, loss; /* on the validation set */
} outcome;

/* One training.  The caller ends *model. */
static ev_status fit(ev_context *ctx, ev_dataset *const *part, int32_t grey, double rate,
                     double dropout, ev_model **model, outcome *out)
{
    ev_zoo_options net;
    ev_preprocess pixels;
    ev_train_options opt;
    ev_trainer *trainer = NULL;
    ev_metrics *metrics = NULL;
    EV_OPTIONS_INIT(&net);
    EV_OPTIONS_INIT(&pixels);
    EV_OPTIONS_INIT(&opt);
    net.width = grey ? SIDE : 48;
    net.channels = grey ? 1 : 3;
    net.n_classes = ev_dataset_classes(part[TRAIN]);
    for (int c = 0; c < 3; c++) { /* pixels become -1..1 */
        pixels.mean[c] = pixels.std[c] = 0.5F;
    }
    opt.learning_rate = (float)rate;
    opt.dropout = dropout > 0 ? (float)dropout : -1; /* negative: explicitly none */
    opt.batch_size = 16;
    opt.max_epochs = 12;
    opt.patience = 4;
    ev_status status = ev_zoo_arch(ctx, 2, &net, model);
    if (status != EV_OK || (status = ev_model_set_preprocess(*model, &pixels)) ||
        (status = ev_model_init(*model, 1)) ||
        (status = ev_trainer_create(ctx, *model, part[TRAIN], part[VALID], &opt, &trainer))) {
        return status;
    }
    status = ev_trainer_run(trainer);
    if (status == EV_OK || status == EV_ERR_DIVERGED) { /* that is also an answer */
        status = ev_evaluate(ctx, *model, part[VALID], NULL, &metrics);
    }
    out->accuracy = ev_metrics_accuracy(metrics);
    out->loss = ev_metrics_loss(metrics);
    ev_metrics_destroy(metrics);
    ev_trainer_destroy(trainer);
    return status;
}

int main(int argc, char **argv)
{
    static const double rates[] = {1e-4, 1e-3, 1e-2, 1e-1}, dropouts[] = {0, 0.25, 0.5};
    static const double shares[] = {64, 16, 20};
    ev_context *ctx = NULL;
    ev_dataset *data = NULL, *part[3] = {NULL, NULL, NULL};
    ev_model *best_model = NULL;
    ev_metrics *metrics = NULL;
    double best[2] = {rates[0], dropouts[0]}; /* rate, dropout */
    outcome top = {-1, INFINITY};
    char *words = NULL;

    if (check(ev_context_create(NULL, &ctx)) ||
        check(argc > 1 ? ev_dataset_scan(ctx, argv[1], NULL, &data) : make_data(ctx, &data)) ||
        check(ev_dataset_split(data, shares, 3, EV_SPLIT_STRATIFIED, 1, part))) {
        return 1;
    }
    for (int i = 0; i < 4 + 2; i++) { /* dropout 0 was there when the rates were tried */
        ev_model *model = NULL;
        outcome came = {0, 0};
        double rate = i < 4 ? rates[i] : best[0], dropout = i < 4 ? 0 : dropouts[i - 3];
        if (check(fit(ctx, part, argc < 2, rate, dropout, &model, &came))) {
            return 1;
        }
        int better = came.accuracy > top.accuracy ||
                     (came.accuracy == top.accuracy && came.loss < top.loss);
        printf("rate %-6g dropout %-4g  validation accuracy %5.1f %%  loss %.3f%s\n", rate, dropout,
               100 * came.accuracy, came.loss, better ? "  best" : "");
        if (better) {
            top = came;
            best[0] = rate;
            best[1] = dropout;
        }
        ev_model_destroy(better ? best_model : model);
        best_model = better ? model : best_model;
    }
    const char *names[64] = {0};
    for (int32_t c = 0; c < ev_dataset_classes(data) && c < 64; c++) {
        names[c] = ev_dataset_class_name(data, c);
    }
    if (check(ev_evaluate(ctx, best_model, part[TEST], NULL, &metrics)) ||
        check(ev_metrics_describe(metrics, names, 0, &words))) {
        return 1;
    }
    printf("\nrate %g, dropout %g, on the test set:\n%s", best[0], best[1], words);
    ev_string_destroy(words);
    ev_metrics_destroy(metrics);
    ev_model_destroy(best_model);
    for (int i = 0; i < 3; i++) {
        ev_dataset_destroy(part[i]);
    }
    ev_dataset_destroy(data);
    ev_context_destroy(ctx);
    return 0;
}
