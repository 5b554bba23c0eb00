/* SPDX-License-Identifier: MIT */
/* Several nets as one trainer: the same as one net with all their losses, in less memory. */
#include "train.h"

#include "train/safetensors.h"
#include "train/trainer.h"
#include <math.h>

/* ---- nets that share weights --------------------------------------------------------------- */

enum { SIDE = 8, BATCH = 3, TERMS = 3, STEPS = 3, MOST = 4096 };

/* Two nets are trained by three terms: */
typedef struct world {
    ev_context *ctx;
    ev_model *g; /* two results: a picture, and another one that only the last term asks for */
    ev_model *h;
    ev_model *whole, *parts[TERMS]; /* all terms in one net; one net for each */
    ev_tensor *x, *wanted;
} world;

static ev_status draw_g(ev_context *ctx, ev_model **out)
{
    const int64_t dims[4] = { -1, 3, SIDE, SIDE };
    ev_value x = EV_NO_VALUE, y = EV_NO_VALUE;
    EVI_TRY(ev_model_create(ctx, out));
    EVI_TRY(ev_model_input(*out, "x", EV_TYPE_FLOAT32, 4, dims, &x));
    EVI_TRY(ev_model_conv2d(*out, x, 6, 3, NULL, &x));
    EVI_TRY(ev_model_batch_norm(*out, x, NULL, &x));
    EVI_TRY(ev_model_activation(*out, x, EV_ACTIVATION_RELU, 0, 0, &x));
    EVI_TRY(ev_model_conv2d(*out, x, 3, 3, NULL, &y));
    EVI_TRY(ev_model_output(*out, "y", y));
    EVI_TRY(ev_model_conv2d(*out, x, 3, 1, NULL, &y));
    EVI_TRY(ev_model_output(*out, "other", y));
    return ev_model_init(*out, 3);
}

static ev_status draw_h(ev_context *ctx, ev_model **out)
{
    const int64_t dims[4] = { -1, 3, SIDE, SIDE };
    ev_value x = EV_NO_VALUE;
    EVI_TRY(ev_model_create(ctx, out));
    EVI_TRY(ev_model_input(*out, "x", EV_TYPE_FLOAT32, 4, dims, &x));
    EVI_TRY(ev_model_conv2d(*out, x, 4, 3, NULL, &x));
    EVI_TRY(ev_model_activation(*out, x, EV_ACTIVATION_TANH, 0, 0, &x));
    EVI_TRY(ev_model_conv2d(*out, x, 3, 3, NULL, &x));
    EVI_TRY(ev_model_output(*out, "y", x));
    return ev_model_init(*out, 4);
}

/* Losses are declared after all outputs. */
typedef struct loss_list {
    int32_t n;
    const char *name[4];
    ev_value value[4];
    float weight[4];
} loss_list;

static ev_status add_loss(ev_model *net, loss_list *l, const char *name, ev_value x,
                          ev_value target, float weight)
{
    l->name[l->n] = name;
    l->weight[l->n] = weight;
    return ev_model_l1_loss(net, x, target, 0, &l->value[l->n++]);
}

/* Term 0: g alone, half of it; term 1: h of g, both trained; term 2: g's other result, and g,
 * frozen, of h. */
static ev_status draw_term(const world *w, ev_model *net, int32_t term, ev_value x, loss_list *l)
{
    const int64_t dims[4] = { -1, 3, SIDE, SIDE };
    ev_value y[2] = { EV_NO_VALUE, EV_NO_VALUE }, z[2] = { EV_NO_VALUE, EV_NO_VALUE };
    EVI_TRY(ev_model_call(net, w->g, &x, 1, 0, y, 2));
    if (term == 0) {
        EVI_TRY(ev_model_output(net, "made", y[0]));
        EVI_TRY(ev_model_input(net, "wanted", EV_TYPE_FLOAT32, 4, dims, &z[0]));
        return add_loss(net, l, "first", y[0], z[0], 1);
    }
    if (term == 1) {
        EVI_TRY(ev_model_call(net, w->h, &y[0], 1, 0, z, 1));
        EVI_TRY(ev_model_output(net, "carried", z[0]));
        return add_loss(net, l, "second", z[0], x, 10);
    }
    EVI_TRY(add_loss(net, l, "third", y[1], x, 3));
    EVI_TRY(ev_model_call(net, w->h, &x, 1, 0, z, 1));
    EVI_TRY(ev_model_call(net, w->g, &z[0], 1, 1, y, 2));
    return add_loss(net, l, "fourth", y[0], x, 5);
}

