/* SPDX-License-Identifier: MIT */
/* Shapes that do not fit are refused with a line that says what and how large. */
#include "../grad/one_step.h"
#include "support.h"

typedef struct bad_case {
    const char *op;
    int32_t n_in;
    int32_t rank[3];
    int64_t dims[3][5];
    void (*set)(evi_attrs *a);
    ev_status status;
    const char *says; /* part of the error line */
} bad_case;

static void kernel5(evi_attrs *a)
{
    a->kernel[0] = a->kernel[1] = 5;
}
static void kernel2(evi_attrs *a)
{
    a->kernel[0] = a->kernel[1] = 2;
}
static void stride0(evi_attrs *a)
{
    kernel2(a);
    a->stride[1] = 0;
}
static void dilation0(evi_attrs *a)
{
    kernel2(a);
    a->dilation[0] = -1;
}
static void groups2(evi_attrs *a)
{
    a->groups = 2;
}
static void groups0(evi_attrs *a)
{
    a->groups = 0;
}
static void negative_pad(evi_attrs *a)
{
    kernel2(a);
    a->pad[3] = -1;
}
static void huge_pad(evi_attrs *a)
{
    a->pad[0] = a->pad[1] = a->pad[2] = a->pad[3] = 2147483647;
}
static void far_taps(evi_attrs *a)
{
    a->dilation[0] = a->dilation[1] = 2147483647;
    a->auto_pad = EVI_AUTO_PAD_SAME_LOWER;
}
static void axis7(evi_attrs *a)
{
    a->axis = 7;
}
static void rate2(evi_attrs *a)
{
    a->rate = 2;
}
static void smooth2(evi_attrs *a)
{
    a->smoothing = -0.5f;
}
static void trans_b(evi_attrs *a)
{
    a->trans_b = 1;
}
static void output_pad(evi_attrs *a)
{
    a->output_pad[0] = 3;
}
static void output_shape(evi_attrs *a)
{
    a->list = (evi_list){.n = 3, .set = 1, .v = {4, 4, 4}};
}

