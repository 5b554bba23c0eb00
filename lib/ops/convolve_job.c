/* SPDX-License-Identifier: MIT */
/* How a convolution is cut: numbers only, cheap enough to be made at each call. */
#include "ops/convolve_job.h"

#include <string.h>

enum {
    CHANNELS_AT_ONCE = 256,
    POOL_VALUES =
        8192 /* outputs that wait to be pooled: with the rows they come from they stay in L1 */
};

bool evi_conv_out_size(evi_conv_shape *s)
{
    int64_t h = s->h + s->pad_top + s->pad_bottom - s->dilation_h * (s->kh - 1) - 1;
    int64_t w = s->w + s->pad_left + s->pad_right - s->dilation_w * (s->kw - 1) - 1;

    if (h < 0 || w < 0)
        return false;
    s->out_h = h / s->stride_h + 1;
    s->out_w = w / s->stride_w + 1;
    return true;
}

/* Tiles across the ends of rows compute the pitch's extra columns and are stored through a buffer
 * (unless a pool reads them); tiles within a row leave lanes idle, and the last one is narrow.
 * Take what costs less: a tile as much as its vectors and a half. */
static void set_tiles(const evi_conv_job *j, evi_conv_part *p)
{
    const int64_t lanes = j->k->lanes, most = EVI_MAX(j->nr / lanes, 1);
    const int64_t vectors = evi_div_up(EVI_MAX(p->taps.out_w, 1), lanes);
    const int64_t tiles = evi_div_up(vectors, most);
    const bool pools = j->s->pooled && j->pass == EVI_CONV_FORWARD;
    const double flat = (double)p->taps.pitch / (double)lanes * (1 + 0.5 / (double)most);
    const double by_row = (double)vectors + 0.5 * (double)tiles;

    p->flat = p->taps.pitch == p->taps.out_w || flat * (pools ? 1 : 1.05) <= by_row;
    p->row_tile = evi_div_up(vectors, tiles) * lanes;
    /* The tile of few rows, half of it above the other half: only rows, and one part of the sum. */
    const int64_t half = j->k->few_nr / 2 / lanes;
    const int64_t halves = evi_div_up(vectors, EVI_MAX(half, 1));

    p->pool_tiles =
        pools && half > 0 && p->depth <= j->k->kc && 10 * p->taps.out_w >= 8 * vectors * lanes;
    if (p->pool_tiles)
        p->row_tile = evi_div_up(evi_div_up(vectors, halves) * lanes, 2) * 2;
}

void evi_conv_set_part(const evi_conv_job *j, int64_t number, int64_t pack_at, evi_conv_part *p)
{
    const evi_conv_shape *s = j->s;

    memset(p, 0, sizeof(*p));
    p->jump_y = p->jump_x = 1;
    if (j->pass == EVI_CONV_FORWARD) {
        p->taps = evi_taps_forward(s);
    } else {
        p->py = number / s->stride_w;
        p->px = number % s->stride_w;
        p->taps =
            evi_taps_backward(s, p->py, p->px, &p->first_y, &p->first_x, &p->jump_y, &p->jump_x);
    }
    p->depth = j->channels * p->taps.ny * p->taps.nx;
    p->pack_at = pack_at;
    /* Offsets are 32 bits wide. */
    p->in_place = p->taps.in_place && !(s->pooled && j->pass == EVI_CONV_BACK_DATA) &&
                  j->in_plane <= INT32_MAX / (j->k->kc + 2);

    set_tiles(j, p);
}

/* Channels whose terms a block of kc may touch. */
static int64_t chunk_channels(const evi_conv_job *j, const evi_conv_part *p)
{
    int64_t taps = EVI_MAX(p->taps.ny * p->taps.nx, 1);

    return EVI_MIN(j->channels, (j->k->kc + taps - 2) / taps + 1);
}

/* Rows that are made before they are pooled: all of a task's when the sum is cut, since they are
 * gone over several times. */
static void set_pool(evi_conv_job *j)
{
    const int64_t room = j->k->plane_bytes / (int64_t)sizeof(evi_real);
    evi_conv_part p;

    evi_conv_set_part(j, 0, 0, &p);
    const int64_t row = j->m_step * p.taps.pitch;

    j->channel_rows = EVI_MAX(j->channel_rows / 2 * 2, 2);
    if (p.depth > j->k->kc)
        j->channel_rows = EVI_MIN(j->channel_rows, EVI_MAX(room / row / 2 * 2, 2));
    j->pool_rows = p.depth > j->k->kc
                       ? j->channel_rows
                       : EVI_MIN(j->channel_rows, EVI_MAX(POOL_VALUES / row / 2 * 2, 2));
    j->pool_ld = (int64_t)evi_round_up((uint64_t)(j->pool_rows * p.taps.pitch), 16);
    if (j->pool_ld % 1024 == 0) /* channels a page apart would share few places of the cache */
        j->pool_ld += 16;
    j->pool_values = j->m_step * j->pool_ld;
}

