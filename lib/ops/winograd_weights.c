/* SPDX-License-Identifier: MIT */
/* The gradient of 3x3 weights by Winograd: 36 products a tile of 4x4 outputs instead of 144.
 *
 *     dw[k][c] = G^T [ sum over tiles of (A dy A^T)[k] * (B^T d B)[c] ] G
 *
 * For each of the 36 points the sum is a matrix product that runs along tiles.  It is taken over
 * blocks of output and input channels, whose 36 sums and transformed tiles stay in the caches (1 to
 * 5 MB), and over units: some tiles of a picture, or some whole small pictures.
 *
 *     for each unit: transform x, transform dy; for each point: sums += product
 *
 * Larger blocks are transformed less often: with 128 channels a sixth of the time goes there.  A
 * task is a block and a range of units; it ends with the transform to 9 weights.  When there are
 * few blocks, the units are dealt to partial results, in a number that follows from the shape
 * alone, and these are added in order. */
#include "ops/winograd_weights.h"
#include "ops/convolve_plane.h"

#include <string.h>

enum {
    POINTS = EVK_WINO_POINTS,
    BLOCK = 128,          /* channels of a block, at most; half where the caches are small */
    UNIT = 64,            /* tiles of a unit, the same */
    TASKS = 16,           /* enough for a handful of threads */
    MAX_SUMS = 16,        /* partial results */
    SUM_VALUES = 5 << 18, /* their values together, at most, if more than one */
    GAP = 16              /* values between points: without, 36 places share a set of the cache */
};

typedef struct job {
    const evi_kernels *k;
    const evi_conv_shape *s;
    const evi_real *x, *dy;
    const uint8_t *where;
    evi_real *dw, *sums;
    bool accumulate;
    bool swap;                /* sums are [c][k]: the side with more channels fills vectors */
    int64_t dy_h, dy_w;       /* of a plane of dy as it lies in memory */
    int64_t tiles_y, tiles_x; /* of a picture */
    int64_t run, runs;        /* a unit: `run` tiles side by side, */
    int64_t rows, row_blocks; /* `rows` rows of tiles, */
    int64_t images, units;    /* `images` pictures */
    int64_t kb, cb, k_blocks, c_blocks;
    int64_t kd, cd, ud; /* distance of tiles in D, of tiles in V, of rows in the sums */
    int64_t k_point, c_point, u_point; /* distance of points there */
    int64_t n_sums, values;
    int64_t z_values, pool_values, worker_values;
    int32_t *off; /* of tiles in V, or in D when swapped */
    evi_real *scratch;
} job;

/* The scratch of a worker. */
typedef struct place {
    evi_real *z, *pool, *v, *d, *u, *g;
} place;

/* A part of the tiles: where it begins and how far it goes. */
typedef struct unit {
    int64_t image, images, ty, rows, tx, run;
} unit;

static int64_t round_to(int64_t a, int64_t step)
{
    return evi_div_up(a, step) * step;
}

/* How many of `n` things to take at a time, about evenly, at most `most`. */
static int64_t share(int64_t n, int64_t most)
{
    return evi_div_up(n, evi_div_up(n, EVI_MAX(most, 1)));
}

static void set_unit(job *j, int64_t tiles)
{
    j->run = share(j->tiles_x, tiles);
    j->runs = evi_div_up(j->tiles_x, j->run);
    j->rows = j->runs > 1 ? 1 : share(j->tiles_y, tiles / j->run);
    j->row_blocks = evi_div_up(j->tiles_y, j->rows);
    j->images = 1;
    if (j->runs == 1 && j->row_blocks == 1)
        j->images = EVI_MIN(EVI_MAX(tiles / (j->run * j->rows), 1), j->s->n);
    j->units = evi_div_up(j->s->n, j->images) * j->row_blocks * j->runs;
}

