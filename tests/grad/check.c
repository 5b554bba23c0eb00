/* SPDX-License-Identifier: MIT */
/* How one operation is checked.
 *
 * The derivative of L = sum of out * weight along one element of an input is taken by the central
 * formula of fourth order,
 *     (8 (L(h) - L(-h)) - (L(2h) - L(-2h))) / 12 h,   error h^4 L^(5) / 30,
 * with h = 2^-10.  The plain formula with h = 1e-6 has an error of rounding of about 1e-10, too
 * much to judge a gradient of 1e-4 to 1e-6 of its size; here it is 1e-13. */
#include "grad.h"

#include <math.h>

static const double step = 0x1p-10;
enum { SAMPLES = 48 }; /* elements of an input that are tried */

static double real_in(uint64_t *random, double lo, double hi)
{
    return lo + (hi - lo) * ((double)t_random(random) + 0.5) * 0x1p-32;
}

/* Values a fixed distance apart in random order, none within half of it of 0: finite differences
 * cross no corner of a maximum or an absolute value.  Inputs are shifted against each other. */
static void fill_apart(evi_real *to, int64_t n, int32_t input, uint64_t *random)
{
    const double apart = 0.02;
    for (int64_t i = 0; i < n; i++)
        to[i] = (evi_real)(((double)(i - n / 2) + 0.5 + 0.13 * input) * apart);
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)(t_random(random) % (uint32_t)(i + 1));
        evi_real kept = to[i];
        to[i] = to[j];
        to[j] = kept;
    }
}

static void fill_integers(evi_view *v, int64_t n, int32_t below, uint64_t *random)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t value = pick(random, 0, below - 1);
        if (v->type == EV_TYPE_INT64)
            ((int64_t *)v->data)[i] = value;
        else if (v->type == EV_TYPE_INT32)
            ((int32_t *)v->data)[i] = (int32_t)value;
        else
            ((uint8_t *)v->data)[i] = (uint8_t)value;
    }
}

static void fill_inputs(one_step *o, const grad_case *c, uint64_t *random)
{
    for (int32_t i = 0; i < o->n_in; i++) {
        int64_t n = one_count_in(o, i);
        if (o->in[i] == NULL)
            continue;
        bool given = o->lo[i] != 0 || o->hi[i] != 0;
        if (!one_is_real(o, i))
            fill_integers(o->in[i], n, given ? (int32_t)o->hi[i] : 2, random);
        else if ((c->flags & GRAD_KINKS) && !given)
            fill_apart(one_in(o, i), n, i, random);
        else
            for (int64_t e = 0; e < n; e++)
                one_in(o, i)[e] = (evi_real)(given ? real_in(random, o->lo[i], o->hi[i])
                                                   : real_in(random, -1.5, 1.5));
    }
}

/* ---- copies --------------------------------------------------------------------------------- */

static uint64_t view_bytes(const evi_view *v)
{
    return (uint64_t)evi_shape_count(&v->shape) * (uint64_t)evi_type_bytes(v->type);
}

static void *copy_of(const void *from, uint64_t bytes)
{
    void *to = one_memory(bytes);
    memcpy(to, from, bytes);
    return to;
}

/* What backward may not read is made NaN, as the planner may have used its memory again. */
static void poison(one_step *o, void *kept[2 * ONE_MAX])
{
    for (int32_t i = 0; i < o->n_in; i++) {
        kept[i] = NULL;
        if (o->in[i] == NULL)
            continue;
        kept[i] = copy_of(o->in[i]->data, view_bytes(o->in[i]));
        if (!((o->op->bwd_in >> i) & 1))
            memset(o->in[i]->data, 0xFF, view_bytes(o->in[i]));
    }
    for (int32_t i = 0; i < o->n_out; i++) {
        kept[ONE_MAX + i] = copy_of(o->out[i]->data, view_bytes(o->out[i]));
        if (!(o->op->traits & EVI_OP_BWD_OUT))
            memset(o->out[i]->data, 0xFF, view_bytes(o->out[i]));
    }
    if (o->s.scratch != NULL)
        memset(o->s.scratch, 0xFF, o->s.scratch_bytes);
}

