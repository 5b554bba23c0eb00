/* SPDX-License-Identifier: MIT */
/* What is saved is what is loaded: the same outputs bit for bit, names, roles and metadata. */
#include "drawn.h"
#include "graph/graph.h"
#include "onnx/onnx.h"
#include "support.h"

static void same_runs(const drawn_run *a, const drawn_run *b, const char *name)
{
    ck_assert_msg(a->n_outputs == b->n_outputs, "%s: outputs", name);
    for (int32_t i = 0; i < a->n_outputs; i++) {
        ck_assert_str_eq(a->output_names[i], b->output_names[i]);
        ck_assert_msg(ev_tensor_bytes(a->outputs[i]) == ev_tensor_bytes(b->outputs[i]) &&
                          memcmp(ev_tensor_data(a->outputs[i]), ev_tensor_data(b->outputs[i]),
                                 ev_tensor_bytes(a->outputs[i])) == 0,
                      "%s: output %s differs", name, a->output_names[i]);
    }
}

static void same_weights(const ev_model *a, const ev_model *b, const char *name)
{
    const evi_store *s = a->store, *t = b->store;
    for (int32_t i = 0; i < s->n_params; i++) {
        int32_t k = evi_store_find(t, s->params[i].name);
        ck_assert_msg(k >= 0, "%s: weight %s is gone", name, s->params[i].name);
        ck_assert_msg(s->params[i].trainable == t->params[k].trainable &&
                          s->params[i].frozen == t->params[k].frozen,
                      "%s: role of %s", name, s->params[i].name);
        ck_assert(evi_shape_equal(&s->params[i].shape, &t->params[k].shape));
        ck_assert(memcmp(evi_store_data(s, i), evi_store_data(t, k),
                         (size_t)s->params[i].count * sizeof(evi_real)) == 0);
    }
    ck_assert_msg(ev_model_parameter_count(a) == ev_model_parameter_count(b), "%s: %lld and %lld",
                  name, (long long)ev_model_parameter_count(a),
                  (long long)ev_model_parameter_count(b));
}

/* Feeds of b are those of a with the labels left out. */
START_TEST(every_model)
{
    t_hooks h = {0};
    ev_context *ctx = t_context(&h, 1);
    ev_model *m = NULL, *again = NULL;
    drawn_run first, second;
    void *bytes = NULL;
    uint64_t n = 0;
    const char *name = drawn_at(_i)->name;
    t_ok(drawn_model(ctx, _i, &m));
    t_ok(drawn_run_model(ctx, m, 3, &first));
    t_ok(ev_model_save_memory(m, &bytes, &n));
    t_ok(ev_model_load_memory(ctx, bytes, n, NULL, &again));
    t_ok(drawn_run_model(ctx, again, 3, &second));
    same_runs(&first, &second, name);
    same_weights(m, again, name);
    ck_assert_str_eq(ev_model_meta(again, "note"), "drawn by a test");
    ck_assert_int_eq(ev_model_n_classes(again), 4);
    ck_assert_str_eq(ev_model_class_name(again, 1), "dog walker");
    ck_assert_ptr_null(ev_model_meta(again, EVI_META_ROLES));
    /* and once more: what was read is written in the same form */
    void *bytes2 = NULL, *bytes3 = NULL;
    uint64_t n2 = 0, n3 = 0;
    ev_model *third = NULL;
    t_ok(ev_model_save_memory(again, &bytes2, &n2));
    t_ok(ev_model_load_memory(ctx, bytes2, n2, NULL, &third));
    t_ok(ev_model_save_memory(third, &bytes3, &n3));
    ck_assert_msg(n2 == n3 && memcmp(bytes2, bytes3, n2) == 0, "%s: saving is not stable", name);
    drawn_run_end(&first);
    drawn_run_end(&second);
    ev_bytes_destroy(bytes);
    ev_bytes_destroy(bytes2);
    ev_bytes_destroy(bytes3);
    ev_model_destroy(m);
    ev_model_destroy(again);
    ev_model_destroy(third);
    ev_context_destroy(ctx);
    ck_assert_int_eq(h.n_live, 0);
}
END_TEST

