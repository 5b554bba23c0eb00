/* SPDX-License-Identifier: MIT */
/* A training run as an object: made, asked, ended. */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

/* ---- make ---------------------------------------------------------------------------------- */

/* The net and its plan: what has to be known before memory can be counted. */
static ev_status plan_net(ev_trainer *t)
{
    ev_plan_options p;
    float *rates = NULL;
    EV_OPTIONS_INIT(&p);
    p.max_batch = t->o.batch_size;
    p.precise = t->o.precise;
    EVI_TRY(evi_train_compose(t->handle.ctx, t->model, &t->o, &t->net, &t->is_classifier));
    EVI_TRY(evi_dropout_set(t->net, t->o.dropout, &rates));
    ev_status status = evi_plan_create_training(t->handle.ctx, t->net, &p, &t->plan);
    evi_dropout_restore(t->net, rates);
    EVI_TRY(status);
    t->n_inputs = t->net->n_inputs;
    t->n_losses = evi_count_losses(t->net);
    if (t->is_classifier)
        t->n_classes = (int32_t)t->net->values[t->net->outputs[0].value].edge.shape.dim[1];
    t->n_stores = t->plan->n_stores;
    EVI_TRY(evi_calloc(t->handle.ctx, (uint64_t)t->n_stores, sizeof(evi_train_store), &t->stores));
    for (int32_t i = 0; i < t->n_stores; i++)
        t->stores[i].store = t->plan->stores[i];
    return EV_OK;
}

/* Starts the object; what was made so far is there also after a failure. */
static ev_status begin(ev_context *ctx, ev_model *model, const evi_teacher *teacher, bool has_valid,
                       const ev_train_options *opt, const char *function, ev_trainer **out)
{
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    evi_train o;
    EVI_TRY(evi_train_options(opt, has_valid, function, &o));
    EVI_TRY(evi_calloc(ctx, 1, sizeof(ev_trainer), out));
    ev_trainer *t = *out;
    evi_handle_start(&t->handle, EVI_MAGIC_TRAINER, ctx);
    t->o = o;
    if (teacher != NULL) {
        t->o.distill = teacher->distill;
        t->o.temperature = teacher->temperature;
    }
    t->keep_best = o.monitor != EV_MONITOR_DEFAULT;
    t->model = ev_model_ref(model);
    return plan_net(t);
}

static ev_status make_session(ev_trainer *t)
{
    evi_real **gradients = NULL;
    EVI_TRY(evi_calloc(t->handle.ctx, (uint64_t)t->n_stores, sizeof(evi_real *), &gradients));
    for (int32_t i = 0; i < t->n_stores; i++) {
        gradients[i] = t->stores[i].gradients;
        t->n_trained += t->stores[i].trained;
    }
    ev_status status = evi_session_create_training(t->plan, gradients, &t->session);
    evi_free(gradients);
    EVI_TRY(status);
    const evi_rng chance = { t->o.seed, 0x64726f706f7574u }; /* a stream for dropout alone */
    for (int32_t i = 0; i < t->session->steps.n; i++)
        t->session->steps.step[i].rng =
            evi_rng_derive(chance, (uint64_t)t->session->steps.node[i]);
    return EV_OK;
}

/* The small tables, in the order of small_bytes(). */
static ev_status make_tables(ev_trainer *t)
{
    ev_context *ctx = t->handle.ctx;
    uint64_t n_outputs = (uint64_t)t->net->n_outputs;
    EVI_TRY(evi_calloc(ctx, (uint64_t)t->n_losses, sizeof(double), &t->losses));
    EVI_TRY(evi_calloc(ctx, (uint64_t)t->n_inputs, sizeof(void *), &t->inputs));
    EVI_TRY(evi_calloc(ctx, n_outputs, sizeof(ev_tensor), &t->outputs));
    for (uint64_t i = 0; i < n_outputs; i++) {
        ev_tensor *out = &t->outputs[i];
        out->handle.magic = EVI_MAGIC_TENSOR;
        out->handle.ctx = ctx;
        atomic_init(&out->handle.refs, 1);
        out->type = t->net->values[t->net->outputs[i].value].edge.type;
    }
    t->history_capacity = EVI_MIN(t->o.max_epochs, 128);
    return evi_calloc(ctx, (uint64_t)t->history_capacity, sizeof(ev_epoch), &t->history);
}

