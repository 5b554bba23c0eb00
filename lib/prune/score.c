/* SPDX-License-Identifier: MIT */
/* What matters: the public side of scores, and criteria that look at weights alone.  Each layer of
 * a group gives a number for each filter; a group's score is the mean over its layers. */
#include "prune/prune.h"

#include <math.h>
#include <string.h>

/* ---- tables ---------------------------------------------------------------------------------- */

void evi_scores_free(const ev_pruner *p, double **scores)
{
    for (int32_t g = 0; scores != NULL && g < p->groups.n; g++)
        evi_free(scores[g]);
    evi_free(scores);
}

ev_status evi_scores_new(const ev_pruner *p, double ***out)
{
    double **scores = NULL;
    *out = NULL;
    EVI_TRY(evi_calloc(p->handle.ctx, (uint64_t)p->groups.n, sizeof(double *), &scores));
    for (int32_t g = 0; g < p->groups.n; g++) {
        if (p->groups.groups[g].blocked != NULL)
            continue;
        ev_status status =
            evi_calloc(p->handle.ctx, (uint64_t)p->groups.groups[g].n, sizeof(double), &scores[g]);
        if (status != EV_OK) {
            evi_scores_free(p, scores);
            return status;
        }
    }
    *out = scores;
    return EV_OK;
}

/* ---- weights --------------------------------------------------------------------------------- */

typedef struct weighing {
    const ev_pruner *p;
    evi_crew *crew;
    const evi_kernels *k;
    double *along; /* workspace: as long as the longest axis */
} weighing;

static ev_status start_weighing(const ev_pruner *p, weighing *out)
{
    int64_t most = 1;
    *out = (weighing){.p = p, .k = evi_kernels_for(evi_cpu_flags(p->handle.ctx))};
    for (int32_t m = 0; m < p->groups.n_models; m++) {
        const evi_store *store = p->groups.models[m]->store;
        for (int32_t i = 0; i < store->n_params; i++)
            for (int32_t a = 0; a < store->params[i].shape.rank; a++)
                most = EVI_MAX(most, store->params[i].shape.dim[a]);
    }
    return evi_malloc(p->handle.ctx, (uint64_t)most, sizeof(double), &out->along);
}

/* Is it the scale of a norm? */
static bool is_scale(const evi_groups *g, const evi_spot *s)
{
    if (s->role != EVI_SPOT_VECTOR || s->node < 0 || evi_spot_param(g, s) == NULL)
        return false;
    const evi_node *node = &g->models[s->model]->nodes[s->node];
    return evi_is_norm(node) && node->n_in > 1 && node->in[1] == s->value;
}

/* Mean |scale| of the norms of a group; false: it has none. */
static bool weigh_norms(const weighing *w, int32_t group, double *score)
{
    const evi_groups *g = &w->p->groups;
    const evi_group *e = &g->groups[group];
    double count = 0;
    for (int32_t i = e->first_spot; i < e->first_spot + e->n_spots; i++) {
        const evi_spot *s = &g->spots[i];
        if (!is_scale(g, s))
            continue;
        const evi_real *scale = evi_spot_param(g, s)->data;
        count += (double)s->block;
        for (int32_t c = 0; c < e->n; c++)
            for (int64_t b = 0; b < s->block; b++)
                score[c] += fabs((double)scale[s->offset + c * s->stride + b]);
    }
    for (int32_t c = 0; c < e->n && count > 0; c++)
        score[c] /= count;
    return count > 0;
}

static void weigh_layer(const weighing *w, const evi_layer *layer, int32_t criterion)
{
    const evi_groups *g = &w->p->groups;
    const evi_spot *s = &g->spots[layer->spot];
    const evi_param *param = evi_spot_param(g, s);
    bool l1 = criterion == EV_CRITERION_L1;
    if (criterion == EV_CRITERION_NORM_SCALE && weigh_norms(w, layer->group, layer->score))
        return;
    evi_axis_sums(w->crew, w->k, l1 ? EVI_SUM_ABS : EVI_SUM_SQUARES, &param->shape, s->axis,
                  param->data, NULL, w->along);
    evi_spots_add(g, layer->group, s->model, s->value, s->axis, EVI_SPOT_OUT, w->along,
                  layer->score);
    for (int32_t c = 0; c < g->groups[layer->group].n && !l1; c++)
        layer->score[c] = sqrt(layer->score[c]);
}

