/* SPDX-License-Identifier: MIT */
/* One picture of a batch: from file or cache, changed, as floats. */
#include "data/loader.h"
#include <string.h>

/* Decode, convert and resize into `to`, rows without gaps. */
static ev_status read_picture(ev_loader *l, int32_t item, uint8_t *to)
{
    ev_image *image = NULL, *plain = NULL, *sized = NULL;
    const evi_item *it = evi_dataset_item(l->dataset, item);
    if (it->path != NULL) {
        ev_decode_options decode = l->decode;
        decode.format = l->map.format;
        EVI_TRY(ev_image_load(l->handle.ctx, it->path, &decode, &image));
    } else {
        image = ev_image_ref(it->image);
    }
    ev_status status = evi_image_as(image, l->map.format, &plain);
    if (status == EV_OK && (plain->width != l->opt.width || plain->height != l->opt.height))
        status = ev_image_resize(plain, l->opt.width, l->opt.height, l->map.resize, &sized);
    else
        sized = ev_image_ref(plain);
    size_t row = (size_t)l->opt.width * (size_t)l->map.channels;
    for (int32_t y = 0; status == EV_OK && y < l->opt.height; y++)
        memcpy(to + (size_t)y * row, evi_image_row(sized, y), row);
    ev_image_destroy(image);
    ev_image_destroy(plain);
    ev_image_destroy(sized);
    return status;
}

/* The resized bytes of an item, from the cache if they are there.  Drawn with replacement, an item
 * may be with two threads at once: the second one makes its own. */
static ev_status find_picture(ev_loader *l, int32_t item, uint8_t *scratch, const uint8_t **out)
{
    unsigned char state = EVI_CACHE_EMPTY;
    bool ours = item < l->n_cached &&
                atomic_compare_exchange_strong(&l->cached[item], &state, EVI_CACHE_BUSY);
    if (item >= l->n_cached || state == EVI_CACHE_BUSY) {
        *out = scratch;
        return read_picture(l, item, scratch);
    }
    uint8_t *kept = l->cache + item * l->picture_bytes;
    *out = kept;
    if (!ours)
        return EV_OK;
    ev_status status = read_picture(l, item, kept);
    atomic_store(&l->cached[item], status == EV_OK ? EVI_CACHE_FULL : EVI_CACHE_EMPTY);
    return status;
}

ev_status evi_loader_make(ev_loader *l, int32_t item, int64_t place, int32_t worker, evi_real *to)
{
    uint8_t *scratch = l->scratch + (int64_t)worker * 2 * l->picture_bytes;
    const uint8_t *from = NULL;
    EVI_TRY(find_picture(l, item, scratch, &from));
    if (l->opt.augment != NULL) {
        evi_rng rng = {.seed = l->opt.seed, .stream = EVI_STREAM_AUGMENT};
        int64_t number = l->opt.replacement != 0 ? place : item;
        rng = evi_rng_derive(evi_rng_derive(rng, (uint64_t)l->epoch), (uint64_t)number);
        uint8_t *changed = scratch + l->picture_bytes;
        evi_augment(&l->augment, rng, from, l->opt.width, l->opt.height, l->map.channels, changed);
        from = changed;
    }
    evi_pixel_map_apply(&l->map, from, (int64_t)l->opt.width * l->map.channels, l->opt.width,
                        l->opt.height, to);
    return EV_OK;
}
