/* SPDX-License-Identifier: MIT */
/* Philox 4x32 with 10 rounds.  Key: the seed.  Counter: block number, then stream. */
#include "base/rng.h"

#include <math.h>

#define ROUNDS 10
#define MULTIPLIER_0 0xD2511F53u
#define MULTIPLIER_1 0xCD9E8D57u
#define WEYL_0 0x9E3779B9u
#define WEYL_1 0xBB67AE85u
#define TWO_PI 6.283185307179586476925286766559

void evi_rng_block(evi_rng rng, uint64_t block, uint32_t out[4])
{
    uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32);
    uint32_t c2 = (uint32_t)rng.stream, c3 = (uint32_t)(rng.stream >> 32);
    uint32_t k0 = (uint32_t)rng.seed, k1 = (uint32_t)(rng.seed >> 32);
    for (int32_t round = 0; round < ROUNDS; round++) {
        uint64_t p0 = (uint64_t)MULTIPLIER_0 * c0;
        uint64_t p1 = (uint64_t)MULTIPLIER_1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += WEYL_0;
        k1 += WEYL_1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint32_t evi_rng_u32(evi_rng rng, uint64_t index)
{
    uint32_t words[4];
    evi_rng_block(rng, index / 4, words);
    return words[index % 4];
}

double evi_rng_uniform(evi_rng rng, uint64_t index)
{
    return (double)evi_rng_u32(rng, index) * 0x1p-32;
}

/* Two words for element `index`: words 2 index and 2 index + 1 of the stream. */
static void pair(evi_rng rng, uint64_t index, uint32_t out[2])
{
    uint32_t words[4];
    evi_rng_block(rng, index / 2, words);
    out[0] = words[2 * (index % 2)];
    out[1] = words[2 * (index % 2) + 1];
}

double evi_rng_normal(evi_rng rng, uint64_t index)
{
    uint32_t w[2];
    pair(rng, index, w);
    double u = ((double)w[0] + 0.5) * 0x1p-32; /* (0,1): the logarithm stays finite */
    double v = ((double)w[1] + 0.5) * 0x1p-32;
    return sqrt(-2.0 * log(u)) * cos(TWO_PI * v);
}

uint32_t evi_rng_below(evi_rng rng, uint64_t index, uint32_t n)
{
    uint32_t w[2];
    pair(rng, index, w);
    /* floor(x n / 2^64) with x of 64 bits: the bias is below n / 2^64 */
    uint64_t low = (uint64_t)w[0] * n;
    uint64_t high = (uint64_t)w[1] * n + (low >> 32);
    return (uint32_t)(high >> 32);
}

void evi_rng_shuffle(evi_rng rng, int64_t n, int32_t *order)
{
    for (int64_t i = 0; i < n; i++)
        order[i] = (int32_t)i;
    for (int64_t i = n - 1; i > 0; i--) {
        uint32_t j = evi_rng_below(rng, (uint64_t)i, (uint32_t)i + 1);
        int32_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

evi_rng evi_rng_derive(evi_rng rng, uint64_t number)
{
    /* Another key than the stream's own, so that derived seeds are not among its numbers. */
    evi_rng other = {rng.seed ^ 0xA5A5F00DC3C3B00Bu, rng.stream};
    uint32_t w[4];
    evi_rng_block(other, number, w);
    evi_rng out = {(uint64_t)w[0] | (uint64_t)w[1] << 32, (uint64_t)w[2] | (uint64_t)w[3] << 32};
    return out;
}
