/* SPDX-License-Identifier: MIT */
/* Milliseconds of one inference: bench/infer --arch 5 --threads 1 */
#include "bench.h"

int main(int argc, char **argv)
{
    bench_options o = bench_read(argc, argv);
    ev_context *ctx = bench_context(&o);
    ev_model *m = bench_model(ctx, &o);
    if (o.save != NULL) {
        MUST(ev_model_save(m, o.save));
        return 0;
    }
    ev_plan_options p;
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    EV_OPTIONS_INIT(&p);
    p.max_batch = o.batch;
    MUST(ev_plan_create(ctx, m, &p, &plan));
    MUST(ev_session_create(plan, &session));
    int64_t dims[EV_MAX_RANK];
    int32_t rank = ev_model_input_dims(m, 0, dims);
    dims[0] = o.batch;
    ev_tensor *x = NULL;
    MUST(ev_tensor_create(ctx, EV_TYPE_FLOAT32, rank, dims, &x));
    float *pixels = ev_tensor_data(x);
    uint32_t state = 12345;
    for (int64_t i = 0; i < ev_tensor_count(x); i++) {
        state = state * 1664525u + 1013904223u;
        pixels[i] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
    const ev_tensor *in = x;
    static double ms[100000];
    int n = 0;
    double start = bench_now();
    for (int i = 0; i < 3 || bench_now() - start < 0.2; i++)
        MUST(ev_session_run(session, &in, 1, NULL, 0));
    start = bench_now();
    while (n < 5 || (n < 100000 && bench_now() - start < o.seconds)) {
        double t = bench_now();
        MUST(ev_session_run(session, &in, 1, NULL, 0));
        ms[n++] = (bench_now() - t) * 1e3;
    }
    bench_print("infer", &o, ms, n, 2e-9 * (double)ev_model_macs(m) * o.batch);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    ev_tensor_destroy(x);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    return 0;
}
