/* SPDX-License-Identifier: MIT */
/* Element by element over vectors: the text that each instruction set compiles.
 *
 * EACH(statements) runs them for each whole vector at i and once more for the rest; L and S are
 * whole accesses the first time and partial ones the second (WHOLE is a constant, so no test
 * remains). */

#define EACH(...)                                      \
    do {                                               \
        int64_t i = 0;                                 \
        for (; i + VL <= n; i += VL) {                 \
            enum { WHOLE = 1 };                        \
            const vt tail = v_tail(VL);                \
            (void)tail;                                \
            __VA_ARGS__                                \
        }                                              \
        if (i < n) {                                   \
            enum { WHOLE = 0 };                        \
            const vt tail = v_tail((int)(n - i));      \
            __VA_ARGS__                                \
        }                                              \
    } while (0)
#define L(p) (WHOLE ? v_load((p) + i) : v_load_t((p) + i, tail))
#define S(p, v)                              \
    do {                                     \
        if (WHOLE)                           \
            v_store((p) + i, (v));           \
        else                                 \
            v_store_t((p) + i, tail, (v));   \
    } while (0)

static void k_add(int64_t n, const float *a, const float *b, float *y)
{
    EACH(S(y, v_add(L(a), L(b))););
}

static void k_sub(int64_t n, const float *a, const float *b, float *y)
{
    EACH(S(y, v_sub(L(a), L(b))););
}

static void k_mul(int64_t n, const float *a, const float *b, float *y)
{
    EACH(S(y, v_mul(L(a), L(b))););
}

static void k_mul_add(int64_t n, const float *a, const float *b, float *y)
{
    EACH(S(y, v_fma(L(a), L(b), L(y))););
}

static void k_scale(int64_t n, float alpha, const float *x, float *y)
{
    const vf va = v_set(alpha);

    EACH(S(y, v_mul(va, L(x))););
}

static void k_axpy(int64_t n, float alpha, const float *x, float *y)
{
    const vf va = v_set(alpha);

    EACH(S(y, v_fma(va, L(x), L(y))););
}

static void k_affine(int64_t n, const float *x, float a, float b, float *y)
{
    const vf va = v_set(a), vb = v_set(b);

    EACH(S(y, v_fma(va, L(x), vb)););
}

static void k_affine2(int64_t n, const float *u, const float *x, float a, float b, float c,
                      float *y, int32_t add)
{
    const vf va = v_set(a), vb = v_set(b), vc = v_set(c);

    if (add)
        EACH(S(y, v_add(L(y), v_fma(va, L(u), v_fma(vb, L(x), vc)))););
    else
        EACH(S(y, v_fma(va, L(u), v_fma(vb, L(x), vc))););
}

static void k_exp(int64_t n, const float *x, float *y)
{
    EACH(S(y, v_exp(L(x))););
}

static void k_copy_rows(int64_t m, int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    for (; m > 0; m--, x += ldx, y += ldy)
        EACH(S(y, L(x)););
}

/* Four rows by four columns at a time; eight rows by whole vectors, which uses each cache line of x
 * once, where there is such a word. */
static NOINLINE void k_transpose(int64_t m, int64_t n, const float *x, int64_t ldx, float *y,
                                 int64_t ldy)
{
    const int64_t m4 = m / 4 * 4, n4 = n / 4 * 4;
    int64_t m8 = 0, wide = 0;

#ifdef HAS_TRANSPOSE8
    m8 = m / 8 * 8;
    wide = m8 > 0 ? n / VL * VL : 0;
    for (int64_t j = 0; j < wide; j += VL) {
        for (int64_t i = 0; i < m8; i += 8)
            v_transpose8(x + i * ldx + j, ldx, y + j * ldy + i, ldy);
    }
#endif
    for (int64_t j = 0; j < n4; j += 4) {
        for (int64_t i = j < wide ? m8 : 0; i < m4; i += 4)
            q_transpose(x + i * ldx + j, ldx, y + j * ldy + i, ldy);
    }
    for (int64_t j = n4; j < n; j++) {
        for (int64_t i = 0; i < m4; i++)
            y[j * ldy + i] = x[i * ldx + j];
    }
    for (int64_t i = m4; i < m; i++) {
        for (int64_t j = 0; j < n; j++)
            y[j * ldy + i] = x[i * ldx + j];
    }
}

static void k_gather(int64_t n, const float *x, int64_t step, float *y)
{
    int64_t i = 0;

    if (step == 2) { /* one is left, since the last whole vector would read one value too many */
        for (; i + VL < n; i += VL) {
            vf even, odd;

            v_unzip(v_load(x + 2 * i), v_load(x + 2 * i + VL), &even, &odd);
            v_store(y + i, even);
        }
    }
    for (; i < n; i++)
        y[i] = x[i * step];
}

#ifdef HAS_STORE_EVEN
static void k_scatter(int64_t n, const float *x, float *y, int64_t step, int32_t add)
{
    int64_t i = 0;

    if (step == 2) {
        for (; i + VL <= n; i += VL)
            v_store_even(y + 2 * i, v_load(x + i), add);
    }
    evk_ref_scatter(n - i, x + i, y + i * step, step, add);
}
#else
#define k_scatter evk_ref_scatter
#endif

