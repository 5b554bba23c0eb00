/* SPDX-License-Identifier: MIT */
/* A training run as an object: made, asked, ended. */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

/* ---- make ---------------------------------------------------------------------------------- */

/* What a trainer is made of. */
typedef struct origin {
    ev_model *const *nets;
    int32_t n_nets;
    const evi_teacher *teacher; /* NULL: none */
    ev_dataset *train, *valid;  /* NULL: none */
    const ev_train_options *opt;
    const char *function; /* the caller's, for messages */
} origin;

static ev_status compose_nets(ev_trainer *t, const origin *from)
{
    for (int32_t i = 0; i < from->n_nets; i++) {
        ev_model *net = from->nets[i];
        if (from->n_nets > 1 && evi_count_losses(net) == 0)
            return evi_fail(EV_ERR_ARGUMENT, "%s: net %d of %d declares no loss", from->function,
                            (int)i, (int)from->n_nets);
        EVI_TRY(evi_train_compose(t->handle.ctx, net, &t->o, &t->parts[i].net,
                                  &t->is_classifier));
    }
    const ev_model *net = t->parts[0].net;
    if (t->is_classifier)
        t->n_classes = (int32_t)net->values[net->outputs[0].value].edge.shape.dim[1];
    return EV_OK;
}

static uint64_t trainer_bytes(int32_t n_parts)
{
    return sizeof(ev_trainer) + (uint64_t)n_parts * sizeof(evi_train_part);
}

/* Starts the object, up to what has to be known before memory can be counted; what was made so far
 * is there also after a failure. */
static ev_status begin(ev_context *ctx, const origin *from, bool has_valid, ev_trainer **out)
{
    EVI_TRY(evi_check_handle(ctx, EVI_MAGIC_CONTEXT, from->function, "ctx"));
    for (int32_t i = 0; i < from->n_nets; i++)
        EVI_TRY(evi_check_handle(from->nets[i], EVI_MAGIC_MODEL, from->function, "model"));
    evi_train o;
    EVI_TRY(evi_train_options(from->opt, has_valid, from->function, &o));
    EVI_TRY(evi_calloc(ctx, 1, trainer_bytes(from->n_nets), out));
    ev_trainer *t = *out;
    evi_handle_start(&t->handle, EVI_MAGIC_TRAINER, ctx);
    t->o = o;
    if (from->teacher != NULL) {
        t->o.distill = from->teacher->distill;
        t->o.temperature = from->teacher->temperature;
    }
    t->keep_best = o.monitor != EV_MONITOR_DEFAULT;
    t->model = ev_model_ref(from->nets[0]);
    t->n_parts = from->n_nets;
    EVI_TRY(compose_nets(t, from));
    return evi_train_plan_parts(t);
}

static ev_status make_history(ev_trainer *t)
{
    t->history_capacity = EVI_MIN(t->o.max_epochs, 128);
    return evi_calloc(t->handle.ctx, (uint64_t)t->history_capacity, sizeof(ev_epoch), &t->history);
}

