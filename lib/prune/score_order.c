/* SPDX-License-Identifier: MIT */
/* Scores that compare a layer's weights with each other.
 *
 * LAMP (Lee et al., "Layer-adaptive sparsity for the magnitude-based pruning", 2021): each weight's
 * square over the sum of the layer's squares that are not smaller.  Up to EXACT weights are sorted.
 * Of larger layers only the HEAD largest are; the others are counted in a histogram of 2^16 sizes
 * (exponent and 8 bits of the mantissa), and those of one bin share the mean of what they would
 * have, which hardly differs within a bin once many are above it.
 *
 * FPGM (He et al., "Filter pruning via geometric median", 2019): the sum of a filter's Euclidean
 * distances to the layer's others, from products of filters: |a - b|^2 = aa + bb - 2 ab. */
#include "ops/gemm.h"
#include "prune/prune.h"

#include <math.h>
#include <string.h>

#ifdef EVI_REAL_DOUBLE
typedef uint64_t size_bits;
#else
typedef uint32_t size_bits;
#endif

/* Larger numbers have larger bits. */
static size_bits bits_of(evi_real x)
{
    size_bits b;
    memcpy(&b, &x, sizeof(b));
    return b & ~((size_bits)1 << (8 * sizeof(b) - 1));
}

static double square_of(size_bits b)
{
    evi_real x;
    memcpy(&x, &b, sizeof(b));
    return (double)x * (double)x;
}

/* Which filter each weight of a layer belongs to: -1 for none of the group's. */
typedef struct filters {
    const evi_real *w;
    int64_t outer, len, inner, count;
    int32_t *of; /* [len] channel of an index */
} filters;

static int32_t channel_of(const filters *f, int64_t at)
{
    return f->of[at / f->inner % f->len];
}

static ev_status find_filters(const ev_pruner *p, const evi_layer *layer, filters *out)
{
    const evi_groups *g = &p->groups;
    const evi_spot *first = &g->spots[layer->spot];
    const evi_group *e = &g->groups[layer->group];
    const evi_param *w = evi_spot_param(g, first);
    *out = (filters){
        .w = w->data, .outer = 1, .inner = 1, .len = w->shape.dim[first->axis], .count = w->count};
    for (int32_t i = 0; i < w->shape.rank; i++) {
        out->outer *= i < first->axis ? w->shape.dim[i] : 1;
        out->inner *= i > first->axis ? w->shape.dim[i] : 1;
    }
    EVI_TRY(evi_malloc(p->handle.ctx, (uint64_t)out->len, sizeof(int32_t), &out->of));
    for (int64_t i = 0; i < out->len; i++)
        out->of[i] = -1;
    for (int32_t i = e->first_spot; i < e->first_spot + e->n_spots; i++) {
        const evi_spot *s = &g->spots[i];
        if (s->role != EVI_SPOT_OUT || s->model != first->model || s->value != first->value ||
            s->axis != first->axis)
            continue;
        for (int32_t c = 0; c < e->n; c++)
            for (int64_t b = 0; b < s->block; b++)
                out->of[s->offset + c * s->stride + b] = c;
    }
    return EV_OK;
}

/* ---- LAMP ------------------------------------------------------------------------------------ */

enum { EXACT = 1 << 22, RADIX = 11, BINS = 1 << 16, PARTS = 8, FIRST = 64, HEAD = 1 << 20 };

typedef struct sized { /* one weight */
    size_bits bits;
    int32_t channel;
} sized;

/* Least significant digits first; the result is in a or in b. */
static sized *sort(sized *a, sized *b, int64_t n)
{
    for (size_t shift = 0; shift < 8 * sizeof(size_bits); shift += RADIX) {
        int64_t start[(1 << RADIX) + 1] = {0};
        for (int64_t i = 0; i < n; i++)
            start[(a[i].bits >> shift & ((1 << RADIX) - 1)) + 1]++;
        for (int32_t d = 0; d < 1 << RADIX; d++)
            start[d + 1] += start[d];
        for (int64_t i = 0; i < n; i++)
            b[start[a[i].bits >> shift & ((1 << RADIX) - 1)]++] = a[i];
        sized *other = a;
        a = b;
        b = other;
    }
    return a;
}

