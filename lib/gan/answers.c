/* SPDX-License-Identifier: MIT */
/* A classifier that looks at the pictures inside a net: they are -1..1, it wants another size,
 * other numbers, perhaps another order of colours, as its metadata say (ev_model_preprocess()). */
#include "gan/gan.h"

#include <string.h>

/* Blue first. */
static ev_status swap_colours(ev_model *net, ev_value *x)
{
    ev_value part[3];
    for (int32_t c = 0; c < 3; c++)
        EVI_TRY(ev_model_slice(net, *x, 1, 2 - c, 3 - c, 1, &part[c]));
    return ev_model_concat(net, part, 3, 1, x);
}

/* p = (x + 1) / 2 is what 0..255 / 255 would be; the classifier wants (p - mean) / std. */
static ev_status rescale(ev_model *net, const ev_preprocess *p, int32_t channels, ev_value *x)
{
    const evi_shape shape = {.rank = 4, .dim = {1, channels, 1, 1}};
    evi_real scale[3], shift[3];
    ev_value by = EV_NO_VALUE, plus = EV_NO_VALUE;
    bool same = true;
    for (int32_t c = 0; c < channels; c++) {
        scale[c] = (evi_real)(0.5 / (double)p->std[c]);
        shift[c] = (evi_real)((0.5 - (double)p->mean[c]) / (double)p->std[c]);
        same = same && scale[c] == 1 && shift[c] == 0;
    }
    if (same)
        return EV_OK;
    EVI_TRY(evi_model_add_constant(net, NULL, EV_TYPE_FLOAT32, &shape, scale, &by));
    EVI_TRY(evi_model_add_constant(net, NULL, EV_TYPE_FLOAT32, &shape, shift, &plus));
    EVI_TRY(ev_model_mul(net, *x, by, x));
    return ev_model_add(net, *x, plus, x);
}

ev_status evi_gan_answers(ev_model *net, ev_model *classifier, ev_value pictures,
                          ev_value *logits_out)
{
    const evi_shape shape = evi_model_edge(net, pictures)->shape;
    int64_t want[3];
    int32_t n_classes = 0;
    ev_value x = pictures, out[EVI_GAN_MAX_OUTPUTS];
    ev_preprocess p;
    EV_OPTIONS_INIT(&p);
    EVI_TRY(evi_classifier_shape(classifier, "classifier", want, &n_classes));
    EVI_TRY(ev_model_preprocess(classifier, &p));
    if (want[0] != shape.dim[1] || want[0] > 3)
        return evi_fail(EV_ERR_SHAPE, "the classifier sees %d channels, the pictures have %d",
                        (int)want[0], (int)shape.dim[1]);
    if (classifier->n_outputs > EVI_GAN_MAX_OUTPUTS)
        return evi_fail(EV_ERR_SHAPE, "the classifier has %d outputs, at most %d are possible here",
                        (int)classifier->n_outputs, EVI_GAN_MAX_OUTPUTS);
    if (want[1] != shape.dim[2] || want[2] != shape.dim[3])
        EVI_TRY(ev_model_resize(net, x, (int32_t)want[1], (int32_t)want[2], EV_INTERPOLATE_BILINEAR,
                                EV_COORDINATES_HALF_PIXEL, &x));
    if (p.bgr != 0 && want[0] == 3)
        EVI_TRY(swap_colours(net, &x));
    EVI_TRY(rescale(net, &p, (int32_t)want[0], &x));
    EVI_TRY(ev_model_call(net, classifier, &x, 1, 1, out, classifier->n_outputs));
    *logits_out = out[0];
    return EV_OK;
}
