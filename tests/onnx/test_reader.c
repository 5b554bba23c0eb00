/* SPDX-License-Identifier: MIT */
/* What becomes of others' files: which tensors are weights, open sizes, old forms, training. */
#include "drawn.h"
#include "graph/plan.h"
#include "onnx/onnx.h"
#include "support.h"

#include <math.h>

static ev_model *load_data(ev_context *ctx, const char *name)
{
    char path[2 * T_PATH];
    const char *folder = t_testdata("models");
    ev_model *m = NULL;
    if (folder == NULL)
        return NULL; /* models.c says that it was skipped */
    snprintf(path, sizeof(path), "%s/%s/model.onnx", folder, name);
    t_ok(ev_model_load(ctx, path, NULL, &m));
    return m;
}

/* Weights that were reshaped before use, and biases that were added, are trainable too. */
START_TEST(weights_of_others)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = load_data(ctx, "mnist_8");
    if (m != NULL)
        ck_assert_int_eq(ev_model_parameter_count(m), 8 * 25 + 8 + 16 * 8 * 25 + 16 + 2560 + 10);
    ev_model_destroy(m);
    m = load_data(ctx, "super_resolution_10");
    if (m != NULL)
        ck_assert_int_eq(ev_model_parameter_count(m),
                         64 * 25 + 64 + 64 * 64 * 9 + 64 + 64 * 32 * 9 + 32 + 32 * 9 * 9 + 9);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

static double loss_of(ev_session *session, const float *picture, const int32_t *label,
                      uint64_t step)
{
    const void *inputs[2] = {picture, label};
    t_ok(evi_session_forward(session, NULL, inputs, 2, 1, step));
    return evi_session_scalar(session, 1);
}

/* A model trained elsewhere is trained on: the loss is drawn on top of it. */
START_TEST(others_can_be_trained)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = load_data(ctx, "mnist_8");
    if (m == NULL) {
        ev_context_destroy(ctx);
        return;
    }
    ev_value label, loss;
    const int64_t dims[1] = {1};
    t_ok(ev_model_input(m, "label", EV_TYPE_INT32, 1, dims, &label));
    t_ok(ev_model_cross_entropy(m, m->outputs[0].value, label, NULL, &loss));
    t_ok(ev_model_loss(m, "loss", loss, 1));
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    t_ok(evi_plan_create_training(ctx, m, NULL, &plan));
    evi_real *grads = NULL;
    t_ok(evi_calloc(ctx, (uint64_t)m->store->n_trainable, sizeof(evi_real), &grads));
    t_ok(evi_session_create_training(plan, &grads, &session));
    static float picture[28 * 28];
    t_fill(picture, 28 * 28, 3);
    const int32_t target[1] = {7};
    double before = loss_of(session, picture, target, 0), norm = 0;
    evi_session_backward(session, NULL, NULL, false);
    for (int64_t i = 0; i < m->store->n_trainable; i++)
        norm += (double)grads[i] * (double)grads[i];
    ck_assert(norm > 0 && before > 0);
    for (int64_t i = 0; i < m->store->n_trainable; i++) /* a step that lowers the loss by ~10 % */
        m->store->weights[i] -= (evi_real)(0.1 * before / norm) * grads[i];
    double after = loss_of(session, picture, target, 1);
    ck_assert_msg(after < before, "%g, then %g", before, after);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    evi_free(grads);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- files made here ------------------------------------------------------------------------- */

static void put_info(evi_text *t, uint32_t field, const char *name, int32_t rank,
                     const int64_t *dims, int32_t param_mask)
{
    uint64_t a = evi_put_begin(t, field);
    evi_put_string(t, INFO_NAME, name);
    uint64_t b = evi_put_begin(t, INFO_TYPE), c = evi_put_begin(t, TYPE_TENSOR);
    evi_put_int(t, TENSOR_TYPE_ELEM, ONNX_FLOAT);
    uint64_t d = evi_put_begin(t, TENSOR_TYPE_SHAPE);
    for (int32_t i = 0; i < rank; i++) {
        uint64_t e = evi_put_begin(t, SHAPE_DIM);
        if (param_mask >> i & 1)
            evi_put_string(t, DIM_PARAM, "any");
        else
            evi_put_int(t, DIM_VALUE, dims[i]);
        evi_put_end(t, e);
    }
    evi_put_end(t, d);
    evi_put_end(t, c);
    evi_put_end(t, b);
    evi_put_end(t, a);
}

/* y = Conv(x [?,3,h,w], w [2,3,3,3]); w as float16 in typed data, and listed as an input too. */
static ev_status load_conv(ev_context *ctx, const int64_t *dims, int32_t open, ev_model **out)
{
    evi_text t;
    const int64_t w_dims[4] = {2, 3, 3, 3};
    evi_text_start(&t, ctx);
    evi_put_int(&t, MODEL_IR, 3);
    uint64_t mark = evi_put_begin(&t, MODEL_OPSET);
    evi_put_int(&t, OPSET_VERSION, 6);
    evi_put_end(&t, mark);
    uint64_t graph = evi_put_begin(&t, MODEL_GRAPH);
    put_info(&t, GRAPH_INPUT, "x", 4, dims, open);
    put_info(&t, GRAPH_INPUT, "w", 4, w_dims, 0);
    uint64_t tensor = evi_put_begin(&t, GRAPH_INITIALIZER);
    for (int32_t i = 0; i < 4; i++)
        evi_put_int(&t, TENSOR_DIMS, w_dims[i]);
    evi_put_int(&t, TENSOR_TYPE, ONNX_FLOAT16);
    for (int32_t i = 0; i < 54; i++)
        evi_put_int(&t, TENSOR_INT32, i % 2 == 0 ? 0x3c00 : 0xb800); /* 1, -0.5 */
    evi_put_string(&t, TENSOR_NAME, "w");
    evi_put_end(&t, tensor);
    uint64_t node = evi_put_begin(&t, GRAPH_NODE);
    evi_put_string(&t, NODE_INPUT, "x");
    evi_put_string(&t, NODE_INPUT, "w");
    evi_put_string(&t, NODE_OUTPUT, "y");
    evi_put_string(&t, NODE_OP, "Conv");
    evi_put_end(&t, node);
    put_info(&t, GRAPH_OUTPUT, "y", 4, dims, 15);
    evi_put_end(&t, graph);
    ck_assert_int_eq(t.status, EV_OK);
    ev_status status = ev_model_load_memory(ctx, t.data, t.length, NULL, out);
    evi_text_end(&t);
    return status;
}

