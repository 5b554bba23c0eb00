/* SPDX-License-Identifier: MIT */
/* The zoo: parameters and multiply-adds to the digit, shapes, names, bad options. */
#include "support.h"
#include <edgevision/session.h>
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

static void dims_are(const ev_model *m, int64_t d1, int64_t d2, int64_t d3)
{
    int64_t dims[EV_MAX_RANK] = { 0 };
    int32_t rank = ev_model_output_dims(m, 0, dims);
    ck_assert_int_eq(rank, d2 == 0 ? 2 : 4);
    ck_assert_int_eq(dims[1], d1);
    if (rank == 4) {
        ck_assert_int_eq(dims[2], d2);
        ck_assert_int_eq(dims[3], d3);
    }
}

/* ---- ladder -------------------------------------------------------------------------------- */

static const int64_t parameters[] = { 100656, 204500, 406660, 827044, 1455124, 2860692,
                                      5698828, 13141140, 35100228, 67351620, 134276932 };
static const char *const sizes[] = { "0.1 M", "0.2 M", "0.4 M", "0.8 M", "1.5 M", "3 M",
                                     "6 M", "13 M", "35 M", "67 M", "134 M" };

START_TEST(ladder)
{
    ev_model *m = NULL;
    ev_zoo_row row;
    EV_OPTIONS_INIT(&row);
    t_ok(ev_zoo_arch_row(_i + 1, &row));
    t_ok(ev_zoo_arch(ctx, _i + 1, NULL, &m));
    ck_assert_int_eq(ev_model_parameter_count(m), parameters[_i]);
    ck_assert_int_eq(row.parameters, parameters[_i]);
    ck_assert_int_eq(row.macs, ev_model_macs(m));
    ck_assert_str_eq(row.size, sizes[_i]);
    ck_assert_str_eq(row.name, ev_zoo_name(_i));
    ck_assert_int_eq(ev_zoo_arch_number(row.name), _i + 1);
    dims_are(m, 4, 0, 0);
    ev_model_destroy(m);
}
END_TEST

START_TEST(other_sizes)
{
    ev_model *m = NULL;
    ev_zoo_options o;
    EV_OPTIONS_INIT(&o);
    o.width = 96;
    o.height = 64;
    o.channels = 1;
    o.n_classes = 7;
    t_ok(ev_zoo_create(ctx, "arch2", &o, &m));
    dims_are(m, 7, 0, 0);
    /* 8*9+8, 16*72+16, 16*144+16, 16*12*8 -> 16, 16 -> 7 */
    ck_assert_int_eq(ev_model_parameter_count(m),
                     80 + 1168 + 2320 + (16 * 12 * 8 * 16 + 16) + (16 * 7 + 7));
    ev_model_destroy(m);
    o.width = o.height = 7;
    t_status(ev_zoo_arch(ctx, 11, &o, &m), EV_ERR_SHAPE);
    ck_assert_ptr_null(m);
}
END_TEST

START_TEST(names)
{
    ev_model *m = NULL;
    ck_assert_int_eq(ev_zoo_n_archs(), 11);
    ck_assert_int_eq(ev_zoo_arch_number("ARCH11"), 11);
    ck_assert_int_eq(ev_zoo_arch_number("arch-3"), 3);
    ck_assert_int_eq(ev_zoo_arch_number("5"), 5);
    ck_assert_int_eq(ev_zoo_arch_number("M5"), 5);
    ck_assert_int_eq(ev_zoo_arch_number("12"), 0);
    ck_assert_int_eq(ev_zoo_arch_number("M"), 0);
    ck_assert_int_eq(ev_zoo_arch_number(""), 0);
    ck_assert_int_eq(ev_zoo_arch_number(NULL), 0);
    ck_assert_ptr_null(ev_zoo_name(-1));
    int32_t n = 0;
    while (ev_zoo_name(n) != NULL)
        n++;
    ck_assert_int_eq(n, 14);
    t_status(ev_zoo_create(ctx, "VGG", NULL, &m), EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "ResNet-18"));
    t_status(ev_zoo_create(ctx, NULL, NULL, &m), EV_ERR_ARGUMENT);
    t_status(ev_zoo_arch(ctx, 0, NULL, &m), EV_ERR_ARGUMENT);
    t_status(ev_zoo_arch(ctx, 12, NULL, &m), EV_ERR_ARGUMENT);
    t_status(ev_zoo_arch(NULL, 1, NULL, &m), EV_ERR_ARGUMENT);
    t_status(ev_zoo_arch(ctx, 1, NULL, NULL), EV_ERR_ARGUMENT);
}
END_TEST

