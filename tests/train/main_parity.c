/* SPDX-License-Identifier: MIT */
#include "train.h"

int main(void)
{
    return t_run(tt_parity_suite());
}
