/* SPDX-License-Identifier: MIT */
/* Pictures: objects, formats, resampling, tensors, files. */
#include <edgevision/image.h>
#include <math.h>
#include "support.h"

static ev_context *ctx;

static void setup(void)
{
    ctx = t_context(NULL, 1);
}

static void teardown(void)
{
    ev_context_destroy(ctx);
}

static ev_image *noise(int32_t width, int32_t height, int32_t format, uint64_t seed)
{
    ev_image *image = NULL;
    t_ok(ev_image_create(ctx, width, height, format, &image));
    for (int64_t i = 0; i < ev_image_stride(image) * height; i++)
        ev_image_data(image)[i] = (uint8_t)t_random(&seed);
    return image;
}

static bool same(const ev_image *a, const ev_image *b)
{
    return ev_image_width(a) == ev_image_width(b) && ev_image_height(a) == ev_image_height(b) &&
           ev_image_format(a) == ev_image_format(b) && ev_image_stride(a) == ev_image_stride(b) &&
           memcmp(ev_image_data(a), ev_image_data(b),
                  (size_t)(ev_image_stride(a) * ev_image_height(a))) == 0;
}

START_TEST(objects)
{
    ev_image *image = NULL, *part = NULL, *turned = NULL;
    t_ok(ev_image_create(ctx, 7, 5, EV_PIXEL_DEFAULT, &image));
    ck_assert_int_eq(ev_image_width(image), 7);
    ck_assert_int_eq(ev_image_height(image), 5);
    ck_assert_int_eq(ev_image_format(image), EV_PIXEL_RGB);
    ck_assert_int_eq(ev_image_stride(image), 21);
    ck_assert_ptr_eq(ev_image_ref(image), image);
    ev_image_destroy(image);
    ev_image_data(image)[2 * 21 + 3 * 3 + 1] = 77; /* pixel (3,2), green */
    t_ok(ev_image_crop(image, 3, 2, 2, 3, &part));
    ck_assert_int_eq(ev_image_data(part)[1], 77);
    t_ok(ev_image_flip(part, 0, &turned));
    ck_assert_int_eq(ev_image_data(turned)[4], 77);
    ev_image_destroy(turned);
    t_ok(ev_image_flip(part, 1, &turned));
    ck_assert_int_eq(ev_image_data(turned)[2 * 6 + 1], 77);
    ev_image_destroy(turned);
    t_status(ev_image_crop(image, 3, 2, 5, 3, &turned), EV_ERR_ARGUMENT);
    t_status(ev_image_crop(image, -1, 0, 1, 1, &turned), EV_ERR_ARGUMENT);
    t_status(ev_image_crop(image, INT32_MAX, 0, 1, 1, &turned), EV_ERR_ARGUMENT);
    ck_assert_ptr_null(turned);
    ev_image_destroy(part);
    ev_image_destroy(image);
    ev_image_destroy(NULL);
    ck_assert_ptr_null(ev_image_ref(NULL));
    ck_assert_ptr_null(ev_image_data(NULL));
    ck_assert_int_eq(ev_image_width(NULL) + ev_image_height(NULL) + ev_image_format(NULL), 0);
}
END_TEST

