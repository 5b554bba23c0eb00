/* SPDX-License-Identifier: MIT */
/* Status codes, the thread's error line, and the handle that every public object starts with. */
#include "base/base.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES 512

static _Thread_local char error_line[LINE_BYTES];

static const char *const status_names[] = {
    "EV_OK",           "EV_ERR_ARGUMENT",    "EV_ERR_SHAPE",    "EV_ERR_MEMORY", "EV_ERR_IO",
    "EV_ERR_FORMAT",   "EV_ERR_UNSUPPORTED", "EV_ERR_VERSION",  "EV_ERR_STALE",  "EV_ERR_CANCELLED",
    "EV_ERR_DIVERGED", "EV_ERR_STATE",       "EV_ERR_INTERNAL", "EV_ERR_GOAL",
};

const char *ev_status_name(ev_status status)
{
    if (status > 0 || status <= -EVI_COUNT(status_names))
        return "EV_ERR_?";
    return status_names[-status];
}

const char *ev_last_error(void)
{
    return error_line;
}

#define TEXT_OF(x) #x
#define VERSION_TEXT(a, b, c) TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)

const char *ev_version(void)
{
    return VERSION_TEXT(EV_VERSION_MAJOR, EV_VERSION_MINOR, EV_VERSION_PATCH);
}

int32_t ev_version_number(void)
{
    return EV_VERSION_MAJOR * 10000 + EV_VERSION_MINOR * 100 + EV_VERSION_PATCH;
}

/* Format into a buffer of our own first: the arguments may point into the present line. */
static void line_set(const char *format, va_list args, const char *tail)
{
    char line[LINE_BYTES];
    int saved_errno = errno;
    int n = vsnprintf(line, sizeof(line), format, args);
    if (n < 0)
        n = 0;
    if (n >= LINE_BYTES)
        n = LINE_BYTES - 1;
    if (tail != NULL)
        (void)snprintf(line + n, sizeof(line) - (size_t)n, ": %s", tail);
    line[LINE_BYTES - 1] = '\0';
    for (char *c = line; *c != '\0'; c++) /* names come from files: keep it one harmless line */
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    memcpy(error_line, line, sizeof(line));
    errno = saved_errno;
}

ev_status evi_fail(ev_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line_set(format, args, NULL);
    va_end(args);
    return status;
}

ev_status evi_fail_in(ev_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line_set(format, args, error_line);
    va_end(args);
    return status;
}

/* ---- handles --------------------------------------------------------------------------------- */

void evi_handle_start(evi_handle *h, uint32_t magic, ev_context *ctx)
{
    h->magic = magic;
    atomic_init(&h->refs, 1);
    h->ctx = ev_context_ref(ctx);
}

ev_status evi_check_handle(const void *h, uint32_t magic, const char *function,
                           const char *argument)
{
    if (h == NULL)
        return evi_fail(EV_ERR_ARGUMENT, "%s: %s is NULL", function, argument);
    if (((const evi_handle *)h)->magic != magic)
        return evi_fail(EV_ERR_ARGUMENT, "%s: %s is a handle of another kind, or was destroyed",
                        function, argument);
    return EV_OK;
}

void *evi_handle_ref(void *handle, uint32_t magic)
{
    evi_handle *h = handle;
    if (h == NULL || h->magic != magic)
        return NULL;
    atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
    return h;
}

bool evi_handle_drop(void *handle, uint32_t magic)
{
    evi_handle *h = handle;
    if (h == NULL || h->magic != magic)
        return false;
    return atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) == 1;
}

void evi_handle_end(void *handle)
{
    evi_handle *h = handle;
    ev_context *ctx = h->ctx;
    h->magic = 0;
    evi_free(h);
    ev_context_destroy(ctx);
}
