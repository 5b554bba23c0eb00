/* SPDX-License-Identifier: MIT */
/**
 * @file edgevision/cyclegan.h
 * Train a CycleGAN (Zhu, Park, Isola, Efros 2017): two sets of pictures of which no two belong
 * together become two generators that carry pictures from one set into the other.  Judge it by the
 * classifier that has to work with its pictures; make it small.                       (tier 3)
 *
 *     ev_cyclegan_create(ctx, night, day, &opt, &gan);
 *     ev_cyclegan_run(gan);
 *     ev_cyclegan_generator(gan, EV_A_TO_B, &night_to_day);  // an ordinary model: save, prune, run
 *     ev_cyclegan_destroy(gan);
 *
 * Set A is what comes from outside (night), set B what the classifier has learnt (day).  The names
 * of losses are those of the authors' public program: G_A carries A to B, D_A judges what G_A made,
 * G_B carries B to A, D_B judges that.
 *
 * The same seed, pictures, options and kind of CPU give the same weights, bit for bit, whatever the
 * number of threads, and also when the run was stopped, or killed, and resumed.
 *
 * The words for ownership, threads and shapes are those of edgevision/base.h.  "The paper" is
 * doi 10.1145/3423423.3423437.
 */
#ifndef EDGEVISION_CYCLEGAN_H
#define EDGEVISION_CYCLEGAN_H

#include <edgevision/dataset.h>
#include <edgevision/domain.h>
#include <edgevision/train.h>
#include <edgevision/zoo.h>

EV_BEGIN_DECLS

/** A CycleGAN in training: four networks, optimisers, histories, random state.  Threads: single. */
typedef struct ev_cyclegan ev_cyclegan;

/** Direction of a generator; also which discriminator: the one that judges its pictures. */
enum {
    EV_A_TO_B = 0, /**< G_A and D_A */
    EV_B_TO_A = 1  /**< G_B and D_B */
};

/** Order of a step's updates. */
enum {
    EV_ORDER_JOINT = 0,  /**< both generators at once, then both discriminators (Zhu et al.) */
    EV_ORDER_AUTHORS = 1 /**< as the paper's authors' code: G_B, D_B, G_A, D_A one after the other,
                              each generator with the other one frozen and for both cycles; real
                              and made pictures in one update of a discriminator.  The generators
                              are run ten times a step instead of six, and a copy of G_B's
                              weights and moments is kept */
};

/** Whose answer a class-consistency loss asks for. */
enum {
    EV_LABELS_CLASSIFIER = 0, /**< what the classifier says of the picture of B itself */
    EV_LABELS_B = 1,          /**< labels of set B */
    EV_LABELS_BOTH = 2        /**< labels of both sets: translated pictures of A count too */
};

/** The losses of a step, or their means over an epoch, each times its weight. */
typedef struct ev_cyclegan_losses {
    uint32_t struct_size; /**< bytes the library filled in; where it is handed in: set by
                               EV_OPTIONS_INIT */
    int32_t reserved;
    double d_a, g_a, cycle_a, idt_a; /**< D_A: half the sum of real and made (times
                               2 * discriminator_weight); G_A: adversarial; cycle_A: a, carried to B
                               and back, against a; idt_A: G_A(b) against b */
    double d_b, g_b, cycle_b, idt_b; /**< the same the other way round */
    double class_a, class_b; /**< class consistency of G_A(a), and of G_A(G_B(b)); 0 without */
} ev_cyclegan_losses;

/** What a step came to. */
typedef struct ev_cyclegan_step_info {
    uint32_t struct_size; /**< bytes the library filled in */
    int32_t epoch;        /**< 0 for the first */
    int32_t step;         /**< done in this epoch, this one included */
    int32_t n_steps;      /**< in an epoch */
    int64_t total_steps;  /**< since the start of the run, this one included */
    int32_t n_epochs;     /**< for progress */
    int32_t reserved;
    double learning_rate; /**< used for this step */
    double seconds;       /**< wall-clock time since the epoch began or was resumed */
    const ev_cyclegan_losses *losses; /**< borrowed; of this step; at an epoch's end: its means */
} ev_cyclegan_step_info;

