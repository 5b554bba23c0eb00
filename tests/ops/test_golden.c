/* SPDX-License-Identifier: MIT */
/* Every operation against what PyTorch computes in float64, with every kernel set that this
 * processor has: forward within 4e-6 of the largest value, gradients within 1e-5; and the same bits
 * on 1 and 3 threads, and fused activations. */
#include "golden_file.h"
#include "support.h"

#include <math.h>

#ifndef T_GOLDEN
#define T_GOLDEN "tests/golden/ops.bin"
#endif

static const double forward_limit = 4e-6, gradient_limit = 1e-5;

typedef struct worst_of { /* of one operation and kernel set */
    const char *op;
    double forward, gradient;
} worst_of;

static double number_at(const expected *e, int64_t i)
{
    float value;
    memcpy(&value, e->numbers + 4 * i, 4);
    return (double)value;
}

static double got_at(const golden_case *c, const expected *e, int64_t element)
{
    const one_step *o = &c->step;
    if (e->kind == EXPECT_GRAD)
        return (double)o->in[e->index]->grad[element];
    const evi_view *v = e->kind == EXPECT_OUT ? o->out[e->index] : o->in[e->index];
    if (v->type == EV_TYPE_INT64)
        return (double)((const int64_t *)v->data)[element];
    return (double)((const evi_real *)v->data)[element];
}

/* Largest error as a share of the largest value. */
static double error_of(const golden_case *c, const expected *e, const char *kernels)
{
    double worst = 0, limit = e->kind == EXPECT_GRAD ? gradient_limit : forward_limit;
    static const char *const names[] = {"output", "gradient of input", "new value of input"};
    for (int64_t i = 0; i < e->n; i++) {
        double got = got_at(c, e, i * e->stride), want = number_at(e, i);
        double error = fabs(got - want) / (e->peak > 0 ? e->peak : 1);
        if (!(error <= limit))
            ck_abort_msg("case %d, %s with %s: %s %d, element %lld is %.9g, PyTorch gives %.9g "
                         "(%.2g of the peak %.3g)",
                         c->line, c->step.op->name, kernels, names[e->kind], e->index,
                         (long long)(i * e->stride), got, want, error, e->peak);
        worst = EVI_MAX(worst, error);
    }
    return worst;
}

static bool has_gradients(const golden_case *c)
{
    for (int32_t i = 0; i < c->n_expected; i++)
        if (c->expected[i].kind == EXPECT_GRAD)
            return true;
    return false;
}

/* What the pass wrote, as one number: enough to compare bits. */
static uint64_t bits_of(const one_step *o)
{
    uint64_t sum = 0xCBF29CE484222325u;
    for (int32_t i = 0; i < o->n_in + o->n_out; i++) {
        const evi_view *v = i < o->n_in ? o->in[i] : o->out[i - o->n_in];
        const unsigned char *p = v == NULL ? NULL : i < o->n_in ? (void *)v->grad : v->data;
        uint64_t n = p == NULL ? 0 : (uint64_t)evi_shape_count(&v->shape);
        for (uint64_t b = 0; b < n * (uint64_t)evi_type_bytes(v->type); b++)
            sum = (sum ^ p[b]) * 0x100000001B3u;
    }
    return sum;
}

static void run(golden_case *c, bool training, const evi_kernels *k, evi_crew *crew)
{
    t_ok(one_plan(&c->step, training, k, 3));
    c->step.s.precise = 1;
    golden_fill(c);
    one_pack(&c->step);
    one_forward(&c->step, crew);
    if (training && has_gradients(c))
        one_backward(&c->step, crew, true);
}

/* With an activation fused, the step gives what the activation makes of its plain output. */
static void check_fused(golden_case *c, const evi_kernels *k)
{
    static const struct {
        int32_t kind;
        float a, b;
    } acts[] = {{EVK_ACT_RELU, 0, 0},
                {EVK_ACT_CLIP, 0, 6},
                {EVK_ACT_LEAKY, 0.2f, 0},
                {EVK_ACT_SIGMOID, 0, 0},
                {EVK_ACT_TANH, 0, 0},
                {EVK_ACT_HARDSWISH, 0, 0},
                {EVK_ACT_HARDSIGMOID, 0.2f, 0.5f}};
    one_step *o = &c->step;
    if (!(o->op->traits & EVI_OP_FUSES_ACT))
        return;
    run(c, false, k, NULL);
    int64_t n = one_count_out(o, 0);
    evi_real *plain = one_memory((uint64_t)n * sizeof(evi_real));
    memcpy(plain, o->out[0]->data, (size_t)n * sizeof(evi_real));
    for (int32_t i = 0; i < EVI_COUNT(acts); i++) {
        evk_act act = {.kind = acts[i].kind, .a = acts[i].a, .b = acts[i].b};
        o->s.act = acts[i].kind;
        o->s.act_alpha = acts[i].a;
        o->s.act_beta = acts[i].b;
        memset(o->out[0]->data, 0xFF, (size_t)n * sizeof(evi_real));
        one_forward(o, NULL);
        for (int64_t e = 0; e < n; e++) {
            evi_real want, got = one_out(o, 0)[e];
            k->act(1, plain + e, 0, &act, &want);
            if (!(fabs((double)(got - want)) <= 1e-6 * (1 + fabs((double)want))))
                ck_abort_msg("case %d, %s with %s: activation %d fused gives %.9g, not %.9g",
                             c->line, o->op->name, k->name, acts[i].kind, (double)got,
                             (double)want);
        }
    }
    free(plain);
    one_end(o);
}

