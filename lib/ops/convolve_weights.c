/* SPDX-License-Identifier: MIT */
/* Gradients of convolution's weights and bias.
 *
 *     dw[m][c, t] = sum over pictures, rows, pixels of dy[m][.] * x[c][. + offset of t]
 *
 * Both run along pixels, so the dot tiles read dy as it stands and x in its bordered copy.  The
 * hard case is the first layer: few weights, a long sum.  So the sum is cut: the units (some rows,
 * or some whole small pictures) are dealt to partial sums, in a number that follows from the shape
 * alone, and the partial sums are added in order.  When the weights are many, there are few partial
 * sums and the tasks divide the output channels instead.
 *
 * Rows that do not fill whole vectors leave lanes idle.  Then dy is copied too, in rows as long as
 * those of the bordered x, zeros between: a picture becomes one long row for both. */
#include "ops/convolve_outer.h"
#include "ops/depthwise.h"
#include "ops/winograd.h"

#include <string.h>

enum {
    UNIT_VALUES = 8192,   /* of dy in a unit: a tile's rows of that length stay in L1 */
    MAX_SUMS = 16,        /* partial sums */
    SUM_VALUES = 1 << 20, /* their values together, at most, if more than one */
    TASKS = 8,            /* enough for a handful of threads */
    PIECE = 4096
};

typedef struct job {
    const evi_kernels *k;
    const evi_conv_shape *s;
    evi_taps taps;
    bool in_place;
    int64_t channels, outputs, depth; /* of a group; depth = channels * taps */
    int64_t in_plane, out_plane;
    int64_t rows, row_blocks, images, units; /* a unit: rows of `images` pictures */
    int64_t chunk;                           /* channels copied at a time */
    int64_t channel;                         /* values between channels */
    int64_t n_sums, values;
    int64_t m_step, m_blocks, group_step, group_blocks;
    int32_t mr, nr;
    bool copies_dy;
    int64_t dy_pitch, panel_values; /* of a copy of dy: mr channels */
    int64_t block_values;           /* of the copy of x; that of dy follows it */
    uint64_t worker_bytes;
    const evi_real *x, *dy;
    const uint8_t *where;
    evi_real *dw, *sums;
    bool accumulate;
    int32_t *off;
    char *scratch;
} job;

/* Is a copy of dy worth it, and how long are its rows?  Compare the shares of lanes that do work,
 * with a quarter of a vector of overhead for each row and a twentieth for the copy; it must also be
 * paid for by enough terms.  A pooled gradient is spread out in a copy anyway. */
static void set_copy(job *j)
{
    const evi_conv_shape *s = j->s;
    const int64_t lanes = j->k->lanes, w = j->taps.out_w, vectors = evi_div_up(w, lanes);
    const int64_t room = j->k->plane_bytes / (int64_t)sizeof(evi_real);
    const double by_row = (double)w / (double)(vectors * lanes + lanes / 4);
    const double share = (double)w / (double)j->taps.pitch;
    const bool longer = !j->in_place && j->taps.pitch > w;
    /* A bound that does not fall when n grows, unlike images * chunk itself. */
    const int64_t most = EVI_MAX(room, j->images * j->channel);

    j->block_values = j->in_place ? 0 : EVI_MIN(most, j->images * j->channels * j->channel);
    j->block_values = (int64_t)evi_round_up((uint64_t)j->block_values, EVI_ALIGN);
    j->copies_dy = s->pooled || (longer && j->depth >= 48 && 0.95 * share > by_row);
    j->dy_pitch = longer && share > by_row ? j->taps.pitch : w;
    j->panel_values = j->copies_dy ? j->mr * j->images * j->rows * j->dy_pitch : 0;
    j->worker_bytes =
        evi_round_up(sizeof(evi_real) * (uint64_t)(j->block_values + j->panel_values), EVI_ALIGN);
}

