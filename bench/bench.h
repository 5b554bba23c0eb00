/* SPDX-License-Identifier: MIT */
/* What the benchmarks share: options, random pictures, the measured peak, times, and one line of
 * CSV (with --json of JSON) that holds all that is told about a run. */
#ifndef BENCH_H
#define BENCH_H

#include <edgevision/edgevision.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MUST(call)                                                                          \
    do {                                                                                    \
        ev_status must_ = (call);                                                           \
        if (must_ != EV_OK) {                                                               \
            fprintf(stderr, "%s: %s: %s\n", #call, ev_status_name(must_), ev_last_error()); \
            exit(1);                                                                        \
        }                                                                                   \
    } while (0)

typedef struct bench_options {
    const char *model; /* file, or NULL */
    const char *net;   /* "generator", "discriminator" or a name of the zoo; NULL: arch */
    const char *save;  /* write the drawn model here and stop */
    const char *shape; /* gemm: "m,n,k" */
    int32_t arch, threads, batch, size, precise, json, steps;
    double seconds;
} bench_options;

typedef struct bench_samples { /* milliseconds */
    double *ms;
    int n, room;
} bench_samples;

typedef struct bench_result {
    const char *what; /* infer, train ... */
    char name[160];   /* of the work */
    bench_samples samples;
    double gflop;   /* of one run: two a multiply-add */
    double bytes;   /* of one run: inputs, outputs and weights of every step, as computed */
    double peak;    /* measured, GFLOP/s of all threads; 0: not known */
    char more[256]; /* further JSON members, ",\"x\":1", or empty */
} bench_result;

/* bench.c */
void bench_read(int argc, char **argv, bench_options *o);
ev_context *bench_context(const bench_options *o);
ev_model *bench_model(ev_context *ctx, const bench_options *o); /* with weights */
const char *bench_name(const bench_options *o, char *buffer, size_t size);
/* What the multiply-add units give with these threads and this instruction set: GFLOP/s. */
double bench_peak(ev_context *ctx);
double bench_now(void);                               /* seconds */
double bench_peak_mib(void);                          /* peak resident memory of this process */
void bench_fill(float *to, int64_t n, uint32_t seed); /* -1..1, the same everywhere */
ev_tensor *bench_picture(ev_context *ctx, int64_t n, int64_t c, int64_t h, int64_t w,
                         uint32_t seed);
void bench_add(bench_samples *s, double ms);
/* 1 while another run is due: at least `least`, then until the seconds or the steps are over. */
int bench_more(const bench_options *o, const bench_samples *s, double begin, int least);
void bench_head(const bench_options *o);                   /* the names of the columns */
void bench_print(const bench_options *o, bench_result *r); /* sorts the samples */
void bench_end(bench_result *r);

#endif
