/* SPDX-License-Identifier: MIT */
/* Attributes that hold sizes or positions: groups, shapes, parts, bounds.  They stay as they were
 * given as long as they still mean the right thing; else the numbers are written into the node and
 * the input that held them is no longer read. */
#include "prune/apply.h"
#include <string.h>

static bool has_input(const int32_t *in, int32_t n_in, int32_t i)
{
    return i < n_in && in[i] != EV_NO_VALUE;
}

/* The numbers as the new model has them: of a known input, else those of the node. */
static void read_list(const evi_redraw *r, const int32_t *in, int32_t n_in, int32_t i,
                      evi_list *list)
{
    if (!has_input(in, n_in, i))
        return;
    const evi_edge *e = &r->to->values[in[i]].edge;
    int64_t n = evi_shape_count(&e->shape);
    if (e->value == NULL || n > EVI_MAX_LIST)
        return;
    list->n = (int32_t)n;
    list->set = 1;
    for (int32_t k = 0; k < list->n; k++)
        list->v[k] = e->type == EV_TYPE_INT64 ? ((const int64_t *)e->value)[k]
                                              : ((const int32_t *)e->value)[k];
}

/* Do the numbers come from shapes, so that they may differ from batch to batch? */
static bool is_computed(const evi_redraw *r, const int32_t *in, int32_t n_in, int32_t i)
{
    return has_input(in, n_in, i) && r->to->values[in[i]].kind == EVI_VALUE_NODE;
}

/* ---- groups ---------------------------------------------------------------------------------- */

/* See couple_side() in ops/window.c: whole groups go where one group's share of the weights' second
 * axis is one channel; else each group becomes narrower. */
static void fix_groups(const evi_redraw *r, const evi_node *node, evi_attrs *a)
{
    const evi_shape *was = &r->old->values[node->in[1]].edge.shape;
    const evi_shape *now = &evi_redraw_edge(r, node->in[1])->shape;
    if (a->groups > 1 && was->dim[1] == 1)
        a->groups = (int32_t)(now->dim[0] * a->groups / was->dim[0]);
}

/* ---- reshape, expand ------------------------------------------------------------------------- */

/* The input is not what it was to be: the last size that is given takes what there is. */
static void absorb(const evi_shape *x, evi_list *list, bool allow_zero)
{
    int64_t others = 1, count = evi_shape_count(x), all = 1;
    int32_t last = -1;
    for (int32_t i = 0; i < list->n; i++) {
        int64_t v = list->v[i];
        if (v == -1)
            return;
        if (v == 0 && !allow_zero)
            v = i < x->rank ? x->dim[i] : 1;
        else if (i > 0)
            last = i;
        all *= v;
    }
    if (all == count || last < 0 || list->v[last] == 0)
        return;
    others = all / list->v[last];
    if (others > 0 && count % others == 0)
        list->v[last] = count / others;
}

static void fix_reshape(const evi_redraw *r, const evi_node *node, evi_attrs *a, const int32_t *in,
                        int32_t *n_in)
{
    evi_list list = a->list;
    read_list(r, in, *n_in, 1, &list);
    const evi_list given = list;
    const evi_shape *x = &r->to->values[in[0]].edge.shape;
    evi_shape want = evi_redraw_expected(r, node->out[0]),
              from = evi_redraw_expected(r, node->in[0]);
    bool computed = is_computed(r, in, *n_in, 1);
    if (list.n != want.rank)
        return;
    if (!evi_shape_equal(x, &from)) {
        absorb(x, &list, a->allow_zero != 0);
    } else {
        for (int32_t i = 0; i < list.n; i++) {
            int64_t v = list.v[i];
            bool copies = v == 0 && !a->allow_zero;
            if (v != -1 && v != want.dim[i] && !(copies && i < x->rank && x->dim[i] == want.dim[i]))
                list.v[i] = want.dim[i];
        }
    }
    if (memcmp(&list, &given, sizeof(list)) == 0)
        return;
    if (computed && !a->allow_zero && list.n > 0 && x->rank > 0 && list.v[0] == x->dim[0])
        list.v[0] = 0; /* the batch */
    a->list = list;
    *n_in = 1;
}

