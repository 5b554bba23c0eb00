/* SPDX-License-Identifier: MIT */
/* Figures of a table of runs, after the paper's: 5 (accuracy over parameters), 6 (seconds of
   training over parameters), 7 (confusion matrix).  Means over seeds; numbers as CSV beside. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plot.h"

enum { MAX_FIELDS = 64 };

/* ---- results.csv ----------------------------------------------------------------------------- */

static double number(char *const *names, char *const *fields, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        if (!strcmp(names[i], name)) {
            return *fields[i] ? atof(fields[i]) : NAN;
        }
    }
    return NAN;
}

static void read_row(char *const *names, char *const *fields, int n, result_row *r)
{
    for (int i = 0; i < n; i++) {
        if (!strcmp(names[i], "arch")) {
            snprintf(r->arch, sizeof r->arch, "%s", fields[i]);
        }
    }
    r->parameters = number(names, fields, n, "parameters");
    r->subset = number(names, fields, n, "subset");
    r->seconds = number(names, fields, n, "seconds");
    r->valid_accuracy = number(names, fields, n, "valid_accuracy");
    r->valid_loss = number(names, fields, n, "valid_loss");
    r->test_accuracy = number(names, fields, n, "test_accuracy");
}

int load_results(const char *folder, result_row **out, int *n_out)
{
    char path[PATH_SIZE], *names[MAX_FIELDS], *fields[MAX_FIELDS], *next;
    int code = 0, n = 0, room = 1;
    char *csv = text_load(path_join(path, folder, "results.csv"), EXIT_MODEL, &code);
    *out = NULL;
    *n_out = 0;
    if (!csv) {
        return code;
    }
    for (const char *c = csv; *c; c++) {
        room += *c == '\n';
    }
    result_row *rows = calloc((size_t)room, sizeof *rows);
    int n_names = csv_line(csv, names, MAX_FIELDS, &next);
    while (rows && *next && n < room) {
        if (csv_line(next, fields, MAX_FIELDS, &next) < n_names) {
            break;
        }
        read_row(names, fields, n_names, &rows[n++]);
    }
    free(csv);
    *out = rows;
    *n_out = n;
    return rows ? 0 : fail(EXIT_MEMORY, "out of memory");
}

/* ---- figures 5 and 6 ------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    const result_row *x = a, *y = b;
    if (x->parameters != y->parameters) {
        return x->parameters < y->parameters ? -1 : 1;
    }
    return strcmp(x->arch, y->arch);
}

static int distinct_subsets(const result_row *rows, int n, double *out)
{
    int found = 0;
    for (int i = 0; i < n; i++) {
        int at = 0;
        while (at < found && out[at] < rows[i].subset) {
            at++;
        }
        if ((at < found && out[at] == rows[i].subset) || found == LIST_MAX) {
            continue;
        }
        memmove(&out[at + 1], &out[at], (size_t)(found - at) * sizeof *out);
        out[at] = rows[i].subset;
        found++;
    }
    return found;
}

/* Mean over the rows from..to-1 (one net) that belong to a subset. */
static double mean_of(const result_row *rows, int from, int to, double subset, bool accuracy)
{
    double sum = 0;
    int n = 0;
    for (int i = from; i < to; i++) {
        if (rows[i].subset == subset) {
            sum += accuracy ? 100 * rows[i].valid_accuracy : rows[i].seconds;
            n++;
        }
    }
    return n ? sum / n : NAN;
}

static int save_means(const result_row *rows, int n, const char *path, bool accuracy)
{
    double subsets[LIST_MAX + 1];
    int n_subsets = distinct_subsets(rows, n, subsets);
    text t = {0};
    text_add(&t, "arch,parameters");
    for (int s = 0; s < n_subsets; s++) {
        text_add(&t, ",%.4g %%", 100 * subsets[s]);
    }
    for (int from = 0, to; from < n; from = to) {
        for (to = from; to < n && by_size(&rows[from], &rows[to]) == 0;) {
            to++;
        }
        text_add(&t, "\n");
        text_csv(&t, rows[from].arch);
        text_add(&t, ",%.0f", rows[from].parameters);
        for (int s = 0; s < n_subsets; s++) {
            double mean = mean_of(rows, from, to, subsets[s], accuracy);
            text_add(&t, isfinite(mean) ? ",%.6g" : ",", mean);
        }
    }
    text_add(&t, "\n");
    return text_save(&t, path);
}

