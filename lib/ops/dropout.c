/* SPDX-License-Identifier: MIT */
/* Zero each element with chance `rate` and multiply the others by 1 / (1 - rate), so that the mean
 * stays; ONNX Dropout.  Identity outside training.
 * Inputs: x, rate (optional number), training mode (optional, bool: ONNX; true drops in inference
 * plans as well).  Outputs: y, mask (optional, bool: what was kept).
 * Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
 * JMLR 15 (2014).
 *
 * Whether element i falls in step t is decided by random number t * 2^32 + i of the node's stream
 * alone, whatever the threads.  Training keeps one bit per element. */
#include "ops/check.h"

#include <string.h>

enum { PIECE = 8192 }; /* a multiple of 8: pieces share no byte of the mask */

static ev_status dropout_infer(evi_attrs *a, const evi_edge *in, int32_t n_in, evi_edge *out,
                               int32_t n_out)
{
    EVI_TRY(evi_need_real(in, n_in, 0, "the input"));
    if (evi_edge_has(in, n_in, 1)) {
        EVI_TRY(evi_need_real(in, n_in, 1, "the rate"));
        if (evi_shape_count(&in[1].shape) != 1)
            return evi_fail(EV_ERR_SHAPE, "the rate (input 1) must be one number");
        if (in[1].value != NULL)
            a->rate = (float)*(const evi_real *)in[1].value;
    }
    if (evi_edge_has(in, n_in, 2) &&
        (in[2].type != EV_TYPE_BOOL || evi_shape_count(&in[2].shape) != 1))
        return evi_fail(EV_ERR_SHAPE, "the training mode (input 2) must be one bool");
    if (!(a->rate >= 0 && a->rate <= 1))
        return evi_fail(EV_ERR_ARGUMENT, "rate %g must be 0 to 1", (double)a->rate);
    evi_edge_set(out, 0, in[0].type, &in[0].shape);
    if (n_out > 1)
        evi_edge_set(out, 1, EV_TYPE_BOOL, &in[0].shape);
    return EV_OK;
}

static double rate_of(const evi_step *s)
{
    double rate = (double)s->a.rate;
    if (evi_has_in(s, 1) && s->in[1]->data != NULL)
        rate = (double)evi_in(s, 1)[0];
    return rate >= 0 && rate <= 1 ? rate : 0;
}

static bool drops(const evi_step *s)
{
    bool asked = evi_has_in(s, 2) && *(const uint8_t *)s->in[2]->data != 0;
    return (s->training || asked) && rate_of(s) > 0;
}

static evi_real factor_of(const evi_step *s)
{
    double rate = rate_of(s);
    return rate < 1 ? (evi_real)(1 / (1 - rate)) : 0;
}

static void dropout_prepare(evi_step *s)
{
    if (s->training || evi_has_in(s, 2))
        s->saved_bytes = ((uint64_t)evi_shape_count(&s->in[0]->shape) + 7) / 8;
}

/* Bits 0..7 for elements first..first+7 (first a multiple of 8): two blocks of four numbers. */
static uint8_t eight_bits(const evi_step *s, int64_t first, uint64_t limit)
{
    uint32_t word[8], bits = 0;
    uint64_t block = (s->counter << 30) + (uint64_t)first / 4;
    evi_rng_block(s->rng, block, word);
    evi_rng_block(s->rng, block + 1, word + 4);
    for (uint32_t i = 0; i < 8; i++)
        bits |= (uint32_t)(word[i] >= limit) << i;
    return (uint8_t)bits;
}

static void drop_range(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    const evi_real *x = evi_in(s, 0);
    evi_real *y = evi_out(s, 0), factor[2] = {0, factor_of(s)};
    uint8_t *saved = s->saved, *mask = evi_step_has_out(s, 1) ? s->out[1]->data : NULL;
    uint64_t limit = (uint64_t)(rate_of(s) * 0x1p32 + 0.5);
    for (int64_t i = first; i < first + count; i += 8) {
        uint8_t bits = eight_bits(s, i, limit);
        saved[i / 8] = bits;
        int64_t n = EVI_MIN(8, first + count - i);
        for (int64_t j = 0; j < n; j++) {
            uint32_t kept = (bits >> j) & 1u;
            y[i + j] = x[i + j] * factor[kept];
            if (mask != NULL)
                mask[i + j] = (uint8_t)kept;
        }
    }
}

static void dropout_forward(evi_step *s)
{
    int64_t n = evi_shape_count(&s->in[0]->shape);
    if (drops(s)) {
        evi_for_ranges(s->crew, n, PIECE, drop_range, s);
        return;
    }
    if (evi_out(s, 0) != evi_in(s, 0) && n > 0)
        memcpy(evi_out(s, 0), evi_in(s, 0), (size_t)n * sizeof(evi_real));
    if (evi_step_has_out(s, 1))
        memset(s->out[1]->data, 1, (size_t)n);
}

static void back_range(void *arg, int64_t first, int64_t count)
{
    const evi_step *s = arg;
    const evi_real *dy = s->out[0]->grad;
    evi_real *dx = s->in[0]->grad, factor[2] = {0, factor_of(s)};
    const uint8_t *saved = s->saved;
    bool all = !drops(s), is_first = evi_grad_is_first(s, 0);
    for (int64_t i = first; i < first + count; i++) {
        evi_real g = dy[i] * (all ? 1 : factor[(saved[i / 8] >> (i % 8)) & 1]);
        dx[i] = is_first ? g : dx[i] + g;
    }
}

static void dropout_backward(evi_step *s)
{
    if (s->in[0]->grad != NULL)
        evi_for_ranges(s->crew, evi_shape_count(&s->in[0]->shape), PIECE, back_range, s);
}

static void dropout_channels(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                             const evi_edge *out, int32_t n_out, evi_coupling *c)
{
    (void)a, (void)n_in;
    for (int32_t axis = 1; axis < in[0].shape.rank; axis++)
        evi_couple_same(c, in, 1, out, n_out, axis);
}

static double dropout_flops(const evi_attrs *a, const evi_edge *in, int32_t n_in,
                            const evi_edge *out, int32_t n_out)
{
    (void)a, (void)n_in, (void)out, (void)n_out;
    return (double)evi_shape_count(&in[0].shape);
}

const evi_op evi_op_dropout = {.name = "dropout",
                               .onnx = "Dropout",
                               .traits = EVI_OP_INPLACE | EVI_OP_TRAIN_ONLY_EFFECT | EVI_OP_RANDOM,
                               .min_in = 1,
                               .max_in = 3,
                               .max_out = 2,
                               .infer = dropout_infer,
                               .prepare = dropout_prepare,
                               .forward = dropout_forward,
                               .backward = EVI_BACKWARD(dropout_backward),
                               .channels = dropout_channels,
                               .flops = dropout_flops};
