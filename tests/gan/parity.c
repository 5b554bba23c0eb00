/* SPDX-License-Identifier: MIT */
/* Against PyTorch in float64 (tests/golden/make_gan.py).  Built twice: in float, where the first
 * step is compared (training such nets is chaotic), and over doubles, where ten steps are.
 *     test_gan_parity [file width]      another file of that script, by hand */
#include "gan/gan.h"
#include "support.h"

#include <math.h>

#ifdef EVI_REAL_DOUBLE
#define TOLERANCE 1e-6
#define PRECISION "double"
#else
#define TOLERANCE 1e-4
#define PRECISION "float"
#endif
#define FORWARD_TOLERANCE 1e-5

enum { SIZE = 64, BLOCKS = 6, POOL = 3, EACH = 7, MOST_VALUES = 100000 };

static const char *golden_file = T_GOLDEN "/gan.txt";
static int32_t golden_width = 4;

/* ---- as the script does ---------------------------------------------------------------------- */

static double next(uint32_t *x)
{
    *x = *x * 1664525u + 1013904223u;
    return (double)(*x >> 8) / 8388608.0 - 1.0;
}

static double power(double x)
{
    double p = 1;
    while (p > x)
        p /= 2;
    while (p * 2 <= x)
        p *= 2;
    return p;
}

static bool is_scale(const evi_param *p)
{
    size_t n = strlen(p->name);
    return n > 6 && strcmp(p->name + n - 6, ".scale") == 0;
}

static void fill(ev_model *model, uint32_t seed)
{
    evi_store *store = model->store;
    for (int32_t i = 0; i < store->n_params; i++) {
        const evi_param *p = &store->params[i];
        uint32_t x = seed + (uint32_t)i;
        double scale = 0.0625, plus = 0;
        if (p->shape.rank > 1)
            scale = power(sqrt(6.0 / (double)(p->count / p->shape.dim[0])));
        if (is_scale(p)) {
            scale = 0.25;
            plus = 1;
        }
        for (int64_t k = 0; k < p->count; k++)
            store->weights[p->offset + k] = (evi_real)(plus + next(&x) * scale);
    }
    t_ok(ev_model_touch(model));
}

static ev_tensor *picture(ev_context *ctx, uint32_t seed)
{
    const int64_t dims[4] = {1, 3, SIZE, SIZE};
    ev_tensor *t = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &t));
    evi_real *to = ev_tensor_data(t);
    for (int64_t i = 0; i < ev_tensor_count(t); i++)
        to[i] = (evi_real)next(&seed);
    return t;
}

static double *golden(const char *name, int64_t *n_out)
{
    FILE *in = fopen(golden_file, "r");
    char word[64];
    long n = 0;
    ck_assert_msg(in != NULL, "no %s", golden_file);
    while (fscanf(in, "%63s %ld", word, &n) == 2) {
        double *values = malloc((size_t)n * sizeof(double));
        for (long i = 0; i < n; i++)
            ck_assert_int_eq(fscanf(in, "%lf", &values[i]), 1);
        if (strcmp(word, name) == 0) {
            fclose(in);
            *n_out = n;
            return values;
        }
        free(values);
    }
    ck_abort_msg("no '%s' in %s", name, golden_file);
    return NULL;
}

static double difference(const double *have, const double *want, int64_t n)
{
    double worst = 0, peak = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs(have[i] - want[i]);
        worst = isnan(d) ? HUGE_VAL : fmax(worst, d);
        peak = fmax(peak, fabs(want[i]));
    }
    return worst / peak;
}

static void told(const char *variant, const char *what, double error, double tolerance)
{
    printf("%-6s %-9s %-28s %.2e (at most %.0e)\n", PRECISION, variant, what, error, tolerance);
    fflush(stdout);
    ck_assert_msg(error <= tolerance, "%s: %g is above %g", what, error, tolerance);
}

/* ---- the two variants ------------------------------------------------------------------------ */

typedef struct style {
    const char *name;
    ev_generator_options g;
    ev_discriminator_options d;
    ev_cyclegan_options o;
} style;

static void choose(style *v, int32_t number)
{
    *v = (style){.name = number == 0 ? "reference" : "authors"};
    EV_OPTIONS_INIT(&v->g);
    EV_OPTIONS_INIT(&v->d);
    EV_OPTIONS_INIT(&v->o);
    v->g.base_width = v->d.base_width = golden_width;
    v->g.n_blocks = BLOCKS;
    if (number == 1) {
        v->g.merge = EV_MERGE_CONCAT;
        v->g.padding = -1;
        v->g.affine = v->g.norm_last = 1;
        v->d.authors = 1;
        v->o.order = EV_ORDER_AUTHORS;
    }
    v->o.width = SIZE;
    v->o.pool_size = POOL;
    v->o.generator = &v->g;
    v->o.discriminator = &v->d;
    v->o.precise = 1;
}

/* A bias before an instance norm has no gradient but rounding: left out. */
static bool counts(const evi_store *store, int32_t i)
{
    size_t n = strlen(store->params[i].name);
    bool bias = n > 5 && strcmp(store->params[i].name + n - 5, ".bias") == 0;
    bool end = i == store->n_params - 1;
    bool first_of_judge = i == 1 && store->params[0].shape.dim[2] == 4;
    return !bias || end || first_of_judge;
}

