/* SPDX-License-Identifier: MIT */
/* What a track does next, by what it has done.
 *
 * With a goal: n steps, whose shares the schedule gives.  Without one: four fifths of what there
 * is, again and again, until a step falls below the accuracy floor; then twice half way (on a
 * logarithmic scale) between the last good share and the least bad one; at last the long
 * fine-tuning of what was kept.  A control repeats the kept steps of the track beside it. */
#include "prune/run.h"

#include <math.h>

#define PI 3.14159265358979323846

enum { MOST_STEPS = 40, BISECTIONS = 2 };
static const double factor = 0.8;

/* ---- shares ---------------------------------------------------------------------------------- */

double evi_prune_share(const ev_prune_options *o, int32_t step, int32_t n, double goal)
{
    double x = (double)step / (double)n, rest = 1 - x, done = x;
    switch (o->schedule) {
    case EV_PRUNE_SCHEDULE_ONE_SHOT: done = 1; break;
    case EV_PRUNE_SCHEDULE_LINEAR: break;
    case EV_PRUNE_SCHEDULE_COSINE: done = (1 - cos(PI * x)) / 2; break;
    case EV_PRUNE_SCHEDULE_CALLBACK: return o->schedule_fn(o->user, step, n, goal);
    default: done = 1 - rest * rest * rest; break;
    }
    return step >= n ? goal : 1 - (1 - goal) * done;
}

/* ---- with a goal ----------------------------------------------------------------------------- */

static bool next_by_goal(const evi_prune_track *t, evi_prune_record *out)
{
    const ev_prune_options *o = &t->job->o;
    int32_t index = t->n_records, n = o->n_steps;
    if (!t->records[index - 1].step.kept || index > n)
        return false;
    out->step.goal = evi_prune_share(o, index, n, t->job->target);
    out->step.n_steps = n;
    out->epochs = index == n ? o->final_epochs : o->step_epochs;
    return true;
}

/* ---- as small as the floor allows ------------------------------------------------------------ */

/* The last share that was kept, the largest that was not (0: none), and how many came after the
 * first of these. */
static int32_t search_state(const evi_prune_track *t, double *good, double *bad)
{
    int32_t after = 0;
    *good = 1;
    *bad = 0;
    for (int32_t i = 1; i < t->n_records; i++) {
        const ev_prune_step *s = &t->records[i].step;
        after += *bad > 0;
        double share = t->records[i].share;
        if (s->kept) /* several aims may lead to one model, below all of them */
            *good = share < s->goal ? share : s->goal;
        else if (s->goal > *bad)
            *bad = s->goal;
    }
    return after;
}

static bool next_by_floor(const evi_prune_track *t, evi_prune_record *out)
{
    const ev_prune_options *o = &t->job->o;
    double good = 1, bad = 0;
    int32_t most = o->n_steps > 0 ? o->n_steps : MOST_STEPS;
    int32_t bisected = search_state(t, &good, &bad);
    if (t->records[t->n_records - 1].tune_only)
        return false;
    out->step.n_steps = most;
    out->epochs = o->step_epochs;
    out->step.goal = bad > 0 ? sqrt(good * bad) : good * factor;
    if (bad > 0 ? bisected < BISECTIONS : t->n_records <= most)
        return true;
    out->step.goal = good;
    out->epochs = o->final_epochs;
    out->tune_only = 1;
    return t->n_levels > 0 && o->final_epochs > 0;
}

/* ---- as another track did -------------------------------------------------------------------- */

static bool next_by_script(const evi_prune_track *t, evi_prune_record *out)
{
    int32_t wanted = t->n_records, seen = 0;
    for (int32_t i = 1; i < t->n_script; i++) {
        const evi_prune_record *r = &t->script[i];
        if (!r->step.kept || ++seen != wanted)
            continue;
        out->step.goal = r->step.goal;
        out->step.n_steps = r->step.n_steps;
        out->epochs = r->epochs;
        out->tune_only = r->tune_only;
        return true;
    }
    return false;
}

bool evi_prune_next(const evi_prune_track *t, evi_prune_record *out)
{
    *out = (evi_prune_record){.step = {.struct_size = (uint32_t)sizeof(ev_prune_step),
                                       .index = t->n_records,
                                       .ms = (double)NAN,
                                       .accuracy = (double)NAN,
                                       .accuracy_pruned = (double)NAN}};
    if (t->why != EV_OK)
        return false;
    if (t->script != NULL)
        return next_by_script(t, out);
    return t->job->has_goal ? next_by_goal(t, out) : next_by_floor(t, out);
}