/** After a step or an epoch of ev_cyclegan_run(), on its thread.  0 goes on; anything else stops
 *  with EV_ERR_CANCELLED.  ev_cyclegan_save() and ev_cyclegan_grid() may be called from it. */
typedef int32_t (*ev_cyclegan_fn)(void *user, const ev_cyclegan_step_info *info);

/**
 * How to train.  EV_OPTIONS_INIT(&opt), then set what differs.  Zero always means the default;
 * where the default is not zero, a negative number says "explicitly zero".
 */
typedef struct ev_cyclegan_options {
    uint32_t struct_size; /**< set by EV_OPTIONS_INIT */

    /* pictures */
    int32_t width;        /**< of what the networks see, divisible by 4 (default 256) */
    int32_t height;       /**< divisible by 4 (default: as width) */
    int32_t load_width;   /**< pictures are resized to this, then a random part of width x height is
                               cut out; at least width (default: width, nothing is cut) */
    int32_t load_height;  /**< at least height (default: height) */
    int32_t no_flip;      /**< nonzero: pictures are not mirrored (default: every other one is) */
    int32_t replacement;  /**< nonzero: drawn with replacement (the paper's authors' code); default:
                               each set in an order of its own, anew when it is through */
    int32_t steps_per_epoch; /**< (default: the larger set's pictures / batch_size) */
    int32_t epochs;       /**< 1.. (default 200) */
    int32_t batch_size;   /**< pictures of each set in a step, 1..4096 (default 1) */

    /* networks; image sizes in these are not looked at */
    const ev_generator_options *generator;         /**< [borrow] copied; NULL: all defaults */
    const ev_discriminator_options *discriminator; /**< [borrow] copied; NULL: all defaults */

    /* losses: least squares (Mao et al. 2017) and absolute differences */
    float adversarial_weight;   /**< > 0 (default 1) */
    float cycle_weight;         /**< (default 10; negative: none) */
    float identity_weight;      /**< (default 5; negative: none) */
    float discriminator_weight; /**< of each of a discriminator's two terms, > 0 (default 0.5) */
    int32_t pool_size;    /**< made pictures that a discriminator's history keeps, 1..1000 (default
                               50, Shrivastava et al. 2017; negative: none) */
    int32_t order;        /**< EV_ORDER_* */

    /* class consistency: a trained classifier of pictures of B watches the translation */
    ev_model *classifier; /**< [share] frozen; [N,3,H,W] of any size, or NULL: not used */
    float class_weight;   /**< of its cross entropy (default 1 when there is a classifier) */
    int32_t class_labels; /**< EV_LABELS_* */

    /* Adam */
    float learning_rate;  /**< > 0 (default 2e-4) */
    float beta1;          /**< 0..1 (default 0.5; negative: 0) */
    float beta2;          /**< 0..1 (default 0.999) */
    int32_t decay_epochs; /**< the last so many epochs, over which the rate falls towards zero in
                               even steps, one an epoch: epoch e = 0.. has learning_rate *
                               min(1, (epochs - e) / (decay_epochs + 1)) (default: half of epochs;
                               negative: constant rate, as the paper's authors' code) */

    /* the machine */
    uint64_t seed;        /**< same seed, data, options, CPU kind: same weights (default 1) */
    uint64_t max_bytes;   /**< if training needs more (ev_cyclegan_memory()), loss terms are
                               back-propagated one by one, which needs less and takes the same
                               time; if that is still too much: EV_ERR_MEMORY (default: no limit).
                               The sum of gradients is then rounded in another order.
                               Counted for one thread, so that the number of threads changes no
                               result: what further threads work in comes on top */
    int64_t cache_bytes;  /**< memory for decoded pictures of each set, as ev_loader_options */
    int32_t loader_threads; /**< as ev_loader_options.n_threads */
    int32_t precise;      /**< 1: no kernels that trade the last digits for speed */

    /* who wants to know */
    ev_cyclegan_fn on_step;  /**< may be NULL */
    ev_cyclegan_fn on_epoch; /**< may be NULL */
    void *user;              /**< handed to both, never read */

    /* checkpoints of ev_cyclegan_run() */
    const char *checkpoint;    /**< [borrow] copied: path to save to (default: none) */
    int32_t checkpoint_epochs; /**< save after every so many epochs (default 1; negative: not) */
    int32_t checkpoint_steps;  /**< save after every so many steps too (default: not) */
} ev_cyclegan_options;

