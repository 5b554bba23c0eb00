/* SPDX-License-Identifier: MIT */
/* The pruner: options, weights that are not fit, questions and answers, blocks, lack of memory. */
#include "pruner_case.h"

#include "prune/prune.h"
#include "support.h"

#include <edgevision/edgevision.h>
#include <math.h>

static ev_context *ctx;

static void start(void)
{
    ctx = t_context(NULL, 1);
}

static void end(void)
{
    ev_context_destroy(ctx);
}

static ev_model *zoo_net(const char *name)
{
    ev_model *m = NULL;
    ev_zoo_options o;
    EV_OPTIONS_INIT(&o);
    o.width = o.height = 32;
    t_ok(ev_zoo_create(ctx, name, &o, &m));
    t_ok(ev_model_init(m, 1));
    return m;
}

static ev_prune_group group_of(const ev_pruner *p, int32_t i)
{
    ev_prune_group g;
    EV_OPTIONS_INIT(&g);
    t_ok(ev_pruner_group(p, i, &g));
    return g;
}

static ev_prune_block block_of(const ev_pruner *p, int32_t i)
{
    ev_prune_block b;
    EV_OPTIONS_INIT(&b);
    t_ok(ev_pruner_block(p, i, &b));
    return b;
}

/* ---- questions ------------------------------------------------------------------------------- */

START_TEST(answers)
{
    ev_model *m = zoo_net("arch2");
    ev_pruner *p = NULL;
    t_ok(ev_pruner_create(ctx, m, NULL, &p));
    ev_model_destroy(m); /* the pruner holds it */
    ck_assert_int_eq(ev_pruner_n_groups(p), 5);
    ev_prune_group g = group_of(p, 0);
    ck_assert_int_eq(g.n_channels, 8);
    ck_assert_str_eq(g.layer, "conv1");
    ck_assert_ptr_null(g.blocked);
    ck_assert_int_eq(g.n_layers, 2);
    ck_assert_int_eq(g.min_width, 1);
    ck_assert_int_eq(g.round_to, 2); /* a quarter of eight */
    ck_assert_double_eq_tol(g.params_per_channel, 3 * 9 + 1 + 16 * 9, 1e-9);
    ck_assert_str_eq(ev_pruner_group_layer(p, 0, 0), "conv1");
    ck_assert_str_eq(ev_pruner_group_layer(p, 0, 1), "conv2");
    ck_assert_ptr_null(ev_pruner_group_layer(p, 0, 2));
    ck_assert_ptr_null(ev_pruner_group_layer(p, 0, -1));
    ck_assert_ptr_null(ev_pruner_group_layer(p, 5, 0));
    g = group_of(p, 4);
    ck_assert_str_eq(g.blocked, "an output of the model");
    ck_assert_int_eq(g.min_width, 4);
    t_status(ev_pruner_group(p, 5, &g), EV_ERR_ARGUMENT);
    t_status(ev_pruner_group(p, -1, &g), EV_ERR_ARGUMENT);
    t_status(ev_pruner_group(p, 0, NULL), EV_ERR_ARGUMENT);
    ev_prune_block b;
    EV_OPTIONS_INIT(&b);
    t_status(ev_pruner_block(p, ev_pruner_n_blocks(p), &b), EV_ERR_ARGUMENT);
    t_status(ev_pruner_block(p, 0, NULL), EV_ERR_ARGUMENT);
    ck_assert_ptr_null(ev_pruner_scores(p, 0));
    ev_pruner_destroy(p);
    ev_pruner_destroy(NULL);
    ck_assert_int_eq(ev_pruner_n_groups(NULL), -1);
    ck_assert_int_eq(ev_pruner_n_blocks(NULL), -1);
    ck_assert_ptr_null(ev_pruner_group_layer(NULL, 0, 0));
    t_status(ev_pruner_group(NULL, 0, &g), EV_ERR_ARGUMENT);
}
END_TEST

