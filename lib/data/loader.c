/* SPDX-License-Identifier: MIT */
/* The loader: options, the ring of batches, the threads that read ahead. */
#include "data/loader.h"
#include <stdio.h>
#include <string.h>

/* ---- entries: all with the lock held, which is let go while a picture is made ---------------- */

/* Take note of what became of an entry.  Of several failures the first entry's is kept, so that the
 * answer does not depend on which thread was faster. */
static void finish_entry(ev_loader *l, evi_slot *s, int32_t entry, ev_status status)
{
    bool skip = l->opt.skip_unreadable != 0 && status != EV_ERR_MEMORY;
    s->done++;
    s->bad[entry] = status != EV_OK;
    if (status != EV_OK && !skip && (s->failed < 0 || entry < s->failed)) {
        s->failed = entry;
        s->status = status;
        (void)snprintf(s->line, sizeof(s->line), "%s", ev_last_error());
    }
    if (s->done == s->next)
        evi_readers_tell(&l->readers);
}

/* Make the next entry of a slot. */
static void make_entry(ev_loader *l, evi_slot *s, int32_t worker)
{
    int32_t entry = s->next++, item = s->items[entry];
    int64_t place = (int64_t)s->batch * l->opt.batch_size + entry;
    evi_readers_unlock(&l->readers);
    int64_t count = (int64_t)l->map.channels * l->opt.width * l->opt.height;
    evi_real *to = (evi_real *)s->images->data + entry * count;
    ev_status status = evi_loader_make(l, item, place, worker, to);
    evi_readers_lock(&l->readers);
    finish_entry(l, s, entry, status);
}

/* Let a slot make a batch of the present epoch; one behind the last is empty. */
static void plan_slot(ev_loader *l, int32_t batch)
{
    evi_slot *s = &l->slot[batch % l->n_slots];
    int64_t first = (int64_t)batch * l->opt.batch_size, left = l->dataset->n - first;
    s->batch = batch;
    s->n = batch < l->n_batches ? (int32_t)EVI_MIN(left, l->opt.batch_size) : 0;
    s->next = s->done = 0;
    s->failed = -1;
    s->status = EV_OK;
    for (int32_t i = 0; i < s->n; i++) {
        s->items[i] = l->order[first + i];
        s->labels[i] = evi_dataset_item(l->dataset, s->items[i])->label;
    }
}

/* What a thread that reads ahead does: an entry of the earliest batch that has any left. */
static bool read_ahead(void *user, int32_t worker)
{
    ev_loader *l = user;
    evi_slot *found = NULL;
    for (int32_t i = 0; i < l->n_slots; i++) {
        evi_slot *s = &l->slot[i];
        if (s->next < s->n && (found == NULL || s->batch < found->batch))
            found = s;
    }
    if (found != NULL)
        make_entry(l, found, worker);
    return found != NULL;
}

/* Help with a slot until all its entries are done. */
static void complete(ev_loader *l, evi_slot *s)
{
    while (s->next < s->n)
        make_entry(l, s, 0);
    while (s->done < s->next)
        evi_readers_wait(&l->readers);
}

/* Hand out nothing more, and wait for what is out. */
static void drain(ev_loader *l)
{
    for (int32_t i = 0; i < l->n_slots; i++)
        l->slot[i].n = l->slot[i].next;
    for (int32_t i = 0; i < l->n_slots; i++)
        complete(l, &l->slot[i]);
}

/* ---- options --------------------------------------------------------------------------------- */

static ev_status check_options(ev_loader_options *o, ev_context *ctx, const char *function)
{
    o->width = o->width == 0 ? 224 : o->width;
    o->height = o->height == 0 ? 224 : o->height;
    o->channels = o->channels == 0 ? 3 : o->channels;
    o->batch_size = o->batch_size == 0 ? 32 : o->batch_size;
    o->seed = o->seed == 0 ? 1 : o->seed;
    o->cache_bytes = o->cache_bytes == 0 ? (int64_t)1 << 30 : EVI_MAX(o->cache_bytes, 0);
    if (o->n_threads == 0)
        o->n_threads = ev_context_threads(ctx) > 1 ? ev_context_threads(ctx) : 0;
    else if (o->n_threads > EVI_READERS_MAX)
        return evi_fail(EV_ERR_ARGUMENT, "%s: n_threads %d is over %d", function, (int)o->n_threads,
                        EVI_READERS_MAX);
    o->n_threads = EVI_MIN(EVI_MAX(o->n_threads, 0), EVI_READERS_MAX);
    if (o->width < 1 || o->width > EV_IMAGE_MAX_SIDE || o->height < 1 ||
        o->height > EV_IMAGE_MAX_SIDE || (int64_t)o->width * o->height > EV_IMAGE_MAX_PIXELS)
        return evi_fail(EV_ERR_ARGUMENT, "%s: size %d x %d is out of range", function,
                        (int)o->width, (int)o->height);
    if (o->channels != 1 && o->channels != 3)
        return evi_fail(EV_ERR_ARGUMENT, "%s: channels %d is neither 1 nor 3", function,
                        (int)o->channels);
    if (o->batch_size < 1 || o->batch_size > 65536)
        return evi_fail(EV_ERR_ARGUMENT, "%s: batch_size %d is not 1..65536", function,
                        (int)o->batch_size);
    return EV_OK;
}

