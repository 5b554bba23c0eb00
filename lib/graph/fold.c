/* SPDX-License-Identifier: MIT */
/* Folding: nodes whose outputs follow from constants or from shapes are run once, when drawn (so
 * that a reshape sees the shape that another node computes) and when planned. */
#include "graph/plan.h"
#include <string.h>

bool evi_can_fold(const evi_op *op, const evi_edge *in, int32_t n_in)
{
    if (op->traits & (EVI_OP_RANDOM | EVI_OP_LOSS))
        return false;
    if (op->traits & EVI_OP_SHAPE_ONLY)
        return true;
    bool any = false;
    for (int32_t i = 0; i < n_in; i++) {
        if (in[i].type != 0 && in[i].value == NULL)
            return false;
        any = any || in[i].type != 0;
    }
    return any;
}

static ev_status fill_views(ev_context *ctx, evi_view *views, const evi_edge *edges, int32_t n,
                            bool outputs)
{
    for (int32_t i = 0; i < n; i++) {
        views[i].type = edges[i].type;
        views[i].shape = edges[i].shape;
        views[i].data = (void *)(uintptr_t)edges[i].value;
        if (outputs && edges[i].type != 0)
            EVI_TRY(evi_calloc(ctx, (uint64_t)evi_shape_count(&edges[i].shape),
                               (uint64_t)evi_type_bytes(edges[i].type), &views[i].data));
    }
    return EV_OK;
}

/* Views and pointers to them in one block: the step's in[] and out[]. */
static ev_status start_step(ev_context *ctx, evi_step *s, const evi_edge *in, int32_t n_in,
                            const evi_edge *out, int32_t n_out, evi_view **views)
{
    int32_t n = n_in + n_out;
    EVI_TRY(evi_calloc(ctx, (uint64_t)n, sizeof(evi_view) + sizeof(evi_view *), views));
    s->in = (evi_view **)(void *)(*views + n);
    s->out = s->in + n_in;
    s->n_in = n_in;
    s->n_out = n_out;
    for (int32_t i = 0; i < n_in; i++)
        s->in[i] = in[i].type == 0 ? NULL : *views + i;
    for (int32_t i = 0; i < n_out; i++)
        s->out[i] = *views + n_in + i;
    EVI_TRY(fill_views(ctx, *views, in, n_in, false));
    return fill_views(ctx, *views + n_in, out, n_out, true);
}

static ev_status run_step(ev_context *ctx, evi_step *s)
{
    if (s->op->prepare != NULL)
        s->op->prepare(s);
    uint64_t scratch = evi_round_up(s->scratch_bytes, EVI_ALIGN), total;
    if (!evi_add(scratch, s->saved_bytes, &total))
        return evi_fail(EV_ERR_MEMORY, "%s needs too much memory to be folded", s->op->name);
    void *memory = NULL;
    EVI_TRY(evi_malloc(ctx, total, 1, &memory));
    s->packed_bytes = 0;
    s->scratch = memory;
    s->saved = s->saved_bytes > 0 ? (char *)memory + scratch : NULL; /* ops ask for it */
    s->op->forward(s);
    evi_free(memory);
    return EV_OK;
}

ev_status evi_fold(ev_context *ctx, const evi_op *op, const evi_attrs *a, const evi_edge *in,
                   int32_t n_in, evi_edge *out, int32_t n_out)
{
    evi_view *views = NULL;
    evi_step s = {.op = op, .a = *a, .k = evi_kernels_for(0), .n_workers = 1};
    ev_status status = start_step(ctx, &s, in, n_in, out, n_out, &views);
    if (status == EV_OK)
        status = run_step(ctx, &s);
    for (int32_t i = 0; views != NULL && i < n_out; i++) {
        if (status == EV_OK)
            out[i].value = views[n_in + i].data;
        else
            evi_free(views[n_in + i].data);
    }
    evi_free(views);
    return status;
}
