/* SPDX-License-Identifier: MIT */
/* Plans: which channels and blocks stay, asked and edited by hand. */
#include "prune/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- groups as a plan sees them -------------------------------------------------------------- */

bool evi_group_is_free(const ev_pruner *p, int32_t group)
{
    return p->groups.groups[group].blocked == NULL && !p->is_protected[group];
}

const char *evi_group_layer(const ev_pruner *p, int32_t group)
{
    const evi_group *g = &p->groups.groups[group];
    return p->groups.models[g->layer_model]->nodes[g->layer_node].name;
}

const char *evi_group_why(const ev_pruner *p, int32_t group, const char **layer_out)
{
    const evi_group *g = &p->groups.groups[group];
    *layer_out = evi_group_layer(p, group);
    if (g->blocked == NULL)
        return p->is_protected[group] ? "it is protected" : NULL;
    if (g->blocked_node >= 0)
        *layer_out = p->groups.models[g->blocked_model]->nodes[g->blocked_node].name;
    return g->blocked;
}

int32_t evi_group_floor(const ev_pruner *p, int32_t group)
{
    int32_t n = p->groups.groups[group].n;
    return evi_group_is_free(p, group) ? EVI_MIN(EVI_MAX(p->min_width[group], 1), n) : n;
}

/* ---- making and ending ----------------------------------------------------------------------- */

void evi_plan_forget(ev_prune_plan *plan)
{
    for (int32_t i = 0; i < 2; i++)
        plan->ms_measured[i] = plan->ms_spread[i] = (double)NAN;
}

static ev_status take_memory(ev_prune_plan *plan, const ev_pruner *p)
{
    ev_context *ctx = p->handle.ctx;
    uint64_t n_channels = 0, widest = 0;
    for (int32_t g = 0; g < p->groups.n; g++) {
        n_channels += (uint64_t)p->groups.groups[g].n;
        widest = EVI_MAX(widest, (uint64_t)p->groups.groups[g].n);
    }
    uint8_t *keep = NULL;
    EVI_TRY(evi_calloc(ctx, (uint64_t)p->groups.n + 1, sizeof(*plan->keep), &plan->keep));
    EVI_TRY(evi_calloc(ctx, n_channels, 1, &keep));
    plan->keep[0] = keep; /* also without groups: what is freed */
    EVI_TRY(evi_calloc(ctx, (uint64_t)p->blocks.n, 1, &plan->keep_block));
    EVI_TRY(evi_calloc(ctx, widest, sizeof(*plan->order), &plan->order));
    memset(keep, 1, (size_t)n_channels);
    memset(plan->keep_block, 1, (size_t)p->blocks.n);
    for (int32_t g = 0; g < p->groups.n; g++) {
        plan->keep[g] = keep;
        keep += p->groups.groups[g].n;
    }
    return EV_OK;
}

ev_status evi_plan_keep_all(ev_pruner *p, ev_prune_plan **out)
{
    ev_prune_plan *plan = NULL;
    *out = NULL;
    EVI_TRY(evi_calloc(p->handle.ctx, 1, sizeof(*plan), &plan));
    evi_handle_start(&plan->handle, EVI_MAGIC_PRUNE_PLAN, p->handle.ctx);
    plan->pruner = evi_handle_ref(p, EVI_MAGIC_PRUNER);
    evi_plan_forget(plan);
    plan->ms_before = (double)NAN;
    ev_status status = take_memory(plan, p);
    if (status == EV_OK)
        status = evi_tally_create(p, &plan->tally);
    if (status != EV_OK) {
        ev_prune_plan_destroy(plan);
        return status;
    }
    *out = plan;
    return EV_OK;
}

void ev_prune_plan_destroy(ev_prune_plan *plan)
{
    if (!evi_handle_drop(plan, EVI_MAGIC_PRUNE_PLAN))
        return;
    ev_pruner *p = plan->pruner;
    if (plan->keep != NULL)
        evi_free(plan->keep[0]);
    evi_free(plan->keep);
    evi_free(plan->keep_block);
    evi_free(plan->order);
    evi_tally_free(plan->tally);
    evi_handle_end(plan);
    ev_pruner_destroy(p);
}

