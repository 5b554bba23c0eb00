/* SPDX-License-Identifier: MIT */
/* The op descriptor: one operation, one file, all its faces (shape, plan, forward, backward, what
 * pruning must keep together, cost).  docs/adding-an-op.md tells how to add one.
 *
 * Three moments, and each kind of failure has its moment: drawing (infer) finds shape errors,
 * planning (prepare) sizes memory, running (forward, backward) cannot fail and cannot allocate. */
#ifndef EVI_OP_H
#define EVI_OP_H

#include "base/base.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "tensor/tensor.h"

/* ---- attributes: one flat struct for all ops, so that a node can be copied and compared ------ */

#define EVI_MAX_LIST 16

enum {
    EVI_AUTO_PAD_NONE = 0,
    EVI_AUTO_PAD_SAME_UPPER,
    EVI_AUTO_PAD_SAME_LOWER,
    EVI_AUTO_PAD_VALID
};
enum { EVI_PAD_ZERO = 0 /* constant: alpha */, EVI_PAD_REFLECT, EVI_PAD_EDGE, EVI_PAD_WRAP };
enum { EVI_RESIZE_NEAREST = 0, EVI_RESIZE_LINEAR, EVI_RESIZE_CUBIC };
enum { /* ONNX coordinate_transformation_mode */
    EVI_COORD_HALF_PIXEL = 0, EVI_COORD_PYTORCH_HALF_PIXEL, EVI_COORD_ALIGN_CORNERS,
    EVI_COORD_ASYMMETRIC, EVI_COORD_TF_CROP_AND_RESIZE, EVI_COORD_HALF_PIXEL_SYMMETRIC,
    EVI_COORD_TF_HALF_PIXEL
};
enum { /* ONNX nearest_mode */
    EVI_NEAREST_ROUND_PREFER_FLOOR = 0, EVI_NEAREST_ROUND_PREFER_CEIL, EVI_NEAREST_FLOOR,
    EVI_NEAREST_CEIL
};
enum { EVI_ASPECT_STRETCH = 0, EVI_ASPECT_NOT_LARGER, EVI_ASPECT_NOT_SMALLER };
enum { EVI_REDUCE_MEAN_OF_BATCH = 0, EVI_REDUCE_SUM, EVI_REDUCE_NONE }; /* of losses */

/* A flag of batch_norm beside its own: running numbers in plans for training too; they stay. */
#define EVI_BATCH_NORM_RUNNING 4

typedef struct evi_list { /* small list of integers */
    int32_t n;
    int32_t set; /* 0: not given, which differs from given and empty */
    int64_t v[EVI_MAX_LIST];
} evi_list;

typedef struct evi_attrs {
    /* windows: conv, conv_transpose, pool.  1-D ops have kernel[0] = 1 and h = 1 (rank 3 in ONNX).
     * */
    int32_t kernel[2], stride[2], dilation[2], output_pad[2]; /* [0] vertical, [1] horizontal */
    int32_t pad[4];                                           /* top, left, bottom, right */
    int32_t groups, auto_pad, ceil_mode, count_include_pad, storage_order;
    int32_t axis;      /* softmax, concat, gather, flatten, split ...; may be negative */
    int32_t keep_dims; /* reductions */
    int32_t trans_a, trans_b; /* dense (ONNX Gemm): transB 1 is the ordinary dense layer */
    int32_t mode;      /* EVI_PAD_*, EVI_RESIZE_*, ... */
    int32_t coord, nearest, aspect, exclude_outside, antialias; /* resize */
    int32_t to_type;   /* cast, constant of shape */
    int32_t reduce;    /* losses: EVI_REDUCE_* */
    int32_t allow_zero;/* reshape */
    int32_t flag;      /* op's own */
    int32_t opset;     /* of the imported node, where the meaning changed; 0: newest */
    float alpha, beta;         /* leaky slope, clip low/high, gemm factors, pad value ... */
    float epsilon, momentum;   /* norms: running = momentum * running + (1-m) * batch */
    float rate;                /* dropout */
    float smoothing;           /* label smoothing */
    float cubic_a, extrapolation;
    evi_list list;  /* perm, shape, split sizes, axes of reduce, pads (begins, ends) */
    evi_list list2; /* slice: ends; resize: sizes */
    evi_list list3; /* slice: axes; resize: axes */
    evi_list list4; /* slice: steps */
    float scales[EV_MAX_RANK]; /* resize; n in list.n when list.set */
    float roi[2 * EV_MAX_RANK];
} evi_attrs;