START_TEST(described)
{
    ev_model *m = zoo_net("ResNet-20");
    ev_pruner *p = NULL;
    char *text = NULL;
    t_ok(ev_pruner_create(ctx, m, NULL, &p));
    t_ok(ev_pruner_describe(p, EV_DESCRIBE_TABLE, &text));
    ck_assert_ptr_nonnull(strstr(text, "11 groups of tied channels, 10 of which can shrink"));
    ck_assert_ptr_nonnull(strstr(text, "an output of the model"));
    ck_assert_ptr_nonnull(strstr(text, "residual"));
    ev_string_destroy(text);
    t_ok(ev_pruner_describe(p, EV_DESCRIBE_JSON, &text));
    ck_assert_ptr_nonnull(strstr(text, "{\"groups\":[{\"layer\":\"conv1\",\"channels\":16,"));
    ck_assert_ptr_nonnull(strstr(text, "\"score\":null"));
    ck_assert_ptr_nonnull(strstr(text, "\"blocked\":\"an output of the model\""));
    ev_string_destroy(text);
    t_status(ev_pruner_describe(p, EV_DESCRIBE_DOT, &text), EV_ERR_ARGUMENT);
    ck_assert_ptr_null(text);
    t_status(ev_pruner_describe(p, 0, NULL), EV_ERR_ARGUMENT);
    t_status(ev_pruner_describe(NULL, 0, &text), EV_ERR_ARGUMENT);
    ev_pruner_destroy(p);
    ev_model_destroy(m);
}
END_TEST

/* ---- options --------------------------------------------------------------------------------- */

START_TEST(protected_layers)
{
    ev_model *m = zoo_net("arch2");
    ev_pruner *p = NULL;
    ev_pruner_options o;
    EV_OPTIONS_INIT(&o);
    const char *names[2] = {"conv2", "dense*"};
    o.protected_layers = names;
    o.n_protected = 2;
    o.min_width = 3;
    o.round_to = 12;
    t_ok(ev_pruner_create(ctx, m, &o, &p));
    ck_assert_int_eq(ev_pruner_n_groups(p), 5);
    ck_assert_ptr_null(group_of(p, 0).blocked);
    ck_assert_int_eq(group_of(p, 0).min_width, 3);
    ck_assert_int_eq(group_of(p, 0).round_to, 1); /* not as wide as 12 */
    ck_assert_str_eq(group_of(p, 1).blocked, "protected (conv2)");
    ck_assert_int_eq(group_of(p, 1).min_width, 16);
    ck_assert_int_eq(group_of(p, 2).round_to, 12);
    ck_assert_ptr_null(group_of(p, 2).blocked);
    ck_assert_str_eq(group_of(p, 3).blocked, "protected (dense1)");
    ck_assert_str_eq(group_of(p, 4).blocked, "an output of the model");
    for (int32_t i = 0; i < ev_pruner_n_blocks(p); i++) {
        ck_assert_str_ne(block_of(p, i).layer, "conv2");
        ck_assert_str_ne(block_of(p, i).layer, "dense1");
    }
    ev_pruner_destroy(p);
    names[0] = "conv9";
    t_status(ev_pruner_create(ctx, m, &o, &p), EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "conv9"));
    ck_assert_ptr_null(p);
    ev_model_destroy(m);
}
END_TEST

START_TEST(bad_options)
{
    ev_model *m = zoo_net("arch1");
    ev_pruner *p = NULL;
    ev_pruner_options o;
    EV_OPTIONS_INIT(&o);
    const char *names[1] = {NULL};
    o.min_width = -1;
    t_status(ev_pruner_create(ctx, m, &o, &p), EV_ERR_ARGUMENT);
    o.min_width = 0;
    o.round_to = -1;
    t_status(ev_pruner_create(ctx, m, &o, &p), EV_ERR_ARGUMENT);
    o.round_to = 0;
    o.n_protected = 1;
    t_status(ev_pruner_create(ctx, m, &o, &p), EV_ERR_ARGUMENT);
    o.protected_layers = names;
    t_status(ev_pruner_create(ctx, m, &o, &p), EV_ERR_ARGUMENT);
    o.n_protected = -1;
    t_status(ev_pruner_create(ctx, m, &o, &p), EV_ERR_ARGUMENT);
    o.struct_size = 2;
    t_status(ev_pruner_create(ctx, m, &o, &p), EV_ERR_ARGUMENT);
    t_status(ev_pruner_create(NULL, m, NULL, &p), EV_ERR_ARGUMENT);
    t_status(ev_pruner_create(ctx, NULL, NULL, &p), EV_ERR_ARGUMENT);
    t_status(ev_pruner_create(ctx, m, NULL, NULL), EV_ERR_ARGUMENT);
    ev_model_destroy(m);
}
END_TEST

