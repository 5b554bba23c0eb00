/* SPDX-License-Identifier: MIT */
/* Pruning without steps: what is tied, the floor, a plan, a plan carried out, sensitivity. */
#include "prune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plot.h"

/* ---- what is tied, and the floor ------------------------------------------------------------- */

static int make_pruner(pruning *p, ev_pruner **out)
{
    ev_status status = ev_pruner_create(p->ctx, p->model, &p->pruner, out);
    if (status == EV_OK) {
        return 0;
    }
    return fail_status(EXIT_MODEL, status,
                       p->pruner.n_protected > 0 && status == EV_ERR_ARGUMENT
                           ? "edgevision inspect lists the layers"
                           : NULL);
}

int prune_show_groups(pruning *p)
{
    ev_pruner *pruner = NULL;
    char *words = NULL;
    int code = make_pruner(p, &pruner);
    if (code) {
        return code;
    }
    int32_t kind = p->json ? EV_DESCRIBE_JSON : EV_DESCRIBE_TABLE;
    ev_status status = ev_pruner_describe(pruner, kind, &words);
    if (status == EV_OK) {
        fputs(words, stdout);
    } else {
        code = fail_status(EXIT_MODEL, status, NULL);
    }
    ev_string_destroy(words);
    ev_pruner_destroy(pruner);
    return code;
}

int prune_show_floor(pruning *p)
{
    ev_pruner *pruner = NULL;
    ev_prune_counts counts;
    text t = {0};
    EV_OPTIONS_INIT(&counts);
    int code = make_pruner(p, &pruner);
    if (code) {
        return code;
    }
    ev_status status = ev_pruner_floor(pruner, 1, p->timed_threads, &counts);
    if (status != EV_OK) {
        code = fail_status(EXIT_MODEL, status, NULL);
    } else if (p->json) {
        prune_counts_json(&counts, &t);
        text_add(&t, "\n");
    } else {
        text_add(&t, "the smallest possible (a run keeps at least a tenth of each layer):\n");
        prune_counts_table(&counts, &t);
    }
    print_table(&t, stdout);
    ev_pruner_destroy(pruner);
    return code;
}

/* ---- a plan ---------------------------------------------------------------------------------- */

static ev_status score(pruning *p, ev_pruner *pruner)
{
    ev_score_options o;
    EV_OPTIONS_INIT(&o);
    o.criterion = p->criterion;
    o.data = p->parts[PART_TRAIN];
    o.n_images = p->images;
    o.batch_size = p->batch;
    o.seed = p->seed;
    ev_status status = ev_pruner_score(pruner, &o);
    if (status == EV_OK && p->depth) {
        status = ev_pruner_score_blocks(pruner, EV_BLOCK_SCORE_DEFAULT, &o);
    }
    return status;
}

/* Score and plan.  The caller ends both. */
static int make_plan(pruning *p, ev_pruner **pruner, ev_prune_plan **plan)
{
    ev_prune_plan_options o;
    int code = make_pruner(p, pruner);
    if (code) {
        return code;
    }
    EV_OPTIONS_INIT(&o);
    o.scope = p->scope;
    o.depth = p->depth;
    o.goal = p->goal;
    o.max_share = p->max_share;
    o.n_threads = p->timed_threads;
    ev_status status = score(p, *pruner);
    if (status == EV_OK) {
        status = ev_pruner_plan(*pruner, &o, plan);
    }
    if (status == EV_OK) {
        return 0;
    }
    return fail_status(EXIT_DATA, status,
                       status == EV_ERR_GOAL
                           ? "--floor shows the least, --groups what holds it; a higher goal, less "
                             "--protect, a smaller --min-width, a larger --max-share or --depth "
                             "also may help"
                           : NULL);
}