/* Terms first..last-1 in one net. */
static ev_status draw_net(const world *w, int32_t first, int32_t last, ev_model **out)
{
    const int64_t dims[4] = { -1, 3, SIDE, SIDE };
    ev_value x = EV_NO_VALUE;
    loss_list l = { 0 };
    EVI_TRY(ev_model_create(w->ctx, out));
    EVI_TRY(ev_model_input(*out, "x", EV_TYPE_FLOAT32, 4, dims, &x));
    for (int32_t i = first; i < last; i++)
        EVI_TRY(draw_term(w, *out, i, x, &l));
    for (int32_t i = 0; i < l.n; i++)
        EVI_TRY(ev_model_loss(*out, l.name[i], l.value[i], l.weight[i]));
    return ev_model_init(*out, 1);
}

static ev_status draw(world *w)
{
    const int64_t dims[4] = { BATCH, 3, SIDE, SIDE };
    EVI_TRY(draw_g(w->ctx, &w->g));
    EVI_TRY(draw_h(w->ctx, &w->h));
    EVI_TRY(draw_net(w, 0, TERMS, &w->whole));
    for (int32_t i = 0; i < TERMS; i++)
        EVI_TRY(draw_net(w, i, i + 1, &w->parts[i]));
    EVI_TRY(ev_tensor_create(w->ctx, EV_TYPE_FLOAT32, 4, dims, &w->x));
    EVI_TRY(ev_tensor_create(w->ctx, EV_TYPE_FLOAT32, 4, dims, &w->wanted));
    tt_numbers(5, ev_tensor_count(w->x), 1.0, ev_tensor_data(w->x));
    tt_numbers(6, ev_tensor_count(w->wanted), 1.0, ev_tensor_data(w->wanted));
    return EV_OK;
}

static void drop(world *w)
{
    ev_model_destroy(w->g);
    ev_model_destroy(w->h);
    ev_model_destroy(w->whole);
    for (int32_t i = 0; i < TERMS; i++)
        ev_model_destroy(w->parts[i]);
    ev_tensor_destroy(w->x);
    ev_tensor_destroy(w->wanted);
}

static world start(ev_context *ctx)
{
    world w = { .ctx = ctx };
    t_ok(draw(&w));
    return w;
}

static void end(world *w)
{
    drop(w);
    ev_context_destroy(w->ctx);
}

static ev_train_options options(void)
{
    ev_train_options o;
    EV_OPTIONS_INIT(&o);
    o.batch_size = BATCH;
    return o;
}

static ev_status step(const world *w, ev_trainer *t, double *losses)
{
    const ev_feed feeds[2] = { { "x", w->x }, { "wanted", w->wanted } };
    return ev_trainer_step(t, feeds, 2, losses, losses != NULL ? 4 : 0);
}

/* ---- the same as one net ------------------------------------------------------------------- */

typedef struct seen {
    float gradients[2][MOST];
    int64_t n[2];
} seen;

static int32_t look(void *user, int32_t vector, int32_t n_vectors, float *gradients, int64_t n)
{
    seen *s = user;
    ck_assert_int_eq(n_vectors, 2);
    ck_assert_int_le(n, MOST);
    memcpy(s->gradients[vector], gradients, (size_t)n * sizeof(float));
    s->n[vector] = n;
    return 0;
}

