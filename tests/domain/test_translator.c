/* SPDX-License-Identifier: MIT */
/* Pictures through a generator: any size and format, mistakes, memory that fails. */
#include "case.h"

#include <edgevision/zoo.h>

static ev_context *ctx;

static void start(void)
{
    ctx = t_context(NULL, 1);
}

static void end(void)
{
    ev_context_destroy(ctx);
}

/* ---- sizes and formats ----------------------------------------------------------------------- */

static const int32_t sizes[][2] = {{1, 1}, {3, 5}, {2, 2}, {4, 4}, {17, 64}, {225, 131}, {96, 40}};
static const int32_t formats[] = {EV_PIXEL_RGB,  EV_PIXEL_BGR,  EV_PIXEL_RGBA,
                                  EV_PIXEL_GREY, EV_PIXEL_NV12, EV_PIXEL_YUYV};

/* What changes nothing gives the picture back: no pixel lost, moved or blended with another. */
START_TEST(same_picture)
{
    const int32_t tile[][2] = {{0, 0}, {16, 0}, {16, -1}, {20, 10}, {32, 7}, {64, 32}, {100, 0}};
    for (size_t f = 0; f < sizeof(formats) / sizeof(formats[0]); f++)
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            int32_t odd = formats[f] == EV_PIXEL_NV12 || formats[f] == EV_PIXEL_YUYV;
            int32_t width = (sizes[s][0] + odd) / (1 + odd) * (1 + odd);
            int32_t height = (sizes[s][1] + odd) / (1 + odd) * (1 + odd);
            ev_image *image = case_picture(ctx, width, height, formats[f]), *as = NULL;
            for (int32_t channels = 1; channels <= 3; channels += 2) {
                int32_t fixed = _i == 0 ? -1 : 32;
                ev_model *m = case_draw_plus(ctx, channels, fixed, fixed == 32 ? 24 : -1, 0);
                t_ok(ev_image_convert(image, channels == 1 ? EV_PIXEL_GREY : EV_PIXEL_RGB, &as));
                for (size_t k = 0; k < sizeof(tile) / sizeof(tile[0]); k++) {
                    ev_translator_options o = case_tiles(tile[k][0], tile[k][1]);
                    ev_image *out = case_translate(ctx, m, &o, image);
                    ck_assert_int_eq(case_difference(out, as), 0);
                    ev_image_destroy(out);
                }
                ev_image_destroy(as);
                ev_model_destroy(m);
            }
            ev_image_destroy(image);
        }
}
END_TEST

/* Filled up it would be longer than a picture may be. */
START_TEST(longest)
{
    ev_model *m = case_draw_plus(ctx, 3, -1, -1, 0);
    for (int32_t k = 0; k < 2; k++) {
        int32_t width = k == 0 ? 65535 : 2, height = k == 0 ? 2 : 65535;
        ev_image *image = case_picture(ctx, width, height, EV_PIXEL_RGB);
        for (int32_t tile = 0; tile <= 65535; tile += 65535) {
            ev_translator_options o = case_tiles(tile, 0);
            ev_image *out = case_translate(ctx, m, &o, image);
            ck_assert_int_eq(case_difference(out, image), 0);
            ev_image_destroy(out);
        }
        ev_image_destroy(image);
    }
    ev_model_destroy(m);
}
END_TEST

/* Too much for one run: the line says what helps. */
START_TEST(too_large_at_once)
{
    ev_context *small = NULL;
    ev_context_options o;
    ev_model *m = case_zoo_generator(ctx, 32, 3);
    ev_image *image = case_picture(ctx, 400, 300, EV_PIXEL_RGB), *out = NULL;
    ev_translator *t = NULL;
    ev_translator_options cut = case_tiles(64, 0);
    EV_OPTIONS_INIT(&o);
    o.memory_limit_bytes = 4 << 20;
    t_ok(ev_context_create(&o, &small));
    t_ok(ev_translator_create(small, m, NULL, &t));
    t_status(ev_translator_run(t, image, &out), EV_ERR_MEMORY);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "400x300 at once"));
    ev_translator_destroy(t);
    out = case_translate(small, m, &cut, image);
    ev_image_destroy(out);
    ev_image_destroy(image);
    ev_model_destroy(m);
    ev_context_destroy(small);
}
END_TEST

