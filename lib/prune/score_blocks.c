/* SPDX-License-Identifier: MIT */
/* What blocks matter: the loss without each of them, how much it changes what goes through it, or
 * the sum of its filters' Taylor scores. */
#include "prune/plan.h"
#include "prune/score_net.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const char this_call[] = "ev_pruner_score_blocks";

/* ---- ablation -------------------------------------------------------------------------------- */

static ev_status ablate(const ev_pruner *p, ev_prune_plan *plan, int32_t block, uint64_t seed,
                        const evi_batches *batches, double *loss)
{
    ev_model *without = NULL;
    plan->keep_block[block] = 0;
    ev_status status = evi_prune_apply(p, plan->keep, plan->keep_block, seed, &without);
    plan->keep_block[block] = 1;
    if (status == EV_OK)
        status = evi_batches_evaluate(p->handle.ctx, without, batches, loss, NULL);
    ev_model_destroy(without);
    return status;
}

/* Those that have no score yet (NaN). */
static ev_status by_ablation(ev_pruner *p, const ev_score_options *o, double *score)
{
    evi_batches batches;
    ev_prune_plan *plan = NULL;
    double with = 0;
    EVI_TRY(evi_batches_open(p, o, true, this_call, &batches));
    ev_status status = evi_batches_evaluate(p->handle.ctx, p->model, &batches, &with, NULL);
    if (status == EV_OK && !isfinite(with))
        status = evi_fail(EV_ERR_DIVERGED, "%s: the loss of the model is %g", this_call, with);
    if (status == EV_OK)
        status = evi_plan_keep_all(p, &plan);
    for (int32_t i = 0; i < p->blocks.n && status == EV_OK; i++) {
        double without = 0;
        if (!isnan(score[i]))
            continue;
        status = ablate(p, plan, i, o->seed, &batches, &without);
        score[i] = isfinite(without) ? without - with : (double)FLT_MAX;
    }
    ev_prune_plan_destroy(plan);
    evi_batches_close(&batches);
    return status;
}

/* ---- similarity ------------------------------------------------------------------------------ */

#define COPIES ((uint64_t)64 << 20)

typedef struct through {     /* what goes in and comes out of a block */
    const evi_node *from[2]; /* in, out; in may be NULL: an input of the model */
    int32_t value[2];
    int32_t input; /* number of that input */
    int32_t block;
    evi_real *copy; /* of what went in */
    double sum, n;  /* of cosines */
} through;

typedef struct comparing {
    const ev_pruner *p;
    int32_t n;
    through *pairs;
    double *products; /* [3][batch]: in * out, in^2, out^2 */
    int32_t batch_size;
} comparing;

/* Behind layers that hand their input on when a model is used. */
static int32_t made_by(const ev_model *m, int32_t value)
{
    while (m->values[value].kind == EVI_VALUE_NODE) {
        const evi_node *node = &m->nodes[m->values[value].index];
        if (node->op == NULL || !(node->op->traits & (EVI_OP_TRAIN_ONLY_EFFECT | EVI_OP_VIEW)) ||
            node->out[0] != value)
            break;
        value = node->in[0];
    }
    return value;
}

static bool find_through(const ev_pruner *p, int32_t number, through *t)
{
    const evi_block *b = &p->blocks.blocks[number];
    const ev_model *m = p->groups.models[b->model];
    const int32_t end[2] = {b->in, b->out};
    *t = (through){.block = number};
    if (!evi_shape_equal(&m->values[b->in].edge.shape, &m->values[b->out].edge.shape) ||
        m->values[b->in].edge.type != EV_TYPE_FLOAT32)
        return false;
    for (int32_t i = 0; i < 2; i++) {
        t->value[i] = made_by(m, end[i]);
        const evi_value *v = &m->values[t->value[i]];
        if (v->kind == EVI_VALUE_NODE && m->nodes[v->index].op != NULL)
            t->from[i] = &m->nodes[v->index];
        else if (i == 1 || v->kind != EVI_VALUE_INPUT || m != p->model)
            return false;
        else
            t->input = v->index;
    }
    return true;
}

static const evi_view *output_of(const evi_step *s, const evi_node *node, int32_t value)
{
    for (int32_t i = 0; i < s->n_out; i++)
        if (node->out[i] == value)
            return s->out[i];
    return s->out[0];
}

static void compare(const comparing *c, const evi_step *s, through *t, const evi_view *out,
                    const evi_real *in)
{
    double *dot = c->products, *ins = dot + c->batch_size, *outs = ins + c->batch_size;
    int64_t n = out->shape.dim[0];
    evi_axis_sums(s->crew, s->k, EVI_SUM_PRODUCTS, &out->shape, 0, out->data, in, dot);
    evi_axis_sums(s->crew, s->k, EVI_SUM_SQUARES, &out->shape, 0, in, NULL, ins);
    evi_axis_sums(s->crew, s->k, EVI_SUM_SQUARES, &out->shape, 0, out->data, NULL, outs);
    for (int64_t i = 0; i < n; i++) {
        double both = ins[i] * outs[i];
        t->sum += both > 0 ? dot[i] / sqrt(both) : (double)(ins[i] == outs[i]);
    }
    t->n += (double)n;
}

static void watch(void *user, const ev_session *session, int32_t step)
{
    comparing *c = user;
    const evi_step *s = &session->steps.step[step];
    const evi_node *from = session->plan->nodes[session->steps.node[step]].from;
    for (int32_t i = 0; i < c->n && from != NULL; i++) {
        through *t = &c->pairs[i];
        if (t->from[0] == from) {
            const evi_view *in = output_of(s, from, t->value[0]);
            memcpy(t->copy, in->data, (size_t)evi_shape_count(&in->shape) * sizeof(evi_real));
        }
        if (t->from[1] == from) {
            const evi_view *in =
                t->from[0] != NULL ? NULL : &session->steps.view[session->plan->inputs[t->input]];
            compare(c, s, t, output_of(s, from, t->value[1]), in == NULL ? t->copy : in->data);
        }
    }
}

