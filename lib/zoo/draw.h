/* SPDX-License-Identifier: MIT */
/* A pen that draws layer after layer and remembers the first failure, so that a network reads as
 * the list of its layers. */
#ifndef EVI_ZOO_DRAW_H
#define EVI_ZOO_DRAW_H

#include "base/base.h"
#include <edgevision/model.h>
#include <edgevision/zoo.h>

typedef struct evi_pen {
    ev_model *model;
    ev_value x; /* the end of what was drawn */
    ev_status status;
    int32_t pad_mode;  /* EV_PAD_*: how evi_pen_conv fills borders */
    int32_t affine;    /* of instance norms: 1 or -1 */
    int32_t init;      /* of convolutions */
    float init_value;
} evi_pen;

/* A new model with the input "image" [N,channels,height,width]; any_size: a plan may ask for other
 * heights and widths. */
void evi_pen_start(evi_pen *p, ev_context *ctx, int32_t channels, int32_t height, int32_t width,
                   bool any_size);
/* Declare the end as the output; the model goes to *out, or to nobody after a failure. */
ev_status evi_pen_end(evi_pen *p, const char *output, ev_model **out);

/* Square convolution with `pad` pixels of border on all sides, filled as pad_mode says. */
void evi_pen_conv(evi_pen *p, int32_t filters, int32_t kernel, int32_t stride, int32_t pad);
void evi_pen_conv_plain(evi_pen *p, int32_t filters, int32_t kernel, int32_t stride, int32_t pad,
                        int32_t no_bias);
void evi_pen_depthwise(evi_pen *p, int32_t kernel, int32_t pad);
void evi_pen_act(evi_pen *p, int32_t activation, float alpha);
void evi_pen_relu(evi_pen *p);
void evi_pen_instance_norm(evi_pen *p);
void evi_pen_batch_norm(evi_pen *p);
void evi_pen_max_pool(evi_pen *p, int32_t kernel, int32_t stride, int32_t pad);
void evi_pen_flatten(evi_pen *p);
void evi_pen_dropout(evi_pen *p, float rate);
void evi_pen_dense(evi_pen *p, int32_t units, int32_t init);
void evi_pen_add(evi_pen *p, ev_value other);
void evi_pen_concat(evi_pen *p, ev_value other);
/* Size of the end along an axis; 1 after a failure. */
int64_t evi_pen_dim(const evi_pen *p, int32_t axis);

/* Defaults filled in and ranges checked; side: the default width. */
ev_status evi_zoo_options_read(const ev_zoo_options *opt, int32_t side, const char *function,
                               ev_zoo_options *out);

#endif
