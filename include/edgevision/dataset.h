/* SPDX-License-Identifier: MIT */
/**
 * @file edgevision/dataset.h
 * Labelled pictures: collect, cap, split, filter; and the loader that makes batches.  (tier 1)
 *
 * A dataset is a list of items.  An item is a picture (a path, or pixels in memory), a label, and,
 * if known, a group: the clip, camera or day that it belongs to, whose pictures are alike and
 * should stay on one side of a split.  Operations leave their dataset as it is and make a new one
 * that shares the items; they cost little.  Wherever chance decides, the same seed gives the same
 * result on every machine; a seed of 0 means 1.  Items are counted from 0.
 *
 * The words for ownership, threads and shapes are those of edgevision/base.h.
 */
#ifndef EDGEVISION_DATASET_H
#define EDGEVISION_DATASET_H

#include <edgevision/base.h>
#include <edgevision/image.h>
#include <edgevision/tensor.h>

EV_BEGIN_DECLS

/** Labelled pictures.  Reference-counted.  Threads: any, but for the _add_ functions: single. */
typedef struct ev_dataset ev_dataset;

/* ---- make ------------------------------------------------------------------------------------ */

/** How to read a folder or a manifest.  Zero means the default everywhere. */
typedef struct ev_dataset_options {
    uint32_t struct_size;           /**< set by EV_OPTIONS_INIT */
    int32_t n_classes;              /**< of class_names; 0: the classes that occur, sorted (by
                                         value if all are whole numbers, else by bytes) */
    const char *const *class_names; /**< [borrow] label 0, 1, ... in this order */
    int32_t drop_unknown;           /**< nonzero: leave out items of other classes (default:
                                         EV_ERR_FORMAT) */
    int32_t reserved;               /**< zero */
} ev_dataset_options;

