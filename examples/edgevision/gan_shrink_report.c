/* SPDX-License-Identifier: MIT */
/* What edgevision gan shrink tells at its end: the large generator and the small one beside each
   other, in size, in time, and in what a classifier makes of their pictures. */
#include <math.h>
#include <stdlib.h>

#include "gan_shrink.h"

/* ---- time ------------------------------------------------------------------------------------ */

typedef struct timed {
    ev_plan *plan;
    ev_session *session;
    double *ms;
    int n, room;
} timed;

static ev_status timed_start(const shrinking *s, ev_context *ctx, ev_model *model,
                             ev_tensor **input, timed *t)
{
    ev_plan_options o;
    int64_t dims[EV_MAX_RANK];
    EV_OPTIONS_INIT(&o);
    ev_model_input_dims(model, 0, dims);
    dims[0] = 1;
    dims[2] = s->size[1];
    dims[3] = s->size[0];
    o.max_batch = 1;
    o.dims = dims;
    o.n_dims = 4;
    ev_status status = ev_plan_create(ctx, model, &o, &t->plan);
    if (status == EV_OK) {
        status = ev_session_create(t->plan, &t->session);
    }
    if (status == EV_OK && !*input) {
        status = ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, input);
    }
    return status;
}

static ev_status timed_run(timed *t, const ev_tensor *input)
{
    if (t->n == t->room) {
        t->room = 2 * t->room + 64;
        double *more = realloc(t->ms, (size_t)t->room * sizeof *more);
        if (!more) {
            return EV_ERR_MEMORY;
        }
        t->ms = more;
    }
    double start = seconds_now();
    ev_status status = ev_session_run(t->session, &input, 1, NULL, 0);
    t->ms[t->n++] = 1e3 * (seconds_now() - start);
    return status;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int shrink_time(shrinking *s, ev_model *student, double seconds)
{
    timed both[2] = {{0}, {0}};
    ev_tensor *input = NULL;
    ev_context *ctx = NULL; /* of one thread */
    int code = open_context(1, &ctx);
    if (code) {
        return code;
    }
    ev_status status = timed_start(s, ctx, s->teacher, &input, &both[0]);
    if (status == EV_OK) {
        status = timed_start(s, ctx, student, &input, &both[1]);
    }
    double start = seconds_now();
    for (int i = 0; status == EV_OK && (i < 6 || seconds_now() - start < seconds); i++) {
        status = timed_run(&both[i % 2], input);
    }
    for (int i = 0; i < 2; i++) {
        if (status == EV_OK) {
            qsort(both[i].ms, (size_t)both[i].n, sizeof(double), by_value);
            s->least_ms[i] = both[i].ms[0];
            s->ms[i] = both[i].ms[both[i].n / 2];
        }
        free(both[i].ms);
        ev_session_destroy(both[i].session);
        ev_plan_destroy(both[i].plan);
    }
    code = status == EV_OK ? 0 : fail_status(EXIT_MODEL, status, NULL);
    ev_tensor_destroy(input);
    ev_context_destroy(ctx);
    return code;
}

int shrink_measure(shrinking *s)
{
    return shrink_time(s, s->student, 2);
}

/* ---- accuracy -------------------------------------------------------------------------------- */

int shrink_judge(shrinking *s)
{
    ev_model *by[3] = {NULL, s->teacher, s->student};
    for (int i = 0; i < 3; i++) {
        ev_metrics *m = NULL;
        s->accuracy[i] = (double)NAN;
        if (!s->judge_set) {
            continue;
        }
        ev_status status = ev_translate_evaluate(s->ctx, s->classifier, by[i], s->judge_set, &m);
        if (status != EV_OK) {
            return fail_status(EXIT_DATA, status, NULL);
        }
        s->accuracy[i] = ev_metrics_accuracy(m);
        ev_metrics_destroy(m);
    }
    return 0;
}

/* ---- words ----------------------------------------------------------------------------------- */

static void line(text *t, const char *name, const char *format, double before, double after)
{
    text_add(t, "%s\t", name);
    text_add(t, format, before);
    text_add(t, "\t");
    text_add(t, format, after);
    text_add(t, before > 0 ? "\t%.3f\n" : "\t-\n", after / before);
}

static void add_table(const shrinking *s, text *t)
{
    text_add(t, "what\tlarge\tsmall\tratio\n");
    line(t, "parameters", "%.0f", (double)ev_model_parameter_count(s->teacher),
         (double)ev_model_parameter_count(s->student));
    line(t, "multiply-adds", "%.0f", (double)ev_model_macs(s->teacher),
         (double)ev_model_macs(s->student));
    line(t, "milliseconds_median", "%.4g", s->ms[0], s->ms[1]);
    line(t, "milliseconds_least", "%.4g", s->least_ms[0], s->least_ms[1]);
    if (isfinite(s->difference)) {
        text_add(t, "difference\t0\t%.4g\t-\n", s->difference);
    }
    if (s->judge_set) {
        line(t, "accuracy", "%.4f", s->accuracy[1], s->accuracy[2]);
        text_add(t, "\naccuracy without translation\t%.4f\n", s->accuracy[0]);
        double gain = s->accuracy[1] - s->accuracy[0];
        if (gain > 0) {
            text_add(t, "share of the gain that is kept\t%.3f\n",
                     (s->accuracy[2] - s->accuracy[0]) / gain);
        }
    }
}

static void pair(text *t, const char *key, double large, double small)
{
    text_add(t, "\"%s\": {\"large\": %.10g, \"small\": %.10g}, ", key, large, small);
}

static void add_json(const shrinking *s, text *t)
{
    text_add(t, "{");
    pair(t, "parameters", (double)ev_model_parameter_count(s->teacher),
         (double)ev_model_parameter_count(s->student));
    pair(t, "macs", (double)ev_model_macs(s->teacher), (double)ev_model_macs(s->student));
    pair(t, "ms_median", s->ms[0], s->ms[1]);
    pair(t, "ms_least", s->least_ms[0], s->least_ms[1]);
    text_add(t, isfinite(s->difference) ? "\"difference\": %.9g, " : "\"difference\": null, ",
             s->difference);
    if (s->judge_set) {
        text_add(t, "\"accuracy\": {\"none\": %.9g, \"large\": %.9g, \"small\": %.9g}, ",
                 s->accuracy[0], s->accuracy[1], s->accuracy[2]);
    } else {
        text_add(t, "\"accuracy\": null, ");
    }
    text_add(t, "\"out\": ");
    text_json(t, s->out);
    text_add(t, "}\n");
}

int shrink_print(const shrinking *s)
{
    text t = {0};
    if (s->json) {
        add_json(s, &t);
    } else {
        add_table(s, &t);
    }
    if (t.broken) {
        text_free(&t);
        return fail(EXIT_MEMORY, "out of memory");
    }
    if (s->json) {
        fputs(t.data, stdout);
        text_free(&t);
    } else {
        print_table(&t, stdout);
    }
    return 0;
}
