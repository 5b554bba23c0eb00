/* SPDX-License-Identifier: MIT */
/* Steps of small CycleGANs: memory, bits for any number of threads, terms one by one, a classifier
 * that watches, steps that fail. */
#include "gan/gan.h"
#include "support.h"

#include <math.h>

enum { SIDE = 32, BATCH = 2, CLASSES = 3 };

typedef struct job {
    ev_generator_options g;
    ev_discriminator_options d;
    ev_cyclegan_options o;
    ev_model *classifier;
} job;

/* Another size, blue first, numbers of its own, running statistics, dropout. */
static ev_model *classifier(ev_context *ctx)
{
    const int64_t dims[4] = {-1, 3, 12, 20};
    ev_preprocess notes;
    ev_model *m = NULL;
    ev_value x;
    EV_OPTIONS_INIT(&notes);
    notes.bgr = 1;
    for (int32_t c = 0; c < 3; c++) {
        notes.mean[c] = 0.25f * (float)(c + 1);
        notes.std[c] = 0.5f + 0.25f * (float)c;
    }
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_conv2d(m, x, 4, 3, NULL, &x));
    t_ok(ev_model_batch_norm(m, x, NULL, &x));
    t_ok(ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, &x));
    t_ok(ev_model_global_average_pool(m, x, &x));
    t_ok(ev_model_flatten(m, x, 1, &x));
    t_ok(ev_model_dropout(m, x, 0.5f, &x));
    t_ok(ev_model_dense(m, x, CLASSES, NULL, &x));
    t_ok(ev_model_output(m, "logits", x));
    t_ok(ev_model_set_preprocess(m, &notes));
    t_ok(ev_model_init(m, 7));
    return m;
}

static void small(job *j)
{
    *j = (job){0};
    EV_OPTIONS_INIT(&j->g);
    EV_OPTIONS_INIT(&j->d);
    EV_OPTIONS_INIT(&j->o);
    j->g.base_width = 4;
    j->g.n_blocks = 1;
    j->d.base_width = 4;
    j->d.n_layers = 1;
    j->o.width = SIDE;
    j->o.batch_size = BATCH;
    j->o.pool_size = 3;
    j->o.generator = &j->g;
    j->o.discriminator = &j->d;
}

/* Eight kinds: order, terms one by one, a classifier whose own answers count. */
enum { AUTHORS = 1, SPLIT = 2, CLASSES_TOO = 4, KINDS = 8 };

static void kind_of_job(ev_context *ctx, job *j, int32_t kind)
{
    ev_memory m;
    small(j);
    j->o.order = (kind & AUTHORS) != 0 ? EV_ORDER_AUTHORS : EV_ORDER_JOINT;
    if ((kind & CLASSES_TOO) != 0)
        j->o.classifier = j->classifier = classifier(ctx);
    if ((kind & SPLIT) != 0) { /* one thread's need decides, however many there are */
        ev_context *alone = t_context(NULL, 1);
        EV_OPTIONS_INIT(&m);
        t_ok(ev_cyclegan_memory(alone, &j->o, &m));
        j->o.max_bytes = m.total_bytes - 1;
        ev_context_destroy(alone);
    }
}

static ev_tensor *pictures(ev_context *ctx, int64_t n, uint64_t seed)
{
    const int64_t dims[4] = {n, 3, SIDE, SIDE};
    ev_tensor *t = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &t));
    t_fill(ev_tensor_data(t), (size_t)ev_tensor_count(t), seed);
    return t;
}

static ev_status step(ev_cyclegan *gan, int64_t n, uint64_t seed, ev_cyclegan_losses *l)
{
    ev_context *ctx = gan->handle.ctx;
    ev_tensor *a = pictures(ctx, n, 2 * seed + 1), *b = pictures(ctx, n, 2 * seed + 2);
    ev_status status = ev_cyclegan_step(gan, a, b, l);
    ev_tensor_destroy(a);
    ev_tensor_destroy(b);
    return status;
}

/* ---- all that a step may change -------------------------------------------------------------- */

static uint32_t weights_crc(const ev_cyclegan *gan)
{
    uint32_t crc = 0;
    for (int32_t i = 0; i < 4; i++) {
        const ev_model *m = i < 2 ? gan->nets.generators[i] : gan->nets.discriminators[i - 2];
        crc = evi_crc32c(crc, m->store->weights, (uint64_t)m->store->n_total * sizeof(evi_real));
    }
    return crc;
}

