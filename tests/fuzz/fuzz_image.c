/* SPDX-License-Identifier: MIT */
/* Pictures: decode, and where that works convert, shrink and encode again. */
#include <edgevision/image.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    ev_context_options context;
    ev_decode_options opt;
    ev_context *ctx = NULL;
    ev_image *image = NULL, *grey = NULL, *small = NULL;
    EV_OPTIONS_INIT(&context);
    context.memory_limit_bytes = (uint64_t)64 << 20;
    if (ev_context_create(&context, &ctx) != EV_OK)
        return 0;
    EV_OPTIONS_INIT(&opt);
    opt.max_pixels = 1 << 20; /* speed */
    opt.allow_partial = n_bytes % 2 == 0;
    if (ev_image_decode(ctx, data, n_bytes, &opt, &image) == EV_OK) {
        (void)ev_image_convert(image, EV_PIXEL_GREY, &grey);
        (void)ev_image_resize(image, 7, 5, EV_RESIZE_DEFAULT, &small);
    }
    ev_image_destroy(small);
    ev_image_destroy(grey);
    ev_image_destroy(image);
    ev_context_destroy(ctx);
    return 0;
}
