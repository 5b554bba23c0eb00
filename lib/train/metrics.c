/* SPDX-License-Identifier: MIT */
/* Counting what a classifier said. */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

ev_status ev_metrics_create(ev_context *ctx, int32_t n_classes, int32_t no_items, ev_metrics **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    if (n_classes < 1 || n_classes > 65536)
        return evi_fail(EV_ERR_ARGUMENT, "%s: %d classes is not in 1..65536", __func__,
                        (int)n_classes);
    ev_metrics *m = NULL;
    EVI_TRY(evi_calloc(ctx, 1, sizeof(*m), &m));
    evi_handle_start(&m->handle, EVI_MAGIC_METRICS, ctx);
    m->n_classes = n_classes;
    m->no_items = no_items != 0;
    uint64_t n = (uint64_t)n_classes;
    ev_status status = evi_calloc(ctx, n * n, sizeof(int64_t), &m->confusion);
    if (status == EV_OK)
        status = evi_calloc(ctx, n, sizeof(double), &m->row);
    if (status != EV_OK)
        ev_metrics_destroy(m);
    else
        *out = m;
    return status;
}

void ev_metrics_destroy(ev_metrics *metrics)
{
    ev_metrics *m = metrics;
    if (!evi_handle_drop(m, EVI_MAGIC_METRICS))
        return;
    evi_free(m->confusion);
    evi_free(m->row);
    evi_free(m->items);
    evi_free(m->labels);
    evi_free(m->predicted);
    evi_free(m->probabilities);
    evi_free(m->losses);
    evi_handle_end(m);
}

/* ---- add ----------------------------------------------------------------------------------- */

static ev_status reserve(ev_metrics *m, int64_t n)
{
    if (m->no_items || m->count + n <= m->capacity)
        return EV_OK;
    ev_context *ctx = m->handle.ctx;
    uint64_t more = (uint64_t)EVI_MAX(2 * m->capacity, m->count + n);
    more = EVI_MAX(more, 256);
    EVI_TRY(evi_realloc(ctx, more, sizeof(int32_t), &m->items));
    EVI_TRY(evi_realloc(ctx, more, sizeof(int32_t), &m->labels));
    EVI_TRY(evi_realloc(ctx, more, sizeof(int32_t), &m->predicted));
    EVI_TRY(evi_realloc(ctx, more, (uint64_t)m->n_classes * sizeof(float), &m->probabilities));
    EVI_TRY(evi_realloc(ctx, more, sizeof(double), &m->losses));
    m->capacity = (int64_t)more;
    return EV_OK;
}

/* Softmax into m->row; gives the place of the highest logit and the cross entropy. */
static int32_t judge(ev_metrics *m, const evi_real *logits, int32_t label, double *loss)
{
    int32_t best = 0;
    double sum = 0;
    for (int32_t c = 1; c < m->n_classes; c++)
        if (logits[c] > logits[best])
            best = c;
    for (int32_t c = 0; c < m->n_classes; c++) {
        m->row[c] = exp((double)logits[c] - (double)logits[best]);
        sum += m->row[c];
    }
    for (int32_t c = 0; c < m->n_classes; c++)
        m->row[c] /= sum;
    *loss = (sum > 0 ? log(sum) : sum) - ((double)logits[label] - (double)logits[best]);
    return best;
}

static void keep(ev_metrics *m, int32_t item, int32_t label, int32_t predicted, double loss)
{
    m->items[m->count] = item;
    m->labels[m->count] = label;
    m->predicted[m->count] = predicted;
    m->losses[m->count] = loss;
    float *to = m->probabilities + m->count * m->n_classes;
    for (int32_t c = 0; c < m->n_classes; c++)
        to[c] = (float)m->row[c];
}

ev_status evi_metrics_add(ev_metrics *metrics, const evi_real *logits, int64_t n,
                          const int32_t *labels, const int32_t *items)
{
    ev_metrics *m = metrics;
    for (int64_t i = 0; i < n; i++)
        if (labels[i] < 0 || labels[i] >= m->n_classes)
            return evi_fail(EV_ERR_ARGUMENT, "label %d is not in 0..%d", (int)labels[i],
                            (int)m->n_classes - 1);
    EVI_TRY(reserve(m, n));
    for (int64_t i = 0; i < n; i++) {
        double loss = 0;
        int32_t predicted = judge(m, logits + i * m->n_classes, labels[i], &loss);
        if (!m->no_items)
            keep(m, items != NULL ? items[i] : (int32_t)m->count, labels[i], predicted, loss);
        m->confusion[(int64_t)labels[i] * m->n_classes + predicted]++;
        m->n_right += predicted == labels[i];
        m->loss_sum += loss;
        m->count++;
    }
    return EV_OK;
}

