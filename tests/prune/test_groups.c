/* SPDX-License-Identifier: MIT */
/* Which channels live and die together: a net drawn by hand for each tie, and nets of the zoo. */
#include "groups_net.h"
#include "pruner_case.h"

/* ---- ties ------------------------------------------------------------------------------------ */

START_TEST(sequence)
{
    ev_value x = conv(input(3, 8), 8, "first");
    ev_norm_options o;
    EV_OPTIONS_INIT(&o);
    o.name = "norm";
    t_ok(ev_model_batch_norm(net, x, &o, &x));
    t_ok(ev_model_max_pool2d(net, relu(x), 2, NULL, &x));
    x = conv(x, 6, "second");
    t_ok(ev_model_dropout(net, x, 0.5f, &x));
    t_ok(ev_model_flatten(net, x, 1, &x));
    find(dense(x, 5, "last"));
    ck_assert_int_eq(found.n, 3);
    is_free(group("first"), 8);
    ck_assert_int_eq(n_weights(group("first")), 7);
    HAS(group("first"), "first.weight", 0, OUT, 0, 1, 1);
    HAS(group("first"), "first.bias", 0, VECTOR, 0, 1, 1);
    HAS(group("first"), "norm.scale", 0, VECTOR, 0, 1, 1);
    HAS(group("first"), "norm.variance", 0, VECTOR, 0, 1, 1);
    HAS(group("first"), "second.weight", 1, IN, 0, 1, 1);
    is_free(group("second"), 6);
    HAS(group("second"), "last.weight", 1, IN, 0, 16, 16);
    is_blocked(group("last"), "an output of the model", NULL);
    HAS(group("last"), "last.weight", 0, OUT, 0, 1, 1);
}
END_TEST

START_TEST(residual)
{
    ev_value x = relu(conv(input(3, 8), 8, "first")), y = conv(relu(conv(x, 4, "in")), 8, "out");
    t_ok(ev_model_add(net, x, y, &y));
    find(conv(y, 2, "last"));
    ck_assert_int_eq(found.n, 3);
    is_free(group("first"), 8);
    HAS(group("first"), "first.weight", 0, OUT, 0, 1, 1);
    HAS(group("first"), "out.weight", 0, OUT, 0, 1, 1);
    HAS(group("first"), "in.weight", 1, IN, 0, 1, 1);
    HAS(group("first"), "last.weight", 1, IN, 0, 1, 1);
    ck_assert_int_eq(n_weights(group("first")), 6);
    is_free(group("in"), 4);
}
END_TEST

START_TEST(sum_with_the_input)
{
    ev_value x = input(3, 8), y = conv(conv(x, 8, "a"), 3, "b");
    t_ok(ev_model_add(net, x, y, &y));
    find(conv(y, 2, "last"));
    is_free(group("a"), 8);
    is_blocked(group("b"), "an input of the model", NULL);
}
END_TEST

START_TEST(joined)
{
    ev_value x = input(3, 8), two[3] = {conv(x, 8, "a"), conv(x, 5, "b"), x}, y;
    t_ok(ev_model_concat(net, two, 3, 1, &y));
    find(conv(y, 2, "last"));
    ck_assert_int_eq(found.n, 3);
    is_free(group("a"), 8);
    HAS(group("a"), "last.weight", 1, IN, 0, 1, 1);
    is_free(group("b"), 5);
    HAS(group("b"), "last.weight", 1, IN, 8, 1, 1);
}
END_TEST

START_TEST(joined_with_itself)
{
    ev_value x = conv(input(3, 8), 4, "a"), two[2] = {x, x}, y;
    t_ok(ev_model_concat(net, two, 2, 1, &y));
    t_ok(ev_model_flatten(net, y, 1, &y));
    find(dense(y, 2, "last"));
    is_free(group("a"), 4);
    HAS(group("a"), "last.weight", 1, IN, 0, 64, 64);
    HAS(group("a"), "last.weight", 1, IN, 256, 64, 64);
}
END_TEST

