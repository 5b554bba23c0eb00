/* SPDX-License-Identifier: MIT */
/* The page about a pruning run, from prune.json and report.json in its folder, and its plots. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plot.h"
#include "prune_page.h"
#include "report.h"

enum { MAX_STEPS = 512 };

typedef struct page_step {
    double step, goal, parameters, macs, ms, pruned, tuned, epochs, seconds;
    bool kept;
} page_step;

typedef struct page {
    report base;    /* prune.json, the smaller model, the text */
    char *json;     /* report.json */
    page_step steps[MAX_STEPS];
    int n;
    double random, scratch, floor; /* NaN: none */
} page;

/* ---- reading --------------------------------------------------------------------------------- */

static double number_at(const char *json, const char *key)
{
    char value[64];
    if (!json || !json_find(json, key, value, sizeof value) || !strcmp(value, "null")) {
        return (double)NAN;
    }
    return strtod(value, NULL);
}

/* "key": {"before": x, "after": y} */
static double half_of(const page *p, const char *key, const char *half)
{
    char want[64];
    snprintf(want, sizeof want, "\"%s\": {", key);
    return number_at(strstr(p->json, want), half);
}

static void read_steps(page *p)
{
    for (const char *at = strstr(p->json, "{\"step\":"); at && p->n < MAX_STEPS;
         at = strstr(at + 1, "{\"step\":")) {
        char kept[16] = "";
        page_step s = {number_at(at, "step"), number_at(at, "goal"), number_at(at, "parameters"),
                       number_at(at, "macs"), number_at(at, "ms"), number_at(at, "accuracy_pruned"),
                       number_at(at, "accuracy"), number_at(at, "epochs"), number_at(at, "seconds"),
                       false};
        json_find(at, "kept", kept, sizeof kept);
        s.kept = !strcmp(kept, "true");
        p->steps[p->n++] = s;
    }
}

static int read_page(page *p, const char *run)
{
    char path[PATH_SIZE];
    int code = 0;
    p->base.run = run;
    p->base.json = text_load(path_join(path, run, "prune.json"), EXIT_MODEL, &code);
    if (!p->base.json) {
        return code;
    }
    if (strcmp(report_value(&p->base, "state"), "done") != 0 ||
        !file_exists(path_join(path, run, "report.json"))) {
        return fail(EXIT_MODEL, "%s is not finished; go on with: %s", run,
                    report_value(&p->base, "command"));
    }
    p->json = text_load(path, EXIT_MODEL, &code);
    if (!p->json) {
        return code;
    }
    const char *controls = strstr(p->json, "\"controls\":");
    p->random = number_at(controls, "random");
    p->scratch = number_at(controls, "scratch");
    p->floor = number_at(p->json, "accuracy_floor");
    read_steps(p);
    return 0;
}

static void free_page(page *p)
{
    text_free(&p->base.page);
    ev_model_destroy(p->base.model);
    free(p->base.json);
    free(p->json);
    free(p);
}

/* ---- tiles ----------------------------------------------------------------------------------- */

static void tile(text *t, double before, double after, double scale, const char *unit,
                 const char *what, bool first)
{
    text_add(t, "<div class='card tile%s'><b>", first ? " main" : "");
    if (isfinite(before) && isfinite(after)) {
        text_add(t, "%.4g%s</b><span>%s<br>before: %.4g%s", scale * after, unit, what,
                 scale * before, unit);
        if (!first && before > 0) {
            text_add(t, " (&minus;%.0f %%)", 100 - 100 * after / before);
        }
    } else {
        text_add(t, "&ndash;</b><span>%s", what);
    }
    text_add(t, "</span></div>\n");
}

static void add_headline(page *p)
{
    text *t = &p->base.page;
    char summary[1024] = "";
    json_find(p->json, "summary", summary, sizeof summary);
    text_add(t, "<h1>A smaller model</h1>\n<p class=sub><b>");
    text_html(t, summary);
    text_add(t, "</b></p>\n<div class=grid>\n");
    double before = number_at(p->base.json, "test_before");
    double after = number_at(p->base.json, "test_after");
    bool test = isfinite(after);
    tile(t, test ? before : half_of(p, "accuracy", "before"),
         test ? after : half_of(p, "accuracy", "after"), 100, " %",
         test ? "accuracy on the test set" : "accuracy on the validation set", true);
    tile(t, half_of(p, "ms", "before"), half_of(p, "ms", "after"), 1, " ms", "a picture", false);
    tile(t, half_of(p, "macs", "before"), half_of(p, "macs", "after"), 1e-6, " M",
         "multiply-adds a picture", false);
    tile(t, half_of(p, "parameters", "before"), half_of(p, "parameters", "after"), 1e-3, " k",
         "parameters", false);
}

