/* SPDX-License-Identifier: MIT */
/* Random changes of a picture in bytes. */
#ifndef EVI_DATA_AUGMENT_H
#define EVI_DATA_AUGMENT_H

#include "base/rng.h"
#include <edgevision/dataset.h>

/* Options in range? */
ev_status evi_augment_check(const ev_augment_options *o, const char *function);
/* A picture of width x height pixels of `bytes` bytes without gaps, changed as the random numbers
 * say; to and from do not overlap. */
void evi_augment(const ev_augment_options *o, evi_rng rng, const uint8_t *from, int32_t width,
                 int32_t height, int32_t bytes, uint8_t *to);

#endif
