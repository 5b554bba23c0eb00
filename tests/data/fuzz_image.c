/* SPDX-License-Identifier: MIT */
/* libFuzzer target: any bytes as a picture; what decodes is resized and written again.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Iinclude
 *     -Ilib -D_DEFAULT_SOURCE -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION lib/base/?*.c
 *     lib/tensor/?*.c lib/data/?*.c tests/data/fuzz_image.c -lpthread -lm -o fuzz_image
 */
#include <edgevision/image.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static int32_t swallow(void *user, const void *bytes, uint64_t n)
{
    const uint8_t *p = bytes;
    *(uint32_t *)user += n > 0 ? p[n - 1] : 0u;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    ev_context *ctx = NULL;
    ev_image *image = NULL, *small = NULL;
    ev_context_options limits;
    ev_decode_options opt;
    uint32_t sum = 0;
    EV_OPTIONS_INIT(&limits);
    EV_OPTIONS_INIT(&opt);
    limits.memory_limit_bytes = (uint64_t)64 << 20;
    opt.max_pixels = 1 << 18;
    opt.format = n % 4 + 1;
    opt.allow_partial = (int32_t)(n >> 2 & 1);
    if (ev_context_create(&limits, &ctx) != EV_OK)
        return 0;
    if (ev_image_decode(ctx, bytes, n, &opt, &image) == EV_OK &&
        ev_image_resize(image, 5, 7, (int32_t)(n % 3 + 1), &small) == EV_OK)
        (void)ev_image_encode(small, (int32_t)(n % 3 + 1), 50, swallow, &sum);
    ev_image_destroy(image);
    ev_image_destroy(small);
    ev_context_destroy(ctx);
    return 0;
}
