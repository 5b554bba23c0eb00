/* SPDX-License-Identifier: MIT */
/* New datasets from old ones: selected, capped, split, thinned, filtered. */
#include "base/rng.h"
#include "data/dataset.h"
#include <math.h>
#include <string.h>

static uint64_t seed_of(uint64_t seed)
{
    return seed == 0 ? 1 : seed;
}

ev_status evi_shuffle_class(const ev_dataset *d, int32_t label, uint64_t seed, uint64_t stream,
                            int32_t **order, int32_t *n)
{
    int32_t count = label < 0 ? d->n : ev_dataset_class_count(d, label), at = 0;
    int32_t *items = NULL, *place = NULL;
    *order = NULL;
    *n = count;
    EVI_TRY(evi_malloc(d->handle.ctx, (uint64_t)count, sizeof(int32_t), &items));
    ev_status status = evi_malloc(d->handle.ctx, (uint64_t)count, sizeof(int32_t), &place);
    if (status != EV_OK) {
        evi_free(items);
        return status;
    }
    evi_rng rng = {.seed = seed_of(seed), .stream = stream};
    if (count > 0)
        evi_rng_shuffle(evi_rng_derive(rng, (uint64_t)((int64_t)label + 1)), count, place);
    for (int32_t i = 0; i < d->n; i++)
        if (label < 0 || evi_dataset_item(d, i)->label == label)
            items[place[at++]] = i;
    evi_free(place);
    *order = items;
    return EV_OK;
}

ev_status ev_dataset_select(const ev_dataset *dataset, const int32_t *items, int32_t n,
                            ev_dataset **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(dataset, EVI_MAGIC_DATASET);
    if (n < 0 || (items == NULL && n > 0))
        return evi_fail(EV_ERR_ARGUMENT, "%s: n %d, or items is NULL", __func__, (int)n);
    for (int32_t i = 0; i < n; i++)
        if (items[i] < 0 || items[i] >= dataset->n)
            return evi_fail(EV_ERR_ARGUMENT, "%s: items[%d] is %d of %d", __func__, (int)i,
                            (int)items[i], (int)dataset->n);
    return evi_dataset_choose(dataset, items, n, out);
}

/* ---- cap and subset: some of each class ------------------------------------------------------ */

/* Mark the first `keep` items of a class in its order by chance. */
static ev_status mark_some(const ev_dataset *d, int32_t label, int32_t keep, uint64_t seed,
                           uint64_t stream, uint8_t *mark)
{
    int32_t *order = NULL, n = 0;
    EVI_TRY(evi_shuffle_class(d, label, seed, stream, &order, &n));
    for (int32_t i = 0; i < n && i < keep; i++)
        mark[order[i]] = 1;
    evi_free(order);
    return EV_OK;
}

/* The limit that 0 stands for; INT32_MAX when there is nothing to compare with. */
static int32_t default_limit(const ev_dataset *d, int32_t label)
{
    int32_t most = 0, least = INT32_MAX;
    for (int32_t c = 0; c < d->items->classes.n; c++) {
        int32_t n = ev_dataset_class_count(d, c);
        if (c != label)
            most = EVI_MAX(most, n);
        if (n > 0)
            least = EVI_MIN(least, n);
    }
    if (label < 0)
        return least;
    return most > 0 ? most : INT32_MAX;
}

ev_status ev_dataset_cap(const ev_dataset *dataset, int32_t label, int32_t limit, uint64_t seed,
                         ev_dataset **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(dataset, EVI_MAGIC_DATASET);
    if (label < -1 || label >= dataset->items->classes.n || limit < 0)
        return evi_fail(EV_ERR_ARGUMENT, "%s: label %d or limit %d is out of range", __func__,
                        (int)label, (int)limit);
    if (limit == 0)
        limit = default_limit(dataset, label);
    uint8_t *mark = NULL;
    EVI_TRY(evi_calloc(dataset->handle.ctx, (uint64_t)dataset->n, 1, &mark));
    ev_status status = EV_OK;
    for (int32_t c = 0; status == EV_OK && c < dataset->items->classes.n; c++)
        status = mark_some(dataset, c, label < 0 || c == label ? limit : INT32_MAX, seed,
                           EVI_STREAM_CAP, mark);
    if (status == EV_OK)
        status = evi_dataset_marked(dataset, mark, out);
    evi_free(mark);
    return status;
}

