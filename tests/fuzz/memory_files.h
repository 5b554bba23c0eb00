/* SPDX-License-Identifier: MIT */
/* A file system whose every file that is opened for reading holds the fuzzer's bytes; what is
 * written goes nowhere.  For the readers that take a path. */
#ifndef FUZZ_MEMORY_FILES_H
#define FUZZ_MEMORY_FILES_H

#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct memory_file {
    const uint8_t *data;
    uint64_t n_bytes, at;
} memory_file;

static int64_t memory_open(void *user, const char *path, int32_t mode)
{
    (void)path;
    if (mode == 0)
        ((memory_file *)user)->at = 0;
    return mode;
}

static int64_t memory_size(void *user, int64_t handle)
{
    return handle == 0 ? (int64_t)((memory_file *)user)->n_bytes : 0;
}

static int64_t memory_read(void *user, int64_t handle, void *to, uint64_t n_bytes)
{
    memory_file *f = user;
    uint64_t left = f->n_bytes - f->at, n = n_bytes < left ? n_bytes : left;
    (void)handle;
    if (n > 0)
        memcpy(to, f->data + f->at, n);
    f->at += n;
    return (int64_t)n;
}

static int64_t memory_write(void *user, int64_t handle, const void *from, uint64_t n_bytes)
{
    (void)user;
    (void)handle;
    (void)from;
    return (int64_t)n_bytes;
}

static int64_t memory_done(void *user, int64_t handle)
{
    (void)user;
    (void)handle;
    return 0;
}

static int64_t memory_rename(void *user, const char *from, const char *to)
{
    (void)user;
    (void)from;
    (void)to;
    return 0;
}

static int64_t memory_remove(void *user, const char *path)
{
    (void)user;
    (void)path;
    return 0;
}

/* Gives a checkpoint the checksum that it should have, else nothing behind it would ever be looked
 * at.  The even half of all lengths keeps what it has. */
static inline void mend(uint8_t *data, size_t n)
{
    static const char head[] = "{\"__metadata__\":{\"crc32c\":\"";
    size_t at = 8 + sizeof(head) - 1;
    char digits[9];
    if (n < at + 8 || n % 2 == 0 || memcmp(data + 8, head, sizeof(head) - 1) != 0)
        return;
    memcpy(data + at, "00000000", 8);
    (void)snprintf(digits, sizeof(digits), "%08lx", (unsigned long)evi_crc32c(0, data, n));
    memcpy(data + at, digits, 8);
}

/* A context with at most 256 MiB that reads the bytes of file. */
static inline ev_context *memory_context(memory_file *file)
{
    ev_file_hooks hooks;
    ev_context_options opt;
    ev_context *ctx = NULL;
    EV_OPTIONS_INIT(&hooks);
    hooks.open = memory_open;
    hooks.size = memory_size;
    hooks.read = memory_read;
    hooks.write = memory_write;
    hooks.sync = memory_done;
    hooks.close = memory_done;
    hooks.rename = memory_rename;
    hooks.remove = memory_remove;
    EV_OPTIONS_INIT(&opt);
    opt.memory_limit_bytes = (uint64_t)256 << 20;
    opt.files = &hooks;
    opt.user = file;
    return ev_context_create(&opt, &ctx) == EV_OK ? ctx : NULL;
}

/* Calls go_on with a context whose files hold these bytes, with the checksum mended. */
static inline int with_checkpoint(const uint8_t *data, size_t n_bytes, void (*go_on)(ev_context *))
{
    uint8_t *mended = malloc(n_bytes + (n_bytes == 0));
    if (mended == NULL)
        return 0;
    if (n_bytes > 0)
        memcpy(mended, data, n_bytes);
    mend(mended, n_bytes);
    memory_file file = {mended, n_bytes, 0};
    ev_context *ctx = memory_context(&file);
    if (ctx != NULL)
        go_on(ctx);
    ev_context_destroy(ctx);
    free(mended);
    return 0;
}

/* The program that writes a seed: write(ctx, path) into the file that it is told. */
static inline int write_seed(int argc, char **argv, ev_status (*write)(ev_context *, const char *))
{
    ev_context *ctx = NULL;
    if (argc != 2 || ev_context_create(NULL, &ctx) != EV_OK)
        return 2;
    ev_status status = write(ctx, argv[1]);
    if (status != EV_OK)
        (void)fprintf(stderr, "%s\n", ev_last_error());
    ev_context_destroy(ctx);
    return status == EV_OK ? 0 : 1;
}

#endif
