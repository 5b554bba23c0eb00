/* SPDX-License-Identifier: MIT */
/* Walking over several arrays at once by strides. */
#include "ops/walk.h"

#include <math.h>
#include <string.h>

/* Elements per task, and most terms that a fold holds at a time.  Both decide where sums are cut,
 * so they are the same for any number of threads. */
#define PIECE 16384
#define CHUNK 256

/* ---- making a walk -------------------------------------------------------------------------- */

void evi_walk_clear(evi_walk *w, int32_t n_ops)
{
    memset(w, 0, sizeof(*w));
    w->n_ops = n_ops;
}

void evi_walk_axis(evi_walk *w, int64_t dim, const int64_t *strides)
{
    w->dim[w->rank] = dim;
    for (int32_t k = 0; k < w->n_ops; k++)
        w->stride[k][w->rank] = strides[k];
    w->rank++;
}

static bool runs_on(const evi_walk *w, int32_t outer, int32_t inner)
{
    for (int32_t k = 0; k < w->n_ops; k++)
        if (w->stride[k][outer] != w->stride[k][inner] * w->dim[inner])
            return false;
    return true;
}

static void move_axis(evi_walk *w, int32_t from, int32_t to)
{
    w->dim[to] = w->dim[from];
    for (int32_t k = 0; k < w->n_ops; k++)
        w->stride[k][to] = w->stride[k][from];
}

void evi_walk_join(evi_walk *w)
{
    int32_t n = 0;
    w->count = 1;
    for (int32_t i = 0; i < w->rank; i++) {
        w->count *= w->dim[i];
        if (w->dim[i] == 1)
            continue;
        if (n > 0 && runs_on(w, n - 1, i)) {
            int64_t outer = w->dim[n - 1];
            move_axis(w, i, n - 1);
            w->dim[n - 1] *= outer;
        } else {
            move_axis(w, i, n++);
        }
    }
    if (n == 0) { /* one element */
        w->dim[0] = 1;
        for (int32_t k = 0; k < w->n_ops; k++)
            w->stride[k][0] = 1;
        n = 1;
    }
    w->rank = n;
}

void evi_strides(const evi_shape *s, int64_t *strides)
{
    int64_t step = 1;
    for (int32_t i = s->rank - 1; i >= 0; i--) {
        strides[i] = step;
        step *= s->dim[i];
    }
}

void evi_walk_broadcast(evi_walk *w, const evi_shape *full, int32_t n_ops,
                        const evi_shape *const *operands)
{
    int64_t stride[EVI_WALK_OPS][EV_MAX_RANK];
    evi_walk_clear(w, n_ops);
    for (int32_t k = 0; k < n_ops; k++)
        evi_strides(operands[k], stride[k]);
    for (int32_t i = 0; i < full->rank; i++) {
        int64_t at[EVI_WALK_OPS];
        for (int32_t k = 0; k < n_ops; k++) {
            int32_t axis = i - (full->rank - operands[k]->rank);
            at[k] = axis < 0 || operands[k]->dim[axis] == 1 ? 0 : stride[k][axis];
        }
        evi_walk_axis(w, full->dim[i], at);
    }
    evi_walk_join(w);
}

/* ---- walking -------------------------------------------------------------------------------- */

/* Offsets of position `row` (counted over axes 0..rank-1, the last runs fastest). */
static void seek(const evi_walk *w, const int32_t *axes, int32_t rank, int64_t row, int64_t *index,
                 int64_t *offset)
{
    for (int32_t i = rank - 1; i >= 0; i--) {
        int32_t a = axes[i];
        index[i] = row % w->dim[a];
        row /= w->dim[a];
        for (int32_t k = 0; k < w->n_ops; k++)
            offset[k] += index[i] * w->stride[k][a];
    }
}

static void advance(const evi_walk *w, const int32_t *axes, int32_t rank, int64_t *index,
                    int64_t *offset)
{
    for (int32_t i = rank - 1; i >= 0; i--) {
        int32_t a = axes[i];
        for (int32_t k = 0; k < w->n_ops; k++)
            offset[k] += w->stride[k][a];
        if (++index[i] < w->dim[a])
            return;
        index[i] = 0;
        for (int32_t k = 0; k < w->n_ops; k++)
            offset[k] -= w->dim[a] * w->stride[k][a];
    }
}

static const int32_t all_axes[EVI_WALK_RANK] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                8, 9, 10, 11, 12, 13, 14, 15};

typedef struct run_job {
    const evi_walk *w;
    evi_walk_fn fn;
    void *arg;
    int64_t rows, rows_per_task; /* rows: runs along the last axis */
    int64_t segment, n_segments; /* a long run is cut */
} run_job;

