/* SPDX-License-Identifier: MIT */
/* edgevision plot: the curves of a run and its confusion matrix, drawn by the program gnuplot. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plot.h"
#include "prune_page.h"

/* Start of every script: the report's page gives text and frame its own colours. */
void plot_begin(text *t, const char *out, int width, int height)
{
    text_add(t, "set terminal svg size %d,%d font 'sans-serif,13' noenhanced\n", width, height);
    text_add(t, "set output '%s'\nset datafile separator ','\nset border 3 lc rgb '" GREY "'\n"
                "set tics nomirror out\nset grid ytics lc rgb '" GREY "' lw 0.3\n"
                "set key outside top center horizontal samplen 2\n", out);
}

int plot_gnuplot(const char *folder, const char *script)
{
    char path[PATH_SIZE], here[PATH_SIZE];
    if (!getcwd(here, sizeof here) || chdir(folder) != 0) {
        return fail(EXIT_IO, "%s: cannot go there", folder);
    }
    snprintf(path, sizeof path, "%s", script);
    char program[] = "gnuplot";
    char *args[] = {program, path, NULL};
    int code = run_program(args);
    if (chdir(here) != 0) {
        return fail(EXIT_IO, "%s: cannot go back there", here);
    }
    return code ? fail(EXIT_IO, "gnuplot failed on %s/%s", folder, script) : 0;
}

static void add_mark(text *t, int best)
{
    if (best > 0) {
        text_add(t, "set arrow 1 from %d, graph 0 to %d, graph 1 nohead dt 3 lc rgb '" GREY "'\n",
                 best, best);
        text_add(t, "set label 1 'best: epoch %d' at %d, graph 0.97 right offset -0.6,0 "
                    "tc rgb '" GREY "'\n", best, best);
    }
}

static int draw_curves(const char *folder, int best, bool alone)
{
    char path[PATH_SIZE];
    text t = {0};
    plot_begin(&t, "loss.svg", 560, 340);
    add_mark(&t, best);
    text_add(&t, "set xlabel 'epoch'\nset ylabel 'loss'\nset yrange [0:*]\n"
                 "plot '../history.csv' skip 1 using 1:2 with lines lw 2 lc rgb '" BLUE "' title "
                 "'training', \\\n"
                 "     '' skip 1 using 1:4 with lines lw 2 lc rgb '" ORANGE "' title "
                 "'validation'\n");
    int code = text_save(&t, path_join(path, folder, "loss.gp"));
    plot_begin(&t, "accuracy.svg", 560, 340);
    add_mark(&t, best);
    text_add(&t, "set xlabel 'epoch'\nset ylabel 'accuracy in %%'\nset yrange [*:100]\n"
                 "unset label 1\n"
                 "plot '../history.csv' skip 1 using 1:(100*$3) with lines lw 2 lc rgb '" BLUE
                 "' title 'training', \\\n"
                 "     '' skip 1 using 1:(100*$5) with lines lw 2 lc rgb '" ORANGE "' title "
                 "'validation'\n");
    if (!code) {
        code = text_save(&t, path_join(path, folder, "accuracy.gp"));
    }
    if (!code && !alone) {
        code = plot_gnuplot(folder, "loss.gp");
    }
    if (!code && !alone) {
        code = plot_gnuplot(folder, "accuracy.gp");
    }
    return code;
}

/* The confusion matrix: shares of the row as colour, counts and shares as text. */
static int draw_confusion(const char *run, const char *folder, bool alone)
{
    char path[PATH_SIZE];
    int code = 0, rows = 0;
    char *csv = text_load(path_join(path, run, "confusion.csv"), EXIT_MODEL, &code);
    char *fields[LIST_MAX + 1], *next = csv;
    text t = {0}, cells = {0};
    if (!csv) {
        return code;
    }
    int n = csv_line(csv, fields, LIST_MAX + 1, &next) - 1;
    plot_begin(&t, "confusion.svg", 560, 420);
    text_add(&t, "set title 'rows: truth; columns: what the model said'\nunset key\n"
                 "unset colorbox\nunset grid\nset border 0\nset tics scale 0\n"
                 "set xrange [-0.5:%d.5]\nset yrange [%d.5:-0.5]\nset cbrange [0:100]\n"
                 "set palette defined (0 '#f7fbff', 50 '#6baed6', 100 '#08519c')\nset xtics (",
             n - 1, n - 1);
    for (int i = 1; i <= n; i++) {
        text_add(&t, "%s'%s' %d", i > 1 ? ", " : "", fields[i], i - 1);
    }
    text_add(&t, ")\nset ytics (");
    while (*next && rows < n) {
        double total = 0;
        int m = csv_line(next, fields, LIST_MAX + 1, &next) - 1;
        for (int i = 1; i <= m; i++) {
            total += atof(fields[i]);
        }
        text_add(&t, "%s'%s' %d", rows ? ", " : "", fields[0], rows);
        for (int i = 1; i <= m; i++) {
            double share = total > 0 ? 100 * atof(fields[i]) / total : 0;
            text_add(&cells, "%d,%d,%.4g,%s (%.0f %%),%d\n", i - 1, rows, share, fields[i], share,
                     share > 50 ? 0xffffff : 0);
        }
        rows++;
    }
    free(csv);
    text_add(&t, ")\nplot 'cells.csv' using 1:2:3 with image, \\\n"
                 "     '' using 1:2:4:5 with labels tc rgb variable\n");
    code = text_save(&cells, path_join(path, folder, "cells.csv"));
    if (!code) {
        code = text_save(&t, path_join(path, folder, "confusion.gp"));
    } else {
        text_free(&t);
    }
    return code || alone ? code : plot_gnuplot(folder, "confusion.gp");
}

int draw_plots(const char *run)
{
    char folder[PATH_SIZE], path[PATH_SIZE], best[32] = "0";
    int code = make_folder(path_join(folder, run, "plots"));
    bool alone = !find_program("gnuplot");
    if (code) {
        return code;
    }
    char *json = text_load(path_join(path, run, "run.json"), EXIT_MODEL, &code);
    if (!json) {
        return code;
    }
    json_find(json, "best_epoch", best, sizeof best);
    free(json);
    code = draw_curves(folder, atoi(best), alone);
    if (!code && file_exists(path_join(path, run, "confusion.csv"))) {
        code = draw_confusion(run, folder, alone);
    }
    if (!code && alone) {
        note("gnuplot is not installed (apt-get install gnuplot-nox): %s has the scripts, but no "
             "pictures", folder);
    }
    return code;
}

int verb_plot(int argc, char **argv)
{
    syntax s = {.verb = "plot", .usage = "RUN | TABLE",
                .purpose = "Draw RUN/plots/loss.svg, accuracy.svg and confusion.svg with the "
                           "program gnuplot; scripts and\nnumbers stay beside them.  Of the folder "
                           "of a sweep: figure5.svg (accuracy over\nparameters) and figure6.svg "
                           "(seconds over parameters); of tune: figure7.svg\n(confusion matrix); "
                           "of prune: ms.svg and macs.svg (accuracy over them).",
                .min_rest = 1, .max_rest = 1};
    int code = options_parse(&s, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    char path[PATH_SIZE];
    if (is_prune_run(s.files[0])) {
        return draw_prune_plots(s.files[0]);
    }
    return file_exists(path_join(path, s.files[0], "results.csv")) ? draw_table_plots(s.files[0])
                                                                   : draw_plots(s.files[0]);
}
