/* SPDX-License-Identifier: MIT */
/* A classifier with a loss on it, made ready to give gradients of all its weights as it is used:
 * norms by their running statistics, no dropout, frozen weights included.  Nothing of the model
 * changes, but that frozen marks step aside while the plan is made. */
#include "prune/score_net.h"

#include <math.h>
#include <string.h>

/* ---- pictures -------------------------------------------------------------------------------- */

static ev_status check_classifier(const ev_pruner *p, const char *function, int32_t *n_classes)
{
    int64_t input[3];
    if (evi_count_losses(p->model) > 0 || p->model->n_outputs != 1)
        return evi_fail(EV_ERR_SHAPE,
                        "%s: pictures need a classifier with one output and no loss of its own, "
                        "this model has %d outputs, %d of them losses",
                        function, (int)p->model->n_outputs, (int)evi_count_losses(p->model));
    return evi_classifier_shape(p->model, function, input, n_classes);
}

static ev_status choose(const ev_score_options *o, ev_context *ctx, ev_dataset **out)
{
    int32_t n = ev_dataset_size(o->data), *order = NULL;
    const evi_rng chance = {o->seed, 0x7363726573u}; /* a stream for this alone */
    EVI_TRY(evi_malloc(ctx, (uint64_t)n, sizeof(int32_t), &order));
    for (int32_t i = 0; i < n; i++)
        order[i] = i;
    evi_rng_shuffle(chance, n, order);
    ev_status status = ev_dataset_select(o->data, order, EVI_MIN(n, o->n_images), out);
    evi_free(order);
    return status;
}

static ev_status open_batches(const ev_pruner *p, const ev_score_options *o, bool again,
                              evi_batches *b)
{
    ev_loader_options l;
    EV_OPTIONS_INIT(&l);
    EVI_TRY(choose(o, p->handle.ctx, &b->pictures));
    l.batch_size = o->batch_size;
    l.cache_bytes = again ? 0 : -1;
    return evi_model_loader(p->handle.ctx, p->model, b->pictures, &l, &b->loader);
}

ev_status evi_batches_open(const ev_pruner *p, const ev_score_options *o, bool again,
                           const char *function, evi_batches *out)
{
    memset(out, 0, sizeof(*out));
    out->batch_size = o->batch_size;
    EVI_TRY(check_classifier(p, function, &out->n_classes));
    ev_status status = open_batches(p, o, again, out);
    if (status == EV_OK)
        return EV_OK;
    evi_batches_close(out);
    return evi_fail_in(status, "%s", function);
}

void evi_batches_close(evi_batches *b)
{
    ev_loader_destroy(b->loader);
    ev_dataset_destroy(b->pictures);
    memset(b, 0, sizeof(*b));
}

ev_status evi_batches_evaluate(ev_context *ctx, ev_model *model, const evi_batches *b,
                               double *loss_out, double *accuracy_out)
{
    ev_metrics *metrics = NULL;
    EVI_TRY(ev_metrics_create(ctx, b->n_classes, 1, &metrics));
    ev_status status = ev_loader_start_epoch(b->loader, 0, 0);
    if (status == EV_OK)
        status = evi_evaluate_loader(ctx, model, b->loader, b->batch_size, 0, metrics);
    if (status == EV_OK) {
        *loss_out = ev_metrics_loss(metrics);
        if (accuracy_out != NULL)
            *accuracy_out = ev_metrics_accuracy(metrics);
    }
    ev_metrics_destroy(metrics);
    return status;
}

static ev_status run_batches(ev_session *session, ev_loader *loader)
{
    EVI_TRY(ev_loader_start_epoch(loader, 0, 0));
    for (;;) {
        ev_tensor *images = NULL;
        const int32_t *labels = NULL, *items = NULL;
        int32_t n = 0;
        EVI_TRY(ev_loader_next(loader, &images, &labels, &items, &n));
        if (n == 0)
            return EV_OK;
        const ev_tensor *input = images;
        EVI_TRY(ev_session_run(session, &input, 1, NULL, 0));
    }
}

ev_status evi_watch_run(const ev_pruner *p, const ev_score_options *o, const char *function,
                        evi_watch_fn fn, void *user)
{
    evi_batches batches;
    ev_plan_options plan_options;
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    EV_OPTIONS_INIT(&plan_options);
    plan_options.max_batch = o->batch_size;
    plan_options.no_fusion = 1;
    EVI_TRY(evi_batches_open(p, o, false, function, &batches));
    ev_status status = ev_plan_create(p->handle.ctx, p->model, &plan_options, &plan);
    if (status == EV_OK)
        status = ev_session_create(plan, &session);
    if (status == EV_OK) {
        session->watch = fn;
        session->watch_user = user;
        status = run_batches(session, batches.loader);
    }
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    evi_batches_close(&batches);
    return status;
}

/* ---- what steps aside while the plan is made ------------------------------------------------- */

