/* SPDX-License-Identifier: MIT */
/* How far translated pictures are from those that a classifier knows, without labels.  Every sum is
 * taken in double, in the order of the pictures or of the features. */
#include "gan/pass.h"
#include <math.h>

typedef struct gap {
    const char *function;
    ev_context *ctx;
    ev_model *probe; /* the classifier, with the features as one more output */
    int32_t logits, n_classes, features, n_features; /* outputs and their sizes */
    ev_model *generator, *back;
    evi_domain_input back_in;
    evi_stage back_stage;
    evi_moments inside, outside;
    double confidence, cycle; /* sums */
    int64_t n, n_elements;
} gap;

/* ---- the classifier's view ------------------------------------------------------------------- */

static ev_status make_probe(gap *g, ev_model *classifier)
{
    ev_value features = EV_NO_VALUE;
    EVI_TRY(evi_features_find(classifier, g->function, &features, &g->n_features));
    EVI_TRY(evi_pass_logits(classifier, g->function, &g->logits, &g->n_classes));
    EVI_TRY(ev_model_clone(classifier, &g->probe));
    g->features = g->probe->n_outputs;
    return ev_model_output(g->probe, "edgevision.features", features);
}

static void add_confidence(gap *g, const evi_real *logits, int64_t n)
{
    for (int64_t i = 0; i < n; i++, logits += g->n_classes) {
        double most = (double)logits[0], sum = 0;
        for (int32_t c = 1; c < g->n_classes; c++)
            most = fmax(most, (double)logits[c]);
        for (int32_t c = 0; c < g->n_classes; c++)
            sum += exp((double)logits[c] - most);
        g->confidence += 1 / sum;
    }
    g->n += n;
}

/* ---- there and back -------------------------------------------------------------------------- */

static ev_status start_back(gap *g, const evi_pass *pass)
{
    evi_domain_input *in = &g->back_in;
    int32_t width = pass->made.width, height = pass->made.height;
    EVI_TRY(evi_domain_input_read(g->back, true, g->function, "the generator back", in));
    if (in->channels != pass->made.channels || (!in->any_width && in->width != width) ||
        (!in->any_height && in->height != height))
        return evi_fail(EV_ERR_SHAPE,
                        "%s: the generator makes %d channels of %dx%d, the one back takes %d of "
                        "%dx%d",
                        g->function, (int)pass->made.channels, (int)width, (int)height,
                        (int)in->channels, (int)in->width, (int)in->height);
    if (!in->any_batch && pass->generator.batch > 1)
        return evi_fail(EV_ERR_SHAPE,
                        "%s: the generator back takes one picture at a time, the "
                        "other one several",
                        g->function);
    return evi_stage_start(g->ctx, g->back, in, width, height, pass->generator.batch, 0,
                           &g->back_stage);
}

static double std_of(const ev_pixel_options *o, int32_t c)
{
    return o->std[c] > 0 ? (double)o->std[c] : 1;
}

/* Channel c of a model whose blue comes first, for one whose red does. */
static int32_t partner(const evi_domain_input *a, const evi_domain_input *b, int32_t c)
{
    bool swapped = a->channels == 3 && (a->pixels.color_order == EV_PIXEL_BGR) !=
                                           (b->pixels.color_order == EV_PIXEL_BGR);
    return swapped ? 2 - c : c;
}

/* The numbers of one model's channel as another's: x * scale + shift. */
static void hand_over(const evi_domain_input *from, const evi_domain_input *to, int32_t c,
                      double *scale, double *shift)
{
    int32_t other = partner(from, to, c);
    double std = std_of(&to->pixels, c);
    *scale = std_of(&from->pixels, other) / std;
    *shift = ((double)from->pixels.mean[other] - (double)to->pixels.mean[c]) / std;
}

static void feed_back(gap *g, const evi_pass *pass)
{
    const ev_tensor *made = ev_session_output(pass->generator.session, 0);
    int64_t plane = made->shape.dim[2] * made->shape.dim[3], channels = g->back_in.channels;
    evi_real *to = g->back_stage.input->data;
    for (int64_t i = 0; i < pass->n; i++)
        for (int32_t c = 0; c < channels; c++, to += plane) {
            int32_t other = partner(&pass->made, &g->back_in, c);
            const evi_real *from = (const evi_real *)made->data + (i * channels + other) * plane;
            double scale = 0, shift = 0;
            hand_over(&pass->made, &g->back_in, c, &scale, &shift);
            for (int64_t k = 0; k < plane; k++)
                to[k] = (evi_real)((double)from[k] * scale + shift);
        }
}

