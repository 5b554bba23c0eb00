/* SPDX-License-Identifier: MIT */
/* Histories of made pictures. */
#include "gan/gan.h"
#include "support.h"

static const int64_t picture[3] = {1, 1, 2};

/* Pictures first, first + 1 ...: both elements of a picture are its number. */
static ev_tensor *made(ev_context *ctx, int64_t n, int32_t first)
{
    const int64_t dims[4] = {n, 1, 1, 2};
    ev_tensor *t = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &t));
    evi_real *to = ev_tensor_data(t);
    for (int64_t i = 0; i < 2 * n; i++)
        to[i] = (evi_real)(first + i / 2);
    return t;
}

static int32_t given(const evi_gan_pool *p, int64_t i)
{
    const evi_real *from = ev_tensor_data(p->given);
    ck_assert(from[2 * i] == from[2 * i + 1]);
    return (int32_t)from[2 * i];
}

static evi_gan_pool start(ev_context *ctx, int32_t capacity, int32_t batch, uint64_t seed)
{
    evi_gan_pool p;
    t_ok(evi_gan_pool_start(ctx, &p, capacity, batch, picture, (evi_rng){seed, 1}));
    return p;
}

static void swap(evi_gan_pool *p, const ev_tensor *x, int64_t total_steps)
{
    evi_gan_pool_choose(p, x, total_steps);
    evi_gan_pool_keep(p, x);
}

/* The first ones come back at once; then about half of what comes back is older, each picture at
 * most once, since the new one takes its place. */
START_TEST(fills_then_gives_older_ones)
{
    enum { STEPS = 2000, CAPACITY = 10 };
    ev_context *ctx = t_context(NULL, 1);
    evi_gan_pool p = start(ctx, CAPACITY, 1, 1);
    bool seen[STEPS] = {false};
    int32_t n_older = 0;
    for (int32_t i = 0; i < STEPS; i++) {
        ev_tensor *x = made(ctx, 1, i);
        swap(&p, x, i);
        ck_assert_int_eq(p.count, EVI_MIN(i + 1, CAPACITY));
        int32_t k = given(&p, 0);
        ck_assert(i >= CAPACITY || k == i);
        ck_assert(k <= i);
        n_older += k < i;
        ck_assert(k == i || k < CAPACITY || !seen[k]); /* the first ones once more */
        seen[k] = true;
        ev_tensor_destroy(x);
    }
    ck_assert_int_gt(n_older, STEPS * 45 / 100);
    ck_assert_int_lt(n_older, STEPS * 55 / 100);
    evi_gan_pool_end(&p);
    ev_context_destroy(ctx);
}
END_TEST

/* A batch is as so many single pictures, but for the coins; also one larger than the history. */
START_TEST(batches)
{
    enum { BATCH = 16, CAPACITY = 3 };
    ev_context *ctx = t_context(NULL, 1);
    evi_gan_pool p = start(ctx, CAPACITY, BATCH, 2);
    int32_t model[CAPACITY] = {0}, count = 0, n_same_batch = 0;
    for (int32_t step = 0; step < 50; step++) {
        int64_t n = step % 3 == 0 ? 5 : BATCH;
        ev_tensor *x = made(ctx, n, step * BATCH);
        evi_gan_pool_choose(&p, x, step);
        ck_assert_int_eq(ev_tensor_dim(p.given, 0), n);
        for (int64_t i = 0; i < n; i++) {
            int32_t slot = p.slots[i], want = step * BATCH + (int32_t)i;
            if (slot >= 0 && slot < count) {
                int32_t old = model[slot];
                n_same_batch += old >= step * BATCH;
                ck_assert_int_eq(given(&p, i), old);
            } else {
                ck_assert_int_eq(given(&p, i), want);
                count += slot >= 0;
            }
            if (slot >= 0)
                model[slot] = want;
        }
        evi_gan_pool_keep(&p, x);
        ck_assert_int_eq(p.count, count);
        for (int32_t k = 0; k < count; k++)
            ck_assert_int_eq((int32_t)p.pictures[2 * k], model[k]);
        ev_tensor_destroy(x);
    }
    ck_assert_int_gt(n_same_batch, 10);
    evi_gan_pool_end(&p);
    ev_context_destroy(ctx);
}
END_TEST

/* Choosing changes nothing; the same step gives the same pictures again. */
START_TEST(can_be_called_off)
{
    ev_context *ctx = t_context(NULL, 1);
    evi_gan_pool p = start(ctx, 4, 2, 3), q = start(ctx, 4, 2, 3);
    for (int32_t i = 0; i < 30; i++) {
        ev_tensor *x = made(ctx, 2, 2 * i), *other = made(ctx, 2, 1000);
        evi_gan_pool_choose(&p, other, i);
        swap(&p, x, i);
        swap(&q, x, i);
        ck_assert_int_eq(given(&p, 0), given(&q, 0));
        ck_assert_int_eq(given(&p, 1), given(&q, 1));
        ck_assert_int_eq(memcmp(p.pictures, q.pictures, (size_t)p.count * 2 * sizeof(evi_real)), 0);
        ev_tensor_destroy(x);
        ev_tensor_destroy(other);
    }
    evi_gan_pool_end(&p);
    evi_gan_pool_end(&q);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(no_history)
{
    ev_context *ctx = t_context(NULL, 1);
    evi_gan_pool p = start(ctx, 0, 2, 4);
    for (int32_t i = 0; i < 20; i++) {
        ev_tensor *x = made(ctx, 2, i);
        swap(&p, x, i);
        ck_assert_int_eq(given(&p, 0), i);
        ck_assert_int_eq(given(&p, 1), i + 1);
        ck_assert_int_eq(p.count, 0);
        ev_tensor_destroy(x);
    }
    evi_gan_pool_end(&p);
    ev_context_destroy(ctx);
}
END_TEST

static ev_status start_and_end(ev_context *ctx, void *arg)
{
    evi_gan_pool p;
    (void)arg;
    uint64_t before = ev_context_memory_bytes(ctx);
    ev_status status = evi_gan_pool_start(ctx, &p, 3, 2, picture, (evi_rng){1, 1});
    if (status == EV_OK)
        ck_assert_uint_eq(ev_context_memory_bytes(ctx) - before, evi_gan_pool_bytes(3, 2, picture));
    evi_gan_pool_end(&p);
    return status;
}

START_TEST(allocations_fail)
{
    ck_assert_int_gt(t_each_alloc(start_and_end, NULL, 1, 0), 3);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cyclegan: histories");
    TCase *c = tcase_create("pool");
    tcase_add_test(c, fills_then_gives_older_ones);
    tcase_add_test(c, batches);
    tcase_add_test(c, can_be_called_off);
    tcase_add_test(c, no_history);
    tcase_add_test(c, allocations_fail);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(suite());
}
