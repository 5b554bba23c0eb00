/* SPDX-License-Identifier: MIT */
#include "base_tests.h"

#include <locale.h>
#include <math.h>

static void shows(double value, const char *expected)
{
    ev_context *ctx = t_context(NULL, 1);
    evi_text t;
    evi_text_start(&t, ctx);
    evi_text_double(&t, value);
    ck_assert_str_eq(t.data, expected);
    evi_text_end(&t);
    ev_context_destroy(ctx);
}

static void numbers(void)
{
    shows(0.0, "0");
    shows(1.0, "1");
    shows(0.5, "0.5");
    shows(-1234.25, "-1234.25");
    shows((double)0.1f, "0.1");
    shows(0.1, "0.1");
    shows(1e-30, "1e-30");
    shows(1.0 / 3, "0.333333333");
    shows(6.02214076e23, "6.02214076e+23");
    shows((double)INFINITY, "inf");
    shows(-(double)INFINITY, "-inf");
    shows((double)NAN, "nan");
}

static bool parses(const char *text, double expected)
{
    double got = -77;
    return evi_parse_double(text, strlen(text), &got) && got == expected;
}

static void parsing(void)
{
    static const char *const bad[] = {"",     " 1",  "1 ",    "1,5",  ".",  "e5", "1e", "1e+",
                                      "0x10", "--1", "1.2.3", "nanx", "in", "1f", "+",  "infinity"};
    ck_assert(parses("1", 1));
    ck_assert(parses("-1.5", -1.5));
    ck_assert(parses("+.5", 0.5));
    ck_assert(parses("5.", 5));
    ck_assert(parses("1e3", 1000));
    ck_assert(parses("1.25E-2", 0.0125));
    ck_assert(parses("0.1", 0.1));
    ck_assert(parses("2.2250738585072011e-308", 2.2250738585072011e-308));
    ck_assert(parses("179769313486231570000000000000e999", (double)INFINITY));
    ck_assert(parses("1e-999", 0));
    ck_assert(parses("inf", (double)INFINITY));
    ck_assert(parses("-Inf", -(double)INFINITY));
    double nan = 0;
    ck_assert(evi_parse_double("NaN", 3, &nan) && isnan(nan));
    ck_assert(evi_parse_double("12345", 2, &nan) && nan == 12);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!evi_parse_double(bad[i], strlen(bad[i]), &nan), "%s", bad[i]);
    char many[1000];
    memset(many, '1', sizeof(many));
    ck_assert(!evi_parse_double(many, sizeof(many), &nan));
    ck_assert(!evi_parse_double(NULL, 0, &nan));
}

START_TEST(numbers_plain)
{
    numbers();
    parsing();
}
END_TEST

/* Needs a locale with a comma; without one there is nothing to test. */
START_TEST(numbers_comma)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8",  "de_DE",
                                        "fr_FR.UTF-8", "es_ES.UTF-8", "ps_AF.UTF-8"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (setlocale(LC_NUMERIC, names[i]) == NULL)
            continue;
        char half[16];
        (void)snprintf(half, sizeof(half), "%.1f", 0.5);
        ck_assert_str_ne(half, "0.5");
        numbers();
        parsing();
    }
    (void)setlocale(LC_NUMERIC, "C");
}
END_TEST

START_TEST(round_trips)
{
    ev_context *ctx = t_context(NULL, 1);
    uint64_t state = 5;
    for (int i = 0; i < 20000; i++) {
        uint32_t bits = t_random(&state);
        float value, back;
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value))
            continue;
        evi_text t;
        double parsed;
        evi_text_start(&t, ctx);
        evi_text_double(&t, (double)value);
        ck_assert(evi_parse_double(t.data, t.length, &parsed));
        back = (float)parsed;
        ck_assert_msg(memcmp(&back, &value, sizeof(value)) == 0, "%s", t.data);
        evi_text_end(&t);
    }
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(integers)
{
    int64_t v;
    ck_assert(evi_parse_int("0", 1, &v) && v == 0);
    ck_assert(evi_parse_int("-17", 3, &v) && v == -17);
    ck_assert(evi_parse_int("+17", 3, &v) && v == 17);
    ck_assert(evi_parse_int("9223372036854775807", 19, &v) && v == INT64_MAX);
    ck_assert(evi_parse_int("-9223372036854775808", 20, &v) && v == INT64_MIN);
    ck_assert(!evi_parse_int("9223372036854775808", 19, &v));
    ck_assert(!evi_parse_int("-9223372036854775809", 20, &v));
    ck_assert(!evi_parse_int("", 0, &v));
    ck_assert(!evi_parse_int("-", 1, &v));
    ck_assert(!evi_parse_int("1.0", 3, &v));
    ck_assert(!evi_parse_int(" 1", 2, &v));
}
END_TEST