START_TEST(arguments)
{
    ev_image *image = NULL;
    uint8_t bytes[64] = {0};
    static const int32_t sizes[][2] = {{0, 1},     {1, 0},     {-1, 5},
                                       {65536, 1}, {1, 65536}, {8193, 8193}};
    for (int i = 0; i < 6; i++)
        t_status(ev_image_create(ctx, sizes[i][0], sizes[i][1], EV_PIXEL_RGB, &image),
                 EV_ERR_ARGUMENT);
    t_status(ev_image_create(ctx, 3, 2, EV_PIXEL_NV12, &image), EV_ERR_ARGUMENT);
    t_status(ev_image_create(ctx, 2, 3, EV_PIXEL_NV12, &image), EV_ERR_ARGUMENT);
    t_status(ev_image_create(ctx, 3, 2, EV_PIXEL_YUYV, &image), EV_ERR_ARGUMENT);
    t_status(ev_image_create(ctx, 3, 2, 99, &image), EV_ERR_ARGUMENT);
    t_status(ev_image_create(NULL, 3, 2, 1, &image), EV_ERR_ARGUMENT);
    t_status(ev_image_create(ctx, 3, 2, 1, NULL), EV_ERR_ARGUMENT);
    t_status(ev_image_wrap(ctx, 4, 4, EV_PIXEL_RGB, bytes, 11, 64, &image), EV_ERR_ARGUMENT);
    t_status(ev_image_wrap(ctx, 4, 4, EV_PIXEL_RGB, bytes, 0, 47, &image), EV_ERR_ARGUMENT);
    t_status(ev_image_wrap(ctx, 4, 4, EV_PIXEL_RGB, NULL, 0, 48, &image), EV_ERR_ARGUMENT);
    t_status(ev_image_wrap(ctx, 4, 4, EV_PIXEL_RGB, bytes, INT64_MAX, 48, &image), EV_ERR_ARGUMENT);
    t_ok(ev_image_wrap(ctx, 4, 4, EV_PIXEL_RGB, bytes, 0, 48, &image));
    ck_assert_ptr_eq(ev_image_data(image), bytes);
    ev_image *out = NULL;
    t_status(ev_image_convert(image, EV_PIXEL_NV12, &out), EV_ERR_ARGUMENT);
    t_status(ev_image_resize(image, 0, 4, 0, &out), EV_ERR_ARGUMENT);
    t_status(ev_image_resize(image, 4, 4, 9, &out), EV_ERR_ARGUMENT);
    t_status(ev_image_resize(image, 65536, 4, 0, &out), EV_ERR_ARGUMENT);
    t_status(ev_image_resize(NULL, 4, 4, 0, &out), EV_ERR_ARGUMENT);
    t_status(ev_image_save(image, "/tmp/x.gif", 0), EV_ERR_ARGUMENT);
    t_status(ev_image_save(image, "/nonexistent-folder/x.png", 0), EV_ERR_IO);
    t_status(ev_image_save(image, "x.jpg", 101), EV_ERR_ARGUMENT);
    t_status(ev_image_load(ctx, "/nonexistent-folder/x.png", NULL, &out), EV_ERR_IO);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "/nonexistent-folder/x.png"));
    t_status(ev_image_decode(ctx, bytes, 64, NULL, &out), EV_ERR_FORMAT);
    t_status(ev_image_decode(ctx, bytes, 0, NULL, &out), EV_ERR_FORMAT);
    ev_image_destroy(image);
}
END_TEST

/* BT.601 by the formula of the header, a pixel at a time. */
static void yuv(int y, int u, int v, uint8_t rgb[3])
{
    int c = y - 16, d = u - 128, e = v - 128;
    int value[3] = {298 * c + 409 * e + 128, 298 * c - 100 * d - 208 * e + 128,
                    298 * c + 516 * d + 128};
    for (int i = 0; i < 3; i++) {
        int w = (int)floor(value[i] / 256.0);
        rgb[i] = (uint8_t)(w < 0 ? 0 : w > 255 ? 255 : w);
    }
}

