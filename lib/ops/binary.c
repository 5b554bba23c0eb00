/* SPDX-License-Identifier: MIT */
/* add, sub, mul, div: two inputs of one type, broadcast as in numpy, no attributes.  All number
 * types; integers wrap around, division by zero gives 0, division truncates towards zero. */
#include "ops/walk.h"

typedef struct pair_job {
    const void *a, *b;
    void *y;
    const evi_kernels *k;
} pair_job;

/* Both dense: the kernel; one number against many: a loop that the compiler can widen. */
#define REAL_RUN(name, kernel, value)                                                         \
    static void name##_real(void *arg, int64_t n, const int64_t *offset, const int64_t *step) \
    {                                                                                         \
        const pair_job *job = arg;                                                            \
        evi_real *y = (evi_real *)job->y + offset[0];                                         \
        const evi_real *pa = (const evi_real *)job->a + offset[1];                            \
        const evi_real *pb = (const evi_real *)job->b + offset[2];                            \
        if (step[1] == 1 && step[2] == 1) {                                                   \
            kernel;                                                                           \
        } else if (step[1] == 1 && step[2] == 0) {                                            \
            evi_real b = *pb;                                                                 \
            for (int64_t i = 0; i < n; i++) {                                                 \
                evi_real a = pa[i];                                                           \
                y[i] = value;                                                                 \
            }                                                                                 \
        } else {                                                                              \
            for (int64_t i = 0; i < n; i++) {                                                 \
                evi_real a = pa[i * step[1]], b = pb[i * step[2]];                            \
                y[i] = value;                                                                 \
            }                                                                                 \
        }                                                                                     \
    }
REAL_RUN(add, job->k->add(n, pa, pb, y), a + b)
REAL_RUN(sub, job->k->sub(n, pa, pb, y), a - b)
REAL_RUN(mul, job->k->mul(n, pa, pb, y), a *b)
static void divide(int64_t n, const evi_real *a, const evi_real *b, evi_real *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] / b[i];
}
REAL_RUN(div, divide(n, pa, pb, y), a / b)

/* Unsigned arithmetic wraps without being undefined. */
#define INT_RUN(name, type, wide, value)                                                        \
    static void name##_##type(void *arg, int64_t n, const int64_t *offset, const int64_t *step) \
    {                                                                                           \
        const pair_job *job = arg;                                                              \
        type *y = (type *)job->y + offset[0];                                                   \
        const type *pa = (const type *)job->a + offset[1];                                      \
        const type *pb = (const type *)job->b + offset[2];                                      \
        for (int64_t i = 0; i < n; i++) {                                                       \
            wide a = (wide)pa[i * step[1]], b = (wide)pb[i * step[2]];                          \
            y[i] = (type)(value);                                                               \
        }                                                                                       \
    }
#define INT_RUNS(name, wide, value)     \
    INT_RUN(name, int8_t, wide, value)  \
    INT_RUN(name, uint8_t, wide, value) \
    INT_RUN(name, int32_t, wide, value) \
    INT_RUN(name, int64_t, wide, value)
INT_RUNS(add, uint64_t, a + b)
INT_RUNS(sub, uint64_t, a - b)
INT_RUNS(mul, uint64_t, a *b)
/* b == -1 apart: the smallest number divided by -1 overflows. */
INT_RUNS(div, int64_t, b == 0 ? 0 : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b)

static ev_status binary_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                              int32_t n_out)
{
    char text[2][EVI_SHAPE_TEXT];
    (void)a;
    (void)n_in;
    (void)n_out;
    if (in[0].type != in[1].type)
        return evi_fail(EV_ERR_SHAPE, "the inputs have types %s and %s", ev_type_name(in[0].type),
                        ev_type_name(in[1].type));
    if (in[0].type == EV_TYPE_BOOL)
        return evi_fail(EV_ERR_SHAPE, "no arithmetic on bool");
    if (!evi_broadcast(&in[0].shape, &in[1].shape, &out->shape))
        return evi_fail(EV_ERR_SHAPE, "%s and %s cannot be broadcast together",
                        evi_shape_text(&in[0].shape, text[0]),
                        evi_shape_text(&in[1].shape, text[1]));
    out->type = in[0].type;
    return EV_OK;
}

