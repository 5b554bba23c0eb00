/* SPDX-License-Identifier: MIT */
/* Resize against ONNX's formula, written out for each output element. */
#include "plain.h"

#include <math.h>

static double coordinate(const evi_attrs *a, double scale, double n, double m, double o, double lo,
                         double hi)
{
    switch (a->coord) {
    case EVI_COORD_ALIGN_CORNERS: return m == 1 ? 0 : o * (n - 1) / (m - 1);
    case EVI_COORD_ASYMMETRIC: return o / scale;
    case EVI_COORD_TF_CROP_AND_RESIZE:
        return m == 1 ? 0.5 * (lo + hi) * (n - 1)
                      : lo * (n - 1) + o * (hi - lo) * (n - 1) / (m - 1);
    case EVI_COORD_PYTORCH_HALF_PIXEL: return m == 1 ? -0.5 : (o + 0.5) / scale - 0.5;
    case EVI_COORD_TF_HALF_PIXEL: return (o + 0.5) / scale;
    case EVI_COORD_HALF_PIXEL_SYMMETRIC:
        return n / 2 * (1 - m / (scale * n)) + (o + 0.5) / scale - 0.5;
    default: return (o + 0.5) / scale - 0.5;
    }
}

static double hat(const evi_attrs *a, double d)
{
    d = fabs(d);
    if (a->mode == EVI_RESIZE_LINEAR)
        return d < 1 ? 1 - d : 0;
    double c = (double)a->cubic_a;
    if (d <= 1)
        return (c + 2) * d * d * d - (c + 3) * d * d + 1;
    return d < 2 ? c * d * d * d - 5 * c * d * d + 8 * c * d - 4 * c : 0;
}

/* Weight of input i for an output at x, all inputs looked at; outside ones count at the edge. */
static double weight(const evi_attrs *a, double scale, int64_t n, double x, int64_t i)
{
    if (a->mode == EVI_RESIZE_NEAREST) {
        double at = 0;
        switch (a->nearest) {
        case EVI_NEAREST_FLOOR: at = floor(x); break;
        case EVI_NEAREST_CEIL: at = ceil(x); break;
        case EVI_NEAREST_ROUND_PREFER_CEIL: at = floor(x + 0.5); break;
        default: at = ceil(x - 0.5); break;
        }
        return fmin(fmax(at, 0), (double)(n - 1)) == (double)i;
    }
    double wide = a->antialias && scale < 1 ? scale : 1, sum = 0, own = 0;
    for (int64_t j = -40; j < n + 40; j++) {
        bool outside = j < 0 || j >= n;
        double w = outside && a->exclude_outside ? 0 : hat(a, ((double)j - x) * wide);
        sum += w;
        own += (j < 0 ? 0 : j >= n ? n - 1 : j) == i ? w : 0;
    }
    return own / sum;
}

/* Nearest is undecided where the coordinate lies on a border but for rounding. */
static bool on_border(const evi_attrs *a, double x)
{
    double part = 2 * x - floor(2 * x);
    return a->mode == EVI_RESIZE_NEAREST && (part < 1e-6 || part > 1 - 1e-6);
}

typedef struct line {
    double w[32][16]; /* [output][input] */
    bool outside[32], border[32];
} line;

static void make_line(const evi_attrs *a, double scale, int64_t n, int64_t m, double lo, double hi,
                      line *l)
{
    for (int64_t o = 0; o < m; o++) {
        double x = coordinate(a, scale, (double)n, (double)m, (double)o, lo, hi);
        l->border[o] = on_border(a, x);
        l->outside[o] = a->coord == EVI_COORD_TF_CROP_AND_RESIZE && (x < 0 || x > (double)(n - 1));
        for (int64_t i = 0; i < n; i++)
            l->w[o][i] = m == n && scale == 1 && a->coord != EVI_COORD_TF_CROP_AND_RESIZE
                             ? o == i
                             : weight(a, scale, n, x, i);
    }
}

