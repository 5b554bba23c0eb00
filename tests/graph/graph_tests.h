/* SPDX-License-Identifier: MIT */
#ifndef GRAPH_TESTS_H
#define GRAPH_TESTS_H

#include "support.h"
#include <edgevision/model.h>
#include <edgevision/session.h>

TCase *drawing_case(void);
TCase *running_case(void);
TCase *memory_case(void);

/* A tensor of small numbers that depend on seed. */
ev_tensor *some_tensor(ev_context *ctx, int32_t rank, const int64_t *dims, uint64_t seed);
/* A net with most kinds of layer: conv, batch norm, relu, residual, concat, pools, dense; init
 * done. */
ev_model *mixed_net(ev_context *ctx);

#endif
