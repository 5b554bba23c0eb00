/* SPDX-License-Identifier: MIT */
/* Datasets from and to CSV manifests. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* getcwd */
#endif
#include "data/dataset.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FILE_LIMIT ((uint64_t)1 << 30)

/* Where the columns of a manifest go. */
typedef struct layout {
    int32_t n;     /* fields of a row */
    int32_t path, label, group;
    char *folder;  /* of the manifest, with the slash behind it; "" for the working directory */
    const char **values; /* of one row, without path, label and group */
} layout;

static int32_t find_field(const evi_csv *csv, const char *name, int32_t *n_found)
{
    int32_t found = -1;
    *n_found = 0;
    for (int32_t i = 0; i < csv->n_fields; i++)
        if (strcmp(csv->field[i], name) == 0) {
            found = i;
            *n_found += 1;
        }
    return found;
}

static ev_status read_header(evi_csv *csv, evi_items *items, layout *l)
{
    bool more = false;
    int32_t paths, labels, groups, clips;
    EVI_TRY(evi_csv_row(csv, &more));
    if (!more)
        return evi_fail(EV_ERR_FORMAT, "the manifest is empty");
    l->n = csv->n_fields;
    l->path = find_field(csv, "path", &paths);
    l->label = find_field(csv, "label", &labels);
    l->group = find_field(csv, "group", &groups);
    if (l->group < 0)
        l->group = find_field(csv, "clip", &clips);
    if (paths != 1 || labels != 1 || groups > 1)
        return evi_fail(EV_ERR_FORMAT, "line 1 must name the columns path and label once each");
    for (int32_t i = 0; i < l->n; i++) {
        int32_t before = items->columns.n, at;
        if (i == l->path || i == l->label || i == l->group)
            continue;
        EVI_TRY(evi_name_list_add(&items->columns, &items->pool, csv->field[i], &at));
        if (items->columns.n == before)
            return evi_fail(EV_ERR_FORMAT, "line 1 names the column %s twice", csv->field[i]);
    }
    return evi_calloc(items->ctx, (uint64_t)l->n, sizeof(*l->values), &l->values);
}

static ev_status add_row(const evi_csv *csv, evi_items *items, const layout *l)
{
    if (csv->n_fields != l->n)
        return evi_fail(EV_ERR_FORMAT, "line %lld has %d fields and not %d", (long long)csv->line,
                        (int)csv->n_fields, (int)l->n);
    const char *path = csv->field[l->path], *label = csv->field[l->label];
    if (path[0] == '\0' || label[0] == '\0')
        return evi_fail(EV_ERR_FORMAT, "line %lld has no %s", (long long)csv->line,
                        path[0] == '\0' ? "path" : "label");
    int32_t n = 0, class_number = 0;
    for (int32_t i = 0; i < l->n; i++)
        if (i != l->path && i != l->label && i != l->group)
            l->values[n++] = csv->field[i];
    EVI_TRY(evi_name_list_add(&items->classes, &items->pool, label, &class_number));
    char *full = NULL;
    EVI_TRY(evi_path_join(items->ctx, path[0] == '/' ? "" : l->folder, path, &full));
    ev_status status = evi_items_add(items, full, NULL, class_number,
                                     l->group >= 0 ? csv->field[l->group] : NULL, l->values);
    evi_free(full);
    return status;
}

static ev_status read_rows(evi_csv *csv, evi_items *items, layout *l)
{
    EVI_TRY(read_header(csv, items, l));
    for (;;) {
        bool more = false;
        EVI_TRY(evi_csv_row(csv, &more));
        if (!more)
            break;
        EVI_TRY(add_row(csv, items, l));
    }
    return items->n > 0 ? EV_OK : evi_fail(EV_ERR_FORMAT, "the manifest has no rows");
}

/* "a/b/" of "a/b/c.csv". */
static ev_status folder_of(ev_context *ctx, const char *path, char **out)
{
    const char *slash = strrchr(path, '/');
    return evi_strndup(ctx, path, slash != NULL ? (uint64_t)(slash - path) + 1 : 0, out);
}

static ev_status read_manifest(evi_items *items, const char *path, char *text, uint64_t n)
{
    evi_csv csv;
    layout l = {0};
    evi_csv_start(&csv, items->ctx, text, n);
    ev_status status = folder_of(items->ctx, path, &l.folder);
    if (status == EV_OK) {
        status = read_rows(&csv, items, &l);
        if (status == EV_ERR_FORMAT)
            (void)evi_fail_in(status, "%s", path);
    }
    evi_free(l.folder);
    evi_free(l.values);
    evi_csv_end(&csv);
    return status;
}

