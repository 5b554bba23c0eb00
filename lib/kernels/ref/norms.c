/* SPDX-License-Identifier: MIT */
/* Reference: normalisation with an activation behind it. */
#include "kernels/ref/ref.h"

#include <tgmath.h>

void evk_ref_norm_act(int64_t n, const evi_real *x, evi_real a, evi_real b, const evk_act *act,
                      evi_real *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = fma(a, x[i], b);
    if (act->kind != EVK_ACT_NONE)
        evk_ref_act(n, y, 0, act, y);
}

static evi_real passed(const evk_norm *o, evi_real x, evi_real dy)
{
    return fma(o->a, x, o->b) > 0 ? dy : o->leak * dy;
}

void evk_ref_norm_sums(int64_t n, const evi_real *dy, const evi_real *x, const evk_norm *o,
                       evi_real *sums)
{
    double sum = 0, products = 0;

    for (int64_t i = 0; i < n; i++) {
        const evi_real g = passed(o, x[i], dy[i]);

        sum += (double)g;
        products += (double)g * (double)(x[i] - o->mean);
    }
    sums[0] = (evi_real)sum;
    sums[1] = (evi_real)products;
}

void evk_ref_norm_back(int64_t n, const evi_real *dy, const evi_real *x, const evk_norm *o,
                       evi_real *dx, int32_t add)
{
    for (int64_t i = 0; i < n; i++) {
        const evi_real v = o->p * passed(o, x[i], dy[i]) + o->q * x[i] + o->r;

        dx[i] = add ? dx[i] + v : v;
    }
}
