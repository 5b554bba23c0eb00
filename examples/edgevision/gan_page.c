/* SPDX-License-Identifier: MIT */
/* index.html of a CycleGAN's run: losses as curves, the sheet of every epoch, newest first.  It
   needs no other file but those sheets, no script and no server. */
#include "gan.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

enum { MAX_COLUMNS = 16, WIDE = 520, HIGH = 300, LEFT = 52, RIGHT = 16, TOP = 14, BOTTOM = 40 };

typedef struct gan_page {
    const char *run;
    char *json, *csv;
    const char *names[MAX_COLUMNS];
    double *rows; /* n_rows of n_columns */
    int n_rows, n_columns;
    text page;
} gan_page;

/* ---- reading --------------------------------------------------------------------------------- */

static int read_losses(gan_page *p)
{
    char path[PATH_SIZE], *fields[MAX_COLUMNS], *next;
    int code = 0, lines = 0;
    p->csv = text_load(path_join(path, p->run, "losses.csv"), EXIT_MODEL, &code);
    if (!p->csv) {
        return code;
    }
    for (const char *c = p->csv; *c; c++) {
        lines += *c == '\n';
    }
    p->rows = calloc((size_t)lines + 1, MAX_COLUMNS * sizeof *p->rows);
    if (!p->rows) {
        return fail(EXIT_MEMORY, "out of memory");
    }
    p->n_columns = csv_line(p->csv, fields, MAX_COLUMNS, &next);
    for (int i = 0; i < p->n_columns; i++) {
        p->names[i] = fields[i];
    }
    while (*next && p->n_rows < lines) {
        int n = csv_line(next, fields, MAX_COLUMNS, &next);
        for (int i = 0; i < n; i++) {
            p->rows[p->n_rows * p->n_columns + i] = strtod(fields[i], NULL);
        }
        p->n_rows += n == p->n_columns;
    }
    return 0;
}

static int column_of(const gan_page *p, const char *name)
{
    for (int i = 0; i < p->n_columns; i++) {
        if (!strcmp(p->names[i], name)) {
            return i;
        }
    }
    return -1;
}

static double value_at(const gan_page *p, int row, int column)
{
    return p->rows[row * p->n_columns + column];
}

/* ---- curves ---------------------------------------------------------------------------------- */

typedef struct curve {
    const char *name, *style;
} curve;

static double place_x(const gan_page *p, double epoch)
{
    double last = p->n_rows > 1 ? value_at(p, p->n_rows - 1, 0) : 2;
    return LEFT + (WIDE - LEFT - RIGHT) * (epoch - 1) / (last - 1);
}

static double place_y(double y, double top)
{
    return TOP + (HIGH - TOP - BOTTOM) * (1 - y / top);
}

static void add_axes(gan_page *p, double top)
{
    text *t = &p->page;
    double last = p->n_rows > 1 ? value_at(p, p->n_rows - 1, 0) : 2;
    for (int i = 0; i <= 4; i++) {
        double y = top * i / 4;
        text_add(t,
                 "<line x1=%d x2=%d y1=%.1f y2=%.1f stroke='var(--line)'/>"
                 "<text x=%d y=%.1f text-anchor=end>%.3g</text>",
                 LEFT, WIDE - RIGHT, place_y(y, top), place_y(y, top), LEFT - 8,
                 place_y(y, top) + 4, y);
        double x = floor(1 + (last - 1) * i / 4);
        text_add(t, "<text x=%.1f y=%d text-anchor=middle>%.0f</text>", place_x(p, x),
                 HIGH - BOTTOM + 18, x);
    }
    text_add(t, "<text x=%d y=%d text-anchor=middle>epoch</text>\n", (LEFT + WIDE) / 2, HIGH - 4);
}

/* Four steps of 1, 2, 2.5 or 5 times a power of ten. */
static double round_up(double top)
{
    static const double steps[] = {1, 2, 2.5, 5, 10};
    double each = pow(10, floor(log10(top / 4)));
    int i = 0;
    while (i < 4 && 4 * steps[i] * each < top) {
        i++;
    }
    return 4 * steps[i] * each;
}

static double highest(const gan_page *p, const curve *curves, int n)
{
    double top = 0;
    for (int c = 0; c < n; c++) {
        int column = column_of(p, curves[c].name);
        for (int i = 0; column >= 0 && i < p->n_rows; i++) {
            top = fmax(top, value_at(p, i, column));
        }
    }
    return top > 0 ? round_up(top) : 1;
}

static void add_chart(gan_page *p, const char *title, const curve *curves, int n, const char *words)
{
    text *t = &p->page;
    double top = highest(p, curves, n);
    text_add(t,
             "<section class='card half plot'><h2>%s</h2>\n"
             "<svg viewBox='0 0 %d %d' font-size=13 fill='var(--soft)'>",
             title, WIDE, HIGH);
    add_axes(p, top);
    for (int c = 0; c < n; c++) {
        int column = column_of(p, curves[c].name);
        if (column < 0) {
            continue;
        }
        text_add(t, "<polyline fill=none stroke-width=2 %s points='", curves[c].style);
        for (int i = 0; i < p->n_rows; i++) {
            text_add(t, "%.1f,%.1f ", place_x(p, value_at(p, i, 0)),
                     place_y(value_at(p, i, column), top));
        }
        text_add(t, "'><title>%s</title></polyline>\n", curves[c].name);
    }
    text_add(t, "</svg>\n<p class=sub style='margin:0'>");
    for (int c = 0; c < n; c++) {
        if (column_of(p, curves[c].name) >= 0) {
            text_add(t,
                     "<svg style='width:26px;height:10px;display:inline'><line x1=0 x2=22 y1=6 "
                     "y2=6 stroke-width=2 %s/>"
                     "</svg>%s &ensp;",
                     curves[c].style, curves[c].name);
        }
    }
    text_add(t, "<br>%s</p></section>\n", words);
}

