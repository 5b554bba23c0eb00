/* SPDX-License-Identifier: MIT */
/* Sessions: the memory of a plan's run, and the two loops, forward and backward. */
#include "graph/plan.h"
#include <string.h>

/* One block: the session, its steps apart, then results, last inputs, and, where it has them to
 * itself, arena and scratch. */
typedef struct layout {
    uint64_t outputs, inputs, end;
} layout;

static layout lay_out(const ev_plan *plan)
{
    layout l;
    l.outputs = evi_round_up(sizeof(ev_session), EVI_ALIGN);
    l.inputs = l.outputs + (uint64_t)plan->n_outputs * sizeof(ev_tensor);
    l.end = evi_round_up(l.inputs + 2 * (uint64_t)plan->n_inputs * sizeof(void *), EVI_ALIGN);
    return l;
}

uint64_t evi_session_workspace(const ev_plan *plan)
{
    return evi_round_up(plan->arena_bytes, EVI_ALIGN) +
           evi_round_up(plan->scratch_bytes, EVI_ALIGN);
}

uint64_t evi_session_bytes(const ev_plan *plan, bool shares_workspace)
{
    uint64_t own = shares_workspace ? 0 : evi_session_workspace(plan);
    return evi_block_bytes(lay_out(plan).end + own) + evi_steps_bytes(plan);
}

/* ---- binding --------------------------------------------------------------------------------- */

static evi_real *grad_of(const ev_session *session, int32_t value, evi_real *const *grads)
{
    const ev_plan *plan = session->plan;
    const evi_flat_value *v = &plan->values[value];
    if (!v->want_grad)
        return NULL;
    if (v->kind == EVI_FLAT_PARAM)
        return grads == NULL || grads[v->store] == NULL
                   ? NULL
                   : grads[v->store] + plan->stores[v->store]->params[v->index].offset;
    return (evi_real *)(void *)(session->arena + plan->values[v->grad_root].grad_offset);
}

static int32_t root_of(const ev_plan *plan, int32_t value)
{
    while (plan->values[value].root != value)
        value = plan->values[value].root;
    return value;
}

static void bind_memory(ev_session *session, evi_real *const *grads)
{
    const ev_plan *plan = session->plan;
    for (int32_t i = 0; i < plan->n_values; i++) {
        evi_view *view = &session->steps.view[i];
        const evi_flat_value *root = &plan->values[root_of(plan, i)];
        if (plan->values[i].kind == EVI_FLAT_TEMP && root->kind == EVI_FLAT_TEMP &&
            root->offset >= 0)
            view->data = session->arena + root->offset;
        else if (plan->values[i].kind == EVI_FLAT_TEMP && root->kind != EVI_FLAT_TEMP)
            view->data = (void *)(uintptr_t)evi_plan_data(plan, root_of(plan, i));
        view->grad = grad_of(session, i, grads);
    }
    for (int32_t i = 0; i < session->steps.n; i++) {
        evi_step *s = &session->steps.step[i];
        const evi_flat_node *node = &plan->nodes[session->steps.node[i]];
        s->scratch = session->scratch;
        s->saved = node->saved_bytes > 0 ? session->arena + node->saved_offset : NULL;
    }
}

/* The caller's elements, and all views that lie over them. */
static void bind_inputs(ev_session *session, const void *const *inputs)
{
    const ev_plan *plan = session->plan;
    bool same = true;
    for (int32_t i = 0; i < plan->n_inputs; i++) {
        same = same && session->last_inputs[i] == inputs[i];
        session->last_inputs[i] = inputs[i];
        session->steps.view[plan->inputs[i]].data = (void *)(uintptr_t)inputs[i];
    }
    for (int32_t i = 0; !same && i < plan->n_values; i++) {
        int32_t root = root_of(plan, i);
        if (plan->values[root].kind == EVI_FLAT_INPUT)
            session->steps.view[i].data = session->steps.view[root].data;
    }
}

static void start_outputs(ev_session *session)
{
    const ev_plan *plan = session->plan;
    for (int32_t i = 0; i < plan->n_outputs; i++) {
        ev_tensor *t = &session->outputs[i];
        const evi_view *view = &session->steps.view[plan->outputs[i]];
        t->handle.magic = EVI_MAGIC_TENSOR;
        atomic_init(&t->handle.refs, 1);
        t->handle.ctx = session->handle.ctx; /* borrowed: the tensor ends with the session */
        t->type = view->type;
        t->data = view->data;
    }
}

