/* SPDX-License-Identifier: MIT */
/* The inside of ev_dataset.  Items live in a store that all datasets made from one another share;
 * a dataset is a list of numbers into it. */
#ifndef EVI_DATA_DATASET_H
#define EVI_DATA_DATASET_H

#include "base/base.h"
#include <edgevision/dataset.h>

/* ---- names.c: texts that live as long as their store, and sets of them ----------------------- */

typedef struct evi_text_block evi_text_block;

typedef struct evi_text_pool {
    ev_context *ctx;
    evi_text_block *blocks;
} evi_text_pool;

ev_status evi_text_pool_add(evi_text_pool *pool, const char *text, uint64_t length,
                            const char **out);
void evi_text_pool_end(evi_text_pool *pool);

/* Different texts, numbered in the order in which they came. */
typedef struct evi_name_list {
    const char **text;
    int32_t *slot; /* open addressing: number + 1, or 0 */
    int32_t n, capacity;
} evi_name_list;

int32_t evi_name_list_find(const evi_name_list *names, const char *text); /* -1: not there */
/* Find or append; the text is copied into the pool. */
ev_status evi_name_list_add(evi_name_list *names, evi_text_pool *pool, const char *text,
                            int32_t *out);
void evi_name_list_end(evi_name_list *names);

/* ---- items.c --------------------------------------------------------------------------------- */

typedef struct evi_item {
    const char *path; /* NULL: in memory */
    ev_image *image;  /* a reference, or NULL */
    int32_t label;
    int32_t group; /* -1: none */
} evi_item;

typedef struct evi_items {
    atomic_int refs;
    int32_t n, capacity;
    ev_context *ctx; /* one reference held */
    evi_item *item;
    const char **value; /* [n][columns.n]; NULL without columns */
    evi_text_pool pool;
    evi_name_list classes, groups, columns;
} evi_items;

struct ev_dataset {
    evi_handle handle;
    evi_items *items;
    int32_t *index;
    int32_t n, capacity;
};

ev_status evi_items_create(ev_context *ctx, evi_items **out);
void evi_items_release(evi_items *items); /* NULL is fine */
/* Append; path and group are copied, values (columns.n texts) too; group NULL or "": none. */
ev_status evi_items_add(evi_items *items, const char *path, ev_image *image, int32_t label,
                        const char *group, const char *const *values);
/* Put the classes in their final order (or that of the options) and the labels with them. */
ev_status evi_items_set_classes(evi_items *items, const ev_dataset_options *opt,
                                const char *function);

/* ---- dataset.c ------------------------------------------------------------------------------- */

bool evi_dataset_valid(const ev_dataset *d);
static inline const evi_item *evi_dataset_item(const ev_dataset *d, int32_t i)
{
    return &d->items->item[d->index[i]];
}
/* Takes the store over, also on failure; all items with label >= 0. */
ev_status evi_dataset_of_items(evi_items *items, ev_dataset **out);
/* Same store, chosen items (numbers of d). */
ev_status evi_dataset_choose(const ev_dataset *d, const int32_t *items, int32_t n,
                             ev_dataset **out);
/* The items of d whose mark is set, in the old order. */
ev_status evi_dataset_marked(const ev_dataset *d, const uint8_t *mark, ev_dataset **out);
/* Check names and number of classes and add them. */
ev_status evi_items_add_classes(evi_items *items, int32_t n, const char *const *names,
                                const char *function);

/* ---- choose.c -------------------------------------------------------------------------------- */

/* Streams of random numbers: each use has its own. */
enum {
    EVI_STREAM_CAP = 1,
    EVI_STREAM_SUBSET = 2,
    EVI_STREAM_SPLIT = 3,
    EVI_STREAM_ORDER = 4,
    EVI_STREAM_AUGMENT = 5
};

/* Items of d by class (label -1: all) in an order by chance: numbers into *order (evi_free). */
ev_status evi_shuffle_class(const ev_dataset *d, int32_t label, uint64_t seed, uint64_t stream,
                            int32_t **order, int32_t *n);

/* ---- group_split.c --------------------------------------------------------------------------- */

/* part[i] = 0..n_parts-1 for each item; shares add up to 1. */
ev_status evi_split_groups(const ev_dataset *d, const double *share, int32_t n_parts, uint64_t seed,
                           uint8_t *part);

/* ---- folder.c -------------------------------------------------------------------------------- */

typedef struct evi_folder {
    const char **name; /* sorted by bytes */
    uint8_t *is_folder;
    int32_t n;
    int32_t pad;
    evi_text_pool pool;
} evi_folder;

/* Names in a folder but for those that start with a dot.  Links to folders count as folders when
 * follow is set and are left out otherwise, so that no walk can go round. */
ev_status evi_folder_list(ev_context *ctx, const char *path, bool follow, evi_folder *out);
void evi_folder_end(evi_folder *folder);
bool evi_is_picture_name(const char *name);
/* folder + "/" + name (evi_free). */
ev_status evi_path_join(ev_context *ctx, const char *folder, const char *name, char **out);

/* ---- csv.c ----------------------------------------------------------------------------------- */

typedef struct evi_csv {
    ev_context *ctx;
    char *text; /* changed in place */
    uint64_t n, at;
    int64_t line; /* of the row last read, from 1 */
    char **field;
    int32_t n_fields, capacity;
} evi_csv;

/* Start on a whole file in memory; the block stays the caller's. */
void evi_csv_start(evi_csv *csv, ev_context *ctx, char *text, uint64_t n);
/* The next row that is not empty; *more is false at the end. */
ev_status evi_csv_row(evi_csv *csv, bool *more);
void evi_csv_end(evi_csv *csv);
/* A field, quoted if it has to be. */
void evi_csv_write(evi_text *out, const char *field);

#endif