static void set_sizes(job *j, const evi_kernels *k, const evi_conv_shape *s)
{
    memset(j, 0, sizeof(*j));
    j->k = k;
    j->s = s;
    j->taps = evi_taps_forward(s);
    j->channels = s->c_in / s->groups;
    j->outputs = s->c_out / s->groups;
    j->depth = j->channels * s->kh * s->kw;
    j->in_plane = s->h * s->w;
    j->out_plane = s->pooled ? (s->out_h / 2) * (s->out_w / 2) : s->out_h * s->out_w;
    j->values = s->c_out * j->depth;
    j->in_place = j->taps.in_place && j->in_plane < INT32_MAX / 2;

    const bool few = j->outputs <= k->dot_few_mr;
    j->mr = few ? k->dot_few_mr : k->dot_mr;
    j->nr = few ? k->dot_few_nr : k->dot_nr;
    const int64_t out_h = j->taps.out_h, out_w = j->taps.out_w, unit = UNIT_VALUES / j->mr;
    j->rows = EVI_MIN(EVI_MAX(unit / out_w, 1), out_h);
    if (s->pooled) /* both rows of a window */
        j->rows = EVI_MAX(j->rows / 2 * 2, 2);
    j->row_blocks = evi_div_up(out_h, j->rows);
    j->images = EVI_MAX(EVI_MIN(j->row_blocks > 1 ? 1 : unit / (out_h * out_w), s->n), 1);
    j->units = evi_div_up(s->n, j->images) * j->row_blocks;
    j->channel = j->in_place ? j->in_plane : evi_taps_channel(&j->taps, j->rows);
    int64_t room = j->in_place ? INT32_MAX : k->plane_bytes / (int64_t)sizeof(evi_real) / j->images;
    j->chunk = EVI_MAX(EVI_MIN(room / j->channel, j->channels), 1);

    j->n_sums = EVI_MAX(EVI_MIN(EVI_MIN(MAX_SUMS, j->units), SUM_VALUES / j->values), 1);
    j->group_step = EVI_MIN(s->groups, 16);
    j->group_blocks = evi_div_up(s->groups, j->group_step);
    int64_t blocks =
        EVI_MIN(evi_div_up(TASKS, j->n_sums * j->group_blocks), evi_div_up(j->outputs, 32));
    j->m_step = evi_div_up(evi_div_up(j->outputs, blocks), j->mr) * j->mr;
    j->m_blocks = evi_div_up(j->outputs, j->m_step);
    set_copy(j);
}

static uint64_t offsets_bytes(const job *j)
{
    return evi_round_up(sizeof(int32_t) * (uint64_t)j->depth, EVI_ALIGN);
}

static uint64_t sums_bytes(const job *j)
{
    return j->n_sums == 1
               ? 0
               : evi_round_up(sizeof(evi_real) * (uint64_t)(j->n_sums * j->values), EVI_ALIGN);
}

uint64_t evi_conv_weights_scratch_bytes(const evi_kernels *k, const evi_conv_shape *s,
                                        int32_t n_workers)
{
    job j;

    if (evi_conv_outer_fits(s))
        return evi_conv_outer_scratch_bytes(k, s, n_workers);
    set_sizes(&j, k, s);
    return offsets_bytes(&j) + sums_bytes(&j) + (uint64_t)n_workers * j.worker_bytes;
}

/* to[channel][picture][row][dy_pitch], zeros after each row, for rows y0 .. y0+rows-1. */
static void copy_dy(const job *j, int64_t at, int64_t images, int64_t m, int64_t y0, int64_t rows,
                    evi_real *to)
{
    const int64_t w = j->taps.out_w, gap = j->dy_pitch - w, step = j->s->pooled ? 2 : 1;

    for (int64_t i = 0; i < m * images; i++) {
        int64_t from = at + (i % images * j->s->c_out + i / images) * j->out_plane;

        from += y0 / step * (w / step);
        if (!j->s->pooled)
            j->k->copy_rows(rows, w, j->dy + from, w, to, w + gap);
        for (int64_t r = 0; r < rows; r += step, from += w / step, to += step * (w + gap)) {
            if (j->s->pooled)
                j->k->max_pool2_back(w / 2, j->dy + from, j->where + from, to, to + w + gap, 0);
            for (int64_t g = 0; g < step; g++)
                memset(to + g * (w + gap) + w, 0, (size_t)gap * sizeof(evi_real));
        }
    }
}

