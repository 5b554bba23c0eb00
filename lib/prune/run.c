/* SPDX-License-Identifier: MIT */
/* Pruning all in one: checks before anything is done, the track, its controls, the report. */
#include "prune/run.h"

#include <math.h>
#include <string.h>

/* ---- checks before the work ------------------------------------------------------------------ */

static ev_status check_classes(ev_model *model, ev_dataset *set, const char *which)
{
    int64_t input[3];
    int32_t n = 0;
    EVI_TRY(evi_classifier_shape(model, "ev_prune_run", input, &n));
    if (ev_dataset_classes(set) > n)
        return evi_fail(EV_ERR_SHAPE,
                        "ev_prune_run: the %s set has %d classes, output '%s' of the "
                        "model has %d",
                        which, (int)ev_dataset_classes(set), model->outputs[0].name, (int)n);
    if (ev_dataset_size(set) == 0)
        return evi_fail(EV_ERR_ARGUMENT, "ev_prune_run: the %s set is empty", which);
    return EV_OK;
}

/* Whether it can be trained at all: the trainer knows best, and tells before it takes memory. */
static ev_status check_training(const evi_prune_job *job, ev_model *model)
{
    ev_memory memory;
    EV_OPTIONS_INIT(&memory);
    if (evi_count_losses(model) > 0)
        return evi_fail(EV_ERR_SHAPE, "ev_prune_run: the model has losses of its own; a classifier "
                                      "without them is needed");
    ev_status status = ev_trainer_memory(job->ctx, model, 1, &job->t, &memory);
    return status == EV_OK ? EV_OK : evi_fail_in(status, "ev_prune_run");
}

static ev_status begin(evi_prune_job *job, ev_model *model, const ev_prune_options *opt)
{
    EVI_TRY(evi_prune_options(job, opt));
    EVI_TRY(check_classes(model, job->train, "training"));
    EVI_TRY(check_classes(model, job->valid, "validation"));
    EVI_TRY(check_training(job, model));
    EVI_TRY(ev_model_clone(model, &job->model));
    return evi_prune_options_text(job);
}

/* ---- the whole model ------------------------------------------------------------------------- */

/* The counts of a model: what a plan that keeps everything starts from. */
static ev_status count(const evi_prune_job *job, ev_model *model, ev_prune_counts *out)
{
    ev_pruner *p = NULL;
    ev_prune_plan *plan = NULL;
    EV_OPTIONS_INIT(out);
    EVI_TRY(ev_pruner_create(job->ctx, model, job->o.pruner, &p));
    ev_status status = evi_plan_keep_all(p, &plan);
    if (status == EV_OK)
        status = ev_prune_plan_counts(plan, 0, job->o.n_threads, out);
    ev_prune_plan_destroy(plan);
    ev_pruner_destroy(p);
    return status;
}

static double in_unit(const ev_prune_counts *c, int32_t unit, double ms)
{
    switch (unit) {
    case EV_UNIT_PARAMETERS: return (double)c->parameters[0];
    case EV_UNIT_FILE_BYTES: return (double)c->file_bytes[0];
    case EV_UNIT_MEMORY_BYTES: return (double)c->memory_bytes[0];
    case EV_UNIT_CHANNELS: return (double)c->channels[0];
    case EV_UNIT_MS: return ms;
    default: return c->macs[0];
    }
}

ev_status evi_prune_model_share(const evi_prune_job *job, ev_model *model, double *out)
{
    ev_prune_counts c;
    *out = (double)NAN;
    if (job->o.goal.unit == EV_UNIT_MS)
        return EV_OK;
    EVI_TRY(count(job, model, &c));
    *out = in_unit(&c, job->o.goal.unit, (double)NAN) / job->amount;
    return EV_OK;
}