/* ---- train ----------------------------------------------------------------------------------- */

/**
 * Bytes that training will need, exactly, before it is allocated (only the networks are there for
 * the time of this call): networks, plans, activations, gradients, moments, histories.  Not
 * counted: pictures (cache_bytes), and the copy that ev_cyclegan_run() keeps while there is no
 * checkpoint.
 *
 * @param ctx [borrow]
 * @param opt [borrow] NULL: all defaults
 * @param out [borrow] struct_size set by EV_OPTIONS_INIT; filled
 * @return as ev_cyclegan_create()
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_cyclegan_memory(ev_context *ctx, const ev_cyclegan_options *opt,
                                    ev_memory *out);

/**
 * Prepare a run: networks with fresh weights (normal, deviation 0.02), plans, histories.
 *
 * @param ctx [share]
 * @param a,b [share]  the two sets; both NULL: only ev_cyclegan_step() is called
 * @param opt [borrow] NULL: all defaults
 * @param out [new]    ev_cyclegan_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT: an option out of range, a set without pictures, a crop larger
 *         than the picture; EV_ERR_SHAPE: a size not divisible by 4, too small for the networks, or
 *         a classifier that does not fit; EV_ERR_MEMORY: also when max_bytes does not suffice, and
 *         the line says what would; EV_ERR_VERSION
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_cyclegan_create(ev_context *ctx, ev_dataset *a, ev_dataset *b,
                                    const ev_cyclegan_options *opt, ev_cyclegan **out);

/** End the run.  Models that were handed out live on.  NULL is fine.  Threads: single.
 *  Since: 0.1 */
EV_API void ev_cyclegan_destroy(ev_cyclegan *gan);

/**
 * Train up to the last epoch.  When a loss or a gradient is not finite the last checkpoint's state
 * (without one: the state at the start of this call's last epoch) is put back, EV_ERR_DIVERGED
 * comes, and the line says which loss it was and to which step the state went back.  A
 * checkpoint is written at the start, too, if there is no such file.  Without any a copy of the
 * state is kept in memory, as many bytes as a checkpoint's file has.
 *
 * @return EV_OK; EV_ERR_CANCELLED: a callback asked; EV_ERR_DIVERGED; EV_ERR_IO, EV_ERR_FORMAT: a
 *         picture cannot be read, or a checkpoint not be written, after which the last good one is
 *         still there; EV_ERR_STATE: made without sets; EV_ERR_MEMORY
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_cyclegan_run(ev_cyclegan *gan);

/**
 * One step on pictures of the caller.  Allocates nothing.
 *
 * @param a,b    [borrow] float32 [n,C,H,W] in -1..1, n 1..batch_size, the same in both
 * @param losses [borrow] struct_size set by EV_OPTIONS_INIT; filled; may be NULL
 * @return EV_OK; EV_ERR_SHAPE; EV_ERR_DIVERGED: weights are as before the step; EV_ERR_STATE:
 *         class_labels asks for labels, which only sets have
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_cyclegan_step(ev_cyclegan *gan, const ev_tensor *a, const ev_tensor *b,
                                  ev_cyclegan_losses *losses);

/** Epochs completed; -1 for NULL.  Threads: single.  Since: 0.1 */
EV_API int32_t ev_cyclegan_epoch(const ev_cyclegan *gan);
/** Steps since the start of the run; -1 for NULL.  Threads: single.  Since: 0.1 */
EV_API int64_t ev_cyclegan_steps(const ev_cyclegan *gan);