/* Adds the scores of n weights, and their squares to *above; a has room for twice as many. */
static void score_sorted(sized *a, int64_t n, double *above, double *score)
{
    const sized *s = sort(a, a + n, n);
    for (int64_t i = n, j; i > 0; i = j) { /* j .. i-1 are of one size */
        double square = square_of(s[i - 1].bits);
        for (j = i; j > 0 && s[j - 1].bits == s[i - 1].bits; j--)
            *above += square;
        for (int64_t at = j; at < i && !(*above <= 0); at++) /* NaN goes on */
            if (s[at].channel >= 0)
                score[s[at].channel] += square / *above;
    }
}

static ev_status lamp_sorted(ev_context *ctx, const filters *f, double *score)
{
    sized *a = NULL;
    double above = 0;
    EVI_TRY(evi_malloc(ctx, 2 * (uint64_t)f->count, sizeof(sized), &a));
    for (int64_t i = 0; i < f->count; i++)
        a[i] = (sized){bits_of(f->w[i]), channel_of(f, i)};
    score_sorted(a, f->count, &above, score);
    evi_free(a);
    return EV_OK;
}

/* The number of a size: exponent and the first bits of what follows, as a float has them. */
static uint32_t bin_of(evi_real x)
{
    float y = (float)x;
    uint32_t b;
    memcpy(&b, &y, sizeof(b));
    return (b & 0x7fffffffu) >> 15;
}

typedef struct bin {
    double squares, n;
} bin;

typedef struct lamp_job {
    const filters *f;
    bin *bins;       /* [PARTS][BINS] */
    double *inverse; /* [BINS] mean of 1 / sum of squares that are not smaller */
    double *along;   /* [len] */
} lamp_job;

static void count_part(void *arg, int64_t part, int32_t worker)
{
    const lamp_job *j = arg;
    int64_t n = j->f->count, last = n * (part + 1) / PARTS;
    bin *bins = j->bins + part * BINS;
    (void)worker;
    for (int64_t i = n * part / PARTS; i < last; i++) {
        bin *b = &bins[bin_of(j->f->w[i])];
        b->squares += (double)j->f->w[i] * (double)j->f->w[i];
        b->n++;
    }
}

static void score_index(void *arg, int64_t i, int32_t worker)
{
    const lamp_job *j = arg;
    double sum = 0;
    (void)worker;
    for (int64_t o = 0; o < j->f->outer; o++) {
        const evi_real *w = j->f->w + (o * j->f->len + i) * j->f->inner;
        for (int64_t x = 0; x < j->f->inner; x++)
            sum += (double)w[x] * (double)w[x] * j->inverse[bin_of(w[x])];
    }
    j->along[i] = sum;
}

/* The mean of 1 / (above + k square) for k = 1 .. n: the first terms as they are, the rest as an
 * integral. */
static double mean_inverse(double above, double squares, double n)
{
    double square = squares / n, sum = 0, k = 1;
    for (; k <= EVI_MIN(n, FIRST); k++)
        sum += 1 / (above + k * square);
    if (n > FIRST)
        sum += log((above + squares + square / 2) / (above + FIRST * square + square / 2)) / square;
    return sum / n;
}

static bin whole_bin(const lamp_job *j, int32_t b)
{
    bin own = {0, 0};
    for (int32_t part = 0; part < PARTS; part++) {
        own.squares += j->bins[part * BINS + b].squares;
        own.n += j->bins[part * BINS + b].n;
    }
    return own;
}

/* Bins from `head` on are scored one by one: they have no inverse. */
static void invert(const lamp_job *j, int32_t head, double above)
{
    for (int32_t b = head - 1; b >= 0; b--) {
        bin own = whole_bin(j, b);
        j->inverse[b] = own.squares == 0 ? 0 : mean_inverse(above, own.squares, own.n);
        above += own.squares;
    }
}