/* Something has to be able to go; if not, the first reason is told. */
static ev_status check_can_shrink(const evi_prune_job *job, const ev_pruner *p)
{
    const char *layer = NULL, *why = "it has no layer with weights whose channels others read";
    if (job->o.depth > 0 && p->blocks.n > 0)
        return EV_OK;
    for (int32_t g = 0; g < p->groups.n && job->o.depth < 2; g++) {
        ev_prune_group now;
        EV_OPTIONS_INIT(&now);
        EVI_TRY(ev_pruner_group(p, g, &now));
        if (now.blocked == NULL && now.min_width < now.n_channels)
            return EV_OK;
        if (layer == NULL) {
            layer = now.layer;
            why = now.blocked != NULL ? now.blocked : "all its channels are to be kept";
        }
    }
    if (layer == NULL)
        return evi_fail(EV_ERR_GOAL, "ev_prune_run: nothing of this model can go: %s",
                        job->o.depth == 2 ? "it has no block that can be left out" : why);
    return evi_fail(EV_ERR_GOAL, "ev_prune_run: nothing of this model can go: layer '%s': %s",
                    layer, why);
}

/* Nine tenths of each group may go in the whole run. */
static ev_status remember_widths(evi_prune_job *job, const ev_pruner *p)
{
    uint64_t n = (uint64_t)p->groups.n;
    EVI_TRY(evi_calloc(job->ctx, n, sizeof(char *), &job->layers));
    EVI_TRY(evi_calloc(job->ctx, n, sizeof(int32_t), &job->least));
    job->n_groups = p->groups.n;
    for (int32_t g = 0; g < p->groups.n; g++) {
        ev_prune_group now;
        EV_OPTIONS_INIT(&now);
        EVI_TRY(ev_pruner_group(p, g, &now));
        EVI_TRY(evi_strdup(job->ctx, now.layer, &job->layers[g]));
        job->least[g] =
            now.n_channels - (int32_t)floor((double)now.n_channels * job->o.max_share + 1e-9);
    }
    return EV_OK;
}

/* The goal is tried on scores by weight alone, so that one out of reach costs no training. */
static ev_status try_goal(evi_prune_job *job, ev_pruner *p)
{
    ev_prune_plan_options o;
    ev_score_options s;
    ev_prune_plan *plan = NULL;
    if (!job->has_goal || job->target >= 1 || job->resumed)
        return EV_OK;
    EV_OPTIONS_INIT(&o);
    EV_OPTIONS_INIT(&s);
    o.scope = job->o.scope;
    o.depth = job->o.depth;
    o.n_threads = job->o.n_threads;
    o.max_share = job->o.max_share;
    o.goal.unit = job->o.goal.unit;
    o.goal.amount = job->target * job->amount;
    s.criterion = EV_CRITERION_L2;
    EVI_TRY(ev_pruner_score(p, &s));
    for (int32_t b = 0; b < p->blocks.n; b++)
        p->block_scores[b] = 1;
    ev_status status = ev_pruner_plan(p, &o, &plan);
    ev_prune_plan_destroy(plan);
    return status == EV_OK ? EV_OK : evi_fail_in(status, "ev_prune_run");
}

static ev_status survey_with(evi_prune_job *job, ev_pruner *p)
{
    const ev_prune_goal *g = &job->o.goal;
    double ms[2], spread[2];
    EVI_TRY(check_can_shrink(job, p));
    EVI_TRY(remember_widths(job, p));
    EVI_TRY(count(job, job->model, &job->counts));
    if (evi_prune_wants_time(job) && isnan(job->ms)) {
        EVI_TRY(
            evi_measure_pair(job->ctx, job->model, job->model, job->o.n_threads, 0.5, ms, spread));
        job->ms = EVI_MIN(ms[0], ms[1]);
    }
    job->amount = in_unit(&job->counts, g->unit, job->ms);
    if (job->has_goal)
        job->target = EVI_MIN(g->ratio != 0 ? g->ratio : g->amount / job->amount, 1.0);
    return try_goal(job, p);
}

static ev_status survey(evi_prune_job *job)
{
    ev_pruner *p = NULL;
    EVI_TRY(ev_pruner_create(job->ctx, job->model, job->o.pruner, &p));
    ev_status status = survey_with(job, p);
    ev_pruner_destroy(p);
    return status;
}

/* ---- the end --------------------------------------------------------------------------------- */

