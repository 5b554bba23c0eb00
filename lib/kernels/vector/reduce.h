/* SPDX-License-Identifier: MIT */
/* Reductions, pooling and optimisers over vectors: the text that each instruction set compiles. */

/* Sums: four vectors of partial sums over a block, then their lanes, then the blocks in double.  A
 * chain has 32 terms at most, so the error of a float sum does not grow with n. */
#define SUM_BLOCK (VL * 4 * 32)
#define SUM(STEP)                                                                      \
    double total = 0;                                                                  \
    for (int64_t i = 0; i < n;) {                                                      \
        const int64_t end = EVI_MIN(n, i + SUM_BLOCK);                                 \
        vf s0 = v_zero(), s1 = v_zero(), s2 = v_zero(), s3 = v_zero();                 \
        {                                                                              \
            enum { WHOLE = 1 };                                                        \
            const vt tail = v_tail(VL);                                                \
            (void)tail;                                                                \
            while (i + 4 * VL <= end) {                                                \
                STEP(s0); i += VL;                                                     \
                STEP(s1); i += VL;                                                     \
                STEP(s2); i += VL;                                                     \
                STEP(s3); i += VL;                                                     \
            }                                                                          \
            for (; i + VL <= end; i += VL)                                             \
                STEP(s0);                                                              \
        }                                                                              \
        if (i < end) {                                                                 \
            enum { WHOLE = 0 };                                                        \
            const vt tail = v_tail((int)(end - i));                                    \
            STEP(s1);                                                                  \
            i = end;                                                                   \
        }                                                                              \
        total += (double)v_sum(v_add(v_add(s0, s1), v_add(s2, s3)));                   \
    }                                                                                  \
    return (float)total

/* Like L, with another value in the lanes beyond the end. */
#define L_OR(p, rest) (WHOLE ? v_load((p) + i) : v_load_or((p) + i, tail, rest))

static float k_sum(int64_t n, const float *x)
{
#define STEP(s) s = v_add(s, L(x))
    SUM(STEP);
#undef STEP
}

static float k_sum_squares(int64_t n, const float *x, float mean)
{
    const vf m = v_set(mean);

#define STEP(s)                                  \
    do {                                         \
        const vf d = v_sub(L_OR(x, m), m);       \
        s = v_fma(d, d, s);                      \
    } while (0)
    SUM(STEP);
#undef STEP
}

static float k_sum_products(int64_t n, const float *u, const float *x, float mean)
{
    const vf m = v_set(mean);

#define STEP(s) s = v_fma(L(u), v_sub(L_OR(x, m), m), s)
    SUM(STEP);
#undef STEP
}

/* The bytes p[i..], of which `n` there are. */
INLINE vf bytes_of(const uint8_t *p, int64_t n)
{
    uint8_t some[VL] = {0};

    if (n >= VL)
        return v_from_bytes(p);
    memcpy(some, p, (size_t)n);
    return v_from_bytes(some);
}

static float k_sum_where(int64_t n, const float *x, const uint8_t *where)
{
    const vf last = v_set(3.0f);

#define STEP(s) s = v_add(s, v_keep(v_le(bytes_of(where + i, WHOLE ? VL : n - i), last), L(x)))
    SUM(STEP);
#undef STEP
}

static float k_exp_sum(int64_t n, const float *x, float shift, float *y)
{
    const vf m = v_set(shift), none = v_set(-INFINITY);

#define STEP(s)                                                 \
    do {                                                        \
        const vf e = v_exp(v_sub(L_OR(x, none), m));            \
        S(y, e);                                                \
        s = v_add(s, e);                                        \
    } while (0)
    SUM(STEP);
#undef STEP
}

static float k_max(int64_t n, const float *x)
{
    const vf least = v_set(-INFINITY);
    float lanes[VL], best = -INFINITY;
    vf most = least;
    vm bad = v_nan(least);

    EACH(const vf v = L_OR(x, least); most = v_max(v, most); bad = v_either(bad, v_nan(v)););
    if (v_any(bad))
        return NAN;
    v_store(lanes, most);
    for (int j = 0; j < VL; j++)
        best = lanes[j] > best ? lanes[j] : best;
    return best;
}

/* ---- pooling --------------------------------------------------------------------------------- */

