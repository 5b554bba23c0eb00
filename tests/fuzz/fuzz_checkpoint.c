/* SPDX-License-Identifier: MIT */
/* Checkpoints: go on from one in the smallest of trainers.  With -DFUZZ_SEED a program that writes
 * such a checkpoint, for the fuzzer to begin with (run.sh does). */
#include "memory_files.h"

#include <edgevision/train.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static ev_status draw(ev_context *ctx, ev_model **out)
{
    const int64_t dims[] = {-1, 2};
    ev_value x = 0, y = 0, loss = 0;
    ev_model *m = NULL;
    ev_status status = ev_model_create(ctx, &m);
    if (status == EV_OK)
        status = ev_model_input(m, "x", EV_TYPE_FLOAT32, 2, dims, &x);
    if (status == EV_OK)
        status = ev_model_input(m, "y", EV_TYPE_FLOAT32, 2, dims, &y);
    if (status == EV_OK)
        status = ev_model_dense(m, x, 2, NULL, &x);
    if (status == EV_OK)
        status = ev_model_mse_loss(m, x, y, 0, &loss);
    if (status == EV_OK)
        status = ev_model_loss(m, "loss", loss, 1.0f);
    *out = m;
    return status;
}

static ev_trainer *make_trainer(ev_context *ctx)
{
    ev_train_options opt;
    ev_model *m = NULL;
    ev_trainer *trainer = NULL;
    EV_OPTIONS_INIT(&opt);
    opt.batch_size = 1;
    if (draw(ctx, &m) == EV_OK && ev_model_init(m, 1) == EV_OK)
        (void)ev_trainer_create(ctx, m, NULL, NULL, &opt, &trainer);
    ev_model_destroy(m);
    return trainer;
}

static void go_on(ev_context *ctx)
{
    ev_trainer *trainer = make_trainer(ctx);
    if (trainer != NULL && ev_trainer_resume(trainer, "checkpoint") == EV_OK)
        (void)ev_trainer_save(trainer, "again");
    ev_trainer_destroy(trainer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    return with_checkpoint(data, n_bytes, go_on);
}

#ifdef FUZZ_SEED
static ev_status write_it(ev_context *ctx, const char *path)
{
    ev_trainer *trainer = make_trainer(ctx);
    ev_status status = trainer != NULL ? ev_trainer_save(trainer, path) : EV_ERR_INTERNAL;
    ev_trainer_destroy(trainer);
    return status;
}

int main(int argc, char **argv)
{
    return write_seed(argc, argv, write_it);
}
#endif
