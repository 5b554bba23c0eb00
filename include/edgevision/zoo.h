/* SPDX-License-Identifier: MIT */
/**
 * @file edgevision/zoo.h
 * Known networks, drawn as ordinary models: the ladder Arch1..Arch11, small residual nets, the
 * CycleGAN's generator and discriminator.                                             (tier 2)
 *
 * Each function gives a model that is drawn but has no weights yet: ev_model_init() gives them
 * (one may draw more before that), or a file does.  The input is called "image", [N,C,H,W] with any
 * number of images; a classifier's output is "logits" [N,classes], before the softmax.
 *
 * The words for ownership, threads and shapes are those of edgevision/base.h.
 */
#ifndef EDGEVISION_ZOO_H
#define EDGEVISION_ZOO_H

#include <edgevision/model.h>

EV_BEGIN_DECLS

/* ---- classifiers ----------------------------------------------------------------------------- */

/** What a classifier looks at and tells apart.  Zero means the default everywhere. */
typedef struct ev_zoo_options {
    uint32_t struct_size; /**< set by EV_OPTIONS_INIT */
    int32_t width;        /**< pixels, 1..65535 (default 224; ResNet-20/56: 32) */
    int32_t height;       /**< pixels, 1..65535 (default: as width) */
    int32_t channels;     /**< of the picture, 1..4096 (default 3) */
    int32_t n_classes;    /**< 1..65536 (default 4) */
    float dropout;        /**< chance of dropping an input of a hidden dense layer, 0 <= p < 1
                               (default 0; the trainer's option of this name can change it) */
} ev_zoo_options;

/** One row of the paper's table 1.  Filled in by the library; texts are static. */
typedef struct ev_zoo_row {
    uint32_t struct_size;   /**< set by EV_OPTIONS_INIT */
    int32_t number;         /**< 1..11 */
    const char *name;       /**< "Arch5" */
    const char *size;       /**< parameters as the paper rounds them, "1.5 M" */
    const char *dense;      /**< units of the hidden dense layers, "128" or "2x4,096" */
    const char *filters;    /**< of the convolutions, a slash at each pooling, "16/32/56/56" */
    int32_t n_convolutions; /**< 2..13 */
    int32_t n_dense;        /**< hidden dense layers, 1 or 2 */
    int64_t parameters;     /**< at 224x224x3 with 4 classes */
    int64_t macs;           /**< multiply-adds for one picture of that size */
} ev_zoo_row;

/** Number of rows of the ladder: 11.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_zoo_n_archs(void);

/**
 * What a row of the ladder says.
 *
 * @param number 1..11
 * @param out    [borrow] struct_size set by EV_OPTIONS_INIT; filled
 * @return EV_OK; EV_ERR_ARGUMENT: no such row
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_zoo_arch_row(int32_t number, ev_zoo_row *out);

/** Number of a row by name ("Arch5", "arch5", "5", "M5"); 0: none.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_zoo_arch_number(const char *name);

/**
 * Draw a network of the ladder: 3x3 convolutions that keep the size, each with bias and ReLU; a 2x2
 * maximum after each block; hidden dense layers with ReLU, dropout before each; a last dense layer.
 * Arch11 is VGG16 (Simonyan and Zisserman 2015) with another last layer.  Weights start by He et
 * al. 2015 (the last layer: Glorot and Bengio 2010), biases at zero.
 *
 * @param ctx    [share]
 * @param number 1..11
 * @param opt    [borrow] NULL: all defaults
 * @param out    [new]    ev_model_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT: no such row, an option out of range; EV_ERR_SHAPE: the picture is
 *         too small for the poolings; EV_ERR_VERSION; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_zoo_arch(ev_context *ctx, int32_t number, const ev_zoo_options *opt,
                             ev_model **out);

/**
 * Draw any network by name: the ladder's, "ResNet-20", "ResNet-56" (for pictures of 32x32) or
 * "ResNet-18" (for 224x224).  Capitals and hyphens do not matter.
 *
 * @return as ev_zoo_arch(); EV_ERR_ARGUMENT: no such name, the line lists them
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_zoo_create(ev_context *ctx, const char *name, const ev_zoo_options *opt,
                               ev_model **out);

/** Name number @p index of those that ev_zoo_create() knows, or NULL.  Threads: any.  Since: 0.1 */
EV_API const char *ev_zoo_name(int32_t index);

/**
 * Draw a residual net for small pictures (He et al. 2016, section 4.2): a convolution of 16, three
 * stages of (depth - 2) / 6 blocks of two convolutions with 16, 32 and 64 filters, batch norm, mean
 * over the picture, one dense layer.  Where a stage halves the picture the shortcut takes every
 * other pixel and is filled up with zero channels (option A, no weights).
 *
 * @param depth 6n + 2: 8, 14, 20 ... 1202
 * @return as ev_zoo_arch()
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_zoo_resnet_small(ev_context *ctx, int32_t depth, const ev_zoo_options *opt,
                                     ev_model **out);

/**
 * Draw ResNet-18 (He et al. 2016, table 1): a 7x7 convolution of 64 and a maximum, four stages of
 * two blocks with 64, 128, 256 and 512 filters, 1x1 convolutions on the shortcuts that change
 * shape.
 *
 * @return as ev_zoo_arch()
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_zoo_resnet18(ev_context *ctx, const ev_zoo_options *opt, ev_model **out);

/* ---- the networks of a CycleGAN -------------------------------------------------------------- */