/* One after the other, sizes of all kinds, with a real generator; a padded one gives in the inside
 * what the public pieces give. */
START_TEST(any_size)
{
    ev_model *m = case_zoo_generator(ctx, 32, 3);
    ev_translator *t = NULL;
    t_ok(ev_translator_create(ctx, m, NULL, &t));
    for (int32_t round = 0; round < 2; round++)
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            ev_image *image = case_picture(ctx, sizes[s][0], sizes[s][1], EV_PIXEL_RGB),
                     *out = NULL;
            t_ok(ev_translator_run(t, image, &out));
            ck_assert_int_eq(ev_image_width(out), sizes[s][0]);
            ck_assert_int_eq(ev_image_height(out), sizes[s][1]);
            ck_assert_int_eq(ev_image_format(out), EV_PIXEL_RGB);
            ev_image *again = case_translate(ctx, m, NULL, image);
            ck_assert_int_eq(case_difference(out, again), 0);
            ev_image_destroy(again);
            ev_image_destroy(out);
            ev_image_destroy(image);
        }
    ev_translator_destroy(t);
    ev_model_destroy(m);
}
END_TEST

/* The same by hand. */
START_TEST(as_by_hand)
{
    ev_model *m = case_zoo_generator(ctx, 32, 3);
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    ev_plan_options o;
    ev_tensor *x = NULL;
    ev_image *image = case_picture(ctx, 40, 24, EV_PIXEL_RGB), *expected = NULL;
    const int64_t dims[4] = {1, 3, 24, 40};
    ev_pixel_options pixels;
    EV_OPTIONS_INIT(&pixels);
    for (int32_t c = 0; c < 3; c++)
        pixels.mean[c] = pixels.std[c] = 0.5f;
    EV_OPTIONS_INIT(&o);
    o.dims = dims;
    o.n_dims = 4;
    t_ok(ev_plan_create(ctx, m, &o, &plan));
    t_ok(ev_session_create(plan, &session));
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_image_to_tensor(image, &pixels, x, 0));
    const ev_tensor *in = x;
    t_ok(ev_session_run(session, &in, 1, NULL, 0));
    t_ok(ev_tensor_to_image(ev_session_output(session, 0), 0, &pixels, &expected));
    ev_image *out = case_translate(ctx, m, NULL, image);
    ck_assert_int_eq(case_difference(out, expected), 0);
    ev_image_destroy(out);
    ev_image_destroy(image);
    ev_image_destroy(expected);
    ev_tensor_destroy(x);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    ev_model_destroy(m);
}
END_TEST

START_TEST(fit)
{
    ev_model *m = case_draw_plus(ctx, 3, -1, -1, 0), *sized = case_zoo_generator(ctx, 32, 3);
    ev_image *image = case_picture(ctx, 50, 31, EV_PIXEL_RGB), *small = NULL, *back = NULL;
    ev_translator *t = NULL;
    ev_translator_options o;
    ev_preprocess p;
    EV_OPTIONS_INIT(&o);
    o.fit = EV_FIT_MODEL;
    t_status(ev_translator_create(ctx, m, &o, &t), EV_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "EV_FIT_KEEP"));
    EV_OPTIONS_INIT(&p);
    p.width = 20;
    p.height = 12;
    t_ok(ev_model_set_preprocess(m, &p));
    ev_image *out = case_translate(ctx, m, &o, image);
    t_ok(ev_image_resize(image, 20, 12, 0, &small));
    ck_assert_int_eq(case_difference(out, small), 0);
    ev_image_destroy(out);
    o.fit = EV_FIT_BACK;
    out = case_translate(ctx, m, &o, image);
    t_ok(ev_image_resize(small, 50, 31, 0, &back));
    ck_assert_int_eq(case_difference(out, back), 0);
    ev_image_destroy(out);
    o.fit = EV_FIT_MODEL;
    out = case_translate(ctx, sized, &o, image);
    ck_assert_int_eq(ev_image_width(out), 32);
    ck_assert_int_eq(ev_image_height(out), 32);
    ev_image_destroy(out);
    ev_image_destroy(small);
    ev_image_destroy(back);
    ev_image_destroy(image);
    ev_model_destroy(m);
    ev_model_destroy(sized);
}
END_TEST

