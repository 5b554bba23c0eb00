/* SPDX-License-Identifier: MIT */
/**
 * @file edgevision/prune.h
 * Make a model really smaller: fewer channels (width), fewer layers (depth).            (tier 2)
 *
 * Nothing is masked: what comes out is an ordinary model with smaller weights, which loads, trains,
 * runs and saves like any other, and the old model is untouched.  One call does the whole job:
 *
 *     EV_OPTIONS_INIT(&opt);
 *     opt.goal.unit = EV_UNIT_MACS;             // or parameters, milliseconds, bytes ...
 *     opt.goal.ratio = 0.25;                    // of what the model has
 *     ev_prune_run(ctx, model, train, valid, &opt, &smaller, &report);
 *
 * Or step by step: what may go (ev_pruner_create()), what matters (ev_pruner_score()), what shall
 * go (ev_pruner_plan(), a plan to look at and to edit), and the new model (ev_prune_plan_apply()).
 *
 * Channels that can only go together, because a sum, a join, a grouped convolution or shared
 * weights tie them, form a group.  Channels of a group are numbered 0 .. n-1.
 *
 * The words for ownership, threads and shapes are those of edgevision/base.h.
 */
#ifndef EDGEVISION_PRUNE_H
#define EDGEVISION_PRUNE_H

#include <edgevision/train.h>

EV_BEGIN_DECLS

/** What may be taken from one model, and how much each piece matters.  Threads: single. */
typedef struct ev_pruner ev_pruner;
/** What shall be taken: a list of channels and blocks.  Threads: single. */
typedef struct ev_prune_plan ev_prune_plan;
/** What a pruning run came to.  Threads: any, it does not change. */
typedef struct ev_prune_report ev_prune_report;

/* ---- what may go ----------------------------------------------------------------------------- */

/** Options of ev_pruner_create().  Zero means the default everywhere. */
typedef struct ev_pruner_options {
    uint32_t struct_size;      /**< set by EV_OPTIONS_INIT */
    int32_t n_protected;       /**< numbers of names at protected_layers */
    const char *const *protected_layers; /**< [borrow] layers whose outputs keep all channels; a
                                    name that ends in '*' stands for all that begin so */
    int32_t min_width;         /**< channels that each group keeps at least, >= 1 (default 1) */
    int32_t round_to;          /**< the number of channels kept is a multiple of it where that many
                                    are kept; goals that need it go below (default: what this
                                    processor's kernels like; 1: any number) */
} ev_pruner_options;

/**
 * Find out which channels of a model live and die together, and which layers can be left out.
 *
 * @param ctx   [share]
 * @param model [share]  with weights; of any origin.  Models that it calls count once, however
 *                       often they are called
 * @param opt   [borrow] NULL: all defaults
 * @param out   [new]    ev_pruner_destroy()
 * @return EV_OK, also when nothing can go (ask ev_pruner_n_groups()); EV_ERR_ARGUMENT: an option,
 *         a protected layer that there is not; EV_ERR_STATE: the model has no weights;
 *         EV_ERR_DIVERGED: a weight is not finite, the line names it; EV_ERR_VERSION;
 *         EV_ERR_MEMORY
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_pruner_create(ev_context *ctx, ev_model *model, const ev_pruner_options *opt,
                                  ev_pruner **out);
/** Give back one reference (plans hold one too).  NULL is fine.  Threads: single.  Since: 0.1 */
EV_API void ev_pruner_destroy(ev_pruner *pruner);

/** One group of tied channels. */
typedef struct ev_prune_group {
    uint32_t struct_size;  /**< bytes the library filled in */
    int32_t n_channels;
    const char *layer;     /**< [borrow] the layer that makes these channels; of several the first.
                                Valid as long as the pruner */
    const char *blocked;   /**< [borrow] why no channel of it can go, with the layer that is the
                                reason; NULL: any can */
    int32_t n_layers;      /**< layers whose weights shrink with it, ev_pruner_group_layer() */
    int32_t min_width;     /**< channels it keeps at least */
    int32_t round_to;      /**< see ev_pruner_options */
    int32_t reserved;
    double params_per_channel; /**< weights that go with a channel, on an average */
} ev_prune_group;

