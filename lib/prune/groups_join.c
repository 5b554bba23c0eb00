/* SPDX-License-Identifier: MIT */
/* Which channels live and die together, second half: ties of parts are followed, and the groups are
 * written down.
 *
 * A class of places that no such tie touches is a group as it stands.  The others are cut into
 * atoms, as large as their ties allow, and atoms that are tied are a component: one channel of some
 * group.  Components that have their atoms in the same classes, one after the other at equal
 * distances, are a group. */
#include "prune/groups.h"
#include <stdlib.h>
#include <string.h>

#define MOST_ATOMS (1 << 24) /* of one class */
#define MOST_TRIES 8         /* unfinished runs to compare a component with */

typedef struct joiner {
    evi_ties *t;
    uint8_t *makes; /* [place]: root of a class with filters */
    int32_t n_atoms, n_parts, n_runs, cap_groups, cap_spots;
    int32_t *parent; /* [atom] */
    int32_t *owner;  /* [atom]: root of its class */
    int32_t *start;  /* [part]: first of its atoms in list; a part is a component */
    int32_t *list;   /* atoms, ascending within a part */
    struct run *runs;
    int32_t *bucket; /* [hash of the classes]: newest run + 1 */
    uint32_t mask;
    int32_t rank; /* of the reason why the present group is blocked */
} joiner;

typedef struct run {
    int32_t first, second, last, n, older;
} run;

static int64_t common(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t c = a % b;
        a = b;
        b = c;
    }
    return a;
}

/* ---- atoms ----------------------------------------------------------------------------------- */

static void find_units(evi_ties *t)
{
    for (int32_t i = 0; i < t->n_ties; i++)
        for (int32_t k = 0; k < 2; k++) {
            const evi_tie *tie = &t->ties[i];
            evi_place *p = &t->places[evi_place_root(t, tie->place[k])];
            if (p->unit == 0)
                p->unit = p->size;
            p->unit = common(common(p->unit, tie->from[k]), tie->block[k]);
        }
    for (int32_t i = 0; i < t->n_ties; i++) {
        evi_tie *tie = &t->ties[i];
        evi_place *a = &t->places[evi_place_root(t, tie->place[0])];
        evi_place *b = &t->places[evi_place_root(t, tie->place[1])];
        if (a->size / a->unit <= MOST_ATOMS && b->size / b->unit <= MOST_ATOMS)
            continue;
        tie->count = 0;
        for (int32_t k = 0; k < 2; k++, a = b)
            if (a->rank == 0) {
                a->rank = 1;
                a->pin = "too many channels are tied in parts";
                a->pin_model = a->model;
                a->pin_node = a->node;
            }
    }
}

static ev_status number_atoms(joiner *j)
{
    evi_ties *t = j->t;
    int64_t n = 0;
    for (int32_t i = 0; i < t->n_places; i++) {
        evi_place *p = &t->places[i];
        if (p->parent != i || p->unit == 0 || p->size / p->unit > MOST_ATOMS)
            continue;
        p->atoms = (int32_t)n;
        n += p->size / p->unit;
        if (n > INT32_MAX / 2)
            return evi_fail(EV_ERR_UNSUPPORTED, "too many channels are tied in parts");
    }
    j->n_atoms = (int32_t)n;
    EVI_TRY(evi_malloc(t->ctx, (uint64_t)n, sizeof(int32_t), &j->parent));
    EVI_TRY(evi_malloc(t->ctx, (uint64_t)n, sizeof(int32_t), &j->owner));
    for (int32_t i = 0; i < t->n_places; i++) {
        const evi_place *p = &t->places[i];
        for (int64_t k = 0; p->parent == i && p->atoms >= 0 && k < p->size / p->unit; k++) {
            j->owner[p->atoms + k] = i;
            j->parent[p->atoms + k] = p->atoms + (int32_t)k;
        }
    }
    return EV_OK;
}

static int32_t atom_root(joiner *j, int32_t a)
{
    while (j->parent[a] != a) {
        j->parent[a] = j->parent[j->parent[a]];
        a = j->parent[a];
    }
    return a;
}