static void check_weights(const char *variant, ev_model *model, const char *what)
{
    char name[64];
    int64_t n = 0;
    int32_t at = 0;
    const evi_store *store = model->store;
    double have[4096];
    (void)snprintf(name, sizeof(name), "%s_%s", variant, what);
    double *want = golden(name, &n);
    ck_assert_int_le(n, 4096);
    for (int32_t i = 0; i < store->n_params; i++) {
        const evi_param *p = &store->params[i];
        for (int64_t k = 0; k < EACH && counts(store, i) && at < n; k++)
            have[at++] = (double)store->weights[p->offset + k * p->count / EACH];
    }
    ck_assert_int_eq(at, n);
    told(variant, name, difference(have, want, n), TOLERANCE);
    free(want);
}

/* ---- forward --------------------------------------------------------------------------------- */

static void check_forward(ev_context *ctx, const char *variant, ev_model *model, uint32_t seed,
                          const char *what, int64_t every)
{
    char name[64];
    ev_plan_options p;
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    int64_t n = 0;
    ev_tensor *x = picture(ctx, 30000);
    const ev_tensor *in[1] = {x};
    fill(model, seed);
    EV_OPTIONS_INIT(&p);
    p.precise = 1;
    t_ok(ev_plan_create(ctx, model, &p, &plan));
    t_ok(ev_session_create(plan, &session));
    t_ok(ev_session_run(session, in, 1, NULL, 0));
    const ev_tensor *y = ev_session_output(session, 0);
    const evi_real *from = ev_tensor_data(y);
    (void)snprintf(name, sizeof(name), "%s_%s", variant, what);
    double *want = golden(name, &n), *have = malloc((size_t)n * sizeof(double));
    ck_assert_int_eq(n, (ev_tensor_count(y) + every - 1) / every);
    for (int64_t i = 0; i < n; i++)
        have[i] = (double)from[i * every];
    told(variant, what, difference(have, want, n), FORWARD_TOLERANCE);
    free(want);
    free(have);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    ev_tensor_destroy(x);
}

START_TEST(forward)
{
    ev_context *ctx = t_context(NULL, 1);
    style v;
    ev_model *g = NULL, *d = NULL;
    choose(&v, _i);
    v.g.image_width = v.d.image_width = SIZE;
    t_ok(ev_zoo_generator(ctx, &v.g, &g));
    t_ok(ev_zoo_discriminator(ctx, &v.d, &d));
    t_ok(ev_model_init(g, 1));
    t_ok(ev_model_init(d, 1));
    check_forward(ctx, v.name, g, 10000, "generator", 61);
    check_forward(ctx, v.name, d, 20000, "discriminator", 1);
    ev_model_destroy(g);
    ev_model_destroy(d);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- steps ----------------------------------------------------------------------------------- */

/* The worst of the eight losses of a step, each by itself. */
static double losses_error(const ev_cyclegan_losses *l, const double *want)
{
    const double have[8] = {l->d_a, l->g_a, l->cycle_a, l->idt_a,
                            l->d_b, l->g_b, l->cycle_b, l->idt_b};
    double worst = 0;
    for (int32_t i = 0; i < 8; i++)
        worst = fmax(worst, fabs(have[i] - want[i]) / fabs(want[i]));
    return worst;
}

static void check_networks(ev_cyclegan *gan, const char *variant, int32_t step)
{
    char name[32];
    for (int32_t side = 0; side < 2; side++) {
        (void)snprintf(name, sizeof(name), "%d_g%d", (int)step, (int)side);
        check_weights(variant, gan->nets.generators[side], name);
        (void)snprintf(name, sizeof(name), "%d_d%d", (int)step, (int)side);
        check_weights(variant, gan->nets.discriminators[side], name);
    }
}

START_TEST(steps)
{
    ev_context *ctx = t_context(NULL, 2);
    style v;
    ev_cyclegan *gan = NULL;
    ev_cyclegan_losses l;
    int64_t n = 0;
    char name[64];
    choose(&v, _i);
    EV_OPTIONS_INIT(&l);
    t_ok(ev_cyclegan_create(ctx, NULL, NULL, &v.o, &gan));
    for (int32_t side = 0; side < 2; side++) {
        fill(gan->nets.generators[side], 10000 + 1000 * (uint32_t)side);
        fill(gan->nets.discriminators[side], 20000 + 1000 * (uint32_t)side);
    }
    (void)snprintf(name, sizeof(name), "%s_losses", v.name);
    double *want = golden(name, &n);
    int32_t n_steps = (int32_t)n / 8, n_compared = sizeof(evi_real) == 8 ? n_steps : 1;
    double worst = 0;
    for (int32_t i = 0; i < n_compared; i++) {
        uint32_t seed = 30000 + 2 * ((uint32_t)i % 4);
        ev_tensor *a = picture(ctx, seed), *b = picture(ctx, seed + 1);
        t_ok(ev_cyclegan_step(gan, a, b, &l));
        worst = fmax(worst, losses_error(&l, want + 8 * i));
        ev_tensor_destroy(a);
        ev_tensor_destroy(b);
        if (i == 0)
            told(v.name, "losses of the first step", worst, TOLERANCE);
        if (i == 0)
            check_networks(gan, v.name, 1);
    }
    told(v.name, "losses of all steps", worst, TOLERANCE);
    if (n_compared == n_steps)
        check_networks(gan, v.name, n_steps);
    free(want);
    ev_cyclegan_destroy(gan);
    ev_context_destroy(ctx);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cyclegan: against PyTorch");
    TCase *c = tcase_create("parity");
    tcase_set_timeout(c, 0);
    tcase_add_loop_test(c, forward, 0, 2);
    tcase_add_loop_test(c, steps, 0, 2);
    suite_add_tcase(s, c);
    return s;
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        golden_file = argv[1];
        golden_width = (int32_t)atoi(argv[2]);
    }
    return t_run(suite());
}
