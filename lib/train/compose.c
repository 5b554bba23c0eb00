/* SPDX-License-Identifier: MIT */
/* What stands between a classifier and its training: the loss on top, the pictures in front, the
 * dropout inside. */
#include "train/trainer.h"
#include <string.h>

/* ---- is it a classifier? ------------------------------------------------------------------- */

ev_status evi_classifier_shape(const ev_model *model, const char *function, int64_t input_out[3],
                               int32_t *n_classes_out)
{
    if (model->n_inputs != 1 || model->n_outputs < 1)
        return evi_fail(EV_ERR_SHAPE, "%s: a classifier has one input and one output, this model "
                                      "has %d and %d",
                        function, (int)model->n_inputs, (int)model->n_outputs);
    const evi_edge *in = &model->values[model->inputs[0].value].edge;
    const evi_edge *out = &model->values[model->outputs[0].value].edge;
    if (in->type != EV_TYPE_FLOAT32 || in->shape.rank != 4)
        return evi_fail(EV_ERR_SHAPE, "%s: input '%s' is not a picture, float32 [N,C,H,W]",
                        function, model->inputs[0].name);
    if (out->type != EV_TYPE_FLOAT32 || out->shape.rank != 2 || out->shape.dim[1] < 1 ||
        out->shape.dim[1] > 65536)
        return evi_fail(EV_ERR_SHAPE, "%s: output '%s' is not [N,classes]", function,
                        model->outputs[0].name);
    for (int32_t i = 0; i < 3; i++)
        input_out[i] = in->shape.dim[i + 1];
    *n_classes_out = (int32_t)out->shape.dim[1];
    return EV_OK;
}

static ev_status check_logits(const ev_model *model)
{
    const evi_value *end = &model->values[model->outputs[0].value];
    const evi_op *op = end->kind == EVI_VALUE_NODE ? model->nodes[end->index].op : NULL;
    if (op != NULL && (strcmp(op->name, "softmax") == 0 || strcmp(op->name, "log_softmax") == 0))
        return evi_fail(EV_ERR_SHAPE, "ev_trainer_create: output '%s' is a %s; the trainer needs "
                                      "what stands before it, the logits",
                        model->outputs[0].name, op->name);
    return EV_OK;
}

/* ---- the loss on top ----------------------------------------------------------------------- */

static ev_status draw_input(ev_model *net, const ev_model *model, ev_value *out)
{
    const evi_port *port = &model->inputs[0];
    const evi_shape *drawn = &model->values[port->value].edge.shape;
    int64_t dims[EV_MAX_RANK];
    for (int32_t i = 0; i < drawn->rank; i++)
        dims[i] = port->dynamic >> i & 1 ? -1 : drawn->dim[i];
    return evi_model_add_input(net, port->name, EV_TYPE_FLOAT32, drawn->rank, dims, drawn->dim,
                               out);
}

/* The teacher's opinion: soft cross entropy whose gradients are in scale with the others'. */
static ev_status draw_opinion(ev_model *net, ev_value logits, const evi_train *o)
{
    ev_value told = EV_NO_VALUE, loss = EV_NO_VALUE, cooler = EV_NO_VALUE;
    const evi_shape *drawn = &evi_model_edge(net, logits)->shape, one = { .rank = 0 };
    const int64_t dims[2] = { -1, drawn->dim[1] };
    const evi_real inverse = (evi_real)(1 / o->temperature);
    ev_loss_options options;
    EV_OPTIONS_INIT(&options);
    options.temperature = (float)o->temperature;
    EVI_TRY(ev_model_input(net, "teacher", EV_TYPE_FLOAT32, 2, dims, &told));
    EVI_TRY(evi_model_add_constant(net, "cooler", EV_TYPE_FLOAT32, &one, &inverse, &cooler));
    EVI_TRY(ev_model_mul(net, told, cooler, &told));
    EVI_TRY(ev_model_softmax(net, told, 1, &told));
    EVI_TRY(ev_model_soft_cross_entropy(net, logits, told, &options, &loss));
    return ev_model_loss(net, "distillation", loss,
                         (float)(o->distill * o->temperature * o->temperature));
}

static ev_status draw_loss(ev_model *net, ev_model *model, const evi_train *o)
{
    const int64_t any = -1;
    ev_value image = EV_NO_VALUE, labels = EV_NO_VALUE, logits = EV_NO_VALUE, loss = EV_NO_VALUE;
    ev_loss_options options;
    EV_OPTIONS_INIT(&options);
    options.label_smoothing = o->label_smoothing;
    options.class_weights = o->class_weights;
    options.n_class_weights = o->n_class_weights;
    EVI_TRY(draw_input(net, model, &image));
    EVI_TRY(ev_model_input(net, "labels", EV_TYPE_INT32, 1, &any, &labels));
    EVI_TRY(ev_model_call(net, model, &image, 1, 0, &logits, 1));
    EVI_TRY(ev_model_cross_entropy(net, logits, labels, &options, &loss));
    EVI_TRY(ev_model_output(net, "logits", logits));
    EVI_TRY(ev_model_loss(net, "cross_entropy", loss, (float)(1 - o->distill)));
    if (o->distill > 0)
        EVI_TRY(draw_opinion(net, logits, o));
    return ev_model_init(net, 1); /* it has no weights of its own; says that it is complete */
}

int32_t evi_count_losses(const ev_model *model)
{
    int32_t n = 0;
    for (int32_t i = 0; i < model->n_outputs; i++)
        n += model->outputs[i].is_loss != 0;
    return n;
}