static void run_task(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const run_job *job = arg;
    const evi_walk *w = job->w;
    int32_t last = w->rank - 1;
    int64_t first = task / job->n_segments * job->rows_per_task;
    int64_t end = EVI_MIN(first + job->rows_per_task, job->rows);
    int64_t start = task % job->n_segments * job->segment;
    int64_t n = EVI_MIN(job->segment, w->dim[last] - start);
    int64_t index[EVI_WALK_RANK], offset[EVI_WALK_OPS], step[EVI_WALK_OPS];

    for (int32_t k = 0; k < w->n_ops; k++) {
        step[k] = w->stride[k][last];
        offset[k] = w->base[k] + start * step[k];
    }
    seek(w, all_axes, last, first, index, offset);
    for (int64_t row = first; row < end; row++) {
        job->fn(job->arg, n, offset, step);
        advance(w, all_axes, last, index, offset);
    }
}

void evi_walk_run(evi_crew *crew, const evi_walk *w, evi_walk_fn fn, void *arg)
{
    if (w->count <= 0)
        return;
    int64_t run = w->dim[w->rank - 1];
    run_job job = {.w = w, .fn = fn, .arg = arg, .rows = w->count / run};
    job.segment = EVI_MIN(run, PIECE);
    job.n_segments = (run + job.segment - 1) / job.segment;
    job.rows_per_task = EVI_MAX(PIECE / job.segment, 1);
    int64_t n_tasks = (job.rows + job.rows_per_task - 1) / job.rows_per_task * job.n_segments;
    evi_parallel(crew, n_tasks, run_task, &job);
}

/* ---- copying -------------------------------------------------------------------------------- */

typedef struct copy_job {
    char *dst;
    const char *src;
    int32_t size;
} copy_job;

#define COPY_RUN(type)                                      \
    do {                                                    \
        type *y = (type *)job->dst + offset[0];             \
        const type *x = (const type *)job->src + offset[1]; \
        for (int64_t i = 0; i < n; i++)                     \
            y[i * step[0]] = x[i * step[1]];                \
    } while (0)

static void copy_run(void *arg, int64_t n, const int64_t *offset, const int64_t *step)
{
    const copy_job *job = arg;
    if (step[0] == 1 && step[1] == 1) {
        memcpy(job->dst + offset[0] * job->size, job->src + offset[1] * job->size,
               (size_t)n * (size_t)job->size);
        return;
    }
    switch (job->size) {
    case 1: COPY_RUN(uint8_t); break;
    case 4: COPY_RUN(uint32_t); break;
    default: COPY_RUN(uint64_t); break;
    }
}

void evi_walk_copy(evi_crew *crew, const evi_walk *w, void *dst, const void *src, int32_t size)
{
    copy_job job = {dst, src, size};
    evi_walk_run(crew, w, copy_run, &job);
}

typedef struct add_job {
    evi_real *dst;
    const evi_real *src;
    evi_real scale;
    bool first;
} add_job;

static void add_run(void *arg, int64_t n, const int64_t *offset, const int64_t *step)
{
    const add_job *job = arg;
    evi_real *y = job->dst + offset[0];
    const evi_real *x = job->src + offset[1];
    if (job->first)
        for (int64_t i = 0; i < n; i++)
            y[i * step[0]] = job->scale * x[i * step[1]];
    else
        for (int64_t i = 0; i < n; i++)
            y[i * step[0]] += job->scale * x[i * step[1]];
}

void evi_walk_add(evi_crew *crew, const evi_walk *w, evi_real *dst, const evi_real *src,
                  evi_real scale, bool first)
{
    add_job job = {dst, src, scale, first};
    evi_walk_run(crew, w, add_run, &job);
}

/* ---- folding -------------------------------------------------------------------------------- */

typedef struct fold_job {
    const evi_walk *w;
    evi_terms_fn terms;
    evi_store_fn store;
    const void *arg;
    int32_t kind;
    int32_t kept[EVI_WALK_RANK], n_kept;     /* axes of the result, but the chunked last one */
    int32_t folded[EVI_WALK_RANK], n_folded; /* axes summed over, but a last one */
    int64_t n_rows, n_inner;                 /* results, and combinations to fold for each */
    bool last_kept;
    int64_t n_chunks; /* of the last axis, when it is kept */
    int64_t rows_per_task;
} fold_job;

static double fold_start(int32_t kind)
{
    switch (kind) {
    case EVI_FOLD_MAX: return -INFINITY;
    case EVI_FOLD_MIN: return INFINITY;
    case EVI_FOLD_PROD: return 1;
    default: return 0;
    }
}

static double fold_two(int32_t kind, double a, double b)
{
    switch (kind) {
    case EVI_FOLD_MAX: /* NaN stays */ return a >= b || isnan(a) ? a : b;
    case EVI_FOLD_MIN: return a <= b || isnan(a) ? a : b;
    case EVI_FOLD_PROD: return a * b;
    default: return a + b;
    }
}

