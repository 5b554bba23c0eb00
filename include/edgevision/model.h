/* SPDX-License-Identifier: MIT */
/**
 * @file edgevision/model.h
 * A model: a graph and its weights.  Draw it, load it, save it, look at it.            (tier 1)
 *
 * A model is drawn by function calls.  Each layer function takes values (numbers that stand for the
 * edges of the graph), checks shapes at once, and gives the value of its result.  Models may
 * contain calls of other models, whose weights they then share.
 *
 *     ev_model_create(ctx, &m);
 *     ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x);      // dims {-1, 3, 224, 224}
 *     ev_model_conv2d(m, x, 16, 3, NULL, &x);                        // 16 filters 3x3, same size
 *     ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, &x);
 *     ev_model_max_pool2d(m, x, 2, NULL, &x);
 *     ev_model_flatten(m, x, 1, &x);
 *     ev_model_dense(m, x, 4, NULL, &x);
 *     ev_model_output(m, "logits", x);
 *     ev_model_init(m, 1);
 *
 * The words for ownership, threads and shapes are those of edgevision/base.h.  Functions that draw
 * return EV_OK; EV_ERR_ARGUMENT: NULL, a value that this model does not have, an option out of
 * range; EV_ERR_SHAPE: the operation cannot be applied to these shapes or types (the line says
 * which); EV_ERR_STATE: the model has weights already (ev_model_init() or a file) and is closed
 * for drawing of layers with weights; EV_ERR_MEMORY.  Threads: single for all functions that
 * change a model; reading functions: any, as long as nobody changes it.
 */
#ifndef EDGEVISION_MODEL_H
#define EDGEVISION_MODEL_H

#include <edgevision/tensor.h>

EV_BEGIN_DECLS

/** A graph and its weights.  Threads: single; shared and read-only while sessions run. */
typedef struct ev_model ev_model;

/** An edge of the graph of one model: 0, 1, 2 ...; -1 is none. */
typedef int32_t ev_value;
#define EV_NO_VALUE (-1)

/** Make an empty model.  @param ctx [share]  @param out [new] ev_model_destroy().  Since: 0.1 */
EV_API ev_status ev_model_create(ev_context *ctx, ev_model **out);
/** A copy with weights of its own; called models are copied too.  Since: 0.1 */
EV_API ev_status ev_model_clone(const ev_model *model, ev_model **out);
/** Take another reference.  NULL is fine.  Threads: any.  Since: 0.1 */
EV_API ev_model *ev_model_ref(ev_model *model);
/** Give back one reference.  NULL is fine.  Threads: any.  Since: 0.1 */
EV_API void ev_model_destroy(ev_model *model);

/* ---- ends of the graph ---------------------------------------------------------------------- */

/**
 * Declare an input.
 *
 * @param name [borrow] unique among inputs
 * @param dims [borrow] rank sizes; -1 at index 0 means any number of images (drawn as 1)
 */
EV_API ev_status ev_model_input(ev_model *model, const char *name, int32_t type, int32_t rank,
                                const int64_t *dims, ev_value *out);
/** Use the elements of a tensor as a constant, which training does not change (copied). */
EV_API ev_status ev_model_constant(ev_model *model, const char *name, const ev_tensor *tensor,
                                   ev_value *out);
/** A trainable tensor of its own: for layers that this library does not have.  [borrow] dims. */
EV_API ev_status ev_model_parameter(ev_model *model, const char *name, int32_t rank,
                                    const int64_t *dims, int32_t init, float init_value,
                                    ev_value *out);
/** Declare a value as output number ev_model_n_outputs(). */
EV_API ev_status ev_model_output(ev_model *model, const char *name, ev_value value);
/**
 * Declare a value of one element as a loss: training minimises the sum of weight * loss.  A loss is
 * also an output, in the order of declaration after those declared with ev_model_output().
 */
EV_API ev_status ev_model_loss(ev_model *model, const char *name, ev_value value, float weight);

/* ---- layers ---------------------------------------------------------------------------------- */