static void headline(const ev_prune_counts *c, text *t)
{
    double spread = fmax(c->ms_spread[0], c->ms_spread[1]);
    double margin = isfinite(spread) ? fmin(spread / 2, 0.2) : 0;
    bool fell = c->ms_measured[1] < c->ms_measured[0] * (1 - margin);
    text_add(t, "%s: %.4g ms before, %.4g ms after", fell ? "Time fell" : "TIME DID NOT FALL",
             c->ms_measured[0], c->ms_measured[1]);
}

/* Counts and, for --dry-run, the plan. */
static int print_plan(const pruning *p, ev_prune_plan *plan, const char *remark)
{
    ev_prune_counts counts;
    char *words = NULL;
    text t = {0};
    EV_OPTIONS_INIT(&counts);
    ev_status status = ev_prune_plan_counts(plan, 1, p->timed_threads, &counts);
    if (status == EV_OK) {
        int32_t kind = p->json ? EV_DESCRIBE_JSON : EV_DESCRIBE_TABLE;
        status = ev_prune_plan_describe(plan, kind, &words);
    }
    if (status != EV_OK) {
        return fail_status(EXIT_MODEL, status, NULL);
    }
    if (p->json) {
        text_add(&t, "{\"accuracy\": null, \"counts\": ");
        prune_counts_json(&counts, &t);
        text_add(&t, ",\n\"plan\": %s}\n", words);
    } else {
        headline(&counts, &t);
        text_add(&t, "; %s\n\n", remark);
        if (p->dry_run) {
            text_add(&t, "%s\n", words);
        }
        prune_counts_table(&counts, &t);
    }
    ev_string_destroy(words);
    print_table(&t, stdout);
    return 0;
}

int prune_dry_run(pruning *p)
{
    ev_pruner *pruner = NULL;
    ev_prune_plan *plan = NULL;
    int code = make_plan(p, &pruner, &plan);
    if (!code) {
        code = print_plan(p, plan, "a plan; nothing was written");
    }
    ev_prune_plan_destroy(plan);
    ev_pruner_destroy(pruner);
    return code;
}

int prune_once(pruning *p)
{
    ev_pruner *pruner = NULL;
    ev_prune_plan *plan = NULL;
    int code = make_plan(p, &pruner, &plan);
    if (!code) {
        ev_status status = ev_prune_plan_apply(plan, p->seed, &p->smaller);
        code = status == EV_OK ? prune_save(p, p->out) : fail_status(EXIT_MODEL, status, NULL);
    }
    if (!code) {
        code = print_plan(p, plan, "pruned by weights alone, ACCURACY WAS NOT LOOKED AT");
    }
    if (!code) {
        note("the smaller model: %s; it has to be fine-tuned (give --data for that)", p->out);
    }
    ev_prune_plan_destroy(plan);
    ev_pruner_destroy(pruner);
    return code;
}

/* ---- sensitivity ----------------------------------------------------------------------------- */

