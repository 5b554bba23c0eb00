/* SPDX-License-Identifier: MIT */
/*
 * Cut the same windows out of many frames of a fixed camera:
 *
 *     windows OUT WIDTHxHEIGHT X,Y,W,H... <paths
 *
 * Each picture named on stdin is resized to WIDTHxHEIGHT (what the camera gave) and cut;
 * OUT/NAME_xXyY.png is written for each window.
 */
#include <edgevision/image.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096, MAX_WINDOWS = 64 };

typedef struct window {
    int x, y, width, height;
} window;

static int check(ev_status status, const char *what)
{
    if (status != EV_OK) {
        fprintf(stderr, "windows: %s: %s: %s\n", what, ev_status_name(status), ev_last_error());
    }
    return status != EV_OK;
}

static int cut(const ev_image *frame, const char *folder, const char *path, const window *w)
{
    char out[PATH_BYTES];
    ev_image *part = NULL;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    snprintf(out, sizeof out, "%s/%.*s_x%03dy%03d.png", folder, (int)strcspn(name, "."), name, w->x,
             w->y);
    int bad = check(ev_image_crop(frame, w->x, w->y, w->width, w->height, &part), path) ||
              check(ev_image_save(part, out, 0), out);
    ev_image_destroy(part);
    return bad;
}

int main(int argc, char **argv)
{
    char path[PATH_BYTES];
    window windows[MAX_WINDOWS];
    int width = 0, height = 0, n = argc - 3, bad = 0;
    ev_context *ctx = NULL;
    if (n < 1 || n > MAX_WINDOWS || sscanf(argv[2], "%dx%d", &width, &height) != 2) {
        fputs("usage: windows OUT WIDTHxHEIGHT X,Y,W,H... <paths\n", stderr);
        return 2;
    }
    for (int i = 0; i < n; i++) {
        window *w = &windows[i];
        if (sscanf(argv[i + 3], "%d,%d,%d,%d", &w->x, &w->y, &w->width, &w->height) != 4) {
            fprintf(stderr, "windows: %s: must be X,Y,W,H\n", argv[i + 3]);
            return 2;
        }
    }
    bad = check(ev_context_create(NULL, &ctx), "start");
    while (!bad && fgets(path, sizeof path, stdin)) {
        ev_image *image = NULL, *frame = NULL;
        path[strcspn(path, "\n")] = 0;
        bad = check(ev_image_load(ctx, path, NULL, &image), path) ||
              check(ev_image_resize(image, width, height, EV_RESIZE_BILINEAR, &frame), path);
        for (int i = 0; i < n && !bad; i++) {
            bad = cut(frame, argv[1], path, &windows[i]);
        }
        ev_image_destroy(frame);
        ev_image_destroy(image);
    }
    ev_context_destroy(ctx);
    return bad;
}