static uint64_t small_bytes(const ev_trainer *t)
{
    return evi_block_bytes(sizeof(ev_trainer)) +
           evi_block_bytes((uint64_t)t->n_stores * sizeof(evi_train_store)) +
           evi_block_bytes((uint64_t)t->n_losses * sizeof(double)) +
           evi_block_bytes((uint64_t)t->n_inputs * sizeof(void *)) +
           evi_block_bytes((uint64_t)t->net->n_outputs * sizeof(ev_tensor)) +
           evi_block_bytes((uint64_t)EVI_MIN(t->o.max_epochs, 128) * sizeof(ev_epoch)) +
           evi_block_bytes(strlen(t->options_text) + 1) +
           (t->o.checkpoint != NULL ? evi_block_bytes(strlen(t->o.checkpoint) + 1) : 0) +
           (t->net != t->model ? evi_model_bytes(t->net) : 0);
}

static ev_status make_loader(ev_trainer *t, ev_dataset *dataset, bool training, ev_loader **out)
{
    ev_loader_options o;
    if (dataset == NULL)
        return EV_OK;
    if (!t->is_classifier)
        return evi_fail(EV_ERR_ARGUMENT, "ev_trainer_create: a model with losses of its own takes "
                                         "no dataset; feed it by ev_trainer_step()");
    EV_OPTIONS_INIT(&o);
    o.batch_size = t->o.batch_size;
    o.seed = t->o.seed;
    o.cache_bytes = t->o.cache_bytes;
    o.n_threads = t->o.loader_threads;
    o.skip_unreadable = t->o.skip_unreadable;
    o.decode = t->o.decode;
    if (training) {
        o.shuffle = !t->o.no_shuffle;
        o.drop_last = t->o.drop_last;
        o.augment = t->o.augment;
    }
    EVI_TRY(evi_model_loader(t->handle.ctx, t->model, dataset, &o, out));
    if (ev_loader_batches(*out) == 0)
        return evi_fail(EV_ERR_ARGUMENT, "ev_trainer_create: %d pictures make no batch of %d",
                        (int)ev_dataset_size(dataset), (int)t->o.batch_size);
    return EV_OK;
}

static void start_state(ev_trainer *t)
{
    t->state = (evi_train_state){ .best_epoch = -1, .base_rate = t->o.learning_rate,
                                  .plateau_factor = 1, .plateau_best = INFINITY,
                                  .watched_best = INFINITY };
    t->epoch_start = evi_seconds();
    t->last_rate = evi_train_rate(t);
}

static ev_status complete(ev_trainer *t, ev_dataset *train, ev_dataset *valid)
{
    EVI_TRY(evi_train_vectors(t, true));
    EVI_TRY(make_session(t));
    EVI_TRY(make_tables(t));
    EVI_TRY(make_loader(t, train, true, &t->train));
    EVI_TRY(make_loader(t, valid, false, &t->valid));
    if (t->o.checkpoint != NULL)
        EVI_TRY(evi_strdup(t->handle.ctx, t->o.checkpoint, &t->checkpoint_path));
    EVI_TRY(evi_train_options_text(t, ev_dataset_size(train), ev_dataset_size(valid)));
    start_state(t);
    t->o.class_weights = NULL; /* borrowed until here */
    t->o.augment = NULL;
    t->o.decode = NULL;
    t->o.checkpoint = NULL;
    return EV_OK;
}

/* ---- a teacher ----------------------------------------------------------------------------- */

static ev_status make_teacher(ev_trainer *t, const evi_teacher *teacher)
{
    ev_plan_options p;
    ev_plan *plan = NULL;
    int64_t ours[3], theirs[3];
    int32_t n = 0;
    EVI_TRY(evi_classifier_shape(t->model, "ev_trainer_create", ours, &n));
    EVI_TRY(evi_classifier_shape(teacher->model, "ev_trainer_create", theirs, &n));
    if (n != t->n_classes || memcmp(ours, theirs, sizeof(ours)) != 0)
        return evi_fail(EV_ERR_SHAPE, "ev_trainer_create: the teacher sees other pictures or tells "
                                      "%d classes apart, not %d",
                        (int)n, (int)t->n_classes);
    EV_OPTIONS_INIT(&p);
    p.max_batch = t->o.batch_size;
    p.precise = t->o.precise;
    EVI_TRY(ev_plan_create(t->handle.ctx, teacher->model, &p, &plan));
    ev_status status = ev_session_create(plan, &t->teacher);
    ev_plan_destroy(plan);
    return status;
}