/** Number of groups, those that are blocked included; -1 for NULL.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_pruner_n_groups(const ev_pruner *pruner);
/** @param out [borrow] struct_size set by EV_OPTIONS_INIT; filled.  EV_ERR_ARGUMENT.  Since: 0.1 */
EV_API ev_status ev_pruner_group(const ev_pruner *pruner, int32_t group, ev_prune_group *out);
/** Name of a layer whose weights belong to a group, borrowed; NULL: there is none.  Since: 0.1 */
EV_API const char *ev_pruner_group_layer(const ev_pruner *pruner, int32_t group, int32_t index);

/** Kinds of blocks.  A number, once given, keeps its meaning. */
enum {
    EV_BLOCK_RESIDUAL = 1, /**< the branch beside a shortcut: its sum becomes the shortcut */
    EV_BLOCK_LAYER = 2,    /**< a convolution with what follows it, of equal shape on both sides */
    EV_BLOCK_STAGE = 3,    /**< a convolution with what follows it, of other channels on both sides
                                (its pooling stays): the next layer with weights is drawn anew */
    EV_BLOCK_DENSE = 4     /**< a dense layer with what follows it; the next is drawn anew */
};

/** One block that can be left out. */
typedef struct ev_prune_block {
    uint32_t struct_size; /**< bytes the library filled in */
    int32_t kind;         /**< EV_BLOCK_* */
    const char *layer;    /**< [borrow] its first layer with weights */
    int32_t n_layers;     /**< layers with weights in it */
    int32_t redraws;      /**< 1: the next layer's weights start anew when this block goes */
    int64_t parameters;   /**< weights in it */
    double macs;          /**< multiply-adds of it, for one picture */
    double score;         /**< how much it matters, ev_pruner_score_blocks(); NaN: not known */
} ev_prune_block;

/** Number of blocks; -1 for NULL.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_pruner_n_blocks(const ev_pruner *pruner);
/** @param out [borrow] struct_size set by EV_OPTIONS_INIT; filled.  EV_ERR_ARGUMENT.  Since: 0.1 */
EV_API ev_status ev_pruner_block(const ev_pruner *pruner, int32_t block, ev_prune_block *out);

/** Groups, what is blocked and why, and blocks: EV_DESCRIBE_TABLE or EV_DESCRIBE_JSON.
 *  @param out [new] ev_string_destroy().  EV_ERR_ARGUMENT; EV_ERR_MEMORY.  Since: 0.1 */
EV_API ev_status ev_pruner_describe(const ev_pruner *pruner, int32_t kind, char **out);

/* ---- what matters ---------------------------------------------------------------------------- */

/** How to tell important channels from others.  A number, once given, keeps its meaning. */
enum {
    EV_CRITERION_DEFAULT = 0,     /**< L2; with pictures: TAYLOR */
    EV_CRITERION_L1 = 1,          /**< sum of |w| of the filter (Li et al. 2017) */
    EV_CRITERION_L2 = 2,          /**< Euclidean norm of the filter */
    EV_CRITERION_NORM_SCALE = 3,  /**< |scale| of the norm behind it (Liu et al. 2017) */
    EV_CRITERION_TAYLOR = 4,      /**< (sum of gradient * weight)^2 of the filter, mean over batches
                                       (Molchanov et al. 2019).  Needs pictures */
    EV_CRITERION_TAYLOR_GATE = 5, /**< the same of a gate of 1 behind the norm.  Needs pictures */
    EV_CRITERION_FPGM = 6,        /**< distance to the layer's other filters (He et al. 2019) */
    EV_CRITERION_LAMP = 7,        /**< w^2 over the sum of the layer's w^2 not smaller (Lee et al.
                                       2021), summed up by filter */
    EV_CRITERION_ACTIVATION = 8,  /**< mean |activation|.  Needs pictures */
    EV_CRITERION_ZEROS = 9,       /**< share of activations that are not zero (Hu et al. 2016).
                                       Needs pictures */
    EV_CRITERION_RANDOM = 10      /**< a uniform number: the control */
};

/** Options of scoring.  Zero means the default everywhere. */
typedef struct ev_score_options {
    uint32_t struct_size; /**< set by EV_OPTIONS_INIT */
    int32_t criterion;    /**< EV_CRITERION_* */
    ev_dataset *data;     /**< [borrow] labelled pictures, for the criteria that need them */
    int32_t n_images;     /**< how many of them at most (default 256), drawn by seed */
    int32_t batch_size;   /**< default 32 */
    uint64_t seed;        /**< default 1 */
    int32_t reserved[2];
} ev_score_options;

