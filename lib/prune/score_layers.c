/* SPDX-License-Identifier: MIT */
/* Layers of groups: the weights that make a group's channels, one entry for each weight tensor,
 * and sums over everything but one axis of a tensor.  A sum is cut at places that depend on shapes
 * alone, each part is added up in vectors and the parts in double. */
#include "prune/prune.h"

#include <string.h>
#include <tgmath.h>

/* ---- layers ---------------------------------------------------------------------------------- */

/* The first of the group's spots on this weight's axis? */
static bool starts_layer(const evi_groups *g, const evi_group *group, int32_t number)
{
    const evi_spot *s = &g->spots[number];
    if (s->role != EVI_SPOT_OUT || g->models[s->model]->values[s->value].kind != EVI_VALUE_PARAM)
        return false;
    for (int32_t i = group->first_spot; i < number; i++) {
        const evi_spot *t = &g->spots[i];
        if (t->role == EVI_SPOT_OUT && t->model == s->model && t->value == s->value &&
            t->axis == s->axis)
            return false;
    }
    return true;
}

/* Counts when `out` has no table yet, else fills it. */
static void walk_layers(const evi_groups *g, bool blocked_too, evi_layers *out, int64_t *n_scores)
{
    double *score = out->scores;
    out->n = 0;
    *n_scores = 0;
    for (int32_t i = 0; i < g->n; i++) {
        const evi_group *group = &g->groups[i];
        for (int32_t j = 0; j < group->n_spots; j++) {
            int32_t spot = group->first_spot + j;
            if ((group->blocked != NULL && !blocked_too) || !starts_layer(g, group, spot))
                continue;
            if (out->layers != NULL)
                out->layers[out->n] =
                    (evi_layer){.group = i, .spot = spot, .score = score + *n_scores};
            out->n++;
            *n_scores += group->n;
        }
    }
}

ev_status evi_layers_new(const ev_pruner *p, bool blocked_too, evi_layers *out)
{
    int64_t n_scores = 0;
    memset(out, 0, sizeof(*out));
    walk_layers(&p->groups, blocked_too, out, &n_scores);
    EVI_TRY(evi_calloc(p->handle.ctx, (uint64_t)out->n, sizeof(evi_layer), &out->layers));
    ev_status status = evi_calloc(p->handle.ctx, (uint64_t)n_scores, sizeof(double), &out->scores);
    if (status == EV_OK)
        walk_layers(&p->groups, blocked_too, out, &n_scores);
    else
        evi_layers_free(out);
    return status;
}

void evi_layers_free(evi_layers *layers)
{
    evi_free(layers->layers);
    evi_free(layers->scores);
    memset(layers, 0, sizeof(*layers));
}

const evi_param *evi_spot_param(const evi_groups *g, const evi_spot *s)
{
    const ev_model *m = g->models[s->model];
    const evi_value *v = &m->values[s->value];
    return v->kind == EVI_VALUE_PARAM ? &m->store->params[v->index] : NULL;
}

const char *evi_layer_name(const evi_groups *g, const evi_layer *layer)
{
    const evi_spot *s = &g->spots[layer->spot];
    const ev_model *m = g->models[s->model];
    return s->node >= 0 ? m->nodes[s->node].name : evi_spot_param(g, s)->name;
}

void evi_layers_mean(const ev_pruner *p, const evi_layers *layers, double *const *scores)
{
    for (int32_t g = 0; g < p->groups.n; g++) {
        int32_t n = p->groups.groups[g].n, count = 0;
        if (scores[g] == NULL)
            continue;
        for (int32_t i = 0; i < layers->n; i++) {
            if (layers->layers[i].group != g)
                continue;
            for (int32_t c = 0; c < n; c++)
                scores[g][c] += layers->layers[i].score[c];
            count++;
        }
        for (int32_t c = 0; c < n && count > 1; c++)
            scores[g][c] /= count;
    }
}

/* ---- sums along an axis ---------------------------------------------------------------------- */

enum { LANES = 16, PIECE = 4096, COLUMNS = 256, FEW = 16, TASK = 65536 };

static double add_lanes(const evi_real *lane)
{
    double sum = 0;
    for (int32_t j = 0; j < LANES; j++)
        sum += (double)lane[j];
    return sum;
}

/* n <= PIECE */
static double sum_abs(int64_t n, const evi_real *x)
{
    evi_real lane[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int32_t j = 0; j < LANES; j++)
            lane[j] += fabs(x[i + j]);
    for (; i < n; i++)
        lane[0] += fabs(x[i]);
    return add_lanes(lane);
}

static double count_not_zero(int64_t n, const evi_real *x)
{
    int32_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += x[i] != 0;
    return count;
}

