/* SPDX-License-Identifier: MIT */
/* Resize: opset 17 wants scales or sizes of all dimensions, ours may speak of two of them. */
#include "onnx/writer.h"

#include <stdio.h>
#include <string.h>

static ev_status constant(evi_draft *w, evi_draft_node *n, const char *what, int32_t type,
                          int32_t count, const void *data, const char **out)
{
    char wish[EVI_MAX_NAME + 64];
    evi_shape shape = {.rank = 1, .dim = {count}};
    snprintf(wish, sizeof(wish), "%.*s.%s", EVI_MAX_NAME, n->name, what);
    return evi_draft_constant(w, wish, type, &shape, data, EVI_ROLE_CONSTANT, out);
}

static void set_inputs(evi_draft_node *n, const char *scales, const char *sizes)
{
    n->inputs[1] = "";
    n->inputs[2] = scales;
    n->inputs[3] = sizes;
    n->n_in = sizes[0] != '\0' ? 4 : 3;
    n->all_axes = true;
}

/* Scales of all dimensions that give just the sizes of the result, whether a reader multiplies in
 * float or in double. */
static bool exact_scales(const evi_draft_node *n, evi_real *scales)
{
    const evi_shape *x = &n->in[0]->shape, *y = &n->out->shape;
    for (int32_t i = 0; i < x->rank; i++) {
        float scale = (float)((double)y->dim[i] / (double)x->dim[i]);
        scales[i] = (evi_real)scale;
        if ((int64_t)(scale * (float)x->dim[i]) != y->dim[i] ||
            (int64_t)((double)scale * (double)x->dim[i]) != y->dim[i])
            return false;
    }
    return true;
}

/* Shape(x), its first entries, then the sizes that are known: right for any batch. */
static ev_status computed_sizes(evi_draft *w, evi_draft_node *n, int32_t keep, const char **out)
{
    const evi_shape *y = &n->out->shape;
    const int64_t zero = 0, end = keep;
    const char *slice[3], *parts[2], *shape = NULL;
    char wish[EVI_MAX_NAME + 64];
    snprintf(wish, sizeof(wish), "%.*s.shape", EVI_MAX_NAME, n->name);
    EVI_TRY(evi_draft_name(w, wish, &shape));
    EVI_TRY(evi_draft_plain_node(w, "Shape", n->inputs, 1, shape));
    slice[0] = shape;
    EVI_TRY(constant(w, n, "start", EV_TYPE_INT64, 1, &zero, &slice[1]));
    EVI_TRY(constant(w, n, "end", EV_TYPE_INT64, 1, &end, &slice[2]));
    snprintf(wish, sizeof(wish), "%.*s.kept", EVI_MAX_NAME, n->name);
    EVI_TRY(evi_draft_name(w, wish, &parts[0]));
    EVI_TRY(evi_draft_plain_node(w, "Slice", slice, 3, parts[0]));
    EVI_TRY(constant(w, n, "to", EV_TYPE_INT64, y->rank - keep, y->dim + keep, &parts[1]));
    snprintf(wish, sizeof(wish), "%.*s.sizes", EVI_MAX_NAME, n->name);
    EVI_TRY(evi_draft_name(w, wish, out));
    return evi_draft_axis_node(w, "Concat", parts, 2, 0, *out);
}

ev_status evi_draft_fix_resize(evi_draft *w, evi_draft_node *n)
{
    const evi_attrs *a = &n->node->a;
    const evi_shape *x = &n->in[0]->shape;
    evi_real scales[EV_MAX_RANK];
    const char *name = NULL;
    if (a->coord == EVI_COORD_HALF_PIXEL_SYMMETRIC)
        w->need_opset = EVI_MAX(w->need_opset, 19);
    if (n->n_in > 1) /* read from a file in this very form */
        return EV_OK;
    if (a->list2.set && a->aspect != EVI_ASPECT_STRETCH) {
        EVI_TRY(constant(w, n, "sizes", EV_TYPE_INT64, a->list2.n, a->list2.v, &name));
        set_inputs(n, "", name);
        n->all_axes = !a->list3.set;
        return EV_OK;
    }
    bool exact = exact_scales(n, scales);
    if (!a->list2.set && !exact) { /* scales it is, whatever they come to */
        for (int32_t i = 0; i < x->rank; i++)
            scales[i] = (evi_real)a->scales[i];
        exact = !a->list3.set;
    }
    if (exact) {
        EVI_TRY(constant(w, n, "scales", EV_TYPE_FLOAT32, x->rank, scales, &name));
        set_inputs(n, name, "");
        return EV_OK;
    }
    int32_t keep = 0;
    while (keep < x->rank && x->dim[keep] == n->out->shape.dim[keep])
        keep++;
    EVI_TRY(computed_sizes(w, n, EVI_MAX(keep, 1), &name));
    set_inputs(n, "", name);
    return EV_OK;
}
