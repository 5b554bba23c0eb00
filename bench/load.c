/* SPDX-License-Identifier: MIT */
/* From a file to the first answer, and what it costs:
 *
 *     bench/load MODEL.onnx [--threads N] [--limit MIB] [--seal] [--copy] [--runs N] [--csv]
 *
 * Each run is a new process that loads the model, makes a plan and runs one picture.  The time is
 * taken from just before that process is made, so exec and the dynamic linker count; the peak is
 * the process's own VmHWM.  The model's file is in the page cache from the second run on; the
 * fastest of the runs is printed. */
#include "bench.h"
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

typedef struct load_options {
    const char *model;
    int32_t threads, runs;
    uint64_t limit_mib;
    bool seal, copy, csv, foretell;
    double started; /* > 0: this is a run */
    int answer;     /* file descriptor for what came of it */
} load_options;

typedef struct load_result { /* milliseconds from the start of the process; bytes */
    double at_main, loaded, planned, first, second, peak_mib;
    uint64_t plan, session, context;
} load_result;

static void usage(const char *program)
{
    fprintf(stderr,
            "usage: %s MODEL.onnx [--threads N] [--limit MIB] [--seal] [--copy] [--runs N] "
            "[--csv] [--foretell]\n"
            "  --limit  most memory that the context may allocate\n"
            "  --seal   call ev_model_seal() before planning\n"
            "  --copy   read the file instead of mapping it\n"
            "  --foretell  say when ev_plan_memory() does not tell what is taken\n",
            program);
    exit(2);
}

static load_options read_options(int argc, char **argv)
{
    load_options o = {.threads = 1, .runs = 5};
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--seal") == 0)
            o.seal = true;
        else if (strcmp(argv[i], "--copy") == 0)
            o.copy = true;
        else if (strcmp(argv[i], "--foretell") == 0)
            o.foretell = true;
        else if (strcmp(argv[i], "--csv") == 0)
            o.csv = true;
        else if (argv[i][0] != '-' && o.model == NULL)
            o.model = argv[i];
        else if (next == NULL)
            usage(argv[0]);
        else if (strcmp(argv[i], "--threads") == 0)
            o.threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--limit") == 0)
            o.limit_mib = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--runs") == 0)
            o.runs = atoi(argv[++i]);
        else if (strcmp(argv[i], "--started") == 0)
            o.started = atof(argv[++i]);
        else if (strcmp(argv[i], "--answer") == 0)
            o.answer = atoi(argv[++i]);
        else
            usage(argv[0]);
    }
    if (o.model == NULL || o.runs < 1)
        usage(argv[0]);
    return o;
}

/* ---- one run --------------------------------------------------------------------------------- */

static double since(const load_options *o)
{
    return (bench_now() - o->started) * 1e3;
}

