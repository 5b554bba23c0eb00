/* SPDX-License-Identifier: MIT */
/* Checkpoints of a CycleGAN: its options are read, and the smallest one goes on from it.  With
 * -DFUZZ_SEED a program that writes such a checkpoint (run.sh does). */
#include "memory_files.h"

#include <edgevision/cyclegan.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static ev_cyclegan *make(ev_context *ctx)
{
    ev_cyclegan_options o;
    ev_generator_options g;
    ev_discriminator_options d;
    ev_cyclegan *gan = NULL;
    EV_OPTIONS_INIT(&o);
    EV_OPTIONS_INIT(&g);
    EV_OPTIONS_INIT(&d);
    g.base_width = g.n_blocks = d.base_width = d.n_layers = 1;
    o.generator = &g;
    o.discriminator = &d;
    o.width = 8;
    o.pool_size = o.epochs = 1;
    o.steps_per_epoch = 1;
    (void)ev_cyclegan_create(ctx, NULL, NULL, &o, &gan);
    return gan;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    ev_cyclegan_options o;
    ev_generator_options g;
    ev_discriminator_options d;
    uint8_t *mended = malloc(n_bytes + (n_bytes == 0));
    if (mended == NULL)
        return 0;
    if (n_bytes > 0)
        memcpy(mended, data, n_bytes);
    mend(mended, n_bytes);
    memory_file file = {mended, n_bytes, 0};
    ev_context *ctx = memory_context(&file);
    EV_OPTIONS_INIT(&o);
    EV_OPTIONS_INIT(&g);
    EV_OPTIONS_INIT(&d);
    ev_cyclegan *gan = ctx != NULL ? make(ctx) : NULL;
    if (ctx != NULL)
        (void)ev_cyclegan_read_options(ctx, "checkpoint", &o, &g, &d);
    if (gan != NULL && ev_cyclegan_resume(gan, "checkpoint") == EV_OK)
        (void)ev_cyclegan_save(gan, "again");
    ev_cyclegan_destroy(gan);
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
    ev_cyclegan *gan = make(ctx);
    ev_status status = gan != NULL ? ev_cyclegan_save(gan, argv[1]) : EV_ERR_INTERNAL;
    if (status != EV_OK)
        (void)fprintf(stderr, "%s\n", ev_last_error());
    ev_cyclegan_destroy(gan);
    ev_context_destroy(ctx);
    return status == EV_OK ? 0 : 1;
}
#endif
