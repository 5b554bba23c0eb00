/* SPDX-License-Identifier: MIT */
/**
 * @file edgevision/base.h
 * What every other header needs: status codes, the error line, options, the context.   (tier 0)
 *
 * The words below mean the same in every header of this library.
 *
 *   Ownership   [borrow]  used during the call only; the caller keeps it
 *               [share]   the callee takes its own reference; the caller keeps its own
 *               [new]     on EV_OK the caller owns it and ends it with the matching _destroy
 *   Threads     any       from any thread, also at the same time on the same object
 *               single    one thread at a time per object; distinct objects are independent
 *   Shapes      [N,C,H,W] N images, C channels, H rows, W columns; the last index runs fastest
 *
 * After any status but EV_OK every out pointer is NULL (or zero) and no object has changed, unless
 * the function says otherwise; ev_last_error() then holds one line of detail.
 */
#ifndef EDGEVISION_BASE_H
#define EDGEVISION_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define EV_BEGIN_DECLS extern "C" {
#define EV_END_DECLS }
#else
#define EV_BEGIN_DECLS
#define EV_END_DECLS
#endif

#ifndef EV_API
#if defined(__GNUC__)
#define EV_API __attribute__((visibility("default")))
#else
#define EV_API
#endif
#endif

/** The release that this header belongs to.  ev_version() tells that of the library in use. */
#define EV_VERSION_MAJOR 0
#define EV_VERSION_MINOR 1
#define EV_VERSION_PATCH 0

EV_BEGIN_DECLS

/** What came of a call: 0 is good, a negative number says what the caller can do about it. */
typedef int32_t ev_status;

/** A number, once given, keeps its meaning for ever. */
enum {
    EV_OK = 0,
    EV_ERR_ARGUMENT = -1,     /**< a value is out of range or a pointer is missing: mend the call */
    EV_ERR_SHAPE = -2,        /**< shapes or types do not fit: mend the model or the data */
    EV_ERR_MEMORY = -3,       /**< no memory, or over the limit: free some, raise the limit */
    EV_ERR_IO = -4,           /**< the file system said no; the line names path and reason */
    EV_ERR_FORMAT = -5,       /**< a file is damaged or not what it says: get another file */
    EV_ERR_UNSUPPORTED = -6,  /**< sound, but this library or this build cannot do it */
    EV_ERR_VERSION = -7,      /**< made for a newer library: update the library */
    EV_ERR_STALE = -8,        /**< the model's weights are newer than the plan: plan again */
    EV_ERR_CANCELLED = -9,    /**< a callback of the caller asked to stop */
    EV_ERR_DIVERGED = -10,    /**< a loss or weight is not finite: lower the learning rate */
    EV_ERR_STATE = -11,       /**< not possible at this moment of the object's life */
    EV_ERR_INTERNAL = -12,    /**< a bug of the library: please report it */
    EV_ERR_GOAL = -13         /**< a goal that was asked for cannot be reached: ask for less */
};

/**
 * Name of a status, such as "EV_ERR_SHAPE"; "EV_ERR_?" for an unknown one.  Never NULL, static.
 *
 * Threads: any.  Since: 0.1
 */
EV_API const char *ev_status_name(ev_status status);

/**
 * One line about the last call that failed on this thread: function, argument, value, reason.
 *
 * @return text without a newline, "" before the first failure; valid until the next failing call
 *         on the same thread.  Never NULL.
 *
 * Threads: any (each thread has its own line).  Since: 0.1
 */
EV_API const char *ev_last_error(void);

/** Release of the library in use as text, "0.1.0".  Static.  Threads: any.  Since: 0.1 */
EV_API const char *ev_version(void);

/** Release of the library in use, major * 10000 + minor * 100 + patch.
 * Threads: any.  Since: 0.1 */
EV_API int32_t ev_version_number(void);

/**
 * Make an options struct of any kind empty: all zero, struct_size set.
 * The macro EV_OPTIONS_INIT(&opt) does the same for C and C++; this is for other languages.
 *
 * @param options [borrow] start of the struct; its first field is uint32_t struct_size
 * @param size    bytes of the struct as the caller knows it, 4..65536
 * @return EV_OK; EV_ERR_ARGUMENT
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_options_init(void *options, uint64_t size);

/** Stamp an options struct: every field zero, which means "the default", and the size known. */
#define EV_OPTIONS_INIT(pointer) ((void)ev_options_init((pointer), (uint64_t)sizeof(*(pointer))))

/* ---- context --------------------------------------------------------------------------------- */

