/* SPDX-License-Identifier: MIT */
/* The inside of ev_prune_run(): what a run knows, and who does what in it.
 *
 * A run is one or two tracks.  A track is a chain of models, each pruned from the one before it and
 * fine-tuned; the second is the control that prunes by chance.  What a track does next follows from
 * what it has done (its records), so that one that was stopped goes on by reading these. */
#ifndef EVI_PRUNE_RUN_H
#define EVI_PRUNE_RUN_H

#include "prune/prune.h"
#include "train/trainer.h"

/* Which channels and blocks one step kept: with the model before it, this gives the model behind
 * it.  Numbers are 0 or 1, as they stand in the file. */
typedef struct evi_prune_level {
    int64_t n, n_blocks;
    int64_t *keep, *keep_block; /* of all groups, one after the other; of blocks */
} evi_prune_level;

/* What was done, or is under way. */
typedef struct evi_prune_record {
    ev_prune_step step;
    double share;      /* of the goal's unit that it came to; may be below what was aimed at */
    int32_t epochs;    /* asked for; done: those that fine-tuning had */
    int32_t tune_only; /* nothing goes: more fine-tuning at the end of a run without a goal */
} evi_prune_record;

/* What came out: see report.c. */
struct ev_prune_report {
    evi_handle handle;
    ev_prune_summary summary;
    ev_prune_counts counts;
    ev_prune_goal goal;
    double floor; /* NaN: none */
    int32_t n_records, criterion, has_model, scratch_epochs;
    evi_prune_record *records;
    char *why; /* the goal was missed: why; else NULL */
};

/* One call of ev_prune_run(). */
typedef struct evi_prune_job {
    ev_context *ctx;
    ev_model *model; /* a copy of the caller's */
    ev_dataset *train, *valid;
    ev_prune_options o;     /* defaults filled in */
    ev_train_options t;     /* fine-tuning, likewise; callbacks are ours */
    ev_train_options given; /* as the caller gave them: whose callbacks to call */
    bool has_goal;
    bool resumed;           /* a state was found: the goal was in reach when it was made */
    double floor;           /* accuracy, absolute; NaN: none */
    double amount;          /* of the whole model, in the goal's unit */
    double target;          /* share to reach; 0 without a goal */
    ev_prune_counts counts; /* of the whole model: the first of each pair */
    double ms;              /* of the whole model; NaN: not measured */
    int32_t n_groups;       /* of the whole model ... */
    char **layers;          /* ... and the layer of each ... */
    int32_t *least;         /* ... and what it keeps to the end */
    char *options_text;     /* "key=value;": what a state must agree with */
    double accuracy_scratch, accuracy_random; /* NaN: not yet */
    int32_t scratch_epochs;
    int32_t controls_done; /* bits: EVI_DONE_* */
} evi_prune_job;

enum { EVI_DONE_SCRATCH = 1, EVI_DONE_RANDOM = 2 };

typedef struct evi_prune_track {
    evi_prune_job *job;
    const char *name; /* of its files */
    int32_t criterion;
    double floor;                   /* NaN: none */
    const evi_prune_record *script; /* do as this track did; NULL: by schedule */
    int32_t n_script;

    ev_model *good;           /* the last that was kept; at first the job's model */
    ev_model *candidate;      /* under way, or NULL */
    evi_prune_record pending; /* what it is; step.accuracy_pruned is known */
    bool resumed;             /* the candidate comes from a file: so may its training */
    int32_t n_records;        /* [0] is the whole model */
    int32_t n_levels, level_slots;
    evi_prune_record *records;
    evi_prune_level *levels; /* n_levels that lead to `good`, then the candidate's own */
    ev_status why;           /* EV_ERR_GOAL: it ended before its goal; reason[] tells */
    char reason[512];
} evi_prune_track;

/* ---- options: run_options.c ------------------------------------------------------------------ */

