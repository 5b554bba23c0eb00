/* SPDX-License-Identifier: MIT */
/* Split whole groups so that every part comes near its share of every class.
 *
 * How far an assignment is off is the sum over parts p and classes c of
 * ((n_pc - share_p N_c) / N_c)^2, and the same for all classes together: relative numbers, so that
 * a rare class counts as much as a common one.  Groups go, the largest first, to the part where
 * this grows least; then single groups move and pairs change places as long as it falls.  Several
 * starts by chance, the best one wins.  The numbers are exact enough in double that rounding cannot
 * decide between different assignments but where they are equally good, and then the first wins. */
#include "base/rng.h"
#include "data/dataset.h"
#include <stdlib.h>
#include <string.h>

enum {
    STARTS = 12,
    SWEEPS = 30,       /* of moves; it settles long before */
    SWAP_GROUPS = 400  /* more groups than this fit well enough by moves alone */
};

/* So many items of this class. */
typedef struct entry {
    int32_t label, count;
} entry;

typedef struct unit {
    int32_t first, n; /* of the entries; the last one is for all classes together */
    int32_t size;
    int32_t order; /* by chance, to break ties */
} unit;

typedef struct plan {
    ev_context *ctx;
    const double *share;
    int32_t n_parts, n_classes; /* the classes and one more for all together */
    int32_t n_units;
    int32_t n_items;
    unit *unit;
    entry *entry;
    int32_t *item_unit;
    double *total;   /* [n_classes] items; at least 1 */
    double *count;   /* [n_parts][n_classes] */
    int32_t *sorted; /* units, largest first */
    uint8_t *part, *best;
} plan;

/* Change of the error when k items of class c join (k < 0: leave) part p. */
static double change(const plan *s, int32_t p, int32_t c, double k)
{
    double off = s->count[(int64_t)p * s->n_classes + c] - s->share[p] * s->total[c];
    double square = (2 * off + k) * k;
    return square / (s->total[c] * s->total[c]);
}

static double change_of_unit(const plan *s, int32_t p, const unit *u, double sign)
{
    double sum = 0;
    for (int32_t i = 0; i < u->n; i++)
        sum += change(s, p, s->entry[u->first + i].label, sign * s->entry[u->first + i].count);
    return sum;
}

static void put(plan *s, int32_t p, const unit *u, double sign)
{
    for (int32_t i = 0; i < u->n; i++) {
        const entry *e = &s->entry[u->first + i];
        s->count[(int64_t)p * s->n_classes + e->label] += sign * e->count;
    }
}

static double error_of(const plan *s)
{
    double sum = 0;
    for (int32_t p = 0; p < s->n_parts; p++)
        for (int32_t c = 0; c < s->n_classes; c++) {
            double off = s->count[(int64_t)p * s->n_classes + c] - s->share[p] * s->total[c];
            double relative = off / s->total[c];
            sum += relative * relative;
        }
    return sum;
}

static void place_all(plan *s)
{
    memset(s->count, 0, (size_t)s->n_parts * (size_t)s->n_classes * sizeof(double));
    for (int32_t i = 0; i < s->n_units; i++) {
        const unit *u = &s->unit[s->sorted[i]];
        int32_t best = 0;
        double least = 0;
        for (int32_t p = 0; p < s->n_parts; p++) {
            double d = change_of_unit(s, p, u, 1);
            if (p == 0 || d < least) {
                least = d;
                best = p;
            }
        }
        s->part[s->sorted[i]] = (uint8_t)best;
        put(s, best, u, 1);
    }
}

/* A change must be worth more than rounding. */
#define WORTH (-1e-12)

static bool move_one(plan *s, int32_t which)
{
    const unit *u = &s->unit[which];
    int32_t from = s->part[which], best = from;
    double least = WORTH;
    put(s, from, u, -1);
    double back = change_of_unit(s, from, u, 1);
    for (int32_t p = 0; p < s->n_parts; p++) {
        double d = p == from ? 0 : change_of_unit(s, p, u, 1) - back;
        if (d < least) {
            least = d;
            best = p;
        }
    }
    put(s, best, u, 1);
    s->part[which] = (uint8_t)best;
    return best != from;
}

