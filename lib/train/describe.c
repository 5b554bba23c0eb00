/* SPDX-License-Identifier: MIT */
/* Metrics as text, for people and for machines. */
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *class_name(const char *const *names, int32_t c, char buffer[16])
{
    if (names != NULL && names[c] != NULL)
        return names[c];
    snprintf(buffer, 16, "%d", (int)c);
    return buffer;
}

/* Characters on the screen: bytes that do not continue a UTF-8 character. */
static int32_t width_of(const char *text)
{
    int32_t n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

/* ---- table --------------------------------------------------------------------------------- */

static void spaces(evi_text *t, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        evi_text_add(t, " ");
}

static void cell_text(evi_text *t, const char *text, int32_t width)
{
    spaces(t, width - width_of(text));
    evi_text_add(t, "%s", text);
}

/* Percent with one decimal, "-" when unknown; no locale can put a comma there. */
static void cell_percent(evi_text *t, double x, int32_t width)
{
    char text[32] = "-";
    if (isfinite(x)) {
        long tenths = lround(x * 1000);
        snprintf(text, sizeof(text), "%ld.%ld", tenths / 10, tenths % 10);
    }
    cell_text(t, text, width);
}

static void table_row(evi_text *t, const ev_metrics *m, const char *const *names, int32_t label,
                      int32_t width)
{
    char buffer[16], number[32];
    const char *name = class_name(names, label, buffer);
    evi_text_add(t, "%s", name);
    spaces(t, width - width_of(name));
    for (int32_t c = 0; c < m->n_classes; c++) {
        snprintf(number, sizeof(number), "%lld", (long long)ev_metrics_confusion(m, label, c));
        cell_text(t, number, width + 1);
    }
    cell_percent(t, ev_metrics_precision(m, label), 11);
    cell_percent(t, ev_metrics_recall(m, label), 9);
    cell_percent(t, ev_metrics_f1(m, label), 9);
    evi_text_add(t, "\n");
}

static void table(evi_text *t, const ev_metrics *m, const char *const *names)
{
    char buffer[16];
    int32_t width = 8;
    for (int32_t c = 0; c < m->n_classes; c++)
        width = EVI_MAX(width, width_of(class_name(names, c, buffer)));
    evi_text_add(t, "%lld pictures, ", (long long)m->count);
    cell_percent(t, ev_metrics_accuracy(m), 0);
    evi_text_add(t, " %% right, loss ");
    evi_text_double(t, ev_metrics_loss(m));
    evi_text_add(t, "\n");
    cell_text(t, "truth", -1);
    spaces(t, width - 5);
    for (int32_t c = 0; c < m->n_classes; c++)
        cell_text(t, class_name(names, c, buffer), width + 1);
    evi_text_add(t, "  precision   recall       F1\n");
    for (int32_t c = 0; c < m->n_classes; c++)
        table_row(t, m, names, c, width);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void json_number(evi_text *t, const char *key, double x)
{
    evi_text_add(t, "\"%s\": ", key);
    if (isfinite(x))
        evi_text_double(t, x);
    else
        evi_text_add(t, "null");
}

static void json_class(evi_text *t, const ev_metrics *m, const char *const *names, int32_t label)
{
    char buffer[16];
    evi_text_add(t, "%s{\"name\": ", label > 0 ? ", " : "");
    evi_text_json_string(t, class_name(names, label, buffer));
    evi_text_add(t, ", ");
    json_number(t, "precision", ev_metrics_precision(m, label));
    evi_text_add(t, ", ");
    json_number(t, "recall", ev_metrics_recall(m, label));
    evi_text_add(t, ", ");
    json_number(t, "f1", ev_metrics_f1(m, label));
    evi_text_add(t, ", \"predicted\": [");
    for (int32_t c = 0; c < m->n_classes; c++)
        evi_text_add(t, "%s%lld", c > 0 ? ", " : "",
                     (long long)ev_metrics_confusion(m, label, c));
    evi_text_add(t, "]}");
}

static void json_all(evi_text *t, const ev_metrics *m, const char *const *names)
{
    evi_text_add(t, "{\"count\": %lld, ", (long long)m->count);
    json_number(t, "loss", ev_metrics_loss(m));
    evi_text_add(t, ", ");
    json_number(t, "accuracy", ev_metrics_accuracy(m));
    evi_text_add(t, ", \"classes\": [");
    for (int32_t c = 0; c < m->n_classes; c++)
        json_class(t, m, names, c);
    evi_text_add(t, "]}\n");
}

ev_status ev_metrics_describe(const ev_metrics *metrics, const char *const *class_names,
                              int32_t json, char **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(metrics, EVI_MAGIC_METRICS);
    evi_text text;
    evi_text_start(&text, metrics->handle.ctx);
    if (json)
        json_all(&text, metrics, class_names);
    else
        table(&text, metrics, class_names);
    ev_status status = text.status;
    if (status == EV_OK)
        status = evi_strdup(metrics->handle.ctx, text.data, out);
    if (status == EV_OK)
        *out = evi_give(*out);
    evi_text_end(&text);
    return status;
}
