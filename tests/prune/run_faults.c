/* SPDX-License-Identifier: MIT */
/* Pruning runs that are refused, and runs that find no memory. */
#include "run_case.h"
#include <math.h>

static void refused(const ev_prune_options *o, ev_model *m, ev_dataset *set, ev_status status,
                    const char *word)
{
    ev_model *out = NULL;
    ev_prune_report *report = NULL;
    t_status(ev_prune_run(rc_ctx, m, set, rc_valid, o, &out, &report), status);
    ck_assert_ptr_null(out);
    ck_assert_msg(strstr(ev_last_error(), word) != NULL, "no '%s' in: %s", word, ev_last_error());
    ev_prune_report_destroy(report);
}

START_TEST(bad_options)
{
    rc_job j;
    rc_usual(&j)->o.goal.amount = 1;
    refused(&j.o, rc_trained, rc_train, EV_ERR_ARGUMENT, "goal.ratio");
    rc_usual(&j)->o.goal = (ev_prune_goal){0};
    refused(&j.o, rc_trained, rc_train, EV_ERR_ARGUMENT, "neither a goal");
    rc_usual(&j)->o.goal.ratio = 1.5;
    refused(&j.o, rc_trained, rc_train, EV_ERR_ARGUMENT, "goal.ratio");
    rc_usual(&j)->o.schedule = EV_PRUNE_SCHEDULE_CALLBACK;
    refused(&j.o, rc_trained, rc_train, EV_ERR_ARGUMENT, "schedule_fn");
    rc_usual(&j)->o.distill = 2;
    refused(&j.o, rc_trained, rc_train, EV_ERR_ARGUMENT, "distill");
    rc_usual(&j)->t.momentum = 2;
    refused(&j.o, rc_trained, rc_train, EV_ERR_ARGUMENT, "momentum");
    rc_usual(&j)->o.goal.ratio = 1e-4;
    refused(&j.o, rc_trained, rc_train, EV_ERR_GOAL, "");
}
END_TEST

START_TEST(bad_models)
{
    static const char *const all[] = {"*"};
    rc_job j;
    ev_tensor *w = NULL;
    ev_dataset *many = rc_pictures(rc_ctx, 20, RC_CLASSES + 1, 3);
    refused(&rc_usual(&j)->o, rc_trained, many, EV_ERR_SHAPE, "4 classes");
    rc_usual(&j)->p.protected_layers = all;
    j.p.n_protected = 1;
    refused(&j.o, rc_trained, rc_train, EV_ERR_GOAL, "conv1");
    ev_model *sealed = NULL;
    t_ok(ev_model_clone(rc_trained, &sealed));
    t_ok(ev_model_seal(sealed));
    refused(&rc_usual(&j)->o, sealed, rc_train, EV_ERR_STATE, "sealed");
    ev_model_destroy(sealed);
    t_ok(ev_model_weight(rc_trained, "conv2.weight", &w));
    ((evi_real *)ev_tensor_data(w))[5] = (evi_real)NAN;
    t_ok(ev_model_touch(rc_trained));
    ev_tensor_destroy(w);
    refused(&rc_usual(&j)->o, rc_trained, rc_train, EV_ERR_DIVERGED, "conv2");
    ev_dataset_destroy(many);
}
END_TEST

typedef struct tiny {
    const void *model;
    uint64_t n_bytes;
    const char *folder; /* NULL: none */
} tiny;

static ev_status tiny_run(ev_context *c, const tiny *t)
{
    rc_job j;
    ev_model *m = NULL, *out = NULL;
    ev_prune_report *report = NULL;
    ev_dataset *set = NULL;
    ev_tensor *images = NULL;
    const int64_t dims[4] = {4, 3, RC_SIDE, RC_SIDE};
    const int32_t labels[4] = {0, 1, 2, 0};
    char *text = NULL;
    rc_usual(&j)->o.n_steps = 1;
    j.o.final_epochs = 1;
    j.o.distill = 0.5;
    j.o.no_controls = 0;
    j.t.batch_size = 4;
    j.t.cache_bytes = -1;
    j.o.folder = t->folder;
    ev_status status = ev_model_load_memory(c, t->model, t->n_bytes, NULL, &m);
    if (status == EV_OK)
        status = ev_tensor_create(c, EV_TYPE_UINT8, 4, dims, &images);
    if (status == EV_OK)
        status = ev_dataset_from_tensor(c, images, labels, RC_CLASSES, NULL, &set);
    if (status == EV_OK)
        status = ev_prune_run(c, m, set, set, &j.o, &out, &report);
    if (status == EV_OK)
        status = ev_prune_report_describe(report, EV_DESCRIBE_JSON, &text);
    ev_string_destroy(text);
    ev_prune_report_destroy(report);
    ev_model_destroy(out);
    ev_dataset_destroy(set);
    ev_tensor_destroy(images);
    ev_model_destroy(m);
    return status;
}

