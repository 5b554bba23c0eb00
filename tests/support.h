/* SPDX-License-Identifier: MIT */
/* What the test programs share, on top of Check.
 *
 *   int main(void) { return t_run(my_suite()); }          one program per folder
 *   t_ok(ev_tensor_create(...));                          fails with status and error line
 *   t_status(ev_tensor_create(...), EV_ERR_SHAPE);        expects this status (and an error line)
 *   t_hooks h = {0}; ev_context *ctx = t_context(&h, 2);  counting allocator, failing files
 *   t_each_alloc(body, arg);                              every allocation fails once
 *   t_folder(dir); ... t_folder_remove(dir);              a folder of one's own
 *   const char *p = t_testdata("images");                 NULL: skip the test
 */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <edgevision/base.h>

#include <check.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ThreadSanitizer cannot follow a child that makes threads after a fork. */
#if defined(__SANITIZE_THREAD__)
#define T_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define T_TSAN 1
#endif
#endif
#ifndef T_TSAN
#define T_TSAN 0
#endif

/* ---- statuses -------------------------------------------------------------------------------- */

#define t_ok(call)                                                                         \
    do {                                                                                   \
        ev_status t_status_ = (call);                                                      \
        if (t_status_ != EV_OK)                                                            \
            ck_abort_msg("%s: %s: %s", #call, ev_status_name(t_status_), ev_last_error()); \
    } while (0)

#define t_status(call, expected)                                                       \
    do {                                                                               \
        ev_status t_status_ = (call);                                                  \
        if (t_status_ != (expected))                                                   \
            ck_abort_msg("%s: %s instead of %s: %s", #call, ev_status_name(t_status_), \
                         ev_status_name(expected), ev_last_error());                   \
        if (t_status_ != EV_OK && ev_last_error()[0] == '\0')                          \
            ck_abort_msg("%s: no error line", #call);                                  \
    } while (0)

/* ---- hooks: memory that counts and fails, files that fail ------------------------------------ */

/* Which file calls a fault may hit; T_FILE_ANY counts all of them together. */
enum {
    T_FILE_ANY,
    T_FILE_OPEN,
    T_FILE_SIZE,
    T_FILE_READ,
    T_FILE_WRITE,
    T_FILE_SYNC,
    T_FILE_CLOSE,
    T_FILE_RENAME,
    T_FILE_REMOVE,
    T_FILE_KINDS
};

/* Zero-filled: nothing fails.  Numbers count from 1; 0 means never. */
typedef struct t_hooks {
    atomic_long n_allocs; /* allocations asked for so far */
    atomic_long n_live;   /* blocks not given back yet */
    atomic_long n_live_bytes;
    long fail_alloc;     /* this allocation fails ... */
    bool fail_all_after; /* ... and all after it */
    long n_calls[T_FILE_KINDS];
    int32_t fail_kind; /* T_FILE_*: the fail_call-th call of this kind ... */
    long fail_call;
    int32_t fail_errno;    /* ... gives this error (EIO when 0) */
    bool fail_files_after; /* ... and all later ones of the kind */
    int32_t interrupt;     /* this many calls of each read and write give EINTR first */
    uint64_t piece;        /* reads and writes move at most so many bytes (0: all) */
    bool kill;             /* instead of failing, the process ends at that call (_exit 77) */
    long n_log_lines;
    char log_line[512]; /* the last one */
} t_hooks;

/* Options whose hooks are those of h (alloc, free, log; files too when with_files). */
void t_options(t_hooks *h, bool with_files, ev_context_options *out);
/* A context with all hooks of h; h NULL: a plain context.  Fails the test when it cannot. */
ev_context *t_context(t_hooks *h, int32_t n_threads);

/* body makes objects with ctx, ends them, and gives the first status that was not EV_OK.  It is
 * run with the 1st, 2nd, ... allocation failing, once alone and once with all later ones, until it
 * succeeds: each failing run must give EV_ERR_MEMORY (or EV_OK when the body can do without the
 * block) and leave no block behind.  Returns the number of allocations of the good run; stops the
 * test after `most` of them when that is not 0. */
typedef ev_status (*t_body)(ev_context *ctx, void *arg);
long t_each_alloc(t_body body, void *arg, int32_t n_threads, long most);

/* ---- folders and data ------------------------------------------------------------------------ */

#define T_PATH 512
void t_folder(char dir[T_PATH]); /* a new one in $TMPDIR or /tmp */
void t_folder_remove(const char *dir);
/* "dir/name" into out; gives out. */
const char *t_path(char out[T_PATH], const char *dir, const char *name);
void t_write(const char *path, const void *from, size_t n_bytes);
/* Whole file, malloc'ed, zero byte behind it; NULL when there is none. */
char *t_read(const char *path, size_t *n_bytes_out);
bool t_exists(const char *path);
/* $EV_TESTDATA/name (without it: ../shared/testdata beside the project) in a static buffer, or NULL
 * when there is no such file. */
const char *t_testdata(const char *name);

/* ---- numbers --------------------------------------------------------------------------------- */

/* Xorshift64*: *state must not be 0. */
static inline uint32_t t_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545F4914F6CDD1Du) >> 32);
}
/* lo..hi, both included */
static inline int32_t t_random_int(uint64_t *state, int32_t lo, int32_t hi)
{
    return lo + (int32_t)(t_random(state) % (uint32_t)(hi - lo + 1));
}
/* -1..1 */
static inline float t_random_float(uint64_t *state)
{
    return (float)t_random(state) * 0x1p-31f - 1.0f;
}
void t_fill(float *to, size_t n, uint64_t seed);
/* max |a-b| / max |b|; infinity when a holds a NaN that b does not. */
double t_peak_error(const float *a, const float *b, size_t n);

/* ---- running --------------------------------------------------------------------------------- */

int t_run(Suite *suite); /* EXIT_SUCCESS or EXIT_FAILURE; frees the suite */

#endif
