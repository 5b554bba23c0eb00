/* SPDX-License-Identifier: MIT */
/* A report as text.  The first line says what a reader would rather not hear. */
#include "prune/run.h"

#include <math.h>
#include <stdio.h>

static const char *const units[] = {"",
                                    "parameters",
                                    "multiply-adds",
                                    "bytes of the file",
                                    "bytes of memory",
                                    "milliseconds",
                                    "channels"};

/* ---- numbers --------------------------------------------------------------------------------- */

/* With so many decimals; "-" when not known; a point in every locale. */
static const char *fixed(double x, int32_t decimals, char out[32])
{
    double power = 1;
    for (int32_t i = 0; i < decimals; i++)
        power *= 10;
    if (!isfinite(x) || fabs(x) * power > 9e17) {
        snprintf(out, 32, "-");
        return out;
    }
    long long all = llround(fabs(x) * power), whole = all / (long long)power;
    if (decimals == 0)
        snprintf(out, 32, "%s%lld", x < 0 && all > 0 ? "-" : "", all);
    else
        snprintf(out, 32, "%s%lld.%0*lld", x < 0 && all > 0 ? "-" : "", whole, (int)decimals,
                 all % (long long)power);
    return out;
}

/* Three digits that say something, or three decimals. */
static int32_t decimals_of(double ms)
{
    return ms < 0.01 ? 5 : ms < 0.1 ? 4 : 3;
}

static const char *milliseconds(double ms, char out[32])
{
    return fixed(ms, decimals_of(ms), out);
}

static void cell(evi_text *t, double x, int32_t decimals, int32_t width)
{
    char number[32];
    evi_text_add(t, "%*s", (int)width, fixed(x, decimals, number));
}

/* ---- the first line -------------------------------------------------------------------------- */

/* Faster by more than what the two measurements spread. */
static bool time_fell(const ev_prune_counts *c)
{
    double spread = EVI_MAX(c->ms_spread[0], c->ms_spread[1]);
    double margin = isfinite(spread) ? EVI_MIN(spread / 2, 0.2) : 0;
    return c->ms_measured[1] < c->ms_measured[0] * (1 - margin);
}

static void say_time(evi_text *t, const ev_prune_report *r)
{
    const ev_prune_counts *c = &r->counts;
    char a[32], b[32];
    if (!r->has_model) {
        evi_text_add(t, "NO SMALLER MODEL");
        return;
    }
    if (!isfinite(c->ms_measured[0]) || !isfinite(c->ms_measured[1])) {
        evi_text_add(t, "Time was not measured");
        return;
    }
    evi_text_add(t, "%s: %s ms before, %s ms after",
                 time_fell(c) ? "Time fell" : "TIME DID NOT FALL",
                 milliseconds(c->ms_measured[0], a), milliseconds(c->ms_measured[1], b));
}

static void say_control(evi_text *t, const ev_prune_report *r, double accuracy, const char *what)
{
    char a[32], b[32];
    if (isnan(accuracy) || !r->has_model || r->summary.accuracy_after > accuracy)
        return;
    evi_text_add(t, "; NO BETTER THAN %s (accuracy %s against %s)", what,
                 fixed(r->summary.accuracy_after, 4, a), fixed(accuracy, 4, b));
}

static void first_line(evi_text *t, const ev_prune_report *r)
{
    char a[32], b[32];
    say_time(t, r);
    if (!r->summary.goal_met)
        evi_text_add(t, "; THE GOAL WAS MISSED%s%s", r->why != NULL ? ": " : "",
                     r->why != NULL ? r->why : "");
    say_control(t, r, r->summary.accuracy_random, "channels taken by chance");
    say_control(t, r, r->summary.accuracy_scratch, "the same layers trained from random weights");
    if (isnan(r->summary.accuracy_random) && isnan(r->summary.accuracy_scratch))
        evi_text_add(t, "; not compared with controls");
    evi_text_add(t, "; accuracy %s before, %s after", fixed(r->summary.accuracy_before, 4, a),
                 fixed(r->summary.accuracy_after, 4, b));
}

/* ---- table ----------------------------------------------------------------------------------- */

static void pair(evi_text *t, const char *name, double before, double after, int32_t decimals)
{
    evi_text_add(t, "%-20s", name);
    cell(t, before, decimals, 15);
    cell(t, after, decimals, 15);
    cell(t, before > 0 ? after / before : (double)NAN, 3, 9);
    evi_text_add(t, "\n");
}

static void table_counts(evi_text *t, const ev_prune_report *r)
{
    const ev_prune_counts *c = &r->counts;
    const ev_prune_summary *s = &r->summary;
    evi_text_add(t, "%-20s%15s%15s%9s\n", "", "before", "after", "ratio");
    pair(t, "accuracy", s->accuracy_before, s->accuracy_after, 4);
    pair(t, "parameters", (double)c->parameters[0], (double)c->parameters[1], 0);
    pair(t, "multiply-adds", c->macs[0], c->macs[1], 0);
    pair(t, "file, bytes", (double)c->file_bytes[0], (double)c->file_bytes[1], 0);
    pair(t, "memory, bytes", (double)c->memory_bytes[0], (double)c->memory_bytes[1], 0);
    pair(t, "channels", (double)c->channels[0], (double)c->channels[1], 0);
    pair(t, "milliseconds", c->ms_measured[0], c->ms_measured[1], decimals_of(c->ms_measured[0]));
    if (c->n_blocks_gone > 0)
        evi_text_add(t, "%-20s%30d\n", "blocks left out", (int)c->n_blocks_gone);
    evi_text_add(t, "%-20s%15s", "by chance", "");
    cell(t, s->accuracy_random, 4, 15);
    evi_text_add(t, "\n%-20s%15s", "from random weights", "");
    cell(t, s->accuracy_scratch, 4, 15);
    if (r->scratch_epochs > 0)
        evi_text_add(t, "  (%d epochs)", (int)r->scratch_epochs);
    evi_text_add(t, "\n");
}