static double sum_row(const evi_kernels *k, int32_t kind, int64_t n, const evi_real *x,
                      const evi_real *u)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i += PIECE) {
        int64_t m = EVI_MIN(n - i, PIECE);
        switch (kind) {
        case EVI_SUM_ABS: sum += sum_abs(m, x + i); break;
        case EVI_SUM_SQUARES: sum += (double)k->sum_squares(m, x + i, 0); break;
        case EVI_SUM_PRODUCTS: sum += (double)k->sum_products(m, u + i, x + i, 0); break;
        default: sum += count_not_zero(m, x + i); break;
        }
    }
    return sum;
}

typedef struct sums_job {
    const evi_kernels *k;
    const evi_real *x, *u;
    double *out;
    int64_t outer, len, inner, per_task;
    int32_t kind;
} sums_job;

static void sum_rows(const sums_job *j, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++) {
        double sum = 0;
        for (int64_t o = 0; o < j->outer; o++) {
            int64_t at = (o * j->len + i) * j->inner;
            sum += sum_row(j->k, j->kind, j->inner, j->x + at, j->u == NULL ? NULL : j->u + at);
        }
        j->out[i] = sum;
    }
}

static void add_columns(const sums_job *j, int64_t n, int64_t at, evi_real *sum)
{
    const evi_real *x = j->x + at;
    switch (j->kind) {
    case EVI_SUM_ABS:
        for (int64_t c = 0; c < n; c++)
            sum[c] += fabs(x[c]);
        break;
    case EVI_SUM_SQUARES:
        for (int64_t c = 0; c < n; c++)
            sum[c] += x[c] * x[c];
        break;
    case EVI_SUM_PRODUCTS:
        for (int64_t c = 0; c < n; c++)
            sum[c] += x[c] * j->u[at + c];
        break;
    default:
        for (int64_t c = 0; c < n; c++)
            sum[c] += x[c] != 0;
        break;
    }
}

/* Short rows: many indices side by side, at most COLUMNS elements. */
static void sum_columns(const sums_job *j, int64_t first, int64_t last)
{
    int64_t most = COLUMNS / j->inner;
    for (int64_t i = first; i < last; i += most) {
        evi_real part[COLUMNS] = {0};
        double whole[COLUMNS] = {0};
        int64_t n = EVI_MIN(most, last - i) * j->inner;
        for (int64_t o = 0; o < j->outer; o++) {
            add_columns(j, n, (o * j->len + i) * j->inner, part);
            if (o % 64 != 63 && o + 1 < j->outer)
                continue;
            for (int64_t c = 0; c < n; c++)
                whole[c] += (double)part[c];
            memset(part, 0, sizeof(part));
        }
        for (int64_t c = 0; c < n; c++)
            j->out[i + c / j->inner] =
                (c % j->inner == 0 ? 0 : j->out[i + c / j->inner]) + whole[c];
    }
}

static void sums_task(void *arg, int64_t task, int32_t worker)
{
    const sums_job *j = arg;
    int64_t first = task * j->per_task, last = EVI_MIN(first + j->per_task, j->len);
    (void)worker;
    if (j->outer > 1 && j->inner < FEW)
        sum_columns(j, first, last);
    else
        sum_rows(j, first, last);
}

void evi_axis_sums(evi_crew *crew, const evi_kernels *k, int32_t kind, const evi_shape *shape,
                   int32_t axis, const evi_real *x, const evi_real *u, double *out)
{
    sums_job j = {.k = k,
                  .x = x,
                  .u = u,
                  .out = out,
                  .outer = 1,
                  .inner = 1,
                  .len = shape->dim[axis],
                  .kind = kind};
    for (int32_t i = 0; i < shape->rank; i++) {
        j.outer *= i < axis ? shape->dim[i] : 1;
        j.inner *= i > axis ? shape->dim[i] : 1;
    }
    memset(out, 0, (size_t)j.len * sizeof(double));
    if (j.outer * j.inner * j.len == 0)
        return;
    j.per_task = EVI_MAX(TASK / (j.outer * j.inner), j.outer > 1 && j.inner < FEW ? 64 : 1);
    evi_parallel(crew, evi_div_up(j.len, j.per_task), sums_task, &j);
}

/* ---- from indices to channels ---------------------------------------------------------------- */

int32_t evi_spots_add(const evi_groups *g, int32_t group, int32_t model, int32_t value,
                      int32_t axis, int32_t role, const double *along, double *channels)
{
    const evi_group *e = &g->groups[group];
    int32_t per_channel = 0;
    for (int32_t i = 0; i < e->n_spots; i++) {
        const evi_spot *s = &g->spots[e->first_spot + i];
        if (s->model != model || s->value != value || s->axis != axis || s->role != role)
            continue;
        per_channel += (int32_t)s->block;
        for (int32_t c = 0; c < e->n; c++)
            for (int64_t b = 0; b < s->block; b++)
                channels[c] += along[s->offset + c * s->stride + b];
    }
    return per_channel;
}
