/* SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef T_TESTDATA
#define T_TESTDATA "../shared/testdata"
#endif

/* What the sanitizers must know: refusing an absurd size is what we test, and so is a fork. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void *hook_alloc(void *user, size_t size, size_t alignment)
{
    t_hooks *h = user;
    long number = atomic_fetch_add(&h->n_allocs, 1) + 1;
    if (h->fail_alloc != 0 &&
        (number == h->fail_alloc || (h->fail_all_after && number > h->fail_alloc)))
        return NULL;
    void *p = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (p != NULL) {
        memset(p, 0xa5, size); /* nobody may count on zeroes */
        atomic_fetch_add(&h->n_live, 1);
        atomic_fetch_add(&h->n_live_bytes, (long)size);
    }
    return p;
}

static void hook_free(void *user, void *pointer, size_t size)
{
    t_hooks *h = user;
    atomic_fetch_sub(&h->n_live, 1);
    atomic_fetch_sub(&h->n_live_bytes, (long)size);
    free(pointer);
}

static void hook_log(void *user, int32_t level, const char *line)
{
    t_hooks *h = user;
    (void)level;
    h->n_log_lines++;
    (void)snprintf(h->log_line, sizeof(h->log_line), "%s", line);
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Negative errno when this call shall fail, else 0. */
static int64_t fault(t_hooks *h, int32_t kind)
{
    long any = ++h->n_calls[T_FILE_ANY], own = ++h->n_calls[kind];
    if (h->fail_call == 0 || (h->fail_kind != T_FILE_ANY && h->fail_kind != kind))
        return 0;
    long number = h->fail_kind == T_FILE_ANY ? any : own;
    if (number != h->fail_call && !(h->fail_files_after && number > h->fail_call))
        return 0;
    if (h->kill)
        _exit(77);
    return -(h->fail_errno != 0 ? h->fail_errno : EIO);
}

static int64_t hook_open(void *user, const char *path, int32_t mode)
{
    int64_t bad = fault(user, T_FILE_OPEN);
    if (bad != 0)
        return bad;
    int fd = open(path, mode == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC, 0644);
    return fd < 0 ? -errno : fd;
}

static int64_t hook_size(void *user, int64_t handle)
{
    int64_t bad = fault(user, T_FILE_SIZE);
    struct stat st;
    if (bad != 0)
        return bad;
    return fstat((int)handle, &st) != 0 ? -errno : (int64_t)st.st_size;
}

static int64_t interrupted(t_hooks *h, int32_t kind)
{
    return h->interrupt > 0 && h->n_calls[kind] % (h->interrupt + 1) != 0 ? -EINTR : 0;
}

static int64_t hook_read(void *user, int64_t handle, void *to, uint64_t n_bytes)
{
    t_hooks *h = user;
    int64_t bad = fault(h, T_FILE_READ);
    if (bad == 0)
        bad = interrupted(h, T_FILE_READ);
    if (bad != 0)
        return bad;
    if (h->piece != 0 && n_bytes > h->piece)
        n_bytes = h->piece;
    ssize_t n = read((int)handle, to, n_bytes);
    return n < 0 ? -errno : n;
}

static int64_t hook_write(void *user, int64_t handle, const void *from, uint64_t n_bytes)
{
    t_hooks *h = user;
    int64_t bad = fault(h, T_FILE_WRITE);
    if (bad == 0)
        bad = interrupted(h, T_FILE_WRITE);
    if (bad != 0)
        return bad;
    if (h->piece != 0 && n_bytes > h->piece)
        n_bytes = h->piece;
    ssize_t n = write((int)handle, from, n_bytes);
    return n < 0 ? -errno : n;
}

static int64_t hook_sync(void *user, int64_t handle)
{
    int64_t bad = fault(user, T_FILE_SYNC);
    (void)handle; /* a real one would only take time */
    return bad;
}

static int64_t hook_close(void *user, int64_t handle)
{
    int64_t bad = fault(user, T_FILE_CLOSE);
    int result = close((int)handle); /* also when it "fails": as Linux does */
    return bad != 0 ? bad : result != 0 ? -errno : 0;
}

static int64_t hook_rename(void *user, const char *from, const char *to)
{
    int64_t bad = fault(user, T_FILE_RENAME);
    if (bad != 0)
        return bad;
    return rename(from, to) != 0 ? -errno : 0;
}

static int64_t hook_remove(void *user, const char *path)
{
    int64_t bad = fault(user, T_FILE_REMOVE);
    if (bad != 0)
        return bad;
    return unlink(path) != 0 ? -errno : 0;
}

/* ---- contexts -------------------------------------------------------------------------------- */

static const ev_file_hooks file_hooks = {
    .struct_size = sizeof(ev_file_hooks),
    .open = hook_open,
    .size = hook_size,
    .read = hook_read,
    .write = hook_write,
    .sync = hook_sync,
    .close = hook_close,
    .rename = hook_rename,
    .remove = hook_remove,
};

void t_options(t_hooks *h, bool with_files, ev_context_options *out)
{
    EV_OPTIONS_INIT(out);
    out->alloc = hook_alloc;
    out->free = hook_free;
    out->log = hook_log;
    out->user = h;
    out->files = with_files ? &file_hooks : NULL;
}

ev_context *t_context(t_hooks *h, int32_t n_threads)
{
    ev_context_options opt;
    ev_context *ctx = NULL;
    EV_OPTIONS_INIT(&opt);
    if (h != NULL)
        t_options(h, true, &opt);
    opt.n_threads = n_threads;
    t_ok(ev_context_create(&opt, &ctx));
    return ctx;
}

/* One run of body with the k-th allocation failing; true when it needed fewer than k. */
static bool alloc_run(t_body body, void *arg, int32_t n_threads, long k, bool all_after, long *n)
{
    t_hooks h = {.fail_alloc = k, .fail_all_after = all_after};
    ev_context_options opt;
    ev_context *ctx = NULL;
    t_options(&h, false, &opt);
    opt.n_threads = n_threads;
    ev_status status = ev_context_create(&opt, &ctx);
    if (status == EV_OK)
        status = body(ctx, arg);
    else
        ck_assert_ptr_null(ctx);
    ev_context_destroy(ctx);
    *n = h.n_allocs;
    if (status != EV_OK && status != EV_ERR_MEMORY)
        ck_abort_msg("allocation %ld failing: %s: %s", k, ev_status_name(status), ev_last_error());
    if (h.n_live != 0)
        ck_abort_msg("allocation %ld failing: %ld blocks left", k, (long)h.n_live);
    if (*n < k && status != EV_OK)
        ck_abort_msg("no allocation failed and yet: %s", ev_last_error());
    return *n < k;
}

long t_each_alloc(t_body body, void *arg, int32_t n_threads, long most)
{
    for (long k = 1;; k++) {
        long n = 0, unused = 0;
        if (alloc_run(body, arg, n_threads, k, false, &n))
            return n;
        (void)alloc_run(body, arg, n_threads, k, true, &unused);
        if (most != 0 && k >= most)
            return n;
    }
}

/* ---- folders and data ------------------------------------------------------------------------ */

void t_folder(char dir[T_PATH])
{
    const char *top = getenv("TMPDIR");
    (void)snprintf(dir, T_PATH, "%s/ev-test-XXXXXX", top != NULL && top[0] != '\0' ? top : "/tmp");
    if (mkdtemp(dir) == NULL)
        ck_abort_msg("mkdtemp %s: %s", dir, strerror(errno));
}

void t_folder_remove(const char *dir)
{
    DIR *d = opendir(dir);
    if (d == NULL)
        return;
    for (struct dirent *entry = readdir(d); entry != NULL; entry = readdir(d)) {
        char path[T_PATH * 2];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        if (unlink(path) != 0)
            t_folder_remove(path);
    }
    (void)closedir(d);
    (void)rmdir(dir);
}

const char *t_path(char out[T_PATH], const char *dir, const char *name)
{
    int n = snprintf(out, T_PATH, "%s/%s", dir, name);
    ck_assert_int_lt(n, T_PATH);
    return out;
}

void t_write(const char *path, const void *from, size_t n_bytes)
{
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(from, 1, n_bytes, f) != n_bytes || fclose(f) != 0)
        ck_abort_msg("cannot write %s: %s", path, strerror(errno));
}

