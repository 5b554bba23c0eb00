/* SPDX-License-Identifier: MIT */
/* Reference: reductions, pooling, optimisers, pixels.  Sums run in double, in order. */
#include "kernels/ref/ref.h"

#include <math.h>

evi_real evk_ref_sum(int64_t n, const evi_real *x)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    return (evi_real)sum;
}

evi_real evk_ref_sum_squares(int64_t n, const evi_real *x, evi_real mean)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += ((double)x[i] - (double)mean) * ((double)x[i] - (double)mean);
    return (evi_real)sum;
}

evi_real evk_ref_sum_products(int64_t n, const evi_real *u, const evi_real *x, evi_real mean)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)u[i] * ((double)x[i] - (double)mean);
    return (evi_real)sum;
}

evi_real evk_ref_sum_where(int64_t n, const evi_real *x, const uint8_t *where)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += where[i] <= 3 ? (double)x[i] : 0;
    return (evi_real)sum;
}

evi_real evk_ref_max(int64_t n, const evi_real *x)
{
    evi_real max = x[0];

    for (int64_t i = 1; i < n; i++) {
        if (x[i] > max || x[i] != x[i])
            max = x[i];
        if (max != max)
            break;
    }
    return max;
}

evi_real evk_ref_exp_sum(int64_t n, const evi_real *x, evi_real shift, evi_real *y)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        y[i] = (evi_real)exp((double)(x[i] - shift));
        sum += (double)y[i];
    }
    return (evi_real)sum;
}

void evk_ref_max_pool2(int64_t n, const evi_real *x0, const evi_real *x1, evi_real *y,
                       uint8_t *where)
{
    for (int64_t i = 0; i < n; i++) {
        evi_real v[4] = {x0[2 * i], x0[2 * i + 1], x1[2 * i], x1[2 * i + 1]};
        int best = 0;

        for (int j = 1; j < 4; j++) {
            if (v[j] > v[best] || (v[j] != v[j] && v[best] == v[best]))
                best = j;
        }
        y[i] = v[best];
        if (where)
            where[i] = (uint8_t)best;
    }
}

void evk_ref_max_pool2_relu(int64_t n, const evi_real *x0, const evi_real *x1, evi_real *y,
                            uint8_t *where)
{
    evk_ref_max_pool2(n, x0, x1, y, where);
    for (int64_t i = 0; i < n; i++) {
        if (y[i] <= 0) {
            y[i] = 0;
            if (where)
                where[i] = 4;
        }
    }
}

void evk_ref_max_pool2_back(int64_t n, const evi_real *dy, const uint8_t *where, evi_real *dx0,
                            evi_real *dx1, int32_t add)
{
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < 4; j++) {
            evi_real *dx = (j < 2 ? dx0 : dx1) + 2 * i + j % 2;
            evi_real v = where[i] == j ? dy[i] : 0;

            *dx = add ? *dx + v : v;
        }
    }
}

void evk_ref_sgd(int64_t n, const evk_sgd *o, const evi_real *g, evi_real *buf, evi_real *w)
{
    for (int64_t i = 0; i < n; i++) {
        evi_real d = g[i] + o->l2 * w[i];

        if (o->momentum != 0) {
            buf[i] = o->first ? d : o->momentum * buf[i] + (1 - o->dampening) * d;
            d = o->nesterov ? d + o->momentum * buf[i] : buf[i];
        }
        w[i] -= o->lr * d;
    }
}

void evk_ref_adam(int64_t n, const evk_adam *o, const evi_real *g, evi_real *m, evi_real *v,
                  evi_real *w)
{
    const evi_real keep = 1 - o->lr * o->decay, rate = o->lr / o->correct1;

    for (int64_t i = 0; i < n; i++) {
        evi_real d = g[i] + o->l2 * w[i];

        m[i] = o->beta1 * m[i] + o->rest1 * d;
        v[i] = o->beta2 * v[i] + o->rest2 * d * d;
        w[i] = keep * w[i] - rate * (m[i] / ((evi_real)sqrt((double)v[i]) / o->correct2 + o->eps));
    }
}

void evk_ref_rmsprop(int64_t n, const evk_rmsprop *o, const evi_real *g, evi_real *m, evi_real *v,
                     evi_real *w)
{
    for (int64_t i = 0; i < n; i++) {
        evi_real d = g[i] + o->l2 * w[i];

        v[i] = o->alpha * v[i] + o->rest * d * d;
        d = d / ((evi_real)sqrt((double)v[i]) + o->eps);
        if (o->momentum > 0) {
            m[i] = o->momentum * m[i] + d;
            d = m[i];
        }
        w[i] -= o->lr * d;
    }
}

void evk_ref_bytes_to_planes(int64_t n, const uint8_t *x, int32_t channels, const evi_real *scale,
                             const evi_real *shift, evi_real *y, int64_t plane)
{
    for (int32_t c = 0; c < channels; c++) {
        for (int64_t i = 0; i < n; i++)
            y[c * plane + i] = x[i * channels + c] * scale[c] + shift[c];
    }
}
