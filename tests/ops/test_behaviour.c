/* SPDX-License-Identifier: MIT */
/* What golden numbers do not show: NaN, dropout's statistics, labels out of range, losses without a
 * target, frozen statistics, costs. */
#include "../grad/one_step.h"
#include "support.h"

#include <math.h>

static const evi_kernels *kernels(void)
{
    ev_context *ctx;
    t_ok(ev_context_create(NULL, &ctx));
    const evi_kernels *k = evi_kernels_for(ev_context_cpu(ctx));
    ev_context_destroy(ctx);
    return k;
}

START_TEST(test_max_pool_nan)
{
    one_step o;
    one_start(&o, "max_pool2d");
    int32_t size = _i == 0 ? 2 : 3;
    o.a.kernel[0] = o.a.kernel[1] = o.a.stride[0] = o.a.stride[1] = size;
    one_real(&o, 4, (int64_t[]){1, 1, 6, 48});
    t_ok(one_plan(&o, true, kernels(), 1));
    for (int32_t i = 0; i < 6 * 48; i++)
        one_in(&o, 0)[i] = (evi_real)i;
    one_in(&o, 0)[0] = (evi_real)NAN;
    one_forward(&o, NULL);
    ck_assert(isnan(one_out(&o, 0)[0]));
    ck_assert(!isnan(one_out(&o, 0)[1]));
    for (int64_t i = 0; i < one_count_out(&o, 0); i++)
        o.out[0]->grad[i] = 1;
    one_backward(&o, NULL, true);
    ck_assert(o.in[0]->grad[0] == 1);
    one_end(&o);
}
END_TEST

START_TEST(test_dropout)
{
    one_step o;
    const int64_t n = 100003;
    one_start(&o, "dropout");
    o.a.rate = 0.3f;
    one_real(&o, 1, &n);
    t_ok(one_plan(&o, true, kernels(), 1));
    uint64_t kept[2] = {0}, both = 0;
    unsigned char *first = one_memory((uint64_t)n);
    for (int32_t step = 0; step < 2; step++) {
        o.s.counter = (uint64_t)step;
        for (int64_t i = 0; i < n; i++)
            one_in(&o, 0)[i] = 2;
        one_forward(&o, NULL);
        for (int64_t i = 0; i < n; i++) {
            evi_real y = one_out(&o, 0)[i];
            bool stays = y != 0;
            ck_assert(!stays || fabs((double)y - 2 / 0.7) < 1e-5);
            kept[step] += stays;
            both += step == 1 && stays && first[i];
            if (step == 0)
                first[i] = stays;
        }
    }
    /* five deviations of a binomial distribution; steps are independent of each other */
    ck_assert(fabs((double)kept[0] - 0.7 * (double)n) < 5 * sqrt(0.21 * (double)n));
    ck_assert(fabs((double)kept[1] - 0.7 * (double)n) < 5 * sqrt(0.21 * (double)n));
    ck_assert(fabs((double)both - 0.49 * (double)n) < 5 * sqrt(0.25 * (double)n));
    free(first);
    one_end(&o);
}
END_TEST

START_TEST(test_label_out_of_range)
{
    one_step o;
    one_start(&o, "cross_entropy");
    one_real(&o, 2, (int64_t[]){3, 4});
    one_input(&o, EV_TYPE_INT32, 1, (int64_t[]){3});
    t_ok(one_plan(&o, true, kernels(), 1));
    for (int32_t i = 0; i < 12; i++)
        one_in(&o, 0)[i] = (evi_real)i;
    int32_t *label = o.in[1]->data;
    label[0] = 1;
    label[1] = -100; /* left out on purpose: no fault */
    label[2] = 3;
    one_forward(&o, NULL);
    ck_assert_int_eq(o.s.fault, 0);
    ck_assert(isfinite(one_out(&o, 0)[0]));
    label[2] = _i == 0 ? 4 : -1;
    one_forward(&o, NULL);
    ck_assert_int_ne(o.s.fault, 0);
    o.out[0]->grad[0] = 1;
    one_backward(&o, NULL, true);
    ck_assert(o.in[0]->grad[11] == 0);
    one_end(&o);
}
END_TEST