/**
 * An empty dataset, to be filled by ev_dataset_add_path() and ev_dataset_add_image().
 *
 * @param ctx         [share]
 * @param n_classes   1..65536
 * @param class_names [borrow] n_classes different texts, none empty; NULL: "0", "1", ...
 * @param out         [new]    ev_dataset_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_dataset_create(ev_context *ctx, int32_t n_classes,
                                   const char *const *class_names, ev_dataset **out);

/**
 * Append a picture file (not read before a loader or a leak report needs it).
 *
 * @param path  [borrow] not empty; relative paths are relative to the working directory
 * @param label 0..n_classes-1
 * @param group [borrow] NULL or "": none
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_MEMORY; EV_ERR_STATE: somebody else holds this dataset or
 *         one that was made from it
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_dataset_add_path(ev_dataset *dataset, const char *path, int32_t label,
                                     const char *group);

/**
 * Append a picture in memory.
 *
 * @param image [share] its pixels must not change any more
 * @return as ev_dataset_add_path()
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_dataset_add_image(ev_dataset *dataset, ev_image *image, int32_t label,
                                      const char *group);

/**
 * A dataset of the pictures in a tensor.
 *
 * @param images      [share]  uint8 [N,C,H,W], or float32 in 0..1 (rounded to bytes); C 1 or 3
 * @param labels      [borrow] N class numbers
 * @param n_classes   as for ev_dataset_create()
 * @param class_names [borrow] as for ev_dataset_create()
 * @param out         [new]    ev_dataset_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT: a label out of range; EV_ERR_SHAPE; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_dataset_from_tensor(ev_context *ctx, ev_tensor *images, const int32_t *labels,
                                        int32_t n_classes, const char *const *class_names,
                                        ev_dataset **out);

/**
 * A folder with one folder per class: "folder/bicyclist/clip7/0001.jpg" has class "bicyclist" and
 * group "clip7".  Files end in .jpg, .jpeg, .png, .bmp, .ppm, .pgm, .pbm or .pnm (any case); others
 * and names that start with a dot are passed over.  The order is that of the sorted paths.  A
 * class is made for every folder, also an empty one.  A class folder may be a link; links to
 * folders below it are passed over.
 *
 * @param folder [borrow]
 * @param opt    [borrow] NULL: all defaults
 * @param out    [new]    ev_dataset_destroy()
 * @return EV_OK; EV_ERR_IO: a folder cannot be read; EV_ERR_FORMAT: no picture, or an unknown
 *         class; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_dataset_scan(ev_context *ctx, const char *folder,
                                 const ev_dataset_options *opt, ev_dataset **out);

/**
 * A folder of pictures whose names carry counts, as the paper's authors name them:
 * "persons_1_dogs_0_bikes_0_frame_2020-03-01_12-00-00nr5_.jpg".  Classes, in this order: empty,
 * pedestrian, dog_walker, bicyclist.  A bike: bicyclist; else a dog with a person: dog_walker;
 * else a person: pedestrian; nothing: empty.  Left out: names without counts, two or more of a
 * kind, a dog without a person, a dog with a bike.  The group is what stands between "frame_" and
 * "nr": date and time of the clip.  Columns: persons, dogs, bikes.
 *
 * @param folder [borrow] looked through with the folders in it
 * @param out    [new]    ev_dataset_destroy()
 * @return as ev_dataset_scan()
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_dataset_scan_counts(ev_context *ctx, const char *folder, ev_dataset **out);

/**
 * A CSV manifest (RFC 4180: commas, quoted fields with "" for a quote, LF or CRLF, a UTF-8 byte
 * order mark allowed).  The first line names the columns: path and label are needed, group (or
 * clip) is optional, all others are kept as text.  Relative paths start at the manifest's folder.
 *
 * @param path [borrow]
 * @param opt  [borrow] NULL: all defaults
 * @param out  [new]    ev_dataset_destroy()
 * @return EV_OK; EV_ERR_IO; EV_ERR_FORMAT: the error line names the line; EV_ERR_ARGUMENT;
 *         EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_dataset_read_manifest(ev_context *ctx, const char *path,
                                          const ev_dataset_options *opt, ev_dataset **out);

/**
 * Write path, label, group and all columns as a manifest that ev_dataset_read_manifest() takes,
 * atomically.  Paths below the manifest's folder are written relative to it, others absolute.
 *
 * @param path [borrow]
 * @return EV_OK; EV_ERR_IO; EV_ERR_MEMORY; EV_ERR_ARGUMENT: an item is in memory and has no path
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_dataset_write_manifest(const ev_dataset *dataset, const char *path);

/** Take another reference.  NULL is fine.  Threads: any.  Since: 0.1 */
EV_API ev_dataset *ev_dataset_ref(ev_dataset *dataset);

/** Give back one reference.  NULL is fine.  Threads: any.  Since: 0.1 */
EV_API void ev_dataset_destroy(ev_dataset *dataset);

/* ---- look ------------------------------------------------------------------------------------ */

/** Number of items, 0..2^31-1; 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_dataset_size(const ev_dataset *dataset);
/** Number of classes; 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_dataset_classes(const ev_dataset *dataset);
/** Name of a class, borrowed; NULL when there is none such.  Threads: any.  Since: 0.1 */
EV_API const char *ev_dataset_class_name(const ev_dataset *dataset, int32_t label);
/** Number of a class by name, or -1.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_dataset_class_index(const ev_dataset *dataset, const char *name);
/** How many items a class has; 0 when there is none such.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_dataset_class_count(const ev_dataset *dataset, int32_t label);

/** Label of an item, 0..classes-1; -1 when there is none such.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_dataset_label(const ev_dataset *dataset, int32_t item);
/** Path of an item, borrowed; NULL: in memory, or none such.  Threads: any.  Since: 0.1 */
EV_API const char *ev_dataset_path(const ev_dataset *dataset, int32_t item);
/** Group of an item, borrowed; NULL: in none, or none such.  Threads: any.  Since: 0.1 */
EV_API const char *ev_dataset_group(const ev_dataset *dataset, int32_t item);

/** How many different groups occur among the items; 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_dataset_groups(const ev_dataset *dataset);
/**
 * Which group an item is in, as a number 0..ev_dataset_group_limit()-1 that all datasets made from
 * the same one share; -1: in none.
 *
 * Threads: any.  Since: 0.1
 */
