/* SPDX-License-Identifier: MIT */
/*
 * 04: draw a net, train it, judge it, save it.
 *
 *     cc 04_train.c $(pkg-config --cflags --libs edgevision) && ./a.out
 *
 * The pictures are drawn here: bright bars that stand or lie.  For pictures of your own replace
 * make_data() by ev_dataset_scan(ctx, "folder", NULL, &data): one folder per class.
 */
#include <edgevision/edgevision.h>
#include <stdio.h>

enum { SIDE = 24, PICTURES = 400 };

static int check(ev_status status)
{
    if (status != EV_OK) {
        fprintf(stderr, "%s: %s\n", ev_status_name(status), ev_last_error());
    }
    return status != EV_OK;
}

/* A grey picture with noise and one bar of 8 x 2 pixels. */
static ev_status make_data(ev_context *ctx, ev_dataset **out)
{
    static uint8_t pixels[PICTURES][SIDE][SIDE];
    static const char *const names[] = {"standing", "lying"};
    static int32_t labels[PICTURES];
    const int64_t dims[] = {PICTURES, 1, SIDE, SIDE};
    uint32_t random = 1;
    ev_tensor *tensor = NULL;
    for (int n = 0; n < PICTURES; n++) {
        for (int i = 0; i < SIDE * SIDE; i++) {
            random = random * 1664525U + 1013904223U;
            pixels[n][i / SIDE][i % SIDE] = (uint8_t)(90 + (random >> 27));
        }
        random = random * 1664525U + 1013904223U;
        int x = 1 + (int)(random >> 8) % (SIDE - 9), y = 1 + (int)(random >> 16) % (SIDE - 9);
        labels[n] = n % 2;
        for (int i = 0; i < 16; i++) {
            pixels[n][y + (labels[n] ? i / 8 : i % 8)][x + (labels[n] ? i % 8 : i / 8)] = 190;
        }
    }
    ev_status status = ev_tensor_wrap(ctx, EV_TYPE_UINT8, 4, dims, pixels, sizeof pixels, &tensor);
    if (status == EV_OK) {
        status = ev_dataset_from_tensor(ctx, tensor, labels, 2, names, out);
    }
    ev_tensor_destroy(tensor);
    return status;
}

/* A net is drawn by function calls; each checks its shapes at once. */
static ev_status draw_net(ev_context *ctx, ev_model **out)
{
    const int64_t dims[] = {-1, 1, SIDE, SIDE};
    static const char *const names[] = {"standing", "lying"};
    ev_value x;
    ev_status status = ev_model_create(ctx, out);
    ev_model *m = *out;
    if (status != EV_OK || (status = ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x)) ||
        (status = ev_model_conv2d(m, x, 8, 3, NULL, &x)) || /* 8 filters of 3x3 */
        (status = ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, &x)) ||
        (status = ev_model_global_max_pool(m, x, &x)) || /* wherever the bar is */
        (status = ev_model_flatten(m, x, 1, &x)) ||
        (status = ev_model_dense(m, x, 2, NULL, &x)) ||
        (status = ev_model_output(m, "logits", x)) ||
        (status = ev_model_set_classes(m, names, 2))) {
        return status;
    }
    return ev_model_init(m, 1); /* weights by chance, seed 1 */
}

static int32_t on_epoch(void *user, const ev_epoch *e)
{
    (void)user;
    printf("epoch %2d  loss %.3f  validation accuracy %.1f %%\n", (int)e->index + 1, e->train_loss,
           100 * e->valid_accuracy);
    return 0; /* go on */
}

int main(void)
{
    ev_context *ctx = NULL;
    ev_dataset *data = NULL, *part[3] = {NULL, NULL, NULL};
    ev_model *model = NULL;
    ev_trainer *trainer = NULL;
    ev_metrics *metrics = NULL;
    ev_train_options opt;
    const double shares[] = {64, 16, 20};

    EV_OPTIONS_INIT(&opt);
    opt.max_epochs = 12;
    opt.learning_rate = 2e-2F;
    opt.on_epoch = on_epoch;
    if (check(ev_context_create(NULL, &ctx)) || check(make_data(ctx, &data)) ||
        check(ev_dataset_split(data, shares, 3, EV_SPLIT_STRATIFIED, 1, part)) ||
        check(draw_net(ctx, &model)) ||
        check(ev_trainer_create(ctx, model, part[0], part[1], &opt, &trainer)) ||
        check(ev_trainer_run(trainer)) || /* at its end the best weights are put back */
        check(ev_evaluate(ctx, model, part[2], NULL, &metrics)) ||
        check(ev_model_save(model, "bars.onnx"))) {
        return 1;
    }
    printf("test accuracy %.1f %% of %lld pictures; %lld parameters; saved as bars.onnx\n",
           100 * ev_metrics_accuracy(metrics), (long long)ev_metrics_count(metrics),
           (long long)ev_model_parameter_count(model));
    ev_metrics_destroy(metrics);
    ev_trainer_destroy(trainer);
    ev_model_destroy(model);
    for (int i = 0; i < 3; i++) {
        ev_dataset_destroy(part[i]);
    }
    ev_dataset_destroy(data);
    ev_context_destroy(ctx);
    return 0;
}
