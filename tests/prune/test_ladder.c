/* SPDX-License-Identifier: MIT */
/* The ladder: ten rungs from VGG16, what is no sequence, models from files. */
#include "support.h"

#include <edgevision/prune.h>
#include <edgevision/zoo.h>

static ev_context *ctx;

static void start(void)
{
    ctx = t_context(NULL, 1);
}

static void end(void)
{
    ev_context_destroy(ctx);
}

static ev_model *make(const char *name)
{
    ev_model *model = NULL;
    ev_zoo_options o;
    EV_OPTIONS_INIT(&o);
    o.width = 32;
    t_ok(ev_zoo_create(ctx, name, &o, &model));
    t_ok(ev_model_init(model, 1));
    return model;
}

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

START_TEST(not_a_sequence)
{
    ev_ladder_options o;
    ev_model *next = NULL;
    ev_model *model = make("ResNet-20");
    t_status(ev_ladder_next(ctx, model, NULL, &next), EV_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "layer '"));
    ev_model_destroy(model);
    model = make("Arch1");
    EV_OPTIONS_INIT(&o);
    o.ratio = 0.01;
    t_status(ev_ladder_next(ctx, model, &o, &next), EV_ERR_GOAL);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "min_dense"));
    o.ratio = 1.5;
    t_status(ev_ladder_next(ctx, model, &o, &next), EV_ERR_ARGUMENT);
    o.ratio = 0;
    o.rung = -1;
    t_status(ev_ladder_next(ctx, model, &o, &next), EV_ERR_ARGUMENT);
    ck_assert_ptr_null(next);
    ev_model_destroy(model);
}
END_TEST

/* What comes from a file goes the same way, and runs. */
START_TEST(ladder_of_a_file)
{
    ev_model *loaded = NULL, *next = NULL, *again = NULL;
    void *bytes = NULL, *first = NULL, *second = NULL;
    uint64_t n = 0, n_first = 0, n_second = 0;
    ev_model *model = make("Arch8");
    t_ok(ev_model_save_memory(model, &bytes, &n));
    t_ok(ev_model_load_memory(ctx, bytes, n, NULL, &loaded));
    t_ok(ev_ladder_next(ctx, model, NULL, &next));
    t_ok(ev_ladder_next(ctx, loaded, NULL, &again));
    ck_assert_int_eq(ev_model_parameter_count(next), ev_model_parameter_count(again));
    t_ok(ev_model_save_memory(next, &first, &n_first));
    ev_model_destroy(again);
    t_ok(ev_ladder_next(ctx, model, NULL, &again)); /* same seed, same bits */
    t_ok(ev_model_save_memory(again, &second, &n_second));
    ck_assert_uint_eq(n_first, n_second);
    ck_assert_int_eq(memcmp(first, second, n_first), 0);
    ev_bytes_destroy(bytes);
    ev_bytes_destroy(first);
    ev_bytes_destroy(second);
    ev_model_destroy(loaded);
    ev_model_destroy(model);
    ev_model_destroy(next);
    ev_model_destroy(again);
}
END_TEST

static Suite *ladder_suite(void)
{
    Suite *s = suite_create("prune ladder");
    TCase *c = tcase_create("ladder");
    tcase_add_checked_fixture(c, start, end);
    tcase_set_timeout(c, 240);
    tcase_add_test(c, ladder);
    tcase_add_test(c, not_a_sequence);
    tcase_add_test(c, ladder_of_a_file);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(ladder_suite());
}
