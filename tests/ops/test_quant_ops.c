/* SPDX-License-Identifier: MIT */
/* 8-bit operations against sums of integers, and the coupling of channels. */
#include "plain.h"

#include <math.h>

static double rounded(double v, int32_t type)
{
    double low = type == EV_TYPE_INT8 ? -128 : 0;
    return fmin(fmax(nearbyint(v), low), low + 255);
}

START_TEST(test_quantize)
{
    uint64_t r = 41;
    for (int32_t k = 0; k < 300; k++) {
        one_step o;
        bool back = k % 2, per_channel = k % 3 == 1;
        int32_t block = k % 3 == 2 ? 2 : 0, type = k % 4 < 2 ? EV_TYPE_INT8 : EV_TYPE_UINT8;
        evi_shape x = random_shape(&r, 2, 4, 5), s = {0};
        if (per_channel)
            s = shape_of(1, &x.dim[1]);
        if (block > 0) {
            s = x;
            s.dim[1] = (x.dim[1] + 1) / 2;
        }
        one_start(&o, back ? "dequantize_linear" : "quantize_linear");
        o.a.axis = 1 - (k % 5 == 0 ? x.rank : 0);
        o.a.flag = block;
        one_input(&o, back ? type : EV_TYPE_FLOAT32, x.rank, x.dim);
        one_real(&o, s.rank, s.dim);
        one_input(&o, type, s.rank, s.dim);
        t_ok(one_plan(&o, false, test_kernels(), 1));
        fill_numbers(&o, &r);
        for (int64_t i = 0; i < one_count_in(&o, 1); i++)
            one_in(&o, 1)[i] = 0.25f + (float)t_random_int(&r, 0, 3);
        one_forward(&o, NULL);
        for (int64_t i = 0; i < one_count_out(&o, 0); i++) {
            int64_t index[EV_MAX_RANK];
            unravel(&x, i, index);
            int64_t at = per_channel ? index[1] : 0;
            if (block > 0) {
                index[1] /= 2;
                at = ravel(&s, index, x.rank);
            }
            double scale = in_number(&o, 1, at), zero = in_number(&o, 2, at);
            double v = in_number(&o, 0, i);
            double want = back ? (v - zero) * scale
                               : rounded(nearbyint((double)((float)v / (float)scale)) + zero, type);
            expect(&o, i, want, 0);
        }
        one_end(&o);
    }
}
END_TEST

START_TEST(test_conv_integer)
{
    uint64_t r = 42;
    for (int32_t k = 0; k < 60; k++) {
        one_step o;
        int64_t groups = 1 + k % 2, c = 2, m = 2 * groups, zeros = k % 3 ? m : 1;
        int64_t x[4] = {2, c * groups, t_random_int(&r, 4, 7), t_random_int(&r, 4, 7)};
        int64_t w[4] = {m, c, t_random_int(&r, 1, 3), t_random_int(&r, 1, 3)};
        one_start(&o, "conv_integer");
        one_input(&o, EV_TYPE_UINT8, 4, x);
        one_input(&o, k % 4 ? EV_TYPE_INT8 : EV_TYPE_UINT8, 4, w);
        one_input(&o, EV_TYPE_UINT8, 0, NULL);
        one_input(&o, o.in_edge[1].type, 1, &zeros);
        o.a.groups = (int32_t)groups;
        o.a.stride[1] = 1 + k % 2;
        o.a.pad[0] = k % 3;
        o.a.pad[3] = k % 2;
        run_one(&o, &r, NULL);
        const evi_shape *y = &o.out_edge[0].shape;
        for (int64_t i = 0; i < one_count_out(&o, 0); i++) {
            int64_t at[EV_MAX_RANK];
            double sum = 0;
            unravel(y, i, at);
            double zero_x = in_number(&o, 2, 0), zero_w = in_number(&o, 3, zeros > 1 ? at[1] : 0);
            for (int64_t p = 0; p < c * w[2] * w[3]; p++) {
                int64_t ci = p / (w[2] * w[3]), ky = p / w[3] % w[2], kx = p % w[3];
                int64_t iy = at[2] + ky - o.a.pad[0], ix = at[3] * o.a.stride[1] + kx;
                if (iy < 0 || iy >= x[2] || ix >= x[3])
                    continue;
                int64_t channel = at[1] / 2 * c + ci;
                sum += (in_number(&o, 0, ((at[0] * x[1] + channel) * x[2] + iy) * x[3] + ix) -
                        zero_x) *
                       (in_number(&o, 1, ((at[1] * c + ci) * w[2] + ky) * w[3] + kx) - zero_w);
            }
            expect(&o, i, sum, 0);
        }
        one_end(&o);
    }
}
END_TEST

