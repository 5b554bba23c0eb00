/* SPDX-License-Identifier: MIT */
/* Steps of a small CycleGAN: memory, bits for any number of threads, losses, failures. */
#include "gan/gan.h"
#include "support.h"

#include <math.h>

typedef struct job {
    ev_generator_options g;
    ev_discriminator_options d;
    ev_cyclegan_options o;
} job;

static void small(job *j)
{
    EV_OPTIONS_INIT(&j->g);
    EV_OPTIONS_INIT(&j->d);
    EV_OPTIONS_INIT(&j->o);
    j->g.base_width = 4;
    j->g.n_blocks = 1;
    j->d.base_width = 4;
    j->d.n_layers = 1;
    j->o.width = 16;
    j->o.batch_size = 2;
    j->o.pool_size = 3;
    j->o.generator = &j->g;
    j->o.discriminator = &j->d;
}

static ev_tensor *pictures(ev_context *ctx, int64_t n, uint64_t seed)
{
    const int64_t dims[4] = {n, 3, 16, 16};
    ev_tensor *t = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &t));
    t_fill(ev_tensor_data(t), (size_t)ev_tensor_count(t), seed);
    return t;
}

START_TEST(memory_is_known)
{
    t_hooks h = {0};
    ev_context *ctx = t_context(&h, 2);
    job j;
    ev_memory m;
    ev_cyclegan *gan = NULL;
    ev_cyclegan_losses l;
    small(&j);
    j.o.order = _i;
    EV_OPTIONS_INIT(&m);
    EV_OPTIONS_INIT(&l);
    uint64_t before = ev_context_memory_bytes(ctx);
    t_ok(ev_cyclegan_memory(ctx, &j.o, &m));
    ck_assert_uint_eq(ev_context_memory_bytes(ctx), before);
    t_ok(ev_cyclegan_create(ctx, NULL, NULL, &j.o, &gan));
    ck_assert_uint_eq(ev_context_memory_bytes(ctx) - before, m.total_bytes);
    ev_tensor *a = pictures(ctx, 2, 1), *b = pictures(ctx, 2, 2);
    long n = atomic_load(&h.n_allocs);
    for (int32_t i = 0; i < 5; i++) {
        t_ok(ev_cyclegan_step(gan, a, b, &l));
        printf("D %.4f %.4f G %.4f %.4f cycle %.4f %.4f idt %.4f %.4f\n", l.d_a, l.d_b, l.g_a,
               l.g_b, l.cycle_a, l.cycle_b, l.idt_a, l.idt_b);
    }
    ck_assert_int_eq(atomic_load(&h.n_allocs), n);
    ck_assert_int_eq(ev_cyclegan_steps(gan), 5);
    ev_cyclegan_destroy(gan);
    ev_tensor_destroy(a);
    ev_tensor_destroy(b);
    ev_context_destroy(ctx);
    ck_assert_int_eq(atomic_load(&h.n_live), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cyclegan: steps");
    TCase *c = tcase_create("steps");
    tcase_add_loop_test(c, memory_is_known, 0, 2);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(suite());
}
