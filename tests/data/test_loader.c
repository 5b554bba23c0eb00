/* SPDX-License-Identifier: MIT */
/* The loader: the same batches for any number of threads, resuming, cache, augmentation, errors. */
#include <edgevision/dataset.h>
#include <math.h>
#include "support.h"

enum { N = 23, W = 12, H = 10 };

static ev_context *ctx;
static char dir[T_PATH];
static ev_dataset *files;

/* N small picture files of different sizes. */
static void setup(void)
{
    ctx = t_context(NULL, 1);
    t_folder(dir);
    t_ok(ev_dataset_create(ctx, 3, NULL, &files));
    uint64_t seed = 9;
    for (int i = 0; i < N; i++) {
        char name[32], path[T_PATH];
        ev_image *image = NULL;
        t_ok(ev_image_create(ctx, 8 + i, 20 - i / 2, EV_PIXEL_RGB, &image));
        for (int64_t k = 0; k < ev_image_stride(image) * ev_image_height(image); k++)
            ev_image_data(image)[k] = (uint8_t)t_random(&seed);
        snprintf(name, sizeof(name), "%02d.png", i);
        t_ok(ev_image_save(image, t_path(path, dir, name), 0));
        t_ok(ev_dataset_add_path(files, path, i % 3, NULL));
        ev_image_destroy(image);
    }
}

static void teardown(void)
{
    ev_dataset_destroy(files);
    t_folder_remove(dir);
    ev_context_destroy(ctx);
}

static void options(ev_loader_options *opt, ev_augment_options *augment)
{
    EV_OPTIONS_INIT(opt);
    EV_OPTIONS_INIT(augment);
    opt->width = W;
    opt->height = H;
    opt->batch_size = 5;
    opt->shuffle = 1;
    opt->seed = 11;
    augment->flip = 1;
    augment->shift_x = augment->shift_y = 0.2f;
    augment->rotation = 40;
    augment->shear = augment->zoom = 0.2f;
    augment->brightness = augment->contrast = augment->noise = 0.1f;
    opt->augment = augment;
}

static uint64_t mix(uint64_t h, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h;
}

/* All batches from (epoch, first) to the end of the epoch, as a sum. */
static uint64_t epoch_sum(ev_loader *loader, int32_t epoch, int32_t first)
{
    ev_tensor *images = NULL;
    const int32_t *labels = NULL, *items = NULL;
    int32_t n = 0;
    uint64_t h = 14695981039346656037u;
    t_ok(ev_loader_start_epoch(loader, epoch, first));
    for (;;) {
        t_ok(ev_loader_next(loader, &images, &labels, &items, &n));
        if (n == 0)
            break;
        ck_assert_int_eq(ev_tensor_dim(images, 0), n);
        h = mix(h, &n, sizeof(n));
        h = mix(h, ev_tensor_data(images), ev_tensor_bytes(images));
        h = mix(h, labels, (size_t)n * sizeof(*labels));
        h = mix(h, items, (size_t)n * sizeof(*items));
    }
    ck_assert_ptr_null(images);
    return h;
}

START_TEST(threads)
{
    ev_loader_options opt;
    ev_augment_options augment;
    uint64_t want[4] = {0};
    for (int n = 0; n <= 4; n++)
        for (int cache = -1; cache <= 1; cache++) {
            options(&opt, &augment);
            opt.n_threads = n == 0 ? -1 : n;
            opt.cache_bytes = cache > 0 ? 7 * W * H * 3 : cache; /* all, some, none */
            ev_loader *loader = NULL;
            t_ok(ev_loader_create(ctx, files, &opt, &loader));
            ck_assert_int_eq(ev_loader_batches(loader), 5);
            for (int epoch = 0; epoch < 3; epoch++) {
                uint64_t h = epoch_sum(loader, epoch, 0);
                if (n == 0 && cache == -1)
                    want[epoch] = h;
                ck_assert(h == want[epoch]);
            }
            ck_assert(want[0] != want[1] && want[1] != want[2]);
            /* go on in the middle, as after a stop */
            uint64_t half = epoch_sum(loader, 1, 3);
            if (n == 0 && cache == -1)
                want[3] = half;
            ck_assert(half == want[3]);
            ck_assert(epoch_sum(loader, 0, 0) == want[0]);
            ev_loader_destroy(loader);
        }
}
END_TEST

