/* SPDX-License-Identifier: MIT */
/* A small generator that learns the pictures of a large one. */
#include "../support.h"
#include <edgevision/edgevision.h>

#include <math.h>

enum { SIDE = 16, PICTURES = 8, CLASSES = 3 };

/* ---- what is needed -------------------------------------------------------------------------- */

/* Smooth pictures with a bright spot somewhere. */
static ev_status draw_pictures(ev_context *ctx, int32_t channels, ev_dataset **out)
{
    const int64_t dims[4] = {PICTURES, channels, SIDE, SIDE};
    int32_t labels[PICTURES] = {0};
    ev_tensor *t = NULL;
    uint64_t seed = 7;
    *out = NULL;
    ev_status status = ev_tensor_create(ctx, EV_TYPE_UINT8, 4, dims, &t);
    uint8_t *to = status == EV_OK ? ev_tensor_data(t) : NULL;
    for (int32_t n = 0; n < PICTURES && to != NULL; n++)
        for (int32_t c = 0; c < channels; c++) {
            int32_t x0 = t_random_int(&seed, 0, SIDE - 1), y0 = t_random_int(&seed, 0, SIDE - 1);
            for (int32_t y = 0; y < SIDE; y++)
                for (int32_t x = 0; x < SIDE; x++)
                    *to++ = (uint8_t)(255 / (1 + (x - x0) * (x - x0) / 8 + abs(y - y0)));
        }
    if (status == EV_OK)
        status = ev_dataset_from_tensor(ctx, t, labels, 1, NULL, out);
    ev_tensor_destroy(t);
    return status;
}

/* Weights large enough that it does something. */
static ev_status draw_generator(ev_context *ctx, int32_t width, int32_t side, int32_t channels,
                                uint64_t seed, ev_model **out)
{
    ev_generator_options o;
    EV_OPTIONS_INIT(&o);
    o.image_width = side;
    o.channels = channels;
    o.base_width = width;
    o.n_blocks = 1;
    o.init_value = 0.1f;
    ev_status status = ev_zoo_generator(ctx, &o, out);
    if (status == EV_OK)
        status = ev_model_init(*out, seed);
    return status;
}

/* bgr, mean and std in its notes, another size than the pictures. */
static ev_status draw_classifier(ev_context *ctx, ev_model **out)
{
    const int64_t dims[4] = {-1, 3, 12, 20};
    const ev_preprocess notes = {.struct_size = sizeof notes,
                                 .bgr = 1,
                                 .mean = {0.4f, 0.5f, 0.6f},
                                 .std = {0.2f, 0.3f, 0.25f}};
    ev_value x = EV_NO_VALUE;
    ev_status status = ev_model_create(ctx, out);
    if (status == EV_OK)
        status = ev_model_input(*out, "image", EV_TYPE_FLOAT32, 4, dims, &x);
    if (status == EV_OK)
        status = ev_model_conv2d(*out, x, 4, 3, NULL, &x);
    if (status == EV_OK)
        status = ev_model_activation(*out, x, EV_ACTIVATION_RELU, 0, 0, &x);
    if (status == EV_OK)
        status = ev_model_global_average_pool(*out, x, &x);
    if (status == EV_OK)
        status = ev_model_flatten(*out, x, 1, &x);
    if (status == EV_OK)
        status = ev_model_dense(*out, x, CLASSES, NULL, &x);
    if (status == EV_OK)
        status = ev_model_output(*out, "logits", x);
    if (status == EV_OK)
        status = ev_model_init(*out, 5);
    return status == EV_OK ? ev_model_set_preprocess(*out, &notes) : status;
}

typedef struct world {
    t_hooks hooks;
    ev_context *ctx;
    ev_dataset *pictures;
    ev_model *teacher, *student, *classifier;
} world;

static void begin(world *w, int32_t n_threads)
{
    memset(w, 0, sizeof *w);
    w->ctx = t_context(&w->hooks, n_threads);
    t_ok(draw_pictures(w->ctx, 3, &w->pictures));
    t_ok(draw_generator(w->ctx, 8, SIDE, 3, 3, &w->teacher));
    t_ok(draw_generator(w->ctx, 4, SIDE, 3, 4, &w->student));
    t_ok(draw_classifier(w->ctx, &w->classifier));
}

