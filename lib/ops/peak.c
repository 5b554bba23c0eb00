/* SPDX-License-Identifier: MIT */
/* Names of the kernels, and the measured peak: each worker runs one full tile again and again, in
 * short stretches, the best of which counts; the sum over the workers is the peak of the crew. */
#include "ops/peak.h"
#include "ops/winograd.h"

enum { DEPTH = 64, MAX_OPERAND = 64 * 64, MAX_WORKERS = 256, STRETCHES = 400, TILES = 100 };
static const double LONG_ENOUGH = 0.01; /* seconds */

typedef struct peak_job {
    const evi_kernels *k;
    double rate[MAX_WORKERS]; /* by task: the sum does not ask who ran it */
} peak_job;

static void measure(void *arg, int64_t task, int32_t worker)
{
    peak_job *job = arg;
    const evi_kernels *k = job->k;
    _Alignas(64) evi_real a[MAX_OPERAND], b[MAX_OPERAND], c[MAX_OPERAND];
    int32_t off[DEPTH];
    evk_tile t = {
        .k = DEPTH, .a = a, .b = b, .off = off, .c = c, .m = k->mr, .n = k->nr, .ldc = k->nr};

    (void)worker;
    t.a_step = k->mr;
    for (int32_t i = 0; i < DEPTH; i++)
        off[i] = i * k->nr;
    for (int32_t i = 0; i < MAX_OPERAND; i++)
        a[i] = b[i] = (evi_real)0.5;
    double begin = evi_seconds();
    for (int32_t r = 0; r < STRETCHES && (r < 2 || evi_seconds() - begin < LONG_ENOUGH); r++) {
        double start = evi_seconds();
        for (int32_t i = 0; i < TILES; i++)
            k->tile(&t);
        double took = evi_seconds() - start;
        double rate = 2e-9 * TILES * DEPTH * (double)(k->mr * k->nr) / EVI_MAX(took, 1e-9);
        job->rate[task] = EVI_MAX(job->rate[task], rate);
    }
}

double evi_peak_gflops(evi_crew *crew, const evi_kernels *k)
{
    peak_job job = {.k = k};
    int32_t n = EVI_MIN(evi_crew_size(crew), MAX_WORKERS);
    double sum = 0;

    if (EVI_MAX(k->mr, k->nr) > MAX_OPERAND / DEPTH || k->mr * k->nr > MAX_OPERAND)
        return 0;
    evi_parallel(crew, n, measure, &job);
    for (int32_t i = 0; i < n; i++)
        sum += job.rate[i];
    return sum;
}

const char *evi_conv_kernel(const evi_kernels *k, const evi_conv_shape *s, int32_t pass)
{
    if (evi_winograd_fits(k, s, pass))
        return s->pooled ? "winograd+pool" : "winograd";
    if (s->groups > 1 && s->groups == s->c_in)
        return s->pooled ? "depthwise+pool" : "depthwise";
    if (s->kh == 1 && s->kw == 1)
        return s->pooled ? "pointwise+pool" : "pointwise";
    return s->pooled ? "direct+pool" : "direct";
}