static void check_outputs(const ev_trainer *whole, const ev_trainer *parts)
{
    for (int32_t i = 0; i < 2; i++) { /* "made" and "carried" */
        const ev_tensor *a = ev_trainer_output(whole, i);
        const ev_tensor *b = ev_trainer_output(parts, 2 * i); /* a loss lies between them */
        ck_assert_int_eq(ev_tensor_rank(b), 4);
        ck_assert_int_eq(ev_tensor_dim(b, 0), BATCH);
        ck_assert_uint_eq(ev_tensor_bytes(a), ev_tensor_bytes(b));
        ck_assert_double_le(t_peak_error(ev_tensor_data(b), ev_tensor_data(a),
                                         (size_t)ev_tensor_count(a)), 1e-5);
    }
    ck_assert_ptr_nonnull(ev_trainer_output(parts, 5));
    ck_assert_ptr_null(ev_trainer_output(parts, 6));
}

START_TEST(as_one_net)
{
    world a = start(t_context(NULL, 1)), b = start(t_context(NULL, 1));
    static seen x, y;
    ev_train_options o = options();
    ev_trainer *whole = NULL, *parts = NULL;
    double want[4], have[4];
    o.optimizer = EV_OPTIMIZER_SGD;
    o.learning_rate = 1e-3f;
    o.reduce = look;
    o.user = &x;
    t_ok(ev_trainer_create(a.ctx, a.whole, NULL, NULL, &o, &whole));
    o.user = &y;
    t_ok(evi_trainer_create_parts(b.ctx, b.parts, TERMS, &o, &parts));
    ck_assert_ptr_null(ev_trainer_output(parts, 0));
    ck_assert_int_eq(ev_trainer_n_losses(parts), 4);
    for (int32_t i = 0; i < 4; i++)
        ck_assert_str_eq(ev_trainer_loss_name(parts, i), ev_trainer_loss_name(whole, i));
    ck_assert_ptr_null(ev_trainer_loss_name(parts, 4));
    for (int32_t i = 0; i < STEPS; i++) {
        t_ok(step(&a, whole, want));
        t_ok(step(&b, parts, have));
        for (int32_t k = 0; k < 4; k++)
            ck_assert_double_eq_tol(have[k], want[k], 1e-5);
        for (int32_t k = 0; k < 2; k++) {
            ck_assert_int_eq(x.n[k], y.n[k]);
            ck_assert_double_le(t_peak_error(y.gradients[k], x.gradients[k], (size_t)x.n[k]),
                                2e-5);
        }
        check_outputs(whole, parts);
    }
    ev_trainer_destroy(whole);
    ev_trainer_destroy(parts);
    end(&a);
    end(&b);
}
END_TEST

static uint32_t crc_of(const world *w)
{
    return tt_weights_crc(w->g) * 3 + tt_weights_crc(w->h);
}

static uint32_t crc_with_threads(int32_t n_threads)
{
    world w = start(t_context(NULL, n_threads));
    ev_train_options o = options();
    ev_trainer *t = NULL;
    o.clip_norm = 1;
    t_ok(evi_trainer_create_parts(w.ctx, w.parts, TERMS, &o, &t));
    for (int32_t i = 0; i < STEPS; i++)
        t_ok(step(&w, t, NULL));
    uint32_t crc = crc_of(&w);
    ev_trainer_destroy(t);
    end(&w);
    return crc;
}

START_TEST(same_bits_for_any_threads)
{
    uint32_t one = crc_with_threads(1);
    for (int32_t n = 1; n <= 4; n++)
        ck_assert_uint_eq(crc_with_threads(n), one);
}
END_TEST