static bool swap_pair(plan *s, int32_t i, int32_t k)
{
    const unit *a = &s->unit[i], *b = &s->unit[k];
    int32_t p = s->part[i], q = s->part[k];
    if (p == q)
        return false;
    double sum = change_of_unit(s, p, a, -1);
    put(s, p, a, -1);
    sum += change_of_unit(s, q, b, -1);
    put(s, q, b, -1);
    sum += change_of_unit(s, q, a, 1);
    put(s, q, a, 1);
    sum += change_of_unit(s, p, b, 1);
    put(s, p, b, 1);
    if (sum < WORTH) {
        s->part[i] = (uint8_t)q;
        s->part[k] = (uint8_t)p;
        return true;
    }
    put(s, p, b, -1);
    put(s, q, a, -1);
    put(s, q, b, 1);
    put(s, p, a, 1);
    return false;
}

static void improve(plan *s)
{
    bool better = true;
    for (int32_t sweep = 0; better && sweep < SWEEPS; sweep++) {
        better = false;
        for (int32_t i = 0; i < s->n_units; i++)
            better |= move_one(s, s->sorted[i]);
        for (int32_t i = 0; !better && s->n_units <= SWAP_GROUPS && i < s->n_units; i++)
            for (int32_t k = i + 1; k < s->n_units; k++)
                better |= swap_pair(s, s->sorted[i], s->sorted[k]);
    }
}

/* Largest first; equal ones in the order by chance.  An insertion into sorted places would do, but
 * there may be as many units as items. */
typedef struct key {
    int32_t size, order, which;
} key;

static int by_size(const void *a, const void *b)
{
    const key *x = a, *y = b;
    return x->size != y->size ? (x->size > y->size ? -1 : 1) : x->order < y->order ? -1 : 1;
}

static ev_status sort_units(plan *s, evi_rng rng, bool largest_first)
{
    key *keys = NULL;
    int32_t *order = NULL;
    EVI_TRY(evi_malloc(s->ctx, (uint64_t)s->n_units, sizeof(key), &keys));
    ev_status status = evi_malloc(s->ctx, (uint64_t)s->n_units, sizeof(int32_t), &order);
    if (status == EV_OK) {
        evi_rng_shuffle(rng, s->n_units, order);
        for (int32_t i = 0; i < s->n_units; i++)
            keys[i] = (key){largest_first ? s->unit[i].size : 0, order[i], i};
        qsort(keys, (size_t)s->n_units, sizeof(key), by_size);
        for (int32_t i = 0; i < s->n_units; i++)
            s->sorted[i] = keys[i].which;
    }
    evi_free(keys);
    evi_free(order);
    return status;
}

/* Unit of each item: its group, or one of its own. */
static ev_status number_units(plan *s, const ev_dataset *d)
{
    int32_t limit = d->items->groups.n, *of_group = NULL;
    EVI_TRY(evi_calloc(s->ctx, (uint64_t)limit, sizeof(int32_t), &of_group));
    for (int32_t i = 0; i < d->n; i++) {
        int32_t group = evi_dataset_item(d, i)->group;
        if (group >= 0 && of_group[group] != 0) {
            s->item_unit[i] = of_group[group] - 1;
            continue;
        }
        s->item_unit[i] = s->n_units++;
        if (group >= 0)
            of_group[group] = s->n_units;
    }
    evi_free(of_group);
    return EV_OK;
}

typedef struct pair {
    int32_t unit, label;
} pair;

static int by_unit(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    return x->unit != y->unit ? (x->unit < y->unit ? -1 : 1)
                              : (x->label > y->label) - (x->label < y->label);
}

