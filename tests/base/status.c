/* SPDX-License-Identifier: MIT */
#include "base_tests.h"

#include <errno.h>
#include <pthread.h>

START_TEST(names)
{
    ck_assert_str_eq(ev_status_name(EV_OK), "EV_OK");
    ck_assert_str_eq(ev_status_name(EV_ERR_ARGUMENT), "EV_ERR_ARGUMENT");
    ck_assert_str_eq(ev_status_name(EV_ERR_FORMAT), "EV_ERR_FORMAT");
    ck_assert_str_eq(ev_status_name(EV_ERR_STATE), "EV_ERR_STATE");
    ck_assert_str_eq(ev_status_name(EV_ERR_INTERNAL), "EV_ERR_INTERNAL");
    ck_assert_str_eq(ev_status_name(1), "EV_ERR_?");
    ck_assert_str_eq(ev_status_name(EV_ERR_GOAL), "EV_ERR_GOAL");
    ck_assert_str_eq(ev_status_name(-14), "EV_ERR_?");
    ck_assert_str_eq(ev_status_name(INT32_MIN), "EV_ERR_?");
    ck_assert_str_eq(ev_status_name(INT32_MAX), "EV_ERR_?");
}
END_TEST

START_TEST(version)
{
    ck_assert_int_eq(ev_version_number(), 100);
    ck_assert_str_eq(ev_version(), "0.1.0");
}
END_TEST

START_TEST(line)
{
    ck_assert_str_eq(ev_last_error(), "");
    errno = 42;
    ck_assert_int_eq(evi_fail(EV_ERR_SHAPE, "a %d\nb\t%s\x7f", 7, "c"), EV_ERR_SHAPE);
    ck_assert_int_eq(errno, 42);
    ck_assert_str_eq(ev_last_error(), "a 7 b c ");
    ck_assert_int_eq(evi_fail_in(EV_ERR_IO, "file %s", "x"), EV_ERR_IO);
    ck_assert_str_eq(ev_last_error(), "file x: a 7 b c ");
    (void)evi_fail(EV_ERR_IO, "<%s>", ev_last_error()); /* its own line as an argument */
    ck_assert_str_eq(ev_last_error(), "<file x: a 7 b c >");

    char big[2000];
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = '\0';
    (void)evi_fail(EV_ERR_IO, "%s", big);
    ck_assert_uint_eq(strlen(ev_last_error()), 511);
    (void)evi_fail_in(EV_ERR_IO, "%s", big);
    ck_assert_uint_eq(strlen(ev_last_error()), 511);
}
END_TEST

static void *other_thread(void *seen)
{
    bool empty = ev_last_error()[0] == '\0';
    (void)evi_fail(EV_ERR_STATE, "other");
    *(bool *)seen = empty && strcmp(ev_last_error(), "other") == 0;
    return NULL;
}

START_TEST(line_is_of_the_thread)
{
    pthread_t thread;
    bool good = false;
    (void)evi_fail(EV_ERR_STATE, "mine");
    ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, &good), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(good);
    ck_assert_str_eq(ev_last_error(), "mine");
}
END_TEST

START_TEST(handles)
{
    t_hooks h = {0};
    ev_context *ctx = t_context(&h, 1);
    evi_handle *object = NULL;
    ck_assert_ptr_null(evi_handle_ref(NULL, EVI_MAGIC_IMAGE));
    ck_assert(!evi_handle_drop(NULL, EVI_MAGIC_IMAGE));
    t_status(evi_check_handle(NULL, EVI_MAGIC_IMAGE, "f", "image"), EV_ERR_ARGUMENT);
    ck_assert_str_eq(ev_last_error(), "f: image is NULL");

    t_ok(evi_calloc(ctx, 1, sizeof(*object), &object));
    evi_handle_start(object, EVI_MAGIC_IMAGE, ctx);
    ev_context_destroy(ctx); /* the object holds it */
    t_ok(evi_check_handle(object, EVI_MAGIC_IMAGE, "f", "image"));
    t_status(evi_check_handle(object, EVI_MAGIC_MODEL, "f", "model"), EV_ERR_ARGUMENT);
    ck_assert_ptr_null(evi_handle_ref(object, EVI_MAGIC_MODEL));
    ck_assert_ptr_eq(evi_handle_ref(object, EVI_MAGIC_IMAGE), object);
    ck_assert(!evi_handle_drop(object, EVI_MAGIC_MODEL));
    ck_assert(!evi_handle_drop(object, EVI_MAGIC_IMAGE));
    ck_assert(evi_handle_drop(object, EVI_MAGIC_IMAGE));
    ck_assert_int_gt(h.n_live, 0);
    evi_handle_end(object);
    ck_assert_int_eq(h.n_live, 0);
}
END_TEST

TCase *status_tests(void)
{
    TCase *t = tcase_create("status");
    tcase_add_test(t, names);
    tcase_add_test(t, version);
    tcase_add_test(t, line);
    tcase_add_test(t, line_is_of_the_thread);
    tcase_add_test(t, handles);
    return t;
}