/** How weights start (ev_model_init()).  Fan-in counts inputs times kernel area. */
enum {
    EV_INIT_DEFAULT = 0,  /**< EV_INIT_HE for weights, zero for biases */
    EV_INIT_HE = 1,       /**< normal, deviation sqrt(2 / fan_in) (He et al. 2015) */
    EV_INIT_GLOROT = 2,   /**< uniform, bound sqrt(6 / (fan_in + fan_out)) (2010) */
    EV_INIT_NORMAL = 3,   /**< normal, deviation init_value (N(0, 0.02) in a CycleGAN) */
    EV_INIT_CONSTANT = 4, /**< all init_value */
    EV_INIT_UNIFORM = 5   /**< uniform, bound sqrt(1 / fan_in) (PyTorch's habit) */
};

/** Options of convolutions.  Zero means the default; a negative number says "explicitly zero". */
typedef struct ev_conv2d_options {
    uint32_t struct_size;
    int32_t kernel_w;        /**< default: as high as wide */
    int32_t stride_h, stride_w;     /**< default 1 */
    int32_t dilation_h, dilation_w; /**< default 1 */
    /** Zeros around: top, left, bottom, right.  All zero: "same" ((kernel-1)*dilation/2) when
        stride is 1, otherwise none; a negative number: no padding on that side. */
    int32_t pad_top, pad_left, pad_bottom, pad_right;
    int32_t output_pad_h, output_pad_w; /**< transposed only: rows and columns added at the end */
    int32_t groups;          /**< default 1; c_in: depthwise */
    int32_t no_bias;         /**< 1: no bias */
    int32_t init;            /**< EV_INIT_* of the weights */
    float init_value;
    const char *name;        /**< [borrow] of the layer; default "conv1", "conv2" ... */
} ev_conv2d_options;

/**
 * Convolution: x [N,C,H,W] -> [N,filters,H',W'].  Weights "<name>.weight" [filters,C/groups,kh,kw],
 * "<name>.bias" [filters].
 */
EV_API ev_status ev_model_conv2d(ev_model *model, ev_value x, int32_t filters, int32_t kernel,
                                 const ev_conv2d_options *opt, ev_value *out);
/**
 * Transposed convolution: H' = (H-1)*stride - pads + dilation*(kernel-1) + 1 + output_pad.  Padding
 * zero means none here.  Weights [C,filters/groups,kh,kw].
 */
EV_API ev_status ev_model_conv_transpose2d(ev_model *model, ev_value x, int32_t filters,
                                           int32_t kernel, const ev_conv2d_options *opt,
                                           ev_value *out);

typedef struct ev_dense_options {
    uint32_t struct_size;
    int32_t no_bias;
    int32_t init;
    float init_value;
    const char *name; /**< default "dense1" ... */
} ev_dense_options;
/** Dense layer: x [N,K] -> [N,units].  Weights "<name>.weight" [units,K], "<name>.bias" [units]. */
EV_API ev_status ev_model_dense(ev_model *model, ev_value x, int32_t units,
                                const ev_dense_options *opt, ev_value *out);
/** Matrix product of two values, with numpy's broadcasting of leading dimensions. */
EV_API ev_status ev_model_matmul(ev_model *model, ev_value a, ev_value b, ev_value *out);

typedef struct ev_pool2d_options {
    uint32_t struct_size;
    int32_t kernel_w;           /**< default: as high as wide */
    int32_t stride_h, stride_w; /**< default: the kernel's size */
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left, pad_bottom, pad_right; /**< default none */
    int32_t ceil_mode;          /**< 1: a window that hangs over the end counts */
    int32_t count_include_pad;  /**< average: 1: divide by the whole window */
} ev_pool2d_options;
EV_API ev_status ev_model_max_pool2d(ev_model *model, ev_value x, int32_t kernel,
                                     const ev_pool2d_options *opt, ev_value *out);
EV_API ev_status ev_model_average_pool2d(ev_model *model, ev_value x, int32_t kernel,
                                         const ev_pool2d_options *opt, ev_value *out);