START_TEST(open_sizes)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = NULL, *again = NULL;
    int64_t dims[EV_MAX_RANK];
    const int64_t batch_zero[4] = {0, 3, 8, 8}, fixed[4] = {1, 3, 8, 8};
    t_ok(load_conv(ctx, fixed, 0, &m));
    ck_assert_int_eq(ev_model_n_inputs(m), 1); /* the weights are none */
    ck_assert_int_eq(ev_model_input_dims(m, 0, dims), 4);
    ck_assert_int_eq(dims[0], 1);
    ev_tensor *w = NULL;
    t_ok(ev_model_weight(m, "w", &w));
    ck_assert(((evi_real *)ev_tensor_data(w))[0] == 1);
    ck_assert(((evi_real *)ev_tensor_data(w))[53] == (evi_real)-0.5);
    ev_tensor_destroy(w);
    ev_model_destroy(m);
    t_ok(load_conv(ctx, batch_zero, 0, &m));
    ev_model_input_dims(m, 0, dims);
    ck_assert_int_eq(dims[0], -1);
    ev_model_destroy(m);
    t_ok(load_conv(ctx, fixed, 1 | 4 | 8, &m)); /* batch, height and width are open */
    ev_model_input_dims(m, 0, dims);
    ck_assert(dims[0] == -1 && dims[1] == 3 && dims[2] == -1 && dims[3] == -1);
    void *bytes = NULL;
    uint64_t n = 0;
    t_ok(ev_model_save_memory(m, &bytes, &n)); /* they stay open, and the drawn size is kept */
    t_ok(ev_model_load_memory(ctx, bytes, n, NULL, &again));
    ev_model_input_dims(again, 0, dims);
    ck_assert(dims[0] == -1 && dims[1] == 3 && dims[2] == -1 && dims[3] == -1);
    ck_assert(evi_shape_equal(&m->values[m->inputs[0].value].edge.shape,
                              &again->values[again->inputs[0].value].edge.shape));
    ev_bytes_destroy(bytes);
    ev_model_destroy(m);
    ev_model_destroy(again);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(half_floats)
{
    ck_assert(evi_half_to_float(0x3c00) == 1.0f);
    ck_assert(evi_half_to_float(0xc000) == -2.0f);
    ck_assert(evi_half_to_float(0x0001) == 0x1p-24f); /* the smallest */
    ck_assert(evi_half_to_float(0x03ff) == 1023 * 0x1p-24f);
    ck_assert(evi_half_to_float(0x0400) == 0x1p-14f);
    ck_assert(evi_half_to_float(0x7bff) == 65504.0f);
    ck_assert(isinf(evi_half_to_float(0x7c00)) && evi_half_to_float(0xfc00) < 0);
    ck_assert(isnan(evi_half_to_float(0x7e00)));
    ck_assert(evi_half_to_float(0x8000) == 0 && signbit(evi_half_to_float(0x8000)));
}
END_TEST

START_TEST(bound_inputs)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = NULL, *none = NULL;
    void *bytes = NULL;
    uint64_t n = 0;
    drawn_run run;
    t_ok(drawn_model(ctx, drawn_find("conv"), &m));
    t_ok(ev_model_save_memory(m, &bytes, &n));
    t_ok(drawn_feed(ctx, m, 2, &run));
    const char *names[1] = {"image"};
    const ev_tensor *values[1] = {run.inputs[0]};
    ev_load_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.n_bound = 1;
    opt.bound_names = names;
    t_status(ev_model_load_memory(ctx, bytes, n, &opt, &none), EV_ERR_ARGUMENT);
    opt.bound_values = values;
    ev_model *bound = NULL;
    t_ok(ev_model_load_memory(ctx, bytes, n, &opt, &bound));
    ck_assert_int_eq(ev_model_n_inputs(bound), 0);
    ev_model_destroy(bound);
    const int64_t wrong[2] = {3, 3};
    ev_tensor *other = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 2, wrong, &other));
    values[0] = other;
    t_status(ev_model_load_memory(ctx, bytes, n, &opt, &none), EV_ERR_SHAPE);
    ev_tensor_destroy(other);
    drawn_run_end(&run);
    ev_bytes_destroy(bytes);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("onnx reader");
    TCase *c = tcase_create("all");
    tcase_add_test(c, weights_of_others);
    tcase_add_test(c, others_can_be_trained);
    tcase_add_test(c, open_sizes);
    tcase_add_test(c, half_floats);
    tcase_add_test(c, bound_inputs);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(suite());
}
