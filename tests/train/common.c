/* SPDX-License-Identifier: MIT */
#include "train.h"

#include "tensor/tensor.h"
#include <math.h>

static uint32_t next(uint32_t *x)
{
    *x = *x * 1664525u + 1013904223u;
    return *x >> 8;
}

void tt_numbers(uint32_t seed, int64_t n, double scale, evi_real *to)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = (evi_real)(((double)next(&seed) / 8388608.0 - 1.0) * scale);
}

void tt_labels(uint32_t seed, int64_t n, int32_t classes, int32_t *to)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = (int32_t)(next(&seed) % (uint32_t)classes);
}

double tt_power(double x)
{
    double p = 1;
    while (p > x)
        p /= 2;
    while (p * 2 <= x)
        p *= 2;
    return p;
}

void tt_fill(ev_model *model, uint32_t seed)
{
    for (int32_t i = 0; i < ev_model_n_weights(model); i++) {
        ev_tensor *w = NULL;
        t_ok(ev_model_weight(model, ev_model_weight_name(model, i), &w));
        bool bias = ev_tensor_rank(w) == 1;
        double fan_in = (double)(ev_tensor_count(w) / ev_tensor_dim(w, 0));
        tt_numbers(seed + (uint32_t)i, ev_tensor_count(w),
                   bias ? 0.0625 : tt_power(sqrt(6.0 / fan_in)), ev_tensor_data(w));
        ev_tensor_destroy(w);
    }
    t_ok(ev_model_touch(model));
}

ev_tensor *tt_tensor(ev_context *ctx, uint32_t seed, int32_t rank, const int64_t *dims)
{
    ev_tensor *x = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, rank, dims, &x));
    tt_numbers(seed, ev_tensor_count(x), 1.0, ev_tensor_data(x));
    return x;
}

ev_tensor *tt_label_tensor(ev_context *ctx, uint32_t seed, int64_t n, int32_t classes)
{
    ev_tensor *y = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_INT32, 1, &n, &y));
    tt_labels(seed, n, classes, ev_tensor_data(y));
    return y;
}

double *tt_golden(const char *name, int64_t *n_out)
{
    FILE *in = fopen(T_GOLDEN "/train.txt", "r");
    char word[64];
    long n = 0;
    ck_assert_msg(in != NULL, "no " T_GOLDEN "/train.txt");
    while (fscanf(in, "%63s %ld", word, &n) == 2) {
        double *values = malloc((size_t)n * sizeof(double));
        for (long i = 0; i < n; i++)
            ck_assert_int_eq(fscanf(in, "%lf", &values[i]), 1);
        if (strcmp(word, name) == 0) {
            fclose(in);
            *n_out = n;
            return values;
        }
        free(values);
    }
    ck_abort_msg("no '%s' in train.txt", name);
    return NULL;
}

double tt_error(const double *a, const double *b, int64_t n)
{
    double worst = 0, peak = 0;
    for (int64_t i = 0; i < n; i++) {
        worst = fmax(worst, isnan(a[i] - b[i]) ? HUGE_VAL : fabs(a[i] - b[i]));
        peak = fmax(peak, fabs(b[i]));
    }
    return peak > 0 ? worst / peak : worst;
}

double *tt_weights(ev_model *model, int64_t *n_out)
{
    int64_t n = 0;
    double *all = NULL;
    for (int32_t i = 0; i < ev_model_n_weights(model); i++) {
        ev_tensor *w = NULL;
        t_ok(ev_model_weight(model, ev_model_weight_name(model, i), &w));
        const evi_real *from = ev_tensor_data(w);
        all = realloc(all, (size_t)(n + ev_tensor_count(w)) * sizeof(double));
        for (int64_t k = 0; k < ev_tensor_count(w); k++)
            all[n + k] = (double)from[k];
        n += ev_tensor_count(w);
        ev_tensor_destroy(w);
    }
    *n_out = n;
    return all;
}

