/* SPDX-License-Identifier: MIT */
/* A picture's way: classified as it is when its score says that it looks as those of the training
 * did; otherwise translated and looked at again; otherwise a guess. */
#include "domain/domain.h"
#include <math.h>
#include <string.h>

struct ev_router {
    evi_handle handle;
    evi_domain_input in;
    evi_stage stage;
    int32_t logits, score; /* numbers of the outputs */
    double threshold, threshold_translated;
    ev_translator *translator; /* NULL: no generator */
};

/* What a classifier said of one picture. */
typedef struct answer {
    int32_t label;
    float probability;
    double score;
} answer;

/* ---- make ------------------------------------------------------------------------------------ */

static ev_status find_output(const ev_model *m, const char *name, int32_t *out)
{
    for (int32_t i = 0; i < m->n_outputs; i++) {
        const evi_edge *edge = evi_model_edge(m, m->outputs[i].value);
        if (strcmp(m->outputs[i].name, name) != 0)
            continue;
        if (edge->type != EV_TYPE_FLOAT32 || edge->shape.rank != 2 || edge->shape.dim[0] != 1 ||
            edge->shape.dim[1] < 1)
            return evi_fail(EV_ERR_SHAPE, "ev_router_create: output '%s' is not [N,...] of floats",
                            name);
        *out = i;
        return EV_OK;
    }
    return evi_fail(EV_ERR_SHAPE,
                    "ev_router_create: the classifier has no output '%s': ev_domain_fit() makes "
                    "one that has",
                    name);
}

static ev_status read_classifier(ev_router *r, const ev_model *m)
{
    EVI_TRY(evi_domain_input_read(m, false, "ev_router_create", "classifier", &r->in));
    EVI_TRY(find_output(m, "logits", &r->logits));
    EVI_TRY(find_output(m, "score", &r->score));
    if (evi_model_edge(m, m->outputs[r->score].value)->shape.dim[1] != 1)
        return evi_fail(EV_ERR_SHAPE, "ev_router_create: output 'score' is not [N,1]");
    if (r->in.width == 0 || r->in.height == 0)
        return evi_fail(EV_ERR_SHAPE, "ev_router_create: the classifier does not say what size of "
                                      "picture it takes: ev_model_set_preprocess()");
    return EV_OK;
}

static ev_status choose_thresholds(ev_router *r, const ev_model *m, const ev_router_options *o)
{
    const char *note = ev_model_meta(m, "edgevision.domain.threshold");
    double noted = (double)NAN;
    if (isnan(o->threshold) || isnan(o->threshold_translated))
        return evi_fail(EV_ERR_ARGUMENT, "ev_router_create: a threshold is not a number");
    if (note != NULL && !evi_parse_double(note, strlen(note), &noted))
        noted = (double)NAN;
    if (o->threshold == 0 && isnan(noted))
        return evi_fail(EV_ERR_ARGUMENT,
                        "ev_router_create: no threshold is given, and the classifier's notes have "
                        "none: set ev_router_options.threshold, or use ev_domain_fit()");
    r->threshold = o->threshold != 0 ? o->threshold : noted;
    r->threshold_translated = o->threshold_translated != 0 ? o->threshold_translated : r->threshold;
    return EV_OK;
}

/* A generator works at the size that it was drawn for, as ev_translate_evaluate() lets it. */
static ev_status make_translator(ev_router *r, ev_model *generator, int32_t precise)
{
    ev_translator_options o;
    evi_domain_input in;
    EV_OPTIONS_INIT(&o);
    EVI_TRY(evi_domain_input_read(generator, true, "ev_router_create", "generator", &in));
    o.fit = in.width > 0 && in.height > 0 ? EV_FIT_MODEL : EV_FIT_KEEP;
    o.precise = precise;
    return ev_translator_create(r->handle.ctx, generator, &o, &r->translator);
}