static const bad_case bad_cases[] = {
    {"conv2d", 2, {4, 4}, {{1, 3, 8, 8}, {4, 2, 3, 3}}, NULL, EV_ERR_SHAPE, "3 channels"},
    {"conv2d", 2, {4, 4}, {{1, 3, 8, 8}, {4, 3, 3, 3}}, kernel5, EV_ERR_SHAPE, "kernel 5x5"},
    {"conv2d", 2, {4, 4}, {{1, 3, 2, 8}, {4, 3, 3, 3}}, NULL, EV_ERR_SHAPE, "rows"},
    {"conv2d", 2, {4, 4}, {{1, 4, 8, 8}, {3, 2, 3, 3}}, groups2, EV_ERR_SHAPE, "groups"},
    {"conv2d", 2, {4, 4}, {{1, 4, 8, 8}, {3, 2, 3, 3}}, groups0, EV_ERR_ARGUMENT, "groups"},
    {"conv2d", 3, {4, 4, 1}, {{1, 3, 8, 8}, {4, 3, 3, 3}, {5}}, NULL, EV_ERR_SHAPE, "bias"},
    {"conv2d", 2, {5, 5}, {{1, 3, 8, 8, 8}, {4, 3, 3, 3, 3}}, NULL, EV_ERR_UNSUPPORTED, "rank"},
    {"conv2d", 2, {2, 2}, {{1, 3}, {4, 3}}, NULL, EV_ERR_SHAPE, "rank"},
    {"conv2d", 2, {4, 4}, {{0, 3, 8, 8}, {4, 3, 3, 3}}, NULL, EV_ERR_SHAPE, "empty"},
    {"conv2d", 2, {4, 4}, {{1, 3, 8, 8}, {4, 3, 3, 3}}, huge_pad, EV_ERR_ARGUMENT, "at most"},
    {"conv2d", 2, {4, 4}, {{1, 3, 8, 8}, {4, 3, 3, 3}}, far_taps, EV_ERR_ARGUMENT, "at most"},
    {"conv_transpose2d",
     2,
     {4, 4},
     {{1, 3, 8, 8}, {3, 4, 3, 3}},
     far_taps,
     EV_ERR_ARGUMENT,
     "at most"},
    {"conv_transpose2d", 2, {4, 4}, {{1, 3, 8, 8}, {4, 3, 3, 3}}, NULL, EV_ERR_SHAPE, "fit"},
    {"conv_transpose2d",
     2,
     {4, 4},
     {{1, 3, 8, 8}, {3, 4, 3, 3}},
     output_pad,
     EV_ERR_ARGUMENT,
     "output padding"},
    {"conv_transpose2d",
     2,
     {4, 4},
     {{1, 3, 8, 8}, {3, 4, 3, 3}},
     output_shape,
     EV_ERR_SHAPE,
     "output_shape"},
    {"conv_transpose2d", 2, {4, 4}, {{1, 3, 8, 8}, {3, 4, 3, 3}}, huge_pad, EV_ERR_ARGUMENT,
     "at most"},
    {"max_pool2d", 1, {4}, {{1, 3, 4, 4}}, kernel5, EV_ERR_SHAPE, "window"},
    {"max_pool2d", 1, {4}, {{1, 3, 4, 4}}, NULL, EV_ERR_ARGUMENT, "kernel"},
    {"max_pool2d", 1, {4}, {{1, 3, 4, 4}}, stride0, EV_ERR_ARGUMENT, "stride"},
    {"max_pool2d", 1, {4}, {{1, 3, 4, 4}}, dilation0, EV_ERR_ARGUMENT, "dilation"},
    {"average_pool2d", 1, {4}, {{1, 3, 4, 4}}, negative_pad, EV_ERR_UNSUPPORTED, "padding"},
    {"average_pool2d", 1, {3}, {{1, 3, 4}}, kernel2, EV_ERR_SHAPE, "two dimensions"},
    {"global_max_pool", 1, {2}, {{1, 3}}, NULL, EV_ERR_SHAPE, "rank"},
    {"dense", 2, {2, 2}, {{5, 7}, {3, 8}}, trans_b, EV_ERR_SHAPE, "7 features"},
    {"dense", 3, {2, 2, 1}, {{5, 7}, {3, 7}, {4}}, trans_b, EV_ERR_SHAPE, "bias"},
    {"dense", 2, {4, 2}, {{5, 7, 1, 1}, {3, 7}}, trans_b, EV_ERR_SHAPE, "rank"},
    {"matmul", 2, {3, 3}, {{2, 4, 5}, {3, 5, 6}}, NULL, EV_ERR_SHAPE, "multiplied"},
    {"matmul", 2, {2, 2}, {{4, 5}, {4, 6}}, NULL, EV_ERR_SHAPE, "multiplied"},
    {"instance_norm", 2, {4, 1}, {{1, 3, 4, 4}, {4}}, NULL, EV_ERR_SHAPE, "scale"},
    {"batch_norm", 1, {4}, {{1, 3, 4, 4}}, NULL, EV_ERR_SHAPE, "missing"},
    {"layer_norm", 2, {2, 1}, {{4, 5}, {4}}, NULL, EV_ERR_SHAPE, "scale"},
    {"softmax", 1, {2}, {{4, 5}}, axis7, EV_ERR_SHAPE, "axis 7"},
    {"dropout", 1, {2}, {{4, 5}}, rate2, EV_ERR_ARGUMENT, "rate"},
    {"mse_loss", 2, {2, 2}, {{4, 5}, {5, 4}}, NULL, EV_ERR_SHAPE, "target [5,4]"},
    {"soft_cross_entropy", 2, {2, 2}, {{4, 5}, {4, 5}}, smooth2, EV_ERR_ARGUMENT, "smoothing"},
    {"cross_entropy", 2, {2, 1}, {{4, 5}, {4}}, NULL, EV_ERR_SHAPE, "labels"},
    {"lrn", 1, {4}, {{1, 3, 4, 4}}, NULL, EV_ERR_ARGUMENT, "size"},
};

START_TEST(test_bad)
{
    const bad_case *b = &bad_cases[_i];
    one_step o;
    one_start(&o, b->op);
    for (int32_t i = 0; i < b->n_in; i++)
        one_real(&o, b->rank[i], b->dims[i]);
    if (b->set != NULL)
        b->set(&o.a);
    t_status(one_infer(&o), b->status);
    if (strstr(ev_last_error(), b->says) == NULL)
        ck_abort_msg("%s: \"%s\" does not say \"%s\"", b->op, ev_last_error(), b->says);
}
END_TEST

/* infer is called again for every batch size: attributes that it resolved must not change. */
START_TEST(test_again)
{
    one_step o;
    one_start(&o, "conv2d");
    o.a.auto_pad = EVI_AUTO_PAD_SAME_UPPER;
    o.a.stride[0] = o.a.stride[1] = 2;
    one_real(&o, 4, (int64_t[]){1, 3, 9, 8});
    one_real(&o, 4, (int64_t[]){4, 3, 3, 3});
    t_ok(one_infer(&o));
    evi_attrs first = o.a;
    o.in_edge[0].shape.dim[0] = 5;
    t_ok(one_infer(&o));
    ck_assert_mem_eq(&first, &o.a, sizeof(first));
    ck_assert_int_eq(o.out_edge[0].shape.dim[0], 5);
    ck_assert_int_eq(o.out_edge[0].shape.dim[2], 5);
    ck_assert_int_eq(o.out_edge[0].shape.dim[3], 4);
}
END_TEST

TCase *infer_cases(void);

TCase *infer_cases(void)
{
    TCase *tc = tcase_create("infer");
    tcase_add_loop_test(tc, test_bad, 0, EVI_COUNT(bad_cases));
    tcase_add_test(tc, test_again);
    return tc;
}
