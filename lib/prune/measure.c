/* SPDX-License-Identifier: MIT */
/* Time: two models run in turn, so that what disturbs one disturbs the other, and the layers of
 * one model one by one, to tell beforehand where time would be saved. */
#include "prune/plan.h"

#include "base/rng.h"
#include "graph/plan.h"

#include <stdlib.h>
#include <string.h>

#define MOST_SAMPLES 1023
#define LEAST_SAMPLES 7
#define GOOD_SAMPLES 41 /* slow models may take four times as long to get so many */
#define LAYER_RUNS 15

/* ---- a model that is ready to run ------------------------------------------------------------ */

typedef struct runner {
    ev_plan *plan;
    ev_session *session;
    void **inputs; /* blocks, NULL at first */
} runner;

static void end_runner(runner *r)
{
    for (int32_t i = 0; r->inputs != NULL && i < r->plan->n_inputs; i++)
        evi_free(r->inputs[i]);
    evi_free(r->inputs);
    ev_session_destroy(r->session);
    ev_plan_destroy(r->plan);
}

/* Pictures of noise; other inputs are zero. */
static ev_status fill_inputs(runner *r)
{
    ev_context *ctx = r->plan->handle.ctx;
    EVI_TRY(evi_calloc(ctx, (uint64_t)r->plan->n_inputs, sizeof(void *), &r->inputs));
    for (int32_t i = 0; i < r->plan->n_inputs; i++) {
        const evi_edge *edge = &r->plan->values[r->plan->inputs[i]].edge;
        int64_t n = evi_shape_count(&edge->shape);
        EVI_TRY(evi_calloc(ctx, (uint64_t)n, (uint64_t)evi_type_bytes(edge->type), &r->inputs[i]));
        evi_real *x = r->inputs[i];
        for (int64_t k = 0; k < n && evi_type_is_real(edge->type); k++)
            x[k] = (evi_real)evi_rng_uniform((evi_rng){1, (uint64_t)i}, (uint64_t)k);
    }
    return EV_OK;
}

static ev_status run(runner *r, double *seconds_out)
{
    evi_crew *crew = evi_crew_begin(r->plan->handle.ctx);
    double start = evi_seconds();
    ev_status status = evi_session_forward(r->session, crew, (const void *const *)r->inputs,
                                           r->plan->n_inputs, 1, 0);
    *seconds_out = evi_seconds() - start;
    evi_crew_end(crew);
    return status;
}

static ev_status start_runner(ev_context *ctx, ev_model *model, runner *r)
{
    double first = 0;
    EVI_TRY(ev_plan_create(ctx, model, NULL, &r->plan));
    EVI_TRY(ev_session_create(r->plan, &r->session));
    EVI_TRY(fill_inputs(r));
    return run(r, &first);
}

/* ---- two models ------------------------------------------------------------------------------ */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void summarise(double *samples, int32_t n, double *ms, double *spread)
{
    qsort(samples, (size_t)n, sizeof(*samples), by_size);
    *ms = 1e3 * samples[n / 2];
    *spread = samples[n / 2] > 0 ? (samples[3 * n / 4] - samples[n / 4]) / samples[n / 2] : 0;
}

/* A run that follows one of its own finds its weights where that left them, as in real use: of each
 * turn the first run is not counted, unless runs are long. */
static ev_status turn(runner *r, double *sample)
{
    double seconds = 0;
    EVI_TRY(run(r, &seconds));
    if (seconds < 0.05)
        EVI_TRY(run(r, &seconds));
    *sample = seconds;
    return EV_OK;
}

