/* SPDX-License-Identifier: MIT */
/* Sessions as the caller sees them: checked runs, results, times. */
#include "graph/plan.h"
#include "ops/peak.h"

#include <stdio.h>
#include <string.h>

/* ---- runs ------------------------------------------------------------------------------------ */

static ev_status check_versions(const ev_plan *plan)
{
    for (int32_t i = 0; i < plan->n_stores && !plan->training; i++)
        if (atomic_load(&plan->stores[i]->version) != plan->versions[i])
            return evi_fail(EV_ERR_STALE,
                            "ev_session_run: the weights have changed since the plan was "
                            "made; make a new one");
    return EV_OK;
}

static ev_status check_input(const ev_plan *plan, int32_t i, const ev_tensor *t, int64_t *batch)
{
    const evi_flat_value *v = &plan->values[plan->inputs[i]];
    const char *name = plan->model->inputs[i].name;
    EVI_TRY(evi_check_handle(t, EVI_MAGIC_TENSOR, "ev_session_run", name));
    if (t->type != v->edge.type)
        return evi_fail(EV_ERR_SHAPE, "ev_session_run: input '%s' is %s, not %s", name,
                        ev_type_name(t->type), ev_type_name(v->edge.type));
    evi_shape want = v->edge.shape;
    int64_t n = want.rank > 0 && t->shape.rank > 0 ? t->shape.dim[0] : 0;
    if (v->per_image && n >= 1 && n <= want.dim[0]) {
        if (*batch != 0 && n != *batch)
            return evi_fail(EV_ERR_SHAPE,
                            "ev_session_run: input '%s' has %lld images, another has %lld", name,
                            (long long)n, (long long)*batch);
        *batch = n;
        want.dim[0] = n;
    }
    char have_text[EVI_SHAPE_TEXT], want_text[EVI_SHAPE_TEXT];
    if (!evi_shape_equal(&want, &t->shape))
        return evi_fail(EV_ERR_SHAPE, "ev_session_run: input '%s' has shape %s, the plan is for %s",
                        name, evi_shape_text(&t->shape, have_text),
                        evi_shape_text(&v->edge.shape, want_text));
    return EV_OK;
}

static ev_status copy_outputs(const ev_session *session, ev_tensor *const *outputs, int32_t n)
{
    if (outputs == NULL)
        return EV_OK;
    if (n != session->plan->n_outputs)
        return evi_fail(EV_ERR_ARGUMENT, "ev_session_run: %d outputs given, the model has %d",
                        (int)n, (int)session->plan->n_outputs);
    for (int32_t i = 0; i < n; i++) {
        const ev_tensor *from = &session->outputs[i];
        ev_tensor *to = outputs[i];
        if (to == NULL)
            continue;
        EVI_TRY(evi_check_handle(to, EVI_MAGIC_TENSOR, "ev_session_run", "outputs"));
        if (to->type != from->type || to->n_bytes != from->n_bytes)
            return evi_fail(EV_ERR_SHAPE,
                            "ev_session_run: output %d takes %llu bytes, the tensor has "
                            "%llu",
                            (int)i, (unsigned long long)from->n_bytes,
                            (unsigned long long)to->n_bytes);
        memcpy(to->data, from->data, from->n_bytes);
    }
    return EV_OK;
}

ev_status ev_session_run(ev_session *session, const ev_tensor *const *inputs, int32_t n_inputs,
                         ev_tensor *const *outputs, int32_t n_outputs)
{
    EVI_CHECK_HANDLE(session, EVI_MAGIC_SESSION);
    const ev_plan *plan = session->plan;
    EVI_TRY(check_versions(plan));
    if (n_inputs != plan->n_inputs || (n_inputs > 0 && inputs == NULL))
        return evi_fail(EV_ERR_ARGUMENT, "ev_session_run: %d inputs given, the model has %d",
                        (int)n_inputs, (int)plan->n_inputs);
    int64_t batch = 0;
    for (int32_t i = 0; i < n_inputs; i++) {
        EVI_TRY(check_input(plan, i, inputs[i], &batch));
        session->given[i] = inputs[i]->data;
    }
    evi_crew *crew = evi_crew_begin(session->handle.ctx);
    ev_status status =
        evi_session_forward(session, crew, session->given, n_inputs, EVI_MAX(batch, 1), 0);
    evi_crew_end(crew);
    EVI_TRY(status);
    return copy_outputs(session, outputs, n_outputs);
}

