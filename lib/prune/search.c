/* SPDX-License-Identifier: MIT */
/* The search for widths.  A number, how many of the least important channels go, decides all
 * widths; each is rounded up to what kernels like.  The least such number that meets the goal is
 * found by halving, and then groups get back steps that still fit, the most important first. */
#include "prune/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCAL_STEPS 4096 /* shares that EV_SCOPE_LOCAL tries */
#define FINEST 30
#define DRAWN 1e9 /* weights */

/* ---- what competes --------------------------------------------------------------------------- */

static int by_score(const void *a, const void *b)
{
    const evi_pick *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return (x->channel < y->channel) - (x->channel > y->channel); /* the first stays longest */
}

static ev_status check_scores(const evi_search *s, double *const *scores)
{
    for (int32_t g = 0; g < s->p->groups.n; g++)
        if (evi_group_is_free(s->p, g) && scores[g] == NULL)
            return evi_fail(EV_ERR_STATE,
                            "%s: group %d ('%s') has no scores: call ev_pruner_score()",
                            s->function, (int)g, evi_group_layer(s->p, g));
    return EV_OK;
}

static ev_status find_picks(evi_search *s, double *const *scores)
{
    const evi_groups *g = &s->p->groups;
    uint64_t n = 0;
    EVI_TRY(check_scores(s, scores));
    for (int32_t i = 0; i < g->n; i++)
        n += evi_group_is_free(s->p, i) ? (uint64_t)g->groups[i].n : 0;
    EVI_TRY(evi_malloc(s->p->handle.ctx, n, sizeof(*s->picks), &s->picks));
    for (int32_t i = 0; i < g->n; i++)
        for (int32_t c = 0; c < g->groups[i].n && evi_group_is_free(s->p, i); c++)
            s->picks[s->n_picks++] = (evi_pick){scores[i][c], i, c};
    qsort(s->picks, (size_t)s->n_picks, sizeof(*s->picks), by_score);
    return EV_OK;
}

ev_status evi_search_start(evi_search *s, bool with_scores)
{
    ev_context *ctx = s->p->handle.ctx;
    uint64_t n = (uint64_t)s->p->groups.n;
    EVI_TRY(evi_calloc(ctx, n, sizeof(*s->width), &s->width));
    EVI_TRY(evi_calloc(ctx, n, sizeof(*s->floor), &s->floor));
    EVI_TRY(evi_calloc(ctx, n, sizeof(*s->lost), &s->lost));
    for (int32_t g = 0; g < s->p->groups.n; g++)
        s->width[g] = s->p->groups.groups[g].n;
    if (with_scores) {
        double **scores = NULL;
        EVI_TRY(evi_scores_comparable(s->p, &scores));
        ev_status status = find_picks(s, scores);
        evi_scores_free(s->p, scores);
        EVI_TRY(status);
    }
    uint64_t bytes = 0;
    evi_sums sums;
    EVI_TRY(evi_model_file_bytes(s->p->model, &bytes));
    evi_tally_set(s->plan->tally, s->width);
    evi_tally_sum(s->plan->tally, &sums);
    s->file_rest = (double)bytes - 4.0 * (double)sums.elements;
    return EV_OK;
}

void evi_search_end(evi_search *s)
{
    evi_free(s->picks);
    evi_free(s->width);
    evi_free(s->floor);
    evi_free(s->lost);
}

/* ---- what it comes to ------------------------------------------------------------------------ */

static void set_plan(evi_search *s)
{
    for (int32_t g = 0; g < s->p->groups.n; g++)
        evi_plan_take(s->plan, g, s->width[g]);
}

static ev_status drawn_value(evi_search *s, double *out)
{
    ev_model *model = NULL;
    set_plan(s);
    EVI_TRY(evi_plan_draw(s->plan, &model));
    ev_status status = evi_model_amount(model, s->unit, out);
    ev_model_destroy(model);
    return status;
}

ev_status evi_search_value(evi_search *s, double *out)
{
    evi_tally *t = s->plan->tally;
    evi_sums sums;
    if (s->unit == EV_UNIT_CHANNELS || s->unit == EV_UNIT_MS) {
        set_plan(s);
        evi_tally_set_plan(t, s->plan);
        *out = s->unit == EV_UNIT_MS ? evi_tally_speed(t) : (double)evi_plan_channels(s->plan);
        return EV_OK;
    }
    if (s->unit == EV_UNIT_MEMORY_BYTES || evi_plan_has_gone_blocks(s->plan))
        return drawn_value(s, out);
    evi_tally_set(t, s->width);
    evi_tally_sum(t, &sums);
    if (s->unit == EV_UNIT_FILE_BYTES)
        *out = 4.0 * (double)sums.elements + s->file_rest;
    else
        *out = s->unit == EV_UNIT_MACS ? sums.macs : (double)sums.parameters;
    return EV_OK;
}