/* The last two axes of [n, c, h, w] are resized. */
static void check_plane(const one_step *o, const line *rows, const line *columns)
{
    const int64_t *x = o->in_edge[0].shape.dim, *y = o->out_edge[0].shape.dim;
    for (int64_t i = 0; i < one_count_out(o, 0); i++) {
        int64_t p = i / (y[2] * y[3]), oy = i / y[3] % y[2], ox = i % y[3];
        double want = 0;
        if (rows->border[oy] || columns->border[ox])
            continue;
        for (int64_t j = 0; j < x[2]; j++)
            for (int64_t k = 0; k < x[3]; k++)
                want +=
                    rows->w[oy][j] * columns->w[ox][k] * in_number(o, 0, (p * x[2] + j) * x[3] + k);
        if (rows->outside[oy] || columns->outside[ox])
            want = (double)o->a.extrapolation;
        expect(o, i, want, 3e-6);
    }
}

static void draw_mode(one_step *o, uint64_t *r, int32_t k)
{
    o->a.mode = k % 3;
    o->a.coord = k / 3 % 7;
    o->a.nearest = t_random_int(r, 0, 3);
    o->a.antialias = t_random_int(r, 0, 3) == 0 && o->a.mode != EVI_RESIZE_NEAREST &&
                     o->a.coord != EVI_COORD_TF_CROP_AND_RESIZE;
    o->a.exclude_outside = t_random_int(r, 0, 3) == 0;
    o->a.cubic_a = -0.75f;
    o->a.extrapolation = 7;
    for (int32_t i = 0; i < 2; i++) {
        o->a.roi[i] = 0.1f * (float)t_random_int(r, -2, 4);
        o->a.roi[2 + i] = 0.1f * (float)t_random_int(r, 5, 12);
    }
}

START_TEST(test_formula)
{
    uint64_t r = 31;
    for (int32_t k = 0; k < 2100; k++) {
        one_step o;
        line rows, columns;
        int64_t x[4] = {t_random_int(&r, 1, 2), t_random_int(&r, 1, 3), t_random_int(&r, 1, 9),
                        t_random_int(&r, 1, 9)};
        int64_t sizes[2] = {t_random_int(&r, 1, 14), t_random_int(&r, 1, 14)};
        double scale[2] = {(double)sizes[0] / (double)x[2], (double)sizes[1] / (double)x[3]};
        one_start(&o, "resize");
        one_real(&o, 4, x);
        draw_mode(&o, &r, k);
        o.a.list3 = list_of(2, (int64_t[]){2, -1});
        if (t_random_int(&r, 0, 1)) {
            o.a.list2 = list_of(2, sizes);
        } else {
            o.a.list = (evi_list){.n = 2, .set = 1};
            for (int32_t i = 0; i < 2; i++) {
                o.a.scales[i] = 0.25f * (float)t_random_int(&r, 4, 11);
                scale[i] = (double)o.a.scales[i];
                sizes[i] = (int64_t)(scale[i] * (double)x[2 + i]);
            }
        }
        run_one(&o, &r, NULL);
        ck_assert_int_eq(o.out_edge[0].shape.dim[2], sizes[0]);
        ck_assert_int_eq(o.out_edge[0].shape.dim[3], sizes[1]);
        const float *roi = o.a.roi;
        make_line(&o.a, scale[0], x[2], sizes[0], (double)roi[0], (double)roi[2], &rows);
        make_line(&o.a, scale[1], x[3], sizes[1], (double)roi[1], (double)roi[3], &columns);
        check_plane(&o, &rows, &columns);
        one_end(&o);
    }
}
END_TEST

/* Any axis of any rank: one axis at a time, against the same picture turned. */
START_TEST(test_axes)
{
    uint64_t r = 32;
    for (int32_t k = 0; k < 200; k++) {
        one_step o;
        line l;
        evi_shape x = random_shape(&r, 1, 5, 5);
        int32_t axis = t_random_int(&r, 0, x.rank - 1);
        int64_t size = t_random_int(&r, 1, 11);
        one_start(&o, "resize");
        one_real(&o, x.rank, x.dim);
        o.a.mode = EVI_RESIZE_LINEAR;
        o.a.coord = k % 2 ? EVI_COORD_ALIGN_CORNERS : EVI_COORD_HALF_PIXEL;
        o.a.list2 = list_of(1, &size);
        o.a.list3 = list_of(1, (int64_t[]){axis});
        run_one(&o, &r, NULL);
        make_line(&o.a, (double)size / (double)x.dim[axis], x.dim[axis], size, 0, 0, &l);
        for (int64_t i = 0; i < one_count_out(&o, 0); i++) {
            int64_t index[EV_MAX_RANK];
            double want = 0;
            unravel(&o.out_edge[0].shape, i, index);
            int64_t at = index[axis];
            for (index[axis] = 0; index[axis] < x.dim[axis]; index[axis]++)
                want += l.w[at][index[axis]] * in_number(&o, 0, ravel(&x, index, x.rank));
            expect(&o, i, want, 2e-6);
        }
        one_end(&o);
    }
}
END_TEST

