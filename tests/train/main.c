/* SPDX-License-Identifier: MIT */
#include "train.h"

int main(void)
{
    SRunner *r = srunner_create(tt_run_suite());
    srunner_add_suite(r, tt_calls_suite());
    srunner_add_suite(r, tt_checkpoint_suite());
    srunner_add_suite(r, tt_metrics_suite());
    srunner_add_suite(r, tt_parts_suite());
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
