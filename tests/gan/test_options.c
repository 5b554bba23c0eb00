/* SPDX-License-Identifier: MIT */
/* Options of a CycleGAN: defaults, what is refused and how, the text of a checkpoint and back. */
#include "gan/gan.h"
#include "support.h"

#include <stddef.h>

START_TEST(defaults)
{
    evi_gan_options o;
    t_ok(evi_gan_options_read(NULL, "test", &o));
    ck_assert_int_eq(o.o.width, 256);
    ck_assert_int_eq(o.o.load_height, 256);
    ck_assert_int_eq(o.o.batch_size, 1);
    ck_assert_float_eq(o.o.cycle_weight, 10);
    ck_assert_float_eq(o.o.identity_weight, 5);
    ck_assert_float_eq(o.o.discriminator_weight, 0.5f);
    ck_assert_int_eq(o.o.pool_size, 50);
    ck_assert_int_eq(o.o.epochs, 200);
    ck_assert_int_eq(o.o.decay_epochs, 100);
    ck_assert_float_eq(o.o.beta2, 0.999f);
    ck_assert_uint_eq(o.o.seed, 1);
    ck_assert_float_le(o.o.class_weight, 0);
    ck_assert_int_eq(o.g.n_blocks, 6);
    ck_assert_int_eq(o.g.image_height, 256);
    ck_assert_int_eq(o.d.n_layers, 3);
    ck_assert_ptr_eq(o.o.generator, &o.g);
}
END_TEST

/* Filled options handed in again are the same. */
START_TEST(filled_ones_stay)
{
    ev_cyclegan_options opt;
    evi_gan_options o, again;
    EV_OPTIONS_INIT(&opt);
    opt.cycle_weight = -3;
    opt.beta1 = -1;
    opt.pool_size = -7;
    opt.decay_epochs = -2;
    opt.epochs = 1;
    t_ok(evi_gan_options_read(&opt, "test", &o));
    ck_assert_float_eq(o.o.cycle_weight, -1);
    ck_assert_int_eq(o.o.pool_size, -1);
    t_ok(evi_gan_options_read(&o.o, "test", &again));
    again.o.generator = o.o.generator;
    again.o.discriminator = o.o.discriminator;
    ck_assert_int_eq(memcmp(&o, &again, sizeof(o)), 0);
}
END_TEST

typedef struct wrong {
    size_t offset;
    int32_t whole; /* of an int; otherwise real */
    float real;
    ev_status status;
    const char *says;
} wrong;

#define AT(field) offsetof(ev_cyclegan_options, field)

static const wrong wrongs[] = {
    {AT(width), 30, 0, EV_ERR_SHAPE, "30x30: both must be divisible by 4; 32x32 would do"},
    {AT(width), -4, 0, EV_ERR_ARGUMENT, "width is -4"},
    {AT(height), 70000, 0, EV_ERR_ARGUMENT, "height is 70000"},
    {AT(load_width), 128, 0, EV_ERR_ARGUMENT, "128x256 (load_width, load_height)"},
    {AT(load_height), 255, 0, EV_ERR_ARGUMENT, "load them larger"},
    {AT(steps_per_epoch), -1, 0, EV_ERR_ARGUMENT, "steps_per_epoch is -1"},
    {AT(batch_size), 5000, 0, EV_ERR_ARGUMENT, "batch_size is 5000"},
    {AT(adversarial_weight), 0, -1, EV_ERR_ARGUMENT, "adversarial_weight is -1"},
    {AT(cycle_weight), 0, 1e30f, EV_ERR_ARGUMENT, "cycle_weight is 1e+30"},
    {AT(discriminator_weight), 0, -0.5f, EV_ERR_ARGUMENT, "discriminator_weight is -0.5"},
    {AT(pool_size), 1001, 0, EV_ERR_ARGUMENT, "pool_size is 1001; choose a number in -1..1000"},
    {AT(order), 2, 0, EV_ERR_ARGUMENT, "order is 2"},
    {AT(learning_rate), 0, -1, EV_ERR_ARGUMENT, "learning_rate is -1"},
    {AT(beta1), 0, 1, EV_ERR_ARGUMENT, "beta1 is 1"},
    {AT(epochs), -1, 0, EV_ERR_ARGUMENT, "epochs is -1"},
    {AT(decay_epochs), 201, 0, EV_ERR_ARGUMENT, "decay_epochs is 201 of 200 epochs"},
};

