/* SPDX-License-Identifier: MIT */
#include "base/rng.h"
#include "base_tests.h"

#include <math.h>

static void known(uint64_t seed, uint64_t stream, uint64_t block, const uint32_t expected[4])
{
    uint32_t words[4];
    evi_rng rng = {seed, stream};
    evi_rng_block(rng, block, words);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(words[i], expected[i]);
}

/* kat_vectors of Random123 (philox4x32, 10 rounds) */
START_TEST(known_answers)
{
    known(0, 0, 0, (const uint32_t[4]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    known(UINT64_MAX, UINT64_MAX, UINT64_MAX,
          (const uint32_t[4]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    known(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88,
          (const uint32_t[4]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}
END_TEST

START_TEST(elements)
{
    evi_rng rng = {7, 3};
    uint32_t words[4];
    evi_rng_block(rng, 5, words);
    for (uint64_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(evi_rng_u32(rng, 20 + i), words[i]);
        ck_assert(evi_rng_uniform(rng, 20 + i) == words[i] / 4294967296.0);
    }
}
END_TEST

START_TEST(distributions)
{
    enum { N = 200000 };
    evi_rng rng = {1, 2};
    double sum = 0, sum2 = 0, sum4 = 0, mean = 0;
    for (uint64_t i = 0; i < N; i++) {
        double u = evi_rng_uniform(rng, i), z = evi_rng_normal(rng, i);
        ck_assert(u >= 0 && u < 1 && isfinite(z));
        mean += u / N;
        sum += z / N;
        sum2 += z * z / N;
        sum4 += z * z * z * z / N;
    }
    ck_assert(fabs(mean - 0.5) < 0.003); /* four and a half deviations */
    ck_assert(fabs(sum) < 0.01);
    ck_assert(fabs(sum2 - 1) < 0.015);
    ck_assert(fabs(sum4 - 3) < 0.12);
}
END_TEST

START_TEST(below)
{
    evi_rng rng = {1, 9};
    int32_t counts[7] = {0};
    for (uint64_t i = 0; i < 70000; i++) {
        uint32_t k = evi_rng_below(rng, i, 7);
        ck_assert_uint_lt(k, 7);
        counts[k]++;
        ck_assert_uint_eq(evi_rng_below(rng, i, 1), 0);
        ck_assert_uint_eq(evi_rng_below(rng, i, 0), 0);
    }
    for (int i = 0; i < 7; i++)
        ck_assert_int_lt(abs(counts[i] - 10000), 450);
    uint32_t most = 0;
    for (uint64_t i = 0; i < 1000; i++)
        most = EVI_MAX(most, evi_rng_below(rng, i, UINT32_MAX));
    ck_assert_uint_gt(most, 4200000000u);
}
END_TEST

START_TEST(shuffle)
{
    enum { N = 1000 };
    evi_rng rng = {1, 4};
    int32_t a[N], b[N];
    bool seen[N] = {false};
    evi_rng_shuffle(rng, N, a);
    evi_rng_shuffle(rng, N, b);
    ck_assert_int_eq(memcmp(a, b, sizeof(a)), 0);
    int32_t fixed = 0;
    for (int32_t i = 0; i < N; i++) {
        ck_assert(a[i] >= 0 && a[i] < N && !seen[a[i]]);
        seen[a[i]] = true;
        fixed += a[i] == i;
    }
    ck_assert_int_lt(fixed, 10);
    evi_rng_shuffle(rng, 0, a);
    evi_rng_shuffle(rng, 1, a);
    ck_assert_int_eq(a[0], 0);
}
END_TEST

START_TEST(derived)
{
    evi_rng rng = {1, 4}, a = evi_rng_derive(rng, 0), b = evi_rng_derive(rng, 1);
    evi_rng again = evi_rng_derive(rng, 0), other = evi_rng_derive((evi_rng){1, 5}, 0);
    ck_assert(a.seed == again.seed && a.stream == again.stream);
    ck_assert(a.seed != b.seed && a.stream != b.stream);
    ck_assert(a.seed != other.seed);
}
END_TEST

TCase *rng_tests(void)
{
    TCase *t = tcase_create("rng");
    tcase_add_test(t, known_answers);
    tcase_add_test(t, elements);
    tcase_add_test(t, distributions);
    tcase_add_test(t, below);
    tcase_add_test(t, shuffle);
    tcase_add_test(t, derived);
    return t;
}