ev_status evi_train_compose(ev_context *ctx, ev_model *model, const evi_train *o, ev_model **out,
                            int32_t *is_classifier_out)
{
    int64_t input[3];
    int32_t n_classes = 0;
    *out = NULL;
    *is_classifier_out = evi_count_losses(model) == 0;
    if (*is_classifier_out == 0) {
        *out = ev_model_ref(model);
        return EV_OK;
    }
    EVI_TRY(evi_classifier_shape(model, "ev_trainer_create", input, &n_classes));
    EVI_TRY(check_logits(model));
    if (model->n_outputs != 1)
        return evi_fail(EV_ERR_SHAPE, "ev_trainer_create: a model with %d outputs has to "
                                      "declare its losses: ev_model_loss()",
                        (int)model->n_outputs);
    if (o->n_class_weights != 0 && o->n_class_weights != n_classes)
        return evi_fail(EV_ERR_ARGUMENT, "ev_trainer_create: %d class weights for %d classes",
                        (int)o->n_class_weights, (int)n_classes);
    if (model->store->n_params > 0 && !model->store->ready)
        return evi_fail(EV_ERR_STATE, "ev_trainer_create: the model has no weights yet: call "
                                      "ev_model_init()");
    ev_model *net = NULL;
    EVI_TRY(ev_model_create(ctx, &net));
    ev_status status = draw_loss(net, model, o);
    if (status != EV_OK)
        ev_model_destroy(net);
    else
        *out = net;
    return status;
}

/* ---- pictures in front --------------------------------------------------------------------- */

ev_status ev_model_pixel_options(const ev_model *model, ev_pixel_options *out)
{
    ev_preprocess notes;
    ev_pixel_options pixels;
    EVI_CHECK_POINTER(out);
    EV_OPTIONS_INIT(&notes);
    EV_OPTIONS_INIT(&pixels);
    EVI_TRY(ev_model_preprocess(model, &notes));
    pixels.resize = notes.resize;
    pixels.color_order = notes.bgr != 0 ? EV_PIXEL_BGR : EV_PIXEL_RGB;
    memcpy(pixels.mean, notes.mean, sizeof(pixels.mean));
    memcpy(pixels.std, notes.std, sizeof(pixels.std));
    return evi_options_write(out, &pixels, sizeof(pixels), __func__);
}

ev_status evi_model_loader(ev_context *ctx, ev_model *model, ev_dataset *dataset,
                           ev_loader_options *options, ev_loader **out)
{
    int64_t input[3];
    int32_t n_classes = 0;
    ev_pixel_options pixels;
    EV_OPTIONS_INIT(&pixels);
    EVI_TRY(evi_classifier_shape(model, "pictures", input, &n_classes));
    EVI_TRY(ev_model_pixel_options(model, &pixels));
    if (ev_dataset_classes(dataset) > n_classes)
        return evi_fail(EV_ERR_SHAPE, "the dataset has %d classes, the model tells %d apart",
                        (int)ev_dataset_classes(dataset), (int)n_classes);
    if (input[0] != 1 && input[0] != 3)
        return evi_fail(EV_ERR_SHAPE, "pictures have 1 or 3 channels, the model's input has %d",
                        (int)input[0]);
    options->channels = (int32_t)input[0];
    options->height = (int32_t)input[1];
    options->width = (int32_t)input[2];
    options->pixels = &pixels;
    ev_status status = ev_loader_create(ctx, dataset, options, out);
    options->pixels = NULL;
    return status;
}

/* ---- dropout inside ------------------------------------------------------------------------ */

static bool is_dropout(const evi_node *node)
{
    return node->op != NULL && strcmp(node->op->name, "dropout") == 0;
}

/* Count, read into or write from `rates`, in the order of drawing. */
typedef struct dropout_walk {
    float *rates;
    int64_t n;
    float all;   /* write this rate when >= 0 ... */
    bool restore; /* ... or what `rates` says */
} dropout_walk;

static void walk(ev_model *model, dropout_walk *w, int32_t depth)
{
    for (int32_t i = 0; i < model->n_nodes && depth <= EVI_MAX_DEPTH; i++) {
        evi_node *node = &model->nodes[i];
        if (node->callee != NULL)
            walk(node->callee, w, depth + 1);
        if (!is_dropout(node))
            continue;
        if (w->restore)
            node->a.rate = w->rates[w->n];
        else if (w->rates != NULL)
            w->rates[w->n] = node->a.rate;
        if (!w->restore && w->all >= 0)
            node->a.rate = w->all;
        w->n++;
    }
}

ev_status evi_dropout_set(ev_model *model, float rate, float **old_out)
{
    dropout_walk w = { .all = -1 };
    *old_out = NULL;
    if (rate < 0)
        return EV_OK;
    walk(model, &w, 0);
    EVI_TRY(evi_calloc(model->handle.ctx, (uint64_t)w.n, sizeof(float), old_out));
    w = (dropout_walk){ .rates = *old_out, .all = -1 };
    walk(model, &w, 0); /* first all are read: a model that is called twice is written twice */
    w = (dropout_walk){ .all = rate };
    walk(model, &w, 0);
    return EV_OK;
}

void evi_dropout_restore(ev_model *model, float *old)
{
    dropout_walk w = { .rates = old, .restore = true };
    if (old == NULL)
        return;
    walk(model, &w, 0);
    evi_free(old);
}
