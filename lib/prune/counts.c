/* SPDX-License-Identifier: MIT */
/* What a plan comes to: by arithmetic where that is enough, else of the model that it draws. */
#include "prune/plan.h"

#include "graph/plan.h"

#include <math.h>

/* ---- by arithmetic --------------------------------------------------------------------------- */

/* A block that is gone takes the layer that makes the group's channels with it. */
static bool is_gone(const ev_prune_plan *plan, const evi_group *group)
{
    const evi_blocks *b = &plan->pruner->blocks;
    for (int32_t i = 0; i < b->n; i++) {
        const evi_block *block = &b->blocks[i];
        if (plan->keep_block[i] || block->model != group->layer_model)
            continue;
        for (int32_t k = 0; k < block->n_nodes; k++)
            if (b->nodes[block->first_node + k] == group->layer_node)
                return true;
    }
    return false;
}

static int64_t channels_of(const ev_prune_plan *plan, bool before)
{
    const evi_groups *g = &plan->pruner->groups;
    int64_t sum = 0;
    for (int32_t i = 0; i < g->n; i++) {
        if (!evi_group_is_free(plan->pruner, i))
            continue;
        if (before)
            sum += g->groups[i].n;
        else if (!is_gone(plan, &g->groups[i]))
            sum += ev_prune_plan_width(plan, i);
    }
    return sum;
}

int64_t evi_plan_channels(const ev_prune_plan *plan)
{
    return channels_of(plan, false);
}

ev_status evi_plan_draw(const ev_prune_plan *plan, ev_model **out)
{
    return evi_prune_apply(plan->pruner, plan->keep, plan->keep_block, 1, out);
}

ev_status evi_plan_quick_counts(const ev_prune_plan *plan, int64_t *parameters, double *macs)
{
    if (!evi_plan_has_gone_blocks(plan)) {
        evi_sums sums;
        evi_tally_set_plan(plan->tally, plan);
        evi_tally_sum(plan->tally, &sums);
        *parameters = sums.parameters;
        *macs = sums.macs;
        return EV_OK;
    }
    ev_model *model = NULL;
    EVI_TRY(evi_plan_draw(plan, &model));
    *parameters = ev_model_parameter_count(model);
    *macs = (double)ev_model_macs(model);
    ev_model_destroy(model);
    return *parameters < 0 ? EV_ERR_MEMORY : EV_OK;
}

/* ---- of a model ------------------------------------------------------------------------------ */

const char *evi_unit_name(int32_t unit)
{
    static const char *const names[] = {"",
                                        "parameters",
                                        "multiply-adds",
                                        "bytes of file",
                                        "bytes of memory",
                                        "milliseconds",
                                        "channels"};
    return unit > 0 && unit < EVI_COUNT(names) ? names[unit] : "";
}

ev_status evi_model_amount(ev_model *model, int32_t unit, double *out)
{
    uint64_t bytes = 0;
    ev_memory memory;
    *out = 0;
    switch (unit) {
    case EV_UNIT_PARAMETERS: *out = (double)ev_model_parameter_count(model); break;
    case EV_UNIT_MACS: *out = (double)ev_model_macs(model); break;
    case EV_UNIT_FILE_BYTES:
        EVI_TRY(evi_model_file_bytes(model, &bytes));
        *out = (double)bytes;
        break;
    case EV_UNIT_MEMORY_BYTES:
        EV_OPTIONS_INIT(&memory);
        EVI_TRY(ev_plan_memory(model->handle.ctx, model, NULL, &memory));
        *out = (double)memory.total_bytes;
        break;
    default: return evi_fail(EV_ERR_INTERNAL, "%s: unit %d", __func__, (int)unit);
    }
    return *out < 0 ? EV_ERR_MEMORY : EV_OK;
}

static ev_status count_model(ev_model *model, int32_t i, ev_prune_counts *out)
{
    double file = 0, memory = 0;
    EVI_TRY(evi_model_amount(model, EV_UNIT_FILE_BYTES, &file));
    EVI_TRY(evi_model_amount(model, EV_UNIT_MEMORY_BYTES, &memory));
    out->parameters[i] = ev_model_parameter_count(model);
    out->macs[i] = (double)ev_model_macs(model);
    out->file_bytes[i] = (int64_t)file;
    out->memory_bytes[i] = (int64_t)memory;
    return out->parameters[i] < 0 ? EV_ERR_MEMORY : EV_OK;
}