/* Does b take the place of y?  Greater, or the first NaN. */
INLINE vm v_beats(vf b, vf y)
{
    return v_either(v_gt(b, y), v_both(v_nan(b), v_le(y, y)));
}

/* Two rows of 2 VL values, spread by their place in a window. */
typedef struct windows {
    vf v[4];
} windows;

INLINE void pool_step(const windows *w, const int relu, vf *best_out, vf *place_out)
{
    vf best = w->v[0], place = v_zero();

    UNROLL for (int j = 1; j < 4; j++) {
        const vm m = v_beats(w->v[j], best);

        best = v_pick(m, w->v[j], best);
        place = v_pick(m, v_set((float)j), place);
    }
    if (relu) {
        const vm none = v_le(best, v_zero());

        best = v_pick(none, v_zero(), best);
        place = v_pick(none, v_set(4.0f), place);
    }
    *best_out = best;
    *place_out = place;
}

/* The values alone: what inference needs. */
INLINE vf pool_values(const windows *w, const int relu)
{
    vf best = w->v[0];

    UNROLL for (int j = 1; j < 4; j++)
        best = v_pick(v_nan(best), best, v_max(best, w->v[j]));
    return relu ? v_max(v_zero(), best) : best;
}

INLINE void pool_at(const float *x0, const float *x1, float *y, uint8_t *where, const int relu)
{
    windows w;
    vf best, place;

    v_unzip(v_load(x0), v_load(x0 + VL), &w.v[0], &w.v[1]);
    v_unzip(v_load(x1), v_load(x1 + VL), &w.v[2], &w.v[3]);
    if (where) {
        pool_step(&w, relu, &best, &place);
        v_to_bytes(where, place);
    } else {
        best = pool_values(&w, relu);
    }
    v_store(y, best);
}

/* The same for n < VL windows. */
INLINE void pool_few(int64_t n, const float *x0, const float *x1, float *y, uint8_t *where,
                     const int relu)
{
    const int low = (int)EVI_MIN(2 * n, VL), high = (int)(2 * n) - low;
    const vt head = v_tail(low), rest = v_tail(high ? high : 1);
    uint8_t at[VL];
    windows w;
    vf best, place;

    v_unzip(v_load_t(x0, head), high ? v_load_t(x0 + VL, rest) : v_zero(), &w.v[0], &w.v[1]);
    v_unzip(v_load_t(x1, head), high ? v_load_t(x1 + VL, rest) : v_zero(), &w.v[2], &w.v[3]);
    pool_step(&w, relu, &best, &place);
    v_store_t(y, v_tail((int)n), best);
    if (where) {
        v_to_bytes(at, place);
        memcpy(where, at, (size_t)n);
    }
}

INLINE void pool(int64_t n, const float *x0, const float *x1, float *y, uint8_t *where,
                 const int relu)
{
    int64_t i = 0;

    if (where) {
        for (; i + VL <= n; i += VL)
            pool_at(x0 + 2 * i, x1 + 2 * i, y + i, where + i, relu);
    } else {
        for (; i + VL <= n; i += VL)
            pool_at(x0 + 2 * i, x1 + 2 * i, y + i, NULL, relu);
    }
    if (i == n)
        return;
    if (i > 0) { /* some once more rather than few */
        i = n - VL;
        pool_at(x0 + 2 * i, x1 + 2 * i, y + i, where ? where + i : NULL, relu);
    } else {
        pool_few(n, x0, x1, y, where, relu);
    }
}

static void k_max_pool2(int64_t n, const float *x0, const float *x1, float *y, uint8_t *where)
{
    pool(n, x0, x1, y, where, 0);
}

static void k_max_pool2_relu(int64_t n, const float *x0, const float *x1, float *y, uint8_t *where)
{
    pool(n, x0, x1, y, where, 1);
}

INLINE void unpool_step(const float *dy, const uint8_t *where, float *dx0, float *dx1, int32_t add)
{
    const vf d = v_load(dy), at = v_from_bytes(where);
    vf v[4];

    UNROLL for (int j = 0; j < 4; j++) {
        const vf place = v_set((float)j);

        v[j] = v_keep(v_both(v_le(at, place), v_le(place, at)), d);
    }
    v_zip(v[0], v[1], &v[0], &v[1]);
    v_zip(v[2], v[3], &v[2], &v[3]);
    if (add) {
        v[0] = v_add(v_load(dx0), v[0]);
        v[1] = v_add(v_load(dx0 + VL), v[1]);
        v[2] = v_add(v_load(dx1), v[2]);
        v[3] = v_add(v_load(dx1 + VL), v[3]);
    }
    v_store(dx0, v[0]);
    v_store(dx0 + VL, v[1]);
    v_store(dx1, v[2]);
    v_store(dx1 + VL, v[3]);
}