static void restore(one_step *o, void *kept[2 * ONE_MAX])
{
    for (int32_t i = 0; i < o->n_in; i++) {
        if (kept[i] != NULL)
            memcpy(o->in[i]->data, kept[i], view_bytes(o->in[i]));
        free(kept[i]);
    }
    for (int32_t i = 0; i < o->n_out; i++) {
        memcpy(o->out[i]->data, kept[ONE_MAX + i], view_bytes(o->out[i]));
        free(kept[ONE_MAX + i]);
    }
}

static void backward(one_step *o, evi_crew *crew, bool first)
{
    void *kept[2 * ONE_MAX];
    poison(o, kept);
    one_backward(o, crew, first);
    restore(o, kept);
}

/* ---- the checks ----------------------------------------------------------------------------- */

/* Sum of (out - base) * weight: differences first, so that outputs that stay add no noise. */
static double loss_moved(one_step *o, const evi_real *base)
{
    double sum = 0;
    for (int64_t i = 0; i < one_count_out(o, 0); i++)
        if (!isinf(base[i])) /* the maximum of nothing */
            sum += (double)(one_out(o, 0)[i] - base[i]) * (double)o->out[0]->grad[i];
    return sum;
}

static double numeric(one_step *o, int32_t input, int64_t element, const evi_real *base)
{
    static const double at[4] = {1, -1, 2, -2}, weight[4] = {8, -8, -1, 1};
    evi_real *x = one_in(o, input) + element, kept = *x;
    double sum = 0;
    for (int32_t i = 0; i < 4; i++) {
        *x = kept + (evi_real)(at[i] * step);
        one_forward(o, NULL);
        sum += weight[i] * loss_moved(o, base);
    }
    *x = kept;
    return sum / (12 * step);
}

static double check_numbers(one_step *o, int32_t config)
{
    double worst = 0;
    evi_real *base = copy_of(one_out(o, 0), view_bytes(o->out[0]));
    for (int32_t i = 0; i < o->n_in; i++) {
        int64_t n = one_count_in(o, i), stride = n / SAMPLES + 1;
        for (int64_t e = 0; o->in[i] != NULL && o->in[i]->grad != NULL && e < n; e += stride) {
            double want = numeric(o, i, e, base), got = (double)o->in[i]->grad[e];
            double error = fabs(got - want), size = EVI_MAX(fabs(got), fabs(want));
            bool good = size > 1e-6 ? error <= 1e-6 * size : error <= 1e-9;
            if (!good)
                ck_abort_msg("%s, configuration %d: gradient of input %d, element %lld is %.12g, "
                             "finite differences give %.12g",
                             o->op->name, config, i, (long long)e, got, want);
            if (size > 1e-6)
                worst = EVI_MAX(worst, error / size);
        }
    }
    free(base);
    return worst;
}

static void same_bits(const char *what, const one_step *o, int32_t config, const void *a,
                      const void *b, uint64_t bytes)
{
    if (memcmp(a, b, bytes) != 0)
        ck_abort_msg("%s, configuration %d: %s", o->op->name, config, what);
}

/* Forward and backward on three threads give the bits of one. */
static void check_threads(one_step *o, ev_context *ctx, int32_t config)
{
    void *out = copy_of(o->out[0]->data, view_bytes(o->out[0])), *grad[ONE_MAX] = {0};
    for (int32_t i = 0; i < o->n_in; i++)
        if (o->in[i] != NULL && o->in[i]->grad != NULL)
            grad[i] = copy_of(o->in[i]->grad, (uint64_t)one_count_in(o, i) * sizeof(evi_real));
    evi_crew *crew = evi_crew_begin(ctx);
    memset(o->out[0]->data, 0xFF, view_bytes(o->out[0]));
    one_forward(o, crew);
    same_bits("other bits on 3 threads", o, config, out, o->out[0]->data, view_bytes(o->out[0]));
    if (o->op->backward != NULL)
        backward(o, crew, true);
    evi_crew_end(crew);
    for (int32_t i = 0; i < o->n_in; i++) {
        if (grad[i] != NULL)
            same_bits("other gradient bits on 3 threads", o, config, grad[i], o->in[i]->grad,
                      (uint64_t)one_count_in(o, i) * sizeof(evi_real));
        free(grad[i]);
    }
    free(out);
}

