/* SPDX-License-Identifier: MIT */
/* What the multiply-add units of this processor give: the measure that shares of the peak refer
 * to. */
#ifndef EVI_PEAK_H
#define EVI_PEAK_H

#include "base/parallel.h"
#include "kernels/kernels.h"

/* GFLOP/s of the table's matrix tile on operands in the first-level cache, all workers of the crew
 * at the same time.  Takes some hundredths of a second. */
double evi_peak_gflops(evi_crew *crew, const evi_kernels *k);

#endif