static void table_step(evi_text *t, const evi_prune_record *r)
{
    const ev_prune_step *s = &r->step;
    evi_text_add(t, "%4d", (int)s->index);
    cell(t, s->goal, 3, 8);
    cell(t, s->parameters > 0 ? (double)s->parameters : (double)NAN, 0, 14);
    cell(t, s->macs > 0 ? s->macs : (double)NAN, 0, 16);
    cell(t, s->ms, decimals_of(s->ms), 10);
    cell(t, s->accuracy_pruned, 4, 9);
    cell(t, s->accuracy, 4, 9);
    evi_text_add(t, "%8d", (int)r->epochs);
    cell(t, s->seconds, 1, 9);
    evi_text_add(t, "  %s\n", !s->kept ? "taken back" : r->tune_only ? "fine-tuned" : "");
}

void evi_prune_report_table(evi_text *text, const ev_prune_report *r)
{
    first_line(text, r);
    evi_text_add(text, "\n\n");
    if (r->goal.ratio != 0 || r->goal.amount != 0) {
        evi_text_add(text, "goal: ");
        evi_text_double(text, r->goal.ratio != 0 ? r->goal.ratio : r->goal.amount);
        evi_text_add(text, r->goal.ratio != 0 ? " of the %s\n\n" : " %s\n\n", units[r->goal.unit]);
    }
    table_counts(text, r);
    evi_text_add(text, "\nstep     aim    parameters   multiply-adds        ms   pruned    tuned"
                       "  epochs  seconds\n");
    for (int32_t i = 0; i < r->n_records; i++)
        table_step(text, &r->records[i]);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_number(evi_text *t, const char *key, double x, const char *after)
{
    evi_text_add(t, "\"%s\": ", key);
    if (isfinite(x) && x == floor(x) && fabs(x) < 9e15)
        evi_text_add(t, "%lld", (long long)x);
    else if (isfinite(x))
        evi_text_double(t, x);
    else
        evi_text_add(t, "null");
    evi_text_add(t, "%s", after);
}

static void json_pair(evi_text *t, const char *key, double before, double after)
{
    evi_text_add(t, "  \"%s\": {", key);
    json_number(t, "before", before, ", ");
    json_number(t, "after", after, "},\n");
}

static void json_step(evi_text *t, const evi_prune_record *r)
{
    const ev_prune_step *s = &r->step;
    evi_text_add(t, "{\"step\": %d, \"kept\": %s, \"epochs\": %d, ", (int)s->index,
                 s->kept ? "true" : "false", (int)r->epochs);
    json_number(t, "goal", s->goal, ", ");
    json_number(t, "parameters", (double)s->parameters, ", ");
    json_number(t, "macs", s->macs, ", ");
    json_number(t, "ms", s->ms, ", ");
    json_number(t, "accuracy_pruned", s->accuracy_pruned, ", ");
    json_number(t, "accuracy", s->accuracy, ", ");
    json_number(t, "seconds", s->seconds, "}");
}

static void json_summary(evi_text *t, const ev_prune_report *r)
{
    evi_text line;
    evi_text_start(&line, t->ctx);
    first_line(&line, r);
    evi_text_add(t, "{\"summary\": ");
    if (line.status == EV_OK)
        evi_text_json_string(t, line.data);
    else
        t->status = line.status;
    evi_text_end(&line);
    evi_text_add(t, ",\n  \"goal\": {\"unit\": ");
    evi_text_json_string(t, units[r->goal.unit]);
    evi_text_add(t, ", ");
    json_number(t, "ratio", r->goal.ratio, ", ");
    json_number(t, "amount", r->goal.amount, ", ");
    json_number(t, "accuracy_floor", r->floor, ", ");
    evi_text_add(t, "\"met\": %s, \"why\": ", r->summary.goal_met ? "true" : "false");
    if (r->why != NULL)
        evi_text_json_string(t, r->why);
    else
        evi_text_add(t, "null");
    evi_text_add(t, "},\n");
}

void evi_prune_report_json(evi_text *text, const ev_prune_report *r)
{
    const ev_prune_counts *c = &r->counts;
    const ev_prune_summary *s = &r->summary;
    json_summary(text, r);
    json_pair(text, "accuracy", s->accuracy_before, s->accuracy_after);
    json_pair(text, "parameters", (double)c->parameters[0], (double)c->parameters[1]);
    json_pair(text, "macs", c->macs[0], c->macs[1]);
    json_pair(text, "file_bytes", (double)c->file_bytes[0], (double)c->file_bytes[1]);
    json_pair(text, "memory_bytes", (double)c->memory_bytes[0], (double)c->memory_bytes[1]);
    json_pair(text, "channels", (double)c->channels[0], (double)c->channels[1]);
    json_pair(text, "ms", c->ms_measured[0], c->ms_measured[1]);
    json_pair(text, "ms_spread", c->ms_spread[0], c->ms_spread[1]);
    evi_text_add(text, "  \"blocks_gone\": %d,\n  \"controls\": {", (int)c->n_blocks_gone);
    json_number(text, "random", s->accuracy_random, ", ");
    json_number(text, "scratch", s->accuracy_scratch, ", ");
    evi_text_add(text, "\"scratch_epochs\": %d},\n  \"steps\": [", (int)r->scratch_epochs);
    for (int32_t i = 0; i < r->n_records; i++) {
        evi_text_add(text, "%s", i > 0 ? ",\n    " : "\n    ");
        json_step(text, &r->records[i]);
    }
    evi_text_add(text, "]}\n");
}
