/* SPDX-License-Identifier: MIT */
#include "plain.h"

#include <math.h>

void unravel(const evi_shape *s, int64_t i, int64_t *index)
{
    for (int32_t d = s->rank - 1; d >= 0; d--) {
        index[d] = i % s->dim[d];
        i /= s->dim[d];
    }
}

int64_t ravel(const evi_shape *s, const int64_t *index, int32_t rank)
{
    int64_t at = 0;
    for (int32_t d = 0; d < s->rank; d++)
        at = at * s->dim[d] + (s->dim[d] == 1 ? 0 : index[d + rank - s->rank]);
    return at;
}

evi_shape shape_of(int32_t rank, const int64_t *dims)
{
    evi_shape s = {.rank = rank};
    for (int32_t d = 0; d < rank; d++)
        s.dim[d] = dims[d];
    return s;
}

evi_shape random_shape(uint64_t *r, int32_t lo_rank, int32_t hi_rank, int32_t most)
{
    evi_shape s = {.rank = t_random_int(r, lo_rank, hi_rank)};
    for (int32_t d = 0; d < s.rank; d++)
        s.dim[d] = t_random_int(r, 1, most);
    return s;
}

evi_list list_of(int32_t n, const int64_t *v)
{
    evi_list l = {.n = n, .set = 1};
    for (int32_t i = 0; i < n; i++)
        l.v[i] = v[i];
    return l;
}

int32_t random_type(uint64_t *r)
{
    static const int32_t types[] = {EV_TYPE_FLOAT32, EV_TYPE_INT64, EV_TYPE_INT32, EV_TYPE_INT8,
                                    EV_TYPE_UINT8};
    return types[t_random_int(r, 0, 4)];
}

static void fill_view(evi_view *v, uint64_t *r)
{
    int64_t n = evi_shape_count(&v->shape);
    for (int64_t i = 0; i < n; i++) {
        int32_t small = t_random_int(r, -9, 9);
        switch (v->type) {
        case EV_TYPE_FLOAT32: ((evi_real *)v->data)[i] = 2 * t_random_float(r); break;
        case EV_TYPE_INT64: ((int64_t *)v->data)[i] = small; break;
        case EV_TYPE_INT32: ((int32_t *)v->data)[i] = small; break;
        case EV_TYPE_INT8: ((int8_t *)v->data)[i] = (int8_t)small; break;
        case EV_TYPE_BOOL: ((uint8_t *)v->data)[i] = small > 0; break;
        default: ((uint8_t *)v->data)[i] = (uint8_t)abs(small); break;
        }
    }
}

void fill_numbers(one_step *o, uint64_t *r)
{
    for (int32_t i = 0; i < o->n_in; i++)
        if (o->in[i] != NULL)
            fill_view(o->in[i], r);
}

void run_one(one_step *o, uint64_t *r, evi_crew *crew)
{
    t_ok(one_plan(o, false, test_kernels(), 3));
    fill_numbers(o, r);
    one_pack(o);
    one_forward(o, crew);
}

double in_number(const one_step *o, int32_t i, int64_t at)
{
    return evi_number(o->in[i]->data, o->in[i]->type, at);
}

double out_number(const one_step *o, int32_t i, int64_t at)
{
    return evi_number(o->out[i]->data, o->out[i]->type, at);
}

void expect(const one_step *o, int64_t at, double want, double tolerance)
{
    char text[EVI_SHAPE_TEXT];
    double got = out_number(o, 0, at);
    if (got == want || (isnan(got) && isnan(want)) || fabs(got - want) <= tolerance)
        return;
    ck_abort_msg("%s: element %lld of %s is %.9g instead of %.9g", o->op->name, (long long)at,
                 evi_shape_text(&o->out_edge[0].shape, text), got, want);
}

const evi_kernels *test_kernels(void)
{
    static const evi_kernels *kernels;
    if (kernels == NULL) {
        ev_context *ctx = t_context(NULL, 1);
        kernels = evi_kernels_for(evi_cpu_flags(ctx));
        ev_context_destroy(ctx);
    }
    return kernels;
}

static void *copy_of(const void *from, size_t n)
{
    void *copy = malloc(n + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, from, n);
    return copy;
}

static size_t out_bytes(const one_step *o)
{
    return (size_t)one_count_out(o, 0) * (size_t)evi_type_bytes(o->out_edge[0].type);
}

static size_t grad_bytes(const one_step *o, int32_t i)
{
    return o->in[i] != NULL && o->in[i]->grad != NULL
               ? (size_t)one_count_in(o, i) * sizeof(evi_real)
               : 0;
}

void same_on_threads(one_step *o, uint64_t *r)
{
    void *grad[ONE_MAX] = {0};
    ev_context *ctx = t_context(NULL, 3);
    t_ok(one_plan(o, o->op->backward != NULL, test_kernels(), 3));
    fill_numbers(o, r);
    one_forward(o, NULL);
    void *out = copy_of(o->out[0]->data, out_bytes(o));
    if (o->op->backward != NULL) {
        t_fill((float *)o->out[0]->grad, (size_t)one_count_out(o, 0), 5);
        one_backward(o, NULL, true);
        for (int32_t i = 0; i < o->n_in; i++)
            grad[i] = copy_of(grad_bytes(o, i) > 0 ? (void *)o->in[i]->grad : "", grad_bytes(o, i));
    }
    memset(o->out[0]->data, 0xFF, out_bytes(o));
    evi_crew *crew = evi_crew_begin(ctx);
    one_forward(o, crew);
    ck_assert_mem_eq(out, o->out[0]->data, out_bytes(o));
    if (o->op->backward != NULL)
        one_backward(o, crew, true);
    evi_crew_end(crew);
    for (int32_t i = 0; i < o->n_in; i++) {
        if (grad_bytes(o, i) > 0)
            ck_assert_mem_eq(grad[i], o->in[i]->grad, grad_bytes(o, i));
        free(grad[i]);
    }
    free(out);
    ev_context_destroy(ctx);
}
