/* SPDX-License-Identifier: MIT */
/* Not there yet: fits() says no. */
#include "ops/winograd_weights.h"

bool evi_winograd_weights_fits(const evi_kernels *k, const evi_conv_shape *s)
{
    (void)k, (void)s;
    return false;
}

uint64_t evi_winograd_weights_scratch_bytes(const evi_kernels *k, const evi_conv_shape *s,
                                            int32_t n_workers)
{
    (void)k, (void)s, (void)n_workers;
    return 0;
}

void evi_winograd_back_weights(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                               const evi_real *x, const evi_real *dy, const uint8_t *where,
                               evi_real *dw, bool accumulate, void *scratch)
{
    (void)crew, (void)k, (void)s, (void)x;
    (void)dy, (void)where, (void)dw, (void)accumulate, (void)scratch;
}
