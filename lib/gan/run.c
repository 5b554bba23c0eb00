/* SPDX-License-Identifier: MIT */
/* Epoch after epoch over two sets.  A position is (epoch, step of the epoch, steps in all); batch k
 * of either set belongs to the run's step k, so wherever a run ended, the next call goes on with
 * the same bits.
 *
 * When a step diverges the state goes back to the checkpoint.  So there is one from the start,
 * unless a file of that name is there which this object has neither written nor read: it is not
 * touched before there is something to show.  As long as there is none, the state at the start of
 * the epoch (or of the call) is copied to memory: as large as the file, three vectors of weights
 * and both histories. */
#include "gan/gan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct run {
    ev_cyclegan *gan;
    evi_st_file kept; /* in memory; nothing in it once there is a file */
} run;

/* ---- something to go back to ----------------------------------------------------------------- */

static ev_status save(run *r)
{
    EVI_TRY(ev_cyclegan_save(r->gan, r->gan->checkpoint));
    evi_st_end(&r->kept);
    return EV_OK;
}

static ev_status keep(run *r)
{
    if (r->gan->has_checkpoint != 0)
        return EV_OK;
    ev_status status = evi_gan_state_keep(r->gan, &r->kept);
    return status == EV_OK ? EV_OK
                           : evi_fail_in(status, "a copy of the state, which a run without a "
                                                 "checkpoint keeps");
}

/* For certain: when in doubt it is there. */
static bool is_missing(const ev_context *ctx, const char *path)
{
    void *user = NULL;
    const ev_file_hooks *files = evi_files(ctx, &user);
    int64_t handle = files->open(user, path, 0);
    if (handle >= 0)
        (void)files->close(user, handle);
    return handle == -ENOENT;
}

/* Also tells at once when nothing can be written there. */
static ev_status first_checkpoint(run *r)
{
    const ev_cyclegan *gan = r->gan;
    bool saves = gan->o.o.checkpoint_epochs > 0 || gan->o.o.checkpoint_steps > 0;
    if (gan->checkpoint == NULL || gan->has_checkpoint != 0 || !saves ||
        gan->epoch >= gan->o.o.epochs || !is_missing(gan->handle.ctx, gan->checkpoint))
        return EV_OK;
    return save(r);
}

/* The step's line says first what was not finite; ours adds where the state is now. */
static ev_status go_back(run *r)
{
    char line[256];
    ev_cyclegan *gan = r->gan;
    const char *file = gan->has_checkpoint != 0 ? gan->checkpoint : NULL;
    (void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(ev_last_error(), ";"), ev_last_error());
    ev_status status = file != NULL ? ev_cyclegan_resume(gan, file)
                                    : evi_gan_state_take(gan, &r->kept, "the copy in memory");
    if (status != EV_OK)
        return evi_fail(EV_ERR_DIVERGED, "%s; the state could not go back to the checkpoint: %s",
                        line, ev_last_error());
    return evi_fail(EV_ERR_DIVERGED,
                    "%s; the state is that after step %lld again (%s%s); a lower learning_rate may "
                    "help",
                    line, (long long)gan->total_steps,
                    file != NULL ? "from " : "a copy in memory: no checkpoint was written",
                    file != NULL ? file : "");
}

/* ---- what is told ---------------------------------------------------------------------------- */

static ev_cyclegan_losses means(const ev_cyclegan *gan)
{
    ev_cyclegan_losses m = gan->sums;
    for (int32_t i = 0; i < EVI_GAN_N_LOSSES; i++)
        *evi_gan_loss(&m, i) /= EVI_MAX(gan->step, 1);
    m.struct_size = (uint32_t)sizeof(m);
    return m;
}

static ev_cyclegan_step_info tell(const ev_cyclegan *gan, const ev_cyclegan_losses *losses)
{
    return (ev_cyclegan_step_info){
        .struct_size = (uint32_t)sizeof(ev_cyclegan_step_info),
        .epoch = gan->epoch,
        .step = gan->step,
        .n_steps = gan->n_steps,
        .total_steps = gan->total_steps,
        .n_epochs = gan->o.o.epochs,
        .learning_rate = evi_gan_rate(gan),
        .seconds = evi_seconds() - gan->epoch_start,
        .losses = losses,
    };
}

/* ---- steps and epochs ------------------------------------------------------------------------ */

static ev_status next_batch(ev_cyclegan *gan, int32_t side, ev_tensor **images,
                            const int32_t **labels)
{
    ev_status status = evi_gan_feed_batch(gan->feeds[side], gan->total_steps, images, labels);
    return status == EV_OK ? EV_OK : evi_fail_in(status, "set %c", "AB"[side]);
}

static ev_status one_step(run *r)
{
    ev_cyclegan *gan = r->gan;
    const ev_cyclegan_options *o = &gan->o.o;
    ev_tensor *images[2] = {NULL, NULL};
    const int32_t *labels[2] = {NULL, NULL};
    for (int32_t side = 0; side < 2; side++)
        EVI_TRY(next_batch(gan, side, &images[side], &labels[side]));
    EVI_TRY(evi_gan_step(gan, images[0], images[1], labels[0], labels[1]));
    if (gan->checkpoint != NULL && o->checkpoint_steps > 0 &&
        gan->total_steps % o->checkpoint_steps == 0)
        EVI_TRY(save(r));
    const ev_cyclegan_losses losses = gan->last;
    const ev_cyclegan_step_info info = tell(gan, &losses);
    if (o->on_step != NULL && o->on_step(o->user, &info) != 0)
        return evi_fail(EV_ERR_CANCELLED, "on_step asked to stop after step %lld",
                        (long long)info.total_steps);
    return EV_OK;
}

/* The callback comes last, when the next epoch's state is there and saved. */
static ev_status end_epoch(run *r)
{
    ev_cyclegan *gan = r->gan;
    const ev_cyclegan_options *o = &gan->o.o;
    const ev_cyclegan_losses losses = means(gan);
    const ev_cyclegan_step_info info = tell(gan, &losses);
    evi_gan_end_epoch(gan);
    if (gan->checkpoint != NULL && o->checkpoint_epochs > 0 &&
        (gan->epoch % o->checkpoint_epochs == 0 || gan->epoch >= o->epochs))
        EVI_TRY(save(r));
    if (o->on_epoch != NULL && o->on_epoch(o->user, &info) != 0)
        return evi_fail(EV_ERR_CANCELLED, "on_epoch asked to stop after epoch %d", (int)info.epoch);
    return EV_OK;
}

static ev_status run_epochs(run *r)
{
    ev_cyclegan *gan = r->gan;
    gan->epoch_start = evi_seconds();
    EVI_TRY(first_checkpoint(r));
    while (gan->epoch < gan->o.o.epochs) {
        EVI_TRY(keep(r));
        while (gan->step < gan->n_steps)
            EVI_TRY(one_step(r));
        EVI_TRY(end_epoch(r));
    }
    return EV_OK;
}

ev_status ev_cyclegan_run(ev_cyclegan *gan)
{
    EVI_CHECK_HANDLE(gan, EVI_MAGIC_CYCLEGAN);
    if (gan->feeds[0] == NULL || gan->feeds[1] == NULL)
        return evi_fail(EV_ERR_STATE,
                        "%s: this run was made without sets: hand both to ev_cyclegan_create(), or "
                        "call ev_cyclegan_step()",
                        __func__);
    run r = {.gan = gan};
    ev_status status = run_epochs(&r);
    if (status == EV_ERR_DIVERGED)
        status = go_back(&r);
    evi_st_end(&r.kept);
    return status;
}