static uint32_t state_crc(const ev_cyclegan *gan)
{
    uint32_t crc = weights_crc(gan);
    for (int32_t i = 0; i < gan->nets.n_updates; i++) {
        const ev_trainer *t = gan->trainers[i];
        crc = evi_crc32c(crc, &t->state, sizeof(t->state));
        for (int32_t k = 0; k < t->n_stores; k++) {
            const evi_train_store *s = &t->stores[k];
            uint64_t bytes = (uint64_t)s->store->n_trainable * sizeof(evi_real);
            if (s->moment1 == NULL)
                continue;
            crc = evi_crc32c(crc, s->moment1, bytes);
            crc = evi_crc32c(crc, s->moment2, bytes);
        }
    }
    for (int32_t i = 0; i < 2; i++) {
        const evi_gan_pool *p = &gan->pools[i];
        crc = evi_crc32c(crc, &p->count, sizeof(p->count));
        crc = evi_crc32c(crc, p->pictures,
                         (uint64_t)(p->count * p->picture_elements) * sizeof(evi_real));
    }
    return evi_crc32c(crc, &gan->total_steps, sizeof(gan->total_steps));
}

/* ---- memory ---------------------------------------------------------------------------------- */

START_TEST(memory_is_known)
{
    t_hooks h = {0};
    ev_context *ctx = t_context(&h, 2);
    job j;
    ev_memory m;
    ev_cyclegan *gan = NULL;
    ev_cyclegan_losses l;
    kind_of_job(ctx, &j, _i);
    EV_OPTIONS_INIT(&m);
    EV_OPTIONS_INIT(&l);
    uint64_t before = ev_context_memory_bytes(ctx);
    t_ok(ev_cyclegan_memory(ctx, &j.o, &m));
    ck_assert_uint_eq(ev_context_memory_bytes(ctx), before);
    ck_assert_uint_eq(m.total_bytes,
                      m.weights_bytes + m.plan_bytes + m.session_bytes + m.training_bytes);
    t_ok(ev_cyclegan_create(ctx, NULL, NULL, &j.o, &gan));
    ck_assert_uint_eq(ev_context_memory_bytes(ctx) - before, m.total_bytes);
    ck_assert_int_eq(gan->is_split, (_i & SPLIT) != 0);
    ev_context *alone = t_context(NULL, 1); /* whose need is limited */
    t_ok(ev_cyclegan_memory(alone, &j.o, &m));
    ck_assert(j.o.max_bytes == 0 || m.total_bytes <= j.o.max_bytes);
    ev_context_destroy(alone);
    ev_tensor *a = pictures(ctx, BATCH, 1), *b = pictures(ctx, BATCH, 2);
    long n = atomic_load(&h.n_allocs);
    for (int32_t i = 0; i < 5; i++)
        t_ok(ev_cyclegan_step(gan, a, b, &l));
    ck_assert_int_eq(atomic_load(&h.n_allocs), n);
    ck_assert_int_eq(ev_cyclegan_steps(gan), 5);
    ck_assert((l.class_b > 0) == ((_i & CLASSES_TOO) != 0));
    ck_assert_double_eq(l.class_a, 0);
    ev_cyclegan_destroy(gan);
    ev_tensor_destroy(a);
    ev_tensor_destroy(b);
    ev_model_destroy(j.classifier);
    ev_context_destroy(ctx);
    ck_assert_int_eq(atomic_load(&h.n_live), 0);
}
END_TEST

START_TEST(too_little_memory)
{
    ev_context *ctx = t_context(NULL, 1);
    job j;
    ev_cyclegan *gan = NULL;
    unsigned long long would_do = 0;
    small(&j);
    j.o.max_bytes = 100000;
    t_status(ev_cyclegan_create(ctx, NULL, NULL, &j.o, &gan), EV_ERR_MEMORY);
    ck_assert_ptr_null(gan);
    const char *at = strstr(ev_last_error(), "100000; ");
    ck_assert_ptr_nonnull(at);
    ck_assert_int_eq(sscanf(at, "100000; %llu bytes would do", &would_do), 1);
    j.o.max_bytes = would_do - 1;
    t_status(ev_cyclegan_create(ctx, NULL, NULL, &j.o, &gan), EV_ERR_MEMORY);
    j.o.max_bytes = would_do;
    t_ok(ev_cyclegan_create(ctx, NULL, NULL, &j.o, &gan));
    ev_cyclegan_destroy(gan);
    ev_context_destroy(ctx);
}
END_TEST

