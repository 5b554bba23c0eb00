/* SPDX-License-Identifier: MIT */
#include "base_tests.h"

#include <errno.h>
#include <pthread.h>

#define LARGE ((uint64_t)9 << 20)

static bool all_bytes(const void *block, int byte, size_t n)
{
    const unsigned char *p = block;
    for (size_t i = 0; i < n; i++)
        if (p[i] != byte)
            return false;
    return true;
}

START_TEST(arithmetic)
{
    uint64_t r;
    ck_assert(evi_mul(1u << 31, 1u << 31, &r) && r == EVI_SIZE_MAX);
    ck_assert(!evi_mul((uint64_t)1 << 31, ((uint64_t)1 << 31) + 1, &r));
    ck_assert(!evi_mul(UINT64_MAX, 2, &r));
    ck_assert(evi_mul(0, UINT64_MAX, &r) && r == 0);
    ck_assert(evi_add(EVI_SIZE_MAX - 1, 1, &r) && r == EVI_SIZE_MAX);
    ck_assert(!evi_add(EVI_SIZE_MAX, 1, &r));
    ck_assert(!evi_add(UINT64_MAX, 1, &r));
    ck_assert_uint_eq(evi_round_up(0, 64), 0);
    ck_assert_uint_eq(evi_round_up(65, 64), 128);
    ck_assert_uint_eq(evi_block_bytes(0), 64);
    ck_assert_uint_eq(evi_block_bytes(1), 128);
    ck_assert_uint_eq(evi_block_bytes(64), 128);
    ck_assert_uint_eq(evi_block_bytes(65), 192);
}
END_TEST

/* Sizes on both sides of every border, with the default allocator and with the caller's. */
static void blocks(ev_context *ctx)
{
    static const uint64_t sizes[] = {0, 1, 63, 64, 65, 4096, 4194303 - 64, 4194304, LARGE};
    uint64_t before = ev_context_memory_bytes(ctx);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned char *a = NULL, *b = NULL;
        t_ok(evi_calloc(ctx, sizes[i], 1, &a));
        t_ok(evi_malloc(ctx, 1, sizes[i], &b));
        ck_assert_uint_eq((uintptr_t)a % EVI_ALIGN, 0);
        ck_assert_uint_eq((uintptr_t)b % EVI_ALIGN, 0);
        ck_assert(all_bytes(a, 0, sizes[i]));
        ck_assert_uint_eq(ev_context_memory_bytes(ctx), before + 2 * evi_block_bytes(sizes[i]));
        memset(b, 0x77, sizes[i]);
        t_ok(evi_realloc(ctx, 2 * sizes[i] + 10, 1, &b));
        ck_assert(all_bytes(b, 0x77, sizes[i]));
        ck_assert(all_bytes(b + sizes[i], 0, sizes[i] + 10));
        t_ok(evi_realloc(ctx, sizes[i] / 2, 1, &b));
        ck_assert(all_bytes(b, 0x77, sizes[i] / 2));
        evi_free(a);
        evi_free(b);
        ck_assert_uint_eq(ev_context_memory_bytes(ctx), before);
    }
    evi_free(NULL);
}

