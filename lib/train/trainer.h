/* SPDX-License-Identifier: MIT */
/* The inside of a training run. */
#ifndef EVI_TRAINER_H
#define EVI_TRAINER_H

#include "graph/plan.h"
#include <edgevision/train.h>

/* Elements that one task of the optimiser takes: fixed, so that sums have a fixed order. */
#define EVI_TRAIN_PIECE 16384

/* Options with every default filled in.  Decimal fractions are doubles: what the caller wrote as
 * 0.999f is meant to be 0.999 (options.c). */
typedef struct evi_train {
    int32_t optimizer, nesterov;
    double learning_rate, momentum, beta1, beta2, epsilon, l2, decay, clip_norm, clip_value;
    int32_t schedule, schedule_epochs, warmup_steps;
    double schedule_factor, learning_rate_min;
    int32_t batch_size, max_epochs, patience, monitor;
    double min_delta, time_limit;
    float dropout; /* below 0: as drawn */
    float label_smoothing;
    const float *class_weights; /* [borrow] only while the trainer is made */
    int32_t n_class_weights, precise;
    uint64_t seed;
    int32_t no_shuffle, drop_last, skip_unreadable, loader_threads;
    int64_t cache_bytes;
    const ev_augment_options *augment; /* [borrow] only while the trainer is made */
    const ev_decode_options *decode;
    ev_epoch_fn on_epoch;
    ev_step_fn on_step;
    ev_reduce_fn reduce;
    void *user;
    const char *checkpoint;
    int32_t checkpoint_epochs, checkpoint_steps; /* 0: not */
    double distill, temperature; /* share of the loss that is a teacher's opinion; 0: no teacher */
} evi_train;

/* What belongs to one store of weights.  Vectors are NULL where they are not needed. */
typedef struct evi_train_store {
    evi_store *store;     /* held by the plan's model */
    evi_real *gradients;  /* n_trainable */
    evi_real *moment1;    /* n_trainable: momentum; first moment */
    evi_real *moment2;    /* n_trainable: second moment */
    evi_real *best;       /* n_total: the best weights, or, while `swapped`, the latest */
    evi_real *statistics; /* n_total - n_trainable: running statistics before the step */
    int32_t trained;      /* some weight of it gets a gradient ... */
    int32_t cleared;      /* ... and one of them not from the first part: gradients start at zero */
    int32_t moves;        /* a step changes its running statistics */
} evi_train_store;

typedef struct evi_train_piece { /* a run of trained weights, at most EVI_TRAIN_PIECE */
    int32_t store, count;
    int64_t first;
} evi_train_piece;

/* A net with losses, made ready.  Mostly there is one; several run in turn, and their gradients are
 * added up before the weights change. */
typedef struct evi_train_part {
    ev_model *net;
    ev_plan *plan;
    ev_session *session;
    const void **inputs; /* elements of each input, for the step */
    char *kept;          /* several parts: where its outputs are copied to */
    int32_t first_loss, first_output; /* numbers through all parts */
} evi_train_part;

/* Everything that a checkpoint holds beside vectors and history. */
typedef struct evi_train_state {
    int32_t epoch, batch; /* completed; batches done in the one under way */
    int64_t steps;
    int32_t best_epoch; /* -1 */
    int32_t waiting;    /* epochs since the best */
    int32_t plateau_waiting;
    int32_t has_best;          /* `best` holds weights */
    int64_t n_images, n_right; /* of the epoch under way */
    double base_rate, plateau_factor, plateau_best, watched_best, loss_sum;
} evi_train_state;

