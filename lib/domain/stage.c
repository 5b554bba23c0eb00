/* SPDX-License-Identifier: MIT */
/* A model made ready for pictures of one size: plan, session and the tensor in front of it. */
#include "domain/domain.h"

#define BATCH_BYTES ((uint64_t)64 << 20)

/* dims: room for 4, which the options point to. */
static ev_plan_options plan_options(const evi_domain_input *in, int32_t width, int32_t height,
                                    int32_t batch, int32_t precise, int64_t *dims)
{
    ev_plan_options o;
    EV_OPTIONS_INIT(&o);
    dims[0] = -1;
    dims[1] = in->channels;
    dims[2] = height;
    dims[3] = width;
    o.dims = dims;
    o.n_dims = 4;
    o.max_batch = in->any_batch ? batch : 1;
    o.precise = precise;
    return o;
}

ev_status evi_stage_bytes(ev_context *ctx, ev_model *model, const evi_domain_input *in,
                          int32_t width, int32_t height, int32_t batch, int32_t precise,
                          uint64_t *out)
{
    int64_t dims[4];
    ev_memory m;
    ev_plan_options o = plan_options(in, width, height, batch, precise, dims);
    EV_OPTIONS_INIT(&m);
    EVI_TRY(ev_plan_memory(ctx, model, &o, &m));
    *out = m.plan_bytes + m.session_bytes;
    return EV_OK;
}

ev_status evi_stage_start(ev_context *ctx, ev_model *model, const evi_domain_input *in,
                          int32_t width, int32_t height, int32_t batch, int32_t precise,
                          evi_stage *out)
{
    int64_t dims[4];
    ev_plan *plan = NULL;
    ev_plan_options o = plan_options(in, width, height, batch, precise, dims);
    evi_stage s = {.width = width, .height = height, .batch = o.max_batch};
    *out = (evi_stage){0};
    EVI_TRY(ev_plan_create(ctx, model, &o, &plan));
    ev_status status = ev_session_create(plan, &s.session);
    ev_plan_destroy(plan); /* the session keeps it */
    dims[0] = o.max_batch;
    if (status == EV_OK)
        status = ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &s.input);
    if (status == EV_OK)
        *out = s;
    else
        evi_stage_end(&s);
    return status;
}

void evi_stage_end(evi_stage *stage)
{
    ev_session_destroy(stage->session);
    ev_tensor_destroy(stage->input);
    *stage = (evi_stage){0};
}

ev_status evi_stage_run(evi_stage *stage, int32_t n)
{
    ev_tensor *input = stage->input;
    input->shape.dim[0] = n;
    input->n_bytes = (uint64_t)evi_shape_count(&input->shape) * sizeof(evi_real);
    const ev_tensor *given = input;
    ev_status status = ev_session_run(stage->session, &given, 1, NULL, 0);
    input->shape.dim[0] = stage->batch;
    input->n_bytes = (uint64_t)evi_shape_count(&input->shape) * sizeof(evi_real);
    return status;
}

int32_t evi_stage_batch(ev_context *ctx, ev_model *model, const evi_domain_input *in, int32_t width,
                        int32_t height, int32_t most)
{
    uint64_t bytes = 0;
    int32_t batch = in->any_batch ? most : 1;
    while (batch > 1 &&
           (evi_stage_bytes(ctx, model, in, width, height, batch, 0, &bytes) != EV_OK ||
            bytes > EVI_MIN(BATCH_BYTES, evi_context_room(ctx) / 2)))
        batch /= 2;
    return batch;
}
