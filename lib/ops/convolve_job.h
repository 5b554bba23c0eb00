/* SPDX-License-Identifier: MIT */
/* The numbers of a convolution's forward pass or of its gradient by the input: convolve_job.c makes
 * them, convolve_pack.c brings the weights into their order, convolve.c runs. */
#ifndef EVI_CONVOLVE_JOB_H
#define EVI_CONVOLVE_JOB_H

#include "ops/convolve_plane.h"

/* One phase of the outputs. */
typedef struct evi_conv_part {
    evi_taps taps;
    int64_t first_y, first_x, jump_y, jump_x; /* which weight a tap is */
    int64_t py, px;
    int64_t depth;   /* channels * taps: the length of the sum */
    int64_t pack_at; /* its weights within a group's */
    int32_t *off;    /* for each term, relative to the first channel of its block of kc */
    bool in_place, flat, pool_tiles; /* pool_tiles: a pool's windows never leave the tile */
    int64_t row_tile;                /* columns of a tile when rows are cut one by one */
} evi_conv_part;

typedef struct evi_conv_job {
    const evi_kernels *k;
    const evi_conv_shape *s;
    const evi_conv_end *end;
    int32_t pass;
    int64_t channels, outputs; /* of a group, in the sense of the correlation */
    int64_t in_plane, out_plane, out_w;
    int64_t step_y, step_x; /* of outputs within a phase */
    int64_t n_parts;        /* phases: step_y * step_x */
    int32_t mr, nr;
    int64_t group_pack;         /* values of a group's packed weights */
    int64_t rows, channel_rows; /* rows of a task, and what the layout is made for */
    int64_t row_blocks, m_step, m_blocks, group_step, group_blocks;
    int32_t n_workers;          /* of this run */
    int64_t pool_rows, pool_ld; /* forward of a pooled shape: rows made before they are pooled, and
                                   the values of a channel of them; else 0 */
    const evi_real *in, *w, *packed;
    const uint8_t *where; /* back: of the pooled gradient */
    evi_real *pack_to;
    evi_real *out;
    char *scratch;
    uint64_t worker_bytes;
    int64_t block_values, tile_values, pool_values, spare_values; /* of a worker's places */
} evi_conv_job;

void evi_conv_set_part(const evi_conv_job *j, int64_t number, int64_t pack_at, evi_conv_part *p);
void evi_conv_set_sizes(evi_conv_job *j, const evi_kernels *k, const evi_conv_shape *s,
                        int32_t pass);
/* More, smaller tasks when the workers would not all find one.  The cut does not change bits. */
void evi_conv_spread(evi_conv_job *j, int32_t n_workers);
void evi_conv_set_offsets(const evi_conv_job *j, evi_conv_part *p);
/* Pack j->w of all groups into j->pack_to. */
void evi_conv_pack_all(evi_crew *crew, evi_conv_job *j);

#endif