const ev_tensor *ev_session_output(const ev_session *session, int32_t index)
{
    if (evi_check_handle(session, EVI_MAGIC_SESSION, __func__, "session") != EV_OK || index < 0 ||
        index >= session->plan->n_outputs || session->batch == 0)
        return NULL;
    return &session->outputs[index];
}

ev_status ev_session_trap_nan(ev_session *session, int32_t on)
{
    EVI_CHECK_HANDLE(session, EVI_MAGIC_SESSION);
    session->trap_nan = on != 0;
    return EV_OK;
}

/* ---- times ----------------------------------------------------------------------------------- */

static double step_flops(const evi_step *s)
{
    evi_edge in[16] = {{0}}, out[16] = {{0}};
    if (s->op->flops == NULL || s->n_in > 16 || s->n_out > 16)
        return 0;
    for (int32_t j = 0; j < s->n_in; j++)
        if (s->in[j] != NULL)
            in[j] = (evi_edge){.type = s->in[j]->type, .shape = s->in[j]->shape};
    for (int32_t j = 0; j < s->n_out; j++)
        out[j] = (evi_edge){.type = s->out[j]->type, .shape = s->out[j]->shape};
    evi_attrs a = s->a;
    if (s->pooled) /* the sizes before the pool */
        s->op->infer(&a, in, s->n_in, out, s->n_out);
    return s->op->flops(&s->a, in, s->n_in, out, s->n_out);
}

static double view_bytes(const evi_view *v)
{
    return v == NULL ? 0 : (double)evi_shape_count(&v->shape) * (double)evi_type_bytes(v->type);
}

static double step_bytes(const evi_step *s)
{
    double sum = 0;
    for (int32_t j = 0; j < s->n_in; j++)
        sum += view_bytes(s->in[j]);
    for (int32_t j = 0; j < s->n_out; j++)
        sum += view_bytes(s->out[j]);
    return sum;
}

static bool is_run(const ev_session *session, int32_t i)
{
    return !session->plan->nodes[session->steps.node[i]].is_view;
}

void evi_session_cost(const ev_session *session, double *gflop_out, double *bytes_out)
{
    *gflop_out = *bytes_out = 0;
    for (int32_t i = 0; i < session->steps.n; i++)
        if (is_run(session, i)) {
            *gflop_out += 1e-9 * step_flops(&session->steps.step[i]);
            *bytes_out += step_bytes(&session->steps.step[i]);
        }
}

/* The least time of each step; gives the peak that these workers reach, in GFLOP/s. */
static double time_steps(ev_session *session, int32_t n_runs, double *seconds)
{
    evi_crew *crew = evi_crew_begin(session->handle.ctx);
    for (int32_t run = 0; run < n_runs; run++)
        for (int32_t i = 0; i < session->steps.n; i++) {
            evi_step *s = &session->steps.step[i];
            if (session->plan->nodes[session->steps.node[i]].is_view)
                continue;
            s->crew = crew;
            double start = evi_seconds();
            s->op->forward(s);
            double took = evi_seconds() - start;
            if (run == 0 || took < seconds[i])
                seconds[i] = took; /* the least: what the step takes undisturbed */
        }
    double peak = evi_peak_gflops(crew, session->plan->k);
    evi_crew_end(crew);
    return peak;
}

/* The kernel's name and what was fused into the step: "winograd+relu". */
static const char *step_kernel(const evi_step *s, char *buffer, size_t size)
{
    static const char *const acts[EVK_ACT_COUNT] = {
        "", "+relu", "+clip", "+leaky", "+sigmoid", "+tanh", "+hardswish", "+hardsigmoid"};
    const char *name = s->op->kernel != NULL ? s->op->kernel(s) : "";
    bool fused = s->act > 0 && s->act < EVK_ACT_COUNT;
    snprintf(buffer, size, "%s%s", name, fused ? acts[s->act] + (*name == 0) : "");
    return buffer;
}

typedef struct profile_row {
    const char *name, *kind;
    char kernel[48], shape[EVI_SHAPE_TEXT];
    double seconds, gflops, bytes, share; /* of the peak */
} profile_row;

static void fill_row(const ev_session *session, int32_t i, double seconds, double peak,
                     profile_row *row)
{
    const evi_step *s = &session->steps.step[i];
    row->name = session->plan->nodes[session->steps.node[i]].name;
    row->kind = s->op->name;
    row->seconds = seconds;
    row->gflops = seconds > 0 ? step_flops(s) / seconds * 1e-9 : 0;
    row->bytes = step_bytes(s);
    row->share = peak > 0 ? row->gflops / peak : 0;
    step_kernel(s, row->kernel, sizeof(row->kernel));
    evi_shape_text(&s->out[0]->shape, row->shape);
}

