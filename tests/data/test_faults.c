/* SPDX-License-Identifier: MIT */
/* What goes wrong: every allocation and every file call fails once, files are cut and changed. */
#include <edgevision/dataset.h>
#include <sys/stat.h>
#include "support.h"

static char dir[T_PATH];

static ev_image *picture(ev_context *ctx, int32_t width, int32_t height, int32_t format)
{
    ev_image *image = NULL;
    uint64_t seed = 4;
    t_ok(ev_image_create(ctx, width, height, format, &image));
    for (int64_t i = 0; i < ev_image_stride(image) * height; i++)
        ev_image_data(image)[i] = (uint8_t)(i / 7 + (t_random(&seed) & 31));
    return image;
}

/* Pictures of every kind, two classes with a clip each, and a manifest. */
static void setup(void)
{
    static const char *const names[] = {"a.png", "b.ppm", "c.jpg", "d.png"};
    ev_context *ctx = t_context(NULL, 1);
    t_folder(dir);
    ev_dataset *d = NULL;
    t_ok(ev_dataset_create(ctx, 2, NULL, &d));
    for (int i = 0; i < 4; i++) {
        char path[T_PATH];
        ev_image *image = picture(ctx, 19 + i, 14, i == 3 ? EV_PIXEL_GREY : EV_PIXEL_RGB);
        t_ok(ev_image_save(image, t_path(path, dir, names[i]), 85));
        t_ok(ev_dataset_add_path(d, path, i % 2, i < 2 ? "one" : "two"));
        ev_image_destroy(image);
    }
    char path[T_PATH];
    t_ok(ev_dataset_write_manifest(d, t_path(path, dir, "m.csv")));
    ev_dataset_destroy(d);
    ev_context_destroy(ctx);
}

static void teardown(void)
{
    t_folder_remove(dir);
}

/* ---- allocations ----------------------------------------------------------------------------- */

static ev_status decode_all(ev_context *ctx, void *arg)
{
    static const char *const names[] = {"a.png", "b.ppm", "c.jpg", "d.png"};
    (void)arg;
    ev_status status = EV_OK;
    for (int i = 0; status == EV_OK && i < 4; i++) {
        char path[T_PATH];
        ev_image *image = NULL, *small = NULL, *grey = NULL;
        status = ev_image_load(ctx, t_path(path, dir, names[i]), NULL, &image);
        if (status == EV_ERR_UNSUPPORTED)
            status = EV_OK; /* built without JPEG */
        else if (status == EV_OK)
            status = ev_image_resize(image, 9, 8, EV_RESIZE_BICUBIC, &small);
        if (small != NULL)
            status = ev_image_convert(small, EV_PIXEL_GREY, &grey);
        ev_image_destroy(image);
        ev_image_destroy(small);
        ev_image_destroy(grey);
    }
    return status;
}

static ev_status write_all(ev_context *ctx, void *arg)
{
    static const char *const names[] = {"x.png", "x.ppm", "x.jpg"};
    ev_image *image = NULL, *part = NULL, *turned = NULL;
    (void)arg;
    ev_status status = ev_image_create(ctx, 20, 12, EV_PIXEL_NV12, &image);
    if (status == EV_OK)
        status = ev_image_crop(image, 1, 1, 9, 9, &part);
    if (status == EV_OK)
        status = ev_image_flip(part, 0, &turned);
    for (int i = 0; status == EV_OK && i < 3; i++) {
        char path[T_PATH];
        status = ev_image_save(turned, t_path(path, dir, names[i]), 0);
    }
    ev_image_destroy(image);
    ev_image_destroy(part);
    ev_image_destroy(turned);
    return status;
}

static ev_status choose_all(const ev_dataset *d)
{
    static const double fractions[2] = {3, 1};
    ev_dataset *out = NULL, *parts[2] = {NULL, NULL};
    ev_leak_report report;
    EV_OPTIONS_INIT(&report);
    ev_status status = ev_dataset_cap(d, 0, 1, 1, &out);
    ev_dataset_destroy(out);
    out = NULL;
    if (status == EV_OK)
        status = ev_dataset_subset(d, 0.5, 1, &out);
    ev_dataset_destroy(out);
    out = NULL;
    if (status == EV_OK)
        status = ev_dataset_where(d, "group", "one", 0, &out);
    ev_dataset_destroy(out);
    for (int kind = 1; status == EV_OK && kind <= 3; kind++) {
        status = ev_dataset_split(d, fractions, 2, kind, 1, parts);
        if (status == EV_OK)
            status = ev_dataset_leaks(parts[0], parts[1], &report);
        ev_dataset_destroy(parts[0]);
        ev_dataset_destroy(parts[1]);
    }
    return status;
}