int32_t evi_sole_reader(const ev_model *m, int32_t value)
{
    int32_t reader = -1;
    for (int32_t i = 0; i < m->n_outputs; i++)
        if (m->outputs[i].value == value)
            return -1;
    for (int32_t i = 0; i < m->n_nodes; i++)
        for (int32_t j = 0; j < m->nodes[i].n_in; j++) {
            if (m->nodes[i].in[j] != value)
                continue;
            if (reader >= 0 && reader != i)
                return -1;
            reader = i;
        }
    return reader;
}

static void swap_int(int32_t *a, int32_t *b)
{
    int32_t old = *a;
    *a = *b;
    *b = old;
}

static int64_t count_frozen(const ev_pruner *p)
{
    int64_t n = 0;
    for (int32_t i = 0; i < p->groups.n_models; i++)
        n += p->groups.models[i]->n_nodes + p->groups.models[i]->store->n_params;
    return n;
}

/* The marks and `other` trade places: called twice. */
static void swap_frozen(const ev_pruner *p, int32_t *other)
{
    for (int32_t i = 0; i < p->groups.n_models; i++) {
        const ev_model *m = p->groups.models[i];
        for (int32_t j = 0; j < m->n_nodes; j++)
            swap_int(&m->nodes[j].frozen, other++);
        for (int32_t j = 0; j < m->store->n_params; j++)
            swap_int(&m->store->params[j].frozen, other++);
    }
}

static void swap_gates(const evi_backprop *b)
{
    for (int32_t i = 0; i < b->n_gates; i++) {
        evi_gate *g = &b->gates[i];
        evi_node *node = &b->p->groups.models[g->model]->nodes[g->node], old = *node;
        *node = g->spare;
        g->spare = old;
    }
}

/* ---- gates ----------------------------------------------------------------------------------- */

static bool has_input(const evi_node *node, int32_t i)
{
    return i < node->n_in && node->in[i] != EV_NO_VALUE;
}

static ev_status draw_gate(const ev_model *m, const evi_node *node, ev_model *gate)
{
    const evi_shape *shape = &m->values[node->in[0]].edge.shape;
    int64_t dims[EV_MAX_RANK];
    ev_value x = EV_NO_VALUE;
    ev_norm_options o;
    EV_OPTIONS_INIT(&o);
    o.epsilon = node->a.epsilon;
    o.affine = 1;
    for (int32_t i = 0; i < shape->rank; i++)
        dims[i] = i == 0 ? -1 : shape->dim[i];
    EVI_TRY(evi_model_add_input(gate, "x", EV_TYPE_FLOAT32, shape->rank, dims, shape->dim, &x));
    EVI_TRY(ev_model_instance_norm(gate, x, &o, &x));
    EVI_TRY(ev_model_output(gate, "y", x));
    return ev_model_init(gate, 1);
}

/* A norm without scale gets a gate. */
static ev_status add_gate(evi_backprop *b, int32_t model, int32_t number)
{
    const ev_model *m = b->p->groups.models[model];
    const evi_node *node = &m->nodes[number];
    if (!evi_is_norm(node) || has_input(node, 1) || has_input(node, 2))
        return EV_OK;
    evi_gate *g = &b->gates[b->n_gates];
    *g = (evi_gate){.model = model, .node = number, .spare = *node};
    g->spare.op = NULL;
    g->spare.n_in = 1;
    EVI_TRY(ev_model_create(b->p->handle.ctx, &g->spare.callee));
    b->n_gates++;
    return draw_gate(m, node, g->spare.callee);
}

static ev_status make_gates(evi_backprop *b)
{
    const evi_groups *g = &b->p->groups;
    int32_t n = 0;
    for (int32_t i = 0; i < g->n_models; i++)
        for (int32_t j = 0; j < g->models[i]->n_nodes; j++)
            n += evi_is_norm(&g->models[i]->nodes[j]);
    EVI_TRY(evi_calloc(b->p->handle.ctx, (uint64_t)n, sizeof(evi_gate), &b->gates));
    for (int32_t i = 0; i < g->n_models; i++)
        for (int32_t j = 0; j < g->models[i]->n_nodes; j++)
            EVI_TRY(add_gate(b, i, j));
    return EV_OK;
}

/* ---- the plan -------------------------------------------------------------------------------- */

static ev_status check_model(const evi_backprop *b)
{
    const ev_model *m = b->p->model;
    const evi_value *end = &m->values[m->outputs[0].value];
    const evi_op *op = end->kind == EVI_VALUE_NODE ? m->nodes[end->index].op : NULL;
    if (op != NULL && (strcmp(op->name, "softmax") == 0 || strcmp(op->name, "log_softmax") == 0))
        return evi_fail(EV_ERR_SHAPE,
                        "%s: output '%s' is a %s; gradients need what stands before it, the logits",
                        b->function, m->outputs[0].name, op->name);
    for (int32_t i = 0; i < b->p->groups.n_models; i++)
        EVI_TRY(evi_store_check_open(b->p->groups.models[i]->store, b->function));
    return EV_OK;
}