/* A model that says nothing is taken to use -1..1: half a unit there is a quarter of 255. */
START_TEST(what_numbers_mean)
{
    ev_model *m = case_draw_plus(ctx, 1, -1, -1, 0.5f);
    ev_image *image = NULL;
    ev_preprocess p;
    t_ok(ev_image_create(ctx, 8, 8, EV_PIXEL_GREY, &image));
    ev_image_data(image)[0] = 200;
    ev_image *out = case_translate(ctx, m, NULL, image);
    ck_assert_int_eq(ev_image_data(out)[9], 64);
    ck_assert_int_eq(ev_image_data(out)[0], 255);
    ev_image_destroy(out);
    EV_OPTIONS_INIT(&p);
    t_ok(ev_model_set_preprocess(m, &p));
    out = case_translate(ctx, m, NULL, image);
    ck_assert_int_eq(ev_image_data(out)[9], 128);
    ev_image_destroy(out);
    ev_image_destroy(image);
    ev_model_destroy(m);
}
END_TEST

/* ---- mistakes -------------------------------------------------------------------------------- */

START_TEST(bad_options)
{
    ev_model *m = case_draw_plus(ctx, 3, -1, -1, 0);
    ev_translator *t = NULL;
    ev_translator_options o;
    const int32_t bad[][3] = {{3, 0, 0},     {-1, 0, 0}, {0, 15, 0},
                              {0, 65536, 0}, {0, -4, 0}, {0, 32, 17}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        EV_OPTIONS_INIT(&o);
        o.fit = bad[i][0];
        o.tile = bad[i][1];
        o.overlap = bad[i][2];
        t_status(ev_translator_create(ctx, m, &o, &t), EV_ERR_ARGUMENT);
        ck_assert_ptr_null(t);
    }
    EV_OPTIONS_INIT(&o);
    o.reserved = 1;
    t_status(ev_translator_create(ctx, m, &o, &t), EV_ERR_VERSION);
    t_status(ev_translator_create(ctx, NULL, NULL, &t), EV_ERR_ARGUMENT);
    t_status(ev_translator_create(NULL, m, NULL, &t), EV_ERR_ARGUMENT);
    t_status(ev_translator_create(ctx, m, NULL, NULL), EV_ERR_ARGUMENT);
    ev_image *image = case_picture(ctx, 4, 4, EV_PIXEL_RGB), *out = NULL;
    t_status(ev_translator_run(NULL, image, &out), EV_ERR_ARGUMENT);
    t_ok(ev_translator_create(ctx, m, NULL, &t));
    t_status(ev_translator_run(t, NULL, &out), EV_ERR_ARGUMENT);
    t_status(ev_translator_run(t, image, NULL), EV_ERR_ARGUMENT);
    ev_translator_destroy(t);
    ev_translator_destroy(NULL);
    ev_image_destroy(image);
    ev_model_destroy(m);
}
END_TEST

static ev_model *odd_model(int32_t which)
{
    ev_model *m = NULL;
    ev_value x = EV_NO_VALUE, y = EV_NO_VALUE;
    const int64_t four[4] = {which == 3 ? 2 : -1, which == 1 ? 4 : 3, 16, 16}, two[2] = {-1, 3};
    ev_conv2d_options o;
    EV_OPTIONS_INIT(&o);
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "x", EV_TYPE_FLOAT32, which == 0 ? 2 : 4, which == 0 ? two : four, &x));
    if (which == 2) /* not of the same size */
        t_ok(ev_model_max_pool2d(m, x, 2, NULL, &x));
    if (which == 4)
        t_ok(ev_model_input(m, "z", EV_TYPE_FLOAT32, 4, four, &y));
    if (which == 5) /* classes */
        t_ok(ev_model_flatten(m, x, 1, &x));
    if (which == 6) /* other channels */
        t_ok(ev_model_conv2d(m, x, 2, 3, NULL, &x));
    t_ok(ev_model_identity(m, x, &x));
    t_ok(ev_model_output(m, "out", x));
    if (which == 7)
        t_ok(ev_model_output(m, "more", x));
    t_ok(ev_model_init(m, 1));
    return m;
}

