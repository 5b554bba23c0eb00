/* SPDX-License-Identifier: MIT */
/* The steps of a track: prune, estimate norms anew, fine-tune, judge; again.
 *
 * State is written twice in a step: when the pruned model stands, and when the step is judged.
 * Between the two the trainer writes checkpoints. */
#include "prune/run.h"

#include "base/rng.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- levels ---------------------------------------------------------------------------------- */

ev_status evi_prune_level_new(ev_context *ctx, int64_t n, int64_t n_blocks, evi_prune_level *out)
{
    *out = (evi_prune_level){.n = n, .n_blocks = n_blocks};
    EVI_TRY(evi_calloc(ctx, (uint64_t)n, sizeof(int64_t), &out->keep));
    ev_status status = evi_calloc(ctx, (uint64_t)n_blocks, sizeof(int64_t), &out->keep_block);
    if (status != EV_OK)
        evi_prune_level_end(out);
    return status;
}

void evi_prune_level_end(evi_prune_level *level)
{
    evi_free(level->keep);
    evi_free(level->keep_block);
    *level = (evi_prune_level){0};
}

ev_status evi_prune_level_slots(evi_prune_track *t, int32_t n)
{
    if (n <= t->level_slots)
        return EV_OK;
    EVI_TRY(evi_realloc(t->job->ctx, (uint64_t)n, sizeof(evi_prune_level), &t->levels));
    t->level_slots = n;
    return EV_OK;
}

static int64_t count_channels(const evi_groups *g)
{
    int64_t n = 0;
    for (int32_t i = 0; i < g->n; i++)
        n += g->groups[i].n;
    return n;
}

static ev_status level_of_plan(ev_context *ctx, const ev_prune_plan *plan, evi_prune_level *out)
{
    const ev_pruner *p = plan->pruner;
    int64_t at = 0;
    EVI_TRY(evi_prune_level_new(ctx, count_channels(&p->groups), p->blocks.n, out));
    for (int32_t g = 0; g < p->groups.n; g++)
        for (int32_t c = 0; c < p->groups.groups[g].n; c++)
            out->keep[at++] = plan->keep[g][c];
    for (int32_t b = 0; b < p->blocks.n; b++)
        out->keep_block[b] = plan->keep_block[b];
    return EV_OK;
}

/* The other way: keep_out is one block, pointers to the groups' parts first. */
static ev_status masks_of_level(const ev_pruner *p, const evi_prune_level *level,
                                uint8_t ***keep_out, uint8_t **keep_block_out)
{
    ev_context *ctx = p->handle.ctx;
    uint64_t pointers = (uint64_t)p->groups.n * sizeof(uint8_t *);
    char *block = NULL;
    if (level->n != count_channels(&p->groups) || level->n_blocks != p->blocks.n)
        return evi_fail(EV_ERR_FORMAT, "ev_prune_run: the folder's state is of another model");
    EVI_TRY(evi_calloc(ctx, pointers + (uint64_t)level->n, 1, &block));
    ev_status status = evi_calloc(ctx, (uint64_t)level->n_blocks, 1, keep_block_out);
    if (status != EV_OK) {
        evi_free(block);
        return status;
    }
    *keep_out = (uint8_t **)(void *)block;
    uint8_t *at = (uint8_t *)block + pointers;
    const int64_t *from = level->keep;
    for (int32_t g = 0; g < p->groups.n; g++) {
        (*keep_out)[g] = at;
        for (int32_t c = 0; c < p->groups.groups[g].n; c++)
            *at++ = *from++ != 0;
    }
    for (int64_t b = 0; b < level->n_blocks; b++)
        (*keep_block_out)[b] = level->keep_block[b] != 0;
    return EV_OK;
}

ev_status evi_prune_level_apply(const evi_prune_job *job, const evi_prune_level *level,
                                int32_t number, ev_model *from, ev_model **out)
{
    ev_pruner *p = NULL;
    uint8_t **keep = NULL, *keep_block = NULL;
    EVI_TRY(ev_pruner_create(job->ctx, from, job->o.pruner, &p));
    ev_status status = masks_of_level(p, level, &keep, &keep_block);
    if (status == EV_OK)
        status = evi_prune_apply(p, keep, keep_block, job->o.seed + (uint64_t)number, out);
    evi_free(keep);
    evi_free(keep_block);
    ev_pruner_destroy(p);
    return status;
}

