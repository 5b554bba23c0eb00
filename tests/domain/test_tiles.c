/* SPDX-License-Identifier: MIT */
/* Pictures in tiles: the same as the whole, seams, threads, within max_bytes. */
#include "case.h"

#include <math.h>

static ev_context *ctx;

static void start(void)
{
    ctx = t_context(NULL, 1);
}

static void end(void)
{
    ev_context_destroy(ctx);
}

/* ---- tiles ----------------------------------------------------------------------------------- */

START_TEST(tiles_are_the_whole)
{
    ev_model *m = case_draw_plain(ctx, false);
    ev_image *image = case_picture(ctx, 225, 131, EV_PIXEL_RGB);
    ev_image *whole = case_translate(ctx, m, NULL, image);
    for (int32_t tile = 64; tile <= 160; tile += 32) {
        ev_translator_options o = case_tiles(tile, 32);
        ev_image *out = case_translate(ctx, m, &o, image);
        ck_assert_int_le(case_difference(out, whole), 1); /* rounding */
        ev_image_destroy(out);
    }
    ev_image_destroy(whole);
    ev_image_destroy(image);
    ev_model_destroy(m);
}
END_TEST

/* What tiles change in a column, on the mean. */
static double column(const ev_image *a, const ev_image *whole, int32_t x, int32_t c)
{
    double sum = 0;
    for (int64_t y = 0; y < ev_image_height(a); y++)
        sum += ev_image_data(a)[y * ev_image_stride(a) + 3 * x + c] -
               ev_image_data(whole)[y * ev_image_stride(a) + 3 * x + c];
    return sum / ev_image_height(a);
}

/* The largest step of that from columns x0..x1-1 to the next but one (the generator doubles its
 * picture: odd columns are not as even ones are). */
static double step(const ev_image *a, const ev_image *whole, int32_t x0, int32_t x1)
{
    double most = 0;
    for (int32_t x = x0; x < x1; x++)
        for (int32_t c = 0; c < 3; c++)
            most = fmax(most, fabs(column(a, whole, x + 2, c) - column(a, whole, x, c)));
    return most;
}

/* Each tile has a mean and contrast of its own, so tones differ from those of the whole picture.
 * Cut off, tiles meet with a step between columns 79 and 80, 143 and 144; blended, without one. */
START_TEST(norms_and_seams)
{
    ev_model *m = case_draw_plain(ctx, true);
    ev_image *image = NULL;
    t_ok(ev_image_create(ctx, 224, 96, EV_PIXEL_RGB, &image));
    for (int32_t i = 0; i < 3 * 224 * 96; i++) {
        int32_t x = i / 3 % 224, y = i / 3 / 224;
        ev_image_data(image)[i] =
            (uint8_t)(100 + 15 * sin(x / 11.0 + i % 3) * cos(y / 9.0) + x / 3 + 10 * (i % 3));
    }
    ev_translator_options o = case_tiles(96, 32), cut = case_tiles(96, -1);
    ev_image *whole = case_translate(ctx, m, NULL, image);
    ev_image *blended = case_translate(ctx, m, &o, image),
             *hard = case_translate(ctx, m, &cut, image);
    double seam = fmax(step(hard, whole, 78, 80), step(hard, whole, 142, 144));
    double inside = fmax(step(hard, whole, 8, 78), step(hard, whole, 80, 142));
    double soft = fmax(step(blended, whole, 62, 96), step(blended, whole, 126, 160));
    ck_assert_double_gt(seam, 3 * inside);
    ck_assert_double_lt(soft, 1.5 * inside);
    ev_image_destroy(blended);
    ev_image_destroy(hard);
    ev_image_destroy(whole);
    ev_image_destroy(image);
    ev_model_destroy(m);
}
END_TEST

