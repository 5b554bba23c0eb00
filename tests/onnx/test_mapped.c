/* SPDX-License-Identifier: MIT */
/* Models whose weights lie in their file, sealed models, and plans under a memory limit. */
#include "graph/graph.h"
#include "support.h"

#include <edgevision/edgevision.h>
#include <edgevision/session.h>

#define CLASSES 4

static char folder[T_PATH];

static const char *path_of(const char *name)
{
    static char path[T_PATH + 64];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* ---- a model of some 1.5 MiB, its file, its answer ------------------------------------------- */

static ev_status draw(ev_context *ctx, ev_model **out)
{
    const int64_t dims[4] = {-1, 3, 16, 16};
    ev_value x = 0;
    ev_status status = ev_model_create(ctx, out);
    if (status == EV_OK)
        status = ev_model_input(*out, "image", EV_TYPE_FLOAT32, 4, dims, &x);
    if (status == EV_OK)
        status = ev_model_conv2d(*out, x, 32, 3, NULL, &x);
    if (status == EV_OK)
        status = ev_model_batch_norm(*out, x, NULL, &x);
    if (status == EV_OK)
        status = ev_model_activation(*out, x, EV_ACTIVATION_RELU, 0, 0, &x);
    for (int32_t i = 0; i < 8 && status == EV_OK;
         i++) /* packed each for itself, or one at a time */
        status = ev_model_conv2d(*out, x, 32, 3, NULL, &x);
    if (status == EV_OK)
        status = ev_model_max_pool2d(*out, x, 2, NULL, &x);
    if (status == EV_OK)
        status = ev_model_flatten(*out, x, 1, &x);
    if (status == EV_OK)
        status = ev_model_dense(*out, x, 128, NULL, &x);
    if (status == EV_OK)
        status = ev_model_dense(*out, x, CLASSES, NULL, &x);
    if (status == EV_OK)
        status = ev_model_output(*out, "logits", x);
    return status == EV_OK ? ev_model_init(*out, 7) : status;
}

static void make_file(const char *name)
{
    ev_context *ctx = NULL;
    ev_model *m = NULL;
    t_ok(ev_context_create(NULL, &ctx));
    t_ok(draw(ctx, &m));
    t_ok(ev_model_save(m, path_of(name)));
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}

static ev_status answer_with(ev_context *ctx, ev_model *m, const ev_plan_options *opt,
                             float out[CLASSES])
{
    const int64_t dims[4] = {1, 3, 16, 16};
    ev_tensor *x = NULL;
    ev_plan *plan = NULL;
    ev_session *s = NULL;
    ev_status status = ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &x);
    for (int32_t i = 0; status == EV_OK && i < 3 * 16 * 16; i++)
        ((float *)ev_tensor_data(x))[i] = (float)(i * 37 % 101) / 50.0f - 1.0f;
    const ev_tensor *in = x;
    if (status == EV_OK)
        status = ev_plan_create(ctx, m, opt, &plan);
    if (status == EV_OK)
        status = ev_session_create(plan, &s);
    if (status == EV_OK)
        status = ev_session_run(s, &in, 1, NULL, 0);
    if (status == EV_OK)
        memcpy(out, ev_tensor_data((ev_tensor *)(uintptr_t)ev_session_output(s, 0)),
               CLASSES * sizeof(float));
    ev_session_destroy(s);
    ev_plan_destroy(plan);
    ev_tensor_destroy(x);
    return status;
}

static void answer(ev_context *ctx, ev_model *m, float out[CLASSES])
{
    t_ok(answer_with(ctx, m, NULL, out));
}

static ev_model *load(ev_context *ctx, const char *name, int32_t no_map)
{
    ev_load_options o;
    ev_model *m = NULL;
    EV_OPTIONS_INIT(&o);
    o.no_map = no_map;
    t_ok(ev_model_load(ctx, path_of(name), &o, &m));
    return m;
}

static ev_context *plain_context(void)
{
    ev_context *ctx = NULL;
    t_ok(ev_context_create(NULL, &ctx));
    return ctx;
}

/* ---- mapped ---------------------------------------------------------------------------------- */

