/* SPDX-License-Identifier: MIT */
/* Parts of the page: numbers, classes, confusion matrix, curves, options, what to do next. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

/* ---- numbers for people ---------------------------------------------------------------------- */

/* 308244 as "308 k" */
static const char *short_number(double x, char out[32])
{
    if (x >= 1e9) {
        snprintf(out, 32, "%.3g G", x / 1e9);
    } else if (x >= 1e6) {
        snprintf(out, 32, "%.3g M", x / 1e6);
    } else if (x >= 1e3) {
        snprintf(out, 32, "%.3g k", x / 1e3);
    } else {
        snprintf(out, 32, "%.3g", x);
    }
    return out;
}

static const char *duration(double seconds, char out[32])
{
    int whole = (int)(seconds + 0.5);
    if (whole < 120) {
        snprintf(out, 32, "%d s", whole);
    } else {
        snprintf(out, 32, "%d min %d s", whole / 60, whole % 60);
    }
    return out;
}

/* The range that holds the true share in 95 of 100 cases (Wilson 1927). */
static void wilson(double right, double n, double *low, double *high)
{
    double z = 1.959964, p = n > 0 ? right / n : 0, d = n + z * z;
    double middle = n > 0 ? (right + z * z / 2) / d : 0.5;
    double half = n > 0 ? z * sqrt(n * p * (1 - p) + z * z / 4) / d : 0.5;
    *low = 100 * (middle - half);
    *high = 100 * (middle + half);
}

static double total_right(const report *r, double *all)
{
    double right = 0;
    *all = 0;
    for (int c = 0; c < r->n_classes; c++) {
        right += r->counts[c][c];
        *all += report_row_total(r, c);
    }
    return right;
}

/* ---- headline -------------------------------------------------------------------------------- */

void report_headline(report *r)
{
    char a[32], b[32];
    double all, low, high, right = total_right(r, &all);
    wilson(right, all, &low, &high);
    text *t = &r->page;
    text_add(t, "<h1>%s, %s: ", report_value(r, "arch"), report_value(r, "size"));
    text_add(t, "%.1f %% of %.0f unseen pictures right</h1>\n", all > 0 ? 100 * right / all : 0,
             all);
    text_add(t, "<p class=sub>A classifier for ");
    for (int c = 0; c < r->n_classes; c++) {
        text_add(t, "%s<b>", c == 0 ? "" : c == r->n_classes - 1 ? " and " : ", ");
        text_html(t, r->names[c]);
        text_add(t, "</b>");
    }
    text_add(t, ", trained on %s pictures by libedgevision %s.</p>\n<div class=grid>\n",
             report_value(r, "train_pictures"), report_value(r, "library"));
    text_add(t, "<div class='card tile main'><b>%.1f %%</b><span>accuracy on the %s set<br>"
                "(95 %% range %.1f to %.1f)</span></div>\n", all > 0 ? 100 * right / all : 0,
             report_value(r, "judged_on"), low, high);
    text_add(t, "<div class='card tile'><b>%.2f ms</b><span>a picture on this CPU<br>(%s, %s "
                "thread%s)</span></div>\n", report_number(r, "ms_per_image"),
             report_value(r, "cpu"), report_value(r, "threads_used"),
             report_number(r, "threads_used") > 1 ? "s" : "");
    text_add(t, "<div class='card tile'><b>%s</b><span>parameters<br>%s multiply-adds a picture"
                "</span></div>\n", short_number(report_number(r, "parameters"), a),
             short_number(report_number(r, "macs"), b));
    text_add(t, "<div class='card tile'><b>%s</b><span>of training, %s epochs<br>best: epoch %s"
                "</span></div>\n", duration(report_number(r, "train_seconds"), a),
             report_value(r, "epochs_done"), report_value(r, "best_epoch"));
}

/* ---- classes and confusion matrix ------------------------------------------------------------ */

