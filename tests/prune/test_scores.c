/* SPDX-License-Identifier: MIT */
/* Scores: each criterion against plain loops over all weights, Taylor against differences of the
 * loss, activations against a model that shows them, the same bits for any threads, faults. */
#include "prune/prune.h"
#include "support.h"

#include <edgevision/zoo.h>
#include <math.h>

enum { N_PICTURES = 24, N_CLASSES = 3, SIDE = 8 };

static ev_context *ctx;

static void start(void)
{
    ctx = t_context(NULL, 1);
}

static void end(void)
{
    ev_context_destroy(ctx);
}

/* ---- nets and pictures ------------------------------------------------------------------------- */

enum { WITH_OUTPUT = 1, PLAIN_NORM = 2 };

static ev_status norm(ev_model *m, ev_value x, const char *name, ev_value *out)
{
    ev_norm_options o;
    EV_OPTIONS_INIT(&o);
    o.name = name;
    return ev_model_batch_norm(m, x, &o, out);
}

static ev_status conv(ev_model *m, ev_value x, int32_t filters, int32_t groups, const char *name,
                      ev_value *out)
{
    ev_conv2d_options o;
    EV_OPTIONS_INIT(&o);
    o.groups = groups;
    o.name = name;
    return ev_model_conv2d(m, x, filters, 3, &o, out);
}

static ev_status relu(ev_model *m, ev_value x, ev_value *out)
{
    return ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, out);
}

/* Biases, scales and statistics that are neither 0 nor 1. */
static void stir(ev_model *m)
{
    uint64_t state = 7;
    for (int32_t i = 0; i < ev_model_n_weights(m); i++) {
        const char *name = ev_model_weight_name(m, i);
        ev_tensor *w = NULL;
        t_ok(ev_model_weight(m, name, &w));
        evi_real *x = ev_tensor_data(w);
        for (int64_t j = 0; j < ev_tensor_count(w) && ev_tensor_rank(w) == 1; j++)
            x[j] += (evi_real)(0.2f * t_random_float(&state));
        for (int64_t j = 0; j < ev_tensor_count(w) && strstr(name, "var") != NULL; j++)
            x[j] = (evi_real)(0.5f + 0.4f * t_random_float(&state));
        ev_tensor_destroy(w);
    }
    t_ok(ev_model_touch(m));
}

static ev_status begin(ev_context *c, ev_model **m, ev_value *x)
{
    const int64_t dims[] = {-1, 3, SIDE, SIDE};
    ev_status status = ev_model_create(c, m);
    return status == EV_OK ? ev_model_input(*m, "image", EV_TYPE_FLOAT32, 4, dims, x) : status;
}

static ev_status finish(ev_model *m, ev_value x, ev_value shown, bool hidden, int32_t flags)
{
    EVI_TRY(ev_model_global_average_pool(m, x, &x));
    EVI_TRY(ev_model_flatten(m, x, 1, &x));
    if (hidden) {
        EVI_TRY(ev_model_dense(m, x, 5, NULL, &x));
        EVI_TRY(relu(m, x, &x));
        EVI_TRY(ev_model_dropout(m, x, 0.5f, &x));
    }
    EVI_TRY(ev_model_dense(m, x, N_CLASSES, NULL, &x));
    EVI_TRY(ev_model_output(m, "logits", x));
    if (flags & WITH_OUTPUT)
        EVI_TRY(ev_model_output(m, "shown", shown));
    return ev_model_init(m, 3);
}

/* Plain convolution, a grouped one, a norm, dense layers. */
static ev_status draw_plain(ev_context *c, int32_t flags, ev_model **m)
{
    ev_value x = EV_NO_VALUE, shown;
    EVI_TRY(begin(c, m, &x));
    EVI_TRY(conv(*m, x, 8, 1, "first", &x));
    EVI_TRY(relu(*m, x, &x));
    EVI_TRY(conv(*m, x, 8, 2, "grouped", &x));
    EVI_TRY(norm(*m, x, "norm", &x));
    EVI_TRY(relu(*m, x, &x));
    shown = x;
    EVI_TRY(conv(*m, x, 6, 1, "third", &x));
    EVI_TRY(relu(*m, x, &x));
    return finish(*m, x, shown, true, flags);
}

