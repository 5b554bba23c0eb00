/* SPDX-License-Identifier: MIT */
/* Matrix products, square and as the nets have them, beside the measured peak:
 * bench/gemm --threads 1 [--shape M,N,K] */
#include "bench.h"

#include "base/context.h"
#include "ops/gemm.h"

typedef struct product {
    const char *name;
    int m, n, k, trans_a, trans_b;
} product;

static const product products[] = {
    {"square256", 256, 256, 256, 0, 0},
    {"square512", 512, 512, 512, 0, 0},
    {"square1024", 1024, 1024, 1024, 0, 0},
    {"square1024_nt", 1024, 1024, 1024, 0, 1},
    {"square1024_tn", 1024, 1024, 1024, 1, 0},
    {"square2048", 2048, 2048, 2048, 0, 0},
    {"arch5.fc1_b1", 1, 128, 10976, 0, 1},
    {"arch5.fc1_b32", 32, 128, 10976, 0, 1},
    {"arch5.fc1_b32_dx", 32, 10976, 128, 0, 0},
    {"arch5.fc1_b32_dw", 128, 10976, 32, 1, 0},
    {"arch8.fc1_b1", 1, 512, 25088, 0, 1},
    {"arch8.fc1_b32", 32, 512, 25088, 0, 1},
    {"arch8.fc1_b32_dx", 32, 25088, 512, 0, 0},
    {"arch8.fc1_b32_dw", 512, 25088, 32, 1, 0},
    {"arch11.fc1_b1", 1, 4096, 25088, 0, 1},
    {"arch11.fc1_b8", 8, 4096, 25088, 0, 1},
    {"arch11.fc2_b8_dx", 8, 4096, 4096, 0, 0},
    {"vgg.conv4_2_as_gemm", 512, 784, 4608, 0, 0},
    {"generator.res_as_gemm", 256, 4096, 2304, 0, 0},
};

static float *filled(int64_t n)
{
    float *p = aligned_alloc(64, (size_t)(n * 4 + 63) / 64 * 64);
    if (p == NULL) {
        fprintf(stderr, "no memory\n");
        exit(1);
    }
    bench_fill(p, n, 7);
    return p;
}

static void run(ev_context *ctx, const bench_options *o, const product *p, double peak)
{
    const evi_kernels *k = evi_kernels_for(ev_context_cpu(ctx));
    evi_gemm_args g = {
        .m = p->m, .n = p->n, .k = p->k, .trans_a = p->trans_a, .trans_b = p->trans_b};
    float *a = filled(g.m * g.k), *b = filled(g.n * g.k), *c = filled(g.m * g.n);
    evi_crew *crew = evi_crew_begin(ctx);
    uint64_t bytes =
        evi_gemm_scratch_bytes(k, g.m, g.n, g.k, g.trans_a, g.trans_b, evi_crew_size(crew));
    float *scratch = filled((int64_t)bytes / 4 + 16);
    bench_result r = {.what = "gemm", .peak = peak};
    g.a = a;
    g.b = b;
    g.c = c;
    g.lda = p->trans_a ? g.m : g.k;
    g.ldb = p->trans_b ? g.k : g.n;
    g.ldc = g.n;
    evi_gemm(crew, k, &g, scratch);
    double begin = bench_now();
    while (bench_more(o, &r.samples, begin, 3)) {
        double t = bench_now();
        evi_gemm(crew, k, &g, scratch);
        bench_add(&r.samples, (bench_now() - t) * 1e3);
    }
    evi_crew_end(crew);
    r.gflop = 2e-9 * (double)g.m * (double)g.n * (double)g.k;
    r.bytes = 4.0 * (double)(g.m * g.k + g.n * g.k + g.m * g.n);
    snprintf(r.name, sizeof r.name, "%s", p->name);
    snprintf(r.more, sizeof r.more, ",\"m\":%d,\"n\":%d,\"k\":%d,\"trans\":\"%c%c\"", p->m, p->n,
             p->k, p->trans_a ? 't' : 'n', p->trans_b ? 't' : 'n');
    bench_print(o, &r);
    bench_end(&r);
    free(a);
    free(b);
    free(c);
    free(scratch);
}

int main(int argc, char **argv)
{
    bench_options o = {.threads = 1, .batch = 1, .seconds = 0.3};
    product given = {"given", 0, 0, 0, 0, 0};
    bench_read(argc, argv, &o);
    ev_context *ctx = bench_context(&o);
    double peak = bench_peak(ctx);
    bench_head(&o);
    if (o.shape != NULL) {
        if (sscanf(o.shape, "%d,%d,%d", &given.m, &given.n, &given.k) != 3 || given.m < 1 ||
            given.n < 1 || given.k < 1) {
            fprintf(stderr, "--shape: three numbers, M,N,K\n");
            return 2;
        }
        run(ctx, &o, &given, peak);
    }
    for (size_t i = 0; o.shape == NULL && i < sizeof products / sizeof *products; i++)
        run(ctx, &o, &products[i], peak);
    ev_context_destroy(ctx);
    return 0;
}