/* How many of each class a unit has. */
static ev_status count_classes(plan *s, const ev_dataset *d)
{
    pair *pairs = NULL;
    EVI_TRY(evi_malloc(s->ctx, (uint64_t)d->n, sizeof(pair), &pairs));
    for (int32_t i = 0; i < d->n; i++)
        pairs[i] = (pair){s->item_unit[i], evi_dataset_item(d, i)->label};
    qsort(pairs, (size_t)d->n, sizeof(pair), by_unit);
    int32_t n = 0;
    for (int32_t i = 0; i < d->n;) {
        unit *u = &s->unit[pairs[i].unit];
        u->first = n;
        for (int32_t number = pairs[i].unit; i < d->n && pairs[i].unit == number; i++, u->size++) {
            if (n == u->first || s->entry[n - 1].label != pairs[i].label)
                s->entry[n++] = (entry){pairs[i].label, 0};
            s->entry[n - 1].count++;
            s->total[pairs[i].label]++;
        }
        s->entry[n++] = (entry){s->n_classes - 1, u->size};
        u->n = n - u->first;
    }
    s->total[s->n_classes - 1] = d->n;
    for (int32_t c = 0; c < s->n_classes; c++)
        s->total[c] = EVI_MAX(s->total[c], 1);
    evi_free(pairs);
    return EV_OK;
}

static ev_status make_plan(plan *s, const ev_dataset *d)
{
    uint64_t n = (uint64_t)d->n, classes = (uint64_t)s->n_classes;
    EVI_TRY(evi_malloc(s->ctx, n, sizeof(int32_t), &s->item_unit));
    EVI_TRY(number_units(s, d));
    uint64_t units = (uint64_t)s->n_units;
    EVI_TRY(evi_calloc(s->ctx, units, sizeof(unit), &s->unit));
    EVI_TRY(evi_calloc(s->ctx, n + units, sizeof(entry), &s->entry));
    EVI_TRY(evi_calloc(s->ctx, classes, sizeof(double), &s->total));
    EVI_TRY(evi_calloc(s->ctx, classes * (uint64_t)s->n_parts, sizeof(double), &s->count));
    EVI_TRY(evi_calloc(s->ctx, units, sizeof(int32_t), &s->sorted));
    EVI_TRY(evi_calloc(s->ctx, units, 1, &s->part));
    EVI_TRY(evi_calloc(s->ctx, units, 1, &s->best));
    return count_classes(s, d);
}

static ev_status search(plan *s, uint64_t seed)
{
    evi_rng rng = evi_rng_derive((evi_rng){.seed = seed, .stream = EVI_STREAM_SPLIT}, UINT32_MAX);
    double least = 0;
    for (int32_t start = 0; start < STARTS; start++) {
        EVI_TRY(sort_units(s, evi_rng_derive(rng, (uint64_t)start), start % 2 == 0));
        place_all(s);
        improve(s);
        double error = error_of(s);
        if (start == 0 || error < least + WORTH) {
            least = error;
            memcpy(s->best, s->part, (size_t)s->n_units);
        }
    }
    return EV_OK;
}

ev_status evi_split_groups(const ev_dataset *d, const double *share, int32_t n_parts, uint64_t seed,
                           uint8_t *part)
{
    if (d->n == 0)
        return EV_OK;
    plan s = {.ctx = d->handle.ctx,
              .share = share,
              .n_parts = n_parts,
              .n_classes = d->items->classes.n + 1,
              .n_items = d->n};
    ev_status status = make_plan(&s, d);
    if (status == EV_OK)
        status = search(&s, seed);
    for (int32_t i = 0; status == EV_OK && i < d->n; i++)
        part[i] = s.best[s.item_unit[i]];
    evi_free(s.item_unit);
    evi_free(s.unit);
    evi_free(s.entry);
    evi_free(s.total);
    evi_free(s.count);
    evi_free(s.sorted);
    evi_free(s.part);
    evi_free(s.best);
    return status;
}