struct ev_trainer {
    evi_handle handle;
    ev_model *model; /* the caller's; the first part's net is the same, or one that calls it */
    ev_loader *train, *valid; /* NULL: none */
    ev_session *teacher;      /* logits of each batch; NULL: none */
    evi_train o;
    char *checkpoint_path;
    char *options_text; /* "key=value;": what a checkpoint must agree with */
    int32_t is_classifier, n_losses, n_outputs, n_classes, keep_best, swapped;
    int32_t n_stores, n_pieces, history_capacity, n_trained, n_parts;
    evi_train_store *stores;
    evi_train_piece *pieces;
    double *sums;        /* one a piece: squares of gradients */
    double *losses;      /* of the last step */
    ev_tensor *outputs;  /* of the last step */
    void *workspace;     /* several parts: arena and scratch of them all; NULL: one */
    char *kept;          /* several parts: elements of outputs */
    ev_epoch *history;
    evi_train_state state;
    double gradient_norm, last_rate, epoch_start;
    evi_train_part parts[]; /* n_parts */
};

/* options.c */
ev_status evi_train_options(const ev_train_options *opt, bool has_valid, const char *function,
                            evi_train *out);
/* All options that decide about the result, as "key=value;" */
void evi_train_text(evi_text *text, const evi_train *o, int32_t n_train, int32_t n_valid);
ev_status evi_train_options_text(ev_trainer *t, int32_t n_train, int32_t n_valid);

/* compose.c */
int32_t evi_count_losses(const ev_model *model);
/* The model itself when it has losses, otherwise one that puts a cross entropy on it. */
ev_status evi_train_compose(ev_context *ctx, ev_model *model, const evi_train *o, ev_model **out,
                            int32_t *is_classifier_out);
/* One input [N,C,H,W], first output [N,classes]; input_out: [C,H,W]. */
ev_status evi_classifier_shape(const ev_model *model, const char *function, int64_t input_out[3],
                               int32_t *n_classes_out);
/* Loader options that fit the model; options that `decode` and `augment` point to are borrowed. */
ev_status evi_model_loader(ev_context *ctx, ev_model *model, ev_dataset *dataset,
                           ev_loader_options *options, ev_loader **out);
/* Set the rate of all dropout layers of a model and its callees; old_out remembers. */
ev_status evi_dropout_set(ev_model *model, float rate, float **old_out);
void evi_dropout_restore(ev_model *model, float *old); /* frees old; NULL: nothing */

/* trainer.c */
/* ev_trainer_create(), and with a teacher (Hinton, Vinyals, Dean 2015): another classifier of the
 * same pictures, which is run as it is used (no dropout, running statistics) and never changes.
 * The loss becomes
 *     (1 - distill) * cross entropy + distill * T^2 * cross entropy of softmax(./T) with the
 *     teacher's softmax(./T);
 * the net has a third input, "teacher": its logits [N,classes].  [borrow] teacher: must live, and
 * keep its weights, as long as the trainer. */
typedef struct evi_teacher {
    ev_model *model;
    double distill, temperature; /* 0..1, above 0 */
} evi_teacher;
ev_status evi_trainer_create_taught(ev_context *ctx, ev_model *model, const evi_teacher *teacher,
                                    ev_dataset *train, ev_dataset *valid,
                                    const ev_train_options *opt, ev_trainer **out);
/* Several nets, each with losses of its own, trained as one: run in turn in the same memory,
 * gradients summed in that order, one update.  A feed goes to every net that has an input of its
 * name; losses and outputs are counted through all nets; outputs stay readable until the next step.
 * Any weights may be shared.  No dataset. */
ev_status evi_trainer_create_parts(ev_context *ctx, ev_model *const *nets, int32_t n_nets,
                                   const ev_train_options *opt, ev_trainer **out);
ev_status evi_trainer_memory_parts(ev_context *ctx, ev_model *const *nets, int32_t n_nets,
                                   const ev_train_options *opt, ev_memory *out);
/* checkpoint.c: everything that a checkpoint holds of a trainer, under names that begin with prefix
 * (at most EVI_ST_PREFIX bytes), as a part of a larger file.  Weights and moments are borrowed
 * until the file is written, the rest is copied.  Under a prefix only those weights that it trains
 * are there, so that several trainers of shared networks put each of them once.  take: with copy
 * false it is only looked whether everything is there and fits; after that, copying from the same
 * file cannot fail. */