static ev_status create(ev_plan *plan, evi_real *const *grads, void *workspace, ev_session **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(plan, EVI_MAGIC_PLAN);
    layout l = lay_out(plan);
    ev_session *session = NULL;
    uint64_t own = workspace != NULL ? 0 : evi_session_workspace(plan);
    EVI_TRY(evi_malloc(plan->handle.ctx, l.end + own, 1, &session));
    char *block = (char *)session;
    memset(block, 0, l.end);
    ev_status status = evi_steps_create(plan, &session->steps);
    if (status != EV_OK) {
        evi_free(session);
        return status;
    }
    evi_handle_start(&session->handle, EVI_MAGIC_SESSION, plan->handle.ctx);
    atomic_fetch_add(&plan->handle.refs, 1);
    session->plan = plan;
    session->outputs = (ev_tensor *)(void *)(block + l.outputs);
    session->last_inputs = (const void **)(void *)(block + l.inputs);
    session->given = session->last_inputs + plan->n_inputs;
    session->arena = workspace != NULL ? workspace : block + l.end;
    session->scratch = session->arena + evi_round_up(plan->arena_bytes, EVI_ALIGN);
    bind_memory(session, grads);
    start_outputs(session);
    *out = session;
    return EV_OK;
}

ev_status ev_session_create(ev_plan *plan, ev_session **out)
{
    return create(plan, NULL, NULL, out);
}

ev_status evi_session_create_training(ev_plan *plan, evi_real *const *grads, ev_session **out)
{
    return create(plan, grads, NULL, out);
}

ev_status evi_session_create_sharing(ev_plan *plan, evi_real *const *grads, void *workspace,
                                     ev_session **out)
{
    return create(plan, grads, workspace, out);
}

void ev_session_destroy(ev_session *session)
{
    if (!evi_handle_drop(session, EVI_MAGIC_SESSION))
        return;
    ev_plan *plan = session->plan;
    evi_free(session->steps.block);
    evi_handle_end(session);
    ev_plan_destroy(plan);
}

/* ---- forward --------------------------------------------------------------------------------- */

static ev_status set_batch(ev_session *session, int64_t batch)
{
    ev_plan *plan = session->plan;
    if (batch == session->batch)
        return EV_OK;
    session->batch = 0;
    for (int32_t i = 0; i < plan->n_inputs; i++) {
        evi_view *view = &session->steps.view[plan->inputs[i]];
        view->shape = plan->values[plan->inputs[i]].edge.shape;
        if (plan->values[plan->inputs[i]].per_image)
            view->shape.dim[0] = batch;
    }
    EVI_TRY(evi_steps_infer(plan, &session->steps));
    for (int32_t i = 0; i < plan->n_outputs; i++) {
        ev_tensor *t = &session->outputs[i];
        t->shape = session->steps.view[plan->outputs[i]].shape;
        t->n_bytes = (uint64_t)evi_shape_count(&t->shape) * (uint64_t)evi_type_bytes(t->type);
    }
    session->batch = batch;
    return EV_OK;
}

static bool all_finite(const evi_view *view)
{
    if (!evi_type_is_real(view->type))
        return true;
    const evi_real *x = view->data;
    int64_t n = evi_shape_count(&view->shape);
    evi_real sum = 0; /* of x - x: zero, or NaN for NaN and infinity */
    for (int64_t i = 0; i < n; i++)
        sum += x[i] - x[i];
    return sum == 0;
}

static ev_status check_finite(const ev_session *session, const evi_step *s, int32_t i)
{
    for (int32_t j = 0; j < s->n_out; j++)
        if (!all_finite(s->out[j]))
            return evi_fail(EV_ERR_DIVERGED, "layer '%s' (%s) gave a number that is not finite",
                            session->plan->nodes[session->steps.node[i]].name, s->op->name);
    return EV_OK;
}

static int64_t planned_batch(const ev_plan *plan)
{
    for (int32_t i = 0; i < plan->n_inputs; i++)
        if (plan->values[plan->inputs[i]].per_image)
            return plan->values[plan->inputs[i]].edge.shape.dim[0];
    return 1;
}

