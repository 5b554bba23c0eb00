/* SPDX-License-Identifier: MIT */
/* Damaged files: an error or a sound model, never a crash, within bounded memory and time.  With
 * EV_RUN_ALL=1 every byte and bit; otherwise a sample. */
#include "damage.h"
#include "mutate.h"

/* ---- our own files: the checksum finds everything -------------------------------------------- */

START_TEST(truncated)
{
    ev_context *ctx = t_context(NULL, 1);
    void *bytes = NULL;
    uint64_t n = 0;
    damage_saved(ctx, "dense", &bytes, &n);
    ck_assert_msg(n <= 20 << 10, "%llu", (unsigned long long)n);
    for (uint64_t k = 0; k < n; k++) {
        char *part = malloc(k + 1); /* so that a read behind it is found */
        memcpy(part, bytes, k);
        ck_assert_msg(damage_load(ctx, part, k, NULL) != EV_OK, "cut at %llu",
                      (unsigned long long)k);
        free(part);
    }
    ev_bytes_destroy(bytes);
    ev_context_destroy(ctx);
    damage_report("truncation at every byte");
}
END_TEST

START_TEST(flipped)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = NULL;
    void *bytes = NULL;
    uint64_t n = 0;
    drawn_run want, got;
    t_ok(drawn_model(ctx, drawn_find("dense"), &m));
    t_ok(drawn_run_model(ctx, m, 1, &want));
    t_ok(ev_model_save_memory(m, &bytes, &n));
    ck_assert_msg(n <= 20 << 10, "%llu", (unsigned long long)n);
    uint8_t *copy = malloc(n);
    long unnoticed = 0;
    for (uint64_t bit = 0; bit < 8 * n; bit += damage_run_all() ? 1 : 13) {
        ev_model *again = NULL;
        memcpy(copy, bytes, n);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (damage_load(ctx, copy, n, &again) != EV_OK)
            continue;
        /* only the name of the note that holds the checksum can be hit without notice */
        ck_assert_msg(bit / 8 < 28, "bit %llu is not noticed", (unsigned long long)bit);
        t_ok(drawn_run_model(ctx, again, 1, &got));
        for (int32_t i = 0; i < want.n_outputs; i++)
            ck_assert(memcmp(ev_tensor_data(want.outputs[i]), ev_tensor_data(got.outputs[i]),
                             ev_tensor_bytes(want.outputs[i])) == 0);
        drawn_run_end(&got);
        ev_model_destroy(again);
        unnoticed++;
    }
    free(copy);
    drawn_run_end(&want);
    ev_bytes_destroy(bytes);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    damage_report("single bits of a file with checksum");
    printf("  unnoticed, in the note's own name, with equal outputs: %ld\n", unnoticed);
}
END_TEST

START_TEST(crc_of_the_weights)
{
    ev_context *ctx = t_context(NULL, 1);
    void *bytes = NULL;
    uint64_t n = 0;
    evi_onnx_file file;
    damage_saved(ctx, "dense", &bytes, &n);
    t_ok(evi_onnx_parse(ctx, bytes, n, EVI_MAX_NODES, &file));
    uint8_t *weights = (uint8_t *)(uintptr_t)file.tensors[0].raw.at;
    evi_onnx_file_end(&file);
    weights[5] ^= 4;
    t_status(ev_model_load_memory(ctx, bytes, n, NULL, &(ev_model *){NULL}), EV_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "checksum"));
    ((uint8_t *)bytes)[4] ^= 1; /* without the note for the file the one for the weights holds */
    t_status(ev_model_load_memory(ctx, bytes, n, NULL, &(ev_model *){NULL}), EV_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "weights"));
    weights[5] ^= 4;
    ev_model *m = NULL;
    t_ok(ev_model_load_memory(ctx, bytes, n, NULL, &m));
    ev_model_destroy(m);
    ev_bytes_destroy(bytes);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- files without checksum ------------------------------------------------------------------ */

START_TEST(flipped_without_checksum)
{
    static const char *const names[] = {"conv", "norms", "shapes", "pads"};
    ev_context *ctx = t_context(NULL, 1);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        void *bytes = NULL;
        uint64_t n = 0;
        evi_text plain;
        evi_text_start(&plain, ctx);
        damage_saved(ctx, names[i], &bytes, &n);
        mutate_strip(bytes, n, &plain);
        ck_assert(plain.length <= 20 << 10);
        for (uint64_t bit = 0; bit < 8 * plain.length; bit += damage_run_all() ? 1 : 29) {
            plain.data[bit / 8] = (char)(plain.data[bit / 8] ^ (1 << bit % 8));
            damage_load_and_run(plain.data, plain.length);
            plain.data[bit / 8] = (char)(plain.data[bit / 8] ^ (1 << bit % 8));
        }
        for (uint64_t k = 0; k < plain.length; k += damage_run_all() ? 1 : 7) {
            char *part = malloc(k + 1);
            memcpy(part, plain.data, k);
            damage_load_and_run(part, k);
            free(part);
        }
        evi_text_end(&plain);
        ev_bytes_destroy(bytes);
    }
    ev_context_destroy(ctx);
    damage_report("bits and cuts of files without checksum");
}
END_TEST

/* Every number of the file becomes each of these, every text empty, long or another, every field is
 * dropped and doubled. */
