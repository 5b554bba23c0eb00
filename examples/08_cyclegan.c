/* SPDX-License-Identifier: MIT */
/*
 * 08: a CycleGAN learns to carry pictures from night into day; no two of them belong together.
 *
 *     cc 08_cyclegan.c $(pkg-config --cflags --libs edgevision) && ./a.out [night day]
 *
 * Night and day are drawn here (a dark blue scene, a bright one, with a ring or without), or come
 * from two folders of pictures in class folders.  Afterwards: a sheet to look at, a picture carried
 * over, and the generator as an ordinary ONNX file.
 */
#include <edgevision/edgevision.h>
#include <stdio.h>

enum { SIDE = 32, PICTURES = 64, EPOCHS = 12 };

static int check(ev_status status)
{
    if (status != EV_OK) {
        fprintf(stderr, "%s: %s\n", ev_status_name(status), ev_last_error());
    }
    return status != EV_OK;
}

/* Ground, sky, and in every other picture a ring; by night all of it in a quarter of the light, and
   bluish. */
static ev_status draw_set(ev_context *ctx, int night, ev_dataset **out)
{
    static const char *const names[] = {"empty", "ring"};
    static uint8_t pixels[2][PICTURES][3][SIDE][SIDE];
    static int32_t labels[PICTURES];
    const int64_t dims[] = {PICTURES, 3, SIDE, SIDE};
    const int light[2][3] = {{100, 100, 100}, {22, 24, 40}}; /* percent: red, green, blue */
    uint32_t random = night ? 77 : 7;
    ev_tensor *tensor = NULL;
    for (int n = 0; n < PICTURES; n++) {
        random = random * 1664525U + 1013904223U;
        int cx = 8 + (int)(random >> 8) % 16, cy = 8 + (int)(random >> 20) % 16;
        labels[n] = n % 2;
        for (int i = 0; i < 3 * SIDE * SIDE; i++) {
            int c = i / (SIDE * SIDE), y = i / SIDE % SIDE, x = i % SIDE;
            int r = (x - cx) * (x - cx) + (y - cy) * (y - cy);
            random = random * 1664525U + 1013904223U;
            int value = y < SIDE / 2 ? 190 : 120;
            value = labels[n] && r >= 12 && r <= 36 ? 240 - 90 * c : value;
            value = value * light[night][c] / 100 + (int)(random >> 28);
            pixels[night][n][c][y][x] = (uint8_t)value;
        }
    }
    ev_status status =
        ev_tensor_wrap(ctx, EV_TYPE_UINT8, 4, dims, pixels[night], sizeof pixels[night], &tensor);
    status = status ? status : ev_dataset_from_tensor(ctx, tensor, labels, 2, names, out);
    ev_tensor_destroy(tensor);
    return status;
}

/* The names are those of the authors' public program. */
static int32_t tell(void *user, const ev_cyclegan_step_info *info)
{
    const ev_cyclegan_losses *l = info->losses;
    (void)user;
    printf("epoch %2d  D_A %.3f G_A %.3f cycle_A %.3f idt_A %.3f  "
           "D_B %.3f G_B %.3f cycle_B %.3f idt_B %.3f\n",
           (int)info->epoch + 1, l->d_a, l->g_a, l->cycle_a, l->idt_a, l->d_b, l->g_b, l->cycle_b,
           l->idt_b);
    fflush(stdout);
    return 0; /* anything else would stop */
}

static ev_status train(ev_context *ctx, ev_dataset *night, ev_dataset *day, ev_cyclegan **gan)
{
    ev_cyclegan_options opt;
    ev_generator_options generator;
    ev_discriminator_options discriminator;
    ev_memory memory;
    EV_OPTIONS_INIT(&opt);
    EV_OPTIONS_INIT(&generator);
    EV_OPTIONS_INIT(&discriminator);
    EV_OPTIONS_INIT(&memory);
    generator.base_width = 8; /* Zhu et al.: 64, and 6 or 9 blocks */
    generator.n_blocks = 2;
    discriminator.base_width = 8;
    discriminator.n_layers = 2;
    opt.generator = &generator;
    opt.discriminator = &discriminator;
    opt.width = SIDE;
    opt.epochs = EPOCHS;
    opt.learning_rate = 1e-3F; /* small networks, few steps: faster than the usual 2e-4 */
    opt.checkpoint = "night2day.safetensors"; /* ev_cyclegan_resume() goes on from it */
    opt.on_epoch = tell;
    ev_status status = ev_cyclegan_memory(ctx, &opt, &memory);
    if (status == EV_OK) {
        printf("training needs %.1f MB\n", (double)memory.total_bytes / 1e6);
        status = ev_cyclegan_create(ctx, night, day, &opt, gan);
    }
    return status == EV_OK ? ev_cyclegan_run(*gan) : status;
}

/* Mean brightness of a picture, 0..255. */
static double brightness(const ev_image *image)
{
    double sum = 0;
    int32_t w = 3 * ev_image_width(image), h = ev_image_height(image);
    for (int32_t y = 0; y < h; y++) {
        for (int32_t x = 0; x < w; x++) {
            sum += ev_image_data(image)[y * ev_image_stride(image) + x];
        }
    }
    return sum / ((double)w * h);
}

int main(int argc, char **argv)
{
    const int32_t items[] = {0, 1, 2, 3};
    ev_context *ctx = NULL;
    ev_dataset *night = NULL, *day = NULL;
    ev_cyclegan *gan = NULL;
    ev_image *sheet = NULL, *dark = NULL, *carried = NULL;
    ev_model *model = NULL;

    if (check(ev_context_create(NULL, &ctx)) ||
        check(argc > 2 ? ev_dataset_scan(ctx, argv[1], NULL, &night) : draw_set(ctx, 1, &night)) ||
        check(argc > 2 ? ev_dataset_scan(ctx, argv[2], NULL, &day) : draw_set(ctx, 0, &day)) ||
        check(train(ctx, night, day, &gan))) {
        return 1;
    }
    /* rows: real, carried over, carried back, and what should have stayed as it was */
    if (check(ev_cyclegan_grid(gan, night, items, 4, day, items, 4, &sheet)) ||
        check(ev_image_save(sheet, "sheet.png", 0)) ||
        check(ev_dataset_image(night, 1, NULL, &dark)) ||
        check(ev_cyclegan_translate(gan, EV_A_TO_B, dark, NULL, &carried)) ||
        check(ev_image_save(carried, "carried.png", 0)) ||
        check(ev_cyclegan_generator(gan, EV_A_TO_B, &model)) ||
        check(ev_model_save(model, "night2day.onnx"))) {
        return 1;
    }
    printf("brightness of a picture: %.0f by night, %.0f carried into day\n", brightness(dark),
           brightness(carried));
    printf("night2day.onnx: %lld parameters; sheet.png, carried.png: to look at\n",
           (long long)ev_model_parameter_count(model));
    ev_model_destroy(model);
    ev_image_destroy(carried);
    ev_image_destroy(dark);
    ev_image_destroy(sheet);
    ev_cyclegan_destroy(gan);
    ev_dataset_destroy(day);
    ev_dataset_destroy(night);
    ev_context_destroy(ctx);
    return 0;
}
