/* SPDX-License-Identifier: MIT */
/* evcheck --bench: the passes of each layer of the paper's nets on one thread, beside the peak that
 * this processor reaches with the same kernels on operands in registers and first-level cache. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "evcheck.h"
#include "ops/convolve.h"
#include "ops/gemm.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct layer {
    const char *name;
    int c_in, c_out, size, kernel, stride, pad, images, groups;
} layer;

static const layer layers[] = {
    {"arch1.conv1", 3, 4, 224, 3, 1, 1, 4, 1},
    {"arch1.conv2", 4, 4, 112, 3, 1, 1, 8, 1},
    {"arch2.conv1", 3, 8, 224, 3, 1, 1, 4, 1},
    {"arch2.conv2", 8, 16, 112, 3, 1, 1, 8, 1},
    {"arch2.conv3", 16, 16, 56, 3, 1, 1, 16, 1},
    {"arch3.conv1", 3, 16, 224, 3, 1, 1, 4, 1},
    {"arch3.conv2", 16, 16, 112, 3, 1, 1, 4, 1},
    {"arch4.conv2", 16, 32, 112, 3, 1, 1, 4, 1},
    {"arch4.conv3", 32, 32, 56, 3, 1, 1, 8, 1},
    {"arch4.conv4", 32, 32, 28, 3, 1, 1, 8, 1},
    {"arch5.conv3", 32, 56, 56, 3, 1, 1, 4, 1},
    {"arch5.conv4", 56, 56, 28, 3, 1, 1, 8, 1},
    {"arch7.conv4", 56, 112, 28, 3, 1, 1, 8, 1},
    {"arch8.conv1_2", 16, 16, 224, 3, 1, 1, 2, 1},
    {"arch8.conv4_2", 128, 128, 28, 3, 1, 1, 4, 1},
    {"arch11.conv1_1", 3, 64, 224, 3, 1, 1, 1, 1},
    {"arch11.conv1_2", 64, 64, 224, 3, 1, 1, 1, 1},
    {"arch11.conv2_2", 128, 128, 112, 3, 1, 1, 1, 1},
    {"arch11.conv3_2", 256, 256, 56, 3, 1, 1, 1, 1},
    {"arch11.conv4_2", 512, 512, 28, 3, 1, 1, 1, 1},
    {"arch11.conv5_1", 512, 512, 14, 3, 1, 1, 2, 1},
    {"gen.c7s1-64", 3, 64, 262, 7, 1, 0, 1, 1},
    {"gen.d128", 64, 128, 256, 3, 2, 1, 1, 1},
    {"gen.R256", 256, 256, 66, 3, 1, 0, 1, 1},
    {"gen.c7s1-3", 64, 3, 262, 7, 1, 0, 1, 1},
    {"disc.C128", 64, 128, 128, 4, 2, 1, 1, 1},
    {"pointwise 64", 64, 128, 56, 1, 1, 0, 4, 1},
    {"pointwise 256", 256, 256, 14, 1, 1, 0, 8, 1},
    {"depthwise 64", 64, 64, 112, 3, 1, 1, 2, 64},
    {"depthwise 64 s2", 64, 64, 112, 3, 2, 1, 2, 64},
    {"depthwise 512", 512, 512, 14, 3, 1, 1, 4, 512},
};

static double peak; /* GFLOP/s */

/* Time of this thread on a processor: other programs disturb it less than the clock on the wall. */
static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static evi_real *filled(int64_t n)
{
    evi_real *p = aligned_alloc(64, evi_round_up(sizeof(evi_real) * (uint64_t)n, 64));

    for (int64_t i = 0; p && i < n; i++)
        p[i] = (evi_real)rnd_real();
    return p;
}

/* A tile whose operands stay in the first-level cache: what the multiply-add units give. */
static void measure_peak(const evi_kernels *k)
{
    const int64_t depth = 64;
    evi_real *a = filled(k->mr * depth), *b = filled(k->nr * depth), *c = filled(k->mr * k->nr);
    int32_t off[64];
    evk_tile t = {.k = depth,
                  .a = a,
                  .a_step = k->mr,
                  .b = b,
                  .off = off,
                  .c = c,
                  .ldc = k->nr,
                  .m = k->mr,
                  .n = k->nr};

    for (int32_t i = 0; i < depth; i++)
        off[i] = i * k->nr;
    peak = 0;
    for (int r = 0; r < 200; r++) {
        double t0 = seconds();

        for (int i = 0; i < 200; i++)
            k->tile(&t);
        double g = 200 * 2e-9 * (double)(depth * k->mr * k->nr) / (seconds() - t0);
        peak = g > peak ? g : peak;
    }
    printf("%s: tile in first-level cache %.1f GFLOP/s\n", k->name, peak);
    free(a);
    free(b);
    free(c);
}

