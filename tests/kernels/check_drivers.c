/* SPDX-License-Identifier: MIT */
/* evcheck: matrix products and convolution against naive loops in double, on random shapes; the
 * same bits for any number of threads, and for a picture alone or in a batch. */
#include "evcheck.h"
#include "ops/convolve.h"
#include "ops/gemm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VALUES = 1 << 20, SCRATCH_MARK = 0x7fc0 };

static evi_crew *crew[4]; /* of 1 to 4 threads */
static ev_context *ctx[4];

static void begin_crews(void)
{
    for (int32_t i = 1; i < 4; i++) {
        ev_context_options opt;

        EV_OPTIONS_INIT(&opt);
        opt.n_threads = i + 1;
        if (ev_context_create(&opt, &ctx[i]) != EV_OK)
            fail_case("no context");
    }
}

/* Workers spin during a run: so a run is as short as a case. */
static evi_crew *crew_of(int32_t n)
{
    return n > 1 ? crew[n - 1] = evi_crew_begin(ctx[n - 1]) : NULL;
}

static void end_crews(void)
{
    for (int32_t i = 1; i < 4; i++)
        ev_context_destroy(ctx[i]);
}

/* Scratch of exactly this size between guards, aligned to 64 and full of NaN: what a driver reads
 * there it must have written. */
static void *scratch_of(uint64_t n_bytes)
{
    evi_real *p = guard_end((int64_t)(evi_round_up(n_bytes, 64) / sizeof(evi_real)));

    memset(p, 0xff, n_bytes);
    return p;
}

static double act_of(double v, const evk_act *act)
{
    evi_real x = (evi_real)v, y = 0;

    evk_ref_table.act(1, &x, 0, act, &y);
    return (double)y;
}

static evk_act random_act(void)
{
    evk_act act = {
        .kind = (int32_t)rnd_in(0, EVK_ACT_COUNT - 1), .a = (evi_real)0.2, .b = (evi_real)0.6};
    return act;
}

/* ---- matrix products ------------------------------------------------------------------------- */

static void naive_gemm(const evi_gemm_args *g, const evi_real *old, evi_real *c, double *peak)
{
    for (int64_t i = 0; i < g->m; i++) {
        for (int64_t j = 0; j < g->n; j++) {
            double sum = 0;

            for (int64_t p = 0; p < g->k; p++)
                sum += (double)(g->trans_a ? g->a[p * g->lda + i] : g->a[i * g->lda + p]) *
                       (double)(g->trans_b ? g->b[j * g->ldb + p] : g->b[p * g->ldb + j]);
            sum += g->bias_row ? (double)g->bias_row[i] : 0;
            sum += g->bias_col ? (double)g->bias_col[j] : 0;
            sum += g->accumulate ? (double)old[i * g->ldc + j] : 0;
            *peak = fmax(*peak, fabs(sum));
            c[i * g->ldc + j] = (evi_real)act_of(sum, &g->act);
        }
    }
}