static void unite_range(joiner *j, int32_t with, int32_t from, int64_t n)
{
    with = atom_root(j, with);
    for (int64_t i = 0; i < n; i++) {
        int32_t other = atom_root(j, from + (int32_t)i);
        if (other < with) {
            j->parent[with] = other;
            with = other;
        } else {
            j->parent[other] = with;
        }
    }
}

static void follow_ties(joiner *j)
{
    evi_ties *t = j->t;
    for (int32_t i = 0; i < t->n_ties; i++) {
        const evi_tie *tie = &t->ties[i];
        const evi_place *p[2];
        int64_t from[2], block[2];
        for (int32_t k = 0; k < 2; k++) {
            p[k] = &t->places[evi_place_root(t, tie->place[k])];
            from[k] = p[k]->atoms + tie->from[k] / p[k]->unit;
            block[k] = tie->block[k] / p[k]->unit;
        }
        for (int64_t c = 0; c < tie->count; c++) {
            int32_t with = (int32_t)(from[0] + c * block[0]);
            unite_range(j, with, with, block[0]);
            unite_range(j, with, (int32_t)(from[1] + c * block[1]), block[1]);
        }
    }
}

/* Atoms sorted by component; components in the order of their first atoms, which are the roots. */
static ev_status sort_atoms(joiner *j)
{
    int32_t *number = NULL;
    EVI_TRY(evi_malloc(j->t->ctx, (uint64_t)j->n_atoms, sizeof(int32_t), &number));
    for (int32_t i = 0; i < j->n_atoms; i++) {
        int32_t root = atom_root(j, i);
        number[i] = root == i ? j->n_parts++ : number[root];
    }
    ev_status status = evi_calloc(j->t->ctx, (uint64_t)j->n_parts + 2, sizeof(int32_t), &j->start);
    if (status == EV_OK)
        status = evi_malloc(j->t->ctx, (uint64_t)j->n_atoms, sizeof(int32_t), &j->list);
    if (status == EV_OK) {
        for (int32_t i = 0; i < j->n_atoms; i++)
            j->start[number[i] + 2]++;
        for (int32_t i = 2; i < j->n_parts + 2; i++)
            j->start[i] += j->start[i - 1];
        for (int32_t i = 0; i < j->n_atoms; i++)
            j->list[j->start[number[i] + 1]++] = i;
    }
    evi_free(number);
    return status;
}

/* ---- runs of components ---------------------------------------------------------------------- */

static int32_t part_size(const joiner *j, int32_t part)
{
    return j->start[part + 1] - j->start[part];
}

static const int32_t *part_atoms(const joiner *j, int32_t part)
{
    return j->list + j->start[part];
}

static uint32_t part_hash(const joiner *j, int32_t part, bool *makes)
{
    uint32_t hash = 2166136261u;
    *makes = false;
    for (int32_t i = 0; i < part_size(j, part); i++) {
        int32_t root = j->owner[part_atoms(j, part)[i]];
        *makes = *makes || j->makes[root];
        hash = (hash ^ (uint32_t)root) * 16777619u;
    }
    return hash ^ hash >> 15;
}

/* Whether the part goes on where the run ends. */
static bool continues(const joiner *j, const run *r, int32_t part)
{
    int32_t n = part_size(j, part);
    if (n != part_size(j, r->last))
        return false;
    const int32_t *first = part_atoms(j, r->first), *second = part_atoms(j, r->second);
    const int32_t *last = part_atoms(j, r->last), *now = part_atoms(j, part);
    for (int32_t i = 0; i < n; i++) {
        if (j->owner[now[i]] != j->owner[last[i]] || now[i] <= last[i])
            return false;
        if (r->n > 1 && now[i] - last[i] != second[i] - first[i])
            return false;
    }
    return true;
}

