/* SPDX-License-Identifier: MIT */
/* What a classifier's last dense layer sees, what a picture looks like to its first layers, and how
 * such numbers are spread. */
#include "gan/pass.h"
#include <string.h>

static const evi_node *node_of(const ev_model *m, ev_value value)
{
    const evi_value *v = &m->values[value];
    return v->kind == EVI_VALUE_NODE ? &m->nodes[v->index] : NULL;
}

static bool is_op(const evi_node *node, const char *name)
{
    return node->op != NULL && strcmp(node->op->name, name) == 0;
}

static bool is_known(const ev_model *m, ev_value value)
{
    return m->values[value].kind == EVI_VALUE_PARAM || m->values[value].kind == EVI_VALUE_CONSTANT;
}

/* The value that a node passes on: another name for it, dropout, a bias. */
static ev_value before(const ev_model *m, const evi_node *node)
{
    if (is_op(node, "identity") || is_op(node, "dropout"))
        return node->in[0];
    if (is_op(node, "add") && node->n_in == 2 && is_known(m, node->in[1]))
        return node->in[0];
    if (is_op(node, "add") && node->n_in == 2 && is_known(m, node->in[0]))
        return node->in[1];
    return EV_NO_VALUE;
}

ev_status evi_features_find(const ev_model *classifier, const char *function, ev_value *out,
                            int32_t *n_features_out)
{
    int32_t output = 0, n_classes = 0;
    EVI_TRY(evi_pass_logits(classifier, function, &output, &n_classes));
    ev_value v = classifier->outputs[output].value;
    for (;;) {
        const evi_node *node = node_of(classifier, v);
        bool dense = node != NULL && (is_op(node, "dense") || is_op(node, "matmul")) &&
                     node->n_in >= 2 && is_known(classifier, node->in[1]) && !node->a.trans_a;
        const evi_shape *s = dense ? &evi_model_edge(classifier, node->in[0])->shape : NULL;
        if (dense && s->rank == 2 && s->dim[1] >= 1) {
            *out = node->in[0];
            *n_features_out = (int32_t)s->dim[1];
            return EV_OK;
        }
        v = node != NULL && !dense ? before(classifier, node) : EV_NO_VALUE;
        if (v == EV_NO_VALUE)
            return evi_fail(EV_ERR_SHAPE,
                            "%s: output '%s' of the classifier does not come from a dense layer "
                            "of its own (it comes from '%s')",
                            function, classifier->outputs[output].name,
                            node == NULL ? "an input" : node->name);
    }
}

/* Behind the first convolution, its norm, activation and pool: nothing of them has to be kept apart
 * for it. */
static ev_value early_maps(const ev_model *m)
{
    int32_t n = 0;
    for (int32_t i = 0; i < m->n_nodes; i++)
        if (is_op(&m->nodes[i], "conv2d") && n++ == 1)
            return m->nodes[i].in[0];
    return m->inputs[0].value;
}

ev_status evi_features_draw_statistics(ev_model *classifier, const char *function, ev_value *out,
                                       int32_t *n_features_out)
{
    ev_value maps = early_maps(classifier), square = EV_NO_VALUE, parts[2];
    const evi_shape *s = &evi_model_edge(classifier, maps)->shape;
    if (s->rank != 4 || s->dim[1] < 1)
        return evi_fail(EV_ERR_SHAPE, "%s: the classifier takes no pictures [N,C,H,W]", function);
    *n_features_out = (int32_t)(2 * s->dim[1]);
    EVI_TRY(ev_model_mul(classifier, maps, maps, &square));
    EVI_TRY(ev_model_global_average_pool(classifier, maps, &parts[0]));
    EVI_TRY(ev_model_global_average_pool(classifier, square, &parts[1]));
    EVI_TRY(ev_model_concat(classifier, parts, 2, 1, out));
    return ev_model_flatten(classifier, *out, 1, out);
}

/* ---- moments --------------------------------------------------------------------------------- */

ev_status evi_moments_start(ev_context *ctx, int32_t n_features, evi_moments *out)
{
    *out = (evi_moments){.n_features = n_features};
    EVI_TRY(evi_calloc(ctx, (uint64_t)n_features, 2 * sizeof(double), &out->mean));
    out->square = out->mean + n_features;
    return EV_OK;
}

void evi_moments_end(evi_moments *m)
{
    evi_free(m->mean);
    *m = (evi_moments){0};
}

void evi_moments_add(evi_moments *m, const evi_real *features, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        m->n++;
        for (int32_t f = 0; f < m->n_features; f++) {
            double x = (double)features[i * m->n_features + f], away = x - m->mean[f];
            m->mean[f] += away / (double)m->n;
            m->square[f] += away * (x - m->mean[f]);
        }
    }
}

double evi_moments_variance(const evi_moments *m, int32_t feature)
{
    return m->n > 1 ? m->square[feature] / (double)(m->n - 1) : 0;
}