/* ---- channels -------------------------------------------------------------------------------- */

static int32_t width_of(const ev_prune_plan *plan, int32_t group)
{
    int32_t n = 0;
    for (int32_t c = 0; c < plan->pruner->groups.groups[group].n; c++)
        n += plan->keep[group][c];
    return n;
}

static bool has_group(const ev_prune_plan *plan, int32_t group)
{
    return group >= 0 && group < plan->pruner->groups.n;
}

int32_t ev_prune_plan_width(const ev_prune_plan *plan, int32_t group)
{
    if (evi_check_handle(plan, EVI_MAGIC_PRUNE_PLAN, __func__, "plan") != EV_OK ||
        !has_group(plan, group))
        return -1;
    return width_of(plan, group);
}

int32_t ev_prune_plan_keeps(const ev_prune_plan *plan, int32_t group, int32_t channel)
{
    if (evi_check_handle(plan, EVI_MAGIC_PRUNE_PLAN, __func__, "plan") != EV_OK ||
        !has_group(plan, group) || channel < 0 || channel >= plan->pruner->groups.groups[group].n)
        return -1;
    return plan->keep[group][channel];
}

/* Indices with the highest scores first; of equals the lower index. */
static void sift(const double *scores, int32_t *order, int32_t n, int32_t at)
{
    for (;;) {
        int32_t worst = at; /* at the top of the heap: what comes last */
        for (int32_t child = 2 * at + 1; child <= 2 * at + 2 && child < n; child++) {
            double a = scores[order[child]], b = scores[order[worst]];
            if (a < b || (a == b && order[child] > order[worst]))
                worst = child;
        }
        if (worst == at)
            return;
        int32_t swap = order[at];
        order[at] = order[worst];
        order[worst] = swap;
        at = worst;
    }
}

static void sort_by_score(const double *scores, int32_t n, int32_t *order)
{
    for (int32_t i = 0; i < n; i++)
        order[i] = i;
    for (int32_t i = n / 2 - 1; i >= 0; i--)
        sift(scores, order, n, i);
    for (int32_t i = n - 1; i > 0; i--) {
        int32_t swap = order[0];
        order[0] = order[i];
        order[i] = swap;
        sift(scores, order, i, 0);
    }
}

static const double *scores_of(const ev_pruner *p, int32_t group)
{
    return p->scores == NULL ? NULL : p->scores[group];
}

void evi_plan_take(ev_prune_plan *plan, int32_t group, int32_t width)
{
    int32_t n = plan->pruner->groups.groups[group].n;
    const double *scores = scores_of(plan->pruner, group);
    memset(plan->keep[group], width == n, (size_t)n);
    if (width == n)
        return;
    if (scores != NULL)
        sort_by_score(scores, n, plan->order);
    for (int32_t i = 0; i < width; i++)
        plan->keep[group][scores != NULL ? plan->order[i] : i] = 1;
}

/* The group can have this width: whose words are `what value`. */
static ev_status check_width(const ev_prune_plan *plan, int32_t group, int32_t width,
                             const char *function, const char *what)
{
    const ev_pruner *p = plan->pruner;
    const char *layer = NULL;
    const char *why = evi_group_why(p, group, &layer);
    if (width == p->groups.groups[group].n)
        return EV_OK;
    if (why != NULL)
        return evi_fail(EV_ERR_ARGUMENT, "%s: group %d ('%s') keeps all its channels: '%s': %s",
                        function, (int)group, evi_group_layer(p, group), layer, why);
    if (width < p->min_width[group] || width > p->groups.groups[group].n)
        return evi_fail(EV_ERR_ARGUMENT, "%s: %s: group %d ('%s') would keep %d, not %d..%d",
                        function, what, (int)group, layer, (int)width, (int)p->min_width[group],
                        (int)p->groups.groups[group].n);
    return EV_OK;
}

