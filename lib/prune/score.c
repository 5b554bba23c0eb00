/* SPDX-License-Identifier: MIT */
/* Not written yet. */
#include "prune/prune.h"

ev_status ev_pruner_score(ev_pruner *pruner, const ev_score_options *opt)
{
    (void)pruner;
    (void)opt;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}

const double *ev_pruner_scores(const ev_pruner *pruner, int32_t group)
{
    (void)pruner;
    (void)group;
    return NULL;
}

ev_status ev_pruner_set_scores(ev_pruner *pruner, int32_t group, const double *scores, int32_t n)
{
    (void)pruner;
    (void)group;
    (void)scores;
    (void)n;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}
