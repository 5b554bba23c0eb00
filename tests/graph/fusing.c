/* SPDX-License-Identifier: MIT */
/* Plans that fuse against plans that do not, on random nets of convolutions, activations and pools
 * with odd sizes: the same results and the same gradients, for several batches and numbers of
 * threads.  The file is built with float and with double. */
#include "graph/plan.h"
#include "support.h"
#include <math.h>

enum { MOST_IMAGES = 3, MOST_SIZE = 23, NETS = 60 };

static const double tolerance = sizeof(evi_real) == 4 ? 3e-5 : 1e-11;

static ev_value activation(ev_model *m, ev_value x, bool training, uint64_t *state)
{
    int32_t kind = EV_ACTIVATION_RELU;
    if (t_random_int(state, 0, 3) == 0)
        kind =
            training && t_random_int(state, 0, 1) ? EV_ACTIVATION_TANH : EV_ACTIVATION_LEAKY_RELU;
    t_ok(ev_model_activation(m, x, kind, 0.2f, 0, &x));
    return x;
}

static ev_value pool(ev_model *m, ev_value x, int64_t *h, int64_t *w, uint64_t *state)
{
    ev_pool2d_options o;
    EV_OPTIONS_INIT(&o);
    if (*h < 4 || *w < 4)
        return x;
    o.ceil_mode = t_random_int(state, 0, 4) == 0; /* fused when the size is even */
    t_ok(ev_model_max_pool2d(m, x, 2, &o, &x));
    *h = (*h + (o.ceil_mode ? 1 : 0)) / 2;
    *w = (*w + (o.ceil_mode ? 1 : 0)) / 2;
    return x;
}

/* Nothing, or one of the two norms. */
static ev_value norm(ev_model *m, ev_value x, uint64_t *state)
{
    ev_norm_options o;
    EV_OPTIONS_INIT(&o);
    const int32_t kind = t_random_int(state, 0, 4);
    o.affine = t_random_int(state, 0, 1) ? 1 : 0;
    if (kind == 0)
        t_ok(ev_model_batch_norm(m, x, NULL, &x));
    if (kind == 1)
        t_ok(ev_model_instance_norm(m, x, &o, &x));
    return x;
}

/* Convolution with an activation, a pool, both in either order, or none; now and then the value
 * between is read twice, so that it must stay. */
static ev_value block(ev_model *m, ev_value x, bool training, int64_t *h, int64_t *w,
                      uint64_t *state)
{
    ev_conv2d_options o;
    const int32_t kernel = 2 * t_random_int(state, 0, 2) + 1, kind = t_random_int(state, 0, 5);
    const int32_t filters = t_random_int(state, 1, 20);
    EV_OPTIONS_INIT(&o);
    o.stride_h = o.stride_w = t_random_int(state, 0, 3) == 0 && *h > 6 && *w > 6 ? 2 : 1;
    o.no_bias = t_random_int(state, 0, 4) == 0;
    o.init = EV_INIT_NORMAL;
    o.init_value = 0.3f;
    if (t_random_int(state, 0, 3) == 0) {
        t_ok(ev_model_pad2d(m, x, EV_PAD_EDGE, 1, 0, 1, 1, &x));
        *h += 2;
        *w += 1;
    }
    t_ok(ev_model_conv2d(m, x, filters, kernel, &o, &x));
    *h = (*h - 1) / o.stride_h + 1;
    *w = (*w - 1) / o.stride_w + 1;
    if (*h * *w >= 16)
        x = norm(m, x, state);
    ev_value before = x;
    if (kind == 0)
        x = pool(m, x, h, w, state);
    if (kind < 4)
        x = activation(m, x, training, state);
    if (kind == 5 && t_random_int(state, 0, 1))
        t_ok(ev_model_add(m, x, before, &x));
    if (kind == 1 || kind == 2 || kind == 4)
        x = pool(m, x, h, w, state);
    return x;
}

static ev_model *random_net(ev_context *ctx, bool training, uint64_t seed)
{
    uint64_t state = seed;
    int64_t h = t_random_int(&state, 7, MOST_SIZE), w = t_random_int(&state, 7, MOST_SIZE);
    const int64_t dims[4] = {-1, 3, h, w}, one[1] = {-1};
    ev_model *m = NULL;
    ev_value x, labels, loss;
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    if (training)
        t_ok(ev_model_input(m, "labels", EV_TYPE_INT32, 1, one, &labels));
    for (int32_t i = t_random_int(&state, 1, 3); i > 0; i--)
        x = block(m, x, training, &h, &w, &state);
    t_ok(ev_model_flatten(m, x, 1, &x));
    if (training || t_random_int(&state, 0, 1))
        t_ok(ev_model_dense(m, x, 4, NULL, &x));
    t_ok(ev_model_output(m, "logits", x));
    if (training) {
        t_ok(ev_model_cross_entropy(m, x, labels, NULL, &loss));
        t_ok(ev_model_loss(m, "loss", loss, 1));
    }
    t_ok(ev_model_init(m, seed));
    return m;
}

