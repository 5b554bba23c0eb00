/* SPDX-License-Identifier: MIT */
/* edgevision arch: the nets that can be trained. */
#include <string.h>

#include "ladder.h"

static int list(int32_t json)
{
    text t = {0};
    text_add(&t, json ? "[" : "name\tpaper\tparameters\tmacs\tconv_layers\tfilters\t"
                             "dense_layers\n");
    for (int32_t i = 1; i <= ev_zoo_n_archs(); i++) {
        ev_zoo_row row;
        EV_OPTIONS_INIT(&row);
        if (ev_zoo_arch_row(i, &row) != EV_OK) {
            return fail_status(EXIT_BUG, EV_ERR_INTERNAL, NULL);
        }
        if (json) {
            text_add(&t, "%s\n {\"name\": \"%s\", \"paper\": \"%s\", \"parameters\": %lld, ",
                     i > 1 ? "," : "", row.name, row.size, (long long)row.parameters);
            text_add(&t, "\"macs\": %lld, \"conv_layers\": %d, \"filters\": \"%s\", \"dense\": "
                         "\"%s\"}",
                     (long long)row.macs, (int)row.n_convolutions, row.filters, row.dense);
        } else {
            text_add(&t, "%s\t%s\t%lld\t%lld\t%d\t%s\t%s\n", row.name, row.size,
                     (long long)row.parameters, (long long)row.macs, (int)row.n_convolutions,
                     row.filters, row.dense);
        }
    }
    if (json) {
        text_add(&t, "\n]\n");
    }
    print_table(&t, stdout);
    return 0;
}

static int show(const char *name, const int32_t size[2], int32_t classes, int32_t color, int kind)
{
    ev_context *ctx = NULL;
    ev_model *model = NULL;
    ev_zoo_options zoo;
    char *words = NULL;
    EV_OPTIONS_INIT(&zoo);
    zoo.width = size[0];
    zoo.height = size[1];
    zoo.n_classes = classes;
    zoo.channels = color ? 1 : 3;
    int code = open_context(1, &ctx);
    if (code) {
        return code;
    }
    ev_status status = ev_zoo_create(ctx, name, &zoo, &model);
    if (status == EV_OK) {
        status = ev_model_describe(model, kind, &words);
    }
    if (status == EV_OK) {
        fputs(words, stdout);
    } else {
        code = fail_status(EXIT_USAGE, status, NULL);
    }
    ev_string_destroy(words);
    ev_model_destroy(model);
    ev_context_destroy(ctx);
    return code;
}

int verb_arch(int argc, char **argv)
{
    int32_t dot = 0;
    ladder l = {.arch = "Arch11", .rungs = 10, .size = {224, 224}, .classes = 4, .ratio = 0.5,
                .seed = 1};
    const option table[] = {
        {"json", 0, OPTION_FLAG, &l.json, NULL, "for machines", 0, 0, NULL},
        {"dot", 0, OPTION_FLAG, &dot, NULL, "show: a drawing for Graphviz", 0, 0, NULL},
        {"size", 0, OPTION_SIZE, l.size, "WxH", "size of the pictures", 0, 0, NULL},
        {"classes", 0, OPTION_INT, &l.classes, "N", "number of classes", 1, 65536, NULL},
        {"grey", 0, OPTION_FLAG, &l.grey, NULL, "one channel instead of three", 0, 0, NULL},
        {"arch", 0, OPTION_TEXT, &l.arch, "NAME", "ladder: the net at its top", 0, 0, NULL},
        {"model", 0, OPTION_TEXT, &l.model, "MODEL", "ladder: an ONNX file instead", 0, 0, NULL},
        {"rungs", 0, OPTION_INT, &l.rungs, "N", "ladder: how many below the top", 1, 100, NULL},
        {"ratio", 0, OPTION_REAL, &l.ratio, "X", "ladder: parameters of the next rung", 0.01, 0.99,
         NULL},
        {"save", 0, OPTION_TEXT, &l.save, "FOLDER",
         "ladder: rung00.onnx and so on, weights anew (default none)", 0, 0, NULL},
        {"seed", 0, OPTION_SEED, &l.seed, "N", "ladder: of these weights", 0, 0, NULL},
    };
    syntax s = {.verb = "arch", .usage = "list | show NAME | ladder [options]",
                .purpose = "The nets that can be trained: the paper's ladder of eleven, with "
                           "parameters and\nmultiply-adds for pictures of 224x224 and 4 classes, "
                           "and small residual nets; and\nladders of one's own: each rung has half "
                           "the parameters, as the paper halved them.",
                .options = table, .n_options = N_OPTIONS(table), .min_rest = 1, .max_rest = 2,
                .examples = "  edgevision arch list\n"
                            "  edgevision arch show Arch5 --size 96x96\n"
                            "  edgevision arch show ResNet-20 --size 32x32 --dot | dot -Tsvg\n"
                            "  edgevision arch ladder --arch Arch11 --rungs 10\n"};
    int code = options_parse(&s, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    if (!strcmp(s.files[0], "list") && s.n_files == 1) {
        return list(l.json);
    }
    if (!strcmp(s.files[0], "show") && s.n_files == 2) {
        int kind = l.json ? EV_DESCRIBE_JSON : dot ? EV_DESCRIBE_DOT : EV_DESCRIBE_TABLE;
        return show(s.files[1], l.size, l.classes, l.grey, kind);
    }
    if (!strcmp(s.files[0], "ladder") && s.n_files == 1) {
        return arch_ladder(&l);
    }
    return fail(EXIT_USAGE, "usage: edgevision arch %s", s.usage);
}