START_TEST(camera_formats)
{
    enum { W = 6, H = 4, STRIDE = 11 };
    uint8_t y[H * STRIDE], uv[H / 2 * STRIDE], yuyv[H * 16];
    uint64_t seed = 5;
    for (size_t i = 0; i < sizeof(y); i++)
        y[i] = (uint8_t)t_random(&seed);
    for (size_t i = 0; i < sizeof(uv); i++)
        uv[i] = (uint8_t)t_random(&seed);
    for (size_t i = 0; i < sizeof(yuyv); i++)
        yuyv[i] = (uint8_t)t_random(&seed);
    ev_image *nv12 = NULL, *packed = NULL, *a = NULL, *b = NULL;
    t_ok(ev_image_wrap_nv12(ctx, W, H, y, STRIDE, uv, STRIDE, &nv12));
    t_ok(ev_image_wrap(ctx, W, H, EV_PIXEL_YUYV, yuyv, 16, sizeof(yuyv) - 4, &packed));
    t_ok(ev_image_convert(nv12, EV_PIXEL_RGB, &a));
    t_ok(ev_image_convert(packed, EV_PIXEL_BGR, &b));
    for (int j = 0; j < H; j++)
        for (int i = 0; i < W; i++) {
            uint8_t want[3];
            const uint8_t *chroma = uv + j / 2 * STRIDE + i / 2 * 2;
            yuv(y[j * STRIDE + i], chroma[0], chroma[1], want);
            ck_assert_mem_eq(ev_image_data(a) + j * W * 3 + i * 3, want, 3);
            const uint8_t *p = yuyv + j * 16 + i / 2 * 4;
            yuv(p[i % 2 * 2], p[1], p[3], want);
            for (int c = 0; c < 3; c++)
                ck_assert_int_eq(ev_image_data(b)[j * W * 3 + i * 3 + 2 - c], want[c]);
        }
    ev_image_destroy(a);
    /* one buffer for both planes is the same picture */
    uint8_t joined[(H + H / 2) * STRIDE];
    memcpy(joined, y, sizeof(y));
    memcpy(joined + sizeof(y), uv, sizeof(uv));
    ev_image *whole = NULL, *c = NULL, *d = NULL;
    t_ok(ev_image_wrap(ctx, W, H, EV_PIXEL_NV12, joined, STRIDE, sizeof(joined), &whole));
    t_ok(ev_image_resize(whole, 5, 3, EV_RESIZE_AREA, &c));
    t_ok(ev_image_resize(nv12, 5, 3, EV_RESIZE_AREA, &d));
    ck_assert(same(c, d));
    ck_assert_int_eq(ev_image_format(c), EV_PIXEL_RGB);
    ev_image_destroy(whole);
    ev_image_destroy(c);
    ev_image_destroy(d);
    ev_image_destroy(b);
    ev_image_destroy(nv12);
    ev_image_destroy(packed);
}
END_TEST

START_TEST(plain_formats)
{
    static const int32_t formats[] = {EV_PIXEL_RGB, EV_PIXEL_BGR, EV_PIXEL_RGBA, EV_PIXEL_GREY};
    ev_image *rgb = noise(9, 4, EV_PIXEL_RGB, 3), *back = NULL;
    for (int i = 0; i < 4; i++) {
        ev_image *other = NULL;
        t_ok(ev_image_convert(rgb, formats[i], &other));
        t_ok(ev_image_convert(other, EV_PIXEL_RGB, &back));
        if (formats[i] != EV_PIXEL_GREY)
            ck_assert(same(rgb, back));
        const uint8_t *p = ev_image_data(rgb), *q = ev_image_data(back);
        int grey = (299 * p[3] + 587 * p[4] + 114 * p[5] + 500) / 1000;
        if (formats[i] == EV_PIXEL_GREY)
            ck_assert(q[3] == grey && q[4] == grey && q[5] == grey);
        ev_image_destroy(other);
        ev_image_destroy(back);
    }
    ev_image_destroy(rgb);
}
END_TEST

/* ---- resampling ------------------------------------------------------------------------------ */

static double kernel(int32_t mode, double t)
{
    t = fabs(t);
    if (mode == EV_RESIZE_BILINEAR)
        return t < 1 ? 1 - t : 0;
    if (t <= 1)
        return 1.5 * t * t * t - 2.5 * t * t + 1;
    return t < 2 ? -0.5 * t * t * t + 2.5 * t * t - 4 * t + 2 : 0;
}

/* Weights of output i by the formula of the header, in double. */
static void weights(int32_t mode, int n_in, int n_out, int i, double *w)
{
    double s = (double)n_in / n_out, u = s > 1 ? s : 1, sum = 0;
    for (int j = 0; j < n_in; j++) {
        double low = fmax(j, i * s), high = fmin(j + 1, (i + 1) * s);
        double t = (j + 0.5 - (i + 0.5) * s) / u;
        w[j] = mode == EV_RESIZE_AREA ? fmax(high - low, 0) : kernel(mode, t);
        sum += w[j];
    }
    for (int j = 0; j < n_in; j++)
        w[j] /= sum;
}

