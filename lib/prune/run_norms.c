/* SPDX-License-Identifier: MIT */
/* Running statistics of batch norms after channels went: what comes out of a layer with fewer
 * inputs has another mean and deviation than the norm behind it remembers.
 *
 * Training pictures go forward through a plan for training, without losses and so without
 * gradients: nothing but running statistics changes.  A norm moves them by
 *     running = m * running + (1 - m) * batch;
 * with m = k / (k + 1) for the k-th batch that is the plain mean of all batches.  Dropout is off:
 * the statistics are those that the model will meet when it is used. */
#include "prune/run.h"

#include "data/loader.h"
#include <string.h>

typedef struct norm {
    evi_step *step;
    int32_t uses, rank; /* of the same running numbers: in one pass; those before this one */
} norm;

static bool is_moving(const evi_step *s)
{
    return strcmp(s->op->name, "batch_norm") == 0 && !s->frozen;
}

static bool has_norms(const ev_model *model, int32_t depth)
{
    for (int32_t i = 0; i < model->n_nodes && depth <= EVI_MAX_DEPTH; i++) {
        const evi_node *node = &model->nodes[i];
        if (node->callee != NULL ? has_norms(node->callee, depth + 1)
                                 : strcmp(node->op->name, "batch_norm") == 0)
            return true;
    }
    return false;
}

static int32_t find_norms(ev_session *session, norm *norms)
{
    int32_t n = 0;
    for (int32_t i = 0; i < session->steps.n; i++)
        if (is_moving(&session->steps.step[i]))
            norms[n++] = (norm){&session->steps.step[i], 0, 0};
    for (int32_t i = 0; i < n; i++)
        for (int32_t j = 0; j < n; j++)
            if (norms[j].step->in[3]->data == norms[i].step->in[3]->data) {
                norms[i].uses++;
                norms[i].rank += j < i;
            }
    return n;
}

static ev_status forward_all(ev_context *ctx, ev_session *session, ev_loader *loader,
                             int32_t n_batches, norm *norms, int32_t n)
{
    EVI_TRY(ev_loader_start_epoch(loader, 0, 0));
    for (int32_t done = 0; done < n_batches; done++) {
        ev_tensor *images = NULL;
        int32_t count = 0;
        EVI_TRY(ev_loader_next(loader, &images, NULL, NULL, &count));
        if (count == 0)
            return EV_OK;
        for (int32_t i = 0; i < n; i++) {
            double before = (double)done * norms[i].uses + norms[i].rank;
            norms[i].step->a.momentum = (float)(before / (before + 1));
        }
        const void *input = images->data;
        evi_crew *crew = evi_crew_begin(ctx);
        ev_status status = evi_session_forward(session, crew, &input, 1, count, 0);
        evi_crew_end(crew);
        EVI_TRY(status);
    }
    return EV_OK;
}

static ev_status with_session(ev_context *ctx, ev_session *session, ev_loader *loader,
                              int32_t n_batches)
{
    norm *norms = NULL;
    EVI_TRY(evi_calloc(ctx, (uint64_t)session->steps.n, sizeof(norm), &norms));
    int32_t n = find_norms(session, norms);
    ev_status status = forward_all(ctx, session, loader, n_batches, norms, n);
    evi_free(norms);
    return status;
}

static ev_status with_plan(ev_context *ctx, ev_plan *plan, ev_loader *loader, int32_t n_batches)
{
    evi_real **none = NULL;
    ev_session *session = NULL;
    EVI_TRY(evi_calloc(ctx, (uint64_t)plan->n_stores, sizeof(evi_real *), &none));
    ev_status status = evi_session_create_training(plan, none, &session);
    evi_free(none);
    if (status == EV_OK)
        status = with_session(ctx, session, loader, n_batches);
    ev_session_destroy(session);
    for (int32_t i = 0; i < plan->n_stores; i++)
        evi_store_touch(plan->stores[i]);
    return status;
}

static ev_status make_plan(ev_context *ctx, ev_model *model, int32_t batch,
                           const ev_train_options *t, ev_plan **out)
{
    ev_plan_options p;
    float *rates = NULL;
    EV_OPTIONS_INIT(&p);
    p.max_batch = batch;
    p.precise = t->precise;
    EVI_TRY(evi_dropout_set(model, 0, &rates));
    ev_status status = evi_plan_create_training(ctx, model, &p, out);
    evi_dropout_restore(model, rates);
    return status;
}

ev_status evi_prune_norms(ev_context *ctx, ev_model *model, ev_dataset *data,
                          const ev_train_options *t, int32_t n_batches)
{
    ev_loader_options l;
    ev_loader *loader = NULL;
    ev_plan *plan = NULL;
    if (n_batches <= 0 || !has_norms(model, 0))
        return EV_OK;
    EV_OPTIONS_INIT(&l);
    l.batch_size = t->batch_size > 0 ? t->batch_size : 32;
    l.shuffle = 1;
    l.seed = t->seed;
    l.cache_bytes = -1; /* each picture is seen once */
    l.n_threads = t->loader_threads;
    l.skip_unreadable = t->skip_unreadable;
    l.decode = t->decode;
    l.drop_last = ev_dataset_size(data) >= l.batch_size; /* a few pictures tell little */
    EVI_TRY(evi_model_loader(ctx, model, data, &l, &loader));
    ev_status status = make_plan(ctx, model, l.batch_size, t, &plan);
    if (status == EV_OK)
        status = with_plan(ctx, plan, loader, n_batches);
    ev_plan_destroy(plan);
    ev_loader_destroy(loader);
    return status;
}
