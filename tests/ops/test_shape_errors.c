/* SPDX-License-Identifier: MIT */
/* Shapes that infer finds, constant inputs, casts, and what it refuses and says about it. */
#include "plain.h"

#include <math.h>

#define NONE INT64_MIN /* end of a list in a table */

typedef struct shape_case {
    const char *op;
    int64_t in[6], list[6]; /* ended by NONE; list[0] NONE: not set */
    int32_t axis, flag;
    int64_t out[7];
    const char *error; /* part of the line, when it must fail */
} shape_case;

static const shape_case shape_cases[] = {
    {"flatten", {2, 3, 4, NONE}, {NONE}, 1, 0, {2, 12, NONE}, NULL},
    {"flatten", {2, 3, 4, NONE}, {NONE}, 0, 0, {1, 24, NONE}, NULL},
    {"flatten", {2, 3, 4, NONE}, {NONE}, 3, 0, {24, 1, NONE}, NULL},
    {"flatten", {2, 3, 4, NONE}, {NONE}, -1, 0, {6, 4, NONE}, NULL},
    {"flatten", {2, 3, 4, NONE}, {NONE}, 4, 0, {NONE}, "axis 4 is out of range for rank 3"},
    {"reshape", {2, 3, 4, NONE}, {0, -1, NONE}, 0, 0, {2, 12, NONE}, NULL},
    {"reshape", {2, 3, 4, NONE}, {-1, NONE}, 0, 0, {24, NONE}, NULL},
    {"reshape", {2, 3, 4, NONE}, {4, 0, 2, NONE}, 0, 0, {4, 3, 2, NONE}, NULL},
    {"reshape", {1, NONE}, {1, NONE}, 0, 0, {1, NONE}, NULL},
    {"reshape", {2, 3, NONE}, {5, NONE}, 0, 0, {NONE}, "[2,3] has 6 elements"},
    {"reshape", {2, 3, NONE}, {4, -1, NONE}, 0, 0, {NONE}, "parts of 4"},
    {"reshape", {2, 3, NONE}, {-1, -1, NONE}, 0, 0, {NONE}, "size -1 at 1"},
    {"reshape", {2, 3, NONE}, {1, 1, 0, NONE}, 0, 0, {NONE}, "copied"},
    {"reshape", {2, 3, NONE}, {NONE}, 0, 0, {NONE}, "no shape"},
    {"squeeze", {1, 3, 1, 2, NONE}, {NONE}, 0, 0, {3, 2, NONE}, NULL},
    {"squeeze", {1, 3, 1, 2, NONE}, {-2, NONE}, 0, 0, {1, 3, 2, NONE}, NULL},
    {"squeeze", {1, 3, 1, 2, NONE}, {1, NONE}, 0, 0, {NONE}, "axis 1 of [1,3,1,2] is not 1"},
    {"squeeze", {1, 3, NONE}, {0, -2, NONE}, 0, 0, {NONE}, "named twice"},
    {"unsqueeze", {3, 4, NONE}, {4, 0, -3, NONE}, 0, 0, {1, 3, 1, 4, 1, NONE}, NULL},
    {"unsqueeze", {3, 4, NONE}, {4, NONE}, 0, 0, {NONE}, "axis 4 is out of range for rank 3"},
    {"transpose", {2, 3, 4, NONE}, {NONE}, 0, 0, {4, 3, 2, NONE}, NULL},
    {"transpose", {2, 3, 4, NONE}, {1, -1, 0, NONE}, 0, 0, {3, 4, 2, NONE}, NULL},
    {"transpose", {2, 3, 4, NONE}, {0, 1, NONE}, 0, 0, {NONE}, "2 axes for rank 3"},
    {"transpose", {2, 3, NONE}, {0, 0, NONE}, 0, 0, {NONE}, "named twice"},
    {"pad", {3, 4, NONE}, {1, 0, 2, -1, NONE}, 0, 0, {6, 3, NONE}, NULL},
    {"pad", {3, 4, NONE}, {1, 0, 2, NONE}, 0, 0, {NONE}, "3 numbers for 2 axes"},
    {"pad", {3, 4, NONE}, {-2, 0, -2, 0, NONE}, 0, 0, {NONE}, "cannot be padded by -2 and -2"},
    {"depth_to_space", {1, 8, 2, 3, NONE}, {NONE}, 0, 2, {1, 2, 4, 6, NONE}, NULL},
    {"depth_to_space", {1, 6, 2, 3, NONE}, {NONE}, 0, 2, {NONE}, "[1,6,2,3]"},
    {"space_to_depth", {1, 2, 4, 6, NONE}, {NONE}, 0, 2, {1, 8, 2, 3, NONE}, NULL},
    {"space_to_depth", {1, 2, 3, 6, NONE}, {NONE}, 0, 2, {NONE}, "blocks of 2"},
    {"expand", {3, 1, NONE}, {2, 1, 4, NONE}, 0, 0, {2, 3, 4, NONE}, NULL},
    {"expand", {3, 2, NONE}, {3, 4, NONE}, 0, 0, {NONE}, "[3,2] cannot be broadcast to [3,4]"},
    {"tile", {3, 2, NONE}, {2, 0, NONE}, 0, 0, {6, 0, NONE}, NULL},
    {"tile", {3, 2, NONE}, {2, NONE}, 0, 0, {NONE}, "1 repeats for rank 2"},
    {"reduce_mean", {2, 3, 4, NONE}, {1, NONE}, 0, 0, {2, 4, NONE}, NULL},
    {"reduce_mean", {2, 3, 4, NONE}, {NONE}, 0, 0, {NONE}, NULL},
    {"reduce_mean", {2, 3, NONE}, {2, NONE}, 0, 0, {NONE}, "axis 2 is out of range"},
    {"arg_max", {2, 3, NONE}, {NONE}, -1, 0, {2, NONE}, NULL},
    {"split", {7, 2, NONE}, {NONE}, 0, 0, {7, 2, NONE}, NULL},
    {"split", {7, 2, NONE}, {3, NONE}, 0, 0, {NONE}, "3 of 7"},
    {"size", {2, 3, NONE}, {NONE}, 0, 0, {NONE}, NULL},
    {"slice", {5, NONE}, {1, NONE}, 0, 0, {NONE}, "missing"},
};