START_TEST(test_matmul_integer)
{
    uint64_t r = 43;
    for (int32_t k = 0; k < 60; k++) {
        one_step o;
        bool scaled = k % 2;
        int64_t m = t_random_int(&r, 1, 5), n = t_random_int(&r, 1, 5), p = t_random_int(&r, 1, 9);
        int64_t batch = 1 + k % 3, two = 1 + k % 2;
        one_start(&o, scaled ? "qlinear_matmul" : "matmul_integer");
        one_input(&o, EV_TYPE_UINT8, 3, (int64_t[]){batch, m, p});
        if (scaled) {
            one_real(&o, 0, NULL);
            one_input(&o, EV_TYPE_UINT8, 0, NULL);
        }
        one_input(&o, EV_TYPE_INT8, two + 1, (int64_t[]){two > 1 ? 1 : p, two > 1 ? p : n, n});
        if (scaled)
            one_real(&o, 0, NULL);
        else
            one_input(&o, EV_TYPE_UINT8, 0, NULL);
        one_input(&o, EV_TYPE_INT8, 1, &n);
        if (scaled) {
            one_real(&o, 0, NULL);
            one_input(&o, EV_TYPE_INT8, 0, NULL);
        }
        t_ok(one_plan(&o, false, test_kernels(), 1));
        fill_numbers(&o, &r);
        for (int32_t i = 1; scaled && i < 7; i++)
            if (o.in_edge[i].type == EV_TYPE_FLOAT32)
                one_in(&o, i)[0] = i == 6 ? 2 : 0.5f;
        one_forward(&o, NULL);
        int32_t b = scaled ? 3 : 1, za = 2, zb = scaled ? 5 : 3;
        for (int64_t i = 0; i < batch * m * n; i++) {
            double sum = 0;
            for (int64_t q = 0; q < p; q++)
                sum += (in_number(&o, 0, i / n * p + q) - in_number(&o, za, 0)) *
                       (in_number(&o, b, q * n + i % n) - in_number(&o, zb, i % n));
            if (scaled)
                sum = rounded(nearbyint(sum * 0.125) + in_number(&o, 7, 0), EV_TYPE_INT8);
            expect(&o, i, sum, 0);
        }
        one_end(&o);
    }
}
END_TEST

/* ---- coupling ------------------------------------------------------------------------------- */

static evi_coupling couple(one_step *o)
{
    evi_coupling c = {0};
    t_ok(one_infer(o));
    o->op->channels(&o->a, o->in_edge, o->n_in, o->out_edge, o->n_out, &c);
    return c;
}

static bool tied(const evi_coupling *c, int32_t operand, int32_t axis, int64_t offset,
                 int64_t count, int64_t block)
{
    for (int32_t i = 0; i < c->n; i++)
        if (c->slice[i].operand == operand && c->slice[i].axis == axis &&
            c->slice[i].offset == offset && c->slice[i].count == count &&
            c->slice[i].block == block)
            return true;
    return false;
}

START_TEST(test_coupling)
{
    one_step o;
    one_start(&o, "flatten");
    one_real(&o, 4, (int64_t[]){2, 6, 3, 4});
    o.a.axis = 1;
    evi_coupling c = couple(&o);
    ck_assert(tied(&c, 0, 1, 0, 6, 1) && tied(&c, ~0, 1, 0, 6, 12) && c.blocked == NULL);

    one_start(&o, "concat");
    one_real(&o, 4, (int64_t[]){2, 6, 3, 4});
    one_real(&o, 4, (int64_t[]){2, 5, 3, 4});
    o.a.axis = 1;
    c = couple(&o);
    ck_assert(tied(&c, 1, 1, 0, 5, 1) && tied(&c, ~0, 1, 6, 5, 1) && tied(&c, ~0, 1, 0, 6, 1));

    one_start(&o, "add");
    one_real(&o, 4, (int64_t[]){2, 6, 3, 4});
    one_real(&o, 3, (int64_t[]){6, 1, 1});
    c = couple(&o);
    ck_assert(tied(&c, 0, 1, 0, 6, 1) && tied(&c, 1, 0, 0, 6, 1) && tied(&c, ~0, 1, 0, 6, 1));

    one_start(&o, "depth_to_space");
    one_real(&o, 4, (int64_t[]){2, 12, 3, 4});
    o.a.flag = 2;
    c = couple(&o);
    ck_assert(tied(&c, 0, 1, 9, 3, 1) && tied(&c, ~0, 1, 0, 3, 1));
    o.a.mode = 1;
    c = couple(&o);
    ck_assert(tied(&c, 0, 1, 0, 3, 4) && tied(&c, ~0, 1, 0, 3, 1));

    one_start(&o, "reduce_mean");
    one_real(&o, 4, (int64_t[]){2, 6, 3, 4});
    o.a.list = list_of(2, (int64_t[]){2, 3});
    c = couple(&o);
    ck_assert(tied(&c, 0, 1, 0, 6, 1) && tied(&c, ~0, 1, 0, 6, 1) && c.blocked == NULL);
    o.a.list = list_of(1, (int64_t[]){1});
    c = couple(&o);
    ck_assert_ptr_nonnull(c.blocked);
}
END_TEST

TCase *quant_cases(void)
{
    TCase *tc = tcase_create("quantised, coupling");
    tcase_add_test(tc, test_quantize);
    tcase_add_test(tc, test_conv_integer);
    tcase_add_test(tc, test_matmul_integer);
    tcase_add_test(tc, test_coupling);
    return tc;
}
