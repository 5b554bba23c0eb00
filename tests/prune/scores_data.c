/* SPDX-License-Identifier: MIT */
/* Scores by pictures: Taylor against differences of the loss, activations against a model that
 * shows them, blocks, sensitivity. */
#include "scores_case.h"

#include <math.h>

/* ---- differences of the loss ----------------------------------------------------------------- */

/* d loss / d s at s = 1 when these ranges of weights are multiplied by s. */
typedef struct stretch {
    evi_real *at;
    int64_t n, step;
} stretch;

static void multiply(const stretch *r, int32_t n, const evi_real *old, double s)
{
    for (int32_t i = 0; i < n; i++)
        for (int64_t j = 0; j < r[i].n; j++, old++)
            r[i].at[j * r[i].step] = (evi_real)(s * (double)*old);
}

static double slope(ev_model *m, ev_dataset *d, const stretch *r, int32_t n)
{
    double h = sizeof(evi_real) == 8 ? 1e-6 : 1e-2, loss[2];
    evi_real old[4096];
    int64_t at = 0;
    for (int32_t i = 0; i < n; i++)
        for (int64_t j = 0; j < r[i].n; j++)
            old[at++] = r[i].at[j * r[i].step];
    for (int32_t i = 0; i < 2; i++) {
        multiply(r, n, old, i == 0 ? 1 + h : 1 - h);
        t_ok(ev_model_touch(m));
        loss[i] = sc_loss(m, d);
    }
    multiply(r, n, old, 1);
    t_ok(ev_model_touch(m));
    return (loss[0] - loss[1]) / (2 * h);
}

static void check_slope(double score, double slope_found)
{
    double have = sqrt(score), want = fabs(slope_found);
    if (sizeof(evi_real) == 8)
        ck_assert_msg(fabs(have - want) < 1e-5 * (want + 0.01), "%g, not %g", have, want);
    else
        ck_assert_msg(fabs(have - want) < 0.02 * (want + 0.01), "%g, not %g", have, want);
}

static stretch row(ev_model *m, const char *name, int64_t c, int64_t n)
{
    int64_t count = 0;
    evi_real *w = sc_weights(m, name, &count);
    return (stretch){w + c * (count / n), count / n, 1};
}

START_TEST(taylor)
{
    ev_model *m = sc_draw(0, 0);
    ev_dataset *d = sc_pictures(sc_ctx, N_CLASSES);
    ev_pruner *p = sc_pruner(m);
    ev_score_options o = sc_options(0, d); /* with pictures: Taylor */
    t_ok(ev_pruner_score(p, &o));
    ck_assert_int_eq(p->criterion, EV_CRITERION_TAYLOR);
    const double *third = ev_pruner_scores(p, sc_group(p, "third"));
    const double *dense = ev_pruner_scores(p, sc_group(p, "dense1"));
    for (int32_t c = 0; c < 6; c++) {
        const stretch r[] = {row(m, "third.weight", c, 6), row(m, "third.bias", c, 6)};
        check_slope(third[c], slope(m, d, r, 2));
    }
    for (int32_t c = 0; c < 5; c++) {
        const stretch r[] = {row(m, "dense1.weight", c, 5), row(m, "dense1.bias", c, 5)};
        check_slope(dense[c], slope(m, d, r, 2));
    }
    ev_pruner_destroy(p);
    ev_dataset_destroy(d);
    ev_model_destroy(m);
}
END_TEST

