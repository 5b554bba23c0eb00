/* SPDX-License-Identifier: MIT */
/* Which parts of a model can be left out. */
#include "prune/prune.h"

ev_status evi_blocks_find(ev_context *ctx, const evi_groups *groups, evi_blocks *out)
{
    (void)groups;
    *out = (evi_blocks){.ctx = ctx};
    return EV_OK;
}

void evi_blocks_free(evi_blocks *b)
{
    evi_free(b->blocks);
    evi_free(b->nodes);
    *b = (evi_blocks){0};
}

bool evi_blocks_overlap(const evi_blocks *b, int32_t i, int32_t j)
{
    const evi_block *x = &b->blocks[i], *y = &b->blocks[j];
    const int32_t *p = b->nodes + x->first_node, *q = b->nodes + y->first_node;
    int32_t k = 0, l = 0;
    if (x->model != y->model)
        return false;
    while (k < x->n_nodes && l < y->n_nodes) {
        if (p[k] == q[l])
            return true;
        if (p[k] < q[l])
            k++;
        else
            l++;
    }
    return false;
}
