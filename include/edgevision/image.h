/* SPDX-License-Identifier: MIT */
/**
 * @file edgevision/image.h
 * Pictures as cameras and files give them: rows of bytes.                             (tier 1)
 *
 * Decode and write files, look at a camera's buffer without copying it, crop, flip, resize, and
 * turn a picture into the floats that a model takes.  The words for ownership, threads and shapes
 * are those of edgevision/base.h.  Pixel (0,0) is at the top left; x runs right, y runs down.
 *
 * One resampler serves training and deployment.  It computes in integers, so a picture gives the
 * same bytes on every processor.  For one axis of n_in pixels shrunk or enlarged to n_out, output
 * pixel i takes source pixel j with a weight proportional to
 *
 *   area      the length that [j, j+1] shares with [i*s, (i+1)*s]         s = n_in / n_out
 *   bilinear  1-|t| for |t| < 1                                           t = (j+0.5-(i+0.5)*s) / u
 *   bicubic   1.5|t|^3 - 2.5t^2 + 1 for |t| <= 1,                         u = max(1, s)
 *             -0.5|t|^3 + 2.5t^2 - 4|t| + 2 for 1 < |t| < 2
 *
 * over the pixels inside the picture.  (u widens the last two when shrinking, so that fine detail
 * is averaged and not aliased; t of the bicubic is first rounded to a multiple of 1/4096.)  Weights
 * become integers that add up to 2^14 exactly: W_j = R(j) - R(j-1), R(j) = floor(2^14 * (sum of the
 * weights up to j) / (sum of all) + 1/2).  Rows are resampled first, each result kept in 1/64 of a
 * grey level, h = (sum W_j p_j + 2^7) >> 8; then columns, clamped to 0..255 after
 * (sum W_j h_j + 2^19) >> 20.
 */
#ifndef EDGEVISION_IMAGE_H
#define EDGEVISION_IMAGE_H

#include <edgevision/base.h>
#include <edgevision/tensor.h>

EV_BEGIN_DECLS

/** A picture.  Reference-counted.  Threads: any while nobody writes its pixels. */
typedef struct ev_image ev_image;

/** How pixels lie in memory.  A number, once given, keeps its meaning. */
enum {
    EV_PIXEL_DEFAULT = 0, /**< EV_PIXEL_RGB */
    EV_PIXEL_RGB = 1,     /**< 3 bytes a pixel: red, green, blue */
    EV_PIXEL_BGR = 2,     /**< 3 bytes a pixel: blue, green, red (OpenCV, many cameras) */
    EV_PIXEL_RGBA = 3,    /**< 4 bytes a pixel, alpha last, not premultiplied */
    EV_PIXEL_GREY = 4,    /**< 1 byte a pixel */
    EV_PIXEL_NV12 = 5,    /**< a plane of Y, then one of U,V pairs for each 2x2 pixels (4:2:0) */
    EV_PIXEL_YUYV = 6     /**< Y0 U Y1 V for each two pixels (4:2:2); rows of an even length */
};

/** Which resampling; the formulas stand at the top of this header. */
enum {
    EV_RESIZE_DEFAULT = 0,  /**< EV_RESIZE_BILINEAR */
    EV_RESIZE_AREA = 1,     /**< mean of the covered area */
    EV_RESIZE_BILINEAR = 2, /**< triangle, widened when shrinking */
    EV_RESIZE_BICUBIC = 3   /**< cubic convolution (a = -0.5), widened when shrinking */
};

/** Kinds of picture file to write. */
enum {
    EV_FILE_PNG = 1,
    EV_FILE_JPEG = 2,
    EV_FILE_PNM = 3 /**< PPM, or PGM for a grey picture */
};

/** Most pixels and longest side of a picture, unless ev_decode_options says otherwise. */
#define EV_IMAGE_MAX_PIXELS 67108864 /* 2^26 */
#define EV_IMAGE_MAX_SIDE 65535

/** How to decode.  Zero means the default everywhere. */
typedef struct ev_decode_options {
    uint32_t struct_size;  /**< set by EV_OPTIONS_INIT */
    int32_t format;        /**< EV_PIXEL_RGB (default), BGR, RGBA or GREY: what comes out */
    int64_t max_pixels;    /**< refuse larger pictures before any allocation, 1..2^26 (default) */
    int32_t max_side;      /**< refuse wider or higher ones, 1..65535 (default) */
    int32_t allow_partial; /**< nonzero: a JPEG whose end is missing gives what there is (default:
                                EV_ERR_FORMAT) */
} ev_decode_options;

