/* SPDX-License-Identifier: MIT */
/* The nets of a trainer.  One has its memory to itself and its outputs where they were computed.
 * Several share arena and scratch, since they run in turn, so each one's outputs are copied before
 * the next one runs. */
#include "train/trainer.h"

#include <string.h>

/* ---- plans --------------------------------------------------------------------------------- */

static ev_status make_plan(ev_trainer *t, evi_train_part *part)
{
    ev_plan_options p;
    float *rates = NULL;
    EV_OPTIONS_INIT(&p);
    p.max_batch = t->o.batch_size;
    p.precise = t->o.precise;
    EVI_TRY(evi_dropout_set(part->net, t->o.dropout, &rates));
    ev_status status = evi_plan_create_training(t->handle.ctx, part->net, &p, &part->plan);
    evi_dropout_restore(part->net, rates);
    return status;
}

static evi_train_store *find_store(const ev_trainer *t, const evi_store *store)
{
    for (int32_t i = 0; i < t->n_stores; i++)
        if (t->stores[i].store == store)
            return &t->stores[i];
    return NULL;
}

/* Those of a plan that no part before it has. */
static ev_status add_stores(ev_trainer *t, const ev_plan *plan)
{
    int32_t more = 0;
    for (int32_t i = 0; i < plan->n_stores; i++)
        more += find_store(t, plan->stores[i]) == NULL;
    if (more == 0)
        return EV_OK;
    EVI_TRY(evi_realloc(t->handle.ctx, (uint64_t)(t->n_stores + more), sizeof(evi_train_store),
                        &t->stores));
    for (int32_t i = 0; i < plan->n_stores; i++)
        if (find_store(t, plan->stores[i]) == NULL)
            t->stores[t->n_stores++] = (evi_train_store){.store = plan->stores[i]};
    return EV_OK;
}

ev_status evi_train_plan_parts(ev_trainer *t)
{
    for (int32_t i = 0; i < t->n_parts; i++) {
        evi_train_part *part = &t->parts[i];
        EVI_TRY(make_plan(t, part));
        EVI_TRY(add_stores(t, part->plan));
        part->first_loss = t->n_losses;
        part->first_output = t->n_outputs;
        t->n_losses += evi_count_losses(part->net);
        t->n_outputs += part->net->n_outputs;
    }
    return EV_OK;
}

/* ---- sessions ------------------------------------------------------------------------------ */

/* Bytes of the arena and scratch that several parts share. */
static uint64_t workspace_bytes(const ev_trainer *t)
{
    uint64_t bytes = 0;
    for (int32_t i = 0; i < t->n_parts; i++)
        bytes = EVI_MAX(bytes, evi_session_workspace(t->parts[i].plan));
    return bytes;
}

/* A stream of chance for dropout alone, another for each part. */
static void start_chance(const ev_trainer *t, const evi_train_part *part)
{
    evi_rng chance = {t->o.seed, 0x64726f706f7574u};
    if (part != t->parts)
        chance = evi_rng_derive(chance, UINT64_MAX - (uint64_t)(part - t->parts));
    for (int32_t i = 0; i < part->session->steps.n; i++)
        part->session->steps.step[i].rng =
            evi_rng_derive(chance, (uint64_t)part->session->steps.node[i]);
}

static ev_status make_session(ev_trainer *t, evi_train_part *part)
{
    evi_real **gradients = NULL;
    const ev_plan *plan = part->plan;
    EVI_TRY(evi_calloc(t->handle.ctx, (uint64_t)plan->n_stores, sizeof(evi_real *), &gradients));
    for (int32_t i = 0; i < plan->n_stores; i++)
        gradients[i] = find_store(t, plan->stores[i])->gradients;
    ev_status status =
        evi_session_create_sharing(part->plan, gradients, t->workspace, &part->session);
    evi_free(gradients);
    EVI_TRY(status);
    start_chance(t, part);
    return evi_calloc(t->handle.ctx, (uint64_t)part->net->n_inputs, sizeof(void *), &part->inputs);
}

/* ---- outputs ------------------------------------------------------------------------------- */

static uint64_t output_bytes(const evi_train_part *part, int32_t output)
{
    const evi_edge *edge = &part->plan->values[part->plan->outputs[output]].edge;
    return evi_round_up(
        (uint64_t)evi_shape_count(&edge->shape) * (uint64_t)evi_type_bytes(edge->type), EVI_ALIGN);
}

