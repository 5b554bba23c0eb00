/* SPDX-License-Identifier: MIT */
/*
 * 05: cap a class, split by pictures and by clips, look for leaks.
 *
 *     cc 05_split.c $(pkg-config --cflags --libs edgevision) && ./a.out [folder or manifest.csv]
 *
 * Frames of one clip look alike.  A split picture by picture puts some of them into the training
 * set and their neighbours into the test set, and the test flatters.  A grouped split keeps clips
 * whole.
 */
#include <edgevision/edgevision.h>
#include <stdio.h>
#include <string.h>

static int check(ev_status status)
{
    if (status != EV_OK) {
        fprintf(stderr, "%s: %s\n", ev_status_name(status), ev_last_error());
    }
    return status != EV_OK;
}

/* 60 clips of 10 frames; two of three clips are empty. */
static ev_status make_data(ev_context *ctx, ev_dataset **out)
{
    static const char *const names[] = {"empty", "pedestrian", "bicyclist"};
    ev_status status = ev_dataset_create(ctx, 3, names, out);
    for (int i = 0; i < 600 && status == EV_OK; i++) {
        char path[64], clip[16];
        int32_t label = i / 10 % 3 == 0 ? 1 + i / 30 % 2 : 0;
        snprintf(clip, sizeof clip, "clip%02d", i / 10);
        snprintf(path, sizeof path, "%s/%s/%d.jpg", names[label], clip, i % 10);
        status = ev_dataset_add_path(*out, path, label, clip);
    }
    return status;
}

static ev_status open_data(ev_context *ctx, const char *path, ev_dataset **out)
{
    size_t n = strlen(path);
    if (n > 4 && strcmp(path + n - 4, ".csv") == 0) {
        return ev_dataset_read_manifest(ctx, path, NULL, out);
    }
    return ev_dataset_scan(ctx, path, NULL, out);
}

static void print_counts(const char *what, const ev_dataset *data)
{
    printf("%-8s %4d pictures:", what, (int)ev_dataset_size(data));
    for (int32_t c = 0; c < ev_dataset_classes(data); c++) {
        printf("  %s %d", ev_dataset_class_name(data, c), (int)ev_dataset_class_count(data, c));
    }
    putchar('\n');
}

static int split(const ev_dataset *data, int32_t kind, const char *what)
{
    static const char *const names[] = {" train", " valid", " test"};
    static const double shares[] = {64, 16, 20};
    ev_dataset *part[3];
    ev_leak_report leaks;
    EV_OPTIONS_INIT(&leaks);
    if (check(ev_dataset_split(data, shares, 3, kind, 1, part))) {
        return 1;
    }
    printf("%s:\n", what);
    for (int i = 0; i < 3; i++) {
        print_counts(names[i], part[i]);
    }
    int bad = check(ev_dataset_leaks(part[0], part[2], &leaks));
    if (!bad) {
        printf(" clips on both sides of train and test: %d\n", (int)leaks.shared_groups);
    }
    for (int i = 0; i < 3; i++) {
        ev_dataset_destroy(part[i]);
    }
    return bad;
}

int main(int argc, char **argv)
{
    ev_context *ctx = NULL;
    ev_dataset *data = NULL, *capped = NULL;

    if (check(ev_context_create(NULL, &ctx)) ||
        check(argc > 1 ? open_data(ctx, argv[1], &data) : make_data(ctx, &data))) {
        return 1;
    }
    print_counts("all", data);

    /* No more empty pictures than the largest other class has: limit 0 says so. */
    int32_t empty = ev_dataset_class_index(data, "empty");
    if (check(ev_dataset_cap(data, empty, 0, 1, &capped))) {
        return 1;
    }
    print_counts("capped", capped);
    int bad = split(capped, EV_SPLIT_STRATIFIED, "picture by picture") ||
              split(capped, EV_SPLIT_GROUPED, "by clip");

    ev_dataset_destroy(capped);
    ev_dataset_destroy(data);
    ev_context_destroy(ctx);
    return bad;
}