START_TEST(split)
{
    ev_value x = conv(input(3, 8), 12, "a"), part[3];
    t_ok(ev_model_split(net, x, 1, 3, (const int64_t[3]){2, 5, 5}, part));
    t_ok(ev_model_add(net, part[1], part[2], &x));
    ev_value two[2] = {conv(part[0], 2, "b"), conv(x, 2, "c")};
    t_ok(ev_model_concat(net, two, 2, 1, &x));
    find(x);
    ck_assert_int_eq(found.n, 4);
    is_free(group_after("a", 0), 2);
    HAS(group_after("a", 0), "a.weight", 0, OUT, 0, 1, 1);
    HAS(group_after("a", 0), "b.weight", 1, IN, 0, 1, 1);
    is_free(group_after("a", 1), 5);
    HAS(group_after("a", 1), "a.weight", 0, OUT, 2, 1, 1);
    HAS(group_after("a", 1), "a.bias", 0, VECTOR, 7, 1, 1);
    HAS(group_after("a", 1), "c.weight", 1, IN, 0, 1, 1);
    is_blocked(group("b"), "an output", NULL);
}
END_TEST

START_TEST(sliced)
{
    ev_value x = conv(input(3, 8), 12, "a"), y;
    t_ok(ev_model_slice(net, x, 1, 3, 7, 1, &y));
    find(conv(y, 2, "last"));
    ck_assert_int_eq(found.n, 4); /* nobody reads the rest: it may go */
    is_free(group_after("a", 0), 3);
    is_free(group_after("a", 1), 4);
    HAS(group_after("a", 1), "a.weight", 0, OUT, 3, 1, 1);
    HAS(group_after("a", 1), "last.weight", 1, IN, 0, 1, 1);
    is_free(group_after("a", 2), 5);
    HAS(group_after("a", 2), "a.weight", 0, OUT, 7, 1, 1);
}
END_TEST

START_TEST(one_channel_taken)
{
    ev_value x = conv(input(3, 8), 8, "a"), y;
    t_ok(ev_model_slice(net, x, 1, 3, 4, 1, &y));
    find(conv(y, 2, "last"));
    is_free(group_after("a", 0), 3);
    ck_assert_int_eq(group_after("a", 1)->n, 1);
    is_blocked(group_after("a", 1), "only one", "slice1");
}
END_TEST

START_TEST(grouped)
{
    ev_value x = conv(input(3, 8), 8, "a");
    find(conv(conv_groups(x, 6, "g", 2), 2, "last"));
    ck_assert_int_eq(found.n, 3);
    is_free(group("a"), 4); /* one channel of each half */
    HAS(group("a"), "a.weight", 0, OUT, 0, 1, 1);
    HAS(group("a"), "a.weight", 0, OUT, 4, 1, 1);
    HAS(group("a"), "g.weight", 1, IN, 0, 1, 1);
    is_free(group("g"), 3);
    HAS(group("g"), "g.weight", 0, OUT, 0, 1, 1);
    HAS(group("g"), "g.weight", 0, OUT, 3, 1, 1);
    HAS(group("g"), "last.weight", 1, IN, 3, 1, 1);
}
END_TEST

START_TEST(depthwise)
{
    ev_value x = conv_groups(conv(input(3, 8), 8, "a"), 8, "once", 8);
    find(conv(conv_groups(x, 16, "twice", 8), 2, "last"));
    ck_assert_int_eq(found.n, 2);
    is_free(group("a"), 8);
    HAS(group("a"), "a.weight", 0, OUT, 0, 1, 1);
    HAS(group("a"), "once.weight", 0, OUT, 0, 1, 1);
    HAS(group("a"), "once.bias", 0, VECTOR, 0, 1, 1);
    HAS(group("a"), "twice.weight", 0, OUT, 0, 2, 2);
    HAS(group("a"), "last.weight", 1, IN, 0, 2, 2);
}
END_TEST

