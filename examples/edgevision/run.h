/* SPDX-License-Identifier: MIT */
/* One training run: its options, its objects, its folder. */
#ifndef RUN_H
#define RUN_H

#include "tool.h"

enum { PART_TRAIN, PART_VALID, PART_TEST, N_PARTS };
enum { RUN_MAX_OPTIONS = 48 };

typedef struct run_options {
    const char *arch, *out, *resume, *valid, *test;
    int32_t size[2], epochs, patience, batch, optimizer, schedule, augment, by_group, threads, json;
    int32_t color, resize;
    double rate, dropout, l2, smoothing, max_minutes, mean, std;
    number_list split;
    uint64_t seed;
} run_options;

typedef struct run {
    run_options opt;
    const syntax *syntax;
    const char *data; /* the path the user gave */
    char *texts[RUN_MAX_OPTIONS]; /* what options point to after a resume */
    const char **classes;         /* names, of the dataset */
    int32_t n_classes;
    ev_context *ctx;
    ev_model *model;
    ev_trainer *trainer;
    ev_dataset *parts[N_PARTS]; /* test may be missing */
    ev_metrics *metrics;        /* at the end */
    double train_seconds, ms_per_image;
    int code;                   /* of what failed inside a callback */
} run;

/* The files of the run folder. */
extern const char *const part_files[N_PARTS]; /* "train.csv" ... */
char *run_file(char out[PATH_SIZE], const run *r, const char *name);
int run_save_json(const run *r, const char *state);
/* Options, classes and data as an earlier run left them. */
int run_load(run *r);
int run_save_history(const run *r);
int save_history(const ev_trainer *trainer, const char *path);
/* What "none", "flip", "light" and "authors" mean. */
void set_augmentation(int32_t kind, ev_augment_options *out);
int run_save_parts(const run *r);

/* Names of what options choose from, in the order of the library's numbers. */
extern const char *const optimizer_names[], *const schedule_names[], *const augment_names[];
extern const char *const color_names[], *const resize_names[];

#endif /* RUN_H */