/* Strides, dilations and groups 1; epsilon 1e-5; momentum 0.9. */
void evi_attrs_default(evi_attrs *a);

/* ---- edges: what is known about a value when a model is drawn or planned --------------------- */

typedef struct evi_edge {
    int32_t type; /* EV_TYPE_*; 0: the optional input is absent */
    int32_t axis; /* of per-channel quantisation (reserved) */
    evi_shape shape;
    const void *value; /* elements, when they are known now (constants, folded shapes); else NULL.
                          Parameters (weights) are never known. */
    float scale, zero_point; /* quantisation (reserved) */
} evi_edge;

/* ---- steps: what an op sees when planned and run --------------------------------------------- */

typedef struct evi_view {
    int32_t type; /* EV_TYPE_* */
    int32_t is_param;
    evi_shape shape; /* of this run: dim 0 may be smaller than planned */
    void *data;      /* NULL while planning, but for constants and parameters */
    evi_real *grad;  /* NULL: nobody wants this gradient */
} evi_view;

typedef struct evi_step {
    const struct evi_op *op;
    evi_attrs a;           /* own copy, with what infer resolved */
    evi_view **in, **out;  /* in[i] is NULL for an absent optional input */
    int32_t n_in, n_out;
    const evi_kernels *k;
    evi_crew *crew;        /* of this run */
    int32_t n_workers;     /* most workers that a crew may have: sizes per-worker scratch */
    int32_t training;      /* the plan is for training: dropout drops, batch norm uses the batch */
    int32_t frozen;        /* training, but the running statistics of norms must not move */
    int32_t precise;       /* no Winograd and the like */
    int32_t variant;       /* the op's own choice, made in prepare */
    int32_t act;           /* fused activation, EVI_ACT_*; only for ops with EVI_OP_FUSES_ACT */
    float act_alpha, act_beta;
    int32_t pooled;        /* conv2d: out[0] lies behind a fused 2x2 max pool of stride 2 */
    uint64_t grad_first;   /* bit i: gradient of input i is written for the first time: = not += */
    /* Sizes that prepare asks for (largest batch), and the memory that was set aside. */
    uint64_t packed_bytes;  /* weights made ready, once per plan; not in training */
    uint64_t scratch_bytes; /* nothing kept between steps */
    uint64_t saved_bytes;   /* kept from forward to backward (masks, indices, statistics) */
    void *packed, *scratch, *saved;
    evi_rng rng;            /* of this node; element index = counter * 2^32 + element */
    uint64_t counter;       /* training step */
    int32_t fault;          /* set by forward when a data-dependent index was out of range */
} evi_step;

/* ---- pruning: which channels live and die together ------------------------------------------- */

/* Channel c (0..count-1) of a set is, in operand `operand`, along `axis`, the indices
 * offset + c*block .. offset + c*block + block-1.  All slices of one set are tied: channel c of one
 * cannot go without channel c of the others.  Operand i >= 0 is input i, ~o is output o. */
typedef struct evi_slice {
    int32_t operand, axis, set;
    int32_t pad;
    int64_t offset, count, block;
} evi_slice;

#define EVI_MAX_SLICES 256
typedef struct evi_coupling {
    int32_t n;       /* slices */
    int32_t n_sets;
    const char *blocked; /* why nothing that touches this op may be pruned, or NULL */
    evi_slice slice[EVI_MAX_SLICES];
} evi_coupling;

int32_t evi_couple_set(evi_coupling *c); /* a new set */
void evi_couple(evi_coupling *c, int32_t set, int32_t operand, int32_t axis, int64_t offset,
                int64_t count, int64_t block);
/* Tie axis `axis` of every input with the same size there and of all outputs, one to one. */
void evi_couple_same(evi_coupling *c, const evi_edge *in, int32_t n_in, const evi_edge *out,
                     int32_t n_out, int32_t axis);

/* ---- the descriptor -------------------------------------------------------------------------- */

