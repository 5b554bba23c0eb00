/* SPDX-License-Identifier: MIT */
/* Plans for inference: a batch norm behind a convolution or dense layer goes into its weights, an
 * activation behind an op that can apply it goes into that op, a 2x2 max pool into the convolution
 * before it, and what nobody wants is dropped.  In plans for training a convolution takes a relu
 * and such a pool: neither its rows nor their gradient ever lie in memory in full. */
#include "graph/plan.h"
#include <math.h>
#include <string.h>

/* ---- who reads what -------------------------------------------------------------------------- */

static void count_uses(const ev_plan *plan, int32_t *uses)
{
    memset(uses, 0, (size_t)plan->n_values * sizeof(*uses));
    for (int32_t i = 0; i < plan->n_nodes; i++)
        for (int32_t j = 0; !plan->nodes[i].dead && j < plan->nodes[i].n_in; j++)
            if (plan->nodes[i].in[j] >= 0)
                uses[plan->nodes[i].in[j]]++;
    for (int32_t i = 0; i < plan->n_outputs; i++)
        uses[plan->outputs[i]]++;
}

static void drop_unwanted(ev_plan *plan, int32_t *uses)
{
    count_uses(plan, uses);
    for (int32_t i = plan->n_nodes - 1; i >= 0; i--) {
        evi_flat_node *node = &plan->nodes[i];
        bool wanted = false;
        for (int32_t j = 0; j < node->n_out; j++)
            wanted = wanted || uses[node->out[j]] > 0;
        if (node->dead || wanted)
            continue;
        node->dead = 1;
        for (int32_t j = 0; j < node->n_in; j++)
            if (node->in[j] >= 0)
                uses[node->in[j]]--;
    }
}

/* The live node that made the first input, when this node alone reads it. */
static evi_flat_node *only_producer(ev_plan *plan, const evi_flat_node *node, const int32_t *uses)
{
    const evi_flat_value *v = &plan->values[node->in[0]];
    if (v->kind != EVI_FLAT_TEMP || uses[node->in[0]] != 1)
        return NULL;
    evi_flat_node *producer = &plan->nodes[v->index];
    return producer->out[0] == node->in[0] && producer->n_out == 1 ? producer : NULL;
}

/* The producer gives what the node gave; the node is gone. */
static void take_over(ev_plan *plan, evi_flat_node *producer, evi_flat_node *node)
{
    node->dead = 1;
    producer->out[0] = node->out[0];
    plan->values[producer->out[0]].index = (int32_t)(producer - plan->nodes);
}

/* ---- activations ----------------------------------------------------------------------------- */

static const struct {
    const char *op;
    int32_t act;
} acts[] = {
    {"relu", EVK_ACT_RELU},
    {"clip", EVK_ACT_CLIP},
    {"leaky_relu", EVK_ACT_LEAKY},
    {"sigmoid", EVK_ACT_SIGMOID},
    {"tanh", EVK_ACT_TANH},
    {"hard_swish", EVK_ACT_HARDSWISH},
    {"hard_sigmoid", EVK_ACT_HARDSIGMOID},
};

/* What backward can follow. */
static bool trains_act(const evi_flat_node *node, int32_t act)
{
    bool norm = (node->op->traits & EVI_OP_ACT_FROM_IN) != 0;
    return act == EVK_ACT_NONE || (act == EVK_ACT_RELU && strcmp(node->op->name, "conv2d") == 0) ||
           ((act == EVK_ACT_RELU || act == EVK_ACT_LEAKY) && norm);
}

static void fuse_activation(ev_plan *plan, evi_flat_node *node, const int32_t *uses)
{
    int32_t act = EVK_ACT_NONE;
    for (int32_t i = 0; i < EVI_COUNT(acts); i++)
        if (strcmp(node->op->name, acts[i].op) == 0)
            act = acts[i].act;
    for (int32_t i = 1; i < node->n_in; i++) /* limits of a clip: infer has read known ones */
        if (node->in[i] >= 0 && plan->values[node->in[i]].edge.value == NULL)
            return;
    if (act == EVK_ACT_NONE || node->n_in < 1 ||
        plan->values[node->out[0]].edge.type != EV_TYPE_FLOAT32)
        return;
    evi_flat_node *producer = only_producer(plan, node, uses);
    if (producer == NULL || !(producer->op->traits & EVI_OP_FUSES_ACT) ||
        producer->act != EVK_ACT_NONE || (plan->training && !trains_act(producer, act)))
        return;
    if (producer->pooled && act != EVK_ACT_RELU && act != EVK_ACT_CLIP)
        return; /* these two give the same bits before the pool and behind it */
    producer->act = act;
    producer->act_alpha = node->a.alpha;
    producer->act_beta = node->a.beta;
    take_over(plan, producer, node);
}

