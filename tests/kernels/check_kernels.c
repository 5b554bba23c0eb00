/* SPDX-License-Identifier: MIT */
/* evcheck: each kernel of a table against the reference, for every tail length, with guarded
 * buffers of any alignment, and with NaN, infinities and zeros among the values. */
#include "evcheck.h"

#include <math.h>
#include <string.h>

/* Same as the reference on purpose: nothing to gain from vectors, or not written yet. */
typedef struct slot {
    const char *name;
    size_t at;
} slot;
#define SLOT(name)                         \
    {                                      \
#name, offsetof(evi_kernels, name) \
    }
static const slot slots[] = {
    SLOT(tile),
    SLOT(pool_tile),
    SLOT(dot_tile),
    SLOT(stencil),
    SLOT(transpose),
    SLOT(copy_rows),
    SLOT(gather),
    SLOT(add),
    SLOT(sub),
    SLOT(mul),
    SLOT(mul_add),
    SLOT(scale),
    SLOT(axpy),
    SLOT(affine),
    SLOT(affine2),
    SLOT(norm_act),
    SLOT(norm_sums),
    SLOT(norm_back),
    SLOT(exp),
    SLOT(act),
    SLOT(act_back),
    SLOT(sum),
    SLOT(sum_squares),
    SLOT(sum_products),
    SLOT(max),
    SLOT(exp_sum),
    SLOT(max_pool2),
    SLOT(max_pool2_relu),
    SLOT(max_pool2_back),
    SLOT(sum_where),
    SLOT(wino_in),
    SLOT(wino_out),
    SLOT(wino_weights),
    SLOT(sgd),
    SLOT(adam),
    SLOT(rmsprop),
    SLOT(bytes_to_planes),
};

static const evi_kernels *k;
static const evi_kernels *const ref = &evk_ref_table;
static int64_t len; /* of the present case */

static void check_built(void)
{
    typedef void (*any_fn)(void);

    for (int32_t i = 0; i < EVI_COUNT(slots); i++) {
        any_fn a, b;

        memcpy(&a, (const char *)k + slots[i].at, sizeof(a));
        memcpy(&b, (const char *)ref + slots[i].at, sizeof(b));
        set_case("%s %s", k->name, slots[i].name);
        if (a == b)
            fail_case("NOT BUILT: the slot holds the reference");
    }
    /* Block sizes that belong together. */
    set_case("%s block sizes", k->name);
    if (k->nc % k->nr || k->nc % k->few_nr || k->few_mr > k->mr || k->few_nr < k->nr ||
        k->nr % k->lanes || k->few_nr % k->lanes || k->kc != ref->kc ||
        k->dot_len != ref->dot_len || k->dot_few_mr > k->dot_mr || k->dot_few_nr < k->dot_nr ||
        k->few_nr > 128)
        fail_case("do not fit each other");
}

/* Values with a special one here and there. */
static evi_real *values(int64_t n, bool special, double size)
{
    static const double odd[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, 1e-40, -1e-40, 3.0, -3.0};
    evi_real *p = guard_random(n);

    for (int64_t i = 0; i < n; i++) {
        p[i] = (evi_real)((double)p[i] * size);
        if (special && rnd() % 8 == 0)
            p[i] = (evi_real)odd[rnd() % (uint32_t)EVI_COUNT(odd)];
    }
    return p;
}

/* Each relative to its own size: |got - want| <= ulps of want + least. */
static void expect_relative(const char *what, const evi_real *got, const evi_real *want, int64_t n,
                            double ulps, double least)
{
    n_cases++;
    for (int64_t i = 0; i < n; i++) {
        double a = (double)got[i], b = (double)want[i];

        if ((isnan(a) && isnan(b)) || a == b || fabs(a - b) <= ulps * REAL_EPS * fabs(b) + least)
            continue;
        fail_case("%s[%lld] is %.9g, should be %.9g", what, (long long)i, a, b);
        return;
    }
}

/* ---- element by element ---------------------------------------------------------------------- */

typedef void (*binary_fn)(int64_t, const evi_real *, const evi_real *, evi_real *);

static void binary(const char *name, binary_fn got, binary_fn want, double ulps)
{
    set_case("%s %s n %d", k->name, name, (int)len);
    guard_reset();
    const evi_real *a = values(len, true, 1), *b = values(len, true, 1);
    evi_real *y = values(len, false, 1), *z = guard_copy(y, len), *in_place = guard_copy(a, len);

    want(len, a, b, z);
    got(len, a, b, y);
    expect_relative("y", y, z, len, ulps, 3 * REAL_EPS);
    if (want == ref->mul_add)
        return;
    got(len, in_place, b, in_place);
    expect_same("in place", in_place, y, len * (int64_t)sizeof(evi_real));
}