/* ---- plots, drawn here: the page needs no other program -------------------------------------- */

enum { WIDE = 520, HIGH = 320, LEFT = 52, RIGHT = 24, TOP = 14, BOTTOM = 44 };

typedef struct frame {
    double x1, y0, y1; /* x from 0 */
} frame;

static double place_x(const frame *f, double x)
{
    return LEFT + (WIDE - LEFT - RIGHT) * x / f->x1;
}

static double place_y(const frame *f, double y)
{
    return TOP + (HIGH - TOP - BOTTOM) * (f->y1 - y) / (f->y1 - f->y0);
}

static double x_of(const page_step *s, bool ms)
{
    return ms ? s->ms : s->macs * 1e-6;
}

static frame make_frame(const page *p, bool ms)
{
    frame f = {0, 1, 1};
    const double others[] = {p->random, p->scratch, p->floor};
    for (int i = 0; i < p->n; i++) {
        f.x1 = fmax(f.x1, x_of(&p->steps[i], ms));
        f.y0 = fmin(f.y0, fmin(p->steps[i].pruned, p->steps[i].tuned));
    }
    for (int i = 0; i < 3; i++) {
        f.y0 = fmin(f.y0, others[i]); /* NaN loses */
    }
    f.x1 = f.x1 > 0 ? 1.05 * f.x1 : 1;
    f.y0 = fmax(0, floor(10 * f.y0 - 0.2) / 10);
    return f;
}

static void add_axes(text *t, const frame *f, const char *label)
{
    for (int i = 0; i <= 4; i++) {
        double y = f->y0 + (f->y1 - f->y0) * i / 4;
        text_add(t, "<line x1=%d x2=%d y1=%.1f y2=%.1f stroke='var(--line)'/>"
                    "<text x=%d y=%.1f text-anchor=end>%.4g</text>",
                 LEFT, WIDE - RIGHT, place_y(f, y), place_y(f, y), LEFT - 8, place_y(f, y) + 4,
                 100 * y);
    }
    double each = pow(10, floor(log10(f->x1)));
    each *= f->x1 >= 4 * each ? 1 : f->x1 >= 2 * each ? 0.5 : 0.2;
    for (double x = 0; x <= f->x1; x += each) {
        text_add(t, "<text x=%.1f y=%d text-anchor=middle>%.4g</text>", place_x(f, x),
                 HIGH - BOTTOM + 18, x);
    }
    text_add(t, "<text x=%d y=%d text-anchor=middle>%s</text>\n", (LEFT + WIDE) / 2, HIGH - 6,
             label);
}

static void add_mark(text *t, const frame *f, double x, double y, const char *style,
                     const char *title)
{
    if (isfinite(x) && isfinite(y)) {
        text_add(t, "<circle cx=%.1f cy=%.1f r=5 %s><title>%s: %.2f %%</title></circle>\n",
                 place_x(f, x), place_y(f, y), style, title, 100 * y);
    }
}

