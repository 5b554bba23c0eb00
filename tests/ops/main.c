/* SPDX-License-Identifier: MIT */
#include "support.h"

TCase *golden_cases(void);
TCase *infer_cases(void);
TCase *behaviour_cases(void);

int main(void)
{
    Suite *suite = suite_create("ops");
    suite_add_tcase(suite, golden_cases());
    suite_add_tcase(suite, infer_cases());
    suite_add_tcase(suite, behaviour_cases());
    return t_run(suite);
}
