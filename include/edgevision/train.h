/* SPDX-License-Identifier: MIT */
/**
 * @file edgevision/train.h
 * Fit a model to data, stop before it overfits, go on after an interruption, judge the result.
 *                                                                                     (tier 2)
 *
 * Two ways in.  A classifier (one picture as input, logits as output) and a dataset:
 *
 *     ev_trainer_create(ctx, model, train, valid, &opt, &trainer);
 *     ev_trainer_run(trainer);           // epochs, early stopping, best weights put back
 *     ev_trainer_destroy(trainer);
 *
 * Or any model that declares its own losses (ev_model_loss()), fed by the caller:
 *
 *     ev_trainer_create(ctx, model, NULL, NULL, &opt, &trainer);
 *     while (...)
 *         ev_trainer_step(trainer, feeds, n_feeds, losses, n_losses);
 *
 * The same seed, data, options and kind of CPU give the same weights, bit for bit, whatever the
 * number of threads, and also when the run was stopped, or killed, and resumed from a checkpoint.
 *
 * The words for ownership, threads and shapes are those of edgevision/base.h.
 */
#ifndef EDGEVISION_TRAIN_H
#define EDGEVISION_TRAIN_H

#include <edgevision/dataset.h>
#include <edgevision/model.h>
#include <edgevision/session.h>

EV_BEGIN_DECLS

/** A training run: model, data, optimiser state, random state.  Threads: single. */
typedef struct ev_trainer ev_trainer;
/** How well a classifier did on a number of pictures.  Threads: single (reading alone: any). */
typedef struct ev_metrics ev_metrics;

/* ---- options --------------------------------------------------------------------------------- */

/** Which rule turns gradients into new weights.  A number, once given, keeps its meaning. */
enum {
    EV_OPTIMIZER_DEFAULT = 0, /**< Adam */
    EV_OPTIMIZER_SGD = 1,     /**< stochastic gradient descent with momentum */
    EV_OPTIMIZER_ADAM = 2,    /**< Kingma and Ba 2015 */
    EV_OPTIMIZER_ADAMW = 3,   /**< Adam with decoupled decay (Loshchilov and Hutter 2019) */
    EV_OPTIMIZER_RMSPROP = 4  /**< Tieleman and Hinton 2012 */
};

/** How the learning rate changes from epoch to epoch.  E counts epochs from 0. */
enum {
    EV_SCHEDULE_CONSTANT = 0, /**< not at all */
    EV_SCHEDULE_STEP = 1,     /**< times schedule_factor after every schedule_epochs epochs */
    EV_SCHEDULE_LINEAR = 2,   /**< constant for schedule_epochs, then in even steps to
                                   learning_rate_min where max_epochs would begin (CycleGAN: half
                                   of the epochs) */
    EV_SCHEDULE_COSINE = 3,   /**< half a cosine from learning_rate to learning_rate_min over
                                   max_epochs (Loshchilov and Hutter 2017, without restarts) */
    EV_SCHEDULE_PLATEAU = 4   /**< times schedule_factor when the watched number has not become
                                   better for more than schedule_epochs epochs */
};

/** Which number decides about the best epoch, early stopping and EV_SCHEDULE_PLATEAU. */
enum {
    EV_MONITOR_DEFAULT = 0,       /**< loss on the validation set; without one nothing is watched */
    EV_MONITOR_VALID_LOSS = 1,    /**< lower is better */
    EV_MONITOR_VALID_ACCURACY = 2,/**< higher is better */
    EV_MONITOR_TRAIN_LOSS = 3     /**< mean training loss of the epoch, lower is better */
};

/** What one epoch came to. */
typedef struct ev_epoch {
    uint32_t struct_size;    /**< bytes the library filled in; look before reading newer fields */
    int32_t index;           /**< 0 for the first epoch */
    double train_loss;       /**< mean over the epoch's steps, weighted by batch: the loss that was
                                  minimised, dropout and augmentation on, without the l2 term */
    double train_accuracy;   /**< share of training pictures classified right on the way; NaN when
                                  the model is not a classifier */
    double valid_loss;       /**< mean cross entropy per validation picture, plain (no smoothing, no
                                  class weights), natural logarithm; NaN without a validation set */
    double valid_accuracy;   /**< share of validation pictures classified right, 0..1; or NaN */
    double learning_rate;    /**< at the last step */
    double seconds;          /**< wall-clock time (of the part since a resume) */
    int64_t steps;           /**< updates since the start of the run */
    int32_t is_best;         /**< 1: the best so far; its weights were kept */
    int32_t n_epochs;        /**< max_epochs: for progress */
} ev_epoch;