/* Without augmentation a batch is what ev_image_to_tensor() gives. */
START_TEST(as_deployed)
{
    ev_loader_options opt;
    ev_augment_options augment;
    ev_pixel_options pixels;
    options(&opt, &augment);
    EV_OPTIONS_INIT(&pixels);
    pixels.color_order = EV_PIXEL_BGR;
    pixels.resize = EV_RESIZE_BICUBIC;
    pixels.mean[1] = 0.3f;
    pixels.std[2] = 0.5f;
    opt.augment = NULL;
    opt.pixels = &pixels;
    for (int channels = 1; channels <= 3; channels += 2) {
        const int64_t dims[4] = {1, channels, H, W};
        ev_loader *loader = NULL;
        ev_tensor *images = NULL, *one = NULL;
        const int32_t *labels = NULL, *items = NULL;
        int32_t n = 0, seen = 0;
        opt.channels = channels;
        t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &one));
        t_ok(ev_loader_create(ctx, files, &opt, &loader));
        while (ev_loader_next(loader, &images, &labels, &items, &n) == EV_OK && n > 0) {
            for (int32_t i = 0; i < n; i++, seen++) {
                ev_image *image = NULL;
                t_ok(ev_dataset_image(files, items[i], NULL, &image));
                t_ok(ev_image_to_tensor(image, &pixels, one, 0));
                ck_assert_mem_eq(ev_tensor_data(one),
                                 (float *)ev_tensor_data(images) + i * channels * H * W,
                                 ev_tensor_bytes(one));
                ck_assert_int_eq(labels[i], ev_dataset_label(files, items[i]));
                ev_image_destroy(image);
            }
        }
        ck_assert_int_eq(seen, N);
        ev_tensor_destroy(one);
        ev_loader_destroy(loader);
    }
}
END_TEST

START_TEST(order_and_last)
{
    ev_loader_options opt;
    ev_augment_options augment;
    options(&opt, &augment);
    opt.shuffle = 0;
    opt.drop_last = 1;
    ev_loader *loader = NULL;
    t_ok(ev_loader_create(ctx, files, &opt, &loader));
    ck_assert_int_eq(ev_loader_batches(loader), 4);
    const int32_t *items = NULL;
    int32_t n = 0, at = 0;
    while (ev_loader_next(loader, NULL, NULL, &items, &n) == EV_OK && n > 0)
        for (int32_t i = 0; i < n; i++)
            ck_assert_int_eq(items[i], at++);
    ck_assert_int_eq(at, 20);
    t_ok(ev_loader_next(loader, NULL, NULL, NULL, &n));
    ck_assert_int_eq(n, 0);
    t_status(ev_loader_start_epoch(loader, -1, 0), EV_ERR_ARGUMENT);
    t_status(ev_loader_start_epoch(loader, 0, 5), EV_ERR_ARGUMENT);
    t_ok(ev_loader_start_epoch(loader, 0, 4));
    t_ok(ev_loader_next(loader, NULL, NULL, NULL, &n));
    ck_assert_int_eq(n, 0);
    ev_loader_destroy(loader);
    opt.batch_size = 100;
    t_ok(ev_loader_create(ctx, files, &opt, &loader));
    ck_assert_int_eq(ev_loader_batches(loader), 0);
    t_ok(ev_loader_next(loader, NULL, NULL, NULL, &n));
    ck_assert_int_eq(n, 0);
    ev_loader_destroy(loader);
    opt.drop_last = 0;
    t_ok(ev_loader_create(ctx, files, &opt, &loader));
    t_ok(ev_loader_next(loader, NULL, NULL, NULL, &n));
    ck_assert_int_eq(n, N);
    ev_loader_destroy(loader);
    ev_loader_destroy(NULL);
}
END_TEST

/* The items of an epoch's batches from `first` on. */
static int32_t items_of(ev_loader *loader, int32_t epoch, int32_t first, int32_t out[N])
{
    const int32_t *items = NULL;
    int32_t n = 0, sum = 0;
    t_ok(ev_loader_start_epoch(loader, epoch, first));
    while (ev_loader_next(loader, NULL, NULL, &items, &n) == EV_OK && n > 0) {
        ck_assert_int_le(sum + n, N);
        memcpy(out + sum, items, (size_t)n * sizeof(*items));
        sum += n;
    }
    return sum;
}

/* Drawn with replacement: each place of an epoch has an item, and changes, of its own, whatever the
 * threads, the cache, the batches, and where the epoch was begun. */