static void end(world *w)
{
    ev_model_destroy(w->teacher);
    ev_model_destroy(w->student);
    ev_model_destroy(w->classifier);
    ev_dataset_destroy(w->pictures);
    ev_context_destroy(w->ctx);
    ck_assert_int_eq(atomic_load(&w->hooks.n_live), 0);
}

/* All weights one after the other, malloc'ed. */
static float *weights_of(const ev_model *m, size_t *n_out)
{
    float *all = NULL;
    size_t n = 0;
    for (int32_t i = 0; i < ev_model_n_weights(m); i++) {
        ev_tensor *t = NULL;
        t_ok(ev_model_weight((ev_model *)m, ev_model_weight_name(m, i), &t));
        size_t count = (size_t)ev_tensor_count(t);
        all = realloc(all, (n + count) * sizeof *all);
        ck_assert_ptr_nonnull(all);
        memcpy(all + n, ev_tensor_data(t), count * sizeof *all);
        n += count;
        ev_tensor_destroy(t);
    }
    *n_out = n;
    return all;
}

static void same_weights(const ev_model *m, const float *before, size_t n)
{
    size_t count = 0;
    float *now = weights_of(m, &count);
    ck_assert_uint_eq(count, n);
    ck_assert_mem_eq(now, before, n * sizeof *now);
    free(now);
}

static ev_distill_options options(int32_t epochs)
{
    ev_distill_options o;
    EV_OPTIONS_INIT(&o);
    o.epochs = epochs;
    o.batch_size = 2;
    o.learning_rate = 2e-3f;
    return o;
}

typedef struct told {
    int32_t n, n_epochs, n_steps, stop_after, stop_at_step;
    double loss[64];
} told;

static int32_t listen(void *user, int32_t epoch, int32_t n_epochs, double loss)
{
    told *t = user;
    ck_assert_int_eq(epoch, t->n);
    ck_assert_int_lt(t->n, 64);
    t->n_epochs = n_epochs;
    t->loss[t->n++] = loss;
    return t->n == t->stop_after;
}

static int32_t listen_to_steps(void *user, int32_t step, int32_t n_steps, double loss)
{
    told *t = user;
    ck_assert_int_eq(step, t->n_steps++);
    ck_assert_int_eq(n_steps, 5 * PICTURES / 2);
    ck_assert_double_gt(loss, 0);
    return t->n_steps == t->stop_at_step;
}

/* ---- it learns ------------------------------------------------------------------------------- */

START_TEST(learns)
{
    world w;
    told heard = {0};
    double loss = 0;
    size_t n = 0;
    begin(&w, 1);
    float *before = weights_of(w.teacher, &n);
    ev_distill_options o = options(50);
    o.on_epoch = listen;
    o.user = &heard;
    t_ok(ev_generator_distill(w.ctx, w.student, w.teacher, w.pictures, &o, &loss));
    ck_assert_int_eq(heard.n, 50);
    ck_assert_int_eq(heard.n_epochs, 50);
    ck_assert_double_eq(heard.loss[49], loss);
    ck_assert_double_lt(loss, 0.7 * heard.loss[0]);
    same_weights(w.teacher, before, n); /* bit for bit */
    free(before);
    end(&w);
}
END_TEST

START_TEST(learns_for_a_classifier)
{
    world w;
    told heard = {0};
    double loss = 0;
    size_t n = 0;
    begin(&w, 1);
    float *before = weights_of(w.classifier, &n);
    ev_distill_options o = options(20);
    o.on_epoch = listen;
    o.user = &heard;
    o.classifier = w.classifier;
    o.class_weight = 0.5f;
    t_ok(ev_generator_distill(w.ctx, w.student, w.teacher, w.pictures, &o, &loss));
    ck_assert_double_lt(heard.loss[19], heard.loss[0]);
    /* half a cross entropy of three classes on top, which cannot be 0 */
    ck_assert_double_gt(heard.loss[19], loss + 0.01);
    same_weights(w.classifier, before, n);
    free(before);
    end(&w);
}
END_TEST

/* A student that is the teacher already has nothing to learn. */
START_TEST(clone_has_nothing_to_learn)
{
    world w;
    told heard = {0};
    begin(&w, 1);
    ev_model *clone = NULL;
    t_ok(ev_model_clone(w.teacher, &clone));
    ev_distill_options o = options(1);
    o.on_epoch = listen;
    o.user = &heard;
    double loss = 1;
    t_ok(ev_generator_distill(w.ctx, clone, w.teacher, w.pictures, &o, &loss));
    ck_assert_double_le(loss, 1e-6);
    ev_model_destroy(clone);
    end(&w);
}
END_TEST

