/* SPDX-License-Identifier: MIT */
/* A convolution's weights in the order of the tiles. */
#include "ops/convolve_job.h"
#include "ops/depthwise.h"
#include "ops/winograd.h"

/* Panels of mr outputs, each a block of kc terms long: [kc block][panel][term][output]. */
static void pack_panel(const evi_conv_job *j, const evi_conv_part *p, int64_t g, int64_t m0,
                       evi_real *to)
{
    const evi_conv_shape *s = j->s;
    const int64_t taps = p->taps.ny * p->taps.nx, all = s->kh * s->kw;
    const int64_t m = EVI_MIN(j->mr, j->outputs - m0);
    const int64_t height = evi_div_up(j->outputs, j->mr) * j->mr;

    for (int64_t q = 0; q < p->depth; q += j->k->kc) {
        const int64_t len = EVI_MIN(j->k->kc, p->depth - q);
        evi_real *panel = to + q * height + m0 * len;

        if (j->pass == EVI_CONV_FORWARD) {
            j->k->transpose(m, len, j->w + (g * j->outputs + m0) * p->depth + q, p->depth, panel,
                            j->mr);
            continue;
        }
        for (int64_t r = 0; r < len;) {
            const int64_t c = (q + r) / taps, t = (q + r) % taps;
            const evi_real *from = j->w + ((g * j->channels + c) * j->outputs + m0) * all;

            if (taps == all && t == 0 && r + taps <= len) { /* stride 1: a whole kernel, reversed */
                j->k->transpose(m, taps, from, taps, panel + (r + taps - 1) * j->mr, -j->mr);
                r += taps;
                continue;
            }
            from += (p->first_y - t / p->taps.nx * p->jump_y) * s->kw + p->first_x -
                    t % p->taps.nx * p->jump_x;
            for (int64_t i = 0; i < m; i++)
                panel[r * j->mr + i] = from[i * all];
            r++;
        }
    }
}

static void pack_task(void *arg, int64_t task, int32_t worker)
{
    const evi_conv_job *j = arg;
    const int64_t panels = evi_div_up(j->outputs, j->mr), g = task / panels;
    evi_real *to = j->pack_to + g * j->group_pack;

    (void)worker;
    for (int64_t i = 0; i < j->n_parts; i++) {
        evi_conv_part p;

        evi_conv_set_part(j, i, 0, &p);
        pack_panel(j, &p, g, task % panels * j->mr, to);
        to += panels * j->mr * p.depth;
    }
}

void evi_conv_pack_all(evi_crew *crew, evi_conv_job *j)
{
    evi_parallel(crew, j->s->groups * evi_div_up(j->outputs, j->mr), pack_task, j);
}

uint64_t evi_conv_pack_bytes(const evi_kernels *k, const evi_conv_shape *s, int32_t pass)
{
    evi_conv_job j;

    if (evi_depthwise_fits(s))
        return 0;
    if (evi_winograd_fits(k, s, pass))
        return evi_winograd_pack_bytes(k, s, pass);
    evi_conv_set_sizes(&j, k, s, pass);
    return evi_round_up(sizeof(evi_real) * (uint64_t)(j.group_pack * s->groups), EVI_ALIGN);
}

void evi_conv_pack(const evi_kernels *k, const evi_conv_shape *s, int32_t pass, const evi_real *w,
                   void *packed)
{
    evi_conv_job j;

    if (evi_depthwise_fits(s))
        return;
    if (evi_winograd_fits(k, s, pass)) {
        evi_winograd_pack(k, s, pass, w, packed);
        return;
    }
    evi_conv_set_sizes(&j, k, s, pass);
    j.w = w;
    j.pack_to = packed;
    evi_conv_pack_all(NULL, &j);
}
