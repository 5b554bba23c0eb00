/* SPDX-License-Identifier: MIT */
/* What the files that draw a step's nets share. */
#ifndef EVI_GAN_NETS_H
#define EVI_GAN_NETS_H

#include "gan/gan.h"

/* One net of an update while it is drawn.  After a failure calls do nothing. */
typedef struct evi_gan_pen {
    ev_context *ctx;
    const evi_gan_options *o;
    evi_gan_nets *nets;
    evi_gan_update *update; /* NULL: a net that is only run */
    ev_model *net;
    ev_value in[EVI_GAN_N_FEEDS];
    ev_status status;
} evi_gan_pen;

ev_value evi_gan_pen_input(evi_gan_pen *p, int32_t feed); /* declared when first asked for */
ev_value evi_gan_pen_call(evi_gan_pen *p, ev_model *callee, ev_value x, bool frozen);
/* Put a loss on the list. */
void evi_gan_pen_loss(evi_gan_pen *p, ev_value loss, float weight, int32_t kind, int32_t side,
                      const char *name);

/* What the classifier says of pictures in -1..1: logits. */
ev_value evi_gan_pen_classify(evi_gan_pen *p, ev_value x);

#endif
