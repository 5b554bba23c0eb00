/* SPDX-License-Identifier: MIT */
/* Scores: each criterion that looks at weights against plain loops over all of them, the same bits
 * for any threads, faults.  Those by pictures: scores_data.c. */
#include "scores_case.h"

#include <math.h>

/* ---- plain loops ----------------------------------------------------------------------------- */

/* All weights of one layer with the channel that each belongs to (-1: none of the group). */
typedef struct plain {
    const evi_param *param;
    int32_t *channel;
} plain;

static plain plain_layer(const ev_pruner *p, const evi_group *e, const evi_spot *first)
{
    plain l = {evi_spot_param(&p->groups, first), NULL};
    int64_t inner = 1;
    for (int32_t a = first->axis + 1; a < l.param->shape.rank; a++)
        inner *= l.param->shape.dim[a];
    l.channel = malloc((size_t)l.param->count * sizeof(int32_t));
    for (int64_t i = 0; i < l.param->count; i++) {
        int64_t at = i / inner % l.param->shape.dim[first->axis];
        l.channel[i] = -1;
        for (int32_t s = 0; s < e->n_spots; s++) {
            const evi_spot *spot = &p->groups.spots[e->first_spot + s];
            if (spot->role != EVI_SPOT_OUT || spot->model != first->model ||
                spot->value != first->value)
                continue;
            for (int32_t c = 0; c < e->n; c++) {
                int64_t begin_at = spot->offset + c * spot->stride;
                if (at >= begin_at && at < begin_at + spot->block)
                    l.channel[i] = c;
            }
        }
    }
    return l;
}

static void plain_lamp(const plain *l, double *score)
{
    for (int64_t i = 0; i < l->param->count; i++) {
        double w = (double)l->param->data[i], sum = 0;
        for (int64_t j = 0; j < l->param->count; j++) {
            double v = (double)l->param->data[j];
            sum += v * v >= w * w ? v * v : 0;
        }
        if (l->channel[i] >= 0)
            score[l->channel[i]] += w * w / sum;
    }
}

static void plain_fpgm(const plain *l, int32_t n, double *score)
{
    int64_t most = l->param->count;
    double *filter = calloc((size_t)(n * most), sizeof(double));
    int64_t *count = calloc((size_t)n, sizeof(int64_t));
    for (int64_t i = 0; i < most; i++)
        if (l->channel[i] >= 0)
            filter[l->channel[i] * most + count[l->channel[i]]++] = (double)l->param->data[i];
    for (int32_t a = 0; a < n; a++)
        for (int32_t b = 0; b < n; b++) {
            double sum = 0;
            for (int64_t i = 0; i < count[a]; i++) {
                double d = filter[a * most + i] - filter[b * most + i];
                sum += d * d;
            }
            score[a] += sqrt(sum);
        }
    free(filter);
    free(count);
}

static void plain_score(const plain *l, int32_t n, int32_t criterion, double *score)
{
    double one[256] = {0};
    for (int64_t i = 0; i < l->param->count && criterion <= EV_CRITERION_L2; i++) {
        double w = (double)l->param->data[i];
        if (l->channel[i] >= 0)
            one[l->channel[i]] += criterion == EV_CRITERION_L1 ? fabs(w) : w * w;
    }
    if (criterion == EV_CRITERION_LAMP)
        plain_lamp(l, one);
    if (criterion == EV_CRITERION_FPGM)
        plain_fpgm(l, n, one);
    for (int32_t c = 0; c < n; c++)
        score[c] += criterion == EV_CRITERION_L2 ? sqrt(one[c]) : one[c];
}

static void check_weights(const ev_pruner *p, int32_t criterion)
{
    for (int32_t g = 0; g < p->groups.n; g++) {
        const evi_group *e = &p->groups.groups[g];
        const evi_spot *seen[64];
        int32_t n_seen = 0;
        double want[256] = {0};
        for (int32_t s = 0; s < e->n_spots; s++) {
            const evi_spot *spot = &p->groups.spots[e->first_spot + s];
            bool again = spot->role != EVI_SPOT_OUT;
            for (int32_t i = 0; i < n_seen; i++)
                again = again || (seen[i]->model == spot->model && seen[i]->value == spot->value);
            if (again)
                continue;
            seen[n_seen++] = spot;
            plain l = plain_layer(p, e, spot);
            plain_score(&l, e->n, criterion, want);
            free(l.channel);
        }
        ck_assert_int_gt(n_seen, 0);
        const double *have = ev_pruner_scores(p, g);
        ck_assert_int_eq(have == NULL, e->blocked != NULL);
        for (int32_t c = 0; c < e->n && have != NULL; c++)
            sc_close(have[c], want[c] / n_seen, criterion == EV_CRITERION_FPGM ? 1e-4 : 1e-5);
    }
}