/** [N,C,H,W] -> [N,C,1,1] */
EV_API ev_status ev_model_global_max_pool(ev_model *model, ev_value x, ev_value *out);
EV_API ev_status ev_model_global_average_pool(ev_model *model, ev_value x, ev_value *out);

typedef struct ev_norm_options {
    uint32_t struct_size;
    float epsilon;    /**< default 1e-5 */
    float momentum;   /**< batch norm: share of the new batch in the running values (default 0.1) */
    int32_t affine;   /**< scale and shift: 1 with, -1 without (default: batch with,
                           instance without) */
    const char *name; /**< default "norm1" ... */
    uint64_t reserved;
} ev_norm_options;
/** Batch normalisation (Ioffe and Szegedy 2015): batch statistics in training, else running. */
EV_API ev_status ev_model_batch_norm(ev_model *model, ev_value x, const ev_norm_options *opt,
                                     ev_value *out);
/** Instance normalisation (Ulyanov et al. 2016): statistics of each image and channel. */
EV_API ev_status ev_model_instance_norm(ev_model *model, ev_value x, const ev_norm_options *opt,
                                        ev_value *out);

/** Activations.  A number, once given, keeps its meaning. */
enum {
    EV_ACTIVATION_RELU = 1,       /**< max(x, 0) */
    EV_ACTIVATION_LEAKY_RELU = 2, /**< x or alpha * x; alpha 0 means 0.01 */
    EV_ACTIVATION_CLIP = 3,       /**< alpha..beta; ReLU6 is 0, 6 */
    EV_ACTIVATION_SIGMOID = 4,
    EV_ACTIVATION_TANH = 5,
    EV_ACTIVATION_HARD_SWISH = 6,
    EV_ACTIVATION_HARD_SIGMOID = 7 /**< clip(alpha * x + beta, 0, 1); both 0 mean 0.2, 0.5 */
};
EV_API ev_status ev_model_activation(ev_model *model, ev_value x, int32_t activation, float alpha,
                                     float beta, ev_value *out);
/** PReLU with one learned slope a channel, "<name>.slope" [C,1,1], started at 0.25. */
EV_API ev_status ev_model_prelu(ev_model *model, ev_value x, const char *name, ev_value *out);
/** Softmax along @p axis (-1: the last). */
EV_API ev_status ev_model_softmax(ev_model *model, ev_value x, int32_t axis, ev_value *out);
EV_API ev_status ev_model_log_softmax(ev_model *model, ev_value x, int32_t axis, ev_value *out);
/** In training each element is dropped with chance @p rate (0..1, below 1), the rest scaled up. */
EV_API ev_status ev_model_dropout(ev_model *model, ev_value x, float rate, ev_value *out);

/** Element by element with numpy's broadcasting. */
EV_API ev_status ev_model_add(ev_model *model, ev_value a, ev_value b, ev_value *out);
EV_API ev_status ev_model_sub(ev_model *model, ev_value a, ev_value b, ev_value *out);
EV_API ev_status ev_model_mul(ev_model *model, ev_value a, ev_value b, ev_value *out);
EV_API ev_status ev_model_div(ev_model *model, ev_value a, ev_value b, ev_value *out);

/** Join @p n values along @p axis. */
EV_API ev_status ev_model_concat(ev_model *model, const ev_value *values, int32_t n, int32_t axis,
                                 ev_value *out);
/** Dimensions before @p axis become one, those from it on another: [N,C,H,W], 1 -> [N,C*H*W]. */
EV_API ev_status ev_model_flatten(ev_model *model, ev_value x, int32_t axis, ev_value *out);
/** 0 keeps the size at that place, one -1 is found out. */
EV_API ev_status ev_model_reshape(ev_model *model, ev_value x, int32_t rank, const int64_t *dims,
                                  ev_value *out);
/** @param order [borrow] axis of x for each axis of the result; @p rank numbers. */
EV_API ev_status ev_model_transpose(ev_model *model, ev_value x, int32_t rank, const int32_t *order,
                                    ev_value *out);