/**
 * Give each channel of each group a score >= 0: the higher, the more it matters.  Scores of a group
 * are the mean over its layers.  Before groups are compared (EV_SCOPE_GLOBAL) each is divided by
 * its mean, but for criteria that compare by themselves: TAYLOR, TAYLOR_GATE, LAMP, RANDOM.
 *
 * @param opt [borrow] NULL: all defaults
 * @return EV_OK; EV_ERR_ARGUMENT: an option, or pictures are missing; EV_ERR_SHAPE: labels do not
 *         fit the model; EV_ERR_DIVERGED: a gradient is not finite; an error of the loader;
 *         EV_ERR_MEMORY.  After an error the scores are as before
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_pruner_score(ev_pruner *pruner, const ev_score_options *opt);
/** Scores of a group, n_channels of them, borrowed until the next scoring; NULL: none yet. */
EV_API const double *ev_pruner_scores(const ev_pruner *pruner, int32_t group);
/** Scores of one's own; without ev_pruner_score() before, groups are compared by them as they are.
 *  @param scores [borrow] n_channels finite numbers >= 0.  Since: 0.1 */
EV_API ev_status ev_pruner_set_scores(ev_pruner *pruner, int32_t group, const double *scores,
                                      int32_t n);

/** How to tell important blocks.  A number, once given, keeps its meaning. */
enum {
    EV_BLOCK_SCORE_DEFAULT = 0,
    EV_BLOCK_SCORE_ABLATION = 1,  /**< the default: by how much the loss rises without it, drawn
                                       anew where needed */
    EV_BLOCK_SCORE_SIMILARITY = 2,/**< 1 - cosine of its input and output, for blocks of equal
                                       shape on both sides; others as ABLATION */
    EV_BLOCK_SCORE_TAYLOR = 3     /**< sum of the Taylor scores of its channels */
};
/** Score the blocks.  @param method EV_BLOCK_SCORE_*; data, n_images, batch_size and seed of
 *  @p opt count, and pictures are needed.  As ev_pruner_score().  Since: 0.1 */
EV_API ev_status ev_pruner_score_blocks(ev_pruner *pruner, int32_t method,
                                        const ev_score_options *opt);

/* ---- what shall go --------------------------------------------------------------------------- */

/** What is counted.  A number, once given, keeps its meaning. */
enum {
    EV_UNIT_PARAMETERS = 1, /**< trainable numbers */
    EV_UNIT_MACS = 2,       /**< multiply-adds for one picture */
    EV_UNIT_FILE_BYTES = 3, /**< of the ONNX file */
    EV_UNIT_MEMORY_BYTES = 4,/**< of a session for one picture: weights, packed copies, arena */
    EV_UNIT_MS = 5,         /**< milliseconds for one picture, measured on this machine */
    EV_UNIT_CHANNELS = 6    /**< channels of all groups that can shrink */
};

/** How small.  Exactly one of ratio and amount is given.  This struct never grows. */
typedef struct ev_prune_goal {
    int32_t unit;     /**< EV_UNIT_* */
    int32_t reserved; /**< zero */
    double ratio;     /**< of what the model has now, 0..1 */
    double amount;    /**< in the unit: numbers, bytes, milliseconds */
} ev_prune_goal;

enum {
    EV_SCOPE_GLOBAL = 0, /**< all groups compete */
    EV_SCOPE_LOCAL = 1   /**< each group loses the same share */
};

/** Options of ev_pruner_plan().  Zero means the default everywhere. */
typedef struct ev_prune_plan_options {
    uint32_t struct_size; /**< set by EV_OPTIONS_INIT */
    int32_t scope;        /**< EV_SCOPE_* */
    ev_prune_goal goal;   /**< all zero: keep everything, to be edited */
    int32_t depth;        /**< 0: width only; 1: blocks go too, as long as it takes, least score
                               first, before channels do; 2: blocks only */
    int32_t n_threads;    /**< of runs that are timed (default 1) */
    double max_share;     /**< of one group that may go, 0..1 (default 0.9) */
    uint64_t reserved[2];
} ev_prune_plan_options;