/* Where every tile shows much the same, tones hardly differ. */
START_TEST(norms_of_even_pictures)
{
    ev_model *m = case_draw_plain(ctx, true);
    ev_image *image = case_picture(ctx, 224, 128, EV_PIXEL_RGB);
    ev_translator_options o = case_tiles(96, 32);
    ev_image *whole = case_translate(ctx, m, NULL, image), *out = case_translate(ctx, m, &o, image);
    ck_assert_int_le(case_difference(out, whole), 24);
    ev_image_destroy(out);
    ev_image_destroy(whole);
    ev_image_destroy(image);
    ev_model_destroy(m);
}
END_TEST

START_TEST(threads)
{
    ev_context *two = t_context(NULL, 2);
    ev_model *m = case_zoo_generator(ctx, 32, 3);
    ev_image *image = case_picture(ctx, 113, 75, EV_PIXEL_RGB);
    for (int32_t tile = 0; tile <= 48; tile += 48) {
        ev_translator_options o = case_tiles(tile, 0);
        ev_image *a = case_translate(ctx, m, &o, image), *b = case_translate(two, m, &o, image);
        ck_assert_int_eq(case_difference(a, b), 0);
        ev_image_destroy(a);
        ev_image_destroy(b);
    }
    ev_image_destroy(image);
    ev_model_destroy(m);
    ev_context_destroy(two);
}
END_TEST

/* Within max_bytes, as few tiles as that allows; the log says so. */
START_TEST(max_bytes)
{
    t_hooks h = {0};
    ev_context *c = t_context(&h, 1);
    ev_model *m = case_zoo_generator(c, 32, 3);
    ev_image *image = case_picture(c, 225, 131, EV_PIXEL_RGB), *out = NULL;
    ev_translator *t = NULL;
    ev_plan_options p;
    ev_memory need;
    const int64_t dims[4] = {1, 3, 132, 228}, least[4] = {1, 3, 16, 16};
    EV_OPTIONS_INIT(&p);
    EV_OPTIONS_INIT(&need);
    p.dims = dims;
    p.n_dims = 4;
    t_ok(ev_plan_memory(c, m, &p, &need));
    ev_translator_options o = case_tiles(0, 0);
    uint64_t all = need.plan_bytes + need.session_bytes;
    p.dims = least;
    t_ok(ev_plan_memory(c, m, &p, &need));
    uint64_t little = need.plan_bytes + need.session_bytes;
    for (o.max_bytes = all; o.max_bytes > little; o.max_bytes = o.max_bytes * 2 / 3) {
        h.n_log_lines = 0;
        t_ok(ev_translator_create(c, m, &o, &t));
        uint64_t before = ev_context_memory_bytes(c);
        t_ok(ev_translator_run(t, image, &out));
        uint64_t pictures = 228 * 132 * 3 * 6; /* result, strip and what hangs over */
        ck_assert_uint_le(ev_context_memory_bytes(c) - before, o.max_bytes + pictures);
        ck_assert_int_eq(h.n_log_lines, o.max_bytes == all ? 0 : 1);
        ev_image_destroy(out);
        t_ok(ev_translator_run(t, image, &out)); /* made ready once */
        ck_assert_int_eq(h.n_log_lines, o.max_bytes == all ? 0 : 1);
        ev_image_destroy(out);
        ev_translator_destroy(t);
    }
    ck_assert_ptr_nonnull(strstr(h.log_line, "225x131"));
    o.max_bytes = little / 2;
    t_ok(ev_translator_create(c, m, &o, &t));
    t_status(ev_translator_run(t, image, &out), EV_ERR_MEMORY);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "max_bytes"));
    ck_assert_ptr_null(out);
    ev_translator_destroy(t);
    ev_image_destroy(image);
    ev_model_destroy(m);
    ev_context_destroy(c);
    ck_assert_int_eq(h.n_live, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("tiles");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, start, end);
    tcase_add_test(c, tiles_are_the_whole);
    tcase_add_test(c, norms_and_seams);
    tcase_add_test(c, norms_of_even_pictures);
    tcase_add_test(c, threads);
    tcase_add_test(c, max_bytes);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(suite());
}
