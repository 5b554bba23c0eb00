/* SPDX-License-Identifier: MIT */
/*
 * A table of runs in a folder; see runs.h.
 *
 * Two locks, for two purposes.  A run's lock file is made by O_EXCL, so that exactly one process
 * gets it, and it outlives its process: a reader sees who it was, and whether he still lives.
 * Taking over a dead one's lock is look, remove and make anew, where two could get in each other's
 * way; so all of that happens under flock() on one guard file, which the kernel opens again when
 * its holder dies.
 */
#include "runs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    EMPTY_LOCK_SECONDS = 10, /* its maker died between making and writing it */
    TOUCH_SECONDS = 20
};

/* ---- who am I -------------------------------------------------------------------------------- */

/* Machine and name space of process numbers: within one, kill(pid, 0) tells who lives. */
static void machine_name(char out[256])
{
    char name[128] = "unknown", space[64] = "";
    (void)gethostname(name, sizeof name - 1);
    ssize_t n = readlink("/proc/self/ns/pid", space, sizeof space - 1);
    space[n > 0 ? n : 0] = '\0';
    snprintf(out, 256, "%s/%s", name, space);
    for (char *c = out; *c; c++) {
        *c = *c == ' ' || *c == '\n' ? '_' : *c;
    }
}

/* When a process started, in ticks since boot; 0: not known.  Tells a number that was given anew
   from the process that had it before. */
static unsigned long long process_start(long pid)
{
    char path[64], line[1024];
    unsigned long long start = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f) {
        return 0;
    }
    size_t n = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[n] = '\0';
    char *at = strrchr(line, ')'); /* a program's name may hold anything, but it ends there */
    for (int field = 3; at && field <= 22; field++) {
        at = strchr(at + 1, ' ');
        if (at && field == 22) {
            start = strtoull(at + 1, NULL, 10);
        }
    }
    return start;
}

static void describe_me(char *out, size_t size)
{
    char machine[256], when[32];
    time_t now = time(NULL);
    struct tm utc;
    machine_name(machine);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    snprintf(out, size, "%s %ld %llu %s\n", machine, (long)getpid(), process_start(getpid()), when);
}

/* ---- locks ----------------------------------------------------------------------------------- */

int runs_hold(const run_table *table)
{
    char path[PATH_SIZE];
    int fd = open(path_join(path, table->folder, ".guard"), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    while (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR) {
            break; /* a file system without flock(): O_EXCL has to do */
        }
    }
    return fd;
}

void runs_let_go(int guard)
{
    if (guard >= 0) {
        close(guard);
    }
}

/* The line in a lock; false: there is none. */
static bool read_lock(const char *path, char line[400])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, line, 399);
    close(fd);
    line[n > 0 ? n : 0] = '\0';
    return true;
}

static double age_of(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 ? difftime(time(NULL), s.st_mtime) : 0;
}

static bool is_stale(const run_table *table, const char *path)
{
    char line[400], machine[256], here[256];
    long pid = 0;
    unsigned long long start = 0;
    if (!read_lock(path, line)) {
        return false; /* gone in this moment: whoever comes next gets it */
    }
    if (sscanf(line, "%255s %ld %llu", machine, &pid, &start) != 3 || pid <= 0) {
        return age_of(path) > EMPTY_LOCK_SECONDS;
    }
    machine_name(here);
    if (strcmp(machine, here) != 0) {
        return table->stale_seconds > 0 && age_of(path) > table->stale_seconds;
    }
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH) {
        return true;
    }
    unsigned long long now = process_start(pid);
    return start && now && start != now;
}

/* Make the lock; with the guard held. */
static int take(const run_table *table, claim *c)
{
    char path[PATH_SIZE];
    path_join(path, c->folder, "lock");
    if (file_exists(path) && is_stale(table, path)) {
        note("%s: its process is gone; going on with it", c->folder);
        (void)unlink(path);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        return errno == EEXIST ? CLAIM_BUSY : fail(EXIT_IO, "%s: %s", path, strerror(errno));
    }
    size_t n = strlen(c->owner);
    bool good = write(fd, c->owner, n) == (ssize_t)n;
    good = close(fd) == 0 && good;
    if (!good) {
        (void)unlink(path);
        return fail(EXIT_IO, "%s: cannot write", path);
    }
    return CLAIM_MINE;
}

bool runs_done(const run_table *table, const char *name)
{
    char folder[PATH_SIZE], path[PATH_SIZE];
    return file_exists(path_join(path, path_join(folder, table->folder, name), "result.json"));
}

int runs_claim(const run_table *table, const char *name, claim *out)
{
    memset(out, 0, sizeof *out);
    if (runs_done(table, name)) {
        return CLAIM_DONE;
    }
    int code = make_folder(path_join(out->folder, table->folder, name));
    if (code) {
        return code;
    }
    describe_me(out->owner, sizeof out->owner);
    int guard = runs_hold(table);
    /* Looked at again: it may have been finished, and let go, while we waited. */
    code = runs_done(table, name) ? CLAIM_DONE : take(table, out);
    runs_let_go(guard);
    out->touched = seconds_now();
    return code;
}

