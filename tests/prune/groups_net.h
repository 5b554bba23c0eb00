/* SPDX-License-Identifier: MIT */
/* Nets drawn by hand and the groups that were found in them: what test_groups.c is written in. */
#ifndef TESTS_PRUNE_GROUPS_NET_H
#define TESTS_PRUNE_GROUPS_NET_H

#include "prune/prune.h"
#include "support.h"

#include <edgevision/edgevision.h>

extern ev_context *ctx;
extern ev_model *net;
extern evi_groups found;

void start(void);
void end(void);
ev_value input(int64_t c, int64_t side);
ev_value conv_groups(ev_value x, int32_t filters, const char *name, int32_t groups);
ev_value conv(ev_value x, int32_t filters, const char *name);
ev_value dense(ev_value x, int32_t units, const char *name);
ev_value relu(ev_value x);
ev_value own_op(const char *op, const evi_attrs *a, ev_value x);
void find(ev_value out);
const char *layer_of(const evi_group *g);
const evi_group *group_after(const char *layer, int32_t skip);
const evi_group *group(const char *layer);
void is_free(const evi_group *g, int32_t n);
void is_blocked(const evi_group *g, const char *why, const char *layer);
bool has(const evi_group *g, const char *weight, int32_t axis, int32_t role, int64_t offset,
         int64_t stride, int64_t block);
int32_t n_weights(const evi_group *g);

#define HAS(g, weight, axis, role, ...) \
    ck_assert_msg(has(g, weight, axis, EVI_SPOT_##role, __VA_ARGS__), "no spot in %s", weight)

#endif
