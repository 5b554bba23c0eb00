/* SPDX-License-Identifier: MIT */
/* Not written yet. */
#include "prune/prune.h"

ev_status ev_pruner_score_blocks(ev_pruner *pruner, int32_t method, const ev_score_options *opt)
{
    (void)pruner;
    (void)method;
    (void)opt;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}
