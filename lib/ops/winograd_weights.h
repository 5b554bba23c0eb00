/* SPDX-License-Identifier: MIT */
/* The gradient of the weights by Winograd: what winograd.c must know of winograd_weights.c, which
 * also holds evi_winograd_back_weights(). */
#ifndef EVI_WINOGRAD_WEIGHTS_H
#define EVI_WINOGRAD_WEIGHTS_H

#include "ops/winograd.h"

/* Is it possible, allowed (s->precise) and faster?  s->n may be looked at, since the gradient is a
 * sum over pictures anyway, but only so that scratch for more pictures is never smaller. */
bool evi_winograd_weights_fits(const evi_kernels *k, const evi_conv_shape *s);
uint64_t evi_winograd_weights_scratch_bytes(const evi_kernels *k, const evi_conv_shape *s,
                                            int32_t n_workers);

#endif