static void maps(void)
{
    const evi_real a = (evi_real)rnd_real(), b = (evi_real)rnd_real(), c = (evi_real)rnd_real();

    set_case("%s scale, axpy, affine n %d", k->name, (int)len);
    guard_reset();
    const evi_real *u = values(len, true, 1), *x = values(len, true, 1);
    evi_real *y = values(len, false, 1), *z = guard_copy(y, len);

    ref->scale(len, a, x, z);
    k->scale(len, a, x, y);
    expect_relative("scale", y, z, len, 1, 0);
    ref->axpy(len, a, x, z);
    k->axpy(len, a, x, y);
    expect_relative("axpy", y, z, len, 2, 3 * REAL_EPS);
    ref->affine(len, x, a, b, z);
    k->affine(len, x, a, b, y);
    expect_relative("affine", y, z, len, 2, 3 * REAL_EPS);
    for (int32_t add = 0; add < 2; add++) {
        ref->affine2(len, u, x, a, b, c, z, add);
        k->affine2(len, u, x, a, b, c, y, add);
        expect_relative("affine2", y, z, len, 4, 8 * REAL_EPS);
    }
    guard_reset();
    x = values(len, true, 60);
    y = values(len, false, 1);
    z = guard_copy(y, len);
    ref->exp(len, x, z);
    k->exp(len, x, y);
    expect_relative("exp", y, z, len, 2, 3e-45);
}

static void norms(void)
{
    static const int32_t kinds[] = {EVK_ACT_NONE, EVK_ACT_RELU, EVK_ACT_LEAKY, EVK_ACT_TANH};
    const evk_act act = {.kind = kinds[rnd() % 4], .a = (evi_real)0.2};
    const evk_norm o = {.a = (evi_real)rnd_real(),
                        .b = (evi_real)rnd_real(),
                        .leak = (evi_real)(rnd() % 3 * 0.5),
                        .mean = (evi_real)rnd_real(),
                        .p = (evi_real)rnd_real(),
                        .q = (evi_real)rnd_real(),
                        .r = (evi_real)rnd_real()};
    evi_real got[2], want[2];

    set_case("%s norms n %d, act %d", k->name, (int)len, (int)act.kind);
    guard_reset();
    const evi_real *x = values(len, true, 1), *dy = values(len, true, 1);
    evi_real *y = values(len, false, 1), *z = guard_copy(y, len);

    ref->norm_act(len, x, o.a, o.b, &act, z);
    k->norm_act(len, x, o.a, o.b, &act, y);
    expect_relative("norm_act", y, z, len, 4, 2e-38);
    for (int32_t add = 0; add < 2; add++) {
        ref->norm_back(len, dy, x, &o, z, add);
        k->norm_back(len, dy, x, &o, y, add);
        expect_relative("norm_back", y, z, len, 4, 8 * REAL_EPS);
    }
    guard_reset();
    x = values(len, false, 1);
    dy = values(len, false, 1);
    ref->norm_sums(len, dy, x, &o, want);
    k->norm_sums(len, dy, x, &o, got);
    expect_near("norm_sums", got, want, 2, 32 * REAL_EPS * ((double)len + 1));
}

static void acts(int32_t kind)
{
    const evk_act act = {.kind = kind, .a = (evi_real)0.3, .b = (evi_real)0.7};
    const double size = rnd() % 2 ? 1 : 20;

    set_case("%s act %d n %d", k->name, kind, (int)len);
    guard_reset();
    const evi_real *x = values(len, true, size), *dy = values(len, true, 1);
    const evi_real shift = rnd() % 2 ? (evi_real)rnd_real() : 0;
    evi_real *y = values(len, false, 1), *z = guard_copy(y, len);

    ref->act(len, x, shift, &act, z);
    k->act(len, x, shift, &act, y);
    expect_relative("y", y, z, len, 4, kind >= EVK_ACT_HARDSWISH ? 4 * REAL_EPS : 2e-38);
    for (int32_t add = 0; add < 2; add++) {
        evi_real *dx = values(len, false, 1), *want = guard_copy(dx, len);

        ref->act_back(len, x, z, dy, &act, want, add);
        k->act_back(len, x, z, dy, &act, dx, add);
        expect_relative("dx", dx, want, len, 4, 4 * REAL_EPS);
    }
}