ev_status ev_dataset_subset(const ev_dataset *dataset, double fraction, uint64_t seed,
                            ev_dataset **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(dataset, EVI_MAGIC_DATASET);
    if (!(fraction > 0 && fraction <= 1))
        return evi_fail(EV_ERR_ARGUMENT, "%s: fraction %g is not above 0 and at most 1", __func__,
                        fraction);
    uint8_t *mark = NULL;
    EVI_TRY(evi_calloc(dataset->handle.ctx, (uint64_t)dataset->n, 1, &mark));
    ev_status status = EV_OK;
    for (int32_t c = 0; status == EV_OK && c < dataset->items->classes.n; c++) {
        int32_t keep = (int32_t)(fraction * ev_dataset_class_count(dataset, c) + 0.5);
        status = mark_some(dataset, c, EVI_MAX(keep, 1), seed, EVI_STREAM_SUBSET, mark);
    }
    if (status == EV_OK)
        status = evi_dataset_marked(dataset, mark, out);
    evi_free(mark);
    return status;
}

/* ---- split ----------------------------------------------------------------------------------- */

/* Cut one class (label -1: all) in its order by chance at the rounded shares. */
static ev_status cut_class(const ev_dataset *d, int32_t label, const double *share, int32_t n_parts,
                           uint64_t seed, uint8_t *part)
{
    int32_t *order = NULL, n = 0, at = 0;
    double reached = 0;
    EVI_TRY(evi_shuffle_class(d, label, seed, EVI_STREAM_SPLIT, &order, &n));
    for (int32_t p = 0; p < n_parts; p++) {
        reached += share[p];
        int32_t end = p == n_parts - 1 ? n : (int32_t)(reached * n + 0.5);
        for (; at < end && at < n; at++)
            part[order[at]] = (uint8_t)p;
    }
    evi_free(order);
    return EV_OK;
}

static ev_status assign_parts(const ev_dataset *d, const double *share, int32_t n_parts,
                              int32_t kind, uint64_t seed, uint8_t *part)
{
    if (kind == EV_SPLIT_GROUPED)
        return evi_split_groups(d, share, n_parts, seed_of(seed), part);
    if (kind == EV_SPLIT_RANDOM)
        return cut_class(d, -1, share, n_parts, seed, part);
    for (int32_t c = 0; c < d->items->classes.n; c++)
        EVI_TRY(cut_class(d, c, share, n_parts, seed, part));
    return EV_OK;
}

static ev_status make_parts(const ev_dataset *d, const uint8_t *part, int32_t n_parts,
                            ev_dataset **parts_out)
{
    uint8_t *mark = NULL;
    EVI_TRY(evi_malloc(d->handle.ctx, (uint64_t)d->n, 1, &mark));
    ev_status status = EV_OK;
    for (int32_t p = 0; status == EV_OK && p < n_parts; p++) {
        for (int32_t i = 0; i < d->n; i++)
            mark[i] = part[i] == p;
        status = evi_dataset_marked(d, mark, &parts_out[p]);
    }
    evi_free(mark);
    for (int32_t p = 0; status != EV_OK && p < n_parts; p++) {
        ev_dataset_destroy(parts_out[p]);
        parts_out[p] = NULL;
    }
    return status;
}

static ev_status read_shares(const double *fractions, int32_t n_parts, double *share)
{
    double sum = 0;
    for (int32_t p = 0; p < n_parts; p++) {
        if (!(fractions[p] > 0) || !isfinite(fractions[p]))
            return evi_fail(EV_ERR_ARGUMENT, "ev_dataset_split: fractions[%d] is %g", (int)p,
                            fractions[p]);
        sum += fractions[p];
    }
    if (!isfinite(sum))
        return evi_fail(EV_ERR_ARGUMENT, "ev_dataset_split: the fractions are too large");
    for (int32_t p = 0; p < n_parts; p++)
        share[p] = fractions[p] / sum;
    return EV_OK;
}

