/* SPDX-License-Identifier: MIT */
/* Matrix product with NumPy's rules: the last two dimensions are matrices, the ones before are
 * broadcast, a vector on the left is a row and on the right a column whose dimension goes away;
 * ONNX MatMul.  Inputs: A, B. */
#include "ops/check.h"
#include "ops/gemm.h"

enum {
    BATCHED = 0, /* one product per matrix */
    FOLDED       /* B is one matrix: all rows of A are rows of one product */
};

typedef struct mm_shape {
    int64_t m, n, k;
    evi_shape batch;                                  /* broadcast dimensions before the matrices */
    int64_t a_step[EV_MAX_RANK], b_step[EV_MAX_RANK]; /* in matrices; 0: repeated */
    int64_t count, a_count, b_count;                  /* matrices */
} mm_shape;

/* The dimensions before the matrix; none for a vector. */
static evi_shape batch_of(const evi_shape *x)
{
    evi_shape b = {.rank = EVI_MAX(x->rank - 2, 0)};
    for (int32_t d = 0; d < b.rank; d++)
        b.dim[d] = x->dim[d];
    return b;
}

static void steps_of(const evi_shape *own, const evi_shape *batch, int64_t *step)
{
    int64_t size = 1;
    for (int32_t i = 1; i <= batch->rank; i++) {
        int64_t dim = i <= own->rank ? own->dim[own->rank - i] : 1;
        step[batch->rank - i] = dim > 1 ? size : 0;
        size *= dim;
    }
}

static bool measure(const evi_shape *a, const evi_shape *b, mm_shape *s)
{
    evi_shape ba = batch_of(a), bb = batch_of(b);
    s->m = a->rank > 1 ? a->dim[a->rank - 2] : 1;
    s->k = a->dim[a->rank - 1];
    s->n = b->rank > 1 ? b->dim[b->rank - 1] : 1;
    if (s->k != b->dim[b->rank > 1 ? b->rank - 2 : 0] || !evi_broadcast(&ba, &bb, &s->batch))
        return false;
    steps_of(&ba, &s->batch, s->a_step);
    steps_of(&bb, &s->batch, s->b_step);
    s->count = evi_shape_count(&s->batch);
    s->a_count = evi_shape_count(&ba);
    s->b_count = evi_shape_count(&bb);
    return true;
}

static ev_status mm_infer(evi_attrs *attrs, const evi_edge *in, int32_t n_in, evi_edge *out,
                          int32_t n_out)
{
    char ta[EVI_SHAPE_TEXT], tb[EVI_SHAPE_TEXT];
    (void)attrs, (void)n_out;
    EVI_TRY(evi_need_rank(in, n_in, 0, 1, EV_MAX_RANK, "the left matrix"));
    EVI_TRY(evi_need_rank(in, n_in, 1, 1, EV_MAX_RANK, "the right matrix"));
    const evi_shape *a = &in[0].shape, *b = &in[1].shape;
    mm_shape s;
    if (!measure(a, b, &s))
        return evi_fail(EV_ERR_SHAPE, "matrices %s and %s cannot be multiplied",
                        evi_shape_text(a, ta), evi_shape_text(b, tb));
    evi_shape y = s.batch;
    if (a->rank > 1)
        y.dim[y.rank++] = s.m;
    if (b->rank > 1)
        y.dim[y.rank++] = s.n;
    evi_edge_set(out, 0, in[0].type, &y);
    return evi_shape_check(&y, "the output");
}

static mm_shape shape_of(const evi_step *s)
{
    mm_shape r;
    (void)measure(&s->in[0]->shape, &s->in[1]->shape, &r);
    if (s->variant == FOLDED) {
        r.m *= r.count;
        r.count = r.a_count = 1;
        r.batch.rank = 0;
    }
    return r;
}

static uint64_t most(uint64_t a, uint64_t b, uint64_t c)
{
    return EVI_MAX(a, EVI_MAX(b, c));
}

static void mm_prepare(evi_step *s)
{
    mm_shape r;
    (void)measure(&s->in[0]->shape, &s->in[1]->shape, &r);
    s->variant = r.b_count == 1 && r.a_count == r.count ? FOLDED : BATCHED;
    r = shape_of(s);
    if (!s->training && s->variant == FOLDED && s->in[1]->data != NULL)
        s->packed_bytes = (uint64_t)r.k * (uint64_t)r.n * sizeof(evi_real);
    bool tb = s->packed_bytes > 0;
    s->scratch_bytes = evi_gemm_scratch_bytes(s->k, r.m, r.n, r.k, false, tb, s->n_workers);
    if (s->training)
        s->scratch_bytes =
            most(s->scratch_bytes,
                 evi_gemm_scratch_bytes(s->k, r.m, r.k, r.n, false, true, s->n_workers),
                 evi_gemm_scratch_bytes(s->k, r.k, r.n, r.m, true, false, s->n_workers));
}

/* Weights on the right are turned once: then both operands lie along k. */
static void mm_pack(evi_step *s)
{
    mm_shape r = shape_of(s);
    if (s->packed_bytes > 0)
        s->k->transpose(r.k, r.n, evi_in(s, 1), r.n, s->packed, r.k);
}