/**
 * Save everything that the run's future depends on: networks, moments, histories, random state,
 * position, options.  Atomically: the old file stays until the new one is whole.
 *
 * @return EV_OK; EV_ERR_IO; EV_ERR_MEMORY
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_cyclegan_save(ev_cyclegan *gan, const char *path);

/**
 * Go on from a file: the run continues with the same bits as if it had not been stopped.  Options
 * that decide about the result must be those of the file.
 *
 * @return EV_OK; EV_ERR_ARGUMENT: another option, the line names it; EV_ERR_SHAPE: networks of
 *         another architecture; EV_ERR_FORMAT: damaged, or no such file; EV_ERR_VERSION; EV_ERR_IO;
 *         EV_ERR_MEMORY.  After a failure nothing has changed
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_cyclegan_resume(ev_cyclegan *gan, const char *path);

/**
 * The options that a file was made with, so that nothing but the file is needed to go on: pointers
 * in it (generator, discriminator) point into @p out_generator and @p out_discriminator; callbacks,
 * paths, the classifier and what does not decide about the result are zero.
 *
 * @param out,out_generator,out_discriminator [borrow] struct_size set by EV_OPTIONS_INIT; filled
 * @return EV_OK; EV_ERR_FORMAT; EV_ERR_VERSION; EV_ERR_IO; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_cyclegan_read_options(ev_context *ctx, const char *path,
                                          ev_cyclegan_options *out,
                                          ev_generator_options *out_generator,
                                          ev_discriminator_options *out_discriminator);

/* ---- look and take --------------------------------------------------------------------------- */

/**
 * A generator as an ordinary model.  It shares its weights with the run: save or clone it to keep
 * what it is now.  Its metadata say how pictures become its input.
 *
 * @param direction EV_A_TO_B or EV_B_TO_A
 * @param out       [new] ev_model_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_cyclegan_generator(ev_cyclegan *gan, int32_t direction, ev_model **out);
/** The discriminator that judges what that generator makes.  As ev_cyclegan_generator(). */
EV_API ev_status ev_cyclegan_discriminator(ev_cyclegan *gan, int32_t direction, ev_model **out);

/**
 * Translate one picture with the weights as they are now.  For many pictures: a translator
 * (edgevision/domain.h) of ev_cyclegan_generator().
 *
 * @param opt [borrow] NULL: all defaults
 * @param out [new]    ev_image_destroy()
 * @return as ev_translator_create() and ev_translator_run()
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_cyclegan_translate(ev_cyclegan *gan, int32_t direction, const ev_image *image,
                                       const ev_translator_options *opt, ev_image **out);

/**
 * A sheet to look at.  One row a picture: as it is, translated, carried back, and what the
 * generator of the other direction makes of it, which should be the picture itself.  Rows of A
 * first, then rows of B.
 *
 * @param a,b         [borrow] pictures of each set; NULL: none of it
 * @param items_a,items_b [borrow] n_a, n_b item numbers; NULL: the first ones
 * @param out         [new]    RGB, of the networks' picture size; ev_image_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT: no such item, nothing to show; EV_ERR_IO, EV_ERR_FORMAT: a
 *         picture cannot be read; EV_ERR_MEMORY
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_cyclegan_grid(ev_cyclegan *gan, ev_dataset *a, const int32_t *items_a,
                                  int32_t n_a, ev_dataset *b, const int32_t *items_b, int32_t n_b,
                                  ev_image **out);

/* ---- judge ----------------------------------------------------------------------------------- */