/* A part of a plane's bytes is brought together first, then converted. */
static void k_bytes_to_planes(int64_t n, const uint8_t *x, int32_t channels, const float *scale,
                              const float *shift, float *y, int64_t plane)
{
    uint8_t part[VL * 8] = {0};
    float out[VL];

    for (int64_t i0 = 0; i0 < n; i0 += VL * 8) {
        const int64_t some = EVI_MIN(VL * 8, n - i0);

        for (int32_t c = 0; c < channels; c++) {
            const vf a = v_set(scale[c]), b = v_set(shift[c]);
            float *to = y + c * plane + i0;
            int64_t i = 0;

            for (int64_t j = 0; j < some; j++)
                part[j] = x[(i0 + j) * channels + c];
            for (; i + VL <= some; i += VL)
                v_store(to + i, v_fma(v_from_bytes(part + i), a, b));
            v_store(out, v_fma(v_from_bytes(part + EVI_MIN(i, VL * 7)), a, b));
            for (int64_t j = i; j < some; j++)
                to[j] = out[j - i];
        }
    }
}

/* ---- activations ----------------------------------------------------------------------------- */

INLINE vf v_clip(vf x, vf lo, vf hi)
{
    return v_min(hi, v_max(lo, x));
}

INLINE vf v_hard(vf x, vf a, vf b)
{
    return v_clip(v_fma(a, x, b), v_zero(), v_set(1.0f));
}

static void k_act(int64_t n, const float *x, float shift, const evk_act *act, float *y)
{
    const vf s = v_set(shift), zero = v_zero();
    const vf a = v_set(act->a), b = v_set(act->b);

    switch (act->kind) {
    case EVK_ACT_RELU:
        EACH(S(y, v_max(zero, v_add(L(x), s))););
        break;
    case EVK_ACT_CLIP:
        EACH(S(y, v_clip(v_add(L(x), s), a, b)););
        break;
    case EVK_ACT_LEAKY:
        EACH(vf v = v_add(L(x), s); S(y, v_pick(v_gt(v, zero), v, v_mul(a, v))););
        break;
    case EVK_ACT_SIGMOID:
        EACH(S(y, v_sigmoid(v_add(L(x), s))););
        break;
    case EVK_ACT_TANH:
        EACH(S(y, v_tanh(v_add(L(x), s))););
        break;
    case EVK_ACT_HARDSWISH:
        EACH(vf v = v_add(L(x), s);
             S(y, v_mul(v, v_hard(v, v_set(1.0f / 6), v_set(0.5f)))););
        break;
    case EVK_ACT_HARDSIGMOID:
        EACH(S(y, v_hard(v_add(L(x), s), a, b)););
        break;
    default:
        EACH(S(y, v_add(L(x), s)););
    }
}

/* 0 below -3, dy above 3 (and at NaN), dy (x / 3 + 1/2) between. */
INLINE vf v_hardswish_back(vf x, vf dy)
{
    const vf inner = v_mul(dy, v_fma(x, v_set(1.0f / 3), v_set(0.5f)));

    return v_pick(v_gt(v_set(-3.0f), x), v_zero(), v_pick(v_le(x, v_set(3.0f)), inner, dy));
}

#define BACK(V)                          \
    do {                                 \
        if (add)                         \
            EACH(S(dx, v_add(L(dx), V));); \
        else                             \
            EACH(S(dx, V););             \
    } while (0)

static void k_act_back(int64_t n, const float *x, const float *y, const float *dy,
                       const evk_act *act, float *dx, int32_t add)
{
    const vf zero = v_zero(), one = v_set(1.0f), a = v_set(act->a), b = v_set(act->b);

    switch (act->kind) {
    case EVK_ACT_RELU:
        BACK(v_pick(v_le(L(y), zero), zero, L(dy)));
        break;
    case EVK_ACT_CLIP:
        BACK(v_pick(v_either(v_le(L(y), a), v_le(b, L(y))), zero, L(dy)));
        break;
    case EVK_ACT_LEAKY:
        BACK(v_pick(v_gt(L(y), zero), L(dy), v_mul(L(dy), a)));
        break;
    case EVK_ACT_SIGMOID:
        BACK(v_mul(L(dy), v_mul(L(y), v_sub(one, L(y)))));
        break;
    case EVK_ACT_TANH:
        BACK(v_mul(L(dy), v_fnma(L(y), L(y), one)));
        break;
    case EVK_ACT_HARDSWISH:
        BACK(v_hardswish_back(L(x), L(dy)));
        break;
    case EVK_ACT_HARDSIGMOID:
        BACK(v_keep(v_both(v_gt(v_fma(a, L(x), b), zero), v_gt(one, v_fma(a, L(x), b))),
                    v_mul(L(dy), a)));
        break;
    default:
        BACK(L(dy));
    }
}
