/* SPDX-License-Identifier: MIT */
/* Plans: goals in every unit, edits, floors, what is told when a goal cannot be reached, memory
 * that runs out. */
#include "prune/plan.h"
#include "support.h"

#include <edgevision/zoo.h>

#include <math.h>

static ev_context *ctx;
static ev_model *model;
static ev_pruner *pruner;

/* Any scores: higher for later channels of some groups, earlier of others. */
static ev_status give_scores(ev_pruner *p)
{
    uint64_t state = 7;
    for (int32_t g = 0; g < ev_pruner_n_groups(p); g++) {
        ev_prune_group group;
        EV_OPTIONS_INIT(&group);
        ev_status status = ev_pruner_group(p, g, &group);
        if (status != EV_OK || group.blocked != NULL)
            continue;
        double scores[8192];
        ck_assert_int_le(group.n_channels, 8192);
        for (int32_t c = 0; c < group.n_channels; c++)
            scores[c] = 1.5 + (double)t_random_float(&state);
        status = ev_pruner_set_scores(p, g, scores, group.n_channels);
        if (status != EV_OK)
            return status;
    }
    return EV_OK;
}

static void make(const char *name, int32_t side, const ev_pruner_options *opt)
{
    ev_zoo_options o;
    EV_OPTIONS_INIT(&o);
    o.width = side;
    t_ok(ev_zoo_create(ctx, name, &o, &model));
    t_ok(ev_model_init(model, 1));
    t_ok(ev_pruner_create(ctx, model, opt, &pruner));
    t_ok(give_scores(pruner));
}

static void drop(void)
{
    ev_pruner_destroy(pruner);
    ev_model_destroy(model);
    pruner = NULL;
    model = NULL;
}

static void start(void)
{
    ctx = t_context(NULL, 1);
}

static void end(void)
{
    drop();
    ev_context_destroy(ctx);
}

static double amount_of(const ev_prune_counts *c, int32_t unit, int32_t i)
{
    switch (unit) {
    case EV_UNIT_PARAMETERS: return (double)c->parameters[i];
    case EV_UNIT_MACS: return c->macs[i];
    case EV_UNIT_FILE_BYTES: return (double)c->file_bytes[i];
    case EV_UNIT_MEMORY_BYTES: return (double)c->memory_bytes[i];
    default: return (double)c->channels[i];
    }
}

static const char *const units[] = {"", "parameters", "macs", "file", "memory", "ms", "channels"};

/* ---- goals ----------------------------------------------------------------------------------- */

/* Is there a group that could be one step wider without passing the goal? */
static bool has_room(ev_prune_plan *plan, int32_t unit, double goal)
{
    for (int32_t g = 0; g < ev_pruner_n_groups(pruner); g++) {
        ev_prune_group group;
        ev_prune_counts c;
        EV_OPTIONS_INIT(&group);
        EV_OPTIONS_INIT(&c);
        t_ok(ev_pruner_group(pruner, g, &group));
        int32_t width = ev_prune_plan_width(plan, g);
        if (group.blocked != NULL || width == group.n_channels)
            continue;
        int32_t up = (width / group.round_to + 1) * group.round_to;
        t_ok(ev_prune_plan_set_width(plan, g, up < group.n_channels ? up : group.n_channels));
        t_ok(ev_prune_plan_counts(plan, 0, 0, &c));
        t_ok(ev_prune_plan_set_width(plan, g, width));
        if (amount_of(&c, unit, 1) <= goal)
            return true;
    }
    return false;
}

static void reach(const char *name, int32_t unit, int32_t scope, double ratio)
{
    ev_prune_plan_options o;
    ev_prune_counts c;
    ev_prune_plan *plan = NULL;
    EV_OPTIONS_INIT(&o);
    EV_OPTIONS_INIT(&c);
    o.goal.unit = unit;
    o.goal.ratio = ratio;
    o.scope = scope;
    t_ok(ev_pruner_plan(pruner, &o, &plan));
    t_ok(ev_prune_plan_counts(plan, 0, 0, &c));
    double before = amount_of(&c, unit, 0), after = amount_of(&c, unit, 1);
    printf("%-10s %-10s %s: %.4g of %.9g is %.4f\n", name, units[unit],
           scope == EV_SCOPE_LOCAL ? "local " : "global", ratio, before, after / before);
    ck_assert_double_le(after, ratio * before + 1e-6);
    if (unit != EV_UNIT_MEMORY_BYTES && unit != EV_UNIT_FILE_BYTES)
        ck_assert(!has_room(plan, unit, ratio * before));
    ev_prune_plan_destroy(plan);
}