/* Four sums side by side, so that the additions need not wait for each other. */
static double sum_of(int64_t n, const double *x)
{
    double s[4] = {0, 0, 0, 0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int32_t k = 0; k < 4; k++)
            s[k] += x[i + k];
    for (; i < n; i++)
        s[0] += x[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static double fold_run(const fold_job *job, double sum, const int64_t *offset, const int64_t *step)
{
    const evi_walk *w = job->w;
    int64_t run = w->dim[w->rank - 1], at[EVI_WALK_OPS];
    double term[CHUNK];
    for (int64_t i = 0; i < run; i += CHUNK) {
        int64_t n = EVI_MIN(run - i, CHUNK);
        for (int32_t k = 0; k < w->n_ops; k++)
            at[k] = offset[k] + i * step[k];
        job->terms(job->arg, n, at, step, term);
        if (job->kind == EVI_FOLD_SUM)
            sum += sum_of(n, term);
        else
            for (int64_t j = 0; j < n; j++)
                sum = fold_two(job->kind, sum, term[j]);
    }
    return sum;
}

/* One result: the last axis is folded too. */
static void fold_one(const fold_job *job, const int64_t *start, const int64_t *step)
{
    const evi_walk *w = job->w;
    int64_t index[EVI_WALK_RANK] = {0}, offset[EVI_WALK_OPS];
    double sum = fold_start(job->kind);
    memcpy(offset, start, sizeof(offset));
    for (int64_t r = 0; r < job->n_inner; r++) {
        sum = fold_run(job, sum, offset, step);
        advance(w, job->folded, job->n_folded, index, offset);
    }
    job->store(job->arg, start[0], sum);
}

/* n neighbouring results along the last axis, which is kept. */
static void fold_many(const fold_job *job, int64_t n, const int64_t *start, const int64_t *step)
{
    const evi_walk *w = job->w;
    int64_t index[EVI_WALK_RANK] = {0}, offset[EVI_WALK_OPS];
    double sum[CHUNK], term[CHUNK];
    for (int64_t i = 0; i < n; i++)
        sum[i] = fold_start(job->kind);
    memcpy(offset, start, sizeof(offset));
    for (int64_t r = 0; r < job->n_inner; r++) {
        job->terms(job->arg, n, offset, step, term);
        if (job->kind == EVI_FOLD_SUM)
            for (int64_t i = 0; i < n; i++)
                sum[i] += term[i];
        else
            for (int64_t i = 0; i < n; i++)
                sum[i] = fold_two(job->kind, sum[i], term[i]);
        advance(w, job->folded, job->n_folded, index, offset);
    }
    for (int64_t i = 0; i < n; i++)
        job->store(job->arg, start[0] + i * step[0], sum[i]);
}

static void fold_task(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const fold_job *job = arg;
    const evi_walk *w = job->w;
    int32_t last = w->rank - 1;
    int64_t first = task / job->n_chunks * job->rows_per_task;
    int64_t end = EVI_MIN(first + job->rows_per_task, job->n_rows);
    int64_t start = task % job->n_chunks * CHUNK;
    int64_t index[EVI_WALK_RANK], offset[EVI_WALK_OPS] = {0}, step[EVI_WALK_OPS] = {0};

    for (int32_t k = 0; k < w->n_ops; k++) {
        step[k] = w->stride[k][last];
        offset[k] = w->base[k] + (job->last_kept ? start * step[k] : 0);
    }
    seek(w, job->kept, job->n_kept, first, index, offset);
    for (int64_t row = first; row < end; row++) {
        if (job->last_kept)
            fold_many(job, EVI_MIN(w->dim[last] - start, CHUNK), offset, step);
        else
            fold_one(job, offset, step);
        advance(w, job->kept, job->n_kept, index, offset);
    }
}

void evi_walk_fold(evi_crew *crew, const evi_walk *w, int32_t kind, evi_terms_fn terms,
                   evi_store_fn store, const void *arg)
{
    int32_t last = w->rank - 1;
    fold_job job = {.w = w, .terms = terms, .store = store, .arg = arg, .kind = kind};
    job.n_rows = job.n_inner = job.n_chunks = 1;
    job.last_kept = w->stride[0][last] != 0;
    for (int32_t i = 0; i < last; i++) {
        if (w->stride[0][i] != 0) {
            job.kept[job.n_kept++] = i;
            job.n_rows *= w->dim[i];
        } else {
            job.folded[job.n_folded++] = i;
            job.n_inner *= w->dim[i];
        }
    }
    if (job.n_rows == 0 || (job.last_kept && w->dim[last] == 0))
        return;
    int64_t work = job.n_inner * EVI_MAX(w->dim[last], 1);
    if (job.last_kept) {
        job.n_chunks = (w->dim[last] + CHUNK - 1) / CHUNK;
        work = job.n_inner * EVI_MIN(w->dim[last], CHUNK);
    }
    job.rows_per_task = EVI_MAX(PIECE / EVI_MAX(work, 1), 1);
    int64_t n_tasks = (job.n_rows + job.rows_per_task - 1) / job.rows_per_task * job.n_chunks;
    evi_parallel(crew, n_tasks, fold_task, &job);
}
