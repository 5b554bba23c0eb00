/* SPDX-License-Identifier: MIT */
/* Milliseconds of one whole CycleGAN step (Zhu et al. 2017), batch 1: both generators (six blocks,
 * width 64) with adversarial (least squares), cycle (10) and identity (5) losses, then both
 * discriminators on real and generated pictures; Adam 2e-4, beta1 0.5.  Two ordinary models that
 * call the four networks, and two ordinary trainers:
 *     bench/cyclegan_step --size 256 --threads 1 [--steps N] */
#include "bench.h"

#include "train/trainer.h"

typedef struct gan {
    ev_model *g_ab, *g_ba, *d_a, *d_b; /* the networks */
    ev_model *g_net, *d_net;           /* their losses */
    ev_trainer *g_trainer, *d_trainer;
    ev_tensor *a, *b;  /* one picture of each kind */
    double g_ms, d_ms; /* least time of each half */
    double g_loss, d_loss;
} gan;

static ev_value call(ev_model *net, ev_model *callee, ev_value x, int32_t frozen)
{
    ev_value y = EV_NO_VALUE;
    MUST(ev_model_call(net, callee, &x, 1, frozen, &y, 1));
    return y;
}

static ev_value input(ev_model *net, const char *name, const bench_options *o)
{
    const int64_t dims[4] = {1, 3, o->size, o->size};
    ev_value x = EV_NO_VALUE;
    MUST(ev_model_input(net, name, EV_TYPE_FLOAT32, 4, dims, &x));
    return x;
}

static void l1(ev_model *net, const char *name, ev_value x, ev_value target, float weight)
{
    ev_value loss = EV_NO_VALUE;
    MUST(ev_model_l1_loss(net, x, target, 0, &loss));
    MUST(ev_model_loss(net, name, loss, weight));
}

/* Least squares: patches shall be 1 (real) or 0. */
static void patches(ev_model *net, const char *name, ev_value x, float target, float weight)
{
    ev_value loss = EV_NO_VALUE;
    MUST(ev_model_mse_loss(net, x, EV_NO_VALUE, target, &loss));
    MUST(ev_model_loss(net, name, loss, weight));
}

static ev_model *network(ev_context *ctx, const bench_options *o, const char *kind)
{
    bench_options part = *o;
    part.net = kind;
    return bench_model(ctx, &part);
}

/* Both generators; gradients pass through the discriminators but do not change them. */
static void draw_generators(ev_context *ctx, const bench_options *o, gan *s)
{
    MUST(ev_model_create(ctx, &s->g_net));
    ev_model *net = s->g_net;
    ev_value a = input(net, "a", o), b = input(net, "b", o);
    ev_value fake_b = call(net, s->g_ab, a, 0), fake_a = call(net, s->g_ba, b, 0);
    MUST(ev_model_output(net, "fake_a", fake_a));
    MUST(ev_model_output(net, "fake_b", fake_b));
    patches(net, "adversarial_a", call(net, s->d_a, fake_a, 1), 1, 1);
    patches(net, "adversarial_b", call(net, s->d_b, fake_b, 1), 1, 1);
    l1(net, "cycle_a", call(net, s->g_ba, fake_b, 0), a, 10);
    l1(net, "cycle_b", call(net, s->g_ab, fake_a, 0), b, 10);
    l1(net, "identity_a", call(net, s->g_ba, a, 0), a, 5);
    l1(net, "identity_b", call(net, s->g_ab, b, 0), b, 5);
    MUST(ev_model_init(net, 1));
}

/* Both discriminators: real pictures 1, generated ones 0, each half. */
static void draw_discriminators(ev_context *ctx, const bench_options *o, gan *s)
{
    MUST(ev_model_create(ctx, &s->d_net));
    ev_model *net = s->d_net;
    patches(net, "real_a", call(net, s->d_a, input(net, "a", o), 0), 1, 0.5f);
    patches(net, "fake_a", call(net, s->d_a, input(net, "fake_a", o), 0), 0, 0.5f);
    patches(net, "real_b", call(net, s->d_b, input(net, "b", o), 0), 1, 0.5f);
    patches(net, "fake_b", call(net, s->d_b, input(net, "fake_b", o), 0), 0, 0.5f);
    MUST(ev_model_init(net, 1));
}

static ev_trainer *trainer(ev_context *ctx, ev_model *net, const bench_options *o)
{
    ev_train_options t;
    ev_trainer *out = NULL;
    EV_OPTIONS_INIT(&t);
    t.batch_size = 1;
    t.learning_rate = 2e-4f;
    t.beta1 = 0.5f;
    t.precise = o->precise;
    MUST(ev_trainer_create(ctx, net, NULL, NULL, &t, &out));
    return out;
}