/* ---- reductions ------------------------------------------------------------------------------ */

static void sums(void)
{
    const evi_real mean = (evi_real)rnd_real();
    evi_real got, want;

    set_case("%s sums n %d", k->name, (int)len);
    guard_reset();
    const evi_real *x = values(len, false, 1), *u = values(len, false, 1);
    const double tolerance = 16 * REAL_EPS * ((double)len + 1); /* blocks of 128 terms a lane */

    got = k->sum(len, x);
    want = ref->sum(len, x);
    expect_near("sum", &got, &want, 1, tolerance);
    got = k->sum_squares(len, x, mean);
    want = ref->sum_squares(len, x, mean);
    expect_near("sum_squares", &got, &want, 1, 4 * tolerance);
    got = k->sum_products(len, u, x, mean);
    want = ref->sum_products(len, u, x, mean);
    expect_near("sum_products", &got, &want, 1, 2 * tolerance);
    uint8_t *where = guard_bytes(len);

    for (int64_t i = 0; i < len; i++)
        where[i] = (uint8_t)rnd_in(0, 5);
    got = k->sum_where(len, x, where);
    want = ref->sum_where(len, x, where);
    expect_near("sum_where", &got, &want, 1, tolerance);
    evi_real *y = values(len, false, 1), *z = guard_copy(y, len);

    got = k->exp_sum(len, x, mean, y);
    want = ref->exp_sum(len, x, mean, z);
    expect_relative("exp_sum", &got, &want, 1, 40, 0);
    expect_relative("exp_sum y", y, z, len, 3, 0);
    if (len == 0)
        return;
    guard_reset();
    x = values(len, rnd() % 2, 1);
    got = k->max(len, x);
    want = ref->max(len, x);
    expect_near("max", &got, &want, 1, 0);
}

/* ---- pooling, optimisers, pixels ------------------------------------------------------------- */

static void pools(void)
{
    set_case("%s max_pool2 n %d", k->name, (int)len);
    guard_reset();
    evi_real *x0 = values(2 * len, true, 1), *x1 = values(2 * len, true, 1);
    evi_real *y = values(len, false, 1), *z = values(len, false, 1);
    uint8_t *at = guard_bytes(len), *want = guard_bytes(len);

    for (int64_t i = 0; i < len; i++) /* equal values: the first counts */
        x0[2 * i] = rnd() % 2 ? x1[2 * i + 1] : x0[2 * i];
    ref->max_pool2(len, x0, x1, z, want);
    k->max_pool2(len, x0, x1, y, at);
    expect_near("y", y, z, len, 0);
    expect_same("where", at, want, len);
    k->max_pool2(len, x0, x1, z, NULL);
    expect_near("y without where", y, z, len, 0);
    ref->max_pool2_relu(len, x0, x1, z, want);
    k->max_pool2_relu(len, x0, x1, y, at);
    expect_near("y, relu", y, z, len, 0);
    expect_same("where, relu", at, want, len);
    k->max_pool2_relu(len, x0, x1, z, NULL);
    expect_near("y without where, relu", y, z, len, 0);
    const evi_real *dy = values(len, true, 1);

    for (int32_t add = 0; add < 2; add++) {
        evi_real *d0 = values(2 * len, false, 1), *d1 = values(2 * len, false, 1);
        evi_real *w0 = guard_copy(d0, 2 * len), *w1 = guard_copy(d1, 2 * len);

        ref->max_pool2_back(len, dy, want, w0, w1, add);
        k->max_pool2_back(len, dy, want, d0, d1, add);
        expect_near("dx0", d0, w0, 2 * len, 0);
        expect_near("dx1", d1, w1, 2 * len, 0);
    }
}

