/* SPDX-License-Identifier: MIT */
/* Command-line options: parsing, checking, help text, the nearest name for a typing error. */
#include "options.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* ---- the nearest name ------------------------------------------------------------------------ */

int text_distance(const char *a, const char *b)
{
    int row[64];
    size_t n = strlen(b);
    if (n >= 63 || strlen(a) >= 63) {
        return 99;
    }
    for (size_t j = 0; j <= n; j++) {
        row[j] = (int)j;
    }
    for (size_t i = 1; a[i - 1]; i++) {
        int corner = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= n; j++) {
            int best = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    return row[n];
}

static int unknown(const syntax *s, const char *name)
{
    const char *best = NULL;
    int least = 4;
    for (int i = 0; i < s->n_options; i++) {
        const option *o = &s->options[i];
        int d = o->type == OPTION_HEADING ? 99 : text_distance(name, o->name);
        if (d < least) {
            least = d;
            best = o->name;
        }
    }
    if (best) {
        return fail(EXIT_USAGE, "there is no option --%s; did you mean --%s?", name, best);
    }
    return fail(EXIT_USAGE, "there is no option --%s; edgevision %s --help lists them", name,
                s->verb);
}

static const option *find(const syntax *s, const char *name)
{
    for (int i = 0; i < s->n_options; i++) {
        if (s->options[i].type != OPTION_HEADING && !strcmp(s->options[i].name, name)) {
            return &s->options[i];
        }
    }
    return NULL;
}

/* ---- values ---------------------------------------------------------------------------------- */

static int wrong(const option *o, const char *value, const char *want)
{
    return fail(EXIT_USAGE, "--%s %s: must be %s", o->name, value, want);
}

static int in_range(const option *o, const char *value, double number)
{
    char want[80];
    if ((o->min == 0 && o->max == 0) || (number >= o->min && number <= o->max)) {
        return 0;
    }
    snprintf(want, sizeof want, "%.10g..%.10g", o->min, o->max);
    return wrong(o, value, want);
}

static int read_whole(const option *o, const char *value)
{
    char *end;
    errno = 0;
    if (o->type == OPTION_SEED) {
        unsigned long long v = strtoull(value, &end, 10);
        if (errno || end == value || *end || *value == '-') {
            return wrong(o, value, "a whole number, 0 or more");
        }
        *(uint64_t *)o->target = v;
        return 0;
    }
    long v = strtol(value, &end, 10);
    if (errno || end == value || *end || v < INT32_MIN || v > INT32_MAX) {
        return wrong(o, value, "a whole number");
    }
    if (in_range(o, value, (double)v)) {
        return EXIT_USAGE;
    }
    *(int32_t *)o->target = (int32_t)v;
    return 0;
}

static int read_real(const option *o, const char *value)
{
    char *end;
    double v = strtod(value, &end);
    if (end == value || *end || !isfinite(v)) {
        return wrong(o, value, "a number");
    }
    if (in_range(o, value, v)) {
        return EXIT_USAGE;
    }
    *(double *)o->target = v;
    return 0;
}

static int read_size(const option *o, const char *value)
{
    char *end;
    long w = strtol(value, &end, 10), h = w;
    if (end != value && *end == 'x') {
        const char *second = end + 1;
        h = strtol(second, &end, 10);
        if (end == second) {
            end = (char *)"?";
        }
    }
    if (end == value || *end || w < 1 || h < 1 || w > 65535 || h > 65535) {
        return wrong(o, value, "like 96x64 (width x height), each side 1..65535");
    }
    ((int32_t *)o->target)[0] = (int32_t)w;
    ((int32_t *)o->target)[1] = (int32_t)h;
    return 0;
}

static int read_list(const option *o, const char *value)
{
    number_list list = {0, {0}};
    const char *at = value;
    for (;;) {
        char *end;
        double v = strtod(at, &end);
        if (end == at || (*end && *end != ',') || list.n == LIST_MAX || !isfinite(v)) {
            return wrong(o, value, "numbers with commas between them, like 64,16,20");
        }
        if (in_range(o, value, v)) {
            return EXIT_USAGE;
        }
        list.value[list.n++] = v;
        if (!*end) {
            break;
        }
        at = end + 1;
    }
    *(number_list *)o->target = list;
    return 0;
}

static int read_choice(const option *o, const char *value)
{
    char want[200] = "one of";
    for (int i = 0; o->choices[i]; i++) {
        if (!strcmp(o->choices[i], value)) {
            *(int32_t *)o->target = i;
            return 0;
        }
        size_t n = strlen(want);
        snprintf(want + n, sizeof want - n, "%s %s", i ? "," : "", o->choices[i]);
    }
    return wrong(o, value, want);
}

static int set(const option *o, const char *value)
{
    switch (o->type) {
    case OPTION_FLAG:
        if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0) {
            return wrong(o, value, "without a value");
        }
        *(int32_t *)o->target = *value == '1';
        return 0;
    case OPTION_INT:
    case OPTION_SEED: return read_whole(o, value);
    case OPTION_REAL: return read_real(o, value);
    case OPTION_SIZE: return read_size(o, value);
    case OPTION_LIST: return read_list(o, value);
    case OPTION_CHOICE: return read_choice(o, value);
    default: *(const char **)o->target = value; return 0;
    }
}

int options_set(const syntax *s, const char *name, const char *value)
{
    const option *o = find(s, name);
    return o ? set(o, value) : unknown(s, name);
}