static ev_status weigh_layers(weighing *w, const evi_layers *layers, int32_t criterion)
{
    ev_status status = EV_OK;
    w->crew = evi_crew_begin(w->p->handle.ctx);
    for (int32_t i = 0; i < layers->n && status == EV_OK; i++) {
        if (criterion == EV_CRITERION_LAMP)
            status = evi_score_lamp(w->p, w->crew, &layers->layers[i]);
        else if (criterion == EV_CRITERION_FPGM)
            status = evi_score_fpgm(w->p, w->crew, &layers->layers[i]);
        else
            weigh_layer(w, &layers->layers[i], criterion);
    }
    evi_crew_end(w->crew);
    return status;
}

static ev_status score_weights(const ev_pruner *p, int32_t criterion, double **scores)
{
    weighing w;
    evi_layers layers;
    EVI_TRY(evi_layers_new(p, false, &layers));
    ev_status status = start_weighing(p, &w);
    if (status == EV_OK)
        status = weigh_layers(&w, &layers, criterion);
    if (status == EV_OK)
        evi_layers_mean(p, &layers, scores);
    evi_free(w.along);
    evi_layers_free(&layers);
    return status;
}

static void score_by_chance(const ev_pruner *p, uint64_t seed, double **scores)
{
    const evi_rng chance = {seed, 0x7072756e65u}; /* a stream for this alone */
    for (int32_t g = 0; g < p->groups.n; g++)
        for (int32_t c = 0; c < p->groups.groups[g].n && scores[g] != NULL; c++)
            scores[g][c] = evi_rng_uniform(evi_rng_derive(chance, (uint64_t)g), (uint64_t)c);
}

/* ---- the calls ------------------------------------------------------------------------------- */

static bool needs_pictures(int32_t criterion)
{
    return criterion == EV_CRITERION_TAYLOR || criterion == EV_CRITERION_TAYLOR_GATE ||
           criterion == EV_CRITERION_ACTIVATION || criterion == EV_CRITERION_ZEROS;
}

ev_status evi_score_options_read(const ev_score_options *from, const char *function,
                                 ev_score_options *o)
{
    EVI_TRY(evi_options_read(o, (uint32_t)sizeof(*o), from, function));
    EVI_CHECK_RESERVED(o->reserved[0], function);
    EVI_CHECK_RESERVED(o->reserved[1], function);
    if (o->criterion < 0 || o->criterion > EV_CRITERION_RANDOM)
        return evi_fail(EV_ERR_ARGUMENT, "%s: criterion %d is not in 0..%d", function,
                        (int)o->criterion, EV_CRITERION_RANDOM);
    if (o->data != NULL)
        EVI_TRY(evi_check_handle(o->data, EVI_MAGIC_DATASET, function, "data"));
    if (o->n_images < 0)
        return evi_fail(EV_ERR_ARGUMENT, "%s: n_images %d is negative", function, (int)o->n_images);
    if (o->batch_size < 0 || o->batch_size > 65536)
        return evi_fail(EV_ERR_ARGUMENT, "%s: batch_size %d is not in 1..65536", function,
                        (int)o->batch_size);
    o->n_images = o->n_images == 0 ? 256 : o->n_images;
    o->batch_size = o->batch_size == 0 ? 32 : o->batch_size;
    o->seed = o->seed == 0 ? 1 : o->seed;
    if (o->criterion == EV_CRITERION_DEFAULT)
        o->criterion = o->data != NULL ? EV_CRITERION_TAYLOR : EV_CRITERION_L2;
    return EV_OK;
}

static ev_status check_finite(const ev_pruner *p, double *const *scores)
{
    for (int32_t g = 0; g < p->groups.n; g++) {
        const evi_group *e = &p->groups.groups[g];
        for (int32_t c = 0; c < e->n && scores[g] != NULL; c++)
            if (!isfinite(scores[g][c]))
                return evi_fail(EV_ERR_DIVERGED,
                                "ev_pruner_score: channel %d of layer '%s' has the score %g",
                                (int)c, p->groups.models[e->layer_model]->nodes[e->layer_node].name,
                                scores[g][c]);
    }
    return EV_OK;
}

