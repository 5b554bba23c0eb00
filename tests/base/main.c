/* SPDX-License-Identifier: MIT */
#include "base_tests.h"

int main(void)
{
    Suite *s = suite_create("base");
    suite_add_tcase(s, status_tests());
    suite_add_tcase(s, memory_tests());
    suite_add_tcase(s, options_tests());
    suite_add_tcase(s, context_tests());
    suite_add_tcase(s, parallel_tests());
    suite_add_tcase(s, rng_tests());
    suite_add_tcase(s, file_tests());
    suite_add_tcase(s, writer_tests());
    suite_add_tcase(s, text_tests());
    return t_run(s);
}
