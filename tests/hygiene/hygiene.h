/* SPDX-License-Identifier: MIT */
/* Manners: what the library must not do to the process that it lives in. */
#ifndef TESTS_HYGIENE_H
#define TESTS_HYGIENE_H

#include "api.h"
#include "support.h"

extern char hygiene_files[T_PATH]; /* made before the tests fork */

/* A world of tests/api with plain options and so many threads. */
void hygiene_world(int32_t n_threads, api_world *w);
/* Resident bytes of this process. */
long hygiene_resident(void);
/* A small net with most kinds of layer and 3-channel input [N,3,20,18], weights made. */
ev_model *hygiene_net(ev_context *ctx);
/* Bits of one training step and of the weights after it, as a checksum; x at this offset. */
uint32_t hygiene_train(int32_t n_threads, int32_t n_images, size_t offset);
/* Outputs of the net for n_images pictures that lie `offset` bytes behind an aligned place. */
void hygiene_infer(ev_context *ctx, ev_plan *plan, int32_t n_images, size_t offset, float *to);
ev_plan *hygiene_plan(ev_context *ctx, ev_model *m, int32_t max_batch);

#define NET_OUTPUTS 5

TCase *state_case(void);
TCase *threads_case(void);
TCase *growth_case(void);
TCase *numbers_case(void);
TCase *files_case(void);
TCase *killed_case(void);

#endif
