/* SPDX-License-Identifier: MIT */
/* The roof over all kernels: the multiply-add peak, how fast arrays of several sizes are read, each
 * worker its own part, and how long a word takes from core to core: bench/machine --threads 2 */
#include "bench.h"

#include "base/parallel.h"
#include "kernels/kernels.h"

typedef struct read_job {
    const evi_kernels *k;
    const float *x;
    int64_t part; /* values of a worker */
    int32_t times;
    float sums[256]; /* so that nothing is left out */
} read_job;

static void read_part(void *arg, int64_t task, int32_t worker)
{
    read_job *job = arg;
    (void)worker;
    for (int32_t i = 0; i < job->times; i++)
        job->sums[task % 256] += job->k->sum(job->part, job->x + task * job->part);
}

/* GB/s over all workers: the best stretch. */
static double read_rate(evi_crew *crew, read_job *job, double seconds)
{
    const int32_t n = evi_crew_size(crew);
    double best = 0, begin = bench_now();
    job->times = 1 + (int32_t)((4 << 20) / (job->part * 4));
    while (bench_now() - begin < seconds) {
        double t = bench_now();
        evi_parallel(crew, n, read_part, job);
        double rate = 4e-9 * (double)job->part * job->times * n / (bench_now() - t);
        best = rate > best ? rate : best;
    }
    return best;
}

typedef struct handoff_job {
    _Alignas(64) _Atomic int32_t turn;
    int32_t times;
} handoff_job;

/* Two tasks on two threads that answer each other. */
static void answer(void *arg, int64_t task, int32_t worker)
{
    handoff_job *job = arg;
    (void)worker;
    for (int32_t i = (int32_t)task; i < job->times; i += 2) {
        while (atomic_load(&job->turn) != i) {
        }
        atomic_store(&job->turn, i + 1);
    }
}

/* Nanoseconds from one core to another, on the least of 20 stretches; 0 with one thread. */
static double handoff_ns(evi_crew *crew)
{
    double best = 1;
    if (evi_crew_size(crew) < 2)
        return 0;
    for (int32_t i = 0; i < 20; i++) {
        handoff_job job = {.times = 2000};
        double t = bench_now();
        evi_parallel(crew, 2, answer, &job);
        double one = (bench_now() - t) / job.times;
        best = one < best ? one : best;
    }
    return 1e9 * best;
}

int main(int argc, char **argv)
{
    static const int64_t kib[] = {16, 512, 8 << 10, 256 << 10}; /* of a worker */
    static const char *const names[] = {"l1", "l2", "l3", "memory"};
    bench_options o = {.threads = 1, .seconds = 0.3};
    bench_read(argc, argv, &o);
    ev_context *ctx = bench_context(&o);
    const evi_kernels *k = evi_kernels_for(ev_context_cpu(ctx));
    double rate[4];
    for (int i = 0; i < 4; i++) {
        const int64_t part = kib[i] * 256;
        float *x = aligned_alloc(64, (size_t)(part * 4 * o.threads));
        if (x == NULL) {
            fprintf(stderr, "no memory\n");
            return 1;
        }
        bench_fill(x, part * o.threads, 7);
        read_job job = {.k = k, .x = x, .part = part};
        evi_crew *crew = evi_crew_begin(ctx);
        rate[i] = read_rate(crew, &job, o.seconds);
        evi_crew_end(crew);
        free(x);
    }
    double peak = bench_peak(ctx);
    evi_crew *crew = evi_crew_begin(ctx);
    double handoff = handoff_ns(crew);
    evi_crew_end(crew);
    if (o.json)
        printf("{\"bench\":\"machine\",\"kernels\":\"%s\",\"threads\":%d,\"peak_gflops\":%.1f",
               k->name, (int)o.threads, peak);
    else
        printf("kernels,threads,peak_gflops,l1_gb_per_s,l2_gb_per_s,l3_gb_per_s,"
               "memory_gb_per_s,handoff_ns\n%s,%d,%.1f",
               k->name, (int)o.threads, peak);
    for (int i = 0; i < 4; i++)
        printf(o.json ? ",\"%s_gb_per_s\":%.1f" : "%.0s,%.1f", names[i], rate[i]);
    printf(o.json ? ",\"handoff_ns\":%.0f}\n" : ",%.0f\n", handoff);
    ev_context_destroy(ctx);
    return 0;
}
