/* SPDX-License-Identifier: MIT */
/* A CycleGAN in training as an object: counted, made, asked, ended. */
#include "gan/gan.h"

#include <string.h>

#define POOL_STREAM 0x706f6f6cu

/* ---- what it is made of -------------------------------------------------------------------- */

static void trainer_options(const evi_gan_options *o, ev_train_options *t)
{
    EV_OPTIONS_INIT(t);
    t->batch_size = o->o.batch_size;
    t->learning_rate = o->o.learning_rate;
    t->beta1 = o->o.beta1;
    t->beta2 = o->o.beta2;
    t->dropout = -1; /* the classifier's: it says what it would say in use */
    t->max_epochs = 1;
    t->precise = o->o.precise;
    t->seed = o->o.seed;
}

static int32_t pool_capacity(const evi_gan_options *o)
{
    return EVI_MAX(o->o.pool_size, 0);
}

static void picture(const evi_gan_options *o, int64_t out[3])
{
    out[0] = o->g.channels;
    out[1] = o->o.height;
    out[2] = o->o.width;
}

static bool has_labels(const evi_gan_options *o, int32_t set)
{
    return o->o.classifier != NULL && (set == 1 || o->o.class_labels == EV_LABELS_BOTH);
}

static void labeller_options(const evi_gan_options *o, ev_plan_options *p)
{
    EV_OPTIONS_INIT(p);
    p->max_batch = o->o.batch_size;
    p->precise = o->o.precise;
}

/* ---- how much memory? ------------------------------------------------------------------------ */

static void add_memory(ev_memory *to, const ev_memory *m)
{
    to->plan_bytes += m->plan_bytes;
    to->session_bytes += m->session_bytes;
    to->training_bytes += m->training_bytes;
}

static uint64_t small_bytes(const evi_gan_options *o)
{
    int64_t dims[3];
    picture(o, dims);
    uint64_t bytes = evi_block_bytes(sizeof(ev_cyclegan)) +
                     2 * evi_gan_pool_bytes(pool_capacity(o), o->o.batch_size, dims);
    for (int32_t set = 0; set < 2; set++)
        if (has_labels(o, set))
            bytes += evi_block_bytes(sizeof(ev_tensor)) +
                     evi_block_bytes((uint64_t)o->o.batch_size * sizeof(int32_t));
    if (o->o.checkpoint != NULL)
        bytes += evi_block_bytes(strlen(o->o.checkpoint) + 1);
    return bytes;
}

ev_status evi_gan_count(ev_context *ctx, const evi_gan_options *o, const evi_gan_nets *nets,
                        ev_memory *m)
{
    ev_train_options t;
    ev_plan_options p;
    ev_memory one;
    EV_OPTIONS_INIT(m);
    trainer_options(o, &t);
    labeller_options(o, &p);
    for (int32_t side = 0; side < 2; side++)
        m->weights_bytes +=
            evi_model_bytes(nets->generators[side]) + evi_model_bytes(nets->discriminators[side]);
    for (int32_t i = 0; i < nets->n_updates; i++) {
        const evi_gan_update *u = &nets->updates[i];
        EV_OPTIONS_INIT(&one);
        EVI_TRY(evi_trainer_memory_parts(ctx, u->nets, u->n_nets, &t, &one));
        add_memory(m, &one);
        for (int32_t k = 0; k < u->n_nets; k++)
            m->training_bytes += evi_model_bytes(u->nets[k]);
    }
    if (nets->labeller != NULL) {
        EV_OPTIONS_INIT(&one);
        EVI_TRY(ev_plan_memory(ctx, nets->labeller, &p, &one));
        add_memory(m, &one);
        m->plan_bytes += evi_model_bytes(nets->labeller);
    }
    uint64_t undo = evi_gan_undo_elements(o, nets);
    m->training_bytes += small_bytes(o) + (undo > 0 ? evi_block_bytes(undo * sizeof(evi_real)) : 0);
    m->total_bytes = m->weights_bytes + m->plan_bytes + m->session_bytes + m->training_bytes;
    return EV_OK;
}

static ev_status count(ev_context *ctx, const evi_gan_options *o, bool split, ev_memory *m)
{
    evi_gan_nets nets;
    EVI_TRY(evi_gan_nets_draw(ctx, o, split, false, &nets));
    ev_status status = evi_gan_count(ctx, o, &nets, m);
    evi_gan_nets_end(&nets);
    return status;
}

/* Whole steps when they fit, otherwise term by term. */
static ev_status decide_alone(ev_context *alone, const evi_gan_options *o, const char *function,
                              bool *split_out)
{
    ev_memory m, terms;
    *split_out = false;
    EVI_TRY(count(alone, o, false, &m));
    if (m.total_bytes <= o->o.max_bytes)
        return EV_OK;
    *split_out = true;
    EVI_TRY(count(alone, o, true, &terms));
    if (terms.total_bytes <= o->o.max_bytes)
        return EV_OK;
    return evi_fail(EV_ERR_MEMORY,
                    "%s: max_bytes is %llu; %llu bytes would do with one term at a "
                    "time, %llu at once; smaller pictures, batches or base_width "
                    "need less",
                    function, (unsigned long long)o->o.max_bytes,
                    (unsigned long long)EVI_MIN(m.total_bytes, terms.total_bytes),
                    (unsigned long long)m.total_bytes);
}