ev_status evi_train_ask_teacher(ev_trainer *t, const ev_tensor *images, const void **out)
{
    EVI_TRY(ev_session_run(t->teacher, &images, 1, NULL, 0));
    *out = ev_session_output(t->teacher, 0)->data;
    return EV_OK;
}

/* ---- create and destroy -------------------------------------------------------------------- */

static ev_status create(ev_context *ctx, ev_model *model, const evi_teacher *teacher,
                        ev_dataset *train, ev_dataset *valid, const ev_train_options *opt,
                        const char *function, ev_trainer **out)
{
    if (out == NULL)
        return evi_fail(EV_ERR_ARGUMENT, "%s: out is NULL", function);
    *out = NULL;
    if (train != NULL)
        EVI_TRY(evi_check_handle(train, EVI_MAGIC_DATASET, function, "train"));
    if (valid != NULL)
        EVI_TRY(evi_check_handle(valid, EVI_MAGIC_DATASET, function, "valid"));
    if (train == NULL && valid != NULL)
        return evi_fail(EV_ERR_ARGUMENT, "%s: a validation set without a training set", function);
    ev_trainer *t = NULL;
    ev_status status = begin(ctx, model, teacher, valid != NULL, opt, function, &t);
    if (status == EV_OK && teacher != NULL)
        status = make_teacher(t, teacher);
    if (status == EV_OK)
        status = complete(t, train, valid);
    if (status != EV_OK)
        ev_trainer_destroy(t);
    else
        *out = t;
    return status;
}

ev_status ev_trainer_create(ev_context *ctx, ev_model *model, ev_dataset *train, ev_dataset *valid,
                            const ev_train_options *opt, ev_trainer **out)
{
    return create(ctx, model, NULL, train, valid, opt, __func__, out);
}

ev_status evi_trainer_create_taught(ev_context *ctx, ev_model *model, const evi_teacher *teacher,
                                    ev_dataset *train, ev_dataset *valid,
                                    const ev_train_options *opt, ev_trainer **out)
{
    return create(ctx, model, teacher, train, valid, opt, "ev_trainer_create", out);
}

void ev_trainer_destroy(ev_trainer *trainer)
{
    ev_trainer *t = trainer;
    if (!evi_handle_drop(t, EVI_MAGIC_TRAINER))
        return;
    ev_loader_destroy(t->train);
    ev_loader_destroy(t->valid);
    ev_session_destroy(t->session);
    ev_session_destroy(t->teacher);
    evi_train_vectors_free(t);
    ev_plan_destroy(t->plan);
    ev_model_destroy(t->net);
    ev_model_destroy(t->model);
    evi_free(t->checkpoint_path);
    evi_free(t->options_text);
    evi_free(t->stores);
    evi_free(t->losses);
    evi_free(t->inputs);
    evi_free(t->outputs);
    evi_free(t->history);
    evi_handle_end(t);
}

/* ---- how much memory? ---------------------------------------------------------------------- */

static ev_status count_memory(ev_trainer *t, bool with_valid, ev_memory *m)
{
    ev_plan_options p;
    float *rates = NULL;
    EV_OPTIONS_INIT(&p);
    p.max_batch = t->o.batch_size;
    p.precise = t->o.precise;
    EVI_TRY(evi_dropout_set(t->net, t->o.dropout, &rates));
    ev_status status = evi_plan_memory_training(t->handle.ctx, t->net, &p, m);
    evi_dropout_restore(t->net, rates);
    EVI_TRY(status);
    EVI_TRY(evi_train_vectors(t, false));
    EVI_TRY(evi_train_options_text(t, 0, 0));
    m->training_bytes = evi_train_vectors_bytes(t) + small_bytes(t);
    m->total_bytes = m->weights_bytes + m->plan_bytes + m->session_bytes + m->training_bytes;
    if (with_valid) {
        ev_memory v;
        EV_OPTIONS_INIT(&v);
        EVI_TRY(ev_plan_memory(t->handle.ctx, t->model, &p, &v));
        m->plan_bytes += v.plan_bytes;
        m->session_bytes += v.session_bytes;
        m->total_bytes += v.plan_bytes + v.session_bytes;
    }
    return EV_OK;
}