/* ---- pruning --------------------------------------------------------------------------------- */

/* Nine tenths of a group may go in all, not in each step. */
static void hold_to_least(const evi_prune_job *job, ev_pruner *p)
{
    for (int32_t g = 0; g < p->groups.n; g++) {
        ev_prune_group now;
        EV_OPTIONS_INIT(&now);
        if (ev_pruner_group(p, g, &now) != EV_OK || now.layer == NULL)
            continue;
        for (int32_t i = 0; i < job->n_groups; i++)
            if (strcmp(job->layers[i], now.layer) == 0)
                p->min_width[g] =
                    EVI_MIN(EVI_MAX(p->min_width[g], job->least[i]), p->groups.groups[g].n);
    }
}

static ev_status score(const evi_prune_track *t, ev_pruner *p)
{
    const ev_prune_options *o = &t->job->o;
    ev_score_options s;
    EV_OPTIONS_INIT(&s);
    s.criterion = t->criterion;
    s.data = t->job->train;
    s.n_images = o->n_images;
    s.batch_size = t->job->t.batch_size;
    s.seed = o->seed + (uint64_t)t->n_records;
    EVI_TRY(ev_pruner_score(p, &s));
    if (o->depth == 0 || p->blocks.n == 0)
        return EV_OK;
    if (t->criterion != EV_CRITERION_RANDOM || t->script == NULL)
        return ev_pruner_score_blocks(p, o->block_score, &s);
    const evi_rng chance = {s.seed, 0x626c6f636b73u};
    for (int32_t b = 0; b < p->blocks.n; b++)
        p->block_scores[b] = evi_rng_uniform(chance, (uint64_t)b);
    return EV_OK;
}

static ev_status plan_step(evi_prune_track *t, ev_pruner *p, ev_prune_plan **out)
{
    const evi_prune_job *job = t->job;
    ev_prune_plan_options o;
    double goal = t->pending.step.goal;
    if (!(goal > 0 && goal <= 1))
        return evi_fail(EV_ERR_ARGUMENT, "ev_prune_run: schedule_fn gave %g for step %d, not 0..1",
                        goal, (int)t->pending.step.index);
    EV_OPTIONS_INIT(&o);
    o.scope = job->o.scope;
    o.depth = job->o.depth;
    o.n_threads = job->o.n_threads;
    o.max_share = job->o.max_share;
    o.goal.unit = job->o.goal.unit;
    o.goal.amount = goal * job->amount;
    hold_to_least(job, p);
    EVI_TRY(score(t, p));
    return ev_pruner_plan(p, &o, out);
}

/* The candidate by a new level behind the others. */
static ev_status prune(evi_prune_track *t)
{
    evi_prune_job *job = t->job;
    ev_pruner *p = NULL;
    ev_prune_plan *plan = NULL;
    EVI_TRY(evi_prune_level_slots(t, t->n_levels + 1));
    evi_prune_level *level = &t->levels[t->n_levels];
    evi_prune_level_end(level);
    EVI_TRY(ev_pruner_create(job->ctx, t->good, job->o.pruner, &p));
    ev_status status = plan_step(t, p, &plan);
    if (status == EV_OK)
        status = level_of_plan(job->ctx, plan, level);
    if (status == EV_OK)
        status = ev_prune_plan_apply(plan, job->o.seed + (uint64_t)t->n_levels, &t->candidate);
    ev_prune_plan_destroy(plan);
    ev_pruner_destroy(p);
    return status;
}

static void drop_candidate(evi_prune_track *t)
{
    ev_model_destroy(t->candidate);
    t->candidate = NULL;
    t->resumed = false;
}

