/* SPDX-License-Identifier: MIT */
/* Elementwise operations, comparisons and reductions against plain loops. */
#include "plain.h"

#include <math.h>

/* ---- two inputs, broadcast ------------------------------------------------------------------ */

typedef struct pair_case {
    const char *op;
    double (*fn)(double a, double b);
    bool real_only;
} pair_case;

static double add(double a, double b)
{
    return a + b;
}
static double sub(double a, double b)
{
    return a - b;
}
static double mul(double a, double b)
{
    return a * b;
}
static double divide(double a, double b)
{
    return a / b;
}
static double bigger(double a, double b)
{
    return a > b ? a : b;
}
static double smaller(double a, double b)
{
    return a < b ? a : b;
}
static double equal(double a, double b)
{
    return a == b;
}
static double greater(double a, double b)
{
    return a > b;
}
static double less(double a, double b)
{
    return a < b;
}
static double at_least(double a, double b)
{
    return a >= b;
}
static double at_most(double a, double b)
{
    return a <= b;
}

static const pair_case pairs[] = {
    {"add", add, false},
    {"sub", sub, false},
    {"mul", mul, false},
    {"div", divide, false},
    {"max", bigger, false},
    {"min", smaller, false},
    {"equal", equal, false},
    {"greater", greater, false},
    {"less", less, false},
    {"greater_or_equal", at_least, false},
    {"less_or_equal", at_most, false},
};

/* What a number becomes in an element of this type. */
static double wrapped(double v, int32_t type)
{
    switch (type) {
    case EV_TYPE_INT8: return (int8_t)(int64_t)v;
    case EV_TYPE_UINT8: return (uint8_t)(int64_t)v;
    case EV_TYPE_INT32:
    case EV_TYPE_INT64: return trunc(v);
    default: return v;
    }
}

static void some_ones(evi_shape *s, uint64_t *r)
{
    int32_t drop = t_random_int(r, 0, 3) == 0 ? t_random_int(r, 0, s->rank) : 0;
    for (int32_t d = 0; d < s->rank; d++)
        if (t_random_int(r, 0, 2) == 0)
            s->dim[d] = 1;
    for (int32_t d = drop; d < s->rank; d++)
        s->dim[d - drop] = s->dim[d];
    s->rank -= drop;
}

static void check_pair(const pair_case *c, uint64_t *r)
{
    one_step o;
    evi_shape full = random_shape(r, 0, 5, 5), a = full, b = full;
    int32_t type = random_type(r);
    some_ones(&a, r);
    some_ones(&b, r);
    one_start(&o, c->op);
    one_input(&o, type, a.rank, a.dim);
    one_input(&o, type, b.rank, b.dim);
    run_one(&o, r, NULL);
    for (int64_t i = 0; i < one_count_out(&o, 0); i++) {
        int64_t index[EV_MAX_RANK];
        const evi_shape *y = &o.out_edge[0].shape;
        unravel(y, i, index);
        double x = in_number(&o, 0, ravel(&a, index, y->rank));
        double z = in_number(&o, 1, ravel(&b, index, y->rank));
        double want = c->fn == divide && z == 0 && type != EV_TYPE_FLOAT32 ? 0 : c->fn(x, z);
        expect(&o, i, wrapped(want, o.out_edge[0].type), 2e-7 * fabs(want));
    }
    one_end(&o);
}

START_TEST(test_broadcast)
{
    uint64_t r = 11;
    for (int32_t k = 0; k < 300; k++)
        check_pair(&pairs[_i], &r);
}
END_TEST

/* Sizes at which work is cut into tasks and segments. */
START_TEST(test_large)
{
    static const int64_t shapes[][2][4] = {{{3, 70, 50, 9}, {1, 70, 1, 1}},
                                           {{1, 1, 3, 40001}, {1, 1, 1, 40001}},
                                           {{1, 1, 1, 50007}, {1, 1, 1, 1}},
                                           {{2, 1, 300, 601}, {2, 7, 1, 601}},
                                           {{5, 60, 7, 33}, {5, 60, 7, 33}}};
    static const char *const ops[] = {"add", "sub", "mul", "div"};
    uint64_t r = 5;
    for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
        one_step o;
        one_start(&o, ops[_i]);
        one_real(&o, 4, shapes[k][0]);
        one_real(&o, 4, shapes[k][1]);
        same_on_threads(&o, &r);
        const evi_shape *y = &o.out_edge[0].shape;
        for (int64_t i = 0; i < one_count_out(&o, 0); i++) {
            int64_t index[EV_MAX_RANK];
            unravel(y, i, index);
            double x = in_number(&o, 0, ravel(&o.in_edge[0].shape, index, 4));
            double z = in_number(&o, 1, ravel(&o.in_edge[1].shape, index, 4));
            double want = pairs[_i].fn(x, z);
            expect(&o, i, want, 2e-7 * fabs(want));
        }
        one_end(&o);
    }
}
END_TEST

