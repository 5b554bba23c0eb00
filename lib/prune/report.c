/* SPDX-License-Identifier: MIT */
/* Not written yet. */
#include "prune/prune.h"

void ev_prune_report_destroy(ev_prune_report *report)
{
    (void)report;
}

ev_status ev_prune_report_summary(const ev_prune_report *report, ev_prune_summary *out)
{
    (void)report;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}

ev_status ev_prune_report_counts(const ev_prune_report *report, ev_prune_counts *out)
{
    (void)report;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}

ev_status ev_prune_report_step(const ev_prune_report *report, int32_t index, ev_prune_step *out)
{
    (void)report;
    (void)index;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}

ev_status ev_prune_report_describe(const ev_prune_report *report, int32_t kind, char **out)
{
    (void)report;
    (void)kind;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}