EV_API int32_t ev_dataset_group_index(const ev_dataset *dataset, int32_t item);
/** One more than the highest group number.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_dataset_group_limit(const ev_dataset *dataset);
/** Name of a group by number, borrowed; NULL when there is none such.  Threads: any.  Since: 0.1 */
EV_API const char *ev_dataset_group_name(const ev_dataset *dataset, int32_t group);

/** Number of further columns.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_dataset_columns(const ev_dataset *dataset);
/** Name of a further column, borrowed, or NULL.  Threads: any.  Since: 0.1 */
EV_API const char *ev_dataset_column_name(const ev_dataset *dataset, int32_t column);
/** Number of a further column by name, or -1.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_dataset_column_index(const ev_dataset *dataset, const char *name);
/** Text of an item in a column, "" when empty; NULL when none such.  Threads: any.  Since: 0.1 */
EV_API const char *ev_dataset_value(const ev_dataset *dataset, int32_t item, int32_t column);

/**
 * Decode the picture of an item.
 *
 * @param opt [borrow] NULL: all defaults; of pictures in memory only format is looked at
 * @param out [new]    ev_image_destroy()
 * @return as ev_image_load()
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_dataset_image(const ev_dataset *dataset, int32_t item,
                                  const ev_decode_options *opt, ev_image **out);

/* ---- choose ---------------------------------------------------------------------------------- */

/**
 * Chosen items in the given order; the same item may come more than once.
 *
 * @param items [borrow] n item numbers
 * @param n     0..2^31-1
 * @param out   [new]    ev_dataset_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_dataset_select(const ev_dataset *dataset, const int32_t *items, int32_t n,
                                   ev_dataset **out);

/**
 * Keep a limited number of a class, chosen by chance, in the old order (the paper, step D: the
 * empty class is capped at the size of the largest other).
 *
 * @param label the class to cap, or -1 for every class
 * @param limit most items to keep; 0: as many as the largest other class has (label -1: as many as
 *              the smallest class that is not empty)
 * @param seed  0: 1
 * @param out   [new] ev_dataset_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_dataset_cap(const ev_dataset *dataset, int32_t label, int32_t limit,
                                uint64_t seed, ev_dataset **out);

/** Ways to split. */
enum {
    EV_SPLIT_DEFAULT = 0,    /**< EV_SPLIT_STRATIFIED */
    EV_SPLIT_STRATIFIED = 1, /**< by chance within each class: parts have the same class shares */
    EV_SPLIT_RANDOM = 2,     /**< by chance */
    EV_SPLIT_GROUPED = 3     /**< whole groups stay together, as near to the fractions and class
                                  shares as they allow; an item without a group goes alone */
};