START_TEST(blocks_default)
{
    ev_context *ctx = t_context(NULL, 1);
    errno = 7;
    blocks(ctx);
    ck_assert_int_eq(errno, 7);
    ck_assert_uint_ge(ev_context_memory_peak_bytes(ctx), 3 * LARGE);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(blocks_hooks)
{
    t_hooks h = {0};
    ev_context *ctx = t_context(&h, 1);
    blocks(ctx);
    ck_assert_uint_eq(ev_context_memory_bytes(ctx), (uint64_t)h.n_live_bytes);
    ev_context_destroy(ctx);
    ck_assert_int_eq(h.n_live, 0);
    ck_assert_int_eq(h.n_live_bytes, 0);
}
END_TEST

START_TEST(too_large)
{
    ev_context *ctx = t_context(NULL, 1);
    void *p = ctx;
    t_status(evi_calloc(ctx, UINT64_MAX, 2, &p), EV_ERR_MEMORY);
    ck_assert_ptr_null(p);
    t_status(evi_malloc(ctx, (uint64_t)1 << 61, 1, &p), EV_ERR_MEMORY);
    ck_assert_ptr_null(p);
    t_ok(evi_calloc(ctx, 4, 1, &p));
    void *before = p;
    t_status(evi_realloc(ctx, UINT64_MAX, UINT64_MAX, &p), EV_ERR_MEMORY);
    ck_assert_ptr_eq(p, before);
    evi_free(p);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(limit)
{
    ev_context_options opt;
    ev_context *ctx = NULL;
    void *a = NULL, *b = NULL;
    EV_OPTIONS_INIT(&opt);
    opt.memory_limit_bytes = 1;
    t_status(ev_context_create(&opt, &ctx), EV_ERR_MEMORY);
    ck_assert_ptr_null(ctx);
    opt.memory_limit_bytes = 100000;
    t_ok(ev_context_create(&opt, &ctx));
    uint64_t own = ev_context_memory_bytes(ctx), room = 100000 - own;
    ck_assert_uint_gt(own, 0);
    room = room / 64 * 64 - 64; /* a block that fills all but the last part line */
    t_status(evi_calloc(ctx, room + 1, 1, &a), EV_ERR_MEMORY);
    t_ok(evi_calloc(ctx, room, 1, &a));
    t_status(evi_calloc(ctx, 1, 1, &b), EV_ERR_MEMORY);
    ck_assert(strstr(ev_last_error(), "limit") != NULL);
    ck_assert_uint_le(ev_context_memory_peak_bytes(ctx), 100000);
    evi_free(a);
    ck_assert_uint_eq(ev_context_memory_bytes(ctx), own);
    t_ok(evi_calloc(ctx, 1, 1, &b));
    evi_free(b);
    ev_context_destroy(ctx);
}
END_TEST

/* Many threads at the limit: the count must come back to where it was and never pass it. */
static void *take_and_give(void *arg)
{
    ev_context *ctx = arg;
    for (int i = 0; i < 2000; i++) {
        void *p = NULL;
        if (evi_malloc(ctx, (uint64_t)(i % 50) * 100, 1, &p) == EV_OK)
            evi_free(p);
    }
    return NULL;
}

START_TEST(limit_among_threads)
{
    ev_context_options opt;
    ev_context *ctx = NULL;
    pthread_t threads[4];
    EV_OPTIONS_INIT(&opt);
    opt.memory_limit_bytes = 12000;
    t_ok(ev_context_create(&opt, &ctx));
    uint64_t own = ev_context_memory_bytes(ctx);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_give, ctx), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_uint_eq(ev_context_memory_bytes(ctx), own);
    ck_assert_uint_le(ev_context_memory_peak_bytes(ctx), 12000);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(texts)
{
    ev_context *ctx = t_context(NULL, 1);
    char *a = NULL;
    t_ok(evi_strdup(ctx, "", &a));
    ck_assert_str_eq(a, "");
    evi_free(a);
    t_ok(evi_strndup(ctx, "hello", 3, &a));
    ck_assert_str_eq(a, "hel");
    evi_free(a);
    t_ok(evi_strndup(ctx, "hello", 100, &a)); /* stops at the end */
    ck_assert_str_eq(a, "hello");
    evi_free(a);
    ev_context_destroy(ctx);
}
END_TEST

static ev_status several(ev_context *ctx, void *arg)
{
    char *a = NULL;
    void *b = NULL;
    (void)arg;
    ev_status status = evi_strdup(ctx, "text", &a);
    if (status == EV_OK)
        status = evi_calloc(ctx, 3, 4, &b);
    if (status == EV_OK)
        status = evi_realloc(ctx, 3000, 4, &b);
    evi_free(a);
    evi_free(b);
    return status;
}

START_TEST(each_fails)
{
    ck_assert_int_eq(t_each_alloc(several, NULL, 1, 0), 4);
    ck_assert_int_eq(t_each_alloc(several, NULL, 3, 0), 6);
}
END_TEST

TCase *memory_tests(void)
{
    TCase *t = tcase_create("memory");
    tcase_add_test(t, arithmetic);
    tcase_add_test(t, blocks_default);
    tcase_add_test(t, blocks_hooks);
    tcase_add_test(t, too_large);
    tcase_add_test(t, limit);
    tcase_add_test(t, limit_among_threads);
    tcase_add_test(t, texts);
    tcase_add_test(t, each_fails);
    return t;
}
