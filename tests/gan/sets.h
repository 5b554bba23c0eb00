/* SPDX-License-Identifier: MIT */
/* What tests of whole runs share: two small sets, options of a tiny CycleGAN, checksums. */
#ifndef TESTS_GAN_SETS_H
#define TESTS_GAN_SETS_H

#include "gan/gan.h"
#include "support.h"

/* n pictures of size x size, three classes, noisy; kind 0: dark, 1: bright. */
ev_dataset *tg_set(ev_context *ctx, int32_t n, int32_t size, int32_t kind);

/* Options and what they point to.  16x16 pictures, the smallest networks, 3 epochs. */
typedef struct tg_options {
    ev_cyclegan_options o;
    ev_generator_options g;
    ev_discriminator_options d;
} tg_options;
void tg_fill(tg_options *t);

/* CRC of all weights of all four networks: equal bits? */
uint32_t tg_weights(ev_cyclegan *gan);

#endif