/** How a residual block joins its two branches. */
enum {
    EV_MERGE_ADD = 0,   /**< sum (Zhu et al. 2017) */
    EV_MERGE_CONCAT = 1 /**< side by side: each block adds channels (the paper's authors' code) */
};

/** What makes a picture larger again. */
enum {
    EV_UPSAMPLE_TRANSPOSED = 0, /**< transposed convolution, stride 2 */
    EV_UPSAMPLE_RESIZE = 1      /**< nearest pixel, twice the size, then a convolution: no
                                     checkerboard (Odena et al. 2016) */
};

/** Kinds of convolution inside the residual blocks. */
enum {
    EV_BLOCK_FULL = 0,     /**< ordinary 3x3 convolutions */
    EV_BLOCK_SEPARABLE = 1 /**< 3x3 of each channel alone, then 1x1 */
};

/** A generator.  Zero means the default everywhere: Zhu et al. 2017 for 128x128 and above. */
typedef struct ev_generator_options {
    uint32_t struct_size;  /**< set by EV_OPTIONS_INIT */
    int32_t image_width;   /**< pixels, divisible by 4 (default 256) */
    int32_t image_height;  /**< pixels, divisible by 4 (default: as image_width) */
    int32_t channels;      /**< in and out (default 3) */
    int32_t n_blocks;      /**< residual blocks, 1..64 (default 6) */
    int32_t base_width;    /**< filters of the first convolution, 1..1024 (default 64) */
    int32_t merge;         /**< EV_MERGE_* */
    int32_t padding;       /**< EV_PAD_*; 0: reflect (default); -1: zeros */
    int32_t affine;        /**< nonzero: instance norm with scale and shift (default: without) */
    int32_t norm_last;     /**< nonzero: instance norm before the tanh too (the authors' code) */
    int32_t upsample;      /**< EV_UPSAMPLE_* */
    int32_t block;         /**< EV_BLOCK_* */
    int32_t init;          /**< EV_INIT_* (default: normal, deviation init_value) */
    float init_value;      /**< deviation (default 0.02) */
} ev_generator_options;

/**
 * Draw a CycleGAN generator (Zhu et al. 2017, appendix): c7s1-64, d128, d256, n blocks of 256,
 * u128, u64, c7s1-3; instance norm and ReLU after each but the last, tanh at the end.  Input
 * "image" and output "image_out" [N,C,H,W] with values -1..1.  Six blocks of width 64 have
 * 7,837,699 parameters.  A plan may ask for any height and width divisible by 4
 * (ev_plan_options.dims), unless upsample is EV_UPSAMPLE_RESIZE.
 *
 * @param ctx [share]
 * @param opt [borrow] NULL: all defaults
 * @param out [new]    ev_model_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_SHAPE: a size is not divisible by 4; EV_ERR_VERSION;
 *         EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_zoo_generator(ev_context *ctx, const ev_generator_options *opt,
                                  ev_model **out);

/** A discriminator.  Zero means the default everywhere: the 70x70 PatchGAN. */
typedef struct ev_discriminator_options {
    uint32_t struct_size;  /**< set by EV_OPTIONS_INIT */
    int32_t image_width;   /**< pixels (default 256) */
    int32_t image_height;  /**< pixels (default: as image_width) */
    int32_t channels;      /**< of the picture (default 3) */
    int32_t base_width;    /**< filters of the first convolution, 1..1024 (default 64) */
    int32_t n_layers;      /**< convolutions of stride 2, 1..8 (default 3: patches of 70x70) */
    int32_t affine;        /**< nonzero: instance norm with scale and shift (default: without) */
    int32_t authors;       /**< nonzero: the six convolutions of the paper's authors' code (64, 128,
                                256, 512, 512, 1; the first four of stride 2; "same" padding;
                                instance norm with scale and shift): 6,962,369 parameters.
                                n_layers and affine are not looked at */
    int32_t init;          /**< EV_INIT_* (default: normal, deviation init_value) */
    float init_value;      /**< deviation (default 0.02) */
} ev_discriminator_options;

/**
 * Draw a PatchGAN discriminator (Isola et al. 2017): 4x4 convolutions C64-C128-C256-C512-1, leaky
 * ReLU 0.2, instance norm but on the first and last.  Input "image" [N,C,H,W], output "patches"
 * [N,1,H',W'], one number a patch.  By default 2,764,737 parameters; 256x256 gives 30x30 patches.
 * A plan may ask for any height and width (ev_plan_options.dims).
 *
 * @return as ev_zoo_generator(); EV_ERR_SHAPE: the picture is too small
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_zoo_discriminator(ev_context *ctx, const ev_discriminator_options *opt,
                                      ev_model **out);

EV_END_DECLS

#endif /* EDGEVISION_ZOO_H */