/* ---- same bits ------------------------------------------------------------------------------- */

static float *student_after(int32_t n_threads, size_t *n, uint64_t seed)
{
    world w;
    begin(&w, n_threads);
    ev_distill_options o = options(2);
    o.classifier = w.classifier;
    o.seed = seed;
    t_ok(ev_generator_distill(w.ctx, w.student, w.teacher, w.pictures, &o, NULL));
    float *weights = weights_of(w.student, n);
    end(&w);
    return weights;
}

START_TEST(threads_change_nothing)
{
    size_t n = 0, m = 0;
    float *one = student_after(1, &n, 1), *two = student_after(2, &m, 1);
    ck_assert_uint_eq(n, m);
    ck_assert_mem_eq(one, two, n * sizeof *one);
    free(two);
    two = student_after(1, &m, 2);
    ck_assert_mem_ne(one, two, n * sizeof *one);
    free(one);
    free(two);
}
END_TEST

/* ---- stopping -------------------------------------------------------------------------------- */

START_TEST(stops_when_asked)
{
    world w;
    told heard = {.stop_after = 2};
    begin(&w, 1);
    double loss = -1;
    ev_distill_options o = options(5);
    o.on_epoch = listen;
    o.user = &heard;
    t_status(ev_generator_distill(w.ctx, w.student, w.teacher, w.pictures, &o, &loss),
             EV_ERR_CANCELLED);
    ck_assert_int_eq(heard.n, 2);
    ck_assert_double_eq(loss, 0);
    heard = (told){.stop_at_step = 7};
    o.on_step = listen_to_steps;
    t_status(ev_generator_distill(w.ctx, w.student, w.teacher, w.pictures, &o, &loss),
             EV_ERR_CANCELLED);
    ck_assert_int_eq(heard.n, 1);
    ck_assert_int_eq(heard.n_steps, 7);
    end(&w);
}
END_TEST

/* ---- misfits --------------------------------------------------------------------------------- */

/* The call fails, its line says so and names a word. */
static void fails(world *w, ev_model *student, const ev_distill_options *o, ev_status expected,
                  const char *word)
{
    t_status(ev_generator_distill(w->ctx, student, w->teacher, w->pictures, o, NULL), expected);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "ev_generator_distill"));
    if (strstr(ev_last_error(), word) == NULL)
        ck_abort_msg("'%s' is not in: %s", word, ev_last_error());
}

START_TEST(names_wrong_options)
{
    world w;
    begin(&w, 1);
    ev_distill_options o = options(-1);
    fails(&w, w.student, &o, EV_ERR_ARGUMENT, "epochs -1");
    o = options(1);
    o.batch_size = 5000;
    fails(&w, w.student, &o, EV_ERR_ARGUMENT, "batch_size 5000");
    o = options(1);
    o.batch_size = PICTURES + 1;
    fails(&w, w.student, &o, EV_ERR_ARGUMENT, "8 pictures");
    o = options(1);
    o.learning_rate = -1;
    fails(&w, w.student, &o, EV_ERR_ARGUMENT, "learning_rate -1");
    o = options(1);
    o.class_weight = NAN;
    fails(&w, w.student, &o, EV_ERR_ARGUMENT, "class_weight");
    o = options(1);
    o.classifier = w.teacher;
    fails(&w, w.student, &o, EV_ERR_SHAPE, "classes");
    fails(&w, w.teacher, NULL, EV_ERR_ARGUMENT, "same weights");
    fails(&w, NULL, NULL, EV_ERR_ARGUMENT, "student");
    end(&w);
}
END_TEST