/**
 * Decide what goes: the least important, until the goal is met.  Counts end at or under the goal
 * within one step of rounding; milliseconds are reached by measuring in turn with the old model.
 *
 * @param opt [borrow] NULL: a plan that keeps everything
 * @param out [new]    ev_prune_plan_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_STATE: no scores yet; EV_ERR_GOAL: it cannot be reached,
 *         the line tells the floor and what holds it (nothing is made); EV_ERR_MEMORY
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_pruner_plan(ev_pruner *pruner, const ev_prune_plan_options *opt,
                                ev_prune_plan **out);
/** NULL is fine.  Threads: single.  Since: 0.1 */
EV_API void ev_prune_plan_destroy(ev_prune_plan *plan);

/** Numbers of a model before and after. */
typedef struct ev_prune_counts {
    uint32_t struct_size; /**< bytes the library filled in */
    int32_t n_blocks_gone;
    int64_t parameters[2];   /**< before, after; so all the others */
    double macs[2];
    int64_t file_bytes[2];
    int64_t memory_bytes[2];
    int64_t channels[2];
    double ms_predicted[2];  /**< by multiply-adds and bytes of each layer; NaN: not measured yet,
                                  before: as measured */
    double ms_measured[2];   /**< median of alternating runs; NaN: not measured yet */
    double ms_spread[2];     /**< quartile distance over median */
} ev_prune_counts;

/** What the plan comes to.  @param measure 1: time both models in turn, about a second; also
 *  draws the smaller one.  @param out [borrow] filled.  Since: 0.1 */
EV_API ev_status ev_prune_plan_counts(ev_prune_plan *plan, int32_t measure, int32_t n_threads,
                                      ev_prune_counts *out);
/** The same for the smallest model that the groups allow, all blocks kept.  Since: 0.1 */
EV_API ev_status ev_pruner_floor(ev_pruner *pruner, int32_t measure, int32_t n_threads,
                                 ev_prune_counts *out);

/** Channels that the plan keeps of a group; -1: no such group.  Since: 0.1 */
EV_API int32_t ev_prune_plan_width(const ev_prune_plan *plan, int32_t group);
/** Keep the best @p width channels of a group by score.  EV_ERR_ARGUMENT: blocked, protected, or
 *  out of min_width..n_channels.  Since: 0.1 */
EV_API ev_status ev_prune_plan_set_width(ev_prune_plan *plan, int32_t group, int32_t width);
/** 1: the plan keeps this channel; 0: it goes; -1: there is none.  Since: 0.1 */
EV_API int32_t ev_prune_plan_keeps(const ev_prune_plan *plan, int32_t group, int32_t channel);
/** Keep (1) or take (0) one channel.  EV_ERR_ARGUMENT as above.  Since: 0.1 */
EV_API ev_status ev_prune_plan_set_channel(ev_prune_plan *plan, int32_t group, int32_t channel,
                                           int32_t keep);
/** Keep (1) or take (0) a block.  EV_ERR_ARGUMENT: none such, or one that overlaps is gone. */
EV_API ev_status ev_prune_plan_set_block(ev_prune_plan *plan, int32_t block, int32_t keep);
/** 1: the plan keeps this block; 0: it goes; -1: there is none.  Since: 0.1 */
EV_API int32_t ev_prune_plan_keeps_block(const ev_prune_plan *plan, int32_t block);

/** The plan layer by layer, before and after: EV_DESCRIBE_TABLE or EV_DESCRIBE_JSON.
 *  @param out [new] ev_string_destroy().  EV_ERR_ARGUMENT; EV_ERR_MEMORY.  Since: 0.1 */
EV_API ev_status ev_prune_plan_describe(const ev_prune_plan *plan, int32_t kind, char **out);

/**
 * Draw the smaller model and gather the weights that stay.  Weights of layers that are drawn anew
 * (ev_prune_block.redraws) start by @p seed.  Metadata is kept.  The old model is untouched.
 *
 * @param out [new] ev_model_destroy()
 * @return EV_OK; EV_ERR_STALE: the model's layers changed since; EV_ERR_MEMORY
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_prune_plan_apply(const ev_prune_plan *plan, uint64_t seed, ev_model **out);

/** One point of a sensitivity scan. */
typedef struct ev_sensitivity {
    uint32_t struct_size;
    int32_t group;
    double share;    /**< of the group's channels that went */
    double loss;     /**< mean cross entropy */
    double accuracy; /**< 0..1 */
} ev_sensitivity;
/** Called with each point; 0 goes on, else EV_ERR_CANCELLED.  @p point is borrowed. */
typedef int32_t (*ev_sensitivity_fn)(void *user, const ev_sensitivity *point);
/**
 * Take shares of one group after the other, by score, and evaluate without training.
 *
 * @param shares [borrow] n_shares numbers 0..1, below 1
 * @return EV_OK; EV_ERR_STATE: no scores; EV_ERR_CANCELLED; an error of the loader; EV_ERR_MEMORY
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_pruner_sensitivity(ev_pruner *pruner, ev_dataset *data, const double *shares,
                                       int32_t n_shares, ev_sensitivity_fn fn, void *user);

/* ---- all in one ------------------------------------------------------------------------------ */

