/* SPDX-License-Identifier: MIT */
/* What one layer costs, as drawn. */
#include "prune/prune.h"
#include <string.h>

double evi_node_macs(const ev_model *model, const evi_node *node)
{
    static const char *const counted[] = {"conv2d",         "conv_transpose2d", "dense",
                                          "matmul",         "conv_integer",     "qlinear_conv",
                                          "matmul_integer", "qlinear_matmul"};
    evi_edge in[16] = {{0}}, out = model->values[node->out[0]].edge;
    bool counts = false;
    if (node->callee != NULL)
        return (double)ev_model_macs(node->callee);
    for (int32_t i = 0; i < EVI_COUNT(counted); i++)
        counts = counts || strcmp(node->op->name, counted[i]) == 0;
    if (!counts || node->op->flops == NULL || node->n_in > EVI_COUNT(in))
        return 0;
    for (int32_t i = 0; i < node->n_in; i++)
        if (node->in[i] != EV_NO_VALUE)
            in[i] = model->values[node->in[i]].edge;
    in[2].type = 0; /* multiply-adds without the bias */
    return node->op->flops(&node->a, in, EVI_MIN(node->n_in, 2), &out, 1) / 2;
}

int64_t evi_node_parameters(const ev_model *model, const evi_node *node)
{
    if (node->callee != NULL)
        return ev_model_parameter_count(node->callee);
    int64_t n = 0;
    for (int32_t i = 0; i < node->n_in; i++) {
        int32_t v = node->in[i];
        if (v == EV_NO_VALUE || model->values[v].kind != EVI_VALUE_PARAM)
            continue;
        const evi_param *param = &model->store->params[model->values[v].index];
        n += param->trainable ? param->count : 0;
    }
    return n;
}