START_TEST(replacement)
{
    ev_loader_options opt;
    ev_augment_options augment;
    uint64_t want[2] = {0};
    int32_t first[2][N], again[N], drawn[N] = {0}, twice = 0;
    for (int n = 0; n <= 4; n++)
        for (int cache = -1; cache <= 1; cache++) {
            options(&opt, &augment);
            opt.replacement = 1;
            opt.shuffle = n % 2;
            opt.n_threads = n == 0 ? -1 : n;
            opt.cache_bytes = cache > 0 ? 7 * W * H * 3 : cache;
            ev_loader *loader = NULL;
            t_ok(ev_loader_create(ctx, files, &opt, &loader));
            for (int epoch = 0; epoch < 2; epoch++) {
                uint64_t h = epoch_sum(loader, epoch, 0);
                want[epoch] = n == 0 && cache == -1 ? h : want[epoch];
                ck_assert(h == want[epoch]);
                ck_assert_int_eq(items_of(loader, epoch, 0, first[epoch]), N);
            }
            ck_assert_int_eq(items_of(loader, 1, 3, again), N - 15);
            ck_assert_mem_eq(again, first[1] + 15, (N - 15) * sizeof(int32_t));
            ev_loader_destroy(loader);
        }
    ck_assert_mem_ne(first[0], first[1], sizeof(first[0]));
    for (int i = 0; i < N; i++) {
        ck_assert(first[0][i] >= 0 && first[0][i] < N);
        twice += drawn[first[0][i]]++ > 0;
    }
    ck_assert_int_gt(twice, 3); /* about N/e */
    opt.batch_size = 2;
    ev_loader *loader = NULL;
    t_ok(ev_loader_create(ctx, files, &opt, &loader));
    ck_assert_int_eq(items_of(loader, 0, 0, again), N);
    ck_assert_mem_eq(again, first[0], sizeof(again));
    ev_loader_destroy(loader);
}
END_TEST

/* The same item at two places of an epoch is changed in two ways. */
START_TEST(replacement_changes)
{
    ev_loader_options opt;
    ev_augment_options augment;
    ev_image *image = NULL;
    ev_dataset *two = NULL;
    ev_loader *loader = NULL;
    ev_tensor *images = NULL;
    const int32_t *items = NULL;
    int32_t n = 0;
    options(&opt, &augment);
    opt.replacement = 1;
    opt.batch_size = 3;
    t_ok(ev_dataset_create(ctx, 3, NULL, &two));
    t_ok(ev_dataset_image(files, 0, NULL, &image));
    for (int i = 0; i < 3; i++)
        t_ok(ev_dataset_add_image(two, image, 0, NULL));
    t_ok(ev_loader_create(ctx, two, &opt, &loader));
    for (int epoch = 0; epoch < 20; epoch++) {
        t_ok(ev_loader_start_epoch(loader, epoch, 0));
        t_ok(ev_loader_next(loader, &images, NULL, &items, &n));
        const float *p = ev_tensor_data(images);
        const size_t bytes = 3 * W * H * sizeof(float);
        ck_assert_int_eq(n, 3);
        ck_assert_mem_ne(p, p + 3 * W * H, bytes);
        ck_assert_mem_ne(p + 3 * W * H, p + 6 * W * H, bytes);
    }
    ev_loader_destroy(loader);
    ev_dataset_destroy(two);
    ev_image_destroy(image);
}
END_TEST

