/* SPDX-License-Identifier: MIT */
/* The smaller model computes what the old one does with the channels' contributions set to zero,
 * for random models and random plans; blocks that go (apply_blocks.c); and no memory.
 * EV_APPLY_WORST=1 tells the largest error. */
#include "../api/random_model.h"
#include "apply_case.h"
#include "random_nets.h"

#include <edgevision/zoo.h>

/* As loaded from a file, whose graph says the same in ONNX's words. */
static void reload(subject *s)
{
    ev_model *again = subject_through_a_file(s, s->model);
    ev_model_destroy(s->model);
    s->model = again;
}

static void one_model(subject *s, uint64_t seed)
{
    ev_model *all = NULL, *small = NULL;
    s->state = seed * 77 + 3;
    subject_look(s);
    if (seed % 4 == 0) {
        t_ok(evi_prune_apply(&s->p, s->keep, NULL, 1, &all));
        subject_same_file(all, s->model, seed);
        ev_model_destroy(all);
    }
    subject_choose(s);
    ev_model *zeroed = subject_without(s);
    t_ok(evi_prune_apply(&s->p, s->keep, NULL, 1, &small));
    subject_same(s, small, zeroed, 1e-5, "against the old model with zeros", seed);
    if (seed % 4 == 1)
        subject_gradients_flow(s, small, seed);
    if (seed % 4 == 2) {
        ev_model *again = subject_through_a_file(s, small);
        subject_same(s, again, small, 1e-6, "through a file", seed);
        ev_model_destroy(again);
    }
    ev_model_destroy(zeroed);
    ev_model_destroy(small);
    subject_end(s);
}