/* Writing first and adding later come to the same. */
static void check_add(one_step *o, int32_t config)
{
    evi_real *grad[ONE_MAX] = {0};
    for (int32_t i = 0; i < o->n_in; i++) {
        if (o->in[i] == NULL || o->in[i]->grad == NULL)
            continue;
        grad[i] = copy_of(o->in[i]->grad, (uint64_t)one_count_in(o, i) * sizeof(evi_real));
        for (int64_t e = 0; e < one_count_in(o, i); e++)
            o->in[i]->grad[e] = 0.5;
    }
    backward(o, NULL, false);
    for (int32_t i = 0; i < o->n_in; i++) {
        for (int64_t e = 0; grad[i] != NULL && e < one_count_in(o, i); e++) {
            double want = (double)grad[i][e] + 0.5, got = (double)o->in[i]->grad[e];
            if (!(fabs(got - want) <= 1e-12 * (1 + fabs(want))))
                ck_abort_msg("%s, configuration %d: input %d, element %lld: adding gives %.12g, "
                             "not %.12g",
                             o->op->name, config, i, (long long)e, got, want);
        }
        if (grad[i] != NULL)
            memcpy(o->in[i]->grad, grad[i], (uint64_t)one_count_in(o, i) * sizeof(evi_real));
        free(grad[i]);
    }
}

/* Operations that say so may write over their input, and their gradient over the output's. */
static void check_in_place(one_step *o, int32_t config)
{
    if (!(o->op->traits & EVI_OP_INPLACE) || view_bytes(o->in[0]) != view_bytes(o->out[0]))
        return;
    uint64_t bytes = view_bytes(o->out[0]);
    void *x = copy_of(o->in[0]->data, bytes), *own = o->out[0]->data;
    evi_real *dy = o->out[0]->grad, *dx = o->in[0]->grad;
    o->out[0]->data = o->in[0]->data;
    one_forward(o, NULL);
    same_bits("other bits in place", o, config, own, o->out[0]->data, bytes);
    if (dx != NULL && dy != NULL && o->op->backward != NULL) {
        o->in[0]->grad = copy_of(dy, bytes);
        o->out[0]->grad = o->in[0]->grad;
        one_backward(o, NULL, true);
        same_bits("other gradient bits in place", o, config, dx, o->in[0]->grad, bytes);
        free(o->in[0]->grad);
        o->in[0]->grad = dx;
        o->out[0]->grad = dy;
    }
    memcpy(o->in[0]->data, x, bytes);
    o->out[0]->data = own;
    free(x);
}

static void check_channels(const one_step *o, int32_t config)
{
    static evi_coupling c;
    memset(&c, 0, sizeof(c));
    if (o->op->channels == NULL)
        return;
    o->op->channels(&o->a, o->in_edge, o->n_in, o->out_edge, o->n_out, &c);
    int64_t size[EVI_MAX_SLICES];
    for (int32_t i = 0; i < EVI_MAX_SLICES; i++)
        size[i] = -1;
    for (int32_t i = 0; i < c.n; i++) {
        const evi_slice *l = &c.slice[i];
        int32_t which = l->operand >= 0 ? l->operand : ~l->operand;
        bool fits = l->operand >= 0 ? which < o->n_in : which < o->n_out;
        const evi_edge *e = l->operand >= 0 ? &o->in_edge[which] : &o->out_edge[which];
        fits = fits && e->type != 0 && l->axis >= 0 && l->axis < e->shape.rank && l->offset >= 0 &&
               l->count >= 0 && l->block >= 1 && l->set >= 0 && l->set < c.n_sets &&
               l->offset + l->count * l->block <= e->shape.dim[l->axis];
        if (!fits)
            ck_abort_msg("%s, configuration %d: slice %d (operand %d, axis %d, %lld + %lld x %lld) "
                         "does not fit",
                         o->op->name, config, i, l->operand, l->axis, (long long)l->offset,
                         (long long)l->count, (long long)l->block);
        if (size[l->set] >= 0 && size[l->set] != l->count)
            ck_abort_msg("%s, configuration %d: set %d has slices of %lld and %lld channels",
                         o->op->name, config, l->set, (long long)size[l->set], (long long)l->count);
        size[l->set] = l->count;
    }
}