/** How to fill a border. */
enum { EV_PAD_ZERO = 0, EV_PAD_REFLECT = 1, EV_PAD_EDGE = 2 };
/** Widen [N,C,H,W] by rows and columns. */
EV_API ev_status ev_model_pad2d(ev_model *model, ev_value x, int32_t mode, int32_t top,
                                int32_t left, int32_t bottom, int32_t right, ev_value *out);

/** How to resize, and ONNX's coordinate modes. */
enum { EV_INTERPOLATE_NEAREST = 0, EV_INTERPOLATE_BILINEAR = 1 };
enum { EV_COORDINATES_HALF_PIXEL = 0, EV_COORDINATES_PYTORCH_HALF_PIXEL = 1,
       EV_COORDINATES_ALIGN_CORNERS = 2, EV_COORDINATES_ASYMMETRIC = 3 };
/** Resize [N,C,H,W] to [N,C,height,width]. */
EV_API ev_status ev_model_resize(ev_model *model, ev_value x, int32_t height, int32_t width,
                                 int32_t mode, int32_t coordinates, ev_value *out);
/** Entries start..end-1 along one axis, every step-th; negative positions count from the end. */
EV_API ev_status ev_model_slice(ev_model *model, ev_value x, int32_t axis, int64_t start,
                                int64_t end, int64_t step, ev_value *out);
/** Cut along @p axis into @p n parts of the given sizes; @p out [n] values. */
EV_API ev_status ev_model_split(ev_model *model, ev_value x, int32_t axis, int32_t n,
                                const int64_t *sizes, ev_value *out);
EV_API ev_status ev_model_identity(ev_model *model, ev_value x, ev_value *out);

/* ---- losses: values of one element ------------------------------------------------------------
 * */

typedef struct ev_loss_options {
    uint32_t struct_size;
    float label_smoothing;    /**< cross entropy: 0..1 (Szegedy et al. 2016) */
    const float *class_weights; /**< [borrow] one a class, or NULL; the mean is weighted */
    int32_t n_class_weights;
    float temperature;        /**< soft cross entropy (Hinton et al. 2015); default 1 */
} ev_loss_options;
/** Mean cross entropy of logits [N,C] or [N,C,...] with integer labels (int32) [N] or [N,...]. */
EV_API ev_status ev_model_cross_entropy(ev_model *model, ev_value logits, ev_value labels,
                                        const ev_loss_options *opt, ev_value *out);
/** Mean cross entropy of logits [N,C] with target probabilities [N,C]. */
EV_API ev_status ev_model_soft_cross_entropy(ev_model *model, ev_value logits, ev_value target,
                                             const ev_loss_options *opt, ev_value *out);
/** Mean of (x - target)^2.  @p target EV_NO_VALUE: the constant @p value (least-squares GAN). */
EV_API ev_status ev_model_mse_loss(ev_model *model, ev_value x, ev_value target, float value,
                                   ev_value *out);
/** Mean of |x - target|. */
EV_API ev_status ev_model_l1_loss(ev_model *model, ev_value x, ev_value target, float value,
                                  ev_value *out);
/** Mean binary cross entropy of logits with targets 0..1. */
EV_API ev_status ev_model_bce_logits_loss(ev_model *model, ev_value x, ev_value target, float value,
                                          ev_value *out);

/* ---- models inside models
 * ----------------------------------------------------------------------- */

/**
 * Call another model on values of this one.  The weights stay those of @p callee and are shared by
 * all its calls.
 *
 * @param callee  [share]  not this model, nor one that calls it
 * @param inputs  [borrow] as many as the callee has inputs
 * @param frozen  1: gradients pass through this call, but its weights get none (and running
 * statistics
 *                stay)
 * @param outputs [borrow] room for as many as the callee has outputs; filled
 */
EV_API ev_status ev_model_call(ev_model *model, ev_model *callee, const ev_value *inputs,
                               int32_t n_inputs, int32_t frozen, ev_value *outputs,
                               int32_t n_outputs);

