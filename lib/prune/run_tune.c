/* SPDX-License-Identifier: MIT */
/* Fine-tuning by the ordinary trainer, and accuracy. */
#include "prune/run.h"

#include <math.h>

ev_status evi_prune_accuracy(const evi_prune_job *job, ev_model *model, double *out)
{
    ev_evaluate_options e;
    ev_metrics *metrics = NULL;
    EV_OPTIONS_INIT(&e);
    e.batch_size = job->t.batch_size;
    e.precise = job->t.precise;
    e.skip_unreadable = job->t.skip_unreadable;
    e.loader_threads = job->t.loader_threads;
    e.decode = job->t.decode;
    e.no_items = 1;
    EVI_TRY(ev_evaluate(job->ctx, model, job->valid, &e, &metrics));
    *out = ev_metrics_accuracy(metrics);
    ev_metrics_destroy(metrics);
    if (isnan(*out))
        return evi_fail(EV_ERR_ARGUMENT, "ev_prune_run: none of the validation pictures could be "
                                         "read");
    return EV_OK;
}

/* A model from random weights needs the rate that is made for it, or more if the caller says so. */
double evi_prune_scratch_rate(const evi_prune_job *job)
{
    double usual = job->t.optimizer == EV_OPTIMIZER_SGD ? 1e-2 : 1e-3;
    return EVI_MAX(usual, (double)job->t.learning_rate);
}

/* ---- callbacks: the caller's of training, then the caller's of pruning ----------------------- */

static int32_t on_epoch(void *user, const ev_epoch *epoch)
{
    const evi_prune_job *job = user;
    int32_t stop = 0;
    if (job->given.on_epoch != NULL)
        stop = job->given.on_epoch(job->given.user, epoch);
    if (job->o.on_epoch != NULL)
        stop |= job->o.on_epoch(job->o.user, epoch);
    return stop;
}

static int32_t on_step(void *user, const ev_step *step)
{
    const evi_prune_job *job = user;
    return job->given.on_step(job->given.user, step);
}

static int32_t reduce(void *user, int32_t vector, int32_t n_vectors, float *gradients, int64_t n)
{
    const evi_prune_job *job = user;
    return job->given.reduce(job->given.user, vector, n_vectors, gradients, n);
}

/* ---- the run --------------------------------------------------------------------------------- */

static ev_train_options tune_options(evi_prune_job *job, double rate, int32_t epochs,
                                     uint64_t number, const char *path)
{
    ev_train_options t = job->t;
    t.max_epochs = epochs;
    t.learning_rate = (float)rate;
    t.seed = job->t.seed + number;
    t.checkpoint = path;
    t.checkpoint_epochs = path != NULL ? EVI_MAX(job->given.checkpoint_epochs, 1) : 0;
    t.on_epoch = on_epoch;
    t.on_step = job->given.on_step != NULL ? on_step : NULL;
    t.reduce = job->given.reduce != NULL ? reduce : NULL;
    t.user = job;
    return t;
}

ev_status evi_prune_tune(evi_prune_job *job, ev_model *model, ev_model *teacher, double rate,
                         int32_t epochs, uint64_t number, const char *path, bool resume,
                         int32_t *epochs_out)
{
    const evi_teacher t = {teacher, job->o.distill, job->o.temperature};
    ev_trainer *trainer = NULL;
    *epochs_out = 0;
    if (epochs <= 0)
        return EV_OK;
    ev_train_options o = tune_options(job, rate, epochs, number, path);
    bool taught = teacher != NULL && job->o.distill > 0;
    EVI_TRY(evi_trainer_create_taught(job->ctx, model, taught ? &t : NULL, job->train, job->valid,
                                      &o, &trainer));
    ev_status status = EV_OK;
    if (resume && path != NULL && evi_prune_file_exists(job->ctx, path))
        status = ev_trainer_resume(trainer, path);
    if (status == EV_OK)
        status = ev_trainer_run(trainer);
    *epochs_out = ev_trainer_epoch(trainer);
    ev_trainer_destroy(trainer);
    return status;
}