/* Two layers of a group: the mean of their squares.  Gates: scale and shift of the norms. */
START_TEST(taylor_of_tied_layers)
{
    ev_model *m = sc_draw(1, 0);
    ev_dataset *d = sc_pictures(sc_ctx, N_CLASSES);
    ev_pruner *p = sc_pruner(m);
    ev_score_options o = sc_options(EV_CRITERION_TAYLOR, d);
    t_ok(ev_pruner_score(p, &o));
    const double *score = ev_pruner_scores(p, sc_group(p, "stem"));
    for (int32_t c = 0; c < 8; c++) {
        const stretch a[] = {row(m, "stem.weight", c, 8), row(m, "stem.bias", c, 8)};
        const stretch b[] = {row(m, "outer.weight", c, 8), row(m, "outer.bias", c, 8)};
        double x = slope(m, d, a, 2), y = slope(m, d, b, 2);
        check_slope(score[c], sqrt((x * x + y * y) / 2));
    }
    o.criterion = EV_CRITERION_TAYLOR_GATE;
    t_ok(ev_pruner_score(p, &o));
    score = ev_pruner_scores(p, sc_group(p, "stem"));
    for (int32_t c = 0; c < 8; c++) {
        const stretch a[] = {row(m, "stem_norm.scale", c, 8), row(m, "stem_norm.shift", c, 8)};
        const stretch b[] = {row(m, "outer_norm.scale", c, 8), row(m, "outer_norm.shift", c, 8)};
        double x = slope(m, d, a, 2), y = slope(m, d, b, 2);
        check_slope(score[c], sqrt((x * x + y * y) / 2));
    }
    ev_pruner_destroy(p);
    ev_dataset_destroy(d);
    ev_model_destroy(m);
}
END_TEST

/* A gate behind a norm without scale is what stretches the next layer's inputs: relu and mean let
 * it through. */
START_TEST(gate_of_a_plain_norm)
{
    ev_model *m = sc_draw(2, 0);
    ev_dataset *d = sc_pictures(sc_ctx, N_CLASSES);
    ev_pruner *p = sc_pruner(m);
    ev_score_options o = sc_options(EV_CRITERION_TAYLOR_GATE, d);
    t_ok(ev_pruner_score(p, &o));
    const double *score = ev_pruner_scores(p, sc_group(p, "first"));
    evi_real *w = sc_weights(m, "dense1.weight", NULL);
    for (int32_t c = 0; c < 6; c++) {
        const stretch r[] = {{w + c, N_CLASSES, 6}};
        check_slope(score[c], slope(m, d, r, 1));
    }
    for (int32_t i = 0; i < m->n_nodes; i++)
        ck_assert_ptr_null(m->nodes[i].callee);
    ev_pruner_destroy(p);
    ev_dataset_destroy(d);
    ev_model_destroy(m);
}
END_TEST

/* Weights of a called model count once for all calls; batches: the mean of squares. */
START_TEST(taylor_of_calls_and_batches)
{
    ev_model *m = sc_draw(3, 0);
    ev_dataset *d = sc_pictures(sc_ctx, N_CLASSES);
    ev_pruner *p = sc_pruner(m);
    ev_score_options o = sc_options(EV_CRITERION_TAYLOR, d);
    t_ok(ev_pruner_score(p, &o));
    int32_t g = sc_group(p, "shared");
    ev_model *part = NULL;
    for (int32_t i = 0; i < m->n_nodes; i++)
        part = m->nodes[i].callee != NULL ? m->nodes[i].callee : part;
    ck_assert_int_eq(g, sc_group(p, "first")); /* it reads what it gave */
    for (int32_t c = 0; c < 8; c++) {
        const stretch a[] = {row(part, "shared.weight", c, 8), row(part, "shared.bias", c, 8)};
        const stretch b[] = {row(m, "first.weight", c, 8), row(m, "first.bias", c, 8)};
        double x = slope(m, d, a, 2), y = slope(m, d, b, 2);
        check_slope(ev_pruner_scores(p, g)[c], sqrt((x * x + y * y) / 2));
    }
    o.batch_size = 5;
    o.n_images = 12;
    t_ok(ev_pruner_score(p, &o));
    double a = ev_pruner_scores(p, g)[1];
    t_ok(ev_pruner_score(p, &o));
    ck_assert(a == ev_pruner_scores(p, g)[1]);
    o.seed = 2;
    t_ok(ev_pruner_score(p, &o));
    ck_assert(a != ev_pruner_scores(p, g)[1]);
    ev_pruner_destroy(p);
    ev_dataset_destroy(d);
    ev_model_destroy(m);
}
END_TEST