static void set_places(job *j)
{
    const int64_t lanes = j->k->grad_lanes, tiles = j->run * j->rows * j->images;

    j->kd = round_to(j->kb, GAP);
    j->cd = round_to(j->cb, GAP);
    j->ud = j->swap ? j->kd : j->cd;
    j->k_point = tiles * j->kd + GAP;
    j->c_point = tiles * j->cd + GAP;
    j->u_point = (j->swap ? j->cb : j->kb) * j->ud + GAP;
    j->z_values = round_to((4 * j->rows + 2) * (4 * j->run + 2) * lanes, GAP);
    j->pool_values = j->s->pooled ? round_to(lanes * 2 * 4 * j->run, GAP) : 0;
    j->worker_values = j->z_values + j->pool_values +
                       POINTS * (j->k_point + j->c_point + j->u_point) + 9 * j->u_point;
}

static void set_sizes(job *j, const evi_kernels *k, const evi_conv_shape *s)
{
    memset(j, 0, sizeof(*j));
    j->k = k;
    j->s = s;
    j->dy_h = s->pooled ? s->out_h / 2 : s->out_h;
    j->dy_w = s->pooled ? s->out_w / 2 : s->out_w;
    j->tiles_y = evi_div_up(s->out_h, 4);
    j->tiles_x = evi_div_up(s->out_w, 4);
    j->values = s->c_out * s->c_in * 9;

    const bool large = k->plane_bytes >= 256 << 10;
    const int64_t block = large ? BLOCK : BLOCK / 2;

    j->kb = EVI_MIN(round_to(share(s->c_out, block), 8), s->c_out);
    j->cb = EVI_MIN(round_to(share(s->c_in, block), k->grad_lanes), s->c_in);
    j->k_blocks = evi_div_up(s->c_out, j->kb);
    j->c_blocks = evi_div_up(s->c_in, j->cb);
    j->swap = s->c_out > s->c_in && s->c_in <= 2 * k->lanes;
    set_unit(j, large ? UNIT : UNIT / 2);
    j->n_sums = EVI_MIN(evi_div_up(TASKS, j->k_blocks * j->c_blocks), SUM_VALUES / j->values);
    j->n_sums = EVI_MAX(EVI_MIN(EVI_MIN(j->n_sums, MAX_SUMS), j->units), 1);
    set_places(j);
}

static uint64_t offsets_bytes(const job *j)
{
    return evi_round_up(sizeof(int32_t) * (uint64_t)(j->run * j->rows * j->images), EVI_ALIGN);
}

static uint64_t sums_bytes(const job *j)
{
    return j->n_sums == 1
               ? 0
               : evi_round_up(sizeof(evi_real) * (uint64_t)(j->n_sums * j->values), EVI_ALIGN);
}

static place place_of(const job *j, int32_t worker)
{
    place p;

    p.z = j->scratch + worker * j->worker_values;
    p.pool = p.z + j->z_values;
    p.v = p.pool + j->pool_values;
    p.d = p.v + POINTS * j->c_point;
    p.u = p.d + POINTS * j->k_point;
    p.g = p.u + POINTS * j->u_point;
    return p;
}

static unit unit_of(const job *j, int64_t number)
{
    unit u = {.tx = number % j->runs * j->run,
              .ty = number / j->runs % j->row_blocks * j->rows,
              .image = number / j->runs / j->row_blocks * j->images};

    u.run = EVI_MIN(j->run, j->tiles_x - u.tx);
    u.rows = EVI_MIN(j->rows, j->tiles_y - u.ty);
    u.images = EVI_MIN(j->images, j->s->n - u.image);
    return u;
}

/* A group of channels of x or dy, and the part that a unit needs: rows from y0, columns from x0,
 * zeros outside the plane. */
typedef struct group {
    const evi_real *at; /* the first channel */
    const uint8_t *where;
    int32_t m; /* channels */
    int64_t h, w, y0, x0;
} group;

static group group_of_x(const job *j, const unit *u, int64_t image, int64_t c, int64_t end)
{
    const evi_conv_shape *s = j->s;

    return (group){.at = j->x + (image * s->c_in + c) * s->h * s->w,
                   .m = (int32_t)EVI_MIN(j->k->grad_lanes, end - c),
                   .h = s->h,
                   .w = s->w,
                   .y0 = 4 * u->ty - s->pad_top,
                   .x0 = 4 * u->tx - s->pad_left};
}