START_TEST(bad_options)
{
    ev_model *m = NULL;
    ev_zoo_options o;
    EV_OPTIONS_INIT(&o);
    o.dropout = 1;
    t_status(ev_zoo_arch(ctx, 1, &o, &m), EV_ERR_ARGUMENT);
    o.dropout = -0.5f;
    t_status(ev_zoo_arch(ctx, 1, &o, &m), EV_ERR_ARGUMENT);
    o.dropout = 0;
    o.width = -1;
    t_status(ev_zoo_arch(ctx, 1, &o, &m), EV_ERR_ARGUMENT);
    o.width = 0;
    o.n_classes = 70000;
    t_status(ev_zoo_arch(ctx, 1, &o, &m), EV_ERR_ARGUMENT);
    t_status(ev_zoo_resnet_small(ctx, 21, NULL, &m), EV_ERR_ARGUMENT);
    ev_generator_options g;
    EV_OPTIONS_INIT(&g);
    g.image_width = 130;
    t_status(ev_zoo_generator(ctx, &g, &m), EV_ERR_SHAPE);
    g.image_width = 0;
    g.merge = 2;
    t_status(ev_zoo_generator(ctx, &g, &m), EV_ERR_ARGUMENT);
    ev_discriminator_options d;
    EV_OPTIONS_INIT(&d);
    d.image_width = 8;
    t_status(ev_zoo_discriminator(ctx, &d, &m), EV_ERR_SHAPE);
}
END_TEST

/* ---- residual nets ------------------------------------------------------------------------- */

/* The numbers of parameters that the literature has: with 10, 10 and 1,000 classes. */
START_TEST(residual_nets)
{
    ev_model *m = NULL;
    ev_zoo_options o;
    EV_OPTIONS_INIT(&o);
    o.n_classes = 10;
    t_ok(ev_zoo_create(ctx, "resnet20", &o, &m));
    ck_assert_int_eq(ev_model_parameter_count(m), 269722);
    dims_are(m, 10, 0, 0);
    ev_model_destroy(m);
    t_ok(ev_zoo_create(ctx, "ResNet-56", &o, &m));
    ck_assert_int_eq(ev_model_parameter_count(m), 853018);
    ev_model_destroy(m);
    o.n_classes = 1000;
    t_ok(ev_zoo_create(ctx, "ResNet-18", &o, &m));
    ck_assert_int_eq(ev_model_parameter_count(m), 11689512);
    dims_are(m, 1000, 0, 0);
    ev_model_destroy(m);
}
END_TEST

/* ---- CycleGAN ------------------------------------------------------------------------------ */

typedef struct generator_case {
    int32_t blocks, merge, authors;
    int64_t parameters;
} generator_case;

static const generator_case generators[] = {
    { 6, EV_MERGE_ADD, 0, 7837699 },     { 6, EV_MERGE_ADD, 1, 7845129 },
    { 9, EV_MERGE_ADD, 1, 11388681 },    { 6, EV_MERGE_CONCAT, 1, 18461961 },
    { 9, EV_MERGE_CONCAT, 1, 35276553 },
};

START_TEST(generator)
{
    const generator_case *c = &generators[_i];
    ev_model *m = NULL;
    ev_generator_options o;
    EV_OPTIONS_INIT(&o);
    o.n_blocks = c->blocks;
    o.merge = c->merge;
    o.affine = o.norm_last = c->authors;
    o.padding = c->authors ? -1 : 0;
    t_ok(ev_zoo_generator(ctx, &o, &m));
    ck_assert_int_eq(ev_model_parameter_count(m), c->parameters);
    int64_t dims[EV_MAX_RANK];
    ck_assert_int_eq(ev_model_output_dims(m, 0, dims), 4);
    if (_i == 0)
        ck_assert_int_eq((ev_model_macs(m) + 500000) / 1000000, 35056);
    ev_model_destroy(m);
}
END_TEST