static double reference_pixel(const ev_image *image, const double *wx, const double *wy, int c,
                              int channels)
{
    double sum = 0;
    for (int y = 0; y < ev_image_height(image); y++)
        for (int x = 0; wy[y] != 0 && x < ev_image_width(image); x++)
            sum += wy[y] * wx[x] *
                   ev_image_data(image)[y * ev_image_stride(image) + x * channels + c];
    return fmin(fmax(sum, 0), 255);
}

START_TEST(resize_formula)
{
    static const int sizes[][4] = {{13, 9, 5, 4},  {5, 4, 13, 9}, {17, 3, 4, 11}, {1, 1, 6, 5},
                                   {64, 48, 7, 6}, {7, 6, 7, 6},  {30, 20, 1, 1}, {9, 31, 8, 30}};
    static const int32_t formats[] = {EV_PIXEL_RGB, EV_PIXEL_GREY, EV_PIXEL_RGBA};
    double worst = 0, wx[64], wy[64], total = 0, n = 0;
    for (int k = 0; k < 8 * 3 * 3; k++) {
        const int *z = sizes[k % 8];
        int32_t mode = EV_RESIZE_AREA + k / 8 % 3, format = formats[k / 24];
        int channels = format == EV_PIXEL_RGB ? 3 : format == EV_PIXEL_GREY ? 1 : 4;
        ev_image *from = noise(z[0], z[1], format, (uint64_t)k + 1), *to = NULL;
        t_ok(ev_image_resize(from, z[2], z[3], mode, &to));
        for (int y = 0; y < z[3]; y++)
            for (int x = 0; x < z[2]; x++) {
                weights(mode, z[0], z[2], x, wx);
                weights(mode, z[1], z[3], y, wy);
                for (int c = 0; c < channels; c++) {
                    double want = reference_pixel(from, wx, wy, c, channels);
                    double off = fabs(ev_image_data(to)[(y * z[2] + x) * channels + c] - want);
                    worst = fmax(worst, off);
                    total += off;
                    n++;
                }
            }
        if (z[0] == z[2] && z[1] == z[3])
            ck_assert(same(from, to)); /* nothing to do: nothing done */
        ev_image_destroy(from);
        ev_image_destroy(to);
    }
    printf("resize: off by %.3f at most, %.3f on average (rounding alone: 0.5, 0.25)\n", worst,
           total / n);
    fflush(stdout);
    ck_assert(worst < 0.6);
    ck_assert(total / n < 0.27);
}
END_TEST

static uint64_t fnv1a(const ev_image *image)
{
    uint64_t h = 14695981039346656037u;
    for (int64_t i = 0; i < ev_image_stride(image) * ev_image_height(image); i++)
        h = (h ^ ev_image_data(image)[i]) * 1099511628211u;
    return h;
}

/* The same bytes on every processor: these sums were made on x86-64. */
START_TEST(resize_bits)
{
    static const uint64_t want[3] = {0x3e07368e8644bb9f, 0x2e8d95656d31333c, 0xa9a058df98997d3f};
    ev_image *from = noise(191, 107, EV_PIXEL_RGB, 42);
    for (int32_t mode = EV_RESIZE_AREA; mode <= EV_RESIZE_BICUBIC; mode++) {
        ev_image *small = NULL, *large = NULL;
        t_ok(ev_image_resize(from, 56, 48, mode, &small));
        t_ok(ev_image_resize(small, 101, 83, mode, &large));
        uint64_t got = fnv1a(small) ^ fnv1a(large) * 3;
        if (got != want[mode - 1])
            ck_abort_msg("mode %d: %llx", (int)mode, (unsigned long long)got);
        ev_image_destroy(small);
        ev_image_destroy(large);
    }
    ev_image_destroy(from);
}
END_TEST