static ev_status manifest_all(ev_context *ctx, void *arg)
{
    char path[T_PATH];
    ev_dataset *d = NULL;
    (void)arg;
    ev_status status = ev_dataset_read_manifest(ctx, t_path(path, dir, "m.csv"), NULL, &d);
    if (status == EV_OK)
        status = choose_all(d);
    if (status == EV_OK)
        status = ev_dataset_write_manifest(d, t_path(path, dir, "n.csv"));
    ev_dataset_destroy(d);
    return status;
}

/* arg: a folder with class folders in it */
static ev_status scan_all(ev_context *ctx, void *arg)
{
    ev_dataset *d = NULL;
    ev_status status = ev_dataset_scan(ctx, arg, NULL, &d);
    ev_dataset_destroy(d);
    return status;
}

static ev_status load_all(ev_context *ctx, void *arg)
{
    char path[T_PATH];
    ev_dataset *d = NULL;
    ev_loader *loader = NULL;
    ev_loader_options opt;
    ev_augment_options augment;
    EV_OPTIONS_INIT(&opt);
    EV_OPTIONS_INIT(&augment);
    opt.width = opt.height = 8;
    opt.batch_size = 3;
    opt.shuffle = augment.flip = 1;
    opt.augment = &augment;
    opt.n_threads = *(int32_t *)arg;
    ev_status status = ev_dataset_read_manifest(ctx, t_path(path, dir, "m.csv"), NULL, &d);
    if (status == EV_OK)
        status = ev_loader_create(ctx, d, &opt, &loader);
    for (int epoch = 0; status == EV_OK && epoch < 2; epoch++) {
        int32_t n = 1;
        status = ev_loader_start_epoch(loader, epoch, 0);
        while (status == EV_OK && n > 0)
            status = ev_loader_next(loader, NULL, NULL, NULL, &n);
        if (status == EV_ERR_UNSUPPORTED)
            status = EV_OK;
    }
    ev_loader_destroy(loader);
    ev_dataset_destroy(d);
    return status;
}

START_TEST(allocations)
{
    long n = t_each_alloc(decode_all, NULL, 1, 0);
    printf("decode and resize: %ld allocations\n", n);
    n = t_each_alloc(write_all, NULL, 1, 0);
    printf("write: %ld allocations\n", n);
    n = t_each_alloc(manifest_all, NULL, 1, 0);
    printf("manifest, cap, subset, splits, leaks: %ld allocations\n", n);
    int32_t threads = -1;
    n = t_each_alloc(load_all, &threads, 1, 0);
    printf("load: %ld allocations\n", n);
    threads = 2;
    n = t_each_alloc(load_all, &threads, 1, 0);
    printf("load with 2 threads: %ld allocations\n", n);
    fflush(stdout);
}
END_TEST

START_TEST(allocations_of_scan)
{
    char path[T_PATH];
    static const char *const folders[] = {"classes", "classes/x", "classes/x/clip", "classes/y"};
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(mkdir(t_path(path, dir, folders[i]), 0777), 0);
    t_write(t_path(path, dir, "classes/x/clip/1.png"), "", 0);
    t_write(t_path(path, dir, "classes/x/2.png"), "", 0);
    t_write(t_path(path, dir, "classes/y/3.png"), "", 0);
    long n = t_each_alloc(scan_all, (void *)(uintptr_t)t_path(path, dir, "classes"), 1, 0);
    printf("scan: %ld allocations\n", n);
    fflush(stdout);
}
END_TEST

/* ---- files ----------------------------------------------------------------------------------- */