/* The gradient of a bias over many pictures: sums are exact to the last bits of a float. */
START_TEST(test_bias_gradient)
{
    uint64_t r = 9;
    one_step o;
    one_start(&o, "add");
    one_real(&o, 4, (int64_t[]){64, 5, 30, 31});
    one_real(&o, 3, (int64_t[]){5, 1, 1});
    same_on_threads(&o, &r);
    for (int64_t c = 0; c < 5; c++) {
        double sum = 0;
        for (int64_t i = 0; i < 64 * 930; i++) {
            double g = (double)o.out[0]->grad[(i / 930 * 5 + c) * 930 + i % 930];
            sum += g;
        }
        ck_assert_double_le(fabs((double)o.in[1]->grad[c] - sum), 1e-7 * (1 + fabs(sum)));
    }
    one_end(&o);
}
END_TEST

/* ---- one input ------------------------------------------------------------------------------ */

typedef struct unary_case {
    const char *op;
    double (*fn)(double x);
    double tolerance;
} unary_case;

static double relu(double x)
{
    return isnan(x) || x > 0 ? x : 0;
}
static double leaky(double x)
{
    return x > 0 ? x : 0.25 * x;
}
static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static double hard_swish(double x)
{
    return x * fmin(fmax(x / 6 + 0.5, 0), 1);
}
static double hard_sigmoid(double x)
{
    return isnan(x) ? x : fmin(fmax(0.25 * x + 0.5, 0), 1);
}
static double clipped(double x)
{
    return isnan(x) ? x : fmin(fmax(x, 0.25), 0.5);
}
static double minus(double x)
{
    return -x;
}
static double inverse(double x)
{
    return 1 / x;
}
static double sign(double x)
{
    return isnan(x) ? x : (x > 0) - (x < 0);
}
static double gelu(double x)
{
    return 0.5 * x * (1 + erf(x / sqrt(2)));
}
static double elu(double x)
{
    return x > 0 ? x : 0.25 * expm1(x);
}
static double selu(double x)
{
    return 0.5 * (x > 0 ? x : 0.25 * expm1(x));
}
static double softplus(double x)
{
    return x > 40 ? x : log1p(exp(x));
}
static double softsign(double x)
{
    return x / (1 + fabs(x));
}

static const unary_case unaries[] = {
    {"relu", relu, 0},
    {"leaky_relu", leaky, 1e-7},
    {"sigmoid", sigmoid, 3e-7},
    {"tanh", tanh, 3e-7},
    {"hard_swish", hard_swish, 4e-7},
    {"hard_sigmoid", hard_sigmoid, 3e-7},
    {"clip", clipped, 0},
    {"sqrt", sqrt, 2e-7},
    {"exp", exp, 3e-7},
    {"log", log, 3e-7},
    {"neg", minus, 0},
    {"abs", fabs, 0},
    {"reciprocal", inverse, 2e-7},
    {"sign", sign, 0},
    {"floor", floor, 0},
    {"ceil", ceil, 0},
    {"round", nearbyint, 0},
    {"sin", sin, 3e-7},
    {"cos", cos, 3e-7},
    {"erf", erf, 3e-7},
    {"gelu", gelu, 1e-6},
    {"elu", elu, 3e-7},
    {"selu", selu, 3e-7},
    {"softplus", softplus, 4e-7},
    {"softsign", softsign, 3e-7},
};

START_TEST(test_unary)
{
    static const float special[] = {0,   -0.0f,    1,         -1,  0.5f,   1.5f,    2.5f, -2.5f, 30,
                                    -30, INFINITY, -INFINITY, NAN, 1e-30f, -1e-30f, 3,    -3};
    const unary_case *c = &unaries[_i];
    uint64_t r = 3;
    one_step o;
    one_start(&o, c->op);
    o.a.alpha = 0.25f;
    o.a.beta = 0.5f;
    one_real(&o, 3, (int64_t[]){3, 7, 1201});
    t_ok(one_plan(&o, false, test_kernels(), 3));
    fill_numbers(&o, &r);
    memcpy(o.in[0]->data, special, sizeof(special));
    one_forward(&o, NULL);
    for (int64_t i = 0; i < one_count_out(&o, 0); i++) {
        double x = in_number(&o, 0, i), want = c->fn(x);
        if (isinf(x) && isnan(want))
            continue; /* infinity times 0: as the formula is written */
        expect(&o, i, want, c->tolerance * fmax(1, fabs(want)));
    }
    one_end(&o);
}
END_TEST

