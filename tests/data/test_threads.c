/* SPDX-License-Identifier: MIT */
/* Threads that cannot be made: the loader works with fewer, or alone.  Linked with --wrap, so that
 * the library's calls come here first. */
#include <edgevision/dataset.h>
#include <errno.h>
#include <pthread.h>
#include "support.h"

static int calls_left = -1; /* this many succeed, then all fail; -1: none fails */
static int n_failed;

static int fails(void)
{
    if (calls_left == 0) {
        n_failed++;
        return 1;
    }
    calls_left -= calls_left > 0;
    return 0;
}

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *arg)
{
    return fails() ? EAGAIN : __real_pthread_create(t, a, f, arg);
}

int __real_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *a);
int __wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *a);
int __wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *a)
{
    return fails() ? ENOMEM : __real_pthread_mutex_init(m, a);
}

int __real_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *a);
int __wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *a);
int __wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *a)
{
    return fails() ? ENOMEM : __real_pthread_cond_init(c, a);
}

static uint64_t sum_of(ev_context *ctx, ev_dataset *d)
{
    ev_loader_options opt;
    ev_loader *loader = NULL;
    ev_tensor *images = NULL;
    int32_t n = 0;
    uint64_t h = 0;
    EV_OPTIONS_INIT(&opt);
    opt.width = opt.height = 6;
    opt.batch_size = 4;
    opt.shuffle = 1;
    opt.n_threads = 4;
    t_ok(ev_loader_create(ctx, d, &opt, &loader));
    for (int epoch = 0; epoch < 3; epoch++) {
        t_ok(ev_loader_start_epoch(loader, epoch, 0));
        for (;;) {
            t_ok(ev_loader_next(loader, &images, NULL, NULL, &n));
            if (n == 0)
                break;
            const uint8_t *p = ev_tensor_data(images);
            for (uint64_t i = 0; i < ev_tensor_bytes(images); i++)
                h = (h ^ p[i]) * 1099511628211u;
        }
    }
    ev_loader_destroy(loader);
    return h;
}

START_TEST(fewer_threads)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_dataset *d = NULL;
    uint64_t seed = 2;
    t_ok(ev_dataset_create(ctx, 2, NULL, &d));
    for (int i = 0; i < 18; i++) {
        ev_image *image = NULL;
        t_ok(ev_image_create(ctx, 9, 5, EV_PIXEL_RGB, &image));
        for (int k = 0; k < 9 * 5 * 3; k++)
            ev_image_data(image)[k] = (uint8_t)t_random(&seed);
        t_ok(ev_dataset_add_image(d, image, i % 2, NULL));
        ev_image_destroy(image);
    }
    uint64_t want = sum_of(ctx, d);
    int runs = 0;
    for (bool failed = true; failed; runs++) {
        n_failed = 0;
        calls_left = runs;
        ck_assert(sum_of(ctx, d) == want);
        failed = n_failed > 0;
    }
    calls_left = -1;
    ck_assert_int_eq(runs, 3 + 4 + 1); /* lock, two conditions, four threads; then all is well */
    ev_dataset_destroy(d);
    ev_context_destroy(ctx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("threads");
    TCase *c = tcase_create("threads");
    tcase_add_test(c, fewer_threads);
    suite_add_tcase(s, c);
    return t_run(s);
}
