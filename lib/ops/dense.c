/* SPDX-License-Identifier: MIT */
/* Fully connected layer y = alpha A B + beta C; ONNX Gemm.
 * Inputs: A [N,K] (trans_a: [K,N]), B [K,M] (trans_b: [M,K], the ordinary dense layer),
 * C (optional) [M], [1,M], [N,1], [N,M] or one number.  alpha and beta both 0: not given, 1. */
#include "ops/check.h"
#include "ops/gemm.h"

#include <string.h>

typedef struct dense_shape {
    int64_t n, m, k;      /* y [n,m], k products summed */
    int64_t c_row, c_col; /* steps of C along y's rows and columns; 0: the same value */
    evi_real alpha, beta;
    bool plain; /* alpha 1; C is absent or a bias of m values times 1: one product does it all */
} dense_shape;

static dense_shape shape_of(const evi_step *s)
{
    const evi_attrs *a = &s->a;
    const evi_shape *x = &s->in[0]->shape, *w = &s->in[1]->shape;
    bool given = a->alpha != 0.0f || a->beta != 0.0f;
    dense_shape d = {.n = x->dim[a->trans_a ? 1 : 0],
                     .k = x->dim[a->trans_a ? 0 : 1],
                     .m = w->dim[a->trans_b ? 0 : 1],
                     .alpha = given ? EVI_REAL(a->alpha) : 1,
                     .beta = given ? EVI_REAL(a->beta) : 1};
    d.plain = d.alpha == 1;
    if (evi_has_in(s, 2)) {
        const evi_shape *c = &s->in[2]->shape;
        int64_t rows = c->rank > 1 ? c->dim[0] : 1, cols = c->rank > 0 ? c->dim[c->rank - 1] : 1;
        d.c_row = rows > 1 ? cols : 0;
        d.c_col = cols > 1 ? 1 : 0;
        d.plain = d.plain && d.beta == 1 && d.c_row == 0 && cols == d.m;
    }
    return d;
}

static ev_status dense_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                             int32_t n_out)
{
    char tx[EVI_SHAPE_TEXT], tw[EVI_SHAPE_TEXT];
    (void)n_out;
    EVI_TRY(evi_need_rank(in, n_in, 0, 2, 2, "the input"));
    EVI_TRY(evi_need_rank(in, n_in, 1, 2, 2, "the weights"));
    const evi_shape *x = &in[0].shape, *w = &in[1].shape;
    int64_t n = x->dim[a->trans_a ? 1 : 0], k = x->dim[a->trans_a ? 0 : 1];
    int64_t m = w->dim[a->trans_b ? 0 : 1], k2 = w->dim[a->trans_b ? 1 : 0];
    if (k != k2)
        return evi_fail(EV_ERR_SHAPE, "input %s has %lld features, weights %s take %lld",
                        evi_shape_text(x, tx), (long long)k, evi_shape_text(w, tw), (long long)k2);
    evi_shape y = {.rank = 2, .dim = {n, m}}, both;
    if (evi_edge_has(in, n_in, 2)) {
        EVI_TRY(evi_need_real(in, n_in, 2, "the bias"));
        if (!evi_broadcast(&y, &in[2].shape, &both) || !evi_shape_equal(&y, &both))
            return evi_fail(EV_ERR_SHAPE, "bias %s does not fit the output %s",
                            evi_shape_text(&in[2].shape, tx), evi_shape_text(&y, tw));
    }
    evi_edge_set(out, 0, in[0].type, &y);
    return evi_shape_check(&y, "the output");
}

/* alpha dy for the backward pass lies at the end of the scratch, after what products need. */
static uint64_t product_scratch(const evi_step *s, const dense_shape *d)
{
    bool ta = s->a.trans_a != 0, tb = s->a.trans_b != 0;
    uint64_t most = evi_gemm_scratch_bytes(s->k, d->n, d->m, d->k, ta, tb, s->n_workers);
    if (s->training) {
        uint64_t da = ta ? evi_gemm_scratch_bytes(s->k, d->k, d->n, d->m, tb, true, s->n_workers)
                         : evi_gemm_scratch_bytes(s->k, d->n, d->k, d->m, false, !tb, s->n_workers);
        uint64_t db = tb ? evi_gemm_scratch_bytes(s->k, d->m, d->k, d->n, true, ta, s->n_workers)
                         : evi_gemm_scratch_bytes(s->k, d->k, d->m, d->n, !ta, false, s->n_workers);
        most = EVI_MAX(most, EVI_MAX(da, db));
    }
    if (!tb) /* the transposed weights of an inference plan are used instead */
        most =
            EVI_MAX(most, evi_gemm_scratch_bytes(s->k, d->n, d->m, d->k, ta, true, s->n_workers));
    return evi_round_up(most, EVI_ALIGN);
}

