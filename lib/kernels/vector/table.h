/* SPDX-License-Identifier: MIT */
/* The vector texts in order, and the table that they fill.  The including file has defined the
 * words (VL, vf, v_*), the tile sizes and TABLE_NAME, TABLE_CPU, TABLE_PLANE_BYTES. */
#include "kernels/vector/tile.h"
#include "kernels/vector/math.h"
#include "kernels/vector/elements.h"
#include "kernels/vector/reduce.h"
#include "kernels/vector/pool_tile.h"
#include "kernels/vector/norms.h"
#include "kernels/vector/stencil.h"
#include "kernels/vector/winograd_grad.h"
#include "kernels/vector/winograd.h"

static const evi_kernels table = {
    .name = TABLE_NAME,
    .cpu = TABLE_CPU,
    .tile = tile,
    .lanes = VL,
    .mr = TILE_M,
    .nr = TILE_N * VL,
    .pool_tile = pool_tile,
    .few_mr = FEW_M,
    .few_nr = FEW_N * VL,
    .kc = 384,
    .nc = 288,
    .dot_tile = dot_tile,
    .dot_mr = TILE_M,
    .dot_nr = TILE_N,
    .dot_few_mr = FEW_M,
    .dot_few_nr = FEW_N,
    .dot_len = 1024,
    .plane_bytes = TABLE_PLANE_BYTES,
    .stencil = k_stencil,
    .transpose = k_transpose,
    .copy_rows = k_copy_rows,
    .gather = k_gather,
    .scatter = k_scatter,
    .add = k_add,
    .sub = k_sub,
    .mul = k_mul,
    .mul_add = k_mul_add,
    .scale = k_scale,
    .axpy = k_axpy,
    .affine = k_affine,
    .affine2 = k_affine2,
    .norm_act = k_norm_act,
    .norm_sums = k_norm_sums,
    .norm_back = EVK_TRAINED(k_norm_back),
    .exp = k_exp,
    .act = k_act,
    .act_back = EVK_TRAINED(k_act_back),
    .sum = k_sum,
    .sum_squares = k_sum_squares,
    .sum_products = k_sum_products,
    .max = k_max,
    .sum_where = k_sum_where,
    .exp_sum = k_exp_sum,
    .max_pool2 = k_max_pool2,
    .max_pool2_relu = k_max_pool2_relu,
    .max_pool2_back = EVK_TRAINED(k_max_pool2_back),
    .wino_in = k_wino_in,
    .wino_out = k_wino_out,
    .wino_weights = k_wino_weights,
    .grad_lanes = VL,
    .grad_spread = EVK_TRAINED(k_grad_spread),
    .grad_x = EVK_TRAINED(k_grad_x),
    .grad_dy = EVK_TRAINED(k_grad_dy),
    .grad_end = EVK_TRAINED(k_grad_end),
    .sgd = EVK_TRAINED(k_sgd),
    .adam = EVK_TRAINED(k_adam),
    .rmsprop = EVK_TRAINED(k_rmsprop),
    .bytes_to_planes = k_bytes_to_planes,
};