START_TEST(weights_lie_in_the_file)
{
    ev_context *ctx = plain_context();
    float a[CLASSES], b[CLASSES];
    make_file("m.onnx");
    uint64_t before = ev_context_memory_bytes(ctx);
    ev_model *mapped = load(ctx, "m.onnx", 0);
    uint64_t with = ev_context_memory_bytes(ctx) - before;
    ev_model *read = load(ctx, "m.onnx", 1);
    ck_assert_ptr_nonnull(mapped->store->map);
    ck_assert_ptr_null(read->store->map);
    ck_assert_uint_lt(with, 100000);
    int32_t big = evi_store_find(mapped->store, "dense1.weight");
    const evi_real *w = evi_store_data(mapped->store, big);
    ck_assert(evi_mapping_holds(mapped->store->map, w));
    ck_assert_uint_eq((uintptr_t)w % 64, 0);
    answer(ctx, mapped, a);
    answer(ctx, read, b);
    ck_assert_mem_eq(a, b, sizeof a);
    answer(ctx, mapped, b); /* pages that went come back */
    ck_assert_mem_eq(a, b, sizeof a);
    ev_model_destroy(mapped);
    ev_model_destroy(read);
    ck_assert_uint_eq(ev_context_memory_bytes(ctx), before);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(writing_leaves_the_file_alone)
{
    ev_context *ctx = plain_context();
    float a[CLASSES], b[CLASSES];
    ev_tensor *w = NULL;
    make_file("m.onnx");
    ev_model *m = load(ctx, "m.onnx", 0), *again = NULL, *copy = NULL;
    answer(ctx, m, a);
    t_ok(ev_model_clone(m, &copy));
    ck_assert_ptr_nonnull(copy->store->map);
    ck_assert_ptr_null(copy->store->weights);
    t_ok(ev_model_weight(m, "dense2.bias", &w));
    ck_assert_ptr_nonnull(m->store->weights);
    ((float *)ev_tensor_data(w))[0] += 1;
    t_ok(ev_model_touch(m));
    answer(ctx, m, b);
    ck_assert_msg(b[0] > a[0] + 0.5f, "%g and %g", (double)a[0], (double)b[0]);
    again = load(ctx, "m.onnx", 0);
    answer(ctx, again, b);
    ck_assert_mem_eq(a, b, sizeof a);
    answer(ctx, copy, b);
    ck_assert_mem_eq(a, b, sizeof a);
    ev_tensor_destroy(w);
    ev_model_destroy(m);
    ev_model_destroy(again);
    ev_model_destroy(copy);
    ev_context_destroy(ctx);
}
END_TEST

/* A new file under the old name: those who have the old one keep it. */
START_TEST(saved_over_its_own_file)
{
    ev_context *ctx = plain_context();
    float a[CLASSES], b[CLASSES];
    make_file("m.onnx");
    ev_model *m = load(ctx, "m.onnx", 0);
    answer(ctx, m, a);
    t_ok(ev_model_save(m, path_of("m.onnx")));
    answer(ctx, m, b);
    ck_assert_mem_eq(a, b, sizeof a);
    ev_model *again = load(ctx, "m.onnx", 0);
    answer(ctx, again, b);
    ck_assert_mem_eq(a, b, sizeof a);
    ev_model_destroy(m);
    ev_model_destroy(again);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(a_callers_files_are_read)
{
    t_hooks h = {0};
    ev_context_options o;
    ev_context *ctx = NULL;
    make_file("m.onnx");
    t_options(&h, true, &o);
    t_ok(ev_context_create(&o, &ctx));
    ev_model *m = load(ctx, "m.onnx", 0);
    ck_assert_ptr_null(m->store->map);
    ck_assert_int_gt(h.n_calls[T_FILE_READ], 0);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(damage_is_found_in_mapped_files)
{
    ev_context *ctx = plain_context();
    ev_model *m = NULL;
    void *bytes = NULL;
    uint64_t n = 0, before = ev_context_memory_bytes(ctx);
    make_file("m.onnx");
    t_ok(evi_file_read(ctx, path_of("m.onnx"), (uint64_t)1 << 30, &bytes, &n));
    for (int32_t i = 1; i < 32; i++) {
        uint8_t *at = (uint8_t *)bytes + n / 32 * (uint64_t)i;
        *at ^= 4;
        t_ok(evi_file_write(ctx, path_of("bad.onnx"), bytes, n));
        *at ^= 4;
        t_status(ev_model_load(ctx, path_of("bad.onnx"), NULL, &m), EV_ERR_FORMAT);
        t_ok(evi_file_write(ctx, path_of("bad.onnx"), bytes, n / 2 + n / 64 * (uint64_t)i));
        t_status(ev_model_load(ctx, path_of("bad.onnx"), NULL, &m), EV_ERR_FORMAT);
    }
    evi_free(bytes);
    t_status(ev_model_load(ctx, folder, NULL, &m), EV_ERR_IO);
    ck_assert_uint_eq(ev_context_memory_bytes(ctx), before);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- sealed ---------------------------------------------------------------------------------- */

static void refused(ev_status status)
{
    ck_assert_int_eq(status, EV_ERR_STATE);
    ck_assert_msg(strstr(ev_last_error(), "ev_model_seal") != NULL, "%s", ev_last_error());
}

static ev_status train(ev_context *ctx, ev_model *m)
{
    ev_trainer *trainer = NULL;
    ev_train_options o;
    EV_OPTIONS_INIT(&o);
    o.batch_size = 2;
    ev_status status = ev_trainer_create(ctx, m, NULL, NULL, &o, &trainer);
    ev_trainer_destroy(trainer);
    return status;
}

static void check_sealed(ev_context *ctx, ev_model *m)
{
    float a[CLASSES], b[CLASSES];
    ev_tensor *w = NULL;
    ev_model *copy = NULL;
    void *bytes = NULL;
    uint64_t n = 0;
    answer(ctx, m, a);
    t_ok(ev_model_seal(m));
    t_ok(ev_model_seal(m));
    refused(ev_model_init(m, 1));
    refused(ev_model_weight(m, "dense2.bias", &w));
    refused(ev_model_touch(m));
    refused(ev_model_freeze(m, "", 1));
    ev_status status = train(ctx, m);
    if (status != EV_ERR_UNSUPPORTED)
        refused(status);
    for (int32_t i = 0; i < 3; i++) {
        answer(ctx, m, b);
        ck_assert_mem_eq(a, b, sizeof a);
    }
    t_ok(ev_model_save_memory(m, &bytes, &n));
    t_ok(ev_model_clone(m, &copy));
    ck_assert_int_ge(train(ctx, copy), EV_ERR_UNSUPPORTED);
    t_ok(ev_model_weight(copy, "dense2.bias", &w));
    ev_tensor_destroy(w);
    ev_bytes_destroy(bytes);
    ev_model_destroy(copy);
}

START_TEST(sealed_models_stay)
{
    ev_context *ctx = plain_context();
    make_file("m.onnx");
    ev_model *m = load(ctx, "m.onnx", _i);
    check_sealed(ctx, m);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

/* Sealing reaches the models that are called, and those that call a sealed one. */
START_TEST(sealing_goes_through_calls)
{
    const int64_t dims[4] = {-1, 3, 16, 16};
    ev_context *ctx = plain_context();
    ev_model *inner = NULL, *outer = NULL, *empty = NULL;
    ev_value x = 0, y = 0;
    t_ok(draw(ctx, &inner));
    t_ok(ev_model_create(ctx, &outer));
    t_ok(ev_model_input(outer, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_call(outer, inner, &x, 1, 0, &y, 1));
    t_ok(ev_model_output(outer, "logits", y));
    t_ok(ev_model_seal(outer));
    refused(ev_model_init(inner, 1));
    refused(ev_model_init(outer, 1));
    ev_status status = train(ctx, outer);
    if (status != EV_ERR_UNSUPPORTED)
        refused(status);
    t_ok(ev_model_create(ctx, &empty));
    t_ok(ev_model_input(empty, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_conv2d(empty, x, 4, 3, NULL, &x));
    t_status(ev_model_seal(empty), EV_ERR_STATE);
    t_ok(ev_model_init(empty, 1));
    ev_model_destroy(empty);
    ev_model_destroy(outer);
    ev_model_destroy(inner);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- short of memory ------------------------------------------------------------------------- */

static uint64_t plan_bytes(ev_context *ctx, ev_model *m, uint64_t *session_out)
{
    ev_memory need;
    ev_plan *plan = NULL;
    ev_session *s = NULL;
    EV_OPTIONS_INIT(&need);
    t_ok(ev_plan_memory(ctx, m, NULL, &need));
    uint64_t before = ev_context_memory_bytes(ctx);
    t_ok(ev_plan_create(ctx, m, NULL, &plan));
    uint64_t after = ev_context_memory_bytes(ctx);
    ck_assert_uint_eq(after - before, need.plan_bytes);
    t_ok(ev_session_create(plan, &s));
    ck_assert_uint_eq(ev_context_memory_bytes(ctx) - after, need.session_bytes);
    *session_out = need.session_bytes;
    ev_session_destroy(s);
    ev_plan_destroy(plan);
    return need.plan_bytes;
}

/* From a limit that all fits down to one that nothing fits: answers, or EV_ERR_MEMORY; what is
 * foretold is taken, and plans get smaller, never larger. */
START_TEST(plans_keep_to_the_limit)
{
    float want[CLASSES], got[CLASSES];
    ev_context *ctx = plain_context();
    make_file("m.onnx");
    ev_model *m = load(ctx, "m.onnx", 0);
    uint64_t session = 0, full = plan_bytes(ctx, m, &session), whole = full + session, last = full;
    uint64_t base = ev_context_memory_bytes(ctx);
    int32_t n_smaller = 0, n_refused = 0;
    answer(ctx, m, want);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    for (uint64_t limit = base + whole + 16384; limit > base; limit -= (whole + 16384) / 40) {
        ev_context_options o;
        ev_load_options l;
        EV_OPTIONS_INIT(&o);
        EV_OPTIONS_INIT(&l);
        o.memory_limit_bytes = limit;
        t_ok(ev_context_create(&o, &ctx));
        ev_status status = ev_model_load(ctx, path_of("m.onnx"), &l, &m);
        if (status == EV_OK)
            status = answer_with(ctx, m, NULL, got);
        if (status != EV_OK) {
            ck_assert_int_eq(status, EV_ERR_MEMORY);
            n_refused++;
        } else {
            uint64_t now = plan_bytes(ctx, m, &session);
            ck_assert_uint_le(now, last);
            n_smaller += now < full;
            last = now;
            for (int32_t i = 0; i < CLASSES; i++)
                ck_assert_msg(got[i] - want[i] < 1e-4f && want[i] - got[i] < 1e-4f, "%g and %g",
                              (double)got[i], (double)want[i]);
        }
        ev_model_destroy(m);
        m = NULL;
        ev_context_destroy(ctx);
    }
    ck_assert_int_gt(n_smaller, 0);
    ck_assert_int_gt(n_refused, 0);
}
END_TEST

/* ---- faults ---------------------------------------------------------------------------------- */

static ev_status whole_life(ev_context *ctx, void *arg)
{
    float out[CLASSES];
    ev_model *m = NULL, *copy = NULL;
    ev_tensor *w = NULL;
    (void)arg;
    ev_status status = ev_model_load(ctx, path_of("m.onnx"), NULL, &m);
    if (status == EV_OK)
        status = ev_model_clone(m, &copy);
    if (status == EV_OK)
        status = ev_model_seal(m);
    if (status == EV_OK)
        status = answer_with(ctx, m, NULL, out);
    if (status == EV_OK)
        status = ev_model_weight(copy, "conv1.bias", &w);
    if (status == EV_OK)
        status = answer_with(ctx, copy, NULL, out);
    ev_tensor_destroy(w);
    ev_model_destroy(m);
    ev_model_destroy(copy);
    return status;
}

START_TEST(every_allocation_may_fail)
{
    make_file("m.onnx");
    ck_assert_int_gt(t_each_alloc(whole_life, NULL, 1, 0), 50);
}
END_TEST

static void start(void)
{
    t_folder(folder);
}

static void end(void)
{
    t_folder_remove(folder);
}

int main(void)
{
    Suite *s = suite_create("mapped");
    TCase *c = tcase_create("mapped");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, start, end);
    tcase_add_test(c, weights_lie_in_the_file);
    tcase_add_test(c, writing_leaves_the_file_alone);
    tcase_add_test(c, saved_over_its_own_file);
    tcase_add_test(c, a_callers_files_are_read);
    tcase_add_test(c, damage_is_found_in_mapped_files);
    tcase_add_loop_test(c, sealed_models_stay, 0, 2);
    tcase_add_test(c, sealing_goes_through_calls);
    tcase_add_test(c, plans_keep_to_the_limit);
    tcase_add_test(c, every_allocation_may_fail);
    suite_add_tcase(s, c);
    return t_run(s);
}