/* What a run gives, in one vector: the logits, and when training the loss and all gradients. */
typedef struct answer {
    evi_real *v;
    int64_t n, n_logits;
    int32_t n_steps;
    uint64_t bytes;
} answer;

static void run_trained(ev_plan *plan, evi_crew *crew, const void *const *inputs, int64_t batch,
                        answer *a)
{
    ev_session *s = NULL;
    evi_shape shape;
    const int64_t n = plan->training ? plan->stores[0]->n_trainable : 0;
    evi_real *grads[1] = {calloc((size_t)n + 1, sizeof(evi_real))};
    t_ok(evi_session_create_training(plan, grads, &s));
    t_ok(evi_session_forward(s, crew, inputs, plan->n_inputs, batch, 0));
    if (plan->training)
        evi_session_backward(s, crew, NULL, false);
    const void *y = evi_session_output_data(s, 0, &shape);
    a->n_logits = evi_shape_count(&shape);
    a->n = a->n_logits + n + 1;
    a->v = calloc((size_t)a->n, sizeof(evi_real));
    memcpy(a->v, y, (size_t)a->n_logits * sizeof(evi_real));
    memcpy(a->v + a->n_logits, grads[0], (size_t)n * sizeof(evi_real));
    if (plan->training)
        a->v[a->n - 1] = (evi_real)evi_session_scalar(s, 1);
    free(grads[0]);
    ev_session_destroy(s);
}

static answer run(bool training, uint64_t seed, int32_t threads, int64_t batch, bool fused)
{
    static evi_real x[MOST_IMAGES * 3 * MOST_SIZE * MOST_SIZE];
    static const int32_t labels[MOST_IMAGES] = {0, 3, 1};
    const void *inputs[2] = {x, labels};
    uint64_t state = 9;
    ev_context *ctx = t_context(NULL, threads);
    ev_model *m = random_net(ctx, training, seed);
    ev_plan_options o;
    ev_plan *plan = NULL;
    answer a = {0};
    for (int32_t i = 0; i < EVI_COUNT(x); i++)
        x[i] = (evi_real)t_random_float(&state);
    EV_OPTIONS_INIT(&o);
    o.max_batch = MOST_IMAGES;
    o.precise = 1; /* the same sums, so that no pool can choose otherwise */
    o.no_fusion = !fused;
    if (training)
        t_ok(evi_plan_create_training(ctx, m, &o, &plan));
    else
        t_ok(ev_plan_create(ctx, m, &o, &plan));
    evi_crew *crew = evi_crew_begin(ctx);
    run_trained(plan, crew, inputs, batch, &a);
    evi_crew_end(crew);
    a.n_steps = ev_plan_n_steps(plan);
    a.bytes = plan->arena_bytes;
    ev_plan_destroy(plan);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    return a;
}

static void compare(const answer *a, const answer *b, uint64_t seed)
{
    double peak = 1e-3;
    ck_assert_int_eq(a->n, b->n);
    for (int64_t i = 0; i < a->n; i++)
        peak = fmax(peak, fabs((double)b->v[i]));
    for (int64_t i = 0; i < a->n; i++)
        if (!(fabs((double)(a->v[i] - b->v[i])) <= tolerance * peak))
            ck_abort_msg("net %d, %s %d: %.9g fused, %.9g alone", (int)seed,
                         i < a->n_logits ? "logit" : "gradient", (int)i, (double)a->v[i],
                         (double)b->v[i]);
}

static void check_nets(bool training)
{
    int32_t fewer = 0, smaller = 0;
    for (uint64_t seed = 1; seed <= NETS; seed++) {
        int64_t batch = (int64_t)(seed % MOST_IMAGES) + 1;
        answer a = run(training, seed, 1, batch, true);
        answer b = run(training, seed, 1, batch, false);
        answer c = run(training, seed, (int32_t)(seed % 3) + 2, batch, true);
        compare(&a, &b, seed);
        ck_assert_mem_eq(a.v, c.v, (size_t)a.n * sizeof(evi_real));
        fewer += a.n_steps < b.n_steps;
        smaller += a.bytes < b.bytes;
        ck_assert_int_le(a.n_steps, b.n_steps);
        free(a.v);
        free(b.v);
        free(c.v);
    }
    ck_assert_int_gt(fewer, NETS / 2);
    ck_assert_int_gt(smaller, training ? NETS / 3 : 0);
}

START_TEST(inference_keeps_results)
{
    check_nets(false);
}
END_TEST

START_TEST(training_keeps_gradients)
{
    check_nets(true);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fusing");
    TCase *c = tcase_create("fusing");
    tcase_add_test(c, inference_keeps_results);
    tcase_add_test(c, training_keeps_gradients);
    suite_add_tcase(suite, c);
    return t_run(suite);
}
