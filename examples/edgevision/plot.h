/* SPDX-License-Identifier: MIT */
/* Pictures of training runs and of tables of runs, drawn by the program gnuplot. */
#ifndef PLOT_H
#define PLOT_H

#include "tool.h"

/* Colours that stay apart for all kinds of colour vision (Okabe and Ito 2008). */
#define BLUE "#0072b2"
#define ORANGE "#d55e00"
#define GREY "#808080"

/* Start of a script that makes the SVG file out. */
void plot_begin(text *t, const char *out, int width, int height);
/* Run a script that lies in a folder, there. */
int plot_gnuplot(const char *folder, const char *script);

/* One line of a table's results.csv. */
typedef struct result_row {
    char arch[100];
    double parameters, subset, seconds, valid_accuracy, valid_loss, test_accuracy;
} result_row;
/* An array to free() */
int load_results(const char *folder, result_row **out, int *n_out);

/* Figures of a table: accuracy and seconds over parameters, one line a subset (figure5, figure6 as
   CSV and SVG in folder/plots); the confusion matrix when there is a figure7.csv. */
int draw_table_plots(const char *folder);

#endif /* PLOT_H */