static ev_status score_head(ev_context *ctx, const lamp_job *j, int32_t *head, double *above,
                            double *score)
{
    sized *a = NULL;
    int64_t n = 0, at = 0;
    for (*head = BINS; *head > 0; --*head) {
        int64_t more = (int64_t)whole_bin(j, *head - 1).n;
        if (n + more > HEAD)
            break;
        n += more;
    }
    EVI_TRY(evi_malloc(ctx, 2 * (uint64_t)n, sizeof(sized), &a));
    for (int64_t i = 0; i < j->f->count && n > 0; i++)
        if ((int32_t)bin_of(j->f->w[i]) >= *head)
            a[at++] = (sized){bits_of(j->f->w[i]), channel_of(j->f, i)};
    score_sorted(a, n, above, score);
    evi_free(a);
    return EV_OK;
}

static ev_status lamp_counted(ev_context *ctx, evi_crew *crew, const filters *f, double *score)
{
    lamp_job j = {.f = f};
    int32_t head = BINS;
    double above = 0;
    ev_status status = evi_calloc(ctx, PARTS * (uint64_t)BINS, sizeof(bin), &j.bins);
    if (status == EV_OK)
        status = evi_calloc(ctx, (uint64_t)BINS + (uint64_t)f->len, sizeof(double), &j.inverse);
    if (status == EV_OK) {
        evi_parallel(crew, PARTS, count_part, &j);
        status = score_head(ctx, &j, &head, &above, score);
    }
    if (status == EV_OK) {
        j.along = j.inverse + BINS;
        invert(&j, head, above);
        evi_parallel(crew, f->len, score_index, &j);
        for (int64_t i = 0; i < f->len; i++)
            if (f->of[i] >= 0)
                score[f->of[i]] += j.along[i];
    }
    evi_free(j.bins);
    evi_free(j.inverse);
    return status;
}

ev_status evi_score_lamp(const ev_pruner *p, evi_crew *crew, const evi_layer *layer)
{
    filters f;
    EVI_TRY(find_filters(p, layer, &f));
    ev_status status = f.count <= EXACT ? lamp_sorted(p->handle.ctx, &f, layer->score)
                                        : lamp_counted(p->handle.ctx, crew, &f, layer->score);
    evi_free(f.of);
    return status;
}

/* ---- FPGM ------------------------------------------------------------------------------------ */

enum { ROWS = 512, TERMS = 1024 };

/* Filters one below the other; packed where they do not lie so. */
typedef struct fpgm_job {
    const filters *f;
    int64_t n, k;        /* filters, weights of each */
    int64_t per_channel; /* indices of a channel */
    int64_t *index;      /* [n][per_channel] */
    evi_real *panel;     /* [n][TERMS], or NULL: the weights as they lie */
    evi_real *products;  /* [ROWS][n] */
    double *square;      /* [n] */
    void *scratch;
    int64_t first_term, n_terms;
} fpgm_job;

/* Term t of a filter: index of the channel, then outer, then inner. */
static void gather_filter(void *arg, int64_t c, int32_t worker)
{
    const fpgm_job *j = arg;
    const filters *f = j->f;
    evi_real *to = j->panel + c * TERMS;
    (void)worker;
    for (int64_t t = 0; t < j->n_terms; t++) {
        int64_t at = j->first_term + t, x = at % f->inner, o = at / f->inner % f->outer;
        int64_t index = j->index[c * j->per_channel + at / f->inner / f->outer];
        to[t] = f->w[(o * f->len + index) * f->inner + x];
    }
}

/* Products of filters first .. first+rows-1 with all up to them. */
static void multiply(evi_crew *crew, const evi_kernels *k, fpgm_job *j, int64_t first, int64_t rows)
{
    for (int64_t t = 0; t < j->k; t += j->panel == NULL ? j->k : TERMS) {
        const evi_real *b = j->f->w;
        int64_t ld = j->k, terms = j->k;
        if (j->panel != NULL) {
            j->first_term = t;
            j->n_terms = terms = EVI_MIN(TERMS, j->k - t);
            evi_parallel(crew, first + rows, gather_filter, j);
            b = j->panel;
            ld = TERMS;
        }
        evi_gemm_args a = {.m = rows,
                           .n = first + rows,
                           .k = terms,
                           .a = b + first * ld,
                           .lda = ld,
                           .b = b,
                           .ldb = ld,
                           .c = j->products,
                           .ldc = j->n,
                           .trans_b = true,
                           .accumulate = t > 0};
        evi_gemm(crew, k, &a, j->scratch);
    }
}

