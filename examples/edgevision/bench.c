/* SPDX-License-Identifier: MIT */
/* edgevision bench: milliseconds and bytes of a model on this machine. */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

enum { MAX_RUNS = 100000 };

typedef struct bench_options {
    number_list threads, batches;
    int32_t json, profile, runs, size[2];
    double seconds, goal;
} bench_options;

typedef struct bench_result {
    int32_t threads, batch, runs;
    double min, median, p95; /* milliseconds a run */
    uint64_t foretold, measured;
    ev_context *ctx;
    ev_model *model;
    ev_plan *plan;
    ev_session *session;
    ev_tensor *inputs[8];
    int64_t dims[8 * EV_MAX_RANK]; /* of all inputs */
    int32_t n_inputs, n_dims;
} bench_result;

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Shapes of all inputs: what a model leaves open is the batch, then the picture's size. */
static void choose_dims(bench_result *r, const int32_t size[2])
{
    for (int32_t i = 0; i < ev_model_n_inputs(r->model) && i < 8; i++) {
        int64_t *dims = r->dims + r->n_dims;
        int32_t rank = ev_model_input_dims(r->model, i, dims);
        for (int32_t d = 0; d < rank; d++) {
            int64_t open = d == 0 ? r->batch : d == rank - 1 ? size[0] : size[1];
            dims[d] = dims[d] < 0 ? open : dims[d];
        }
        r->n_dims += rank;
    }
}

/* Grey noise: the same in every run and on every machine. */
static ev_status make_inputs(bench_result *r)
{
    ev_status status = EV_OK;
    const int64_t *dims = r->dims;
    for (int32_t i = 0; i < ev_model_n_inputs(r->model) && i < 8 && status == EV_OK; i++) {
        int64_t unused[EV_MAX_RANK];
        int32_t rank = ev_model_input_dims(r->model, i, unused);
        status = ev_tensor_create(r->ctx, EV_TYPE_FLOAT32, rank, dims, &r->inputs[i]);
        uint32_t state = 1;
        float *to = status == EV_OK ? ev_tensor_data(r->inputs[i]) : NULL;
        for (int64_t k = 0; to && k < ev_tensor_count(r->inputs[i]); k++) {
            state = state * 1664525U + 1013904223U;
            to[k] = (float)(state >> 8) / 8388608.0F - 1.0F;
        }
        dims += rank;
        r->n_inputs++;
    }
    return status;
}

static ev_status time_runs(bench_result *r, const bench_options *o, double *ms)
{
    const ev_tensor *inputs[8];
    double begin = seconds_now();
    for (int32_t i = 0; i < r->n_inputs; i++) {
        inputs[i] = r->inputs[i];
    }
    for (int32_t i = -2; i < (o->runs ? o->runs : MAX_RUNS); i++) { /* two to warm up */
        double start = seconds_now();
        ev_status status = ev_session_run(r->session, inputs, r->n_inputs, NULL, 0);
        if (status != EV_OK) {
            return status;
        }
        double now = seconds_now();
        if (i < 0) {
            begin = now;
            continue;
        }
        ms[r->runs++] = 1e3 * (now - start);
        if (!o->runs && r->runs >= 5 && now - begin > o->seconds) {
            break;
        }
    }
    qsort(ms, (size_t)r->runs, sizeof *ms, by_size);
    r->min = ms[0];
    r->median = ms[r->runs / 2];
    r->p95 = ms[(r->runs * 95) / 100 < r->runs ? (r->runs * 95) / 100 : r->runs - 1];
    return EV_OK;
}

static int measure(bench_result *r, const char *path, const bench_options *o)
{
    ev_plan_options plan;
    ev_memory memory;
    EV_OPTIONS_INIT(&plan);
    EV_OPTIONS_INIT(&memory);
    plan.max_batch = r->batch;
    int code = open_context(r->threads, &r->ctx);
    if (!code) {
        code = open_model(r->ctx, path, &r->model);
    }
    if (code) {
        return code;
    }
    choose_dims(r, o->size);
    if (ev_model_n_inputs(r->model) <= 8) {
        plan.dims = r->dims;
        plan.n_dims = r->n_dims;
    }
    double *ms = malloc(MAX_RUNS * sizeof *ms);
    ev_status status = ms ? ev_plan_memory(r->ctx, r->model, &plan, &memory) : EV_ERR_MEMORY;
    r->foretold = memory.plan_bytes + memory.session_bytes;
    uint64_t before = ev_context_memory_bytes(r->ctx);
    if (status == EV_OK) {
        status = ev_plan_create(r->ctx, r->model, &plan, &r->plan);
    }
    if (status == EV_OK) {
        status = ev_session_create(r->plan, &r->session);
    }
    r->measured = ev_context_memory_bytes(r->ctx) - before;
    if (status == EV_OK) {
        status = make_inputs(r);
    }
    if (status == EV_OK) {
        status = time_runs(r, o, ms);
    }
    free(ms);
    return status == EV_OK ? 0 : fail_status(EXIT_MODEL, status, NULL);
}

