/* SPDX-License-Identifier: MIT */
/* Bright and dark pictures, a classifier that tells them apart, generators that brighten: all drawn
 * by hand, so that every number is known. */
#ifndef TESTS_GAN_BRIGHT_H
#define TESTS_GAN_BRIGHT_H

#include "support.h"
#include <edgevision/cyclegan.h>

/* What stands at the end of the classifier. */
enum { BRIGHT_DENSE, BRIGHT_NO_DENSE, BRIGHT_SOFTMAX, BRIGHT_MATMUL };

/* Pictures [N,3,size,size] of 0..1.  Features: means of red, green and blue, their mean m, and one
 * that is always 0.  Class 1 where m > 0.5: logits 10 - 20 m and 20 m - 10. */
ev_status bright_classifier(ev_context *c, int32_t size, int32_t end, ev_model **out);
/* Pictures of -1..1, size x size (0: any, and no size known): brighter by more * 255. */
ev_status bright_generator(ev_context *c, int32_t size, float more, ev_model **out);
/* n pictures of one grey each, low..high in even steps, with a little noise; two classes, and the
 * label is `label`, or below 0: 1 where the grey is above 127. */
ev_status bright_set(ev_context *c, int32_t n, double low, double high, int32_t noise,
                     int32_t label, ev_dataset **out);

#endif
