/* SPDX-License-Identifier: MIT */
/* Debian keeps the header in a folder of its own, others do not. */
#ifndef UNDERPASS_STB_HEADER_H
#define UNDERPASS_STB_HEADER_H

#ifdef UNDERPASS_STB_PLAIN_PATH
#include <stb_image_write.h>
#else
#include <stb/stb_image_write.h>
#endif

#endif /* UNDERPASS_STB_HEADER_H */
