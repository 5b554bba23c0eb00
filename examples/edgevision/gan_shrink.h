/* SPDX-License-Identifier: MIT */
/* One call of edgevision gan shrink: what was asked for, and what it works on. */
#ifndef GAN_SHRINK_H
#define GAN_SHRINK_H

#include "gan.h"

typedef struct shrinking {
    /* options */
    const char *out, *data, *classifier_path, *judge_path, *goals[EV_UNIT_CHANNELS + 1];
    int32_t width, blocks, separable, resize, size[2];
    int32_t criterion, steps, step_epochs, epochs, batch, no_flip, pictures, threads, json, force;
    double class_weight, rate;
    uint64_t seed;
    /* what they mean */
    int32_t unit; /* EV_UNIT_* of the goal; 0: drawn anew */
    bool share;
    double amount; /* of the unit, or 0..1 with share */
    /* what it works on */
    const char *teacher_path;
    ev_context *ctx;
    ev_model *teacher, *student, *classifier;
    ev_dataset *pictures_set, *judge_set;
    /* while it runs, and what came of it */
    int32_t step;      /* of pruning, 0: drawn anew */
    double aim;        /* the goal, in its unit */
    double last_bar, began;
    double difference; /* mean over the last epoch; NaN: none was completed */
    double ms[2], least_ms[2], accuracy[3]; /* teacher, student; as they are, teacher, student */
} shrinking;

/* Numbers of both, side by side (gan_shrink_report.c). */
int shrink_measure(shrinking *s);
int shrink_judge(shrinking *s);
int shrink_print(const shrinking *s);
/* Milliseconds of both models for one picture on one thread, in turn: medians and least. */
int shrink_time(shrinking *s, ev_model *student, double seconds);

#endif /* GAN_SHRINK_H */
