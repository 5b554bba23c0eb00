/* SPDX-License-Identifier: MIT */
#include "graph_tests.h"

ev_tensor *some_tensor(ev_context *ctx, int32_t rank, const int64_t *dims, uint64_t seed)
{
    ev_tensor *t = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, rank, dims, &t));
    t_fill(ev_tensor_data(t), (size_t)ev_tensor_count(t), seed);
    return t;
}

static ev_value residual(ev_model *m, ev_value x)
{
    ev_value y = EV_NO_VALUE;
    t_ok(ev_model_conv2d(m, x, 8, 3, NULL, &y));
    t_ok(ev_model_batch_norm(m, y, NULL, &y));
    t_ok(ev_model_activation(m, y, EV_ACTIVATION_RELU, 0, 0, &y));
    t_ok(ev_model_conv2d(m, y, 8, 3, NULL, &y));
    t_ok(ev_model_batch_norm(m, y, NULL, &y));
    t_ok(ev_model_add(m, x, y, &y));
    t_ok(ev_model_activation(m, y, EV_ACTIVATION_LEAKY_RELU, 0.2f, 0, &y));
    return y;
}

/* Statistics as training would have left them, so that folding a norm changes numbers. */
static void shake_weights(ev_model *m)
{
    for (int32_t i = 0; i < ev_model_n_weights(m); i++) {
        const char *name = ev_model_weight_name(m, i);
        ev_tensor *w = NULL;
        t_ok(ev_model_weight(m, name, &w));
        float *x = ev_tensor_data(w);
        bool positive = strstr(name, "variance") != NULL || strstr(name, "scale") != NULL;
        uint64_t state = 77 + (uint64_t)i;
        for (int64_t j = 0; j < ev_tensor_count(w); j++)
            x[j] += positive ? 0.5f + 0.4f * t_random_float(&state) : 0.1f * t_random_float(&state);
        ev_tensor_destroy(w);
    }
    t_ok(ev_model_touch(m));
}

ev_model *mixed_net(ev_context *ctx)
{
    const int64_t dims[4] = {-1, 3, 20, 18};
    ev_model *m = NULL;
    ev_value x, y, z, parts[2];
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_conv2d(m, x, 8, 3, NULL, &y));
    t_ok(ev_model_activation(m, y, EV_ACTIVATION_RELU, 0, 0, &y));
    y = residual(m, y);
    t_ok(ev_model_max_pool2d(m, y, 2, NULL, &y));
    t_ok(ev_model_conv2d(m, y, 4, 1, NULL, &z));
    t_ok(ev_model_instance_norm(m, z, NULL, &z));
    parts[0] = y;
    parts[1] = z;
    t_ok(ev_model_concat(m, parts, 2, 1, &y));
    t_ok(ev_model_average_pool2d(m, y, 2, NULL, &y));
    t_ok(ev_model_flatten(m, y, 1, &y));
    t_ok(ev_model_dropout(m, y, 0.5f, &y));
    t_ok(ev_model_dense(m, y, 10, NULL, &y));
    t_ok(ev_model_activation(m, y, EV_ACTIVATION_TANH, 0, 0, &y));
    t_ok(ev_model_dense(m, y, 4, NULL, &y));
    t_ok(ev_model_output(m, "logits", y));
    t_ok(ev_model_init(m, 3));
    shake_weights(m);
    return m;
}

int main(void)
{
    Suite *s = suite_create("graph");
    suite_add_tcase(s, drawing_case());
    suite_add_tcase(s, running_case());
    suite_add_tcase(s, memory_case());
    return t_run(s);
}
