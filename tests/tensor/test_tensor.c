/* SPDX-License-Identifier: MIT */
#include "support.h"
#include "tensor/tensor.h"

static ev_context *ctx;

static void setup(void)
{
    ctx = t_context(NULL, 1);
}

static void teardown(void)
{
    ev_context_destroy(ctx);
}

static const int64_t dims3[] = {4, 3, 5};

START_TEST(types)
{
    static const int32_t bytes[] = {0, 4, 1, 1, 4, 8, 1, 8, 2, 0};
    static const char *const names[] = {"?",     "float32", "uint8",   "int8",    "int32",
                                        "int64", "bool",    "float64", "float16", "?"};
    for (int32_t i = 0; i < 10; i++) {
        ck_assert_int_eq(ev_type_bytes(i), bytes[i]);
        ck_assert_str_eq(ev_type_name(i), names[i]);
    }
    ck_assert_int_eq(ev_type_bytes(-1), 0);
    ck_assert_str_eq(ev_type_name(INT32_MIN), "?");
    ck_assert(evi_type_is_real(EV_TYPE_FLOAT32) && !evi_type_is_real(EV_TYPE_INT32));
}
END_TEST

START_TEST(create)
{
    for (int32_t type = EV_TYPE_FLOAT32; type <= EV_TYPE_BOOL; type++) {
        ev_tensor *t = NULL;
        t_ok(ev_tensor_create(ctx, type, 3, dims3, &t));
        ck_assert_int_eq(ev_tensor_type(t), type);
        ck_assert_int_eq(ev_tensor_rank(t), 3);
        ck_assert_int_eq(ev_tensor_dim(t, 0), 4);
        ck_assert_int_eq(ev_tensor_dim(t, 2), 5);
        ck_assert_int_eq(ev_tensor_dim(t, 3), -1);
        ck_assert_int_eq(ev_tensor_dim(t, -1), -1);
        ck_assert_int_eq(ev_tensor_count(t), 60);
        ck_assert_uint_eq(ev_tensor_bytes(t), 60u * (uint64_t)ev_type_bytes(type));
        const unsigned char *data = ev_tensor_data(t);
        ck_assert_uint_eq((uintptr_t)data % 64, 0);
        for (uint64_t i = 0; i < ev_tensor_bytes(t); i++)
            ck_assert_int_eq(data[i], 0);
        ev_tensor_destroy(t);
    }
}
END_TEST

START_TEST(scalar_and_empty)
{
    static const int64_t none[] = {3, 0, 7}, huge[] = {0, 2147483647, 2147483647, 2147483647};
    ev_tensor *t = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_INT64, 0, NULL, &t));
    ck_assert_int_eq(ev_tensor_count(t), 1);
    ck_assert_uint_eq(ev_tensor_bytes(t), 8);
    ev_tensor_destroy(t);
    t_ok(ev_tensor_create(ctx, EV_TYPE_INT64, 3, none, &t));
    ck_assert_int_eq(ev_tensor_count(t), 0);
    ck_assert_uint_eq(ev_tensor_bytes(t), 0);
    t_ok(ev_tensor_copy_in(t, NULL, 0));
    t_ok(ev_tensor_copy_out(t, NULL, 0));
    ev_tensor_destroy(t);
    t_ok(ev_tensor_create(ctx, EV_TYPE_INT64, 4, huge, &t));
    ck_assert_int_eq(ev_tensor_count(t), 0);
    ev_tensor_destroy(t);
}
END_TEST

static void refuse(int32_t type, int32_t rank, const int64_t *dims, ev_status expected)
{
    ev_tensor *t = (ev_tensor *)ctx;
    t_status(ev_tensor_create(ctx, type, rank, dims, &t), expected);
    ck_assert_ptr_null(t);
}