/**
 * Classify pictures after translation (research question 2): each is carried over at the size the
 * generator was drawn for, turned into bytes, resized for the classifier, as on a device.
 *
 * @param classifier [borrow] as for ev_evaluate()
 * @param generator  [borrow] NULL: pictures as they are
 * @param pictures   [borrow] labels as the classifier's
 * @param out        [new]    ev_metrics_destroy()
 * @return as ev_evaluate() and ev_translator_create()
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_translate_evaluate(ev_context *ctx, ev_model *classifier, ev_model *generator,
                                       ev_dataset *pictures, ev_metrics **out);

/** Things that a translation makes up or loses.  Filled in by the library. */
typedef struct ev_hallucinations {
    uint32_t struct_size;    /**< set by EV_OPTIONS_INIT */
    int32_t n_empty;         /**< pictures with nothing in them */
    int32_t invented;        /**< of these: something seen after translation */
    int32_t invented_before; /**< of these: something seen without it */
    int32_t n_objects;       /**< pictures with something in them */
    int32_t vanished;        /**< of these: called empty after translation */
    int32_t vanished_before; /**< of these: called empty without it */
    int32_t newly_invented;  /**< right (empty) before, something seen after */
    int32_t newly_vanished;  /**< something seen before, called empty after */
} ev_hallucinations;

/**
 * Compare the answers before and after.
 *
 * @param before,after [borrow] of the same pictures in the same order, by ev_translate_evaluate()
 * @param empty_label  the class that means nothing is there
 * @param out          [borrow] struct_size set by EV_OPTIONS_INIT; filled
 * @return EV_OK; EV_ERR_ARGUMENT: no such class, or not the same pictures
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_metrics_hallucinations(const ev_metrics *before, const ev_metrics *after,
                                           int32_t empty_label, ev_hallucinations *out);

/** How far translated pictures are from those a classifier knows.  Filled in by the library. */
typedef struct ev_domain_gap {
    uint32_t struct_size;    /**< set by EV_OPTIONS_INIT */
    int32_t n_features;      /**< inputs of the classifier's last dense layer */
    double features;         /**< Frechet distance (Heusel et al. 2017) between the classifier's
                                  features of both sets, taken as normal and independent */
    double cycle_error;      /**< mean absolute difference after there and back, 0..2; NaN without
                                  a generator back */
    double confidence;       /**< mean highest probability, 0..1 */
} ev_domain_gap;

/**
 * Judge a translation without labels: small numbers for epochs whose pictures the classifier takes
 * for its own.  A hint, not a proof: a generator that empties all pictures looks good, too, which
 * is what cycle_error is for.
 *
 * @param classifier [borrow]
 * @param inside     [borrow] pictures as the classifier knows them
 * @param pictures   [borrow] pictures from outside
 * @param generator  [borrow] carries these inside; NULL: as they are
 * @param back       [borrow] the other direction; NULL: no cycle_error
 * @param out        [borrow] struct_size set by EV_OPTIONS_INIT; filled
 * @return as ev_translate_evaluate(); EV_ERR_SHAPE: the classifier has no dense layer at its end
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_domain_gap_measure(ev_context *ctx, ev_model *classifier, ev_dataset *inside,
                                       ev_dataset *pictures, ev_model *generator, ev_model *back,
                                       ev_domain_gap *out);

/** Measures of strangeness. */
enum {
    EV_SCORE_FEATURES = 0, /**< mean squared distance of the inputs of the last dense layer from
                                their means inside, in deviations (a Mahalanobis distance with a
                                diagonal matrix; Lee et al. 2018) */
    EV_SCORE_ENERGY = 1,   /**< minus the log of the sum of exponentials of the logits (Liu et al.
                                2020) */
    EV_SCORE_STATISTICS = 2 /**< the distance of EV_SCORE_FEATURES, of the picture's look: mean and
                                mean square over the picture of each channel that the second
                                convolution takes (of the picture's own channels if there is none).
                                Sees light, colour and noise, not what is in the picture: for a
                                camera that does not move */
};

