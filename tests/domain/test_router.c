/* SPDX-License-Identifier: MIT */
/* What becomes of a picture: bright ones are inside, dark ones outside, a generator brightens. */
#include "support.h"

#include "graph/graph.h"
#include <edgevision/domain.h>
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

/* ---- models ---------------------------------------------------------------------------------- */

static ev_status constant(ev_model *m, int32_t n, const float *elements, ev_value *out)
{
    const evi_shape shape = {.rank = 2, .dim = {1, n}};
    return evi_model_add_constant(m, NULL, EV_TYPE_FLOAT32, &shape, elements, out);
}

/* Pictures of 0..1; m = mean brightness.  Two classes: m below and above 0.4.  Strange is what is
 * dark: 0.5 - m. */
static ev_status draw_classifier(ev_context *c, int32_t size, ev_model **out)
{
    ev_model *m = NULL;
    ev_value x, y, k;
    const int64_t dims[4] = {-1, 1, size, size};
    const float logits[2] = {-20, 20}, shift[2] = {8, -8}, half = 0.5f;
    EVI_TRY(ev_model_create(c, &m));
    *out = m;
    EVI_TRY(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    EVI_TRY(ev_model_global_average_pool(m, x, &x));
    EVI_TRY(ev_model_flatten(m, x, 1, &x));
    EVI_TRY(constant(m, 2, logits, &k));
    EVI_TRY(ev_model_mul(m, x, k, &y));
    EVI_TRY(constant(m, 2, shift, &k));
    EVI_TRY(ev_model_add(m, y, k, &y));
    EVI_TRY(constant(m, 1, &half, &k));
    EVI_TRY(ev_model_sub(m, k, x, &x));
    EVI_TRY(ev_model_output(m, "logits", y));
    return ev_model_output(m, "score", x);
}

/* Pictures of -1..1 become brighter by `more` (in units of 0..1), up to white. */
static ev_status draw_generator(ev_context *c, float more, ev_model **out)
{
    ev_model *m = NULL;
    ev_value x, k;
    const int64_t dims[4] = {-1, 3, 8, 8};
    const float add = 2 * more;
    EVI_TRY(ev_model_create(c, &m));
    *out = m;
    EVI_TRY(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    EVI_TRY(constant(m, 1, &add, &k));
    EVI_TRY(ev_model_add(m, x, k, &x));
    EVI_TRY(ev_model_activation(m, x, EV_ACTIVATION_CLIP, -1, 1, &x));
    return ev_model_output(m, "image_out", x);
}

static ev_model *classifier(int32_t size, const char *threshold)
{
    ev_model *m = NULL;
    t_ok(draw_classifier(ctx, size, &m));
    t_ok(ev_model_set_meta(m, "edgevision.domain.threshold", threshold));
    return m;
}

static ev_model *generator(float more)
{
    ev_model *m = NULL;
    t_ok(draw_generator(ctx, more, &m));
    return m;
}

static ev_image *picture(int32_t width, int32_t height, int32_t format, uint8_t grey)
{
    ev_image *image = NULL, *as = NULL;
    t_ok(ev_image_create(ctx, width, height, EV_PIXEL_GREY, &image));
    memset(ev_image_data(image), grey, (size_t)(width * height));
    t_ok(ev_image_convert(image, format, &as));
    ev_image_destroy(image);
    return as;
}

static ev_routed route(ev_router *r, int32_t format, uint8_t grey)
{
    ev_routed out;
    ev_image *image = picture(11, 7, format, grey);
    EV_OPTIONS_INIT(&out);
    t_ok(ev_router_run(r, image, &out));
    ev_image_destroy(image);
    return out;
}

/* ---- routes ---------------------------------------------------------------------------------- */

START_TEST(three_ways)
{
    ev_model *c = classifier(8, "0.1"), *g = generator(0.2f);
    ev_router *r = NULL;
    t_ok(ev_router_create(ctx, c, g, NULL, &r));
    ev_model_destroy(c); /* the router holds them */
    ev_model_destroy(g);
    for (int32_t grey = 0; grey < 256; grey++) {
        const int32_t format[3] = {EV_PIXEL_RGB, EV_PIXEL_GREY, EV_PIXEL_RGBA};
        ev_routed o = route(r, format[grey % 3], (uint8_t)grey);
        double made = round(fmin(grey + 51.0, 255)) / 255;
        ck_assert_double_eq_tol(o.score, 0.5 - grey / 255.0, 1e-6);
        if (o.score <= 0.1) {
            ck_assert_int_eq(o.route, EV_ROUTE_INSIDE);
            ck_assert(isnan(o.score_translated));
            ck_assert_int_eq(o.label, 1 * (grey > 102));
            ck_assert_double_eq_tol((double)o.probability,
                                    1 / (1 + exp(-fabs(40 * (grey / 255.0) - 16))), 1e-5);
        } else {
            ck_assert_double_eq_tol(o.score_translated, 0.5 - made, 1e-6);
            ck_assert_int_eq(o.route, 0.5 - made <= 0.1 ? EV_ROUTE_TRANSLATED : EV_ROUTE_ABSTAINED);
            ck_assert_int_eq(o.label, made > 0.4);
        }
    }
    ev_router_destroy(r);
}
END_TEST

START_TEST(without_generator)
{
    ev_model *c = classifier(8, "0.1");
    ev_router *r = NULL;
    ev_router_options o;
    t_ok(ev_router_create(ctx, c, NULL, NULL, &r));
    ck_assert_int_eq(route(r, EV_PIXEL_RGB, 200).route, EV_ROUTE_INSIDE);
    ev_routed out = route(r, EV_PIXEL_RGB, 20);
    ck_assert_int_eq(out.route, EV_ROUTE_ABSTAINED);
    ck_assert_int_eq(out.label, 0);
    ck_assert(isnan(out.score_translated));
    ev_router_destroy(r);
    EV_OPTIONS_INIT(&o); /* what is said wins over what is noted */
    o.threshold = 0.45;
    o.precise = 1;
    t_ok(ev_router_create(ctx, c, NULL, &o, &r));
    ck_assert_int_eq(route(r, EV_PIXEL_RGB, 20).route, EV_ROUTE_INSIDE);
    ev_router_destroy(r);
    ev_model_destroy(c);
}
END_TEST

/* Translations may be held to another number. */
START_TEST(second_threshold)
{
    ev_model *c = classifier(8, NULL), *g = generator(0.2f);
    ev_router *r = NULL;
    ev_router_options o;
    EV_OPTIONS_INIT(&o);
    o.threshold = 0.1;
    o.threshold_translated = 0.25;
    t_ok(ev_router_create(ctx, c, g, &o, &r));
    ck_assert_int_eq(route(r, EV_PIXEL_RGB, 20).route, EV_ROUTE_TRANSLATED);
    ck_assert_int_eq(route(r, EV_PIXEL_RGB, 90).route, EV_ROUTE_TRANSLATED);
    ev_router_destroy(r);
    o.threshold_translated = 0;
    t_ok(ev_router_create(ctx, c, g, &o, &r));
    ev_routed out = route(r, EV_PIXEL_RGB, 20);
    ck_assert_int_eq(out.route, EV_ROUTE_ABSTAINED);
    ck_assert_double_lt(out.score_translated, out.score);
    ev_router_destroy(r);
    ev_model_destroy(c);
    ev_model_destroy(g);
}
END_TEST

/* ---- mistakes -------------------------------------------------------------------------------- */

static ev_model *odd_model(const char *first, const char *second, int32_t rank, int32_t width)
{
    ev_model *m = NULL;
    ev_value x = EV_NO_VALUE, y = EV_NO_VALUE;
    const int64_t dims[4] = {-1, 1, 4, 4};
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "x", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_flatten(m, x, 1, &y));
    t_ok(ev_model_slice(m, y, 1, 0, width, 1, &y));
    t_ok(ev_model_output(m, first, y));
    t_ok(ev_model_output(m, second, rank == 2 ? y : x));
    return m;
}

START_TEST(wrong_models)
{
    const struct {
        const char *first, *second;
        int32_t rank, width;
        const char *word;
    } odd[] = {{"logits", "other", 2, 1, "'score'"},
               {"score", "other", 2, 1, "'logits'"},
               {"logits", "score", 2, 3, "'score'"},
               {"logits", "score", 4, 1, "'score'"},
               {"score", "logits", 4, 1, "'logits'"}};
    ev_router *r = NULL;
    ev_router_options o;
    EV_OPTIONS_INIT(&o);
    o.threshold = 1;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        ev_model *m = odd_model(odd[i].first, odd[i].second, odd[i].rank, odd[i].width);
        t_status(ev_router_create(ctx, m, NULL, &o, &r), EV_ERR_SHAPE);
        ck_assert_ptr_null(r);
        ck_assert_msg(strstr(ev_last_error(), odd[i].word) != NULL, "%s", ev_last_error());
        ev_model_destroy(m);
    }
    ev_model *c = classifier(8, NULL);
    t_status(ev_router_create(ctx, c, c, &o, &r), EV_ERR_SHAPE); /* no generator */
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "generator"));
    t_status(ev_router_create(ctx, c, NULL, NULL, &r), EV_ERR_ARGUMENT); /* no threshold */
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "ev_domain_fit()"));
    t_ok(ev_model_set_meta(c, "edgevision.domain.threshold", "much"));
    t_status(ev_router_create(ctx, c, NULL, NULL, &r), EV_ERR_ARGUMENT);
    o.threshold = (double)NAN;
    t_status(ev_router_create(ctx, c, NULL, &o, &r), EV_ERR_ARGUMENT);
    ev_model_destroy(c);
}
END_TEST

