/* SPDX-License-Identifier: MIT */
/* Files: whole reads, and writes that are there entirely or not at all. */
#include "base/context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES ((uint64_t)64 << 10)
#define PIECE_BYTES ((uint64_t)1 << 30) /* the most that one call moves */
#define RETRIES 1000                    /* interrupted calls in a row before giving up */

/* ---- the ordinary file system; each gives 0 or more, or a negative errno --------------------- */

static int64_t file_open(void *user, const char *path, int32_t mode)
{
    (void)user;
    int flags = mode == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC;
    int fd = open(path, flags | O_CLOEXEC, 0666);
    return fd < 0 ? -errno : fd;
}

static int64_t file_size(void *user, int64_t handle)
{
    (void)user;
    struct stat st;
    if (fstat((int)handle, &st) != 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    return S_ISREG(st.st_mode) ? (int64_t)st.st_size : 0;
}

static int64_t file_read(void *user, int64_t handle, void *to, uint64_t n_bytes)
{
    (void)user;
    ssize_t n = read((int)handle, to, (size_t)n_bytes);
    return n < 0 ? -errno : n;
}

static int64_t file_write(void *user, int64_t handle, const void *from, uint64_t n_bytes)
{
    (void)user;
    ssize_t n = write((int)handle, from, (size_t)n_bytes);
    return n < 0 ? -errno : n;
}

static int64_t file_sync(void *user, int64_t handle)
{
    (void)user;
    if (fsync((int)handle) == 0 || errno == EINVAL || errno == ENOTSUP)
        return 0; /* EINVAL: a kind of file that cannot be synced has nothing to lose */
    return -errno;
}

static int64_t file_close(void *user, int64_t handle)
{
    (void)user;
    if (close((int)handle) == 0 || errno == EINTR) /* Linux has closed it all the same */
        return 0;
    return -errno;
}

/* The new name lasts only when the folder that holds it is on the disk as well. */
static int64_t folder_sync(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - path);
    if (n >= sizeof(folder))
        return -ENAMETOOLONG;
    memcpy(folder, path, n);
    folder[n] = '\0';
    int fd = open(slash == NULL ? "." : n == 0 ? "/" : folder, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : -errno; /* a folder may be writable but not readable */
    int64_t result = file_sync(NULL, fd);
    (void)close(fd);
    return result;
}

static int64_t file_rename(void *user, const char *from, const char *to)
{
    (void)user;
    return rename(from, to) != 0 ? -errno : folder_sync(to);
}

static int64_t file_remove(void *user, const char *path)
{
    (void)user;
    return unlink(path) != 0 ? -errno : 0;
}

void evi_files_default(ev_file_hooks *hooks)
{
    memset(hooks, 0, sizeof(*hooks));
    hooks->struct_size = (uint32_t)sizeof(*hooks);
    hooks->open = file_open;
    hooks->size = file_size;
    hooks->read = file_read;
    hooks->write = file_write;
    hooks->sync = file_sync;
    hooks->close = file_close;
    hooks->rename = file_rename;
    hooks->remove = file_remove;
}

/* ---- calls through the hooks ----------------------------------------------------------------- */

ev_status evi_io_fail(const char *path, const char *what, int64_t result)
{
    char reason[128];
    int number = result >= -65535 && result < 0 ? (int)-result : EIO;
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
    const char *text = strerror_r(number, reason, sizeof(reason));
#else
    const char *text = strerror_r(number, reason, sizeof(reason)) == 0 ? reason : "error";
#endif
    return evi_fail(EV_ERR_IO, "%s: cannot %s: %s", path, what, text);
}

/* Again when a signal came between.  A hook that moves more than asked is broken: EIO. */
#define RETRYING(result, call)                            \
    do {                                                  \
        int32_t tries_ = 0;                               \
        int saved_errno_ = errno;                         \
        do                                                \
            (result) = (call);                            \
        while ((result) == -EINTR && ++tries_ < RETRIES); \
        errno = saved_errno_;                             \
    } while (0)

static ev_status open_path(ev_context *ctx, const char *path, int32_t mode, int64_t *out)
{
    void *user;
    const ev_file_hooks *f = evi_files(ctx, &user);
    RETRYING(*out, f->open(user, path, mode));
    return *out >= 0 ? EV_OK : evi_io_fail(path, mode == 0 ? "open" : "create", *out);
}

static ev_status read_all(ev_context *ctx, const char *path, int64_t handle, uint64_t limit,
                          char **data, uint64_t *length_out)
{
    void *user;
    const ev_file_hooks *f = evi_files(ctx, &user);
    int64_t n;
    RETRYING(n, f->size(user, handle));
    if (n < 0)
        return evi_io_fail(path, "read", n);
    /* One byte more than the size: the last read finds the end, and the byte stays zero. */
    uint64_t capacity = (uint64_t)n + 1, length = 0;
    if ((uint64_t)n <= limit)
        EVI_TRY(evi_malloc(ctx, capacity, 1, data));
    else
        length = (uint64_t)n;
    while (length <= limit) {
        if (length == capacity) { /* no size known before, or the file grows under us */
            capacity = 2 * capacity + 4096;
            EVI_TRY(evi_realloc(ctx, capacity, 1, data));
        }
        uint64_t room = EVI_MIN(capacity - length, PIECE_BYTES);
        RETRYING(n, f->read(user, handle, *data + length, room));
        if (n < 0 || (uint64_t)n > room)
            return evi_io_fail(path, "read", n);
        if (n == 0) {
            (*data)[length] = '\0';
            *length_out = length;
            return EV_OK;
        }
        length += (uint64_t)n;
    }
    return evi_fail(EV_ERR_FORMAT, "%s: longer than %llu bytes", path, (unsigned long long)limit);
}

ev_status evi_file_read(ev_context *ctx, const char *path, uint64_t limit, void *out,
                        uint64_t *n_bytes_out)
{
    void *user;
    const ev_file_hooks *f = evi_files(ctx, &user);
    int64_t handle = -1, closed;
    char *data = NULL;
    memcpy(out, &data, sizeof(data));
    *n_bytes_out = 0;
    EVI_TRY(open_path(ctx, path, 0, &handle));
    ev_status status =
        read_all(ctx, path, handle, EVI_MIN(limit, EVI_SIZE_MAX / 4), &data, n_bytes_out);
    RETRYING(closed, f->close(user, handle));
    if (status == EV_OK && closed < 0)
        status = evi_io_fail(path, "close", closed);
    if (status != EV_OK) {
        evi_free(data);
        *n_bytes_out = 0;
        return status;
    }
    memcpy(out, &data, sizeof(data));
    return EV_OK;
}

/* ---- atomic writing -------------------------------------------------------------------------- */

struct evi_writer {
    ev_context *ctx;
    char *path, *tmp;
    char *buffer;
    uint64_t fill;
    int64_t handle; /* -1: closed */
    ev_status status;
    char line[256]; /* the error line of `status`, for commit to say again */
};

static ev_status writer_fail(evi_writer *w, ev_status status)
{
    if (w->status == EV_OK) {
        w->status = status;
        (void)snprintf(w->line, sizeof(w->line), "%s", ev_last_error());
    }
    return w->status;
}

static void writer_free(evi_writer *w)
{
    evi_free(w->buffer);
    evi_free(w->path);
    evi_free(w->tmp);
    evi_free(w);
}

static ev_status writer_new(ev_context *ctx, const char *path, evi_writer *w)
{
    uint64_t length = strlen(path);
    w->ctx = ctx;
    w->handle = -1;
    EVI_TRY(evi_strdup(ctx, path, &w->path));
    EVI_TRY(evi_malloc(ctx, length + sizeof(".tmp"), 1, &w->tmp));
    memcpy(w->tmp, path, (size_t)length);
    memcpy(w->tmp + length, ".tmp", sizeof(".tmp"));
    EVI_TRY(evi_malloc(ctx, BUFFER_BYTES, 1, &w->buffer));
    return open_path(ctx, w->tmp, 1, &w->handle); /* truncates what a killed process left */
}

ev_status evi_writer_open(ev_context *ctx, const char *path, evi_writer **out)
{
    evi_writer *w = NULL;
    *out = NULL;
    EVI_TRY(evi_calloc(ctx, 1, sizeof(*w), &w));
    ev_status status = writer_new(ctx, path, w);
    if (status != EV_OK) {
        writer_free(w);
        return status;
    }
    *out = w;
    return EV_OK;
}

static ev_status write_through(evi_writer *w, const char *from, uint64_t n_bytes)
{
    void *user;
    const ev_file_hooks *f = evi_files(w->ctx, &user);
    while (n_bytes > 0) {
        int64_t n;
        uint64_t piece = EVI_MIN(n_bytes, PIECE_BYTES);
        RETRYING(n, f->write(user, w->handle, from, piece));
        if (n <= 0 || (uint64_t)n > piece) /* zero bytes for ever would hang us */
            return writer_fail(w, evi_io_fail(w->tmp, "write", n));
        from += n;
        n_bytes -= (uint64_t)n;
    }
    return EV_OK;
}

static ev_status writer_flush(evi_writer *w)
{
    uint64_t fill = w->fill;
    w->fill = 0;
    return write_through(w, w->buffer, fill);
}

ev_status evi_writer_write(evi_writer *w, const void *from, uint64_t n_bytes)
{
    if (w->status != EV_OK)
        return w->status;
    if (n_bytes > BUFFER_BYTES - w->fill)
        EVI_TRY(writer_flush(w));
    if (n_bytes >= BUFFER_BYTES)
        return write_through(w, from, n_bytes);
    if (n_bytes > 0)
        memcpy(w->buffer + w->fill, from, (size_t)n_bytes);
    w->fill += n_bytes;
    return EV_OK;
}

static ev_status writer_close(evi_writer *w)
{
    void *user;
    const ev_file_hooks *f = evi_files(w->ctx, &user);
    int64_t n = 0, handle = w->handle;
    w->handle = -1; /* closed, whatever the answer: a second close could hit another's handle */
    if (handle >= 0)
        RETRYING(n, f->close(user, handle));
    return n >= 0 ? EV_OK : evi_io_fail(w->tmp, "close", n);
}

void evi_writer_abandon(evi_writer *w)
{
    if (w == NULL)
        return;
    void *user;
    const ev_file_hooks *f = evi_files(w->ctx, &user);
    int saved_errno = errno;
    (void)writer_close(w);
    (void)f->remove(user, w->tmp);
    errno = saved_errno;
    writer_free(w);
}

static ev_status writer_finish(evi_writer *w)
{
    void *user;
    const ev_file_hooks *f = evi_files(w->ctx, &user);
    int64_t n;
    EVI_TRY(writer_flush(w));
    RETRYING(n, f->sync(user, w->handle));
    if (n < 0)
        return evi_io_fail(w->tmp, "sync", n);
    EVI_TRY(writer_close(w));
    RETRYING(n, f->rename(user, w->tmp, w->path));
    return n >= 0 ? EV_OK : evi_io_fail(w->path, "replace", n);
}

ev_status evi_writer_commit(evi_writer *w)
{
    if (w->status == EV_OK)
        (void)writer_fail(w, writer_finish(w));
    ev_status status = w->status;
    if (status == EV_OK) {
        writer_free(w);
        return EV_OK;
    }
    char line[sizeof(w->line)];
    memcpy(line, w->line, sizeof(line));
    evi_writer_abandon(w);
    return evi_fail(status, "%s", line);
}

ev_status evi_file_write(ev_context *ctx, const char *path, const void *from, uint64_t n_bytes)
{
    evi_writer *w = NULL;
    EVI_TRY(evi_writer_open(ctx, path, &w));
    (void)evi_writer_write(w, from, n_bytes); /* sticky: commit reports it */
    return evi_writer_commit(w);
}
