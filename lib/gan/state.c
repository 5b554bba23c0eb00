/* SPDX-License-Identifier: MIT */
/* What a run's future depends on, as one safetensors file: the options as a text, counters and the
 * epoch's sums under "run/", both histories under "pool/", and each update's trainer with the
 * networks that it trains under "update0/" and so on.  Random numbers are functions of the seed and
 * of these counters, so there is no other random state.  The same table, copied to memory, is what
 * a run without a checkpoint falls back to. */
#include "gan/gan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define STATE_VERSION 1
#define PREFIX_BYTES 24
#define REAL_TYPE (sizeof(evi_real) == sizeof(double) ? EVI_ST_F64 : EVI_ST_F32)
#define KEY_VERSION "edgevision.cyclegan"
#define KEY_OPTIONS "edgevision.options"

enum { EPOCH, STEP, N_STEPS, TOTAL_STEPS, SIZE_A, SIZE_B, COUNT_AB, COUNT_BA, N_INTEGERS };

static const char *const pool_names[2] = {"pool/a_to_b", "pool/b_to_a"};

static void update_prefix(int32_t update, char out[PREFIX_BYTES])
{
    snprintf(out, PREFIX_BYTES, "update%d/", (int)update);
}

static int32_t set_size(const ev_cyclegan *gan, int32_t side)
{
    return gan->feeds[side] != NULL ? evi_gan_feed_size(gan->feeds[side]) : 0;
}

/* ---- collect --------------------------------------------------------------------------------- */

static ev_status collect_texts(const ev_cyclegan *gan, evi_st_file *f)
{
    char version[16];
    evi_text text;
    snprintf(version, sizeof(version), "%d", STATE_VERSION);
    EVI_TRY(evi_st_add_text(f, KEY_VERSION, version));
    EVI_TRY(evi_st_add_text(f, "edgevision.version", ev_version()));
    evi_text_start(&text, gan->handle.ctx);
    evi_gan_options_text(&text, &gan->o, gan->is_split != 0);
    ev_status status = text.status;
    if (status == EV_OK)
        status = evi_st_add_text(f, KEY_OPTIONS, text.data);
    evi_text_end(&text);
    return status;
}

static ev_status collect_numbers(ev_cyclegan *gan, evi_st_file *f)
{
    const evi_shape n_integers = {.rank = 1, .dim = {N_INTEGERS}};
    const evi_shape n_sums = {.rank = 1, .dim = {EVI_GAN_N_LOSSES}};
    int64_t *i = NULL;
    double *sums = NULL;
    EVI_TRY(evi_st_add_own(f, "run/integers", EVI_ST_I64, &n_integers, &i));
    EVI_TRY(evi_st_add_own(f, "run/sums", EVI_ST_F64, &n_sums, &sums));
    i[EPOCH] = gan->epoch;
    i[STEP] = gan->step;
    i[N_STEPS] = gan->n_steps;
    i[TOTAL_STEPS] = gan->total_steps;
    i[SIZE_A] = set_size(gan, 0);
    i[SIZE_B] = set_size(gan, 1);
    i[COUNT_AB] = gan->pools[EV_A_TO_B].count;
    i[COUNT_BA] = gan->pools[EV_B_TO_A].count;
    for (int32_t k = 0; k < EVI_GAN_N_LOSSES; k++)
        sums[k] = *evi_gan_loss(&gan->sums, k);
    return EV_OK;
}

static evi_shape pool_shape(const ev_cyclegan *gan, int64_t count)
{
    return (evi_shape){.rank = 4,
                       .dim = {count, gan->o.g.channels, gan->o.o.height, gan->o.o.width}};
}