static void dense_prepare(evi_step *s)
{
    dense_shape d = shape_of(s);
    uint64_t matrix = (uint64_t)d.n * (uint64_t)d.m * sizeof(evi_real);
    s->scratch_bytes = product_scratch(s, &d) + (s->training && d.alpha != 1 ? matrix : 0);
    /* Weights that lie along k need no packing at any batch size; others are turned once. */
    if (!s->training && !s->a.trans_b && s->in[1]->data != NULL)
        s->packed_bytes = (uint64_t)d.k * (uint64_t)d.m * sizeof(evi_real);
}

static void dense_pack(evi_step *s)
{
    dense_shape d = shape_of(s);
    if (s->packed_bytes > 0)
        s->k->transpose(d.k, d.m, evi_in(s, 1), d.m, s->packed, d.k);
}

/* y = alpha y + beta C, for what a product with bias does not cover. */
static void scale_and_add(const evi_step *s, const dense_shape *d)
{
    const evi_real *c = evi_has_in(s, 2) ? evi_in(s, 2) : NULL;
    for (int64_t i = 0; i < d->n; i++) {
        evi_real *y = evi_out(s, 0) + i * d->m;
        if (d->alpha != 1)
            s->k->scale(d->m, d->alpha, y, y);
        for (int64_t j = 0; c != NULL && j < d->m; j++)
            y[j] += d->beta * c[i * d->c_row + j * d->c_col];
    }
}

static void dense_forward(evi_step *s)
{
    dense_shape d = shape_of(s);
    bool tb = s->a.trans_b || s->packed_bytes > 0;
    evi_gemm_args g = {.m = d.n,
                       .n = d.m,
                       .k = d.k,
                       .a = evi_in(s, 0),
                       .lda = s->a.trans_a ? d.n : d.k,
                       .b = s->packed_bytes > 0 ? s->packed : evi_in(s, 1),
                       .ldb = tb ? d.k : d.m,
                       .c = evi_out(s, 0),
                       .ldc = d.m,
                       .trans_a = s->a.trans_a != 0,
                       .trans_b = tb};
    evk_act act = evi_step_act(s);
    if (d.plain) {
        g.bias_col = evi_has_in(s, 2) ? evi_in(s, 2) : NULL;
        g.act = act;
    }
    evi_gemm(s->crew, s->k, &g, s->scratch);
    if (!d.plain) {
        scale_and_add(s, &d);
        if (act.kind != EVK_ACT_NONE)
            evi_act_forward(s->crew, s->k, d.n * d.m, evi_out(s, 0), &act, evi_out(s, 0));
    }
}

/* dA = dy B^T, stored as A is: [n,k], or its transpose B dy^T. */
static void back_input(evi_step *s, const dense_shape *d, const evi_real *dy)
{
    bool ta = s->a.trans_a != 0, tb = s->a.trans_b != 0;
    evi_gemm_args g = {.k = d->m, .c = s->in[0]->grad, .accumulate = !evi_grad_is_first(s, 0)};
    const evi_real *w = evi_in(s, 1);
    int64_t ldw = tb ? d->k : d->m;
    if (ta) {
        g.m = d->k, g.n = d->n, g.ldc = d->n;
        g.a = w, g.lda = ldw, g.trans_a = tb;
        g.b = dy, g.ldb = d->m, g.trans_b = true;
    } else {
        g.m = d->n, g.n = d->k, g.ldc = d->k;
        g.a = dy, g.lda = d->m;
        g.b = w, g.ldb = ldw, g.trans_b = !tb;
    }
    evi_gemm(s->crew, s->k, &g, s->scratch);
}