/* ---- pools ----------------------------------------------------------------------------------- */

/* Windows of 2x2 side by side that begin in the corner; an odd last row or column is left out. */
static bool halves(const ev_plan *plan, const evi_flat_node *node)
{
    const evi_attrs *a = &node->a;
    const evi_shape *x = &plan->values[node->in[0]].edge.shape;
    const evi_shape *y = &plan->values[node->out[0]].edge.shape;
    bool fits = strcmp(node->op->name, "max_pool2d") == 0 && node->n_out == 1 && x->rank == 4 &&
                plan->values[node->out[0]].edge.type == EV_TYPE_FLOAT32;
    for (int32_t i = 0; i < 2 && fits; i++)
        fits = a->kernel[i] == 2 && a->stride[i] == 2 && a->dilation[i] == 1 && a->pad[i] == 0 &&
               y->dim[2 + i] == x->dim[2 + i] / 2;
    return fits;
}

static void fuse_pool(ev_plan *plan, evi_flat_node *node, const int32_t *uses)
{
    if (node->dead || !halves(plan, node))
        return;
    evi_flat_node *producer = only_producer(plan, node, uses);
    if (producer == NULL || producer->pooled || strcmp(producer->op->name, "conv2d") != 0 ||
        (plan->training && !trains_act(producer, producer->act)))
        return;
    producer->pooled = 1;
    take_over(plan, producer, node);
}

/* ---- batch norm ------------------------------------------------------------------------------ */

static bool takes_norm(const ev_plan *plan, const evi_flat_node *node)
{
    if (strcmp(node->op->name, "conv2d") != 0 &&
        !(strcmp(node->op->name, "dense") == 0 && node->a.trans_b && !node->a.trans_a &&
          node->a.alpha == 1 && node->a.beta == 1))
        return false;
    if (node->act != EVK_ACT_NONE || node->pooled || node->norm[0] >= 0 ||
        evi_plan_data(plan, node->in[1]) == NULL)
        return false;
    bool has_bias = node->n_in > 2 && node->in[2] >= 0;
    return !has_bias || (evi_plan_data(plan, node->in[2]) != NULL &&
                         plan->values[node->in[2]].edge.shape.rank == 1);
}

/* A constant of the plan with the shape of another value, to be filled by evi_plan_fill_fused. */
static ev_status folded_value(ev_plan *plan, int32_t rank, const int64_t *dims, int32_t *out)
{
    evi_flat_value v = {.kind = EVI_FLAT_CONSTANT, .edge = {.type = EV_TYPE_FLOAT32}};
    EVI_TRY(evi_shape_set(&v.edge.shape, rank, dims, "folded weights"));
    return evi_plan_new_value(plan, &v, out);
}

static ev_status fuse_norm(ev_plan *plan, evi_flat_node *node, const int32_t *uses)
{
    evi_flat_node *producer = only_producer(plan, node, uses);
    if (strcmp(node->op->name, "batch_norm") != 0 || node->n_out != 1 || producer == NULL ||
        !takes_norm(plan, producer))
        return EV_OK;
    for (int32_t i = 1; i < 5; i++)
        if (evi_plan_data(plan, node->in[i]) == NULL)
            return EV_OK;
    evi_shape w = plan->values[producer->in[1]].edge.shape;
    int32_t weight, bias, *in = NULL;
    EVI_TRY(folded_value(plan, w.rank, w.dim, &weight));
    EVI_TRY(folded_value(plan, 1, w.dim, &bias));
    EVI_TRY(evi_plan_calloc(plan, 4, sizeof(int32_t), &in)); /* the node may have had two inputs */
    producer->norm_weight = producer->in[1];
    producer->norm_bias = producer->n_in > 2 ? producer->in[2] : -1;
    producer->norm_epsilon = node->a.epsilon;
    for (int32_t i = 0; i < 4; i++)
        producer->norm[i] = node->in[i + 1];
    in[0] = producer->in[0];
    in[1] = weight;
    in[2] = bias;
    in[3] = producer->out[0];
    /* in and out are one block: the longer one replaces it */
    plan->table_bytes -= evi_block_bytes((uint64_t)(producer->n_in + 1) * sizeof(int32_t));
    evi_free(producer->in);
    producer->in = in;
    producer->out = in + 3;
    producer->n_in = 3;
    take_over(plan, producer, node);
    return EV_OK;
}