/* Dropout: another one in each part, the same in each run. */
START_TEST(chance)
{
    uint32_t crc[3];
    for (int32_t i = 0; i < 3; i++) {
        ev_context *ctx = t_context(NULL, 1);
        const int64_t dims[2] = { -1, 64 }, one[2] = { 1, 64 };
        ev_model *m[2] = { NULL, NULL }, *net = NULL;
        ev_value x = EV_NO_VALUE, y = EV_NO_VALUE;
        ev_trainer *t = NULL;
        ev_train_options o = options();
        t_ok(ev_model_create(ctx, &net));
        t_ok(ev_model_input(net, "x", EV_TYPE_FLOAT32, 2, dims, &x));
        t_ok(ev_model_dense(net, x, 64, NULL, &y));
        t_ok(ev_model_dropout(net, y, 0.5f, &y));
        t_ok(ev_model_output(net, "y", y));
        t_ok(ev_model_init(net, 2));
        for (int32_t k = 0; k < 2; k++) {
            t_ok(ev_model_create(ctx, &m[k]));
            t_ok(ev_model_input(m[k], "x", EV_TYPE_FLOAT32, 2, dims, &x));
            t_ok(ev_model_call(m[k], net, &x, 1, 0, &y, 1));
            t_ok(ev_model_output(m[k], "y", y));
            t_ok(ev_model_l1_loss(m[k], y, x, 0, &y));
            t_ok(ev_model_loss(m[k], "loss", y, 1));
            t_ok(ev_model_init(m[k], 1));
        }
        o.seed = i == 2 ? 9 : 8;
        t_ok(evi_trainer_create_parts(ctx, m, 2, &o, &t));
        const ev_feed feed = { "x", tt_tensor(ctx, 3, 2, one) };
        t_ok(ev_trainer_step(t, &feed, 1, NULL, 0));
        const float *a = ev_tensor_data(ev_trainer_output(t, 0));
        ck_assert_mem_ne(a, ev_tensor_data(ev_trainer_output(t, 2)), 64 * sizeof(float));
        crc[i] = tt_weights_crc(net);
        ev_trainer_destroy(t);
        ev_tensor_destroy((ev_tensor *)(uintptr_t)feed.tensor);
        ev_model_destroy(m[0]);
        ev_model_destroy(m[1]);
        ev_model_destroy(net);
        ev_context_destroy(ctx);
    }
    ck_assert_uint_eq(crc[0], crc[1]);
    ck_assert_uint_ne(crc[0], crc[2]);
}
END_TEST

/* One net is what ev_trainer_create() makes, bit for bit and byte for byte. */
START_TEST(one_net)
{
    world a = start(t_context(NULL, 1)), b = start(t_context(NULL, 1));
    ev_train_options o = options();
    ev_trainer *t = NULL, *u = NULL;
    ev_memory m = { .struct_size = sizeof(m) }, n = m;
    t_ok(ev_trainer_memory(a.ctx, a.whole, 0, &o, &m));
    t_ok(evi_trainer_memory_parts(a.ctx, &a.whole, 1, &o, &n));
    ck_assert_mem_eq(&m, &n, sizeof(m));
    t_ok(ev_trainer_create(a.ctx, a.whole, NULL, NULL, &o, &t));
    t_ok(evi_trainer_create_parts(b.ctx, &b.whole, 1, &o, &u));
    for (int32_t i = 0; i < STEPS; i++) {
        t_ok(step(&a, t, NULL));
        t_ok(step(&b, u, NULL));
    }
    ck_assert_uint_eq(crc_of(&a), crc_of(&b));
    ev_trainer_destroy(t);
    ev_trainer_destroy(u);
    end(&a);
    end(&b);
}
END_TEST

/* ---- memory -------------------------------------------------------------------------------- */

