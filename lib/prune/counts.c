/* SPDX-License-Identifier: MIT */
/* Not written yet. */
#include "prune/prune.h"

ev_status ev_prune_plan_counts(ev_prune_plan *plan, int32_t measure, int32_t n_threads,
                               ev_prune_counts *out)
{
    (void)plan;
    (void)measure;
    (void)n_threads;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}

ev_status ev_pruner_floor(ev_pruner *pruner, int32_t measure, int32_t n_threads,
                          ev_prune_counts *out)
{
    (void)pruner;
    (void)measure;
    (void)n_threads;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}
