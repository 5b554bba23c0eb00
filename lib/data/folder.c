/* SPDX-License-Identifier: MIT */
/* Folders as lists of sorted names. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* lstat, opendir */
#endif
#include "data/dataset.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

ev_status evi_path_join(ev_context *ctx, const char *folder, const char *name, char **out)
{
    evi_text path;
    evi_text_start(&path, ctx);
    size_t n = strlen(folder);
    evi_text_add(&path, "%s%s%s", folder, n == 0 || folder[n - 1] == '/' ? "" : "/", name);
    ev_status status = path.status;
    if (status == EV_OK)
        status = evi_strdup(ctx, path.data, out);
    evi_text_end(&path);
    return status;
}

bool evi_is_picture_name(const char *name)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".bmp",
                                          ".ppm", ".pgm",  ".pbm", ".pnm"};
    const char *dot = strrchr(name, '.');
    if (dot == NULL)
        return false;
    for (int32_t i = 0; i < EVI_COUNT(endings); i++) {
        size_t k = 0;
        while (dot[k] != '\0' && (dot[k] >= 'A' && dot[k] <= 'Z' ? dot[k] + 32 : dot[k]) ==
                                     endings[i][k])
            k++;
        if (dot[k] == '\0' && endings[i][k] == '\0')
            return true;
    }
    return false;
}

typedef struct entry {
    const char *name;
    bool is_folder;
    uint8_t pad[7];
} entry;

typedef struct entries {
    entry *entry;
    int32_t n, capacity;
} entries;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

/* 1 folder, 0 file, -1 neither. */
static ev_status kind_of(ev_context *ctx, const char *folder, const char *name, bool follow,
                         int32_t *kind)
{
    char *path = NULL;
    struct stat s;
    EVI_TRY(evi_path_join(ctx, folder, name, &path));
    bool link = lstat(path, &s) == 0 && S_ISLNK(s.st_mode);
    *kind = -1;
    if (stat(path, &s) == 0)
        *kind = S_ISREG(s.st_mode) ? 0 : S_ISDIR(s.st_mode) && (follow || !link) ? 1 : -1;
    evi_free(path);
    return EV_OK;
}

static ev_status add_entry(ev_context *ctx, const char *folder, const char *name, bool follow,
                           evi_text_pool *pool, entries *list)
{
    int32_t kind = -1;
    EVI_TRY(kind_of(ctx, folder, name, follow, &kind));
    if (kind < 0)
        return EV_OK;
    if (list->n == list->capacity) {
        int32_t capacity = EVI_MAX(list->capacity * 2, 64);
        EVI_TRY(evi_realloc(ctx, (uint64_t)capacity, sizeof(entry), &list->entry));
        list->capacity = capacity;
    }
    entry *e = &list->entry[list->n];
    EVI_TRY(evi_text_pool_add(pool, name, strlen(name), &e->name));
    e->is_folder = kind == 1;
    list->n++;
    return EV_OK;
}

static ev_status read_entries(ev_context *ctx, const char *path, bool follow, evi_text_pool *pool,
                              entries *list)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return errno == ENOMEM ? evi_fail(EV_ERR_MEMORY, "%s: no memory to list it", path)
                               : evi_io_fail(path, "list", -errno);
    ev_status status = EV_OK;
    while (status == EV_OK) {
        errno = 0;
        struct dirent *found = readdir(dir);
        if (found == NULL) {
            if (errno != 0)
                status = evi_io_fail(path, "list", -errno);
            break;
        }
        if (found->d_name[0] != '.')
            status = add_entry(ctx, path, found->d_name, follow, pool, list);
    }
    (void)closedir(dir);
    return status;
}

ev_status evi_folder_list(ev_context *ctx, const char *path, bool follow, evi_folder *out)
{
    entries list = {0};
    int saved = errno; /* ours is nobody's business */
    *out = (evi_folder){.pool.ctx = ctx};
    ev_status status = read_entries(ctx, path, follow, &out->pool, &list);
    if (status == EV_OK)
        status = evi_calloc(ctx, (uint64_t)list.n, sizeof(*out->name), &out->name);
    if (status == EV_OK)
        status = evi_calloc(ctx, (uint64_t)list.n, 1, &out->is_folder);
    if (status == EV_OK && list.n > 0) {
        qsort(list.entry, (size_t)list.n, sizeof(entry), by_name);
        for (int32_t i = 0; i < list.n; i++) {
            out->name[i] = list.entry[i].name;
            out->is_folder[i] = list.entry[i].is_folder;
        }
        out->n = list.n;
    }
    evi_free(list.entry);
    if (status != EV_OK)
        evi_folder_end(out);
    errno = saved;
    return status;
}

void evi_folder_end(evi_folder *folder)
{
    evi_free(folder->name);
    evi_free(folder->is_folder);
    evi_text_pool_end(&folder->pool);
    *folder = (evi_folder){0};
}
