/* SPDX-License-Identifier: MIT */
/* Convolution 3x3 of stride 1 by the minimal filtering of Winograd, F(4x4, 3x3): 36 multiplications
 * where the sum takes 144.  The three passes mean what they mean in convolve.h, whose functions
 * come here when evi_winograd_fits() says so; all arguments are as there. */
#ifndef EVI_WINOGRAD_H
#define EVI_WINOGRAD_H

#include "ops/convolve.h"

/* Is it possible, allowed (s->precise) and faster?  Depends on the shape of one picture, not on
 * s->n, so that a picture gives the same bits alone and in a batch. */
bool evi_winograd_fits(const evi_kernels *k, const evi_conv_shape *s, int32_t pass);

uint64_t evi_winograd_pack_bytes(const evi_kernels *k, const evi_conv_shape *s, int32_t pass);
void evi_winograd_pack(const evi_kernels *k, const evi_conv_shape *s, int32_t pass,
                       const evi_real *w, void *packed);
uint64_t evi_winograd_scratch_bytes(const evi_kernels *k, const evi_conv_shape *s, int32_t pass,
                                    bool packed, int32_t n_workers);
void evi_winograd_forward(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                          const evi_real *x, const evi_real *w, const void *packed,
                          const evi_conv_end *end, evi_real *y, void *scratch);
void evi_winograd_back_data(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                            const evi_real *dy, const uint8_t *where, const evi_real *w,
                            const void *packed, const evi_conv_end *end, evi_real *dx,
                            void *scratch);
void evi_winograd_back_weights(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                               const evi_real *x, const evi_real *dy, const uint8_t *where,
                               evi_real *dw, bool accumulate, void *scratch);

#endif
