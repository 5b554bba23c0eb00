/* SPDX-License-Identifier: MIT */
/* A classifier learns to say how strange a picture is: one more output, drawn of ordinary layers
 * with constants, so that it goes into the ONNX file and any engine computes it.
 *
 * features: sum over f of w[f] * (x[f] - mean[f])^2, w = 1 / (number * variance), a product of
 * matrices.  A feature that hardly varies inside would make every other picture infinitely strange:
 * no variance counts as less than a thousandth of the mean of all of them.
 *
 * statistics: the same of other numbers.
 *
 * energy: minus the log of the sum of exponentials of the logits = log_softmax(x)[0] - x[0]. */
#include "gan/pass.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_VARIANCE 1e-3 /* of the mean variance */
#define THRESHOLD "edgevision.domain.threshold"

typedef struct fit {
    const char *function;
    ev_context *ctx;
    int32_t score;
    double keep;
    ev_model *model; /* the clone */
    ev_value logits, features;
    int32_t n_features;
    evi_moments moments;
    double *scores;
} fit;

/* ---- options and model ----------------------------------------------------------------------- */

static ev_status read_options(fit *f, const ev_domain_options *opt)
{
    ev_domain_options o;
    EVI_TRY(evi_options_read(&o, (uint32_t)sizeof(o), opt, f->function));
    EVI_CHECK_RESERVED(o.reserved, f->function);
    if (o.score < EV_SCORE_FEATURES || o.score > EV_SCORE_STATISTICS)
        return evi_fail(EV_ERR_ARGUMENT, "%s: score %d is no EV_SCORE_*", f->function,
                        (int)o.score);
    if (!(o.keep >= 0 && o.keep <= 1))
        return evi_fail(EV_ERR_ARGUMENT, "%s: keep %g is not in 0..1", f->function, (double)o.keep);
    f->score = o.score;
    f->keep = o.keep == 0 ? 0.95 : evi_decimal(o.keep);
    return EV_OK;
}

/* The only output is called "logits" from now on. */
static ev_status name_logits(fit *f, int32_t output)
{
    evi_port *port = &f->model->outputs[output];
    char *name = NULL;
    f->logits = port->value;
    if (strcmp(port->name, "logits") == 0)
        return EV_OK;
    EVI_TRY(evi_strdup(f->model->handle.ctx, "logits", &name));
    evi_free(port->name);
    port->name = name;
    return EV_OK;
}

static ev_status start(fit *f, ev_model *classifier, const ev_dataset *inside)
{
    int32_t output = 0, n_classes = 0;
    if (ev_dataset_size(inside) < 2)
        return evi_fail(EV_ERR_ARGUMENT, "%s: %d pictures; at least 2 are needed", f->function,
                        (int)ev_dataset_size(inside));
    EVI_TRY(evi_pass_logits(classifier, f->function, &output, &n_classes));
    for (int32_t i = 0; i < classifier->n_outputs; i++)
        if (strcmp(classifier->outputs[i].name, "score") == 0)
            return evi_fail(EV_ERR_SHAPE,
                            "%s: the classifier has an output 'score' already: fit the one that it "
                            "was made from",
                            f->function);
    if (f->score == EV_SCORE_FEATURES)
        EVI_TRY(evi_features_find(classifier, f->function, &f->features, &f->n_features));
    EVI_TRY(ev_model_clone(classifier, &f->model));
    if (f->score == EV_SCORE_STATISTICS)
        EVI_TRY(evi_features_draw_statistics(f->model, f->function, &f->features, &f->n_features));
    return name_logits(f, output);
}

/* ---- draw ------------------------------------------------------------------------------------ */

static ev_status add_score(fit *f, ev_value score)
{
    return ev_model_output(f->model, "score", score);
}

static ev_status draw_energy(fit *f)
{
    ev_value all = EV_NO_VALUE, first = EV_NO_VALUE;
    EVI_TRY(ev_model_log_softmax(f->model, f->logits, 1, &all));
    EVI_TRY(ev_model_slice(f->model, all, 1, 0, 1, 1, &all));
    EVI_TRY(ev_model_slice(f->model, f->logits, 1, 0, 1, 1, &first));
    EVI_TRY(ev_model_sub(f->model, all, first, &all));
    return add_score(f, all);
}

static ev_status draw_distance(fit *f, const evi_real *means, const evi_real *weights)
{
    const evi_shape row = {.rank = 2, .dim = {1, f->n_features}};
    const evi_shape column = {.rank = 2, .dim = {f->n_features, 1}};
    ev_value mean = EV_NO_VALUE, weight = EV_NO_VALUE, x = EV_NO_VALUE;
    EVI_TRY(evi_model_add_constant(f->model, "score.mean", EV_TYPE_FLOAT32, &row, means, &mean));
    EVI_TRY(evi_model_add_constant(f->model, "score.weight", EV_TYPE_FLOAT32, &column, weights,
                                   &weight));
    EVI_TRY(ev_model_sub(f->model, f->features, mean, &x));
    EVI_TRY(ev_model_mul(f->model, x, x, &x));
    EVI_TRY(ev_model_matmul(f->model, x, weight, &x));
    return add_score(f, x);
}

