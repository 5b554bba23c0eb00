/* SPDX-License-Identifier: MIT */
/* Not written yet. */
#include "prune/prune.h"

ev_status evi_score_by_data(ev_pruner *p, const ev_score_options *opt, double **scores)
{
    (void)p;
    (void)opt;
    (void)scores;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}