char *t_read(const char *path, size_t *n_bytes_out)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return NULL;
    char *data = NULL;
    size_t length = 0, got = 0;
    do {
        char *more = realloc(data, length + 65537);
        if (more == NULL)
            break;
        data = more;
        got = fread(data + length, 1, 65536, f);
        length += got;
        data[length] = '\0';
    } while (got > 0);
    (void)fclose(f);
    if (n_bytes_out != NULL)
        *n_bytes_out = length;
    return data;
}

bool t_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

const char *t_testdata(const char *name)
{
    static char path[T_PATH * 2];
    const char *top = getenv("EV_TESTDATA");
    if (top == NULL || top[0] == '\0')
        top = T_TESTDATA;
    (void)snprintf(path, sizeof(path), "%s/%s", top, name);
    return t_exists(path) ? path : NULL;
}

/* ---- numbers, running ------------------------------------------------------------------------ */

void t_fill(float *to, size_t n, uint64_t seed)
{
    uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
    for (size_t i = 0; i < n; i++)
        to[i] = t_random_float(&state);
}

double t_peak_error(const float *a, const float *b, size_t n)
{
    double worst = 0, peak = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(a[i]) && isnan(b[i]))
            continue;
        if (isnan(a[i]) || isnan(b[i]))
            return (double)INFINITY;
        double error = fabs((double)a[i] - (double)b[i]);
        if (a[i] == b[i]) /* both infinite as well */
            error = 0;
        worst = error > worst ? error : worst;
        peak = fabs((double)b[i]) > peak ? fabs((double)b[i]) : peak;
    }
    return peak > 0 ? worst / peak : worst;
}

int t_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