START_TEST(resize_extremes)
{
    ev_image *from = NULL, *to = NULL;
    t_ok(ev_image_create(ctx, 65535, 1, EV_PIXEL_GREY, &from));
    memset(ev_image_data(from), 200, 65535);
    for (int32_t mode = EV_RESIZE_AREA; mode <= EV_RESIZE_BICUBIC; mode++) {
        t_ok(ev_image_resize(from, 1, 1000, mode, &to));
        for (int i = 0; i < 1000; i++)
            ck_assert_int_eq(ev_image_data(to)[i], 200);
        ev_image_destroy(to);
        t_ok(ev_image_resize(from, 65534, 3, mode, &to));
        for (int i = 0; i < 65534 * 3; i++)
            ck_assert_int_eq(ev_image_data(to)[i], 200);
        ev_image_destroy(to);
    }
    ev_image_destroy(from);
    t_ok(ev_image_create(ctx, 1, 65535, EV_PIXEL_GREY, &from));
    t_status(ev_image_resize(from, 65535, 1, 0, &to), EV_ERR_ARGUMENT);
    ev_image_destroy(from);
}
END_TEST

/* ---- tensors --------------------------------------------------------------------------------- */

START_TEST(tensors)
{
    const int64_t dims[4] = {2, 3, 4, 6};
    ev_tensor *tensor = NULL;
    ev_image *image = noise(6, 4, EV_PIXEL_BGR, 8), *back = NULL, *rgb = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &tensor));
    ev_pixel_options opt;
    EV_OPTIONS_INIT(&opt);
    for (int c = 0; c < 3; c++) {
        opt.mean[c] = 0.4f + 0.1f * (float)c;
        opt.std[c] = 0.2f + 0.1f * (float)c;
    }
    for (int order = 0; order < 3; order++) {
        opt.color_order = order;
        t_ok(ev_image_to_tensor(image, &opt, tensor, 1));
        const float *v = (const float *)ev_tensor_data(tensor) + 72;
        for (int i = 0; i < 24; i++)
            for (int c = 0; c < 3; c++) {
                int channel = order == EV_PIXEL_BGR ? c : 2 - c;
                double p = ev_image_data(image)[i * 3 + channel];
                float want = (float)((p / 255.0 - (double)opt.mean[c]) / (double)opt.std[c]);
                ck_assert(v[c * 24 + i] == want);
            }
        ck_assert(((const float *)ev_tensor_data(tensor))[0] == 0.0f);
        t_ok(ev_tensor_to_image(tensor, 1, &opt, &back));
        t_ok(ev_image_convert(image, EV_PIXEL_RGB, &rgb));
        ck_assert(same(rgb, back));
        ev_image_destroy(back);
        ev_image_destroy(rgb);
    }
    ((float *)ev_tensor_data(tensor))[0] = NAN;
    ((float *)ev_tensor_data(tensor))[1] = INFINITY;
    t_ok(ev_tensor_to_image(tensor, 0, NULL, &back));
    ck_assert(ev_image_data(back)[0] == 0 && ev_image_data(back)[3] == 255);
    ev_image_destroy(back);
    t_status(ev_image_to_tensor(image, &opt, tensor, 2), EV_ERR_ARGUMENT);
    t_status(ev_image_to_tensor(image, &opt, tensor, -1), EV_ERR_ARGUMENT);
    opt.std[1] = -1;
    t_status(ev_image_to_tensor(image, &opt, tensor, 0), EV_ERR_ARGUMENT);
    ev_image_destroy(image);
    ev_tensor_destroy(tensor);
}
END_TEST