static void binary_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                            const evi_edge *out, int32_t n_out, evi_coupling *c)
{
    (void)a;
    (void)n_out;
    evi_couple_broadcast(c, in, n_in, out);
}

static void pair_walk(const evi_step *s, evi_walk *w)
{
    const evi_shape *shapes[] = {&s->out[0]->shape, &s->in[0]->shape, &s->in[1]->shape};
    evi_walk_broadcast(w, &s->out[0]->shape, 3, shapes);
}

typedef struct pair_runs {
    evi_walk_fn real, i8, u8, i32, i64;
} pair_runs;

static void binary_run(evi_step *s, const pair_runs *runs)
{
    evi_walk w;
    pair_job job = {s->in[0]->data, s->in[1]->data, s->out[0]->data, s->k};
    evi_walk_fn fn = runs->u8;
    pair_walk(s, &w);
    if (evi_type_is_real(s->in[0]->type))
        fn = runs->real;
    else if (s->in[0]->type == EV_TYPE_INT8)
        fn = runs->i8;
    else if (s->in[0]->type == EV_TYPE_INT32)
        fn = runs->i32;
    else if (s->in[0]->type == EV_TYPE_INT64)
        fn = runs->i64;
    evi_walk_run(s->crew, &w, fn, &job);
}

/* ---- gradients ------------------------------------------------------------------------------ */

/* d loss / d in[side] = sum over the broadcast axes of dy * factor.  Array 0 of the walk is the
 * gradient, 1 is dy, 2 and 3 are the inputs a and b. */
typedef struct back_job {
    const evi_real *dy, *a, *b;
    evi_real *g;
    bool first;
} back_job;

#define TERMS(name, value)                                                                   \
    static void name(const void *arg, int64_t n, const int64_t *offset, const int64_t *step, \
                     double *out)                                                            \
    {                                                                                        \
        const back_job *job = arg;                                                           \
        const evi_real *pg = job->dy + offset[1];                                            \
        for (int64_t i = 0; i < n; i++) {                                                    \
            evi_real g = pg[i * step[1]];                                                    \
            out[i] = value;                                                                  \
        }                                                                                    \
    }
#define AT(p, k) job->p[offset[k] + i * step[k]]
TERMS(terms_same, g)
TERMS(terms_minus, -g)
TERMS(terms_times_a, g *AT(a, 2))
TERMS(terms_times_b, g *AT(b, 3))
TERMS(terms_over_b, g / AT(b, 3))
TERMS(terms_div_b, -g *(AT(a, 2) / AT(b, 3)) / AT(b, 3))

static void store_grad(const void *arg, int64_t offset, double value)
{
    const back_job *job = arg;
    job->g[offset] = job->first ? (evi_real)value : job->g[offset] + (evi_real)value;
}

/* The same without sums: each place of the gradient is met once. */
typedef struct direct_job {
    back_job back;
    evi_terms_fn terms;
} direct_job;

static void direct_run(void *arg, int64_t n, const int64_t *offset, const int64_t *step)
{
    const direct_job *job = arg;
    double term[256];
    int64_t at[EVI_WALK_OPS];
    for (int64_t i = 0; i < n; i += EVI_COUNT(term)) {
        int64_t m = EVI_MIN(n - i, EVI_COUNT(term));
        for (int32_t k = 0; k < EVI_WALK_OPS; k++)
            at[k] = offset[k] + i * step[k];
        job->terms(&job->back, m, at, step, term);
        evi_real *g = job->back.g + at[0];
        if (job->back.first)
            for (int64_t j = 0; j < m; j++)
                g[j * step[0]] = (evi_real)term[j];
        else
            for (int64_t j = 0; j < m; j++)
                g[j * step[0]] += (evi_real)term[j];
    }
}