static ev_status make_plan(evi_backprop *b, int32_t batch_size)
{
    const evi_train loss = {.optimizer = 0};
    int32_t is_classifier = 0, *frozen = NULL;
    ev_plan_options o;
    EV_OPTIONS_INIT(&o);
    o.max_batch = batch_size;
    EVI_TRY(evi_train_compose(b->p->handle.ctx, b->p->model, &loss, &b->net, &is_classifier));
    EVI_TRY(evi_calloc(b->p->handle.ctx, (uint64_t)count_frozen(b->p), sizeof(int32_t), &frozen));
    swap_frozen(b->p, frozen);
    swap_gates(b);
    ev_status status = evi_plan_create_training(b->p->handle.ctx, b->net, &o, &b->plan);
    swap_gates(b);
    swap_frozen(b->p, frozen);
    evi_free(frozen);
    EVI_TRY(status);
    for (int32_t i = 0; i < b->plan->n_nodes; i++)
        if (b->plan->nodes[i].op == evi_op_find("batch_norm"))
            b->plan->nodes[i].a.flag |= EVI_BATCH_NORM_RUNNING;
    return EV_OK;
}

static ev_status make_session(evi_backprop *b)
{
    ev_context *ctx = b->p->handle.ctx;
    EVI_TRY(evi_calloc(ctx, (uint64_t)b->plan->n_stores, sizeof(evi_real *), &b->gradients));
    for (int32_t i = 0; i < b->plan->n_stores; i++)
        EVI_TRY(evi_calloc(ctx, (uint64_t)b->plan->stores[i]->n_trainable, sizeof(evi_real),
                           &b->gradients[i]));
    EVI_TRY(evi_session_create_training(b->plan, b->gradients, &b->session));
    for (int32_t i = 0; i < b->session->steps.n; i++) {
        evi_step *s = &b->session->steps.step[i];
        if (s->op->traits & EVI_OP_TRAIN_ONLY_EFFECT)
            s->training = 0; /* dropout lets everything pass */
    }
    return EV_OK;
}

ev_status evi_backprop_open(const ev_pruner *p, int32_t batch_size, bool gates,
                            const char *function, evi_backprop *out)
{
    *out = (evi_backprop){.p = p, .function = function};
    ev_status status = check_model(out);
    if (status == EV_OK && gates)
        status = make_gates(out);
    if (status == EV_OK)
        status = make_plan(out, batch_size);
    if (status == EV_OK)
        status = make_session(out);
    if (status != EV_OK)
        evi_backprop_close(out);
    return status;
}

void evi_backprop_close(evi_backprop *b)
{
    for (int32_t i = 0; b->gradients != NULL && i < b->plan->n_stores; i++)
        evi_free(b->gradients[i]);
    evi_free(b->gradients);
    ev_session_destroy(b->session);
    ev_plan_destroy(b->plan);
    ev_model_destroy(b->net);
    for (int32_t i = 0; i < b->n_gates; i++)
        ev_model_destroy(b->gates[i].spare.callee);
    evi_free(b->gates);
    memset(b, 0, sizeof(*b));
}

const evi_real *evi_backprop_gradient(const evi_backprop *b, const evi_store *store,
                                      const evi_param *param)
{
    for (int32_t i = 0; i < b->plan->n_stores && param->trainable; i++)
        if (b->plan->stores[i] == store)
            return b->gradients[i] + param->offset;
    return NULL;
}

/* ---- batches --------------------------------------------------------------------------------- */

/* The loss is not finite: which layer began it? */
static ev_status find_culprit(evi_backprop *b, evi_crew *crew, const void *const *inputs, int32_t n,
                              double loss)
{
    b->session->trap_nan = 1;
    ev_status status = evi_session_forward(b->session, crew, inputs, 2, n, 0);
    b->session->trap_nan = 0;
    if (status == EV_OK)
        status = evi_fail(EV_ERR_DIVERGED, "the loss is %g", loss);
    return evi_fail_in(status, "%s", b->function);
}

static ev_status run_batch(evi_backprop *b, evi_crew *crew, const void *const *inputs, int32_t n,
                           evi_gradient_fn fn, void *arg)
{
    EVI_TRY(evi_session_forward(b->session, crew, inputs, 2, n, 0));
    double loss = evi_session_scalar(b->session, 1);
    if (!isfinite(loss))
        return find_culprit(b, crew, inputs, n, loss);
    evi_session_backward(b->session, crew, NULL, false);
    return fn(arg, crew);
}

ev_status evi_backprop_run(evi_backprop *b, const evi_batches *batches, evi_gradient_fn fn,
                           void *arg)
{
    EVI_TRY(ev_loader_start_epoch(batches->loader, 0, 0));
    for (;;) {
        ev_tensor *images = NULL;
        const int32_t *labels = NULL, *items = NULL;
        int32_t n = 0;
        EVI_TRY(ev_loader_next(batches->loader, &images, &labels, &items, &n));
        if (n == 0)
            return EV_OK;
        const void *inputs[2] = {images->data, labels};
        evi_crew *crew = evi_crew_begin(b->p->handle.ctx);
        ev_status status = run_batch(b, crew, inputs, n, fn, arg);
        evi_crew_end(crew);
        EVI_TRY(status);
        b->n_batches++;
    }
}