ev_status ev_dataset_split(const ev_dataset *dataset, const double *fractions, int32_t n_parts,
                           int32_t kind, uint64_t seed, ev_dataset **parts_out)
{
    EVI_CHECK_POINTER(parts_out);
    if (n_parts < 2 || n_parts > 64)
        return evi_fail(EV_ERR_ARGUMENT, "%s: n_parts %d is not 2..64", __func__, (int)n_parts);
    for (int32_t p = 0; p < n_parts; p++)
        parts_out[p] = NULL;
    EVI_CHECK_HANDLE(dataset, EVI_MAGIC_DATASET);
    EVI_CHECK_POINTER(fractions);
    if (kind < EV_SPLIT_DEFAULT || kind > EV_SPLIT_GROUPED)
        return evi_fail(EV_ERR_ARGUMENT, "%s: unknown kind %d", __func__, (int)kind);
    double share[64];
    EVI_TRY(read_shares(fractions, n_parts, share));
    uint8_t *part = NULL;
    EVI_TRY(evi_calloc(dataset->handle.ctx, (uint64_t)dataset->n, 1, &part));
    ev_status status = assign_parts(dataset, share, n_parts, kind, seed, part);
    if (status == EV_OK)
        status = make_parts(dataset, part, n_parts, parts_out);
    evi_free(part);
    return status;
}

/* ---- filter ---------------------------------------------------------------------------------- */

static ev_status within(const ev_dataset *d, int32_t item, int32_t column, double min, double max,
                        bool keep_missing, uint8_t *keep)
{
    const char *text = ev_dataset_value(d, item, column);
    double v = 0;
    size_t n = strlen(text);
    if (n == 0) {
        *keep = keep_missing;
        return EV_OK;
    }
    if (!evi_parse_double(text, n, &v) || isnan(v))
        return evi_fail(EV_ERR_FORMAT, "ev_dataset_filter: item %d has %s for %s", (int)item, text,
                        ev_dataset_column_name(d, column));
    *keep = v >= min && v <= max;
    return EV_OK;
}

ev_status ev_dataset_filter(const ev_dataset *dataset, const char *column, double min, double max,
                            int32_t keep_missing, ev_dataset **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(dataset, EVI_MAGIC_DATASET);
    EVI_CHECK_POINTER(column);
    int32_t at = ev_dataset_column_index(dataset, column);
    if (at < 0)
        return evi_fail(EV_ERR_ARGUMENT, "%s: no column %s", __func__, column);
    if (isnan(min) || isnan(max))
        return evi_fail(EV_ERR_ARGUMENT, "%s: a bound is not a number", __func__);
    uint8_t *mark = NULL;
    EVI_TRY(evi_calloc(dataset->handle.ctx, (uint64_t)dataset->n, 1, &mark));
    ev_status status = EV_OK;
    for (int32_t i = 0; status == EV_OK && i < dataset->n; i++)
        status = within(dataset, i, at, min, max, keep_missing != 0, &mark[i]);
    if (status == EV_OK)
        status = evi_dataset_marked(dataset, mark, out);
    evi_free(mark);
    return status;
}

/* Text of an item in a further column (0 or more) or in a built-in one; "" when there is none. */
enum { PATH = -4, LABEL = -3, GROUP = -2, NONE = -1 };

static int32_t column_of(const ev_dataset *d, const char *name)
{
    if (strcmp(name, "path") == 0)
        return PATH;
    if (strcmp(name, "label") == 0)
        return LABEL;
    return strcmp(name, "group") == 0 ? GROUP : ev_dataset_column_index(d, name);
}

static const char *text_of(const ev_dataset *d, int32_t item, int32_t column)
{
    const char *text = column == PATH    ? ev_dataset_path(d, item)
                       : column == GROUP ? ev_dataset_group(d, item)
                       : column == LABEL ? ev_dataset_class_name(d, ev_dataset_label(d, item))
                                         : ev_dataset_value(d, item, column);
    return text != NULL ? text : "";
}

ev_status ev_dataset_where(const ev_dataset *dataset, const char *column, const char *value,
                           int32_t invert, ev_dataset **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(dataset, EVI_MAGIC_DATASET);
    EVI_CHECK_POINTER(column);
    EVI_CHECK_POINTER(value);
    int32_t at = column_of(dataset, column);
    if (at == NONE)
        return evi_fail(EV_ERR_ARGUMENT, "%s: no column %s", __func__, column);
    uint8_t *mark = NULL;
    EVI_TRY(evi_calloc(dataset->handle.ctx, (uint64_t)dataset->n, 1, &mark));
    for (int32_t i = 0; i < dataset->n; i++)
        mark[i] = (strcmp(text_of(dataset, i, at), value) == 0) != (invert != 0);
    ev_status status = evi_dataset_marked(dataset, mark, out);
    evi_free(mark);
    return status;
}
