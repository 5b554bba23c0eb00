/* SPDX-License-Identifier: MIT */
/* Counter-based random numbers (Philox 4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011).  Element i of stream (seed, stream) is a function of
 * these numbers alone, so any thread may ask for any element. */
#ifndef EVI_RNG_H
#define EVI_RNG_H

#include "base/base.h"

typedef struct evi_rng {
    uint64_t seed;
    uint64_t stream; /* which use: dropout step, epoch, parameter ... */
} evi_rng;

/* Four 32-bit words number `block` of the stream. */
void evi_rng_block(evi_rng rng, uint64_t block, uint32_t out[4]);
uint32_t evi_rng_u32(evi_rng rng, uint64_t index);
double evi_rng_uniform(evi_rng rng, uint64_t index); /* [0,1), 32 bits */
double evi_rng_normal(evi_rng rng, uint64_t index);  /* mean 0, deviation 1 (Box-Muller) */
uint32_t evi_rng_below(evi_rng rng, uint64_t index, uint32_t n); /* 0..n-1 */
/* Order of 0..n-1 (Fisher-Yates from the stream). */
void evi_rng_shuffle(evi_rng rng, int64_t n, int32_t *order);
/* A stream of its own from a stream and a number. */
evi_rng evi_rng_derive(evi_rng rng, uint64_t number);

#endif
