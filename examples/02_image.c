/* SPDX-License-Identifier: MIT */
/*
 * 02: pictures, from a file and from a camera, to the floats that a net takes.
 *
 *     cc 02_image.c $(pkg-config --cflags --libs edgevision) && ./a.out [picture.jpg]
 *
 * Writes small.png: the picture at 96x96.  Without a picture it draws one.
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

/* Left half red, right half blue. */
static ev_status draw(ev_context *ctx, ev_image **out)
{
    ev_status status = ev_image_create(ctx, 320, 180, EV_PIXEL_RGB, out);
    if (status == EV_OK) {
        for (int y = 0; y < 180; y++) {
            uint8_t *row = ev_image_data(*out) + y * ev_image_stride(*out);
            for (int x = 0; x < 320; x++) {
                row[3 * x + (x < 160 ? 0 : 2)] = 200;
            }
        }
    }
    return status;
}

/* A camera gives a buffer, often NV12: wrap it, no copy; the library converts when it resizes. */
static int camera(ev_context *ctx, ev_tensor *tensor)
{
    static uint8_t buffer[64 * 48 * 3 / 2];
    ev_image *frame = NULL;
    memset(buffer, 126, sizeof buffer);                      /* Y: middle grey */
    memset(buffer + 64 * 48, 128, sizeof buffer - 64 * 48);  /* U and V: no colour */
    if (check(ev_image_wrap(ctx, 64, 48, EV_PIXEL_NV12, buffer, 0, sizeof buffer, &frame))) {
        return 1;
    }
    int bad = check(ev_image_to_tensor(frame, NULL, tensor, 1));
    ev_image_destroy(frame);
    return bad;
}

int main(int argc, char **argv)
{
    ev_context *ctx = NULL;
    ev_image *image = NULL, *small = NULL;
    ev_tensor *tensor = NULL;
    ev_pixel_options pixels;

    if (check(ev_context_create(NULL, &ctx))) {
        return 1;
    }
    if (check(argc > 1 ? ev_image_load(ctx, argv[1], NULL, &image) : draw(ctx, &image))) {
        return 1;
    }
    printf("picture: %dx%d\n", (int)ev_image_width(image), (int)ev_image_height(image));

    /* One resampler serves training and deployment; it gives the same bytes on every machine. */
    if (check(ev_image_resize(image, 96, 96, EV_RESIZE_BILINEAR, &small)) ||
        check(ev_image_save(small, "small.png", 0))) {
        return 1;
    }

    /* To a batch of two: [images, channels, rows, columns].  Resizing is done here too. */
    const int64_t dims[] = {2, 3, 96, 96};
    EV_OPTIONS_INIT(&pixels); /* all defaults, then what differs: */
    pixels.mean[0] = pixels.mean[1] = pixels.mean[2] = 0.5F;
    pixels.std[0] = pixels.std[1] = pixels.std[2] = 0.5F;
    if (check(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &tensor)) ||
        check(ev_image_to_tensor(image, &pixels, tensor, 0)) || camera(ctx, tensor)) {
        return 1;
    }
    const float *values = ev_tensor_data(tensor);
    printf("top left pixel: %.3f %.3f %.3f\n", (double)values[0], (double)values[96 * 96],
           (double)values[2 * 96 * 96]);
    printf("camera's grey:  %.3f\n", (double)values[3 * 96 * 96]);

    ev_tensor_destroy(tensor);
    ev_image_destroy(small);
    ev_image_destroy(image);
    ev_context_destroy(ctx);
    return 0;
}
