/* SPDX-License-Identifier: MIT */
/* Batches of a set without end: full, cut within the picture, and functions of their number. */
#include "sets.h"

#include <sys/stat.h>

static ev_context *ctx;

static void start(void)
{
    ctx = t_context(NULL, 1);
}

static void end(void)
{
    ev_context_destroy(ctx);
}

static evi_gan_feed_options options(void)
{
    return (evi_gan_feed_options){.width = 8,
                                  .height = 12,
                                  .load_width = 13,
                                  .load_height = 16,
                                  .channels = 3,
                                  .batch = 2,
                                  .flip = 1,
                                  .seed = 5,
                                  .loader_threads = -1};
}

static uint32_t checksum(evi_gan_feed *f, int64_t number)
{
    ev_tensor *x = NULL;
    const int32_t *labels = NULL;
    t_ok(evi_gan_feed_batch(f, number, &x, &labels));
    uint32_t crc = evi_crc32c(0, ev_tensor_data(x), ev_tensor_bytes(x));
    return evi_crc32c(crc, labels, (uint64_t)ev_tensor_dim(x, 0) * sizeof(int32_t));
}

/* 7 pictures in batches of 2: 3 batches an epoch.  In order, from anywhere, with threads. */
START_TEST(numbers_decide)
{
    enum { N = 13 };
    static const int32_t order[] = {12, 0, 5, 6, 7, 7, 2, 11, 3};
    ev_dataset *set = tg_set(ctx, 7, 20, 0);
    evi_gan_feed_options o = options();
    evi_gan_feed *f = NULL;
    uint32_t want[N];
    o.replacement = _i;
    t_ok(evi_gan_feed_create(ctx, set, &o, &f));
    ck_assert_int_eq(evi_gan_feed_size(f), 7);
    for (int32_t i = 0; i < N; i++) {
        want[i] = checksum(f, i);
        for (int32_t k = 0; k < i; k++)
            ck_assert_uint_ne(want[i], want[k]);
    }
    for (int32_t i = 0; i < EVI_COUNT(order); i++)
        ck_assert_uint_eq(checksum(f, order[i]), want[order[i]]);
    evi_gan_feed_destroy(f);
    o.loader_threads = 2;
    t_ok(evi_gan_feed_create(ctx, set, &o, &f));
    for (int32_t i = 0; i < N; i++)
        ck_assert_uint_eq(checksum(f, i), want[i]);
    evi_gan_feed_destroy(f);
    o.stream = 1;
    t_ok(evi_gan_feed_create(ctx, set, &o, &f));
    ck_assert_uint_ne(checksum(f, 0), want[0]);
    evi_gan_feed_destroy(f);
    ev_dataset_destroy(set);
}
END_TEST

/* Each picture is one colour apart from a ramp that tells where a part was cut out. */
static ev_dataset *ramps(int32_t n)
{
    const int64_t dims[4] = {n, 3, 16, 13};
    ev_tensor *images = NULL;
    ev_dataset *set = NULL;
    int32_t labels[16];
    t_ok(ev_tensor_create(ctx, EV_TYPE_UINT8, 4, dims, &images));
    uint8_t *to = ev_tensor_data(images);
    for (int32_t i = 0; i < n; i++) {
        labels[i] = i % 3;
        for (int32_t c = 0; c < 3; c++)
            for (int32_t y = 0; y < 16; y++)
                for (int32_t x = 0; x < 13; x++)
                    *to++ = (uint8_t)(c == 0 ? 16 * x : c == 1 ? 16 * y : 20 * i);
    }
    t_ok(ev_dataset_from_tensor(ctx, images, labels, 3, NULL, &set));
    ev_tensor_destroy(images);
    return set;
}

static int32_t byte_at(const evi_real *x, int32_t c, int32_t row, int32_t column)
{
    return (int32_t)((x[(c * 12 + row) * 8 + column] * (evi_real)0.5 + (evi_real)0.5) * 255 +
                     (evi_real)0.5);
}

static void check_part(const evi_real *x, const int32_t *label, uint32_t seen[3])
{
    int32_t left = byte_at(x, 0, 0, 0) / 16, top = byte_at(x, 1, 0, 0) / 16;
    int32_t step = (byte_at(x, 0, 0, 1) - byte_at(x, 0, 0, 0)) / 16;
    ck_assert(step == 1 || step == -1);
    for (int32_t row = 0; row < 12; row++)
        for (int32_t column = 0; column < 8; column++) {
            ck_assert_int_eq(byte_at(x, 0, row, column), 16 * (left + step * column));
            ck_assert_int_eq(byte_at(x, 1, row, column), 16 * (top + row));
        }
    ck_assert_int_eq(byte_at(x, 2, 0, 0) / 20 % 3, *label);
    seen[0] |= 1u << (step > 0 ? left : 12 - left);
    seen[1] |= 1u << top;
    seen[2] |= step > 0 ? 1 : 2;
}

