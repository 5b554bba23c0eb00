/* SPDX-License-Identifier: MIT */
/* How much each group bears: shares of its channels go, least score first, and the smaller model
 * is evaluated as it is.  Groups of which nothing can go are passed over. */
#include "prune/plan.h"
#include "prune/score_net.h"

#include <math.h>

typedef struct scan {
    ev_pruner *p;
    ev_prune_plan *plan;
    evi_batches batches;
    ev_sensitivity_fn fn;
    void *user;
    double loss, accuracy; /* of the whole model */
} scan;

static ev_status check_shares(const double *shares, int32_t n)
{
    if (n < 1 || shares == NULL)
        return evi_fail(EV_ERR_ARGUMENT, "ev_pruner_sensitivity: no shares are given");
    for (int32_t i = 0; i < n; i++)
        if (!(shares[i] >= 0 && shares[i] < 1))
            return evi_fail(EV_ERR_ARGUMENT,
                            "ev_pruner_sensitivity: share %g (number %d) is not 0..1, below 1",
                            shares[i], (int)i);
    return EV_OK;
}

static ev_status check_scores(const ev_pruner *p)
{
    for (int32_t g = 0; g < p->groups.n; g++)
        if (evi_group_is_free(p, g) && (p->scores == NULL || p->scores[g] == NULL))
            return evi_fail(EV_ERR_STATE,
                            "ev_pruner_sensitivity: group %d ('%s') has no scores: call "
                            "ev_pruner_score()",
                            (int)g, evi_group_layer(p, g));
    return EV_OK;
}

/* Evaluate with the plan as it is. */
static ev_status measure(const scan *s, ev_sensitivity *point)
{
    ev_model *smaller = NULL;
    EVI_TRY(evi_prune_apply(s->p, s->plan->keep, s->plan->keep_block, 1, &smaller));
    ev_status status = evi_batches_evaluate(s->p->handle.ctx, smaller, &s->batches, &point->loss,
                                            &point->accuracy);
    ev_model_destroy(smaller);
    return status;
}

static ev_status try_share(const scan *s, int32_t group, double share)
{
    int32_t n = s->p->groups.groups[group].n;
    int32_t width = n - (int32_t)floor(share * n + 1e-9);
    width = EVI_MIN(EVI_MAX(width, s->p->min_width[group]), n);
    ev_sensitivity point = {.struct_size = (uint32_t)sizeof(point),
                            .group = group,
                            .share = (double)(n - width) / n,
                            .loss = s->loss,
                            .accuracy = s->accuracy};
    if (width < n) {
        evi_plan_take(s->plan, group, width);
        ev_status status = measure(s, &point);
        evi_plan_take(s->plan, group, n);
        EVI_TRY(status);
    }
    if (s->fn(s->user, &point) != 0)
        return evi_fail(EV_ERR_CANCELLED, "ev_pruner_sensitivity: fn asked to stop at group %d",
                        (int)group);
    return EV_OK;
}

static ev_status run(scan *s, const double *shares, int32_t n_shares)
{
    EVI_TRY(evi_plan_keep_all(s->p, &s->plan));
    EVI_TRY(
        evi_batches_evaluate(s->p->handle.ctx, s->p->model, &s->batches, &s->loss, &s->accuracy));
    for (int32_t g = 0; g < s->p->groups.n; g++)
        for (int32_t i = 0; i < n_shares && evi_group_is_free(s->p, g); i++)
            EVI_TRY(try_share(s, g, shares[i]));
    return EV_OK;
}

ev_status ev_pruner_sensitivity(ev_pruner *pruner, ev_dataset *data, const double *shares,
                                int32_t n_shares, ev_sensitivity_fn fn, void *user)
{
    EVI_CHECK_HANDLE(pruner, EVI_MAGIC_PRUNER);
    EVI_CHECK_HANDLE(data, EVI_MAGIC_DATASET);
    EVI_CHECK_POINTER(fn);
    EVI_TRY(check_shares(shares, n_shares));
    EVI_TRY(check_scores(pruner));
    const ev_score_options all = {.data = data, .n_images = INT32_MAX, .batch_size = 32, .seed = 1};
    scan s = {.p = pruner, .fn = fn, .user = user};
    EVI_TRY(evi_batches_open(pruner, &all, true, __func__, &s.batches));
    ev_status status = run(&s, shares, n_shares);
    ev_prune_plan_destroy(s.plan);
    evi_batches_close(&s.batches);
    return status;
}
