/* SPDX-License-Identifier: MIT */
/* evcheck: Winograd's transforms against the reference, and its passes against naive loops in
 * double, on odd shapes: also those for which the drivers would not choose it. */
#include "evcheck.h"
#include "ops/winograd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static ev_context *ctx[5]; /* of so many threads */

static void begin_contexts(void)
{
    for (int32_t i = 2; i < EVI_COUNT(ctx); i++) {
        ev_context_options opt;

        EV_OPTIONS_INIT(&opt);
        opt.n_threads = i;
        if (ev_context_create(&opt, &ctx[i]) != EV_OK)
            fail_case("no context");
    }
}

static void end_contexts(void)
{
    for (int32_t i = 2; i < EVI_COUNT(ctx); i++)
        ev_context_destroy(ctx[i]);
}

/* ---- kernels --------------------------------------------------------------------------------- */

static void in_case(const evi_kernels *k)
{
    evk_wino_in a = {.n = rnd_in(1, rnd() % 4 ? 20 : 200)};
    const int64_t n_v = 36 * (a.n + (int64_t)(rnd() % 3));

    a.left = rnd_in(-5, 2);
    a.width = EVI_MAX(rnd_in(1, rnd() % 2 ? 4 * a.n + 2 - a.left : 4 * a.n + 9), 1);
    a.step = n_v / 36;
    guard_reset();
    set_case("%s wino_in n %d left %d width %d", k->name, (int)a.n, (int)a.left, (int)a.width);
    for (int32_t r = 0; r < 6; r++)
        a.row[r] = rnd() % 5 ? guard_random(a.width) : NULL;
    evi_real *want = guard_random(n_v), *got = guard_copy(want, n_v);

    a.v = want;
    evk_ref_table.wino_in(&a);
    a.v = got;
    k->wino_in(&a);
    expect_near("v", got, want, n_v, 40 * REAL_EPS);
}

static void out_case(const evi_kernels *k)
{
    evk_wino_out a = {.n = rnd_in(1, rnd() % 4 ? 20 : 100), .pool = rnd() % 3 == 0};
    const int64_t each = a.pool ? 2 : 4;

    a.step = a.n + (int64_t)(rnd() % 3);
    a.width = rnd_in(EVI_MAX(1, each * a.n - 9), each * a.n);
    a.height = (int32_t)rnd_in(1, each);
    a.ldy = a.width + (int64_t)(rnd() % 3);
    a.ldw = a.width + (int64_t)(rnd() % 3);
    a.bias = (evi_real)rnd_real();
    a.flags = (rnd() % 2 && !a.pool ? EVK_TILE_ADD : 0) | (rnd() % 2 ? EVK_TILE_CLIP : 0);
    a.lo = 0;
    a.hi = rnd() % 2 ? (evi_real)INFINITY : (evi_real)0.5;
    a.positive = rnd() & 1;
    guard_reset();
    set_case("%s wino_out n %d %dx%d pool %d flags %d", k->name, (int)a.n, a.height, (int)a.width,
             a.pool, a.flags);
    const int64_t n_y = (a.height - 1) * a.ldy + a.width, n_w = (a.height - 1) * a.ldw + a.width;
    evi_real *want = guard_random(n_y), *got = guard_copy(want, n_y);
    uint8_t *at_want = guard_bytes(n_w), *at_got = guard_bytes(n_w);
    const bool where = a.pool && rnd() % 2;

    memset(at_want, 9, (size_t)n_w);
    memset(at_got, 9, (size_t)n_w);
    a.m = guard_random(35 * a.step + a.n);
    a.y = want;
    a.where = where ? at_want : NULL;
    evk_ref_table.wino_out(&a);
    a.y = got;
    a.where = where ? at_got : NULL;
    k->wino_out(&a);
    expect_near("y", got, want, n_y, 200 * REAL_EPS);
    int64_t others = 0; /* two that rounding makes equal may be exchanged, rarely */

    for (int64_t i = 0; i < n_w; i++)
        others += at_got[i] != at_want[i];
    if (others > 1)
        fail_case("where differs in %d of %d", (int)others, (int)n_w);
}

