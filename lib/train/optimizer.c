/* SPDX-License-Identifier: MIT */
/* From gradients to new weights.  The trained weights of all stores are cut into pieces of a fixed
 * size: the unit of work for threads, and of the sum for the gradient's norm, whose order therefore
 * does not depend on the number of threads. */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

/* ---- what is trained ----------------------------------------------------------------------- */

enum { BY_FIRST = 1, BY_LATER = 2 };

/* marks[p]: in which parts some unfrozen use of param p of this store gets a gradient. */
static void mark_params(const ev_trainer *t, const evi_store *store, uint8_t *marks)
{
    for (int32_t k = 0; k < t->n_parts; k++) {
        const ev_plan *plan = t->parts[k].plan;
        for (int32_t i = 0; i < plan->n_values; i++) {
            const evi_flat_value *v = &plan->values[i];
            if (v->kind != EVI_FLAT_PARAM || plan->stores[v->store] != store || v->frozen ||
                !v->want_grad)
                continue;
            const evi_param *p = &store->params[v->index];
            if (p->trainable != 0 && p->frozen == 0)
                marks[v->index] |= k == 0 ? BY_FIRST : BY_LATER;
        }
    }
}

/* Does a step change running statistics of this store?  A net that is only called frozen keeps
 * them, and plans of it stay good. */
static bool moves(const ev_trainer *t, const evi_store *store)
{
    for (int32_t k = 0; k < t->n_parts; k++) {
        const ev_plan *plan = t->parts[k].plan;
        for (int32_t i = 0; i < plan->n_values; i++) {
            const evi_flat_value *v = &plan->values[i];
            if (v->kind == EVI_FLAT_PARAM && plan->stores[v->store] == store && !v->frozen &&
                !store->params[v->index].trainable)
                return true;
        }
    }
    return false;
}

static bool any_is(const uint8_t *marks, int32_t n, uint8_t what)
{
    for (int32_t i = 0; i < n; i++)
        if (marks[i] == what)
            return true;
    return false;
}

static int32_t cut(evi_train_piece *pieces, int32_t n, int32_t store, int64_t first, int64_t end)
{
    for (; first < end; first += EVI_TRAIN_PIECE, n++)
        if (pieces != NULL)
            pieces[n] = (evi_train_piece){ store,
                                           (int32_t)EVI_MIN(end - first, EVI_TRAIN_PIECE), first };
    return n;
}

/* Neighbours in the vector are one run, the gaps between them (zeros) included.  Gives the number
 * of pieces after this store; pieces NULL: only count. */
static int32_t cut_store(const evi_store *store, int32_t number, const uint8_t *marks,
                         evi_train_piece *pieces, int32_t n)
{
    int64_t first = 0, end = 0;
    for (int32_t i = 0; i < store->n_params; i++) {
        const evi_param *p = &store->params[i];
        if (marks[i] == 0)
            continue;
        if (p->offset - end >= 16) { /* more than a gap: an untrained weight lies between */
            n = cut(pieces, n, number, first, end);
            first = p->offset;
        }
        end = p->offset + p->count;
    }
    return cut(pieces, n, number, first, end);
}

static ev_status find_pieces(ev_trainer *t)
{
    ev_context *ctx = t->handle.ctx;
    ev_status status = EV_OK;
    for (int32_t pass = 0; pass < 2 && status == EV_OK; pass++) {
        int32_t n = 0;
        for (int32_t s = 0; s < t->n_stores && status == EV_OK; s++) {
            const evi_store *store = t->stores[s].store;
            uint8_t *marks = NULL;
            status = evi_calloc(ctx, (uint64_t)store->n_params, 1, &marks);
            if (status != EV_OK)
                break;
            mark_params(t, store, marks);
            int32_t before = n;
            n = cut_store(store, s, marks, t->pieces, n);
            t->stores[s].trained = n > before;
            t->stores[s].moves = moves(t, store);
            t->stores[s].cleared = any_is(marks, store->n_params, BY_LATER);
            evi_free(marks);
        }
        t->n_pieces = n;
        if (pass == 0 && status == EV_OK)
            status = evi_calloc(ctx, (uint64_t)n, sizeof(evi_train_piece), &t->pieces);
    }
    return status;
}