/** What one step came to. */
typedef struct ev_step {
    uint32_t struct_size;    /**< bytes the library filled in */
    int32_t epoch;           /**< 0 for the first */
    int32_t batch;           /**< batches done in this epoch, this one included */
    int32_t n_batches;       /**< in an epoch; 0 when unknown */
    int64_t step;            /**< updates since the start of the run, this one included */
    double loss;             /**< sum of weight * loss before the update */
    double learning_rate;    /**< used for this update */
    double gradient_norm;    /**< Euclidean, over all trained weights, before clipping */
    double seconds;          /**< wall-clock time since the epoch began or was resumed */
    int32_t n_epochs;        /**< max_epochs: for progress */
    int32_t reserved;
} ev_step;

/**
 * Called after each epoch, on the thread that called ev_trainer_run(); ev_trainer_save() may be
 * called from it.  0 goes on; anything else stops: EV_ERR_CANCELLED.  @p epoch is borrowed.
 */
typedef int32_t (*ev_epoch_fn)(void *user, const ev_epoch *epoch);
/** The same after each step of ev_trainer_run(). */
typedef int32_t (*ev_step_fn)(void *user, const ev_step *step);

/**
 * Called in each step after the backward pass, once for each gradient vector, always in the same
 * order: the place to sum up gradients over machines (MPI_Allreduce, then divide).  What is left in
 * the vector is what the optimiser uses.  It is called also when the loss is not finite, so that
 * all machines meet here and all find out: the step then fails on all of them.
 *
 * @param vector    number of this vector, 0..n_vectors-1 (one for each model with trained weights)
 * @param gradients [borrow] n numbers, weights that are not trained included (zero)
 * @return 0: go on; else the step ends with EV_ERR_CANCELLED, weights as before
 */
typedef int32_t (*ev_reduce_fn)(void *user, int32_t vector, int32_t n_vectors, float *gradients,
                                int64_t n);

/**
 * How to train.  EV_OPTIONS_INIT(&opt), then set what differs.  Zero always means the default, so a
 * field added in a later release changes nothing for programs built before it.  Where the default
 * is not zero, a negative number says "explicitly zero".
 */