static ev_status check_group(const ev_prune_plan *plan, int32_t group, const char *function)
{
    if (!has_group(plan, group))
        return evi_fail(EV_ERR_ARGUMENT, "%s: group %d: there are %d", function, (int)group,
                        (int)plan->pruner->groups.n);
    return EV_OK;
}

ev_status ev_prune_plan_set_width(ev_prune_plan *plan, int32_t group, int32_t width)
{
    EVI_CHECK_HANDLE(plan, EVI_MAGIC_PRUNE_PLAN);
    EVI_TRY(check_group(plan, group, __func__));
    EVI_TRY(check_width(plan, group, width, __func__, "width"));
    if (width != plan->pruner->groups.groups[group].n && scores_of(plan->pruner, group) == NULL)
        return evi_fail(EV_ERR_STATE, "%s: group %d ('%s') has no scores: call ev_pruner_score()",
                        __func__, (int)group, evi_group_layer(plan->pruner, group));
    evi_plan_take(plan, group, width);
    evi_plan_forget(plan);
    return EV_OK;
}

ev_status ev_prune_plan_set_channel(ev_prune_plan *plan, int32_t group, int32_t channel,
                                    int32_t keep)
{
    EVI_CHECK_HANDLE(plan, EVI_MAGIC_PRUNE_PLAN);
    EVI_TRY(check_group(plan, group, __func__));
    if (channel < 0 || channel >= plan->pruner->groups.groups[group].n)
        return evi_fail(EV_ERR_ARGUMENT, "%s: channel %d: group %d ('%s') has %d", __func__,
                        (int)channel, (int)group, evi_group_layer(plan->pruner, group),
                        (int)plan->pruner->groups.groups[group].n);
    if (keep != 0 && keep != 1)
        return evi_fail(EV_ERR_ARGUMENT, "%s: keep is %d, not 0 or 1", __func__, (int)keep);
    int32_t change = keep - plan->keep[group][channel];
    if (change == 0)
        return EV_OK;
    if (change < 0)
        EVI_TRY(check_width(plan, group, width_of(plan, group) - 1, __func__, "channel"));
    plan->keep[group][channel] = (uint8_t)keep;
    evi_plan_forget(plan);
    return EV_OK;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

bool evi_plan_has_gone_blocks(const ev_prune_plan *plan)
{
    return memchr(plan->keep_block, 0, (size_t)plan->pruner->blocks.n) != NULL;
}

ev_status ev_prune_plan_set_block(ev_prune_plan *plan, int32_t block, int32_t keep)
{
    EVI_CHECK_HANDLE(plan, EVI_MAGIC_PRUNE_PLAN);
    const evi_blocks *b = &plan->pruner->blocks;
    if (block < 0 || block >= b->n)
        return evi_fail(EV_ERR_ARGUMENT, "%s: block %d: there are %d", __func__, (int)block,
                        (int)b->n);
    if (keep != 0 && keep != 1)
        return evi_fail(EV_ERR_ARGUMENT, "%s: keep is %d, not 0 or 1", __func__, (int)keep);
    for (int32_t i = 0; i < b->n && keep == 0; i++)
        if (i != block && !plan->keep_block[i] && evi_blocks_overlap(b, block, i))
            return evi_fail(EV_ERR_ARGUMENT, "%s: block %d overlaps block %d, which is gone",
                            __func__, (int)block, (int)i);
    if (plan->keep_block[block] != keep) {
        plan->keep_block[block] = (uint8_t)keep;
        evi_plan_forget(plan);
    }
    return EV_OK;
}

int32_t ev_prune_plan_keeps_block(const ev_prune_plan *plan, int32_t block)
{
    if (evi_check_handle(plan, EVI_MAGIC_PRUNE_PLAN, __func__, "plan") != EV_OK || block < 0 ||
        block >= plan->pruner->blocks.n)
        return -1;
    return plan->keep_block[block];
}