static const double shares[] = {0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
enum { N_SHARES = sizeof shares / sizeof shares[0] };

typedef struct scan {
    const ev_pruner *pruner;
    text csv;
    int32_t n_groups;
} scan;

static int32_t on_point(void *user, const ev_sensitivity *point)
{
    scan *s = user;
    char line[120];
    ev_prune_group g;
    EV_OPTIONS_INIT(&g);
    if (ev_pruner_group(s->pruner, point->group, &g) != EV_OK) {
        return 1;
    }
    text_add(&s->csv, "%d,", (int)point->group);
    text_csv(&s->csv, g.layer);
    text_add(&s->csv, ",%d,%.9g,%.9g,%.9g\n", (int)g.n_channels, point->share, point->loss,
             point->accuracy);
    snprintf(line, sizeof line, "group %d of %d", (int)point->group + 1, (int)s->n_groups);
    show_bar(line);
    return caught_signal() != 0;
}

/* FILE.csv as FILE.svg: one curve a group. */
static int draw_sensitivity(const char *csv, const scan *s)
{
    char path[PATH_SIZE], script[PATH_SIZE], folder[PATH_SIZE];
    text t = {0};
    size_t n = strlen(csv);
    n -= n > 4 && !strcmp(csv + n - 4, ".csv") ? 4 : 0;
    const char *slash = strrchr(csv, '/');
    const char *name = slash ? slash + 1 : csv;
    int stem = (int)(n - (size_t)(name - csv));
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - csv) + 1 : 1, slash ? csv : ".");
    snprintf(path, sizeof path, "%.*s.svg", stem, name);
    plot_begin(&t, path, 720, 420);
    text_add(&t, "set key outside right vertical\nset xlabel 'share of the channels gone, in %%'\n"
                 "set ylabel 'accuracy in %%'\nset yrange [0:100]\nplot ");
    bool any = false;
    for (int32_t i = 0; i < s->n_groups; i++) {
        ev_prune_group g;
        EV_OPTIONS_INIT(&g);
        if (ev_pruner_group(s->pruner, i, &g) == EV_OK && !g.blocked) {
            text_add(&t, "%s'%s' skip 1 using ($1==%d ? 100*$4 : 1/0):(100*$6) with linespoints "
                         "pt 7 ps 0.4 title '", any ? ", \\\n     " : "", name, (int)i);
            for (const char *c = g.layer; *c; c++) {
                text_add(&t, *c == '\'' ? "''" : "%c", *c);
            }
            text_add(&t, "'");
            any = true;
        }
    }
    text_add(&t, "\n");
    snprintf(script, sizeof script, "%.*s.gp", stem, name);
    int code = text_save(&t, path_join(path, folder, script));
    if (code || !any) {
        return code;
    }
    if (!find_program("gnuplot")) {
        note("gnuplot is not installed (apt-get install gnuplot-nox): %s is the script of a "
             "drawing", path);
        return 0;
    }
    return plot_gnuplot(folder, script);
}

static int write_scan(pruning *p, scan *s)
{
    text t = s->csv;
    text copy = {0};
    text_add(&copy, "%s", t.data ? t.data : "");
    memset(&s->csv, 0, sizeof s->csv);
    int code = text_save(&t, p->sensitivity);
    if (!code && p->json) {
        char *fields[8], *next = copy.data;
        bool any = false;
        csv_line(next, fields, 8, &next);
        printf("[");
        while (*next && csv_line(next, fields, 8, &next) == 6) {
            text layer = {0};
            text_json(&layer, fields[1]);
            printf("%s\n {\"group\": %s, \"layer\": %s, \"channels\": %s, \"share\": %s, "
                   "\"loss\": %s, \"accuracy\": %s}", any ? "," : "", fields[0], layer.data,
                   fields[2], fields[3], fields[4], fields[5]);
            text_free(&layer);
            any = true;
        }
        printf("\n]\n");
    } else if (!code) {
        for (char *c = copy.data; c && *c; c++) {
            *c = *c == ',' ? '\t' : *c;
        }
        print_table(&copy, stdout);
    }
    text_free(&copy);
    return code ? code : draw_sensitivity(p->sensitivity, s);
}

int prune_sensitivity(pruning *p)
{
    scan s = {0};
    ev_pruner *pruner = NULL;
    int code = make_pruner(p, &pruner);
    if (code) {
        return code;
    }
    catch_signals();
    s.pruner = pruner;
    s.n_groups = ev_pruner_n_groups(pruner);
    text_add(&s.csv, "group,layer,channels,share,loss,accuracy\n");
    ev_status status = score(p, pruner);
    if (status == EV_OK) {
        status = ev_pruner_sensitivity(pruner, p->parts[PART_VALID], shares, N_SHARES, on_point,
                                       &s);
    }
    clear_bar();
    if (status == EV_ERR_CANCELLED && caught_signal()) {
        fail(0, "stopped; nothing was written");
        code = 128 + caught_signal();
    } else if (status != EV_OK) {
        code = fail_status(EXIT_DATA, status, NULL);
    } else {
        code = write_scan(p, &s);
    }
    text_free(&s.csv);
    ev_pruner_destroy(pruner);
    return code;
}