static int print_profile(bench_result *r, int32_t json)
{
    char *words = NULL;
    ev_status status = ev_session_profile(r->session, 20, json, &words);
    if (status != EV_OK) {
        return fail_status(EXIT_MODEL, status, NULL);
    }
    printf(json ? "%s" : "\n%s", words);
    ev_string_destroy(words);
    return 0;
}

static void add_row(text *t, const bench_result *r, int32_t json)
{
    double rate = r->median > 0 ? 1e3 * r->batch / r->median : 0;
    text_add(t, json ? "{\"threads\": %d, \"batch\": %d, \"runs\": %d, \"ms_min\": %.4f, "
                       "\"ms_median\": %.4f, \"ms_p95\": %.4f, \"images_per_second\": %.1f, "
                       "\"bytes_foretold\": %llu, \"bytes_measured\": %llu}\n"
                     : "%d\t%d\t%d\t%.3f\t%.3f\t%.3f\t%.1f\t%llu\t%llu\n",
             (int)r->threads, (int)r->batch, (int)r->runs, r->min, r->median, r->p95, rate,
             (unsigned long long)r->foretold, (unsigned long long)r->measured);
}

static int bench(const char *path, const bench_options *o)
{
    text t = {0};
    double best = 1e30;
    int code = 0;
    if (!o->json) {
        text_add(&t, "threads\tbatch\truns\tms_min\tms_median\tms_p95\timages_per_s\t"
                     "bytes_foretold\tbytes_measured\n");
    }
    bench_result r = {0};
    for (int32_t i = 0; i < o->threads.n && !code; i++) {
        for (int32_t k = 0; k < o->batches.n && !code; k++) {
            bool last = i == o->threads.n - 1 && k == o->batches.n - 1;
            memset(&r, 0, sizeof r);
            r.threads = (int32_t)o->threads.value[i];
            r.batch = (int32_t)o->batches.value[k];
            code = measure(&r, path, o);
            if (!code) {
                add_row(&t, &r, o->json);
                double each = r.median / r.batch;
                best = each < best ? each : best;
            }
            if (last && !code) {
                print_table(&t, stdout);
                code = o->profile ? print_profile(&r, o->json) : 0;
            }
            for (int32_t n = 0; n < r.n_inputs; n++) {
                ev_tensor_destroy(r.inputs[n]);
            }
            ev_session_destroy(r.session);
            ev_plan_destroy(r.plan);
            ev_model_destroy(r.model);
            ev_context_destroy(r.ctx);
        }
    }
    text_free(&t);
    if (!code && o->goal > 0 && best > o->goal) {
        code = fail(EXIT_GOAL, "%.3f ms a picture is above the goal of %.3f ms", best, o->goal);
    }
    return code;
}

int verb_bench(int argc, char **argv)
{
    bench_options o = {
        .threads = {2, {1, 2}}, .batches = {1, {1}}, .seconds = 1, .size = {256, 256}};
    const option table[] = {
        {"threads", 0, OPTION_LIST, &o.threads, "A,B", "thread counts to try", 1, 256, NULL},
        {"batch", 0, OPTION_LIST, &o.batches, "A,B", "pictures in one run", 1, 65536, NULL},
        {"size", 0, OPTION_SIZE, o.size, "WxH", "of pictures, where the model takes any", 0, 0,
         NULL},
        {"runs", 0, OPTION_INT, &o.runs, "N", "so many runs (default: as --seconds allow)", 0,
         MAX_RUNS, NULL},
        {"seconds", 0, OPTION_REAL, &o.seconds, "X", "time for each row", 0, 3600, NULL},
        {"profile", 0, OPTION_FLAG, &o.profile, NULL, "also the time of each layer, of the last "
         "row", 0, 0, NULL},
        {"max-ms", 0, OPTION_REAL, &o.goal, "X", "exit code 1 when a picture takes longer (default "
         "none)", 0, 1e9, NULL},
        {"json", 0, OPTION_FLAG, &o.json, NULL, "one JSON object a line", 0, 0, NULL},
    };
    syntax s = {.verb = "bench", .usage = "MODEL [options]",
                .purpose = "Milliseconds of a run, least, median and 95th percentile, and the "
                           "bytes of plan and session,\nas foretold and as measured.",
                .options = table, .n_options = N_OPTIONS(table), .min_rest = 1, .max_rest = 1,
                .examples = "  edgevision bench model.onnx --threads 1,2,4 --batch 1,16\n"
                            "  edgevision bench model.onnx --profile --max-ms 20\n"};
    int code = options_parse(&s, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    return bench(s.files[0], &o);
}