/* Frozen weights have scores too; marks, statistics and weights stay as they are. */
START_TEST(frozen)
{
    ev_model *m = sc_draw(1, 0), *same = NULL;
    ev_dataset *d = sc_pictures(sc_ctx, N_CLASSES);
    ev_pruner *p = sc_pruner(m);
    ev_score_options o = sc_options(EV_CRITERION_TAYLOR, d);
    t_ok(ev_pruner_score(p, &o));
    double want = ev_pruner_scores(p, sc_group(p, "stem"))[3];
    t_ok(ev_model_clone(m, &same));
    t_ok(ev_model_freeze(m, "stem", 1));
    t_ok(ev_pruner_score(p, &o));
    ck_assert(want == ev_pruner_scores(p, sc_group(p, "stem"))[3]);
    for (int32_t i = 0; i < m->store->n_params; i++)
        ck_assert_int_eq(m->store->params[i].frozen != 0,
                         strncmp(m->store->params[i].name, "stem", 4) == 0);
    ck_assert_int_eq(memcmp(m->store->weights, same->store->weights,
                            (size_t)m->store->n_total * sizeof(evi_real)),
                     0);
    ev_pruner_destroy(p);
    ev_dataset_destroy(d);
    ev_model_destroy(same);
    ev_model_destroy(m);
}
END_TEST

/* ---- activations ----------------------------------------------------------------------------- */

static void check_activations(int32_t which, const char *layer, int32_t n, double tolerance)
{
    ev_model *m = sc_draw(which, 0), *shows = sc_draw(which, WITH_OUTPUT);
    ev_dataset *d = sc_pictures(sc_ctx, N_CLASSES);
    ev_pruner *p = sc_pruner(m);
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    ev_loader *loader = NULL;
    ev_tensor *x = NULL;
    ev_plan_options po;
    ev_loader_options lo;
    const int32_t *labels, *items;
    int32_t count = 0;
    double sum[2][64] = {{0}};
    EV_OPTIONS_INIT(&po);
    EV_OPTIONS_INIT(&lo);
    lo.width = lo.height = SIDE;
    lo.batch_size = po.max_batch = N_PICTURES;
    t_ok(ev_plan_create(sc_ctx, shows, &po, &plan));
    t_ok(ev_session_create(plan, &session));
    t_ok(ev_loader_create(sc_ctx, d, &lo, &loader));
    t_ok(ev_loader_start_epoch(loader, 0, 0));
    t_ok(ev_loader_next(loader, &x, &labels, &items, &count));
    ck_assert_int_eq(count, N_PICTURES);
    const ev_tensor *input = x;
    t_ok(ev_session_run(session, &input, 1, NULL, 0));
    const evi_real *y = ev_tensor_data(ev_session_output(session, 1));
    for (int32_t i = 0; i < N_PICTURES * n; i++)
        for (int32_t j = 0; j < SIDE * SIDE; j++) {
            sum[0][i % n] += fabs((double)y[i * SIDE * SIDE + j]);
            sum[1][i % n] += y[i * SIDE * SIDE + j] != 0;
        }
    for (int32_t k = 0; k < 2; k++) {
        ev_score_options o = sc_options(k == 0 ? EV_CRITERION_ACTIVATION : EV_CRITERION_ZEROS, d);
        t_ok(ev_pruner_score(p, &o));
        const double *score = ev_pruner_scores(p, sc_group(p, layer));
        for (int32_t c = 0; c < n; c++)
            sc_close(score[c], sum[k][c] / (N_PICTURES * SIDE * SIDE), tolerance);
    }
    ev_loader_destroy(loader);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    ev_pruner_destroy(p);
    ev_dataset_destroy(d);
    ev_model_destroy(shows);
    ev_model_destroy(m);
}

START_TEST(activations)
{
    check_activations(2, "first", 6, 1e-4);
}
END_TEST

/* ---- blocks, sensitivity --------------------------------------------------------------------- */