static bool is_mine(const claim *c, char path[PATH_SIZE])
{
    char line[400];
    return read_lock(path_join(path, c->folder, "lock"), line) && !strcmp(line, c->owner);
}

bool runs_touch(claim *mine)
{
    char path[PATH_SIZE];
    if (seconds_now() - mine->touched < TOUCH_SECONDS) {
        return true;
    }
    mine->touched = seconds_now();
    return is_mine(mine, path) && utimensat(AT_FDCWD, path, NULL, 0) == 0;
}

void runs_release(claim *mine)
{
    char path[PATH_SIZE];
    if (is_mine(mine, path)) {
        (void)unlink(path);
    }
}

int runs_finish(claim *mine, text *result)
{
    char path[PATH_SIZE];
    if (!is_mine(mine, path)) {
        text_free(result);
        note("%s: another process has taken this run over; its result will count", mine->folder);
        return 0;
    }
    return text_save(result, path_join(path, mine->folder, "result.json"));
}

/* ---- what the runs have in common ------------------------------------------------------------ */

/* A line without what stands around a setting in a file of JSON. */
static const char *bare(char *line)
{
    if (!line) {
        return "nothing";
    }
    size_t n = strlen(line);
    if (n && line[n - 1] == ',') {
        line[n - 1] = '\0';
    }
    return line + strspn(line, " ");
}

/* Both texts cut at the first line in which they differ. */
static void first_difference(char *a, char *b, const char **line_a, const char **line_b)
{
    char *next_a = NULL, *next_b = NULL;
    char *x = strtok_r(a, "\n", &next_a), *y = strtok_r(b, "\n", &next_b);
    while (x && y && !strcmp(x, y)) {
        x = strtok_r(NULL, "\n", &next_a);
        y = strtok_r(NULL, "\n", &next_b);
    }
    *line_a = bare(x);
    *line_b = bare(y);
}

static int same_settings(const run_table *table, const char *path, text *settings)
{
    int code = 0;
    const char *before, *now;
    char *old = text_load(path, EXIT_MODEL, &code);
    if (!old) {
        return code;
    }
    if (strcmp(old, settings->data) != 0) {
        first_difference(old, settings->data, &before, &now);
        code = fail(EXIT_USAGE, "%s was begun with %s and this is %s: take the same options, or "
                                "another folder", table->folder, before, now);
    }
    free(old);
    return code;
}

int runs_open(const run_table *table, text *settings)
{
    char path[PATH_SIZE];
    int code = settings->broken ? fail(EXIT_MEMORY, "out of memory") : make_folder(table->folder);
    if (code) {
        text_free(settings);
        return code;
    }
    int guard = runs_hold(table);
    if (file_exists(path_join(path, table->folder, "table.json"))) {
        code = same_settings(table, path, settings);
        text_free(settings);
    } else {
        code = text_save(settings, path);
    }
    runs_let_go(guard);
    return code;
}

/* ---- results.csv ----------------------------------------------------------------------------- */

/* Numbers inside names count as numbers. */
static int natural(const char *a, const char *b)
{
    while (*a && *b) {
        if (*a >= '0' && *a <= '9' && *b >= '0' && *b <= '9') {
            char *end_a, *end_b;
            unsigned long long x = strtoull(a, &end_a, 10), y = strtoull(b, &end_b, 10);
            if (x != y) {
                return x < y ? -1 : 1;
            }
            a = end_a;
            b = end_b;
        } else if (*a != *b) {
            break;
        } else {
            a++;
            b++;
        }
    }
    return (unsigned char)*a - (unsigned char)*b;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return natural((*a)->d_name, (*b)->d_name);
}

static int add_row(text *csv, const char *path, const char *const *keys, int n_keys)
{
    char value[PATH_SIZE];
    int code = 0;
    char *json = text_load(path, EXIT_MODEL, &code);
    if (!json) {
        return code;
    }
    for (int k = 0; k < n_keys; k++) {
        text_add(csv, k ? "," : "");
        if (json_find(json, keys[k], value, sizeof value) && strcmp(value, "null") != 0) {
            text_csv(csv, value);
        }
    }
    text_add(csv, "\n");
    free(json);
    return 0;
}

int runs_collect(const run_table *table, const char *const *keys, int n_keys)
{
    char folder[PATH_SIZE], path[PATH_SIZE];
    struct dirent **entries = NULL;
    text csv = {0};
    int code = 0;
    for (int k = 0; k < n_keys; k++) {
        text_add(&csv, "%s%s", k ? "," : "", keys[k]);
    }
    text_add(&csv, "\n");
    int guard = runs_hold(table);
    int n = scandir(table->folder, &entries, NULL, by_name);
    for (int i = 0; i < n; i++) {
        path_join(path, path_join(folder, table->folder, entries[i]->d_name), "result.json");
        if (!code && entries[i]->d_name[0] != '.' && file_exists(path)) {
            code = add_row(&csv, path, keys, n_keys);
        }
        free(entries[i]);
    }
    free(entries);
    if (n < 0) {
        code = fail(EXIT_IO, "%s: %s", table->folder, strerror(errno));
    }
    if (code) {
        text_free(&csv);
    } else {
        code = text_save(&csv, path_join(path, table->folder, "results.csv"));
    }
    runs_let_go(guard);
    return code;
}