static int32_t length_of(const int64_t *v)
{
    int32_t n = 0;
    while (v[n] != NONE)
        n++;
    return n;
}

START_TEST(test_shapes)
{
    const shape_case *c = &shape_cases[_i];
    one_step o;
    one_start(&o, c->op);
    one_real(&o, length_of(c->in), c->in);
    if (c->list[0] != NONE)
        o.a.list = list_of(length_of(c->list), c->list);
    o.a.axis = c->axis;
    o.a.flag = c->flag;
    if (c->error != NULL) {
        ck_assert_int_ne(one_infer(&o), EV_OK);
        if (strstr(ev_last_error(), c->error) == NULL)
            ck_abort_msg("%s: '%s' does not say '%s'", c->op, ev_last_error(), c->error);
        return;
    }
    for (int32_t again = 0; again < 2; again++) { /* infer may be called again */
        t_ok(one_infer(&o));
        evi_shape want = shape_of(length_of(c->out), c->out);
        char text[EVI_SHAPE_TEXT];
        if (!evi_shape_equal(&want, &o.out_edge[0].shape))
            ck_abort_msg("%s gives %s", c->op, evi_shape_text(&o.out_edge[0].shape, text));
    }
}
END_TEST

START_TEST(test_pairs_refused)
{
    one_step o;
    static const char *const ops[] = {"add", "mul", "max", "pow", "equal"};
    for (int32_t k = 0; k < EVI_COUNT(ops); k++) {
        one_start(&o, ops[k]);
        one_real(&o, 3, (int64_t[]){2, 3, 4});
        one_real(&o, 2, (int64_t[]){2, 4});
        t_status(one_infer(&o), EV_ERR_SHAPE);
        ck_assert_ptr_nonnull(strstr(ev_last_error(), "[2,3,4] and [2,4]"));
    }
    one_start(&o, "add");
    one_real(&o, 1, (int64_t[]){2});
    one_input(&o, EV_TYPE_INT64, 1, (int64_t[]){2});
    t_status(one_infer(&o), EV_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "float32 and int64"));
    one_start(&o, "concat");
    one_real(&o, 2, (int64_t[]){2, 3});
    one_real(&o, 2, (int64_t[]){3, 3});
    o.a.axis = 1;
    t_status(one_infer(&o), EV_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "[2,3] and [3,3] differ beside axis 1"));
    one_start(&o, "prelu");
    one_real(&o, 2, (int64_t[]){2, 3});
    one_real(&o, 1, (int64_t[]){2});
    t_status(one_infer(&o), EV_ERR_SHAPE);
    one_start(&o, "relu");
    one_input(&o, EV_TYPE_INT64, 1, (int64_t[]){2});
    t_status(one_infer(&o), EV_ERR_SHAPE);
}
END_TEST