/* Options and those they point to, copied. */
static ev_status read_options(ev_loader *l, const ev_loader_options *opt, const char *function)
{
    EVI_TRY(evi_options_read(&l->opt, (uint32_t)sizeof(l->opt), opt, function));
    EVI_TRY(check_options(&l->opt, l->handle.ctx, function));
    EVI_TRY(evi_options_read(&l->augment, (uint32_t)sizeof(l->augment), l->opt.augment, function));
    EVI_TRY(evi_augment_check(&l->augment, function));
    l->opt.augment = l->opt.augment != NULL ? &l->augment : NULL;
    EVI_TRY(evi_options_read(&l->decode, (uint32_t)sizeof(l->decode), l->opt.decode, function));
    return evi_pixel_map_make(l->opt.pixels, l->opt.channels, function, &l->map);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static ev_status make_slot(ev_loader *l, evi_slot *s)
{
    ev_context *ctx = l->handle.ctx;
    uint64_t n = (uint64_t)l->opt.batch_size;
    const int64_t dims[4] = {l->opt.batch_size, l->opt.channels, l->opt.height, l->opt.width};
    EVI_TRY(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &s->images));
    EVI_TRY(evi_calloc(ctx, n, sizeof(int32_t), &s->labels));
    EVI_TRY(evi_calloc(ctx, n, sizeof(int32_t), &s->items));
    return evi_calloc(ctx, n, 1, &s->bad);
}

/* As much as is allowed and there is; without memory for it the loader decodes anew each time. */
static ev_status make_cache(ev_loader *l)
{
    ev_context *ctx = l->handle.ctx;
    int64_t n = EVI_MIN(l->opt.cache_bytes / l->picture_bytes, (int64_t)l->dataset->n);
    for (; n > 0; n /= 2) {
        if (evi_malloc(ctx, (uint64_t)n, (uint64_t)l->picture_bytes, &l->cache) == EV_OK)
            break;
    }
    if (n == 0)
        return EV_OK;
    l->n_cached = (int32_t)n;
    return evi_calloc(ctx, (uint64_t)n, sizeof(*l->cached), &l->cached);
}

static ev_status make_memory(ev_loader *l)
{
    ev_context *ctx = l->handle.ctx;
    int32_t n = l->dataset->n, size = l->opt.batch_size;
    l->n_batches = l->opt.drop_last != 0 ? n / size : n / size + (n % size != 0);
    l->opt.batch_size = EVI_MIN(size, n);
    l->picture_bytes = (int64_t)l->opt.width * l->opt.height * l->opt.channels;
    l->n_slots = l->opt.n_threads > 0 ? EVI_LOADER_SLOTS : 1;
    for (int32_t i = 0; i < l->n_slots; i++)
        EVI_TRY(make_slot(l, &l->slot[i]));
    EVI_TRY(evi_calloc(ctx, (uint64_t)n, sizeof(int32_t), &l->order));
    uint64_t scratch = 2 * ((uint64_t)l->opt.n_threads + 1);
    EVI_TRY(evi_malloc(ctx, scratch, (uint64_t)l->picture_bytes, &l->scratch));
    return make_cache(l);
}

void ev_loader_destroy(ev_loader *loader)
{
    if (!evi_handle_drop(loader, EVI_MAGIC_LOADER))
        return;
    evi_readers_end(&loader->readers);
    for (int32_t i = 0; i < EVI_LOADER_SLOTS; i++) {
        ev_tensor_destroy(loader->slot[i].images);
        evi_free(loader->slot[i].labels);
        evi_free(loader->slot[i].items);
        evi_free(loader->slot[i].bad);
    }
    evi_free(loader->order);
    evi_free(loader->cache);
    evi_free(loader->cached);
    evi_free(loader->scratch);
    ev_dataset_destroy(loader->dataset);
    evi_handle_end(loader);
}

ev_status ev_loader_create(ev_context *ctx, ev_dataset *dataset, const ev_loader_options *opt,
                           ev_loader **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_HANDLE(dataset, EVI_MAGIC_DATASET);
    if (dataset->n == 0)
        return evi_fail(EV_ERR_ARGUMENT, "%s: the dataset has no items", __func__);
    ev_loader *l = NULL;
    EVI_TRY(evi_calloc(ctx, 1, sizeof(*l), &l));
    evi_handle_start(&l->handle, EVI_MAGIC_LOADER, ctx);
    l->dataset = ev_dataset_ref(dataset);
    l->epoch = -1;
    ev_status status = read_options(l, opt, __func__);
    if (status == EV_OK)
        status = make_memory(l);
    if (status != EV_OK) {
        ev_loader_destroy(l);
        return status;
    }
    evi_readers_start(&l->readers, l->opt.n_threads, read_ahead, l);
    if (l->readers.n < l->opt.n_threads)
        evi_log(ctx, EV_LOG_WARNING, "loader: %d of %d threads could be made", (int)l->readers.n,
                (int)l->opt.n_threads);
    *out = l;
    return EV_OK;
}

