/* SPDX-License-Identifier: MIT */
/* libFuzzer target: any bytes as a manifest; what is read is split, filtered and written again.
 * The file hooks keep it all in memory.  Built like fuzz_image.c. */
#include <edgevision/dataset.h>
#include <errno.h>
#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

typedef struct memory_file {
    const uint8_t *bytes;
    size_t n, at;
} memory_file;

static int64_t file_open(void *user, const char *path, int32_t mode)
{
    ((memory_file *)user)->at = 0;
    return mode == 0 && strstr(path, "m.csv") == NULL ? -ENOENT : 0;
}

static int64_t file_size(void *user, int64_t handle)
{
    (void)handle;
    return (int64_t)((memory_file *)user)->n;
}

static int64_t file_read(void *user, int64_t handle, void *to, uint64_t n_bytes)
{
    (void)handle;
    memory_file *f = user;
    size_t n = f->n - f->at < n_bytes ? f->n - f->at : (size_t)n_bytes;
    if (n > 0)
        memcpy(to, f->bytes + f->at, n);
    f->at += n;
    return (int64_t)n;
}

static int64_t file_write(void *user, int64_t handle, const void *from, uint64_t n_bytes)
{
    (void)user;
    (void)handle;
    (void)from;
    return (int64_t)n_bytes;
}

static int64_t file_done(void *user, int64_t handle)
{
    (void)user;
    (void)handle;
    return 0;
}

static int64_t file_rename(void *user, const char *from, const char *to)
{
    (void)user;
    (void)from;
    (void)to;
    return 0;
}

static int64_t file_remove(void *user, const char *path)
{
    (void)user;
    (void)path;
    return 0;
}

static void use(const ev_dataset *d)
{
    static const double fractions[3] = {64, 16, 20};
    ev_dataset *parts[3] = {NULL, NULL, NULL}, *out = NULL;
    ev_leak_report report;
    EV_OPTIONS_INIT(&report);
    if (ev_dataset_split(d, fractions, 3, EV_SPLIT_GROUPED, 1, parts) == EV_OK)
        (void)ev_dataset_leaks(parts[0], parts[2], &report);
    for (int i = 0; i < 3; i++)
        ev_dataset_destroy(parts[i]);
    if (ev_dataset_filter(d, "x", -INFINITY, 1, 1, &out) == EV_OK)
        (void)ev_dataset_write_manifest(out, "out.csv");
    ev_dataset_destroy(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    memory_file file = {bytes, n, 0};
    ev_file_hooks hooks;
    ev_context_options opt;
    ev_context *ctx = NULL;
    ev_dataset *d = NULL;
    EV_OPTIONS_INIT(&hooks);
    EV_OPTIONS_INIT(&opt);
    hooks.open = file_open;
    hooks.size = file_size;
    hooks.read = file_read;
    hooks.write = file_write;
    hooks.sync = hooks.close = file_done;
    hooks.rename = file_rename;
    hooks.remove = file_remove;
    opt.files = &hooks;
    opt.user = &file;
    opt.memory_limit_bytes = (uint64_t)64 << 20;
    if (ev_context_create(&opt, &ctx) != EV_OK)
        return 0;
    if (ev_dataset_read_manifest(ctx, "folder/m.csv", NULL, &d) == EV_OK)
        use(d);
    ev_dataset_destroy(d);
    ev_context_destroy(ctx);
    return 0;
}