static ev_status begin_step(evi_prune_track *t)
{
    evi_prune_job *job = t->job;
    evi_prune_record *r = &t->pending;
    double start = evi_seconds();
    if (r->tune_only)
        EVI_TRY(ev_model_clone(t->good, &t->candidate));
    else
        EVI_TRY(prune(t));
    ev_status status = EV_OK;
    if (!r->tune_only)
        status = evi_prune_norms(job->ctx, t->candidate, job->train, &job->t, job->o.norm_batches);
    if (status == EV_OK)
        status = evi_prune_accuracy(job, t->candidate, &r->step.accuracy_pruned);
    if (status == EV_OK)
        status = evi_prune_model_share(job, t->candidate, &r->share);
    r->step.parameters = ev_model_parameter_count(t->candidate);
    r->step.macs = (double)ev_model_macs(t->candidate);
    r->step.seconds = evi_seconds() - start;
    if (status != EV_OK)
        drop_candidate(t);
    return status;
}

/* ---- fine-tuning and judgement --------------------------------------------------------------- */

static ev_status tune_step(evi_prune_track *t, const char *path)
{
    evi_prune_job *job = t->job;
    evi_prune_record *r = &t->pending;
    double start = evi_seconds(), ms[2], spread[2];
    int32_t done = 0;
    EVI_TRY(evi_prune_tune(job, t->candidate, job->model, (double)job->t.learning_rate, r->epochs,
                           (uint64_t)r->step.index, path, t->resumed, &done));
    r->epochs = done;
    EVI_TRY(evi_prune_accuracy(job, t->candidate, &r->step.accuracy));
    if (evi_prune_wants_time(job) && t->script == NULL) {
        EVI_TRY(evi_measure_pair(job->ctx, job->model, t->candidate, job->o.n_threads, 0.5, ms,
                                 spread));
        r->step.ms = ms[1];
    }
    r->step.seconds += evi_seconds() - start;
    return EV_OK;
}

static ev_status add_record(evi_prune_track *t, const evi_prune_record *r)
{
    EVI_TRY(evi_realloc(t->job->ctx, (uint64_t)t->n_records + 1, sizeof(*r), &t->records));
    t->records[t->n_records++] = *r;
    return EV_OK;
}

static ev_status judge(evi_prune_track *t)
{
    ev_prune_step *s = &t->pending.step;
    s->kept = isnan(t->floor) || s->accuracy >= t->floor - 1e-9;
    EVI_TRY(add_record(t, &t->pending));
    if (s->kept) {
        ev_model_destroy(t->good);
        t->good = t->candidate;
        t->candidate = NULL;
        t->n_levels += t->pending.tune_only == 0;
        t->resumed = false;
    } else {
        drop_candidate(t);
    }
    return EV_OK;
}

static ev_status tell(const evi_prune_track *t)
{
    const evi_prune_job *job = t->job;
    const ev_prune_step s = t->records[t->n_records - 1].step;
    evi_log(job->ctx, EV_LOG_INFO,
            "pruning%s: step %d of %d, %.3f of the model aimed at: %lld parameters, accuracy %.4f, "
            "%.4f after fine-tuning%s",
            t->script != NULL ? " by chance" : "", (int)s.index, (int)s.n_steps, s.goal,
            (long long)s.parameters, s.accuracy_pruned, s.accuracy,
            s.kept ? "" : "; below the floor, taken back");
    if (t->script == NULL && job->o.on_step != NULL && job->o.on_step(job->o.user, &s) != 0)
        return evi_fail(EV_ERR_CANCELLED, "ev_prune_run: on_step asked to stop after step %d",
                        (int)s.index);
    return EV_OK;
}