static group group_of_dy(const job *j, const unit *u, int64_t image, int64_t k, int64_t end)
{
    const int64_t at = (image * j->s->c_out + k) * j->dy_h * j->dy_w, part = j->s->pooled ? 2 : 4;

    return (group){.at = j->dy + at,
                   .where = j->s->pooled ? j->where + at : NULL,
                   .m = (int32_t)EVI_MIN(j->k->grad_lanes, end - k),
                   .h = j->dy_h,
                   .w = j->dy_w,
                   .y0 = part * u->ty,
                   .x0 = part * u->tx};
}

/* Row r of the next group comes soon: ask for it while row r of this one is being moved. */
static const evi_real *row_ahead(const group *next, int64_t r)
{
    const int64_t y = next->y0 + r;

    return y < 0 || y >= next->h ? NULL : next->at + y * next->w + EVI_MAX(next->x0, 0);
}

/* A row of z: n columns of m channels from column x0 on, zeros outside 0..width-1. */
static void spread_row(const job *j, evk_grad_rows *g, int64_t x0, int64_t width, int64_t n)
{
    const int64_t lanes = j->k->grad_lanes;
    const int64_t left = EVI_MIN(EVI_MAX(-x0, 0), n);
    const int64_t end = EVI_MAX(EVI_MIN(width - x0, n), left);
    evi_real *z = g->z;

    memset(z, 0, (size_t)(left * lanes) * sizeof(*z));
    g->n = end - left;
    g->x += x0 + left;
    g->z += left * lanes;
    j->k->grad_spread(g);
    memset(z + end * lanes, 0, (size_t)((n - end) * lanes) * sizeof(*z));
}

/* Row r of the unit's part of x. */
static void spread_x(const job *j, const group *g, const group *next, int64_t r, int64_t columns,
                     evi_real *z)
{
    const int64_t y = g->y0 + r;
    evk_grad_rows a = {.m = g->m,
                       .x = g->at + y * g->w,
                       .ldx = g->h * g->w,
                       .z = z,
                       .next = row_ahead(next, r),
                       .next_ldx = next->h * next->w};

    if (y < 0 || y >= g->h)
        memset(z, 0, (size_t)(columns * j->k->grad_lanes) * sizeof(*z));
    else
        spread_row(j, &a, g->x0, g->w, columns);
}

/* V of a group of x in one picture. */
static void transform_x(const job *j, const unit *u, const group *g, const group *next, evi_real *z,
                        evi_real *v)
{
    const int64_t columns = 4 * u->run + 2, row = columns * j->k->grad_lanes;
    evk_grad_tiles t = {
        .n = u->run, .m = g->m, .z = z, .row = row, .v = v, .point = j->c_point, .step = j->cd};

    for (int64_t r = 0, filled = 0; r < u->rows; r++) {
        for (; filled < 4 * r + 6; filled++)
            spread_x(j, g, next, filled, columns, z + filled * row);
        j->k->grad_x(&t);
        t.z += 4 * row;
        t.v += u->run * j->cd;
    }
}

/* Rows 2 y and 2 y + 1 of dy, made from row y of the pooled gradient: to[channel][2][4 run]. */
static void unpool(const job *j, const group *g, int64_t y, int64_t n, evi_real *to)
{
    const int64_t from = y * g->w + g->x0, plane = g->h * g->w, width = 4 * j->run;

    for (int32_t i = 0; i < g->m; i++)
        j->k->max_pool2_back(n, g->at + i * plane + from, g->where + i * plane + from,
                             to + 2 * i * width, to + (2 * i + 1) * width, 0);
}

/* Row r of the unit's part of dy; when it is pooled, from row r / 2, unpooled when r is even. */
static void spread_dy(const job *j, const group *g, const group *next, int64_t r, int64_t columns,
                      evi_real *pool, evi_real *z)
{
    const int64_t y = g->y0 + (g->where ? r / 2 : r);
    evk_grad_rows a = {.m = g->m,
                       .x = g->at + y * g->w,
                       .ldx = g->h * g->w,
                       .z = z,
                       .next = row_ahead(next, r),
                       .next_ldx = next->h * next->w};

    if (y >= g->h) {
        memset(z, 0, (size_t)(columns * j->k->grad_lanes) * sizeof(*z));
        return;
    }
    if (!g->where) {
        spread_row(j, &a, g->x0, g->w, columns);
        return;
    }
    const int64_t n = EVI_MAX(EVI_MIN(g->w - g->x0, columns / 2), 0);

    if (r % 2 == 0)
        unpool(j, g, y, n, pool);
    a.x = pool + r % 2 * 4 * j->run;
    a.ldx = 8 * j->run;
    spread_row(j, &a, 0, 2 * n, columns);
}

