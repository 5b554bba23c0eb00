/* SPDX-License-Identifier: MIT */
/* Functions that nobody has written yet.  Whoever writes one takes it out of here. */
#include "gan/gan.h"

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