static const struct {
    const char *name;
    int32_t side;
} nets[] = {{"Arch5", 64}, {"Arch8", 32}, {"ResNet-20", 32}, {"ResNet-18", 64}};

START_TEST(goals)
{
    make(nets[_i].name, nets[_i].side, NULL);
    for (int32_t unit = EV_UNIT_PARAMETERS; unit <= EV_UNIT_CHANNELS; unit++)
        for (int32_t scope = 0; scope < 2 && unit != EV_UNIT_MS; scope++) {
            reach(nets[_i].name, unit, scope, 0.7);
            reach(nets[_i].name, unit, scope, 0.4);
        }
}
END_TEST

/* ---- blocks ---------------------------------------------------------------------------------- */

static int32_t blocks_gone(const ev_prune_plan *plan)
{
    int32_t n = 0;
    for (int32_t i = 0; i < ev_pruner_n_blocks(pruner); i++)
        n += ev_prune_plan_keeps_block(plan, i) == 0;
    return n;
}

static void reach_deep(const char *name, int32_t unit, int32_t depth, double ratio)
{
    ev_prune_plan_options o;
    ev_prune_counts c;
    ev_prune_plan *plan = NULL;
    EV_OPTIONS_INIT(&o);
    EV_OPTIONS_INIT(&c);
    o.goal.unit = unit;
    o.goal.ratio = ratio;
    o.depth = depth;
    ev_status status = ev_pruner_plan(pruner, &o, &plan);
    if (status == EV_ERR_GOAL && depth == 2) {
        printf("%-10s %-10s depth %d: %.2f: %s\n", name, units[unit], (int)depth, ratio,
               ev_last_error());
        return;
    }
    t_ok(status);
    t_ok(ev_prune_plan_counts(plan, 0, 0, &c));
    double before = amount_of(&c, unit, 0), after = amount_of(&c, unit, 1);
    printf("%-10s %-10s depth %d: %.2f is %.4f, %d blocks gone\n", name, units[unit], (int)depth,
           ratio, after / before, (int)c.n_blocks_gone);
    ck_assert_double_le(after, ratio * before + 1e-6);
    ck_assert_int_eq(c.n_blocks_gone, blocks_gone(plan));
    int32_t kept = 0;
    for (int32_t g = 0; g < ev_pruner_n_groups(pruner); g++) {
        ev_prune_group group;
        EV_OPTIONS_INIT(&group);
        t_ok(ev_pruner_group(pruner, g, &group));
        kept += group.n_channels == ev_prune_plan_width(plan, g);
    }
    if (depth == 2) {
        ck_assert_int_eq(kept, ev_pruner_n_groups(pruner));
        ck_assert_int_gt(c.n_blocks_gone, 0);
    }
    ev_prune_plan_destroy(plan);
}

START_TEST(blocks)
{
    uint64_t state = 3;
    make(nets[_i].name, nets[_i].side, NULL);
    for (int32_t i = 0; i < ev_pruner_n_blocks(pruner); i++)
        pruner->block_scores[i] = 1.5 + (double)t_random_float(&state);
    for (int32_t depth = 1; depth <= 2; depth++) {
        reach_deep(nets[_i].name, EV_UNIT_MACS, depth, 0.6);
        reach_deep(nets[_i].name, EV_UNIT_PARAMETERS, depth, 0.6);
        reach_deep(nets[_i].name, EV_UNIT_FILE_BYTES, depth, 0.5);
        reach_deep(nets[_i].name, EV_UNIT_CHANNELS, depth, 0.6);
    }
}
END_TEST

/* ---- edits ----------------------------------------------------------------------------------- */

static ev_prune_plan *plan_of(int32_t unit, double ratio)
{
    ev_prune_plan_options o;
    ev_prune_plan *plan = NULL;
    EV_OPTIONS_INIT(&o);
    o.goal.unit = unit;
    o.goal.ratio = ratio;
    t_ok(ev_pruner_plan(pruner, &o, &plan));
    return plan;
}

