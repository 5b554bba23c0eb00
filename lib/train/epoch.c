/* SPDX-License-Identifier: MIT */
/* The end of an epoch: history, the best weights, early stopping. */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

/* ---- best and latest weights trade places -------------------------------------------------- */

static void swap_numbers(evi_real *a, evi_real *b, int64_t n)
{
    evi_real part[1024];
    for (int64_t i = 0; i < n; i += EVI_COUNT(part)) {
        size_t bytes = (size_t)EVI_MIN(n - i, EVI_COUNT(part)) * sizeof(evi_real);
        memcpy(part, a + i, bytes);
        memcpy(a + i, b + i, bytes);
        memcpy(b + i, part, bytes);
    }
}

void evi_train_swap(ev_trainer *t, bool best)
{
    if (!t->state.has_best || (t->swapped != 0) == best)
        return;
    for (int32_t i = 0; i < t->n_stores; i++)
        if (t->stores[i].best != NULL)
            swap_numbers(t->stores[i].store->weights, t->stores[i].best,
                         t->stores[i].store->n_total);
    t->swapped = best;
    evi_train_touch(t);
}

static void keep_weights(ev_trainer *t)
{
    for (int32_t i = 0; i < t->n_stores; i++) {
        const evi_train_store *s = &t->stores[i];
        if (s->best != NULL)
            memcpy(s->best, s->store->weights, (size_t)s->store->n_total * sizeof(evi_real));
    }
    t->state.has_best = 1;
}

/* ---- what is watched ----------------------------------------------------------------------- */

/* The watched number, turned so that lower is better; NaN: not known. */
static double watched(const ev_trainer *t, const ev_epoch *e)
{
    switch (t->o.monitor) {
    case EV_MONITOR_VALID_LOSS: return e->valid_loss;
    case EV_MONITOR_VALID_ACCURACY: return -e->valid_accuracy;
    case EV_MONITOR_TRAIN_LOSS: return e->train_loss;
    default: return (double)NAN;
    }
}

static void judge(ev_trainer *t, ev_epoch *e)
{
    evi_train_state *s = &t->state;
    double now = watched(t, e);
    double plateau = t->o.monitor == EV_MONITOR_DEFAULT ? e->train_loss : now;
    if (t->o.schedule == EV_SCHEDULE_PLATEAU)
        evi_plateau_epoch(t, plateau);
    if (!t->keep_best)
        return;
    e->is_best = now < s->watched_best - t->o.min_delta;
    if (e->is_best) {
        s->watched_best = now;
        s->best_epoch = e->index;
        s->waiting = 0;
        keep_weights(t);
    } else {
        s->waiting++;
    }
}

bool evi_train_is_over(const ev_trainer *t)
{
    const evi_train_state *s = &t->state;
    return s->epoch >= t->o.max_epochs ||
           (t->keep_best && t->o.patience >= 0 && s->waiting >= t->o.patience && s->waiting > 0);
}

/* ---- the end ------------------------------------------------------------------------------- */

static ev_status grow_history(ev_trainer *t)
{
    if (t->state.epoch < t->history_capacity)
        return EV_OK;
    int32_t more = 2 * t->history_capacity;
    EVI_TRY(evi_realloc(t->handle.ctx, (uint64_t)more, sizeof(ev_epoch), &t->history));
    t->history_capacity = more;
    return EV_OK;
}

static ev_epoch describe(const ev_trainer *t, double valid_loss, double valid_accuracy)
{
    const evi_train_state *s = &t->state;
    double n = (double)s->n_images;
    return (ev_epoch){
        .struct_size = (uint32_t)sizeof(ev_epoch),
        .index = s->epoch,
        .train_loss = s->n_images > 0 ? s->loss_sum / n : (double)NAN,
        .train_accuracy = t->is_classifier && s->n_images > 0 ? (double)s->n_right / n
                                                              : (double)NAN,
        .valid_loss = valid_loss,
        .valid_accuracy = valid_accuracy,
        .learning_rate = t->last_rate,
        .seconds = evi_seconds() - t->epoch_start,
        .steps = s->steps,
        .n_epochs = t->o.max_epochs,
    };
}

ev_status evi_train_end_epoch(ev_trainer *t, double valid_loss, double valid_accuracy)
{
    EVI_TRY(grow_history(t));
    if (t->swapped)
        evi_train_swap(t, false);
    ev_epoch *e = &t->history[t->state.epoch];
    *e = describe(t, valid_loss, valid_accuracy);
    judge(t, e);
    t->state.epoch++;
    t->state.batch = 0;
    t->state.n_images = t->state.n_right = 0;
    t->state.loss_sum = 0;
    t->epoch_start = evi_seconds();
    return EV_OK;
}

ev_status evi_train_tell_epoch(ev_trainer *t)
{
    const ev_epoch told = t->history[t->state.epoch - 1];
    if (t->o.on_epoch != NULL && t->o.on_epoch(t->o.user, &told) != 0)
        return evi_fail(EV_ERR_CANCELLED, "on_epoch asked to stop after epoch %d",
                        (int)told.index);
    return EV_OK;
}

ev_status ev_trainer_end_epoch(ev_trainer *trainer, double valid_loss, double valid_accuracy,
                               int32_t *stop_out)
{
    if (stop_out != NULL)
        *stop_out = 0;
    EVI_CHECK_HANDLE(trainer, EVI_MAGIC_TRAINER);
    EVI_TRY(evi_train_end_epoch(trainer, valid_loss, valid_accuracy));
    if (stop_out != NULL)
        *stop_out = evi_train_is_over(trainer);
    return evi_train_tell_epoch(trainer);
}

ev_status ev_trainer_restore_best(ev_trainer *trainer)
{
    EVI_CHECK_HANDLE(trainer, EVI_MAGIC_TRAINER);
    if (!trainer->state.has_best)
        return evi_fail(EV_ERR_STATE, "%s: no epoch was the best yet", __func__);
    evi_train_swap(trainer, true);
    return EV_OK;
}
