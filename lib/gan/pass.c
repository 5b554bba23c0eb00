/* SPDX-License-Identifier: MIT */
/* Batches of a set through generator and classifier. */
#include "gan/pass.h"
#include <string.h>

enum { CLASSIFIER_BATCH = 32, GENERATOR_BATCH = 16 };

static ev_status check_size(const evi_domain_input *in, const char *function, const char *what)
{
    if (in->width > 0 && in->height > 0)
        return EV_OK;
    return evi_fail(EV_ERR_SHAPE,
                    "%s: the %s does not say for which size it was drawn: "
                    "ev_model_set_preprocess() with width and height",
                    function, what);
}

static ev_status start_loader(evi_pass *p, ev_context *ctx, ev_dataset *pictures, bool repeats,
                              int32_t batch)
{
    const evi_domain_input *in = p->generator.session != NULL ? &p->made : &p->in;
    ev_loader_options o;
    EV_OPTIONS_INIT(&o);
    o.width = in->width;
    o.height = in->height;
    o.channels = in->channels;
    o.batch_size = batch;
    o.pixels = &in->pixels;
    o.cache_bytes = repeats ? 0 : -1;
    return ev_loader_create(ctx, pictures, &o, &p->loader);
}

static ev_status start(evi_pass *p, ev_context *ctx, ev_model *classifier, ev_model *generator,
                       ev_dataset *pictures, bool repeats, const char *function)
{
    int32_t batch = CLASSIFIER_BATCH;
    EVI_TRY(evi_domain_input_read(classifier, false, function, "the classifier", &p->in));
    EVI_TRY(check_size(&p->in, function, "classifier"));
    if (generator != NULL) {
        EVI_TRY(evi_domain_input_read(generator, true, function, "the generator", &p->made));
        EVI_TRY(check_size(&p->made, function, "generator"));
        batch = evi_stage_batch(ctx, generator, &p->made, p->made.width, p->made.height,
                                GENERATOR_BATCH);
        batch = p->in.any_batch ? batch : 1;
        EVI_TRY(evi_stage_start(ctx, generator, &p->made, p->made.width, p->made.height, batch, 0,
                                &p->generator));
    }
    batch = p->in.any_batch ? batch : 1;
    EVI_TRY(evi_stage_start(ctx, classifier, &p->in, p->in.width, p->in.height, batch, 0,
                            &p->classifier));
    EVI_TRY(start_loader(p, ctx, pictures, repeats, batch));
    return ev_loader_start_epoch(p->loader, 0, 0);
}

ev_status evi_pass_start(ev_context *ctx, ev_model *classifier, ev_model *generator,
                         ev_dataset *pictures, bool repeats, const char *function, evi_pass *out)
{
    *out = (evi_pass){0};
    ev_status status = start(out, ctx, classifier, generator, pictures, repeats, function);
    if (status != EV_OK)
        evi_pass_end(out);
    return status;
}

void evi_pass_end(evi_pass *pass)
{
    ev_loader_destroy(pass->loader);
    evi_stage_end(&pass->classifier);
    evi_stage_end(&pass->generator);
    *pass = (evi_pass){0};
}

ev_status evi_pass_again(evi_pass *pass)
{
    return ev_loader_start_epoch(pass->loader, 0, 0);
}

/* The loader's batch is an input as it is. */
static ev_status run_on(evi_stage *stage, const ev_tensor *images)
{
    return ev_session_run(stage->session, &images, 1, NULL, 0);
}

/* Translated pictures, as bytes, at the classifier's size. */
static ev_status translate(evi_pass *p, const ev_tensor *images)
{
    EVI_TRY(run_on(&p->generator, images));
    const ev_tensor *made = ev_session_output(p->generator.session, 0);
    for (int32_t i = 0; i < p->n; i++) {
        ev_image *image = NULL;
        EVI_TRY(ev_tensor_to_image(made, i, &p->made.pixels, &image));
        ev_status status = ev_image_to_tensor(image, &p->in.pixels, p->classifier.input, i);
        ev_image_destroy(image);
        EVI_TRY(status);
    }
    return EV_OK;
}

ev_status evi_pass_next(evi_pass *pass)
{
    ev_tensor *images = NULL;
    EVI_TRY(ev_loader_next(pass->loader, &images, &pass->labels, &pass->items, &pass->n));
    if (pass->n == 0)
        return EV_OK;
    pass->given = images;
    if (pass->generator.session == NULL)
        return run_on(&pass->classifier, images);
    EVI_TRY(translate(pass, images));
    return evi_stage_run(&pass->classifier, pass->n);
}

/* ---- which output ---------------------------------------------------------------------------- */

ev_status evi_pass_logits(const ev_model *classifier, const char *function, int32_t *output_out,
                          int32_t *n_classes_out)
{
    int32_t found = classifier->n_outputs == 1 ? 0 : -1;
    for (int32_t i = 0; i < classifier->n_outputs; i++)
        if (strcmp(classifier->outputs[i].name, "logits") == 0)
            found = i;
    if (found < 0)
        return evi_fail(EV_ERR_SHAPE, "%s: the classifier has %d outputs, none of them 'logits'",
                        function, (int)classifier->n_outputs);
    const evi_value *end = &classifier->values[classifier->outputs[found].value];
    const evi_op *op = end->kind == EVI_VALUE_NODE ? classifier->nodes[end->index].op : NULL;
    const evi_shape *s = &end->edge.shape;
    if (op != NULL && (strcmp(op->name, "softmax") == 0 || strcmp(op->name, "log_softmax") == 0))
        return evi_fail(EV_ERR_SHAPE,
                        "%s: output '%s' of the classifier is a %s; needed is what stands before "
                        "it, the logits",
                        function, classifier->outputs[found].name, op->name);
    if (end->edge.type != EV_TYPE_FLOAT32 || s->rank != 2 || s->dim[1] < 1 || s->dim[1] > 65536)
        return evi_fail(EV_ERR_SHAPE, "%s: output '%s' of the classifier is not [N,classes]",
                        function, classifier->outputs[found].name);
    *output_out = found;
    *n_classes_out = (int32_t)s->dim[1];
    return EV_OK;
}