/* ---- inputs that decide shapes -------------------------------------------------------------- */

static void constant(one_step *o, const int64_t *v, int64_t n)
{
    int32_t i = one_input(o, EV_TYPE_INT64, 1, &n);
    o->in_edge[i].value = v;
}

START_TEST(test_constant_inputs)
{
    static const int64_t shape[] = {3, -1}, starts[] = {1, -9}, ends[] = {9, 2}, axes[] = {-1, 0};
    static const int64_t pads[] = {1, 2};
    one_step o;
    one_start(&o, "reshape");
    one_real(&o, 2, (int64_t[]){6, 4});
    constant(&o, shape, 2);
    t_ok(one_infer(&o));
    ck_assert_int_eq(o.out_edge[0].shape.dim[1], 8);
    o.in_edge[0].shape.dim[0] = 3; /* a smaller batch */
    t_ok(one_infer(&o));
    ck_assert_int_eq(o.out_edge[0].shape.dim[1], 4);
    o.in_edge[1].value = NULL;
    t_status(one_infer(&o), EV_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "known before running"));

    one_start(&o, "slice");
    one_real(&o, 2, (int64_t[]){6, 4});
    constant(&o, starts, 2);
    constant(&o, ends, 2);
    constant(&o, axes, 2);
    t_ok(one_infer(&o));
    ck_assert_int_eq(o.out_edge[0].shape.dim[0], 2);
    ck_assert_int_eq(o.out_edge[0].shape.dim[1], 3);

    one_start(&o, "pad");
    one_real(&o, 3, (int64_t[]){6, 4, 5});
    constant(&o, pads, 2);
    one_absent(&o);
    constant(&o, axes, 1);
    t_ok(one_infer(&o));
    ck_assert_int_eq(o.out_edge[0].shape.dim[2], 8);
}
END_TEST