START_TEST(edits)
{
    ev_pruner_options o;
    ev_prune_plan *plan = NULL;
    ev_prune_counts c;
    EV_OPTIONS_INIT(&o);
    EV_OPTIONS_INIT(&c);
    const char *const names[] = {"conv2"};
    o.protected_layers = names;
    o.n_protected = 1;
    o.min_width = 3;
    make("Arch5", 32, &o);
    t_ok(ev_pruner_plan(pruner, NULL, &plan));
    ck_assert_int_eq(ev_prune_plan_width(plan, 0), 16);
    t_ok(ev_prune_plan_set_width(plan, 0, 5));
    ck_assert_int_eq(ev_prune_plan_width(plan, 0), 5);
    const double *scores = ev_pruner_scores(pruner, 0);
    for (int32_t i = 0; i < 16; i++) /* the five best */
        for (int32_t j = 0; j < 16; j++)
            if (scores[i] > scores[j])
                ck_assert_int_ge(ev_prune_plan_keeps(plan, 0, i), ev_prune_plan_keeps(plan, 0, j));
    int32_t kept = 0;
    while (ev_prune_plan_keeps(plan, 0, kept) != 1)
        kept++;
    t_ok(ev_prune_plan_set_channel(plan, 0, kept, 0));
    t_ok(ev_prune_plan_set_channel(plan, 0, kept, 0));
    ck_assert_int_eq(ev_prune_plan_width(plan, 0), 4);
    t_ok(ev_prune_plan_set_width(plan, 0, 3));
    for (kept = 0; ev_prune_plan_keeps(plan, 0, kept) != 1;)
        kept++;
    t_status(ev_prune_plan_set_channel(plan, 0, kept, 0), EV_ERR_ARGUMENT);
    t_status(ev_prune_plan_set_width(plan, 0, 2), EV_ERR_ARGUMENT);
    t_status(ev_prune_plan_set_width(plan, 0, 17), EV_ERR_ARGUMENT);
    t_status(ev_prune_plan_set_width(plan, 1, 16), EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "conv2"));
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "protected"));
    t_status(ev_prune_plan_set_channel(plan, 1, 0, 0), EV_ERR_ARGUMENT);
    t_status(ev_prune_plan_set_channel(plan, 0, 16, 0), EV_ERR_ARGUMENT);
    t_status(ev_prune_plan_set_channel(plan, 0, 0, 2), EV_ERR_ARGUMENT);
    t_status(ev_prune_plan_set_width(plan, 99, 1), EV_ERR_ARGUMENT);
    ck_assert_int_eq(ev_prune_plan_width(plan, 99), -1);
    ck_assert_int_eq(ev_prune_plan_keeps(plan, 0, 16), -1);
    ck_assert_int_eq(ev_prune_plan_keeps_block(plan, 99), -1);
    t_ok(ev_prune_plan_counts(plan, 0, 0, &c)); /* 13 of 16 filters, and what reads them */
    ck_assert_int_eq(c.parameters[0] - c.parameters[1], 13 * (27 + 1) + 13 * 32 * 9);
    ck_assert_int_eq(c.channels[0] - c.channels[1], 13);
    ck_assert(isnan(c.ms_measured[0]) && isnan(c.ms_predicted[1]));
    ev_prune_plan_destroy(plan);
}
END_TEST

/* Counts of a drawn model agree with those by arithmetic: the totals of the description. */
static void described(ev_prune_plan *plan)
{
    ev_prune_counts c;
    char *text = NULL, totals[128];
    EV_OPTIONS_INIT(&c);
    t_ok(ev_prune_plan_counts(plan, 0, 0, &c));
    t_ok(ev_prune_plan_describe(plan, EV_DESCRIBE_JSON, &text));
    (void)snprintf(
        totals, sizeof(totals),
        "\"parameters\":[%lld,%lld],\"macs\":[%lld,%lld],\"kept\":", (long long)c.parameters[0],
        (long long)c.parameters[1], (long long)c.macs[0], (long long)c.macs[1]);
    ck_assert_msg(strstr(text, totals) != NULL, "%s is not in %s", totals, text);
    ev_string_destroy(text);
    t_ok(ev_prune_plan_describe(plan, EV_DESCRIBE_TABLE, &text));
    ck_assert_ptr_nonnull(strstr(text, "multiply-adds"));
    ck_assert_ptr_nonnull(strstr(text, "total"));
    ev_string_destroy(text);
    t_status(ev_prune_plan_describe(plan, EV_DESCRIBE_DOT, &text), EV_ERR_ARGUMENT);
}

START_TEST(descriptions)
{
    make(nets[_i].name, nets[_i].side, NULL);
    ev_prune_plan *plan = plan_of(EV_UNIT_MACS, 0.6);
    described(plan);
    if (ev_pruner_n_blocks(pruner) > 0) {
        t_ok(ev_prune_plan_set_block(plan, 0, 0));
        ck_assert_int_eq(ev_prune_plan_keeps_block(plan, 0), 0);
        described(plan);
        t_ok(ev_prune_plan_set_block(plan, 0, 1));
    }
    ev_prune_plan_destroy(plan);
}
END_TEST