/* A stem, a shortcut around a convolution, so that both share a group. */
static ev_status draw_residual(ev_context *c, int32_t flags, ev_model **m)
{
    ev_value x = EV_NO_VALUE, y;
    EVI_TRY(begin(c, m, &x));
    EVI_TRY(conv(*m, x, 8, 1, "stem", &x));
    EVI_TRY(norm(*m, x, "stem_norm", &x));
    EVI_TRY(relu(*m, x, &x));
    EVI_TRY(conv(*m, x, 6, 1, "inner", &y));
    EVI_TRY(norm(*m, y, "inner_norm", &y));
    EVI_TRY(relu(*m, y, &y));
    EVI_TRY(conv(*m, y, 8, 1, "outer", &y));
    EVI_TRY(norm(*m, y, "outer_norm", &y));
    EVI_TRY(ev_model_add(*m, x, y, &x));
    EVI_TRY(relu(*m, x, &x));
    return finish(*m, x, x, false, flags);
}

/* An instance norm without scale, which no later layer has to share. */
static ev_status draw_instance(ev_context *c, int32_t flags, ev_model **m)
{
    ev_value x = EV_NO_VALUE;
    EVI_TRY(begin(c, m, &x));
    EVI_TRY(conv(*m, x, 6, 1, "first", &x));
    EVI_TRY(ev_model_instance_norm(*m, x, NULL, &x));
    EVI_TRY(relu(*m, x, &x));
    return finish(*m, x, x, false, flags);
}

/* A convolution that a called model has, used twice. */
static ev_status draw_calling(ev_context *c, int32_t flags, ev_model **m)
{
    const int64_t dims[] = {-1, 8, SIDE, SIDE};
    ev_model *part = NULL;
    ev_value x = EV_NO_VALUE;
    ev_status status = ev_model_create(c, &part);
    if (status == EV_OK)
        status = ev_model_input(part, "x", EV_TYPE_FLOAT32, 4, dims, &x);
    if (status == EV_OK)
        status = conv(part, x, 8, 1, "shared", &x);
    if (status == EV_OK)
        status = relu(part, x, &x);
    if (status == EV_OK)
        status = ev_model_output(part, "y", x);
    if (status == EV_OK)
        status = ev_model_init(part, 2);
    if (status == EV_OK)
        status = begin(c, m, &x);
    if (status == EV_OK)
        status = conv(*m, x, 8, 1, "first", &x);
    for (int32_t i = 0; i < 2 && status == EV_OK; i++)
        status = ev_model_call(*m, part, &x, 1, 0, &x, 1);
    ev_model_destroy(part);
    return status == EV_OK ? finish(*m, x, x, true, flags) : status;
}

typedef ev_status (*drawing)(ev_context *c, int32_t flags, ev_model **m);
static const drawing drawings[] = {draw_plain, draw_residual, draw_instance, draw_calling};

static ev_model *draw(int32_t which, int32_t flags)
{
    ev_model *m = NULL;
    t_ok(drawings[which](ctx, flags, &m));
    stir(m);
    return m;
}

static ev_dataset *pictures(ev_context *c, int32_t n_classes)
{
    const int64_t dims[] = {N_PICTURES, 3, SIDE, SIDE};
    int32_t labels[N_PICTURES];
    uint64_t state = 11;
    ev_tensor *x = NULL;
    ev_dataset *d = NULL;
    if (ev_tensor_create(c, EV_TYPE_UINT8, 4, dims, &x) != EV_OK)
        return NULL;
    uint8_t *byte = ev_tensor_data(x);
    for (int32_t i = 0; i < N_PICTURES; i++)
        labels[i] = i % N_CLASSES;
    for (int64_t i = 0; i < ev_tensor_count(x); i++)
        byte[i] = (uint8_t)(t_random(&state) >> 24);
    if (ev_dataset_from_tensor(c, x, labels, n_classes, NULL, &d) != EV_OK)
        d = NULL;
    ev_tensor_destroy(x);
    return d;
}

static ev_pruner *pruner_of(ev_model *m)
{
    ev_pruner *p = NULL;
    t_ok(ev_pruner_create(ctx, m, NULL, &p));
    ck_assert_int_gt(p->groups.n, 0);
    return p;
}

static ev_score_options options(int32_t criterion, ev_dataset *data)
{
    ev_score_options o;
    EV_OPTIONS_INIT(&o);
    o.criterion = criterion;
    o.data = data;
    return o;
}

static void close_to(double a, double b, double tolerance)
{
    ck_assert_msg(fabs(a - b) <= tolerance * (fabs(a) + fabs(b)) + 1e-12, "%.12g, not %.12g", a, b);
}