/* |x - back(generator(x))| in pictures of -1..1. */
static void add_cycle(gap *g, const evi_pass *pass)
{
    const ev_tensor *given = pass->given;
    const ev_tensor *made = ev_session_output(g->back_stage.session, 0);
    int64_t plane = given->shape.dim[2] * given->shape.dim[3], channels = g->back_in.channels;
    const evi_real *a = given->data;
    for (int64_t i = 0; i < pass->n; i++)
        for (int32_t c = 0; c < channels; c++, a += plane) {
            int32_t other = partner(&g->back_in, &pass->made, c);
            const evi_real *b = (const evi_real *)made->data + (i * channels + other) * plane;
            double scale = 0, shift = 0, sum = 0;
            hand_over(&g->back_in, &pass->made, c, &scale, &shift);
            for (int64_t k = 0; k < plane; k++)
                sum += fabs((double)a[k] - ((double)b[k] * scale + shift));
            g->cycle += 2 * std_of(&pass->made.pixels, c) * sum;
        }
    g->n_elements += pass->n * channels * plane;
}

static ev_status come_back(gap *g, const evi_pass *pass)
{
    if (g->back_stage.session == NULL)
        EVI_TRY(start_back(g, pass));
    feed_back(g, pass);
    EVI_TRY(evi_stage_run(&g->back_stage, pass->n));
    add_cycle(g, pass);
    return EV_OK;
}

/* ---- both sets ------------------------------------------------------------------------------- */

static ev_status look(gap *g, ev_dataset *pictures, bool is_inside)
{
    evi_pass pass;
    evi_moments *m = is_inside ? &g->inside : &g->outside;
    ev_model *generator = is_inside ? NULL : g->generator;
    EVI_TRY(evi_moments_start(g->ctx, g->n_features, m));
    EVI_TRY(evi_pass_start(g->ctx, g->probe, generator, pictures, false, g->function, &pass));
    ev_status status = EV_OK;
    while (status == EV_OK) {
        status = evi_pass_next(&pass);
        if (status != EV_OK || pass.n == 0)
            break;
        const ev_session *s = pass.classifier.session;
        evi_moments_add(m, ev_session_output(s, g->features)->data, pass.n);
        if (is_inside)
            continue;
        add_confidence(g, ev_session_output(s, g->logits)->data, pass.n);
        if (g->back != NULL && generator != NULL)
            status = come_back(g, &pass);
    }
    evi_pass_end(&pass);
    return status;
}

/* Between two normal distributions whose features are independent. */
static double frechet(const gap *g)
{
    double sum = 0;
    for (int32_t f = 0; f < g->n_features; f++) {
        double away = g->inside.mean[f] - g->outside.mean[f];
        double a = sqrt(evi_moments_variance(&g->inside, f));
        double b = sqrt(evi_moments_variance(&g->outside, f));
        sum += away * away + (a - b) * (a - b); /* a^2 + b^2 - 2 sqrt(a^2 b^2) */
    }
    return sum;
}

static ev_status measure(gap *g, ev_model *classifier, ev_dataset *inside, ev_dataset *pictures)
{
    EVI_TRY(make_probe(g, classifier));
    EVI_TRY(look(g, inside, true));
    return look(g, pictures, false);
}

ev_status ev_domain_gap_measure(ev_context *ctx, ev_model *classifier, ev_dataset *inside,
                                ev_dataset *pictures, ev_model *generator, ev_model *back,
                                ev_domain_gap *out)
{
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_HANDLE(classifier, EVI_MAGIC_MODEL);
    EVI_CHECK_HANDLE(inside, EVI_MAGIC_DATASET);
    EVI_CHECK_HANDLE(pictures, EVI_MAGIC_DATASET);
    EVI_CHECK_POINTER(out);
    if (generator != NULL)
        EVI_CHECK_HANDLE(generator, EVI_MAGIC_MODEL);
    if (back != NULL)
        EVI_CHECK_HANDLE(back, EVI_MAGIC_MODEL);
    if (back != NULL && generator == NULL)
        return evi_fail(EV_ERR_ARGUMENT, "%s: a generator back without one there", __func__);
    gap g = {.function = __func__, .ctx = ctx, .generator = generator, .back = back};
    ev_status status = measure(&g, classifier, inside, pictures);
    ev_domain_gap result = {.struct_size = sizeof(result), .n_features = g.n_features};
    if (status == EV_OK) {
        result.features = frechet(&g);
        result.confidence = g.confidence / (double)g.n;
        result.cycle_error = back != NULL ? g.cycle / (double)g.n_elements : (double)NAN;
        status = evi_options_write(out, &result, sizeof(result), __func__);
    }
    evi_moments_end(&g.inside);
    evi_moments_end(&g.outside);
    evi_stage_end(&g.back_stage);
    ev_model_destroy(g.probe);
    return status;
}
