/* SPDX-License-Identifier: MIT */
#include "grad.h"

static const grad_case *const tables[] = {grad_window_cases, grad_matrix_cases,  grad_norm_cases,
                                          grad_loss_cases,   grad_element_cases, grad_shape_cases};

static void run_table(const grad_case *table)
{
    for (const grad_case *c = table; c->op != NULL; c++) {
        if (evi_op_find(c->op) == NULL) {
            printf("%-20s no such operation\n", c->op);
            continue;
        }
        double worst = grad_check(c);
        if (evi_op_find(c->op)->backward != NULL)
            printf("%-20s %.1e\n", c->op, worst);
        else
            printf("%-20s has no backward pass\n", c->op);
        fflush(stdout);
    }
}

START_TEST(test_table)
{
    run_table(tables[_i]);
}
END_TEST

static bool has_case(const char *op)
{
    for (int32_t t = 0; t < EVI_COUNT(tables); t++)
        for (const grad_case *c = tables[t]; c->op != NULL; c++)
            if (strcmp(c->op, op) == 0)
                return true;
    return false;
}

/* A new operation with a backward pass cannot be forgotten here. */
START_TEST(test_complete)
{
    for (int32_t i = 0; evi_op_at(i) != NULL; i++)
        if (evi_op_at(i)->backward != NULL && !has_case(evi_op_at(i)->name))
            ck_abort_msg("%s has a backward pass and no case", evi_op_at(i)->name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("grad");
    TCase *tc = tcase_create("grad");
    tcase_add_loop_test(tc, test_table, 0, EVI_COUNT(tables));
    tcase_add_test(tc, test_complete);
    suite_add_tcase(suite, tc);
    return t_run(suite);
}
