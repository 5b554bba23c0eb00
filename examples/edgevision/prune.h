/* SPDX-License-Identifier: MIT */
/* One call of edgevision prune: what was asked for, and what it works on. */
#ifndef PRUNE_H
#define PRUNE_H

#include "run.h"

enum { DEPTH_NONE, DEPTH_ALSO, DEPTH_ONLY };

typedef struct pruning {
    /* options */
    const char *out, *data, *valid, *goals[EV_UNIT_CHANNELS + 1], *floor_text, *protect, *folder;
    const char *sensitivity;
    int32_t criterion, scope, depth, schedule, steps, step_epochs, epochs, min_width, round_to;
    int32_t threads, timed_threads, images, batch, optimizer, augment, by_group;
    int32_t no_controls, dry_run, groups, show_floor, json, force;
    double distill, temperature, rate, max_share;
    number_list split;
    uint64_t seed;
    /* what they mean */
    ev_prune_goal goal;
    double accuracy_floor; /* 0: none */
    const char *protected_layers[LIST_MAX];
    char *protected_text, *command; /* the command line, to be typed again */
    ev_pruner_options pruner;
    char folder_made[PATH_SIZE]; /* the folder when none was given */
    /* what it works on */
    const char *model_path;
    ev_context *ctx;
    ev_model *model, *smaller;
    ev_dataset *parts[N_PARTS]; /* none without --data; test may be missing */
    ev_prune_report *report;
    double test_accuracy[2]; /* before, after; NaN: there is no test set */
    int32_t step, n_steps;   /* under way, for the bar */
    int code;                /* of what failed inside a callback */
} pruning;

extern const char *const prune_units[EV_UNIT_CHANNELS + 1]; /* "", "parameters", "macs" ... */
extern const char *const prune_criteria[];
/* "25%", "100000", "100k", "1.5M"; *share: it ended in %, and is given as 0..1. */
bool prune_read_amount(const char *value, double *out, bool *share);

/* Before, after, ratio: a line a unit; before that, in plain words, whether time fell. */
void prune_counts_table(const ev_prune_counts *c, text *t);
void prune_counts_json(const ev_prune_counts *c, text *t);

/* Without steps: prune_once.c. */
int prune_show_groups(pruning *p);
int prune_show_floor(pruning *p);
int prune_dry_run(pruning *p);
int prune_once(pruning *p);
int prune_sensitivity(pruning *p);

/* In steps, with pictures: prune_steps.c. */
int prune_open_data(pruning *p);
int prune_steps(pruning *p);
/* Write the model to where it was wanted. */
int prune_save(pruning *p, const char *path);

#endif /* PRUNE_H */
