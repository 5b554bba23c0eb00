/* SPDX-License-Identifier: MIT */
/* Arch1..Arch11 of the paper's table 1: one table, one function that draws a row. */
#include "zoo/draw.h"

#define MAX_CONVOLUTIONS 13
#define POOL (-1) /* in a row of filters: the end of a block */

typedef struct ladder_row {
    const char *name, *size, *dense_text, *filters_text;
    int32_t filters[MAX_CONVOLUTIONS + 6]; /* ends with 0 */
    int32_t dense[3];                      /* ends with 0 */
    int32_t n_convolutions, n_dense;
    int64_t parameters, macs; /* at 224x224x3 with 4 classes; a test recounts them */
} ladder_row;

static const ladder_row ladder[] = {
    { "Arch1", "0.1 M", "8", "4/4",
      { 4, POOL, 4, POOL }, { 8 }, 2, 1, 100656, 7325728 },
    { "Arch2", "0.2 M", "16", "8/16/16",
      { 8, POOL, 16, POOL, 16, POOL }, { 16 }, 3, 1, 204500, 32714816 },
    { "Arch3", "0.4 M", "32", "16/16/16",
      { 16, POOL, 16, POOL, 16, POOL }, { 32 }, 3, 1, 406660, 58204288 },
    { "Arch4", "0.8 M", "128", "16/32/32/32",
      { 16, POOL, 32, POOL, 32, POOL, 32, POOL }, { 128 }, 4, 1, 827044, 116408832 },
    { "Arch5", "1.5 M", "128", "16/32/56/56",
      { 16, POOL, 32, POOL, 56, POOL, 56, POOL }, { 128 }, 4, 1, 1455124, 153589248 },
    { "Arch6", "3 M", "256", "16/32/56/56",
      { 16, POOL, 32, POOL, 56, POOL, 56, POOL }, { 256 }, 4, 1, 2860692, 154994688 },
    { "Arch7", "6 M", "256", "16/32/56/112",
      { 16, POOL, 32, POOL, 56, POOL, 112, POOL }, { 256 }, 4, 1, 5698828, 179932160 },
    { "Arch8", "13 M", "512", "16,16/32,32/64,64/128,128",
      { 16, 16, POOL, 32, 32, POOL, 64, 64, POOL, 128, 128, POOL },
      { 512 }, 8, 1, 13141140, 670353408 },
    { "Arch9", "35 M", "1,024", "64,64/128,128/256,256/512,512/512,512",
      { 64, 64, POOL, 128, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL },
      { 1024 }, 10, 1, 35100228, 11210526720 },
    { "Arch10", "67 M", "2x2,048", "64,64/128,128/256,256/512,512,512/512,512",
      { 64, 64, POOL, 128, 128, POOL, 256, 256, POOL, 512, 512, 512, POOL, 512, 512, POOL },
      { 2048, 2048 }, 11, 2, 67351620, 13090103296 },
    { "Arch11", "134 M", "2x4,096", "64,64/128,128/256,256,256/512,512,512/512,512,512",
      { 64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, 512, POOL,
        512, 512, 512, POOL },
      { 4096, 4096 }, 13, 2, 134276932, 15466184704 },
};

static ev_status find_row(int32_t number, const char *function, const ladder_row **out)
{
    *out = NULL;
    if (number < 1 || number > EVI_COUNT(ladder))
        return evi_fail(EV_ERR_ARGUMENT, "%s: number %d is not in 1..%d", function, (int)number,
                        EVI_COUNT(ladder));
    *out = &ladder[number - 1];
    return EV_OK;
}

int32_t ev_zoo_n_archs(void)
{
    return EVI_COUNT(ladder);
}

ev_status ev_zoo_arch_row(int32_t number, ev_zoo_row *out)
{
    const ladder_row *row = NULL;
    EVI_CHECK_POINTER(out);
    EVI_TRY(find_row(number, __func__, &row));
    const ev_zoo_row told = {
        .number = number,
        .name = row->name,
        .size = row->size,
        .dense = row->dense_text,
        .filters = row->filters_text,
        .n_convolutions = row->n_convolutions,
        .n_dense = row->n_dense,
        .parameters = row->parameters,
        .macs = row->macs,
    };
    return evi_options_write(out, &told, (uint32_t)sizeof(told), __func__);
}

ev_status ev_zoo_arch(ev_context *ctx, int32_t number, const ev_zoo_options *opt, ev_model **out)
{
    const ladder_row *row = NULL;
    ev_zoo_options o;
    evi_pen pen;
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_TRY(find_row(number, __func__, &row));
    EVI_TRY(evi_zoo_options_read(opt, 224, __func__, &o));
    evi_pen_start(&pen, ctx, o.channels, o.height, o.width, false);
    for (const int32_t *f = row->filters; *f != 0; f++) {
        if (*f == POOL) {
            evi_pen_max_pool(&pen, 2, 2, 0);
        } else {
            evi_pen_conv(&pen, *f, 3, 1, 1);
            evi_pen_relu(&pen);
        }
    }
    evi_pen_flatten(&pen);
    for (const int32_t *units = row->dense; *units != 0; units++) {
        evi_pen_dropout(&pen, o.dropout);
        evi_pen_dense(&pen, *units, EV_INIT_HE);
        evi_pen_relu(&pen);
    }
    evi_pen_dense(&pen, o.n_classes, EV_INIT_GLOROT);
    return evi_pen_end(&pen, "logits", out);
}
