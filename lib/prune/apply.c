/* SPDX-License-Identifier: MIT */
/* Not written yet. */
#include "prune/prune.h"

ev_status ev_prune_plan_apply(const ev_prune_plan *plan, uint64_t seed, ev_model **out)
{
    (void)plan;
    (void)seed;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}