START_TEST(field_by_field)
{
    static const uint64_t numbers[] = {0,
                                       1,
                                       2,
                                       3,
                                       7,
                                       8,
                                       9,
                                       16,
                                       17,
                                       255,
                                       65535,
                                       65536,
                                       1u << 24,
                                       0x7ffffffe,
                                       0x7fffffff,
                                       0x80000000u,
                                       0xffffffffu,
                                       (uint64_t)1 << 32,
                                       (uint64_t)1 << 61,
                                       INT64_MAX,
                                       (uint64_t)INT64_MIN,
                                       UINT64_MAX - 1,
                                       UINT64_MAX};
    static char long_text[400];
    memset(long_text, 'a', sizeof(long_text));
    const evi_span texts[] = {
        {"", 0},          {long_text, 255}, {long_text, 256},
        {long_text, 400}, {"image", 5},     {"Conv", 4},
        {"Reshape", 7},   {"a\0b", 3},      {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10}};
    ev_context *ctx = t_context(NULL, 1);
    int32_t step = damage_run_all() ? 1 : 3;
    for (int32_t i = 0; drawn_at(i) != NULL; i++) {
        void *bytes = NULL;
        uint64_t n = 0;
        evi_text plain, changed;
        if (strncmp(drawn_at(i)->name, "arch", 4) == 0 ||
            strcmp(drawn_at(i)->name, "resnet20") == 0 ||
            strcmp(drawn_at(i)->name, "generator") == 0)
            continue; /* too large for so many copies */
        evi_text_start(&plain, ctx);
        evi_text_start(&changed, ctx);
        damage_saved(ctx, drawn_at(i)->name, &bytes, &n);
        mutate_strip(bytes, n, &plain);
        for (int32_t kind = 0; kind < MUTATE_KINDS; kind++) {
            int32_t choices = kind == MUTATE_NUMBER ? EVI_COUNT(numbers)
                              : kind == MUTATE_TEXT ? EVI_COUNT(texts)
                                                    : 1;
            for (int32_t c = 0; c < choices; c++)
                for (int32_t t = c % step; mutate(plain.data, plain.length, kind, t, numbers[c],
                                                  texts[c % EVI_COUNT(texts)], &changed);
                     t += step)
                    damage_load_and_run(changed.data, changed.length);
        }
        evi_text_end(&changed);
        evi_text_end(&plain);
        ev_bytes_destroy(bytes);
    }
    ev_context_destroy(ctx);
    damage_report("field by field");
}
END_TEST

START_TEST(random_bytes)
{
    ev_context *ctx = t_context(NULL, 1);
    uint64_t state = 4711;
    uint8_t short_file[65];
    for (int32_t i = 0; i < 20000; i++) {
        uint64_t n = t_random(&state) % 65;
        for (uint64_t k = 0; k < n; k++)
            short_file[k] = (uint8_t)t_random(&state);
        damage_load(ctx, short_file, n, NULL);
    }
    ev_context_destroy(ctx);
    damage_report("short random files");
}
END_TEST

/* ---- no memory ------------------------------------------------------------------------------- */

typedef struct load_arg {
    const void *bytes;
    uint64_t n;
} load_arg;

static ev_status body_load(ev_context *ctx, void *arg)
{
    const load_arg *a = arg;
    ev_model *m = NULL;
    ev_status status = ev_model_load_memory(ctx, a->bytes, a->n, NULL, &m);
    ev_model_destroy(m);
    return status;
}

static ev_status body_save(ev_context *ctx, void *arg)
{
    const load_arg *a = arg;
    ev_model *m = NULL;
    void *bytes = NULL;
    uint64_t n = 0;
    ev_status status = ev_model_load_memory(ctx, a->bytes, a->n, NULL, &m);
    if (status == EV_OK)
        status = ev_model_save_memory(m, &bytes, &n);
    if (status == EV_OK)
        status = ev_model_save(m, "/dev/null.onnx") == EV_ERR_MEMORY ? EV_ERR_MEMORY : EV_OK;
    ev_bytes_destroy(bytes);
    ev_model_destroy(m);
    return status;
}

START_TEST(no_memory)
{
    static const char *const names[] = {"dense", "calls", "norms", "odd_resize", "shapes"};
    ev_context *ctx = t_context(NULL, 1);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        load_arg a;
        void *bytes = NULL;
        damage_saved(ctx, names[i], &bytes, &a.n);
        a.bytes = bytes;
        long k = t_each_alloc(body_load, &a, 1, 0), s = t_each_alloc(body_save, &a, 1, 0);
        printf("%s: %ld allocations to load, %ld to load and save, each failed in turn\n", names[i],
               k, s);
        ev_bytes_destroy(bytes);
    }
    ev_context_destroy(ctx);
}
END_TEST

/* Saving the drawn model itself: calls are drawn in, which a loaded one no longer has. */
static ev_status body_draw(ev_context *ctx, void *arg)
{
    ev_model *m = NULL;
    void *bytes = NULL;
    uint64_t n = 0;
    ev_status status = drawn_model(ctx, drawn_find(arg), &m);
    if (status == EV_OK)
        status = ev_model_save_memory(m, &bytes, &n);
    ev_bytes_destroy(bytes);
    ev_model_destroy(m);
    return status;
}

START_TEST(no_memory_for_calls)
{
    char name[] = "calls";
    printf("calls: %ld allocations to draw and save, each failed in turn\n",
           t_each_alloc(body_draw, name, 1, 0));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("onnx damage");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, damage_run_all() ? 3600 : 240);
    tcase_add_test(c, truncated);
    tcase_add_test(c, flipped);
    tcase_add_test(c, crc_of_the_weights);
    tcase_add_test(c, flipped_without_checksum);
    tcase_add_test(c, field_by_field);
    tcase_add_test(c, random_bytes);
    tcase_add_test(c, no_memory);
    tcase_add_test(c, no_memory_for_calls);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(suite());
}