START_TEST(random_nets)
{
    ev_context *ctx = t_context(NULL, 1);
    int32_t n_gone = 0;
    for (int32_t i = 0; i < GROUP; i++) {
        uint64_t seed = (uint64_t)_i * GROUP + (uint64_t)i;
        subject s = {.ctx = ctx};
        if (seed % 5 == 4) {
            random_model r;
            random_model_make(ctx, seed, &r);
            s.model = r.model;
            memcpy(s.dims, r.dims, sizeof(s.dims));
        } else {
            s.model = random_net(ctx, seed, s.dims);
        }
        if (seed % 3 == 2)
            reload(&s);
        one_model(&s, seed);
        n_gone += s.n_gone;
    }
    ck_assert_int_gt(n_gone, GROUP);
    if (getenv("EV_APPLY_WORST") != NULL)
        fprintf(stderr, "worst %g, channels gone %d\n", subject_worst, (int)n_gone);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- shapes that are computed ---------------------------------------------------------------- */

static ev_value plain(ev_model *m, const char *op, const int64_t *list, int32_t n, ev_value x,
                      ev_value y)
{
    evi_attrs a;
    evi_attrs_default(&a);
    for (int32_t i = 0; i < n; i++)
        a.list.v[i] = list[i];
    a.list.n = n;
    a.list.set = n > 0;
    const int32_t in[2] = {x, y};
    int32_t out = EV_NO_VALUE;
    t_ok(evi_model_add(m, evi_op_find(op), &a, NULL, in, y == EV_NO_VALUE ? 1 : 2, &out, 1));
    return out;
}

static ev_value numbers(ev_model *m, int32_t n, int64_t a)
{
    evi_shape s = {.rank = n, .dim = {1}};
    int32_t out = EV_NO_VALUE;
    t_ok(evi_model_add_constant(m, NULL, EV_TYPE_INT64, &s, &a, &out));
    return out;
}

/* x.view(x.size(0), 6 * 8 * 8), as PyTorch writes it. */
START_TEST(computed_shape)
{
    ev_context *ctx = t_context(NULL, 1);
    subject s = {.ctx = ctx, .dims = {1, 3, 8, 8}};
    const int64_t any[4] = {-1, 3, 8, 8}, axis = 0;
    ev_value x, shape, parts[2];
    t_ok(ev_model_create(ctx, &s.model));
    t_ok(ev_model_input(s.model, "image", EV_TYPE_FLOAT32, 4, any, &x));
    t_ok(ev_model_conv2d(s.model, x, 6, 3, NULL, &x));
    shape = plain(s.model, "shape", NULL, 0, x, EV_NO_VALUE);
    shape = plain(s.model, "gather", NULL, 0, shape, numbers(s.model, 0, 0));
    parts[0] = plain(s.model, "unsqueeze", &axis, 1, shape, EV_NO_VALUE);
    parts[1] = numbers(s.model, 1, _i == 0 ? 6 * 8 * 8 : -1);
    t_ok(ev_model_concat(s.model, parts, 2, 0, &shape));
    x = plain(s.model, "reshape", NULL, 0, x, shape);
    t_ok(ev_model_dense(s.model, x, 4, NULL, &x));
    t_ok(ev_model_output(s.model, "numbers", x));
    t_ok(ev_model_init(s.model, 3));
    one_model(&s, 9); /* runs two pictures */
    ck_assert_int_gt(s.n_gone, 0);
    ev_context_destroy(ctx);
}
END_TEST

/* Channels that meet in one sum stay all: without one the others would change.  Those of other axes
 * may go. */
START_TEST(meeting_channels)
{
    static const char *const names[] = {"layer_norm", "softmax", "log_softmax"};
    ev_context *ctx = t_context(NULL, 1);
    for (int32_t i = 0; i < 6; i++) {
        subject s = {.ctx = ctx, .dims = {1, 3, 8, 8}};
        const int64_t any[4] = {-1, 3, 8, 8};
        ev_value x;
        evi_attrs a;
        evi_attrs_default(&a);
        a.axis = i < 3 ? 1 : 2 + i % 2;
        t_ok(ev_model_create(ctx, &s.model));
        t_ok(ev_model_input(s.model, "image", EV_TYPE_FLOAT32, 4, any, &x));
        t_ok(ev_model_conv2d(s.model, x, 6, 3, NULL, &x));
        t_ok(evi_model_add(s.model, evi_op_find(names[i % 3]), &a, NULL, &x, 1, &x, 1));
        t_ok(ev_model_conv2d(s.model, x, 2, 3, NULL, &x));
        t_ok(ev_model_output(s.model, "numbers", x));
        t_ok(ev_model_init(s.model, 3));
        one_model(&s, 9);
        ck_assert_msg((s.n_gone == 0) == (i < 3), "%s, axis %d", names[i % 3], (int)a.axis);
    }
    ev_context_destroy(ctx);
}
END_TEST

/* Weights that lie in a file: those of which nothing goes stay there, the file is only read. */
START_TEST(mapped)
{
    ev_context *ctx = t_context(NULL, 2);
    subject s = {.ctx = ctx, .dims = {1, 3, 32, 32}, .state = 12};
    char dir[T_PATH], path[T_PATH];
    ev_zoo_options o;
    ev_model *drawn = NULL, *small = NULL;
    EV_OPTIONS_INIT(&o);
    o.width = o.height = 32;
    t_folder(dir);
    t_path(path, dir, "model.onnx");
    t_ok(ev_zoo_create(ctx, "resnet20", &o, &drawn));
    t_ok(ev_model_init(drawn, 6));
    t_ok(ev_model_save(drawn, path));
    ev_model_destroy(drawn);
    t_ok(ev_model_load(ctx, path, NULL, &s.model));
    t_ok(ev_model_seal(s.model));
    subject_look(&s);
    t_ok(evi_prune_apply(&s.p, s.keep, NULL, 1, &small));
    subject_same_file(small, s.model, 0);
    ev_model_destroy(small);
    subject_choose(&s);
    t_ok(evi_prune_apply(&s.p, s.keep, NULL, 1, &small));
    ck_assert_ptr_null(s.model->store->weights);
    ck_assert_ptr_nonnull(s.model->store->map);
    ev_model *zeroed = subject_without(&s);
    subject_same(&s, small, zeroed, 1e-5, "from a file", 0);
    subject_gradients_flow(&s, small, 0);
    ev_model_destroy(zeroed);
    subject_end(&s);
    t_folder_remove(dir);
    t_ok(ev_model_init(small, 8)); /* weights of its own */
    ev_model_destroy(small);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- no memory ------------------------------------------------------------------------------- */

static ev_status apply_once(ev_context *ctx, void *arg)
{
    const cuts *c = arg;
    ev_model *out = NULL;
    ev_pruner p = *c->p;
    p.groups.ctx = ctx;
    ev_status status = evi_prune_apply(&p, c->s.keep, c->keep_block, 1, &out);
    ck_assert((status == EV_OK) == (out != NULL));
    ev_model_destroy(out);
    return status;
}

START_TEST(no_memory)
{
    ev_context *ctx = t_context(NULL, 1);
    for (uint64_t seed = 0; seed < 6; seed++) {
        cuts c = {.s.state = seed + 3};
        cuts_start(&c, ctx, random_sequence(ctx, seed + 20, c.s.dims));
        subject_choose(&c.s);
        for (int32_t b = 0; b < c.p->blocks.n && seed % 2; b++)
            c.keep_block[b] = b != 0;
        t_each_alloc(apply_once, &c, 1, 20000);
        cuts_end(&c);
    }
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(stale)
{
    ev_context *ctx = t_context(NULL, 1);
    cuts c = {.s.state = 3};
    ev_prune_plan *plan = NULL;
    ev_model *out = NULL;
    ev_value y = EV_NO_VALUE;
    cuts_start(&c, ctx, random_sequence(ctx, 2, c.s.dims));
    t_ok(ev_pruner_plan(c.p, NULL, &plan));
    t_ok(ev_prune_plan_apply(plan, 1, &out));
    subject_same_file(out, c.s.model, 2);
    ev_model_destroy(out);
    t_ok(ev_model_init(c.s.model, 77)); /* other weights are fine */
    t_ok(ev_prune_plan_apply(plan, 1, &out));
    subject_same_file(out, c.s.model, 2);
    ev_model_destroy(out);
    t_ok(ev_model_identity(c.s.model, c.s.model->outputs[0].value, &y));
    t_status(ev_prune_plan_apply(plan, 1, &out), EV_ERR_STALE);
    ck_assert_ptr_null(out);
    t_status(ev_prune_plan_apply(NULL, 1, &out), EV_ERR_ARGUMENT);
    t_status(ev_prune_plan_apply(plan, 1, NULL), EV_ERR_ARGUMENT);
    ev_prune_plan_destroy(plan);
    cuts_end(&c);
    ev_context_destroy(ctx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("apply");
    TCase *c = tcase_create("random");
    const char *all = getenv("EV_RUN_ALL");
    bool many = all != NULL && strcmp(all, "1") == 0;
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, random_nets, 0, (many ? 10000 : 1000) / GROUP);
    suite_add_tcase(s, c);
    add_block_tests(s, many);
    c = tcase_create("rest");
    tcase_add_loop_test(c, computed_shape, 0, 2);
    tcase_add_test(c, meeting_channels);
    tcase_add_test(c, mapped);
    tcase_add_test(c, no_memory);
    tcase_add_test(c, stale);
    suite_add_tcase(s, c);
    return t_run(s);
}