ev_status ev_pruner_score(ev_pruner *pruner, const ev_score_options *opt)
{
    ev_score_options o;
    double **scores = NULL;
    EVI_CHECK_HANDLE(pruner, EVI_MAGIC_PRUNER);
    EVI_TRY(evi_score_options_read(opt, __func__, &o));
    if (needs_pictures(o.criterion) && o.data == NULL)
        return evi_fail(EV_ERR_ARGUMENT, "%s: criterion %d needs pictures: data is NULL", __func__,
                        (int)o.criterion);
    EVI_TRY(evi_scores_new(pruner, &scores));
    ev_status status = EV_OK;
    if (o.criterion == EV_CRITERION_RANDOM)
        score_by_chance(pruner, o.seed, scores);
    else if (needs_pictures(o.criterion))
        status = evi_score_by_data(pruner, &o, scores);
    else
        status = score_weights(pruner, o.criterion, scores);
    if (status == EV_OK)
        status = check_finite(pruner, scores);
    if (status != EV_OK) {
        evi_scores_free(pruner, scores);
        return status;
    }
    evi_scores_free(pruner, pruner->scores);
    pruner->scores = scores;
    pruner->criterion = o.criterion;
    return EV_OK;
}

const double *ev_pruner_scores(const ev_pruner *pruner, int32_t group)
{
    if (evi_check_handle(pruner, EVI_MAGIC_PRUNER, __func__, "pruner") != EV_OK || group < 0 ||
        group >= pruner->groups.n || pruner->scores == NULL)
        return NULL;
    return pruner->scores[group];
}

ev_status ev_pruner_set_scores(ev_pruner *pruner, int32_t group, const double *scores, int32_t n)
{
    EVI_CHECK_HANDLE(pruner, EVI_MAGIC_PRUNER);
    EVI_CHECK_POINTER(scores);
    if (group < 0 || group >= pruner->groups.n)
        return evi_fail(EV_ERR_ARGUMENT, "%s: group %d is not in 0..%d", __func__, (int)group,
                        (int)pruner->groups.n - 1);
    if (n != pruner->groups.groups[group].n)
        return evi_fail(EV_ERR_ARGUMENT, "%s: %d scores for the %d channels of group %d", __func__,
                        (int)n, (int)pruner->groups.groups[group].n, (int)group);
    for (int32_t c = 0; c < n; c++)
        if (!(scores[c] >= 0) || !isfinite(scores[c]))
            return evi_fail(EV_ERR_ARGUMENT,
                            "%s: the score of channel %d is %g, not a finite "
                            "number >= 0",
                            __func__, (int)c, scores[c]);
    ev_context *ctx = pruner->handle.ctx;
    if (pruner->scores == NULL)
        EVI_TRY(evi_calloc(ctx, (uint64_t)pruner->groups.n, sizeof(double *), &pruner->scores));
    if (pruner->scores[group] == NULL)
        EVI_TRY(evi_calloc(ctx, (uint64_t)n, sizeof(double), &pruner->scores[group]));
    memcpy(pruner->scores[group], scores, (size_t)n * sizeof(double));
    if (pruner->criterion == 0)
        pruner->criterion = EVI_CRITERION_OWN;
    return EV_OK;
}

/* ---- comparing groups ------------------------------------------------------------------------ */

static bool compares(int32_t criterion)
{
    return criterion == EV_CRITERION_TAYLOR || criterion == EV_CRITERION_TAYLOR_GATE ||
           criterion == EV_CRITERION_LAMP || criterion == EV_CRITERION_RANDOM ||
           criterion == EVI_CRITERION_OWN;
}

static void divide_by_mean(double *score, int32_t n)
{
    double sum = 0;
    for (int32_t c = 0; c < n; c++)
        sum += score[c];
    for (int32_t c = 0; c < n && sum > 0; c++)
        score[c] *= n / sum;
}

ev_status evi_scores_comparable(const ev_pruner *p, double ***out)
{
    double **scores = NULL;
    EVI_TRY(evi_scores_new(p, &scores));
    for (int32_t g = 0; g < p->groups.n; g++) {
        int32_t n = p->groups.groups[g].n;
        if (p->scores == NULL || p->scores[g] == NULL || scores[g] == NULL) {
            evi_free(scores[g]);
            scores[g] = NULL;
            continue;
        }
        memcpy(scores[g], p->scores[g], (size_t)n * sizeof(double));
        if (!compares(p->criterion))
            divide_by_mean(scores[g], n);
    }
    *out = scores;
    return EV_OK;
}