/**
 * Cut into parts.  Sizes are the fractions of the whole, each at most one item off (stratified: in
 * every class; grouped: as near as whole groups allow).  Every item goes to exactly one part and
 * parts keep the old order.
 *
 * @param fractions [borrow] n_parts shares, each > 0; divided by their sum (64,16,20 is fine)
 * @param n_parts   2..64
 * @param kind      EV_SPLIT_*
 * @param seed      0: 1
 * @param parts_out [new]    n_parts datasets, some perhaps empty; ev_dataset_destroy() each
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_dataset_split(const ev_dataset *dataset, const double *fractions,
                                  int32_t n_parts, int32_t kind, uint64_t seed,
                                  ev_dataset **parts_out);

/**
 * A stratified part, in the old order.  With the same seed a smaller part lies within a larger.
 * Each class keeps the nearest whole number of items, at least one if it has any.
 *
 * @param fraction above 0, at most 1 (1: all)
 * @param seed     0: 1
 * @param out      [new] ev_dataset_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_dataset_subset(const ev_dataset *dataset, double fraction, uint64_t seed,
                                   ev_dataset **out);

/**
 * Keep the items whose number in a column is within bounds (the paper, step C: drop pictures with
 * several objects of a class, with partly visible or far ones).  Call it once for each rule.
 *
 * @param column       [borrow] a further column of the manifest
 * @param min,max      keep min <= value <= max; -INFINITY and INFINITY: no bound
 * @param keep_missing nonzero: keep items whose cell is empty (0: drop them)
 * @param out          [new] ev_dataset_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT: no such column, or a bound is not a number; EV_ERR_FORMAT: a
 *         cell is no number; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_dataset_filter(const ev_dataset *dataset, const char *column, double min,
                                   double max, int32_t keep_missing, ev_dataset **out);

/**
 * Keep the items whose text in a column equals @p value, or differs from it.
 *
 * @param column [borrow] a further column, or "path", "label" (the class name) or "group"
 * @param value  [borrow] "" finds empty cells
 * @param invert nonzero: keep those that differ
 * @param out    [new] ev_dataset_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT: no such column; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_dataset_where(const ev_dataset *dataset, const char *column, const char *value,
                                  int32_t invert, ev_dataset **out);

/** What two sides of a split have in common.  Filled in by the library. */
typedef struct ev_leak_report {
    uint32_t struct_size;     /**< set by EV_OPTIONS_INIT */
    int32_t shared_groups;    /**< groups with items on both sides */
    int32_t grouped_items_a;  /**< items of a in these groups */
    int32_t grouped_items_b;  /**< items of b in these groups */
    int32_t shared_pictures;  /**< items of b whose picture is in a too (same bytes) */
    int32_t first_a;          /**< an item of a that is also in b, or -1 */
    int32_t first_b;          /**< the item of b with the same picture, or -1 */
    int32_t unreadable_items; /**< files that could not be read, of either side */
} ev_leak_report;

/**
 * Look for pictures and groups that are in both of two datasets.  Files are compared by their
 * bytes, pictures in memory by format, size and pixels; groups by name.
 *
 * @param a,b    [borrow]
 * @param report [borrow] made by EV_OPTIONS_INIT; filled
 * @return EV_OK, also when there are leaks; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_dataset_leaks(const ev_dataset *a, const ev_dataset *b, ev_leak_report *report);

/* ---- load ------------------------------------------------------------------------------------ */

/** What lies outside a picture that is shifted, turned or made smaller. */
enum {
    EV_BORDER_DEFAULT = 0, /**< EV_BORDER_EDGE */
    EV_BORDER_EDGE = 1,    /**< the nearest pixel of the picture */
    EV_BORDER_BLACK = 2    /**< black */
};

/**
 * Random changes of training pictures.  Every number is the most that may happen; what happens is
 * drawn evenly from the range, anew for each item and epoch, and depends on nothing but the
 * loader's seed, the epoch and the item.  Zero: not at all.
 */
typedef struct ev_augment_options {
    uint32_t struct_size; /**< set by EV_OPTIONS_INIT */
    int32_t flip;         /**< nonzero: every other picture is mirrored left to right */
    float shift_x;        /**< share of the width, 0..1: moved by -shift_x..shift_x */
    float shift_y;        /**< share of the height, 0..1 */
    float rotation;       /**< degrees, 0..180, about the centre */
    float shear;          /**< 0..1: pixels sideways for each pixel from the centre row */
    float zoom;           /**< 0..0.9: enlarged by a factor 1-zoom..1+zoom, both axes alike */
    float brightness;     /**< 0..1: -brightness..brightness is added (white is 1) */
    float contrast;       /**< 0..1: distance from mid-grey times 1-contrast..1+contrast */
    float noise;          /**< 0..1: nearly normal noise, deviation 0..noise (white is 1) */
    int32_t border;       /**< EV_BORDER_* */
} ev_augment_options;

