/* SPDX-License-Identifier: MIT */
/* evcheck --bench: the passes of each layer of the paper's nets, each direct and by Winograd where
 * that fits, matrix products, and the kernels that memory bounds, beside the peak that this
 * processor reaches with the same kernels on operands in the first-level cache.
 *
 *     evcheck --bench [--cpu SET] [--threads N] [--rows TEXT] [--seconds S] */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "evcheck.h"
#include "ops/convolve.h"
#include "ops/gemm.h"
#include "ops/peak.h"
#include "ops/winograd.h"

#include <edgevision/base.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct layer {
    const char *name;
    int c_in, c_out, size, kernel, stride, pad, images, groups;
    int pooled; /* a 2x2 maximum follows */
} layer;

/* A transposed convolution (u128, u64) is the convolution that goes the other way (d256, d128). */
static const layer layers[] = {
    {"arch1.conv1", 3, 4, 224, 3, 1, 1, 4, 1, 1},
    {"arch1.conv2", 4, 4, 112, 3, 1, 1, 8, 1, 1},
    {"arch2.conv1", 3, 8, 224, 3, 1, 1, 4, 1, 1},
    {"arch2.conv2", 8, 16, 112, 3, 1, 1, 8, 1, 1},
    {"arch2.conv3", 16, 16, 56, 3, 1, 1, 16, 1, 1},
    {"arch3.conv1", 3, 16, 224, 3, 1, 1, 4, 1, 1},
    {"arch3.conv2", 16, 16, 112, 3, 1, 1, 4, 1, 1},
    {"arch4.conv2", 16, 32, 112, 3, 1, 1, 4, 1, 1},
    {"arch4.conv3", 32, 32, 56, 3, 1, 1, 8, 1, 1},
    {"arch4.conv4", 32, 32, 28, 3, 1, 1, 8, 1, 1},
    {"arch5.conv3", 32, 56, 56, 3, 1, 1, 4, 1, 1},
    {"arch5.conv4", 56, 56, 28, 3, 1, 1, 8, 1, 1},
    {"arch7.conv4", 56, 112, 28, 3, 1, 1, 8, 1, 1},
    {"arch8.conv2_2", 32, 32, 112, 3, 1, 1, 2, 1, 1},
    {"arch8.conv3_2", 64, 64, 56, 3, 1, 1, 4, 1, 1},
    {"arch8.conv1_2", 16, 16, 224, 3, 1, 1, 2, 1, 1},
    {"arch8.conv4_2", 128, 128, 28, 3, 1, 1, 4, 1, 1},
    {"arch11.conv1_1", 3, 64, 224, 3, 1, 1, 1, 1, 0},
    {"arch11.conv1_2", 64, 64, 224, 3, 1, 1, 1, 1, 1},
    {"arch11.conv2_2", 128, 128, 112, 3, 1, 1, 1, 1, 1},
    {"arch11.conv3_2", 256, 256, 56, 3, 1, 1, 1, 1, 0},
    {"arch11.conv4_2", 512, 512, 28, 3, 1, 1, 1, 1, 0},
    {"arch11.conv5_1", 512, 512, 14, 3, 1, 1, 2, 1, 0},
    {"gen.c7s1-64", 3, 64, 262, 7, 1, 0, 1, 1, 0},
    {"gen.d128", 64, 128, 256, 3, 2, 1, 1, 1, 0},
    {"gen.d256", 128, 256, 128, 3, 2, 1, 1, 1, 0},
    {"gen.R256", 256, 256, 66, 3, 1, 0, 1, 1, 0},
    {"gen.c7s1-3", 64, 3, 262, 7, 1, 0, 1, 1, 0},
    {"gen.R256 128px", 256, 256, 34, 3, 1, 0, 1, 1, 0},
    {"disc.C64", 3, 64, 256, 4, 2, 1, 1, 1, 0},
    {"disc.C256", 128, 256, 64, 4, 2, 1, 1, 1, 0},
    {"disc.C512", 256, 512, 32, 4, 1, 1, 1, 1, 0},
    {"disc.1", 512, 1, 31, 4, 1, 1, 1, 1, 0},
    {"disc.C128", 64, 128, 128, 4, 2, 1, 1, 1, 0},
    {"pointwise 64", 64, 128, 56, 1, 1, 0, 4, 1, 0},
    {"pointwise 256", 256, 256, 14, 1, 1, 0, 8, 1, 0},
    {"depthwise 64", 64, 64, 112, 3, 1, 1, 2, 64, 0},
    {"depthwise 64 s2", 64, 64, 112, 3, 2, 1, 2, 64, 0},
    {"depthwise 512", 512, 512, 14, 3, 1, 1, 4, 512, 0},
};