void report_classes(report *r)
{
    text *t = &r->page;
    text_add(t, "<section class='card half'><h2>Accuracy per class</h2>\n<table>");
    for (int c = 0; c < r->n_classes; c++) {
        double n = report_row_total(r, c), share = n > 0 ? 100 * r->counts[c][c] / n : 0;
        double low, high;
        wilson(r->counts[c][c], n, &low, &high);
        text_add(t, "<tr><td>");
        text_html(t, r->names[c]);
        text_add(t, "<td style='width:48%%'><div class=bar><i style='width:%.1f%%'></i></div>"
                    "<td class=n><b>%.1f %%</b><td class=n title='95 %% range %.0f to %.0f %%'>"
                    "%.0f of %.0f", share, share, low, high, r->counts[c][c], n);
    }
    text_add(t, "</table>\n<p class=sub style='margin:12px 0 0'>The share of a class's pictures "
                "that were called so. With few pictures the number is rough: hover for its "
                "range.</p></section>\n");
}

void report_confusion(report *r)
{
    text *t = &r->page;
    text_add(t, "<section class='card half'><h2>Confusion matrix</h2>\n"
                "<table class=confusion><tr><th>truth \\ said");
    for (int c = 0; c < r->n_classes; c++) {
        text_add(t, "<th>");
        text_html(t, r->names[c]);
    }
    for (int row = 0; row < r->n_classes; row++) {
        double n = report_row_total(r, row);
        text_add(t, "<tr><th>");
        text_html(t, r->names[row]);
        for (int c = 0; c < r->n_classes; c++) {
            double share = n > 0 ? r->counts[row][c] / n : 0;
            const char *ink = share > 0.6 ? ";color:var(--card)" : "";
            text_add(t, "<td style='background:rgba(var(--heat),%.3f)%s'><b>%.0f</b><small>%.1f "
                        "%%</small>", 0.06 + 0.94 * share, ink, r->counts[row][c], 100 * share);
        }
    }
    text_add(t, "</table></section>\n");
}

/* ---- curves ---------------------------------------------------------------------------------- */

static int add_plot(report *r, const char *name, const char *title)
{
    char path[PATH_SIZE];
    int code = 0;
    path_join(path, r->run, name);
    text_add(&r->page, "<section class='card half plot'><h2>%s</h2>\n", title);
    if (file_exists(path)) {
        char *svg = text_load(path, EXIT_MODEL, &code);
        char *start = svg ? strstr(svg, "<svg") : NULL;
        if (start) {
            text_add(&r->page, "%s", start);
        }
        free(svg);
    } else {
        text_add(&r->page, "<p>No picture: gnuplot is not installed. The numbers are in "
                           "<code>history.csv</code>.</p>");
    }
    text_add(&r->page, "</section>\n");
    return code;
}

int report_curves(report *r)
{
    int code = add_plot(r, "plots/loss.svg", "Loss");
    return code ? code : add_plot(r, "plots/accuracy.svg", "Accuracy while learning");
}

/* ---- layers ---------------------------------------------------------------------------------- */

