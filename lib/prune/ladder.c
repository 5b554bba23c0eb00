/* SPDX-License-Identifier: MIT */
/* The next smaller architecture of a sequence: in turn convolutions go (one of each of the longest
 * stages; where all have one, the last stage), filters become fewer, dense layers shrink (of
 * several hidden ones the last goes).  Whose turn it is begins; the others follow until there are
 * few enough parameters, and the last shrinks only as far as that takes. */
#include "prune/ladder.h"

#include <string.h>

enum { TURN_CONV = 0, TURN_FILTERS, TURN_DENSE, N_TURNS };

#define PARTS 64 /* of a halving, when less than half has to go */
#define MOST_TURNS 90

/* ---- counting -------------------------------------------------------------------------------- */

/* INT64_MAX: it cannot be drawn so. */
static ev_status count(const evi_rung *r, int64_t *out)
{
    ev_model *m = NULL;
    ev_status status = evi_rung_draw(r, &m);
    *out = INT64_MAX;
    if (status == EV_ERR_SHAPE)
        return EV_OK;
    if (status == EV_OK)
        *out = ev_model_parameter_count(m);
    ev_model_destroy(m);
    return *out < 0 ? EV_ERR_MEMORY : status;
}

/* ---- a convolution goes ---------------------------------------------------------------------- */

static bool is_conv(const evi_rung_layer *l)
{
    return l->kind == EVI_RUNG_CONV && !l->gone;
}

static int32_t n_in_stage(const evi_rung *r, int32_t stage)
{
    int32_t n = 0;
    for (int32_t i = 0; i < r->n; i++)
        n += is_conv(&r->layers[i]) && r->layers[i].stage == stage;
    return n;
}

static bool keeps_size(const evi_rung *r, const evi_node *node)
{
    const evi_shape *in = &r->from->values[node->in[0]].edge.shape,
                    *out = &r->from->values[node->out[0]].edge.shape;
    return in->rank == 4 && in->dim[2] == out->dim[2] && in->dim[3] == out->dim[3];
}

/* Length of the longest stage that can spare a convolution; 0: none can. */
static int32_t longest_stage(const evi_rung *r)
{
    int32_t most = 0;
    for (int32_t i = 0; i < r->n; i++)
        if (is_conv(&r->layers[i]) && n_in_stage(r, r->layers[i].stage) > 1)
            most = EVI_MAX(most, n_in_stage(r, r->layers[i].stage));
    return most;
}

/* With what follows it: norm and activation; `pool`: and its pooling. */
static void remove_layer(evi_rung *r, int32_t at, bool pool)
{
    int32_t kind = r->layers[at].kind;
    r->layers[at].gone = true;
    for (int32_t i = at + 1; i < r->n; i++) {
        evi_rung_layer *l = &r->layers[i];
        bool is_pool = l->kind == EVI_RUNG_POOL;
        bool plain =
            l->kind == EVI_RUNG_OTHER && (kind == EVI_RUNG_DENSE || keeps_size(r, l->node));
        if (!plain && !(is_pool && pool))
            break;
        l->gone = true;
        if (is_pool)
            break;
    }
}

/* The last convolution of each of the longest stages. */
static bool remove_convs(evi_rung *r, bool stages)
{
    int32_t length = longest_stage(r), last = -1, n = 0, stage = -1;
    bool any = false;
    for (int32_t i = r->n - 1; i >= 0; i--) {
        const evi_rung_layer *l = &r->layers[i];
        if (!is_conv(l))
            continue;
        n++;
        last = last < 0 && !l->fixed ? i : last;
        if (length == 0 || l->fixed || l->stage == stage || !keeps_size(r, l->node) ||
            n_in_stage(r, l->stage) != length)
            continue;
        stage = l->stage;
        remove_layer(r, i, false);
        any = true;
    }
    if (!any && stages && n > 1 && last >= 0) {
        remove_layer(r, last, true);
        any = true;
    }
    return any;
}