START_TEST(transposed_convolution)
{
    ev_value x = conv(input(3, 8), 8, "a");
    ev_conv2d_options o;
    EV_OPTIONS_INIT(&o);
    o.name = "up";
    o.stride_h = o.stride_w = 2;
    t_ok(ev_model_conv_transpose2d(net, x, 6, 2, &o, &x));
    find(conv(x, 2, "last"));
    is_free(group("a"), 8);
    HAS(group("a"), "up.weight", 0, IN, 0, 1, 1);
    is_free(group("up"), 6);
    HAS(group("up"), "up.weight", 1, OUT, 0, 1, 1);
    HAS(group("up"), "up.bias", 0, VECTOR, 0, 1, 1);
}
END_TEST

START_TEST(norm_and_slope)
{
    ev_value x = conv(input(3, 8), 8, "a");
    ev_norm_options o;
    EV_OPTIONS_INIT(&o);
    o.name = "norm";
    o.affine = 1;
    t_ok(ev_model_instance_norm(net, x, &o, &x));
    t_ok(ev_model_prelu(net, x, "bend", &x));
    find(conv(x, 2, "last"));
    is_free(group("a"), 8);
    HAS(group("a"), "norm.scale", 0, VECTOR, 0, 1, 1);
    HAS(group("a"), "norm.shift", 0, VECTOR, 0, 1, 1);
    HAS(group("a"), "bend.slope", 0, VECTOR, 0, 1, 1);
    ck_assert_int_eq(n_weights(group("a")), 6);
}
END_TEST

START_TEST(called_twice)
{
    ev_model *outer = net, *inner = NULL;
    t_ok(ev_model_create(ctx, &inner));
    net = inner;
    ev_value v = relu(conv(input(6, 8), 5, "inside"));
    t_ok(ev_model_output(inner, "y", v));
    net = outer;
    ev_value x = input(3, 8), a = conv(x, 6, "a"), b = conv(x, 6, "b"), ya, yb;
    t_ok(ev_model_call(net, inner, &a, 1, 0, &ya, 1));
    t_ok(ev_model_call(net, inner, &b, 1, 0, &yb, 1));
    find(conv(yb, 2, "last"));
    ev_model_destroy(inner);
    ck_assert_int_eq(found.n_models, 2);
    ck_assert_ptr_eq(found.models[1], net);
    ck_assert_int_eq(found.n, 3);
    is_free(&found.groups[0], 5);
    ck_assert_str_eq(layer_of(&found.groups[0]), "inside");
    HAS(&found.groups[0], "inside.weight", 0, OUT, 0, 1, 1);
    HAS(&found.groups[0], "last.weight", 1, IN, 0, 1, 1);
    is_free(group("a"), 6);
    HAS(group("a"), "b.weight", 0, OUT, 0, 1, 1);
    HAS(group("a"), "inside.weight", 1, IN, 0, 1, 1);
}
END_TEST

/* mode 1: the parts of a picture's channel are neighbours; else they are spread. */
START_TEST(pixels_to_space)
{
    evi_attrs a;
    evi_attrs_default(&a);
    a.flag = 2;
    a.mode = _i;
    find(conv(own_op("depth_to_space", &a, conv(input(3, 8), 12, "a")), 2, "last"));
    is_free(group("a"), 3);
    for (int64_t i = 0; i < (_i == 1 ? 1 : 4); i++)
        HAS(group("a"), "a.weight", 0, OUT, 3 * i, _i == 1 ? 4 : 1, _i == 1 ? 4 : 1);
    HAS(group("a"), "last.weight", 1, IN, 0, 1, 1);
}
END_TEST