/* ---- floors and goals out of reach ----------------------------------------------------------- */

START_TEST(floors)
{
    ev_prune_counts c, now;
    EV_OPTIONS_INIT(&c);
    EV_OPTIONS_INIT(&now);
    make("Arch5", 32, NULL);
    t_ok(ev_pruner_floor(pruner, 0, 0, &c));
    ck_assert_int_gt(c.parameters[1], 0);
    ck_assert_int_lt(c.parameters[1], c.parameters[0] / 100);
    ev_prune_plan *plan = NULL;
    ev_prune_plan_options o;
    EV_OPTIONS_INIT(&o);
    o.max_share = 1;
    o.goal.unit = EV_UNIT_PARAMETERS;
    o.goal.amount = (double)c.parameters[1];
    t_ok(ev_pruner_plan(pruner, &o, &plan)); /* the floor itself */
    t_ok(ev_prune_plan_counts(plan, 0, 0, &now));
    ck_assert_int_eq(now.parameters[1], c.parameters[1]);
    ev_prune_plan_destroy(plan);
    o.goal.amount -= 1;
    t_status(ev_pruner_plan(pruner, &o, &plan), EV_ERR_GOAL);
    ck_assert_ptr_null(plan);
    char floor[32];
    (void)snprintf(floor, sizeof(floor), " %lld ", (long long)c.parameters[1]);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), floor));
    o.max_share = 0.5;
    o.goal.amount = (double)c.parameters[0] / 10;
    t_status(ev_pruner_plan(pruner, &o, &plan), EV_ERR_GOAL);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "max_share"));
}
END_TEST

START_TEST(what_holds_it)
{
    ev_pruner_options o;
    ev_prune_plan_options p;
    ev_prune_plan *plan = NULL;
    EV_OPTIONS_INIT(&o);
    EV_OPTIONS_INIT(&p);
    const char *const names[] = {"dense1"};
    o.protected_layers = names;
    o.n_protected = 1;
    make("Arch5", 64, &o);
    p.goal.unit = EV_UNIT_PARAMETERS;
    p.goal.ratio = 0.02;
    t_status(ev_pruner_plan(pruner, &p, &plan), EV_ERR_GOAL);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "'dense1'"));
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "protected"));
}
END_TEST

START_TEST(bad_goals)
{
    static const ev_prune_goal wrong[] = {{0, 0, 0.5, 0},    {7, 0, 0.5, 0},
                                          {-1, 0, 0.5, 0},   {1, 0, 0, 0},
                                          {1, 0, 0.5, 1000}, {1, 0, 1.5, 0},
                                          {1, 0, -0.5, 0},   {1, 0, (double)NAN, 0},
                                          {1, 0, 0, -5},     {1, 0, 0, (double)INFINITY}};
    ev_prune_plan_options o;
    ev_prune_plan *plan = NULL;
    make("Arch1", 32, NULL);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        EV_OPTIONS_INIT(&o);
        o.goal = wrong[i];
        t_status(ev_pruner_plan(pruner, &o, &plan), EV_ERR_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(ev_last_error(), "goal."));
    }
    EV_OPTIONS_INIT(&o);
    o.goal = (ev_prune_goal){1, 3, 0.5, 0};
    t_status(ev_pruner_plan(pruner, &o, &plan), EV_ERR_VERSION);
    o.goal.reserved = 0;
    o.depth = 1;
    t_status(ev_pruner_plan(pruner, &o, &plan), EV_ERR_STATE);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "ev_pruner_score_blocks"));
    ev_pruner_destroy(pruner);
    t_ok(ev_pruner_create(ctx, model, NULL, &pruner));
    o.depth = 0;
    t_status(ev_pruner_plan(pruner, &o, &plan), EV_ERR_STATE);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "ev_pruner_score()"));
    t_ok(ev_pruner_plan(pruner, NULL, &plan));
    t_status(ev_prune_plan_set_width(plan, 0, 2), EV_ERR_STATE);
    t_ok(ev_prune_plan_set_width(plan, 0, 4));
    ev_prune_plan_destroy(plan);
}
END_TEST

/* ---- time ------------------------------------------------------------------------------------ */

