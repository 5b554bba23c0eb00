/* SPDX-License-Identifier: MIT */
/* What a model of pictures takes: sizes from its input and its notes, pixels from its notes. */
#include "domain/domain.h"
#include <string.h>

static ev_status no_such(const char *function, const char *what, const char *why)
{
    return evi_fail(EV_ERR_SHAPE,
                    "%s: %s %s; needed is one input [N,C,H,W] of floats with 1 or 3 channels",
                    function, what, why);
}

static ev_status check_input(const ev_model *m, const char *function, const char *what)
{
    if (m->n_inputs != 1)
        return no_such(function, what, "has not one input");
    const evi_edge *edge = evi_model_edge(m, m->inputs[0].value);
    if (edge->type != EV_TYPE_FLOAT32 || edge->shape.rank != 4)
        return no_such(function, what, "takes no pictures");
    if (edge->shape.dim[1] != 1 && edge->shape.dim[1] != 3)
        return no_such(function, what, "has another number of channels");
    if (edge->shape.dim[0] != 1 && !(m->inputs[0].dynamic & 1))
        return no_such(function, what, "takes several pictures at a time and no single one");
    return EV_OK;
}

static ev_status check_generator(const ev_model *m, const char *function, const char *what)
{
    char from[EVI_SHAPE_TEXT], to[EVI_SHAPE_TEXT];
    if (m->n_outputs != 1)
        return evi_fail(EV_ERR_SHAPE, "%s: %s has %d outputs; a generator has one", function, what,
                        (int)m->n_outputs);
    const evi_edge *in = evi_model_edge(m, m->inputs[0].value);
    const evi_edge *made = evi_model_edge(m, m->outputs[0].value);
    if (made->type == EV_TYPE_FLOAT32 && made->shape.rank == 4 &&
        made->shape.dim[1] == in->shape.dim[1])
        return EV_OK;
    return evi_fail(EV_ERR_SHAPE,
                    "%s: %s makes %s of pictures %s; a generator's output has the "
                    "shape of its input",
                    function, what, evi_shape_text(&made->shape, to),
                    evi_shape_text(&in->shape, from));
}

static ev_status check_weights(const ev_model *m, const char *function, const char *what)
{
    evi_store **stores = NULL;
    int32_t n = 0;
    bool ready = true;
    EVI_TRY(evi_model_stores(m, &stores, &n));
    for (int32_t i = 0; i < n; i++)
        ready = ready && (stores[i]->ready || stores[i]->n_params == 0);
    evi_free(stores);
    if (!ready)
        return evi_fail(EV_ERR_STATE, "%s: %s has no weights yet: call ev_model_init() or load it",
                        function, what);
    return EV_OK;
}

/* As ev_model_pixel_options(), which a library without training does not have. */
static ev_status read_notes(const ev_model *m, bool is_generator, evi_domain_input *in)
{
    ev_preprocess notes;
    EV_OPTIONS_INIT(&notes);
    EVI_TRY(ev_model_preprocess(m, &notes));
    EV_OPTIONS_INIT(&in->pixels);
    in->pixels.resize = notes.resize;
    in->pixels.color_order = notes.bgr != 0 ? EV_PIXEL_BGR : EV_PIXEL_RGB;
    memcpy(in->pixels.mean, notes.mean, sizeof(notes.mean));
    memcpy(in->pixels.std, notes.std, sizeof(notes.std));
    if (is_generator && ev_model_meta(m, "edgevision.preprocess") == NULL)
        for (int32_t c = 0; c < 3; c++)
            in->pixels.mean[c] = in->pixels.std[c] = 0.5f;
    if (in->any_width && notes.width > 1)
        in->width = notes.width;
    if (in->any_height && notes.height > 1)
        in->height = notes.height;
    return EV_OK;
}

ev_status evi_domain_input_read(const ev_model *model, bool is_generator, const char *function,
                                const char *what, evi_domain_input *out)
{
    EVI_TRY(check_input(model, function, what));
    if (is_generator)
        EVI_TRY(check_generator(model, function, what));
    EVI_TRY(check_weights(model, function, what));
    const evi_port *port = &model->inputs[0];
    const evi_shape *s = &evi_model_edge(model, port->value)->shape;
    evi_domain_input in = {.channels = (int32_t)s->dim[1],
                           .any_batch = (port->dynamic & 1) != 0,
                           .any_height = (port->dynamic >> 2 & 1) != 0,
                           .any_width = (port->dynamic >> 3 & 1) != 0,
                           .height = (int32_t)s->dim[2],
                           .width = (int32_t)s->dim[3]};
    /* drawn as 1: a file of another program, which does not say */
    in.height = in.any_height && in.height == 1 ? 0 : in.height;
    in.width = in.any_width && in.width == 1 ? 0 : in.width;
    EVI_TRY(read_notes(model, is_generator, &in));
    *out = in;
    return EV_OK;
}
