/* SPDX-License-Identifier: MIT */
/* Reading back what the tool itself wrote: lines of CSV, flat JSON. */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* A quoted field at at; undoubles quotes in place; gives back what follows it. */
static char *quoted_field(char *at, char **field)
{
    char *to = ++at;
    *field = to;
    while (*at && !(at[0] == '"' && at[1] != '"')) {
        at += at[0] == '"';
        *to++ = *at++;
    }
    if (*at) {
        at++;
    }
    if (to != at) {
        *to = '\0';
    }
    return at;
}

int csv_line(char *line, char **fields, int max_fields, char **next)
{
    int n = 0;
    char *at = line;
    for (;;) {
        char *field = at;
        char *end;
        if (*at == '"') {
            end = quoted_field(at, &field);
        } else {
            end = at + strcspn(at, ",\n");
        }
        char stop = *end;
        *end = '\0';
        if (n < max_fields) {
            fields[n++] = field;
        }
        at = stop ? end + 1 : end;
        if (stop != ',') {
            break;
        }
    }
    *next = at;
    if (n > 0) {
        char *last = fields[n - 1];
        size_t length = strlen(last);
        if (length && last[length - 1] == '\r') {
            last[length - 1] = '\0';
        }
    }
    return n;
}

bool json_find(const char *json, const char *key, char *value, size_t size)
{
    char want[128];
    snprintf(want, sizeof want, "\"%s\":", key);
    const char *at = strstr(json, want);
    size_t n = 0;
    if (!at) {
        return false;
    }
    at += strlen(want);
    at += strspn(at, " \n");
    bool is_text = *at == '"';
    at += is_text;
    while (*at && (is_text ? *at != '"' : !strchr(",}] \n", *at))) {
        char c = *at++;
        if (c == '\\' && is_text) {
            c = *at++;
            if (c == 'u') { /* only control characters are written so */
                char code[5] = {0};
                memcpy(code, at, strnlen(at, 4));
                c = (char)strtol(code, NULL, 16);
                at += strnlen(at, 4);
            }
        }
        if (n + 1 < size) {
            value[n++] = c;
        }
    }
    value[n] = '\0';
    return true;
}