static void place_part(joiner *j, int32_t part)
{
    bool makes = false;
    uint32_t hash = part_hash(j, part, &makes) & j->mask;
    if (!makes)
        return;
    int32_t at = j->bucket[hash];
    for (int32_t tries = 0; at != 0 && tries < MOST_TRIES; tries++) {
        run *r = &j->runs[at - 1];
        if (continues(j, r, part)) {
            r->second = r->n == 1 ? part : r->second;
            r->last = part;
            r->n++;
            return;
        }
        at = r->older;
    }
    j->runs[j->n_runs++] = (run){part, part, part, 1, j->bucket[hash]};
    j->bucket[hash] = j->n_runs;
}

static ev_status find_runs(joiner *j)
{
    uint32_t size = 16;
    while (size < (uint32_t)j->n_parts)
        size *= 2;
    j->mask = size - 1;
    EVI_TRY(evi_calloc(j->t->ctx, size, sizeof(int32_t), &j->bucket));
    EVI_TRY(evi_malloc(j->t->ctx, (uint64_t)j->n_parts, sizeof(run), &j->runs));
    for (int32_t i = 0; i < j->n_parts; i++)
        place_part(j, i);
    return EV_OK;
}

/* ---- writing groups down --------------------------------------------------------------------- */

static ev_status grow(joiner *j, int32_t n, int32_t *capacity, uint64_t size, void *table)
{
    if (n < *capacity)
        return EV_OK;
    int32_t more = *capacity > 0 ? 2 * *capacity : 64;
    EVI_TRY(evi_realloc(j->t->ctx, (uint64_t)more, size, table));
    *capacity = more;
    return EV_OK;
}

/* Spots of one piece of a class, in all its places. */
static ev_status add_spots(joiner *j, evi_group *group, int32_t root, int64_t offset,
                           int64_t stride, int64_t block)
{
    evi_ties *t = j->t;
    evi_groups *g = t->g;
    const evi_place *r = &t->places[root];
    if (r->rank != 0 && (group->blocked == NULL || r->rank > j->rank)) {
        group->blocked = r->pin;
        group->blocked_model = r->pin_model;
        group->blocked_node = r->pin_node;
        j->rank = r->rank;
    }
    for (int32_t i = root; i >= 0; i = t->places[i].next) {
        const evi_place *p = &t->places[i];
        EVI_TRY(grow(j, g->n_spots, &j->cap_spots, sizeof(evi_spot), &g->spots));
        g->spots[g->n_spots++] = (evi_spot){.model = p->model,
                                            .value = p->value,
                                            .axis = p->axis,
                                            .role = p->role != 0 ? p->role : EVI_SPOT_VALUE,
                                            .node = p->node,
                                            .offset = offset,
                                            .stride = stride,
                                            .block = block};
        group->n_spots++;
        bool before = p->model < group->layer_model ||
                      (p->model == group->layer_model && p->node < group->layer_node);
        if (p->role == EVI_SPOT_OUT && (group->layer_node < 0 || before)) {
            group->layer_model = p->model;
            group->layer_node = p->node;
        }
    }
    return EV_OK;
}

