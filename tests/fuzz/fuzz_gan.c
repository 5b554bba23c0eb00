/* SPDX-License-Identifier: MIT */
/* Checkpoints of a CycleGAN: its options are read, and the smallest one goes on from it.  With
 * -DFUZZ_SEED a program that writes such a checkpoint (run.sh does). */
#include "memory_files.h"

#include <edgevision/cyclegan.h>

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

static void go_on(ev_context *ctx)
{
    ev_cyclegan_options o;
    ev_generator_options g;
    ev_discriminator_options d;
    ev_cyclegan *gan = make(ctx);
    EV_OPTIONS_INIT(&o);
    EV_OPTIONS_INIT(&g);
    EV_OPTIONS_INIT(&d);
    (void)ev_cyclegan_read_options(ctx, "checkpoint", &o, &g, &d);
    if (gan != NULL && ev_cyclegan_resume(gan, "checkpoint") == EV_OK)
        (void)ev_cyclegan_save(gan, "again");
    ev_cyclegan_destroy(gan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    return with_checkpoint(data, n_bytes, go_on);
}

#ifdef FUZZ_SEED
static ev_status write_it(ev_context *ctx, const char *path)
{
    ev_cyclegan *gan = make(ctx);
    ev_status status = gan != NULL ? ev_cyclegan_save(gan, path) : EV_ERR_INTERNAL;
    ev_cyclegan_destroy(gan);
    return status;
}

int main(int argc, char **argv)
{
    return write_seed(argc, argv, write_it);
}
#endif