/**
 * Decode a picture in memory.  JPEG (baseline and progressive, 8 bit), PNG (all kinds), BMP (not
 * run-length coded) and PNM (P1..P6); the content tells which.  Checksums are verified and sizes
 * checked before memory is taken.  16-bit samples keep their high byte, of other PNM maxima the
 * sample is scaled to 0..255 and rounded, alpha is dropped unless RGBA is asked for, and colour
 * becomes grey by (299 R + 587 G + 114 B + 500) / 1000.  A JPEG's orientation tag is not looked at.
 * A library built with -Dcodecs=none reads no JPEG.
 *
 * @param ctx     [share]  memory limit and allocator
 * @param bytes   [borrow] n_bytes of a whole file
 * @param opt     [borrow] NULL: all defaults
 * @param out     [new]    ev_image_destroy()
 * @return EV_OK; EV_ERR_FORMAT: damaged, or no picture; EV_ERR_UNSUPPORTED: of a kind that this
 *         build cannot decode, or over max_pixels or max_side; EV_ERR_MEMORY; EV_ERR_ARGUMENT
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_image_decode(ev_context *ctx, const void *bytes, uint64_t n_bytes,
                                 const ev_decode_options *opt, ev_image **out);

/**
 * Decode a picture file.  As ev_image_decode(); the error line names the path.
 *
 * @param path [borrow] UTF-8
 * @return as ev_image_decode(); EV_ERR_IO: the file cannot be read
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_image_load(ev_context *ctx, const char *path, const ev_decode_options *opt,
                               ev_image **out);

/**
 * Make a black picture with memory of its own, rows without gaps.
 *
 * @param width,height 1..65535, at most 2^26 pixels; NV12 even in both, YUYV in width
 * @param format EV_PIXEL_*
 * @param out    [new] ev_image_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_image_create(ev_context *ctx, int32_t width, int32_t height, int32_t format,
                                 ev_image **out);

/**
 * Look at a camera's buffer as a picture; nothing is copied.
 *
 * @param stride_bytes from one row to the next, at least the bytes of a row; 0: no gaps.  The UV
 *                     rows of NV12 have the same stride and follow the last Y row
 * @param data         [borrow for the picture's life] n_bytes
 * @param n_bytes      at least what the rows need (the gap after the last one may be missing)
 * @param out          [new] ev_image_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT: a size out of range, or n_bytes too small; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_image_wrap(ev_context *ctx, int32_t width, int32_t height, int32_t format,
                               void *data, int64_t stride_bytes, uint64_t n_bytes, ev_image **out);

/**
 * As ev_image_wrap() for NV12 whose two planes lie apart.
 *
 * @param y,uv               [borrow for the picture's life] height rows, and height/2 rows
 * @param y_stride,uv_stride bytes from row to row, at least width
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_image_wrap_nv12(ev_context *ctx, int32_t width, int32_t height, void *y,
                                    int64_t y_stride, void *uv, int64_t uv_stride,
                                    ev_image **out);

/** Take another reference.  NULL is fine.  Threads: any.  Since: 0.1 */
EV_API ev_image *ev_image_ref(ev_image *image);

/** Give back one reference.  NULL is fine.  Threads: any.  Since: 0.1 */
EV_API void ev_image_destroy(ev_image *image);

/** Columns; 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_image_width(const ev_image *image);
/** Rows; 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_image_height(const ev_image *image);
/** EV_PIXEL_*; 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_image_format(const ev_image *image);
/** Bytes from one row to the next; 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API int64_t ev_image_stride(const ev_image *image);
/** The first row, borrowed (of NV12 the Y plane); NULL for NULL.  Threads: any.  Since: 0.1 */
EV_API uint8_t *ev_image_data(const ev_image *image);