/* D of a group of dy in one picture. */
static void transform_dy(const job *j, const unit *u, const group *g, const group *next,
                         const place *p, evi_real *d)
{
    const int64_t columns = 4 * u->run, row = columns * j->k->grad_lanes;
    evk_grad_tiles t = {
        .n = u->run, .m = g->m, .z = p->z, .row = row, .v = d, .point = j->k_point, .step = j->kd};

    for (int64_t r = 0; r < u->rows; r++) {
        for (int64_t i = 0; i < 4; i++)
            spread_dy(j, g, next, 4 * r + i, columns, p->pool, p->z + i * row);
        j->k->grad_dy(&t);
        t.v += u->run * j->kd;
    }
}

/* after: the unit that comes next, or this one. */
static void transform_unit(const job *j, const unit *u, const unit *after, int64_t k0, int64_t kn,
                           int64_t c0, int64_t cn, const place *p)
{
    const int64_t lanes = j->k->grad_lanes, tiles = u->run * u->rows;

    for (int64_t i = 0; i < u->images; i++) {
        const int64_t image = u->image + i;
        const bool last = i + 1 == u->images;

        for (int64_t c = 0; c < cn; c += lanes) {
            const group g = group_of_x(j, u, image, c0 + c, c0 + cn);
            const group next = c + lanes < cn ? group_of_x(j, u, image, c0 + c + lanes, c0 + cn)
                                              : group_of_dy(j, u, image, k0, k0 + kn);

            transform_x(j, u, &g, &next, p->z, p->v + i * tiles * j->cd + c);
        }
        for (int64_t k = 0; k < kn; k += lanes) {
            const group g = group_of_dy(j, u, image, k0 + k, k0 + kn);
            const group next =
                k + lanes < kn
                    ? group_of_dy(j, u, image, k0 + k + lanes, k0 + kn)
                    : group_of_x(j, last ? after : u, last ? after->image : image + 1, c0, c0 + cn);

            transform_dy(j, u, &g, &next, p, p->d + i * tiles * j->kd + k);
        }
    }
}

/* sums[m][n] += product of two sides, one of them V and the other D, for all points. */
static void multiply(const job *j, int64_t tiles, int64_t m, int64_t n, bool add, const place *p)
{
    const int64_t few_n = j->k->nr + j->k->lanes; /* better at once than a tile and one vector */
    const evi_real *a = j->swap ? p->v : p->d, *b = j->swap ? p->d : p->v;
    evk_tile t = {.k = tiles,
                  .a_step = j->swap ? j->cd : j->kd,
                  .off = j->off,
                  .ldc = j->ud,
                  .flags = add ? EVK_TILE_ADD : 0};

    for (int64_t point = 0; point < POINTS; point++) {
        for (int64_t q = 0; q < n; q += t.n) {
            const bool few = n - q > j->k->nr && n - q <= few_n && few_n <= j->k->few_nr;
            const int64_t mr = few ? j->k->few_mr : j->k->mr;

            t.n = (int32_t)EVI_MIN(few ? few_n : j->k->nr, n - q);
            t.b = b + point * (j->swap ? j->k_point : j->c_point) + q;
            for (int64_t i = 0; i < m; i += t.m) {
                t.m = (int32_t)EVI_MIN(mr, m - i);
                t.a = a + point * (j->swap ? j->c_point : j->k_point) + i;
                t.c = p->u + point * j->u_point + i * j->ud + q;
                j->k->tile(&t);
            }
        }
    }
}

