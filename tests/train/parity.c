/* SPDX-License-Identifier: MIT */
/* Against PyTorch in float64 (tests/golden/make_train.py).  Built twice: in float, and over
 * doubles, where the two may differ only in the order of sums. */
#include "train.h"

#include <math.h>

#ifdef EVI_REAL_DOUBLE
#define STEP_TOLERANCE 1e-9
#define CURVE_TOLERANCE 1e-9
#define GAN_TOLERANCE 1e-6
#define PRECISION "double"
#else
#define STEP_TOLERANCE 1e-6
#define CURVE_TOLERANCE 1e-3
#define GAN_TOLERANCE 1e-4
#define PRECISION "float"
#endif

static void told(const char *what, double error, double tolerance)
{
    printf("%-8s %-28s %.2e (at most %.0e)\n", PRECISION, what, error, tolerance);
    fflush(stdout);
    ck_assert_msg(error <= tolerance, "%s: %g is above %g", what, error, tolerance);
}

static void check_weights(ev_model *model, const char *name, double tolerance)
{
    int64_t n = 0, n_golden = 0;
    double *have = tt_weights(model, &n), *want = tt_golden(name, &n_golden);
    ck_assert_int_eq(n, n_golden);
    told(name, tt_error(have, want, n), tolerance);
    free(have);
    free(want);
}

/* ---- optimisers ---------------------------------------------------------------------------- */

static double step(ev_trainer *trainer, ev_context *ctx, uint32_t x_seed, uint32_t y_seed,
                   int64_t batch, const int64_t image[3], int32_t classes)
{
    const int64_t dims[4] = { batch, image[0], image[1], image[2] };
    ev_tensor *x = tt_tensor(ctx, x_seed, 4, dims);
    ev_tensor *y = tt_label_tensor(ctx, y_seed, batch, classes);
    const ev_feed feeds[2] = { { "labels", y }, { "image", x } };
    double loss = 0;
    t_ok(ev_trainer_step(trainer, feeds, 2, &loss, 1));
    ev_tensor_destroy(x);
    ev_tensor_destroy(y);
    return loss;
}

typedef struct optimiser_case {
    const char *name;
    int32_t optimizer;
    float rate, momentum, beta1, beta2, epsilon, l2, decay, clip_norm, clip_value;
    int32_t nesterov;
} optimiser_case;