static void add_distances(const fpgm_job *j, int64_t first, int64_t rows, double *score)
{
    for (int64_t i = 0; i < rows; i++)
        j->square[first + i] = (double)j->products[i * j->n + first + i];
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < first + i; c++) {
            double d = j->square[first + i] + j->square[c] - 2 * (double)j->products[i * j->n + c];
            d = d > 0 ? sqrt(d) : d - d; /* NaN stays NaN */
            score[first + i] += d;
            score[c] += d;
        }
}

static ev_status fpgm_memory(ev_context *ctx, const evi_kernels *k, bool lies_so, fpgm_job *j)
{
    int64_t rows = EVI_MIN(ROWS, j->n), terms = lies_so ? j->k : EVI_MIN(TERMS, j->k);
    uint64_t scratch =
        evi_gemm_scratch_bytes(k, rows, j->n, terms, false, true, ev_context_threads(ctx));
    EVI_TRY(evi_malloc(ctx, (uint64_t)j->n, (uint64_t)rows * sizeof(evi_real), &j->products));
    EVI_TRY(evi_malloc(ctx, (uint64_t)j->n, sizeof(double), &j->square));
    EVI_TRY(evi_malloc(ctx, scratch, 1, &j->scratch));
    return lies_so ? EV_OK : evi_malloc(ctx, (uint64_t)j->n, TERMS * sizeof(evi_real), &j->panel);
}

/* Which indices a channel has; true when filters lie one below the other from the start. */
static ev_status fpgm_order(ev_context *ctx, fpgm_job *j, bool *lies_so)
{
    const filters *f = j->f;
    int64_t known = 0;
    for (int64_t i = 0; i < f->len; i++)
        known += f->of[i] >= 0;
    j->per_channel = known / EVI_MAX(j->n, 1);
    j->k = j->per_channel * f->outer * f->inner;
    *lies_so = f->outer == 1;
    EVI_TRY(evi_calloc(ctx, (uint64_t)known, sizeof(int64_t), &j->index));
    int32_t *filled = NULL;
    EVI_TRY(evi_calloc(ctx, (uint64_t)j->n, sizeof(int32_t), &filled));
    for (int64_t i = 0; i < f->len; i++) {
        int32_t c = f->of[i];
        *lies_so = *lies_so && c == (int32_t)(i / EVI_MAX(j->per_channel, 1));
        if (c >= 0 && filled[c] < j->per_channel)
            j->index[c * j->per_channel + filled[c]++] = i;
    }
    evi_free(filled);
    return EV_OK;
}

ev_status evi_score_fpgm(const ev_pruner *p, evi_crew *crew, const evi_layer *layer)
{
    const evi_kernels *k = evi_kernels_for(evi_cpu_flags(p->handle.ctx));
    filters f;
    bool lies_so = false;
    EVI_TRY(find_filters(p, layer, &f));
    fpgm_job j = {.f = &f, .n = p->groups.groups[layer->group].n};
    ev_status status = fpgm_order(p->handle.ctx, &j, &lies_so);
    if (status == EV_OK)
        status = fpgm_memory(p->handle.ctx, k, lies_so, &j);
    for (int64_t i = 0; i < j.n && status == EV_OK; i += ROWS) {
        int64_t rows = EVI_MIN(ROWS, j.n - i);
        multiply(crew, k, &j, i, rows);
        add_distances(&j, i, rows, layer->score);
    }
    evi_free(j.index);
    evi_free(j.panel);
    evi_free(j.products);
    evi_free(j.square);
    evi_free(j.scratch);
    evi_free(f.of);
    return status;
}