START_TEST(refused)
{
    static const int64_t negative[] = {2, -1}, large[] = {2147483648}, product[] = {65536, 32768},
                         wraps[] = {2147483647, 2147483647, 2147483647, 4},
                         ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    refuse(0, 3, dims3, EV_ERR_ARGUMENT);
    refuse(EV_TYPE_FLOAT64, 3, dims3, EV_ERR_ARGUMENT);
    refuse(EV_TYPE_FLOAT16, 3, dims3, EV_ERR_ARGUMENT);
    refuse(99, 3, dims3, EV_ERR_ARGUMENT);
    refuse(-1, 3, dims3, EV_ERR_ARGUMENT);
    refuse(EV_TYPE_UINT8, 3, NULL, EV_ERR_ARGUMENT);
    refuse(EV_TYPE_UINT8, -1, dims3, EV_ERR_SHAPE);
    refuse(EV_TYPE_UINT8, 9, ones, EV_ERR_SHAPE);
    refuse(EV_TYPE_UINT8, 2, negative, EV_ERR_SHAPE);
    refuse(EV_TYPE_UINT8, 1, large, EV_ERR_SHAPE);
    refuse(EV_TYPE_UINT8, 2, product, EV_ERR_SHAPE);
    refuse(EV_TYPE_UINT8, 4, wraps, EV_ERR_SHAPE);
    ev_tensor *t = NULL;
    t_status(ev_tensor_create(NULL, EV_TYPE_UINT8, 3, dims3, &t), EV_ERR_ARGUMENT);
    t_status(ev_tensor_create(ctx, EV_TYPE_UINT8, 3, dims3, NULL), EV_ERR_ARGUMENT);
    t_ok(ev_tensor_create(ctx, EV_TYPE_UINT8, 8, ones, &t));
    ev_tensor *other = t;
    t_status(ev_tensor_create((ev_context *)t, EV_TYPE_UINT8, 3, dims3, &other), EV_ERR_ARGUMENT);
    ck_assert_ptr_null(other);
    ev_tensor_destroy(t);
}
END_TEST

START_TEST(wrap)
{
    char memory[241];
    ev_tensor *t = NULL;
    t_ok(ev_tensor_wrap(ctx, EV_TYPE_FLOAT32, 3, dims3, memory + 1, 240, &t)); /* not aligned */
    ck_assert_ptr_eq(ev_tensor_data(t), memory + 1);
    ev_tensor_destroy(t);
    t_status(ev_tensor_wrap(ctx, EV_TYPE_FLOAT32, 3, dims3, memory, 239, &t), EV_ERR_ARGUMENT);
    ck_assert_ptr_null(t);
    t_status(ev_tensor_wrap(ctx, EV_TYPE_FLOAT32, 3, dims3, NULL, 240, &t), EV_ERR_ARGUMENT);
    t_status(ev_tensor_wrap(ctx, EV_TYPE_FLOAT32, 3, dims3, memory, 240, NULL), EV_ERR_ARGUMENT);
    int64_t none = 0;
    t_ok(ev_tensor_wrap(ctx, EV_TYPE_FLOAT32, 1, &none, NULL, 0, &t));
    ck_assert_ptr_null(ev_tensor_data(t));
    ev_tensor *view = NULL;
    t_ok(ev_tensor_view(t, 0, 0, -1, NULL, &view));
    ck_assert_int_eq(ev_tensor_count(view), 0);
    ev_tensor_destroy(view);
    ev_tensor_destroy(t);
}
END_TEST

