/* SPDX-License-Identifier: MIT */
/* Goals in milliseconds.  The old model's layers are timed once; from that follows what a plan
 * should take.  What is found so is drawn and timed in turn with the old model, and the prediction
 * is aimed anew, between plans that were too slow and those that were fast enough. */
#include "prune/search.h"

#include <math.h>
#include <string.h>

#define MOST_DRAWS 7
#define NEAR 0.9         /* of the goal: close enough */
#define AIM 0.96         /* of the goal: what is aimed at */
#define PAIR_SECONDS 0.4 /* of one comparison */

typedef struct race {
    evi_search *s;
    ev_status (*find)(evi_search *);
    double slow[2], fast[2]; /* predicted share and what was measured, 1 is the goal; fast[0] < 0:
                                none yet */
    double predicted, got;   /* of the last draw */
    double ms[2], spread[2];
    ev_prune_plan *best; /* the slowest that is fast enough */
} race;

/* Time a plan against the old model. */
static ev_status time_plan(race *r)
{
    ev_model *old = r->s->p->model, *smaller = NULL;
    EVI_TRY(evi_plan_draw(r->s->plan, &smaller));
    ev_status status = evi_measure_pair(old->handle.ctx, old, smaller, r->s->n_threads,
                                        PAIR_SECONDS, r->ms, r->spread);
    ev_model_destroy(smaller);
    EVI_TRY(status);
    const ev_prune_goal *goal = &r->s->goal;
    r->got = r->ms[1] / (goal->ratio > 0 ? goal->ratio * r->ms[0] : goal->amount);
    return EV_OK;
}

static void copy_plan(const ev_prune_plan *from, ev_prune_plan *to)
{
    for (int32_t g = 0; g < from->pruner->groups.n; g++)
        memcpy(to->keep[g], from->keep[g], (size_t)from->pruner->groups.groups[g].n);
    memcpy(to->keep_block, from->keep_block, (size_t)from->pruner->blocks.n);
    memcpy(to->ms_measured, from->ms_measured, sizeof(to->ms_measured));
    memcpy(to->ms_spread, from->ms_spread, sizeof(to->ms_spread));
    to->ms_before = from->ms_before;
}

static void note(race *r)
{
    ev_prune_plan *plan = r->s->plan;
    memcpy(plan->ms_measured, r->ms, sizeof(r->ms));
    memcpy(plan->ms_spread, r->spread, sizeof(r->spread));
    plan->ms_before = r->ms[0];
    if (r->got > 1) {
        r->slow[0] = r->predicted;
        r->slow[1] = r->got;
    } else if (r->got > r->fast[1]) {
        r->fast[0] = r->predicted;
        r->fast[1] = r->got;
        copy_plan(plan, r->best);
    }
}

/* Where to aim next: on the line between the last that was too slow and the best that was not. */
static double aim(const race *r)
{
    if (r->fast[0] < 0)
        return r->slow[0] * AIM / r->slow[1];
    double up = r->slow[1] - r->fast[1];
    double share = up > 0 ? (AIM - r->fast[1]) / up : 0.5;
    share = EVI_MIN(EVI_MAX(share, 0.15), 0.85);
    return r->fast[0] + share * (r->slow[0] - r->fast[0]);
}

/* Find, draw and time; EV_ERR_GOAL: nothing is that small. */
static ev_status round_once(race *r, double target)
{
    evi_search *s = r->s;
    s->limit = target;
    memset(s->plan->keep_block, 1, (size_t)s->p->blocks.n);
    EVI_TRY(r->find(s));
    evi_tally_set_plan(s->plan->tally, s->plan);
    r->predicted = evi_tally_speed(s->plan->tally);
    EVI_TRY(time_plan(r));
    note(r);
    return EV_OK;
}

/* The smallest there is: it is timed, and the line tells how long it takes. */
static ev_status try_floor(race *r)
{
    evi_search *s = r->s;
    for (int32_t g = 0; g < s->p->groups.n; g++)
        evi_plan_take(s->plan, g, s->width[g]);
    EVI_TRY(time_plan(r));
    note(r);
    return r->got <= 1 ? EV_OK : evi_search_fail(s, r->ms[1]);
}

static ev_status race_on(race *r)
{
    const ev_prune_goal *goal = &r->s->goal;
    double target = goal->ratio;
    if (goal->ratio <= 0) { /* how long the old model takes: run against itself */
        EVI_TRY(time_plan(r));
        target = goal->amount / r->ms[0];
        r->s->plan->ms_before = r->ms[0];
    }
    if (target >= 1)
        return EV_OK;
    r->slow[0] = 1;
    r->slow[1] = 1 / target;
    for (int32_t i = 0; i < MOST_DRAWS; i++) {
        double before = r->predicted;
        ev_status status = round_once(r, target);
        if (status == EV_ERR_GOAL && r->fast[0] < 0)
            return try_floor(r);
        if (status == EV_ERR_GOAL)
            break;
        EVI_TRY(status);
        if ((r->got <= 1 && r->got >= NEAR) || r->predicted == before)
            break;
        target = aim(r);
    }
    return EV_OK;
}

ev_status evi_search_ms(evi_search *s, ev_status (*find)(evi_search *s))
{
    race r = {.s = s, .find = find, .fast = {-1, 0}, .predicted = -1};
    EVI_TRY(evi_plan_keep_all(s->plan->pruner, &r.best));
    ev_status status = evi_measure_layers(s->plan->tally, s->p->model, s->n_threads);
    if (status == EV_OK)
        status = race_on(&r);
    if (status == EV_OK && r.fast[0] < 0 && r.got > 1)
        status =
            evi_fail(EV_ERR_GOAL, "%s: goal: %.4g ms is as near as it came", s->function, r.ms[1]);
    if (status == EV_OK && r.fast[0] >= 0)
        copy_plan(r.best, s->plan);
    ev_prune_plan_destroy(r.best);
    return status;
}
