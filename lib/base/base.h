/* SPDX-License-Identifier: MIT */
/* What the files of the library share and no caller sees: errors, memory, handles, numbers. */
#ifndef EVI_BASE_H
#define EVI_BASE_H

#include <edgevision/base.h>
#include <stdatomic.h>
#include <stdbool.h>

/* The type that ops and reference kernels compute in.  Test builds set it to double
 * (-DEVI_REAL_DOUBLE): then EV_TYPE_FLOAT32 means 8-byte elements throughout that build. */
#ifdef EVI_REAL_DOUBLE
typedef double evi_real;
#define EVI_REAL(x) evi_decimal(x) /* of a float that somebody wrote: 1e-5, not 1e-5f */
#else
typedef float evi_real;
#define EVI_REAL(x) (x)
#endif
double evi_decimal(float x); /* the shortest decimal fraction that rounds to x */

#define EVI_MIN(a, b) ((a) < (b) ? (a) : (b))
#define EVI_MAX(a, b) ((a) > (b) ? (a) : (b))

/* a / b rounded up; a >= 0, b > 0 */
static inline int64_t evi_div_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}
#define EVI_COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

/* ---- errors: status.c ------------------------------------------------------------------------ */

/* Write the thread's error line and give the status back: return evi_fail(EV_ERR_SHAPE, "...").
 * Arguments may contain ev_last_error().  Control characters become spaces.  %g and %f follow the
 * caller's locale here (the line is for people); files go through evi_text_double(). */
