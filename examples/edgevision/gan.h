/* SPDX-License-Identifier: MIT */
/* edgevision gan: what its verbs share, and the folder of a run. */
#ifndef GAN_H
#define GAN_H

#include "tool.h"

enum { GAN_A, GAN_B }; /* the two sets; also the directions A2B, B2A */
enum { GAN_N_LOSSES = 10, GAN_MAX_TEXTS = 64 };

/* ---- the verbs, one file each ---------------------------------------------------------------- */

int verb_gan_train(int argc, char **argv);
int verb_gan_apply(int argc, char **argv);
int verb_gan_grid(int argc, char **argv);
int verb_gan_select(int argc, char **argv);
int verb_gan_shrink(int argc, char **argv);

/* ---- pictures and generators (gan.c) --------------------------------------------------------- */

/* As open_data(), and also a folder of pictures without classes. */
int gan_open_pictures(ev_context *ctx, const char *path, ev_dataset **out);
/* RUN/G_A.onnx or G_B.onnx. */
int gan_open_generator(ev_context *ctx, const char *run, int direction, ev_model **out);
/* Items spread evenly over a set of size. */
void gan_spread(int32_t size, int32_t n, int32_t *items);

/* "2G", "512M", "1000000": bytes; NULL: 0. */
int gan_read_bytes(const char *name, const char *value, uint64_t *out);

extern const char *const gan_directions[]; /* "A2B", "B2A" */

/* ---- a run ----------------------------------------------------------------------------------- */

typedef struct gan_options {
    const char *out, *resume, *classifier, *max_memory;
    int32_t size[2], load_size[2], epochs, decay_epochs, batch, no_flip, replacement, order;
    int32_t steps_per_epoch, authors, width, blocks, merge, padding, affine, norm_last, upsample;
    int32_t separable, layers, d_width, pool, class_labels;
    int32_t threads, checkpoint_steps, keep, samples, log_steps, json;
    double cycle, identity, class_weight, rate, beta1;
    uint64_t seed;
} gan_options;

typedef struct gan_run {
    gan_options opt;
    const syntax *syntax;
    const char *folder;
    const char *data[2];        /* the paths the user gave */
    char *texts[GAN_MAX_TEXTS]; /* what options of a run.json point to */
    int n_texts;
    bool fresh; /* the folder was empty */
    ev_context *ctx;
    ev_dataset *sets[2];
    ev_model *classifier;
    ev_cyclegan *gan;
    int64_t parameters, memory;
    /* while it runs */
    double began, last_bar;
    int64_t first_step, n_logged;
    bool told_time;
    double logged[GAN_N_LOSSES]; /* sums since the last line of steps.csv */
    int code;                    /* of what failed inside a callback */
} gan_run;

/* ---- run.json and the library's options (gan_run.c) ------------------------------------------ */

char *gan_file(char out[PATH_SIZE], const gan_run *r, const char *name);
/* Options as they were; those that the command line gave must be the same. */
int gan_load(gan_run *r);
int gan_save_json(const gan_run *r, const char *state);
/* "running", "stopped", "done" or "" */
void gan_state(const gan_run *r, char out[32]);
void gan_fill(const gan_run *r, ev_cyclegan_options *opt, ev_generator_options *generator,
              ev_discriminator_options *discriminator);

/* ---- what training leaves behind (gan_log.c) ------------------------------------------------- */

extern const char *const gan_loss_names[GAN_N_LOSSES]; /* "D_A" ... */
void gan_loss_values(const ev_cyclegan_losses *l, double out[GAN_N_LOSSES]);
int gan_n_losses(const gan_run *r); /* 8, or 10 with a classifier */
/* Leave out of both CSV files what comes after the checkpoint. */
int gan_trim_logs(const gan_run *r);
int gan_log_step(gan_run *r, const ev_cyclegan_step_info *s);
int gan_log_epoch(gan_run *r, const ev_cyclegan_step_info *s);
/* G_A.onnx and G_B.onnx as they are now; epoch above 0: also in epochs/. */
int gan_save_generators(const gan_run *r, int32_t epoch);
/* What an epoch leaves: generators, the sheet, the page. */
int gan_save_epoch(const gan_run *r, int32_t epoch);
/* The state is saved before an epoch is told of: of an epoch that was cut off in between, do now
   what was left undone (its losses are then those of steps.csv). */
int gan_catch_up(const gan_run *r);

/* index.html: losses and sheets (gan_page.c). */
int gan_write_page(const char *run);

#endif /* GAN_H */
