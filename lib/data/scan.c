/* SPDX-License-Identifier: MIT */
/* Datasets from folders: one per class, or names that carry counts. */
#include "data/dataset.h"
#include <string.h>

enum { MAX_DEPTH = 16 };

/* What to do with each picture of a walk. */
typedef struct visit visit;
struct visit {
    evi_items *items;
    int32_t label; /* of the folder that is being walked */
    int32_t pad;
    const char *group;
    ev_status (*file)(visit *v, const char *path, const char *name);
};

/* Pictures of a folder and the folders in it, in the order of their sorted paths. */
static ev_status walk(visit *v, const char *path, int32_t depth)
{
    if (depth > MAX_DEPTH)
        return evi_fail(EV_ERR_UNSUPPORTED, "%s: folders are nested too deep", path);
    ev_context *ctx = v->items->ctx;
    evi_folder list;
    EVI_TRY(evi_folder_list(ctx, path, depth == 0, &list));
    ev_status status = EV_OK;
    for (int32_t i = 0; status == EV_OK && i < list.n; i++) {
        char *full = NULL;
        if (list.is_folder[i] == 0 && !evi_is_picture_name(list.name[i]))
            continue;
        status = evi_path_join(ctx, path, list.name[i], &full);
        if (status == EV_OK && list.is_folder[i] != 0) {
            const char *outer = v->group;
            if (outer == NULL)
                v->group = list.name[i];
            status = walk(v, full, depth + 1);
            v->group = outer;
        } else if (status == EV_OK) {
            status = v->file(v, full, list.name[i]);
        }
        evi_free(full);
    }
    evi_folder_end(&list);
    return status;
}

static ev_status add_labelled(visit *v, const char *path, const char *name)
{
    (void)name;
    return evi_items_add(v->items, path, NULL, v->label, v->group, NULL);
}

static ev_status walk_classes(evi_items *items, const char *folder)
{
    evi_folder list;
    EVI_TRY(evi_folder_list(items->ctx, folder, true, &list));
    ev_status status = EV_OK;
    for (int32_t i = 0; status == EV_OK && i < list.n; i++) {
        visit v = {.items = items, .file = add_labelled};
        char *path = NULL;
        if (list.is_folder[i] == 0)
            continue;
        status = evi_name_list_add(&items->classes, &items->pool, list.name[i], &v.label);
        if (status == EV_OK)
            status = evi_path_join(items->ctx, folder, list.name[i], &path);
        if (status == EV_OK)
            status = walk(&v, path, 0);
        evi_free(path);
    }
    evi_folder_end(&list);
    return status;
}

/* Ends the store when something failed or nothing was found. */
static ev_status finish(evi_items *items, ev_status status, const char *folder, ev_dataset **out)
{
    if (status == EV_OK && items->n == 0)
        status = evi_fail(EV_ERR_FORMAT, "%s: no pictures found", folder);
    if (status == EV_OK)
        return evi_dataset_of_items(items, out);
    evi_items_release(items);
    return status;
}

ev_status ev_dataset_scan(ev_context *ctx, const char *folder, const ev_dataset_options *opt,
                          ev_dataset **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_POINTER(folder);
    ev_dataset_options o;
    EVI_OPTIONS_READ(&o, opt);
    EVI_CHECK_RESERVED(o.reserved, __func__);
    evi_items *items = NULL;
    EVI_TRY(evi_items_create(ctx, &items));
    ev_status status = walk_classes(items, folder);
    if (status == EV_OK)
        status = evi_items_set_classes(items, &o, __func__);
    return finish(items, status, folder, out);
}

/* "<word>_<number>_" at *at; moves behind it. */
static bool take_count(const char **at, const char *word, const char **start, int64_t *length,
                       int64_t *count)
{
    size_t n = strlen(word);
    if (strncmp(*at, word, n) != 0)
        return false;
    *start = *at + n;
    const char *end = *start;
    while (*end >= '0' && *end <= '9')
        end++;
    *length = end - *start;
    if (*end != '_' || *length < 1 || *length > 6)
        return false;
    *at = end + 1;
    return evi_parse_int(*start, (uint64_t)*length, count);
}

enum { EMPTY = 0, PEDESTRIAN = 1, DOG_WALKER = 2, BICYCLIST = 3 };

/* Class of a frame by its counts, or -1 when it is to be left out. */
static int32_t class_of_counts(int64_t persons, int64_t dogs, int64_t bikes)
{
    if (persons > 1 || dogs > 1 || bikes > 1 || (dogs > 0 && (persons == 0 || bikes > 0)))
        return -1;
    return bikes > 0 ? BICYCLIST : dogs > 0 ? DOG_WALKER : persons > 0 ? PEDESTRIAN : EMPTY;
}

static ev_status add_counted(visit *v, const char *path, const char *name)
{
    static const char *const words[3] = {"persons_", "dogs_", "bikes_"};
    ev_context *ctx = v->items->ctx;
    char *text[3] = {NULL}, *group = NULL;
    int64_t count[3] = {0}, length = 0;
    const char *at = name, *start = NULL;
    ev_status status = EV_OK;
    bool counted = true;
    for (int32_t i = 0; status == EV_OK && counted && i < 3; i++) {
        counted = take_count(&at, words[i], &start, &length, &count[i]);
        if (counted)
            status = evi_strndup(ctx, start, (uint64_t)length, &text[i]);
    }
    int32_t label = counted ? class_of_counts(count[0], count[1], count[2]) : -1;
    const char *end = strstr(at, "nr");
    if (status == EV_OK && label >= 0 && strncmp(at, "frame_", 6) == 0 && end != NULL)
        status = evi_strndup(ctx, at + 6, (uint64_t)(end - at - 6), &group);
    if (status == EV_OK && label >= 0)
        status = evi_items_add(v->items, path, NULL, label, group, (const char *const *)text);
    for (int32_t i = 0; i < 3; i++)
        evi_free(text[i]);
    evi_free(group);
    return status;
}

static ev_status walk_counts(evi_items *items, const char *folder)
{
    static const char *const classes[] = {"empty", "pedestrian", "dog_walker", "bicyclist"};
    static const char *const columns[] = {"persons", "dogs", "bikes"};
    visit v = {.items = items, .file = add_counted};
    int32_t at;
    EVI_TRY(evi_items_add_classes(items, 4, classes, "ev_dataset_scan_counts"));
    for (int32_t i = 0; i < 3; i++)
        EVI_TRY(evi_name_list_add(&items->columns, &items->pool, columns[i], &at));
    return walk(&v, folder, 0);
}

ev_status ev_dataset_scan_counts(ev_context *ctx, const char *folder, ev_dataset **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_POINTER(folder);
    evi_items *items = NULL;
    EVI_TRY(evi_items_create(ctx, &items));
    return finish(items, walk_counts(items, folder), folder, out);
}