START_TEST(tensor_resizes)
{
    const int64_t dims[4] = {1, 1, 5, 7}, wrong[3] = {3, 5, 7};
    ev_tensor *tensor = NULL, *flat = NULL;
    ev_image *image = noise(20, 11, EV_PIXEL_RGB, 9), *grey = NULL, *small = NULL, *back = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &tensor));
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 3, wrong, &flat));
    t_ok(ev_image_to_tensor(image, NULL, tensor, 0));
    t_ok(ev_image_convert(image, EV_PIXEL_GREY, &grey));
    t_ok(ev_image_resize(grey, 7, 5, EV_RESIZE_DEFAULT, &small));
    t_ok(ev_tensor_to_image(tensor, 0, NULL, &back));
    ck_assert(same(small, back));
    t_status(ev_image_to_tensor(image, NULL, flat, 0), EV_ERR_SHAPE);
    ev_image_destroy(image);
    ev_image_destroy(grey);
    ev_image_destroy(small);
    ev_image_destroy(back);
    ev_tensor_destroy(tensor);
    ev_tensor_destroy(flat);
}
END_TEST

/* ---- files ----------------------------------------------------------------------------------- */

/* A picture with edges, ramps and noise, so that all filters and matches are met. */
static ev_image *scene(int32_t width, int32_t height, int32_t format)
{
    ev_image *image = noise(width, height, format, 77);
    int channels = format == EV_PIXEL_GREY ? 1 : format == EV_PIXEL_RGBA ? 4 : 3;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width * channels; x++) {
            uint8_t *p = ev_image_data(image) + y * ev_image_stride(image) + x;
            if (y < height / 3)
                *p = 40;
            else if (y < height / 2)
                *p = (uint8_t)(x + y);
        }
    return image;
}

START_TEST(lossless_files)
{
    static const int32_t formats[] = {EV_PIXEL_RGB, EV_PIXEL_GREY, EV_PIXEL_RGBA};
    static const int sizes[][2] = {{1, 1}, {5, 3}, {130, 200}, {64, 1}, {1, 64}, {301, 257}};
    char dir[T_PATH], path[T_PATH];
    t_folder(dir);
    for (int k = 0; k < 18; k++) {
        int32_t format = formats[k % 3];
        ev_image *image = scene(sizes[k / 3][0], sizes[k / 3][1], format), *back = NULL;
        ev_decode_options opt;
        EV_OPTIONS_INIT(&opt);
        opt.format = format;
        t_ok(ev_image_save(image, t_path(path, dir, "a.png"), 0));
        t_ok(ev_image_load(ctx, path, &opt, &back));
        ck_assert(same(image, back));
        ev_image_destroy(back);
        if (format != EV_PIXEL_RGBA) {
            t_ok(ev_image_save(image, t_path(path, dir, "a.PPM"), 0));
            t_ok(ev_image_load(ctx, path, &opt, &back));
            ck_assert(same(image, back));
            ev_image_destroy(back);
        }
        ev_image_destroy(image);
    }
    t_folder_remove(dir);
}
END_TEST

START_TEST(jpeg_files)
{
    char dir[T_PATH], path[T_PATH];
    t_folder(dir);
    ev_image *image = NULL, *back = NULL;
    t_ok(ev_image_create(ctx, 50, 40, EV_PIXEL_BGR, &image));
    for (int i = 0; i < 50 * 40; i++) {
        ev_image_data(image)[i * 3] = (uint8_t)(i % 50 * 4);
        ev_image_data(image)[i * 3 + 1] = (uint8_t)(i / 50 * 5);
        ev_image_data(image)[i * 3 + 2] = 90;
    }
    ev_decode_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.format = EV_PIXEL_BGR;
    t_ok(ev_image_save(image, t_path(path, dir, "a.jpg"), 98));
    ev_status status = ev_image_load(ctx, path, &opt, &back);
    if (status == EV_ERR_UNSUPPORTED) {
        printf("SKIPPED: built without JPEG\n");
    } else {
        t_ok(status);
        double off = 0;
        for (int i = 0; i < 50 * 40 * 3; i++)
            off += abs(ev_image_data(image)[i] - ev_image_data(back)[i]);
        ck_assert(off / (50 * 40 * 3) < 2.5);
        ev_image_destroy(back);
        size_t n = 0;
        char *bytes = t_read(path, &n);
        t_status(ev_image_decode(ctx, bytes, n - 2, &opt, &back), EV_ERR_FORMAT);
        t_status(ev_image_decode(ctx, bytes, n / 2, &opt, &back), EV_ERR_FORMAT);
        opt.allow_partial = 1;
        t_ok(ev_image_decode(ctx, bytes, n / 2, &opt, &back));
        ck_assert_int_eq(ev_image_height(back), 40);
        ev_image_destroy(back);
        opt.max_pixels = 50 * 40 - 1;
        t_status(ev_image_decode(ctx, bytes, n, &opt, &back), EV_ERR_UNSUPPORTED);
        opt.max_pixels = 0;
        opt.max_side = 49;
        t_status(ev_image_decode(ctx, bytes, n, &opt, &back), EV_ERR_UNSUPPORTED);
        free(bytes);
    }
    ev_image_destroy(image);
    t_folder_remove(dir);
}
END_TEST