START_TEST(bad_models)
{
    ev_image *image = case_picture(ctx, 20, 20, EV_PIXEL_RGB), *out = NULL;
    ev_translator *t = NULL;
    for (int32_t which = 0; which < 8; which++) {
        ev_model *m = odd_model(which);
        if (which == 2) {
            t_ok(ev_translator_create(ctx, m, NULL, &t));
            for (int32_t k = 0; k < 2; k++)
                t_status(ev_translator_run(t, image, &out), EV_ERR_SHAPE);
            ck_assert_ptr_null(out);
            ev_translator_destroy(t);
            ev_translator_options o = case_tiles(0, 0);
            o.fit = EV_FIT_MODEL;
            t_ok(ev_translator_create(ctx, m, &o, &t));
            for (int32_t k = 0; k < 2; k++)
                t_status(ev_translator_run(t, image, &out), EV_ERR_SHAPE);
            ck_assert_ptr_nonnull(strstr(ev_last_error(), "[1,3,8,8]"));
            ev_translator_destroy(t);
        } else {
            t_status(ev_translator_create(ctx, m, NULL, &t), EV_ERR_SHAPE);
            ck_assert_ptr_nonnull(strstr(ev_last_error(), "generator"));
        }
        ev_model_destroy(m);
    }
    ev_generator_options o;
    ev_model *m = NULL;
    EV_OPTIONS_INIT(&o);
    o.image_width = 16;
    o.base_width = 4;
    t_ok(ev_zoo_generator(ctx, &o, &m));
    t_status(ev_translator_create(ctx, m, NULL, &t), EV_ERR_STATE);
    ev_model_destroy(m);
    ev_image_destroy(image);
}
END_TEST

START_TEST(stale)
{
    ev_model *m = case_draw_plain(ctx, true);
    ev_image *image = case_picture(ctx, 20, 20, EV_PIXEL_RGB), *out = NULL;
    ev_translator *t = NULL;
    t_ok(ev_translator_create(ctx, m, NULL, &t));
    t_ok(ev_translator_run(t, image, &out));
    ev_image_destroy(out);
    t_ok(ev_model_touch(m));
    t_status(ev_translator_run(t, image, &out), EV_ERR_STALE);
    ck_assert_ptr_null(out);
    ev_translator_destroy(t);
    ev_image_destroy(image);
    ev_model_destroy(m);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------- */

static ev_status body(ev_context *c, void *arg)
{
    const ev_translator_options *o = arg;
    static uint8_t pixels[40 * 30 * 3];
    ev_translator *t = NULL;
    ev_model *m = NULL;
    ev_image *image = NULL, *out = NULL;
    ev_generator_options g;
    EV_OPTIONS_INIT(&g);
    g.image_width = 16;
    g.base_width = 4;
    g.n_blocks = 1;
    ev_status status = ev_zoo_generator(c, &g, &m);
    if (status == EV_OK)
        status = ev_model_init(m, 1);
    if (status == EV_OK)
        status = ev_image_wrap(c, 39, 30, EV_PIXEL_BGR, pixels, 120, sizeof(pixels), &image);
    if (status == EV_OK)
        status = ev_translator_create(c, m, o, &t);
    if (status == EV_OK)
        status = ev_translator_run(t, image, &out);
    if (status == EV_ERR_MEMORY && t != NULL) {
        ck_assert_ptr_null(out);
        (void)ev_translator_run(t, image, &out); /* the translator is still whole */
    }
    ev_image_destroy(out);
    ev_image_destroy(image);
    ev_translator_destroy(t);
    ev_model_destroy(m);
    return status;
}

START_TEST(faults)
{
    ev_translator_options o = case_tiles(0, 0), cut = case_tiles(24, 8), fitted = case_tiles(0, 0);
    fitted.fit = EV_FIT_BACK;
    t_each_alloc(body, &o, 1, 0);
    t_each_alloc(body, &cut, 1, 0);
    t_each_alloc(body, &fitted, 1, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("translator");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, start, end);
    tcase_add_loop_test(c, same_picture, 0, 2);
    tcase_add_test(c, longest);
    tcase_add_test(c, too_large_at_once);
    tcase_add_test(c, any_size);
    tcase_add_test(c, as_by_hand);
    tcase_add_test(c, fit);
    tcase_add_test(c, what_numbers_mean);
    tcase_add_test(c, bad_options);
    tcase_add_test(c, bad_models);
    tcase_add_test(c, stale);
    tcase_add_test(c, faults);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(suite());
}
