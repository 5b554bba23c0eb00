/* SPDX-License-Identifier: MIT */
/* Reading whole files. */
#include "base_tests.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[T_PATH], path[T_PATH];

static void setup(void)
{
    t_folder(dir);
    t_path(path, dir, "file");
}

static void teardown(void)
{
    t_folder_remove(dir);
}

START_TEST(whole)
{
    static const size_t sizes[] = {0, 1, 4095, 4096, 70000};
    t_hooks h = {.piece = 1000, .interrupt = 2};
    ev_context *plain = t_context(NULL, 1), *slow = t_context(&h, 1);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        static char content[70000];
        for (size_t k = 0; k < sizes[i]; k++)
            content[k] = (char)(k * 31 + 1);
        t_write(path, content, sizes[i]);
        for (int which = 0; which < 2; which++) {
            char *data = NULL;
            uint64_t n = 99;
            t_ok(evi_file_read(which == 0 ? plain : slow, path, sizes[i], &data, &n));
            ck_assert_uint_eq(n, sizes[i]);
            ck_assert_int_eq(memcmp(data, content, sizes[i]), 0);
            ck_assert_int_eq(data[n], 0);
            evi_free(data);
            if (sizes[i] > 0) {
                t_status(evi_file_read(plain, path, sizes[i] - 1, &data, &n), EV_ERR_FORMAT);
                ck_assert_ptr_null(data);
                ck_assert_uint_eq(n, 0);
            }
        }
    }
    ev_context_destroy(plain);
    ev_context_destroy(slow);
    ck_assert_int_eq(h.n_live, 0);
}
END_TEST

START_TEST(not_there)
{
    ev_context *ctx = t_context(NULL, 1);
    char *data = NULL;
    uint64_t n = 0;
    t_status(evi_file_read(ctx, path, 100, &data, &n), EV_ERR_IO);
    ck_assert(strstr(ev_last_error(), path) != NULL);
    ck_assert(strstr(ev_last_error(), "No such file") != NULL);
    t_status(evi_file_read(ctx, dir, 100, &data, &n), EV_ERR_IO);
    ck_assert(strstr(ev_last_error(), "directory") != NULL);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(no_size)
{
    ev_context *ctx = t_context(NULL, 1);
    char *data = NULL;
    uint64_t n = 0;
    if (t_exists("/proc/self/maps")) { /* says 0 bytes and has more */
        t_ok(evi_file_read(ctx, "/proc/self/maps", 1 << 24, &data, &n));
        ck_assert_uint_gt(n, 100);
        ck_assert_uint_eq(strlen(data), n);
        evi_free(data);
    }
    if (t_exists("/dev/zero")) /* has no end */
        t_status(evi_file_read(ctx, "/dev/zero", 100000, &data, &n), EV_ERR_FORMAT);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(each_call_fails)
{
    t_write(path, "0123456789", 10);
    for (long k = 1;; k++) {
        t_hooks h = {.fail_call = k};
        ev_context *ctx = t_context(&h, 1);
        char *data = NULL;
        uint64_t n = 0;
        ev_status status = evi_file_read(ctx, path, 100, &data, &n);
        if (status == EV_OK) {
            ck_assert_int_ge(k, 6); /* open, size, read, read, close */
            evi_free(data);
        } else {
            ck_assert_int_eq(status, EV_ERR_IO);
            ck_assert(strstr(ev_last_error(), path) != NULL);
            ck_assert(strstr(ev_last_error(), "Input/output error") != NULL);
            ck_assert_ptr_null(data);
        }
        ev_context_destroy(ctx);
        ck_assert_int_eq(h.n_live, 0);
        if (status == EV_OK)
            break;
    }
}
END_TEST

START_TEST(interrupted_for_ever)
{
    t_hooks h = {
        .fail_kind = T_FILE_READ, .fail_call = 1, .fail_errno = EINTR, .fail_files_after = true};
    ev_context *ctx = t_context(&h, 1);
    char *data = NULL;
    uint64_t n = 0;
    t_write(path, "x", 1);
    t_status(evi_file_read(ctx, path, 100, &data, &n), EV_ERR_IO);
    ev_context_destroy(ctx);
}
END_TEST

TCase *file_tests(void)
{
    TCase *t = tcase_create("file");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, whole);
    tcase_add_test(t, not_there);
    tcase_add_test(t, no_size);
    tcase_add_test(t, each_call_fails);
    tcase_add_test(t, interrupted_for_ever);
    return t;
}