START_TEST(test_shape_arithmetic)
{
    one_step o;
    static const int64_t want[] = {3, 4, 5};
    one_start(&o, "shape");
    one_real(&o, 4, (int64_t[]){2, 3, 4, 5});
    o.a.list = list_of(1, (int64_t[]){-3});
    t_ok(one_plan(&o, false, test_kernels(), 1));
    one_forward(&o, NULL);
    ck_assert_int_eq(one_count_out(&o, 0), 3);
    for (int64_t i = 0; i < 3; i++)
        expect(&o, i, (double)want[i], 0);
    one_end(&o);

    one_start(&o, "range");
    static const int64_t from = 7, to = -2, by = -3;
    for (int32_t i = 0; i < 3; i++)
        one_input(&o, EV_TYPE_INT64, 0, NULL);
    o.in_edge[0].value = &from;
    o.in_edge[1].value = &to;
    o.in_edge[2].value = &by;
    t_ok(one_plan(&o, false, test_kernels(), 1));
    for (int32_t i = 0; i < 3; i++)
        memcpy(o.in[i]->data, o.in_edge[i].value, sizeof(int64_t));
    one_forward(&o, NULL);
    ck_assert_int_eq(one_count_out(&o, 0), 3);
    for (int64_t i = 0; i < 3; i++)
        expect(&o, i, 7 - 3 * (double)i, 0);
    one_end(&o);

    one_start(&o, "constant_of_shape");
    static const int64_t dims[] = {2, 3};
    constant(&o, dims, 2);
    o.a.alpha = 4;
    o.a.to_type = EV_TYPE_INT32;
    t_ok(one_plan(&o, false, test_kernels(), 1));
    one_forward(&o, NULL);
    ck_assert_int_eq(one_count_out(&o, 0), 6);
    for (int64_t i = 0; i < 6; i++)
        expect(&o, i, 4, 0);
    one_end(&o);
}
END_TEST

START_TEST(test_cast)
{
    static const float from[] = {0, 1.9f, -1.9f, 200, NAN, 1e30f};
    static const double as_int64[] = {0, 1, -1, 200, 0, 9223372036854775807.0};
    static const double as_bool[] = {0, 1, 1, 1, 1, 1}, as_bytes[] = {0, 1, 255, 200, 0, 255};
    static const int32_t types[] = {EV_TYPE_INT64, EV_TYPE_BOOL, EV_TYPE_UINT8};
    static const double *const want[] = {as_int64, as_bool, as_bytes};
    for (int32_t k = 0; k < 3; k++) {
        one_step o;
        one_start(&o, "cast");
        one_real(&o, 1, (int64_t[]){6});
        o.a.to_type = types[k];
        t_ok(one_plan(&o, false, test_kernels(), 1));
        memcpy(o.in[0]->data, from, sizeof(from));
        one_forward(&o, NULL);
        for (int64_t i = 0; i < 6; i++)
            expect(&o, i, want[k][i], 0);
        one_end(&o);
    }
    one_step o;
    one_start(&o, "cast");
    one_real(&o, 0, NULL);
    o.a.to_type = EV_TYPE_FLOAT16;
    t_status(one_infer(&o), EV_ERR_UNSUPPORTED);
}
END_TEST

/* Empty arrays go through everything. */
START_TEST(test_empty)
{
    static const char *const ops[] = {"relu",       "identity", "transpose", "exp",
                                      "reduce_sum", "cast",     "abs",       "flatten"};
    uint64_t r = 1;
    for (int32_t k = 0; k < EVI_COUNT(ops); k++) {
        one_step o;
        one_start(&o, ops[k]);
        one_real(&o, 3, (int64_t[]){2, 0, 3});
        o.a.to_type = EV_TYPE_INT32;
        o.a.list.set = k == 4;
        o.a.list.n = k == 4;
        o.a.list.v[0] = 1;
        run_one(&o, &r, NULL);
        ck_assert_int_eq(one_count_out(&o, 0), k == 4 ? 6 : 0);
        for (int64_t i = 0; i < one_count_out(&o, 0); i++)
            expect(&o, i, 0, 0);
        one_end(&o);
    }
}
END_TEST

TCase *error_cases(void)
{
    TCase *tc = tcase_create("shapes");
    tcase_add_loop_test(tc, test_shapes, 0, EVI_COUNT(shape_cases));
    tcase_add_test(tc, test_pairs_refused);
    tcase_add_test(tc, test_constant_inputs);
    tcase_add_test(tc, test_shape_arithmetic);
    tcase_add_test(tc, test_cast);
    tcase_add_test(tc, test_empty);
    return tc;
}
