/* SPDX-License-Identifier: MIT */
/* Reference: the transforms of the weights' gradient by Winograd.  Inputs and outputs hold a group
 * of channels side by side, so the innermost loops run over channels and need no shuffles. */
#include "kernels/ref/ref.h"

#define A2 (EVK_WINO_A * EVK_WINO_A)
#define B2 (EVK_WINO_B * EVK_WINO_B)

void evk_ref_grad_spread(const evk_grad_rows *a)
{
    for (int64_t i = 0; i < a->n; i++) {
        for (int32_t l = 0; l < EVK_REF_GRAD_LANES; l++)
            a->z[i * EVK_REF_GRAD_LANES + l] = l < a->m ? a->x[l * a->ldx + i] : 0;
    }
}

/* o = B^T d */
static void x_axis(const evi_real *d, int64_t sd, evi_real *o, int64_t so)
{
    const evi_real d1 = d[sd], d2 = d[2 * sd], d3 = d[3 * sd], d4 = d[4 * sd];
    const evi_real even_a = d4 - B2 * d2, odd_a = EVK_WINO_A * (d3 - B2 * d1);
    const evi_real even_b = d4 - A2 * d2, odd_b = EVK_WINO_B * (d3 - A2 * d1);

    o[0] = A2 * B2 * d[0] + d4 - (A2 + B2) * d2;
    o[so] = even_a + odd_a;
    o[2 * so] = even_a - odd_a;
    o[3 * so] = even_b + odd_b;
    o[4 * so] = even_b - odd_b;
    o[5 * so] = A2 * B2 * d1 + d[5 * sd] - (A2 + B2) * d3;
}

/* o = A y */
static void dy_axis(const evi_real *y, int64_t sy, evi_real *o, int64_t so)
{
    const evi_real y1 = y[sy], y2 = y[2 * sy], y3 = y[3 * sy];
    const evi_real even_a = y[0] + A2 * y2, odd_a = EVK_WINO_A * (y1 + A2 * y3);
    const evi_real even_b = y[0] + B2 * y2, odd_b = EVK_WINO_B * (y1 + B2 * y3);

    o[0] = y[0];
    o[so] = even_a + odd_a;
    o[2 * so] = even_a - odd_a;
    o[3 * so] = even_b + odd_b;
    o[4 * so] = even_b - odd_b;
    o[5 * so] = y3;
}

/* o = G^T u */
static void end_axis(const evi_real *u, int64_t su, evi_real *o, int64_t so)
{
    const evi_real na = 1 / (2 * A2 * (A2 - B2)), nb = 1 / (2 * B2 * (B2 - A2));
    const evi_real sum_a = na * (u[su] + u[2 * su]), gap_a = na * (u[su] - u[2 * su]);
    const evi_real sum_b = nb * (u[3 * su] + u[4 * su]), gap_b = nb * (u[3 * su] - u[4 * su]);

    o[0] = 1 / (A2 * B2) * u[0] + sum_a + sum_b;
    o[so] = EVK_WINO_A * gap_a + EVK_WINO_B * gap_b;
    o[2 * so] = A2 * sum_a + B2 * sum_b + u[5 * su];
}

void evk_ref_grad_x(const evk_grad_tiles *a)
{
    for (int64_t i = 0; i < a->n * a->m; i++) {
        const int64_t t = i / a->m, lane = i % a->m;
        evi_real left[36], all[36];

        for (int32_t c = 0; c < 6; c++)
            x_axis(a->z + (4 * t + c) * EVK_REF_GRAD_LANES + lane, a->row, left + c, 6);
        for (int32_t r = 0; r < 6; r++)
            x_axis(left + 6 * r, 1, all + 6 * r, 1);
        for (int32_t p = 0; p < 36; p++)
            a->v[p * a->point + t * a->step + lane] = all[p];
    }
}

void evk_ref_grad_dy(const evk_grad_tiles *a)
{
    for (int64_t i = 0; i < a->n * a->m; i++) {
        const int64_t t = i / a->m, lane = i % a->m;
        evi_real left[24], all[36];

        for (int32_t c = 0; c < 4; c++)
            dy_axis(a->z + (4 * t + c) * EVK_REF_GRAD_LANES + lane, a->row, left + c, 4);
        for (int32_t r = 0; r < 6; r++)
            dy_axis(left + 4 * r, 1, all + 6 * r, 1);
        for (int32_t p = 0; p < 36; p++)
            a->v[p * a->point + t * a->step + lane] = all[p];
    }
}

void evk_ref_grad_end(int64_t n, const evi_real *u, int64_t point, evi_real *g, int64_t tap)
{
    for (int64_t i = 0; i < n; i++) {
        evi_real left[18], all[9];

        for (int32_t c = 0; c < 6; c++)
            end_axis(u + c * point + i, 6 * point, left + c, 6);
        for (int32_t r = 0; r < 3; r++)
            end_axis(left + 6 * r, 1, all + 3 * r, 1);
        for (int32_t t = 0; t < 9; t++)
            g[t * tap + i] = all[t];
    }
}
