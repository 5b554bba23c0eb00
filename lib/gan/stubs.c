/* SPDX-License-Identifier: MIT */
/* Functions that nobody has written yet.  Whoever writes one takes it out of here. */
#include "gan/gan.h"

ev_status ev_cyclegan_run(ev_cyclegan *gan)
{
    (void)gan;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not there yet", __func__);
}

ev_status ev_cyclegan_save(ev_cyclegan *gan, const char *path)
{
    (void)gan;
    (void)path;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not there yet", __func__);
}

ev_status ev_cyclegan_resume(ev_cyclegan *gan, const char *path)
{
    (void)gan;
    (void)path;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not there yet", __func__);
}

ev_status ev_cyclegan_read_options(ev_context *ctx, const char *path, ev_cyclegan_options *out,
                                   ev_generator_options *out_generator,
                                   ev_discriminator_options *out_discriminator)
{
    (void)ctx;
    (void)path;
    (void)out;
    (void)out_generator;
    (void)out_discriminator;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not there yet", __func__);
}

ev_status ev_cyclegan_grid(ev_cyclegan *gan, ev_dataset *a, const int32_t *items_a, int32_t n_a,
                           ev_dataset *b, const int32_t *items_b, int32_t n_b, ev_image **out)
{
    (void)gan;
    (void)a;
    (void)items_a;
    (void)n_a;
    (void)b;
    (void)items_b;
    (void)n_b;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not there yet", __func__);
}

ev_status ev_translate_evaluate(ev_context *ctx, ev_model *classifier, ev_model *generator,
                                ev_dataset *pictures, ev_metrics **out)
{
    (void)ctx;
    (void)classifier;
    (void)generator;
    (void)pictures;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not there yet", __func__);
}

ev_status ev_metrics_hallucinations(const ev_metrics *before, const ev_metrics *after,
                                    int32_t empty_label, ev_hallucinations *out)
{
    (void)before;
    (void)after;
    (void)empty_label;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not there yet", __func__);
}

ev_status ev_domain_gap_measure(ev_context *ctx, ev_model *classifier, ev_dataset *inside,
                                ev_dataset *pictures, ev_model *generator, ev_model *back,
                                ev_domain_gap *out)
{
    (void)ctx;
    (void)classifier;
    (void)inside;
    (void)pictures;
    (void)generator;
    (void)back;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not there yet", __func__);
}

ev_status ev_domain_fit(ev_context *ctx, ev_model *classifier, ev_dataset *inside,
                        const ev_domain_options *opt, ev_model **out)
{
    (void)ctx;
    (void)classifier;
    (void)inside;
    (void)opt;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not there yet", __func__);
}
