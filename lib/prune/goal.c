/* SPDX-License-Identifier: MIT */
/* Plans for a goal: what the caller asks for, checked, and handed to the search. */
#include "prune/search.h"

#include <math.h>

/* ---- options --------------------------------------------------------------------------------- */

static bool is_empty(const ev_prune_goal *goal)
{
    return goal->unit == 0 && goal->ratio == 0 && goal->amount == 0;
}

ev_status evi_goal_check(const ev_prune_goal *goal, const char *function)
{
    EVI_CHECK_RESERVED(goal->reserved, function);
    if (is_empty(goal))
        return EV_OK;
    if (goal->unit < EV_UNIT_PARAMETERS || goal->unit > EV_UNIT_CHANNELS)
        return evi_fail(EV_ERR_ARGUMENT, "%s: goal.unit is %d, not an EV_UNIT_*", function,
                        (int)goal->unit);
    if (!(goal->ratio >= 0 && goal->ratio <= 1))
        return evi_fail(EV_ERR_ARGUMENT, "%s: goal.ratio is %g, not 0..1", function, goal->ratio);
    if (!(goal->amount >= 0 && goal->amount <= 1e300))
        return evi_fail(EV_ERR_ARGUMENT, "%s: goal.amount is %g, not a number above 0", function,
                        goal->amount);
    if ((goal->ratio > 0) == (goal->amount > 0))
        return evi_fail(EV_ERR_ARGUMENT,
                        "%s: goal.ratio is %g and goal.amount is %g: one of them is needed",
                        function, goal->ratio, goal->amount);
    return EV_OK;
}

static ev_status read_options(const ev_prune_plan_options *from, const char *function,
                              ev_prune_plan_options *o)
{
    EVI_TRY(evi_options_read(o, (uint32_t)sizeof(*o), from, function));
    EVI_CHECK_RESERVED(o->reserved[0], function);
    EVI_CHECK_RESERVED(o->reserved[1], function);
    EVI_TRY(evi_goal_check(&o->goal, function));
    if (o->scope != EV_SCOPE_GLOBAL && o->scope != EV_SCOPE_LOCAL)
        return evi_fail(EV_ERR_ARGUMENT, "%s: scope is %d, not 0 or 1", function, (int)o->scope);
    if (o->depth < 0 || o->depth > 2)
        return evi_fail(EV_ERR_ARGUMENT, "%s: depth is %d, not 0..2", function, (int)o->depth);
    if (o->n_threads < 0 || o->n_threads > 256)
        return evi_fail(EV_ERR_ARGUMENT, "%s: n_threads is %d, not 0..256", function,
                        (int)o->n_threads);
    if (!(o->max_share <= 1))
        return evi_fail(EV_ERR_ARGUMENT, "%s: max_share is %g, not 0..1", function, o->max_share);
    o->n_threads = EVI_MAX(o->n_threads, 1);
    o->max_share = o->max_share == 0 ? 0.9 : EVI_MAX(o->max_share, 0);
    return EV_OK;
}

/* ---- the goal in its unit -------------------------------------------------------------------- */

static ev_status find_limit(evi_search *s)
{
    double now = 0;
    s->limit = s->goal.amount;
    if (s->goal.ratio <= 0 || s->unit == EV_UNIT_MS)
        return EV_OK;
    if (s->unit == EV_UNIT_CHANNELS)
        now = (double)evi_plan_channels(s->plan);
    else
        EVI_TRY(evi_model_amount(s->p->model, s->unit, &now));
    s->limit = now * s->goal.ratio * (1 + 1e-12);
    return EV_OK;
}

/* ---- depth and width ------------------------------------------------------------------------- */

static ev_status find_widths(evi_search *s)
{
    return evi_search_widths(s);
}

/* Blocks that do not pass the goal, then channels; when these are not enough, more blocks. */
static ev_status find_both(evi_search *s)
{
    int32_t took = 0;
    for (int32_t g = 0; g < s->p->groups.n; g++)
        s->width[g] = s->p->groups.groups[g].n;
    EVI_TRY(evi_search_blocks(s, false, &took));
    ev_status status = evi_search_widths(s);
    if (status != EV_ERR_GOAL)
        return status;
    for (int32_t g = 0; g < s->p->groups.n; g++)
        s->width[g] = s->p->groups.groups[g].n;
    EVI_TRY(evi_search_blocks(s, true, &took));
    return evi_search_widths(s);
}

static ev_status find_blocks(evi_search *s)
{
    int32_t took = 0;
    double value = 0;
    EVI_TRY(evi_search_blocks(s, true, &took));
    EVI_TRY(evi_search_value(s, &value));
    return value <= s->limit ? evi_search_refill_blocks(s) : EV_ERR_GOAL;
}

static ev_status find(evi_search *s, int32_t depth)
{
    static ev_status (*const finds[])(evi_search *) = {find_widths, find_both, find_blocks};
    EVI_TRY(evi_search_start(s, depth != 2));
    EVI_TRY(find_limit(s));
    if (s->unit == EV_UNIT_MS)
        return evi_search_ms(s, finds[depth]);
    double value = 0;
    ev_status status = finds[depth](s);
    if (status != EV_ERR_GOAL)
        return status;
    EVI_TRY(evi_search_value(s, &value));
    return evi_search_fail(s, value);
}

ev_status ev_pruner_plan(ev_pruner *pruner, const ev_prune_plan_options *opt, ev_prune_plan **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(pruner, EVI_MAGIC_PRUNER);
    ev_prune_plan_options o;
    EVI_TRY(read_options(opt, __func__, &o));
    evi_search s = {.p = pruner,
                    .function = __func__,
                    .goal = o.goal,
                    .unit = o.goal.unit,
                    .scope = o.scope,
                    .n_threads = o.n_threads,
                    .max_share = o.max_share};
    EVI_TRY(evi_plan_keep_all(pruner, &s.plan));
    ev_status status = is_empty(&o.goal) ? EV_OK : find(&s, o.depth);
    evi_search_end(&s);
    if (status != EV_OK) {
        ev_prune_plan_destroy(s.plan);
        return status;
    }
    *out = s.plan;
    return EV_OK;
}
