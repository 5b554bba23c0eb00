/* SPDX-License-Identifier: MIT */
/* The numbers of the new model: runs of kept elements are copied, by all threads; weights of which
 * nothing went and that lie in a file stay there; what was drawn anew gets its starting values. */
#include "prune/apply.h"
#include <string.h>

#define PIECE_BYTES (1 << 18) /* to a task, about */

/* ---- one tensor ------------------------------------------------------------------------------ */

typedef struct run {
    int64_t from, to, bytes; /* within a row */
} run;

/* A row is what lies along the last cut axis and all that follow. */
typedef struct gather {
    const char *from;
    char *to;
    int32_t n_axes;                                  /* before it */
    int64_t n[EV_MAX_RANK];                          /* what is left of them */
    int64_t stride[EV_MAX_RANK];                     /* bytes, of the old tensor */
    const int64_t *index[EV_MAX_RANK];               /* which stay; NULL: all */
    int64_t n_rows, old_row, new_row, n_runs, piece; /* piece: rows, or runs of a single row */
    const run *runs;
} gather;

static void copy_run(const char *from, char *to, int64_t bytes)
{
    if (bytes > 96 || (bytes & 3) != 0) {
        memcpy(to, from, (size_t)bytes);
        return;
    }
    for (int64_t i = 0; i < bytes; i += 4)
        memcpy(to + i, from + i, 4);
}

static const char *row_at(const gather *g, int64_t row)
{
    const char *from = g->from;
    for (int32_t d = g->n_axes - 1; d >= 0; d--) {
        int64_t at = row % g->n[d];
        from += (g->index[d] == NULL ? at : g->index[d][at]) * g->stride[d];
        row /= g->n[d];
    }
    return from;
}

static void copy_row(const gather *g, int64_t row)
{
    const char *from = row_at(g, row);
    char *to = g->to + row * g->new_row;
    for (int64_t i = 0; i < g->n_runs; i++)
        copy_run(from + g->runs[i].from, to + g->runs[i].to, g->runs[i].bytes);
}

static void gather_task(void *arg, int64_t task, int32_t worker)
{
    const gather *g = arg;
    (void)worker;
    int64_t first = task * g->piece;
    int64_t last = EVI_MIN(first + g->piece, g->n_rows > 1 ? g->n_rows : g->n_runs);
    const char *from = row_at(g, 0);
    for (int64_t i = first; i < last; i++) {
        if (g->n_rows > 1)
            copy_row(g, i);
        else
            copy_run(from + g->runs[i].from, g->to + g->runs[i].to, g->runs[i].bytes);
    }
}

/* Runs of the last cut axis; no longer than a piece where there is but one row. */
static int64_t find_runs(const evi_mask *mask, int64_t block, int64_t most, run *runs)
{
    int64_t n = 0, to = 0;
    for (int64_t i = 0; i < mask->n; i++) {
        if (!mask->keep[i])
            continue;
        run *last = n > 0 ? &runs[n - 1] : NULL;
        if (last != NULL && last->from + last->bytes == i * block && last->bytes + block <= most)
            last->bytes += block;
        else
            runs[n++] = (run){i * block, to, block};
        to += block;
    }
    return n;
}

static void find_index(const evi_mask *mask, int64_t *index)
{
    for (int64_t i = 0, n = 0; i < mask->n; i++)
        if (mask->keep[i])
            index[n++] = i;
}

/* What follows from the masks; the tables lie in *block, to be freed. */
static ev_status prepare(const evi_masks *m, int32_t model, int32_t value, const evi_shape *s,
                         int32_t bytes, gather *g, void **block)
{
    int64_t step = bytes, words = 0;
    int32_t last = 0;
    for (int32_t i = m->first[model][value]; i >= 0; i = m->all[i].next) {
        last = EVI_MAX(last, m->all[i].axis);
        words += 3 * m->all[i].kept;
    }
    EVI_TRY(evi_malloc(m->ctx, (uint64_t)words + 1, sizeof(int64_t), block));
    int64_t *space = *block;
    g->n_axes = last;
    g->n_rows = 1;
    for (int32_t d = s->rank - 1; d > last; d--)
        step *= s->dim[d];
    const evi_mask *cut = evi_masks_find(m, model, value, last);
    int64_t inner = step;
    g->old_row = inner * cut->n;
    g->new_row = inner * cut->kept;
    for (int32_t d = last; d >= 0; d--) {
        const evi_mask *mask = evi_masks_find(m, model, value, d);
        g->n[d] = mask == NULL ? s->dim[d] : mask->kept;
        g->stride[d] = step;
        step *= s->dim[d];
        if (d == last)
            continue;
        g->n_rows *= g->n[d];
        if (mask == NULL)
            continue;
        find_index(mask, space);
        g->index[d] = space;
        space += mask->kept;
    }
    run *runs = (run *)(void *)space;
    g->n_runs = find_runs(cut, inner, g->n_rows > 1 ? INT64_MAX : PIECE_BYTES, runs);
    g->runs = runs;
    return EV_OK;
}