static void close_to(const one_step *o, int32_t config, const char *what, const evi_real *got,
                     const evi_real *want, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (got[i] != want[i] &&
            !(fabs((double)(got[i] - want[i])) <= 1e-12 * (1 + fabs((double)want[i]))))
            ck_abort_msg("%s, configuration %d: %s: element %lld is %.12g, not %.12g", o->op->name,
                         config, what, (long long)i, (double)got[i], (double)want[i]);
}

/* A plan for inference (weights packed) gives what the training plan gave, and a picture alone
 * the bits that it has in the batch. */
static void check_inference(one_step *trained, const grad_case *c, int32_t config)
{
    one_step o = *trained;
    const evi_kernels *k = trained->s.k;
    t_ok(one_plan(&o, false, k, 1));
    for (int32_t i = 0; i < o.n_in; i++)
        if (o.in[i] != NULL)
            memcpy(o.in[i]->data, trained->in_view[i].data, view_bytes(o.in[i]));
    one_pack(&o);
    one_forward(&o, NULL);
    bool real = o.out_edge[0].type == EV_TYPE_FLOAT32;
    if (!(c->flags & GRAD_MODES) && real)
        close_to(&o, config, "inference differs", one_out(&o, 0), trained->out_view[0].data,
                 one_count_out(&o, 0));
    int64_t n = o.in_edge[0].shape.rank > 0 ? o.in_edge[0].shape.dim[0] : 1;
    if ((c->flags & GRAD_BATCH) && n > 1) {
        uint64_t in_bytes = view_bytes(o.in[0]) / (uint64_t)n;
        uint64_t out_bytes = view_bytes(o.out[0]) / (uint64_t)n;
        char *all = copy_of(o.out[0]->data, view_bytes(o.out[0]));
        o.in[0]->shape.dim[0] = 1;
        o.out[0]->shape.dim[0] = 1;
        for (int64_t i = 0; i < n; i++) {
            memcpy(o.in[0]->data, (char *)trained->in_view[0].data + (uint64_t)i * in_bytes,
                   in_bytes);
            memset(o.out[0]->data, 0xFF, out_bytes);
            one_forward(&o, NULL);
            same_bits("a picture alone has other bits than in the batch", &o, config,
                      o.out[0]->data, all + (uint64_t)i * out_bytes, out_bytes);
        }
        free(all);
    }
    one_end(&o);
}

double grad_check(const grad_case *c)
{
    double worst = 0;
    ev_context_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.n_threads = 3;
    ev_context *ctx;
    t_ok(ev_context_create(&opt, &ctx));
    for (int32_t config = 0; config < GRAD_CONFIGS; config++) {
        uint64_t random = 0x9E3779B97F4A7C15u * (uint64_t)(config + 1) + 77;
        one_step o;
        one_start(&o, c->op);
        c->draw(&o, &random, config);
        o.frozen = 1;
        t_ok(one_plan(&o, true, evi_kernels_for(0), 3));
        fill_inputs(&o, c, &random);
        one_forward(&o, NULL);
        if (o.out[0]->type != EV_TYPE_FLOAT32) {
            one_end(&o);
            continue;
        }
        for (int64_t i = 0; i < one_count_out(&o, 0); i++)
            o.out[0]->grad[i] = (evi_real)real_in(&random, 0.2, 1.2) * (i % 3 ? 1 : -1);
        if (!(c->flags & GRAD_FORWARD) && o.op->backward != NULL) {
            backward(&o, NULL, true);
            worst = EVI_MAX(worst, check_numbers(&o, config));
            one_forward(&o, NULL);
            check_add(&o, config);
        }
        check_threads(&o, ctx, config);
        check_in_place(&o, config);
        check_channels(&o, config);
        check_inference(&o, c, config);
        one_end(&o);
    }
    ev_context_destroy(ctx);
    return worst;
}
