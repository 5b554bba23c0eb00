/* SPDX-License-Identifier: MIT */
/* Generators and pictures that the tests of translators share. */
#ifndef TESTS_DOMAIN_CASE_H
#define TESTS_DOMAIN_CASE_H

#include "support.h"
#include <edgevision/domain.h>

/* Gives back what it gets, plus a constant.  width, height -1: of any size. */
ev_model *case_draw_plus(ev_context *c, int32_t channels, int32_t width, int32_t height,
                         float more);
/* Half the size and back; a pixel depends on fewer than 16 pixels around it, but for norms. */
ev_model *case_draw_plain(ev_context *c, bool norms);
/* Of the zoo: width 4, one block. */
ev_model *case_zoo_generator(ev_context *c, int32_t size, int32_t channels);
/* Something with soft and hard edges in it. */
ev_image *case_picture(ev_context *c, int32_t width, int32_t height, int32_t format);
/* By a translator of its own. */
ev_image *case_translate(ev_context *c, ev_model *m, const ev_translator_options *o,
                         const ev_image *image);
/* The largest difference of two bytes. */
int32_t case_difference(const ev_image *a, const ev_image *b);
ev_translator_options case_tiles(int32_t tile, int32_t overlap);

#endif
