/* SPDX-License-Identifier: MIT */
/* A pass of a classifier over the pictures of a set, perhaps translated before. */
#ifndef EVI_GAN_PASS_H
#define EVI_GAN_PASS_H

#include "domain/domain.h"
#include "train/trainer.h"
#include <edgevision/cyclegan.h>

/* Pictures are decoded ahead, go through the generator at the size it was drawn for, become bytes,
 * and are resized for the classifier: what a device would do, with the same bits, in batches. */
typedef struct evi_pass {
    ev_loader *loader;
    evi_domain_input in, made; /* of the classifier, of the generator */
    evi_stage classifier;      /* outputs: ev_session_output(classifier.session, ...) */
    evi_stage generator;       /* session NULL: none */
    int32_t n;                 /* pictures in this batch; 0: the pass is over */
    const ev_tensor *given;    /* as the generator (or the classifier) saw them: [n,C,H,W] */
    const int32_t *labels, *items;
} evi_pass;

/* generator NULL: pictures as they are.  Labels are not looked at.  repeats: there will be more
 * passes than one, so decoded pictures are kept. */
ev_status evi_pass_start(ev_context *ctx, ev_model *classifier, ev_model *generator,
                         ev_dataset *pictures, bool repeats, const char *function, evi_pass *out);
ev_status evi_pass_next(evi_pass *pass);  /* the next batch, through both networks */
ev_status evi_pass_again(evi_pass *pass); /* from the first picture */
void evi_pass_end(evi_pass *pass);

/* Which output holds the logits: the one of this name, or the only one.  -1 and the error line:
 * there is no such, or it is no [N,classes]. */
ev_status evi_pass_logits(const ev_model *classifier, const char *function, int32_t *output_out,
                          int32_t *n_classes_out);

/* ---- features: features.c ------------------------------------------------------------------- */

/* The value [N,K] that the last dense layer, which gives the logits, takes. */
ev_status evi_features_find(const ev_model *classifier, const char *function, ev_value *out,
                            int32_t *n_features_out);

/* Draws mean and mean square over the picture of each channel that the second convolution takes
 * (the picture's own channels if there is none): [N,2C]. */
ev_status evi_features_draw_statistics(ev_model *classifier, const char *function, ev_value *out,
                                       int32_t *n_features_out);

/* Means and variances of numbers that come one after the other (Welford), in double. */
typedef struct evi_moments {
    int32_t n_features;
    int64_t n;
    double *mean, *square; /* square: sum of squared distances from the mean */
} evi_moments;
ev_status evi_moments_start(ev_context *ctx, int32_t n_features, evi_moments *out);
void evi_moments_add(evi_moments *m, const evi_real *features, int64_t n);
double evi_moments_variance(const evi_moments *m, int32_t feature); /* 0 for one picture */
void evi_moments_end(evi_moments *m);

#endif