static void k_max_pool2_back(int64_t n, const float *dy, const uint8_t *where, float *dx0,
                             float *dx1, int32_t add)
{
    float in[VL] = {0}, out0[2 * VL] = {0}, out1[2 * VL] = {0};
    uint8_t at[VL] = {0};
    int64_t i = 0;

    for (; i + VL <= n; i += VL)
        unpool_step(dy + i, where + i, dx0 + 2 * i, dx1 + 2 * i, add);
    if (i == n)
        return;
    if (i > 0 && !add) { /* some once more rather than few */
        i = n - VL;
        unpool_step(dy + i, where + i, dx0 + 2 * i, dx1 + 2 * i, 0);
        return;
    }
    const size_t rest = (size_t)(n - i);

    memcpy(in, dy + i, rest * sizeof(float));
    memcpy(at, where + i, rest);
    if (add) {
        memcpy(out0, dx0 + 2 * i, 2 * rest * sizeof(float));
        memcpy(out1, dx1 + 2 * i, 2 * rest * sizeof(float));
    }
    unpool_step(in, at, out0, out1, add);
    memcpy(dx0 + 2 * i, out0, 2 * rest * sizeof(float));
    memcpy(dx1 + 2 * i, out1, 2 * rest * sizeof(float));
}

/* ---- optimisers ------------------------------------------------------------------------------ */

static void k_sgd(int64_t n, const evk_sgd *o, const float *g, float *buf, float *w)
{
    const vf lr = v_set(o->lr), mu = v_set(o->momentum), l2 = v_set(o->l2);
    const vf fresh = v_set(o->first ? 1.0f : 1 - o->dampening);
    const vf keep = v_set(o->first ? 0.0f : o->momentum);
    const int nesterov = o->nesterov;

    if (o->momentum == 0) {
        EACH(const vf d = v_fma(l2, L(w), L(g)); S(w, v_fnma(lr, d, L(w))););
        return;
    }
    EACH(vf d = v_fma(l2, L(w), L(g));
         const vf m = o->first ? d : v_fma(keep, L(buf), v_mul(fresh, d));
         S(buf, m);
         d = nesterov ? v_fma(mu, m, d) : m;
         S(w, v_fnma(lr, d, L(w))););
}

static void k_adam(int64_t n, const evk_adam *o, const float *g, float *m, float *v, float *w)
{
    const vf beta1 = v_set(o->beta1), rest1 = v_set(o->rest1);
    const vf beta2 = v_set(o->beta2), rest2 = v_set(o->rest2);
    const vf l2 = v_set(o->l2), eps = v_set(o->eps), keep = v_set(1 - o->lr * o->decay);
    const vf rate = v_set(o->lr / o->correct1), correct2 = v_set(o->correct2);

    EACH(const vf d = v_fma(l2, L(w), L(g));
         const vf mean = v_fma(beta1, L(m), v_mul(rest1, d));
         const vf var = v_fma(beta2, L(v), v_mul(v_mul(rest2, d), d));
         S(m, mean);
         S(v, var);
         const vf size = v_add(v_div(v_sqrt(var), correct2), eps);
         S(w, v_fnma(rate, v_div(mean, size), v_mul(keep, L(w)))););
}

static void k_rmsprop(int64_t n, const evk_rmsprop *o, const float *g, float *m, float *v, float *w)
{
    const vf alpha = v_set(o->alpha), rest = v_set(o->rest), eps = v_set(o->eps);
    const vf l2 = v_set(o->l2), lr = v_set(o->lr), mu = v_set(o->momentum);
    const int heavy = o->momentum > 0;

    EACH(vf d = v_fma(l2, L(w), L(g));
         const vf var = v_fma(alpha, L(v), v_mul(v_mul(rest, d), d));
         S(v, var);
         d = v_div(d, v_add(v_sqrt(var), eps));
         if (heavy) {
             d = v_fma(mu, L(m), d);
             S(m, d);
         }
         S(w, v_fnma(lr, d, L(w))););
}
