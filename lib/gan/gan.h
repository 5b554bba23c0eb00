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

/* Everything that is to be known to draw the steps: defaults filled in, pointers resolved. */
typedef struct evi_gan_options {
    ev_cyclegan_options o;  /* generator, discriminator: to the two below; checkpoint: NULL */
    ev_generator_options g; /* image size and channels as o */
    ev_discriminator_options d;
} evi_gan_options;

/* options.c */
/* function: the caller's name, for messages. */
ev_status evi_gan_options_read(const ev_cyclegan_options *opt, const char *function,
                               evi_gan_options *out);
/* All that decides about the result, as "key=value;", and back (what a checkpoint says). */
void evi_gan_options_text(evi_text *text, const evi_gan_options *o);
ev_status evi_gan_options_parse(const char *text, const char *path, evi_gan_options *out);

/* ---- the nets of a step: nets.c -------------------------------------------------------------- */

/* Which losses a trainer's losses are, in its order. */
enum { EVI_GAN_D = 0, EVI_GAN_G, EVI_GAN_CYCLE, EVI_GAN_IDT, EVI_GAN_CLASS, EVI_GAN_N_KINDS };
enum { EVI_GAN_MAX_NETS = 6, EVI_GAN_MAX_LOSSES = 16, EVI_GAN_TRAINERS = 4 };

/* One update: nets whose losses are added (one, or, when memory is short, one for each term). */
typedef struct evi_gan_update {
    int32_t is_discriminator;
    int32_t n_nets, n_losses;
    ev_model *nets[EVI_GAN_MAX_NETS];
    int32_t kind[EVI_GAN_MAX_LOSSES], side[EVI_GAN_MAX_LOSSES]; /* of each loss; side EV_A_TO_B.. */
    int32_t fake[2]; /* number of the output (over all nets) that is G_A(a), G_B(b); -1: none */
} evi_gan_update;

typedef struct evi_gan_nets {
    ev_model *generators[2], *discriminators[2]; /* by direction */
    ev_model *classifier;                        /* NULL: none */
    int32_t n_updates;
    evi_gan_update updates[EVI_GAN_TRAINERS]; /* in their order */
} evi_gan_nets;

/* Draw the four networks (weights from o->o.seed) and the steps; split: one net for each term. */
ev_status evi_gan_nets_draw(ev_context *ctx, const evi_gan_options *o, bool split,
                            evi_gan_nets *out);
void evi_gan_nets_end(evi_gan_nets *nets);

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
    ev_tensor *given;   /* [batch,C,H,W]: what the discriminator sees */
    evi_rng chance;
} evi_gan_pool;

ev_status evi_gan_pool_start(ev_context *ctx, evi_gan_pool *p, int32_t capacity, int32_t batch,
                             const evi_shape *picture, evi_rng chance);
void evi_gan_pool_end(evi_gan_pool *p);
/* Fills p->given: of each made picture either itself or, by a coin, an older one that it replaces.
 * The coins depend on the pool's stream and on total_steps alone. */
void evi_gan_pool_swap(evi_gan_pool *p, const ev_tensor *made, int64_t total_steps);

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
    evi_gan_pool pools[2];                  /* by direction of the generator */
    ev_session *labeller;                   /* classifier of pictures of B; NULL: none */
    ev_tensor *labels[2];                   /* int32 [batch] of A, B; NULL: none */
    evi_gan_feed *feeds[2];                 /* A, B; NULL: made without sets */
    char *checkpoint;                       /* NULL: none */
    int32_t epoch, step, n_steps;           /* completed; done in this one; in an epoch */
    int64_t total_steps;
    ev_cyclegan_losses sums, last; /* over this epoch's steps; of the last step */
    double epoch_start;
};

/* step.c */
/* As ev_cyclegan_step(), with the labels that sets have (NULL: none). */
ev_status evi_gan_step(ev_cyclegan *gan, const ev_tensor *a, const ev_tensor *b,
                       const int32_t *labels_a, const int32_t *labels_b);
double evi_gan_rate(const ev_cyclegan *gan); /* of the epoch under way */

/* state.c */
ev_status evi_gan_state_collect(ev_cyclegan *gan, evi_st_file *f); /* borrows until written */

#endif
