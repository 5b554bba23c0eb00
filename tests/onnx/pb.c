/* SPDX-License-Identifier: MIT */
#include "pb.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *pb_file(const char *path, size_t *n_bytes_out)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return NULL;
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    char *data = malloc((size_t)n + 1);
    if (data != NULL && fread(data, 1, (size_t)n, f) != (size_t)n) {
        free(data);
        data = NULL;
    }
    fclose(f);
    *n_bytes_out = (size_t)n;
    return data;
}

ev_tensor *pb_tensor(ev_context *ctx, const char *path)
{
    size_t n = 0;
    void *data = pb_file(path, &n);
    ev_tensor *out = NULL;
    evi_onnx_tensor t;
    evi_wire body;
    if (data == NULL)
        return NULL;
    evi_wire_start(&body, data, n);
    if (evi_onnx_tensor_parse(body, &t) == EV_OK)
        (void)evi_onnx_tensor_load(ctx, &t, &out);
    free(data);
    return out;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static double number(const ev_tensor *t, int64_t i)
{
    const void *data = ev_tensor_data(t);
    switch (ev_tensor_type(t)) {
    case EV_TYPE_FLOAT32: return (double)((const evi_real *)data)[i];
    case EV_TYPE_INT64: return (double)((const int64_t *)data)[i];
    case EV_TYPE_INT32: return ((const int32_t *)data)[i];
    case EV_TYPE_INT8: return ((const int8_t *)data)[i];
    default: return ((const uint8_t *)data)[i];
    }
}

pb_error pb_compare(const ev_tensor *got, const ev_tensor *want, double atol, double rtol)
{
    pb_error e = {0};
    if (got == NULL || want == NULL)
        e.reason = "an output is missing";
    else if (ev_tensor_type(got) != ev_tensor_type(want))
        e.reason = "another type";
    else if (ev_tensor_rank(got) != ev_tensor_rank(want))
        e.reason = "another rank";
    for (int32_t d = 0; e.reason == NULL && d < ev_tensor_rank(got); d++)
        if (ev_tensor_dim(got, d) != ev_tensor_dim(want, d))
            e.reason = "another shape";
    if (e.reason != NULL)
        return e;
    bool exact = ev_tensor_type(got) != EV_TYPE_FLOAT32;
    for (int64_t i = 0; i < ev_tensor_count(got); i++) {
        double a = number(got, i), b = number(want, i), diff = fabs(a - b);
        if (a == b || (isnan(a) && isnan(b)))
            diff = 0;
        double ratio = diff == 0 ? 0 : exact ? INFINITY : diff / (atol + rtol * fabs(b));
        if (!(ratio <= e.worst))
            e.worst = isnan(ratio) ? INFINITY : ratio;
        if (!(diff <= e.absolute))
            e.absolute = isnan(diff) ? INFINITY : diff;
        if (fabs(b) > e.peak)
            e.peak = fabs(b);
    }
    e.relative = e.absolute == 0 ? 0 : e.absolute / e.peak;
    return e;
}

/* ---- running a case -------------------------------------------------------------------------- */

typedef struct feeds {
    int32_t n;
    char name[PB_MAX][256];
    ev_tensor *value[PB_MAX];
} feeds;

static void end_feeds(feeds *f)
{
    for (int32_t i = 0; i < f->n; i++)
        ev_tensor_destroy(f->value[i]);
    f->n = 0;
}

/* Names of the inputs that are not initializers, in order, with the tensors of a data set. */
static void read_feeds(ev_context *ctx, const char *folder, int32_t set, feeds *f)
{
    char path[PB_PATH + 64];
    size_t n = 0;
    evi_onnx_file file;
    f->n = 0;
    snprintf(path, sizeof(path), "%s/model.onnx", folder);
    void *data = pb_file(path, &n);
    if (data == NULL || evi_onnx_parse(ctx, data, n, EVI_MAX_NODES, &file) != EV_OK) {
        free(data);
        return;
    }
    for (int32_t i = 0; i < file.n_inputs && f->n < PB_MAX; i++) {
        evi_span name = file.inputs[i].name;
        bool known = false;
        for (int32_t k = 0; k < file.n_initializers; k++)
            known = known || evi_span_equal(file.tensors[k].name, name);
        if (known || name.n > 255)
            continue;
        memcpy(f->name[f->n], name.at, name.n);
        f->name[f->n][name.n] = '\0';
        snprintf(path, sizeof(path), "%s/test_data_set_%d/input_%d.pb", folder, (int)set,
                 (int)f->n);
        f->value[f->n] = pb_tensor(ctx, path);
        f->n++;
    }
    evi_onnx_file_end(&file);
    free(data);
}

static bool shapes_depend(const feeds *f, int32_t i, int32_t level)
{
    const ev_tensor *t = f->value[i];
    if (t == NULL || level == 0)
        return false;
    return level == 2 || (i > 0 && ev_tensor_rank(t) <= 1);
}

static pb_ran on_run;
static void *on_run_user;

void pb_on_run(pb_ran fn, void *user)
{
    on_run = fn;
    on_run_user = user;
}

/* The model as our writer puts it. */
static ev_status save_and_load(ev_context *ctx, ev_model **model)
{
    void *bytes = NULL;
    uint64_t n = 0;
    ev_model *again = NULL;
    ev_status status = ev_model_save_memory(*model, &bytes, &n);
    if (status == EV_OK)
        status = ev_model_load_memory(ctx, bytes, n, NULL, &again);
    ev_bytes_destroy(bytes);
    ev_model_destroy(*model);
    *model = again;
    return status;
}

/* Load with what `level` binds, run, compare the outputs with those of the set. */
static ev_status run_set(ev_context *ctx, const char *folder, int32_t set, const feeds *f,
                         int32_t level, bool saved, double atol, double rtol, pb_case *out)
{
    char path[PB_PATH + 64];
    const char *names[PB_MAX];
    const ev_tensor *bound[PB_MAX], *fed[PB_MAX];
    int32_t n_bound = 0, n_fed = 0;
    for (int32_t i = 0; i < f->n; i++) {
        if (shapes_depend(f, i, level)) {
            names[n_bound] = f->name[i];
            bound[n_bound++] = f->value[i];
        } else {
            fed[n_fed++] = f->value[i];
        }
    }
    ev_load_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.n_bound = n_bound;
    opt.bound_names = names;
    opt.bound_values = bound;
    ev_model *model = NULL;
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    snprintf(path, sizeof(path), "%s/model.onnx", folder);
    ev_plan_options plan_opt;
    EV_OPTIONS_INIT(&plan_opt);
    ev_status status = ev_model_load(ctx, path, &opt, &model);
    if (status == EV_OK && saved)
        status = save_and_load(ctx, &model);
    for (int32_t i = 0; status == EV_OK && i < n_fed; i++) {
        int64_t dims[EV_MAX_RANK];
        if (ev_model_input_dims(model, i, dims) > 0 && dims[0] == -1 && fed[i] != NULL)
            plan_opt.max_batch = (int32_t)ev_tensor_dim(fed[i], 0);
    }
    if (status == EV_OK)
        status = ev_plan_create(ctx, model, &plan_opt, &plan);
    if (status == EV_OK)
        status = ev_session_create(plan, &session);
    if (status == EV_OK)
        status = ev_session_run(session, fed, n_fed, NULL, 0);
    if (status == EV_OK && on_run != NULL)
        on_run(on_run_user, model, fed, n_fed, session);
    for (int32_t i = 0; status == EV_OK && i < ev_model_n_outputs(model); i++) {
        snprintf(path, sizeof(path), "%s/test_data_set_%d/output_%d.pb", folder, (int)set, (int)i);
        ev_tensor *want = pb_tensor(ctx, path);
        pb_error e = pb_compare(ev_session_output(session, i), want, atol, rtol);
        if (e.reason != NULL)
            out->error.reason = e.reason;
        out->error.worst = EVI_MAX(out->error.worst, e.worst);
        out->error.absolute = EVI_MAX(out->error.absolute, e.absolute);
        out->error.relative = EVI_MAX(out->error.relative, e.relative);
        out->error.peak = EVI_MAX(out->error.peak, e.peak);
        ev_tensor_destroy(want);
    }
    out->n_bound = n_bound;
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    ev_model_destroy(model);
    return status;
}

void pb_run_case(ev_context *ctx, const char *folder, bool saved, double atol, double rtol,
                 pb_case *out)
{
    char path[PB_PATH + 64];
    memset(out, 0, sizeof(*out));
    for (int32_t set = 0;; set++) {
        feeds f;
        size_t n = 0;
        snprintf(path, sizeof(path), "%s/test_data_set_%d/output_0.pb", folder, (int)set);
        void *there = pb_file(path, &n);
        free(there);
        if (there == NULL)
            break;
        read_feeds(ctx, folder, set, &f);
        char first[512] = "";
        for (int32_t level = 0; level < 3; level++) {
            out->status = run_set(ctx, folder, set, &f, level, saved, atol, rtol, out);
            if (level == 0)
                snprintf(first, sizeof(first), "%s", ev_last_error());
            if (out->status == EV_OK)
                break;
        }
        end_feeds(&f);
        out->n_sets++;
        if (out->status != EV_OK) {
            snprintf(out->line, sizeof(out->line), "%s", first);
            return;
        }
    }
}