static ev_status sample(runner r[2], double seconds, double *samples, double ms[2],
                        double spread[2])
{
    double start = evi_seconds(), took = 0;
    int32_t n = 0;
    while (n < LEAST_SAMPLES || (n < MOST_SAMPLES && took < seconds) ||
           (n < GOOD_SAMPLES && took < 4 * seconds)) {
        int32_t first = n & 1; /* each begins every other time */
        EVI_TRY(turn(&r[first], &samples[first * MOST_SAMPLES + n]));
        EVI_TRY(turn(&r[!first], &samples[!first * MOST_SAMPLES + n]));
        n++;
        took = evi_seconds() - start;
    }
    for (int32_t i = 0; i < 2; i++)
        summarise(samples + i * MOST_SAMPLES, n, &ms[i], &spread[i]);
    return EV_OK;
}

ev_status evi_measure_pair(ev_context *ctx, ev_model *a, ev_model *b, int32_t n_threads,
                           double seconds, double ms[2], double spread[2])
{
    ev_context *own = NULL;
    runner r[2] = {{0}};
    double *samples = NULL;
    EVI_TRY(evi_context_like(ctx, n_threads, &own));
    ev_status status = start_runner(own, a, &r[0]);
    if (status == EV_OK)
        status = start_runner(own, b, &r[1]);
    if (status == EV_OK)
        status = evi_malloc(own, 2 * MOST_SAMPLES, sizeof(*samples), &samples);
    if (status == EV_OK)
        status = sample(r, seconds, samples, ms, spread);
    evi_free(samples);
    end_runner(&r[0]);
    end_runner(&r[1]);
    ev_context_destroy(own);
    return status;
}

/* ---- layers ---------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0 && (n == k || text[n - k - 1] == '/');
}

/* The node of a step: a step's name is the path through the calls to it. */
static int32_t find_node(const evi_tally *t, const char *path)
{
    for (int32_t m = t->n_models - 1; m >= 0; m--) {
        const ev_model *model = t->pruner->groups.models[m];
        for (int32_t i = 0; i < t->first_node[m + 1] - t->first_node[m]; i++)
            if (m == t->n_models - 1 ? strcmp(path, model->nodes[i].name) == 0
                                     : ends_with(path, model->nodes[i].name))
                return t->first_node[m] + i;
    }
    return -1;
}

static void time_layers(runner *r, const evi_tally *t, double *least)
{
    ev_session *s = r->session;
    evi_crew *crew = evi_crew_begin(r->plan->handle.ctx);
    for (int32_t k = 0; k < LAYER_RUNS; k++)
        for (int32_t i = 0; i < s->steps.n; i++) {
            evi_step *step = &s->steps.step[i];
            if (r->plan->nodes[s->steps.node[i]].is_view)
                continue;
            step->crew = crew;
            double start = evi_seconds();
            step->op->forward(step);
            double took = evi_seconds() - start;
            if (k == 0 || took < least[i])
                least[i] = took;
        }
    evi_crew_end(crew);
    for (int32_t i = 0; i < s->steps.n; i++) {
        int32_t node = find_node(t, r->plan->nodes[s->steps.node[i]].name);
        if (node >= 0)
            t->node_ms[node] += 1e3 * least[i];
    }
}

static ev_status layers(evi_tally *t, ev_context *ctx, ev_model *model, runner *r)
{
    double *least = NULL;
    EVI_TRY(start_runner(ctx, model, r));
    EVI_TRY(evi_calloc(ctx, (uint64_t)r->session->steps.n, sizeof(*least), &least));
    ev_status status =
        evi_calloc(model->handle.ctx, (uint64_t)t->n_nodes, sizeof(*t->node_ms), &t->node_ms);
    if (status == EV_OK)
        time_layers(r, t, least);
    evi_free(least);
    return status;
}

ev_status evi_measure_layers(evi_tally *t, ev_model *model, int32_t n_threads)
{
    ev_context *own = NULL;
    runner r = {0};
    evi_free(t->node_ms);
    t->node_ms = NULL;
    EVI_TRY(evi_context_like(model->handle.ctx, n_threads, &own));
    ev_status status = layers(t, own, model, &r);
    end_runner(&r);
    ev_context_destroy(own);
    return status;
}