ev_status evi_gan_state_collect(ev_cyclegan *gan, evi_st_file *f)
{
    char prefix[PREFIX_BYTES];
    EVI_TRY(collect_texts(gan, f));
    EVI_TRY(collect_numbers(gan, f));
    for (int32_t i = 0; i < 2; i++) {
        const evi_shape shape = pool_shape(gan, gan->pools[i].count);
        EVI_TRY(evi_st_add(f, pool_names[i], REAL_TYPE, &shape, gan->pools[i].pictures));
    }
    for (int32_t i = 0; i < gan->nets.n_updates; i++) {
        update_prefix(i, prefix);
        EVI_TRY(evi_trainer_put(gan->trainers[i], f, prefix));
    }
    return EV_OK;
}

/* Put a copy in the place of all that was borrowed. */
static ev_status copy_tensors(evi_st_file *f)
{
    uint64_t n_bytes = 0;
    char *to = NULL;
    for (int32_t i = 0; i < f->n; i++)
        n_bytes += f->tensors[i].n_bytes;
    EVI_TRY(evi_malloc(f->ctx, 1, n_bytes, &to));
    f->block = to;
    for (int32_t i = 0; i < f->n; i++) {
        evi_st_tensor *t = &f->tensors[i];
        if (t->n_bytes > 0)
            memcpy(to, t->data, (size_t)t->n_bytes);
        t->data = to;
        to += t->n_bytes;
    }
    return EV_OK;
}

ev_status evi_gan_state_keep(ev_cyclegan *gan, evi_st_file *f)
{
    evi_st_end(f);
    evi_st_start(f, gan->handle.ctx);
    ev_status status = evi_gan_state_collect(gan, f);
    if (status == EV_OK)
        status = copy_tensors(f);
    if (status != EV_OK)
        evi_st_end(f);
    return status;
}

/* ---- take ------------------------------------------------------------------------------------ */

static ev_status check_version(const evi_st_file *f, const char *path)
{
    const char *text = evi_st_find_text(f, KEY_VERSION);
    int64_t version = 0;
    if (text == NULL || !evi_parse_int(text, strlen(text), &version) || version < 1)
        return evi_fail(EV_ERR_FORMAT, "'%s' is not a checkpoint of a CycleGAN", path);
    if (version > STATE_VERSION)
        return evi_fail(EV_ERR_VERSION,
                        "'%s' is of CycleGAN checkpoint version %lld, this release (%s) knows %d",
                        path, (long long)version, ev_version(), STATE_VERSION);
    return EV_OK;
}

/* "max_bytes" comes last in the text and is 0 where the step was taken as a whole. */
static bool file_is_split(const evi_st_file *f)
{
    return strstr(evi_st_find_text(f, KEY_OPTIONS), "max_bytes=0;") == NULL;
}

/* Another architecture is told apart from other numbers: no choice of options mends it. */
static ev_status check_options(const ev_cyclegan *gan, const evi_st_file *f, const char *path)
{
    const char *differs = NULL;
    evi_text ours;
    evi_text_start(&ours, gan->handle.ctx);
    evi_gan_options_text(&ours, &gan->o, gan->is_split != 0);
    ev_status status = ours.status;
    if (status == EV_OK)
        status = evi_train_compare(path, evi_st_find_text(f, KEY_OPTIONS), ours.data, &differs);
    if (status == EV_ERR_ARGUMENT &&
        (strncmp(differs, "generator.", 10) == 0 || strncmp(differs, "discriminator.", 14) == 0))
        status = evi_fail(EV_ERR_SHAPE,
                          "%s: other networks; ev_cyclegan_read_options() tells "
                          "which the file has",
                          ev_last_error());
    /* another limit changes nothing as long as the step is split, or whole, as it was */
    if (status == EV_ERR_ARGUMENT && strncmp(differs, "max_bytes=", 10) == 0 &&
        (strcmp(differs, "max_bytes=0;") != 0) == file_is_split(f))
        status = EV_OK;
    evi_text_end(&ours);
    return status;
}

