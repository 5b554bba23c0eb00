/* SPDX-License-Identifier: MIT */
/* Milliseconds of one inference: bench/infer --arch 5 --threads 1 */
#include "bench.h"

#include "graph/plan.h"

int main(int argc, char **argv)
{
    bench_options o = {.arch = 5, .threads = 1, .batch = 1, .size = 224, .seconds = 2};
    bench_result r = {.what = "infer"};
    bench_read(argc, argv, &o);
    ev_context *ctx = bench_context(&o);
    ev_model *m = bench_model(ctx, &o);
    if (o.save != NULL) {
        MUST(ev_model_save(m, o.save));
        return 0;
    }
    int64_t dims[EV_MAX_RANK];
    ev_model_input_dims(m, 0, dims);
    dims[0] = o.batch;
    for (int i = 2; i < 4; i++) /* a model for pictures of any size */
        dims[i] = dims[i] < 0 ? o.size : dims[i];
    ev_plan_options p;
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    EV_OPTIONS_INIT(&p);
    p.max_batch = o.batch;
    p.precise = o.precise;
    p.dims = dims;
    p.n_dims = 4;
    MUST(ev_plan_create(ctx, m, &p, &plan));
    MUST(ev_session_create(plan, &session));
    ev_tensor *x = bench_picture(ctx, o.batch, dims[1], dims[2], dims[3], 12345);
    const ev_tensor *in = x;
    double start = bench_now();
    for (int i = 0; i < 1 || (o.steps == 0 && bench_now() - start < 0.2); i++)
        MUST(ev_session_run(session, &in, 1, NULL, 0));
    start = bench_now();
    while (bench_more(&o, &r.samples, start, 3)) {
        double t = bench_now();
        MUST(ev_session_run(session, &in, 1, NULL, 0));
        bench_add(&r.samples, (bench_now() - t) * 1e3);
    }
    evi_session_cost(session, &r.gflop, &r.bytes);
    r.gflop = 2e-9 * (double)ev_model_macs(m) * o.batch; /* as the net is drawn */
    r.peak = bench_peak(ctx);
    bench_name(&o, r.name, sizeof r.name);
    bench_head(&o);
    bench_print(&o, &r);
    bench_end(&r);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    ev_tensor_destroy(x);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    return 0;
}