static void gemm_case(const evi_kernels *k)
{
    evi_gemm_args g = {.m = rnd_in(1, rnd() % 4 ? 20 : 300),
                       .n = rnd_in(1, rnd() % 4 ? 60 : 400),
                       .k = rnd_in(rnd() % 50 ? 1 : 0, rnd() % 4 ? 40 : 1500)};
    const int64_t slack = rnd() % 3;
    double peak = 1;

    while (g.m * g.n * g.k > 2000000)
        g.k /= 2;
    g.trans_a = rnd() & 1;
    g.trans_b = rnd() & 1;
    g.lda = (g.trans_a ? g.m : g.k) + slack;
    g.ldb = (g.trans_b ? g.k : g.n) + slack;
    g.ldc = g.n + slack;
    g.accumulate = rnd() % 3 == 0;
    if (!g.accumulate)
        g.act = random_act();
    set_case("%s gemm m %d n %d k %d %d%d add %d act %d", k->name, (int)g.m, (int)g.n, (int)g.k,
             g.trans_a, g.trans_b, g.accumulate, g.act.kind);
    guard_reset();
    const int64_t na = ((g.trans_a ? g.k : g.m) - 1) * g.lda + (g.trans_a ? g.m : g.k);
    const int64_t nb = ((g.trans_b ? g.n : g.k) - 1) * g.ldb + (g.trans_b ? g.k : g.n);
    const int64_t nc = (g.m - 1) * g.ldc + g.n;

    g.a = guard_random(EVI_MAX(na, 0));
    g.b = guard_random(EVI_MAX(nb, 0));
    g.bias_row = rnd() % 3 ? NULL : guard_random(g.m);
    g.bias_col = rnd() % 3 ? NULL : guard_random(g.n);
    evi_real *old = guard_random(nc), *want = guard_copy(old, nc), *first = guard_copy(old, nc);

    naive_gemm(&g, old, want, &peak);
    void *scratch = scratch_of(evi_gemm_scratch_bytes(k, g.m, g.n, g.k, g.trans_a, g.trans_b, 4));

    g.c = first;
    evi_gemm(NULL, k, &g, scratch);
    expect_near("c", first, want, nc, (8 + sqrt((double)g.k)) * 2 * REAL_EPS * peak);
    const int32_t threads = (int32_t)rnd_in(2, 4);
    evi_crew *c = crew_of(threads);

    g.c = guard_copy(old, nc);
    evi_gemm(c, k, &g, scratch);
    evi_crew_end(c);
    expect_same("threads", g.c, first, nc * (int64_t)sizeof(evi_real));
    if (g.trans_a) /* a row alone */
        return;
    const int64_t row = rnd_in(0, g.m - 1);

    g.c = guard_copy(old + row * g.ldc, g.n);
    g.a += row * g.lda;
    g.bias_row = g.bias_row ? g.bias_row + row : NULL;
    g.m = 1;
    evi_gemm(NULL, k, &g, scratch);
    expect_same("row alone", g.c, first + row * g.ldc, g.n * (int64_t)sizeof(evi_real));
}

/* ---- convolution ----------------------------------------------------------------------------- */

/* All three sums in one set of loops: y += w x, dx += w dy, dw += dy x, in double. */
static void naive_conv(const evi_conv_shape *s, const evi_real *x, const evi_real *w,
                       const evi_real *dy, double *y, double *dx, double *dw)
{
    const int64_t ci = s->c_in / s->groups, co = s->c_out / s->groups;

    for (int64_t i = 0; i < s->n * s->c_out * s->out_h * s->out_w; i++) {
        const int64_t ox = i % s->out_w, oy = i / s->out_w % s->out_h;
        const int64_t m = i / s->out_w / s->out_h % s->c_out,
                      b = i / s->out_w / s->out_h / s->c_out;

        for (int64_t q = 0; q < ci * s->kh * s->kw; q++) {
            const int64_t kx = q % s->kw, ky = q / s->kw % s->kh, c = q / s->kw / s->kh;
            const int64_t iy = oy * s->stride_h - s->pad_top + ky * s->dilation_h;
            const int64_t ix = ox * s->stride_w - s->pad_left + kx * s->dilation_w;

            if (iy < 0 || iy >= s->h || ix < 0 || ix >= s->w)
                continue;
            const int64_t at = ((b * s->c_in + m / co * ci + c) * s->h + iy) * s->w + ix;
            const int64_t weight = m * ci * s->kh * s->kw + q;

            y[i] += (double)x[at] * (double)w[weight];
            dx[at] += (double)dy[i] * (double)w[weight];
            dw[weight] += (double)dy[i] * (double)x[at];
        }
    }
}

