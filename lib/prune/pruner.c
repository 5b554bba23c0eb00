/* SPDX-License-Identifier: MIT */
/* Not written yet. */
#include "prune/prune.h"

ev_status ev_pruner_create(ev_context *ctx, ev_model *model, const ev_pruner_options *opt,
                           ev_pruner **out)
{
    (void)ctx;
    (void)model;
    (void)opt;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}

void ev_pruner_destroy(ev_pruner *pruner)
{
    (void)pruner;
}

int32_t ev_pruner_n_groups(const ev_pruner *pruner)
{
    (void)pruner;
    return -1;
}

ev_status ev_pruner_group(const ev_pruner *pruner, int32_t group, ev_prune_group *out)
{
    (void)pruner;
    (void)group;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}

const char *ev_pruner_group_layer(const ev_pruner *pruner, int32_t group, int32_t index)
{
    (void)pruner;
    (void)group;
    (void)index;
    return NULL;
}

int32_t ev_pruner_n_blocks(const ev_pruner *pruner)
{
    (void)pruner;
    return -1;
}

ev_status ev_pruner_block(const ev_pruner *pruner, int32_t block, ev_prune_block *out)
{
    (void)pruner;
    (void)block;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}

ev_status ev_pruner_describe(const ev_pruner *pruner, int32_t kind, char **out)
{
    (void)pruner;
    (void)kind;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not written yet", __func__);
}
