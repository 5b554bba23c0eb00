/* SPDX-License-Identifier: MIT */
/* Layer normalisation: every row (all dimensions from a.axis on) by its own mean and variance, then
 * element by element times scale plus bias; ONNX LayerNormalization.
 * Inputs: x, scale and bias (each optional) of a row's shape.  Outputs: y, and optionally mean and
 * 1 / deviation of the rows.  Source: Ba, Kiros, Hinton, "Layer normalization" (2016).
 *
 * Backward, with m values to a row, h = (x - mean) r and g = dy scale:
 *     dx = r (g - mean of g - h * mean of g h),
 *     dscale = sum of dy h and dbias = sum of dy, over the rows. */
#include "ops/check.h"

#include <tgmath.h>

enum { COLUMNS = 64 }; /* of scale and bias to a task of backward */

static ev_status ln_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                          int32_t n_out)
{
    static const char *const names[] = {"the input", "the scale", "the bias"};
    char tx[EVI_SHAPE_TEXT], ts[EVI_SHAPE_TEXT];
    int32_t axis;
    EVI_TRY(evi_need_rank(in, n_in, 0, 1, EV_MAX_RANK, names[0]));
    const evi_shape *x = &in[0].shape;
    if (!evi_axis(a->axis, x->rank, &axis))
        return evi_fail(EV_ERR_SHAPE, "axis %d of an input of rank %d", (int)a->axis, (int)x->rank);
    int64_t size = evi_shape_span(x, axis, x->rank);
    for (int32_t i = 1; i < 3; i++) {
        if (!evi_edge_has(in, n_in, i))
            continue;
        EVI_TRY(evi_need_real(in, n_in, i, names[i]));
        if (evi_shape_count(&in[i].shape) != size)
            return evi_fail(EV_ERR_SHAPE, "%s %s must have the shape of input %s from axis %d on",
                            names[i], evi_shape_text(&in[i].shape, ts), evi_shape_text(x, tx),
                            (int)axis);
    }
    evi_edge_set(out, 0, in[0].type, x);
    evi_shape rows = *x;
    for (int32_t d = axis; d < x->rank; d++)
        rows.dim[d] = 1;
    for (int32_t i = 1; i < n_out; i++)
        evi_edge_set(out, i, in[0].type, &rows);
    return EV_OK;
}

typedef struct row_state { /* kept for backward */
    evi_real mean, inverse;
} row_state;

static int64_t row_size(const evi_step *s, int64_t *n_rows)
{
    const evi_shape *x = &s->in[0]->shape;
    int32_t axis = 0;
    evi_axis(s->a.axis, x->rank, &axis);
    *n_rows = evi_shape_span(x, 0, axis);
    return evi_shape_span(x, axis, x->rank);
}

static void ln_prepare(evi_step *s)
{
    int64_t n;
    (void)row_size(s, &n);
    if (s->training)
        s->saved_bytes = (uint64_t)n * sizeof(row_state);
}

static void forward_range(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    int64_t n, size = row_size(s, &n);
    for (int64_t r = first; r < first + count; r++) {
        const evi_real *x = evi_in(s, 0) + r * size;
        evi_real *y = evi_out(s, 0) + r * size;
        evi_real mean = s->k->sum(size, x) / (evi_real)size;
        evi_real variance = s->k->sum_squares(size, x, mean) / (evi_real)size;
        evi_real inverse = 1 / sqrt(variance + EVI_REAL(s->a.epsilon));
        s->k->affine(size, x, inverse, -mean * inverse, y);
        if (evi_has_in(s, 1))
            s->k->mul(size, y, evi_in(s, 1), y);
        if (evi_has_in(s, 2))
            s->k->add(size, y, evi_in(s, 2), y);
        if (evi_step_has_out(s, 1))
            evi_out(s, 1)[r] = mean;
        if (evi_step_has_out(s, 2))
            evi_out(s, 2)[r] = inverse;
        if (s->training)
            ((row_state *)s->saved)[r] = (row_state){mean, inverse};
    }
}

