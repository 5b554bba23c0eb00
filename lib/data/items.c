/* SPDX-License-Identifier: MIT */
/* The store of items that datasets share. */
#include "data/dataset.h"
#include "data/image.h"
#include <stdlib.h>
#include <string.h>

ev_status evi_items_create(ev_context *ctx, evi_items **out)
{
    evi_items *items = NULL;
    EVI_TRY(evi_calloc(ctx, 1, sizeof(*items), &items));
    atomic_init(&items->refs, 1);
    items->ctx = ev_context_ref(ctx);
    items->pool.ctx = ctx;
    *out = items;
    return EV_OK;
}

void evi_items_release(evi_items *items)
{
    if (items == NULL || atomic_fetch_sub(&items->refs, 1) > 1)
        return;
    ev_context *ctx = items->ctx;
    for (int32_t i = 0; i < items->n; i++)
        ev_image_destroy(items->item[i].image);
    evi_free(items->item);
    evi_free(items->value);
    evi_name_list_end(&items->classes);
    evi_name_list_end(&items->groups);
    evi_name_list_end(&items->columns);
    evi_text_pool_end(&items->pool);
    evi_free(items);
    ev_context_destroy(ctx);
}

static ev_status make_room(evi_items *items)
{
    if (items->n < items->capacity)
        return EV_OK;
    if (items->capacity > 1 << 29)
        return evi_fail(EV_ERR_MEMORY, "too many items");
    uint64_t capacity = (uint64_t)EVI_MAX(items->capacity * 2, 64);
    uint64_t columns = (uint64_t)items->columns.n;
    EVI_TRY(evi_realloc(items->ctx, capacity, sizeof(*items->item), &items->item));
    if (columns > 0)
        EVI_TRY(evi_realloc(items->ctx, capacity * columns, sizeof(*items->value), &items->value));
    items->capacity = (int32_t)capacity;
    return EV_OK;
}

ev_status evi_items_add(evi_items *items, const char *path, ev_image *image, int32_t label,
                        const char *group, const char *const *values)
{
    EVI_TRY(make_room(items));
    evi_item made = {.label = label, .group = -1};
    if (path != NULL)
        EVI_TRY(evi_text_pool_add(&items->pool, path, strlen(path), &made.path));
    if (group != NULL && group[0] != '\0')
        EVI_TRY(evi_name_list_add(&items->groups, &items->pool, group, &made.group));
    uint64_t columns = (uint64_t)items->columns.n;
    for (uint64_t c = 0; c < columns; c++) {
        const char **to = &items->value[(uint64_t)items->n * columns + c];
        EVI_TRY(evi_text_pool_add(&items->pool, values[c], strlen(values[c]), to));
    }
    made.image = ev_image_ref(image);
    items->item[items->n++] = made;
    return EV_OK;
}

ev_status evi_items_add_classes(evi_items *items, int32_t n, const char *const *names,
                                const char *function)
{
    if (n < 1 || n > 65536)
        return evi_fail(EV_ERR_ARGUMENT, "%s: n_classes %d is not 1..65536", function, (int)n);
    for (int32_t i = 0; i < n; i++) {
        evi_text number;
        int32_t at = 0;
        evi_text_start(&number, items->ctx);
        if (names == NULL)
            evi_text_add(&number, "%d", (int)i);
        const char *name = names != NULL ? names[i] : number.data;
        ev_status status = number.status;
        if (status == EV_OK && (name == NULL || name[0] == '\0'))
            status = evi_fail(EV_ERR_ARGUMENT, "%s: class %d has no name", function, (int)i);
        if (status == EV_OK)
            status = evi_name_list_add(&items->classes, &items->pool, name, &at);
        if (status == EV_OK && at != i)
            status = evi_fail(EV_ERR_ARGUMENT, "%s: class name %s comes twice", function, name);
        evi_text_end(&number);
        EVI_TRY(status);
    }
    return EV_OK;
}

static bool all_numbers(const evi_name_list *names)
{
    int64_t v;
    for (int32_t i = 0; i < names->n; i++)
        if (!evi_parse_int(names->text[i], strlen(names->text[i]), &v))
            return false;
    return true;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_value(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    int64_t v = 0, w = 0;
    (void)evi_parse_int(x, strlen(x), &v);
    (void)evi_parse_int(y, strlen(y), &w);
    return v != w ? (v < w ? -1 : 1) : strcmp(x, y);
}

/* The names that occur, sorted, into to. */
static ev_status sort_classes(evi_items *items, const evi_name_list *from, evi_name_list *to)
{
    const char **sorted = NULL;
    EVI_TRY(evi_malloc(items->ctx, (uint64_t)from->n, sizeof(*sorted), &sorted));
    if (from->n > 0) {
        memcpy(sorted, from->text, (size_t)from->n * sizeof(*sorted));
        qsort(sorted, (size_t)from->n, sizeof(*sorted), all_numbers(from) ? by_value : by_bytes);
    }
    ev_status status = EV_OK;
    for (int32_t i = 0, at; status == EV_OK && i < from->n; i++)
        status = evi_name_list_add(to, &items->pool, sorted[i], &at);
    evi_free(sorted);
    return status;
}

static ev_status relabel(evi_items *items, const evi_name_list *found, bool drop_unknown,
                         const char *function)
{
    for (int32_t i = 0; i < items->n; i++) {
        const char *name = found->text[items->item[i].label];
        int32_t label = evi_name_list_find(&items->classes, name);
        if (label < 0 && !drop_unknown)
            return evi_fail(EV_ERR_FORMAT, "%s: %s has the unknown class %s", function,
                            items->item[i].path != NULL ? items->item[i].path : "an item", name);
        items->item[i].label = label;
    }
    return EV_OK;
}

ev_status evi_items_set_classes(evi_items *items, const ev_dataset_options *opt,
                                const char *function)
{
    evi_name_list found = items->classes;
    items->classes = (evi_name_list){0};
    ev_status status;
    if (opt->n_classes != 0)
        status = evi_items_add_classes(items, opt->n_classes, opt->class_names, function);
    else if (found.n > 65536)
        status = evi_fail(EV_ERR_FORMAT, "%s: more than 65536 classes", function);
    else
        status = sort_classes(items, &found, &items->classes);
    if (status == EV_OK)
        status = relabel(items, &found, opt->drop_unknown != 0, function);
    evi_name_list_end(&found);
    return status;
}
