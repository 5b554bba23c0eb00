/* SPDX-License-Identifier: MIT */
/* Gradients of whole graphs against finite differences, in double: a classifier with most layers,
 * and a CycleGAN's generator update in small (a generator called twice, a frozen discriminator,
 * three weighted losses).  Also: accumulating, and the same bits on any number of threads. */
#include "graph/plan.h"
#include "support.h"
#include <math.h>

typedef struct net {
    ev_context *ctx;
    ev_model *model;
    ev_plan *plan;
    ev_session *session;
    evi_real *grads[8];
    const void *inputs[2];
    int64_t batch;
} net;

static ev_value conv(ev_model *m, ev_value x, int32_t filters, int32_t kernel, int32_t stride)
{
    ev_conv2d_options o;
    EV_OPTIONS_INIT(&o);
    o.stride_h = o.stride_w = stride;
    o.pad_top = o.pad_left = o.pad_bottom = o.pad_right = kernel / 2;
    o.init = EV_INIT_NORMAL;
    o.init_value = 0.3f;
    t_ok(ev_model_conv2d(m, x, filters, kernel, &o, &x));
    return x;
}

/* Smooth layers only: finite differences and corners do not go together. */
static ev_model *classifier(ev_context *ctx)
{
    const int64_t dims[4] = {-1, 2, 8, 6}, one[1] = {-1};
    ev_model *m = NULL;
    ev_value x, y, z, labels, parts[3];
    const int64_t sizes[2] = {3, 2};
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_input(m, "labels", EV_TYPE_INT32, 1, one, &labels));
    y = conv(m, x, 5, 3, 1);
    t_ok(ev_model_batch_norm(m, y, NULL, &y));
    t_ok(ev_model_activation(m, y, EV_ACTIVATION_TANH, 0, 0, &y));
    z = conv(m, y, 5, 3, 1);
    t_ok(ev_model_add(m, y, z, &y));
    t_ok(ev_model_activation(m, y, EV_ACTIVATION_SIGMOID, 0, 0, &y));
    t_ok(ev_model_split(m, y, 1, 2, sizes, parts)); /* part 1 is read twice, part 0 once */
    parts[2] = parts[1];
    t_ok(ev_model_concat(m, parts, 3, 1, &y));
    t_ok(ev_model_average_pool2d(m, y, 2, NULL, &y));
    t_ok(ev_model_pad2d(m, y, EV_PAD_REFLECT, 1, 1, 1, 1, &y));
    t_ok(ev_model_flatten(m, y, 1, &y));
    t_ok(ev_model_dropout(m, y, 0.3f, &y));
    t_ok(ev_model_dense(m, y, 4, NULL, &y));
    t_ok(ev_model_cross_entropy(m, y, labels, NULL, &z));
    t_ok(ev_model_output(m, "logits", y));
    t_ok(ev_model_loss(m, "loss", z, 1));
    t_ok(ev_model_init(m, 4));
    return m;
}

static ev_model *generator(ev_context *ctx)
{
    const int64_t dims[4] = {-1, 2, 8, 6};
    ev_conv2d_options o;
    ev_model *m = NULL;
    ev_value x, y, z;
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "picture", EV_TYPE_FLOAT32, 4, dims, &x));
    y = conv(m, x, 4, 3, 2);
    t_ok(ev_model_instance_norm(m, y, NULL, &y));
    t_ok(ev_model_activation(m, y, EV_ACTIVATION_TANH, 0, 0, &y));
    t_ok(ev_model_pad2d(m, y, EV_PAD_REFLECT, 1, 1, 1, 1, &z));
    EV_OPTIONS_INIT(&o);
    o.pad_top = o.pad_left = o.pad_bottom = o.pad_right = -1;
    t_ok(ev_model_conv2d(m, z, 4, 3, &o, &z));
    t_ok(ev_model_add(m, y, z, &y));
    EV_OPTIONS_INIT(&o);
    o.stride_h = o.stride_w = 2;
    o.pad_top = o.pad_left = o.pad_bottom = o.pad_right = 1;
    o.output_pad_h = o.output_pad_w = 1;
    t_ok(ev_model_conv_transpose2d(m, y, 2, 3, &o, &y));
    t_ok(ev_model_activation(m, y, EV_ACTIVATION_TANH, 0, 0, &y));
    t_ok(ev_model_output(m, "picture", y));
    t_ok(ev_model_init(m, 11));
    return m;
}

