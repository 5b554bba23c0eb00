/* SPDX-License-Identifier: MIT */
/* evcheck: the weights' gradient by Winograd.  Its kernels against the reference, and the pass
 * against naive loops in double; the same bits for any number of threads. */
#include "evcheck.h"
#include "ops/winograd_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { REF_LANES = 8 };

/* ---- kernels --------------------------------------------------------------------------------- */

static void spread_case(const evi_kernels *k)
{
    const int64_t lanes = k->grad_lanes, n = rnd_in(0, 70), gap = rnd_in(0, 5);
    const int32_t m = (int32_t)rnd_in(1, lanes);

    set_case("%s grad_spread n %d m %d", k->name, (int)n, (int)m);
    guard_reset();
    const evi_real *x = guard_random(m * (n + gap) - (n ? gap : 0));
    evi_real *want = guard_random(n * lanes), *got = guard_copy(want, n * lanes);

    for (int64_t i = 0; i < n * lanes; i++)
        want[i] = i % lanes < m ? x[i % lanes * (n + gap) + i / lanes] : 0;
    k->grad_spread(&(evk_grad_rows){n, m, x, n + gap, got, x, n + gap});
    expect_same("z", got, want, n * lanes * (int64_t)sizeof(evi_real));
}

/* A lane at a time by the reference, since groups may be of another size there. */
static void tiles_by_ref(const evk_grad_tiles *a, int64_t lanes, int64_t side, bool is_x,
                         evi_real *want)
{
    const int64_t columns = a->row / lanes, rows = side;
    evi_real *z = calloc((size_t)(rows * columns * REF_LANES), sizeof(*z));

    for (int64_t l = 0; z && l < a->m; l++) {
        evk_grad_tiles one = {a->n, 1, z, columns * REF_LANES, want + l, a->point, a->step};

        for (int64_t i = 0; i < rows * columns; i++) {
            if (i / columns < rows - 1 || i % columns < 4 * a->n + side - 4)
                z[i * REF_LANES] = a->z[i / columns * a->row + i % columns * lanes + l];
        }
        if (is_x)
            evk_ref_table.grad_x(&one);
        else
            evk_ref_table.grad_dy(&one);
    }
    free(z);
}

static void tiles_case(const evi_kernels *k)
{
    const bool is_x = rnd() & 1;
    const int64_t side = is_x ? 6 : 4, lanes = k->grad_lanes, n = rnd_in(0, 20);
    const int64_t row = (4 * n + side - 4 + rnd_in(0, 3)) * lanes;
    evk_grad_tiles a = {.n = n, .m = (int32_t)rnd_in(1, lanes), .row = row};

    a.step = a.m + rnd_in(0, 9);
    a.point = n * a.step + rnd_in(0, 17);
    set_case("%s grad_%s n %d m %d", k->name, is_x ? "x" : "dy", (int)n, (int)a.m);
    guard_reset();
    const int64_t size = n ? 35 * a.point + (n - 1) * a.step + a.m : 0;
    evi_real *want = guard_random(size), *got = guard_copy(want, size);

    a.z = guard_random((side - 1) * row + (4 * n + side - 4) * lanes);
    a.v = got;
    tiles_by_ref(&a, lanes, side, is_x, want);
    if (is_x)
        k->grad_x(&a);
    else
        k->grad_dy(&a);
    expect_near("v", got, want, size, 64 * REAL_EPS * 40);
}

static void end_case(const evi_kernels *k)
{
    const int64_t n = rnd_in(0, 70), point = n + rnd_in(0, 9), tap = n + rnd_in(0, 9);

    set_case("%s grad_end n %d", k->name, (int)n);
    guard_reset();
    const evi_real *u = guard_random(n ? 35 * point + n : 0);
    const int64_t size = n ? 8 * tap + n : 0;
    evi_real *want = guard_random(size), *got = guard_copy(want, size);

    evk_ref_table.grad_end(n, u, point, want, tap);
    k->grad_end(n, u, point, got, tap);
    expect_near("g", got, want, size, 64 * REAL_EPS * 8);
}

/* ---- the pass -------------------------------------------------------------------------------- */

static evi_conv_shape random_shape(void)
{
    evi_conv_shape s;

    do {
        const bool small = rnd() % 3 != 0;

        memset(&s, 0, sizeof(s));
        s.n = rnd_in(1, rnd() % 4 ? 4 : 40);
        s.groups = s.stride_h = s.stride_w = s.dilation_h = s.dilation_w = 1;
        s.kh = s.kw = 3;
        s.c_in = rnd_in(1, small ? 20 : 150);
        s.c_out = rnd_in(1, small ? 20 : 150);
        s.h = rnd_in(1, small ? 20 : 60);
        s.w = rnd_in(1, small ? 40 : 400);
        s.pad_top = rnd_in(0, 3);
        s.pad_left = rnd_in(0, 3);
        s.pad_bottom = rnd_in(0, 3);
        s.pad_right = rnd_in(0, 3);
        s.pooled = rnd() % 3 == 0;
    } while (!evi_conv_out_size(&s) || (s.pooled && (s.out_h < 2 || s.out_w < 2)) ||
             s.n * s.c_out * s.c_in * s.out_h * s.out_w > 1000000);
    return s;
}