/* w' = w * scale / sqrt(variance + eps);  b' = (b - mean) * scale / sqrt(variance + eps) + shift */
static void fold_norm(const ev_plan *plan, const evi_flat_node *node, evi_real *w, evi_real *b)
{
    const evi_real *from = evi_plan_data(plan, node->norm_weight), *norm[4];
    const evi_real *bias = node->norm_bias >= 0 ? evi_plan_data(plan, node->norm_bias) : NULL;
    for (int32_t i = 0; i < 4; i++)
        norm[i] = evi_plan_data(plan, node->norm[i]);
    const evi_shape *s = &plan->values[node->in[1]].edge.shape;
    int64_t rows = s->dim[0], row = rows > 0 ? evi_shape_count(s) / rows : 0;
    for (int64_t i = 0; i < rows; i++) {
        double factor = (double)norm[0][i] / sqrt((double)norm[3][i] + (double)node->norm_epsilon);
        double shift = (bias != NULL ? (double)bias[i] : 0.0) - (double)norm[2][i];
        b[i] = (evi_real)(shift * factor + (double)norm[1][i]);
        for (int64_t j = 0; j < row; j++)
            w[i * row + j] = (evi_real)((double)from[i * row + j] * factor);
    }
}

ev_status evi_plan_fill_fused(ev_plan *plan)
{
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        const evi_flat_node *node = &plan->nodes[i];
        if (node->dead || node->norm[0] < 0)
            continue;
        for (int32_t j = 1; j < 3; j++) {
            evi_flat_value *v = &plan->values[node->in[j]];
            EVI_TRY(evi_calloc(plan->handle.ctx, (uint64_t)evi_shape_count(&v->edge.shape),
                               sizeof(evi_real), &v->constant));
            v->edge.value = v->constant;
        }
        fold_norm(plan, node, plan->values[node->in[1]].constant,
                  plan->values[node->in[2]].constant);
    }
    return EV_OK;
}

static void count_folded(ev_plan *plan)
{
    for (int32_t i = 0; i < plan->n_nodes; i++)
        for (int32_t j = 1; j < 3 && !plan->nodes[i].dead && plan->nodes[i].norm[0] >= 0; j++)
            plan->table_bytes += evi_block_bytes(
                (uint64_t)evi_shape_count(&plan->values[plan->nodes[i].in[j]].edge.shape) *
                sizeof(evi_real));
}

ev_status evi_plan_fuse(ev_plan *plan)
{
    int32_t *uses = NULL;
    /* each fused norm adds two values */
    uint64_t room = (uint64_t)plan->n_values + 2 * (uint64_t)plan->n_nodes;
    EVI_TRY(evi_calloc(plan->handle.ctx, room, sizeof(int32_t), &uses));
    ev_status status = EV_OK;
    drop_unwanted(plan, uses);
    bool fuse = !plan->training && !plan->no_fusion;
    bool fold = fuse && plan->thrift < EVI_THRIFT_UNPACKED; /* folded weights are a copy */
    for (int32_t i = 0; fold && i < plan->n_nodes && status == EV_OK; i++)
        if (!plan->nodes[i].dead && plan->nodes[i].n_in > 0 && plan->nodes[i].in[0] >= 0)
            status = fuse_norm(plan, &plan->nodes[i], uses);
    for (int32_t i = 0; !plan->no_fusion && i < plan->n_nodes && status == EV_OK; i++)
        if (!plan->nodes[i].dead && plan->nodes[i].n_in > 0 && plan->nodes[i].in[0] >= 0) {
            fuse_activation(plan, &plan->nodes[i], uses);
            fuse_pool(plan, &plan->nodes[i], uses);
        }
    count_folded(plan);
    evi_free(uses);
    return status;
}