/* Every call of the file system fails in turn: an error that names the path, the old file whole. */
START_TEST(failing_files)
{
    char path[T_PATH];
    size_t n = 0, m = 0;
    char *before = t_read(t_path(path, dir, "a.png"), &n);
    for (long k = 1; k < 100; k++) {
        t_hooks hooks = {.fail_kind = T_FILE_ANY, .fail_call = k};
        ev_context *ctx = t_context(&hooks, 1);
        ev_image *image = picture(ctx, 30, 30, EV_PIXEL_RGB);
        ev_status status = ev_image_save(image, path, 0);
        ev_image_destroy(image);
        ev_context_destroy(ctx);
        ck_assert_int_eq(atomic_load(&hooks.n_live), 0);
        if (status == EV_OK)
            break;
        ck_assert_int_eq(status, EV_ERR_IO);
        ck_assert_ptr_nonnull(strstr(ev_last_error(), "a.png"));
        char *after = t_read(path, &m);
        bool old = n == m && memcmp(before, after, n) == 0;
        free(after);
        ck_assert(old || hooks.n_calls[T_FILE_RENAME] > 0);
        ck_assert_int_lt(k, 99);
    }
    for (long k = 1; k < 10; k++) {
        t_hooks hooks = {.fail_kind = T_FILE_ANY, .fail_call = k};
        ev_context *ctx = t_context(&hooks, 1);
        ev_image *image = NULL;
        ev_status status = ev_image_load(ctx, t_path(path, dir, "b.ppm"), NULL, &image);
        ck_assert(status == EV_OK || (status == EV_ERR_IO && image == NULL));
        ev_image_destroy(image);
        ev_context_destroy(ctx);
    }
    free(before);
}
END_TEST

/* ---- damaged pictures ------------------------------------------------------------------------ */

static void decode_clean(ev_context *ctx, const void *bytes, size_t n, int32_t *n_good)
{
    ev_image *image = NULL;
    ev_decode_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.allow_partial = (int32_t)(n & 1);
    ev_status status = ev_image_decode(ctx, bytes, n, &opt, &image);
    ck_assert(status == EV_OK || status == EV_ERR_FORMAT || status == EV_ERR_UNSUPPORTED);
    ck_assert((status == EV_OK) == (image != NULL));
    *n_good += status == EV_OK;
    ev_image_destroy(image);
}

/* Every cut; every bit of the first bytes and every third bit behind; no more memory than the size
 * of the picture explains. */
static void damage(const char *name)
{
    char path[T_PATH];
    size_t n = 0;
    int32_t good = 0, all = 0;
    t_hooks hooks = {0};
    ev_context_options limits;
    t_options(&hooks, false, &limits);
    limits.memory_limit_bytes = (uint64_t)512 << 20;
    ev_context *ctx = NULL;
    t_ok(ev_context_create(&limits, &ctx));
    char *bytes = t_read(t_path(path, dir, name), &n);
    for (size_t k = 0; k < n; k++, all++) {
        char *part = malloc(k + 1); /* so that the sanitizer sees a read behind the end */
        memcpy(part, bytes, k);
        decode_clean(ctx, part, k, &good);
        free(part);
    }
    ck_assert(good == 0 || strstr(name, "jpg") != NULL);
    good = all = 0;
    for (size_t bit = 0; bit < n * 8; bit += bit < 512 ? 1 : 3, all++) {
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
        decode_clean(ctx, bytes, n, &good);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    }
    printf("%s: %d of %d changed files still decode; %llu KiB at most\n", name, (int)good, (int)all,
           (unsigned long long)ev_context_memory_peak_bytes(ctx) >> 10);
    fflush(stdout);
    if (strstr(name, "png") != NULL)
        ck_assert_int_eq(good, 0); /* every bit of a PNG is under some checksum */
    free(bytes);
    ev_context_destroy(ctx);
    ck_assert_int_eq(atomic_load(&hooks.n_live), 0);
}

START_TEST(damaged)
{
    damage("a.png");
    damage("b.ppm");
    damage("c.jpg");
    damage("d.png");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("data faults");
    TCase *c = tcase_create("faults");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 250);
    tcase_add_test(c, allocations);
    tcase_add_test(c, allocations_of_scan);
    tcase_add_test(c, failing_files);
    tcase_add_test(c, damaged);
    suite_add_tcase(s, c);
    return t_run(s);
}
