/* SPDX-License-Identifier: MIT */
/* How fast small generators are: every width, number of blocks, kind of block and of enlargement,
 *
 *     bench/gan_small [--size 128] [--threads 1] [--seconds N] [--steps N] [--json] > gan_small.csv
 *
 * seconds: of all together.  The generators take turns, a run each, so that a busy moment of the
 * machine does not hit one of them alone; the least time is the one to compare.  gan_small.gp draws
 * the file. */
#include "bench.h"

#include "graph/plan.h"

static const int32_t widths[] = {8, 16, 24, 32, 48, 64};
enum { N_WIDTHS = sizeof widths / sizeof widths[0], N_NETS = N_WIDTHS * 8 };

typedef struct net {
    int32_t width, blocks, separable, resize;
    double mmacs, parameters;
    ev_session *session;
    bench_samples samples;
} net;

static net *make(ev_context *ctx, const bench_options *o, net *n)
{
    ev_generator_options g;
    ev_plan_options p;
    ev_model *m = NULL;
    ev_plan *plan = NULL;
    EV_OPTIONS_INIT(&g);
    EV_OPTIONS_INIT(&p);
    g.image_width = o->size;
    g.base_width = n->width;
    g.n_blocks = n->blocks;
    g.block = n->separable ? EV_BLOCK_SEPARABLE : EV_BLOCK_FULL;
    g.upsample = n->resize ? EV_UPSAMPLE_RESIZE : EV_UPSAMPLE_TRANSPOSED;
    p.max_batch = 1;
    p.precise = o->precise;
    MUST(ev_zoo_generator(ctx, &g, &m));
    MUST(ev_model_init(m, 1));
    n->mmacs = 1e-6 * (double)ev_model_macs(m);
    n->parameters = (double)ev_model_parameter_count(m);
    MUST(ev_plan_create(ctx, m, &p, &plan));
    MUST(ev_session_create(plan, &n->session));
    ev_plan_destroy(plan);
    ev_model_destroy(m);
    return n;
}

static void run(net *n, const ev_tensor *x, bool counts)
{
    /* what the turns before left in the caches is not this generator's: once without the clock */
    MUST(ev_session_run(n->session, &x, 1, NULL, 0));
    double t = bench_now();
    MUST(ev_session_run(n->session, &x, 1, NULL, 0));
    if (counts)
        bench_add(&n->samples, (bench_now() - t) * 1e3);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print(const bench_options *o, net *n, double peak)
{
    bench_samples *s = &n->samples;
    qsort(s->ms, (size_t)s->n, sizeof *s->ms, by_value);
    double least = s->ms[0], median = s->ms[s->n / 2], gflops = 2e-3 * n->mmacs / (least * 1e-3);
    const char *format =
        o->json ? "{\"width\": %d, \"blocks\": %d, \"block\": \"%s\", \"enlarge\": \"%s\", "
                  "\"parameters\": %.0f, \"mmacs\": %.2f, \"ms_least\": %.3f, \"ms_median\": %.3f, "
                  "\"gflops\": %.1f, \"share_of_peak\": %.3f}\n"
                : "%d,%d,%s,%s,%.0f,%.2f,%.3f,%.3f,%.1f,%.3f\n";
    printf(format, (int)n->width, (int)n->blocks, n->separable ? "separable" : "full",
           n->resize ? "resize" : "transposed", n->parameters, n->mmacs, least, median, gflops,
           gflops / peak);
    free(s->ms);
}

int main(int argc, char **argv)
{
    static net nets[N_NETS];
    bench_options o = {.threads = 1, .batch = 1, .size = 128, .seconds = 60};
    int count = 0;
    bench_read(argc, argv, &o);
    ev_context *ctx = bench_context(&o);
    for (int32_t kind = 0; kind < 8; kind++)
        for (int32_t w = 0; w < N_WIDTHS; w++) {
            nets[count] = (net){.width = widths[w],
                                .blocks = kind & 4 ? 3 : 6,
                                .separable = kind & 1,
                                .resize = (kind & 2) != 0};
            make(ctx, &o, &nets[count++]);
        }
    ev_tensor *x = bench_picture(ctx, 1, 3, o.size, o.size, 12345);
    double peak = bench_peak(ctx);
    for (int i = 0; i < count; i++)
        run(&nets[i], x, false);
    double begin = bench_now();
    while (bench_more(&o, &nets[count - 1].samples, begin, 5))
        for (int i = 0; i < count; i++)
            run(&nets[i], x, true);
    if (!o.json)
        puts("width,blocks,block,enlarge,parameters,mmacs,ms_least,ms_median,gflops,share_of_peak");
    for (int i = 0; i < count; i++) {
        print(&o, &nets[i], peak);
        ev_session_destroy(nets[i].session);
    }
    ev_tensor_destroy(x);
    ev_context_destroy(ctx);
    return 0;
}