static void fix_expand(const evi_redraw *r, const evi_node *node, evi_attrs *a, const int32_t *in,
                       int32_t *n_in)
{
    evi_list list = a->list;
    const evi_shape *was = &r->old->values[node->out[0]].edge.shape;
    evi_shape want = evi_redraw_expected(r, node->out[0]);
    bool changed = false;
    read_list(r, in, *n_in, 1, &list);
    for (int32_t i = 0; i < list.n && i < want.rank; i++) {
        int32_t axis = i + want.rank - list.n;
        if (list.v[i] != was->dim[axis] || list.v[i] == want.dim[axis] || list.v[i] == 1)
            continue;
        list.v[i] = want.dim[axis];
        changed = true;
    }
    if (!changed)
        return;
    a->list = list;
    *n_in = 1;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static ev_status fix_split(const evi_redraw *r, const evi_node *node, evi_attrs *a,
                           const int32_t *in, int32_t *n_in)
{
    const evi_shape *x = &r->old->values[node->in[0]].edge.shape;
    int32_t axis = 0;
    if (!evi_axis(a->axis, x->rank, &axis) ||
        evi_masks_find(r->masks, r->model, node->in[0], axis) == NULL)
        return EV_OK;
    evi_list list = a->list;
    read_list(r, in, *n_in, 1, &list);
    int64_t size = evi_redraw_expected(r, node->in[0]).dim[axis], total = 0;
    int64_t part = (size + node->n_out - 1) / node->n_out;
    bool right = true;
    for (int32_t i = 0; i < node->n_out; i++) {
        int64_t want = evi_redraw_expected(r, node->out[i]).dim[axis];
        int64_t now = list.set && i < list.n ? list.v[i] : EVI_MIN(part, size - total);
        right = right && now == want;
        total += now;
        if (i < EVI_MAX_LIST)
            list.v[i] = want;
    }
    if (right)
        return EV_OK;
    if (node->n_out > EVI_MAX_LIST)
        return evi_fail(EV_ERR_INTERNAL, "%d parts are more than %d, which a list holds",
                        (int)node->n_out, EVI_MAX_LIST);
    list.n = node->n_out;
    list.set = 1;
    a->list = list;
    *n_in = 1;
    return EV_OK;
}

/* A bound, counted from either end, or beyond it, in an axis of which some indices went.  Ends
 * that stand for "all" stay. */
static int64_t move_bound(const evi_mask *mask, int64_t at)
{
    if (at >= mask->n || at == 0 || at <= -mask->n)
        return at >= mask->n ? INT64_MAX : 0;
    return evi_mask_before(mask, at < 0 ? at + mask->n : at);
}

static void fix_slice(const evi_redraw *r, const evi_node *node, evi_attrs *a, const int32_t *in,
                      int32_t *n_in)
{
    evi_attrs now = *a;
    int32_t rank = r->old->values[node->in[0]].edge.shape.rank;
    bool changed = false;
    read_list(r, in, *n_in, 1, &now.list);
    read_list(r, in, *n_in, 2, &now.list2);
    read_list(r, in, *n_in, 3, &now.list3);
    read_list(r, in, *n_in, 4, &now.list4);
    for (int32_t i = 0; i < now.list.n; i++) {
        int32_t axis = i;
        if (now.list3.set)
            evi_axis((int32_t)now.list3.v[i], rank, &axis);
        const evi_mask *mask = evi_masks_find(r->masks, r->model, node->in[0], axis);
        if (mask == NULL)
            continue;
        now.list.v[i] = move_bound(mask, a->list.v[i]); /* of the old size */
        now.list2.v[i] = move_bound(mask, a->list2.v[i]);
        changed = true;
    }
    if (!changed)
        return;
    *a = now;
    *n_in = 1;
}

/* Sizes of channels among those of pictures. */
static void fix_resize(const evi_redraw *r, const evi_node *node, evi_attrs *a, const int32_t *in,
                       int32_t *n_in)
{
    evi_list sizes = a->list2;
    evi_shape want = evi_redraw_expected(r, node->out[0]);
    bool changed = false;
    if (!sizes.set)
        return;
    read_list(r, in, *n_in, 3, &sizes);
    for (int32_t i = 0; i < sizes.n; i++) {
        int32_t axis = i;
        if (a->list3.set)
            evi_axis((int32_t)a->list3.v[i], want.rank, &axis);
        if (evi_masks_find(r->masks, r->model, node->out[0], axis) == NULL ||
            sizes.v[i] == want.dim[axis])
            continue;
        sizes.v[i] = want.dim[axis];
        changed = true;
    }
    if (!changed)
        return;
    a->list2 = sizes;
    *n_in = 1;
}

ev_status evi_redraw_attrs(const evi_redraw *r, const evi_node *node, evi_attrs *a,
                           const int32_t *in, int32_t *n_in)
{
    const char *name = node->op->name;
    if (strcmp(name, "conv2d") == 0 || strcmp(name, "conv_transpose2d") == 0)
        fix_groups(r, node, a);
    else if (strcmp(name, "reshape") == 0)
        fix_reshape(r, node, a, in, n_in);
    else if (strcmp(name, "expand") == 0)
        fix_expand(r, node, a, in, n_in);
    else if (strcmp(name, "split") == 0)
        return fix_split(r, node, a, in, n_in);
    else if (strcmp(name, "slice") == 0)
        fix_slice(r, node, a, in, n_in);
    else if (strcmp(name, "resize") == 0)
        fix_resize(r, node, a, in, n_in);
    return EV_OK;
}
