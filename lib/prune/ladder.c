/* SPDX-License-Identifier: MIT */
/* Not written yet. */
#include "prune/prune.h"

ev_status ev_ladder_next(ev_context *ctx, ev_model *model, const ev_ladder_options *opt,
                         ev_model **out)
{
    (void)ctx;
    (void)model;
    (void)opt;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}
