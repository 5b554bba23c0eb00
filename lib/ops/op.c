/* SPDX-License-Identifier: MIT */
/* What all operations share: default attributes, coupling for pruning, gradients, broadcasting. */
#include "ops/op.h"

#include <string.h>

void evi_attrs_default(evi_attrs *a)
{
    memset(a, 0, sizeof(*a));
    for (int32_t i = 0; i < 2; i++) {
        a->stride[i] = 1;
        a->dilation[i] = 1;
    }
    a->groups = 1;
    a->epsilon = 1e-5f;
    a->momentum = 0.9f;
}

/* ---- coupling ------------------------------------------------------------------------------- */

int32_t evi_couple_set(evi_coupling *c)
{
    return c->n_sets++;
}

void evi_couple(evi_coupling *c, int32_t set, int32_t operand, int32_t axis, int64_t offset,
                int64_t count, int64_t block)
{
    if (c->n == EVI_MAX_SLICES) {
        c->blocked = "too many slices are tied in one operation";
        return;
    }
    c->slice[c->n++] = (evi_slice){.operand = operand,
                                   .axis = axis,
                                   .set = set,
                                   .offset = offset,
                                   .count = count,
                                   .block = block};
}

void evi_couple_same(evi_coupling *c, const evi_edge *in, int32_t n_in, const evi_edge *out,
                     int32_t n_out, int32_t axis)
{
    if (n_out < 1 || axis >= out[0].shape.rank)
        return;
    int64_t size = out[0].shape.dim[axis];
    int32_t set = evi_couple_set(c);
    for (int32_t i = 0; i < n_in; i++)
        if (in[i].type != 0 && axis < in[i].shape.rank && in[i].shape.dim[axis] == size)
            evi_couple(c, set, i, axis, 0, size, 1);
    for (int32_t i = 0; i < n_out; i++)
        if (out[i].type != 0 && axis < out[i].shape.rank && out[i].shape.dim[axis] == size)
            evi_couple(c, set, ~i, axis, 0, size, 1);
}

/* ---- running -------------------------------------------------------------------------------- */

evi_real *evi_grad_start(evi_step *s, int32_t i)
{
    if (!evi_has_in(s, i) || s->in[i]->grad == NULL)
        return NULL;
    if (evi_grad_is_first(s, i))
        memset(s->in[i]->grad, 0, (size_t)evi_shape_count(&s->in[i]->shape) * sizeof(evi_real));
    return s->in[i]->grad;
}

typedef struct range_job {
    evi_range_fn fn;
    void *arg;
    int64_t n, piece;
} range_job;

static void range_task(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const range_job *job = arg;
    int64_t first = task * job->piece;
    job->fn(job->arg, first, EVI_MIN(job->piece, job->n - first));
}

void evi_for_ranges(evi_crew *crew, int64_t n, int64_t piece, evi_range_fn fn, void *arg)
{
    if (n <= 0)
        return;
    range_job job = {fn, arg, n, EVI_MAX(piece, 1)};
    evi_parallel(crew, (n + job.piece - 1) / job.piece, range_task, &job);
}

/* ---- shapes --------------------------------------------------------------------------------- */

bool evi_broadcast(const evi_shape *a, const evi_shape *b, evi_shape *out)
{
    evi_shape r = {.rank = EVI_MAX(a->rank, b->rank)};
    for (int32_t i = 1; i <= r.rank; i++) { /* from the last dimension */
        int64_t da = i <= a->rank ? a->dim[a->rank - i] : 1;
        int64_t db = i <= b->rank ? b->dim[b->rank - i] : 1;
        if (da != db && da != 1 && db != 1)
            return false;
        r.dim[r.rank - i] = da == 1 ? db : da;
    }
    *out = r;
    return true;
}

bool evi_axis(int32_t axis, int32_t rank, int32_t *out)
{
    if (axis < -rank || axis >= rank)
        return false;
    *out = axis < 0 ? axis + rank : axis;
    return true;
}