ev_status ev_metrics_add(ev_metrics *metrics, const ev_tensor *logits, const int32_t *labels,
                         const int32_t *items)
{
    char shape[EVI_SHAPE_TEXT];
    EVI_CHECK_HANDLE(metrics, EVI_MAGIC_METRICS);
    EVI_CHECK_HANDLE(logits, EVI_MAGIC_TENSOR);
    EVI_CHECK_POINTER(labels);
    if (logits->type != EV_TYPE_FLOAT32 || logits->shape.rank != 2 ||
        logits->shape.dim[1] != metrics->n_classes)
        return evi_fail(EV_ERR_SHAPE, "%s: logits are %s %s, not float32 [N,%d]", __func__,
                        ev_type_name(logits->type), evi_shape_text(&logits->shape, shape),
                        (int)metrics->n_classes);
    return evi_metrics_add(metrics, logits->data, logits->shape.dim[0], labels, items);
}

/* ---- ask ----------------------------------------------------------------------------------- */

static bool is_metrics(const ev_metrics *m)
{
    return m != NULL && m->handle.magic == EVI_MAGIC_METRICS;
}

static bool has_class(const ev_metrics *m, int32_t label)
{
    return is_metrics(m) && label >= 0 && label < m->n_classes;
}

int32_t ev_metrics_n_classes(const ev_metrics *metrics)
{
    return is_metrics(metrics) ? metrics->n_classes : 0;
}

int64_t ev_metrics_count(const ev_metrics *metrics)
{
    return is_metrics(metrics) ? metrics->count : 0;
}

double ev_metrics_loss(const ev_metrics *metrics)
{
    return ev_metrics_count(metrics) > 0 ? metrics->loss_sum / (double)metrics->count
                                         : (double)NAN;
}

double ev_metrics_accuracy(const ev_metrics *metrics)
{
    return ev_metrics_count(metrics) > 0 ? (double)metrics->n_right / (double)metrics->count
                                         : (double)NAN;
}

int64_t ev_metrics_confusion(const ev_metrics *metrics, int32_t label, int32_t predicted)
{
    if (!has_class(metrics, label) || !has_class(metrics, predicted))
        return -1;
    return metrics->confusion[(int64_t)label * metrics->n_classes + predicted];
}

/* true positives, and how many were called so (predicted) or are so (actual) */
static void totals(const ev_metrics *m, int32_t label, double *hits, double *predicted,
                   double *actual)
{
    *predicted = *actual = 0;
    *hits = (double)ev_metrics_confusion(m, label, label);
    for (int32_t c = 0; c < m->n_classes; c++) {
        *predicted += (double)ev_metrics_confusion(m, c, label);
        *actual += (double)ev_metrics_confusion(m, label, c);
    }
}

static double share(double part, double of)
{
    return of > 0 ? part / of : (double)NAN;
}

double ev_metrics_precision(const ev_metrics *metrics, int32_t label)
{
    double hits = 0, predicted = 0, actual = 0;
    if (!has_class(metrics, label))
        return (double)NAN;
    totals(metrics, label, &hits, &predicted, &actual);
    return share(hits, predicted);
}

double ev_metrics_recall(const ev_metrics *metrics, int32_t label)
{
    double hits = 0, predicted = 0, actual = 0;
    if (!has_class(metrics, label))
        return (double)NAN;
    totals(metrics, label, &hits, &predicted, &actual);
    return share(hits, actual);
}

double ev_metrics_f1(const ev_metrics *metrics, int32_t label)
{
    double hits = 0, predicted = 0, actual = 0;
    if (!has_class(metrics, label))
        return (double)NAN;
    totals(metrics, label, &hits, &predicted, &actual);
    return share(2 * hits, predicted + actual); /* 2 tp + fp + fn */
}

ev_status ev_metrics_prediction(const ev_metrics *metrics, int64_t index, ev_prediction *out)
{
    EVI_CHECK_HANDLE(metrics, EVI_MAGIC_METRICS);
    const ev_metrics *m = metrics;
    if (m->no_items || index < 0 || index >= m->count)
        return evi_fail(EV_ERR_ARGUMENT, "%s: picture %lld of %lld%s", __func__, (long long)index,
                        (long long)m->count, m->no_items ? " (they were not kept)" : "");
    const ev_prediction told = {
        .item = m->items[index],
        .label = m->labels[index],
        .predicted = m->predicted[index],
        .probabilities = m->probabilities + index * m->n_classes,
        .loss = m->losses[index],
    };
    return evi_options_write(out, &told, (uint32_t)sizeof(told), __func__);
}