static ev_status draw_features(fit *f)
{
    evi_real *means = NULL;
    double all = 0;
    int32_t n = f->n_features;
    EVI_TRY(evi_calloc(f->ctx, (uint64_t)n, 2 * sizeof(evi_real), &means));
    for (int32_t i = 0; i < n; i++)
        all += evi_moments_variance(&f->moments, i) / n;
    double least = all > 0 ? all * LEAST_VARIANCE : 1; /* all pictures the same: plain distances */
    for (int32_t i = 0; i < n; i++) {
        means[i] = (evi_real)f->moments.mean[i];
        means[n + i] = (evi_real)(1 / (n * fmax(evi_moments_variance(&f->moments, i), least)));
    }
    ev_status status = draw_distance(f, means, means + n);
    evi_free(means);
    return status;
}

/* ---- passes over the pictures ---------------------------------------------------------------- */

/* Of a clone that gives the features instead of the logits. */
static ev_status collect(fit *f, ev_dataset *inside)
{
    evi_pass pass;
    ev_model *probe = NULL;
    EVI_TRY(evi_moments_start(f->ctx, f->n_features, &f->moments));
    EVI_TRY(ev_model_clone(f->model, &probe));
    int32_t output = probe->n_outputs;
    ev_status status = ev_model_output(probe, "edgevision.features", f->features);
    if (status == EV_OK)
        status = evi_pass_start(f->ctx, probe, NULL, inside, false, f->function, &pass);
    if (status == EV_OK) {
        do {
            status = evi_pass_next(&pass);
            if (status == EV_OK && pass.n > 0)
                evi_moments_add(&f->moments,
                                ev_session_output(pass.classifier.session, output)->data, pass.n);
        } while (status == EV_OK && pass.n > 0);
        evi_pass_end(&pass);
    }
    ev_model_destroy(probe);
    return status;
}

static ev_status collect_scores(fit *f, ev_dataset *inside, int64_t *n_out)
{
    evi_pass pass;
    int32_t output = f->model->n_outputs - 1;
    int64_t n = 0;
    EVI_TRY(evi_pass_start(f->ctx, f->model, NULL, inside, false, f->function, &pass));
    ev_status status = EV_OK;
    do {
        status = evi_pass_next(&pass);
        if (status != EV_OK)
            break;
        const ev_tensor *score = ev_session_output(pass.classifier.session, output);
        for (int32_t i = 0; i < pass.n; i++)
            f->scores[n++] = (double)((const evi_real *)score->data)[i];
    } while (pass.n > 0);
    evi_pass_end(&pass);
    *n_out = n;
    return status;
}

/* ---- threshold ------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* All digits that it takes to read the same number again, with a point whatever the locale. */
static void write_exactly(double x, char text[40])
{
    char *to = text;
    (void)snprintf(text, 40, "%.17g", x);
    for (const char *c = text; *c != '\0'; c++)
        if (strchr("0123456789+-e", *c) != NULL)
            *to++ = *c;
        else if (to == text || to[-1] != '.')
            *to++ = '.';
    *to = '\0';
}

/* The lowest score that at least `keep` of the pictures do not pass. */
static ev_status note_threshold(fit *f, int64_t n)
{
    char text[40];
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(f->scores[i]))
            return evi_fail(EV_ERR_DIVERGED,
                            "%s: the score of picture %lld is not finite: look at the classifier's "
                            "weights",
                            f->function, (long long)i);
    qsort(f->scores, (size_t)n, sizeof(double), by_size);
    int64_t place = (int64_t)ceil(f->keep * (double)n - 1e-9) - 1;
    write_exactly(f->scores[EVI_MIN(EVI_MAX(place, 0), n - 1)], text);
    return ev_model_set_meta(f->model, THRESHOLD, text);
}

static ev_status run(fit *f, ev_model *classifier, ev_dataset *inside)
{
    int64_t n = 0;
    EVI_TRY(start(f, classifier, inside));
    if (f->score != EV_SCORE_ENERGY) {
        EVI_TRY(collect(f, inside));
        EVI_TRY(draw_features(f));
    } else {
        EVI_TRY(draw_energy(f));
    }
    EVI_TRY(evi_calloc(f->ctx, (uint64_t)ev_dataset_size(inside), sizeof(double), &f->scores));
    EVI_TRY(collect_scores(f, inside, &n));
    return note_threshold(f, n);
}

ev_status ev_domain_fit(ev_context *ctx, ev_model *classifier, ev_dataset *inside,
                        const ev_domain_options *opt, ev_model **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_HANDLE(classifier, EVI_MAGIC_MODEL);
    EVI_CHECK_HANDLE(inside, EVI_MAGIC_DATASET);
    fit f = {.function = __func__, .ctx = ctx};
    EVI_TRY(read_options(&f, opt));
    ev_status status = run(&f, classifier, inside);
    evi_moments_end(&f.moments);
    evi_free(f.scores);
    if (status == EV_OK)
        *out = f.model;
    else
        ev_model_destroy(f.model);
    return status;
}
