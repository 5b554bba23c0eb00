/* SPDX-License-Identifier: MIT */
/* Plans: goals in every unit, edits, floors, what is told when a goal cannot be reached, memory
 * that runs out; the ladder. */
#include "support.h"

#include <edgevision/prune.h>
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

/* ---- goals ------------------------------------------------------------------------------------ */

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

/* ---- the ladder ------------------------------------------------------------------------------- */

/* The sizes of a network as one line: filters, a slash at each pooling, then units. */
static void print_net(const ev_model *m, int32_t rung)
{
    char *text = NULL;
    t_ok(ev_model_describe(m, EV_DESCRIBE_TABLE, &text));
    printf("rung %2d  %11lld parameters  %6.0f M multiply-adds  ", rung,
           (long long)ev_model_parameter_count(m), (double)ev_model_macs(m) / 1e6);
    bool first = true;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char name[64], kind[64], shape[64];
        int width = 0;
        if (sscanf(line, "%63s %63s %63s", name, kind, shape) != 3)
            continue;
        bool dense = strcmp(kind, "dense") == 0;
        if (strcmp(kind, "max_pool2d") == 0)
            printf("/");
        if (strcmp(kind, "max_pool2d") == 0)
            first = true;
        if ((dense || strcmp(kind, "conv2d") == 0) && sscanf(shape, "[N,%d", &width) == 1) {
            printf("%s%d", dense ? " " : first ? "" : ",", width);
            first = false;
        }
    }
    printf("\n");
    ev_string_destroy(text);
}

START_TEST(ladder)
{
    ev_model *m = NULL;
    const char *const classes[] = {"empty", "pedestrian", "dog walker", "bicyclist"};
    t_ok(ev_zoo_arch(ctx, 11, NULL, &m));
    t_ok(ev_model_set_classes(m, classes, 4));
    print_net(m, 0);
    for (int32_t rung = 1; rung <= 10; rung++) {
        ev_ladder_options o;
        ev_model *next = NULL;
        int64_t dims[EV_MAX_RANK], before = ev_model_parameter_count(m);
        EV_OPTIONS_INIT(&o);
        o.rung = rung;
        t_ok(ev_ladder_next(ctx, m, &o, &next));
        ev_model_destroy(m);
        m = next;
        print_net(m, rung);
        ck_assert_int_le(ev_model_parameter_count(m), before / 2);
        ck_assert_int_ge(ev_model_parameter_count(m), before * 4 / 10);
        ck_assert_int_eq(ev_model_output_dims(m, 0, dims), 2);
        ck_assert_int_eq(dims[1], 4);
        ck_assert_int_eq(ev_model_input_dims(m, 0, dims), 4);
        ck_assert_int_eq(dims[2], 224);
        ck_assert_str_eq(ev_model_class_name(m, 2), "dog walker");
    }
    ck_assert_int_le(ev_model_parameter_count(m), 140000);
    ck_assert_int_ge(ev_model_parameter_count(m), 80000);
    ev_model_destroy(m);
}
END_TEST

static Suite *plan_suite(void)
{
    Suite *s = suite_create("prune plan");
    TCase *c = tcase_create("plan");
    tcase_add_checked_fixture(c, start, end);
    tcase_set_timeout(c, 240);
    tcase_add_loop_test(c, goals, 0, 4);
    tcase_add_test(c, ladder);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(plan_suite());
}
