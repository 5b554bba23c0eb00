/* SPDX-License-Identifier: MIT */
/* Signals, and a bar on a terminal. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tool.h"

static volatile sig_atomic_t caught;
static int bar_length;

static void on_signal(int number)
{
    if (caught) {
        _exit(128 + number);
    }
    caught = number;
}

void catch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int caught_signal(void)
{
    return caught;
}

bool is_terminal(void)
{
    const char *term = getenv("TERM");
    const char *no_color = getenv("NO_COLOR");
    return !tool_quiet && isatty(2) && term && strcmp(term, "dumb") != 0 &&
           !(no_color && *no_color) && !getenv("CI");
}

static int terminal_width(void)
{
    struct winsize size;
    if (ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 10) {
        return size.ws_col;
    }
    return 80;
}

void show_bar(const char *line)
{
    if (!is_terminal()) {
        return;
    }
    int width = terminal_width() - 1;
    int n = (int)strlen(line) < width ? (int)strlen(line) : width;
    fprintf(stderr, "\r%.*s%*s", n, line, bar_length > n ? bar_length - n : 0, "");
    fflush(stderr);
    bar_length = n;
}

void clear_bar(void)
{
    if (bar_length > 0) {
        fprintf(stderr, "\r%*s\r", bar_length, "");
        bar_length = 0;
    }
}
