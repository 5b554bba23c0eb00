/* SPDX-License-Identifier: MIT */
/* Memory: each block stands behind a header of 64 bytes that knows its context and size, so that
 * evi_free() needs nothing else and every byte is counted against the context's limit. */
#include "base/context.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Blocks from here on come straight from the kernel: zero pages for nothing, in huge pages, whose
 * first touch costs 0.17 ms a MiB instead of 0.4.  Not under ASan, which must see every block. */
#define LARGE_BYTES ((uint64_t)4 << 20)
#if defined(__SANITIZE_ADDRESS__)
#define USE_MMAP 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define USE_MMAP 0
#endif
#endif
#ifndef USE_MMAP
#if defined(__linux__)
#define USE_MMAP 1
#else
#define USE_MMAP 0
#endif
#endif
#if USE_MMAP
#include <sys/mman.h>
#endif

#define BLOCK_MAGIC 0x4556424cu
#define BLOCK_GIVEN 0x4556474cu /* the caller's: holds a reference on the context */
#define BLOCK_ENDED 0x64656164u

typedef struct block_header {
    ev_context *ctx;
    uint64_t size; /* what the caller asked for */
    uint32_t magic;
    uint32_t zeroed;
    unsigned char fill[EVI_ALIGN - sizeof(void *) - 16];
} block_header;

_Static_assert(sizeof(block_header) == EVI_ALIGN, "a block must stay aligned behind its header");

/* ---- the C library's memory ------------------------------------------------------------------ */

static void *system_alloc(uint64_t total, bool *zeroed)
{
    *zeroed = false;
#if USE_MMAP
    if (total >= LARGE_BYTES) {
        void *p = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return NULL;
#ifdef MADV_HUGEPAGE
        (void)madvise(p, total, MADV_HUGEPAGE);
#endif
        *zeroed = true;
        return p;
    }
#endif
    return aligned_alloc(EVI_ALIGN, total);
}

static void system_free(void *p, uint64_t total)
{
#if USE_MMAP
    if (total >= LARGE_BYTES) {
        (void)munmap(p, total);
        return;
    }
#endif
    (void)total;
    free(p);
}

static block_header *raw_alloc(const ev_context *like, uint64_t size)
{
    uint64_t total = evi_block_bytes(size);
    bool zeroed = false;
    int saved_errno = errno;
    block_header *h = NULL;
    if (total <= SIZE_MAX)
        h = like->alloc != NULL ? like->alloc(like->user, (size_t)total, EVI_ALIGN)
                                : system_alloc(total, &zeroed);
    errno = saved_errno;
    if (h == NULL)
        return NULL;
    h->ctx = NULL;
    h->size = size;
    h->magic = BLOCK_MAGIC;
    h->zeroed = zeroed;
    return h;
}

static void raw_free(const ev_context *like, block_header *h)
{
    uint64_t total = evi_block_bytes(h->size);
    int saved_errno = errno;
    h->magic = BLOCK_ENDED;
    if (like->alloc != NULL)
        like->free(like->user, h, (size_t)total);
    else
        system_free(h, total);
    errno = saved_errno;
}

/* ---- counting -------------------------------------------------------------------------------- */

