/* SPDX-License-Identifier: MIT */
/* Pictures with labels, in whatever form they lie on the disk. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static const char *const manifest_names[] = {"manifest.csv", "truth.csv", NULL};

/* Does a file in this folder, or in one in it, carry counts in its name, as the paper's authors
   write them? */
static bool has_count_names(const char *folder, int depth)
{
    char path[PATH_SIZE];
    DIR *d = opendir(folder);
    bool found = false;
    if (!d) {
        return false;
    }
    for (struct dirent *e = readdir(d); e && !found; e = readdir(d)) {
        found = strstr(e->d_name, "persons_") && strstr(e->d_name, "_dogs_") &&
                strstr(e->d_name, "_bikes_");
        if (!found && depth > 0 && e->d_name[0] != '.' &&
            is_folder(path_join(path, folder, e->d_name))) {
            found = has_count_names(path, depth - 1);
        }
    }
    closedir(d);
    return found;
}

static ev_status read_data(ev_context *ctx, const char *path, const ev_dataset_options *opt,
                           ev_dataset **out)
{
    char inside[PATH_SIZE];
    if (!is_folder(path)) {
        return ev_dataset_read_manifest(ctx, path, opt, out);
    }
    for (int i = 0; manifest_names[i]; i++) {
        if (file_exists(path_join(inside, path, manifest_names[i]))) {
            return ev_dataset_read_manifest(ctx, inside, opt, out);
        }
    }
    if (has_count_names(path, 1)) {
        return ev_dataset_scan_counts(ctx, path, out);
    }
    return ev_dataset_scan(ctx, path, opt, out);
}

int open_data_named(ev_context *ctx, const char *path, int32_t n_classes,
                    const char *const *class_names, ev_dataset **out)
{
    ev_dataset_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.n_classes = n_classes;
    opt.class_names = class_names;
    ev_status status = read_data(ctx, path, &opt, out);
    if (status != EV_OK) {
        return fail_status(EXIT_DATA, status,
                           "wanted is a folder with one folder of pictures per class, or a CSV "
                           "file with the columns path,label");
    }
    if (ev_dataset_size(*out) == 0) {
        ev_dataset_destroy(*out);
        *out = NULL;
        return fail(EXIT_DATA, "%s: no pictures", path);
    }
    return 0;
}

int open_data(ev_context *ctx, const char *path, const ev_model *classes_of, ev_dataset **out)
{
    int32_t n = classes_of ? ev_model_n_classes(classes_of) : 0;
    const char **names = n ? calloc((size_t)n, sizeof *names) : NULL;
    if (n && !names) {
        return fail(EXIT_MEMORY, "out of memory");
    }
    for (int32_t i = 0; i < n; i++) {
        names[i] = ev_model_class_name(classes_of, i);
    }
    int code = open_data_named(ctx, path, n, names, out);
    free(names);
    return code;
}

const char **dataset_classes(const ev_dataset *data)
{
    int32_t n = ev_dataset_classes(data);
    const char **names = calloc((size_t)n + 1, sizeof *names);
    for (int32_t i = 0; names && i < n; i++) {
        names[i] = ev_dataset_class_name(data, i);
    }
    return names;
}

int split_data(const ev_dataset *data, const number_list *fractions, int kind, uint64_t seed,
               ev_dataset **parts)
{
    ev_status status = ev_dataset_split(data, fractions->value, fractions->n, kind, seed, parts);
    return status == EV_OK ? 0 : fail_status(EXIT_DATA, status, NULL);
}
