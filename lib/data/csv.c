/* SPDX-License-Identifier: MIT */
/* Comma-separated values (RFC 4180), read in place. */
#include "data/dataset.h"
#include <string.h>

enum { MAX_FIELDS = 4096 };

void evi_csv_start(evi_csv *csv, ev_context *ctx, char *text, uint64_t n)
{
    *csv = (evi_csv){.ctx = ctx, .text = text, .n = n};
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        csv->at = 3; /* byte order mark */
}

void evi_csv_end(evi_csv *csv)
{
    evi_free(csv->field);
    csv->field = NULL;
}

static ev_status add_field(evi_csv *csv, char *field)
{
    if (csv->n_fields == MAX_FIELDS)
        return evi_fail(EV_ERR_FORMAT, "line %lld has more than %d fields", (long long)csv->line,
                        MAX_FIELDS);
    if (csv->n_fields == csv->capacity) {
        int32_t capacity = EVI_MAX(csv->capacity * 2, 16);
        EVI_TRY(evi_realloc(csv->ctx, (uint64_t)capacity, sizeof(*csv->field), &csv->field));
        csv->capacity = capacity;
    }
    csv->field[csv->n_fields++] = field;
    return EV_OK;
}

/* What stands between the quotes, moved together over the doubled ones.  The place ends up behind
 * the closing quote; *end is where the field's text stops. */
static ev_status take_quoted(evi_csv *csv, int64_t *line, char **end)
{
    char *to = csv->text + csv->at++;
    while (csv->at < csv->n) {
        char c = csv->text[csv->at++];
        if (c == '"') {
            if (csv->at == csv->n || csv->text[csv->at] != '"') {
                *end = to;
                return EV_OK;
            }
            csv->at++;
        }
        *line += c == '\n';
        *to++ = c;
    }
    return evi_fail(EV_ERR_FORMAT, "line %lld: a quote does not end", (long long)csv->line);
}

static bool at_line_end(const evi_csv *csv)
{
    char c = csv->at < csv->n ? csv->text[csv->at] : '\n';
    bool crlf = c == '\r' && (csv->at + 1 == csv->n || csv->text[csv->at + 1] == '\n');
    return c == '\n' || crlf;
}

/* One field; the place ends up at the comma or the end of the line behind it. */
static ev_status take_field(evi_csv *csv, int64_t *line, char **end)
{
    char *start = csv->text + csv->at;
    if (csv->at < csv->n && *start == '"') {
        EVI_TRY(take_quoted(csv, line, end));
        if (!at_line_end(csv) && csv->text[csv->at] != ',')
            return evi_fail(EV_ERR_FORMAT, "line %lld: text after a closing quote",
                            (long long)csv->line);
    } else {
        while (!at_line_end(csv) && csv->text[csv->at] != ',')
            csv->at++;
        *end = csv->text + csv->at;
    }
    if (memchr(start, '\0', (size_t)(*end - start)) != NULL)
        return evi_fail(EV_ERR_FORMAT, "line %lld has a zero byte", (long long)csv->line);
    return add_field(csv, start);
}

/* Fields of one line.  A field's end is written over only when what stood there has been looked
 * at.  One byte behind the text belongs to us (evi_file_read() puts a zero there). */
static ev_status take_line(evi_csv *csv, int64_t *line)
{
    for (bool more = true; more;) {
        char *end = csv->text + csv->at;
        EVI_TRY(take_field(csv, line, &end));
        more = !at_line_end(csv);
        if (more) {
            csv->at++;
        } else {
            if (csv->at < csv->n && csv->text[csv->at] == '\r')
                csv->at++;
            csv->at += csv->at < csv->n;
            *line += 1;
        }
        *end = '\0';
    }
    return EV_OK;
}

ev_status evi_csv_row(evi_csv *csv, bool *more)
{
    int64_t next_line = csv->line + 1;
    *more = false;
    while (csv->at < csv->n) {
        csv->line = next_line;
        csv->n_fields = 0;
        EVI_TRY(take_line(csv, &next_line));
        if (csv->n_fields > 1 || csv->field[0][0] != '\0') {
            *more = true;
            csv->line = next_line - 1; /* of its last line, from which to count on */
            return EV_OK;
        }
    }
    return EV_OK;
}

void evi_csv_write(evi_text *out, const char *field)
{
    if (strpbrk(field, ",\"\r\n") == NULL) {
        evi_text_bytes(out, field, strlen(field));
        return;
    }
    evi_text_bytes(out, "\"", 1);
    for (; *field != '\0'; field++)
        evi_text_bytes(out, *field == '"' ? "\"\"" : field, *field == '"' ? 2 : 1);
    evi_text_bytes(out, "\"", 1);
}