/* Rows are sorted by size. */
static int draw_lines(const char *folder, const result_row *rows, int n, bool accuracy)
{
    static const char *const colors[] = {BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00", "#56b4e9"};
    const char *name = accuracy ? "figure5" : "figure6";
    char path[PATH_SIZE], file[40];
    double subsets[LIST_MAX + 1];
    int n_subsets = distinct_subsets(rows, n, subsets);
    text t = {0};
    snprintf(file, sizeof file, "%s.csv", name);
    int code = save_means(rows, n, path_join(path, folder, file), accuracy);
    snprintf(file, sizeof file, "%s.svg", name);
    plot_begin(&t, file, 640, 400);
    double low = HUGE_VAL, high = 0;
    for (int i = 0; i < n; i++) {
        double y = accuracy ? 100 * rows[i].valid_accuracy : rows[i].seconds;
        low = fmin(low, y);
        high = fmax(high, y);
    }
    text_add(&t, "set logscale x\nset xlabel 'parameters'\nset format x '%%.0s %%c'\n"
                 "set xrange [%.9g:%.9g]\n", rows[0].parameters / 1.5,
             rows[n - 1].parameters * 1.5);
    text_add(&t, accuracy ? "set yrange [%.9g:100]\nset ylabel 'validation accuracy in %%'\nplot "
                          : "set logscale y\nset yrange [%.9g:%.9g]\n"
                            "set ylabel 'seconds of training'\nplot ",
             accuracy ? 5 * floor(fmin(low, 99) / 5) : fmax(low, 1e-6) / 1.5,
             fmax(high, 1e-6) * 1.5);
    for (int s = 0; s < n_subsets; s++) {
        text_add(&t, "%s'%s.csv' skip 1 using 2:%d with linespoints lw 2 pt 7 ps 0.6 lc rgb '%s' "
                     "title '%.4g %% of the pictures'",
                 s ? ", \\\n     " : "", name, s + 3, colors[s % N_OPTIONS(colors)],
                 100 * subsets[s]);
    }
    text_add(&t, "\n");
    snprintf(file, sizeof file, "%s.gp", name);
    if (code) {
        text_free(&t);
        return code;
    }
    return text_save(&t, path_join(path, folder, file));
}

/* ---- figure 7 -------------------------------------------------------------------------------- */

/* figure7.csv: rows prediction, columns truth, in % of the truth. */
static int draw_matrix(const char *table, const char *folder)
{
    char path[PATH_SIZE], *fields[MAX_FIELDS], *next;
    int code = 0, rows = 0;
    char *csv = text_load(path_join(path, table, "figure7.csv"), EXIT_MODEL, &code);
    text t = {0}, cells = {0};
    if (!csv) {
        return code;
    }
    int n = csv_line(csv, fields, MAX_FIELDS, &next) - 1;
    plot_begin(&t, "figure7.svg", 560, 420);
    text_add(&t, "set title 'rows: prediction; columns: truth; in %% of the truth' offset -4,0\n"
                 "unset key\nunset colorbox\nunset grid\nset border 0\nset tics scale 0\n"
                 "set xrange [-0.5:%d.5]\nset yrange [%d.5:-0.5]\nset cbrange [0:100]\n"
                 "set palette defined (0 '#f7fbff', 50 '#6baed6', 100 '#08519c')\nset xtics (",
             n - 1, n - 1);
    for (int i = 1; i <= n; i++) {
        text_add(&t, "%s'%s' %d", i > 1 ? ", " : "", fields[i], i - 1);
    }
    text_add(&t, ")\nset ytics (");
    for (; *next && rows < n; rows++) {
        int m = csv_line(next, fields, MAX_FIELDS, &next) - 1;
        text_add(&t, "%s'%s' %d", rows ? ", " : "", fields[0], rows);
        for (int i = 1; i <= m; i++) {
            double share = *fields[i] ? atof(fields[i]) : 0;
            text_add(&cells, "%d,%d,%.4g,%.0f,%d\n", i - 1, rows, share, share,
                     share > 50 ? 0xffffff : 0);
        }
    }
    free(csv);
    text_add(&t, ")\nplot 'figure7_cells.csv' using 1:2:3 with image, \\\n"
                 "     '' using 1:2:4:5 with labels tc rgb variable\n");
    code = text_save(&cells, path_join(path, folder, "figure7_cells.csv"));
    if (code) {
        text_free(&t);
        return code;
    }
    return text_save(&t, path_join(path, folder, "figure7.gp"));
}

int draw_table_plots(const char *table)
{
    static const char *const scripts[] = {"figure5.gp", "figure6.gp", "figure7.gp"};
    char folder[PATH_SIZE], path[PATH_SIZE];
    result_row *rows = NULL;
    int n = 0, code = load_results(table, &rows, &n);
    bool matrix = file_exists(path_join(path, table, "figure7.csv"));
    if (!code) {
        code = make_folder(path_join(folder, table, "plots"));
    }
    if (!code && n && !matrix) {
        qsort(rows, (size_t)n, sizeof *rows, by_size);
        code = draw_lines(folder, rows, n, true);
    }
    if (!code && n && !matrix) {
        code = draw_lines(folder, rows, n, false);
    }
    if (!code && matrix) {
        code = draw_matrix(table, folder);
    }
    free(rows);
    bool alone = !find_program("gnuplot");
    for (int i = 0; i < N_OPTIONS(scripts) && !code && !alone; i++) {
        if (file_exists(path_join(path, folder, scripts[i]))) {
            code = plot_gnuplot(folder, scripts[i]);
        }
    }
    if (!code && alone) {
        note("gnuplot is not installed (apt-get install gnuplot-nox): %s has the scripts, but no "
             "pictures", folder);
    }
    return code;
}
