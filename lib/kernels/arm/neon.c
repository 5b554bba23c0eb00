/* SPDX-License-Identifier: MIT */
#include "kernels/ref/ref.h"

const evi_kernels *evk_neon(void)
{
    return NULL;
}