typedef struct ev_train_options {
    uint32_t struct_size;    /**< set by EV_OPTIONS_INIT */

    /* optimiser; formulas and order of operations as PyTorch documents them */
    int32_t optimizer;       /**< EV_OPTIMIZER_* */
    float learning_rate;     /**< > 0 (default 1e-3; SGD 1e-2) */
    float momentum;          /**< SGD 0..1 (default 0.9; negative: none), RMSprop (default none) */
    int32_t nesterov;        /**< SGD: nonzero: Nesterov's momentum (Sutskever et al. 2013) */
    float beta1;             /**< Adam, AdamW: 0..1 (default 0.9; negative: 0) */
    float beta2;             /**< Adam, AdamW: 0..1 (default 0.999); RMSprop: its alpha (0.99) */
    float epsilon;           /**< Adam, AdamW, RMSprop: > 0 (default 1e-8) */
    float l2;                /**< >= 0 (default none): l2 * w is added to each gradient, which is
                                  the slope of l2/2 * w^2: PyTorch's weight_decay; half of what
                                  Keras' regularizers.l2 needs for the same effect.  All trained
                                  numbers are meant, biases too; the losses told leave it out */
    float decay;             /**< AdamW: >= 0 (default 0.01; negative: none): weights shrink by
                                  learning rate * decay, apart from the gradient.  All trained
                                  numbers are meant, biases too */
    float clip_norm;         /**< > 0: gradients are scaled down so that their Euclidean norm over
                                  all trained weights is at most this (default: no limit) */
    float clip_value;        /**< > 0: each number of a gradient is kept within +- this, before
                                  clip_norm (default: no limit) */

    /* learning rate over time */
    int32_t schedule;        /**< EV_SCHEDULE_* */
    int32_t schedule_epochs; /**< >= 1 (default: STEP 30, LINEAR half of max_epochs, PLATEAU 5) */
    float schedule_factor;   /**< 0..1 (default 0.1) */
    float learning_rate_min; /**< >= 0: floor of all schedules (default 0) */
    int32_t warmup_steps;    /**< steps whose rate is times (step+1)/warmup_steps (default none) */

    /* how long */
    int32_t batch_size;      /**< images per step, 1..65536 (default 32) */
    int32_t max_epochs;      /**< passes over the training set, >= 1 (default 100) */
    int32_t patience;        /**< epochs without a better watched number before stopping (default
                                  10; negative: never stop early, still keep the best weights) */
    float min_delta;         /**< >= 0: by how much better it has to be to count (default 0) */
    int32_t monitor;         /**< EV_MONITOR_* */
    double time_limit_seconds; /**< > 0: ev_trainer_run() ends at the end of the epoch in which this
                                  much time has passed since the call, as at max_epochs (default:
                                  none) */

    /* regularisation, and the loss of a classifier (other models draw theirs themselves) */
    float dropout;           /**< chance of dropping a unit, below 1, for all dropout layers of the
                                  model (default: as drawn; negative: none) */
    float label_smoothing;   /**< 0..1 (default none; Szegedy et al. 2016) */
    const float *class_weights; /**< [borrow] one a class, >= 0; the mean is weighted; NULL: 1 */
    int32_t n_class_weights; /**< numbers at class_weights */
    int32_t precise;         /**< 1: no kernels that trade the last digits for speed */

    /* chance */
    uint64_t seed;           /**< same seed, data, options, CPU kind: same weights (default 1) */

    /* pictures: size, channels, colour order, mean and std are those of the model */
    int32_t no_shuffle;      /**< nonzero: every epoch in the dataset's order */
    int32_t drop_last;       /**< nonzero: leave out the last batch of an epoch if it is not full */
    int32_t skip_unreadable; /**< nonzero: leave out pictures that cannot be read */
    int32_t loader_threads;  /**< threads that read ahead, as ev_loader_options.n_threads */
    int64_t cache_bytes;     /**< memory for resized pictures, as ev_loader_options.cache_bytes,
                                  once for training and once for validation */
    const ev_augment_options *augment; /**< [borrow] copied; of training pictures (default: none) */
    const ev_decode_options *decode;   /**< [borrow] copied */

    /* who wants to know */
    ev_epoch_fn on_epoch;    /**< may be NULL */
    ev_step_fn on_step;      /**< may be NULL */
    ev_reduce_fn reduce;     /**< may be NULL */
    void *user;              /**< handed to the three, never read */

    /* checkpoints of ev_trainer_run() */
    const char *checkpoint;  /**< [borrow] copied: path to save to (default: none) */
    int32_t checkpoint_epochs; /**< save after every so many epochs (default 1; negative: not) */
    int32_t checkpoint_steps;  /**< save after every so many steps too (default: not) */
} ev_train_options;

/* ---- the run --------------------------------------------------------------------------------- */

/**
 * Bytes that a training run will need, exactly, before any of it is allocated: plan and activations
 * for a full batch, gradients, optimiser state, the copy of the best weights.  Not counted: the
 * loaders (cache_bytes and a few batches).  weights_bytes are there already.
 *
 * @param ctx        [borrow]
 * @param model      [borrow]
 * @param with_valid nonzero: a validation set will be given (room for evaluation and best weights)
 * @param opt        [borrow] NULL: all defaults
 * @param out        [borrow] struct_size set by EV_OPTIONS_INIT; filled
 * @return as ev_trainer_create()
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_trainer_memory(ev_context *ctx, ev_model *model, int32_t with_valid,
                                   const ev_train_options *opt, ev_memory *out);

/**
 * Prepare a training run.  All memory of ev_trainer_step() is set aside here: it allocates nothing.
 * (ev_trainer_run() allocates when it evaluates and when it saves.)
 *
 * A model without losses must be a classifier: one input [N,C,H,W], and one output [N,classes], its
 * logits.  The cross entropy is then put on top (in a model of the trainer's own that calls this
 * one); its inputs are called as the model's input and "labels" (int32 [N]).  A model with losses
 * is used as it is, and needs no dataset.
 *
 * @param ctx   [share]  threads, allocator, log
 * @param model [share]  trained in place; it must have weights.  Plans made before answer
 *                       EV_ERR_STALE after the first step.  Several trainers may hold models that
 *                       share weights, as long as only one of them is in a call
 * @param train [share]  training pictures, labels 0..classes-1; NULL: only ev_trainer_step()
 * @param valid [share]  watched for early stopping; NULL: never stop early
 * @param opt   [borrow] NULL: all defaults
 * @param out   [new]    ev_trainer_destroy()
 * @return EV_OK; EV_ERR_SHAPE: the model is no classifier or the dataset has more classes than it
 *         has outputs; EV_ERR_ARGUMENT: an option is out of range, nothing to train; EV_ERR_STATE:
 *         the model has no weights; EV_ERR_UNSUPPORTED: a layer has no backward pass;
 *         EV_ERR_VERSION; EV_ERR_MEMORY
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_trainer_create(ev_context *ctx, ev_model *model, ev_dataset *train,
                                   ev_dataset *valid, const ev_train_options *opt,
                                   ev_trainer **out);

/** End the run; the model keeps its weights.  NULL is fine.  Threads: single.  Since: 0.1 */
EV_API void ev_trainer_destroy(ev_trainer *trainer);