static int by_place(const void *a, const void *b)
{
    const evi_spot *x = a, *y = b;
    if (x->model != y->model)
        return x->model < y->model ? -1 : 1;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    if (x->axis != y->axis)
        return x->axis < y->axis ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static evi_group new_group(const evi_groups *g, int32_t n)
{
    return (evi_group){.n = n,
                       .first_spot = g->n_spots,
                       .layer_node = -1,
                       .blocked_model = -1,
                       .blocked_node = -1};
}

static ev_status keep_group(joiner *j, evi_group *group)
{
    evi_groups *g = j->t->g;
    qsort(g->spots + group->first_spot, (size_t)group->n_spots, sizeof(evi_spot), by_place);
    EVI_TRY(grow(j, g->n, &j->cap_groups, sizeof(evi_group), &g->groups));
    g->groups[g->n++] = *group;
    return EV_OK;
}

static ev_status add_class(joiner *j, int32_t root)
{
    int64_t size = j->t->places[root].size;
    if (size > INT32_MAX)
        return EV_OK;
    evi_group group = new_group(j->t->g, (int32_t)size);
    EVI_TRY(add_spots(j, &group, root, 0, 1, 1));
    return keep_group(j, &group);
}

static ev_status add_run(joiner *j, const run *r)
{
    evi_group group = new_group(j->t->g, r->n);
    const int32_t *first = part_atoms(j, r->first), *second = part_atoms(j, r->second);
    int32_t n = part_size(j, r->first);
    for (int32_t i = 0; i < n;) {
        int32_t root = j->owner[first[i]], step = second[i] - first[i], k = 1;
        while (i + k < n && first[i + k] == first[i] + k && j->owner[first[i + k]] == root &&
               second[i + k] - first[i + k] == step)
            k++;
        const evi_place *p = &j->t->places[root];
        int64_t block = k * p->unit, stride = r->n > 1 ? step * p->unit : block;
        EVI_TRY(add_spots(j, &group, root, (first[i] - p->atoms) * p->unit, stride, block));
        i += k;
    }
    if (r->n == 1 && group.blocked == NULL) {
        group.blocked = "its channels lie irregularly";
        group.blocked_model = group.layer_model;
        group.blocked_node = group.layer_node;
    }
    return keep_group(j, &group);
}

static int64_t first_offset(const evi_groups *g, const evi_group *group)
{
    for (int32_t i = 0; i < group->n_spots; i++)
        if (g->spots[group->first_spot + i].role == EVI_SPOT_OUT)
            return g->spots[group->first_spot + i].offset;
    return 0;
}

/* By the layer that makes them; a layer's parts by their place in it.  Few are out of order. */
static void sort_groups(evi_groups *g)
{
    for (int32_t i = 1; i < g->n; i++) {
        evi_group now = g->groups[i];
        int64_t offset = first_offset(g, &now);
        int32_t k = i;
        for (; k > 0; k--) {
            const evi_group *o = &g->groups[k - 1];
            int32_t order = o->layer_model != now.layer_model ? o->layer_model - now.layer_model
                                                              : o->layer_node - now.layer_node;
            if (order < 0 || (order == 0 && first_offset(g, o) <= offset))
                break;
            g->groups[k] = g->groups[k - 1];
        }
        g->groups[k] = now;
    }
}

static ev_status write_groups(joiner *j)
{
    evi_ties *t = j->t;
    for (int32_t i = 0; i < t->n_places; i++)
        if (j->makes[i] && t->places[i].atoms < 0 && t->places[i].size > 1)
            EVI_TRY(add_class(j, i));
    for (int32_t i = 0; i < j->n_runs; i++) {
        int32_t part = j->runs[i].first;
        bool single = true; /* an axis of one index is not a group */
        for (int32_t k = 0; k < part_size(j, part); k++) {
            int32_t root = j->owner[part_atoms(j, part)[k]];
            single = single && (!j->makes[root] || t->places[root].size == 1);
        }
        if (!single)
            EVI_TRY(add_run(j, &j->runs[i]));
    }
    sort_groups(t->g);
    return EV_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static ev_status join(joiner *j)
{
    evi_ties *t = j->t;
    EVI_TRY(evi_calloc(t->ctx, (uint64_t)t->n_places, 1, &j->makes));
    for (int32_t i = 0; i < t->n_places; i++)
        if (t->places[i].role == EVI_SPOT_OUT)
            j->makes[evi_place_root(t, i)] = 1;
    find_units(t);
    EVI_TRY(number_atoms(j));
    follow_ties(j);
    EVI_TRY(sort_atoms(j));
    EVI_TRY(find_runs(j));
    return write_groups(j);
}

ev_status evi_groups_join(evi_ties *t)
{
    joiner j = {.t = t};
    ev_status status = join(&j);
    evi_free(j.makes);
    evi_free(j.parent);
    evi_free(j.owner);
    evi_free(j.start);
    evi_free(j.list);
    evi_free(j.runs);
    evi_free(j.bucket);
    return status;
}
