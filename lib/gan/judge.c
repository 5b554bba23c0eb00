/* SPDX-License-Identifier: MIT */
/* Translations judged by the classifier that has to work with them. */
#include "gan/pass.h"
#include <string.h>

/* ---- classify after translation -------------------------------------------------------------- */

static ev_status check_classes(const ev_dataset *pictures, int32_t n_classes, const char *function)
{
    if (ev_dataset_classes(pictures) <= n_classes)
        return EV_OK;
    return evi_fail(EV_ERR_SHAPE, "%s: the dataset has %d classes, the classifier tells %d apart",
                    function, (int)ev_dataset_classes(pictures), (int)n_classes);
}

static ev_status count(evi_pass *pass, ev_metrics *metrics)
{
    for (;;) {
        EVI_TRY(evi_pass_next(pass));
        if (pass->n == 0)
            return EV_OK;
        const ev_tensor *logits = ev_session_output(pass->classifier.session, 0);
        EVI_TRY(evi_metrics_add(metrics, logits->data, pass->n, pass->labels, pass->items));
    }
}

static ev_status evaluate(ev_context *ctx, ev_model *classifier, ev_model *generator,
                          ev_dataset *pictures, const char *function, ev_metrics **out)
{
    int64_t input[3];
    int32_t n_classes = 0;
    evi_pass pass;
    EVI_TRY(evi_classifier_shape(classifier, function, input, &n_classes));
    EVI_TRY(check_classes(pictures, n_classes, function));
    EVI_TRY(ev_metrics_create(ctx, n_classes, 0, out));
    EVI_TRY(evi_pass_start(ctx, classifier, generator, pictures, false, function, &pass));
    ev_status status = count(&pass, *out);
    evi_pass_end(&pass);
    return status;
}

ev_status ev_translate_evaluate(ev_context *ctx, ev_model *classifier, ev_model *generator,
                                ev_dataset *pictures, ev_metrics **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_HANDLE(classifier, EVI_MAGIC_MODEL);
    EVI_CHECK_HANDLE(pictures, EVI_MAGIC_DATASET);
    if (generator == NULL)
        return ev_evaluate(ctx, classifier, pictures, NULL, out);
    EVI_CHECK_HANDLE(generator, EVI_MAGIC_MODEL);
    ev_status status = evaluate(ctx, classifier, generator, pictures, __func__, out);
    if (status != EV_OK) {
        ev_metrics_destroy(*out);
        *out = NULL;
    }
    return status;
}

/* ---- what it made up and what it lost -------------------------------------------------------- */

static ev_status check_same(const ev_metrics *a, const ev_metrics *b, const char *function)
{
    if (a->no_items || b->no_items)
        return evi_fail(EV_ERR_ARGUMENT,
                        "%s: what was said of each picture was not kept (no_items)", function);
    if (a->n_classes != b->n_classes || a->count != b->count)
        return evi_fail(EV_ERR_ARGUMENT, "%s: %lld pictures of %d classes before, %lld of %d after",
                        function, (long long)a->count, (int)a->n_classes, (long long)b->count,
                        (int)b->n_classes);
    for (int64_t i = 0; i < a->count; i++)
        if (a->items[i] != b->items[i] || a->labels[i] != b->labels[i])
            return evi_fail(EV_ERR_ARGUMENT,
                            "%s: picture %lld is item %d of class %d before, item %d of class %d "
                            "after",
                            function, (long long)i, (int)a->items[i], (int)a->labels[i],
                            (int)b->items[i], (int)b->labels[i]);
    return EV_OK;
}

ev_status ev_metrics_hallucinations(const ev_metrics *before, const ev_metrics *after,
                                    int32_t empty_label, ev_hallucinations *out)
{
    EVI_CHECK_HANDLE(before, EVI_MAGIC_METRICS);
    EVI_CHECK_HANDLE(after, EVI_MAGIC_METRICS);
    EVI_CHECK_POINTER(out);
    EVI_TRY(check_same(before, after, __func__));
    if (empty_label < 0 || empty_label >= before->n_classes)
        return evi_fail(EV_ERR_ARGUMENT, "%s: empty_label %d is not in 0..%d", __func__,
                        (int)empty_label, (int)before->n_classes - 1);
    ev_hallucinations h = {.struct_size = sizeof(h)};
    for (int64_t i = 0; i < before->count; i++) {
        bool was_empty = before->predicted[i] == empty_label;
        bool is_empty = after->predicted[i] == empty_label;
        if (before->labels[i] == empty_label) {
            h.n_empty++;
            h.invented_before += !was_empty;
            h.invented += !is_empty;
            h.newly_invented += was_empty && !is_empty;
        } else {
            h.n_objects++;
            h.vanished_before += was_empty;
            h.vanished += is_empty;
            h.newly_vanished += !was_empty && is_empty;
        }
    }
    return evi_options_write(out, &h, sizeof(h), __func__);
}
