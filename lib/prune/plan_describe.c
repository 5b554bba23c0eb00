/* SPDX-License-Identifier: MIT */
/* Not written yet. */
#include "prune/prune.h"

ev_status ev_prune_plan_describe(const ev_prune_plan *plan, int32_t kind, char **out)
{
    (void)plan;
    (void)kind;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}
