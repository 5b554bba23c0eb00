/* SPDX-License-Identifier: MIT */
/* What a pruning run came to, as an object that does not change. */
#include "prune/run.h"

#include <math.h>

static ev_status fill(const evi_prune_track *t, const ev_prune_counts *counts, ev_prune_report *r)
{
    const evi_prune_job *job = t->job;
    const ev_prune_goal *g = &job->o.goal;
    const ev_prune_step *last = &t->records[0].step;
    for (int32_t i = 1; i < t->n_records; i++)
        if (t->records[i].step.kept)
            last = &t->records[i].step;
    r->summary = (ev_prune_summary){
        .struct_size = (uint32_t)sizeof(ev_prune_summary),
        .n_steps = t->n_records - 1,
        .goal_met = t->why == EV_OK && (!job->has_goal || last->goal <= job->target),
        .accuracy_before = t->records[0].step.accuracy,
        .accuracy_after = last->accuracy,
        .accuracy_scratch = job->accuracy_scratch,
        .accuracy_random = job->accuracy_random,
    };
    /* a twentieth is what two measurements of one model may differ by */
    if (g->unit == EV_UNIT_MS && job->has_goal &&
        !(counts->ms_measured[1] <= 1.05 * job->target * counts->ms_measured[0]))
        r->summary.goal_met = 0;
    r->counts = *counts;
    r->goal = *g;
    r->floor = t->floor;
    r->criterion = t->criterion;
    r->has_model = t->why == EV_OK || t->n_levels > 0;
    r->scratch_epochs = job->scratch_epochs;
    EVI_TRY(evi_calloc(job->ctx, (uint64_t)t->n_records, sizeof(evi_prune_record), &r->records));
    for (int32_t i = 0; i < t->n_records; i++)
        r->records[i] = t->records[i];
    r->n_records = t->n_records;
    return t->why == EV_OK ? EV_OK : evi_strdup(job->ctx, t->reason, &r->why);
}

ev_status evi_prune_report_make(const evi_prune_track *t, const ev_prune_counts *counts,
                                ev_prune_report **out)
{
    *out = NULL;
    ev_prune_report *r = NULL;
    EVI_TRY(evi_calloc(t->job->ctx, 1, sizeof(*r), &r));
    evi_handle_start(&r->handle, EVI_MAGIC_PRUNE_REPORT, t->job->ctx);
    ev_status status = fill(t, counts, r);
    if (status != EV_OK)
        ev_prune_report_destroy(r);
    else
        *out = r;
    return status;
}

ev_status evi_prune_report_save(const evi_prune_job *job, const ev_prune_report *report)
{
    char *path = NULL;
    evi_text text;
    EVI_TRY(evi_prune_path(job, NULL, "report.json", &path));
    if (path == NULL)
        return EV_OK;
    evi_text_start(&text, job->ctx);
    evi_prune_report_json(&text, report);
    ev_status status = text.status;
    if (status == EV_OK)
        status = evi_file_write(job->ctx, path, text.data, text.length);
    evi_text_end(&text);
    evi_free(path);
    return status;
}

void ev_prune_report_destroy(ev_prune_report *report)
{
    if (!evi_handle_drop(report, EVI_MAGIC_PRUNE_REPORT))
        return;
    evi_free(report->records);
    evi_free(report->why);
    evi_handle_end(report);
}

ev_status ev_prune_report_summary(const ev_prune_report *report, ev_prune_summary *out)
{
    EVI_CHECK_HANDLE(report, EVI_MAGIC_PRUNE_REPORT);
    return evi_options_write(out, &report->summary, (uint32_t)sizeof(*out), __func__);
}

ev_status ev_prune_report_counts(const ev_prune_report *report, ev_prune_counts *out)
{
    EVI_CHECK_HANDLE(report, EVI_MAGIC_PRUNE_REPORT);
    return evi_options_write(out, &report->counts, (uint32_t)sizeof(*out), __func__);
}

ev_status ev_prune_report_step(const ev_prune_report *report, int32_t index, ev_prune_step *out)
{
    EVI_CHECK_HANDLE(report, EVI_MAGIC_PRUNE_REPORT);
    if (index < 0 || index >= report->n_records)
        return evi_fail(EV_ERR_ARGUMENT, "%s: step %d is not in 0..%d", __func__, (int)index,
                        (int)report->n_records - 1);
    return evi_options_write(out, &report->records[index].step, (uint32_t)sizeof(*out), __func__);
}

ev_status ev_prune_report_describe(const ev_prune_report *report, int32_t kind, char **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(report, EVI_MAGIC_PRUNE_REPORT);
    if (kind != EV_DESCRIBE_TABLE && kind != EV_DESCRIBE_JSON)
        return evi_fail(EV_ERR_ARGUMENT, "%s: kind %d is neither table nor JSON", __func__,
                        (int)kind);
    evi_text text;
    evi_text_start(&text, report->handle.ctx);
    if (kind == EV_DESCRIBE_JSON)
        evi_prune_report_json(&text, report);
    else
        evi_prune_report_table(&text, report);
    ev_status status = text.status;
    if (status == EV_OK)
        status = evi_strdup(report->handle.ctx, text.data, out);
    if (status == EV_OK)
        *out = evi_give(*out);
    evi_text_end(&text);
    return status;
}