/** Threads, memory, files and log that the objects made with it use.  Threads: any. */
typedef struct ev_context ev_context;

/** Instruction sets, as bits for ev_context_options.cpu_disable and ev_context_cpu(). */
enum {
    EV_CPU_AVX2 = 1 << 0,   /**< x86 AVX2 and FMA */
    EV_CPU_AVX512 = 1 << 1, /**< x86 AVX-512 F, BW, DQ and VL */
    EV_CPU_NEON = 1 << 2    /**< Arm Advanced SIMD, 64 bit */
};

/** Kinds of log line. */
enum { EV_LOG_DEBUG = 0, EV_LOG_INFO = 1, EV_LOG_WARNING = 2 };

/** Allocate: at least @p size bytes, aligned to @p alignment (a power of two).  NULL: none left. */
typedef void *(*ev_alloc_fn)(void *user, size_t size, size_t alignment);
/** Give back what the allocator of the same context gave. @p size is what was asked for. */
typedef void (*ev_free_fn)(void *user, void *pointer, size_t size);
/** One line for the log, without a newline.  Called on the thread that made the library call. */
typedef void (*ev_log_fn)(void *user, int32_t level, const char *line);

/**
 * Replacement for the file system, so that a program may keep models elsewhere and a test may
 * let any call fail.  Each returns 0 or more, or a negative errno.  A zero-filled struct means the
 * ordinary file system; a struct with some members set must set them all.
 */
typedef struct ev_file_hooks {
    uint32_t struct_size; /**< set by EV_OPTIONS_INIT */
    uint32_t reserved;    /**< zero */
    /** Open for reading (mode 0) or create and truncate for writing (mode 1): a handle >= 0. */
    int64_t (*open)(void *user, const char *path, int32_t mode);
    int64_t (*size)(void *user, int64_t handle);
    int64_t (*read)(void *user, int64_t handle, void *to, uint64_t n_bytes);
    int64_t (*write)(void *user, int64_t handle, const void *from, uint64_t n_bytes);
    int64_t (*sync)(void *user, int64_t handle); /**< what was written survives a power cut */
    int64_t (*close)(void *user, int64_t handle);
    int64_t (*rename)(void *user, const char *from, const char *to); /**< atomic, replaces */
    int64_t (*remove)(void *user, const char *path);
} ev_file_hooks;

/** How a context shall work.  Zero means the default everywhere. */
typedef struct ev_context_options {
    uint32_t struct_size;        /**< set by EV_OPTIONS_INIT */
    int32_t n_threads;           /**< 1..256 (default 1: the calling thread only); -1: all cores */
    uint32_t cpu_disable;        /**< EV_CPU_* sets not to use although the processor has them */
    int32_t log_level;           /**< EV_LOG_*: the least that is reported (default all) */
    uint64_t memory_limit_bytes; /**< most that is allocated at one time (default: no limit); mapped
                                      model files are not */
    ev_alloc_fn alloc;           /**< with free; default: the C library */
    ev_free_fn free;
    ev_log_fn log;               /**< default: no log */
    void *user;                  /**< handed to alloc, free, log and the file hooks, never read */
    const ev_file_hooks *files;  /**< [borrow] copied; default: the ordinary file system */
} ev_context_options;

/**
 * Make a context.  Cheap; worker threads start when first needed, sleep between runs, and if one
 * cannot be made the work is done with fewer.
 *
 * @param opt [borrow] NULL: all defaults
 * @param out [new]    ev_context_destroy()
 * @return EV_OK; EV_ERR_ARGUMENT; EV_ERR_VERSION; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_context_create(const ev_context_options *opt, ev_context **out);

/** Take another reference.  NULL is fine and gives NULL.  Threads: any.  Since: 0.1 */
EV_API ev_context *ev_context_ref(ev_context *ctx);

/**
 * Give back one reference.  The context ends with the last object that was made with it.
 * NULL is fine.
 *
 * Threads: any.  Since: 0.1
 */
EV_API void ev_context_destroy(ev_context *ctx);

/** Threads that a run may use, 1..256; 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_context_threads(const ev_context *ctx);

/** EV_CPU_* sets in use (present and not disabled); 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API uint32_t ev_context_cpu(const ev_context *ctx);

/** Bytes allocated through this context now; 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API uint64_t ev_context_memory_bytes(const ev_context *ctx);

/** Most bytes that were allocated at one time; 0 for NULL.  Threads: any.  Since: 0.1 */
EV_API uint64_t ev_context_memory_peak_bytes(const ev_context *ctx);

EV_END_DECLS

#endif /* EDGEVISION_BASE_H */
