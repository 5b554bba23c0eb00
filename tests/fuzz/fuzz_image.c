/* SPDX-License-Identifier: MIT */
/* Pictures: decode, and where that works convert, shrink and encode again. */
#include <edgevision/image.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static int32_t swallow(void *user, const void *bytes, uint64_t n)
{
    (void)user;
    return bytes == NULL && n > 0;
}

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
    opt.format = (int32_t)(n_bytes >> 1 & 3) + 1;
    if (ev_image_decode(ctx, data, n_bytes, &opt, &image) == EV_OK) {
        (void)ev_image_convert(image, EV_PIXEL_GREY, &grey);
        if (ev_image_resize(image, 7, 5, (int32_t)(n_bytes % 4), &small) == EV_OK)
            (void)ev_image_encode(small, (int32_t)(n_bytes % 3) + 1, 50, swallow, NULL);
    }
    ev_image_destroy(small);
    ev_image_destroy(grey);
    ev_image_destroy(image);
    ev_context_destroy(ctx);
    return 0;
}