START_TEST(test_integers)
{
    one_step o;
    static const int32_t types[] = {EV_TYPE_INT8, EV_TYPE_UINT8, EV_TYPE_INT32, EV_TYPE_INT64};
    uint64_t r = 4;
    for (int32_t t = 0; t < 4; t++) {
        one_start(&o, "clip");
        one_input(&o, types[t], 1, (int64_t[]){500});
        one_absent(&o);
        one_input(&o, types[t], 0, NULL);
        o.a.alpha = -2;
        run_one(&o, &r, NULL);
        double most = in_number(&o, 2, 0), low = fmin(-2, most);
        for (int64_t i = 0; i < 500; i++)
            expect(&o, i, fmin(fmax(in_number(&o, 0, i), low), most), 0);
        one_end(&o);
        one_start(&o, "abs");
        one_input(&o, types[t], 1, (int64_t[]){500});
        run_one(&o, &r, NULL);
        for (int64_t i = 0; i < 500; i++)
            expect(&o, i, fabs(in_number(&o, 0, i)), 0);
        one_end(&o);
    }
}
END_TEST

START_TEST(test_prelu_where_pow)
{
    uint64_t r = 6;
    for (int32_t k = 0; k < 400; k++) {
        one_step o;
        evi_shape full = random_shape(&r, 1, 4, 5), s = full, t = full;
        static const char *const names[] = {"prelu", "where", "pow"};
        int32_t which = k % 3;
        some_ones(&s, &r);
        some_ones(&t, &r);
        one_start(&o, names[which]);
        if (which == 1)
            one_input(&o, EV_TYPE_BOOL, full.rank, full.dim);
        else
            one_real(&o, full.rank, full.dim);
        one_real(&o, s.rank, s.dim);
        if (which == 1)
            one_real(&o, t.rank, t.dim);
        run_one(&o, &r, NULL);
        for (int64_t i = 0; i < one_count_out(&o, 0); i++) {
            int64_t index[EV_MAX_RANK];
            unravel(&full, i, index);
            double x = in_number(&o, 0, i), a = in_number(&o, 1, ravel(&s, index, full.rank));
            double want = which == 0 ? (x > 0 ? x : a * x) : pow(x, a);
            if (which == 1)
                want = x != 0 ? a : in_number(&o, 2, ravel(&t, index, full.rank));
            expect(&o, i, want, 2e-7 * fabs(want));
        }
        one_end(&o);
    }
}
END_TEST

/* NaN is neither lost in a maximum nor in a clip. */
START_TEST(test_nan)
{
    static const char *const ops[] = {"max", "min", "add", "sub", "mul", "div"};
    for (int32_t k = 0; k < EVI_COUNT(ops); k++) {
        for (int32_t side = 0; side < 2; side++) {
            one_step o;
            one_start(&o, ops[k]);
            one_real(&o, 1, (int64_t[]){40});
            one_real(&o, 1, (int64_t[]){40});
            t_ok(one_plan(&o, false, test_kernels(), 1));
            for (int32_t i = 0; i < 40; i++) {
                one_in(&o, 0)[i] = side == 0 ? (evi_real)NAN : 1;
                one_in(&o, 1)[i] = side == 1 ? (evi_real)NAN : 1;
            }
            one_forward(&o, NULL);
            for (int32_t i = 0; i < 40; i++)
                ck_assert(isnan((double)one_out(&o, 0)[i]));
            one_end(&o);
        }
    }
}
END_TEST

/* Limits that a type cannot hold leave its values alone, or are its ends. */
START_TEST(test_clip_far)
{
    static const struct {
        float lo, hi;
        int8_t want;
    } cases[] = {{-1e30f, 1e30f, 5}, {1e30f, 2e30f, 127}, {-2e30f, -1e30f, -128}};
    for (int32_t i = 0; i < EVI_COUNT(cases); i++) {
        one_step o;
        one_start(&o, "clip");
        one_input(&o, EV_TYPE_INT8, 1, (int64_t[]){3});
        o.a.alpha = cases[i].lo;
        o.a.beta = cases[i].hi;
        t_ok(one_plan(&o, false, test_kernels(), 1));
        for (int32_t q = 0; q < 3; q++)
            ((int8_t *)o.in[0]->data)[q] = 5;
        one_forward(&o, NULL);
        for (int32_t q = 0; q < 3; q++)
            ck_assert_int_eq(((const int8_t *)o.out[0]->data)[q], cases[i].want);
        one_end(&o);
    }
}
END_TEST

/* ---- reductions ----------------------------------------------------------------------------- */