static ev_status create_and_step(ev_context *ctx, void *arg)
{
    const job *j = arg;
    const int64_t dims[4] = {1, 3, SIDE, SIDE};
    ev_cyclegan *gan = NULL;
    ev_tensor *a = NULL;
    ev_status status = ev_cyclegan_create(ctx, NULL, NULL, &j->o, &gan);
    if (status == EV_OK)
        status = ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &a);
    if (status == EV_OK)
        status = ev_cyclegan_step(gan, a, a, NULL);
    ev_tensor_destroy(a);
    ev_cyclegan_destroy(gan);
    return status;
}

/* There are thousands: every so many of them fails, alone or with all after it. */
START_TEST(allocations_fail)
{
    enum { TRIES = 150 };
    t_hooks h = {0};
    job j;
    ev_context *ctx = t_context(&h, 1);
    kind_of_job(ctx, &j, _i == 0 ? CLASSES_TOO : AUTHORS | SPLIT);
    long before = atomic_load(&h.n_allocs), live = atomic_load(&h.n_live);
    t_ok(create_and_step(ctx, &j));
    long n = atomic_load(&h.n_allocs) - before;
    for (long i = 0; i < TRIES; i++) {
        h.fail_alloc = atomic_load(&h.n_allocs) + 1 + i * n / TRIES;
        h.fail_all_after = i % 2 != 0;
        ev_status status = create_and_step(ctx, &j);
        ck_assert(status == EV_ERR_MEMORY || status == EV_OK);
        h.fail_alloc = 0;
        h.fail_all_after = false;
        ck_assert_int_eq(atomic_load(&h.n_live), live);
    }
    ev_model_destroy(j.classifier);
    ev_context_destroy(ctx);
    ck_assert_int_eq(atomic_load(&h.n_live), 0);
}
END_TEST

/* ---- numbers --------------------------------------------------------------------------------- */

START_TEST(any_number_of_threads)
{
    uint32_t crc[3];
    for (int32_t i = 0; i < 3; i++) {
        ev_context *ctx = t_context(NULL, 1 << i);
        job j;
        ev_cyclegan *gan = NULL;
        kind_of_job(ctx, &j, _i);
        t_ok(ev_cyclegan_create(ctx, NULL, NULL, &j.o, &gan));
        for (uint64_t k = 0; k < 4; k++)
            t_ok(step(gan, k == 2 ? 1 : BATCH, k, NULL));
        crc[i] = state_crc(gan);
        ev_cyclegan_destroy(gan);
        ev_model_destroy(j.classifier);
        ev_context_destroy(ctx);
    }
    ck_assert_uint_eq(crc[1], crc[0]);
    ck_assert_uint_eq(crc[2], crc[0]);
}
END_TEST

START_TEST(threads_do_not_split_a_step)
{
    ev_context *one = t_context(NULL, 1), *four = t_context(NULL, 4);
    job j;
    ev_memory m;
    ev_cyclegan *gan = NULL;
    small(&j);
    EV_OPTIONS_INIT(&m);
    t_ok(ev_cyclegan_memory(one, &j.o, &m));
    j.o.max_bytes = m.total_bytes;
    t_ok(ev_cyclegan_memory(four, &j.o, &m));
    ck_assert_uint_gt(m.total_bytes, j.o.max_bytes);
    t_ok(ev_cyclegan_create(four, NULL, NULL, &j.o, &gan));
    ck_assert(!gan->is_split);
    ev_cyclegan_destroy(gan);
    ev_context_destroy(one);
    ev_context_destroy(four);
}
END_TEST

static const evi_real *gradients(const ev_cyclegan *gan, int32_t update, const ev_model *m)
{
    const ev_trainer *t = gan->trainers[update];
    for (int32_t i = 0; i < t->n_stores; i++)
        if (t->stores[i].store == m->store)
            return t->stores[i].gradients;
    return NULL;
}

/* Biases before a norm have no gradient but rounding. */
static double difference(const evi_store *store, const evi_real *x, const evi_real *y)
{
    double worst = 0, peak = 0;
    for (int32_t i = 0; i < store->n_params; i++) {
        const evi_param *p = &store->params[i];
        for (int64_t k = p->offset; k < p->offset + p->count && p->shape.rank > 1; k++) {
            worst = fmax(worst, fabs((double)x[k] - (double)y[k]));
            peak = fmax(peak, fabs((double)x[k]));
        }
    }
    return worst / peak;
}

