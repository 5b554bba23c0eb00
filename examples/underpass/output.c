/* SPDX-License-Identifier: MIT */
/* Pictures, folders and the manifest on disk. */
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define STBI_WRITE_NO_STDIO
#include "stb_header.h"

typedef struct sink {
    FILE *file;
    bool  failed;
} sink;

static void sink_write(void *user, void *data, int size)
{
    sink *s = user;
    if (!s->failed && fwrite(data, 1, (size_t)size, s->file) != (size_t)size)
        s->failed = true;
}

static bool encode(sink *s, int format, int quality, int width, int height, const uint8_t *rgb)
{
    if (format == OUTPUT_PNG)
        return stbi_write_png_to_func(sink_write, s, width, height, 3, rgb, 3 * width) != 0;
    if (format == OUTPUT_JPG)
        return stbi_write_jpg_to_func(sink_write, s, width, height, 3, rgb, quality) != 0;
    size_t n = 3 * (size_t)width * (size_t)height;
    return fprintf(s->file, "P6\n%d %d\n255\n", width, height) > 0 &&
           fwrite(rgb, 1, n, s->file) == n;
}

bool output_picture(const char *path, int format, int quality, int width, int height,
                    const uint8_t *rgb)
{
    sink s = {.file = fopen(path, "wb")};

    if (!s.file)
        return false;
    bool done = encode(&s, format, quality, width, height, rgb) && !s.failed;
    /* A full disk may show only when the buffer is flushed. */
    if (fclose(s.file) != 0)
        done = false;
    return done;
}

bool output_folder(const char *path)
{
    char   part[4096];
    size_t n = strlen(path);

    if (n == 0 || n >= sizeof part) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char kept = part[i];
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return false;
        part[i] = kept;
    }
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
    errno = ENOTDIR;
    return S_ISDIR(st.st_mode);
}

void output_path(const campaign *c, const campaign_frame *f, int layout, int format, char *out,
                 size_t out_bytes)
{
    static const char *const suffix[] = {"png", "jpg", "ppm"};
    const clip *k = &c->clips[f->clip];

    if (layout == LAYOUT_CLIPS)
        snprintf(out, out_bytes, "c%04d/%03d.%s", k->id, f->second, suffix[format]);
    else
        snprintf(out, out_bytes, "%s/c%04d_%03d.%s",
                 layout == LAYOUT_FRAMES              ? "frames"
                 : f->truth.drop != SCENE_KEEP        ? "dropped"
                                                      : scene_label_name(f->truth.label),
                 k->id, f->second, suffix[format]);
}

/* A number with three decimals.  printf would ask the locale for the decimal point. */
static void put_number(FILE *out, float value)
{
    long thousandths = (long)((double)value * 1000.0 + (value < 0 ? -0.5 : 0.5));
    long whole = labs(thousandths) / 1000, rest = labs(thousandths) % 1000;

    fprintf(out, ",%s%ld.%03ld", thousandths < 0 ? "-" : "", whole, rest);
}

static void put_row(FILE *out, const campaign *c, const campaign_frame *f, int layout, int format,
                    float scale_x, float scale_y)
{
    const clip        *k = &c->clips[f->clip];
    const scene_truth *t = &f->truth;
    char               path[128];
    int                clock = (int)(k->hour * 3600.0f) + (int)k->begin_s + f->second;

    clock = (clock + 86400) % 86400;
    output_path(c, f, layout, format, path, sizeof path);
    fprintf(out, "%s,%s,c%04d,%02d:%02d:%02d", path, scene_label_name(t->label), k->id,
            clock / 3600, clock / 60 % 60, clock % 60);
    put_number(out, t->x0 * scale_x);
    put_number(out, t->y0 * scale_y);
    put_number(out, t->x1 * scale_x);
    put_number(out, t->y1 * scale_y);
    put_number(out, t->distance_m);
    put_number(out, t->visible_share);
    fprintf(out, ",%d,%s,%d,%d,%d", (int)t->n_objects, scene_domain_name(k->domain),
            (int)t->persons, (int)t->dogs, (int)t->bicycles);
    put_number(out, t->dog_share);
    fprintf(out, ",%s\n", scene_drop_name(t->drop));
}

bool output_truth(const char *path, const campaign *c, int layout, int format, int width,
                  int height)
{
    FILE *out = fopen(path, "wb");

    if (!out)
        return false;
    fputs("path,label,clip,time,x0,y0,x1,y1,distance_m,visible_share,n_objects,domain,persons,"
          "dogs,bicycles,dog_share,dropped\n", out);
    for (size_t i = 0; i < c->n_frames; i++)
        put_row(out, c, &c->frames[i], layout, format, (float)width / SCENE_NOMINAL_WIDTH,
                (float)height / SCENE_NOMINAL_HEIGHT);
    bool done = !ferror(out);
    if (fclose(out) != 0)
        done = false;
    return done;
}