/** How to make batches.  Zero means the default everywhere. */
typedef struct ev_loader_options {
    uint32_t struct_size;              /**< set by EV_OPTIONS_INIT */
    int32_t width;                     /**< of the pictures in a batch, 1..65535 (default 224) */
    int32_t height;                    /**< 1..65535 (default 224) */
    int32_t channels;                  /**< 3 (default), or 1: grey */
    int32_t batch_size;                /**< 1..65536 (default 32) */
    int32_t shuffle;                   /**< nonzero: another order in each epoch */
    uint64_t seed;                     /**< of order and augmentation (default 1) */
    int64_t cache_bytes;               /**< memory for resized pictures, so that each file is
                                            decoded once (default 2^30; negative: none).  As much
                                            is taken as the items need, or less if there is none */
    int32_t n_threads;                 /**< threads that read ahead, 1..64 (default: as many as the
                                            context has, none if it has 1; negative: none) */
    int32_t drop_last;                 /**< nonzero: leave out the last batch if it is not full */
    int32_t skip_unreadable;           /**< nonzero: leave out pictures that cannot be read; their
                                            batch is smaller then (default: an error) */
    int32_t replacement;               /**< nonzero: each item of a batch is drawn from all of them
                                            anew; an epoch has as many draws as items */
    const ev_pixel_options *pixels;    /**< [borrow] copied; NULL: RGB in 0..1, bilinear */
    const ev_augment_options *augment; /**< [borrow] copied; NULL: no augmentation (evaluation) */
    const ev_decode_options *decode;   /**< [borrow] copied; format is not used */
} ev_loader_options;

/** Makes batches of a dataset, in the background if it may.  Threads: single. */
typedef struct ev_loader ev_loader;

/**
 * Make a loader and start its threads; if one cannot be made it works with fewer, or with none.
 * Batches are the same bits for any number of threads.  An epoch looks like this:
 *
 *     ev_loader_start_epoch(loader, epoch, 0);
 *     while (ev_loader_next(loader, &images, &labels, &items, &n) == EV_OK && n > 0)
 *         ...
 *
 * @param ctx     [share]
 * @param dataset [share]
 * @param opt     [borrow] NULL: all defaults
 * @param out     [new]    ev_loader_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT: an option out of range, or no items; EV_ERR_VERSION;
 *         EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_loader_create(ev_context *ctx, ev_dataset *dataset,
                                  const ev_loader_options *opt, ev_loader **out);

/** Wait for the threads and end them.  NULL is fine.  Threads: single.  Since: 0.1 */
EV_API void ev_loader_destroy(ev_loader *loader);

/** Batches in an epoch, with the last one if it is kept; 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_loader_batches(const ev_loader *loader);

/**
 * Go to a batch of an epoch.  Order and augmentation are functions of seed, epoch and item alone,
 * so a training that was stopped goes on with the same bits from (epoch, batches done).
 *
 * @param epoch       0 or more
 * @param first_batch which batch ev_loader_next() gives next, 0..ev_loader_batches()
 * @return EV_OK; EV_ERR_ARGUMENT
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_loader_start_epoch(ev_loader *loader, int32_t epoch, int32_t first_batch);

/**
 * The next batch.  The first call without ev_loader_start_epoch() starts epoch 0.
 *
 * @param images_out [borrow] float32 [n,C,H,W]; may be NULL.  Borrowed until the next call on
 *                            @p loader, as are labels and items; keep no reference or view of
 *                            it, since the buffer serves again
 * @param labels_out [borrow] n labels; may be NULL
 * @param items_out  [borrow] n item numbers of the dataset; may be NULL
 * @param n_out      items in this batch; 0 after the last batch of the epoch
 * @return EV_OK; EV_ERR_IO, EV_ERR_FORMAT, EV_ERR_UNSUPPORTED: a picture cannot be read, the error
 *         line names its file; EV_ERR_MEMORY; EV_ERR_ARGUMENT.  After an error the next call goes
 *         on with the batch after it
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_loader_next(ev_loader *loader, ev_tensor **images_out,
                                const int32_t **labels_out, const int32_t **items_out,
                                int32_t *n_out);

/**
 * Pictures left out since ev_loader_start_epoch() because they could not be read, in the batches
 * that ev_loader_next() has given; 0 for NULL.
 *
 * Threads: single.  Since: 0.1
 */
EV_API int32_t ev_loader_skipped(const ev_loader *loader);

EV_END_DECLS

#endif /* EDGEVISION_DATASET_H */