/* Matrix number t of the batch begins at these matrices of A and B. */
static void find(const mm_shape *r, int64_t t, int64_t *a, int64_t *b)
{
    *a = *b = 0;
    for (int32_t d = r->batch.rank - 1; d >= 0; d--) {
        *a += t % r->batch.dim[d] * r->a_step[d];
        *b += t % r->batch.dim[d] * r->b_step[d];
        t /= r->batch.dim[d];
    }
}

static void mm_forward(evi_step *s)
{
    mm_shape r = shape_of(s);
    bool packed = s->packed_bytes > 0;
    for (int64_t t = 0; t < r.count; t++) {
        int64_t at, bt;
        find(&r, t, &at, &bt);
        evi_gemm_args g = {.m = r.m,
                           .n = r.n,
                           .k = r.k,
                           .a = evi_in(s, 0) + at * r.m * r.k,
                           .lda = r.k,
                           .b = packed ? s->packed : evi_in(s, 1) + bt * r.k * r.n,
                           .ldb = packed ? r.k : r.n,
                           .c = evi_out(s, 0) + t * r.m * r.n,
                           .ldc = r.n,
                           .trans_b = packed,
                           .act = evi_step_act(s)};
        evi_gemm(s->crew, s->k, &g, s->scratch);
    }
}

/* dA = dC B^T and dB = A^T dC; a matrix that was repeated gets the sum, in order. */
static void mm_backward(evi_step *s)
{
    mm_shape r = shape_of(s);
    bool write_a = evi_grad_is_first(s, 0), write_b = evi_grad_is_first(s, 1);
    if (r.a_count != r.count)
        (void)evi_grad_start(s, 0), write_a = false;
    if (r.b_count != r.count)
        (void)evi_grad_start(s, 1), write_b = false;
    for (int64_t t = 0; t < r.count; t++) {
        int64_t at, bt;
        find(&r, t, &at, &bt);
        const evi_real *dc = s->out[0]->grad + t * r.m * r.n;
        if (s->in[0]->grad != NULL) {
            evi_gemm_args g = {.m = r.m, .n = r.k, .k = r.n, .a = dc, .lda = r.n};
            g.b = evi_in(s, 1) + bt * r.k * r.n, g.ldb = r.n, g.trans_b = true;
            g.c = s->in[0]->grad + at * r.m * r.k, g.ldc = r.k, g.accumulate = !write_a;
            evi_gemm(s->crew, s->k, &g, s->scratch);
        }
        if (s->in[1]->grad != NULL) {
            evi_gemm_args g = {.m = r.k, .n = r.n, .k = r.m, .b = dc, .ldb = r.n};
            g.a = evi_in(s, 0) + at * r.m * r.k, g.lda = r.k, g.trans_a = true;
            g.c = s->in[1]->grad + bt * r.k * r.n, g.ldc = r.n, g.accumulate = !write_b;
            evi_gemm(s->crew, s->k, &g, s->scratch);
        }
    }
}

static void mm_channels(const evi_attrs *attrs, const evi_edge *in, int32_t n_in,
                        const evi_edge *out, int32_t n_out, evi_coupling *c)
{
    (void)attrs, (void)n_in, (void)n_out;
    const evi_shape *a = &in[0].shape, *b = &in[1].shape, *y = &out[0].shape;
    if (b->rank != 2 || a->rank < 2) {
        c->blocked = "a product of two matrices of data";
        return;
    }
    int32_t set = evi_couple_set(c);
    evi_couple(c, set, 0, a->rank - 1, 0, b->dim[0], 1);
    evi_couple(c, set, 1, 0, 0, b->dim[0], 1);
    set = evi_couple_set(c);
    evi_couple(c, set, 1, 1, 0, b->dim[1], 1);
    evi_couple(c, set, ~0, y->rank - 1, 0, b->dim[1], 1);
    for (int32_t d = 1; d < a->rank - 1; d++) {
        set = evi_couple_set(c);
        evi_couple(c, set, 0, d, 0, a->dim[d], 1);
        evi_couple(c, set, ~0, d, 0, a->dim[d], 1);
    }
}

static double mm_flops(const evi_attrs *attrs, const evi_edge *in, int32_t n_in,
                       const evi_edge *out, int32_t n_out)
{
    (void)attrs, (void)n_in, (void)n_out;
    return 2.0 * (double)evi_shape_count(&out[0].shape) *
           (double)in[0].shape.dim[in[0].shape.rank - 1];
}

static const char *mm_kernel(const evi_step *s)
{
    return s->packed_bytes > 0 ? "dot" : s->variant == FOLDED ? "gemm" : "gemm of each";
}

const evi_op evi_op_matmul = {.name = "matmul",
                              .onnx = "MatMul",
                              .traits = EVI_OP_FUSES_ACT,
                              .bwd_in = 1 << 0 | 1 << 1,
                              .min_in = 2,
                              .max_in = 2,
                              .max_out = 1,
                              .infer = mm_infer,
                              .prepare = mm_prepare,
                              .pack = mm_pack,
                              .forward = mm_forward,
                              .backward = EVI_BACKWARD(mm_backward),
                              .channels = mm_channels,
                              .flops = mm_flops,
                              .kernel = mm_kernel};
