/* SPDX-License-Identifier: MIT */
/* The picture encoders of Debian's libstb-dev, compiled here and nowhere else. */
#if defined(__GNUC__)
/* Not our code: its warnings are not ours to mend. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wconversion"
#endif
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include "stb_header.h"
