/* SPDX-License-Identifier: MIT */
/* The context: what an object needs from outside.  There are no globals; this is their place. */
#include "base/context.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define THREADS_MAX 256

static ev_status files_choose(ev_context *ctx, const ev_file_hooks *from)
{
    ev_file_hooks hooks;
    EVI_TRY(evi_options_read(&hooks, (uint32_t)sizeof(hooks), from, "ev_context_create"));
    int32_t set = (hooks.open != NULL) + (hooks.size != NULL) + (hooks.read != NULL) +
                  (hooks.write != NULL) + (hooks.sync != NULL) + (hooks.close != NULL) +
                  (hooks.rename != NULL) + (hooks.remove != NULL);
    if (set != 0 && set != 8)
        return evi_fail(EV_ERR_ARGUMENT,
                        "ev_context_create: files sets %d of its 8 functions; all or none", set);
    ctx->own_files = set != 0;
    if (set != 0)
        ctx->files = hooks;
    else
        evi_files_default(&ctx->files);
    return EV_OK;
}

static ev_status options_check(const ev_context_options *o)
{
    if (o->n_threads < -1 || o->n_threads > THREADS_MAX)
        return evi_fail(EV_ERR_ARGUMENT, "ev_context_create: n_threads is %d, not -1..%d",
                        o->n_threads, THREADS_MAX);
    if (o->log_level < EV_LOG_DEBUG || o->log_level > EV_LOG_WARNING)
        return evi_fail(EV_ERR_ARGUMENT, "ev_context_create: log_level is %d, not %d..%d",
                        o->log_level, EV_LOG_DEBUG, EV_LOG_WARNING);
    if ((o->alloc == NULL) != (o->free == NULL))
        return evi_fail(EV_ERR_ARGUMENT, "ev_context_create: alloc and free go together");
    return EV_OK;
}

/* A context with the settings of `like`. */
static ev_status start(const ev_context *like, ev_context **out)
{
    ev_context *ctx = NULL;
    EVI_TRY(evi_context_block(like, &ctx));
    evi_handle_start(&ctx->handle, EVI_MAGIC_CONTEXT, NULL);
    if (ctx->n_threads > 1) {
        ctx->pool = evi_pool_create(ctx, ctx->n_threads);
        if (ctx->pool == NULL) {
            evi_free(ctx);
            return evi_fail(EV_ERR_MEMORY, "ev_context_create: no memory for %d threads",
                            like->n_threads);
        }
    }
    *out = ctx;
    return EV_OK;
}

ev_status evi_context_like(const ev_context *ctx, int32_t n_threads, ev_context **out)
{
    ev_context like;
    memset(&like, 0, sizeof(like));
    like.n_threads = EVI_MIN(EVI_MAX(n_threads, 1), THREADS_MAX);
    like.cpu = ctx->cpu;
    like.log_level = ctx->log_level;
    like.own_files = ctx->own_files;
    like.files = ctx->files;
    like.limit = ctx->limit == 0 ? 0 : EVI_MAX(evi_context_room(ctx), 1);
    like.alloc = ctx->alloc;
    like.free = ctx->free;
    like.log = ctx->log;
    like.user = ctx->user;
    *out = NULL;
    return start(&like, out);
}

ev_status ev_context_create(const ev_context_options *opt, ev_context **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    ev_context_options o;
    EVI_OPTIONS_READ(&o, opt);
    EVI_TRY(options_check(&o));

    ev_context like;
    memset(&like, 0, sizeof(like));
    EVI_TRY(files_choose(&like, o.files));
    int32_t cores = o.n_threads == -1 ? evi_cpu_cores() : o.n_threads;
    like.n_threads = EVI_MIN(EVI_MAX(cores, 1), THREADS_MAX);
    like.cpu = evi_cpu_detect() & ~o.cpu_disable;
    like.log_level = o.log_level;
    like.limit = o.memory_limit_bytes;
    like.alloc = o.alloc;
    like.free = o.free;
    like.log = o.log;
    like.user = o.user;

    return start(&like, out);
}

ev_context *ev_context_ref(ev_context *ctx)
{
    return evi_handle_ref(ctx, EVI_MAGIC_CONTEXT);
}

void ev_context_destroy(ev_context *ctx)
{
    if (!evi_handle_drop(ctx, EVI_MAGIC_CONTEXT))
        return;
    evi_pool_destroy(ctx->pool);
    evi_handle_end(ctx);
}

static bool is_context(const ev_context *ctx)
{
    return ctx != NULL && ctx->handle.magic == EVI_MAGIC_CONTEXT;
}

int32_t ev_context_threads(const ev_context *ctx)
{
    return is_context(ctx) ? ctx->n_threads : 0;
}

uint32_t ev_context_cpu(const ev_context *ctx)
{
    return is_context(ctx) ? ctx->cpu : 0;
}

uint64_t ev_context_memory_bytes(const ev_context *ctx)
{
    return is_context(ctx) ? atomic_load_explicit(&ctx->used, memory_order_relaxed) : 0;
}

uint64_t ev_context_memory_peak_bytes(const ev_context *ctx)
{
    return is_context(ctx) ? atomic_load_explicit(&ctx->peak, memory_order_relaxed) : 0;
}

/* ---- for the rest of the library ------------------------------------------------------------- */

void evi_log(ev_context *ctx, int32_t level, const char *format, ...)
{
    if (ctx == NULL || ctx->log == NULL || level < ctx->log_level)
        return;
    char line[512];
    int saved_errno = errno;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (n < 0)
        line[0] = '\0';
    for (char *c = line; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    ctx->log(ctx->user, level, line);
    errno = saved_errno;
}

uint32_t evi_cpu_flags(const ev_context *ctx)
{
    return ctx->cpu;
}

uint64_t evi_context_room(const ev_context *ctx)
{
    uint64_t used = atomic_load_explicit(&ctx->used, memory_order_relaxed);
    if (ctx->limit == 0)
        return EVI_SIZE_MAX;
    return used < ctx->limit ? ctx->limit - used : 0;
}

const ev_file_hooks *evi_files(const ev_context *ctx, void **user_out)
{
    *user_out = ctx->own_files ? ctx->user : NULL;
    return &ctx->files;
}

evi_pool *evi_context_pool(ev_context *ctx)
{
    return ctx->pool;
}

double evi_seconds(void)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
