/* SPDX-License-Identifier: MIT */
/* Checkpoints: go on from one in the smallest of trainers.  With -DFUZZ_SEED a program that writes
 * such a checkpoint, for the fuzzer to begin with (run.sh does). */
#include "memory_files.h"

#include <edgevision/train.h>

#include <stdio.h>
#include <stdlib.h>

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    uint8_t *mended = malloc(n_bytes + (n_bytes == 0));
    if (mended == NULL)
        return 0;
    if (n_bytes > 0)
        memcpy(mended, data, n_bytes);
    mend(mended, n_bytes);
    memory_file file = {mended, n_bytes, 0};
    ev_context *ctx = memory_context(&file);
    ev_trainer *trainer = ctx != NULL ? make_trainer(ctx) : NULL;
    if (trainer != NULL && ev_trainer_resume(trainer, "checkpoint") == EV_OK)
        (void)ev_trainer_save(trainer, "again");
    ev_trainer_destroy(trainer);
    ev_context_destroy(ctx);
    free(mended);
    return 0;
}

#ifdef FUZZ_SEED
int main(int argc, char **argv)
{
    ev_context *ctx = NULL;
    if (argc != 2 || ev_context_create(NULL, &ctx) != EV_OK)
        return 2;
    ev_trainer *trainer = make_trainer(ctx);
    ev_status status = trainer != NULL ? ev_trainer_save(trainer, argv[1]) : EV_ERR_INTERNAL;
    if (status != EV_OK)
        (void)fprintf(stderr, "%s\n", ev_last_error());
    ev_trainer_destroy(trainer);
    ev_context_destroy(ctx);
    return status == EV_OK ? 0 : 1;
}
#endif
