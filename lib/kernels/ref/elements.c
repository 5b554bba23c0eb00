/* SPDX-License-Identifier: MIT */
/* Reference: element by element, and activations. */
#include "kernels/ref/ref.h"

#include <math.h>

void evk_ref_add(int64_t n, const evi_real *a, const evi_real *b, evi_real *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

void evk_ref_sub(int64_t n, const evi_real *a, const evi_real *b, evi_real *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] - b[i];
}

void evk_ref_mul(int64_t n, const evi_real *a, const evi_real *b, evi_real *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}

void evk_ref_mul_add(int64_t n, const evi_real *a, const evi_real *b, evi_real *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += a[i] * b[i];
}

void evk_ref_scale(int64_t n, evi_real alpha, const evi_real *x, evi_real *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = alpha * x[i];
}

void evk_ref_axpy(int64_t n, evi_real alpha, const evi_real *x, evi_real *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += alpha * x[i];
}

void evk_ref_affine(int64_t n, const evi_real *x, evi_real a, evi_real b, evi_real *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a * x[i] + b;
}

void evk_ref_affine2(int64_t n, const evi_real *u, const evi_real *x, evi_real a, evi_real b,
                     evi_real c, evi_real *y, int32_t add)
{
    for (int64_t i = 0; i < n; i++) {
        evi_real v = a * u[i] + b * x[i] + c;

        y[i] = add ? y[i] + v : v;
    }
}

void evk_ref_exp(int64_t n, const evi_real *x, evi_real *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (evi_real)exp((double)x[i]);
}

static evi_real clip(evi_real v, evi_real lo, evi_real hi)
{
    if (v < lo)
        return lo;
    return v > hi ? hi : v;
}

static evi_real act_one(evi_real x, const evk_act *act)
{
    switch (act->kind) {
    case EVK_ACT_RELU: return x < 0 ? 0 : x;
    case EVK_ACT_CLIP: return clip(x, act->a, act->b);
    case EVK_ACT_LEAKY: return x > 0 ? x : act->a * x;
    case EVK_ACT_SIGMOID: return (evi_real)(1 / (1 + exp(-(double)x)));
    case EVK_ACT_TANH: return (evi_real)tanh((double)x);
    case EVK_ACT_HARDSWISH: return x * clip(x / 6 + (evi_real)0.5, 0, 1);
    case EVK_ACT_HARDSIGMOID: return clip(act->a * x + act->b, 0, 1);
    default: return x;
    }
}

void evk_ref_act(int64_t n, const evi_real *x, evi_real shift, const evk_act *act, evi_real *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = act_one(x[i] + shift, act);
}

/* dy times the slope from the input x or the output y, whichever the table's comment names.  The
 * flat parts give 0 whatever dy is, and a NaN lets dy through, as in PyTorch. */
static evi_real back_one(evi_real x, evi_real y, evi_real dy, const evk_act *act)
{
    switch (act->kind) {
    case EVK_ACT_RELU: return y <= 0 ? 0 : dy;
    case EVK_ACT_CLIP: return y <= act->a || y >= act->b ? 0 : dy;
    case EVK_ACT_LEAKY: return y > 0 ? dy : dy * act->a;
    case EVK_ACT_SIGMOID: return dy * (y * (1 - y));
    case EVK_ACT_TANH: return dy * (1 - y * y);
    case EVK_ACT_HARDSWISH: /* between the corners: (x (x + 3) / 6)' */
        if (x < -3)
            return 0;
        return x <= 3 ? dy * (x / 3 + (evi_real)0.5) : dy;
    case EVK_ACT_HARDSIGMOID: x = act->a * x + act->b; return x > 0 && x < 1 ? dy * act->a : 0;
    default: return dy;
    }
}

void evk_ref_act_back(int64_t n, const evi_real *x, const evi_real *y, const evi_real *dy,
                      const evk_act *act, evi_real *dx, int32_t add)
{
    for (int64_t i = 0; i < n; i++) {
        evi_real v = back_one(x ? x[i] : 0, y ? y[i] : 0, dy[i], act);

        dx[i] = add ? dx[i] + v : v;
    }
}