static const evi_st_tensor *find(evi_st_file *f, const char *path, const char *name, int32_t type,
                                 const evi_shape *shape)
{
    const evi_st_tensor *x = evi_st_find(f, name);
    if (x == NULL || x->type != type || !evi_shape_equal(&x->shape, shape)) {
        (void)evi_fail(EV_ERR_FORMAT, "'%s': '%s' is missing or damaged", path, name);
        return NULL;
    }
    return x;
}

static bool in_range(int64_t x, int64_t low, int64_t high)
{
    return x >= low && x <= high;
}

static ev_status check_integers(const ev_cyclegan *gan, const int64_t *i, const char *path)
{
    if (!in_range(i[EPOCH], 0, INT32_MAX - 1) || !in_range(i[STEP], 0, INT32_MAX - 1) ||
        !in_range(i[N_STEPS], 0, INT32_MAX) || !in_range(i[TOTAL_STEPS], i[STEP], INT64_MAX - 1) ||
        !in_range(i[SIZE_A], 0, INT32_MAX) || !in_range(i[SIZE_B], 0, INT32_MAX) ||
        !in_range(i[COUNT_AB], 0, gan->pools[EV_A_TO_B].capacity) ||
        !in_range(i[COUNT_BA], 0, gan->pools[EV_B_TO_A].capacity))
        return evi_fail(EV_ERR_FORMAT, "'%s': a counter is out of range", path);
    for (int32_t side = 0; side < 2; side++) {
        int64_t theirs = i[SIZE_A + side], ours = set_size(gan, side);
        if (theirs > 0 && ours > 0 && theirs != ours)
            return evi_fail(EV_ERR_ARGUMENT,
                            "'%s' was made with %lld pictures in set %c, this run has %lld: hand "
                            "over the same sets to go on",
                            path, (long long)theirs, "AB"[side], (long long)ours);
    }
    return EV_OK;
}

/* What was found in a file, of any alignment. */
typedef struct found {
    int64_t integers[N_INTEGERS];
    double sums[EVI_GAN_N_LOSSES];
    const evi_st_tensor *pools[2];
} found;

static ev_status look(ev_cyclegan *gan, evi_st_file *f, const char *path, found *out)
{
    const evi_shape n_integers = {.rank = 1, .dim = {N_INTEGERS}};
    const evi_shape n_sums = {.rank = 1, .dim = {EVI_GAN_N_LOSSES}};
    const evi_st_tensor *integers = find(f, path, "run/integers", EVI_ST_I64, &n_integers);
    if (integers == NULL)
        return EV_ERR_FORMAT;
    const evi_st_tensor *sums = find(f, path, "run/sums", EVI_ST_F64, &n_sums);
    if (sums == NULL)
        return EV_ERR_FORMAT;
    memcpy(out->integers, integers->data, sizeof(out->integers));
    memcpy(out->sums, sums->data, sizeof(out->sums));
    EVI_TRY(check_integers(gan, out->integers, path));
    for (int32_t i = 0; i < 2; i++) {
        const evi_shape shape = pool_shape(gan, out->integers[COUNT_AB + i]);
        out->pools[i] = find(f, path, pool_names[i], REAL_TYPE, &shape);
        if (out->pools[i] == NULL)
            return EV_ERR_FORMAT;
    }
    return EV_OK;
}

static ev_status take_trainers(ev_cyclegan *gan, evi_st_file *f, const char *path, bool copy)
{
    char prefix[PREFIX_BYTES];
    for (int32_t i = 0; i < gan->nets.n_updates; i++) {
        update_prefix(i, prefix);
        EVI_TRY(evi_trainer_take(gan->trainers[i], f, path, prefix, copy));
    }
    return EV_OK;
}

