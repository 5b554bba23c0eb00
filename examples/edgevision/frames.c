/* SPDX-License-Identifier: MIT */
/* edgevision frames: cut a video into pictures, by the program ffmpeg. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool.h"

int run_program(char *const *argv)
{
    int state = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        return fail(EXIT_IO, "%s: %s", argv[0], strerror(errno));
    }
    if (child == 0) {
        execvp(argv[0], argv);
        _exit(127);
    }
    while (waitpid(child, &state, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
}

int verb_frames(int argc, char **argv)
{
    double fps = 1;
    const char *out = NULL, *format = "jpg";
    int32_t size[2] = {0, 0};
    const option table[] = {
        {"out", 'o', OPTION_TEXT, &out, "DIR", "where the pictures go", 0, 0, NULL},
        {"fps", 0, OPTION_REAL, &fps, "X", "pictures a second", 0.001, 1000, NULL},
        {"size", 0, OPTION_SIZE, size, "WxH", "resize (default: as they are)", 0, 0, NULL},
        {"format", 0, OPTION_TEXT, &format, "NAME", "jpg or png", 0, 0, NULL},
    };
    syntax s = {.verb = "frames", .usage = "VIDEO -o DIR [options]",
                .purpose = "Cut a video file into pictures, VIDEO's name and a number each; needs "
                           "the program ffmpeg.",
                .options = table, .n_options = N_OPTIONS(table), .min_rest = 1, .max_rest = 1,
                .examples = "  edgevision frames clip.mp4 --fps 1 -o frames/clip\n"};
    char filter[80], pattern[PATH_SIZE], name[300];
    int code = options_parse(&s, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    if (!out) {
        return fail(EXIT_USAGE, "-o DIR is missing");
    }
    if (!file_exists(s.files[0])) {
        return fail(EXIT_DATA, "%s: %s", s.files[0], strerror(ENOENT));
    }
    if (!find_program("ffmpeg")) {
        return fail(EXIT_IO, "the program ffmpeg is not installed: apt-get install ffmpeg");
    }
    code = make_folder(out);
    if (code) {
        return code;
    }
    int n = snprintf(filter, sizeof filter, "fps=%.6g", fps);
    if (size[0]) {
        snprintf(filter + n, sizeof filter - (size_t)n, ",scale=%d:%d:flags=area", (int)size[0],
                 (int)size[1]);
    }
    const char *base = strrchr(s.files[0], '/');
    base = base ? base + 1 : s.files[0];
    snprintf(name, sizeof name, "%.200s_%%05d.%.8s", base, format);
    path_join(pattern, out, name);
    const char *words[] = {"ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-i", s.files[0],
                           "-vf", filter, "-q:v", "2", pattern, NULL};
    char *args[16];
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        args[i] = (char *)(uintptr_t)words[i];
    }
    code = run_program(args);
    return code == 0 ? 0 : fail(EXIT_DATA, "ffmpeg could not read %s (its code: %d)", s.files[0],
                                code);
}