/** How the way to the goal is divided into steps. */
enum {
    EV_PRUNE_SCHEDULE_DEFAULT = 0,
    EV_PRUNE_SCHEDULE_ONE_SHOT = 1,
    EV_PRUNE_SCHEDULE_LINEAR = 2,
    EV_PRUNE_SCHEDULE_CUBIC = 3,  /**< fast first (Zhu and Gupta 2017); the default */
    EV_PRUNE_SCHEDULE_COSINE = 4,
    EV_PRUNE_SCHEDULE_CALLBACK = 5 /**< schedule_fn says */
};

/** One step of a run. */
typedef struct ev_prune_step {
    uint32_t struct_size;     /**< bytes the library filled in */
    int32_t index;            /**< 0: the model as given */
    int32_t n_steps;
    int32_t kept;             /**< 0: the accuracy fell below the floor, taken back */
    double goal;              /**< share of the unit aimed at in this step */
    int64_t parameters;
    double macs, ms;          /**< ms: measured, NaN if not asked for */
    double accuracy_pruned;   /**< on the validation set, before fine-tuning */
    double accuracy;          /**< after fine-tuning */
    double seconds;
} ev_prune_step;
/** Called after each step; 0 goes on, else EV_ERR_CANCELLED (what was reached can be resumed). */
typedef int32_t (*ev_prune_step_fn)(void *user, const ev_prune_step *step);
/** Share (0..1, 1: the model as given) to aim at in step @p step of 1 .. n_steps. */
typedef double (*ev_prune_schedule_fn)(void *user, int32_t step, int32_t n_steps, double goal);

/** Options of ev_prune_run().  Zero means the default everywhere. */
typedef struct ev_prune_options {
    uint32_t struct_size;    /**< set by EV_OPTIONS_INIT */
    int32_t schedule;        /**< EV_PRUNE_SCHEDULE_* */
    ev_prune_goal goal;      /**< all zero: as small as accuracy_floor allows */
    double accuracy_floor;   /**< lowest accuracy on the validation set, 0..1, or below 0: by how
                                  much it may fall (-0.01: one point) (default: none).  A step that
                                  ends below it is taken back, and the run ends */
    int32_t n_steps;         /**< default 5; ONE_SHOT: 1 */
    int32_t criterion;       /**< EV_CRITERION_* (default TAYLOR) */
    int32_t scope;           /**< EV_SCOPE_* */
    int32_t depth;           /**< as in ev_prune_plan_options */
    int32_t block_score;     /**< EV_BLOCK_SCORE_* */
    int32_t n_images;        /**< for criteria that need pictures (default 256) */
    int32_t step_epochs;     /**< of fine-tuning after each step but the last (default 1) */
    int32_t final_epochs;    /**< after the last (default 10) */
    int32_t norm_batches;    /**< batches to estimate the running statistics of norms anew, before
                                  fine-tuning (default 20; negative: none) */
    int32_t no_controls;     /**< 1: no training from scratch and no random criterion beside */
    int32_t n_threads;       /**< of runs that are timed (default 1) */
    int32_t measure;         /**< 1: time each step's model */
    double distill;          /**< share of the loss that is the old model's opinion (Hinton et al.
                                  2015), 0..1 (default none) */
    double temperature;      /**< of it (default 4) */
    uint64_t seed;           /**< default 1 */
    const ev_pruner_options *pruner; /**< [borrow] protected layers, least width, rounding */
    const ev_train_options *train;   /**< [borrow] fine-tuning; its max_epochs and checkpoint are
                                  not read, learning_rate is a tenth of the trainer's by default;
                                  training from scratch has the trainer's or, if more, this one */
    const char *folder;      /**< [borrow] state is kept there after each step, and a run that was
                                  stopped goes on from it, if the options are the same */
    ev_prune_schedule_fn schedule_fn;
    ev_prune_step_fn on_step;
    ev_epoch_fn on_epoch;    /**< of fine-tuning and of controls */
    void *user;
    double max_share;        /**< of the model's channels of one group that may go in all, 0..1
                                  (default 0.9) */
} ev_prune_options;