/* A part of a unit: one group, some of its outputs from dy's element `at` on. */
typedef struct unit {
    int64_t y0, rows, at, m;
    evi_real *panel;
    evi_ahead *ahead;
} unit;

/* One chunk of channels: add to (or set) that part of a sum. */
static void run_chunk(const job *j, const unit *u, evk_dot_tile *t, const evi_real *x,
                      int64_t n_terms, evi_real *sum)
{
    for (int64_t i = 0; i < u->m; i += t->m) {
        const int64_t at = u->at + i * j->out_plane;

        t->m = (int32_t)EVI_MIN(j->mr, u->m - i);
        t->a = j->copies_dy ? u->panel : j->dy + at + u->y0 * j->s->out_w;
        if (j->copies_dy)
            copy_dy(j, at, t->planes, t->m, u->y0, u->rows, u->panel);
        for (int64_t q = 0; q < n_terms; q += t->n) {
            t->n = (int32_t)EVI_MIN(j->nr, n_terms - q);
            t->b = x;
            t->off = j->off + q;
            t->c = sum + i * j->depth + q;
            j->k->dot_tile(t);
            evi_ahead_some(u->ahead);
        }
    }
}

/* What unit `number` will read, when that is all channels at once. */
static void look_ahead(const job *j, int64_t number, int64_t m0, int64_t m, evi_ahead *a)
{
    const evi_conv_shape *s = j->s;
    const int64_t image = number / j->row_blocks, y0 = number % j->row_blocks * j->rows;
    const int64_t rows = EVI_MIN(j->rows, j->taps.out_h - y0), step = s->pooled ? 2 : 1;
    const int64_t row = j->taps.out_w / step, values = rows / step * row;
    const int64_t at = (image * s->c_out + m0) * j->out_plane + y0 / step * row;

    if (j->images > 1 || j->chunk < j->channels || j->in_place || s->groups > 1 ||
        s->n * s->c_in * j->in_plane < EVI_AHEAD_BYTES / (int64_t)sizeof(evi_real))
        return;
    evi_taps_ahead(&j->taps, j->x + image * s->c_in * j->in_plane, NULL, s->c_in, y0, rows, a);
    evi_ahead_add(a, j->dy + at, j->out_plane * (int64_t)sizeof(evi_real),
                  values * (int64_t)sizeof(evi_real), m);
    if (s->pooled)
        evi_ahead_add(a, j->where + at, j->out_plane, values, m);
    evi_ahead_start(a, evi_div_up(m, j->mr) * evi_div_up(j->depth, j->nr));
}