int report_layers(report *r)
{
    char *words = NULL;
    text *t = &r->page;
    ev_status status = ev_model_describe(r->model, EV_DESCRIBE_TABLE, &words);
    if (status != EV_OK) {
        return fail_status(EXIT_MODEL, status, NULL);
    }
    text_add(t, "<section class=card><h2>Layers</h2>\n<table class=lines>");
    char *rest = words;
    for (char *line = strtok_r(words, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *inner = NULL;
        const char *cell[8] = {0};
        int n = 0;
        for (char *at = strtok_r(line, " ", &inner); at && n < 8;
             at = strtok_r(NULL, " ", &inner)) {
            cell[n++] = at;
        }
        const char *head = line == words ? "th" : "td";
        int blank = n == 3 ? 2 : 0; /* the line of totals has neither kind nor shape */
        text_add(t, "<tr>");
        for (int i = 0; i < n; i++) {
            const char *kind = i + blank < 3            ? ""
                               : !strcmp(cell[i], "0") ? " class='n zero'"
                                                       : " class=n";
            text_add(t, "<%s%s>", head, kind);
            text_html(t, cell[i]);
            if (i == 0 && blank) {
                text_add(t, "<td><td>");
            }
        }
    }
    text_add(t, "</table></section>\n");
    ev_string_destroy(words);
    return 0;
}

/* ---- how it was made ------------------------------------------------------------------------- */

void page_options(text *t, char *json)
{
    char *start = strstr(json, "\"options\": {");
    char *end = start ? strchr(start, '}') : NULL;
    text_add(t, "<div class=options>");
    for (char *at = start ? strchr(start, '\n') : NULL; at && at < end; at = strchr(at, '\n')) {
        char key[64], value[PATH_SIZE];
        at += strspn(at, " \n");
        size_t n = *at == '"' ? strcspn(at + 1, "\"") : 0;
        if (n == 0 || n >= sizeof key) {
            break;
        }
        memcpy(key, at + 1, n);
        key[n] = '\0';
        if (json_find(at, key, value, sizeof value)) {
            text_add(t, "<div><span>%s</span><b>", key);
            text_html(t, *value ? value : "\xe2\x80\x93");
            text_add(t, "</b></div>");
        }
    }
    text_add(t, "</div></section>\n");
}

void report_options(report *r)
{
    text *t = &r->page;
    text_add(t, "<section class=card><h2>How it was made</h2>\n<p>Data: <code>");
    text_html(t, report_value(r, "data"));
    text_add(t, "</code>: %s pictures for training, %s for validation, %s for the test.</p>\n",
             report_value(r, "train_pictures"),
             report_value(r, "valid_pictures"), report_value(r, "test_pictures"));
    page_options(t, r->json);
}

/* ---- what to do next ------------------------------------------------------------------------- */

static void add_advice(report *r)
{
    text *t = &r->page;
    int weak = 0, row = 0, said = 0;
    double most = -1;
    for (int c = 0; c < r->n_classes; c++) {
        double n = report_row_total(r, c), least = report_row_total(r, weak);
        if (n > 0 && (least == 0 || r->counts[c][c] / n < r->counts[weak][weak] / least)) {
            weak = c;
        }
        for (int k = 0; k < r->n_classes; k++) {
            if (k != c && r->counts[c][k] > most) {
                most = r->counts[c][k];
                row = c;
                said = k;
            }
        }
    }
    text_add(t, "<ul><li><b>");
    text_html(t, r->names[weak]);
    text_add(t, "</b> is the weakest class, with %.0f pictures in the test: more pictures of it "
                "help most.", report_row_total(r, weak));
    if (most > 0) {
        text_add(t, "<li>The commonest mistake: <b>");
        text_html(t, r->names[row]);
        text_add(t, "</b> taken for <b>");
        text_html(t, r->names[said]);
        text_add(t, "</b> (%.0f times). Look at these pictures above: are the labels right?", most);
    }
    if (strcmp(report_value(r, "by-group"), "0") == 0) {
        text_add(t, "<li>The split was made picture by picture. Neighbouring frames of a clip are "
                    "alike, so these numbers flatter; <code>--by-group</code> keeps clips whole.");
    }
    if (report_number(r, "epochs_done") <= report_number(r, "best_epoch") + 1) {
        text_add(t, "<li>The best epoch is among the last: more <code>--epochs</code> may still "
                    "help.");
    }
    text_add(t, "</ul>");
}

void report_next_steps(report *r)
{
    text *t = &r->page;
    text_add(t, "<section class=card><h2>Next steps</h2>\n");
    add_advice(r);
    text_add(t, "<pre>edgevision predict ");
    text_html(t, r->run);
    text_add(t, "/model.onnx photo.jpg        # what is in a picture\nedgevision bench ");
    text_html(t, r->run);
    text_add(t, "/model.onnx --profile          # how fast, layer by layer\nedgevision eval ");
    text_html(t, r->run);
    text_add(t, "/model.onnx other-pictures/     # on pictures of another day</pre>\n"
                "<p class=sub style='margin:0'>The model is an ordinary ONNX file; "
                "<code>predictions.csv</code>, <code>confusion.csv</code> and "
                "<code>history.csv</code> lie beside it.</p></section>\n");
}
