/* SPDX-License-Identifier: MIT */
/* What the two halves of the search for groups share: groups.c asks the nodes what they tie,
 * groups_join.c follows the ties and writes the groups down. */
#ifndef EVI_PRUNE_GROUPS_H
#define EVI_PRUNE_GROUPS_H

#include "prune/prune.h"

/* One axis of one value of one model.  Places whose indices are tied one to one are a class; pin
 * and unit hold for the class and stand at its root. */
typedef struct evi_place {
    int64_t size, unit; /* unit: ties begin and end at multiples of it */
    int32_t parent, model, value, axis;
    int32_t role, node; /* EVI_SPOT_*, 0: nobody said; the first node with that role */
    int32_t next;       /* of the same class, -1: the last */
    int32_t last;       /* root: last of the class */
    int32_t atoms;      /* root: number of its first atom, -1: has none */
    int32_t rank;       /* of the reason below, 0: channels may go */
    int32_t pin_model, pin_node;
    const char *pin;
} evi_place;

/* Channel c: indices from[0] + c*block[0] ... of one class go with from[1] + c*block[1] ... */
typedef struct evi_tie {
    int32_t place[2];
    int64_t from[2], block[2], count;
} evi_tie;

typedef struct evi_ties {
    ev_context *ctx;
    evi_groups *g;
    int32_t **start; /* [model][value]: its first place */
    int32_t n_places, n_ties, cap_ties;
    evi_place *places;
    evi_tie *ties;
    int32_t **source; /* [model][value]: 1 + the parameter that it is made of alone, or 0 */
    evi_edge *edges;  /* of one node */
    evi_coupling *coupling;
} evi_ties;

int32_t evi_place_root(evi_ties *t, int32_t place);
ev_status evi_groups_join(evi_ties *t);

#endif