static uint64_t small_bytes(const ev_trainer *t)
{
    return evi_block_bytes(trainer_bytes(t->n_parts)) +
           evi_block_bytes((uint64_t)t->n_stores * sizeof(evi_train_store)) +
           evi_block_bytes((uint64_t)EVI_MIN(t->o.max_epochs, 128) * sizeof(ev_epoch)) +
           evi_block_bytes(strlen(t->options_text) + 1) +
           (t->o.checkpoint != NULL ? evi_block_bytes(strlen(t->o.checkpoint) + 1) : 0) +
           (t->parts[0].net != t->model ? evi_model_bytes(t->parts[0].net) : 0);
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
    for (int32_t i = 0; i < t->n_stores; i++)
        t->n_trained += t->stores[i].trained;
    EVI_TRY(evi_train_start_parts(t));
    EVI_TRY(make_history(t));
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

static ev_status create(ev_context *ctx, const origin *from, ev_trainer **out)
{
    const char *function = from->function;
    if (out == NULL)
        return evi_fail(EV_ERR_ARGUMENT, "%s: out is NULL", function);
    *out = NULL;
    if (from->train != NULL)
        EVI_TRY(evi_check_handle(from->train, EVI_MAGIC_DATASET, function, "train"));
    if (from->valid != NULL)
        EVI_TRY(evi_check_handle(from->valid, EVI_MAGIC_DATASET, function, "valid"));
    if (from->train == NULL && from->valid != NULL)
        return evi_fail(EV_ERR_ARGUMENT, "%s: a validation set without a training set", function);
    ev_trainer *t = NULL;
    ev_status status = begin(ctx, from, from->valid != NULL, &t);
    if (status == EV_OK && from->teacher != NULL)
        status = make_teacher(t, from->teacher);
    if (status == EV_OK)
        status = complete(t, from->train, from->valid);
    if (status != EV_OK)
        ev_trainer_destroy(t);
    else
        *out = t;
    return status;
}

ev_status ev_trainer_create(ev_context *ctx, ev_model *model, ev_dataset *train, ev_dataset *valid,
                            const ev_train_options *opt, ev_trainer **out)
{
    const origin from = { &model, 1, NULL, train, valid, opt, __func__ };
    return create(ctx, &from, out);
}

ev_status evi_trainer_create_taught(ev_context *ctx, ev_model *model, const evi_teacher *teacher,
                                    ev_dataset *train, ev_dataset *valid,
                                    const ev_train_options *opt, ev_trainer **out)
{
    const origin from = { &model, 1, teacher, train, valid, opt, "ev_trainer_create" };
    return create(ctx, &from, out);
}

ev_status evi_trainer_create_parts(ev_context *ctx, ev_model *const *nets, int32_t n_nets,
                                   const ev_train_options *opt, ev_trainer **out)
{
    const origin from = { nets, n_nets, NULL, NULL, NULL, opt, "ev_trainer_create" };
    return create(ctx, &from, out);
}

void ev_trainer_destroy(ev_trainer *trainer)
{
    ev_trainer *t = trainer;
    if (!evi_handle_drop(t, EVI_MAGIC_TRAINER))
        return;
    ev_loader_destroy(t->train);
    ev_loader_destroy(t->valid);
    ev_session_destroy(t->teacher);
    evi_train_vectors_free(t);
    evi_train_parts_free(t);
    ev_model_destroy(t->model);
    evi_free(t->checkpoint_path);
    evi_free(t->options_text);
    evi_free(t->stores);
    evi_free(t->history);
    evi_handle_end(t);
}

/* ---- how much memory? ---------------------------------------------------------------------- */

static ev_status count_memory(ev_trainer *t, bool with_valid, ev_memory *m)
{
    ev_plan_options p;
    ev_memory v;
    EV_OPTIONS_INIT(&p);
    EV_OPTIONS_INIT(&v);
    p.max_batch = t->o.batch_size;
    p.precise = t->o.precise;
    EVI_TRY(evi_train_vectors(t, false));
    EVI_TRY(evi_train_options_text(t, 0, 0));
    if (with_valid)
        EVI_TRY(ev_plan_memory(t->handle.ctx, t->model, &p, &v));
    for (int32_t i = 0; i < t->n_stores; i++)
        m->weights_bytes += (uint64_t)t->stores[i].store->n_total * sizeof(evi_real);
    m->plan_bytes = evi_train_plans_bytes(t) + v.plan_bytes;
    m->session_bytes = evi_train_sessions_bytes(t) + v.session_bytes;
    m->training_bytes = evi_train_vectors_bytes(t) + evi_train_tables_bytes(t) + small_bytes(t);
    m->total_bytes = m->weights_bytes + m->plan_bytes + m->session_bytes + m->training_bytes;
    return EV_OK;
}

static ev_status memory(ev_context *ctx, const origin *from, bool with_valid, ev_memory *out)
{
    ev_memory m;
    EV_OPTIONS_INIT(&m);
    ev_trainer *t = NULL;
    ev_status status = begin(ctx, from, with_valid, &t);
    if (status == EV_OK)
        status = count_memory(t, with_valid, &m);
    ev_trainer_destroy(t);
    EVI_TRY(status);
    return evi_options_write(out, &m, (uint32_t)sizeof(m), from->function);
}

ev_status ev_trainer_memory(ev_context *ctx, ev_model *model, int32_t with_valid,
                            const ev_train_options *opt, ev_memory *out)
{
    const origin from = { .nets = &model, .n_nets = 1, .opt = opt, .function = __func__ };
    EVI_CHECK_POINTER(out);
    return memory(ctx, &from, with_valid != 0, out);
}

ev_status evi_trainer_memory_parts(ev_context *ctx, ev_model *const *nets, int32_t n_nets,
                                   const ev_train_options *opt, ev_memory *out)
{
    const origin from = { .nets = nets, .n_nets = n_nets, .opt = opt,
                          .function = "ev_trainer_memory" };
    return memory(ctx, &from, false, out);
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
    for (int32_t k = 0; k < trainer->n_parts; k++) {
        const ev_model *net = trainer->parts[k].net;
        for (int32_t i = 0; i < net->n_outputs; i++)
            if (net->outputs[i].is_loss && index-- == 0)
                return net->outputs[i].name;
    }
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
    if (!is_trainer(trainer) || index < 0 || index >= trainer->n_outputs)
        return NULL;
    return trainer->outputs[index].data != NULL ? &trainer->outputs[index] : NULL;
}
