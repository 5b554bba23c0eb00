/* SPDX-License-Identifier: MIT */
/* Not there yet: fits() says no. */
#include "ops/winograd_weights.h"

bool evi_winograd_fits(const evi_kernels *k, const evi_conv_shape *s, int32_t pass)
{
    if (pass == EVI_CONV_BACK_WEIGHTS)
        return evi_winograd_weights_fits(k, s);
    return false;
}

uint64_t evi_winograd_pack_bytes(const evi_kernels *k, const evi_conv_shape *s, int32_t pass)
{
    (void)k, (void)s, (void)pass;
    return 0;
}

void evi_winograd_pack(const evi_kernels *k, const evi_conv_shape *s, int32_t pass,
                       const evi_real *w, void *packed)
{
    (void)k, (void)s, (void)pass, (void)w, (void)packed;
}

uint64_t evi_winograd_scratch_bytes(const evi_kernels *k, const evi_conv_shape *s, int32_t pass,
                                    bool packed, int32_t n_workers)
{
    (void)packed;
    if (pass == EVI_CONV_BACK_WEIGHTS)
        return evi_winograd_weights_scratch_bytes(k, s, n_workers);
    return 0;
}

void evi_winograd_forward(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                          const evi_real *x, const evi_real *w, const void *packed,
                          const evi_conv_end *end, evi_real *y, void *scratch)
{
    (void)crew, (void)k, (void)s, (void)x;
    (void)w, (void)packed, (void)end, (void)y, (void)scratch;
}

void evi_winograd_back_data(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                            const evi_real *dy, const uint8_t *where, const evi_real *w,
                            const void *packed, const evi_conv_end *end, evi_real *dx,
                            void *scratch)
{
    (void)crew, (void)k, (void)s, (void)dy, (void)where;
    (void)w, (void)packed, (void)end, (void)dx, (void)scratch;
}