/* ---- milliseconds ---------------------------------------------------------------------------- */

#define MEASURE_SECONDS 1.0

static ev_status time_both(ev_prune_plan *plan, ev_model *smaller, int32_t n_threads)
{
    ev_model *model = plan->pruner->model;
    ev_context *ctx = model->handle.ctx;
    EVI_TRY(evi_measure_layers(plan->tally, model, n_threads));
    EVI_TRY(evi_measure_pair(ctx, model, smaller, n_threads, MEASURE_SECONDS, plan->ms_measured,
                             plan->ms_spread));
    plan->ms_before = plan->ms_measured[0];
    return EV_OK;
}

/* The layers' times are taken one by one: their sum is set to what a whole run took. */
static void predict(const ev_prune_plan *plan, ev_prune_counts *out)
{
    evi_tally *t = plan->tally;
    out->ms_predicted[0] = plan->ms_before;
    out->ms_predicted[1] = (double)NAN;
    if (t->node_ms == NULL)
        return;
    evi_tally_set_plan(t, plan);
    out->ms_predicted[1] = plan->ms_before * evi_tally_speed(t);
}

/* ---- the public calls ------------------------------------------------------------------------ */

static ev_status check(int32_t measured, int32_t n_threads, const char *function)
{
    if (measured != 0 && measured != 1)
        return evi_fail(EV_ERR_ARGUMENT, "%s: measure is %d, not 0 or 1", function, (int)measured);
    if (n_threads < 0 || n_threads > 256)
        return evi_fail(EV_ERR_ARGUMENT, "%s: n_threads is %d, not 0..256", function,
                        (int)n_threads);
    return EV_OK;
}

static ev_status count(ev_prune_plan *plan, int32_t measured, int32_t n_threads,
                       const char *function, ev_prune_counts *out)
{
    ev_prune_counts c = {.struct_size = (uint32_t)sizeof(c)};
    ev_model *smaller = NULL;
    EVI_TRY(evi_plan_draw(plan, &smaller));
    ev_status status = count_model(plan->pruner->model, 0, &c);
    if (status == EV_OK)
        status = count_model(smaller, 1, &c);
    if (status == EV_OK && measured)
        status = time_both(plan, smaller, n_threads);
    ev_model_destroy(smaller);
    EVI_TRY(status);
    for (int32_t i = 0; i < plan->pruner->blocks.n; i++)
        c.n_blocks_gone += !plan->keep_block[i];
    for (int32_t i = 0; i < 2; i++) {
        c.channels[i] = channels_of(plan, i == 0);
        c.ms_measured[i] = plan->ms_measured[i];
        c.ms_spread[i] = plan->ms_spread[i];
    }
    predict(plan, &c);
    return evi_options_write(out, &c, (uint32_t)sizeof(c), function);
}

ev_status ev_prune_plan_counts(ev_prune_plan *plan, int32_t measure, int32_t n_threads,
                               ev_prune_counts *out)
{
    EVI_CHECK_HANDLE(plan, EVI_MAGIC_PRUNE_PLAN);
    EVI_CHECK_POINTER(out);
    EVI_TRY(check(measure, n_threads, __func__));
    return count(plan, measure, EVI_MAX(n_threads, 1), __func__, out);
}

ev_status ev_pruner_floor(ev_pruner *pruner, int32_t measure, int32_t n_threads,
                          ev_prune_counts *out)
{
    ev_prune_plan *plan = NULL;
    EVI_CHECK_HANDLE(pruner, EVI_MAGIC_PRUNER);
    EVI_CHECK_POINTER(out);
    EVI_TRY(check(measure, n_threads, __func__));
    EVI_TRY(evi_plan_keep_all(pruner, &plan));
    for (int32_t g = 0; g < pruner->groups.n; g++)
        evi_plan_take(plan, g, evi_group_floor(pruner, g));
    ev_status status = count(plan, measure, EVI_MAX(n_threads, 1), __func__, out);
    ev_prune_plan_destroy(plan);
    return status;
}