/* ---- weights
 * ------------------------------------------------------------------------------------ */

/**
 * Give all weights of this model (and of called models that have none yet) their memory and their
 * starting values, by the layers' init options.  Same seed, same bits.
 */
EV_API ev_status ev_model_init(ev_model *model, uint64_t seed);
/** Do not train the weights whose name starts with @p prefix ("" is all); 0 frees them again. */
EV_API ev_status ev_model_freeze(ev_model *model, const char *prefix, int32_t frozen);

/** Number of weight tensors of this model itself (running statistics of norms included). */
EV_API int32_t ev_model_n_weights(const ev_model *model);
/** Name of weight tensor @p index, borrowed; NULL when there is none. */
EV_API const char *ev_model_weight_name(const ev_model *model, int32_t index);
/**
 * A view of a weight tensor's elements.  Writing through it needs ev_model_touch().  [new] out.
 * The weights of a mapped file are copied into memory by the first such call, so it may give
 * EV_ERR_MEMORY, and counts as a change for threads.  EV_ERR_STATE: sealed.
 */
EV_API ev_status ev_model_weight(ev_model *model, const char *name, ev_tensor **out);
/** Tell that weights were changed from outside: older plans answer EV_ERR_STALE. */
EV_API ev_status ev_model_touch(ev_model *model);
/**
 * Promise that the weights stay as they are: those of this model and of all that it calls.  From
 * then on ev_model_init(), ev_model_weight(), ev_model_touch(), ev_model_freeze(), training and
 * pruning answer EV_ERR_STATE, also through other models that call these.  Plans may be made, also
 * after others, from any thread; saving goes on as before; a clone is not sealed.  Weights that
 * lie in a mapped file stay there for ever: what a plan has packed leaves the process's memory and
 * comes back from the file when somebody reads it again.  End views from ev_model_weight() before.
 *
 * @return EV_OK, also when it is sealed already; EV_ERR_STATE: there are no weights yet;
 *         EV_ERR_MEMORY
 *
 * Threads: single; then any.  Since: 0.1
 */
EV_API ev_status ev_model_seal(ev_model *model);
/** Trainable numbers, called models included, each counted once; -1 for NULL. */
EV_API int64_t ev_model_parameter_count(const ev_model *model);
/** Multiply-adds for one image at the drawn size (transposed convolutions at input resolution). */
EV_API int64_t ev_model_macs(const ev_model *model);

/* ---- looking at it
 * --------------------------------------------------------------------------------- */

EV_API int32_t ev_model_n_inputs(const ev_model *model);
EV_API int32_t ev_model_n_outputs(const ev_model *model);
/** Name, borrowed; NULL when there is none. */
EV_API const char *ev_model_input_name(const ev_model *model, int32_t index);
EV_API const char *ev_model_output_name(const ev_model *model, int32_t index);
/** Shape as drawn (-1: any number).  @p dims_out [borrow] room for EV_MAX_RANK.  Rank, or -1. */
EV_API int32_t ev_model_input_dims(const ev_model *model, int32_t index, int64_t *dims_out);
EV_API int32_t ev_model_output_dims(const ev_model *model, int32_t index, int64_t *dims_out);
/** Shape of any value of this model. */
EV_API int32_t ev_model_value_dims(const ev_model *model, ev_value value, int64_t *dims_out);

/** Texts that describe the model; end them with ev_string_destroy(). */
enum {
    EV_DESCRIBE_TABLE = 0, /**< a line a layer: name, kind, output, parameters, multiply-adds */
    EV_DESCRIBE_JSON = 1,  /**< the same for machines */
    EV_DESCRIBE_DOT = 2    /**< Graphviz */
};
EV_API ev_status ev_model_describe(const ev_model *model, int32_t kind, char **out);
/** End a text that the library gave away, also after its context.  NULL is fine.  Threads: any. */
EV_API void ev_string_destroy(char *text);

