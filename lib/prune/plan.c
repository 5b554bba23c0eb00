/* SPDX-License-Identifier: MIT */
/* Not written yet. */
#include "prune/prune.h"

void ev_prune_plan_destroy(ev_prune_plan *plan)
{
    (void)plan;
}

int32_t ev_prune_plan_width(const ev_prune_plan *plan, int32_t group)
{
    (void)plan;
    (void)group;
    return -1;
}

ev_status ev_prune_plan_set_width(ev_prune_plan *plan, int32_t group, int32_t width)
{
    (void)plan;
    (void)group;
    (void)width;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}

int32_t ev_prune_plan_keeps(const ev_prune_plan *plan, int32_t group, int32_t channel)
{
    (void)plan;
    (void)group;
    (void)channel;
    return -1;
}

ev_status ev_prune_plan_set_channel(ev_prune_plan *plan, int32_t group, int32_t channel,
                                    int32_t keep)
{
    (void)plan;
    (void)group;
    (void)channel;
    (void)keep;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}

ev_status ev_prune_plan_set_block(ev_prune_plan *plan, int32_t block, int32_t keep)
{
    (void)plan;
    (void)block;
    (void)keep;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}

int32_t ev_prune_plan_keeps_block(const ev_prune_plan *plan, int32_t block)
{
    (void)plan;
    (void)block;
    return -1;
}