void options_show(const option *o, char *out, size_t size)
{
    const int32_t *whole = o->target;
    out[0] = '\0';
    switch (o->type) {
    case OPTION_FLAG:
    case OPTION_INT: snprintf(out, size, "%d", (int)*whole); break;
    case OPTION_SEED:
        snprintf(out, size, "%llu", (unsigned long long)*(const uint64_t *)o->target);
        break;
    case OPTION_REAL: snprintf(out, size, "%.9g", *(const double *)o->target); break;
    case OPTION_SIZE: snprintf(out, size, "%dx%d", (int)whole[0], (int)whole[1]); break;
    case OPTION_CHOICE: snprintf(out, size, "%s", o->choices[*whole]); break;
    case OPTION_TEXT: {
        const char *value = *(const char *const *)o->target;
        snprintf(out, size, "%s", value ? value : "");
        break;
    }
    case OPTION_LIST: {
        const number_list *list = o->target;
        for (int32_t i = 0; i < list->n; i++) {
            size_t n = strlen(out);
            snprintf(out + n, size - n, "%s%.9g", i ? "," : "", list->value[i]);
        }
        break;
    }
    default: break;
    }
}

/* ---- the command line ------------------------------------------------------------------------ */

/* One long option at argv[0]; *used says how many arguments it took. */
static int parse_long(const syntax *s, int argc, char **argv, int *used)
{
    char name[64];
    const char *equals = strchr(argv[0], '=');
    size_t n = equals ? (size_t)(equals - argv[0]) - 2 : strlen(argv[0]) - 2;
    if (n >= sizeof name) {
        n = sizeof name - 1;
    }
    memcpy(name, argv[0] + 2, n);
    name[n] = '\0';
    const option *o = find(s, name);
    *used = 1;
    if (!o) {
        return unknown(s, name);
    }
    if (o->type == OPTION_FLAG) {
        return set(o, equals ? equals + 1 : "1");
    }
    if (equals) {
        return set(o, equals + 1);
    }
    if (argc < 2) {
        return fail(EXIT_USAGE, "--%s needs a value: --%s %s", name, name, o->value);
    }
    *used = 2;
    return set(o, argv[1]);
}

static int parse_short(const syntax *s, int argc, char **argv, int *used)
{
    *used = 1;
    for (int i = 0; i < s->n_options; i++) {
        const option *o = &s->options[i];
        if (!o->letter || o->letter != argv[0][1]) {
            continue;
        }
        if (o->type == OPTION_FLAG) {
            return argv[0][2] ? fail(EXIT_USAGE, "%s: one letter at a time", argv[0])
                              : set(o, "1");
        }
        if (argv[0][2]) {
            return set(o, argv[0] + 2);
        }
        if (argc < 2) {
            return fail(EXIT_USAGE, "%s needs a value: %s %s", argv[0], argv[0], o->value);
        }
        *used = 2;
        return set(o, argv[1]);
    }
    return fail(EXIT_USAGE, "there is no option %s; edgevision %s --help lists them", argv[0],
                s->verb);
}

int options_parse(syntax *s, int argc, char **argv)
{
    int rest = 0, only_files = 0;
    for (int i = 0; i < argc && !only_files; i++) { /* before anything can be found wrong */
        only_files = !strcmp(argv[i], "--");
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            options_help(s, stdout);
            return 1;
        }
    }
    only_files = 0;
    for (int i = 0; i < argc;) {
        char *arg = argv[i];
        int used = 1, code = 0;
        if (only_files || arg[0] != '-' || !arg[1]) {
            argv[rest++] = arg;
        } else if (!strcmp(arg, "--")) {
            only_files = 1;
        } else if (arg[1] == '-') {
            code = parse_long(s, argc - i, argv + i, &used);
        } else {
            code = parse_short(s, argc - i, argv + i, &used);
        }
        if (code) {
            return EXIT_USAGE;
        }
        i += used;
    }
    s->files = (const char *const *)argv;
    s->n_files = rest;
    if (rest < s->min_rest || rest > s->max_rest) {
        fail(EXIT_USAGE, "usage: edgevision %s %s", s->verb, s->usage);
        return EXIT_USAGE;
    }
    return 0;
}

/* ---- help ------------------------------------------------------------------------------------ */

static void help_line(const option *o, FILE *to)
{
    char left[64], standard[256];
    if (o->type == OPTION_HEADING) {
        fprintf(to, "\n%s\n", o->help);
        return;
    }
    if (o->letter) {
        snprintf(left, sizeof left, "-%c, --%s %s", o->letter, o->name, o->value ? o->value : "");
    } else {
        snprintf(left, sizeof left, "    --%s %s", o->name, o->value ? o->value : "");
    }
    fprintf(to, "  %-25s ", left);
    for (const char *c = o->help; *c; c++) {
        fputc(*c, to);
        if (*c == '\n') {
            fprintf(to, "%28s", "");
        }
    }
    options_show(o, standard, sizeof standard);
    if (o->type != OPTION_FLAG && standard[0] && !strstr(o->help, "(default")) {
        fprintf(to, " (default %s)", standard);
    }
    fputc('\n', to);
}

void options_help(const syntax *s, FILE *to)
{
    fprintf(to, "usage: edgevision %s %s\n\n%s\n", s->verb, s->usage, s->purpose);
    if (s->n_options && s->options[0].type != OPTION_HEADING) {
        fputs("\noptions:\n", to);
    }
    for (int i = 0; i < s->n_options; i++) {
        help_line(&s->options[i], to);
    }
    fputs("  -h, --help                this text\n", to);
    if (s->examples) {
        fprintf(to, "\nexamples:\n%s", s->examples);
    }
}
