/* SPDX-License-Identifier: MIT */
/* Datasets as objects: make, add, look. */
#include "data/dataset.h"
#include "data/image.h"
#include "tensor/tensor.h"
#include <string.h>

bool evi_dataset_valid(const ev_dataset *d)
{
    return d != NULL && d->handle.magic == EVI_MAGIC_DATASET;
}

/* Takes over one reference to items, also on failure. */
static ev_status new_dataset(evi_items *items, int32_t capacity, ev_dataset **out)
{
    ev_dataset *d = NULL;
    *out = NULL;
    ev_status status = evi_calloc(items->ctx, 1, sizeof(*d), &d);
    if (status != EV_OK) {
        evi_items_release(items);
        return status;
    }
    evi_handle_start(&d->handle, EVI_MAGIC_DATASET, items->ctx);
    d->items = items;
    status = evi_malloc(items->ctx, (uint64_t)EVI_MAX(capacity, 1), sizeof(int32_t), &d->index);
    if (status != EV_OK) {
        ev_dataset_destroy(d);
        return status;
    }
    d->capacity = EVI_MAX(capacity, 1);
    *out = d;
    return EV_OK;
}

ev_status evi_dataset_of_items(evi_items *items, ev_dataset **out)
{
    EVI_TRY(new_dataset(items, items->n, out));
    for (int32_t i = 0; i < items->n; i++)
        if (items->item[i].label >= 0)
            (*out)->index[(*out)->n++] = i;
    return EV_OK;
}

ev_status evi_dataset_choose(const ev_dataset *d, const int32_t *items, int32_t n, ev_dataset **out)
{
    atomic_fetch_add_explicit(&d->items->refs, 1, memory_order_relaxed);
    EVI_TRY(new_dataset(d->items, n, out));
    for (int32_t i = 0; i < n; i++)
        (*out)->index[i] = d->index[items[i]];
    (*out)->n = n;
    return EV_OK;
}

ev_status evi_dataset_marked(const ev_dataset *d, const uint8_t *mark, ev_dataset **out)
{
    int32_t n = 0;
    for (int32_t i = 0; i < d->n; i++)
        n += mark[i] != 0;
    atomic_fetch_add_explicit(&d->items->refs, 1, memory_order_relaxed);
    EVI_TRY(new_dataset(d->items, n, out));
    for (int32_t i = 0; i < d->n; i++)
        if (mark[i] != 0)
            (*out)->index[(*out)->n++] = d->index[i];
    return EV_OK;
}

ev_status ev_dataset_create(ev_context *ctx, int32_t n_classes, const char *const *class_names,
                            ev_dataset **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    evi_items *items = NULL;
    EVI_TRY(evi_items_create(ctx, &items));
    ev_status status = evi_items_add_classes(items, n_classes, class_names, __func__);
    if (status != EV_OK) {
        evi_items_release(items);
        return status;
    }
    return new_dataset(items, 64, out);
}

/* May the dataset be added to, and is the label one of its classes? */
static ev_status check_add(const ev_dataset *d, int32_t label, const char *function)
{
    if (label < 0 || label >= d->items->classes.n)
        return evi_fail(EV_ERR_ARGUMENT, "%s: label %d is not 0..%d", function, (int)label,
                        (int)d->items->classes.n - 1);
    if (atomic_load(&d->handle.refs) > 1 || atomic_load(&d->items->refs) > 1)
        return evi_fail(EV_ERR_STATE, "%s: somebody else holds this dataset", function);
    if (d->items->columns.n > 0 || d->n != d->items->n)
        return evi_fail(EV_ERR_STATE, "%s: only datasets of ev_dataset_create() can grow",
                        function);
    return EV_OK;
}