/* ---- plain loops ------------------------------------------------------------------------------- */

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
            close_to(have[c], want[c] / n_seen, criterion == EV_CRITERION_FPGM ? 1e-4 : 1e-5);
    }
}

static const int32_t by_weights[] = {EV_CRITERION_L1, EV_CRITERION_L2, EV_CRITERION_LAMP,
                                     EV_CRITERION_FPGM};

START_TEST(weights)
{
    ev_model *m = draw(_i, 0);
    ev_pruner *p = pruner_of(m);
    ck_assert_ptr_null(ev_pruner_scores(p, 0));
    for (int32_t i = 0; i < EVI_COUNT(by_weights); i++) {
        ev_score_options o = options(by_weights[i], NULL);
        t_ok(ev_pruner_score(p, &o));
        ck_assert_int_eq(p->criterion, by_weights[i]);
        check_weights(p, by_weights[i]);
    }
    ev_pruner_destroy(p);
    ev_model_destroy(m);
}
END_TEST

static int32_t group_of(const ev_pruner *p, const char *layer)
{
    for (int32_t g = 0; g < p->groups.n; g++) {
        const evi_group *e = &p->groups.groups[g];
        for (int32_t s = e->first_spot; s < e->first_spot + e->n_spots; s++) {
            const evi_spot *spot = &p->groups.spots[s];
            if (spot->role == EVI_SPOT_OUT &&
                strcmp(p->groups.models[spot->model]->nodes[spot->node].name, layer) == 0)
                return g;
        }
    }
    ck_abort_msg("no group of %s", layer);
    return -1;
}

static evi_real *weights_of(ev_model *m, const char *name, int64_t *count)
{
    int32_t i = evi_store_find(m->store, name);
    ck_assert_int_ge(i, 0);
    if (count != NULL)
        *count = m->store->params[i].count;
    return m->store->params[i].data;
}

START_TEST(norm_scales)
{
    ev_model *m = draw(1, 0);
    ev_pruner *p = pruner_of(m);
    ev_score_options o = options(EV_CRITERION_NORM_SCALE, NULL);
    t_ok(ev_pruner_score(p, &o));
    const double *stem = ev_pruner_scores(p, group_of(p, "stem"));
    const double *inner = ev_pruner_scores(p, group_of(p, "inner"));
    const evi_real *a = weights_of(m, "stem_norm.scale", NULL);
    const evi_real *b = weights_of(m, "outer_norm.scale", NULL);
    const evi_real *c = weights_of(m, "inner_norm.scale", NULL);
    ck_assert_int_eq(group_of(p, "stem"), group_of(p, "outer"));
    for (int32_t i = 0; i < 8; i++)
        close_to(stem[i], (fabs((double)a[i]) + fabs((double)b[i])) / 2, 1e-12);
    for (int32_t i = 0; i < 6; i++)
        close_to(inner[i], fabs((double)c[i]), 1e-12);
    ev_pruner_destroy(p);
    ev_model_destroy(m);
    m = draw(0, 0); /* "first" has no norm: L2 */
    p = pruner_of(m);
    t_ok(ev_pruner_score(p, &o));
    double with = ev_pruner_scores(p, group_of(p, "third"))[2];
    o.criterion = EV_CRITERION_L2;
    t_ok(ev_pruner_score(p, &o));
    close_to(with, ev_pruner_scores(p, group_of(p, "third"))[2], 1e-12);
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
    enum { UNITS = 64, INPUTS = 66000, COUNT = UNITS * INPUTS };
    const int64_t dims[] = {-1, INPUTS};
    ev_model *m = NULL;
    ev_value x = EV_NO_VALUE;
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "x", EV_TYPE_FLOAT32, 2, dims, &x));
    t_ok(ev_model_dense(m, x, UNITS, NULL, &x));
    t_ok(ev_model_dense(m, x, 2, NULL, &x));
    t_ok(ev_model_output(m, "y", x));
    t_ok(ev_model_init(m, 1));
    ev_pruner *p = pruner_of(m);
    ev_score_options o = options(EV_CRITERION_LAMP, NULL);
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
    for (int64_t i = 0; i < COUNT; i++) { /* the last of those that are not smaller */
        double own = (double)w[i] * (double)w[i];
        int64_t lo = 0, hi = COUNT;
        while (hi - lo > 1)
            *(square[(lo + hi) / 2] >= own ? &lo : &hi) = (lo + hi) / 2;
        want[i / INPUTS] += own / sum[lo];
    }
    for (int32_t c = 0; c < UNITS; c++)
        ck_assert_msg(fabs(have[c] - want[c]) < 1e-3 * want[c], "%g, not %g", have[c], want[c]);
    free(square);
    free(sum);
    ev_pruner_destroy(p);
    ev_model_destroy(m);
}
END_TEST