static void add_curves(gan_page *p)
{
    static const curve game[] = {{"D_A", "stroke='var(--blue)'"},
                                 {"G_A", "stroke='var(--orange)'"},
                                 {"D_B", "stroke='var(--blue)' stroke-dasharray='5 4'"},
                                 {"G_B", "stroke='var(--orange)' stroke-dasharray='5 4'"}};
    static const curve back[] = {{"cycle_A", "stroke='var(--blue)'"},
                                 {"idt_A", "stroke='var(--orange)'"},
                                 {"cycle_B", "stroke='var(--blue)' stroke-dasharray='5 4'"},
                                 {"idt_B", "stroke='var(--orange)' stroke-dasharray='5 4'"},
                                 {"class_A", "stroke='var(--ink)'"},
                                 {"class_B", "stroke='var(--ink)' stroke-dasharray='5 4'"}};
    add_chart(p, "The game", game, 4,
              "D judges what G makes. Neither falls to zero in a good run: D at 0.25 cannot tell "
              "made pictures from real ones; D near 0 and G near 1 mean that the generator has "
              "lost.");
    add_chart(p, "There and back, and left alone", back, 6,
              "cycle: after the way there and back. idt: a picture that is in the right set "
              "already. Both fall as long as the run learns, each times its weight.");
}

/* ---- the page -------------------------------------------------------------------------------- */

static void add_tiles(gan_page *p)
{
    static const struct {
        const char *key, *words;
    } tiles[] = {{"epochs_done", "epochs"},
                 {"pictures_a", "pictures of A"},
                 {"pictures_b", "pictures of B"},
                 {"size", "pixels that the networks see"}};
    char value[PATH_SIZE];
    text *t = &p->page;
    text_add(t, "<h1>CycleGAN</h1>\n<p class=sub>A: <b>");
    text_html(t, json_find(p->json, "data_a", value, sizeof value) ? value : "?");
    text_add(t, "</b>, B: <b>");
    text_html(t, json_find(p->json, "data_b", value, sizeof value) ? value : "?");
    text_add(t, "</b>. G_A carries A to B, G_B carries B to A.</p>\n<div class=grid>\n");
    for (size_t i = 0; i < sizeof tiles / sizeof tiles[0]; i++) {
        bool epochs = i == 0;
        if (epochs) {
            snprintf(value, sizeof value, "%.0f", p->n_rows ? value_at(p, p->n_rows - 1, 0) : 0);
        } else if (!json_find(p->json, tiles[i].key, value, sizeof value)) {
            value[0] = '\0';
        }
        text_add(t, "<div class='card tile%s'><b>%s", epochs ? " main" : "", value);
        if (epochs && json_find(p->json, "epochs", value, sizeof value)) {
            text_add(t, " of %s", value);
        }
        text_add(t, "</b><span>%s</span></div>\n", tiles[i].words);
    }
}

static int newest_first(const void *a, const void *b)
{
    return *(const int *)b - *(const int *)a;
}

static int add_sheets(gan_page *p)
{
    char path[PATH_SIZE];
    int *epochs = NULL, n = 0, room = 0;
    DIR *d = opendir(path_join(path, p->run, "grids"));
    text *t = &p->page;
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        int epoch = 0;
        if (sscanf(e->d_name, "epoch-%d.png", &epoch) != 1 || strstr(e->d_name, ".tmp")) {
            continue;
        }
        if (n == room) {
            room = 2 * room + 64;
            int *more = realloc(epochs, (size_t)room * sizeof *epochs);
            if (!more) {
                break;
            }
            epochs = more;
        }
        epochs[n++] = epoch;
    }
    if (d) {
        closedir(d);
    }
    if (n > 0) {
        qsort(epochs, (size_t)n, sizeof *epochs, newest_first);
    }
    text_add(t, "<section class=card><h2>Sheets</h2>\n<p class=sub>From left to right: a picture, "
                "carried over, carried back, and what the other generator makes of it (which "
                "should be the picture itself). Rows of A first, then rows of B.</p>\n");
    for (int i = 0; i < n; i++) {
        text_add(t,
                 "<figure id=e%d style='max-width:720px;margin-bottom:16px'><img loading=lazy "
                 "alt='epoch %d' src='grids/epoch-%03d.png'>"
                 "<figcaption>epoch %d</figcaption></figure>\n",
                 epochs[i], epochs[i], epochs[i], epochs[i]);
    }
    text_add(t, "</section>\n");
    free(epochs);
    return 0;
}

static void add_options(gan_page *p)
{
    text *t = &p->page;
    text_add(t, "<section class=card><h2>How it was made</h2>\n");
    page_options(t, p->json);
}

int gan_write_page(const char *run)
{
    char path[PATH_SIZE];
    gan_page p = {.run = run};
    int code = 0;
    p.json = text_load(path_join(path, run, "run.json"), EXIT_MODEL, &code);
    if (!code) {
        code = read_losses(&p);
    }
    if (!code) {
        text_add(&p.page,
                 "<!doctype html>\n<html lang=en><meta charset=utf-8>\n"
                 "<meta name=viewport content='width=device-width,initial-scale=1'>\n"
                 "<title>edgevision: CycleGAN</title>\n<style>\n%s</style>\n<main>\n",
                 report_style);
        add_tiles(&p);
        add_curves(&p);
        add_sheets(&p);
        add_options(&p);
        text_add(&p.page, "</div>\n</main>\n</html>\n");
        code = text_save(&p.page, path_join(path, run, "index.html"));
    }
    text_free(&p.page);
    free(p.rows);
    free(p.csv);
    free(p.json);
    return code;
}