static evi_conv_shape random_shape(void)
{
    evi_conv_shape s;

    do {
        const bool small = rnd() % 4 != 0, line = rnd() % 8 == 0, plain = rnd() % 3 == 0;

        memset(&s, 0, sizeof(s));
        s.n = rnd_in(1, 3);
        s.groups = rnd() % 4 ? 1 : rnd_in(1, 20);
        s.c_in = s.groups * rnd_in(1, s.groups > 1 ? 3 : small ? 9 : 70);
        s.c_out = s.groups * rnd_in(1, s.groups > 1 ? 3 : small ? 18 : 40);
        s.h = line ? 1 : rnd_in(1, small ? 12 : 40);
        s.w = rnd_in(1, small ? 20 : 120);
        s.kh = line ? 1 : plain ? 3 : rnd_in(1, 5);
        s.kw = plain ? 3 : rnd_in(1, 5);
        s.stride_h = plain ? 1 : rnd_in(1, 3);
        s.stride_w = plain ? 1 : rnd_in(1, 3);
        s.dilation_h = plain ? 1 : rnd_in(1, 3);
        s.dilation_w = plain ? 1 : rnd_in(1, 3);
        s.pad_top = line ? 0 : plain ? 1 : rnd_in(0, 6);
        s.pad_left = plain ? 1 : rnd_in(0, 6);
        s.pad_bottom = line ? 0 : plain ? 1 : rnd_in(0, 6);
        s.pad_right = plain ? 1 : rnd_in(0, 6);
    } while (!evi_conv_out_size(&s) ||
             s.n * s.c_out * s.out_h * s.out_w * s.c_in / s.groups * s.kh * s.kw > 3000000);
    s.pooled = rnd() % 3 == 0 && s.out_h > 1 && s.out_w > 1;
    s.precise = rnd() % 4 == 0;
    return s;
}

typedef struct pass_case {
    const evi_kernels *k;
    const evi_conv_shape *s;
    int32_t pass;
    const evi_real *in, *w, *dy;
    const uint8_t *where; /* of a pooled gradient */
    evi_conv_end end;
    void *packed, *scratch;
} pass_case;

static void run_pass(const pass_case *p, const evi_conv_shape *s, evi_crew *c, const evi_real *in,
                     evi_real *out)
{
    if (p->pass == EVI_CONV_FORWARD)
        evi_conv_forward(c, p->k, s, in, p->w, p->packed, &p->end, out, p->scratch);
    else if (p->pass == EVI_CONV_BACK_DATA)
        evi_conv_back_data(c, p->k, s, in, p->where ? p->where + (in - p->dy) : NULL, p->w,
                           p->packed, &p->end, out, p->scratch);
    else
        evi_conv_back_weights(c, p->k, s, in, p->dy, p->where, out, p->end.accumulate, p->scratch);
}

/* Values of a plane of y as it lies in memory. */
static int64_t y_plane(const evi_conv_shape *s)
{
    return s->pooled ? (s->out_h / 2) * (s->out_w / 2) : s->out_h * s->out_w;
}

/* One plane of y before the pool, for pooled element i. */
static int64_t window_at(const evi_conv_shape *s, int64_t i)
{
    const int64_t w = s->out_w / 2, plane = i / y_plane(s), in_plane = i % y_plane(s);

    return (plane * s->out_h + in_plane / w * 2) * s->out_w + in_plane % w * 2;
}

/* dy before the pool. */
static void spread_gradient(const evi_conv_shape *s, const evi_real *dy, const uint8_t *where,
                            int64_t n, evi_real *full)
{
    for (int64_t i = 0; i < n; i++)
        if (where[i] < EVI_CONV_NOWHERE)
            full[window_at(s, i) + where[i] / 2 * s->out_w + where[i] % 2] = dy[i];
}