/* Of several hidden dense layers the last. */
static bool remove_dense(evi_rung *r)
{
    int32_t last = -1, n = 0;
    for (int32_t i = 0; i < r->n; i++)
        if (r->layers[i].kind == EVI_RUNG_DENSE && !r->layers[i].gone && !r->layers[i].fixed) {
            last = i;
            n++;
        }
    if (n > 1)
        remove_layer(r, last, false);
    return n > 1;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static bool has_turn(const evi_rung_layer *l, int32_t turn)
{
    int32_t kind = turn == TURN_FILTERS ? EVI_RUNG_CONV : EVI_RUNG_DENSE;
    return l->kind == kind && !l->gone && !l->fixed;
}

static int32_t step_of(int32_t size)
{
    return size >= 64 ? 8 : size >= 16 ? 4 : 1;
}

/* Of each size of this turn keep `part` of PARTS. */
static void scale(evi_rung *r, int32_t turn, const int32_t *sizes, int32_t part)
{
    for (int32_t i = 0; i < r->n; i++) {
        if (!has_turn(&r->layers[i], turn))
            continue;
        int32_t least = turn == TURN_FILTERS ? r->min_width : r->min_dense,
                step = step_of(sizes[i]);
        int32_t size = (int32_t)((int64_t)sizes[i] * part / PARTS + step / 2) / step * step;
        r->layers[i].size = EVI_MIN(EVI_MAX(size, least), sizes[i]);
    }
}

/* Halve, or less when less is enough.  *changed_out: something became smaller. */
static ev_status shrink(evi_rung *r, int32_t turn, int32_t *sizes, bool *changed_out)
{
    int64_t n = 0;
    for (int32_t i = 0; i < r->n; i++)
        sizes[i] = r->layers[i].size;
    int32_t part = PARTS / 2, more = PARTS;
    scale(r, turn, sizes, part);
    EVI_TRY(count(r, &n));
    while (n <= r->limit && more - part > 1) {
        int64_t now = 0;
        scale(r, turn, sizes, (part + more) / 2);
        EVI_TRY(count(r, &now));
        if (now <= r->limit)
            part = (part + more) / 2;
        else
            more = (part + more) / 2;
    }
    scale(r, turn, sizes, part);
    *changed_out = false;
    for (int32_t i = 0; i < r->n; i++)
        *changed_out = *changed_out || r->layers[i].size != sizes[i];
    return EV_OK;
}

/* One step wider where it fits, the last layers first. */
static ev_status widen(evi_rung *r)
{
    for (int32_t i = r->n - 1; i >= 0; i--) {
        evi_rung_layer *l = &r->layers[i];
        int64_t n = 0;
        int32_t old = l->size;
        if (l->gone || l->fixed || l->kind == EVI_RUNG_DEPTHWISE || old == l->before)
            continue;
        l->size = EVI_MIN(old + step_of(old), l->before);
        EVI_TRY(count(r, &n));
        l->size = n <= r->limit ? l->size : old;
    }
    return EV_OK;
}

/* ---- the rung -------------------------------------------------------------------------------- */

/* EV_ERR_GOAL: everything is as small as it can be; *n_out is what is left. */
static ev_status descend(evi_rung *r, int32_t first, bool stages, int32_t *sizes, int64_t *n_out)
{
    static const int32_t turns[N_TURNS][N_TURNS] = {{TURN_CONV, TURN_DENSE, TURN_FILTERS},
                                                    {TURN_FILTERS, TURN_DENSE, TURN_CONV},
                                                    {TURN_DENSE, TURN_FILTERS, TURN_CONV}};
    int32_t idle = 0;
    for (int32_t i = 0; i < MOST_TURNS && idle < N_TURNS; i++) {
        int32_t turn = turns[first][i % N_TURNS];
        bool changed = false, fewer = false;
        if (turn == TURN_CONV)
            changed = remove_convs(r, stages && i == 0);
        else {
            fewer = turn == TURN_DENSE && first == TURN_DENSE && i == 0 && remove_dense(r);
            EVI_TRY(shrink(r, turn, sizes, &changed));
        }
        idle = changed || fewer ? 0 : idle + 1;
        EVI_TRY(count(r, n_out));
        if (*n_out <= r->limit)
            return widen(r);
    }
    return EV_ERR_GOAL;
}

/* A stage that goes leaves more for the layers behind it to read: when that is too much, stages
 * stay. */
static ev_status next(evi_rung *r, int32_t rung)
{
    evi_rung_layer *given = NULL;
    int32_t *sizes = NULL;
    ev_context *ctx = r->ctx;
    int64_t n = 0;
    uint64_t bytes = (uint64_t)r->n * sizeof(*given);
    EVI_TRY(evi_malloc(ctx, bytes, 1, &given));
    ev_status status = evi_malloc(ctx, (uint64_t)r->n, sizeof(*sizes), &sizes);
    memcpy(given, r->layers, bytes);
    if (status == EV_OK)
        status = descend(r, (rung - 1) % N_TURNS, true, sizes, &n);
    if (status == EV_ERR_GOAL) {
        memcpy(r->layers, given, bytes);
        status = descend(r, (rung - 1) % N_TURNS, false, sizes, &n);
    }
    if (status == EV_ERR_GOAL)
        status = evi_fail(EV_ERR_GOAL,
                          "ev_ladder_next: ratio: at most %lld parameters cannot be reached: %lld "
                          "at the least (min_width %d, min_dense %d)",
                          (long long)r->limit, (long long)n, (int)r->min_width, (int)r->min_dense);
    evi_free(sizes);
    evi_free(given);
    return status;
}

static ev_status read_options(const ev_ladder_options *from, const char *function,
                              ev_ladder_options *o)
{
    EVI_TRY(evi_options_read(o, (uint32_t)sizeof(*o), from, function));
    if (o->rung < 0)
        return evi_fail(EV_ERR_ARGUMENT, "%s: rung is %d, not 1 or more", function, (int)o->rung);
    if (!(o->ratio >= 0 && o->ratio < 1))
        return evi_fail(EV_ERR_ARGUMENT, "%s: ratio is %g, not 0..1, below 1", function, o->ratio);
    if (o->min_width < 0 || o->min_dense < 0)
        return evi_fail(EV_ERR_ARGUMENT, "%s: min_width is %d, min_dense is %d", function,
                        (int)o->min_width, (int)o->min_dense);
    o->rung = EVI_MAX(o->rung, 1);
    o->ratio = o->ratio > 0 ? o->ratio : 0.5;
    o->min_width = o->min_width > 0 ? o->min_width : 4;
    o->min_dense = o->min_dense > 0 ? o->min_dense : 8;
    o->seed = o->seed > 0 ? o->seed : 1;
    return EV_OK;
}

ev_status ev_ladder_next(ev_context *ctx, ev_model *model, const ev_ladder_options *opt,
                         ev_model **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    ev_ladder_options o;
    EVI_TRY(read_options(opt, __func__, &o));
    evi_rung r = {0};
    ev_model *m = NULL;
    ev_status status = evi_rung_read(ctx, model, &r);
    r.min_width = o.min_width;
    r.min_dense = o.min_dense;
    int64_t parameters = ev_model_parameter_count(model);
    r.limit = (int64_t)((double)parameters * o.ratio);
    if (status == EV_OK && parameters < 0)
        status = EV_ERR_MEMORY;
    if (status == EV_OK)
        status = next(&r, o.rung);
    if (status == EV_OK)
        status = evi_rung_draw(&r, &m);
    if (status == EV_OK)
        status = ev_model_init(m, o.seed);
    evi_free(r.layers);
    if (status != EV_OK) {
        ev_model_destroy(m);
        return status;
    }
    *out = m;
    return EV_OK;
}
