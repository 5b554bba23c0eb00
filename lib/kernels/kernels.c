/* SPDX-License-Identifier: MIT */
/* The reference table, and the choice among the tables. */
#include "kernels/ref/ref.h"

const evi_kernels evk_ref_table = {
    .name = "ref",
    .cpu = 0,
    .tile = evk_ref_tile,
    .lanes = 1,
    .mr = 4,
    .nr = 16,
    .pool_tile = evk_ref_pool_tile,
    .few_mr = 4,
    .few_nr = 16,
    .kc = 384,
    .nc = 288,
    .dot_tile = evk_ref_dot_tile,
    .dot_mr = 4,
    .dot_nr = 3,
    .dot_few_mr = 2,
    .dot_few_nr = 6,
    .dot_len = 1024,
    .plane_bytes = 128 << 10,
    .stencil = evk_ref_stencil,
    .transpose = evk_ref_transpose,
    .copy_rows = evk_ref_copy_rows,
    .gather = evk_ref_gather,
    .scatter = evk_ref_scatter,
    .add = evk_ref_add,
    .sub = evk_ref_sub,
    .mul = evk_ref_mul,
    .mul_add = evk_ref_mul_add,
    .scale = evk_ref_scale,
    .axpy = evk_ref_axpy,
    .affine = evk_ref_affine,
    .affine2 = evk_ref_affine2,
    .norm_act = evk_ref_norm_act,
    .norm_sums = evk_ref_norm_sums,
    .norm_back = EVK_TRAINED(evk_ref_norm_back),
    .exp = evk_ref_exp,
    .act = evk_ref_act,
    .act_back = EVK_TRAINED(evk_ref_act_back),
    .sum = evk_ref_sum,
    .sum_squares = evk_ref_sum_squares,
    .sum_products = evk_ref_sum_products,
    .sum_where = evk_ref_sum_where,
    .max = evk_ref_max,
    .exp_sum = evk_ref_exp_sum,
    .max_pool2 = evk_ref_max_pool2,
    .max_pool2_relu = evk_ref_max_pool2_relu,
    .max_pool2_back = EVK_TRAINED(evk_ref_max_pool2_back),
    .wino_in = evk_ref_wino_in,
    .wino_out = evk_ref_wino_out,
    .wino_weights = evk_ref_wino_weights,
    .grad_lanes = EVK_REF_GRAD_LANES,
    .grad_spread = EVK_TRAINED(evk_ref_grad_spread),
    .grad_x = EVK_TRAINED(evk_ref_grad_x),
    .grad_dy = EVK_TRAINED(evk_ref_grad_dy),
    .grad_end = EVK_TRAINED(evk_ref_grad_end),
    .sgd = EVK_TRAINED(evk_ref_sgd),
    .adam = EVK_TRAINED(evk_ref_adam),
    .rmsprop = EVK_TRAINED(evk_ref_rmsprop),
    .bytes_to_planes = evk_ref_bytes_to_planes,
};

/* Ascending: a later set that is both built and present replaces an earlier one. */
const evi_kernels *evi_kernels_for(uint32_t cpu_flags)
{
    const evi_kernels *built[] = {evk_neon(), evk_avx2(), evk_avx512()};
    const evi_kernels *best = &evk_ref_table;

    for (int32_t i = 0; i < EVI_COUNT(built); i++) {
        if (built[i] && (cpu_flags & built[i]->cpu) == built[i]->cpu)
            best = built[i];
    }
    return best;
}
