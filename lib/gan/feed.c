/* SPDX-License-Identifier: MIT */
/* Batches of a set's pictures without end: an ordinary loader resizes them to load size and mirrors
 * every other one; a part of width x height is cut out at random here.  Only full batches are
 * given, so batch k of the run is batch k mod n of the loader's epoch k / n, and a run that goes on
 * asks for any number and gets the same bits. */
#include "gan/gan.h"

#include <string.h>

#define STREAM_FEED 0x66656564u /* of the run's seed: one seed a set */
#define STREAM_CUT 0x637574u    /* of a set's seed: one stream a batch */

struct evi_gan_feed {
    evi_gan_feed_options o;
    ev_loader *loader;
    int32_t size;   /* pictures in the set */
    ev_tensor *cut; /* [batch,C,H,W]; NULL: nothing to cut */
    evi_rng chance; /* of the cuts */
    int64_t next;   /* the number that the loader gives next; -1: it has to be told */
};

/* ---- make ------------------------------------------------------------------------------------ */

static ev_status check(const ev_dataset *set, const evi_gan_feed_options *o)
{
    int32_t n = ev_dataset_size(set);
    if (o->channels != 1 && o->channels != 3)
        return evi_fail(EV_ERR_ARGUMENT,
                        "pictures of sets have 1 or 3 channels, the networks %d: set channels of "
                        "the generator to 1 (grey) or 3, or hand over tensors with "
                        "ev_cyclegan_step()",
                        (int)o->channels);
    if (o->load_width < o->width || o->load_height < o->height)
        return evi_fail(EV_ERR_ARGUMENT,
                        "%d x %d cannot be cut out of pictures loaded at %d x %d: make load_width "
                        "and load_height larger, or width and height smaller",
                        (int)o->width, (int)o->height, (int)o->load_width, (int)o->load_height);
    if (n < 1)
        return evi_fail(EV_ERR_ARGUMENT,
                        "there are no pictures in the set: check its folder or manifest, and what "
                        "was filtered out");
    if (n < o->batch)
        return evi_fail(EV_ERR_ARGUMENT,
                        "%d pictures in the set do not fill a batch of %d: make batch_size smaller "
                        "or add pictures",
                        (int)n, (int)o->batch);
    return EV_OK;
}

static ev_status start(ev_context *ctx, ev_dataset *set, evi_gan_feed *f)
{
    const evi_gan_feed_options *o = &f->o;
    const int64_t dims[4] = {o->batch, o->channels, o->height, o->width};
    ev_loader_options l;
    ev_pixel_options pixels;
    ev_augment_options augment;
    EV_OPTIONS_INIT(&l);
    EV_OPTIONS_INIT(&pixels);
    EV_OPTIONS_INIT(&augment);
    for (int32_t c = 0; c < 3; c++)
        pixels.mean[c] = pixels.std[c] = 0.5f;
    augment.flip = 1;
    l.width = o->load_width;
    l.height = o->load_height;
    l.channels = o->channels;
    l.batch_size = o->batch;
    l.shuffle = 1;
    l.seed = evi_rng_derive((evi_rng){o->seed, STREAM_FEED}, o->stream).seed;
    l.cache_bytes = o->cache_bytes;
    l.n_threads = o->loader_threads;
    l.drop_last = 1;
    l.replacement = o->replacement;
    l.pixels = &pixels;
    l.augment = o->flip != 0 ? &augment : NULL;
    f->chance = (evi_rng){l.seed, STREAM_CUT};
    EVI_TRY(ev_loader_create(ctx, set, &l, &f->loader));
    if (o->load_width == o->width && o->load_height == o->height)
        return EV_OK;
    return ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &f->cut);
}

ev_status evi_gan_feed_create(ev_context *ctx, ev_dataset *set, const evi_gan_feed_options *o,
                              evi_gan_feed **out)
{
    evi_gan_feed *f = NULL;
    *out = NULL;
    EVI_TRY(check(set, o));
    EVI_TRY(evi_calloc(ctx, 1, sizeof(*f), &f));
    f->o = *o;
    f->size = ev_dataset_size(set);
    f->next = -1;
    ev_status status = start(ctx, set, f);
    if (status == EV_OK)
        *out = f;
    else
        evi_gan_feed_destroy(f);
    return status;
}

void evi_gan_feed_destroy(evi_gan_feed *feed)
{
    if (feed == NULL)
        return;
    ev_loader_destroy(feed->loader);
    ev_tensor_destroy(feed->cut);
    evi_free(feed);
}

int32_t evi_gan_feed_size(const evi_gan_feed *feed)
{
    return feed->size;
}

/* ---- give ------------------------------------------------------------------------------------ */

/* The loader reads ahead by itself; it is only told where to go on when the order breaks off. */
static ev_status seek(evi_gan_feed *f, int64_t number)
{
    int64_t n = ev_loader_batches(f->loader);
    if (number < 0 || number / n > INT32_MAX)
        return evi_fail(EV_ERR_ARGUMENT, "batch %lld of a set of %lld batches: the run is too long",
                        (long long)number, (long long)n);
    if (number == f->next && number % n != 0)
        return EV_OK;
    f->next = -1;
    EVI_TRY(ev_loader_start_epoch(f->loader, (int32_t)(number / n), (int32_t)(number % n)));
    f->next = number;
    return EV_OK;
}

/* One part of each picture; where it begins is up to the batch's number and the picture's place. */
static void cut(evi_gan_feed *f, const ev_tensor *images, int64_t number)
{
    const evi_gan_feed_options *o = &f->o;
    evi_rng chance = evi_rng_derive(f->chance, (uint64_t)number);
    int64_t plane = (int64_t)o->load_width * o->load_height;
    const evi_real *from = images->data;
    evi_real *to = f->cut->data;
    for (int32_t i = 0; i < o->batch; i++) {
        uint64_t at = 2 * (uint64_t)i;
        uint32_t x = evi_rng_below(chance, at, (uint32_t)(o->load_width - o->width + 1));
        uint32_t y = evi_rng_below(chance, at + 1, (uint32_t)(o->load_height - o->height + 1));
        for (int32_t c = 0; c < o->channels; c++, from += plane)
            for (int32_t row = 0; row < o->height; row++, to += o->width)
                memcpy(to, from + (int64_t)(y + (uint32_t)row) * o->load_width + x,
                       (size_t)o->width * sizeof(evi_real));
    }
}

ev_status evi_gan_feed_batch(evi_gan_feed *feed, int64_t number, ev_tensor **images_out,
                             const int32_t **labels_out)
{
    ev_tensor *images = NULL;
    int32_t n = 0;
    *images_out = NULL;
    EVI_TRY(seek(feed, number));
    ev_status status = ev_loader_next(feed->loader, &images, labels_out, NULL, &n);
    feed->next = status == EV_OK ? number + 1 : -1;
    EVI_TRY(status);
    if (feed->cut != NULL)
        cut(feed, images, number);
    *images_out = feed->cut != NULL ? feed->cut : images;
    return EV_OK;
}