/* ---- weights --------------------------------------------------------------------------------- */

static void put(ev_model *m, const char *weight, int64_t at, double x)
{
    ev_tensor *t = NULL;
    t_ok(ev_model_weight(m, weight, &t));
    ((evi_real *)ev_tensor_data(t))[at] = (evi_real)x;
    ev_tensor_destroy(t);
    t_ok(ev_model_touch(m));
}

START_TEST(weights_must_be_there)
{
    ev_model *m = NULL;
    ev_pruner *p = NULL;
    t_ok(ev_zoo_arch(ctx, 1, NULL, &m));
    t_status(ev_pruner_create(ctx, m, NULL, &p), EV_ERR_STATE);
    t_ok(ev_model_init(m, 1));
    put(m, "conv2.weight", 77, INFINITY);
    t_status(ev_pruner_create(ctx, m, NULL, &p), EV_ERR_DIVERGED);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "'conv2.weight' is not finite at element 77"));
    put(m, "conv2.weight", 77, 1);
    put(m, "conv1.bias", 1, NAN);
    t_status(ev_pruner_create(ctx, m, NULL, &p), EV_ERR_DIVERGED);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "conv1.bias"));
    put(m, "conv1.bias", 1, -3e38);
    t_ok(ev_pruner_create(ctx, m, NULL, &p));
    ev_pruner_destroy(p);
    t_ok(ev_model_seal(m));
    t_status(ev_pruner_create(ctx, m, NULL, &p), EV_ERR_STATE);
    ev_model_destroy(m);
}
END_TEST

/* ---- blocks ---------------------------------------------------------------------------------- */

static int32_t n_of_kind(const ev_pruner *p, int32_t kind)
{
    int32_t n = 0;
    for (int32_t i = 0; i < ev_pruner_n_blocks(p); i++)
        n += block_of(p, i).kind == kind;
    return n;
}

START_TEST(blocks_of_residual_nets)
{
    ev_model *m = zoo_net(_i == 0 ? "ResNet-18" : "ResNet-20");
    ev_pruner *p = NULL;
    t_ok(ev_pruner_create(ctx, m, NULL, &p));
    /* Those whose shortcut is a projection stay; widening by zeros is one, too. */
    ck_assert_int_eq(n_of_kind(p, EV_BLOCK_RESIDUAL), _i == 0 ? 5 : 7);
    ck_assert_int_eq(n_of_kind(p, EV_BLOCK_STAGE), 0);
    for (int32_t i = 0; i < ev_pruner_n_blocks(p); i++) {
        ev_prune_block b = block_of(p, i);
        ck_assert_int_eq(b.redraws, 0);
        ck_assert_int_eq(b.n_layers, b.kind == EV_BLOCK_RESIDUAL ? 4 : 2); /* with the norms */
        ck_assert(isnan(b.score));
    }
    int32_t r = 0, l = 0;
    while (block_of(p, r).kind != EV_BLOCK_RESIDUAL)
        r++;
    while (block_of(p, l).kind != EV_BLOCK_LAYER ||
           strcmp(block_of(p, l).layer, block_of(p, r).layer) != 0)
        l++;
    ck_assert(evi_blocks_overlap(&p->blocks, r, l));
    ck_assert(evi_blocks_overlap(&p->blocks, l, r));
    ck_assert(!evi_blocks_overlap(&p->blocks, 0, ev_pruner_n_blocks(p) - 1));
    ev_pruner_destroy(p);
    ev_model_destroy(m);
}
END_TEST

