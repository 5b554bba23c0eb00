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

/* Fills the part's losses; gives their weighted sum, not finite when one of them is not. */
static double read_losses(ev_trainer *t, const evi_train_part *part)
{
    const ev_model *net = part->net;
    double sum = 0;
    int32_t n = part->first_loss;
    for (int32_t i = 0; i < net->n_outputs; i++) {
        if (!net->outputs[i].is_loss)
            continue;
        t->losses[n] = evi_session_scalar(part->session, i);
        sum += t->losses[n] * (double)net->outputs[i].weight;
        n++;
    }
    return sum;
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

/* Nothing is known of this step yet. */
static void clear(ev_trainer *t)
{
    for (int32_t i = 0; i < t->n_losses; i++)
        t->losses[i] = (double)NAN;
    for (int32_t i = 0; i < t->n_stores; i++)
        if (t->stores[i].cleared)
            memset(t->stores[i].gradients, 0,
                   (size_t)t->stores[i].store->n_trainable * sizeof(evi_real));
}

/* One net forward and backward: the first one's gradients overwrite, others' are added. */
static ev_status run_part(ev_trainer *t, evi_crew *crew, int32_t number, int64_t batch,
                          double *loss)
{
    const evi_train_part *part = &t->parts[number];
    EVI_TRY(evi_session_forward(part->session, crew, part->inputs, part->net->n_inputs, batch,
                                (uint64_t)t->state.steps));
    evi_train_show_outputs(t, part);
    *loss += read_losses(t, part);
    /* with a reduce hook the others wait for our gradients: they shall find out too */
    if (!isfinite(*loss) && t->o.reduce == NULL)
        return diverged(t, "the loss", *loss);
    evi_session_backward(part->session, crew, NULL, number > 0);
    return EV_OK;
}

/* Everything up to the update; on failure only running statistics have changed. */
static ev_status gradients(ev_trainer *t, evi_crew *crew, int64_t batch, double *loss_out)
{
    double loss = 0;
    clear(t);
    for (int32_t i = 0; i < t->n_parts; i++)
        EVI_TRY(run_part(t, crew, i, batch, &loss));
    *loss_out = loss;
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

/* On failure running statistics are as before. */
static ev_status find_gradients(ev_trainer *t, evi_train_pending *step)
{
    if (t->swapped)
        evi_train_swap(t, false);
    statistics(t, false);
    evi_crew *crew = evi_crew_begin(t->handle.ctx);
    ev_status status = gradients(t, crew, step->batch, &step->loss);
    evi_crew_end(crew);
    if (status != EV_OK)
        statistics(t, true);
    return status;
}

void evi_train_apply(ev_trainer *t, const evi_train_pending *step)
{
    double rate = evi_train_rate(t);
    evi_crew *crew = evi_crew_begin(t->handle.ctx);
    evi_train_update(t, crew, rate);
    evi_crew_end(crew);
    t->last_rate = rate;
    t->state.loss_sum += step->loss * (double)step->batch;
    t->state.n_images += step->batch;
    t->state.steps++;
    t->state.batch++;
    evi_train_touch(t);
}

ev_status evi_train_step(ev_trainer *t, int64_t batch, const int32_t *labels)
{
    evi_train_pending step = { .batch = batch };
    EVI_TRY(find_gradients(t, &step));
    if (labels != NULL)
        t->state.n_right += count_right(t, batch, labels);
    evi_train_apply(t, &step);
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
static ev_status check_feed(const ev_trainer *t, const evi_train_part *part, int32_t input,
                            const ev_tensor *x, int64_t *batch)
{
    const evi_port *port = &part->net->inputs[input];
    const evi_edge *edge = &part->plan->values[part->plan->inputs[input]].edge;
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

/* To every part that has such an input. */
static ev_status bind_feed(ev_trainer *t, const ev_feed *feed, int64_t *batch)
{
    bool found = false, twice = false;
    EVI_CHECK_POINTER(feed->name);
    EVI_CHECK_HANDLE(feed->tensor, EVI_MAGIC_TENSOR);
    for (int32_t k = 0; k < t->n_parts; k++) {
        evi_train_part *part = &t->parts[k];
        int32_t input = find_input(part->net, feed->name);
        if (input < 0)
            continue;
        found = true;
        twice = twice || part->inputs[input] != NULL;
        if (!twice)
            EVI_TRY(check_feed(t, part, input, feed->tensor, batch));
        part->inputs[input] = feed->tensor->data;
    }
    if (!found || twice)
        return evi_fail(EV_ERR_ARGUMENT, "ev_trainer_step: %s input '%.64s'",
                        twice ? "two feeds for" : "there is no", feed->name);
    return EV_OK;
}

static ev_status bind_feeds(ev_trainer *t, const ev_feed *feeds, int32_t n_feeds, int64_t *batch)
{
    for (int32_t k = 0; k < t->n_parts; k++)
        memset(t->parts[k].inputs, 0, (size_t)t->parts[k].net->n_inputs * sizeof(void *));
    for (int32_t i = 0; i < n_feeds; i++)
        EVI_TRY(bind_feed(t, &feeds[i], batch));
    for (int32_t k = 0; k < t->n_parts; k++)
        for (int32_t i = 0; i < t->parts[k].net->n_inputs; i++)
            if (t->parts[k].inputs[i] == NULL)
                return evi_fail(EV_ERR_ARGUMENT, "ev_trainer_step: no feed for input '%s'",
                                t->parts[k].net->inputs[i].name);
    return EV_OK;
}

ev_status evi_train_gradients(ev_trainer *t, const ev_feed *feeds, int32_t n_feeds,
                              evi_train_pending *out)
{
    *out = (evi_train_pending){ 0 };
    EVI_TRY(bind_feeds(t, feeds, n_feeds, &out->batch));
    out->batch = EVI_MAX(out->batch, 1);
    return find_gradients(t, out);
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
        labels = trainer->parts[0].inputs[1];
        EVI_TRY(check_labels(trainer, labels, batch));
    }
    ev_status status = evi_train_step(trainer, batch, labels);
    for (int32_t i = 0; i < n_losses && (status == EV_OK || status == EV_ERR_DIVERGED); i++)
        losses_out[i] = trainer->losses[i];
    return status;
}