/* dy in full size from the pooled one */
static void unpool(const evi_conv_shape *s, const evi_real *dy, const uint8_t *where, double *to)
{
    const int64_t h = s->pooled ? s->out_h / 2 : s->out_h, w = s->pooled ? s->out_w / 2 : s->out_w;

    for (int64_t i = 0; i < s->n * s->c_out * h * w; i++) {
        const int64_t x = i % w, y = i / w % h, plane = i / w / h;
        double *at = to + plane * s->out_h * s->out_w;

        if (!s->pooled)
            at[y * s->out_w + x] = (double)dy[i];
        else if (where[i] < 4)
            at[(2 * y + where[i] / 2) * s->out_w + 2 * x + where[i] % 2] = (double)dy[i];
    }
}

static void naive(const evi_conv_shape *s, const evi_real *x, const double *dy, double *dw)
{
    for (int64_t i = 0; i < s->n * s->c_out * s->out_h * s->out_w; i++) {
        const int64_t ox = i % s->out_w, oy = i / s->out_w % s->out_h;
        const int64_t k = i / s->out_w / s->out_h % s->c_out;
        const int64_t image = i / s->out_w / s->out_h / s->c_out;

        for (int64_t q = 0; dy[i] != 0 && q < s->c_in * 9; q++) {
            const int64_t iy = oy - s->pad_top + q / 3 % 3, ix = ox - s->pad_left + q % 3;

            if (iy >= 0 && iy < s->h && ix >= 0 && ix < s->w)
                dw[k * s->c_in * 9 + q] +=
                    dy[i] * (double)x[((image * s->c_in + q / 9) * s->h + iy) * s->w + ix];
        }
    }
}

/* Scratch between guards, full of NaN: what the pass reads there it must have written. */
static void *scratch_of(uint64_t n_bytes)
{
    evi_real *p = guard_end((int64_t)(evi_round_up(n_bytes, 64) / sizeof(evi_real)));

    memset(p, 0xff, n_bytes);
    return p;
}

static void check_scratch(const evi_kernels *k, const evi_conv_shape *s)
{
    evi_conv_shape fewer = *s;

    for (fewer.n = s->n - 1; fewer.n > 0; fewer.n--) {
        if (evi_winograd_weights_scratch_bytes(k, &fewer, 2) >
            evi_winograd_weights_scratch_bytes(k, s, 2))
            fail_case("%d pictures want more scratch", (int)fewer.n);
    }
}

static void pass_case(const evi_kernels *k, ev_context *const ctx[4])
{
    const evi_conv_shape s = random_shape();
    const int64_t out = s.n * s.c_out * s.out_h * s.out_w, nw = s.c_out * s.c_in * 9;
    const int64_t pooled = s.n * s.c_out * (s.out_h / 2) * (s.out_w / 2),
                  ny = s.pooled ? pooled : out;
    const bool add = rnd() % 3 == 0;
    double *full = calloc((size_t)(out + nw), sizeof(double)), peak = 1;

    set_case("%s weights by Winograd n %d c %d>%d %dx%d pooled %d add %d p %d,%d,%d,%d", k->name,
             (int)s.n, (int)s.c_in, (int)s.c_out, (int)s.h, (int)s.w, s.pooled, add, (int)s.pad_top,
             (int)s.pad_left, (int)s.pad_bottom, (int)s.pad_right);
    guard_reset();
    const evi_real *x = guard_random(s.n * s.c_in * s.h * s.w), *dy = guard_random(ny);
    uint8_t *where = s.pooled ? guard_bytes(ny) : NULL;
    evi_real *old = guard_random(nw), *want = guard_copy(old, nw), *first = guard_copy(old, nw);

    for (int64_t i = 0; where && i < ny; i++)
        where[i] = (uint8_t)(rnd() % 5);
    if (!full) {
        fail_case("no memory");
        return;
    }
    unpool(&s, dy, where, full);
    naive(&s, x, full, full + out);
    for (int64_t i = 0; i < nw; i++) {
        full[out + i] += add ? (double)old[i] : 0;
        want[i] = (evi_real)full[out + i];
        peak = fmax(peak, fabs(full[out + i]));
    }
    check_scratch(k, &s);
    void *scratch = scratch_of(evi_winograd_weights_scratch_bytes(k, &s, 4));

    evi_winograd_back_weights(NULL, k, &s, x, dy, where, first, add, scratch);
    expect_near("dw", first, want, nw, 60 * REAL_EPS * peak);
    for (int32_t n = 1; n < 4; n++) {
        evi_crew *crew = evi_crew_begin(ctx[n]);
        evi_real *again = guard_copy(old, nw);

        evi_winograd_back_weights(crew, k, &s, x, dy, where, again, add, scratch);
        evi_crew_end(crew);
        expect_same("threads", again, first, nw * (int64_t)sizeof(evi_real));
    }
    free(full);
}

void check_winograd_weights(const evi_kernels *k, int32_t amount)
{
    ev_context *ctx[4] = {NULL};

    for (int32_t i = 0; i < 800 * amount; i++) {
        spread_case(k);
        tiles_case(k);
        end_case(k);
    }
    for (int32_t i = 1; i < 4; i++) {
        ev_context_options opt;

        EV_OPTIONS_INIT(&opt);
        opt.n_threads = i + 1;
        if (ev_context_create(&opt, &ctx[i]) != EV_OK)
            fail_case("no context");
    }
    for (int32_t i = 0; i < 300 * amount; i++)
        pass_case(k, ctx);
    for (int32_t i = 1; i < 4; i++)
        ev_context_destroy(ctx[i]);
}
