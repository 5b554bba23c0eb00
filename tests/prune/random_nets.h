/* SPDX-License-Identifier: MIT */
/* Random nets made of the parts that pruning has to follow: residual sums, joins, cuts, groups,
 * shuffles, gates, shared models and all kinds of heads. */
#ifndef TESTS_PRUNE_RANDOM_NETS_H
#define TESTS_PRUNE_RANDOM_NETS_H

#include <edgevision/edgevision.h>
#include <stdbool.h>

enum { RANDOM_NET_KINDS = 18 }; /* parts that there are */

/* The same seed gives the same net, with weights and running statistics.  dims: of the input. */
ev_model *random_net(ev_context *ctx, uint64_t seed, int64_t dims[4]);
/* Only layers one after the other, with a head of dense layers. */
ev_model *random_sequence(ev_context *ctx, uint64_t seed, int64_t dims[4]);

#endif