/** Free-form notes that go into the file: key and value texts.  value NULL removes. */
EV_API ev_status ev_model_set_meta(ev_model *model, const char *key, const char *value);
/** Borrowed; NULL when there is none. */
EV_API const char *ev_model_meta(const ev_model *model, const char *key);
/** Key of note @p index, borrowed, in no particular order; NULL past the last. */
EV_API const char *ev_model_meta_key(const ev_model *model, int32_t index);

/** What to do to a picture before the model sees it; kept in the model's metadata. */
typedef struct ev_preprocess {
    uint32_t struct_size;
    int32_t width, height; /**< pixels; default: the input's */
    int32_t bgr;           /**< 1: blue first */
    float mean[3];         /**< subtracted from values 0..1 */
    float std[3];          /**< then divided by; 0 means 1 */
    int32_t resize;        /**< EV_RESIZE of edgevision/image.h */
    int32_t reserved;
} ev_preprocess;
EV_API ev_status ev_model_set_preprocess(ev_model *model, const ev_preprocess *preprocess);
/** Filled with what the model says, or with the defaults and the input's size. */
EV_API ev_status ev_model_preprocess(const ev_model *model, ev_preprocess *out);
/** Names of the classes, in order.  Names may not contain a newline. */
EV_API ev_status ev_model_set_classes(ev_model *model, const char *const *names, int32_t n);
/** Number of class names, 0 when unknown. */
EV_API int32_t ev_model_n_classes(const ev_model *model);
/** Borrowed; NULL when there is none. */
EV_API const char *ev_model_class_name(const ev_model *model, int32_t index);

/* ---- files (ONNX)
 * ----------------------------------------------------------------------------------- */

typedef struct ev_load_options {
    uint32_t struct_size;
    int32_t n_bound;           /**< numbers of entries at bound_names and bound_values */
    uint64_t max_file_bytes;   /**< default 2 GiB */
    int64_t max_nodes;         /**< default 65,536 */
    /** [borrow] inputs to fix to the elements of a tensor (copied): they become constants.  For
        files whose shapes depend on an input, such as the target of a reshape. */
    const char *const *bound_names;
    const ev_tensor *const *bound_values; /**< [borrow] */
    /** 1: read the file into memory.  By default a regular file of 1 MiB and more is mapped, and
        its weights are used where they lie (those of a file written by ev_model_save(); others
        where their place allows it).  They are then pages of the page cache: they count against no
        limit, processes share them, and the kernel may take them back.  The file must stay as it is
        while the model lives: replace it by renaming a new one over it, as ev_model_save() does,
        which leaves the old one to those who have it.  Writing into it changes the model; cutting
        it off ends the process (SIGBUS) when the missing part is read.  Files of which others
        decide: 1. */
    int32_t no_map;
    int32_t reserved;          /**< zero */
} ev_load_options;
/**
 * Read an ONNX model (opset 1 on).  Operators that are not supported are all listed in the error
 * line and in the log, by node name.
 *
 * @return EV_OK; EV_ERR_IO; EV_ERR_FORMAT: damaged, the line names the place; EV_ERR_UNSUPPORTED:
 * an
 *         operator, external data; EV_ERR_SHAPE; EV_ERR_MEMORY
 */
EV_API ev_status ev_model_load(ev_context *ctx, const char *path, const ev_load_options *opt,
                               ev_model **out);
EV_API ev_status ev_model_load_memory(ev_context *ctx, const void *data, uint64_t n_bytes,
                                      const ev_load_options *opt, ev_model **out);
/** Write as ONNX, opset 17, atomically: the old file stays until the new one is whole. */
EV_API ev_status ev_model_save(const ev_model *model, const char *path);
/** The same into memory.  @param data_out [new] ev_bytes_destroy() */
EV_API ev_status ev_model_save_memory(const ev_model *model, void **data_out,
                                      uint64_t *n_bytes_out);
EV_API void ev_bytes_destroy(void *data);

EV_END_DECLS

#endif /* EDGEVISION_MODEL_H */
