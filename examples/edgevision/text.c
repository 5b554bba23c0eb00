/* SPDX-License-Identifier: MIT */
/* Growing text with the quoting of CSV, JSON and HTML; files and folders. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

/* ---- text ------------------------------------------------------------------------------------ */

static bool text_room(text *t, size_t more)
{
    if (t->broken) {
        return false;
    }
    if (t->n + more + 1 > t->room) {
        size_t room = (t->n + more + 1) * 2;
        char *data = realloc(t->data, room);
        if (!data) {
            t->broken = true;
            return false;
        }
        t->data = data;
        t->room = room;
    }
    return true;
}

void text_bytes(text *t, const char *bytes, size_t n)
{
    if (text_room(t, n)) {
        memcpy(t->data + t->n, bytes, n);
        t->n += n;
        t->data[t->n] = '\0';
    }
}

void text_add(text *t, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsnprintf(NULL, 0, format, list);
    va_end(list);
    if (n < 0 || !text_room(t, (size_t)n)) {
        return;
    }
    va_start(list, format);
    vsnprintf(t->data + t->n, (size_t)n + 1, format, list);
    va_end(list);
    t->n += (size_t)n;
}

void text_json(text *t, const char *value)
{
    text_add(t, "\"");
    for (const char *c = value ? value : ""; *c; c++) {
        if (*c == '"' || *c == '\\') {
            text_add(t, "\\%c", *c);
        } else if ((unsigned char)*c < 32) {
            text_add(t, "\\u%04x", (unsigned)*c);
        } else {
            text_bytes(t, c, 1);
        }
    }
    text_add(t, "\"");
}

void text_csv(text *t, const char *value)
{
    if (!strpbrk(value, ",\"\r\n")) {
        text_add(t, "%s", value);
        return;
    }
    text_add(t, "\"");
    for (const char *c = value; *c; c++) {
        text_bytes(t, c, 1);
        if (*c == '"') {
            text_bytes(t, c, 1);
        }
    }
    text_add(t, "\"");
}

void text_html(text *t, const char *value)
{
    for (const char *c = value; *c; c++) {
        switch (*c) {
        case '<': text_add(t, "&lt;"); break;
        case '>': text_add(t, "&gt;"); break;
        case '&': text_add(t, "&amp;"); break;
        case '"': text_add(t, "&quot;"); break;
        default: text_bytes(t, c, 1); break;
        }
    }
}

void text_base64(text *t, const void *bytes, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *b = bytes;
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)b[i] << 16;
        v |= i + 1 < n ? (unsigned)b[i + 1] << 8 : 0;
        v |= i + 2 < n ? (unsigned)b[i + 2] : 0;
        char four[4] = {digit[v >> 18], digit[v >> 12 & 63], digit[v >> 6 & 63], digit[v & 63]};
        if (i + 2 >= n) {
            four[3] = '=';
        }
        if (i + 1 >= n) {
            four[2] = '=';
        }
        text_bytes(t, four, 4);
    }
}

void text_free(text *t)
{
    free(t->data);
    memset(t, 0, sizeof *t);
}

static int write_whole(const text *t, const char *path)
{
    FILE *f = fopen(path, "wb");
    if (!f) {
        return fail(EXIT_IO, "%s: %s", path, strerror(errno));
    }
    bool good = t->n == 0 || fwrite(t->data, 1, t->n, f) == t->n;
    good = fflush(f) == 0 && good;
    good = fclose(f) == 0 && good;
    return good ? 0 : fail(EXIT_IO, "%s: cannot write: %s", path, strerror(errno));
}

int text_save(text *t, const char *path)
{
    char fresh[PATH_SIZE + 8];
    int code = 0;
    if (t->broken) {
        code = fail(EXIT_MEMORY, "%s: out of memory", path);
    } else {
        snprintf(fresh, sizeof fresh, "%s.tmp", path);
        code = write_whole(t, fresh);
        if (!code && rename(fresh, path) != 0) {
            code = fail(EXIT_IO, "%s: %s", path, strerror(errno));
        }
        if (code) {
            remove(fresh);
        }
    }
    text_free(t);
    return code;
}

char *text_load(const char *path, int code, int *exit_code)
{
    FILE *f = fopen(path, "rb");
    text t = {0};
    if (!f) {
        *exit_code = fail(errno == ENOENT ? code : EXIT_IO, "%s: %s", path, strerror(errno));
        return NULL;
    }
    text_add(&t, "%s", "");
    for (;;) {
        char part[65536];
        size_t n = fread(part, 1, sizeof part, f);
        if (n == 0) {
            break;
        }
        text_bytes(&t, part, n);
    }
    bool good = !ferror(f);
    fclose(f);
    if (!good || t.broken) {
        *exit_code = good ? fail(EXIT_MEMORY, "%s: out of memory", path)
                          : fail(EXIT_IO, "%s: cannot read", path);
        text_free(&t);
        return NULL;
    }
    return t.data;
}

/* ---- files ----------------------------------------------------------------------------------- */

char *path_join(char out[PATH_SIZE], const char *folder, const char *name)
{
    size_t n = strlen(folder);
    if (n == 0 || name[0] == '/') {
        snprintf(out, PATH_SIZE, "%s", name);
    } else {
        snprintf(out, PATH_SIZE, "%s%s%s", folder, folder[n - 1] == '/' ? "" : "/", name);
    }
    return out;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool is_folder(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

int make_folder(const char *path)
{
    char part[PATH_SIZE];
    snprintf(part, sizeof part, "%s", path);
    for (char *c = part + 1; *c; c++) {
        if (*c == '/') {
            *c = '\0';
            (void)mkdir(part, 0777);
            *c = '/';
        }
    }
    if (mkdir(part, 0777) != 0 && !is_folder(path)) {
        return fail(EXIT_IO, "%s: cannot make this folder: %s", path, strerror(errno));
    }
    return 0;
}

bool find_program(const char *name)
{
    const char *at = getenv("PATH");
    while (at && *at) {
        char path[PATH_SIZE];
        size_t n = strcspn(at, ":");
        snprintf(path, sizeof path, "%.*s/%s", (int)n, at, name);
        if (access(path, X_OK) == 0) {
            return true;
        }
        at += n + (at[n] == ':');
    }
    return false;
}