static ev_model *discriminator(ev_context *ctx)
{
    const int64_t dims[4] = {-1, 2, 8, 6};
    ev_model *m = NULL;
    ev_value x;
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "picture", EV_TYPE_FLOAT32, 4, dims, &x));
    x = conv(m, x, 3, 3, 2);
    t_ok(ev_model_activation(m, x, EV_ACTIVATION_TANH, 0, 0, &x));
    x = conv(m, x, 1, 3, 1);
    t_ok(ev_model_output(m, "patches", x));
    t_ok(ev_model_init(m, 12));
    return m;
}

/* adversarial + 10 cycle (with the one generator there and back) + 5 identity */
static ev_model *composed(ev_context *ctx)
{
    const int64_t dims[4] = {-1, 2, 8, 6};
    ev_model *m = NULL, *g = generator(ctx), *d = discriminator(ctx);
    ev_value a, b, fake, back, same, judged, loss[3];
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "a", EV_TYPE_FLOAT32, 4, dims, &a));
    t_ok(ev_model_input(m, "b", EV_TYPE_FLOAT32, 4, dims, &b));
    t_ok(ev_model_call(m, g, &a, 1, 0, &fake, 1));
    t_ok(ev_model_call(m, g, &fake, 1, 0, &back, 1));
    t_ok(ev_model_call(m, g, &b, 1, 0, &same, 1));
    t_ok(ev_model_call(m, d, &fake, 1, 1, &judged, 1));
    t_ok(ev_model_mse_loss(m, judged, EV_NO_VALUE, 1, &loss[0]));
    t_ok(ev_model_mse_loss(m, back, a, 0, &loss[1])); /* smooth, where training has L1 */
    t_ok(ev_model_mse_loss(m, same, b, 0, &loss[2]));
    t_ok(ev_model_output(m, "fake", fake));
    t_ok(ev_model_loss(m, "adversarial", loss[0], 1));
    t_ok(ev_model_loss(m, "cycle", loss[1], 10));
    t_ok(ev_model_loss(m, "identity", loss[2], 5));
    t_ok(ev_model_init(m, 1));
    ev_model_destroy(g);
    ev_model_destroy(d);
    return m;
}

static void open_net(net *n, ev_model *(*draw)(ev_context *), int32_t threads, int64_t batch)
{
    ev_plan_options o;
    memset(n, 0, sizeof(*n));
    n->ctx = t_context(NULL, threads);
    n->model = draw(n->ctx);
    n->batch = batch;
    EV_OPTIONS_INIT(&o);
    o.max_batch = (int32_t)batch + 1;
    t_ok(evi_plan_create_training(n->ctx, n->model, &o, &n->plan));
    for (int32_t i = 0; i < n->plan->n_stores; i++)
        n->grads[i] = calloc((size_t)n->plan->stores[i]->n_trainable + 1, sizeof(evi_real));
    t_ok(evi_session_create_training(n->plan, n->grads, &n->session));
    static evi_real x[2][8 * 2 * 8 * 6];
    static int32_t labels[8] = {0, 3, 1, 2, 2, 0, 1, 3};
    uint64_t state = 5;
    for (int32_t i = 0; i < 2 * 8 * 2 * 8 * 6; i++)
        (&x[0][0])[i] = (evi_real)t_random_float(&state);
    n->inputs[0] = x[0];
    n->inputs[1] = draw == classifier ? (const void *)labels : (const void *)x[1];
}

static void close_net(net *n)
{
    for (int32_t i = 0; i < 8; i++)
        free(n->grads[i]);
    ev_session_destroy(n->session);
    ev_plan_destroy(n->plan);
    ev_model_destroy(n->model);
    ev_context_destroy(n->ctx);
}

static double total_loss(net *n)
{
    double sum = 0;
    evi_crew *crew = evi_crew_begin(n->ctx);
    t_ok(evi_session_forward(n->session, crew, n->inputs, 2, n->batch, 3));
    evi_crew_end(crew);
    for (int32_t i = 0; i < n->model->n_outputs; i++)
        if (n->model->outputs[i].is_loss)
            sum += (double)n->model->outputs[i].weight * evi_session_scalar(n->session, i);
    return sum;
}

static void backward(net *n, bool accumulate)
{
    evi_crew *crew = evi_crew_begin(n->ctx);
    evi_session_backward(n->session, crew, NULL, accumulate);
    evi_crew_end(crew);
}