/* The need of one thread decides: more threads must not change the sums of gradients. */
static ev_status decide(ev_context *ctx, const evi_gan_options *o, const char *function,
                        bool *split_out)
{
    ev_context *alone = NULL;
    *split_out = false;
    if (o->o.max_bytes == 0)
        return EV_OK;
    EVI_TRY(evi_context_like(ctx, 1, &alone));
    ev_status status = decide_alone(alone, o, function, split_out);
    ev_context_destroy(alone);
    return status;
}

ev_status ev_cyclegan_memory(ev_context *ctx, const ev_cyclegan_options *opt, ev_memory *out)
{
    evi_gan_options o;
    ev_memory m;
    bool split = false;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_POINTER(out);
    EVI_TRY(evi_gan_options_read(opt, __func__, &o));
    EVI_TRY(decide(ctx, &o, __func__, &split));
    EVI_TRY(count(ctx, &o, split, &m));
    return evi_options_write(out, &m, (uint32_t)sizeof(m), __func__);
}

/* ---- make ------------------------------------------------------------------------------------ */

static ev_status make_trainers(ev_cyclegan *gan)
{
    ev_train_options t;
    trainer_options(&gan->o, &t);
    for (int32_t i = 0; i < gan->nets.n_updates; i++)
        EVI_TRY(evi_trainer_create_parts(gan->handle.ctx, gan->nets.updates[i].nets,
                                         gan->nets.updates[i].n_nets, &t, &gan->trainers[i]));
    uint64_t undo = evi_gan_undo_elements(&gan->o, &gan->nets);
    return undo > 0 ? evi_malloc(gan->handle.ctx, undo, sizeof(evi_real), &gan->undo) : EV_OK;
}

static ev_status make_pools(ev_cyclegan *gan)
{
    int64_t dims[3];
    picture(&gan->o, dims);
    for (int32_t side = 0; side < 2; side++) {
        const evi_rng chance = {gan->o.o.seed, POOL_STREAM + (uint64_t)side};
        EVI_TRY(evi_gan_pool_start(gan->handle.ctx, &gan->pools[side], pool_capacity(&gan->o),
                                   gan->o.o.batch_size, dims, chance));
    }
    return EV_OK;
}

static ev_status make_labels(ev_cyclegan *gan)
{
    ev_context *ctx = gan->handle.ctx;
    const int64_t batch = gan->o.o.batch_size;
    int64_t input[3];
    ev_plan_options p;
    ev_plan *plan = NULL;
    if (gan->nets.classifier == NULL)
        return EV_OK;
    EVI_TRY(
        evi_classifier_shape(gan->nets.classifier, "ev_cyclegan_create", input, &gan->n_classes));
    for (int32_t set = 0; set < 2; set++)
        if (has_labels(&gan->o, set))
            EVI_TRY(ev_tensor_create(ctx, EV_TYPE_INT32, 1, &batch, &gan->labels[set]));
    if (gan->nets.labeller == NULL)
        return EV_OK;
    labeller_options(&gan->o, &p);
    EVI_TRY(ev_plan_create(ctx, gan->nets.labeller, &p, &plan));
    ev_status status = ev_session_create(plan, &gan->labeller);
    ev_plan_destroy(plan);
    return status;
}

static ev_status make_feeds(ev_cyclegan *gan, ev_dataset *const sets[2])
{
    const ev_cyclegan_options *o = &gan->o.o;
    for (int32_t set = 0; set < 2; set++) {
        const evi_gan_feed_options f = {.width = o->width,
                                        .height = o->height,
                                        .load_width = o->load_width,
                                        .load_height = o->load_height,
                                        .channels = gan->o.g.channels,
                                        .batch = o->batch_size,
                                        .flip = !o->no_flip,
                                        .replacement = o->replacement,
                                        .seed = o->seed,
                                        .stream = (uint64_t)set,
                                        .cache_bytes = o->cache_bytes,
                                        .loader_threads = o->loader_threads};
        EVI_TRY(evi_gan_feed_create(gan->handle.ctx, sets[set], &f, &gan->feeds[set]));
    }
    return EV_OK;
}

static ev_status check_sets(const ev_cyclegan_options *o, ev_dataset *const sets[2],
                            int32_t *n_steps_out)
{
    int32_t most = 0;
    *n_steps_out = o->steps_per_epoch;
    if (sets[0] == NULL && sets[1] == NULL)
        return EV_OK;
    for (int32_t set = 0; set < 2; set++) {
        EVI_TRY(evi_check_handle(sets[set], EVI_MAGIC_DATASET, "ev_cyclegan_create",
                                 set == 0 ? "a" : "b"));
        if (ev_dataset_size(sets[set]) < 1)
            return evi_fail(EV_ERR_ARGUMENT,
                            "ev_cyclegan_create: set %c has no pictures; give it "
                            "some",
                            'A' + (int)set);
        most = EVI_MAX(most, ev_dataset_size(sets[set]));
    }
    if (*n_steps_out == 0)
        *n_steps_out = EVI_MAX(most / o->batch_size, 1);
    return EV_OK;
}