static void optimisers(void)
{
    const evi_real lr = (evi_real)0.01, l2 = (evi_real)(rnd() % 2 ? 0.1 : 0);
    const evk_sgd sgd = {
        lr,       (evi_real)(rnd() % 3 ? 0.9 : 0), (evi_real)(rnd() % 2 ? 0.3 : 0), l2, rnd() % 2,
        rnd() % 2};
    const evk_adam adam = {.lr = lr,
                           .beta1 = (evi_real)0.9,
                           .beta2 = (evi_real)0.999,
                           .eps = (evi_real)1e-8,
                           .rest1 = (evi_real)0.1,
                           .rest2 = (evi_real)0.001,
                           .l2 = l2,
                           .decay = (evi_real)(rnd() % 2 ? 0.01 : 0),
                           .correct1 = (evi_real)0.19,
                           .correct2 = (evi_real)0.0447};
    const evk_rmsprop rms = {
        lr, (evi_real)0.99, (evi_real)0.01, (evi_real)1e-8, (evi_real)(rnd() % 2 ? 0.9 : 0), l2};
    const double small = 1e-6 * (REAL_EPS / 0x1p-23);

    set_case("%s optimisers n %d", k->name, (int)len);
    for (int which = 0; which < 3; which++) {
        guard_reset();
        evi_real *g = values(len, false, 1), *m = values(len, false, 1), *v = values(len, false, 1);
        evi_real *w = values(len, false, 1);

        for (int64_t i = 0; i < len; i++)
            v[i] = (evi_real)(fabs((double)v[i]) + 0.01);
        evi_real *m2 = guard_copy(m, len), *v2 = guard_copy(v, len), *w2 = guard_copy(w, len);

        if (which == 0) {
            ref->sgd(len, &sgd, g, sgd.momentum == 0 ? NULL : m2, w2);
            k->sgd(len, &sgd, g, sgd.momentum == 0 ? NULL : m, w);
        } else if (which == 1) {
            ref->adam(len, &adam, g, m2, v2, w2);
            k->adam(len, &adam, g, m, v, w);
        } else {
            ref->rmsprop(len, &rms, g, rms.momentum == 0 ? NULL : m2, v2, w2);
            k->rmsprop(len, &rms, g, rms.momentum == 0 ? NULL : m, v, w);
        }
        expect_near("w", w, w2, len, small);
        expect_near("m", m, m2, len, 100 * small);
        expect_near("v", v, v2, len, small);
    }
}

static void pixels(void)
{
    const int32_t channels = (int32_t)rnd_in(1, 4);
    const int64_t plane = len + (int64_t)(rnd() % 3), n = plane * (channels - 1) + len;
    evi_real scale[4], shift[4];

    set_case("%s bytes_to_planes n %d c %d", k->name, (int)len, channels);
    guard_reset();
    uint8_t *x = guard_bytes(len * channels);
    evi_real *y = values(n, false, 1), *z = guard_copy(y, n);

    for (int64_t i = 0; i < len * channels; i++)
        x[i] = (uint8_t)rnd();
    for (int32_t c = 0; c < 4; c++) {
        scale[c] = (evi_real)(rnd_real() / 128);
        shift[c] = (evi_real)rnd_real();
    }
    ref->bytes_to_planes(len, x, channels, scale, shift, z, plane);
    k->bytes_to_planes(len, x, channels, scale, shift, y, plane);
    expect_near("y", y, z, n, 4 * REAL_EPS);
}

/* ---- rows and tiles -------------------------------------------------------------------------- */

static void moves(void)
{
    const int64_t m = rnd_in(0, 40), n = rnd_in(0, 40), ldx = n + rnd_in(0, 3),
                  ldy = m + rnd_in(0, 3);
    const int64_t step = rnd_in(1, 4), add = rnd() & 1;

    set_case("%s transpose, copy_rows %dx%d, gather %d step %d", k->name, (int)m, (int)n, (int)len,
             (int)step);
    guard_reset();
    const evi_real *x = values(m > 0 ? (m - 1) * ldx + n : 0, true, 1);
    const int64_t nt = n > 0 ? (n - 1) * ldy + m : 0, nc = m > 0 ? (m - 1) * (n + 2) + n : 0;
    evi_real *y = values(nt, false, 1), *z = guard_copy(y, nt);

    ref->transpose(m, n, x, ldx, z, ldy);
    k->transpose(m, n, x, ldx, y, ldy);
    expect_same("transpose", y, z, nt * (int64_t)sizeof(evi_real));
    y = values(nc, false, 1);
    z = guard_copy(y, nc);
    ref->copy_rows(m, n, x, ldx, z, n + 2);
    k->copy_rows(m, n, x, ldx, y, n + 2);
    expect_same("copy_rows", y, z, nc * (int64_t)sizeof(evi_real));
    guard_reset();
    const int64_t wide = len > 0 ? (len - 1) * step + 1 : 0;

    x = values(wide, true, 1);
    y = values(len, false, 1);
    z = guard_copy(y, len);
    ref->gather(len, x, step, z);
    k->gather(len, x, step, y);
    expect_same("gather", y, z, len * (int64_t)sizeof(evi_real));
    evi_real *to = values(wide, false, 1), *want = guard_copy(to, wide);

    ref->scatter(len, y, want, step, (int32_t)add);
    k->scatter(len, y, to, step, (int32_t)add);
    expect_near("scatter", to, want, wide, 0);
}

