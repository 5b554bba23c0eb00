/* SPDX-License-Identifier: MIT */
#include "tool.h"
#define LATER(x) int x(int argc, char **argv) { (void)argc; (void)argv; return 70; }
LATER(verb_data) LATER(verb_frames) LATER(verb_predict) LATER(verb_inspect)
LATER(verb_bench) LATER(verb_report) LATER(verb_plot)
int draw_plots(const char *run) { (void)run; return 0; }