/* ---- widths ---------------------------------------------------------------------------------- */

/* The least width allowed that is not below `kept`. */
static int32_t round_width(const evi_search *s, int32_t g, int32_t kept)
{
    int32_t n = s->p->groups.groups[g].n, step = EVI_MAX(s->p->round_to[g], 1);
    if (kept < step)
        step = EVI_MAX(step >> s->fineness, 1);
    int64_t up = evi_div_up(EVI_MAX(kept, 1), step) * step;
    return (int32_t)EVI_MIN(up, n);
}

static void find_floors(evi_search *s)
{
    for (int32_t g = 0; g < s->p->groups.n; g++) {
        int32_t n = s->p->groups.groups[g].n;
        int32_t least = n - (int32_t)floor((double)n * s->max_share + 1e-9);
        s->floor[g] =
            !evi_group_is_free(s->p, g) ? n : round_width(s, g, EVI_MAX(least, s->p->min_width[g]));
    }
}

static int32_t most_steps(const evi_search *s)
{
    return s->scope == EV_SCOPE_LOCAL ? LOCAL_STEPS : s->n_picks;
}

/* Widths when so many channels go, or each group loses step / LOCAL_STEPS of its own. */
static void set_widths(evi_search *s, int32_t step)
{
    for (int32_t g = 0; g < s->p->groups.n; g++) {
        int32_t n = s->p->groups.groups[g].n;
        s->width[g] = n;
        if (s->scope == EV_SCOPE_LOCAL && evi_group_is_free(s->p, g))
            s->width[g] -= (int32_t)((int64_t)n * step / LOCAL_STEPS);
    }
    for (int32_t i = 0; i < step && s->scope != EV_SCOPE_LOCAL; i++)
        s->width[s->picks[i].group]--;
    for (int32_t g = 0; g < s->p->groups.n; g++)
        s->width[g] = EVI_MAX(round_width(s, g, s->width[g]), s->floor[g]);
}

/* ---- giving back ----------------------------------------------------------------------------- */

/* Importance of the best channel that each group does not keep; of local searches, how much of the
 * group is gone. */
static void find_lost(evi_search *s)
{
    for (int32_t g = 0; g < s->p->groups.n; g++) {
        int32_t n = s->p->groups.groups[g].n;
        s->lost[g] = s->width[g] < n ? (double)(n - s->width[g]) / n : -1;
    }
    if (s->scope == EV_SCOPE_LOCAL)
        return;
    for (int32_t g = 0; g < s->p->groups.n; g++)
        s->lost[g] = -1;
    /* the channels of a group stand in its order: its (n - width)th is the best that went */
    memset(s->floor, 0, (size_t)s->p->groups.n * sizeof(*s->floor));
    for (int32_t i = 0; i < s->n_picks; i++) {
        int32_t g = s->picks[i].group;
        if (++s->floor[g] == s->p->groups.groups[g].n - s->width[g])
            s->lost[g] = s->picks[i].score;
    }
    find_floors(s);
}

static int32_t best_lost(const evi_search *s)
{
    int32_t best = -1;
    for (int32_t g = 0; g < s->p->groups.n; g++)
        if (s->lost[g] >= 0 && (best < 0 || s->lost[g] > s->lost[best]))
            best = g;
    return best;
}

/* One step wider where it still fits; *any_out: somewhere it did. */
static ev_status give_back_once(evi_search *s, bool *any_out)
{
    *any_out = false;
    find_lost(s);
    for (int32_t g = best_lost(s); g >= 0; g = best_lost(s)) {
        int32_t old = s->width[g];
        double value = 0;
        s->lost[g] = -1;
        s->width[g] = round_width(s, g, old + 1);
        EVI_TRY(evi_search_value(s, &value));
        if (value <= s->limit)
            *any_out = true;
        else
            s->width[g] = old;
    }
    return EV_OK;
}

/* Rounds of one step a group: as many as it takes where that is arithmetic; where each is drawn, so
 * many that about DRAWN weights are gathered. */
static ev_status give_back(evi_search *s)
{
    int32_t rounds = 10000;
    if (s->unit == EV_UNIT_MEMORY_BYTES || evi_plan_has_gone_blocks(s->plan)) {
        double weights = (double)ev_model_parameter_count(s->p->model);
        double each = EVI_MAX(weights, 1.0) * EVI_MAX(s->p->groups.n, 1);
        rounds = (int32_t)EVI_MIN(EVI_MAX(DRAWN / each, 2.0), 40.0);
    }
    bool any = true;
    for (int32_t i = 0; i < rounds && any; i++)
        EVI_TRY(give_back_once(s, &any));
    return EV_OK;
}

/* ---- the search ------------------------------------------------------------------------------ */

