/* SPDX-License-Identifier: MIT */
/* What the page about a run is made of. */
#ifndef REPORT_H
#define REPORT_H

#include "tool.h"

typedef struct verdict { /* a line of predictions.csv */
    const char *path, *label, *predicted;
    double confidence, loss;
} verdict;

typedef struct report {
    ev_context *ctx;
    ev_model *model;
    const char *run;
    char *json, *predictions, *confusion; /* texts of the files; the last two are cut */
    verdict *verdicts;
    int n_verdicts;
    const char *names[LIST_MAX]; /* classes, of confusion.csv */
    double counts[LIST_MAX][LIST_MAX]; /* [truth][said] */
    int n_classes;
    text page;
} report;

/* Value of a key in run.json, "" when it is not there.  Valid until the eighth next call. */
const char *report_value(const report *r, const char *key);
double report_number(const report *r, const char *key);
double report_row_total(const report *r, int row);

extern const char report_style[];

/* Parts of the page, in its order. */
void report_headline(report *r);
void report_classes(report *r);
void report_confusion(report *r);
int report_curves(report *r);
int report_pictures(report *r);
int report_layers(report *r);
void report_options(report *r);
void page_options(text *t, char *json); /* those in run.json: the rest of a card */
void report_next_steps(report *r);

#endif /* REPORT_H */
