/* SPDX-License-Identifier: MIT */
/* Options of a training run: defaults, ranges, and the text that a checkpoint must agree with. */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

static double or_default(float x, double otherwise)
{
    return x == 0 ? otherwise : x < 0 ? 0 : evi_decimal(x);
}

static int32_t or_default_int(int32_t x, int32_t otherwise)
{
    return x == 0 ? otherwise : x < 0 ? 0 : x;
}

static ev_status check(bool good, const char *function, const char *name, double value)
{
    if (good)
        return EV_OK;
    return evi_fail(EV_ERR_ARGUMENT, "%s: %s %g is out of range", function, name, value);
}

#define CHECK(condition, name, value) EVI_TRY(check((condition), function, (name), (double)(value)))

static void optimizer_defaults(const ev_train_options *o, evi_train *t)
{
    bool sgd = o->optimizer == EV_OPTIMIZER_SGD, rms = o->optimizer == EV_OPTIMIZER_RMSPROP;
    t->optimizer = o->optimizer == EV_OPTIMIZER_DEFAULT ? EV_OPTIMIZER_ADAM : o->optimizer;
    t->learning_rate = o->learning_rate == 0 ? (sgd ? 1e-2 : 1e-3) : evi_decimal(o->learning_rate);
    t->momentum = or_default(o->momentum, sgd ? 0.9 : 0);
    t->nesterov = o->nesterov != 0;
    t->beta1 = or_default(o->beta1, 0.9);
    t->beta2 = or_default(o->beta2, rms ? 0.99 : 0.999);
    t->epsilon = o->epsilon == 0 ? 1e-8 : evi_decimal(o->epsilon);
    t->l2 = evi_decimal(o->l2);
    t->decay = t->optimizer == EV_OPTIMIZER_ADAMW ? or_default(o->decay, 0.01) : 0;
    t->clip_norm = evi_decimal(o->clip_norm);
    t->clip_value = evi_decimal(o->clip_value);
}

static ev_status check_optimizer(const ev_train_options *o, const evi_train *t,
                                 const char *function)
{
    CHECK(o->optimizer >= 0 && o->optimizer <= EV_OPTIMIZER_RMSPROP, "optimizer", o->optimizer);
    CHECK(t->learning_rate > 0 && t->learning_rate <= 1e6, "learning_rate", o->learning_rate);
    CHECK(t->momentum <= 1, "momentum", o->momentum);
    CHECK(t->beta1 < 1, "beta1", o->beta1);
    CHECK(t->beta2 < 1, "beta2", o->beta2);
    CHECK(t->epsilon > 0 && t->epsilon <= 1e6, "epsilon", o->epsilon);
    CHECK(t->l2 >= 0 && t->l2 <= 1e6, "l2", o->l2);
    CHECK(t->decay <= 1e6 && !isnan(o->decay), "decay", o->decay);
    CHECK(t->clip_norm >= 0, "clip_norm", o->clip_norm);
    CHECK(t->clip_value >= 0, "clip_value", o->clip_value);
    CHECK(!(t->nesterov && t->momentum <= 0), "nesterov without momentum", o->momentum);
    return EV_OK;
}

static ev_status schedule_options(const ev_train_options *o, evi_train *t, const char *function)
{
    int32_t epochs = o->schedule == EV_SCHEDULE_STEP     ? 30
                     : o->schedule == EV_SCHEDULE_LINEAR ? t->max_epochs / 2
                                                         : 5;
    t->schedule = o->schedule;
    t->schedule_epochs = o->schedule_epochs == 0 ? epochs : o->schedule_epochs;
    t->schedule_factor = o->schedule_factor == 0 ? 0.1 : evi_decimal(o->schedule_factor);
    t->learning_rate_min = evi_decimal(o->learning_rate_min);
    t->warmup_steps = o->warmup_steps;
    CHECK(o->schedule >= 0 && o->schedule <= EV_SCHEDULE_PLATEAU, "schedule", o->schedule);
    CHECK(t->schedule_epochs >= (t->schedule == EV_SCHEDULE_STEP), "schedule_epochs",
          o->schedule_epochs);
    CHECK(t->schedule_factor > 0 && t->schedule_factor <= 1, "schedule_factor",
          o->schedule_factor);
    CHECK(t->learning_rate_min >= 0 && t->learning_rate_min <= t->learning_rate,
          "learning_rate_min", o->learning_rate_min);
    CHECK(t->warmup_steps >= 0, "warmup_steps", o->warmup_steps);
    return EV_OK;
}

