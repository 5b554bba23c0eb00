/* SPDX-License-Identifier: MIT */
/* For profiles and benchmarks: what the multiply-add units of this processor give, which shares of
 * the peak refer to, and how to call what a convolution does. */
#ifndef EVI_PEAK_H
#define EVI_PEAK_H

#include "base/parallel.h"
#include "kernels/kernels.h"
#include "ops/convolve.h"

/* GFLOP/s of the table's matrix tile on operands in the first-level cache, all workers of the crew
 * at the same time.  Takes about a hundredth of a second. */
double evi_peak_gflops(evi_crew *crew, const evi_kernels *k);

/* "direct", "winograd", "depthwise", "pointwise", or these with "+pool". */
const char *evi_conv_kernel(const evi_kernels *k, const evi_conv_shape *s, int32_t pass);

#endif
