/* SPDX-License-Identifier: MIT */
/**
 * @file options.h
 * What the command line of ev-underpass-render says.
 */
#ifndef UNDERPASS_OPTIONS_H
#define UNDERPASS_OPTIONS_H

#include "clip.h"

enum { EXIT_GOOD = 0, EXIT_USAGE = 2, EXIT_MEMORY = 5, EXIT_IO = 6 };

typedef struct render_options {
    const char      *out;     /* folder; NULL with raw or list */
    int              width, height;
    int              format, quality, layout, threads;
    bool             raw, list, help, quiet;
    int              clip;    /* only this one; 0: all */
    int              fps;     /* of raw video */
    campaign_options campaign;
} render_options;

/** Read the command line.  False: a line on stderr says what is wrong with it. */
bool options_read(int argc, char **argv, render_options *out);
void options_help(void);

#endif /* UNDERPASS_OPTIONS_H */