static ev_status length_options(const ev_train_options *o, bool has_valid, evi_train *t,
                                const char *function)
{
    t->batch_size = o->batch_size == 0 ? 32 : o->batch_size;
    t->max_epochs = o->max_epochs == 0 ? 100 : o->max_epochs;
    t->patience = o->patience == 0 ? 10 : o->patience;
    t->min_delta = evi_decimal(o->min_delta);
    t->time_limit = o->time_limit_seconds;
    t->monitor = o->monitor;
    if (o->monitor == EV_MONITOR_DEFAULT && has_valid)
        t->monitor = EV_MONITOR_VALID_LOSS;
    CHECK(t->batch_size >= 1 && t->batch_size <= 65536, "batch_size", o->batch_size);
    CHECK(t->max_epochs >= 1, "max_epochs", o->max_epochs);
    CHECK(t->min_delta >= 0, "min_delta", o->min_delta);
    CHECK(t->time_limit >= 0, "time_limit_seconds", o->time_limit_seconds);
    CHECK(o->monitor >= 0 && o->monitor <= EV_MONITOR_TRAIN_LOSS, "monitor", o->monitor);
    return EV_OK;
}

static ev_status loss_options(const ev_train_options *o, evi_train *t, const char *function)
{
    t->dropout = o->dropout == 0 ? -1 : o->dropout < 0 ? 0 : o->dropout;
    t->label_smoothing = o->label_smoothing;
    t->class_weights = o->class_weights;
    t->n_class_weights = o->class_weights != NULL ? o->n_class_weights : 0;
    CHECK(t->dropout < 1, "dropout", o->dropout);
    CHECK(t->label_smoothing >= 0 && t->label_smoothing <= 1, "label_smoothing",
          o->label_smoothing);
    CHECK(o->n_class_weights >= 0 && (o->class_weights != NULL || o->n_class_weights == 0),
          "n_class_weights", o->n_class_weights);
    for (int32_t i = 0; i < t->n_class_weights; i++)
        CHECK(t->class_weights[i] >= 0 && isfinite(t->class_weights[i]), "a class weight",
              t->class_weights[i]);
    return EV_OK;
}

static ev_status other_options(const ev_train_options *o, evi_train *t, const char *function)
{
    t->precise = o->precise != 0;
    t->seed = o->seed == 0 ? 1 : o->seed;
    t->no_shuffle = o->no_shuffle != 0;
    t->drop_last = o->drop_last != 0;
    t->skip_unreadable = o->skip_unreadable != 0;
    t->loader_threads = o->loader_threads;
    t->cache_bytes = o->cache_bytes;
    t->augment = o->augment;
    t->decode = o->decode;
    t->on_epoch = o->on_epoch;
    t->on_step = o->on_step;
    t->reduce = o->reduce;
    t->user = o->user;
    t->checkpoint = o->checkpoint;
    t->checkpoint_epochs = or_default_int(o->checkpoint_epochs, 1);
    t->checkpoint_steps = or_default_int(o->checkpoint_steps, 0);
    CHECK(o->checkpoint == NULL || o->checkpoint[0] != '\0', "an empty checkpoint path", 0);
    return EV_OK;
}

ev_status evi_train_options(const ev_train_options *opt, bool has_valid, const char *function,
                            evi_train *out)
{
    ev_train_options o;
    EVI_TRY(evi_options_read(&o, (uint32_t)sizeof(o), opt, function));
    *out = (evi_train){ 0 };
    EVI_TRY(length_options(&o, has_valid, out, function));
    optimizer_defaults(&o, out);
    EVI_TRY(check_optimizer(&o, out, function));
    EVI_TRY(schedule_options(&o, out, function));
    EVI_TRY(loss_options(&o, out, function));
    return other_options(&o, out, function);
}

/* ---- the text ------------------------------------------------------------------------------ */

static void add_int(evi_text *text, const char *key, int64_t value)
{
    evi_text_add(text, "%s=%lld;", key, (long long)value);
}

static void add_real(evi_text *text, const char *key, double value)
{
    evi_text_add(text, "%s=", key);
    evi_text_double(text, value);
    evi_text_add(text, ";");
}

