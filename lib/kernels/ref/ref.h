/* SPDX-License-Identifier: MIT */
/* The reference kernels: what each entry of the table means, in the plainest C. */
#ifndef EVK_REF_H
#define EVK_REF_H

#include "kernels/kernels.h"

void evk_ref_tile(const evk_tile *t);
void evk_ref_pool_tile(const evk_pool_tile *t);
void evk_ref_dot_tile(const evk_dot_tile *t);
void evk_ref_stencil(const evk_stencil *s);
void evk_ref_transpose(int64_t m, int64_t n, const evi_real *x, int64_t ldx, evi_real *y,
                       int64_t ldy);
void evk_ref_copy_rows(int64_t m, int64_t n, const evi_real *x, int64_t ldx, evi_real *y,
                       int64_t ldy);
void evk_ref_gather(int64_t n, const evi_real *x, int64_t step, evi_real *y);
void evk_ref_scatter(int64_t n, const evi_real *x, evi_real *y, int64_t step, int32_t add);

void evk_ref_add(int64_t n, const evi_real *a, const evi_real *b, evi_real *y);
void evk_ref_sub(int64_t n, const evi_real *a, const evi_real *b, evi_real *y);
void evk_ref_mul(int64_t n, const evi_real *a, const evi_real *b, evi_real *y);
void evk_ref_mul_add(int64_t n, const evi_real *a, const evi_real *b, evi_real *y);
void evk_ref_scale(int64_t n, evi_real alpha, const evi_real *x, evi_real *y);
void evk_ref_axpy(int64_t n, evi_real alpha, const evi_real *x, evi_real *y);
void evk_ref_affine(int64_t n, const evi_real *x, evi_real a, evi_real b, evi_real *y);
void evk_ref_affine2(int64_t n, const evi_real *u, const evi_real *x, evi_real a, evi_real b,
                     evi_real c, evi_real *y, int32_t add);
void evk_ref_norm_act(int64_t n, const evi_real *x, evi_real a, evi_real b, const evk_act *act,
                      evi_real *y);
void evk_ref_norm_sums(int64_t n, const evi_real *dy, const evi_real *x, const evk_norm *o,
                       evi_real *sums);
void evk_ref_norm_back(int64_t n, const evi_real *dy, const evi_real *x, const evk_norm *o,
                       evi_real *dx, int32_t add);
void evk_ref_exp(int64_t n, const evi_real *x, evi_real *y);
void evk_ref_act(int64_t n, const evi_real *x, evi_real shift, const evk_act *act, evi_real *y);
void evk_ref_act_back(int64_t n, const evi_real *x, const evi_real *y, const evi_real *dy,
                      const evk_act *act, evi_real *dx, int32_t add);
evi_real evk_ref_sum(int64_t n, const evi_real *x);
evi_real evk_ref_sum_squares(int64_t n, const evi_real *x, evi_real mean);
evi_real evk_ref_sum_products(int64_t n, const evi_real *u, const evi_real *x, evi_real mean);
evi_real evk_ref_sum_where(int64_t n, const evi_real *x, const uint8_t *where);
evi_real evk_ref_max(int64_t n, const evi_real *x);
evi_real evk_ref_exp_sum(int64_t n, const evi_real *x, evi_real shift, evi_real *y);

void evk_ref_max_pool2(int64_t n, const evi_real *x0, const evi_real *x1, evi_real *y,
                       uint8_t *where);
void evk_ref_max_pool2_relu(int64_t n, const evi_real *x0, const evi_real *x1, evi_real *y,
                            uint8_t *where);
void evk_ref_max_pool2_back(int64_t n, const evi_real *dy, const uint8_t *where, evi_real *dx0,
                            evi_real *dx1, int32_t add);
void evk_ref_wino_in(const evk_wino_in *a);
void evk_ref_wino_out(const evk_wino_out *a);
void evk_ref_wino_weights(const evk_wino_weights *a);
enum { EVK_REF_GRAD_LANES = 8 };
void evk_ref_grad_spread(const evk_grad_rows *a);
void evk_ref_grad_x(const evk_grad_tiles *a);
void evk_ref_grad_dy(const evk_grad_tiles *a);
void evk_ref_grad_end(int64_t n, const evi_real *u, int64_t point, evi_real *g, int64_t tap);
void evk_ref_sgd(int64_t n, const evk_sgd *o, const evi_real *g, evi_real *buf, evi_real *w);
void evk_ref_adam(int64_t n, const evk_adam *o, const evi_real *g, evi_real *m, evi_real *v,
                  evi_real *w);
void evk_ref_rmsprop(int64_t n, const evk_rmsprop *o, const evi_real *g, evi_real *m, evi_real *v,
                     evi_real *w);
void evk_ref_bytes_to_planes(int64_t n, const uint8_t *x, int32_t channels, const evi_real *scale,
                             const evi_real *shift, evi_real *y, int64_t plane);

#endif