/* Rows whose copy fits its share of the cache, for the largest phase, and the worker's places. */
static void set_rows(evi_conv_job *j)
{
    const uint64_t line = EVI_ALIGN / sizeof(evi_real);
    int64_t tallest = 1;
    evi_conv_part p;

    for (int64_t i = 0; i < j->n_parts; i++) {
        evi_conv_set_part(j, i, 0, &p);
        tallest = EVI_MAX(tallest, p.taps.out_h);
    }
    j->channel_rows = tallest;
    for (int64_t i = 0; i < j->n_parts; i++) {
        evi_conv_set_part(j, i, 0, &p);
        int64_t fixed = evi_taps_channel(&p.taps, 0), each = evi_taps_channel(&p.taps, 1) - fixed;
        int64_t room = j->k->plane_bytes / (int64_t)sizeof(evi_real) / chunk_channels(j, &p);

        if (room - fixed < 3 * each) /* rows copied twice would cost more than the room */
            room *= 2;
        j->channel_rows = EVI_MIN(j->channel_rows, EVI_MAX((room - fixed) / EVI_MAX(each, 1), 1));
    }
    if (j->s->pooled && j->pass == EVI_CONV_FORWARD)
        set_pool(j);
    for (int64_t i = 0; i < j->n_parts; i++) {
        evi_conv_set_part(j, i, 0, &p);
        if (!p.in_place)
            j->block_values =
                EVI_MAX(j->block_values,
                        chunk_channels(j, &p) * evi_taps_channel(&p.taps, j->channel_rows));
        if (j->s->pooled && j->pass == EVI_CONV_BACK_DATA)
            j->spare_values = evi_taps_spare(&p.taps);
    }
    j->block_values = (int64_t)evi_round_up((uint64_t)j->block_values, line);
    j->tile_values = (int64_t)evi_round_up((uint64_t)(j->mr * j->nr), line);
    j->worker_bytes = evi_round_up(sizeof(evi_real) * (uint64_t)(j->block_values + j->tile_values +
                                                                 j->pool_values + j->spare_values),
                                   EVI_ALIGN);
    j->rows = j->channel_rows;
    j->row_blocks = evi_div_up(tallest, j->rows);
}

void evi_conv_set_sizes(evi_conv_job *j, const evi_kernels *k, const evi_conv_shape *s,
                        int32_t pass)
{
    const bool forward = pass == EVI_CONV_FORWARD;
    const int64_t c_in = s->c_in / s->groups, c_out = s->c_out / s->groups;
    const int64_t y_plane = s->pooled ? (s->out_h / 2) * (s->out_w / 2) : s->out_h * s->out_w;

    memset(j, 0, sizeof(*j));
    j->k = k;
    j->s = s;
    j->pass = pass;
    j->channels = forward ? c_in : c_out;
    j->outputs = forward ? c_out : c_in;
    j->in_plane = forward ? s->h * s->w : y_plane;
    j->out_plane = forward ? y_plane : s->h * s->w;
    j->out_w = forward ? s->out_w : s->w;
    j->step_y = forward ? 1 : s->stride_h;
    j->step_x = forward ? 1 : s->stride_w;
    j->n_parts = j->step_y * j->step_x;
    j->mr = j->outputs <= k->few_mr ? k->few_mr : k->mr;
    j->nr = j->outputs <= k->few_mr ? k->few_nr : k->nr;
    /* Each weight belongs to one phase. */
    j->group_pack = evi_div_up(j->outputs, j->mr) * j->mr * j->channels * s->kh * s->kw;
    j->m_step = EVI_MIN(j->outputs, CHANNELS_AT_ONCE);
    j->m_blocks = evi_div_up(j->outputs, j->m_step);
    j->group_step = EVI_MIN(s->groups, 16);
    j->group_blocks = evi_div_up(s->groups, j->group_step);
    set_rows(j);
}

/* More, smaller tasks when the workers would not all find one.  The cut does not change bits. */
void evi_conv_spread(evi_conv_job *j, int32_t n_workers)
{
    const int64_t tallest = j->row_blocks * j->rows, goal = n_workers > 1 ? 6 * n_workers : 1;
    j->n_workers = n_workers;
    const int64_t others = j->s->n * j->step_y * j->m_blocks * j->group_blocks;

    if (others * j->row_blocks >= goal)
        return;
    int64_t least = EVI_MIN(evi_div_up(2 * j->nr, EVI_MAX(j->out_w / j->step_x, 1)), j->rows);
    j->rows = EVI_MIN(EVI_MAX(tallest / evi_div_up(goal, others), least), j->rows);
    if (j->pool_rows > 0) {
        j->rows = EVI_MAX(j->rows / 2 * 2, 2);
        j->pool_rows = EVI_MIN(j->pool_rows, j->rows);
    }
    j->row_blocks = evi_div_up(tallest, j->rows);
}

void evi_conv_set_offsets(const evi_conv_job *j, evi_conv_part *p)
{
    const int64_t taps = p->taps.ny * p->taps.nx;
    const int64_t channel = p->in_place ? j->in_plane : evi_taps_channel(&p->taps, j->channel_rows);

    for (int64_t t = 0; t < taps; t++) {
        int64_t at = p->in_place ? 0 : evi_taps_offset(&p->taps, j->channel_rows, t);

        for (int64_t c = 0; c < j->channels; c++) {
            int64_t term = c * taps + t, first = term / j->k->kc * j->k->kc / taps;

            p->off[term] = (int32_t)((c - first) * channel + at);
        }
    }
}
