/* SPDX-License-Identifier: MIT */
/* A classifier on all pictures of a dataset. */
#include "train/trainer.h"

/* Batch after batch; the loader stands where it shall begin. */
static ev_status count_batches(ev_session *session, ev_loader *loader, ev_metrics *metrics)
{
    for (;;) {
        ev_tensor *images = NULL;
        const int32_t *labels = NULL, *items = NULL;
        int32_t n = 0;
        EVI_TRY(ev_loader_next(loader, &images, &labels, &items, &n));
        if (n == 0)
            return EV_OK;
        const ev_tensor *input = images;
        EVI_TRY(ev_session_run(session, &input, 1, NULL, 0));
        const ev_tensor *logits = ev_session_output(session, 0);
        EVI_TRY(evi_metrics_add(metrics, logits->data, n, labels, items));
    }
}

ev_status evi_evaluate_loader(ev_context *ctx, ev_model *model, ev_loader *loader, int32_t batch,
                              int32_t precise, ev_metrics *metrics)
{
    ev_plan_options o;
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    EV_OPTIONS_INIT(&o);
    o.max_batch = batch;
    o.precise = precise;
    EVI_TRY(ev_plan_create(ctx, model, &o, &plan));
    ev_status status = ev_session_create(plan, &session);
    if (status == EV_OK)
        status = count_batches(session, loader, metrics);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    return status;
}

static ev_status read_options(const ev_evaluate_options *opt, ev_evaluate_options *o)
{
    EVI_TRY(evi_options_read(o, (uint32_t)sizeof(*o), opt, "ev_evaluate"));
    if (o->batch_size == 0)
        o->batch_size = 32;
    if (o->batch_size < 1 || o->batch_size > 65536)
        return evi_fail(EV_ERR_ARGUMENT, "ev_evaluate: batch_size %d is not in 1..65536",
                        (int)o->batch_size);
    return EV_OK;
}

static ev_status evaluate(ev_context *ctx, ev_model *model, ev_dataset *dataset,
                          const ev_evaluate_options *o, ev_loader **loader, ev_metrics **metrics)
{
    int64_t input[3];
    int32_t n_classes = 0;
    ev_loader_options l;
    EV_OPTIONS_INIT(&l);
    l.batch_size = o->batch_size;
    l.skip_unreadable = o->skip_unreadable;
    l.n_threads = o->loader_threads;
    l.cache_bytes = o->cache_bytes == 0 ? -1 : o->cache_bytes;
    l.decode = o->decode;
    EVI_TRY(evi_classifier_shape(model, "ev_evaluate", input, &n_classes));
    EVI_TRY(evi_model_loader(ctx, model, dataset, &l, loader));
    EVI_TRY(ev_metrics_create(ctx, n_classes, o->no_items, metrics));
    EVI_TRY(ev_loader_start_epoch(*loader, 0, 0));
    return evi_evaluate_loader(ctx, model, *loader, o->batch_size, o->precise, *metrics);
}

ev_status ev_evaluate(ev_context *ctx, ev_model *model, ev_dataset *dataset,
                      const ev_evaluate_options *opt, ev_metrics **out)
{
    ev_evaluate_options o;
    ev_loader *loader = NULL;
    ev_metrics *metrics = NULL;
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_CHECK_HANDLE(dataset, EVI_MAGIC_DATASET);
    EVI_TRY(read_options(opt, &o));
    ev_status status = evaluate(ctx, model, dataset, &o, &loader, &metrics);
    ev_loader_destroy(loader);
    if (status != EV_OK)
        ev_metrics_destroy(metrics);
    else
        *out = metrics;
    return status;
}
