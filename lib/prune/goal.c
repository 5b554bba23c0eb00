/* SPDX-License-Identifier: MIT */
/* Not written yet. */
#include "prune/prune.h"

ev_status ev_pruner_plan(ev_pruner *pruner, const ev_prune_plan_options *opt, ev_prune_plan **out)
{
    (void)pruner;
    (void)opt;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}
