/* SPDX-License-Identifier: MIT */
/* The gradient of convolution's weights where channels are many (convolve_outer.c).  Arguments are
 * as those of evi_conv_back_weights(), which comes here when evi_conv_outer_fits() says so. */
#ifndef EVI_CONVOLVE_OUTER_H
#define EVI_CONVOLVE_OUTER_H

#include "ops/convolve_plane.h"

bool evi_conv_outer_fits(const evi_conv_shape *s);
uint64_t evi_conv_outer_scratch_bytes(const evi_kernels *k, const evi_conv_shape *s,
                                      int32_t n_workers);
void evi_conv_outer(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                    const evi_real *x, const evi_real *dy, evi_real *dw, bool accumulate,
                    void *scratch);

#endif
