/* SPDX-License-Identifier: MIT */
#include "base_tests.h"

typedef struct now_options {
    uint32_t struct_size;
    int32_t a;
    double b;
} now_options;

typedef struct newer_options {
    uint32_t struct_size;
    int32_t a;
    double b;
    int64_t c;
} newer_options;

START_TEST(init)
{
    now_options o;
    memset(&o, 0xff, sizeof(o));
    EV_OPTIONS_INIT(&o);
    ck_assert_uint_eq(o.struct_size, sizeof(o));
    ck_assert_int_eq(o.a, 0);
    ck_assert(o.b == 0);
    t_status(ev_options_init(NULL, 16), EV_ERR_ARGUMENT);
    t_status(ev_options_init(&o, 3), EV_ERR_ARGUMENT);
    t_status(ev_options_init(&o, 65537), EV_ERR_ARGUMENT);
}
END_TEST

START_TEST(same_age)
{
    now_options ours, from = {sizeof(from), 5, 0.5};
    t_ok(evi_options_read(&ours, sizeof(ours), &from, "f"));
    ck_assert_int_eq(ours.a, 5);
    ck_assert(ours.b == 0.5);
    ck_assert_uint_eq(ours.struct_size, sizeof(ours));
    t_ok(evi_options_read(&ours, sizeof(ours), NULL, "f"));
    ck_assert_int_eq(ours.a, 0);
    ck_assert_uint_eq(ours.struct_size, sizeof(ours));
}
END_TEST

START_TEST(older_caller)
{
    now_options ours, from = {8, 5, 0.5}; /* b did not exist then */
    t_ok(evi_options_read(&ours, sizeof(ours), &from, "f"));
    ck_assert_int_eq(ours.a, 5);
    ck_assert(ours.b == 0);
    from.struct_size = 0;
    t_status(evi_options_read(&ours, sizeof(ours), &from, "f"), EV_ERR_ARGUMENT);
    ck_assert(strstr(ev_last_error(), "f: ") != NULL);
    from.struct_size = 0xa5a5a5a5;
    t_status(evi_options_read(&ours, sizeof(ours), &from, "f"), EV_ERR_ARGUMENT);
}
END_TEST

START_TEST(newer_caller)
{
    now_options ours;
    newer_options from = {sizeof(from), 5, 0.5, 0};
    t_ok(evi_options_read(&ours, sizeof(ours), &from, "f"));
    ck_assert_int_eq(ours.a, 5);
    for (int bit = 0; bit < 64; bit++) {
        from.c = (int64_t)((uint64_t)1 << bit);
        t_status(evi_options_read(&ours, sizeof(ours), &from, "f"), EV_ERR_VERSION);
    }
}
END_TEST

START_TEST(filling)
{
    now_options ours = {sizeof(ours), 5, 0.5}, old = {8, 1, 0.25};
    newer_options newer = {sizeof(newer), 0, 0, 77};
    t_ok(evi_options_write(&old, &ours, sizeof(ours), "f"));
    ck_assert_uint_eq(old.struct_size, 8);
    ck_assert_int_eq(old.a, 5);
    ck_assert(old.b == 0.25); /* not the library's to touch */
    t_ok(evi_options_write(&newer, &ours, sizeof(ours), "f"));
    ck_assert_uint_eq(newer.struct_size, sizeof(ours));
    ck_assert_int_eq(newer.a, 5);
    ck_assert_int_eq(newer.c, 0);
    t_status(evi_options_write(NULL, &ours, sizeof(ours), "f"), EV_ERR_ARGUMENT);
    old.struct_size = 2;
    t_status(evi_options_write(&old, &ours, sizeof(ours), "f"), EV_ERR_ARGUMENT);
}
END_TEST

TCase *options_tests(void)
{
    TCase *t = tcase_create("options");
    tcase_add_test(t, init);
    tcase_add_test(t, same_age);
    tcase_add_test(t, older_caller);
    tcase_add_test(t, newer_caller);
    tcase_add_test(t, filling);
    return t;
}
