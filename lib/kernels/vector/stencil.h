/* SPDX-License-Identifier: MIT */
/* A small kernel over a plane, over vectors: the text that each instruction set compiles.  The nine
 * weights of the common kernel stay in registers; each vector of outputs is one chain, and the
 * processor runs several of them at a time. */

#if defined(__clang__)
#define UNROLL9 _Pragma("clang loop unroll(full)")
#else
#define UNROLL9 _Pragma("GCC unroll 9")
#endif

INLINE void stencil_rows(const evk_stencil *s, const int n)
{
    const int flags = s->flags;
    const int64_t len = s->len, ldc = s->ldc, b_step = s->b_step;
    const vf bias = v_set(s->bias ? *s->bias : 0.0f), lo = v_set(s->lo), hi = v_set(s->hi);
    const float *b = s->b, *tap[9];
    float *c = s->c;
    vf w[9];

    UNROLL9 for (int t = 0; t < n; t++)
    {
        w[t] = v_held(v_set(s->w[t]));
        tap[t] = b + s->off[t];
    }
    for (int64_t r = 0; r < s->rows; r++, c += ldc) {
        const int64_t at = r * b_step;

        for (int64_t x = 0; x < len; x += VL) {
            const int whole = len - x >= VL;
            const vt tail = v_tail(whole ? VL : (int)(len - x));
            vf v = v_zero();

            if (whole) {
                UNROLL9 for (int t = 0; t < n; t++) v = v_fma(w[t], v_load(tap[t] + at + x), v);
            } else {
                UNROLL9 for (int t = 0; t < n; t++) v =
                    v_fma(w[t], v_load_t(tap[t] + at + x, tail), v);
            }
            if (flags & EVK_TILE_ADD)
                v = v_add(whole ? v_load(c + x) : v_load_t(c + x, tail), v);
            v = v_add(v, bias);
            if (flags & EVK_TILE_CLIP)
                v = v_min(hi, v_max(lo, v));
            if (whole)
                v_store(c + x, v);
            else
                v_store_t(c + x, tail, v);
        }
    }
}

static void stencil_any(const evk_stencil *s)
{
    const vf bias = v_set(s->bias ? *s->bias : 0.0f), lo = v_set(s->lo), hi = v_set(s->hi);

    for (int64_t r = 0; r < s->rows; r++) {
        const float *b = s->b + r * s->b_step;
        float *c = s->c + r * s->ldc;

        for (int64_t x = 0; x < s->len; x += VL) {
            const vt tail = v_tail((int)EVI_MIN(VL, s->len - x));
            vf v = v_zero();

            for (int32_t t = 0; t < s->n; t++)
                v = v_fma(v_set(s->w[t]), v_load_t(b + s->off[t] + x, tail), v);
            if (s->flags & EVK_TILE_ADD)
                v = v_add(v_load_t(c + x, tail), v);
            v = v_add(v, bias);
            if (s->flags & EVK_TILE_CLIP)
                v = v_min(hi, v_max(lo, v));
            v_store_t(c + x, tail, v);
        }
    }
}

static void k_stencil(const evk_stencil *s)
{
    if (s->n == 9)
        stencil_rows(s, 9);
    else
        stencil_any(s);
}
