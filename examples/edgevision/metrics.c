/* SPDX-License-Identifier: MIT */
/* Accuracy per class and confusion matrix: as a table, JSON and CSV. */
#include <math.h>
#include <stdlib.h>

#include "tool.h"

const char **metric_names(const ev_metrics *m, const ev_model *model)
{
    int32_t n = ev_metrics_n_classes(m);
    size_t room = (size_t)n;
    const char **names = malloc(room * sizeof *names + room * 16);
    char *numbers = names ? (char *)(names + room) : NULL;
    for (int32_t c = 0; names && c < n; c++) {
        names[c] = class_name(model, c, numbers + 16 * c);
    }
    return names;
}

static int64_t row_total(const ev_metrics *m, int32_t label)
{
    int64_t sum = 0;
    for (int32_t c = 0; c < ev_metrics_n_classes(m); c++) {
        sum += ev_metrics_confusion(m, label, c);
    }
    return sum;
}

static void cell(text *t, double share)
{
    if (isfinite(share)) {
        text_add(t, "\t%.1f", 100 * share);
    } else {
        text_add(t, "\t-");
    }
}

static void table_of_classes(const ev_metrics *m, const char *const *names, text *t)
{
    text_add(t, "class\tpictures\tright\taccuracy_%%\tprecision_%%\tf1_%%\n");
    int64_t right = 0;
    for (int32_t c = 0; c < ev_metrics_n_classes(m); c++) {
        right += ev_metrics_confusion(m, c, c);
        text_add(t, "%s\t%lld\t%lld", names[c], (long long)row_total(m, c),
                 (long long)ev_metrics_confusion(m, c, c));
        cell(t, ev_metrics_recall(m, c));
        cell(t, ev_metrics_precision(m, c));
        cell(t, ev_metrics_f1(m, c));
        text_add(t, "\n");
    }
    text_add(t, "all\t%lld\t%lld", (long long)ev_metrics_count(m), (long long)right);
    cell(t, ev_metrics_accuracy(m));
    text_add(t, "\t\t\n");
}

static void table_of_confusion(const ev_metrics *m, const char *const *names, text *t)
{
    int32_t n = ev_metrics_n_classes(m);
    text_add(t, "truth\\called");
    for (int32_t c = 0; c < n; c++) {
        text_add(t, "\t%s", names[c]);
    }
    text_add(t, "\n");
    for (int32_t row = 0; row < n; row++) {
        int64_t total = row_total(m, row);
        text_add(t, "%s", names[row]);
        for (int32_t c = 0; c < n; c++) {
            int64_t count = ev_metrics_confusion(m, row, c);
            text_add(t, "\t%lld (%.1f %%)", (long long)count,
                     total ? 100.0 * (double)count / (double)total : 0.0);
        }
        text_add(t, "\n");
    }
}

void print_metrics(const ev_metrics *m, const char *const *names, FILE *to)
{
    text t = {0};
    table_of_classes(m, names, &t);
    print_table(&t, to);
    fputc('\n', to);
    table_of_confusion(m, names, &t);
    print_table(&t, to);
}

static void json_number(text *out, const char *key, double value)
{
    if (isfinite(value)) {
        text_add(out, ", \"%s\": %.9g", key, value);
    } else {
        text_add(out, ", \"%s\": null", key);
    }
}

void metrics_json(const ev_metrics *m, const char *const *names, text *out)
{
    int32_t n = ev_metrics_n_classes(m);
    text_add(out, "{\"pictures\": %lld", (long long)ev_metrics_count(m));
    json_number(out, "accuracy", ev_metrics_accuracy(m));
    json_number(out, "loss", ev_metrics_loss(m));
    text_add(out, ", \"classes\": [");
    for (int32_t c = 0; c < n; c++) {
        text_add(out, "%s{\"name\": ", c ? ", " : "");
        text_json(out, names[c]);
        text_add(out, ", \"pictures\": %lld", (long long)row_total(m, c));
        json_number(out, "recall", ev_metrics_recall(m, c));
        json_number(out, "precision", ev_metrics_precision(m, c));
        json_number(out, "f1", ev_metrics_f1(m, c));
        text_add(out, ", \"called\": [");
        for (int32_t k = 0; k < n; k++) {
            text_add(out, "%s%lld", k ? ", " : "", (long long)ev_metrics_confusion(m, c, k));
        }
        text_add(out, "]}");
    }
    text_add(out, "]}");
}

int save_predictions(const ev_metrics *m, const ev_dataset *data, const char *const *names,
                     const char *path)
{
    text t = {0};
    int32_t n = ev_metrics_n_classes(m);
    text_add(&t, "path,label,predicted,confidence,loss");
    for (int32_t c = 0; c < n; c++) {
        text_add(&t, ",");
        text_csv(&t, names[c]);
    }
    text_add(&t, "\n");
    for (int64_t i = 0; i < ev_metrics_count(m); i++) {
        ev_prediction p;
        EV_OPTIONS_INIT(&p);
        if (ev_metrics_prediction(m, i, &p) != EV_OK) {
            break;
        }
        const char *file = ev_dataset_path(data, p.item);
        char *whole = file ? realpath(file, NULL) : NULL;
        text_csv(&t, whole ? whole : file ? file : "");
        free(whole);
        text_add(&t, ",");
        text_csv(&t, names[p.label]);
        text_add(&t, ",");
        text_csv(&t, names[p.predicted]);
        text_add(&t, ",%.6f,%.6g", (double)p.probabilities[p.predicted], p.loss);
        for (int32_t c = 0; c < n; c++) {
            text_add(&t, ",%.6f", (double)p.probabilities[c]);
        }
        text_add(&t, "\n");
    }
    return text_save(&t, path);
}

int save_confusion(const ev_metrics *m, const char *const *names, const char *path)
{
    text t = {0};
    int32_t n = ev_metrics_n_classes(m);
    text_add(&t, "truth");
    for (int32_t c = 0; c < n; c++) {
        text_add(&t, ",");
        text_csv(&t, names[c]);
    }
    text_add(&t, "\n");
    for (int32_t row = 0; row < n; row++) {
        text_csv(&t, names[row]);
        for (int32_t c = 0; c < n; c++) {
            text_add(&t, ",%lld", (long long)ev_metrics_confusion(m, row, c));
        }
        text_add(&t, "\n");
    }
    return text_save(&t, path);
}
