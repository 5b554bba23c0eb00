/* SPDX-License-Identifier: MIT */
/* The inside of a CycleGAN in training.  Nothing here computes: the steps are composed models
 * (nets.c) and ordinary trainers run them. */
#ifndef EVI_GAN_H
#define EVI_GAN_H

#include "base/rng.h"
#include "tensor/tensor.h"
#include "train/safetensors.h"
#include "train/trainer.h"
#include <edgevision/cyclegan.h>

/* Everything that is to be known to draw the steps: defaults filled in, pointers resolved.  Still
 * the public form, which can be handed in again: -1 (not 0) where the caller wants none. */
typedef struct evi_gan_options {
    ev_cyclegan_options o;  /* generator, discriminator: to the two below (not in a copy) */
    ev_generator_options g; /* image size and channels as o */
    ev_discriminator_options d;
} evi_gan_options;

/* options.c */
/* function: the caller's name, for messages. */
ev_status evi_gan_options_read(const ev_cyclegan_options *opt, const char *function,
                               evi_gan_options *out);
/* All that decides about the result, as "key=value;", and back (what a checkpoint says).  Keys are
 * the public fields' names ("generator.n_blocks"); "classifier" is a checksum of it and cannot come
 * back; "max_bytes" is 0 unless it has split the step. */
void evi_gan_options_text(evi_text *text, const evi_gan_options *o, bool split);
ev_status evi_gan_options_parse(const char *text, const char *path, evi_gan_options *out);

/* ---- the nets of a step: nets.c -------------------------------------------------------------- */

/* Which losses a trainer's losses are, in its order.  UNTOLD: the same term is told by another
 * update of the step. */
enum {
    EVI_GAN_UNTOLD = -1,
    EVI_GAN_D = 0,
    EVI_GAN_G,
    EVI_GAN_CYCLE,
    EVI_GAN_IDT,
    EVI_GAN_CLASS,
    EVI_GAN_N_KINDS
};
enum { EVI_GAN_MAX_NETS = 6, EVI_GAN_MAX_LOSSES = 16, EVI_GAN_TRAINERS = 4 };
/* Inputs of nets.  FAKE_B is what G_A made, FAKE_A what G_B made. */
enum {
    EVI_GAN_A = 0,
    EVI_GAN_B,
    EVI_GAN_FAKE_B,
    EVI_GAN_FAKE_A,
    EVI_GAN_LABELS_A,
    EVI_GAN_LABELS_B,
    EVI_GAN_N_FEEDS
};

/* One update: nets whose losses are added (one, or, when memory is short, one for each term). */
typedef struct evi_gan_update {
    int32_t is_discriminator;
    int32_t n_nets, n_losses;
    ev_model *nets[EVI_GAN_MAX_NETS];
    uint32_t feeds; /* bit EVI_GAN_A..: inputs that some net has */
    int32_t kind[EVI_GAN_MAX_LOSSES], side[EVI_GAN_MAX_LOSSES]; /* of each loss; side EV_A_TO_B.. */
    float weight[EVI_GAN_MAX_LOSSES];
    int32_t fake[2]; /* number of the output (over all nets) that is G_A(a), G_B(b); -1: none */
} evi_gan_update;

typedef struct evi_gan_nets {
    ev_model *generators[2], *discriminators[2]; /* by direction */
    ev_model *classifier;                        /* NULL: none */
    ev_model *labeller; /* "b" -> the classifier's logits; NULL: labels come from sets */
    int32_t n_updates;
    evi_gan_update updates[EVI_GAN_TRAINERS]; /* in their order */
} evi_gan_nets;

/* Draw the four networks (weights from o->o.seed) and the steps; split: one net for each term.
 * with_weights false: the networks' weights are zeros, enough to count bytes. */
ev_status evi_gan_nets_draw(ev_context *ctx, const evi_gan_options *o, bool split,
                            bool with_weights, evi_gan_nets *out);
void evi_gan_nets_end(evi_gan_nets *nets);
const char *evi_gan_feed_name(int32_t feed);
/* nets_updates.c: the updates alone. */
ev_status evi_gan_nets_updates(ev_context *ctx, const evi_gan_options *o, bool split,
                               evi_gan_nets *nets);

/* answers.c */
/* What a classifier, called frozen, says of pictures -1..1 [N,C,H,W] of a net: its first output,
 * [N,classes].  They are resized and rescaled inside the net as the classifier's metadata say. */
enum { EVI_GAN_MAX_OUTPUTS = 8 };
ev_status evi_gan_answers(ev_model *net, ev_model *classifier, ev_value pictures,
                          ev_value *logits_out);

/* ---- histories of made pictures: pool.c ------------------------------------------------------ */

typedef struct evi_gan_pool {
    int32_t capacity, count;
    int64_t picture_elements;
    evi_real *pictures; /* capacity of them */
    ev_tensor *given;   /* [batch,C,H,W]: what the discriminator sees; batch as in the last call */
    int32_t *slots;     /* where each picture of the batch goes; -1: nowhere */
    evi_rng chance;
} evi_gan_pool;

