/* SPDX-License-Identifier: MIT */
#include "base_tests.h"

START_TEST(null)
{
    t_status(ev_context_create(NULL, NULL), EV_ERR_ARGUMENT);
    ck_assert_ptr_null(ev_context_ref(NULL));
    ev_context_destroy(NULL);
    ck_assert_int_eq(ev_context_threads(NULL), 0);
    ck_assert_uint_eq(ev_context_cpu(NULL), 0);
    ck_assert_uint_eq(ev_context_memory_bytes(NULL), 0);
    ck_assert_uint_eq(ev_context_memory_peak_bytes(NULL), 0);
}
END_TEST

START_TEST(defaults)
{
    ev_context *ctx = NULL;
    t_ok(ev_context_create(NULL, &ctx));
    ck_assert_int_eq(ev_context_threads(ctx), 1);
    ck_assert_uint_gt(ev_context_memory_bytes(ctx), 0);
    ck_assert_uint_eq(ev_context_memory_bytes(ctx), ev_context_memory_peak_bytes(ctx));
    ck_assert_ptr_eq(ev_context_ref(ctx), ctx);
    ev_context_destroy(ctx);
    ck_assert_int_eq(ev_context_threads(ctx), 1); /* the other reference */
    ev_context_destroy(ctx);
}
END_TEST

static ev_status with_threads(int32_t n, int32_t *got)
{
    ev_context_options opt;
    ev_context *ctx = NULL;
    EV_OPTIONS_INIT(&opt);
    opt.n_threads = n;
    ev_status status = ev_context_create(&opt, &ctx);
    *got = ev_context_threads(ctx);
    ev_context_destroy(ctx);
    return status;
}

START_TEST(threads)
{
    int32_t n;
    t_ok(with_threads(3, &n));
    ck_assert_int_eq(n, 3);
    t_ok(with_threads(256, &n)); /* cheap: no thread before it is needed */
    ck_assert_int_eq(n, 256);
    t_ok(with_threads(-1, &n));
    ck_assert_int_ge(n, 1);
    t_status(with_threads(-2, &n), EV_ERR_ARGUMENT);
    t_status(with_threads(257, &n), EV_ERR_ARGUMENT);
    ck_assert_int_eq(n, 0);
}
END_TEST

START_TEST(cpu)
{
    ev_context_options opt;
    ev_context *all = NULL, *none = NULL;
    EV_OPTIONS_INIT(&opt);
    t_ok(ev_context_create(&opt, &all));
    opt.cpu_disable = UINT32_MAX;
    t_ok(ev_context_create(&opt, &none));
    ck_assert_uint_eq(ev_context_cpu(none), 0);
#if defined(__aarch64__)
    ck_assert_uint_eq(ev_context_cpu(all), EV_CPU_NEON);
#else
    uint32_t flags = ev_context_cpu(all);
    ck_assert((flags & EV_CPU_AVX512) == 0 || (flags & EV_CPU_AVX2) != 0);
#endif
    ck_assert_uint_eq(evi_cpu_flags(all), ev_context_cpu(all));
    ev_context_destroy(all);
    ev_context_destroy(none);
}
END_TEST

START_TEST(refused)
{
    t_hooks h = {0};
    ev_context_options opt;
    ev_context *ctx = NULL;
    ev_file_hooks files;
    t_options(&h, true, &opt);
    opt.free = NULL;
    t_status(ev_context_create(&opt, &ctx), EV_ERR_ARGUMENT);
    t_options(&h, true, &opt);
    opt.alloc = NULL;
    t_status(ev_context_create(&opt, &ctx), EV_ERR_ARGUMENT);
    t_options(&h, true, &opt);
    opt.log_level = 3;
    t_status(ev_context_create(&opt, &ctx), EV_ERR_ARGUMENT);
    opt.log_level = -1;
    t_status(ev_context_create(&opt, &ctx), EV_ERR_ARGUMENT);
    t_options(&h, true, &opt);
    files = *opt.files;
    files.sync = NULL;
    opt.files = &files;
    t_status(ev_context_create(&opt, &ctx), EV_ERR_ARGUMENT);
    EV_OPTIONS_INIT(&files); /* all empty: the ordinary file system */
    t_ok(ev_context_create(&opt, &ctx));
    ev_context_destroy(ctx);
    ck_assert_int_eq(h.n_live, 0);
}
END_TEST

START_TEST(logging)
{
    t_hooks h = {0};
    ev_context_options opt;
    ev_context *ctx = NULL;
    t_options(&h, false, &opt);
    opt.log_level = EV_LOG_INFO;
    t_ok(ev_context_create(&opt, &ctx));
    evi_log(ctx, EV_LOG_DEBUG, "no");
    ck_assert_int_eq(h.n_log_lines, 0);
    evi_log(ctx, EV_LOG_INFO, "n %d\n", 5);
    ck_assert_int_eq(h.n_log_lines, 1);
    ck_assert_str_eq(h.log_line, "n 5 ");
    evi_log(NULL, EV_LOG_WARNING, "nobody listens");
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(clock_runs)
{
    double a = evi_seconds(), b = evi_seconds();
    ck_assert(a > 0 && b >= a);
}
END_TEST

TCase *context_tests(void)
{
    TCase *t = tcase_create("context");
    tcase_add_test(t, null);
    tcase_add_test(t, defaults);
    tcase_add_test(t, threads);
    tcase_add_test(t, cpu);
    tcase_add_test(t, refused);
    tcase_add_test(t, logging);
    tcase_add_test(t, clock_runs);
    return t;
}