/* In inference a picture has the same bits alone as in the batch. */
static void check_alone(golden_case *c, const evi_kernels *k)
{
    static const char *const batched[] = {
        "conv2d",          "conv_transpose2d",    "dense",      "max_pool2d",    "average_pool2d",
        "global_max_pool", "global_average_pool", "batch_norm", "instance_norm", "lrn"};
    one_step *o = &c->step;
    bool is_batched = false;
    for (int32_t i = 0; i < EVI_COUNT(batched); i++)
        is_batched = is_batched || strcmp(o->op->name, batched[i]) == 0;
    if (strcmp(o->op->name, "dense") == 0) /* C may have a row for each picture */
        is_batched = !o->a.trans_a && (o->n_in < 3 || o->in_edge[2].shape.rank == 1);
    int64_t n = o->in_edge[0].shape.rank > 0 ? o->in_edge[0].shape.dim[0] : 1;
    if (!is_batched || n < 2)
        return;
    run(c, false, k, NULL);
    int64_t x_size = one_count_in(o, 0) / n, y_size = one_count_out(o, 0) / n;
    evi_real *x = one_memory((uint64_t)(n * x_size) * sizeof(evi_real));
    evi_real *y = one_memory((uint64_t)(n * y_size) * sizeof(evi_real));
    memcpy(x, one_in(o, 0), (size_t)(n * x_size) * sizeof(evi_real));
    memcpy(y, one_out(o, 0), (size_t)(n * y_size) * sizeof(evi_real));
    o->in[0]->shape.dim[0] = 1;
    o->out[0]->shape.dim[0] = 1;
    for (int64_t i = 0; i < n; i++) {
        memcpy(one_in(o, 0), x + i * x_size, (size_t)x_size * sizeof(evi_real));
        one_forward(o, NULL);
        if (memcmp(one_out(o, 0), y + i * y_size, (size_t)y_size * sizeof(evi_real)) != 0)
            ck_abort_msg("case %d, %s with %s: picture %lld has other bits alone", c->line,
                         o->op->name, k->name, (long long)i);
    }
    free(x);
    free(y);
    one_end(o);
}

static void check_case(golden_case *c, const evi_kernels *k, evi_crew *crew, worst_of *worst)
{
    bool training = c->training || has_gradients(c);
    run(c, training, k, NULL);
    for (int32_t i = 0; i < c->n_expected; i++) {
        const expected *e = &c->expected[i];
        double error = error_of(c, e, k->name);
        double *place = e->kind == EXPECT_GRAD ? &worst->gradient : &worst->forward;
        *place = EVI_MAX(*place, error);
    }
    uint64_t bits = bits_of(&c->step);
    one_end(&c->step);
    run(c, training, k, crew);
    if (bits_of(&c->step) != bits)
        ck_abort_msg("case %d, %s with %s: other bits on 3 threads", c->line, c->step.op->name,
                     k->name);
    one_end(&c->step);
    if (c->training)
        return;
    run(c, false, k, crew); /* weights packed */
    for (int32_t i = 0; i < c->n_expected; i++)
        if (c->expected[i].kind == EXPECT_OUT)
            worst->forward = EVI_MAX(worst->forward, error_of(c, &c->expected[i], k->name));
    one_end(&c->step);
    check_fused(c, k);
    check_alone(c, k);
}

/* The operation's place in the table, made when it is met first. */
static worst_of *place_of(worst_of *table, const char *op)
{
    while (table->op != NULL && strcmp(table->op, op) != 0)
        table++;
    table->op = op;
    return table;
}

static const uint32_t cpu_sets[] = {0, EV_CPU_AVX2, EV_CPU_AVX2 | EV_CPU_AVX512, EV_CPU_NEON};

START_TEST(test_kernel_set)
{
    ev_context_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.n_threads = 3;
    ev_context *ctx;
    t_ok(ev_context_create(&opt, &ctx));
    if ((ev_context_cpu(ctx) & cpu_sets[_i]) != cpu_sets[_i]) {
        printf("SKIPPED: this processor lacks instruction set %u\n", cpu_sets[_i]);
        ev_context_destroy(ctx);
        return;
    }
    const evi_kernels *k = evi_kernels_for(cpu_sets[_i]);
    golden_file file;
    golden_case c;
    worst_of worst[200] = {{0}};
    evi_crew *crew = evi_crew_begin(ctx);
    golden_open(&file, T_GOLDEN);
    while (golden_next(&file, &c))
        check_case(&c, k, crew, place_of(worst, c.step.op->name));
    for (const worst_of *w = worst; w->op != NULL; w++)
        printf("%-20s %-7s forward %.1e  gradient %.1e\n", w->op, k->name, w->forward, w->gradient);
    ck_assert_int_gt(file.n_cases, 150);
    evi_crew_end(crew);
    golden_close(&file);
    ev_context_destroy(ctx);
}
END_TEST

TCase *golden_cases(void);

TCase *golden_cases(void)
{
    TCase *tc = tcase_create("golden");
    tcase_set_timeout(tc, 240);
    tcase_add_loop_test(tc, test_kernel_set, 0, EVI_COUNT(cpu_sets));
    return tc;
}