START_TEST(views)
{
    static const int64_t flat[] = {30}, wrong[] = {31};
    ev_tensor *base = NULL, *part = NULL, *again = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_INT32, 3, dims3, &base));
    int32_t *data = ev_tensor_data(base);
    for (int32_t i = 0; i < 60; i++)
        data[i] = i;
    t_ok(ev_tensor_view(base, 1, 2, -1, NULL, &part));
    ck_assert_int_eq(ev_tensor_rank(part), 3);
    ck_assert_int_eq(ev_tensor_dim(part, 0), 2);
    ck_assert_ptr_eq(ev_tensor_data(part), data + 15);
    t_ok(ev_tensor_view(part, 1, 1, -1, NULL, &again)); /* a view of a view */
    ck_assert_ptr_eq(ev_tensor_data(again), data + 30);
    ev_tensor_destroy(base); /* the views keep it */
    ev_tensor_destroy(part);
    ck_assert_int_eq(*(int32_t *)ev_tensor_data(again), 30);
    ev_tensor_destroy(again);

    t_ok(ev_tensor_create(ctx, EV_TYPE_INT32, 3, dims3, &base));
    t_ok(ev_tensor_view(base, 2, 2, 1, flat, &part));
    ck_assert_int_eq(ev_tensor_dim(part, 0), 30);
    ev_tensor_destroy(part);
    t_status(ev_tensor_view(base, 2, 2, 1, wrong, &part), EV_ERR_SHAPE);
    ck_assert_ptr_null(part);
    t_status(ev_tensor_view(base, 3, 2, -1, NULL, &part), EV_ERR_ARGUMENT);
    t_status(ev_tensor_view(base, -1, 2, -1, NULL, &part), EV_ERR_ARGUMENT);
    t_status(ev_tensor_view(base, 0, -1, -1, NULL, &part), EV_ERR_ARGUMENT);
    t_status(ev_tensor_view(base, 1, INT64_MAX, -1, NULL, &part), EV_ERR_ARGUMENT);
    t_status(ev_tensor_view(base, 1, 1, -2, NULL, &part), EV_ERR_SHAPE);
    t_status(ev_tensor_view(base, 1, 1, 2, NULL, &part), EV_ERR_ARGUMENT);
    t_status(ev_tensor_view(NULL, 0, 1, -1, NULL, &part), EV_ERR_ARGUMENT);
    t_status(ev_tensor_view(base, 0, 1, -1, NULL, NULL), EV_ERR_ARGUMENT);
    t_ok(ev_tensor_view(base, 4, 0, -1, NULL, &part)); /* nothing, at the end */
    ck_assert_int_eq(ev_tensor_count(part), 0);
    ev_tensor_destroy(part);
    ev_tensor_destroy(base);
}
END_TEST

START_TEST(view_of_a_scalar)
{
    ev_tensor *base = NULL, *part = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 0, NULL, &base));
    t_ok(ev_tensor_view(base, 0, 1, -1, NULL, &part));
    ck_assert_int_eq(ev_tensor_rank(part), 0);
    ck_assert_ptr_eq(ev_tensor_data(part), ev_tensor_data(base));
    ev_tensor_destroy(part);
    static const int64_t four[] = {1, 1, 1, 1};
    t_ok(ev_tensor_view(base, 0, 1, 4, four, &part));
    ck_assert_int_eq(ev_tensor_rank(part), 4);
    ev_tensor_destroy(part);
    t_status(ev_tensor_view(base, 0, 2, -1, NULL, &part), EV_ERR_ARGUMENT);
    ev_tensor_destroy(base);
}
END_TEST

START_TEST(copies)
{
    float in[60], out[60];
    ev_tensor *t = NULL;
    t_fill(in, 60, 1);
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 3, dims3, &t));
    t_ok(ev_tensor_copy_in(t, in, sizeof(in)));
    t_ok(ev_tensor_copy_out(t, out, sizeof(out)));
    ck_assert_int_eq(memcmp(in, out, sizeof(in)), 0);
    t_status(ev_tensor_copy_in(t, in, sizeof(in) - 1), EV_ERR_ARGUMENT);
    t_status(ev_tensor_copy_in(t, in, sizeof(in) + 1), EV_ERR_ARGUMENT);
    t_status(ev_tensor_copy_in(t, NULL, sizeof(in)), EV_ERR_ARGUMENT);
    t_status(ev_tensor_copy_out(t, NULL, sizeof(in)), EV_ERR_ARGUMENT);
    t_status(ev_tensor_copy_in(NULL, in, sizeof(in)), EV_ERR_ARGUMENT);
    t_status(ev_tensor_copy_out(NULL, out, sizeof(in)), EV_ERR_ARGUMENT);
    t_status(ev_tensor_copy_out((ev_tensor *)ctx, out, sizeof(in)), EV_ERR_ARGUMENT);
    ev_tensor_destroy(t);
}
END_TEST