struct evi_st_file;
ev_status evi_trainer_put(ev_trainer *t, struct evi_st_file *f, const char *prefix);
ev_status evi_trainer_take(ev_trainer *t, struct evi_st_file *f, const char *path,
                           const char *prefix, bool copy);
/* Compare two texts of options, "key=value;" each: EV_ERR_ARGUMENT names the first that differs,
 * and differs_out points to it; EV_ERR_FORMAT: theirs is NULL. */
ev_status evi_train_compare(const char *path, const char *theirs, const char *ours,
                            const char **differs_out);
/* Elements of the teacher's logits for these pictures. */
ev_status evi_train_ask_teacher(ev_trainer *t, const ev_tensor *images, const void **out);

/* parts.c */
/* Make each net's plan, find all stores; t->parts[].net: held, composed already. */
ev_status evi_train_plan_parts(ev_trainer *t);
/* Sessions and all else that the parts' steps need; gradient vectors are there. */
ev_status evi_train_start_parts(ev_trainer *t);
uint64_t evi_train_plans_bytes(const ev_trainer *t);
uint64_t evi_train_sessions_bytes(const ev_trainer *t);
uint64_t evi_train_tables_bytes(const ev_trainer *t); /* the rest of evi_train_start_parts() */
void evi_train_parts_free(ev_trainer *t);
/* t->outputs after a part's forward pass. */
void evi_train_show_outputs(ev_trainer *t, const evi_train_part *part);

/* optimizer.c */
/* Which weights are trained; with_memory: their vectors too. */
ev_status evi_train_vectors(ev_trainer *t, bool with_memory);
uint64_t evi_train_vectors_bytes(const ev_trainer *t);
void evi_train_vectors_free(ev_trainer *t);
/* Norm over all trained weights' gradients, or of what clipping left of them. */
double evi_train_norm(ev_trainer *t, evi_crew *crew);
void evi_train_clip(ev_trainer *t, evi_crew *crew, double norm);
void evi_train_update(ev_trainer *t, evi_crew *crew, double rate);
void evi_train_touch(ev_trainer *t); /* plans made before are stale */

/* schedule.c */
double evi_train_rate(const ev_trainer *t);
void evi_plateau_epoch(ev_trainer *t, double watched); /* a number to make lower */

/* step.c */
/* One update from elements of all inputs (t->inputs).  labels: counted for accuracy, or NULL. */
ev_status evi_train_step(ev_trainer *t, int64_t batch, const int32_t *labels);
/* The two halves of a step without labels, for those who wait with the update until other things
 * have succeeded.  A failure of the first has changed nothing; the second cannot fail. */
typedef struct evi_train_pending {
    int64_t batch;
    double loss;
} evi_train_pending;
ev_status evi_train_gradients(ev_trainer *t, const ev_feed *feeds, int32_t n_feeds,
                              evi_train_pending *out);
void evi_train_apply(ev_trainer *t, const evi_train_pending *step);

/* epoch.c */
void evi_train_swap(ev_trainer *t, bool best); /* best or latest weights into the model */
ev_status evi_train_end_epoch(ev_trainer *t, double valid_loss, double valid_accuracy);
ev_status evi_train_tell_epoch(ev_trainer *t); /* calls on_epoch */
bool evi_train_is_over(const ev_trainer *t);

/* evaluate.c */
ev_status evi_evaluate_loader(ev_context *ctx, ev_model *model, ev_loader *loader, int32_t batch,
                              int32_t precise, ev_metrics *metrics);

/* metrics.c */
ev_status evi_metrics_add(ev_metrics *metrics, const evi_real *logits, int64_t n,
                          const int32_t *labels, const int32_t *items);

struct ev_metrics {
    evi_handle handle;
    int32_t n_classes, no_items;
    int64_t count, capacity;
    double loss_sum;
    int64_t *confusion; /* [label][predicted] */
    int64_t n_right;
    double *row;                         /* n_classes: one picture's probabilities */
    int32_t *items, *labels, *predicted; /* one a picture */
    float *probabilities;                /* n_classes a picture */
    double *losses;
};

#endif