/* Running statistics move in training, unless frozen. */
START_TEST(test_batch_norm_frozen)
{
    one_step o;
    int64_t c = 2;
    one_start(&o, "batch_norm");
    o.frozen = _i;
    one_real(&o, 4, (int64_t[]){2, 2, 3, 3});
    for (int32_t i = 0; i < 4; i++)
        one_real(&o, 1, &c);
    t_ok(one_plan(&o, true, kernels(), 1));
    for (int32_t i = 0; i < 5; i++)
        for (int64_t e = 0; e < one_count_in(&o, i); e++)
            one_in(&o, i)[e] = (evi_real)(1 + e);
    one_forward(&o, NULL);
    ck_assert_int_eq(one_in(&o, 3)[0] == 1, _i);
    ck_assert_int_eq(one_in(&o, 4)[1] == 2, _i);
    one_end(&o);
}
END_TEST

/* 2 multiply-adds per tap; a transposed convolution counts at the input's resolution. */
START_TEST(test_flops)
{
    one_step o;
    one_start(&o, "conv2d");
    one_real(&o, 4, (int64_t[]){1, 3, 10, 10});
    one_real(&o, 4, (int64_t[]){8, 3, 3, 3});
    t_ok(one_infer(&o));
    ck_assert(o.op->flops(&o.a, o.in_edge, 2, o.out_edge, 1) == 2.0 * 8 * 64 * 27);
    one_start(&o, "conv_transpose2d");
    one_real(&o, 4, (int64_t[]){1, 8, 5, 5});
    one_real(&o, 4, (int64_t[]){8, 4, 3, 3});
    t_ok(one_infer(&o));
    ck_assert(o.op->flops(&o.a, o.in_edge, 2, o.out_edge, 1) == 2.0 * 8 * 25 * 4 * 9);
    one_start(&o, "dense");
    o.a.trans_b = 1;
    one_real(&o, 2, (int64_t[]){2, 50});
    one_real(&o, 2, (int64_t[]){7, 50});
    t_ok(one_infer(&o));
    ck_assert(o.op->flops(&o.a, o.in_edge, 2, o.out_edge, 1) == 2.0 * 2 * 7 * 50);
}
END_TEST

/* The list knows each name once, and finds by both names. */
START_TEST(test_list)
{
    int32_t n = 0;
    for (; evi_op_at(n) != NULL; n++) {
        const evi_op *op = evi_op_at(n);
        ck_assert_ptr_eq(evi_op_find(op->name), op);
        ck_assert(op->onnx == NULL || evi_op_find_onnx(op->onnx) != NULL);
        ck_assert(op->infer != NULL && op->forward != NULL);
        ck_assert(op->min_in >= 0 && op->max_in >= op->min_in && op->max_out >= 1);
    }
    ck_assert_int_gt(n, 40);
    ck_assert_ptr_null(evi_op_at(-1));
    ck_assert_ptr_null(evi_op_find("no_such_operation"));
    ck_assert_ptr_null(evi_op_find_onnx("NoSuchOperation"));
}
END_TEST

TCase *behaviour_cases(void);

TCase *behaviour_cases(void)
{
    TCase *tc = tcase_create("behaviour");
    tcase_add_loop_test(tc, test_max_pool_nan, 0, 2);
    tcase_add_test(tc, test_dropout);
    tcase_add_loop_test(tc, test_label_out_of_range, 0, 2);
    tcase_add_loop_test(tc, test_batch_norm_frozen, 0, 2);
    tcase_add_test(tc, test_flops);
    tcase_add_test(tc, test_list);
    return tc;
}
