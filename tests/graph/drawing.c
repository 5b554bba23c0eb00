/* SPDX-License-Identifier: MIT */
/* Drawing: shapes are checked at once, and a call that fails leaves the model as it was. */
#include "graph_tests.h"

START_TEST(wrong_shapes_are_found_when_drawn)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = NULL;
    ev_value x, y, z;
    const int64_t dims[4] = {-1, 3, 8, 8}, flat[2] = {-1, 5};
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "a", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_input(m, "b", EV_TYPE_FLOAT32, 2, flat, &z));
    t_status(ev_model_input(m, "a", EV_TYPE_FLOAT32, 4, dims, &y), EV_ERR_ARGUMENT);
    ck_assert_int_eq(y, EV_NO_VALUE);
    t_status(ev_model_dense(m, x, 4, NULL, &y), EV_ERR_SHAPE);
    t_status(ev_model_conv2d(m, z, 4, 3, NULL, &y), EV_ERR_SHAPE);
    t_status(ev_model_add(m, x, z, &y), EV_ERR_SHAPE);
    t_status(ev_model_conv2d(m, 99, 4, 3, NULL, &y), EV_ERR_ARGUMENT);
    t_status(ev_model_conv2d(m, x, 0, 3, NULL, &y), EV_ERR_SHAPE);
    t_status(ev_model_conv2d(m, x, 4, -3, NULL, &y), EV_ERR_ARGUMENT);
    ev_conv2d_options o;
    EV_OPTIONS_INIT(&o);
    o.groups = 2;
    t_status(ev_model_conv2d(m, x, 4, 3, &o, &y), EV_ERR_SHAPE);
    EV_OPTIONS_INIT(&o);
    o.pad_top = -1; /* explicitly none: a 9x9 kernel does not fit */
    t_status(ev_model_conv2d(m, x, 4, 9, &o, &y), EV_ERR_SHAPE);
    ck_assert_int_eq(ev_model_n_weights(m), 0);
    t_ok(ev_model_conv2d(m, x, 4, 3, NULL, &y));
    ck_assert_int_eq(ev_model_n_weights(m), 2);
    int64_t got[EV_MAX_RANK];
    ck_assert_int_eq(ev_model_value_dims(m, y, got), 4);
    ck_assert_int_eq(got[1], 4);
    ck_assert_int_eq(got[2], 8);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(closed_after_init)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = mixed_net(ctx);
    ev_value y;
    t_status(ev_model_conv2d(m, 0, 4, 3, NULL, &y), EV_ERR_STATE);
    t_ok(ev_model_activation(m, 0, EV_ACTIVATION_RELU, 0, 0, &y)); /* has no weights */
    t_status(ev_model_activation(m, 0, 99, 0, 0, &y), EV_ERR_ARGUMENT);
    t_status(ev_model_dropout(m, 0, 1.0f, &y), EV_ERR_ARGUMENT);
    t_status(ev_model_freeze(m, "nothing", 1), EV_ERR_ARGUMENT);
    t_ok(ev_model_freeze(m, "conv1", 1));
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(notes_travel_with_the_model)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = mixed_net(ctx), *copy = NULL;
    const char *names[3] = {"empty", "dog", "bicyclist"};
    t_ok(ev_model_set_classes(m, names, 3));
    t_ok(ev_model_set_classes(m, names, 2));
    ck_assert_int_eq(ev_model_n_classes(m), 2);
    ck_assert_str_eq(ev_model_class_name(m, 1), "dog");
    ck_assert_ptr_null(ev_model_class_name(m, 2));
    ev_preprocess p, q;
    EV_OPTIONS_INIT(&p);
    EV_OPTIONS_INIT(&q);
    p.mean[1] = 0.456f;
    p.std[2] = 0.225f;
    p.bgr = 1;
    t_ok(ev_model_set_preprocess(m, &p));
    t_ok(ev_model_clone(m, &copy));
    t_ok(ev_model_preprocess(copy, &q));
    ck_assert(q.mean[1] == 0.456f && q.std[2] == 0.225f && q.std[0] == 1.0f && q.bgr == 1);
    ck_assert_int_eq(q.width, 18);
    ck_assert_int_eq(q.height, 20);
    t_ok(ev_model_set_meta(m, "key", "value"));
    t_ok(ev_model_set_meta(m, "key", NULL));
    ck_assert_ptr_null(ev_model_meta(m, "key"));
    ck_assert_str_eq(ev_model_class_name(copy, 1), "dog");
    ev_model_destroy(m);
    ev_model_destroy(copy);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(descriptions_tell_the_layers)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = mixed_net(ctx);
    for (int32_t kind = EV_DESCRIBE_TABLE; kind <= EV_DESCRIBE_DOT; kind++) {
        char *text = NULL;
        t_ok(ev_model_describe(m, kind, &text));
        ck_assert_ptr_nonnull(strstr(text, "conv1"));
        ck_assert_ptr_nonnull(strstr(text, "dense2"));
        ev_string_destroy(text);
    }
    char *text = NULL;
    t_status(ev_model_describe(m, 9, &text), EV_ERR_ARGUMENT);
    ck_assert_ptr_null(text);
    /* conv1 3*9*8+8; block 2*(8*9*8+8)+2*16; conv 8*4+4; dense 12*5*4*10+10 and 44 */
    ck_assert_int_eq(ev_model_parameter_count(m), 224 + 2 * 584 + 32 + 36 + 2410 + 44);
    ck_assert_int_eq(ev_model_macs(m), 360 * 27 * 8 + 2 * 360 * 72 * 8 + 90 * 8 * 4 + 2400 + 40);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(start_values_follow_seed_and_rule)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = NULL;
    ev_value x;
    ev_tensor *w = NULL;
    const int64_t dims[2] = {-1, 400};
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "x", EV_TYPE_FLOAT32, 2, dims, &x));
    t_ok(ev_model_dense(m, x, 500, NULL, &x));
    t_ok(ev_model_output(m, "y", x));
    t_status(ev_model_weight(m, "dense1.weight", &w), EV_ERR_STATE);
    t_ok(ev_model_init(m, 5));
    t_ok(ev_model_weight(m, "dense1.weight", &w));
    const float *a = ev_tensor_data(w);
    double sum = 0, squares = 0;
    for (int32_t i = 0; i < 200000; i++) {
        sum += (double)a[i];
        squares += (double)a[i] * (double)a[i];
    }
    ck_assert(sum / 200000 < 1e-3 && sum / 200000 > -1e-3);
    ck_assert(squares / 200000 > 0.99 * 2 / 400 && squares / 200000 < 1.01 * 2 / 400);
    float first = a[0];
    t_ok(ev_model_init(m, 6));
    ck_assert(a[0] != first);
    t_ok(ev_model_init(m, 5));
    ck_assert(a[0] == first);
    ev_tensor_destroy(w);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

TCase *drawing_case(void)
{
    TCase *c = tcase_create("drawing");
    tcase_add_test(c, wrong_shapes_are_found_when_drawn);
    tcase_add_test(c, closed_after_init);
    tcase_add_test(c, notes_travel_with_the_model);
    tcase_add_test(c, descriptions_tell_the_layers);
    tcase_add_test(c, start_values_follow_seed_and_rule);
    return c;
}