static void start(ev_context *ctx, const bench_options *o, gan *s)
{
    s->g_ab = network(ctx, o, "generator");
    s->g_ba = network(ctx, o, "generator");
    s->d_a = network(ctx, o, "discriminator");
    s->d_b = network(ctx, o, "discriminator");
    draw_generators(ctx, o, s);
    draw_discriminators(ctx, o, s);
    s->g_trainer = trainer(ctx, s->g_net, o);
    s->d_trainer = trainer(ctx, s->d_net, o);
    s->a = bench_picture(ctx, 1, 3, o->size, o->size, 1);
    s->b = bench_picture(ctx, 1, 3, o->size, o->size, 2);
    s->g_ms = s->d_ms = 1e30;
}

static double sum(const double *v, int n)
{
    double total = 0;
    for (int i = 0; i < n; i++)
        total += v[i];
    return total;
}

/* The generated pictures go on to the discriminators without a copy. */
static void step(gan *s)
{
    double losses[6], t0 = bench_now();
    const ev_feed g[2] = {{"a", s->a}, {"b", s->b}};
    MUST(ev_trainer_step(s->g_trainer, g, 2, losses, 6));
    s->g_loss = sum(losses, 2) + 10 * sum(losses + 2, 2) + 5 * sum(losses + 4, 2);
    double t1 = bench_now();
    const ev_feed d[4] = {{"a", s->a},
                          {"fake_a", ev_trainer_output(s->g_trainer, 0)},
                          {"b", s->b},
                          {"fake_b", ev_trainer_output(s->g_trainer, 1)}};
    MUST(ev_trainer_step(s->d_trainer, d, 4, losses, 4));
    s->d_loss = 0.5 * sum(losses, 4);
    double t2 = bench_now();
    s->g_ms = (t1 - t0) * 1e3 < s->g_ms ? (t1 - t0) * 1e3 : s->g_ms;
    s->d_ms = (t2 - t1) * 1e3 < s->d_ms ? (t2 - t1) * 1e3 : s->d_ms;
}

static void end(gan *s)
{
    ev_trainer_destroy(s->g_trainer);
    ev_trainer_destroy(s->d_trainer);
    ev_tensor_destroy(s->a);
    ev_tensor_destroy(s->b);
    ev_model_destroy(s->g_net);
    ev_model_destroy(s->d_net);
    ev_model_destroy(s->g_ab);
    ev_model_destroy(s->g_ba);
    ev_model_destroy(s->d_a);
    ev_model_destroy(s->d_b);
}

static double bytes_of(const ev_trainer *t)
{
    double gflop = 0, bytes = 0;
    evi_session_cost(t->parts[0].session, &gflop, &bytes);
    return 3 * bytes;
}

int main(int argc, char **argv)
{
    bench_options o = {.threads = 1, .batch = 1, .size = 256, .seconds = 10};
    bench_result r = {.what = "cyclegan_step", .name = "CycleGAN"};
    gan s = {0};
    bench_read(argc, argv, &o);
    ev_context *ctx = bench_context(&o);
    start(ctx, &o, &s);
    step(&s);
    double first_g = s.g_loss, first_d = s.d_loss, begin = bench_now();
    while (bench_more(&o, &r.samples, begin, 2)) {
        double t = bench_now();
        step(&s);
        bench_add(&r.samples, (bench_now() - t) * 1e3);
    }
    /* six runs of a generator, forward and backward; of a discriminator two whose weights stay and
     * four that train it */
    r.gflop = 2e-9 * (18.0 * (double)ev_model_macs(s.g_ab) + 16.0 * (double)ev_model_macs(s.d_a));
    r.bytes = bytes_of(s.g_trainer) + bytes_of(s.d_trainer) +
              56.0 * (double)(ev_model_parameter_count(s.g_ab) + ev_model_parameter_count(s.d_a));
    r.peak = bench_peak(ctx);
    snprintf(r.more, sizeof r.more,
             ",\"generators_ms\":%.3f,\"discriminators_ms\":%.3f,\"first_generators_loss\":%.6f,"
             "\"first_discriminators_loss\":%.6f",
             s.g_ms, s.d_ms, first_g, first_d);
    bench_head(&o);
    bench_print(&o, &r);
    if (!o.json)
        fprintf(stderr, "least: generators %.1f ms, discriminators %.1f ms\n", s.g_ms, s.d_ms);
    bench_end(&r);
    end(&s);
    ev_context_destroy(ctx);
    return 0;
}