/* One unit of one group: all its channels, a chunk at a time. */
static void run_unit(const job *j, int64_t number, int64_t g, int64_t m0, int64_t m, bool add,
                     evi_real *sum, evi_real *block, evi_ahead *ahead)
{
    const evi_conv_shape *s = j->s;
    const int64_t image = number / j->row_blocks * j->images, taps = s->kh * s->kw;
    const int64_t y0 = number % j->row_blocks * j->rows;
    const evi_real *x = j->x + (image * s->c_in + g * j->channels) * j->in_plane;
    const unit u = {.y0 = y0,
                    .rows = EVI_MIN(j->rows, j->taps.out_h - y0),
                    .at = (image * s->c_out + g * j->outputs + m0) * j->out_plane,
                    .m = m,
                    .panel = block + j->block_values,
                    .ahead = ahead};
    const int64_t a_row = j->copies_dy ? j->dy_pitch : s->out_w, w = j->taps.out_w;
    evk_dot_tile t = {.planes = EVI_MIN(j->images, s->n - image),
                      .rows = u.rows,
                      .len = w,
                      .lda = j->out_plane,
                      .a_plane = s->c_out * j->out_plane,
                      .a_step = a_row,
                      .b_step = j->taps.pitch,
                      .ldc = j->depth,
                      .flags = add ? EVK_TILE_ADD : 0};

    if (j->copies_dy) {
        t.a_plane = u.rows * j->dy_pitch;
        t.lda = t.planes * t.a_plane;
    }
    if (j->taps.pitch == a_row) { /* rows follow one another in both */
        t.len = (u.rows - 1) * a_row + w;
        t.rows = 1;
    }
    for (int64_t c = 0; c < j->channels; c += j->chunk) {
        const int64_t n = EVI_MIN(j->chunk, j->channels - c);
        const evi_real *b = block;

        t.b_plane = j->in_place ? s->c_in * j->in_plane : n * j->channel;
        if (j->in_place) {
            b = x + c * j->in_plane + y0 * s->w;
        } else {
            for (int64_t i = 0; i < t.planes * n; i++)
                evi_taps_fill(&j->taps, j->k, x + (i / n * s->c_in + c + i % n) * j->in_plane, y0,
                              u.rows, j->rows, block + i * j->channel);
        }
        run_chunk(j, &u, &t, b, n * taps, sum + m0 * j->depth + c * taps);
    }
}

static void weights_task(void *arg, int64_t task, int32_t worker)
{
    const job *j = arg;
    const int64_t mb = task % j->m_blocks, gb = task / j->m_blocks % j->group_blocks;
    const int64_t number = task / j->m_blocks / j->group_blocks;
    const int64_t u0 = number * j->units / j->n_sums, u1 = (number + 1) * j->units / j->n_sums;
    const int64_t m0 = mb * j->m_step, m = EVI_MIN(j->m_step, j->outputs - m0);
    evi_real *sum = j->n_sums == 1 ? j->dw : j->sums + number * j->values;
    evi_real *block = (evi_real *)(void *)(j->scratch + (uint64_t)worker * j->worker_bytes);
    const bool add = j->n_sums == 1 && j->accumulate;

    for (int64_t u = u0; u < u1; u++) {
        evi_ahead ahead = {.n = 0};

        if (u + 1 < u1)
            look_ahead(j, u + 1, m0, m, &ahead);
        for (int64_t g = gb * j->group_step; g < EVI_MIN((gb + 1) * j->group_step, j->s->groups);
             g++)
            run_unit(j, u, g, m0, m, add || u > u0, sum + g * j->outputs * j->depth, block, &ahead);
    }
}

typedef struct sums_job {
    const evi_kernels *k;
    const evi_real *sums;
    int64_t n_sums, values;
    evi_real *dw;
    bool accumulate;
} sums_job;

static void sums_task(void *arg, int64_t task, int32_t worker)
{
    const sums_job *j = arg;
    const int64_t i = task * PIECE, n = EVI_MIN(PIECE, j->values - i);

    (void)worker;
    if (j->accumulate)
        j->k->add(n, j->dw + i, j->sums + i, j->dw + i);
    else
        memcpy(j->dw + i, j->sums + i, (size_t)n * sizeof(evi_real));
    for (int64_t q = 1; q < j->n_sums; q++)
        j->k->add(n, j->dw + i, j->sums + q * j->values + i, j->dw + i);
}

void evi_conv_add_sums(evi_crew *crew, const evi_kernels *k, const evi_real *sums, int64_t n_sums,
                       int64_t values, bool accumulate, evi_real *dw)
{
    sums_job j = {k, sums, n_sums, values, dw, accumulate};

    evi_parallel(crew, evi_div_up(values, PIECE), sums_task, &j);
}