static void add_plot(page *p, bool ms)
{
    text *t = &p->base.page;
    frame f = make_frame(p, ms);
    double end = (double)NAN;
    text_add(t, "<section class='card half plot'><h2>Accuracy in %% over %s</h2>\n"
                "<svg viewBox='0 0 %d %d' font-size=13 fill='var(--soft)'>",
             ms ? "milliseconds" : "multiply-adds", WIDE, HIGH);
    add_axes(t, &f, ms ? "milliseconds a picture" : "million multiply-adds a picture");
    text_add(t, "<polyline fill=none stroke='var(--blue)' stroke-width=2 points='");
    for (int i = 0; i < p->n; i++) {
        double x = x_of(&p->steps[i], ms);
        if (p->steps[i].kept && isfinite(x)) {
            text_add(t, "%.1f,%.1f ", place_x(&f, x), place_y(&f, p->steps[i].tuned));
            end = x;
        }
    }
    text_add(t, "'/>\n");
    if (isfinite(p->floor)) {
        text_add(t, "<line x1=%d x2=%d y1=%.1f y2=%.1f stroke='var(--orange)' "
                    "stroke-dasharray='6 4'/>\n", LEFT, WIDE - RIGHT, place_y(&f, p->floor),
                 place_y(&f, p->floor));
    }
    for (int i = 0; i < p->n; i++) {
        const page_step *s = &p->steps[i];
        add_mark(t, &f, x_of(s, ms), s->pruned, "fill='var(--card)' stroke='var(--blue)'",
                 "before fine-tuning");
        add_mark(t, &f, x_of(s, ms), s->tuned,
                 s->kept ? "fill='var(--blue)'" : "fill='var(--orange)'",
                 s->kept ? "fine-tuned" : "taken back");
    }
    add_mark(t, &f, end, p->random, "fill='var(--soft)'", "channels taken by chance");
    add_mark(t, &f, end, p->scratch, "fill='var(--ink)'", "from random weights");
    text_add(t, "</svg>\n<p class=sub style='margin:0'>Line: after fine-tuning. Hollow: before it. "
                "Grey: channels taken by chance. Dark: the same layers from random weights. "
                "Orange: the floor, and what fell below it.</p></section>\n");
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void cell(text *t, double x, const char *format, double scale)
{
    text_add(t, "<td class=n>");
    if (isfinite(x)) {
        text_add(t, format, scale * x);
    } else {
        text_add(t, "&ndash;");
    }
}

static void add_pairs(page *p)
{
    static const struct {
        const char *key, *name, *format;
        double scale;
    } rows[] = {
        {"accuracy", "accuracy, validation set", "%.2f %%", 100},
        {"parameters", "parameters", "%.0f", 1},
        {"macs", "multiply-adds", "%.0f", 1},
        {"file_bytes", "bytes of the file", "%.0f", 1},
        {"memory_bytes", "bytes of memory", "%.0f", 1},
        {"channels", "channels", "%.0f", 1},
        {"ms", "milliseconds, measured in turn", "%.4g", 1},
    };
    text *t = &p->base.page;
    text_add(t, "<section class='card half'><h2>Before and after</h2>\n<table class=lines><tr><th>"
                "<th class=n>before<th class=n>after<th class=n>ratio");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double before = half_of(p, rows[i].key, "before"), after = half_of(p, rows[i].key, "after");
        text_add(t, "<tr><td>%s", rows[i].name);
        cell(t, before, rows[i].format, rows[i].scale);
        cell(t, after, rows[i].format, rows[i].scale);
        cell(t, before > 0 ? after / before : (double)NAN, "%.3f", 1);
    }
    if (isfinite(number_at(p->base.json, "test_after"))) {
        text_add(t, "<tr><td>accuracy, test set (%s pictures)",
                 report_value(&p->base, "test_pictures"));
        cell(t, number_at(p->base.json, "test_before"), "%.2f %%", 100);
        cell(t, number_at(p->base.json, "test_after"), "%.2f %%", 100);
        text_add(t, "<td>");
    }
    text_add(t, "</table></section>\n<section class='card half'><h2>Was it worth it?</h2>\n"
                "<table class=lines><tr><th>validation set<th class=n>accuracy");
    text_add(t, "<tr><td>pruned (%s) and fine-tuned", report_value(&p->base, "criterion"));
    cell(t, half_of(p, "accuracy", "after"), "%.2f %%", 100);
    text_add(t, "<tr><td>channels taken by chance, fine-tuned alike");
    cell(t, p->random, "%.2f %%", 100);
    text_add(t, "<tr><td>the same layers from random weights, as many epochs");
    cell(t, p->scratch, "%.2f %%", 100);
    text_add(t, "</table>\n<p class=sub style='margin:12px 0 0'>If one of the two controls is as "
                "good, the criterion, or the big model, was not needed.</p></section>\n");
}

static void add_steps(page *p)
{
    text *t = &p->base.page;
    text_add(t, "<section class=card><h2>Steps</h2>\n<table class=lines><tr><th>step<th class=n>aim"
                "<th class=n>parameters<th class=n>multiply-adds<th class=n>ms<th class=n>pruned"
                "<th class=n>fine-tuned<th class=n>epochs<th class=n>seconds<th>");
    for (int i = 0; i < p->n; i++) {
        const page_step *s = &p->steps[i];
        text_add(t, "<tr><td>%.0f", s->step);
        cell(t, s->goal, "%.1f %%", 100);
        cell(t, s->parameters, "%.0f", 1);
        cell(t, s->macs, "%.0f", 1);
        cell(t, s->ms, "%.4g", 1);
        cell(t, s->pruned, "%.2f %%", 100);
        cell(t, s->tuned, "%.2f %%", 100);
        cell(t, s->epochs, "%.0f", 1);
        cell(t, s->seconds, "%.1f", 1);
        text_add(t, "<td>%s", s->kept ? "" : "taken back");
    }
    text_add(t, "</table></section>\n");
}

