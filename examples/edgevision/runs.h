/* SPDX-License-Identifier: MIT */
/*
 * A table of runs: a folder with one sub-folder a run, which several processes, also on several
 * machines, work on at the same time without treading on each other.
 *
 *     table/table.json           what all runs have in common; who comes later must agree
 *     table/results.csv          one line a run that is done, collected at any time
 *     table/NAME/lock            who is at it: machine, process, since when
 *     table/NAME/result.json     what it came to; a run that has one is done
 */
#ifndef RUNS_H
#define RUNS_H

#include "tool.h"

typedef struct run_table {
    const char *folder;
    double stale_seconds; /* a lock of another machine without a sign of life for so long is taken
                             over; 0: never */
} run_table;

/* What runs_claim() gives back beside exit codes. */
enum { CLAIM_MINE = 0, CLAIM_DONE = -1, CLAIM_BUSY = -2 };

typedef struct claim {
    char folder[PATH_SIZE]; /* of the run */
    char owner[400];        /* the line in the lock */
    double touched;
} claim;

/* Make the folder, or see that it was begun with the same settings.  settings: a JSON object, one
   key a line; is ended. */
int runs_open(const run_table *table, text *settings);

/* Try to get a run for this process. */
int runs_claim(const run_table *table, const char *name, claim *out);
/* A sign of life, from time to time; false: somebody else has taken the run over. */
bool runs_touch(claim *mine);
/* Let go, whether done or not. */
void runs_release(claim *mine);
bool runs_done(const run_table *table, const char *name);
/* Write result.json, and with that end the run. */
int runs_finish(claim *mine, text *result);

/* results.csv: these keys of all result.json, runs in natural order ("arch9" before "arch10"). */
int runs_collect(const run_table *table, const char *const *keys, int n_keys);

/* One process at a time between the two; for files of the table as a whole. */
int runs_hold(const run_table *table);
void runs_let_go(int guard);

#endif /* RUNS_H */