static void tiles(int32_t m, int32_t n)
{
    int32_t off[64];
    const int64_t depth = rnd_in(0, 40), ldc = n + rnd_in(0, 2), nc = (m - 1) * ldc + n;
    evk_tile t = {.k = depth,
                  .a_step = m + rnd_in(0, 2),
                  .off = off,
                  .ldc = ldc,
                  .m = m,
                  .n = n,
                  .flags = (int32_t)rnd_in(0, 3),
                  .lo = (evi_real)-0.5,
                  .hi = (evi_real)0.5};

    set_case("%s tile %dx%d k %d", k->name, m, n, (int)depth);
    guard_reset();
    t.a = guard_random(depth > 0 ? (depth - 1) * t.a_step + m : 0);
    t.b = guard_random(n + 50);
    t.bias = rnd() % 2 ? guard_random(m) : NULL;
    for (int64_t p = 0; p < depth; p++)
        off[p] = (int32_t)rnd_in(0, 50);
    evi_real *y = guard_random(nc), *z = guard_copy(y, nc);

    t.c = z;
    ref->tile(&t);
    t.c = y;
    k->tile(&t);
    expect_near("c", y, z, nc, 4 * REAL_EPS * (4 + (double)depth));
}

/* Against the tile and the pool of the same table: the same bits. */
static void pool_tiles(int32_t m, int32_t n)
{
    int32_t off[64];
    const int64_t depth = rnd_in(0, 40), ldy = n / 2 + rnd_in(0, 2), ny = (m - 1) * ldy + n / 2;
    evk_pool_tile t = {.k = depth,
                       .a_step = m + rnd_in(0, 2),
                       .down = rnd_in(0, 30),
                       .off = off,
                       .ldy = ldy,
                       .m = m,
                       .n = n,
                       .flags = rnd() % 2 ? EVK_TILE_CLIP : 0,
                       .positive = rnd() % 2,
                       .lo = (evi_real)-0.5,
                       .hi = (evi_real)0.5};
    evk_tile plain = {.k = depth, .a_step = t.a_step, .off = off, .ldc = n, .m = m, .n = n};

    set_case("%s pool_tile %dx%d k %d", k->name, m, n, (int)depth);
    guard_reset();
    t.a = plain.a = guard_random(depth > 0 ? (depth - 1) * t.a_step + m : 0);
    t.b = plain.b = guard_random(n + 20 + t.down);
    t.bias = plain.bias = rnd() % 2 ? guard_random(m) : NULL;
    for (int64_t p = 0; p < depth; p++)
        off[p] = (int32_t)rnd_in(0, 20);
    evi_real *y = guard_random(ny), *z = guard_copy(y, ny);
    evi_real *above = guard_random((int64_t)m * n), *below = guard_random((int64_t)m * n);
    uint8_t *at = guard_bytes(2 * ny), *want = at + ny;

    memset(at, 9, (size_t)(2 * ny));
    plain.c = above;
    k->tile(&plain);
    plain.b = t.b + t.down;
    plain.c = below;
    k->tile(&plain);
    for (int32_t i = 0; i < m; i++) {
        (t.positive ? k->max_pool2_relu : k->max_pool2)(n / 2, above + i * n, below + i * n,
                                                        z + i * ldy, want + i * ldy);
        for (int32_t j = 0; j < n / 2 && t.flags; j++)
            z[i * ldy + j] = (evi_real)fmin(0.5, fmax(-0.5, (double)z[i * ldy + j]));
    }
    t.y = y;
    t.where = at;
    k->pool_tile(&t);
    expect_near("y", y, z, ny, 0);
    expect_same("where", at, want, ny);
    t.where = NULL;
    k->pool_tile(&t);
    expect_near("y without where", y, z, ny, 0);
    ref->pool_tile(&t);
    expect_near("y of the reference", y, z, ny, 4 * REAL_EPS * (4 + (double)depth));
}