typedef struct reduction {
    const char *op;
    double start;
    double (*before)(double x);
    double (*fold)(double a, double b);
    double (*after)(double x, double n);
} reduction;

static double square(double x)
{
    return x * x;
}
static double mean(double x, double n)
{
    return x / n;
}
static double root(double x, double n)
{
    return n > 0 ? sqrt(x) : 0;
}
static double logarithm(double x, double n)
{
    return n > 0 ? log(x) : 0;
}

static const reduction reductions[] = {
    {"reduce_mean", 0, NULL, add, mean},
    {"reduce_sum", 0, NULL, add, NULL},
    {"reduce_max", -INFINITY, NULL, bigger, NULL},
    {"reduce_min", INFINITY, NULL, smaller, NULL},
    {"reduce_prod", 1, NULL, mul, NULL},
    {"reduce_l1", 0, fabs, add, NULL},
    {"reduce_l2", 0, square, add, root},
    {"reduce_sum_square", 0, square, add, NULL},
    {"reduce_log_sum_exp", 0, exp, add, logarithm},
};

static void check_reduction(const reduction *c, evi_shape x, uint32_t mask, uint64_t *r, bool keep)
{
    one_step o;
    static double want[16384], count[16384];
    evi_shape kept = x;
    one_start(&o, c->op);
    one_real(&o, x.rank, x.dim);
    o.a.keep_dims = keep;
    o.a.list.set = 1;
    for (int32_t d = 0; d < x.rank; d++)
        if (mask >> d & 1) {
            kept.dim[d] = 1;
            o.a.list.v[o.a.list.n++] = d % 2 ? d : d - x.rank;
        }
    o.a.flag = 1; /* no axes: none */
    run_one(&o, r, NULL);
    int64_t n = evi_shape_count(&kept);
    ck_assert_int_eq(n, one_count_out(&o, 0));
    ck_assert_int_eq(o.out_edge[0].shape.rank, keep ? x.rank : x.rank - o.a.list.n);
    ck_assert_int_le(n, EVI_COUNT(want));
    for (int64_t i = 0; i < n; i++) {
        want[i] = c->start;
        count[i] = 0;
    }
    for (int64_t i = 0; i < evi_shape_count(&x); i++) {
        int64_t index[EV_MAX_RANK];
        unravel(&x, i, index);
        int64_t to = ravel(&kept, index, x.rank);
        double v = in_number(&o, 0, i);
        want[to] = c->fold(want[to], c->before == NULL ? v : c->before(v));
        count[to]++;
    }
    for (int64_t i = 0; i < n; i++) {
        double v = c->after == NULL ? want[i] : c->after(want[i], count[i]);
        expect(&o, i, v, 1e-6 * fmax(fabs(v), 1e-2));
    }
    one_end(&o);
}

START_TEST(test_reduce)
{
    uint64_t r = 8;
    for (int32_t k = 0; k < 200; k++) {
        evi_shape x = random_shape(&r, 0, 5, 5);
        check_reduction(&reductions[_i], x, t_random(&r) & ((1u << x.rank) - 1), &r, k & 1);
    }
    evi_shape large = shape_of(3, (int64_t[]){7, 501, 30});
    for (uint32_t mask = 1; mask < 8; mask++)
        check_reduction(&reductions[_i], large, mask, &r, mask & 1);
}
END_TEST

START_TEST(test_reduce_threads)
{
    static const int64_t axes[][2] = {{1, 2}, {0, 2}, {0, 1}, {2, 1}};
    uint64_t r = 2;
    for (int32_t k = 0; k < 4; k++) {
        one_step o;
        one_start(&o, k % 2 ? "reduce_mean" : "reduce_sum_square");
        one_real(&o, 3, (int64_t[]){70, 41, 333});
        o.a.list = list_of(1 + k / 2, axes[k]);
        same_on_threads(&o, &r);
        one_end(&o);
    }
}
END_TEST

TCase *element_cases(void)
{
    TCase *tc = tcase_create("element");
    tcase_add_loop_test(tc, test_broadcast, 0, EVI_COUNT(pairs));
    tcase_add_loop_test(tc, test_large, 0, 4);
    tcase_add_test(tc, test_bias_gradient);
    tcase_add_loop_test(tc, test_unary, 0, EVI_COUNT(unaries));
    tcase_add_test(tc, test_integers);
    tcase_add_test(tc, test_prelu_where_pow);
    tcase_add_test(tc, test_nan);
    tcase_add_test(tc, test_clip_far);
    tcase_add_loop_test(tc, test_reduce, 0, EVI_COUNT(reductions));
    tcase_add_test(tc, test_reduce_threads);
    return tc;
}