static ev_status save_model(const evi_prune_track *t)
{
    char *path = NULL;
    if (t->script != NULL)
        return EV_OK;
    EVI_TRY(evi_prune_path(t->job, NULL, "model.onnx", &path));
    ev_status status = path != NULL && t->n_levels > 0 ? ev_model_save(t->good, path) : EV_OK;
    evi_free(path);
    return status;
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* A share that cannot be reached: the end of the track, or, in the search for the smallest model
 * above the floor, as good as a step below it. */
static ev_status cannot(evi_prune_track *t)
{
    if (t->job->has_goal || t->script != NULL) {
        snprintf(t->reason, sizeof(t->reason), "step %d: %s", (int)t->pending.step.index,
                 ev_last_error());
        t->why = EV_ERR_GOAL;
        return EV_OK;
    }
    t->pending.epochs = 0;
    t->pending.step.kept = 0;
    EVI_TRY(add_record(t, &t->pending));
    return evi_prune_state_save(t);
}

static ev_status finish_step(evi_prune_track *t, const char *path)
{
    EVI_TRY(tune_step(t, path));
    EVI_TRY(judge(t));
    EVI_TRY(evi_prune_state_save(t));
    evi_prune_file_remove(t->job->ctx, path);
    EVI_TRY(save_model(t));
    return tell(t);
}

static ev_status one_step(evi_prune_track *t)
{
    char what[48], *path = NULL;
    snprintf(what, sizeof(what), "step%d.safetensors", (int)t->pending.step.index);
    EVI_TRY(evi_prune_path(t->job, t->name, what, &path));
    ev_status status = EV_OK;
    if (t->candidate == NULL) {
        status = begin_step(t);
        if (status == EV_OK) {
            evi_prune_file_remove(t->job->ctx, path); /* of a run before this one */
            status = evi_prune_state_save(t);
        }
    }
    if (status == EV_OK)
        status = finish_step(t, path);
    else if (status == EV_ERR_GOAL && t->candidate == NULL)
        status = cannot(t);
    evi_free(path);
    return status;
}

static void explain_end(evi_prune_track *t)
{
    const ev_prune_step *last = &t->records[t->n_records - 1].step;
    if (t->why != EV_OK || !t->job->has_goal || t->script != NULL || last->kept)
        return;
    t->why = EV_ERR_GOAL;
    snprintf(t->reason, sizeof(t->reason),
             "step %d came to an accuracy of %.4f, below the floor of %.4f, and was taken back",
             (int)last->index, last->accuracy, t->floor);
}

static ev_status first_record(evi_prune_track *t)
{
    const evi_prune_job *job = t->job;
    evi_prune_record r = {.share = 1,
                          .step = {.struct_size = (uint32_t)sizeof(ev_prune_step),
                                   .n_steps = job->o.n_steps,
                                   .kept = 1,
                                   .goal = 1,
                                   .parameters = ev_model_parameter_count(job->model),
                                   .macs = (double)ev_model_macs(job->model),
                                   .ms = evi_prune_wants_time(job) ? job->ms : (double)NAN}};
    double start = evi_seconds();
    EVI_TRY(evi_prune_accuracy(job, job->model, &r.step.accuracy));
    r.step.accuracy_pruned = r.step.accuracy;
    r.step.seconds = evi_seconds() - start;
    return add_record(t, &r);
}

ev_status evi_prune_track_run(evi_prune_track *t)
{
    if (t->good == NULL)
        t->good = ev_model_ref(t->job->model);
    if (t->n_records == 0 && t->script == NULL) {
        EVI_TRY(first_record(t));
        EVI_TRY(tell(t));
    } else if (t->n_records == 0) {
        EVI_TRY(add_record(t, &t->script[0]));
    }
    if (t->script == NULL && t->job->o.accuracy_floor != 0)
        t->floor = t->job->o.accuracy_floor > 0
                       ? t->job->o.accuracy_floor
                       : t->records[0].step.accuracy + t->job->o.accuracy_floor;
    t->job->floor = t->script == NULL ? t->floor : t->job->floor;
    while (t->candidate != NULL || evi_prune_next(t, &t->pending))
        EVI_TRY(one_step(t));
    explain_end(t);
    return EV_OK;
}

void evi_prune_track_end(evi_prune_track *t)
{
    ev_model_destroy(t->good);
    ev_model_destroy(t->candidate);
    for (int32_t i = 0; i < t->level_slots; i++)
        evi_prune_level_end(&t->levels[i]);
    evi_free(t->levels);
    evi_free(t->records);
}
