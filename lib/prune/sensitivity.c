/* SPDX-License-Identifier: MIT */
/* Not written yet. */
#include "prune/prune.h"

ev_status ev_pruner_sensitivity(ev_pruner *pruner, ev_dataset *data, const double *shares,
                                int32_t n_shares, ev_sensitivity_fn fn, void *user)
{
    (void)pruner;
    (void)data;
    (void)shares;
    (void)n_shares;
    (void)fn;
    (void)user;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}
