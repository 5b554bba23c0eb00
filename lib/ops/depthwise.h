/* SPDX-License-Identifier: MIT */
/* Convolution with as many groups as channels (depthwise.c).  The three passes mean what they mean
 * in convolve.h, whose functions come here when evi_depthwise_fits() says so; there is nothing to
 * pack. */
#ifndef EVI_DEPTHWISE_H
#define EVI_DEPTHWISE_H

#include "ops/convolve.h"

bool evi_depthwise_fits(const evi_conv_shape *s);
uint64_t evi_depthwise_scratch_bytes(const evi_conv_shape *s, int32_t pass, int32_t n_workers);
void evi_depthwise_forward(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                           const evi_real *x, const evi_real *w, const evi_conv_end *end,
                           evi_real *y, void *scratch);
void evi_depthwise_back_data(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                             const evi_real *dy, const evi_real *w, const evi_conv_end *end,
                             evi_real *dx, void *scratch);
void evi_depthwise_back_weights(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                                const evi_real *x, const evi_real *dy, evi_real *dw,
                                bool accumulate, void *scratch);

#endif