/* Shapes of what comes out, for two sizes of picture with one model where it can be. */
static void run_generator(const ev_generator_options *o, int64_t height, int64_t width)
{
    const int64_t dims[4] = { 1, 3, height, width };
    ev_model *m = NULL;
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    ev_tensor *x = NULL;
    ev_plan_options p;
    EV_OPTIONS_INIT(&p);
    p.dims = dims;
    p.n_dims = 4;
    t_ok(ev_zoo_generator(ctx, o, &m));
    t_ok(ev_model_init(m, 1));
    t_ok(ev_plan_create(ctx, m, &p, &plan));
    t_ok(ev_session_create(plan, &session));
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &x));
    t_fill(ev_tensor_data(x), (size_t)ev_tensor_count(x), 3);
    const ev_tensor *in = x;
    t_ok(ev_session_run(session, &in, 1, NULL, 0));
    const ev_tensor *y = ev_session_output(session, 0);
    for (int32_t i = 0; i < 4; i++)
        ck_assert_int_eq(ev_tensor_dim(y, i), dims[i]);
    const float *values = ev_tensor_data(y);
    for (int64_t i = 0; i < ev_tensor_count(y); i++)
        ck_assert(values[i] >= -1 && values[i] <= 1);
    ev_tensor_destroy(x);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    ev_model_destroy(m);
}

START_TEST(generator_variants)
{
    ev_generator_options o;
    EV_OPTIONS_INIT(&o);
    o.image_width = 32;
    o.image_height = 24;
    o.base_width = 4;
    o.n_blocks = 1;
    run_generator(&o, 24, 32);
    run_generator(&o, 40, 16); /* not the drawn size */
    o.merge = EV_MERGE_CONCAT;
    o.padding = -1;
    o.affine = o.norm_last = 1;
    run_generator(&o, 24, 32);
    o.block = EV_BLOCK_SEPARABLE;
    o.padding = EV_PAD_EDGE;
    run_generator(&o, 24, 32);
    o.upsample = EV_UPSAMPLE_RESIZE;
    run_generator(&o, 24, 32);
}
END_TEST

START_TEST(discriminator)
{
    ev_model *m = NULL;
    ev_discriminator_options o;
    int64_t dims[EV_MAX_RANK];
    EV_OPTIONS_INIT(&o);
    t_ok(ev_zoo_discriminator(ctx, NULL, &m));
    ck_assert_int_eq(ev_model_parameter_count(m), 2764737);
    ck_assert_int_eq((ev_model_macs(m) + 500000) / 1000000, 3147);
    ck_assert_int_eq(ev_model_value_dims(m, 0, dims), 4);
    ev_model_destroy(m);
    o.authors = 1;
    t_ok(ev_zoo_discriminator(ctx, &o, &m));
    ck_assert_int_eq(ev_model_parameter_count(m), 6962369);
    ev_model_destroy(m);
}
END_TEST

static ev_status draw_all(ev_context *c, void *arg)
{
    ev_model *m = NULL;
    ev_generator_options o;
    (void)arg;
    EV_OPTIONS_INIT(&o);
    o.base_width = 1;
    o.n_blocks = 1;
    ev_status status = ev_zoo_generator(c, &o, &m);
    ev_model_destroy(m);
    m = NULL;
    if (status == EV_OK)
        status = ev_zoo_resnet_small(c, 8, NULL, &m);
    ev_model_destroy(m);
    m = NULL;
    if (status == EV_OK)
        status = ev_zoo_arch(c, 1, NULL, &m);
    ev_model_destroy(m);
    return status;
}

START_TEST(out_of_memory)
{
    ck_assert_int_gt(t_each_alloc(draw_all, NULL, 1, 0), 50);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("zoo");
    TCase *c = tcase_create("zoo");
    tcase_add_checked_fixture(c, start, end);
    tcase_add_loop_test(c, ladder, 0, 11);
    tcase_add_test(c, other_sizes);
    tcase_add_test(c, names);
    tcase_add_test(c, bad_options);
    tcase_add_test(c, residual_nets);
    tcase_add_loop_test(c, generator, 0, 5);
    tcase_add_test(c, generator_variants);
    tcase_add_test(c, discriminator);
    tcase_add_test(c, out_of_memory);
    suite_add_tcase(s, c);
    return t_run(s);
}