START_TEST(unreadable)
{
    char path[T_PATH];
    ev_loader_options opt;
    ev_augment_options augment;
    t_write(t_path(path, dir, "07.png"), "not a picture", 13);
    t_write(t_path(path, dir, "08.png"), "P6", 2);
    for (int n_threads = -1; n_threads <= 3; n_threads += 2) {
        options(&opt, &augment);
        opt.n_threads = n_threads;
        opt.shuffle = 0;
        ev_loader *loader = NULL;
        int32_t n = 0, good = 0, bad = 0;
        t_ok(ev_loader_create(ctx, files, &opt, &loader));
        for (int i = 0; i < 5; i++) {
            ev_status status = ev_loader_next(loader, NULL, NULL, NULL, &n);
            good += n;
            if (status == EV_OK)
                continue;
            ck_assert_int_eq(status, EV_ERR_FORMAT);
            ck_assert_int_eq(n, 0);
            ck_assert_ptr_nonnull(strstr(ev_last_error(), "07.png")); /* the first one */
            bad++;
        }
        ck_assert_int_eq(good, N - 5);
        ck_assert_int_eq(bad, 1);
        ev_loader_destroy(loader);
        opt.skip_unreadable = 1;
        opt.batch_size = 2; /* one whole batch falls out: 6,7 and 8,9 lose one each */
        t_ok(ev_loader_create(ctx, files, &opt, &loader));
        const int32_t *items = NULL;
        good = 0;
        while (ev_loader_next(loader, NULL, NULL, &items, &n) == EV_OK && n > 0)
            for (int32_t i = 0; i < n; i++, good++)
                ck_assert(items[i] != 7 && items[i] != 8);
        ck_assert_int_eq(good, N - 2);
        ck_assert_int_eq(ev_loader_skipped(loader), 2);
        ev_loader_destroy(loader);
        opt.batch_size = 1;
        t_ok(ev_loader_create(ctx, files, &opt, &loader));
        good = 0;
        while (ev_loader_next(loader, NULL, NULL, NULL, &n) == EV_OK && n > 0)
            good += n;
        ck_assert_int_eq(good, N - 2);
        ev_loader_destroy(loader);
    }
}
END_TEST

START_TEST(arguments)
{
    ev_loader_options opt;
    ev_augment_options augment;
    ev_loader *loader = NULL;
    ev_dataset *none = NULL;
    options(&opt, &augment);
    t_ok(ev_dataset_select(files, NULL, 0, &none));
    t_status(ev_loader_create(ctx, none, &opt, &loader), EV_ERR_ARGUMENT);
    ev_dataset_destroy(none);
    int32_t *fields[] = {&opt.width, &opt.height, &opt.channels, &opt.batch_size};
    static const int32_t wrong[] = {65536, -1, 2, 65537};
    for (int i = 0; i < 4; i++) {
        int32_t before = *fields[i];
        *fields[i] = wrong[i];
        t_status(ev_loader_create(ctx, files, &opt, &loader), EV_ERR_ARGUMENT);
        *fields[i] = before;
    }
    opt.n_threads = 65;
    t_status(ev_loader_create(ctx, files, &opt, &loader), EV_ERR_ARGUMENT);
    opt.n_threads = 0;
    augment.zoom = 1;
    t_status(ev_loader_create(ctx, files, &opt, &loader), EV_ERR_ARGUMENT);
    augment.zoom = NAN;
    t_status(ev_loader_create(ctx, files, &opt, &loader), EV_ERR_ARGUMENT);
    augment.zoom = 0;
    augment.border = 3;
    t_status(ev_loader_create(ctx, files, &opt, &loader), EV_ERR_ARGUMENT);
    ck_assert_ptr_null(loader);
    int32_t n = 0;
    t_status(ev_loader_next(NULL, NULL, NULL, NULL, &n), EV_ERR_ARGUMENT);
    ck_assert_int_eq(ev_loader_batches(NULL), 0);
}
END_TEST

/* ---- augmentation, one kind at a time -------------------------------------------------------- */

/* A dataset of one grey ramp, loaded with one kind of change. */
static void load_changed(const ev_augment_options *augment, int32_t epoch, uint8_t out[W * H])
{
    ev_image *image = NULL, *back = NULL;
    ev_dataset *d = NULL;
    ev_loader *loader = NULL;
    ev_loader_options opt;
    ev_tensor *images = NULL;
    int32_t n = 0;
    t_ok(ev_image_create(ctx, W, H, EV_PIXEL_GREY, &image));
    for (int i = 0; i < W * H; i++)
        ev_image_data(image)[i] = (uint8_t)(60 + i % W * 8 + i / W);
    t_ok(ev_dataset_create(ctx, 1, NULL, &d));
    t_ok(ev_dataset_add_image(d, image, 0, NULL));
    EV_OPTIONS_INIT(&opt);
    opt.width = W;
    opt.height = H;
    opt.channels = 1;
    opt.augment = augment;
    t_ok(ev_loader_create(ctx, d, &opt, &loader));
    t_ok(ev_loader_start_epoch(loader, epoch, 0));
    t_ok(ev_loader_next(loader, &images, NULL, NULL, &n));
    t_ok(ev_tensor_to_image(images, 0, NULL, &back));
    memcpy(out, ev_image_data(back), W * H);
    ev_image_destroy(back);
    ev_image_destroy(image);
    ev_loader_destroy(loader);
    ev_dataset_destroy(d);
}