ev_status evi_masks_gather(const evi_masks *m, int32_t model, int32_t value, const evi_shape *shape,
                           int32_t bytes, const void *from, void *out, evi_crew *crew)
{
    gather g = {.from = from, .to = out};
    void *block = NULL;
    EVI_TRY(prepare(m, model, value, shape, bytes, &g, &block));
    int64_t total = g.n_rows * g.new_row, parts = g.n_rows > 1 ? g.n_rows : g.n_runs;
    if (total > 0) {
        g.piece = EVI_MAX(PIECE_BYTES / EVI_MAX(total / parts, 1), 1);
        evi_parallel(crew, (parts + g.piece - 1) / g.piece, gather_task, &g);
    }
    evi_free(block);
    return EV_OK;
}

/* ---- all weights ----------------------------------------------------------------------------- */

typedef struct copy {
    const char *from;
    char *to;
    int64_t bytes;
} copy;

static void copy_task(void *arg, int64_t task, int32_t worker)
{
    const copy *c = arg;
    (void)worker;
    int64_t first = task * PIECE_BYTES;
    memcpy(c->to + first, c->from + first, (size_t)EVI_MIN(c->bytes - first, PIECE_BYTES));
}

static bool is_whole(const evi_redraw *r, int32_t value)
{
    return r->masks->first[r->model][value] < 0 && !r->anew[value];
}

/* Whole weights stay in the file; when there is none of them, the store is an ordinary one. */
static ev_status make_room(const evi_redraw *r)
{
    const evi_store *old = r->old->store;
    evi_store *to = r->to->store;
    const void **at = NULL;
    int32_t n = 0;
    if (old->weights != NULL || old->map == NULL)
        return evi_store_allocate(to);
    EVI_TRY(evi_calloc(to->ctx, (uint64_t)EVI_MAX(to->n_params, 1), sizeof(void *), &at));
    for (int32_t i = 0; i < to->n_params; i++) {
        const evi_param *p = &old->params[r->old->values[r->from[i]].index];
        if (is_whole(r, r->from[i]) && evi_mapping_holds(old->map, p->data))
            at[i] = p->data;
        n += at[i] != NULL;
    }
    ev_status status = n > 0 ? evi_store_adopt(to, old->map, at) : evi_store_allocate(to);
    evi_free(at);
    return status;
}

/* A stream for each weight that starts again, from its model and name. */
static evi_rng stream_of(const evi_redraw *r, const char *name, uint64_t seed)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    evi_rng rng = {seed, 0x7072756e65u};
    return evi_rng_derive(evi_rng_derive(rng, (uint64_t)r->model), hash);
}

static ev_status fill_one(const evi_redraw *r, int32_t i, uint64_t seed, evi_crew *crew)
{
    int32_t value = r->from[i];
    const evi_store *old = r->old->store;
    const evi_param *p = &r->to->store->params[i];
    const evi_param *source = &old->params[r->old->values[value].index];
    if (p->count == 0 || p->data == source->data)
        return EV_OK;
    if (r->anew[value]) {
        evi_store_fill(r->to->store, i, stream_of(r, p->name, seed));
        return EV_OK;
    }
    if (!is_whole(r, value))
        return evi_masks_gather(r->masks, r->model, value, &source->shape, sizeof(evi_real),
                                source->data, p->data, crew);
    copy c = {(const char *)source->data, (char *)p->data, p->count * (int64_t)sizeof(evi_real)};
    evi_parallel(crew, (c.bytes + PIECE_BYTES - 1) / PIECE_BYTES, copy_task, &c);
    return EV_OK;
}

ev_status evi_redraw_weights(const evi_redraw *r, uint64_t seed)
{
    ev_status status = EV_OK;
    if (!r->old->store->ready)
        return EV_OK;
    EVI_TRY(make_room(r));
    evi_crew *crew = evi_crew_begin(r->masks->ctx);
    for (int32_t i = 0; i < r->to->store->n_params && status == EV_OK; i++)
        status = fill_one(r, i, seed, crew);
    evi_crew_end(crew);
    if (status == EV_OK)
        evi_store_touch(r->to->store);
    return status;
}
