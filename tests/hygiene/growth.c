/* SPDX-License-Identifier: MIT */
/* Memory that is given back: thousands of objects made and ended, thousands of runs. */
#include "hygiene.h"

#include <limits.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* they keep freed blocks for a while */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#define TIMES 500
#define GROWTH LONG_MAX
#define THREADS_GROWTH LONG_MAX
#else
#define TIMES 10000
#define GROWTH (128 << 10) /* the C library takes its memory in steps of some 70 KB */
#define THREADS_GROWTH (1 << 20)
#endif

typedef void (*round_fn)(api_world *w);

static void tensors(api_world *w)
{
    ev_tensor *t = NULL, *view = NULL;
    t_ok(ev_tensor_create(w->ctx, EV_TYPE_FLOAT32, 4, w->dims, &t));
    t_ok(ev_tensor_view(t, 0, 1, -1, NULL, &view));
    ev_tensor_destroy(t);
    ev_tensor_destroy(view);
}

static void images(api_world *w)
{
    ev_image *a = NULL, *b = NULL;
    t_ok(ev_image_decode(w->ctx, w->picture, w->n_picture, NULL, &a));
    t_ok(ev_image_resize(a, 5, 7, 0, &b));
    ev_image_destroy(a);
    ev_image_destroy(b);
}

static void datasets(api_world *w)
{
    ev_dataset *d = NULL, *part = NULL;
    ev_loader *loader = NULL;
    ev_loader_options o;
    EV_OPTIONS_INIT(&o);
    o.width = o.height = 8;
    o.n_threads = -1;
    t_ok(ev_dataset_create(w->ctx, 2, NULL, &d));
    t_ok(ev_dataset_add_image(d, w->image, 1, "g"));
    t_ok(ev_dataset_subset(d, 0.5, 1, &part));
    t_ok(ev_loader_create(w->ctx, part, &o, &loader));
    ev_loader_destroy(loader);
    ev_dataset_destroy(part);
    ev_dataset_destroy(d);
}

static void models(api_world *w)
{
    ev_model *m = NULL;
    ev_plan *plan = NULL;
    ev_session *s = NULL;
    t_ok(ev_model_load_memory(w->ctx, w->model_bytes, w->n_model_bytes, NULL, &m));
    t_ok(ev_plan_create(w->ctx, m, NULL, &plan));
    t_ok(ev_session_create(plan, &s));
    ev_session_destroy(s);
    ev_plan_destroy(plan);
    ev_model_destroy(m);
}

static void trainers(api_world *w)
{
    ev_trainer *t = NULL;
    ev_metrics *metrics = NULL;
    ev_train_options o;
    EV_OPTIONS_INIT(&o);
    o.batch_size = 2;
    t_ok(ev_trainer_create(w->ctx, w->model, NULL, NULL, &o, &t));
    t_ok(ev_trainer_step(t, w->feeds, 2, NULL, 0));
    t_ok(ev_metrics_create(w->ctx, 2, 0, &metrics));
    t_ok(ev_metrics_add(metrics, w->logits, w->labels, NULL));
    ev_metrics_destroy(metrics);
    ev_trainer_destroy(t);
}

static void contexts(api_world *w)
{
    ev_context *ctx = NULL;
    ev_context_options o;
    ev_plan *plan = NULL;
    ev_session *s = NULL;
    EV_OPTIONS_INIT(&o);
    ev_tensor *one = NULL;
    t_ok(ev_tensor_view(w->tensor, 0, 1, -1, NULL, &one));
    w->inputs[2] = one;
    o.n_threads = 3; /* with a run, so that the threads are made too */
    t_ok(ev_context_create(&o, &ctx));
    t_ok(ev_plan_create(ctx, w->model, NULL, &plan));
    t_ok(ev_session_create(plan, &s));
    t_ok(ev_session_run(s, w->inputs + 2, 1, NULL, 0));
    ev_session_destroy(s);
    ev_plan_destroy(plan);
    ev_context_destroy(ctx);
    ev_tensor_destroy(one);
}

static void runs(api_world *w)
{
    t_ok(ev_session_run(w->session, w->inputs, 1, w->outputs, 1));
    t_ok(ev_session_run(w->session, w->inputs, 1, NULL, 0));
}

static void errors(api_world *w)
{
    ev_model *m = NULL;
    t_status(ev_model_load_memory(w->ctx, w->model_bytes, w->n_model_bytes / 2, NULL, &m),
             EV_ERR_FORMAT);
}

static long growth(round_fn round, api_world *w, int32_t times)
{
    for (int32_t i = 0; i < times / 5; i++)
        round(w);
    long before = hygiene_resident();
    uint64_t held = ev_context_memory_bytes(w->ctx);
    for (int32_t i = 0; i < times; i++)
        round(w);
    ck_assert_uint_eq(ev_context_memory_bytes(w->ctx), held);
    return hygiene_resident() - before;
}

static const struct {
    const char *name;
    round_fn round;
    bool trains;
} rounds[] = {{"tensors", tensors, false},   {"images", images, false},
              {"datasets", datasets, false}, {"models", models, false},
              {"trainers", trainers, true},  {"contexts", contexts, false},
              {"runs", runs, false},         {"errors", errors, false}};

START_TEST(nothing_grows)
{
    api_world w;
    hygiene_world(1, &w);
    if (rounds[_i].trains && api_no_training())
        return;
    /* threads come with stacks and arenas that the C library keeps for the next ones */
    long limit = rounds[_i].round == contexts ? THREADS_GROWTH : GROWTH;
    long more = growth(rounds[_i].round, &w, TIMES);
    ck_assert_msg(more <= limit, "%s: %ld bytes more after %d rounds", rounds[_i].name, more,
                  TIMES);
    api_world_end(&w);
}
END_TEST

static void leaks(api_world *w)
{
    (void)w;
    char *p = malloc(32 << 10);
    memset(p, 1, 32 << 10);
    __asm__ volatile("" : : "r"(p) : "memory");
}

START_TEST(a_leak_is_noticed)
{
    api_world w;
    hygiene_world(1, &w);
    long more = growth(leaks, &w, 100);
    ck_assert(more > 1 << 20);
    _exit(0); /* the leak is on purpose */
}
END_TEST

TCase *growth_case(void)
{
    TCase *c = tcase_create("growth");
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, nothing_grows, 0, sizeof(rounds) / sizeof(rounds[0]));
    tcase_add_test(c, a_leak_is_noticed);
    return c;
}