static void ln_forward(evi_step *s)
{
    int64_t n, size = row_size(s, &n);
    evi_for_ranges(s->crew, n, 16384 / size + 1, forward_range, s);
}

static void back_rows(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    int64_t n, size = row_size(s, &n);
    const evi_real *scale = evi_has_in(s, 1) ? evi_in(s, 1) : NULL;
    bool is_first = evi_grad_is_first(s, 0);
    for (int64_t r = first; r < first + count; r++) {
        const evi_real *x = evi_in(s, 0) + r * size, *dy = s->out[0]->grad + r * size;
        evi_real *dx = s->in[0]->grad + r * size;
        row_state at = ((const row_state *)s->saved)[r];
        double sum = 0, products = 0;
        for (int64_t j = 0; j < size; j++) {
            evi_real g = scale != NULL ? dy[j] * scale[j] : dy[j];
            sum += g;
            products += g * ((x[j] - at.mean) * at.inverse);
        }
        evi_real mean_g = (evi_real)(sum / (double)size);
        evi_real mean_gh = (evi_real)(products / (double)size);
        for (int64_t j = 0; j < size; j++) {
            evi_real g = scale != NULL ? dy[j] * scale[j] : dy[j];
            evi_real h = (x[j] - at.mean) * at.inverse;
            evi_real d = at.inverse * (g - mean_g - h * mean_gh);
            dx[j] = is_first ? d : dx[j] + d;
        }
    }
}

/* A block of columns: rows in order, so the sums do not depend on the threads. */
static void back_columns(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    int64_t n, size = row_size(s, &n);
    evi_real *dscale = evi_has_in(s, 1) ? s->in[1]->grad : NULL;
    evi_real *dbias = evi_has_in(s, 2) ? s->in[2]->grad : NULL;
    for (int64_t r = 0; r < n; r++) {
        const evi_real *x = evi_in(s, 0) + r * size, *dy = s->out[0]->grad + r * size;
        row_state at = ((const row_state *)s->saved)[r];
        for (int64_t j = first; j < first + count; j++) {
            if (dscale != NULL)
                dscale[j] += dy[j] * (x[j] - at.mean) * at.inverse;
            if (dbias != NULL)
                dbias[j] += dy[j];
        }
    }
}

static void ln_backward(evi_step *s)
{
    int64_t n, size = row_size(s, &n);
    if (s->in[0]->grad != NULL)
        evi_for_ranges(s->crew, n, 8192 / size + 1, back_rows, s);
    evi_real *dscale = evi_grad_start(s, 1), *dbias = evi_grad_start(s, 2);
    if (dscale != NULL || dbias != NULL)
        evi_for_ranges(s->crew, size, COLUMNS, back_columns, s);
}

/* All of a row meet in its mean and variance, so the row is left as it is. */
static void ln_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                        int32_t n_out, evi_coupling *c)
{
    int32_t axis = 0;
    (void)n_in;
    evi_axis(a->axis, in[0].shape.rank, &axis);
    for (int32_t d = 1; d < axis; d++) {
        int32_t set = evi_couple_set(c);
        evi_couple(c, set, 0, d, 0, in[0].shape.dim[d], 1);
        for (int32_t i = 0; i < n_out; i++)
            if (out[i].type != 0)
                evi_couple(c, set, ~i, d, 0, out[i].shape.dim[d], 1);
    }
}

static double ln_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                       int32_t n_out)
{
    (void)a, (void)n_in, (void)out, (void)n_out;
    return 7.0 * (double)evi_shape_count(&in[0].shape);
}

const evi_op evi_op_layer_norm = {.name = "layer_norm",
                                  .onnx = "LayerNormalization",
                                  .bwd_in = 1 << 0 | 1 << 1,
                                  .min_in = 1,
                                  .max_in = 3,
                                  .max_out = 3,
                                  .infer = ln_infer,
                                  .prepare = ln_prepare,
                                  .forward = ln_forward,
                                  .backward = EVI_BACKWARD(ln_backward),
                                  .channels = ln_channels,
                                  .flops = ln_flops};
