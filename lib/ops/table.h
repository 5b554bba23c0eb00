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

/* Activations, elementwise, shapes and layout: add lines here. */
#define EVI_OPS_ELEMENT(X) \
    X(relu)                \
    X(leaky_relu)          \
    X(clip)                \
    X(sigmoid)             \
    X(tanh)                \
    X(hard_swish)          \
    X(hard_sigmoid)        \
    X(add)                 \
    X(sub)                 \
    X(mul)                 \
    X(div)

#define EVI_OPS_SHAPE(X) \
    X(identity)          \
    X(flatten)           \
    X(reshape)           \
    X(squeeze)           \
    X(unsqueeze)         \
    X(concat)            \
    X(split)

#define EVI_OPS(X)     \
    EVI_OPS_WINDOW(X)  \
    EVI_OPS_MATRIX(X)  \
    EVI_OPS_NORM(X)    \
    EVI_OPS_LOSS(X)    \
    EVI_OPS_ELEMENT(X) \
    EVI_OPS_SHAPE(X)

#define EVI_OP_DECLARE(name) extern const evi_op evi_op_##name;
EVI_OPS(EVI_OP_DECLARE)

#endif
