/* SPDX-License-Identifier: MIT */
/* What pruning itself costs, without training:
 *
 *     bench/prune [--arch 1..11 | --net NAME | --model FILE] [--size PIXELS] [--threads N] [--json]
 *
 * groups: which channels live and die together; create: that, blocks, and a look at all weights;
 * score: by L1; plan: half of the multiply-adds; apply: the smaller model; all: score, plan and
 * apply.  Without a net: VGG16 and ResNet-18 at 224 x 224. */
#include "bench.h"

#include "prune/prune.h"

enum { GROUPS, CREATE, SCORE, PLAN, APPLY, ALL, PARTS };

static const char *const part_names[PARTS] = {"groups", "create", "score", "plan", "apply", "all"};

static void time_groups(ev_context *ctx, const ev_model *m, bench_samples *s)
{
    evi_groups g;
    double t = bench_now();
    MUST(evi_groups_find(ctx, m, &g));
    bench_add(s, (bench_now() - t) * 1e3);
    evi_groups_free(&g);
}

static void time_rest(ev_context *ctx, ev_model *m, bench_samples *s)
{
    ev_pruner *p = NULL;
    ev_prune_plan *plan = NULL;
    ev_model *smaller = NULL;
    ev_score_options score;
    ev_prune_plan_options o;
    double t[5];
    EV_OPTIONS_INIT(&score);
    EV_OPTIONS_INIT(&o);
    score.criterion = EV_CRITERION_L1;
    o.goal.unit = EV_UNIT_MACS;
    o.goal.ratio = 0.5;
    t[0] = bench_now();
    MUST(ev_pruner_create(ctx, m, NULL, &p));
    t[1] = bench_now();
    MUST(ev_pruner_score(p, &score));
    t[2] = bench_now();
    MUST(ev_pruner_plan(p, &o, &plan));
    t[3] = bench_now();
    MUST(ev_prune_plan_apply(plan, 1, &smaller));
    t[4] = bench_now();
    for (int i = 0; i < 4; i++)
        bench_add(&s[CREATE + i], (t[i + 1] - t[i]) * 1e3);
    bench_add(&s[ALL], (t[4] - t[1]) * 1e3);
    ev_model_destroy(smaller);
    ev_prune_plan_destroy(plan);
    ev_pruner_destroy(p);
}

static void run(ev_context *ctx, const bench_options *o)
{
    char name[128];
    bench_result r[PARTS];
    bench_samples s[PARTS];
    ev_model *m = bench_model(ctx, o);
    memset(r, 0, sizeof r);
    memset(s, 0, sizeof s);
    bench_name(o, name, sizeof name);
    double begin = bench_now();
    while (bench_more(o, &s[ALL], begin, 3)) {
        for (int i = 0; i < 10; i++)
            time_groups(ctx, m, &s[GROUPS]);
        time_rest(ctx, m, s);
    }
    for (int i = 0; i < PARTS; i++) {
        r[i].what = "prune";
        r[i].samples = s[i];
        r[i].bytes = 4.0 * (double)ev_model_parameter_count(m) * (i == GROUPS ? 0 : 1);
        snprintf(r[i].name, sizeof r[i].name, "%s %s", name, part_names[i]);
        bench_print(o, &r[i]);
        bench_end(&r[i]);
    }
    ev_model_destroy(m);
}

int main(int argc, char **argv)
{
    bench_options o = {.threads = 1, .batch = 1, .size = 224, .seconds = 2};
    bench_read(argc, argv, &o);
    ev_context *ctx = bench_context(&o);
    bench_head(&o);
    if (o.model != NULL || o.net != NULL || o.arch != 0) {
        run(ctx, &o);
    } else {
        o.arch = 11;
        run(ctx, &o);
        o.net = "ResNet-18";
        run(ctx, &o);
    }
    ev_context_destroy(ctx);
    return 0;
}
