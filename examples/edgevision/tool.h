/* SPDX-License-Identifier: MIT */
/* What the verbs of the command-line tool share. */
#ifndef TOOL_H
#define TOOL_H

#include <edgevision/edgevision.h>

#include <stdbool.h>
#include <stdio.h>

#include "options.h"

/* Exit codes, the same for every verb. */
enum {
    EXIT_GOOD = 0,
    EXIT_GOAL = 1,   /* a goal that was asked for was not met */
    EXIT_USAGE = 2,  /* wrong arguments */
    EXIT_DATA = 3,   /* pictures, manifests */
    EXIT_MODEL = 4,  /* model files, checkpoints, run folders */
    EXIT_MEMORY = 5, /* out of memory */
    EXIT_IO = 6,     /* reading or writing failed */
    EXIT_BUG = 70    /* a bug: please report it */
};

/* ---- messages (tool.c) ----------------------------------------------------------------------- */

extern const char *tool_verb; /* the verb that runs, for messages */
extern int32_t tool_quiet;    /* no progress on stderr */

/* "edgevision: VERB: text" on stderr; gives back code. */
int fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for a status of the library, with its error line; code_file: of damaged files. */
int fail_status(int code_file, ev_status status, const char *remedy);
/* A line of progress on stderr, unless --quiet. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

int text_distance(const char *a, const char *b);
double seconds_now(void);

/* A context with so many threads; 0: all cores. */
int open_context(int32_t n_threads, ev_context **out);

/* ---- growing text (text.c) ------------------------------------------------------------------- */

typedef struct text {
    char *data; /* always ends in a 0, never NULL after text_add */
    size_t n, room;
    bool broken; /* out of memory */
} text;

void text_add(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_bytes(text *t, const char *bytes, size_t n);
void text_json(text *t, const char *value);  /* "value", escaped */
void text_csv(text *t, const char *value);   /* quoted if need be */
void text_html(text *t, const char *value);  /* < > & " escaped */
void text_base64(text *t, const void *bytes, size_t n);
void text_free(text *t);
/* Write the whole file anew, so that there is never half of one.  Ends the text. */
int text_save(text *t, const char *path);
/* Read a whole file; NULL and a message when it cannot be. */
char *text_load(const char *path, int code, int *exit_code);

/* A table of lines with tabs, aligned on a terminal (table.c).  Ends the text. */
void print_table(text *t, FILE *to);

/* ---- files (text.c) -------------------------------------------------------------------------- */

enum { PATH_SIZE = 4096 };
/* folder/name; gives back out */
char *path_join(char out[PATH_SIZE], const char *folder, const char *name);
int make_folder(const char *path); /* with its parents; 0 or EXIT_IO */
bool file_exists(const char *path);
bool is_folder(const char *path);
bool find_program(const char *name);

/* ---- CSV and JSON of our own making (csv.c) -------------------------------------------------- */

/* Cut a line of CSV in place; gives back the number of fields, *next the start of the next line. */
int csv_line(char *line, char **fields, int max_fields, char **next);
/* Value of a key in a JSON text (numbers, texts, true, false), wherever it stands first. */
bool json_find(const char *json, const char *key, char *value, size_t size);

/* ---- data (open_data.c) ---------------------------------------------------------------------- */

/* A folder (one folder per class, or pictures named by counts, or with a manifest) or a manifest.
   classes: those of a model, or NULL. */
int open_data(ev_context *ctx, const char *path, const ev_model *classes_of, ev_dataset **out);
int open_data_named(ev_context *ctx, const char *path, int32_t n_classes,
                    const char *const *class_names, ev_dataset **out);
/* Names of the classes of a dataset: an array to free() */
const char **dataset_classes(const ev_dataset *data);
/* Cut by fractions ("64,16,20"); by_group: whole groups stay together. */
int split_data(const ev_dataset *data, const number_list *fractions, int kind, uint64_t seed,
               ev_dataset **parts);

/* ---- models (models.c) ----------------------------------------------------------------------- */

int open_model(ev_context *ctx, const char *path, ev_model **out);
/* How the model wants its pixels. */
int model_pixels(const ev_model *model, ev_pixel_options *pixels, int32_t *width, int32_t *height,
                 int32_t *channels);
const char *class_name(const ev_model *model, int32_t label, char buffer[16]);
void softmax(const float *logits, int32_t n, double *out);
/* Least milliseconds for one picture, alone; 0 when it cannot be run. */
double time_one(ev_context *ctx, ev_model *model);

/* ---- results (metrics.c) --------------------------------------------------------------------- */

void print_metrics(const ev_metrics *m, const char *const *names, FILE *to);
/* Class names for m, one a class: an array to free(); numbers where the model knows no names. */
const char **metric_names(const ev_metrics *m, const ev_model *model);
void metrics_json(const ev_metrics *m, const char *const *names, text *out);
int save_predictions(const ev_metrics *m, const ev_dataset *data, const char *const *names,
                     const char *path);
int save_confusion(const ev_metrics *m, const char *const *names, const char *path);

/* ---- signals and progress (progress.c) ------------------------------------------------------- */

/* The first SIGINT or SIGTERM is remembered, the second ends the program at once. */
void catch_signals(void);
int caught_signal(void); /* its number, or 0 */
bool is_terminal(void);  /* may a bar be drawn on stderr? */
void show_bar(const char *line);
void clear_bar(void);

/* ---- run folder (plot.c, report.c) ----------------------------------------------------------- */

int draw_plots(const char *run);
/* Run a program from PATH and wait (frames.c); gives back its exit code, 127: there is none. */
int run_program(char *const *argv);
int write_report(ev_context *ctx, const char *run, const char *out);

/* ---- the verbs ------------------------------------------------------------------------------- */

int verb_data(int argc, char **argv);
int verb_frames(int argc, char **argv);
int verb_arch(int argc, char **argv);
int verb_train(int argc, char **argv);
int verb_sweep(int argc, char **argv);
int verb_tune(int argc, char **argv);
int verb_prune(int argc, char **argv);
int verb_gan(int argc, char **argv);
int verb_eval(int argc, char **argv);
int verb_predict(int argc, char **argv);
int verb_inspect(int argc, char **argv);
int verb_bench(int argc, char **argv);
int verb_report(int argc, char **argv);
int verb_plot(int argc, char **argv);

#endif /* TOOL_H */
