/* SPDX-License-Identifier: MIT */
#include "one_step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *one_memory(uint64_t bytes)
{
    void *p = NULL;
    if (posix_memalign(&p, 64, bytes > 0 ? bytes : 1) != 0) {
        fprintf(stderr, "no memory\n");
        exit(EXIT_FAILURE);
    }
    memset(p, 0xFF, bytes);
    return p;
}

void one_start(one_step *o, const char *op)
{
    memset(o, 0, sizeof(*o));
    o->op = evi_op_find(op);
    if (o->op == NULL) {
        fprintf(stderr, "no operation %s\n", op);
        exit(EXIT_FAILURE);
    }
    evi_attrs_default(&o->a);
    o->n_out = 1;
}

int32_t one_input(one_step *o, int32_t type, int32_t rank, const int64_t *dims)
{
    evi_edge *e = &o->in_edge[o->n_in];
    e->type = type;
    e->shape.rank = rank;
    for (int32_t d = 0; d < rank; d++)
        e->shape.dim[d] = dims[d];
    return o->n_in++;
}

int32_t one_real(one_step *o, int32_t rank, const int64_t *dims)
{
    return one_input(o, EV_TYPE_FLOAT32, rank, dims);
}

int32_t one_absent(one_step *o)
{
    return o->n_in++;
}

int64_t one_count_in(const one_step *o, int32_t i)
{
    return evi_shape_count(&o->in_edge[i].shape);
}

int64_t one_count_out(const one_step *o, int32_t i)
{
    return evi_shape_count(&o->out_edge[i].shape);
}

bool one_is_real(const one_step *o, int32_t i)
{
    return o->in_edge[i].type == EV_TYPE_FLOAT32;
}

bool one_wants_grad(const one_step *o, int32_t i)
{
    return one_is_real(o, i) && !((o->no_grad >> i) & 1);
}

ev_status one_infer(one_step *o)
{
    return o->op->infer(&o->a, o->in_edge, o->n_in, o->out_edge, o->n_out);
}

static void make_view(evi_view *v, const evi_edge *e, bool grad)
{
    uint64_t count = (uint64_t)evi_shape_count(&e->shape);
    *v = (evi_view){.type = e->type, .shape = e->shape};
    v->data = one_memory(count * (uint64_t)evi_type_bytes(e->type));
    if (grad)
        v->grad = one_memory(count * sizeof(evi_real));
}

ev_status one_plan(one_step *o, bool training, const evi_kernels *k, int32_t n_workers)
{
    EVI_TRY(one_infer(o));
    evi_step *s = &o->s;
    memset(s, 0, sizeof(*s));
    for (int32_t i = 0; i < o->n_in; i++) {
        o->in[i] = NULL;
        if (o->in_edge[i].type == 0)
            continue;
        make_view(&o->in_view[i], &o->in_edge[i], training && one_wants_grad(o, i));
        o->in_view[i].is_param = i > 0;
        o->in[i] = &o->in_view[i];
    }
    for (int32_t i = 0; i < o->n_out; i++) {
        make_view(&o->out_view[i], &o->out_edge[i], training && i == 0);
        o->out[i] = &o->out_view[i];
    }
    *s = (evi_step){.op = o->op, .a = o->a, .in = o->in, .out = o->out};
    s->n_in = o->n_in;
    s->n_out = o->n_out;
    s->k = k;
    s->n_workers = n_workers;
    s->training = training;
    s->frozen = o->frozen;
    s->rng = (evi_rng){.seed = 7, .stream = 11};
    s->counter = 3;
    if (o->op->prepare != NULL)
        o->op->prepare(s);
    s->packed = s->packed_bytes > 0 ? one_memory(s->packed_bytes) : NULL;
    s->scratch = s->scratch_bytes > 0 ? one_memory(s->scratch_bytes) : NULL;
    s->saved = s->saved_bytes > 0 ? one_memory(s->saved_bytes) : NULL;
    return EV_OK;
}

void one_pack(one_step *o)
{
    if (!o->s.training && o->op->pack != NULL)
        o->op->pack(&o->s);
}

void one_forward(one_step *o, evi_crew *crew)
{
    o->s.crew = crew;
    o->op->forward(&o->s);
    o->s.crew = NULL;
}

void one_backward(one_step *o, evi_crew *crew, bool first)
{
    o->s.crew = crew;
    o->s.grad_first = first ? ~(uint64_t)0 : 0;
    o->op->backward(&o->s);
    o->s.crew = NULL;
}

void one_end(one_step *o)
{
    for (int32_t i = 0; i < o->n_in; i++) {
        free(o->in_view[i].data);
        free(o->in_view[i].grad);
        o->in_view[i] = (evi_view){0};
    }
    for (int32_t i = 0; i < o->n_out; i++) {
        free(o->out_view[i].data);
        free(o->out_view[i].grad);
        o->out_view[i] = (evi_view){0};
    }
    free(o->s.packed);
    free(o->s.scratch);
    free(o->s.saved);
    memset(&o->s, 0, sizeof(o->s));
}