/* The same gradients from whole steps and from one term at a time, but for the order of sums. */
START_TEST(one_term_at_a_time)
{
    ev_context *ctx = t_context(NULL, 2);
    job whole, split;
    ev_cyclegan *w = NULL, *s = NULL;
    ev_cyclegan_losses l, r;
    EV_OPTIONS_INIT(&l);
    EV_OPTIONS_INIT(&r);
    kind_of_job(ctx, &whole, _i);
    kind_of_job(ctx, &split, _i | SPLIT);
    t_ok(ev_cyclegan_create(ctx, NULL, NULL, &whole.o, &w));
    t_ok(ev_cyclegan_create(ctx, NULL, NULL, &split.o, &s));
    ck_assert_int_gt(s->nets.updates[0].n_nets, 1);
    ck_assert_uint_eq(weights_crc(s), weights_crc(w));
    t_ok(step(w, BATCH, 1, &l));
    t_ok(step(s, BATCH, 1, &r));
    for (int32_t u = 0; u < w->nets.n_updates; u++)
        for (int32_t i = 0; i < 4; i++) {
            ev_model *const *of = i < 2 ? w->nets.generators : w->nets.discriminators;
            ev_model *const *other = i < 2 ? s->nets.generators : s->nets.discriminators;
            const evi_real *x = gradients(w, u, of[i % 2]), *y = gradients(s, u, other[i % 2]);
            ck_assert((x == NULL) == (y == NULL));
            if (x != NULL)
                ck_assert_double_lt(difference(of[i % 2]->store, x, y), 1e-4);
        }
    ck_assert_double_lt(fabs(l.cycle_a / r.cycle_a - 1), 1e-5);
    ck_assert_double_lt(fabs(l.idt_b / r.idt_b - 1), 1e-5);
    ck_assert_double_lt(fabs(l.d_b / r.d_b - 1), 1e-5);
    ck_assert_double_lt(fabs(l.class_b - r.class_b), 1e-5);
    ev_cyclegan_destroy(w);
    ev_cyclegan_destroy(s);
    ev_model_destroy(whole.classifier);
    ev_model_destroy(split.classifier);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(rate_falls_at_the_end)
{
    const double want[4] = {1, 1, 2.0 / 3, 1.0 / 3};
    ev_context *ctx = t_context(NULL, 1);
    job j;
    ev_cyclegan *gan = NULL;
    small(&j);
    j.o.epochs = 4;
    j.o.steps_per_epoch = 2;
    t_ok(ev_cyclegan_create(ctx, NULL, NULL, &j.o, &gan));
    for (uint64_t i = 0; i < 8; i++) {
        ck_assert_double_eq_tol(evi_gan_rate(gan), 2e-4 * want[i / 2], 1e-18);
        t_ok(step(gan, 1, i, NULL));
        ck_assert_double_eq_tol(gan->trainers[1]->last_rate, 2e-4 * want[i / 2], 1e-18);
        ck_assert_int_eq(ev_cyclegan_epoch(gan), (int32_t)(i + 1) / 2);
    }
    ev_cyclegan_destroy(gan);
    j.o.decay_epochs = -1;
    t_ok(ev_cyclegan_create(ctx, NULL, NULL, &j.o, &gan));
    gan->epoch = 3;
    ck_assert_double_eq(evi_gan_rate(gan), 2e-4);
    ev_cyclegan_destroy(gan);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- classes --------------------------------------------------------------------------------- */

/* Labels of sets; the classifier itself stays as it is. */
START_TEST(labels_of_sets)
{
    ev_context *ctx = t_context(NULL, 1);
    const int32_t labels[2][BATCH] = {{0, 2}, {1, 1}}, wrong[BATCH] = {0, CLASSES};
    job j;
    ev_cyclegan *gan = NULL;
    kind_of_job(ctx, &j, CLASSES_TOO | _i);
    j.o.class_labels = EV_LABELS_BOTH;
    j.o.max_bytes = 0;
    const evi_store *store = j.classifier->store;
    uint32_t before = evi_crc32c(0, store->weights, (uint64_t)store->n_total * sizeof(evi_real));
    t_ok(ev_cyclegan_create(ctx, NULL, NULL, &j.o, &gan));
    ev_tensor *a = pictures(ctx, BATCH, 1), *b = pictures(ctx, BATCH, 2);
    t_status(ev_cyclegan_step(gan, a, b, NULL), EV_ERR_STATE);
    t_status(evi_gan_step(gan, a, b, labels[0], wrong), EV_ERR_ARGUMENT);
    ck_assert_int_eq(ev_cyclegan_steps(gan), 0);
    double first = 0;
    for (int32_t i = 0; i < 40; i++) {
        t_ok(evi_gan_step(gan, a, b, labels[0], labels[1]));
        first = i == 0 ? gan->last.class_a : first;
    }
    ck_assert_double_gt(first, 0.1);
    ck_assert_double_lt(gan->last.class_a, first); /* it learns what it is asked for */
    ck_assert_double_gt(gan->last.class_b, 0);
    ck_assert_uint_eq(evi_crc32c(0, store->weights, (uint64_t)store->n_total * sizeof(evi_real)),
                      before);
    ev_tensor_destroy(a);
    ev_tensor_destroy(b);
    ev_cyclegan_destroy(gan);
    ev_model_destroy(j.classifier);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- steps that fail ------------------------------------------------------------------------- */

static void poison(ev_tensor *x)
{
    ((evi_real *)ev_tensor_data(x))[5] = (evi_real)NAN;
}

START_TEST(not_a_number_in_a_picture)
{
    ev_context *ctx = t_context(NULL, 2);
    job j;
    ev_cyclegan *gan = NULL;
    kind_of_job(ctx, &j, _i);
    t_ok(ev_cyclegan_create(ctx, NULL, NULL, &j.o, &gan));
    for (uint64_t i = 0; i < 3; i++)
        t_ok(step(gan, BATCH, i, NULL));
    uint32_t before = state_crc(gan);
    ev_tensor *a = pictures(ctx, BATCH, 1), *b = pictures(ctx, BATCH, 2);
    poison(a);
    t_status(ev_cyclegan_step(gan, a, b, NULL), EV_ERR_DIVERGED);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "the loss "));
    ck_assert_uint_eq(state_crc(gan), before);
    t_ok(step(gan, BATCH, 4, NULL));
    ev_tensor_destroy(a);
    ev_tensor_destroy(b);
    ev_cyclegan_destroy(gan);
    ev_model_destroy(j.classifier);
    ev_context_destroy(ctx);
}
END_TEST

/* What a history gives out is not a number: the generators' losses are good, a discriminator's is
 * not.  Another run without that accident goes on with the same bits. */
START_TEST(not_a_number_in_a_history)
{
    ev_context *ctx = t_context(NULL, 2);
    job j;
    ev_cyclegan *gan = NULL, *good = NULL;
    ev_status status = EV_OK;
    uint64_t i = 0;
    kind_of_job(ctx, &j, _i);
    t_ok(ev_cyclegan_create(ctx, NULL, NULL, &j.o, &gan));
    t_ok(ev_cyclegan_create(ctx, NULL, NULL, &j.o, &good));
    for (; i < 3; i++) {
        t_ok(step(gan, BATCH, i, NULL));
        t_ok(step(good, BATCH, i, NULL));
    }
    evi_gan_pool *pool = &gan->pools[0]; /* D_A sees it: the last update of either order */
    ck_assert_int_eq(pool->count, pool->capacity);
    evi_real *kept = malloc((size_t)(3 * pool->picture_elements) * sizeof(evi_real));
    for (; i < 40; i++) {
        const size_t bytes = (size_t)(3 * pool->picture_elements) * sizeof(evi_real);
        memcpy(kept, pool->pictures, bytes);
        for (int64_t k = 0; k < 3 * pool->picture_elements; k++)
            pool->pictures[k] = (evi_real)NAN;
        uint32_t before = state_crc(gan);
        status = step(gan, 1, i, NULL);
        if (status == EV_ERR_DIVERGED) {
            ck_assert_ptr_nonnull(strstr(ev_last_error(), "the loss D_A is nan"));
            ck_assert_uint_eq(state_crc(gan), before);
            memcpy(pool->pictures, kept, bytes);
            break;
        }
        t_ok(status);
        t_ok(step(good, 1, i, NULL)); /* a coin fell so that nothing was given or replaced */
        memcpy(pool->pictures, kept, bytes);
    }
    ck_assert_int_eq(status, EV_ERR_DIVERGED);
    t_ok(step(gan, 1, i, NULL));
    t_ok(step(good, 1, i, NULL));
    ck_assert_uint_eq(state_crc(gan), state_crc(good));
    free(kept);
    ev_cyclegan_destroy(gan);
    ev_cyclegan_destroy(good);
    ev_model_destroy(j.classifier);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(wrong_pictures)
{
    ev_context *ctx = t_context(NULL, 1);
    const int64_t large[4] = {1, 3, SIDE, 2 * SIDE};
    job j;
    ev_cyclegan *gan = NULL;
    ev_tensor *a = pictures(ctx, 1, 1), *b = pictures(ctx, BATCH, 2);
    ev_tensor *more = pictures(ctx, BATCH + 1, 3), *wide = NULL;
    small(&j);
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, large, &wide));
    t_ok(ev_cyclegan_create(ctx, NULL, NULL, &j.o, &gan));
    t_status(ev_cyclegan_step(NULL, a, a, NULL), EV_ERR_ARGUMENT);
    t_status(ev_cyclegan_step(gan, NULL, a, NULL), EV_ERR_ARGUMENT);
    t_status(ev_cyclegan_step(gan, a, b, NULL), EV_ERR_SHAPE);
    t_status(ev_cyclegan_step(gan, more, more, NULL), EV_ERR_SHAPE);
    t_status(ev_cyclegan_step(gan, a, wide, NULL), EV_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "[1..2,3,32,32]"));
    ev_cyclegan_losses l = {0}; /* not stamped */
    t_status(ev_cyclegan_step(gan, a, a, &l), EV_ERR_ARGUMENT);
    ck_assert_int_eq(ev_cyclegan_steps(gan), 0);
    ck_assert_int_eq(ev_cyclegan_steps(NULL), -1);
    ck_assert_int_eq(ev_cyclegan_epoch(NULL), -1);
    ev_tensor_destroy(a);
    ev_tensor_destroy(b);
    ev_tensor_destroy(more);
    ev_tensor_destroy(wide);
    ev_cyclegan_destroy(gan);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- what it gives away ---------------------------------------------------------------------- */