/* Which weights are trained, and by which layers they are used. */
static uint32_t layers_crc(const ev_trainer *t)
{
    uint32_t crc = 0;
    for (int32_t k = 0; k < t->n_parts; k++) {
        const ev_plan *plan = t->parts[k].plan;
        for (int32_t i = 0; i < plan->n_nodes; i++) {
            const char *name = plan->nodes[i].op->name;
            crc = evi_crc32c(crc, name, strlen(name));
        }
    }
    for (int32_t i = 0; i < t->n_pieces; i++) {
        const evi_train_piece *p = &t->pieces[i];
        const int64_t numbers[3] = { p->store, p->first, p->count };
        crc = evi_crc32c(crc, numbers, sizeof(numbers));
    }
    return crc;
}

static uint32_t augment_crc(const ev_augment_options *augment)
{
    ev_augment_options a;
    if (augment == NULL || evi_options_read(&a, (uint32_t)sizeof(a), augment, "augment") != EV_OK)
        return 0;
    return evi_crc32c(0, &a, sizeof(a));
}

static void add_optimizer(evi_text *text, const evi_train *o)
{
    add_int(text, "optimizer", o->optimizer);
    add_int(text, "nesterov", o->nesterov);
    add_real(text, "learning_rate", o->learning_rate);
    add_real(text, "momentum", o->momentum);
    add_real(text, "beta1", o->beta1);
    add_real(text, "beta2", o->beta2);
    add_real(text, "epsilon", o->epsilon);
    add_real(text, "l2", o->l2);
    add_real(text, "decay", o->decay);
    add_real(text, "clip_norm", o->clip_norm);
    add_real(text, "clip_value", o->clip_value);
}

static void add_schedule(evi_text *text, const evi_train *o)
{
    bool whole = o->schedule == EV_SCHEDULE_LINEAR || o->schedule == EV_SCHEDULE_COSINE;
    add_int(text, "schedule", o->schedule);
    add_int(text, "schedule_epochs", o->schedule_epochs);
    add_real(text, "schedule_factor", o->schedule_factor);
    add_real(text, "learning_rate_min", o->learning_rate_min);
    add_int(text, "warmup_steps", o->warmup_steps);
    add_int(text, "max_epochs", whole ? o->max_epochs : 0);
    add_int(text, "monitor", o->monitor);
}

static void add_data(evi_text *text, const evi_train *o, int32_t n_train, int32_t n_valid)
{
    add_int(text, "batch_size", o->batch_size);
    /* of a fixed width, so that the memory for this text is known beforehand */
    evi_text_add(text, "training pictures=%-10d;", (int)n_train);
    evi_text_add(text, "validation pictures=%-10d;", (int)n_valid);
    add_int(text, "no_shuffle", o->no_shuffle);
    add_int(text, "drop_last", o->drop_last);
    add_int(text, "skip_unreadable", o->skip_unreadable);
    evi_text_add(text, "augment=%08x;", (unsigned)augment_crc(o->augment));
}

void evi_train_text(evi_text *text, const evi_train *o, int32_t n_train, int32_t n_valid)
{
    uint32_t crc = 0;
    add_optimizer(text, o);
    add_schedule(text, o);
    add_data(text, o, n_train, n_valid);
    add_real(text, "dropout", (double)o->dropout);
    add_real(text, "label_smoothing", (double)o->label_smoothing);
    if (o->n_class_weights > 0)
        crc = evi_crc32c(0, o->class_weights, (uint64_t)o->n_class_weights * sizeof(float));
    evi_text_add(text, "class_weights=%08x;", (unsigned)crc);
    evi_text_add(text, "seed=%llu;", (unsigned long long)o->seed);
    add_int(text, "precise", o->precise);
    if (o->distill > 0) {
        add_real(text, "distill", o->distill);
        add_real(text, "temperature", o->temperature);
    }
}

ev_status evi_train_options_text(ev_trainer *t, int32_t n_train, int32_t n_valid)
{
    evi_text text;
    evi_text_start(&text, t->handle.ctx);
    evi_train_text(&text, &t->o, n_train, n_valid);
    evi_text_add(&text, "layers=%08x;", (unsigned)layers_crc(t));
    ev_status status = text.status;
    if (status == EV_OK)
        status = evi_strdup(t->handle.ctx, text.data, &t->options_text);
    evi_text_end(&text);
    return status;
}
