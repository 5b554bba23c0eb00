/* SPDX-License-Identifier: MIT */
#include "groups_net.h"

ev_context *ctx;
ev_model *net;
evi_groups found;

void start(void)
{
    ctx = t_context(NULL, 1);
    t_ok(ev_model_create(ctx, &net));
}

void end(void)
{
    evi_groups_free(&found);
    ev_model_destroy(net);
    ev_context_destroy(ctx);
}

/* ---- drawing --------------------------------------------------------------------------------- */

ev_value input(int64_t c, int64_t side)
{
    ev_value v = EV_NO_VALUE;
    t_ok(ev_model_input(net, "x", EV_TYPE_FLOAT32, 4, (const int64_t[4]){-1, c, side, side}, &v));
    return v;
}

ev_value conv_groups(ev_value x, int32_t filters, const char *name, int32_t groups)
{
    ev_conv2d_options o;
    EV_OPTIONS_INIT(&o);
    o.name = name;
    o.groups = groups;
    t_ok(ev_model_conv2d(net, x, filters, 3, &o, &x));
    return x;
}

ev_value conv(ev_value x, int32_t filters, const char *name)
{
    return conv_groups(x, filters, name, 1);
}

ev_value dense(ev_value x, int32_t units, const char *name)
{
    ev_dense_options o;
    EV_OPTIONS_INIT(&o);
    o.name = name;
    t_ok(ev_model_dense(net, x, units, &o, &x));
    return x;
}

ev_value relu(ev_value x)
{
    t_ok(ev_model_activation(net, x, EV_ACTIVATION_RELU, 0, 0, &x));
    return x;
}

ev_value own_op(const char *op, const evi_attrs *a, ev_value x)
{
    int32_t in = x, out = EV_NO_VALUE;
    t_ok(evi_model_add(net, evi_op_find(op), a, NULL, &in, 1, &out, 1));
    return out;
}

void find(ev_value out)
{
    t_ok(ev_model_output(net, "y", out));
    t_ok(evi_groups_find(ctx, net, &found));
}

/* ---- looking --------------------------------------------------------------------------------- */

const char *layer_of(const evi_group *g)
{
    return found.models[g->layer_model]->nodes[g->layer_node].name;
}

/* The group that this layer is the first of; `skip` of its groups come before. */
const evi_group *group_after(const char *layer, int32_t skip)
{
    for (int32_t i = 0; i < found.n; i++)
        if (strcmp(layer_of(&found.groups[i]), layer) == 0 && skip-- == 0)
            return &found.groups[i];
    ck_abort_msg("no group of %s", layer);
    return NULL;
}

const evi_group *group(const char *layer)
{
    return group_after(layer, 0);
}

void is_free(const evi_group *g, int32_t n)
{
    ck_assert_int_eq(g->n, n);
    ck_assert_msg(g->blocked == NULL, "%s: %s", layer_of(g), g->blocked);
}

void is_blocked(const evi_group *g, const char *why, const char *layer)
{
    ck_assert_msg(g->blocked != NULL && strstr(g->blocked, why) != NULL, "%s: %s", layer_of(g),
                  g->blocked != NULL ? g->blocked : "free");
    if (layer == NULL)
        ck_assert_int_eq(g->blocked_node, -1);
    else
        ck_assert_str_eq(found.models[g->blocked_model]->nodes[g->blocked_node].name, layer);
}

bool has(const evi_group *g, const char *weight, int32_t axis, int32_t role, int64_t offset,
         int64_t stride, int64_t block)
{
    for (int32_t i = 0; i < g->n_spots; i++) {
        const evi_spot *s = &found.spots[g->first_spot + i];
        const ev_model *m = found.models[s->model];
        const evi_value *v = &m->values[s->value];
        if (v->kind == EVI_VALUE_PARAM && strcmp(m->store->params[v->index].name, weight) == 0 &&
            s->axis == axis && s->role == role && s->offset == offset && s->stride == stride &&
            s->block == block)
            return true;
    }
    return false;
}

int32_t n_weights(const evi_group *g)
{
    int32_t n = 0;
    for (int32_t i = 0; i < g->n_spots; i++)
        n += found.spots[g->first_spot + i].role != EVI_SPOT_VALUE;
    return n;
}
