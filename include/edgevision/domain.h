/* SPDX-License-Identifier: MIT */
/**
 * @file edgevision/domain.h
 * Pictures from outside of what a classifier has learnt (night, a sprayed dome): carry them back
 * by a generator, tell which they are, decide what to do with each.  For the device: nothing here
 * trains, and all of it is there in a library built without training.                 (tier 2)
 *
 * The words for ownership, threads and shapes are those of edgevision/base.h.  "The paper" is
 * doi 10.1145/3423423.3423437.
 */
#ifndef EDGEVISION_DOMAIN_H
#define EDGEVISION_DOMAIN_H

#include <edgevision/image.h>
#include <edgevision/model.h>
#include <edgevision/session.h>

EV_BEGIN_DECLS

/* ---- carry pictures over --------------------------------------------------------------------- */

/** Runs a generator on pictures of any size.  Threads: single. */
typedef struct ev_translator ev_translator;

/** Which size a picture has while it is translated. */
enum {
    EV_FIT_KEEP = 0,  /**< its own: any size, the result has the same */
    EV_FIT_MODEL = 1, /**< the size that the generator was drawn for; the result has that size */
    EV_FIT_BACK = 2   /**< the same, and the result is resized to the size of the picture */
};

/** How to translate.  Zero means the default everywhere. */
typedef struct ev_translator_options {
    uint32_t struct_size; /**< set by EV_OPTIONS_INIT */
    int32_t fit;          /**< EV_FIT_* */
    int32_t tile;         /**< EV_FIT_KEEP: longest side of a piece in pixels, 16..65535, rounded up
                               to a multiple of 4 (default: the whole picture at once) */
    int32_t overlap;      /**< pixels that neighbouring tiles share, 0..tile/2, blended linearly
                               (default 32, at most a quarter of the tile; negative: none).
                               An instance norm sees one tile at a time: each gets its own mean
                               and contrast, so tiles smaller than what the picture shows may
                               differ in tone; the overlap hides the seam, not the tone */
    int32_t precise;      /**< 1: no kernels that trade the last digits for speed */
    int32_t reserved;     /**< zero */
    uint64_t max_bytes;   /**< EV_FIT_KEEP: if a whole picture needs more (session and plan), tiles
                               of the largest size that fits are taken (default: no limit) */
} ev_translator_options;

/**
 * Make a translator.  The model's metadata say how bytes become numbers (ev_model_preprocess());
 * one without them, as generators trained elsewhere, is taken to use -1..1.
 *
 * @param ctx       [share]
 * @param generator [share]  one input [N,C,H,W], C 1 or 3, one output of the same shape
 * @param opt       [borrow] NULL: all defaults
 * @param out       [new]    ev_translator_destroy()
 * @return EV_OK; EV_ERR_SHAPE: not such a model; EV_ERR_ARGUMENT; EV_ERR_STATE: no weights;
 *         EV_ERR_VERSION; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_translator_create(ev_context *ctx, ev_model *generator,
                                      const ev_translator_options *opt, ev_translator **out);

/** NULL is fine.  Threads: single.  Since: 0.1 */
EV_API void ev_translator_destroy(ev_translator *translator);

/**
 * Translate one picture.  Pictures of the same size one after the other use the same plan; a size
 * that is not divisible by 4 is filled up by repeating the border, and cut again.
 *
 * @param image [borrow] any format
 * @param out   [new]    RGB or grey, as the generator has 3 channels or 1; ev_image_destroy()
 * @return EV_OK; EV_ERR_STALE: the generator was trained since; EV_ERR_MEMORY: also when no tile
 *         fits max_bytes; EV_ERR_ARGUMENT
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_translator_run(ev_translator *translator, const ev_image *image,
                                   ev_image **out);

/* ---- decide for each picture ----------------------------------------------------------------- */

/** A classifier, a measure of strangeness, perhaps a generator.  Threads: single. */
typedef struct ev_router ev_router;

/** What was done with a picture. */
enum {
    EV_ROUTE_INSIDE = 0,     /**< it looks as the training pictures did: classified as it is */
    EV_ROUTE_TRANSLATED = 1, /**< it did not, but its translation does: that was classified */
    EV_ROUTE_ABSTAINED = 2   /**< neither does: the label is a guess, that of the lower score */
};

/** When to trust.  Zero means the default everywhere. */
typedef struct ev_router_options {
    uint32_t struct_size; /**< set by EV_OPTIONS_INIT */
    int32_t precise;      /**< 1: no kernels that trade the last digits for speed */
    double threshold;     /**< highest score of a picture inside (default: what the model's metadata
                               say, see ev_domain_fit()) */
    double threshold_translated; /**< the same for translations, which are never quite like
                               pictures (default: threshold) */
} ev_router_options;

/** What came of a picture.  Filled in by the library. */
typedef struct ev_routed {
    uint32_t struct_size;    /**< set by EV_OPTIONS_INIT */
    int32_t route;           /**< EV_ROUTE_* */
    int32_t label;           /**< most likely class */
    float probability;       /**< of it, 0..1 */
    double score;            /**< of the picture: higher is stranger */
    double score_translated; /**< of its translation; NaN when none was made */
} ev_routed;

/**
 * Make a router.
 *
 * @param classifier [share]  with outputs "logits" and "score", from ev_domain_fit() or a file
 * @param generator  [share]  NULL: pictures outside are abstained from
 * @param opt        [borrow] NULL: all defaults
 * @param out        [new]    ev_router_destroy()
 * @return EV_OK; EV_ERR_SHAPE: not such models; EV_ERR_ARGUMENT: no threshold anywhere;
 *         EV_ERR_STATE; EV_ERR_VERSION; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_router_create(ev_context *ctx, ev_model *classifier, ev_model *generator,
                                  const ev_router_options *opt, ev_router **out);

/** NULL is fine.  Threads: single.  Since: 0.1 */
EV_API void ev_router_destroy(ev_router *router);

/**
 * Decide for one picture.
 *
 * @param image [borrow] any size and format
 * @param out   [borrow] struct_size set by EV_OPTIONS_INIT; filled
 * @return EV_OK; EV_ERR_STALE; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_router_run(ev_router *router, const ev_image *image, ev_routed *out);

EV_END_DECLS

#endif /* EDGEVISION_DOMAIN_H */
