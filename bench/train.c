/* SPDX-License-Identifier: MIT */
/* Milliseconds of one training step (forward, loss, backward, Adam) on random pictures:
 * bench/train --arch 5 --threads 1 --batch 32 */
#include "bench.h"

int main(int argc, char **argv)
{
    bench_options o = bench_read(argc, argv);
    ev_context *ctx = bench_context(&o);
    ev_model *m = bench_model(ctx, &o);
    ev_train_options t;
    ev_trainer *trainer = NULL;
    EV_OPTIONS_INIT(&t);
    t.batch_size = o.batch;
    MUST(ev_trainer_create(ctx, m, NULL, NULL, &t, &trainer));
    const int64_t dims[4] = { o.batch, 3, o.size, o.size };
    ev_tensor *x = NULL, *labels = NULL;
    MUST(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &x));
    MUST(ev_tensor_create(ctx, EV_TYPE_INT32, 1, dims, &labels));
    float *pixels = ev_tensor_data(x);
    int32_t *label = ev_tensor_data(labels);
    uint32_t state = 12345;
    for (int64_t i = 0; i < ev_tensor_count(x); i++) {
        state = state * 1664525u + 1013904223u;
        pixels[i] = (float)(state >> 8) / 16777216.0f;
    }
    for (int32_t i = 0; i < o.batch; i++)
        label[i] = i % 4;
    const ev_feed feeds[2] = { { ev_model_input_name(m, 0), x }, { "labels", labels } };
    static double ms[10000];
    int n = 0;
    MUST(ev_trainer_step(trainer, feeds, 2, NULL, 0));
    double start = bench_now();
    while (n < 3 || (n < 10000 && bench_now() - start < o.seconds)) {
        double begin = bench_now();
        MUST(ev_trainer_step(trainer, feeds, 2, NULL, 0));
        ms[n++] = (bench_now() - begin) * 1e3;
    }
    bench_print("train", &o, ms, n, 6e-9 * (double)ev_model_macs(m) * o.batch);
    ev_trainer_destroy(trainer);
    ev_tensor_destroy(x);
    ev_tensor_destroy(labels);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    return 0;
}
