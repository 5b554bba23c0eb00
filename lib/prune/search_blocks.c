/* SPDX-License-Identifier: MIT */
/* Which blocks go: those first whose score is least for what leaving them out saves. */
#include "prune/search.h"

#include <math.h>
#include <stdlib.h>

/* ---- their order ----------------------------------------------------------------------------- */

static double saving(const evi_search *s, const evi_block *b)
{
    bool by_macs = s->unit == EV_UNIT_MACS || s->unit == EV_UNIT_MS;
    return EVI_MAX(by_macs ? b->macs : (double)b->parameters, 1.0);
}

static int by_score(const void *a, const void *b)
{
    const evi_pick *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

/* group: here the number of the block. */
static ev_status order_blocks(const evi_search *s, evi_pick **out)
{
    const evi_blocks *b = &s->p->blocks;
    *out = NULL;
    for (int32_t i = 0; i < b->n; i++)
        if (s->p->block_scores == NULL || isnan(s->p->block_scores[i]))
            return evi_fail(EV_ERR_STATE,
                            "%s: depth is not 0 and block %d has no score: call "
                            "ev_pruner_score_blocks()",
                            s->function, (int)i);
    EVI_TRY(evi_malloc(s->p->handle.ctx, (uint64_t)b->n, sizeof(**out), out));
    for (int32_t i = 0; i < b->n; i++)
        (*out)[i] = (evi_pick){s->p->block_scores[i] / saving(s, &b->blocks[i]), i, 0};
    qsort(*out, (size_t)b->n, sizeof(**out), by_score);
    return EV_OK;
}

/* ---- taking and giving back ------------------------------------------------------------------ */

static bool can_go(const evi_search *s, int32_t block)
{
    const ev_prune_plan *plan = s->plan;
    for (int32_t i = 0; i < s->p->blocks.n; i++)
        if (!plan->keep_block[i] && (i == block || evi_blocks_overlap(&s->p->blocks, i, block)))
            return false;
    return true;
}

/* Whether this block goes; *value is what the plan comes to. */
static ev_status try_block(evi_search *s, int32_t block, bool beyond, double *value, bool *gone)
{
    double now = 0;
    *gone = false;
    s->plan->keep_block[block] = 0;
    ev_status status = evi_search_value(s, &now);
    if (status == EV_ERR_SHAPE) { /* it cannot be drawn without this one */
        s->plan->keep_block[block] = 1;
        return EV_OK;
    }
    if (status != EV_OK || now >= *value || (now < s->limit && !beyond)) {
        s->plan->keep_block[block] = 1;
        return status;
    }
    *value = now;
    *gone = true;
    return EV_OK;
}

static ev_status take(evi_search *s, const evi_pick *order, bool beyond, int32_t *took)
{
    double value = 0;
    EVI_TRY(evi_search_value(s, &value));
    for (int32_t i = 0; i < s->p->blocks.n && value > s->limit; i++) {
        bool gone = false;
        if (can_go(s, order[i].group))
            EVI_TRY(try_block(s, order[i].group, beyond, &value, &gone));
        *took += gone;
    }
    return EV_OK;
}

ev_status evi_search_blocks(evi_search *s, bool beyond, int32_t *took_out)
{
    evi_pick *order = NULL;
    *took_out = 0;
    EVI_TRY(order_blocks(s, &order));
    ev_status status = take(s, order, beyond, took_out);
    evi_free(order);
    return status;
}

ev_status evi_search_refill_blocks(evi_search *s)
{
    evi_pick *order = NULL;
    EVI_TRY(order_blocks(s, &order));
    ev_status status = EV_OK;
    for (int32_t i = s->p->blocks.n - 1; i >= 0 && status == EV_OK; i--) {
        double value = 0;
        uint8_t *keep = &s->plan->keep_block[order[i].group];
        if (*keep)
            continue;
        *keep = 1;
        status = evi_search_value(s, &value);
        *keep = status == EV_OK && value <= s->limit;
    }
    evi_free(order);
    return status;
}