static void add_command(page *p)
{
    char command[PATH_SIZE] = "";
    text *t = &p->base.page;
    json_find(p->base.json, "command", command, sizeof command);
    text_add(t, "<section class=card><h2>How it was made</h2>\n<pre>");
    text_html(t, command);
    text_add(t, "</pre>\n<p class=sub style='margin:0'>%s pictures for fine-tuning, %s for "
                "validation, %s for the test; libedgevision %s.</p></section>\n",
             report_value(&p->base, "train_pictures"), report_value(&p->base, "valid_pictures"),
             report_value(&p->base, "test_pictures"), report_value(&p->base, "library"));
}

/* ---- the page -------------------------------------------------------------------------------- */

static int build(page *p)
{
    char path[PATH_SIZE];
    text *t = &p->base.page;
    int code = 0;
    text_add(t, "<!doctype html>\n<html lang=en><meta charset=utf-8>\n"
                "<meta name=viewport content='width=device-width,initial-scale=1'>\n"
                "<title>edgevision: pruning</title>\n<style>\n%s</style>\n<main>\n", report_style);
    add_headline(p);
    add_plot(p, true);
    add_plot(p, false);
    add_pairs(p);
    add_steps(p);
    if (file_exists(path_join(path, p->base.run, "model.onnx"))) {
        code = open_model(p->base.ctx, p->base.run, &p->base.model);
        code = code ? code : report_layers(&p->base);
    }
    add_command(p);
    text_add(t, "</div>\n</main>\n</html>\n");
    return code;
}

bool is_prune_run(const char *run)
{
    char path[PATH_SIZE];
    return file_exists(path_join(path, run, "prune.json"));
}

int write_prune_report(ev_context *ctx, const char *run, const char *out)
{
    page *p = calloc(1, sizeof *p);
    if (!p) {
        return fail(EXIT_MEMORY, "out of memory");
    }
    p->base.ctx = ctx;
    int code = read_page(p, run);
    if (!code) {
        code = build(p);
    }
    if (!code) {
        code = text_save(&p->base.page, out);
    }
    free_page(p);
    return code;
}

/* ---- the same curves as files, by gnuplot ---------------------------------------------------- */

static int draw(const page *p, const char *folder)
{
    char path[PATH_SIZE];
    text csv = {0}, t = {0};
    text_add(&csv, "step,parameters,macs,ms,accuracy_pruned,accuracy,kept\n");
    for (int i = 0; i < p->n; i++) {
        const page_step *s = &p->steps[i];
        text_add(&csv, "%.0f,%.0f,%.0f,%.9g,%.9g,%.9g,%d\n", s->step, s->parameters, s->macs, s->ms,
                 s->pruned, s->tuned, (int)s->kept);
    }
    int code = text_save(&csv, path_join(path, folder, "steps.csv"));
    for (int ms = 0; ms < 2 && !code; ms++) {
        const char *x = ms ? "4" : "($3/1e6)";
        plot_begin(&t, ms ? "ms.svg" : "macs.svg", 560, 340);
        text_add(&t, "set xlabel '%s a picture'\nset ylabel 'accuracy in %%'\nset xrange [0:*]\n"
                     "plot 'steps.csv' skip 1 using %s:($7 == 1 ? 100*$6 : 1/0) with linespoints "
                     "pt 7 lc rgb '" BLUE "' title 'fine-tuned', \\\n"
                     "     '' skip 1 using %s:(100*$5) with points pt 6 lc rgb '" ORANGE
                     "' title 'before'\n", ms ? "milliseconds" : "million multiply-adds", x, x);
        code = text_save(&t, path_join(path, folder, ms ? "ms.gp" : "macs.gp"));
        if (!code && find_program("gnuplot")) {
            code = plot_gnuplot(folder, ms ? "ms.gp" : "macs.gp");
        }
    }
    if (!code && !find_program("gnuplot")) {
        note("gnuplot is not installed (apt-get install gnuplot-nox): %s has the scripts, but no "
             "pictures", folder);
    }
    return code;
}

int draw_prune_plots(const char *run)
{
    char folder[PATH_SIZE];
    page *p = calloc(1, sizeof *p);
    if (!p) {
        return fail(EXIT_MEMORY, "out of memory");
    }
    int code = read_page(p, run);
    if (!code) {
        code = make_folder(path_join(folder, run, "plots"));
    }
    if (!code) {
        code = draw(p, folder);
    }
    free_page(p);
    return code;
}