ev_status ev_trainer_memory(ev_context *ctx, ev_model *model, int32_t with_valid,
                            const ev_train_options *opt, ev_memory *out)
{
    EVI_CHECK_POINTER(out);
    ev_memory m;
    EV_OPTIONS_INIT(&m);
    ev_trainer *t = NULL;
    ev_status status = begin(ctx, model, NULL, with_valid != 0, opt, __func__, &t);
    if (status == EV_OK)
        status = count_memory(t, with_valid != 0, &m);
    ev_trainer_destroy(t);
    EVI_TRY(status);
    return evi_options_write(out, &m, (uint32_t)sizeof(m), __func__);
}

/* ---- ask ----------------------------------------------------------------------------------- */

static bool is_trainer(const ev_trainer *t)
{
    return t != NULL && t->handle.magic == EVI_MAGIC_TRAINER;
}

ev_status ev_trainer_set_learning_rate(ev_trainer *trainer, double learning_rate)
{
    EVI_CHECK_HANDLE(trainer, EVI_MAGIC_TRAINER);
    if (!(learning_rate > 0 && learning_rate <= 1e6))
        return evi_fail(EV_ERR_ARGUMENT, "%s: %g is not above 0", __func__, learning_rate);
    trainer->state.base_rate = learning_rate;
    return EV_OK;
}

double ev_trainer_learning_rate(const ev_trainer *trainer)
{
    return is_trainer(trainer) ? evi_train_rate(trainer) : (double)NAN;
}

int32_t ev_trainer_epoch(const ev_trainer *trainer)
{
    return is_trainer(trainer) ? trainer->state.epoch : -1;
}

int32_t ev_trainer_batch(const ev_trainer *trainer)
{
    return is_trainer(trainer) ? trainer->state.batch : -1;
}

int64_t ev_trainer_steps(const ev_trainer *trainer)
{
    return is_trainer(trainer) ? trainer->state.steps : -1;
}

int32_t ev_trainer_best_epoch(const ev_trainer *trainer)
{
    return is_trainer(trainer) ? trainer->state.best_epoch : -1;
}

double ev_trainer_gradient_norm(const ev_trainer *trainer)
{
    return is_trainer(trainer) ? trainer->gradient_norm : (double)NAN;
}

int32_t ev_trainer_n_losses(const ev_trainer *trainer)
{
    return is_trainer(trainer) ? trainer->n_losses : -1;
}

const char *ev_trainer_loss_name(const ev_trainer *trainer, int32_t index)
{
    if (!is_trainer(trainer) || index < 0)
        return NULL;
    const ev_model *net = trainer->net;
    for (int32_t i = 0; i < net->n_outputs; i++)
        if (net->outputs[i].is_loss && index-- == 0)
            return net->outputs[i].name;
    return NULL;
}

ev_status ev_trainer_history(const ev_trainer *trainer, int32_t index, ev_epoch *out)
{
    EVI_CHECK_HANDLE(trainer, EVI_MAGIC_TRAINER);
    if (index < 0 || index >= trainer->state.epoch)
        return evi_fail(EV_ERR_ARGUMENT, "%s: epoch %d is not in 0..%d", __func__, (int)index,
                        (int)trainer->state.epoch - 1);
    return evi_options_write(out, &trainer->history[index], (uint32_t)sizeof(*out), __func__);
}

const ev_tensor *ev_trainer_output(const ev_trainer *trainer, int32_t index)
{
    if (!is_trainer(trainer) || index < 0 || index >= trainer->net->n_outputs)
        return NULL;
    return trainer->outputs[index].data != NULL ? &trainer->outputs[index] : NULL;
}