/* dB = A^T dy, stored as B is: [k,m], or its transpose dy^T A. */
static void back_weights(evi_step *s, const dense_shape *d, const evi_real *dy)
{
    bool ta = s->a.trans_a != 0, tb = s->a.trans_b != 0;
    evi_gemm_args g = {.k = d->n, .c = s->in[1]->grad, .accumulate = !evi_grad_is_first(s, 1)};
    const evi_real *x = evi_in(s, 0);
    int64_t ldx = ta ? d->n : d->k;
    if (tb) {
        g.m = d->m, g.n = d->k, g.ldc = d->k;
        g.a = dy, g.lda = d->m, g.trans_a = true;
        g.b = x, g.ldb = ldx, g.trans_b = ta;
    } else {
        g.m = d->k, g.n = d->m, g.ldc = d->m;
        g.a = x, g.lda = ldx, g.trans_a = !ta;
        g.b = dy, g.ldb = d->m;
    }
    evi_gemm(s->crew, s->k, &g, s->scratch);
}

/* dC = beta dy, summed where C was repeated; rows in order. */
static void back_bias(evi_step *s, const dense_shape *d)
{
    evi_real *dc = evi_grad_start(s, 2);
    const evi_real *dy = s->out[0]->grad;
    if (dc == NULL)
        return;
    for (int64_t i = 0; i < d->n; i++, dy += d->m) {
        if (d->c_col == 1)
            s->k->axpy(d->m, d->beta, dy, dc + i * d->c_row);
        else
            dc[d->c_row == 0 ? 0 : i] += d->beta * s->k->sum(d->m, dy);
    }
}

static void dense_backward(evi_step *s)
{
    dense_shape d = shape_of(s);
    const evi_real *dy = s->out[0]->grad;
    back_bias(s, &d);
    if (d.alpha != 1) {
        evi_real *scaled = (evi_real *)((char *)s->scratch + product_scratch(s, &d));
        s->k->scale(d.n * d.m, d.alpha, dy, scaled);
        dy = scaled;
    }
    if (s->in[1]->grad != NULL)
        back_weights(s, &d, dy);
    if (s->in[0]->grad != NULL)
        back_input(s, &d, dy);
}

static void dense_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                           const evi_edge *out, int32_t n_out, evi_coupling *c)
{
    (void)n_out;
    int64_t k = in[0].shape.dim[a->trans_a ? 0 : 1], m = out[0].shape.dim[1];
    int32_t set = evi_couple_set(c);
    evi_couple(c, set, 0, a->trans_a ? 0 : 1, 0, k, 1);
    evi_couple(c, set, 1, a->trans_b ? 1 : 0, 0, k, 1);
    set = evi_couple_set(c);
    evi_couple(c, set, 1, a->trans_b ? 0 : 1, 0, m, 1);
    evi_couple(c, set, ~0, 1, 0, m, 1);
    if (evi_edge_has(in, n_in, 2)) {
        const evi_shape *b = &in[2].shape;
        if (b->rank > 0 && b->dim[b->rank - 1] == m)
            evi_couple(c, set, 2, b->rank - 1, 0, m, 1);
    }
}

static double dense_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in, const evi_edge *out,
                          int32_t n_out)
{
    (void)n_in, (void)n_out;
    return 2.0 * (double)evi_shape_count(&out[0].shape) *
           (double)in[0].shape.dim[a->trans_a ? 0 : 1];
}

/* The weights of an ordinary dense layer lie along the sum, which is then a scalar product. */
static const char *dense_kernel(const evi_step *s)
{
    return s->a.trans_b || s->packed_bytes > 0 ? "dot" : "gemm";
}

const evi_op evi_op_dense = {.name = "dense",
                             .onnx = "Gemm",
                             .traits = EVI_OP_FUSES_ACT,
                             .bwd_in = 1 << 0 | 1 << 1,
                             .min_in = 2,
                             .max_in = 3,
                             .max_out = 1,
                             .infer = dense_infer,
                             .prepare = dense_prepare,
                             .pack = dense_pack,
                             .forward = dense_forward,
                             .backward = EVI_BACKWARD(dense_backward),
                             .channels = dense_channels,
                             .flops = dense_flops,
                             .kernel = dense_kernel};