void evi_conv_back_weights(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                           const evi_real *x, const evi_real *dy, const uint8_t *where,
                           evi_real *dw, bool accumulate, void *scratch)
{
    job j;

    if (evi_depthwise_fits(s)) {
        evi_depthwise_back_weights(crew, k, s, x, dy, dw, accumulate, scratch);
        return;
    }
    if (evi_winograd_fits(k, s, EVI_CONV_BACK_WEIGHTS)) {
        evi_winograd_back_weights(crew, k, s, x, dy, where, dw, accumulate, scratch);
        return;
    }
    if (evi_conv_outer_fits(s)) {
        evi_conv_outer(crew, k, s, x, dy, dw, accumulate, scratch);
        return;
    }
    set_sizes(&j, k, s);
    j.x = x;
    j.dy = dy;
    j.where = where;
    j.dw = dw;
    j.accumulate = accumulate;
    j.off = scratch;
    j.sums = (evi_real *)(void *)((char *)scratch + offsets_bytes(&j));
    j.scratch = (char *)scratch + offsets_bytes(&j) + sums_bytes(&j);
    for (int64_t t = 0, taps = s->kh * s->kw; t < taps; t++) {
        int64_t at = j.in_place ? 0 : evi_taps_offset(&j.taps, j.rows, t);

        for (int64_t c = 0; c < j.chunk; c++)
            j.off[c * taps + t] = (int32_t)(c * j.channel + at);
    }
    evi_parallel(crew, j.n_sums * j.group_blocks * j.m_blocks, weights_task, &j);
    if (j.n_sums > 1)
        evi_conv_add_sums(crew, k, j.sums, j.n_sums, j.values, accumulate, dw);
}

typedef struct bias_job {
    const evi_kernels *k;
    int64_t n, channels, plane;
    const evi_real *dy;
    evi_real *db;
    bool accumulate;
    const uint8_t *where;
} bias_job;

static void bias_task(void *arg, int64_t c, int32_t worker)
{
    const bias_job *j = arg;
    evi_real sum = j->accumulate ? j->db[c] : 0;

    (void)worker;
    for (int64_t i = 0; i < j->n; i++) {
        const int64_t at = (i * j->channels + c) * j->plane;

        sum += j->where ? j->k->sum_where(j->plane, j->dy + at, j->where + at)
                        : j->k->sum(j->plane, j->dy + at);
    }
    j->db[c] = sum;
}

void evi_conv_back_bias(evi_crew *crew, const evi_kernels *k, int64_t n, int64_t channels,
                        int64_t plane, const evi_real *dy, const uint8_t *where, evi_real *db,
                        bool accumulate)
{
    bias_job j = {k, n, channels, plane, dy, db, accumulate, where};

    evi_parallel(crew, channels, bias_task, &j);
}

typedef struct relu_job {
    const evi_kernels *k;
    int64_t n, channels, plane;
    const evi_real *y;
    evi_real *dy, *db;
    bool accumulate;
} relu_job;

static void relu_task(void *arg, int64_t c, int32_t worker)
{
    const relu_job *j = arg;
    const evk_act relu = {.kind = EVK_ACT_RELU};
    evi_real sum = j->db && j->accumulate ? j->db[c] : 0;

    (void)worker;
    for (int64_t i = 0; i < j->n; i++) {
        const int64_t at = (i * j->channels + c) * j->plane;
        evi_real *dy = j->dy + at;

        j->k->act_back(j->plane, NULL, j->y + at, dy, &relu, dy, 0);
        if (j->db)
            sum += j->k->sum(j->plane, dy);
    }
    if (j->db)
        j->db[c] = sum;
}

void evi_conv_back_relu(evi_crew *crew, const evi_kernels *k, int64_t n, int64_t channels,
                        int64_t plane, const evi_real *y, evi_real *dy, evi_real *db,
                        bool accumulate)
{
    relu_job j = {k, n, channels, plane, y, dy, db, accumulate};

    evi_parallel(crew, channels, relu_task, &j);
}