static void binary_grad(evi_step *s, int32_t side, evi_terms_fn terms)
{
    const evi_view *in = s->in[side], *out = s->out[0];
    if (in->grad == NULL)
        return;
    evi_walk w;
    const evi_shape *shapes[] = {&in->shape, &out->shape, &s->in[0]->shape, &s->in[1]->shape};
    direct_job job = {{out->grad, evi_in(s, 0), evi_in(s, 1), in->grad, evi_grad_is_first(s, side)},
                      terms};
    evi_walk_broadcast(&w, &out->shape, 4, shapes);
    if (evi_shape_count(&in->shape) == evi_shape_count(&out->shape))
        evi_walk_run(s->crew, &w, direct_run, &job);
    else
        evi_walk_fold(s->crew, &w, EVI_FOLD_SUM, terms, store_grad, &job.back);
}

typedef struct pass_job {
    const evi_kernels *k;
    const evi_real *from;
    evi_real *to;
    evi_real sign;
    bool first;
} pass_job;

static void pass_range(void *arg, int64_t first, int64_t count)
{
    const pass_job *job = arg;
    if (job->first)
        job->k->scale(count, job->sign, job->from + first, job->to + first);
    else
        job->k->axpy(count, job->sign, job->from + first, job->to + first);
}

/* Sums pass the gradient on: the common case of equal shapes is one kernel call. */
static void pass_grad(evi_step *s, int32_t side, evi_real sign)
{
    const evi_view *in = s->in[side], *out = s->out[0];
    if (in->grad == NULL)
        return;
    if (evi_shape_count(&in->shape) != evi_shape_count(&out->shape)) {
        binary_grad(s, side, sign > 0 ? terms_same : terms_minus);
        return;
    }
    pass_job job = {s->k, out->grad, in->grad, sign, evi_grad_is_first(s, side)};
    if (job.first && sign > 0 && in->grad == out->grad)
        return; /* in place */
    evi_for_ranges(s->crew, evi_shape_count(&out->shape), 16384, pass_range, &job);
}

/* Input 0 first, since x + x has one gradient, written by the first and added to by the second. */
static void add_backward(evi_step *s)
{
    pass_grad(s, 0, 1);
    pass_grad(s, 1, 1);
}

static void sub_backward(evi_step *s)
{
    pass_grad(s, 0, 1);
    pass_grad(s, 1, -1);
}

static void mul_backward(evi_step *s)
{
    binary_grad(s, 0, terms_times_b);
    binary_grad(s, 1, terms_times_a);
}

static void div_backward(evi_step *s)
{
    binary_grad(s, 0, terms_over_b);
    binary_grad(s, 1, terms_div_b);
}

#define BINARY(name_, onnx_, traits_, bwd_in_)                                        \
    static void name_##_forward(evi_step *s)                                          \
    {                                                                                 \
        static const pair_runs runs = {name_##_real, name_##_int8_t, name_##_uint8_t, \
                                       name_##_int32_t, name_##_int64_t};             \
        binary_run(s, &runs);                                                         \
    }                                                                                 \
    const evi_op evi_op_##name_ = {.name = #name_,                                    \
                                   .onnx = onnx_,                                     \
                                   .traits = traits_,                                 \
                                   .bwd_in = bwd_in_,                                 \
                                   .min_in = 2,                                       \
                                   .max_in = 2,                                       \
                                   .max_out = 1,                                      \
                                   .infer = binary_infer,                             \
                                   .forward = name_##_forward,                        \
                                   .backward = EVI_BACKWARD(name_##_backward),        \
                                   .channels = binary_channels,                       \
                                   .flops = evi_flops_elements};
BINARY(add, "Add", EVI_OP_INPLACE, 0)
BINARY(sub, "Sub", EVI_OP_INPLACE, 0)
BINARY(mul, "Mul", 0, 3)
BINARY(div, "Div", 0, 3)
