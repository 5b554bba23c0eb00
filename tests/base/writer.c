/* SPDX-License-Identifier: MIT */
/* Atomic writing: after any fault the old file is there, or the new one, and nothing else. */
#include "base_tests.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_BYTES 200000

static char dir[T_PATH], path[T_PATH], tmp[T_PATH];
static char old_content[] = "the old file";
static char new_content[N_BYTES];

static void setup(void)
{
    t_folder(dir);
    t_path(path, dir, "file");
    t_path(tmp, dir, "file.tmp");
    for (size_t i = 0; i < N_BYTES; i++)
        new_content[i] = (char)(i * 13 + i / 251);
    t_write(path, old_content, sizeof(old_content));
}

static void teardown(void)
{
    (void)chmod(dir, 0700);
    t_folder_remove(dir);
}

static bool is_new(void)
{
    size_t n = 0;
    char *data = t_read(path, &n);
    ck_assert_ptr_nonnull(data);
    bool old_one = n == sizeof(old_content) && memcmp(data, old_content, n) == 0;
    bool new_one = n == N_BYTES && memcmp(data, new_content, n) == 0;
    free(data);
    ck_assert_msg(old_one || new_one, "neither the old file nor the new one");
    return new_one;
}

/* In pieces that are small, large, and larger than the buffer. */
static ev_status save(ev_context *ctx)
{
    evi_writer *w = NULL;
    uint64_t at = 0, piece = 1;
    EVI_TRY(evi_writer_open(ctx, path, &w));
    while (at < N_BYTES) {
        uint64_t n = EVI_MIN(piece, N_BYTES - at);
        (void)evi_writer_write(w, new_content + at, n);
        at += n;
        piece = piece * 3;
    }
    return evi_writer_commit(w);
}

START_TEST(plain)
{
    ev_context *ctx = t_context(NULL, 1);
    errno = 3;
    t_ok(save(ctx));
    ck_assert_int_eq(errno, 3);
    ck_assert(is_new());
    ck_assert(!t_exists(tmp));
    t_ok(evi_file_write(ctx, path, "x", 0));
    size_t n = 9;
    char *data = t_read(path, &n);
    ck_assert_uint_eq(n, 0);
    free(data);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(pieces)
{
    t_hooks h = {.piece = 777, .interrupt = 3};
    ev_context *ctx = t_context(&h, 1);
    t_ok(save(ctx));
    ck_assert(is_new());
    ev_context_destroy(ctx);
    ck_assert_int_eq(h.n_live, 0);
}
END_TEST

START_TEST(abandoned)
{
    ev_context *ctx = t_context(NULL, 1);
    evi_writer *w = NULL;
    t_ok(evi_writer_open(ctx, path, &w));
    t_ok(evi_writer_write(w, "abc", 3));
    ck_assert(t_exists(tmp));
    evi_writer_abandon(w);
    evi_writer_abandon(NULL);
    ck_assert(!t_exists(tmp));
    ck_assert(!is_new());
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(stale_file_is_replaced)
{
    ev_context *ctx = t_context(NULL, 1);
    t_write(tmp, new_content, N_BYTES); /* what a killed process leaves */
    t_ok(evi_file_write(ctx, path, "short", 5));
    ck_assert(!t_exists(tmp));
    size_t n = 0;
    char *data = t_read(path, &n);
    ck_assert_uint_eq(n, 5);
    free(data);
    ev_context_destroy(ctx);
}
END_TEST

static void fail_each(int32_t error, bool all_after, const char *reason)
{
    for (long k = 1;; k++) {
        t_hooks h = {.fail_call = k, .fail_errno = error, .fail_files_after = all_after};
        ev_context *ctx = t_context(&h, 1);
        ev_status status = save(ctx);
        if (status != EV_OK) {
            ck_assert_int_eq(status, EV_ERR_IO);
            ck_assert_msg(strstr(ev_last_error(), path) != NULL, "%s", ev_last_error());
            ck_assert_msg(strstr(ev_last_error(), reason) != NULL, "%s", ev_last_error());
            ck_assert(!is_new());
            ck_assert(all_after || !t_exists(tmp));
        }
        ev_context_destroy(ctx);
        ck_assert_int_eq(h.n_live, 0);
        if (status == EV_OK) {
            ck_assert(is_new());
            ck_assert_int_ge(k, 6);
            break;
        }
    }
}

START_TEST(each_call_fails)
{
    fail_each(EIO, false, "Input/output error");
    t_write(path, old_content, sizeof(old_content));
    fail_each(ENOSPC, false, "No space left");
    t_write(path, old_content, sizeof(old_content));
    fail_each(ENOSPC, true, "No space left");
}
END_TEST

START_TEST(killed_at_each_call)
{
    long killed = 0;
    for (long k = 1;; k++) {
        t_write(path, old_content, sizeof(old_content));
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            t_hooks h = {.fail_call = k, .kill = true, .piece = 30000};
            ev_context *ctx = t_context(&h, 1);
            _exit(save(ctx) == EV_OK ? 0 : 1);
        }
        int status = -1;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status));
        bool now_new = is_new();
        if (WEXITSTATUS(status) == 0) {
            ck_assert(now_new);
            break;
        }
        ck_assert_int_eq(WEXITSTATUS(status), 77);
        killed++;
        ev_context *ctx = t_context(NULL, 1); /* the next save clears up */
        t_ok(save(ctx));
        ck_assert(is_new() && !t_exists(tmp));
        ev_context_destroy(ctx);
    }
    ck_assert_int_ge(killed, 9);
}
END_TEST

START_TEST(no_folder)
{
    ev_context *ctx = t_context(NULL, 1);
    char deep[T_PATH];
    evi_writer *w = (evi_writer *)ctx;
    t_path(deep, dir, "no/such");
    t_status(evi_writer_open(ctx, deep, &w), EV_ERR_IO);
    ck_assert_ptr_null(w);
    ck_assert(strstr(ev_last_error(), deep) != NULL);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(full_disk)
{
    t_hooks h = {0};
    ev_context *ctx = t_context(NULL, 1);
    (void)h;
    if (t_exists("/dev/full")) { /* through a link, since the temporary file has the name */
        ck_assert_int_eq(symlink("/dev/full", tmp), 0);
        t_status(save(ctx), EV_ERR_IO);
        ck_assert(strstr(ev_last_error(), "No space left") != NULL);
        ck_assert(!is_new());
        ck_assert(t_exists("/dev/full"));
    }
    ev_context_destroy(ctx);
}
END_TEST

static ev_status save_body(ev_context *ctx, void *arg)
{
    (void)arg;
    return save(ctx);
}

START_TEST(memory_fails)
{
    ck_assert_int_ge(t_each_alloc(save_body, NULL, 1, 0), 5);
    ck_assert(is_new());
    ck_assert(!t_exists(tmp));
}
END_TEST

TCase *writer_tests(void)
{
    TCase *t = tcase_create("writer");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, plain);
    tcase_add_test(t, pieces);
    tcase_add_test(t, abandoned);
    tcase_add_test(t, stale_file_is_replaced);
    tcase_add_test(t, each_call_fails);
    tcase_add_test(t, killed_at_each_call);
    tcase_add_test(t, no_folder);
    tcase_add_test(t, full_disk);
    tcase_add_test(t, memory_fails);
    return t;
}
