/* SPDX-License-Identifier: MIT */
/* Normalisation with an activation behind it, over vectors: the text that each instruction set
 * compiles.  Backward computes anew which way the activation went, from the input that it reads
 * anyway: so nobody needs to keep the output. */

static void k_norm_act(int64_t n, const float *x, float a, float b, const evk_act *act, float *y)
{
    const vf va = v_set(a), vb = v_set(b), zero = v_zero(), leak = v_set(act->a);

    if (act->kind == EVK_ACT_RELU) {
        EACH(S(y, v_max(zero, v_fma(va, L(x), vb))););
    } else if (act->kind == EVK_ACT_LEAKY) {
        EACH(const vf v = v_fma(va, L(x), vb); S(y, v_pick(v_gt(v, zero), v, v_mul(leak, v))););
    } else {
        k_affine(n, x, a, b, y);
        if (act->kind != EVK_ACT_NONE)
            k_act(n, y, 0, act, y);
    }
}

#define PASSED(g, v) v_pick(v_gt(v_fma(a, v, b), zero), g, v_mul(leak, g))

static void k_norm_sums(int64_t n, const float *dy, const float *x, const evk_norm *o, float *sums)
{
    const vf a = v_set(o->a), b = v_set(o->b), leak = v_set(o->leak), mean = v_set(o->mean);
    const vf zero = v_zero();
    double sum = 0, products = 0;

    for (int64_t at = 0; at < n; at += SUM_BLOCK) {
        const int64_t end = EVI_MIN(n, at + SUM_BLOCK);
        vf s[4] = {zero, zero, zero, zero}, p[4] = {zero, zero, zero, zero};
        int64_t i = at;

#define STEP(q)                                           \
    do {                                                  \
        const vf v = L_OR(x, mean), g = PASSED(L(dy), v); \
        s[q] = v_add(s[q], g);                            \
        p[q] = v_fma(g, v_sub(v, mean), p[q]);            \
    } while (0)
        {
            enum { WHOLE = 1 };
            const vt tail = v_tail(VL);

            (void)tail;
            while (i + 4 * VL <= end) {
                STEP(0); i += VL;
                STEP(1); i += VL;
                STEP(2); i += VL;
                STEP(3); i += VL;
            }
            for (; i + VL <= end; i += VL)
                STEP(0);
        }
        if (i < end) {
            enum { WHOLE = 0 };
            const vt tail = v_tail((int)(end - i));

            STEP(1);
        }
#undef STEP
        sum += (double)v_sum(v_add(v_add(s[0], s[1]), v_add(s[2], s[3])));
        products += (double)v_sum(v_add(v_add(p[0], p[1]), v_add(p[2], p[3])));
    }
    sums[0] = (float)sum;
    sums[1] = (float)products;
}

static void k_norm_back(int64_t n, const float *dy, const float *x, const evk_norm *o, float *dx,
                        int32_t add)
{
    const vf a = v_set(o->a), b = v_set(o->b), leak = v_set(o->leak), zero = v_zero();
    const vf vp = v_set(o->p), vq = v_set(o->q), vr = v_set(o->r);

    if (add)
        EACH(const vf v = L(x), g = PASSED(L(dy), v);
             S(dx, v_add(L(dx), v_fma(vp, g, v_fma(vq, v, vr)))););
    else
        EACH(const vf v = L(x), g = PASSED(L(dy), v); S(dx, v_fma(vp, g, v_fma(vq, v, vr))););
}
#undef PASSED
