/* SPDX-License-Identifier: MIT */
/* The search for widths that meet a goal (search.c), for goals in time (search_ms.c), and the
 * blocks that go before them (search_blocks.c). */
#ifndef EVI_PRUNE_SEARCH_H
#define EVI_PRUNE_SEARCH_H

#include "prune/plan.h"

typedef struct evi_pick { /* a channel that may go */
    double score;
    int32_t group, channel;
} evi_pick;

typedef struct evi_search {
    ev_prune_plan *plan; /* what is found stands there */
    const ev_pruner *p;
    const char *function; /* for messages */
    ev_prune_goal goal;
    int32_t unit; /* that is searched in: of goals in time, shares of the time as predicted */
    int32_t scope, n_threads;
    double max_share;
    double limit;     /* of the unit, not to be passed */
    int32_t fineness; /* widths below round_to are multiples of round_to >> fineness */
    int32_t n_picks;
    evi_pick *picks;  /* least important first */
    int32_t *width;   /* [group] as tried last */
    int32_t *floor;   /* [group] least width now */
    double *lost;     /* [group] importance of the best channel that is not kept */
    double file_rest; /* bytes of the old model's file that are not elements */
} evi_search;

ev_status evi_search_start(evi_search *s, bool with_scores);
void evi_search_end(evi_search *s);
/* Of the plan with s->width and the blocks that it keeps. */
ev_status evi_search_value(evi_search *s, double *out);
/* The most important widths at or under s->limit; EV_ERR_GOAL without a line: there are none, and
 * s->width is the floor.  The plan is set. */
ev_status evi_search_widths(evi_search *s);
/* The line for a goal that cannot be reached: value is the floor's. */
ev_status evi_search_fail(evi_search *s, double value);

/* Take blocks, least important first.  beyond: the goal may be passed, and one that brings the plan
 * there is the last.  *took_out: how many went. */
ev_status evi_search_blocks(evi_search *s, bool beyond, int32_t *took_out);
/* Bring back those that fit. */
ev_status evi_search_refill_blocks(evi_search *s);

/* goal.c: a caller's goal; all zero is fine. */
ev_status evi_goal_check(const ev_prune_goal *goal, const char *function);

/* Goals in milliseconds: find(s) meets s->limit, a share of the time as predicted. */
ev_status evi_search_ms(evi_search *s, ev_status (*find)(evi_search *s));

#endif