static ev_tensor *picture(ev_context *ctx, const ev_model *m)
{
    int64_t dims[EV_MAX_RANK];
    int32_t rank = ev_model_input_dims(m, 0, dims);
    ev_tensor *x = NULL;
    uint32_t state = 12345;
    for (int32_t d = 0; d < rank; d++)
        dims[d] = dims[d] > 0 ? dims[d] : d == 0 ? 1 : 224;
    MUST(ev_tensor_create(ctx, EV_TYPE_FLOAT32, rank, dims, &x));
    float *pixels = ev_tensor_data(x);
    for (int64_t i = 0; i < ev_tensor_count(x); i++) {
        state = state * 1664525u + 1013904223u;
        pixels[i] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
    return x;
}

static load_result run_once(const load_options *o)
{
    load_result r = {.at_main = since(o)};
    ev_context_options c;
    ev_context *ctx = NULL;
    ev_load_options l;
    ev_model *m = NULL;
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    EV_OPTIONS_INIT(&c);
    EV_OPTIONS_INIT(&l);
    c.n_threads = o->threads;
    c.memory_limit_bytes = o->limit_mib << 20;
    l.no_map = o->copy;
    MUST(ev_context_create(&c, &ctx));
    MUST(ev_model_load(ctx, o->model, &l, &m));
    if (o->seal)
        MUST(ev_model_seal(m));
    r.loaded = since(o);
    ev_memory memory;
    EV_OPTIONS_INIT(&memory);
    uint64_t before = ev_context_memory_bytes(ctx);
    if (o->foretell)
        MUST(ev_plan_memory(ctx, m, NULL, &memory));
    MUST(ev_plan_create(ctx, m, NULL, &plan));
    r.plan = ev_context_memory_bytes(ctx) - before;
    r.planned = since(o);
    ev_tensor *x = picture(ctx, m);
    const ev_tensor *in = x;
    before = ev_context_memory_bytes(ctx);
    MUST(ev_session_create(plan, &session));
    r.session = ev_context_memory_bytes(ctx) - before;
    if (o->foretell && (r.plan != memory.plan_bytes || r.session != memory.session_bytes))
        fprintf(stderr, "foretold: plan %llu, session %llu\n",
                (unsigned long long)memory.plan_bytes, (unsigned long long)memory.session_bytes);
    MUST(ev_session_run(session, &in, 1, NULL, 0));
    r.first = since(o);
    double start = bench_now();
    MUST(ev_session_run(session, &in, 1, NULL, 0));
    r.second = (bench_now() - start) * 1e3;
    r.peak_mib = bench_peak_mib();
    r.context = ev_context_memory_peak_bytes(ctx);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    ev_tensor_destroy(x);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    return r;
}

/* ---- many ------------------------------------------------------------------------------------ */

static bool start_run(char **argv, int argc, load_result *out)
{
    char started[40], answer[20];
    char *args[64];
    int ends[2], n = 0, status = 0;
    pid_t child;
    if (pipe(ends) != 0 || argc > 50)
        return false;
    for (; n < argc; n++)
        args[n] = argv[n];
    snprintf(answer, sizeof answer, "%d", ends[1]);
    args[n++] = "--answer";
    args[n++] = answer;
    args[n++] = "--started";
    args[n++] = started;
    args[n] = NULL;
    snprintf(started, sizeof started, "%.9f", bench_now());
    if (posix_spawn(&child, "/proc/self/exe", NULL, NULL, args, environ) != 0)
        return false;
    close(ends[1]);
    bool whole = read(ends[0], out, sizeof *out) == (ssize_t)sizeof *out;
    close(ends[0]);
    return waitpid(child, &status, 0) == child && status == 0 && whole;
}

static void print(const load_options *o, const load_result *r)
{
    const char *format =
        o->csv ? "load,%s,%d,%llu,%d,%.2f,%.2f,%.2f,%.2f,%.2f,%.1f,%llu,%llu,%llu,%d\n"
               : "{\"bench\":\"load\",\"model\":\"%s\",\"threads\":%d,\"limit_mib\":%llu,"
                 "\"sealed\":%d,\"main_ms\":%.2f,\"loaded_ms\":%.2f,\"planned_ms\":%.2f,"
                 "\"first_ms\":%.2f,\"second_run_ms\":%.2f,\"peak_mib\":%.1f,"
                 "\"plan_bytes\":%llu,\"session_bytes\":%llu,\"context_peak_bytes\":%llu,\"runs\":%"
                 "d}\n";
    printf(format, o->model, (int)o->threads, (unsigned long long)o->limit_mib, (int)o->seal,
           r->at_main, r->loaded, r->planned, r->first, r->second, r->peak_mib,
           (unsigned long long)r->plan, (unsigned long long)r->session,
           (unsigned long long)r->context, (int)o->runs);
}

int main(int argc, char **argv)
{
    load_options o = read_options(argc, argv);
    load_result best = {.first = 1e30}, r;
    if (o.started > 0) {
        r = run_once(&o);
        return write(o.answer, &r, sizeof r) == (ssize_t)sizeof r ? 0 : 1;
    }
    for (int32_t i = 0; i < o.runs; i++) {
        if (!start_run(argv, argc, &r))
            return 1;
        if (r.first < best.first)
            best = r;
    }
    print(&o, &best);
    return 0;
}