START_TEST(blocks)
{
    ev_model *m = sc_draw(1, 0), *without = NULL;
    ev_dataset *d = sc_pictures(sc_ctx, N_CLASSES);
    ev_pruner *p = sc_pruner(m);
    ev_prune_plan *plan = NULL;
    ev_score_options o = sc_options(0, d);
    int32_t r = 0;
    while (r < p->blocks.n && p->blocks.blocks[r].kind != EV_BLOCK_RESIDUAL)
        r++;
    ck_assert_int_lt(r, p->blocks.n);
    t_ok(ev_pruner_score_blocks(p, 0, &o));
    t_ok(ev_pruner_plan(p, NULL, &plan));
    t_ok(ev_prune_plan_set_block(plan, r, 0));
    t_ok(ev_prune_plan_apply(plan, 1, &without));
    sc_close(p->block_scores[r], sc_loss(without, d) - sc_loss(m, d), 1e-4);
    ev_model_destroy(without);
    ev_prune_plan_destroy(plan);
    t_ok(ev_pruner_score_blocks(p, EV_BLOCK_SCORE_SIMILARITY, &o));
    for (int32_t i = 0; i < p->blocks.n; i++)
        ck_assert(isfinite(p->block_scores[i]));
    ck_assert_msg(p->block_scores[r] > 0 && p->block_scores[r] < 1, "%g", p->block_scores[r]);
    t_ok(ev_pruner_score_blocks(p, EV_BLOCK_SCORE_TAYLOR, &o));
    o.criterion = EV_CRITERION_TAYLOR; /* the inner group has one layer, inside the block */
    t_ok(ev_pruner_score(p, &o));
    double inner = 0;
    for (int32_t c = 0; c < 6; c++)
        inner += ev_pruner_scores(p, sc_group(p, "inner"))[c];
    ck_assert(p->block_scores[r] > inner);
    t_status(ev_pruner_score_blocks(p, 4, &o), EV_ERR_ARGUMENT);
    t_status(ev_pruner_score_blocks(p, 1, NULL), EV_ERR_ARGUMENT);
    t_status(ev_pruner_score_blocks(NULL, 1, &o), EV_ERR_ARGUMENT);
    ev_pruner_destroy(p);
    ev_dataset_destroy(d);
    ev_model_destroy(m);
}
END_TEST

START_TEST(sensitivity)
{
    const double shares[] = {0, 0.5, 0.99};
    ev_model *m = sc_draw(0, 0);
    ev_dataset *d = sc_pictures(sc_ctx, N_CLASSES);
    ev_pruner *p = sc_pruner(m);
    points all = {.n = 0};
    t_status(ev_pruner_sensitivity(p, d, shares, 3, sc_take_point, &all), EV_ERR_STATE);
    t_ok(ev_pruner_score(p, NULL));
    t_ok(ev_pruner_sensitivity(p, d, shares, 3, sc_take_point, &all));
    ck_assert_int_eq(all.n % 3, 0);
    ck_assert_int_gt(all.n, 0);
    double loss = sc_loss(m, d);
    for (int32_t i = 0; i < all.n; i += 3) {
        const ev_sensitivity *s = &all.point[i];
        int32_t n = p->groups.groups[s->group].n;
        ck_assert(s[0].share == 0 && s[0].group == s[1].group);
        sc_close(s[0].loss, loss, 1e-4);
        sc_close(s[1].share, (double)(n / 2) / n, 1e-9);
        sc_close(s[2].share, (double)(n - 1) / n, 1e-9);
        ck_assert(s[1].loss != s[0].loss && isfinite(s[2].loss));
        ck_assert(s[2].accuracy >= 0 && s[2].accuracy <= 1);
    }
    points few = {.stop_at = 2};
    t_status(ev_pruner_sensitivity(p, d, shares, 3, sc_take_point, &few), EV_ERR_CANCELLED);
    ck_assert_int_eq(few.n, 2);
    const double bad[] = {1};
    t_status(ev_pruner_sensitivity(p, d, bad, 1, sc_take_point, &few), EV_ERR_ARGUMENT);
    t_status(ev_pruner_sensitivity(p, d, shares, 0, sc_take_point, &few), EV_ERR_ARGUMENT);
    t_status(ev_pruner_sensitivity(p, d, shares, 3, NULL, &few), EV_ERR_ARGUMENT);
    t_status(ev_pruner_sensitivity(p, NULL, shares, 3, sc_take_point, &few), EV_ERR_ARGUMENT);
    ev_pruner_destroy(p);
    ev_dataset_destroy(d);
    ev_model_destroy(m);
}
END_TEST

TCase *sc_data_case(void)
{
    TCase *t = tcase_create("pictures");
    tcase_add_checked_fixture(t, sc_start, sc_end);
    tcase_add_test(t, taylor);
    tcase_add_test(t, taylor_of_tied_layers);
    tcase_add_test(t, gate_of_a_plain_norm);
    tcase_add_test(t, taylor_of_calls_and_batches);
    tcase_add_test(t, frozen);
    tcase_add_test(t, activations);
    tcase_add_test(t, blocks);
    tcase_add_test(t, sensitivity);
    return t;
}