/* Without Winograd a pooled result has the bits of the plain one behind a pool. */
static void check_where(const pass_case *p, const evi_real *got, int64_t n)
{
    evi_conv_shape plain = *p->s;
    pass_case q = *p;
    const int64_t n_plain = plain.n * plain.c_out * plain.out_h * plain.out_w;
    evi_real *y = guard_random(n_plain), *want = guard_random(n);
    uint8_t *where = guard_bytes(n);

    plain.pooled = false;
    q.s = &plain;
    q.end.where = NULL;
    q.packed = NULL;
    q.scratch = scratch_of(evi_conv_scratch_bytes(p->k, &plain, p->pass, false, 1));
    run_pass(&q, &plain, NULL, p->in, y);
    for (int64_t i = 0; i < n; i++) {
        const evi_real *from = y + window_at(p->s, i);

        evk_ref_table.max_pool2(1, from, from + plain.out_w, want + i, where + i);
        if (p->end.act.kind == EVK_ACT_RELU && want[i] <= 0)
            where[i] = EVI_CONV_NOWHERE;
    }
    expect_near("pooled", got, want, n, 0); /* but for the sign of zero */
    if (p->end.where)
        expect_same("where", p->end.where, where, n);
}

/* What the naive sum v gives with bias, old content and activation; the largest of a window. */
static double wanted(const pass_case *p, const double *sum, const evi_real *old, int64_t i,
                     double *peak)
{
    const evi_conv_shape *s = p->s;
    const bool forward = p->pass == EVI_CONV_FORWARD, pools = forward && s->pooled;
    const int64_t channels = forward ? s->c_out : s->c_in;
    const int64_t plane = forward ? y_plane(s) : s->h * s->w;
    double best = 0;

    for (int64_t j = 0; j < (pools ? 4 : 1); j++) {
        double v = sum[pools ? window_at(s, i) + j / 2 * s->out_w + j % 2 : i];

        v += p->end.bias ? (double)p->end.bias[i / plane % channels] : 0;
        v += p->end.accumulate ? (double)old[i] : 0;
        *peak = fmax(*peak, fabs(v));
        v = act_of(v, &p->end.act);
        best = j == 0 ? v : fmax(best, v);
    }
    return best;
}

/* sum: the naive result without bias, activation and old content. */
static void check_pass(pass_case *p, const double *sum, int64_t n_out)
{
    const evi_conv_shape *s = p->s;
    const bool weights = p->pass == EVI_CONV_BACK_WEIGHTS;
    const int64_t channels = p->pass == EVI_CONV_FORWARD ? s->c_out : s->c_in;
    const bool pools = s->pooled && p->pass == EVI_CONV_FORWARD;
    const double terms = weights ? (double)(s->n * s->out_h * s->out_w)
                                 : (double)((s->c_in + s->c_out) / s->groups * s->kh * s->kw);
    evi_real *old = guard_random(n_out), *want = guard_copy(old, n_out);
    evi_real *first = guard_copy(old, n_out);
    double peak = 1;

    memset(&p->end, 0, sizeof(p->end));
    p->end.accumulate = rnd() % 3 == 0 && !pools;
    if (!weights && rnd() % 2)
        p->end.bias = guard_random(channels);
    if (!weights && !p->end.accumulate)
        p->end.act = random_act();
    if (pools && (p->end.act.kind == EVK_ACT_NONE || p->end.act.kind == EVK_ACT_RELU))
        p->end.where = guard_bytes(n_out);
    p->packed = NULL;
    if (!weights && rnd() % 2) {
        p->packed = scratch_of(evi_conv_pack_bytes(p->k, s, p->pass));
        evi_conv_pack(p->k, s, p->pass, p->w, p->packed);
    }
    p->scratch = scratch_of(evi_conv_scratch_bytes(p->k, s, p->pass, p->packed != NULL, 4));
    evi_conv_shape fewer = *s;

    fewer.n = (s->n + 1) / 2; /* scratch for a maximum serves every smaller batch */
    if (evi_conv_scratch_bytes(p->k, &fewer, p->pass, p->packed != NULL, 2) >
        evi_conv_scratch_bytes(p->k, s, p->pass, p->packed != NULL, 2))
        fail_case("fewer pictures want more scratch");
    for (int64_t i = 0; i < n_out; i++)
        want[i] = (evi_real)wanted(p, sum, old, i, &peak);
    run_pass(p, s, NULL, p->in, first);
    expect_near("out", first, want, n_out, (8 + sqrt(terms)) * 2 * REAL_EPS * peak);

    if (pools && s->precise)
        check_where(p, first, n_out);

    evi_crew *c = crew_of((int32_t)rnd_in(2, 4));
    evi_real *again = guard_copy(old, n_out);

    run_pass(p, s, c, p->in, again);
    evi_crew_end(c);
    expect_same("threads", again, first, n_out * (int64_t)sizeof(evi_real));
    if (weights)
        return;
    evi_conv_shape one = *s; /* the last picture alone */
    const int64_t n_one = n_out / s->n, in_one = p->pass == EVI_CONV_FORWARD
                                                     ? s->c_in * s->h * s->w
                                                     : s->c_out * y_plane(s);

    one.n = 1;
    again = guard_copy(old + n_out - n_one, n_one);
    run_pass(p, &one, NULL, p->in + (s->n - 1) * in_one, again);
    expect_same("alone", again, first + n_out - n_one, n_one * (int64_t)sizeof(evi_real));
}