static ev_status final_counts(const evi_prune_track *t, ev_prune_counts *c)
{
    evi_prune_job *job = t->job;
    ev_prune_counts after;
    EVI_TRY(count(job, t->good, &after));
    *c = job->counts;
    c->parameters[1] = after.parameters[0];
    c->macs[1] = after.macs[0];
    c->file_bytes[1] = after.file_bytes[0];
    c->memory_bytes[1] = after.memory_bytes[0];
    c->channels[1] = after.channels[0];
    c->n_blocks_gone = 0;
    for (int32_t i = 0; i < t->n_levels; i++)
        for (int64_t b = 0; b < t->levels[i].n_blocks; b++)
            c->n_blocks_gone += t->levels[i].keep_block[b] == 0;
    for (int32_t i = 0; i < 2; i++)
        c->ms_predicted[i] = c->ms_measured[i] = c->ms_spread[i] = (double)NAN;
    if (!evi_prune_wants_time(job))
        return EV_OK;
    return evi_measure_pair(job->ctx, job->model, t->good, job->o.n_threads, 2.0, c->ms_measured,
                            c->ms_spread);
}

static ev_status finish(evi_prune_track *t, ev_model **out, ev_prune_report **report)
{
    evi_prune_job *job = t->job;
    ev_prune_counts counts;
    if (t->why == EV_OK && t->n_levels == 0 && !job->has_goal) {
        t->why = EV_ERR_GOAL;
        memcpy(t->reason, "no step stayed above the accuracy floor", 40);
    }
    EVI_TRY(final_counts(t, &counts));
    EVI_TRY(evi_prune_report_make(t, &counts, report));
    EVI_TRY(evi_prune_report_save(job, *report));
    if (t->why == EV_OK || t->n_levels > 0)
        *out = ev_model_ref(t->good);
    return EV_OK;
}

static ev_status whole_run(evi_prune_track *t, ev_model *model, const ev_prune_options *opt,
                           ev_model **out, ev_prune_report **report)
{
    evi_prune_job *job = t->job;
    char *scratch = NULL, *random = NULL;
    EVI_TRY(begin(job, model, opt));
    t->good = ev_model_ref(job->model);
    t->criterion = job->o.criterion;
    EVI_TRY(evi_prune_state_load(t));
    job->resumed = t->n_records > 0;
    EVI_TRY(survey(job));
    ev_status status = evi_prune_path(job, "scratch", "train.safetensors", &scratch);
    if (status == EV_OK)
        status = evi_prune_path(job, "random", NULL, &random);
    if (status == EV_OK && !job->resumed) { /* of a run before this one */
        evi_prune_file_remove(job->ctx, scratch);
        evi_prune_file_remove(job->ctx, random);
    }
    evi_free(scratch);
    evi_free(random);
    EVI_TRY(status);
    EVI_TRY(evi_prune_track_run(t));
    EVI_TRY(evi_prune_controls(t));
    return finish(t, out, report);
}

static void end_job(evi_prune_job *job)
{
    for (int32_t i = 0; i < job->n_groups; i++)
        evi_free(job->layers[i]);
    evi_free(job->layers);
    evi_free(job->least);
    evi_free(job->options_text);
    ev_model_destroy(job->model);
}

ev_status ev_prune_run(ev_context *ctx, ev_model *model, ev_dataset *train, ev_dataset *valid,
                       const ev_prune_options *opt, ev_model **out, ev_prune_report **report)
{
    ev_prune_report *made = NULL;
    if (report != NULL)
        *report = NULL;
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_CHECK_HANDLE(train, EVI_MAGIC_DATASET);
    EVI_CHECK_HANDLE(valid, EVI_MAGIC_DATASET);
    EVI_CHECK_POINTER(opt);
    evi_prune_job job = {.ctx = ctx,
                         .train = train,
                         .valid = valid,
                         .floor = (double)NAN,
                         .ms = (double)NAN,
                         .accuracy_scratch = (double)NAN,
                         .accuracy_random = (double)NAN};
    evi_prune_track track = {.job = &job, .name = "state", .floor = (double)NAN};
    ev_status status = whole_run(&track, model, opt, out, &made);
    if (status == EV_OK && track.why != EV_OK)
        status = evi_fail(track.why, "ev_prune_run: %s", track.reason);
    evi_prune_track_end(&track);
    end_job(&job);
    if (report != NULL && (status == EV_OK || status == EV_ERR_GOAL))
        *report = made;
    else
        ev_prune_report_destroy(made);
    return status;
}