/* From 36 sums to 9 weights: kn x cn of them. */
static void finish(const job *j, const place *p, int64_t kn, int64_t cn, bool add, evi_real *to)
{
    const int64_t m = j->swap ? cn : kn, n = j->swap ? kn : cn, line = j->s->c_in * 9;
    const int64_t step = j->swap ? line : 9;
    evi_real *row = p->v;

    j->k->grad_end((m - 1) * j->ud + n, p->u, j->u_point, p->g, j->u_point);
    for (int64_t i = 0; i < m; i++) {
        evi_real *first = to + i * (j->swap ? 9 : line);

        j->k->transpose(9, n, p->g + i * j->ud, j->u_point, row, 9);
        if (!add)
            j->k->copy_rows(n, 9, row, 9, first, step);
        else if (!j->swap)
            j->k->add(9 * n, first, row, first);
        for (int64_t q = 0; add && j->swap && q < n; q++)
            j->k->add(9, first + q * step, row + q * 9, first + q * step);
    }
}

static void weights_task(void *arg, int64_t task, int32_t worker)
{
    const job *j = arg;
    const int64_t c0 = task % j->c_blocks * j->cb, k0 = task / j->c_blocks % j->k_blocks * j->kb;
    const int64_t cn = EVI_MIN(j->cb, j->s->c_in - c0), kn = EVI_MIN(j->kb, j->s->c_out - k0);
    const int64_t number = task / j->c_blocks / j->k_blocks;
    const int64_t u0 = number * j->units / j->n_sums, u1 = (number + 1) * j->units / j->n_sums;
    const place p = place_of(j, worker);
    evi_real *to = j->n_sums == 1 ? j->dw : j->sums + number * j->values;

    for (int64_t i = u0; i < u1; i++) {
        const unit u = unit_of(j, i), after = unit_of(j, EVI_MIN(i + 1, j->units - 1));

        transform_unit(j, &u, &after, k0, kn, c0, cn, &p);
        multiply(j, u.images * u.rows * u.run, j->swap ? cn : kn, j->swap ? kn : cn, i > u0, &p);
    }
    finish(j, &p, kn, cn, j->n_sums == 1 && j->accumulate, to + (k0 * j->s->c_in + c0) * 9);
}

/* Measured: below these numbers of channels the transforms cost more than the products save, and
 * where half the tiles' outputs lie outside the plane nothing is gained. */
bool evi_winograd_weights_fits(const evi_kernels *k, const evi_conv_shape *s)
{
    const int64_t tiles = evi_div_up(s->out_h, 4) * evi_div_up(s->out_w, 4);

    return s->kh == 3 && s->kw == 3 && s->stride_h == 1 && s->stride_w == 1 && s->dilation_h == 1 &&
           s->dilation_w == 1 && s->groups == 1 && !s->precise && s->c_in >= 8 && s->c_out >= 8 &&
           s->c_in + s->c_out >= k->grad_lanes + 12 && s->out_h * s->out_w >= 8 * tiles;
}

uint64_t evi_winograd_weights_scratch_bytes(const evi_kernels *k, const evi_conv_shape *s,
                                            int32_t n_workers)
{
    job j;

    set_sizes(&j, k, s);
    return offsets_bytes(&j) + sums_bytes(&j) +
           (uint64_t)(n_workers * j.worker_values) * sizeof(evi_real);
}

void evi_winograd_back_weights(evi_crew *crew, const evi_kernels *k, const evi_conv_shape *s,
                               const evi_real *x, const evi_real *dy, const uint8_t *where,
                               evi_real *dw, bool accumulate, void *scratch)
{
    job j;

    set_sizes(&j, k, s);
    j.x = x;
    j.dy = dy;
    j.where = where;
    j.dw = dw;
    j.accumulate = accumulate;
    j.off = scratch;
    j.sums = (evi_real *)(void *)((char *)scratch + offsets_bytes(&j));
    j.scratch = (evi_real *)(void *)((char *)j.sums + sums_bytes(&j));
    for (int64_t t = 0; t < j.run * j.rows * j.images; t++)
        j.off[t] = (int32_t)(t * (j.swap ? j.kd : j.cd));
    evi_parallel(crew, j.n_sums * j.k_blocks * j.c_blocks, weights_task, &j);
    if (j.n_sums > 1)
        evi_conv_add_sums(crew, k, j.sums, j.n_sums, j.values, accumulate, dw);
}