static const int32_t by_weights[] = {EV_CRITERION_L1, EV_CRITERION_L2, EV_CRITERION_LAMP,
                                     EV_CRITERION_FPGM};

START_TEST(weights)
{
    ev_model *m = sc_draw(_i, 0);
    ev_pruner *p = sc_pruner(m);
    ck_assert_ptr_null(ev_pruner_scores(p, 0));
    for (int32_t i = 0; i < EVI_COUNT(by_weights); i++) {
        ev_score_options o = sc_options(by_weights[i], NULL);
        t_ok(ev_pruner_score(p, &o));
        ck_assert_int_eq(p->criterion, by_weights[i]);
        check_weights(p, by_weights[i]);
    }
    ev_pruner_destroy(p);
    ev_model_destroy(m);
}
END_TEST

START_TEST(norm_scales)
{
    ev_model *m = sc_draw(1, 0);
    ev_pruner *p = sc_pruner(m);
    ev_score_options o = sc_options(EV_CRITERION_NORM_SCALE, NULL);
    t_ok(ev_pruner_score(p, &o));
    const double *stem = ev_pruner_scores(p, sc_group(p, "stem"));
    const double *inner = ev_pruner_scores(p, sc_group(p, "inner"));
    const evi_real *a = sc_weights(m, "stem_norm.scale", NULL);
    const evi_real *b = sc_weights(m, "outer_norm.scale", NULL);
    const evi_real *c = sc_weights(m, "inner_norm.scale", NULL);
    ck_assert_int_eq(sc_group(p, "stem"), sc_group(p, "outer"));
    for (int32_t i = 0; i < 8; i++)
        sc_close(stem[i], (fabs((double)a[i]) + fabs((double)b[i])) / 2, 1e-12);
    for (int32_t i = 0; i < 6; i++)
        sc_close(inner[i], fabs((double)c[i]), 1e-12);
    ev_pruner_destroy(p);
    ev_model_destroy(m);
    m = sc_draw(0, 0); /* "first" has no norm: L2 */
    p = sc_pruner(m);
    t_ok(ev_pruner_score(p, &o));
    double with = ev_pruner_scores(p, sc_group(p, "third"))[2];
    o.criterion = EV_CRITERION_L2;
    t_ok(ev_pruner_score(p, &o));
    sc_close(with, ev_pruner_scores(p, sc_group(p, "third"))[2], 1e-12);
    ev_pruner_destroy(p);
    ev_model_destroy(m);
}
END_TEST