static ev_status add(ev_dataset *d, const char *path, ev_image *image, int32_t label,
                     const char *group)
{
    if (d->n == d->capacity) {
        uint64_t capacity = (uint64_t)d->capacity * 2;
        if (capacity > INT32_MAX)
            return evi_fail(EV_ERR_MEMORY, "too many items");
        EVI_TRY(evi_realloc(d->handle.ctx, capacity, sizeof(int32_t), &d->index));
        d->capacity = (int32_t)capacity;
    }
    EVI_TRY(evi_items_add(d->items, path, image, label, group, NULL));
    d->index[d->n++] = d->items->n - 1;
    return EV_OK;
}

ev_status ev_dataset_add_path(ev_dataset *dataset, const char *path, int32_t label,
                              const char *group)
{
    EVI_CHECK_HANDLE(dataset, EVI_MAGIC_DATASET);
    EVI_CHECK_POINTER(path);
    if (path[0] == '\0')
        return evi_fail(EV_ERR_ARGUMENT, "%s: path is empty", __func__);
    EVI_TRY(check_add(dataset, label, __func__));
    return add(dataset, path, NULL, label, group);
}

ev_status ev_dataset_add_image(ev_dataset *dataset, ev_image *image, int32_t label,
                               const char *group)
{
    EVI_CHECK_HANDLE(dataset, EVI_MAGIC_DATASET);
    EVI_CHECK_HANDLE(image, EVI_MAGIC_IMAGE);
    EVI_TRY(check_add(dataset, label, __func__));
    return add(dataset, NULL, image, label, group);
}

static ev_status add_entries(ev_dataset *d, const ev_tensor *images, const int32_t *labels)
{
    for (int64_t i = 0; i < images->shape.dim[0]; i++) {
        ev_image *image = NULL;
        EVI_TRY(check_add(d, labels[i], "ev_dataset_from_tensor"));
        EVI_TRY(ev_tensor_to_image(images, i, NULL, &image));
        ev_status status = add(d, NULL, image, labels[i], NULL);
        ev_image_destroy(image);
        EVI_TRY(status);
    }
    return EV_OK;
}

ev_status ev_dataset_from_tensor(ev_context *ctx, ev_tensor *images, const int32_t *labels,
                                 int32_t n_classes, const char *const *class_names,
                                 ev_dataset **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_HANDLE(images, EVI_MAGIC_TENSOR);
    EVI_CHECK_POINTER(labels);
    if (images->shape.rank != 4)
        return evi_fail(EV_ERR_SHAPE, "%s: images are not [N,C,H,W]", __func__);
    ev_dataset *made = NULL;
    EVI_TRY(ev_dataset_create(ctx, n_classes, class_names, &made));
    ev_status status = add_entries(made, images, labels);
    if (status != EV_OK) {
        ev_dataset_destroy(made);
        return status;
    }
    *out = made;
    return EV_OK;
}

ev_dataset *ev_dataset_ref(ev_dataset *dataset)
{
    return evi_handle_ref(dataset, EVI_MAGIC_DATASET);
}

void ev_dataset_destroy(ev_dataset *dataset)
{
    if (!evi_handle_drop(dataset, EVI_MAGIC_DATASET))
        return;
    evi_items_release(dataset->items);
    evi_free(dataset->index);
    evi_handle_end(dataset);
}

/* ---- look ------------------------------------------------------------------------------------ */

static bool has_item(const ev_dataset *d, int32_t item)
{
    return evi_dataset_valid(d) && item >= 0 && item < d->n;
}

static const char *name_at(const evi_name_list *names, int32_t i)
{
    return i >= 0 && i < names->n ? names->text[i] : NULL;
}

int32_t ev_dataset_size(const ev_dataset *dataset)
{
    return evi_dataset_valid(dataset) ? dataset->n : 0;
}

int32_t ev_dataset_classes(const ev_dataset *dataset)
{
    return evi_dataset_valid(dataset) ? dataset->items->classes.n : 0;
}

const char *ev_dataset_class_name(const ev_dataset *dataset, int32_t label)
{
    return evi_dataset_valid(dataset) ? name_at(&dataset->items->classes, label) : NULL;
}