static ev_status build(ev_router *r, ev_model *classifier, ev_model *generator,
                       const ev_router_options *o)
{
    EVI_TRY(read_classifier(r, classifier));
    EVI_TRY(choose_thresholds(r, classifier, o));
    if (generator != NULL)
        EVI_TRY(make_translator(r, generator, o->precise));
    return evi_stage_start(r->handle.ctx, classifier, &r->in, r->in.width, r->in.height, 1,
                           o->precise, &r->stage);
}

ev_status ev_router_create(ev_context *ctx, ev_model *classifier, ev_model *generator,
                           const ev_router_options *opt, ev_router **out)
{
    ev_router_options o;
    ev_router *r = NULL;
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_HANDLE(classifier, EVI_MAGIC_MODEL);
    if (generator != NULL)
        EVI_CHECK_HANDLE(generator, EVI_MAGIC_MODEL);
    EVI_OPTIONS_READ(&o, opt);
    EVI_TRY(evi_calloc(ctx, 1, sizeof(*r), &r));
    evi_handle_start(&r->handle, EVI_MAGIC_ROUTER, ctx);
    ev_status status = build(r, classifier, generator, &o);
    if (status != EV_OK)
        ev_router_destroy(r);
    else
        *out = r;
    return status;
}

void ev_router_destroy(ev_router *router)
{
    if (!evi_handle_drop(router, EVI_MAGIC_ROUTER))
        return;
    evi_stage_end(&router->stage);
    ev_translator_destroy(router->translator);
    evi_handle_end(router);
}

/* ---- decide ---------------------------------------------------------------------------------- */

static ev_status ask(ev_router *r, const ev_image *image, answer *a)
{
    EVI_TRY(ev_image_to_tensor(image, &r->in.pixels, r->stage.input, 0));
    EVI_TRY(evi_stage_run(&r->stage, 1));
    const ev_tensor *logits = ev_session_output(r->stage.session, r->logits);
    const ev_tensor *score = ev_session_output(r->stage.session, r->score);
    const evi_real *x = logits->data;
    int64_t n = logits->shape.dim[1], best = 0;
    double sum = 0;
    for (int64_t c = 1; c < n; c++)
        best = x[c] > x[best] ? c : best;
    for (int64_t c = 0; c < n; c++)
        sum += exp((double)x[c] - (double)x[best]);
    *a = (answer){.label = (int32_t)best,
                  .probability = (float)(1 / sum),
                  .score = (double)*(const evi_real *)score->data};
    return EV_OK;
}

static ev_status decide(ev_router *r, const ev_image *image, ev_routed *out)
{
    ev_image *made = NULL;
    answer first, second = {.score = (double)NAN};
    EVI_TRY(ask(r, image, &first));
    bool inside = first.score <= r->threshold; /* a score that is not a number is not */
    if (!inside && r->translator != NULL) {
        EVI_TRY(ev_translator_run(r->translator, image, &made));
        ev_status status = ask(r, made, &second);
        ev_image_destroy(made);
        EVI_TRY(status);
    }
    bool carried = !inside && second.score <= r->threshold_translated;
    const answer *taken = !inside && (carried || second.score < first.score) ? &second : &first;
    *out = (ev_routed){.struct_size = sizeof(*out),
                       .route = inside    ? EV_ROUTE_INSIDE
                                : carried ? EV_ROUTE_TRANSLATED
                                          : EV_ROUTE_ABSTAINED,
                       .label = taken->label,
                       .probability = taken->probability,
                       .score = first.score,
                       .score_translated = second.score};
    return EV_OK;
}

ev_status ev_router_run(ev_router *router, const ev_image *image, ev_routed *out)
{
    ev_routed routed;
    EVI_CHECK_HANDLE(router, EVI_MAGIC_ROUTER);
    EVI_CHECK_HANDLE(image, EVI_MAGIC_IMAGE);
    EVI_CHECK_POINTER(out);
    EVI_TRY(decide(router, image, &routed));
    return evi_options_write(out, &routed, sizeof(routed), __func__);
}
