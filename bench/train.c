/* SPDX-License-Identifier: MIT */
/* Milliseconds of one training step (forward, loss, backward, Adam) on random pictures:
 * bench/train --arch 5 --threads 1 --batch 32 */
#include "bench.h"

#include "train/trainer.h"

int main(int argc, char **argv)
{
    bench_options o = {.arch = 5, .threads = 1, .batch = 32, .size = 224, .seconds = 4};
    bench_result r = {.what = "train"};
    bench_read(argc, argv, &o);
    ev_context *ctx = bench_context(&o);
    ev_model *m = bench_model(ctx, &o);
    ev_train_options t;
    ev_trainer *trainer = NULL;
    EV_OPTIONS_INIT(&t);
    t.batch_size = o.batch;
    t.precise = o.precise;
    MUST(ev_trainer_create(ctx, m, NULL, NULL, &t, &trainer));
    int64_t dims[EV_MAX_RANK];
    const int64_t n_labels = o.batch;
    ev_model_input_dims(m, 0, dims);
    ev_tensor *x = bench_picture(ctx, o.batch, dims[1], dims[2], dims[3], 12345), *labels = NULL;
    MUST(ev_tensor_create(ctx, EV_TYPE_INT32, 1, &n_labels, &labels));
    int32_t *label = ev_tensor_data(labels);
    for (int32_t i = 0; i < o.batch; i++)
        label[i] = i % 4;
    const ev_feed feeds[2] = {{ev_model_input_name(m, 0), x}, {"labels", labels}};
    MUST(ev_trainer_step(trainer, feeds, 2, NULL, 0));
    double start = bench_now();
    while (bench_more(&o, &r.samples, start, 3)) {
        double begin = bench_now();
        MUST(ev_trainer_step(trainer, feeds, 2, NULL, 0));
        bench_add(&r.samples, (bench_now() - begin) * 1e3);
    }
    evi_session_cost(trainer->parts[0].session, &r.gflop, &r.bytes);
    r.gflop = 6e-9 * (double)ev_model_macs(m) * o.batch;
    /* backward moves twice what forward does; Adam reads and writes seven numbers a weight */
    r.bytes = 3 * r.bytes + 28.0 * (double)ev_model_parameter_count(m);
    r.peak = bench_peak(ctx);
    bench_name(&o, r.name, sizeof r.name);
    bench_head(&o);
    bench_print(&o, &r);
    bench_end(&r);
    ev_trainer_destroy(trainer);
    ev_tensor_destroy(x);
    ev_tensor_destroy(labels);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    return 0;
}
