/* SPDX-License-Identifier: MIT */
/* Files that are looked at where they lie: pages of the page cache, mapped for reading only.  They
 * are not memory of the context: they count against no limit, and the kernel may take them back. */
#include "base/context.h"

#include <errno.h>
#include <string.h>

#if defined(__unix__) || defined(__APPLE__)
#define CAN_MAP 1
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#else
#define CAN_MAP 0
#endif

#define PAGE_BYTES ((uintptr_t)4096) /* at least: larger pages only make less be given back */

#if CAN_MAP

/* A regular file of the size asked for, or -1. */
static int open_regular(const char *path, uint64_t at_least, uint64_t at_most, uint64_t *n_bytes)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make us wait */
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
        (uint64_t)st.st_size >= at_least && (uint64_t)st.st_size <= at_most &&
        (uint64_t)st.st_size <= SIZE_MAX / 2) {
        *n_bytes = (uint64_t)st.st_size;
        return fd;
    }
    (void)close(fd);
    return -1;
}

static void *map_path(const char *path, uint64_t at_least, uint64_t at_most, uint64_t *n_bytes)
{
    int fd = open_regular(path, at_least, at_most, n_bytes);
    if (fd < 0)
        return NULL;
    int flags = MAP_PRIVATE;
#ifdef MAP_POPULATE
    flags |= MAP_POPULATE; /* all of it will be read for its checksum: one call, not many faults */
#endif
    void *data = mmap(NULL, (size_t)*n_bytes, PROT_READ, flags, fd, 0);
    (void)close(fd);
    return data == MAP_FAILED ? NULL : data;
}

static void unmap(const evi_mapping *map)
{
    (void)munmap((void *)(uintptr_t)map->data, (size_t)map->n_bytes);
}

#else

static void *map_path(const char *path, uint64_t at_least, uint64_t at_most, uint64_t *n_bytes)
{
    (void)path, (void)at_least, (void)at_most, (void)n_bytes;
    return NULL;
}

static void unmap(const evi_mapping *map)
{
    (void)map;
}

#endif

ev_status evi_file_map(ev_context *ctx, const char *path, uint64_t at_least, uint64_t at_most,
                       evi_mapping **out)
{
    evi_mapping *map = NULL;
    int saved_errno = errno;
    *out = NULL;
    if (ctx->own_files)
        return EV_OK;
    EVI_TRY(evi_calloc(ctx, 1, sizeof(*map), &map));
    atomic_init(&map->refs, 1);
    map->data = map_path(path, at_least, at_most, &map->n_bytes);
    errno = saved_errno;
    if (map->data == NULL) {
        evi_free(map);
        return EV_OK;
    }
    *out = map;
    return EV_OK;
}

evi_mapping *evi_mapping_ref(evi_mapping *map)
{
    if (map != NULL)
        atomic_fetch_add(&map->refs, 1);
    return map;
}

void evi_mapping_release(evi_mapping *map)
{
    if (map == NULL || atomic_fetch_sub(&map->refs, 1) != 1)
        return;
    unmap(map);
    evi_free(map);
}

bool evi_mapping_holds(const evi_mapping *map, const void *at)
{
    return map != NULL && (uintptr_t)at >= (uintptr_t)map->data &&
           (uintptr_t)at < (uintptr_t)map->data + map->n_bytes;
}

void evi_mapping_rest(const evi_mapping *map, const void *from, uint64_t n_bytes)
{
    if (!evi_mapping_holds(map, from))
        return;
#if CAN_MAP && defined(MADV_DONTNEED)
    uintptr_t first = ((uintptr_t)from + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    uintptr_t end = ((uintptr_t)from + n_bytes) / PAGE_BYTES * PAGE_BYTES;
    int saved_errno = errno;
    if (end > first)
        (void)madvise((void *)first, end - first, MADV_DONTNEED);
    errno = saved_errno;
#else
    (void)n_bytes;
#endif
}
