/* SPDX-License-Identifier: MIT */
/* Tables on stdout: tabs between the cells, or aligned columns on a terminal. */
#include <string.h>
#include <unistd.h>

#include "tool.h"

enum { COLUMNS = 64 };

/* Characters, not bytes: those that do not continue a UTF-8 character. */
static int width_of(const char *cell, size_t n)
{
    int width = 0;
    for (size_t i = 0; i < n; i++) {
        width += ((unsigned char)cell[i] & 0xC0) != 0x80;
    }
    return width;
}

static void measure(const char *at, int *widths)
{
    int column = 0;
    while (*at) {
        size_t n = strcspn(at, "\t\n");
        int width = width_of(at, n);
        if (column < COLUMNS && width > widths[column]) {
            widths[column] = width;
        }
        column = at[n] == '\n' ? 0 : column + 1;
        at += n + (at[n] != '\0');
    }
}

static void print_aligned(const char *at, FILE *to)
{
    int widths[COLUMNS] = {0}, column = 0;
    measure(at, widths);
    while (*at) {
        size_t n = strcspn(at, "\t\n");
        int blanks = column < COLUMNS ? widths[column] - width_of(at, n) : 0;
        bool number = n > 0 && ((at[0] >= '0' && at[0] <= '9') || at[0] == '-');
        fprintf(to, "%*s%.*s", number ? blanks : 0, "", (int)n, at);
        if (at[n] == '\t') {
            fprintf(to, "%*s  ", number ? 0 : blanks, "");
            column++;
        } else {
            fputc('\n', to);
            column = 0;
        }
        at += n + (at[n] != '\0');
    }
}

void print_table(text *t, FILE *to)
{
    if (t->data && !t->broken) {
        if (isatty(fileno(to))) {
            print_aligned(t->data, to);
        } else {
            fputs(t->data, to);
        }
    }
    text_free(t);
}
