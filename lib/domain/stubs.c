/* SPDX-License-Identifier: MIT */
/* Functions that nobody has written yet.  Whoever writes one takes it out of here. */
#include "graph/plan.h"
#include <edgevision/domain.h>

ev_status ev_router_create(ev_context *ctx, ev_model *classifier, ev_model *generator,
                           const ev_router_options *opt, ev_router **out)
{
    (void)ctx;
    (void)classifier;
    (void)generator;
    (void)opt;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not there yet", __func__);
}

void ev_router_destroy(ev_router *router)
{
    (void)router;
}

ev_status ev_router_run(ev_router *router, const ev_image *image, ev_routed *out)
{
    (void)router;
    (void)image;
    (void)out;
    return evi_fail(EV_ERR_UNSUPPORTED, "%s: not there yet", __func__);
}
