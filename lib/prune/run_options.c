/* SPDX-License-Identifier: MIT */
/* Options of a run: defaults, ranges, and the text that a state in a folder must agree with. */
#include "prune/run.h"

#include <math.h>

#define FUNCTION "ev_prune_run"

static ev_status check(bool good, const char *name, double value)
{
    if (good)
        return EV_OK;
    return evi_fail(EV_ERR_ARGUMENT, FUNCTION ": %s %g is out of range", name, value);
}

#define CHECK(condition, name, value) EVI_TRY(check((condition), (name), (double)(value)))

static int32_t or_default(int32_t x, int32_t otherwise)
{
    return x == 0 ? otherwise : x < 0 ? 0 : x;
}

/* ---- the goal -------------------------------------------------------------------------------- */

static ev_status read_goal(evi_prune_job *job)
{
    const ev_prune_options *o = &job->o;
    const ev_prune_goal *g = &o->goal;
    EVI_CHECK_RESERVED(g->reserved, FUNCTION);
    job->has_goal = g->ratio != 0 || g->amount != 0;
    CHECK(o->accuracy_floor > -1 && o->accuracy_floor <= 1, "accuracy_floor", o->accuracy_floor);
    CHECK(g->unit >= 0 && g->unit <= EV_UNIT_CHANNELS, "goal.unit", g->unit);
    if (!job->has_goal && o->accuracy_floor == 0)
        return evi_fail(EV_ERR_ARGUMENT,
                        FUNCTION ": neither a goal nor an accuracy floor is given: "
                                 "how small shall the model be?");
    if (!job->has_goal) {
        job->o.goal.unit = g->unit == 0 ? EV_UNIT_MACS : g->unit;
        return EV_OK;
    }
    CHECK(g->unit >= 1, "goal.unit", g->unit);
    if (g->ratio != 0 && g->amount != 0)
        return evi_fail(EV_ERR_ARGUMENT,
                        FUNCTION ": goal.ratio %g and goal.amount %g: one of the "
                                 "two is to be given",
                        g->ratio, g->amount);
    CHECK(g->ratio >= 0 && g->ratio <= 1, "goal.ratio", g->ratio);
    CHECK(g->amount >= 0 && g->amount < INFINITY, "goal.amount", g->amount);
    return EV_OK;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static ev_status read_numbers(evi_prune_job *job)
{
    ev_prune_options *o = &job->o;
    CHECK(o->schedule >= 0 && o->schedule <= EV_PRUNE_SCHEDULE_CALLBACK, "schedule", o->schedule);
    if (o->schedule == EV_PRUNE_SCHEDULE_CALLBACK && o->schedule_fn == NULL)
        return evi_fail(EV_ERR_ARGUMENT, FUNCTION ": schedule_fn is NULL");
    CHECK(o->n_steps >= 0 && o->n_steps <= 10000, "n_steps", o->n_steps);
    CHECK(o->criterion >= 0 && o->criterion <= EV_CRITERION_RANDOM, "criterion", o->criterion);
    CHECK(o->scope >= 0 && o->scope <= EV_SCOPE_LOCAL, "scope", o->scope);
    CHECK(o->depth >= 0 && o->depth <= 2, "depth", o->depth);
    CHECK(o->block_score >= 0 && o->block_score <= EV_BLOCK_SCORE_TAYLOR, "block_score",
          o->block_score);
    CHECK(o->n_images >= 0, "n_images", o->n_images);
    CHECK(o->n_threads >= 0 && o->n_threads <= 256, "n_threads", o->n_threads);
    CHECK(o->distill >= 0 && o->distill <= 1, "distill", o->distill);
    CHECK(o->temperature >= 0 && o->temperature <= 1000, "temperature", o->temperature);
    CHECK(o->max_share >= 0 && o->max_share <= 1, "max_share", o->max_share);
    o->max_share = o->max_share == 0 ? 0.9 : o->max_share;
    if (o->schedule == EV_PRUNE_SCHEDULE_DEFAULT)
        o->schedule = EV_PRUNE_SCHEDULE_CUBIC;
    if (o->schedule == EV_PRUNE_SCHEDULE_ONE_SHOT)
        o->n_steps = 1;
    else if (job->has_goal)
        o->n_steps = or_default(o->n_steps, 5);
    o->criterion = or_default(o->criterion, EV_CRITERION_TAYLOR);
    o->block_score = or_default(o->block_score, EV_BLOCK_SCORE_ABLATION);
    o->n_images = or_default(o->n_images, 256);
    o->step_epochs = or_default(o->step_epochs, 1);
    o->final_epochs = or_default(o->final_epochs, 10);
    o->norm_batches = or_default(o->norm_batches, 20);
    o->n_threads = or_default(o->n_threads, 1);
    o->temperature = o->temperature == 0 ? 4 : o->temperature;
    o->seed = o->seed == 0 ? 1 : o->seed;
    return EV_OK;
}

/* Options of fine-tuning: what has been learned shall not be shaken off, so a tenth of the rate
 * that training from scratch would take. */
static ev_status read_training(evi_prune_job *job)
{
    evi_train all;
    EVI_TRY(evi_options_read(&job->given, (uint32_t)sizeof(job->given), job->o.train, FUNCTION));
    job->given.max_epochs = 0;
    job->t = job->given;
    if (job->t.learning_rate == 0)
        job->t.learning_rate = job->t.optimizer == EV_OPTIMIZER_SGD ? 1e-3f : 1e-4f;
    if (job->t.seed == 0)
        job->t.seed = job->o.seed;
    job->t.checkpoint = NULL;
    return evi_train_options(&job->t, true, FUNCTION, &all);
}

ev_status evi_prune_options(evi_prune_job *job, const ev_prune_options *opt)
{
    EVI_TRY(evi_options_read(&job->o, (uint32_t)sizeof(job->o), opt, FUNCTION));
    EVI_TRY(read_goal(job));
    EVI_TRY(read_numbers(job));
    return read_training(job);
}

/* ---- the text -------------------------------------------------------------------------------- */

static void add_int(evi_text *text, const char *key, int64_t value)
{
    evi_text_add(text, "%s=%lld;", key, (long long)value);
}

static void add_real(evi_text *text, const char *key, double value)
{
    evi_text_add(text, "%s=", key);
    evi_text_double(text, value);
    evi_text_add(text, ";");
}

static ev_status weights_crc(const ev_model *model, uint32_t *crc)
{
    evi_store **stores = NULL;
    int32_t n = 0;
    EVI_TRY(evi_model_stores(model, &stores, &n));
    *crc = 0;
    for (int32_t s = 0; s < n; s++)
        for (int32_t i = 0; i < stores[s]->n_params; i++) {
            const evi_param *p = &stores[s]->params[i];
            *crc = evi_crc32c(*crc, p->shape.dim, sizeof(p->shape.dim));
            *crc = evi_crc32c(*crc, p->data, (uint64_t)p->count * sizeof(evi_real));
        }
    evi_free(stores);
    return EV_OK;
}

static ev_status add_pruner(evi_text *text, const ev_pruner_options *from)
{
    ev_pruner_options p;
    EVI_TRY(evi_options_read(&p, (uint32_t)sizeof(p), from, FUNCTION));
    add_int(text, "min_width", p.min_width);
    add_int(text, "round_to", p.round_to);
    evi_text_add(text, "protected_layers=");
    for (int32_t i = 0; i < p.n_protected && p.protected_layers != NULL; i++)
        if (p.protected_layers[i] != NULL)
            evi_text_json_string(text, p.protected_layers[i]);
    evi_text_add(text, ";");
    return EV_OK;
}

static void add_own(evi_text *text, const ev_prune_options *o)
{
    add_int(text, "goal.unit", o->goal.unit);
    add_real(text, "goal.ratio", o->goal.ratio);
    add_real(text, "goal.amount", o->goal.amount);
    add_real(text, "accuracy_floor", o->accuracy_floor);
    add_int(text, "schedule", o->schedule);
    add_int(text, "n_steps", o->n_steps);
    add_int(text, "criterion", o->criterion);
    add_int(text, "scope", o->scope);
    add_int(text, "depth", o->depth);
    add_int(text, "block_score", o->block_score);
    add_int(text, "n_images", o->n_images);
    add_int(text, "step_epochs", o->step_epochs);
    add_int(text, "final_epochs", o->final_epochs);
    add_int(text, "norm_batches", o->norm_batches);
    add_real(text, "distill", o->distill);
    add_real(text, "temperature", o->temperature);
    add_real(text, "max_share", o->max_share);
    evi_text_add(text, "prune seed=%llu;", (unsigned long long)o->seed);
}

ev_status evi_prune_options_text(evi_prune_job *job)
{
    evi_train all;
    uint32_t crc = 0;
    evi_text text;
    EVI_TRY(evi_train_options(&job->t, true, FUNCTION, &all));
    EVI_TRY(weights_crc(job->model, &crc));
    evi_text_start(&text, job->ctx);
    evi_text_add(&text, "model=%08x;", (unsigned)crc);
    add_own(&text, &job->o);
    ev_status status = add_pruner(&text, job->o.pruner);
    evi_train_text(&text, &all, ev_dataset_size(job->train), ev_dataset_size(job->valid));
    add_int(&text, "patience", all.patience);
    add_real(&text, "min_delta", all.min_delta);
    if (status == EV_OK)
        status = text.status;
    if (status == EV_OK)
        status = evi_strdup(job->ctx, text.data, &job->options_text);
    evi_text_end(&text);
    return status;
}
