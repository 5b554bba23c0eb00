/* SPDX-License-Identifier: MIT */
/* Elementwise, shape, resize and quantised operations by themselves. */
#include "plain.h"

int main(void)
{
    Suite *suite = suite_create("ops");
    suite_add_tcase(suite, element_cases());
    suite_add_tcase(suite, layout_cases());
    suite_add_tcase(suite, resize_cases());
    suite_add_tcase(suite, error_cases());
    suite_add_tcase(suite, quant_cases());
    return t_run(suite);
}