static void decodes_to(const void *bytes, size_t n, int32_t width, int32_t height,
                       const uint8_t *rgb)
{
    ev_image *image = NULL;
    t_ok(ev_image_decode(ctx, bytes, n, NULL, &image));
    ck_assert_int_eq(ev_image_width(image), width);
    ck_assert_int_eq(ev_image_height(image), height);
    ck_assert_mem_eq(ev_image_data(image), rgb, (size_t)(width * height * 3));
    ev_image_destroy(image);
}

START_TEST(pnm_files)
{
    static const uint8_t bits[] = {0, 0, 0, 255, 255, 255, 0, 0, 0};
    decodes_to("P1 # note\n3 1\n1 0 1", 19, 3, 1, bits);
    decodes_to("P1\n3 1 101\n", 11, 3, 1, bits);
    decodes_to("P4\n3 1\n\xbf", 8, 3, 1, bits);
    static const uint8_t grey[] = {0, 0, 0, 128, 128, 128, 255, 255, 255};
    decodes_to("P2 3 1 4 0 2 4", 14, 3, 1, grey);
    decodes_to("P5 3 1 4\n\x00\x02\x04", 12, 3, 1, grey);
    decodes_to("P5 3 1 65535\n\x00\x00\x80\x12\xff\xff", 19, 3, 1, grey);
    static const uint8_t colour[] = {10, 20, 30};
    decodes_to("P3 1 1 255 10 20 30 rest", 24, 1, 1, colour);
    decodes_to("P6 1 1 255\n\x0a\x14\x1e", 14, 1, 1, colour);
    static const char *const bad[] = {"P6 1 1 255\n..", "P6 1 1 0\n...", "P3 1 1 9 1 2 10",
                                      "P6 0 1 255\n", "P6 1 1 65536\n......", "P7\n",
                                      "P2 3 1 4 0 2", "P5 99999999999 1 255\n", "P5 1\n"};
    for (int i = 0; i < 9; i++) {
        ev_image *image = NULL;
        t_status(ev_image_decode(ctx, bad[i], strlen(bad[i]), NULL, &image), EV_ERR_FORMAT);
    }
}
END_TEST

/* A header of 40 bytes and what follows. */
static size_t bmp(uint8_t *to, int32_t width, int32_t height, int bits, int compression,
                  const void *rest, size_t n_rest, int n_palette_bytes)
{
    memset(to, 0, 54);
    to[0] = 'B';
    to[1] = 'M';
    to[10] = (uint8_t)(54 + n_palette_bytes);
    to[14] = 40;
    to[18] = (uint8_t)width;
    for (int i = 0; i < 4; i++)
        to[22 + i] = (uint8_t)((uint32_t)height >> (8 * i));
    to[26] = 1;
    to[28] = (uint8_t)bits;
    to[30] = (uint8_t)compression;
    memcpy(to + 54, rest, n_rest);
    return 54 + n_rest;
}

