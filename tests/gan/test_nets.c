/* SPDX-License-Identifier: MIT */
/* The networks and the nets of a step: which losses are where, what feeds them, starting values. */
#include "gan/gan.h"
#include "support.h"

typedef struct job {
    ev_generator_options g;
    ev_discriminator_options d;
    ev_cyclegan_options o;
    evi_gan_options all;
    evi_gan_nets nets;
} job;

static void small(job *j)
{
    *j = (job){0};
    EV_OPTIONS_INIT(&j->g);
    EV_OPTIONS_INIT(&j->d);
    EV_OPTIONS_INIT(&j->o);
    j->g.base_width = 4;
    j->g.n_blocks = 1;
    j->d.base_width = 4;
    j->d.n_layers = 1;
    j->o.width = 16;
    j->o.generator = &j->g;
    j->o.discriminator = &j->d;
}

static void draw(ev_context *ctx, job *j, bool split)
{
    t_ok(evi_gan_options_read(&j->o, "test", &j->all));
    t_ok(evi_gan_nets_draw(ctx, &j->all, split, true, &j->nets));
}

static ev_model *classifier(ev_context *ctx)
{
    const int64_t dims[4] = {-1, 3, 8, 8};
    ev_model *m = NULL;
    ev_value x;
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_flatten(m, x, 1, &x));
    t_ok(ev_model_dense(m, x, 3, NULL, &x));
    t_ok(ev_model_output(m, "logits", x));
    t_ok(ev_model_init(m, 1));
    return m;
}

/* Losses of a kind and side over all updates, told or not. */
static int32_t count(const evi_gan_nets *nets, int32_t kind, int32_t side)
{
    int32_t n = 0;
    for (int32_t i = 0; i < nets->n_updates; i++)
        for (int32_t k = 0; k < nets->updates[i].n_losses; k++)
            n += nets->updates[i].kind[k] == kind && nets->updates[i].side[k] == side;
    return n;
}

static void check_update(const evi_gan_update *u)
{
    int32_t n_losses = 0, n_outputs = 0, found[2] = {0, 0};
    uint32_t feeds = 0;
    for (int32_t i = 0; i < u->n_nets; i++) {
        const ev_model *m = u->nets[i];
        ck_assert_int_eq(ev_model_n_weights(m), 0);
        for (int32_t k = 0; k < ev_model_n_inputs(m); k++)
            for (int32_t f = 0; f < EVI_GAN_N_FEEDS; f++)
                if (strcmp(ev_model_input_name(m, k), evi_gan_feed_name(f)) == 0)
                    feeds |= 1u << f;
        for (int32_t k = 0; k < ev_model_n_outputs(m); k++, n_outputs++) {
            n_losses += m->outputs[k].is_loss;
            for (int32_t side = 0; side < 2; side++)
                if (u->fake[side] == n_outputs) {
                    ck_assert_str_eq(ev_model_output_name(m, k), side == 0 ? "fake_b" : "fake_a");
                    found[side]++;
                }
        }
    }
    ck_assert_int_eq(n_losses, u->n_losses);
    ck_assert_uint_eq(feeds, u->feeds);
    for (int32_t side = 0; side < 2; side++)
        ck_assert_int_eq(found[side], u->fake[side] >= 0);
}

/* Each loss is told once, whatever the order and whether whole or split. */
START_TEST(each_loss_once)
{
    ev_context *ctx = t_context(NULL, 1);
    job j;
    bool split = (_i & 1) != 0, classes = (_i & 4) != 0;
    ev_model *m = classes ? classifier(ctx) : NULL;
    small(&j);
    j.o.order = (_i & 2) != 0 ? EV_ORDER_AUTHORS : EV_ORDER_JOINT;
    j.o.classifier = m;
    j.o.class_labels = EV_LABELS_BOTH;
    draw(ctx, &j, split);
    const int32_t n_authors[2] = {1, 3}, n_joint[2] = {1, 4};
    bool authors = j.o.order == EV_ORDER_AUTHORS;
    ck_assert_int_eq(j.nets.n_updates, authors ? 4 : 2);
    ck_assert_int_eq(j.nets.updates[0].n_nets, authors ? n_authors[split] : n_joint[split]);
    for (int32_t i = 0; i < j.nets.n_updates; i++) {
        check_update(&j.nets.updates[i]);
        ck_assert_int_eq(j.nets.updates[i].is_discriminator, i % 2);
    }
    ck_assert_int_ge(j.nets.updates[0].fake[0], 0);
    ck_assert_int_ge(j.nets.updates[0].fake[1], 0);
    for (int32_t side = 0; side < 2; side++) {
        ck_assert_int_eq(count(&j.nets, EVI_GAN_D, side), 2);
        ck_assert_int_eq(count(&j.nets, EVI_GAN_G, side), 1);
        ck_assert_int_eq(count(&j.nets, EVI_GAN_CYCLE, side), 1);
        ck_assert_int_eq(count(&j.nets, EVI_GAN_IDT, side), 1);
        ck_assert_int_eq(count(&j.nets, EVI_GAN_CLASS, side), classes);
    }
    ck_assert_ptr_null(j.nets.labeller); /* labels are those of the sets */
    evi_gan_nets_end(&j.nets);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(no_cycle_no_identity)
{
    ev_context *ctx = t_context(NULL, 1);
    job j;
    ev_cyclegan *gan = NULL;
    const int64_t dims[4] = {1, 3, 16, 16};
    ev_tensor *a = NULL;
    ev_cyclegan_losses l;
    EV_OPTIONS_INIT(&l);
    small(&j);
    j.o.order = (_i & 2) != 0 ? EV_ORDER_AUTHORS : EV_ORDER_JOINT;
    j.o.cycle_weight = j.o.identity_weight = -1;
    j.o.pool_size = -1;
    draw(ctx, &j, (_i & 1) != 0);
    for (int32_t i = 0; i < j.nets.n_updates; i++)
        check_update(&j.nets.updates[i]);
    ck_assert_int_ge(j.nets.updates[0].fake[0], 0);
    ck_assert_int_ge(j.nets.updates[0].fake[1], 0);
    ck_assert_int_eq(count(&j.nets, EVI_GAN_CYCLE, 0), 0);
    evi_gan_nets_end(&j.nets);
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &a));
    t_fill(ev_tensor_data(a), (size_t)ev_tensor_count(a), 1);
    t_ok(ev_cyclegan_create(ctx, NULL, NULL, &j.o, &gan));
    t_ok(ev_cyclegan_step(gan, a, a, &l));
    ck_assert_double_gt(l.g_b, 0);
    ck_assert_double_eq(l.cycle_a, 0);
    ck_assert_double_eq(l.idt_b, 0);
    ev_cyclegan_destroy(gan);
    ev_tensor_destroy(a);
    ev_context_destroy(ctx);
}
END_TEST

