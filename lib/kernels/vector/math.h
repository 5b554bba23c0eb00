/* SPDX-License-Identifier: MIT */
/* exp, the logistic function and tanh over vectors. */

/* exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2.  ln 2 is split so that n times its
 * upper part is exact (15 bits, |n| < 2^8).  The Taylor polynomial of degree 7 leaves
 * |r|^8 / 8! < 5.2e-9, a tenth of a rounding.  2^n is applied in two halves, because n reaches -150
 * (results that are denormal) and 128.  The clamps let NaN through. */
INLINE vf v_exp(vf x)
{
    x = v_min(v_set(89.0f), v_max(v_set(-104.0f), x));
    const vf n = v_round(v_mul(x, v_set(0x1.715476p+0f)));
    const vf half = v_round(v_mul(n, v_set(0.5f)));
    const vf r = v_fnma(n, v_set(0x1.7f7d1cp-20f), v_fnma(n, v_set(0x1.62e4p-1f), x));
    vf p = v_set(1.0f / 5040);

    p = v_fma(p, r, v_set(1.0f / 720));
    p = v_fma(p, r, v_set(1.0f / 120));
    p = v_fma(p, r, v_set(1.0f / 24));
    p = v_fma(p, r, v_set(1.0f / 6));
    p = v_fma(p, r, v_set(0.5f));
    p = v_add(v_fma(p, v_mul(r, r), r), v_set(1.0f));
    return v_mul(v_mul(p, v_power2(half)), v_power2(v_sub(n, half)));
}

INLINE vf v_sigmoid(vf x)
{
    const vf one = v_set(1.0f);

    return v_div(one, v_add(one, v_exp(v_sub(v_zero(), x))));
}

/* Below 0.625: x + x^3 P(x^2), P interpolated at the five Chebyshev nodes of [0, 0.625^2], relative
 * error below 1.7e-8; the other form would lose the digits of a small x.  Above:
 * 1 - 2 / (exp(2|x|) + 1). */
INLINE vf v_tanh(vf x)
{
    const vf one = v_set(1.0f), size = v_abs(x), u = v_mul(x, x);
    const vf big = v_sub(one, v_div(v_set(2.0f), v_add(v_exp(v_add(size, size)), one)));
    vf p = v_set(-0x1.8f8de4p-8f);

    p = v_fma(p, u, v_set(0x1.58048ep-6f));
    p = v_fma(p, u, v_set(-0x1.b9258ap-5f));
    p = v_fma(p, u, v_set(0x1.110e1cp-3f));
    p = v_fma(p, u, v_set(-0x1.555552p-2f));
    return v_pick(v_gt(size, v_set(0.625f)), v_sign_of(big, x), v_fma(v_mul(u, x), p, x));
}