/* ---- differences of the loss ------------------------------------------------------------------- */

static double loss_of(ev_model *m, ev_dataset *d)
{
    ev_metrics *metrics = NULL;
    ev_evaluate_options o;
    EV_OPTIONS_INIT(&o);
    o.precise = 1;
    t_ok(ev_evaluate(ctx, m, d, &o, &metrics));
    double loss = ev_metrics_loss(metrics);
    ev_metrics_destroy(metrics);
    return loss;
}

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
        loss[i] = loss_of(m, d);
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
    evi_real *w = weights_of(m, name, &count);
    return (stretch){w + c * (count / n), count / n, 1};
}

START_TEST(taylor)
{
    ev_model *m = draw(0, 0);
    ev_dataset *d = pictures(ctx, N_CLASSES);
    ev_pruner *p = pruner_of(m);
    ev_score_options o = options(0, d); /* with pictures: Taylor */
    t_ok(ev_pruner_score(p, &o));
    ck_assert_int_eq(p->criterion, EV_CRITERION_TAYLOR);
    const double *third = ev_pruner_scores(p, group_of(p, "third"));
    const double *dense = ev_pruner_scores(p, group_of(p, "dense1"));
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
    ev_model *m = draw(1, 0);
    ev_dataset *d = pictures(ctx, N_CLASSES);
    ev_pruner *p = pruner_of(m);
    ev_score_options o = options(EV_CRITERION_TAYLOR, d);
    t_ok(ev_pruner_score(p, &o));
    const double *score = ev_pruner_scores(p, group_of(p, "stem"));
    for (int32_t c = 0; c < 8; c++) {
        const stretch a[] = {row(m, "stem.weight", c, 8), row(m, "stem.bias", c, 8)};
        const stretch b[] = {row(m, "outer.weight", c, 8), row(m, "outer.bias", c, 8)};
        double x = slope(m, d, a, 2), y = slope(m, d, b, 2);
        check_slope(score[c], sqrt((x * x + y * y) / 2));
    }
    o.criterion = EV_CRITERION_TAYLOR_GATE;
    t_ok(ev_pruner_score(p, &o));
    score = ev_pruner_scores(p, group_of(p, "stem"));
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
    ev_model *m = draw(2, 0);
    ev_dataset *d = pictures(ctx, N_CLASSES);
    ev_pruner *p = pruner_of(m);
    ev_score_options o = options(EV_CRITERION_TAYLOR_GATE, d);
    t_ok(ev_pruner_score(p, &o));
    const double *score = ev_pruner_scores(p, group_of(p, "first"));
    evi_real *w = weights_of(m, "dense1.weight", NULL);
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
    ev_model *m = draw(3, 0);
    ev_dataset *d = pictures(ctx, N_CLASSES);
    ev_pruner *p = pruner_of(m);
    ev_score_options o = options(EV_CRITERION_TAYLOR, d);
    t_ok(ev_pruner_score(p, &o));
    int32_t g = group_of(p, "shared");
    ev_model *part = NULL;
    for (int32_t i = 0; i < m->n_nodes; i++)
        part = m->nodes[i].callee != NULL ? m->nodes[i].callee : part;
    ck_assert_int_eq(g, group_of(p, "first")); /* it reads what it gave */
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
    ev_model *m = draw(1, 0), *same = NULL;
    ev_dataset *d = pictures(ctx, N_CLASSES);
    ev_pruner *p = pruner_of(m);
    ev_score_options o = options(EV_CRITERION_TAYLOR, d);
    t_ok(ev_pruner_score(p, &o));
    double want = ev_pruner_scores(p, group_of(p, "stem"))[3];
    t_ok(ev_model_clone(m, &same));
    t_ok(ev_model_freeze(m, "stem", 1));
    t_ok(ev_pruner_score(p, &o));
    ck_assert(want == ev_pruner_scores(p, group_of(p, "stem"))[3]);
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

/* ---- activations ------------------------------------------------------------------------------- */

static void check_activations(int32_t which, const char *layer, int32_t n, double tolerance)
{
    ev_model *m = draw(which, 0), *shows = draw(which, WITH_OUTPUT);
    ev_dataset *d = pictures(ctx, N_CLASSES);
    ev_pruner *p = pruner_of(m);
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
    t_ok(ev_plan_create(ctx, shows, &po, &plan));
    t_ok(ev_session_create(plan, &session));
    t_ok(ev_loader_create(ctx, d, &lo, &loader));
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
        ev_score_options o = options(k == 0 ? EV_CRITERION_ACTIVATION : EV_CRITERION_ZEROS, d);
        t_ok(ev_pruner_score(p, &o));
        const double *score = ev_pruner_scores(p, group_of(p, layer));
        for (int32_t c = 0; c < n; c++)
            close_to(score[c], sum[k][c] / (N_PICTURES * SIDE * SIDE), tolerance);
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

/* ---- all criteria ------------------------------------------------------------------------------ */

/* All scores one behind the other, malloc'ed; channels and blocks. */
static double *all_scores(ev_context *c, int32_t which, int32_t criterion, size_t *n_out)
{
    ev_model *m = NULL;
    ev_pruner *p = NULL;
    t_ok(drawings[which](c, 0, &m));
    stir(m);
    ev_dataset *d = pictures(c, N_CLASSES);
    t_ok(ev_pruner_create(c, m, NULL, &p));
    ev_score_options o = options(criterion, d);
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
        double *one = all_scores(ctx, _i, criterion, &n);
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
    const evi_kernels *k = evi_kernels_for(evi_cpu_flags(ctx));
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
    ev_model *m = draw(0, 0);
    ev_pruner *p = pruner_of(m);
    double **copy = NULL;
    for (int32_t criterion = EV_CRITERION_L1; criterion <= EV_CRITERION_RANDOM; criterion++) {
        ev_score_options o = options(criterion, NULL);
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
                close_to(sum, n, 1e-12);
        }
        evi_scores_free(p, copy);
    }
    ev_pruner_destroy(p);
    t_ok(ev_pruner_create(ctx, m, NULL, &p));
    double own[6] = {1, 2, 3, 4, 5, 6};
    int32_t g = group_of(p, "third");
    t_ok(ev_pruner_set_scores(p, g, own, 6));
    ck_assert(ev_pruner_scores(p, g)[4] == 5);
    t_ok(evi_scores_comparable(p, &copy));
    ck_assert(copy[g][4] == 5);
    ck_assert_ptr_null(copy[group_of(p, "first")]);
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

/* ---- blocks, sensitivity ----------------------------------------------------------------------- */

START_TEST(blocks)
{
    ev_model *m = draw(1, 0), *without = NULL;
    ev_dataset *d = pictures(ctx, N_CLASSES);
    ev_pruner *p = pruner_of(m);
    ev_prune_plan *plan = NULL;
    ev_score_options o = options(0, d);
    int32_t r = 0;
    while (r < p->blocks.n && p->blocks.blocks[r].kind != EV_BLOCK_RESIDUAL)
        r++;
    ck_assert_int_lt(r, p->blocks.n);
    t_ok(ev_pruner_score_blocks(p, 0, &o));
    t_ok(ev_pruner_plan(p, NULL, &plan));
    t_ok(ev_prune_plan_set_block(plan, r, 0));
    t_ok(ev_prune_plan_apply(plan, 1, &without));
    close_to(p->block_scores[r], loss_of(without, d) - loss_of(m, d), 1e-4);
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
        inner += ev_pruner_scores(p, group_of(p, "inner"))[c];
    ck_assert(p->block_scores[r] > inner);
    t_status(ev_pruner_score_blocks(p, 4, &o), EV_ERR_ARGUMENT);
    t_status(ev_pruner_score_blocks(p, 1, NULL), EV_ERR_ARGUMENT);
    t_status(ev_pruner_score_blocks(NULL, 1, &o), EV_ERR_ARGUMENT);
    ev_pruner_destroy(p);
    ev_dataset_destroy(d);
    ev_model_destroy(m);
}
END_TEST

typedef struct points {
    ev_sensitivity point[64];
    int32_t n, stop_at;
} points;

static int32_t take_point(void *user, const ev_sensitivity *point)
{
    points *all = user;
    all->point[all->n++] = *point;
    return all->n == all->stop_at;
}

START_TEST(sensitivity)
{
    const double shares[] = {0, 0.5, 0.99};
    ev_model *m = draw(0, 0);
    ev_dataset *d = pictures(ctx, N_CLASSES);
    ev_pruner *p = pruner_of(m);
    points all = {.n = 0};
    t_status(ev_pruner_sensitivity(p, d, shares, 3, take_point, &all), EV_ERR_STATE);
    t_ok(ev_pruner_score(p, NULL));
    t_ok(ev_pruner_sensitivity(p, d, shares, 3, take_point, &all));
    ck_assert_int_eq(all.n % 3, 0);
    ck_assert_int_gt(all.n, 0);
    double loss = loss_of(m, d);
    for (int32_t i = 0; i < all.n; i += 3) {
        const ev_sensitivity *s = &all.point[i];
        int32_t n = p->groups.groups[s->group].n;
        ck_assert(s[0].share == 0 && s[0].group == s[1].group);
        close_to(s[0].loss, loss, 1e-4);
        close_to(s[1].share, (double)(n / 2) / n, 1e-9);
        close_to(s[2].share, (double)(n - 1) / n, 1e-9);
        ck_assert(s[1].loss != s[0].loss && isfinite(s[2].loss));
        ck_assert(s[2].accuracy >= 0 && s[2].accuracy <= 1);
    }
    points few = {.stop_at = 2};
    t_status(ev_pruner_sensitivity(p, d, shares, 3, take_point, &few), EV_ERR_CANCELLED);
    ck_assert_int_eq(few.n, 2);
    const double bad[] = {1};
    t_status(ev_pruner_sensitivity(p, d, bad, 1, take_point, &few), EV_ERR_ARGUMENT);
    t_status(ev_pruner_sensitivity(p, d, shares, 0, take_point, &few), EV_ERR_ARGUMENT);
    t_status(ev_pruner_sensitivity(p, d, shares, 3, NULL, &few), EV_ERR_ARGUMENT);
    t_status(ev_pruner_sensitivity(p, NULL, shares, 3, take_point, &few), EV_ERR_ARGUMENT);
    ev_pruner_destroy(p);
    ev_dataset_destroy(d);
    ev_model_destroy(m);
}
END_TEST

/* ---- faults ------------------------------------------------------------------------------------ */

START_TEST(bad_arguments)
{
    ev_model *m = draw(0, 0);
    ev_dataset *d = pictures(ctx, N_CLASSES), *many = pictures(ctx, 9);
    ev_pruner *p = pruner_of(m);
    ev_score_options o = options(EV_CRITERION_L1, NULL);
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
    weights_of(m, "grouped.weight", NULL)[5] = (evi_real)NAN;
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
    ev_model *m = draw(0, 0);
    ev_dataset *many = pictures(ctx, 9);
    ev_pruner *p = pruner_of(m);
    ev_score_options o = options(EV_CRITERION_L1, many);
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
    ev_dataset *d = pictures(c, N_CLASSES);
    ev_status status = d == NULL ? EV_ERR_MEMORY : drawings[j->which](c, 0, &m);
    ev_score_options o = options(j->criterion, d);
    o.n_images = 8;
    if (status == EV_OK)
        status = ev_pruner_create(c, m, NULL, &p);
    if (status == EV_OK)
        status = ev_pruner_score(p, &o);
    if (status == EV_OK && j->blocks > 0)
        status = ev_pruner_score_blocks(p, j->blocks, &o);
    if (status == EV_OK && j->blocks == EV_BLOCK_SCORE_ABLATION)
        status = ev_pruner_sensitivity(p, d, shares, 1, take_point, &all);
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
    tcase_add_checked_fixture(t, start, end);
    tcase_add_loop_test(t, weights, 0, 4);
    tcase_add_test(t, norm_scales);
    tcase_add_test(t, large_lamp);
    tcase_add_test(t, taylor);
    tcase_add_test(t, taylor_of_tied_layers);
    tcase_add_test(t, gate_of_a_plain_norm);
    tcase_add_test(t, taylor_of_calls_and_batches);
    tcase_add_test(t, frozen);
    tcase_add_test(t, activations);
    tcase_add_loop_test(t, threads, 0, 4);
    tcase_add_test(t, sums);
    tcase_add_test(t, comparable);
    tcase_add_test(t, blocks);
    tcase_add_test(t, sensitivity);
    tcase_add_test(t, bad_arguments);
    tcase_add_test(t, kept_after_failure);
    tcase_add_loop_test(t, memory, 0, 6);
    suite_add_tcase(s, t);
    return t_run(s);
}