START_TEST(times_a_constant)
{
    const int64_t dims[4] = {1, 8, 1, 1};
    ev_value x = conv(input(3, 8), 8, "a"), k;
    ev_tensor *t = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &t));
    t_ok(ev_model_constant(net, "k", t, &k));
    ev_tensor_destroy(t);
    t_ok(ev_model_mul(net, x, k, &x));
    find(conv(x, 2, "last"));
    is_free(group("a"), 8);
    bool met = false;
    for (int32_t i = 0; i < group("a")->n_spots; i++) {
        const evi_spot *s = &found.spots[group("a")->first_spot + i];
        met = met || (s->role == EVI_SPOT_CONSTANT && s->value == k && s->axis == 1);
    }
    ck_assert(met);
}
END_TEST

START_TEST(gate)
{
    ev_value x = conv(input(3, 8), 8, "a"), y;
    t_ok(ev_model_global_average_pool(net, x, &y));
    y = conv(relu(conv(y, 2, "down")), 8, "up");
    t_ok(ev_model_activation(net, y, EV_ACTIVATION_SIGMOID, 0, 0, &y));
    t_ok(ev_model_mul(net, x, y, &x));
    find(conv(x, 2, "last"));
    ck_assert_int_eq(found.n, 3);
    is_free(group("a"), 8);
    HAS(group("a"), "up.weight", 0, OUT, 0, 1, 1);
    HAS(group("a"), "down.weight", 1, IN, 0, 1, 1);
    is_free(group("down"), 2);
}
END_TEST

START_TEST(softmax_of_channels)
{
    ev_value x = conv(input(3, 8), 8, "a");
    t_ok(ev_model_softmax(net, x, _i == 0 ? 1 : 3, &x));
    find(conv(x, 2, "last"));
    if (_i == 0)
        is_blocked(group("a"), "read as a whole", "softmax1");
    else
        is_free(group("a"), 8);
}
END_TEST

START_TEST(not_to_be_cut)
{
    evi_attrs a;
    evi_attrs_default(&a);
    a.kernel[0] = a.kernel[1] = 3;
    a.list.set = 1;
    a.list.n = 4;
    for (int32_t i = 0; i < 4; i++)
        a.list.v[i] = i == 2 ? 2 : 1;
    ev_value x = own_op(_i == 0 ? "lrn" : "tile", &a, conv(input(3, 8), 8, "a"));
    find(conv(x, 2, "last"));
    if (_i == 0)
        is_blocked(group("a"), "neighbouring channels", "lrn1");
    else
        is_blocked(group("a"), "this kind of operation", "tile1");
}
END_TEST

START_TEST(shuffled)
{
    ev_value x = conv(input(3, 8), 8, "a");
    t_ok(ev_model_reshape(net, x, 5, (const int64_t[5]){0, 2, 4, 8, 8}, &x));
    t_ok(ev_model_transpose(net, x, 5, (const int32_t[5]){0, 2, 1, 3, 4}, &x));
    t_ok(ev_model_reshape(net, x, 4, (const int64_t[4]){0, 8, 8, 8}, &x));
    find(conv(x, 2, "last"));
    ck_assert_ptr_nonnull(group("a")->blocked);
}
END_TEST

/* Weights that are turned or reshaped before the product are still weights of that layer. */
START_TEST(weights_from_afar)
{
    ev_value x, w, v;
    t_ok(ev_model_input(net, "x", EV_TYPE_FLOAT32, 2, (const int64_t[2]){-1, 6}, &x));
    x = dense(x, 8, "first");
    t_ok(ev_model_parameter(net, "w", 2, (const int64_t[2]){10, 8}, EV_INIT_HE, 0, &w));
    t_ok(ev_model_transpose(net, w, 2, (const int32_t[2]){1, 0}, &w));
    t_ok(ev_model_matmul(net, x, w, &x));
    t_ok(ev_model_parameter(net, "v", 3, (const int64_t[3]){2, 5, 4}, EV_INIT_HE, 0, &v));
    t_ok(ev_model_reshape(net, v, 2, (const int64_t[2]){10, 4}, &v));
    t_ok(ev_model_matmul(net, x, v, &x));
    find(dense(x, 3, "last"));
    is_free(group("first"), 8);
    HAS(group("first"), "w", 1, IN, 0, 1, 1);
    HAS(group("matmul2"), "w", 0, OUT, 0, 5, 5);
    HAS(group("matmul2"), "v", 0, IN, 0, 1, 1);
    is_free(group("matmul2"), 2); /* ten channels by fives, as v is stored */
    is_free(group("matmul4"), 4);
    HAS(group("matmul4"), "v", 2, OUT, 0, 1, 1);
    HAS(group("matmul4"), "last.weight", 1, IN, 0, 1, 1);
}
END_TEST