START_TEST(blocks_of_a_sequence)
{
    static const int32_t kinds[] = {EV_BLOCK_STAGE, EV_BLOCK_LAYER, EV_BLOCK_STAGE, EV_BLOCK_DENSE};
    ev_model *m = NULL;
    ev_value x = EV_NO_VALUE;
    ev_pruner *p = NULL;
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "x", EV_TYPE_FLOAT32, 4, (const int64_t[4]){-1, 3, 8, 8}, &x));
    for (int32_t i = 0; i < 3; i++) {
        t_ok(ev_model_conv2d(m, x, i < 2 ? 8 : 12, 3, NULL, &x));
        t_ok(ev_model_batch_norm(m, x, NULL, &x));
        t_ok(ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, &x));
        t_ok(ev_model_max_pool2d(m, x, 2, NULL, &x));
    }
    t_ok(ev_model_flatten(m, x, 1, &x));
    t_ok(ev_model_dense(m, x, 10, NULL, &x));
    t_ok(ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, &x));
    t_ok(ev_model_dropout(m, x, 0.5f, &x));
    t_ok(ev_model_dense(m, x, 4, NULL, &x));
    t_ok(ev_model_output(m, "y", x));
    t_ok(ev_model_init(m, 1));
    t_ok(ev_pruner_create(ctx, m, NULL, &p));
    ck_assert_int_eq(ev_pruner_n_blocks(p), 4); /* not the last dense layer */
    for (int32_t i = 0; i < 4; i++) {
        ck_assert_int_eq(block_of(p, i).kind, kinds[i]);
        ck_assert_int_eq(block_of(p, i).redraws, kinds[i] != EV_BLOCK_LAYER);
    }
    ev_prune_block b = block_of(p, 1);
    ck_assert_str_eq(b.layer, "conv2");
    ck_assert_int_eq(b.n_layers, 2);
    ck_assert_int_eq(b.parameters, 8 * 8 * 9 + 8 + 16);
    ck_assert_double_eq_tol(b.macs, 8 * 8 * 9 * 16, 1e-9);
    b = block_of(p, 3);
    ck_assert_str_eq(b.layer, "dense1");
    ck_assert_int_eq(b.parameters, 12 * 10 + 10);
    const evi_block *inner = &p->blocks.blocks[3];
    ck_assert_int_eq(inner->n_nodes, 3); /* with activation and dropout */
    ck_assert_int_eq(p->groups.models[0]->values[inner->in].edge.shape.dim[1], 12);
    ev_pruner_destroy(p);
    ev_model_destroy(m);
}
END_TEST

START_TEST(blocks_of_a_generator)
{
    ev_model *m = NULL;
    ev_pruner *p = NULL;
    ev_generator_options o;
    EV_OPTIONS_INIT(&o);
    o.base_width = 4;
    t_ok(ev_zoo_generator(ctx, &o, &m));
    t_ok(ev_model_init(m, 1));
    t_ok(ev_pruner_create(ctx, m, NULL, &p));
    ck_assert_int_eq(n_of_kind(p, EV_BLOCK_RESIDUAL), 6);
    ev_pruner_destroy(p);
    ev_model_destroy(m);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------- */

static ev_status whole(ev_context *c, void *arg)
{
    ev_model *m = NULL;
    ev_pruner *p = NULL;
    char *text = NULL;
    ev_zoo_options o;
    const char *name = "dense1";
    ev_pruner_options po;
    (void)arg;
    EV_OPTIONS_INIT(&o);
    EV_OPTIONS_INIT(&po);
    po.protected_layers = &name;
    po.n_protected = 1;
    o.width = o.height = 16;
    ev_status status = ev_zoo_resnet_small(c, 8, &o, &m);
    if (status == EV_OK)
        status = ev_model_init(m, 1);
    if (status == EV_OK)
        status = ev_pruner_create(c, m, &po, &p);
    if (status == EV_OK)
        status = ev_pruner_describe(p, EV_DESCRIBE_TABLE, &text);
    ev_string_destroy(text);
    text = NULL;
    if (status == EV_OK)
        status = ev_pruner_describe(p, EV_DESCRIBE_JSON, &text);
    ev_string_destroy(text);
    ev_pruner_destroy(p);
    ev_model_destroy(m);
    return status;
}

START_TEST(out_of_memory)
{
    ck_assert_int_gt(t_each_alloc(whole, NULL, 1, 0), 50);
}
END_TEST

TCase *pruner_case(void)
{
    TCase *c = tcase_create("pruner");
    tcase_add_checked_fixture(c, start, end);
    tcase_add_test(c, answers);
    tcase_add_test(c, described);
    tcase_add_test(c, protected_layers);
    tcase_add_test(c, bad_options);
    tcase_add_test(c, weights_must_be_there);
    tcase_add_loop_test(c, blocks_of_residual_nets, 0, 2);
    tcase_add_test(c, blocks_of_a_sequence);
    tcase_add_test(c, blocks_of_a_generator);
    tcase_add_test(c, out_of_memory);
    return c;
}