START_TEST(refused)
{
    const wrong *w = &wrongs[_i];
    ev_context *ctx = t_context(NULL, 1);
    ev_cyclegan_options opt;
    ev_memory m;
    EV_OPTIONS_INIT(&opt);
    EV_OPTIONS_INIT(&m);
    char *to = (char *)&opt + w->offset;
    if (w->whole != 0)
        memcpy(to, &w->whole, sizeof(w->whole));
    else
        memcpy(to, &w->real, sizeof(w->real));
    t_status(ev_cyclegan_memory(ctx, &opt, &m), w->status);
    ck_assert_msg(strstr(ev_last_error(), w->says) != NULL, "%s", ev_last_error());
    ck_assert_ptr_eq(strstr(ev_last_error(), "ev_cyclegan_memory: "), ev_last_error());
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(refused_networks)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_cyclegan_options opt;
    ev_generator_options g;
    ev_discriminator_options d;
    ev_cyclegan *gan = NULL;
    EV_OPTIONS_INIT(&opt);
    EV_OPTIONS_INIT(&g);
    EV_OPTIONS_INIT(&d);
    opt.generator = &g;
    opt.discriminator = &d;
    opt.width = 16;
    g.n_blocks = 65;
    t_status(ev_cyclegan_create(ctx, NULL, NULL, &opt, &gan), EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "generator.n_blocks is 65"));
    g.n_blocks = 1;
    g.channels = 2;
    t_status(ev_cyclegan_create(ctx, NULL, NULL, &opt, &gan), EV_ERR_ARGUMENT);
    g.channels = 1;
    d.channels = 3;
    t_status(ev_cyclegan_create(ctx, NULL, NULL, &opt, &gan), EV_ERR_ARGUMENT);
    d.channels = 0;
    d.n_layers = 6; /* 16 pixels are too few */
    t_status(ev_cyclegan_create(ctx, NULL, NULL, &opt, &gan), EV_ERR_SHAPE);
    g.struct_size = (uint32_t)sizeof(g) - 4;
    d.n_layers = 1;
    g.base_width = d.base_width = 4;
    t_ok(ev_cyclegan_create(ctx, NULL, NULL, &opt, &gan));
    ev_cyclegan_destroy(gan);
    ev_context_destroy(ctx);
}
END_TEST

static ev_model *classifier(ev_context *ctx, int32_t channels, bool with_softmax)
{
    const int64_t dims[4] = {-1, channels, 8, 8};
    ev_model *m = NULL;
    ev_value x;
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_flatten(m, x, 1, &x));
    t_ok(ev_model_dense(m, x, 3, NULL, &x));
    if (with_softmax)
        t_ok(ev_model_softmax(m, x, -1, &x));
    t_ok(ev_model_output(m, "logits", x));
    return m;
}

START_TEST(refused_classifiers)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_cyclegan_options opt;
    evi_gan_options o;
    ev_model *good = classifier(ctx, 3, false), *grey = classifier(ctx, 1, false);
    ev_model *soft = classifier(ctx, 3, true);
    EV_OPTIONS_INIT(&opt);
    opt.classifier = good;
    t_status(evi_gan_options_read(&opt, "test", &o), EV_ERR_STATE);
    t_ok(ev_model_init(good, 1));
    t_ok(ev_model_init(grey, 1));
    t_ok(ev_model_init(soft, 1));
    t_ok(evi_gan_options_read(&opt, "test", &o));
    ck_assert_float_eq(o.o.class_weight, 1);
    opt.classifier = grey;
    t_status(evi_gan_options_read(&opt, "test", &o), EV_ERR_SHAPE);
    opt.classifier = soft;
    t_status(evi_gan_options_read(&opt, "test", &o), EV_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "softmax"));
    opt.class_weight = -1; /* then nobody asks it */
    t_ok(evi_gan_options_read(&opt, "test", &o));
    ck_assert_ptr_null(o.o.classifier);
    ev_model_destroy(good);
    ev_model_destroy(grey);
    ev_model_destroy(soft);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- the text -------------------------------------------------------------------------------- */

static void odd(ev_cyclegan_options *opt, ev_generator_options *g, ev_discriminator_options *d)
{
    EV_OPTIONS_INIT(opt);
    EV_OPTIONS_INIT(g);
    EV_OPTIONS_INIT(d);
    opt->generator = g;
    opt->discriminator = d;
    opt->width = 20;
    opt->height = 12;
    opt->load_width = 33;
    opt->replacement = 1;
    opt->cycle_weight = 1.0f / 3;
    opt->identity_weight = -1;
    opt->learning_rate = 1e-7f + 1e-9f;
    opt->beta2 = 0.99999988f;
    opt->seed = 0xfedcba9876543210u;
    opt->decay_epochs = -1;
    opt->order = EV_ORDER_AUTHORS;
    opt->max_bytes = 123456789012u;
    g->n_blocks = 2;
    g->padding = -1;
    g->init_value = 0.1f;
    d->authors = 1;
}