static uint32_t crc(const ev_model *m)
{
    return evi_crc32c(0, m->store->weights, (uint64_t)m->store->n_total * sizeof(evi_real));
}

START_TEST(starting_values)
{
    ev_context *ctx = t_context(NULL, 1);
    job j, k, other;
    small(&j);
    small(&k);
    small(&other);
    other.o.seed = 2;
    k.o.order = EV_ORDER_AUTHORS;
    draw(ctx, &j, false);
    draw(ctx, &k, true);
    draw(ctx, &other, false);
    ck_assert_uint_ne(crc(j.nets.generators[0]), crc(j.nets.generators[1]));
    ck_assert_uint_ne(crc(j.nets.discriminators[0]), crc(j.nets.discriminators[1]));
    for (int32_t side = 0; side < 2; side++) {
        ck_assert_uint_eq(crc(j.nets.generators[side]), crc(k.nets.generators[side]));
        ck_assert_uint_eq(crc(j.nets.discriminators[side]), crc(k.nets.discriminators[side]));
        ck_assert_uint_ne(crc(j.nets.generators[side]), crc(other.nets.generators[side]));
    }
    evi_gan_nets_end(&j.nets);
    evi_gan_nets_end(&k.nets);
    evi_gan_nets_end(&other.nets);
    ev_context_destroy(ctx);
}
END_TEST

typedef struct size {
    int32_t n_blocks, merge, affine, norm_last, authors;
    int64_t generator, discriminator;
} size;

static const size sizes[] = {
    {6, EV_MERGE_ADD, 0, 0, 0, 7837699, 2764737},
    {6, EV_MERGE_ADD, 1, 1, 1, 7845129, 6962369},
    {9, EV_MERGE_ADD, 1, 1, 1, 11388681, 6962369},
    {6, EV_MERGE_CONCAT, 1, 1, 1, 18461961, 6962369},
    {9, EV_MERGE_CONCAT, 1, 1, 1, 35276553, 6962369},
};

START_TEST(parameter_counts)
{
    const size *s = &sizes[_i];
    ev_context *ctx = t_context(NULL, 1);
    job j;
    small(&j);
    j.g.base_width = j.d.base_width = 0;
    j.d.n_layers = 0;
    j.o.width = 32;
    j.g.n_blocks = s->n_blocks;
    j.g.merge = s->merge;
    j.g.affine = s->affine;
    j.g.norm_last = s->norm_last;
    j.d.authors = s->authors;
    t_ok(evi_gan_options_read(&j.o, "test", &j.all));
    t_ok(evi_gan_nets_draw(ctx, &j.all, false, false, &j.nets));
    ck_assert_int_eq(ev_model_parameter_count(j.nets.generators[0]), s->generator);
    ck_assert_int_eq(ev_model_parameter_count(j.nets.discriminators[1]), s->discriminator);
    evi_gan_nets_end(&j.nets);
    ev_context_destroy(ctx);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cyclegan: nets");
    TCase *c = tcase_create("nets");
    tcase_add_loop_test(c, each_loss_once, 0, 8);
    tcase_add_loop_test(c, no_cycle_no_identity, 0, 4);
    tcase_add_test(c, starting_values);
    tcase_add_loop_test(c, parameter_counts, 0, EVI_COUNT(sizes));
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(suite());
}