static void weights_case(const evi_kernels *k)
{
    const bool turn = rnd() & 1, whole = rnd() % 3 == 0; /* aligned, as `far` needs it */
    const int64_t slack = whole ? 0 : 2;
    evk_wino_weights a = {
        .count = rnd_in(0, 4), .n = whole ? 16 * rnd_in(1, 3) : rnd_in(0, 40), .far = rnd() & 1};

    a.ldg = a.n + rnd_in(0, slack);
    a.g_next = 9 * a.ldg;
    a.u_next = a.n + rnd_in(0, slack);
    a.step = a.count * a.u_next;
    guard_reset();
    set_case("%s wino_weights %d of %d far %d", k->name, (int)a.count, (int)a.n, a.far);
    const int64_t n_u = 36 * a.step;
    const evi_real *g = guard_random(a.count * a.g_next);
    evi_real *want = guard_random(n_u), *got = guard_end(n_u);

    memcpy(got, want, (size_t)n_u * sizeof(*got));
    a.g = turn && a.count ? g + 8 * a.ldg : g;
    a.ldg = turn ? -a.ldg : a.ldg;
    a.u = want;
    evk_ref_table.wino_weights(&a);
    a.u = got;
    k->wino_weights(&a);
    expect_near("u", got, want, n_u, 16 * REAL_EPS);
}

/* ---- passes ---------------------------------------------------------------------------------- */

typedef struct pass {
    const evi_kernels *k;
    evi_conv_shape s;
    int32_t number;
    const evi_real *in, *w;
    const uint8_t *where;
    evi_conv_end end;
    int64_t n_in, n_out; /* values of one picture */
} pass;

static void random_shape(evi_conv_shape *s)
{
    do {
        *s = (evi_conv_shape){.n = rnd_in(1, 4),
                              .c_in = rnd_in(1, rnd() % 8 ? 20 : 300),
                              .c_out = rnd_in(1, rnd() % 8 ? 20 : 150),
                              .h = rnd_in(1, 30),
                              .w = rnd_in(1, rnd() % 8 ? 40 : 700),
                              .kh = 3,
                              .kw = 3,
                              .stride_h = 1,
                              .stride_w = 1,
                              .pad_top = rnd_in(0, 2),
                              .pad_left = rnd_in(0, 2),
                              .pad_bottom = rnd_in(0, 2),
                              .pad_right = rnd_in(0, 2),
                              .dilation_h = 1,
                              .dilation_w = 1,
                              .groups = 1};
    } while (!evi_conv_out_size(s) || s->n * s->c_in * s->c_out * s->h * s->w > 400000);
    s->pooled = rnd() % 2 && s->out_h > 1 && s->out_w > 1;
}

/* The gradient before the pool, from what lies behind it. */
static double spread_at(const pass *p, int64_t plane, int64_t y, int64_t x)
{
    const evi_conv_shape *s = &p->s;
    const int64_t h = s->out_h / 2, w = s->out_w / 2, at = (plane * h + y / 2) * w + x / 2;

    if (!s->pooled)
        return (double)p->in[(plane * s->out_h + y) * s->out_w + x];
    if (y / 2 >= h || x / 2 >= w || p->where[at] != y % 2 * 2 + x % 2)
        return 0;
    return (double)p->in[at];
}

static double naive_at(const pass *p, int64_t image, int64_t m, int64_t y, int64_t x)
{
    const evi_conv_shape *s = &p->s;
    double sum = 0;

    if (p->number == EVI_CONV_FORWARD) {
        for (int64_t i = 0; i < 9 * s->c_in; i++) {
            const int64_t c = i / 9, iy = y + i % 9 / 3 - s->pad_top, ix = x + i % 3 - s->pad_left;

            if (iy >= 0 && iy < s->h && ix >= 0 && ix < s->w)
                sum += (double)p->in[((image * s->c_in + c) * s->h + iy) * s->w + ix] *
                       (double)p->w[m * 9 * s->c_in + i];
        }
        return sum;
    }
    for (int64_t i = 0; i < 9 * s->c_out; i++) {
        const int64_t c = i / 9, iy = y - i % 9 / 3 + s->pad_top, ix = x - i % 3 + s->pad_left;

        if (iy >= 0 && iy < s->out_h && ix >= 0 && ix < s->out_w)
            sum += spread_at(p, image * s->c_out + c, iy, ix) *
                   (double)p->w[(c * s->c_in + m) * 9 + i % 9];
    }
    return sum;
}