/* Only that it works: a clock decides nothing here. */
START_TEST(milliseconds)
{
    ev_prune_plan_options o;
    ev_prune_plan *plan = NULL;
    ev_prune_counts c;
    EV_OPTIONS_INIT(&o);
    EV_OPTIONS_INIT(&c);
    make("Arch5", 64, NULL);
    o.goal.unit = EV_UNIT_MS;
    o.goal.ratio = 0.6;
    ev_status status = ev_pruner_plan(pruner, &o, &plan);
    ck_assert(status == EV_OK || status == EV_ERR_GOAL);
    if (plan == NULL)
        t_ok(ev_pruner_plan(pruner, NULL, &plan));
    t_ok(ev_prune_plan_counts(plan, 1, 2, &c));
    printf("Arch5 64x64: %.3f ms -> %.3f ms (predicted %.3f)\n", c.ms_measured[0], c.ms_measured[1],
           c.ms_predicted[1]);
    ck_assert(c.ms_measured[0] > 0 && c.ms_measured[1] > 0 && c.ms_spread[0] >= 0);
    ck_assert(c.ms_predicted[0] > 0 && c.ms_predicted[1] > 0);
    t_ok(ev_prune_plan_set_width(plan, 0, 16));
    t_ok(ev_prune_plan_set_width(plan, 0, 15));
    t_ok(ev_prune_plan_counts(plan, 0, 1, &c));
    ck_assert(isnan(c.ms_measured[0])); /* an edit forgets it, but not what layers take */
    ck_assert(c.ms_predicted[1] > 0);
    ev_prune_plan_destroy(plan);
    o.goal = (ev_prune_goal){EV_UNIT_MS, 0, 0, 1e-6};
    t_status(ev_pruner_plan(pruner, &o, &plan), EV_ERR_GOAL);
    t_status(ev_prune_plan_counts(plan, 0, 0, &c), EV_ERR_ARGUMENT);
    t_status(ev_pruner_floor(pruner, 2, 0, &c), EV_ERR_ARGUMENT);
    t_status(ev_pruner_floor(pruner, 0, 300, &c), EV_ERR_ARGUMENT);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------- */

static ev_status body(ev_context *own, void *arg)
{
    ev_model *m = NULL, *next = NULL;
    ev_pruner *p = NULL;
    ev_prune_plan *plan = NULL;
    ev_zoo_options zoo;
    ev_prune_plan_options o;
    ev_prune_counts c;
    char *text = NULL;
    EV_OPTIONS_INIT(&zoo);
    EV_OPTIONS_INIT(&o);
    EV_OPTIONS_INIT(&c);
    zoo.width = 16;
    o.goal.unit = *(const int32_t *)arg;
    o.goal.ratio = 0.7;
    ev_status status = ev_zoo_arch(own, 2, &zoo, &m);
    if (status == EV_OK)
        status = ev_model_init(m, 1);
    if (status == EV_OK && o.goal.unit == 0) {
        status = ev_ladder_next(own, m, NULL, &next);
        ev_model_destroy(next);
    } else {
        if (status == EV_OK)
            status = ev_pruner_create(own, m, NULL, &p);
        if (status == EV_OK)
            status = give_scores(p);
        if (status == EV_OK)
            status = ev_pruner_plan(p, &o, &plan);
        if (status == EV_OK)
            status = ev_prune_plan_describe(plan, EV_DESCRIBE_JSON, &text);
        if (status == EV_OK && o.goal.unit == EV_UNIT_MACS)
            status = ev_prune_plan_counts(plan, 0, 0, &c);
    }
    ev_string_destroy(text);
    ev_prune_plan_destroy(plan);
    ev_pruner_destroy(p);
    ev_model_destroy(m);
    return status;
}

START_TEST(memory_runs_out)
{
    static const int32_t which[] = {0, EV_UNIT_MACS, EV_UNIT_FILE_BYTES, EV_UNIT_MEMORY_BYTES};
    int32_t unit = which[_i];
    long n = t_each_alloc(body, &unit, 1, 700);
    printf("unit %d: %ld allocations\n", (int)unit, n);
}
END_TEST

static Suite *plan_suite(void)
{
    Suite *s = suite_create("prune plan");
    TCase *c = tcase_create("plan");
    tcase_add_checked_fixture(c, start, end);
    tcase_set_timeout(c, 240);
    tcase_add_loop_test(c, goals, 0, 4);
    tcase_add_loop_test(c, blocks, 0, 4);
    tcase_add_test(c, edits);
    tcase_add_loop_test(c, descriptions, 0, 4);
    tcase_add_test(c, floors);
    tcase_add_test(c, what_holds_it);
    tcase_add_test(c, bad_goals);
    tcase_add_test(c, milliseconds);
    tcase_add_loop_test(c, memory_runs_out, 0, 4);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(plan_suite());
}