/* ---- vectors ------------------------------------------------------------------------------- */

static bool has_moment1(const evi_train *o)
{
    return o->optimizer == EV_OPTIMIZER_ADAM || o->optimizer == EV_OPTIMIZER_ADAMW ||
           o->momentum > 0;
}

static bool has_moment2(const evi_train *o)
{
    return o->optimizer != EV_OPTIMIZER_SGD;
}

/* The lengths of the five vectors of a store, in the order of its fields; 0: not needed. */
static void lengths(const ev_trainer *t, const evi_train_store *s, uint64_t out[5])
{
    uint64_t trainable = (uint64_t)s->store->n_trainable, all = (uint64_t)s->store->n_total;
    out[0] = s->trained ? trainable : 0;
    out[1] = s->trained && has_moment1(&t->o) ? trainable : 0;
    out[2] = s->trained && has_moment2(&t->o) ? trainable : 0;
    out[3] = t->keep_best && (s->trained || all > trainable) ? all : 0;
    out[4] = s->moves ? all - trainable : 0;
}

static evi_real **vector(evi_train_store *s, int32_t i)
{
    evi_real **fields[5] = { &s->gradients, &s->moment1, &s->moment2, &s->best, &s->statistics };
    return fields[i];
}

uint64_t evi_train_vectors_bytes(const ev_trainer *t)
{
    uint64_t bytes = evi_block_bytes((uint64_t)t->n_pieces * sizeof(evi_train_piece)) +
                     evi_block_bytes((uint64_t)t->n_pieces * sizeof(double));
    for (int32_t s = 0; s < t->n_stores; s++) {
        uint64_t n[5];
        lengths(t, &t->stores[s], n);
        for (int32_t i = 0; i < 5; i++)
            bytes += n[i] > 0 ? evi_block_bytes(n[i] * sizeof(evi_real)) : 0;
    }
    return bytes;
}

/* Fills pieces; with_memory: the vectors too. */
static ev_status make_vectors(ev_trainer *t)
{
    for (int32_t s = 0; s < t->n_stores; s++) {
        uint64_t n[5];
        lengths(t, &t->stores[s], n);
        for (int32_t i = 0; i < 5; i++) {
            evi_real **to = vector(&t->stores[s], i);
            if (n[i] > 0)
                EVI_TRY(evi_calloc(t->handle.ctx, n[i], sizeof(evi_real), to));
        }
    }
    return evi_calloc(t->handle.ctx, (uint64_t)t->n_pieces, sizeof(double), &t->sums);
}

ev_status evi_train_vectors(ev_trainer *t, bool with_memory)
{
    EVI_TRY(find_pieces(t));
    if (t->n_pieces == 0)
        return evi_fail(EV_ERR_ARGUMENT, "there is nothing to train: no weight that is not frozen "
                                         "has an influence on a loss");
    return with_memory ? make_vectors(t) : EV_OK;
}

void evi_train_vectors_free(ev_trainer *t)
{
    for (int32_t s = 0; s < t->n_stores && t->stores != NULL; s++)
        for (int32_t i = 0; i < 5; i++)
            evi_free(*vector(&t->stores[s], i));
    evi_free(t->pieces);
    evi_free(t->sums);
}

/* ---- norm and clipping --------------------------------------------------------------------- */

typedef struct piece_job {
    ev_trainer *t;
    const evi_kernels *k;
    double limit, factor; /* clip to +-limit when above 0, then scale when not 1 */
    evk_sgd sgd;
    evk_adam adam;
    evk_rmsprop rmsprop;
} piece_job;

static evi_real *piece_gradients(const ev_trainer *t, const evi_train_piece *p)
{
    return t->stores[p->store].gradients + p->first;
}

static void square_piece(void *arg, int64_t task, int32_t worker)
{
    const piece_job *job = arg;
    const evi_train_piece *p = &job->t->pieces[task];
    (void)worker;
    job->t->sums[task] = (double)job->k->sum_squares(p->count, piece_gradients(job->t, p), 0);
}

double evi_train_norm(ev_trainer *t, evi_crew *crew)
{
    piece_job job = { .t = t, .k = t->parts[0].plan->k };
    double sum = 0;
    evi_parallel(crew, t->n_pieces, square_piece, &job);
    for (int32_t i = 0; i < t->n_pieces; i++)
        sum += t->sums[i];
    return sqrt(sum);
}