static int greater(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Above 4 M weights LAMP counts instead of sorting. */
START_TEST(large_lamp)
{
    enum { UNITS = 64, INPUTS = 66000, COUNT = UNITS * INPUTS, SOME = 4 };
    const int64_t dims[] = {-1, INPUTS};
    ev_model *m = NULL;
    ev_value x = EV_NO_VALUE;
    t_ok(ev_model_create(sc_ctx, &m));
    t_ok(ev_model_input(m, "x", EV_TYPE_FLOAT32, 2, dims, &x));
    t_ok(ev_model_dense(m, x, UNITS, NULL, &x));
    t_ok(ev_model_dense(m, x, 2, NULL, &x));
    t_ok(ev_model_output(m, "y", x));
    t_ok(ev_model_init(m, 1));
    ev_pruner *p = sc_pruner(m);
    ev_score_options o = sc_options(EV_CRITERION_LAMP, NULL);
    t_ok(ev_pruner_score(p, &o));
    const double *have = ev_pruner_scores(p, 0);
    const evi_real *w = m->store->params[0].data;
    double *square = malloc(COUNT * sizeof(double)), above = 0, want[UNITS] = {0};
    for (int64_t i = 0; i < COUNT; i++)
        square[i] = (double)w[i] * (double)w[i];
    qsort(square, COUNT, sizeof(double), greater);
    double *sum = malloc(COUNT * sizeof(double));
    for (int64_t i = 0; i < COUNT; i++)
        sum[i] = above += square[i];
    for (int64_t i = 0; i < SOME * INPUTS; i++) { /* the last of those that are not smaller */
        double own = (double)w[i] * (double)w[i];
        int64_t lo = 0, hi = COUNT;
        while (hi - lo > 1)
            *(square[(lo + hi) / 2] >= own ? &lo : &hi) = (lo + hi) / 2;
        want[i / INPUTS] += own / sum[lo];
    }
    for (int32_t c = 0; c < SOME; c++)
        ck_assert_msg(fabs(have[c] - want[c]) < 1e-3 * want[c], "%g, not %g", have[c], want[c]);
    free(square);
    free(sum);
    ev_pruner_destroy(p);
    ev_model_destroy(m);
}
END_TEST

/* ---- all criteria ---------------------------------------------------------------------------- */

/* All scores one behind the other, malloc'ed; channels and blocks. */
static double *all_scores(ev_context *c, int32_t which, int32_t criterion, size_t *n_out)
{
    ev_model *m = NULL;
    ev_pruner *p = NULL;
    t_ok(sc_draw_for(which, c, 0, &m));
    sc_stir(m);
    ev_dataset *d = sc_pictures(c, N_CLASSES);
    t_ok(ev_pruner_create(c, m, NULL, &p));
    ev_score_options o = sc_options(criterion, d);
    o.batch_size = 7;
    t_ok(ev_pruner_score(p, &o));
    t_ok(ev_pruner_score_blocks(p, EV_BLOCK_SCORE_SIMILARITY, &o));
    double *all = malloc(4096 * sizeof(double));
    *n_out = 0;
    for (int32_t g = 0; g < p->groups.n; g++)
        for (int32_t i = 0; i < p->groups.groups[g].n && p->scores[g] != NULL; i++) {
            ck_assert(p->scores[g][i] >= 0 && isfinite(p->scores[g][i]));
            all[(*n_out)++] = p->scores[g][i];
        }
    for (int32_t b = 0; b < p->blocks.n; b++)
        all[(*n_out)++] = p->block_scores[b];
    ev_pruner_destroy(p);
    ev_dataset_destroy(d);
    ev_model_destroy(m);
    return all;
}

START_TEST(threads)
{
    ev_context *three = t_context(NULL, 3);
    for (int32_t criterion = 1; criterion <= EV_CRITERION_RANDOM; criterion++) {
        size_t n = 0, n3 = 0;
        double *one = all_scores(sc_ctx, _i, criterion, &n);
        double *other = all_scores(three, _i, criterion, &n3);
        ck_assert_uint_eq(n, n3);
        ck_assert_msg(memcmp(one, other, n * sizeof(double)) == 0, "criterion %d", criterion);
        free(one);
        free(other);
    }
    ev_context_destroy(three);
}
END_TEST

/* Rows and columns of all kinds against one loop. */
START_TEST(sums)
{
    const int64_t shapes[][4] = {{5, 7, 3, 3},    {3, 40, 1, 1},    {2, 3, 9, 31}, {1, 6, 1, 1},
                                 {70, 300, 1, 2}, {4, 1, 130, 130}, {4, 0, 2, 2}};
    const evi_kernels *k = evi_kernels_for(evi_cpu_flags(sc_ctx));
    for (int32_t i = 0; i < EVI_COUNT(shapes); i++)
        for (int32_t axis = 0; axis < 4; axis++) {
            evi_shape shape;
            double have[512], want[512];
            t_ok(evi_shape_set(&shape, 4, shapes[i], "x"));
            int64_t n = evi_shape_count(&shape), inner = 1;
            evi_real *x = malloc((size_t)(2 * n + 1) * sizeof(evi_real)), *u = x + n;
            uint64_t state = 5;
            for (int64_t j = 0; j < 2 * n; j++)
                x[j] = t_random(&state) % 3 == 0 ? 0 : (evi_real)t_random_float(&state);
            for (int32_t a = axis + 1; a < 4; a++)
                inner *= shape.dim[a];
            for (int32_t kind = EVI_SUM_ABS; kind <= EVI_SUM_NOT_ZERO; kind++) {
                memset(want, 0, sizeof(want));
                evi_axis_sums(NULL, k, kind, &shape, axis, x, u, have);
                for (int64_t j = 0; j < n; j++) {
                    double w = (double)x[j], v = (double)u[j];
                    want[j / inner % shape.dim[axis]] += kind == EVI_SUM_ABS        ? fabs(w)
                                                         : kind == EVI_SUM_SQUARES  ? w * w
                                                         : kind == EVI_SUM_PRODUCTS ? w * v
                                                                                    : w != 0;
                }
                for (int64_t c = 0; c < shape.dim[axis]; c++)
                    ck_assert_msg(fabs(have[c] - want[c]) < 1e-4 * (1 + fabs(want[c])),
                                  "%g, not %g", have[c], want[c]);
            }
            free(x);
        }
}
END_TEST

START_TEST(comparable)
{
    ev_model *m = sc_draw(0, 0);
    ev_pruner *p = sc_pruner(m);
    double **copy = NULL;
    for (int32_t criterion = EV_CRITERION_L1; criterion <= EV_CRITERION_RANDOM; criterion++) {
        ev_score_options o = sc_options(criterion, NULL);
        if (ev_pruner_score(p, &o) != EV_OK)
            continue; /* it needs pictures */
        t_ok(evi_scores_comparable(p, &copy));
        for (int32_t g = 0; g < p->groups.n; g++) {
            int32_t n = p->groups.groups[g].n;
            double sum = 0;
            for (int32_t c = 0; c < n && copy[g] != NULL; c++)
                sum += copy[g][c];
            if (copy[g] == NULL)
                continue;
            if (criterion == EV_CRITERION_LAMP || criterion == EV_CRITERION_RANDOM)
                ck_assert(copy[g][0] == p->scores[g][0]);
            else
                sc_close(sum, n, 1e-12);
        }
        evi_scores_free(p, copy);
    }
    ev_pruner_destroy(p);
    t_ok(ev_pruner_create(sc_ctx, m, NULL, &p));
    double own[6] = {1, 2, 3, 4, 5, 6};
    int32_t g = sc_group(p, "third");
    t_ok(ev_pruner_set_scores(p, g, own, 6));
    ck_assert(ev_pruner_scores(p, g)[4] == 5);
    t_ok(evi_scores_comparable(p, &copy));
    ck_assert(copy[g][4] == 5);
    ck_assert_ptr_null(copy[sc_group(p, "first")]);
    evi_scores_free(p, copy);
    t_status(ev_pruner_set_scores(p, g, own, 5), EV_ERR_ARGUMENT);
    t_status(ev_pruner_set_scores(p, 99, own, 6), EV_ERR_ARGUMENT);
    t_status(ev_pruner_set_scores(p, g, NULL, 6), EV_ERR_ARGUMENT);
    own[2] = -1;
    t_status(ev_pruner_set_scores(p, g, own, 6), EV_ERR_ARGUMENT);
    own[2] = (double)NAN;
    t_status(ev_pruner_set_scores(p, g, own, 6), EV_ERR_ARGUMENT);
    ck_assert(ev_pruner_scores(p, g)[4] == 5);
    ev_pruner_destroy(p);
    ev_model_destroy(m);
}
END_TEST

/* ---- faults ---------------------------------------------------------------------------------- */

START_TEST(bad_arguments)
{
    ev_model *m = sc_draw(0, 0);
    ev_dataset *d = sc_pictures(sc_ctx, N_CLASSES), *many = sc_pictures(sc_ctx, 9);
    ev_pruner *p = sc_pruner(m);
    ev_score_options o = sc_options(EV_CRITERION_L1, NULL);
    t_ok(ev_pruner_score(p, &o));
    double old = ev_pruner_scores(p, 0)[0];
    t_status(ev_pruner_score(NULL, &o), EV_ERR_ARGUMENT);
    o.criterion = 11;
    t_status(ev_pruner_score(p, &o), EV_ERR_ARGUMENT);
    o.criterion = EV_CRITERION_TAYLOR;
    t_status(ev_pruner_score(p, &o), EV_ERR_ARGUMENT); /* no pictures */
    o.data = d;
    o.n_images = -1;
    t_status(ev_pruner_score(p, &o), EV_ERR_ARGUMENT);
    o.n_images = 0;
    o.batch_size = 70000;
    t_status(ev_pruner_score(p, &o), EV_ERR_ARGUMENT);
    o.batch_size = 0;
    o.reserved[1] = 1;
    t_status(ev_pruner_score(p, &o), EV_ERR_VERSION);
    o.reserved[1] = 0;
    o.data = many;
    t_status(ev_pruner_score(p, &o), EV_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "ev_pruner_score"));
    o.criterion = EV_CRITERION_ACTIVATION;
    t_status(ev_pruner_score(p, &o), EV_ERR_SHAPE);
    o.data = d;
    sc_weights(m, "grouped.weight", NULL)[5] = (evi_real)NAN;
    for (int32_t c = EV_CRITERION_TAYLOR; c <= EV_CRITERION_ZEROS; c++) {
        o.criterion = c;
        ev_status status = ev_pruner_score(p, &o);
        ck_assert_msg(status == EV_ERR_DIVERGED || c == EV_CRITERION_ZEROS, "criterion %d", c);
        if (c == EV_CRITERION_TAYLOR)
            ck_assert_ptr_nonnull(strstr(ev_last_error(), "grouped"));
    }
    o.criterion = EV_CRITERION_L1;
    t_status(ev_pruner_score(p, &o), EV_ERR_DIVERGED);
    ck_assert_ptr_null(ev_pruner_scores(p, -1));
    ck_assert_ptr_null(ev_pruner_scores(p, 99));
    ck_assert_ptr_null(ev_pruner_scores(NULL, 0));
    (void)old;
    t_ok(ev_model_seal(m));
    o.criterion = EV_CRITERION_TAYLOR;
    t_status(ev_pruner_score(p, &o), EV_ERR_STATE);
    ev_pruner_destroy(p);
    ev_dataset_destroy(many);
    ev_dataset_destroy(d);
    ev_model_destroy(m);
}
END_TEST