typedef struct bench {
    const evi_kernels *k;
    evi_crew *crew; /* NULL: one thread */
    int32_t threads;
    double peak, seconds; /* GFLOP/s; for each measurement */
    const char *rows;     /* part of a row's name, or NULL */
} bench;

/* One thread counts its own time on a processor, which other programs disturb less than the clock
 * on the wall. */
static double seconds(const bench *b)
{
    struct timespec t;

    clock_gettime(b->threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool wanted(const bench *b, const char *name)
{
    return b->rows == NULL || strstr(name, b->rows) != NULL;
}

static void *bytes(uint64_t n)
{
    void *p = aligned_alloc(64, evi_round_up(EVI_MAX(n, 64), 64));

    if (p == NULL) {
        printf("no memory for %llu bytes\n", (unsigned long long)n);
        exit(1);
    }
    return p;
}

static evi_real *filled(int64_t n)
{
    evi_real *p = bytes(sizeof(evi_real) * (uint64_t)n);

    for (int64_t i = 0; i < n; i++)
        p[i] = (evi_real)rnd_real();
    return p;
}

/* The least seconds of fn(arg), over repetitions for the time that was given. */
typedef void (*bench_fn)(void *arg);

static double least(const bench *b, bench_fn fn, void *arg)
{
    double best = 1e9, spent = 0;

    for (int r = 0; r < 1000 && (r < 3 || spent < b->seconds); r++) {
        double t = seconds(b);
        fn(arg);
        t = seconds(b) - t;
        spent += t;
        best = EVI_MIN(best, EVI_MAX(t, 1e-9));
    }
    return best;
}

/* ---- convolutions ---------------------------------------------------------------------------- */

typedef struct conv_run {
    const bench *b;
    evi_conv_shape s;
    int32_t pass;
    evi_real *x, *w, *y, *bias;
    uint8_t *where;
    void *packed, *scratch; /* packed: forward only, as plans for inference do */
} conv_run;

static void run_conv(void *arg)
{
    conv_run *r = arg;
    const bench *b = r->b;
    evi_conv_end end = {.bias = r->bias, .act = {.kind = EVK_ACT_RELU}};
    const uint8_t *where = r->s.pooled ? r->where : NULL;

    if (r->pass == EVI_CONV_FORWARD)
        evi_conv_forward(b->crew, b->k, &r->s, r->x, r->w, r->packed, &end, r->y, r->scratch);
    else if (r->pass == EVI_CONV_BACK_DATA)
        evi_conv_back_data(b->crew, b->k, &r->s, r->y, where, r->w, NULL, NULL, r->x, r->scratch);
    else
        evi_conv_back_weights(b->crew, b->k, &r->s, r->x, r->y, where, r->w, false, r->scratch);
}

/* One pass, direct or as the library chooses: GFLOP/s of the direct sum. */
static double rate_of(conv_run *r, bool precise)
{
    const bench *b = r->b;
    const evi_conv_shape *s = &r->s;
    const double flops =
        2.0 * (double)(s->n * s->c_out * s->out_h * s->out_w * s->c_in / s->groups * s->kh * s->kw);
    const bool packs = r->pass == EVI_CONV_FORWARD;

    r->s.precise = precise;
    r->packed = NULL;
    if (packs) {
        r->packed = bytes(evi_conv_pack_bytes(b->k, s, r->pass));
        evi_conv_pack(b->k, s, r->pass, r->w, r->packed);
    }
    r->scratch = bytes(evi_conv_scratch_bytes(b->k, s, r->pass, packs, b->threads));
    double best = least(b, run_conv, r);
    free(r->scratch);
    free(r->packed);
    return flops / best * 1e-9;
}

static void bench_passes(conv_run *r, const char *name)
{
    static const char *const passes[] = {"fwd", "dx", "dw"};

    printf("%-15s%c", name, r->s.pooled ? 'P' : ' ');
    for (r->pass = 0; r->pass < 3; r->pass++) {
        double direct = rate_of(r, true);
        printf("  %s %7.1f GF %3.0f%%", passes[r->pass], direct, 100 * direct / r->b->peak);
        r->s.precise = false;
        if (evi_winograd_fits(r->b->k, &r->s, r->pass)) {
            double wino = rate_of(r, false);
            printf(" (winograd %7.1f %3.0f%%)", wino, 100 * wino / r->b->peak);
        }
        for (int64_t i = 0; i < r->s.n * r->s.c_out * r->s.out_h * r->s.out_w; i++)
            r->y[i] = (evi_real)0.01;
    }
    printf("\n");
    fflush(stdout);
}

static void bench_layer(const bench *b, const layer *l)
{
    conv_run r = {.b = b,
                  .s = {.n = l->images,
                        .c_in = l->c_in,
                        .h = l->size,
                        .w = l->size,
                        .c_out = l->c_out,
                        .kh = l->kernel,
                        .kw = l->kernel,
                        .stride_h = l->stride,
                        .stride_w = l->stride,
                        .pad_top = l->pad,
                        .pad_left = l->pad,
                        .pad_bottom = l->pad,
                        .pad_right = l->pad,
                        .dilation_h = 1,
                        .dilation_w = 1,
                        .groups = l->groups}};
    evi_conv_shape *s = &r.s;

    if (!wanted(b, l->name))
        return;
    evi_conv_out_size(s);
    r.x = filled(s->n * s->c_in * s->h * s->w);
    r.w = filled(s->c_out * s->c_in / s->groups * s->kh * s->kw);
    r.y = filled(s->n * s->c_out * s->out_h * s->out_w);
    r.bias = filled(s->c_out);
    r.where = bytes((uint64_t)(s->n * s->c_out * s->out_h * s->out_w));
    for (int64_t i = 0; i < s->n * s->c_out * s->out_h * s->out_w; i++)
        r.where[i] = (uint8_t)(i * 7 % 5); /* any corner, or nowhere */
    bench_passes(&r, l->name);
    if (l->pooled) {
        s->pooled = true;
        bench_passes(&r, l->name);
    }
    free(r.x);
    free(r.w);
    free(r.y);
    free(r.bias);
    free(r.where);
}

/* ---- products -------------------------------------------------------------------------------- */

typedef struct product {
    const char *name;
    int m, n, k, trans_a, trans_b;
} product;

static const product products[] = {
    {"arch5.fc1 b1", 1, 128, 10976, 0, 1},      {"arch5.fc1 b32", 32, 128, 10976, 0, 1},
    {"arch5.fc1 dx", 32, 10976, 128, 0, 0},     {"arch5.fc1 dw", 128, 10976, 32, 1, 0},
    {"arch8.fc1 b1", 1, 512, 25088, 0, 1},      {"arch8.fc1 b32", 32, 512, 25088, 0, 1},
    {"arch8.fc1 dx", 32, 25088, 512, 0, 0},     {"arch8.fc1 dw", 512, 25088, 32, 1, 0},
    {"square 1024 nn", 1024, 1024, 1024, 0, 0}, {"square 1024 nt", 1024, 1024, 1024, 0, 1},
    {"square 1024 tn", 1024, 1024, 1024, 1, 0}, {"square 1024 tt", 1024, 1024, 1024, 1, 1},
    {"row 1024 nn", 1, 1024, 1024, 0, 0},
};

typedef struct gemm_run {
    const bench *b;
    evi_gemm_args g;
    void *scratch;
} gemm_run;

static void run_gemm(void *arg)
{
    gemm_run *r = arg;

    evi_gemm(r->b->crew, r->b->k, &r->g, r->scratch);
}

static void bench_product(const bench *b, const product *p)
{
    gemm_run r = {.b = b,
                  .g = {.m = p->m,
                        .n = p->n,
                        .k = p->k,
                        .trans_a = p->trans_a,
                        .trans_b = p->trans_b,
                        .lda = p->trans_a ? p->m : p->k,
                        .ldb = p->trans_b ? p->k : p->n,
                        .ldc = p->n}};

    if (!wanted(b, p->name))
        return;
    evi_real *x = filled(r.g.m * r.g.k), *y = filled(r.g.n * r.g.k), *z = filled(r.g.m * r.g.n);
    r.g.a = x;
    r.g.b = y;
    r.g.c = z;
    r.scratch = bytes(
        evi_gemm_scratch_bytes(b->k, r.g.m, r.g.n, r.g.k, r.g.trans_a, r.g.trans_b, b->threads));
    double best = least(b, run_gemm, &r);
    const double flops = 2.0 * p->m * p->n * p->k;

    printf("%-15s  %7.1f GF %3.0f%%  %6.1f GB/s of B\n", p->name, flops / best * 1e-9,
           100e-9 * flops / best / b->peak, 1e-9 * (double)sizeof(evi_real) * p->n * p->k / best);
    free(x);
    free(y);
    free(z);
    free(r.scratch);
}

/* ---- kernels that memory bounds: bytes moved a second -------------------------------------- */

typedef struct stream {
    const evi_kernels *k;
    int64_t n, side; /* side: of a square of at most n values */
    evi_real *x, *y, *z, *v;
    uint8_t *at;
    int which;
} stream;

enum { FIRST_ACT = 8, FIRST_REDUCE = 14, FIRST_MOVE = 19, FIRST_OPTIMISER = 25 };

static const struct {
    const char *name;
    double moved; /* values that an element moves */
} streams[] = {{"add", 3},
               {"mul", 3},
               {"mul_add", 4},
               {"scale", 2},
               {"axpy", 3},
               {"affine", 2},
               {"affine2", 3},
               {"exp", 2},
               {"relu", 2},
               {"leaky", 2},
               {"sigmoid", 2},
               {"tanh", 2},
               {"hardswish", 2},
               {"relu back", 3},
               {"sum", 1},
               {"sum_squares", 1},
               {"sum_products", 2},
               {"max", 1},
               {"exp_sum", 2},
               {"transpose", 2},
               {"gather 2", 1},
               {"scatter 2", 1},
               {"max_pool2", 1.25},
               {"max_pool2 back", 1.25},
               {"bytes_to_planes", 1.25},
               {"sgd", 5},
               {"adam", 7},
               {"rmsprop", 5}};

static void run_elements(const stream *s)
{
    const evi_kernels *k = s->k;
    const int64_t n = s->n;

    switch (s->which) {
    case 0: k->add(n, s->x, s->y, s->z); break;
    case 1: k->mul(n, s->x, s->y, s->z); break;
    case 2: k->mul_add(n, s->x, s->y, s->z); break;
    case 3: k->scale(n, (evi_real)0.5, s->x, s->z); break;
    case 4: k->axpy(n, (evi_real)1e-9, s->x, s->z); break;
    case 5: k->affine(n, s->x, 1, 0, s->z); break;
    case 6: k->affine2(n, s->x, s->y, 1, 1, 0, s->z, 0); break;
    default: k->exp(n, s->x, s->z); break;
    }
}

static void run_act(const stream *s)
{
    static const int32_t kinds[] = {EVK_ACT_RELU, EVK_ACT_LEAKY, EVK_ACT_SIGMOID, EVK_ACT_TANH,
                                    EVK_ACT_HARDSWISH};
    evk_act act = {.kind = EVK_ACT_RELU, .a = (evi_real)0.2};

    if (s->which == FIRST_REDUCE - 1) {
        s->k->act_back(s->n, NULL, s->x, s->y, &act, s->z, 0);
        return;
    }
    act.kind = kinds[s->which - FIRST_ACT];
    s->k->act(s->n, s->x, 0, &act, s->z);
}

static void run_reduce(const stream *s)
{
    const evi_kernels *k = s->k;

    switch (s->which - FIRST_REDUCE) {
    case 0: s->z[0] = k->sum(s->n, s->x); break;
    case 1: s->z[0] = k->sum_squares(s->n, s->x, 0); break;
    case 2: s->z[0] = k->sum_products(s->n, s->x, s->y, 0); break;
    case 3: s->z[0] = k->max(s->n, s->x); break;
    default: s->z[0] = k->exp_sum(s->n, s->x, 1, s->y); break;
    }
}

static void run_move(const stream *s)
{
    static const evi_real scale[4] = {1, 1, 1, 1}, shift[4] = {0};
    const evi_kernels *k = s->k;
    const int64_t n = s->n;

    switch (s->which - FIRST_MOVE) {
    case 0: k->transpose(s->side, s->side, s->x, s->side, s->z, s->side); break;
    case 1: k->gather(n / 2, s->x, 2, s->z); break;
    case 2: k->scatter(n / 2, s->x, s->z, 2, 0); break;
    case 3: k->max_pool2(n / 4, s->x, s->x + n / 2, s->z, s->at); break;
    case 4: k->max_pool2_back(n / 4, s->y, s->at, s->x, s->x + n / 2, 0); break;
    default: k->bytes_to_planes(n / 4, s->at, 3, scale, shift, s->z, n / 4); break;
    }
}

static void run_optimiser(const stream *s)
{
    const evk_sgd sgd = {.lr = 0, .momentum = (evi_real)0.9};
    const evk_adam adam = {.lr = 0, .beta1 = 1, .beta2 = 1, .eps = 1, .correct1 = 1, .correct2 = 1};
    const evk_rmsprop rms = {.lr = 0, .alpha = 1, .eps = 1};

    if (s->which == FIRST_OPTIMISER)
        s->k->sgd(s->n, &sgd, s->x, s->y, s->z);
    else if (s->which == FIRST_OPTIMISER + 1)
        s->k->adam(s->n, &adam, s->x, s->y, s->v, s->z);
    else
        s->k->rmsprop(s->n, &rms, s->x, NULL, s->v, s->z);
}

static void run_stream(void *arg)
{
    const stream *s = arg;

    if (s->which < FIRST_ACT)
        run_elements(s);
    else if (s->which < FIRST_REDUCE)
        run_act(s);
    else if (s->which < FIRST_MOVE)
        run_reduce(s);
    else if (s->which < FIRST_OPTIMISER)
        run_move(s);
    else
        run_optimiser(s);
}

/* Arrays in the second-level cache and far larger ones, side by side. */
static void bench_streams(const bench *b)
{
    static const int64_t sizes[2] = {16384, 8 << 20};

    for (int which = 0; which < EVI_COUNT(streams); which++) {
        if (!wanted(b, streams[which].name))
            continue;
        printf("%-15s", streams[which].name);
        for (int i = 0; i < 2; i++) {
            stream s = {.k = b->k, .n = sizes[i], .side = i == 0 ? 128 : 2896, .which = which};

            s.x = filled(s.n);
            s.y = filled(s.n);
            s.z = filled(s.n);
            s.v = filled(s.n);
            s.at = bytes((uint64_t)s.n);
            memset(s.at, 1, (size_t)s.n);
            for (int64_t j = 0; j < s.n; j++)
                s.v[j] = 1;
            double best = least(b, run_stream, &s);
            printf("  %8lld values %7.1f GB/s", (long long)s.n,
                   1e-9 * sizeof(evi_real) * streams[which].moved * (double)s.n / best);
            free(s.x);
            free(s.y);
            free(s.z);
            free(s.v);
            free(s.at);
        }
        printf("\n");
    }
}

/* ---- the program ----------------------------------------------------------------------------- */

static void bench_set(bench *b, ev_context *ctx, uint32_t cpu)
{
    b->k = evi_kernels_for(cpu);
    b->crew = evi_crew_begin(ctx);
    b->peak = evi_peak_gflops(b->crew, b->k);
    printf("%s, %d thread%s: tile in first-level cache %.1f GFLOP/s\n", b->k->name, (int)b->threads,
           b->threads > 1 ? "s" : "", b->peak);
    for (int i = 0; i < EVI_COUNT(products); i++)
        bench_product(b, &products[i]);
    if (b->threads == 1) /* they know no threads */
        bench_streams(b);
    printf("layers: rates of the direct sum; P: with the 2x2 pool after it\n");
    for (int i = 0; i < EVI_COUNT(layers); i++)
        bench_layer(b, &layers[i]);
    evi_crew_end(b->crew);
}

int bench_main(int argc, char **argv)
{
    static const struct {
        const char *name;
        uint32_t cpu;
    } set[] = {{"ref", 0},
               {"neon", EV_CPU_NEON},
               {"avx2", EV_CPU_AVX2},
               {"avx512", EV_CPU_AVX2 | EV_CPU_AVX512}};
    const char *only = NULL;
    bench b = {.threads = 1, .seconds = 0.15};
    ev_context_options o;
    ev_context *ctx = NULL;

    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--bench") == 0)
            continue;
        if (next == NULL || strncmp(argv[i], "--", 2) != 0)
            return printf("evcheck --bench [--cpu SET] [--threads N] [--rows TEXT] "
                          "[--seconds S]\n"),
                   2;
        if (strcmp(argv[i], "--cpu") == 0)
            only = next;
        else if (strcmp(argv[i], "--threads") == 0)
            b.threads = atoi(next);
        else if (strcmp(argv[i], "--rows") == 0)
            b.rows = next;
        else if (strcmp(argv[i], "--seconds") == 0)
            b.seconds = atof(next);
        i++;
    }
    EV_OPTIONS_INIT(&o);
    o.n_threads = b.threads;
    if (ev_context_create(&o, &ctx) != EV_OK)
        return printf("%s\n", ev_last_error()), 1;
    rnd_seed(1);
    for (int i = 0; i < EVI_COUNT(set); i++)
        if ((only == NULL || strcmp(only, set[i].name) == 0) &&
            (ev_context_cpu(ctx) & set[i].cpu) == set[i].cpu)
            bench_set(&b, ctx, set[i].cpu);
    ev_context_destroy(ctx);
    return 0;
}