enum {
    EVI_OP_INPLACE = 1 << 0,      /* out[0] may lie over in[0], and its gradient over in[0]'s
                                     (elementwise; backward reads out or saved, never in) */
    EVI_OP_BWD_OUT = 1 << 1,      /* backward reads out[0]->data */
    EVI_OP_FUSES_ACT = 1 << 2,    /* obeys s->act (in training: conv2d only relu, norms
                                     relu and leaky relu) */
    EVI_OP_ACT = 1 << 3,          /* is an activation that may be fused (graph/fuse.c) */
    EVI_OP_TRAIN_ONLY_EFFECT = 1 << 4, /* identity outside training (dropout): dropped from plans */
    EVI_OP_SHAPE_ONLY = 1 << 5,   /* output depends on the input's shape alone (Shape): folded */
    EVI_OP_LOSS = 1 << 6,         /* out[0] is one number; a root of backward */
    EVI_OP_RANDOM = 1 << 7,       /* uses s->rng */
    EVI_OP_ACT_FROM_IN = 1 << 9,  /* backward tells from in[0] which way a fused relu or leaky relu
                                     went, and so may have one in training */
    EVI_OP_AGAIN = 1 << 10,       /* forward is cheap and may run a second time, in backward; it
                                     has no effect but out and saved, backward does not read out */
    EVI_OP_VIEW = 1 << 8          /* out[0] has the elements of in[0] in the same order (reshape,
                                     flatten, identity): they may share memory and the step be
                                     left out; forward and backward must still work (copy) */
};

typedef struct evi_op {
    const char *name;    /* "conv2d": ours, in tables and messages */
    const char *onnx;    /* "Conv"; NULL: cannot be written as ONNX */
    uint32_t traits;
    uint32_t bwd_in;     /* bit i: backward reads in[i]->data */
    int32_t min_in, max_in, max_out; /* number of inputs and outputs allowed */
    /* Shapes and types of the outputs from those of the inputs; resolves into *a what comes from
     * constant inputs (auto_pad into pad, slice bounds, -1 in reshape ...).  Called again for each
     * batch size, so it must be idempotent: keep what was given, write what was resolved elsewhere.
     * The error names what does not fit; the caller prefixes the node's name. */
    ev_status (*infer)(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                       int32_t n_out);
    /* Sizes of packed, scratch and saved memory; choice of variant.  NULL: needs nothing. */
    void (*prepare)(evi_step *s);
    /* Fill s->packed from in[]->data (weights).  Only in plans for inference.  May be NULL. */
    void (*pack)(evi_step *s);
    void (*forward)(evi_step *s);
    /* Adds d loss / d in[i] into in[i]->grad for each i with a grad (see evi_grad_start), given
     * out[]->grad.  NULL: inference only. */
    void (*backward)(evi_step *s);
    void (*channels)(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                     int32_t n_out, evi_coupling *c); /* NULL: blocked */
    /* Floating-point operations of forward (a multiply-add counts 2; transposed convolution at
     * input resolution; elementwise ops 1 per element).  NULL: 0. */
    double (*flops)(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                    int32_t n_out);
    /* What forward does with these shapes, for profiles: "direct", "winograd" ...  NULL: nothing
     * to tell. */
    const char *(*kernel)(const evi_step *s);
} evi_op;

/* What only training needs: in a build without it nobody refers to it, and it is left out. */
#ifdef EVI_NO_TRAINING
#define EVI_BACKWARD(function) (0 ? (function) : (void (*)(evi_step *))0)
#else
#define EVI_BACKWARD(function) (function)
#endif

const evi_op *evi_op_find(const char *name);       /* by our name; NULL */
const evi_op *evi_op_find_onnx(const char *onnx);  /* first with this ONNX name; NULL */
const evi_op *evi_op_at(int32_t i);                /* NULL past the end: to list all */

/* Gradient of input i to add into, or NULL when nobody wants it.  Zeroed first when this is the
 * first contribution.  Ops that can overwrite look at grad_first themselves instead. */
evi_real *evi_grad_start(evi_step *s, int32_t i);
static inline bool evi_grad_is_first(const evi_step *s, int32_t i)
{
    return (s->grad_first >> i) & 1;
}
static inline evi_real *evi_in(const evi_step *s, int32_t i)
{
    return (evi_real *)s->in[i]->data;
}
static inline evi_real *evi_out(const evi_step *s, int32_t i)
{
    return (evi_real *)s->out[i]->data;
}
static inline bool evi_has_in(const evi_step *s, int32_t i)
{
    return i < s->n_in && s->in[i] != NULL;
}
/* Split n elements over the crew in pieces of a fixed size and call fn(arg, first, count). */
typedef void (*evi_range_fn)(void *arg, int64_t first, int64_t count);
void evi_for_ranges(evi_crew *crew, int64_t n, int64_t piece, evi_range_fn fn, void *arg);

/* Numpy-style broadcasting of two shapes; false when they do not fit. */
bool evi_broadcast(const evi_shape *a, const evi_shape *b, evi_shape *out);
/* Axis -rank..rank-1 to 0..rank-1; false when out of range. */
bool evi_axis(int32_t axis, int32_t rank, int32_t *out);

#endif
