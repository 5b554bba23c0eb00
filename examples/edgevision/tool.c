/* SPDX-License-Identifier: MIT */
/* Messages, exit codes, the context. */
#include "tool.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

const char *tool_verb = "";
int32_t tool_quiet;

static void say(const char *format, va_list list)
{
    clear_bar();
    fprintf(stderr, "edgevision: ");
    if (*tool_verb) {
        fprintf(stderr, "%s: ", tool_verb);
    }
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
}

int fail(int code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say(format, list);
    va_end(list);
    return code;
}

void note(const char *format, ...)
{
    if (tool_quiet) {
        return;
    }
    va_list list;
    va_start(list, format);
    clear_bar();
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
}

static int code_of(int code_file, ev_status status)
{
    switch (status) {
    case EV_OK: return EXIT_GOOD;
    case EV_ERR_MEMORY: return EXIT_MEMORY;
    case EV_ERR_IO: return EXIT_IO;
    case EV_ERR_ARGUMENT: return EXIT_USAGE;
    case EV_ERR_DIVERGED: return EXIT_GOAL;
    case EV_ERR_GOAL: return EXIT_GOAL;
    case EV_ERR_STALE:
    case EV_ERR_STATE:
    case EV_ERR_INTERNAL: return EXIT_BUG;
    default: return code_file;
    }
}

int fail_status(int code_file, ev_status status, const char *remedy)
{
    return fail(code_of(code_file, status), "%s%s%s", ev_last_error(), remedy ? ": " : "",
                remedy ? remedy : "");
}

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void log_line(void *user, int32_t level, const char *line)
{
    (void)user;
    if (level >= EV_LOG_WARNING) {
        note("warning: %s", line);
    }
}

int open_context(int32_t n_threads, ev_context **out)
{
    ev_context_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.n_threads = n_threads ? n_threads : -1;
    opt.log_level = EV_LOG_WARNING;
    opt.log = log_line;
    ev_status status = ev_context_create(&opt, out);
    return status == EV_OK ? 0 : fail_status(EXIT_BUG, status, NULL);
}
