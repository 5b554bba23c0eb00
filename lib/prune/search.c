/* SPDX-License-Identifier: MIT */
/* The search for a goal. */
#include "prune/plan.h"