START_TEST(growing)
{
    ev_context *ctx = t_context(NULL, 1);
    evi_text t;
    evi_text_start(&t, ctx);
    for (int i = 0; i < 3000; i++)
        evi_text_add(&t, "%d,", i);
    evi_text_bytes(&t, NULL, 0);
    ck_assert_int_eq(t.status, EV_OK);
    ck_assert_uint_eq(t.length, strlen(t.data));
    ck_assert_int_eq(strncmp(t.data, "0,1,2,3,4,5,6,7,8,9,10,", 23), 0);
    ck_assert_str_eq(t.data + t.length - 5, "2999,");
    evi_text_end(&t);
    evi_text_end(&t); /* empty: fine */
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(json)
{
    ev_context *ctx = t_context(NULL, 1);
    evi_text t;
    evi_text_start(&t, ctx);
    evi_text_json_string(&t,
                         "a\"b\\c\n\x01 \xc3\xa4 \xff \xc3 \xed\xa0\x80 \xf0\x9f\x90\x95 \xe2\x82");
    ck_assert_str_eq(t.data, "\"a\\\"b\\\\c\\n\\u0001 \xc3\xa4 \\ufffd \\ufffd "
                             "\\ufffd\\ufffd\\ufffd \xf0\x9f\x90\x95 \\ufffd\\ufffd\"");
    evi_text_end(&t);
    ev_context_destroy(ctx);
}
END_TEST

static ev_status write_text(ev_context *ctx, void *arg)
{
    evi_text t;
    (void)arg;
    evi_text_start(&t, ctx);
    for (int i = 0; i < 100; i++) {
        evi_text_add(&t, "%d %s", i, "words");
        evi_text_double(&t, i);
        evi_text_json_string(&t, "x");
    }
    ev_status status = t.status;
    evi_text_end(&t);
    return status;
}

START_TEST(memory_fails)
{
    ck_assert_int_gt(t_each_alloc(write_text, NULL, 1, 0), 3);
}
END_TEST

START_TEST(crc32c)
{
    unsigned char bytes[1000];
    ck_assert_uint_eq(evi_crc32c(0, "123456789", 9), 0xe3069283u);
    ck_assert_uint_eq(evi_crc32c(0, "", 0), 0);
    memset(bytes, 0, 32); /* RFC 3720, B.4 */
    ck_assert_uint_eq(evi_crc32c(0, bytes, 32), 0x8a9136aau);
    memset(bytes, 0xff, 32);
    ck_assert_uint_eq(evi_crc32c(0, bytes, 32), 0x62a8ab43u);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 7);
    uint32_t whole = evi_crc32c(0, bytes, sizeof(bytes));
    for (size_t cut = 0; cut <= sizeof(bytes); cut += 37)
        ck_assert_uint_eq(evi_crc32c(evi_crc32c(0, bytes, cut), bytes + cut, sizeof(bytes) - cut),
                          whole);
}
END_TEST

TCase *text_tests(void)
{
    TCase *t = tcase_create("text");
    tcase_add_test(t, numbers_plain);
    tcase_add_test(t, numbers_comma);
    tcase_add_test(t, round_trips);
    tcase_add_test(t, integers);
    tcase_add_test(t, growing);
    tcase_add_test(t, json);
    tcase_add_test(t, memory_fails);
    tcase_add_test(t, crc32c);
    return t;
}