/* The k-th allocation fails, all_after: all later ones too.  Gives how many there were. */
static long fault_run(const tiny *t, long k, bool all_after)
{
    t_hooks h = {.fail_alloc = k, .fail_all_after = all_after};
    ev_context_options o;
    ev_context *c = NULL;
    t_options(&h, false, &o);
    ev_status status = ev_context_create(&o, &c);
    if (status == EV_OK)
        status = tiny_run(c, t);
    ev_context_destroy(c);
    if (status != EV_OK && status != EV_ERR_MEMORY)
        ck_abort_msg("allocation %ld: %s: %s", k, ev_status_name(status), ev_last_error());
    ck_assert_msg(h.n_live == 0, "allocation %ld: %ld blocks left", k, (long)h.n_live);
    return h.n_allocs;
}

/* Every so many allocations fail, without a folder and with one in which the run then goes on. */
START_TEST(each_allocation)
{
    char folder[T_PATH];
    void *data = NULL;
    tiny t = {0};
    t_ok(ev_model_save_memory(rc_trained, &data, &t.n_bytes));
    t.model = data;
    long all = fault_run(&t, 0, false);
    for (long k = 1; k <= all; k += 1 + all / 400)
        (void)fault_run(&t, k, k % 2 == 0);
    for (long k = 2; k <= all; k += 1 + all / 6) {
        t_folder(folder);
        t.folder = folder;
        (void)fault_run(&t, k, k % 2 == 0);
        (void)fault_run(&t, 0, false);
        t_folder_remove(folder);
    }
    ev_bytes_destroy(data);
}
END_TEST

/* A disk that fails at some call: the run says so, and goes on from what is there to the end that
 * it would have come to.  Removing may fail unnoticed. */
START_TEST(each_file_call)
{
    static const int32_t kinds[] = {T_FILE_OPEN, T_FILE_WRITE, T_FILE_SYNC, T_FILE_RENAME};
    char folder[T_PATH];
    uint32_t want = 0;
    for (long k = 0; k < 40; k = k == 0 ? 1 : k + 2) {
        rc_job j;
        ev_model *out = NULL;
        t_hooks h = {.fail_kind = kinds[_i], .fail_call = k};
        ev_context *c = t_context(&h, 1);
        rc_usual(&j)->o.n_steps = 2;
        j.o.final_epochs = 1;
        j.o.no_controls = 0;
        j.o.folder = folder;
        t_folder(folder);
        ev_status status = ev_prune_run(c, rc_trained, rc_train, rc_valid, &j.o, &out, NULL);
        bool failed = status != EV_OK;
        ck_assert_msg(!failed || status == EV_ERR_IO, "%ld: %s", k, ev_last_error());
        ck_assert(!failed || out == NULL);
        if (failed)
            t_ok(ev_prune_run(c, rc_trained, rc_train, rc_valid, &j.o, &out, NULL));
        want = k == 0 ? rc_crc(out) : want;
        ck_assert_uint_eq(rc_crc(out), want);
        ev_model_destroy(out);
        ev_context_destroy(c);
        ck_assert_int_eq(h.n_live, 0);
        t_folder_remove(folder);
        if (k > 0 && h.n_calls[kinds[_i]] < k)
            break;
    }
}
END_TEST

/* What cannot be leaves a folder as it was. */
START_TEST(nothing_is_overwritten)
{
    char folder[T_PATH], path[T_PATH];
    rc_job j;
    size_t n = 0;
    t_folder(folder);
    t_write(t_path(path, folder, "model.onnx"), "mine", 4);
    rc_usual(&j)->o.folder = folder;
    j.o.goal.ratio = 1e-4;
    refused(&j.o, rc_trained, rc_train, EV_ERR_GOAL, "conv2");
    char *text = t_read(path, &n);
    ck_assert_str_eq(text, "mine");
    free(text);
    ck_assert(!t_exists(t_path(path, folder, "state.safetensors")));
    ck_assert(!t_exists(t_path(path, folder, "report.json")));
    t_folder_remove(folder);
}
END_TEST

void rc_add_faults(TCase *c)
{
    tcase_add_test(c, bad_options);
    tcase_add_test(c, bad_models);
    tcase_add_test(c, nothing_is_overwritten);
    tcase_add_loop_test(c, each_file_call, 0, 4);
    tcase_add_test(c, each_allocation);
}