START_TEST(wrong_calls)
{
    ev_model *c = classifier(8, "0.1");
    ev_router *r = NULL;
    ev_routed out;
    ev_image *image = picture(8, 8, EV_PIXEL_RGB, 3);
    EV_OPTIONS_INIT(&out);
    t_status(ev_router_create(NULL, c, NULL, NULL, &r), EV_ERR_ARGUMENT);
    t_status(ev_router_create(ctx, NULL, NULL, NULL, &r), EV_ERR_ARGUMENT);
    t_status(ev_router_create(ctx, c, NULL, NULL, NULL), EV_ERR_ARGUMENT);
    t_ok(ev_router_create(ctx, c, NULL, NULL, &r));
    t_status(ev_router_run(NULL, image, &out), EV_ERR_ARGUMENT);
    t_status(ev_router_run(r, NULL, &out), EV_ERR_ARGUMENT);
    t_status(ev_router_run(r, image, NULL), EV_ERR_ARGUMENT);
    ev_router_destroy(r);
    ev_router_destroy(NULL);
    ev_image_destroy(image);
    ev_model_destroy(c);
}
END_TEST

static ev_status body(ev_context *c, void *arg)
{
    static uint8_t pixels[9 * 5 * 3];
    ev_router *r = NULL;
    ev_model *m = NULL, *g = NULL;
    ev_image *image = NULL;
    ev_routed out;
    (void)arg;
    EV_OPTIONS_INIT(&out);
    ev_status status = draw_classifier(c, 6, &m);
    if (status == EV_OK)
        status = ev_model_set_meta(m, "edgevision.domain.threshold", "0.1");
    if (status == EV_OK)
        status = draw_generator(c, 0.1f, &g);
    if (status == EV_OK)
        status = ev_image_wrap(c, 9, 5, EV_PIXEL_RGB, pixels, 27, sizeof(pixels), &image);
    if (status == EV_OK)
        status = ev_router_create(c, m, g, NULL, &r);
    if (status == EV_OK)
        status = ev_router_run(r, image, &out);
    ck_assert(status != EV_OK || out.route == EV_ROUTE_ABSTAINED);
    ev_router_destroy(r);
    ev_image_destroy(image);
    ev_model_destroy(g);
    ev_model_destroy(m);
    return status;
}

START_TEST(faults)
{
    t_each_alloc(body, NULL, 1, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("router");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, start, end);
    tcase_add_test(c, three_ways);
    tcase_add_test(c, without_generator);
    tcase_add_test(c, second_threshold);
    tcase_add_test(c, wrong_models);
    tcase_add_test(c, wrong_calls);
    tcase_add_test(c, faults);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(suite());
}
