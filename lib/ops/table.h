/* SPDX-License-Identifier: MIT */
/* The one list of all operations: X(name) stands for the descriptor evi_op_<name>, defined in the
 * file of that operation.  Where two operations share an ONNX name, the first is the one that a
 * model file means. */
#ifndef EVI_OPS_TABLE_H
#define EVI_OPS_TABLE_H

#include "ops/op.h"

#define EVI_OPS_WINDOW(X) \
    X(conv2d)             \
    X(conv_transpose2d)   \
    X(max_pool2d)         \
    X(average_pool2d)     \
    X(global_max_pool)    \
    X(global_average_pool)

#define EVI_OPS_MATRIX(X) \
    X(dense)              \
    X(matmul)

#define EVI_OPS_NORM(X) \
    X(batch_norm)       \
    X(instance_norm)    \
    X(layer_norm)       \
    X(lrn)              \
    X(softmax)          \
    X(log_softmax)      \
    X(dropout)

#define EVI_OPS_LOSS(X)   \
    X(cross_entropy)      \
    X(soft_cross_entropy) \
    X(mse_loss)           \
    X(l1_loss)            \
    X(bce_logits_loss)

/* Activations and arithmetic, element by element. */
#define EVI_OPS_ELEMENT(X) \
    X(relu)                \
    X(leaky_relu)          \
    X(prelu)               \
    X(clip)                \
    X(sigmoid)             \
    X(tanh)                \
    X(hard_swish)          \
    X(hard_sigmoid)        \
    X(add)                 \
    X(sub)                 \
    X(mul)                 \
    X(div)                 \
    X(sqrt)                \
    X(exp)                 \
    X(log)                 \
    X(neg)                 \
    X(abs)                 \
    X(sign)                \
    X(reciprocal)          \
    X(floor)               \
    X(ceil)                \
    X(round)               \
    X(sin)                 \
    X(cos)                 \
    X(erf)                 \
    X(gelu)                \
    X(elu)                 \
    X(selu)                \
    X(softplus)            \
    X(softsign)

#define EVI_OPS_COMPARE(X) \
    X(pow)                 \
    X(mod)                 \
    X(max)                 \
    X(min)                 \
    X(sum_of)              \
    X(mean_of)             \
    X(equal)               \
    X(greater)             \
    X(less)                \
    X(greater_or_equal)    \
    X(less_or_equal)       \
    X(and)                 \
    X(or)                  \
    X(xor)                 \
    X(not)                 \
    X(where)

#define EVI_OPS_REDUCE(X) \
    X(reduce_mean)        \
    X(reduce_sum)         \
    X(reduce_max)         \
    X(reduce_min)         \
    X(reduce_prod)        \
    X(reduce_l1)          \
    X(reduce_l2)          \
    X(reduce_sum_square)  \
    X(reduce_log_sum)     \
    X(reduce_log_sum_exp) \
    X(arg_max)            \
    X(arg_min)

/* Shapes and layout. */
#define EVI_OPS_SHAPE(X) \
    X(identity)          \
    X(flatten)           \
    X(reshape)           \
    X(squeeze)           \
    X(unsqueeze)         \
    X(concat)            \
    X(split)             \
    X(transpose)         \
    X(depth_to_space)    \
    X(space_to_depth)    \
    X(pad)               \
    X(slice)             \
    X(resize)            \
    X(upsample)          \
    X(gather)            \
    X(expand)            \
    X(tile)              \
    X(cast)              \
    X(shape)             \
    X(size)              \
    X(constant_of_shape) \
    X(range)

#define EVI_OPS_QUANT(X) \
    X(quantize_linear)   \
    X(dequantize_linear) \
    X(conv_integer)      \
    X(qlinear_conv)      \
    X(matmul_integer)    \
    X(qlinear_matmul)

#define EVI_OPS(X)     \
    EVI_OPS_WINDOW(X)  \
    EVI_OPS_MATRIX(X)  \
    EVI_OPS_NORM(X)    \
    EVI_OPS_LOSS(X)    \
    EVI_OPS_ELEMENT(X) \
    EVI_OPS_COMPARE(X) \
    EVI_OPS_REDUCE(X)  \
    EVI_OPS_SHAPE(X)   \
    EVI_OPS_QUANT(X)

#define EVI_OP_DECLARE(name) extern const evi_op evi_op_##name;
EVI_OPS(EVI_OP_DECLARE)

#endif