/** How to measure.  Zero means the default everywhere. */
typedef struct ev_domain_options {
    uint32_t struct_size; /**< set by EV_OPTIONS_INIT */
    int32_t score;        /**< EV_SCORE_* */
    float keep;           /**< share of the pictures inside that the threshold lets pass, 0..1
                               (default 0.95) */
    int32_t reserved;     /**< zero */
} ev_domain_options;

/**
 * Give a classifier a second output, "score" [N,1], that says how strange a picture is, and a
 * threshold in its metadata ("edgevision.domain.threshold").  An ordinary model, for a router
 * (edgevision/domain.h) or any other use, also of its ONNX file.
 *
 * @param classifier [borrow] output "logits", or its only output
 * @param inside     [borrow] pictures that it should know, best ones it was not trained on
 * @param opt        [borrow] NULL: all defaults
 * @param out        [new]    weights of its own; ev_model_destroy()
 * @return EV_OK; EV_ERR_SHAPE: not such a classifier; EV_ERR_ARGUMENT: fewer than 2 pictures;
 *         EV_ERR_IO; EV_ERR_FORMAT; EV_ERR_MEMORY; EV_ERR_DIVERGED: features that are not finite;
 *         EV_ERR_VERSION
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_domain_fit(ev_context *ctx, ev_model *classifier, ev_dataset *inside,
                               const ev_domain_options *opt, ev_model **out);

/* ---- make small ------------------------------------------------------------------------------ */

/** After an epoch (0: the first) of ev_generator_distill(): mean loss, the classifier's part
 *  included.  0 goes on; else EV_ERR_CANCELLED, and the student stays as it is then. */
typedef int32_t (*ev_distill_fn)(void *user, int32_t epoch, int32_t n_epochs, double loss);

/** How a small generator learns from a large one.  Zero means the default everywhere. */
typedef struct ev_distill_options {
    uint32_t struct_size; /**< set by EV_OPTIONS_INIT */
    int32_t epochs;       /**< 1.. (default 10) */
    int32_t batch_size;   /**< 1..4096 (default 1) */
    int32_t no_flip;      /**< nonzero: pictures are not mirrored */
    float learning_rate;  /**< > 0, Adam (default 1e-3); falls to zero in even steps over the second
                               half of the epochs */
    float class_weight;   /**< of the cross entropy between the classifier's answers to both
                               pictures (default 1 when there is a classifier) */
    ev_model *classifier; /**< [borrow] NULL: only pictures are compared */
    uint64_t seed;        /**< (default 1) */
    ev_distill_fn on_epoch; /**< may be NULL */
    void *user;             /**< handed to it, never read */
    ev_distill_fn on_step;  /**< may be NULL: after each step; its numbers are the step (0: the
                               first), the steps of the whole run, and the step's loss */
} ev_distill_options;

/**
 * Train a generator to make the pictures of another: mean absolute difference, Adam (Hinton,
 * Vinyals, Dean 2015; for generators: Li et al. 2020).  The small one may be drawn anew
 * (ev_zoo_generator() with a smaller base_width or separable blocks) or pruned from the large one
 * (edgevision/prune.h).
 *
 * @param student  [borrow] trained in place; has weights; the same input as teacher
 * @param teacher  [borrow] not changed
 * @param pictures [borrow] of the set that both translate; labels are not looked at
 * @param opt      [borrow] NULL: all defaults
 * @param loss_out [borrow] mean absolute difference over the last epoch, in -1..1 pictures; may be
 *                          NULL
 * @return EV_OK; EV_ERR_SHAPE: the two do not fit; EV_ERR_CANCELLED; EV_ERR_DIVERGED; EV_ERR_IO;
 *         EV_ERR_FORMAT; EV_ERR_ARGUMENT; EV_ERR_MEMORY; EV_ERR_VERSION
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_generator_distill(ev_context *ctx, ev_model *student, ev_model *teacher,
                                      ev_dataset *pictures, const ev_distill_options *opt,
                                      double *loss_out);

EV_END_DECLS

#endif /* EDGEVISION_CYCLEGAN_H */