ev_status ev_dataset_read_manifest(ev_context *ctx, const char *path,
                                   const ev_dataset_options *opt, ev_dataset **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_POINTER(path);
    ev_dataset_options o;
    EVI_OPTIONS_READ(&o, opt);
    EVI_CHECK_RESERVED(o.reserved, __func__);
    char *text = NULL;
    uint64_t n = 0;
    evi_items *items = NULL;
    EVI_TRY(evi_file_read(ctx, path, FILE_LIMIT, &text, &n));
    ev_status status = evi_items_create(ctx, &items);
    if (status == EV_OK)
        status = read_manifest(items, path, text, n);
    evi_free(text);
    if (status == EV_OK)
        status = evi_items_set_classes(items, &o, __func__);
    if (status == EV_OK)
        return evi_dataset_of_items(items, out);
    evi_items_release(items);
    return status;
}

/* ---- write ----------------------------------------------------------------------------------- */

/* The path from the root, without "." and doubled slashes. */
static ev_status absolute(ev_context *ctx, const char *path, evi_text *out)
{
    char here[4096];
    evi_text_start(out, ctx);
    if (path[0] != '/') {
        if (getcwd(here, sizeof(here)) == NULL)
            return evi_io_fail("working directory", "find", -errno);
        evi_text_add(out, "%s", strcmp(here, "/") == 0 ? "" : here);
    }
    evi_text_bytes(out, "", 0); /* there is a text, even of the root */
    while (*path != '\0') {
        size_t n = strcspn(path, "/");
        if (n > 0 && !(n == 1 && path[0] == '.')) {
            evi_text_bytes(out, "/", 1);
            evi_text_bytes(out, path, n);
        }
        path += n;
        path += *path == '/';
    }
    return out->status;
}

/* What to write for an item's path: the part below the manifest's folder, or all of it. */
static ev_status write_path(evi_text *to, const char *path, const evi_text *folder)
{
    evi_text full;
    ev_status status = absolute(to->ctx, path, &full);
    if (status == EV_OK) {
        uint64_t n = folder->length;
        bool below = full.length > n + 1 && (n == 0 || memcmp(full.data, folder->data, n) == 0) &&
                     full.data[n] == '/';
        evi_csv_write(to, full.data + (below ? n + 1 : 0));
        status = to->status;
    }
    evi_text_end(&full);
    return status;
}

static void write_header(evi_text *to, const ev_dataset *d)
{
    evi_text_add(to, "path,label,group");
    for (int32_t c = 0; c < d->items->columns.n; c++) {
        evi_text_add(to, ",");
        evi_csv_write(to, d->items->columns.text[c]);
    }
    evi_text_add(to, "\n");
}

static ev_status write_rows(evi_text *to, const ev_dataset *d, const evi_text *folder)
{
    write_header(to, d);
    for (int32_t i = 0; i < d->n; i++) {
        const char *path = ev_dataset_path(d, i), *group = ev_dataset_group(d, i);
        if (path == NULL)
            return evi_fail(EV_ERR_ARGUMENT, "ev_dataset_write_manifest: item %d has no path",
                            (int)i);
        EVI_TRY(write_path(to, path, folder));
        evi_text_add(to, ",");
        evi_csv_write(to, ev_dataset_class_name(d, ev_dataset_label(d, i)));
        evi_text_add(to, ",");
        evi_csv_write(to, group != NULL ? group : "");
        for (int32_t c = 0; c < d->items->columns.n; c++) {
            evi_text_add(to, ",");
            evi_csv_write(to, ev_dataset_value(d, i, c));
        }
        evi_text_add(to, "\n");
    }
    return to->status;
}

ev_status ev_dataset_write_manifest(const ev_dataset *dataset, const char *path)
{
    EVI_CHECK_HANDLE(dataset, EVI_MAGIC_DATASET);
    EVI_CHECK_POINTER(path);
    ev_context *ctx = dataset->handle.ctx;
    evi_text folder, text;
    char *relative = NULL;
    EVI_TRY(folder_of(ctx, path, &relative));
    evi_text_start(&text, ctx);
    ev_status status = absolute(ctx, relative, &folder);
    if (status == EV_OK)
        status = write_rows(&text, dataset, &folder);
    if (status == EV_OK)
        status = evi_file_write(ctx, path, text.data, text.length);
    evi_free(relative);
    evi_text_end(&folder);
    evi_text_end(&text);
    return status;
}
