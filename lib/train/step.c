/* SPDX-License-Identifier: MIT */
/* One step: forward, losses, backward, reduce, clip, update.  Nothing here allocates. */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

/* ---- running statistics go back when a step fails ------------------------------------------ */

static void statistics(ev_trainer *t, bool restore)
{
    for (int32_t i = 0; i < t->n_stores; i++) {
        evi_train_store *s = &t->stores[i];
        if (s->statistics == NULL)
            continue;
        evi_real *live = s->store->weights + s->store->n_trainable;
        size_t bytes = (size_t)(s->store->n_total - s->store->n_trainable) * sizeof(evi_real);
        if (restore)
            memcpy(live, s->statistics, bytes);
        else
            memcpy(s->statistics, live, bytes);
    }
}

/* ---- losses -------------------------------------------------------------------------------- */

/* Fills t->losses; gives the weighted sum, not finite when one of them is not. */
static double read_losses(ev_trainer *t)
{
    double sum = 0;
    int32_t n = 0;
    for (int32_t i = 0; i < t->net->n_outputs; i++) {
        if (!t->net->outputs[i].is_loss)
            continue;
        t->losses[n] = evi_session_scalar(t->session, i);
        sum += t->losses[n] * (double)t->net->outputs[i].weight;
        n++;
    }
    return sum;
}

static void show_outputs(ev_trainer *t)
{
    for (int32_t i = 0; i < t->net->n_outputs; i++) {
        ev_tensor *out = &t->outputs[i];
        out->data = (void *)(uintptr_t)evi_session_output_data(t->session, i, &out->shape);
        out->n_bytes = (uint64_t)evi_shape_count(&out->shape) *
                       (uint64_t)evi_type_bytes(out->type);
    }
}

static int64_t count_right(const ev_trainer *t, int64_t batch, const int32_t *labels)
{
    const evi_real *row = t->outputs[0].data;
    int64_t right = 0;
    for (int64_t i = 0; i < batch; i++, row += t->n_classes) {
        int32_t best = 0;
        for (int32_t c = 1; c < t->n_classes; c++)
            if (row[c] > row[best])
                best = c;
        right += best == labels[i];
    }
    return right;
}

/* ---- the step ------------------------------------------------------------------------------ */

static ev_status call_reduce(ev_trainer *t)
{
    int32_t number = 0;
    for (int32_t i = 0; i < t->n_stores && t->o.reduce != NULL; i++) {
        evi_train_store *s = &t->stores[i];
        if (!s->trained)
            continue;
        /* in a build over doubles the hook's float stands for them, as EV_TYPE_FLOAT32 does */
        if (t->o.reduce(t->o.user, number++, t->n_trained, (float *)(void *)s->gradients,
                        s->store->n_trainable) != 0)
            return evi_fail(EV_ERR_CANCELLED, "step %lld: the reduce hook asked to stop",
                            (long long)t->state.steps + 1);
    }
    return EV_OK;
}

static ev_status diverged(const ev_trainer *t, const char *what, double value)
{
    return evi_fail(EV_ERR_DIVERGED, "step %lld: %s is %g; weights are as before the step",
                    (long long)t->state.steps + 1, what, value);
}

/* Everything up to the update; on failure only running statistics have changed. */
static ev_status gradients(ev_trainer *t, evi_crew *crew, int64_t batch, double *loss_out)
{
    EVI_TRY(evi_session_forward(t->session, crew, t->inputs, t->n_inputs, batch,
                                (uint64_t)t->state.steps));
    show_outputs(t);
    double loss = read_losses(t);
    *loss_out = loss;
    /* with a reduce hook the others wait for our gradients: they shall find out too */
    if (!isfinite(loss) && t->o.reduce == NULL)
        return diverged(t, "the loss", loss);
    evi_session_backward(t->session, crew, NULL, false);
    EVI_TRY(call_reduce(t));
    double norm = evi_train_norm(t, crew);
    if (!isfinite(loss))
        return diverged(t, "the loss", loss);
    if (!isfinite(norm))
        return diverged(t, "the norm of the gradient", norm);
    t->gradient_norm = norm;
    evi_train_clip(t, crew, norm);
    return EV_OK;
}

ev_status evi_train_step(ev_trainer *t, int64_t batch, const int32_t *labels)
{
    double loss = 0, rate = 0;
    if (t->swapped)
        evi_train_swap(t, false);
    statistics(t, false);
    evi_crew *crew = evi_crew_begin(t->handle.ctx);
    ev_status status = gradients(t, crew, batch, &loss);
    if (status == EV_OK) {
        rate = evi_train_rate(t);
        evi_train_update(t, crew, rate);
    }
    evi_crew_end(crew);
    if (status != EV_OK) {
        statistics(t, true);
        return status;
    }
    if (labels != NULL)
        t->state.n_right += count_right(t, batch, labels);
    t->last_rate = rate;
    t->state.loss_sum += loss * (double)batch;
    t->state.n_images += batch;
    t->state.steps++;
    t->state.batch++;
    evi_train_touch(t);
    return EV_OK;
}