START_TEST(memory_is_known)
{
    t_hooks h = { 0 };
    world w = start(t_context(&h, 2));
    ev_train_options o = options();
    ev_trainer *t = NULL;
    ev_memory m = { .struct_size = sizeof(m) }, one = m;
    uint64_t sum = 0;
    o.monitor = EV_MONITOR_TRAIN_LOSS;
    t_ok(evi_trainer_memory_parts(w.ctx, w.parts, TERMS, &o, &m));
    uint64_t before = ev_context_memory_bytes(w.ctx);
    t_ok(evi_trainer_create_parts(w.ctx, w.parts, TERMS, &o, &t));
    uint64_t took = ev_context_memory_bytes(w.ctx) - before;
    ck_assert_uint_eq(took, m.plan_bytes + m.session_bytes + m.training_bytes);
    ck_assert_uint_eq(m.total_bytes, took + m.weights_bytes);
    t_ok(step(&w, t, NULL));
    long n = atomic_load(&h.n_allocs);
    for (int32_t i = 0; i < STEPS; i++)
        t_ok(step(&w, t, NULL));
    ck_assert_int_eq(atomic_load(&h.n_allocs), n);
    ev_trainer_destroy(t);
    for (int32_t i = 0; i < TERMS; i++) {
        t_ok(ev_trainer_memory(w.ctx, w.parts[i], 0, &o, &one));
        sum += one.session_bytes;
    }
    t_ok(ev_trainer_memory(w.ctx, w.whole, 0, &o, &one));
    ck_assert_uint_eq(m.weights_bytes, one.weights_bytes);
    ck_assert_uint_lt(m.session_bytes, sum);
    ck_assert_uint_lt(m.session_bytes, one.session_bytes);
    end(&w);
    ck_assert_int_eq(atomic_load(&h.n_live), 0);
}
END_TEST

/* ---- bad calls ----------------------------------------------------------------------------- */

START_TEST(bad_nets)
{
    world w = start(t_context(NULL, 1));
    ev_model *nets[2] = { w.parts[0], w.h };
    ev_train_options o = options();
    ev_trainer *t = NULL;
    ev_memory m;
    EV_OPTIONS_INIT(&m);
    t_status(evi_trainer_create_parts(w.ctx, nets, 2, &o, &t), EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "net 1 of 2"));
    t_status(evi_trainer_memory_parts(w.ctx, nets, 2, &o, &m), EV_ERR_ARGUMENT);
    nets[1] = NULL;
    t_status(evi_trainer_create_parts(w.ctx, nets, 2, &o, &t), EV_ERR_ARGUMENT);
    ck_assert_ptr_null(t);
    end(&w);
}
END_TEST

START_TEST(bad_feeds)
{
    world w = start(t_context(NULL, 1));
    const int64_t fewer[4] = { 2, 3, SIDE, SIDE }, other[4] = { BATCH, 3, SIDE, SIDE - 1 };
    ev_tensor *two = tt_tensor(w.ctx, 1, 4, fewer), *bad = tt_tensor(w.ctx, 1, 4, other);
    ev_train_options o = options();
    ev_trainer *t = NULL;
    ev_feed f[3] = { { "x", w.x }, { "wanted", w.wanted }, { "wanted", w.wanted } };
    t_ok(evi_trainer_create_parts(w.ctx, w.parts, TERMS, &o, &t));
    t_status(ev_trainer_step(t, f, 3, NULL, 0), EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "two feeds"));
    f[2].name = "x"; /* which several nets have */
    t_status(ev_trainer_step(t, f, 3, NULL, 0), EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "two feeds"));
    t_status(ev_trainer_step(t, f, 1, NULL, 0), EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "no feed for input 'wanted'"));
    f[2].name = "z";
    t_status(ev_trainer_step(t, f, 3, NULL, 0), EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "there is no input 'z'"));
    f[1].tensor = two;
    t_status(ev_trainer_step(t, f, 2, NULL, 0), EV_ERR_SHAPE);
    f[0].tensor = two;
    t_ok(ev_trainer_step(t, f, 2, NULL, 0)); /* a smaller batch */
    ck_assert_int_eq(ev_tensor_dim(ev_trainer_output(t, 2), 0), 2);
    f[0].tensor = bad;
    t_status(ev_trainer_step(t, f, 2, NULL, 0), EV_ERR_SHAPE);
    t_status(ev_trainer_run(t), EV_ERR_STATE);
    ck_assert_int_eq(ev_trainer_steps(t), 1);
    ev_trainer_destroy(t);
    ev_tensor_destroy(two);
    ev_tensor_destroy(bad);
    end(&w);
}
END_TEST