static double finished(const pass *p, double v, int64_t m, evi_real old)
{
    v += p->end.bias ? (double)p->end.bias[m] : 0;
    v += p->end.accumulate ? (double)old : 0;
    evi_real x = (evi_real)v, y = 0;

    evk_ref_table.act(1, &x, 0, &p->end.act, &y);
    return (double)y;
}

/* want: what a naive pass gives; the largest sum is returned. */
static double naive(const pass *p, const evi_real *old, evi_real *want)
{
    const evi_conv_shape *s = &p->s;
    const bool forward = p->number == EVI_CONV_FORWARD, pools = forward && s->pooled;
    const int64_t channels = forward ? s->c_out : s->c_in, part = pools ? 2 : 1;
    const int64_t h = (forward ? s->out_h : s->h) / part, w = (forward ? s->out_w : s->w) / part;
    double peak = 1;

    for (int64_t i = 0; i < s->n * p->n_out; i++) {
        const int64_t x = i % w, y = i / w % h, m = i / (w * h) % channels;
        double best = 0;

        for (int64_t j = 0; j < part * part; j++) {
            double v = naive_at(p, i / p->n_out, m, part * y + j / 2, part * x + j % 2);

            peak = fmax(peak, fabs(v));
            v = finished(p, v, m, old[i]);
            best = j == 0 ? v : fmax(best, v);
        }
        want[i] = (evi_real)best;
    }
    return peak;
}

static void run(const pass *p, int64_t image, int64_t n, int32_t threads, bool packs, evi_real *out)
{
    evi_conv_shape s = p->s;
    evi_conv_end end = p->end;
    evi_real *packed = NULL, *scratch;
    evi_crew *crew = threads > 1 ? evi_crew_begin(ctx[threads]) : NULL;

    s.n = n;
    if (packs) {
        packed = guard_end((int64_t)(evi_winograd_pack_bytes(p->k, &s, p->number) / sizeof(*out)));
        evi_winograd_pack(p->k, &s, p->number, p->w, packed);
    }
    const uint64_t bytes = evi_winograd_scratch_bytes(p->k, &s, p->number, packs, threads);

    scratch = guard_end((int64_t)(evi_round_up(bytes, 64) / sizeof(*out)));
    memset(scratch, 0xff, bytes);
    if (end.where)
        end.where += image * p->n_out;
    if (p->number == EVI_CONV_FORWARD)
        evi_winograd_forward(crew, p->k, &s, p->in + image * p->n_in, p->w, packed, &end, out,
                             scratch);
    else
        evi_winograd_back_data(crew, p->k, &s, p->in + image * p->n_in,
                               p->where ? p->where + image * p->n_in : NULL, p->w, packed, &end,
                               out, scratch);
    evi_crew_end(crew);
}

/* Where a maximum came from: the value there is the pooled one. */
static void check_where(const pass *p, const evi_real *got)
{
    const evi_conv_shape *s = &p->s;
    const int64_t n = s->n * p->n_out, w = s->out_w / 2, h = s->out_h / 2;
    pass whole = *p;

    whole.s.pooled = false;
    whole.end.where = NULL;
    whole.n_out = s->c_out * s->out_h * s->out_w;
    evi_real *y = guard_random(s->n * whole.n_out);

    run(&whole, 0, s->n, 1, true, y);
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = p->end.where[i];
        const evi_real *from =
            y + i / (w * h) * s->out_h * s->out_w + 2 * (i / w % h) * s->out_w + 2 * (i % w);
        const bool nowhere = p->end.act.kind == EVK_ACT_RELU && got[i] <= 0;

        if (nowhere ? at != EVI_CONV_NOWHERE
                    : at > 3 || memcmp(&from[at / 2 * s->out_w + at % 2], &got[i], sizeof(*y)) != 0)
            fail_case("where is %d at %d", (int)at, (int)i);
    }
}