/* Bytes of the copies of the first `n_parts` parts' outputs. */
static uint64_t kept_bytes(const ev_trainer *t, int32_t n_parts)
{
    uint64_t bytes = 0;
    for (int32_t k = 0; k < n_parts; k++)
        for (int32_t i = 0; i < t->parts[k].net->n_outputs; i++)
            bytes += output_bytes(&t->parts[k], i);
    return bytes;
}

static void start_outputs(const ev_trainer *t, const evi_train_part *part)
{
    for (int32_t i = 0; i < part->net->n_outputs; i++) {
        ev_tensor *out = &t->outputs[part->first_output + i];
        out->handle.magic = EVI_MAGIC_TENSOR;
        out->handle.ctx = t->handle.ctx;
        atomic_init(&out->handle.refs, 1);
        out->type = part->net->values[part->net->outputs[i].value].edge.type;
    }
}

void evi_train_show_outputs(ev_trainer *t, const evi_train_part *part)
{
    char *to = part->kept;
    for (int32_t i = 0; i < part->net->n_outputs; i++) {
        ev_tensor *out = &t->outputs[part->first_output + i];
        const void *from = evi_session_output_data(part->session, i, &out->shape);
        out->n_bytes = (uint64_t)evi_shape_count(&out->shape) * (uint64_t)evi_type_bytes(out->type);
        out->data = (void *)(uintptr_t)from;
        if (to != NULL) {
            out->data = memcpy(to, from, (size_t)out->n_bytes);
            to += output_bytes(part, i);
        }
    }
}

/* ---- the whole ----------------------------------------------------------------------------- */

static ev_status make_shared(ev_trainer *t)
{
    if (t->n_parts == 1)
        return EV_OK;
    EVI_TRY(evi_malloc(t->handle.ctx, workspace_bytes(t), 1, &t->workspace));
    EVI_TRY(evi_malloc(t->handle.ctx, kept_bytes(t, t->n_parts), 1, &t->kept));
    for (int32_t i = 0; i < t->n_parts; i++)
        t->parts[i].kept = t->kept + kept_bytes(t, i);
    return EV_OK;
}

ev_status evi_train_start_parts(ev_trainer *t)
{
    ev_context *ctx = t->handle.ctx;
    EVI_TRY(make_shared(t));
    EVI_TRY(evi_calloc(ctx, (uint64_t)t->n_losses, sizeof(double), &t->losses));
    EVI_TRY(evi_calloc(ctx, (uint64_t)t->n_outputs, sizeof(ev_tensor), &t->outputs));
    for (int32_t i = 0; i < t->n_parts; i++) {
        EVI_TRY(make_session(t, &t->parts[i]));
        start_outputs(t, &t->parts[i]);
    }
    return EV_OK;
}

uint64_t evi_train_plans_bytes(const ev_trainer *t)
{
    uint64_t bytes = 0;
    for (int32_t i = 0; i < t->n_parts; i++)
        bytes += evi_plan_bytes(t->parts[i].plan);
    return bytes;
}

uint64_t evi_train_sessions_bytes(const ev_trainer *t)
{
    bool several = t->n_parts > 1;
    uint64_t bytes = several ? evi_block_bytes(workspace_bytes(t)) : 0;
    for (int32_t i = 0; i < t->n_parts; i++)
        bytes += evi_session_bytes(t->parts[i].plan, several);
    return bytes;
}

uint64_t evi_train_tables_bytes(const ev_trainer *t)
{
    uint64_t bytes = evi_block_bytes((uint64_t)t->n_losses * sizeof(double)) +
                     evi_block_bytes((uint64_t)t->n_outputs * sizeof(ev_tensor));
    if (t->n_parts > 1)
        bytes += evi_block_bytes(kept_bytes(t, t->n_parts));
    for (int32_t i = 0; i < t->n_parts; i++)
        bytes += evi_block_bytes((uint64_t)t->parts[i].net->n_inputs * sizeof(void *));
    return bytes;
}

void evi_train_parts_free(ev_trainer *t)
{
    for (int32_t i = 0; i < t->n_parts; i++) {
        evi_train_part *part = &t->parts[i];
        ev_session_destroy(part->session);
        ev_plan_destroy(part->plan);
        ev_model_destroy(part->net);
        evi_free(part->inputs);
    }
    evi_free(t->workspace);
    evi_free(t->kept);
    evi_free(t->losses);
    evi_free(t->outputs);
}
