/* SPDX-License-Identifier: MIT */
/* Masks: from the channels of groups to the indices of axes. */
#include "prune/apply.h"
#include <string.h>

const evi_mask *evi_masks_find(const evi_masks *m, int32_t model, int32_t value, int32_t axis)
{
    for (int32_t i = m->first[model][value]; i >= 0; i = m->all[i].next)
        if (m->all[i].axis == axis)
            return &m->all[i];
    return NULL;
}

evi_shape evi_masks_shape(const evi_masks *m, int32_t model, int32_t value, const evi_shape *old)
{
    evi_shape s = *old;
    for (int32_t i = m->first[model][value]; i >= 0; i = m->all[i].next)
        s.dim[m->all[i].axis] = m->all[i].kept;
    return s;
}

int64_t evi_mask_before(const evi_mask *m, int64_t at)
{
    int64_t n = 0;
    for (int64_t i = 0; i < at && i < m->n; i++)
        n += m->keep[i];
    return n;
}

static ev_status mask_of(evi_masks *m, const evi_spot *spot, int64_t size, evi_mask **out)
{
    const evi_mask *have = evi_masks_find(m, spot->model, spot->value, spot->axis);
    if (have != NULL) {
        *out = &m->all[have - m->all];
        return EV_OK;
    }
    if (m->n == m->capacity) {
        int32_t more = m->capacity ? 2 * m->capacity : 64;
        EVI_TRY(evi_realloc(m->ctx, (uint64_t)more, sizeof(evi_mask), &m->all));
        m->capacity = more;
    }
    int32_t *first = &m->first[spot->model][spot->value];
    evi_mask made = {.axis = spot->axis, .next = *first, .n = size, .kept = size};
    EVI_TRY(evi_malloc(m->ctx, (uint64_t)size, 1, &made.keep));
    memset(made.keep, 1, (size_t)size);
    m->all[m->n] = made;
    *first = m->n;
    *out = &m->all[m->n++];
    return EV_OK;
}

static ev_status cut_spot(evi_masks *m, const evi_groups *g, const evi_spot *spot, int32_t n,
                          const uint8_t *keep)
{
    const ev_model *model = g->models[spot->model];
    const evi_shape *s =
        spot->value < model->n_values ? &model->values[spot->value].edge.shape : NULL;
    int64_t last = spot->offset + (n - 1) * spot->stride + spot->block;
    if (s == NULL || spot->axis >= s->rank || spot->offset < 0 || last > s->dim[spot->axis])
        return evi_fail(EV_ERR_STALE, "the model's layers changed since it was looked at: value %d",
                        (int)spot->value);
    evi_mask *mask = NULL;
    EVI_TRY(mask_of(m, spot, s->dim[spot->axis], &mask));
    for (int32_t c = 0; c < n; c++) {
        uint8_t *at = mask->keep + spot->offset + c * spot->stride;
        for (int64_t k = 0; !keep[c] && k < spot->block; k++) {
            mask->kept -= at[k];
            at[k] = 0;
        }
    }
    return EV_OK;
}

static ev_status cut_all(evi_masks *m, const evi_groups *g, uint8_t *const *keep)
{
    for (int32_t i = 0; i < g->n; i++) {
        const evi_group *group = &g->groups[i];
        if (memchr(keep[i], 0, (size_t)group->n) == NULL)
            continue;
        for (int32_t k = 0; k < group->n_spots; k++)
            EVI_TRY(cut_spot(m, g, &g->spots[group->first_spot + k], group->n, keep[i]));
    }
    return EV_OK;
}

ev_status evi_masks_make(const evi_groups *g, uint8_t *const *keep, evi_masks *out)
{
    *out = (evi_masks){.ctx = g->ctx, .n_models = g->n_models};
    ev_status status = evi_calloc(g->ctx, (uint64_t)g->n_models, sizeof(int32_t *), &out->first);
    for (int32_t i = 0; i < g->n_models && status == EV_OK; i++) {
        uint64_t n = (uint64_t)g->models[i]->n_values;
        status = evi_malloc(g->ctx, n, sizeof(int32_t), &out->first[i]);
        if (status == EV_OK)
            memset(out->first[i], -1, (size_t)n * sizeof(int32_t));
    }
    if (status == EV_OK)
        status = cut_all(out, g, keep);
    if (status != EV_OK)
        evi_masks_free(out);
    return status;
}

void evi_masks_free(evi_masks *m)
{
    for (int32_t i = 0; i < m->n; i++)
        evi_free(m->all[i].keep);
    for (int32_t i = 0; i < m->n_models && m->first != NULL; i++)
        evi_free(m->first[i]);
    evi_free(m->first);
    evi_free(m->all);
    *m = (evi_masks){0};
}
