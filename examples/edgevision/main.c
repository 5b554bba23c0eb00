/* SPDX-License-Identifier: MIT */
/* edgevision: draw, train, judge and run small conv nets from the command line. */
#include <string.h>

#include "tool.h"

typedef struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} verb;

static int verb_version(int argc, char **argv);
static int verb_help(int argc, char **argv);

static const verb verbs[] = {
    {"data", verb_data, "look at, cap and split labelled pictures"},
    {"frames", verb_frames, "cut a video into pictures (by ffmpeg)"},
    {"arch", verb_arch, "list the nets, show one layer by layer"},
    {"train", verb_train, "train a classifier"},
    {"sweep", verb_sweep, "train many: nets, sizes of the training set, seeds"},
    {"tune", verb_tune, "find learning rate, dropout and l2 for a net"},
    {"prune", verb_prune, "make a model smaller: fewer channels, fewer layers"},
    {"gan", verb_gan, "carry pictures from one set into another (CycleGAN)"},
    {"eval", verb_eval, "accuracy per class and confusion matrix"},
    {"predict", verb_predict, "say what is in pictures, or in frames on stdin"},
    {"inspect", verb_inspect, "what is in a model file"},
    {"bench", verb_bench, "how fast a model runs here, and what memory it needs"},
    {"report", verb_report, "one HTML page about a training run"},
    {"plot", verb_plot, "draw the curves of a training run (by gnuplot)"},
    {"version", verb_version, "release and instruction sets"},
    {"help", verb_help, "this text, or that of a verb"},
};
enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

static const verb *find_verb(const char *name)
{
    for (int i = 0; i < N_VERBS; i++) {
        if (!strcmp(verbs[i].name, name)) {
            return &verbs[i];
        }
    }
    return NULL;
}

static int unknown_verb(const char *name)
{
    const char *best = NULL;
    int least = 4;
    for (int i = 0; i < N_VERBS; i++) {
        int d = text_distance(name, verbs[i].name);
        if (d < least) {
            least = d;
            best = verbs[i].name;
        }
    }
    if (best) {
        return fail(EXIT_USAGE, "there is no verb %s; did you mean %s?", name, best);
    }
    return fail(EXIT_USAGE, "there is no verb %s; edgevision help lists them", name);
}

static void print_help(FILE *to)
{
    fputs("usage: edgevision VERB [arguments]\n\n", to);
    for (int i = 0; i < N_VERBS; i++) {
        fprintf(to, "  %-9s %s\n", verbs[i].name, verbs[i].help);
    }
    fputs("\nedgevision VERB --help tells more.  Results go to stdout (tables with tabs, or\n"
          "--json), progress to stderr.  Exit codes: 0 good, 1 goal not met, 2 usage, 3 input\n"
          "data, 4 model file, 5 memory, 6 reading or writing, 70 a bug; 130 and 143 after\n"
          "Ctrl-C and SIGTERM.\n", to);
}

static int verb_help(int argc, char **argv)
{
    if (argc > 0) {
        const verb *v = find_verb(argv[0]);
        char *help[] = {(char *)"--help", NULL};
        if (v && v->run != verb_help) {
            tool_verb = v->name;
            return v->run(1, help);
        }
        if (!v) {
            return unknown_verb(argv[0]);
        }
    }
    print_help(stdout);
    return 0;
}

static int verb_version(int argc, char **argv)
{
    int32_t json = 0;
    const option table[] = {{"json", 0, OPTION_FLAG, &json, NULL, "for machines", 0, 0, NULL}};
    syntax s = {.verb = "version", .usage = "[--json]", .purpose = "Release and instruction sets.",
                .options = table, .n_options = N_OPTIONS(table)};
    ev_context *ctx = NULL;
    int code = options_parse(&s, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    code = open_context(0, &ctx);
    if (code) {
        return code;
    }
    uint32_t cpu = ev_context_cpu(ctx);
    const char *set = cpu & EV_CPU_AVX512 ? "avx512"
                      : cpu & EV_CPU_AVX2 ? "avx2"
                      : cpu & EV_CPU_NEON ? "neon"
                                          : "none";
    printf(json ? "{\"version\": \"%s\", \"instruction_set\": \"%s\", \"threads\": %d}\n"
                : "version\t%s\ninstruction_set\t%s\nthreads\t%d\n",
           ev_version(), set, (int)ev_context_threads(ctx));
    ev_context_destroy(ctx);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
        name = "help";
    } else if (!strcmp(name, "--version")) {
        name = "version";
    }
    const verb *v = find_verb(name);
    if (!v) {
        return unknown_verb(name);
    }
    tool_verb = v->name;
    int code = v->run(argc - 2, argv + 2);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        code = code ? code : fail(EXIT_IO, "cannot write to stdout");
    }
    return code;
}
