/* SPDX-License-Identifier: MIT */
/* The inside of ev_loader.  Batches are made in a ring of buffers; items of the batches in it are
 * handed out one by one, the earliest batch first, to the threads that read ahead and to the caller
 * when it has to wait.  What an item becomes depends on (seed, epoch, item) alone, or, when items
 * are drawn with replacement, on (seed, epoch, its place in the epoch). */
#ifndef EVI_DATA_LOADER_H
#define EVI_DATA_LOADER_H

#include "base/rng.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "data/image.h"
#include "data/readers.h"
#include "tensor/tensor.h"

enum { EVI_CACHE_EMPTY = 0, EVI_CACHE_BUSY, EVI_CACHE_FULL };
enum { EVI_LOADER_SLOTS = 3, EVI_LOADER_LINE = 512 };

/* One batch in the making.  All but data is guarded by the loader's lock. */
typedef struct evi_slot {
    ev_tensor *images; /* [batch_size,C,H,W]; its first size is set to what a batch has */
    int32_t *labels, *items;
    uint8_t *bad;      /* by entry: left out */
    int32_t batch;     /* which of the epoch */
    int32_t n;         /* entries */
    int32_t next;      /* entries handed out */
    int32_t done;      /* entries finished */
    int32_t failed;    /* the first entry that failed, or -1 ... */
    ev_status status;  /* ... and how */
    char line[EVI_LOADER_LINE];
} evi_slot;

struct ev_loader {
    evi_handle handle;
    ev_dataset *dataset;
    ev_loader_options opt;
    ev_augment_options augment;
    ev_decode_options decode;
    evi_pixel_map map;
    int64_t picture_bytes; /* of a resized picture */
    int32_t n_batches;
    int32_t n_slots;
    evi_slot slot[EVI_LOADER_SLOTS];

    int32_t epoch; /* -1 before the first */
    int32_t batch; /* the next one to give */
    bool held;     /* the caller still looks at the batch before it */
    uint8_t pad[3];
    int32_t skipped;
    int32_t *order; /* items of the epoch */

    uint8_t *cache;        /* [n_cached] pictures of the first items */
    atomic_uchar *cached;  /* by item: EVI_CACHE_* */
    int32_t n_cached;
    int32_t pad2;
    uint8_t *scratch;      /* [n_threads + 1][2] pictures */
    evi_readers readers;
};

/* Make the picture of one entry in its place: loader_item.c.  place: in the epoch; worker: whose
 * scratch. */
ev_status evi_loader_make(ev_loader *l, int32_t item, int64_t place, int32_t worker, evi_real *to);

#endif