START_TEST(generators_outlive_the_run)
{
    ev_context *ctx = t_context(NULL, 1);
    job j;
    ev_cyclegan *gan = NULL;
    ev_model *g = NULL, *d = NULL;
    ev_preprocess notes;
    ev_image *picture = NULL, *made = NULL;
    small(&j);
    EV_OPTIONS_INIT(&notes);
    t_ok(ev_cyclegan_create(ctx, NULL, NULL, &j.o, &gan));
    t_status(ev_cyclegan_generator(gan, 2, &g), EV_ERR_ARGUMENT);
    ck_assert_ptr_null(g);
    t_ok(ev_cyclegan_generator(gan, EV_A_TO_B, &g));
    t_ok(ev_cyclegan_discriminator(gan, EV_B_TO_A, &d));
    ck_assert_ptr_eq(g, gan->nets.generators[0]);
    ck_assert_ptr_eq(d, gan->nets.discriminators[1]);
    t_ok(ev_image_create(ctx, 20, 12, EV_PIXEL_RGB, &picture));
    t_ok(ev_cyclegan_translate(gan, EV_B_TO_A, picture, NULL, &made));
    ck_assert_int_eq(ev_image_width(made), 20);
    ck_assert_int_eq(ev_image_height(made), 12);
    ev_image_destroy(made);
    ev_image_destroy(picture);
    ev_cyclegan_destroy(gan);
    t_ok(ev_model_preprocess(g, &notes));
    ck_assert_float_eq(notes.mean[2], 0.5f);
    ck_assert_float_eq(notes.std[0], 0.5f);
    ck_assert_int_eq(notes.width, SIDE);
    ev_model_destroy(g);
    ev_model_destroy(d);
    ev_context_destroy(ctx);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cyclegan: steps");
    TCase *c = tcase_create("steps");
    tcase_add_loop_test(c, memory_is_known, 0, KINDS);
    tcase_add_test(c, too_little_memory);
    tcase_add_loop_test(c, allocations_fail, 0, 2);
    tcase_add_loop_test(c, any_number_of_threads, 0, KINDS);
    tcase_add_test(c, threads_do_not_split_a_step);
    tcase_add_test(c, rate_falls_at_the_end);
    tcase_add_loop_test(c, labels_of_sets, 0, 2);
    tcase_add_loop_test(c, not_a_number_in_a_picture, 0, KINDS);
    tcase_add_loop_test(c, not_a_number_in_a_history, 0, KINDS);
    tcase_add_test(c, wrong_pictures);
    tcase_add_test(c, generators_outlive_the_run);
    suite_add_tcase(s, c);
    c = tcase_create("terms");
    for (int32_t kind = 0; kind < KINDS; kind++)
        if ((kind & SPLIT) == 0)
            tcase_add_loop_test(c, one_term_at_a_time, kind, kind + 1);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(suite());
}