/* After a failure the scores are as before. */
START_TEST(kept_after_failure)
{
    ev_model *m = sc_draw(0, 0);
    ev_dataset *many = sc_pictures(sc_ctx, 9);
    ev_pruner *p = sc_pruner(m);
    ev_score_options o = sc_options(EV_CRITERION_L1, many);
    t_ok(ev_pruner_score(p, &o));
    double old = ev_pruner_scores(p, 0)[0];
    o.criterion = EV_CRITERION_TAYLOR;
    t_status(ev_pruner_score(p, &o), EV_ERR_SHAPE);
    ck_assert_int_eq(p->criterion, EV_CRITERION_L1);
    ck_assert(ev_pruner_scores(p, 0)[0] == old);
    ev_pruner_destroy(p);
    ev_dataset_destroy(many);
    ev_model_destroy(m);
}
END_TEST

typedef struct job {
    int32_t which, criterion, blocks;
} job;

static ev_status score_all(ev_context *c, void *arg)
{
    const job *j = arg;
    const double shares[] = {0.5};
    points all = {.n = 0};
    ev_model *m = NULL;
    ev_pruner *p = NULL;
    ev_dataset *d = sc_pictures(c, N_CLASSES);
    ev_status status = d == NULL ? EV_ERR_MEMORY : sc_draw_for(j->which, c, 0, &m);
    ev_score_options o = sc_options(j->criterion, d);
    o.n_images = 8;
    if (status == EV_OK)
        status = ev_pruner_create(c, m, NULL, &p);
    if (status == EV_OK)
        status = ev_pruner_score(p, &o);
    if (status == EV_OK && j->blocks > 0)
        status = ev_pruner_score_blocks(p, j->blocks, &o);
    if (status == EV_OK && j->blocks == EV_BLOCK_SCORE_ABLATION)
        status = ev_pruner_sensitivity(p, d, shares, 1, sc_take_point, &all);
    ev_pruner_destroy(p);
    ev_dataset_destroy(d);
    ev_model_destroy(m);
    return status;
}

