/* SPDX-License-Identifier: MIT */
/* Plans: a model made ready.  The sizes of everything are known before the large memory is taken,
 * so the question "how many bytes" is answered by the same code that makes a plan. */
#include "graph/plan.h"
#include <string.h>

static void free_plan(ev_plan *plan)
{
    for (int32_t i = 0; i < plan->n_values; i++)
        evi_free(plan->values[i].constant);
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        evi_free(plan->nodes[i].name);
        evi_free(plan->nodes[i].in);
    }
    evi_free(plan->values);
    evi_free(plan->nodes);
    evi_free(plan->inputs);
    evi_free(plan->outputs);
    evi_free(plan->stores);
    evi_free(plan->versions);
    evi_free(plan->packed);
    ev_model_destroy(plan->model);
    evi_handle_end(plan);
}

void ev_plan_destroy(ev_plan *plan)
{
    if (evi_handle_drop(plan, EVI_MAGIC_PLAN))
        free_plan(plan);
}

/* ---- making ---------------------------------------------------------------------------------- */

static ev_status check_options(const ev_plan_options *o)
{
    if (o->max_batch < 0 || o->max_batch > 65536)
        return evi_fail(EV_ERR_ARGUMENT, "ev_plan_create: max_batch %d is not 1..65536",
                        (int)o->max_batch);
    if (o->n_dims < 0 || (o->n_dims > 0 && o->dims == NULL))
        return evi_fail(EV_ERR_ARGUMENT, "ev_plan_create: n_dims %d without dims", (int)o->n_dims);
    return EV_OK;
}

/* Which weights the plan sees; the model's list counts against the model's context, ours against
 * the plan's. */
static ev_status copy_stores(ev_plan *plan, const ev_model *model)
{
    evi_store **list = NULL;
    EVI_TRY(evi_model_stores(model, &list, &plan->n_stores));
    ev_status status =
        evi_plan_calloc(plan, (uint64_t)plan->n_stores, sizeof(evi_store *), &plan->stores);
    for (int32_t i = 0; status == EV_OK && i < plan->n_stores; i++)
        plan->stores[i] = list[i];
    evi_free(list);
    return status;
}

static ev_status new_plan(ev_context *ctx, ev_model *model, const ev_plan_options *o, bool training,
                          ev_plan **out)
{
    ev_plan *plan = NULL;
    EVI_TRY(evi_calloc(ctx, 1, sizeof(*plan), &plan));
    evi_handle_start(&plan->handle, EVI_MAGIC_PLAN, ctx);
    plan->model = ev_model_ref(model);
    plan->training = training;
    plan->precise = o->precise > 0;
    plan->no_fusion = o->no_fusion > 0;
    plan->max_batch = o->max_batch > 0 ? o->max_batch : 1;
    plan->k = evi_kernels_for(evi_cpu_flags(ctx));
    plan->n_workers = ev_context_threads(ctx);
    plan->table_bytes = evi_block_bytes(sizeof(*plan));
    *out = plan;
    EVI_TRY(copy_stores(plan, model));
    return evi_plan_calloc(plan, (uint64_t)plan->n_stores, sizeof(uint64_t), &plan->versions);
}

/* Weights that are not known yet are packed when they are used, in the scratch. */
static void hide_weights(const evi_step *s)
{
    for (int32_t j = 0; j < s->n_in; j++)
        if (s->in[j] != NULL && s->in[j]->is_param)
            s->in[j]->data = NULL;
}

/* Let each op say what it needs. */
static ev_status prepare(ev_plan *plan)
{
    evi_steps steps;
    EVI_TRY(evi_steps_create(plan, &steps));
    uint64_t packed = 0;
    for (int32_t i = 0; i < steps.n; i++) {
        evi_step *s = &steps.step[i];
        evi_flat_node *node = &plan->nodes[steps.node[i]];
        s->act = node->act;
        if (plan->thrift >= EVI_THRIFT_UNPACKED)
            hide_weights(s);
        if (s->op->prepare != NULL)
            s->op->prepare(s);
        node->a = s->a;
        node->variant = s->variant;
        node->scratch_bytes = s->scratch_bytes;
        node->saved_bytes = s->saved_bytes;
        node->packed_bytes = plan->training ? 0 : s->packed_bytes;
        node->packed_offset = (int64_t)packed;
        if (!evi_add(packed, evi_round_up(node->packed_bytes, EVI_ALIGN), &packed)) {
            evi_free(steps.block);
            return evi_fail(EV_ERR_MEMORY, "'%s' needs too much memory", node->name);
        }
        plan->scratch_bytes = EVI_MAX(plan->scratch_bytes, s->scratch_bytes);
    }
    plan->packed_bytes = packed;
    evi_free(steps.block);
    return EV_OK;
}

/* ---- packing --------------------------------------------------------------------------------- */

#define PACK_SHARED ((uint64_t)1 << 20) /* bytes from which on waking the workers is worth it */

typedef struct packing {
    const ev_plan *plan;
    evi_steps steps;
} packing;

/* A copy is used instead of this weight. */
static void rest(const ev_plan *plan, int32_t value)
{
    const evi_flat_value *v = value < 0 ? NULL : &plan->values[value];
    if (v != NULL && v->kind == EVI_FLAT_PARAM)
        evi_store_rest(plan->stores[v->store], v->index);
}

static void pack_step(void *arg, int64_t task, int32_t worker)
{
    const packing *p = arg;
    evi_step *s = &p->steps.step[task];
    const evi_flat_node *node = &p->plan->nodes[p->steps.node[task]];
    (void)worker;
    if (s->packed == NULL || s->op->pack == NULL)
        return;
    s->op->pack(s);
    for (int32_t i = 1; i < node->n_in; i++)
        rest(p->plan, node->in[i]);
}