/* A loss of the second net is not finite: nothing has changed, and what is known is told. */
START_TEST(diverged)
{
    world w = start(t_context(NULL, 1));
    ev_train_options o = options();
    ev_trainer *t = NULL;
    ev_tensor *weight = NULL;
    double losses[4];
    t_ok(evi_trainer_create_parts(w.ctx, w.parts, TERMS, &o, &t));
    t_ok(step(&w, t, losses));
    t_ok(ev_model_weight(w.h, ev_model_weight_name(w.h, 0), &weight));
    float *number = ev_tensor_data(weight), before = number[0];
    number[0] = NAN;
    uint32_t crc = crc_of(&w);
    t_status(step(&w, t, losses), EV_ERR_DIVERGED);
    ck_assert_uint_eq(crc_of(&w), crc);
    ck_assert(isfinite(losses[0]) && isnan(losses[1]) && isnan(losses[3]));
    number[0] = before;
    t_ok(step(&w, t, losses));
    ck_assert(isfinite(losses[3]));
    ck_assert_int_eq(ev_trainer_steps(t), 2);
    ev_tensor_destroy(weight);
    ev_trainer_destroy(t);
    end(&w);
}
END_TEST

/* ---- several trainers in one file ---------------------------------------------------------- */

typedef struct two {
    world w[2]; /* the second: other weights */
    ev_trainer *t[2];
} two;

static two start_two(void)
{
    two s;
    ev_train_options o = options();
    o.monitor = EV_MONITOR_TRAIN_LOSS;
    for (int32_t i = 0; i < 2; i++) {
        s.w[i] = start(t_context(NULL, 1));
        tt_fill(s.w[i].h, 50 + (uint32_t)i);
        o.seed = 5 + (uint64_t)i;
        if (i == 0)
            t_ok(evi_trainer_create_parts(s.w[i].ctx, s.w[i].parts, TERMS, &o, &s.t[i]));
        else
            t_ok(ev_trainer_create(s.w[i].ctx, s.w[i].whole, NULL, NULL, &o, &s.t[i]));
    }
    return s;
}

static void end_two(two *s)
{
    for (int32_t i = 0; i < 2; i++) {
        ev_trainer_destroy(s->t[i]);
        end(&s->w[i]);
    }
}

static void go_on(two *s, int32_t steps)
{
    for (int32_t i = 0; i < steps; i++) {
        t_ok(step(&s->w[0], s->t[0], NULL));
        t_ok(step(&s->w[1], s->t[1], NULL));
    }
    t_ok(ev_trainer_end_epoch(s->t[0], (double)NAN, (double)NAN, NULL));
}

static const char *const prefixes[2] = { "one/", "two/" };

static ev_status put_both(two *s, const char *path)
{
    evi_st_file f;
    evi_st_start(&f, s->w[0].ctx);
    ev_status status = EV_OK;
    for (int32_t i = 0; i < 2 && status == EV_OK; i++)
        status = evi_trainer_put(s->t[i], &f, prefixes[i]);
    if (status == EV_OK)
        status = evi_st_write(&f, path);
    evi_st_end(&f);
    return status;
}