ev_status evi_session_forward(ev_session *session, evi_crew *crew, const void *const *inputs,
                              int32_t n_inputs, int64_t batch, uint64_t counter)
{
    const ev_plan *plan = session->plan;
    if (n_inputs != plan->n_inputs || batch < 1)
        return evi_fail(EV_ERR_ARGUMENT, "%d inputs and %lld images given, the plan has %d inputs",
                        (int)n_inputs, (long long)batch, (int)plan->n_inputs);
    if (plan->batch_locked && batch != planned_batch(plan))
        return evi_fail(EV_ERR_SHAPE,
                        "this model computes with the number of images: make a plan for "
                        "each (this one is for %lld)",
                        (long long)planned_batch(plan));
    EVI_TRY(set_batch(session, batch));
    bind_inputs(session, inputs);
    int32_t fault = 0;
    for (int32_t i = 0; i < session->steps.n; i++) {
        evi_step *s = &session->steps.step[i];
        if (plan->nodes[session->steps.node[i]].is_view)
            continue;
        s->crew = crew;
        s->counter = counter;
        s->fault = 0;
        s->op->forward(s);
        fault |= s->fault;
        if (session->watch != NULL)
            session->watch(session->watch_user, session, i);
        if (session->trap_nan)
            EVI_TRY(check_finite(session, s, i));
    }
    return fault == 0 ? EV_OK : evi_fail(EV_ERR_ARGUMENT, "an index in the data is out of range");
}

/* ---- backward -------------------------------------------------------------------------------- */

static void seed_losses(ev_session *session, const float *weights)
{
    const ev_plan *plan = session->plan;
    int32_t n = 0;
    for (int32_t i = 0; i < plan->n_outputs; i++) {
        if (!plan->model->outputs[i].is_loss)
            continue;
        float weight = weights != NULL ? weights[n] : plan->model->outputs[i].weight;
        n++;
        evi_real *grad = session->steps.view[plan->outputs[i]].grad;
        if (grad != NULL)
            *grad = (evi_real)weight;
    }
}

/* Bits of inputs that are weights: in accumulating runs they are never overwritten. */
static uint64_t param_bits(const evi_step *s)
{
    uint64_t bits = 0;
    for (int32_t j = 0; j < s->n_in && j < 64; j++)
        if (s->in[j] != NULL && s->in[j]->is_param)
            bits |= (uint64_t)1 << j;
    return bits;
}

static void zero_unwritten(ev_session *session, const evi_flat_node *node)
{
    for (int32_t j = 0; j < node->n_out; j++) {
        evi_view *view = &session->steps.view[node->out[j]];
        if (session->plan->values[node->out[j]].grad_zero && view->grad != NULL)
            memset(view->grad, 0, (size_t)evi_shape_count(&view->shape) * sizeof(evi_real));
    }
}

/* Values that were not kept are made again. */
static void run_again(const ev_session *session, evi_crew *crew, const evi_flat_node *node,
                      int32_t step)
{
    for (int32_t j = 0; j < EVI_COUNT(node->again); j++) {
        int32_t i = step;
        if (node->again[j] == 0)
            continue;
        while (session->steps.node[i] != node->again[j] - 1)
            i--;
        evi_step *s = &session->steps.step[i];
        s->crew = crew;
        s->op->forward(s);
    }
}

void evi_session_backward(ev_session *session, evi_crew *crew, const float *loss_weights,
                          bool accumulate)
{
    const ev_plan *plan = session->plan;
    seed_losses(session, loss_weights);
    for (int32_t i = session->steps.n - 1; i >= 0; i--) {
        evi_step *s = &session->steps.step[i];
        const evi_flat_node *node = &plan->nodes[session->steps.node[i]];
        if (!node->in_backward || node->grad_is_view)
            continue;
        zero_unwritten(session, node);
        run_again(session, crew, node, i);
        s->crew = crew;
        s->grad_first = accumulate ? node->grad_first & ~param_bits(s) : node->grad_first;
        s->op->backward(s);
    }
}

double evi_session_scalar(const ev_session *session, int32_t output)
{
    return (double)*(const evi_real *)session->outputs[output].data;
}

const void *evi_session_output_data(const ev_session *session, int32_t index, evi_shape *shape_out)
{
    *shape_out = session->outputs[index].shape;
    return session->outputs[index].data;
}
