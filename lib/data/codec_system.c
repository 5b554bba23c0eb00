/* SPDX-License-Identifier: MIT */
/* Reading JPEG through the system's libjpeg-turbo (-Dcodecs=system), for those who would rather
 * have a library that their distribution looks after.  Its memory is not counted by the context. */
#include "data/image.h"

#if defined(EVI_CODECS_SYSTEM)
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

/* libjpeg's own way out of an error is exit(); ours is back to where the call began. */
typedef struct failure {
    struct jpeg_error_mgr base;
    jmp_buf back;
    char line[JMSG_LENGTH_MAX];
} failure;

static void leave(j_common_ptr state)
{
    failure *f = (failure *)state->err;
    f->base.format_message(state, f->line);
    longjmp(f->back, 1);
}

static void be_quiet(j_common_ptr state)
{
    (void)state;
}

static void read_rows(struct jpeg_decompress_struct *state, ev_image *image)
{
    (void)jpeg_start_decompress(state);
    while (state->output_scanline < state->output_height) {
        JSAMPROW row = evi_image_row(image, state->output_scanline);
        (void)jpeg_read_scanlines(state, &row, 1);
    }
    (void)jpeg_finish_decompress(state);
}

/* All that libjpeg does; false when it gave up.  Nothing here is changed after setjmp(). */
static bool run_decoder(const evi_decode *d, struct jpeg_decompress_struct *state, failure *f,
                        ev_image *image)
{
    state->err = jpeg_std_error(&f->base);
    f->base.error_exit = leave;
    f->base.output_message = be_quiet;
    if (setjmp(f->back) != 0)
        return false;
    jpeg_create_decompress(state);
    jpeg_mem_src(state, d->bytes, (unsigned long)d->n_bytes);
    (void)jpeg_read_header(state, TRUE);
    if (state->image_width != (JDIMENSION)image->width ||
        state->image_height != (JDIMENSION)image->height || state->num_components == 4) {
        (void)snprintf(f->line, sizeof(f->line), "CMYK, or two sizes");
        return false;
    }
    state->out_color_space = image->format == EV_PIXEL_GREY ? JCS_GRAYSCALE : JCS_RGB;
    state->dct_method = JDCT_ISLOW;
    read_rows(state, image);
    return true;
}

ev_status evi_decode_jpeg(const evi_decode *d, ev_image **out)
{
    evi_jpeg_info info;
    ev_image *made = NULL;
    failure *f = NULL;
    struct jpeg_decompress_struct state = {0};
    EVI_TRY(evi_jpeg_check(d, &info));
    int32_t format = info.components == 1 ? EV_PIXEL_GREY : EV_PIXEL_RGB;
    EVI_TRY(evi_image_new(d->ctx, info.width, info.height, format, &made));
    ev_status status = evi_calloc(d->ctx, 1, sizeof(*f), &f);
    if (status == EV_OK) {
        bool done = run_decoder(d, &state, f, made);
        long warnings = f->base.num_warnings;
        jpeg_destroy_decompress(&state);
        if (!done)
            status = evi_fail(EV_ERR_FORMAT, "JPEG: %s", f->line);
        else if (warnings > 0 && !d->allow_partial)
            status = evi_fail(EV_ERR_FORMAT, "JPEG: damaged picture data");
    }
    if (status == EV_OK)
        status = evi_image_as(made, d->format, out);
    evi_free(f);
    ev_image_destroy(made);
    return status;
}

#endif