static const optimiser_case optimisers[] = {
    { "sgd", EV_OPTIMIZER_SGD, 0.05f, -1, 0, 0, 0, 0, 0, 0, 0, 0 },
    { "momentum", EV_OPTIMIZER_SGD, 0.05f, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
    { "nesterov_l2", EV_OPTIMIZER_SGD, 0.05f, 0.8f, 0, 0, 0, 0.01f, 0, 0, 0, 1 },
    { "adam", EV_OPTIMIZER_ADAM, 0.01f, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
    { "adam_l2", EV_OPTIMIZER_ADAM, 0.01f, 0, 0.5f, 0.99f, 1e-6f, 0.02f, 0, 0, 0, 0 },
    { "adamw", EV_OPTIMIZER_ADAMW, 0.01f, 0, 0, 0, 0, 0, 0.1f, 0, 0, 0 },
    { "rmsprop", EV_OPTIMIZER_RMSPROP, 0.002f, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
    { "rmsprop_momentum", EV_OPTIMIZER_RMSPROP, 0.002f, 0.6f, 0, 0.9f, 0, 0.01f, 0, 0, 0, 0 },
    { "clip_norm", EV_OPTIMIZER_SGD, 0.05f, 0, 0, 0, 0, 0, 0, 0.5f, 0, 0 },
    { "clip_both", EV_OPTIMIZER_ADAM, 0.01f, 0, 0, 0, 0, 0, 0, 0.25f, 0.05f, 0 },
};

START_TEST(optimiser_steps)
{
    const optimiser_case *c = &optimisers[_i];
    const int64_t image[3] = { 2, 4, 4 };
    ev_context *ctx = t_context(NULL, 1);
    ev_model *model = tt_small_net(ctx);
    ev_trainer *trainer = NULL;
    ev_train_options o;
    char name[64];
    EV_OPTIONS_INIT(&o);
    o.optimizer = c->optimizer;
    o.learning_rate = c->rate;
    o.momentum = c->momentum;
    o.beta1 = c->beta1;
    o.beta2 = c->beta2;
    o.epsilon = c->epsilon;
    o.l2 = c->l2;
    o.decay = c->decay;
    o.clip_norm = c->clip_norm;
    o.clip_value = c->clip_value;
    o.nesterov = c->nesterov;
    o.batch_size = 4;
    o.precise = 1;
    t_ok(ev_trainer_create(ctx, model, NULL, NULL, &o, &trainer));
    for (uint32_t i = 0; i < 3; i++) {
        step(trainer, ctx, 500 + i, 600 + i, 4, image, 3);
        snprintf(name, sizeof(name), "%s_%d", c->name, (int)i + 1);
        if (i != 1)
            check_weights(model, name, STEP_TOLERANCE);
    }
    ev_trainer_destroy(trainer);
    ev_model_destroy(model);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(smoothing_and_class_weights)
{
    const int64_t image[3] = { 2, 4, 4 };
    const float weights[3] = { 1, 2, 0.5f };
    ev_context *ctx = t_context(NULL, 1);
    ev_model *model = tt_small_net(ctx);
    ev_trainer *trainer = NULL;
    ev_train_options o;
    int64_t n = 0;
    EV_OPTIONS_INIT(&o);
    o.optimizer = EV_OPTIMIZER_SGD;
    o.momentum = -1;
    o.learning_rate = 0.05f;
    o.label_smoothing = 0.125f;
    o.class_weights = weights;
    o.n_class_weights = 3;
    o.batch_size = 4;
    t_ok(ev_trainer_create(ctx, model, NULL, NULL, &o, &trainer));
    double loss = step(trainer, ctx, 500, 600, 4, image, 3);
    double *want = tt_golden("smoothing_loss", &n);
    told("smoothing_loss", fabs(loss - want[0]) / want[0], STEP_TOLERANCE);
    check_weights(model, "smoothing", STEP_TOLERANCE);
    free(want);
    ev_trainer_destroy(trainer);
    ev_model_destroy(model);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- Arch2 --------------------------------------------------------------------------------- */

START_TEST(arch2_hundred_steps)
{
    const int64_t image[3] = { 3, 32, 32 };
    ev_context *ctx = t_context(NULL, 2);
    ev_model *model = NULL;
    ev_trainer *trainer = NULL;
    ev_zoo_options z;
    ev_train_options o;
    int64_t n = 0;
    EV_OPTIONS_INIT(&z);
    z.width = 32;
    t_ok(ev_zoo_arch(ctx, 2, &z, &model));
    t_ok(ev_model_init(model, 1));
    tt_fill(model, 1000);
    EV_OPTIONS_INIT(&o);
    o.learning_rate = 1e-4f;
    o.batch_size = 8;
    t_ok(ev_trainer_create(ctx, model, NULL, NULL, &o, &trainer));
    double *want = tt_golden("arch2", &n), worst = 0;
    ck_assert_int_eq(n, 100);
    for (uint32_t i = 0; i < 100; i++) {
        double loss = step(trainer, ctx, 2000 + i % 4, 3000 + i % 4, 8, image, 4);
        worst = fmax(worst, fabs(loss - want[i]) / want[i]);
    }
    told("arch2, 100 steps of Adam", worst, CURVE_TOLERANCE);
    free(want);
    ev_trainer_destroy(trainer);
    ev_model_destroy(model);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- a CycleGAN's generator step ----------------------------------------------------------- */

typedef struct gan {
    ev_model *g, *d, *net;
    evi_real *gradients; /* of g's store, from the reduce hook */
    int64_t n;
} gan;

static ev_value call(ev_model *net, ev_model *callee, ev_value x, int32_t frozen)
{
    ev_value y = EV_NO_VALUE;
    t_ok(ev_model_call(net, callee, &x, 1, frozen, &y, 1));
    return y;
}

static void draw_gan(ev_context *ctx, gan *s)
{
    const int64_t dims[4] = { -1, 3, 16, 16 };
    ev_generator_options g;
    ev_discriminator_options d;
    ev_value a, b, fake, loss;
    EV_OPTIONS_INIT(&g);
    g.image_width = 16;
    g.base_width = 2;
    g.n_blocks = 1;
    EV_OPTIONS_INIT(&d);
    d.image_width = 16;
    d.base_width = 2;
    d.n_layers = 1;
    t_ok(ev_zoo_generator(ctx, &g, &s->g));
    t_ok(ev_zoo_discriminator(ctx, &d, &s->d));
    t_ok(ev_model_init(s->g, 1));
    t_ok(ev_model_init(s->d, 1));
    tt_fill(s->g, 4000);
    tt_fill(s->d, 5000);
    t_ok(ev_model_create(ctx, &s->net));
    t_ok(ev_model_input(s->net, "a", EV_TYPE_FLOAT32, 4, dims, &a));
    t_ok(ev_model_input(s->net, "b", EV_TYPE_FLOAT32, 4, dims, &b));
    fake = call(s->net, s->g, a, 0);
    t_ok(ev_model_output(s->net, "fake", fake));
    t_ok(ev_model_mse_loss(s->net, call(s->net, s->d, fake, 1), EV_NO_VALUE, 1.0f, &loss));
    t_ok(ev_model_loss(s->net, "adversarial", loss, 1.0f));
    t_ok(ev_model_l1_loss(s->net, call(s->net, s->g, fake, 0), a, 0, &loss));
    t_ok(ev_model_loss(s->net, "cycle", loss, 10.0f));
    t_ok(ev_model_l1_loss(s->net, call(s->net, s->g, b, 0), b, 0, &loss));
    t_ok(ev_model_loss(s->net, "identity", loss, 5.0f));
    t_ok(ev_model_init(s->net, 1));
}

static int32_t take_gradients(void *user, int32_t vector, int32_t n_vectors, float *gradients,
                              int64_t n)
{
    gan *s = user;
    ck_assert_int_eq(vector, 0);
    ck_assert_int_eq(n_vectors, 1); /* the discriminator is frozen */
    s->gradients = malloc((size_t)n * sizeof(evi_real));
    memcpy(s->gradients, gradients, (size_t)n * sizeof(evi_real));
    s->n = n;
    return 0;
}

/* Every convolution but the last stands before an instance norm: the true gradient of its bias is
 * zero, and what comes out is rounding. */
static bool counts(const evi_store *store, int32_t i)
{
    return store->params[i].shape.rank != 1 || i == store->n_params - 1;
}

static double compare(const evi_store *store, const evi_real *have, const double *want, int64_t n)
{
    double worst = 0, peak = 0;
    int64_t at = 0;
    for (int32_t i = 0; i < store->n_params; i++) {
        const evi_param *p = &store->params[i];
        for (int64_t k = 0; k < p->count && counts(store, i); k++) {
            worst = fmax(worst, fabs((double)have[p->offset + k] - want[at + k]));
            peak = fmax(peak, fabs(want[at + k]));
        }
        at += p->count;
    }
    ck_assert_int_eq(at, n);
    return worst / peak;
}

static void check_gan(ev_trainer *trainer, const gan *s, const double losses[3])
{
    int64_t n = 0;
    double *want = tt_golden("gan_losses", &n), have[48];
    told("gan_losses", tt_error(losses, want, n), GAN_TOLERANCE);
    free(want);
    const evi_real *fake = ev_tensor_data(ev_trainer_output(trainer, 0));
    for (int32_t i = 0; i < 48; i++)
        have[i] = (double)fake[i];
    want = tt_golden("gan_fake", &n);
    told("gan_fake", tt_error(have, want, 48), GAN_TOLERANCE);
    free(want);
    want = tt_golden("gan_gradients", &n);
    told("gan_gradients", compare(s->g->store, s->gradients, want, n), GAN_TOLERANCE);
    free(want);
    want = tt_golden("gan_weights", &n);
    told("gan_weights", compare(s->g->store, s->g->store->weights, want, n), GAN_TOLERANCE);
    free(want);
}

START_TEST(cyclegan_step)
{
    const int64_t dims[4] = { 2, 3, 16, 16 };
    ev_context *ctx = t_context(NULL, 2);
    gan s = { 0 };
    ev_trainer *trainer = NULL;
    ev_train_options o;
    double losses[3] = { 0 };
    draw_gan(ctx, &s);
    uint32_t d_before = tt_weights_crc(s.d);
    EV_OPTIONS_INIT(&o);
    o.learning_rate = 2e-4f;
    o.beta1 = 0.5f;
    o.batch_size = 2;
    o.precise = 1;
    o.reduce = take_gradients;
    o.user = &s;
    t_ok(ev_trainer_create(ctx, s.net, NULL, NULL, &o, &trainer));
    ck_assert_int_eq(ev_trainer_n_losses(trainer), 3);
    ck_assert_str_eq(ev_trainer_loss_name(trainer, 1), "cycle");
    ev_tensor *a = tt_tensor(ctx, 6000, 4, dims), *b = tt_tensor(ctx, 6001, 4, dims);
    const ev_feed feeds[2] = { { "a", a }, { "b", b } };
    t_ok(ev_trainer_step(trainer, feeds, 2, losses, 3));
    check_gan(trainer, &s, losses);
    ck_assert_uint_eq(tt_weights_crc(s.d), d_before);
    free(s.gradients);
    ev_tensor_destroy(a);
    ev_tensor_destroy(b);
    ev_trainer_destroy(trainer);
    ev_model_destroy(s.net);
    ev_model_destroy(s.g);
    ev_model_destroy(s.d);
    ev_context_destroy(ctx);
}
END_TEST

Suite *tt_parity_suite(void)
{
    Suite *s = suite_create("training, against PyTorch");
    TCase *c = tcase_create("steps");
    tcase_add_loop_test(c, optimiser_steps, 0, EVI_COUNT(optimisers));
    tcase_add_test(c, smoothing_and_class_weights);
    tcase_add_test(c, arch2_hundred_steps);
    tcase_add_test(c, cyclegan_step);
    suite_add_tcase(s, c);
    return s;
}