START_TEST(text_and_back)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_cyclegan_options opt;
    ev_generator_options g;
    ev_discriminator_options d;
    evi_gan_options o, back, again;
    evi_text text, twice;
    odd(&opt, &g, &d);
    t_ok(evi_gan_options_read(&opt, "test", &o));
    evi_text_start(&text, ctx);
    evi_gan_options_text(&text, &o, true);
    t_ok(text.status);
    t_ok(evi_gan_options_parse(text.data, "file", &back));
    ck_assert_uint_eq(back.o.seed, opt.seed);
    ck_assert_uint_eq(back.o.max_bytes, opt.max_bytes);
    ck_assert(memcmp(&back.o.cycle_weight, &opt.cycle_weight, sizeof(float)) == 0);
    ck_assert_int_eq(memcmp(&back.g, &o.g, sizeof(o.g)), 0);
    ck_assert_int_eq(memcmp(&back.d, &o.d, sizeof(o.d)), 0);
    t_ok(evi_gan_options_read(&back.o, "test", &again));
    evi_text_start(&twice, ctx);
    evi_gan_options_text(&twice, &again, true);
    ck_assert_str_eq(twice.data, text.data);
    evi_text_end(&twice);
    evi_text_end(&text);
    ev_context_destroy(ctx);
}
END_TEST

/* Each option that decides about the result changes the text; others do not. */
START_TEST(text_says_what_counts)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_cyclegan_options opt;
    evi_gan_options o;
    evi_text first, text;
    ev_model *m = classifier(ctx, 3, false);
    t_ok(ev_model_init(m, 1));
    EV_OPTIONS_INIT(&opt);
    opt.classifier = m;
    t_ok(evi_gan_options_read(&opt, "test", &o));
    evi_text_start(&first, ctx);
    evi_gan_options_text(&first, &o, false);
    opt.cache_bytes = 1 << 20;
    opt.loader_threads = 2;
    opt.max_bytes = 1u << 31;
    opt.checkpoint = "somewhere";
    t_ok(evi_gan_options_read(&opt, "test", &o));
    evi_text_start(&text, ctx);
    evi_gan_options_text(&text, &o, false);
    ck_assert_str_eq(text.data, first.data);
    evi_text_end(&text);
    opt.class_weight = 0.5f;
    t_ok(evi_gan_options_read(&opt, "test", &o));
    evi_text_start(&text, ctx);
    evi_gan_options_text(&text, &o, false);
    ck_assert_ptr_nonnull(strstr(text.data, "class_weight=0.5;"));
    evi_text_end(&text);
    opt.class_weight = 0;
    t_ok(ev_model_init(m, 2)); /* another classifier */
    t_ok(evi_gan_options_read(&opt, "test", &o));
    evi_text_start(&text, ctx);
    evi_gan_options_text(&text, &o, false);
    ck_assert_str_ne(text.data, first.data);
    evi_text_end(&text);
    evi_text_end(&first);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

/* Any cut or changed text is refused or means options in range; it never breaks anything. */
START_TEST(damaged_texts)
{
    ev_context *ctx = t_context(NULL, 1);
    evi_gan_options o, back;
    evi_text text;
    uint64_t state = 5;
    t_ok(evi_gan_options_read(NULL, "test", &o));
    evi_text_start(&text, ctx);
    evi_gan_options_text(&text, &o, false);
    for (uint64_t cut = 0; cut < text.length; cut++) {
        char kept = text.data[cut];
        text.data[cut] = '\0';
        ev_status status = evi_gan_options_parse(text.data, "file", &back);
        bool only_last = strstr(text.data, "precise=0;") != NULL && (text.data[cut - 1] == ';');
        ck_assert_int_eq(status, only_last ? EV_OK : EV_ERR_FORMAT);
        text.data[cut] = kept;
    }
    for (int32_t i = 0; i < 2000; i++) {
        uint64_t at = t_random(&state) % text.length;
        char kept = text.data[at];
        text.data[at] = (char)t_random_int(&state, 1, 127);
        ev_status status = evi_gan_options_parse(text.data, "file", &back);
        ck_assert(status == EV_OK || status == EV_ERR_FORMAT || status == EV_ERR_ARGUMENT ||
                  status == EV_ERR_SHAPE);
        text.data[at] = kept;
    }
    evi_text_end(&text);
    ev_context_destroy(ctx);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cyclegan: options");
    TCase *c = tcase_create("options");
    tcase_add_test(c, defaults);
    tcase_add_test(c, filled_ones_stay);
    tcase_add_loop_test(c, refused, 0, EVI_COUNT(wrongs));
    tcase_add_test(c, refused_networks);
    tcase_add_test(c, refused_classifiers);
    tcase_add_test(c, text_and_back);
    tcase_add_test(c, text_says_what_counts);
    tcase_add_test(c, damaged_texts);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(suite());
}