/** A tensor for an input of the model. */
typedef struct ev_feed {
    const char *name;        /**< [borrow] of the input */
    const ev_tensor *tensor; /**< [borrow] of the input's type; shape as drawn, where the number of
                                  images is open: 1..batch_size, the same in all feeds */
} ev_feed;

/**
 * Train on one batch: forward, losses, backward, reduce, clip, update.  Allocates nothing.
 *
 * @param feeds      [borrow] n_feeds of them, one for every input, in any order
 * @param losses_out [borrow] the losses before the update, in the order of declaration, unweighted;
 *                   may be NULL
 * @param n_losses   room at losses_out, 0..ev_trainer_n_losses(); more is an error
 * @return EV_OK; EV_ERR_SHAPE: a feed does not fit; EV_ERR_ARGUMENT: an input without feed, an
 *         unknown name, a label out of range; EV_ERR_DIVERGED: a loss or a gradient is not finite
 *         (weights, running statistics and optimiser state are as before the call; losses_out is
 *         filled); EV_ERR_CANCELLED: the reduce hook asked to stop (the same)
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_trainer_step(ev_trainer *trainer, const ev_feed *feeds, int32_t n_feeds,
                                 double *losses_out, int32_t n_losses);

/**
 * Train until max_epochs, the time limit, or patience runs out.  However it ends (done, cancelled,
 * diverged, a picture that cannot be read), the best weights seen are put back before it returns,
 * if something was watched and an epoch was completed; otherwise the model has the latest weights.
 * The weights in training are not lost by this: ev_trainer_save() and a further ev_trainer_run()
 * go on from them.
 *
 * @return EV_OK; EV_ERR_CANCELLED: a callback asked to stop; EV_ERR_DIVERGED: the line says at
 *         which step; EV_ERR_STATE: no training set; an error of the loader, of saving, or
 *         EV_ERR_MEMORY
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_trainer_run(ev_trainer *trainer);

/**
 * For loops of one's own: end an epoch.  Adds to the history, moves schedule and early stopping on,
 * keeps the weights if they are the best so far, calls on_epoch.
 *
 * @param valid_loss     watched if monitor is EV_MONITOR_VALID_LOSS; NaN: not known
 * @param valid_accuracy watched if monitor is EV_MONITOR_VALID_ACCURACY; NaN: not known
 * @param stop_out       1: max_epochs reached or patience run out, else 0; may be NULL
 * @return EV_OK; EV_ERR_CANCELLED; EV_ERR_MEMORY
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_trainer_end_epoch(ev_trainer *trainer, double valid_loss,
                                      double valid_accuracy, int32_t *stop_out);

/**
 * For loops of one's own: put the best weights into the model (what ev_trainer_run() does at its
 * end).  The weights in training are kept aside and come back with the next step.
 *
 * @return EV_OK; EV_ERR_STATE: no epoch was best yet, or nothing is watched
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_trainer_restore_best(ev_trainer *trainer);

/** Set the learning rate that the schedule starts from, > 0.  EV_ERR_ARGUMENT.  Since: 0.1 */
EV_API ev_status ev_trainer_set_learning_rate(ev_trainer *trainer, double learning_rate);
/** The rate that the next step will use; NaN for NULL.  Threads: single.  Since: 0.1 */
EV_API double ev_trainer_learning_rate(const ev_trainer *trainer);
/** Epochs completed; -1 for NULL.  Threads: single.  Since: 0.1 */
EV_API int32_t ev_trainer_epoch(const ev_trainer *trainer);
/** Batches done in the epoch under way; -1 for NULL.  Threads: single.  Since: 0.1 */
EV_API int32_t ev_trainer_batch(const ev_trainer *trainer);
/** Updates since the start of the run; -1 for NULL.  Threads: single.  Since: 0.1 */
EV_API int64_t ev_trainer_steps(const ev_trainer *trainer);
/** Epoch whose weights are the best so far, or -1.  Threads: single.  Since: 0.1 */
EV_API int32_t ev_trainer_best_epoch(const ev_trainer *trainer);
/** Euclidean norm of the gradient in the last step, before clipping.  Since: 0.1 */
EV_API double ev_trainer_gradient_norm(const ev_trainer *trainer);
/** Number of losses of the model; -1 for NULL.  Threads: single.  Since: 0.1 */
EV_API int32_t ev_trainer_n_losses(const ev_trainer *trainer);
/** Name of a loss, borrowed; NULL when there is none.  Threads: single.  Since: 0.1 */
EV_API const char *ev_trainer_loss_name(const ev_trainer *trainer, int32_t index);