START_TEST(two_prefixes)
{
    char folder[T_PATH], path[T_PATH];
    t_folder(folder);
    t_path(path, folder, "both.safetensors");
    two a = start_two(), b = start_two();
    evi_st_file f;
    go_on(&a, 2);
    t_ok(put_both(&a, path));
    go_on(&a, 3);
    t_ok(step(&b.w[0], b.t[0], NULL)); /* to be forgotten */
    uint32_t crc = crc_of(&b.w[0]);
    evi_st_start(&f, b.w[0].ctx);
    t_ok(evi_st_read(&f, path));
    for (int32_t i = 0; i < 2; i++)
        t_ok(evi_trainer_take(b.t[i], &f, path, prefixes[i], false));
    ck_assert_int_eq(ev_trainer_steps(b.t[0]), 1);
    ck_assert_uint_eq(crc_of(&b.w[0]), crc);
    t_status(evi_trainer_take(b.t[0], &f, path, "two/", true), EV_ERR_SHAPE);
    t_status(evi_trainer_take(b.t[0], &f, path, "three/", true), EV_ERR_FORMAT);
    t_status(evi_trainer_take(b.t[0], &f, path, "", true), EV_ERR_FORMAT);
    ck_assert_uint_eq(crc_of(&b.w[0]), crc);
    for (int32_t i = 0; i < 2; i++)
        t_ok(evi_trainer_take(b.t[i], &f, path, prefixes[i], true));
    evi_st_end(&f);
    ck_assert_int_eq(ev_trainer_epoch(b.t[0]), 1);
    ck_assert_int_eq(ev_trainer_best_epoch(b.t[0]), 0);
    go_on(&b, 3);
    for (int32_t i = 0; i < 2; i++)
        ck_assert_uint_eq(crc_of(&a.w[i]), crc_of(&b.w[i]));
    t_status(ev_trainer_resume(b.t[0], path), EV_ERR_FORMAT); /* it is a part of that file */
    end_two(&a);
    end_two(&b);
    t_folder_remove(folder);
}
END_TEST

/* ---- faults -------------------------------------------------------------------------------- */

static ev_status everything(ev_context *ctx, void *arg)
{
    world w = { .ctx = ctx };
    ev_train_options o = options();
    ev_trainer *t = NULL;
    ev_memory m = { .struct_size = sizeof(m) };
    evi_st_file f, g;
    const char *path = arg;
    evi_st_start(&f, ctx);
    evi_st_start(&g, ctx);
    ev_status status = draw(&w);
    if (status == EV_OK)
        status = evi_trainer_memory_parts(ctx, w.parts, TERMS, &o, &m);
    if (status == EV_OK)
        status = evi_trainer_create_parts(ctx, w.parts, TERMS, &o, &t);
    if (status == EV_OK)
        status = step(&w, t, NULL);
    if (status == EV_OK)
        status = evi_trainer_put(t, &f, "part/");
    if (status == EV_OK)
        status = evi_st_write(&f, path);
    if (status == EV_OK)
        status = evi_st_read(&g, path);
    if (status == EV_OK)
        status = evi_trainer_take(t, &g, path, "part/", true);
    evi_st_end(&f);
    evi_st_end(&g);
    ev_trainer_destroy(t);
    drop(&w);
    return status;
}

START_TEST(out_of_memory)
{
    char folder[T_PATH], path[T_PATH];
    t_folder(folder);
    ck_assert_int_gt(t_each_alloc(everything, (void *)(uintptr_t)t_path(path, folder, "x"), 1, 0),
                     300);
    t_folder_remove(folder);
}
END_TEST

Suite *tt_parts_suite(void)
{
    Suite *s = suite_create("parts");
    TCase *c = tcase_create("parts");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, as_one_net);
    tcase_add_test(c, same_bits_for_any_threads);
    tcase_add_test(c, chance);
    tcase_add_test(c, one_net);
    tcase_add_test(c, memory_is_known);
    tcase_add_test(c, bad_nets);
    tcase_add_test(c, bad_feeds);
    tcase_add_test(c, diverged);
    tcase_add_test(c, two_prefixes);
    tcase_add_test(c, out_of_memory);
    suite_add_tcase(s, c);
    return s;
}