/* x.view(x.size(0), -1), as exporters write it: a node asks for the size. */
START_TEST(asked_for_its_shape)
{
    ev_value x = conv(input(3, 4), 8, "a"), two[2];
    evi_attrs a;
    evi_attrs_default(&a);
    a.list2 = (evi_list){.n = 1, .set = 1, .v = {1}};
    two[0] = own_op("shape", &a, x);
    const int64_t one = 1;
    ev_tensor *t = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_INT64, 1, &one, &t));
    *(int64_t *)ev_tensor_data(t) = -1;
    t_ok(ev_model_constant(net, "rest", t, &two[1]));
    ev_tensor_destroy(t);
    evi_attrs_default(&a);
    int32_t to[2] = {x, EV_NO_VALUE}, out = EV_NO_VALUE;
    t_ok(evi_model_add(net, evi_op_find("concat"), &a, NULL, two, 2, &to[1], 1));
    t_ok(evi_model_add(net, evi_op_find("reshape"), &a, NULL, to, 2, &out, 1));
    find(dense(out, 2, "last"));
    is_free(group("a"), 8);
    HAS(group("a"), "last.weight", 1, IN, 0, 16, 16);
    t_ok(ev_model_init(net, 1));
    ev_pruner *p = NULL;
    ev_prune_plan *plan = NULL;
    ev_model *smaller = NULL;
    t_ok(ev_pruner_create(ctx, net, NULL, &p));
    t_ok(ev_pruner_score(p, NULL));
    t_ok(ev_pruner_plan(p, NULL, &plan));
    t_ok(ev_prune_plan_set_width(plan, 0, 3));
    t_ok(ev_prune_plan_apply(plan, 1, &smaller));
    ck_assert_int_eq(ev_model_parameter_count(smaller), 3 * 27 + 3 + 2 * 48 + 2);
    ev_model_destroy(smaller);
    ev_prune_plan_destroy(plan);
    ev_pruner_destroy(p);
}
END_TEST

/* Each bead hangs on the next: 2 and 3 channels in turn, joined in two orders. */
START_TEST(joined_crosswise)
{
    ev_value x = input(3, 8), a = conv(x, 2, "a"), b = conv(x, 3, "b"), two[2] = {a, b}, y, z;
    t_ok(ev_model_concat(net, two, 2, 1, &y));
    two[0] = b;
    two[1] = a;
    t_ok(ev_model_concat(net, two, 2, 1, &z));
    t_ok(ev_model_add(net, y, z, &y));
    find(conv(y, 2, "last"));
    /* a0=b0, a1=b1, b0=b2, b1=a0, b2=a1: one channel in all */
    ck_assert_int_eq(group("a")->n, 1);
    is_blocked(group("a"), "irregular", "a");
}
END_TEST

/* ---- nets of the zoo ------------------------------------------------------------------------- */