int32_t ev_dataset_class_index(const ev_dataset *dataset, const char *name)
{
    bool ask = evi_dataset_valid(dataset) && name != NULL;
    return ask ? evi_name_list_find(&dataset->items->classes, name) : -1;
}

int32_t ev_dataset_class_count(const ev_dataset *dataset, int32_t label)
{
    int32_t n = 0;
    for (int32_t i = 0; i < ev_dataset_size(dataset); i++)
        n += evi_dataset_item(dataset, i)->label == label;
    return n;
}

int32_t ev_dataset_label(const ev_dataset *dataset, int32_t item)
{
    return has_item(dataset, item) ? evi_dataset_item(dataset, item)->label : -1;
}

const char *ev_dataset_path(const ev_dataset *dataset, int32_t item)
{
    return has_item(dataset, item) ? evi_dataset_item(dataset, item)->path : NULL;
}

int32_t ev_dataset_group_index(const ev_dataset *dataset, int32_t item)
{
    return has_item(dataset, item) ? evi_dataset_item(dataset, item)->group : -1;
}

const char *ev_dataset_group(const ev_dataset *dataset, int32_t item)
{
    return ev_dataset_group_name(dataset, ev_dataset_group_index(dataset, item));
}

int32_t ev_dataset_group_limit(const ev_dataset *dataset)
{
    return evi_dataset_valid(dataset) ? dataset->items->groups.n : 0;
}

const char *ev_dataset_group_name(const ev_dataset *dataset, int32_t group)
{
    return evi_dataset_valid(dataset) ? name_at(&dataset->items->groups, group) : NULL;
}

/* A getter has no status, so it counts without memory: an item counts if no earlier one is of its
 * group.  Groups lie together in practice, so the search behind is short. */
int32_t ev_dataset_groups(const ev_dataset *dataset)
{
    int32_t count = 0;
    for (int32_t i = 0; i < ev_dataset_size(dataset); i++) {
        int32_t group = evi_dataset_item(dataset, i)->group, k = i - 1;
        while (k >= 0 && evi_dataset_item(dataset, k)->group != group)
            k--;
        count += group >= 0 && k < 0;
    }
    return count;
}

int32_t ev_dataset_columns(const ev_dataset *dataset)
{
    return evi_dataset_valid(dataset) ? dataset->items->columns.n : 0;
}

const char *ev_dataset_column_name(const ev_dataset *dataset, int32_t column)
{
    return evi_dataset_valid(dataset) ? name_at(&dataset->items->columns, column) : NULL;
}

int32_t ev_dataset_column_index(const ev_dataset *dataset, const char *name)
{
    bool ask = evi_dataset_valid(dataset) && name != NULL;
    return ask ? evi_name_list_find(&dataset->items->columns, name) : -1;
}

const char *ev_dataset_value(const ev_dataset *dataset, int32_t item, int32_t column)
{
    if (!has_item(dataset, item) || column < 0 || column >= dataset->items->columns.n)
        return NULL;
    uint64_t row = (uint64_t)dataset->index[item] * (uint64_t)dataset->items->columns.n;
    return dataset->items->value[row + (uint64_t)column];
}

ev_status ev_dataset_image(const ev_dataset *dataset, int32_t item, const ev_decode_options *opt,
                           ev_image **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(dataset, EVI_MAGIC_DATASET);
    if (!has_item(dataset, item))
        return evi_fail(EV_ERR_ARGUMENT, "%s: item %d of %d", __func__, (int)item, (int)dataset->n);
    const evi_item *it = evi_dataset_item(dataset, item);
    if (it->path != NULL)
        return ev_image_load(dataset->handle.ctx, it->path, opt, out);
    ev_decode_options o;
    EVI_OPTIONS_READ(&o, opt);
    return ev_image_convert(it->image, o.format, out);
}