START_TEST(augment_flip)
{
    ev_augment_options augment;
    uint8_t plain[W * H], changed[W * H];
    EV_OPTIONS_INIT(&augment);
    load_changed(NULL, 0, plain);
    load_changed(&augment, 0, changed);
    ck_assert_mem_eq(plain, changed, sizeof(plain));
    augment.flip = 1;
    int flipped = 0;
    for (int epoch = 0; epoch < 40; epoch++) {
        load_changed(&augment, epoch, changed);
        if (memcmp(plain, changed, sizeof(plain)) == 0)
            continue;
        flipped++;
        for (int i = 0; i < W * H; i++)
            ck_assert_int_eq(changed[i], plain[i / W * W + W - 1 - i % W]);
    }
    ck_assert(flipped > 8 && flipped < 32);
}
END_TEST

START_TEST(augment_geometry)
{
    ev_augment_options augment;
    uint8_t plain[W * H], changed[W * H];
    load_changed(NULL, 0, plain);
    for (int kind = 0; kind < 10; kind++) {
        EV_OPTIONS_INIT(&augment);
        augment.border = kind < 5 ? EV_BORDER_EDGE : EV_BORDER_BLACK;
        float *fields[] = {&augment.shift_x, &augment.shift_y, &augment.rotation, &augment.shear,
                           &augment.zoom};
        static const float most[] = {0.25f, 0.3f, 40, 0.3f, 0.4f};
        *fields[kind % 5] = most[kind % 5];
        int differs = 0;
        for (int epoch = 0; epoch < 10; epoch++) {
            load_changed(&augment, epoch, changed);
            differs += memcmp(plain, changed, sizeof(plain)) != 0;
            /* the middle of the picture stays near the middle: the ramp rises by 8 a pixel */
            int off = abs(changed[5 * W + 6] - plain[5 * W + 6]);
            ck_assert_int_le(off, 8 * 4);
            for (int i = 0; augment.border == EV_BORDER_EDGE && i < W * H; i++)
                ck_assert(changed[i] >= 60 && changed[i] <= 60 + 11 * 8 + 9);
        }
        ck_assert_int_ge(differs, 9);
    }
}
END_TEST

START_TEST(augment_levels)
{
    ev_augment_options augment;
    uint8_t plain[W * H], changed[W * H];
    load_changed(NULL, 0, plain);
    double sum = 0, squares = 0;
    for (int epoch = 0; epoch < 60; epoch++) {
        EV_OPTIONS_INIT(&augment);
        augment.brightness = 0.1f;
        load_changed(&augment, epoch, changed);
        int shift = changed[0] - plain[0];
        ck_assert(shift >= -26 && shift <= 26);
        for (int i = 0; i < W * H; i++)
            ck_assert_int_eq(changed[i] - plain[i], shift);
        EV_OPTIONS_INIT(&augment);
        augment.contrast = 0.5f;
        load_changed(&augment, epoch, changed);
        double times = (changed[0] - 127.5) / (plain[0] - 127.5);
        ck_assert(times > 0.49 && times < 1.51);
        for (int i = 0; i < W * H; i++)
            ck_assert(fabs(127.5 + (plain[i] - 127.5) * times - changed[i]) < 1.6);
        EV_OPTIONS_INIT(&augment);
        augment.noise = 0.05f;
        load_changed(&augment, epoch, changed);
        for (int i = 0; i < W * H; i++) {
            double off = changed[i] - plain[i];
            sum += off;
            squares += off * off;
        }
    }
    double n = 60.0 * W * H, mean = sum / n, deviation = sqrt(squares / n);
    /* a deviation drawn evenly from 0..m has the mean square m^2/3 */
    ck_assert(fabs(mean) < 0.5);
    ck_assert(fabs(deviation - 0.05 * 255 / sqrt(3)) < 1.2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("loader");
    TCase *c = tcase_create("loader");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, threads);
    tcase_add_test(c, as_deployed);
    tcase_add_test(c, order_and_last);
    tcase_add_test(c, replacement);
    tcase_add_test(c, replacement_changes);
    tcase_add_test(c, unreadable);
    tcase_add_test(c, arguments);
    tcase_add_test(c, augment_flip);
    tcase_add_test(c, augment_geometry);
    tcase_add_test(c, augment_levels);
    suite_add_tcase(s, c);
    return t_run(s);
}