START_TEST(zoo)
{
    static const struct {
        const char *name;
        int32_t groups;
    } nets[] = {{"arch11", 16}, {"arch1", 4}, {"ResNet-18", 13}, {"ResNet-20", 11}, {NULL, 12}};
    ev_model *m = NULL;
    if (nets[_i].name != NULL)
        t_ok(ev_zoo_create(ctx, nets[_i].name, NULL, &m));
    else
        t_ok(ev_zoo_generator(ctx, NULL, &m));
    t_ok(evi_groups_find(ctx, m, &found));
    ck_assert_int_eq(found.n, nets[_i].groups);
    for (int32_t i = 0; i + 1 < found.n; i++)
        ck_assert_ptr_null(found.groups[i].blocked);
    is_blocked(&found.groups[found.n - 1], "an output of the model", NULL);
    ev_model_destroy(m);
}
END_TEST

/* The stream of a ResNet-20 is one group: its later parts are as wide as two and four of the first.
 */
START_TEST(widening_stream)
{
    ev_model *m = NULL;
    t_ok(ev_zoo_resnet_small(ctx, 20, NULL, &m));
    t_ok(evi_groups_find(ctx, m, &found));
    const evi_group *g = group("conv1");
    is_free(g, 16);
    HAS(g, "conv9.weight", 0, OUT, 0, 1, 1);
    HAS(g, "conv9.weight", 0, OUT, 16, 1, 1);
    for (int64_t i = 0; i < 4; i++)
        HAS(g, "dense1.weight", 1, IN, 16 * i, 1, 1);
    ev_model_destroy(m);
}
END_TEST

START_TEST(from_files)
{
    static const char *const names[] = {"models/mnist_8/model.onnx",
                                        "models/super_resolution_10/model.onnx",
                                        "models/mnist_quantized/model.onnx"};
    static const int32_t n_groups[] = {3, 4, 0};
    const char *path = t_testdata(names[_i]);
    if (path == NULL)
        return;
    ev_model *m = NULL;
    t_ok(ev_model_load(ctx, path, NULL, &m));
    t_ok(evi_groups_find(ctx, m, &found));
    ck_assert_int_eq(found.n, n_groups[_i]);
    if (_i == 0) { /* the matrix is stored as [16,4,4,10] */
        is_free(group("Convolution110"), 16);
        HAS(group("Convolution110"), "Parameter193", 0, IN, 0, 1, 1);
        HAS(group("Times212"), "Parameter193", 3, OUT, 0, 1, 1);
    }
    ev_model_destroy(m);
}
END_TEST

static TCase *groups_case(void)
{
    TCase *c = tcase_create("groups");
    tcase_add_checked_fixture(c, start, end);
    tcase_add_test(c, sequence);
    tcase_add_test(c, residual);
    tcase_add_test(c, sum_with_the_input);
    tcase_add_test(c, joined);
    tcase_add_test(c, joined_with_itself);
    tcase_add_test(c, joined_crosswise);
    tcase_add_test(c, split);
    tcase_add_test(c, sliced);
    tcase_add_test(c, one_channel_taken);
    tcase_add_test(c, grouped);
    tcase_add_test(c, depthwise);
    tcase_add_test(c, transposed_convolution);
    tcase_add_test(c, norm_and_slope);
    tcase_add_test(c, called_twice);
    tcase_add_loop_test(c, pixels_to_space, 0, 2);
    tcase_add_test(c, times_a_constant);
    tcase_add_test(c, gate);
    tcase_add_loop_test(c, softmax_of_channels, 0, 2);
    tcase_add_loop_test(c, not_to_be_cut, 0, 2);
    tcase_add_test(c, shuffled);
    tcase_add_test(c, weights_from_afar);
    tcase_add_test(c, asked_for_its_shape);
    tcase_add_loop_test(c, zoo, 0, 5);
    tcase_add_test(c, widening_stream);
    tcase_add_loop_test(c, from_files, 0, 3);
    return c;
}

int main(void)
{
    Suite *s = suite_create("groups");
    suite_add_tcase(s, groups_case());
    suite_add_tcase(s, pruner_case());
    return t_run(s);
}