START_TEST(null_and_wrong)
{
    ev_tensor *no[] = {NULL, (ev_tensor *)ctx};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(ev_tensor_type(no[i]), 0);
        ck_assert_int_eq(ev_tensor_rank(no[i]), -1);
        ck_assert_int_eq(ev_tensor_dim(no[i], 0), -1);
        ck_assert_int_eq(ev_tensor_count(no[i]), 0);
        ck_assert_uint_eq(ev_tensor_bytes(no[i]), 0);
        ck_assert_ptr_null(ev_tensor_data(no[i]));
        ck_assert_ptr_null(ev_tensor_ref(no[i]));
        ev_tensor_destroy(no[i]);
    }
}
END_TEST

START_TEST(references)
{
    t_hooks h = {0};
    ev_context *counted = t_context(&h, 1);
    ev_tensor *t = NULL;
    t_ok(ev_tensor_create(counted, EV_TYPE_UINT8, 3, dims3, &t));
    ev_context_destroy(counted); /* the tensor holds it */
    ck_assert_ptr_eq(ev_tensor_ref(t), t);
    ev_tensor_destroy(t);
    ck_assert_int_eq(ev_tensor_count(t), 60);
    ev_tensor_destroy(t);
    ck_assert_int_eq(h.n_live, 0);
}
END_TEST

static ev_status make_all(ev_context *c, void *arg)
{
    static char memory[60];
    ev_tensor *a = NULL, *b = NULL, *v = NULL;
    (void)arg;
    ev_status status = ev_tensor_create(c, EV_TYPE_UINT8, 3, dims3, &a);
    if (status == EV_OK)
        status = ev_tensor_wrap(c, EV_TYPE_UINT8, 3, dims3, memory, 60, &b);
    if (status == EV_OK)
        status = ev_tensor_view(a, 0, 1, -1, NULL, &v);
    ev_tensor_destroy(a);
    ev_tensor_destroy(b);
    ev_tensor_destroy(v);
    return status;
}

START_TEST(memory_fails)
{
    ck_assert_int_eq(t_each_alloc(make_all, NULL, 1, 0), 5);
}
END_TEST

START_TEST(shape_texts)
{
    evi_shape s;
    char text[EVI_SHAPE_TEXT];
    static const int64_t big[] = {2147483647, 0,          2147483647, 2147483647,
                                  2147483647, 2147483647, 2147483647, 2147483647};
    t_ok(evi_shape_set(&s, 3, dims3, "s"));
    ck_assert_str_eq(evi_shape_text(&s, text), "[4,3,5]");
    t_ok(evi_shape_set(&s, 0, NULL, "s"));
    ck_assert_str_eq(evi_shape_text(&s, text), "[]");
    ck_assert_int_eq(evi_shape_count(&s), 1);
    t_ok(evi_shape_set(&s, 8, big, "s"));
    ck_assert_uint_lt(strlen(evi_shape_text(&s, text)), EVI_SHAPE_TEXT);
    ck_assert_int_eq(text[strlen(text) - 1], ']');
    for (int i = 0; i < 8; i++)
        s.dim[i] = INT64_MIN; /* not a shape, but may have to be shown in an error */
    ck_assert_uint_lt(strlen(evi_shape_text(&s, text)), EVI_SHAPE_TEXT);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tensor");
    TCase *t = tcase_create("tensor");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, types);
    tcase_add_test(t, create);
    tcase_add_test(t, scalar_and_empty);
    tcase_add_test(t, refused);
    tcase_add_test(t, wrap);
    tcase_add_test(t, views);
    tcase_add_test(t, view_of_a_scalar);
    tcase_add_test(t, copies);
    tcase_add_test(t, null_and_wrong);
    tcase_add_test(t, references);
    tcase_add_test(t, memory_fails);
    tcase_add_test(t, shape_texts);
    suite_add_tcase(s, t);
    return t_run(s);
}