/* The store with weights that are trained. */
static int32_t check_store(net *n, int32_t store)
{
    const evi_store *s = n->plan->stores[store];
    const double step = 1e-5;
    int32_t checked = 0;
    for (int32_t i = 0; i < s->n_params; i++) {
        const evi_param *p = &s->params[i];
        for (int64_t j = 0; j < p->count && p->trainable; j += 1 + p->count / 7) {
            evi_real *w = s->weights + p->offset + j, keep = *w;
            *w = keep + (evi_real)step;
            double up = total_loss(n);
            *w = keep - (evi_real)step;
            double down = total_loss(n);
            *w = keep;
            double want = (up - down) / (2 * step), got = (double)n->grads[store][p->offset + j];
            if (fabs(want - got) > 1e-6 * fmax(fabs(want), fabs(got)) + 2e-8)
                ck_abort_msg("%s[%lld]: %.12g, by differences %.12g", p->name, (long long)j, got,
                             want);
            checked++;
        }
    }
    return checked;
}

START_TEST(classifier_against_differences)
{
    net n;
    open_net(&n, classifier, 1, 3);
    total_loss(&n);
    backward(&n, false);
    ck_assert_int_gt(check_store(&n, 0), 30);
    close_net(&n);
}
END_TEST

START_TEST(composed_against_differences)
{
    net n;
    open_net(&n, composed, 2, 2);
    ck_assert_int_eq(n.plan->n_stores, 3);
    total_loss(&n);
    backward(&n, false);
    ck_assert_int_gt(check_store(&n, 1), 20); /* 0: own (empty), 1: generator, 2: discriminator */
    for (int64_t i = 0; i < n.plan->stores[2]->n_trainable; i++)
        ck_assert(n.grads[2][i] == 0); /* frozen */
    close_net(&n);
}
END_TEST

START_TEST(gradients_accumulate)
{
    net n;
    open_net(&n, composed, 1, 2);
    total_loss(&n);
    backward(&n, false);
    int64_t count = n.plan->stores[1]->n_trainable;
    evi_real *once = malloc((size_t)count * sizeof(*once));
    memcpy(once, n.grads[1], (size_t)count * sizeof(*once));
    total_loss(&n);
    backward(&n, true);
    for (int64_t i = 0; i < count; i++)
        ck_assert_double_le(fabs((double)(n.grads[1][i] - 2 * once[i])),
                            1e-12 * (1 + fabs((double)once[i])));
    total_loss(&n);
    backward(&n, false);
    ck_assert_mem_eq(once, n.grads[1], (size_t)count * sizeof(*once));
    free(once);
    close_net(&n);
}
END_TEST

START_TEST(threads_do_not_change_gradients)
{
    evi_real *first = NULL;
    for (int32_t threads = 1; threads <= 4; threads++) {
        net n;
        open_net(&n, classifier, threads, 5);
        total_loss(&n);
        backward(&n, false);
        size_t bytes = (size_t)n.plan->stores[0]->n_trainable * sizeof(evi_real);
        if (first == NULL)
            first = memcpy(malloc(bytes), n.grads[0], bytes);
        ck_assert_mem_eq(first, n.grads[0], bytes);
        close_net(&n);
    }
    free(first);
}
END_TEST

/* Freezing by name: those weights get no gradient, the others keep theirs. */
START_TEST(frozen_weights_get_none)
{
    net n;
    ev_plan_options o;
    open_net(&n, classifier, 1, 3);
    total_loss(&n);
    backward(&n, false);
    const evi_store *s = n.plan->stores[0];
    evi_real *free_run = memcpy(malloc((size_t)s->n_trainable * sizeof(evi_real)), n.grads[0],
                                (size_t)s->n_trainable * sizeof(evi_real));
    ev_session_destroy(n.session);
    ev_plan_destroy(n.plan);
    memset(n.grads[0], 0, (size_t)s->n_trainable * sizeof(evi_real));
    t_ok(ev_model_freeze(n.model, "conv1", 1));
    EV_OPTIONS_INIT(&o);
    o.max_batch = 3;
    t_ok(evi_plan_create_training(n.ctx, n.model, &o, &n.plan));
    t_ok(evi_session_create_training(n.plan, n.grads, &n.session));
    total_loss(&n);
    backward(&n, false);
    for (int32_t i = 0; i < s->n_params; i++) {
        bool frozen = strncmp(s->params[i].name, "conv1", 5) == 0;
        for (int64_t j = 0; j < s->params[i].count && s->params[i].trainable; j++) {
            int64_t at = s->params[i].offset + j;
            ck_assert(n.grads[0][at] == (frozen ? 0 : free_run[at]));
        }
    }
    free(free_run);
    close_net(&n);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("graph gradients");
    TCase *c = tcase_create("gradients");
    tcase_add_test(c, classifier_against_differences);
    tcase_add_test(c, composed_against_differences);
    tcase_add_test(c, gradients_accumulate);
    tcase_add_test(c, threads_do_not_change_gradients);
    tcase_add_test(c, frozen_weights_get_none);
    suite_add_tcase(suite, c);
    return t_run(suite);
}