/**
 * The same picture in another pixel format, RGB, BGR, RGBA or GREY.  From NV12 and YUYV by BT.601
 * (video range), c = Y-16, d = U-128, e = V-128, each clamped to 0..255, >> rounding down:
 * R = (298c + 409e + 128) >> 8, G = (298c - 100d - 208e + 128) >> 8, B = (298c + 516d + 128) >> 8.
 * Chroma is that of the block a pixel lies in.  Grey as for ev_image_decode() (of NV12 and YUYV
 * from that RGB); alpha, where there was none, is 255.
 *
 * @param format EV_PIXEL_RGB, BGR, RGBA or GREY
 * @param out    [new] ev_image_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_image_convert(const ev_image *image, int32_t format, ev_image **out);

/**
 * Copy a rectangle.  NV12 and YUYV come out as RGB.
 *
 * @param x,y,width,height inside the picture, width and height at least 1
 * @param out [new] ev_image_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT: not inside; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_image_crop(const ev_image *image, int32_t x, int32_t y, int32_t width,
                               int32_t height, ev_image **out);

/**
 * Mirror.  NV12 and YUYV come out as RGB.
 *
 * @param vertical 0: left and right change places; nonzero: top and bottom do
 * @param out      [new] ev_image_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_image_flip(const ev_image *image, int32_t vertical, ev_image **out);

/**
 * Resize by the formulas at the top of this header; every channel for itself, the sides without
 * regard to proportion.  NV12 and YUYV come out as RGB.
 *
 * @param width,height 1..65535, at most 2^26 pixels; width times the old height at most 2^28
 * @param mode         EV_RESIZE_*
 * @param out          [new] ev_image_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_image_resize(const ev_image *image, int32_t width, int32_t height,
                                 int32_t mode, ev_image **out);

/**
 * From bytes to floats and back, the same in training and deployment: channel c of a pixel with
 * byte p becomes (p/255 - mean[c]) / std[c], computed in double and rounded to float.
 */
typedef struct ev_pixel_options {
    uint32_t struct_size; /**< set by EV_OPTIONS_INIT */
    int32_t resize;       /**< EV_RESIZE_*, for pictures of another size (default bilinear) */
    int32_t color_order;  /**< EV_PIXEL_RGB (default) or EV_PIXEL_BGR: which channel comes first */
    float mean[3];        /**< by channel of the tensor, in units of 0..1 (default 0) */
    float std[3];         /**< by channel of the tensor, > 0 (default 1); 0.5, mean 0.5: -1..1 */
} ev_pixel_options;

/**
 * Write a picture into one entry of a batch, resized to the tensor's height and width if need be.
 * This is what a loader does too (without augmentation), so a model in the field sees what it was
 * trained on.
 *
 * @param opt    [borrow] NULL: all defaults, RGB in 0..1
 * @param tensor [borrow] float32 [N,C,H,W], C 3, or 1 for grey (mean[0] and std[0])
 * @param entry  which picture of the batch, 0..N-1
 * @return EV_OK; EV_ERR_SHAPE: not such a tensor; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: single for the tensor's entry.  Since: 0.1
 */
EV_API ev_status ev_image_to_tensor(const ev_image *image, const ev_pixel_options *opt,
                                    ev_tensor *tensor, int64_t entry);

/**
 * One entry of a batch as a picture to look at: p = 255 * (value * std[c] + mean[c]), rounded to
 * the nearest and clamped to 0..255; not-a-number gives 0.
 *
 * @param tensor [borrow] float32 or uint8 [N,C,H,W], C 3 or 1; of uint8 p = value
 * @param entry  0..N-1
 * @param opt    [borrow] as it was for ev_image_to_tensor(); resize is not used
 * @param out    [new] RGB or grey; ev_image_destroy()
 * @return EV_OK; EV_ERR_SHAPE; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_tensor_to_image(const ev_tensor *tensor, int64_t entry,
                                    const ev_pixel_options *opt, ev_image **out);

/**
 * Write a picture file, atomically: the old file stays until the new one is whole.  A JPEG up to
 * quality 90 has chroma of half the resolution.  Pictures come out as RGB, grey ones as grey, and
 * RGBA keeps its alpha in a PNG.
 *
 * @param path    [borrow] ends in .png, .jpg, .jpeg, .ppm, .pgm or .pnm, which says the kind
 * @param quality of a JPEG, 1..100; 0: the default, 90
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_IO; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_image_save(const ev_image *image, const char *path, int32_t quality);

/** Takes n_bytes of an encoded picture; pieces come in order.  0 goes on, else stop. */
typedef int32_t (*ev_write_fn)(void *user, const void *bytes, uint64_t n_bytes);

/**
 * Encode a picture and hand the bytes to a function.
 *
 * @param file    EV_FILE_*
 * @param quality as for ev_image_save()
 * @param write   called on this thread, one or more times
 * @param user    handed to write, never read
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_MEMORY; EV_ERR_CANCELLED: write asked to stop
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_image_encode(const ev_image *image, int32_t file, int32_t quality,
                                 ev_write_fn write, void *user);

EV_END_DECLS

#endif /* EDGEVISION_IMAGE_H */