START_TEST(names_other_students)
{
    world w;
    begin(&w, 1);
    ev_model *m = NULL;
    t_ok(draw_generator(w.ctx, 4, SIDE, 1, 1, &m));
    fails(&w, m, NULL, EV_ERR_SHAPE, "channels");
    ev_model_destroy(m);
    ev_generator_options o;
    EV_OPTIONS_INIT(&o);
    o.image_width = 2 * SIDE;
    o.base_width = 4;
    o.n_blocks = 1;
    o.upsample = EV_UPSAMPLE_RESIZE;
    t_ok(ev_zoo_generator(w.ctx, &o, &m));
    t_status(ev_generator_distill(w.ctx, m, w.teacher, w.pictures, NULL, NULL), EV_ERR_STATE);
    t_ok(ev_model_init(m, 1));
    fails(&w, m, NULL, EV_ERR_SHAPE, "width 16");
    ev_model_destroy(m);
    fails(&w, w.classifier, NULL, EV_ERR_SHAPE, "student");
    const ev_preprocess odd = {.struct_size = sizeof odd,
                               .width = 15,
                               .height = 17,
                               .mean = {0.5f, 0.5f, 0.5f},
                               .std = {0.5f, 0.5f, 0.5f}};
    ev_model *other = NULL;
    t_ok(ev_model_clone(w.teacher, &other));
    t_ok(ev_model_set_preprocess(other, &odd));
    t_status(ev_generator_distill(w.ctx, w.student, other, w.pictures, NULL, NULL), EV_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "15x17"));
    ev_model_destroy(other);
    const ev_preprocess notes = {.struct_size = sizeof notes, .std = {1, 1, 1}};
    t_ok(ev_model_set_preprocess(w.student, &notes));
    fails(&w, w.student, NULL, EV_ERR_ARGUMENT, "mean 0.5");
    end(&w);
}
END_TEST

START_TEST(diverges_with_a_name)
{
    world w;
    begin(&w, 1);
    ev_tensor *t = NULL;
    t_ok(ev_model_weight(w.teacher, ev_model_weight_name(w.teacher, 0), &t));
    ((float *)ev_tensor_data(t))[0] = NAN;
    ev_tensor_destroy(t);
    t_ok(ev_model_touch(w.teacher));
    fails(&w, w.student, NULL, EV_ERR_DIVERGED, "step 1");
    end(&w);
}
END_TEST

/* ---- pruned from the teacher ----------------------------------------------------------------- */

START_TEST(pruned_student_comes_nearer)
{
    world w;
    told heard = {0};
    ev_pruner *pruner = NULL;
    ev_prune_plan *plan = NULL;
    ev_model *small = NULL;
    ev_prune_plan_options p;
    EV_OPTIONS_INIT(&p);
    p.goal = (ev_prune_goal){.unit = EV_UNIT_MACS, .ratio = 0.5};
    begin(&w, 1);
    t_ok(ev_pruner_create(w.ctx, w.teacher, NULL, &pruner));
    t_ok(ev_pruner_score(pruner, NULL));
    t_ok(ev_pruner_plan(pruner, &p, &plan));
    t_ok(ev_prune_plan_apply(plan, 1, &small));
    ck_assert_double_le((double)ev_model_macs(small), 0.5 * (double)ev_model_macs(w.teacher));
    ev_distill_options o = options(20);
    o.on_epoch = listen;
    o.user = &heard;
    double loss = 0;
    t_ok(ev_generator_distill(w.ctx, small, w.teacher, w.pictures, &o, &loss));
    ck_assert_double_lt(loss, 0.6 * heard.loss[0]);
    ev_model_destroy(small);
    ev_prune_plan_destroy(plan);
    ev_pruner_destroy(pruner);
    end(&w);
}
END_TEST

/* Pictures keep their three channels, whatever the generator looks like; the channels that residual
 * sums tie go together. */
