/* SPDX-License-Identifier: MIT */
/* The new model of a plan: masks from the channels that stay, then every model that takes part
 * is drawn again, called ones first. */
#include "prune/apply.h"
#include <string.h>

/* ---- what stays ------------------------------------------------------------------------------ */

/* Where a block goes whose two sides have the same shape, the weights behind it read the channels
 * before it: a channel stays on both sides if it stays on one. */
typedef struct owner {
    int32_t group, channel; /* group -1: the index always stays */
} owner;

static owner owner_of(const evi_groups *g, int32_t model, int32_t value, int32_t axis, int64_t at)
{
    for (int32_t i = 0; i < g->n; i++)
        for (int32_t k = 0; k < g->groups[i].n_spots; k++) {
            const evi_spot *s = &g->spots[g->groups[i].first_spot + k];
            if (s->model != model || s->value != value || s->axis != axis || at < s->offset)
                continue;
            int64_t step = EVI_MAX(s->stride, 1), c = (at - s->offset) / step;
            if (c < g->groups[i].n && at - s->offset - c * step < s->block)
                return (owner){i, (int32_t)c};
        }
    return (owner){-1, 0};
}

static bool join_index(const evi_groups *g, const evi_block *b, int32_t axis, int64_t at,
                       uint8_t **keep)
{
    owner x = owner_of(g, b->model, b->in, axis, at), y = owner_of(g, b->model, b->out, axis, at);
    uint8_t *kx = x.group < 0 ? NULL : &keep[x.group][x.channel];
    uint8_t *ky = y.group < 0 ? NULL : &keep[y.group][y.channel];
    bool stays = kx == NULL || ky == NULL || *kx || *ky;
    bool changed = stays && ((kx != NULL && !*kx) || (ky != NULL && !*ky));
    if (changed && kx != NULL)
        *kx = 1;
    if (changed && ky != NULL)
        *ky = 1;
    return changed;
}

static bool same_sides(const ev_pruner *p, const evi_block *b)
{
    const evi_value *v = p->groups.models[b->model]->values;
    return b->kind != EV_BLOCK_STAGE && b->kind != EV_BLOCK_DENSE &&
           evi_shape_equal(&v[b->in].edge.shape, &v[b->out].edge.shape);
}

static bool join_block(const ev_pruner *p, const evi_block *b, uint8_t **keep)
{
    const evi_shape *s = &p->groups.models[b->model]->values[b->in].edge.shape;
    bool changed = false;
    for (int32_t axis = 1; axis < s->rank; axis++)
        for (int64_t i = 0; i < s->dim[axis]; i++)
            changed = join_index(&p->groups, b, axis, i, keep) || changed;
    return changed;
}

static void join_keeps(const ev_pruner *p, const uint8_t *keep_block, uint8_t **keep)
{
    bool changed = keep_block != NULL;
    while (changed) {
        changed = false;
        for (int32_t i = 0; i < p->blocks.n; i++)
            if (!keep_block[i] && same_sides(p, &p->blocks.blocks[i]))
                changed = join_block(p, &p->blocks.blocks[i], keep) || changed;
    }
}

static ev_status copy_keep(const ev_pruner *p, uint8_t *const *keep, uint8_t ***out)
{
    const evi_groups *g = &p->groups;
    uint64_t channels = 0;
    for (int32_t i = 0; i < g->n; i++)
        channels += (uint64_t)g->groups[i].n;
    EVI_TRY(evi_malloc(g->ctx, (uint64_t)g->n * sizeof(uint8_t *) + channels + 1, 1, out));
    uint8_t *at = (uint8_t *)(*out + g->n);
    for (int32_t i = 0; i < g->n; i++) {
        (*out)[i] = at;
        memcpy(at, keep[i], (size_t)g->groups[i].n);
        at += g->groups[i].n;
    }
    return EV_OK;
}

/* ---- one model after the other --------------------------------------------------------------- */