static void add_number(evi_text *t, const char *key, double value)
{
    evi_text_add(t, ",\"%s\":", key);
    evi_text_double(t, value);
}

static void report_json(const ev_session *session, const double *seconds, double peak, evi_text *t)
{
    double total = 0, bytes = 0;
    const char *comma = "";
    profile_row row;
    evi_text_add(t, "{\"kernels\":\"%s\"", session->plan->k->name);
    add_number(t, "threads", session->plan->n_workers);
    add_number(t, "batch", (double)session->batch);
    add_number(t, "peak_gflops", peak);
    evi_text_add(t, ",\"steps\":[");
    for (int32_t i = 0; i < session->steps.n; i++) {
        if (!is_run(session, i))
            continue;
        fill_row(session, i, seconds[i], peak, &row);
        total += row.seconds;
        bytes += row.bytes;
        evi_text_add(t, "%s{\"name\":", comma);
        evi_text_json_string(t, row.name);
        evi_text_add(t, ",\"kind\":\"%s\",\"kernel\":\"%s\",\"output\":%s", row.kind, row.kernel,
                     row.shape);
        add_number(t, "us", row.seconds * 1e6);
        add_number(t, "ms", row.seconds * 1e3);
        add_number(t, "gflops", row.gflops);
        add_number(t, "share", row.share);
        add_number(t, "bytes", row.bytes);
        evi_text_add(t, "}");
        comma = ",";
    }
    evi_text_add(t, "]");
    add_number(t, "total_us", total * 1e6);
    add_number(t, "total_bytes", bytes);
    evi_text_add(t, "}\n");
}

static void report_table(const ev_session *session, const double *seconds, double peak, evi_text *t)
{
    double total = 0, flops = 0;
    profile_row row;
    for (int32_t i = 0; i < session->steps.n; i++)
        total += seconds[i];
    evi_text_add(t, "kernels: %s, threads: %d, measured peak: %.1f GFLOP/s\n",
                 session->plan->k->name, (int)session->plan->n_workers, peak);
    evi_text_add(t, "%-28s %-18s %-18s %-20s %9s %6s %9s %8s %9s %8s\n", "layer", "kind", "kernel",
                 "output", "ms", "%", "GFLOP/s", "% peak", "MB moved", "GB/s");
    for (int32_t i = 0; i < session->steps.n; i++) {
        if (!is_run(session, i))
            continue;
        fill_row(session, i, seconds[i], peak, &row);
        flops += row.gflops * row.seconds;
        evi_text_add(t, "%-28s %-18s %-18s %-20s %9.4f %6.1f %9.1f %8.1f %9.2f %8.1f\n", row.name,
                     row.kind, row.kernel, row.shape, row.seconds * 1e3,
                     total > 0 ? 100 * row.seconds / total : 0, row.gflops, 100 * row.share,
                     row.bytes * 1e-6, row.seconds > 0 ? 1e-9 * row.bytes / row.seconds : 0);
    }
    double rate = total > 0 ? flops / total : 0;
    evi_text_add(t, "total: %.4f ms, %.1f GFLOP/s, %.1f %% of the peak\n", total * 1e3, rate,
                 peak > 0 ? 100 * rate / peak : 0);
}

ev_status ev_session_profile(ev_session *session, int32_t n_runs, int32_t json, char **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(session, EVI_MAGIC_SESSION);
    if (n_runs < 1)
        return evi_fail(EV_ERR_ARGUMENT, "ev_session_profile: n_runs %d is not positive",
                        (int)n_runs);
    if (session->batch == 0)
        return evi_fail(EV_ERR_STATE,
                        "ev_session_profile: call ev_session_run() first; its inputs are "
                        "used again");
    double *seconds = NULL;
    EVI_TRY(evi_calloc(session->handle.ctx, (uint64_t)session->steps.n, sizeof(double), &seconds));
    double peak = time_steps(session, n_runs, seconds);
    evi_text t;
    evi_text_start(&t, session->handle.ctx);
    if (json != 0)
        report_json(session, seconds, peak, &t);
    else
        report_table(session, seconds, peak, &t);
    evi_free(seconds);
    ev_status status = t.status;
    if (status == EV_OK)
        *out = evi_give(t.data);
    else
        evi_text_end(&t);
    return status;
}
