/* SPDX-License-Identifier: MIT */
/* One training among many: what sweep and tune do again and again with other factors. */
#ifndef TRIAL_H
#define TRIAL_H

#include "run.h"
#include "runs.h"

/* What all trials of a table have in common. */
typedef struct lab_options {
    const char *out;
    int32_t size[2], epochs, patience, batch, augment, by_group, fixed_test, fresh, timing, keep;
    int32_t wait, threads, json;
    double rate, dropout, l2, mean, std, stale_minutes;
    number_list split;
    uint64_t seed;
} lab_options;

typedef struct lab {
    lab_options opt;
    run_table table;
    const char *data; /* path */
    ev_context *ctx;
    ev_dataset *all;
    const char **classes;
    int32_t n_classes;
} lab;

/* The factors of one. */
typedef struct trial {
    char name[200];       /* of its folder */
    char label[100];      /* of the net, for people: "Arch5" */
    char arch[PATH_SIZE]; /* a name for ev_zoo_create(), or an ONNX file */
    double subset;        /* share of the pictures, 0..1 */
    double rate, dropout, l2;
    uint64_t seed;        /* of weights and order */
    uint64_t draw;        /* of subset and split */
    int32_t epochs;
} trial;

/* Columns of results.csv, keys of result.json. */
extern const char *const trial_keys[];
enum { N_TRIAL_KEYS = 24 };

/* Rows of options that both verbs take, appended to to[]; gives back how many. */
enum { N_LAB_OPTIONS = 21 };
int lab_rows(lab_options *o, option *to);
extern const lab_options lab_defaults;
/* Open context and data, and the table; own: further settings as JSON lines, or "". */
int lab_open(lab *l, const char *verb, const char *data, const char *own);
void lab_close(lab *l);

/* The net of a trial, as drawn or loaded, with weights. */
int trial_model(const lab *l, const trial *t, ev_model **out);
/* Claim it, train, judge, write the result, let go.  CLAIM_*, or an exit code. */
int trial_run(lab *l, const trial *t);
/* All of these that nobody else does; with opt.wait come back to those until all are done.
   job of jobs: take every jobs-th, from number job (1..jobs) on. */
int trials_run(lab *l, const trial *list, int n, int job, int jobs);
/* A file of a run folder */
char *trial_file(char out[PATH_SIZE], const lab *l, const char *of, const char *name);

/* results.csv on stdout, as a table or as JSON. */
int lab_print(const lab *l);

#endif /* TRIAL_H */