ev_status evi_prune_options(evi_prune_job *job, const ev_prune_options *opt);
ev_status evi_prune_options_text(evi_prune_job *job);
static inline bool evi_prune_wants_time(const evi_prune_job *job)
{
    return job->o.measure != 0 || job->o.goal.unit == EV_UNIT_MS;
}

/* ---- counts: run.c --------------------------------------------------------------------------- */

/* Share of the whole model in the goal's unit; NaN for milliseconds. */
ev_status evi_prune_model_share(const evi_prune_job *job, ev_model *model, double *out);

/* ---- what next: run_schedule.c --------------------------------------------------------------- */

/* Share of step `step` of n, where `goal` is the share to reach. */
double evi_prune_share(const ev_prune_options *o, int32_t step, int32_t n, double goal);
/* False: the track is at its end.  Fills goal, index, n_steps, epochs and tune_only. */
bool evi_prune_next(const evi_prune_track *t, evi_prune_record *out);

/* ---- norms: run_norms.c ---------------------------------------------------------------------- */

/* Running statistics anew: their plain mean over the first n batches of the training set. */
ev_status evi_prune_norms(ev_context *ctx, ev_model *model, ev_dataset *data,
                          const ev_train_options *t, int32_t n_batches);

/* ---- training: run_tune.c -------------------------------------------------------------------- */

ev_status evi_prune_accuracy(const evi_prune_job *job, ev_model *model, double *out);
/* Fine-tune (teacher NULL: without) for so many epochs; path: of checkpoints, or NULL; resume: go
 * on from there if the file is there.  number: draws another order of pictures for each step. */
ev_status evi_prune_tune(evi_prune_job *job, ev_model *model, ev_model *teacher, double rate,
                         int32_t epochs, uint64_t number, const char *path, bool resume,
                         int32_t *epochs_out);
double evi_prune_scratch_rate(const evi_prune_job *job);

/* ---- steps: run_step.c ----------------------------------------------------------------------- */

/* Do all that is left of a track.  EV_OK also when it ended before its goal: see t->why. */
ev_status evi_prune_track_run(evi_prune_track *t);
void evi_prune_track_end(evi_prune_track *t);
ev_status evi_prune_level_new(ev_context *ctx, int64_t n, int64_t n_blocks, evi_prune_level *out);
void evi_prune_level_end(evi_prune_level *level);
ev_status evi_prune_level_slots(evi_prune_track *t, int32_t n); /* room for n */
/* The model that a level makes of `from`. */
ev_status evi_prune_level_apply(const evi_prune_job *job, const evi_prune_level *level,
                                int32_t number, ev_model *from, ev_model **out);

/* ---- files: run_state.c ---------------------------------------------------------------------- */

/* "<folder>/<track>-<what>", either of the two may be NULL; *out NULL without a folder. */
ev_status evi_prune_path(const evi_prune_job *job, const char *track, const char *what, char **out);
bool evi_prune_file_exists(ev_context *ctx, const char *path);
void evi_prune_file_remove(ev_context *ctx, const char *path); /* NULL, and none there: fine */
ev_status evi_prune_state_save(const evi_prune_track *t);
/* Nothing changes when there is no folder or no file. */
ev_status evi_prune_state_load(evi_prune_track *t);

/* ---- controls: run_controls.c ---------------------------------------------------------------- */

ev_status evi_prune_controls(evi_prune_track *main_track);

/* ---- the report: report.c -------------------------------------------------------------------- */

ev_status evi_prune_report_make(const evi_prune_track *t, const ev_prune_counts *counts,
                                ev_prune_report **out);
/* As JSON into the folder. */
ev_status evi_prune_report_save(const evi_prune_job *job, const ev_prune_report *report);
/* report_text.c */
void evi_prune_report_table(evi_text *text, const ev_prune_report *r);
void evi_prune_report_json(evi_text *text, const ev_prune_report *r);

#endif