static bool count_up(ev_context *ctx, uint64_t total)
{
    uint64_t used = atomic_load_explicit(&ctx->used, memory_order_relaxed);
    do {
        if (ctx->limit != 0 && (total > ctx->limit || used > ctx->limit - total))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&ctx->used, &used, used + total,
                                                    memory_order_relaxed, memory_order_relaxed));
    used += total;
    uint64_t peak = atomic_load_explicit(&ctx->peak, memory_order_relaxed);
    while (peak < used &&
           !atomic_compare_exchange_weak_explicit(&ctx->peak, &peak, used, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
    return true;
}

static void count_down(ev_context *ctx, uint64_t total)
{
    atomic_fetch_sub_explicit(&ctx->used, total, memory_order_relaxed);
}

ev_status evi_context_block(const ev_context *like, ev_context **out)
{
    uint64_t size = sizeof(ev_context), total = evi_block_bytes(size);
    *out = NULL;
    if (like->limit != 0 && total > like->limit)
        return evi_fail(EV_ERR_MEMORY, "memory limit of %llu bytes is below the context's own %llu",
                        (unsigned long long)like->limit, (unsigned long long)total);
    block_header *h = raw_alloc(like, size);
    if (h == NULL)
        return evi_fail(EV_ERR_MEMORY, "no memory for a context");
    ev_context *ctx = (ev_context *)(h + 1);
    *ctx = *like;
    h->ctx = ctx;
    atomic_init(&ctx->used, total);
    atomic_init(&ctx->peak, total);
    *out = ctx;
    return EV_OK;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static ev_status block_new(ev_context *ctx, uint64_t n, uint64_t size, block_header **out)
{
    uint64_t bytes = 0;
    *out = NULL;
    if (!evi_mul(n, size, &bytes))
        return evi_fail(EV_ERR_MEMORY, "%llu elements of %llu bytes are too many",
                        (unsigned long long)n, (unsigned long long)size);
    uint64_t total = evi_block_bytes(bytes);
    if (!count_up(ctx, total))
        return evi_fail(EV_ERR_MEMORY,
                        "%llu bytes more would pass the memory limit of %llu (%llu in use)",
                        (unsigned long long)total, (unsigned long long)ctx->limit,
                        (unsigned long long)atomic_load(&ctx->used));
    block_header *h = raw_alloc(ctx, bytes);
    if (h == NULL) {
        count_down(ctx, total);
        return evi_fail(EV_ERR_MEMORY, "no memory for %llu bytes", (unsigned long long)total);
    }
    h->ctx = ctx;
    *out = h;
    return EV_OK;
}

/* `out` is void* so that callers need no cast: it is the address of any object pointer. */
static void pointer_store(void *out, const void *p)
{
    memcpy(out, &p, sizeof(p));
}

ev_status evi_calloc(ev_context *ctx, uint64_t n, uint64_t size, void *out)
{
    block_header *h = NULL;
    pointer_store(out, NULL);
    EVI_TRY(block_new(ctx, n, size, &h));
    if (!h->zeroed)
        memset(h + 1, 0, (size_t)h->size);
    pointer_store(out, h + 1);
    return EV_OK;
}

ev_status evi_malloc(ev_context *ctx, uint64_t n, uint64_t size, void *out)
{
    block_header *h = NULL;
    pointer_store(out, NULL);
    EVI_TRY(block_new(ctx, n, size, &h));
    pointer_store(out, h + 1);
    return EV_OK;
}

ev_status evi_realloc(ev_context *ctx, uint64_t n, uint64_t size, void *block)
{
    void *old = NULL;
    memcpy(&old, block, sizeof(old));
    if (old == NULL)
        return evi_calloc(ctx, n, size, block);
    block_header *h = NULL;
    EVI_TRY(block_new(ctx, n, size, &h));
    uint64_t old_size = ((block_header *)old - 1)->size;
    uint64_t kept = EVI_MIN(old_size, h->size);
    memcpy(h + 1, old, (size_t)kept);
    if (!h->zeroed && h->size > kept)
        memset((char *)(h + 1) + kept, 0, (size_t)(h->size - kept));
    evi_free(old);
    pointer_store(block, h + 1);
    return EV_OK;
}

void evi_free(void *block)
{
    if (block == NULL)
        return;
    block_header *h = (block_header *)block - 1;
    if (h->magic != BLOCK_MAGIC && h->magic != BLOCK_GIVEN)
        return; /* not ours: leaking is better than corrupting */
    ev_context *given_by = h->magic == BLOCK_GIVEN ? h->ctx : NULL;
    if (block == (void *)h->ctx) { /* the context itself: its hooks must outlive it */
        ev_context last;
        memcpy(&last, h->ctx, sizeof(last));
        raw_free(&last, h);
        return;
    }
    count_down(h->ctx, evi_block_bytes(h->size));
    raw_free(h->ctx, h);
    ev_context_destroy(given_by);
}

void *evi_give(void *block)
{
    block_header *h = (block_header *)block - 1;
    h->magic = BLOCK_GIVEN;
    (void)ev_context_ref(h->ctx);
    return block;
}

ev_status evi_strndup(ev_context *ctx, const char *text, uint64_t length, char **out)
{
    const char *end = memchr(text, '\0', (size_t)length);
    if (end != NULL)
        length = (uint64_t)(end - text);
    EVI_TRY(evi_malloc(ctx, length + 1, 1, out));
    memcpy(*out, text, (size_t)length);
    (*out)[length] = '\0';
    return EV_OK;
}

ev_status evi_strdup(ev_context *ctx, const char *text, char **out)
{
    return evi_strndup(ctx, text, strlen(text), out);
}