static void conv_case(const evi_kernels *k)
{
    const evi_conv_shape s = random_shape();
    const int64_t nx = s.n * s.c_in * s.h * s.w, n_full = s.n * s.c_out * s.out_h * s.out_w;
    const int64_t nw = s.c_out * s.c_in / s.groups * s.kh * s.kw, ny = s.n * s.c_out * y_plane(&s);
    double *sum = calloc((size_t)(nx + n_full + nw), sizeof(double));
    evi_real *full = calloc((size_t)n_full, sizeof(evi_real)); /* dy before the pool */
    uint8_t *where = s.pooled ? malloc((size_t)ny) : NULL;

    if (!sum || !full || (s.pooled && !where)) {
        fail_case("no memory");
        free(sum);
        free(full);
        free(where);
        return;
    }
    guard_reset();
    const evi_real *x = guard_random(nx), *w = guard_random(nw), *dy = guard_random(ny);

    for (int64_t i = 0; i < ny && where; i++)
        where[i] = (uint8_t)rnd_in(0, 4);
    if (where)
        spread_gradient(&s, dy, where, ny, full);
    naive_conv(&s, x, w, where ? full : dy, sum, sum + n_full, sum + n_full + nx);
    for (int32_t pass = EVI_CONV_FORWARD; pass <= EVI_CONV_BACK_WEIGHTS; pass++) {
        pass_case p = {.k = k, .s = &s, .pass = pass, .w = w, .dy = dy, .where = where};

        set_case("%s conv%s pass %d n %d g %d c %d>%d %dx%d k %dx%d s %d,%d d %d,%d p %d,%d,%d,%d",
                 k->name, s.pooled ? " pooled" : "", pass, (int)s.n, (int)s.groups, (int)s.c_in,
                 (int)s.c_out, (int)s.h, (int)s.w, (int)s.kh, (int)s.kw, (int)s.stride_h,
                 (int)s.stride_w, (int)s.dilation_h, (int)s.dilation_w, (int)s.pad_top,
                 (int)s.pad_left, (int)s.pad_bottom, (int)s.pad_right);
        guard_reset();
        guard_begin(nx); /* keep the places of x, w, dy */
        guard_begin(nw);
        guard_begin(ny);
        p.in = pass == EVI_CONV_BACK_DATA ? dy : x;
        check_pass(&p,
                   pass == 0   ? sum
                   : pass == 1 ? sum + n_full
                               : sum + n_full + nx,
                   pass == 0   ? ny
                   : pass == 1 ? nx
                               : nw);
    }
    free(sum);
    free(full);
    free(where);
}

void check_drivers(const evi_kernels *k, int32_t amount)
{
    begin_crews();
    for (int32_t i = 0; i < 1200 * amount; i++)
        gemm_case(k);
    for (int32_t i = 0; i < 1200 * amount; i++)
        conv_case(k);
    end_crews();
}