/* ---- feeds --------------------------------------------------------------------------------- */

static int32_t find_input(const ev_model *net, const char *name)
{
    for (int32_t i = 0; i < net->n_inputs; i++)
        if (strcmp(net->inputs[i].name, name) == 0)
            return i;
    return -1;
}

static ev_status misfit(const ev_tensor *x, const evi_shape *want, const char *name)
{
    char have_text[EVI_SHAPE_TEXT], want_text[EVI_SHAPE_TEXT];
    return evi_fail(EV_ERR_SHAPE, "ev_trainer_step: feed '%s' is %s %s, not %s", name,
                    ev_type_name(x->type), evi_shape_text(&x->shape, have_text),
                    evi_shape_text(want, want_text));
}

/* Does the tensor fit the input, and which batch is it?  *batch 0: not known yet. */
static ev_status check_feed(const ev_trainer *t, int32_t input, const ev_tensor *x, int64_t *batch)
{
    const evi_port *port = &t->net->inputs[input];
    const evi_edge *edge = &t->plan->values[t->plan->inputs[input]].edge;
    evi_shape want = edge->shape;
    bool any = want.rank > 0 && (port->dynamic & 1) != 0;
    if (any && x->shape.rank > 0)
        want.dim[0] = EVI_MIN(EVI_MAX(x->shape.dim[0], 1), t->o.batch_size);
    if (x->type != edge->type || !evi_shape_equal(&x->shape, &want))
        return misfit(x, &edge->shape, port->name);
    if (!any)
        return EV_OK;
    if (*batch != 0 && *batch != want.dim[0])
        return evi_fail(EV_ERR_SHAPE, "ev_trainer_step: feed '%s' has %lld images, another has "
                                      "%lld",
                        port->name, (long long)want.dim[0], (long long)*batch);
    *batch = want.dim[0];
    return EV_OK;
}

static ev_status bind_feeds(ev_trainer *t, const ev_feed *feeds, int32_t n_feeds, int64_t *batch)
{
    memset(t->inputs, 0, (size_t)t->n_inputs * sizeof(*t->inputs));
    for (int32_t i = 0; i < n_feeds; i++) {
        EVI_CHECK_POINTER(feeds[i].name);
        EVI_CHECK_HANDLE(feeds[i].tensor, EVI_MAGIC_TENSOR);
        int32_t input = find_input(t->net, feeds[i].name);
        if (input < 0 || t->inputs[input] != NULL)
            return evi_fail(EV_ERR_ARGUMENT, "ev_trainer_step: %s input '%.64s'",
                            input < 0 ? "there is no" : "two feeds for", feeds[i].name);
        EVI_TRY(check_feed(t, input, feeds[i].tensor, batch));
        t->inputs[input] = feeds[i].tensor->data;
    }
    for (int32_t i = 0; i < t->n_inputs; i++)
        if (t->inputs[i] == NULL)
            return evi_fail(EV_ERR_ARGUMENT, "ev_trainer_step: no feed for input '%s'",
                            t->net->inputs[i].name);
    return EV_OK;
}

static ev_status check_labels(const ev_trainer *t, const int32_t *labels, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (labels[i] < 0 || labels[i] >= t->n_classes)
            return evi_fail(EV_ERR_ARGUMENT, "ev_trainer_step: label %d of image %lld is not in "
                                             "0..%d",
                            (int)labels[i], (long long)i, (int)t->n_classes - 1);
    return EV_OK;
}

ev_status ev_trainer_step(ev_trainer *trainer, const ev_feed *feeds, int32_t n_feeds,
                          double *losses_out, int32_t n_losses)
{
    EVI_CHECK_HANDLE(trainer, EVI_MAGIC_TRAINER);
    EVI_CHECK_POINTER(feeds);
    if (n_losses < 0 || n_losses > trainer->n_losses || (n_losses > 0 && losses_out == NULL))
        return evi_fail(EV_ERR_ARGUMENT, "%s: room for %d losses, the model has %d", __func__,
                        (int)n_losses, (int)trainer->n_losses);
    int64_t batch = 0;
    const int32_t *labels = NULL;
    EVI_TRY(bind_feeds(trainer, feeds, n_feeds, &batch));
    batch = batch == 0 ? 1 : batch;
    if (trainer->is_classifier) {
        labels = trainer->inputs[1];
        EVI_TRY(check_labels(trainer, labels, batch));
    }
    ev_status status = evi_train_step(trainer, batch, labels);
    for (int32_t i = 0; i < n_losses && (status == EV_OK || status == EV_ERR_DIVERGED); i++)
        losses_out[i] = trainer->losses[i];
    return status;
}