START_TEST(memory)
{
    static const job jobs[] = {{1, EV_CRITERION_L2, EV_BLOCK_SCORE_SIMILARITY},
                               {0, EV_CRITERION_LAMP, 0},
                               {0, EV_CRITERION_FPGM, 0},
                               {3, EV_CRITERION_TAYLOR, EV_BLOCK_SCORE_TAYLOR},
                               {2, EV_CRITERION_TAYLOR_GATE, 0},
                               {2, EV_CRITERION_ACTIVATION, EV_BLOCK_SCORE_ABLATION}};
    job j = jobs[_i];
    ck_assert_int_gt(t_each_alloc(score_all, &j, 1, 0), 50);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("scores");
    TCase *t = tcase_create("scores");
    tcase_add_checked_fixture(t, sc_start, sc_end);
    tcase_add_loop_test(t, weights, 0, 4);
    tcase_add_test(t, norm_scales);
    if (sizeof(evi_real) == 4) { /* once is enough */
        tcase_add_test(t, large_lamp);
        tcase_add_loop_test(t, threads, 0, 4);
        tcase_add_loop_test(t, memory, 0, 6);
    }
    tcase_add_test(t, sums);
    tcase_add_test(t, comparable);
    tcase_add_test(t, bad_arguments);
    tcase_add_test(t, kept_after_failure);
    suite_add_tcase(s, t);
    suite_add_tcase(s, sc_data_case());
    return t_run(s);
}
