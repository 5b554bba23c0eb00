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
    int c_in, c_out, size, kernel, stride, pad, images;
} layer;

static const layer layers[] = {
    {"arch1.conv1", 3, 4, 224, 3, 1, 1, 4},      {"arch1.conv2", 4, 4, 112, 3, 1, 1, 8},
    {"arch2.conv1", 3, 8, 224, 3, 1, 1, 4},      {"arch2.conv2", 8, 16, 112, 3, 1, 1, 8},
    {"arch2.conv3", 16, 16, 56, 3, 1, 1, 16},    {"arch3.conv1", 3, 16, 224, 3, 1, 1, 4},
    {"arch3.conv2", 16, 16, 112, 3, 1, 1, 4},    {"arch4.conv2", 16, 32, 112, 3, 1, 1, 4},
    {"arch4.conv3", 32, 32, 56, 3, 1, 1, 8},     {"arch4.conv4", 32, 32, 28, 3, 1, 1, 8},
    {"arch5.conv3", 32, 56, 56, 3, 1, 1, 4},     {"arch5.conv4", 56, 56, 28, 3, 1, 1, 8},
    {"arch7.conv4", 56, 112, 28, 3, 1, 1, 8},    {"arch8.conv1_2", 16, 16, 224, 3, 1, 1, 2},
    {"arch8.conv4_2", 128, 128, 28, 3, 1, 1, 4}, {"arch11.conv1_1", 3, 64, 224, 3, 1, 1, 1},
    {"arch11.conv1_2", 64, 64, 224, 3, 1, 1, 1}, {"arch11.conv2_2", 128, 128, 112, 3, 1, 1, 1},
    {"arch11.conv3_2", 256, 256, 56, 3, 1, 1, 1}, {"arch11.conv4_2", 512, 512, 28, 3, 1, 1, 1},
    {"arch11.conv5_1", 512, 512, 14, 3, 1, 1, 2}, {"gen.c7s1-64", 3, 64, 262, 7, 1, 0, 1},
    {"gen.d128", 64, 128, 256, 3, 2, 1, 1},      {"gen.R256", 256, 256, 66, 3, 1, 0, 1},
    {"gen.c7s1-3", 64, 3, 262, 7, 1, 0, 1},      {"disc.C128", 64, 128, 128, 4, 2, 1, 1},
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
    evk_tile t = {.k = depth, .a = a, .a_step = k->mr, .b = b, .off = off, .c = c, .ldc = k->nr,
                  .m = k->mr, .n = k->nr};

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
    evi_conv_shape s = {.n = l->images, .c_in = l->c_in, .h = l->size, .w = l->size,
                        .c_out = l->c_out, .kh = l->kernel, .kw = l->kernel, .stride_h = l->stride,
                        .stride_w = l->stride, .pad_top = l->pad, .pad_left = l->pad,
                        .pad_bottom = l->pad, .pad_right = l->pad, .dilation_h = 1,
                        .dilation_w = 1, .groups = 1};

    evi_conv_out_size(&s);
    evi_real *x = filled(s.n * s.c_in * s.h * s.w), *w = filled(s.c_out * s.c_in * s.kh * s.kw);
    evi_real *y = filled(s.n * s.c_out * s.out_h * s.out_w), *bias = filled(s.c_out);
    evi_conv_end end = {.bias = bias, .act = {.kind = EVK_ACT_RELU}};
    const double flops = 2.0 * (double)(s.n * s.c_out * s.out_h * s.out_w * s.c_in * s.kh * s.kw);

    printf("%-15s", l->name);
    for (int32_t pass = 0; pass < 3; pass++) {
        void *scratch = aligned_alloc(64, evi_round_up(evi_conv_scratch_bytes(k, &s, pass, false, 1), 64));
        double best = 1e9, spent = 0;

        for (int r = 0; r < 200 && (r < 3 || spent < 0.15); r++) {
            double t0 = seconds();

            if (pass == EVI_CONV_FORWARD)
                evi_conv_forward(NULL, k, &s, x, w, NULL, &end, y, scratch);
            else if (pass == EVI_CONV_BACK_DATA)
                evi_conv_back_data(NULL, k, &s, y, w, NULL, NULL, x, scratch);
            else
                evi_conv_back_weights(NULL, k, &s, x, y, w, false, scratch);
            t0 = seconds() - t0;
            spent += t0;
            best = t0 < best ? t0 : best;
        }
        printf("  %s %7.1f GF %3.0f%%", pass == 0 ? "fwd" : pass == 1 ? "dx" : "dw",
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

void bench_kernels(const evi_kernels *k)
{
    measure_peak(k);
    for (int i = 0; i < EVI_COUNT(layers); i++)
        bench_layer(k, &layers[i]);
}