uint32_t tt_weights_crc(ev_model *model)
{
    int64_t n = 0;
    double *all = tt_weights(model, &n);
    uint32_t crc = evi_crc32c(0, all, (uint64_t)n * sizeof(double));
    free(all);
    return crc;
}

ev_model *tt_small_net(ev_context *ctx)
{
    const int64_t dims[4] = { -1, 2, 4, 4 };
    ev_model *m = NULL;
    ev_value x = EV_NO_VALUE;
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_conv2d(m, x, 2, 3, NULL, &x));
    t_ok(ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, &x));
    t_ok(ev_model_flatten(m, x, 1, &x));
    t_ok(ev_model_dense(m, x, 3, NULL, &x));
    t_ok(ev_model_output(m, "logits", x));
    t_ok(ev_model_init(m, 1));
    tt_fill(m, 100);
    return m;
}

ev_model *tt_picture_net(ev_context *ctx)
{
    const int64_t dims[4] = { -1, 3, 12, 12 };
    ev_model *m = NULL;
    ev_value x = EV_NO_VALUE;
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_conv2d(m, x, 5, 3, NULL, &x));
    t_ok(ev_model_batch_norm(m, x, NULL, &x));
    t_ok(ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, &x));
    t_ok(ev_model_max_pool2d(m, x, 2, NULL, &x));
    t_ok(ev_model_flatten(m, x, 1, &x));
    t_ok(ev_model_dropout(m, x, 0.25f, &x));
    t_ok(ev_model_dense(m, x, 16, NULL, &x));
    t_ok(ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, &x));
    t_ok(ev_model_dense(m, x, 3, NULL, &x));
    t_ok(ev_model_output(m, "logits", x));
    t_ok(ev_model_init(m, 7));
    return m;
}

/* Class 0: bright above, 1: bright below, 2: red left. */
static uint8_t pixel(int32_t label, int32_t channel, int32_t row, int32_t column, uint64_t *state)
{
    int32_t base = 90;
    if ((label == 0 && row < 6) || (label == 1 && row >= 6))
        base = 150;
    if (label == 2 && channel == 0 && column < 6)
        base = 200;
    return (uint8_t)(base + t_random_int(state, -50, 50));
}

ev_dataset *tt_pictures(ev_context *ctx, int32_t n, uint64_t seed)
{
    const int64_t dims[4] = { n, 3, 12, 12 };
    ev_tensor *images = NULL;
    ev_dataset *set = NULL;
    int32_t *labels = malloc((size_t)n * sizeof(int32_t));
    t_ok(ev_tensor_create(ctx, EV_TYPE_UINT8, 4, dims, &images));
    uint8_t *to = ev_tensor_data(images);
    for (int32_t i = 0; i < n; i++) {
        labels[i] = t_random_int(&seed, 0, 2);
        for (int32_t k = 0; k < 3 * 144; k++)
            *to++ = pixel(labels[i], k / 144, k % 144 / 12, k % 12, &seed);
    }
    t_ok(ev_dataset_from_tensor(ctx, images, labels, 3, NULL, &set));
    ev_tensor_destroy(images);
    free(labels);
    return set;
}

tt_job tt_start(ev_context *ctx)
{
    tt_job j = { .ctx = ctx };
    j.model = tt_picture_net(ctx);
    j.train = tt_pictures(ctx, 45, 11);
    j.valid = tt_pictures(ctx, 20, 12);
    EV_OPTIONS_INIT(&j.o);
    j.o.batch_size = 8;
    j.o.max_epochs = 3;
    j.o.learning_rate = 3e-3f;
    j.o.loader_threads = -1;
    return j;
}

void tt_end(tt_job *j)
{
    ev_dataset_destroy(j->train);
    ev_dataset_destroy(j->valid);
    ev_model_destroy(j->model);
    ev_context_destroy(j->ctx);
}