START_TEST(bmp_files)
{
    uint8_t file[256];
    static const uint8_t want[] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255}; /* 2x2 */
    static const uint8_t b24[] = {255, 0, 0, 255, 255, 255, 0, 0, 0, 0, 255, 0, 255, 0, 0, 0};
    decodes_to(file, bmp(file, 2, 2, 24, 0, b24, 16, 0), 2, 2, want);
    static const uint8_t down[] = {0, 0, 255, 0, 255, 0, 0, 0, 255, 0, 0, 255, 255, 255, 0, 0};
    decodes_to(file, bmp(file, 2, -2, 24, 0, down, 16, 0), 2, 2, want);
    static const uint8_t b32[] = {255, 0, 0, 9, 255, 255, 255, 9, 0, 0, 255, 9, 0, 255, 0, 9};
    decodes_to(file, bmp(file, 2, 2, 32, 0, b32, 16, 0), 2, 2, want);
    static const uint8_t b16[] = {0x1f, 0, 0xff, 0x7f, 0, 0x7c, 0xe0, 3};
    decodes_to(file, bmp(file, 2, 2, 16, 0, b16, 8, 0), 2, 2, want);
    static const uint8_t b565[] = {0, 0xf8, 0, 0, 0xe0, 7, 0, 0, 0x1f, 0, 0, 0,
                                   0x1f, 0, 0xff, 0xff, 0, 0xf8, 0xe0, 7};
    decodes_to(file, bmp(file, 2, 2, 16, 3, b565, 20, 12), 2, 2, want);
    static const uint8_t b4[] = {0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0, 255, 255, 255, 0,
                                 0x23, 0, 0, 0, 0x01, 0, 0, 0};
    size_t n = bmp(file, 2, 2, 4, 0, b4, 24, 16);
    file[46] = 4; /* colours */
    decodes_to(file, n, 2, 2, want);
    file[46] = 3; /* the palette ends before the last colour */
    ev_image *image = NULL;
    t_status(ev_image_decode(ctx, file, n, NULL, &image), EV_ERR_FORMAT);
    t_status(ev_image_decode(ctx, file, n - 1, NULL, &image), EV_ERR_FORMAT);
    n = bmp(file, 2, 2, 8, 1, b24, 16, 0);
    t_status(ev_image_decode(ctx, file, n, NULL, &image), EV_ERR_UNSUPPORTED);
    n = bmp(file, 2, INT32_MIN, 24, 0, b24, 16, 0);
    t_status(ev_image_decode(ctx, file, n, NULL, &image), EV_ERR_UNSUPPORTED);
}
END_TEST

static int32_t stop_late(void *user, const void *bytes, uint64_t n_bytes)
{
    (void)bytes;
    int64_t *left = user;
    *left -= (int64_t)n_bytes;
    return *left < 0;
}

START_TEST(encode_stops)
{
    ev_image *image = scene(80, 60, EV_PIXEL_RGB);
    for (int32_t file = EV_FILE_PNG; file <= EV_FILE_PNM; file++) {
        int64_t all = INT64_MAX, some = 100;
        t_ok(ev_image_encode(image, file, 0, stop_late, &all));
        t_status(ev_image_encode(image, file, 0, stop_late, &some), EV_ERR_CANCELLED);
    }
    t_status(ev_image_encode(image, 0, 0, stop_late, NULL), EV_ERR_ARGUMENT);
    t_status(ev_image_encode(image, 1, 0, NULL, NULL), EV_ERR_ARGUMENT);
    ev_image_destroy(image);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("image");
    TCase *c = tcase_create("image");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, objects);
    tcase_add_test(c, arguments);
    tcase_add_test(c, camera_formats);
    tcase_add_test(c, plain_formats);
    tcase_add_test(c, resize_formula);
    tcase_add_test(c, resize_bits);
    tcase_add_test(c, resize_extremes);
    tcase_add_test(c, tensors);
    tcase_add_test(c, tensor_resizes);
    tcase_add_test(c, lossless_files);
    tcase_add_test(c, jpeg_files);
    tcase_add_test(c, pnm_files);
    tcase_add_test(c, bmp_files);
    tcase_add_test(c, encode_stops);
    suite_add_tcase(s, c);
    return t_run(s);
}
