/* SPDX-License-Identifier: MIT */
/* Matrix products on raw pointers: blocking, packing and threads around the kernels' tiles. */
#ifndef EVI_GEMM_H
#define EVI_GEMM_H

#include "base/parallel.h"
#include "kernels/kernels.h"

/* C[m,n] = act(A B + bias), or C + A B with `accumulate`.  Row-major with leading dimensions.
 *
 * The bits of a row of C depend on that row of A, on B, n and k, not on m, the other rows or the
 * threads: a dense layer gives a picture the same answer alone as in a batch.
 *
 * trans_b (B stored [n,k], as the weights of a dense layer are) runs without packing anything: both
 * operands lie along k.  So a dense layer at batch 1 reads its weights once, where they are. */
typedef struct evi_gemm_args {
    int64_t m, n, k;
    const evi_real *a; /* [m,k]; with trans_a [k,m] */
    int64_t lda;
    const evi_real *b; /* [k,n]; with trans_b [n,k] */
    int64_t ldb;
    evi_real *c; /* [m,n] */
    int64_t ldc;
    bool trans_a, trans_b;
    bool accumulate;          /* then act must be none; bias is added as well */
    const evi_real *bias_row; /* m values, or NULL */
    const evi_real *bias_col; /* n values, or NULL: the bias of a dense layer */
    evk_act act;
} evi_gemm_args;

/* Scratch for a product of at most this size.  Never falls when m, n, k or n_workers grow. */
uint64_t evi_gemm_scratch_bytes(const evi_kernels *k, int64_t m, int64_t n, int64_t depth,
                                bool trans_a, bool trans_b, int32_t n_workers);
/* scratch: 64-byte aligned, of at least that many bytes for evi_crew_size(crew) workers. */
void evi_gemm(evi_crew *crew, const evi_kernels *k, const evi_gemm_args *args, void *scratch);

/* ---- long vectors on several threads: y = f(x) in pieces of a fixed size --------------------- */

void evi_act_forward(evi_crew *crew, const evi_kernels *k, int64_t n, const evi_real *x,
                     const evk_act *act, evi_real *y);
void evi_act_backward(evi_crew *crew, const evi_kernels *k, int64_t n, const evi_real *x,
                      const evi_real *y, const evi_real *dy, const evk_act *act, evi_real *dx,
                      bool add);

#endif