static void clip_piece(void *arg, int64_t task, int32_t worker)
{
    const piece_job *job = arg;
    const evi_train_piece *p = &job->t->pieces[task];
    evi_real *g = piece_gradients(job->t, p);
    (void)worker;
    if (job->limit > 0) {
        const evk_act act = { EVK_ACT_CLIP, (evi_real)-job->limit, (evi_real)job->limit };
        job->k->act(p->count, g, 0, &act, g);
    }
    if (job->factor < 1)
        job->k->scale(p->count, (evi_real)job->factor, g, g);
}

void evi_train_clip(ev_trainer *t, evi_crew *crew, double norm)
{
    if (t->o.clip_value > 0) {
        piece_job job = { .t = t, .k = t->parts[0].plan->k, .limit = t->o.clip_value, .factor = 1 };
        evi_parallel(crew, t->n_pieces, clip_piece, &job);
        if (t->o.clip_norm > 0)
            norm = evi_train_norm(t, crew);
    }
    if (t->o.clip_norm > 0) {
        /* the small number is PyTorch's (clip_grad_norm_) */
        piece_job job = { .t = t, .k = t->parts[0].plan->k };
        job.factor = t->o.clip_norm / (norm + 1e-6);
        if (job.factor < 1)
            evi_parallel(crew, t->n_pieces, clip_piece, &job);
    }
}

/* ---- update -------------------------------------------------------------------------------- */

static void update_piece(void *arg, int64_t task, int32_t worker)
{
    const piece_job *job = arg;
    const evi_train_piece *p = &job->t->pieces[task];
    const evi_train_store *s = &job->t->stores[p->store];
    evi_real *w = s->store->weights + p->first;
    const evi_real *g = s->gradients + p->first;
    evi_real *m = s->moment1 != NULL ? s->moment1 + p->first : NULL;
    evi_real *v = s->moment2 != NULL ? s->moment2 + p->first : NULL;
    (void)worker;
    if (job->t->o.optimizer == EV_OPTIMIZER_SGD)
        job->k->sgd(p->count, &job->sgd, g, m, w);
    else if (job->t->o.optimizer == EV_OPTIMIZER_RMSPROP)
        job->k->rmsprop(p->count, &job->rmsprop, g, m, v, w);
    else
        job->k->adam(p->count, &job->adam, g, m, v, w);
}

void evi_train_update(ev_trainer *t, evi_crew *crew, double rate)
{
    const evi_train *o = &t->o;
    double step = (double)(t->state.steps + 1);
    piece_job job = { .t = t, .k = t->parts[0].plan->k };
    job.sgd = (evk_sgd){ .lr = (evi_real)rate, .momentum = (evi_real)o->momentum,
                         .l2 = (evi_real)o->l2, .nesterov = o->nesterov,
                         .first = t->state.steps == 0 };
    job.adam = (evk_adam){ .lr = (evi_real)rate,
                           .beta1 = (evi_real)o->beta1, .beta2 = (evi_real)o->beta2,
                           .eps = (evi_real)o->epsilon,
                           .rest1 = (evi_real)(1 - o->beta1), .rest2 = (evi_real)(1 - o->beta2),
                           .l2 = (evi_real)o->l2, .decay = (evi_real)o->decay,
                           .correct1 = (evi_real)(1 - pow(o->beta1, step)),
                           .correct2 = (evi_real)sqrt(1 - pow(o->beta2, step)) };
    job.rmsprop = (evk_rmsprop){ .lr = (evi_real)rate, .alpha = (evi_real)o->beta2,
                                 .rest = (evi_real)(1 - o->beta2), .eps = (evi_real)o->epsilon,
                                 .momentum = (evi_real)o->momentum, .l2 = (evi_real)o->l2 };
    evi_parallel(crew, t->n_pieces, update_piece, &job);
}

void evi_train_touch(ev_trainer *t)
{
    for (int32_t s = 0; s < t->n_stores; s++)
        if (t->stores[s].trained || t->stores[s].statistics != NULL)
            evi_store_touch(t->stores[s].store);
}