/* Tables of a model, all in one block. */
static ev_status make_tables(evi_redraw *r, const ev_pruner *p, void **block)
{
    uint64_t n = (uint64_t)r->old->n_values, nodes = (uint64_t)r->old->n_nodes;
    uint64_t params = (uint64_t)r->old->store->n_params;
    EVI_TRY(evi_calloc(p->groups.ctx,
                       n * sizeof(evi_shape) + (2 * n + params) * sizeof(int32_t) + 3 * n + nodes,
                       1, block));
    r->shape = *block;
    r->instead = (int32_t *)(void *)(r->shape + n);
    r->map = r->instead + n;
    r->from = r->map + n;
    r->dirty = (uint8_t *)(r->from + params);
    r->unread = r->dirty + n;
    r->anew = r->unread + n;
    r->gone = r->anew + n;
    for (int32_t v = 0; v < r->old->n_values; v++) {
        r->instead[v] = EV_NO_VALUE;
        r->shape[v] = evi_redraw_expected(r, v);
    }
    return EV_OK;
}

static void leave_out(evi_redraw *r, const ev_pruner *p, const uint8_t *keep_block)
{
    r->fits = true;
    for (int32_t i = 0; i < p->blocks.n && keep_block != NULL; i++) {
        const evi_block *b = &p->blocks.blocks[i];
        if (keep_block[i] || b->model != r->model)
            continue;
        for (int32_t k = 0; k < b->n_nodes; k++)
            r->gone[p->blocks.nodes[b->first_node + k]] = 1;
        r->instead[b->out] = b->in;
        r->dirty[b->out] = !same_sides(p, b);
        r->fits = false;
    }
}

static ev_status draw_once(evi_redraw *r, bool trial, ev_model **out)
{
    r->trial = trial;
    EVI_TRY(ev_model_create(r->masks->ctx, out));
    r->to = *out;
    return evi_redraw_model(r);
}

static ev_status draw_model(evi_redraw *r, const ev_pruner *p, const uint8_t *keep_block,
                            uint64_t seed, ev_model **out)
{
    void *block = NULL;
    ev_model *trial = NULL;
    EVI_TRY(make_tables(r, p, &block));
    leave_out(r, p, keep_block);
    ev_status status = r->fits ? EV_OK : draw_once(r, true, &trial);
    ev_model_destroy(trial);
    if (status == EV_OK)
        status = draw_once(r, false, out);
    if (status == EV_OK)
        status = evi_redraw_weights(r, seed);
    evi_free(block);
    return status;
}

static ev_status draw_all(const ev_pruner *p, const evi_masks *masks, const uint8_t *keep_block,
                          uint64_t seed, ev_model **models)
{
    for (int32_t i = 0; i < p->groups.n_models; i++) {
        evi_redraw r = {.masks = masks,
                        .model = i,
                        .old = p->groups.models[i],
                        .models = p->groups.models,
                        .callees = models};
        EVI_TRY(draw_model(&r, p, keep_block, seed, &models[i]));
    }
    return EV_OK;
}

ev_status evi_prune_apply(const ev_pruner *p, uint8_t *const *keep, const uint8_t *keep_block,
                          uint64_t seed, ev_model **out)
{
    const evi_groups *g = &p->groups;
    evi_masks masks = {0};
    uint8_t **joined = NULL;
    ev_model **models = NULL;
    *out = NULL;
    EVI_TRY(copy_keep(p, keep, &joined));
    join_keeps(p, keep_block, joined);
    ev_status status = evi_masks_make(g, joined, &masks);
    if (status == EV_OK)
        status = evi_calloc(g->ctx, (uint64_t)g->n_models, sizeof(ev_model *), &models);
    if (status == EV_OK)
        status = draw_all(p, &masks, keep_block, seed, models);
    if (status == EV_OK)
        *out = ev_model_ref(models[g->n_models - 1]);
    for (int32_t i = 0; i < g->n_models && models != NULL; i++)
        ev_model_destroy(models[i]); /* callers hold what they call */
    evi_free(models);
    evi_masks_free(&masks);
    evi_free(joined);
    return status;
}

ev_status ev_prune_plan_apply(const ev_prune_plan *plan, uint64_t seed, ev_model **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(plan, EVI_MAGIC_PRUNE_PLAN);
    const ev_pruner *p = plan->pruner;
    if (p->drawn != evi_groups_drawn(&p->groups))
        return evi_fail(
            EV_ERR_STALE,
            "ev_prune_plan_apply: layers of the model changed since ev_pruner_create()");
    return evi_prune_apply(p, plan->keep, plan->keep_block, seed, out);
}