/**
 * What an epoch came to.
 *
 * @param index 0..ev_trainer_epoch()-1
 * @param out   [borrow] struct_size set by EV_OPTIONS_INIT; filled
 * @return EV_OK; EV_ERR_ARGUMENT
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_trainer_history(const ev_trainer *trainer, int32_t index, ev_epoch *out);

/**
 * Result number @p index of the model (ev_model_output(), then the losses) in the last step: what
 * it was before the update.  Borrowed, valid until the next step; NULL when there is none.
 *
 * Threads: single.  Since: 0.1
 */
EV_API const ev_tensor *ev_trainer_output(const ev_trainer *trainer, int32_t index);

/* ---- checkpoints ----------------------------------------------------------------------------- */

/**
 * Write everything that the run consists of, as safetensors, atomically: weights, optimiser state,
 * best weights, schedule and early stopping, place in the data, history.  The old file stays until
 * the new one is whole.  May be called from the callbacks.
 *
 * Names in the file: "weight/<layer>.weight", "moment1/...", "moment2/...", "best/...", and
 * "state/..." for the rest; with several models that have weights "weight/<number>/<layer>.weight".
 *
 * @return EV_OK; EV_ERR_IO; EV_ERR_MEMORY
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_trainer_save(ev_trainer *trainer, const char *path);

/**
 * Go on from a checkpoint: afterwards this trainer is, bit for bit, the one that was saved, also in
 * the middle of an epoch.  The options must be those of the saved run, except for max_epochs
 * (unless the schedule depends on it), patience, min_delta, time limit, callbacks, checkpoints,
 * threads and cache; so must the model's layers and the number of pictures.
 *
 * @return EV_OK; EV_ERR_IO; EV_ERR_FORMAT: damaged (a CRC-32C over the whole file tells) or no
 *         checkpoint; EV_ERR_SHAPE: of another model; EV_ERR_ARGUMENT: of other options, the line
 *         says which; EV_ERR_VERSION: of a newer library; EV_ERR_MEMORY
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_trainer_resume(ev_trainer *trainer, const char *path);

/**
 * How pictures become this model's input, from the notes in its file: what ev_image_to_tensor() and
 * ev_loader_create() take.
 *
 * @param out [borrow] struct_size set by EV_OPTIONS_INIT; filled
 * @return EV_OK; EV_ERR_ARGUMENT
 *
 * Threads: any, as long as nobody changes the model.  Since: 0.1
 */
EV_API ev_status ev_model_pixel_options(const ev_model *model, ev_pixel_options *out);

/* ---- how good is it? ------------------------------------------------------------------------- */

/** How to evaluate.  Zero means the default everywhere. */
typedef struct ev_evaluate_options {
    uint32_t struct_size;    /**< set by EV_OPTIONS_INIT */
    int32_t batch_size;      /**< images at a time, 1..65536 (default 32) */
    int32_t precise;         /**< 1: no kernels that trade the last digits for speed */
    int32_t skip_unreadable; /**< nonzero: leave out pictures that cannot be read */
    int32_t loader_threads;  /**< as ev_loader_options.n_threads */
    int32_t no_items;        /**< nonzero: count only, do not keep what was said of each picture */
    int64_t cache_bytes;     /**< default and negative: none, since each picture is seen once */
    const ev_decode_options *decode; /**< [borrow] */
} ev_evaluate_options;