static void dot_tiles(int32_t m, int32_t n)
{
    int32_t off[8];
    evk_dot_tile t = {.planes = rnd_in(1, 2),
                      .rows = rnd_in(1, 3),
                      .len = rnd_in(0, 40),
                      .off = off,
                      .ldc = n + 1,
                      .m = m,
                      .n = n,
                      .flags = (int32_t)rnd_in(0, 1)};
    const int64_t nc = (m - 1) * t.ldc + n;

    t.a_step = t.len + rnd_in(0, 2);
    t.a_plane = t.rows * t.a_step;
    t.lda = t.planes * t.a_plane;
    t.b_step = t.len + rnd_in(0, 2);
    t.b_plane = t.rows * t.b_step;
    set_case("%s dot_tile %dx%d %dx%dx%d", k->name, m, n, (int)t.planes, (int)t.rows, (int)t.len);
    guard_reset();
    t.a = guard_random((m - 1) * t.lda + (t.planes - 1) * t.a_plane + (t.rows - 1) * t.a_step +
                       t.len);
    t.b = guard_random(30 + (t.planes - 1) * t.b_plane + (t.rows - 1) * t.b_step + t.len);
    for (int32_t j = 0; j < n; j++)
        off[j] = (int32_t)rnd_in(0, 30);
    evi_real *y = guard_random(nc), *z = guard_copy(y, nc);

    t.c = z;
    ref->dot_tile(&t);
    t.c = y;
    k->dot_tile(&t);
    expect_near("c", y, z, nc, 4 * REAL_EPS * (4 + (double)(t.planes * t.rows * t.len)));
}

static void stencils(void)
{
    int32_t off[64];
    const int64_t rows = rnd_in(0, 6), width = rnd_in(1, rnd() % 2 ? 20 : 200);
    const int64_t ldc = width + rnd_in(0, 3);
    evk_stencil s = {.rows = rows,
                     .len = width,
                     .b_step = rnd_in(1, 90),
                     .off = off,
                     .n = rnd() % 2 ? 9 : (int32_t)rnd_in(0, 64),
                     .flags = (int32_t)rnd_in(0, 3),
                     .ldc = ldc,
                     .lo = (evi_real)-0.5,
                     .hi = (evi_real)0.5};
    const int64_t nc = rows > 0 ? (rows - 1) * ldc + width : 0;

    set_case("%s stencil %dx%d of %d", k->name, (int)rows, (int)width, s.n);
    guard_reset();
    s.b = guard_random(rows > 0 ? (rows - 1) * s.b_step + width + 40 : 0);
    s.w = guard_random(s.n);
    s.bias = rnd() % 2 ? guard_random(1) : NULL;
    for (int32_t t = 0; t < s.n; t++)
        off[t] = (int32_t)rnd_in(0, 40);
    evi_real *y = guard_random(nc), *z = guard_copy(y, nc);

    s.c = z;
    ref->stencil(&s);
    s.c = y;
    k->stencil(&s);
    expect_near("c", y, z, nc, 4 * REAL_EPS * (4 + (double)s.n));
}

static void all_tiles(void)
{
    for (int32_t m = 1; m <= k->mr; m++) {
        for (int32_t n = 1; n <= (m <= k->few_mr ? k->few_nr : k->nr); n++)
            tiles(m, n);
    }
    for (int32_t m = 1; m <= k->few_mr; m++) {
        for (int32_t n = 2; n <= k->few_nr / 2; n += 2)
            pool_tiles(m, n);
    }
    for (int32_t round = 0; round < 40; round++) {
        for (int32_t m = 1; m <= k->dot_mr; m++) {
            for (int32_t n = 1; n <= (m <= k->dot_few_mr ? k->dot_few_nr : k->dot_nr); n++)
                dot_tiles(m, n);
        }
    }
}

void check_kernels(const evi_kernels *table)
{
    k = table;
    if (k != ref)
        check_built();
    for (int64_t i = 0; i < 300; i++) {
        len = i < 100 ? i : rnd_in(0, 6000);
        binary("add", k->add, ref->add, 1);
        binary("sub", k->sub, ref->sub, 1);
        binary("mul", k->mul, ref->mul, 1);
        binary("mul_add", k->mul_add, ref->mul_add, 2);
        maps();
        norms();
        for (int32_t kind = 0; kind < EVK_ACT_COUNT; kind++)
            acts(kind);
        sums();
        pools();
        optimisers();
        pixels();
        moves();
        stencils();
    }
    for (int32_t i = 0; i < 4; i++)
        all_tiles();
}
