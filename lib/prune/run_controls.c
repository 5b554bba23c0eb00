/* SPDX-License-Identifier: MIT */
/* What pruning has to be better than: the same small architecture trained from random weights for
 * as many epochs as fine-tuning had (Liu et al. 2019: often as good), and channels taken by chance
 * (Mittal et al. 2018: often as good), with the same steps, epochs and seeds. */
#include "prune/run.h"

#include <math.h>

/* ---- from random weights --------------------------------------------------------------------- */

static ev_status draw_anew(ev_model *model, uint64_t seed)
{
    evi_store **stores = NULL;
    int32_t n = 0;
    EVI_TRY(evi_model_stores(model, &stores, &n));
    ev_status status = EV_OK;
    for (int32_t i = 0; i < n && status == EV_OK; i++)
        status = evi_store_init(stores[i], seed + (uint64_t)i);
    evi_free(stores);
    return status;
}

static ev_status train_scratch(evi_prune_track *main_track, ev_model *model, const char *path,
                               int32_t epochs)
{
    evi_prune_job *job = main_track->job;
    int32_t done = 0;
    EVI_TRY(draw_anew(model, job->o.seed));
    EVI_TRY(evi_prune_tune(job, model, NULL, evi_prune_scratch_rate(job), epochs, 0, path, true,
                           &done));
    EVI_TRY(evi_prune_accuracy(job, model, &job->accuracy_scratch));
    job->scratch_epochs = done;
    job->controls_done |= EVI_DONE_SCRATCH;
    evi_log(job->ctx, EV_LOG_INFO, "pruning: accuracy %.4f from random weights after %d epochs",
            job->accuracy_scratch, (int)done);
    EVI_TRY(evi_prune_state_save(main_track));
    evi_prune_file_remove(job->ctx, path);
    return EV_OK;
}

static ev_status scratch(evi_prune_track *main_track)
{
    evi_prune_job *job = main_track->job;
    ev_model *model = NULL;
    char *path = NULL;
    int32_t epochs = 0;
    for (int32_t i = 1; i < main_track->n_records; i++)
        epochs += main_track->records[i].step.kept ? main_track->records[i].epochs : 0;
    if (epochs == 0)
        return EV_OK; /* nothing to compare with */
    EVI_TRY(evi_prune_path(job, "scratch", "train.safetensors", &path));
    ev_status status = ev_model_clone(main_track->good, &model);
    if (status == EV_OK)
        status = train_scratch(main_track, model, path, epochs);
    ev_model_destroy(model);
    evi_free(path);
    return status;
}

/* ---- by chance ------------------------------------------------------------------------------- */

static ev_status run_random(evi_prune_track *main_track, evi_prune_track *t)
{
    evi_prune_job *job = main_track->job;
    char *path = NULL;
    EVI_TRY(evi_prune_state_load(t));
    EVI_TRY(evi_prune_track_run(t));
    if (t->why == EV_OK)
        job->accuracy_random = t->records[t->n_records - 1].step.accuracy;
    else
        evi_log(job->ctx, EV_LOG_WARNING, "pruning by chance: %s", t->reason);
    job->controls_done |= EVI_DONE_RANDOM;
    EVI_TRY(evi_prune_state_save(main_track));
    EVI_TRY(evi_prune_path(job, t->name, NULL, &path));
    evi_prune_file_remove(job->ctx, path);
    evi_free(path);
    return EV_OK;
}

static ev_status by_chance(evi_prune_track *main_track)
{
    evi_prune_track t = {
        .job = main_track->job,
        .name = "random",
        .criterion = EV_CRITERION_RANDOM,
        .floor = (double)NAN,
        .script = main_track->records,
        .n_script = main_track->n_records,
        .good = ev_model_ref(main_track->job->model),
    };
    ev_status status = run_random(main_track, &t);
    evi_prune_track_end(&t);
    return status;
}

ev_status evi_prune_controls(evi_prune_track *main_track)
{
    const evi_prune_job *job = main_track->job;
    if (job->o.no_controls != 0 || main_track->n_levels == 0)
        return EV_OK;
    if (!(job->controls_done & EVI_DONE_SCRATCH))
        EVI_TRY(scratch(main_track));
    if (!(job->controls_done & EVI_DONE_RANDOM))
        EVI_TRY(by_chance(main_track));
    return EV_OK;
}