/**
 * Run a classifier on all pictures of a dataset and count.
 *
 * @param ctx     [borrow]
 * @param model   [borrow] one input [N,C,H,W], first output [N,classes]: logits
 * @param dataset [borrow] at most as many classes as the model
 * @param opt     [borrow] NULL: all defaults
 * @param out     [new]    ev_metrics_destroy()
 * @return EV_OK; EV_ERR_SHAPE; EV_ERR_ARGUMENT; an error of the loader; EV_ERR_VERSION;
 *         EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_evaluate(ev_context *ctx, ev_model *model, ev_dataset *dataset,
                             const ev_evaluate_options *opt, ev_metrics **out);

/**
 * Empty metrics, for results that come from elsewhere.
 *
 * @param ctx       [share]
 * @param n_classes 1..65536
 * @param no_items  nonzero: count only
 * @param out       [new] ev_metrics_destroy()
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_metrics_create(ev_context *ctx, int32_t n_classes, int32_t no_items,
                                   ev_metrics **out);

/**
 * Count a batch.
 *
 * @param logits [borrow] float32 [N,classes]
 * @param labels [borrow] N true classes
 * @param items  [borrow] N numbers to know the pictures by; NULL: go on counting
 * @return EV_OK; EV_ERR_SHAPE; EV_ERR_ARGUMENT: a label out of range; EV_ERR_MEMORY
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_metrics_add(ev_metrics *metrics, const ev_tensor *logits,
                                const int32_t *labels, const int32_t *items);

/** NULL is fine.  Threads: single.  Since: 0.1 */
EV_API void ev_metrics_destroy(ev_metrics *metrics);

/** Number of classes; 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_metrics_n_classes(const ev_metrics *metrics);
/** Pictures counted; 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API int64_t ev_metrics_count(const ev_metrics *metrics);
/** Mean cross entropy, natural logarithm; NaN without pictures.  Threads: any.  Since: 0.1 */
EV_API double ev_metrics_loss(const ev_metrics *metrics);
/** Share of pictures classified right, 0..1; NaN without pictures.  Threads: any.  Since: 0.1 */
EV_API double ev_metrics_accuracy(const ev_metrics *metrics);
/** Pictures of class @p label that were called @p predicted; -1: no such class.  Since: 0.1 */
EV_API int64_t ev_metrics_confusion(const ev_metrics *metrics, int32_t label, int32_t predicted);
/** Of the pictures called @p label, the share that are; NaN when none was.  Since: 0.1 */
EV_API double ev_metrics_precision(const ev_metrics *metrics, int32_t label);
/** Of the pictures of class @p label, the share that were called so; NaN when none.  Since: 0.1 */
EV_API double ev_metrics_recall(const ev_metrics *metrics, int32_t label);
/** Harmonic mean of precision and recall: 2 tp / (2 tp + fp + fn); NaN when 0/0.  Since: 0.1 */
EV_API double ev_metrics_f1(const ev_metrics *metrics, int32_t label);

/** One picture, in the order in which they were counted. */
typedef struct ev_prediction {
    uint32_t struct_size;        /**< set by EV_OPTIONS_INIT */
    int32_t item;                /**< number in the dataset, or as given to ev_metrics_add() */
    int32_t label;               /**< true class */
    int32_t predicted;           /**< class with the highest logit, the first of equals */
    const float *probabilities;  /**< one a class: softmax of the logits; valid until the next
                                      ev_metrics_add() or ev_metrics_destroy() */
    double loss;                 /**< cross entropy of this picture */
} ev_prediction;

/**
 * What was said about one picture.
 *
 * @param index 0..ev_metrics_count()-1
 * @param out   [borrow] struct_size set by EV_OPTIONS_INIT; filled
 * @return EV_OK; EV_ERR_ARGUMENT: no such picture, or pictures were not kept
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_metrics_prediction(const ev_metrics *metrics, int64_t index,
                                       ev_prediction *out);

/**
 * Accuracy, confusion matrix (rows: truth), precision, recall and F1 as text.
 *
 * @param class_names [borrow] one a class; NULL: numbers
 * @param json        0: a table for people; 1: JSON
 * @param out         [new] ev_string_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_metrics_describe(const ev_metrics *metrics, const char *const *class_names,
                                     int32_t json, char **out);

EV_END_DECLS

#endif /* EDGEVISION_TRAIN_H */