/* ---- epochs ---------------------------------------------------------------------------------- */

int32_t ev_loader_batches(const ev_loader *loader)
{
    return loader != NULL && loader->handle.magic == EVI_MAGIC_LOADER ? loader->n_batches : 0;
}

int32_t ev_loader_skipped(const ev_loader *loader)
{
    return loader != NULL && loader->handle.magic == EVI_MAGIC_LOADER ? loader->skipped : 0;
}

static void make_order(ev_loader *l)
{
    evi_rng rng = {.seed = l->opt.seed, .stream = EVI_STREAM_ORDER};
    if (l->opt.replacement != 0) {
        rng = evi_rng_derive(rng, (uint64_t)l->epoch);
        for (int32_t i = 0; i < l->dataset->n; i++)
            l->order[i] = (int32_t)evi_rng_below(rng, (uint64_t)i, (uint32_t)l->dataset->n);
        return;
    }
    if (l->opt.shuffle != 0) {
        evi_rng_shuffle(evi_rng_derive(rng, (uint64_t)l->epoch), l->dataset->n, l->order);
        return;
    }
    for (int32_t i = 0; i < l->dataset->n; i++)
        l->order[i] = i;
}

ev_status ev_loader_start_epoch(ev_loader *loader, int32_t epoch, int32_t first_batch)
{
    EVI_CHECK_HANDLE(loader, EVI_MAGIC_LOADER);
    if (epoch < 0 || first_batch < 0 || first_batch > loader->n_batches)
        return evi_fail(EV_ERR_ARGUMENT, "%s: epoch %d, first_batch %d of %d", __func__, (int)epoch,
                        (int)first_batch, (int)loader->n_batches);
    evi_readers_lock(&loader->readers);
    drain(loader);
    loader->epoch = epoch;
    loader->batch = first_batch;
    loader->held = false;
    loader->skipped = 0;
    make_order(loader);
    for (int32_t i = 0; i < loader->n_slots; i++)
        plan_slot(loader, first_batch + i);
    evi_readers_call(&loader->readers);
    evi_readers_unlock(&loader->readers);
    return EV_OK;
}

/* Move the entries that could be read together. */
static int32_t close_gaps(ev_loader *l, evi_slot *s)
{
    int64_t count = (int64_t)l->map.channels * l->opt.width * l->opt.height;
    evi_real *data = s->images->data;
    int32_t n = 0;
    for (int32_t i = 0; i < s->n; i++) {
        if (s->bad[i] != 0)
            continue;
        if (n != i) {
            memcpy(data + n * count, data + i * count, (size_t)count * sizeof(evi_real));
            s->labels[n] = s->labels[i];
            s->items[n] = s->items[i];
        }
        n++;
    }
    l->skipped += s->n - n;
    return n;
}

/* The next batch, complete; the buffer of the one before is used again from here on. */
static evi_slot *take_batch(ev_loader *l)
{
    evi_readers_lock(&l->readers);
    if (l->held) {
        plan_slot(l, l->batch - 1 + l->n_slots);
        evi_readers_call(&l->readers);
    }
    l->held = l->batch < l->n_batches;
    evi_slot *s = l->held ? &l->slot[l->batch % l->n_slots] : NULL;
    if (s != NULL) {
        complete(l, s);
        l->batch++;
    }
    evi_readers_unlock(&l->readers);
    return s;
}

ev_status ev_loader_next(ev_loader *loader, ev_tensor **images_out, const int32_t **labels_out,
                         const int32_t **items_out, int32_t *n_out)
{
    evi_slot *s = NULL;
    int32_t n = 0;
    if (images_out != NULL)
        *images_out = NULL;
    if (labels_out != NULL)
        *labels_out = NULL;
    if (items_out != NULL)
        *items_out = NULL;
    EVI_CHECK_POINTER(n_out);
    *n_out = 0;
    EVI_CHECK_HANDLE(loader, EVI_MAGIC_LOADER);
    if (loader->epoch < 0)
        EVI_TRY(ev_loader_start_epoch(loader, 0, 0));
    do {
        s = take_batch(loader);
        if (s == NULL)
            return EV_OK;
        if (s->failed >= 0)
            return evi_fail(s->status, "%s", s->line);
        n = close_gaps(loader, s);
    } while (n == 0);
    s->images->shape.dim[0] = n;
    s->images->n_bytes = (uint64_t)(n * (s->images->shape.dim[1] * s->images->shape.dim[2] *
                                         s->images->shape.dim[3])) * sizeof(evi_real);
    if (images_out != NULL)
        *images_out = s->images;
    if (labels_out != NULL)
        *labels_out = s->labels;
    if (items_out != NULL)
        *items_out = s->items;
    *n_out = n;
    return EV_OK;
}