ev_status evi_fail(ev_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Put "prefix: " before the present line, for callers that know where they are. */
ev_status evi_fail_in(ev_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define EVI_TRY(call)                \
    do {                             \
        ev_status evi_try_ = (call); \
        if (evi_try_ != EV_OK)       \
            return evi_try_;         \
    } while (0)

/* ---- handles: every public object starts with one -------------------------------------------- */

/* A wrong or ended handle is found before it is used. */
enum {
    EVI_MAGIC_CONTEXT = 0x45564358,
    EVI_MAGIC_TENSOR = 0x45565445,
    EVI_MAGIC_IMAGE = 0x4556494d,
    EVI_MAGIC_DATASET = 0x45564441,
    EVI_MAGIC_LOADER = 0x45564c4f,
    EVI_MAGIC_MODEL = 0x45564d4f,
    EVI_MAGIC_PLAN = 0x4556504c,
    EVI_MAGIC_SESSION = 0x45565345,
    EVI_MAGIC_TRAINER = 0x45565452,
    EVI_MAGIC_METRICS = 0x45564d45,
    EVI_MAGIC_PRUNER = 0x45565052,
    EVI_MAGIC_PRUNE_PLAN = 0x45565050,
    EVI_MAGIC_PRUNE_REPORT = 0x45565250,
    EVI_MAGIC_CYCLEGAN = 0x45564347,
    EVI_MAGIC_TRANSLATOR = 0x4556544c,
    EVI_MAGIC_ROUTER = 0x4556524f
};

typedef struct evi_handle {
    uint32_t magic;
    atomic_int refs;
    ev_context *ctx; /* one reference held */
} evi_handle;

/* Start a fresh handle with one reference; takes a reference on ctx. */
void evi_handle_start(evi_handle *h, uint32_t magic, ev_context *ctx);
/* The body of every _ref: one more reference; gives h back, NULL when it is of another kind. */
void *evi_handle_ref(void *h, uint32_t magic);
/* The first line of every _destroy: true when this was the last reference and the object must be
 * taken apart now; false for NULL, for another kind, and while others hold references. */
bool evi_handle_drop(void *h, uint32_t magic);
/* The last line of every _destroy: ends the handle, frees its block, lets go of the context. */
void evi_handle_end(void *h);
/* Fails naming function and argument when h is NULL or of another kind. */
ev_status evi_check_handle(const void *h, uint32_t magic, const char *function,
                           const char *argument);
#define EVI_CHECK_HANDLE(h, magic) EVI_TRY(evi_check_handle((h), (magic), __func__, #h))
#define EVI_CHECK_POINTER(p)                                                  \
    do {                                                                      \
        if ((p) == NULL)                                                      \
            return evi_fail(EV_ERR_ARGUMENT, "%s: %s is NULL", __func__, #p); \
    } while (0)

/* ---- memory: alloc.c.  Blocks are aligned to 64 bytes and know their context and size. ------- */

#define EVI_ALIGN 64
#define EVI_SIZE_MAX ((uint64_t)1 << 62)

/* What a block of `size` bytes counts: itself, its header of 64 bytes, rounded up to 64. */
static inline uint64_t evi_block_bytes(uint64_t size)
{
    return (size + 2 * EVI_ALIGN - 1) / EVI_ALIGN * EVI_ALIGN;
}

/* n * size bytes, checked; zero-filled.  n or size 0 gives a valid block.  Counts against the
 * limit; on failure the error line is set and *out is NULL. */
ev_status evi_calloc(ev_context *ctx, uint64_t n, uint64_t size, void *out);
/* The same, not filled (large buffers: untouched pages cost nothing). */
ev_status evi_malloc(ev_context *ctx, uint64_t n, uint64_t size, void *out);
/* Grow or shrink to n * size; the old content is kept, new bytes are zero.  *block may be NULL;
 * unchanged on failure. */
ev_status evi_realloc(ev_context *ctx, uint64_t n, uint64_t size, void *block);
/* Give back; NULL is fine. */
void evi_free(void *block);
/* Hand a text or bytes to the caller, who may end them after the context: the block holds a
 * reference on it until evi_free().  Gives the block. */
void *evi_give(void *block);
/* Copy of a text. */
ev_status evi_strdup(ev_context *ctx, const char *text, char **out);
ev_status evi_strndup(ev_context *ctx, const char *text, uint64_t length, char **out);

/* Checked arithmetic: false when the result does not fit. */
static inline bool evi_mul(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out) && *out <= EVI_SIZE_MAX;
}
static inline bool evi_add(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_add_overflow(a, b, out) && *out <= EVI_SIZE_MAX;
}
static inline uint64_t evi_round_up(uint64_t n, uint64_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* ---- options: options.c ---------------------------------------------------------------------- */

/* Read a caller's options struct of any age into ours: shorter -> the rest zero; longer with zeroes
 * -> fine; longer with a set byte -> EV_ERR_VERSION; from NULL -> all zero, size stamped. */
ev_status evi_options_read(void *ours, uint32_t our_size, const void *from, const char *function);
#define EVI_OPTIONS_READ(ours, from) \
    EVI_TRY(evi_options_read((ours), (uint32_t)sizeof(*(ours)), (from), __func__))
/* A reserved field that is set is an option of a newer release. */
#define EVI_CHECK_RESERVED(field, function)                                              \
    do {                                                                                 \
        if ((field) != 0)                                                                \
            return evi_fail(EV_ERR_VERSION, "%s: a reserved field is set: %s", function, #field); \
    } while (0)
/* Copy a struct that the library fills to a caller whose struct_size may be smaller or larger. */
ev_status evi_options_write(void *to, const void *ours, uint32_t our_size, const char *function);

/* ---- context: context.c ---------------------------------------------------------------------- */

void evi_log(ev_context *ctx, int32_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
uint32_t evi_cpu_flags(const ev_context *ctx); /* EV_CPU_* */
/* The same hooks and instruction sets with another number of threads; may have what is left of the
 * memory limit. */
ev_status evi_context_like(const ev_context *ctx, int32_t n_threads, ev_context **out);
uint64_t evi_context_room(const ev_context *ctx); /* bytes up to the limit; EVI_SIZE_MAX: none */
const ev_file_hooks *evi_files(const ev_context *ctx, void **user_out);
double evi_seconds(void); /* monotonic clock */

/* ---- files: file.c --------------------------------------------------------------------------- */

/* EV_ERR_IO, "path: cannot read: reason"; result is a negative errno. */
ev_status evi_io_fail(const char *path, const char *what, int64_t result);

/* Whole file into one block (evi_free); EV_ERR_IO names path and reason; more than limit bytes is
 * EV_ERR_FORMAT.  One zero byte follows the content and is not counted. */
ev_status evi_file_read(ev_context *ctx, const char *path, uint64_t limit, void *out,
                        uint64_t *n_bytes_out);

/* Atomic writing: to "<path>.tmp" in the same folder, every write checked, synced, renamed, the
 * folder synced.  Any failure removes the temporary file and leaves the old file as it was. */
typedef struct evi_writer evi_writer;
ev_status evi_writer_open(ev_context *ctx, const char *path, evi_writer **out);
ev_status evi_writer_write(evi_writer *w, const void *from, uint64_t n_bytes); /* sticky error */
ev_status evi_writer_commit(evi_writer *w); /* ends the writer in any case */
void evi_writer_abandon(evi_writer *w);     /* NULL is fine */
ev_status evi_file_write(ev_context *ctx, const char *path, const void *from, uint64_t n_bytes);

/* ---- files looked at where they lie: map.c --------------------------------------------------- */

/* A file in the page cache, for reading only.  Shared by reference. */
typedef struct evi_mapping {
    atomic_int refs;
    const void *data;
    uint64_t n_bytes;
} evi_mapping;

/* Map a regular file of at_least..at_most bytes.  *out NULL and EV_OK: it is to be read instead
 * (other files, a caller's file hooks, no such call here). */
ev_status evi_file_map(ev_context *ctx, const char *path, uint64_t at_least, uint64_t at_most,
                       evi_mapping **out);
evi_mapping *evi_mapping_ref(evi_mapping *map); /* NULL is fine, here and below */
void evi_mapping_release(evi_mapping *map);
bool evi_mapping_holds(const evi_mapping *map, const void *at); /* points into it */
/* These bytes are not needed for now: whole pages leave the process and come back when read. */
void evi_mapping_rest(const evi_mapping *map, const void *from, uint64_t n_bytes);

/* ---- text: text.c.  Locale-free numbers and a growing buffer. -------------------------------- */

typedef struct evi_text {
    ev_context *ctx;
    char *data; /* always ends with a zero byte once not NULL */
    uint64_t length, capacity;
    ev_status status; /* first failure; later calls do nothing */
} evi_text;

void evi_text_start(evi_text *t, ev_context *ctx);
void evi_text_add(evi_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void evi_text_bytes(evi_text *t, const void *from, uint64_t n_bytes);
void evi_text_double(evi_text *t, double value); /* shortest of %.9g, '.' whatever the locale */
void evi_text_json_string(evi_text *t, const char *s);                 /* with the quotes */
void evi_text_end(evi_text *t);                                        /* frees */
bool evi_parse_double(const char *text, uint64_t length, double *out); /* whole text, locale-free */
bool evi_parse_int(const char *text, uint64_t length, int64_t *out);
uint32_t evi_crc32c(uint32_t crc, const void *from, uint64_t n_bytes); /* start with 0 */

#endif