static void prune_one(ev_context *ctx, const ev_generator_options *g, int32_t unit)
{
    ev_model *m = NULL, *small = NULL;
    ev_pruner *pruner = NULL;
    ev_prune_plan *plan = NULL;
    ev_plan *run = NULL;
    ev_prune_plan_options o;
    ev_prune_group last;
    int64_t dims[EV_MAX_RANK], before[EV_MAX_RANK];
    EV_OPTIONS_INIT(&o);
    EV_OPTIONS_INIT(&last);
    o.goal = (ev_prune_goal){.unit = unit, .ratio = 0.3};
    t_ok(ev_zoo_generator(ctx, g, &m));
    t_ok(ev_model_init(m, 1));
    t_ok(ev_pruner_create(ctx, m, NULL, &pruner));
    t_ok(ev_pruner_group(pruner, ev_pruner_n_groups(pruner) - 1, &last));
    ck_assert_int_eq(last.n_channels, 3);
    ck_assert_ptr_nonnull(strstr(last.blocked, "output"));
    for (int32_t i = 0; i < ev_pruner_n_groups(pruner) - 1; i++) {
        t_ok(ev_pruner_group(pruner, i, &last));
        ck_assert_ptr_null(last.blocked);
    }
    t_ok(ev_pruner_score(pruner, NULL));
    t_ok(ev_pruner_plan(pruner, &o, &plan));
    t_ok(ev_prune_plan_apply(plan, 1, &small));
    if (unit == EV_UNIT_MACS)
        ck_assert_int_le(ev_model_macs(small), (int64_t)(0.3 * (double)ev_model_macs(m)) + 1);
    else
        ck_assert_int_le(ev_model_parameter_count(small),
                         (int64_t)(0.3 * (double)ev_model_parameter_count(m)) + 1);
    ck_assert_int_eq(ev_model_output_dims(m, 0, before), 4);
    ck_assert_int_eq(ev_model_output_dims(small, 0, dims), 4);
    ck_assert_mem_eq(dims, before, 4 * sizeof *dims);
    t_ok(ev_plan_create(ctx, small, NULL, &run));
    ev_plan_destroy(run);
    ev_model_destroy(small);
    ev_prune_plan_destroy(plan);
    ev_pruner_destroy(pruner);
    ev_model_destroy(m);
}

START_TEST(all_generators_can_be_pruned)
{
    ev_context *ctx = t_context(NULL, 1);
    for (int32_t kind = 0; kind < 32; kind++) {
        ev_generator_options g;
        EV_OPTIONS_INIT(&g);
        g.image_width = SIDE;
        g.image_height = 2 * SIDE;
        g.base_width = 8;
        g.n_blocks = 2;
        g.merge = kind & 1 ? EV_MERGE_CONCAT : EV_MERGE_ADD;
        g.upsample = kind & 2 ? EV_UPSAMPLE_RESIZE : EV_UPSAMPLE_TRANSPOSED;
        g.block = kind & 4 ? EV_BLOCK_SEPARABLE : EV_BLOCK_FULL;
        g.affine = g.norm_last = kind & 8 ? 1 : 0;
        prune_one(ctx, &g, kind & 16 ? EV_UNIT_MACS : EV_UNIT_PARAMETERS);
    }
    ev_context_destroy(ctx);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------- */

static ev_status whole(ev_context *ctx, void *arg)
{
    ev_dataset *pictures = NULL;
    ev_model *teacher = NULL, *student = NULL, *classifier = NULL;
    ev_distill_options o = options(1);
    ev_status status = draw_pictures(ctx, 3, &pictures);
    if (status == EV_OK)
        status = draw_generator(ctx, 2, SIDE, 3, 1, &teacher);
    if (status == EV_OK)
        status = draw_generator(ctx, 1, SIDE, 3, 2, &student);
    if (status == EV_OK)
        status = draw_classifier(ctx, &classifier);
    o.batch_size = PICTURES;
    o.classifier = classifier;
    if (status == EV_OK)
        status = ev_generator_distill(ctx, student, teacher, pictures, &o, arg);
    ev_model_destroy(classifier);
    ev_model_destroy(student);
    ev_model_destroy(teacher);
    ev_dataset_destroy(pictures);
    return status;
}

START_TEST(every_allocation)
{
    double loss = 0;
    ck_assert_int_gt(t_each_alloc(whole, &loss, 1, 0), 100);
}
END_TEST

/* ---- suite ----------------------------------------------------------------------------------- */

int main(void)
{
    Suite *s = suite_create("distill");
    TCase *c = tcase_create("distill");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, learns);
    tcase_add_test(c, learns_for_a_classifier);
    tcase_add_test(c, clone_has_nothing_to_learn);
    tcase_add_test(c, threads_change_nothing);
    tcase_add_test(c, stops_when_asked);
    tcase_add_test(c, names_wrong_options);
    tcase_add_test(c, names_other_students);
    tcase_add_test(c, diverges_with_a_name);
    tcase_add_test(c, pruned_student_comes_nearer);
    tcase_add_test(c, all_generators_can_be_pruned);
    tcase_add_test(c, every_allocation);
    suite_add_tcase(s, c);
    return t_run(s);
}
