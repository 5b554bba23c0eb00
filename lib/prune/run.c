/* SPDX-License-Identifier: MIT */
/* Not written yet. */
#include "prune/prune.h"

ev_status ev_prune_run(ev_context *ctx, ev_model *model, ev_dataset *train, ev_dataset *valid,
                       const ev_prune_options *opt, ev_model **out, ev_prune_report **report)
{
    (void)ctx;
    (void)model;
    (void)train;
    (void)valid;
    (void)opt;
    (void)out;
    (void)report;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}