static void bench_layer(const evi_kernels *k, const layer *l)
{
    evi_conv_shape s = {.n = l->images,
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
                        .groups = l->groups};

    evi_conv_out_size(&s);
    evi_real *x = filled(s.n * s.c_in * s.h * s.w),
             *w = filled(s.c_out * s.c_in / s.groups * s.kh * s.kw);
    evi_real *y = filled(s.n * s.c_out * s.out_h * s.out_w), *bias = filled(s.c_out);
    evi_conv_end end = {.bias = bias, .act = {.kind = EVK_ACT_RELU}};
    const double flops =
        2.0 * (double)(s.n * s.c_out * s.out_h * s.out_w * s.c_in / s.groups * s.kh * s.kw);

    printf("%-15s", l->name);
    for (int32_t pass = 0; pass < 3; pass++) {
        void *scratch =
            aligned_alloc(64, evi_round_up(evi_conv_scratch_bytes(k, &s, pass, false, 1), 64));
        double best = 1e9, spent = 0;

        for (int r = 0; r < 200 && (r < 3 || spent < 0.15); r++) {
            double t0 = seconds();

            if (pass == EVI_CONV_FORWARD)
                evi_conv_forward(NULL, k, &s, x, w, NULL, &end, y, scratch);
            else if (pass == EVI_CONV_BACK_DATA)
                evi_conv_back_data(NULL, k, &s, y, NULL, w, NULL, NULL, x, scratch);
            else
                evi_conv_back_weights(NULL, k, &s, x, y, NULL, w, false, scratch);
            t0 = seconds() - t0;
            spent += t0;
            best = t0 < best ? t0 : best;
        }
        printf("  %s %7.1f GF %3.0f%%",
               pass == 0   ? "fwd"
               : pass == 1 ? "dx"
                           : "dw",
               flops / best * 1e-9, 100 * flops / best * 1e-9 / peak);
        free(scratch);
        for (int64_t i = 0; i < s.n * s.c_out * s.out_h * s.out_w; i++)
            y[i] = (evi_real)0.01;
    }
    printf("\n");
    free(x);
    free(w);
    free(y);
    free(bias);
}

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

static void bench_product(const evi_kernels *k, const product *p)
{
    evi_gemm_args g = {
        .m = p->m, .n = p->n, .k = p->k, .trans_a = p->trans_a, .trans_b = p->trans_b};
    evi_real *a = filled(g.m * g.k), *b = filled(g.n * g.k), *c = filled(g.m * g.n);
    void *scratch =
        filled((int64_t)evi_gemm_scratch_bytes(k, g.m, g.n, g.k, g.trans_a, g.trans_b, 1));
    double best = 1e9, spent = 0;

    g.a = a;
    g.b = b;
    g.c = c;
    g.lda = p->trans_a ? g.m : g.k;
    g.ldb = p->trans_b ? g.k : g.n;
    g.ldc = g.n;
    for (int r = 0; r < 200 && (r < 3 || spent < 0.15); r++) {
        double t0 = seconds();

        evi_gemm(NULL, k, &g, scratch);
        t0 = seconds() - t0;
        spent += t0;
        best = t0 < best ? t0 : best;
    }
    const double flops = 2.0 * p->m * p->n * p->k;

    printf("%-15s  %7.1f GF %3.0f%%  %6.1f GB/s of B\n", p->name, flops / best * 1e-9,
           100e-9 * flops / best / peak, 1e-9 * (double)sizeof(evi_real) * p->n * p->k / best);
    free(a);
    free(b);
    free(c);
    free(scratch);
}

/* Kernels that memory bounds: bytes moved a second, for arrays in the second-level cache and far
 * larger ones. */
static void bench_streams(const evi_kernels *k, int64_t n)
{
    static const char *const names[] = {"add",  "relu", "relu back", "sum",  "exp",
                                        "tanh", "pool", "pool back", "adam", "affine"};
    static const int moved[] = {3, 2, 3, 1, 2, 2, 2, 2, 7, 2}; /* values each element moves */
    evi_real *x = filled(n), *y = filled(n), *z = filled(n), *v = filled(n);
    uint8_t *at = aligned_alloc(64, evi_round_up((uint64_t)n, 64));
    const evk_act relu = {.kind = EVK_ACT_RELU}, tanh = {.kind = EVK_ACT_TANH};
    const evk_adam adam = {.lr = 0, .beta1 = 1, .beta2 = 1, .eps = 1, .correct1 = 1, .correct2 = 1};

    for (int64_t i = 0; i < n; i++)
        v[i] = 1;
    printf("%lld values:", (long long)n);
    for (int which = 0; which < EVI_COUNT(names); which++) {
        double best = 1e9, spent = 0;

        for (int r = 0; r < 200 && (r < 3 || spent < 0.05); r++) {
            double t0 = seconds();

            switch (which) {
            case 0: k->add(n, x, y, z); break;
            case 1: k->act(n, x, 0, &relu, z); break;
            case 2: k->act_back(n, NULL, x, y, &relu, z, 0); break;
            case 3: z[0] = k->sum(n, x); break;
            case 4: k->exp(n, x, z); break;
            case 5: k->act(n, x, 0, &tanh, z); break;
            case 6: k->max_pool2(n / 4, x, x + n / 2, z, at); break;
            case 7: k->max_pool2_back(n / 4, y, at, x, x + n / 2, 0); break;
            case 8: k->adam(n, &adam, x, y, v, z); break;
            default: k->affine(n, x, 1, 0, z); break;
            }
            t0 = seconds() - t0;
            spent += t0;
            best = t0 < best ? t0 : best;
        }
        printf("  %s %.1f", names[which],
               1e-9 * (double)sizeof(evi_real) * (double)(n * moved[which]) / best);
    }
    printf(" GB/s\n");
    free(x);
    free(y);
    free(z);
    free(v);
    free(at);
}

void bench_kernels(const evi_kernels *k)
{
    measure_peak(k);
    for (int i = 0; i < EVI_COUNT(products); i++)
        bench_product(k, &products[i]);
    bench_streams(k, 16384);
    bench_streams(k, 8 << 20);
    for (int i = 0; i < EVI_COUNT(layers); i++)
        bench_layer(k, &layers[i]);
}