static ev_status make(ev_cyclegan *gan, ev_dataset *const sets[2])
{
    ev_context *ctx = gan->handle.ctx;
    const ev_cyclegan_options *o = &gan->o.o;
    bool split = false;
    EVI_TRY(check_sets(o, sets, &gan->n_steps));
    EVI_TRY(decide(ctx, &gan->o, "ev_cyclegan_create", &split));
    gan->is_split = split;
    EVI_TRY(evi_gan_nets_draw(ctx, &gan->o, split, true, &gan->nets));
    EVI_TRY(make_trainers(gan));
    EVI_TRY(make_pools(gan));
    EVI_TRY(make_labels(gan));
    if (o->checkpoint != NULL)
        EVI_TRY(evi_strdup(ctx, o->checkpoint, &gan->checkpoint));
    if (sets[0] != NULL)
        EVI_TRY(make_feeds(gan, sets));
    gan->o.o.checkpoint = NULL; /* borrowed until here */
    gan->last.struct_size = gan->sums.struct_size = sizeof(gan->sums);
    gan->epoch_start = evi_seconds();
    return EV_OK;
}

ev_status ev_cyclegan_create(ev_context *ctx, ev_dataset *a, ev_dataset *b,
                             const ev_cyclegan_options *opt, ev_cyclegan **out)
{
    ev_dataset *const sets[2] = {a, b};
    ev_cyclegan *gan = NULL;
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_TRY(evi_calloc(ctx, 1, sizeof(*gan), &gan));
    evi_handle_start(&gan->handle, EVI_MAGIC_CYCLEGAN, ctx);
    ev_status status = evi_gan_options_read(opt, __func__, &gan->o);
    if (status == EV_OK)
        status = make(gan, sets);
    if (status != EV_OK)
        ev_cyclegan_destroy(gan);
    else
        *out = gan;
    return status;
}

void ev_cyclegan_destroy(ev_cyclegan *gan)
{
    if (!evi_handle_drop(gan, EVI_MAGIC_CYCLEGAN))
        return;
    for (int32_t i = 0; i < 2; i++) {
        evi_gan_feed_destroy(gan->feeds[i]);
        ev_tensor_destroy(gan->labels[i]);
        evi_gan_pool_end(&gan->pools[i]);
    }
    ev_session_destroy(gan->labeller);
    for (int32_t i = 0; i < EVI_GAN_TRAINERS; i++)
        ev_trainer_destroy(gan->trainers[i]);
    evi_gan_nets_end(&gan->nets);
    evi_free(gan->undo);
    evi_free(gan->checkpoint);
    evi_handle_end(gan);
}

/* ---- ask ------------------------------------------------------------------------------------- */

static bool is_gan(const ev_cyclegan *gan)
{
    return gan != NULL && gan->handle.magic == EVI_MAGIC_CYCLEGAN;
}

int32_t ev_cyclegan_epoch(const ev_cyclegan *gan)
{
    return is_gan(gan) ? gan->epoch : -1;
}

int64_t ev_cyclegan_steps(const ev_cyclegan *gan)
{
    return is_gan(gan) ? gan->total_steps : -1;
}

static ev_status give(int32_t direction, ev_model *const models[2], const char *function,
                      ev_model **out)
{
    if (direction != EV_A_TO_B && direction != EV_B_TO_A)
        return evi_fail(EV_ERR_ARGUMENT, "%s: direction %d is neither EV_A_TO_B nor EV_B_TO_A",
                        function, (int)direction);
    *out = ev_model_ref(models[direction]);
    return EV_OK;
}

ev_status ev_cyclegan_generator(ev_cyclegan *gan, int32_t direction, ev_model **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(gan, EVI_MAGIC_CYCLEGAN);
    return give(direction, gan->nets.generators, __func__, out);
}

ev_status ev_cyclegan_discriminator(ev_cyclegan *gan, int32_t direction, ev_model **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(gan, EVI_MAGIC_CYCLEGAN);
    return give(direction, gan->nets.discriminators, __func__, out);
}

ev_status ev_cyclegan_translate(ev_cyclegan *gan, int32_t direction, const ev_image *image,
                                const ev_translator_options *opt, ev_image **out)
{
    ev_model *generator = NULL;
    ev_translator *translator = NULL;
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_TRY(ev_cyclegan_generator(gan, direction, &generator));
    ev_status status = ev_translator_create(gan->handle.ctx, generator, opt, &translator);
    if (status == EV_OK)
        status = ev_translator_run(translator, image, out);
    ev_translator_destroy(translator);
    ev_model_destroy(generator);
    return status;
}