static uint64_t image_bytes(const ev_pruner *p, const through *t)
{
    const ev_model *m = p->groups.models[p->blocks.blocks[t->block].model];
    return (uint64_t)evi_shape_count(&m->values[t->value[0]].edge.shape) * sizeof(evi_real);
}

/* Copies of what goes in, for as many pictures at a time as COPIES bytes take. */
static ev_status prepare(comparing *c, int32_t batch_size)
{
    const ev_pruner *p = c->p;
    uint64_t bytes = 1;
    EVI_TRY(evi_calloc(p->handle.ctx, (uint64_t)p->blocks.n, sizeof(through), &c->pairs));
    for (int32_t i = 0; i < p->blocks.n; i++)
        if (find_through(p, i, &c->pairs[c->n])) {
            bytes += c->pairs[c->n].from[0] != NULL ? image_bytes(p, &c->pairs[c->n]) : 0;
            c->n++;
        }
    c->batch_size = (int32_t)EVI_MAX(1, EVI_MIN((uint64_t)batch_size, COPIES / bytes));
    uint64_t batch = (uint64_t)c->batch_size;
    EVI_TRY(evi_calloc(p->handle.ctx, 3 * batch, sizeof(double), &c->products));
    for (int32_t i = 0; i < c->n; i++) {
        through *t = &c->pairs[i];
        if (t->from[0] != NULL)
            EVI_TRY(evi_malloc(p->handle.ctx, batch, image_bytes(p, t), &t->copy));
    }
    return EV_OK;
}

static ev_status by_similarity(ev_pruner *p, const ev_score_options *o, double *score)
{
    comparing c = {.p = p};
    ev_score_options few = *o;
    ev_status status = prepare(&c, o->batch_size);
    few.batch_size = c.batch_size;
    if (status == EV_OK && c.n > 0)
        status = evi_watch_run(p, &few, this_call, watch, &c);
    int32_t n_known = 0;
    for (int32_t i = 0; i < c.n; i++) {
        through *t = &c.pairs[i];
        evi_free(t->copy);
        if (status != EV_OK || t->n == 0)
            continue;
        double other = 1 - t->sum / t->n;
        if (!isfinite(other))
            status = evi_fail(EV_ERR_DIVERGED, "%s: block %d gives numbers that are not finite",
                              this_call, (int)t->block);
        score[t->block] = EVI_MAX(other, 0); /* digits of rounding */
        n_known++;
    }
    evi_free(c.pairs);
    evi_free(c.products);
    return status == EV_OK && n_known < p->blocks.n ? by_ablation(p, o, score) : status;
}

/* ---- Taylor ---------------------------------------------------------------------------------- */

static bool has_node(const evi_blocks *b, int32_t block, int32_t model, int32_t node)
{
    const evi_block *e = &b->blocks[block];
    for (int32_t i = 0; i < e->n_nodes && e->model == model; i++)
        if (b->nodes[e->first_node + i] == node)
            return true;
    return false;
}

static ev_status by_taylor(ev_pruner *p, const ev_score_options *o, double *score)
{
    evi_layers layers;
    EVI_TRY(evi_layers_new(p, true, &layers));
    ev_status status = evi_score_taylor(p, o, false, this_call, &layers);
    for (int32_t b = 0; b < p->blocks.n && status == EV_OK; b++) {
        score[b] = 0;
        for (int32_t i = 0; i < layers.n; i++) {
            const evi_layer *layer = &layers.layers[i];
            const evi_spot *s = &p->groups.spots[layer->spot];
            if (!has_node(&p->blocks, b, s->model, s->node))
                continue;
            for (int32_t c = 0; c < p->groups.groups[layer->group].n; c++)
                score[b] += layer->score[c];
        }
    }
    evi_layers_free(&layers);
    return status;
}

/* ---- the call -------------------------------------------------------------------------------- */

static ev_status score_by(ev_pruner *p, int32_t method, const ev_score_options *o, double *score)
{
    if (method == EV_BLOCK_SCORE_TAYLOR)
        return by_taylor(p, o, score);
    return method == EV_BLOCK_SCORE_SIMILARITY ? by_similarity(p, o, score)
                                               : by_ablation(p, o, score);
}

ev_status ev_pruner_score_blocks(ev_pruner *pruner, int32_t method, const ev_score_options *opt)
{
    ev_score_options o;
    double *score = NULL;
    EVI_CHECK_HANDLE(pruner, EVI_MAGIC_PRUNER);
    if (method < 0 || method > EV_BLOCK_SCORE_TAYLOR)
        return evi_fail(EV_ERR_ARGUMENT, "%s: method %d is not in 0..%d", __func__, (int)method,
                        EV_BLOCK_SCORE_TAYLOR);
    EVI_TRY(evi_score_options_read(opt, __func__, &o));
    if (o.data == NULL)
        return evi_fail(EV_ERR_ARGUMENT, "%s: blocks are scored by pictures: data is NULL",
                        __func__);
    if (pruner->blocks.n == 0)
        return EV_OK;
    EVI_TRY(evi_malloc(pruner->handle.ctx, (uint64_t)pruner->blocks.n, sizeof(double), &score));
    for (int32_t i = 0; i < pruner->blocks.n; i++)
        score[i] = (double)NAN;
    ev_status status = score_by(pruner, method, &o, score);
    if (status != EV_OK) {
        evi_free(score);
        return status;
    }
    evi_free(pruner->block_scores);
    pruner->block_scores = score;
    return EV_OK;
}
