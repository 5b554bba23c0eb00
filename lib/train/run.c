/* SPDX-License-Identifier: MIT */
/* Epoch after epoch over a dataset. */
#include "data/loader.h"
#include "train/trainer.h"

#include <math.h>

/* ---- one epoch ----------------------------------------------------------------------------- */

static ev_status tell_step(ev_trainer *t)
{
    const ev_step told = {
        .struct_size = (uint32_t)sizeof(ev_step),
        .epoch = t->state.epoch,
        .batch = t->state.batch,
        .n_batches = ev_loader_batches(t->train),
        .step = t->state.steps,
        .loss = t->losses[0],
        .learning_rate = t->last_rate,
        .gradient_norm = t->gradient_norm,
        .seconds = evi_seconds() - t->epoch_start,
        .n_epochs = t->o.max_epochs,
    };
    if (t->o.on_step != NULL && t->o.on_step(t->o.user, &told) != 0)
        return evi_fail(EV_ERR_CANCELLED, "on_step asked to stop after step %lld",
                        (long long)told.step);
    return EV_OK;
}

static ev_status save_after_step(ev_trainer *t)
{
    int32_t every = t->o.checkpoint_steps;
    if (t->checkpoint_path == NULL || every <= 0 || t->state.steps % every != 0)
        return EV_OK;
    return ev_trainer_save(t, t->checkpoint_path);
}

static ev_status train_epoch(ev_trainer *t)
{
    const void **inputs = t->parts[0].inputs;
    EVI_TRY(ev_loader_start_epoch(t->train, t->state.epoch, t->state.batch));
    for (;;) {
        ev_tensor *images = NULL;
        const int32_t *labels = NULL;
        int32_t n = 0;
        EVI_TRY(ev_loader_next(t->train, &images, &labels, NULL, &n));
        if (n == 0)
            return EV_OK;
        inputs[0] = images->data;
        inputs[1] = labels;
        if (t->teacher != NULL)
            EVI_TRY(evi_train_ask_teacher(t, images, &inputs[2]));
        EVI_TRY(evi_train_step(t, n, labels));
        t->state.batch = t->train->batch; /* it may have passed over one that cannot be read */
        EVI_TRY(save_after_step(t));
        EVI_TRY(tell_step(t));
    }
}

static ev_status validate(ev_trainer *t, double *loss, double *accuracy)
{
    *loss = *accuracy = (double)NAN;
    if (t->valid == NULL)
        return EV_OK;
    ev_metrics *metrics = NULL;
    EVI_TRY(ev_metrics_create(t->handle.ctx, t->n_classes, 1, &metrics));
    ev_status status = ev_loader_start_epoch(t->valid, 0, 0);
    if (status == EV_OK)
        status = evi_evaluate_loader(t->handle.ctx, t->model, t->valid, t->o.batch_size,
                                     t->o.precise, metrics);
    *loss = ev_metrics_loss(metrics);
    *accuracy = ev_metrics_accuracy(metrics);
    ev_metrics_destroy(metrics);
    return status;
}

static ev_status save_after_epoch(ev_trainer *t)
{
    int32_t every = t->o.checkpoint_epochs;
    if (t->checkpoint_path == NULL || every <= 0)
        return EV_OK;
    if (t->state.epoch % every != 0 && !evi_train_is_over(t))
        return EV_OK;
    return ev_trainer_save(t, t->checkpoint_path);
}

static ev_status one_epoch(ev_trainer *t)
{
    double loss = 0, accuracy = 0;
    t->epoch_start = evi_seconds();
    EVI_TRY(train_epoch(t));
    if (t->state.n_images == 0)
        return evi_fail(EV_ERR_ARGUMENT, "epoch %d: none of the pictures could be read",
                        (int)t->state.epoch);
    EVI_TRY(validate(t, &loss, &accuracy));
    EVI_TRY(evi_train_end_epoch(t, loss, accuracy));
    EVI_TRY(save_after_epoch(t));
    return evi_train_tell_epoch(t);
}

/* ---- all of them --------------------------------------------------------------------------- */

ev_status ev_trainer_run(ev_trainer *trainer)
{
    EVI_CHECK_HANDLE(trainer, EVI_MAGIC_TRAINER);
    ev_trainer *t = trainer;
    if (t->train == NULL)
        return evi_fail(EV_ERR_STATE, "%s: this trainer was made without a training set", __func__);
    double start = evi_seconds();
    ev_status status = EV_OK;
    evi_train_swap(t, false);
    while (status == EV_OK && !evi_train_is_over(t)) {
        status = one_epoch(t);
        if (t->o.time_limit > 0 && evi_seconds() - start >= t->o.time_limit)
            break;
    }
    evi_train_swap(t, true); /* however it ended */
    return status;
}