typedef struct aspect_case {
    int32_t aspect;
    int64_t in[2], asked[2], got[2];
} aspect_case;

START_TEST(test_aspect)
{
    static const aspect_case cases[] = {
        {EVI_ASPECT_STRETCH, {6, 8}, {3, 2}, {3, 2}},
        {EVI_ASPECT_NOT_LARGER, {6, 8}, {3, 2}, {2, 2}}, /* 6 / 4 = 1.5, rounded up */
        {EVI_ASPECT_NOT_SMALLER, {6, 8}, {3, 2}, {3, 4}},
        {EVI_ASPECT_NOT_LARGER, {2, 4}, {7, 8}, {4, 8}},
        {EVI_ASPECT_NOT_SMALLER, {2, 4}, {7, 8}, {7, 14}},
    };
    for (int32_t k = 0; k < EVI_COUNT(cases); k++) {
        const aspect_case *c = &cases[k];
        one_step o;
        one_start(&o, "resize");
        one_real(&o, 4, (int64_t[]){1, 1, c->in[0], c->in[1]});
        o.a.aspect = c->aspect;
        o.a.list2 = list_of(2, c->asked);
        o.a.list3 = list_of(2, (int64_t[]){2, 3});
        t_ok(one_infer(&o));
        ck_assert_int_eq(o.out_edge[0].shape.dim[2], c->got[0]);
        ck_assert_int_eq(o.out_edge[0].shape.dim[3], c->got[1]);
    }
}
END_TEST

/* 0.7f is a little less than 7/10; the tenfold is 7 all the same, and output 0..6 are those of the
 * ratio 7/10. */
START_TEST(test_rounded_scale)
{
    one_step o;
    static const double want[] = {0, 1, 2, 4, 5, 7, 8};
    one_start(&o, "resize");
    one_real(&o, 1, (int64_t[]){10});
    o.a.list = (evi_list){.n = 1, .set = 1};
    o.a.scales[0] = 0.7f;
    o.a.coord = EVI_COORD_ASYMMETRIC;
    o.a.nearest = EVI_NEAREST_FLOOR;
    t_ok(one_plan(&o, false, test_kernels(), 1));
    for (int32_t i = 0; i < 10; i++)
        one_in(&o, 0)[i] = (evi_real)i;
    one_forward(&o, NULL);
    ck_assert_int_eq(one_count_out(&o, 0), 7);
    for (int64_t i = 0; i < 7; i++)
        expect(&o, i, want[i], 0);
    one_end(&o);
}
END_TEST

START_TEST(test_resize_threads)
{
    uint64_t r = 33;
    for (int32_t k = 0; k < 6; k++) {
        one_step o;
        one_start(&o, "resize");
        one_real(&o, 4, (int64_t[]){2, 5, 40, 61});
        o.a.mode = k % 3;
        o.a.cubic_a = -0.5f;
        o.a.list2 = list_of(2, k < 3 ? (int64_t[]){95, 122} : (int64_t[]){5, 80});
        o.a.list3 = list_of(2, k < 3 ? (int64_t[]){2, 3} : (int64_t[]){1, 3});
        same_on_threads(&o, &r);
        one_end(&o);
    }
}
END_TEST

TCase *resize_cases(void)
{
    TCase *tc = tcase_create("resize");
    tcase_add_test(tc, test_formula);
    tcase_add_test(tc, test_axes);
    tcase_add_test(tc, test_aspect);
    tcase_add_test(tc, test_rounded_scale);
    tcase_add_test(tc, test_resize_threads);
    return tc;
}
