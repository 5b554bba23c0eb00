/* SPDX-License-Identifier: MIT */
/* What the benchmarks share: options, times, one CSV or JSON line. */
#ifndef BENCH_H
#define BENCH_H

#include <edgevision/edgevision.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MUST(call)                                                                                \
    do {                                                                                          \
        ev_status must_ = (call);                                                                 \
        if (must_ != EV_OK) {                                                                     \
            fprintf(stderr, "%s: %s: %s\n", #call, ev_status_name(must_), ev_last_error());       \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

typedef struct bench_options {
    const char *model; /* file, or NULL */
    int32_t arch, threads, batch, size;
    double seconds;
    const char *save;  /* write the drawn model here and stop */
} bench_options;

static inline bench_options bench_read(int argc, char **argv)
{
    bench_options o = { NULL, 5, 1, 1, 224, 2.0, NULL };
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--model") == 0)
            o.model = argv[i + 1];
        else if (strcmp(argv[i], "--arch") == 0)
            o.arch = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--threads") == 0)
            o.threads = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--batch") == 0)
            o.batch = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--size") == 0)
            o.size = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--seconds") == 0)
            o.seconds = atof(argv[i + 1]);
        else if (strcmp(argv[i], "--save") == 0)
            o.save = argv[i + 1];
        else {
            fprintf(stderr, "usage: %s [--arch 1..11 | --model FILE] [--threads N] [--batch N] "
                            "[--size PIXELS] [--seconds S] [--save FILE]\n", argv[0]);
            exit(2);
        }
    }
    return o;
}

static inline ev_context *bench_context(const bench_options *o)
{
    ev_context_options c;
    ev_context *ctx = NULL;
    EV_OPTIONS_INIT(&c);
    c.n_threads = o->threads;
    MUST(ev_context_create(&c, &ctx));
    return ctx;
}

static inline ev_model *bench_model(ev_context *ctx, const bench_options *o)
{
    ev_model *m = NULL;
    ev_zoo_options z;
    if (o->model != NULL) {
        MUST(ev_model_load(ctx, o->model, NULL, &m));
        return m;
    }
    EV_OPTIONS_INIT(&z);
    z.width = z.height = o->size;
    MUST(ev_zoo_arch(ctx, o->arch, &z, &m));
    MUST(ev_model_init(m, 1));
    return m;
}

static inline double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline int bench_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Peak resident memory of this process in MiB. */
static inline double bench_peak_mib(void)
{
    char line[256];
    double kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = atof(line + 6);
    if (f != NULL)
        fclose(f);
    return kib / 1024;
}

/* One line; ms are sorted here. */
static inline void bench_print(const char *what, const bench_options *o, double *ms, int n,
                               double gflop)
{
    qsort(ms, (size_t)n, sizeof *ms, bench_by_value);
    printf("{\"bench\":\"%s\",\"model\":\"%s%d\",\"threads\":%d,\"batch\":%d,\"median_ms\":%.4f,"
           "\"min_ms\":%.4f,\"p90_ms\":%.4f,\"runs\":%d,\"gflops\":%.1f,\"peak_mib\":%.1f}\n",
           what, o->model != NULL ? o->model : "Arch", o->model != NULL ? 0 : (int)o->arch,
           (int)o->threads, (int)o->batch, ms[n / 2], ms[0], ms[n * 9 / 10], n,
           gflop / (ms[0] * 1e-3), bench_peak_mib());
}

#endif