static void take_rest(ev_cyclegan *gan, const found *x)
{
    gan->epoch = (int32_t)x->integers[EPOCH];
    gan->step = (int32_t)x->integers[STEP];
    gan->total_steps = x->integers[TOTAL_STEPS];
    for (int32_t i = 0; i < EVI_GAN_N_LOSSES; i++)
        *evi_gan_loss(&gan->sums, i) = x->sums[i];
    memset(&gan->last, 0, sizeof(gan->last));
    gan->last.struct_size = (uint32_t)sizeof(gan->last);
    for (int32_t i = 0; i < 2; i++) {
        gan->pools[i].count = (int32_t)x->integers[COUNT_AB + i];
        if (x->pools[i]->n_bytes > 0)
            memcpy(gan->pools[i].pictures, x->pools[i]->data, (size_t)x->pools[i]->n_bytes);
    }
    gan->epoch_start = evi_seconds();
}

ev_status evi_gan_state_take(ev_cyclegan *gan, evi_st_file *f, const char *path)
{
    found x;
    EVI_TRY(check_version(f, path));
    EVI_TRY(check_options(gan, f, path));
    EVI_TRY(look(gan, f, path, &x));
    EVI_TRY(take_trainers(gan, f, path, false));
    /* nothing can fail from here on */
    (void)take_trainers(gan, f, path, true);
    take_rest(gan, &x);
    return EV_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Is it the file that a run goes back to when a step diverges? */
static void note_checkpoint(ev_cyclegan *gan, const char *path)
{
    if (gan->checkpoint != NULL && strcmp(gan->checkpoint, path) == 0)
        gan->has_checkpoint = 1;
}

ev_status ev_cyclegan_save(ev_cyclegan *gan, const char *path)
{
    EVI_CHECK_HANDLE(gan, EVI_MAGIC_CYCLEGAN);
    EVI_CHECK_POINTER(path);
    evi_st_file file;
    evi_st_start(&file, gan->handle.ctx);
    ev_status status = evi_gan_state_collect(gan, &file);
    if (status == EV_OK)
        status = evi_st_write(&file, path);
    if (status == EV_OK)
        note_checkpoint(gan, path);
    evi_st_end(&file);
    return status;
}

ev_status ev_cyclegan_resume(ev_cyclegan *gan, const char *path)
{
    EVI_CHECK_HANDLE(gan, EVI_MAGIC_CYCLEGAN);
    EVI_CHECK_POINTER(path);
    evi_st_file file;
    evi_st_start(&file, gan->handle.ctx);
    ev_status status = evi_st_read(&file, path);
    if (status == EV_OK)
        status = evi_gan_state_take(gan, &file, path);
    if (status == EV_OK)
        note_checkpoint(gan, path);
    evi_st_end(&file);
    return status;
}

static ev_status read_options(evi_st_file *f, const char *path, evi_gan_options *out)
{
    EVI_TRY(evi_st_read(f, path));
    EVI_TRY(check_version(f, path));
    const char *text = evi_st_find_text(f, KEY_OPTIONS);
    if (text == NULL)
        return evi_fail(EV_ERR_FORMAT, "'%s' does not say with which options it was made", path);
    return evi_gan_options_parse(text, path, out);
}

ev_status ev_cyclegan_read_options(ev_context *ctx, const char *path, ev_cyclegan_options *out,
                                   ev_generator_options *out_generator,
                                   ev_discriminator_options *out_discriminator)
{
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_POINTER(path);
    EVI_CHECK_POINTER(out);
    EVI_CHECK_POINTER(out_generator);
    EVI_CHECK_POINTER(out_discriminator);
    evi_gan_options o;
    evi_st_file file;
    evi_st_start(&file, ctx);
    ev_status status = read_options(&file, path, &o);
    evi_st_end(&file);
    EVI_TRY(status);
    o.o.generator = out_generator;
    o.o.discriminator = out_discriminator;
    EVI_TRY(evi_options_write(out_generator, &o.g, (uint32_t)sizeof(o.g), __func__));
    EVI_TRY(evi_options_write(out_discriminator, &o.d, (uint32_t)sizeof(o.d), __func__));
    return evi_options_write(out, &o.o, (uint32_t)sizeof(o.o), __func__);
}
