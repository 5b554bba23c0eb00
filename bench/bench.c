/* SPDX-License-Identifier: MIT */
/* Options, clocks and the line of results: see bench.h. */
#include "bench.h"

#include "base/context.h"
#include "ops/peak.h"

/* ---- options --------------------------------------------------------------------------------- */

static void usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--arch 1..11 | --net NAME | --model FILE] [--threads N] [--batch N]\n"
            "    [--size PIXELS] [--seconds S] [--steps N] [--precise] [--json] [--save FILE]\n"
            "    [--shape M,N,K]\n"
            "NAME: generator, discriminator, or one of the zoo.  Prints CSV, or a JSON line.\n",
            program);
    exit(2);
}

static const char *value(int argc, char **argv, int *i)
{
    if (*i + 1 >= argc)
        usage(argv[0]);
    return argv[++*i];
}

void bench_read(int argc, char **argv, bench_options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--json") == 0)
            o->json = 1;
        else if (strcmp(name, "--precise") == 0)
            o->precise = 1;
        else if (strcmp(name, "--model") == 0)
            o->model = value(argc, argv, &i);
        else if (strcmp(name, "--net") == 0)
            o->net = value(argc, argv, &i);
        else if (strcmp(name, "--save") == 0)
            o->save = value(argc, argv, &i);
        else if (strcmp(name, "--shape") == 0)
            o->shape = value(argc, argv, &i);
        else if (strcmp(name, "--arch") == 0)
            o->arch = atoi(value(argc, argv, &i));
        else if (strcmp(name, "--threads") == 0)
            o->threads = atoi(value(argc, argv, &i));
        else if (strcmp(name, "--batch") == 0)
            o->batch = atoi(value(argc, argv, &i));
        else if (strcmp(name, "--size") == 0)
            o->size = atoi(value(argc, argv, &i));
        else if (strcmp(name, "--steps") == 0)
            o->steps = atoi(value(argc, argv, &i));
        else if (strcmp(name, "--seconds") == 0)
            o->seconds = atof(value(argc, argv, &i));
        else
            usage(argv[0]);
    }
}

ev_context *bench_context(const bench_options *o)
{
    ev_context_options c;
    ev_context *ctx = NULL;
    EV_OPTIONS_INIT(&c);
    c.n_threads = o->threads;
    MUST(ev_context_create(&c, &ctx));
    return ctx;
}

ev_model *bench_model(ev_context *ctx, const bench_options *o)
{
    ev_model *m = NULL;
    if (o->model != NULL) {
        MUST(ev_model_load(ctx, o->model, NULL, &m));
        return m;
    }
    if (o->net != NULL && strcmp(o->net, "generator") == 0) {
        ev_generator_options g;
        EV_OPTIONS_INIT(&g);
        g.image_width = o->size;
        MUST(ev_zoo_generator(ctx, &g, &m));
    } else if (o->net != NULL && strcmp(o->net, "discriminator") == 0) {
        ev_discriminator_options d;
        EV_OPTIONS_INIT(&d);
        d.image_width = o->size;
        MUST(ev_zoo_discriminator(ctx, &d, &m));
    } else {
        ev_zoo_options z;
        EV_OPTIONS_INIT(&z);
        z.width = z.height = o->size;
        if (o->net != NULL)
            MUST(ev_zoo_create(ctx, o->net, &z, &m));
        else
            MUST(ev_zoo_arch(ctx, o->arch, &z, &m));
    }
    MUST(ev_model_init(m, 1));
    return m;
}

const char *bench_name(const bench_options *o, char *buffer, size_t size)
{
    if (o->model == NULL && o->net == NULL)
        snprintf(buffer, size, "Arch%d", (int)o->arch);
    else
        snprintf(buffer, size, "%s", o->model != NULL ? o->model : o->net);
    return buffer;
}

/* ---- pictures -------------------------------------------------------------------------------- */

void bench_fill(float *to, int64_t n, uint32_t seed)
{
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        to[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
}

ev_tensor *bench_picture(ev_context *ctx, int64_t n, int64_t c, int64_t h, int64_t w, uint32_t seed)
{
    const int64_t dims[4] = {n, c, h, w};
    ev_tensor *x = NULL;
    MUST(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &x));
    bench_fill(ev_tensor_data(x), n * c * h * w, seed);
    return x;
}

/* ---- the machine ----------------------------------------------------------------------------- */

double bench_peak(ev_context *ctx)
{
    evi_crew *crew = evi_crew_begin(ctx);
    double peak = evi_peak_gflops(crew, evi_kernels_for(ev_context_cpu(ctx)));
    evi_crew_end(crew);
    return peak;
}

double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bench_peak_mib(void)
{
    char line[256];
    double kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = atof(line + 6);
    if (f != NULL)
        fclose(f);
    return kib / 1024;
}

/* ---- samples --------------------------------------------------------------------------------- */

void bench_add(bench_samples *s, double ms)
{
    if (s->n == s->room) {
        s->room = s->room == 0 ? 1024 : 2 * s->room;
        s->ms = realloc(s->ms, (size_t)s->room * sizeof *s->ms);
        if (s->ms == NULL) {
            fprintf(stderr, "no memory for the times\n");
            exit(1);
        }
    }
    s->ms[s->n++] = ms;
}

int bench_more(const bench_options *o, const bench_samples *s, double begin, int least)
{
    if (o->steps > 0)
        return s->n < o->steps;
    return s->n < least || bench_now() - begin < o->seconds;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

void bench_print(const bench_options *o, bench_result *r)
{
    bench_samples *s = &r->samples;
    if (s->n == 0)
        return;
    qsort(s->ms, (size_t)s->n, sizeof *s->ms, by_value);
    double median = s->ms[s->n / 2], p10 = s->ms[s->n / 10], p90 = s->ms[s->n * 9 / 10];
    double rate = r->gflop / (s->ms[0] * 1e-3), flow = 1e-6 * r->bytes / s->ms[0];
    double share = r->peak > 0 ? rate / r->peak : 0, mib = bench_peak_mib();
    if (o->json)
        printf("{\"bench\":\"%s\",\"name\":\"%s\",\"threads\":%d,\"batch\":%d,\"size\":%d,"
               "\"runs\":%d,\"median_ms\":%.4f,\"p10_ms\":%.4f,\"p90_ms\":%.4f,\"min_ms\":%.4f,"
               "\"gflop\":%.4f,\"gflops\":%.2f,\"peak_gflops\":%.1f,\"share\":%.4f,"
               "\"bytes\":%.0f,\"gb_per_s\":%.2f,\"peak_mib\":%.1f%s}\n",
               r->what, r->name, (int)o->threads, (int)o->batch, (int)o->size, s->n, median, p10,
               p90, s->ms[0], r->gflop, rate, r->peak, share, r->bytes, flow, mib, r->more);
    else
        printf("%s,%s,%d,%d,%d,%d,%.4f,%.4f,%.4f,%.4f,%.4f,%.2f,%.1f,%.4f,%.0f,%.2f,%.1f\n",
               r->what, r->name, (int)o->threads, (int)o->batch, (int)o->size, s->n, median, p10,
               p90, s->ms[0], r->gflop, rate, r->peak, share, r->bytes, flow, mib);
    fflush(stdout);
}

void bench_head(const bench_options *o)
{
    if (!o->json)
        printf("bench,name,threads,batch,size,runs,median_ms,p10_ms,p90_ms,min_ms,gflop,gflops,"
               "peak_gflops,share,bytes,gb_per_s,peak_mib\n");
}

void bench_end(bench_result *r)
{
    free(r->samples.ms);
    memset(r, 0, sizeof *r);
}