/* Parts lie within the picture; every place and both sides come; labels belong to pictures. */
START_TEST(parts)
{
    ev_dataset *set = ramps(6);
    evi_gan_feed_options o = options();
    evi_gan_feed *f = NULL;
    uint32_t seen[3] = {0, 0, 0};
    t_ok(evi_gan_feed_create(ctx, set, &o, &f));
    for (int32_t i = 0; i < 100; i++) {
        ev_tensor *x = NULL;
        const int32_t *labels = NULL;
        t_ok(evi_gan_feed_batch(f, i, &x, &labels));
        ck_assert_int_eq(ev_tensor_dim(x, 0), 2);
        for (int32_t k = 0; k < 2; k++)
            check_part((const evi_real *)ev_tensor_data(x) + k * 3 * 12 * 8, &labels[k], seen);
    }
    ck_assert_uint_eq(seen[0], 0x3f);
    ck_assert_uint_eq(seen[1], 0x1f);
    ck_assert_uint_eq(seen[2], 3);
    evi_gan_feed_destroy(f);
    ev_dataset_destroy(set);
}
END_TEST

/* Nothing to cut: the loader's own tensor.  Grey ones too. */
START_TEST(grey_and_whole)
{
    ev_dataset *set = tg_set(ctx, 4, 20, 0);
    evi_gan_feed_options o = options();
    evi_gan_feed *f = NULL;
    ev_tensor *x = NULL;
    o.channels = 1;
    o.load_width = o.width;
    o.load_height = o.height;
    t_ok(evi_gan_feed_create(ctx, set, &o, &f));
    t_ok(evi_gan_feed_batch(f, 1, &x, NULL));
    ck_assert_int_eq(ev_tensor_dim(x, 1), 1);
    ck_assert_int_eq(ev_tensor_dim(x, 2), 12);
    ck_assert_int_eq(ev_tensor_dim(x, 3), 8);
    t_status(evi_gan_feed_batch(f, INT64_MAX, &x, NULL), EV_ERR_ARGUMENT);
    ck_assert_ptr_null(x);
    evi_gan_feed_destroy(f);
    ev_dataset_destroy(set);
}
END_TEST

static void refused(ev_dataset *set, const evi_gan_feed_options *o, const char *words)
{
    evi_gan_feed *f = NULL;
    t_status(evi_gan_feed_create(ctx, set, o, &f), EV_ERR_ARGUMENT);
    ck_assert_ptr_null(f);
    ck_assert_msg(strstr(ev_last_error(), words) != NULL, "%s", ev_last_error());
}

START_TEST(bad_sets)
{
    ev_dataset *set = tg_set(ctx, 3, 20, 0), *none = NULL;
    evi_gan_feed_options o = options();
    t_ok(ev_dataset_select(set, NULL, 0, &none));
    refused(none, &o, "there are no pictures");
    o.batch = 4;
    refused(set, &o, "do not fill a batch of 4");
    o = options();
    o.load_width = 7;
    refused(set, &o, "8 x 12 cannot be cut out of pictures loaded at 7 x 16");
    o = options();
    o.channels = 4;
    refused(set, &o, "1 or 3 channels");
    ev_dataset_destroy(set);
    ev_dataset_destroy(none);
}
END_TEST

/* A picture that cannot be read: the line names it, and the same number can be asked for again. */
START_TEST(unreadable)
{
    char dir[T_PATH], sub[T_PATH], path[T_PATH];
    ev_dataset *set = NULL;
    evi_gan_feed_options o = options();
    evi_gan_feed *f = NULL;
    ev_tensor *x = NULL;
    ev_image *image = NULL;
    t_folder(dir);
    t_path(sub, dir, "a");
    ck_assert_int_eq(mkdir(sub, 0700), 0);
    t_ok(ev_image_create(ctx, 20, 20, EV_PIXEL_RGB, &image));
    t_ok(ev_image_save(image, t_path(path, sub, "good.png"), 0));
    t_write(t_path(path, sub, "poor.png"), "no picture", 10);
    t_ok(ev_dataset_scan(ctx, dir, NULL, &set));
    t_ok(evi_gan_feed_create(ctx, set, &o, &f));
    for (int32_t i = 0; i < 2; i++) {
        t_status(evi_gan_feed_batch(f, 3, &x, NULL), EV_ERR_FORMAT);
        ck_assert_ptr_nonnull(strstr(ev_last_error(), "poor.png"));
    }
    t_ok(ev_image_save(image, path, 0));
    t_ok(evi_gan_feed_batch(f, 3, &x, NULL));
    evi_gan_feed_destroy(f);
    ev_image_destroy(image);
    ev_dataset_destroy(set);
    t_folder_remove(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gan_feed");
    TCase *t = tcase_create("feed");
    tcase_add_checked_fixture(t, start, end);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, numbers_decide, 0, 2);
    tcase_add_test(t, parts);
    tcase_add_test(t, grey_and_whole);
    tcase_add_test(t, bad_sets);
    tcase_add_test(t, unreadable);
    suite_add_tcase(suite, t);
    return t_run(suite);
}