/* capacity 0: given is what was made.  batch: the largest. */
ev_status evi_gan_pool_start(ev_context *ctx, evi_gan_pool *p, int32_t capacity, int32_t batch,
                             const int64_t picture[3], evi_rng chance);
uint64_t evi_gan_pool_bytes(int32_t capacity, int32_t batch, const int64_t picture[3]);
void evi_gan_pool_end(evi_gan_pool *p);
/* Fills p->given: of each made picture either itself or, by a coin, an older one that it replaces.
 * The coins depend on the pool's stream, on total_steps and the picture's place alone.  The history
 * stays as it is until evi_gan_pool_keep() of the same pictures: a step can be called off. */
void evi_gan_pool_choose(evi_gan_pool *p, const ev_tensor *made, int64_t total_steps);
void evi_gan_pool_keep(evi_gan_pool *p, const ev_tensor *made);

/* ---- pictures of a set: feed.c --------------------------------------------------------------- */

/* Batches of a set without end: loaded at load size, cut at a random place, mirrored.  Which
 * pictures and what becomes of them depends on seed, stream and the batch's number alone. */
typedef struct evi_gan_feed evi_gan_feed;
typedef struct evi_gan_feed_options {
    int32_t width, height, load_width, load_height, channels, batch, flip, replacement;
    uint64_t seed, stream; /* stream: 0 for A, 1 for B */
    int64_t cache_bytes;
    int32_t loader_threads;
} evi_gan_feed_options;
ev_status evi_gan_feed_create(ev_context *ctx, ev_dataset *set, const evi_gan_feed_options *o,
                              evi_gan_feed **out);
void evi_gan_feed_destroy(evi_gan_feed *feed);
int32_t evi_gan_feed_size(const evi_gan_feed *feed); /* pictures in its set */
/* Batch number 0.. of the run.  images: float32 [batch,C,H,W] in -1..1; labels may be NULL. */
ev_status evi_gan_feed_batch(evi_gan_feed *feed, int64_t number, ev_tensor **images_out,
                             const int32_t **labels_out);

/* ---- the object ------------------------------------------------------------------------------ */

struct ev_cyclegan {
    evi_handle handle;
    evi_gan_options o;
    evi_gan_nets nets;
    int32_t is_split;
    ev_trainer *trainers[EVI_GAN_TRAINERS]; /* one an update */
    evi_real *undo;                         /* weights and moments of G_B, in the authors' order */
    evi_gan_pool pools[2];                  /* by direction of the generator */
    ev_session *labeller;                   /* classifier of pictures of B; NULL: none */
    ev_tensor *labels[2];                   /* int32 [batch] of A, B; NULL: none */
    int32_t n_classes;                      /* of the classifier */
    evi_gan_feed *feeds[2];                 /* A, B; NULL: made without sets */
    char *checkpoint;                       /* NULL: none */
    int32_t has_checkpoint;                 /* this object has written or read that file */
    int32_t epoch, step, n_steps;           /* completed; done in this one; in an epoch */
    int64_t total_steps;
    ev_cyclegan_losses sums, last; /* over this epoch's steps; of the last step */
    double epoch_start;
};

/* gan.c */
/* Bytes of everything that evi_gan_start() allocates for these nets, networks included. */
ev_status evi_gan_count(ev_context *ctx, const evi_gan_options *o, const evi_gan_nets *nets,
                        ev_memory *m);

/* step.c */
/* As ev_cyclegan_step(), with the labels that sets have (NULL: none).  Fills gan->last, adds it to
 * gan->sums, counts total_steps and step.  Whoever sees that step has reached n_steps ends the
 * epoch. */
ev_status evi_gan_step(ev_cyclegan *gan, const ev_tensor *a, const ev_tensor *b,
                       const int32_t *labels_a, const int32_t *labels_b);
uint64_t evi_gan_undo_elements(const evi_gan_options *o, const evi_gan_nets *nets);
void evi_gan_end_epoch(ev_cyclegan *gan); /* epoch + 1, step 0, sums 0 */
/* Loss 0..9 in the order of the struct, which is that of a file too. */
enum { EVI_GAN_N_LOSSES = 10 };
double *evi_gan_loss(ev_cyclegan_losses *l, int32_t index);
/* Of the epoch under way: learning_rate * min(1, (epochs - epoch) / (decay_epochs + 1)), as in the
 * reference program: the last epoch still has a step of 1 / (decay_epochs + 1). */
double evi_gan_rate(const ev_cyclegan *gan);

/* state.c */
ev_status evi_gan_state_collect(ev_cyclegan *gan, evi_st_file *f); /* borrows until written */
/* The same copied to memory (f: started or zero; ended when it fails), and back from a file or such
 * a copy: everything is looked at before anything changes. */
ev_status evi_gan_state_keep(ev_cyclegan *gan, evi_st_file *f);
ev_status evi_gan_state_take(ev_cyclegan *gan, evi_st_file *f, const char *path);

#endif