/* With this fineness.  EV_ERR_GOAL: not even the floor meets the limit. */
static ev_status search(evi_search *s)
{
    int32_t above = 0, at = most_steps(s); /* steps that are too few, and enough */
    double value = 0;
    find_floors(s);
    set_widths(s, 0);
    EVI_TRY(evi_search_value(s, &value));
    if (value <= s->limit)
        return EV_OK;
    set_widths(s, at);
    EVI_TRY(evi_search_value(s, &value));
    if (value > s->limit)
        return EV_ERR_GOAL;
    while (at - above > 1) {
        int32_t middle = above + (at - above) / 2;
        set_widths(s, middle);
        EVI_TRY(evi_search_value(s, &value));
        if (value <= s->limit)
            at = middle;
        else
            above = middle;
    }
    set_widths(s, at);
    return give_back(s);
}

static ev_status search_finer(evi_search *s)
{
    int32_t widest = 1;
    for (int32_t g = 0; g < s->p->groups.n; g++)
        widest = EVI_MAX(widest, s->p->round_to[g]);
    ev_status status = EV_ERR_GOAL;
    for (s->fineness = 0; s->fineness <= FINEST && status == EV_ERR_GOAL; s->fineness++) {
        status = search(s);
        if (widest >> s->fineness <= 1)
            break;
    }
    return status;
}

/* Files have headers and gaps that arithmetic does not know: what was found is drawn, and the limit
 * falls by what it is too large. */
static ev_status search_file(evi_search *s)
{
    double limit = s->limit, over = 1;
    ev_status status = EV_OK;
    for (int32_t i = 0; i < 5 && status == EV_OK && over > 0; i++) {
        double value = 0;
        status = search_finer(s);
        if (status == EV_OK)
            status = drawn_value(s, &value);
        over = value - limit;
        if (over > 0)
            s->limit -= over + 64;
    }
    s->limit = limit;
    return status == EV_OK && over > 0 ? EV_ERR_GOAL : status;
}

ev_status evi_search_widths(evi_search *s)
{
    bool file = s->unit == EV_UNIT_FILE_BYTES && !evi_plan_has_gone_blocks(s->plan);
    EVI_TRY(file ? search_file(s) : search_finer(s));
    set_plan(s);
    return EV_OK;
}

/* ---- what holds it --------------------------------------------------------------------------- */

/* The group whose width costs most at the floor: by how much less it would be with one channel. */
static int32_t find_holder(evi_search *s)
{
    int32_t holder = -1, unit = s->unit;
    double most = 0, base = 0, less = 0;
    if (unit == EV_UNIT_FILE_BYTES || unit == EV_UNIT_MEMORY_BYTES)
        s->unit = EV_UNIT_PARAMETERS;
    evi_tally *t = s->plan->tally;
    evi_sums sums;
    for (int32_t g = -1; g < s->p->groups.n; g++) {
        int32_t old = g < 0 ? 0 : s->width[g];
        if (g >= 0)
            s->width[g] = 1;
        evi_tally_set(t, s->width);
        evi_tally_sum(t, &sums);
        less = s->unit == EV_UNIT_MS     ? evi_tally_speed(t)
               : s->unit == EV_UNIT_MACS ? sums.macs
                                         : (double)sums.parameters;
        if (g < 0) {
            base = less;
            continue;
        }
        s->width[g] = old;
        if (base - less > most) {
            most = base - less;
            holder = g;
        }
    }
    s->unit = unit;
    return holder;
}

ev_status evi_search_fail(evi_search *s, double value)
{
    char goal[64];
    int32_t g = find_holder(s);
    if (s->goal.ratio > 0)
        (void)snprintf(goal, sizeof(goal), "goal.ratio %g of", s->goal.ratio);
    else
        (void)snprintf(goal, sizeof(goal), "goal.amount %.9g", s->goal.amount);
    const char *unit = evi_unit_name(s->goal.unit);
    if (g < 0)
        return evi_fail(EV_ERR_GOAL, "%s: %s %s cannot be reached: %.9g at the least", s->function,
                        goal, unit, value);
    const char *layer = NULL, *why = evi_group_why(s->p, g, &layer);
    int32_t n = s->p->groups.groups[g].n;
    if (why != NULL)
        return evi_fail(EV_ERR_GOAL,
                        "%s: %s %s cannot be reached: %.9g at the least; most is held by the %d "
                        "channels of '%s': '%s': %s",
                        s->function, goal, unit, value, (int)n, evi_group_layer(s->p, g), layer,
                        why);
    bool by_share = s->floor[g] > s->p->min_width[g];
    return evi_fail(EV_ERR_GOAL,
                    "%s: %s %s cannot be reached: %.9g at the least; most is held by '%s', which "
                    "keeps %d of %d channels (%s)",
                    s->function, goal, unit, value, layer, (int)s->width[g], (int)n,
                    by_share ? "max_share" : "min_width");
}