static ev_status pack(ev_plan *plan)
{
    for (int32_t i = 0; i < plan->n_stores; i++)
        plan->versions[i] = atomic_load(&plan->stores[i]->version);
    EVI_TRY(evi_plan_fill_fused(plan));
    for (int32_t i = 0; i < plan->n_nodes; i++)
        if (!plan->nodes[i].dead && plan->nodes[i].norm[0] >= 0)
            rest(plan, plan->nodes[i].norm_weight);
    if (plan->packed_bytes == 0)
        return EV_OK;
    EVI_TRY(evi_malloc(plan->handle.ctx, plan->packed_bytes, 1, &plan->packed));
    packing p = {.plan = plan};
    EVI_TRY(evi_steps_create(plan, &p.steps));
    evi_crew *crew = plan->packed_bytes >= PACK_SHARED ? evi_crew_begin(plan->handle.ctx) : NULL;
    evi_parallel(crew, p.steps.n, pack_step, &p);
    evi_crew_end(crew);
    evi_free(p.steps.block);
    return EV_OK;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static uint64_t packed_block(const ev_plan *plan)
{
    return plan->packed_bytes > 0 ? evi_block_bytes(plan->packed_bytes) : 0;
}

/* Everything but the large memory. */
static ev_status size(ev_plan *plan, const ev_plan_options *o)
{
    EVI_TRY(evi_plan_flatten(plan, o));
    EVI_TRY(evi_plan_fuse(plan));
    EVI_TRY(evi_plan_gradients(plan));
    EVI_TRY(prepare(plan));
    return evi_plan_place(plan);
}

/* Does the rest of the plan fit the context's limit, together with one session? */
static bool fits(const ev_plan *plan, uint64_t room)
{
    uint64_t whole = plan->table_bytes;
    return evi_add(whole, packed_block(plan), &whole) &&
           evi_add(whole, evi_session_bytes(plan, false), &whole) && whole <= room;
}

/* A plan without its large memory, as fast as the limit allows. */
static ev_status fit(ev_context *ctx, ev_model *model, const ev_plan_options *o, bool training,
                     ev_plan **out)
{
    uint64_t room = evi_context_room(ctx);
    for (int32_t thrift = EVI_THRIFT_NONE;; thrift++) {
        ev_status status = new_plan(ctx, model, o, training, out);
        if (status == EV_OK) {
            (*out)->thrift = thrift;
            (*out)->precise |= thrift >= EVI_THRIFT_DIRECT;
            status = size(*out, o);
        }
        if (status != EV_OK || training || thrift == EVI_THRIFT_UNPACKED || fits(*out, room))
            return status;
        ev_plan_destroy(*out);
        *out = NULL;
    }
}

static ev_status create(ev_context *ctx, ev_model *model, const ev_plan_options *opt, bool training,
                        bool sizes_only, ev_plan **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    ev_plan_options o;
    EVI_TRY(evi_options_read(&o, sizeof o, opt, "ev_plan_create"));
    EVI_CHECK_RESERVED(o.reserved, "ev_plan_create");
    EVI_TRY(check_options(&o));
    ev_plan *plan = NULL;
    ev_status status = fit(ctx, model, &o, training, &plan);
    for (int32_t i = 0; status == EV_OK && training && i < plan->n_stores; i++)
        status = sizes_only ? evi_store_check_open(plan->stores[i], "ev_trainer_create")
                            : evi_store_own(plan->stores[i], "ev_trainer_create");
    if (status == EV_OK && !sizes_only)
        status = pack(plan);
    if (status != EV_OK) {
        ev_plan_destroy(plan);
        return status;
    }
    *out = plan;
    return EV_OK;
}

ev_status ev_plan_create(ev_context *ctx, ev_model *model, const ev_plan_options *opt,
                         ev_plan **out)
{
    return create(ctx, model, opt, false, false, out);
}

ev_status evi_plan_create_training(ev_context *ctx, ev_model *model, const ev_plan_options *opt,
                                   ev_plan **out)
{
    return create(ctx, model, opt, true, false, out);
}

int32_t ev_plan_n_steps(const ev_plan *plan)
{
    if (evi_check_handle(plan, EVI_MAGIC_PLAN, __func__, "plan") != EV_OK)
        return 0;
    int32_t n = 0;
    for (int32_t i = 0; i < plan->n_nodes; i++)
        n += !plan->nodes[i].dead && !plan->nodes[i].is_view;
    return n;
}

/* ---- how much -------------------------------------------------------------------------------- */

uint64_t evi_plan_bytes(const ev_plan *plan)
{
    return plan->table_bytes + packed_block(plan);
}

ev_status ev_plan_memory(ev_context *ctx, ev_model *model, const ev_plan_options *opt,
                         ev_memory *out)
{
    EVI_CHECK_POINTER(out);
    ev_plan *plan = NULL;
    EVI_TRY(create(ctx, model, opt, false, true, &plan));
    ev_memory m = {.struct_size = sizeof m};
    for (int32_t i = 0; i < plan->n_stores; i++)
        m.weights_bytes += (uint64_t)plan->stores[i]->n_total * sizeof(evi_real);
    m.plan_bytes = evi_plan_bytes(plan);
    m.session_bytes = evi_session_bytes(plan, false);
    m.total_bytes = m.weights_bytes + m.plan_bytes + m.session_bytes + m.training_bytes;
    ev_plan_destroy(plan);
    return evi_options_write(out, &m, sizeof m, "ev_plan_memory");
}