/* ---- single promises ------------------------------------------------------------------------- */

START_TEST(losses_and_labels_are_left_out)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = NULL, *again = NULL;
    void *bytes = NULL;
    uint64_t n = 0;
    t_ok(drawn_model(ctx, drawn_find("calls"), &m));
    ck_assert_int_eq(ev_model_n_inputs(m), 2);
    t_ok(ev_model_save_memory(m, &bytes, &n));
    t_ok(ev_model_load_memory(ctx, bytes, n, NULL, &again));
    ck_assert_int_eq(ev_model_n_inputs(again), 1);
    ck_assert_int_eq(ev_model_n_outputs(again), 3);
    int32_t shared = 0, frozen = 0; /* one copy of what is shared; what is frozen stays so */
    for (int32_t i = 0; i < again->store->n_params; i++) {
        const evi_param *p = &again->store->params[i];
        shared += strstr(p->name, "inner.weight") != NULL;
        frozen += strstr(p->name, "critic.") != NULL && p->frozen;
    }
    ck_assert_int_eq(shared, 1);
    ck_assert_int_eq(frozen, 2);
    ev_bytes_destroy(bytes);
    ev_model_destroy(m);
    ev_model_destroy(again);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(weights_are_aligned)
{
    ev_context *ctx = t_context(NULL, 1);
    for (int32_t i = 0; drawn_at(i) != NULL; i++) {
        ev_model *m = NULL;
        void *bytes = NULL;
        uint64_t n = 0;
        evi_onnx_file file;
        t_ok(drawn_model(ctx, i, &m));
        t_ok(ev_model_save_memory(m, &bytes, &n));
        t_ok(evi_onnx_parse(ctx, bytes, n, EVI_MAX_NODES, &file));
        ck_assert_int_eq(file.opset, 17);
        for (int32_t k = 0; k < file.n_initializers; k++) {
            const evi_wire *raw = &file.tensors[k].raw;
            if (evi_wire_left(raw) >= 64)
                ck_assert_int_eq((raw->at - (const uint8_t *)bytes) % 64, 0);
        }
        evi_onnx_file_end(&file);
        ev_bytes_destroy(bytes);
        ev_model_destroy(m);
    }
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(files)
{
    char dir[T_PATH], path[T_PATH];
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = NULL, *again = NULL;
    drawn_run first, second;
    t_folder(dir);
    t_path(path, dir, "model.onnx");
    t_ok(drawn_model(ctx, drawn_find("conv"), &m));
    t_ok(ev_model_save(m, path));
    t_ok(ev_model_save(m, path)); /* over the old one */
    t_ok(ev_model_load(ctx, path, NULL, &again));
    t_ok(drawn_run_model(ctx, m, 1, &first));
    t_ok(drawn_run_model(ctx, again, 1, &second));
    same_runs(&first, &second, "conv");
    ev_load_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.max_file_bytes = 100;
    ev_model *none = NULL;
    t_status(ev_model_load(ctx, path, &opt, &none), EV_ERR_FORMAT);
    EV_OPTIONS_INIT(&opt);
    opt.max_nodes = 2;
    t_status(ev_model_load(ctx, path, &opt, &none), EV_ERR_UNSUPPORTED);
    t_status(ev_model_load(ctx, t_path(path, dir, "none.onnx"), NULL, &none), EV_ERR_IO);
    t_status(ev_model_save(m, "/nowhere/at/all.onnx"), EV_ERR_IO);
    drawn_run_end(&first);
    drawn_run_end(&second);
    ev_model_destroy(m);
    ev_model_destroy(again);
    ev_context_destroy(ctx);
    t_folder_remove(dir);
}
END_TEST

/* Each file call fails in turn: an error with the path, and the old file is as it was. */
START_TEST(faults_of_files)
{
    char dir[T_PATH], path[T_PATH];
    size_t n_old = 0, n_now = 0;
    t_folder(dir);
    t_path(path, dir, "model.onnx");
    ev_context *plain = t_context(NULL, 1);
    ev_model *m = NULL, *none = NULL;
    t_ok(drawn_model(plain, drawn_find("shapes"), &m));
    t_ok(ev_model_save(m, path));
    ev_model_destroy(m);
    char *old = t_read(path, &n_old);
    ev_status status = EV_ERR_IO;
    long k = 1;
    for (; status != EV_OK; k++) {
        t_hooks h = {.fail_kind = T_FILE_ANY, .fail_call = k};
        ev_context_options opt;
        ev_context *ctx = NULL;
        t_options(&h, true, &opt);
        t_ok(ev_context_create(&opt, &ctx));
        t_ok(drawn_model(ctx, drawn_find("norms"), &m));
        status = ev_model_save(m, path);
        ev_model_destroy(m);
        ev_context_destroy(ctx);
        ck_assert_int_eq(h.n_live, 0);
        ck_assert(status == EV_OK || status == EV_ERR_IO);
        if (status == EV_OK)
            break;
        ck_assert_ptr_nonnull(strstr(ev_last_error(), path));
        char *now = t_read(path, &n_now);
        bool same = n_now == n_old && memcmp(now, old, n_old) == 0;
        t_ok(ev_model_load(plain, path, NULL, &none)); /* old or new, it is whole */
        ck_assert(same || ev_model_n_weights(none) > 0); /* after the rename it is the new one */
        ev_model_destroy(none);
        free(now);
    }
    ck_assert_int_gt(k, 5);
    free(old);
    ev_context_destroy(plain);
    t_folder_remove(dir);
}
END_TEST

START_TEST(arguments)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = NULL, *none = NULL;
    void *bytes = NULL;
    uint64_t n = 0;
    ev_value x;
    const int64_t dims[2] = {-1, 3};
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "x", EV_TYPE_FLOAT32, 2, dims, &x));
    t_ok(ev_model_dense(m, x, 2, NULL, &x));
    t_ok(ev_model_output(m, "y", x));
    t_status(ev_model_save_memory(m, &bytes, &n), EV_ERR_STATE); /* no weights yet */
    t_status(ev_model_save_memory(NULL, &bytes, &n), EV_ERR_ARGUMENT);
    t_status(ev_model_save_memory(m, NULL, &n), EV_ERR_ARGUMENT);
    t_status(ev_model_save_memory(m, &bytes, NULL), EV_ERR_ARGUMENT);
    t_status(ev_model_save(m, NULL), EV_ERR_ARGUMENT);
    t_status(ev_model_load(ctx, NULL, NULL, &none), EV_ERR_ARGUMENT);
    t_status(ev_model_load(NULL, "x", NULL, &none), EV_ERR_ARGUMENT);
    t_status(ev_model_load(ctx, "x", NULL, NULL), EV_ERR_ARGUMENT);
    t_status(ev_model_load_memory(ctx, NULL, 3, NULL, &none), EV_ERR_ARGUMENT);
    t_status(ev_model_load_memory(ctx, "", 0, NULL, &none), EV_ERR_FORMAT);
    ev_bytes_destroy(NULL);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("onnx round trips");
    TCase *c = tcase_create("round trips");
    int n = 0;
    while (drawn_at(n) != NULL)
        n++;
    tcase_add_loop_test(c, every_model, 0, n);
    tcase_add_test(c, losses_and_labels_are_left_out);
    tcase_add_test(c, weights_are_aligned);
    tcase_add_test(c, files);
    tcase_add_test(c, faults_of_files);
    tcase_add_test(c, arguments);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(suite());
}