static void random_end(pass *p)
{
    static const int32_t acts[] = {EVK_ACT_NONE, EVK_ACT_RELU, EVK_ACT_CLIP, EVK_ACT_LEAKY,
                                   EVK_ACT_HARDSWISH};
    const bool forward = p->number == EVI_CONV_FORWARD;

    if (rnd() & 1)
        p->end.bias = guard_random(forward ? p->s.c_out : p->s.c_in);
    p->end.accumulate = rnd() % 3 == 0 && !(forward && p->s.pooled);
    if (!p->end.accumulate)
        p->end.act = (evk_act){.kind = acts[rnd() % 5], .a = (evi_real)-0.1, .b = (evi_real)0.7};
    if (forward && p->s.pooled && p->end.act.kind <= EVK_ACT_RELU && rnd() % 4)
        p->end.where = guard_bytes(p->s.n * p->n_out);
}

static void pass_case_of(const evi_kernels *k)
{
    pass p = {.k = k, .number = rnd() & 1 ? EVI_CONV_FORWARD : EVI_CONV_BACK_DATA};
    evi_conv_shape *s = &p.s;

    random_shape(s);
    const bool forward = p.number == EVI_CONV_FORWARD;
    const int64_t n_x = s->c_in * s->h * s->w;
    const int64_t n_y =
        s->c_out * (s->pooled ? (s->out_h / 2) * (s->out_w / 2) : s->out_h * s->out_w);

    p.n_in = forward ? n_x : n_y;
    p.n_out = forward ? n_y : n_x;
    guard_reset();
    p.in = guard_random(s->n * p.n_in);
    p.w = guard_random(s->c_out * s->c_in * 9);
    if (!forward && s->pooled) {
        uint8_t *where = guard_bytes(s->n * p.n_in);

        for (int64_t i = 0; i < s->n * p.n_in; i++)
            where[i] = (uint8_t)rnd_in(0, 4);
        p.where = where;
    }
    random_end(&p);
    set_case("%s winograd pass %d n %d %d>%d %dx%d pads %d %d %d %d pool %d act %d add %d", k->name,
             p.number, (int)s->n, (int)s->c_in, (int)s->c_out, (int)s->h, (int)s->w,
             (int)s->pad_top, (int)s->pad_left, (int)s->pad_bottom, (int)s->pad_right, s->pooled,
             p.end.act.kind, p.end.accumulate);
    const int64_t n = s->n * p.n_out, bytes = n * (int64_t)sizeof(evi_real);
    evi_real *old = guard_random(n), *want = guard_copy(old, n), *first = guard_copy(old, n);
    const double peak = naive(&p, old, want), terms = (double)(forward ? s->c_in : s->c_out);

    run(&p, 0, s->n, 1, rnd() & 1, first);
    expect_near("result", first, want, n, (6 + sqrt(terms)) * 8 * REAL_EPS * peak);
    if (p.end.where)
        check_where(&p, first);
    evi_real *again = guard_copy(old, n);

    run(&p, 0, s->n, (int32_t)rnd_in(2, 4), rnd() & 1, again);
    expect_same("threads", again, first, bytes);
    const int64_t alone = rnd_in(0, s->n - 1);
    evi_real *one = guard_copy(old + alone * p.n_out, p.n_out);

    run(&p, alone, 1, (int32_t)rnd_in(1, 3), true, one);
    expect_same("alone", one, first + alone * p.n_out, p.n_out * (int64_t)sizeof(evi_real));
}

void check_winograd(const evi_kernels *k, int32_t amount)
{
    for (int32_t i = 0; i < 20 * amount; i++) {
        in_case(k);
        out_case(k);
        weights_case(k);
    }
    begin_contexts();
    for (int32_t i = 0; i < 2 * amount; i++)
        pass_case_of(k);
    end_contexts();
}
