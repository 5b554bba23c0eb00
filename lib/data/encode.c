/* SPDX-License-Identifier: MIT */
/* Pictures to files, or to the caller's function. */
#include "data/image.h"
#include <string.h>

void evi_sink_write(evi_sink *sink, const void *bytes, uint64_t n)
{
    if (!sink->stopped && n > 0 && sink->write(sink->user, bytes, n) != 0)
        sink->stopped = true;
}

/* The format in which a kind of file takes its pixels. */
static int32_t file_format(int32_t file, int32_t format)
{
    if (format == EV_PIXEL_GREY || (file == EV_FILE_PNG && format == EV_PIXEL_RGBA))
        return format;
    return EV_PIXEL_RGB;
}

static ev_status encode(const ev_image *image, int32_t file, int32_t quality, evi_sink *sink)
{
    ev_image *plain = NULL;
    EVI_TRY(evi_image_as(image, file_format(file, image->format), &plain));
    ev_status status = file == EV_FILE_PNG    ? evi_encode_png(plain, sink)
                       : file == EV_FILE_JPEG ? evi_encode_jpeg(plain, quality, sink)
                                              : evi_encode_pnm(plain, sink);
    ev_image_destroy(plain);
    return status;
}

static ev_status check_quality(int32_t quality, const char *function)
{
    if (quality < 0 || quality > 100)
        return evi_fail(EV_ERR_ARGUMENT, "%s: quality %d is not 1..100", function, (int)quality);
    return EV_OK;
}

ev_status ev_image_encode(const ev_image *image, int32_t file, int32_t quality, ev_write_fn write,
                          void *user)
{
    EVI_CHECK_HANDLE(image, EVI_MAGIC_IMAGE);
    if (write == NULL)
        return evi_fail(EV_ERR_ARGUMENT, "%s: write is NULL", __func__);
    if (file < EV_FILE_PNG || file > EV_FILE_PNM)
        return evi_fail(EV_ERR_ARGUMENT, "%s: unknown kind of file %d", __func__, (int)file);
    EVI_TRY(check_quality(quality, __func__));
    evi_sink sink = {.write = write, .user = user};
    EVI_TRY(encode(image, file, quality == 0 ? 90 : quality, &sink));
    return sink.stopped ? evi_fail(EV_ERR_CANCELLED, "%s: write asked to stop", __func__) : EV_OK;
}

static bool ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    if (n < m)
        return false;
    for (size_t i = 0; i < m; i++) {
        char c = path[n - m + i];
        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != ending[i])
            return false;
    }
    return true;
}

static int32_t file_of_path(const char *path)
{
    if (ends_in(path, ".png"))
        return EV_FILE_PNG;
    if (ends_in(path, ".jpg") || ends_in(path, ".jpeg"))
        return EV_FILE_JPEG;
    return ends_in(path, ".ppm") || ends_in(path, ".pgm") || ends_in(path, ".pnm") ? EV_FILE_PNM
                                                                                    : 0;
}

/* What the callback needs: a failed write is kept for the end. */
typedef struct saving {
    evi_writer *writer;
    ev_status status;
} saving;

static int32_t save_bytes(void *user, const void *bytes, uint64_t n_bytes)
{
    saving *s = user;
    s->status = evi_writer_write(s->writer, bytes, n_bytes);
    return s->status == EV_OK ? 0 : 1;
}

ev_status ev_image_save(const ev_image *image, const char *path, int32_t quality)
{
    EVI_CHECK_HANDLE(image, EVI_MAGIC_IMAGE);
    EVI_CHECK_POINTER(path);
    EVI_TRY(check_quality(quality, __func__));
    int32_t file = file_of_path(path);
    if (file == 0)
        return evi_fail(EV_ERR_ARGUMENT, "%s: %s ends in no known kind of picture file", __func__,
                        path);
    saving s = {.status = EV_OK};
    EVI_TRY(evi_writer_open(image->handle.ctx, path, &s.writer));
    evi_sink sink = {.write = save_bytes, .user = &s};
    ev_status status = encode(image, file, quality == 0 ? 90 : quality, &sink);
    if (status == EV_OK)
        status = s.status;
    if (status == EV_OK)
        return evi_writer_commit(s.writer);
    evi_writer_abandon(s.writer);
    return status;
}