/**
 * Prune in steps, with fine-tuning between them, until the goal or the floor is reached.
 *
 * Beside it, unless no_controls: the architecture that came out, trained from random weights for
 * as many epochs as fine-tuning had in all, and a run by EV_CRITERION_RANDOM.
 *
 * @param ctx    [share]
 * @param model  [share]  a trained classifier; untouched
 * @param train  [share]  for fine-tuning and scores
 * @param valid  [share]  for accuracy
 * @param opt    [borrow]
 * @param out    [new]    ev_model_destroy(); NULL after an error
 * @param report [new]    ev_prune_report_destroy(); may be NULL
 * @return EV_OK; EV_ERR_GOAL: the goal cannot be reached or only below the accuracy floor: out is
 *         then the last good model, if a step was kept, and the report says why; EV_ERR_CANCELLED;
 *         EV_ERR_ARGUMENT; EV_ERR_SHAPE; EV_ERR_DIVERGED; errors of training; EV_ERR_MEMORY
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_prune_run(ev_context *ctx, ev_model *model, ev_dataset *train,
                              ev_dataset *valid, const ev_prune_options *opt, ev_model **out,
                              ev_prune_report **report);
/** NULL is fine.  Threads: single.  Since: 0.1 */
EV_API void ev_prune_report_destroy(ev_prune_report *report);

/** What came out, in numbers. */
typedef struct ev_prune_summary {
    uint32_t struct_size;  /**< bytes the library filled in */
    int32_t n_steps;       /**< done, ev_prune_report_step() */
    int32_t goal_met;      /**< 1: yes */
    int32_t reserved;
    double accuracy_before, accuracy_after; /**< on the validation set */
    double accuracy_scratch;/**< the same architecture from random weights; NaN: not run */
    double accuracy_random; /**< pruned by chance, fine-tuned alike; NaN: not run */
} ev_prune_summary;
/** @param out [borrow] filled.  Threads: any.  Since: 0.1 */
EV_API ev_status ev_prune_report_summary(const ev_prune_report *report, ev_prune_summary *out);
/** Numbers before and after.  @param out [borrow] filled.  Threads: any.  Since: 0.1 */
EV_API ev_status ev_prune_report_counts(const ev_prune_report *report, ev_prune_counts *out);
/** @param out [borrow] filled.  EV_ERR_ARGUMENT: no such step.  Threads: any.  Since: 0.1 */
EV_API ev_status ev_prune_report_step(const ev_prune_report *report, int32_t index,
                                      ev_prune_step *out);
/** As text for people (its first line says so when time did not fall) or as JSON.
 *  @param out [new] ev_string_destroy().  Threads: any.  Since: 0.1 */
EV_API ev_status ev_prune_report_describe(const ev_prune_report *report, int32_t kind, char **out);

/* ---- architectures by halving ---------------------------------------------------------------- */

/** Options of ev_ladder_next().  Zero means the default everywhere. */
typedef struct ev_ladder_options {
    uint32_t struct_size; /**< set by EV_OPTIONS_INIT */
    int32_t rung;         /**< number of the new one, 1 ...: decides whose turn it is */
    double ratio;         /**< parameters to keep, 0..1 (default 0.5) */
    int32_t min_width;    /**< least filters of a layer (default 4) */
    int32_t min_dense;    /**< least units of a dense layer (default 8) */
    uint64_t seed;        /**< of the new weights (default 1) */
} ev_ladder_options;
/**
 * The next smaller architecture of a sequential classifier, by the alternation that the paper made
 * by hand (section 3.2): in turn convolutions go (one of each of the longest stages, or the last
 * stage), filters become fewer, the dense layers shrink, until parameters are at most @p ratio of
 * before.  Weights start anew.
 *
 * @param out [new] ev_model_destroy()
 * @return EV_OK; EV_ERR_UNSUPPORTED: not a sequence of layers; EV_ERR_GOAL: it cannot become so
 *         small; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_ladder_next(ev_context *ctx, ev_model *model, const ev_ladder_options *opt,
                                ev_model **out);

EV_END_DECLS

#endif /* EDGEVISION_PRUNE_H */
