/* SPDX-License-Identifier: MIT */
/**
 * @file output.h
 * Pictures, folders and the manifest on disk.
 */
#ifndef UNDERPASS_OUTPUT_H
#define UNDERPASS_OUTPUT_H

#include "clip.h"

#include <stdio.h>

enum { OUTPUT_PNG, OUTPUT_JPG, OUTPUT_PPM };
enum { LAYOUT_FRAMES, LAYOUT_CLASSES, LAYOUT_CLIPS };

/** Write a picture; false (errno says why) when the file could not be written whole. */
bool output_picture(const char *path, int format, int quality, int width, int height,
                    const uint8_t *rgb);

/** Make a folder and what leads to it; true when it is there in the end. */
bool output_folder(const char *path);

/** Path of a frame relative to the campaign's folder. */
void output_path(const campaign *c, const campaign_frame *f, int layout, int format, char *out,
                 size_t out_bytes);

/** Write the manifest; boxes in pixels of a picture of the given size. */
bool output_truth(const char *path, const campaign *c, int layout, int format, int width,
                  int height);

#endif /* UNDERPASS_OUTPUT_H */
