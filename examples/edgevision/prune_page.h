/* SPDX-License-Identifier: MIT */
/* The page about a pruning run, and its plots. */
#ifndef PRUNE_PAGE_H
#define PRUNE_PAGE_H

#include "tool.h"

bool is_prune_run(const char *run); /* a folder that edgevision prune wrote */
int write_prune_report(ev_context *ctx, const char *run, const char *out);
int draw_prune_plots(const char *run); /* RUN/plots/ms.svg and macs.svg */

#endif /* PRUNE_PAGE_H */
